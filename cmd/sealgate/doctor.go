package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/doctor"
)

func doctorCommand() *cobra.Command {
	var opt doctor.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong on this gateway",
		Long: `Look at everything that can be wrong on a gateway, and say what to do:
configuration, clock, entropy, kernel, memory, the service's unit, directories,
free space, wear of flash, secret files, what the service's user may read, ports,
certificates and their dates, trust root, recipients, custody, names, and the way
to each uplink. docs/doctor.md lists all checks.

It changes nothing and may run beside the gateway, best as root. Uplinks are
dialled with the gateway's credentials under the client id CLIENT_ID-doctor, for
at most ten seconds each; nothing is published. --offline dials nobody.

The exit code is 1 if a check failed; warnings don't count.`,
		Example: "  sealgate doctor\n  sealgate doctor --offline --json",
		Args:    arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Without one the custody of this machine can't be asked, and says so.
			opt.Machine, _ = machineID()
			opt.Built = build().Built
			results := doctor.Run(cmd.Context(), opt)
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(map[string]any{"ok": !doctor.Failed(results), "results": results}); err != nil {
					return fmt.Errorf("write output: %w", err)
				}
			} else if err := doctor.Print(cmd.OutOrStdout(), results); err != nil {
				return err
			}
			if doctor.Failed(results) {
				return errors.New("a check failed: do what is said beside it, then run this again")
			}
			return nil
		},
	}
	c.Flags().StringVarP(&opt.Path, "config", "c", defaultConfig, "configuration `file`")
	c.Flags().BoolVar(&opt.Offline, "offline", false, "dial nobody, and ask no name server")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
