package protect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// Options configures a Protector.
type Options struct {
	Policy        *policy.Policy
	Gateway       string
	Recipients    []envelope.Recipient // who may open, the recovery keys among them; empty: nothing that needs a key leaves
	Blocked       []envelope.Recipient // who may open what is blocked, and nothing else; empty: nothing of it is kept
	BundleVersion uint64
	Signer        *crypto.Signer
	Pseudonyms    func(domains []string) (*crypto.Pseudonymizer, error) // reads or makes the keys of the policy's domains
	Boot          uint64                                                // counter, persisted before the first seal of each start
	Reference     bool                                                  // leave grants out of the messages
	Limits        envelope.Limits
	Meter         *Meter // may be nil
}

// Protector carries out the decisions of one policy. It is immutable, but for
// the data keys in its sealers, and safe for concurrent use.
type Protector struct {
	policy  *policy.Policy
	applies []apply   // by Action.ID
	kinds   []uint8   // by Action.ID: in fieldActions
	sealers []*sealer // by Action.ID of encrypt and seal: the one of its recipients; nil where these have no key
	blocked *sealer   // for what is blocked; nil: nothing of it is kept
	forms   []string  // every topic that a seal of the policy publishes to, with its hole
	closed  error     // why something can't be sealed
	jobs    sync.Pool // of *job
	meter   *Meter
}

// A sealer is one set of recipients.
type sealer struct {
	*envelope.Sealer
	reference bool // grants travel on their own
	issued    atomic.Pointer[issued]
}

// issued is what an Output says about the one key that it needs, made once for
// each key.
type issued struct {
	kids   []crypto.KID
	grants [][]byte
}

func (s *sealer) keys(l *envelope.Lease) *issued {
	if i := s.issued.Load(); i != nil && i.kids[0] == l.KID() {
		return i
	}
	i := &issued{kids: []crypto.KID{l.KID()}}
	if s.reference {
		i.grants = [][]byte{l.Grant()}
	}
	s.issued.Store(i)
	return i
}

// New prepares every action of a policy. Where recipients have no key it
// returns a Protector that is not [Protector.Usable]: it still passes what
// needs no key, and holds the rest.
func New(o Options) (*Protector, error) {
	if o.Policy == nil || o.Signer == nil || o.Pseudonyms == nil || o.Gateway == "" {
		return nil, errors.New("prepare protection: policy, signer, pseudonyms and gateway are required")
	}
	actions := o.Policy.Actions()
	p := newProtector(o.Policy, actions, o.Meter)
	var k keys
	var err error
	if domains := domains(actions); len(domains) > 0 {
		if k.pseudonyms, err = o.Pseudonyms(domains); err != nil {
			return nil, fmt.Errorf("prepare protection: %w", err)
		}
	}
	if p.applies, err = prepare(actions, k); err != nil {
		return nil, fmt.Errorf("prepare protection: %w", err)
	}
	if err := p.prepareSealers(actions, o); err != nil {
		return nil, err
	}
	if len(o.Blocked) > 0 {
		o.Reference = false // it stays here, and its grant with it
		if p.blocked, err = p.newSealer(o.Blocked, o); err != nil {
			return nil, fmt.Errorf("prepare keeping what is blocked: %w", err)
		}
	}
	return p, nil
}

// Closed returns a Protector with no key at all: what needs one is held. m may
// be nil.
func Closed(p *policy.Policy, why error, m *Meter) *Protector {
	actions := p.Actions()
	c := newProtector(p, actions, m)
	c.closed = cmp.Or(why, errors.New("there is no key"))
	c.sealers = make([]*sealer, len(actions))
	c.applies = make([]apply, len(actions))
	for _, a := range actions {
		// What can't be prepared does not fit, and is held like what needs a key.
		c.applies[a.ID], _ = prepareOne(a, keys{})
	}
	return c
}

func newProtector(p *policy.Policy, actions []*policy.Action, m *Meter) *Protector {
	c := &Protector{policy: p, kinds: kinds(actions), meter: cmp.Or(m, new(Meter))}
	c.jobs.New = func() any { return &job{p: c} }
	for _, a := range actions {
		if t := a.Strings["topic"]; a.Spec.Name == "seal" && t != topicHole && !slices.Contains(c.forms, t) {
			c.forms = append(c.forms, t)
		}
	}
	return c
}

func domains(actions []*policy.Action) (names []string) {
	for _, a := range actions {
		if d := a.Strings["domain"]; a.Spec.Name == "pseudonymize" && !slices.Contains(names, d) {
			names = append(names, d)
		}
	}
	return names
}

// prepareSealers makes one sealer for each set of recipients that the policy
// uses.
func (p *Protector) prepareSealers(actions []*policy.Action, o Options) error {
	p.sealers = make([]*sealer, len(actions))
	bySet := map[string]*sealer{}
	for _, a := range actions {
		if a.Spec.Name != "encrypt" && a.Spec.Name != "seal" {
			continue
		}
		audiences := a.Recipients
		if len(audiences) == 0 {
			audiences = o.Policy.Recipients()
		}
		set, readers := choose(o.Recipients, audiences)
		if readers == 0 {
			p.closed = cmp.Or(p.closed, noReader(audiences))
			continue
		}
		var id strings.Builder
		for i := range set {
			rid := set[i].RID()
			id.Write(rid[:])
		}
		if bySet[id.String()] == nil {
			s, err := p.newSealer(set, o)
			if err != nil {
				return fmt.Errorf("prepare sealing for %s: %w", strings.Join(audiences, ", "), err)
			}
			bySet[id.String()] = s
		}
		p.sealers[a.ID] = bySet[id.String()]
	}
	return nil
}

func (p *Protector) newSealer(to []envelope.Recipient, o Options) (*sealer, error) {
	s, err := envelope.NewSealer(envelope.SealerOptions{
		Gateway: o.Gateway, Recipients: to, Signer: o.Signer, Boot: o.Boot,
		BundleVersion: o.BundleVersion, Reference: o.Reference, Limits: o.Limits, Meter: &p.meter.Keys,
	})
	return &sealer{Sealer: s, reference: o.Reference}, err
}

// choose returns the keys of some audiences and the recovery keys, and how many
// of them are not for recovery. No audience means all of them.
func choose(all []envelope.Recipient, audiences []string) (set []envelope.Recipient, readers int) {
	for _, r := range all {
		if r.Recipient == nil || !r.Recovery && len(audiences) > 0 && !slices.Contains(audiences, r.Audience) {
			continue
		}
		set = append(set, r)
		if !r.Recovery {
			readers++
		}
	}
	return set, readers
}

func noReader(audiences []string) error {
	if len(audiences) == 0 {
		return errors.New("there is no recipient")
	}
	return fmt.Errorf("no key of %s is known", strings.Join(audiences, ", "))
}

// sealer returns the sealer of an action, nil where it has none.
func (p *Protector) sealer(a *policy.Action) *sealer {
	if a == nil {
		return nil
	}
	return p.sealers[a.ID]
}

// Usable returns why some or all of what needs a key is held; nil where nothing
// is.
func (p *Protector) Usable() error { return p.closed }

// Rotate makes the next message start a new data key for each set of
// recipients.
func (p *Protector) Rotate() {
	for _, s := range append(slices.Clone(p.sealers), p.blocked) {
		if s != nil {
			s.Rotate()
		}
	}
}
