package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/internal/manpage"
	"github.com/sealgate/sealgate/internal/sbom"
)

// version is set by the linker for releases: -X main.version=1.2.3.
var version = ""

// revision is the commit, set like version; a build in a checkout knows it by itself.
var revision = ""

// supportEnd is until when this version gets security updates, as 2006-01-02, set
// like version; empty: not stated.
var supportEnd = ""

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
	Support string `json:"support_end,omitempty"`
}

func newVersion(e *env) *cobra.Command {
	var asJSON, asSBOM bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  want(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if asSBOM {
				return sbom.Write(e.stdout, "sealctl", v.Version)
			}
			if asJSON {
				return e.printJSON(v)
			}
			_, err := fmt.Fprintf(e.stdout, "sealctl %s (%s, %s)\n", v.Version, v.Go, v.System)
			if err == nil && v.Support != "" {
				_, err = fmt.Fprintf(e.stdout, "security updates until %s\n", v.Support)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asSBOM, "sbom", false, "print what the program is made of (CycloneDX 1.6)")
	return c
}

// newMan is for who packages the program.
func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into DIR",
		Hidden: true,
		Args:   want(1, 1, "a directory"),
		RunE:   func(_ *cobra.Command, args []string) error { return manpage.Write(root, args[0]) },
	}
}

func readVersion() versionInfo {
	v := versionInfo{Version: version, Commit: revision, Support: supportEnd, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if b, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" {
			v.Version = b.Main.Version
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}
