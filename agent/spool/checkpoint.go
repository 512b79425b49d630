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
	checkpointSize = 8192
	slotDistance   = 4096 // two slots never share a page
)

// A checkpoint file says how far a log is released, in two slots that are
// written in turn: a torn write leaves the other one.
type checkpoint struct {
	released uint64     // highest that was written; guarded by mu
	mu       sync.Mutex // guards what follows
	f        file
	count    uint64 // writes so far
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
	h, err := readCheckpoint(c.f, l.keys, l.id, l.uplink)
	if err != nil {
		return 0, 0, false, fmt.Errorf("%s: %w", path, err)
	}
	if c.count = h.count; h.count == 0 {
		return 0, 0, false, nil
	}
	return h.first - 1, h.durable, true, nil
}

// readCheckpoint returns the newer of the valid slots, or a zero header.
func readCheckpoint(f io.ReaderAt, keys *keySet, id logID, uplink string) (newest header, err error) {
	for off := int64(0); off < checkpointSize; off += slotDistance {
		sector := make([]byte, headerSize)
		if _, err := f.ReadAt(sector, off); err != nil {
			continue // too short: not valid
		}
		h, _, err := openHeader(sector, checkpointMagic, keys)
		if errors.Is(err, ErrKey) {
			return newest, err
		}
		if err == nil && h.log == id && h.uplink == uplink && h.count > newest.count {
			newest = h
		}
	}
	return newest, nil
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
	if _, err := c.f.WriteAt(sector, int64(c.count%2)*slotDistance); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	l.meter.written.Add(headerSize)
	if !sync {
		return nil
	}
	if err := c.f.Datasync(); err != nil {
		return fmt.Errorf("fdatasync checkpoint: %w", err)
	}
	return nil
}
