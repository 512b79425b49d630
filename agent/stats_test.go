package agent

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/agent/spool"
)

// TestCrowded: the alarm says what is held back at each step of the ladder.
func TestCrowded(t *testing.T) {
	for _, c := range []struct {
		level     float64
		whenFull  string
		ok        bool
		says, not string
	}{
		{0.69, "hold", false, "", "full"},
		{0.70, "hold", true, "nothing is held back", "wait"},
		{0.85, "hold", true, "priority: low", "make way"},
		{0.95, "hold", true, "all messages but", "make way"},
		{0.95, "evict-low", true, "make way", "nothing is held back"},
	} {
		al, ok := crowded([]spool.UplinkStats{{Name: "a", Level: 0.1}, {Name: "b", Level: c.level}}, c.whenFull)
		if ok != c.ok || !strings.Contains(al.Text, c.says) || strings.Contains(al.Text, c.not) || ok && !strings.Contains(al.Text, "uplink b") {
			t.Errorf("%v %s: %q", c.level, c.whenFull, al.Text)
		}
	}
}
