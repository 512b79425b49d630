package spool

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A cutDisk is a disk whose power can fail: each sector that was written since
// its file's last fdatasync then holds either what it held before or what was
// written, as chance has it.
type cutDisk struct {
	mu    sync.Mutex
	rng   *rand.Rand
	files []*cutFile
	left  int // operations until the power fails; negative: it does not
}

type cutFile struct {
	file
	disk *cutDisk
	was  map[int64][]byte // sectors of the file written since its last fdatasync, as they were durable
}

var errPower = errors.New("power is off")

func (d *cutDisk) wrap(_ string, inner file) file {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &cutFile{inner, d, map[int64][]byte{}}
	for _, o := range d.files { // one file opened twice: nothing is closed, so no inode is used again
		if a, err := o.file.(osFile).Stat(); err == nil {
			if b, err := inner.(osFile).Stat(); err == nil && os.SameFile(a, b) {
				f.was = o.was
			}
		}
	}
	d.files = append(d.files, f)
	return f
}

// on counts one operation and says whether there is still power.
func (d *cutDisk) on() bool {
	if d.left > 0 {
		d.left--
	}
	return d.left != 0
}

func (f *cutFile) WriteAt(b []byte, off int64) (int, error) {
	const sector = 512
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	on := f.disk.on()
	for at := off / sector * sector; at < off+int64(len(b)); at += sector {
		if f.was[at] == nil {
			old := make([]byte, sector)
			_, _ = f.file.ReadAt(old, at)
			f.was[at] = old
		}
	}
	if !on {
		n, _ := f.file.WriteAt(b[:f.disk.rng.IntN(len(b)+1)], off)
		return n, errPower
	}
	return f.file.WriteAt(b, off)
}

func (f *cutFile) Datasync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.on() {
		return errPower
	}
	clear(f.was)
	return nil
}

// Close keeps the file, whose unsynced sectors the cut needs.
func (f *cutFile) Close() error { return nil }

