package broker

import (
	"bufio"
	"bytes"
	"net"
	"testing"
	"time"
)

// A pipe is a net.Pipe whose broker side has an address.
type pipe struct{ net.Conn }

func (p pipe) reader() *bufio.Reader { return bufio.NewReader(p.Conn) }

func newPipe() (ours, theirs pipe) {
	a, b := net.Pipe()
	return pipe{a}, pipe{b}
}

// TestHostilePackets: each costs its connection and nothing else.
func TestHostilePackets(t *testing.T) {
	five := connectPacket(5, hello{id: "h"})
	three := connectPacket(4, hello{id: "h"})
	for _, tt := range []struct {
		name  string
		bytes []byte
	}{
		{"truncated SUBSCRIBE", append(bytes.Clone(five), 0x82, 6, 0, 1, 0, 0, 1, 'a')},
		{"200 MB length before CONNECT", []byte{0x10, 0x80, 0x84, 0xaf, 0x5f}},
		{"200 MB length after CONNECT", append(bytes.Clone(three), 0x30, 0x80, 0x84, 0xaf, 0x5f)},
		{"just over the limit", append(bytes.Clone(three), 0x30, 0x80, 0x80, 0x41)},
		{"length of five bytes", append(bytes.Clone(three), 0x30, 0x80, 0x80, 0x80, 0x80, 1)},
		{"PUBLISH first", publishPacket(4, "a", "x", 0, 0, 0)},
		{"second CONNECT", append(bytes.Clone(three), three...)},
		{"QoS 3", append(bytes.Clone(three), 0x36, 5, 0, 1, 'a', 0, 1)},
		{"QoS 1 without packet id", append(bytes.Clone(three), publishPacket(4, "a", "x", 1, 0, 0)...)},
		{"QoS 0 with DUP", append(bytes.Clone(three), publishPacket(4, "a", "x", 0, 0, dup)...)},
		{"wildcard topic", append(bytes.Clone(three), publishPacket(4, "a/+", "x", 1, 1, 0)...)},
		{"empty topic", append(bytes.Clone(three), publishPacket(4, "", "x", 1, 1, 0)...)},
		{"topic with NUL", append(bytes.Clone(three), publishPacket(4, "a\x00b", "x", 1, 1, 0)...)},
		{"topic not UTF-8", append(bytes.Clone(three), publishPacket(4, "a\xff", "x", 1, 1, 0)...)},
		{"topic longer than the packet", append(bytes.Clone(three), 0x30, 3, 0, 9, 'a')},
		{"empty PUBLISH", append(bytes.Clone(five), 0x30, 0)},
		{"SUBSCRIBE without filter", append(bytes.Clone(three), 0x82, 2, 0, 1)},
		{"SUBSCRIBE with packet id 0", append(bytes.Clone(three), 0x82, 6, 0, 0, 0, 1, 'a', 0)},
		{"SUBSCRIBE with a bad filter", append(bytes.Clone(three), 0x82, 8, 0, 1, 0, 3, 'a', '#', 'b', 0)},
		{"SUBSCRIBE with bad flags", append(bytes.Clone(three), 0x80, 6, 0, 1, 0, 1, 'a', 0)},
		{"CONNACK from a client", append(bytes.Clone(three), 0x20, 2, 0, 0)},
		{"SUBACK from a client", append(bytes.Clone(three), 0x90, 3, 0, 1, 0)},
		{"AUTH", append(bytes.Clone(five), 0xf0, 0)},
		{"type 0", append(bytes.Clone(three), 0, 0)},
		{"will on a wildcard", connectPacket(4, hello{id: "h", willTopic: "a/#", will: "x"})},
		{"will with QoS 3", connectPacket(4, hello{id: "h", willTopic: "a", will: "x", willQoS: 3})},
		{"protocol version 6", connectPacket(6, hello{id: "h"})},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"TLS", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink()
			b, addr := start(t, s, nil)
			good, _ := connect(t, addr, 5, hello{id: "good"})
			c := dialRaw(t, addr)
			c.send(tt.bytes)
			for { // whatever it answers, it must hang up
				if _, err := c.read(5 * time.Second); err != nil {
					if ne, ok := err.(net.Error); ok && ne.Timeout() {
						t.Fatal("connection goes on")
					}
					break
				}
			}
			good.publish("a", "x", 1, 1, 0)
			good.want(4, 1, 0)
			if n := len(s.messages()); n != 1 {
				t.Errorf("sink got %d messages, want 1", n)
			}
			eventually(t, "connection forgotten", func() bool { return b.Stats().Clients == 1 })
			if tt.name == "truncated SUBSCRIBE" && b.Stats().Panics != 1 {
				t.Errorf("%d panics, want 1: does mochi still panic?", b.Stats().Panics)
			}
			if n := b.Stats().Sessions; n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	_, addr := start(t, newSink(), func(o *Options) { o.Limits.ConnectTimeout = 100 * time.Millisecond })
	for _, part := range [][]byte{nil, {0x10}, connectPacket(4, hello{id: "h"})[:9]} {
		c := dialRaw(t, addr)
		begun := time.Now()
		if len(part) > 0 {
			c.send(part)
		}
		c.ended(0)
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("after %x: took %s", part, d)
		}
	}
	c, _ := connect(t, addr, 4, hello{id: "h"}) // it does not end a session
	time.Sleep(200 * time.Millisecond)
	c.publish("a", "x", 1, 1, 0)
	c.want(4, 1, 0)
}

