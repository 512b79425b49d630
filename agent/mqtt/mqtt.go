// Package mqtt has the messages and connections of the agent: uplinks that
// publish (our own client or paho, behind [Conn]) and subscribers that read an
// existing broker.
// The embedded broker is package broker.
//
// It moves bytes. It does not know what a message means, queues nothing beyond
// what the protocol has in flight, and never retries: windows, rewind, backoff
// and rates are written once, above it, in package corridor.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Prop is an MQTT 5 user property: key and value.
type Prop = [2]string

// A Message is one application message.
type Message struct {
	Topic       string
	Payload     []byte
	Props       []Prop
	ContentType string
	QoS         byte
	Retain      bool
	Expiry      time.Duration // MQTT 5: the broker forgets it after that long; 0: never
}

// A Source says where an inbound message came from. Both values are keyed
// hashes or counters: they may be logged.
type Source struct {
	Ingress uint16 // index of the ingress
	Client  uint64 // stable for a client id, keyed per process

	// Refused is shared by the messages of one connection. A sink that can't
	// make one of QoS 1 or 2 durable sets it, and refuses those behind it as
	// well: their client sends all of them again, in order. nil: each message
	// stands alone.
	Refused *atomic.Bool
}

// A Sink takes inbound messages: the corridor.
//
// Submit blocks while the message can't be taken (a full log, the budget of
// bytes in flight); blocking there is what stops reading that connection. It
// returns nil when the message is taken, and then done is called exactly once,
// from any goroutine and never blocking, with nil when what leaves of the
// message is durable, or with each uplink, and with an error when it can't be made so. After an error
// from Submit (the context ended first, the sink is closing), done is not
// called; the caller disconnects the client and never acknowledges.
//
// Payload belongs to the sink from then on.
type Sink interface {
	Submit(ctx context.Context, src Source, m Message, done func(error)) error
}

// Ack is how the peer answered one publish.
type Ack struct {
	Err  error // nil: acknowledged. Else refused by the peer, or the connection ended
	Code byte  // MQTT 5 reason code, 0 on 3.1.1
}

// A Conn is one live connection to an uplink. It is used once: after Done fires
// a new one is dialled. Publish may be called by one goroutine at a time; acked
// is called from another, in any order, exactly once for each Publish that
// returned nil unless Done fires first. QoS 0 is acknowledged once written. The
// Message may be used again when Publish has returned, its contents not before
// it is acknowledged.
type Conn interface {
	Publish(m *Message, acked func(Ack)) error
	Done() <-chan error // fires once, when the connection ended
	Close() error
}

// Limits are what a broker said that it takes. The zero value of each but
// MaxQoS says nothing.
type Limits struct {
	Window      int   // messages of QoS 1 and 2 that may be under way (Receive Maximum)
	PacketBytes int64 // of the longest packet (Maximum Packet Size)
	MaxQoS      byte  // what is published with more is sent with this
	NoRetain    bool  // the retain flag is left out: the broker would refuse it
}

// Limited is a Conn that knows its broker's limits.
type Limited interface{ Limits() Limits }

// ErrTooLarge is returned by Publish for a message that is longer than the
// protocol or the broker permits. The connection goes on.
var ErrTooLarge = errors.New("message is longer than the broker takes")

// A ReasonError is the reason code of MQTT 5 with which a broker refused a
// message or ended the connection.
type ReasonError struct {
	Code byte
	End  bool // of the connection
}

func (e *ReasonError) Error() string {
	what := "broker refused a message"
	if e.End {
		what = "broker ended the connection"
	}
	return fmt.Sprintf("%s: %s (0x%02x)", what, reason(5, e.Code), e.Code)
}
