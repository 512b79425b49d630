package spool

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// Recovery is what Open found. Lost and SetAside are reasons for an alarm, the
// rest is what a power cut leaves.
type Recovery struct {
	Records  int64    // in the lanes, not yet released
	Torn     int      // logs with records cut from their end: parts of a batch that nobody acknowledged
	Lost     uint64   // acknowledged records that are missing or damaged
	SetAside []string // damaged segments, kept as *.corrupt
	Orphans  []string // directories of uplinks that are not configured; left alone
	Resent   int      // logs without a valid checkpoint: sent from their beginning
	Short    int      // segments that could not be reserved
	Duration time.Duration
}

// maxEvidence is how many damaged segments a log keeps.
const maxEvidence = 4

// scan is what a pass over a segment found.
type scan struct {
	runs    []run
	durable uint64 // a record says that records up to this one were durable
	kids    map[crypto.KID]int
	grants  []grantAt // with places in at
	at      []loc
	strikes [][2]uint64
	newest  map[string]uint64 // in the log "latest"
	aging   bool
}

// scanSegment reads the valid records of seg below sequence number end. What
// matters of those above released is collected.
func (l *log) scanSegment(seg *segment, released, end uint64) *scan {
	s := &scan{kids: map[crypto.KID]int{}, newest: map[string]uint64{}}
	var r frameReader
	r.reset(seg.f, seg.c)
	cur := run{off: headerSize, end: headerSize}
	for off, index := int64(headerSize), uint64(0); end > seg.first && index < end-seg.first; index++ {
		plain, next, err := r.next(off, index, seg.size)
		if err != nil {
			var ok bool
			if cur.to > cur.from {
				s.runs = append(s.runs, cur)
			}
			if off, index, ok = r.resume(off, index, seg.size); !ok {
				return s
			}
			cur = run{from: index, to: index, off: off, end: off}
			if index >= end-seg.first {
				return s
			}
			if plain, next, err = r.next(off, index, seg.size); err != nil {
				return s
			}
		}
		undurable, _, rec, err := splitPlain(plain)
		seq := seg.first + index
		if err == nil && undurable < seq {
			s.durable = max(s.durable, seq-1-undurable)
		}
		if seq > released {
			s.note(l, loc{seg, off, index}, rec)
		}
		cur.to, cur.end, off = index+1, next, next
	}
	if cur.to > cur.from {
		s.runs = append(s.runs, cur)
	}
	return s
}

// note collects what the log has to know about one record.
func (s *scan) note(l *log, at loc, rec []byte) {
	d := decoder{b: rec}
	f := d.fixed()
	if d.err != nil {
		return // the cursor will count it as lost
	}
	for i := 0; i < len(f.kids); i += len(crypto.KID{}) {
		kid := crypto.KID(f.kids[i:])
		switch {
		case l.isData():
			s.kids[kid]++
		case f.kind == KindGrant:
			s.grants, s.at = append(s.grants, grantAt{at.seq(), kid}), append(s.at, at)
		}
	}
	s.aging = s.aging || f.flags&flagMaxAge != 0
	if f.kind == KindFence || l.id == logLatest {
		if r, err := decodeRecord(rec); err == nil && r.Kind == KindFence {
			l.pins.note(r.Payload)
		} else if err == nil {
			s.newest[r.Topic] = at.seq()
		}
	}
	if f.kind == kindDiscard && len(d.b) == 1+8 { // an empty topic before the payload
		s.strikes = append(s.strikes, [2]uint64{binary.LittleEndian.Uint64(d.b[1:]), at.seq()})
	}
}

