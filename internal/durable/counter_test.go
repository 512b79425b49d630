package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestIncrement(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	for want := uint64(1); want <= 5; want++ {
		got, err := Increment(path)
		if err != nil || got != want {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
	}
	// A torn write hits the slot that was being written; the other one holds.
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) != 2*slotSize {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	torn := append([]byte(nil), raw...)
	torn[slotSize+3] ^= 1 // slot of 5
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Increment(path); err != nil || got != 5 {
		t.Errorf("after a torn write: %d, %v", got, err)
	}
	for _, bad := range []string{"", "7\n", string(raw[:slotSize-1])} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Increment(path); !errors.Is(err, ErrCounter) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestIncrementPast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	for _, c := range []struct{ floor, want uint64 }{{0, 1}, {0, 2}, {9, 10}, {10, 11}, {5, 12}} {
		if n, err := IncrementPast(path, c.floor); err != nil || n != c.want {
			t.Errorf("past %d: got %d, %v, want %d", c.floor, n, err, c.want)
		}
	}
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := IncrementPast(path, 40); err != nil || n != 41 {
		t.Errorf("a damaged counter: got %d, %v", n, err)
	}
	if n, err := Increment(path); err != nil || n != 42 {
		t.Errorf("after it was mended: got %d, %v", n, err)
	}
}
