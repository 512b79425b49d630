package control

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// TestKillAtEverySync kills a process with SIGKILL at each fsync of an
// activation, and starts anew from what is on disk: the old policy is in force
// or the new one, never neither, and the same document then leads to the new
// one.
func TestKillAtEverySync(t *testing.T) {
	if dir := os.Getenv("SEALGATE_TEST_ACTIVATE"); dir != "" {
		activateFrom(t, dir)
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("SEALGATE_CI") != "" {
			t.Fatal("strace is missing: apt install strace")
		}
		t.Skip("strace is missing: apt install strace")
	}
	old, fresh := 0, 0
	for n := 1; n <= 20; n++ {
		s := newSite(t)
		s.push(s.policy(1, looser), CodeApplied)
		s.confirm()
		second := s.sign(s.policy(2, tighter))
		in := t.TempDir()
		for name, data := range map[string][]byte{"key": s.key.InsecureBytes(), "root": must(s.root.Marshal()), "document": second} {
			if err := os.WriteFile(filepath.Join(in, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", fmt.Sprintf("inject=fsync:signal=SIGKILL:when=%d", n),
			os.Args[0], "-test.run", "^TestKillAtEverySync$")
		cmd.Env = append(os.Environ(), "SEALGATE_TEST_ACTIVATE="+in, "SEALGATE_TEST_STATE="+s.dir)
		out, err := cmd.CombinedOutput()
		s.start()
		switch v := s.host.active.Version; {
		case v == 1:
			old++
			s.offer("cfg/g/default", second, CodeApplied)
		case v == 2:
			fresh++
			s.offer("cfg/g/default", second, CodeUnchanged)
		default:
			t.Fatalf("killed at fsync %d: version %d is in force", n, v)
		}
		s.wantVersion(2, "group")
		if err == nil {
			if n < 4 || old == 0 || fresh == 0 {
				t.Fatalf("only %d fsyncs were met, old %d and new %d in force afterwards: it proves nothing\n%s", n-1, old, fresh, out)
			}
			return
		}
	}
	t.Fatal("the process never ended by itself")
}

// activateFrom is the process that is killed.
func activateFrom(t *testing.T, in string) {
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join(in, name))) }
	s := &site{t: t, dir: os.Getenv("SEALGATE_TEST_STATE"), bootID: "one", sync: true, wall: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), version: "1.4.0"}
	s.key = must(crypto.InsecureSecretKey(read("key")))
	s.root = must(signed.ParseRoot(read("root")))
	s.signer = s.newSigner()
	s.start()
	s.offer("cfg/g/default", read("document"), CodeApplied)
	s.confirm()
}
