package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

type bundleOptions struct {
	dir     string
	add     []string
	pending bool
	moves   []keyMove
	signers []string
	days    int
	pass    passphraseFlags
}

// A keyMove is the status that some keys are to have.
type keyMove struct {
	to  signed.Status
	ids []string
}

func newKeysBundle(e *env) *cobra.Command {
	var o bundleOptions
	var activate, retire, revoke []string
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Sign the next version of the recipients bundle",
		Long: `Bundle reads DIR/recipients.bundle, checks it against DIR/root.json, makes the
changes, and signs the next version with the keys in DIR/operator. Without a
change it makes the same list valid for longer.

A key's status only moves on: pending (announced), active (sealed to), retiring
(still sealed to, while its successor is rolled out), revoked (never again).
What was sealed to a key before stays open to it.`,
		Example: `  sealctl keys bundle --add dashboards.pub.json
  sealctl keys bundle --retire 6b1e… --add analytics-2027.pub.json`,
		Args: want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			o.moves = []keyMove{{signed.Active, activate}, {signed.Retiring, retire}, {signed.Revoked, revoke}}
			return e.nextBundle(&o)
		},
	}
	o.register(c, false)
	f := c.Flags()
	f.StringArrayVar(&o.add, "add", nil, "add the public key in `FILE`; may be repeated, like those below")
	f.BoolVar(&o.pending, "pending", false, "announce added keys without sealing to them yet")
	f.StringArrayVar(&activate, "activate", nil, "seal to the pending key `ID`")
	f.StringArrayVar(&retire, "retire", nil, "mark the key `ID` as retiring")
	f.StringArrayVar(&revoke, "revoke", nil, "never seal to the key `ID` again")
	return c
}

func (e *env) nextBundle(o *bundleOptions) error {
	return e.signNext(o, func(b *signed.Bundle) error {
		for _, m := range o.moves {
			for _, id := range m.ids {
				if err := move(b, id, m.to); err != nil {
					return err
				}
			}
		}
		for _, file := range o.add {
			p, err := readRecipient(file)
			if err != nil {
				return err
			}
			status := signed.Active
			if o.pending {
				status = signed.Pending
			}
			b.Entries = append(b.Entries, signed.Entry{Audience: p.Audience, Status: status, Recipient: p.Key})
		}
		return nil
	})
}

// readRecipient reads the public file of a recipient.
func readRecipient(file string) (crypto.RecipientPublic, error) {
	raw, err := readFile(file, 64<<10)
	if err != nil {
		return crypto.RecipientPublic{}, fmt.Errorf("read public key: %w", err)
	}
	p, err := crypto.UnmarshalRecipient(raw)
	if err != nil {
		return p, fmt.Errorf("read public key %s: %w", file, err)
	}
	if p.Audience == custody.RescueAudience {
		return p, fmt.Errorf("%s is a rescue key for gateways' own keys, and must not open what they send: give it to sealgate keys init --rescue", file)
	}
	return p, nil
}

