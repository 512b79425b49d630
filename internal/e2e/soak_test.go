package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakMessages is how many messages the long runs take: SEALGATE_SOAK=n says
// it, else the size is that of the other proofs.
func soakMessages(small, full int) int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_SOAK")); err == nil {
		return n
	}
	return Size(small, full)
}

// footprint is what a gateway takes.
type footprint struct {
	rss, peak int64
	fds       int // open files and connections
	files     int // on disk
	bytes     int64
}

func (f footprint) String() string {
	return fmt.Sprintf("RSS %.1f MiB (peak %.1f), %d descriptors, %d files with %.1f MiB", float64(f.rss)/(1<<20), float64(f.peak)/(1<<20), f.fds, f.files, float64(f.bytes)/(1<<20))
}

func measure(t *testing.T, site *Site, p *Process) (f footprint) {
	t.Helper()
	u, err := p.Usage()
	check(t, err)
	f.rss, f.peak = u.RSS, u.Peak
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	check(t, err)
	f.fds = len(fds)
	check(t, filepath.WalkDir(site.State(), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it may be renamed meanwhile
		}
		if info, err := d.Info(); err == nil {
			f.files++
			f.bytes += info.Size()
		}
		return nil
	}))
	return f
}

// TestSoak is a long run in short: messages by the hundred thousand, with a cut
// of the uplink now and then. Memory, descriptors and files on disk are at the
// end what they were after the first fifth.
func TestSoak(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	total := soakMessages(20_000, 300_000)
	cloud := StartMosquitto(t)
	proxy := StartProxy(t, cloud.Addr)
	site := NewSite(t, proxy.Addr)
	gateway := site.Start(t)
	const fleet = 8
	var acked atomic.Int64
	var running sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	for i := range fleet {
		name := fmt.Sprintf("d%d", i)
		d := &Device{Name: name, Topics: []string{name + "/a", name + "/b"}, Total: total / fleet, Window: 32, Session: i%2 == 0}
		running.Go(func() {
			if err := d.Run(ctx, site.Addr, func() { acked.Add(1) }); err != nil {
				t.Error(err)
			}
		})
	}
	var first footprint
	const steps = 10
	for step := 1; step < steps; step++ {
		for acked.Load() < int64(total*step/steps) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		f := measure(t, site, gateway)
		t.Logf("%d acknowledged: %s", acked.Load(), f)
		if step == steps/5 {
			first = f
		}
		if step%2 == 0 {
			proxy.Cut(200 * time.Millisecond)
		}
	}
	running.Wait()
	Until(t, "the backlog is delivered", 5*time.Minute, func() bool { return site.Values(t)["sealgate_spool_records"] == 0 })
	last := measure(t, site, gateway)
	t.Logf("at the end: %s", last)
	if last.rss > first.rss+first.rss/4+8<<20 {
		t.Errorf("memory grew from %d to %d KiB", first.rss>>10, last.rss>>10)
	}
	if last.fds > first.fds+4 || last.files > first.files+4 {
		t.Errorf("from %s to %s", first, last)
	}
	v := site.Values(t)
	if got := v[`sealgate_uplink_acknowledged_messages_total{uplink="cloud"}`]; got < float64(total/fleet*fleet) {
		t.Errorf("%v of %d messages were acknowledged by the uplink", got, total)
	}
	for _, reason := range []string{"damaged", "quarantine_full", "evicted"} {
		if n := v[`sealgate_spool_dropped_messages_total{reason="`+reason+`"}`]; n != 0 {
			t.Errorf("%v messages dropped: %s", n, reason)
		}
	}
}

// TestBacklog floods a gateway whose uplink is down, then drains it. Memory
// stays within the budget of 48 MiB whatever lies on disk, and everything
// arrives.
func TestBacklog(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	total := soakMessages(20_000, 300_000)
	cloud := StartMosquitto(t)
	proxy := StartProxy(t, cloud.Addr)
	proxy.Cut(time.Hour)
	site := NewSite(t, proxy.Addr)
	site.Spool = fmt.Sprintf("{size: %d, volatile: true}", max(64<<20, total*1200))
	gateway := site.Start(t)
	const fleet = 8
	var running sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	start := time.Now()
	for i := range fleet {
		name := fmt.Sprintf("d%d", i)
		d := &Device{Name: name, Topics: []string{name + "/a"}, Total: total / fleet, Window: 32}
		running.Go(func() {
			if err := d.Run(ctx, site.Addr, func() {}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	flooded := measure(t, site, gateway)
	t.Logf("%d waiting after %s: %s", total, time.Since(start).Round(time.Second), flooded)
	start = time.Now()
	proxy.Cut(0)
	Until(t, "the backlog is delivered", 10*time.Minute, func() bool { return site.Values(t)["sealgate_spool_records"] == 0 })
	drained := measure(t, site, gateway)
	t.Logf("drained after %s: %s", time.Since(start).Round(time.Second), drained)
	if drained.peak > 48<<20 {
		t.Errorf("the peak is %.1f MiB, the budget 48", float64(drained.peak)/(1<<20))
	}
	if got := site.Values(t)[`sealgate_uplink_acknowledged_messages_total{uplink="cloud"}`]; got != float64(total/fleet*fleet) {
		t.Errorf("%v of %d messages arrived", got, total)
	}
}
