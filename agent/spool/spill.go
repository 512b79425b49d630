package spool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// With Options.Linger a record that somebody is told about (Entry.Safe) waits in
// memory first, in the place that it has in its log, and the cursor reads it
// there. If it is released there it is never written. What waits is written,
// whole and in order, when a record of it has waited for Options.Linger, when
// all that waits is more than Options.Memory, when nobody reads any more, before
// anything that must be on disk, and in the end.
//
// Only a log whose reader is not behind takes records this way: one with
// unreleased records on disk, or whose cursor is paused, writes at once. So what
// waits in memory is always the end of the log, and an uplink that is down costs
// no device its linger.

// pending is a record that only memory holds.
type pending struct {
	rec  *Record
	seq  uint64
	size int64       // that it may take on disk, promised to it
	at   time.Time   // when it was taken; monotonic
	safe func(error) // nil: nobody waits for it, or not any more
}

// A writing is what one write puts on disk.
type writing struct {
	recs    []*Record
	waited  int    // of these, at the front, waited in memory
	first   uint64 // number of the first one
	awaited bool   // somebody waits for one of them
	gap     bool   // some before it were released, and never written
}

// batch is what a write of more records puts on disk. Callers hold wmu.
func (l *log) batch(recs []*Record) (b writing, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return b, ErrClosed
	}
	b = writing{recs: recs, first: l.next, waited: len(l.head)}
	if b.waited > 0 {
		b.first, b.recs = l.head[0].seq, make([]*Record, 0, b.waited+len(recs))
		for i := range l.head {
			b.recs = append(b.recs, l.head[i].rec)
			b.awaited = b.awaited || l.head[i].safe != nil
		}
		b.recs = append(b.recs, recs...)
	}
	b.gap = b.first > l.stored+1
	return b, nil
}

// bridge prepares the log for a record whose number does not follow the last one
// on disk: those between were released and never written. All that is on disk is
// released then. The checkpoint says so durably before the record is written, or
// recovery would take it for the torn end of a batch. Callers hold wmu.
func (l *log) bridge(released uint64) error {
	if err := l.check.write(l, released, released, true); err != nil {
		return err
	}
	l.cur.mu.Lock()
	l.mu.Lock()
	done := l.segs
	for _, seg := range done {
		seg.gone = true
	}
	l.segs, l.stored, l.marked, l.durable = nil, released, released, released
	l.mu.Unlock()
	l.cur.mu.Unlock()
	l.act, l.touched, l.dirty, l.synced = nil, nil, nil, released
	l.books.tail(l.id, 0)
	for _, seg := range done {
		if err := l.giveUp(seg); err != nil {
			l.opt.Logger.Error("segment can't be freed", "uplink", l.uplink, "log", logNames[l.id], "error", err)
		}
	}
	return nil
}

// flows says whether the reader is not behind, so that a record may wait in
// memory for it.
func (l *log) flows() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.isData() && !l.paused && l.acked >= l.stored
}

// take puts records into memory, at the end of the log.
func (l *log) take(recs []*Record, safe []func(error), now time.Time) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	for _, r := range recs {
		l.grants.use(r.KIDs, l.opt.time())
	}
	at := time.Now()
	l.mu.Lock()
	for i, r := range recs {
		rec := *r // the entry is the caller's
		rec.Stored = now
		p := pending{rec: &rec, seq: l.next, size: int64(Size(r)), at: at, safe: safe[i]}
		if len(l.head) == 0 {
			l.head = l.shelf[:0]
		}
		if l.head = append(l.head, p); cap(l.head) > cap(l.shelf) {
			l.shelf = l.head[:0]
		}
		l.books.hold(l.id, p.size, 1)
		l.meter.memory.Add(p.size)
		l.arrived(&rec, l.next)
		l.next++
	}
	l.live += int64(len(recs))
	l.mu.Unlock()
	l.wakes.notify()
	nudge(l.opt.lingers)
}

