package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

func newTrustRoot(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "root",
		Short: "Say whose signatures a site's gateways obey",
		Long: `The trust root lists, for each kind of document, the keys that may sign it and how
many must. A gateway gets its first one from its administrator; each later one is
signed by enough keys of the root role before it, and of its own.

  sealctl root show                                  who may sign what
  sealctl root next --role policy=2:a.pub.json,…     the next one, to be signed
  sealctl policy sign root-2.json                    by each signer
  sealctl root push root-2.json --broker URL         to the gateways
  sealctl root adopt root-2.json                     use it at this desk from now on`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newRootShow(e), newRootNext(e), newRootPush(e), newRootAdopt(e))
	return c
}

func newRootShow(e *env) *cobra.Command {
	var d desk
	var asJSON bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Show who may sign what",
		Args:  want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			r, err := d.root()
			if err != nil {
				return err
			}
			if asJSON {
				raw, err := r.Marshal()
				if err != nil {
					return err
				}
				_, err = e.stdout.Write(raw)
				return err
			}
			e.showRoot(r)
			return nil
		},
	}
	d.registerKeys(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) showRoot(r *signed.Root) {
	fmt.Fprintf(e.stdout, "%s  version %d, epoch %d\n", e.styled(bold, r.Site), r.Version, r.Epoch)
	t := table{head: []string{"ROLE", "NEEDS", "KEYS"}, flex: 2}
	for _, name := range slices.Sorted(maps.Keys(r.Roles)) {
		role := r.Roles[name]
		var ids []string
		for _, k := range role.Keys {
			ids = append(ids, k.KeyID().String()[:shortID])
		}
		t.add(cell{name, bold}, cell{strconv.Itoa(role.Threshold), plain}, cell{strings.Join(ids, " "), faint})
	}
	t.write(e.stdout, e, 0)
}

func newRootNext(e *env) *cobra.Command {
	var d desk
	var roles, floors []string
	var epoch bool
	var at, out string
	c := &cobra.Command{
		Use:   "next --role NAME=NEEDED:FILE,...",
		Short: "Make the trust root that follows, to be signed",
		Long: `Next takes the present trust root, gives roles other keys, and writes the document
to be signed: by enough keys of the present root role, and of its own.

--new-epoch is for the day on which keys were stolen: everything signed before is
void, and the versions that gateways accepted count from --floor instead, so that
a version or a date that a thief signed can be repaired.`,
		Example: `  sealctl root next --role policy=2:anna.pub.json,ben.pub.json,cleo.pub.json
  sealctl root next --new-epoch --floor g/default=41 --time now`,
		Args: want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			r, err := d.root()
			if err != nil {
				return err
			}
			next := &signed.Root{Site: r.Site, Version: r.Version + 1, Epoch: r.Epoch, Roles: maps.Clone(r.Roles)}
			if epoch {
				next.Epoch++
			}
			for _, s := range roles {
				name, keys, err := parseRole(s)
				if err != nil {
					return err
				}
				next.Roles[name] = keys
			}
			for _, s := range floors {
				target, n, ok := strings.Cut(s, "=")
				v, err := strconv.ParseUint(n, 10, 64)
				if !ok || err != nil {
					return usageError("--floor is %q: want TARGET=VERSION", s)
				}
				next.Floors = append(next.Floors, signed.RootFloor{Target: target, Version: v})
			}
			switch {
			case at == "now":
				next.Time = time.Now().UTC().Truncate(time.Second)
			case at != "":
				if next.Time, err = time.Parse(time.RFC3339, at); err != nil {
					return usageError("--time is %q: want now, or as 2026-06-01T12:00:00Z", at)
				}
			}
			body, err := next.Marshal()
			if err != nil {
				return fmt.Errorf("make trust root: %w", err)
			}
			raw, err := signed.Draft(signed.RootType, body)
			if err != nil {
				return fmt.Errorf("make trust root: %w", err)
			}
			if out == "" {
				out = fmt.Sprintf("root-%d.json", next.Version)
			}
			if err := writeNew(out, raw); err != nil {
				return err
			}
			e.showRoot(next)
			fmt.Fprintf(e.stderr, "sealctl: written to %s; have it signed by both: sealctl policy sign %s\n", out, out)
			return nil
		},
	}
	f := c.Flags()
	d.registerKeys(f)
	f.StringArrayVar(&roles, "role", nil, "`NAME=NEEDED:FILE,…`: which public keys may sign, and how many must; may be repeated")
	f.BoolVar(&epoch, "new-epoch", false, "void everything that was signed before")
	f.StringArrayVar(&floors, "floor", nil, "`TARGET=VERSION` that the next document of a target must exceed; may be repeated")
	f.StringVar(&at, "time", "", "set the gateways' trusted time: `TIME`, or now")
	f.StringVar(&out, "out", "", "write into `FILE` (default: root-VERSION.json)")
	return c
}

func parseRole(s string) (name string, keys signed.RoleKeys, err error) {
	name, rest, ok := strings.Cut(s, "=")
	n, files, ok2 := strings.Cut(rest, ":")
	needed, err := strconv.Atoi(n)
	if !ok || !ok2 || err != nil {
		return "", keys, usageError("--role is %q: want NAME=NEEDED:FILE,…", s)
	}
	keys.Threshold = needed
	for _, file := range strings.Split(files, ",") {
		raw, err := readFile(file, 64<<10)
		if err != nil {
			return "", keys, fmt.Errorf("read public key: %w", err)
		}
		v, err := crypto.UnmarshalVerifier(raw)
		if err != nil {
			return "", keys, fmt.Errorf("read public key %s: %w", file, err)
		}
		keys.Keys = append(keys.Keys, v)
	}
	return name, keys, nil
}

func newRootPush(e *env) *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "push FILE",
		Short: "Publish the signed trust root that follows",
		Args:  want(1, 1, "a trust root"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := d.root()
			if err != nil {
				return err
			}
			raw, next, _, err := following(r, args[0])
			if err != nil {
				return err
			}
			where := topic(r.Site, "root/"+strconv.FormatUint(next.Version, 10))
			return d.publish(c.Context(), e, post{where, "published on " + where, true, raw})
		},
	}
	d.registerKeys(c.Flags())
	d.registerBroker(c.Flags())
	return c
}

func newRootAdopt(e *env) *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "adopt FILE",
		Short: "Use the trust root that follows at this desk, and for new gateways",
		Args:  want(1, 1, "a trust root"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := d.root()
			if err != nil {
				return err
			}
			_, next, body, err := following(r, args[0])
			if err != nil {
				return err
			}
			if err := durable.WriteFile(filepath.Join(d.dir, rootFile), body, 0o644); err != nil {
				return fmt.Errorf("write trust root: %w", err)
			}
			e.showRoot(next)
			return nil
		},
	}
	d.registerKeys(c.Flags())
	return c
}

// following reads and verifies the trust root that follows r.
func following(r *signed.Root, path string) (raw []byte, next *signed.Root, body []byte, err error) {
	if raw, err = readFile(path, signed.MaxEnvelope); err != nil {
		return nil, nil, nil, err
	}
	if next, body, err = signed.OpenRoot(r, raw); err != nil {
		return nil, nil, nil, bad(fmt.Errorf("check %s: %w", path, err))
	}
	return raw, next, body, nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, raw []byte) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already", path)
	}
	if err := durable.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
