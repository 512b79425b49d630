package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// shipping is the documents that carry a policy from a desk to gateways.
func shipping(e *env) []*cobra.Command {
	return []*cobra.Command{newPolicyCompile(e), newPolicySign(e), newPolicyVerify(e), newPolicyPush(e), newPolicyRollout(e), newPolicyRollback(e)}
}

type draftOptions struct {
	desk
	config   string
	target   string
	version  uint64
	days     int
	minAgent string
	stages   []string
	out      string
}

func (o *draftOptions) register(c *cobra.Command) {
	f := c.Flags()
	o.registerKeys(f)
	configFlag(c, &o.config)
	f.StringVar(&o.target, "target", "g/default", "`TARGET`: g/GROUP, or d/GATEWAY for one alone")
	f.Uint64Var(&o.version, "version", 0, "`VERSION` of the document, above every one before (default: the policy's own)")
	f.IntVar(&o.days, "days", 90, "`DAYS` after which an alarm reminds of it")
	f.StringVar(&o.minAgent, "min-agent", "", "oldest agent `VERSION` that may take it, as 1.2.0")
	f.StringSliceVar(&o.stages, "stages", nil, "make a document for each stage of a rollout: `PERCENT,…`, as 1,10,100")
	f.StringVar(&o.out, "out", ".", "write into this `DIR`")
}

func newPolicyCompile(e *env) *cobra.Command {
	var o draftOptions
	c := &cobra.Command{
		Use:   "compile FILE",
		Short: "Make a document of a policy, to be signed and pushed",
		Long: `Compile checks a policy, runs its self-tests, and writes it as a document for a
group of gateways or for one. It has no signature yet: each signer adds theirs
with sealctl policy sign, on a machine of their own if they like.`,
		Example: `  sealctl policy compile policy.yaml --target g/default
  sealctl policy compile policy.yaml --stages 1,10,100`,
		Args: want(1, 1, "a policy"),
		RunE: func(_ *cobra.Command, args []string) error {
			ps, err := compileAll(o.config, args[0])
			if _, ok := errors.AsType[*policy.Errors](err); ok {
				return bad(err)
			}
			if err != nil {
				return err
			}
			src, err := readFile(args[0], maxDocument)
			if err != nil {
				return err
			}
			return e.draft(&o, string(src), cmp.Or(o.version, ps[0].Version()), strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
		},
	}
	o.register(c)
	return c
}

// draft writes the documents of all stages.
func (e *env) draft(o *draftOptions, content string, version uint64, name string) error {
	if !signed.ValidTarget(o.target) {
		return usageError("--target is %q: want g/GROUP or d/GATEWAY", o.target)
	}
	root, err := o.root()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	stages := o.stages
	if len(stages) == 0 {
		stages = []string{"100"}
	}
	salt, err := shortName("")
	if err != nil {
		return err
	}
	for i, s := range stages {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
		if err != nil || percent <= 0 || percent > 100 {
			return usageError("--stages has %q: want percents above 0, up to 100", s)
		}
		body, err := (&signed.Policy{
			Site: root.Site, Target: o.target, Epoch: root.Epoch, Version: version + uint64(i),
			IssuedAt: now, NotAfter: now.AddDate(0, 0, o.days), MinAgent: o.minAgent,
			Rollout: signed.Rollout{Permille: uint16(percent*10 + 0.5), Salt: salt}, Content: content,
		}).Marshal()
		if err != nil {
			return fmt.Errorf("make document: %w", err)
		}
		raw, err := signed.Draft(signed.PolicyType, body)
		if err != nil {
			return fmt.Errorf("make document: %w", err)
		}
		path := filepath.Join(o.out, fmt.Sprintf("%s-%d.json", name, version+uint64(i)))
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: say another --version, or another --out", path)
		}
		if err := durable.WriteFile(path, raw, 0o644); err != nil {
			return fmt.Errorf("write document: %w", err)
		}
		fmt.Fprintf(e.stdout, "%s  %s version %d for %s%% of %s\n", e.styled(bold, visible(path)), "policy", version+uint64(i), s, o.target)
	}
	role, err := root.Role(signed.RolePolicy)
	if err != nil {
		return fmt.Errorf("%w: sealctl root next --role policy=… names who signs policies", err)
	}
	fmt.Fprintf(e.stderr, "sealctl: have %s sign: sealctl policy sign\n", plural(role.Threshold(), "key", "keys"))
	return nil
}

