package spool

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

const (
	segmentSuffix = ".seg"
	corruptSuffix = ".corrupt"

	flushAt  = 256 << 10 // bytes collected before a pwrite
	attempts = 3         // segments tried before a commit gives up
)

// A segment is one file of a log.
type segment struct {
	path    string
	f       file
	c       *sealer
	size    int64
	first   uint64
	known   uint64 // records that it was written with, at once; 0: appended to
	durable uint64 // what its header says; set by recovery

	// What readers may see; the log's mu.
	count uint64
	end   int64
	gone  bool // no longer part of the log

	// What was written; the log's wmu.
	wcount uint64
	wend   int64
	fresh  bool // its directory entry is not yet durable
}

// loc is the place of one record.
type loc struct {
	seg   *segment
	off   int64
	index uint64
}

// after is the place of the next record, if at ends at end.
func (at loc) after(end int64) loc { return loc{at.seg, end, at.index + 1} }

// seq is the sequence number of the record there.
func (at loc) seq() uint64 { return at.seg.first + at.index }

// A flight is a record that the cursor delivered and nobody released yet, or
// that was released before an earlier one was.
type flight struct {
	seq      uint64
	at       loc
	kids     []crypto.KID
	released bool
}

// queued is a record kept in memory for a cursor that is close behind.
type queued struct {
	rec Record
	seq uint64
	at  loc
	end int64
}

// A log is one sequence of records in a directory of segments, with one cursor.
//
// Lock order: flushing, wmu, Cursor.mu, mu, then the locks of pool, books and
// grants.
type log struct {
	opt     *Options
	keys    *keySet
	id      logID
	dir     string
	uplink  string
	pool    *pool
	books   *books
	grants  *grants
	wakes   *notifier
	changed *notifier // Spool.Changed
	meter   *meter

	flushing sync.Mutex // held by who flushes segments that records are appended to: an error is told once
	owes     atomic.Bool

	wmu     sync.Mutex // one append at a time; guards what follows
	owed    []owed     // who waits for the next flush
	act     *segment   // appended to; nil: the next record opens a segment
	touched []*segment // written by the append under way
	dirty   []*segment // written since their last fdatasync
	synced  uint64     // records up to this one are durable
	wbuf    []byte
	plain   []byte
	locs    []loc

	unmerged time.Time // when small segments could not be merged

	mu      sync.Mutex // guards what follows
	segs    []*segment // in order
	next    uint64     // sequence number of the next record to appear
	stored  uint64     // of the last one that is on disk
	acked   uint64     // records up to this one are released
	live    int64      // records that are not
	lost    uint64
	flights []flight // in order
	queue   []queued
	room    []queued  // where the queue's array begins
	queueB  int       // bytes of the queue
	head    []pending // records beyond stored, which only memory holds, in order
	shelf   []pending // where the head's array begins
	cur     Cursor
	oldest  struct { // of the head record, for Stats
		seq uint64
		at  time.Time
	}
	side    frameReader // for reads beside the cursor's; guarded by cur.mu
	closed  bool
	marked  uint64 // what the checkpoint file says
	durable uint64 // synced, as far as published
	max     int    // segments that control or quarantine may have

	paused  bool              // nobody reads
	backlog uint64            // records below it waited while nobody read
	newest  map[string]uint64 // in the log "latest": the last record of each topic; perhaps of some without any
	aging   bool              // some record has a max age
	pins    *pins

	expired, superseded, evicted uint64 // records released unsent

	discarded map[uint64]struct{} // in quarantine, above acked
	dropped   uint64              // from a full quarantine

	check checkpoint
}

// isData says whether the log is a lane.
func (l *log) isData() bool { return l.id < laneCount }

// write appends what waits in memory and then the records and, if sync, makes
// all of them durable. It tries fresh segments when one can't be written or
// synced. After an error none of the records is in the log, and what waits goes
// on waiting. A zero time leaves the records the one they have.
func (l *log) write(recs []*Record, sync bool, now time.Time) error {
	if sync || l.opt.Linger > 0 {
		l.flushing.Lock()
		defer l.flushing.Unlock()
	}
	l.wmu.Lock()
	safe, err := l.writeAll(recs, sync, now)
	l.wmu.Unlock()
	for _, f := range safe {
		f(nil)
	}
	return err
}

// writeAll is write, and returns whom to tell that records are durable. Callers
// hold wmu.
func (l *log) writeAll(recs []*Record, sync bool, now time.Time) (safe []func(error), err error) {
	if !now.IsZero() {
		for _, r := range recs {
			r.Stored = now
		}
	}
	b, err := l.batch(recs)
	if err != nil || len(b.recs) == 0 {
		return nil, err
	}
	sync = sync || b.awaited
	if b.gap {
		if err := l.bridge(b.first - 1); err != nil {
			return nil, err
		}
	}
	for range attempts {
		var unsynced bool
		if err = l.append(b.recs, b.first); err == nil && sync {
			err = l.sync()
			unsynced = err != nil
		}
		if err == nil {
			return l.publish(&b), nil
		}
		l.opt.Logger.Error("segment given up", "uplink", l.uplink, "log", logNames[l.id], "error", err)
		_ = l.abandon(unsynced) // who waits for what it could not save is told
		if errors.Is(err, ErrFull) {
			break
		}
	}
	return nil, err
}

