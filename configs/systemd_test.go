package configs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// analyze finds systemd-analyze, or skips; in CI it fails.
func analyze(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		const how = "systemd-analyze is not installed: apt-get install systemd"
		if os.Getenv("SEALGATE_CI") == "1" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return path
}

// installed is the unit as it is installed, with a program that exists here.
func installed(t *testing.T, unit string) string {
	t.Helper()
	src, err := os.ReadFile("systemd/" + unit)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(unit))
	if err := os.WriteFile(path, []byte(strings.NewReplacer("/usr/bin/sealgate", program, "/usr/bin/sealctl", program).Replace(string(src))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnitIsValid(t *testing.T) {
	for _, unit := range []string{"sealgate.service", "optional/sealgate-opener.service"} {
		out, err := exec.Command(analyze(t), "verify", "--man=no", installed(t, unit)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, out)
		}
	}
}

// TestUnitIsHardened: at most 1.2 of 10, without a filter of addresses.
func TestUnitIsHardened(t *testing.T) {
	out, err := exec.Command(analyze(t), "security", "--no-pager", "--offline=yes", "--threshold=12", installed(t, "sealgate.service")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// TestUnitAllowsWhatItNeeds: each of these stopped the service once.
func TestUnitAllowsWhatItNeeds(t *testing.T) {
	src, err := os.ReadFile("systemd/sealgate.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ExecReload=+/bin/kill -HUP $MAINPID", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "TasksMax=64", "Type=notify"} {
		if !strings.Contains(string(src), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	for _, word := range []string{"\nLimitAS=", "\nDynamicUser=", "\nSupplementaryGroups="} {
		if strings.Contains(string(src), word) {
			t.Errorf("the unit has %s", strings.TrimSpace(word))
		}
	}
}

// TestDropIns: the unit with the drop-ins that every supported systemd knows is
// valid, and as hardened as without them but for the device that one opens.
// notify-reload.conf is for 253 and later.
func TestDropIns(t *testing.T) {
	unit := installed(t, "sealgate.service")
	dir := unit + ".d"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tpm.conf", "credential.conf", "addresses.conf"} {
		src, err := os.ReadFile("systemd/optional/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// The filter of addresses is shipped commented out; here it is in force.
		src = []byte(strings.ReplaceAll(string(src), "\n#IPAddress", "\nIPAddress"))
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze(t), "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify with drop-ins: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze(t), "security", "--no-pager", "--offline=yes", "--threshold=13", unit).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Overall exposure level") {
		t.Errorf("systemd-analyze security with drop-ins: %v\n%s", err, out)
	}
}

// TestPackageScripts: what packages run is what a POSIX shell reads.
func TestPackageScripts(t *testing.T) {
	scripts, err := filepath.Glob("packaging/*.sh")
	if err != nil || len(scripts) < 3 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, path := range append(scripts, "packaging/openwrt/sealgate.init") {
		if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
