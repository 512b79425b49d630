package broker

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
)

func TestAcknowledgeInOrderWhenDurable(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		s := newSink()
		s.manual = true
		_, addr := start(t, s, nil)
		c, _ := connect(t, addr, v, hello{id: "d"})
		c.publish("a", "1", 1, 11, 0)
		c.publish("a", "2", 2, 12, 0)
		c.publish("a", "3", 1, 13, 0)
		c.publish("a", "4", 0, 0, 0)
		s.wait(t, 4)
		c.silent()
		s.settle(2, nil)
		s.settle(1, nil)
		s.settle(3, nil)
		c.silent()
		s.settle(0, nil)
		c.want(4, 11, 0)
		c.want(5, 12, 0)
		c.want(4, 13, 0)
		c.ack(0x62, 12)
		c.want(7, 12, 0)
	})
}

func TestNoAckWhenNotDurable(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		for qos := byte(1); qos <= 2; qos++ {
			s := newSink()
			s.fail = errDisk
			b, addr := start(t, s, nil)
			c, _ := connect(t, addr, v, hello{id: "d"})
			c.publish("a", "1", qos, 11, 0)
			c.ended(0x80)
			if n := b.Stats().SinkErrors; n != 1 {
				t.Errorf("QoS %d: %d sink errors, want 1", qos, n)
			}

			s = newSink()
			s.refuse = errDisk
			b, addr = start(t, s, nil)
			c, _ = connect(t, addr, v, hello{id: "d"})
			c.publish("a", "1", qos, 11, 0)
			c.ended(0x80)
			if n := b.Stats().SinkErrors; n != 1 {
				t.Errorf("QoS %d: %d sink errors, want 1", qos, n)
			}
		}
	})
}

// TestLocalNeverWaits shows that local subscribers get what was read while the
// sink takes nothing, and that only the connection that publishes to it stops.
func TestLocalNeverWaits(t *testing.T) {
	s := newSink()
	s.gate = make(chan struct{})
	_, addr := start(t, s, func(o *Options) { o.LocalOnly = []string{"local/#"} })
	reader, _ := connect(t, addr, 4, hello{id: "r"})
	reader.subscribe(1, "#", 0)
	d, _ := connect(t, addr, 4, hello{id: "d"})
	d.publish("a", "1", 1, 11, retain)
	if topic, payload, _, _ := reader.message(); topic != "a" || payload != "1" {
		t.Errorf("got %q %q", topic, payload)
	}
	other, _ := connect(t, addr, 4, hello{id: "o"})
	other.publish("local/x", "2", 1, 1, 0)
	other.want(4, 1, 0)
	topic, _, _, _ := reader.message()
	if topic == "a" { // once more, as the retained message of its subscription: which of the two comes first is open
		topic, _, _, _ = reader.message()
	}
	if topic != "local/x" {
		t.Errorf("got %q", topic)
	}
	late, _ := connect(t, addr, 4, hello{id: "l"})
	late.subscribe(1, "a", 0)
	if _, payload, _, first := late.message(); payload != "1" || first&retain == 0 {
		t.Errorf("retained: got %q, %x", payload, first)
	}
	d.silent()
	close(s.gate)
	d.want(4, 11, 0)
	if got := s.messages(); len(got) != 1 || got[0].Topic != "a" || !got[0].Retain {
		t.Errorf("sink got %v", got)
	}
}

func TestHoldTimeout(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		s := newSink()
		s.gate = make(chan struct{})
		b, addr := start(t, s, func(o *Options) { o.Limits.HoldTimeout = 200 * time.Millisecond })
		c, _ := connect(t, addr, v, hello{id: "d"})
		c.publish("a", "1", 1, 11, 0)
		c.ended(0x97)
		if n := b.Stats().HoldTimeouts; n != 1 {
			t.Errorf("%d hold timeouts, want 1", n)
		}
		if len(s.messages()) != 0 {
			t.Error("the sink has the message")
		}
	})
}

