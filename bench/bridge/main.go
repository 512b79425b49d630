// Command bridge measures the gateway beside what it replaces: a plain
// mosquitto bridge. Both take the same messages from the same devices at QoS 1
// and forward them to a mosquitto that stands for the cloud, in turn, on the
// same machine, in the same run. The bridge keeps everything in memory; the
// gateway judges, protects and fsyncs before it acknowledges. What it does
// depends on the message: a harmless one passes, personal data is made
// pseudonymous or encrypted, a secret is encrypted and the message signed.
//
//	go -C bench run ./bridge
//
// The figures are for one machine; the ratios travel better.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/sealgate/sealgate/internal/e2e"
)

func main() {
	var o options
	flag.IntVar(&o.messages, "n", 20_000, "messages in a round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each; the median is printed")
	flag.IntVar(&o.window, "window", 100, "messages under way: of all devices, and of the uplink")
	flag.StringVar(&o.only, "only", "", "measure only this: bridge, harmless, personal or secret")
	flag.IntVar(&o.devices, "devices", 0, "measure only with so many devices (default 1 and 50)")
	flag.Parse()
	t := &stage{}
	err := t.run(func() { measure(t, o) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

type options struct {
	messages, rounds, window, devices int
	only                              string
}

// A figure is the result of one round.
type figure struct {
	rate      float64       // messages a second, from the first to the last at the cloud
	acked     float64       // messages a second, acknowledged to the devices
	cpu       time.Duration // of the gateway or the bridging broker, a message
	cloud     time.Duration // of the cloud's broker, a message
	idle, top int64         // bytes
}

func measure(t *stage, o options) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("%d messages of %d bytes a round, QoS 1, %d under way, median of %d rounds; in brackets: to the bridge\n\n", o.messages, size, o.window, o.rounds)
	fmt.Fprintln(w, "\tdevices\tmessages/s\tacknowledged/s\tCPU/message\tcloud's CPU\tRSS idle\tRSS peak\t")
	for _, devices := range []int{1, 50} {
		if o.devices != 0 && o.devices != devices {
			continue
		}
		all := make([][]figure, 1+len(messages))
		for range o.rounds {
			if o.only == "" || o.only == "bridge" {
				all[0] = append(all[0], t.round(o, devices, messages[0], plainBridge))
			}
			for i, m := range messages {
				if o.only == "" || o.only == m.name {
					all[i+1] = append(all[i+1], t.round(o, devices, m, sealgate))
				}
			}
		}
		var bridge figure
		for i, fs := range all {
			if len(fs) == 0 {
				continue
			}
			if i == 0 {
				bridge = median(fs)
				bridge.print(w, "mosquitto bridge", devices, bridge)
			} else {
				median(fs).print(w, "sealgate, "+messages[i-1].name, devices, bridge)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("print: %v", err)
	}
}

func (f figure) print(w *tabwriter.Writer, name string, devices int, bridge figure) {
	fmt.Fprintf(w, "%s\t%d\t%.0f (%.2f)\t%.0f (%.2f)\t%s (%.1f)\t%s\t%.1f MB\t%.1f MB\t\n", name, devices,
		f.rate, f.rate/bridge.rate, f.acked, f.acked/bridge.acked, f.cpu.Round(100*time.Nanosecond), float64(f.cpu)/float64(bridge.cpu),
		f.cloud.Round(100*time.Nanosecond), float64(f.idle)/1e6, float64(f.top)/1e6)
}

// median takes each column by itself.
func median(fs []figure) figure {
	return figure{
		mid(fs, func(f figure) float64 { return f.rate }), mid(fs, func(f figure) float64 { return f.acked }),
		mid(fs, func(f figure) time.Duration { return f.cpu }), mid(fs, func(f figure) time.Duration { return f.cloud }),
		mid(fs, func(f figure) int64 { return f.idle }), mid(fs, func(f figure) int64 { return f.top }),
	}
}

func mid[N int64 | float64 | time.Duration](fs []figure, of func(figure) N) N {
	var vs []N
	for _, f := range fs {
		vs = append(vs, of(f))
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

// A forwarder starts what forwards, and returns it and where devices connect.
type forwarder func(t *stage, o options, cloud string) (*e2e.Process, string)

func plainBridge(t *stage, o options, cloud string) (*e2e.Process, string) {
	m := e2e.StartMosquitto(t,
		fmt.Sprintf("max_inflight_messages %d", o.window),
		"connection cloud", "address "+cloud, "topic # out 1 \"\" "+e2e.Prefix, "restart_timeout 1", "notifications false")
	return m.Process, m.Addr
}

func sealgate(t *stage, o options, cloud string) (*e2e.Process, string) {
	site := e2e.NewSite(t, cloud)
	return site.Start(t), site.Addr
}

// round runs one forwarder between its own brokers.
func (t *stage) round(o options, devices int, m message, start forwarder) (f figure) {
	defer t.clean()
	cloud := e2e.StartMosquitto(t, fmt.Sprintf("max_inflight_messages %d", o.window))
	arrived := make(chan time.Time, 1)
	warm := make(chan struct{})
	go count(t, cloud.Addr, o.messages, warm, arrived)
	way, addr := start(t, o, cloud.Addr)
	warmUp(t, addr, warm)
	before, cloudBefore := usage(t, way), usage(t, cloud.Process)
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
			if err := e2e.Blast(addr, name, name, n, max(1, o.window/devices), m.payload); err != nil {
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
		t.Fatalf("not everything arrived; the gateway says: %s", way.Log())
	}
	after, cloudAfter := usage(t, way), usage(t, cloud.Process)
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

// count subscribes at the cloud and notes when the last message came.
func count(t *stage, addr string, n int, warm chan<- struct{}, arrived chan<- time.Time) {
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
		if err = c.Ack(p.ID); err != nil {
			return
		}
		switch {
		case p.Topic != e2e.Prefix+warmTopic:
			n--
		case !warmed:
			warmed = true
			close(warm)
		}
	}
	arrived <- time.Now()
}

// size is about that of every message, whatever it tells.
const size = 500

// A message is what one kind of device tells.
type message struct {
	name string
	body string // behind the number
}

var messages = []message{
	{"harmless", `,"engine":{"rpm":1840,"temperature":88.5,"load":0.42,"oil_pressure":3.1},"fuel":61.5,"battery":12.6,"doors":[0,0,0,1]`},
	{"personal", `,"driver":{"email":"anna.schmidt@example.org"},"position":{"latitude":48.137154,"longitude":11.576124},"fuel":61.5`},
	{"secret", `,"driver":{"email":"anna.schmidt@example.org"},"modem":{"apn":"iot.example","password":"tR7-vq-Lw29z"},"fuel":61.5`},
}

func (m message) payload(n int) []byte {
	b := fmt.Appendf(nil, `{"device":"tracker-17","n":%06d%s`, 1_000_000+n, m.body)
	for i := 0; len(b) < size-len(`,"load_00":0.42}`); i++ {
		b = fmt.Appendf(b, `,"load_%02d":0.42`, i)
	}
	return append(b, '}')
}

// A stage stands for the test that the helpers expect.
type stage struct {
	mu       sync.Mutex // guards the rest
	cleanups []func()
	err      error
}

var errFatal = errors.New("measurement failed")

func (t *stage) run(f func()) (err error) {
	defer func() {
		t.clean()
		err = errors.Join(t.err, e2e.Clean())
		if r := recover(); r != nil && r != any(errFatal) {
			panic(r)
		}
	}()
	f()
	return nil
}

func (t *stage) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errors.Join(t.err, err)
}

func (t *stage) clean() {
	t.mu.Lock()
	fs := t.cleanups
	t.cleanups = nil
	t.mu.Unlock()
	for _, f := range slices.Backward(fs) {
		f()
	}
}

func (t *stage) Helper()             {}
func (t *stage) Logf(string, ...any) {}
func (t *stage) Fatalf(f string, a ...any) {
	t.fail(fmt.Errorf(f, a...))
	panic(errFatal)
}

func (t *stage) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "sealgate-bench-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.fail(err)
		}
	})
	return dir
}
