package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// register adds the flags of every command that signs a bundle.
func (o *bundleOptions) register(c *cobra.Command, makes bool) {
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "keys", "the `DIR` with bundle, trust root and operator's keys")
	f.StringArrayVar(&o.signers, "signer", nil, "sign with the private key in `FILE` (default: all in DIR/operator)")
	f.IntVar(&o.days, "days", 365, "`DAYS` for which the bundle is valid")
	o.pass.register(f, makes)
}

func newKeysRotate(e *env) *cobra.Command {
	var o bundleOptions
	var kem, public string
	var announce bool
	c := &cobra.Command{
		Use:   "rotate AUDIENCE",
		Short: "Give an audience a new key, and retire the one it has",
		Long: `Rotate makes a new key for an audience, or takes the one that the consumer made
(--public), and signs the next bundle: data is sealed to the new key, and to the
old one, now retiring, until sealctl keys revoke AUDIENCE ends that. So nothing
is unreadable while consumers change over.

With --announce the new key is pending: gateways know it and seal to the old one
alone. Rotate again, without it, makes the announced key the one in use.`,
		Example: `  sealctl keys rotate cloud-analytics --dir keys
  sealctl keys rotate cloud-analytics --public analytics-2027.pub.json
  sealctl keys revoke cloud-analytics`,
		Args: want(1, 1, "the name of an audience"),
		RunE: func(_ *cobra.Command, args []string) error {
			kind, err := kemOf(kem)
			if err != nil {
				return err
			}
			var made string
			err = e.signNext(&o, func(b *signed.Bundle) error {
				made, err = e.succeed(&o, b, succession{audience: args[0], kem: kind, public: public, announce: announce})
				return err
			})
			if err == nil && made != "" {
				fmt.Fprintf(e.stderr, "sealctl: the new private key is %s: it goes to the consumer %s, and nobody else\n", made, args[0])
			}
			return err
		},
	}
	o.register(c, true)
	c.Flags().StringVar(&kem, "kem", "x25519", "`KIND` of the new key: x25519, p256, xwing (post-quantum hybrid)")
	c.Flags().StringVar(&public, "public", "", "take the consumer's public key in `FILE` instead of making one")
	c.Flags().BoolVar(&announce, "announce", false, "only announce the new key; seal to it from the next rotate on")
	return c
}

// A succession is what rotate is asked for.
type succession struct {
	audience string
	kem      crypto.KEM
	public   string // file; empty: make a key
	announce bool
}

// succeed changes the bundle so that the audience has a new key. It returns the
// path of the private key if it made one: before the bundle that names it is
// written, so that nothing is ever sealed to a key that nobody has.
func (e *env) succeed(o *bundleOptions, b *signed.Bundle, s succession) (made string, err error) {
	of := func(status signed.Status) (at []int) {
		for i, x := range b.Entries {
			if x.Audience == s.audience && x.Status == status {
				at = append(at, i)
			}
		}
		return at
	}
	active, pending := of(signed.Active), of(signed.Pending)
	switch {
	case len(active)+len(pending)+len(of(signed.Retiring)) == 0:
		return "", fmt.Errorf("the bundle has no key of the audience %q to succeed; sealctl keys create and keys bundle --add give it its first", s.audience)
	case len(pending) > 0 && (s.announce || s.public != ""):
		return "", fmt.Errorf("a key of %s is announced already: rotate without --announce and --public makes it the one in use", s.audience)
	case len(pending) > 1:
		return "", fmt.Errorf("%d keys of %s are announced; say which: sealctl keys bundle --activate ID", len(pending), s.audience)
	}
	if !s.announce {
		for _, i := range active {
			b.Entries[i].Status = signed.Retiring
		}
	}
	if len(pending) == 1 {
		b.Entries[pending[0]].Status = signed.Active
		return "", nil
	}
	next := signed.Entry{Audience: s.audience, Status: signed.Active}
	if s.announce {
		next.Status = signed.Pending
	}
	if s.public != "" {
		p, err := readRecipient(s.public)
		if err != nil {
			return "", err
		}
		if p.Audience != s.audience {
			return "", fmt.Errorf("the key in %s is for the audience %q", s.public, p.Audience)
		}
		next.Recipient = p.Key
	} else {
		where := o.dir
		if s.audience == signed.Recovery {
			where = filepath.Join(o.dir, recoveryDir)
		}
		pass, err := o.pass.forNew(e)
		if err != nil {
			return "", err
		}
		key, err := crypto.GenerateRecipientKey(s.kem)
		if err != nil {
			return "", fmt.Errorf("make recipient key: %w", err)
		}
		if made, err = crypto.SaveRecipientKey(where, crypto.RecipientFile{Audience: s.audience, Created: time.Now(), Key: key}, pass); err != nil {
			return "", err
		}
		warnClear(e, pass)
		next.Recipient = key.Recipient()
	}
	b.Entries = append(b.Entries, next)
	return made, nil
}

