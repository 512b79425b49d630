package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Filter is one subscription.
type Filter struct {
	Topic string
	QoS   byte // highest QoS to receive
}

// SubscribeOptions say which messages of an existing broker to read. The
// embedded Options are as for an uplink, except that MaxQoS is not used and
// ClientID is required and must stay the same: the broker keeps the session
// under it.
type SubscribeOptions struct {
	Options
	Filters []Filter
	Ingress uint16 // goes into Source

	SessionExpiry  time.Duration // how long the broker keeps the session while we are away; 0: 7 days
	ReceiveMaximum uint16        // messages not yet acknowledged that the broker may have under way; 0: 256

	// AcceptRetainLoss allows MQTT 3.1.1 with a broker that does not speak
	// MQTT 5. There, a message that a device retains arrives without its retain
	// flag (3.3.1.3), what this client publishes itself comes back, and the
	// broker's own limit of messages under way is the only back-pressure.
	AcceptRetainLoss bool

	// Retained asks for the retained messages at each connection, not only when
	// the session is new.
	Retained bool

	MinBackoff, MaxBackoff time.Duration // between connections, with full jitter; 0: 250 ms and 30 s
	Drain                  time.Duration // for acknowledgements under way when ctx ends; 0: 2 s

	Logger *slog.Logger // nil: discard
	Reads  *SubscribeStats
}

// ErrNoMQTT5 ends Subscribe when the broker does not speak MQTT 5 and
// AcceptRetainLoss is not set.
var ErrNoMQTT5 = errors.New("broker does not speak MQTT 5")

// Subscribe reads an existing broker into the sink until ctx ends; then it
// returns ctx's error. It reconnects for ever, with a persistent session, so
// that what is published meanwhile is kept by the broker.
//
// A message is acknowledged after the sink made it durable, in the order of
// arrival [MQTT-4.6.0-2]. Where the sink takes no more, nothing is acknowledged
// and Receive Maximum stops the broker. A message that the sink refuses ends
// the connection, and the broker sends it again. An acknowledgement that is due
// after its connection ended is void.
//
// What the broker loses on its own is out of our hands. With mosquitto's
// defaults: more than max_queued_messages (1,000) waiting for us; everything
// when it restarts without persistence; QoS 0 while we are away
// (queue_qos0_messages); the session after persistent_client_expiration.
func Subscribe(ctx context.Context, o SubscribeOptions, sink Sink) error {
	if err := o.prepare(); err != nil {
		return err
	}
	s := &subscriber{o: o, sink: sink, version: 5}
	s.session5()
	for try := 0; ; try++ {
		begun := time.Now()
		err := s.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errOther) && s.version == 5:
			if !o.AcceptRetainLoss {
				return ErrNoMQTT5
			}
			s.version = 4
			o.Logger.Warn("broker does not speak MQTT 5: reading with 3.1.1, retain flags are lost")
		case errors.Is(err, ErrNoAnswer) && s.version == 5 && o.AcceptRetainLoss:
			s.version, s.guess = 4, true // some old brokers just hang up
		case s.version == 4 && s.guess:
			s.version, s.guess = 5, false
			o.Logger.Warn("connection to local broker ended", "error", err)
		default:
			o.Logger.Warn("connection to local broker ended", "error", err)
		}
		if time.Since(begun) > o.MaxBackoff {
			try = 0
		}
		pause := rand.N(min(o.MaxBackoff, o.MinBackoff<<min(try, 20)) + 1)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *SubscribeOptions) prepare() error {
	if err := o.defaults(); err != nil {
		return err
	}
	if o.ClientID == "" {
		return errors.New("subscriber needs a client id: the broker keeps its session under it")
	}
	if len(o.Filters) == 0 {
		return errors.New("subscriber needs a topic filter")
	}
	for _, f := range o.Filters {
		if f.Topic == "" || f.QoS > 2 {
			return errors.New("subscriber has an empty topic filter or a QoS over 2")
		}
	}
	if o.SessionExpiry <= 0 {
		o.SessionExpiry = 7 * 24 * time.Hour
	}
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 256
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = 250 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 30 * time.Second
	}
	o.MaxBackoff = max(o.MaxBackoff, o.MinBackoff)
	if o.Drain <= 0 {
		o.Drain = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Reads == nil {
		o.Reads = new(SubscribeStats)
	}
	return nil
}

// errOther says that the broker answered as one that knows another version.
var errOther = errors.New("broker answered in another protocol version")

// A subscriber is one call of Subscribe.
type subscriber struct {
	o         SubscribeOptions
	sink      Sink
	version   byte
	guess     bool // version 4 was not the broker's answer: try 5 again next
	connected bool // once
	state5    *lateSession
}

// connect runs one connection until it ends.
func (s *subscriber) connect(ctx context.Context) error {
	dialCtx, cancel := context.WithTimeout(ctx, s.o.ConnectTimeout)
	raw, err := s.o.dial(dialCtx)
	cancel()
	if err != nil {
		return err
	}
	guard := newFrameGuard(raw, s.o.PacketBytes)
	wire := newCoalescer(guard, &s.o.Options)
	defer wire.Close()
	t := newStream(ctx, s, int(s.o.ReceiveMaximum))
	if s.version == 5 {
		err = s.run5(ctx, t, wire, guard)
	} else {
		err = s.run311(ctx, t, wire)
	}
	if errors.Is(err, errLost) {
		s.o.Reads.Losses.Add(1)
	}
	return err
}

