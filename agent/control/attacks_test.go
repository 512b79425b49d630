package control

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// TestAttacks: what a broker, a thief of a key, or a careless operator can send.
// After each attack what was in force still is.
func TestAttacks(t *testing.T) {
	reorder := func(s *site, raw []byte, edit func(string) string) []byte {
		return must(signed.Sign(signed.PolicyType, []byte(edit(string(bodyOf(raw)))), s.keys[signed.RolePolicy][:2]...))
	}
	for name, tc := range map[string]struct {
		topic string
		make  func(s *site) []byte
		want  Code
	}{
		"forged: keys of nobody": {"cfg/g/default", func(s *site) []byte {
			return must(signed.SignPolicy(s.policy(2, looser), s.newSigner(), s.newSigner()))
		}, CodeSignature},
		"one signer of two": {"cfg/g/default", func(s *site) []byte {
			return must(signed.SignPolicy(s.policy(2, looser), s.keys[signed.RolePolicy][0]))
		}, CodeSignature},
		"one signer twice": {"cfg/g/default", func(s *site) []byte {
			k := s.keys[signed.RolePolicy][0]
			return must(signed.SignPolicy(s.policy(2, looser), k, k))
		}, CodeSignature},
		"signers of another role": {"cfg/g/default", func(s *site) []byte {
			return must(signed.SignPolicy(s.policy(2, looser), s.keys[signed.RoleRecipients]...))
		}, CodeSignature},
		"altered": {"cfg/g/default", func(s *site) []byte {
			return tamper(s.sign(s.policy(2, looser)), "contact.email: pass", "person.name:   pass")
		}, CodeSignature},
		"rolled back":                          {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(4, looser)) }, CodeRollback},
		"another document of the same version": {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(5, looser)) }, CodeRollback},
		"for another site": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.Site = "plant-8"
			return s.sign(p)
		}, CodeSite},
		"for another group": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.Target = "g/other"
			return s.sign(p)
		}, CodeTarget},
		"a group's as the gateway's own": {"cfg/d/gw-1", func(s *site) []byte { return s.sign(s.policy(6, looser)) }, CodeTarget},
		"another gateway's topic":        {"cfg/d/gw-2", func(s *site) []byte { return s.sign(s.policy(6, looser)) }, CodeTarget},
		"of another type": {"cfg/g/default", func(s *site) []byte {
			return must(signed.Sign(signed.CommandType, bodyOf(s.sign(s.policy(6, looser))), s.keys[signed.RolePolicy][:2]...))
		}, CodeType},
		"mixed streams": {"cfg/g/default", func(s *site) []byte {
			return reorder(s, s.sign(s.policy(6, looser)), func(b string) string { return strings.Replace(b, `"stream":"policy"`, `"stream":"recipients"`, 1) })
		}, CodeStream},
		"a policy as recipients": {"recipients", func(s *site) []byte { return s.sign(s.policy(6, looser)) }, CodeType},
		"another epoch": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.Epoch = 2
			return s.sign(p)
		}, CodeEpoch},
		"expired": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.IssuedAt, p.NotAfter = s.wall.Add(-48*time.Hour), s.wall
			return s.sign(p)
		}, CodeExpired},
		"fast-forwarded in time": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.IssuedAt, p.NotAfter = s.wall.Add(25*time.Hour), s.wall.Add(50*time.Hour)
			return s.sign(p)
		}, CodeFuture},
		"for a later agent": {"cfg/g/default", func(s *site) []byte {
			p := s.policy(6, looser)
			p.MinAgent = "1.5.0"
			return s.sign(p)
		}, CodeAgent},
		"loosens the guard": {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(6, forbids)) }, CodeGuard},
		"observes":          {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(6, looser+"mode: observe\n")) }, CodeGuard},
		"passes what can't be read": {"cfg/g/default", func(s *site) []byte {
			return s.sign(s.policy(6, strings.Replace(looser, "topics: ['#']", "topics: ['#'], unreadable: allow, reason: x", 1)))
		}, CodeGuard},
		"passes what has no class": {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(6, looser+"unclassified: pass\n")) }, CodeGuard},
		"names a recipient that the bundle has not": {"cfg/g/default", func(s *site) []byte {
			return s.sign(s.policy(6, looser+"recipients: [mallory]\n"))
		}, CodeContent},
		"passes a grade that must be blocked": {"cfg/g/default", func(s *site) []byte {
			return s.sign(s.policy(6, looser+"grades: {L5: pass}\n"))
		}, CodeGuard},
		"weakens one class by route and uplink": {"cfg/g/default", func(s *site) []byte {
			return s.sign(s.policy(6, strings.Replace(looser, "topics: ['#']", "topics: ['#'], to: {cloud: {classes: {health: mask}, grades: {L4: pass}}}", 1)))
		}, CodeGuard},
		"does not compile":         {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(6, wrong)) }, CodeContent},
		"fails its self-test":      {"cfg/g/default", func(s *site) []byte { return s.sign(s.policy(6, selftest)) }, CodeContent},
		"oversized envelope":       {"cfg/g/default", func(*site) []byte { return bytes.Repeat([]byte(" "), signed.MaxEnvelope+1) }, CodeSize},
		"oversized signature list": {"cfg/g/default", func(s *site) []byte { return manySignatures(s.sign(s.policy(6, looser))) }, CodeSize},
		"not JSON":                 {"cfg/g/default", func(*site) []byte { return []byte("{") }, CodeFormat},
		"duplicate keys": {"cfg/g/default", func(s *site) []byte {
			return reorder(s, s.sign(s.policy(6, looser)), func(b string) string { return strings.Replace(b, `"version":6`, `"version":6,"version":7`, 1) })
		}, CodeFormat},
		"unknown keys": {"cfg/g/default", func(s *site) []byte {
			return reorder(s, s.sign(s.policy(6, looser)), func(b string) string { return strings.Replace(b, `"version":6`, `"version":6,"force":true`, 1) })
		}, CodeFormat},
		"duplicate keys in the envelope": {"cfg/g/default", func(s *site) []byte {
			return bytes.Replace(s.sign(s.policy(6, looser)), []byte(`{"payloadType"`), []byte(`{"payloadType":"x","payloadType"`), 1)
		}, CodeFormat},
		"an empty retained message": {"cfg/g/default", func(*site) []byte { return nil }, CodeEmpty},
		"a topic of nobody":         {"cfg", func(s *site) []byte { return s.sign(s.policy(6, looser)) }, CodeTarget},
		"a topic of no kind":        {"policy/g/default", func(s *site) []byte { return s.sign(s.policy(6, looser)) }, CodeTopic},
		"a tombstone for a group": {"cfg/g/default", func(s *site) []byte {
			return reorder(s, s.sign(s.policy(6, "x")), func(b string) string {
				return strings.NewReplacer(`"tombstone":false`, `"tombstone":true`, `"content":"x"`, `"content":""`).Replace(b)
			})
		}, CodeFormat},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			raw := s.sign(s.policy(5, tighter))
			s.offer("cfg/g/default", raw, CodeApplied)
			s.confirm()
			s.offer(tc.topic, tc.make(s), tc.want)
			s.wantVersion(5, "group")
			if got := s.gate.Stats().Offers[tc.want]; got != 1 {
				t.Errorf("%d refusals counted as %s", got, tc.want)
			}
			s.start()
			s.wantVersion(5, "group")
			// A refused document is not in the way of a good one.
			s.push(s.policy(6, looser), CodeApplied)
		})
	}
}