// TestWindow: MQTT 5 is told the Receive Maximum, gets it back with each
// acknowledgement, and must keep to it; 3.1.1 is not read beyond it.
func TestWindow(t *testing.T) {
	s := newSink()
	s.manual = true
	_, addr := start(t, s, func(o *Options) { o.Limits.InFlight = 4 })

	c, _ := connect(t, addr, 5, hello{id: "five"})
	done := 0
	for round := range uint16(5) {
		for i := range uint16(4) {
			c.publish("a", "x", 1+byte(i%2), 1+i, 0)
		}
		s.wait(t, int(round+1)*4)
		for i := range uint16(4) {
			s.settle(done, nil)
			done++
			c.want(4+byte(i%2), 1+i, 0)
			if i%2 == 1 {
				c.ack(0x62, 1+i)
				c.want(7, 1+i, 0)
			}
		}
	}
	for i := range uint16(5) {
		c.publish("a", "x", 1, 1+i, 0)
	}
	c.ended(0x93)

	c, _ = connect(t, addr, 4, hello{id: "three"})
	n := len(s.wait(t, 24))
	for i := range uint16(8) {
		c.publish("a", "x", 1, 1+i, 0)
	}
	s.wait(t, n+4)
	time.Sleep(20 * time.Millisecond)
	if got := len(s.messages()); got != n+4 {
		t.Errorf("%d messages under way, want 4", got-n)
	}
	for i := range uint16(8) {
		s.wait(t, n+int(i)+1)
		s.settle(n+int(i), nil)
		c.want(4, 1+i, 0)
	}
}

func TestRedelivery(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		s := newSink()
		s.manual = true
		b, addr := start(t, s, nil)
		c, _ := connect(t, addr, v, hello{id: "d", keep: true, expiry: 60})
		c.publish("a", "1", 1, 11, 0)
		s.wait(t, 1)
		c.publish("a", "1", 1, 11, dup) // on the same connection, not acknowledged
		c.send([]byte{0xc0, 0})
		if f := c.next(); f.kind() != 13 {
			t.Fatalf("got %x, want PINGRESP", f.first)
		}
		if n := len(s.messages()); n != 1 {
			t.Errorf("redelivery before PUBACK: sink has %d messages, want 1", n)
		}
		s.settle(0, nil)
		c.want(4, 11, 0)
		c.publish("a", "2", 1, 11, dup) // acknowledged before: new
		s.wait(t, 2)
		_ = c.Close()
		eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
		c, _ = connect(t, addr, v, hello{id: "d", keep: true, expiry: 60})
		c.publish("a", "2", 1, 11, dup) // on a new connection: new
		s.wait(t, 3)
		s.settle(1, nil) // for the connection that is gone
		c.silent()
		s.settle(2, nil)
		c.want(4, 11, 0)
		if n := b.Stats().Duplicates; n != 1 {
			t.Errorf("%d duplicates, want 1", n)
		}
	})
}

func TestExactlyOnce(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		s := newSink()
		s.manual = true
		b, addr := start(t, s, nil)
		again := func(c *raw) *raw {
			_ = c.Close()
			eventually(t, "client gone", func() bool { return b.Stats().Clients == 1 })
			c, present := connect(t, addr, v, hello{id: "d", keep: true, expiry: 60})
			if !present {
				t.Fatal("session is gone")
			}
			return c
		}
		reader, _ := connect(t, addr, v, hello{id: "r"})
		reader.subscribe(1, "a", 2)
		c, _ := connect(t, addr, v, hello{id: "d", keep: true, expiry: 60})

		c.publish("a", "1", 2, 7, 0)
		s.wait(t, 1)
		c.publish("a", "1", 2, 7, dup) // waits for the same verdict
		c = again(c)
		c.publish("a", "1", 2, 7, dup) // so does this, on a new connection
		c.silent()
		s.settle(0, nil)
		c.want(5, 7, 0)
		c.publish("a", "1", 2, 7, dup) // PUBREC was lost, say
		c.want(5, 7, 0)
		c = again(c)
		c.publish("a", "1", 2, 7, dup)
		c.want(5, 7, 0)
		c.ack(0x62, 7)
		c.want(7, 7, 0)
		notFound := byte(0)
		if v == 5 {
			notFound = 0x92
		}
		c.ack(0x62, 7)
		c.want(7, 7, notFound)

		c.publish("a", "2", 2, 7, 0) // the id is free again
		s.wait(t, 2)
		s.settle(1, errDisk)
		c.ended(0x80)
		c = again(c)
		c.publish("a", "2", 2, 7, dup) // not taken: submitted again
		s.wait(t, 3)
		s.settle(2, nil)
		c.want(5, 7, 0)
		c.ack(0x62, 7)
		c.want(7, 7, 0)

		for _, want := range []string{"1", "2"} { // and locally each once
			if _, payload, _, _ := reader.message(); payload != want {
				t.Errorf("subscriber got %q, want %q", payload, want)
			}
		}
		reader.silent()
		if n := len(s.messages()); n != 3 {
			t.Errorf("sink has %d messages, want 3", n)
		}
	})
}

