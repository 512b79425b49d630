package protect

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// formatCases: what detectors find by themselves in every format that single
// fields are rewritten in, and what leaves then. "" for want: sealed.
var formatCases = []struct{ name, topic, raw, classes, format, want string }{
	{"sparkplug text", sparkplugTopic, sparkplugDriver("Mara Beispiel"), "person.name: {mask: {keep: 0}}", "sparkplug", sparkplugDriver("*************")},
	{"sparkplug removed", sparkplugTopic, sparkplugDriver("Mara Beispiel"), "person.name: remove", "sparkplug", "\x18\x01"},
	{"sparkplug encrypted", sparkplugTopic, sparkplugDriver("Mara Beispiel"), "person.name: encrypt", "sparkplug", ""},
}

const sparkplugTopic = "spBv1.0/plant/DDATA/edge/line"

// sparkplugDriver is a payload of one metric and a sequence number.
func sparkplugDriver(name string) string {
	metric := "\x0a\x0adriverName\x20\x0c\x7a" + string(rune(len(name))) + name
	return "\x12" + string(rune(len(metric))) + metric + "\x18\x01"
}

// TestFormats: the action arrives in the bytes that leave, and in no others.
func TestFormats(t *testing.T) {
	for _, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			p := newParties(t, everything+"unclassified: pass\ngrades: {L3: pass, L4: pass}\nclasses: {"+c.classes+"}\n")
			v := p.judge(c.topic, c.raw)
			if got := v.Document.FormatName(); got != c.format {
				t.Fatalf("read as %s (%s), want %s", got, v.Reason, c.format)
			}
			o := p.protect(&v, &v.Decisions[0], Mapping{})
			p.checkOutput(p.opener(), &v, &v.Decisions[0], Mapping{}, o)
			if c.want == "" {
				if o.Outcome != OutcomeSealed {
					t.Errorf("%s: %q", o.Outcome, o.Payload)
				}
				return
			}
			if o.Outcome != OutcomeTransformed || string(o.Payload) != c.want {
				t.Errorf("%s (%s): %q, want %q", o.Outcome, o.Reason, o.Payload, c.want)
			}
			var left payload.Document
			if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone || left.FormatName() != strings.Fields(c.format)[0] {
				t.Errorf("what left is %s, %s", left.FormatName(), why)
			}
		})
	}
}
