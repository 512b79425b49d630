package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
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
