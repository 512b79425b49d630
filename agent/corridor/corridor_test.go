package corridor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/protect"
)

// gateway has the real stages around a corridor; only the uplink's end is in
// memory.
type gateway struct {
	t        testing.TB
	refer    bool // grants travel on their own
	grants   *corridor.Grants
	spool    *spool.Spool
	signer   *crypto.Signer
	corridor *corridor.Corridor

	mu     sync.Mutex
	events []corridor.Event
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// generation builds rules from a policy ("" for the built-in one), with or
// without recipients.
func (g *gateway) generation(src string, recipients bool) *corridor.Generation {
	v := policy.Vocabulary{Actions: protect.Specs(), Uplinks: []string{"cloud"}, Recipients: []string{"ops"}}
	var p *policy.Policy
	if src == "" {
		p = must[*policy.Policy](g.t)(policy.BuiltIn("generic", v, policy.Guard{}))
	} else {
		p = must[*policy.Policy](g.t)(policy.Compile([]byte(src), v, policy.Guard{}))
	}
	opt := protect.Options{
		Policy: p, Gateway: "gw", Signer: g.signer, Boot: 1, Reference: g.refer,
		Pseudonyms: func(domains []string) (*crypto.Pseudonymizer, error) {
			var keys []crypto.PseudonymKey
			for _, d := range domains {
				keys = append(keys, crypto.PseudonymKey{Domain: d, Version: 1, Key: must[*crypto.SecretKey](g.t)(crypto.NewSecretKey())})
			}
			return crypto.NewPseudonymizer(keys)
		},
	}
	if recipients {
		for _, audience := range []string{"ops", "recovery"} {
			k := must[*crypto.RecipientKey](g.t)(crypto.GenerateRecipientKey(crypto.KEMX25519))
			opt.Recipients = append(opt.Recipients, envelope.Recipient{Recipient: k.Recipient(), Audience: audience, Recovery: audience == "recovery"})
		}
	}
	return &corridor.Generation{Policy: p, Protector: must[*protect.Protector](g.t)(protect.New(opt))}
}

func newGateway(t testing.TB, cloud *cloud, gen func(*gateway) *corridor.Generation, dial ...func(context.Context) (mqtt.Conn, error)) *gateway {
	dial = append(dial, cloud.dial)
	return newGatewayWith(t, gen, func(u *corridor.Uplink) { u.Dial = dial[0] })
}

// newGatewayWith lets a test set up the uplink.
func newGatewayWith(t testing.TB, gen func(*gateway) *corridor.Generation, setUp func(*corridor.Uplink)) *gateway {
	g := &gateway{t: t, signer: must[*crypto.Signer](t)(crypto.GenerateSigner())}
	g.spool = must[*spool.Spool](t)(spool.Open(spool.Options{
		Dir: t.TempDir(), Uplinks: []string{"cloud"}, Size: 64 << 20, Volatile: true,
		Key: must[*crypto.SecretKey](t)(crypto.NewSecretKey()),
	}))
	g.corridor = must[*corridor.Corridor](t)(corridor.New(g.options(gen(g), setUp)))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(g.corridor.Close(ctx), g.spool.Close()); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gateway) options(gen *corridor.Generation, setUp func(*corridor.Uplink)) corridor.Options {
	uplink := corridor.Uplink{
		Name: "cloud", Grants: g.grants, Window: 32, BackoffMax: 20 * time.Millisecond, AckTimeout: 300 * time.Millisecond,
		Map: func(topic string) (protect.Mapping, bool) {
			return protect.Mapping{Prefix: "site/"}, !strings.HasPrefix(topic, "stays/")
		},
	}
	setUp(&uplink)
	return corridor.Options{
		Spool: g.spool, Generation: gen, State: classify.NewState(), Workers: 3, Logger: slog.New(slog.DiscardHandler),
		Observe: func(e *corridor.Event) {
			g.mu.Lock()
			g.events = append(g.events, *e)
			g.mu.Unlock()
		},
		Uplinks: []corridor.Uplink{uplink},
	}
}

// publish submits as a device does: one message, acknowledged or not.
func (g *gateway) publish(ctx context.Context, topic, payload string) error {
	answer := make(chan error, 1)
	err := g.corridor.Submit(ctx, mqtt.Source{Client: 7}, mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: 1}, func(err error) { answer <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-time.After(10 * time.Second):
		return errors.New("no answer")
	}
}

// cloud is a broker's end in memory. mood decides about each publish.
type cloud struct {
	mu       sync.Mutex
	received []mqtt.Message
	conns    int
	mood     func(n int, m *mqtt.Message) mood // n counts publishes, over all connections
	n        int
}

type mood int

const (
	acknowledge  mood = iota
	cut               // take it, end the connection without an answer
	ignore            // take it, never answer
	refuse            // answer with a reason code of MQTT 5
	overQuota         // refuse it with 0x97
	unauthorized      // refuse it with 0x87
	badTopic          // refuse it with 0x90
)

func (c *cloud) dial(context.Context) (mqtt.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns++
	return &cloudConn{c: c, done: make(chan error, 1), acks: make(chan func(mqtt.Ack), 1024)}, nil
}

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.received)
}

