package envelope

import (
	"bytes"
	"encoding/hex"
	"math"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func TestCursorTakesOneEncoding(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		ok        bool
	}{
		{"integers", "89 00 17 1818 18FF 190100 1A00010000 1B0000000100000000 20 3863", true},
		{"uint in two bytes", "1817", false},
		{"uint in three bytes", "1900FF", false},
		{"uint in five bytes", "1A0000FFFF", false},
		{"uint in nine bytes", "1B00000000FFFFFFFF", false},
		{"negative in two bytes", "3817", false},
		{"length in two bytes", "5801AA", false},
		{"strings", "83 42AABB 63E282AC 60", true},
		{"not UTF-8", "61FF", false},
		{"too long", "43AABB", false},
		{"absurd length", "5BFFFFFFFFFFFFFFFF", false},
		{"absurd count", "9BFFFFFFFFFFFFFFFF", false},
		{"indefinite bytes", "5F41AAFF", false},
		{"indefinite array", "9F00FF", false},
		{"reserved head", "1C", false},
		{"maps", "A3 00F4 01F5 20F6", true},
		{"map not sorted", "A2 0100 0000", false},
		{"negative before positive", "A2 2000 0000", false},
		{"map key twice", "A2 0100 0100", false},
		{"text key", "A1 6161 00", false},
		{"tag", "C100", false},
		{"float", "F93C00", false},
		{"simple value", "E0", false},
		{"undefined", "F7", false},
		{"break", "FF", false},
		{"nothing", "", false},
		{"byte behind", "0000", false},
		{"nested as deep as allowed", "8181818100", true},
		{"nested deeper", "818181818100", false},
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(tt.hex), []byte(" "), nil)))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		c := &cursor{b: b}
		c.skip(4)
		if c.done() != tt.ok {
			t.Errorf("%s: accepted %v, want %v", tt.name, c.done(), tt.ok)
		}
	}
}

func TestHeadsAgainstAnotherEncoder(t *testing.T) {
	for _, n := range []int64{0, 1, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64, -1, -24, -25, -256, -257, -70001, math.MinInt64} {
		got := appendInt(nil, n)
		if want := encode(n); !bytes.Equal(got, want) {
			t.Errorf("%d is %x, want %x", n, got, want)
		}
		if back := (&cursor{b: got}).int(); back != n {
			t.Errorf("%d is read as %d", n, back)
		}
	}
	if c := (&cursor{b: encode(uint64(math.MaxUint64))}); c.int() != 0 || !c.bad {
		t.Error("an integer beyond 63 bits was read")
	}
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		b := make([]byte, n)
		if got := appendBytes(nil, b); !bytes.Equal(got, encode(b)) || len(got)-n != headLen(n) {
			t.Errorf("a byte string of %d has another head", n)
		}
		if got := appendText(nil, string(b)); !bytes.Equal(got, encode(string(b))) {
			t.Errorf("a text of %d has another head", n)
		}
	}
}

func validHeader() map[int64]any {
	return map[int64]any{
		1: 3, 3: "text/plain", 4: bytes.Repeat([]byte{1}, 32), 15: map[int]any{1: "gw", 6: 1800000000, 7: make([]byte, 16)},
		-70001: 3, -70002: 12, -70003: []any{7, []any{1, 0, 2}, 41}, -70004: "t",
	}
}

