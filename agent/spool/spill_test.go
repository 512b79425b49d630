package spool

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// contract is what TestContract makes other tests run with.
var contract struct{ linger time.Duration }

// TestContract runs the tests of what a spool promises once more over one that
// keeps records in memory: for as long as they last, and for so short that some
// are written and others not.
func TestContract(t *testing.T) {
	defer func() { contract.linger = 0 }()
	for name, linger := range map[string]time.Duration{"long": time.Hour, "short": time.Millisecond} {
		contract.linger = linger
		for name2, test := range map[string]func(*testing.T){
			"CommitReadReleaseReopen": TestCommitReadReleaseReopen,
			"ReservedAlwaysFits":      TestReservedAlwaysFits,
			"TooLarge":                TestTooLarge,
			"Concurrently":            TestConcurrently,
			"Fence":                   TestFence,
			"FenceWaitsForNothing":    TestFenceWaitsForNothingLost,
			"Quarantine":              TestQuarantine,
			"Latest":                  TestLatest,
			"RegroupStopsAtFences":    TestRegroupStopsAtFences,
			"EvictLow":                TestEvictLow,
			"PowerCut":                TestPowerCut,
			"PowerCutControl":         TestPowerCutControl,
			"WriteAndSyncFaults":      TestWriteAndSyncFaults,
			"NoPlaintextOnDisk":       TestNoPlaintextOnDisk,
			"ManyStarts":              TestManyStarts,
		} {
			t.Run(name+"/"+name2, test)
		}
	}
}

// A listener hears which records are safe.
type listener struct {
	mu   sync.Mutex // guards the rest
	told []uint64
	lost []uint64 // could not be made durable
}

func (l *listener) hear(n uint64) func(error) {
	return func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.lost = append(l.lost, n)
			return
		}
		l.told = append(l.told, n)
	}
}

// spilling is a spool whose reader is there.
func spilling(t *testing.T, o Options) (*Spool, *Cursor, *listener) {
	t.Helper()
	o.Linger = max(o.Linger, time.Second)
	s := mustOpen(t, o)
	return s, cursor(t, s, 0, 0), &listener{}
}

// tell commits records that note when they are safe.
func tell(t *testing.T, s *Spool, told *listener, from, to uint64) {
	t.Helper()
	var es []Entry
	for n := from; n < to; n++ {
		es = append(es, Entry{Record: data(n, 500), Safe: told.hear(n)})
	}
	if err := s.Commit(es); err != nil {
		t.Fatal(err)
	}
}

func wantTold(t *testing.T, told *listener, from, to uint64) {
	t.Helper()
	told.mu.Lock()
	defer told.mu.Unlock()
	if got := slices.Sorted(slices.Values(told.told)); !slices.Equal(got, seq(from, to)) {
		t.Fatalf("told of %v, want %d to %d", got, from, to)
	}
}

// TestReleasedIsNeverWritten: an uplink that is faster than the linger costs the
// medium nothing, and whoever waits is told with each release.
func TestReleasedIsNeverWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(t, t.TempDir())
		s, c, told := spilling(t, o)
		before := s.Stats()
		for n := uint64(0); n < 1000; n += 10 {
			tell(t, s, told, n, n+10)
			ns, ps := drain(t, c)
			wantSeq(t, ns, n, n+10)
			wantTold(t, told, 0, n)
			time.Sleep(o.Checkpoint / 2)
			for _, p := range slices.Backward(ps) { // in any order
				c.Release(p)
			}
			wantTold(t, told, 0, n+10)
		}
		time.Sleep(time.Minute) // checkpoints come and go
		st := s.Stats()
		if st.Fsyncs != before.Fsyncs || st.Written != before.Written || st.Records != 0 || st.Memory != 0 || st.Spared == 0 {
			t.Errorf("after 1000 records: %+v", st)
		}
		mustClose(t, s)
		s = mustOpen(t, o)
		if rep := s.Recovery(); rep.Records != 0 || rep.Lost != 0 {
			t.Errorf("recovery: %+v", rep)
		}
		mustClose(t, s)
	})
}

