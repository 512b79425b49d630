package spool

import (
	"slices"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func kid(n byte) crypto.KID { return crypto.KID{n} }

func grantEntry(uplink int, n byte) Entry {
	return Entry{Uplink: uplink, Record: Record{Kind: KindGrant, QoS: 1, KIDs: []crypto.KID{kid(n)}, Payload: []byte{n, n, n}}}
}

func under(uplink int, n uint64, kids ...byte) Entry {
	e := Entry{Uplink: uplink, Record: data(n, 200)}
	for _, k := range kids {
		e.Record.KIDs = append(e.Record.KIDs, kid(k))
	}
	return e
}

func grantsOf(t *testing.T, s *Spool, uplink int) (ns []byte) {
	t.Helper()
	for r, err := range s.Grants(uplink) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind != KindGrant || len(r.Payload) != 3 || kid(r.Payload[0]) != r.KIDs[0] {
			t.Fatalf("grant came back as %+v", r)
		}
		ns = append(ns, r.Payload[0])
	}
	return ns
}

func TestGrants(t *testing.T) {
	o := small(t, t.TempDir())
	o.Uplinks = []string{"cloud", "other"}
	o.Size *= 2
	s := quiet(t, o)
	must := func(es ...Entry) {
		t.Helper()
		if err := put(s, es); err != nil {
			t.Fatal(err)
		}
	}
	must(under(0, 0, 1), grantEntry(0, 1), grantEntry(0, 1), under(0, 1, 1, 2), grantEntry(0, 2))
	must(grantEntry(0, 1), grantEntry(1, 3), under(1, 0, 3)) // 1 is there already
	if got := grantsOf(t, s, 0); !slices.Equal(got, []byte{1, 2}) {
		t.Fatalf("grants of the first uplink: %v", got)
	}
	if !s.HasGrant(1, kid(3)) || s.HasGrant(0, kid(3)) || s.HasGrant(1, kid(1)) {
		t.Error("grants are mixed up between uplinks")
	}
	if g, err := s.Grant(0, kid(3)); g != nil || err != nil {
		t.Errorf("a grant that is not there: %v, %v", g, err)
	}
	u := s.uplinks[0]
	later := time.Now().Add(time.Hour)
	keep := func(want ...byte) {
		t.Helper()
		if err := u.retain(later, o.GrantHold); err != nil {
			t.Fatal(err)
		}
		if got := grantsOf(t, s, 0); !slices.Equal(got, want) {
			t.Fatalf("grants kept: %v, want %v", got, want)
		}
	}
	keep(1, 2)
	c := cursor(t, s, 0, 0)
	_, ps := drain(t, c)
	c.Release(ps[1])
	keep(1, 2) // the record before it still stands
	c.Release(ps[0])
	if err := u.retain(time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := grantsOf(t, s, 0); len(got) != 2 {
		t.Fatalf("grants within the hold: %v", got)
	}
	keep()
	must(grantEntry(0, 2), under(0, 2, 2), grantEntry(0, 4)) // 2 is needed again
	if _, err := u.logs[0].reclaim(true); err != nil {
		t.Fatal(err)
	}
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}

	s = quiet(t, o)
	if got := grantsOf(t, s, 0); !slices.Equal(got, []byte{2}) {
		t.Fatalf("grants after recovery: %v", got) // 1 and 4 are of no use
	}
	if got := grantsOf(t, s, 1); !slices.Equal(got, []byte{3}) {
		t.Fatalf("grants of the other uplink: %v", got)
	}
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

// TestGrantOfAnOldRecord keeps one record for ever under the first of very many
// keys: the control log must not fill up behind its grant.
func TestGrantOfAnOldRecord(t *testing.T) {
	o := small(t, t.TempDir())
	o.MaxRecord = 30 << 10
	s := quiet(t, o)
	u := s.uplinks[0]
	g := grantEntry(0, 1)
	g.Record.Payload = make([]byte, 20<<10)
	if err := put(s, []Entry{g, under(0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	for n := range byte(40) {
		g := grantEntry(0, n+2)
		g.Record.Payload = make([]byte, 20<<10)
		if err := put(s, []Entry{g}); err != nil {
			t.Fatalf("grant %d: %v", n, err)
		}
		if err := u.retain(time.Now().Add(time.Hour), o.GrantHold); err != nil {
			t.Fatal(err)
		}
		if _, err := u.logs[logControl].reclaim(true); err != nil {
			t.Fatal(err)
		}
	}
	if g, err := s.Grant(0, kid(1)); err != nil || g == nil || len(g.Payload) != 20<<10 {
		t.Fatalf("the grant of the old record: %v", err)
	}
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	defer mustClose(t, s)
	if !s.HasGrant(0, kid(1)) {
		t.Fatal("the grant of the old record is gone after recovery")
	}
}

// TestGrantIsDurableFirst cuts between the control log and the lane.
func TestGrantIsDurableFirst(t *testing.T) {
	var f faults
	o := small(t, t.TempDir())
	o.wrap = f.wrap
	s := quiet(t, o)
	if err := put(s, []Entry{grantEntry(0, 1), under(0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	lane := s.uplinks[0].logs[0]
	lane.act.f = &deadFile{lane.act.f}
	s.opt.wrap = func(_ string, inner file) file { return &deadFile{inner} }
	if err := put(s, []Entry{under(0, 1, 2), grantEntry(0, 2)}); err == nil {
		t.Fatal("commit on a dead lane")
	}
	if !s.HasGrant(0, kid(2)) {
		t.Fatal("the grant did not come first")
	}
	if n := lane.next; n != 2 {
		t.Fatalf("the lane goes on at %d", n)
	}
}

func TestQuarantine(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	commit(t, s, 1, 0, 5, 300)
	c := cursor(t, s, 0, 1)
	_, ps := drain(t, c)
	for _, i := range []int{1, 2, 3} {
		if err := s.Quarantine(0, c, ps[i], "refused_by_broker", true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Quarantine(0, c, Pos{99}, "x", true); err == nil {
		t.Error("a record that was not delivered went to quarantine")
	}
	c.Rewind()
	ns, _ := drain(t, c)
	if !slices.Equal(ns, []uint64{0, 4}) {
		t.Fatalf("left in the lane: %v", ns)
	}
	list := func(s *Spool) (ns []uint64, ps []Pos) {
		for q, err := range s.Quarantined(0) {
			if err != nil {
				t.Fatal(err)
			}
			if q.Reason != "refused_by_broker" || q.Stored.IsZero() || len(q.Payload) != 300 {
				t.Fatalf("quarantined record came back as %+v", q)
			}
			ns, ps = append(ns, number(&q.Record)), append(ps, q.Pos)
		}
		return ns, ps
	}
	ns, qs := list(s)
	wantSeq(t, ns, 1, 4)
	for range 2 {
		if err := s.Discard(0, qs[1]); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	ns, qs = list(s)
	if !slices.Equal(ns, []uint64{1, 3}) {
		t.Fatalf("after discarding 2 and a restart: %v", ns)
	}
	for _, q := range qs {
		if err := s.Discard(0, q); err != nil {
			t.Fatal(err)
		}
	}
	if ns, _ := list(s); len(ns) != 0 || s.Stats().Uplinks[0].Quarantine.Records != 0 {
		t.Fatalf("left: %v, %+v", ns, s.Stats().Uplinks[0].Quarantine)
	}
	// Many more than it holds: the oldest go, and are counted.
	for n := uint64(10); n < 40; n++ {
		commit(t, s, 0, n, n+1, 10<<10)
		c := cursor(t, s, 0, 0)
		ns, ps := drain(t, c)
		wantSeq(t, ns, n, n+1)
		if err := s.Quarantine(0, c, ps[0], "refused_by_broker", true); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	q := st.Uplinks[0].Quarantine
	if st.Dropped == 0 || q.Records+int64(st.Dropped) != 30 || q.Segments != 2 {
		t.Fatalf("%d dropped, %+v", st.Dropped, q)
	}
	mustClose(t, s)
}

// TestGrantsOverManyStarts: each start of a gateway that is killed, its uplink
// down, leaves a grant that a record needs. The control log must have room for
// the next one.
func TestGrantsOverManyStarts(t *testing.T) {
	o := small(t, t.TempDir())
	const starts = 20
	for n := range byte(starts) {
		s := quiet(t, o)
		if err := put(s, []Entry{grantEntry(0, n), under(0, uint64(n), n)}); err != nil {
			t.Fatalf("start %d: %v", n, err)
		}
		if segs := len(s.uplinks[0].logs[logControl].segs); segs > 3 {
			t.Fatalf("start %d: the control log has %d segments", n, segs)
		}
		if err := s.closeFiles(); err != nil {
			t.Fatal(err)
		}
	}
	s := quiet(t, o)
	if got := grantsOf(t, s, 0); len(got) != starts {
		t.Fatalf("grants: %v", got)
	}
	c := cursor(t, s, 0, 0)
	if rs, _ := drain(t, c); len(rs) != starts {
		t.Errorf("%d records", len(rs))
	}
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}
