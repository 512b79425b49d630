package classify

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// TestDetectors is the contract of a detector: testdata/detectors/NAME.txt
// shows what it finds, when it is the only one, in lines "+ [topic] payload",
// and what it must leave alone, in lines "- [topic] payload". A payload
// "base64:…" is binary. "{+}" is left out, so that made-up secrets trip no
// scanner.
func TestDetectors(t *testing.T) {
	names := map[string]bool{}
	for _, d := range Detectors() {
		if names[d.name] {
			t.Errorf("two detectors are called %s", d.name)
		}
		names[d.name] = true
		t.Run(d.name, func(t *testing.T) {
			c, err := compile(Options{}, []detector{d})
			if err != nil {
				t.Fatal(err)
			}
			src, err := os.ReadFile(filepath.Join("testdata", "detectors", d.name+".txt"))
			if err != nil {
				t.Fatalf("a detector needs a corpus: %v", err)
			}
			matches, others := 0, 0
			for n, line := range strings.Split(string(src), "\n") {
				if line == "" || line[0] == '#' {
					continue
				}
				want := line[0] == '+'
				if want {
					matches++
				} else {
					others++
				}
				topic, raw := contractLine(t, line)
				if got := finds(t, c, topic, raw); got != want {
					t.Errorf("line %d: found %v, want %v: %s", n+1, got, want, line)
				}
			}
			if matches == 0 || others == 0 {
				t.Errorf("%d matches and %d others: both are needed", matches, others)
			}
		})
	}
}

func contractLine(t *testing.T, line string) (topic string, raw []byte) {
	t.Helper()
	rest, ok := strings.CutPrefix(line[1:], " [")
	topic, body, ok2 := strings.Cut(rest, "] ")
	if !ok || !ok2 || line[0] != '+' && line[0] != '-' {
		t.Fatalf("want \"+ [topic] payload\": %s", line)
	}
	body = strings.ReplaceAll(body, "{+}", "")
	if b, ok := strings.CutPrefix(body, "base64:"); ok {
		raw, err := base64.StdEncoding.DecodeString(b)
		if err != nil {
			t.Fatalf("decode %s: %v", line, err)
		}
		return topic, raw
	}
	return topic, []byte(body)
}

func finds(t *testing.T, c *Classifier, topic string, raw []byte) bool {
	t.Helper()
	var d payload.Document
	if why := payload.Parse(&d, topic, raw, payload.Limits{}); why != "" {
		t.Fatalf("payload is unreadable (%s): %s", why, raw)
	}
	var s Scratch
	r := c.Find(&s, nil, &d, Context{})
	if r.Reason != "" {
		t.Fatalf("find: %s: %s", r.Reason, raw)
	}
	return len(r.Findings) > 0
}

// TestEveryFindingSaysWhy: each detector gives a confidence and a reason for all
// that it finds, and both can be told to people.
func TestEveryFindingSaysWhy(t *testing.T) {
	for _, d := range Detectors() {
		c, err := compile(Options{}, []detector{d})
		if err != nil {
			t.Fatal(err)
		}
		src, err := os.ReadFile(filepath.Join("testdata", "detectors", d.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(src), "\n") {
			if !strings.HasPrefix(line, "+") {
				continue
			}
			topic, raw := contractLine(t, line)
			var doc payload.Document
			payload.Parse(&doc, topic, raw, payload.Limits{})
			var s Scratch
			for _, f := range c.Find(&s, nil, &doc, Context{}).Findings {
				if f.Confidence < minConfidence || f.Confidence > 100 || f.Why&^WhyInKey == 0 || f.Why.String() == "" || f.Class.String() == "none" || f.Grade < L1 || f.Grade > L4 ||
					c.DetectorName(f.Detector) != d.name {
					t.Errorf("%s: %+v in %s", d.name, f, line)
				}
			}
		}
	}
}
