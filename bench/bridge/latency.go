package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/sealgate/sealgate/internal/e2e"
)

const (
	latencyRate    = 1_000 // messages a second, of all devices
	latencyFor     = 5 * time.Second
	latencyDevices = 50
)

// A spread is where half and where 99 of 100 samples lie.
type spread struct{ p50, p99 time.Duration }

func spreadOf(d []time.Duration) spread {
	if len(d) == 0 {
		return spread{}
	}
	slices.Sort(d)
	return spread{d[len(d)/2], d[len(d)*99/100]}
}

// A delay is what one round of latency says.
type delay struct {
	message spread // from a device to a subscriber at the cloud
	sync    spread // of a file of our own on the same disk, at the same time
}

// latency measures how long a message takes from its device to a subscriber at
// the cloud, at a rate far below what any contender can do, and how much of that
// is added to publishing at the cloud's broker itself. Beside each it measures
// what the disk takes for an fdatasync, without which the gateway acknowledges
// and sends nothing.
func latency(t *stage, o options) {
	fmt.Printf("\n## latency at %d messages/s of %d devices, median of %d rounds; added: to publishing at the cloud's broker directly\n\n", latencyRate, latencyDevices, o.rounds)
	cs := []contender{{"directly", "direct", messages[0], func(_ *stage, _ options, cloud string) way { return way{addr: cloud} }}}
	for _, c := range contenders() {
		if o.only == "" || o.only == c.short || c.short == "bridge" {
			cs = append(cs, c)
		}
	}
	all := make([][]delay, len(cs))
	for range o.rounds {
		for i, c := range cs {
			if installed(c) {
				all[i] = append(all[i], t.delays(o, c))
			}
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tp50\tp99\tadded p50\tadded p99\tfdatasync p50\tp99\t")
	var base spread
	for i, ds := range all {
		if len(ds) == 0 {
			continue
		}
		m := medianSpread(ds, func(d delay) spread { return d.message })
		disk := medianSpread(ds, func(d delay) spread { return d.sync })
		if i == 0 {
			base = m
		}
		us := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", cs[i].name, us(m.p50), us(m.p99), us(m.p50-base.p50), us(m.p99-base.p99), us(disk.p50), us(disk.p99))
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("print: %v", err)
	}
}

func medianSpread(ds []delay, of func(delay) spread) spread {
	return spread{
		mid(ds, func(d delay) time.Duration { return of(d).p50 }),
		mid(ds, func(d delay) time.Duration { return of(d).p99 }),
	}
}

// delays runs one round of one contender.
func (t *stage) delays(o options, c contender) (d delay) {
	defer t.clean()
	total := int(latencyFor.Seconds()) * latencyRate
	sent, took := make([]time.Time, total), make([]time.Duration, total)
	var mu sync.Mutex // guards sent and took
	cloud := e2e.StartMosquitto(t, fmt.Sprintf("max_inflight_messages %d", o.window))
	arrived, warm := make(chan time.Time, 1), make(chan struct{})
	go count(t, cloud.Addr, total, warm, func(n int) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		if n >= 0 && n < total {
			took[n] = now.Sub(sent[n])
		}
	}, arrived)
	way := c.start(t, o, cloud.Addr)
	prefix := ""
	if len(way.parts) == 0 {
		prefix = e2e.Prefix
		warmUpDirect(t, way.addr, warm)
	} else {
		warmUp(t, way.addr, warm)
	}
	disk := newDisk(t)
	var all sync.WaitGroup
	begun := time.Now()
	for d := range latencyDevices {
		all.Go(func() {
			client, err := e2e.Dial(way.addr, e2e.ClientOptions{ID: fmt.Sprintf("paced-%d", d)})
			if err != nil {
				t.fail(err)
				return
			}
			defer client.Close()
			for k := 0; ; k++ {
				n := k*latencyDevices + d
				if n >= total {
					return
				}
				time.Sleep(time.Until(begun.Add(time.Duration(n) * time.Second / latencyRate)))
				mu.Lock()
				sent[n] = time.Now()
				mu.Unlock()
				if err := client.Publish(e2e.Message{Topic: fmt.Sprintf("%sfleet/%d/state", prefix, d), Payload: c.message.payload(n), QoS: 1}, uint16(k%60_000)+1); err != nil {
					t.fail(err)
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case <-arrived:
	case <-time.After(time.Minute):
		t.Fatalf("not everything arrived through %s: %s", c.name, way.log())
	}
	d.sync = spreadOf(disk.stop(t))
	mu.Lock()
	defer mu.Unlock()
	if slices.Contains(took, 0) {
		t.Fatalf("messages through %s have lost their numbers", c.name)
	}
	d.message = spreadOf(took)
	return d
}

func warmUpDirect(t *stage, addr string, warm <-chan struct{}) {
	c, err := e2e.Dial(addr, e2e.ClientOptions{ID: "warm"})
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer c.Close()
	for id := uint16(1); id < 100; id++ {
		if err := c.Publish(e2e.Message{Topic: e2e.Prefix + warmTopic, Payload: []byte("{}"), QoS: 1}, id); err != nil {
			t.Fatalf("%v", err)
		}
		select {
		case <-warm:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("the cloud's broker does not deliver")
}
