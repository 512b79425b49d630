package agent

import (
	"github.com/sealgate/sealgate/crypto"
	"os"
	"testing"
	"time"
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

// TestGrantBook: what is retained at a broker is remembered over restarts and a
// torn line, and given up by age and by number.
func TestGrantBook(t *testing.T) {
	path := t.TempDir() + "/grants-cloud"
	open := func(keep time.Duration) *grantBook {
		b, err := openGrantBook(path, keep)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open(time.Hour)
	kid := func(i int) crypto.KID { return crypto.KID{byte(i), byte(i >> 8)} }
	for _, i := range []int{1, 2, 2, 3} {
		if err := b.note(kid(i)); err != nil {
			t.Fatal(err)
		}
	}
	torn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, torn[:len(torn)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	b = open(time.Hour)
	if len(b.entries) != 2 || len(b.expired()) != 0 {
		t.Fatalf("after a crash: %v", b.entries)
	}
	if err := b.note(kid(4)); err != nil {
		t.Fatal(err)
	}
	if b = open(0); len(b.entries) != 3 || len(b.expired()) != 3 || b.expired()[2] != kid(4) {
		t.Fatalf("after a line behind the torn one: %v", b.entries)
	}
	if err := b.forget(kid(1), kid(2)); err != nil {
		t.Fatal(err)
	}
	if b = open(time.Hour); len(b.entries) != 1 || b.entries[0].kid != kid(4) {
		t.Errorf("after forgetting: %v", b.entries)
	}
	for i := range maxRetained + 1 {
		b.add(kid(5+i), time.Now())
	}
	if old := b.expired(); len(old) != 2 || old[0] != kid(4) {
		t.Errorf("%d are too many", len(old))
	}
}
