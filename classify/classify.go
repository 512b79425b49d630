// Package classify finds sensitive data and grades it.
//
// Mental model: a [Classifier] is an immutable set of rules: the taxonomy under
// one legal profile and the detectors. [Classifier.Find] reads one parsed
// document and returns [Finding]s: which class, where, how sure, and why. Then
// it grades: each finding by the profile, the message by its highest finding,
// raised where findings together tell more than each alone.
//
// What to do about a finding is policy (package policy). The package performs
// no I/O, keeps no text, and allocates nothing per message: its memory is in a
// [Scratch] per worker, and what outlives a policy change (tracks, sketches) is
// in a [State].
package classify

import (
	"math/bits"

	"github.com/sealgate/sealgate/classify/payload"
)

// Grade is how much harm a disclosure does, 1 (public) to 5 (important), after
// GB/T 43697-2024. The zero value is "not graded" and is treated as the highest
// grade wherever a decision is taken.
type Grade uint8

// The grades.
const (
	Ungraded Grade = iota
	L1             // public
	L2             // general
	L3             // serious
	L4             // sensitive
	L5             // important: declared, or raised as a candidate; never inferred from one value
)

// String returns "L1" to "L5", or "ungraded".
func (g Grade) String() string {
	if g >= L1 && g <= L5 {
		return "L" + string(rune('0'+g))
	}
	return "ungraded"
}

// ClassID names a class of the taxonomy: an index into Classes. 0 is "no class"
// (an unclassified leaf). There are at most 63 classes, so a set of them fits a
// ClassSet.
type ClassID uint8

// ClassSet is a set of classes, one bit each.
type ClassSet uint64

// With returns the set with c added.
func (s ClassSet) With(c ClassID) ClassSet { return s | 1<<c }

// Has reports whether c is in the set.
func (s ClassSet) Has(c ClassID) bool { return s&(1<<c) != 0 }

// First returns the lowest class in the set, which must not be empty:
//
//	for ; s != 0; s &= s - 1 { use(s.First()) }
func (s ClassSet) First() ClassID { return ClassID(bits.TrailingZeros64(uint64(s))) }

// DetectorID names a detector: an index into the classifier's list.
type DetectorID uint16

// Why is the evidence for a finding: a set of bits.
type Why uint16

// Kinds of evidence.
const (
	WhyKey      Why = 1 << iota // a key name says so
	WhyShape                    // the value has the shape
	WhyChecksum                 // a check digit or checksum holds
	WhyContext                  // a word, unit, topic or sibling near it says so
	WhyPrefix                   // a provider's fixed prefix
	WhyMagic                    // a binary format's magic number
	WhyEntropy                  // it is as random as a secret is
	WhyPair                     // it stands beside its other half (lat and lon)
	WhyDeclared                 // the policy declares it
	WhyCustom                   // a detector of the policy
	WhyInKey                    // the value stands in a key of the document
)

// Raise says which rules raised a finding's grade above its class's.
type Raise uint8

// The raises.
const (
	RaiseCombination Raise = 1 << iota // stands beside what makes it worse
	RaiseTrack                         // one of many positions of a subject
	RaiseSubjects                      // many subjects in one message
	RaiseDeclared                      // the policy declares a higher grade
)

// A Finding is one piece of sensitive data in a document. It holds no text and
// no pointer.
type Finding struct {
	Field      int32  // index into Document.Fields; the field may be a container (an embedding, a pair of coordinates)
	Start, End uint32 // range in the field's Text; 0, 0 means the whole field
	Class      ClassID
	Grade      Grade // after raises
	Raised     Raise
	Confidence uint8 // percent
	Detector   DetectorID
	Why        Why
	special    bool  // the class's raised grade applies: a public address, a device that a person carries
	alone      Grade // before the combination rules
}

// Whole reports whether the finding covers its whole field.
func (f *Finding) Whole() bool { return f.Start == 0 && f.End == 0 }

// A Declaration is a class that the policy declares for a field.
type Declaration struct {
	Field int32
	Class ClassID
	Grade Grade // Ungraded: the class's own
}

// Context is what is known about a message beside its document.
type Context struct {
	Now      int64         // boot-time clock, nanoseconds: windows of tracks
	Subject  uint64        // keyed hash of who speaks (client, or the topic where there is none): tracks
	Declared []Declaration // by policy; a declared class wins unless the detected grade is higher
	Harmless []int32       // fields that the policy declares to hold nothing: they need not be readable
}

// Result is what Find returns. Its slices belong to the Scratch and live until
// the next Find on it.
type Result struct {
	Findings []Finding // ordered by field, then start
	Grade    Grade     // of the message: L1 where nothing was found
	Classes  ClassSet
	InKey    bool           // a finding stands in a key: fields can't be protected one by one
	Reason   payload.Reason // why the message is unreadable, if it is: the classifier gave up (a panic, a bound), or ReasonUnresolved
}
