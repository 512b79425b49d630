package corridor

import (
	"slices"

	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify/policy"
)

// A cut divides what was submitted under one generation from what comes under
// the next. Each shard stops at it until all that was submitted before is
// durable, whatever shard and lane the same topic belongs to from then on; and
// where topics move between lanes, until the logs have the fences that say so.
type cut struct {
	lanes   policy.Lanes // of the new generation
	missing int          // shards that have not arrived; the committer's
	passed  chan struct{}
}

// Swap makes g the generation of every message from now on. One that waits for
// space or a key, and is not with a shard yet, comes under it too.
func (c *Corridor) Swap(g *Generation) {
	c.intake.RLock() // keeps Close from closing the shards' queues
	defer c.intake.RUnlock()
	c.passage.Lock()
	defer c.passage.Unlock()
	c.genMu.Lock()
	c.gen.Store(g)
	close(c.swapped)
	c.swapped = make(chan struct{})
	c.genMu.Unlock()
	if isClosed(c.closing) {
		return
	}
	k := &cut{lanes: g.Policy.Lanes(), missing: len(c.shards), passed: make(chan struct{})}
	for _, s := range c.shards {
		s.in <- &job{cut: k}
	}
}

// fences is what the committer knows of lanes.
type fences struct {
	lanes policy.Lanes  // that the logs were written by
	moves []policy.Move // since then, without a fence yet
	next  policy.Lanes  // that hold once they have it; nil: nothing is due
}

// move notes that topics go by other lanes from now on.
func (c *Corridor) move(f *fences, to policy.Lanes) {
	from := f.lanes
	if f.next != nil {
		from = f.next
	}
	moves, err := from.Moves(to)
	if err != nil { // not from a policy: a damaged note of the last run
		moves = allMoves()
		c.opt.Logger.Error("lanes of the last run can't be read; every lane waits for the others", "error", err)
	}
	f.moves, f.next = append(f.moves, moves...), to
}

// fence writes the fences that are due. On an error nothing may be committed:
// it could overtake what the logs hold.
func (c *Corridor) fence(f *fences) error {
	if f.next == nil {
		return nil
	}
	if len(f.moves) > 0 {
		moves := make([]spool.Move, len(f.moves))
		for i, m := range f.moves {
			moves[i] = spool.Move{From: uint8(m.From), To: uint8(m.To)}
		}
		if err := c.opt.Spool.Fence(moves); err != nil {
			return err
		}
	}
	changed := !slices.EqualFunc(f.lanes, f.next, func(a, b policy.LaneRule) bool {
		return a.Lane == b.Lane && slices.Equal(a.Topics, b.Topics)
	})
	f.lanes, f.moves, f.next = f.next, nil, nil
	if changed {
		c.opt.OnLanes(f.lanes)
	}
	return nil
}

func allMoves() (moves []policy.Move) {
	for _, from := range laneWeights {
		for _, to := range laneWeights {
			if from.lane != to.lane {
				moves = append(moves, policy.Move{From: from.lane, To: to.lane})
			}
		}
	}
	return moves
}

// A held lane stands at a fence.
type held struct {
	rec *spool.Record
	pos spool.Pos
}

// pass reports whether lane i stands at no fence, or passes it now: what lies
// before it in the lanes that topics came from is acknowledged.
func (s *sender) pass(i int) bool {
	h := s.held[i]
	if h.rec == nil {
		return true
	}
	if ok, err := s.c.opt.Spool.Pass(s.index, h.rec); !ok {
		if err != nil {
			s.c.opt.Logger.Error("lane stays at its fence", "uplink", s.u.Name, "error", err)
		}
		return false
	}
	s.lanes[i].Release(h.pos)
	s.held[i] = held{}
	return true
}
