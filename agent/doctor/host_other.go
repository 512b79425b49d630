//go:build !linux

package doctor

import (
	"context"
	"errors"
	"io/fs"
)

// What Linux tells can't be told here.

func (v *visit) random(context.Context) { v.skip("entropy", "looked at on Linux only") }
func (v *visit) kernel(context.Context) { v.skip("kernel", "looked at on Linux only") }
func (v *visit) wear()                  { v.skip("flash wear", "looked at on Linux only") }

func locked(string) bool              { return false }
func writable(string) error           { return nil }
func owner(fs.FileInfo) string        { return "unknown" }
func fileSystem(string) string        { return "unknown file system" }
func freeBytes(string) (int64, error) { return 0, errors.New("looked at on Linux only") }

type access struct{}

func accessOf(string) (*access, error)     { return nil, errors.New("looked at on Linux only") }
func (*access) reads(string) (bool, error) { return true, nil }
