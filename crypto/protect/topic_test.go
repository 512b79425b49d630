package protect

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// topicPolicy protects level 1 by the given action where the payload passes.
func topicPolicy(action, rest string) string {
	return everything + "unclassified: pass\nclasses: {person.name: " + action + "}\ntopic_levels: {" + action + ": [person.name]}\n" + rest +
		fields("topic:1", "person.name", "/h", "special")
}

func TestTopic(t *testing.T) {
	long := strings.Repeat("x", maxTopic-4)
	for _, c := range []struct {
		name, action, topic string
		m                   Mapping
		in                  string
		outcome             Outcome
		reason              policy.Reason
		want, real          string // "TOKEN" stands for one
	}{
		{"nothing to map", "pass", "a/jane", Mapping{}, "1", OutcomePassed, "", "a/jane", ""},
		{"prefix", "pass", "a/jane/b", Mapping{Prefix: "up/"}, "1", OutcomePassed, "", "up/a/jane/b", ""},
		{"strip", "pass", "a/jane/b", Mapping{Strip: 1, Prefix: "up/"}, "1", OutcomePassed, "", "up/jane/b", ""},
		{"nothing behind the last slash", "pass", "a/", Mapping{Strip: 1, Prefix: "up/"}, "1", OutcomePassed, "", "up/", ""},
		{"token", "pseudonymize", "a/jane/b", Mapping{Strip: 1, Prefix: "up/"}, "1", OutcomeTransformed, "", "up/TOKEN/b", ""},
		{"removed", "remove", "a/jane/b", Mapping{Prefix: "up/"}, "1", OutcomeTransformed, "", "up/a/b", ""},
		{"mask", "mask", "a/jane-doe/b", Mapping{}, "1", OutcomeTransformed, "", "a/********/b", ""},
		{"stripped with its finding", "pseudonymize", "a/jane/b", Mapping{Strip: 2, Prefix: "up/"}, "1", OutcomePassed, "", "up/b", ""},
		{"sealed with token", "pseudonymize", "a/jane/b", Mapping{Strip: 1, Prefix: "up/"}, `{"h":1}`, OutcomeSealed, "", "up/TOKEN/b", "up/jane/b"},
		{"sealed, nothing hidden", "pass", "a/jane", Mapping{}, `{"h":1}`, OutcomeSealed, "", "a/jane", "a/jane"},
		{"level does not fit", "pseudonymize", "a/ /b", Mapping{Prefix: "up/"}, "1", OutcomeSealed, ReasonTopic, "up/a/b", "up/a/ /b"},
		{"nothing is left", "remove", "a/jane", Mapping{Strip: 1, Prefix: "up/"}, "1", OutcomeSealed, ReasonTopic, "up/sealed/hidden", "up/jane"},
		{"stripped to nothing", "pass", "a/jane", Mapping{Strip: 2, Prefix: "up/"}, "1", OutcomeSealed, ReasonTopic, "up/sealed/hidden", "up/sealed/hidden"},
		{"empty levels", "pseudonymize", "/jane/", Mapping{}, "1", OutcomeTransformed, "", "/TOKEN/", ""},
		{"longest", "pass", "a/b/" + long, Mapping{}, "1", OutcomePassed, "", "a/b/" + long, ""},
		{"too long behind the prefix", "pass", "a/b/" + long, Mapping{Prefix: "up/"}, "1", OutcomeBlocked, ReasonTopic, "", ""},
		{"too long with a token", "pseudonymize", "a/b/" + long, Mapping{}, "1", OutcomeSealed, ReasonTopic, "sealed/hidden", "a/b/" + long},
		{"wildcard", "pass", "a/+/#", Mapping{}, "1", OutcomeSealed, ReasonTopic, "sealed/hidden", "a/+/#"},
		{"not UTF-8", "pass", "a/\xff", Mapping{}, "1", OutcomeBlocked, ReasonTopic, "", ""},
		{"into the server's topics", "pass", "a/$SYS/b", Mapping{Strip: 1}, "1", OutcomeSealed, ReasonTopic, "sealed/hidden", "$SYS/b"},
		{"behind a prefix it is none", "pass", "a/$SYS/b", Mapping{Strip: 1, Prefix: "up/"}, "1", OutcomePassed, "", "up/$SYS/b", ""},
		{"deletion", "pseudonymize", "a/jane", Mapping{Prefix: "up/"}, "", OutcomeTransformed, "", "up/a/TOKEN", ""},
		{"deletion that does not fit", "pseudonymize", "a/ ", Mapping{Prefix: "up/"}, "", OutcomeTransformed, ReasonTopic, "up/a", ""},
		{"deletion of nothing", "pass", "a", Mapping{Strip: 1, Prefix: "up/"}, "", OutcomeTransformed, ReasonTopic, "up/sealed/hidden", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParties(t, topicPolicy(c.action, ""))
			v := p.judge(c.topic, c.in)
			o := p.protect(&v, &v.Decisions[0], c.m)
			p.checkOutput(p.opener(), &v, &v.Decisions[0], c.m, o)
			got := o.Topic
			for _, level := range strings.Split(o.Topic, "/") {
				if len(level) == 28 && strings.HasPrefix(level, "p1") {
					got = strings.Replace(got, level, "TOKEN", 1)
				}
			}
			if o.Outcome != c.outcome || o.Reason != c.reason || got != c.want {
				t.Fatalf("%s (%s) on %q, want %s (%s) on %q", o.Outcome, o.Reason, got, c.outcome, c.reason, c.want)
			}
			if o.Outcome != OutcomeSealed {
				return
			}
			if opened := p.open(o); opened.Topic != c.real || string(opened.Payload) != c.in {
				t.Errorf("opened %s from %q, want %q", opened.Payload, opened.Topic, c.real)
			}
			if c.action != "pass" && strings.Contains(string(o.Payload), "jane") {
				t.Error("the level stands in the envelope")
			}
		})
	}
}