// append writes the frames of all records behind each other, the first with
// number seq, one pwrite for each segment that it touches unless the batch is
// large.
func (l *log) append(recs []*Record, seq uint64) (err error) {
	l.touched, l.locs = l.touched[:0], l.locs[:0]
	buf, seg := l.wbuf[:0], l.act
	defer func() {
		if l.wbuf = buf[:0]; cap(buf) > 2*flushAt { // a rare large record's buffers are not kept
			l.wbuf, l.plain = nil, nil
		}
	}()
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		n, err := seg.f.WriteAt(buf, seg.wend-int64(len(buf)))
		l.meter.written.Add(uint64(n))
		buf = buf[:0]
		if err != nil {
			return fmt.Errorf("write %s: %w", seg.path, err)
		}
		return nil
	}
	if seg != nil {
		l.touch(seg)
	}
	for _, r := range recs {
		l.plain = appendPlain(l.plain[:0], seq-1-l.synced, uint64(r.Stored.UnixMilli()), r)
		need := int64(frameHead + len(l.plain) + crypto.TagSize)
		if seg != nil && seg.wend+need > seg.size {
			if err := flush(); err != nil {
				return err
			}
			seg, l.act = nil, nil
		}
		if seg == nil {
			if l.id == logControl && l.full() {
				return fmt.Errorf("control log: %w", ErrFull)
			}
			var sector []byte
			if seg, sector, err = l.newSegment(seq, 0); err != nil {
				return err
			}
			if err := l.name(seg); err != nil {
				return err
			}
			buf, l.act = append(buf, sector...), seg
			seg.wend = headerSize
		}
		buf = seg.c.appendFrame(buf, seg.wcount, l.plain)
		l.locs = append(l.locs, loc{seg, seg.wend, seg.wcount})
		seg.wend += need
		seg.wcount++
		seq++
		if len(buf) >= flushAt {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// touch notes that the append under way writes to seg.
func (l *log) touch(seg *segment) {
	l.touched = append(l.touched, seg)
	if !slices.Contains(l.dirty, seg) {
		l.dirty = append(l.dirty, seg)
	}
}

// newSegment takes a free file for records from first on, exactly so many if
// known is not 0. It keeps its old name: nothing is written yet.
func (l *log) newSegment(first, known uint64) (*segment, []byte, error) {
	path, err := l.pool.take()
	if err != nil {
		return nil, nil, err
	}
	seg := &segment{path: path, size: l.pool.size, first: first, known: known}
	l.books.took(l.id)
	l.touch(seg)
	if seg.f, err = l.opt.open(path); err != nil {
		return nil, nil, fmt.Errorf("open segment: %w", err)
	}
	h := header{magic: segmentMagic, log: l.id, first: first, count: known, durable: l.synced, uplink: l.uplink}
	sector, c, err := sealHeader(&h, l.keys)
	if err != nil {
		return nil, nil, fmt.Errorf("seal segment header: %w", err)
	}
	seg.c = c
	return seg, sector, nil
}

// full says whether the log has one segment more than it should.
func (l *log) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segs) > l.max
}

// name gives a segment its final name.
func (l *log) name(seg *segment) error {
	to := filepath.Join(l.dir, fmt.Sprintf("%016x", seg.first)+segmentSuffix)
	if err := os.Rename(seg.path, to); err != nil {
		return fmt.Errorf("name segment: %w", err)
	}
	seg.path, seg.fresh = to, true
	return nil
}

// sync makes everything written durable. Callers hold flushing and wmu.
func (l *log) sync() error {
	f := l.unflushed()
	if err := l.datasync(f); err != nil {
		return err
	}
	l.flushed(f)
	return nil
}

