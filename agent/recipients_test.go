package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/signed"
)

// A ring is who may open, while a test moves them through their lives.
type ring struct {
	*site
	bundle signed.Bundle
	keys   map[string]*crypto.RecipientKey
}

func newRing(t *testing.T, s *site) *ring {
	r := &ring{site: s, keys: map[string]*crypto.RecipientKey{}}
	raw, err := os.ReadFile(filepath.Join(s.dir, "recipients.bundle"))
	check(t, err)
	role, err := s.root.Role(signed.RoleRecipients)
	check(t, err)
	b, err := signed.OpenBundle(raw, role, signed.Expect{Site: "plant", Now: time.Now()})
	check(t, err)
	r.bundle = *b
	r.keys["ops"], r.keys["recovery"] = s.keys[0], s.keys[1]
	return r
}

// add announces a key.
func (r *ring) add(t *testing.T, name, audience string, kem crypto.KEM, status signed.Status) {
	k, err := crypto.GenerateRecipientKey(kem)
	check(t, err)
	r.keys[name] = k
	r.bundle.Entries = append(r.bundle.Entries, signed.Entry{Audience: audience, Status: status, Recipient: k.Recipient()})
}

func (r *ring) set(name string, status signed.Status) {
	rid := r.keys[name].Recipient().RID()
	i := slices.IndexFunc(r.bundle.Entries, func(e signed.Entry) bool { return e.Recipient.RID() == rid })
	r.bundle.Entries[i].Status = status
}

// sign writes the next version of the bundle.
func (r *ring) sign(t *testing.T) {
	t.Helper()
	r.bundle.Version++
	r.bundle.Previous = r.bundle.Hash
	raw, err := signed.SignBundle(&r.bundle, r.operator)
	check(t, err)
	role, err := r.root.Role(signed.RoleRecipients)
	check(t, err)
	b, err := signed.OpenBundle(raw, role, signed.Expect{Site: "plant", Now: time.Now()})
	check(t, err)
	r.bundle.Hash = b.Hash
	check(t, os.WriteFile(filepath.Join(r.dir, "recipients.bundle"), raw, 0o600))
}

// send publishes a message that is sealed, and returns its key and who opens it.
func (r *ring) send(t *testing.T, a *agent.Agent, topic string) (kid crypto.KID, readers []string) {
	t.Helper()
	publish(t, a, mqtt.Message{Topic: topic, Payload: []byte(`{"a":1,}`), QoS: 1}) // unreadable: sealed whole
	topic = "plant/gw-1/" + topic
	m := r.wait(t, topic)
	for name, k := range r.keys {
		o, err := envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{k}, Mode: envelope.Archive})
		check(t, err)
		got, err := o.Open(topic, m.Payload)
		switch {
		case err == nil:
			readers, kid = append(readers, name), got.Header.KIDs[0]
		case envelope.ReasonOf(err) != envelope.ReasonNoRecipient:
			t.Errorf("%s: %v", name, err)
		}
	}
	slices.Sort(readers)
	return kid, readers
}

// TestRecipientsLife takes a key from pending to revoked while the gateway runs,
// with keys of all three kinds in one grant. Activation and revocation make a
// new data key at once.
func TestRecipientsLife(t *testing.T) {
	s := newSite(t, "policy: policy.yaml\n")
	policy := filepath.Join(s.dir, "policy.yaml")
	check(t, os.WriteFile(policy, []byte("schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes: [{name: all, topics: [\"#\"]}]\n"), 0o600))
	r := newRing(t, s)
	a := s.start(t)
	defer stop(t, a)
	kids := map[crypto.KID]bool{}
	step := func(name string, want ...string) {
		t.Helper()
		kid, readers := r.send(t, a, name)
		if !slices.Equal(readers, want) {
			t.Errorf("%s: %v open it, want %v", name, readers, want)
		}
		if kids[kid] {
			t.Errorf("%s: under a data key of before", name)
		}
		kids[kid] = true
	}
	reload := func() { t.Helper(); r.sign(t); check(t, a.Reload()) }

	step("start", "ops", "recovery")
	r.add(t, "ops-2", "ops", crypto.KEMP256, signed.Pending)
	reload()
	step("announced", "ops", "recovery")
	r.set("ops", signed.Retiring)
	r.set("ops-2", signed.Active)
	r.add(t, "ops-3", "ops", crypto.KEMXWing, signed.Active)
	reload()
	step("activated", "ops", "ops-2", "ops-3", "recovery")
	r.set("ops", signed.Revoked)
	reload()
	step("revoked", "ops-2", "ops-3", "recovery")

	// A revocation does not wait for a policy that is refused beside it.
	check(t, os.WriteFile(policy, []byte("schema: nope\n"), 0o600))
	r.set("ops-2", signed.Revoked)
	r.sign(t)
	if err := a.Reload(); err == nil {
		t.Error("a reload with a bad policy says nothing")
	}
	if st := a.Stats(); st.Policy.Version != 1 || st.Policy.Source != "file" {
		t.Errorf("the policy in force is %+v", st.Policy)
	}
	step("revoked beside a bad policy", "ops-3", "recovery")

	// Nor does that of the last key of an audience: its messages wait.
	r.set("ops-3", signed.Revoked)
	r.sign(t)
	if err := a.Reload(); err == nil {
		t.Error("a reload with a bad policy says nothing")
	}
	if st := a.Stats(); !strings.Contains(fmt.Sprint(st.Alarms), "no-recipients") {
		t.Errorf("no alarm that nobody can open: %+v", st.Alarms)
	}
}

