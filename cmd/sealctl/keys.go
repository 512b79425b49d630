package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// What a key directory holds beside the keys of recipients.
const (
	operatorDir = "operator"          // signers of bundles
	recoveryDir = "recovery"          // keys that open everything
	bundleFile  = "recipients.bundle" // for gateways
	rootFile    = "root.json"         // for gateways
)

func newKeys(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make keys, and say who can open what gateways send",
		Long: `A gateway seals to public keys only: it can't open what it sent. Whom it seals
to stands in a recipients bundle, signed by an operator; whose signature counts
stands in the trust root, a file that the gateway's administrator installs.

  sealctl keys init     makes all of it for a new site
  sealctl keys create   makes a key for a further consumer; import takes one
  sealctl keys bundle   puts it into the bundle, and signs
  sealctl keys rotate   gives an audience a new key; the old one retires
  sealctl keys revoke   never seals to a key again
  sealctl keys domain   shares a pseudonym domain among gateways
  sealctl keys push     publishes it to gateways that are controlled remotely
  sealctl keys verify   checks a bundle as a gateway does`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newKeysInit(e), newKeysCreate(e), newKeysImport(e), newKeysList(e), newKeysExport(e), newKeysBundle(e), newKeysRotate(e), newKeysRevoke(e), newKeysDomain(e), newKeysVerify(e), newKeysPush(e))
	return c
}

// shortID is how much of a key's id is shown where space is short, and enough to
// name it.
const shortID = 12

// names reports whether name is an id or the beginning of one.
func names(id, name string) bool { return len(name) >= 6 && strings.HasPrefix(id, name) }

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func checkNames(what string, names ...string) error {
	for _, n := range names {
		if !nameRule.MatchString(n) {
			return usageError("%q is no name of %s: take 1 to 64 of a-z, 0-9, '-', '_' and '.', the first a letter or digit", n, what)
		}
	}
	return nil
}

func kemOf(name string) (crypto.KEM, error) {
	k, err := crypto.KEMByName(strings.ReplaceAll(strings.ToLower(name), "-", ""))
	if err != nil {
		return 0, usageError("there is no kind of key %q; choose one of %v", name, crypto.KEMs())
	}
	return k, nil
}

func newKeysInit(e *env) *cobra.Command {
	var dir, site, kem string
	var audiences []string
	var days int
	var pass passphraseFlags
	c := &cobra.Command{
		Use:     "init --site NAME --audience NAME",
		Short:   "Make everything a new site needs: keys, signed bundle, trust root",
		Example: "  sealctl keys init --dir keys --site plant-7 --audience cloud-analytics",
		Args:    want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if site == "" || len(audiences) == 0 {
				return usageError("say --site, and an --audience for each consumer; see sealctl keys init --help")
			}
			if err := errors.Join(checkNames("a site", site), checkNames("an audience", audiences...)); err != nil {
				return err
			}
			if slices.Contains(audiences, signed.Recovery) {
				return usageError("the audience %s is always there: leave it out", signed.Recovery)
			}
			kind, err := kemOf(kem)
			if err != nil {
				return err
			}
			for _, name := range []string{bundleFile, rootFile, operatorDir, recoveryDir} {
				if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("%s is there already: add to it by sealctl keys bundle, or choose another --dir", filepath.Join(dir, name))
				}
			}
			secret, err := pass.forNew(e)
			if err != nil {
				return err
			}
			return e.initKeys(dir, site, audiences, kind, days, secret)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "keys", "make them in this `DIR`")
	f.StringVar(&site, "site", "", "`NAME` of the site, as in the gateway's agent.yaml")
	f.StringArrayVar(&audiences, "audience", nil, "`NAME` of a consumer; may be repeated")
	f.StringVar(&kem, "kem", "x25519", "`KIND` of the keys: x25519, p256, xwing (post-quantum hybrid)")
	f.IntVar(&days, "days", 365, "`DAYS` for which the bundle is valid")
	pass.register(f, true)
	return c
}

