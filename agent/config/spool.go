package config

import (
	"time"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Spills says whether messages may be acknowledged without being written.
func (s *Spool) Spills() bool { return s.Mode == "spill" }

// defaults leaves what only spill takes unset in another mode, where it is an
// error to set it.
func (s *Spool) defaults() {
	set(&s.Mode, "sync")
	if s.Spills() {
		set(&s.Linger, 2*time.Second)
		set(&s.Memory, 4<<20)
	}
}

func (s *Spool) checkMode(d *strictyaml.Document) {
	oneOf(d, "spool.mode", s.Mode, "sync", "spill")
	if !s.Spills() {
		for key, set := range map[string]bool{"linger": s.Linger != 0, "memory": s.Memory != 0, "sync": len(s.Sync) > 0} {
			if set {
				d.Errorf("spool."+key, "%s needs mode: spill: with mode: sync every message is flushed at once", key)
			}
		}
		return
	}
	if s.Linger < 10*time.Millisecond || s.Linger > 30*time.Second {
		d.Errorf("spool.linger", "linger must be between 10ms and 30s: devices may have to wait that long for an acknowledgement")
	}
	if s.Memory < 64<<10 || s.Memory > 256<<20 {
		d.Errorf("spool.memory", "memory must be between 64KiB and 256MiB")
	}
	for _, f := range s.Sync {
		checkFilter(d, "spool.sync", f)
	}
}
