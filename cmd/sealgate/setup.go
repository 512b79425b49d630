package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sealgate/sealgate/agent/doctor"
	"github.com/sealgate/sealgate/agent/setup"
)

// setupFlags are those that answer no question.
type setupFlags struct {
	out                                       string
	yes, try, force, dryRun, initKeys, asJSON bool
}

func setupCommand(env environment) *cobra.Command {
	var f setupFlags
	var a setup.Answers
	c := &cobra.Command{
		Use:   "setup",
		Short: "ask five questions, and write a first configuration",
		Long: `Ask where devices publish, where the data goes, how to log in there, what kind of
data it is, and where keys live; then write agent.yaml, a policy, and the files
they name, and print what to do next. It starts nothing.

Each question has a flag. What a flag answers is not asked; with --yes nothing is
asked, and what no flag says gets its default (only --uplink has none). Where
standard input is no terminal, nothing can be asked.

What is answered is checked: a certificate belongs to its key, and, where you
agree or say --try, a broker answers. The result is one that sealgate check
accepts, or nothing is written. Files that exist stay, unless you say --force:
then they are kept beside the new ones. The agent.yaml that a package installed
counts as not there while it is unchanged.

To take over a mosquitto bridge, use sealgate import instead.`,
		Example: `  sealgate setup
  sealgate setup --yes --uplink mqtts://broker.example.com --username gw-7 --password-file pw
  sealgate setup --yes --uplink mqtt://127.0.0.1:1884 --out gateway --dry-run`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSetup(cmd, env, f, a)
		},
	}
	fs := c.Flags()
	fs.StringVarP(&f.out, "out", "o", setup.SystemDir, "`directory` to write to")
	fs.BoolVarP(&f.yes, "yes", "y", false, "ask nothing: take the default of what is not said")
	fs.BoolVar(&f.try, "try", false, "with --yes: write only if the cloud's broker accepts this gateway")
	fs.BoolVar(&f.force, "force", false, "replace files that exist, and keep them beside the new ones")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print what would be written, and write nothing")
	fs.BoolVar(&f.initKeys, "init-keys", false, "make the gateway's keys, as the first start does otherwise")
	fs.BoolVar(&f.asJSON, "json", false, "print what was written, and what to do next, as JSON")

	fs.StringVar(&a.Devices, "devices", "", "1: `ADDRESS` to listen at for devices, or the URL of a broker that runs already")
	fs.StringVar(&a.DevicesUsername, "devices-username", "", "1: user `NAME` at that broker")
	fs.StringVar(&a.DevicesPasswordFile, "devices-password-file", "", "1: `FILE` with the password there")
	fs.StringVar(&a.Device, "device", "", "1: `NAME` of a first device, where devices on the network log in (default device-1)")
	fs.StringVar(&a.Uplink, "uplink", "", "2: `URL` of the cloud's broker")
	fs.StringVar(&a.Broker, "broker", "", "2: its `KIND`: aws-iot-core, azure-event-grid, emqx, hivemq or mosquitto (default: by its name)")
	fs.StringVar(&a.CA, "ca", "", "2: PEM `FILE` of who signed its certificate (default: the system's authorities)")
	fs.BoolVar(&a.Cleartext, "cleartext", false, "2: permit mqtt:// and ws:// to another machine")
	fs.StringVar(&a.Login, "login", "", "3: `HOW` to log in: certificate, password or none")
	fs.StringVar(&a.Cert, "cert", "", "3: PEM `FILE` of this gateway's certificate")
	fs.StringVar(&a.Key, "key", "", "3: PEM `FILE` of its key")
	fs.StringVar(&a.Username, "username", "", "3: user `NAME`")
	fs.StringVar(&a.PasswordFile, "password-file", "", "3: `FILE` whose first line is the password")
	fs.StringVar(&a.Profile, "profile", "", "4: legal `SETTING` that grades data: generic, eu, cn or automotive (default generic)")
	fs.StringVar(&a.Mode, "mode", "", "4: `HOW` to begin: observe or enforce (default observe)")
	fs.StringVar(&a.Keys, "keys", "", "5: `WHERE` the key lives that encrypts the gateway's own: tpm, credential or file (default: tpm if there is one)")
	fs.StringVar(&a.Gateway, "gateway", "", "`NAME` of this gateway (default: the host name)")
	fs.StringVar(&a.Site, "site", "", "`NAME` of the place (default site)")
	fs.StringVar(&a.State, "state", "", "`directory` of keys and of what waits (default: the service's, or state beside agent.yaml)")
	fs.BoolVar(&a.Volatile, "volatile", false, "permit a state directory that a power cut empties")
	fs.StringVar(&a.Recipients, "recipients", "", "signed `FILE` of who can open what leaves (default: recipients.bundle in --out, if there)")
	fs.StringVar(&a.TrustRoot, "trust-root", "", "`FILE` of whose signature on it counts (default: root.json in --out, if there)")
	for name, values := range map[string][]string{
		"broker": {"aws-iot-core", "azure-event-grid", "emqx", "hivemq", "mosquitto"}, "login": {"certificate", "password", "none"},
		"profile": {"generic", "eu", "cn", "automotive"}, "mode": {"observe", "enforce"}, "keys": {"tpm", "credential", "file"},
	} {
		// An error would be a flag that is not there.
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

func runSetup(cmd *cobra.Command, env environment, f setupFlags, a setup.Answers) error {
	dir, err := filepath.Abs(f.out)
	if err != nil {
		return err
	}
	if err := setup.MayWrite(dir, f.force); err != nil && !f.dryRun {
		return replaceHint(err)
	}
	now := time.Now()
	opt := setup.Options{Dir: dir, Facts: setup.Look(cmd.Context(), now), Now: now, Defaults: f.yes, Try: f.try}
	if !f.yes {
		opt.Person = person(env)
	}
	plan, err := setup.New(cmd.Context(), a, opt)
	if errors.Is(err, setup.ErrNobody) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if f.dryRun {
		return showPlan(cmd, plan, f.asJSON)
	}
	written, err := setup.Write(dir, plan.Files, setup.WriteOptions{Force: f.force, Now: now})
	if err != nil {
		return replaceHint(err)
	}
	if f.initKeys {
		k, err := keeper(cmd, plan.Path())
		if err != nil {
			return err
		}
		if _, err := k.Init(cmd.Context(), "", nil); err != nil {
			return hinted{fmt.Errorf("the configuration is written, but make keys: %w", err), "correct it, then run sealgate keys init --config " + plan.Path()}
		}
		if err := setup.HandOver(k.Config.State); err != nil {
			return err
		}
	}
	next := plan.Next()
	if f.asJSON {
		return setupJSON(cmd.OutOrStdout(), map[string]any{"files": written, "tried": tried(plan), "notes": plan.Notes, "next": next})
	}
	printWritten(cmd, written)
	for _, n := range plan.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "next:\n  %s\n", strings.Join(next, "\n  "))
	return nil
}

