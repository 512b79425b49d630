package spool

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// datasync keeps the descriptor open meanwhile: the file may be closed by
// another goroutine.
func datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	serr := syscall.EINTR
	for err == nil && serr == syscall.EINTR {
		err = c.Control(func(fd uintptr) { serr, _ = syscall.Fdatasync(int(fd)).(syscall.Errno) })
	}
	if err != nil {
		return err
	}
	if serr != 0 {
		return serr
	}
	return nil
}

// reserve allocates the blocks, by fallocate where the file system has it.
func reserve(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		err = fillZero(f, size)
	}
	return err
}

// lockDir keeps a second process out of the directory until f is closed.
func lockDir(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock %s (does another agent run on it?): %w", f.Name(), err)
	}
	return nil
}

// freeBytes is what an unprivileged writer may still allocate.
func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Magic numbers of statfs(2) for file systems that don't outlive the machine,
// or the container.
const (
	tmpfsMagic   = 0x01021994
	ramfsMagic   = 0x858458f6
	overlayMagic = 0x794c7630
)

// CheckDir returns an error wrapping ErrVolatile if dir is on a file system
// that loses its content: tmpfs, ramfs, or a container's overlay.
func CheckDir(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at file system of %s: %w", dir, err)
	}
	switch uint32(st.Type) {
	case tmpfsMagic, ramfsMagic:
		return fmt.Errorf("%s is in memory (tmpfs): %w", dir, ErrVolatile)
	case overlayMagic:
		return fmt.Errorf("%s is a container's overlay: %w", dir, ErrVolatile)
	}
	return nil
}
