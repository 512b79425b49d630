package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	diskFile  = 4 << 20 // as long as a segment of the spool
	diskWrite = 1 << 10
	diskEvery = 10 * time.Millisecond // seldom enough to leave the disk to others
)

// A disk measures how long an fdatasync takes while something else is measured:
// of a file whose blocks were written before, as the spool's are.
type disk struct {
	f    *os.File
	quit chan struct{}
	took chan []time.Duration
	err  error // set before took is sent
}

func newDisk(t *stage) *disk {
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err = f.Write(make([]byte, diskFile)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		t.Fatalf("prepare file: %v", err)
	}
	d := &disk{f: f, quit: make(chan struct{}), took: make(chan []time.Duration, 1)}
	go d.run()
	return d
}

func (d *disk) run() {
	var took []time.Duration
	every := time.NewTicker(diskEvery)
	defer every.Stop()
	for off := int64(0); d.err == nil; off = (off + diskWrite) % diskFile {
		select {
		case <-d.quit:
			d.took <- took
			return
		case <-every.C:
		}
		begun := time.Now()
		if _, d.err = d.f.WriteAt(make([]byte, diskWrite), off); d.err == nil {
			d.err = syscall.Fdatasync(int(d.f.Fd()))
		}
		took = append(took, time.Since(begun))
	}
	d.took <- nil
}

// stop ends the measurement and returns its samples.
func (d *disk) stop(t *stage) []time.Duration {
	close(d.quit)
	took := <-d.took
	if d.err != nil {
		t.Fatalf("sync file: %v", d.err)
	}
	return took
}
