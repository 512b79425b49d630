package classify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// worst are what a device could repeat to keep us busy.
var worst = []string{
	// Digits, alone and in every grouping.
	"1", "1 ", "12 ", "123 ", "1234567 ", "1234567890123 ", "12345678901234567890", "4111 1111 ", "4111 1111 1111 1111 ", "12-", "1-2/3.", "1/", "1.", "1,", "1;2 ",
	"(1)", "(030) ", "+1", "+49 170 ", "+49(0)", "17 42.5 1013 88 3 4 2291 0 77 61 ", "1\n", "１", "１２３ ", "\u200b1", "00000000 ",
	// Words of letters and digits.
	"A1 ", "AB12 ", "A-1-", "DE89", "DE89 ", "GB29 NWBK ", "B-MA 1234 ", "c0a8012f 77ab12 ", "7f 45 4c 46 ", "0x", "0x12", "aB3", "aB3+", "UklGR", "/9j/",
	// Words near runs.
	"card ", "card2 ", "card 1234567 ", "ssn 123456789 ", "passport ", "passport A1234567 ", "tel 1234567 ", "i d ", "id card ", "key key key ", "i d c a r d 7 ",
	"Str. 5 ", "5 rue de ", "rue de la 5 ", "Apt. 5 ", "Mr. ", "Mr. A ", "name: ",
	// Separators.
	"@", "a@", "a@b.", "::", "00:11:", "12:34:", "fe80::", "1.2.3.", "1.2.3.4.", "://", "a://b:c@", "-----", "==", "a=b ", "a==", "a==\"", "....", "{[(<", "\"\"", "\n",
	// Openings of secrets.
	"-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n", "PuTTY-User-Key-File-", "PuTTY-User-Key-File-2: Private-Lines: ", "kind: Secret\n", "data:\n kind: Secret\n",
	"curl ", "curl -u a:", "machine login ", "mosquitto_pub -P ", "Bearer ", "bearer:", "Basic a", "sig=", "sig=a1B", "WIFI:", "AT+CWJAP=\"", "urn:dev:", "0-0:96.1.1(",
	"ey-", "eyA1-", "eyA1.", "eyJhbGciOiJIUzI1NiJ9.", "ZXl-", "ZXlK0-", "Q~", "1Q~", "8Q~a", "T3BlbkFJ", "sl.", "gh" + "p_", "xo" + "xb-1-",
	"password=", "password: x", "pw:", "pw=", "token=aB3", "token - a1b2c3d4e5 ", "hvs.a1b2", "sl.u.a1-", "1=", "Q~8Q~", "a1b2c3d4 ", "x://y:z@", "tel:", "data:image/png;base64,", "geo:1,2;", "$GPGGA,",
	// Other scripts and broken text.
	"é", "é1", "电话1", "a\u0301", "\\", "\\u0041", "%41",
}

// turns is how much was done for a text: turns of the scanner's loops, words
// read, detectors started and what they charged.
func (f *finder) turns(text string) (turns int, refused bool) {
	f.t.Helper()
	f.d = payload.Document{}
	f.s.mem.owner = nil // as if nothing had been learned
	if why := payload.Parse(&f.d, "t", []byte(text), payload.Limits{}); why != "" {
		return 0, true
	}
	r := f.c.Find(&f.s, f.st, &f.d, Context{})
	if r.Reason != "" && r.Reason != ReasonCostly {
		f.t.Fatalf("%.40q: %s", text, r.Reason)
	}
	return f.s.cand.turns + f.s.nearby.turns + f.s.work, r.Reason != ""
}

// maxTurnsPerByte is what a text may take, unless it is refused.
const maxTurnsPerByte = 24

func TestWorstCasesAreLinear(t *testing.T) {
	const small, factor = 32 << 10, 4 // more than any detector looks ahead
	f := newFinder(t, Options{})
	for _, x := range worst {
		text := "x " + strings.Repeat(x, 1+small/len(x))
		a, refused := f.turns(text)
		if refused {
			continue
		}
		if a > maxTurnsPerByte*len(text) {
			t.Errorf("%q: %d turns for %d bytes", x, a, len(text))
		}
		if b, refused := f.turns(strings.Repeat(text, factor)); !refused && b > factor*a+a/2+1000 {
			t.Errorf("%q: %d turns for %d bytes, %d for %d times that", x, a, len(text), b, factor)
		}
	}
}

