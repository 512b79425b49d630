package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

// rules is what people want to know about a generation.
type rules struct {
	policy     telemetry.PolicyStats
	mode       string // observe or enforce
	bundle     uint64 // version of the recipients, 0 where there are none
	bundleHash [32]byte
	bundleEnds time.Time
	failed     error // why something fell back
	refused    error // of that, why the policy was
	alarms     []telemetry.Alarm
	recipients []envelope.Recipient
	audiences  []string // that a policy may name
	noKey      error    // why nothing can be sealed, nil where it can
}

func (r rules) usable() bool { return r.noKey == nil }

func (a *Agent) current() rules {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rules
}

// build makes a generation from the policy and the recipients on disk. It
// always returns one that protects: without a valid policy the built-in one is
// enforced, without recipients nothing that needs a key leaves. inForce is a
// policy to use instead of the one on disk; it may be nil.
func (a *Agent) build(now time.Time, inForce *policy.Policy) (*corridor.Generation, rules) {
	var r rules
	recipients, blocked, known, err := a.readRecipients(now, &r)
	if err != nil {
		r.failed = err
		r.withoutKey(err)
	}
	r.recipients, r.audiences = recipients, known
	p, err := inForce, error(nil)
	if r.policy.Source = "file"; p == nil {
		p, err = a.readPolicy(now, known, &r)
	}
	if err != nil {
		r.refused, r.failed = err, errors.Join(r.failed, err)
		r.alarms = append(r.alarms, telemetry.Alarm{
			ID:   "policy-refused",
			Text: "the policy was refused: the built-in one is enforced",
			Do:   "run sealgate check, correct what it names, and reload",
		})
		a.log.Error("policy refused; the built-in one is enforced", "error", err)
	}
	if a.cfg.ObserveExpired(now) {
		r.alarms = append(r.alarms, telemetry.Alarm{
			ID:   "observe-over",
			Text: "the time for observing is over: " + map[string]string{"keep": "it goes on, as guard.observe_then says", "enforce": "what observed is enforced"}[a.cfg.Guard.ObserveThen],
			Do:   "turn the routes to enforce, and remove guard.observe_until",
		})
	}
	protector, err := protect.New(protect.Options{
		Policy:        p,
		Gateway:       a.cfg.Gateway,
		Recipients:    recipients,
		Blocked:       blocked,
		BundleVersion: r.bundle,
		Signer:        a.keyring.Signer(),
		Pseudonyms:    a.pseudonyms,
		Boot:          a.boot,
		Reference:     a.cfg.Keys.Grants == "reference",
		Meter:         &a.meter,
	})
	if err != nil {
		// A recipient set that can't be used is like none at all.
		r.failed = errors.Join(r.failed, err)
		r.noKey = err
		r.alarms = append(r.alarms, telemetry.Alarm{
			ID:   "no-protection",
			Text: "protection can't be prepared: messages of routes that enforce wait, unacknowledged (" + err.Error() + ")",
			Do:   "correct what it names, in agent.yaml or with sealctl keys, and reload",
		})
		protector = protect.Closed(p, err, &a.meter)
	} else if err := protector.Usable(); err != nil && r.noKey == nil {
		r.withoutKey(err) // each key of an audience that the policy names is revoked or pending
	}
	r.mode = "enforce"
	var observing []string
	for _, route := range p.Routes() {
		if route.Observes() {
			observing = append(observing, route.Name)
		}
	}
	if len(observing) > 0 {
		r.mode = "observe"
		r.alarms = append(r.alarms, telemetry.Alarm{
			ID:   "observing",
			Text: "messages leave unprotected on what observes: " + strings.Join(observing, ", "),
			Do:   "look at what would happen (sealctl policy explain), then set the mode to enforce, route by route",
		})
	}
	hash := p.Hash()
	r.policy.Version, r.policy.Hash, r.policy.Applied = p.Version(), fmt.Sprintf("%x", hash[:8]), now
	return &corridor.Generation{Policy: p, Protector: protector}, r
}

// withoutKey notes why nothing can be sealed.
func (r *rules) withoutKey(err error) {
	r.noKey = err
	r.alarms = append(r.alarms, telemetry.Alarm{
		ID:   "no-recipients",
		Text: "no usable recipients: messages of routes that enforce wait, unacknowledged (" + err.Error() + ")",
		Do:   "make or fetch a signed recipients bundle (sealctl keys), set keys.recipients and keys.trust_root, and reload",
	})
}

