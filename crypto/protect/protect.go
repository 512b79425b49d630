// Package protect carries out a decision: transforms, field encryption, seal.
//
// Mental model: a [Protector] is the immutable counterpart of one compiled
// policy: each action of the policy prepared with its keys. [Protector.Protect]
// takes a verdict and one of its decisions and returns an [Output]: the bytes
// that may leave and the *effective* outcome. It may only tighten: a transform
// that does not fit its value ("N/A" where a latitude was expected), a format
// that can't carry out an edit, a missing key each turn into something stricter
// with a Reason, never into the plain value.
//
// It finds nothing and decides nothing (package policy), and writes no file.
package protect

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// Outcome is what effectively happened to a message.
type Outcome uint8

// The outcomes. OutcomeHeld means no key was usable: nothing may leave and
// nothing may be acknowledged; the corridor keeps the message until a key is.
const (
	OutcomeHeld        Outcome = iota
	OutcomePassed              // bytes unchanged
	OutcomeTransformed         // fields masked, generalized, pseudonymized, removed; nothing encrypted
	OutcomeEncrypted           // at least one field encrypted
	OutcomeSealed              // the whole message is an envelope
	OutcomeBlocked             // does not leave
	OutcomeQuarantined         // the uplink refused it; set by the corridor, never by Protect
)

// String returns the metric label of the outcome.
func (o Outcome) String() string {
	return [...]string{"held", "passed", "transformed", "encrypted", "sealed", "blocked", "quarantined"}[o]
}

// Reasons of this package.
const (
	ReasonTransform policy.Reason = "transform" // a transform does not fit the value; sealed
	ReasonNoKey     policy.Reason = "no_key"    // no usable recipient or key
	ReasonShape     policy.Reason = "shape"     // the document has no place for the trailer (not an object); sealed
)

// A Mapping turns a local topic into the published one.
type Mapping struct {
	Strip  int    // levels to leave out at the front
	Prefix string // put before the rest; empty or ending in '/'
}

// A Request is what the corridor knows about a message beside its verdict.
type Request struct {
	Mapping   Mapping
	Stream    envelope.Stream
	Seq       uint64 // strictly increasing in the stream
	MessageID [16]byte
}

// An Output is what may leave, and what effectively happened.
type Output struct {
	Topic     string   // as published: mapped, with protected levels replaced
	Also      []string // further topics that a retained deletion has to reach
	Payload   []byte   // owned by the caller, or the message's own bytes where nothing changed
	MessageID [16]byte
	Outcome   Outcome
	WouldBe   Outcome // observe mode: what enforcing would have done; else equal to Outcome
	Reason    policy.Reason
	Residual  classify.Grade
	Actions   int          // field actions carried out
	KIDs      []crypto.KID // keys that this payload needs
	Grants    [][]byte     // the grant of each key in KIDs, in order; stored in the control log before the first record under it
}
