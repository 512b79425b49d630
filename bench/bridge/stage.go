package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/sealgate/sealgate/internal/e2e"
)

// A stage stands for the test that the helpers expect.
type stage struct {
	mu       sync.Mutex // guards the rest
	cleanups []func()
	err      error
}

var errFatal = errors.New("measurement failed")

func (t *stage) run(f func()) (err error) {
	defer func() {
		t.clean()
		err = errors.Join(t.err, e2e.Clean())
		if r := recover(); r != nil && r != any(errFatal) {
			panic(r)
		}
	}()
	f()
	return nil
}

func (t *stage) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errors.Join(t.err, err)
}

func (t *stage) clean() {
	t.mu.Lock()
	fs := t.cleanups
	t.cleanups = nil
	t.mu.Unlock()
	for _, f := range slices.Backward(fs) {
		f()
	}
}

func (t *stage) Helper()             {}
func (t *stage) Logf(string, ...any) {}
func (t *stage) Fatalf(f string, a ...any) {
	t.fail(fmt.Errorf(f, a...))
	panic(errFatal)
}

func (t *stage) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "sealgate-bench-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.fail(err)
		}
	})
	return dir
}
