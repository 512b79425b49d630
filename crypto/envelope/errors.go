package envelope

import (
	"errors"

	"github.com/sealgate/sealgate/classify/payload"
)

// Reasons why an Opener refuses a message. Each is safe to log and to use as a
// metric label.
const (
	ReasonMalformed    payload.Reason = payload.ReasonMalformed // breaks the format, or a bound of it
	ReasonAlgorithm    payload.Reason = "algorithm"             // algorithm or version that is not allowed here
	ReasonUnknownKey   payload.Reason = "unknown_key"           // the grant of a key is neither inline nor known; it may still arrive
	ReasonNoRecipient  payload.Reason = "no_recipient"          // no grant of the message is for one of our keys
	ReasonGrant        payload.Reason = "grant"                 // a grant does not unwrap, does not commit to its key, or belongs to another gateway or boot
	ReasonExpired      payload.Reason = "expired"               // sealed after the grant's exp
	ReasonOrigin       payload.Reason = "origin"                // the grant's signing key is not one of the gateway's
	ReasonBadTag       payload.Reason = "bad_tag"               // changed on the way, or moved from another message
	ReasonBadSignature payload.Reason = "bad_signature"         // signature missing where it is required, or wrong
	ReasonReserialized payload.Reason = "reserialized"          // fields are authentic, the document around them is not the one that left
	ReasonDowngrade    payload.Reason = "downgrade"             // less protection than the stream requires
	ReasonTopic        payload.Reason = "topic"                 // published to another topic than the one it came from
	ReasonReplay       payload.Reason = "replay"                // this place in the stream was taken by other bytes, or is older than what is remembered
)

// An Error is why a message was not opened. Its text holds nothing of the
// message.
type Error struct {
	Reason payload.Reason
	what   string
}

// Error says what was refused and why.
func (e *Error) Error() string { return "open " + e.what + ": " + string(e.Reason) }

func refuse(reason payload.Reason, what string) error { return &Error{reason, what} }

// ReasonOf returns the Reason of an error that an Opener returned, or "" if it
// has none.
func ReasonOf(err error) payload.Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// Errors of the sealing side that a caller branches on: it seals the message
// whole instead.
var (
	// ErrReserved: the document already holds a member "_sg".
	ErrReserved = errors.New("document holds the reserved member _sg")
	// ErrShape: the document is not one JSON object, or a pointer can't be
	// listed (malformed, the whole document, or inside another one).
	ErrShape = errors.New("document or pointer does not fit the trailer")
	// ErrTooLarge: more fields, keys or header bytes than the format carries.
	ErrTooLarge = errors.New("more than the format carries")
)

// ErrLease says that more was sealed than was leased: a defect of the caller.
var ErrLease = errors.New("sealed more than was leased")