func TestKeepalive(t *testing.T) {
	_, addr := start(t, newSink(), nil)
	c := dialRaw(t, addr)
	p := connectPacket(4, hello{id: "h"})
	p[11] = 1 // one second
	c.send(p)
	c.next()
	begun := time.Now()
	c.ended(0)
	if d := time.Since(begun); d < 1400*time.Millisecond || d > 4*time.Second {
		t.Errorf("a client with a keepalive of 1 s was ended after %s", d)
	}
}

func TestTooManyClients(t *testing.T) {
	b, addr := start(t, newSink(), func(o *Options) { o.Limits.Clients = 2 })
	connect(t, addr, 4, hello{id: "1"})
	c, _ := connect(t, addr, 4, hello{id: "2"})
	dialRaw(t, addr).ended(0)
	if n := b.Stats().RefusedFull; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
	_ = c.Close()
	eventually(t, "room", func() bool { return b.Stats().Clients == 1 })
	connect(t, addr, 4, hello{id: "3"})
}

// FuzzConnection feeds a connection with bytes. Whatever they are, the broker
// goes on, and serve returns.
func FuzzConnection(f *testing.F) {
	three, five := connectPacket(4, hello{id: "f"}), connectPacket(5, hello{id: "f", willTopic: "w", will: "x"})
	for _, c := range [][]byte{three, five} {
		for _, p := range [][]byte{
			nil,
			publishPacket(c[8], "a", "x", 0, 0, 0), publishPacket(c[8], "a", "x", 1, 1, retain), publishPacket(c[8], "a", "x", 2, 2, 0),
			{0x62, 2, 0, 2}, {0x50, 2, 0, 1}, {0x40, 2, 0, 1}, {0x70, 2, 0, 1},
			{0x82, 6, 0, 1, 0, 1, '#', 1}, {0x82, 7, 0, 1, 0, 0, 1, '#', 1}, {0x82, 6, 0, 1, 0, 0, 1, 'a'},
			{0xa2, 5, 0, 1, 0, 1, '#'}, {0xc0, 0}, {0xe0, 0}, {0xe0, 1, 4}, {0xf0, 0},
		} {
			f.Add(append(bytes.Clone(c), p...))
		}
	}
	b, err := New(Options{Sink: newSink(), Limits: Limits{ConnectTimeout: time.Second, PacketBytes: 4096}})
	if err != nil {
		f.Fatal(err)
	}
	if err := b.Start(); err != nil {
		f.Fatal(err)
	}
	d := &door{b: b, spec: Listener{Anonymous: true}}
	f.Fuzz(func(t *testing.T, p []byte) {
		ours, theirs := newPipe()
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.serve(d, theirs)
		}()
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := ours.Read(buf); err != nil {
					return
				}
			}
		}()
		_ = ours.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = ours.Write(p)
		_ = ours.Close()
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			t.Fatal("connection does not end")
		}
	})
}

// TestHalfPackets: clients that begin large packets and never end them take so
// much memory and no more, and hold nobody up who ends them.
func TestHalfPackets(t *testing.T) {
	const size, most = 100_000, 5
	half := func(id string) map[string][]byte {
		p := publishPacket(4, "a", string(make([]byte, size)), 1, 1, 0)
		hello := connectPacket(4, hello{id: id})
		return map[string][]byte{
			"PUBLISH":   append(bytes.Clone(hello), p[:size/2]...),
			"SUBSCRIBE": append(bytes.Clone(hello), append([]byte{0x82}, p[1:size/2]...)...),
			"CONNECT":   append([]byte{0x10}, p[1:size/2]...),
		}
	}
	for name := range half("") {
		t.Run(name, func(t *testing.T) {
			b, addr := start(t, newSink(), func(o *Options) { o.Limits.HalfBytes = most*size + size/2 })
			b.halves.patience = 50 * time.Millisecond
			for i := range 4 * most {
				c := dialRaw(t, addr)
				c.send(half(string(rune('A' + i)))[name])
			}
			eventually(t, "the first ones were ended", func() bool {
				return b.Stats().HalfPackets == 3*most && b.Stats().Clients == most
			})
			b.halves.mu.Lock()
			if n := len(b.halves.began); n != most || b.halves.bytes > b.halves.most {
				t.Errorf("%d half packets of %d bytes", n, b.halves.bytes)
			}
			b.halves.mu.Unlock()
			good, _ := connect(t, addr, 4, hello{id: "good"})
			for i := range uint16(20) {
				good.publish("a", string(make([]byte, size)), 1, 1+i, 0)
				good.want(4, 1+i, 0)
			}
			if n := b.Stats().Clients; n != most {
				t.Errorf("%d clients: want those with room, and the good one", n)
			}
		})
	}
}

// TestUnreadAnswers: a client that asks on and on and reads no answer is ended
// before the answers fill the memory.
func TestUnreadAnswers(t *testing.T) {
	for name, p := range map[string][]byte{
		"PUBREL":  {0x62, 2, 0, 9},
		"PUBLISH": publishPacket(4, "a", "", 1, 1, 0),
	} {
		t.Run(name, func(t *testing.T) {
			b, addr := start(t, newSink(), func(o *Options) { o.Limits.QueueBytes = 64 << 10 })
			c, _ := connect(t, addr, 4, hello{id: "h"})
			flood := bytes.Repeat(p, 10_000)
			_ = c.SetWriteDeadline(time.Now().Add(15 * time.Second))
			for err := error(nil); err == nil; _, err = c.Write(flood) {
			}
			eventually(t, "client ended", func() bool { return b.Stats().Clients == 0 })
			if n := b.Stats().SlowClients; n != 1 {
				t.Errorf("%d slow clients, want 1", n)
			}
		})
	}
}
