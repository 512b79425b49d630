package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// plate publishes one number plate through a gateway and returns what left in
// its place.
func (s *site) plate(t *testing.T, a *agent.Agent, topic string) string {
	t.Helper()
	publish(t, a, mqtt.Message{Topic: topic, Payload: []byte(`{"plate":"B-AB 123"}`), QoS: 1})
	var out struct{ Plate string }
	check(t, json.Unmarshal(s.wait(t, "plant/gw-1/"+topic).Payload, &out))
	return out.Plate
}

func pseudonymPolicy(params string) []byte {
	return fmt.Appendf(nil, "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes: [{name: all, topics: [\"#\"]}]\nfields: [{topic: \"#\", path: /plate, class: id.vehicle_plate}]\nclasses: {id.vehicle_plate: {pseudonymize: {%s}}}\n", params)
}

// TestSharedDomain: gateways that an operator shares a domain with make the same
// tokens, others don't; a rotation keeps both for a while.
func TestSharedDomain(t *testing.T) {
	var sites []*site
	var gateways []*crypto.Recipient
	for range 3 {
		s := newSite(t, "policy: policy.yaml\n")
		s.cfg = strings.Replace(s.cfg, "trust_root: root.json}", "trust_root: root.json, shared_domains: {traffic: traffic.domain}}", 1)
		check(t, os.WriteFile(filepath.Join(s.dir, "policy.yaml"), pseudonymPolicy("domain: traffic"), 0o600))
		e, _, err := agent.Enroll(t.Context(), parse(t, s), nil, time.Now())
		check(t, err)
		gateways = append(gateways, e.KEM)
		s.root.Roles[signed.RoleRegistry] = s.root.Roles[signed.RoleRecipients]
		raw, err := s.root.Marshal()
		check(t, err)
		check(t, os.WriteFile(filepath.Join(s.dir, "root.json"), raw, 0o600))
		sites = append(sites, s)
	}
	d := &signed.Domain{Site: "plant", Name: "traffic"}
	share := func() { // with the first two
		key, err := crypto.NewSecretKey()
		check(t, err)
		check(t, d.Add(uint32(len(d.Keys)+1), time.Now().UTC().Truncate(time.Second), key, gateways[:2]))
		for _, s := range sites {
			raw, err := signed.SignDomain(d, s.operator)
			check(t, err)
			check(t, os.WriteFile(filepath.Join(s.dir, "traffic.domain"), raw, 0o600))
		}
	}
	share()
	var running []*agent.Agent
	for _, s := range sites {
		a := s.start(t)
		defer stop(t, a)
		running = append(running, a)
	}
	first := sites[0].plate(t, running[0], "a")
	if second := sites[1].plate(t, running[1], "a"); first != second || !strings.HasPrefix(first, "p1") || len(first) != 28 {
		t.Errorf("tokens %s and %s", first, second)
	}
	if st := running[2].Stats(); !strings.Contains(fmt.Sprint(st.Alarms), "no-protection") {
		t.Errorf("no alarm that a gateway lacks the domain's key: %+v", st.Alarms)
	}
	share()
	check(t, running[0].Reload())
	if both := sites[0].plate(t, running[0], "b"); !strings.HasPrefix(both, "p2") || !strings.HasSuffix(both, "."+first) {
		t.Errorf("after the rotation: %s, before: %s", both, first)
	}
}

// TestReversibleTokens: only where the gateway permits it, and only who has its
// keys reads the value.
func TestReversibleTokens(t *testing.T) {
	s := newSite(t, "policy: policy.yaml\n")
	check(t, os.WriteFile(filepath.Join(s.dir, "policy.yaml"), pseudonymPolicy("form: reversible"), 0o600))
	a := s.start(t)
	if st := a.Stats(); st.Policy.Source != "built-in" {
		t.Errorf("without permission the policy is %s", st.Policy.Source)
	}
	stop(t, a)
	s.cfg = strings.Replace(s.cfg, "trust_root: root.json}", "trust_root: root.json, reversible_domains: [gateway]}", 1)
	a = s.start(t)
	token := s.plate(t, a, "a")
	stop(t, a)
	if !strings.HasPrefix(token, "r1") || strings.Contains(strings.ToUpper(token), "BAB123") {
		t.Fatalf("token %s", token)
	}
	reveal := func(class, token string) (string, error) {
		v, err := agent.Reveal(context.Background(), parse(t, s), nil, "gateway", class, token)
		return string(v), err
	}
	if v, err := reveal("id.vehicle_plate", token); err != nil || v != "BAB123" {
		t.Errorf("revealed %q, %v", v, err)
	}
	if v, err := reveal("id.vin", token); err == nil {
		t.Errorf("as another class it reveals %q", v)
	}
}
