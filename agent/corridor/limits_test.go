package corridor_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
)

func (g *gateway) set(t *testing.T) []spool.Quarantined {
	t.Helper()
	var all []spool.Quarantined
	for q, err := range g.spool.Quarantined(0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
	return all
}

// A broker that is over its quota, or takes away a permission for a while, stops
// the lane: nothing is lost or set aside, what was refused is sent again in its
// order, and an alarm stands meanwhile.
func TestQuotaStopsTheLane(t *testing.T) {
	for code, mood := range map[byte]mood{0x97: overQuota, 0x87: unauthorized} {
		t.Run(fmt.Sprintf("%x", code), func(t *testing.T) { stopsTheLane(t, code, mood) })
	}
}

func stopsTheLane(t *testing.T, code byte, refusal mood) {
	const n = 30
	var mu sync.Mutex // guards below
	var codes []byte
	var taken []string
	cloud := &cloud{mood: func(n int, m *mqtt.Message) mood { // under the cloud's lock
		if n <= 3 {
			return refusal
		}
		taken = append(taken, string(m.Payload))
		return acknowledge
	}}
	g := newGatewayWith(t, builtIn, func(u *corridor.Uplink) {
		u.Dial, u.StopFirst, u.Window = cloud.dial, 20*time.Millisecond, 1
		u.Refused = func(c byte) {
			mu.Lock()
			defer mu.Unlock()
			codes = append(codes, c)
		}
	})
	for i := range n {
		if err := g.publish(t.Context(), "line/a", fmt.Sprintf(`{"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "everything is acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == n })
	for i, payload := range taken {
		if want := fmt.Sprintf(`{"n":%d}`, i); payload != want {
			t.Fatalf("taken as number %d: %s, want %s", i, payload, want)
		}
	}
	if cloud.conns != 1 {
		t.Errorf("%d connections, want one: a refusal is no reason to leave", cloud.conns)
	}
	if q := g.set(t); len(q) != 0 {
		t.Errorf("%d messages in quarantine, want none", len(q))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(codes) < 2 || codes[0] != code || codes[len(codes)-1] != 0 {
		t.Errorf("told of %x, want %x first and 0 at the end", codes, code)
	}
}

// A message that is refused for what it is goes to quarantine, and only that.
func TestRefusedMessageIsSetAside(t *testing.T) {
	cloud := &cloud{mood: func(_ int, m *mqtt.Message) mood {
		if strings.HasSuffix(m.Topic, "/bad") {
			return badTopic
		}
		return acknowledge
	}}
	g := newGateway(t, cloud, builtIn)
	for _, topic := range []string{"line/a", "line/bad", "line/b"} {
		if err := g.publish(t.Context(), topic, `{"n":1}`); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the others are acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == 2 })
	eventually(t, "one is set aside", func() bool { return g.corridor.Stats().Uplinks[0].Quarantined == 1 })
	if q := g.set(t); len(q) != 1 || q[0].Reason != "refused_by_broker" || q[0].Topic != "site/line/bad" {
		t.Errorf("quarantine holds %+v", q)
	}
}

// large is a message that a quarantine of 4 MiB holds some 250 of.
func large(n int) string {
	return fmt.Sprintf(`{"n":%d,"v":[0%s]}`, n, strings.Repeat(",1", 8<<10))
}

// pour submits messages without waiting for each, and then for all.
func (g *gateway) pour(t *testing.T, n int, topic func(int) string) {
	t.Helper()
	answers := make(chan error, n)
	for i := range n {
		m := mqtt.Message{Topic: topic(i), Payload: []byte(large(i)), QoS: 1}
		if err := g.corridor.Submit(t.Context(), mqtt.Source{}, m, func(err error) { answers <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
}

// after dials once ready is closed: a lane that stands while a slow machine still
// publishes would wait for as long again.
func after(ready <-chan struct{}, c *cloud) func(context.Context) (mqtt.Conn, error) {
	return func(ctx context.Context) (mqtt.Conn, error) {
		select {
		case <-ready:
			return c.dial(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A broker that refuses everything for what it is, as one set up wrongly does,
// must not drain the backlog through a quarantine that loses its oldest: once
// that is full the lane stands, and an alarm says so. When the broker is mended
// everything else leaves, in its order.
func TestBrokerThatTakesNothing(t *testing.T) {
	const n = 500
	ready := make(chan struct{})
	var mended, alarm atomic.Bool
	var tries atomic.Int64
	taken := map[string][]string{} // under the cloud's lock
	cloud := &cloud{mood: func(_ int, m *mqtt.Message) mood {
		if tries.Add(1); !mended.Load() {
			return badTopic
		}
		number, _, _ := strings.Cut(string(m.Payload), ",")
		taken[m.Topic] = append(taken[m.Topic], number)
		return acknowledge
	}}
	g := newGatewayWith(t, builtIn, func(u *corridor.Uplink) {
		u.Dial, u.StopFirst = after(ready, cloud), 10*time.Millisecond
		u.Refused = func(c byte) { alarm.Store(c != 0) }
	})
	topic := func(i int) string { return "line/" + string(rune('a'+i%5)) }
	g.pour(t, n, topic)
	close(ready)
	eventually(t, "the lane stands", alarm.Load)
	aside, tried := g.corridor.Stats().Uplinks[0].Quarantined, tries.Load()
	eventually(t, "it is tried again and again", func() bool { return tries.Load() > tried+5 })
	if now := g.corridor.Stats().Uplinks[0].Quarantined; now != aside || now == 0 || now == n {
		t.Fatalf("%d of %d messages in quarantine, then %d; want some, and no more of them", aside, n, now)
	}
	mended.Store(true)
	eventually(t, "the rest is acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == n-aside })
	eventually(t, "the alarm ends", func() bool { return !alarm.Load() })
	q := g.set(t)
	if len(q) != int(aside) {
		t.Errorf("quarantine holds %d messages, want %d", len(q), aside)
	}
	held := map[string]bool{}
	for _, x := range q {
		number, _, _ := strings.Cut(string(x.Payload), ",")
		held[number] = true
	}
	cloud.mu.Lock()
	defer cloud.mu.Unlock()
	for i := range 5 {
		var want []string
		for j := i; j < n; j += 5 {
			if number := fmt.Sprintf(`{"n":%d`, j); !held[number] {
				want = append(want, number)
			}
		}
		if got := taken["site/"+topic(i)]; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", topic(i), got, want)
		}
	}
}

// A device whose every message is refused stops nobody: the broker takes those
// of others, so that the quarantine, full as it is, goes on losing its oldest.
func TestBadDeviceStopsNobody(t *testing.T) {
	const bad, good = 800, 20
	ready := make(chan struct{})
	cloud := &cloud{mood: func(_ int, m *mqtt.Message) mood {
		if strings.HasSuffix(m.Topic, "/bad") {
			return badTopic
		}
		return acknowledge
	}}
	g := newGatewayWith(t, builtIn, func(u *corridor.Uplink) {
		u.Dial, u.StopFirst = after(ready, cloud), 10*time.Millisecond
	})
	g.pour(t, bad, func(int) string { return "line/bad" })
	for i := range 2 * good {
		if err := g.publish(t.Context(), "line/good", fmt.Sprintf(`{"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
		if i == good {
			close(ready)
			eventually(t, "good ones are acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged >= good })
		}
	}
	eventually(t, "later ones, too", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == 2*good })
	eventually(t, "all bad ones were set aside", func() bool { return g.corridor.Stats().Uplinks[0].Quarantined == bad })
}

// What an uplink can't take is set aside without being sent.
func TestLimits(t *testing.T) {
	cloud := &cloud{}
	g := newGatewayWith(t, builtIn, func(u *corridor.Uplink) {
		u.Dial = cloud.dial
		u.Limits = corridor.Limits{TopicBytes: 20, TopicLevels: 3, PayloadBytes: 100, StripRetain: true}
	})
	long := `{"n":"` + strings.Repeat("x", 100) + `"}`
	for _, m := range []mqtt.Message{
		{Topic: "a", Payload: []byte(`{"n":1}`), Retain: true},
		{Topic: "a/b/c", Payload: []byte(`{"n":1}`)},
		{Topic: "a-topic-too-long", Payload: []byte(`{"n":1}`)},
		{Topic: "a", Payload: []byte(long)},
		{Topic: "b", Payload: []byte(`{"n":2}`)},
	} {
		m.QoS = 1
		answer := make(chan error, 1)
		if err := g.corridor.Submit(t.Context(), mqtt.Source{}, m, func(err error) { answer <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "what fits is acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == 2 })
	eventually(t, "the rest is set aside", func() bool { return g.corridor.Stats().Uplinks[0].Quarantined == 3 })
	var reasons []string
	for _, q := range g.set(t) {
		reasons = append(reasons, q.Reason)
	}
	slices.Sort(reasons)
	if want := []string{"payload_too_large", "topic_too_deep", "topic_too_long"}; !slices.Equal(reasons, want) {
		t.Errorf("set aside for %v, want %v", reasons, want)
	}
	for _, m := range cloud.messages() {
		if m.Retain || len(m.Topic) > 20 || len(m.Payload) > 100 {
			t.Errorf("sent: %s with %d bytes, retain %t", m.Topic, len(m.Payload), m.Retain)
		}
	}
}

// On MQTT 5 a message says what it is.
func TestProperties(t *testing.T) {
	cloud := &cloud{}
	g := newGatewayWith(t, builtIn, func(u *corridor.Uplink) { u.Dial, u.Properties = cloud.dial, true })
	for _, payload := range []string{`{"n":1}`, `{"password":"tR7-vq-Lw29z"}`} {
		if err := g.publish(t.Context(), "line/a", payload); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both arrive", func() bool { return cloud.count() == 2 })
	for i, m := range cloud.messages() {
		props := map[string]string{}
		for _, p := range m.Props {
			props[p[0]] = p[1]
		}
		id, err := hex.DecodeString(props["sealgate-id"])
		if err != nil || len(id) != 16 || props["sealgate-policy"] == "" || !strings.HasPrefix(props["sealgate-grade"], "L") {
			t.Errorf("message %d has properties %v", i, m.Props)
		}
		if sealed := i == 1; (props["sealgate-kid"] != "") != sealed || (m.ContentType != "") != sealed {
			t.Errorf("message %d: key id %q, content type %q", i, props["sealgate-kid"], m.ContentType)
		}
	}
}
