package e2e

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The bridge's lines, and what is published. Each shows one form of a mapping.
const bridgeTopics = `topic sensors/# out 2 "" plant/
topic # out 2 line/ r/
topic alarm out 2 a/b/ ""
topic "" out 2 x/temp y/temp
topic temp out 2 l/s r/s
topic door/+ out 2 "" site-
topic +/raw out 2
topic cmd/# in 1
topic set/+ in 1 dev/ down/
notifications false
`

var bridgeMessages = []struct {
	topic, payload string
	qos            int
	retain         bool
}{
	{"sensors/1/t", `{"t": 21.5 , "u":"C"}`, 0, false},
	{"sensors/1/t", `{"email":"jo.meier@example.org"}`, 1, false},
	{"sensors/1/t", "not JSON \x00\xff", 2, false},
	{"sensors/2", `{"password":"Vq7!rTz0pLm2"}`, 2, true},
	{"sensors", "the parent of the pattern", 1, false},
	{"sensors/$x/1", "a level that begins with $", 1, false},
	{"line/4/status", "on", 1, true},
	{"line/", "nothing behind the prefix", 1, false},
	{"line/$x", "behind the prefix", 1, false},
	{"line", "has no prefix to remove", 1, false},
	{"a/b/alarm", "!", 2, false},
	{"a/b/alarms", "stays", 1, false},
	{"x/temp", "20", 1, false},
	{"l/stemp", "a prefix inside a level", 1, false},
	{"l/s/temp", "stays", 1, false},
	{"door/7", "open", 1, true},
	{"door/7", "", 1, true}, // deleted again
	{"door", "stays", 1, false},
	{"cam/raw", "plain", 1, false},
	{"cam/x/raw", "stays", 1, false},
	{"cmd/x", "stays", 1, false},
}

// TestImportedBridge runs a mosquitto with bridges, and beside it a gateway
// with the configuration imported from that mosquitto's: what arrives in their
// clouds must be the same.
func TestImportedBridge(t *testing.T) {
	Need(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", filepath.Join(dir, "state"))

	cloudA, cloudB := StartMosquitto(t), StartMosquitto(t)
	a, b := watchCloud(t, cloudA.Addr), watchCloud(t, cloudB.Addr)
	lines := func(cloud string) string {
		return "connection cloud\naddress " + cloud + "\nremote_username gw\nremote_password s3cret\n" + bridgeTopics
	}
	local := StartMosquitto(t, strings.Split(lines(cloudA.Addr), "\n")...)

	door := FreeAddr(t)
	host, port, err := net.SplitHostPort(door)
	check(t, err)
	conf := filepath.Join(dir, "mosquitto.conf")
	check(t, os.WriteFile(conf, []byte("listener "+port+" "+host+"\nallow_anonymous true\n"+lines(cloudB.Addr)), 0o600))
	out := filepath.Join(dir, "sealgate")
	if msg, err := exec.Command(Sealgate(t), "import", conf, "--out", out).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, msg)
	}
	yaml := filepath.Join(out, "agent.yaml")
	src, err := os.ReadFile(yaml)
	check(t, err)
	check(t, os.WriteFile(yaml, append(src, "\nmetrics: {listen: \"off\"}\nspool: {size: 32MiB, volatile: true}\n"...), 0o600))
	gateway := Start(t, Sealgate(t), "run", "--config", yaml)
	Until(t, "both sides are connected", 20*time.Second, func() bool {
		if gateway.Ended() {
			t.Fatalf("the gateway ended: %s", gateway.Log())
		}
		for _, at := range []string{local.Addr, door} {
			_ = publishTo(at, "sensors/probe", "p", 1, false) // until it listens
		}
		time.Sleep(50 * time.Millisecond)
		return strings.Contains(a.Log(), "probe") && strings.Contains(b.Log(), "probe")
	})

	for _, m := range bridgeMessages {
		check(t, publishTo(local.Addr, m.topic, m.payload, m.qos, m.retain))
		check(t, publishTo(door, m.topic, m.payload, m.qos, m.retain))
	}
	for _, at := range []string{local.Addr, door} {
		check(t, publishTo(at, "sensors/end", "end", 1, false))
	}
	Until(t, "the last message arrives", 20*time.Second, func() bool {
		return strings.Contains(a.Log(), "plant/sensors/end") && strings.Contains(b.Log(), "plant/sensors/end")
	})
	for _, side := range []struct{ cloud, local string }{{cloudA.Addr, local.Addr}, {cloudB.Addr, door}} {
		devices := Record(t, side.local, "dev/#")
		Until(t, "a command comes down", 20*time.Second, func() bool {
			check(t, publishTo(side.cloud, "down/set/led", "on", 1, false)) // until it has subscribed
			time.Sleep(50 * time.Millisecond)
			return len(devices.On("dev/set/led")) > 0
		})
	}
	check(t, gateway.Stop(20*time.Second))

	want, got := atCloud(a), atCloud(b)
	if len(want) < 15 {
		t.Fatalf("mosquitto's bridge brought too little: %v", want)
	}
	for _, m := range want {
		if !slices.Contains(got, m) {
			t.Errorf("mosquitto's bridge brought %s, the gateway did not", m)
		}
	}
	for _, m := range got {
		if !slices.Contains(want, m) {
			t.Errorf("the gateway brought %s, mosquitto's bridge did not", m)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d and %d messages", len(want), len(got))
	}
}

// watchCloud shows topic, QoS, retain flag as published and payload of all that
// arrives.
func watchCloud(t *testing.T, addr string) *Process {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	check(t, err)
	path, err := find("mosquitto_sub")
	check(t, err)
	return Start(t, path, "-V", "5", "-h", host, "-p", port, "-q", "2", "--retain-as-published", "-t", "#", "-F", "%t %q %r %x")
}

func publishTo(addr, topic, payload string, qos int, retain bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	args := []string{"-h", host, "-p", port, "-t", topic, "-q", fmt.Sprint(qos)}
	if payload == "" {
		args = append(args, "-n")
	} else {
		args = append(args, "-s")
	}
	if retain {
		args = append(args, "-r")
	}
	cmd := exec.Command("mosquitto_pub", args...)
	cmd.Stdin = strings.NewReader(payload)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("publish to %s: %w: %s", topic, err, out)
	}
	return nil
}

// atCloud is what came behind the probes, in readable form and sorted.
func atCloud(p *Process) (all []string) {
	for line := range strings.Lines(p.Log()) {
		head, payload, _ := cutLast(strings.TrimSuffix(line, "\n"))
		if raw, err := hex.DecodeString(payload); err == nil && !strings.Contains(head, "/probe") && !strings.HasPrefix(head, "down/") { // both are said until they arrive
			all = append(all, fmt.Sprintf("%s %q", head, raw))
		}
	}
	slices.Sort(all)
	return all
}

func cutLast(s string) (head, tail string, ok bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
