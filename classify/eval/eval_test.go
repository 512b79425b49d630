package eval

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
)

func score(t *testing.T, o Options, rows string) Report {
	t.Helper()
	c, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewScorer(c, o)
	if err := Read(strings.NewReader(rows), func(k Case) error { s.Add(k); return nil }); err != nil {
		t.Fatal(err)
	}
	return s.Report()
}

// The repository's own corpus is found whole, and nothing else in it.
func TestOwnCorpus(t *testing.T) {
	src, err := os.ReadFile("testdata/messages.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	r := score(t, Options{}, string(src))
	p := r.Part(Messages)
	if p.Total.Found != 12 || p.Total.Missed != 0 || p.Total.False != 0 || p.MacroRecall != 1 || p.MacroPrecision != 1 {
		t.Errorf("total %+v, macro recall %.2f, macro precision %.2f; misses %+v", p.Total, p.MacroRecall, p.MacroPrecision, p.Misses)
	}
	if p.Clean != 2 || p.Alarms != 0 || p.Unread != 0 {
		t.Errorf("rows that hold nothing %d, with a false finding %d, unreadable %d", p.Clean, p.Alarms, p.Unread)
	}
	for _, m := range p.Measures {
		if !m.Met() {
			t.Errorf("%s: %.3f, should be %.3f", m.Name, m.Value, m.Reach)
		}
	}
}

func TestMessages(t *testing.T) {
	r := score(t, Options{}, `
{"source":"a@1","topic":"x","payload":"{\"password\":\"hunter-22\",\"plate\":\"KI AB 1234\"}","labels":[{"path":"/plate","class":"health"},{"path":"/other","class":"health","weak":true}]}
{"source":"b","topic":"x","payload":"{\"password\":\"hunter-22\"}","labels":[]}
{"source":"c","topic":"x","payload":"{\"plate\":\"KI AB 1234\"}","labels":[{"path":"/plate","class":"health","weak":true}]}
{"source":"d","id":"four","topic":"x","payload":"{\"plate\":","labels":[{"path":"/plate","class":"id.vehicle_plate"}]}
{"source":"a@2","topic":"x","payload":"{\"plate\":\"KI AB 1234\"}","labels":[{"path":"/plate","class":"id.vehicle_plate"}]}
`)
	p := r.Part(Messages)
	if want := (Count{Found: 1, Missed: 2, False: 3}); p.Total != want {
		t.Errorf("total %+v, want %+v", p.Total, want)
	}
	if p.Rows != 5 || p.Clean != 1 || p.Alarms != 1 || p.Unread != 1 {
		t.Errorf("rows %d, clean %d, with a false finding %d, unreadable %d", p.Rows, p.Clean, p.Alarms, p.Unread)
	}
	if len(p.Groups) != 4 || p.Groups[0].Name != "a" || p.Groups[0].Rows != 2 {
		t.Errorf("groups %+v", p.Groups)
	}
	// Recall of a: 1/2, of d: 0; b and c have no label.
	if p.MacroRecall != 0.25 {
		t.Errorf("macro recall %f", p.MacroRecall)
	}
	if want := []Confusion{{classify.ClassIDVehiclePlate, classify.ClassNone, 1}, {classify.ClassHealth, classify.ClassIDVehiclePlate, 1}}; !slices.Equal(p.Confused, want) {
		t.Errorf("confused %+v", p.Confused)
	}
	if len(p.Misses) != 5 {
		t.Fatalf("misses %+v", p.Misses)
	}
	m := p.Misses[0] // health, L4, missed
	if m.Class != classify.ClassHealth || m.As != classify.ClassIDVehiclePlate || m.Line != 2 || m.Path != "/plate" || m.Shape != `"AA AA 9{4}"` || m.Value != "" {
		t.Errorf("the worst miss is %+v", m)
	}
	i := slices.IndexFunc(p.Misses, func(m Miss) bool { return m.Unread })
	if i < 0 || p.Misses[i].ID != "four" {
		t.Errorf("the unreadable row is not among %+v", p.Misses)
	}
	i = slices.IndexFunc(p.Misses, func(m Miss) bool { return m.By == "password" })
	if i < 0 || p.Misses[i].Grade != classify.L4 || p.Misses[i].Path != "/password" {
		t.Errorf("the false password is not among %+v", p.Misses)
	}
}

// Offsets of entities count characters, not bytes; only the class of the target
// is judged.
func TestText(t *testing.T) {
	r := score(t, Options{Values: true}, `
{"text":"Überweisung auf DE89 3704 0044 0532 0130 00 bitte","entities":[{"type":"IBAN_CODE","start":16,"end":43}],"target":"IBAN_CODE"}
{"text":"mail to marta@nordhafen.example","entities":[],"target":"IBAN_CODE"}
{"text":"konto DE89 3704 0044 0532 0130 00","entities":[],"target":"IBAN_CODE"}
{"text":"see the second of May","entities":[{"type":"DATE_TIME","start":8,"end":14}],"target":"DATE_TIME"}
{"text":"no card: 99","entities":[{"type":"CREDIT_CARD","start":9,"end":11}],"target":"CREDIT_CARD"}
{"text":"no card: 98","entities":[{"type":"CREDIT_CARD","start":9,"end":11}],"target":"CREDIT_CARD","weak":true}
`)
	p := r.Part(Text)
	if want := (Count{Found: 1, Missed: 1, False: 1}); p.Total != want {
		t.Errorf("total %+v, want %+v; misses %+v", p.Total, want, p.Misses)
	}
	if p.Skipped != 1 || p.Clean != 2 || p.Alarms != 1 {
		t.Errorf("skipped %d, clean %d, with a finding %d", p.Skipped, p.Clean, p.Alarms)
	}
	if len(p.Misses) != 2 || p.Misses[0].Value != "99" || p.Misses[0].Type != "CREDIT_CARD" || p.Misses[1].By != "iban" {
		t.Errorf("misses %+v", p.Misses)
	}
	if len(p.Measures) != 2 || p.Measures[0].Value != 0.5 || p.Measures[1].Value != 0.5 {
		t.Errorf("measures %+v", p.Measures)
	}
}

// Without a target all entities are labelled: what else is found is false.
func TestProse(t *testing.T) {
	r := score(t, Options{}, `
{"text":"My name is Marta Lindqvist, born in May, mail marta@nordhafen.example","entities":[{"type":"PERSON","start":11,"end":26},{"type":"DATE_TIME","start":36,"end":39}]}
`)
	p := r.Part(Prose)
	if want := (Count{Found: 1, False: 1}); p.Total != want || p.Clean != 0 {
		t.Errorf("total %+v, want %+v; misses %+v", p.Total, want, p.Misses)
	}
}

func TestSecrets(t *testing.T) {
	token := "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a"
	r := score(t, Options{}, `
{"text":"token: `+token+`","secret":true,"kind":"github","suite":"detect-secrets"}
{"text":"nothing here","secret":true,"kind":"other","suite":"detect-secrets"}
{"text":"mail marta@nordhafen.example","secret":false,"kind":"other","suite":"detect-secrets"}
{"text":"token: `+token+`","secret":false,"kind":"third","suite":"mine"}
{"text":"so and so","secret":true,"kind":"third","suite":"mine","conflict":true}
`)
	p := r.Part(Secrets)
	if p.Skipped != 1 || len(p.Suites) != 2 {
		t.Fatalf("skipped %d, suites %+v", p.Skipped, p.Suites)
	}
	if s := p.Suites[0]; s.Name != "detect-secrets" || s.Kinds != 2 || s.Recall != 0.5 || s.Alarms != 0 || s.Other == nil {
		t.Errorf("suite %+v", s)
	}
	if s := p.Suites[1]; s.Name != "mine" || s.Alarms != 1 || s.Other != nil {
		t.Errorf("suite %+v", s)
	}
	for _, m := range p.Misses {
		if strings.Contains(m.Shape, token) || m.Value != "" {
			t.Errorf("a value is in %+v", m)
		}
	}
}

func TestCount(t *testing.T) {
	c := Count{Found: 8, Missed: 2, False: 8}
	if c.Precision() != 0.5 || c.Recall() != 0.8 || c.F2() < 0.7142 || c.F2() > 0.7143 || c.F1() < 0.6153 || c.F1() > 0.6154 {
		t.Errorf("precision %f, recall %f, F1 %f, F2 %f", c.Precision(), c.Recall(), c.F1(), c.F2())
	}
	if (Count{}).F2() != 1 || (Count{Missed: 1, False: 1}).F2() != 0 {
		t.Error("F2 of nothing, or of nothing right")
	}
}

func TestShape(t *testing.T) {
	for value, want := range map[string]string{
		"":                        "",
		"KI AB 1234":              "AA AA 9{4}",
		"Müller":                  "Aa{5}",
		"a\x00\xff":               "a??",
		"1.2.3.4.5.6.7":           "9.9.9.9.9.9.…",
		strings.Repeat("a", 1000): "a{256}…",
	} {
		if got := Shape([]byte(value)); got != want {
			t.Errorf("the shape of %.20q is %q, want %q", value, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, row := range []string{
		`{"topic":"x"}`,
		`{"topic":"x","payload":1}`,
		`{"topic":"x","payload_b64":"!"}`,
		`{"topic":"x","payload":"","labels":[{"path":"","class":"mood"}]}`,
		`{"topic":"x","payload":"","labels":[{"path":"span:4","class":"health"}]}`,
		`{"topic":"x","payload":"","labels":[{"path":"span:4-2","class":"health"}]}`,
		`{"text":"x"}`,
		`{"text":"ü","entities":[{"type":"PERSON","start":0,"end":2}]}`,
		`{"text":"ab","entities":[{"type":"PERSON","start":1,"end":1}]}`,
		`{"text":"ab","entities":[{"type":"PERSON","start":-1,"end":1}]}`,
		`nonsense`,
	} {
		err := Read(strings.NewReader("\n"+row+"\n"), func(Case) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "read line 2: ") {
			t.Errorf("%s: error %v", row, err)
		}
	}
}

// Whatever a file of labels holds, it is read, scored and summed up without a
// panic, and a value is only kept where that was asked for.
func FuzzRead(f *testing.F) {
	src, err := os.ReadFile("testdata/messages.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		f.Add(line)
	}
	f.Add(`{"text":"DE89 3704 0044 0532 0130 00","entities":[{"type":"IBAN_CODE","start":0,"end":27}],"target":"IBAN_CODE"}`)
	f.Add(`{"text":"password: hunter-22","secret":true,"kind":"k","suite":"s"}`)
	f.Add(`{"topic":"a/b","payload":"x","labels":[{"path":"span:0-900","class":"health"},{"path":"topic:7","class":"health"}]}`)
	c, err := classify.New(classify.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rows string) {
		s := NewScorer(c, Options{})
		if err := Read(strings.NewReader(rows), func(k Case) error { s.Add(k); return nil }); err != nil {
			return
		}
		r := s.Report()
		for i := range r.Parts {
			for _, m := range r.Parts[i].Misses {
				if m.Value != "" {
					t.Fatalf("a value was kept: %+v", m)
				}
			}
		}
	})
}