func newKeysRevoke(e *env) *cobra.Command {
	var o bundleOptions
	c := &cobra.Command{
		Use:   "revoke ID|AUDIENCE...",
		Short: "Never seal to a key again",
		Long: `Revoke ends sealing to a key: by its id, or for an audience to what it retired.
Gateways make a new data key as soon as they have the new bundle. What was
sealed to a revoked key before stays open to whoever holds it.`,
		Example: `  sealctl keys revoke cloud-analytics      # after sealctl keys rotate
  sealctl keys revoke 6b1e0f3a2c           # at once, whatever its status`,
		Args: want(1, -1, "ids of keys, or audiences with retiring ones"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.signNext(&o, func(b *signed.Bundle) error {
				for _, name := range args {
					if err := revoke(b, name); err != nil {
						return err
					}
				}
				for _, entry := range b.Entries {
					if _, err := b.Active(entry.Audience); err != nil {
						fmt.Fprintf(e.stderr, "sealctl: warning: the audience %s has no key left: a gateway whose policy names it will hold its messages\n", entry.Audience)
						break
					}
				}
				return nil
			})
		},
	}
	o.register(c, false)
	return c
}

// revoke revokes one key, or the retiring ones of an audience.
func revoke(b *signed.Bundle, name string) error {
	audience, done := false, false
	for i := range b.Entries {
		if x := &b.Entries[i]; x.Audience == name {
			audience = true
			if x.Status == signed.Retiring {
				x.Status, done = signed.Revoked, true
			}
		}
	}
	switch {
	case !audience:
		return move(b, name, signed.Revoked)
	case !done:
		return fmt.Errorf("no key of the audience %s is retiring: rotate it first, or say the id of the key; see sealctl keys list", name)
	}
	return nil
}

func newKeysImport(e *env) *cobra.Command {
	var dir, audience string
	var pass passphraseFlags
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Take a key in PEM or JWK that another tool made",
		Long: `Import reads one key of X25519, P-256 or Ed25519 in PEM (PKCS #8, SEC 1,
SubjectPublicKeyInfo) or JWK, and writes it as ID.key.json and ID.pub.json, or
ID.pub.json alone where only the public half is there: one that stays in a KMS.
Ed25519 keys sign bundles; the others open what gateways send.`,
		Example: `  openssl genpkey -algorithm X25519 -out analytics.pem
  sealctl keys import analytics.pem --audience cloud-analytics`,
		Args: want(1, 1, "a file with a key"),
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := readFile(args[0], 64<<10)
			if err != nil {
				return fmt.Errorf("read key: %w", err)
			}
			k, err := parseForeignKey(raw)
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			opens := k.Private != nil || k.Public != nil
			if opens != (audience != "") {
				return usageError("say --audience for a key that opens, and none for one that signs; this one %s", map[bool]string{true: "opens", false: "signs"}[opens])
			}
			if opens {
				if err := checkNames("an audience", audience); err != nil {
					return err
				}
			}
			var secret []byte
			if k.Private != nil || k.PrivateSigner != nil {
				if secret, err = pass.forNew(e); err != nil {
					return err
				}
				warnClear(e, secret)
			}
			return e.importKey(dir, audience, k, secret)
		},
	}
	c.Flags().StringVar(&dir, "dir", "keys", "write it into this `DIR`")
	c.Flags().StringVar(&audience, "audience", "", "the `NAME` of the audience whose key it is")
	pass.register(c.Flags(), true)
	return c
}

func (e *env) importKey(dir, audience string, k *foreignKey, pass []byte) (err error) {
	now := time.Now()
	var path string
	switch {
	case k.Private != nil:
		path, err = crypto.SaveRecipientKey(dir, crypto.RecipientFile{Audience: audience, Created: now, Key: k.Private}, pass)
	case k.PrivateSigner != nil:
		path, err = crypto.SaveSigner(dir, k.PrivateSigner, now, pass)
	default:
		return e.importPublic(dir, audience, k, now)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "private  %s\npublic   %s\n", path, publicOf(path))
	return nil
}

