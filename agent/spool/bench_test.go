package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func benchSpool(b *testing.B, cache int) *Spool {
	b.Helper()
	s := mustOpen(b, Options{
		Dir: b.TempDir(), Uplinks: []string{"cloud"}, Key: testKey(b, 1), Volatile: true,
		Size: 256 << 20, TailCache: cache,
	})
	b.Cleanup(func() { mustClose(b, s) })
	return s
}

func batch(n int, noSync bool) []Entry {
	es := make([]Entry, n)
	for i := range es {
		es[i] = Entry{Record: data(uint64(i), 500), NoSync: noSync}
	}
	return es
}

// BenchmarkCommit writes batches of 500-byte records while a sender releases
// them at once, and beside each, in the same run, plain appends of the same
// bytes with fdatasync, to a file that was written before. One operation is one
// batch.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		for _, noSync := range []bool{false, true} {
			name := fmt.Sprintf("batch=%d/sync=%v", n, !noSync)
			es := batch(n, noSync)
			size := 0
			for i := range es {
				size += Size(&es[i].Record)
			}
			b.Run("spool/"+name, func(b *testing.B) {
				s := benchSpool(b, 0)
				c := cursor(b, s, 0, 0)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := put(s, es); err != nil {
						b.Fatal(err)
					}
					for _, p := range take(b, c) {
						c.Release(p)
					}
				}
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
			})
			b.Run("plain/"+name, func(b *testing.B) {
				f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				const whole = 4 << 20
				if err := fillZero(f, whole); err != nil {
					b.Fatal(err)
				}
				if err := datasync(f); err != nil {
					b.Fatal(err)
				}
				buf := make([]byte, size)
				off := 0
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if off+size > whole {
						off = 0
					}
					if _, err := f.WriteAt(buf, int64(off)); err != nil {
						b.Fatal(err)
					}
					off += size
					if !noSync {
						if err := datasync(f); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// take reads all there is, unchecked.
func take(b *testing.B, c *Cursor) (ps []Pos) {
	for {
		_, p, ok, err := c.Next()
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			return ps
		}
		ps = append(ps, p)
	}
}

// BenchmarkRead reads records back from disk (the page cache, after the first
// round). One operation is one record.
func BenchmarkRead(b *testing.B) {
	s := benchSpool(b, -1)
	const n = 100_000
	es := batch(1000, true)
	for range n / len(es) {
		if err := put(s, es); err != nil {
			b.Fatal(err)
		}
	}
	c := cursor(b, s, 0, 0)
	b.SetBytes(500)
	b.ReportAllocs()
	for b.Loop() {
		_, _, ok, err := c.Next()
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			c.Rewind()
		}
	}
}

// BenchmarkRecover opens a spool of 100,000 records that was killed. One
// operation is one Open.
func BenchmarkRecover(b *testing.B) {
	dir := b.TempDir()
	o := Options{Dir: dir, Uplinks: []string{"cloud"}, Key: testKey(b, 1), Volatile: true, Size: 256 << 20, Checkpoint: time.Hour}
	s := mustOpen(b, o)
	es := batch(1000, false)
	for range 100 {
		if err := put(s, es); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		b.StopTimer()
		s.stop()
		<-s.done
		if err := s.closeFiles(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s = mustOpen(b, o)
	}
	mustClose(b, s)
}

func BenchmarkReserve(b *testing.B) {
	s := benchSpool(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		r, ok := s.Reserve(1, 0, 5000)
		if !ok {
			b.Fatal("full")
		}
		s.Cancel(r)
	}
}

// BenchmarkWear sends 500-byte records over an uplink that acknowledges each
// batch before the next is committed, and says what reaches the medium. One
// operation is one record.
func BenchmarkWear(b *testing.B) {
	for name, linger := range map[string]time.Duration{"sync": 0, "spill": 2 * time.Second} {
		b.Run(name, func(b *testing.B) {
			s := mustOpen(b, Options{
				Dir: b.TempDir(), Uplinks: []string{"cloud"}, Key: testKey(b, 1), Volatile: true,
				Size: 256 << 20, Linger: linger,
			})
			c := cursor(b, s, 0, 0)
			c.Rewind()
			before := s.Stats()
			for b.Loop() {
				if err := put(s, batch(1, false)); err != nil {
					b.Fatal(err)
				}
				for _, p := range take(b, c) {
					c.Release(p)
				}
			}
			st := s.Stats()
			b.ReportMetric(float64(st.Written-before.Written)/float64(b.N), "written-B/op")
			b.ReportMetric(float64(st.Fsyncs-before.Fsyncs)/float64(b.N), "fsyncs/op")
			mustClose(b, s)
		})
	}
}
