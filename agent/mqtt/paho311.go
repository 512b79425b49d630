package mqtt

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// DialPaho311 connects to a broker with MQTT 3.1.1, a clean session and a new
// client that never reconnects. An error of the broker is a [*ConnectError].
func DialPaho311(ctx context.Context, o Options) (Conn, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	raw, err := o.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &pahoConn{
		wire:   newCoalescer(newFrameGuard(raw, o.PacketBytes), &o),
		stats:  o.Stats,
		maxQoS: o.MaxQoS,
		acked:  make(map[uint16]func(Ack)),
		done:   make(chan error, 1),
		over:   make(chan struct{}),
		zero:   make(chan zeroPublish, 256),
	}
	po := paho.NewClientOptions().
		AddBroker("tcp://broker:1883"). // never dialled: the connection exists
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return c.wire, nil }).
		SetProtocolVersion(4).
		SetClientID(o.ClientID).
		SetUsername(o.Username).
		SetPassword(string(o.Password)).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetConnectTimeout(o.ConnectTimeout + time.Second). // ctx ends first
		SetKeepAlive(o.KeepAlive).
		SetPingTimeout(max(10*time.Second, o.KeepAlive/2)).
		SetWriteTimeout(time.Second). // only hit by a Publish that loses the race against the connection's end
		SetStore((*ackStore)(c)).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			o.Stats.Losses.Add(1)
			c.end(fmt.Errorf("connection lost: %w", err))
		})
	if w := o.Will; w != nil {
		po.SetBinaryWill(w.Topic, w.Payload, min(w.QoS, 2), w.Retain)
	}
	c.client = paho.NewClient(po)
	token, _ := c.client.Connect().(*paho.ConnectToken)
	select {
	case <-token.Done():
		err = token.Error()
	case <-ctx.Done():
		_ = c.wire.Close()
		<-token.Done()
		err = ctx.Err()
	}
	if err != nil {
		_ = c.wire.Close()
		c.client.Disconnect(0)
		if code := token.ReturnCode(); code >= 1 && code <= 5 {
			o.Stats.Refused.Add(1)
			return nil, &ConnectError{Version: 4, Code: code}
		}
		return nil, fmt.Errorf("connect to broker: %w", unanswered(err))
	}
	o.Stats.Connects.Add(1)
	go c.drainZero()
	return c, nil
}

// A pahoConn is a Conn over paho's client.
//
// Acknowledgements are learned from paho's message store rather than from its
// tokens: the store hears of a PUBLISH inside Publish and of its PUBACK or
// PUBCOMP when that is read, so no goroutine waits for a token, and what the
// broker acknowledges out of order is reported as it comes.
type pahoConn struct {
	client paho.Client
	wire   *coalescer
	stats  *ConnStats
	maxQoS byte
	done   chan error
	over   chan struct{} // closed before done fires
	zero   chan zeroPublish

	// calls is held for reading while acked functions run and for writing while
	// the connection ends, so that none runs after done has fired.
	calls sync.RWMutex
	ended bool

	mu    sync.Mutex // guards below
	next  func(Ack)  // of the Publish under way
	nextK uint16     // packet id it got; 0: none yet
	acked map[uint16]func(Ack)
}

// A zeroPublish is a QoS 0 message on its way to the socket.
type zeroPublish struct {
	token paho.Token
	acked func(Ack)
}

// Publish sends m; it waits while the socket is slow.
func (c *pahoConn) Publish(m *Message, acked func(Ack)) error {
	if !c.wire.room(c.over) {
		return net.ErrClosed
	}
	select {
	case <-c.over:
		return net.ErrClosed
	default:
	}
	qos := min(m.QoS, c.maxQoS)
	c.mu.Lock()
	c.next, c.nextK = acked, 0
	c.mu.Unlock()
	token := c.client.Publish(m.Topic, qos, m.Retain, m.Payload)
	c.mu.Lock()
	id := c.nextK
	c.next = nil
	var err error
	select {
	case <-token.Done():
		err = token.Error()
	default:
	}
	if err != nil {
		if qos > 0 && c.acked[id] == nil && id != 0 {
			err = nil // acknowledged already
		} else {
			delete(c.acked, id)
		}
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	c.stats.Published.Add(1)
	if qos == 0 {
		select {
		case c.zero <- zeroPublish{token, acked}:
		case <-c.over:
		}
	}
	return nil
}

// drainZero acknowledges QoS 0 messages as they are written.
func (c *pahoConn) drainZero() {
	for {
		select {
		case z := <-c.zero:
			select {
			case <-z.token.Done():
				c.call(z.acked, Ack{Err: z.token.Error()})
			case <-c.over:
				return
			}
		case <-c.over:
			return
		}
	}
}

// call runs an acked function unless the connection has ended.
func (c *pahoConn) call(f func(Ack), a Ack) {
	c.calls.RLock()
	defer c.calls.RUnlock()
	if !c.ended {
		c.stats.Acked.Add(1)
		f(a)
	}
}

func (c *pahoConn) Done() <-chan error { return c.done }

// Close sends DISCONNECT behind what is on its way and ends the connection. It
// must not be called from an acked function.
func (c *pahoConn) Close() error {
	c.client.Disconnect(250)
	c.end(ErrClosed)
	return nil
}

// end fires Done, once.
func (c *pahoConn) end(cause error) {
	c.calls.Lock()
	first := !c.ended
	c.ended = true
	c.calls.Unlock()
	if first {
		close(c.over)
		_ = c.wire.Close()
		c.done <- cause
	}
}

// An ackStore is the pahoConn as paho's message store.
type ackStore pahoConn

func (s *ackStore) Open()                            {}
func (s *ackStore) Close()                           {}
func (s *ackStore) Reset()                           {}
func (s *ackStore) All() []string                    { return nil }
func (s *ackStore) Get(string) packets.ControlPacket { return nil }

// Put is called within Publish for QoS 1 and 2.
func (s *ackStore) Put(_ string, p packets.ControlPacket) {
	m, ok := p.(*packets.PublishPacket)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		s.nextK = m.MessageID
		s.acked[m.MessageID] = s.next
	}
}

// Del is called when a PUBACK or PUBCOMP was read: the key is "o." and the
// packet id.
func (s *ackStore) Del(key string) {
	digits, ok := strings.CutPrefix(key, "o.")
	id, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil {
		return
	}
	s.mu.Lock()
	f := s.acked[uint16(id)]
	delete(s.acked, uint16(id))
	s.mu.Unlock()
	if f != nil {
		(*pahoConn)(s).call(f, Ack{})
	}
}
