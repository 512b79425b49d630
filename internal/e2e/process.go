package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	log  tail
	done chan struct{} // closed when it has ended
}

// Start runs a program; it is killed when the test ends.
func Start(t T, path string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", filepath.Base(path), err)
	}
	go func() {
		_ = p.cmd.Wait() // what it says is in ProcessState
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended says whether it has.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill is kill -9, and waits for the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Stop asks it to end, and returns how it did.
func (p *Process) Stop(timeout time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return p.Wait(timeout)
}

// Reload makes it read its rules again.
func (p *Process) Reload() error { return p.cmd.Process.Signal(syscall.SIGHUP) }

// Freeze stops it from running, until it is killed.
func (p *Process) Freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Wait waits for the end.
func (p *Process) Wait(timeout time.Duration) error {
	select {
	case <-p.done:
	case <-time.After(timeout):
		return fmt.Errorf("still running after %s", timeout)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("ended with %s", p.cmd.ProcessState)
	}
	return nil
}

// Log is the end of what it printed.
func (p *Process) Log() string { return p.log.String() }

// A Usage is what a process has cost so far.
type Usage struct {
	CPU       time.Duration // user and system
	RSS, Peak int64         // bytes
}

// Usage reads /proc.
func (p *Process) Usage() (u Usage, err error) { return ReadUsage(p.PID()) }

// ReadUsage reads /proc/PID/stat and status.
func ReadUsage(pid int) (u Usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	_, rest, ok := strings.Cut(string(stat), ") ") // the name may hold anything
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return u, errors.New("read stat: unexpected form")
	}
	for _, ticks := range f[11:13] { // utime, stime: proc(5), fields 14 and 15
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return u, fmt.Errorf("read stat: %w", err)
		}
		u.CPU += time.Duration(n) * time.Second / 100 // USER_HZ is 100 on Linux
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		switch f := strings.Fields(line); {
		case len(f) == 3 && f[0] == "VmRSS:":
			kib, err = strconv.ParseInt(f[1], 10, 64)
			u.RSS = kib << 10
		case len(f) == 3 && f[0] == "VmHWM:":
			kib, err = strconv.ParseInt(f[1], 10, 64)
			u.Peak = kib << 10
		}
		if err != nil {
			return u, fmt.Errorf("read status: %w", err)
		}
	}
	return u, nil
}

// A tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 32 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if n := len(w.buf) - tailBytes; n > tailBytes {
		w.buf = append(w.buf[:0], w.buf[n:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(bytes.ToValidUTF8(w.buf, []byte("?")))
}

// A Mosquitto is a running mosquitto.
type Mosquitto struct {
	*Process
	Addr string
}

// StartMosquitto runs one on a free loopback port, without limits on what it
// queues and without persistence; more is added to its configuration.
func StartMosquitto(t T, more ...string) *Mosquitto {
	t.Helper()
	return StartMosquittoAt(t, FreeAddr(t), more...)
}

// StartMosquittoAt is StartMosquitto at an address.
func StartMosquittoAt(t T, addr string, more ...string) *Mosquitto {
	t.Helper()
	path, err := find("mosquitto")
	if err != nil {
		t.Fatalf("find mosquitto: %v", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("address of mosquitto: %v", err)
	}
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	lines := append([]string{
		"listener " + port + " " + host,
		"allow_anonymous true",
		"persistence false",
		"max_queued_messages 0",
		"set_tcp_nodelay true",
		"log_type error",
		"log_type warning",
	}, more...)
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatalf("write %s: %v", conf, err)
	}
	m := &Mosquitto{Process: Start(t, path, "-c", conf), Addr: addr}
	Until(t, "mosquitto listens", 10*time.Second, func() bool {
		if m.Ended() {
			t.Fatalf("mosquitto ended: %s", m.Log())
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return m
}
