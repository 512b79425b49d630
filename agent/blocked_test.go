package agent

import (
	"os"
	"testing"
)

// TestBlockedStoreIsBounded: the oldest make room, by number and by bytes, also
// after a restart; a flood is cut, and counted.
func TestBlockedStoreIsBounded(t *testing.T) {
	dir := t.TempDir() + "/blocked"
	lost := 0
	open := func() *blockedStore {
		s, err := openBlocked(dir, func() { lost++ }, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	files := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := open()
	for i := range blockedBurst + 7 {
		s.queue <- blockedEnvelope{[16]byte{byte(i)}, []byte("x")}
	}
	if err := s.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := files(); n != blockedBurst || lost != 7 {
		t.Errorf("%d files, %d lost", n, lost)
	}
	s = open()
	if len(s.names) != blockedBurst || s.bytes != blockedBurst {
		t.Errorf("after a restart %d files with %d bytes", len(s.names), s.bytes)
	}
	s.keep([16]byte{0xaa}, make([]byte, blockedBytes-10))
	if err := s.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := files(); n != 11 || s.bytes != blockedBytes {
		t.Errorf("%d files with %d bytes after a large one", n, s.bytes)
	}
}
