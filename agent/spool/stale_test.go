package spool

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

const latestLane = uint8(logLatest)

// topic commits record number n on a topic of the log "latest".
func topic(t *testing.T, s *Spool, name string, n uint64, size int) {
	t.Helper()
	r := data(n, size)
	r.Topic = name
	res, ok := s.Reserve(1, latestLane, Size(&r))
	for end := time.Now().Add(20 * time.Second); !ok; res, ok = s.Reserve(1, latestLane, Size(&r)) {
		if time.Now().After(end) {
			t.Fatalf("no space for record %d", n)
		}
		select {
		case <-s.Changed():
		case <-time.After(time.Millisecond):
		}
	}
	if err := put(s, []Entry{{Lane: latestLane, Record: r, Reservation: res}}); err != nil {
		t.Fatal(err)
	}
}

// remaining reads and releases all there is.
func remaining(t *testing.T, s *Spool, lane uint8) (numbers []uint64) {
	t.Helper()
	c := cursor(t, s, 0, lane)
	for {
		rec, pos, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return numbers
		}
		if rec.Kind == KindData {
			numbers = append(numbers, number(rec))
		}
		c.Release(pos)
	}
}

// TestLatest: of what waits while nobody reads the newest of each topic is
// delivered; what comes while somebody reads is delivered whole.
func TestLatest(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, small(t, dir))
	for n, name := range []string{"a", "b", "a", "c", "a", "b"} {
		topic(t, s, name, uint64(n), 100)
	}
	if st := s.Stats().Uplinks[0].Lanes[latestLane]; uint64(st.Records)+st.Replaced != 6 {
		t.Errorf("%d records wait and %d were replaced, want 6", st.Records, st.Replaced)
	}
	mustClose(t, s)
	replaced := s.Stats().Replaced // the housekeeper may have been there
	s = mustOpen(t, small(t, dir))
	defer mustClose(t, s)
	c := cursor(t, s, 0, latestLane)
	c.Rewind()
	topic(t, s, "c", 6, 100)
	topic(t, s, "c", 7, 100)
	if got := remaining(t, s, latestLane); !reflect.DeepEqual(got, []uint64{4, 5, 6, 7}) {
		t.Errorf("delivered %v, want 4 of a, 5 of b, and 6 and 7 of c", got)
	}
	c.Pause()
	topic(t, s, "c", 8, 100)
	topic(t, s, "c", 9, 100)
	c.Rewind()
	if got := remaining(t, s, latestLane); !reflect.DeepEqual(got, []uint64{9}) {
		t.Errorf("delivered %v, want the newest", got)
	}
	if st := s.Stats(); replaced+st.Replaced != 5 || st.Records != 0 || st.Lost != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// TestLatestNeedsNoSpace lets one topic say far more than the spool holds while
// nobody reads, and others say something once. All of them keep their newest
// message, over a start, and nothing else is left.
func TestLatestNeedsNoSpace(t *testing.T) {
	dir := t.TempDir()
	o := small(t, dir)
	o.Checkpoint = time.Millisecond
	s := mustOpen(t, o)
	const quiet, loud = 40, 3000
	for n := range uint64(quiet) {
		topic(t, s, fmt.Sprint("quiet/", n), n, 3000)
	}
	for n := range uint64(loud) {
		topic(t, s, "loud", quiet+n, 3000)
	}
	segments := func() int { return s.Stats().Uplinks[0].Lanes[latestLane].Segments }
	for end := time.Now().Add(10 * time.Second); segments() > 16 && time.Now().Before(end); { // the housekeeper may be behind
		time.Sleep(time.Millisecond)
	}
	if n := segments(); n > 16 {
		t.Errorf("%d segments", n)
	}
	mustClose(t, s)
	replaced := s.Stats().Replaced
	s = mustOpen(t, o)
	defer mustClose(t, s)
	cursor(t, s, 0, latestLane).Rewind()
	seen := map[uint64]int{}
	for _, n := range remaining(t, s, latestLane) {
		seen[n]++
	}
	for n := range uint64(quiet) {
		if seen[n] != 1 {
			t.Errorf("quiet topic %d was delivered %d times", n, seen[n])
		}
	}
	if seen[quiet+loud-1] != 1 || len(seen) != quiet+1 {
		t.Errorf("%d records delivered, the newest of the loud topic %d times", len(seen), seen[quiet+loud-1])
	}
	if total := replaced + s.Stats().Replaced; total < loud-1 || total > loud-1+quiet {
		t.Errorf("%d records were replaced, want %d", total, loud-1)
	}
}

