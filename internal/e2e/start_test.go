package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKillAtStart kills the gateway at every moment of its start, the first one
// included, in which it makes its keys. It must come up afterwards, by itself.
func TestKillAtStart(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	random := Random(t)
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	program := Sealgate(t)
	for round := range Size(1, 12) {
		site := NewSite(t, cloud.Addr)
		path := site.Config(t)
		for range Size(8, 12) {
			p := Start(t, program, "run", "--config", path)
			time.Sleep(time.Duration(random.IntN(120_000)) * time.Microsecond)
			p.Kill()
		}
		p := site.Start(t)
		topic := fmt.Sprintf("round/%d", round)
		device, err := Dial(site.Addr, ClientOptions{ID: "device"})
		check(t, err)
		check(t, device.Publish(Message{Topic: topic, Payload: []byte(`{"password":"` + Secret + `"}`), QoS: 1}, 1))
		_ = device.Close()
		if got := arrived(t, recorder, Prefix+topic, 1); strings.Contains(string(got.Payload), Secret) {
			t.Error("a secret left in clear")
		}
		if err := p.Stop(20 * time.Second); err != nil {
			t.Errorf("stop: %v: %s", err, p.Log())
		}
		clean(t, site)
	}
}

// TestKilledWhileOffline kills the gateway again and again while its uplink is
// down: the backlog grows, is kept, and is delivered in order.
func TestKilledWhileOffline(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	proxy.Cut(time.Hour)
	site := NewSite(t, proxy.Addr)
	device := &Device{Name: "d", Topics: []string{"d/a"}}
	device.Topic = map[string]*Account{"d/a": {}}
	account := device.Topic["d/a"]
	var gateway *Process
	for range Size(8, 40) {
		gateway = site.Start(t)
		c, err := Dial(site.Addr, ClientOptions{ID: "d"})
		check(t, err)
		for range 5 {
			n := len(account.Sent)
			if err := c.Publish(Message{Topic: "d/a", Payload: device.Payload(n), QoS: 1}, uint16(n+1)); err != nil {
				t.Fatalf("message %d: %v: %s", n, err, gateway.Log())
			}
			account.Sent, account.Acked = append(account.Sent, 1), append(account.Acked, true)
		}
		_ = c.Close()
		gateway.Kill()
	}
	proxy.Cut(0)
	site.Start(t)
	settled(t, site, recorder)
	var report Report
	Check([]*Device{device}, Read(site.Opener(t), recorder.All(), &report), &report)
	for _, p := range report.Problems {
		t.Error(p)
	}
	clean(t, site)
}

// TestFullDisk fills the disk under a running gateway. What it has room for it
// takes, what it has not it does not acknowledge; when there is room again, or
// the uplink is back, everything goes on and nothing is missing.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	proxy.Cut(time.Hour)
	site := NewSite(t, proxy.Addr)
	site.Spool = "{size: 16MiB, volatile: true}"
	site.Ingress = fmt.Sprintf("broker: {listeners: [{address: %q}], anonymous: true, limits: {hold: 1s, packet: 64KiB}}", site.Addr)
	mountDisk(t, site.State(), 24<<20)
	gateway := site.Start(t)
	ballast := filepath.Join(site.State(), "ballast")
	fillDisk(t, ballast)

	// The device publishes until it is not acknowledged any more.
	device := &Device{Name: "d", Topics: []string{"d/a"}}
	device.Topic = map[string]*Account{"d/a": {}}
	account := device.Topic["d/a"]
	c, err := Dial(site.Addr, ClientOptions{ID: "d"})
	check(t, err)
	pad := strings.Repeat("x", 32<<10)
	send := func(c *Client, n int) error {
		account.Sent[n]++
		payload := strings.Replace(string(device.Payload(4*n+1)), `"port"`, `"pad":"`+pad+`","port"`, 1)
		payload = strings.Replace(payload, fmt.Sprintf(`"n":%d`, 4*n+1), fmt.Sprintf(`"n":%d`, n), 1)
		return c.Publish(Message{Topic: "d/a", Payload: []byte(payload), QoS: 1}, uint16(n+1))
	}
	for err == nil {
		n := len(account.Sent)
		account.Sent, account.Acked = append(account.Sent, 0), append(account.Acked, false)
		if err = send(c, n); err == nil {
			account.Acked[n] = true
		}
		if n > 2000 {
			t.Fatal("the log never filled up")
		}
	}
	_ = c.Close()
	taken := len(account.Sent) - 1
	t.Logf("%d messages of 32 KiB taken before the log was full", taken)
	if taken < 60 { // each takes up to 88 KiB, in ten segments of 1 MiB
		t.Errorf("only %d messages were taken into reserved space", taken)
	}
	if strings.Contains(gateway.Log(), "refused a batch") {
		t.Errorf("a message was taken without room for it: %s", gateway.Log())
	}
	if gateway.Ended() {
		t.Fatalf("the gateway ended: %s", gateway.Log())
	}

	// A restart on the full disk comes up: local devices are served.
	gateway.Kill()
	again := Start(t, Sealgate(t), "run", "--config", site.Config(t))
	site.Ready(t, again)
	check(t, os.Remove(ballast))

	// The last message, refused before, is taken once the uplink is back.
	proxy.Cut(0)
	Until(t, "the device is served again", 30*time.Second, func() bool {
		c, err := Dial(site.Addr, ClientOptions{ID: "d"})
		if err != nil {
			return false
		}
		defer c.Close()
		return send(c, taken) == nil
	})
	account.Acked[taken] = true
	settled(t, site, recorder)
	var report Report
	Check([]*Device{device}, Read(site.Opener(t), recorder.All(), &report), &report)
	t.Log(report)
	for _, p := range report.Problems {
		t.Error(p)
	}
}

// fillDisk writes a file until there is no room for another byte.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	defer f.Close()
	block := make([]byte, 64<<10)
	for size := len(block); size > 0; {
		if n, err := f.Write(block[:size]); err != nil || n < size {
			size /= 2
		}
	}
}
