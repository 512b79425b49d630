package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/sealgate/sealgate/internal/durable"
)

const (
	checkpointName = "checkpoint"
	slots          = 2
	slotDistance   = 4096 // they never share a page
	checkpointSize = slots * slotDistance
)

// A checkpoint file says how far a log is released, in two slots. One of them is
// durable; only the other one is written, until that one is durable too: a torn
// write never costs more than what was not yet durable.
type checkpoint struct {
	mu       sync.Mutex // guards what follows
	released uint64     // highest that was written
	f        file
	count    uint64 // writes so far
	durable  int64  // slot that no write touches
}

// open opens the file or makes an empty one, and returns what it says.
// known is false if no slot is valid.
func (c *checkpoint) open(l *log) (released, durableTo uint64, known bool, err error) {
	path := filepath.Join(l.dir, checkpointName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := durable.WriteFile(path, make([]byte, checkpointSize), 0o600); err != nil {
			return 0, 0, false, err
		}
	}
	if c.f, err = l.opt.open(path); err != nil {
		return 0, 0, false, err
	}
	h, slot, err := readCheckpoint(c.f, l.keys, l.id, l.uplink)
	if err != nil {
		return 0, 0, false, fmt.Errorf("%s: %w", path, err)
	}
	if c.count, c.durable = h.count, slot; h.count == 0 {
		return 0, 0, false, nil
	}
	if err := c.f.Datasync(); err != nil { // a process that was killed may have left it in the page cache only
		return 0, 0, false, fmt.Errorf("fdatasync %s: %w", path, err)
	}
	return h.first - 1, h.durable, true, nil
}

// readCheckpoint returns the newer of the valid slots and which it is, or a zero
// header.
func readCheckpoint(f io.ReaderAt, keys *keySet, id logID, uplink string) (newest header, slot int64, err error) {
	for n := range int64(slots) {
		sector := make([]byte, headerSize)
		if _, err := f.ReadAt(sector, n*slotDistance); err != nil {
			continue // too short: not valid
		}
		h, _, err := openHeader(sector, checkpointMagic, keys)
		if errors.Is(err, ErrKey) || errors.Is(err, ErrVersion) {
			return newest, slot, err
		}
		if err == nil && h.log == id && h.uplink == uplink && h.count > newest.count {
			newest, slot = h, n
		}
	}
	return newest, slot, nil
}

// write notes that records up to released are. Only sync makes it durable: a
// checkpoint that lags costs resends, nothing more.
func (c *checkpoint) write(l *log, released, durableTo uint64, sync bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	released = max(released, c.released) // who writes may have looked a while ago
	c.released = released
	h := header{
		magic: checkpointMagic, log: l.id, first: released + 1, count: c.count + 1,
		durable: durableTo, uplink: l.uplink,
	}
	sector, _, err := sealHeader(&h, l.keys)
	if err != nil {
		return fmt.Errorf("seal checkpoint: %w", err)
	}
	c.count++
	slot := 1 - c.durable
	if _, err := c.f.WriteAt(sector, slot*slotDistance); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	l.meter.written.Add(headerSize)
	if !sync {
		return nil
	}
	if err := c.f.Datasync(); err != nil {
		return fmt.Errorf("fdatasync checkpoint: %w", err)
	}
	c.durable = slot
	return nil
}
