package agent

import (
	"testing"

	"github.com/sealgate/sealgate/agent/config"
)

// TestSpills: which local topics may wait in memory for the uplink.
func TestSpills(t *testing.T) {
	if f, err := spills(&config.Spool{Mode: "sync"}); f != nil || err != nil {
		t.Errorf("with mode: sync some may: %v", err)
	}
	f, err := spills(&config.Spool{Mode: "spill", Sync: []string{"alarm/#", "+/door"}})
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]bool{"a/b": true, "alarm": false, "alarm/x/y": false, "hall/door": false, "hall/door/x": true} {
		if f(topic) != want {
			t.Errorf("%s may wait: %t, want %t", topic, !want, want)
		}
	}
}
