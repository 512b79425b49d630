package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

const (
	local    = "schema: sealgate/policy/v1\nversion: 1\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\n"
	tighter  = "schema: sealgate/policy/v1\nversion: 2\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\ngrades: {L2: seal}\n"
	looser   = "schema: sealgate/policy/v1\nversion: 3\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\nclasses: {contact.email: pass}\n"
	looser2  = "schema: sealgate/policy/v1\nversion: 4\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\nclasses: {contact.email: pass, contact.phone: pass}\n"
	forbids  = "schema: sealgate/policy/v1\nversion: 5\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\nclasses: {health: pass}\ngrades: {L3: pass, L4: pass}\n"
	wrong    = "schema: sealgate/policy/v1\nversion: 6\nprofile: mars\n"
	selftest = "schema: sealgate/policy/v1\nversion: 7\nprofile: eu\nroutes: [{name: all, topics: ['#']}]\nselftest: [{topic: a, uplink: cloud, payload: '{\"n\":1}', expect: {/n: health}}]\n"
)

var (
	guard      = policy.Guard{Recipients: []string{"ops"}}
	vocabulary = policy.Vocabulary{Actions: protect.Specs(), Uplinks: []string{"cloud"}, Recipients: []string{"ops"}}
)

// host compiles with the real compiler; what it can't have in a test of this
// package is traffic, so the tests say how it fares.
type host struct {
	inForce  *policy.Policy
	active   Effective
	health   Health
	refuses  error // what Activate returns for version 2
	probe    error
	held     bool
	executed []string
}

func (h *host) Compile(src []byte, unguarded bool) (*policy.Policy, error) {
	if src == nil {
		src = []byte(local)
	}
	g := guard
	if unguarded {
		g = Unguarded(g.Profile)
	}
	return policy.Compile(src, vocabulary, g)
}
func (h *host) InForce() *policy.Policy { return h.inForce }
func (h *host) Activate(e Effective) error {
	if h.refuses != nil && e.Version == 2 && e.Source != "sealed" {
		return h.refuses
	}
	p, err := h.Compile(e.Policy, false)
	if err != nil {
		return err
	}
	h.inForce, h.active = p, e
	return nil
}
func (h *host) Probe() error   { return h.probe }
func (h *host) Health() Health { return h.health }
func (h *host) Hold(on bool)   { h.held = on }
func (h *host) Execute(command, argument string) error {
	h.executed = append(h.executed, command+argument)
	return nil
}

// site is a site's operators, one of their gateways, and time.
type site struct {
	t       *testing.T
	root    *signed.Root
	keys    map[string][]*crypto.Signer
	dir     string
	key     *crypto.SecretKey
	signer  *crypto.Signer
	host    *host
	gate    *Gate
	wall    time.Time
	boot    time.Duration
	bootID  string
	sync    bool
	version string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, keys: map[string][]*crypto.Signer{}, dir: t.TempDir(), bootID: "one", sync: true,
		wall: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), version: "1.4.0"}
	s.root = &signed.Root{Site: "plant-7", Version: 1, Epoch: 1, Roles: map[string]signed.RoleKeys{}}
	for role, n := range map[string][2]int{
		signed.RoleRoot: {2, 3}, signed.RolePolicy: {2, 3}, signed.RoleRecipients: {2, 2}, signed.RoleNow: {1, 1}, signed.RoleCommand: {1, 3},
	} {
		var verifiers []*crypto.Verifier
		for range n[1] {
			k := s.newSigner()
			s.keys[role] = append(s.keys[role], k)
			verifiers = append(verifiers, k.Verifier())
		}
		s.root.Roles[role] = signed.RoleKeys{Threshold: n[0], Keys: verifiers}
	}
	var err error
	if s.key, err = crypto.NewSecretKey(); err != nil {
		t.Fatal(err)
	}
	s.signer = s.newSigner()
	s.start()
	return s
}

