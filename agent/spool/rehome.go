package spool

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
)

// abandon ends the segments that an append failed on. What readers have seen of
// them stays valid: it lies before the offset at which the append began. After
// a failed fdatasync that is not enough, since a page shared with acknowledged
// records may be lost, so these are written again elsewhere; an error says that
// they could not be, and is told to those who wait for one of them.
func (l *log) abandon(unsynced bool) (err error) {
	l.act = nil
	l.books.tail(l.id, 0)
	l.opt.kick() // many such segments are merged
	var keep []*segment
	for _, seg := range l.dirty {
		if seg.count > 0 {
			seg.wcount, seg.wend = seg.count, seg.end
			keep = append(keep, seg)
			continue
		}
		l.discard(seg)
	}
	l.touched, l.dirty = l.touched[:0], keep
	if !unsynced {
		return nil
	}
	l.dirty = nil
	for _, seg := range keep {
		l.mu.Lock()
		runs := []run{{to: seg.count, off: headerSize, end: seg.end}}
		if seg.first+seg.count-1 <= l.acked {
			runs = nil
		}
		l.mu.Unlock()
		if runs == nil {
			continue
		}
		if rerr := l.rehome(seg, runs, false); rerr != nil {
			l.opt.Logger.Error("records of a segment that could not be synced stay where they are",
				"uplink", l.uplink, "log", logNames[l.id], "error", rerr)
			err = errors.Join(err, rerr)
		}
	}
	for i := range l.owed {
		l.owed[i].err = errors.Join(l.owed[i].err, err)
	}
	return err
}

// discard removes a segment that was never part of the log.
func (l *log) discard(seg *segment) {
	if seg.f != nil {
		_ = seg.f.Close() // its content does not matter
	}
	if err := l.pool.drop(seg.path); err != nil {
		l.opt.Logger.Warn("segment not removed", "error", err)
	}
	l.books.gave(l.id)
}

// A run is a range of valid records of a segment, by index and by offset.
type run struct {
	from, to uint64
	off, end int64
}

// rehome writes runs of seg's records into fresh segments, durable under their
// old sequence numbers, and puts those in its place. The old file is removed,
// or kept as evidence. Callers hold wmu, or are recovering.
func (l *log) rehome(seg *segment, runs []run, evidence bool) (err error) {
	var fresh []*segment
	touched, dirty := l.touched, l.dirty
	l.touched, l.dirty = nil, nil
	defer func() {
		l.touched, l.dirty = touched, dirty
		if err != nil {
			for _, s := range fresh {
				l.discard(s)
			}
		}
	}()
	l.cur.mu.Lock()
	defer l.cur.mu.Unlock()
	for _, run := range runs {
		s, buf, err := l.newSegment(seg.first+run.from, run.to-run.from)
		if len(l.touched) > 0 {
			fresh, l.touched = append(fresh, l.touched...), nil
		}
		if err != nil {
			return err
		}
		s.wend = headerSize
		if buf, err = l.copyRun(s, buf, seg, run); err != nil {
			return err
		}
		if err := l.place(s, buf); err != nil {
			return err
		}
	}
	if evidence {
		if err := os.Link(seg.path, seg.path+corruptSuffix); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("keep damaged segment: %w", err)
		}
	}
	old := seg.path
	for _, s := range slices.Backward(fresh) { // the one that replaces the old file comes last
		if err := l.name(s); err != nil {
			return err
		}
		s.fresh = false
		if s.path == seg.path {
			old = ""
		}
	}
	l.mu.Lock()
	i := slices.Index(l.segs, seg)
	l.segs = slices.Replace(l.segs, i, i+1, fresh...)
	seg.gone = true
	l.mu.Unlock()
	fresh = nil
	_ = seg.f.Close() // every record of it is elsewhere
	syncErr := durable.SyncDir(l.dir)
	l.books.gave(l.id)
	if old == "" {
		l.pool.forget()
		return syncErr
	}
	return errors.Join(syncErr, l.pool.drop(old))
}

const (
	// compactFrom is how many small segments in a row are worth one large one.
	compactFrom = 4
	// compactPause is how long small segments stay after they could not be merged.
	compactPause = time.Minute
)