// readPolicy compiles the policy that was accepted from the site's operators,
// or else the gateway's own.
func (a *Agent) readPolicy(now time.Time, audiences []string, r *rules) (*policy.Policy, error) {
	if a.remote.Policy == nil {
		return a.readOwnPolicy(now, audiences, r)
	}
	guard := a.cfg.PolicyGuard(now)
	p, err := policy.Compile(a.remote.Policy, Vocabulary(a.cfg, audiences), guard)
	if err != nil {
		// It compiled when it was accepted: the guard or the uplinks are others now.
		p, _ = a.readOwnPolicy(now, audiences, r)
		return p, policyPlace("the policy that was sent", err)
	}
	r.policy.Source = a.remote.Source
	return p, nil
}

// openRecipients opens the bundle that was accepted from the site's operators,
// or the one in its file.
func (a *Agent) openRecipients(now time.Time) (*signed.Bundle, error) {
	switch {
	case a.remote.Recipients != nil:
		bundle, err := signed.ParseBundle(a.remote.Recipients)
		if err != nil {
			return nil, fmt.Errorf("accepted recipients: %w", err)
		}
		if !now.Before(bundle.NotAfter) {
			return nil, fmt.Errorf("accepted recipients: %w", signed.ErrExpired)
		}
		return bundle, nil
	case a.cfg.Keys.Recipients == "":
		return nil, errors.New("keys.recipients is not set")
	}
	return OpenRecipients(a.cfg, now, a.floor)
}

// readOwnPolicy compiles the policy file, or the built-in policy where there is
// none or it is refused.
func (a *Agent) readOwnPolicy(now time.Time, audiences []string, r *rules) (*policy.Policy, error) {
	guard := a.cfg.PolicyGuard(now)
	vocabulary := Vocabulary(a.cfg, audiences)
	builtIn := func() *policy.Policy {
		p, err := policy.BuiltIn(guard.Profile, vocabulary, guard)
		if err != nil {
			panic("agent: the built-in policy does not compile: " + err.Error()) // a test compiles it for every profile
		}
		r.policy.Source = "built-in"
		return p
	}
	if a.cfg.Policy == "" {
		return builtIn(), nil
	}
	src, err := os.ReadFile(a.cfg.Policy)
	if err != nil {
		return builtIn(), fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Compile(src, vocabulary, guard)
	if err != nil {
		return builtIn(), policyPlace(a.cfg.Policy, err)
	}
	r.policy.Source = "file"
	return p, nil
}

// policyPlace says where a policy is wrong, and not a word of it: self-tests and
// examples of detectors may hold real data, and this goes into the log.
func policyPlace(path string, err error) error {
	var list *policy.Errors
	if errors.As(err, &list) && len(list.Problems) > 0 {
		p := list.Problems[0]
		return fmt.Errorf("%s:%d:%d: the first of %d problems; sealgate check, or sealctl policy check at a desk, shows them", path, p.Line, p.Column, len(list.Problems))
	}
	return fmt.Errorf("policy %s can't be compiled: sealgate check says why", path)
}

// policyError puts the name of the file before each place.
func policyError(path string, err error) error {
	var list *policy.Errors
	if errors.As(err, &list) {
		list.File = path
		return list
	}
	return fmt.Errorf("policy %s: %w", path, err)
}

// readRecipients opens the signed bundle of recipients. It returns those that
// are sealed to, those who open what is blocked, and the audiences that a policy
// may name: also one whose keys are all revoked, because its policy stays valid
// and its messages are held.
func (a *Agent) readRecipients(now time.Time, r *rules) (active, blocked []envelope.Recipient, audiences []string, err error) {
	bundle, err := a.openRecipients(now)
	if err != nil {
		return nil, nil, nil, err
	}
	r.bundle, r.bundleHash, r.bundleEnds = bundle.Version, bundle.Hash, bundle.NotAfter
	for _, e := range bundle.Entries {
		x := envelope.Recipient{Recipient: e.Recipient, Audience: e.Audience, Recovery: e.Audience == signed.Recovery}
		switch {
		case e.Status != signed.Active && e.Status != signed.Retiring:
		case e.Audience == signed.Blocked:
			blocked = append(blocked, x)
		default:
			active = append(active, x)
		}
	}
	return active, blocked, bundle.Audiences(), nil
}

// adopt makes r what people see, and its alarms the ones that stand.
func (a *Agent) adopt(r rules) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rules = r
	for _, id := range []string{"no-recipients", "no-protection", "policy-refused", "observe-over", "observing"} {
		delete(a.alarms, id)
	}
	for _, al := range r.alarms {
		a.alarms[al.ID] = al
		a.log.Warn("alarm", "alarm", al.ID, "text", al.Text, "do", al.Do)
	}
}

func (a *Agent) raise(id, text, do string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alarms[id] = telemetry.Alarm{ID: id, Text: text, Do: do}
	a.log.Warn("alarm", "alarm", id, "text", text, "do", do)
}

func (a *Agent) clear(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, stood := a.alarms[id]; stood {
		delete(a.alarms, id)
		a.log.Info("alarm cleared", "alarm", id)
	}
}