func bodyOf(raw []byte) []byte {
	var e struct{ Payload string }
	if err := json.Unmarshal(raw, &e); err != nil {
		panic(err)
	}
	return must(base64.StdEncoding.DecodeString(e.Payload))
}

// tamper changes the signed bytes and keeps the signatures.
func tamper(raw []byte, from, to string) []byte {
	body := bodyOf(raw)
	changed := bytes.Replace(body, []byte(from), []byte(to), 1)
	if bytes.Equal(body, changed) {
		panic("nothing to change")
	}
	return bytes.Replace(raw, []byte(base64.StdEncoding.EncodeToString(body)), []byte(base64.StdEncoding.EncodeToString(changed)), 1)
}

func manySignatures(raw []byte) []byte {
	var e map[string]any
	if err := json.Unmarshal(raw, &e); err != nil {
		panic(err)
	}
	list := e["signatures"].([]any)
	for len(list) < 40 {
		list = append(list, list[0])
	}
	e["signatures"] = list
	return must(json.Marshal(e))
}

// TestRevokedSigner: a key that the root no longer lists signs nothing, and what
// it signed before stays in force.
func TestRevokedSigner(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	old := s.sign(s.policy(2, looser))
	s.rotate(func(r *signed.Root) {
		k := r.Roles[signed.RolePolicy]
		k.Keys = k.Keys[1:]
		r.Roles[signed.RolePolicy] = k
	}, CodeApplied)
	s.offer("cfg/g/default", old, CodeSignature)
	s.wantVersion(1, "group")
	s.keys[signed.RolePolicy] = s.keys[signed.RolePolicy][1:]
	s.push(s.policy(2, looser), CodeApplied)
	s.confirm()
	s.start()
	s.wantVersion(2, "group")
	s.offer("cfg/g/default", old, CodeSignature)
}

