package payload

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// seeds are all payloads of the other tests, readable or not.
func seeds() []sample {
	all := samples()
	for _, tt := range innerTests {
		all = append(all, sample{topic: "a/b", raw: tt.raw})
	}
	for i, raw := range []string{`{"a":1,"\u0061":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":01}`, `[1,]`, `{"a":1}x`, "{}\n1", "\uFEFF{}",
		"{\x00\"\x00", `{"_sg":1}`, strings.Repeat("[", 65), "\xff\xfea\x00", "Stra\xdfe", "a\x00", jpeg[:9], png + "x",
		`"\ud83d\ude00`, `"\ud800"`, `{"a":[1,{"b":"c"}],"d":{"e":null}} `, "[1]\n[\n2]", "[fa]s", `{"":"WzAsM1000000000="}`, "[I][wifi:573]: x",
		"\xa2aa\x01aa\x02", "\xa2\x01\x01a1\x02", "\x9f\xff", "\xbfaa", "\x82\x1c", strings.Repeat("\x81", 70) + "\x01", "\xa1ax\x5f\x41a\x61b\xff",
		"a=1&a=%61", "a=%C3", gzipped("{"), gzipped(""), gzipped(gzipped("1")), gzipped("{}")[:20], zlibbed("[1]") + "x",
		zstdded("{"), zstdded(""), zstdded(zstdded("1")), zstdded("[1]") + "x", zstdded(cameraEvent)[:90], zstdMagic + "\x00\x58\x02\x00\x10 \x03\x00\x10 "} {
		all = append(all, sample{topic: []string{"", "a/b", "/", "$SYS/ü//x"}[i%4], raw: raw})
	}
	return all
}

// FuzzParse: never a panic; what is read holds together and comes out again as
// it went in; JSON that is read is JSON to encoding/json too, with the same
// strings; and what is refused as JSON was refused for a reason that an
// independent check confirms.
func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s.topic, []byte(s.raw))
	}
	f.Fuzz(func(t *testing.T, topic string, raw []byte) {
		var d Document
		before := bytes.Clone(raw)
		why := Parse(&d, topic, raw, Limits{})
		if !bytes.Equal(before, raw) {
			t.Fatal("the payload was changed")
		}
		checkInvariants(t, &d)
		if out, err := d.Append(nil, nil); err != nil || !bytes.Equal(out, raw) {
			t.Fatalf("without edits: %q, %v", out, err)
		}
		checkAgainstOracle(t, raw, why, d.FormatName())
		if out, err := d.AppendTopic(nil, nil); err == nil && string(out) != topic {
			t.Fatalf("the topic became %q", out)
		}
	})
}

// tagged is text that begins with a tag in brackets, as the lines of a log do.
var tagged = regexp.MustCompile(`^\[[\w :./#+-]{1,40}\][ \t\[a-zA-Z]`)

func checkAgainstOracle(t *testing.T, raw []byte, why Reason, format string) {
	t.Helper()
	switch format {
	case "json":
		if !json.Valid(raw) {
			t.Errorf("%q was read, and is not JSON", raw)
		}
	case "jsonl":
		for line := range bytes.SplitSeq(raw, []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 && !json.Valid(line) {
				t.Errorf("%q was read, and line %q is not JSON", raw, line)
			}
		}
	case "text":
		c := bytes.TrimSpace(raw)
		array := len(c) > 0 && c[0] == '[' && !tagged.Match(c)
		if len(c) > 0 && c[0] == '{' || array || json.Valid(raw) || bytes.IndexByte(raw, 0) >= 0 {
			t.Errorf("%q was read as text", raw)
		}
	}
	if why == ReasonTrailing && mayHoldMore(raw) {
		return // behind what a string of it holds
	}
	if (why == ReasonMalformed || why == ReasonTrailing) && json.Valid(raw) {
		t.Errorf("%q is JSON, and refused: %s", raw, why)
	}
	if object := CheckStrictJSON(raw) == ReasonNone; object != (format == "json" && raw[slices.IndexFunc(raw, func(c byte) bool { return c > ' ' })] == '{') {
		t.Errorf("%q: CheckStrictJSON and Parse differ", raw)
	}
}

// mayHoldMore reports whether raw is JSON with a string, or a key, that is long
// enough to be looked into.
func mayHoldMore(raw []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	for {
		switch token, err := dec.Token(); s := token.(type) {
		case string:
			if len(s) >= minEncoded {
				return true
			}
		default:
			if err != nil {
				return false
			}
		}
	}
}

// FuzzEdit makes edits out of bytes. Whatever Append accepts has to come out as
// the model says, and what one edit does has to leave all else alone.
func FuzzEdit(f *testing.F) {
	for i, s := range seeds() {
		f.Add(s.topic, []byte(s.raw), []byte{1, 4, 0, 0, 0, 2, 1, 0, 2, 1, byte(i), 3, 0, 0, 2, 5, 4, 0, 0, 0}, "a\"b")
	}
	f.Add("t", []byte(`{"a":"bcd"}`), []byte{1, 1, 0, 1, 0, 1, 1, 1, 2, 0}, "é")
	f.Fuzz(func(t *testing.T, topic string, raw, program []byte, value string) {
		var d Document
		if len(raw) > 4096 || Parse(&d, topic, raw, Limits{}) != ReasonNone {
			return
		}
		values := []string{value, "null", "-1.5", `{"x":["y"]}`, value[:len(value)/2]}
		var es []Edit
		for ; len(program) >= 5 && len(es) < 20; program = program[5:] {
			es = append(es, Edit{
				Field: int32(program[0]), Kind: EditKind(program[1]%6 + 1),
				Start: uint32(program[2]), End: uint32(program[2]) + uint32(program[3]%16),
				WholeText: program[4]&0x80 != 0, Value: []byte(values[program[4]&0x7F%5]),
			})
		}
		if len(es) > 0 {
			checkEdits(t, &d, es, false)
		}
	})
}
