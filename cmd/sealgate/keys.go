package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

func keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "the gateway's own keys",
		Args:  arguments(0, "no argument"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var path string
	export := &cobra.Command{
		Use:   "export",
		Short: "print the public key that this gateway signs with",
		Long: `Print the public key that this gateway signs with, as JSON. Whoever opens what
the gateway sends needs it to verify the origin:

  sealctl open --gateway-key NAME=FILE

The gateway's keys are made if there are none yet.`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			machine, err := machineID()
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "note: this machine has no id: keys are not bound to it")
			}
			public, err := agent.PublicKey(cmd.Context(), cfg, machine, time.Now())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(public)
			return err
		},
	}
	export.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	c.AddCommand(export)
	return c
}
