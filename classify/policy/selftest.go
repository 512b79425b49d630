package policy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
)

// selfTest is an entry of the document's key "selftest": a message and what
// must come of it.
type selfTest struct {
	topic   string
	payload []byte
	uplink  int // -1: every uplink of the route
	expect  []expectation
	line    int
	column  int
}

type expectation struct {
	what, want string // what: a path, or one of the words of expectWords
	line       int
	column     int
}

var expectWords = []string{"action", "grade", "residual", "reason", "route"}

// maxTests bounds the self-tests of a policy: they run at every compilation.
const maxTests = 1000

func (c *compiler) selfTests(n *node) {
	items := c.items(n, "selftest")
	if len(items) > maxTests {
		c.on(n, "", "at most %d self-tests", maxTests)
		return
	}
	for _, item := range items {
		if !c.keys(item, "a self-test", "topic", "uplink", "payload", "payload_b64", "expect") {
			continue
		}
		t := selfTest{uplink: -1, line: item.line, column: item.column}
		if k := item.get("topic"); k == nil {
			c.on(item, "", "a self-test lacks its topic")
		} else if c.want(k, nodeString, "topic") {
			t.topic = k.text
			if t.topic == "" || len(t.topic) > maxTopicBytes || strings.ContainsAny(t.topic, "+#\x00") {
				c.on(k, "", "not a topic to publish to")
			}
		}
		if k := item.get("uplink"); k != nil && c.want(k, nodeString, "uplink") {
			if t.uplink = slices.Index(c.policy.uplinks, k.text); t.uplink < 0 {
				c.on(k, suggest(k.text, c.policy.uplinks), "unknown uplink %q", k.text)
			}
		}
		text, b64 := item.get("payload"), item.get("payload_b64")
		switch {
		case (text == nil) == (b64 == nil):
			c.on(item, "", "a self-test needs payload or payload_b64, and not both")
		case text != nil && c.want(text, nodeString, "payload"):
			t.payload = []byte(text.text)
		case b64 != nil && c.want(b64, nodeString, "payload_b64"):
			raw, err := base64.StdEncoding.DecodeString(b64.text)
			if err != nil {
				c.on(b64, "", "payload_b64 is not base64")
			}
			t.payload = raw
		}
		c.expectations(item, &t)
		c.policy.tests = append(c.policy.tests, t)
	}
}

func (c *compiler) expectations(item *node, t *selfTest) {
	n := item.get("expect")
	if n == nil {
		c.on(item, "expect: {action: seal}", "a self-test lacks what to expect")
		return
	}
	if !c.want(n, nodeMap, "expect") {
		return
	}
	if len(n.entries) == 0 {
		c.on(n, "expect: {action: seal}", "a self-test expects nothing")
	}
	for _, e := range n.entries {
		key := e.key.text
		switch {
		case !c.want(e.value, nodeString, "what is expected"):
			continue
		case key == "action":
			if c.specs[e.value.text] == nil {
				c.on(e.value, suggest(e.value.text, c.namesOn(OnField|OnTopicLevel|OnMessage)), "unknown action %q", e.value.text)
				continue
			}
		case key == "grade" || key == "residual":
			if e.value.text != classify.Ungraded.String() {
				c.grade(e.value)
			}
		case slices.Contains(expectWords, key):
		case key != "" && key[0] != '/' && !strings.HasPrefix(key, "topic:"):
			c.on(e.key, "or a path: /plate, topic:1; "+suggest(key, expectWords), "nothing called %q can be expected", key)
			continue
		default:
			if err := checkPath(key); err != nil {
				c.on(e.key, "", "%v", err)
			}
			if e.value.text != "none" {
				c.class(e.value)
			}
		}
		t.expect = append(t.expect, expectation{key, e.value.text, e.key.line, e.key.column})
	}
}

// run judges the message and reports what differs.
func (t *selfTest) run(p *Policy, ps *problems) {
	r := p.Route(t.topic)
	if r == nil {
		ps.at(t.line, t.column, `"#" does not match topics that begin with "$"`, "self-test: no route takes the topic")
		return
	}
	if t.uplink >= 0 && !slices.Contains(r.Uplinks, t.uplink) {
		ps.at(t.line, t.column, "", "self-test: route %q does not go to uplink %q", r.Name, p.uplinks[t.uplink])
		return
	}
	var s Scratch
	v := p.Judge(&s, classify.NewState(), r, Input{Topic: t.topic, Payload: t.payload})
	for _, e := range t.expect {
		if slices.Contains(expectWords, e.what) {
			t.compare(p, &v, e, ps)
			continue
		}
		if got := classesAt(&v, e.what); e.want == "none" && len(got) > 0 || e.want != "none" && !slices.Contains(got, e.want) {
			ps.at(e.line, e.column, "", "self-test: %s is %s, not %s", quotePath(e.what), orNone(strings.Join(got, ", ")), e.want)
		}
	}
}

func (t *selfTest) compare(p *Policy, v *Verdict, e expectation, ps *problems) {
	differ := func(got, where string) {
		if got != e.want {
			ps.at(e.line, e.column, "", "self-test: %s is %s, not %s%s", e.what, orNone(got), e.want, where)
		}
	}
	switch e.what {
	case "route":
		differ(v.Route.Name, "")
		return
	case "grade":
		differ(v.Grade.String(), "")
		return
	}
	for i := range v.Decisions {
		d := &v.Decisions[i]
		if t.uplink >= 0 && d.Uplink != t.uplink {
			continue
		}
		where := fmt.Sprintf(" (uplink %q)", p.uplinks[d.Uplink])
		switch e.what {
		case "action":
			differ(d.Strongest(), where)
		case "residual":
			differ(d.Residual.String(), where)
		case "reason":
			differ(orNone(string(d.Reason)), where)
		}
	}
}

// Strongest returns the name of the strongest action of a decision: "seal" or
// "block" of the message, else that of a field, else "pass".
func (d *Decision) Strongest() string {
	if d.Message != MessagePass {
		return d.Message.String()
	}
	name, rank := "pass", -1
	for i := range d.Fields {
		if a := d.Fields[i].Action; int(a.rank) > rank {
			name, rank = a.Spec.Name, int(a.rank)
		}
	}
	return name
}

func classesAt(v *Verdict, path string) []string {
	var out []string
	var buf [128]byte
	for i := range v.Findings {
		f := &v.Findings[i]
		if string(v.Document.AppendPath(buf[:0], f.Field)) == path {
			out = append(out, f.Class.String())
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func quotePath(s string) string {
	if s == "" {
		return "the payload"
	}
	return s
}

// SelfTest runs the document's self-tests again. The error holds every
// difference.
func (p *Policy) SelfTest() error {
	var ps problems
	for i := range p.tests {
		p.tests[i].run(p, &ps)
	}
	var errs []error
	for _, x := range ps.list {
		errs = append(errs, fmt.Errorf("line %d: %s", x.Line, x.Message))
	}
	return errors.Join(errs...)
}
