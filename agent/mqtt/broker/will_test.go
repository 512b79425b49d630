package broker

import (
	"testing"
	"time"
)

func TestWill(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		s := newSink()
		b, addr := start(t, s, func(o *Options) { o.LocalOnly = []string{"local/#"} })
		r, _ := connect(t, addr, v, hello{id: "r"})
		r.subscribe(1, "#", 1)
		will := func(topic, payload string) *raw {
			c, _ := connect(t, addr, v, hello{id: "d", willTopic: topic, will: payload, willQoS: 1, willRetain: true})
			return c
		}

		_ = will("a", "gone").Close()
		if topic, payload, _, _ := r.message(); topic != "a" || payload != "gone" {
			t.Errorf("subscriber got %q %q", topic, payload)
		}
		if m := s.wait(t, 1)[0]; m.Topic != "a" || string(m.Payload) != "gone" || m.QoS != 1 || !m.Retain {
			t.Errorf("sink got %+v", m)
		}
		late, _ := connect(t, addr, v, hello{id: "late"})
		late.subscribe(1, "a", 0)
		if _, payload, _, first := late.message(); payload != "gone" || first&retain == 0 {
			t.Errorf("retained: %q %x", payload, first)
		}

		will("a", "").send([]byte{0x30, 0x80, 0x84, 0xaf, 0x5f}) // an empty payload deletes what is retained
		if m := s.wait(t, 2)[1]; m.Topic != "a" || len(m.Payload) != 0 || !m.Retain {
			t.Errorf("sink got %+v", m)
		}
		eventually(t, "nothing retained", func() bool { return len(b.srv.Topics.Messages("a")) == 0 })

		_ = will("local/a", "gone").Close()
		will("a", "gone").send([]byte{0xe0, 0}) // a clean end
		c := will("a", "taken over")
		connect(t, addr, v, hello{id: "d"})
		c.ended(0x8e)
		if m := s.wait(t, 3)[2]; string(m.Payload) != "taken over" {
			t.Errorf("sink got %+v", m)
		}
		time.Sleep(20 * time.Millisecond)
		if n := len(s.messages()); n != 3 {
			t.Errorf("sink has %d messages, want 3", n)
		}
		if n := b.Stats().Wills; n != 4 {
			t.Errorf("%d wills, want 4", n)
		}
	})
}

func TestWillDelay(t *testing.T) {
	s := newSink()
	b, addr := start(t, s, nil)
	h := hello{id: "d", willTopic: "a", will: "gone", willDelay: 1, expiry: 60}
	c, _ := connect(t, addr, 5, h)
	_ = c.Close()
	eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
	h.keep = true
	c, _ = connect(t, addr, 5, h) // back in time, with its session: no will
	time.Sleep(1300 * time.Millisecond)
	if n := len(s.messages()); n != 0 {
		t.Errorf("will of a client that came back: %d messages", n)
	}
	begun := time.Now()
	_ = c.Close()
	s.wait(t, 1)
	if d := time.Since(begun); d < 900*time.Millisecond {
		t.Errorf("will after %s, want 1 s", d)
	}
	h.expiry = 0 // the session ends with the connection, and with it the delay
	begun = time.Now()
	c, _ = connect(t, addr, 5, h)
	_ = c.Close()
	s.wait(t, 2)
	if d := time.Since(begun); d > 900*time.Millisecond {
		t.Errorf("will of an ended session after %s", d)
	}
}

func TestWillNeedsPermission(t *testing.T) {
	acl, err := ParseACL([]byte("topic write a\ntopic read b\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, addr := start(t, newSink(), func(o *Options) { o.ACL = acl })
	for _, tt := range []struct {
		version byte
		topic   string
		want    byte
	}{{4, "a", 0}, {4, "b", 5}, {5, "a", 0}, {5, "b", 0x87}, {5, "$SYS/x", 0x87}} {
		c := dialRaw(t, addr)
		if f := c.hello(tt.version, hello{id: "d", willTopic: tt.topic, will: "x"}); f.kind() != 2 || f.body[1] != tt.want {
			t.Errorf("version %d, will on %s: CONNACK %x, want %#x", tt.version, tt.topic, f.body, tt.want)
		}
	}
	if n := b.Stats().RefusedAuth; n != 3 {
		t.Errorf("%d refused, want 3", n)
	}
}
