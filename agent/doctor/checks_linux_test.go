package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/internal/e2e"
)

// TestMachine: what a machine shows, good and bad.
func TestMachine(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		name  string
		judge func(*visit)
		check string
		level Level
	}{
		{"synchronized", func(v *visit) { v.judgeClock(true) }, "clock", OK},
		{"free-running", func(v *visit) { v.judgeClock(false) }, "clock", Warn},
		{"no battery", func(v *visit) { v.now = built.AddDate(-56, 0, 0); v.judgeClock(true) }, "clock", Fail},
		{"ready", func(v *visit) { v.judgeRandom(true) }, "entropy", OK},
		{"first boot", func(v *visit) { v.judgeRandom(false) }, "entropy", Fail},
		{"new", func(v *visit) { v.judgeKernel("6.1.0-28-arm64", "aarch64") }, "kernel", OK},
		{"old", func(v *visit) { v.judgeKernel("4.9.337", "armv7l") }, "kernel", Warn},
		{"enough", func(v *visit) { v.judgeMemory("MemTotal: 500000 kB\nMemAvailable: 200000 kB\n") }, "memory", OK},
		{"tight", func(v *visit) { v.judgeMemory("MemAvailable: 20000 kB\n") }, "memory", Warn},
		{"tight, and runs", func(v *visit) { v.running = true; v.judgeMemory("MemAvailable: 20000 kB\n") }, "memory", OK},
		{"silent", func(v *visit) { v.judgeMemory("MemAvailable: much\n") }, "memory", Skip},
	} {
		t.Run(x.name, func(t *testing.T) {
			v := &visit{now: built.AddDate(0, 1, 0), opt: Options{Built: built}}
			x.judge(v)
			if len(v.results) != 1 {
				t.Fatalf("%+v", v.results)
			}
			has(t, v.results, x.check, x.level, "")
		})
	}
	v := &visit{now: time.Now()}
	v.clock(t.Context())
	v.random(t.Context())
	v.kernel(t.Context())
	v.memory(t.Context())
	if len(v.results) != 4 {
		t.Errorf("this machine: %+v", v.results)
	}
}

