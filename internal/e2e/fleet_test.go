package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An operator runs sealctl at a desk.
type operator struct {
	t    *testing.T
	desk string // working directory: documents and keys/
}

func (o *operator) try(args ...string) (stdout, stderr string, err error) {
	var out, prose bytes.Buffer
	cmd := exec.Command(Program(o.t, "sealctl"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.desk, &out, &prose
	err = cmd.Run()
	return out.String(), prose.String(), err
}

func (o *operator) do(args ...string) string {
	o.t.Helper()
	out, prose, err := o.try(args...)
	if err != nil {
		o.t.Fatalf("sealctl %s: %v\n%s%s", strings.Join(args, " "), err, out, prose)
	}
	return out
}

func (o *operator) refused(args ...string) string {
	o.t.Helper()
	out, prose, err := o.try(args...)
	if err == nil {
		o.t.Fatalf("sealctl %s: not refused\n%s%s", strings.Join(args, " "), out, prose)
	}
	return prose
}

func (o *operator) write(name, content string) {
	o.t.Helper()
	check(o.t, os.WriteFile(filepath.Join(o.desk, name), []byte(content), 0o600))
}

// gateway is the row of the gateway in `sealctl fleet status --json`.
type fleetRow struct {
	Gateway string
	Silent  bool
	Status  struct {
		Mode        string
		Boot        uint64
		RootVersion uint64 `json:"root_version"`
		Targets     []struct {
			Target, State, Reason string
			Effective             struct{ Version uint64 }
		}
	}
}

func (o *operator) until(what, url string, want func(fleetRow) bool) {
	o.t.Helper()
	var last string
	Until(o.t, what, 60*time.Second, func() bool {
		out, _, _ := o.try("fleet", "status", "--broker", url, "--json", "--wait", "500ms")
		last = out
		var rows []fleetRow
		return json.Unmarshal([]byte(out), &rows) == nil && len(rows) == 1 && !rows[0].Silent && want(rows[0])
	})
	if o.t.Failed() {
		o.t.Log(last)
	}
}

// enrol gives a gateway the desk's trust root and recipients, and takes it into
// the registry.
func (o *operator) enrol(site *Site) {
	o.t.Helper()
	for _, name := range []string{"recipients.bundle", "root.json"} {
		raw, err := os.ReadFile(filepath.Join(o.desk, "keys", name))
		check(o.t, err)
		check(o.t, os.WriteFile(filepath.Join(site.Dir, name), raw, 0o600))
	}
	site.More = "control: {uplink: cloud}"
	var request, prose bytes.Buffer
	enroll := exec.Command(Sealgate(o.t), "enroll", "--config", site.Config(o.t))
	enroll.Stdout, enroll.Stderr = &request, &prose
	if err := enroll.Run(); err != nil {
		o.t.Fatalf("enroll: %v: %s", err, prose.String())
	}
	o.write("gw-1.enroll", request.String())
	o.do("registry", "add", "gw-1.enroll", "--fingerprint", fingerprint(o.t, prose.String()))
}

const fleetPolicy = `schema: sealgate/policy/v1
version: %d
profile: generic
routes: [{name: all, topics: ["#"]}]
grades: {L1: %s, L2: seal}
`

// TestFleet: over Debian's broker, with both programs: enrol a gateway, push a
// policy signed by two, refuse one that is not, roll out in stages, come back,
// rotate the trust root, lock down and release.
func TestFleet(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	cloud := StartMosquitto(t)
	url := "mqtt://" + cloud.Addr
	o := &operator{t, t.TempDir()}

	// The desk: an operator's key, two more signers, and a trust root that wants
	// two of three for policies, root and commands to all.
	o.do("keys", "init", "--site", "plant", "--audience", "ops")
	for range 2 {
		o.do("keys", "create", "--signer", "--dir", "keys/operator")
	}
	publics, err := filepath.Glob(filepath.Join(o.desk, "keys/operator/*.pub.json"))
	check(t, err)
	privates, err := filepath.Glob(filepath.Join(o.desk, "keys/operator/*.key.json"))
	check(t, err)
	if len(publics) != 3 || len(privates) != 3 {
		t.Fatalf("%d public and %d private keys of operators", len(publics), len(privates))
	}
	all := strings.Join(publics, ",")
	o.do("root", "next", "--role", "policy=2:"+all, "--role", "root=2:"+all, "--role", "command=1:"+all, "--out", "root-2.json")
	o.do("policy", "sign", "root-2.json")
	o.do("root", "adopt", "root-2.json")

	// The gateway, with what the desk gives it.
	site := NewSite(t, cloud.Addr)
	o.enrol(site)
	gateway := site.Start(t)
	o.until("the status is there", url, func(r fleetRow) bool { return r.Status.Mode == "enforce" && r.Status.RootVersion == 2 })

	recorder := Record(t, cloud.Addr, "plant/#")
	sealed := func(topic string, want bool) {
		t.Helper()
		pub(t, site.Addr, "-t", topic, "-m", `{"temperature":21.5}`, "-q", "1")
		if got := arrived(t, recorder, Prefix+topic, 1).Payload[0] != '{'; got != want {
			t.Fatalf("%s left sealed: %v, want %v", topic, got, want)
		}
	}
	sealed("line/1", false)

	// A policy that seals everything. One signature is not enough, at the desk
	// and at the gateway.
	o.write("tight.yaml", fmt.Sprintf(fleetPolicy, 10, "seal"))
	o.do("policy", "compile", "tight.yaml")
	o.do("policy", "sign", "tight-10.json", "--signer", privates[0])
	o.refused("policy", "push", "tight-10.json", "--broker", url)
	pub(t, cloud.Addr, "-t", "sg/v1/plant/cfg/g/default", "-f", filepath.Join(o.desk, "tight-10.json"), "-q", "1", "-r")
	o.until("one signature is refused", url, func(r fleetRow) bool { return r.Status.Targets[1].Reason == "signature" })
	sealed("line/2", false)
	o.do("policy", "sign", "tight-10.json", "--signer", privates[1])
	o.do("policy", "push", "tight-10.json", "--broker", url)
	o.until("the policy is in force", url, func(r fleetRow) bool { return r.Status.Targets[1].Effective.Version == 10 })
	sealed("line/3", true)

	// Back to an older one: as a new version, in stages.
	o.write("loose.yaml", fmt.Sprintf(fleetPolicy, 1, "pass"))
	o.do("policy", "compile", "loose.yaml")
	o.do("policy", "rollback", "loose-1.json", "--above", "tight-10.json", "--stages", "50,100", "--out", ".")
	o.do("policy", "sign", "rollback-11.json", "rollback-12.json", "--signer", privates[1], "--signer", privates[2])
	if out := o.do("policy", "rollout", "rollback-11.json", "rollback-12.json", "--broker", url, "--settle", "1s", "--timeout", "60s"); !strings.Contains(out, "done") {
		t.Errorf("rollout: %s", out)
	}
	sealed("line/4", false)

	// A policy that can't be taken stops the rollout.
	o.write("observe.yaml", "mode: observe\n"+fmt.Sprintf(fleetPolicy, 20, "pass"))
	o.do("policy", "compile", "observe.yaml")
	o.do("policy", "sign", "observe-20.json", "--signer", privates[0], "--signer", privates[2])
	if prose := o.refused("policy", "rollout", "observe-20.json", "--broker", url, "--settle", "1s", "--timeout", "60s"); !strings.Contains(prose, "stopped") {
		t.Errorf("rollout: %s", prose)
	}
	sealed("line/5", false)

	// The trust root moves on, and a signer that it drops signs nothing more.
	two := strings.Join(publics[1:], ",")
	o.do("root", "next", "--role", "policy=2:"+two, "--out", "root-3.json")
	o.do("policy", "sign", "root-3.json")
	o.do("root", "push", "root-3.json", "--broker", url)
	o.do("root", "adopt", "root-3.json")
	o.until("the gateway follows the trust root", url, func(r fleetRow) bool { return r.Status.RootVersion == 3 })
	o.write("late.yaml", fmt.Sprintf(fleetPolicy, 30, "seal"))
	o.do("policy", "compile", "late.yaml")
	o.do("policy", "sign", "late-30.json", "--signer", privates[0], "--signer", privates[1])
	o.refused("policy", "verify", "late-30.json")

	// Recipients travel the same way.
	o.do("keys", "bundle")
	o.do("keys", "push", "--broker", url)
	o.until("the next recipients are in force", url, func(r fleetRow) bool { return r.Status.Targets[2].Effective.Version == 2 })
	sealed("line/5b", false)

	// Lockdown: nothing leaves, nothing is lost, not even over a restart.
	o.do("fleet", "command", "lockdown", "gw-1", "--broker", url)
	o.until("locked down", url, func(r fleetRow) bool { return r.Status.Mode == "lockdown" })
	pub(t, site.Addr, "-t", "line/6", "-m", `{"temperature":21.5}`, "-q", "1")
	gateway.Kill()
	site.Start(t)
	o.until("locked down after kill -9", url, func(r fleetRow) bool { return r.Status.Mode == "lockdown" && r.Status.Boot == 2 })
	if n := len(recorder.On(Prefix + "line/6")); n != 0 {
		t.Fatal("something left during the lockdown")
	}
	o.refused("fleet", "command", "release", "--all", "--signer", privates[0], "--broker", url)
	o.do("fleet", "command", "release", "--all", "--signer", privates[0], "--signer", privates[1], "--broker", url)
	arrived(t, recorder, Prefix+"line/6", 1)
	sealed("line/7", false)
}

func fingerprint(t *testing.T, prose string) string {
	t.Helper()
	for word := range strings.FieldsSeq(prose) {
		if strings.Count(word, "-") == 4 {
			return strings.Trim(word, ".,:;")
		}
	}
	t.Fatalf("no fingerprint in %q", prose)
	return ""
}