func (e *env) importPublic(dir, audience string, k *foreignKey, now time.Time) error {
	var id string
	var raw []byte
	var err error
	if k.Public != nil {
		id = k.Public.RID().String()
		raw, err = crypto.MarshalRecipient(crypto.RecipientPublic{Audience: audience, Created: now, Key: k.Public})
	} else {
		id = k.PublicSigner.KeyID().String()
		raw, err = crypto.MarshalVerifier(k.PublicSigner, now)
	}
	if err != nil {
		return err
	}
	path := filepath.Join(dir, id+".pub.json")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already", path)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make key directory: %w", err)
	}
	if err := durable.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write public key: %w", err)
	}
	fmt.Fprintf(e.stdout, "public   %s\n", path)
	return nil
}

func newKeysExport(e *env) *cobra.Command {
	var dir, out string
	var form exportForm
	var pass passphraseFlags
	c := &cobra.Command{
		Use:   "export ID|AUDIENCE",
		Short: "Print the public half of a key: for the bundle, or in PEM or JWK",
		Example: `  sealctl keys export cloud-analytics -o analytics.pub.json
  sealctl keys export cloud-analytics --format jwk`,
		Args: want(1, 1, "the id of a key, or its audience"),
		RunE: func(_ *cobra.Command, args []string) error {
			form.ask = pass.forOld(e)
			raw, err := exportKey(dir, args[0], form)
			if err != nil {
				return err
			}
			if out == "" || out == "-" {
				_, err = e.stdout.Write(raw)
				return err
			}
			mode := fs.FileMode(0o644)
			if form.private {
				mode = 0o600
			}
			if err := durable.WriteFile(out, raw, mode); err != nil {
				return fmt.Errorf("write key: %w", err)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "keys", "the `DIR` with the keys")
	f.StringVarP(&out, "output", "o", "", "write to `FILE`")
	f.StringVar(&form.name, "format", "sealgate", "`FORM`: sealgate, pem or jwk")
	f.BoolVar(&form.private, "insecure-private", false, "export the private half instead, in clear: for a KMS or secret manager")
	pass.register(f, false)
	return c
}

// An exportForm is how a key is written for others.
type exportForm struct {
	name    string // sealgate, pem or jwk
	private bool
	ask     func(string) ([]byte, error)
}

// exportKey returns the one key that name names, in a form.
func exportKey(dir, name string, form exportForm) ([]byte, error) {
	k, err := findKey(dir, name)
	if err != nil {
		return nil, err
	}
	if form.private && k.Private == "none" {
		return nil, fmt.Errorf("the private half of %s is not in %s", k.ID, dir)
	}
	if form.private && form.name == "sealgate" {
		return nil, usageError("%s is the private key in our form; say --format pem or jwk for another", k.Path)
	}
	var key foreignKey
	var raw []byte
	switch {
	case form.private && k.Use == "signs":
		key.PrivateSigner, err = crypto.LoadSigner(k.Path, form.ask)
	case form.private:
		var f crypto.RecipientFile
		f, err = crypto.LoadRecipientKey(k.Path, form.ask)
		key.Private = f.Key
	default:
		path := k.Path
		if k.Private != "none" {
			path = publicOf(path)
		}
		if raw, err = readFile(path, 64<<10); err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		if k.Use == "signs" {
			key.PublicSigner, err = crypto.UnmarshalVerifier(raw)
		} else {
			var p crypto.RecipientPublic
			p, err = crypto.UnmarshalRecipient(raw)
			key.Public = p.Key
		}
		if err != nil {
			err = fmt.Errorf("read %s: %w", path, err)
		}
	}
	if err != nil {
		return nil, err
	}
	switch form.name {
	case "sealgate":
		return raw, nil
	case "pem":
		return key.pem()
	case "jwk":
		return key.jwk()
	}
	return nil, usageError("there is no format %q; choose sealgate, pem or jwk", form.name)
}

// findKey returns the one key in a directory whose id or audience is name. An
// audience with several keys is not one.
func findKey(dir, name string) (keyInfo, error) {
	keys, err := listKeys(dir)
	if err != nil {
		return keyInfo{}, err
	}
	found := slices.DeleteFunc(keys, func(k keyInfo) bool { return !names(k.ID, name) && k.Audience != name })
	switch len(found) {
	case 0:
		return keyInfo{}, fmt.Errorf("there is no key %q in %s; see sealctl keys list", name, dir)
	case 1:
		return found[0], nil
	}
	return keyInfo{}, fmt.Errorf("there are %d keys for %q in %s; say the id of one, see sealctl keys list", len(found), name, dir)
}
