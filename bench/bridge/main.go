// Command bridge measures the gateway beside what it replaces: a plain mosquitto
// bridge, a hand-written pass-through with paho.mqtt.golang, and Node-RED with
// the nearest thing it has to masking. All take the same messages from the same
// devices at QoS 1 and forward them to a mosquitto that stands for the cloud, in
// turn, on the same machine, in the same run. The others keep everything in
// memory; the gateway judges, protects and fsyncs before it acknowledges. What
// it does depends on the message: a harmless one passes, personal data is made
// pseudonymous or encrypted, a secret is encrypted and the message signed.
//
//	go -C bench run ./bridge                 # throughput
//	go -C bench run ./bridge -all            # and latency, a backlog, one core, no AES instructions
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
	"strconv"
)

type options struct {
	messages, rounds, window, devices, backlog int
	only, svg                                  string
	all                                        bool
}

func main() {
	var o options
	flag.IntVar(&o.messages, "n", 20_000, "messages in a round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each; the median is printed")
	flag.IntVar(&o.window, "window", 100, "messages under way: of all devices, and of the uplink")
	flag.StringVar(&o.only, "only", "", "measure only this: bridge, passthrough, harmless, personal, secret, paho or nodered")
	flag.IntVar(&o.devices, "devices", 0, "measure only with so many devices (default 1 and 50)")
	flag.StringVar(&o.svg, "svg", "", "write a plot to this file")
	flag.BoolVar(&o.all, "all", false, "measure latency, a backlog, one core and no AES instructions, too")
	flag.IntVar(&o.backlog, "backlog", 1_000_000, "messages of the backlog")
	flag.Parse()
	t := &stage{}
	err := t.run(func() {
		fmt.Printf("%s, %d cores, %s\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOARCH)
		results := throughput(t, o)
		if o.svg != "" {
			plot(t, o.svg, results)
		}
		if o.all {
			latency(t, o)
			backlog(t, o)
		}
	})
	if err == nil && o.all {
		err = again(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

// again runs this program on one core, and without the processor's AES
// instructions. Everything of a run is on that core: devices, gateway, cloud.
func again(o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-n", strconv.Itoa(o.messages), "-rounds", strconv.Itoa(o.rounds), "-devices", "50"}
	for _, run := range []struct {
		title string
		cmd   *exec.Cmd
		env   string
	}{
		{"one core for everything (taskset -c 0)", exec.Command("taskset", append([]string{"-c", "0", self}, args...)...), ""},
		{"without AES instructions (GODEBUG=cpu.aes=off, personal data)", exec.Command(self, append(args, "-only", "personal")...), "GODEBUG=cpu.aes=off"},
	} {
		fmt.Printf("\n## %s\n\n", run.title)
		run.cmd.Stdout, run.cmd.Stderr, run.cmd.Env = os.Stdout, os.Stderr, append(os.Environ(), run.env)
		if err := run.cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", run.title, err)
		}
	}
	return nil
}
