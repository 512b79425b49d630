package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := Clean(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestKillAndCut: devices publish while the network to the cloud is cut and the
// gateway is killed, six times each. Nothing acknowledged is lost, nothing is
// reordered within a topic, no secret is seen in clear at the cloud or on the
// gateway's disk.
func TestKillAndCut(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	for name, change := range map[string]func(*Site){
		"lean":  func(*Site) {},
		"paho":  func(s *Site) { s.Uplink = "client: paho" },
		"spill": func(s *Site) { s.Spool = Spilling },
	} {
		t.Run(name, func(t *testing.T) { killAndCut(t, change) })
	}
}

func killAndCut(t *testing.T, change func(*Site)) {
	var (
		total  = Size(4_000, 20_000)
		faults = Size(2, 6) // of each kind
		random = Random(t)
	)
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	site := NewSite(t, proxy.Addr)
	change(site)
	gateway := site.Start(t)

	const fleet = 8
	var (
		devices []*Device
		acked   atomic.Int64
		running sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for i := range fleet {
		name := fmt.Sprintf("d%d", i)
		d := &Device{
			Name: name, Topics: []string{name + "/a", name + "/b"}, Total: total / fleet,
			Window: 1 + random.IntN(40), Session: i%2 == 0,
		}
		devices = append(devices, d)
		running.Go(func() {
			if err := d.Run(ctx, site.Addr, func() { acked.Add(1) }); err != nil {
				t.Error(err)
			}
		})
	}

	// Each fault has its moment in the count of acknowledgements.
	kinds := slices.Repeat([]string{"kill", "cut"}, faults)
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i, kind := range kinds {
		at := int64(total * (2*i + 1 + random.IntN(2)) / (2*len(kinds) + 1))
		for acked.Load() < at && ctx.Err() == nil {
			time.Sleep(200 * time.Microsecond)
		}
		t.Logf("%s at %d acknowledged, %d arrived", kind, acked.Load(), recorder.Len())
		if kind == "cut" {
			proxy.Cut(time.Duration(random.IntN(200)) * time.Millisecond)
			continue
		}
		gateway.Kill()
		clean(t, site)
		gateway = site.Start(t)
	}
	running.Wait()
	settled(t, site, recorder)
	// Nothing waits any more: of these few, spill spares the disk the most.
	late := &Device{Name: "late", Topics: []string{"late/a"}, Total: 20, Window: 1}
	devices = append(devices, late)
	if err := late.Run(ctx, site.Addr, func() {}); err != nil {
		t.Error(err)
	}
	settled(t, site, recorder)
	values := site.Values(t)
	if err := gateway.Stop(30 * time.Second); err != nil {
		t.Errorf("the gateway at its end: %v", err)
	}
	clean(t, site)

	report := Report{Spill: site.Spool == Spilling}
	arrivals := Read(site.Opener(t), recorder.All(), &report)
	Check(devices, arrivals, &report)
	t.Log(report)
	for _, p := range report.Problems {
		t.Error(p)
	}
	if want := total/fleet*fleet + late.Total; report.Acked != want {
		t.Errorf("%d of %d acknowledged", report.Acked, want)
	}
	repeated := 0
	for _, d := range devices {
		repeated += d.Repeated
	}
	t.Logf("%d connections of the uplink, %d messages repeated by devices", proxy.Connections(), repeated)
	if spared := values["sealgate_spool_spared_bytes_total"]; report.Spill != (spared > 0) {
		t.Errorf("%.0f bytes were spared the disk", spared)
	}
	if report.Most > 1+2*faults { // each fault makes the uplink start again, once
		t.Errorf("one message arrived %d times", report.Most)
	}
	if report.Redelivered > repeated {
		t.Errorf("%d redelivered of %d repeated", report.Redelivered, repeated)
	}
	if values["sealgate_uplink_quarantined_messages_total{uplink=\"cloud\"}"] != 0 || values["sealgate_recovered_panics_total"] != 0 {
		t.Errorf("messages in quarantine or panics: %v", values)
	}
}

// clean looks for secrets in what the gateway has written.
func clean(t *testing.T, site *Site) {
	t.Helper()
	found, err := FindInFiles(site.State(), Secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("a secret lies in clear in %s", f)
	}
}

// settled waits until the gateway has delivered its backlog, and the recorders
// what the cloud's broker still had in hand for them.
func settled(t *testing.T, site *Site, recorders ...*Recorder) {
	t.Helper()
	Until(t, "the backlog is delivered", 60*time.Second, func() bool {
		v := site.Values(t)
		return v["sealgate_spool_records"] == 0 && v[`sealgate_uplink_in_flight_messages{uplink="cloud"}`] == 0
	})
	for _, r := range recorders {
		seen, since := r.Len(), time.Now()
		Until(t, "the recorder has caught up", 60*time.Second, func() bool {
			if n := r.Len(); n != seen {
				seen, since = n, time.Now()
			}
			return time.Since(since) > time.Second
		})
	}
}

// TestCheckerCanFail doctors a good log in every way that the checker is there
// for.
func TestCheckerCanFail(t *testing.T) {
	id := func(n byte) [16]byte { return [16]byte{1, n} }
	good := []Arrival{
		{"a", 0, id(0)}, {"a", 1, id(1)}, {"a", 2, id(2)},
		{"a", 1, id(1)}, {"a", 2, id(2)}, // the uplink again
		{"a", 1, id(11)}, {"a", 2, id(12)}, // the device again
		{"a", 3, id(3)}, {"a", 4, id(4)},
	}
	devices := []*Device{{Topic: map[string]*Account{"a": {Sent: []int{1, 2, 2, 1, 1}, Acked: []bool{true, true, true, true, true}}}}}
	verdict := func(log []Arrival) Report {
		var r Report
		Check(devices, log, &r)
		return r
	}
	if r := verdict(good); len(r.Problems) != 0 || r.Resent != 2 || r.Most != 2 || r.Redelivered != 2 || r.Arrived != 5 || r.Acked != 5 {
		t.Fatalf("a good log: %+v", r)
	}
	doctored := map[string]func([]Arrival) []Arrival{
		"lost the last":      func(l []Arrival) []Arrival { return l[:len(l)-1] },
		"lost one":           func(l []Arrival) []Arrival { return slices.Delete(l, 7, 8) },
		"swapped two":        func(l []Arrival) []Arrival { l[7], l[8] = l[8], l[7]; return l },
		"swapped a resend":   func(l []Arrival) []Arrival { l[3], l[4] = l[4], l[3]; return l },
		"one id too many":    func(l []Arrival) []Arrival { return append(l, Arrival{"a", 3, id(33)}) },
		"one id, two values": func(l []Arrival) []Arrival { l[8].ID = id(3); return l },
		"never sent":         func(l []Arrival) []Arrival { return append(l, Arrival{"a", 5, id(5)}) },
		"unknown topic":      func(l []Arrival) []Arrival { return append(l, Arrival{"b", 0, id(6)}) },
	}
	for name, doctor := range doctored {
		if r := verdict(doctor(slices.Clone(good))); len(r.Problems) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
	var r Report
	site := NewSite(t, "127.0.0.1:1")
	Read(site.Opener(t), []Packet{{Message: Message{Topic: Prefix + "a", Payload: (&Device{Name: "d"}).Payload(1)}}}, &r)
	if len(r.Problems) != 1 {
		t.Errorf("a secret in clear: %v", r.Problems)
	}
}
