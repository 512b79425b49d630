package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/sealgate/sealgate/internal/e2e"
)

// A figure is the result of one round.
type figure struct {
	rate      float64       // messages a second, from the first to the last at the cloud
	acked     float64       // messages a second, acknowledged to the devices
	cpu       time.Duration // of what forwards, a message
	cloud     time.Duration // of the cloud's broker, a message
	idle, top int64         // bytes
}

// A result is what one contender reached.
type result struct {
	name    string
	devices int
	figure
}

func throughput(t *stage, o options) (results []result) {
	fmt.Printf("\n## throughput: %d messages of %d bytes a round, QoS 1, %d under way, median of %d rounds; in brackets: to the bridge\n\n", o.messages, size, o.window, o.rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tdevices\tmessages/s\tacknowledged/s\tCPU/message\tcloud's CPU\tRSS idle\tRSS peak\t")
	for _, devices := range []int{1, 50} {
		if o.devices != 0 && o.devices != devices {
			continue
		}
		cs := contenders()
		all := make([][]figure, len(cs))
		for range o.rounds { // in turn, so that a noisy minute hits all
			for i, c := range cs {
				if o.only != "" && o.only != c.short || !installed(c) {
					continue
				}
				all[i] = append(all[i], t.round(o, devices, c))
			}
		}
		var bridge figure
		for i, fs := range all {
			if len(fs) == 0 {
				continue
			}
			r := result{cs[i].name, devices, median(fs)}
			if i == 0 {
				bridge = r.figure
			}
			r.print(w, bridge)
			results = append(results, r)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("print: %v", err)
	}
	return results
}

// installed leaves out what is not there, and says so.
func installed(c contender) bool {
	if c.short != "nodered" {
		return true
	}
	_, err := os.Stat(nodeREDProgram)
	if err != nil {
		fmt.Fprintln(os.Stderr, errNoNodeRED)
	}
	return err == nil
}

func (r result) print(w *tabwriter.Writer, bridge figure) {
	ratio := func(a, b float64) string {
		if b == 0 {
			return ""
		}
		return fmt.Sprintf(" (%.2f)", a/b)
	}
	fmt.Fprintf(w, "%s\t%d\t%.0f%s\t%.0f%s\t%s%s\t%s\t%.1f MB\t%.1f MB\t\n", r.name, r.devices,
		r.rate, ratio(r.rate, bridge.rate), r.acked, ratio(r.acked, bridge.acked),
		r.cpu.Round(100*time.Nanosecond), ratio(float64(r.cpu), float64(bridge.cpu)),
		r.cloud.Round(100*time.Nanosecond), float64(r.idle)/1e6, float64(r.top)/1e6)
}

// median takes each column by itself.
func median(fs []figure) figure {
	return figure{
		mid(fs, func(f figure) float64 { return f.rate }), mid(fs, func(f figure) float64 { return f.acked }),
		mid(fs, func(f figure) time.Duration { return f.cpu }), mid(fs, func(f figure) time.Duration { return f.cloud }),
		mid(fs, func(f figure) int64 { return f.idle }), mid(fs, func(f figure) int64 { return f.top }),
	}
}

func mid[F any, N int64 | float64 | time.Duration](fs []F, of func(F) N) N {
	var vs []N
	for _, f := range fs {
		vs = append(vs, of(f))
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

// round runs one contender between its own brokers.
func (t *stage) round(o options, devices int, c contender) (f figure) {
	defer t.clean()
	cloud := e2e.StartMosquitto(t, fmt.Sprintf("max_inflight_messages %d", o.window))
	arrived := make(chan time.Time, 1)
	warm := make(chan struct{})
	go count(t, cloud.Addr, o.messages, warm, func(int) {}, arrived)
	way := c.start(t, o, cloud.Addr)
	warmUp(t, way.addr, warm)
	before, cloudBefore := way.usage(t), usage(t, cloud.Process)
	f.idle = before.RSS

	begun := time.Now()
	var all sync.WaitGroup
	for d := range devices {
		n := o.messages / devices
		if d < o.messages%devices {
			n++
		}
		all.Go(func() {
			name := fmt.Sprintf("fleet/%d/state", d)
			if err := e2e.Blast(way.addr, name, name, n, max(1, o.window/devices), c.message.payload); err != nil {
				t.fail(err)
			}
		})
	}
	all.Wait()
	f.acked = float64(o.messages) / time.Since(begun).Seconds()
	select {
	case end := <-arrived:
		f.rate = float64(o.messages) / end.Sub(begun).Seconds()
	case <-time.After(2 * time.Minute):
		t.Fatalf("not everything arrived through %s: %s", c.name, way.log())
	}
	after, cloudAfter := way.usage(t), usage(t, cloud.Process)
	f.cpu = (after.CPU - before.CPU) / time.Duration(o.messages)
	f.cloud = (cloudAfter.CPU - cloudBefore.CPU) / time.Duration(o.messages)
	f.top = after.Peak
	return f
}

func usage(t *stage, p *e2e.Process) e2e.Usage {
	u, err := p.Usage()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return u
}

const warmTopic = "warm"

// warmUp publishes until one message has come through.
func warmUp(t *stage, addr string, warm <-chan struct{}) {
	c, err := e2e.Dial(addr, e2e.ClientOptions{ID: "warm"})
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer c.Close()
	for id := uint16(1); id < 300; id++ {
		if err := c.Publish(e2e.Message{Topic: warmTopic, Payload: []byte("{}"), QoS: 1}, id); err != nil {
			t.Fatalf("%v", err)
		}
		select {
		case <-warm:
			time.Sleep(300 * time.Millisecond)
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("nothing comes through")
}

// count subscribes at the cloud, calls each with the number in each message, and
// notes when the last one came.
func count(t *stage, addr string, n int, warm chan<- struct{}, each func(number int), arrived chan<- time.Time) {
	c, err := e2e.Dial(addr, e2e.ClientOptions{ID: "counter"})
	if err == nil {
		err = c.Subscribe("#")
	}
	defer func() {
		if err != nil {
			t.fail(fmt.Errorf("count: %w", err))
		}
	}()
	if err != nil {
		return
	}
	defer c.Close()
	for warmed := false; n > 0; {
		var p e2e.Packet
		if p, err = c.Read(); err != nil {
			return
		}
		switch {
		case p.Topic != e2e.Prefix+warmTopic:
			n--
			each(number(p.Payload))
		case !warmed:
			warmed = true
			close(warm)
		}
		if err = c.Ack(p.ID); err != nil {
			return
		}
	}
	arrived <- time.Now()
}

// number is the n of a payload that left as it was; -1 of others.
func number(payload []byte) int {
	_, rest, ok := bytes.Cut(payload, []byte(`"n":`))
	if !ok || len(rest) < 7 {
		return -1
	}
	n, err := strconv.Atoi(string(rest[:7]))
	if err != nil {
		return -1
	}
	return n - firstNumber
}
