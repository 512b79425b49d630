package policy_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// TestBadDocuments holds that a bad document is refused with every problem at
// its place. The messages are part of the tool, so they are golden.
func TestBadDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			p, err := policy.Compile(src, vocabulary(), policy.Guard{})
			if p != nil || err == nil {
				t.Fatal("the document compiles")
			}
			var es *policy.Errors
			if !errors.As(err, &es) {
				t.Fatalf("not an error about the document: %v", err)
			}
			es.File = "policy.yaml"
			golden(t, strings.TrimSuffix(f, ".yaml")+".want", es.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
