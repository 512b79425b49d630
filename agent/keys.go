package agent

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
)

// maxPublicKey bounds the file of a public key.
const maxPublicKey = 64 << 10

// Ring is the gateway's keys with the custody that the configuration describes.
func Ring(cfg *config.Config, machine []byte) (*custody.Ring, error) {
	c := &cfg.Custody
	r := &custody.Ring{
		Dir: cfg.Keys.Directory, Gateway: cfg.Gateway, Machine: machine, Kind: c.Kind,
		Options: custody.Options{
			File: custody.FileOptions(c.File), TPM: custody.TPMOptions(c.TPM),
			Credential: custody.CredentialOptions{Name: c.Credential.Name, Directory: os.Getenv("CREDENTIALS_DIRECTORY")},
			Vault: custody.VaultOptions{
				Address: c.Vault.Address, Mount: c.Vault.Mount, Key: c.Vault.Key, Namespace: c.Vault.Namespace,
				CA: c.Vault.CA, TokenFile: c.Vault.TokenFile, Timeout: c.Vault.Timeout,
			},
		},
	}
	if a := c.Vault.AppRole; a != nil {
		v := &r.Options.Vault
		v.AppRoleMount, v.RoleIDFile, v.SecretIDFile = a.Mount, a.RoleIDFile, a.SecretIDFile
	}
	for _, path := range c.Rescue {
		p, err := ReadRescue(path)
		if err != nil {
			return nil, err
		}
		r.Rescuers = append(r.Rescuers, p)
	}
	return r, nil
}

// ReadRescue reads the public half of a rescue key.
func ReadRescue(path string) (*crypto.Recipient, error) {
	p, err := readPublic(path)
	if err != nil {
		return nil, err
	}
	if p.Audience != custody.RescueAudience {
		return nil, fmt.Errorf("%s is a key for %q and not a rescue key; make one: sealctl keys create %s", path, p.Audience, custody.RescueAudience)
	}
	return p.Key, nil
}

func readPublic(path string) (p crypto.RecipientPublic, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return p, fmt.Errorf("read public key: %w", err)
	}
	if st.Size() > maxPublicKey {
		return p, fmt.Errorf("read public key: %s is none", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return p, fmt.Errorf("read public key: %w", err)
	}
	if p, err = crypto.UnmarshalRecipient(raw); err != nil {
		return p, fmt.Errorf("read public key %s: %w", path, err)
	}
	return p, nil
}

// openKeys opens the gateway's own keys and its state, and makes both at the
// first start.
func (a *Agent) openKeys(ctx context.Context) error {
	purposes, err := crypto.KeyPurposes(a.cfg.Keys.Directory)
	if err != nil {
		return err
	}
	keyring, kek, err := openKeyring(ctx, a.cfg, a.opt.Machine)
	if err != nil {
		return err
	}
	a.keyring = keyring
	counter := counterOf(a.cfg, kek.Kind)
	a.custody = telemetry.CustodyStats{Kind: kek.Kind, Created: kek.Created, Rescue: kek.Rescue, Rollback: "unprotected"}
	if counter != nil {
		a.custody.Rollback = "tpm"
	}
	if kek.Warning != "" {
		a.raise("custody-weak", kek.Warning, "use a custody that a copy of the disk does not reveal, where the gateway has one")
	}
	if kek.Rescue == 0 && kek.Kind != "file" {
		a.log.Warn("no rescue key opens the gateway's keys: with their custodian they are lost", "do", "sealctl keys create "+custody.RescueAudience+", and name its public half in custody.rescue")
	}
	return a.readState(counter, len(purposes) == 0)
}

func openKeyring(ctx context.Context, cfg *config.Config, machine []byte) (*crypto.Keyring, *custody.Key, error) {
	ring, err := Ring(cfg, machine)
	if err != nil {
		return nil, nil, err
	}
	return openRing(ctx, ring)
}

// openBeside opens the keys for a command that may run beside the gateway: then
// it changes nothing.
func openBeside(ctx context.Context, cfg *config.Config, machine []byte) (*crypto.Keyring, error) {
	k := Keeper{Config: cfg, Machine: machine}
	ring, err := Ring(cfg, machine)
	if err != nil {
		return nil, err
	}
	if release, err := k.lock(); err == nil {
		defer release()
	} else {
		ring.ReadOnly = true
	}
	keys, _, err := openRing(ctx, ring)
	return keys, err
}

func openRing(ctx context.Context, ring *custody.Ring) (*crypto.Keyring, *custody.Key, error) {
	kek, err := ring.Open(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open key-encryption key: %w", err)
	}
	k, err := crypto.OpenKeyring(ring.Dir, kek, ring.Gateway, ring.Machine)
	if err != nil {
		return nil, nil, fmt.Errorf("open keys: %w", err)
	}
	return k, kek, nil
}

// PublicKey returns the public file of the key that a gateway signs with, for
// the registry of those who open what it sends. It makes the gateway's keys if
// there are none.
func PublicKey(ctx context.Context, cfg *config.Config, machine []byte, now time.Time) ([]byte, error) {
	k, err := openBeside(ctx, cfg, machine)
	if err != nil {
		return nil, err
	}
	return crypto.MarshalVerifier(k.Signer().Verifier(), now)
}

// ReadVerifier reads the public file of a signing key; an empty path has none.
func ReadVerifier(path string) (*crypto.Verifier, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	v, err := crypto.UnmarshalVerifier(raw)
	if err != nil {
		return nil, fmt.Errorf("read public key %s: %w", path, err)
	}
	return v, nil
}