// cut makes the files what the medium holds, and the names too.
func (d *cutDisk) cut(t *testing.T, s *Spool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		for at, old := range f.was {
			if d.rng.IntN(2) == 0 {
				if _, err := f.file.WriteAt(old, at); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = f.file.Close()
	}
	if s == nil {
		return
	}
	for _, u := range s.uplinks {
		for _, l := range u.logs {
			for _, seg := range l.dirty {
				if seg.fresh && d.rng.IntN(2) == 0 { // a rename that was not yet durable
					u.pool.mu.Lock()
					to := u.pool.path()
					u.pool.mu.Unlock()
					if err := os.Rename(seg.path, to); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestPowerCut(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for seed := range uint64(rounds) {
		powerCut(t, seed, true)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestPowerCutControl is the control: without fdatasync the same check must
// find losses, or it would prove nothing.
func TestPowerCutControl(t *testing.T) {
	lost := 0
	for seed := range uint64(4) {
		if powerCut(t, seed, false) > 0 {
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("no loss without fdatasync: the check is blind")
	}
}

// powerCut runs a spool through several power cuts. It returns how many
// acknowledged records went missing, which is an error if sync.
func powerCut(t *testing.T, seed uint64, sync bool) (lost int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	dir := t.TempDir()
	var next uint64                   // number to commit
	acknowledged := map[uint64]bool{} // and not yet released
	for range 10 {
		d := &cutDisk{rng: rng, left: 5 + rng.IntN(200)}
		o := small(t, dir)
		o.wrap = d.wrap
		o.Checkpoint = time.Hour
		if rng.IntN(2) == 0 {
			o.TailCache = -1
		}
		left := d.left
		if d.left = -1; rng.IntN(3) == 0 { // the power may fail during recovery
			d.left = 1 + rng.IntN(25)
		}
		s, err := Open(o)
		if err != nil {
			if !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			d.cut(t, nil)
			continue
		}
		s.stop()
		<-s.done
		d.mu.Lock()
		d.left = -1
		d.mu.Unlock()
		c := cursor(t, s, 0, 0)
		rep := s.Recovery()
		ns, ps := drain(t, c)
		for i := 1; i < len(ns); i++ {
			if ns[i] <= ns[i-1] {
				t.Errorf("record %d after %d", ns[i], ns[i-1])
			}
		}
		for n := range acknowledged {
			if _, ok := slices.BinarySearch(ns, n); !ok {
				lost++
				if sync {
					t.Errorf("record %d is gone", n)
				}
			}
		}
		if sync && (rep.Lost != 0 || len(rep.SetAside) != 0) {
			t.Errorf("false alarm: %+v", rep)
		}
		if !sync {
			clear(acknowledged) // counted once
			for _, n := range ns {
				acknowledged[n] = true
			}
		}
		d.mu.Lock()
		d.left = left
		d.mu.Unlock()
		for {
			var es []Entry
			first := next
			noSync := !sync || rng.IntN(4) == 0
			for range 1 + rng.IntN(30) {
				es = append(es, Entry{Record: data(next, rng.IntN(3000)), NoSync: noSync})
				next++
			}
			if err := s.Commit(es); err != nil {
				if !errors.Is(err, errPower) && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				if errors.Is(err, errPower) {
					break
				}
			} else if !noSync || !sync {
				for n := first; n < next; n++ {
					acknowledged[n] = true
				}
			}
			more, mps := drain(t, c)
			ns, ps = append(ns, more...), append(ps, mps...)
			for k := rng.IntN(40); k > 0 && len(ns) > 0; k-- {
				c.Release(ps[0])
				delete(acknowledged, ns[0])
				ns, ps = ns[1:], ps[1:]
			}
			if _, err := s.uplinks[0].logs[0].reclaim(rng.IntN(3) == 0); err != nil {
				break
			}
			if _, err := s.uplinks[0].logs[0].reclaim(false); err != nil {
				break
			}
		}
		_ = s.closeFiles()
		d.cut(t, s)
	}
	return lost
}

const killEnv = "SEALGATE_SPOOL_KILL_DIR"

// TestMain lets the test binary be the process that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		killed(dir)
	}
	os.Exit(m.Run())
}

// killed commits from several goroutines through one committer, prints the
// numbers that Commit made durable, and reads and releases some.
func killed(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	key, err := testKeyOf(1)
	if err != nil {
		fail(err)
	}
	s, err := Open(Options{Dir: dir, Uplinks: []string{"cloud"}, Key: key, Volatile: true, Size: 4 << 20, MaxRecord: 16 << 10, Checkpoint: 5 * time.Millisecond})
	if err != nil {
		fail(err)
	}
	if rep := s.Recovery(); rep.Lost > 0 || len(rep.SetAside) > 0 {
		fail(fmt.Errorf("recovery: %+v", rep))
	}
	start, err := strconv.ParseUint(os.Getenv("SEALGATE_SPOOL_KILL_FROM"), 10, 64)
	if err != nil {
		fail(err)
	}
	out := bufio.NewWriter(os.Stdout)
	c, err := s.Cursor(0, 0)
	if err != nil {
		fail(err)
	}
	go func() { // a sender that is acknowledged at once
		for {
			r, pos, ok, err := c.Next()
			if err != nil {
				fail(err)
			}
			if !ok {
				time.Sleep(time.Millisecond)
				continue
			}
			if number(r)%1000 < 900 || number(r)+2000 < start {
				c.Release(pos) // some records stay for a while, and hold all after them
			} else if rand.IntN(50) == 0 {
				c.Rewind()
			}
		}
	}()
	for n := start; ; {
		var es []Entry
		for range 1 + rand.IntN(20) {
			es = append(es, Entry{Record: data(n, 300)})
			n++
		}
		if err := s.Commit(es); errors.Is(err, ErrFull) {
			n -= uint64(len(es))
			c.Rewind()
			time.Sleep(time.Millisecond)
			os.Exit(0)
		} else if err != nil {
			fail(err)
		}
		fmt.Fprintln(out, n)
		out.Flush()
	}
}

func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := filepath.Join(t.TempDir(), "spool")
	var upTo uint64 // acknowledged
	for round := range 25 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+dir, fmt.Sprintf("SEALGATE_SPOOL_KILL_FROM=%d", upTo))
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
				upTo = n
			}
		}
		err = cmd.Wait()
		after.Stop()
		var x *exec.ExitError
		if err != nil && (!errors.As(err, &x) || x.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
			t.Fatalf("round %d: child: %v", round, err)
		}
		o := small(t, dir)
		o.Size = 4 << 20
		s := mustOpen(t, o)
		if rep := s.Recovery(); rep.Lost != 0 || len(rep.SetAside) != 0 {
			t.Fatalf("round %d: %+v", round, rep)
		}
		c := cursor(t, s, 0, 0)
		ns, ps := drain(t, c)
		for i := 1; i < len(ns); i++ {
			if ns[i] != ns[i-1]+1 {
				t.Fatalf("round %d: %d after %d", round, ns[i], ns[i-1])
			}
		}
		if len(ns) > 0 {
			if last := ns[len(ns)-1] + 1; last < upTo {
				t.Fatalf("round %d: %d acknowledged, %d there", round, upTo, last)
			} else {
				upTo = last
			}
		}
		for _, p := range ps[:len(ps)*2/3] {
			c.Release(p)
		}
		mustClose(t, s)
	}
	if upTo < 1000 {
		t.Fatalf("only %d records committed", upTo)
	}
}