func newPolicySign(e *env) *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "sign FILE...",
		Short: "Add a signature to documents",
		Long: `Sign shows what a document says and adds the signatures of the keys given. It may
be done by several people in turn; the file travels by any means.`,
		Example: "  sealctl policy sign policy-7.json --signer me.key.json",
		Args:    want(1, -1, "documents"),
		RunE: func(_ *cobra.Command, args []string) error {
			signers, err := d.load(e)
			if err != nil {
				return err
			}
			for _, path := range args {
				raw, err := readFile(path, signed.MaxEnvelope)
				if err != nil {
					return err
				}
				if raw, err = signed.CoSign(raw, signers...); err != nil {
					return fmt.Errorf("sign %s: %w", path, err)
				}
				if err := durable.WriteFile(path, raw, 0o644); err != nil {
					return fmt.Errorf("write document: %w", err)
				}
				if _, err := e.verify(&d, path, raw); err != nil && !errors.Is(err, signed.ErrThreshold) {
					return err
				}
			}
			return nil
		},
	}
	d.registerKeys(c.Flags())
	d.registerSigners(c.Flags())
	return c
}

// documentInfo is what a signed document says of itself, for people and for
// programs.
type documentInfo struct {
	File      string    `json:"file"`
	Type      string    `json:"type"`
	Target    string    `json:"target,omitempty"`
	Version   uint64    `json:"version,omitempty"`
	Hash      string    `json:"hash,omitempty"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Permille  uint16    `json:"rollout_permille,omitempty"`
	Tombstone bool      `json:"tombstone,omitempty"`
	Role      string    `json:"role"`
	Signed    int       `json:"signed"`
	Threshold int       `json:"threshold"`

	policy *signed.Policy
}

// verify shows a document and who signed it. The error wraps
// signed.ErrThreshold where signatures are missing.
func (e *env) verify(d *desk, path string, raw []byte) (*documentInfo, error) {
	root, err := d.root()
	if err != nil {
		return nil, err
	}
	x, err := describeDocument(root, path, raw)
	if err != nil {
		return nil, bad(fmt.Errorf("check %s: %w", path, err))
	}
	state := e.styled(green, fmt.Sprintf("signed by %d of %d", x.Signed, x.Threshold))
	if x.Signed < x.Threshold {
		state = e.styled(yellow, fmt.Sprintf("signed by %d of %d that are needed", x.Signed, x.Threshold))
	}
	what := x.Role + " document"
	if x.Type == signed.RootType {
		what = "trust root"
	}
	if x.policy != nil {
		what = fmt.Sprintf("policy version %d for %g%% of %s, until %s", x.Version, float64(x.Permille)/10, x.Target, x.NotAfter.Format(time.DateOnly))
		if x.Tombstone {
			what = fmt.Sprintf("version %d: %s goes back to its group's policy", x.Version, x.Target)
		}
	}
	fmt.Fprintf(e.stdout, "%s  %s, %s\n", e.styled(bold, visible(path)), what, state)
	if x.Signed < x.Threshold {
		return x, bad(fmt.Errorf("%s: %w", path, signed.ErrThreshold))
	}
	return x, nil
}

func describeDocument(root *signed.Root, path string, raw []byte) (*documentInfo, error) {
	kind, body, err := signed.Look(raw)
	if err != nil {
		return nil, err
	}
	name, err := roleOf(kind)
	if err != nil {
		return nil, err
	}
	role, err := root.Role(name)
	if err != nil {
		return nil, err
	}
	ids, err := role.SignedBy(raw)
	if err != nil {
		return nil, err
	}
	x := &documentInfo{File: path, Type: kind, Role: name, Signed: len(ids), Threshold: role.Threshold()}
	if kind != signed.PolicyType {
		return x, nil
	}
	p, err := signed.ParsePolicy(body)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Site != root.Site:
		return nil, fmt.Errorf("%w: it is for %s, the trust root for %s", signed.ErrTarget, p.Site, root.Site)
	case p.Epoch != root.Epoch:
		return nil, fmt.Errorf("%w: it is of epoch %d, the trust root of %d", signed.ErrEpoch, p.Epoch, root.Epoch)
	}
	x.policy, x.Target, x.Version, x.Hash = p, p.Target, p.Version, hex.EncodeToString(p.Hash[:])
	x.NotAfter, x.Permille, x.Tombstone = p.NotAfter, p.Rollout.Permille, p.Tombstone
	return x, nil
}

func newPolicyVerify(e *env) *cobra.Command {
	var d desk
	var against, config string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check documents as a gateway does, and show who signed",
		Long: `Verify checks signatures, site and epoch against the trust root, compiles the
policy inside and runs its self-tests. With --against it also shows what changes,
and in one word whether that loosens. It exits with 3 if a gateway would refuse.`,
		Args: want(1, -1, "documents"),
		RunE: func(_ *cobra.Command, args []string) error {
			root, err := d.root()
			if err != nil {
				return err
			}
			v, g, err := surroundings(config)
			if err != nil {
				return err
			}
			var infos []*documentInfo
			for _, path := range args {
				raw, err := readFile(path, signed.MaxEnvelope)
				if err != nil {
					return err
				}
				var x *documentInfo
				if asJSON {
					if x, err = describeDocument(root, path, raw); err == nil && x.Signed < x.Threshold {
						err = signed.ErrThreshold
					}
				} else {
					x, err = e.verify(&d, path, raw)
				}
				if err != nil {
					return bad(err)
				}
				infos = append(infos, x)
				if x.policy == nil || x.Tombstone {
					continue
				}
				p, err := policy.Compile([]byte(x.policy.Content), v, g)
				if err != nil {
					return bad(fmt.Errorf("%s: %w", path, err))
				}
				if against == "" {
					continue
				}
				old, err := compile(against, v, g)
				if err != nil {
					return err
				}
				diff := policy.Diff(old, p)
				e.showDiff(&diff)
			}
			if asJSON {
				return e.printJSON(infos)
			}
			return nil
		},
	}
	f := c.Flags()
	d.registerKeys(f)
	configFlag(c, &config)
	f.StringVar(&against, "against", "", "show what changes from the policy in `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newPolicyPush(e *env) *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "push FILE",
		Short: "Publish a signed document to the gateways it is for",
		Long: `Push checks a document, and publishes it retained where its gateways look. They
check it once more; sealctl fleet status shows what they made of it.`,
		Example: "  sealctl policy push policy-7.json --broker mqtts://broker.example.com:8883",
		Args:    want(1, 1, "a document"),
		RunE: func(c *cobra.Command, args []string) error {
			raw, err := readFile(args[0], signed.MaxEnvelope)
			if err != nil {
				return err
			}
			x, err := e.verify(&d, args[0], raw)
			if err != nil {
				return err
			}
			if x.policy == nil {
				return usageError("%s is no policy: sealctl root push and sealctl fleet command publish others", args[0])
			}
			where := topic(x.policy.Site, "cfg/"+x.Target)
			return d.publish(c.Context(), e, post{where, "published on " + where, true, raw})
		},
	}
	d.registerKeys(c.Flags())
	d.registerBroker(c.Flags())
	return c
}

