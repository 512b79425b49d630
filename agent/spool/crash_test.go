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
	"strings"
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

func (d *cutDisk) powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	if testing.Short() || contract.linger > 0 {
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
	released := map[uint64]bool{}
	size, merged := 3000, 0
	if seed%2 == 1 {
		size = 500
	}
	defer func() { t.Logf("%d segments merged", merged) }()
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
		<-s.flushed
		d.mu.Lock()
		d.left = -1
		d.mu.Unlock()
		c := cursor(t, s, 0, 0)
		rep := s.Recovery()
		c.Rewind() // somebody reads
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
		for d.powered() {
			var es []Entry
			noSync := !sync || rng.IntN(4) == 0
			for range 1 + rng.IntN(30) {
				e := Entry{Record: data(next, rng.IntN(size)), NoSync: noSync}
				if n := next; !noSync || !sync {
					e.Safe = func(err error) {
						if err == nil && !released[n] {
							acknowledged[n] = true
						}
					}
				}
				es = append(es, e)
				next++
			}
			if err := put(s, es); err != nil {
				if !errors.Is(err, errPower) && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				if errors.Is(err, errPower) {
					break
				}
			}
			more, mps := drain(t, c)
			ns, ps = append(ns, more...), append(ps, mps...)
			for k := rng.IntN(40); k > 0 && len(ns) > 0; k-- {
				c.Release(ps[0])
				released[ns[0]] = true
				delete(acknowledged, ns[0])
				ns, ps = ns[1:], ps[1:]
			}
			if rng.IntN(6) == 0 {
				s.spill() // as when they have waited for long enough
			}
			if rng.IntN(3) == 0 {
				s.Flush()
			}
			if l := s.uplinks[0].logs[0]; rng.IntN(2) == 0 { // a small segment, as after a failed fdatasync
				s.Flush()
				l.wmu.Lock()
				l.act = nil
				l.books.tail(l.id, 0)
				l.wmu.Unlock()
				merged += l.compact()
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

// killed commits, says which records are safe and which it is about to release,
// and reads and releases some.
func killed(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	key, err := testKeyOf(1)
	if err != nil {
		fail(err)
	}
	linger, err := time.ParseDuration(os.Getenv("SEALGATE_SPOOL_KILL_LINGER"))
	if err != nil {
		fail(err)
	}
	s, err := Open(Options{Dir: dir, Uplinks: []string{"cloud"}, Key: key, Volatile: true, Size: 4 << 20, MaxRecord: 16 << 10, Checkpoint: 5 * time.Millisecond, Linger: linger})
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
	var mu sync.Mutex
	say := func(what string, n uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stdout, what, n) // one write, whole in the pipe
	}
	c, err := s.Cursor(0, 0)
	if err != nil {
		fail(err)
	}
	go func() { // a sender that is acknowledged at once, most of the time
		c.Rewind()
		var last *Record
		var lastPos Pos
		for {
			r, pos, ok, err := c.Next()
			if err != nil {
				fail(err)
			}
			switch {
			case !ok:
				time.Sleep(time.Millisecond)
			case number(r)%1000 < 900 || number(r)+2000 < start:
				say("released", number(r))
				c.Release(pos)
			case rand.IntN(50) == 0:
				if rand.IntN(2) == 0 {
					c.Pause()
					time.Sleep(time.Millisecond)
				}
				c.Rewind()
			case last == nil:
				last, lastPos = r, pos // stays for a while, and holds all after it
			case rand.IntN(20) == 0:
				say("released", number(last))
				c.Release(lastPos)
				last = nil
			}
		}
	}()
	for n := start; ; {
		var es []Entry
		for range 1 + rand.IntN(20) {
			id := n
			es = append(es, Entry{Record: data(n, 300), Safe: func(err error) {
				if err != nil {
					fail(err)
				}
				say("safe", id)
			}})
			n++
		}
		if err := s.Commit(es); errors.Is(err, ErrFull) {
			os.Exit(0)
		} else if err != nil {
			fail(err)
		}
		if linger > 0 && rand.IntN(4) == 0 {
			time.Sleep(time.Millisecond) // so that the reader may get behind or not
		}
		if spared := s.Stats().Spared; spared > 0 {
			say("spared", spared)
		}
	}
}

func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for name, linger := range map[string]time.Duration{"sync": 0, "spill": 3 * time.Millisecond} {
		t.Run(name, func(t *testing.T) { killAgain(t, linger) })
	}
}

// killAgain kills a process at some moment, again and again. What it called safe
// and did not release must be there, in order and without a gap.
func killAgain(t *testing.T, linger time.Duration) {
	dir := filepath.Join(t.TempDir(), "spool")
	var upTo uint64 // all below are safe
	safe, released := map[uint64]bool{}, map[uint64]bool{}
	spared := false // some were released before they were written
	for round := range 25 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+dir, fmt.Sprintf("SEALGATE_SPOOL_KILL_FROM=%d", upTo), fmt.Sprintf("SEALGATE_SPOOL_KILL_LINGER=%s", linger))
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
			what, number, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				continue // cut off
			}
			switch what {
			case "safe":
				safe[n] = true
			case "released":
				released[n] = true
			case "spared":
				spared = true
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
		for n := range safe {
			if _, there := slices.BinarySearch(ns, n); !there && !released[n] {
				t.Fatalf("round %d: %d was safe and is gone; %d records are there", round, n, len(ns))
			}
		}
		for safe[upTo] {
			upTo++
		}
		if len(ns) > 0 {
			upTo = max(upTo, ns[len(ns)-1]+1)
		}
		for i, p := range ps[:len(ps)*2/3] {
			released[ns[i]] = true
			c.Release(p)
		}
		mustClose(t, s)
	}
	t.Logf("%d safe", upTo)
	if upTo < 1000 || (linger > 0) != spared {
		t.Fatalf("%d records were safe; some never written: %v", upTo, spared)
	}
}
