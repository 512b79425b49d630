package spool

import (
	"slices"
	"syscall"
	"testing"
)

// gated is a file whose fdatasync waits to be let through.
type gated struct {
	file
	begun chan struct{}
	pass  chan struct{}
}

func (g *gated) Datasync() error {
	g.begun <- struct{}{}
	<-g.pass
	return g.file.Datasync()
}

// TestFlushBehind: while a flush is under way, the cursor has what it is for,
// further commits return, and nobody is told that anything is durable.
func TestFlushBehind(t *testing.T) {
	o := small(t, t.TempDir())
	begun, pass := make(chan struct{}, 100), make(chan struct{})
	armed := false
	o.wrap = func(_ string, inner file) file {
		if armed {
			return &gated{inner, begun, pass}
		}
		return inner
	}
	s := mustOpen(t, o)
	defer mustClose(t, s)
	defer close(pass)
	c, told := cursor(t, s, 0, 0), &listener{}
	s.stop() // what the housekeeping flushes is no matter of this test
	<-s.done
	<-s.flushed
	armed = true // from the first segment on

	flush := func() (end func()) {
		done := make(chan struct{})
		go func() {
			s.Flush()
			close(done)
		}()
		<-begun
		return func() {
			pass <- struct{}{}
			<-done
		}
	}
	tell(t, s, told, 0, 3)
	end := flush()
	tell(t, s, told, 3, 5)
	ns, _ := drain(t, c)
	wantSeq(t, ns, 0, 5)
	wantTold(t, told, 0, 0)
	end()
	wantTold(t, told, 0, 3) // what came after the flush had begun is the next one's
	flush()()
	wantTold(t, told, 0, 5)
}

// TestFlushFails: records of a segment that can't be flushed are written again
// elsewhere. Where that fails, too, those who wait are told, for each record that
// is on it, and what is committed later is durable.
func TestFlushFails(t *testing.T) {
	for name, tc := range map[string]struct {
		fault func(*faults)
		lost  bool
	}{
		"written again":     {func(f *faults) { f.sync = 1 }, false},
		"can't be read":     {func(f *faults) { f.sync, f.read = 1, syscall.EIO }, true},
		"no other segment":  {func(f *faults) { f.sync, f.write, f.writeErr = 1, 1, syscall.EIO }, true},
		"found by somebody": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var f faults
			o := small(t, t.TempDir())
			o.wrap = f.wrap
			s := quiet(t, o)
			<-s.flushed
			told := &listener{}
			tell(t, s, told, 0, 4)
			s.Flush()
			wantTold(t, told, 0, 4)

			tell(t, s, told, 4, 8)
			if tc.fault != nil {
				f.arm(func() { tc.fault(&f) })
				s.Flush()
			} else { // the flush of another record meets the error first
				f.arm(func() { f.sync, f.read = 1, syscall.EIO })
				if err := s.Commit([]Entry{{Record: data(99, 500)}}); err != nil {
					t.Fatal(err)
				}
				wantTold(t, told, 0, 4)
				s.Flush()
			}
			f.arm(func() { f.read = nil })
			if tc.lost {
				wantTold(t, told, 0, 4)
				if !slices.Equal(told.lost, seq(4, 8)) {
					t.Fatalf("told that %v are lost, want 4 to 8", told.lost)
				}
			} else {
				wantTold(t, told, 0, 8)
			}
			told.told = nil
			tell(t, s, told, 8, 10)
			s.Flush()
			wantTold(t, told, 8, 10)
			mustClose(t, s)

			s = mustOpen(t, o)
			defer mustClose(t, s)
			ns, _ := drain(t, cursor(t, s, 0, 0))
			if ns = slices.DeleteFunc(ns, func(n uint64) bool { return n == 99 }); !slices.Equal(ns, seq(0, 10)) {
				t.Errorf("the log has %v, want 0 to 10", ns)
			}
		})
	}
}
