package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func testKey(t testing.TB, b byte) *crypto.SecretKey {
	t.Helper()
	k, err := testKeyOf(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testKeyOf(b byte) (*crypto.SecretKey, error) {
	return crypto.InsecureSecretKey(bytes.Repeat([]byte{b}, crypto.KeySize))
}

// small is a spool with segments of 64 KiB.
func small(t testing.TB, dir string) Options {
	return Options{
		Dir: dir, Uplinks: []string{"cloud"}, Key: testKey(t, 1), Volatile: true,
		Size: 2 << 20, MaxRecord: 16 << 10, Logger: testLogger(t), Linger: contract.linger,
	}
}

// mustOpen opens a spool. One that keeps records in memory has readers from the
// start: without, it would write them at once.
func mustOpen(t testing.TB, o Options) *Spool {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Linger > 0 {
		for _, l := range s.lanes() {
			l.cur.Rewind()
		}
	}
	return s
}

// put is Commit; in a spool that keeps records in memory they may wait there.
func put(s *Spool, es []Entry) error {
	for i := range es {
		if s.opt.Linger > 0 && !es[i].NoSync && es[i].Safe == nil {
			es[i].Safe = func(error) {}
		}
	}
	return s.Commit(es)
}

func mustClose(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// data makes record number n, whose content follows from n.
func data(n uint64, size int) Record {
	r := Record{Kind: KindData, QoS: 1, Grade: 3, Topic: fmt.Sprintf("t/%d", n%7), Payload: make([]byte, max(8, size))}
	binary.BigEndian.PutUint64(r.ID[8:], n)
	binary.BigEndian.PutUint64(r.Payload, n)
	return r
}

func number(r *Record) uint64 { return binary.BigEndian.Uint64(r.ID[8:]) }

func commit(t testing.TB, s *Spool, lane uint8, from, to uint64, size int) {
	t.Helper()
	var es []Entry
	for n := from; n < to; n++ {
		es = append(es, Entry{Lane: lane, Record: data(n, size)})
	}
	if err := put(s, es); err != nil {
		t.Fatal(err)
	}
}

func cursor(t testing.TB, s *Spool, uplink int, lane uint8) *Cursor {
	t.Helper()
	c, err := s.Cursor(uplink, lane)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drain reads what there is and checks each record against data.
func drain(t testing.TB, c *Cursor) (ns []uint64, ps []Pos) {
	t.Helper()
	for {
		r, p, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ns, ps
		}
		n := number(r)
		want := data(n, len(r.Payload))
		if r.Topic != want.Topic || !bytes.Equal(r.Payload, want.Payload) || r.Grade != want.Grade || r.QoS != 1 || r.Stored.IsZero() {
			t.Fatalf("record %d came back as %+v", n, r)
		}
		ns, ps = append(ns, n), append(ps, p)
	}
}

func seq(from, to uint64) (ns []uint64) {
	for ; from < to; from++ {
		ns = append(ns, from)
	}
	return ns
}

func wantSeq(t testing.TB, got []uint64, from, to uint64) {
	t.Helper()
	if !slices.Equal(got, seq(from, to)) {
		t.Fatalf("got %d records %v…, want %d to %d", len(got), got[:min(len(got), 20)], from, to)
	}
}

func TestCommitReadReleaseReopen(t *testing.T) {
	for _, cache := range []int{-1, 0, 4 << 10} {
		t.Run(fmt.Sprintf("cache %d", cache), func(t *testing.T) {
			o := small(t, t.TempDir())
			o.TailCache = cache
			s := mustOpen(t, o)
			c := cursor(t, s, 0, 0)
			commit(t, s, 0, 0, 700, 500)
			ns, ps := drain(t, c)
			wantSeq(t, ns, 0, 700)
			// Out of order: 1 and 2 before 0.
			c.Release(ps[1])
			c.Release(ps[2])
			c.Rewind()
			ns, _ = drain(t, c)
			if want := append([]uint64{0}, seq(3, 700)...); !slices.Equal(ns, want) {
				t.Fatalf("after rewind: %v", ns[:10])
			}
			for _, p := range ps[:650] {
				c.Release(p)
				c.Release(p) // twice does nothing
			}
			commit(t, s, 0, 700, 710, 500)
			ns, _ = drain(t, c)
			wantSeq(t, ns, 700, 710)
			mustClose(t, s)
			if _, _, _, err := c.Next(); !errors.Is(err, ErrClosed) {
				t.Fatalf("next after close: %v", err)
			}

			s = mustOpen(t, o)
			defer mustClose(t, s)
			rep := s.Recovery()
			if rep.Records != 60 || rep.Lost != 0 || rep.Torn != 0 || len(rep.SetAside) != 0 {
				t.Fatalf("recovery: %+v", rep)
			}
			commit(t, s, 0, 710, 720, 500)
			ns, _ = drain(t, cursor(t, s, 0, 0))
			wantSeq(t, ns, 650, 720)
		})
	}
}

func TestSegmentsAreRecycled(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	defer mustClose(t, s)
	c := cursor(t, s, 0, 0)
	var n uint64
	for range 60 { // 60 × 128 × 1 KiB is four times the quota
		for {
			changed := s.Changed()
			r, ok := s.Reserve(1, 0, 128<<10)
			s.Cancel(r)
			if ok {
				break
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Fatalf("no space: %+v", s.Stats())
			}
		}
		commit(t, s, 0, n, n+128, 1<<10)
		ns, ps := drain(t, c)
		wantSeq(t, ns, n, n+128)
		for _, p := range ps {
			c.Release(p)
		}
		n += 128
	}
	if st := s.Stats(); st.Records != 0 || st.Lost != 0 || st.Written < 60*128<<10 {
		t.Fatalf("stats: %+v", st)
	}
	if total := s.uplinks[0].pool.total(); total != s.uplinks[0].cap.total {
		t.Fatalf("%d segments exist, want %d", total, s.uplinks[0].cap.total)
	}
}
