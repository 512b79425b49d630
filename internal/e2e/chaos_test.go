package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestChaos lets everything go wrong at once while devices publish: the gateway
// is killed, the network to the cloud is cut and slow, the disk fills up, and
// policies are swapped that send the same topics by other lanes and in other
// orders, and the clock is set forth and back. The seed says when and in which
// order. Nothing acknowledged is lost, nothing is reordered within a topic, no
// secret is seen in clear. The same, shorter, where the gateway acknowledges
// what the uplink has before it is on disk.
func TestChaos(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	t.Run("sync", func(t *testing.T) {
		chaos(t, "{size: 16MiB, volatile: true}", Size(4_000, 60_000), Size(2, 12))
	})
	t.Run("spill", func(t *testing.T) {
		chaos(t, "{mode: spill, linger: 200ms, size: 16MiB, volatile: true}", Size(6_000, 20_000), Size(1, 3))
	})
}

// chaos has devices publish total messages, with so many faults of each kind.
func chaos(t *testing.T, spool string, total, faults int) {
	random := Random(t)
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	proxy := StartProxy(t, cloud.Addr)
	site := NewSite(t, proxy.Addr)
	site.Spool = spool
	site.Ingress = fmt.Sprintf("broker: {listeners: [{address: %q}], anonymous: true, limits: {packet: 64KiB}}", site.Addr)

	const fleet = 8
	var topics []string
	for i := range fleet {
		topics = append(topics, fmt.Sprintf("d%d/a", i), fmt.Sprintf("d%d/b", i))
	}
	site.Policy = movingPolicy(random, topics)
	mountDisk(t, site.State(), 32<<20)
	clock := withClock(t, site)
	gateway := site.Start(t)

	var (
		devices []*Device
		acked   atomic.Int64
		running sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(t.Context(), Size(2*time.Minute, 10*time.Minute))
	defer cancel()
	for i := range fleet {
		d := &Device{Name: fmt.Sprintf("d%d", i), Topics: topics[2*i : 2*i+2], Total: total / fleet, Window: 1 + random.IntN(40), Session: i%2 == 0}
		devices = append(devices, d)
		running.Go(func() {
			if err := d.Run(ctx, site.Addr, func() { acked.Add(1) }); err != nil {
				t.Error(err)
			}
		})
	}
	kinds := slices.Repeat([]string{"kill", "cut", "slow", "swap", "full disk", "clock"}, faults)
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i, kind := range kinds {
		at := int64(total * (2*i + 1 + random.IntN(2)) / (2*len(kinds) + 1))
		for acked.Load() < at && ctx.Err() == nil {
			time.Sleep(200 * time.Microsecond)
		}
		t.Logf("%s at %d acknowledged, %d arrived", kind, acked.Load(), recorder.Len())
		pause := time.Duration(random.IntN(200)) * time.Millisecond
		switch kind {
		case "cut":
			proxy.Cut(pause)
		case "slow":
			proxy.Slow(2 * pause)
		case "swap":
			site.Policy = movingPolicy(random, topics)
			site.Config(t)
			check(t, gateway.Reload())
		case "full disk":
			ballast := filepath.Join(site.State(), "ballast")
			fillDisk(t, ballast)
			time.Sleep(pause)
			check(t, os.Remove(ballast))
		case "clock":
			clock.step(steps[random.IntN(len(steps))])
			plausible(t, site.Values(t))
		default:
			gateway.Kill()
			clean(t, site)
			gateway = site.Start(t)
		}
	}
	running.Wait()
	settled(t, site, recorder)
	values := site.Values(t)
	if err := gateway.Stop(30 * time.Second); err != nil {
		t.Errorf("the gateway at its end: %v", err)
	}
	clean(t, site)

	report := Report{Spill: strings.Contains(spool, "mode: spill")}
	Check(devices, Read(site.Opener(t), recorder.All(), &report), &report)
	t.Log(report)
	for _, p := range report.Problems {
		t.Error(p)
	}
	if report.Acked != total/fleet*fleet {
		t.Errorf("%d of %d acknowledged", report.Acked, total)
	}
	if report.Most > 1+2*faults { // kills and cuts make the uplink start again, once each
		t.Errorf("one message arrived %d times", report.Most)
	}
	if values[`sealgate_spool_dropped_messages_total{reason="damaged"}`] != 0 || values["sealgate_recovered_panics_total"] != 0 {
		t.Errorf("damage or panics: %v", values)
	}
}

// movingPolicy sends each topic by some lane, in some order.
func movingPolicy(random *rand.Rand, topics []string) string {
	src := "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes:\n"
	for _, topic := range topics {
		priority, order := []string{"high", "normal", "low"}[random.IntN(3)], "topic"
		if random.IntN(2) == 0 {
			priority, order = "normal", "sparkplug-node" // these share a lane
		}
		src += fmt.Sprintf("  - {name: %q, topics: [%q], priority: %s, order_by: %s}\n", topic, topic, priority, order)
	}
	return src + "  - {name: rest, topics: ['#']}\n"
}
