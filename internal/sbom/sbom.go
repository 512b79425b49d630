// Package sbom writes what a program is made of: the modules that the linker
// took, from the program's own build information, as CycloneDX 1.6 (ECMA-424).
// Two builds of the same sources print the same bytes: there is no time and no
// random number in it.
package sbom

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

type document struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// Write writes the bill of materials of the running program.
func Write(w io.Writer, name, version string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without build information")
	}
	return write(w, name, version, info)
}

func write(w io.Writer, name, version string, info *debug.BuildInfo) error {
	main := "pkg:golang/" + info.Main.Path + "@" + version
	d := document{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{component{Type: "application", Ref: main, Name: name, Version: version, PURL: main}},
	}
	root := dependency{Ref: main}
	add := func(c component) {
		c.Ref = c.PURL
		d.Components = append(d.Components, c)
		root.DependsOn = append(root.DependsOn, c.Ref)
	}
	toolchain, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	add(component{Type: "library", Name: "std", Version: toolchain, PURL: "pkg:golang/std@" + toolchain})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version, Hashes: hashes(m.Sum)})
	}
	d.Dependencies = []dependency{root}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	return nil
}

// hashes turns go.sum's h1: (SHA-256 over the module's files, golang.org/ref/mod)
// into the form of the standard.
func hashes(sum string) []hash {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil || len(raw) != 32 {
		return nil
	}
	return []hash{{"SHA-256", hex.EncodeToString(raw)}}
}
