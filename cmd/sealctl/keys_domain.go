package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

func newKeysDomain(e *env) *cobra.Command {
	var o bundleOptions
	c := &cobra.Command{
		Use:   "domain NAME",
		Short: "Share a pseudonym domain among gateways, or rotate its key",
		Long: `Domain makes a new key for a pseudonym domain and wraps it to each gateway of the
registry that is not revoked: DIR/NAME.domain, for keys.shared_domains in their
agent.yaml. The key is kept nowhere else, so each run is a rotation: after a
gateway was added, after one was revoked, or once in a while. For a time values
then have two tokens, so that they still join.

In a shared domain one stolen gateway can test guesses for the tokens of all.`,
		Example: "  sealctl keys domain traffic --dir keys",
		Args:    want(1, 1, "the name of a domain"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkNames("a domain", args[0]); err != nil {
				return err
			}
			return e.rotateDomain(&o, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "keys", "the `DIR` with registry, trust root and operator's keys")
	f.StringArrayVar(&o.signers, "signer", nil, "sign with the private key in `FILE` (default: all in DIR/operator)")
	o.pass.register(f, false)
	return c
}

func (e *env) rotateDomain(o *bundleOptions, name string) error {
	root, role, err := readRole(filepath.Join(o.dir, rootFile), signed.RoleRegistry)
	if err != nil {
		return err
	}
	registry, err := readRegistry(filepath.Join(o.dir, registryFile), filepath.Join(o.dir, rootFile))
	if err != nil {
		return err
	}
	var gateways []*crypto.Recipient
	for _, g := range registry.Gateways {
		if g.KEM != nil && len(registry.Verifiers(g.Name)) > 0 {
			gateways = append(gateways, g.KEM)
		}
	}
	if len(gateways) == 0 {
		return errors.New("the registry has no gateway to share the domain with; sealctl registry add takes one in")
	}
	path := filepath.Join(o.dir, name+".domain")
	d := &signed.Domain{Site: root.Site, Name: name}
	raw, err := readFile(path, signed.MaxRegistryEnvelope)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read domain: %w", err)
	default:
		if d, err = signed.OpenDomain(raw, role); err != nil {
			return bad(fmt.Errorf("check %s: %w", path, err))
		}
	}
	version := uint32(1)
	if n := len(d.Keys); n > 0 {
		version, d.Keys = d.Keys[n-1].Version+1, d.Keys[n-1:]
	}
	key, err := crypto.NewSecretKey()
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if err := d.Add(version, time.Now().UTC().Truncate(time.Second), key, gateways); err != nil {
		return fmt.Errorf("wrap key: %w", err)
	}
	signers, err := o.loadSigners(e)
	if err != nil {
		return err
	}
	if raw, err = signed.SignDomain(d, signers...); err != nil {
		return fmt.Errorf("sign domain: %w", err)
	}
	if _, err := signed.OpenDomain(raw, role); err != nil {
		return fmt.Errorf("the trust root would refuse the domain: %w", err)
	}
	if err := durable.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write domain: %w", err)
	}
	fmt.Fprintf(e.stdout, "%s  key version %d for %s\n", path, version, plural(len(gateways), "gateway", "gateways"))
	fmt.Fprintf(e.stderr, "sealctl: copy %s to each of them, name it in keys.shared_domains, and reload\n", path)
	return nil
}