// TestSite: a site that is as it should be, and then what may happen to it.
func TestSite(t *testing.T) {
	s := e2e.NewSite(t, closedPort(t))
	opt := Options{Path: s.Config(t), Offline: true}
	cfg, err := config.Load(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	keeper := &agent.Keeper{Config: cfg, Now: time.Now}
	if _, err := keeper.Init(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(cfg.Spool.Directory, 0o700); err != nil {
		t.Fatal(err)
	}
	good := Run(t.Context(), opt)
	has(t, good, "state", OK, "owner ")
	has(t, good, "spool", OK, "owner ")
	has(t, good, "free space", OK, "for spool.size of 64 MiB")
	has(t, good, "port "+s.Addr, OK, "free")
	has(t, good, "trust root", OK, "")
	has(t, good, "recipients", OK, "valid until")
	has(t, good, "custody", Warn, "file") // which is as good as a file gets
	has(t, good, "uplink cloud", Skip, "offline")

	later := opt
	later.Now = func() time.Time { return time.Now().AddDate(0, 0, 2) }
	has(t, Run(t.Context(), later), "recipients", Fail, "expired")
	soonOver := opt
	soonOver.Now = func() time.Time { return time.Now().Add(20 * time.Hour) }
	has(t, Run(t.Context(), soonOver), "recipients", Warn, "expires soon")

	write(t, cfg.Custody.File.Path, "garbage\n", 0o600)
	write(t, filepath.Join(s.Dir, "recipients.bundle"), "{}", 0o600)
	bad := Run(t.Context(), opt)
	has(t, bad, "custody", Fail, "")
	has(t, bad, "recipients", Fail, "")
	write(t, filepath.Join(s.Dir, "root.json"), "{}", 0o600)
	has(t, Run(t.Context(), opt), "trust root", Fail, "")
	if err := os.Remove(filepath.Join(s.Dir, "root.json")); err != nil {
		t.Fatal(err)
	}
	has(t, Run(t.Context(), opt), "trust root", Fail, "no such file")
}

// TestTPM: custody that hands the key out, and one that is gone.
func TestTPM(t *testing.T) {
	tpm := e2e.StartTPM(t)
	s := e2e.NewSite(t, closedPort(t))
	s.More = "custody: {kind: tpm, rollback: none, tpm: {device: " + tpm.Socket + "}}"
	opt := Options{Path: s.Config(t), Offline: true}
	cfg, err := config.Load(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&agent.Keeper{Config: cfg, Now: time.Now}).Init(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	has(t, Run(t.Context(), opt), "custody", OK, "tpm handed the key out")
	tpm.Stop()
	has(t, Run(t.Context(), opt), "custody", Fail, "")
}

// TestServiceAccess: root sees all, the service may not.
func TestServiceAccess(t *testing.T) {
	skip := t.Skip
	if os.Getenv("SEALGATE_CI") != "" {
		skip = t.Fatal
	}
	if os.Geteuid() != 0 {
		skip("needs root, to be somebody else's administrator")
	}
	a, err := accessOf("nobody")
	if err != nil {
		skip(err)
	}
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	site(t, dir, `url: "mqtt://127.0.0.1:1", password_file: pw`, volatile)
	cfg, err := config.Load(filepath.Join(dir, "agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	pw := filepath.Join(dir, "pw")
	look := func(user string) []Result {
		v := &visit{cfg: cfg, opt: Options{Path: filepath.Join(dir, "agent.yaml")}, service: map[string]string{"User": user}}
		v.access(t.Context())
		return v.results
	}
	write(t, filepath.Join(dir, "agent.yaml"), "", 0o644)
	write(t, pw, "x\n", 0o600)
	has(t, look("nobody"), "service access", Fail, "can't read "+pw)
	has(t, look(""), "service access", OK, "root can read 2 files")
	has(t, look("no-such-user"), "service access", Fail, "no-such-user")
	for gid := range a.groups {
		if err := os.Chown(pw, 0, int(gid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(pw, 0o640); err != nil {
		t.Fatal(err)
	}
	has(t, look("nobody"), "service access", OK, "nobody can read 2 files")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	has(t, look("nobody"), "service access", Fail, "can't read ")
}

// TestGranted: the unit has to let the service at its custodian.
func TestGranted(t *testing.T) {
	for _, x := range []struct {
		kind, unit string
		level      Level
	}{
		{"tpm", "DeviceAllow=\n", Fail},
		{"tpm", "DeviceAllow=/dev/tpmrm0 rw\n", OK},
		{"credential", "LoadCredentialEncrypted=\n", Fail},
		{"credential", "LoadCredentialEncrypted=sealgate-kek\n", OK},
		{"credential", "LoadCredential=sealgate-kek:/run/kek\n", OK},
	} {
		cfg, err := config.Parse("/c/agent.yaml", []byte("ingress: {broker: {anonymous: true}}\nuplinks: {c: {url: \"mqtt://127.0.0.1:1\"}}\ncustody: {kind: "+x.kind+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		v := &visit{cfg: cfg}
		v.judgeUnit("LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nMemoryMax=134217728\n" + x.unit)
		v.granted(t.Context())
		has(t, v.results, "custody of the service", x.level, "")
	}
}

// TestDocumented: docs/doctor.md has a row for each check.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, now := t.TempDir(), time.Now()
	certificate(t, dir, now.Add(-time.Hour), now.Add(time.Hour))
	results := Run(t.Context(), site(t, dir, `url: "mqtts://localhost:1", tls: {ca: c.pem, cert: c.pem, key: c.key}`, volatile))
	v := &visit{}
	v.judgeUnit("LoadState=loaded\n")
	for _, r := range append(results, v.results...) {
		name := r.Check
		for _, several := range []string{"port", "certificate", "CA", "DNS", "uplink"} {
			if strings.HasPrefix(name, several+" ") {
				name = several
			}
		}
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/doctor.md does not list the check %s", name)
		}
	}
	if len(results) < 15 {
		t.Errorf("only %d checks", len(results))
	}
}
