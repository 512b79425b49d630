//go:build !linux

package agent

import "time"

// ClockSynchronized can't be told here.
func ClockSynchronized() bool { return false }

// bootClock can't be told here: no time is ever carried on.
func bootClock() time.Duration { return 0 }

// bootID can't be told here.
func bootID() string { return "" }
