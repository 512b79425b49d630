package spool

import (
	"fmt"
	"io"
	"os"
)

// file is what the spool needs of an open segment or checkpoint. Tests put
// faults between it and the real file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Datasync() error
}

type osFile struct{ *os.File }

func (f osFile) Datasync() error { return datasync(f.File) }

// open opens an existing file for reading and writing.
func (o *Options) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return o.wrapped(path, f), nil
}

func (o *Options) wrapped(path string, f *os.File) file {
	if o.wrap != nil {
		return o.wrap(path, osFile{f})
	}
	return osFile{f}
}

// create makes a file of that size whose blocks are really reserved.
func create(path string, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(path) // err says why it is unwanted
		}
	}()
	if err := reserve(f, size); err != nil {
		return fmt.Errorf("reserve %d bytes for %s: %w", size, path, err)
	}
	return nil
}

// fillZero writes the file once from front to back: later writes then replace
// blocks and leave the file system's own records alone, so that an fdatasync
// is one write to the medium.
func fillZero(f io.WriterAt, size int64) error {
	zero := make([]byte, 64<<10)
	for off := int64(0); off < size; off += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
