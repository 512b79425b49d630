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
	latencyFor     = 10 * time.Second
	latencyDevices = 50
)

// latency measures how long a message takes from its device to a subscriber at
// the cloud, at a rate far below what any contender can do, and how much of that
// is added to publishing at the cloud's broker itself.
func latency(t *stage, o options) {
	fmt.Printf("\n## latency at %d messages/s of %d devices; added: to publishing at the cloud's broker directly\n\n", latencyRate, latencyDevices)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tp50\tp99\tadded p50\tadded p99\t")
	direct := contender{"directly", "direct", messages[0], func(_ *stage, _ options, cloud string) way { return way{addr: cloud} }}
	var base [2]time.Duration
	for i, c := range append([]contender{direct}, contenders()...) {
		if c.message.name != messages[0].name { // what changes on the way has no number to be known by
			continue
		}
		p := t.latencies(o, c)
		if i == 0 {
			base = p
		}
		us := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", c.name, us(p[0]), us(p[1]), us(p[0]-base[0]), us(p[1]-base[1]))
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("print: %v", err)
	}
}

// latencies returns the median and the 99th percentile.
func (t *stage) latencies(o options, c contender) [2]time.Duration {
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
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	return [2]time.Duration{took[total/2], took[total*99/100]}
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
