package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLearnedPolicyProtects goes the way that an installer goes: watch what
// devices publish, draft a policy from it, turn its routes to enforce, and run a
// gateway with it. What was found leaves protected, and no value that was sent is
// in the draft or in the inventory.
func TestLearnedPolicyProtects(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	local, cloud := StartMosquitto(t), StartMosquitto(t)
	sealctl := Program(t, "sealctl")

	type message struct{ topic, payload string }
	var traffic []message
	var values []string
	for i := range 8 {
		mail, secret, device := fmt.Sprintf("marta.%d@nordhafen.example", i), fmt.Sprintf("Vx7-%04d-qLm2", i), fmt.Sprintf("70b3d57ed00%05x", i*7919)
		lat, lon := fmt.Sprintf("54.32%04d", 1234+i*37), fmt.Sprintf("10.13%04d", 5678+i*41)
		values = append(values, mail, secret, lat, lon, "Lindqvist", "see Jonas")
		traffic = append(traffic,
			message{"doors/" + device + "/access", fmt.Sprintf(`{"holder":{"lastName":"Lindqvist","email":"%s"},"note":"left early, see Jonas","granted":true}`, mail)},
			message{"fleet/truck-" + fmt.Sprint(i) + "/up", fmt.Sprintf(`{"lat":%s,"lon":%s,"speed":43.5}`, lat, lon)},
			message{"boxes/" + device + "/config", fmt.Sprintf(`{"wifi":{"password":"%s"},"interval":30}`, secret)},
			message{"plant/oven/temperature", "181.5"})
	}
	for _, m := range traffic[:len(traffic)/2] {
		pub(t, local.Addr, "-t", m.topic, "-m", m.payload, "-r")
	}

	// Watch; half of the traffic is retained, half comes while we watch. (The
	// oven's topic is one.)
	dir := t.TempDir()
	draft, inventory := filepath.Join(dir, "draft.yaml"), filepath.Join(dir, "inventory.html")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	retained := 3*len(traffic)/8 + 1
	watch := exec.CommandContext(ctx, sealctl, "policy", "learn", "--broker", "mqtt://"+local.Addr, "--count", fmt.Sprint(retained+len(traffic)/2),
		"--for", "50s", "--out", draft, "--inventory", inventory)
	out := new(strings.Builder)
	watch.Stdout, watch.Stderr = out, out
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // messages that come too early are missed by whoever is not there yet; then --for ends the watch
	for _, m := range traffic[len(traffic)/2:] {
		pub(t, local.Addr, "-t", m.topic, "-m", m.payload)
	}
	if err := watch.Wait(); err != nil {
		t.Fatalf("learn: %v\n%s", err, out)
	}
	for _, file := range []string{draft, inventory} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if strings.Contains(string(raw), v) || strings.Contains(out.String(), v) {
				t.Errorf("the value %q was kept in %s", v, filepath.Base(file))
			}
		}
	}

	// Promote every route; then a gateway whose guard permits no observe mode
	// takes the policy but for the word that is left over at its top.
	for _, route := range []string{"boxes config", "doors access", "fleet up", "plant oven temperature", "everything else"} {
		if out, err := exec.Command(sealctl, "policy", "promote", route, draft).CombinedOutput(); err != nil {
			t.Fatalf("promote %s: %v\n%s\n%s", route, err, out, read(t, draft))
		}
	}
	site := NewSite(t, cloud.Addr)
	site.Policy = strings.Replace(read(t, draft), "mode: observe\n", "", 1)
	site.Start(t)
	recorder := Record(t, cloud.Addr, "#")
	for _, m := range traffic {
		pub(t, site.Addr, "-t", m.topic, "-m", m.payload, "-q", "1")
	}
	Until(t, "everything arrives", 20*time.Second, func() bool { return recorder.Len() >= len(traffic) })
	clear := 0
	for _, p := range recorder.All() {
		for _, v := range values {
			if strings.Contains(string(p.Payload), v) || strings.Contains(p.Topic, v) {
				t.Errorf("the value %q left on %s", v, p.Topic)
			}
		}
		if string(p.Payload) == "181.5" {
			clear++
		}
	}
	if clear != 8 {
		t.Errorf("%d of 8 harmless messages left as they were", clear)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
