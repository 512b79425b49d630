package spool

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// A Move says that topics went to lane From until now, and go to lane To from
// now on.
type Move struct{ From, To uint8 }

// Fence keeps the order of topics that move between lanes: in each log that
// topics move to it writes a record which a sender passes when all that lies in
// the logs they come from is released: see Passable. It returns when the fences
// are durable. What was committed before belongs before them; what is committed
// later comes after. Fences need no reservation: a change of policy must not
// wait for space.
func (s *Spool) Fence(moves []Move) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	now := s.opt.time()
	for _, u := range s.uplinks {
		// A fence names records by numbers, and those of what was never written are
		// given again by the next start.
		for from := range uint8(laneCount) {
			if !slices.ContainsFunc(moves, func(m Move) bool { return m.From == from }) {
				continue
			}
			if err := u.logs[from].write(nil, true, now); err != nil {
				return fmt.Errorf("write before fence: uplink %s: %w", u.name, err)
			}
			u.logs[from].flush()
		}
		for to := range uint8(laneCount) {
			need := u.fence(moves, to)
			if need == nil {
				continue
			}
			u.pins.note(need)
			rec := &Record{Kind: KindFence, QoS: 1, Payload: need}
			if err := u.logs[to].write([]*Record{rec}, true, now); err != nil {
				return fmt.Errorf("write fence: uplink %s: %w", u.name, err)
			}
		}
	}
	return nil
}

// fence is what a fence in a lane says: for each lane that topics come from,
// its number and the last record that is not released. nil: nothing to wait for.
func (u *uplink) fence(moves []Move, to uint8) (need []byte) {
	for from := range uint8(laneCount) {
		if !contains(moves, from, to) {
			continue
		}
		l := u.logs[from]
		l.mu.Lock()
		if last := l.next - 1; l.acked < last {
			need = binary.AppendUvarint(append(need, from), last)
		}
		l.mu.Unlock()
	}
	return need
}

func contains(moves []Move, from, to uint8) bool {
	for _, m := range moves {
		if m.From == from && m.To == to && from != to {
			return true
		}
	}
	return false
}

// pins says up to which record each lane's are waited for by a fence.
type pins [laneCount]atomic.Uint64

// note takes over what a fence waits for.
func (p *pins) note(fence []byte) {
	for from, seq := range waits(fence) {
		for old := p[from].Load(); seq > old && !p[from].CompareAndSwap(old, seq); old = p[from].Load() {
		}
	}
}

// waits yields the lanes and records that a fence waits for.
func waits(fence []byte) iter.Seq2[uint8, uint64] {
	return func(yield func(uint8, uint64) bool) {
		for b := fence; len(b) > 0; {
			from := b[0]
			seq, n := binary.Uvarint(b[1:])
			if n <= 0 || from >= laneCount {
				return // not one of ours: nothing to wait for
			}
			if b = b[1+n:]; !yield(from, seq) {
				return
			}
		}
	}
}

// Passable says whether all that a fence of the uplink waits for is released.
// What the log does not hold, because a power cut took it or its directory was
// lost, is not waited for.
func (s *Spool) Passable(uplink int, fence *Record) bool {
	for from, seq := range waits(fence.Payload) {
		l := s.uplinks[uplink].logs[from]
		l.mu.Lock()
		waits := l.acked < seq && seq < l.next
		l.mu.Unlock()
		if waits {
			return false
		}
	}
	return true
}

// Pass says whether a fence is passable, and then notes durably how far the logs
// it waited for are released: a start that forgot that, and not the fence, would
// send them again among what lies behind it.
func (s *Spool) Pass(uplink int, fence *Record) (bool, error) {
	if !s.Passable(uplink, fence) {
		return false, nil
	}
	for from := range waits(fence.Payload) {
		l := s.uplinks[uplink].logs[from]
		l.mu.Lock()
		acked, durableTo := l.acked, l.durable
		l.mu.Unlock()
		if err := l.check.write(l, acked, durableTo, true); err != nil {
			return false, fmt.Errorf("pass fence: %w", err)
		}
	}
	return true, nil
}
