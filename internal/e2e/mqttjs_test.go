package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMQTTjs: a device made with another client library, at every QoS on both
// protocols, is acknowledged, hears its own messages locally, and everything
// arrives at the cloud once and in order.
func TestMQTTjs(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "node")
	const dir, n = "testdata/mqttjs", 200
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "mqtt")); err != nil {
		if os.Getenv("SEALGATE_CI") != "" {
			t.Fatalf("MQTT.js is not installed: npm ci in internal/e2e/%s", dir)
		}
		t.Skipf("MQTT.js is not installed: npm ci in internal/e2e/%s", dir)
	}
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	site.Start(t)
	for _, version := range []string{"4", "5"} {
		for qos := byte(0); qos <= 2; qos++ {
			t.Run(fmt.Sprintf("version %s, QoS %d", version, qos), func(t *testing.T) {
				topic := fmt.Sprintf("js/%s/%d", version, qos)
				cmd := exec.CommandContext(t.Context(), "node", "device.mjs", "mqtt://"+site.Addr, version, fmt.Sprint(qos), fmt.Sprint(n), topic)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("device: %v: %s", err, out)
				}
				Until(t, "everything arrives", 30*time.Second, func() bool { return len(recorder.On(Prefix+topic)) >= n })
				for i, p := range recorder.On(Prefix + topic) {
					if string(p.Payload) != fmt.Sprintf(`{"n":%d}`, i) || p.QoS != min(qos, 1) {
						t.Fatalf("message %d arrived as %s at QoS %d", i, p.Payload, p.QoS)
					}
				}
			})
		}
	}
}

// TestSeveralBrokers: two existing brokers and the embedded one at once. One
// that goes away holds up nobody else, and is read again when it is back.
func TestSeveralBrokers(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	cloud, one, two := StartMosquitto(t), StartMosquitto(t), StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	site.Ingress = strings.Join([]string{
		fmt.Sprintf("broker: {listeners: [{address: %q}], anonymous: true}", site.Addr),
		fmt.Sprintf("  subscribe: [{url: %q, topics: [\"a/#\"]}, {url: %q, topics: [\"b/#\"]}]", "mqtt://"+one.Addr, "mqtt://"+two.Addr),
	}, "\n")
	site.Start(t)
	reaches := func(addr, topic string) {
		t.Helper()
		before := len(recorder.On(Prefix + topic))
		for end := time.Now().Add(40 * time.Second); len(recorder.On(Prefix+topic)) == before; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not arrive", topic)
			}
			pub(t, addr, "-t", topic, "-m", `{"n":1}`, "-q", "1")
		}
	}
	reaches(one.Addr, "a/x")
	reaches(two.Addr, "b/x")
	reaches(site.Addr, "c/x")
	pub(t, two.Addr, "-t", "a/not-subscribed", "-m", "{}", "-q", "1")
	two.Kill()
	reaches(one.Addr, "a/y")
	reaches(site.Addr, "c/y")
	two = StartMosquittoAt(t, two.Addr)
	reaches(two.Addr, "b/y")
	if got := recorder.On(Prefix + "a/not-subscribed"); len(got) != 0 {
		t.Errorf("a topic that was not asked for arrived: %+v", got)
	}
}