// signNext signs the next version of the bundle, changed by change, after the
// trust root's role accepts it.
func (e *env) signNext(o *bundleOptions, change func(*signed.Bundle) error) error {
	path := filepath.Join(o.dir, bundleFile)
	old, role, err := readBundle(path, filepath.Join(o.dir, rootFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; sealctl keys init makes the first version", err)
	}
	if err != nil {
		return err
	}
	b := &signed.Bundle{Chain: signed.Chain{Site: old.Site, Version: old.Version + 1, Previous: old.Hash}, Entries: slices.Clone(old.Entries)}
	if err := validFor(b, time.Now().UTC().Truncate(time.Second), o.days); err != nil {
		return err
	}
	signers, err := o.loadSigners(e)
	if err != nil {
		return err
	}
	if err := change(b); err != nil {
		return err
	}
	raw, err := signed.SignBundle(b, signers...)
	if err != nil {
		return fmt.Errorf("sign bundle: %w", err)
	}
	if _, err := role.Verify(raw, signed.BundleType); err != nil {
		return fmt.Errorf("the trust root would refuse the new bundle: %w", err)
	}
	if err := durable.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	e.showBundle(e.stdout, path, b, b.NotBefore)
	fmt.Fprintf(e.stderr, "sealctl: copy %s to each gateway of the site and reload it\n", path)
	return nil
}

// move changes the status of a key, named by its id or the beginning of it. A
// status only ever moves on.
func move(b *signed.Bundle, id string, to signed.Status) error {
	order := []signed.Status{signed.Pending, signed.Active, signed.Retiring, signed.Revoked}
	var entry *signed.Entry
	for i := range b.Entries {
		if names(b.Entries[i].Recipient.RID().String(), id) {
			if entry != nil {
				return fmt.Errorf("the bundle has several keys %s…; say more of the id", id)
			}
			entry = &b.Entries[i]
		}
	}
	if entry == nil {
		return fmt.Errorf("the bundle has no key %q; see sealctl keys verify", id)
	}
	if slices.Index(order, entry.Status) >= slices.Index(order, to) {
		return fmt.Errorf("key %s is %s already, and can't become %s", id, entry.Status, to)
	}
	entry.Status = to
	return nil
}

func (o *bundleOptions) loadSigners(e *env) ([]*crypto.Signer, error) {
	paths := o.signers
	if len(paths) == 0 {
		dir := filepath.Join(o.dir, operatorDir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("read signing keys: %w; say --signer", err)
		}
		for _, x := range entries {
			if strings.HasSuffix(x.Name(), ".key.json") {
				paths = append(paths, filepath.Join(dir, x.Name()))
			}
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("there is no signing key in %s; say --signer", dir)
		}
	}
	ask := o.pass.forOld(e)
	var out []*crypto.Signer
	for _, p := range paths {
		s, err := crypto.LoadSigner(p, ask)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// readBundle reads a bundle that the trust root accepts, whether or not it is
// valid now.
func readBundle(bundle, root string) (*signed.Bundle, *signed.Role, error) {
	r, role, err := readRole(root, signed.RoleRecipients)
	if err != nil {
		return nil, nil, err
	}
	raw, err := readFile(bundle, signed.MaxEnvelope)
	if err != nil {
		return nil, nil, fmt.Errorf("read recipients bundle: %w", err)
	}
	body, err := role.Verify(raw, signed.BundleType)
	if err != nil {
		return nil, nil, bad(fmt.Errorf("check %s: %w", bundle, err))
	}
	b, err := signed.ParseBundle(body)
	if err != nil {
		return nil, nil, bad(fmt.Errorf("check %s: %w", bundle, err))
	}
	if b.Site != r.Site {
		return nil, nil, bad(fmt.Errorf("check %s: it is for the site %q, the trust root is for %q", bundle, b.Site, r.Site))
	}
	return b, role, nil
}

type bundleInfo struct {
	Site      string        `json:"site"`
	Version   uint64        `json:"version"`
	NotBefore time.Time     `json:"not_before"`
	NotAfter  time.Time     `json:"not_after"`
	Valid     bool          `json:"valid"` // now
	Entries   []bundleEntry `json:"entries"`
}

type bundleEntry struct {
	RID      string `json:"rid"`
	Audience string `json:"audience"`
	KEM      string `json:"kem"`
	Status   string `json:"status"`
}

func newKeysVerify(e *env) *cobra.Command {
	var root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Check a recipients bundle as a gateway does, and show it",
		Args:  want(1, 1, "a recipients bundle"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, _, err := readBundle(args[0], cmp.Or(root, filepath.Join(filepath.Dir(args[0]), rootFile)))
			if err != nil {
				return err
			}
			now := time.Now()
			valid := !now.Before(b.NotBefore) && now.Before(b.NotAfter)
			if asJSON {
				if err := e.printJSON(describeBundle(b, valid)); err != nil {
					return err
				}
			} else {
				e.showBundle(e.stdout, args[0], b, now)
			}
			if !valid {
				return errBad
			}
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "", "the trust root `FILE` (default: root.json beside the bundle)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func describeBundle(b *signed.Bundle, valid bool) bundleInfo {
	x := bundleInfo{Site: b.Site, Version: b.Version, NotBefore: b.NotBefore, NotAfter: b.NotAfter, Valid: valid}
	for _, entry := range b.Entries {
		x.Entries = append(x.Entries, bundleEntry{entry.Recipient.RID().String(), entry.Audience, entry.Recipient.KEM().String(), string(entry.Status)})
	}
	return x
}

func (e *env) showBundle(w io.Writer, path string, b *signed.Bundle, now time.Time) {
	state := "valid until " + b.NotAfter.Format(time.DateOnly)
	switch {
	case now.Before(b.NotBefore):
		state = e.styled(loud, "not valid before "+b.NotBefore.Format(time.RFC3339))
	case !now.Before(b.NotAfter):
		state = e.styled(loud, "expired on "+b.NotAfter.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "%s  site %s, version %d, %s\n", e.styled(bold, visible(path)), b.Site, b.Version, state)
	t := table{head: []string{"ID", "AUDIENCE", "KIND", "STATUS"}, flex: 1}
	for _, entry := range b.Entries {
		s := plain
		if entry.Status == signed.Revoked {
			s = faint
		}
		t.add(cell{entry.Recipient.RID().String(), s}, cell{entry.Audience, bold}, cell{entry.Recipient.KEM().String(), s}, cell{string(entry.Status), s})
	}
	t.write(w, e, 2)
}
