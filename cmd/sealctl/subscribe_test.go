package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
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

type allow struct{ mochi.HookBase }

func (allow) ID() string                                               { return "allow" }
func (allow) Provides(b byte) bool                                     { return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck }
func (allow) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (allow) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// cloud starts a broker that retains the given files by topic.
func cloud(t *testing.T, retained map[string]string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(allow), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(listeners.NewNet("cloud", l)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for topic, file := range retained {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Publish(topic, raw, true, 1); err != nil {
			t.Fatal(err)
		}
	}
	return "mqtt://" + l.Addr().String()
}

func TestSubscribe(t *testing.T) {
	dir := t.TempDir()
	keys, event := filepath.Join(dir, "keys"), filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, []byte(`{"plate":null,"lane":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := sealctl(t, nil, "keys", "init", "--dir", keys, "--site", "plant-7", "--audience", "cloud-analytics"); code != exitFine {
		t.Fatal(stderr)
	}
	sealed := filepath.Join(dir, "sealed.bin")
	if err := sealCommand([]string{keys, "whole", "site/gate/3", event, sealed}); err != nil {
		t.Fatal(err)
	}
	pub, err := filepath.Glob(filepath.Join(keys, "gateway", "*.pub.json"))
	if err != nil || len(pub) != 1 {
		t.Fatal(pub, err)
	}
	url := cloud(t, map[string]string{"site/gate/3": sealed, "site/clear": event, "site/moved": sealed})
	open := func(want int, args ...string) (string, string) {
		t.Helper()
		stdout, stderr, code := sealctl(t, nil, append([]string{"open", "--keys", keys, "--subscribe", url}, args...)...)
		if code != want {
			t.Fatalf("exit code %d, want %d: %s", code, want, stderr)
		}
		return stdout, stderr
	}

	stdout, stderr := open(exitFine, "--topic", "site/gate/+", "--count", "1")
	if stdout != `{"plate":null,"lane":3}`+"\n" || !strings.Contains(stderr, "origin unverified") {
		t.Errorf("%s%s", stdout, stderr)
	}

	stdout, stderr = open(exitBad, "--topic", "site/#", "--count", "3", "--json")
	for _, want := range []string{`"protection":"sealed"`, `"protection":"none"`, `{"topic":"site/moved","reason":"topic"`} {
		if strings.Count(stdout, want) != 1 {
			t.Errorf("no %s in %s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "site/moved: topic: it was published on another topic") {
		t.Error(stderr)
	}

	// With the gateway's key the origin is verified and replays are told, also
	// across runs.
	state := filepath.Join(dir, "state")
	args := []string{"--topic", "site/gate/3", "--count", "1", "--json", "--gateway-key", "gw-west=" + pub[0], "--state", state}
	if stdout, _ = open(exitFine, args...); !strings.Contains(stdout, `"origin":"key","replay":"new"`) {
		t.Error(stdout)
	}
	if stdout, _ = open(exitFine, args...); !strings.Contains(stdout, `"replay":"duplicate"`) {
		t.Error(stdout)
	}
}

func TestSubscribeNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	keys := filepath.Join(t.TempDir(), "keys")
	if _, stderr, code := sealctl(t, nil, "keys", "create", "a", "--dir", keys); code != exitFine {
		t.Fatal(stderr)
	}
	_, stderr, code := sealctl(t, nil, "open", "--keys", keys, "--subscribe", "mqtt://"+addr, "--topic", "#")
	if code != exitFailure || !strings.Contains(stderr, "the broker can't be reached") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// TestWaitsForGrants: a message that comes before its grant waits, with what is
// behind it, and all come out in order; one whose grant never comes is refused,
// and holds up nothing for long.
func TestWaitsForGrants(t *testing.T) {
	site := newSealedSite(t, "site/gate/3")
	alone := filepath.Join(site.dir, "alone.bin")
	if err := sealCommand([]string{site.keys, "reference", "site/gate/3", site.event, alone}); err != nil {
		t.Fatal(err)
	}
	read := func(path string) []byte {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	files, err := crypto.LoadRecipientKeys(site.keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{files[0].Key}, Mode: envelope.Archive, Require: func(string) envelope.Requirement { return envelope.Requirement{AllowClear: true} }})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e := &env{stdout: &out, stderr: io.Discard}
	s := &opening{e: e, o: &openOptions{asJSON: true}, opener: opener, out: bufio.NewWriter(&out)}
	p := &openSink{s: s, memory: &replayFile{s: s}, out: printer{s}, cancel: func(err error) { t.Error(err) }}
	answered := 0
	submit := func(topic string, payload []byte) {
		t.Helper()
		if err := p.Submit(t.Context(), mqtt.Source{}, mqtt.Message{Topic: topic, Payload: payload, QoS: 1}, func(err error) {
			if answered++; err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	lines := func() []string { return strings.Split(strings.TrimSpace(out.String()), "\n") }

	submit("site/gate/3", read(alone))
	submit("site/clear", read(site.event))
	if out.Len() != 0 || answered != 0 {
		t.Fatalf("%d answered before the grant: %s", answered, &out)
	}
	submit("sg/v1/plant-7/grants/gw-west/x", read(alone+".grant"))
	if got := lines(); answered != 3 || len(got) != 2 || !strings.Contains(got[0], `"sealed"`) || !strings.Contains(got[1], "site/clear") {
		t.Fatalf("%d answered: %s", answered, &out)
	}

	// Another key, whose grant never comes.
	out.Reset()
	if err := sealCommand([]string{site.keys, "reference", "site/gate/3", site.event, alone}); err != nil {
		t.Fatal(err)
	}
	submit("site/gate/3", read(alone))
	submit("site/clear", read(site.event))
	if err := p.admit(t.Context(), time.Now().Add(grantPatience/2)); err != nil || out.Len() != 0 {
		t.Fatalf("given up early: %v, %s", err, &out)
	}
	if err := p.admit(t.Context(), time.Now().Add(grantPatience)); err != nil {
		t.Fatal(err)
	}
	if got := lines(); len(got) != 2 || !strings.Contains(got[0], `"reason":"unknown_key"`) || !strings.Contains(got[1], "site/clear") {
		t.Fatalf("after its time: %s", &out)
	}
	out.Reset()
	submit("site/gate/3", read(alone))
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], `"reason":"unknown_key"`) {
		t.Fatalf("once more: %s", &out)
	}
}

// TestSharedSubscription: a group shares the work, over MQTT 5, and none of them
// claims to tell replays.
func TestSharedSubscription(t *testing.T) {
	site := newSealedSite(t, "site/gate/3")
	url := cloud(t, nil)
	raw, err := os.ReadFile(site.sealed)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := mqtt.Dial(t.Context(), mqtt.Options{URL: url, ClientID: "gateway"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { // until the group is there
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				_ = conn.Publish(&mqtt.Message{Topic: "site/gate/3", Payload: raw, QoS: 1}, func(mqtt.Ack) {})
			}
		}
	})
	stdout, stderr, code := sealctl(t, nil, "open", "--keys", site.keys, "--gateway-key", site.gatewayKey, "--json", "--subscribe", url, "--topic", "$share/openers/site/#", "--count", "2")
	close(stop)
	sending.Wait()
	if code != exitFine || strings.Count(stdout, `"origin":"key","replay":"unchecked"`) != 2 || !strings.Contains(stderr, "replays are unchecked") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if _, stderr, code = sealctl(t, nil, "open", "--keys", site.keys, "--gateway-key", site.gatewayKey, "--subscribe", url, "--topic", "$share/openers/#", "--state", filepath.Join(site.dir, "s")); code != exitUsage || !strings.Contains(stderr, "--state does not go with $share") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
