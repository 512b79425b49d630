package mqtt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// connack5 is a CONNACK of MQTT 5 with these properties.
func connack5(props ...byte) []byte {
	return append([]byte{0x20, byte(3 + len(props)), 0, 0, byte(len(props))}, props...)
}

func TestLean5Properties(t *testing.T) {
	p := newPeer()
	p.pubs5 = make(chan *packets5.Publish, 1)
	c := mustDial(t, lean(5), p, Options{})
	answered := make(chan Ack, 1)
	props := []Prop{{"grade", "L3"}, {"kid", "aa"}, {"kid", "bb"}}
	if err := c.Publish(&Message{Topic: "t", QoS: 1, Payload: []byte("x"), ContentType: "application/json", Props: props}, func(a Ack) { answered <- a }); err != nil {
		t.Fatal(err)
	}
	pk := <-p.pubs5
	var got []Prop
	for _, u := range pk.Properties.User {
		got = append(got, Prop{u.Key, u.Value})
	}
	if !slices.Equal(got, props) || pk.Properties.ContentType != "application/json" || string(pk.Payload) != "x" {
		t.Errorf("arrived with properties %v, content type %q, payload %q", got, pk.Properties.ContentType, pk.Payload)
	}
	if a := <-answered; a.Err != nil {
		t.Error(a.Err)
	}
}

func TestLean5Limits(t *testing.T) {
	p := newPeer()
	p.pubs = make(chan *packets.PublishPacket, 1)
	p.connack = connack5(0x21, 0, 20, 0x24, 0, 0x25, 0, 0x27, 0, 0, 0, 100, 0x26, 0, 1, 'k', 0, 1, 'v', 0x12, 0, 2, 'i', 'd')
	c := mustDial(t, lean(5), p, Options{})
	if got, want := c.(Limited).Limits(), (Limits{Window: 20, PacketBytes: 100, NoRetain: true}); got != want {
		t.Errorf("limits are %+v, want %+v", got, want)
	}
	never := func(Ack) { t.Error("what was not sent was acknowledged") }
	m := &Message{Topic: "topic", QoS: 1, Retain: true, Payload: make([]byte, 90)} // 2 + 7 + 1 + 90 = 100 at QoS 0
	m.Payload = append(m.Payload, 0)
	if err := c.Publish(m, never); !errors.Is(err, ErrTooLarge) {
		t.Errorf("101 bytes of at most 100: %v, want ErrTooLarge", err)
	}
	m.Payload = m.Payload[:90]
	answered := make(chan Ack, 1)
	if err := c.Publish(m, func(a Ack) { answered <- a }); err != nil {
		t.Fatalf("100 bytes of at most 100: %v", err)
	}
	if pk := <-p.pubs; pk.Qos != 0 || pk.Retain {
		t.Errorf("went out with QoS %d, retain %t: the broker takes QoS 0 and no retain flag", pk.Qos, pk.Retain)
	}
	if a := <-answered; a.Err != nil {
		t.Error(a.Err)
	}
}

func TestLean5Reasons(t *testing.T) {
	for _, tt := range []struct {
		code byte
		ok   bool
	}{{0, true}, {0x10, true}, {0x80, false}, {0x87, false}, {0x97, false}} {
		p := newPeer()
		p.onPub = func(pk *packets.PublishPacket) {
			p.write([]byte{0x40, 4, byte(pk.MessageID >> 8), byte(pk.MessageID), tt.code, 0})
		}
		c := mustDial(t, lean(5), p, Options{})
		answered := make(chan Ack, 1)
		if err := c.Publish(&Message{Topic: "t", QoS: 1}, func(a Ack) { answered <- a }); err != nil {
			t.Fatal(err)
		}
		a := <-answered
		var refused *ReasonError
		if a.Code != tt.code || (a.Err == nil) != tt.ok || !tt.ok && (!errors.As(a.Err, &refused) || refused.Code != tt.code || refused.End) {
			t.Errorf("reason 0x%02x is told as %+v", tt.code, a)
		}
	}
}

