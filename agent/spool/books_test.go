package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestReservedAlwaysFits reserves at random until nothing more goes, and then
// commits all of it in another order: none may fail.
func TestReservedAlwaysFits(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := small(t, t.TempDir())
		o.MaxRecord = 60 << 10
		s := quiet(t, o)
		top := 1 << (8 + seed)
		var es []Entry
		for n := uint64(0); ; n++ {
			r := data(n, min(rng.IntN(top), 60<<10))
			lane := uint8(rng.IntN(laneCount))
			res, ok := s.Reserve(1, lane, Size(&r))
			if !ok && lane == 1 {
				break
			}
			if ok {
				es = append(es, Entry{Lane: lane, Record: r, Reservation: res})
			}
			if rng.IntN(200) == 0 && len(es) > 20 { // some are written in between
				if err := put(s, es[:20]); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				es = es[20:]
			}
		}
		rng.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
		for batch := range slices.Chunk(es, 1+rng.IntN(100)) {
			if err := put(s, batch); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		s.spill() // none may be without space then, either
		st := s.Stats()
		if fill := float64(st.Bytes) / float64(st.Limit); fill < 0.3 || fill > 1 {
			t.Errorf("seed %d: filled to %.2f", seed, fill)
		}
		for _, a := range s.uplinks[0].books.lanes {
			if a.bytes != 0 || a.records != 0 {
				t.Fatalf("seed %d: still promised: %+v", seed, a)
			}
		}
		if err := s.closeFiles(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReserveIsAllOrNothing(t *testing.T) {
	o := small(t, t.TempDir())
	o.Uplinks, o.Size = []string{"dead", "live"}, 4<<20
	s := mustOpen(t, o)
	defer mustClose(t, s)
	var n uint64
	for ; ; n++ {
		rec := data(n, 9<<10)
		r, ok := s.Reserve(1, 0, Size(&rec))
		if !ok {
			break
		}
		if err := put(s, []Entry{{Uplink: 0, Record: rec, Reservation: r}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := s.Reserve(0b11, 0, 10<<10); ok {
		t.Fatal("reserved in a full log")
	}
	if got := s.uplinks[1].books.lanes[0]; got.bytes != 0 || got.records != 0 {
		t.Fatalf("the other uplink kept a part: %+v", got)
	}
	if _, ok := s.Reserve(0b10, 0, 10<<10); !ok {
		t.Fatal("a dead uplink holds another's disk")
	}
	if err := put(s, []Entry{{Uplink: 0, Record: data(n, 9<<10)}}); !errors.Is(err, ErrFull) {
		t.Fatalf("commit without space: %v", err)
	}
	if l := s.Level(0); l < 0.85 || l > 1 {
		t.Errorf("level %.2f", l)
	}
	// The ladder: low was closed first, high is still open.
	if _, ok := s.Reserve(1, 2, 10<<10); ok {
		t.Error("the low lane is open on a full spool")
	}
	r, ok := s.Reserve(1, 1, 10<<10)
	if !ok {
		t.Error("the high lane has no reserve")
	}
	s.Cancel(r)
	s.Cancel(r)
	// Space comes back when the cursor releases.
	changed := s.Changed()
	c := cursor(t, s, 0, 0)
	_, ps := drain(t, c)
	for _, p := range ps {
		c.Release(p)
	}
	for deadline := time.After(5 * time.Second); ; changed = s.Changed() {
		if _, ok := s.Reserve(0b11, 0, 10<<10); ok {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("space did not come back")
		}
	}
}

func TestTooLarge(t *testing.T) {
	s := mustOpen(t, small(t, t.TempDir()))
	defer mustClose(t, s)
	r := data(1, s.MaxRecord())
	if _, ok := s.Reserve(1, 0, Size(&r)); !ok {
		t.Error("a record that is too large waits for ever in Reserve")
	}
	if err := put(s, []Entry{{Record: data(0, 10)}, {Record: r}}); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("commit: %v", err)
	}
	if ns, _ := drain(t, cursor(t, s, 0, 0)); len(ns) != 0 {
		t.Fatalf("something of it was written: %v", ns)
	}
	r.Payload = r.Payload[:len(r.Payload)-(Size(&r)-s.MaxRecord())]
	if err := put(s, []Entry{{Record: r}}); err != nil {
		t.Fatalf("the largest: %v", err)
	}
	ns, _ := drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 1, 2)
}

func TestLayout(t *testing.T) {
	for _, tc := range []struct{ quota, record, segment, total int64 }{
		{256 << 20, 2 << 20, 4 << 20, 64},
		{64 << 20, 2 << 20, 2<<20 + 4096, 31},
		{8 << 20, 2 << 20, 512 << 10, 16},
		{1 << 20, 2 << 20, 64 << 10, 16},
		{2 << 20, 1 << 10, 64 << 10, 32},
	} {
		seg, c := layout(tc.quota, int(tc.record))
		if seg != tc.segment || c.total != int(tc.total) || c.lanes(c.total) < laneCount+1 {
			t.Errorf("layout(%d, %d) = %d, %+v", tc.quota, tc.record, seg, c)
		}
	}
}

// TestConcurrently has one committer, other reservers, and for each lane a
// sender that releases out of order from other goroutines and rewinds.
func TestConcurrently(t *testing.T) {
	o := small(t, filepath.Join(t.TempDir(), "a", "b"))
	o.Uplinks, o.Size, o.Checkpoint = []string{"one", "two"}, 4<<20, 2*time.Millisecond
	s := mustOpen(t, o)
	const each = 1500
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	entries := make(chan []Entry, 64)
	var ingress, rest sync.WaitGroup
	for lane := range uint8(laneCount) {
		ingress.Go(func() {
			for n := uint64(0); n < each; {
				changed := s.Changed()
				r, ok := s.Reserve(0b11, lane, 2000)
				if !ok {
					select {
					case <-changed:
						continue
					case <-ctx.Done():
						t.Error("no space")
						return
					}
				}
				if n%10 == 3 {
					s.Cancel(r)
					r = Reservation{}
					if r, ok = s.Reserve(0b11, lane, 1500); !ok {
						continue
					}
				}
				e := under(0, n, byte(n/100))
				e.Record.Topic = fmt.Sprint("t/", n) // of its own, so that the log "latest" keeps it
				e.Lane, e.Reservation, e.NoSync = lane, r, n%3 == 0
				f := e
				f.Uplink = 1
				g := grantEntry(0, byte(n/100))
				h := grantEntry(1, byte(n/100))
				entries <- []Entry{g, h, e, f}
				n++
			}
		})
	}
	rest.Go(func() {
		for es := range entries {
			for more := true; more && len(es) < 200; {
				select {
				case e, ok := <-entries:
					es, more = append(es, e...), ok
				default:
					more = false
				}
			}
			if err := put(s, es); err != nil {
				t.Error(err)
			}
		}
	})
	var resent atomic.Int64
	for uplink := range 2 {
		for lane := range uint8(laneCount) {
			c := cursor(t, s, uplink, lane)
			c.Rewind() // or the housekeeping reads the log "latest", too
			rest.Go(func() {
				var acks sync.WaitGroup
				defer acks.Wait()
				rng := rand.New(rand.NewPCG(uint64(uplink), uint64(lane)))
				next := uint64(0)
				var window []Pos
				flush := func() {
					ps := slices.Clone(window)
					window = window[:0]
					rng.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
					acks.Go(func() {
						for _, p := range ps {
							c.Release(p)
						}
					})
				}
				for next < each {
					r, p, err := c.Wait(ctx)
					if err != nil {
						t.Errorf("uplink %d lane %d at %d: %v", uplink, lane, next, err)
						return
					}
					switch n := number(r); {
					case n == next:
						next++
					case n > next:
						t.Errorf("uplink %d lane %d: %d after %d", uplink, lane, n, next-1)
						return
					default:
						resent.Add(1)
					}
					if g, err := s.Grant(uplink, r.KIDs[0]); err != nil || g == nil {
						t.Errorf("no grant for a record: %v", err)
						return
					}
					if window = append(window, p); len(window) == 30 {
						if rng.IntN(5) == 0 {
							window = window[:0]
							c.Rewind()
							continue
						}
						flush()
					}
				}
				c.Rewind()
				acks.Wait()
				for {
					_, p, ok, err := c.Next()
					if err != nil {
						t.Error(err)
					}
					if !ok {
						return
					}
					c.Release(p)
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				_ = s.Stats()
			}
		}
	}()
	ingress.Wait()
	close(entries)
	rest.Wait()
	close(done)
	if st := s.Stats(); st.Records != 0 || st.Lost != 0 {
		t.Errorf("%d records left, %d lost", st.Records, st.Lost)
	}
	for i, u := range s.uplinks {
		for k, g := range u.grants.keys {
			if g.refs != 0 {
				t.Errorf("uplink %d: key %x still needed %d times", i, k[0], g.refs)
			}
		}
	}
	mustClose(t, s)
	if resent.Load() == 0 {
		t.Error("nothing was ever rewound")
	}
	s = mustOpen(t, o)
	defer mustClose(t, s)
	if rep := s.Recovery(); rep.Records != 0 || rep.Lost != 0 {
		t.Errorf("recovery: %+v", rep)
	}
}

func TestOptions(t *testing.T) {
	good := small(t, t.TempDir())
	for name, change := range map[string]func(*Options){
		"no directory":   func(o *Options) { o.Dir = "" },
		"no uplink":      func(o *Options) { o.Uplinks = nil },
		"a path":         func(o *Options) { o.Uplinks = []string{"../x"} },
		"hidden":         func(o *Options) { o.Uplinks = []string{".x"} },
		"twice":          func(o *Options) { o.Uplinks = []string{"x", "x"} },
		"no key":         func(o *Options) { o.Key = nil },
		"negative":       func(o *Options) { o.Size = -1 },
		"65 uplinks":     func(o *Options) { o.Uplinks = make([]string, 65) },
		"an empty name":  func(o *Options) { o.Uplinks = []string{""} },
		"a lasting name": func(o *Options) { o.Uplinks = []string{fmt.Sprintf("%065d", 0)} },
	} {
		o := good
		change(&o)
		if s, err := Open(o); err == nil {
			mustClose(t, s)
			t.Errorf("%s: opened", name)
		}
	}
	s := mustOpen(t, good)
	defer mustClose(t, s)
	if _, err := Open(good); err == nil {
		t.Error("opened twice")
	}
	if _, err := s.Cursor(0, 4); err == nil {
		t.Error("a fifth lane")
	}
	if _, err := s.Cursor(1, 0); err == nil {
		t.Error("a second uplink")
	}
}
