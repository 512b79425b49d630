package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/signed"

	"golang.org/x/crypto/bcrypt"
)

// cloudSink is what the cloud's broker received.
type cloudSink struct {
	mu  sync.Mutex
	got []mqtt.Message
}

func (c *cloudSink) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	c.mu.Lock()
	m.Payload = append([]byte(nil), m.Payload...)
	c.got = append(c.got, m)
	c.mu.Unlock()
	done(nil)
	return nil
}

func (c *cloudSink) find(topic string) (m mqtt.Message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		if m.Topic == topic {
			return m, true
		}
	}
	return m, false
}

func (c *cloudSink) all(topic string) (out []mqtt.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		if m.Topic == topic {
			out = append(out, m)
		}
	}
	return out
}

// site is a directory with everything a gateway needs, and the keys of those
// who open what it seals.
type site struct {
	dir   string
	cloud *cloudSink
	keys  []*crypto.RecipientKey
	cfg   string

	operator *crypto.Signer
	root     *signed.Root
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSite(t *testing.T, extra string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), cloud: &cloudSink{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	b, err := broker.New(broker.Options{
		Listeners: []broker.Listener{{Net: ln, Anonymous: true}}, Sink: s.cloud, ACL: broker.AllowAll(),
	})
	check(t, err)
	check(t, b.Start())
	t.Cleanup(func() { _ = b.Close(context.Background()) })

	operator, err := crypto.GenerateSigner()
	check(t, err)
	bundle := &signed.Bundle{Chain: signed.Chain{Site: "plant", Version: 1, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}}
	for _, audience := range []string{"ops", signed.Recovery} {
		k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
		check(t, err)
		s.keys = append(s.keys, k)
		bundle.Entries = append(bundle.Entries, signed.Entry{Audience: audience, Status: signed.Active, Recipient: k.Recipient()})
	}
	raw, err := signed.SignBundle(bundle, operator)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.dir, "recipients.bundle"), raw, 0o600))
	root := &signed.Root{Site: "plant", Roles: map[string]signed.RoleKeys{signed.RoleRecipients: {Threshold: 1, Keys: []*crypto.Verifier{operator.Verifier()}}}}
	raw, err = root.Marshal()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.dir, "root.json"), raw, 0o600))

	s.operator, s.root = operator, root
	s.cfg = fmt.Sprintf(`gateway: gw-1
site: plant
state: state
ingress:
  broker: {listeners: [{address: "127.0.0.1:0"}], anonymous: true, local_only: ["internal/#"]}
uplinks:
  cloud:
    url: "mqtt://%s"
    topics: [{pattern: "#", remote_prefix: "{site}/{gateway}/"}]
keys: {recipients: recipients.bundle, trust_root: root.json}
spool: {size: 32MiB, volatile: true}
metrics: {listen: "127.0.0.1:0"}
%s`, ln.Addr(), extra)
	return s
}

func (s *site) start(t *testing.T) *agent.Agent {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(s.dir, "agent.yaml"), []byte(s.cfg))
	check(t, err)
	a, err := agent.Start(t.Context(), agent.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	check(t, err)
	return a
}

func stop(t *testing.T, a *agent.Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(t, a.Stop(ctx))
}

func publish(t *testing.T, a *agent.Agent, msgs ...mqtt.Message) {
	t.Helper()
	conn, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device"})
	check(t, err)
	defer conn.Close()
	for i := range msgs {
		acked := make(chan mqtt.Ack, 1)
		check(t, conn.Publish(&msgs[i], func(k mqtt.Ack) { acked <- k }))
		select {
		case k := <-acked:
			check(t, k.Err)
		case <-time.After(10 * time.Second):
			t.Fatal("no acknowledgement")
		}
	}
}

func (s *site) wait(t *testing.T, topic string) mqtt.Message {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if m, ok := s.cloud.find(topic); ok {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("nothing arrived on %s", topic)
		}
	}
}

