package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A TPM is a software TPM 2.0 behind a Unix socket. Its state lasts until the
// test ends.
type TPM struct {
	Socket string
	t      T
	state  string
	swtpm  *Process
}

// StartTPM starts swtpm, or skips the test where there is none.
func StartTPM(t interface {
	T
	Skipf(format string, args ...any)
}) *TPM {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		if Full() {
			t.Fatalf("swtpm is missing: apt-get install swtpm")
		}
		t.Skipf("needs swtpm: apt-get install swtpm")
	}
	// A socket's path has at most 107 bytes; a test's directory may be longer.
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		t.Fatalf("make directory: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	x := &TPM{Socket: filepath.Join(dir, "sock"), t: t, state: filepath.Join(dir, "state")}
	if err := os.Mkdir(x.state, 0o700); err != nil {
		t.Fatalf("make directory: %v", err)
	}
	x.start()
	return x
}

func (x *TPM) start() {
	x.t.Helper()
	x.swtpm = Start(x.t, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+x.state,
		"--server", "type=unixio,path="+x.Socket, "--flags", "not-need-init,startup-clear")
	for range 1000 {
		if _, err := os.Stat(x.Socket); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.t.Fatalf("swtpm does not listen")
}

// Stop takes the TPM away; Reboot brings it back.
func (x *TPM) Stop() {
	x.swtpm.Kill()
	_ = os.Remove(x.Socket)
}

// Reboot is a power cycle: the registers are as after a reset.
func (x *TPM) Reboot() {
	x.t.Helper()
	x.Stop()
	x.start()
}
