package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPowerCut cuts the power under a running gateway, twice: its state lies on
// a file system of its own, whose image is copied without what is only in the
// page cache, and the gateway goes on from the copy. The uplink is down
// meanwhile, so that what was acknowledged is nowhere else. Nothing is missing.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for name, spool := range map[string]string{"sync": "{size: 32MiB}", "spill": "{mode: spill, size: 32MiB}"} { // not volatile: it is a disk
		t.Run(name, func(t *testing.T) {
			report := cutPower(t, spool, false)
			for _, p := range report.Problems {
				t.Error(p)
			}
		})
	}
}

// TestPowerCutControl does the same to a gateway whose fdatasync and fsync do
// nothing: the proof must find that messages are gone, or it would be blind.
func TestPowerCutControl(t *testing.T) {
	t.Parallel()
	for name, spool := range map[string]string{"sync": "{size: 32MiB}", "spill": "{mode: spill, size: 32MiB}"} {
		t.Run(name, func(t *testing.T) {
			if report := cutPower(t, spool, true); len(report.Problems) == 0 {
				t.Error("no loss without fsync: the proof is blind")
			}
		})
	}
}

func cutPower(t *testing.T, spool string, lies bool) (report Report) {
	Need(t, "mosquitto", "strace")
	total := Size(2_000, 10_000)
	random := Random(t)
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	site := NewSite(t, proxy.Addr)
	disk := newImage(t, site.State(), 128<<20)
	site.Spool = spool
	gateway := site.Start(t)
	check(t, gateway.Stop(20*time.Second)) // what a first start makes is on the disk
	proxy.Cut(time.Hour)
	gateway = site.Start(t)
	if lies {
		inject(t, gateway, "fdatasync,fsync:retval=0")
	}
	device := &Device{Name: "d", Topics: []string{"d/a", "d/b"}, Total: total, Window: 20}
	var acked atomic.Int64
	var running sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	running.Go(func() {
		if err := device.Run(ctx, site.Addr, func() { acked.Add(1) }); err != nil {
			t.Error(err)
		}
	})
	for cut := range 2 {
		at := int64(total*(2*cut+1)/5 + random.IntN(total/5))
		Until(t, "messages are acknowledged", time.Minute, func() bool { return acked.Load() >= at })
		check(t, gateway.Freeze())
		image := disk.copy()
		t.Logf("the power is cut at %d acknowledged", acked.Load())
		gateway.Kill()
		disk.become(image)
		gateway = site.Start(t)
		if lies {
			inject(t, gateway, "fdatasync,fsync:retval=0")
		}
	}
	running.Wait()
	proxy.Cut(0)
	settled(t, site, recorder)
	clean(t, site)
	Check([]*Device{device}, Read(site.Opener(t), recorder.All(), &report), &report)
	t.Log(report)
	if report.Acked != total {
		t.Errorf("%d of %d acknowledged", report.Acked, total)
	}
	return report
}
