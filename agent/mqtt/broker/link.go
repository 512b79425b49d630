package broker

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// A link is one client connection. It stands between the socket and mochi as a
// net.Conn, so that:
//   - no Write ever blocks: mochi writes under a lock that deliveries of other
//     clients take, and a device that does not read must stall only itself;
//   - acknowledgements wait in a ring and leave in the order their messages
//     arrived, whoever completes them;
//   - many acknowledgements and deliveries share one system call;
//   - PUBLISH is read here and never reaches mochi, which copies each packet
//     several times (see readPublish);
//   - deadlines are ours: connect, keepalive, write.
//
// mochi is configured so that each Write holds exactly one packet.
type link struct {
	net.Conn
	b      *Broker
	door   *door // listener it came through
	ctx    context.Context
	cancel context.CancelFunc

	// Set while CONNECT is handled, by the reading goroutine; read only after.
	client    *mochi.Client
	session   *session
	source    mqtt.Source
	user      string
	named     bool   // user name given and verified
	login     *login // where that was by password
	version   byte
	keepalive time.Duration
	window    int // Receive Maximum of the client; 0: none
	will      *will

	// Used by the reading goroutine only.
	connected bool
	in        *bufio.Reader
	rest      int            // bytes of the packet in hand that mochi has not read yet
	large     bool           // it is one of halves
	publish   packets.Packet // in hand
	silent    silence
	aliases   map[uint16]string
	askedID   uint16       // packet id of the SUBSCRIBE or UNSUBSCRIBE in hand
	surplus   map[int]bool // which of its filters there is no room for
	deadline  time.Time

	rate, byteRate bucket // of Limits.Rate and RateBytes

	ends    atomic.Bool  // the session ends with the connection
	clean   atomic.Bool  // DISCONNECT with reason 0 was read
	blocked atomic.Int64 // tick at which the reader began to wait for the sink; 0: it does not
	refused atomic.Bool  // the connection ended by our decision

	mu      sync.Mutex // guards all below; held for moments only
	out     []byte     // bytes to write
	held    [][]byte   // PUBLISH packets beyond the client's Receive Maximum
	heldLen int
	unacked int // QoS > 0 packets sent and not acknowledged by the client
	ring    []slot
	head    uint64 // oldest slot
	tail    uint64 // next slot
	bytes   int    // payload bytes in the ring
	closed  bool
	wake    chan struct{} // the writer has work; capacity 1
	room    chan struct{} // the ring moved; capacity 1
}

// A slot is an acknowledgement that is due.
type slot struct {
	id    uint16
	first byte // first byte of the packet: 0x40 PUBACK, 0x50 PUBREC
	code  byte // MQTT 5 reason
	done  bool
	size  int
}

const (
	firstPuback  = packets.Puback << 4
	firstPubrec  = packets.Pubrec << 4
	firstPubcomp = packets.Pubcomp << 4
)

var errLinkClosed = errors.New("connection closed")

func newLink(b *Broker, d *door, c net.Conn) *link {
	l := &link{
		Conn: c, b: b, door: d,
		version: 4,
		in:      bufio.NewReaderSize(socket{c, b}, 8<<10),
		ring:    make([]slot, b.limits.InFlight),
		wake:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	_ = c.SetReadDeadline(time.Now().Add(b.limits.ConnectTimeout))
	return l
}

// Read gives mochi the bytes of one packet at most, and none of a PUBLISH: that
// is handled here. While the broker drains, it reads nothing.
func (l *link) Read(p []byte) (int, error) {
	for l.rest == 0 {
		l.keepAwake()
		if err := l.next(); err != nil {
			return 0, l.readError(err)
		}
	}
	n, err := l.in.Read(p[:min(len(p), l.rest)])
	if l.rest -= n; l.rest == 0 && l.large {
		l.large = false
		l.b.halves.end(l)
	}
	return n, l.readError(err)
}

func (l *link) readError(err error) error {
	if l.b.draining.Load() {
		<-l.ctx.Done()
		return net.ErrClosed
	}
	return err
}

// keepAwake keeps the client's keepalive deadline, which is renewed at most
// once a second.
func (l *link) keepAwake() {
	if !l.connected || l.keepalive == 0 {
		return
	}
	// 1.5 times the keepalive [MQTT-3.1.2-24], plus the second's slack
	if now := time.Now(); now.Sub(l.deadline) > time.Second {
		l.deadline = now
		if !l.b.draining.Load() {
			_ = l.Conn.SetReadDeadline(now.Add(l.keepalive*3/2 + time.Second))
		}
	}
}

// SetDeadline ignores mochi's deadlines: it sets one with every packet, and for
// writes too.
func (l *link) SetDeadline(time.Time) error { return nil }

// Write takes one packet. A QoS 0 message for a client whose queue is full is
// dropped and counted, as any broker does; anything else that does not fit
// costs the connection, so that a persistent session gets it again.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, errLinkClosed
	}
	if len(p) > 0 && p[0]>>4 == packets.Disconnect && l.version < 5 {
		return len(p), nil // mochi sends it on 3.1.1 too, where only clients may
	}
	publish := len(p) > 0 && p[0]>>4 == packets.Publish
	reliable := publish && p[0]>>1&3 > 0
	if len(l.out)+l.heldLen+len(p) > l.b.limits.QueueBytes && len(l.out) > 0 {
		switch {
		case publish && !reliable:
			l.b.stats.droppedQoS0.Add(1)
			return len(p), nil
		case len(l.out)+l.heldLen+len(p) > 2*l.b.limits.QueueBytes:
			l.b.stats.slowClients.Add(1)
			l.closeLocked()
			return 0, errLinkClosed
		}
	}
	if reliable {
		if l.window > 0 && l.unacked >= l.window {
			l.held = append(l.held, append([]byte(nil), p...))
			l.heldLen += len(p)
			return len(p), nil
		}
		l.unacked++
	}
	l.out = append(l.out, p...)
	l.signal()
	return len(p), nil
}

