package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// keepMemory keeps keys in memory out of core dumps, and out of the reach of
// other processes of the same user (prctl(2), PR_SET_DUMPABLE).
func keepMemory() error {
	err := errors.Join(
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
	if err != nil {
		return fmt.Errorf("keep memory out of core dumps: %w", err)
	}
	return nil
}
