package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/config"
)

// TestKeeps: which rules stay when new ones fall back.
func TestKeeps(t *testing.T) {
	var (
		bad     = errors.New("refused")
		noKey   = errors.New("no key")
		observe = rules{mode: "observe", noKey: noKey}
		sealing = rules{mode: "enforce"}
		builtIn = rules{mode: "enforce", noKey: noKey}
	)
	observe.policy.Source, sealing.policy.Source, builtIn.policy.Source = "file", "file", "built-in"
	ended := sealing
	ended.bundleEnds = time.Date(2026, 5, 31, 0, 0, 0, 0, time.UTC)
	observing := observe
	observing.noKey = nil
	for name, tc := range map[string]struct {
		current, next rules
		until         string
		want          bool
	}{
		"new rules are fine":                    {sealing, rules{}, "", false},
		"bad policy":                            {sealing, rules{failed: bad, refused: bad}, "", true},
		"recipients gone":                       {sealing, rules{failed: noKey, noKey: noKey}, "", true},
		"recipients expired":                    {ended, rules{failed: noKey, noKey: noKey}, "", false},
		"observes without keys, bad policy":     {observe, rules{failed: bad, refused: bad, noKey: noKey}, "2026-12-31", true},
		"observes without keys, new policy":     {observe, rules{failed: noKey, noKey: noKey}, "2026-12-31", false},
		"the time is over, bad policy":          {observe, rules{failed: bad, refused: bad, noKey: noKey}, "2026-01-31", false},
		"the time is over, keys, bad policy":    {observing, rules{failed: bad, refused: bad}, "2026-01-31", false},
		"nothing to keep: built-in, no key":     {builtIn, rules{failed: bad, refused: bad, noKey: noKey}, "", false},
		"never permitted to observe any longer": {observing, rules{failed: bad, refused: bad}, "", false},
	} {
		a := &Agent{cfg: &config.Config{Guard: config.Guard{ObserveUntil: tc.until, ObserveThen: "enforce"}}}
		if got := a.keeps(tc.current, tc.next, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)); got != tc.want {
			t.Errorf("%s: keeps = %v", name, got)
		}
	}
}
