package broker

import (
	"encoding/binary"
	"testing"
	"time"
)

// The cases of the public interoperability suites for MQTT brokers, written for
// this one, beyond what other tests here show (flow control, redelivery, exactly
// once, wills, topic aliases, keep alive).

// prime starts a broker whose sink takes everything.
func prime(t *testing.T) string {
	_, addr := start(t, &sink{}, nil)
	return addr
}

func TestInteropZeroLengthClientID(t *testing.T) {
	addr := prime(t)
	connect(t, addr, 4, hello{})
	c := dialRaw(t, addr) // and without a clean session, 3.1.1 must refuse [MQTT-3.1.3-8]
	if f := c.hello(4, hello{keep: true}); f.kind() != 2 || f.body[1] != 2 {
		t.Errorf("CONNACK %x", f.body)
	}
	c = dialRaw(t, addr)
	if f := c.hello(5, hello{}); f.kind() != 2 || f.body[1] != 0 || !assigned(f.body) {
		t.Errorf("CONNACK %x: no client id was assigned [MQTT-3.2.2-16]", f.body)
	}
}

// assigned looks for property 0x12 in a CONNACK.
func assigned(body []byte) bool {
	for i := 3; i+2 < len(body); i++ {
		if body[i] == 0x12 && i+3+int(binary.BigEndian.Uint16(body[i+1:])) <= len(body) {
			return true
		}
	}
	return false
}

// TestInteropRetained: one for each topic, to who subscribes later, at the lower
// QoS; an empty one deletes; live ones come without the flag.
func TestInteropRetained(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		p, _ := connect(t, addr, version, hello{id: "p"})
		live, _ := connect(t, addr, version, hello{id: "live"})
		live.subscribe(1, "r/+", 1)
		for i, topic := range []string{"r/0", "r/1", "r/2"} {
			p.publish(topic, "v", byte(i), uint16(i+1), retain)
			switch i {
			case 1:
				p.want(4, 2, 0)
			case 2:
				p.want(5, 3, 0)
				p.ack(0x62, 3)
				p.want(7, 3, 0)
			}
			if _, _, id, first := live.message(); first&retain != 0 {
				t.Errorf("%s came live with the retain flag", topic)
			} else if id > 0 {
				live.ack(0x40, id)
			}
		}
		p.publish("r/1", "", 1, 9, retain)
		p.want(4, 9, 0)
		s, _ := connect(t, addr, version, hello{id: "s"})
		s.subscribe(1, "+/+", 1)
		got := map[string]byte{}
		for range 2 {
			topic, _, id, first := s.message()
			got[topic] = first
			if id > 0 {
				s.ack(0x40, id)
			}
		}
		s.silent()
		if got["r/0"] != 0x31 || got["r/2"] != 0x33 {
			t.Errorf("retained: %x", got)
		}
	})
}

// TestInteropOverlapping: a message that several filters of a client match comes
// once for all or once for each, and at the highest QoS at least once.
func TestInteropOverlapping(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		s, _ := connect(t, addr, version, hello{id: "s"})
		s.subscribe(1, "a/#", 0)
		s.subscribe(2, "a/+", 1)
		p, _ := connect(t, addr, version, hello{id: "p"})
		p.publish("a/b", "x", 1, 1, 0)
		p.want(4, 1, 0)
		highest, times := byte(0), 0
		for {
			f, err := s.read(200 * time.Millisecond)
			if err != nil {
				break
			}
			times++
			highest = max(highest, f.first>>1&3)
		}
		if times < 1 || times > 2 || highest != 1 {
			t.Errorf("%d times, QoS %d at most", times, highest)
		}
	})
}

// TestInteropOfflineQueue: a session that is away gets QoS 1 and 2, in order,
// not what a clean one missed.
func TestInteropOfflineQueue(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		h := hello{id: "s", keep: true, expiry: 1000}
		s, _ := connect(t, addr, version, h)
		s.subscribe(1, "q/#", 2)
		_ = s.Close()
		p, _ := connect(t, addr, version, hello{id: "p"})
		for n := range uint16(3) {
			p.publish("q/"+string(rune('a'+n)), "x", 1, n+1, 0)
			p.want(4, n+1, 0)
		}
		s, present := connect(t, addr, version, h)
		if !present {
			t.Fatal("no session")
		}
		for n := range 3 {
			topic, _, id, _ := s.message()
			if want := "q/" + string(rune('a'+n)); topic != want {
				t.Errorf("%s, want %s", topic, want)
			}
			s.ack(0x40, id)
		}
		_ = s.Close()
		if s, present = connect(t, addr, version, hello{id: "s"}); present {
			t.Error("a clean start found a session")
		}
		s.silent()
	})
}

// TestInteropDollarTopics: wildcards at the front don't match them
// [MQTT-4.7.2-1], and clients don't publish there.
func TestInteropDollarTopics(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		s, _ := connect(t, addr, version, hello{id: "s"})
		s.subscribe(1, "#", 0)
		s.subscribe(2, "+/b", 0)
		p, _ := connect(t, addr, version, hello{id: "p"})
		p.publish("$a/b", "x", 0, 0, 0)
		p.publish("a/b", "y", 0, 0, 0)
		for range 2 {
			f, err := s.read(200 * time.Millisecond)
			if err != nil {
				break
			}
			if f.kind() == 3 && f.body[2] == '$' {
				t.Error("a wildcard matched a $ topic")
			}
		}
	})
}

func TestInteropUnsubscribe(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		s, _ := connect(t, addr, version, hello{id: "s"})
		for i, f := range []string{"u/a", "u/b"} {
			s.subscribe(uint16(i+1), f, 0)
		}
		var props []byte
		if version == 5 {
			props = []byte{0}
		}
		s.send(packet(0xa2, []byte{0, 9}, props, str("u/a")))
		if f := s.next(); f.kind() != 11 || f.id() != 9 {
			t.Fatalf("UNSUBACK %x %x", f.first, f.body)
		}
		p, _ := connect(t, addr, version, hello{id: "p"})
		p.publish("u/a", "x", 0, 0, 0)
		p.publish("u/b", "y", 0, 0, 0)
		if topic, _, _, _ := s.message(); topic != "u/b" {
			t.Errorf("%s arrived", topic)
		}
		s.silent()
	})
}

// TestInteropSubscribeFailure: a filter that the ACL refuses fails alone, with
// the code of the version.
func TestInteropSubscribeFailure(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		acl, err := ParseACL([]byte("topic readwrite open/#\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, addr := start(t, &sink{}, func(o *Options) { o.ACL = acl })
		s, _ := connect(t, addr, version, hello{id: "s"})
		want := map[byte]byte{4: 0x80, 5: 0x87}[version]
		if f := s.subscribe(1, "closed/#", 1); f.body[len(f.body)-1] != want {
			t.Errorf("SUBACK %x", f.body)
		}
		if f := s.subscribe(2, "open/x", 1); f.body[len(f.body)-1] != 1 {
			t.Errorf("SUBACK %x", f.body)
		}
	})
}

// TestInteropTakeover: a second connection with a client id ends the first
// [MQTT-3.1.4-2].
func TestInteropTakeover(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		addr := prime(t)
		first, _ := connect(t, addr, version, hello{id: "twin"})
		second, _ := connect(t, addr, version, hello{id: "twin"})
		first.ended(0x8e)
		second.send([]byte{0xc0, 0})
		if f := second.next(); f.kind() != 13 {
			t.Errorf("PINGRESP %x", f.first)
		}
	})
}
