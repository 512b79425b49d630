package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// random asks whether the kernel's generator is ready (getrandom(2)).
func (v *visit) random(context.Context) {
	n, err := unix.Getrandom(make([]byte, 16), unix.GRND_NONBLOCK)
	v.judgeRandom(err == nil && n == 16)
}

func (v *visit) kernel(context.Context) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		v.skip("kernel", "%v", err)
		return
	}
	v.judgeKernel(unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
}

// locked says whether a gateway holds the state directory, without taking the
// lock (proc_locks(5)).
func locked(state string) bool {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(state, "lock"), &st); err != nil {
		return false
	}
	raw, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	inode := ":" + strconv.FormatUint(st.Ino, 10)
	for line := range bytes.Lines(raw) {
		f := strings.Fields(string(line))
		if len(f) >= 6 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) {
			return true
		}
	}
	return false
}

func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

func owner(st fs.FileInfo) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	id := strconv.FormatUint(uint64(sys.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at file system: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// fileSystem names the kind of a directory's file system.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown file system"
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case 0x24051905: // linux/magic.h: UBIFS_SUPER_MAGIC
		return "ubifs"
	}
	return fmt.Sprintf("file system 0x%x", uint32(st.Type))
}

// wear reads what an eMMC under the spool says of itself.
func (v *visit) wear() {
	var st unix.Stat_t
	if err := unix.Stat(v.cfg.Spool.Directory, &st); err != nil {
		v.skip("flash wear", "%v", err)
		return
	}
	dev := uint64(st.Dev)
	block, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev)))
	if err != nil {
		v.skip("flash wear", "the medium does not tell")
		return
	}
	raw, err := os.ReadFile(filepath.Join(block, "device/life_time"))
	if errors.Is(err, fs.ErrNotExist) { // of a partition, the disk
		raw, err = os.ReadFile(filepath.Join(filepath.Dir(block), "device/life_time"))
	}
	if err != nil {
		v.skip("flash wear", "the medium does not tell")
		return
	}
	v.judgeWear(string(raw))
}

// access is what a user may read.
type access struct {
	uid    uint32
	groups map[uint32]bool
}

// accessOf looks a user of this machine up.
func accessOf(name string) (*access, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	a := &access{groups: map[uint32]bool{}}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	a.uid = uint32(uid)
	for _, id := range ids {
		gid, e := strconv.ParseUint(id, 10, 32)
		a.groups[uint32(gid)], err = true, errors.Join(err, e)
	}
	return a, err
}

// reads says whether the user may read a file, its directories included. What
// access control lists (acl(5)) give is not seen.
func (a *access) reads(path string) (bool, error) {
	may := func(path string, bit fs.FileMode) (bool, error) {
		st, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		switch mode := st.Mode().Perm(); {
		case !ok || a.uid == 0:
			return true, nil
		case sys.Uid == a.uid:
			return mode&(bit<<6) != 0, nil
		case a.groups[sys.Gid]:
			return mode&(bit<<3) != 0, nil
		default:
			return mode&bit != 0, nil
		}
	}
	ok, err := may(path, 4)
	for dir := filepath.Dir(path); ok && err == nil; dir = filepath.Dir(dir) {
		if ok, err = may(dir, 1); dir == filepath.Dir(dir) {
			break
		}
	}
	return ok, err
}
