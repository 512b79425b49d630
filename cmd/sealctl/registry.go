package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// registryFile is what openers get.
const registryFile = "gateways.registry"

func newRegistry(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "registry",
		Short: "Say which gateways there are, and what they sign with",
		Long: `The registry of gateways is what openers believe about origin: each gateway's
public signing keys, in a document that the trust root's role "registry" signed.

  sealgate enroll > gw-1.enroll                      on the gateway
  sealctl registry add gw-1.enroll --dir keys        takes it in, and signs
  sealctl open --registry keys/gateways.registry …   believes nothing else

Keys are active (in use), retiring (followed by another; what they signed stays
authentic) or revoked (nothing that they ever signed is believed).`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newRegistryAdd(e), newRegistryRevoke(e), newRegistrySign(e), newRegistryList(e))
	return c
}

func newRegistryAdd(e *env) *cobra.Command {
	var o bundleOptions
	var fingerprint string
	var successor bool
	c := &cobra.Command{
		Use:   "add REQUEST",
		Short: "Take in a gateway that asked to be enrolled",
		Long: `Add shows whose request it is and asks for the fingerprint that the gateway
printed: read it out there, or on the telephone, not from where the request came.
It makes the registry if there is none yet.

A gateway that is registered already keeps its key until --successor says that
the new one follows it: after sealgate rotated its signing key, or was replaced.`,
		Example: "  sealctl registry add gw-1.enroll --dir keys --fingerprint 3f2a-91c0-77d4-08be-5c61",
		Args:    want(1, 1, "the request that sealgate enroll printed"),
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := readFile(args[0], signed.MaxEnvelope)
			if err != nil {
				return fmt.Errorf("read request: %w", err)
			}
			x, err := signed.OpenEnrolment(raw)
			if err != nil {
				return bad(fmt.Errorf("check %s: %w", args[0], err))
			}
			fmt.Fprintf(e.stderr, "sealctl: gateway %s of site %s, asked at %s\n", x.Gateway, x.Site, x.IssuedAt.Format(time.RFC3339))
			if fingerprint == "" {
				line, err := e.prompt("the fingerprint that the gateway printed: ")
				if err != nil {
					return usageError("say the fingerprint that the gateway printed: --fingerprint")
				}
				fingerprint = string(line)
			}
			if plainHex(fingerprint) != plainHex(x.Fingerprint()) {
				return bad(fmt.Errorf("the fingerprint of this request is another one: it is not what that gateway printed"))
			}
			return e.changeRegistry(&o, func(r *signed.Registry) error { return enrol(r, x, successor) })
		},
	}
	o.register(c, false)
	c.Flags().StringVar(&fingerprint, "fingerprint", "", "the `FINGERPRINT` that the gateway printed")
	c.Flags().BoolVar(&successor, "successor", false, "the key follows the one that the gateway has")
	return c
}

func plainHex(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(s)))
}

// enrol puts a gateway into the registry, or a new key to the one that is there.
func enrol(r *signed.Registry, x *signed.Enrolment, successor bool) error {
	if x.Site != r.Site {
		return fmt.Errorf("the request is for the site %q, the registry for %q", x.Site, r.Site)
	}
	i, known := slices.BinarySearchFunc(r.Gateways, x.Gateway, func(g signed.Gateway, name string) int { return strings.Compare(g.Name, name) })
	switch {
	case !known && successor:
		return fmt.Errorf("there is no gateway %s whose key could be followed", x.Gateway)
	case known && !successor:
		return fmt.Errorf("gateway %s is registered already; if its key was rotated or the gateway replaced, say --successor", x.Gateway)
	case !known:
		r.Gateways = slices.Insert(r.Gateways, i, signed.Gateway{Name: x.Gateway})
	}
	g := &r.Gateways[i]
	g.KEM = x.KEM
	keys := slices.Clone(g.Keys) // those of the version before stay as they are
	for j := range keys {
		if keys[j].Verifier.KeyID() == x.Signing.KeyID() {
			return fmt.Errorf("gateway %s has this key already", x.Gateway)
		}
		if keys[j].Status == signed.Active {
			keys[j].Status = signed.Retiring
		}
	}
	g.Keys = append(keys, signed.GatewayKey{Status: signed.Active, Verifier: x.Signing})
	return nil
}