// written is the sequence number of the last record written, published or not.
func (l *log) written() uint64 {
	if n := len(l.touched); n > 0 {
		return l.touched[n-1].first + l.touched[n-1].wcount - 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored
}

// publish shows what was appended to readers. It returns whom to tell.
func (l *log) publish(b *writing) (safe []func(error)) {
	fresh := b.recs[b.waited:]
	if l.isData() {
		for _, r := range fresh {
			l.grants.use(r.KIDs, l.opt.time())
		}
	}
	l.mu.Lock()
	for _, seg := range l.touched {
		if seg.count == 0 && seg.wcount > 0 {
			l.segs = append(l.segs, seg)
		}
		seg.count, seg.end = seg.wcount, seg.wend
	}
	for i, r := range b.recs {
		seq := b.first + uint64(i)
		if l.isData() {
			end := l.locs[i].seg.wend
			if i+1 < len(b.recs) && l.locs[i+1].seg == l.locs[i].seg {
				end = l.locs[i+1].off
			}
			l.enqueue(r, seq, l.locs[i], end)
			if i >= b.waited {
				l.arrived(r, seq)
			}
		} else if r.Kind == KindGrant {
			l.grants.store(r.KIDs[0], seq, l.locs[i], r.Stored)
		}
	}
	l.stored = b.first + uint64(len(b.recs)) - 1
	l.next = max(l.next, l.stored+1)
	l.live += int64(len(fresh))
	l.durable = l.synced
	safe = l.unload(l.stored)
	l.mu.Unlock()
	var tail int64
	if l.act != nil {
		tail = l.act.size - l.act.wend
	}
	l.books.tail(l.id, tail)
	if len(fresh) > 0 {
		l.wakes.notify()
	}
	return safe
}

// enqueue keeps a record for a cursor that has read everything before it.
func (l *log) enqueue(r *Record, seq uint64, at loc, end int64) {
	q := queued{*r, seq, at, end}
	n := len(l.queue)
	follows := n > 0 && l.queue[n-1].seq+1 == seq || n == 0 && l.cur.seq == seq
	if !follows || l.queueB+q.size() > l.opt.TailCache {
		return
	}
	if n == 0 {
		l.queue = l.room[:0]
	}
	l.queue = append(l.queue, q)
	if n == 0 || len(l.queue) > cap(l.room) {
		l.room = l.queue[:0]
	}
	l.queueB += q.size()
}

// arrived notes what the log has to know of a record that may become stale.
// Callers hold mu.
func (l *log) arrived(r *Record, seq uint64) {
	l.aging = l.aging || r.MaxAge > 0
	if l.id == logLatest && r.Kind == KindData {
		l.newest[r.Topic] = seq
	}
}

// pause notes that nobody reads. Callers hold mu.
func (l *log) pause() { l.paused, l.backlog = true, math.MaxUint64 }

// size is about what it occupies.
func (q *queued) size() int { return len(q.rec.Payload) + len(q.rec.Topic) + 512 }

// release marks one delivered record as done with. It returns whom to tell.
func (l *log) release(seq uint64) (segmentDone bool, safe func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.flight(seq)
	if !ok || l.flights[i].released {
		return false, nil
	}
	l.flights[i].released = true
	if p := l.waits(seq); p != nil {
		safe, p.safe = p.safe, nil
	}
	return l.land() > 0 && l.reclaimable(l.acked) > 0, safe
}

// land takes the released records at the front out of flight. Callers hold mu.
func (l *log) land() (n int) {
	for ; n < len(l.flights) && l.flights[n].released; n++ {
		l.acked = l.flights[n].seq
		l.live--
		if l.isData() {
			l.grants.unuse(l.flights[n].kids)
		}
		l.flights[n] = flight{}
	}
	l.flights = l.flights[n:]
	if n > 0 {
		l.settle()
		l.spare()
	}
	return n
}

// flight finds the delivered record with that number. Callers hold mu.
func (l *log) flight(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(l.flights, seq, func(f flight, seq uint64) int { return cmp.Compare(f.seq, seq) })
}

// settle moves the end of what is released over records that don't exist.
func (l *log) settle() {
	if len(l.flights) == 0 && l.cur.seq > 0 {
		l.acked = max(l.acked, l.cur.seq-1)
	}
}

// find returns the segment that holds seq, or the next one after a gap.
func (l *log) find(seq uint64) *segment {
	i, ok := slices.BinarySearchFunc(l.segs, seq, func(s *segment, seq uint64) int {
		switch {
		case s.first+s.count <= seq:
			return -1
		case s.first > seq:
			return 1
		}
		return 0
	})
	if !ok && i == len(l.segs) {
		return nil
	}
	return l.segs[i]
}

// reclaim gives back the segments whose records are all released. The
// checkpoint is made durable before, so that recovery never misses them.
func (l *log) reclaim(flush bool) (freed int, err error) {
	l.mu.Lock()
	acked, durableTo := l.acked, l.durable
	stale := l.marked < min(acked, l.stored) // what was never written needs no note
	n := l.reclaimable(acked)
	l.mu.Unlock()
	if n == 0 && !(flush && stale) {
		return 0, nil
	}
	if err := l.check.write(l, acked, durableTo, n > 0); err != nil {
		return 0, err
	}
	l.wmu.Lock()
	l.cur.mu.Lock()
	l.mu.Lock()
	l.marked = acked
	n = l.reclaimable(acked)
	done := slices.Clone(l.segs[:n])
	l.segs = slices.Delete(l.segs, 0, n)
	for _, s := range done {
		s.gone = true
	}
	l.mu.Unlock()
	l.cur.mu.Unlock()
	l.dirty = slices.DeleteFunc(l.dirty, func(s *segment) bool { return slices.Contains(done, s) })
	l.wmu.Unlock()
	for _, s := range done {
		err = errors.Join(err, s.f.Close(), l.pool.put(s.path, s.size))
		l.books.gave(l.id)
	}
	return len(done), err
}

// reclaimable counts the segments at the front without a record above acked.
// The last one stays: it may be appended to. Callers hold mu.
func (l *log) reclaimable(acked uint64) (n int) {
	for n < len(l.segs)-1 && l.segs[n].first+l.segs[n].count-1 <= acked {
		n++
	}
	return n
}
