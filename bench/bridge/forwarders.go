package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/internal/e2e"
)

// A way is what forwards: its processes, whose cost is counted, and the address
// where devices connect.
type way struct {
	addr  string
	parts []*e2e.Process
}

// A contender is one way to forward, with what it is given.
type contender struct {
	name    string // as printed
	short   string // for -only
	message message
	start   func(t *stage, o options, cloud string) way
}

func contenders() []contender {
	harmless, personal, secret := messages[0], messages[1], messages[2]
	return []contender{
		{"mosquitto bridge", "bridge", harmless, plainBridge},
		{"paho pass-through", "passthrough", harmless, passThrough},
		{"sealgate, harmless", "harmless", harmless, sealgate(nil)},
		{"sealgate, personal", "personal", personal, sealgate(nil)},
		{"sealgate, secret", "secret", secret, sealgate(nil)},
		{"sealgate spills, harmless", "spill", harmless, sealgate(func(s *e2e.Site) { s.Spool = e2e.Spilling })},
		{"sealgate with paho, harmless", "paho", harmless, sealgate(func(s *e2e.Site) { s.Uplink = "client: paho" })},
		{"Node-RED, masks by name", "nodered", personal, nodeRED},
	}
}

func plainBridge(t *stage, o options, cloud string) way {
	m := e2e.StartMosquitto(t,
		fmt.Sprintf("max_inflight_messages %d", o.window),
		"connection cloud", "address "+cloud, "topic # out 1 \"\" "+e2e.Prefix, "restart_timeout 1", "notifications false")
	return way{m.Addr, []*e2e.Process{m.Process}}
}

func sealgate(change func(*e2e.Site)) func(t *stage, o options, cloud string) way {
	return func(t *stage, _ options, cloud string) way {
		site := e2e.NewSite(t, cloud)
		if change != nil {
			change(site)
		}
		return way{site.Addr, []*e2e.Process{site.Start(t)}}
	}
}

// localBroker is the mosquitto that devices connect to where what forwards is no
// broker itself; it counts.
func localBroker(t *stage, o options) *e2e.Mosquitto {
	return e2e.StartMosquitto(t, fmt.Sprintf("max_inflight_messages %d", o.window))
}

func passThrough(t *stage, o options, cloud string) way {
	local := localBroker(t, o)
	path := filepath.Join(t.TempDir(), "passthrough")
	if out, err := exec.Command("go", "build", "-o", path, "./passthrough").CombinedOutput(); err != nil {
		t.Fatalf("build passthrough: %v: %s", err, out)
	}
	return way{local.Addr, []*e2e.Process{local.Process, e2e.Start(t, path, local.Addr, cloud, e2e.Prefix)}}
}

var errNoNodeRED = errors.New("Node-RED is not installed: npm ci in bench/nodered")

const nodeREDProgram = "nodered/node_modules/node-red/red.js"

func nodeRED(t *stage, o options, cloud string) way {
	local, dir := localBroker(t, o), t.TempDir()
	flows, err := os.ReadFile("nodered/flows.json")
	if err == nil {
		_, near, _ := net.SplitHostPort(local.Addr)
		_, far, _ := net.SplitHostPort(cloud)
		text := strings.NewReplacer("LOCAL_PORT", near, "CLOUD_PORT", far, "PREFIX", e2e.Prefix).Replace(string(flows))
		err = os.WriteFile(filepath.Join(dir, "flows.json"), []byte(text), 0o600)
	}
	if err != nil {
		t.Fatalf("write flows: %v", err)
	}
	_, port, _ := net.SplitHostPort(e2e.FreeAddr(t))
	if err := os.Setenv("PORT", port); err != nil {
		t.Fatalf("%v", err)
	}
	return way{local.Addr, []*e2e.Process{local.Process, e2e.Start(t, "node", nodeREDProgram, "--userDir", dir, "--settings", "nodered/settings.js")}}
}

// usage is what the parts have cost together.
func (w way) usage(t *stage) (sum e2e.Usage) {
	for _, p := range w.parts {
		u := usage(t, p)
		sum.CPU += u.CPU
		sum.RSS += u.RSS
		sum.Peak += u.Peak
	}
	return sum
}

func (w way) log() string {
	var b strings.Builder
	for _, p := range w.parts {
		b.WriteString(p.Log())
	}
	return b.String()
}