func newRegistryRevoke(e *env) *cobra.Command {
	var o bundleOptions
	c := &cobra.Command{
		Use:   "revoke GATEWAY|KEY...",
		Short: "Believe nothing that a gateway, or a key of it, ever signed",
		Long: `Revoke is for a gateway that was stolen or is gone, with its name, or for one key
of it, with its id. Openers refuse what was signed by a revoked key, also what
they have in an archive: they can't tell when it was signed.`,
		Example: "  sealctl registry revoke gw-1 --dir keys",
		Args:    want(1, -1, "names of gateways or ids of their keys"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.changeRegistry(&o, func(r *signed.Registry) error {
				for _, name := range args {
					if err := revokeGateway(r, name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	o.register(c, false)
	return c
}

func revokeGateway(r *signed.Registry, name string) error {
	done := 0
	for i := range r.Gateways {
		g := &r.Gateways[i]
		keys := slices.Clone(g.Keys)
		for j := range keys {
			if k := &keys[j]; k.Status != signed.Revoked && (g.Name == name || names(k.Verifier.KeyID().String(), name)) {
				k.Status = signed.Revoked
				done++
			}
		}
		g.Keys = keys
	}
	if done == 0 {
		return fmt.Errorf("the registry has no gateway or key %q that is not revoked; see sealctl registry list", name)
	}
	return nil
}

func newRegistrySign(e *env) *cobra.Command {
	var o bundleOptions
	c := &cobra.Command{
		Use:   "sign",
		Short: "Sign the registry again as it is, to be valid for longer",
		Args:  want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			return e.changeRegistry(&o, func(*signed.Registry) error { return nil })
		},
	}
	o.register(c, false)
	return c
}

// changeRegistry signs the next version of the registry, or the first one.
func (e *env) changeRegistry(o *bundleOptions, change func(*signed.Registry) error) error {
	path := filepath.Join(o.dir, registryFile)
	root, role, err := readRole(filepath.Join(o.dir, rootFile), signed.RoleRegistry)
	if err != nil {
		return err
	}
	next := &signed.Registry{Chain: signed.Chain{Site: root.Site, Version: 1}}
	raw, err := readFile(path, signed.MaxRegistryEnvelope)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read registry: %w", err)
	default:
		old, err := signed.VerifyRegistry(raw, role)
		if err != nil {
			return bad(fmt.Errorf("check %s: %w", path, err))
		}
		next.Version, next.Previous, next.Gateways = old.Version+1, old.Hash, old.Gateways
	}
	now := time.Now().UTC().Truncate(time.Second)
	if o.days < 1 || o.days > 3660 {
		return usageError("--days is %d; choose 1 to 3660", o.days)
	}
	next.NotBefore, next.NotAfter = now.Add(-time.Hour), now.AddDate(0, 0, o.days)
	signers, err := o.loadSigners(e)
	if err != nil {
		return err
	}
	if err := change(next); err != nil {
		return err
	}
	if raw, err = signed.SignRegistry(next, signers...); err != nil {
		return fmt.Errorf("sign registry: %w", err)
	}
	if _, err := signed.VerifyRegistry(raw, role); err != nil {
		return fmt.Errorf("the trust root would refuse the new registry: %w", err)
	}
	if err := durable.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write registry: %w", err)
	}
	e.showRegistry(path, next, now)
	fmt.Fprintf(e.stderr, "sealctl: give %s to everyone who opens: sealctl open --registry\n", path)
	return nil
}

// readRole reads a trust root and takes one of its roles.
func readRole(path, name string) (*signed.Root, *signed.Role, error) {
	raw, err := readFile(path, signed.MaxSize)
	if err != nil {
		return nil, nil, fmt.Errorf("read trust root: %w", err)
	}
	root, err := signed.ParseRoot(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	role, err := root.Role(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return root, role, nil
}

type registryInfo struct {
	Site      string         `json:"site"`
	Version   uint64         `json:"version"`
	NotBefore time.Time      `json:"not_before"`
	NotAfter  time.Time      `json:"not_after"`
	Valid     bool           `json:"valid"` // now
	Gateways  []registeredGW `json:"gateways"`
}

type registeredGW struct {
	Name string          `json:"name"`
	Keys []registeredKey `json:"keys"`
}

type registeredKey struct {
	ID     string `json:"id"`
	Public []byte `json:"public"` // Ed25519
	Status string `json:"status"`
}

func newRegistryList(e *env) *cobra.Command {
	var dir, root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [REGISTRY]",
		Short: "Check a registry as openers do, and show it",
		Args:  want(0, 1, "a registry, or none for that in --dir"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := filepath.Join(dir, registryFile)
			if len(args) == 1 {
				path = args[0]
			}
			if root == "" {
				root = filepath.Join(filepath.Dir(path), rootFile)
			}
			r, err := readRegistry(path, root)
			if err != nil {
				return err
			}
			now := time.Now()
			valid := !now.Before(r.NotBefore) && now.Before(r.NotAfter)
			if asJSON {
				x := registryInfo{Site: r.Site, Version: r.Version, NotBefore: r.NotBefore, NotAfter: r.NotAfter, Valid: valid, Gateways: []registeredGW{}}
				for _, g := range r.Gateways {
					y := registeredGW{Name: g.Name}
					for _, k := range g.Keys {
						y.Keys = append(y.Keys, registeredKey{k.Verifier.KeyID().String(), k.Verifier.Public(), string(k.Status)})
					}
					x.Gateways = append(x.Gateways, y)
				}
				err = e.printJSON(x)
			} else {
				e.showRegistry(path, r, now)
			}
			if err == nil && !valid {
				return errBad
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "keys", "the `DIR` with registry and trust root")
	c.Flags().StringVar(&root, "root", "", "the trust root `FILE` (default: root.json beside the registry)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// readRegistry reads a registry that the trust root accepts, whether or not it
// is valid now.
func readRegistry(path, root string) (*signed.Registry, error) {
	trust, role, err := readRole(root, signed.RoleRegistry)
	if err != nil {
		return nil, err
	}
	raw, err := readFile(path, signed.MaxRegistryEnvelope)
	if err != nil {
		return nil, fmt.Errorf("read registry: %w", err)
	}
	r, err := signed.VerifyRegistry(raw, role)
	if err == nil && r.Site != trust.Site {
		err = signed.ErrTarget
	}
	if err != nil {
		return nil, bad(fmt.Errorf("check %s: %w", path, err))
	}
	return r, nil
}

func (e *env) showRegistry(path string, r *signed.Registry, now time.Time) {
	state := "valid until " + r.NotAfter.Format(time.DateOnly)
	if now.Before(r.NotBefore) || !now.Before(r.NotAfter) {
		state = e.styled(loud, "not valid now: from "+r.NotBefore.Format(time.RFC3339)+" to "+r.NotAfter.Format(time.RFC3339))
	}
	fmt.Fprintf(e.stdout, "%s  site %s, version %d, %s\n", e.styled(bold, visible(path)), r.Site, r.Version, state)
	t := table{head: []string{"GATEWAY", "KEY", "STATUS"}, flex: 0}
	for _, g := range r.Gateways {
		for _, k := range g.Keys {
			s := plain
			if k.Status == signed.Revoked {
				s = faint
			}
			t.add(cell{g.Name, bold}, cell{k.Verifier.KeyID().String(), s}, cell{string(k.Status), s})
		}
	}
	t.write(e.stdout, e, 2)
}

// A trustedRegistry answers an opener from a registry on disk, and reads that
// again when it has changed, so that a revoked key ends at once. What is worse
// than what it has, older or expired, it does not take.
type trustedRegistry struct {
	path, root string
	floor      string // file that remembers the version seen; empty: none
	warn       func(error)

	mu      sync.Mutex // guards the rest
	current *signed.Registry
	looked  time.Time
	changed time.Time
}

// registryLook is how often the file is looked at.
const registryLook = time.Second

func openTrustedRegistry(path, root, floor string, warn func(error)) (*trustedRegistry, error) {
	if root == "" {
		root = filepath.Join(filepath.Dir(path), rootFile)
	}
	t := &trustedRegistry{path: path, root: root, floor: floor, warn: warn}
	return t, t.read(time.Now())
}

func (t *trustedRegistry) read(now time.Time) error {
	trust, role, err := readRole(t.root, signed.RoleRegistry)
	if err != nil {
		return err
	}
	st, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	raw, err := readFile(t.path, signed.MaxRegistryEnvelope)
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	expect := signed.Expect{Site: trust.Site, Now: now}
	if t.current != nil {
		expect.Floor, expect.Hash = t.current.Version, t.current.Hash
	} else if err := t.readFloor(&expect); err != nil {
		return err
	}
	r, err := signed.OpenRegistry(raw, role, expect)
	if err != nil {
		return bad(fmt.Errorf("check %s: %w", t.path, err))
	}
	if err := t.writeFloor(r); err != nil {
		return err
	}
	t.current, t.changed = r, st.ModTime()
	return nil
}

// readFloor reads which registry was accepted before: "<version> <hash>".
func (t *trustedRegistry) readFloor(x *signed.Expect) error {
	if t.floor == "" {
		return nil
	}
	raw, err := readFile(t.floor, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var hash []byte
	if n, serr := fmt.Sscanf(string(raw), "%d %x\n", &x.Floor, &hash); err != nil || serr != nil || n != 2 || len(hash) != len(x.Hash) {
		return fmt.Errorf("read %s: it does not say which registry was accepted last; remove it only if the one at hand is known to be the newest", t.floor)
	}
	copy(x.Hash[:], hash)
	return nil
}

func (t *trustedRegistry) writeFloor(r *signed.Registry) error {
	if t.floor == "" {
		return nil
	}
	if err := durable.WriteFile(t.floor, fmt.Appendf(nil, "%d %x\n", r.Version, r.Hash), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", t.floor, err)
	}
	return nil
}

// verifiers is what an opener asks for every message.
func (t *trustedRegistry) verifiers(gateway string) []*crypto.Verifier {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.looked) >= registryLook {
		t.looked = now
		if st, err := os.Stat(t.path); err == nil && !st.ModTime().Equal(t.changed) {
			if err := t.read(now); err != nil {
				t.changed = st.ModTime() // said once
				t.warn(fmt.Errorf("the new registry is not taken: %w", err))
			}
		}
	}
	return t.current.Verifiers(gateway)
}
