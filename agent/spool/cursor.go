package spool

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Pos is the place of a record in its log.
type Pos struct{ seq uint64 }

// After says whether p comes after q in the same log.
func (p Pos) After(q Pos) bool { return p.seq > q.seq }

// A Cursor reads one log in order. One goroutine at a time calls Next, Wait and
// Rewind; Release may be called from any.
type Cursor struct {
	l   *log
	use sync.Mutex // held by who reads while the cursor is paused, and to end that; before mu

	mu    sync.Mutex // held while reading; guards what follows
	r     frameReader
	at    loc // of record seq, if it says so
	fails int // read errors in a row

	seq uint64 // next record to deliver; guarded by l.mu
}

// maxReadErrors is how often a record that can't be read is tried before it
// counts as lost.
const maxReadErrors = 3

// Next returns the next record that is not released, and false if there is none
// yet: see Spool.Arrived. What became stale is released on the way, and counted. A damaged record is counted in Stats as lost and
// stepped over; the error of a failing read is returned, and Next tries again.
func (c *Cursor) Next() (*Record, Pos, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		rec, seq, at, limit, err := c.look()
		if err != nil {
			return nil, Pos{}, false, err
		}
		if rec != nil {
			if c.stale(rec, seq) {
				continue
			}
			return rec, Pos{seq}, true, nil
		}
		if at.seg == nil {
			return nil, Pos{}, false, nil
		}
		rec, at, end, err := c.l.read(&c.r, at, limit)
		switch {
		case err == nil:
			c.fails = 0
			if c.deliver(rec, at, end) && !c.stale(rec, at.seq()) {
				return rec, Pos{at.seq()}, true, nil
			}
		case !errors.Is(err, errFrame) && c.fails < maxReadErrors:
			c.fails++
			return nil, Pos{}, false, err
		default:
			c.fails = 0
			c.skip(at, limit)
		}
	}
}

// Wait is Next, and waits for a record until ctx ends.
func (c *Cursor) Wait(ctx context.Context) (*Record, Pos, error) {
	for {
		arrived := c.l.wakes.wait()
		rec, pos, ok, err := c.Next()
		if ok || err != nil {
			return rec, pos, err
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, Pos{}, context.Cause(ctx)
		}
	}
}

// look finds what comes next: a record from memory, which it delivers, or the
// place of one on disk; at.seg is nil if there is none.
func (c *Cursor) look() (rec *Record, seq uint64, at loc, limit int64, err error) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0, loc{}, 0, ErrClosed
	}
	for {
		c.seq = max(c.seq, l.acked+1)
		n := 0
		for ; n < len(l.queue) && l.queue[n].seq < c.seq; n++ {
			l.queueB -= l.queue[n].size()
			l.queue[n] = queued{}
		}
		l.queue = l.queue[n:]
		if c.seq >= l.next {
			return nil, 0, loc{}, 0, nil
		}
		var next loc
		if p := l.waits(c.seq); p != nil {
			rec, seq = p.rec, p.seq
		} else if len(l.queue) > 0 && l.queue[0].seq == c.seq {
			q := l.queue[0]
			rec, seq, at, next = &q.rec, q.seq, q.at, q.at.after(q.end)
		} else {
			break
		}
		if c.fly(rec, seq, at, next) {
			return rec, seq, at, 0, nil
		}
	}
	at = c.at
	if at.seg == nil || at.seg.gone || at.seq() != c.seq || at.index >= at.seg.count {
		seg := l.find(c.seq)
		if seg == nil {
			return nil, 0, loc{}, 0, nil
		}
		c.seq = max(c.seq, seg.first) // what is missing before it was counted as lost
		at = loc{seg: seg, index: c.seq - seg.first}
	}
	return nil, 0, at, at.seg.end, nil
}

// fly notes that a record is delivered, unless it is released. at is its place
// on disk and after that of the next one, as far as they have any. Callers hold
// l.mu.
func (c *Cursor) fly(rec *Record, seq uint64, at, after loc) bool {
	l := c.l
	c.seq, c.at = seq+1, after
	if n := len(l.flights); n == 0 || l.flights[n-1].seq < seq {
		if seq <= l.acked {
			return false
		}
		l.flights = append(l.flights, flight{seq: seq, at: at, kids: rec.KIDs})
		return true
	}
	i, ok := l.flight(seq)
	return ok && !l.flights[i].released
}

func (c *Cursor) deliver(rec *Record, at loc, end int64) bool {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.fly(rec, at.seq(), at, at.after(end))
}

// skip steps over damaged records: to the next valid one, or to the end of the
// segment.
func (c *Cursor) skip(at loc, limit int64) {
	l := c.l
	next := at.seg.first // of the next record
	if off, index, ok := c.r.resume(at.off, at.index, limit); ok && at.off > 0 {
		c.at = loc{at.seg, off, index}
		next += index
	} else {
		l.mu.Lock()
		next += at.seg.count
		l.mu.Unlock()
	}
	l.mu.Lock()
	n := 0
	for ; c.seq < next; c.seq++ {
		switch i, ok := l.flight(c.seq); {
		case ok && !l.flights[i].released: // delivered before; nobody will release it now
			l.flights[i].released = true
			n++
		case !ok && c.seq > l.acked:
			l.flights = append(l.flights, flight{seq: c.seq, released: true})
			n++
		}
	}
	l.lost += uint64(n)
	l.land()
	l.settle()
	l.mu.Unlock()
	l.opt.Logger.Error("records are damaged on disk and lost", "uplink", l.uplink, "log", logNames[l.id], "records", n)
}

// Rewind makes Next start again from the first record that is not released.
// Those released out of order are not delivered again. It ends a Pause.
func (c *Cursor) Rewind() {
	c.use.Lock()
	defer c.use.Unlock()
	c.rewind()
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.paused, c.l.backlog = false, c.l.next
}

func (c *Cursor) rewind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.flights) > 0 {
		c.seq, c.at = l.flights[0].seq, l.flights[0].at
		l.queue, l.room, l.queueB = nil, nil, 0
	}
}

// Release says that the record at pos is done with and need not be kept. The
// order does not matter; what is kept begins at the first record that is not
// released. A second Release of the same record does nothing.
func (c *Cursor) Release(pos Pos) {
	segmentDone, safe := c.l.release(pos.seq)
	if segmentDone {
		c.l.opt.kick()
	}
	if safe != nil {
		safe(nil)
	}
}

// read returns the record at a place. An offset of 0 asks to look for it by the
// lengths of the frames before it. limit is where the segment's records end.
func (l *log) read(r *frameReader, at loc, limit int64) (*Record, loc, int64, error) {
	if r.c != at.seg.c {
		r.reset(at.seg.f, at.seg.c)
	}
	if at.off == 0 {
		off := int64(headerSize)
		for range at.index {
			n, err := r.length(off, limit)
			if err != nil {
				return nil, at, 0, err
			}
			off += int64(n)
		}
		at.off = off
	}
	plain, end, err := r.next(at.off, at.index, limit)
	if err != nil {
		r.have = 0 // the next attempt asks the disk
		return nil, at, 0, err
	}
	_, stored, b, err := splitPlain(plain)
	if err != nil {
		return nil, at, 0, errFrame
	}
	rec, err := decodeRecord(b)
	if err != nil {
		return nil, at, 0, errFrame
	}
	rec.Stored = time.UnixMilli(int64(stored))
	return &rec, at, end, nil
}
