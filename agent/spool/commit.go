package spool

import (
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// An Entry is one record for one uplink. A grant goes to the control log
// whatever its lane.
type Entry struct {
	Uplink int
	Lane   uint8
	Record Record
	// Safe, if set, is called once after Commit took the entry, with nil when the
	// record is durable; from any goroutine, perhaps before Commit returns. It must
	// not block or call the spool. The cursor may have the record before. With
	// Options.Linger it may wait in memory till then, and Safe is called when it is
	// released there, too. An error says that the record could not be made durable:
	// it may be sent, and must not be acknowledged. After an error of Commit it means
	// nothing.
	Safe func(error)
	// NoSync leaves out the fdatasync unless another entry of the log asks for
	// it: QoS 0. It does not hold for grants.
	NoSync bool
	// Reservation is shared by all entries of a message, which go into one
	// Commit. Without one the entry fails with ErrFull when there is no space.
	Reservation Reservation
}

// part is what one Commit gives to one log.
type part struct {
	log    *log
	recs   []*Record
	safe   []func(error) // of each record, or nil
	bytes  int64
	sync   bool // if it is written
	now    bool // some record must be durable when Commit returns
	memory bool // is kept there
	behind bool // is flushed after Commit returned
	err    error
}

// Commit writes the entries to their logs, in order, and returns when they are
// durable, those with Safe excepted: these are flushed, with what is written
// meanwhile, while the next Commit runs; with Options.Linger it may only take
// them. Grants that the control log does not hold yet come first and are
// durable before anything else is written; the others are left out. It ends the
// reservations of the entries.
//
// After an error nothing may be acknowledged. Some of the entries may be
// durable nevertheless, and will be sent: those of one uplink but not of
// another. Reservations stay, for another Commit or Cancel.
//
// Calls are taken one at a time; one committer that collects what arrives while
// the last batch is written gets the most out of each fdatasync. The records
// belong to the spool from then on; the slice does not.
func (s *Spool) Commit(entries []Entry) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	defer func() {
		s.end(s.ending)
		clear(s.ending)
		s.ending = s.ending[:0]
	}()
	if err := s.admit(entries); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	now := s.opt.time()
	defer s.split(nil, false, now) // forget the records
	for _, control := range [...]bool{true, false} {
		s.split(entries, control, now)
		if !control {
			s.choose()
			s.postpone()
		}
		if err := s.writeParts(now); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	for i := range s.parts {
		if p := &s.parts[i]; p.memory {
			p.log.take(p.recs, p.safe, now)
			continue
		}
		for _, safe := range s.parts[i].safe {
			if safe != nil && !s.parts[i].behind {
				safe(nil)
			}
		}
	}
	for i := range entries {
		s.ending = append(s.ending, entries[i].Reservation)
	}
	return nil
}

// admit checks all entries and reserves for those that did not, until Commit
// ends.
func (s *Spool) admit(entries []Entry) error {
	for i := range entries {
		e := &entries[i]
		if e.Uplink < 0 || e.Uplink >= len(s.uplinks) || e.Lane >= laneCount {
			return fmt.Errorf("entry %d: no such log", i)
		}
		if err := e.Record.check(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		size := Size(&e.Record)
		if size > s.maxFrame {
			return fmt.Errorf("entry %d has %d bytes, at most %d: %w", i, size, s.maxFrame, ErrTooLarge)
		}
		if e.Record.Kind == KindGrant {
			continue
		}
		if r := e.Reservation.r; r != nil && !r.done && r.mask&(1<<e.Uplink) != 0 && r.lane == logID(e.Lane) && r.bytes >= int64(size) {
			continue
		}
		r, ok := s.Reserve(1<<e.Uplink, e.Lane, size)
		if !ok {
			return fmt.Errorf("entry %d: %w", i, ErrFull)
		}
		s.ending = append(s.ending, r)
	}
	return nil
}

// split sorts the entries into parts: the grants that are new, or the rest.
func (s *Spool) split(entries []Entry, control bool, now time.Time) {
	for i := range s.parts {
		clear(s.parts[i].recs) // keep no payload alive
		clear(s.parts[i].safe)
	}
	s.parts = s.parts[:0]
	var seen map[crypto.KID]UplinkMask
	for i := range entries {
		e := &entries[i]
		if (e.Record.Kind == KindGrant) != control {
			continue
		}
		u := s.uplinks[e.Uplink]
		l := u.logs[e.Lane]
		if control {
			kid := e.Record.KIDs[0]
			if seen[kid]&(1<<e.Uplink) != 0 || u.grants.has(kid, now) {
				continue
			}
			if seen == nil {
				seen = map[crypto.KID]UplinkMask{}
			}
			seen[kid] |= 1 << e.Uplink
			l = u.logs[logControl]
		}
		p := s.part(l)
		p.recs = append(p.recs, &e.Record)
		p.sync = p.sync || control || !e.NoSync
		if !control && s.opt.Linger > 0 {
			p.bytes += int64(Size(&e.Record))
		}
		if !control {
			p.safe = append(p.safe, e.Safe)
			p.now = p.now || !e.NoSync && e.Safe == nil
		}
	}
}

// choose decides which parts are kept in memory. What waits there already is
// written first when both together are too much.
func (s *Spool) choose() {
	if s.opt.Linger > 0 && !s.settled.Load() && !s.fit() {
		s.spill()
		s.fit()
	}
}

// postpone marks the parts that are flushed behind: where everybody who waits is
// told.
func (s *Spool) postpone() {
	behind := s.opt.Linger == 0 && !s.settled.Load()
	for i := range s.parts {
		p := &s.parts[i]
		p.behind = behind && p.sync && !p.now
	}
}

func (p *part) write(now time.Time) {
	if p.behind {
		p.err = p.log.writeBehind(p.recs, p.safe, now)
		return
	}
	p.err = p.log.write(p.recs, p.sync, now)
}

// fit marks the parts that memory has room for, and reports whether that is all
// that may wait there.
func (s *Spool) fit() bool {
	room, all := s.opt.Memory-s.meter.memory.Load(), true
	for i := range s.parts {
		p := &s.parts[i]
		p.memory = false
		if p.now || !p.log.flows() {
			continue
		}
		if p.memory = p.bytes <= room; p.memory {
			room -= p.bytes
		} else {
			all = false
		}
	}
	return all
}

// part returns the part for a log.
func (s *Spool) part(l *log) *part {
	for i := range s.parts {
		if s.parts[i].log == l {
			return &s.parts[i]
		}
	}
	n := len(s.parts)
	if n < cap(s.parts) {
		s.parts = s.parts[:n+1] // with the room of an earlier batch
	} else {
		s.parts = append(s.parts, part{})
	}
	s.parts[n] = part{log: l, recs: s.parts[n].recs[:0], safe: s.parts[n].safe[:0]}
	return &s.parts[n]
}

// writeParts writes to all logs at the same time.
func (s *Spool) writeParts(now time.Time) error {
	var wg sync.WaitGroup
	var last *part
	for i := range s.parts {
		p := &s.parts[i]
		if p.memory {
			continue
		}
		if last != nil {
			other := last
			wg.Go(func() { other.write(now) })
		}
		last = p
	}
	if last != nil {
		last.write(now)
	}
	wg.Wait()
	for i := range s.parts {
		if err := s.parts[i].err; err != nil {
			return err
		}
	}
	return nil
}