func (c *cloud) messages() []mqtt.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]mqtt.Message(nil), c.received...)
}

type cloudConn struct {
	c    *cloud
	done chan error
	acks chan func(mqtt.Ack)
	dead atomic.Bool
}

var errCut = errors.New("cut")

func (k *cloudConn) Publish(m *mqtt.Message, acked func(mqtt.Ack)) error {
	if k.dead.Load() {
		return errCut
	}
	k.c.mu.Lock()
	k.c.n++
	mood := acknowledge
	if k.c.mood != nil {
		mood = k.c.mood(k.c.n, m)
	}
	k.c.received = append(k.c.received, *m)
	k.c.mu.Unlock()
	switch mood {
	case cut:
		if !k.dead.Swap(true) {
			k.done <- errCut
		}
	case acknowledge, refuse, overQuota, unauthorized, badTopic:
		var answer mqtt.Ack
		if mood != acknowledge {
			answer.Code = map[int]byte{int(refuse): 0x9a, int(overQuota): 0x97, int(unauthorized): 0x87, int(badTopic): 0x90}[int(mood)]
			answer.Err = &mqtt.ReasonError{Code: answer.Code}
		}
		go func() {
			if !k.dead.Load() {
				acked(answer)
			}
		}()
	}
	return nil
}

func (k *cloudConn) Done() <-chan error { return k.done }
func (k *cloudConn) Close() error       { k.dead.Store(true); return nil }

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func builtIn(g *gateway) *corridor.Generation { return g.generation("", true) }

