package payload

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sameAsCold reads a payload into a document that remembers keys of others, and
// holds that nothing but Place tells it from one that remembers nothing.
func sameAsCold(t *testing.T, warm *Document, topic string, raw []byte) Reason {
	t.Helper()
	var cold Document
	want := Parse(&cold, topic, raw, Limits{})
	got := Parse(warm, topic, raw, Limits{})
	if got != want || warm.Root != cold.Root || warm.Reserved != cold.Reserved || warm.FormatName() != cold.FormatName() || len(warm.Fields) != len(cold.Fields) {
		t.Fatalf("%.200q: %q, root %d, %d fields; without memory %q, root %d, %d fields",
			raw, got, warm.Root, len(warm.Fields), want, cold.Root, len(cold.Fields))
	}
	for i := range cold.Fields {
		f := warm.Fields[i]
		f.Place = 0
		if f != cold.Fields[i] || string(warm.Key(int32(i))) != string(cold.Key(int32(i))) || string(warm.Text(int32(i))) != string(cold.Text(int32(i))) {
			t.Fatalf("%.200q: field %d: %+v, without memory %+v", raw, i, f, cold.Fields[i])
		}
	}
	return got
}

// manyKeys is an object with keys a0, a1, … and what more says.
func manyKeys(n int, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"a%d":%d,`, i, i)
	}
	return "{" + b.String() + more + "}"
}

func TestRememberedKeysChangeNothing(t *testing.T) {
	var warm Document
	for _, tt := range []struct {
		raw string
		why Reason
	}{
		{cameraEvent, ReasonNone},
		{`{"a":1,"b":2,"c":3}`, ReasonNone},
		{`{"a":1,"b":2,"c":3}`, ReasonNone},
		{`{"c":1,"b":2,"a":3}`, ReasonNone},
		{`{"b":1,"a":{"b":2,"a":1},"c":[{"x":1},{"x":2,"y":3}]}`, ReasonNone},
		{`{"a":1,"b":2,"a":3}`, ReasonDuplicate},
		{`{"a":1,"b":2,"b":3}`, ReasonDuplicate},
		{`{"b":1,"a":2,"b":3}`, ReasonDuplicate},
		{`{"a":1,"\u0061":2}`, ReasonDuplicate},
		{`{"\u0061":1,"a":2}`, ReasonDuplicate},
		{`{"b":1,"\u0062":2,"c":3}`, ReasonDuplicate},
		{`{"a":1,"17":2,"17":3}`, ReasonDuplicate},
		{`{"17":{"a":1},"18":{"a":1,"b":2},"19":{"a":1,"a":2}}`, ReasonDuplicate},
		{`{"_sg":1,"_sg":2}`, ReasonDuplicate},
		{`{"a":1,"_sg":{"a":1}}`, ReasonNone},
		{`{"":1,"a":2}`, ReasonNone},
		{`{"":1,"":2}`, ReasonDuplicate},
		{`{"a" : 1 , "b": 2,"c" :3}`, ReasonNone},
		{`{"a"`, ReasonMalformed},
		{`{"a`, ReasonMalformed},
		{`{"a"1}`, ReasonMalformed},
		{`{"a":1,}`, ReasonMalformed},
		{`{"ä":1,"a":2}`, ReasonNone},
		{"{\"a\":1,\"\xff\":2}", ReasonEncoding},
		{`[{"a":1},{"a":2,"b":{"a":1}}]`, ReasonNone},
		{`[[{"a":1}],[{"a":2}],{"a":1,"a":1}]`, ReasonDuplicate},
		{"{\"a\":1}\n{\"b\":1,\"a\":2}\n{\"a\":2}", ReasonNone},
		{"{\"a\":1}\n{\"b\":1,\"a\":2,\"b\":2}", ReasonDuplicate},
		{manyKeys(100, `"b":1`), ReasonNone},
		{manyKeys(100, `"a":1`), ReasonNone},
		{manyKeys(100, `"a77":1`), ReasonDuplicate},
		{`{"a99":1,` + manyKeys(100, `"b":1`)[1:], ReasonDuplicate},
		{gzipped(cameraEvent), ReasonNone},
	} {
		for range 3 {
			if got := sameAsCold(t, &warm, "a/b", []byte(tt.raw)); got != tt.why {
				t.Errorf("%.100q: %q, want %q", tt.raw, got, tt.why)
			}
		}
	}
}

// A place stands for one path, and a path that is remembered for one place.
func TestPlaces(t *testing.T) {
	var d Document
	paths := map[int32]string{}
	var last uint64
	for round := range 4 {
		for _, raw := range []string{cameraEvent, `{"position":{"lon":1,"lat":2},"a":[{"b":1},{"b":2}],"7":{"b":3},"8":{"b":4}}`, `{"label":1,"7":2}`} {
			if why := Parse(&d, "a/b", []byte(raw), Limits{}); why != ReasonNone {
				t.Fatal(why)
			}
			epoch, n := d.Places()
			if round > 0 && epoch != last {
				t.Errorf("round %d: epoch %d after %d", round, epoch, last)
			}
			last = epoch
			for i, f := range d.Fields {
				if f.Place == 0 {
					if key := d.Key(int32(i)); round > 0 && len(key) > 0 && !isIndex(key) {
						t.Errorf("round %d: %s has no place", round, d.AppendPath(nil, int32(i)))
					}
					continue
				}
				if int(f.Place) >= n {
					t.Errorf("place %d of %d", f.Place, n)
				}
				path := fmt.Sprint(f.PathHash)
				if was, ok := paths[f.Place]; ok && was != path {
					t.Errorf("place %d: two paths", f.Place)
				}
				paths[f.Place] = path
			}
		}
	}
}

// A sender that invents keys makes the memory neither large nor wrong.
func TestInventedKeys(t *testing.T) {
	var d Document
	var epochs []uint64
	for round := range 8 {
		var b strings.Builder
		for i := range maxPlaces / 3 {
			fmt.Fprintf(&b, `,"k%d-%d":{"%s":1}`, round, i, strings.Repeat("x", round*40))
		}
		sameAsCold(t, &d, "a/b", []byte("{"+b.String()[1:]+"}"))
		sameAsCold(t, &d, "a/b", []byte(cameraEvent))
		epoch, n := d.Places()
		if n > maxPlaces || len(d.keys.text) > maxPlaceText || len(d.keys.slots) != placeSlots && round > 0 {
			t.Errorf("round %d: %d places, %d bytes of keys", round, n, len(d.keys.text))
		}
		if !slices.Contains(epochs, epoch) {
			epochs = append(epochs, epoch)
		}
	}
	if len(epochs) < 3 {
		t.Errorf("epochs %v: the memory was not forgotten", epochs)
	}
}

// FuzzMemory reads one payload after the other into a document that remembers
// all before.
func FuzzMemory(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s.topic, []byte(s.raw), []byte(cameraEvent))
	}
	f.Add("a/b", []byte(`{"a":1,"b":{"c":2}}`), []byte(`{"b":{"c":1,"d":[{"a":1}]},"a":1,"b":2}`))
	var warm Document
	f.Fuzz(func(t *testing.T, topic string, a, b []byte) {
		for _, raw := range [][]byte{a, b, a, b} {
			sameAsCold(t, &warm, topic, raw)
		}
	})
}

// A key is the expected one in all its bytes, however long.
func TestExpectedKeys(t *testing.T) {
	for n := range 34 {
		key := strings.Repeat("abcdefghij", 4)[:n]
		var warm Document
		for range 3 {
			sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{%q:1,"next":"some text behind it"}`, key))
		}
		if f := warm.Find("/" + key); f < 0 || warm.Fields[f].Place == 0 {
			t.Errorf("%q has no place", key)
		}
		for i := range n {
			other := []byte(key)
			other[i] ^= 1
			sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{"%s":1,"next":"some text behind it"}`, other))
			sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{"%s":1}`, key))
			sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{"%s`, key[:i]))
		}
		sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{"%sx":1,"next":"some text behind it"}`, key))
		sameAsCold(t, &warm, "a/b", fmt.Appendf(nil, `{"%s\"":1,"next":"some text behind it"}`, key))
	}
}
