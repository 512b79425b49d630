package eval

import (
	"os"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
)

func score(t *testing.T, rows string) Report {
	t.Helper()
	c, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewScorer(c)
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
	r := score(t, string(src))
	if r.Total.Found != 12 || r.Total.Missed != 0 || r.Total.False != 0 || r.MacroRecall != 1 || r.MacroPrecision != 1 {
		t.Errorf("total %+v, macro recall %.2f, macro precision %.2f; misses %+v", r.Total, r.MacroRecall, r.MacroPrecision, r.Misses)
	}
	if r.Unlabelled != 2 || r.UnlabelledFalse != 0 || r.Unreadable != 0 {
		t.Errorf("unlabelled %d, with a false finding %d, unreadable %d", r.Unlabelled, r.UnlabelledFalse, r.Unreadable)
	}
}

func TestScoring(t *testing.T) {
	r := score(t, `
{"source":"a","topic":"x","payload":"{\"password\":\"hunter-22\",\"plate\":\"KI AB 1234\"}","labels":[{"path":"/plate","class":"health"},{"path":"/other","class":"health","weak":true}]}
{"source":"b","topic":"x","payload":"{\"password\":\"hunter-22\"}","labels":[]}
{"source":"c","topic":"x","payload":"{\"plate\":\"KI AB 1234\"}","labels":[{"path":"/plate","class":"health","weak":true}]}
{"source":"d","topic":"x","payload":"{\"plate\":","labels":[{"path":"/plate","class":"health"}]}
`)
	if want := (Count{Missed: 1, False: 3}); r.Total != want {
		t.Errorf("total %+v, want %+v", r.Total, want)
	}
	if r.Unlabelled != 1 || r.UnlabelledFalse != 1 || r.Unreadable != 1 {
		t.Errorf("unlabelled %d, with a false finding %d, unreadable %d", r.Unlabelled, r.UnlabelledFalse, r.Unreadable)
	}
	if len(r.Misses) != 4 || r.Misses[0].By != "password" || r.Misses[0].Path != "/password" || r.Misses[0].Line != 2 {
		t.Errorf("misses %+v", r.Misses)
	}
}

func TestCount(t *testing.T) {
	c := Count{Found: 8, Missed: 2, False: 8}
	if c.Precision() != 0.5 || c.Recall() != 0.8 || c.F2() < 0.7142 || c.F2() > 0.7143 {
		t.Errorf("precision %f, recall %f, F2 %f", c.Precision(), c.Recall(), c.F2())
	}
	if (Count{}).F2() != 1 || (Count{Missed: 1, False: 1}).F2() != 0 {
		t.Error("F2 of nothing, or of nothing right")
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
		`nonsense`,
	} {
		err := Read(strings.NewReader("\n"+row+"\n"), func(Case) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "read line 2: ") {
			t.Errorf("%s: error %v", row, err)
		}
	}
}
