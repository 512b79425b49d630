package spool

import (
	"maps"
	"time"
)

// What is committed is sent, with three exceptions that somebody asked for and
// that are counted: a record older than its MaxAge; in the log "latest", a
// record that a later one of its topic took the place of while nobody was
// reading; and with Options.EvictLow the oldest of the low lane, when the lanes
// above it have no space left.

// time is the wall clock of the start and what has passed since then: a step of
// the wall clock makes no record older.
func (o *Options) time() time.Time { return o.start.Add(time.Since(o.began)) }

// clockSet is before any time that a set clock shows.
var clockSet = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// age is how old a record is. One that was stored before the clock was set, by
// an earlier run, is as old as this one.
func (o *Options) age(stored time.Time) time.Duration {
	now := o.time()
	if stored.Before(clockSet) && !now.Before(clockSet) {
		stored = o.start
	}
	return now.Sub(stored)
}

// stale says whether a delivered record is not worth sending any more, and then
// releases it.
func (c *Cursor) stale(rec *Record, seq uint64) bool {
	l := c.l
	if rec.Kind != KindData || rec.MaxAge == 0 && l.id != logLatest {
		return false
	}
	l.mu.Lock()
	switch {
	case l.id == logLatest && seq < l.backlog && l.newest[rec.Topic] > seq:
		l.superseded++
	case rec.MaxAge > 0 && l.opt.age(rec.Stored) > rec.MaxAge:
		l.expired++
	default:
		l.mu.Unlock()
		return false
	}
	l.mu.Unlock()
	c.Release(Pos{seq})
	return true
}

// Pause says that nobody reads until the next Rewind: of what waits then, the
// log "latest" delivers only the newest record of each topic.
func (c *Cursor) Pause() {
	c.use.Lock()
	defer c.use.Unlock()
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.pause()
	nudge(c.l.opt.paused)
}

// tidy releases what is stale at the front of a log that nobody reads, so that
// it needs no space until the uplink is back.
func (l *log) tidy() error {
	c := &l.cur
	c.use.Lock()
	defer c.use.Unlock()
	l.mu.Lock()
	idle := !l.paused || l.closed || l.live == 0 || !l.aging && l.id != logLatest
	l.mu.Unlock()
	if idle {
		return nil
	}
	moved, err := l.regroup()
	if err != nil {
		return err
	}
	if _, _, _, err := c.Next(); err != nil {
		return err
	}
	c.rewind()
	l.mu.Lock()
	l.superseded -= moved // by themselves
	l.mu.Unlock()
	return nil
}

// regroup writes what is alive in the oldest segment of the log "latest" once
// more, at its end, when at least half of the log is superseded. So the log
// holds at most about twice what it has to, whatever the topics do. A record
// that a fence waits for stays where it is: it must not come behind the fence.
// With more than maxRegroup topics nothing is moved, and the log may fill up.
func (l *log) regroup() (moved uint64, err error) {
	recs, err := l.crowded()
	if len(recs) == 0 || err != nil {
		return 0, err
	}
	if err := l.write(recs, true, time.Time{}); err != nil {
		return 0, err
	}
	return uint64(len(recs)), nil
}

// maxRegroup bounds by how many messages a regrouped one may come late: openers
// tell a late message from a replayed one by the last 1,024 of its stream.
const maxRegroup = 512

// crowded returns the live records of the oldest segment, if it is to be
// regrouped.
func (l *log) crowded() (live []*Record, err error) {
	if l.id != logLatest {
		return nil, nil
	}
	l.cur.mu.Lock()
	defer l.cur.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.newest, func(_ string, seq uint64) bool { return seq <= l.acked })
	if len(l.newest) > maxRegroup || len(l.segs) < 2 || l.live <= 2*int64(len(l.newest)) || l.pins[l.id].Load() > l.acked {
		return nil, nil
	}
	for rec, seq := range l.unreleased(l.segs[0], &err) {
		if rec.Kind == KindFence {
			return nil, nil // its place matters
		}
		if l.newest[rec.Topic] == seq {
			live = append(live, rec)
		}
	}
	return live, err
}

// unreleased yields the records of a segment that are not released. Callers
// hold cur.mu and mu.
func (l *log) unreleased(seg *segment, err *error) func(func(*Record, uint64) bool) {
	return func(yield func(*Record, uint64) bool) {
		at := loc{seg, headerSize, 0}
		for at.index < seg.count {
			rec, _, end, rerr := l.read(&l.side, at, seg.end)
			if rerr != nil {
				*err = rerr
				return
			}
			i, ok := l.flight(at.seq())
			if at.seq() > l.acked && !(ok && l.flights[i].released) && !yield(rec, at.seq()) {
				return
			}
			at = at.after(end)
		}
	}
}

// evict drops the oldest segment of a lane and counts its records, unless that
// would drop a fence. The last segment stays: it is appended to.
func (l *log) evict() (n int, err error) {
	l.cur.mu.Lock()
	defer l.cur.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.segs) < 2 {
		return 0, nil
	}
	seg := l.segs[0]
	var going []*Record
	for rec := range l.unreleased(seg, &err) {
		if rec.Kind == KindFence {
			return 0, nil
		}
		going = append(going, rec)
	}
	if err != nil {
		return 0, err
	}
	for _, rec := range going {
		l.grants.unuse(rec.KIDs)
	}
	for len(l.flights) > 0 && l.flights[0].seq < seg.first+seg.count {
		l.flights = l.flights[1:]
	}
	l.acked = max(l.acked, seg.first+seg.count-1)
	l.live -= int64(len(going))
	l.evicted += uint64(len(going))
	l.land()
	return len(going), nil
}

// makeWay evicts from the low lane when another one found no space.
func (u *uplink) makeWay(o *Options) {
	if !u.starved.CompareAndSwap(true, false) {
		return
	}
	n, err := u.logs[logLow].evict()
	switch {
	case err != nil:
		o.Logger.Error("records of the low lane can't be evicted", "uplink", u.name, "error", err)
	case n > 0:
		o.Logger.Warn("records of the low lane were evicted for more important ones", "uplink", u.name, "records", n)
	}
}