// TestFromDeviceToConsumer goes the whole way: a real client, the embedded
// broker, the corridor, the spool, paho, another broker, the opener.
func TestFromDeviceToConsumer(t *testing.T) {
	s := newSite(t, "")
	a := s.start(t)
	defer stop(t, a)

	plain := `{"temperature":21.5,"unit":"C"}`
	secret := `{"device":"cam-3","wifi":{"ssid":"plant","password":"Vq7!rTz0pLm2"},"port":443}`
	broken := `{"a":1,}`
	publish(t, a,
		mqtt.Message{Topic: "line/temp", Payload: []byte(plain), QoS: 1},
		mqtt.Message{Topic: "line/config", Payload: []byte(secret), QoS: 1, Retain: true},
		mqtt.Message{Topic: "line/broken", Payload: []byte(broken), QoS: 1},
		mqtt.Message{Topic: "internal/x", Payload: []byte(secret), QoS: 1},
	)
	if m := s.wait(t, "plant/gw-1/line/temp"); string(m.Payload) != plain || m.Retain {
		t.Errorf("a harmless message changed: %q", m.Payload)
	}
	opener, err := envelope.NewOpener(envelope.OpenerOptions{Keys: s.keys[:1], Mode: envelope.Archive})
	check(t, err)
	for topic, want := range map[string]string{"plant/gw-1/line/config": secret, "plant/gw-1/line/broken": broken} {
		m := s.wait(t, topic)
		if strings.Contains(string(m.Payload), "Vq7!rTz0pLm2") || strings.Contains(string(m.Payload), broken) {
			t.Errorf("%s left in clear: %q", topic, m.Payload)
		}
		got, err := opener.Open(topic, m.Payload)
		check(t, err)
		if string(got.Payload) != want {
			t.Errorf("%s opened to %q", topic, got.Payload)
		}
	}
	if _, ok := s.cloud.find("plant/gw-1/internal/x"); ok {
		t.Error("a local topic left")
	}

	resp, err := http.Get("http://" + a.MetricsAddr().String() + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	for _, want := range []string{`sealgate_messages_total{grade="L4",outcome="encrypted"} 1`, `sealgate_unreadable_messages_total 1`, `sealgate_uplink_connected{uplink="cloud"} 1`, "sealgate_ready 1"} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// TestRestart: what the uplink has not acknowledged survives a stop, and goes
// out after the next start; the boot counter moves on.
func TestRestart(t *testing.T) {
	s := newSite(t, "")
	up := s.cfg
	s.cfg = strings.Replace(up, up[strings.Index(up, "mqtt://127"):strings.Index(up, "\"\n    topics")], "mqtt://127.0.0.1:9", 1)
	a := s.start(t)
	publish(t, a, mqtt.Message{Topic: "line/a", Payload: []byte(`{"n":1}`), QoS: 1})
	if _, err := agent.Start(t.Context(), agent.Options{Config: parse(t, s), Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("two agents share a state directory")
	}
	stop(t, a)
	s.cfg = up
	a = s.start(t)
	defer stop(t, a)
	if m := s.wait(t, "plant/gw-1/line/a"); string(m.Payload) != `{"n":1}` {
		t.Errorf("got %q", m.Payload)
	}
	boot, err := os.ReadFile(filepath.Join(s.dir, "state", "boot"))
	check(t, err)
	if !strings.Contains(string(boot), "00000000000000000002 ") {
		t.Errorf("boot counter is %q", boot)
	}
}

func parse(t *testing.T, s *site) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(s.dir, "agent.yaml"), []byte(s.cfg))
	check(t, err)
	return cfg
}

// TestReload swaps the policy under traffic, keeps the old rules when the new
// ones are refused, and enforces the built-in policy where the first is bad.
func TestReload(t *testing.T) {
	s := newSite(t, "policy: policy.yaml\n")
	path := filepath.Join(s.dir, "policy.yaml")
	write := func(version int, action string) {
		t.Helper()
		check(t, os.WriteFile(path, fmt.Appendf(nil, "schema: sealgate/policy/v1\nversion: %d\nprofile: generic\nrecipients: [ops]\nroutes: [{name: all, topics: [\"#\"]}]\nclasses: {contact.email: %s}\n", version, action), 0o600))
	}
	check(t, os.WriteFile(path, []byte("schema: nope\n"), 0o600))
	a := s.start(t)
	defer stop(t, a)
	if st := a.Stats(); st.Policy.Source != "built-in" || len(st.Alarms) == 0 {
		t.Errorf("after a bad policy at start: %+v", st)
	}
	write(4, "mask")
	check(t, a.Reload())
	if st := a.Stats(); st.Policy.Version != 4 || st.Policy.Source != "file" {
		t.Errorf("after a reload: %+v", st.Policy)
	}
	publish(t, a, mqtt.Message{Topic: "a", Payload: []byte(`{"email":"jo.meier@example.org"}`), QoS: 1})
	if m := s.wait(t, "plant/gw-1/a"); !strings.Contains(string(m.Payload), "****") || strings.Contains(string(m.Payload), "meier") {
		t.Errorf("masked: %q", m.Payload)
	}
	check(t, os.WriteFile(path, []byte("schema: nope\n"), 0o600))
	if err := a.Reload(); err == nil {
		t.Error("a bad policy was accepted")
	}
	if st := a.Stats(); st.Policy.Version != 4 {
		t.Errorf("after a refused reload: %+v", st.Policy)
	}
	write(5, "remove")
	check(t, a.Reload())
	publish(t, a, mqtt.Message{Topic: "b", Payload: []byte(`{"email":"jo.meier@example.org","n":1}`), QoS: 1})
	if m := s.wait(t, "plant/gw-1/b"); strings.Contains(string(m.Payload), "email") || !strings.Contains(string(m.Payload), `"n":1`) {
		t.Errorf("removed: %q", m.Payload)
	}
}

// TestReloadAccess: a reload reads the users again, and disconnects who is gone;
// a broken file changes nothing.
func TestReloadAccess(t *testing.T) {
	s := newSite(t, "")
	s.cfg = strings.Replace(s.cfg, "anonymous: true,", "users: users,", 1)
	users := filepath.Join(s.dir, "users")
	alice := "alice:$6$dHdlbHZlIGJ5dGVz$" + strings.Repeat("A", 86) + "==\n" // of no password
	bob := "bob:" + hash(t, "b")
	check(t, os.WriteFile(users, []byte(alice+bob), 0o600))
	a := s.start(t)
	defer stop(t, a)
	dial := func() (mqtt.Conn, error) {
		return mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device", Username: "bob", Password: "b"})
	}
	conn, err := dial()
	check(t, err)
	defer conn.Close()
	check(t, os.WriteFile(users, []byte("bob:b\n"), 0o600))
	if err := a.Reload(); err == nil || !strings.Contains(fmt.Sprint(a.Stats().Alarms), "access-refused") {
		t.Errorf("a password in clear was taken: %v, %+v", err, a.Stats().Alarms)
	}
	select {
	case err := <-conn.Done():
		t.Fatalf("disconnected by a refused file: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	check(t, os.WriteFile(users, []byte(alice), 0o600))
	check(t, a.Reload())
	select {
	case <-conn.Done():
	case <-time.After(10 * time.Second):
		t.Error("bob is gone and still connected")
	}
	if again, err := dial(); err == nil {
		t.Error("bob is gone and may connect")
		_ = again.Close()
	}
	if al := fmt.Sprint(a.Stats().Alarms); strings.Contains(al, "access-refused") {
		t.Errorf("alarms: %s", al)
	}
}

// hash is a line's second half in a file of users.
func hash(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	check(t, err)
	return string(h) + "\n"
}

// TestWithoutRecipients: nothing leaves and nothing is acknowledged until there
// is someone who can open it.
func TestWithoutRecipients(t *testing.T) {
	s := newSite(t, "")
	bundle := filepath.Join(s.dir, "recipients.bundle")
	raw, err := os.ReadFile(bundle)
	check(t, err)
	check(t, os.Remove(bundle))
	a := s.start(t)
	defer stop(t, a)
	if st := a.Stats(); !strings.Contains(fmt.Sprint(st.Alarms), "no-recipients") {
		t.Errorf("no alarm: %+v", st.Alarms)
	}
	conn, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device"})
	check(t, err)
	defer conn.Close()
	acked := make(chan mqtt.Ack, 1)
	check(t, conn.Publish(&mqtt.Message{Topic: "a", Payload: []byte(`{"n":1}`), QoS: 1}, func(k mqtt.Ack) { acked <- k }))
	select {
	case k := <-acked:
		t.Fatalf("acknowledged without a key: %+v", k)
	case <-time.After(100 * time.Millisecond):
	}
	check(t, os.WriteFile(bundle, raw, 0o600))
	check(t, a.Reload())
	select {
	case k := <-acked:
		check(t, k.Err)
	case <-time.After(10 * time.Second):
		t.Fatal("not acknowledged after the recipients came")
	}
	s.wait(t, "plant/gw-1/a")
}

// TestExistingBroker reads from a local broker instead of the embedded one.
func TestExistingBroker(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	local, err := broker.New(broker.Options{Listeners: []broker.Listener{{Net: ln, Anonymous: true}}, Sink: &cloudSink{}, ACL: broker.AllowAll()})
	check(t, err)
	check(t, local.Start())
	defer local.Close(context.Background())

	s := newSite(t, "")
	s.cfg = strings.Replace(s.cfg, `broker: {listeners: [{address: "127.0.0.1:0"}], anonymous: true, local_only: ["internal/#"]}`,
		fmt.Sprintf(`subscribe: [{url: "mqtt://%s"}]`, ln.Addr()), 1)
	a := s.start(t)
	defer stop(t, a)
	if a.BrokerAddr() != nil {
		t.Error("the embedded broker runs beside")
	}
	device, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + ln.Addr().String(), ClientID: "device"})
	check(t, err)
	defer device.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		// Until the agent has subscribed, the broker has nobody to keep it for.
		check(t, device.Publish(&mqtt.Message{Topic: "line/x", Payload: []byte(`{"iban":"DE89370400440532013000"}`), QoS: 1}, func(mqtt.Ack) {}))
		if m, ok := s.cloud.find("plant/gw-1/line/x"); ok {
			if strings.Contains(string(m.Payload), "DE8937") {
				t.Errorf("left in clear: %q", m.Payload)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("nothing arrived")
		}
	}
}

// TestReloadWhileObserving: without keys a gateway that observes keeps its
// policy too when a new one is refused.
func TestReloadWhileObserving(t *testing.T) {
	s := newSite(t, "policy: policy.yaml\nguard: {observe_until: 2099-12-31}\n")
	s.cfg = strings.Replace(s.cfg, "keys: {recipients: recipients.bundle, trust_root: root.json}\n", "", 1)
	path := filepath.Join(s.dir, "policy.yaml")
	check(t, os.WriteFile(path, []byte("schema: sealgate/policy/v1\nversion: 3\nprofile: generic\nmode: observe\nroutes: [{name: all, topics: [\"#\"]}]\n"), 0o600))
	a := s.start(t)
	defer stop(t, a)
	publish(t, a, mqtt.Message{Topic: "a", Payload: []byte(`{"email":"jo.meier@example.org"}`), QoS: 1})
	s.wait(t, "plant/gw-1/a")

	check(t, os.WriteFile(path, []byte("schema: nope\n"), 0o600))
	if err := a.Reload(); err == nil {
		t.Error("a bad policy was accepted")
	}
	if st := a.Stats(); st.Policy.Version != 3 || st.Mode != "observe" || !strings.Contains(fmt.Sprint(st.Alarms), "reload-refused") {
		t.Errorf("after a refused reload: %+v", st)
	}
}

// TestMoving: the watchdog's check sees a corridor in which nothing moves.
func TestMoving(t *testing.T) {
	s := newSite(t, "")
	stuck := make(chan struct{})
	a, err := agent.Start(t.Context(), agent.Options{
		Config: parse(t, s), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Observe: func(*corridor.Event) { <-stuck },
	})
	check(t, err)
	defer stop(t, a)
	moving := a.Moving()
	for range 2 { // it looks at what changed since it was asked last
		if !moving() {
			t.Error("an idle gateway does not move")
		}
	}
	conn, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device"})
	check(t, err)
	defer conn.Close()
	for range 3 {
		check(t, conn.Publish(&mqtt.Message{Topic: "a", Payload: []byte(`{"n":1}`), QoS: 1}, func(mqtt.Ack) {}))
	}
	for end := time.Now().Add(10 * time.Second); moving(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a stuck corridor seems to move")
		}
	}
	close(stuck)
	for end := time.Now().Add(10 * time.Second); !moving(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a corridor that moves again seems to be stuck")
		}
	}
}