func (s *site) newSigner() *crypto.Signer {
	s.t.Helper()
	k, err := crypto.GenerateSigner()
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// start starts the agent, as after a crash: nothing is closed before.
func (s *site) start() {
	s.t.Helper()
	s.host = &host{}
	gate, err := Open(Options{
		Dir: s.dir, Site: "plant-7", Gateway: "gw-1", Group: "default", Root: s.root, Version: s.version,
		Built: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Boot: 1, Key: s.key, Signer: s.signer, Host: s.host,
		Clock: Clock{Wall: func() time.Time { return s.wall }, Boot: func() time.Duration { return s.boot }, BootID: s.bootID,
			Synchronized: func() bool { return s.sync }},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.gate = gate
	if err := s.host.Activate(gate.Effective()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) policy(version uint64, content string) *signed.Policy {
	return &signed.Policy{
		Site: "plant-7", Target: "g/default", Epoch: 1, Version: version, IssuedAt: s.wall.Add(-time.Minute), NotAfter: s.wall.Add(30 * 24 * time.Hour),
		Rollout: signed.Rollout{Permille: 1000}, Content: content,
	}
}

func (s *site) sign(p *signed.Policy) []byte {
	s.t.Helper()
	return must(signed.SignPolicy(p, s.keys[signed.RolePolicy][:2]...))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const topics = "sg/v1/plant-7/"

// push signs and offers a policy, and wants a code.
func (s *site) push(p *signed.Policy, want Code) {
	s.t.Helper()
	s.offer("cfg/"+p.Target, s.sign(p), want)
}

func (s *site) offer(topic string, raw []byte, want Code) {
	s.t.Helper()
	got, err := s.gate.Offer(topics+topic, raw)
	if got != want {
		s.t.Fatalf("%s: %s (%v), want %s", topic, got, err, want)
	}
	if (err == nil) != got.accepted() && got != CodeEmpty && got != CodeTopic {
		s.t.Errorf("%s: code %s with error %v", topic, got, err)
	}
}

// confirm ends a probation well.
func (s *site) confirm() {
	s.t.Helper()
	s.host.health.Judged += probationMessages
	if err := s.gate.Tick(); err != nil {
		s.t.Fatal(err)
	}
	if s.gate.Stats().Probation {
		s.t.Fatal("still on probation")
	}
}

func (s *site) wantVersion(want uint64, source string) {
	s.t.Helper()
	if got := s.host.active; got.Version != want || got.Source != source {
		s.t.Fatalf("in force: version %d from %s, want %d from %s", got.Version, got.Source, want, source)
	}
}

func TestPolicyIsApplied(t *testing.T) {
	s := newSite(t)
	s.wantVersion(0, "local")
	s.push(s.policy(1, tighter), CodeApplied)
	s.wantVersion(1, "group")
	s.push(s.policy(1, looser), CodeRollback)
}

func TestUnchanged(t *testing.T) {
	s := newSite(t)
	raw := s.sign(s.policy(1, tighter))
	s.offer("cfg/g/default", raw, CodeApplied)
	s.offer("cfg/g/default", raw, CodeUnchanged)
	s.confirm()
	s.start()
	s.wantVersion(1, "group")
	s.offer("cfg/g/default", raw, CodeUnchanged)
}

func TestPrecedence(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	own := s.policy(1, looser)
	own.Target = "d/gw-1"
	s.push(own, CodeApplied)
	s.wantVersion(1, "gateway")
	s.confirm()
	s.push(s.policy(2, looser2), CodeShadowed)
	s.wantVersion(1, "gateway")
	s.start()
	s.wantVersion(1, "gateway")

	leave := s.policy(2, "")
	leave.Target, leave.Tombstone = "d/gw-1", true
	s.push(leave, CodeApplied)
	s.wantVersion(2, "group")
	s.confirm()
	s.start()
	s.wantVersion(2, "group")
	own.Version = 1
	s.push(own, CodeRollback)
	own.Version = 3
	s.push(own, CodeApplied)
	s.wantVersion(3, "gateway")
}

func TestRollout(t *testing.T) {
	s := newSite(t)
	p := s.policy(1, tighter)
	p.Rollout = signed.Rollout{Permille: 0, Salt: "a"}
	s.push(p, CodeHeld)
	s.wantVersion(0, "local")
	p.Version, p.Rollout.Permille = 2, 1000
	s.push(p, CodeApplied)

	// Stages with one salt only ever add gateways, and take about their share.
	small, large := signed.Rollout{Permille: 100, Salt: "x"}, signed.Rollout{Permille: 500, Salt: "x"}
	in := [2]int{}
	for i := range 2000 {
		gw := "gw-" + strings.Repeat("0", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
		if small.Selects(gw) {
			in[0]++
			if !large.Selects(gw) {
				t.Fatalf("%s leaves the rollout in a later stage", gw)
			}
		}
		if large.Selects(gw) {
			in[1]++
		}
	}
	if in[0] < 140 || in[0] > 260 || in[1] < 900 || in[1] > 1100 {
		t.Errorf("100 and 500 permille of 2000 select %v", in)
	}
}

// TestProbation: only local failures take a change back, and only one that does
// not tighten.
func TestProbation(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		content string
		before  func(*host)
		after   func(*host)
		offer   Code
		version uint64
		source  string
	}{
		"activation of a loosening fails":   {looser2, func(h *host) { h.refuses = boom }, nil, CodeActivation, 1, "group"},
		"activation of a tightening fails":  {tighter, func(h *host) { h.refuses = boom }, nil, CodeActivation, 2, "sealed"},
		"loosening does not seal and open":  {looser2, func(h *host) { h.probe = boom }, nil, CodeProbe, 1, "group"},
		"tightening does not seal and open": {tighter, func(h *host) { h.probe = boom }, nil, CodeProbe, 2, "sealed"},
		"loosening panics":                  {looser2, nil, func(h *host) { h.health.Panics++ }, CodeApplied, 1, "group"},
		"tightening panics":                 {tighter, nil, func(h *host) { h.health.Panics++ }, CodeApplied, 2, "sealed"},
		"stops sealing under traffic":       {looser2, nil, func(h *host) { h.probe = boom; h.health.Judged += probationMessages }, CodeApplied, 1, "group"},
		"no traffic, broker withholds acks": {looser2, nil, func(h *host) {}, CodeApplied, 2, "group"},
		"goes well":                         {looser2, nil, func(h *host) { h.health.Judged += probationMessages }, CodeApplied, 2, "group"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.push(s.policy(1, looser), CodeApplied)
			s.confirm()
			if tc.before != nil {
				tc.before(s.host)
			}
			raw := s.sign(s.policy(2, tc.content))
			s.offer("cfg/g/default", raw, tc.offer)
			if tc.after != nil {
				tc.after(s.host)
			}
			s.boot += 24 * time.Hour
			if err := s.gate.Tick(); err != nil {
				t.Fatal(err)
			}
			s.wantVersion(tc.version, tc.source)
			if tc.source == "sealed" || tc.version == 1 {
				s.offer("cfg/g/default", raw, CodeFailed)
				s.start()
				s.wantVersion(tc.version, tc.source)
				// The fault is gone with the start; a new version is a way out.
				s.push(s.policy(3, tighter), CodeApplied)
				s.wantVersion(3, "group")
			}
		})
	}
}

func TestCrashLoop(t *testing.T) {
	for content, want := range map[string]string{looser2: "group", tighter: "sealed"} {
		s := newSite(t)
		s.push(s.policy(1, looser), CodeApplied)
		s.confirm()
		s.push(s.policy(2, content), CodeApplied)
		for range maxAttempts - 1 {
			s.start()
			s.wantVersion(2, "group")
		}
		// An orderly end is no crash.
		if err := s.gate.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range maxAttempts {
			s.start()
			s.wantVersion(2, "group")
		}
		s.start()
		s.wantVersion(map[string]uint64{"group": 1, "sealed": 2}[want], want)
	}
}

// TestTwoChangesAtOnce: the second comes while the first is on probation. What
// is fallen back to is what was good before both, unless one of them tightened.
func TestTwoChangesAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		second, third string
		version       uint64
		source        string
	}{
		"both loosen":          {looser2, looser2 + "# again\n", 1, "group"},
		"the first tightens":   {tighter, looser2, 3, "sealed"},
		"the second tightens":  {looser2, tighter, 3, "sealed"},
		"one is the gateway's": {looser2, "", 1, "group"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.push(s.policy(1, looser), CodeApplied)
			s.confirm()
			s.push(s.policy(2, tc.second), CodeApplied)
			third := s.policy(3, tc.third)
			if tc.third == "" {
				third = s.policy(1, looser2+"# its own\n")
				third.Target = "d/gw-1"
			}
			s.push(third, CodeApplied)
			s.host.health.Panics++
			if err := s.gate.Tick(); err != nil {
				t.Fatal(err)
			}
			s.wantVersion(tc.version, tc.source)
			s.start()
			s.wantVersion(tc.version, tc.source)
		})
	}
}

// TestFlood: thousands of refused documents leave the state, the disk and the
// status as they were.
func TestFlood(t *testing.T) {
	s := newSite(t)
	s.push(s.policy(1, tighter), CodeApplied)
	s.confirm()
	files := must(os.ReadDir(s.dir))
	before := must(os.Stat(filepath.Join(s.dir, "state"))).ModTime()
	forged := must(signed.SignPolicy(s.policy(2, looser), s.newSigner(), s.newSigner()))
	for i := range 2000 {
		if _, err := s.gate.Offer(topics+"cfg/g/default", forged); err == nil {
			t.Fatal("accepted")
		}
		if _, err := s.gate.Offer(topics+"root/"+strconv.Itoa(i+3), forged); i > maxRoots && err == nil {
			t.Fatal("trust roots pile up")
		}
	}
	if now := must(os.ReadDir(s.dir)); len(now) != len(files) {
		t.Errorf("%d files, %d before", len(now), len(files))
	}
	if after := must(os.Stat(filepath.Join(s.dir, "state"))).ModTime(); after != before {
		t.Error("refusals wear the disk")
	}
	if raw := must(s.gate.Status("enforce", nil, nil, nil)); len(raw) > 4096 {
		t.Errorf("the status has %d bytes", len(raw))
	}
	s.wantVersion(1, "group")
}
