package mqtt

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// TestLowerQoSIsSaid: a broker that grants a lower QoS than asked sends messages
// that nobody repeats; the log says so, and only then.
func TestLowerQoSIsSaid(t *testing.T) {
	m := startMosquitto(t)
	conf, err := os.ReadFile(m.conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"5": {}, "3.1.1": {Dial: only311}} {
		for limit, want := range map[string]bool{"": false, "max_qos 0\n": true} {
			m.stop()
			if err := os.WriteFile(m.conf, append(conf, limit...), 0o600); err != nil {
				t.Fatal(err)
			}
			m.start()
			var log bytes.Buffer
			o.URL, o.ClientID = "mqtt://"+m.addr, "gw"
			_, stop := subscribe(t, SubscribeOptions{
				Options: o, Filters: []Filter{{Topic: "a/#", QoS: 1}, {Topic: "b/#"}}, AcceptRetainLoss: true,
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			}, &hopper{auto: true})
			stop()
			if said := strings.Contains(log.String(), "grants a lower QoS") && strings.Contains(log.String(), "filters=1"); said != want {
				t.Errorf("MQTT %s, %q: the log says %q", name, limit, log.String())
			}
		}
	}
}
