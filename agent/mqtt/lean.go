package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Dial connects to a broker with our own small client: it publishes and does
// nothing else, with MQTT 3.1.1 or 5 as o.Version says, in a new session and
// without ever reconnecting. An error of the broker is a [*ConnectError].
func Dial(ctx context.Context, o Options) (Conn, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	raw, err := o.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &leanConn{
		version: o.Version,
		wire:    newCoalescer(raw, &o),
		stats:   o.Stats,
		slots:   make([]slot, 128),
		done:    make(chan error, 1),
		over:    make(chan struct{}),
	}
	c.in = packetReader{in: bufio.NewReaderSize(c.wire, 4<<10), limit: o.PacketBytes}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetReadDeadline(time.Unix(1, 0)) })
	ack, err := c.connect(&o)
	if !stop() {
		err = fmt.Errorf("connect to broker: %w", context.Cause(ctx))
	}
	if err != nil {
		_ = c.wire.Close()
		return nil, err
	}
	c.limits = ack.limits
	c.limits.MaxQoS = min(c.limits.MaxQoS, o.MaxQoS)
	if ack.keep >= 0 {
		o.KeepAlive = time.Duration(ack.keep) * time.Second
	}
	o.Stats.Connects.Add(1)
	go c.read()
	if o.KeepAlive > 0 {
		go c.keepAlive(o.KeepAlive)
	}
	return c, nil
}

// A leanConn is a Conn that encodes each PUBLISH into the buffer of its
// coalescer and reads nothing but acknowledgements.
type leanConn struct {
	version byte
	limits  Limits
	wire    *coalescer
	in      packetReader // the reader's
	stats   *ConnStats
	heard   atomic.Bool // since the last look of keepAlive
	done    chan error
	over    chan struct{} // closed before done fires

	// calls is held for reading while acked functions run and for writing while
	// the connection ends, so that none runs after done has fired.
	calls sync.RWMutex
	ended bool

	mu    sync.Mutex // guards below
	slots []slot     // by packet id, modulo their number: a power of two
	last  uint16     // packet id given last
	under int        // slots in use
}

// A slot is a message under way.
type slot struct {
	id    uint16 // 0: free
	two   bool   // QoS 2, and no PUBREC yet
	acked func(Ack)
}

// connect sends CONNECT and reads the answer.
func (c *leanConn) connect(o *Options) (connack, error) {
	if _, err := c.wire.Write(appendConnect(nil, o, c.version)); err != nil {
		return connack{}, fmt.Errorf("connect to broker: %w", err)
	}
	first, body, err := c.in.next()
	if err != nil {
		return connack{}, fmt.Errorf("connect to broker: %w", unanswered(err))
	}
	if first != firstConnack {
		return connack{}, fmt.Errorf("connect to broker: it answered with packet 0x%02x", first)
	}
	ack, err := parseConnack(body, c.version)
	if err != nil {
		return ack, fmt.Errorf("connect to broker: %w", err)
	}
	if ack.code != 0 {
		o.Stats.Refused.Add(1)
		version := c.version
		if len(body) == 2 {
			version = 4
		}
		return ack, &ConnectError{Version: version, Code: ack.code}
	}
	if c.version == 5 && len(body) == 2 {
		return ack, ErrNoMQTT5
	}
	return ack, nil
}

// Limits implements Limited.
func (c *leanConn) Limits() Limits { return c.limits }

// Publish implements Conn. It waits while the socket is slow, and returns
// ErrTooLarge for what the broker said it does not take.
func (c *leanConn) Publish(m *Message, acked func(Ack)) error {
	qos := min(m.QoS, c.limits.MaxQoS)
	size, _ := publishSize(m, qos, c.version)
	total := int64(1 + lengthSize(size) + size)
	if size > maxRemaining || !checkLengths(m) || c.limits.PacketBytes > 0 && total > c.limits.PacketBytes {
		return ErrTooLarge
	}
	if !c.wire.room(c.over) {
		return net.ErrClosed
	}
	select {
	case <-c.over:
		return net.ErrClosed
	default:
	}
	var id uint16
	if qos > 0 {
		var err error
		if id, err = c.take(qos == 2, acked); err != nil {
			return err
		}
		acked = nil
	}
	if err := c.wire.publish(c, m, qos, id, acked); err != nil {
		if qos > 0 {
			c.give(id)
		}
		return fmt.Errorf("publish: %w", err)
	}
	c.stats.Published.Add(1)
	return nil
}

// publish encodes m into the buffer. written, if not nil, is acknowledged when
// the system has the bytes.
func (w *coalescer) publish(c *leanConn, m *Message, qos byte, id uint16, written func(Ack)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.buf = appendPublish(w.buf, m, qos, m.Retain && !c.limits.NoRetain, id, c.version)
	if written != nil {
		w.notes = append(w.notes, func() { c.call(written, Ack{}) })
	}
	w.signal()
	return nil
}

