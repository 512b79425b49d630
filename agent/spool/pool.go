package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// A pool holds an uplink's free segments: files of one size whose blocks are
// reserved, so that a disk that fills up later can't stop the spool.
type pool struct {
	opt  *Options
	dir  string
	size int64
	want int // files that should exist, free or in use

	writing sync.Mutex // held while a free file is being written with zeros; before mu

	mu     sync.Mutex // guards what follows
	free   []freeFile // the last one is taken first
	inUse  int
	number uint64 // of the next file
}

type freeFile struct {
	path    string
	written bool // every block was written once
}

// open lists the free files that are there. Those of another size go.
func (p *pool) open() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(p.dir, e.Name())
		n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), segmentSuffix), 16, 64)
		info, ierr := e.Info()
		if ierr != nil {
			return ierr
		}
		if err != nil || info.Size() != p.size {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		p.number = max(p.number, n+1)
		p.free = append(p.free, freeFile{path, p.wasUsed(path)})
	}
	return nil
}

// wasUsed says whether the file has held records, and so was written.
func (p *pool) wasUsed(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, len(segmentMagic))
	_, err = f.ReadAt(magic, 0)
	return err == nil && string(magic) == segmentMagic
}

// fill creates files until as many exist as should, and removes free ones that
// are too many. An error leaves the pool smaller, not broken.
func (p *pool) fill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) > 0 && len(p.free)+p.inUse > p.want {
		if err := os.Remove(p.free[0].path); err != nil {
			return err
		}
		p.free = p.free[1:]
	}
	for len(p.free)+p.inUse < p.want {
		path := p.path()
		if err := create(path, p.size); err != nil {
			return fmt.Errorf("create segment: %w", err)
		}
		p.free = append([]freeFile{{path: path}}, p.free...)
	}
	return nil
}

// path is the name of a file that does not exist. Callers hold mu.
func (p *pool) path() string {
	p.number++
	return filepath.Join(p.dir, fmt.Sprintf("%016x", p.number-1)+segmentSuffix)
}

// total is how many segments exist.
func (p *pool) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free) + p.inUse
}

// take returns the path of a free file, which is in use from then on.
func (p *pool) take() (string, error) {
	if path, ok := p.tryTake(); ok {
		return path, nil
	}
	p.writing.Lock() // the last one may be out for writing
	defer p.writing.Unlock()
	if path, ok := p.tryTake(); ok {
		return path, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	path := p.path()
	if err := create(path, p.size); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFull, err)
	}
	p.inUse++
	return path, nil
}

func (p *pool) tryTake() (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return "", false
	}
	f := p.free[n-1]
	p.free = p.free[:n-1]
	p.inUse++
	return f.path, true
}

// put takes a file back that was in use.
func (p *pool) put(path string, size int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse--
	if size != p.size || len(p.free)+p.inUse >= p.want {
		return os.Remove(path)
	}
	to := p.path()
	if err := os.Rename(path, to); err != nil {
		return err
	}
	p.free = append(p.free, freeFile{to, true})
	return nil
}

// drop forgets a file that was in use and must not be used again.
func (p *pool) drop(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse--
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// forget counts down for a file in use that another one replaced.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse--
}

// adopt counts a file that recovery found in use.
func (p *pool) adopt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse++
}

// prewrite writes zeros over the file that would be taken next, if it was never
// written.
func (p *pool) prewrite() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	n := len(p.free)
	if n == 0 || p.free[n-1].written {
		p.mu.Unlock()
		return nil
	}
	next := p.free[n-1]
	p.free = p.free[:n-1]
	p.inUse++
	p.mu.Unlock()

	f, err := p.opt.open(next.path)
	if err == nil {
		err = fillZero(f, p.size)
		if err == nil {
			err = f.Datasync()
		}
		err = errors.Join(err, f.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse--
	p.free = append(p.free, freeFile{next.path, true}) // also after an error: its first use will meet it
	if err != nil {
		return fmt.Errorf("write free segment: %w", err)
	}
	return nil
}