// TestBlockedIsKept: what the policy blocks stays on the gateway as an envelope
// that one audience opens.
func TestBlockedIsKept(t *testing.T) {
	s := newSite(t, "")
	r := newRing(t, s)
	r.add(t, "auditor", signed.Blocked, crypto.KEMX25519, signed.Active)
	r.sign(t)
	s.cfg += "policy: policy.yaml\n"
	check(t, os.WriteFile(filepath.Join(s.dir, "policy.yaml"), []byte("schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nunreadable: block\nroutes: [{name: all, topics: [\"#\"]}]\n"), 0o600))
	a := s.start(t)
	publish(t, a, mqtt.Message{Topic: "line/x", Payload: []byte(`{"a":1,}`), QoS: 1}, mqtt.Message{Topic: "line/y", Payload: []byte(`{"n":1}`), QoS: 1})
	s.wait(t, "plant/gw-1/line/y")
	stop(t, a)
	if _, left := s.cloud.find("plant/gw-1/line/x"); left {
		t.Error("a blocked message left")
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "state", "blocked", "*.cose"))
	check(t, err)
	if len(files) != 1 {
		t.Fatalf("kept: %v", files)
	}
	raw, err := os.ReadFile(files[0])
	check(t, err)
	for name, k := range r.keys {
		o, err := envelope.NewOpener(envelope.OpenerOptions{Keys: []*crypto.RecipientKey{k}, Mode: envelope.Archive})
		check(t, err)
		m, err := o.Open("", raw)
		if opens := err == nil && string(m.Payload) == `{"a":1,}` && m.Topic == "line/x"; opens != (name == "auditor") {
			t.Errorf("%s opens it: %v (%v)", name, opens, err)
		}
	}
	if st, err := os.Stat(files[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", files[0], st.Mode(), err)
	}
}

// TestRecipientsExpireWhileRunning: nothing is sealed to recipients that are no
// longer valid, without a reload; newer ones end the waiting.
func TestRecipientsExpireWhileRunning(t *testing.T) {
	s := newSite(t, "")
	r := newRing(t, s)
	r.bundle.NotAfter = time.Now().Add(5 * time.Second).Truncate(time.Second)
	r.sign(t)
	a := s.start(t)
	defer stop(t, a)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if st := a.Stats(); strings.Contains(fmt.Sprint(st.Alarms), "no-recipients") {
			if !st.Recipients.NotAfter.Equal(r.bundle.NotAfter) {
				t.Errorf("expired at %v, says %v", r.bundle.NotAfter, st.Recipients.NotAfter)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("not noticed")
		}
	}
	conn, err := mqtt.DialPaho311(t.Context(), mqtt.Options{URL: "mqtt://" + a.BrokerAddr().String(), ClientID: "device"})
	check(t, err)
	defer conn.Close()
	acked := make(chan mqtt.Ack, 1)
	check(t, conn.Publish(&mqtt.Message{Topic: "a", Payload: []byte(`{"n":1}`), QoS: 1}, func(k mqtt.Ack) { acked <- k }))
	for end := time.Now().Add(20 * time.Second); a.Stats().Held == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not held")
		}
	}
	r.bundle.NotAfter = time.Now().Add(time.Hour).Truncate(time.Second)
	r.sign(t)
	check(t, a.Reload())
	select {
	case k := <-acked:
		check(t, k.Err)
	case <-time.After(20 * time.Second):
		t.Fatal("still held")
	}
}
