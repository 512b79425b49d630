package durable

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strconv"
)

// ErrCounter says that neither slot of a counter holds a number.
var ErrCounter = errors.New("counter is damaged")

// A counter file is two slots that are written in turn, so that one is always
// whole, and in place, so that it moves on when the disk is full. A slot is one
// line: twenty digits, a space, their CRC-32C in hex.
const slotSize = 20 + 1 + 8 + 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func slot(n uint64) string {
	digits := fmt.Sprintf("%020d", n)
	return fmt.Sprintf("%s %08x\n", digits, crc32.Checksum([]byte(digits), castagnoli))
}

// Increment adds one to the counter at path, makes it durable and returns it.
// A missing file counts from 0. What was returned is never returned again.
func Increment(path string) (uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 1, WriteFile(path, []byte(slot(0)+slot(1)), 0o600)
	}
	if err != nil {
		return 0, err
	}
	n, err := increment(f)
	return n, errors.Join(err, f.Close())
}

// IncrementPast adds one to the counter and makes it at least floor+1. It also
// mends a damaged one: floor is what is known from elsewhere.
func IncrementPast(path string, floor uint64) (uint64, error) {
	n, err := Increment(path)
	if err == nil && n > floor || err != nil && !errors.Is(err, ErrCounter) {
		return n, err
	}
	return floor + 1, WriteFile(path, []byte(slot(floor)+slot(floor+1)), 0o600)
}

func increment(f *os.File) (uint64, error) {
	var last uint64
	found := false
	for i := range int64(2) {
		b := make([]byte, slotSize)
		if _, err := f.ReadAt(b, i*slotSize); err != nil {
			continue // cut short: the slot is not whole
		}
		if n, err := strconv.ParseUint(string(b[:20]), 10, 64); err == nil && slot(n) == string(b) {
			last, found = max(last, n), true
		}
	}
	if !found {
		return 0, ErrCounter
	}
	next := last + 1
	if _, err := f.WriteAt([]byte(slot(next)), int64(next%2)*slotSize); err != nil {
		return 0, err
	}
	return next, f.Sync()
}
