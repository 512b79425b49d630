package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/control/fleet"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

func newFleet(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "fleet",
		Short: "See where a site's gateways stand, and send them commands",
		Long: `Each gateway publishes a status that it signs: what was offered to it, what is in
force, and why it refused something. These commands believe only what the key of
the registry signed (sealctl registry), whatever the broker delivers.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newFleetStatus(e), newFleetCommand(e), newFleetNow(e), newFleetExporter(e))
	return c
}

// registry reads the site's registry of gateways, and its envelope.
func (d *desk) registry() (*signed.Registry, []byte, error) {
	root, err := d.root()
	if err != nil {
		return nil, nil, err
	}
	role, err := root.Role(signed.RoleRegistry)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: sealctl registry add makes the registry", err)
	}
	path := filepath.Join(d.dir, registryFile)
	raw, err := readFile(path, signed.MaxRegistryEnvelope)
	if err != nil {
		return nil, nil, fmt.Errorf("read registry of gateways: %w; sealctl registry add makes one", err)
	}
	reg, err := signed.VerifyRegistry(raw, role)
	if err != nil {
		return nil, nil, bad(fmt.Errorf("check %s: %w", path, err))
	}
	if reg.Site != root.Site {
		return nil, nil, bad(fmt.Errorf("check %s: it is for the site %q, the trust root is for %q", path, reg.Site, root.Site))
	}
	return reg, raw, nil
}

// fleet makes the table of the gateways in the registry.
func (d *desk) fleet(o fleet.Options) (*fleet.Fleet, error) {
	reg, _, err := d.registry()
	if err != nil {
		return nil, err
	}
	o.Site, o.Keys = reg.Site, map[string][]*crypto.Verifier{}
	mine, err := partition(d.part)
	if err != nil {
		return nil, err
	}
	o.Part = d.part != ""
	for _, g := range reg.Gateways {
		if keys := reg.Verifiers(g.Name); len(keys) > 0 && mine(g.Name) {
			o.Keys[g.Name] = keys
		}
	}
	return fleet.New(o), nil
}

// partition reads "K/N": gateways are spread over N parts by their names.
func partition(part string) (mine func(gateway string) bool, err error) {
	if part == "" {
		return func(string) bool { return true }, nil
	}
	var k, n uint32
	if _, err := fmt.Sscanf(part, "%d/%d", &k, &n); err != nil || k < 1 || k > n {
		return nil, usageError("--part is %q: want K/N, as 1/4", part)
	}
	return func(gateway string) bool {
		h := fnv.New32a()
		h.Write([]byte(gateway))
		return h.Sum32()%n == k-1
	}, nil
}

// watch feeds the table from the broker until ctx ends. The channel delivers an
// error where it can't go on.
func (d *desk) watch(ctx context.Context, e *env, f *fleet.Fleet) <-chan error {
	failed := make(chan error, 1)
	go func() {
		if err := d.listen(ctx, e, f.Topics(), func(topic string, raw []byte) {
			// What does not count changes nothing; a forged status is the broker's
			// affair, and the row then shows silence.
			_ = f.Offer(topic, raw)
		}); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
	return failed
}

func newFleetStatus(e *env) *cobra.Command {
	var d desk
	var watch, asJSON bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "status [GATEWAY...]",
		Short: "Show what each gateway has in force",
		Long: `Status collects the retained statuses for a moment and shows a row for each
gateway of the registry. It exits with 3 if one is silent, sealed, in lockdown,
refused what it was offered, or runs twice. A gateway is silent when no status of
it came for five minutes, or when its broker has lost it and published its will.`,
		Example: "  sealctl fleet status --broker mqtts://broker.example.com:8883 --watch",
		Args:    want(0, -1, "names of gateways"),
		RunE: func(c *cobra.Command, args []string) error {
			if d.broker.url == "" {
				return usageError("say which broker carries the statuses: --broker URL")
			}
			f, err := d.fleet(fleet.Options{})
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			failed := d.watch(ctx, e, f)
			for {
				select {
				case err := <-failed:
					return err
				case <-ctx.Done():
					return nil
				case <-time.After(wait):
				}
				rows := slices.DeleteFunc(f.Gateways(), func(g fleet.Gateway) bool { return len(args) > 0 && !slices.Contains(args, g.Name) })
				if asJSON {
					if err := e.printJSON(fleetJSON(rows)); err != nil {
						return err
					}
				} else {
					if watch && e.paint {
						fmt.Fprint(e.stdout, "\x1b[H\x1b[2J")
					}
					e.showFleet(rows)
				}
				if watch {
					continue
				}
				if slices.ContainsFunc(rows, troubled) {
					return errBad
				}
				return nil
			}
		},
	}
	fl := c.Flags()
	d.registerKeys(fl)
	d.registerBroker(fl)
	fl.BoolVar(&watch, "watch", false, "show it again and again, until interrupted")
	fl.DurationVar(&wait, "wait", 2*time.Second, "collect statuses for `TIME`")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type fleetRow struct {
	Gateway string                `json:"gateway"`
	Seen    time.Time             `json:"seen,omitzero"`
	Silent  bool                  `json:"silent"`
	Since   time.Time             `json:"silent_since,omitzero"` // its last sign of life
	Wills   []*signed.Will        `json:"wills,omitempty"`
	Twice   bool                  `json:"twice"`
	Ignored ignoredJSON           `json:"ignored"`
	Status  *signed.GatewayStatus `json:"status,omitempty"`
}

// ignoredJSON counts what came in a gateway's name and did not count.
type ignoredJSON struct {
	Unsigned uint64 `json:"unsigned"`
	Old      uint64 `json:"old"`
}

func fleetJSON(rows []fleet.Gateway) []fleetRow {
	out := []fleetRow{}
	for _, g := range rows {
		row := fleetRow{
			Gateway: g.Name, Seen: g.Seen, Silent: g.Silent, Wills: g.Wills, Twice: g.Twice,
			Ignored: ignoredJSON{g.Unsigned, g.Old}, Status: g.Status,
		}
		if g.Silent {
			row.Since = g.Since()
		}
		out = append(out, row)
	}
	return out
}

// policyOf is the target that counts for a gateway.
func policyOf(g fleet.Gateway) (t signed.TargetStatus) {
	for _, name := range []string{"d/" + g.Name, "g/" + g.Status.Group} {
		x, ok := g.Target(name)
		if ok && (x.State != "none" || x.Offered.Version > 0) && (t.Target == "" || x.State == "probation") {
			t = x
		}
	}
	return t
}

func troubled(g fleet.Gateway) bool {
	if g.Silent || g.Twice {
		return true
	}
	t := policyOf(g)
	return g.Status.Mode == "sealed" || g.Status.Mode == "lockdown" || t.Reason != ""
}

func (e *env) showFleet(rows []fleet.Gateway) {
	t := table{head: []string{"GATEWAY", "MODE", "POLICY", "STATE", "RECIPIENTS", "ALARMS", "SEEN"}, flex: 3}
	for _, g := range rows {
		if g.Status == nil {
			t.add(cell{g.Name, bold}, cell{"silent", loud}, cell{"-", faint}, cell{"no status yet", faint}, cell{"-", faint}, cell{"-", faint}, cell{seen(g), faint})
			continue
		}
		mode, style := g.Status.Mode, plain
		switch {
		case g.Silent:
			mode, style = "silent", loud
		case g.Twice:
			mode, style = "twice", loud
		case mode == "sealed" || mode == "lockdown":
			style = loud
		case mode == "observe":
			style = yellow
		}
		p := policyOf(g)
		state, how := p.State, plain
		if state == "" || state == "none" {
			state = "local"
		}
		if p.Reason != "" {
			state, how = fmt.Sprintf("%s version %d: %s", state, p.Offered.Version, p.Reason), red
		}
		r, _ := g.Target(signed.RoleRecipients)
		t.add(cell{g.Name, bold}, cell{mode, style}, cell{versionWord(p.Effective.Version), plain}, cell{state, how},
			cell{versionWord(r.Effective.Version), plain}, cell{strings.Join(g.Status.Alarms, " "), yellow}, cell{seen(g), faint})
	}
	t.write(e.stdout, e, 0)
	for _, g := range rows {
		if g.Unsigned > 0 {
			fmt.Fprintf(e.stderr, "sealctl: %s in the name of %s, and not signed by it: ignored\n", plural(int(g.Unsigned), "message", "messages"), g.Name)
		}
	}
}

// seen says when a gateway was heard of: here, or, where it is silent, by its
// own clock.
func seen(g fleet.Gateway) string {
	since := g.Since()
	switch {
	case g.Silent && !since.IsZero():
		return "until " + since.UTC().Format(time.RFC3339)
	case g.Status == nil:
		return "-"
	}
	return g.Seen.Format(time.TimeOnly)
}

func versionWord(n uint64) string {
	if n == 0 {
		return "local"
	}
	return strconv.FormatUint(n, 10)
}

func newFleetCommand(e *env) *cobra.Command {
	var d desk
	var all bool
	var argument, out string
	var valid, wait time.Duration
	c := &cobra.Command{
		Use:   "command COMMAND [GATEWAY]",
		Short: "Send a signed command to one gateway, or to all of them",
		Long: `The commands:

  lockdown            nothing leaves any more; what devices publish is kept, protected
  release             ends a lockdown
  rotate-keys         a new data key at once
  release-quarantine  send what the uplink in --argument would not take before
  report              publish the status now
  resync              fetch every retained document again

A command to one gateway echoes the challenge of its last status, and works once.
One to --all is limited to lockdown and release, and needs two signers whatever
the trust root says; with --out it is written into a file, for each to sign
(sealctl policy sign), and sent with sealctl fleet command --send FILE.`,
		Example: "  sealctl fleet command lockdown gw-17 --broker mqtts://broker.example.com:8883",
		Args:    want(0, 2, "a command, and the name of a gateway"),
	}
	var send string
	c.RunE = func(c *cobra.Command, args []string) error {
		if send != "" {
			return e.sendCommand(c.Context(), &d, send)
		}
		if len(args) == 0 || all != (len(args) == 1) {
			return usageError("say a command and one gateway, or --all; see sealctl fleet command --help")
		}
		root, err := d.root()
		if err != nil {
			return err
		}
		now := time.Now().UTC().Truncate(time.Second)
		cmd := &signed.Command{Site: root.Site, Target: signed.Fleet, Epoch: root.Epoch, Command: args[0], Argument: argument,
			IssuedAt: now.Add(-time.Minute), NotAfter: now.Add(valid)}
		if all {
			cmd.Version = uint64(now.Unix())
		} else {
			cmd.Target = args[1]
			if cmd.Challenge, err = e.challenge(c.Context(), &d, args[1], wait); err != nil {
				return err
			}
		}
		signers, err := d.load(e)
		if err != nil {
			return err
		}
		raw, err := signed.SignCommand(cmd, signers...)
		if err != nil {
			return usageError("%v", err)
		}
		if out != "" {
			return writeDocument(e, out, raw)
		}
		return e.publishCommand(c.Context(), &d, raw)
	}
	fl := c.Flags()
	d.registerKeys(fl)
	d.registerSigners(fl)
	d.registerBroker(fl)
	fl.BoolVar(&all, "all", false, "to every gateway of the site: lockdown or release")
	fl.StringVar(&argument, "argument", "", "what the command is about: a `NAME`")
	fl.StringVar(&out, "out", "", "write the command into `FILE` instead of sending it")
	fl.StringVar(&send, "send", "", "send the signed command in `FILE`")
	fl.DurationVar(&valid, "valid", time.Hour, "`TIME` for which it may be carried out")
	fl.DurationVar(&wait, "wait", 10*time.Second, "wait `TIME` for the gateway's status")
	return c
}

// challenge waits for the last status of a gateway.
func (e *env) challenge(ctx context.Context, d *desk, gateway string, wait time.Duration) (out [16]byte, err error) {
	if d.broker.url == "" {
		return out, usageError("say which broker carries the status of the gateway: --broker URL")
	}
	f, err := d.fleet(fleet.Options{})
	if err != nil {
		return out, err
	}
	if _, known := f.Find(gateway); !known {
		return out, usageError("the registry has no gateway %q", gateway)
	}
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	failed := d.watch(ctx, e, f)
	for {
		if g, _ := f.Find(gateway); g.Status != nil {
			raw, err := hex.DecodeString(g.Status.Challenge)
			if err != nil {
				return out, fmt.Errorf("read challenge: %w", err)
			}
			copy(out[:], raw)
			return out, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-failed:
			return out, err
		case <-ctx.Done():
			return out, fmt.Errorf("no status of %s came within %s: it is silent, or the broker withholds it", gateway, wait)
		}
	}
}

func writeDocument(e *env, path string, raw []byte) error {
	if err := writeNew(path, raw); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s\n", visible(path))
	return nil
}

func (e *env) sendCommand(ctx context.Context, d *desk, path string) error {
	raw, err := readFile(path, signed.MaxEnvelope)
	if err != nil {
		return err
	}
	return e.publishCommand(ctx, d, raw)
}

// publishCommand checks a command as a gateway does, and publishes it.
func (e *env) publishCommand(ctx context.Context, d *desk, raw []byte) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	role, err := root.Role(signed.RoleCommand)
	if err != nil {
		return fmt.Errorf("%w: sealctl root next --role command=… names who signs commands", err)
	}
	body, err := role.Verify(raw, signed.CommandType)
	if err != nil {
		return bad(fmt.Errorf("check command: %w", err))
	}
	cmd, err := signed.ParseCommand(body)
	if err != nil {
		return bad(fmt.Errorf("check command: %w", err))
	}
	where := topic(cmd.Site, "cmd/"+cmd.Target)
	if cmd.Target == signed.Fleet {
		where = topic(cmd.Site, "cmd/all")
		several, err := role.AtLeast(signed.FleetSigners)
		if err == nil {
			_, err = several.Verify(raw, signed.CommandType)
		}
		if err != nil {
			return bad(fmt.Errorf("a command to all needs %d distinct signers: write it with --out, and have each sign it: %w", signed.FleetSigners, err))
		}
	}
	said := fmt.Sprintf("%s sent to %s", cmd.Command, strings.Replace(cmd.Target, signed.Fleet, "all", 1))
	return d.publish(ctx, e, post{where, said, false, raw})
}

func newFleetNow(e *env) *cobra.Command {
	var d desk
	var every, valid time.Duration
	c := &cobra.Command{
		Use:   "now FILE...",
		Short: "Sign and publish what is in force, so that withholding it is noticed",
		Long: `Now publishes the freshness list: for each target the newest document, signed with
a key that may be online, for a short time. It authorizes nothing. With --every it
goes on; run it as a service, and give it a key of its own (role "now").`,
		Example: "  sealctl fleet now policy-9.json keys/recipients.bundle --every 15m --broker mqtts://broker.example.com:8883",
		Args:    want(1, -1, "the documents in force"),
		RunE: func(c *cobra.Command, args []string) error {
			root, err := d.root()
			if err != nil {
				return err
			}
			signers, err := d.load(e)
			if err != nil {
				return err
			}
			conn, err := d.connect(c.Context())
			if err != nil {
				return err
			}
			defer conn.Close()
			for {
				now := time.Now().UTC().Truncate(time.Second)
				list := &signed.Fresh{Site: root.Site, Epoch: root.Epoch, IssuedAt: now, NotAfter: now.Add(valid)}
				for _, path := range args {
					entry, err := freshEntry(root, path)
					if err != nil {
						return err
					}
					list.Entries = append(list.Entries, entry)
				}
				raw, err := signed.SignFresh(list, signers...)
				if err != nil {
					return fmt.Errorf("sign freshness list: %w", err)
				}
				if err := publish(c.Context(), conn, topic(root.Site, "now"), true, raw); err != nil {
					return err
				}
				fmt.Fprintf(e.stdout, "%s  %s, until %s\n", now.Format(time.RFC3339), plural(len(list.Entries), "document", "documents"), list.NotAfter.Format(time.RFC3339))
				if every == 0 {
					return nil
				}
				select {
				case <-time.After(every):
				case err := <-conn.Done():
					return fmt.Errorf("the broker ended the connection: %w", err)
				case <-c.Context().Done():
					return nil
				}
			}
		},
	}
	fl := c.Flags()
	d.registerKeys(fl)
	d.registerSigners(fl)
	d.registerBroker(fl)
	fl.DurationVar(&every, "every", 0, "publish it anew every `TIME`")
	fl.DurationVar(&valid, "valid", time.Hour, "`TIME` for which it holds, at most 168h")
	return c
}

// freshEntry reads what the list says of a document.
func freshEntry(root *signed.Root, path string) (signed.FreshEntry, error) {
	raw, err := readFile(path, signed.MaxEnvelope)
	if err != nil {
		return signed.FreshEntry{}, err
	}
	kind, body, err := signed.Look(raw)
	if err != nil {
		return signed.FreshEntry{}, bad(fmt.Errorf("check %s: %w", path, err))
	}
	name, err := roleOf(kind)
	if err != nil {
		return signed.FreshEntry{}, bad(fmt.Errorf("check %s: %w", path, err))
	}
	role, err := root.Role(name)
	if err == nil {
		_, err = role.Verify(raw, kind)
	}
	if err != nil {
		return signed.FreshEntry{}, bad(fmt.Errorf("check %s: %w", path, err))
	}
	switch kind {
	case signed.PolicyType:
		p, err := signed.ParsePolicy(body)
		if err != nil {
			return signed.FreshEntry{}, bad(err)
		}
		return signed.FreshEntry{Target: p.Target, Version: p.Version, Hash: p.Hash}, nil
	case signed.BundleType:
		b, err := signed.ParseBundle(body)
		if err != nil {
			return signed.FreshEntry{}, bad(err)
		}
		return signed.FreshEntry{Target: signed.RoleRecipients, Version: b.Version, Hash: b.Hash}, nil
	}
	return signed.FreshEntry{}, bad(fmt.Errorf("%s is neither a policy nor a recipients bundle", path))
}

func newFleetExporter(e *env) *cobra.Command {
	var d desk
	var listen string
	c := &cobra.Command{
		Use:   "exporter",
		Short: "Serve every gateway's counters to Prometheus",
		Long: `Exporter follows the signed statuses and serves them at /metrics, for sites whose
gateways Prometheus can't reach.`,
		Example: "  sealctl fleet exporter --broker mqtts://broker.example.com:8883 --listen 127.0.0.1:9465",
		Args:    want(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if d.broker.url == "" {
				return usageError("say which broker carries the statuses: --broker URL")
			}
			f, err := d.fleet(fleet.Options{})
			if err != nil {
				return err
			}
			metrics, err := f.Handler()
			if err != nil {
				return err
			}
			ln, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			mux := http.NewServeMux()
			mux.Handle("GET /metrics", metrics)
			srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			defer srv.Close()
			fmt.Fprintf(e.stderr, "sealctl: http://%s/metrics\n", ln.Addr())
			failed := d.watch(c.Context(), e, f)
			select {
			case err = <-failed:
			case err = <-served:
			case <-c.Context().Done():
				return nil
			}
			return errors.Join(errors.New("exporter ended"), err)
		},
	}
	fl := c.Flags()
	d.registerKeys(fl)
	d.registerBroker(fl)
	fl.StringVar(&d.part, "part", "", "follow the `K/N`th part of the gateways, the rest by other exporters")
	fl.StringVar(&listen, "listen", "127.0.0.1:9465", "serve at this `ADDRESS`")
	return c
}
