package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mountDisk mounts a small disk of its own, in memory.
func mountDisk(t *testing.T, dir string, bytes int) {
	t.Helper()
	check(t, os.MkdirAll(dir, 0o700))
	mayMount(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)))
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// mayMount skips where this user can't mount anything; in CI that fails.
func mayMount(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case Full():
		t.Fatalf("mount a disk: %v", err)
	default:
		t.Skipf("a disk of its own needs the right to mount: %v", err)
	}
}

// An image is an ext4 file system in a file, mounted by a loop device.
type image struct {
	t    *testing.T
	file string
	dir  string
}

// newImage makes one and mounts it. Nothing but fsync makes it write: the
// journal commits by itself only after five minutes.
func newImage(t *testing.T, dir string, size int64) *image {
	t.Helper()
	for _, program := range []string{"mkfs.ext4", "mount", "umount"} {
		Need(t, program)
	}
	i := &image{t: t, file: filepath.Join(t.TempDir(), "disk"), dir: dir}
	check(t, os.WriteFile(i.file, nil, 0o600))
	check(t, os.Truncate(i.file, size))
	run(t, "mkfs.ext4", "-q", "-F", i.file)
	check(t, os.MkdirAll(dir, 0o700))
	i.mount()
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return i
}

func (i *image) mount() {
	i.t.Helper()
	out, err := exec.Command("mount", "-o", "loop,commit=300", i.file, i.dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	mayMount(i.t, err)
}

// copy copies the image as its medium is now: without what the mounted file
// system still has in its page cache. Whoever writes to it must be frozen. The
// copy is taken again until two in a row are equal, so that it is of one moment.
func (i *image) copy() string {
	i.t.Helper()
	var last [sha256.Size]byte
	to := i.file + ".copy"
	for range 20 {
		from, err := os.Open(i.file)
		check(i.t, err)
		out, err := os.Create(to)
		check(i.t, err)
		h := sha256.New()
		_, err = io.Copy(io.MultiWriter(out, h), from)
		check(i.t, err)
		check(i.t, out.Close())
		check(i.t, from.Close())
		sum := [sha256.Size]byte(h.Sum(nil))
		if sum == last {
			return to
		}
		last = sum
	}
	i.t.Fatalf("the image does not come to rest")
	return ""
}

// become puts a copy in the place of the image, as after a power cut.
func (i *image) become(copy string) {
	i.t.Helper()
	Until(i.t, "the image is unmounted", 20*time.Second, func() bool { return syscall.Unmount(i.dir, 0) == nil })
	i.file = copy
	i.mount()
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := find(name)
	check(t, err)
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}
