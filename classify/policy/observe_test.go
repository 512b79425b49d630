package policy_test

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

const watched = "routes: [{name: all, topics: ['#'], observe_classes: [id.national, contact.email]}]\n"

// A class that is only observed is left as it is, whatever its grade and the
// guard; everything else is protected as ever.
func TestObserveClasses(t *testing.T) {
	permit := policy.Guard{Observe: true}
	p := compile(t, head+watched, permit)
	for _, c := range []struct{ payload, want, observed string }{
		{`{"pesel":"44051401359"}`, "pass L4>L1", "id.national"},
		{`{"pesel":"44051401359","password":"hunter-22"}`, "pass L4>L1 /password=encrypt", "id.national"},
		{`{"email":"a.b@example.org","n":1}`, "pass L2>L1", "contact.email"},
		{`{"phone":"+49 171 5550123"}`, "pass L2>L2 /phone=pseudonymize", ""},
	} {
		v := judgeWith(t, p, "t/1", c.payload)
		d := &v.Decisions[0]
		var observed []string
		for s := d.Observed; s != 0; s &= s - 1 {
			observed = append(observed, s.First().String())
		}
		if got := plan(&v, d); got != c.want || strings.Join(observed, " ") != c.observed || d.Mode != policy.Enforce || d.GuardRaise {
			t.Errorf("%s: %s, observed %v, mode %s, raised by the guard %v; want %s", c.payload, got, observed, d.Mode, d.GuardRaise, c.want)
		}
	}
	if v := judgeWith(t, p, "user/a.b@example.org", `{"n":1}`); v.Decisions[0].Message != policy.MessagePass || len(v.Decisions[0].Fields) != 0 {
		t.Errorf("a topic level of an observed class: %s", plan(&v, &v.Decisions[0]))
	}
	if !p.Routes()[0].Observes() {
		t.Error("the route does not say that it observes")
	}
	// Over: accepted, and enforced.
	p = compile(t, head+watched, policy.Guard{Expired: true})
	if v := judgeWith(t, p, "t/1", `{"email":"a.b@example.org"}`); v.Decisions[0].Observed != 0 || p.Routes()[0].Observes() {
		t.Errorf("after the time for observing: %s", plan(&v, &v.Decisions[0]))
	}
	// Not permitted, unknown, twice.
	for _, src := range []string{watched, strings.Replace(watched, "id.national, contact.email", "mood", 1), strings.Replace(watched, "id.national", "contact.email", 1)} {
		g := permit
		if src == watched {
			g = policy.Guard{}
		}
		if _, err := policy.Compile([]byte(head+src), vocabulary(), g); err == nil {
			t.Errorf("compiles: %s", src)
		}
	}
}

// A mode that is said nearer is said of every class; nearer lists replace.
func TestObserveClassesAreInherited(t *testing.T) {
	p := compile(t, head+`observe_classes: [health]
routes:
  - {name: a, topics: [a], mode: enforce}
  - {name: b, topics: [b], observe_classes: [net.ip]}
  - {name: c, topics: [c], to: {x: {observe_classes: []}, y: {}}}
`, policy.Guard{Observe: true})
	for topic, want := range map[string][]bool{"a": {false}, "b": {false}, "c": {false, true}} {
		v := judgeWith(t, p, topic, `{"heartRate":71}`)
		for i := range v.Decisions {
			if len(v.Decisions) > 1 || topic != "c" {
				if got := v.Decisions[i].Observed.Has(classify.ClassHealth); got != want[min(i, len(want)-1)] {
					t.Errorf("%s, uplink %d: observed %v", topic, i, got)
				}
			}
		}
	}
	d := policy.Diff(compile(t, head+everything, policy.Guard{Observe: true}), compile(t, head+everything+"observe_classes: [health]\n", policy.Guard{Observe: true}))
	if d.Word != "loosens" || d.Changes[0].What != "mode of health" {
		t.Errorf("differs as %+v", d)
	}
	e := compile(t, head+watched, policy.Guard{Observe: true}).Explain()
	var b strings.Builder
	if err := e.WriteText(&b); err != nil || !strings.Contains(b.String(), "[observed: does not happen") {
		t.Errorf("explained as\n%s", b.String())
	}
}

// Promoting a route ends observing of classes, too.
func TestPromoteClasses(t *testing.T) {
	const src = `schema: sealgate/policy/v1
version: 1
profile: eu
observe_classes: [health]
routes:
  - name: a
    topics: [a]
  - name: b
    observe_classes: [net.ip, health]   # until May
    topics: ["#"]
`
	for route, want := range map[string]string{"a": "mode: enforce", "b": "observe_classes: []   # until May"} {
		out, err := policy.Promote([]byte(src), route)
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", route, err, out)
			continue
		}
		p, err := policy.Compile(out, vocabulary(), policy.Guard{Observe: true})
		if err != nil {
			t.Errorf("%s: %v", route, err)
			continue
		}
		for _, r := range p.Routes() {
			if r.Name == route && r.Observes() {
				t.Errorf("%s still observes", route)
			}
		}
	}
}
