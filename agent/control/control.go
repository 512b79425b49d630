// Package control admits what the operators of a site send to a gateway over
// a broker that nobody trusts: policies, recipients, trust roots, the freshness
// list and commands.
//
// Mental model: a [Gate] is a small state machine with a durable, authenticated
// state. [Gate.Offer] takes whatever arrives on a topic and either admits it,
// in the fixed order of checks that admit.go shows, or refuses it with a
// [Code]. What is admitted is written down before it takes effect, takes effect
// whole through the [Host], and is on probation until the host has been seen to
// work with it. [Gate.Tick] ends probations and looks at the time.
//
// Documents only ever move forward: a version that was admitted is the floor
// from then on. A change that tightens or revokes is never taken back; if it
// can't be carried out, everything is sealed. Only a change that does not
// tighten falls back to what was in force before, and only for local reasons:
// a broker that withholds acknowledgements can't cause it.
//
// What it does not do: it opens no connection (the agent does), it compiles and
// protects nothing itself, and nothing that it admits can loosen the guard,
// which is the administrator's.
package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// A Host is the gateway that a gate guards. The gate calls one method at a
// time.
type Host interface {
	// Compile compiles a policy document under this gateway's vocabulary and
	// guard, with its self-tests; unguarded without the guard. Nothing changes.
	Compile(src []byte, unguarded bool) (*policy.Policy, error)
	// InForce returns the policy in force.
	InForce() *policy.Policy
	// Activate puts e in force, whole. On an error what was in force stays.
	Activate(e Effective) error
	// Probe seals and opens a message of its own with what is in force.
	Probe() error
	// Health says how the gateway fares.
	Health() Health
	// Hold stops or resumes everything that leaves.
	Hold(bool)
	// Execute carries out a command that concerns the host alone.
	Execute(command, argument string) error
}

// Effective is what a gate wants in force.
type Effective struct {
	Policy     []byte // nil: the gateway's own policy file
	Version    uint64 // of the policy as a signed document
	Source     string // local, group, gateway, or sealed
	Recipients []byte // body of the recipients bundle, verified; nil: the gateway's own file
}

// Health is what a host counts from its start on.
type Health struct {
	Judged uint64 // messages
	Panics uint64 // panics recovered while judging or protecting them
}

// Options configures a Gate.
type Options struct {
	Dir                  string // for the state and the documents; made if it is missing
	Site, Gateway, Group string
	Root                 *signed.Root // as the administrator installed it
	Version              string       // of this program
	Built                time.Time    // no time before it is believed
	Boot                 uint64       // starts of the agent
	Key                  *crypto.SecretKey
	Signer               *crypto.Signer
	Recipients           Floor // the bundle that was accepted before there was a gate
	Host                 Host
	Clock                Clock
	Changed              func() // a new status is due; must not block
	Logger               *slog.Logger
}

// A Floor is the newest accepted version of a document.
type Floor struct {
	Version uint64
	Hash    [32]byte
}

// How long a change is on probation, and what it has to see.
const (
	probationTime     = 10 * time.Minute
	probationMessages = 100
	maxAttempts       = 3 // starts of the agent with one pending change
)

// A Gate admits documents and commands. Its methods may be called concurrently.
type Gate struct {
	opt Options

	mu       sync.Mutex
	root     *signed.Root
	state    state
	clock    trustedClock
	fresh    *signed.Fresh               // the last one accepted, this start
	offered  map[string]signed.Reference // by target
	roots    map[uint64][]byte           // that came before the ones they follow
	codes    map[Code]uint64
	last     map[string]Code // by target, what became of the last offer
	alarms   map[string]Alarm
	sequence uint64
	since    time.Duration // boot-time clock at activation
	health   Health        // then
}

// An Alarm is something a person should look at.
type Alarm struct{ ID, Text, Do string }

// Open reads the state, decides what to put in force, and counts the start for
// a change on probation. The host is not called before Offer or Tick: it asks
// Effective when it builds itself.
func Open(opt Options) (*Gate, error) {
	if opt.Changed == nil {
		opt.Changed = func() {}
	}
	if err := durable.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of remote configuration: %w", err)
	}
	g := &Gate{
		opt: opt, root: opt.Root,
		clock:   trustedClock{Clock: opt.Clock, built: opt.Built},
		offered: map[string]signed.Reference{}, roots: map[uint64][]byte{},
		codes: map[Code]uint64{}, last: map[string]Code{}, alarms: map[string]Alarm{},
	}
	if err := g.readState(); err != nil {
		return nil, err
	}
	if err := g.resume(); err != nil {
		return nil, err
	}
	return g, nil
}

// resume takes up where the last start ended.
func (g *Gate) resume() error {
	s := &g.state
	if s.Root != nil {
		kept, err := signed.ParseRoot(s.Root)
		if err != nil {
			return fmt.Errorf("read accepted trust root: %w", err)
		}
		// An administrator may install a later one by hand.
		if kept.Version >= g.opt.Root.Version {
			g.root = kept
		}
	}
	g.clock.resume(s.Anchor)
	if s.Challenge == (challenge{}) {
		if err := s.newChallenge(); err != nil {
			return err
		}
	}
	if r := s.target(signed.RoleRecipients); r.Version < g.opt.Recipients.Version {
		*r = target{Version: g.opt.Recipients.Version, Hash: hexHash(g.opt.Recipients.Hash)}
	}
	if s.Pending != nil {
		s.Pending.Attempts++
		if s.Pending.Attempts > maxAttempts {
			g.fallBack(CodeCrash)
		}
	}
	return g.writeState()
}

