package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// A value in which nothing was found is looked at again when something else
// stands around it.
func TestCalmValueIsLookedAtInNewCompany(t *testing.T) {
	f := newFinder(t, Options{})
	for round := range 3 {
		if r := f.find("x", `{"name":"Anna Berg"}`, Context{}); len(r.Findings) != 0 {
			t.Errorf("round %d: alone: found %v", round, f.describe(r))
		}
		if r := f.find("x", `{"name":"Anna Berg","type":"person"}`, Context{}); !r.Classes.Has(ClassPersonName) {
			t.Errorf("round %d: beside a label: found %v", round, f.describe(r))
		}
	}
	// A repeated value starts nothing, another one does.
	if f.find("x", `{"note":"door 4 opened"}`, Context{}); f.s.work == 0 {
		t.Error("a new value started no detector")
	}
	if f.find("x", `{"note":"door 4 opened"}`, Context{}); f.s.work != 0 {
		t.Errorf("a value that was seen before started %d detectors", f.s.work)
	}
	if r := f.find("x", `{"note":"write to a.b@example.org"}`, Context{}); !r.Classes.Has(ClassContactEmail) {
		t.Errorf("found %v", f.describe(r))
	}
	if r := f.find("x", `{"note":"write to a.b@example.org"}`, Context{}); !r.Classes.Has(ClassContactEmail) {
		t.Errorf("again: found %v", f.describe(r))
	}
}

// rows are texts of numbers, as a device could send them to keep us busy.
var rows = []string{"1234567 ", "17 42.5 1013 88 3 4 2291 0 77 61 ", "123456789 234567891 3456789123 123456789012345 ", "12-34-56-78 ", "c0a8012f 77ab12 A12 B34 "}

// Starting detectors is in proportion to the text, whatever its size, and
// numbers without a word near them start few.
func TestWorkIsLinear(t *testing.T) {
	f := newFinder(t, Options{})
	work := func(row string, size int) int {
		f.find("t", strings.Repeat(row, size/len(row)), Context{})
		return f.s.work
	}
	for _, row := range rows {
		small, large := work(row, 4<<10), work(row, 32<<10)
		if large > 9*small {
			t.Errorf("%q: %d detectors were started in 4 KiB, %d in 32 KiB", row, small, large)
		}
		if large > 3*32<<10 {
			t.Errorf("%q: %d detectors were started in 32 KiB", row, large)
		}
	}
}

// Declared fields are merged with what was found, in whatever order they come.
func TestDeclareMerges(t *testing.T) {
	f := newFinder(t, Options{})
	raw := `{"a":["x",` + strings.Repeat(`"write to a.b@example.org",`, 4000) + `"y"],"password":"hunter-22"}`
	if why := payload.Parse(&f.d, "t", []byte(raw), payload.Limits{}); why != "" {
		t.Fatal(why)
	}
	var ds []Declaration
	var want []int32
	for i := range f.d.Fields {
		if k := f.d.Fields[i].Kind; k == payload.KindString {
			ds = append(ds, Declaration{Field: int32(i), Class: ClassHealth, Grade: L3}, Declaration{Field: -1}, Declaration{Field: 1 << 30})
			want = append(want, int32(i))
		}
	}
	for _, order := range []string{"sorted", "reversed"} {
		r := f.c.Find(&f.s, f.st, &f.d, Context{Declared: ds})
		if len(r.Findings) != len(want) {
			t.Fatalf("%s: %d findings, want %d", order, len(r.Findings), len(want))
		}
		for i, x := range r.Findings {
			class := ClassHealth
			if i == len(want)-1 {
				class = ClassCredentialSecret // graded higher than what is declared
			}
			if x.Field != want[i] || x.Class != class {
				t.Fatalf("%s: finding %d is %+v, want field %d, class %v", order, i, x, want[i], class)
			}
		}
		slices.Reverse(ds)
	}
}

// BenchmarkFindDeclared is linear in the number of declared fields.
func BenchmarkFindDeclared(b *testing.B) {
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{15_000, 30_000, 60_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			raw := []byte("[1" + strings.Repeat(",1", n-1) + "]")
			var d payload.Document
			if why := payload.Parse(&d, "t", raw, payload.Limits{}); why != "" {
				b.Fatal(why)
			}
			var ds []Declaration
			for i := range d.Fields {
				if d.Fields[i].Kind == payload.KindNumber {
					ds = append(ds, Declaration{Field: int32(i), Class: ClassHealth})
				}
			}
			var s Scratch
			for b.Loop() {
				c.Find(&s, nil, &d, Context{Declared: ds})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/field")
		})
	}
}