// FuzzWork looks for what is not in the list above.
func FuzzWork(f *testing.F) {
	for _, x := range worst {
		f.Add([]byte(x))
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	fs := &finder{c: c, st: NewState()}
	f.Fuzz(func(t *testing.T, x []byte) {
		if len(x) == 0 || len(x) > 64 {
			return
		}
		fs.t = t
		text := "x " + strings.Repeat(string(x), 1+(8<<10)/len(x))
		if n, refused := fs.turns(text); !refused && n > maxTurnsPerByte*len(text) {
			t.Fatalf("%d turns for %d bytes", n, len(text))
		}
	})
}

// ungated is detectors that are started wherever their kind of place is, whatever
// the shape of the run and whatever stands near: slow, and what the shapes and
// gates must agree with.
func ungated(ds []detector) []detector {
	ds = slices.Clone(ds)
	for i := range ds {
		d := &ds[i]
		d.shapes, d.digits, d.places, d.anyCase, d.gate = nil, 0, 0, false, nil
	}
	return ds
}

// agree holds that shapes, gates and memory change no finding.
type agree struct {
	t          testing.TB
	fast, slow *Classifier
	warm       Scratch
}

func newAgree(t testing.TB) *agree {
	fast, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	slow, err := compile(Options{}, ungated(Detectors()))
	if err != nil {
		t.Fatal(err)
	}
	return &agree{t: t, fast: fast, slow: slow}
}

func (a *agree) on(topic string, raw []byte) {
	a.t.Helper()
	var d payload.Document
	payload.Parse(&d, topic, raw, payload.Limits{})
	var cold Scratch
	want := a.slow.Find(&cold, nil, &d, Context{})
	if want.Reason != "" { // too costly without gates
		return
	}
	for _, pass := range []string{"at first", "again"} {
		got := a.fast.Find(&a.warm, nil, &d, Context{})
		if got.Grade != want.Grade || got.Classes != want.Classes || got.InKey != want.InKey || !slices.Equal(got.Findings, want.Findings) {
			a.t.Errorf("%s: %.300q on %q: found %+v, want %+v", pass, raw, topic, got.Findings, want.Findings)
			return
		}
	}
}

func TestGatesChangeNothing(t *testing.T) {
	a := newAgree(t)
	for _, x := range worst {
		a.on("t", []byte("x "+strings.Repeat(x, 1+200/len(x))))
	}
	for _, d := range a.fast.detectors {
		src, err := os.ReadFile(filepath.Join("testdata", "detectors", d.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(src), "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			topic, raw := contractLine(t, line)
			a.on(topic, raw)
			a.on("home/phone/value", raw)
			a.on("t", slices.Concat([]byte("17 42 "), raw, []byte(" 7 8")))
			a.on("t", slices.Concat([]byte(strings.Repeat("17 42.5 ", 80)), raw, []byte(strings.Repeat(" 7 8", 160))))
			a.on(topic, slices.Concat([]byte("see "), raw, []byte(" and "), raw))
		}
	}
}

func FuzzGates(f *testing.F) {
	f.Add("t", []byte("tel +49 (0)170 1234567, card 4111 1111 1111 1111, 123-45-6789 ssn"))
	f.Add("a/phone", []byte(`{"id":"DE89 3704 0044 0532 0130 00","n":4111111111111111,"t":"12 Main Street, B-MA 1234"}`))
	f.Add("t", []byte("i d card 12345678Z id-Card:X1234567L 00:11:22:33:44:55 passport no. C01X00T47"))
	f.Add("a/phone", []byte(`{"phone":"2026-11-23T14:05:06.123Z","x":"2.14.3","t":"12-34, 5"}`))
	a := newAgree(f)
	f.Fuzz(func(t *testing.T, topic string, raw []byte) {
		a.t = t
		a.on(topic, raw)
	})
}
