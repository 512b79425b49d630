package spool

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
)

// faults stand between the spool and its files.
type faults struct {
	mu       sync.Mutex
	write    int   // writes until one fails; 0: none does
	short    int   // bytes that the failing write gets through
	writeErr error // of the failing write
	sync     int   // fdatasyncs until one fails
	syncs    int   // fdatasyncs of segments, counted
	read     error
}

type faultyFile struct {
	file
	path string
	*faults
}

func (f *faults) wrap(path string, inner file) file { return &faultyFile{inner, path, f} }

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	fail := false
	if f.write > 0 {
		f.write--
		fail = f.write == 0
	}
	short, err := f.short, f.writeErr
	f.mu.Unlock()
	if !fail {
		return f.file.WriteAt(b, off)
	}
	n, _ := f.file.WriteAt(b[:min(short, len(b))], off)
	return n, err
}

func (f *faultyFile) Datasync() error {
	f.mu.Lock()
	f.syncs++
	fail := false
	if f.sync > 0 {
		f.sync--
		fail = f.sync == 0
	}
	f.mu.Unlock()
	if fail {
		return syscall.EIO
	}
	return f.file.Datasync()
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	err := f.read
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *faults) arm(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

// quiet opens a spool whose housekeeping has done its first round, so that the
// next write and fdatasync are those of the test.
func quiet(t *testing.T, o Options) *Spool {
	t.Helper()
	s := mustOpen(t, o)
	s.stop()
	<-s.done
	return s
}

func TestWriteAndSyncFaults(t *testing.T) {
	for name, tc := range map[string]func(*faults){
		"fdatasync EIO":      func(f *faults) { f.sync = 1 },
		"ENOSPC":             func(f *faults) { f.write, f.writeErr = 1, syscall.ENOSPC },
		"short write":        func(f *faults) { f.write, f.short, f.writeErr = 1, 700, syscall.ENOSPC },
		"short write, a lot": func(f *faults) { f.write, f.short, f.writeErr = 1, 5000, syscall.EIO },
	} {
		for _, before := range []uint64{0, 10, 100, 119} { // 119: the batch crosses into a new segment
			t.Run(name, func(t *testing.T) {
				var f faults
				o := small(t, t.TempDir())
				o.wrap = f.wrap
				s := quiet(t, o)
				c := cursor(t, s, 0, 0)
				commit(t, s, 0, 0, before, 500)
				s.spill()
				ns, ps := drain(t, c)
				wantSeq(t, ns, 0, before)
				if before > 5 {
					for _, p := range ps[:5] {
						c.Release(p)
					}
				}
				f.arm(func() { tc(&f) })
				commit(t, s, 0, before, before+20, 500)
				s.spill()
				ns, _ = drain(t, c)
				wantSeq(t, ns, before, before+20)
				commit(t, s, 0, before+20, before+30, 500)
				c.Rewind()
				first := uint64(0)
				if before > 5 {
					first = 5
				}
				ns, _ = drain(t, c)
				wantSeq(t, ns, first, before+30)
				s.spill()
				// The way of a kill: files are closed, no last checkpoint.
				if err := s.closeFiles(); err != nil {
					t.Fatal(err)
				}
				o.wrap = nil
				s = mustOpen(t, o)
				defer mustClose(t, s)
				if rep := s.Recovery(); rep.Lost != 0 || len(rep.SetAside) != 0 || rep.Torn != 0 {
					t.Fatalf("recovery: %+v", rep)
				}
				ns, _ = drain(t, cursor(t, s, 0, 0))
				wantSeq(t, ns, 0, before+30) // without its checkpoint, all again
			})
		}
	}
}

// TestSyncErrorMovesAcknowledgedRecords shows that after a failed fdatasync
// nothing relies on the segment any more, not even for what was durable before.
func TestSyncErrorMovesAcknowledgedRecords(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.wrap = f.wrap
	s := quiet(t, o)
	commit(t, s, 0, 0, 10, 500)
	seg := s.uplinks[0].logs[0].act
	inode, err := os.Stat(seg.path)
	if err != nil {
		t.Fatal(err)
	}
	f.arm(func() { f.sync = 1 })
	commit(t, s, 0, 10, 11, 500)
	if !seg.gone {
		t.Error("the segment is still part of the log")
	}
	if now, err := os.Stat(seg.path); err != nil || os.SameFile(inode, now) {
		t.Errorf("the old file still bears its name: %v", err)
	}
	ns, _ := drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 0, 11)
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

// TestCommitFails shows an error when no segment can be written, and that the
// log goes on afterwards without a gap.
func TestCommitFails(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.wrap = f.wrap
	s := quiet(t, o)
	commit(t, s, 0, 0, 10, 500)
	s.uplinks[0].logs[0].opt.wrap = func(path string, inner file) file { return &deadFile{inner} }
	s.uplinks[0].logs[0].act.f = &deadFile{s.uplinks[0].logs[0].act.f}
	r, ok := s.Reserve(1, 0, 4096)
	if !ok {
		t.Fatal("no space")
	}
	e := []Entry{{Record: data(10, 500), Reservation: r}}
	if err := put(s, e); !errors.Is(err, syscall.EIO) {
		t.Fatalf("commit: %v", err)
	}
	if r.r.done {
		t.Error("a failed commit ended the reservation")
	}
	s.opt.wrap = nil
	if err := put(s, e); err != nil {
		t.Fatal(err)
	}
	ns, _ := drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 0, 11)
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small(t, o.Dir))
	defer mustClose(t, s)
	ns, _ = drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 0, 11)
}

