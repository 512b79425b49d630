package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestUnreadableBelowADirectory: a file or directory that somebody may not read
// stops nothing: what can be read is, and in the end it is an error.
func TestUnreadableBelowADirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "unreadable") // t.TempDir lets nobody else in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.json", "closed/b.json", "c.json", "d.json"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(`{"n":1}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	closed := []string{filepath.Join(dir, "closed"), filepath.Join(dir, "c.json")}
	for _, path := range closed {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o755) })
	}
	if os.Getuid() == 0 { // who may read everything
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	e := &env{stderr: io.Discard}
	var read []string
	in := &input{e: e, ctx: t.Context(), take: func(name, _ string, _ []byte) error {
		read = append(read, filepath.Base(name))
		return nil
	}}
	sources, size, err := in.list([]string{dir})
	if err != nil || size != 21 {
		t.Fatalf("%d bytes are listed, want 21: %v", size, err)
	}
	in.bar = e.newProgress("", size)
	if err := in.read(sources); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.json", "d.json"}; !slices.Equal(read, want) {
		t.Errorf("read %q, want %q", read, want)
	}
	if err := in.complaints(); err == nil || !strings.Contains(err.Error(), "2 files or directories can't be read; the first: open "+closed[0]) {
		t.Errorf("in the end: %v", err)
	}
	again := &input{e: e, ctx: t.Context()}
	if _, _, err := again.list(closed[:1]); err == nil {
		t.Error("a directory that was named and can't be read is no error")
	}
}
