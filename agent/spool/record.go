package spool

import (
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// Kind says what a record is.
type Kind uint8

// The kinds.
const (
	KindData  Kind = iota + 1
	KindGrant      // a grant: its payload, to be delivered before the first data record under its key
	KindFence      // a topic moved to another lane: the sender waits

	kindDiscard Kind = 15 // in a quarantine: the record whose sequence number is the payload is gone
)

// Prop is an MQTT 5 user property: key and value.
type Prop = [2]string

// A Record is one protected message, ready to publish. It is not changed after
// it was given to Commit, nor after Next returned it: the spool may hand out
// the very slices that were committed.
type Record struct {
	ID          [16]byte // message id, the same on every resend
	Kind        Kind
	Grade       uint8 // residual grade
	QoS         uint8
	Retain      bool
	KIDs        []crypto.KID // keys that the payload needs; for a grant: its own
	Topic       string       // as published
	ContentType string
	Props       []Prop
	Payload     []byte
	// MaxAge is how long after its commit the record is worth sending, to the
	// millisecond; 0: for ever. Next steps over it when it is older.
	MaxAge time.Duration

	Reason string    // why it is in quarantine; at most 255 bytes
	Stored time.Time // when it was committed, to the millisecond; set by the spool, for people only
}