// take finds a free packet id.
func (c *leanConn) take(two bool, acked func(Ack)) (uint16, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under >= 0xffff {
		return 0, errors.New("publish: every packet id is in use")
	}
	for {
		if c.last++; c.last == 0 {
			c.last = 1
		}
		s := &c.slots[int(c.last)&(len(c.slots)-1)]
		for s.id != 0 && len(c.slots) <= 0xffff {
			c.spread()
			s = &c.slots[int(c.last)&(len(c.slots)-1)]
		}
		if s.id == 0 {
			*s = slot{c.last, two, acked}
			c.under++
			return c.last, nil
		}
	}
}

// spread doubles the slots: two ids met in one.
func (c *leanConn) spread() {
	wider := make([]slot, 2*len(c.slots))
	for _, s := range c.slots {
		if s.id != 0 {
			wider[int(s.id)&(len(wider)-1)] = s
		}
	}
	c.slots = wider
}

// give frees a packet id and returns whose it was.
func (c *leanConn) give(id uint16) slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := &c.slots[int(id)&(len(c.slots)-1)]
	if at.id != id || id == 0 {
		return slot{}
	}
	s := *at
	*at = slot{}
	c.under--
	return s
}

// received says whether a message of QoS 2 waits under this id for its first
// PUBREC. Only that one is answered: a broker that repeats it, and does not read,
// must not fill the buffer.
func (c *leanConn) received(id uint16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[int(id)&(len(c.slots)-1)]
	first := id != 0 && s.id == id && s.two
	if first {
		s.two = false
	}
	return first
}

// read reads acknowledgements until the connection ends.
func (c *leanConn) read() {
	for {
		first, body, err := c.in.next()
		if err == nil {
			c.heard.Store(true)
			err = c.handle(first, body)
		}
		if err != nil {
			c.lose(err)
			return
		}
	}
}

func (c *leanConn) handle(first byte, body []byte) error {
	switch first {
	case firstPuback, firstPubrec, firstPubcomp:
		id, code, err := parseAck(body)
		if err != nil {
			return err
		}
		if first == firstPubrec && code < 0x80 {
			if !c.received(id) {
				return nil // another PUBREC: what answers it is on its way
			}
			_, err := c.wire.Write([]byte{firstPubrel, 2, byte(id >> 8), byte(id)})
			return err
		}
		if s := c.give(id); s.acked != nil {
			c.call(s.acked, answer(code))
		}
		return nil
	case firstPingresp:
		return nil
	case firstDisconnect:
		if c.version < 5 {
			return errMalformed
		}
		var code byte
		if len(body) > 0 {
			code = body[0]
		}
		return &ReasonError{Code: code, End: true}
	}
	return fmt.Errorf("broker sent packet 0x%02x to a connection that only publishes", first)
}

// answer is what a reason code of PUBACK, PUBREC or PUBCOMP says (3.4.2.1).
func answer(code byte) Ack {
	if code < 0x80 {
		return Ack{Code: code}
	}
	return Ack{Code: code, Err: &ReasonError{Code: code}}
}

// keepAlive pings twice an interval unless both sides are busy, and gives a
// broker up that stays silent.
func (c *leanConn) keepAlive(every time.Duration) {
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	var silent time.Duration
	for wrote := uint64(0); ; {
		select {
		case <-c.over:
			return
		case <-tick.C:
		}
		if silent += every / 2; c.heard.Swap(false) {
			silent = 0
		}
		if silent > max(10*time.Second, every/2) {
			c.lose(errors.New("no answer to a ping"))
			return
		}
		if w := c.wire.writes.Load(); w == wrote || silent > 0 {
			_, _ = c.wire.Write([]byte{firstPingreq, 0}) // the reader notices a failure
		}
		wrote = c.wire.writes.Load()
	}
}

// call runs an acked function unless the connection has ended.
func (c *leanConn) call(f func(Ack), a Ack) {
	c.calls.RLock()
	defer c.calls.RUnlock()
	if !c.ended {
		c.stats.Acked.Add(1)
		f(a)
	}
}

// Done implements Conn.
func (c *leanConn) Done() <-chan error { return c.done }

// Close sends DISCONNECT behind what is on its way and ends the connection. It
// must not be called from an acked function.
func (c *leanConn) Close() error {
	select {
	case <-c.over:
	default:
		_, _ = c.wire.Write([]byte{firstDisconnect, 0}) // it may be lost already
	}
	c.end(ErrClosed)
	return nil
}

func (c *leanConn) lose(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		if e := c.wire.failure(); e != nil {
			err = e
		}
	}
	if c.end(fmt.Errorf("connection lost: %w", err)) {
		c.stats.Losses.Add(1)
	}
}

// end fires Done, once, and says whether it did.
func (c *leanConn) end(cause error) bool {
	c.calls.Lock()
	first := !c.ended
	c.ended = true
	c.calls.Unlock()
	if first {
		close(c.over)
		_ = c.wire.Close()
		c.done <- cause
	}
	return first
}
