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
	large := strings.Repeat("x", 2000-rooted("t/0", nil))
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

// TestSubscriptionFlood: filters take so much memory and no more, those of one
// client leave room for others, and what is given up makes room.
func TestSubscriptionFlood(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		b, addr := start(t, newSink(), func(o *Options) { o.Limits.FilterBytes = 40_000 })
		c, _ := connect(t, addr, version, hello{id: "greedy", keep: true, expiry: 600})
		const fit = 6 // of a quarter: each has three levels
		refusal := byte(0x97)
		if version < 5 {
			refusal = 0x80
		}
		answer := func(c *raw, id uint16, filter string) byte {
			f := c.subscribe(id, filter, 1)
			return f.body[len(f.body)-1]
		}
		for i := range uint16(10) {
			want := byte(1)
			if i >= fit {
				want = refusal
			}
			if got := answer(c, 1+i, fmt.Sprintf("a/%d/+", i)); got != want {
				t.Errorf("filter %d: 0x%02x, want 0x%02x", i, got, want)
			}
		}
		if got := answer(c, 20, "a/0/+"); got != 1 {
			t.Errorf("a filter that it has: 0x%02x", got)
		}
		if st := b.Stats(); st.NotFiltered != 10-fit {
			t.Errorf("%d filters refused, want %d", st.NotFiltered, 10-fit)
		}
		other, _ := connect(t, addr, version, hello{id: "other"})
		if got := answer(other, 1, "a/+/b"); got != 1 {
			t.Errorf("another client's filter: 0x%02x", got)
		}
		used := b.subscribed.used()
		_ = other.Close()
		eventually(t, "the other's is given up", func() bool { return b.subscribed.used() < used })
		_ = c.Close()
		eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
		c, present := connect(t, addr, version, hello{id: "greedy", keep: true, expiry: 600})
		if got := answer(c, 1, "b/0/+"); !present || got != refusal {
			t.Errorf("in the session that goes on: 0x%02x", got)
		}
		_ = c.Close()
		eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
		c, _ = connect(t, addr, version, hello{id: "greedy"})
		if got := answer(c, 1, "b/0/+"); got != 1 {
			t.Errorf("in a new session: 0x%02x", got)
		}
		_ = c.Close()
		eventually(t, "all is given up", func() bool { return b.subscribed.used() == 0 })
	})
}

// TestDeepTopics: a level costs far more than its slash.
func TestDeepTopics(t *testing.T) {
	s := newSink()
	b, addr := start(t, s, func(o *Options) { o.Limits.RetainedBytes = 100_000 })
	system := b.Stats().Retained
	c, _ := connect(t, addr, 5, hello{id: "deep"})
	deep := strings.Repeat("/", mostLevels-1)
	for i := range uint16(2) { // one of about 100 kB
		c.publish(fmt.Sprint(i, deep), "x", 1, 1+i, retain)
		c.want(4, 1+i, 0)
	}
	if st := b.Stats(); st.Retained-system != 0 || st.NotRetained != 2 {
		t.Errorf("%d retained, %d not", st.Retained-system, st.NotRetained)
	}
	s.wait(t, 2)
	for _, topic := range []string{deep + "/", strings.Repeat("/", 65535)} {
		c, _ := connect(t, addr, 5, hello{id: "deeper"})
		c.publish(topic, "x", 1, 1, retain)
		if f := c.next(); f.kind() == 4 && f.body[2] < 0x80 {
			t.Errorf("%d levels are taken", len(topic)+1)
		}
		_ = c.Close()
	}
}
