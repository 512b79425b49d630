package spool

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
)

// A record with Safe is written, and shown to the cursor, when Commit returns;
// the flush comes behind it. While one flush is under way further records are
// written, and the next flush is theirs: so a slow flush holds back
// acknowledgements to devices, and neither the committer nor the uplink. What an
// uplink has before the disk is sent again by its device after a power cut, as
// after any acknowledgement that was lost.

// owed is somebody who waits for a flush.
type owed struct {
	tell func(error)
	err  error // not nil: the record is on a segment that could not be flushed
}

// A flush is what one fdatasync of each segment covers.
type flush struct {
	segs   []*segment
	counts []uint64 // records in each of them
	upTo   uint64   // in the log
}

// writeBehind is write, and leaves the flush to the flusher. safe, unless nil, is
// told of it.
func (l *log) writeBehind(recs []*Record, safe []func(error), now time.Time) error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if _, err := l.writeAll(recs, false, now); err != nil { // nothing waits in memory, so it returns nobody
		return err
	}
	for _, f := range safe {
		if f != nil {
			l.owed = append(l.owed, owed{tell: f})
		}
	}
	l.owes.Store(true)
	nudge(l.opt.flushes)
	return nil
}

// unflushed is what the next flush has to cover. Callers hold wmu.
func (l *log) unflushed() flush {
	f := flush{upTo: l.written()}
	for _, seg := range l.dirty {
		f.segs, f.counts = append(f.segs, seg), append(f.counts, seg.wcount)
	}
	return f
}

// datasync flushes segments. An error is final for the segment: the kernel may
// have dropped the pages, and a second fdatasync would say yes. Callers hold
// flushing.
func (l *log) datasync(f flush) error {
	fresh := false
	for _, seg := range f.segs {
		start := time.Now()
		err := seg.f.Datasync()
		l.meter.synced(time.Since(start))
		if err != nil && !l.isGone(seg) { // else all its records were released meanwhile
			return fmt.Errorf("fdatasync %s: %w", seg.path, err)
		}
		fresh = fresh || seg.fresh
	}
	if fresh {
		if err := durable.SyncDir(l.dir); err != nil {
			return fmt.Errorf("fsync %s: %w", l.dir, err)
		}
	}
	return nil
}

func (l *log) isGone(seg *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seg.gone
}

// flushed notes that what a flush covers is durable. Callers hold wmu.
func (l *log) flushed(f flush) {
	dirty := l.dirty[:0]
	for _, seg := range l.dirty {
		covered := false
		for i, s := range f.segs {
			covered = covered || s == seg && f.counts[i] == seg.wcount
		}
		if !covered {
			dirty = append(dirty, seg)
		}
	}
	clear(l.dirty[len(dirty):])
	l.dirty = dirty
	for _, seg := range f.segs {
		seg.fresh = false
	}
	l.synced = max(l.synced, f.upTo)
}

// flush makes durable what was written when it began, and tells those who wait
// for it.
func (l *log) flush() {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.wmu.Lock()
	l.owes.Store(false)
	waiting, f := l.owed, l.unflushed()
	l.owed = nil
	l.wmu.Unlock()

	err := l.datasync(f)

	l.wmu.Lock()
	if err == nil {
		l.flushed(f)
	} else {
		l.opt.Logger.Error("segment given up", "uplink", l.uplink, "log", logNames[l.id], "error", err)
		if err = l.abandon(true); err == nil {
			l.synced = max(l.synced, l.written()) // all of it, elsewhere
		}
	}
	l.mu.Lock()
	l.durable = l.synced
	l.mu.Unlock()
	l.wmu.Unlock()
	for i := range waiting {
		if waiting[i].err == nil {
			waiting[i].err = err
		}
		waiting[i].tell(waiting[i].err)
	}
}

// flushBehind flushes what was written without, until ctx ends.
func (s *Spool) flushBehind(ctx context.Context) {
	defer close(s.flushed)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.opt.flushes:
			s.flushOwed()
		}
	}
}

// Flush makes durable what was committed before, and returns when those who wait
// for it have been told.
func (s *Spool) Flush() {
	s.flushOwed()
	for _, l := range s.lanes() {
		l.flushUnderWay() // it began before
	}
}

// flushUnderWay waits for the end of a flush.
func (l *log) flushUnderWay() {
	l.flushing.Lock()
	defer l.flushing.Unlock()
}

// flushOwed flushes the lanes that owe it, all at the same time.
func (s *Spool) flushOwed() {
	var wg sync.WaitGroup
	var last *log
	for _, u := range s.uplinks {
		for _, l := range u.logs[:laneCount] {
			if !l.owes.Load() {
				continue
			}
			if other := last; other != nil {
				wg.Go(other.flush)
			}
			last = l
		}
	}
	if last != nil {
		last.flush()
	}
	wg.Wait()
}
