// Command bridge measures the gateway beside what it replaces: a plain mosquitto
// bridge, a hand-written pass-through with paho.mqtt.golang, and Node-RED with
// the nearest thing it has to masking. All take the same messages from the same
// devices at QoS 1 and forward them to a mosquitto that stands for the cloud, in
// turn, on the same machine, in the same run. The others keep everything in
// memory; the gateway judges, protects and fsyncs before it acknowledges. What
// it does depends on the message: a harmless one passes, personal data is made
// pseudonymous or encrypted, a secret is encrypted and the message signed.
//
//	go -C bench run ./bridge                                # throughput
//	go -C bench run ./bridge -parts all                     # and latency, a backlog, one core, no AES instructions
//	go -C bench run ./bridge -parts latency -only personal
//	go -C bench run ./bridge -only harmless -devices 50
//
// The figures are for one machine; the ratios travel better.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

type options struct {
	messages, rounds, window, devices, backlog int
	only, svg, parts                           string
}

// parts are what can be measured, in this order.
var parts = []string{"throughput", "latency", "backlog", "one-core", "no-aes"}

func main() {
	var o options
	flag.IntVar(&o.messages, "n", 20_000, "messages in a round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each; the median is printed")
	flag.IntVar(&o.window, "window", 100, "messages under way: of all devices, and of the uplink")
	flag.StringVar(&o.parts, "parts", parts[0], "what to measure: "+strings.Join(parts, ", ")+", or all; several with commas between")
	flag.StringVar(&o.only, "only", "", "measure only this, and the bridge's latency: bridge, passthrough, harmless, personal, secret, spill, paho or nodered")
	flag.IntVar(&o.devices, "devices", 0, "measure only with so many devices (default 1 and 50)")
	flag.StringVar(&o.svg, "svg", "", "write a plot to this file")
	flag.IntVar(&o.backlog, "backlog", 1_000_000, "messages of the backlog")
	flag.Parse()
	wanted, err := o.wanted()
	if err == nil {
		err = run(o, wanted)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

// wanted are the parts to measure.
func (o options) wanted() (map[string]bool, error) {
	names := parts
	if o.parts != "all" {
		names = strings.Split(o.parts, ",")
	}
	set := map[string]bool{}
	for _, name := range names {
		if !slices.Contains(parts, name) {
			return nil, fmt.Errorf("part %q: want %s, or all", name, strings.Join(parts, ", "))
		}
		set[name] = true
	}
	return set, nil
}

func run(o options, wanted map[string]bool) error {
	fmt.Printf("%s, %d cores, %s, load %s\n", runtime.Version(), runtime.NumCPU(), runtime.GOARCH, load())
	t := &stage{}
	err := t.run(func() {
		if wanted["throughput"] {
			results := throughput(t, o)
			if o.svg != "" {
				plot(t, o.svg, results)
			}
		}
		if wanted["latency"] {
			latency(t, o)
		}
		if wanted["backlog"] {
			backlog(t, o)
		}
	})
	if err == nil && wanted["one-core"] {
		err = again(o, "one core for everything (taskset -c 0)", "", "taskset", "-c", "0")
	}
	if err == nil && wanted["no-aes"] {
		err = again(o, "without AES instructions (GODEBUG=cpu.aes=off)", "GODEBUG=cpu.aes=off", "env")
	}
	return err
}

// load says what else the machine does: figures of a busy one are no figures.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}

// again runs this program's throughput part with 50 devices under a command that
// changes the machine for everything: devices, gateway, cloud.
func again(o options, title, env string, command ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append(command[1:], self, "-n", strconv.Itoa(o.messages), "-rounds", strconv.Itoa(o.rounds), "-devices", "50", "-only", o.only)
	cmd := exec.Command(command[0], args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, append(os.Environ(), env)
	fmt.Printf("\n# %s\n\n", title)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	return nil
}
