package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A wallClock is what a gateway's programs of one site take for the time of day.
// The machine's own clock stays as it is: the program is built over a standard
// library whose time.Now adds what a file says, which is what a step of the
// system's clock looks like from inside. Its monotonic clock is the real one.
type wallClock struct {
	t    *testing.T
	file string
}

const clockEnv = "SEALGATE_E2E_CLOCK"

// withClock gives the site's gateway a clock that can be set.
func withClock(t *testing.T, site *Site) *wallClock {
	t.Helper()
	c := &wallClock{t, filepath.Join(t.TempDir(), "clock")}
	c.step(0)
	site.Run = []string{"/usr/bin/env", clockEnv + "=" + c.file, steppingProgram(t)}
	return c
}

// step sets the clock to so much after the real one.
func (c *wallClock) step(by time.Duration) {
	c.t.Helper()
	check(c.t, os.WriteFile(c.file+".new", fmt.Appendf(nil, "%d", int64(by/time.Second)), 0o600))
	check(c.t, os.Rename(c.file+".new", c.file))
	time.Sleep(30 * time.Millisecond) // it is read every 5 ms
}

// steppingProgram builds sealgate with the clock of a wallClock. Only Clean
// removes it; the compiler's cache makes the second build a quick one.
func steppingProgram(t *testing.T) string {
	t.Helper()
	Sealgate(t) // makes the directory
	build.Lock()
	defer build.Unlock()
	const name = "sealgate-clock"
	if path := build.paths[name]; path != "" {
		return path
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	check(t, err)
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	check(t, err)
	timeGo := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	raw, err := os.ReadFile(timeGo)
	check(t, err)
	src := string(raw)
	for _, change := range [][2]string{
		{"\n\t\"math/bits\"\n", "\n\t\"math/bits\"\n\t\"sync/atomic\"\n"},
		{"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n",
			"var step atomic.Int64\n\nfunc StepClock(seconds int64) { step.Store(seconds) }\n\n" +
				"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += step.Load()\n"},
	} {
		if strings.Count(src, change[0]) != 1 {
			t.Fatalf("this Go's time.Now has another form; look for %q", change[0])
		}
		src = strings.Replace(src, change[0], change[1], 1)
	}
	dir, top := build.dir, strings.TrimSpace(string(root))
	check(t, os.WriteFile(filepath.Join(dir, "time.go"), []byte(src), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "clock.go"), []byte(`package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	follow := func() {
		raw, _ := os.ReadFile(os.Getenv("`+clockEnv+`"))
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			time.StepClock(n)
		}
	}
	follow()
	go func() {
		for {
			time.Sleep(5 * time.Millisecond)
			follow()
		}
	}()
}
`), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		timeGo: filepath.Join(dir, "time.go"),
		filepath.Join(top, "cmd", "sealgate", "clock.go"): filepath.Join(dir, "clock.go"),
	}})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, "./cmd/sealgate")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build sealgate with a clock of its own: %v\n%s", err, out)
	}
	build.paths[name] = path
	return path
}

// steps are what a clock is set to, against the real one, in a run that must
// not outlive the recipients of a Site: they hold from an hour ago to a day
// ahead.
var steps = []time.Duration{-50 * time.Minute, -10 * time.Second, 10 * time.Minute, 5 * time.Hour, 20 * time.Hour, 0}

// plausible checks that no step of the clock made a metric negative, or a moment
// one that never was.
func plausible(t *testing.T, values map[string]float64) {
	t.Helper()
	for name, v := range values {
		if v < 0 {
			t.Errorf("%s is %g", name, v)
		}
	}
	if oldest := values["sealgate_spool_oldest_message_timestamp_seconds"]; oldest != 0 {
		if now := time.Now(); time.Unix(int64(oldest), 0).Sub(now).Abs() > 25*time.Hour {
			t.Errorf("the oldest message is said to be of %s", time.Unix(int64(oldest), 0))
		}
	}
}

// TestClockSteps sets the clock forth and back while a message that is worth
// sending for an hour waits for the uplink, and over a start. A step makes no
// message older: it is sent. What a start finds is as old as the clock says, so
// that after a step over a day it is not sent, and counted.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	proxy.Cut(time.Hour)
	site := NewSite(t, proxy.Addr)
	site.Policy = "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes:\n" +
		"  - {name: young, topics: [young/#], max_age: 1h}\n  - {name: rest, topics: ['#']}\n"
	clock := withClock(t, site)
	gateway := site.Start(t)
	publish := func(device *Device) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		check(t, device.Run(ctx, site.Addr, func() {}))
	}
	devices := []*Device{
		{Name: "y", Topics: []string{"young/y"}, Total: 20, Window: 5},
		{Name: "r", Topics: []string{"rest/r"}, Total: 20, Window: 5},
	}
	for _, d := range devices {
		publish(d)
	}
	for _, by := range steps {
		clock.step(by)
		time.Sleep(600 * time.Millisecond) // the housekeeping comes by
		v := site.Values(t)
		plausible(t, v)
		if n := v["sealgate_spool_records"]; n != 40 {
			t.Errorf("after a step by %s %g of 40 messages wait", by, n)
		}
	}
	proxy.Cut(0)
	settled(t, site, recorder)
	var report Report
	Check(devices, Read(site.Opener(t), recorder.All(), &report), &report)
	for _, p := range report.Problems {
		t.Error(p)
	}
	if report.Acked != 40 || report.Arrived != 40 {
		t.Errorf("%v", report)
	}

	proxy.Cut(time.Hour)
	late := &Device{Name: "l", Topics: []string{"young/l", "rest/l"}, Total: 10, Window: 5}
	publish(late)
	gateway.Kill()
	clock.step(3 * time.Hour)
	site.Start(t)
	proxy.Cut(0)
	settled(t, site, recorder)
	v := site.Values(t)
	plausible(t, v)
	if n := v[`sealgate_spool_unsent_messages_total{reason="max_age"}`]; n != 5 {
		t.Errorf("%g messages were too old, want the 5 with a max_age", n)
	}
}
