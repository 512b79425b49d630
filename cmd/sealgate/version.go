package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/internal/manpage"
	"github.com/sealgate/sealgate/internal/sbom"
)

// version is set by the release build with -ldflags "-X main.version=…".
var version = "devel"

// revision is the commit, set by the release build like version; a build in a
// checkout knows it by itself.
var revision = ""

// supportEnd is until when this version gets security updates, as 2006-01-02,
// set by the release build like version; empty: not stated.
var supportEnd = ""

// built is when the sources were committed, in RFC 3339, set by the release build
// like version; a gateway without a clock believes no earlier time.
var built = ""

func build() telemetry.Build {
	b := telemetry.Build{Version: version, Revision: revision, GoVersion: runtime.Version()}
	b.SupportEnd, _ = time.Parse(time.DateOnly, supportEnd) // zero where it is not stated
	b.Built, _ = time.Parse(time.RFC3339, built)            // the same
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
					b.Built = at
				}
			}
		}
	}
	return b
}

// manCommand is for who packages the program.
func manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "write the manual pages into DIR",
		Hidden: true,
		Args:   arguments(1, "one argument: a directory"),
		RunE:   func(_ *cobra.Command, args []string) error { return manpage.Write(root, args[0]) },
	}
}

func versionCommand() *cobra.Command {
	var asJSON, asSBOM bool
	c := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if asSBOM {
				return sbom.Write(cmd.OutOrStdout(), "sealgate", b.Version)
			}
			if asJSON {
				v := map[string]string{
					"version": b.Version, "revision": b.Revision, "go": b.GoVersion, "os": runtime.GOOS, "arch": runtime.GOARCH,
				}
				if !b.SupportEnd.IsZero() {
					v["support_end"] = b.SupportEnd.Format(time.DateOnly)
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sealgate %s %s %s/%s\n", b.Version, b.GoVersion, runtime.GOOS, runtime.GOARCH)
			if !b.SupportEnd.IsZero() {
				fmt.Fprintf(cmd.OutOrStdout(), "security updates until %s\n", b.SupportEnd.Format(time.DateOnly))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asSBOM, "sbom", false, "print what the program is made of (CycloneDX 1.6)")
	return c
}
