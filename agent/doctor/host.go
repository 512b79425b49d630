package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/spool"
)

func (v *visit) clock(context.Context) { v.judgeClock(agent.ClockSynchronized()) }

func (v *visit) judgeClock(synchronized bool) {
	const name, do = "clock", "run a time service: systemctl enable --now systemd-timesyncd"
	switch {
	case v.now.Before(v.opt.Built):
		v.say(name, Fail, do, "%s is before this program was built: nothing can be valid then", v.now.UTC().Format(time.RFC3339))
	case !synchronized:
		v.say(name, Warn, do, "not synchronized: certificates and dates are judged by it")
	default:
		v.fine(name, "synchronized")
	}
}

func (v *visit) judgeRandom(ready bool) {
	if !ready {
		v.say("entropy", Fail, "wait, or give the board a random generator (rng-tools, haveged)", "the kernel's generator is not ready: keys can't be made")
		return
	}
	v.fine("entropy", "the kernel's generator is ready")
}

func (v *visit) judgeKernel(release, machine string) {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err == nil && (major < 4 || major == 4 && minor < 19) {
		v.say("kernel", Warn, "update the system: nobody mends so old a kernel", "%s", release)
		return
	}
	v.fine("kernel", "%s %s", release, machine)
}

// leastMemory is what an idle gateway and the system beside it need, in bytes.
const leastMemory = 64 << 20

func (v *visit) memory(context.Context) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		v.skip("memory", "%v", err)
		return
	}
	v.judgeMemory(string(raw))
}

// judgeMemory reads /proc/meminfo (proc_meminfo(5)).
func (v *visit) judgeMemory(text string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			break
		}
		if n <<= 10; n < leastMemory && !v.running {
			v.say("memory", Warn, "stop what else runs, or choose a larger board", "%d MiB available", n>>20)
			return
		}
		v.fine("memory", "%d MiB available", n>>20)
		return
	}
	v.skip("memory", "the kernel does not tell")
}

// unitProperties are those that are looked at (systemctl(1), show).
const unitProperties = "LoadState,UnitFileState,ActiveState,MemoryMax,User,DeviceAllow,LoadCredentialEncrypted,LoadCredential"

// unit asks systemd, where it is, about the service and its memory limit.
func (v *visit) unit(ctx context.Context) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		v.skip("unit", "systemd does not run here")
		return
	}
	ctx, cancel := v.until(ctx)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "sealgate.service", "--property="+unitProperties).Output()
	if err != nil {
		v.skip("unit", "systemctl: %v", err)
		return
	}
	v.judgeUnit(string(out))
}

// judgeUnit reads the properties that systemctl printed, one KEY=VALUE a line.
func (v *visit) judgeUnit(out string) {
	p := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[key] = value
	}
	switch {
	case p["LoadState"] != "loaded":
		v.say("unit", Warn, "install the package, or see docs/install.md", "sealgate.service is not installed (%s)", p["LoadState"])
		return
	case p["ActiveState"] == "failed":
		v.say("unit", Fail, "journalctl -u sealgate says why", "the service failed")
	case p["UnitFileState"] != "enabled":
		v.say("unit", Warn, "systemctl enable --now sealgate", "not enabled: it won't start with the machine")
	default:
		v.fine("unit", "enabled, %s", p["ActiveState"])
	}
	v.service = p
	n, err := strconv.ParseUint(p["MemoryMax"], 10, 64)
	switch {
	case err != nil:
		v.say("memory limit", Warn, "set MemoryMax=128M in the unit", "the service has none")
	case n < leastMemory:
		v.say("memory limit", Warn, "the unit that is shipped has MemoryMax=128M", "%d MiB is tight", n>>20)
	default:
		v.fine("memory limit", "%d MiB", n>>20)
	}
}

// directories looks at where the gateway writes.
func (v *visit) directories(context.Context) {
	v.directory("state", v.cfg.State)
	if v.directory("spool", v.cfg.Spool.Directory) {
		v.space()
		v.wear()
	}
}

// directory says whether there is one to go on with.
func (v *visit) directory(name, dir string) bool {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.say(name, Warn, "the first start makes it, where it may", "%s is not there yet", dir)
		return false
	case errors.Is(err, fs.ErrPermission):
		v.skip(name, "%s is closed to this user: run it as root", dir)
		return false
	case err != nil:
		v.say(name, Fail, "look at the path in agent.yaml", "%v", err)
		return false
	case !st.IsDir():
		v.say(name, Fail, "choose another path in agent.yaml", "%s is no directory", dir)
		return false
	case st.Mode().Perm()&0o077 != 0:
		v.say(name, Fail, "chmod 0700 "+dir, "%s has mode %04o: others may look into it", dir, st.Mode().Perm())
		return true
	}
	if err := writable(dir); err != nil {
		v.say(name, Fail, "run it as the service's user or root; else mount it writable, chown it", "%s can't be written: %v", dir, err)
		return true
	}
	if err := spool.CheckDir(dir); err != nil && !v.cfg.Spool.Volatile {
		v.say(name, Fail, "put it on flash or a disk, or say spool: {volatile: true}", "%v", err)
		return true
	}
	v.fine(name, "%s, owner %s, %s", dir, owner(st), fileSystem(dir))
	return true
}

// autoSpool is the most that a spool of size auto takes.
const autoSpool = 256 << 20

// space compares what is free, and what the spool has already, with its size.
func (v *visit) space() {
	dir, want := v.cfg.Spool.Directory, int64(v.cfg.Spool.Size)
	free, err := freeBytes(dir)
	if err != nil {
		v.skip("free space", "%v", err)
		return
	}
	used := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that goes while the gateway runs is none
		}
		if st, err := d.Info(); err == nil && st.Mode().IsRegular() {
			used += st.Size()
		}
		return nil
	})
	has := free + used
	switch {
	case want > 0 && has < want:
		v.say("free space", Fail, "make room, or lower spool.size", "%d MiB, and spool.size is %d MiB", has>>20, want>>20)
	case want == 0 && has/5 < 16<<20:
		v.say("free space", Warn, "make room: a fifth of it is the spool", "%d MiB only", has>>20)
	case want == 0:
		v.fine("free space", "%d MiB; the spool takes up to %d MiB", has>>20, min(autoSpool, has/5)>>20)
	default:
		v.fine("free space", "%d MiB for spool.size of %d MiB", has>>20, want>>20)
	}
}

// judgeWear reads life_time of an eMMC (JEDEC eMMC 5.0: two numbers, in tenths
// of its life; 0x0b is beyond).
func (v *visit) judgeWear(text string) {
	worst := uint64(0)
	for _, f := range strings.Fields(text) {
		n, err := strconv.ParseUint(f, 0, 8)
		if err != nil {
			v.skip("flash wear", "the medium's answer is not understood")
			return
		}
		worst = max(worst, n)
	}
	switch {
	case worst == 0:
		v.skip("flash wear", "the medium does not tell")
	case worst >= 9:
		v.say("flash wear", Warn, "back up (sealgate backup), and replace the medium", "about %d %% of its life is used", min(worst*10, 100))
	default:
		v.fine("flash wear", "at most %d %% of its life is used", worst*10)
	}
}
