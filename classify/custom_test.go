package classify

import (
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

var sited = []Custom{
	{Name: "work-order", Class: ClassIndustrialSensitive, Keywords: []string{"work order", "auftrag", "工单"}, Pattern: `[A-Z]{2}-?\d{5}`},
	{Name: "recipe", Class: ClassIndustrialSensitive, Pattern: `\bRCP-[0-9a-f]{6}\b`, Confidence: 95},
	{Name: "locker", Class: ClassIDNational, Keywords: []string{"locker"}},
	{Name: "member", Class: ClassIDNational, Keywords: []string{"member"}, Pattern: `\d{8}`, Verifier: "luhn"},
	{Name: "either", Class: ClassHealth, Pattern: `(?:case|file)#(\d+)`},
}

func TestCustomDetectors(t *testing.T) {
	f := newFinder(t, Options{Custom: sited})
	for _, x := range []struct {
		topic, raw string
		want       []string // detector path text
	}{
		{"x", `{"workOrder":"KD-48213"}`, []string{"policy/work-order /workOrder KD-48213"}},
		{"x", `{"work_order_id":{"value":"KD-48213"}}`, []string{"policy/work-order /work_order_id/value KD-48213"}},
		{"x", `{"auftrag":{"a":"ready","b":"see KD48213 now"}}`, []string{"policy/work-order /auftrag/b KD48213"}},
		{"plant/workorder/7", `{"a":"KD-48213"}`, []string{"policy/work-order /a KD-48213"}},
		{"x", `{"note":"for work order no. KD-48213, and XY-11111 far far far far far far far far far far far far far far far far far far far far far far"}`, []string{"policy/work-order /note KD-48213", "policy/work-order /note XY-11111"}},
		{"x", `{"工单号":"KD-48213"}`, []string{"policy/work-order /工单号 KD-48213"}},
		{"x", `{"note":"KD-48213"}`, nil},
		{"x", "first line: work order\nKD-48213", nil},
		{"x", `{"kind":"work order","note":"KD-48213"}`, nil},
		{"x", `{"a":"RCP-00ff1a"}`, []string{"policy/recipe /a RCP-00ff1a"}},
		{"x", "loads RCP-00ff1a, then stops", []string{"policy/recipe  RCP-00ff1a"}},
		{"x", `{"a":"RCP-00ff1ab"}`, nil},
		{"x", `{"a":"ＲＣＰ-00ff1a"}`, []string{"policy/recipe /a ＲＣＰ-00ff1a"}},
		{"line/RCP-00ff1a/state", `1`, []string{"policy/recipe topic:1 RCP-00ff1a"}},
		{"x", `{"RCP-00ff1a":1}`, []string{"policy/recipe /RCP-00ff1a 1"}},
		{"x", `{"locker":17,"lockerCount":3}`, []string{"policy/locker /locker 17"}},
		{"x", `{"locker":"unknown"}`, nil},
		{"x", "locker: b17; open", []string{"policy/locker  b17"}},
		{"x", "the locker is open", nil},
		{"x", `{"member":"12345674"}`, []string{"policy/member /member 12345674"}},
		{"x", `{"member":"12345675"}`, nil},
		{"x", `{"a":"see file#91 and case#7"}`, []string{"policy/either /a 91", "policy/either /a 7"}},
	} {
		for range 2 { // the second time from memory
			r := f.find(x.topic, x.raw, Context{})
			var got []string
			for i := range r.Findings {
				if k := &r.Findings[i]; k.Why&WhyCustom != 0 {
					text := f.d.Text(k.Field)
					if !k.Whole() {
						text = text[k.Start:k.End]
					}
					got = append(got, f.c.DetectorName(k.Detector)+" "+string(f.d.AppendPath(nil, k.Field))+" "+string(text))
				}
			}
			if !slices.Equal(got, x.want) {
				t.Errorf("%s %s: found %q, want %q", x.topic, x.raw, got, x.want)
			}
		}
	}
}

// A detector of a policy hides nothing that the built-in ones find.
func TestCustomHidesNothing(t *testing.T) {
	f := newFinder(t, Options{Custom: []Custom{{Name: "all", Class: ClassIDDevice, Keywords: []string{"password"}, Pattern: `.{3,64}`, Confidence: 100}}})
	r := f.find("x", `{"password":"hunter-22"}`, Context{})
	if !r.Classes.Has(ClassCredentialSecret) || !r.Classes.Has(ClassIDDevice) || r.Grade != L4 {
		t.Errorf("grade %s, found %v", r.Grade, f.describe(r))
	}
}

// In a long text matches are found around their literals, and looking costs in
// proportion to the text.
func TestCustomInLongText(t *testing.T) {
	f := newFinder(t, Options{Custom: sited})
	for _, fill := range []string{"nothing of interest, ", "RCP-RCP-RCP-", "case#file#", "locker work order ", "工单", "a"} {
		work := func(size int) int {
			raw := strings.Repeat(fill, size/len(fill)) + ", RCP-00ff1a end"
			if why := payload.Parse(&f.d, "x", []byte(raw), payload.Limits{}); why != "" {
				t.Fatal(why)
			}
			r := f.c.Find(&f.s, f.st, &f.d, Context{})
			if r.Reason != "" {
				t.Errorf("%q, %d bytes: %s", fill, size, r.Reason)
			} else if !r.Classes.Has(ClassIndustrialSensitive) {
				t.Errorf("%q, %d bytes: not found", fill, size)
			}
			return f.s.work
		}
		if small, large := work(16<<10), work(128<<10); large > 9*small {
			t.Errorf("%q: work %d in 16 KiB, %d in 128 KiB", fill, small, large)
		}
	}
}

// What is too much to tell apart is found as one.
func TestCustomManyMatches(t *testing.T) {
	f := newFinder(t, Options{Custom: sited})
	raw := strings.Repeat("RCP-00ff1a ", 1000)
	r := f.find("x", raw, Context{})
	if n := len(r.Findings); n == 0 || n > 100 || int(r.Findings[n-1].End) < len(raw)-2 {
		t.Errorf("%d findings", n)
	}
}

func TestCustomCheck(t *testing.T) {
	ok := Custom{Name: "a-1", Class: ClassHealth, Keywords: []string{"ward"}, Pattern: `W\d{2}`}
	if p := ok.Check(); p != nil {
		t.Fatalf("%+v", p)
	}
	for _, x := range []struct {
		change func(*Custom)
		part   string
	}{
		{func(x *Custom) { x.Name = "A" }, "name"},
		{func(x *Custom) { x.Name = "" }, "name"},
		{func(x *Custom) { x.Class = ClassNone }, "class"},
		{func(x *Custom) { x.Confidence = 49 }, "confidence"},
		{func(x *Custom) { x.Keywords = []string{"ward", "7"} }, "keywords"},
		{func(x *Custom) { x.Keywords = make([]string, 40) }, "keywords"},
		{func(x *Custom) { x.Keywords = []string{"one two three four five six"} }, "keywords"},
		{func(x *Custom) { x.Pattern = `W(` }, "pattern"},
		{func(x *Custom) { x.Pattern = `(?=W)\d{4}` }, "pattern"},
		{func(x *Custom) { x.Pattern = `W*` }, "pattern"},
		{func(x *Custom) { x.Pattern = `ward|` }, "pattern"},
		{func(x *Custom) { x.Pattern = `(?:W|ward\d)` }, "pattern"},
		{func(x *Custom) { x.Pattern = `(?:\pL{50}){40}` }, "pattern"},
		{func(x *Custom) { x.Pattern = strings.Repeat("ward", 200) }, "pattern"},
		{func(x *Custom) { x.Keywords, x.Pattern = nil, `\d{8}` }, "pattern"},
		{func(x *Custom) { x.Keywords, x.Pattern = nil, `(?i)ward\d` }, "pattern"},
		{func(x *Custom) { x.Keywords, x.Pattern = nil, `(?:ward|\d\d\d)` }, "pattern"},
		{func(x *Custom) { x.Keywords, x.Pattern = nil, "" }, ""},
		{func(x *Custom) { x.Verifier = "moon" }, "verifier"},
	} {
		c := ok
		x.change(&c)
		ps := c.Check()
		if len(ps) == 0 || ps[0].Part != x.part || ps[0].Message == "" {
			t.Errorf("%+v: %+v", c, ps)
		}
		if _, err := New(Options{Custom: []Custom{c}}); err == nil {
			t.Errorf("%+v compiles", c)
		}
	}
}

// Every verifier holds for its example and not for another text.
func TestVerifiersByName(t *testing.T) {
	examples := map[string]string{
		"luhn": "1234-5674", "verhoeff": "2363", "mod97": "5493 001KJTIIGC8Y1R12", "mod11-10": "36574261809",
		"mod11-2": "11010519491231002X", "card": "4111 1111 1111 1111", "iban": "de89370400440532013000", "aba": "021000021",
		"imei": "490154203237518", "iccid": "8949222000000000002", "vin": "1M8GDM9AXKP042788", "vin-shape": "WDB9036621R859021",
		"e164": "+49 30 1234567", "email": "a.b@example.org", "ipv4": "192.0.2.7", "ipv6": "2001:db8::7", "uuid": "7d0c9d3e-61b4-4d52-9a55-0d4f1f0f9b2e",
		"bitcoin": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "ethereum": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		"cn-resident-id": "11010519491231002X", "de-tax-id": "36574261809", "es-nif": "12345678Z", "fr-nir": "255081416802538",
		"in-aadhaar": "2341 2341 2346", "it-fiscal-code": "MRTMTT91D08F205J", "nl-bsn": "111222333", "pl-pesel": "44051401359",
		"se-personal-id": "811228-9874", "uk-nhs": "943 476 5919", "us-npi": "1234567893",
	}
	for _, v := range Verifiers() {
		good, ok := examples[v.Name]
		if !ok || v.Doc == "" {
			t.Errorf("%s has no example, or no description", v.Name)
			continue
		}
		if !v.Holds([]byte(good)) {
			t.Errorf("%s does not hold for %s", v.Name, good)
		}
		for _, bad := range []string{"", "-", "7", "nothing of the kind", strings.Repeat("1", 100), "\xff\xfe\x00"} {
			if v.Holds([]byte(bad)) {
				t.Errorf("%s holds for %q", v.Name, bad)
			}
		}
	}
	if len(VerifierNames()) != len(examples) {
		t.Errorf("%d verifiers, %d examples", len(VerifierNames()), len(examples))
	}
}

// FuzzCustom runs detectors of a policy over foreign texts.
func FuzzCustom(f *testing.F) {
	for _, s := range []string{`{"workOrder":"KD-48213"}`, "locker: b17 work order KD-48213", "RCP-00ff1a", `{"工单":"AB12345"}`, "case#", strings.Repeat("RCP-", 400)} {
		f.Add(s)
	}
	c, err := New(Options{Custom: sited})
	if err != nil {
		f.Fatal(err)
	}
	var s Scratch
	f.Fuzz(func(t *testing.T, raw string) {
		var d payload.Document
		payload.Parse(&d, "a/work order/b", []byte(raw), payload.Limits{})
		r := c.Find(&s, nil, &d, Context{})
		if r.Reason == ReasonPanic {
			t.Fatal("a detector panicked")
		}
		for i := range r.Findings {
			if k := &r.Findings[i]; int(k.End) > len(d.Text(k.Field)) || k.Start > k.End {
				t.Fatalf("finding %+v in a text of %d bytes", k, len(d.Text(k.Field)))
			}
		}
	})
}
