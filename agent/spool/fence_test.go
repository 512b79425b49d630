package spool

import "testing"

// next is the cursor's next record, and whether it is a fence.
func next(t *testing.T, s *Spool, lane uint8) (*Record, Pos) {
	t.Helper()
	cur, err := s.Cursor(0, lane)
	if err != nil {
		t.Fatal(err)
	}
	rec, pos, ok, err := cur.Next()
	if !ok || err != nil {
		t.Fatalf("lane %d: no record: %v", lane, err)
	}
	return rec, pos
}

// TestFence: topics move from normal to high while the normal lane holds
// records. The fence is passable once these are released, not before, and a
// start in between changes nothing.
func TestFence(t *testing.T) {
	const normal, high, low = 0, 1, 2
	dir := t.TempDir()
	s := mustOpen(t, small(t, dir))
	commit(t, s, normal, 0, 3, 100)
	commit(t, s, high, 10, 11, 100)
	if err := s.Fence([]Move{{From: normal, To: high}, {From: low, To: normal}}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, high, 11, 12, 100)
	mustClose(t, s)

	s = mustOpen(t, small(t, dir))
	defer mustClose(t, s)
	first, at := next(t, s, high)
	if number(first) != 10 {
		t.Fatalf("record %d comes first", number(first))
	}
	cur, _ := s.Cursor(0, high)
	cur.Release(at)
	fence, at := next(t, s, high)
	if fence.Kind != KindFence {
		t.Fatalf("kind %d, want a fence", fence.Kind)
	}
	behind, _ := s.Cursor(0, normal)
	for i := range 3 {
		if s.Passable(0, fence) {
			t.Fatalf("passable after %d of 3 releases", i)
		}
		rec, pos := next(t, s, normal)
		if rec.Kind != KindData {
			t.Fatal("a fence in the normal lane: the low one was empty")
		}
		behind.Release(pos)
	}
	if !s.Passable(0, fence) {
		t.Error("not passable after all releases")
	}
	cur.Release(at)
	if last, _ := next(t, s, high); number(last) != 11 {
		t.Errorf("record %d comes last", number(last))
	}
}

// TestFenceWaitsForNothingLost: what a fence names and the log does not hold
// can't be waited for.
func TestFenceWaitsForNothingLost(t *testing.T) {
	s := mustOpen(t, small(t, t.TempDir()))
	defer mustClose(t, s)
	commit(t, s, 0, 0, 2, 100)
	for name, c := range map[string]struct {
		payload []byte
		want    bool
	}{
		"both":           {[]byte{0, 2}, false},
		"the first":      {[]byte{0, 1}, false},
		"never written":  {[]byte{0, 3}, true},
		"an empty lane":  {[]byte{1, 1}, true},
		"one of two":     {[]byte{1, 1, 0, 1}, false},
		"no such lane":   {[]byte{9, 1}, true},
		"cut":            {[]byte{0}, true},
		"nothing at all": {nil, true},
	} {
		if got := s.Passable(0, &Record{Kind: KindFence, Payload: c.payload}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
