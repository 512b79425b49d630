package protect

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// TestSparkplugIsNulled: where a seal is due, what keeps Sparkplug B going stays
// on its topic, with frame and names and without any value; what can't be read
// is blocked; data is sealed as everything else.
func TestSparkplugIsNulled(t *testing.T) {
	bdSeq := "\x12\x0b\x0a\x05bdSeq\x20\x08\x58\x07"
	driver := sparkplugDriver("Mara Beispiel")
	for name, c := range map[string]struct {
		topic, raw string
		outcome    Outcome
		keeps      []string
	}{
		"birth":            {"spBv1.0/plant/NBIRTH/edge", bdSeq + driver, OutcomeTransformed, []string{bdSeq, "driverName", "\x18\x01"}},
		"death":            {"spBv1.0/plant/NDEATH/edge", bdSeq, OutcomeTransformed, []string{bdSeq}},
		"device command":   {"spBv1.0/plant/DCMD/edge/line", driver, OutcomeTransformed, []string{"driverName"}},
		"a broken birth":   {"spBv1.0/plant/DBIRTH/edge/line", driver + "\x12\x7f", OutcomeBlocked, nil},
		"JSON for a birth": {"spBv1.0/plant/DBIRTH/edge/line", `{"driverName":"Mara Beispiel"}`, OutcomeBlocked, nil},
		"state":            {"spBv1.0/STATE/host", `{"online":true,"host":"Mara Beispiel"}`, OutcomeBlocked, nil},
		"an encoded name":  {"spBv1.0/plant/NBIRTH/edge", bdSeq + sparkplugDriver("q83vEjRWeJCrze8SNFZ4kA=="), OutcomeTransformed, []string{bdSeq, "driverName"}},
		"data":             {"spBv1.0/plant/DDATA/edge/line", driver, OutcomeSealed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParties(t, everything+"grades: {L1: seal, L2: seal, L3: seal, L4: seal}\n")
			v := p.judge(c.topic, c.raw)
			o := p.protect(&v, &v.Decisions[0], Mapping{})
			if o.Outcome != c.outcome {
				t.Fatalf("%s (%s)", o.Outcome, o.Reason)
			}
			if strings.Contains(string(o.Payload), "Mara ") || strings.Contains(string(o.Payload), "q83vEjRW") {
				t.Errorf("left in clear: %q", o.Payload)
			}
			if o.Outcome != OutcomeTransformed {
				return
			}
			if o.Topic != c.topic {
				t.Errorf("published on %s", o.Topic)
			}
			for _, k := range c.keeps {
				if !strings.Contains(string(o.Payload), k) {
					t.Errorf("%q is gone from %q", k, o.Payload)
				}
			}
			var left payload.Document
			if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone || left.Sparkplug() == nil {
				t.Errorf("what left can't be read: %s", why)
			}
		})
	}
}
