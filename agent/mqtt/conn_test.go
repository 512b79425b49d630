package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A peer is a broker at the other end of a net.Pipe that does what a test says.
// With version 5 it speaks MQTT 5, and tells of packets as if they were 3.1.1's.
type peer struct {
	version byte
	connack []byte                       // CONNACK instead of the plain one, if not nil
	pubs5   chan *packets5.Publish       // each PUBLISH of MQTT 5, if not nil
	refuse  byte                         // CONNACK return code
	onPub   func(*packets.PublishPacket) // called in order, instead of acknowledging at once
	connect chan *packets.ConnectPacket  // each CONNECT read
	pubs    chan *packets.PublishPacket  // each PUBLISH, if not nil
	pings   chan struct{}                // each PINGREQ, if not nil
	hangUp  bool                         // instead of CONNACK
	stall   chan struct{}                // if not nil: reads nothing after CONNECT until closed

	mu   sync.Mutex
	conn net.Conn
	down atomic.Bool // DISCONNECT was read
}

func newPeer() *peer { return &peer{connect: make(chan *packets.ConnectPacket, 16)} }

// dial is an Options.Dial.
func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.mu.Lock()
	p.conn = theirs
	p.mu.Unlock()
	go p.serve(theirs, p.version)
	return ours, nil
}

// serve answers on one connection, which keeps its version: the next one of the
// test may have another.
func (p *peer) serve(c net.Conn, version byte) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		pk, err := p.read(r, version)
		if err != nil {
			return
		}
		switch pk := pk.(type) {
		case *packets.ConnectPacket:
			if p.hangUp {
				return
			}
			p.connect <- pk
			connack := []byte{0x20, 2, 0, p.refuse}
			if version == 5 {
				connack = []byte{0x20, 3, 0, p.refuse, 0}
			}
			if p.connack != nil {
				connack = p.connack
			}
			if _, err := c.Write(connack); err != nil {
				return
			}
			if p.stall != nil {
				<-p.stall
			}
		case *packets.PublishPacket:
			if p.pubs != nil {
				p.pubs <- pk
			}
			switch {
			case p.onPub != nil:
				p.onPub(pk)
			case pk.Qos == 1:
				p.ack(pk.MessageID)
			case pk.Qos == 2:
				p.write([]byte{0x50, 2, byte(pk.MessageID >> 8), byte(pk.MessageID)})
			}
		case *packets.PubrelPacket:
			p.write([]byte{0x70, 2, byte(pk.MessageID >> 8), byte(pk.MessageID)})
		case *packets.PingreqPacket:
			if p.pings != nil {
				p.pings <- struct{}{}
			}
			p.write([]byte{0xd0, 0})
		case *packets.DisconnectPacket:
			p.down.Store(true)
			return
		}
	}
}

// read reads one packet; of MQTT 5, what 3.1.1 has of it.
func (p *peer) read(r *bufio.Reader, version byte) (packets.ControlPacket, error) {
	if version < 5 {
		return packets.ReadPacket(r)
	}
	if first, err := r.Peek(1); err == nil && first[0] == firstDisconnect {
		return packets.NewControlPacket(packets.Disconnect), nil // the library wants a reason code, which may be left out
	}
	five, err := packets5.ReadPacket(r)
	if err != nil {
		return nil, err
	}
	old := packets.NewControlPacket(five.Type)
	switch pk := five.Content.(type) {
	case *packets5.Connect:
		c := old.(*packets.ConnectPacket)
		c.ClientIdentifier, c.Username, c.Password, c.CleanSession, c.Keepalive = pk.ClientID, pk.Username, pk.Password, pk.CleanStart, pk.KeepAlive
		c.WillFlag, c.WillTopic, c.WillMessage, c.WillQos, c.WillRetain = pk.WillFlag, pk.WillTopic, pk.WillMessage, pk.WillQOS, pk.WillRetain
	case *packets5.Publish:
		if p.pubs5 != nil {
			p.pubs5 <- pk
		}
		m := old.(*packets.PublishPacket)
		m.TopicName, m.MessageID, m.Payload, m.Qos, m.Retain, m.Dup = pk.Topic, pk.PacketID, pk.Payload, pk.QoS, pk.Retain, pk.Duplicate
	case *packets5.Pubrel:
		old.(*packets.PubrelPacket).MessageID = pk.PacketID
	}
	return old, nil
}

func (p *peer) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.conn.Write(b)
}

func (p *peer) ack(id uint16) { p.write([]byte{0x40, 2, byte(id >> 8), byte(id)}) }
func (p *peer) cut()          { p.mu.Lock(); _ = p.conn.Close(); p.mu.Unlock() }

type dialFunc func(t *testing.T, p *peer, o Options) (Conn, error)

func dial311(t *testing.T, p *peer, o Options) (Conn, error) {
	t.Helper()
	o.URL, o.Dial = "mqtt://pipe", p.dial
	return DialPaho311(t.Context(), o)
}