// TestOrderAcrossCuts publishes on many topics at once while the uplink is cut
// again and again: nothing is lost, and within a topic nothing comes before
// what was published earlier.
func TestOrderAcrossCuts(t *testing.T) {
	c := &cloud{mood: func(n int, _ *mqtt.Message) mood {
		if n%97 == 0 {
			return cut
		}
		return acknowledge
	}}
	g := newGateway(t, c, builtIn)
	const topics, each = 12, 100
	var wg sync.WaitGroup
	for i := range topics {
		wg.Go(func() {
			for n := range each {
				if err := g.publish(t.Context(), fmt.Sprintf("line/%d", i), fmt.Sprintf(`{"n":%d}`, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	next := map[string]int{}
	resent := 0
	for _, m := range c.messages() {
		n, err := strconv.Atoi(strings.Trim(string(m.Payload), `{"n:}`))
		if err != nil {
			t.Fatalf("unexpected payload %q", m.Payload)
		}
		switch {
		case n == next[m.Topic]:
			next[m.Topic]++
		case n < next[m.Topic]:
			resent++
		default:
			t.Fatalf("%s: %d arrived before %d", m.Topic, n, next[m.Topic])
		}
	}
	for i := range topics {
		if got := next[fmt.Sprintf("site/line/%d", i)]; got != each {
			t.Errorf("topic %d: %d of %d arrived", i, got, each)
		}
	}
	if c.conns < 5 || resent == 0 {
		t.Errorf("%d connections, %d resent: the uplink was not cut as meant", c.conns, resent)
	}
	if s := g.corridor.Stats().Uplinks[0]; s.Resent == 0 || s.Acknowledged != topics*each || s.Quarantined != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// TestPoison lets the uplink end the connection whenever one message is sent:
// that one goes to quarantine, all others arrive.
func TestPoison(t *testing.T) {
	c := &cloud{mood: func(_ int, m *mqtt.Message) mood {
		if m.Topic == "site/poison" {
			return cut
		}
		return acknowledge
	}}
	g := newGateway(t, c, builtIn)
	for i := range 50 {
		topic := "line/1"
		if i == 20 {
			topic = "poison"
		}
		if err := g.publish(t.Context(), topic, fmt.Sprintf(`{"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all delivered or set aside", func() bool { return g.spool.Stats().Records == 0 })
	set := 0
	for q, err := range g.spool.Quarantined(0) {
		if err != nil || q.Topic != "site/poison" || q.Reason != "refused_by_broker" {
			t.Errorf("quarantine holds %q because %q: %v", q.Topic, q.Reason, err)
		}
		set++
	}
	if set != 1 || g.corridor.Stats().Uplinks[0].Quarantined != 1 {
		t.Errorf("%d messages in quarantine, want 1", set)
	}
	seen := map[string]bool{}
	for _, m := range c.messages() {
		seen[string(m.Payload)] = true
	}
	if len(seen) != 50 {
		t.Errorf("%d different messages were sent, want 50", len(seen))
	}
}

// TestSickUplink: a broker that ends every connection at the first publish is
// sick; no message is to blame, and none is set aside.
func TestSickUplink(t *testing.T) {
	var well atomic.Bool
	c := &cloud{mood: func(int, *mqtt.Message) mood {
		if well.Load() {
			return acknowledge
		}
		return cut
	}}
	g := newGateway(t, c, builtIn)
	for i := range 20 {
		if err := g.publish(t.Context(), fmt.Sprintf("line/%d", i%3), fmt.Sprintf(`{"n":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "enough lost connections", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.conns > 20
	})
	well.Store(true)
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	if n := g.corridor.Stats().Uplinks[0].Quarantined; n != 0 {
		t.Errorf("%d innocent messages in quarantine", n)
	}
	seen := map[string]bool{}
	for _, m := range c.messages() {
		seen[string(m.Payload)] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 messages arrived", len(seen))
	}
}

// TestSilentUplink: a broker that takes everything and acknowledges nothing is
// left, and the message is sent again on a new connection.
func TestSilentUplink(t *testing.T) {
	c := &cloud{mood: func(n int, _ *mqtt.Message) mood {
		if n == 1 {
			return ignore
		}
		return acknowledge
	}}
	g := newGateway(t, c, builtIn)
	if err := g.publish(t.Context(), "line/1", `{"n":1}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivered on another connection", func() bool { return g.spool.Stats().Records == 0 })
	if c.conns < 2 || c.count() != 2 {
		t.Errorf("%d connections, %d publishes; want at least 2 and 2", c.conns, c.count())
	}
}

// TestHeldWithoutKey: without a recipient nothing leaves and nothing is
// acknowledged, until a generation with one comes.
func TestHeldWithoutKey(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, func(g *gateway) *corridor.Generation { return g.generation("", false) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.publish(ctx, "line/1", `{"n":1}`); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("published without a key: %v", err)
	}
	answer := make(chan error, 1)
	go func() { answer <- g.publish(t.Context(), "line/1", `{"password":"correct horse 7"}`) }()
	eventually(t, "held", func() bool { return g.corridor.Stats().Held == 1 })
	if n := c.count(); n != 0 {
		t.Fatalf("%d messages left", n)
	}
	g.corridor.Swap(g.generation("", true))
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivered", func() bool { return c.count() == 1 })
	if m := c.messages()[0]; strings.Contains(string(m.Payload), "horse") {
		t.Errorf("the password left: %q", m.Payload)
	}
}

// TestOutcomes follows one message of each kind to its Event.
func TestOutcomes(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, func(g *gateway) *corridor.Generation {
		return g.generation(`
schema: sealgate/policy/v1
version: 3
profile: generic
recipients: [ops]
routes:
  - {name: blocked, topics: ["blocked/#"], grades: {L1: block, L2: block, L3: block, L4: block}}
  - {name: rest, topics: ["#"]}
`, true)
	})
	for _, tc := range []struct {
		topic, payload string
		want           protect.Outcome
		left           bool
	}{
		{"line/1", `{"n":1}`, protect.OutcomePassed, true},
		{"line/2", `{"n":`, protect.OutcomeSealed, true},
		{"blocked/x", `{"n":1}`, protect.OutcomeBlocked, false},
	} {
		before := c.count()
		if err := g.publish(t.Context(), tc.topic, tc.payload); err != nil {
			t.Fatal(err)
		}
		g.mu.Lock()
		e := g.events[len(g.events)-1]
		g.mu.Unlock()
		if e.Outcome != tc.want || e.Uplink != "cloud" || e.InBytes != len(tc.payload) {
			t.Errorf("%s: event %+v, want %v", tc.topic, e, tc.want)
		}
		if tc.left {
			eventually(t, tc.topic+" delivered", func() bool { return c.count() == before+1 })
		} else if time.Sleep(20 * time.Millisecond); c.count() != before {
			t.Errorf("%s left", tc.topic)
		}
	}
	for _, topic := range []string{"stays/here", "$private/x"} {
		before := c.count()
		if err := g.publish(t.Context(), topic, `{"n":1}`); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		if time.Sleep(20 * time.Millisecond); c.count() != before {
			t.Errorf("%s left", topic)
		}
	}
	if s := g.corridor.Stats(); s.Unmapped != 1 || s.Unrouted != 1 {
		t.Errorf("stats: %+v", s)
	}
}

// TestRetainedDeletion: an empty retained payload passes as one.
func TestRetainedDeletion(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, builtIn)
	err := g.corridor.Submit(t.Context(), mqtt.Source{}, mqtt.Message{Topic: "line/1", Retain: true, QoS: 1}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivered", func() bool { return c.count() == 1 })
	if m := c.messages()[0]; len(m.Payload) != 0 || !m.Retain || m.QoS != 1 {
		t.Errorf("the deletion left as %+v", m)
	}
}

// TestOfflineDrop: on a route that says so nothing is kept while the uplink is
// down, and the device is acknowledged all the same.
func TestOfflineDrop(t *testing.T) {
	var up atomic.Bool
	c := &cloud{}
	g := newGateway(t, c, func(g *gateway) *corridor.Generation {
		return g.generation("schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes: [{name: all, topics: [\"#\"], offline: drop}]\n", true)
	}, func(ctx context.Context) (mqtt.Conn, error) {
		if !up.Load() {
			return nil, errCut
		}
		return c.dial(ctx)
	})
	if err := g.publish(t.Context(), "line/1", `{"n":1}`); err != nil {
		t.Fatal(err)
	}
	if s := g.corridor.Stats(); s.Dropped != 1 || g.spool.Stats().Records != 0 {
		t.Errorf("stats: %+v", s)
	}
	up.Store(true)
	eventually(t, "connected", func() bool { return g.corridor.Stats().Uplinks[0].Connected })
	if err := g.publish(t.Context(), "line/1", `{"n":2}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivered", func() bool { return c.count() == 1 })
}

func TestCloseDrains(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, builtIn)
	const n = 200
	var durable atomic.Int64
	for i := range n {
		err := g.corridor.Submit(t.Context(), mqtt.Source{}, mqtt.Message{Topic: "line/1", Payload: fmt.Appendf(nil, `{"n":%d}`, i), QoS: 1}, func(err error) {
			if err == nil {
				durable.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := g.corridor.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if durable.Load() != n {
		t.Errorf("%d of %d messages were durable when Close returned", durable.Load(), n)
	}
	if err := g.publish(t.Context(), "line/1", "{}"); !errors.Is(err, corridor.ErrClosing) {
		t.Errorf("submit after close: %v", err)
	}
	if left, sent := g.spool.Stats().Records, c.count(); int(left)+sent < n {
		t.Errorf("%d left in the spool and %d sent, of %d", left, sent, n)
	}
}

func BenchmarkCorridor(b *testing.B) {
	payload := `{"device":"meter-7","ts":1767225600,"voltage":[229.8,230.1,230.4],"current":4.25,"power":977,"energy_kwh":10482.33,"status":"ok","relay":true,"owner_email":"jo.meier@example.org"}`
	c := &cloud{}
	g := newGateway(b, c, builtIn)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	var wg sync.WaitGroup
	window := make(chan struct{}, 256)
	for i := 0; b.Loop(); i++ {
		window <- struct{}{}
		wg.Add(1)
		m := mqtt.Message{Topic: "meters/" + strconv.Itoa(i%50), Payload: []byte(payload), QoS: 1}
		if err := g.corridor.Submit(b.Context(), mqtt.Source{}, m, func(error) { <-window; wg.Done() }); err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
}

// TestNothingOvertakesARefusedMessage: a connection whose message could not be
// made durable has the ones behind it refused too, until it comes again.
func TestNothingOvertakesARefusedMessage(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, func(g *gateway) *corridor.Generation { return g.generation("", true) })
	submit := func(src mqtt.Source, topic string, qos byte) error {
		t.Helper()
		answer := make(chan error, 1)
		m := mqtt.Message{Topic: topic, Payload: []byte(`{"n":1}`), QoS: qos}
		if err := g.corridor.Submit(t.Context(), src, m, func(err error) { answer <- err }); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-answer:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
			return nil
		}
	}
	broken, well := mqtt.Source{Refused: new(atomic.Bool)}, mqtt.Source{Refused: new(atomic.Bool)}
	broken.Refused.Store(true)
	if submit(broken, "behind", 1) == nil {
		t.Error("a message overtook a refused one")
	}
	for topic, err := range map[string]error{"zero": submit(broken, "zero", 0), "well": submit(well, "well", 1), "alone": submit(mqtt.Source{}, "alone", 1)} {
		if err != nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
	eventually(t, "the others arrive", func() bool { return c.count() == 3 })
	for _, m := range c.messages() {
		if m.Topic == "site/behind" {
			t.Error("the refused message left")
		}
	}
	if err := g.spool.Close(); err != nil {
		t.Fatal(err)
	}
	if submit(well, "first", 0) == nil || well.Refused.Load() {
		t.Error("QoS 0 is never sent again: its loss must not refuse others")
	}
	if submit(well, "first", 1) == nil || !well.Refused.Load() {
		t.Error("a message that was not durable did not mark its connection")
	}
}
