package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/telemetry"
)

// version is set by the release build with -ldflags "-X main.version=…".
var version = "devel"

// supportEnd is until when this version gets security updates, as 2006-01-02,
// set by the release build like version; empty: not stated.
var supportEnd = ""

func build() telemetry.Build {
	b := telemetry.Build{Version: version, GoVersion: runtime.Version()}
	b.SupportEnd, _ = time.Parse(time.DateOnly, supportEnd) // zero where it is not stated
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Built, _ = time.Parse(time.RFC3339, s.Value) // zero where it is not known
			}
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
					"version": b.Version, "revision": b.Revision, "go": b.GoVersion, "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sealgate %s %s %s/%s\n", b.Version, b.GoVersion, runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