// recover opens a log: what is below the checkpoint is free, what is above it
// is read once, a torn end is cut, and a damaged segment is replaced by its
// valid records and set aside. Nothing is appended to what was found.
func (l *log) recover(rep *Recovery) error {
	released, durable, known, err := l.check.open(l)
	if err != nil {
		return err
	}
	segs, err := l.openSegments(rep)
	if err != nil {
		return err
	}
	if !known {
		if released, durable = 0, 0; len(segs) > 0 {
			released = segs[0].first - 1
			rep.Resent++
		}
	}
	var below []*segment
	for len(segs) > 1 && segs[1].first <= released+1 {
		below, segs = append(below, segs[0]), segs[1:]
	}
	scans := make([]*scan, len(segs))
	durable = max(durable, released)
	limit := func(i int) uint64 {
		if i+1 < len(segs) {
			return segs[i+1].first
		}
		return math.MaxUint64
	}
	for i, seg := range segs {
		scans[i] = l.scanSegment(seg, released, limit(i))
		durable = max(durable, seg.durable, scans[i].durable)
	}

	// The first record that is missing decides: below what is known to have been
	// durable it is damage; above, it is the end, and everything after it was
	// part of a batch that nobody acknowledged. A gap after a segment that was
	// written whole, by an earlier repair, was counted then.
	next, cut := released+1, uint64(math.MaxUint64)
	counted := false
	for i, seg := range segs {
		for _, run := range scans[i].runs {
			from, to := seg.first+run.from, seg.first+run.to
			if to <= next {
				continue
			}
			if from > next {
				if next > durable {
					cut = next
					break
				}
				if !counted {
					l.lost += from - next
				}
				if l.live == 0 {
					released = from - 1
				}
			}
			l.live += int64(to - max(from, next))
			next = to
		}
		if cut < math.MaxUint64 {
			break
		}
		counted = scans[i].complete(seg)
	}
	end, proven := next, durable // of what is there, and of what must be
	if next <= durable && cut == math.MaxUint64 {
		if !counted {
			l.lost += durable + 1 - next
		}
		if next = durable + 1; l.live == 0 {
			released = durable
		}
	}
	rep.Lost += l.lost
	l.acked, l.next, l.stored, l.cur.seq = released, next, next-1, released+1
	if err := l.syncFound(segs); err == nil {
		durable = next - 1
	} else {
		l.opt.Logger.Error("recovered segments can't be synced", "uplink", l.uplink, "log", logNames[l.id], "error", err)
	}
	l.synced, l.durable = durable, durable
	if cut < math.MaxUint64 {
		rep.Torn++
	}
	if len(segs) > 0 { // what is freed must be below a checkpoint that is durable
		if err := l.check.write(l, released, l.durable, true); err != nil {
			return err
		}
	}
	l.marked = released
	for _, seg := range below {
		if err := l.giveUp(seg); err != nil {
			return err
		}
	}
	if err := l.adopt(segs, scans, end, proven, rep); err != nil {
		return err
	}
	if l.isData() {
		rep.Records += l.live
	}
	l.compact()
	return nil
}

// syncFound makes what recovery read durable: a process that was killed may
// have left it in the page cache only.
func (l *log) syncFound(segs []*segment) error {
	for _, seg := range segs {
		if err := seg.f.Datasync(); err != nil {
			return fmt.Errorf("fdatasync %s: %w", seg.path, err)
		}
	}
	return durable.SyncDir(l.dir)
}

// adopt makes the segments that were found the log's, below sequence number
// end. Records up to durable are known to have been so.
func (l *log) adopt(segs []*segment, scans []*scan, end, durable uint64, rep *Recovery) error {
	l.segs = slices.Clone(segs)
	following := l.next // the record that comes after a segment, if nothing is missing
	for i, seg := range slices.Backward(segs) {
		s := scans[i]
		if n := len(s.runs); n > 0 && seg.first+s.runs[n-1].to > end {
			s = l.scanSegment(seg, l.acked, end) // what lies behind the cut must not count
		}
		n := len(s.runs)
		var err error
		switch {
		case n == 0 && (seg.first > durable || durable == l.acked), n > 0 && seg.first+s.runs[n-1].to-1 <= l.acked:
			err = l.drop(seg, l.giveUp)
		case n == 0:
			err = l.drop(seg, func(seg *segment) error { return l.setAside(seg, rep) })
		case s.complete(seg), n == 1 && s.runs[0].from == 0 && seg.first+s.runs[0].to == following:
			seg.cut(s.runs[0])
		default:
			err = l.repair(seg, s, rep)
		}
		if err != nil {
			return err
		}
		if n > 0 {
			following = seg.first + s.runs[0].from
		}
		scans[i] = s
	}
	for _, s := range scans {
		l.remember(s)
	}
	return nil
}

// complete says whether the segment holds all it was written with at once.
func (s *scan) complete(seg *segment) bool {
	return seg.known > 0 && len(s.runs) == 1 && s.runs[0].from == 0 && s.runs[0].to == seg.known
}

