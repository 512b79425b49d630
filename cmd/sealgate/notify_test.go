package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A manager is a service manager's side of NOTIFY_SOCKET.
type manager struct{ conn *net.UnixConn }

func newManager(t *testing.T) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return manager{conn}
}

// next is the next notification; empty if none comes in time.
func (m manager) next(wait time.Duration) string {
	buf := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(wait))
	n, err := m.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// TestNotify runs the program's run command under a service manager: ready when
// the door is open, reloading with its time, stopping.
func TestNotify(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", filepath.Join(dir, "state"))
	path := filepath.Join(dir, "agent.yaml")
	conf := `gateway: gw-1
ingress: {broker: {listeners: [{address: "127.0.0.1:0"}], anonymous: true}}
uplinks: {city: {url: "mqtt://127.0.0.1:1"}}
spool: {size: 32MiB, volatile: true}
metrics: {listen: "off"}
`
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reload := make(chan os.Signal, 1)
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, environment{args: []string{"run", "--config", path}, stdout: t.Output(), stderr: t.Output(), reload: reload})
	}()
	if got := m.next(5 * time.Second); !strings.HasPrefix(got, "READY=1\nSTATUS=enforce, policy ") || !strings.Contains(got, "0 of 1 uplinks connected") {
		t.Errorf("at the start: %q", got)
	}
	reload <- syscall.SIGHUP
	if got := m.next(5 * time.Second); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`).MatchString(got) {
		t.Errorf("at a reload: %q", got)
	}
	if got := m.next(5 * time.Second); !strings.HasPrefix(got, "READY=1\n") {
		t.Errorf("after a reload: %q", got)
	}
	cancel()
	if got := m.next(5 * time.Second); !strings.HasPrefix(got, "STOPPING=1\nSTATUS=") {
		t.Errorf("at the end: %q", got)
	}
	if code := <-ended; code != exitFine {
		t.Errorf("exit code %d", code)
	}
}

// TestNotifySealed: a gateway without its keys is up, because the local broker
// is, and its status line says that nothing leaves.
func TestNotifySealed(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.yaml")
	conf := `gateway: gw-1
state: state
ingress: {broker: {listeners: [{address: "127.0.0.1:0"}], anonymous: true}}
uplinks: {city: {url: "mqtt://127.0.0.1:1"}}
custody: {kind: tpm, tpm: {device: none}}
metrics: {listen: "off"}
`
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, environment{args: []string{"run", "--config", path}, stdout: t.Output(), stderr: t.Output()})
	}()
	if got := m.next(5 * time.Second); !strings.HasPrefix(got, "READY=1\nSTATUS=nothing leaves: ") || !strings.Contains(got, "there is no TPM") {
		t.Errorf("at the start: %q", got)
	}
	cancel()
	if code := <-ended; code != exitFine {
		t.Errorf("exit code %d", code)
	}
}

// TestWatchdog: fed while the corridor moves, and not while it does not.
func TestWatchdog(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	var moving atomic.Bool
	moving.Store(true)
	asked := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		notifier{log: slog.New(slog.DiscardHandler), status: func() string { return "" }}.run(ctx, func() bool {
			asked <- struct{}{}
			return moving.Load()
		})
	}()
	for range 3 {
		if got := m.next(5 * time.Second); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	moving.Store(false)
	for len(asked) > 0 {
		<-asked
	}
	<-asked // this one may still have been about the time before
	<-asked
	for m.next(5*time.Millisecond) != "" { // what was on its way
	}
	for range 5 {
		<-asked
	}
	if got := m.next(5 * time.Millisecond); got != "" {
		t.Errorf("fed while nothing moves: %q", got)
	}
	moving.Store(true)
	if got := m.next(5 * time.Second); got != "WATCHDOG=1" {
		t.Errorf("after it moved again: %q", got)
	}
	cancel()
	<-done
}