func TestSealTopic(t *testing.T) {
	const seals = "grades: {L3: {seal: {topic: 'three/{topic}'}}, L4: {seal: {topic: vault}}}\n"
	p := newParties(t, topicPolicy("pseudonymize", seals))
	m := Mapping{Prefix: "up/"}
	o := p.sendVia("a/jane", `{"v":`, m)
	if !strings.HasPrefix(o.Topic, "up/three/a/p1") || o.Outcome != OutcomeSealed {
		t.Fatalf("%s on %s", o.Outcome, o.Topic)
	}
	if got := p.open(o); got.Topic != "up/a/jane" {
		t.Errorf("opened from %s", got.Topic)
	}
	// A deletion reaches every form that the policy's seals publish to.
	o = p.sendVia("a/jane", "", m)
	token := strings.TrimPrefix(o.Topic, "up/a/")
	want := []string{"up/three/a/" + token, "up/vault"}
	slices.Sort(o.Also)
	if o.Outcome != OutcomeTransformed || len(token) != 28 || !slices.Equal(o.Also, want) {
		t.Errorf("%s on %s, also %q, want %q", o.Outcome, o.Topic, o.Also, want)
	}
	// One that is too long in its form goes to the hidden topic.
	long := "a/" + strings.Repeat("x", maxTopic-30)
	p = newParties(t, everything+seals)
	o = p.send(long+"/123456789/123456789/123456", `{"v":`)
	if o.Outcome != OutcomeSealed || o.Topic != hidden {
		t.Errorf("%s on a topic of %d bytes", o.Outcome, len(o.Topic))
	}
}

// A blocked message stays blocked, whatever its topic is like.
func TestBlockedTopic(t *testing.T) {
	p := newParties(t, topicPolicy("pseudonymize", ""))
	for _, topic := range []string{"a/ ", "a/jane", "a/\xff"} {
		v := p.judge(topic, "1")
		v.Decisions[0].Message = policy.MessageBlock
		if o := p.protect(&v, &v.Decisions[0], Mapping{}); o.Outcome != OutcomeBlocked || o.Topic != "" {
			t.Errorf("%q: %s on %q", topic, o.Outcome, o.Topic)
		}
	}
}

