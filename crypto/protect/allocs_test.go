//go:build !race

package protect

import (
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// Protect costs no more allocations than these: for each encryption Tink's
// output, for each message the payload, a lease and the pointers.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name, src, in string
		want          float64
	}{
		{"pass", classes("{}"), `{"t":21.5,"state":"on"}`, 0},
		{"mask", classes("{id.vin: {mask: {}}}") + fields("/v", "id.vin"), `{"v":"W12345"}`, 1},
		{"encrypt", classes("{id.vin: encrypt}") + fields("/v", "id.vin", "/w", "id.vin", "/x", "id.vin"), `{"v":"W1","w":"W2","x":"W3"}`, 7},
		{"seal", everything, `{"a":`, 3},
	} {
		p := newParties(t, c.src)
		o := p.options()
		o.Recipients = []envelope.Recipient{{Recipient: p.keys["ops"].Recipient(), Audience: "ops"}}
		p.protector = must(New(o))
		v := p.judge("t/1", c.in)
		d := v.Decisions[0]
		if d.Message == policy.MessageSeal {
			d.Grade = 2 // not signed
		}
		got := testing.AllocsPerRun(200, func() { p.protector.Protect(&v, &d, Request{}) })
		if got > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}