// answered notes that the client acknowledged a message of ours, which may let
// the next one out (MQTT 5, 3.3.4: Receive Maximum).
func (l *link) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unacked > 0 {
		l.unacked--
	}
	for len(l.held) > 0 && l.unacked < l.window {
		l.out = append(l.out, l.held[0]...)
		l.heldLen -= len(l.held[0])
		l.held[0] = nil
		l.held = l.held[1:]
		l.unacked++
		l.signal()
	}
}

// signal wakes the writer. l.mu is held.
func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// writer writes what Write and the ring leave, until the link is closed and
// empty or the socket fails. It owns closing the socket.
func (l *link) writer() {
	defer l.b.links.Done()
	var (
		spare []byte
		dated time.Time // when the deadline was set: at most once a second
	)
	for range l.wake {
		l.mu.Lock()
		p, closed := l.out, l.closed
		l.out = spare[:0]
		l.mu.Unlock()
		if len(p) > 0 {
			switch now := time.Now(); {
			case closed:
				_ = l.Conn.SetWriteDeadline(now.Add(lastWords))
			case now.Sub(dated) > time.Second:
				dated = now
				_ = l.Conn.SetWriteDeadline(now.Add(l.b.limits.WriteTimeout + time.Second))
			}
			n, err := l.Conn.Write(p)
			l.b.stats.bytesOut.Add(uint64(n))
			if err != nil {
				closed = true
				l.mu.Lock()
				l.closeLocked()
				l.mu.Unlock()
			}
		}
		if closed {
			_ = l.Conn.Close()
			return
		}
		if spare = p; cap(spare) > 64<<10 {
			spare = nil
		}
	}
}

// lastWords is how long a closing connection may take to accept what is left.
const lastWords = time.Second

// Close ends the connection after what is queued has been written, within a
// second. It does not block.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
	return nil
}

func (l *link) closeLocked() {
	if l.closed {
		return
	}
	l.closed = true
	l.cancel()
	now := time.Now()
	_ = l.Conn.SetReadDeadline(now)
	_ = l.Conn.SetWriteDeadline(now.Add(lastWords))
	l.signal()
}

// kick ends the connection for a reason of ours; on MQTT 5 the client is told.
func (l *link) kick(c packets.Code) {
	l.refused.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.version == 5 && l.session != nil {
		l.out = append(l.out, packets.Disconnect<<4, 1, c.Code)
	}
	l.closeLocked()
}

// inFlight is the number of messages in the ring.
func (l *link) inFlight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.tail - l.head)
}

// pending says whether the message with this packet id waits for its PUBACK.
func (l *link) pending(id uint16) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := l.head; i < l.tail; i++ {
		if s := &l.ring[i%uint64(len(l.ring))]; s.id == id && s.first == firstPuback {
			return true
		}
	}
	return false
}

// push takes the next place in the order of acknowledgements. It waits for one
// to be free: a client on 3.1.1 has no Receive Maximum, so we stop reading it.
func (l *link) push(first byte, id uint16, size int) (uint64, error) {
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return 0, errLinkClosed
		}
		if n := l.tail - l.head; n < uint64(len(l.ring)) && (n == 0 || l.bytes+size <= l.b.limits.InFlightBytes) {
			seq := l.tail
			l.ring[seq%uint64(len(l.ring))] = slot{id: id, first: first, size: size}
			l.tail++
			l.bytes += size
			l.mu.Unlock()
			return seq, nil
		}
		l.mu.Unlock()
		l.hold()
		select {
		case <-l.room:
		case <-l.ctx.Done():
		}
		l.release()
	}
}

// complete makes the acknowledgement at seq due, and queues every one at the
// head of the ring that is due. It never blocks: any goroutine may call it.
func (l *link) complete(seq uint64, code byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	s := &l.ring[seq%uint64(len(l.ring))]
	s.done, s.code = true, code
	moved := false
	for l.head < l.tail {
		s := &l.ring[l.head%uint64(len(l.ring))]
		if !s.done {
			break
		}
		l.appendAck(s.first, s.id, s.code)
		l.bytes -= s.size
		l.head++
		moved = true
	}
	if moved {
		l.signal()
		select {
		case l.room <- struct{}{}:
		default:
		}
	}
}

// ack queues an acknowledgement that has no place in the ring.
func (l *link) ack(first byte, id uint16, code byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.appendAck(first, id, code)
		l.signal()
	}
}

// appendAck encodes PUBACK, PUBREC or PUBCOMP. The reason code may be left out
// when it is 0 (MQTT 5, 3.4.2.1), which is also the form of 3.1.1.
//
// A client that goes on sending and reads none of them has no claim on more
// memory than one that reads no messages.
func (l *link) appendAck(first byte, id uint16, code byte) {
	if len(l.out)+l.heldLen > 2*l.b.limits.QueueBytes && !l.closed {
		l.b.stats.slowClients.Add(1)
		l.closeLocked()
	}
	if l.closed {
		return
	}
	if code != 0 && l.version == 5 {
		l.out = append(l.out, first, 3, byte(id>>8), byte(id), code)
		return
	}
	l.out = append(l.out, first, 2, byte(id>>8), byte(id))
}

// hold notes that the reader waits for the sink or for the ring; after
// HoldTimeout the broker's clock ends the connection.
func (l *link) hold()    { l.blocked.CompareAndSwap(0, l.b.now.Load()) }
func (l *link) release() { l.blocked.Store(0) }
