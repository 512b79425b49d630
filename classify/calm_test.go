package classify

import (
	"fmt"
	"math/rand"
	"testing"
)

// contexts is a key for each sense, and some that mean nothing.
func contexts() []string {
	keys := []string{"x", "value", "seen"}
	for _, e := range senseWords {
		keys = append(keys, splitWords(e.words)[0])
	}
	return keys
}

// Values that are told by what they are made of, and not looked at, hold nothing:
// no detector finds anything in them, whatever the key says.
func TestCalmValues(t *testing.T) {
	a, r := newAgree(t), rand.New(rand.NewSource(1))
	if a.fast.plan.shortRun < 4 || a.fast.plan.fewDigits < 5 || a.slow.plan.shortRun > 0 {
		t.Errorf("digits in one piece %d, in groups %d; without gates %d", a.fast.plan.shortRun, a.fast.plan.fewDigits, a.slow.plan.shortRun)
	}
	digits := func(n int) string { return fmt.Sprintf("%0*d", n, r.Intn([]int{1, 10, 100, 1000, 10000, 100000}[n])) }
	values := []func() string{
		func() string { // a time
			s := fmt.Sprintf("%02d%02d-%02d-%02d", 19+r.Intn(2), r.Intn(100), 1+r.Intn(12), 1+r.Intn(31)) + []string{"T", " ", "t"}[r.Intn(3)] +
				fmt.Sprintf("%02d:%02d:%02d", r.Intn(24), r.Intn(60), r.Intn(60))
			if n := r.Intn(10); n > 0 {
				s += fmt.Sprintf(".%09d", r.Intn(1e9))[:n+1]
			}
			return s + []string{"Z", "", "+01:00", "-07:30", "+0100", "z", "+02"}[r.Intn(7)]
		},
		func() string { // a version, a reading
			s := ""
			for range 1 + r.Intn(4) {
				s += digits(1+r.Intn(4)) + []string{".", "-", ", ", " ", "%", "..", "--", ""}[r.Intn(8)]
			}
			return s
		},
	}
	for _, key := range contexts() {
		for range 12 {
			for _, v := range values {
				value := v()
				a.on("a/b", fmt.Appendf(nil, `{%q:%q}`, key, value))
				a.on("a/"+key, fmt.Appendf(nil, `{"x":%q,"y":{%q:1}}`, value, key))
				a.on("a/"+key, []byte(value))
			}
		}
	}
	f := newFinder(t, Options{})
	for _, x := range []string{"2.14.3", "2026-11-23T14:05:06.123Z", "12.5 %", "2026-11-23 14:05:06"} {
		if f.find("a/b", fmt.Sprintf(`{"x":%q}`, x), Context{}); f.s.work != 0 {
			t.Errorf("%q started %d detectors", x, f.s.work)
		}
	}
}

// What serial refuses is no word of the dictionary, nor one of those that stand
// behind it.
func TestSerial(t *testing.T) {
	d := newDictionary()
	for _, w := range d.words.words {
		if serial([]byte(w)) {
			t.Errorf("%q is a word", w)
		}
	}
	for _, w := range tailWords.words {
		if serial([]byte(w)) {
			t.Errorf("%q is a word", w)
		}
	}
	for text, want := range map[string]bool{
		"c0a8012f-77": true, "7f3e9b1a": true, "123e4567-e89b-12d3-a4b6-426614174000": false, "c0a81956-02": true, "w3w-0012": false,
		"123e4567-e89b-12d3-a4b6-42a6b4174000": true,
		"a1b2-password":                        false, "a1b2Password": false, "i2caddress": false, "ip4": false, "1017": false, "": false, "c0a8é1b": false,
	} {
		if serial([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
		if m := d.meaning([]byte(text)); want && (!m.head.empty() || m.transparent) {
			t.Errorf("%q means something", text)
		}
	}
}