// rotate offers the next root, signed by enough keys of the one before.
func (s *site) rotate(change func(*signed.Root), want Code) []byte {
	s.t.Helper()
	next := *s.root
	next.Roles = map[string]signed.RoleKeys{}
	for k, v := range s.root.Roles {
		next.Roles[k] = v
	}
	next.Version, next.Floors, next.Time = s.gate.Stats().RootVersion+1, nil, time.Time{}
	next.Epoch = s.gate.Stats().RootEpoch
	change(&next)
	raw := must(signed.SignRoot(&next, s.keys[signed.RoleRoot]...))
	s.offer("root/"+strconv.FormatUint(next.Version, 10), raw, want)
	return raw
}

// TestFarVersionIsRepairable: thieves of enough keys for a policy sign the
// highest version there is. The root, in a new epoch, lowers the floor.
func TestFarVersionIsRepairable(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	s.push(s.policy(1<<63, looser), CodeApplied)
	s.wantVersion(1<<63, "group")
	s.push(s.policy(2, tighter), CodeRollback)
	stolen := s.sign(s.policy(1<<63, looser))
	s.rotate(func(r *signed.Root) {
		r.Epoch++
		r.Floors = []signed.RootFloor{{Target: "g/default", Version: 1}}
	}, CodeApplied)
	s.offer("cfg/g/default", stolen, CodeEpoch)
	repair := s.policy(2, tighter)
	repair.Epoch = 2
	s.push(repair, CodeApplied)
	s.wantVersion(2, "group")
}