// TestRegroupStopsAtFences: a record that a fence of another lane waits for
// stays before it, and one behind a fence stays behind it.
func TestRegroupStopsAtFences(t *testing.T) {
	for name, move := range map[string]Move{
		"waited for": {From: latestLane, To: 1},
		"behind one": {From: 0, To: latestLane},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, small(t, dir))
			commit(t, s, 0, 100, 101, 100)
			topic(t, s, "moved", 1, 100)
			if err := s.Fence([]Move{move}); err != nil {
				t.Fatal(err)
			}
			for n := range uint64(100) {
				topic(t, s, "loud", 200+n, 3000)
			}
			mustClose(t, s)
			s = mustOpen(t, small(t, dir))
			defer mustClose(t, s)
			if err := s.uplinks[0].logs[logLatest].tidy(); err != nil {
				t.Fatal(err)
			}
			cursor(t, s, 0, latestLane).Rewind() // before it nobody reads, and the housekeeper does
			first, _ := next(t, s, latestLane)
			if number(first) != 1 {
				t.Errorf("record %d comes first", number(first))
			}
		})
	}
}

func TestMaxAge(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	unset := time.Unix(100, 0)
	for name, c := range map[string]struct {
		stored, opened time.Time
		want           []uint64
	}{
		"young enough":         {start, start.Add(30 * time.Minute), []uint64{0, 1, 2}},
		"too old":              {start, start.Add(2 * time.Hour), []uint64{2}},
		"clock went back":      {start, start.Add(-48 * time.Hour), []uint64{0, 1, 2}},
		"stored without clock": {unset, start, []uint64{0, 1, 2}},
		"never had a clock":    {unset, unset.Add(2 * time.Hour), []uint64{2}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small(t, t.TempDir())
			o.start = c.stored
			s := mustOpen(t, o)
			for n := range uint64(3) {
				r := data(n, 100)
				if n < 2 {
					r.MaxAge = time.Hour
				}
				if err := put(s, []Entry{{Record: r}}); err != nil {
					t.Fatal(err)
				}
			}
			mustClose(t, s)
			o.start = c.opened
			s = mustOpen(t, o)
			defer mustClose(t, s)
			if err := s.uplinks[0].logs[0].tidy(); err != nil {
				t.Fatal(err)
			}
			waiting := s.Stats().Records
			cursor(t, s, 0, 0).Rewind()
			if got := remaining(t, s, 0); !reflect.DeepEqual(got, c.want) || waiting != int64(len(c.want)) {
				t.Errorf("delivered %v of %d that waited, want %v", got, waiting, c.want)
			}
			if st := s.Stats(); st.Expired != uint64(3-len(c.want)) {
				t.Errorf("%d expired", st.Expired)
			}
		})
	}
}

// TestEvictLow fills the low lane, then the others: with EvictLow the oldest of
// the low lane make way, counted, and nothing else is touched; without, nothing
// is dropped.
func TestEvictLow(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			o := small(t, t.TempDir())
			o.EvictLow = on
			s := mustOpen(t, o)
			defer mustClose(t, s)
			fill := func(lane uint8, from uint64) (n uint64) {
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
					r := data(from+n, 4000)
					changed := s.Changed()
					res, ok := s.Reserve(1, lane, Size(&r))
					if !ok {
						select {
						case <-changed:
							continue
						case <-time.After(200 * time.Millisecond): // nobody makes way any more
							return n
						}
					}
					if err := put(s, []Entry{{Lane: lane, Record: r, Reservation: res}}); err != nil {
						t.Fatal(err)
					}
					n++
				}
				t.Fatal("it takes for ever")
				return 0
			}
			low := fill(2, 0)
			high := fill(1, 10_000)
			st := s.Stats()
			evicted := st.Evicted
			if on != (evicted > 0) || on != (high > low) || st.Lost != 0 || uint64(st.Records)+evicted != low+high {
				t.Errorf("%d low, %d high, stats %+v", low, high, st)
			}
			got := remaining(t, s, 2)
			if uint64(len(got))+evicted != low || len(got) > 0 && got[0] != evicted {
				t.Errorf("%d of %d low ones are left, from %v on", len(got), low, got[:min(1, len(got))])
			}
			if n := uint64(len(remaining(t, s, 1))); n != high {
				t.Errorf("%d of %d high ones are left", n, high)
			}
		})
	}
}
