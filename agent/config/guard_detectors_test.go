package config

import (
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/classify"
)

const guarded = `gateway: g
ingress: {broker: {users: users}}
uplinks: {a: {url: "mqtts://h:8883"}}
guard:
  detectors:
    - {name: work-order, class: industrial.sensitive, keywords: [work order], pattern: 'KD-[0-9]{6}', confidence: 90}
`

// The guard's detectors reach the policy's compiler; what is wrong with them is
// said where it stands.
func TestGuardDetectors(t *testing.T) {
	c, err := Parse("/etc/sealgate/agent.yaml", []byte(guarded))
	if err != nil {
		t.Fatal(err)
	}
	g := c.PolicyGuard(time.Now())
	if len(g.Detectors) != 1 || g.Detectors[0].Class != classify.ClassIndustrialSensitive || g.Detectors[0].Confidence != 90 || g.Detectors[0].Origin != "guard" {
		t.Errorf("guard has %+v", g.Detectors)
	}
	for change, want := range map[string]string{
		"industrial.sensitive->mood":             `unknown class "mood"`,
		"KD-[0-9]{6}->.*":                        "the pattern matches 0 bytes",
		"work-order, class->Work, class":         `can't be called "Work"`,
		"confidence: 90->confidence: 9":          "confidence must be",
		"keywords: [work order], ->":             "", // KD- is written out
		"confidence: 90->verifier: moon":         `no verifier "moon"`,
		"confidence: 90}->confidence: 90, x: 1}": "x",
	} {
		from, to, _ := strings.Cut(change, "->")
		_, err := Parse("/etc/sealgate/agent.yaml", []byte(strings.Replace(guarded, from, to, 1)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", change, err)
		}
	}
}
