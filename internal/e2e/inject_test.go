package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A tracer makes system calls of a running process fail, from outside.
type tracer struct {
	*Process
	log string
}

// inject lets strace carry out "calls:what:when" on all threads of a process,
// from the moment it returns.
func inject(t *testing.T, p *Process, fault string) *tracer {
	t.Helper()
	path, err := find("strace")
	check(t, err)
	calls, _, _ := strings.Cut(fault, ":")
	tr := &tracer{log: filepath.Join(t.TempDir(), "strace")}
	tr.Process = Start(t, path, "-f", "-o", tr.log, "-e", "trace="+calls, "-e", "inject="+fault, "-p", strconv.Itoa(p.PID()))
	Until(t, "strace is attached", 10*time.Second, func() bool {
		if tr.Ended() {
			t.Fatalf("strace ended: %s", tr.Log())
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
		return err == nil && !traced.Match(status)
	})
	return tr
}

var traced = regexp.MustCompile(`(?m)^TracerPid:\s0$`)

// faults is how many calls were tampered with.
func (tr *tracer) faults(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(tr.log)
	check(t, err)
	return strings.Count(string(raw), "(INJECTED)")
}

// TestFailingDisk lets fdatasync and pwrite fail under the real program, while a
// device publishes and the uplink is down. It goes on, says so, and nothing that
// was acknowledged is missing.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "strace")
	for name, fault := range map[string]string{
		"fdatasync EIO":        "fdatasync:error=EIO:when=20+30",
		"pwrite ENOSPC":        "pwrite64:error=ENOSPC:when=20+30",
		"pwrite EIO in a row":  "pwrite64:error=EIO:when=30..33",
		"spill, fdatasync EIO": "fdatasync:error=EIO:when=20+30",
		"spill, pwrite ENOSPC": "pwrite64:error=ENOSPC:when=20+30",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := Size(2_000, 8_000)
			cloud := StartMosquitto(t)
			recorder := Record(t, cloud.Addr, "#")
			proxy := StartProxy(t, cloud.Addr)
			proxy.Cut(time.Hour)
			site := NewSite(t, proxy.Addr)
			if strings.HasPrefix(name, "spill") {
				site.Spool = Spilling
			}
			gateway := site.Start(t)
			tracer := inject(t, gateway, fault)
			device := &Device{Name: "d", Topics: []string{"d/a", "d/b"}, Total: total, Window: 20}
			var acked atomic.Int64
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			if err := device.Run(ctx, site.Addr, func() { acked.Add(1) }); err != nil {
				t.Fatal(err)
			}
			if n := tracer.faults(t); n < 2 {
				t.Errorf("only %d calls failed: the test does not show what it is for", n)
			} else {
				t.Logf("%d calls failed", n)
			}
			if log := gateway.Log(); !strings.Contains(log, "segment given up") {
				t.Error("the log says nothing of the failing disk")
			}
			tracer.Kill()
			gateway.Kill() // what it knew is gone: only the disk counts
			site.Start(t)
			proxy.Cut(0)
			settled(t, site, recorder)
			var report Report
			Check([]*Device{device}, Read(site.Opener(t), recorder.All(), &report), &report)
			t.Log(report)
			for _, p := range report.Problems {
				t.Error(p)
			}
			if report.Acked != total {
				t.Errorf("%d of %d acknowledged", report.Acked, total)
			}
			if v := site.Values(t); v[`sealgate_spool_dropped_messages_total{reason="damaged"}`] != 0 {
				t.Error("the start found damage")
			}
		})
	}
}
