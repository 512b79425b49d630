package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
)

// saveKey makes a key pair as sealctl keys create does.
func saveKey(t *testing.T, dir, audience string) (private, public string) {
	t.Helper()
	k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	check(t, err)
	private, err = crypto.SaveRecipientKey(dir, crypto.RecipientFile{Audience: audience, Created: time.Now(), Key: k}, nil)
	check(t, err)
	return private, strings.TrimSuffix(private, ".key.json") + ".pub.json"
}

func (s *site) keeper(t *testing.T, state, machine string) *agent.Keeper {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(s.dir, "agent.yaml"), []byte(strings.Replace(s.cfg, "state: state", "state: "+state, 1)))
	check(t, err)
	return &agent.Keeper{Config: cfg, Machine: []byte(machine), Now: time.Now}
}

// TestBackupReplacesAGateway: a gateway's disk is lost; another machine becomes
// the gateway by its backup and a rescue key.
func TestBackupReplacesAGateway(t *testing.T) {
	s := newSite(t, "")
	safe := t.TempDir()
	rescue, rescuePub := saveKey(t, safe, custody.RescueAudience)
	other, otherPub := saveKey(t, safe, "ops")
	stranger, _ := saveKey(t, safe, custody.RescueAudience)
	lost := s.keeper(t, "state", "m1")
	if _, err := lost.Backup(t.Context(), nil); err == nil {
		t.Error("a backup of nothing was made")
	}
	if _, err := lost.Init(t.Context(), "", []string{otherPub}); err == nil || !strings.Contains(err.Error(), "not a rescue key") {
		t.Errorf("a recipient's key was taken for a rescue key: %v", err)
	}
	before, err := lost.Init(t.Context(), "", []string{rescuePub})
	check(t, err)
	a, err := agent.Start(t.Context(), agent.Options{Config: lost.Config, Machine: []byte("m1"), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	publish(t, a, mqtt.Message{Topic: "line/a", Payload: []byte(`{"n":1}`), QoS: 1})
	raw, err := lost.Backup(t.Context(), []string{otherPub}) // while it runs
	check(t, err)
	stop(t, a)
	kek, err := os.ReadFile(filepath.Join(s.dir, "state", "keys", "kek"))
	check(t, err)
	if bytes.Contains(raw, bytes.TrimSpace(kek)) {
		t.Error("the backup shows the KEK")
	}
	if _, err := lost.Restore(t.Context(), raw, agent.KeyFile{Path: rescue}, "", nil); err == nil || !strings.Contains(err.Error(), "never overwrites") {
		t.Errorf("a gateway was overwritten: %v", err)
	}

	next := s.keeper(t, "next", "m2")
	check(t, os.MkdirAll(next.Config.State, 0o700))
	refuse := func(what string, raw []byte, key string, v *crypto.Verifier) {
		t.Helper()
		if _, err := next.Restore(t.Context(), raw, agent.KeyFile{Path: key}, "", v); !errors.Is(err, agent.ErrBackup) {
			t.Errorf("%s: %v", what, err)
		}
		if left, _ := os.ReadDir(next.Config.State); len(left) > 1 { // the lock
			t.Fatalf("%s left %v", what, left)
		}
	}
	for i := 0; i < len(raw); i += 1 + len(raw)/200 {
		bad := bytes.Clone(raw)
		bad[i] ^= 4
		refuse(fmt.Sprintf("byte %d changed", i), bad, rescue, nil)
		refuse(fmt.Sprintf("cut to %d bytes", i), raw[:i], rescue, nil)
	}
	refuse("longer", append(bytes.Clone(raw), 0), rescue, nil)
	refuse("another key", raw, stranger, nil)
	wrong, err := crypto.GenerateSigner()
	check(t, err)
	refuse("another gateway's signature", raw, rescue, wrong.Verifier())
	namesake := s.keeper(t, "next", "m2")
	namesake.Config.Gateway = "gw-2"
	if _, err := namesake.Restore(t.Context(), raw, agent.KeyFile{Path: rescue}, "", nil); !errors.Is(err, agent.ErrBackup) {
		t.Errorf("under another name: %v", err)
	}

	boots := map[string]bool{}
	for i, key := range []string{rescue, other} {
		// Restored twice, at different times: the starts still do not count alike.
		to := s.keeper(t, fmt.Sprint("machine", i), "m2")
		to.Now = func() time.Time { return time.Now().Add(time.Duration(i) * time.Hour) }
		after, err := to.Restore(t.Context(), raw, agent.KeyFile{Path: key}, "", nil)
		check(t, err)
		if after.Signing != before.Signing || after.KEK == before.KEK || len(after.Rescue) != 1 {
			t.Errorf("restored %+v, was %+v", after, before)
		}
		boot, err := os.ReadFile(filepath.Join(to.Config.State, "boot"))
		check(t, err)
		if boots[string(boot)] || strings.Contains(string(boot), "00000000000000000002") {
			t.Errorf("boot counter %q", boot)
		}
		boots[string(boot)] = true
		a, err := agent.Start(t.Context(), agent.Options{Config: to.Config, Machine: []byte("m2"), Logger: slog.New(slog.DiscardHandler)})
		check(t, err)
		topic := fmt.Sprint("line/after", i)
		publish(t, a, mqtt.Message{Topic: topic, Payload: []byte(`{"n":2}`), QoS: 1})
		s.wait(t, "plant/gw-1/"+topic)
		if st := a.Stats(); !st.Ready {
			t.Errorf("not ready: %s", st.Why)
		}
		stop(t, a)
	}
}

func TestKeeperRotates(t *testing.T) {
	s := newSite(t, "")
	up := s.cfg
	s.cfg = strings.Replace(up, up[strings.Index(up, "mqtt://127"):strings.Index(up, "\"\n    topics")], "mqtt://127.0.0.1:9", 1)
	a := s.start(t)
	publish(t, a, mqtt.Message{Topic: "line/old", Payload: []byte(`{"password":"Vq7!rTz0pLm2"}`), QoS: 1})
	old := a.Verifier().KeyID()
	k := s.keeper(t, "state", "")
	if _, err := k.Rotate(t.Context(), "signing"); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("rotated under a running gateway: %v", err)
	}
	stop(t, a)
	for _, purpose := range []string{"spool", "signing", "kem", "kek", "spool"} {
		if _, err := k.Rotate(t.Context(), purpose); err != nil {
			t.Fatalf("%s: %v", purpose, err)
		}
	}
	s.cfg = up
	a = s.start(t)
	defer stop(t, a)
	if a.Verifier().KeyID() == old {
		t.Error("the signing key did not change")
	}
	// What waited under the old keys goes out, and what comes is under the new.
	publish(t, a, mqtt.Message{Topic: "line/new", Payload: []byte(`{"n":1}`), QoS: 1})
	s.wait(t, "plant/gw-1/line/old")
	s.wait(t, "plant/gw-1/line/new")
}
