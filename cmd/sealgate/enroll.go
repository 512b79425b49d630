package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

func enrollCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "enroll",
		Short: "print a request to be registered, with its fingerprint",
		Long: `Print a signed request with this gateway's public keys, for the operator, who adds
it to the registry of gateways: what openers believe about origin.

  sealgate enroll > gw-1.enroll            on the gateway
  sealctl registry add gw-1.enroll         at the operator's

The request proves that its sender has the key; who that is, nothing in it can
prove. So the operator compares the fingerprint, which goes to standard error,
on a way that nobody in between controls: by telephone, or at the device.

After the signing key was rotated, enroll again: the registry takes the new key
as the successor of the one it has.`,
		Example: "  sealgate enroll --config /etc/sealgate/agent.yaml > gw-1.enroll",
		Args:    arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			machine, err := machineID()
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "note: this machine has no id: keys are not bound to it")
			}
			e, raw, err := agent.Enroll(cmd.Context(), cfg, machine, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "gateway      %s of site %s\nfingerprint  %s\n", e.Gateway, e.Site, e.Fingerprint())
			_, err = cmd.OutOrStdout().Write(append(raw, '\n'))
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	return c
}
