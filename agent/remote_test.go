package agent_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// desk is where the site's operators sit: with their keys, and a client of the
// broker that nobody trusts.
type desk struct {
	t    *testing.T
	s    *site
	conn mqtt.Conn
}

func newDesk(t *testing.T, s *site) *desk {
	t.Helper()
	for _, role := range []string{signed.RoleRoot, signed.RolePolicy, signed.RoleNow, signed.RoleCommand} {
		s.root.Roles[role] = s.root.Roles[signed.RoleRecipients]
	}
	raw, err := s.root.Marshal()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.dir, "root.json"), raw, 0o600))
	s.cfg += "control: {uplink: cloud}\n"
	url := s.cfg[strings.Index(s.cfg, `"mqtt://`)+1:]
	conn, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: url[:strings.Index(url, `"`)], ClientID: "desk"})
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &desk{t, s, conn}
}

func (d *desk) send(topic string, retain bool, raw []byte, err error) {
	d.t.Helper()
	check(d.t, err)
	acked := make(chan mqtt.Ack, 1)
	check(d.t, d.conn.Publish(&mqtt.Message{Topic: "sg/v1/plant/" + topic, Payload: raw, QoS: 1, Retain: retain}, func(k mqtt.Ack) { acked <- k }))
	check(d.t, (<-acked).Err)
}

func (d *desk) push(version uint64, content string) {
	d.t.Helper()
	now := time.Now()
	raw, err := signed.SignPolicy(&signed.Policy{
		Site: "plant", Target: "g/default", Epoch: 1, Version: version, IssuedAt: now.Add(-time.Second), NotAfter: now.Add(time.Hour),
		Rollout: signed.Rollout{Permille: 1000}, Content: content,
	}, d.s.operator)
	d.send("cfg/g/default", true, raw, err)
}

// status waits for a status that the gateway signed and that is as wanted.
func (d *desk) status(key *crypto.Verifier, want func(*signed.GatewayStatus) bool) *signed.GatewayStatus {
	d.t.Helper()
	var last *signed.GatewayStatus
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range d.s.cloud.all("sg/v1/plant/status/gw-1") {
			st, err := signed.OpenStatus(m.Payload, "plant", "gw-1", key)
			check(d.t, err)
			if last = st; want(st) {
				return st
			}
		}
	}
	d.t.Fatalf("no such status; the last one: %+v", last)
	return nil
}

func (d *desk) command(name string, st *signed.GatewayStatus) {
	d.t.Helper()
	now := time.Now()
	c := &signed.Command{Site: "plant", Target: "gw-1", Epoch: 1, Command: name, IssuedAt: now.Add(-time.Second), NotAfter: now.Add(time.Hour)}
	_, err := hex.Decode(c.Challenge[:], []byte(st.Challenge))
	check(d.t, err)
	raw, err := signed.SignCommand(c, d.s.operator)
	d.send("cmd/gw-1", false, raw, err)
}

// TestRemoteControl: over a broker that both sides only talk through, a policy
// is pushed and takes effect under traffic, an attempt to loosen is refused, a
// lockdown holds what leaves and its release lets all of it go, and a restart
// forgets nothing.
func TestRemoteControl(t *testing.T) {
	s := newSite(t, "")
	d := newDesk(t, s)
	a := s.start(t)
	stopped := false
	defer func() {
		if !stopped {
			stop(t, a)
		}
	}()
	temperature := func(n string) mqtt.Message {
		return mqtt.Message{Topic: "line/temp" + n, Payload: []byte(`{"temperature":21.5}`), QoS: 1}
	}
	publish(t, a, temperature("1"))
	if m := s.wait(t, "plant/gw-1/line/temp1"); m.Payload[0] != '{' {
		t.Fatal("sealed before any policy said so")
	}
	d.push(1, "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nroutes: [{name: all, topics: ['#']}]\ngrades: {L1: seal, L2: seal}\n")
	st := d.status(a.Verifier(), func(st *signed.GatewayStatus) bool { return st.Targets[1].Effective.Version == 1 })
	if st.Targets[1].State != "probation" && st.Targets[1].State != "applied" {
		t.Errorf("state %s", st.Targets[1].State)
	}
	publish(t, a, temperature("2"))
	if m := s.wait(t, "plant/gw-1/line/temp2"); m.Payload[0] == '{' {
		t.Fatal("not sealed under the pushed policy")
	}

	d.push(2, "schema: sealgate/policy/v1\nversion: 2\nprofile: generic\nmode: observe\nroutes: [{name: all, topics: ['#']}]\n")
	d.status(a.Verifier(), func(st *signed.GatewayStatus) bool { return st.Targets[1].Reason == "guard" })

	d.command(signed.Lockdown, st)
	st = d.status(a.Verifier(), func(st *signed.GatewayStatus) bool { return st.Mode == "lockdown" })
	publish(t, a, temperature("3")) // acknowledged to the device: it is kept
	stop(t, a)
	a = s.start(t)
	st = d.status(a.Verifier(), func(x *signed.GatewayStatus) bool { return x.Boot > st.Boot })
	if st.Mode != "lockdown" || st.Targets[1].Effective.Version != 1 {
		t.Errorf("after a restart: mode %s, policy %d", st.Mode, st.Targets[1].Effective.Version)
	}
	if _, left := s.cloud.find("plant/gw-1/line/temp3"); left {
		t.Fatal("something left during a lockdown")
	}
	d.command(signed.Release, st)
	if m := s.wait(t, "plant/gw-1/line/temp3"); m.Payload[0] == '{' {
		t.Error("not sealed")
	}
	stop(t, a)
	stopped = true
}

// TestRemoteRelease: what an uplink would not take is sent again by command. It
// is still too large here, so it comes back, which shows that it was tried.
func TestRemoteRelease(t *testing.T) {
	s := newSite(t, "")
	s.cfg = strings.Replace(s.cfg, "    topics: [{", "    takes: {payload: 64}\n    topics: [{", 1)
	d := newDesk(t, s)
	a := s.start(t)
	defer stop(t, a)
	publish(t, a, mqtt.Message{Topic: "line/1", Payload: []byte(`{"n":"` + strings.Repeat("x", 100) + `"}`), QoS: 1})
	quarantined := func(n uint64) bool { return a.Stats().Uplinks[0].Quarantined == n }
	for end := time.Now().Add(10 * time.Second); !quarantined(1) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if !quarantined(1) {
		t.Fatal("nothing was set aside")
	}
	st := d.status(a.Verifier(), func(*signed.GatewayStatus) bool { return true })
	d.command(signed.ReleaseQuarantine, st)
	for end := time.Now().Add(10 * time.Second); !quarantined(2) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if !quarantined(2) {
		t.Error("nothing was released")
	}
}
