package spool

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// grants knows which keys an uplink's records need, and where in the control
// log their grants are. A grant is kept while a record needs it, and for a
// while after the last one was committed: more may follow under the same key.
type grants struct {
	mu    sync.Mutex // guards what follows
	keys  map[crypto.KID]*grant
	order []grantAt // grants in the control log, oldest first
}

type grant struct {
	refs int       // records not yet released
	last time.Time // last commit or question
	seq  uint64    // in the control log; 0: not there
	at   loc
}

type grantAt struct {
	seq uint64
	kid crypto.KID
}

func (g *grants) get(kid crypto.KID) *grant {
	k := g.keys[kid]
	if k == nil {
		k = &grant{}
		g.keys[kid] = k
	}
	return k
}

// use counts a record that needs the keys.
func (g *grants) use(kids []crypto.KID, now time.Time) {
	if len(kids) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, kid := range kids {
		k := g.get(kid)
		k.refs++
		k.last = now
	}
}

// unuse counts a record that was released.
func (g *grants) unuse(kids []crypto.KID) {
	if len(kids) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, kid := range kids {
		k := g.keys[kid]
		if k == nil {
			continue
		}
		if k.refs--; k.refs <= 0 && k.seq == 0 {
			delete(g.keys, kid)
		}
	}
}

// store notes where a grant is.
func (g *grants) store(kid crypto.KID, seq uint64, at loc, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := g.get(kid)
	k.seq, k.at, k.last = seq, at, now
	g.order = append(g.order, grantAt{seq, kid})
}

// has says whether the grant is in the control log, and keeps it there for
// another while.
func (g *grants) has(kid crypto.KID, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := g.keys[kid]
	if k == nil || k.seq == 0 {
		return false
	}
	k.last = now
	return true
}

func (g *grants) place(kid crypto.KID) (seq uint64, at loc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k := g.keys[kid]; k != nil {
		return k.seq, k.at
	}
	return 0, loc{}
}

// expire forgets grants that nothing needs. It returns the oldest one kept in
// the control log, or 0, and how many are.
func (g *grants) expire(now time.Time, hold time.Duration) (oldest uint64, kept int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.order = slices.DeleteFunc(g.order, func(o grantAt) bool {
		k := g.keys[o.kid]
		if k == nil || k.seq != o.seq {
			return true // stored again since
		}
		if k.refs > 0 || now.Sub(k.last) < hold {
			return false
		}
		delete(g.keys, o.kid)
		return true
	})
	if len(g.order) > 0 {
		oldest = g.order[0].seq
	}
	return oldest, len(g.order)
}

// HasGrant says whether the uplink's control log holds the grant of a key. The
// answer holds for Options.GrantHold. Commit leaves out grants that are there,
// so asking first only saves their making.
func (s *Spool) HasGrant(uplink int, kid crypto.KID) bool {
	return s.uplinks[uplink].grants.has(kid, time.Now())
}

// Grant returns the grant of a key from the uplink's control log, or nil if
// there is none: then no record in the uplink's logs came with one.
func (s *Spool) Grant(uplink int, kid crypto.KID) (*Record, error) {
	u := s.uplinks[uplink]
	seq, at := u.grants.place(kid)
	if seq == 0 {
		return nil, nil
	}
	rec, err := u.logs[logControl].fetch(seq, at)
	if err != nil {
		return nil, fmt.Errorf("read grant: %w", err)
	}
	return rec, nil
}

// Grants yields the grants that an uplink's records may need, oldest first: what
// a sender publishes before anything else.
func (s *Spool) Grants(uplink int) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		u := s.uplinks[uplink]
		u.grants.mu.Lock()
		order := slices.Clone(u.grants.order)
		u.grants.mu.Unlock()
		for _, o := range order {
			rec, err := s.Grant(uplink, o.kid)
			if rec == nil && err == nil {
				continue // released meanwhile
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// retain releases the grants that nothing needs. When the control log is nearly
// full it writes those of its oldest segment again, at the end, so that one old
// record can't hold them all.
func (u *uplink) retain(now time.Time, hold time.Duration) error {
	l := u.logs[logControl]
	l.mu.Lock()
	var below, most uint64
	if len(l.segs) > 1 && len(l.segs) >= l.max {
		below, most = l.segs[0].first+l.segs[0].count, l.segs[0].count/2
	}
	l.mu.Unlock()
	if below > 0 {
		if err := u.rewrite(below, most, now); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first, kept := u.grants.expire(now, hold)
	if l.acked = l.next - 1; first > 0 {
		l.acked = first - 1
	}
	l.live = int64(kept)
	return nil
}

// gather brings the needed grants of several segments into one. Each start
// writes to a segment of its own: without this, a gateway that is killed again
// and again while its uplink is down runs out of them.
func (u *uplink) gather(now time.Time) error {
	l := u.logs[logControl]
	l.mu.Lock()
	n := len(l.segs)
	l.mu.Unlock()
	if n < 2 {
		return nil
	}
	if err := u.rewrite(math.MaxUint64, math.MaxUint64, now); err != nil {
		return err
	}
	if err := u.retain(now, 0); err != nil {
		return err
	}
	_, err := l.reclaim(true)
	return err
}

// rewrite appends the needed grants below a sequence number once more, unless
// there are more than so many: then it frees less than it takes.
func (u *uplink) rewrite(below, most uint64, now time.Time) error {
	u.grants.mu.Lock()
	var kids []crypto.KID
	for _, o := range u.grants.order {
		if k := u.grants.keys[o.kid]; o.seq < below && k != nil && k.seq == o.seq && k.refs > 0 {
			kids = append(kids, o.kid)
		}
	}
	u.grants.mu.Unlock()
	if len(kids) == 0 || uint64(len(kids)) > most {
		return nil
	}
	l := u.logs[logControl]
	var recs []*Record
	for _, kid := range kids {
		seq, at := u.grants.place(kid)
		rec, err := l.fetch(seq, at)
		if err != nil {
			return fmt.Errorf("read grant: %w", err)
		}
		recs = append(recs, rec)
	}
	return l.write(recs, true, now)
}

// fetch reads one record at any place of the log.
func (l *log) fetch(seq uint64, at loc) (*Record, error) {
	l.cur.mu.Lock() // keeps the segment from being reclaimed
	defer l.cur.mu.Unlock()
	l.mu.Lock()
	if p := l.waits(seq); p != nil && !l.closed {
		rec := *p.rec // the sender's, too
		l.mu.Unlock()
		return &rec, nil
	}
	if at.seg == nil || at.seg.gone {
		at = loc{}
		if seg := l.find(seq); seg != nil && seg.first <= seq {
			at = loc{seg: seg, index: seq - seg.first}
		}
	}
	var limit int64
	if at.seg != nil {
		limit = at.seg.end
	}
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if at.seg == nil {
		return nil, errFrame
	}
	rec, _, _, err := l.read(&l.side, at, limit)
	return rec, err
}