func lean(version byte) dialFunc {
	return func(t *testing.T, p *peer, o Options) (Conn, error) {
		t.Helper()
		p.version = version
		o.URL, o.Dial, o.Version = "mqtt://pipe", p.dial, version
		return Dial(t.Context(), o)
	}
}

func mustDial(t *testing.T, dial dialFunc, p *peer, o Options) Conn {
	t.Helper()
	c, err := dial(t, p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPaho311(t *testing.T) { testConn(t, dial311) }
func TestLean311(t *testing.T) { testConn(t, lean(4)) }
func TestLean5(t *testing.T)   { testConn(t, lean(5)) }

// testConn is what every Conn must do.
func testConn(t *testing.T, dial dialFunc) {
	t.Run("order", func(t *testing.T) {
		const n = 2000
		p := newPeer()
		p.pubs = make(chan *packets.PublishPacket, n)
		c := mustDial(t, dial, p, Options{})
		var acks atomic.Int64
		window := make(chan struct{}, 100)
		for i := range n {
			window <- struct{}{}
			m := &Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1, Retain: i%2 == 0}
			if err := c.Publish(m, func(a Ack) {
				if a.Err != nil || a.Code != 0 {
					t.Errorf("ack %+v", a)
				}
				acks.Add(1)
				<-window
			}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			pk := <-p.pubs
			if string(pk.Payload) != fmt.Sprint(i) || pk.Qos != 1 || pk.Retain != (i%2 == 0) || pk.Dup {
				t.Fatalf("message %d arrived as %q, QoS %d, retain %t, dup %t", i, pk.Payload, pk.Qos, pk.Retain, pk.Dup)
			}
		}
		within(t, "every message acknowledged", func() bool { return acks.Load() == n })
	})

	t.Run("qos", func(t *testing.T) {
		for _, tt := range []struct{ max, in, want byte }{{0, 0, 0}, {0, 2, 1}, {1, 2, 1}, {2, 2, 2}} {
			p := newPeer()
			p.pubs = make(chan *packets.PublishPacket, 1)
			c := mustDial(t, dial, p, Options{MaxQoS: tt.max})
			acked := make(chan Ack, 1)
			if err := c.Publish(&Message{Topic: "t", QoS: tt.in}, func(a Ack) { acked <- a }); err != nil {
				t.Fatal(err)
			}
			if got := (<-p.pubs).Qos; got != tt.want {
				t.Errorf("QoS %d with maximum %d went out as %d, want %d", tt.in, tt.max, got, tt.want)
			}
			select {
			case a := <-acked:
				if a.Err != nil {
					t.Errorf("QoS %d: %v", tt.in, a.Err)
				}
			case <-time.After(5 * time.Second):
				t.Errorf("QoS %d was not acknowledged", tt.in)
			}
		}
	})

	t.Run("acknowledged out of order", func(t *testing.T) {
		const n = 10
		p := newPeer()
		var held []uint16
		p.onPub = func(pk *packets.PublishPacket) {
			if held = append(held, pk.MessageID); len(held) == n {
				slices.Reverse(held)
				for _, id := range held {
					p.ack(id)
					p.ack(id) // once is enough
				}
				p.ack(999) // nobody's
			}
		}
		c := mustDial(t, dial, p, Options{})
		got := make(chan int, 3*n)
		for i := range n {
			if err := c.Publish(&Message{Topic: "t", QoS: 1}, func(Ack) { got <- i }); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if g := <-got; g != n-1-i {
				t.Fatalf("acknowledgement %d is for message %d, want %d", i, g, n-1-i)
			}
		}
		time.Sleep(20 * time.Millisecond)
		if len(got) != 0 {
			t.Errorf("%d messages were acknowledged twice", len(got))
		}
	})

	t.Run("connection lost", func(t *testing.T) {
		const n, cutAt = 500, 200
		p := newPeer()
		var seen atomic.Int64
		p.onPub = func(pk *packets.PublishPacket) {
			if seen.Add(1) == cutAt {
				go p.cut()
			}
			if seen.Load()%3 != 0 {
				p.ack(pk.MessageID)
			}
		}
		c := mustDial(t, dial, p, Options{})
		var over atomic.Bool
		var acks [n]atomic.Int64
		ended := make(chan error, 1)
		go func() {
			err := <-c.Done()
			over.Store(true)
			ended <- err
		}()
		sent := 0
		for i := range n {
			if err := c.Publish(&Message{Topic: "t", QoS: 1, Payload: make([]byte, 100)}, func(Ack) {
				if over.Load() {
					t.Error("acknowledged after Done")
				}
				acks[i].Add(1)
			}); err != nil {
				break
			}
			sent++
		}
		select {
		case err := <-ended:
			if err == nil || errors.Is(err, ErrClosed) {
				t.Errorf("Done says %v, want the cause", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Done did not fire")
		}
		for i := range acks {
			if k := acks[i].Load(); k > 1 || k > 0 && i >= sent {
				t.Errorf("message %d of %d was acknowledged %d times", i, sent, k)
			}
		}
		if err := c.Publish(&Message{Topic: "t", QoS: 1}, func(Ack) { t.Error("acknowledged after the end") }); err == nil {
			t.Error("Publish succeeds after the connection was lost")
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close after the loss: %v", err)
		}
		select {
		case err := <-c.Done():
			t.Errorf("Done fired twice: %v", err)
		default:
		}
	})

	t.Run("close", func(t *testing.T) {
		p := newPeer()
		p.pubs = make(chan *packets.PublishPacket, 1)
		c := mustDial(t, dial, p, Options{})
		if err := c.Publish(&Message{Topic: "t"}, func(Ack) {}); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-c.Done(); !errors.Is(err, ErrClosed) {
			t.Errorf("Done says %v, want ErrClosed", err)
		}
		select {
		case <-p.pubs:
		case <-time.After(time.Second):
			t.Error("what was published before Close did not go out")
		}
		within(t, "DISCONNECT arrived", p.down.Load)
	})

	t.Run("back-pressure and cancel", func(t *testing.T) {
		p := newPeer()
		p.stall = make(chan struct{})
		c := mustDial(t, dial, p, Options{BufferBytes: 8 << 10})
		var sent atomic.Int64
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for c.Publish(&Message{Topic: "t", QoS: 1, Payload: make([]byte, 1000)}, func(Ack) {}) == nil {
				sent.Add(1)
			}
		}()
		within(t, "something sent", func() bool { return sent.Load() > 8 })
		time.Sleep(50 * time.Millisecond)
		n := sent.Load()
		if n > 100 {
			t.Errorf("%d messages of 1,000 bytes were taken for a peer that reads nothing, with room for 8 KiB", n)
		}
		begun := time.Now()
		_ = c.Close()
		select {
		case <-stopped:
		case <-time.After(5 * time.Second):
			t.Error("Publish still waits after Close")
		}
		if d := time.Since(begun); d > 4*time.Second {
			t.Errorf("Close took %s", d)
		}
		close(p.stall)
	})

	t.Run("refused", func(t *testing.T) {
		for code := byte(1); code <= 5; code++ {
			p := newPeer()
			p.refuse = code
			_, err := dial(t, p, Options{})
			if p.version == 5 { // the first try told that it does; now the same refusal in its terms
				p.refuse = [...]byte{0, 0x84, 0x85, 0x88, 0x86, 0x87}[code]
				_, err = dial(t, p, Options{})
			}
			var refused *ConnectError
			if !errors.As(err, &refused) || refused.Code != p.refuse || refused.Final() != (code != 3) {
				t.Errorf("code %d: got %v", code, err)
			}
		}
	})

	t.Run("connect", func(t *testing.T) {
		p := newPeer()
		mustDial(t, dial, p, Options{
			ClientID: "gw", Username: "u", Password: "p", KeepAlive: 1500 * time.Millisecond,
			Will: &Message{Topic: "w", Payload: []byte("gone"), QoS: 1, Retain: true},
		})
		k := <-p.connect
		if k.ClientIdentifier != "gw" || k.Username != "u" || string(k.Password) != "p" || !k.CleanSession || k.Keepalive != 2 {
			t.Errorf("CONNECT has id %q, user %q, clean %t, keepalive %d", k.ClientIdentifier, k.Username, k.CleanSession, k.Keepalive)
		}
		if !k.WillFlag || k.WillTopic != "w" || string(k.WillMessage) != "gone" || k.WillQos != 1 || !k.WillRetain {
			t.Errorf("will is %q %q QoS %d retain %t", k.WillTopic, k.WillMessage, k.WillQos, k.WillRetain)
		}
	})

	t.Run("what waits for the socket goes in few writes", func(t *testing.T) {
		const n = 200
		p := newPeer()
		p.stall = make(chan struct{})
		stats := new(ConnStats)
		c := mustDial(t, dial, p, Options{Stats: stats})
		acked := make(chan Ack, n)
		for range n {
			if err := c.Publish(&Message{Topic: "a", Payload: []byte("x"), QoS: 1}, func(a Ack) { acked <- a }); err != nil {
				t.Fatal(err)
			}
		}
		close(p.stall)
		for range n {
			<-acked
		}
		if w := stats.Writes.Load(); w > n/10 {
			t.Errorf("%d messages took %d writes", n, w)
		}
	})

	t.Run("peer that hangs up", func(t *testing.T) {
		_, err := dial(t, &peer{hangUp: true}, Options{})
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("got %v, want %v", err, ErrNoAnswer)
		}
	})

	t.Run("silent peer", func(t *testing.T) {
		begun := time.Now()
		_, err := dial(t, &peer{connect: make(chan *packets.ConnectPacket)}, Options{ConnectTimeout: 50 * time.Millisecond})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 3*time.Second {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
	})
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}