// TestRoots: by both thresholds, one after the other, in any order of arrival.
func TestRoots(t *testing.T) {
	s := newSite(t)
	next := *s.root
	next.Version = 2
	fresh := []*crypto.Signer{s.newSigner(), s.newSigner()}
	next.Roles = map[string]signed.RoleKeys{
		signed.RoleRoot:   {Threshold: 2, Keys: []*crypto.Verifier{fresh[0].Verifier(), fresh[1].Verifier()}},
		signed.RolePolicy: s.root.Roles[signed.RolePolicy],
	}
	old := s.keys[signed.RoleRoot]
	s.offer("root/2", must(signed.SignRoot(&next, old...)), CodeSignature)                     // not by its own
	s.offer("root/2", must(signed.SignRoot(&next, fresh...)), CodeSignature)                   // not by the one before
	s.offer("root/2", must(signed.SignRoot(&next, old[0], fresh[0], fresh[1])), CodeSignature) // too few of the one before
	third := next
	third.Version = 3
	raw3 := must(signed.SignRoot(&third, fresh...))
	s.offer("root/3", raw3, CodeWaiting)
	s.offer("root/99", raw3, CodeRollback)
	s.offer("root/x", raw3, CodeFormat)
	s.offer("root/2", must(signed.SignRoot(&next, old[0], old[1], fresh[0], fresh[1])), CodeApplied)
	if got := s.gate.Stats().RootVersion; got != 3 {
		t.Fatalf("trust root %d, want 3: the waiting one was not followed", got)
	}
	s.offer("root/2", raw3, CodeUnchanged)
	s.start()
	if got := s.gate.Stats().RootVersion; got != 3 {
		t.Fatalf("trust root %d after a start", got)
	}
	other := third
	other.Version, other.Site = 4, "plant-8"
	s.offer("root/4", must(signed.SignRoot(&other, fresh...)), CodeSite)
	skip := third
	skip.Version = 5
	s.offer("root/4", must(signed.SignRoot(&skip, fresh...)), CodeRollback) // the number in the topic proves nothing
}

func (s *site) fresh(edit func(*signed.Fresh)) []byte {
	f := &signed.Fresh{Site: "plant-7", Epoch: 1, IssuedAt: s.wall, NotAfter: s.wall.Add(24 * time.Hour)}
	edit(f)
	return must(signed.SignFresh(f, s.keys[signed.RoleNow]...))
}

// TestFrozen: a broker that withholds a document is noticed, and can't use an
// older one to loosen.
func TestFrozen(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	s.confirm()
	older := s.sign(s.policy(2, looser))
	newer := s.policy(3, looser2)
	s.offer("now", s.fresh(func(f *signed.Fresh) {
		f.Entries = []signed.FreshEntry{{Target: "g/default", Version: 3, Hash: [32]byte{1}}}
	}), CodeApplied)
	s.wantAlarm("remote-withheld", true)
	s.offer("cfg/g/default", older, CodeStale)
	s.wantVersion(1, "group")
	s.offer("cfg/g/default", s.sign(s.policy(2, tighter+"# the same\n")), CodeApplied) // does not loosen
	s.offer("now", s.fresh(func(f *signed.Fresh) { f.IssuedAt = f.IssuedAt.Add(-time.Hour) }), CodeRollback)
	s.wall = s.wall.Add(time.Minute)
	raw := s.sign(newer)
	hash := must(signed.ParsePolicy(bodyOf(raw))).Hash
	s.offer("now", s.fresh(func(f *signed.Fresh) {
		f.Entries = []signed.FreshEntry{{Target: "g/default", Version: 3, Hash: hash}}
	}), CodeApplied)
	s.offer("cfg/g/default", raw, CodeApplied)
	s.wantAlarm("remote-withheld", false)
	s.wall = s.wall.Add(48 * time.Hour)
	s.wantAlarm("freshness-lost", true)
	s.wall = s.wall.Add(60 * 24 * time.Hour)
	s.wantAlarm("remote-expired", true)
	s.wantVersion(3, "group") // expired is still enforced
}

func (s *site) wantAlarm(id string, want bool) {
	s.t.Helper()
	if err := s.gate.Tick(); err != nil {
		s.t.Fatal(err)
	}
	got := false
	for _, a := range s.gate.Stats().Alarms {
		got = got || a.ID == id
	}
	if got != want {
		s.t.Fatalf("alarm %s: %v, want %v", id, got, want)
	}
}