// initKeys makes a site's keys. The bundle is checked before anything is
// written, so that a bad name leaves nothing behind.
func (e *env) initKeys(dir, site string, audiences []string, kem crypto.KEM, days int, pass []byte) error {
	now := time.Now().UTC().Truncate(time.Second)
	signer, err := crypto.GenerateSigner()
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	// Every role has the operator's key at first; sealctl root next gives roles
	// to others.
	root := &signed.Root{Site: site, Roles: map[string]signed.RoleKeys{}}
	for _, role := range signed.RoleNames() {
		root.Roles[role] = signed.RoleKeys{Threshold: 1, Keys: []*crypto.Verifier{signer.Verifier()}}
	}
	rootRaw, err := root.Marshal()
	if err != nil {
		return fmt.Errorf("make trust root: %w", err)
	}
	b := &signed.Bundle{Chain: signed.Chain{Site: site, Version: 1}}
	if err := validFor(b, now, days); err != nil {
		return err
	}
	var files []crypto.RecipientFile
	for _, a := range append(slices.Clone(audiences), signed.Recovery) {
		key, err := crypto.GenerateRecipientKey(kem)
		if err != nil {
			return fmt.Errorf("make recipient key: %w", err)
		}
		files = append(files, crypto.RecipientFile{Audience: a, Created: now, Key: key})
		b.Entries = append(b.Entries, signed.Entry{Audience: a, Status: signed.Active, Recipient: key.Recipient()})
	}
	bundleRaw, err := signed.SignBundle(b, signer)
	if err != nil {
		return fmt.Errorf("make recipients bundle: %w", err)
	}

	operator, err := crypto.SaveSigner(filepath.Join(dir, operatorDir), signer, now, pass)
	if err != nil {
		return err
	}
	paths := make([]string, len(files))
	for i, f := range files {
		where := dir
		if f.Audience == signed.Recovery {
			where = filepath.Join(dir, recoveryDir)
		}
		if paths[i], err = crypto.SaveRecipientKey(where, f, pass); err != nil {
			return err
		}
	}
	for name, raw := range map[string][]byte{rootFile: rootRaw, bundleFile: bundleRaw} {
		if err := durable.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}

	w := e.stdout
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	say("%s", e.styled(bold, "to each gateway of the site"))
	say("  %s", filepath.Join(dir, bundleFile))
	say("      whom it seals to, valid until %s; in agent.yaml: keys.recipients", b.NotAfter.Format(time.DateOnly))
	say("  %s", filepath.Join(dir, rootFile))
	say("      whose signature on that counts; in agent.yaml: keys.trust_root")
	say("")
	for i, f := range files[:len(files)-1] {
		say("%s", e.styled(bold, "to the consumer "+f.Audience+", and nobody else"))
		say("  %s", paths[i])
		say("      opens what gateways seal to it: sealctl open --keys DIR")
	}
	say("")
	say("%s", e.styled(bold, "to a safe, off this machine"))
	say("  %s", paths[len(paths)-1])
	say("      opens everything; for the day on which a consumer loses its key")
	say("  %s", operator)
	say("      signs bundles and the registry of gateways: with it one can name further recipients")
	warnClear(e, pass)
	return nil
}

func warnClear(e *env, pass []byte) {
	if len(pass) == 0 {
		fmt.Fprintln(e.stderr, "sealctl: private keys are protected by their file mode alone; use --passphrase to encrypt them")
	}
}

// validFor sets when a bundle is valid: from an hour ago, because gateways'
// clocks are not exact.
func validFor(b *signed.Bundle, now time.Time, days int) error {
	if days < 1 || days > 3660 {
		return usageError("--days is %d; choose 1 to 3660", days)
	}
	b.NotBefore, b.NotAfter = now.Add(-time.Hour), now.AddDate(0, 0, days)
	return nil
}

func newKeysCreate(e *env) *cobra.Command {
	var dir, audience, kem string
	var signer bool
	var pass passphraseFlags
	c := &cobra.Command{
		Use:   "create AUDIENCE",
		Short: "Make a key pair for a consumer, or with --signer for an operator",
		Long: `Create makes a key pair: ID.key.json is private and stays with whoever opens
data, ID.pub.json goes to the operator, who adds it to the bundle:
  sealctl keys bundle --add ID.pub.json`,
		Example: "  sealctl keys create cloud-analytics --dir mykeys --passphrase",
		Args:    want(0, 1, "the name of the audience"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if audience != "" {
					return usageError("the audience is given twice")
				}
				audience = args[0]
			}
			if (audience == "") != signer {
				return usageError("say for which audience the key is, or --signer for one that signs; see sealctl keys create --help")
			}
			if !signer {
				if err := checkNames("an audience", audience); err != nil {
					return err
				}
			}
			kind, err := kemOf(kem)
			if err != nil {
				return err
			}
			secret, err := pass.forNew(e)
			if err != nil {
				return err
			}
			path, err := createKey(dir, audience, kind, secret)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "private  %s\npublic   %s\n", path, publicOf(path))
			warnClear(e, secret)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "keys", "make it in this `DIR`")
	f.StringVar(&audience, "audience", "", "`NAME` of the consumer, instead of the argument")
	f.StringVar(&kem, "kem", "x25519", "`KIND` of the key: x25519, p256, xwing (post-quantum hybrid)")
	f.BoolVar(&signer, "signer", false, "make a key that signs bundles instead")
	pass.register(f, true)
	return c
}

