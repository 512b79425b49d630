package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/e2e"
)

// TestKeysWalk follows docs/keys.md: every command, in order, with real programs
// and a TPM made of software.
func TestKeysWalk(t *testing.T) {
	for _, p := range []string{"mosquitto", "mosquitto_sub", "swtpm"} {
		_, err := exec.LookPath(p)
		if _, sbin := os.Stat("/usr/sbin/" + p); err == nil || sbin == nil {
			continue
		}
		if e2e.Full() {
			t.Fatalf("%s is missing: apt-get install mosquitto mosquitto-clients swtpm", p)
		}
		t.Skipf("needs %s: apt-get install mosquitto mosquitto-clients swtpm", p)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "../sealctl", ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// The path of a TPM's socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "walk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	gateway, cloud, metrics := e2e.FreeAddr(t), e2e.FreeAddr(t), e2e.FreeAddr(t)
	ports := strings.NewReplacer("127.0.0.1:1883", gateway, "127.0.0.1:1884", cloud, "127.0.0.1:9464", metrics,
		"-p 1883", "-p "+port(gateway), "-p 1884", "-p "+port(cloud))
	sh := startShell(t, dir, bin)
	for _, s := range snippetsOf(t, "../../docs/keys.md", "run", "file", "output") {
		text := ports.Replace(s.text)
		switch s.kind {
		case "file":
			if strings.HasSuffix(s.name, "agent.yaml") {
				text += "spool: {volatile: true}\n" // the test may run on a tmpfs
			}
			writeFile(t, filepath.Join(dir, s.name), text, os.O_TRUNC)
		case "output":
			e2e.Until(t, "the output of docs/keys.md:\n"+s.text, 15*time.Second, func() bool {
				_, is := missing(sh.printed(), s.text)
				return !is
			})
			sh.forget()
		case "run":
			sh.run(t, text)
		}
	}
}