func TestLean5Disconnect(t *testing.T) {
	p := newPeer()
	c := mustDial(t, lean(5), p, Options{})
	p.write([]byte{0xe0, 1, 0x97})
	var reason *ReasonError
	if err := <-c.Done(); !errors.As(err, &reason) || reason.Code != 0x97 || !reason.End || !strings.Contains(err.Error(), "quota exceeded") {
		t.Errorf("Done says %v", err)
	}
}

func TestLean5BrokerKnowsOnly311(t *testing.T) {
	p := newPeer()
	p.connack = []byte{0x20, 2, 0, 1}
	_, err := lean(5)(t, p, Options{})
	var refused *ConnectError
	if !errors.As(err, &refused) || refused.Version != 4 || refused.Code != 1 || !refused.Final() {
		t.Errorf("got %v", err)
	}
	p = newPeer()
	p.connack = []byte{0x20, 2, 0, 0}
	if _, err := lean(5)(t, p, Options{}); !errors.Is(err, ErrNoMQTT5) {
		t.Errorf("accepted in the form of 3.1.1: got %v, want ErrNoMQTT5", err)
	}
}

// A broker may ask for a shorter interval than ours, and is pinged in time.
func TestLean5ServerKeepAlive(t *testing.T) {
	p := newPeer()
	p.pings = make(chan struct{}, 16)
	p.connack = connack5(0x13, 0, 1)
	c := mustDial(t, lean(5), p, Options{KeepAlive: time.Hour})
	for range 2 {
		select {
		case <-p.pings:
		case err := <-c.Done():
			t.Fatal(err)
		case <-time.After(10 * time.Second):
			t.Fatal("no ping, though the broker asked for one each second")
		}
	}
}

// An id that is never acknowledged is not given again, however many follow.
func TestLeanPacketIDs(t *testing.T) {
	p := newPeer()
	var mu sync.Mutex // guards below
	var first uint16
	twice := 0
	p.onPub = func(pk *packets.PublishPacket) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case first == 0:
			first = pk.MessageID
		case pk.MessageID == first || pk.MessageID == 0:
			twice++
		default:
			p.ack(pk.MessageID)
		}
	}
	c := mustDial(t, lean(4), p, Options{})
	window := make(chan struct{}, 50)
	acks := make(chan struct{}, 70_000)
	if err := c.Publish(&Message{Topic: "t", QoS: 1}, func(Ack) { t.Error("the held message was acknowledged") }); err != nil {
		t.Fatal(err)
	}
	for range 66_000 {
		window <- struct{}{}
		if err := c.Publish(&Message{Topic: "t", QoS: 1}, func(Ack) { acks <- struct{}{}; <-window }); err != nil {
			t.Fatal(err)
		}
	}
	for range 66_000 {
		<-acks
	}
	mu.Lock()
	defer mu.Unlock()
	if twice > 0 {
		t.Errorf("an id under way was given %d times more", twice)
	}
}

// Whatever a broker sends, the connection ends with an error at worst.
func TestLeanHostilePeer(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent []byte
	}{
		{"publish", []byte{0x30, 3, 0, 1, 't'}},
		{"short ack", []byte{0x40, 1, 0}},
		{"endless length", []byte{0x40, 0xff, 0xff, 0xff, 0xff, 1}},
		{"long packet", []byte{0x40, 0xff, 0xff, 0x7f}},
		{"half a packet", []byte{0x40, 2, 0}},
		{"disconnect on 3.1.1", []byte{0xe0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer()
			c := mustDial(t, lean(4), p, Options{})
			p.write(tt.sent)
			if strings.HasPrefix(tt.name, "half") {
				p.cut()
			}
			if err := <-c.Done(); err == nil {
				t.Error("the connection ended without an error")
			}
		})
	}
}

