package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/setup"
)

func importCommand() *cobra.Command {
	var out, profile string
	var force, asJSON, undo bool
	c := &cobra.Command{
		Use:   "import MOSQUITTO.CONF",
		Short: "make a configuration from that of a mosquitto bridge",
		Long: `Read mosquitto.conf, with what it includes, its password file and its access
rules, and write agent.yaml, policy.yaml and the files they name into a
directory. The gateway then publishes what the bridges did, under the same
topics, and observes: no byte is changed until a route is enforced.

What can't be mapped, or works in another way, is listed on standard error with
its line. Passwords go into files that only their owner, and a service that owns
the directory by its group, can read. Nothing that you wrote is replaced without
--force, and then it is kept beside. mosquitto's own files stay as they are.

--undo goes back to mosquitto: when nothing waits for the cloud any more, it
disables and stops the service sealgate, and enables and starts mosquitto. What
was imported stays. With --force it does not wait.`,
		Example: "  sealgate import /etc/mosquitto/mosquitto.conf --out /etc/sealgate\n  sealgate import --undo",
		Args: func(cmd *cobra.Command, args []string) error {
			if undo {
				return arguments(0, "no argument with --undo")(cmd, args)
			}
			return arguments(1, "one mosquitto.conf")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo {
				return undoImport(cmd.Context(), cmd.ErrOrStderr(), out, force)
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("read host name: %w", err)
			}
			im, err := config.ImportMosquitto(config.ImportOptions{Path: path, Hostname: host, Profile: profile, Now: time.Now()})
			if errors.Is(err, fs.ErrPermission) {
				return hinted{err, "run it as a user who may read mosquitto's files, such as root"}
			}
			if err != nil {
				return err
			}
			written, err := setup.Write(out, im.Files, setup.WriteOptions{Force: force, Now: time.Now()})
			if err != nil {
				return replaceHint(err)
			}
			if asJSON {
				if im.Remarks == nil {
					im.Remarks = []config.Remark{}
				}
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(map[string]any{"files": written, "remarks": im.Remarks}); err != nil {
					return fmt.Errorf("write output: %w", err)
				}
			} else {
				printWritten(cmd, written)
				printRemarks(cmd.ErrOrStderr(), im.Remarks)
			}
			return checkImported(cmd.ErrOrStderr(), filepath.Join(out, "agent.yaml"))
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "/etc/sealgate", "`directory` to write to")
	c.Flags().StringVar(&profile, "profile", "generic", "legal setting that grades data: generic, eu, cn or automotive")
	c.Flags().BoolVar(&force, "force", false, "replace files that exist, and keep them beside the new ones")
	c.Flags().BoolVar(&undo, "undo", false, "go back: stop the service sealgate, and start mosquitto")
	c.Flags().BoolVar(&asJSON, "json", false, "print files and remarks as JSON")
	return c
}

func printWritten(cmd *cobra.Command, written []setup.Written) {
	for _, w := range written {
		fmt.Fprintln(cmd.OutOrStdout(), w.Path)
		if w.Backup != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "what was there is kept: %s\n", w.Backup)
		}
	}
}

func printRemarks(w io.Writer, remarks []config.Remark) {
	for _, kind := range []config.RemarkKind{config.Unmapped, config.Differs} {
		head := map[config.RemarkKind]string{config.Unmapped: "not mapped; decide about each:", config.Differs: "works in another way:"}[kind]
		for _, r := range remarks {
			if r.Kind != kind {
				continue
			}
			if head != "" {
				fmt.Fprintln(w, head)
				head = ""
			}
			place := r.File
			if r.Line > 0 {
				place = fmt.Sprintf("%s:%d", r.File, r.Line)
			}
			fmt.Fprintf(w, "  %s: %s\n      %s\n", place, r.Directive, r.Text)
		}
	}
}

// checkImported does what `sealgate check` does: certificates that are not
// there are best known now.
func checkImported(w io.Writer, path string) error {
	again := "sealgate check --config " + path
	cfg, err := config.Load(path)
	if err != nil {
		return hinted{fmt.Errorf("the imported configuration is not valid yet: %w", err), "correct it, then run " + again}
	}
	if _, err := agent.Check(cfg, time.Now()); err != nil {
		return hinted{fmt.Errorf("the imported configuration is not valid yet: %w", err), "correct it, then run " + again}
	}
	fmt.Fprintf(w, "next: look at %s, stop mosquitto's bridge, and run\n  sealgate run --config %s\n", path, path)
	return nil
}
