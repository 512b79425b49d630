package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestQoS2AcrossCuts: a device publishes at QoS 2, the uplink publishes at QoS
// 2, and the network is cut under it. Everything arrives, the first time in
// order, and a cut repeats what was under way, no more. Between the device and
// the gateway nothing is repeated.
func TestQoS2AcrossCuts(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	const total, cuts, window = 120, 3, 10
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	site := NewSite(t, proxy.Addr)
	site.Uplink = fmt.Sprintf("protocol: \"5\"\nmax_qos: 2\nwindow: {messages: %d}", window)
	site.Start(t)
	for i := range total {
		switch i % (total / cuts) {
		case 10:
			proxy.Slow(10 * time.Second) // so that something is under way
		case 20:
			proxy.Cut(50 * time.Millisecond)
		}
		check(t, publishTo(site.Addr, "site/exactly", fmt.Sprintf(`{"n":%d}`, i), 2, false))
	}
	settled(t, site, recorder)
	var report Report
	times := make([]int, total)
	next, ids := 0, map[[16]byte]int{}
	for _, a := range Read(site.Opener(t), recorder.All(), &report) {
		times[a.N]++
		if a.ID != ([16]byte{}) {
			ids[a.ID] = a.N
		}
		if a.N > next {
			t.Errorf("%d arrived before %d", a.N, next)
		}
		next = max(next, a.N+1)
	}
	for _, p := range report.Problems {
		t.Error(p)
	}
	repeated := 0
	for n, k := range times {
		if k == 0 {
			t.Errorf("%d never arrived", n)
		}
		repeated += max(0, k-1)
	}
	t.Logf("%d connections, %d messages repeated", proxy.Connections(), repeated)
	if lost := proxy.Connections() - 1; lost < 1 || repeated > lost*window {
		t.Errorf("%d messages were repeated over %d lost connections with a window of %d", repeated, lost, window)
	}
	if len(ids) > total {
		t.Errorf("%d messages became %d", total, len(ids))
	}
}
