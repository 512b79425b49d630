package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// ErrDamaged wraps what Verify has to say about a segment.
var ErrDamaged = errors.New("damaged segment")

// SegmentInfo describes one segment file, without any of its content.
type SegmentInfo struct {
	Uplink  string
	Log     string // normal, high, low, control, quarantine
	Path    string
	First   uint64 // sequence number of its first record
	Records uint64 // valid ones
	Waiting uint64 // of those, above the checkpoint
	Bytes   int64
	Damage  error // wraps ErrDamaged or ErrKey; nil: sound
}

// Meta is what may be shown of a record: its envelope, never its payload.
type Meta struct {
	Uplink  string
	Log     string
	Seq     uint64
	ID      [16]byte
	Kind    Kind
	Grade   uint8
	QoS     uint8
	Retain  bool
	KIDs    []crypto.KID
	Topic   string // as published
	Bytes   int    // of the payload
	Reason  string // of quarantine
	Stored  time.Time
	Waiting bool // above the checkpoint
}

// Verify reads every segment of every uplink in a directory, whole, and changes
// nothing. The first key is the spool's, the others are old ones. A spool in
// use may be read: what was written a moment ago may be missing. The error says
// that the directory could not be read; damage is in the answer.
func Verify(dir string, keys ...*crypto.SecretKey) ([]SegmentInfo, error) {
	var infos []SegmentInfo
	err := inspect(dir, keys, func(i SegmentInfo, _ func(func(Meta, error) bool) bool) bool {
		infos = append(infos, i)
		return true
	})
	return infos, err
}

// Dump yields the metadata of all valid records, in order within each log.
func Dump(dir string, keys ...*crypto.SecretKey) iter.Seq2[Meta, error] {
	return func(yield func(Meta, error) bool) {
		stopped := false
		err := inspect(dir, keys, func(_ SegmentInfo, records func(func(Meta, error) bool) bool) bool {
			stopped = !records(yield)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Meta{}, err)
		}
	}
}

// inspect visits the segments of a spool. records walks through one of them; it
// and visit return false to stop.
func inspect(dir string, keys []*crypto.SecretKey, visit func(i SegmentInfo, records func(func(Meta, error) bool) bool) bool) error {
	if len(keys) == 0 {
		return errors.New("inspect spool: key is required")
	}
	ks, err := newKeySet(keys[0], keys[1:])
	if err != nil {
		return fmt.Errorf("inspect spool: %w", err)
	}
	uplinks, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("inspect spool: %w", err)
	}
	for _, u := range uplinks {
		for id := range logsByUplink {
			if !u.IsDir() {
				continue
			}
			l := &log{keys: ks, id: logID(id), dir: filepath.Join(dir, u.Name(), logNames[id]), uplink: u.Name()}
			more, err := l.inspect(visit)
			if err != nil {
				return fmt.Errorf("inspect spool: %w", err)
			}
			if !more {
				return nil
			}
		}
	}
	return nil
}

// inspect visits the segments of one log, which is not open.
func (l *log) inspect(visit func(SegmentInfo, func(func(Meta, error) bool) bool) bool) (more bool, err error) {
	released, err := l.peekCheckpoint()
	if err != nil {
		return false, err
	}
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var segs []*segment
	damage := map[*segment]error{}
	defer func() {
		for _, seg := range segs {
			if seg.f != nil {
				_ = seg.f.Close() // only read
			}
		}
	}()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), segmentSuffix) {
			continue
		}
		seg, err := l.peekSegment(filepath.Join(l.dir, e.Name()))
		if errors.Is(err, errNoHeader) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		segs = append(segs, seg)
		damage[seg] = err
	}
	slices.SortStableFunc(segs, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	for i, seg := range segs {
		info := SegmentInfo{Uplink: l.uplink, Log: logNames[l.id], Path: seg.path, First: seg.first, Damage: damage[seg]}
		end := uint64(math.MaxUint64)
		if i+1 < len(segs) {
			end = segs[i+1].first
		}
		var s scan
		if info.Damage == nil {
			s = *l.scanSegment(seg, math.MaxUint64, end)
		}
		valid := seg.first
		for _, run := range s.runs {
			info.Records += run.to - run.from
			info.Bytes += run.end - run.off
			valid = max(valid, seg.first+run.to)
			if above := seg.first + run.to; above > released+1 {
				info.Waiting += above - max(released+1, seg.first+run.from)
			}
		}
		switch last := i == len(segs)-1; {
		case info.Damage != nil, s.complete(seg):
		case len(s.runs) > 1, len(s.runs) == 1 && s.runs[0].from > 0:
			info.Damage = fmt.Errorf("%w: records are missing between others", ErrDamaged)
		case !last && valid < end && end > released+1 || last && valid <= s.durable:
			info.Damage = fmt.Errorf("%w: records are missing at the end", ErrDamaged)
		}
		if !visit(info, func(yield func(Meta, error) bool) bool { return l.metas(seg, s.runs, released, yield) }) {
			return false, nil
		}
	}
	return true, nil
}

func (l *log) peekCheckpoint() (released uint64, err error) {
	f, err := os.Open(filepath.Join(l.dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h, _, err := readCheckpoint(f, l.keys, l.id, l.uplink)
	if errors.Is(err, ErrKey) || h.count == 0 {
		return 0, nil // the segments say so too
	}
	return h.first - 1, err
}

// peekSegment opens a file for reading. The segment has a path also after an
// error.
func (l *log) peekSegment(path string) (*segment, error) {
	seg := &segment{path: path}
	f, err := os.Open(path)
	if err != nil {
		return seg, err
	}
	seg.f = osFile{f}
	info, err := f.Stat()
	if err != nil {
		return seg, err
	}
	seg.size = info.Size()
	sector := make([]byte, headerSize)
	if _, err := f.ReadAt(sector, 0); err != nil {
		return seg, fmt.Errorf("%w: no header", ErrDamaged)
	}
	h, c, err := openHeader(sector, segmentMagic, l.keys)
	switch {
	case errors.Is(err, errHeader) || err == nil && (h.log != l.id || h.uplink != l.uplink):
		return seg, fmt.Errorf("%w: header", ErrDamaged)
	case err != nil:
		return seg, err
	}
	seg.c, seg.first, seg.known, seg.durable = c, h.first, h.count, h.durable
	return seg, nil
}

// metas yields what may be shown of the records in the runs.
func (l *log) metas(seg *segment, runs []run, released uint64, yield func(Meta, error) bool) bool {
	var r frameReader
	for _, run := range runs {
		at := loc{seg, run.off, run.from}
		for at.index < run.to {
			rec, _, end, err := l.read(&r, at, run.end)
			if err != nil {
				return yield(Meta{}, fmt.Errorf("read %s: %w", seg.path, err))
			}
			m := Meta{
				Uplink: l.uplink, Log: logNames[l.id], Seq: at.seq(), ID: rec.ID, Kind: rec.Kind, Grade: rec.Grade,
				QoS: rec.QoS, Retain: rec.Retain, KIDs: rec.KIDs, Topic: rec.Topic, Bytes: len(rec.Payload),
				Reason: rec.Reason, Stored: rec.Stored, Waiting: at.seq() > released,
			}
			if rec.Kind != kindDiscard && !yield(m, nil) {
				return false
			}
			at = at.after(end)
		}
	}
	return true
}
