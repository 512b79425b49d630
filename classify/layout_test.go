package classify

import (
	"bytes"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkLayout compares what a layout says of each place of a text with the
// tables of bytes that it is made from.
func checkLayout(t *testing.T, text []byte) {
	t.Helper()
	var l layout
	l.reset(text)
	for at := 0; at < len(text); {
		end := l.cover(at)
		for ; at < end && at < len(text); at++ {
			for k := lane(0); k < 8; k++ {
				want := uint64(0)
				for i := range 64 {
					in := k == laneBreak
					if at+i < len(text) {
						in = laneBits[text[at+i]]>>(8*k)&1 != 0
					}
					if in {
						want |= 1 << i
					}
				}
				if got := l.at(k, at); got != want {
					t.Fatalf("%q at %d of %d bytes: lane %d is %b, want %b", text[at:min(at+64, len(text))], at, len(text), k, got, want)
				}
			}
			for _, k := range []kind{alnumRun, digitRun, tokenRun, wordRun} {
				from, to := at, at
				for from > 0 && k.holds(text[from-1]) {
					from--
				}
				for to < len(text) && k.holds(text[to]) {
					to++
				}
				if a, b := l.begin(k, at), l.end(k, at); a != from || b != to {
					t.Fatalf("%.80q at %d of %d bytes: kind %v is from %d to %d, want %d to %d", text[max(0, at-20):], at, len(text), k, a, b, from, to)
				}
			}
		}
	}
}

func TestLayout(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 200, 64*layoutBlocks - 1, 64 * layoutBlocks, 64*layoutBlocks + 1, 12000} {
		mixed := make([]byte, n)
		for i := range mixed {
			mixed[i] = "ab9 Z.:@\n\xc3"[r.Intn(10)]
		}
		checkLayout(t, mixed)
		if n < 1000 {
			checkLayout(t, bytes.Repeat([]byte("a"), n))
			checkLayout(t, bytes.Repeat([]byte("7"), n))
		}
	}
	long := append(bytes.Repeat([]byte("k"), 64*layoutBlocks+300), " 12"...)
	var l layout
	l.reset(long)
	if l.cover(0); l.end(alnumRun, 5) != len(long)-3 {
		t.Errorf("a run that goes on behind what is laid out ends at %d", l.end(alnumRun, 5))
	}
	if l.cover(64 * (layoutBlocks - layoutAhead)); l.begin(alnumRun, len(long)-3) != 0 {
		t.Errorf("a run that begins before what is laid out begins at %d", l.begin(alnumRun, len(long)-3))
	}
}

func FuzzLayout(f *testing.F) {
	f.Add([]byte("2024-06-11 12:04:31 [gateway] a.b@example.org=7f 45"))
	f.Add(bytes.Repeat([]byte("q83vEjRWeJCrze8S+/"), 9))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 2000 {
			checkLayout(t, text)
		}
	})
}

// Texts as devices send them, with identifiers strewn in, hold the same findings
// with the sieve and without.
func TestSieveChangesNothing(t *testing.T) {
	a := newAgree(t)
	r := rand.New(rand.NewSource(2))
	files, err := filepath.Glob(filepath.Join("testdata", "detectors", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus of detectors: %v", err)
	}
	var lines []string
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(src), "\n") {
			if line != "" && line[0] != '#' {
				_, raw := contractLine(t, line)
				lines = append(lines, string(raw))
			}
		}
	}
	fill := []string{" ", "  ", "\n", ", ", ". ", "-", "/", ".", ":", "=", " (", "id ", "no. ", "tel ", "card ", "ssn ", "Main Street ", "de ", "0", "+"}
	number := func(n int) string {
		b := make([]byte, 1+r.Intn(n))
		for i := range b {
			b[i] = '0' + byte(r.Intn(10))
		}
		return string(b)
	}
	for range 400 {
		var b strings.Builder
		b.WriteString("x ")
		for range 60 {
			switch r.Intn(8) {
			case 0:
				b.WriteString(lines[r.Intn(len(lines))])
			case 1:
				for range r.Intn(12) {
					b.WriteString(number(4) + " ")
				}
			case 2:
				for range r.Intn(8) {
					b.WriteString(number(9) + fill[r.Intn(8)])
				}
			case 3:
				const hex = "0123456789abcdefABCDEF"
				for range r.Intn(40) {
					b.WriteByte(hex[r.Intn(len(hex))])
					if r.Intn(3) == 0 {
						b.WriteString(fill[r.Intn(8)])
					}
				}
			default:
				b.WriteString(fill[r.Intn(len(fill))])
			}
		}
		a.on("t", []byte(b.String()))
		if t.Failed() {
			return
		}
	}
}