// TestStalledDevice: done does not block for a device that reads nothing, and
// nobody else notices.
func TestStalledDevice(t *testing.T) {
	s := newSink()
	s.manual = true
	b, addr := start(t, s, func(o *Options) {
		o.Limits.InFlight, o.Limits.QueueBytes = 1000, 64<<10
		o.Limits.WriteTimeout = time.Minute
	})
	ours, theirs := newPipe()
	defer ours.Close()
	go b.serve(&door{b: b, spec: Listener{Anonymous: true}}, theirs)
	stalled := &raw{t: t, Conn: ours, r: ours.reader(), version: 4}
	stalled.hello(4, hello{id: "stalled"})
	stalled.subscribe(1, "#", 1)
	for i := range uint16(200) {
		stalled.publish("a", "x", 1, 1+i, 0)
	}
	s.wait(t, 200)
	begun := time.Now()
	for i := range 200 {
		s.settle(i, nil)
	}
	other, _ := connect(t, addr, 4, hello{id: "other"})
	for i := range uint16(100) {
		other.publish("b", strings.Repeat("y", 2000), 1, 1+i, 0)
		s.wait(t, 201+int(i))
		s.settle(200+int(i), nil)
		other.want(4, 1+i, 0)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("took %s beside a stalled device", d)
	}
	if n := b.Stats().SlowClients; n != 1 {
		t.Errorf("%d slow clients ended, want 1 (QoS 1 beyond twice the queue)", n)
	}
}

func TestSlowSubscriber(t *testing.T) {
	s := newSink()
	b, addr := start(t, s, func(o *Options) { o.Limits.QueueBytes = 32 << 10 })
	ours, theirs := newPipe()
	defer ours.Close()
	go b.serve(&door{b: b, spec: Listener{Anonymous: true}}, theirs)
	slow := &raw{t: t, Conn: ours, r: ours.reader(), version: 4}
	slow.hello(4, hello{id: "slow"})
	slow.subscribe(1, "#", 0)
	d, _ := connect(t, addr, 4, hello{id: "d"})
	for i := range uint16(60) {
		d.publish("a", strings.Repeat("z", 2000), 1, 1+i, 0)
		d.want(4, 1+i, 0)
	}
	eventually(t, "QoS 0 dropped", func() bool { return b.Stats().DroppedQoS0 > 10 })
	if st := b.Stats(); st.SlowClients != 0 || st.Durable != 60 {
		t.Errorf("stats %+v", st)
	}
	slow.message() // it is still connected
}

// TestClientReceiveMaximum: a subscriber gets no more than it asked for at
// once, in order, and everything in the end.
func TestClientReceiveMaximum(t *testing.T) {
	_, addr := start(t, newSink(), nil)
	reader, _ := connect(t, addr, 5, hello{id: "r", receiveMax: 3})
	reader.subscribe(1, "a", 1)
	d, _ := connect(t, addr, 5, hello{id: "d"})
	for i := range uint16(50) {
		d.publish("a", fmt.Sprint(i), 1, 1+i, 0)
		d.want(4, 1+i, 0)
	}
	var ids []uint16
	for i := range 50 {
		_, payload, id, _ := reader.message()
		if payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, payload)
		}
		if ids = append(ids, id); len(ids) == 3 {
			reader.silent()
			for _, id := range ids {
				reader.ack(0x40, id)
			}
			ids = nil
		}
	}
}