func newPolicyRollback(e *env) *cobra.Command {
	var o draftOptions
	var above string
	c := &cobra.Command{
		Use:   "rollback OLD --above NEW",
		Short: "Make a document that brings an older policy back",
		Long: `A gateway never takes an older document: versions only rise. Rollback makes a new
one, above NEW, with the content of OLD, to be signed and pushed like any other.`,
		Example: "  sealctl policy rollback policy-6.json --above policy-7.json",
		Args:    want(1, 1, "the document to bring back"),
		RunE: func(_ *cobra.Command, args []string) error {
			root, err := o.root()
			if err != nil {
				return err
			}
			var docs [2]*signed.Policy
			for i, path := range []string{args[0], above} {
				if path == "" {
					return usageError("say which document it replaces: --above FILE")
				}
				raw, err := readFile(path, signed.MaxEnvelope)
				if err != nil {
					return err
				}
				x, err := describeDocument(root, path, raw)
				if err != nil {
					return bad(fmt.Errorf("check %s: %w", path, err))
				}
				if docs[i] = x.policy; x.policy == nil || x.Tombstone {
					return bad(fmt.Errorf("%s holds no policy", path))
				}
			}
			o.target = docs[1].Target
			return e.draft(&o, docs[0].Content, cmp.Or(o.version, docs[1].Version+1), "rollback")
		},
	}
	o.register(c)
	c.Flags().StringVar(&above, "above", "", "the document in `FILE` that it replaces")
	_ = c.Flags().MarkHidden("target") // it is that of the document replaced
	_ = c.Flags().MarkHidden("config")
	return c
}
