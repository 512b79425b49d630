package protect

import (
	"slices"
	"sync/atomic"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// fieldActions are what can be done to a field or a topic level, beside letting
// it pass: a closed set, weakest first.
var fieldActions = [...]string{"strip", "mask", "truncate", "generalize", "pseudonymize", "remove", "encrypt"}

const (
	removed   = uint8(5) // in fieldActions
	encrypted = uint8(6)
)

// FieldActions names the elements of Counts.
func FieldActions() []string { return slices.Clone(fieldActions[:]) }

// Counts says how often each of FieldActions was carried out in one message. A
// message that was sealed as a whole has none.
type Counts [len(fieldActions)]uint16

// A Meter counts across the generations of a gateway's rules. Its zero value is
// ready, and safe for concurrent use.
type Meter struct {
	Keys  envelope.Meter
	NoKey atomic.Uint64 // no usable recipient; once for each attempt, so that a held message counts again
	Lease atomic.Uint64 // a data key could not be made
	Seal  atomic.Uint64 // a message could not be sealed as a whole
}

// kinds returns the index in fieldActions of each action of a policy, by its ID.
func kinds(actions []*policy.Action) []uint8 {
	out := make([]uint8, len(actions))
	for _, a := range actions {
		if i := slices.Index(fieldActions[:], a.Spec.Name); i >= 0 {
			out[a.ID] = uint8(i)
		}
	}
	return out
}

// count says what was done to fields and topic levels, once it is certain.
func (j *job) count() {
	if j.o.Outcome != OutcomeTransformed && j.o.Outcome != OutcomeEncrypted {
		return
	}
	for _, kinds := range [2][]uint8{j.done, j.doneTopic} {
		for _, k := range kinds {
			if j.o.Actions[k]++; j.o.Actions[k] == 0 {
				j.o.Actions[k]-- // a message has fewer fields than that
			}
		}
	}
}