// TestTime: a clock that is wrong, jumps or stands still moves trusted time
// neither back nor out of repair.
func TestTime(t *testing.T) {
	s := newSite(t)
	s.sync, s.wall = false, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	june := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	at := func(issued time.Time, days int) []byte {
		return s.fresh(func(f *signed.Fresh) { f.IssuedAt, f.NotAfter = issued, issued.AddDate(0, 0, days) })
	}
	trusted := func() time.Time { return s.gate.Stats().TrustedTime }
	if got := trusted(); got.Year() != 2026 || got.Month() != 1 {
		t.Fatalf("without anything trusted time is %v, want that of the build", got)
	}
	s.offer("now", at(june, 1), CodeApplied)
	s.boot += time.Hour
	if got := trusted(); !got.Equal(june.Add(time.Hour)) {
		t.Fatalf("an hour later it is %v", got)
	}
	s.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) // jumps, and nobody vouches for it
	if got := trusted(); !got.Equal(june.Add(time.Hour)) {
		t.Fatalf("after a jump of the clock it is %v", got)
	}
	s.boot += 30 * 24 * time.Hour // the boot-time clock is believed for a week
	if got := trusted(); !got.Equal(june.Add(maxElapsed)) {
		t.Fatalf("after a month it is %v", got)
	}
	s.boot, s.bootID = 0, "two" // a reboot, with a clock that lags
	s.wall = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	s.start()
	if got := trusted(); !got.Equal(june) {
		t.Fatalf("after a reboot it is %v", got)
	}
	s.offer("now", at(june.Add(-time.Hour), 5), CodeApplied) // older, but valid: time stays
	if got := trusted(); got.Before(june) {
		t.Fatalf("an older list moves it back to %v", got)
	}
	s.offer("now", at(june.Add(-48*time.Hour), 1), CodeRollback)

	// The key of the list is stolen: it signs a far future. While a clock is
	// synchronized that is refused; without one it is believed, and the root
	// repairs it.
	far := time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC)
	s.boot, s.bootID = 0, "three"
	s.start()
	s.offer("now", at(far, 1), CodeApplied)
	s.wall = june
	s.push(s.policy(1, tighter), CodeExpired)
	s.rotate(func(r *signed.Root) { r.Epoch++; r.Time = june }, CodeApplied)
	if got := trusted(); got.Year() != 2026 {
		t.Fatalf("after the repair it is %v", got)
	}
	p := s.policy(1, tighter)
	p.Epoch = 2
	s.push(p, CodeApplied)
	s.sync = true
	s.wall = june.Add(time.Hour)
	s.offer("now", s.fresh(func(f *signed.Fresh) { f.Epoch, f.IssuedAt, f.NotAfter = 2, far, far.AddDate(0, 0, 1) }), CodeFuture)
	s.offer("now", s.fresh(func(f *signed.Fresh) { f.Epoch, f.NotAfter = 2, f.IssuedAt.AddDate(0, 0, 8) }), CodeContent)
}

func (s *site) command(target, command string, edit func(*signed.Command)) *signed.Command {
	c := &signed.Command{Site: "plant-7", Target: target, Epoch: 1, Command: command, IssuedAt: s.wall, NotAfter: s.wall.Add(time.Hour)}
	if target != signed.Fleet {
		raw := must(s.gate.Status("enforce", nil, nil, nil))
		st := must(signed.OpenStatus(raw, "plant-7", "gw-1", s.signer.Verifier()))
		copy(c.Challenge[:], must(hex.DecodeString(st.Challenge)))
	}
	if edit != nil {
		edit(c)
	}
	return c
}

