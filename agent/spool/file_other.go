//go:build !linux

package spool

import (
	"math"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

func reserve(f *os.File, size int64) error { return fillZero(f, size) }

func lockDir(*os.File) error { return nil }

func freeBytes(string) (int64, error) { return math.MaxInt64, nil }

// CheckDir finds nothing on this system: it can't ask what a file system is.
func CheckDir(string) error { return nil }