// TestRecipientsNeverGoBack: a bundle older than one that was accepted is
// refused, also after a restart.
func TestRecipientsNeverGoBack(t *testing.T) {
	s := newSite(t, "")
	path := filepath.Join(s.dir, "recipients.bundle")
	first, err := os.ReadFile(path)
	check(t, err)
	role, err := s.root.Role(signed.RoleRecipients)
	check(t, err)
	old, err := signed.OpenBundle(first, role, signed.Expect{Site: "plant", Now: time.Now()})
	check(t, err)
	next := *old
	next.Version, next.Previous = 2, old.Hash
	second, err := signed.SignBundle(&next, s.operator)
	check(t, err)
	check(t, os.WriteFile(path, second, 0o600))
	stop(t, s.start(t))

	check(t, os.WriteFile(path, first, 0o600))
	a := s.start(t)
	defer stop(t, a)
	if st := a.Stats(); !strings.Contains(fmt.Sprint(st.Alarms), "no-recipients") {
		t.Errorf("an older bundle was accepted: %+v", st.Alarms)
	}
	check(t, os.WriteFile(path, second, 0o600))
	check(t, a.Reload())
	if st := a.Stats(); strings.Contains(fmt.Sprint(st.Alarms), "no-recipients") {
		t.Errorf("the newest bundle was refused: %+v", st.Alarms)
	}
}

