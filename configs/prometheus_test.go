package configs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promtool finds promtool, or skips; in CI it fails.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		const how = "promtool is not installed: apt-get install prometheus"
		if os.Getenv("SEALGATE_CI") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = "prometheus"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPrometheusRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint-fatal", "sealgate.rules.yml")
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "test", "rules", "sealgate.test.yml")
}

// TestAlertsTold: each alert has a runbook that says the three things, and a
// unit test of firing and of not firing.
func TestAlertsTold(t *testing.T) {
	rules, err := os.ReadFile("prometheus/sealgate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("prometheus/sealgate.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)\n.*?runbook_url: \S+/docs/runbooks/(\S+)\n`).FindAllStringSubmatch(string(rules), -1)
	if n := strings.Count(string(rules), "- alert:"); n < 15 || len(alerts) != n {
		t.Fatalf("%d alerts, %d of them with a runbook", n, len(alerts))
	}
	for _, a := range alerts {
		book, err := os.ReadFile(filepath.Join("../docs/runbooks", a[2]))
		if err != nil {
			t.Errorf("runbook of %s: %v", a[1], err)
			continue
		}
		for _, want := range []string{a[1], "## What it means\n\n", "## What to look at\n\n", "## What to do\n\n"} {
			if !strings.Contains(string(book), want) {
				t.Errorf("runbook %s lacks %q", a[2], want)
			}
		}
		for _, want := range []string{a[1] + " fires\n", a[1] + " does not fire\n"} {
			if !strings.Contains(string(tests), "- name: "+want) {
				t.Errorf("there is no test: %s", want)
			}
		}
	}
}
