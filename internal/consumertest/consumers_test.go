package consumertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const consumers = "../../docs/consumers"

// missing skips the test where a part of it is not installed. The gate installs
// everything, so there it fails.
func missing(t *testing.T, how string) {
	t.Helper()
	if os.Getenv("SEALGATE_CI") != "" {
		t.Fatal(how)
	}
	t.Skip(how)
}

// report is what a runner prints: it must have opened and refused something.
var report = regexp.MustCompile(`^[1-9][0-9]* opened, [1-9][0-9]* refused`)

func runVectors(t *testing.T, interpreter, language, script string) {
	t.Helper()
	vectors, err := filepath.Abs("../../crypto/envelope/testdata/vectors")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, script, vectors)
	cmd.Dir = filepath.Join(consumers, language)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !report.Match(out) {
		t.Fatalf("%s %s: %v\n%s", interpreter, script, err, out)
	}
	t.Logf("%s", out)
}

func TestPython(t *testing.T) {
	// The distribution's own interpreter sees the distribution's packages.
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import cbor2, cryptography").Run() == nil {
			runVectors(t, python, "python", "test_vectors.py")
			return
		}
	}
	missing(t, "no Python with cbor2 and cryptography: apt-get install python3-cbor2 python3-cryptography")
}

func TestJavaScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "no node: install Node.js 20 or later")
	}
	if _, err := os.Stat(filepath.Join(consumers, "javascript", "node_modules", "cborg")); err != nil {
		missing(t, "no packages for the JavaScript opener: run npm ci in docs/consumers/javascript")
	}
	runVectors(t, "node", "javascript", "test.mjs")
}
