package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// A sealedSite is a site's keys, with a message sealed to them and the gateway's
// public key.
type sealedSite struct{ dir, keys, event, sealed, gatewayKey string }

func newSealedSite(t *testing.T, topic string) sealedSite {
	t.Helper()
	dir := t.TempDir()
	s := sealedSite{dir: dir, keys: filepath.Join(dir, "keys"), event: filepath.Join(dir, "event.json"), sealed: filepath.Join(dir, "sealed.bin")}
	if err := os.WriteFile(s.event, []byte(`{"plate":null,"lane":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := sealctl(t, nil, "keys", "init", "--dir", s.keys, "--site", "plant-7", "--audience", "cloud-analytics"); code != exitFine {
		t.Fatal(stderr)
	}
	if err := sealCommand([]string{s.keys, "whole", topic, s.event, s.sealed}); err != nil {
		t.Fatal(err)
	}
	pub, err := filepath.Glob(filepath.Join(s.keys, "gateway", "*.pub.json"))
	if err != nil || len(pub) != 1 {
		t.Fatal(pub, err)
	}
	s.gatewayKey = "gw-west=" + pub[0]
	return s
}

// A receiver is a broker that keeps what is published to it.
type receiver struct {
	mochi.HookBase
	mu  sync.Mutex
	got []packets.Packet
}

func (*receiver) ID() string           { return "receiver" }
func (*receiver) Provides(b byte) bool { return b == mochi.OnPublish }

// OnPublish runs before the broker acknowledges: what is acknowledged is in got.
func (r *receiver) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, p.Copy(false))
	return p, nil
}

func (r *receiver) all() []packets.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]packets.Packet(nil), r.got...)
}

func (r *receiver) start(t *testing.T, addr string) (url string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	for _, h := range []mochi.Hook{new(allow), r} {
		if err := s.AddHook(h, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddListener(listeners.NewNet("receiver", l)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = s.Close() })
	t.Cleanup(stop)
	return "mqtt://" + l.Addr().String(), stop
}

func (s sealedSite) open(t *testing.T, url string, args ...string) (stderr string, code int) {
	t.Helper()
	all := append([]string{"open", "--keys", s.keys, "--gateway-key", s.gatewayKey, "--subscribe", url,
		"--client-id", "opener", "--dead-letter", filepath.Join(s.dir, "refused")}, args...)
	stdout, stderr, code := sealctl(t, nil, all...)
	if stdout != "" {
		t.Errorf("stdout has %q", stdout)
	}
	return stderr, code
}

// refusedFiles returns the reasons of the dead letters by topic.
func (s sealedSite) refusedFiles(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "refused", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d deadLetter
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatal(err)
		}
		out[d.Topic] = d.Reason
	}
	return out
}

func TestRepublish(t *testing.T) {
	site := newSealedSite(t, "site/gate/3")
	first := cloud(t, map[string]string{"site/gate/3": site.sealed, "site/moved": site.sealed, "site/clear": site.event})
	var r receiver
	second, _ := r.start(t, "127.0.0.1:0")

	stderr, code := site.open(t, first, "--topic", "site/#", "--count", "3", "--republish", second, "--topic-prefix", "opened/", "--protected")
	if code != exitBad || !strings.Contains(stderr, "1 handed on, 2 refused") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	got := r.all()
	if len(got) != 1 {
		t.Fatalf("%d messages were republished, want 1", len(got))
	}
	p := got[0]
	if p.TopicName != "opened/site/gate/3" || string(p.Payload) != `{"plate":null,"lane":3}` || p.FixedHeader.Qos != 1 || !p.FixedHeader.Retain {
		t.Errorf("republished %s %s, QoS %d, retain %v", p.TopicName, p.Payload, p.FixedHeader.Qos, p.FixedHeader.Retain)
	}
	refused := site.refusedFiles(t)
	if len(refused) != 2 || refused["site/moved"] != "topic" || refused["site/clear"] != "downgrade" {
		t.Errorf("dead letters: %v", refused)
	}

	// A dead letter opens again once what was wrong is put right.
	files, _ := filepath.Glob(filepath.Join(site.dir, "refused", "*-downgrade-*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	stdout, stderr, code := sealctl(t, nil, "open", "--keys", site.keys, "--jsonl", files[0])
	if code != exitFine || !strings.Contains(stdout, `"lane":3`) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// TestRepublishReceiverAway: what the second broker has not acknowledged is
// published again when it is back, in order, and only then acknowledged.
func TestRepublishReceiverAway(t *testing.T) {
	var r receiver
	url, stop := r.start(t, "127.0.0.1:0")
	rep, err := newRepublisher(t.Context(), mqtt.Options{URL: url, ClientID: "opener-out"}, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer rep.stop()
	site := newSealedSite(t, "site/gate/3")
	m := site.opened(t)
	acked := make(chan error, 8)
	send := func(payload string) {
		m.Payload = []byte(payload)
		x := *m
		if err := rep.deliver(t.Context(), mqtt.Message{QoS: 1}, &x, func(err error) { acked <- err }); err != nil {
			t.Fatal(err)
		}
	}
	send("1")
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
	stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		send("2")
		send("3")
	}()
	select {
	case err := <-acked:
		t.Fatalf("acknowledged while the broker was away: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	r.start(t, strings.TrimPrefix(url, "mqtt://"))
	<-done
	for range 2 {
		select {
		case err := <-acked:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("not republished after the broker came back")
		}
	}
	var order []byte
	for _, p := range r.all() {
		order = append(order, p.Payload...)
	}
	if string(order) != "123" {
		t.Errorf("arrived as %s", order)
	}
}

// TestRepublishStop: what is not acknowledged when we stop is never said to be.
func TestRepublishStop(t *testing.T) {
	var r receiver
	url, stop := r.start(t, "127.0.0.1:0")
	rep, err := newRepublisher(t.Context(), mqtt.Options{URL: url, ClientID: "opener-out"}, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := newSealedSite(t, "site/gate/3").opened(t)
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	acked := make(chan error, 1)
	err = rep.deliver(ctx, mqtt.Message{QoS: 1}, m, func(err error) { acked <- err })
	rep.stop()
	if err == nil {
		err = <-acked
	}
	if err == nil {
		t.Error("acknowledged though the broker was away")
	}
	m.Topic = "a/+"
	if err := rep.deliver(t.Context(), mqtt.Message{}, m, nil); err == nil {
		t.Error("took a topic that nobody may publish to")
	}
}

func TestWebhook(t *testing.T) {
	site := newSealedSite(t, "site/gate/3")
	first := cloud(t, map[string]string{"site/gate/3": site.sealed, "site/clear": site.event})
	token := filepath.Join(site.dir, "token")
	if err := os.WriteFile(token, []byte("example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var bodies []string
	busy := 2 // times that the service says it is
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer example" || r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusForbidden)
		case bytes.Contains(body, []byte(`"site/clear"`)):
			w.WriteHeader(http.StatusUnprocessableEntity)
		case busy > 0:
			busy--
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			bodies = append(bodies, r.Header.Get("Idempotency-Key")+" "+string(body))
		}
	}))
	defer hook.Close()
	stderr, code := site.open(t, first, "--topic", "site/#", "--count", "2", "--webhook", hook.URL, "--webhook-token-file", token)
	if code != exitBad || strings.Count(stderr, "status 503") != 2 || strings.Contains(stderr, hook.URL) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if len(bodies) != 1 || !strings.HasPrefix(bodies[0], `01000000000000000000000000000000 {"topic":"site/gate/3","protection":"sealed","verified":true,`) ||
		!strings.Contains(bodies[0], `"origin":"key","replay":"new"`) {
		t.Errorf("the webhook got %v", bodies)
	}
	if refused := site.refusedFiles(t); len(refused) != 1 || refused["site/clear"] != "webhook_422" {
		t.Errorf("dead letters: %v", refused)
	}
}

func TestForwardUsage(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if _, stderr, code := sealctl(t, nil, "keys", "create", "a", "--dir", keys); code != exitFine {
		t.Fatal(stderr)
	}
	base := []string{"open", "--keys", keys, "--subscribe", "mqtt://127.0.0.1:1", "--topic", "site/#"}
	for name, c := range map[string]struct{ args, want string }{
		"no dead letters": {"--republish mqtt://127.0.0.1:2 --client-id x", "--dead-letter"},
		"no session":      {"--republish mqtt://127.0.0.1:2 --dead-letter d", "--client-id"},
		"both":            {"--republish mqtt://127.0.0.1:2 --webhook http://127.0.0.1:3", "choose one"},
		"circle":          {"--republish mqtt://127.0.0.1:1 --client-id x --dead-letter d --topic-prefix site/opened/", "also matches"},
		"circle, bare":    {"--republish mqtt://127.0.0.1:1 --client-id x --dead-letter d", "also matches"},
		"no prefix":       {"--topic-prefix x/", "goes with --republish"},
		"wildcard":        {"--republish mqtt://127.0.0.1:2 --client-id x --dead-letter d --topic-prefix +/", "no beginning"},
		"no url":          {"--webhook example --client-id x --dead-letter d", "no URL"},
	} {
		_, stderr, code := sealctl(t, nil, append(append([]string(nil), base...), strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

func TestMayMatch(t *testing.T) {
	for _, c := range []struct {
		filter, prefix string
		want           bool
	}{
		{"#", "opened/", true},
		{"site/#", "opened/", false},
		{"site/#", "site/opened/", true},
		{"+/gate/3", "opened/", true},
		{"site/+", "opened", false},
		{"site/+", "si", true},
		{"opened", "opened/", false},
		{"$share/group/#", "opened/", true},
		{"$share/group/site/#", "opened/", false},
	} {
		if got := mayMatch(c.filter, c.prefix); got != c.want {
			t.Errorf("mayMatch(%q, %q) = %v", c.filter, c.prefix, got)
		}
	}
}

func TestSameBroker(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"mqtt://broker", "tcp://BROKER:1883", true},
		{"mqtts://broker", "mqtts://broker:8883", true},
		{"mqtts://broker", "mqtt://broker", false},
		{"mqtt://broker", "mqtt://other", false},
		{"mqtt://broker", "mqtt://[", true},
	} {
		if got := sameBroker(c.a, c.b); got != c.want {
			t.Errorf("sameBroker(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestDeadLettersFull(t *testing.T) {
	d, err := openDeadLetters(filepath.Join(t.TempDir(), "refused"))
	if err != nil {
		t.Fatal(err)
	}
	d.count = maxLetters - 1
	if err := d.add(mqtt.Message{Topic: "a"}, "topic"); err != nil {
		t.Fatal(err)
	}
	if err := d.add(mqtt.Message{Topic: "a"}, "topic"); err == nil {
		t.Error("a full directory took one more")
	}
}

// opened returns the site's message as it is once opened.
func (s sealedSite) opened(t *testing.T) *envelope.Opened {
	t.Helper()
	raw, err := os.ReadFile(s.sealed)
	if err != nil {
		t.Fatal(err)
	}
	o := newOpening(t, s.keys)
	m, err := o.Open("site/gate/3", raw)
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func newOpening(t *testing.T, keys string) *envelope.Opener {
	t.Helper()
	files, err := crypto.LoadRecipientKeys(keys, nil)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	o, err := envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{files[0].Key}, Mode: envelope.Archive})
	if err != nil {
		t.Fatal(err)
	}
	return o
}