// Close marks an orderly end, which does not count as a failed start of a
// change on probation.
func (g *Gate) Close(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Pending == nil {
		return nil
	}
	g.state.Pending.Attempts = 0
	return g.writeState()
}

// Topics returns the filters to subscribe to, each at QoS 1.
func (g *Gate) Topics() []string {
	p := "sg/v1/" + g.opt.Site + "/"
	return []string{
		p + "root/+", p + "cfg/g/" + g.opt.Group, p + "cfg/d/" + g.opt.Gateway,
		p + "recipients", p + "now", p + "cmd/" + g.opt.Gateway, p + "cmd/all",
	}
}

// StatusTopic is where the status is published, retained.
func (g *Gate) StatusTopic() string {
	return "sg/v1/" + g.opt.Site + "/status/" + g.opt.Gateway
}

// Now is trusted time.
func (g *Gate) Now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, _ := g.clock.now()
	return now
}

// Offer takes what arrived on a topic. It returns what became of it; err says
// more, for the log, where it was refused.
func (g *Gate) Offer(topic string, raw []byte) (Code, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.opt.Changed()
	rest, ok := strings.CutPrefix(topic, "sg/v1/"+g.opt.Site+"/")
	if !ok {
		return g.count("", CodeTopic, nil)
	}
	kind, name, _ := strings.Cut(rest, "/")
	switch {
	case len(raw) == 0:
		// A deleted retained message is not "no policy".
		return g.count("", CodeEmpty, nil)
	case kind == "cfg":
		code, err := g.admitPolicy(name, raw)
		return g.count(name, code, err)
	case kind == "recipients" && name == "":
		code, err := g.admitRecipients(raw)
		return g.count(signed.RoleRecipients, code, err)
	case kind == "root":
		code, err := g.admitRoot(raw, name)
		return g.count("root", code, err)
	case kind == "now" && name == "":
		code, err := g.admitFresh(raw)
		return g.count("now", code, err)
	case kind == "cmd":
		code, err := g.obey(raw)
		return g.count("command", code, err)
	}
	return g.count("", CodeTopic, nil)
}

func (g *Gate) count(target string, code Code, err error) (Code, error) {
	g.codes[code]++
	if target != "" && code != CodeUnchanged {
		g.last[target] = code
	}
	return code, err
}

// Effective says what is to be in force. The host asks once, at its start.
func (g *Gate) Effective() Effective {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.effective()
}

// effective reads the documents in force. One that is missing or was changed on
// disk means that everything is sealed: what it said is not known any more.
func (g *Gate) effective() (e Effective) {
	s := &g.state
	e.Source = "local"
	if s.Effective.Hash != "" {
		p, err := g.readPolicy(s.Effective.Hash)
		if err != nil {
			g.opt.Logger.Error("the policy in force can't be read; everything is sealed", "error", err)
			s.Sealed = CodeStorage
		} else {
			e.Policy, e.Version = []byte(p.Content), p.Version
			e.Source = source(p.Target)
		}
	}
	if r := s.Targets[signed.RoleRecipients]; r != nil && r.Document != "" {
		raw, err := g.readDocument(r.Document)
		if err != nil {
			g.opt.Logger.Error("the recipients in force can't be read; everything is sealed", "error", err)
			s.Sealed = CodeStorage
		} else {
			e.Recipients = raw
		}
	}
	if s.Sealed != "" {
		e.Policy, e.Source = []byte(sealEverything), "sealed"
	}
	return e
}

// source names where a target's policy comes from.
func source(target string) string {
	if strings.HasPrefix(target, "d/") {
		return "gateway"
	}
	return "group"
}

// Locked tells whether a lockdown stands.
func (g *Gate) Locked() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.Lockdown
}

// sealEverything is in force where a change that must not be taken back can't
// be carried out.
const sealEverything = `schema: sealgate/policy/v1
version: 1
profile: generic
routes:
  - {name: everything, topics: ["#"]}
grades: {L1: seal, L2: seal, L3: seal, L4: seal, L5: block}
`

// Unguarded returns a guard that holds nothing, to tell a policy that the guard
// refuses from one that is wrong in itself. Nothing is ever enforced with it.
func Unguarded(profile string) policy.Guard {
	g := policy.Guard{Profile: profile, Minimum: map[classify.Grade]string{}, Observe: true, AllowUnreadable: true, AllowUnclass: true}
	for grade := classify.L1; grade <= classify.L5; grade++ {
		g.Minimum[grade] = "pass"
	}
	return g
}

// challenge is a random number that one command may echo.
type challenge [16]byte

func (s *state) newChallenge() error {
	if _, err := rand.Read(s.Challenge[:]); err != nil {
		return fmt.Errorf("draw a challenge: %w", err)
	}
	return nil
}

// refuse makes the error of a refusal that has no other.
func refuse(code Code, text string) (Code, error) { return code, errors.New(text) }