func TestHeaderIsStrict(t *testing.T) {
	kid := bytes.Repeat([]byte{2}, 32)
	field := []any{[]any{"/a", 0}}
	set := func(label int64, v any) func(map[int64]any) { return func(h map[int64]any) { h[label] = v } }
	drop := func(label int64) func(map[int64]any) { return func(h map[int64]any) { delete(h, label) } }
	both := func(f ...func(map[int64]any)) func(map[int64]any) {
		return func(h map[int64]any) {
			for _, f := range f {
				f(h)
			}
		}
	}
	for _, tt := range []struct {
		name     string
		change   func(map[int64]any)
		document bool
		ok       bool
	}{
		{"as it is", func(map[int64]any) {}, false, true},
		{"no content type", drop(3), false, true},
		{"unknown label", set(-70099, []any{1, "x", map[int]any{1: true}}), false, true},
		{"unknown COSE label", set(16, "type"), false, true},
		{"crit", set(2, []any{-70099}), false, false},
		{"unknown label nested too deep", set(-70099, []any{[]any{[]any{[]any{[]any{1}}}}}), false, false},
		{"no algorithm", drop(1), false, false},
		{"no kid", drop(4), false, false},
		{"no claims", drop(15), false, false},
		{"no grade", drop(-70001), false, false},
		{"no policy", drop(-70002), false, false},
		{"no place", drop(-70003), false, false},
		{"no topic", drop(-70004), false, false},
		{"empty topic", set(-70004, ""), false, false},
		{"empty content type", set(3, ""), false, false},
		{"numeric content type", set(3, 50), false, false},
		{"negative algorithm", set(1, -3), false, false},
		{"short kid", set(4, kid[1:]), false, false},
		{"grade too great", set(-70001, 256), false, false},
		{"claims of another kind", set(15, map[int]any{1: "gw", 4: 1, 6: 1}), false, false},
		{"a claim more", set(15, map[int]any{1: "gw", 6: 1, 7: make([]byte, 16), 8: 1}), false, false},
		{"no gateway", set(15, map[int]any{1: "", 6: 1, 7: make([]byte, 16)}), false, false},
		{"short message id", set(15, map[int]any{1: "gw", 6: 1, 7: make([]byte, 15)}), false, false},
		{"time before 1970", set(15, map[int]any{1: "gw", 6: -1, 7: make([]byte, 16)}), false, false},
		{"stream too great", set(-70003, []any{7, []any{uint64(1) << 32, 0, 2}, 41}), false, false},
		{"seq too great", set(-70003, []any{7, []any{1, 0, 2}, uint64(1) << 63}), false, false},
		{"fields in a sealed message", set(-70005, field), false, false},
		{"further keys in a sealed message", set(-70006, []any{kid}), false, false},
		{"document", set(-70005, field), true, true},
		{"document without fields", func(map[int64]any) {}, true, false},
		{"empty field list", set(-70005, []any{}), true, false},
		{"field without key", set(-70005, []any{[]any{"/a"}}), true, false},
		{"field of an unknown key", set(-70005, []any{[]any{"/a", 1}}), true, false},
		{"field that is the whole text", set(-70005, []any{[]any{"", 0}}), true, true},
		{"field that is the trailer", set(-70005, []any{[]any{"/_sg", 0}}), true, false},
		{"two keys", both(set(-70005, []any{[]any{"/a", 0}, []any{"/b", 1}}), set(-70006, []any{kid})), true, true},
		{"key without a field", both(set(-70005, field), set(-70006, []any{kid})), true, false},
		{"same key twice", both(set(-70005, []any{[]any{"/a", 0}, []any{"/b", 1}}), set(-70006, []any{bytes.Repeat([]byte{1}, 32)})), true, false},
		{"empty further keys", both(set(-70005, field), set(-70006, []any{})), true, false},
	} {
		h := validHeader()
		tt.change(h)
		if _, ok := parseHeader(encode(h), tt.document); ok != tt.ok {
			t.Errorf("%s: accepted %v, want %v", tt.name, ok, tt.ok)
		}
	}
	good := encode(validHeader())
	if _, ok := parseHeader(append(good, 0), false); ok {
		t.Error("a byte behind the header was accepted")
	}
	if _, ok := parseHeader(nil, false); ok {
		t.Error("no header was accepted")
	}
}

// canonical reports whether b is the one deterministic encoding of what it
// holds, by another library.
func canonical(b []byte) bool {
	var v any
	dec := must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, IntDec: cbor.IntDecConvertNone}.DecMode())
	if dec.Unmarshal(b, &v) != nil {
		return false
	}
	again, err := must(cbor.CoreDetEncOptions().EncMode()).Marshal(v)
	return err == nil && bytes.Equal(again, b)
}
