package spool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVerifyAndDump(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	commit(t, s, 0, 0, 300, 500)
	if err := put(s, []Entry{grantEntry(0, 1), under(0, 300, 1)}); err != nil {
		t.Fatal(err)
	}
	c := cursor(t, s, 0, 0)
	_, ps := drain(t, c)
	for _, p := range ps[:50] {
		c.Release(p)
	}
	if err := s.Quarantine(0, c, ps[299], "refused_by_broker", true); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)

	infos, err := Verify(o.Dir, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	var logs []string
	var records, waiting uint64
	for _, i := range infos {
		if i.Damage != nil || i.Uplink != "cloud" || i.Bytes <= 0 {
			t.Errorf("%+v", i)
		}
		logs = append(logs, i.Log)
		records, waiting = records+i.Records, waiting+i.Waiting
	}
	if !slices.Equal(logs, []string{"normal", "normal", "normal", "control", "quarantine"}) || records != 303 || waiting != 253 {
		t.Errorf("%v: %d records, %d waiting", logs, records, waiting)
	}
	kinds := map[Kind]int{}
	var last uint64
	for m, err := range Dump(o.Dir, o.Key) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Log == "normal" {
			if m.Seq != last+1 || m.Waiting != (m.Seq > 50) {
				t.Fatalf("%d after %d: %+v", m.Seq, last, m)
			}
			last = m.Seq
		}
		if (m.Log == "quarantine") != (m.Reason == "refused_by_broker") || m.Stored.IsZero() || m.Bytes == 0 {
			t.Fatalf("%+v", m)
		}
		kinds[m.Kind]++
	}
	if kinds[KindData] != 302 || kinds[KindGrant] != 1 {
		t.Errorf("dumped %v", kinds)
	}
	for range Dump(o.Dir, o.Key) {
		break // stopping early must not be an error
	}

	files := laneFiles(t, o.Dir, segmentSuffix)
	flip(t, files[0], 1000)
	flip(t, files[1], 30)
	infos, err = Verify(o.Dir, testKey(t, 9), o.Key)
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	for _, i := range infos {
		if i.Damage != nil {
			if !errors.Is(i.Damage, ErrDamaged) {
				t.Errorf("%s: %v", i.Path, i.Damage)
			}
			bad = append(bad, i.Path)
		}
	}
	slices.Sort(bad)
	if !slices.Equal(bad, files[:2]) {
		t.Errorf("found bad: %v", bad)
	}
	infos, err = Verify(o.Dir, testKey(t, 9))
	if err != nil || len(infos) == 0 || !errors.Is(infos[len(infos)-1].Damage, ErrKey) {
		t.Errorf("with a wrong key: %v, %+v", err, infos)
	}
	if _, err := Verify(o.Dir); err == nil {
		t.Error("verified without a key")
	}
	if _, err := Verify(filepath.Join(o.Dir, "nowhere"), o.Key); err == nil {
		t.Error("verified a missing directory")
	}
}

// TestNoPlaintextOnDisk searches all files for what was committed.
func TestNoPlaintextOnDisk(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	r := Record{
		Kind: KindData, Topic: "needle/topic", ContentType: "needle/type",
		Props: []Prop{{"needle-key", "needle-value"}}, Payload: []byte(strings.Repeat("needle-payload", 9)),
	}
	if err := put(s, []Entry{{Record: r}}); err != nil {
		t.Fatal(err)
	}
	c := cursor(t, s, 0, 0)
	if _, p, ok, err := c.Next(); !ok || err != nil || s.Quarantine(0, c, p, "needle-reason", true) != nil {
		t.Fatalf("quarantine: %v %v", ok, err)
	}
	mustClose(t, s)
	seen := 0
	if err := filepath.WalkDir(o.Dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		b, err := os.ReadFile(p)
		if strings.Contains(string(b), "needle") {
			t.Errorf("%s holds plaintext", p)
		}
		if info, _ := d.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		return err
	}); err != nil || seen < 10 {
		t.Fatalf("searched %d files: %v", seen, err)
	}
}

// mountTmpfs mounts a file system of that size, or skips the test; where CI is
// to run everything that is a failure.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		missing(t, "needs root on Linux to mount a tmpfs: run 'sudo go test -run Tmpfs ./agent/spool'")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("mount tmpfs: %v: %s; run where mounting is allowed", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SEALGATE_CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestFullTmpfs(t *testing.T) {
	dir := mountTmpfs(t, "3m")
	if err := CheckDir(dir); !errors.Is(err, ErrVolatile) {
		t.Errorf("a tmpfs is said to last: %v", err)
	}
	o := small(t, filepath.Join(dir, "spool"))
	o.Volatile = false
	if _, err := Open(o); !errors.Is(err, ErrVolatile) {
		t.Errorf("opened on a tmpfs: %v", err)
	}
	o.Volatile = true
	s := mustOpen(t, o)
	// Something else fills the rest of the disk: what is reserved still works.
	ballast := filepath.Join(dir, "ballast")
	fill := make([]byte, 3<<20)
	if err := os.WriteFile(ballast, fill, 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	var n uint64
	for ; ; n++ {
		r := data(n, 2000)
		res, ok := s.Reserve(1, 0, Size(&r))
		if !ok {
			break
		}
		if err := put(s, []Entry{{Record: r, Reservation: res}}); err != nil {
			t.Fatalf("record %d on a full disk: %v", n, err)
		}
	}
	if n < 500 {
		t.Fatalf("only %d records fit", n)
	}
	mustClose(t, s)
	// A larger spool does not fit, and opens all the same.
	o.Size = 8 << 20
	s = mustOpen(t, o)
	if rep := s.Recovery(); rep.Short == 0 || rep.Records != int64(n) || rep.Lost != 0 {
		t.Fatalf("on a full disk: %+v", rep)
	}
	c := cursor(t, s, 0, 0)
	ns, ps := drain(t, c)
	wantSeq(t, ns, 0, n)
	for _, p := range ps {
		c.Release(p)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// Space comes back when the sweeper has seen that the disk has some: a
	// writer waits for it, as ingress does.
	for i := n; i < n+10; i++ {
		r := data(i, 2000)
		for {
			changed := s.Changed()
			if res, ok := s.Reserve(1, 0, Size(&r)); ok {
				if err := put(s, []Entry{{Record: r, Reservation: res}}); err != nil {
					t.Fatalf("record %d after the disk was freed: %v", i, err)
				}
				break
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Fatal("no space came back")
			}
		}
	}
	ns, _ = drain(t, c)
	wantSeq(t, ns, n, n+10)
	mustClose(t, s)
}

func TestAutoSize(t *testing.T) {
	dir := mountTmpfs(t, "20m")
	o := small(t, dir)
	o.Size = 0
	limit := int64(0)
	for range 3 { // its own files don't make it smaller each time
		s := mustOpen(t, o)
		st := s.Stats()
		if st.Limit > 4<<20 || st.Limit < 2<<20 || limit != 0 && st.Limit != limit {
			t.Fatalf("limit %d, before %d", st.Limit, limit)
		}
		limit = st.Limit
		mustClose(t, s)
	}
}
