// Package durable writes files so that they survive a power cut: whole or not
// at all, file and directory synced. It assumes a POSIX file system whose
// rename is atomic and whose fsync reaches the medium.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// WriteFile replaces the file at path by data: temporary file in the same
// directory, fsync, rename, fsync of the directory. On any error the old file
// is unchanged.
func WriteFile(path string, data []byte, perm fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("create temporary file beside %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return SyncDir(dir)
}

// leftover is what the temporary files of WriteFile are called.
var leftover = regexp.MustCompile(`^\..+\.tmp-[0-9]+$`)

// Sweep removes the temporary files below dir that WriteFile left behind when
// its process was killed. Nobody may be writing there. A missing directory is
// no error; what a check of the file system found belongs to root.
func Sweep(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "lost+found" {
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() || !leftover.MatchString(d.Name()) {
			return err
		}
		return os.Remove(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Remove removes the file at path and syncs its directory. A missing file is
// no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll creates a directory and its parents and syncs each parent of what it
// created.
func MkdirAll(path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes the entries of a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