func TestCommands(t *testing.T) {
	s := newSite(t)
	one := s.keys[signed.RoleCommand][:1]
	lock := must(signed.SignCommand(s.command("gw-1", signed.Lockdown, nil), one...))
	s.offer("cmd/gw-1", lock, CodeApplied)
	if !s.host.held || !s.gate.Locked() {
		t.Fatal("locked down, and not held")
	}
	release := must(signed.SignCommand(s.command("gw-1", signed.Release, nil), one...))
	s.offer("cmd/gw-1", release, CodeApplied)
	s.offer("cmd/gw-1", lock, CodeChallenge) // captured and replayed
	// … and after a reboot with a lagging clock.
	s.wall, s.sync, s.bootID = s.wall.Add(-30*time.Minute), false, "two"
	s.start()
	s.offer("cmd/gw-1", lock, CodeChallenge)
	s.offer("cmd/gw-1", release, CodeChallenge)
	if s.host.held || s.gate.Locked() {
		t.Fatal("a replay locked it down")
	}
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-2", signed.Lockdown, nil), one...)), CodeTarget)
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-1", signed.Report, nil), s.newSigner())), CodeSignature)
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-1", signed.Report, func(c *signed.Command) { c.Epoch = 2 }), one...)), CodeEpoch)
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-1", signed.Report, func(c *signed.Command) { c.Site = "plant-8" }), one...)), CodeSite)
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-1", signed.RotateKeys, func(c *signed.Command) { c.Argument = "signing" }), one...)), CodeApplied)
	if len(s.host.executed) != 1 || s.host.executed[0] != "rotate-keyssigning" {
		t.Errorf("executed %v", s.host.executed)
	}
	s.offer("cmd/gw-1", must(signed.SignCommand(s.command("gw-1", signed.Report, nil), one...)), CodeApplied)

	// To all: two signers, a version, and no other command.
	all := func(version uint64, command string) *signed.Command {
		return s.command(signed.Fleet, command, func(c *signed.Command) { c.Version = version })
	}
	s.offer("cmd/all", must(signed.SignCommand(all(1, signed.Lockdown), one...)), CodeSignature)
	two := s.keys[signed.RoleCommand][:2]
	s.offer("cmd/all", must(signed.SignCommand(all(1, signed.Lockdown), two...)), CodeApplied)
	s.start()
	if !s.gate.Locked() {
		t.Error("a lockdown ends with a restart")
	}
	s.offer("cmd/all", must(signed.SignCommand(all(2, signed.Release), two...)), CodeApplied)
	s.offer("cmd/all", must(signed.SignCommand(all(1, signed.Lockdown), two...)), CodeRollback)
	if _, err := signed.SignCommand(all(3, signed.RotateKeys), two...); err == nil {
		t.Error("rotate-keys to all can be signed")
	}
	s.wall, s.sync = s.wall.Add(2*time.Hour), true
	expired := s.command("gw-1", signed.Lockdown, func(c *signed.Command) { c.IssuedAt, c.NotAfter = c.IssuedAt.Add(-time.Hour), c.IssuedAt })
	s.offer("cmd/gw-1", must(signed.SignCommand(expired, one...)), CodeExpired)
}

// TestStateIsAuthenticated: whoever can write the disk but has not the keys
// changes nothing unnoticed.
func TestStateIsAuthenticated(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	s.confirm()
	docs := must(filepath.Glob(filepath.Join(s.dir, "*.json")))
	if len(docs) != 1 {
		t.Fatalf("%d documents kept", len(docs))
	}
	raw := must(os.ReadFile(docs[0]))
	if err := os.WriteFile(docs[0], bytes.Replace(raw, []byte("L2: seal"), []byte("L2: pass"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	if s.host.active.Source != "sealed" {
		t.Errorf("a changed document: %s is in force", s.host.active.Source)
	}
	path := filepath.Join(s.dir, "state")
	st := must(os.ReadFile(path))
	st[len(st)/2] ^= 1
	if err := os.WriteFile(path, st, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.gate.opt); err == nil {
		t.Error("a changed state is opened")
	}
}

// TestSweep: documents that nothing names any more do not pile up.
func TestSweep(t *testing.T) {
	s := newSite(t)
	for v := uint64(1); v <= 6; v++ {
		s.push(s.policy(v, strings.Replace(tighter, "version: 2", "version: "+string(rune('0'+v)), 1)), CodeApplied)
		s.confirm()
	}
	if docs := must(filepath.Glob(filepath.Join(s.dir, "*.json"))); len(docs) != 1 {
		t.Errorf("%d documents kept of 6", len(docs))
	}
}
