package fleet

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/crypto/signed"
)

// Progress is how far a document has come among the gateways that it selects.
type Progress struct {
	Selected int // gateways of the target, as far as their statuses say, in the share
	Offered  int // that have seen it
	Applied  int // that have it in force for good
	Trying   int // that have it on probation
	Failed   int // that refused it, or took it back
	Silent   int // that say nothing
}

func (p Progress) String() string {
	return fmt.Sprintf("%d selected, %d offered, %d on probation, %d applied, %d failed, %d silent",
		p.Selected, p.Offered, p.Trying, p.Applied, p.Failed, p.Silent)
}

// Progress looks where a policy stands.
func (f *Fleet) Progress(p *signed.Policy) (out Progress) {
	hash := hex.EncodeToString(p.Hash[:])
	for _, g := range f.Gateways() {
		if !concerns(p, g) || !p.Rollout.Selects(g.Name) {
			continue
		}
		out.Selected++
		t, known := g.Target(p.Target)
		switch {
		case g.Silent:
			out.Silent++
		case !known || t.Offered.Hash != hash && t.Effective.Hash != hash:
			// It has not come yet.
		case failed(t.State):
			out.Offered++
			out.Failed++
		case t.Effective.Hash == hash && t.State == "probation":
			out.Offered++
			out.Trying++
		case t.Effective.Hash == hash:
			out.Offered++
			out.Applied++
		default:
			out.Offered++
		}
	}
	return out
}

// concerns tells whether a gateway belongs to a target. One that has said
// nothing yet may belong to any group.
func concerns(p *signed.Policy, g Gateway) bool {
	if name, own := strings.CutPrefix(p.Target, "d/"); own {
		return g.Name == name
	}
	return g.Status == nil || "g/"+g.Status.Group == p.Target
}

// MaxFailures is the share of selected gateways, in permille, above which a
// rollout stops by itself.
const MaxFailures = 50

// A Verdict says how a rollout goes on.
type Verdict string

// The verdicts.
const (
	Wait Verdict = "wait" // for gateways that have not answered
	Next Verdict = "next" // stage
	Stop Verdict = "stop" // too many failed
)

// Judge says how to go on from a stage: to the next one when every selected
// gateway that is not silent has the document in force, probation included
// where probation is enough; to stop when more than the permitted share failed.
func (p Progress) Judge(maxFailures int, probation bool) Verdict {
	good := p.Applied
	if probation {
		good += p.Trying
	}
	switch {
	case p.Failed*1000 > p.Selected*maxFailures:
		return Stop
	case good+p.Failed+p.Silent >= p.Selected && (good > 0 || p.Selected == 0):
		return Next
	}
	return Wait
}
