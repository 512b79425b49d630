package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// head begins every test document; fields declared under it make findings that
// depend on no detector.
const head = "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\n"

// judge compiles a document and judges one message on topic "t/1".
func judge(t *testing.T, src, payload string) (*policy.Policy, policy.Verdict) {
	t.Helper()
	p := compile(t, head+src, policy.Guard{})
	return p, judgeWith(t, p, "t/1", payload)
}

func judgeWith(t *testing.T, p *policy.Policy, topic, payload string) policy.Verdict {
	t.Helper()
	r := p.Route(topic)
	if r == nil {
		t.Fatalf("no route for %s", topic)
	}
	var s policy.Scratch
	return p.Judge(&s, classify.NewState(), r, policy.Input{Topic: topic, Payload: []byte(payload)})
}

// plan writes a decision on one line: the message's action and reason, then
// each field's.
func plan(v *policy.Verdict, d *policy.Decision) string {
	var b strings.Builder
	b.WriteString(d.Message.String())
	if d.Reason != "" {
		fmt.Fprintf(&b, " (%s)", d.Reason)
	}
	fmt.Fprintf(&b, " %s>%s", d.Grade, d.Residual)
	for _, f := range d.Fields {
		fmt.Fprintf(&b, " %s", v.Document.AppendPath(nil, f.Field))
		if f.End != 0 {
			fmt.Fprintf(&b, "[%d:%d]", f.Start, f.End)
		}
		fmt.Fprintf(&b, "=%s", f.Action)
	}
	return b.String()
}

const everything = "routes: [{name: all, topics: ['#']}]\n"

func declare(path, class string) string {
	return fmt.Sprintf("  - {topic: '#', path: '%s', class: %s}\n", path, class)
}

func TestJudge(t *testing.T) {
	for _, c := range []struct{ name, src, payload, want string }{
		{"number", everything, `{"t":21.5}`, "pass L1>L1"},
		{"health is encrypted", everything + "fields:\n" + declare("/h", "health"), `{"h":21.5}`, "pass L4>L1 /h=encrypt"},
		{"unclassified text", everything, `{"s":"hello there"}`, "pass L1>L1 /s=encrypt"},
		{"strict", "unclassified: strict\n" + everything, `{"s":1,"t":true}`, "pass L1>L1 /s=encrypt /t=encrypt"},
		{"no object", everything, `["hello there"]`, "seal (unclassified) L1>L1 /0=encrypt"},
		{"unreadable", everything, `{"a":`, "seal (malformed) ungraded>ungraded"},
		{"reserved", everything, `{"_sg":1}`, "seal (reserved_in) L1>L1"},
		{"text", everything, `hello there`, "seal (unclassified) L1>L1 =encrypt"},
		{"word", everything, `on`, "pass L1>L1"},
		{"empty", everything, ``, "pass L1>L1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, v := judge(t, c.src, c.payload)
			if got := plan(&v, &v.Decisions[0]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
