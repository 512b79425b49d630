package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

// pseudonyms returns the keys of domains: the gateway's own from the keyring,
// shared ones from what the operator wrapped to it.
func (a *Agent) pseudonyms(domains []string) (*crypto.Pseudonymizer, error) {
	var own []string
	var keys []crypto.PseudonymKey
	window := a.cfg.Keys.PseudonymWindow
	for _, domain := range domains {
		path, shared := a.cfg.Keys.SharedDomains[domain]
		if !shared {
			own = append(own, domain)
			continue
		}
		key, err := a.sharedDomain(domain, path, window)
		if err != nil {
			return nil, fmt.Errorf("shared domain %s: %w", domain, err)
		}
		keys = append(keys, key)
	}
	ring, err := a.keyring.PseudonymKeys(own, window)
	if err != nil {
		return nil, err
	}
	return crypto.NewPseudonymizer(append(keys, ring...))
}

func (a *Agent) sharedDomain(name, path string, window time.Duration) (key crypto.PseudonymKey, err error) {
	rawRoot, err := os.ReadFile(a.cfg.Keys.TrustRoot)
	if err != nil {
		return key, fmt.Errorf("read trust root: %w", err)
	}
	root, err := signed.ParseRoot(rawRoot)
	if err != nil {
		return key, fmt.Errorf("trust root %s: %w", a.cfg.Keys.TrustRoot, err)
	}
	role, err := root.Role(signed.RoleRegistry)
	if err != nil {
		return key, fmt.Errorf("trust root %s: %w", a.cfg.Keys.TrustRoot, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return key, err
	}
	d, err := signed.OpenDomain(raw, role)
	if err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	if d.Site != root.Site || d.Name != name {
		return key, fmt.Errorf("%s: %w", path, signed.ErrTarget)
	}
	return d.Unwrap(a.keyring.RecipientKey(), window)
}

// Reveal returns the value of a reversible token that this gateway, or another
// one of a shared domain, made of a class.
func Reveal(ctx context.Context, cfg *config.Config, machine []byte, domain, class, token string) ([]byte, error) {
	k, err := openBeside(ctx, cfg, machine)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, keyring: k}
	p, err := a.pseudonyms([]string{domain})
	if err != nil {
		return nil, err
	}
	v, err := p.Reveal(crypto.Pseudonym{Domain: domain, Class: class, Normalization: protect.Normalization}, token)
	if errors.Is(err, crypto.ErrOpen) {
		return nil, fmt.Errorf("the token is not one of this gateway in domain %s and class %s, or its key was rotated more than once", domain, class)
	}
	return v, err
}