// createKey makes a recipient's key, or a signer's where there is no audience.
func createKey(dir, audience string, kem crypto.KEM, pass []byte) (string, error) {
	now := time.Now()
	if audience == "" {
		s, err := crypto.GenerateSigner()
		if err != nil {
			return "", fmt.Errorf("make signing key: %w", err)
		}
		return crypto.SaveSigner(dir, s, now, pass)
	}
	key, err := crypto.GenerateRecipientKey(kem)
	if err != nil {
		return "", fmt.Errorf("make recipient key: %w", err)
	}
	return crypto.SaveRecipientKey(dir, crypto.RecipientFile{Audience: audience, Created: now, Key: key}, pass)
}

func publicOf(private string) string {
	return strings.TrimSuffix(private, ".key.json") + ".pub.json"
}

// keyInfo is what a key file says about itself. Nothing of it is verified, and
// the secret is not looked at.
type keyInfo struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Audience string `json:"audience,omitempty"`
	Use      string `json:"use"` // opens or signs
	Created  string `json:"created"`
	Status   string `json:"status,omitempty"` // in the bundle of the directory
	Private  string `json:"private"`          // "encrypted", "clear", or "none": only the public half is here
	Path     string `json:"path"`
}

func newKeysList(e *env) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys in a directory",
		Args:  want(0, 0, "no arguments; --dir says where"),
		RunE: func(*cobra.Command, []string) error {
			keys, err := listKeys(dir)
			if err != nil {
				return err
			}
			addStatus(dir, keys)
			if asJSON {
				return e.printJSON(keys)
			}
			if len(keys) == 0 {
				fmt.Fprintf(e.stderr, "sealctl: there are no keys in %s; sealctl keys create makes one\n", dir)
				return nil
			}
			t := table{head: []string{"ID", "USE", "AUDIENCE", "KIND", "CREATED", "STATUS", "PRIVATE"}, flex: 2}
			for _, k := range keys {
				created, _, _ := strings.Cut(k.Created, "T")
				t.add(cell{visible(k.ID[:min(shortID, len(k.ID))]), plain}, cell{k.Use, plain}, cell{visible(cmp.Or(k.Audience, "-")), bold}, cell{visible(k.Kind), plain}, cell{visible(created), faint}, cell{cmp.Or(k.Status, "-"), plain}, cell{k.Private, plain})
			}
			t.write(e.stdout, e, 0)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "keys", "the `DIR` with the keys, and those below")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// addStatus says of each key what the bundle beside it says, if there is one
// that the trust root accepts.
func addStatus(dir string, keys []keyInfo) {
	b, _, err := readBundle(filepath.Join(dir, bundleFile), filepath.Join(dir, rootFile))
	if err != nil {
		return
	}
	for i := range keys {
		for _, entry := range b.Entries {
			if entry.Recipient.RID().String() == keys[i].ID {
				keys[i].Status = string(entry.Status)
			}
		}
	}
}

func listKeys(dir string) ([]keyInfo, error) {
	byPath := map[string]keyInfo{} // by path without suffix
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base, private := strings.CutSuffix(path, ".key.json")
		if !private {
			var public bool
			if base, public = strings.CutSuffix(path, ".pub.json"); !public {
				return nil
			}
		}
		if _, known := byPath[base]; known && !private {
			return nil
		}
		k, err := readKeyInfo(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		byPath[base] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := make([]keyInfo, 0, len(byPath))
	for _, k := range byPath {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b keyInfo) int {
		return cmp.Or(cmp.Compare(a.Use, b.Use), cmp.Compare(a.Audience, b.Audience), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

func readKeyInfo(path string) (keyInfo, error) {
	raw, err := readFile(path, 64<<10)
	if err != nil {
		return keyInfo{}, err
	}
	var f struct {
		Format   string          `json:"format"`
		Kind     string          `json:"kind"`
		ID       string          `json:"id"`
		Audience string          `json:"audience"`
		Created  string          `json:"created"`
		Scrypt   json.RawMessage `json:"scrypt"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return keyInfo{}, errors.New("it is not a key file")
	}
	k := keyInfo{ID: f.ID, Kind: f.Kind, Audience: f.Audience, Created: f.Created, Path: path, Use: "opens", Private: "clear"}
	switch f.Format {
	case "sealgate-recipient-key/v1", "sealgate-signing-key/v1":
		if len(f.Scrypt) > 0 {
			k.Private = "encrypted"
		}
	case "sealgate-recipient/v1", "sealgate-signer/v1":
		k.Private = "none"
	default:
		return keyInfo{}, errors.New("it is not a key file of a known version")
	}
	if strings.HasPrefix(f.Format, "sealgate-sign") {
		k.Use = "signs"
	}
	return k, nil
}
