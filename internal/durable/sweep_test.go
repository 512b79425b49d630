package durable

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSweep: what WriteFile leaves when it is killed goes, nothing else does.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"keys", "lost+found"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	keep := []string{"lost+found/.floor.tmp-1", "floor", ".floor.tmp-", ".hidden", "a.tmp-12", ".x.tmp-1a", "keys/k.key"}
	f, err := os.CreateTemp(filepath.Join(dir, "keys"), ".k.key.tmp-*") // as WriteFile does
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, name := range append([]string{".floor.tmp-123456"}, keep...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			left = append(left, rel)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keep)
	if slices.Sort(left); !slices.Equal(left, keep) {
		t.Errorf("left: %v, want %v", left, keep)
	}
	if err := Sweep(filepath.Join(dir, "missing")); err != nil {
		t.Error(err)
	}
}
