// Package archtest holds the architecture as a test: which package of ours may
// import which, and which libraries must never be linked into what.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sealgate/sealgate"

// allowed is the import table: a package (without the module path) and what of
// ours it may import. An entry ending in "/..." allows a whole subtree. A
// package that is not listed may not exist.
var allowed = map[string][]string{
	"classify/payload":      {},
	"classify":              {"classify/payload"},
	"classify/policy":       {"classify", "classify/payload", "internal/strictyaml"},
	"classify/eval":         {"classify/..."},
	"classify/learn":        {"classify/..."},
	"crypto":                {"internal/durable"},
	"crypto/custody":        {"crypto", "internal/durable"},
	"crypto/signed":         {"crypto", "classify/payload"},
	"crypto/envelope":       {"crypto", "classify/payload"},
	"crypto/protect":        {"classify", "classify/payload", "classify/policy", "crypto", "crypto/envelope"},
	"agent/spool":           {"crypto", "internal/durable"},
	"agent/mqtt":            {},
	"agent/mqtt/broker":     {"agent/mqtt", "crypto", "internal/durable"},
	"agent/config":          {"classify", "classify/policy", "internal/strictyaml"},
	"agent/corridor":        {"classify/...", "crypto/...", "agent/spool", "agent/mqtt"},
	"agent/control":         {"classify", "classify/policy", "crypto/...", "internal/durable"},
	"agent/control/fleet":   {"agent/control", "classify/policy", "crypto/...", "internal/durable"},
	"agent/telemetry":       {"classify/...", "crypto/...", "agent/..."},
	"agent/audit":           {"crypto", "internal/durable"},
	"agent":                 {"classify/...", "crypto/...", "agent/...", "internal/durable"},
	"agent/demo":            {"classify/...", "crypto/...", "agent/...", "internal/durable", "configs"},
	"agent/doctor":          {"classify/...", "crypto/...", "agent/...", "internal/durable", "configs"},
	"agent/setup":           {"agent/...", "internal/durable", "configs"},
	"configs":               {},
	"cmd/sealgate":          {"internal/manpage", "internal/sbom", "agent/...", "configs"},
	"cmd/sealctl":           {"internal/manpage", "internal/sbom", "classify/...", "crypto/...", "agent/spool", "agent/mqtt", "agent/config", "agent/control/...", "configs", "internal/durable"},
	"internal/attest":       {},
	"internal/durable":      {},
	"internal/manpage":      {},
	"internal/sbom":         {},
	"internal/strictyaml":   {},
	"internal/archtest":     {},
	"internal/e2e":          {"..."},
	"internal/testcert":     {},
	"internal/consumertest": {"crypto/...", "classify/..."},
}

// banned lists, per package, import path prefixes that must not be reachable
// from it, however many steps away.
var banned = map[string][]string{
	"crypto/envelope":  {"net", "github.com/google/go-tpm", "github.com/eclipse", "github.com/mochi-mqtt", "github.com/prometheus", "github.com/spf13"},
	"classify":         {"net", "github.com/", "os/exec"},
	"classify/payload": {"net", "github.com/", "os/exec"},
	"cmd/sealctl":      {module + "/agent/corridor", module + "/agent/telemetry", module + "/agent/mqtt/broker", "github.com/mochi-mqtt"},
}

// excepted lists, per package, the packages that it may reach although a ban
// covers them.
var excepted = map[string][]string{
	"classify":         zstd,
	"classify/payload": zstd,
}

// zstd is one package of a module of many, and what that package needs.
var zstd = []string{
	compress, compress + "/zstd", compress + "/zstd/internal/xxhash", compress + "/huff0", compress + "/fse",
	compress + "/internal/cpuinfo", compress + "/internal/le", compress + "/internal/regmask", compress + "/internal/snapref",
}

const compress = "github.com/klauspost/compress"

// onlyIn lists libraries and the packages of ours that may import them directly.
var onlyIn = map[string][]string{
	"github.com/prometheus/client_golang": {"agent/telemetry", "agent/control/fleet"},
	"github.com/mochi-mqtt/server":        {"agent/mqtt/broker", "agent/demo"},
	compress:                              {"classify/payload"},
	"github.com/tink-crypto/tink-go":      {"crypto"},
	"github.com/eclipse/paho.mqtt.golang": {"agent/mqtt", "agent/demo"},
	"github.com/eclipse/paho.golang":      {"agent/mqtt", "agent/demo"},
	"github.com/gorilla/websocket":        {"agent/mqtt"},
	"github.com/google/go-tpm":            {"crypto/custody"},
	"github.com/goccy/go-yaml":            {"classify/policy", "internal/strictyaml"},
	"github.com/secure-systems-lab":       {"internal/attest"},
	"os/signal":                           {"cmd/sealgate", "cmd/sealctl"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var x *exec.ExitError
		if errors.As(err, &x) {
			t.Fatalf("go list: %v\n%s", err, x.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var ps []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		ps = append(ps, p)
	}
	if len(ps) < 10 {
		t.Fatalf("go list found only %d packages", len(ps))
	}
	return ps
}

func ours(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func permits(rules []string, target string) bool {
	return slices.ContainsFunc(rules, func(r string) bool {
		if tree, ok := strings.CutSuffix(r, "..."); ok {
			return tree == "" || target == strings.TrimSuffix(tree, "/") || strings.HasPrefix(target, tree)
		}
		return r == target
	})
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		name, _ := ours(p.ImportPath)
		rules, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in the import table: add it to DESIGN's rooms first", name)
			continue
		}
		for _, imp := range p.Imports {
			if target, is := ours(imp); is && !permits(rules, target) {
				t.Errorf("%s imports %s, which the import table does not allow", name, target)
			}
			if imp == "testing" && name != "internal/e2e" {
				t.Errorf("%s imports testing in production code", name)
			}
			for lib, users := range onlyIn {
				if under(imp, lib) && !slices.Contains(users, name) && !strings.HasPrefix(name, "internal/e2e") {
					t.Errorf("%s imports %s; only %v may", name, imp, users)
				}
			}
		}
		for _, dep := range p.Deps {
			if slices.Contains(excepted[name], dep) {
				continue
			}
			for _, ban := range banned[name] {
				if _, is := ours(dep); under(dep, ban) && (!is || strings.HasPrefix(ban, module)) {
					t.Errorf("%s reaches %s, which it must not link", name, dep)
				}
			}
		}
	}
}

// TestTheTestCanFail shows that each kind of rule refuses what it should.
func TestTheTestCanFail(t *testing.T) {
	if permits(allowed["classify/payload"], "classify") {
		t.Error("payload may import classify")
	}
	if permits(allowed["cmd/sealctl"], "agent/corridor") {
		t.Error("sealctl may import the corridor")
	}
	if !permits(allowed["agent"], "agent/mqtt/broker") || !permits(allowed["agent"], "crypto/envelope") {
		t.Error("the agent may not wire its parts")
	}
	if under("network", "net") || !under("net/http", "net") || !under("github.com/x", "github.com/") {
		t.Error("prefixes are not matched by path element")
	}
}
