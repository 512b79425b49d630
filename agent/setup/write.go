package setup

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/configs"
	"github.com/sealgate/sealgate/internal/durable"
)

// Written is a file that was written.
type Written struct {
	Path   string `json:"path"`
	Backup string `json:"backup,omitempty"` // where what it replaced is kept
}

// WriteOptions say what Write may replace.
type WriteOptions struct {
	Force bool // files that exist; without it only agent.yaml as the package ships it
	Now   time.Time
}

// MayWrite is fs.ErrExist where Write would refuse agent.yaml, and
// fs.ErrPermission where this user can't write: to be known before anybody
// answers questions.
func MayWrite(dir string, force bool) error {
	there := dir
	for {
		if _, err := os.Stat(there); err == nil || there == filepath.Dir(there) {
			break
		}
		there = filepath.Dir(there)
	}
	if err := syscall.Access(there, 2); err != nil { // W_OK (access(2))
		return fmt.Errorf("write into %s: %w", there, err)
	}
	path := filepath.Join(dir, "agent.yaml")
	data, err := os.ReadFile(path)
	switch {
	case force || errors.Is(err, fs.ErrNotExist) || bytes.Equal(data, configs.Packaged):
		return nil
	case err != nil:
		return fmt.Errorf("read what is there: %w", err)
	}
	return fmt.Errorf("write %s: %w", path, fs.ErrExist)
}

// Write writes all files into dir or, where one exists that may not be replaced,
// none: then the error is fs.ErrExist. Each is whole or not there at any moment,
// and agent.yaml, which names the others, is the last. What is replaced is kept
// beside it. Where root writes into a directory of the service's group, that
// group may read.
func Write(dir string, files []config.ImportedFile, opt WriteOptions) ([]Written, error) {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create %s: %w", dir, err)
	}
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b config.ImportedFile) int {
		return cmp.Compare(strings.Count(a.Name, "agent.yaml"), strings.Count(b.Name, "agent.yaml"))
	})
	old := make([][]byte, len(files))
	for i, f := range files {
		path := filepath.Join(dir, f.Name)
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && opt.Force:
			return nil, fmt.Errorf("keep %s: %w", path, err)
		case err != nil || !opt.Force && !bytes.Equal(data, configs.Packaged):
			return nil, fmt.Errorf("write %s: %w", path, fs.ErrExist)
		}
		old[i] = data
	}
	var written []Written
	for i, f := range files {
		w := Written{Path: filepath.Join(dir, f.Name)}
		if old[i] != nil && !bytes.Equal(old[i], f.Data) {
			w.Backup = w.Path + opt.Now.UTC().Format(".20060102-150405.bak")
			if err := replace(w.Backup, config.ImportedFile{Data: old[i], Mode: 0o600}); err != nil {
				return written, fmt.Errorf("keep %s: %w", w.Path, err)
			}
		}
		if err := replace(w.Path, f); err != nil {
			return written, err
		}
		written = append(written, w)
	}
	slices.SortFunc(written, func(a, b Written) int { return cmp.Compare(a.Path, b.Path) })
	return written, nil
}

// replace writes a file, and gives it to the group of its directory where root
// writes for a service.
func replace(path string, f config.ImportedFile) error {
	if err := durable.WriteFile(path, f.Data, f.Mode&0o600); err != nil {
		return err
	}
	mode := f.Mode
	if st, err := os.Stat(filepath.Dir(path)); err == nil && os.Geteuid() == 0 {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Gid != 0 {
			if err := os.Chown(path, 0, int(sys.Gid)); err != nil {
				return fmt.Errorf("give %s to the service: %w", path, err)
			}
			mode = mode&^0o077 | 0o040
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("protect %s: %w", path, err)
	}
	return nil
}

// HandOver gives the service's state directory, where root has made keys in it,
// to the service's user, as the packages make it.
func HandOver(state string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("sealgate")
	if err != nil || state != systemState {
		return nil // run by root itself
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return handOver(state, uid, gid)
}

// handOver gives a directory and all in it to a user. What a link in it names
// stays whose it was.
func handOver(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