// Two actions on one level are carried out together, or the level goes.
func TestPartsOfLevel(t *testing.T) {
	p := newParties(t, topicPolicy("pseudonymize", ""))
	v := p.judge("a/jane+doe", "1")
	d := v.Decisions[0]
	a := d.Fields[0].Action
	part := func(start, end uint32) policy.FieldAction {
		return policy.FieldAction{Field: 1, Start: start, End: end, Action: a, Class: classify.ClassPersonName}
	}
	for _, c := range []struct {
		parts []policy.FieldAction
		want  string
	}{
		{[]policy.FieldAction{part(0, 4), part(5, 8)}, "hidden"}, // the "+" between them is no topic
		{[]policy.FieldAction{part(0, 5), part(5, 8)}, "a/TT"},
		{[]policy.FieldAction{part(0, 5), part(5, 9)}, "a"},
		{[]policy.FieldAction{part(0, 5), part(0, 0)}, "a"},
	} {
		d.Fields = c.parts
		o := p.protect(&v, &d, Mapping{})
		switch {
		case c.want == "hidden" && o.Topic == hidden, c.want == o.Topic && o.Outcome == OutcomeSealed:
		case c.want == "a/TT" && len(o.Topic) == 2+2*28 && o.Outcome == OutcomeTransformed:
		default:
			t.Errorf("%v: %s on %s", c.parts, o.Outcome, o.Topic)
		}
	}
}

// What is left of a sealed message's grade is what its topic shows.
func TestSealedResidual(t *testing.T) {
	for action, want := range map[string]classify.Grade{"pseudonymize": classify.L2, "remove": classify.L1, "pass": classify.L4} { // as raised beside the payload: never too low
		p := newParties(t, topicPolicy(action, ""))
		if o := p.send("a/jane/b", `{"h":1}`); o.Outcome != OutcomeSealed || o.Residual != want {
			t.Errorf("%s: %s, residual %s, want %s", action, o.Outcome, o.Residual, want)
		}
	}
}

func TestPublishable(t *testing.T) {
	for topic, want := range map[string]bool{"a": true, "/": true, "": false, "a/+": false, "#": false, "a\x00": false, "\xff": false, "ä/😀": true} {
		if publishable(topic) != want {
			t.Errorf("%q: %v", topic, !want)
		}
	}
}

// What is blocked is kept for one audience, which opens nothing else; nobody
// else opens it, and nothing of it is in what leaves.
func TestBlockedIsKept(t *testing.T) {
	p := newParties(t, everything)
	auditor := must(crypto.GenerateRecipientKey(crypto.KEMP256))
	o := p.options()
	o.Blocked = []envelope.Recipient{{Recipient: auditor.Recipient(), Audience: "blocked"}}
	o.Reference = true
	p.protector = must(New(o))
	const secret = `{"pin":"4711"}`
	v := p.judge("plant/jane", secret)
	v.Decisions[0].Message = policy.MessageBlock
	out := p.protect(&v, &v.Decisions[0], Mapping{})
	if out.Outcome != OutcomeBlocked || out.Payload != nil || out.Topic != "" || out.KIDs != nil || out.Kept == nil {
		t.Fatalf("%s with payload %q", out.Outcome, out.Payload)
	}
	if bytes.Contains(out.Kept, []byte("4711")) || bytes.Contains(out.Kept, []byte("jane")) {
		t.Error("the envelope shows the message")
	}
	open := func(k *crypto.RecipientKey, msg []byte) (envelope.Opened, error) {
		return must(envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{k}, Mode: envelope.Archive})).Open("", msg)
	}
	if m, err := open(auditor, out.Kept); err != nil || string(m.Payload) != secret || m.Topic != "plant/jane" || m.Header.Topic != "blocked" {
		t.Errorf("the auditor opens %q on %s: %v", m.Payload, m.Topic, err)
	}
	for who, k := range p.keys {
		if _, err := open(k, out.Kept); err == nil {
			t.Errorf("%s opens what was blocked", who)
		}
	}
	v = p.judge("plant/jane", secret)
	v.Decisions[0].Message = policy.MessageSeal
	if out = p.protect(&v, &v.Decisions[0], Mapping{}); out.Outcome != OutcomeSealed || out.Kept != nil {
		t.Fatalf("%s", out.Outcome)
	}
	e := must(envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{auditor}, Mode: envelope.Archive}))
	if _, err := e.AddGrant(out.Grants[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open("", out.Payload); envelope.ReasonOf(err) != envelope.ReasonNoRecipient {
		t.Errorf("the auditor opens what leaves: %v", err)
	}
}