// TestSessionResumes: what was queued comes in order, and the packet ids of
// client and broker are independent.
func TestSessionResumes(t *testing.T) {
	versions(t, func(t *testing.T, v byte) {
		b, addr := start(t, newSink(), nil)
		r, _ := connect(t, addr, v, hello{id: "r", keep: true, expiry: 60})
		r.subscribe(1, "a", 1)
		_ = r.Close()
		eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
		d, _ := connect(t, addr, v, hello{id: "d"})
		for i := range uint16(100) {
			d.publish("a", fmt.Sprint(i), 1, 1+i, 0)
			d.want(4, 1+i, 0)
		}
		r, present := connect(t, addr, v, hello{id: "r", keep: true, expiry: 60})
		if !present {
			t.Error("no session")
		}
		var last uint16
		for i := range 100 {
			_, payload, id, _ := r.message()
			if payload != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, payload)
			}
			last = id
		}
		if f := r.subscribe(last, "b", 0); f.body[len(f.body)-1] != 0 {
			t.Errorf("SUBSCRIBE with a packet id the broker uses: SUBACK %x", f.body)
		}
		r.publish("c", "x", 1, last, 0) // must not count as the answer to the broker's
		r.want(4, last, 0)
		r.ack(0x40, last)
		r.send([]byte{0xe0, 0})
		r.ended(0)
		r, _ = connect(t, addr, v, hello{id: "r", keep: true, expiry: 60})
		for i := range 99 {
			if _, payload, _, first := r.message(); payload != fmt.Sprint(i) || first&dup == 0 {
				t.Fatalf("sent again: message %d is %q, %x", i, payload, first)
			}
		}
		r.silent()
	})
}

func TestWhatLeaves(t *testing.T) {
	s := newSink()
	_, addr := start(t, s, func(o *Options) {
		o.LocalOnly = []string{"home/#", "+/secret"}
		o.Dollar = []string{"$site/out/#"}
	})
	r, _ := connect(t, addr, 4, hello{id: "r"})
	r.subscribe(1, "#", 0)
	r.subscribe(2, "$site/#", 0)
	d, _ := connect(t, addr, 4, hello{id: "d"})
	for i, topic := range []string{"home", "home/a", "x/secret", "x/secret/y", "$site/in", "$site/out/1", "$SYS/broker/version", "$sys", "homes"} {
		d.publish(topic, "x", 1, uint16(i+1), 0)
		d.want(4, uint16(i+1), 0)
	}
	var local, out []string
	for range 7 {
		topic, _, _, _ := r.message()
		local = append(local, topic)
	}
	r.silent()
	for _, m := range s.messages() {
		out = append(out, m.Topic)
	}
	if got, want := strings.Join(local, " "), "home home/a x/secret x/secret/y $site/in $site/out/1 homes"; got != want {
		t.Errorf("local: %s\nwant:  %s", got, want)
	}
	if got, want := strings.Join(out, " "), "x/secret/y $site/out/1 homes"; got != want {
		t.Errorf("sink: %s\nwant: %s", got, want)
	}
}

func TestPropertiesAndAliases(t *testing.T) {
	s := newSink()
	_, addr := start(t, s, func(o *Options) { o.Limits.TopicAliases = 2 })
	c, _ := connect(t, addr, 5, hello{id: "d"})
	props := append([]byte{0x03}, str("text/plain")...)
	props = append(props, 0x26)
	props = append(append(props, str("key")...), str("value")...)
	alias := []byte{0x23, 0, 2}
	send := func(topic string, id uint16, p []byte) {
		c.send(packet(0x32, str(topic), []byte{byte(id >> 8), byte(id), byte(len(p))}, p, []byte("x")))
	}
	send("a/b", 1, append(alias, props...))
	c.want(4, 1, 0) // no properties echoed: want checks the reason only, so look at the next
	send("", 2, alias)
	if f := c.next(); f.first != 0x40 || len(f.body) != 2 {
		t.Errorf("PUBACK is %x %x", f.first, f.body)
	}
	got := s.wait(t, 2)
	if m := got[0]; m.ContentType != "text/plain" || len(m.Props) != 1 || m.Props[0] != (mqtt.Prop{"key", "value"}) {
		t.Errorf("sink got %+v", m)
	}
	if got[1].Topic != "a/b" {
		t.Errorf("alias gave topic %q", got[1].Topic)
	}
	send("", 3, []byte{0x23, 0, 1})
	c.ended(0x82)
	c, _ = connect(t, addr, 5, hello{id: "d"})
	send("a", 3, []byte{0x23, 0, 3})
	c.ended(0x94)
}

