package crypto

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestPreferredAlg runs itself again with the AES instructions switched off.
func TestPreferredAlg(t *testing.T) {
	if os.Getenv("SEALGATE_TEST_CHILD") != "" {
		t.Logf("prefers %s", PreferredAlg())
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestPreferredAlg$", "-test.v")
	cmd.Env = append(os.Environ(), "SEALGATE_TEST_CHILD=1", "GODEBUG=cpu.aes=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "prefers " + AlgChaCha20Poly1305.String(); !strings.Contains(string(out), want) {
		t.Errorf("without AES instructions: want %q in\n%s", want, out)
	}
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && PreferredAlg() != AlgAES256GCM {
		t.Errorf("with AES instructions: prefers %s", PreferredAlg())
	}
}
