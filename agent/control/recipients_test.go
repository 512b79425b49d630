package control

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

func (s *site) bundle(version uint64, previous [32]byte, entries ...signed.Entry) []byte {
	s.t.Helper()
	recovery := signed.Entry{Audience: signed.Recovery, Status: signed.Active, Recipient: newRecipient(s.t)}
	c := signed.Chain{Site: "plant-7", Version: version, Previous: previous, NotBefore: s.wall.Add(-time.Hour), NotAfter: s.wall.Add(90 * 24 * time.Hour)}
	b := &signed.Bundle{Chain: c, Entries: append(entries, recovery)}
	return must(signed.SignBundle(b, s.keys[signed.RoleRecipients]...))
}

func newRecipient(t *testing.T) *crypto.Recipient {
	t.Helper()
	k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		t.Fatal(err)
	}
	return k.Recipient()
}

func hashOf(raw []byte) [32]byte { return must(signed.ParseBundle(bodyOf(raw))).Hash }

// TestRecipients: a bundle only ever moves forward, and a revocation that can't
// be carried out seals everything.
func TestRecipients(t *testing.T) {
	s := newSite(t)
	first := s.bundle(1, [32]byte{})
	second := s.bundle(2, hashOf(first))
	s.offer("recipients", second, CodeApplied) // the first was withheld, or never known
	s.offer("recipients", second, CodeUnchanged)
	s.offer("recipients", first, CodeRollback)
	s.offer("recipients", s.bundle(3, hashOf(first)), CodeRollback) // not chained to what is known
	s.start()
	if string(s.host.active.Recipients) != string(bodyOf(second)) {
		t.Error("after a start other recipients are in force")
	}
	s.offer("recipients", first, CodeRollback)

	third := s.bundle(3, hashOf(second))
	s.host.probe = errors.New("does not open")
	s.offer("recipients", third, CodeProbe)
	if s.host.active.Source != "sealed" {
		t.Errorf("%s is in force after a revocation that failed", s.host.active.Source)
	}
	s.start()
	if s.host.active.Source != "sealed" || string(s.host.active.Recipients) != string(bodyOf(third)) {
		t.Error("a start undoes it")
	}
	s.push(s.policy(1, tighter), CodeApplied)
	s.wantVersion(1, "group")
}

// TestEnrolledFloor: what a gateway accepted before it was controlled, or what
// its enrolment said, is a floor from the first offer on.
func TestEnrolledFloor(t *testing.T) {
	s := newSite(t)
	first := s.bundle(1, [32]byte{})
	second := s.bundle(2, hashOf(first))
	opt := s.gate.opt
	opt.Dir, opt.Recipients = t.TempDir(), Floor{Version: 2, Hash: hashOf(second)}
	s.gate = must(Open(opt))
	s.offer("recipients", first, CodeRollback)
	s.offer("recipients", second, CodeApplied)
}

// TestStatus: signed, complete, and never the same challenge after a command.
func TestStatus(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(3, tighter), CodeApplied)
	s.push(s.policy(2, looser), CodeRollback)
	counters := []signed.Counter{{Name: "sealgate_messages_total", Value: 7}}
	raw := must(s.gate.Status("enforce", []string{"observing"}, nil, counters))
	st, err := signed.OpenStatus(raw, "plant-7", "gw-1", s.signer.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode != "enforce" || st.RootVersion != 1 || st.Group != "default" || len(st.Counters) != 1 || st.Alarms[0] != "observing" || st.Build != "1.4.0" {
		t.Errorf("status %+v", st)
	}
	g := st.Targets[1]
	if g.Target != "g/default" || g.Offered.Version != 2 || g.Effective.Version != 3 || g.Floor != 3 || g.State != "refused" || g.Reason != "rollback" {
		t.Errorf("target %+v", g)
	}
	if g.Effective.Hash != hex.EncodeToString(hashOfPolicy(s, 3)) {
		t.Errorf("hash %s", g.Effective.Hash)
	}
	if _, err := signed.OpenStatus(raw, "plant-7", "gw-1", s.newSigner().Verifier()); !errors.Is(err, signed.ErrThreshold) {
		t.Errorf("another gateway's key opens it: %v", err)
	}
	if _, err := signed.OpenStatus(raw, "plant-7", "gw-2", s.signer.Verifier()); !errors.Is(err, signed.ErrTarget) {
		t.Errorf("it is taken for another gateway's: %v", err)
	}
	next := must(signed.OpenStatus(must(s.gate.Status("enforce", nil, nil, nil)), "plant-7", "gw-1", s.signer.Verifier()))
	if next.Sequence != st.Sequence+1 || next.Challenge != st.Challenge {
		t.Errorf("sequence %d after %d, challenge changed: %v", next.Sequence, st.Sequence, next.Challenge != st.Challenge)
	}
}

func hashOfPolicy(s *site, version uint64) []byte {
	p := must(signed.ParsePolicy(must(s.policy(version, tighter).Marshal())))
	return p.Hash[:]
}

// TestRecipientsWithoutAClock: a gateway that only knows a bound of the time takes
// recipients all the same; one that knows the time takes none from the future.
func TestRecipientsWithoutAClock(t *testing.T) {
	s := newSite(t)
	s.wall = s.wall.AddDate(0, 6, 0)
	later := s.bundle(1, [32]byte{})
	s.wall = s.wall.AddDate(0, -6, 0)
	s.offer("recipients", later, CodeFuture)
	s.sync = false
	s.offer("recipients", later, CodeApplied)
}
