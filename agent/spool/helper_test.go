package spool

import (
	"log/slog"
	"testing"
)

// testLogger shows what the spool logs when a test fails.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