func tried(p *setup.Plan) []doctor.Result {
	if p.Tried == nil {
		return []doctor.Result{}
	}
	return p.Tried
}

func setupJSON(w io.Writer, x any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(x); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// showPlan prints the files; of those with secrets the name.
func showPlan(cmd *cobra.Command, p *setup.Plan, asJSON bool) error {
	type file struct {
		Path string `json:"path"`
		Text string `json:"text,omitempty"` // empty: it holds a secret
	}
	var files []file
	for _, x := range p.Files {
		f := file{Path: filepath.Join(p.Dir, x.Name)}
		if x.Mode&0o077 != 0 {
			f.Text = string(x.Data)
		}
		files = append(files, f)
	}
	if asJSON {
		return setupJSON(cmd.OutOrStdout(), map[string]any{"files": files, "tried": tried(p), "notes": p.Notes, "next": p.Next()})
	}
	for i, f := range files {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		if f.Text == "" {
			f.Text = "(a secret)\n"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "==> %s <==\n%s", f.Path, f.Text)
	}
	return nil
}

// person is who sits at the terminal, if there is one.
func person(env environment) *setup.Person {
	in, ok := env.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	lines := bufio.NewReader(in)
	return &setup.Person{
		Out: env.stderr,
		Line: func(ctx context.Context) (string, error) {
			return interruptible(ctx, func() (string, error) {
				line, err := lines.ReadString('\n')
				return strings.TrimRight(line, "\r\n"), err
			})
		},
		Secret: func(ctx context.Context) (string, error) {
			was, err := term.GetState(int(in.Fd()))
			if err != nil {
				return "", err
			}
			defer func() {
				_ = term.Restore(int(in.Fd()), was) // an interrupt must not leave a terminal that shows nothing
				fmt.Fprintln(env.stderr)
			}()
			return interruptible(ctx, func() (string, error) {
				raw, err := term.ReadPassword(int(in.Fd()))
				return string(raw), err
			})
		},
	}
}

// interruptible reads until there is a line or ctx ends. In the latter case the
// process does, too, and the read with it: nothing wakes it before.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := read()
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		return a.line, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// replaceHint says what to do about files that are there, and places that are
// closed.
func replaceHint(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return hinted{err, "run it as root, or choose another --out to try it"}
	}
	if errors.Is(err, fs.ErrExist) {
		return hinted{err, "choose another --out, or say --force to replace it; it is kept beside"}
	}
	return err
}
