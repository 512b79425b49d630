package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/signed"
)

// Prefix is put before every topic of a Site on its way to the cloud.
const Prefix = "plant/gw-1/"

// A Site is a directory with all that a gateway needs, and the keys of those
// who may open what it seals.
type Site struct {
	Dir     string
	Addr    string // of the embedded broker
	Metrics string
	Keys    []*crypto.RecipientKey // the consumer's, then the recovery key

	Ingress string   // the ingress section; "" is the embedded broker
	Policy  string   // the policy file; "" is the built-in policy
	Spool   string   // the spool section
	Scheme  string   // of the uplink's URL; "" is mqtt
	Topics  string   // the uplink's mapping; "" puts Prefix before all
	Uplink  string   // further settings of the uplink, as "key: value" lines
	More    string   // further sections
	Run     []string // the program and what comes before its arguments; nil is Sealgate
	cloud   string
}

// NewSite makes recipients and trust root. Config writes the rest.
func NewSite(t T, cloud string) *Site {
	t.Helper()
	s := &Site{
		Dir: t.TempDir(), Addr: FreeAddr(t), Metrics: FreeAddr(t), cloud: cloud,
		Spool: "{size: 64MiB, volatile: true}", // the same for kill -9, wherever tests keep their files
	}
	operator, err := crypto.GenerateSigner()
	check(t, err)
	bundle := &signed.Bundle{Chain: signed.Chain{Site: "plant", Version: 1, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}}
	for _, audience := range []string{"ops", signed.Recovery} {
		k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
		check(t, err)
		s.Keys = append(s.Keys, k)
		bundle.Entries = append(bundle.Entries, signed.Entry{Audience: audience, Status: signed.Active, Recipient: k.Recipient()})
	}
	raw, err := signed.SignBundle(bundle, operator)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.Dir, "recipients.bundle"), raw, 0o600))
	raw, err = (&signed.Root{Site: "plant", Roles: map[string]signed.RoleKeys{
		signed.RoleRecipients: {Threshold: 1, Keys: []*crypto.Verifier{operator.Verifier()}},
	}}).Marshal()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.Dir, "root.json"), raw, 0o600))
	return s
}

func check(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// Spilling is the spool section for a gateway that acknowledges what the uplink
// has before it is on disk.
const Spilling = "{mode: spill, linger: 200ms, size: 64MiB, volatile: true}"

// State is the gateway's state directory.
func (s *Site) State() string { return filepath.Join(s.Dir, "state") }

// Config writes agent.yaml (and the policy) and returns its path.
func (s *Site) Config(t T) string {
	t.Helper()
	ingress := s.Ingress
	if ingress == "" {
		ingress = fmt.Sprintf("broker: {listeners: [{address: %q}], anonymous: true}", s.Addr)
	}
	policy := ""
	if s.Policy != "" {
		policy = "policy: policy.yaml"
		check(t, os.WriteFile(filepath.Join(s.Dir, "policy.yaml"), []byte(s.Policy), 0o600))
	}
	path := filepath.Join(s.Dir, "agent.yaml")
	check(t, os.WriteFile(path, fmt.Appendf(nil, `gateway: gw-1
site: plant
state: state
ingress:
  %s
uplinks:
  cloud:
    url: "%s://%s"
    topics: %s
%s
keys: {recipients: recipients.bundle, trust_root: root.json}
spool: %s
metrics: {listen: %q}
%s
%s
`, ingress, cmp.Or(s.Scheme, "mqtt"), s.cloud, cmp.Or(s.Topics, `[{pattern: "#", remote_prefix: "{site}/{gateway}/"}]`), indent(s.Uplink), s.Spool, s.Metrics, policy, s.More), 0o600))
	return path
}

func indent(lines string) string {
	if lines == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(lines, "\n", "\n    ")
}

// Start runs the gateway and waits until it is ready.
func (s *Site) Start(t T) *Process {
	t.Helper()
	run := s.Run
	if run == nil {
		run = []string{Sealgate(t)}
	}
	p := Start(t, run[0], append(slices.Clone(run[1:]), "run", "--config", s.Config(t))...)
	t.Cleanup(func() {
		if f, ok := t.(interface{ Failed() bool }); ok && f.Failed() {
			t.Logf("log of a gateway:\n%s", p.Log())
		}
	})
	s.Ready(t, p)
	return p
}

// Ready waits until the gateway is.
func (s *Site) Ready(t T, p *Process) {
	t.Helper()
	Until(t, "gateway is ready", 20*time.Second, func() bool {
		if p.Ended() {
			t.Fatalf("gateway ended: %s", p.Log())
		}
		resp, err := http.Get("http://" + s.Metrics + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// Values reads the gateway's metrics: name with labels to value.
func (s *Site) Values(t T) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + s.Metrics + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = v
		}
	}
	return values
}

// Opener opens what the gateway sealed, as the consumer.
func (s *Site) Opener(t T) *envelope.Opener {
	t.Helper()
	o, err := envelope.NewOpener(envelope.OpenerOptions{
		Keys: s.Keys[:1], Mode: envelope.Archive,
		Require: func(string) envelope.Requirement { return envelope.Requirement{AllowClear: true} },
	})
	check(t, err)
	return o
}

// FindInFiles returns the files below a directory that hold a text.
func FindInFiles(dir, text string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

var build struct {
	sync.Mutex // guards the rest
	dir        string
	paths      map[string]string
}

// Sealgate builds the gateway's program, once, and returns its path.
func Sealgate(t T) string { t.Helper(); return Program(t, "sealgate") }

// Program builds a program of ours, once, and returns its path. Clean removes
// it.
func Program(t T, name string) string {
	t.Helper()
	build.Lock()
	defer build.Unlock()
	if path := build.paths[name]; path != "" {
		return path
	}
	if build.dir == "" {
		dir, err := os.MkdirTemp("", "sealgate-e2e-")
		check(t, err)
		build.dir, build.paths = dir, map[string]string{}
	}
	path := filepath.Join(build.dir, name)
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sealgate/sealgate").Output()
	check(t, err)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = strings.TrimSpace(string(root)) // the benchmarks' module has another go.sum
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	build.paths[name] = path
	return path
}

// Clean removes what Program built.
func Clean() error {
	build.Lock()
	defer build.Unlock()
	if build.dir == "" {
		return nil
	}
	return os.RemoveAll(build.dir)
}
