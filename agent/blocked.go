package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
)

// Bounds of what is kept of blocked messages. A device that floods must neither
// fill the disk nor wear out the flash: its first messages tell what it does.
const (
	blockedFiles = 1000
	blockedBytes = 32 << 20
	blockedBurst = 100 // written at once; after that one in blockedPause
	blockedPause = 5 * time.Second
	blockedQueue = 16
)

// A blockedStore keeps blocked messages, each an envelope in a file of its own
// that only the audience of what is blocked opens. The oldest make room. It is
// written behind the corridor's back: what comes faster than the bounds allow is
// counted and not kept.
type blockedStore struct {
	dir    string
	queue  chan blockedEnvelope
	lost   func() // called for each that is not kept
	failed func(error)
	done   chan struct{}

	names []string // oldest first
	sizes map[string]int64
	bytes int64
}

type blockedEnvelope struct {
	id  [16]byte
	raw []byte
}

// openBlocked reads what is there. stop ends the store after what is queued.
func openBlocked(dir string, lost func(), failed func(error)) (s *blockedStore, err error) {
	entries, err := os.ReadDir(dir) // sorted by name, which begins with the time
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read directory of blocked messages: %w", err)
	}
	s = &blockedStore{
		dir: dir, queue: make(chan blockedEnvelope, blockedQueue), lost: lost, failed: failed,
		done: make(chan struct{}), sizes: map[string]int64{},
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) == ".cose" {
			s.note(e.Name(), info.Size())
		}
	}
	go s.run()
	return s, nil
}

// keep takes one envelope, or counts it as lost. It never blocks.
func (s *blockedStore) keep(id [16]byte, raw []byte) {
	select {
	case s.queue <- blockedEnvelope{id, raw}:
	default:
		s.lost()
	}
}

// stop must come after the last keep.
func (s *blockedStore) stop(ctx context.Context) error {
	close(s.queue)
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	return nil
}

func (s *blockedStore) run() {
	defer close(s.done)
	allowance, refilled := blockedBurst, time.Now()
	for e := range s.queue {
		now := time.Now()
		if n := int(now.Sub(refilled) / blockedPause); n > 0 {
			allowance, refilled = min(blockedBurst, allowance+n), now
		}
		if allowance == 0 {
			s.lost()
			continue
		}
		allowance--
		if err := s.write(e, now); err != nil {
			s.failed(err)
			s.lost()
		}
	}
}

func (s *blockedStore) write(e blockedEnvelope, now time.Time) error {
	if err := durable.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make directory of blocked messages: %w", err)
	}
	for len(s.names) > 0 && (len(s.names) >= blockedFiles || s.bytes+int64(len(e.raw)) > blockedBytes) {
		oldest := s.names[0]
		if err := os.Remove(filepath.Join(s.dir, oldest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make room for blocked message: %w", err)
		}
		s.bytes -= s.sizes[oldest]
		delete(s.sizes, oldest)
		s.names = slices.Delete(s.names, 0, 1)
	}
	name := fmt.Sprintf("%s-%x.cose", now.UTC().Format("20060102T150405.000Z"), e.id)
	if err := durable.WriteFile(filepath.Join(s.dir, name), e.raw, 0o600); err != nil {
		return fmt.Errorf("keep blocked message: %w", err)
	}
	s.note(name, int64(len(e.raw)))
	return nil
}

func (s *blockedStore) note(name string, size int64) {
	s.names = append(s.names, name)
	s.sizes[name] = size
	s.bytes += size
}