func TestRate(t *testing.T) {
	s := newSink()
	_, addr := start(t, s, func(o *Options) { o.Limits.Rate = 50 })
	c, _ := connect(t, addr, 4, hello{id: "d"})
	begun := time.Now()
	for i := range uint16(70) {
		c.publish("a", "x", 1, 1+i, 0)
	}
	for i := range uint16(70) {
		c.want(4, 1+i, 0)
	}
	if d := time.Since(begun); d < 300*time.Millisecond {
		t.Errorf("70 messages at 50 a second, with a burst of 50, took %s", d)
	}
}

// TestCloseDrains: what is submitted when Close is called still gets its
// acknowledgement.
func TestCloseDrains(t *testing.T) {
	s := newSink()
	s.manual = true
	b, addr := start(t, s, nil)
	c, _ := connect(t, addr, 5, hello{id: "d"})
	c.publish("a", "1", 1, 11, 0)
	s.wait(t, 1)
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		closed <- b.Close(ctx)
	}()
	eventually(t, "draining", b.draining.Load)
	c.publish("a", "2", 1, 12, 0) // too late
	time.Sleep(20 * time.Millisecond)
	s.settle(0, nil)
	c.want(4, 11, 0)
	c.ended(0x8b)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := len(s.messages()); n != 1 {
		t.Errorf("sink has %d messages, want 1", n)
	}
}

// TestPacketAcrossTheBuffer: the first byte of a packet is the last of what fits
// the buffer, and what comes next overwrites it there.
func TestPacketAcrossTheBuffer(t *testing.T) {
	s := newSink()
	_, addr := start(t, s, nil)
	c := dialRaw(t, addr)
	c.hello(4, hello{id: "dev"})
	first := packet(0x30, str("t"), bytes.Repeat([]byte("x"), 8191-3-3))
	second := packet(0x30, str("t"), bytes.Repeat([]byte("y"), 10_000))
	if len(first) != 8191 {
		t.Fatalf("the first packet has %d bytes, want one less than the buffer", len(first))
	}
	c.send(append(first, second[0]))
	s.wait(t, 1)
	c.send(second[1:])
	if got := s.wait(t, 2)[1]; len(got.Payload) != 10_000 || got.Payload[0] != 'y' {
		t.Errorf("the second message has %d bytes", len(got.Payload))
	}
}

// TestBucket: what a client may do at once is what it may in a second; what it
// does beyond that it waits for, and for nothing else.
func TestBucket(t *testing.T) {
	var b bucket
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		n     int
		wait  time.Duration
	}{
		{0, 100, 0},
		{0, 50, 500 * time.Millisecond},
		{500 * time.Millisecond, 0, 0},
		{0, 300, 3 * time.Second}, // more than there ever is: it waits for its own
		{time.Hour, 100, 0},
		{0, 1, 10 * time.Millisecond},
	} {
		now = now.Add(step.after)
		if got := b.take(now, step.n, 100); got.Round(time.Millisecond) != step.wait {
			t.Errorf("step %d: %s, want %s", i, got, step.wait)
		}
	}
	if d := b.take(now, 1<<20, 0); d != 0 {
		t.Errorf("without a limit it waits %s", d)
	}
}

// TestSlowedClientIsAlone: a client that is held to its rate holds nobody else.
func TestSlowedClientIsAlone(t *testing.T) {
	s := newSink()
	_, addr := start(t, s, func(o *Options) { o.Limits.RateBytes = 100 })
	greedy, _ := connect(t, addr, 4, hello{id: "greedy"})
	for i := range uint16(3) {
		greedy.publish("a", string(make([]byte, 5000)), 1, 1+i, 0)
	}
	modest, _ := connect(t, addr, 4, hello{id: "modest"})
	modest.publish("b", "x", 1, 1, 0)
	modest.want(4, 1, 0)
	for _, m := range s.messages() {
		if m.Topic == "b" {
			return
		}
	}
	t.Error("the other client's message is not there")
}