// compact merges small segments, and returns how many fewer there are. Each
// start leaves one behind, since nothing is appended to what recovery found, and
// so does each fdatasync that fails: while an uplink is down, neither may use up
// its quota. A segment that is appended to, or not yet durable, is left alone.
func (l *log) compact() (freed int) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if !l.unmerged.IsZero() && time.Since(l.unmerged) < compactPause {
		return 0
	}
	var groups [][]*segment
	var group []*segment
	var bytes int64
	end := func() {
		if len(group) >= compactFrom {
			groups = append(groups, group)
		}
		group, bytes = nil, headerSize
	}
	end()
	for _, seg := range l.segs { // they change under wmu only
		size := seg.end - headerSize
		small := size <= l.pool.size/2 && seg != l.act && !slices.Contains(l.dirty, seg)
		follows := len(group) == 0 || group[len(group)-1].first+group[len(group)-1].count == seg.first
		if !small || !follows || bytes+size > l.pool.size {
			end()
		}
		if small {
			group, bytes = append(group, seg), bytes+size
		}
	}
	end()
	for _, group := range groups {
		if err := l.merge(group); err != nil {
			l.unmerged = time.Now()
			l.opt.Logger.Error("small segments can't be merged", "uplink", l.uplink, "log", logNames[l.id], "error", err)
			return freed
		}
		freed += len(group) - 1
	}
	return freed
}

// merge puts one segment in the place of several that follow each other. It is
// durable before it takes the name of the first; until the others are gone,
// their records are there twice, and recovery takes theirs. Callers hold wmu.
func (l *log) merge(group []*segment) (err error) {
	touched, dirty := l.touched, l.dirty
	l.touched, l.dirty = nil, nil
	defer func() {
		if err != nil && len(l.touched) > 0 {
			l.discard(l.touched[0])
		}
		l.touched, l.dirty = touched, dirty
	}()
	last := group[len(group)-1]
	s, buf, err := l.newSegment(group[0].first, last.first+last.count-group[0].first)
	if err != nil {
		return err
	}
	s.wend = headerSize
	for _, seg := range group {
		if buf, err = l.copyRun(s, buf, seg, run{to: seg.count, off: headerSize, end: seg.end}); err != nil {
			return err
		}
	}
	if err := l.place(s, buf); err != nil {
		return err
	}
	if err := l.name(s); err != nil {
		return err
	}
	l.touched, s.fresh = nil, false
	l.cur.mu.Lock() // nobody reads them
	l.mu.Lock()
	i := slices.Index(l.segs, group[0])
	l.segs = slices.Replace(l.segs, i, i+len(group), s)
	for _, seg := range group {
		seg.gone = true
	}
	l.mu.Unlock()
	l.cur.mu.Unlock()
	l.books.gave(l.id) // the first one's name is the new one's
	l.pool.forget()
	err = errors.Join(group[0].f.Close(), durable.SyncDir(l.dir))
	for _, seg := range group[1:] {
		if err != nil { // a power cut may undo the new name: they stay until the next start
			err = errors.Join(err, seg.f.Close())
			continue
		}
		err = l.giveUp(seg)
	}
	return err
}

// copyRun appends to buf the records of a run, sealed for segment s.
func (l *log) copyRun(s *segment, buf []byte, from *segment, run run) ([]byte, error) {
	var r frameReader
	r.reset(from.f, from.c)
	for off, index := run.off, run.from; index < run.to; index++ {
		plain, end, err := r.next(off, index, run.end)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", from.path, err)
		}
		before := len(buf)
		buf = s.c.appendFrame(buf, s.wcount, plain)
		s.wend += int64(len(buf) - before)
		s.wcount++
		off = end
	}
	return buf, nil
}

// place writes a segment whole and makes it durable.
func (l *log) place(s *segment, buf []byte) error {
	if _, err := s.f.WriteAt(buf, 0); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	l.meter.written.Add(uint64(len(buf)))
	if err := s.f.Datasync(); err != nil {
		return fmt.Errorf("fdatasync %s: %w", s.path, err)
	}
	s.count, s.end = s.wcount, s.wend
	return nil
}
