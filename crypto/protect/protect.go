// Package protect carries out a decision: transforms, field encryption, seal.
//
// Mental model: a [Protector] is the immutable counterpart of one compiled
// policy: each action of the policy prepared with its keys. [Protector.Protect]
// takes a verdict and one of its decisions and returns an [Output]: the bytes
// that may leave and the *effective* outcome. It may only tighten, and every
// step down has a next one:
//
//	transform does not fit ("N/A" where a latitude was expected)  → the field is encrypted whole
//	field can't be encrypted, topic level can't be replaced       → the message is sealed
//	seal has no reader who may open every part                    → blocked
//	no usable key                                                 → held: nothing leaves, nothing is lost
//
// Where a seal is due, a birth, death, command or state of Sparkplug B keeps its
// topic and frame and loses all its values instead: see null.
//
// Each is told by a Reason, and none of them ends in the plain value. A message
// that is sealed instead of passed opens only for those who may open every part
// of it.
//
// It finds nothing and decides nothing (package policy), knows no encoding
// (package payload) and no wire format (package envelope), and writes no file.
// It does not hide that a message was sent, when, or about how long it is.
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
	OutcomeTransformed         // fields or topic levels masked, generalized, pseudonymized, removed; nothing encrypted
	OutcomeEncrypted           // at least one field encrypted
	OutcomeSealed              // the whole message is an envelope
	OutcomeBlocked             // does not leave
	OutcomeQuarantined         // the uplink refused it; set by the corridor, never by Protect
)

var outcomeWords = [...]string{"held", "passed", "transformed", "encrypted", "sealed", "blocked", "quarantined"}

// String returns the metric label of the outcome.
func (o Outcome) String() string {
	if int(o) < len(outcomeWords) {
		return outcomeWords[o]
	}
	return "unknown"
}

// Reasons of this package.
const (
	ReasonTransform policy.Reason = "transform" // a transform does not fit the value: the field is encrypted instead
	ReasonTopic     policy.Reason = "topic"     // a topic level can't be replaced, or the topic can't be published
	ReasonNoKey     policy.Reason = "no_key"    // no usable recipient or key
	ReasonShape     policy.Reason = "shape"     // the document has no place for the trailer; sealed
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
	Limit     int // bytes of the largest payload that can be kept; a document that grows beyond it is sealed whole. 0: none
}

// An Output is what may leave, and what effectively happened. Its slices must
// not be modified.
type Output struct {
	Topic     string   // as published: mapped, with protected levels replaced; empty where nothing leaves
	Also      []string // where Payload is empty: further topics to publish it to if the message is retained, so that a deletion reaches every form
	Payload   []byte   // the message's own bytes where nothing changed
	MessageID [16]byte
	Outcome   Outcome
	WouldBe   Outcome // observe mode: what the plan would have come to; else equal to Outcome
	Reason    policy.Reason
	Residual  classify.Grade // at most this is left of the message's grade
	Actions   Counts         // on fields and topic levels, carried out
	Kept      []byte         // of a blocked message: an envelope for the audience of what is blocked, never to be sent; nil: there is none
	KIDs      []crypto.KID   // keys that this payload needs
	Grants    [][]byte       // by reference, the grant of each key in KIDs, in order: stored in the control log before the first record under it. Else nil
}
