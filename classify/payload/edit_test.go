package payload

import (
	"fmt"
	"strings"
	"testing"
)

// field returns the field with a path.
func field(t *testing.T, d *Document, path string) int32 {
	t.Helper()
	if i := d.Find(path); i >= 0 {
		return i
	}
	t.Fatalf("no field %q in %s", path, render(d))
	return -1
}

// A change is an edit by path, in short.
type change struct {
	path, kind string // kind: "remove", "null", "raw", "number", "text", or a range "2:5"
	value      string
}

func edits(t *testing.T, d *Document, changes []change) (es []Edit) {
	t.Helper()
	for _, c := range changes {
		e := Edit{Field: field(t, d, c.path), Value: []byte(c.value)}
		switch c.kind {
		case "remove":
			e.Kind = EditRemove
		case "raw":
			e.Kind = EditRaw
		case "number":
			e.Kind = EditNumber
		case "null":
			e.Kind = EditNull
		case "text":
			e.Kind, e.WholeText = EditString, true
		default:
			e.Kind = EditString
			if _, err := fmt.Sscanf(c.kind, "%d:%d", &e.Start, &e.End); err != nil {
				t.Fatal(err)
			}
		}
		es = append(es, e)
	}
	return es
}

func TestAppend(t *testing.T) {
	remove := func(paths ...string) (cs []change) {
		for _, p := range paths {
			cs = append(cs, change{p, "remove", ""})
		}
		return cs
	}
	nested63 := strings.Repeat("[", 63) + strings.Repeat("]", 63)
	const spaced = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}"
	tests := []struct {
		raw     string
		changes []change
		want    string
	}{
		{spaced, remove("/a"), "{\n  \"b\": 2,\n  \"c\": 3\n}"},
		{spaced, remove("/b"), "{\n  \"a\": 1,\n  \"c\": 3\n}"},
		{spaced, remove("/c"), "{\n  \"a\": 1,\n  \"b\": 2\n}"},
		{spaced, remove("/b", "/a"), "{\n  \"c\": 3\n}"},
		{spaced, remove("/a", "/c"), "{\n  \"b\": 2\n}"},
		{spaced, remove("/c", "/b"), "{\n  \"a\": 1\n}"},
		{spaced, remove("/a", "/b", "/c"), "{\n  }"},
		{`{"a":1}`, remove("/a"), `{}`},
		{`{"a":[1,2]}`, remove("/a/0", "/a/1"), `{"a":[]}`},
		{`{"a":{"x":1,"y":2},"b":3}`, remove("/b", "/a/x"), `{"a":{"y":2}}`},
		{`{"r":0,"a":{"x":1},"b":3}`, remove("/r", "/a/x", "/b"), `{"a":{}}`},
		{`{"\u0061\"":1,"b\\\"":2}`, remove(`/a"`), `{"b\\\"":2}`},
		{`{"\u0061\"":1,"b\\\"":2}`, remove(`/b\"`), `{"\u0061\"":1}`},
		{"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", remove("/1"), "{\"a\":1}\n{\"a\":3}\n"},
		{"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", remove("/0", "/1"), "{\"a\":3}\n"},
		{"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", remove("/2", "/0/a"), "{}\n{\"a\":2}\n"},
		{`{"p":"B-AB 123"}`, []change{{"/p", "2:4", "**"}}, `{"p":"B-** 123"}`},
		{`{"p":"B-AB 123"}`, []change{{"/p", "5:8", "***"}, {"/p", "0:1", "*"}, {"/p", "2:2", "|"}}, `{"p":"*-|AB ***"}`},
		{`{"p":"B-AB 123"}`, []change{{"/p", "0:2", "x"}, {"/p", "2:4", "y"}}, `{"p":"xy 123"}`},
		{`{"p":"\u0041b\ud83d\ude00\/c"}`, []change{{"/p", "1:2", "B"}}, `{"p":"AB😀/c"}`},
		{`{"p":"a"}`, []change{{"/p", "text", "\"\\\x00\x1f\x7f\b\f\n\r\té\u2028</"}}, `{"p":"\"\\\u0000\u001f` + "\x7f" + `\b\f\n\r\té` + "\u2028" + `</"}`},
		{`{"n":4915112345678}`, []change{{"/n", "2:13", "***********"}}, `{"n":"49***********"}`},
		{`{"n": true }`, []change{{"/n", "text", "t"}}, `{"n": "t" }`},
		{`{"n": {"x":[1,2]} , "m":1}`, []change{{"/n", "raw", "null"}, {"/m", "number", "1e5"}}, `{"n": null , "m":1e5}`},
		{`{"lat":52.516275}`, []change{{"/lat", "number", "52.52"}}, `{"lat":52.52}`},
		{"{\"a\":1}\n{}", []change{{"/0/a", "raw", nested63}}, "{\"a\":" + nested63 + "}\n{}"},
		{`{"a":1}`, []change{{"/a", "raw", nested63}}, `{"a":` + nested63 + `}`},
		{` "secret" `, []change{{"", "text", "x"}}, ` "x" `},
		{`23.5`, []change{{"", "raw", `{"v":23}`}}, `{"v":23}`},
		{"call +49 151 1234 or +49 151 9999\n", []change{{"", "22:33", "B"}, {"", "5:17", "A"}}, "call A or +B\n"},
	}
	for _, tt := range tests {
		d := mustParse(t, "a", []byte(tt.raw))
		got, err := d.Append(nil, edits(t, d, tt.changes))
		if err != nil || string(got) != tt.want {
			t.Errorf("%q with %v: got %q, %v; want %q", tt.raw, tt.changes, got, err, tt.want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	tests := []struct {
		name, raw string
		changes   []change
		err       string
	}{
		{"the root", `{"a":1}`, []change{{"", "remove", ""}}, "not accepted"},
		{"a text in a container", `{"a":[]}`, []change{{"/a", "text", "x"}}, "not accepted"},
		{"a topic level", `{"a":1}`, []change{{"topic:0", "remove", ""}}, "edited apart"},
		{"a range that overlaps", `{"a":"abcdef"}`, []change{{"/a", "0:3", ""}, {"/a", "2:4", ""}}, "conflict"},
		{"a range in the whole", `{"a":"abcdef"}`, []change{{"/a", "text", ""}, {"/a", "2:4", ""}}, "conflict"},
		{"two insertions in one place", `{"a":"abcdef"}`, []change{{"/a", "2:2", "x"}, {"/a", "2:2", "y"}}, "conflict"},
		{"two kinds", `{"a":"abcdef"}`, []change{{"/a", "0:3", ""}, {"/a", "raw", "1"}}, "conflict"},
		{"a removal twice", `{"a":1}`, []change{{"/a", "remove", ""}, {"/a", "remove", ""}}, "conflict"},
		{"inside a removal", `{"a":{"b":{"c":1}}}`, []change{{"/a/b/c", "raw", "2"}, {"/a", "remove", ""}}, "inside"},
		{"inside a removal, others between", `{"a":{"b":1,"c":2}}`, []change{{"/a", "raw", "2"}, {"/a/c", "remove", ""}}, "inside"},
		{"a range behind the end", `{"a":"abc"}`, []change{{"/a", "2:4", ""}}, "outside"},
		{"a range backwards", `{"a":"abc"}`, []change{{"/a", "2:1", ""}}, "outside"},
		{"half a character", `{"a":"é"}`, []change{{"/a", "1:2", ""}}, "splits"},
		{"half a character at the end", `{"a":"\u00e9"}`, []change{{"/a", "0:1", ""}}, "splits"},
		{"no UTF-8", `{"a":"abc"}`, []change{{"/a", "0:1", "\xff"}}, "UTF-8"},
		{"no number", `{"a":1}`, []change{{"/a", "number", "1x"}}, "not a number"},
		{"a number with space", `{"a":1}`, []change{{"/a", "number", " 1"}}, "not a number"},
		{"an empty number", `{"a":1}`, []change{{"/a", "number", ""}}, "not a number"},
		{"raw that is open", `{"a":1}`, []change{{"/a", "raw", `{"x":1`}}, "strict JSON"},
		{"raw that goes on", `{"a":1}`, []change{{"/a", "raw", `1,"b":2`}}, "strict JSON"},
		{"raw that is empty", `{"a":1}`, []change{{"/a", "raw", ``}}, "strict JSON"},
		{"raw with equal keys", `{"a":1}`, []change{{"/a", "raw", `{"x":1,"x":2}`}}, "strict JSON"},
		{"raw with a lone surrogate", `{"a":1}`, []change{{"/a", "raw", `"\ud800"`}}, "strict JSON"},
		{"raw too deep here", strings.Repeat("[", 40) + strings.Repeat("]", 40),
			[]change{{strings.Repeat("/0", 39), "raw", strings.Repeat("[", 40) + strings.Repeat("]", 40)}}, "strict JSON"},
		{"raw one too deep", `{"a":1}`, []change{{"/a", "raw", strings.Repeat("[", 64) + strings.Repeat("]", 64)}}, "strict JSON"},
		{"two lines in one", "{}\n{}", []change{{"/0", "raw", "{\n}"}}, "line"},
		{"a scalar as a line", "{}\n{}", []change{{"/0", "raw", "1"}}, "line"},
		{"a line break in a line", "{\"a\":1}\n{}", []change{{"/0/a", "raw", "[\n]"}}, "line"},
		{"all lines", "{}\n{}", []change{{"/0", "remove", ""}, {"/1", "remove", ""}}, "nothing is left"},
		{"all text", "ON", []change{{"", "text", ""}}, "nothing is left"},
		{"text with NUL", "ON", []change{{"", "text", "a\x00"}}, "not text"},
		{"text into JSON", "ON", []change{{"", "0:1", "{"}}, "not text"},
		{"text into escapes", `O\u004E"`, []change{{"", "0:1", `"`}}, "not text"},
		{"text into a model file", "ON", []change{{"", "text", "GGUF"}}, "not text"},
		{"text removed", "ON", []change{{"", "remove", ""}}, "not accepted"},
		{"text as raw", "ON", []change{{"", "raw", "x"}}, "not accepted"},
		{"an image", jpeg, []change{{"", "text", "x"}}, "not accepted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustParse(t, "a", []byte(tt.raw))
			got, err := d.Append([]byte("dst"), edits(t, d, tt.changes))
			if err == nil || !strings.Contains(err.Error(), tt.err) || string(got) != "dst" {
				t.Errorf("got %q, %v; want an error with %q", got, err, tt.err)
			}
		})
	}

	d := mustParse(t, "a", []byte(`{"a":1}`))
	for _, i := range []int32{-1, 3, 1 << 30} {
		if _, err := d.Append(nil, []Edit{{Field: i, Kind: EditRemove}}); err == nil {
			t.Errorf("an edit of field %d, which is not there, and no error", i)
		}
	}
	for _, kind := range []EditKind{0, EditNull + 1, 7, 8, 255} {
		if _, err := d.Append(nil, []Edit{{Field: 2, Kind: kind}}); err == nil {
			t.Errorf("an edit of kind %d and no error", kind)
		}
	}
	for _, raw := range []string{"", "{"} {
		var u Document
		Parse(&u, "a", []byte(raw), Limits{})
		if _, err := u.Append(nil, []Edit{{Field: 0, Kind: EditRemove}}); err == nil {
			t.Errorf("%q: an edit of what can't be read, and no error", raw)
		}
		if out, err := u.Append(nil, nil); err != nil || string(out) != raw {
			t.Errorf("%q without edits: %q, %v", raw, out, err)
		}
	}
}

func TestAppendTopic(t *testing.T) {
	tests := []struct {
		topic   string
		changes []change
		want    string // an error if it begins with "!"
	}{
		{"a/b/c", nil, "a/b/c"},
		{"user/jo@ex.org/gps", []change{{"topic:1", "text", "t1abc"}}, "user/t1abc/gps"},
		{"user/jo@ex.org/gps", []change{{"topic:1", "3:9", "x"}, {"topic:1", "0:2", "**"}}, "user/**@x/gps"},
		{"a/b/c", []change{{"topic:0", "remove", ""}}, "b/c"},
		{"a/b/c", []change{{"topic:1", "remove", ""}}, "a/c"},
		{"a/b/c", []change{{"topic:2", "remove", ""}, {"topic:0", "text", "ü"}}, "ü/b"},
		{"a//c", []change{{"topic:1", "text", "x"}}, "a/x/c"},
		{"/a", []change{{"topic:1", "remove", ""}}, "!empty"},
		{"/a/", []change{{"topic:1", "remove", ""}}, "/"},
		{"a", []change{{"topic:0", "remove", ""}}, "!empty"},
		{"a", []change{{"topic:0", "text", ""}}, "!empty"},
		{"a/b", []change{{"topic:0", "text", "x/y"}}, "!slash"},
		{"a/b", []change{{"topic:0", "text", "+"}}, "!wildcard"},
		{"a/b", []change{{"topic:1", "0:0", "#"}}, "!wildcard"},
		{"a/b", []change{{"topic:1", "text", "\x00"}}, "!NUL"},
		{"a/b", []change{{"topic:1", "text", "\xff"}}, "!UTF-8"},
		{"a/b", []change{{"topic:1", "text", strings.Repeat("x", 65535)}}, "!too long"},
		{"a/b", []change{{"topic:0", "text", "$SYS"}}, "!begins with $"},
		{"a/$b", []change{{"topic:0", "remove", ""}}, "!begins with $"},
		{"$a/b", []change{{"topic:0", "text", "$x"}}, "$x/b"},
		{"a/b", []change{{"", "text", "x"}}, "!edited apart"},
		{"a/b", []change{{"topic:0", "raw", "x"}}, "!not accepted"},
		{"a/+/b", nil, "!wildcard"},
		{"", nil, "!empty"},
	}
	for _, tt := range tests {
		d := mustParse(t, tt.topic, []byte("ON"))
		got, err := d.AppendTopic([]byte("dst "), edits(t, d, tt.changes))
		if want, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) || string(got) != "dst " {
				t.Errorf("%q with %.60v: got %q, %v; want an error with %q", tt.topic, tt.changes, got, err, want)
			}
		} else if err != nil || string(got) != "dst "+tt.want {
			t.Errorf("%q with %v: got %q, %v; want %q", tt.topic, tt.changes, got, err, tt.want)
		}
	}
}

// TestTopicOfUnreadable: the levels are there whatever the payload is.
func TestTopicOfUnreadable(t *testing.T) {
	var d Document
	Parse(&d, "a/b@c.org", []byte("{"), Limits{})
	i := field(t, &d, "topic:1")
	if string(d.Text(i)) != "b@c.org" || string(d.Value(i)) != "b@c.org" || len(d.Key(i)) != 0 {
		t.Errorf("level 1 is %q", d.Text(i))
	}
	if got, err := d.AppendTopic(nil, []Edit{{Field: i, Kind: EditString, WholeText: true, Value: []byte("x")}}); string(got) != "a/x" {
		t.Errorf("got %q, %v", got, err)
	}
}
