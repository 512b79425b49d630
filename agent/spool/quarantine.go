package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"
)

// A Quarantined record is one that an uplink would not take.
type Quarantined struct {
	Pos Pos // names it until it is discarded
	Record
}

// ErrQuarantineFull says that a record would have pushed others out of a
// quarantine.
var ErrQuarantineFull = errors.New("quarantine is full: see \"sealgate quarantine list\", then release or drop what it holds")

// Quarantine moves a delivered record from a lane into its uplink's quarantine,
// still protected, and releases it in the lane. A quarantine that is full loses
// its oldest segment, counted in Stats, if evict says so: a poisoned stream must
// not wedge the line. Otherwise the error is ErrQuarantineFull and the record
// stays where it is.
func (s *Spool) Quarantine(uplink int, cur *Cursor, pos Pos, reason string, evict bool) error {
	l, q := cur.l, s.uplinks[uplink].logs[logQuarant]
	l.mu.Lock()
	i, ok := l.flight(pos.seq)
	var at loc
	if ok {
		at = l.flights[i].at
	}
	l.mu.Unlock()
	if !ok {
		return fmt.Errorf("quarantine record: %w", errFrame)
	}
	rec, err := l.fetch(pos.seq, at)
	if err != nil {
		return fmt.Errorf("quarantine record: %w", err)
	}
	rec.Reason = reason[:min(len(reason), maxReason)]
	if err := q.makeRoom(rec, evict); err != nil {
		return fmt.Errorf("make room in quarantine: %w", err)
	}
	if err := q.write([]*Record{rec}, true, time.Now()); err != nil {
		return fmt.Errorf("quarantine record: %w", err)
	}
	cur.Release(pos)
	return nil
}

// makeRoom frees the oldest segment of a quarantine that is full. What is still
// in it is lost, or with evict unset the reason not to.
func (l *log) makeRoom(rec *Record, evict bool) error {
	l.wmu.Lock()
	fits := l.act != nil && l.act.wend+int64(Size(rec)) <= l.act.size
	l.wmu.Unlock()
	l.mu.Lock()
	if fits || len(l.segs) < l.max {
		l.mu.Unlock()
		return nil
	}
	end := l.segs[0].first + l.segs[0].count - 1
	if !evict && l.acked < end {
		l.mu.Unlock()
		return ErrQuarantineFull
	}
	for seq := l.acked + 1; seq <= end; seq++ {
		if _, ok := l.discarded[seq]; !ok {
			l.dropped++
			l.live--
		}
		delete(l.discarded, seq)
	}
	l.acked = max(l.acked, end)
	l.mu.Unlock()
	_, err := l.reclaim(false)
	return err
}

// Quarantined yields the records in an uplink's quarantine, oldest first.
func (s *Spool) Quarantined(uplink int) iter.Seq2[Quarantined, error] {
	return func(yield func(Quarantined, error) bool) {
		l := s.uplinks[uplink].logs[logQuarant]
		l.mu.Lock()
		seq, next := l.acked+1, l.next
		l.mu.Unlock()
		for ; seq < next; seq++ {
			l.mu.Lock()
			_, gone := l.discarded[seq]
			gone = gone || seq <= l.acked || l.find(seq) == nil || l.find(seq).first > seq
			l.mu.Unlock()
			if gone {
				continue
			}
			rec, err := l.fetch(seq, loc{})
			if err != nil {
				if !yield(Quarantined{Pos: Pos{seq}}, fmt.Errorf("read quarantined record: %w", err)) {
					return
				}
				continue
			}
			if !yield(Quarantined{Pos{seq}, *rec}, nil) {
				return
			}
		}
	}
}

// Discard removes a record from quarantine for good. To release one, Commit it
// to its lane first.
func (s *Spool) Discard(uplink int, pos Pos) error {
	l := s.uplinks[uplink].logs[logQuarant]
	l.mu.Lock()
	_, gone := l.discarded[pos.seq]
	gone = gone || pos.seq <= l.acked || pos.seq >= l.next
	l.mu.Unlock()
	if gone {
		return nil
	}
	rec := &Record{Kind: kindDiscard, Payload: binary.LittleEndian.AppendUint64(nil, pos.seq)}
	if err := l.write([]*Record{rec}, true, time.Now()); err != nil {
		return fmt.Errorf("discard quarantined record: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strike(pos.seq, l.next-1)
	return nil
}

// strike notes that a quarantined record is gone, as the record at by says, and
// moves the end of what is released. Callers hold mu.
func (l *log) strike(seq, by uint64) {
	for _, n := range [...]uint64{seq, by} {
		if _, ok := l.discarded[n]; !ok && n > l.acked {
			l.discarded[n] = struct{}{}
			l.live--
		}
	}
	for {
		if _, ok := l.discarded[l.acked+1]; !ok {
			return
		}
		l.acked++
		delete(l.discarded, l.acked)
	}
}
