package sbom

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8 X:nogreen",
		Main:      debug.Module{Path: "example.org/tool"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3", Sum: "h1:" + "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
			{Path: "example.org/b", Version: "v2.0.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.1"}},
		},
	}
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := write(b, "tool", "1.0.0", info); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("two bills of one program differ")
	}
	var d document
	if err := json.Unmarshal(first.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Components) != 3 || d.Components[0].PURL != "pkg:golang/std@1.26.8" || d.Components[2].Name != "example.org/c" {
		t.Errorf("components %+v", d.Components)
	}
	if h := d.Components[1].Hashes; len(h) != 1 || !strings.HasPrefix(h[0].Content, "e3b0c442") {
		t.Errorf("hashes %+v", h)
	}
	if len(d.Dependencies) != 1 || len(d.Dependencies[0].DependsOn) != 3 || d.Metadata.Component.Version != "1.0.0" {
		t.Errorf("%+v", d)
	}
}
