package broker

import (
	"fmt"
	"strings"
	"testing"
)

// crowd starts a broker that keeps little for its clients.
func crowd(t *testing.T, s *sink) (*Broker, string) {
	t.Helper()
	return start(t, s, func(o *Options) {
		o.Limits.RetainedBytes, o.Limits.QueuedBytes, o.Limits.Sessions = 10_000, 40_000, 3
	})
}

// TestRetainedFlood: retained messages take so much memory and no more; what has
// no room is delivered, and leaves, and what it would have replaced goes.
func TestRetainedFlood(t *testing.T) {
	s := newSink()
	b, addr := crowd(t, s)
	listener, _ := connect(t, addr, 5, hello{id: "listener"})
	listener.subscribe(1, "t/#", 0)
	c, _ := connect(t, addr, 5, hello{id: "flood"})
	system := b.Stats().Retained
	large := strings.Repeat("x", 1488-len("t/0"))
	for i := range uint16(10) { // five of them fit
		c.publish(fmt.Sprint("t/", i), large, 1, 1+i, retain)
		c.want(4, 1+i, 0)
		if topic, _, _, _ := listener.message(); topic != fmt.Sprint("t/", i) {
			t.Errorf("%s instead of message %d", topic, i)
		}
	}
	if st := b.Stats(); st.Retained-system != 5 || st.NotRetained != 5 || b.retained.used() != 10_000 {
		t.Errorf("%d retained, %d not, %d bytes", st.Retained-system, st.NotRetained, b.retained.used())
	}
	if n := len(s.wait(t, 10)); n != 10 {
		t.Errorf("%d messages left, want 10", n)
	}
	c.publish("t/0", large+"y", 1, 20, retain)
	c.want(4, 20, 0)
	if _, ok := b.srv.Topics.Retained.Get("t/0"); ok {
		t.Error("what a message that is not retained replaced is still retained")
	}
	c.publish("t/1", "", 1, 21, retain) // a deletion makes room
	c.want(4, 21, 0)
	for i := range uint16(2) {
		c.publish(fmt.Sprint("t/", 8+i), large, 1, 22+i, retain)
		c.want(4, 22+i, 0)
	}
	if st := b.Stats(); st.Retained-system != 5 || st.NotRetained != 6 {
		t.Errorf("%d retained after a deletion, %d not", st.Retained-system, st.NotRetained)
	}
}

// TestQueueFlood: what waits for one session takes so much memory and no more,
// and leaves room for other sessions.
func TestQueueFlood(t *testing.T) {
	b, addr := crowd(t, newSink())
	for _, id := range []string{"away", "other"} {
		c, _ := connect(t, addr, 5, hello{id: id, keep: true, expiry: 600})
		c.subscribe(1, id+"/#", 1)
		_ = c.Close()
	}
	eventually(t, "clients gone", func() bool { return b.Stats().Clients == 0 })
	c, _ := connect(t, addr, 5, hello{id: "flood"})
	large := strings.Repeat("x", 1488-len("away/t"))
	for i := range uint16(50) { // five of them fit
		c.publish("away/t", large, 1, 1+i, 0)
		c.want(4, 1+i, 0)
	}
	c.publish("other/t", "small", 1, 100, 0)
	c.want(4, 100, 0)
	if st := b.Stats(); st.DroppedQueue != 45 || b.queued.used() > 12_000 {
		t.Errorf("%d dropped, %d bytes", st.DroppedQueue, b.queued.used())
	}
	other, _ := connect(t, addr, 5, hello{id: "other", keep: true, expiry: 600})
	if _, payload, id, _ := other.message(); payload != "small" {
		t.Errorf("the other session got %q", payload)
	} else {
		other.ack(0x40, id)
	}
	away, _ := connect(t, addr, 5, hello{id: "away", keep: true, expiry: 600})
	for i := range 5 {
		_, payload, id, _ := away.message()
		if payload != large {
			t.Fatalf("message %d: %d bytes", i, len(payload))
		}
		away.ack(0x40, id)
	}
	away.silent()
	eventually(t, "room is free again", func() bool { return b.queued.used() == 0 })
}

// TestSessionFlood: sessions that outlive their connections are counted.
func TestSessionFlood(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		b, addr := crowd(t, newSink())
		for i := range 5 {
			c := dialRaw(t, addr)
			ack := c.hello(version, hello{id: fmt.Sprint("s", i), keep: true, expiry: 600})
			refusal := byte(0x97)
			if version < 5 {
				refusal = 3
			}
			if i < 3 && ack.body[1] != 0 || i >= 3 && ack.body[1] != refusal {
				t.Errorf("session %d: CONNACK 0x%02x", i, ack.body[1])
			}
			_ = c.Close()
			eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
		}
		connect(t, addr, version, hello{id: "passing"}) // ends with its connection
		if _, present := connect(t, addr, version, hello{id: "s1", keep: true, expiry: 600}); !present {
			t.Error("a session that was there is not continued")
		}
		if n := b.Stats().Sessions; n != 4 {
			t.Errorf("%d sessions", n)
		}
	})
}
