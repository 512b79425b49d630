package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sealgate/sealgate/agent/demo"
)

func demoCommand(env environment) *cobra.Command {
	var serve, verbose bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "show the main job on embedded brokers, without a network",
		Long: `Start a gateway, a broker that stands in for the cloud and a consumer with one
key, all in this process, and publish realistic messages by a real MQTT client:
first observed, then enforced, then with the uplink killed and restarted.

Each claim is checked; the exit code is 1 if one does not hold. Nothing is left
behind.`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = slog.New(slog.NewTextHandler(env.stderr, nil))
			}
			return demo.Run(cmd.Context(), demo.Options{
				Out: env.stdout, Color: colored(env), Serve: serve, Logger: log, Build: build(),
			})
		},
	}
	c.Flags().BoolVar(&serve, "serve", false, "keep running for your own mosquitto_pub")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the gateway's log")
	return c
}

// colored reports whether standard output is a terminal whose user wants
// colour (no-color.org).
func colored(env environment) bool {
	f, ok := env.stdout.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
