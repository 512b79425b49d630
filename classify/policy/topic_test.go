package policy

import (
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	for _, c := range []struct{ filter, yes, no string }{
		{"a/b", "a/b", "a a/ a/b/ a/b/c b/a /a/b A/b a/bc"},
		{"a/+", "a/b a/ a/$x", "a a/b/c b/b /a"},
		{"+/b", "a/b /b", "$a/b a/b/c b"},
		{"+", "a", "a/ /a $a"},
		{"/+", "/a /", "a //"},
		{"a/#", "a a/ a/b a/b/c", "b ab ab/c"},
		{"a/+/#", "a/b a/b/c a/", "a b/a"},
		{"#", "a / a/b/c", "$SYS $SYS/a"},
		{"$SYS/#", "$SYS $SYS/a", "SYS/a a"},
		{"$SYS/+", "$SYS/a", "$SYS $SYS/a/b"},
		{"a//b", "a//b", "a/b a/x/b"},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		for topic := range strings.FieldsSeq(c.yes) {
			if !f.match(topic) {
				t.Errorf("%s does not match %s", c.filter, topic)
			}
		}
		for topic := range strings.FieldsSeq(c.no) {
			if f.match(topic) {
				t.Errorf("%s matches %s", c.filter, topic)
			}
		}
		if f.match("") {
			t.Errorf("%s matches the empty topic", c.filter)
		}
	}
	for _, bad := range []string{"", "a#", "#/a", "+a", "a/b+/c", "a/##", "$share/g/a", "a\x00", "a\xff"} {
		if _, err := parseFilter(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestFilterRelations compares covers and meets with what match says about
// every topic of up to three levels over a small alphabet.
func TestFilterRelations(t *testing.T) {
	levels := []string{"a", "b", "$x", ""}
	var topics []string
	for _, x := range levels {
		topics = append(topics, x)
		for _, y := range levels {
			topics = append(topics, x+"/"+y)
			for _, z := range levels {
				topics = append(topics, x+"/"+y+"/"+z, x+"/"+y+"/"+z+"/q")
			}
		}
	}
	var filters []filter
	for _, s := range []string{"a", "b", "+", "#", "a/b", "a/+", "+/b", "+/+", "a/#", "+/#", "$x/#", "$x/+", "$x", "a/+/b", "a/b/#", "+/b/#", "a/+/#", "+/+/+", "/+", "/#"} {
		f, err := parseFilter(s)
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, f)
	}
	for i := range filters {
		for j := range filters {
			f, g := &filters[i], &filters[j]
			meets, covers := false, true
			for _, topic := range topics {
				a, b := f.match(topic), g.match(topic)
				meets = meets || a && b
				covers = covers && (a || !b)
			}
			// Of "+" and "/#" both take only the empty topic, which nobody can
			// publish to.
			empty := f.text == "+" && g.text == "/#" || f.text == "/#" && g.text == "+"
			if got := f.meets(g); got != meets && !empty {
				t.Errorf("%s meets %s: %v", f.text, g.text, got)
			}
			// covers may miss a case ("+/#" takes all of "#"), but never invents one.
			if got := f.covers(g); got && !covers {
				t.Errorf("%s does not cover %s", f.text, g.text)
			} else if !got && covers && !(g.text == "#" && f.text == "+/#") {
				t.Errorf("%s covers %s, unnoticed", f.text, g.text)
			}
		}
	}
}

func TestUnclassifiedWords(t *testing.T) {
	for s, want := range map[string]bool{
		"on": true, "OFF": true, "state_2": true, "UTC-8": true, "a": true, strings.Repeat("a", 24): true,
		"": false, "On": false, "iPhone": false, "123": false, "1-2": false, "_": false, "a b": false, "a.b": false,
		"é": false, "a@b": false, strings.Repeat("a", 25): false, "a\n": false,
	} {
		if got := enumWord([]byte(s)); got != want {
			t.Errorf("%q is an enumeration's word: %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		"2026-11-23": true, "2026-11-23T14:05": true, "2026-11-23T14:05:06": true, "2026-11-23 14:05:06.123456": true,
		"2026-11-23T14:05:06Z": true, "2026-11-23t14:05:06z": true, "2026-11-23T14:05:06.5+01:00": true, "2026-11-23T14:05:06-0130": true,
		"2026-11-23T14:05:06+01": true, "14:05": true, "14:05:60": true, "14:05:06.1": true,
		"": false, "2026-13-01": false, "2026-01-32": false, "2026-1-1": false, "2026-11-23T": false, "2026-11-23T24:00": false,
		"2026-11-23T14:05:06.": false, "2026-11-23T14:05:06.1234567890": false, "2026-11-23T14:05:06Z ": false, "2026-11-23T14:05:06 John": false,
		"14:05Z": false, "14:05:6": false, "25:00": false, "2026-11-23T14:05:06+99:00": false, "2026-11-23X": false, "14:05+01": false,
		"2026-11-23T14:05:06+01:99": false, "2026-11-23T14:05:06.Z": false,
	} {
		if got := timestamp([]byte(s)); got != want {
			t.Errorf("%q is a timestamp: %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		"0": true, "21.5": true, "-87": true, "12345678": true, "-1.25": true,
		"": false, "-": false, ".5": false, "5.": false, "1.2.3": false, "1e3": false, "123456789": false, "1,5": false, "+1": false, "--1": false, "1-1": false,
	} {
		if got := number([]byte(s)); got != want {
			t.Errorf("%q is a number: %v", s, got)
		}
	}
}