// deadFile fails every write and fdatasync.
type deadFile struct{ file }

func (deadFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.EIO }
func (deadFile) Datasync() error                    { return syscall.EIO }

func TestQoS0NeverSyncs(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.wrap = f.wrap
	s := quiet(t, o)
	f.arm(func() { f.syncs = 0 })
	for n := range uint64(300) { // more than a segment
		if err := put(s, []Entry{{Record: data(n, 500), NoSync: true}}); err != nil {
			t.Fatal(err)
		}
	}
	if f.syncs != 0 {
		t.Errorf("%d fdatasyncs for QoS 0 alone", f.syncs)
	}
	commit(t, s, 0, 300, 301, 500)
	if f.syncs == 0 || len(s.uplinks[0].logs[0].dirty) != 0 {
		t.Errorf("%d fdatasyncs, %d files not durable, after QoS 1", f.syncs, len(s.uplinks[0].logs[0].dirty))
	}
	ns, _ := drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 0, 301)
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

func TestReadErrorIsReturnedThenSteppedOver(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.TailCache, o.wrap = -1, f.wrap
	s := quiet(t, o)
	commit(t, s, 0, 0, 3, 500)
	f.arm(func() { f.read = syscall.EIO })
	c := cursor(t, s, 0, 0)
	for range maxReadErrors {
		if _, _, _, err := c.Next(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("next: %v", err)
		}
	}
	f.arm(func() { f.read = nil })
	ns, _ := drain(t, c)
	wantSeq(t, ns, 0, 3)
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

// TestSmallSegmentsAreMerged has one fdatasync after the other fail while nobody
// reads. Each costs a segment; what these hold is brought together.
func TestSmallSegmentsAreMerged(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.Linger, o.wrap = 0, f.wrap
	s := quiet(t, o)
	c := cursor(t, s, 0, 0)
	c.Rewind()
	l := s.uplinks[0].logs[0]
	const each, bursts = 4, 60 // more than there are segments
	commit(t, s, 0, 0, each, 500)
	ns, flying := drain(t, c)
	wantSeq(t, ns, 0, each)
	c.Release(flying[1])
	for n := uint64(1); n < bursts; n++ {
		r, ok := s.Reserve(1, 0, each*1024)
		if !ok {
			t.Fatalf("no space after %d failures, with %d segments", n, len(l.segs))
		}
		s.Cancel(r)
		f.arm(func() { f.sync = 1 })
		commit(t, s, 0, n*each, (n+1)*each, 500)
		s.sweep(false)
	}
	s.sweep(true) // what was removed is reserved again
	if n := len(l.segs); n > 2*compactFrom {
		t.Errorf("%d segments", n)
	}
	if used, files := s.uplinks[0].books.used, s.uplinks[0].pool.total(); used != len(l.segs) || files != s.uplinks[0].cap.total {
		t.Errorf("%d segments are counted for %d, with %d files of %d", used, len(l.segs), files, s.uplinks[0].cap.total)
	}
	ns, _ = drain(t, c) // the cursor stood in a segment that is gone
	wantSeq(t, ns, each, bursts*each)
	c.Rewind()
	ns, _ = drain(t, c)
	if len(ns) != bursts*each-1 || ns[0] != 0 || ns[1] != 2 {
		t.Errorf("again from record 0, without record 1: %d records, %v", len(ns), ns[:2])
	}
	c.Release(flying[0])
	if err := s.closeFiles(); err != nil { // the way of a kill
		t.Fatal(err)
	}
	o.wrap = nil
	s = mustOpen(t, o)
	defer mustClose(t, s)
	if rep := s.Recovery(); rep.Lost != 0 || len(rep.SetAside) != 0 || rep.Torn != 0 {
		t.Fatalf("recovery: %+v", rep)
	}
	ns, _ = drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, ns[0], bursts*each)
	if ns[0] > 2 {
		t.Errorf("records before %d are missing", ns[0])
	}
}

// TestMergeFails has the merge itself fail, at each of its steps: what it would
// have replaced stays, and is not tried again and again.
func TestMergeFails(t *testing.T) {
	for name, tc := range map[string]func(*faults){
		"fdatasync": func(f *faults) { f.sync = 1 },
		"write":     func(f *faults) { f.write, f.short, f.writeErr = 1, 700, syscall.ENOSPC },
		"read":      func(f *faults) { f.read = syscall.EIO },
	} {
		t.Run(name, func(t *testing.T) {
			var f faults
			o := small(t, t.TempDir())
			o.Linger, o.wrap = 0, f.wrap
			s := quiet(t, o)
			l := s.uplinks[0].logs[0]
			for n := range uint64(compactFrom + 1) {
				f.arm(func() { f.sync = 1 })
				commit(t, s, 0, n, n+1, 500)
			}
			before := len(l.segs)
			f.arm(func() { tc(&f) })
			if n := l.compact(); n != 0 || len(l.segs) != before {
				t.Errorf("%d segments fewer, %d of %d left", n, len(l.segs), before)
			}
			f.arm(func() { f.read = nil })
			if n := l.compact(); n != 0 {
				t.Error("tried again at once")
			}
			if used := s.uplinks[0].books.used; used != before {
				t.Errorf("%d segments are counted for %d", used, before)
			}
			l.unmerged = l.unmerged.Add(-compactPause)
			if l.compact() == 0 || len(l.segs) >= before {
				t.Errorf("%d of %d segments after the pause", len(l.segs), before)
			}
			ns, _ := drain(t, cursor(t, s, 0, 0))
			wantSeq(t, ns, 0, compactFrom+1)
			if err := s.closeFiles(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