// TestLinger: what the uplink does not acknowledge in time is written, whole and
// in order, and whoever waits is told then. While that is there, the log writes
// at once; when it is gone, memory is enough again.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(t, t.TempDir())
		s, c, told := spilling(t, o)
		tell(t, s, told, 0, 10)
		_, ps := drain(t, c)
		for _, p := range ps[:4] {
			c.Release(p)
		}
		time.Sleep(900 * time.Millisecond)
		tell(t, s, told, 10, 12)
		wantTold(t, told, 0, 4)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		wantTold(t, told, 0, 12)
		if st := s.Stats(); st.Memory != 0 || st.Records != 8 || st.Lost != 0 {
			t.Errorf("after the linger: %+v", st)
		}
		tell(t, s, told, 12, 13) // behind the others
		wantTold(t, told, 0, 13)
		ns, more := drain(t, c)
		wantSeq(t, ns, 10, 13)
		for _, p := range append(ps, more...) {
			c.Release(p)
		}
		fsyncs := s.Stats().Fsyncs
		tell(t, s, told, 13, 20)
		wantTold(t, told, 0, 13)
		if st := s.Stats(); st.Fsyncs != fsyncs || st.Memory == 0 {
			t.Errorf("with nothing left on disk: %+v", st)
		}
		mustClose(t, s)
		wantTold(t, told, 0, 20)
		s = mustOpen(t, o)
		defer mustClose(t, s)
		ns, _ = drain(t, cursor(t, s, 0, 0))
		wantSeq(t, ns, 13, 20)
	})
}

// TestSpillsAtOnce: what makes a spool write before the linger is over.
func TestSpillsAtOnce(t *testing.T) {
	for name, cause := range map[string]func(*testing.T, *Spool, *Cursor){
		"nobody reads any more": func(_ *testing.T, _ *Spool, c *Cursor) { c.Pause() },
		"too much for memory": func(t *testing.T, s *Spool, _ *Cursor) {
			if err := s.Commit([]Entry{{Lane: 1, Record: data(99, 16<<10), Safe: func(error) {}}}); err != nil {
				t.Error(err)
			}
		},
		"one that must be on disk": func(t *testing.T, s *Spool, _ *Cursor) {
			if err := s.Commit([]Entry{{Record: data(99, 100)}}); err != nil {
				t.Error(err)
			}
		},
		"a fence that waits for it": func(t *testing.T, s *Spool, _ *Cursor) {
			if err := s.Fence([]Move{{From: 0, To: 1}}); err != nil {
				t.Error(err)
			}
		},
		"the gateway stops": func(_ *testing.T, s *Spool, _ *Cursor) { s.Settle() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := small(t, t.TempDir())
				o.Memory = 20 << 10
				s, c, told := spilling(t, o)
				tell(t, s, told, 0, 10)
				_, ps := drain(t, c)
				c.Release(ps[0])
				if wantTold(t, told, 0, 1); s.Stats().Written > 4096 {
					t.Errorf("written before its time: %+v", s.Stats())
				}
				cause(t, s, c)
				synctest.Wait()
				wantTold(t, told, 0, 10)
				if err := s.closeFiles(); err != nil { // a kill
					t.Error(err)
				}
				o.Linger = 0
				again := mustOpen(t, o)
				ns, _ := drain(t, cursor(t, again, 0, 0))
				if len(ns) < 9 || !slices.Equal(ns[:9], seq(1, 10)) || again.Recovery().Lost != 0 {
					t.Errorf("after a kill: %v, %+v", ns, again.Recovery())
				}
				mustClose(t, again)
				s.stop()
			})
		})
	}
}

// TestStaleInMemory: a record that gets too old while it waits in memory is not
// sent, not written, and nobody waits for it any more.
func TestStaleInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(t, t.TempDir())
		o.Linger = time.Minute
		s, c, told := spilling(t, o)
		r := data(0, 100)
		r.MaxAge = 10 * time.Second
		if err := s.Commit([]Entry{{Record: r, Safe: told.hear(0)}}); err != nil {
			t.Fatal(err)
		}
		tell(t, s, told, 1, 2)
		time.Sleep(11 * time.Second)
		ns, _ := drain(t, c)
		wantSeq(t, ns, 1, 2)
		wantTold(t, told, 0, 1)
		if st := s.Stats(); st.Expired != 1 || st.Records != 1 {
			t.Errorf("stats: %+v", st)
		}
		mustClose(t, s)
	})
}

// TestSpillFails: what can't be written stays where it is, unacknowledged and in
// order; it may still be sent; and it is tried again.
func TestSpillFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small(t, t.TempDir())
		var dead atomic.Bool
		o.wrap = func(_ string, inner file) file {
			if dead.Load() {
				return &deadFile{inner}
			}
			return inner
		}
		s, c, told := spilling(t, o)
		tell(t, s, told, 0, 10)
		dead.Store(true)
		time.Sleep(5 * time.Second)
		wantTold(t, told, 0, 0)
		err := s.Commit([]Entry{{Record: data(10, 500)}})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("a record that must be on disk: %v", err)
		}
		ns, ps := drain(t, c)
		wantSeq(t, ns, 0, 10)
		for _, p := range ps[:3] {
			c.Release(p)
		}
		wantTold(t, told, 0, 3)
		dead.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantTold(t, told, 0, 10)
		tell(t, s, told, 10, 12)
		mustClose(t, s)
		s = mustOpen(t, o)
		defer mustClose(t, s)
		ns, _ = drain(t, cursor(t, s, 0, 0))
		wantSeq(t, ns, 3, 12)
	})
}
