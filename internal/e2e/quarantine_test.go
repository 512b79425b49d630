package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestQuarantine: what an uplink does not take is set aside, encrypted, and the
// commands list, show, release and drop it, on a running gateway and on one that
// is stopped.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	site.Uplink = "takes: {payload: 200}"
	gateway := site.Start(t)
	type message struct {
		ID, Uplink, Reason, Topic string
		Bytes                     int
		Payload                   []byte
	}
	run := func(args ...string) ([]byte, error) {
		var stderr bytes.Buffer
		cmd := exec.Command(Sealgate(t), append([]string{"quarantine", "--config", site.Dir + "/agent.yaml"}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Logf("quarantine %s: %s", args, stderr.String())
		}
		return out, err
	}
	list := func() (all []message) {
		t.Helper()
		out, err := run("list", "--json")
		check(t, err)
		check(t, json.Unmarshal(out, &all))
		return all
	}
	if all := list(); len(all) != 0 {
		t.Fatalf("a new gateway has %+v in quarantine", all)
	}
	device, err := Dial(site.Addr, ClientOptions{ID: "device"})
	check(t, err)
	defer device.Close()
	filler := `","a":"` + strings.Repeat("long ", 60)
	for id, m := range []string{`{"n":1}`, `{"n":2,"password":"` + Secret + filler + `"}`, `{"n":3,"b":"` + filler + `"}`, `{"n":4}`} {
		check(t, device.Publish(Message{Topic: "line/a", Payload: []byte(m), QoS: 1}, uint16(id+1)))
	}
	Until(t, "what fits arrives", 20*time.Second, func() bool { return len(recorder.On(Prefix+"line/a")) == 2 })
	Until(t, "the rest is set aside", 20*time.Second, func() bool { return len(list()) == 2 })
	all := list()
	for _, m := range all {
		if m.Uplink != "cloud" || m.Reason != "payload_too_large" || m.Topic != Prefix+"line/a" || m.Bytes < 200 || m.Payload != nil {
			t.Errorf("listed: %+v", m)
		}
	}
	shown, err := run("show", all[0].ID)
	check(t, err)
	if len(shown) != all[0].Bytes || bytes.Contains(shown, []byte(Secret)) {
		t.Errorf("shown: %q", shown)
	}
	clean(t, site)

	if _, err := run("release", all[0].ID); err != nil {
		t.Error(err)
	}
	Until(t, "what is still too large comes back", 20*time.Second, func() bool {
		now := list()
		return len(now) == 2 && now[1].ID == all[0].ID
	})
	if _, err := run("drop", all[1].ID); err != nil {
		t.Error(err)
	}
	if _, err := run("drop", all[1].ID); err == nil {
		t.Error("what is gone can be dropped again")
	}

	check(t, gateway.Stop(30*time.Second))
	if now := list(); len(now) != 1 || now[0].ID != all[0].ID {
		t.Errorf("after the stop: %+v", now)
	}
	if _, err := run("release", "--all"); err != nil {
		t.Error(err)
	}
	if now := list(); len(now) != 0 {
		t.Errorf("after the release: %+v", now)
	}
	site.Uplink = ""
	site.Start(t)
	Until(t, "what was released arrives", 20*time.Second, func() bool { return len(recorder.On(Prefix+"line/a")) == 3 })
	if p := recorder.On(Prefix + "line/a")[2]; !bytes.Equal(p.Payload, shown) {
		t.Errorf("arrived as %q, was shown as %q", p.Payload, shown)
	}
}
