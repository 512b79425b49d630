//go:build race

package payload

// raced: the race detector is on. It empties pools at random (sync.Pool), so that
// a library that keeps its buffers in one allocates.
const raced = true