// up notes a session that began or went on.
func (s *subscriber) up(present bool) {
	s.o.Reads.Connects.Add(1)
	if s.connected && !present {
		s.o.Reads.Lost.Add(1)
		s.o.Logger.Warn("local broker has forgotten our session, and with it what was queued in it")
	}
	s.connected = true
}

// lessGranted says that the broker sends with less than was asked for: at QoS 0
// a lost connection loses what was under way, and what came meanwhile.
func (s *subscriber) lessGranted(granted []byte) {
	n := 0
	for i, f := range s.o.Filters {
		if i < len(granted) && granted[i] < f.QoS {
			n++
		}
	}
	if n > 0 {
		s.o.Logger.Warn("local broker grants a lower QoS than asked: it may lose messages", "filters", n)
	}
}

// A stream is the messages of one connection, between the library's callback,
// which must not block for long, and the sink, which may.
type stream struct {
	s       *subscriber
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	queue   chan arrival
	joined  sync.WaitGroup // submitter and acker
	refused atomic.Bool    // the sink's: see Source
	wake    chan struct{}  // the acker has work; capacity 1

	mu      sync.Mutex // guards below
	pending []*receipt // in order of arrival
	due     []func()   // acknowledgements to send, in order
	busy    bool       // the acker sends some
	over    bool       // the connection ended: what comes due is void
}

// An arrival is a message on its way to the sink.
type arrival struct {
	m Message
	r *receipt // nil for QoS 0
}

// A receipt is the acknowledgement a message is owed.
type receipt struct {
	ack  func()
	done bool
}

func newStream(ctx context.Context, s *subscriber, room int) *stream {
	t := &stream{s: s, queue: make(chan arrival, room), wake: make(chan struct{}, 1)}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.joined.Add(2)
	go t.submit()
	go t.acknowledge()
	return t
}

// arrive takes a message from the library. It waits when the queue is full,
// which only QoS 0 can bring about on MQTT 5.
func (t *stream) arrive(m Message, ack func()) {
	t.s.o.Reads.Received.Add(1)
	a := arrival{m: m}
	if m.QoS > 0 {
		a.r = &receipt{ack: ack}
		t.mu.Lock()
		t.pending = append(t.pending, a.r)
		t.mu.Unlock()
	}
	select {
	case t.queue <- a:
	case <-t.ctx.Done():
	}
}

// submit feeds the sink.
func (t *stream) submit() {
	defer t.joined.Done()
	for {
		var a arrival
		select {
		case <-t.ctx.Done():
			return
		case a = <-t.queue:
		}
		err := t.s.sink.Submit(t.ctx, Source{Ingress: t.s.o.Ingress, Refused: &t.refused}, a.m, func(err error) { t.settle(a.r, err) })
		if err != nil {
			if t.ctx.Err() == nil {
				t.s.o.Reads.SinkErrors.Add(1)
			}
			t.cancel(fmt.Errorf("submit message: %w", err))
			return
		}
		t.s.o.Reads.Submitted.Add(1)
	}
}

// settle is the sink's verdict. It does not block.
func (t *stream) settle(r *receipt, err error) {
	if err != nil {
		t.s.o.Reads.SinkErrors.Add(1)
		t.cancel(fmt.Errorf("make message durable: %w", err))
		return
	}
	if r == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		t.s.o.Reads.VoidAcks.Add(1)
		return
	}
	r.done = true
	n := 0
	for n < len(t.pending) && t.pending[n].done {
		t.due = append(t.due, t.pending[n].ack)
		t.pending[n] = nil
		n++
	}
	if n > 0 {
		t.pending = t.pending[n:]
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// acknowledge sends what is due; the libraries may block there.
func (t *stream) acknowledge() {
	defer t.joined.Done()
	for range t.wake {
		t.mu.Lock()
		due, over := t.due, t.over
		t.due, t.busy = nil, true
		t.mu.Unlock()
		if over {
			return
		}
		for _, ack := range due {
			ack()
		}
		t.s.o.Reads.Acked.Add(uint64(len(due)))
		t.mu.Lock()
		t.busy = false
		t.mu.Unlock()
	}
}

// drain waits until what was submitted has been acknowledged.
func (t *stream) drain(limit time.Duration) {
	for late := time.Now().Add(limit); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		t.mu.Lock()
		idle := len(t.pending) == 0 && len(t.due) == 0 && !t.busy
		t.mu.Unlock()
		if idle {
			return
		}
	}
}

// end stops the stream. After it has returned, no acknowledgement is sent.
func (t *stream) end() {
	t.cancel(errors.New("connection ended"))
	t.mu.Lock()
	t.over = true
	t.s.o.Reads.VoidAcks.Add(uint64(len(t.due)))
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
	t.joined.Wait()
}

// lose ends the stream because the connection ended.
func (t *stream) lose(err error) { t.cancel(fmt.Errorf("%w: %w", errLost, err)) }

var errLost = errors.New("connection lost")

// cause prefers why the stream ended over what failed because of that.
func (t *stream) cause(err error) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return err
}

// wait waits for the end of a connection that has subscribed.
func (t *stream) wait(ctx context.Context) error {
	t.s.o.Reads.Subscribed.Add(1)
	t.s.o.Reads.Connected.Store(true)
	<-t.ctx.Done()
	t.s.o.Reads.Connected.Store(false)
	if ctx.Err() != nil {
		t.drain(t.s.o.Drain)
	}
	return context.Cause(t.ctx)
}