func FuzzLeanPackets(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x40, 2, 0, 1})
	f.Add(connack5(0x21, 0, 20, 0x26, 0, 1, 'k', 0, 1, 'v', 0x0b, 5))
	f.Add([]byte{0x40, 4, 0, 1, 0x97, 0, 0xe0, 1, 0x8b})
	f.Add([]byte{0x20, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := packetReader{in: bufio.NewReader(bytes.NewReader(b)), limit: 1 << 16}
		for read := 0; ; {
			_, body, err := r.next()
			if err != nil {
				return
			}
			if read += 2 + len(body); read > len(b) {
				t.Fatalf("%d bytes of packets in %d bytes", read, len(b))
			}
			if _, _, err := parseAck(body); err == nil && len(body) < 2 {
				t.Fatal("an acknowledgement without a packet id")
			}
			for _, version := range []byte{4, 5} {
				if c, err := parseConnack(body, version); err == nil && (c.limits.MaxQoS > 2 || c.limits.Window > 0xffff || c.keep > 0xffff) {
					t.Fatalf("CONNACK says %+v", c)
				}
			}
		}
	})
}

// What we encode, two other codecs read.
func FuzzLeanPublish(f *testing.F) {
	f.Add("a/b", []byte("payload"), "text/plain", "key", "value", byte(1), true)
	f.Add("t", []byte{}, "", "", "", byte(0), false)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, content, key, value string, qos byte, retain bool) {
		m := &Message{Topic: topic, Payload: payload, ContentType: content, Props: []Prop{{key, value}}}
		if !checkLengths(m) || topic == "" {
			return
		}
		qos %= 3
		pk, err := packets.ReadPacket(bytes.NewReader(appendPublish(nil, m, qos, retain, 7, 4)))
		if err != nil {
			t.Fatal(err)
		}
		if got := pk.(*packets.PublishPacket); got.TopicName != topic || !bytes.Equal(got.Payload, payload) || got.Qos != qos || got.Retain != retain || qos > 0 && got.MessageID != 7 {
			t.Fatalf("3.1.1 reads %v", got)
		}
		five, err := packets5.ReadPacket(bytes.NewReader(appendPublish(nil, m, qos, retain, 7, 5)))
		if err != nil {
			t.Fatal(err)
		}
		got := five.Content.(*packets5.Publish)
		if got.Topic != topic || !bytes.Equal(got.Payload, payload) || got.QoS != qos || got.Retain != retain || got.Properties.ContentType != content ||
			fmt.Sprint(got.Properties.User) != fmt.Sprint([]packets5.User{{Key: key, Value: value}}) {
			t.Fatalf("5 reads %v", got)
		}
	})
}

// TestLeanAnswersPubrecOnce: a broker that says PUBREC again and again gets one
// PUBREL, and can't fill the buffer.
func TestLeanAnswersPubrecOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	released := make(chan int, 1)
	go func() {
		n := 0
		defer func() { released <- n }()
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := packetReader{in: bufio.NewReader(conn), limit: 1 << 20}
		for {
			first, body, err := r.next()
			switch {
			case err != nil:
				return
			case first == firstConnect:
				_, _ = conn.Write([]byte{firstConnack, 2, 0, 0})
			case first&0xf0 == firstPublish:
				id := body[3:5] // behind a topic of one byte
				_, _ = conn.Write(bytes.Repeat([]byte{firstPubrec, 2, id[0], id[1]}, 1000))
				_, _ = conn.Write([]byte{firstPubcomp, 2, id[0], id[1]})
			case first == firstPubrel:
				n++
			}
		}
	}()
	c, err := Dial(t.Context(), Options{URL: "mqtt://" + ln.Addr().String(), MaxQoS: 2})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan Ack, 1)
	if err := c.Publish(&Message{Topic: "t", QoS: 2}, func(a Ack) { answered <- a }); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.Err != nil {
		t.Error(a.Err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := <-released; n != 1 {
		t.Errorf("%d PUBREL, want 1", n)
	}
}
