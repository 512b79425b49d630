//go:build !linux

package agent

// clockSynchronized can't be told here.
func clockSynchronized() bool { return false }
