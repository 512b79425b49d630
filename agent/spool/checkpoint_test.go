package spool

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckpointCut cuts the power after a durable checkpoint was followed by
// writes that are not, the last of them torn within its sector.
func TestCheckpointCut(t *testing.T) {
	for seed := range uint64(64) {
		d := &cutDisk{rng: rand.New(rand.NewPCG(seed, 1)), left: -1}
		o := small(t, t.TempDir())
		o.wrap = d.wrap
		s := mustOpen(t, o)
		s.stop()
		<-s.done
		<-s.flushed
		l := s.uplinks[0].logs[0]
		var sure uint64 // durable
		for released := uint64(1); released < 20; released++ {
			sync := d.rng.IntN(3) == 0
			if err := l.check.write(l, released, 0, sync); err != nil {
				t.Fatal(err)
			}
			if sync {
				sure = released
			}
		}
		d.left = 1
		if err := l.check.write(l, 20, 0, true); err == nil {
			t.Fatal("written without power")
		}
		_ = s.closeFiles()
		d.cut(t, nil)

		f, err := os.Open(filepath.Join(l.dir, checkpointName))
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := readCheckpoint(f, l.keys, l.id, l.uplink)
		if err != nil {
			t.Fatal(err)
		}
		if h.first < sure+1 {
			t.Errorf("seed %d: released %d, want at least %d", seed, int64(h.first)-1, sure)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