// BenchmarkFindRows is texts of numbers in doubling sizes.
func BenchmarkFindRows(b *testing.B) {
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	for k, row := range rows {
		for _, size := range []int{8 << 10, 16 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%d/%dKiB", k, size>>10), func(b *testing.B) {
				var d payload.Document
				if why := payload.Parse(&d, "t", []byte(strings.Repeat(row, size/len(row))), payload.Limits{}); why != "" {
					b.Fatal(why)
				}
				var s Scratch
				b.SetBytes(int64(size))
				for b.Loop() {
					c.Find(&s, nil, &d, Context{})
				}
			})
		}
	}
}

// twins are as many detectors again, each of the same kind, place and length,
// for other things: their words, shapes and printings are those of the first
// spelled backwards.
func twins(ds []detector) []detector {
	ds = slices.Clone(ds)
	backwards := func(s string) string {
		b := []byte(s)
		slices.Reverse(b)
		return string(b)
	}
	for i := range ds {
		d := &ds[i]
		d.literals, d.shapes, d.heads = slices.Clone(d.literals), slices.Clone(d.shapes), slices.Clone(d.heads)
		for k := range d.heads {
			d.heads[k] = backwards(d.heads[k])
		}
		for k := range d.literals {
			d.literals[k] = backwards(d.literals[k])
		}
		for k := range d.shapes {
			d.shapes[k] = backwards(d.shapes[k])
		}
		if d.gate != nil {
			g := *d.gate
			g.groups = nil
			for _, x := range d.gate.groups {
				y := uint64(0)
				for ; x != 0; x >>= 4 {
					y = y<<4 | x&15
				}
				g.groups = append(g.groups, y)
			}
			d.gate = &g
		}
	}
	return ds
}

// samples are texts as devices send them, beside the worst that they can.
var samples = map[string]string{
	"prose":   "The pump in hall four was inspected on Monday; no leak was seen, and the crew left at noon. ",
	"words":   "pump 12 in hall 3 ran 832 hours at 1500 rpm and 4.2 bar. ",
	"log":     "2024-06-11 12:04:31.102 INFO  [gateway.uplink] connection re-established after 1532 ms, queue depth 12, retries 3\n",
	"numbers": "17 42.5 1013 88 3 4 2291 0 77 61 ",
	"seven":   "1234567 7654321 ",
	"hexdump": "00000010  7f 45 4c 46 02 01 01 00  00 00 3e 00 b8 a1 40 00\n",
	"base64":  "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA+\n",
	// Several: whether a detector's shape meets one is chance.
	"uuids": "c0a8012f-77ab-4d21-9e4b-0242ac130002 3b1f60d7-e2c9-41a8-b0d5-7c94f1e6a2d8 5e9d02c4-8f17-4b6e-a3c0-d18b27f9e054 " +
		"f47ac10b-58cc-4372-a567-0e02b2c3d479 91d6e8b3-0c5f-47e2-8ab9-6f3d10c7e5a4 a8e40f79-d2b6-4f1c-93e7-15c8b06da3f2 ",
}

// Twice as many detectors start little more: what they share, the run, its shape
// and what stands near, is looked at once, and a list of detectors is asked as a
// set.
func TestTwiceTheDetectors(t *testing.T) {
	one := newFinder(t, Options{})
	two := newFinder(t, Options{})
	var err error
	if two.c, err = compile(Options{}, slices.Concat(Detectors(), twins(Detectors()))); err != nil {
		t.Fatal(err)
	}
	for name, x := range samples {
		text := "Report.\n\n" + strings.Repeat(x, 1+(16<<10)/len(x))
		const limit = 13 // tenths
		a, _ := one.turns(text)
		b, _ := two.turns(text)
		if b*10 > a*limit {
			t.Errorf("%s: %d turns, with twice the detectors %d", name, a, b)
		}
	}
}

// BenchmarkFindTwice is finding with the detectors, with twins of them, and with
// each of them twice.
func BenchmarkFindTwice(b *testing.B) {
	for _, v := range []struct {
		name string
		more []detector
	}{{"once", nil}, {"twins", twins(Detectors())}, {"same", Detectors()}} {
		c, err := compile(Options{}, slices.Concat(Detectors(), v.more))
		if err != nil {
			b.Fatal(err)
		}
		run := func(name, topic, raw string) {
			b.Run(name+"/"+v.name, func(b *testing.B) {
				var d payload.Document
				if why := payload.Parse(&d, topic, []byte(raw), payload.Limits{}); why != "" {
					b.Fatal(why)
				}
				var s Scratch
				st := NewState()
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					c.Find(&s, st, &d, Context{Now: 1, Subject: 7})
				}
			})
		}
		run("message", "fleet/berlin/truck-17/up", benchMessage)
		for name, x := range samples {
			run(name, "t", "Report.\n\n"+strings.Repeat(x, 1+(16<<10)/len(x)))
		}
	}
}