// cut makes a run from index 0 all there is of a segment.
func (s *segment) cut(r run) {
	s.count, s.end = r.to, r.end
	s.wcount, s.wend = s.count, s.end
}

// repair replaces a damaged segment by its valid records. If that fails the
// records before the damage stay.
func (l *log) repair(seg *segment, s *scan, rep *Recovery) error {
	if s.runs[0].from == 0 {
		seg.cut(s.runs[0])
	}
	err := l.rehome(seg, s.runs, true)
	if err == nil {
		rep.SetAside = append(rep.SetAside, seg.path+corruptSuffix)
		return nil
	}
	l.opt.Logger.Error("damaged segment can't be replaced", "uplink", l.uplink, "log", logNames[l.id], "error", err)
	if s.runs[0].from > 0 {
		return l.drop(seg, func(seg *segment) error { return l.setAside(seg, rep) })
	}
	return nil
}

// drop takes a segment out of the log and does with it what is to be done.
func (l *log) drop(seg *segment, with func(*segment) error) error {
	l.segs = slices.DeleteFunc(l.segs, func(o *segment) bool { return o == seg })
	seg.gone = true
	return with(seg)
}

// remember takes over what a scan collected.
func (l *log) remember(s *scan) {
	l.grants.mu.Lock()
	for kid, n := range s.kids {
		l.grants.get(kid).refs += n
	}
	l.grants.mu.Unlock()
	for i, g := range s.grants {
		l.grants.store(g.kid, g.seq, s.at[i], time.Time{})
	}
	maps.Copy(l.newest, s.newest) // scans are remembered in order
	l.aging = l.aging || s.aging
	for _, d := range s.strikes {
		l.strike(d[0], d[1])
	}
}

// openSegments opens the files of the log in order. Those that hold no record
// of it are freed, those with a damaged header set aside.
func (l *log) openSegments(rep *Recovery) ([]*segment, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var segs []*segment
	var evidence []string
	for _, e := range entries {
		path := filepath.Join(l.dir, e.Name())
		if strings.HasSuffix(e.Name(), corruptSuffix) {
			evidence = append(evidence, path)
		}
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		first, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil {
			continue
		}
		seg, err := l.openSegment(path)
		switch {
		case errors.Is(err, errNoHeader) || err == nil && seg.first != first:
			// Renamed, but its header was never durable: nothing of it was acknowledged.
			err = l.giveUp(seg)
		case errors.Is(err, errHeader):
			err = l.setAside(seg, rep)
		case err == nil:
			segs = append(segs, seg)
		}
		if err != nil {
			return nil, fmt.Errorf("recover %s: %w", path, err)
		}
	}
	for len(evidence) > maxEvidence { // names sort by age
		if err := os.Remove(evidence[0]); err != nil {
			return nil, err
		}
		evidence = evidence[1:]
	}
	slices.SortFunc(segs, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	return segs, nil
}

// openSegment opens one file; seg is usable for giveUp and setAside also with
// an error of its header.
func (l *log) openSegment(path string) (*segment, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	seg := &segment{path: path, size: info.Size()}
	if seg.f, err = l.opt.open(path); err != nil {
		return nil, err
	}
	l.pool.adopt()
	l.books.took(l.id)
	sector := make([]byte, headerSize)
	if _, err := seg.f.ReadAt(sector, 0); err != nil {
		return seg, errHeader
	}
	h, c, err := openHeader(sector, segmentMagic, l.keys)
	if err != nil {
		return seg, err
	}
	if h.log != l.id || h.uplink != l.uplink {
		return seg, errHeader
	}
	seg.c, seg.first, seg.known, seg.durable = c, h.first, h.count, h.durable
	return seg, nil
}

// giveUp frees a segment without records.
func (l *log) giveUp(seg *segment) error {
	l.books.gave(l.id)
	return errors.Join(seg.f.Close(), l.pool.put(seg.path, seg.size))
}

// setAside keeps a damaged segment out of the log.
func (l *log) setAside(seg *segment, rep *Recovery) error {
	l.books.gave(l.id)
	l.pool.forget()
	to := seg.path + corruptSuffix
	rep.SetAside = append(rep.SetAside, to)
	return errors.Join(seg.f.Close(), os.Rename(seg.path, to))
}
