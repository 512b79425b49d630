package policy_test

import (
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

const sited = `detectors:
  - name: work-order
    class: industrial.sensitive
    keywords: [work order]
    pattern: '[A-Z]{2}-[0-9]{6}'
    examples: {match: ['{"workOrder":"KD-482130"}'], no_match: ['{"a":"KD-482130"}']}
`

// A site's detector decides like a built-in one, and is named.
func TestSiteDetectorDecides(t *testing.T) {
	p := compile(t, head+everything+sited+"class_grades: {industrial.sensitive: L4}\n", policy.Guard{})
	var s policy.Scratch
	for raw, want := range map[string]string{`{"workOrder":"KD-482130"}`: "encrypt", `{"speed":4}`: "pass"} {
		v := p.Judge(&s, classify.NewState(), p.Route("a"), policy.Input{Topic: "a", Payload: []byte(raw)})
		if got := v.Decisions[0].Strongest(); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
		for i := range v.Findings {
			if name := p.Classifier().DetectorName(v.Findings[i].Detector); name != "policy/work-order" {
				t.Errorf("found by %s", name)
			}
		}
	}
	e := p.Explain()
	if len(e.Detectors) != 1 || e.Detectors[0].Name != "work-order" || e.Detectors[0].Grade != "L4" || e.Detectors[0].Confidence != 80 || e.Detectors[0].Examples != 2 {
		t.Errorf("explained as %+v", e.Detectors)
	}
}

// What a policy's detector calls harmless is still what the built-in detectors
// call it, for the policy and for the guard.
func TestSiteDetectorHidesNothing(t *testing.T) {
	p := compile(t, head+everything+`detectors:
  - {name: hide, class: id.device, keywords: [password], confidence: 100, examples: {match: ['{"password":"hunter-22"}'], no_match: ['{}']}}
`, policy.Guard{})
	var s policy.Scratch
	v := p.Judge(&s, classify.NewState(), p.Route("a"), policy.Input{Topic: "a", Payload: []byte(`{"password":"hunter-22"}`)})
	if got := v.Decisions[0].Strongest(); v.Grade != classify.L4 || got != "encrypt" {
		t.Errorf("grade %s, %s", v.Grade, got)
	}
}

// What the guard's detectors find is found under every policy, and protected.
func TestGuardDetectors(t *testing.T) {
	g := policy.Guard{Detectors: []classify.Custom{{Name: "work-order", Origin: "guard", Class: classify.ClassIndustrialSensitive, Keywords: []string{"work order"}, Pattern: `[A-Z]{2}-[0-9]{6}`}}}
	p := compile(t, head+everything+"unclassified: balanced\nclass_grades: {industrial.sensitive: L1}\nfields: [{topic: '#', path: /workOrder, class: id.device}]\n", g)
	for _, raw := range []string{`{"workOrder":"KD-482130"}`, `{"n":1,"note":"for work order KD-482130"}`} {
		v := judgeWith(t, p, "a", raw)
		d := &v.Decisions[0]
		if d.Message == policy.MessagePass && len(d.Fields) == 0 {
			t.Errorf("%s passes: %s", raw, plan(&v, d))
		}
		for i := range v.Findings {
			if f := &v.Findings[i]; f.Why&classify.WhyCustom != 0 && p.Classifier().DetectorName(f.Detector) != "guard/work-order" {
				t.Errorf("found by %s", p.Classifier().DetectorName(f.Detector))
			}
		}
	}
}

// Identity documents are graded as the policy's option says.
func TestGBT35273(t *testing.T) {
	const cn = "schema: sealgate/policy/v1\nversion: 1\nprofile: cn\n"
	if d := policy.Diff(compile(t, cn+everything, policy.Guard{}), compile(t, cn+"gbt35273: true\n"+everything, policy.Guard{})); d.Word != "tightens" || d.Changes[0].What != "gbt35273" {
		t.Errorf("differs as %+v", d)
	}
	var s policy.Scratch
	for option, want := range map[string]classify.Grade{"": classify.L3, "gbt35273: false\n": classify.L3, "gbt35273: true\n": classify.L4} {
		p := compile(t, cn+option+everything, policy.Guard{})
		v := p.Judge(&s, classify.NewState(), p.Route("a"), policy.Input{Topic: "a", Payload: []byte(`{"passport":"E12345678"}`)})
		if v.Grade != want {
			t.Errorf("%q: %s, want %s", option, v.Grade, want)
		}
		if got := p.Explain().GBT; got != (want == classify.L4) {
			t.Errorf("%q: explained as %v", option, got)
		}
	}
}