// waits returns the record with that number if only memory holds it. Callers
// hold mu.
func (l *log) waits(seq uint64) *pending {
	if len(l.head) == 0 || seq < l.head[0].seq || seq-l.head[0].seq >= uint64(len(l.head)) {
		return nil
	}
	return &l.head[seq-l.head[0].seq]
}

// unload forgets what waits in memory up to a record. It returns whom to tell.
// Callers hold mu.
func (l *log) unload(upTo uint64) (safe []func(error)) {
	for len(l.head) > 0 && l.head[0].seq <= upTo {
		p := &l.head[0]
		if p.safe != nil {
			safe = append(safe, p.safe)
		}
		l.books.hold(l.id, p.size, -1)
		l.meter.memory.Add(-p.size)
		*p = pending{}
		l.head = l.head[1:]
	}
	return safe
}

// spare forgets what was released before it was written. Callers hold mu.
func (l *log) spare() {
	if len(l.head) == 0 || l.head[0].seq > l.acked {
		return
	}
	for i := 0; i < len(l.head) && l.head[i].seq <= l.acked; i++ {
		l.meter.spared.Add(uint64(l.head[i].size))
	}
	l.unload(l.acked) // whom it returns was told when the record was released
	l.changed.notify()
}

// ripe is how long what waits in memory may still do so; 0: it is to be written
// now, negative: nothing waits, or nobody for it.
func (l *log) ripe(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.head) > 0 && l.paused {
		return 0
	}
	for i := range l.head {
		if p := &l.head[i]; p.safe != nil {
			return max(0, l.opt.Linger-now.Sub(p.at))
		}
	}
	return -1
}

// watch writes what has waited in memory for long enough, until ctx ends.
func (s *Spool) watch(ctx context.Context) {
	defer close(s.watched)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.opt.lingers: // something waits, since now
		}
		for wait := s.opt.Linger; wait >= 0; {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-s.opt.paused:
			}
			wait = s.spillRipe()
		}
	}
}

// spillRipe writes what is ripe, all logs at the same time. It returns how long
// until something else is; negative: nothing waits.
func (s *Spool) spillRipe() (wait time.Duration) {
	wait = -1
	var wg sync.WaitGroup
	var failed atomic.Bool
	for _, l := range s.lanes() {
		switch d := l.ripe(time.Now()); {
		case d == 0:
			wg.Go(func() {
				if l.spill() != nil {
					failed.Store(true)
				}
			})
		case d > 0 && (wait < 0 || d < wait):
			wait = d
		}
	}
	if wg.Wait(); failed.Load() {
		wait = max(s.opt.Linger, time.Second) // the disk may get well again
	}
	return wait
}

// spill writes what waits in memory.
func (l *log) spill() error {
	err := l.write(nil, false, time.Time{})
	if err != nil {
		l.opt.Logger.Error("records in memory can't be written; they stay there, unacknowledged",
			"uplink", l.uplink, "log", logNames[l.id], "error", err)
	}
	return err
}

// spill writes all that waits in memory, all logs at the same time.
func (s *Spool) spill() {
	var wg sync.WaitGroup
	for _, l := range s.lanes() {
		l.mu.Lock()
		n := len(l.head)
		l.mu.Unlock()
		if n > 0 {
			wg.Go(func() { _ = l.spill() }) // logged, and tried again
		}
	}
	wg.Wait()
}

// Settle ends waiting: what waits in memory is written, and what is committed
// later is durable at once. Call it first when a gateway stops: devices then
// need not wait for the uplink to be told that their messages are safe.
func (s *Spool) Settle() {
	s.settled.Store(true)
	s.spill()
	s.Flush()
}

// lanes are the logs of all uplinks that records may wait for in memory.
func (s *Spool) lanes() (ls []*log) {
	for _, u := range s.uplinks {
		ls = append(ls, u.logs[:laneCount]...)
	}
	return ls
}
