package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

func revealCommand() *cobra.Command {
	var path, domain, class string
	c := &cobra.Command{
		Use:   "reveal TOKEN",
		Short: "print the value of a reversible token that this gateway made",
		Long: `Print the value that a policy replaced by a reversible token
(pseudonymize: {form: reversible}), in the form that it was normalized to. It
takes the gateway's own keys, so it runs there, as the service's user. Other
tokens can't be revealed by anybody.`,
		Example: "  sealgate reveal r1… --class id.vehicle_plate",
		Args:    arguments(1, "a token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if class == "" {
				return usageError{errors.New("say --class: what the value was found to be")}
			}
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			machine, _ := machineID() // without one keys are bound to no machine
			value, err := agent.Reveal(cmd.Context(), cfg, machine, domain, class, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", value)
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	c.Flags().StringVar(&domain, "domain", "gateway", "the `name` of the pseudonym domain")
	c.Flags().StringVar(&class, "class", "", "the `class` of the value, as in the policy")
	return c
}
