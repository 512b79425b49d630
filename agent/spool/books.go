package spool

import (
	"math/bits"
	"sync"
)

// UplinkMask is a set of uplinks: bit i is Options.Uplinks[i].
type UplinkMask uint64

// A Reservation holds space for one message in the logs of several uplinks. The
// zero value holds nothing.
type Reservation struct{ r *reservation }

type reservation struct {
	mask  UplinkMask
	lane  logID
	bytes int64 // in each log
	done  bool
}

// The share of an uplink's segments that a lane may fill, in percent. What is
// above it is for lanes of more importance.
var laneCeiling = [laneCount]int{95, 100, 85, 95} // normal, high, low, latest

// books keeps the accounts of one uplink: which segments its lanes have, and
// what is promised to messages that are not yet written. All books of a spool
// share one lock, so that a reservation over several uplinks is one step.
type books struct {
	mu *sync.Mutex

	segment int64 // bytes for records in one segment
	limit   int   // segments for the lanes together
	used    int
	lanes   [laneCount]account
}

// account is what one lane holds and has promised.
type account struct {
	tail    int64 // bytes left in the segment that is appended to
	bytes   int64 // promised
	records int   // promised
	classes [33]int
}

// largest bounds the size of the promised records from above.
func (a *account) largest(limit int64) int64 {
	for i := len(a.classes) - 1; i >= 0; i-- {
		if a.classes[i] > 0 {
			return min(limit, 1<<i-1)
		}
	}
	return 0
}

// segments is how many more segments are enough for all that is promised, in
// whatever order it comes. A segment may end with a gap that is one byte too
// short for the next record.
func (a *account) segments(capacity int64) int {
	if a.records == 0 {
		return 0
	}
	largest := a.largest(capacity)
	rest := a.bytes - max(0, a.tail-largest)
	if rest <= 0 || a.bytes <= a.tail {
		return 0
	}
	n := int64(a.records)            // one each
	n = min(n, 2*a.bytes/capacity+1) // two in a row hold more than one segment
	if usable := capacity - largest; usable > 0 {
		n = min(n, (rest+usable-1)/usable)
	}
	return int(n)
}

func (a *account) add(bytes int64, n int) {
	a.bytes += bytes * int64(n)
	a.records += n
	a.classes[bits.Len64(uint64(bytes))] += n
}

// promised is how many segments all lanes will need for what is reserved.
func (b *books) promised() (n int) {
	for i := range b.lanes {
		n += b.lanes[i].segments(b.segment)
	}
	return n
}

// try reserves in one uplink. Callers hold mu.
func (b *books) try(lane logID, bytes int64) bool {
	a := &b.lanes[lane]
	before := a.segments(b.segment)
	a.add(bytes, 1)
	if a.segments(b.segment) == before {
		return true // no further segment
	}
	if ceiling := max(1, b.limit*laneCeiling[lane]/100); b.used+b.promised() <= ceiling {
		return true
	}
	a.add(bytes, -1)
	return false
}

// hold promises space to a record that waits in memory: of what was reserved
// for its message, before that ends. With n = -1 it needs none any more.
func (b *books) hold(id logID, bytes int64, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes[id].add(bytes, n)
}

func (b *books) took(id logID) { b.move(id, 1) }

func (b *books) gave(id logID) { b.move(id, -1) }

func (b *books) move(id logID, n int) {
	if id >= laneCount {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
}

// tail notes how much room the segment that is appended to has.
func (b *books) tail(id logID, bytes int64) {
	if id >= laneCount {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes[id].tail = bytes
}

// Reserve promises space for one record of at most that many bytes (see Size)
// in the lane's log of every uplink of the mask, or of none. It never blocks:
// when it returns false, wait for Changed. A record that no segment holds is
// promised what a segment has, so that it fails in Commit and not here for
// ever: compare Size with MaxRecord.
func (s *Spool) Reserve(uplinks UplinkMask, lane uint8, bytes int) (Reservation, bool) {
	if lane >= laneCount || uplinks>>len(s.uplinks) != 0 {
		return Reservation{}, false
	}
	r := &reservation{mask: uplinks, lane: logID(lane), bytes: int64(max(0, min(bytes, s.maxFrame)))}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	for i, u := range s.uplinks {
		if uplinks&(1<<i) == 0 || u.books.try(r.lane, r.bytes) {
			continue
		}
		r.mask &= 1<<i - 1 // those before it
		if s.opt.EvictLow && r.lane != logLow && !u.starved.Swap(true) {
			s.opt.kick()
		}
		s.giveBack(r)
		return Reservation{}, false
	}
	return Reservation{r}, true
}

// Cancel gives back what a reservation still holds: nothing after the Commit of
// its entries, or after another Cancel.
func (s *Spool) Cancel(r Reservation) { s.end([]Reservation{r}) }

func (s *Spool) end(rs []Reservation) {
	held := false
	s.accounts.Lock()
	for _, r := range rs {
		if r.r != nil {
			held = held || !r.r.done
			s.giveBack(r.r)
		}
	}
	s.accounts.Unlock()
	if held {
		s.changed.notify()
	}
}

// giveBack ends a reservation. Callers hold accounts.
func (s *Spool) giveBack(r *reservation) {
	if r.done {
		return
	}
	r.done = true
	for i, u := range s.uplinks {
		if r.mask&(1<<i) != 0 {
			u.books.lanes[r.lane].add(r.bytes, -1)
		}
	}
}

// Changed returns a channel that is closed when space may have become free. Ask
// for it before Reserve, so that no change is missed.
func (s *Spool) Changed() <-chan struct{} { return s.changed.wait() }

// A notifier wakes all who wait, once.
type notifier struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
