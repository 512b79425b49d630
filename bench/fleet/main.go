// Command fleet measures what remote configuration costs: many gateways in one
// process, each with its own state on disk, keys, connection to a mosquitto and
// the acceptance code of the agent; and a desk that follows their statuses. One
// signed policy is pushed to all of them.
//
//	go -C bench run ./fleet -n 10000
//
// What is not here: the corridor. A gateway compiles the policy under its guard
// and syncs its state to disk as the agent does, but swaps it in for no traffic.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/control"
	"github.com/sealgate/sealgate/agent/control/fleet"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/configs"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

func main() {
	n := flag.Int("n", 10_000, "gateways")
	flag.Parse()
	if err := run(*n); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(n int) (err error) {
	dir, err := os.MkdirTemp("", "sealgate-fleet-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	broker, addr, err := mosquitto(dir)
	if err != nil {
		return err
	}
	defer func() { _ = broker.Process.Kill(); _ = broker.Wait() }()

	s, err := newSite(dir, "mqtt://"+addr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() { stop(); running.Wait() }()

	began := time.Now()
	keys := map[string][]*crypto.Verifier{}
	gateways := make([]*gateway, n)
	for i := range gateways {
		if gateways[i], err = s.gateway(fmt.Sprintf("gw-%05d", i)); err != nil {
			return err
		}
		keys[gateways[i].name] = []*crypto.Verifier{gateways[i].signer.Verifier()}
	}
	enrolled := time.Since(began)
	fmt.Printf("%d gateways made, with keys and state on disk      %8.1f s   %7.2f ms each\n", n, enrolled.Seconds(), perEach(enrolled, n))

	desk := fleet.New(fleet.Options{Site: site, Keys: keys})
	var kept struct {
		sync.Mutex
		statuses map[string][]byte // by topic
		all      int
	}
	kept.statuses = map[string][]byte{}
	if err := s.subscribe(ctx, &running, "desk", desk.Topics(), func(topic string, raw []byte) {
		if err := desk.Offer(topic, raw); err != nil {
			fmt.Fprintln(os.Stderr, "fleet: a status does not count:", err)
		}
		kept.Lock()
		defer kept.Unlock()
		kept.statuses[topic] = raw
		kept.all++
	}); err != nil {
		return err
	}

	began = time.Now()
	for _, g := range gateways {
		if err := s.subscribe(ctx, &running, g.name, g.gate.Topics(), g.take); err != nil {
			return err
		}
	}
	if err := until(func() bool { return s.connected.Load() >= int64(n)+1 }); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	connected := time.Since(began)
	fmt.Printf("connected and subscribed                              %8.1f s   %7.2f ms each\n", connected.Seconds(), perEach(connected, n))

	p := &signed.Policy{
		Site: site, Target: "g/default", Epoch: 1, Version: 1, IssuedAt: time.Now().Add(-time.Second), NotAfter: time.Now().Add(24 * time.Hour),
		Rollout: signed.Rollout{Permille: 1000}, Content: string(configs.Policy),
	}
	raw, err := signed.SignPolicy(p, s.operators...)
	if err != nil {
		return err
	}
	body, err := p.Marshal()
	if err != nil {
		return err
	}
	if p, err = signed.ParsePolicy(body); err != nil {
		return err
	}
	began = time.Now()
	cpu := ownCPU()
	brokerCPU := processCPU(broker.Process.Pid)
	if err := s.publish(&mqtt.Message{Topic: "sg/v1/" + site + "/cfg/g/default", Payload: raw, QoS: 1, Retain: true}); err != nil {
		return err
	}
	var at fleet.Progress
	if err := until(func() bool {
		at = desk.Progress(p)
		return at.Applied+at.Trying+at.Failed == n
	}); err != nil {
		return fmt.Errorf("push: %w: %s", err, at)
	}
	took, spent := time.Since(began), ownCPU()-cpu
	if at.Failed > 0 {
		return fmt.Errorf("%d gateways failed", at.Failed)
	}
	brokerCPU = processCPU(broker.Process.Pid) - brokerCPU
	// What the desk did is done once more, alone.
	kept.Lock()
	defer kept.Unlock()
	again := fleet.New(fleet.Options{Site: site, Keys: keys})
	alone := ownCPU()
	for topic, raw := range kept.statuses {
		if err := again.Offer(topic, raw); err != nil {
			return err
		}
	}
	alone = ownCPU() - alone
	verify := alone * time.Duration(kept.all) / time.Duration(len(kept.statuses))
	fmt.Printf("a policy of %d bytes pushed, in force, told           %8.1f s   %7.2f ms each\n", len(raw), took.Seconds(), perEach(took, n))
	fmt.Printf("  CPU of a gateway: verify, compile, sync, sign       %8s   %7.2f ms each\n", "", perEach(spent-verify, n))
	fmt.Printf("  CPU of the desk, a status                           %8s   %7.2f ms each\n", "", perEach(alone, len(kept.statuses)))
	fmt.Printf("  CPU of the broker                                   %8s   %7.2f ms each\n", "", perEach(brokerCPU, n))
	fmt.Printf("  a status                                            %8s   %7d bytes\n", "", s.bytes.Load()/max(s.statuses.Load(), 1))
	return nil
}

const site = "plant"

type fleetSite struct {
	dir, url  string
	operators []*crypto.Signer
	root      *signed.Root
	vocab     policy.Vocabulary

	publishers []mqtt.Conn
	turn       atomic.Uint64
	locks      []sync.Mutex // one publisher is used by one goroutine at a time

	connected, statuses, bytes atomic.Int64
}

func newSite(dir, url string) (*fleetSite, error) {
	s := &fleetSite{dir: dir, url: url, root: &signed.Root{Site: site, Version: 1, Epoch: 1, Roles: map[string]signed.RoleKeys{}}}
	var keys []*crypto.Verifier
	for range 2 {
		k, err := crypto.GenerateSigner()
		if err != nil {
			return nil, err
		}
		s.operators, keys = append(s.operators, k), append(keys, k.Verifier())
	}
	for _, role := range []string{signed.RoleRoot, signed.RolePolicy, signed.RoleRecipients, signed.RoleCommand} {
		s.root.Roles[role] = signed.RoleKeys{Threshold: 2, Keys: keys}
	}
	s.vocab = policy.Vocabulary{Actions: protect.Specs(), Uplinks: []string{"city", "plant"}}
	const publishers = 16
	s.locks = make([]sync.Mutex, publishers)
	for i := range publishers {
		conn, err := mqtt.Dial(context.Background(), mqtt.Options{URL: url, ClientID: fmt.Sprintf("publisher-%d", i)})
		if err != nil {
			return nil, err
		}
		s.publishers = append(s.publishers, conn)
	}
	return s, nil
}

// gateway is one gateway: a gate with a state of its own.
type gateway struct {
	s      *fleetSite
	name   string
	signer *crypto.Signer
	gate   *control.Gate

	mu      sync.Mutex
	inForce *policy.Policy
}

func (s *fleetSite) gateway(name string) (*gateway, error) {
	signer, err := crypto.GenerateSigner()
	if err != nil {
		return nil, err
	}
	key, err := crypto.NewSecretKey()
	if err != nil {
		return nil, err
	}
	g := &gateway{s: s, name: name, signer: signer}
	if g.inForce, err = policy.BuiltIn("generic", s.vocab, policy.Guard{}); err != nil {
		return nil, err
	}
	g.gate, err = control.Open(control.Options{
		Dir: filepath.Join(s.dir, name), Site: site, Gateway: name, Group: "default", Root: s.root, Boot: 1,
		Key: key, Signer: signer, Host: g, Logger: slog.New(slog.DiscardHandler), Version: "1.0.0",
		Clock: control.Clock{Wall: time.Now, Boot: func() time.Duration { return 0 }, Synchronized: func() bool { return true }},
	})
	return g, err
}

func (g *gateway) Compile(src []byte, unguarded bool) (*policy.Policy, error) {
	guard := policy.Guard{Observe: true}
	if unguarded {
		guard = control.Unguarded("")
	}
	return policy.Compile(src, g.s.vocab, guard)
}
func (g *gateway) InForce() *policy.Policy { return g.inForce }
func (g *gateway) Activate(e control.Effective) (err error) {
	if e.Policy != nil {
		g.inForce, err = g.Compile(e.Policy, false)
	}
	return err
}
func (g *gateway) Probe() error                 { return nil }
func (g *gateway) Health() control.Health       { return control.Health{} }
func (g *gateway) Hold(bool)                    {}
func (g *gateway) Execute(string, string) error { return nil }

// take offers what arrives, and answers with a status.
func (g *gateway) take(topic string, raw []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code, err := g.gate.Offer(topic, raw); err != nil {
		fmt.Fprintf(os.Stderr, "fleet: %s: %s: %v\n", g.name, code, err)
	}
	status, err := g.gate.Status("enforce", nil, nil, nil)
	if err == nil {
		g.s.statuses.Add(1)
		g.s.bytes.Add(int64(len(status)))
		err = g.s.publish(&mqtt.Message{Topic: g.gate.StatusTopic(), Payload: status, QoS: 1, Retain: true})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fleet: %s: %v\n", g.name, err)
	}
}

func (s *fleetSite) publish(m *mqtt.Message) error {
	i := s.turn.Add(1) % uint64(len(s.publishers))
	s.locks[i].Lock()
	defer s.locks[i].Unlock()
	acked := make(chan mqtt.Ack, 1)
	if err := s.publishers[i].Publish(m, func(a mqtt.Ack) { acked <- a }); err != nil {
		return err
	}
	return (<-acked).Err
}

type take func(topic string, raw []byte)

func (t take) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	t(m.Topic, m.Payload)
	done(nil)
	return nil
}

// subscribe gives a client a connection of its own.
func (s *fleetSite) subscribe(ctx context.Context, running *sync.WaitGroup, id string, topics []string, f take) error {
	var filters []mqtt.Filter
	for _, t := range topics {
		filters = append(filters, mqtt.Filter{Topic: t, QoS: 1})
	}
	reads := new(mqtt.SubscribeStats)
	running.Go(func() {
		_ = mqtt.Subscribe(ctx, mqtt.SubscribeOptions{ // it ends with ctx
			Options: mqtt.Options{URL: s.url, ClientID: id}, Filters: filters, Retained: true, Reads: reads, Logger: slog.New(slog.DiscardHandler),
		}, f)
	})
	err := until(func() bool { return reads.Connects.Load() > 0 })
	s.connected.Add(1)
	return err
}

func until(f func() bool) error {
	for end := time.Now().Add(10 * time.Minute); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("not within ten minutes")
		}
	}
	return nil
}

func mosquitto(dir string) (*exec.Cmd, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"), 0o600); err != nil {
		return nil, "", err
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start mosquitto: %w; apt install mosquitto", err)
	}
	return cmd, addr, until(func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU reads the processor time of another process (proc_pid_stat(5)).
func processCPU(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func perEach(d time.Duration, n int) float64 {
	return float64(d.Microseconds()) / 1000 / float64(max(n, 1))
}