// TestSubjectsAreCounted: of how many people data left is known after a
// restart, and in the metrics.
func TestSubjectsAreCounted(t *testing.T) {
	s := newSite(t, "")
	a := s.start(t)
	for i := range 20 {
		publish(t, a, mqtt.Message{Topic: "door", Payload: fmt.Appendf(nil, `{"email":"guest%d@example.org","n":%d}`, i%10, i), QoS: 1})
	}
	// An estimate: two people may look alike.
	if got := a.Stats().Uplinks[0].Subjects.All; got < 9 || got > 10 {
		t.Errorf("counted %d people, want about 10", got)
	}
	stop(t, a)
	a = s.start(t)
	defer stop(t, a)
	publish(t, a, mqtt.Message{Topic: "door", Payload: []byte(`{"email":"guest3@example.org"}`), QoS: 1}, mqtt.Message{Topic: "door", Payload: []byte(`{"email":"guest77@example.org"}`), QoS: 1})
	got := a.Stats().Uplinks[0].Subjects.All
	if got < 9 || got > 11 {
		t.Errorf("counted %d people after a restart, want about 11", got)
	}
	resp, err := http.Get("http://" + a.MetricsAddr().String() + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	if want := fmt.Sprintf(`sealgate_uplink_subjects{kind="all",uplink="cloud"} %d`, got); !strings.Contains(string(body), want+"\n") {
		t.Errorf("metrics lack %s", want)
	}
}
