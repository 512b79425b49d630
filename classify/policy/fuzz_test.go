package policy_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// FuzzCompile holds that any bytes are compiled or refused with places inside
// the document, and that what compiles can judge.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(benchPolicy))
	f.Fuzz(func(t *testing.T, src []byte) {
		g := policy.Guard{Observe: true, AllowUnclass: true, AllowUnreadable: true}
		p, err := policy.Compile(src, vocabulary(), g)
		if err != nil {
			var es *policy.Errors
			if !errors.As(err, &es) || len(es.Problems) == 0 {
				t.Fatalf("not an error about the document: %v", err)
			}
			lines := bytes.Count(src, []byte("\n")) + 1
			for _, x := range es.Problems {
				if x.Line < 1 || x.Line > lines || x.Column < 1 || x.Message == "" {
					t.Errorf("a problem at %d:%d of %d lines: %q", x.Line, x.Column, lines, x.Message)
				}
			}
			_ = es.Error()
			return
		}
		if err := p.SelfTest(); err != nil {
			t.Errorf("compiles, and its self-tests fail: %v", err)
		}
		p.Explain()
		if d := policy.Diff(p, p); len(d.Changes) != 0 || d.Direction != policy.Neither {
			t.Errorf("differs from itself: %+v", d)
		}
		var s policy.Scratch
		for _, topic := range []string{"a", "a/b", "$x", benchTopic} {
			if r := p.Route(topic); r != nil {
				p.Judge(&s, classify.NewState(), r, policy.Input{Topic: topic, Payload: []byte(benchMessage)})
			}
		}
	})
}

// lax is as loose a policy as the guard lets through.
const lax = `schema: sealgate/policy/v1
version: 1
profile: cn
unclassified: pass
grades: {L3: pass, L4: pass}
class_grades: {health: L1, location.precise: L1, id.national: L1, credential.secret: L1, contact.address: L1}
topic_levels: {remove: [id.vin]}
routes:
  - name: all
    topics: ["#"]
    to:
      city: {classes: {finance.card: {encrypt: {leave: mask}}}, unclassified: balanced}
      plant: {classes: {contact.email: pass, contact.phone: pass, person.name: pass}}
fields:
  - {topic: "#", path: /a, class: id.device}
  - {topic: "#", path: /password, class: location.coarse}
  - {topic: "#", path: /x/*, grade: L1}
`

// FuzzJudge holds the guard's promise on any message: under enforce, what the
// built-in taxonomy grades L3 or above is reached by an action of the minimum's
// strength, whatever the policy says.
func FuzzJudge(f *testing.F) {
	for _, m := range []string{
		benchMessage, `{"a":{"lat":52.520817,"lon":13.409413},"x":["a b"]}`, `{"password":"Vq7-hT2-kk9Z","a":"somebody@example.org"}`,
		`{"card":"4111 1111 1111 1111","heart_rate":{"value":60,"unit":"bpm"}}`, `[{"face_embedding":[0.1,0.2,0.3]}]`,
		"user somebody@example.org logged in from 203.0.113.7", `{"somebody@example.org":1}`, `{"_sg":1}`, `{"a":`, "", "\xff\xd8\xff\xe0",
	} {
		f.Add("cameras/1/anpr", []byte(m))
		f.Add("users/somebody@example.org/health", []byte(m))
	}
	loose, err := policy.Compile([]byte(lax), vocabulary(), policy.Guard{Profile: "generic", AllowUnclass: true})
	if err != nil {
		f.Fatal(err)
	}
	standard, err := policy.BuiltIn("eu", vocabulary(), policy.Guard{})
	if err != nil {
		f.Fatal(err)
	}
	var s policy.Scratch
	st := classify.NewState()
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		for _, p := range []*policy.Policy{loose, standard} {
			r := p.Route(topic)
			if r == nil {
				return
			}
			v := p.Judge(&s, st, r, policy.Input{Topic: topic, Payload: payload, Now: 1, Subject: 1})
			if len(v.Decisions) != len(r.Uplinks) {
				t.Fatalf("%d decisions for %d uplinks", len(v.Decisions), len(r.Uplinks))
			}
			for i := range v.Decisions {
				checkPlan(t, p, &v, &v.Decisions[i])
			}
		}
	})
}

func checkPlan(t *testing.T, p *policy.Policy, v *policy.Verdict, d *policy.Decision) {
	t.Helper()
	if v.Reason != "" && d.Message == policy.MessagePass && len(v.Document.Raw) > 0 {
		t.Errorf("unreadable (%s) and not sealed", v.Reason)
	}
	if v.Document.Reserved && d.Message == policy.MessagePass {
		t.Error("holds a reserved member and is not sealed")
	}
	if d.Seal == nil {
		t.Error("no parameters to seal with")
	}
	for i := 1; i < len(d.Fields); i++ {
		a, b := &d.Fields[i-1], &d.Fields[i]
		if a.Field > b.Field || a.Field == b.Field && (a.End == 0 || b.End == 0 || a.End > b.Start) {
			t.Errorf("actions out of order or overlapping: %+v, %+v", a, b)
		}
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		grade, _ := classify.ProfileGrade("generic", f.Class)
		if p.Profile() == "eu" {
			grade, _ = classify.ProfileGrade("eu", f.Class)
		}
		if grade < classify.L3 {
			continue
		}
		need := policy.StrengthTransform
		if grade == classify.L4 {
			need = policy.StrengthEncrypt
		}
		topic := v.Document.Fields[f.Field].Parent < 0 && f.Field != v.Document.Root
		got := reached(v, d, f)
		sealed := d.Message == policy.MessageSeal || len(v.Document.Raw) == 0
		switch {
		case d.Message == policy.MessageBlock:
		case topic && got >= policy.StrengthTransform && (got >= need || sealed):
		case !topic && (sealed || got >= need):
		default:
			t.Errorf("%s (%s) is met with strength %d, message %s", f.Class, grade, got, d.Message)
		}
	}
}

// reached is the strength of the action that reaches a finding, found the slow
// way.
func reached(v *policy.Verdict, d *policy.Decision, f *classify.Finding) policy.Strength {
	best := policy.StrengthPass
	for i := range d.Fields {
		a := &d.Fields[i]
		covers := false
		for at := f.Field; at >= 0; at = v.Document.Fields[at].Parent {
			if a.Field != at {
				continue
			}
			inKey := at == f.Field && f.Why&classify.WhyInKey != 0
			whole := a.End == 0 || !f.Whole() && a.Start <= f.Start && f.End <= a.End
			covers = covers || whole && !inKey
		}
		if covers {
			best = max(best, a.Action.Spec.Strength)
		}
	}
	return best
}
