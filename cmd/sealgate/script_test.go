package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sealgate": main})
}

// TestScripts runs testdata/*.txtar: the program as a user meets it. Each
// script has $DOOR and $METRICS, two free loopback addresses, and the command
// `until`, which repeats a check for up to ten seconds.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"DOOR", "METRICS"} {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				e.Setenv(name, ln.Addr().String())
				_, port, err := net.SplitHostPort(ln.Addr().String())
				if err != nil {
					return err
				}
				e.Setenv(name+"_PORT", port)
				if err := ln.Close(); err != nil {
					return err
				}
			}
			// Never the machine's own configuration or state.
			e.Setenv("STATE_DIRECTORY", filepath.Join(e.WorkDir, "state"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until":  until,
			"signal": signalCmd,
			"expand": expandCmd,
			"busy":   busyCmd,
			"perm":   permCmd,
		},
	})
}

// eventually repeats a check for up to ten seconds.
func eventually(ts *testscript.TestScript, what string, ok func() bool) {
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// until waits: `until ready`, `until gone` (the metrics listener), `until grep
// TEXT FILE`.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until ready | until gone | until grep TEXT FILE")
	}
	url := "http://" + ts.Getenv("METRICS") + "/-/ready"
	up := func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	switch {
	case args[0] == "ready":
		eventually(ts, "ready", up)
	case args[0] == "gone":
		eventually(ts, "gone", func() bool { return !up() })
	case args[0] == "grep" && len(args) == 3:
		path := ts.MkAbs(args[2])
		eventually(ts, "grep "+args[1], func() bool {
			src, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(src), args[1])
		})
	default:
		ts.Fatalf("unknown: until %v", args)
	}
}

// signalCmd sends a signal to the process whose id is in a file: `signal HUP
// FILE`.
func signalCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal HUP|TERM FILE")
	}
	sig := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]
	var pid int
	if _, err := fmt.Sscan(ts.ReadFile(args[1]), &pid); err != nil || sig == 0 {
		ts.Fatalf("no process to signal: %v", err)
	}
	ts.Check(syscall.Kill(pid, sig))
}

// expandCmd replaces $VARIABLES in files.
func expandCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range args {
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(os.Expand(ts.ReadFile(f), ts.Getenv)), 0o600))
	}
}

// busyCmd listens on an address for as long as the script runs.
func busyCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, addr := range args {
		ln, err := net.Listen("tcp", addr)
		ts.Check(err)
		ts.Defer(func() { _ = ln.Close() })
	}
}

// permCmd demands the mode of a file: `perm 600 FILE`.
func permCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: perm MODE FILE")
	}
	st, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", st.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, not %s", args[1], got, args[0])
	}
}
