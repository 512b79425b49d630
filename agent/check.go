package agent

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

// Vocabulary is what a policy on this gateway may name. audiences nil accepts
// any name.
func Vocabulary(cfg *config.Config, audiences []string) policy.Vocabulary {
	v := policy.Vocabulary{Actions: protect.Specs(), Recipients: audiences}
	for _, spec := range v.Actions {
		if of := spec.Check; spec.Name == "pseudonymize" {
			spec.Check = func(c classify.ClassID, x *policy.Action) error {
				if domain := x.Strings["domain"]; protect.Reversible(x) && !slices.Contains(cfg.Keys.ReversibleDomains, domain) {
					return fmt.Errorf("this gateway permits no reversible tokens in the domain %q: keys.reversible_domains", domain)
				}
				return of(c, x)
			}
		}
	}
	for _, u := range cfg.Uplinks {
		v.Uplinks = append(v.Uplinks, u.Name)
	}
	return v
}

// A Floor is the recipients bundle that was accepted before.
type Floor struct {
	Version uint64
	Hash    [32]byte
}

// OpenRecipients opens the signed bundle of recipients under the trust root.
func OpenRecipients(cfg *config.Config, now time.Time, floor Floor) (*signed.Bundle, error) {
	rootRaw, err := os.ReadFile(cfg.Keys.TrustRoot)
	if err != nil {
		return nil, fmt.Errorf("read trust root: %w", err)
	}
	root, err := signed.ParseRoot(rootRaw)
	if err != nil {
		return nil, fmt.Errorf("trust root %s: %w", cfg.Keys.TrustRoot, err)
	}
	role, err := root.Role(signed.RoleRecipients)
	if err != nil {
		return nil, fmt.Errorf("trust root %s: %w", cfg.Keys.TrustRoot, err)
	}
	raw, err := os.ReadFile(cfg.Keys.Recipients)
	if err != nil {
		return nil, fmt.Errorf("read recipients: %w", err)
	}
	b, err := signed.OpenBundle(raw, role, signed.Expect{Site: root.Site, Floor: floor.Version, Hash: floor.Hash, Now: now})
	if err != nil {
		return nil, fmt.Errorf("recipients %s: %w", cfg.Keys.Recipients, err)
	}
	return b, nil
}

// Check validates everything that the configuration names, without opening a
// connection or writing a file: policy, recipients, users, ACL, certificates.
// It returns what is wrong, and what a person should know.
func Check(cfg *config.Config, now time.Time) (notes []string, err error) {
	var errs []error
	var audiences []string
	if cfg.Keys.Recipients == "" {
		notes = append(notes, "keys.recipients is not set: what needs a key will wait, unacknowledged, until it is")
	} else if b, err := OpenRecipients(cfg, now, Floor{}); err != nil {
		errs = append(errs, err)
	} else {
		audiences = b.Audiences()
		for _, name := range audiences {
			if _, err := b.Active(name); err != nil {
				notes = append(notes, "the audience "+name+" has no key in use: what only it may open will wait")
			}
		}
		notes = append(notes, fmt.Sprintf("recipients version %d, valid until %s", b.Version, b.NotAfter.UTC().Format(time.DateOnly)))
	}
	for _, path := range cfg.Custody.Rescue {
		if _, err := ReadRescue(path); err != nil {
			errs = append(errs, err)
		}
	}
	guard := cfg.PolicyGuard(now)
	if cfg.Policy == "" {
		notes = append(notes, "policy is not set: the built-in one is enforced")
	} else if src, err := os.ReadFile(cfg.Policy); err != nil {
		errs = append(errs, fmt.Errorf("read policy: %w", err))
	} else if p, err := policy.Compile(src, Vocabulary(cfg, audiences), guard); err != nil {
		errs = append(errs, policyError(cfg.Policy, err))
	} else {
		for _, r := range p.Routes() {
			if r.Observes() {
				notes = append(notes, "route "+r.Name+" observes: its messages leave unprotected")
			}
		}
	}
	if b := cfg.Ingress.Broker; b != nil {
		if _, _, err := access(b); err != nil {
			errs = append(errs, err)
		}
		for _, l := range b.Listeners {
			if l.TLS != nil {
				if _, err := serverTLS(l.TLS); err != nil {
					errs = append(errs, fmt.Errorf("listener %s: %w", l.Address, err))
				}
			}
		}
	}
	if _, err := openWeb(cfg, nil, nil); err != nil && cfg.Metrics.Listen != "off" {
		errs = append(errs, err)
	}
	opt, need := spoolOptions(cfg)
	if largest, err := spool.Largest(opt); err != nil {
		errs = append(errs, err)
	} else if err := fits(need, largest); err != nil {
		errs = append(errs, err)
	}
	a := &Agent{cfg: cfg}
	for i := range cfg.Ingress.Subscribe {
		if _, err := a.subscription(i); err != nil {
			errs = append(errs, err)
		}
	}
	for i := range cfg.Uplinks {
		u, err := a.uplink(&cfg.Uplinks[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if m, ok := u.Map("spBv1.0/group/NDATA/node"); ok && m.Prefix != "" {
			notes = append(notes, "uplink "+u.Name+": Sparkplug B topics get a prefix, and hosts won't find them: if there are any, put {pattern: \"spBv1.0/#\"} before the other topics")
		}
	}
	return notes, errors.Join(errs...)
}
