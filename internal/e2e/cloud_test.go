package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A badCloud is a broker that misbehaves, until it becomes a way to a good one.
type badCloud struct {
	ln   net.Listener
	well string // address of the good broker

	mu    sync.Mutex // guards below
	mood  func(c net.Conn, r *bufio.Reader)
	conns []net.Conn
	seen  map[string]int // connections by mood
	name  string
}

func startBadCloud(t *testing.T, well string) *badCloud {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	b := &badCloud{ln: ln, well: well, seen: map[string]int{}}
	t.Cleanup(func() { _ = ln.Close(); b.become("over", nil) })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			mood := b.mood
			b.conns = append(b.conns, c)
			b.seen[b.name]++
			b.mu.Unlock()
			go func() {
				defer c.Close()
				if mood != nil {
					mood(c, bufio.NewReader(c))
				}
			}()
		}
	}()
	return b
}

// become changes the mood and ends the connections of the one before.
func (b *badCloud) become(name string, mood func(net.Conn, *bufio.Reader)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.name, b.mood = name, mood
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.conns = nil
}

func (b *badCloud) times(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[name]
}

// good forwards to the broker that is well.
func (b *badCloud) good(c net.Conn, r *bufio.Reader) {
	far, err := net.Dial("tcp", b.well)
	if err != nil {
		return
	}
	defer far.Close()
	go func() { _, _ = io.Copy(c, far); _ = c.Close() }()
	_, _ = io.Copy(far, r)
}

// next reads one packet and returns its first byte and its body.
func next(r *bufio.Reader) (byte, []byte) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, nil
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil
	}
	return first, body
}

func accept(c net.Conn, r *bufio.Reader) {
	next(r)
	_, _ = c.Write([]byte{tCONNACK << 4, 2, 0, 0})
}

// TestBadCloud: the uplink meets every kind of broker that does not do its
// work. The gateway stays up and keeps on taking messages, loses none, and
// delivers them in order once the broker is well.
func TestBadCloud(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	mosquitto := StartMosquitto(t)
	recorder := Record(t, mosquitto.Addr, "#")
	cloud := startBadCloud(t, mosquitto.Addr)
	moods := []struct {
		name string
		mood func(net.Conn, *bufio.Reader)
	}{
		{"ends at CONNECT", func(_ net.Conn, r *bufio.Reader) { next(r) }},
		{"refuses CONNECT", func(c net.Conn, r *bufio.Reader) { next(r); _, _ = c.Write([]byte{tCONNACK << 4, 2, 0, 3}) }},
		{"is no broker", func(c net.Conn, r *bufio.Reader) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }},
		{"announces a packet without end", func(c net.Conn, r *bufio.Reader) {
			accept(c, r)
			_, _ = c.Write([]byte{tPUBLISH << 4, 0xff, 0xff, 0xff, 0x7f})
			_, _ = io.Copy(io.Discard, r)
		}},
		{"answers with noise", func(c net.Conn, r *bufio.Reader) {
			accept(c, r)
			next(r)
			_, _ = c.Write([]byte("\xf0\x0f\xff\xff\xff\xff\xff\x00\x01"))
		}},
		{"acknowledges what it never got", func(c net.Conn, r *bufio.Reader) {
			accept(c, r)
			next(r)
			for id := uint16(60_000); id < 60_100; id++ {
				_, _ = c.Write(frame(tPUBACK<<4, []byte{byte(id >> 8), byte(id)}))
			}
			_, _ = io.Copy(io.Discard, r)
		}},
		{"never acknowledges", func(c net.Conn, r *bufio.Reader) { accept(c, r); _, _ = io.Copy(io.Discard, r) }},
	}
	site := NewSite(t, cloud.ln.Addr().String())
	cloud.become(moods[0].name, moods[0].mood)
	gateway := site.Start(t)
	device, err := Dial(site.Addr, ClientOptions{ID: "device"})
	check(t, err)
	defer device.Close()
	n := 0
	for i, m := range moods {
		if !Full() && i%3 != 0 {
			continue
		}
		cloud.become(m.name, m.mood)
		for range 50 {
			check(t, device.Publish(Message{Topic: "line/a", Payload: fmt.Appendf(nil, `{"n":%d,"password":%q}`, n, Secret), QoS: 1}, uint16(n+1)))
			n++
		}
		Until(t, "the uplink meets a broker that "+m.name, 30*time.Second, func() bool { return cloud.times(m.name) > 0 })
		time.Sleep(50 * time.Millisecond) // for the harm to be done
		if !Full() {                      // the pause between connections grows, unless one does its work
			cloud.become("well", cloud.good)
			settled(t, site)
		}
		if gateway.Ended() {
			t.Fatalf("a broker that %s ended the gateway: %s", m.name, gateway.Log())
		}
	}
	cloud.become("well", cloud.good)
	settled(t, site)
	if q := site.Values(t)[`sealgate_uplink_quarantined_messages_total{uplink="cloud"}`]; q != 0 {
		t.Errorf("%v messages in quarantine", q)
	}
	var report Report
	account := &Account{Sent: make([]int, n), Acked: make([]bool, n)}
	for i := range n {
		account.Sent[i], account.Acked[i] = 1, true
	}
	Check([]*Device{{Topic: map[string]*Account{"line/a": account}}}, Read(site.Opener(t), recorder.All(), &report), &report)
	for _, p := range report.Problems {
		t.Error(p)
	}
	u, err := gateway.Usage()
	check(t, err)
	if u.Peak > 150<<20 {
		t.Errorf("the gateway took %d MiB", u.Peak>>20)
	}
}
