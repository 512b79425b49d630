package agent_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/internal/e2e"
)

// startTransit is a transit engine that does not encrypt, and can be down. How
// custody deals with a real one's answers is tested there.
func startTransit(t *testing.T) (url string, down *atomic.Bool) {
	t.Helper()
	down = new(atomic.Bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		if down.Load() || json.NewDecoder(r.Body).Decode(&in) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		out := map[string]string{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString([]byte(in["plaintext"]))}
		if text, ok := strings.CutPrefix(in["ciphertext"], "vault:v1:"); ok {
			plain, _ := base64.StdEncoding.DecodeString(text)
			out = map[string]string{"plaintext": string(plain)}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, down
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(body)
}

// TestSealed: while the keys can't be opened devices reach each other, nothing
// leaves, nothing is acknowledged that should have left, nothing of it is on
// disk, and it is said everywhere. When the custodian is back, all goes on.
func TestSealed(t *testing.T) {
	url, down := startTransit(t)
	s := newSite(t, "")
	token := filepath.Join(s.dir, "token")
	check(t, os.WriteFile(token, []byte("hvs."+"t"), 0o600))
	s.cfg += fmt.Sprintf("custody: {kind: vault, vault: {address: %q, token_file: token}}\n", url)
	a := s.start(t)
	publish(t, a, mqtt.Message{Topic: "line/before", Payload: []byte(`{"n":1}`), QoS: 1})
	s.wait(t, "plant/gw-1/line/before")
	stop(t, a)

	down.Store(true)
	a = s.start(t)
	st := a.Stats()
	if st.Ready || !st.Custody.Sealed || !strings.Contains(st.Why, "503") || len(st.Alarms) != 1 || st.Alarms[0].ID != "keys-sealed" || a.Verifier() != nil {
		t.Errorf("stats: %+v", st)
	}
	base := "http://" + a.MetricsAddr().String()
	if code, body := get(t, base+"/-/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, "503") {
		t.Errorf("readiness: %d %q", code, body)
	}
	if _, body := get(t, base+"/metrics"); !strings.Contains(body, "\nsealgate_keys_sealed 1\n") || !strings.Contains(body, "\nsealgate_ready 0\n") {
		t.Error("the metrics do not say so")
	}
	if code, _ := get(t, base+"/-/healthy"); code != http.StatusOK {
		t.Errorf("health: %d", code)
	}
	if !a.Moving()() {
		t.Error("the watchdog would restart it")
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	local := &cloudSink{}
	reading := make(chan error, 1)
	go func() {
		reading <- mqtt.Subscribe(ctx, mqtt.SubscribeOptions{
			Options: mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "panel"}, Filters: []mqtt.Filter{{Topic: "#", QoS: 1}}, Logger: slog.New(slog.DiscardHandler),
		}, local)
	}()
	device, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device"})
	check(t, err)
	const secret = "Vq7!rTz0pLm2"
	acked := make(chan mqtt.Ack, 1)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		check(t, device.Publish(&mqtt.Message{Topic: "internal/x", Payload: []byte("1"), QoS: 1}, func(mqtt.Ack) {}))
		if _, ok := local.find("internal/x"); ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("devices do not reach each other")
		}
	}
	check(t, device.Publish(&mqtt.Message{Topic: "line/config", Payload: []byte(`{"password":"` + secret + `"}`), QoS: 1, Retain: true}, func(k mqtt.Ack) { acked <- k }))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, ok := local.find("line/config"); ok && a.Stats().Held == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not delivered here, or not held: %+v", a.Stats().Held)
		}
	}
	check(t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s holds plaintext", path)
		}
		return err
	}))
	select {
	case k := <-acked:
		t.Fatalf("acknowledged: %v", k)
	case <-a.Unsealed():
		t.Fatal("unsealed without the custodian")
	default:
	}

	down.Store(false)
	if err := a.Reload(); err == nil {
		t.Error("a reload without keys succeeded")
	}
	select {
	case <-a.Unsealed():
	case <-time.After(10 * time.Second):
		t.Fatal("not opened again")
	}
	cancel()
	<-reading
	_ = device.Close()
	stop(t, a)
	if _, ok := s.cloud.find("plant/gw-1/line/config"); ok {
		t.Error("it left while the gateway was sealed")
	}
	a = s.start(t)
	defer stop(t, a)
	publish(t, a, mqtt.Message{Topic: "line/config", Payload: []byte(`{"password":"` + secret + `"}`), QoS: 1})
	if m := s.wait(t, "plant/gw-1/line/config"); strings.Contains(string(m.Payload), secret) {
		t.Error("left in clear")
	}
}

// TestSealedForGood: a key that is gone does not come back by itself.
func TestSealedForGood(t *testing.T) {
	s := newSite(t, "")
	stop(t, s.start(t))
	check(t, os.Remove(filepath.Join(s.dir, "state", "keys", "kek")))
	a := s.start(t)
	defer stop(t, a)
	if st := a.Stats(); !st.Custody.Sealed || st.Custody.Kind != "file" || !strings.Contains(st.Why, "keys rescue") {
		t.Errorf("stats: %+v", st)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "state", "keys", "kek")); err == nil {
		t.Error("another key was made")
	}
}

func copyState(t *testing.T, from, to string) {
	t.Helper()
	check(t, os.RemoveAll(to))
	check(t, os.CopyFS(to, os.DirFS(from)))
	check(t, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
}

// TestRollback puts back an older copy of the whole state directory.
func TestRollback(t *testing.T) {
	tpm := e2e.StartTPM(t)
	s := newSite(t, fmt.Sprintf("custody: {kind: tpm, tpm: {device: %q}}\n", tpm.Socket))
	state, old := filepath.Join(s.dir, "state"), filepath.Join(t.TempDir(), "old")
	a := s.start(t)
	if st := a.Stats(); st.Custody.Rollback != "tpm" || !st.Ready {
		t.Errorf("custody: %+v", st.Custody)
	}
	stop(t, a)
	copyState(t, state, old)
	tpm.Reboot()
	stop(t, s.start(t))
	copyState(t, state, filepath.Join(t.TempDir(), "new"))

	rolled := func(what string) {
		t.Helper()
		a := s.start(t)
		defer stop(t, a)
		if st := a.Stats(); st.Ready || !strings.Contains(fmt.Sprint(st.Alarms), "rollback") {
			t.Errorf("%s: %+v", what, st)
		}
	}
	current := filepath.Join(t.TempDir(), "current")
	copyState(t, state, current)
	copyState(t, old, state)
	rolled("an older copy")
	copyState(t, current, state)
	check(t, os.Remove(filepath.Join(state, "state")))
	rolled("without the state")
	copyState(t, current, state)
	check(t, os.Remove(filepath.Join(state, "boot")))
	a = s.start(t)
	if st := a.Stats(); !st.Ready {
		t.Errorf("the newest copy is refused: %+v", st)
	}
	stop(t, a)
	if boot, err := os.ReadFile(filepath.Join(state, "boot")); err != nil || !strings.Contains(string(boot), "00000000000000000003 ") {
		t.Errorf("the boot counter fell behind the state: %q, %v", boot, err)
	}

	// Without a counter an older copy is taken, and that is said.
	plain := newSite(t, "")
	a = plain.start(t)
	defer stop(t, a)
	if st := a.Stats(); st.Custody.Rollback != "unprotected" {
		t.Errorf("custody: %+v", st.Custody)
	}
	if _, body := get(t, "http://"+a.MetricsAddr().String()+"/metrics"); !strings.Contains(body, "\nsealgate_rollback_protected 0\n") {
		t.Error("the metrics do not say so")
	}
}
