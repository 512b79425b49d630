// Package demo shows the main job of Sealgate in one process, without a
// network: a real gateway with its embedded broker, a real broker that stands
// in for the cloud, a real MQTT client that plays the devices, and a consumer
// with its key. Run tells what came in, what was found and why, what left, and
// what the consumer opened, and checks each claim that it makes.
//
// It is a show and a test of the way as a whole. It is not a benchmark, and its
// keys and files are gone when it ends.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// Options says how to show it.
type Options struct {
	Out    io.Writer
	Color  bool
	Serve  bool // keep running for the reader's own clients, until ctx ends
	Logger *slog.Logger
	Build  telemetry.Build
}

// ErrFailed says that a claim of the demo did not hold.
var ErrFailed = errors.New("the demo failed")

// Run shows everything. It returns ErrFailed where a check failed.
func Run(ctx context.Context, opt Options) (err error) {
	dir, err := os.MkdirTemp("", "sealgate-demo-")
	if err != nil {
		return fmt.Errorf("create directory of the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{opt: opt, dir: dir, show: show{w: opt.Out, color: opt.Color}, cloud: &cloud{}}
	if err := d.start(ctx); err != nil {
		return errors.Join(err, d.stop())
	}
	begin := time.Now()
	steps := []func(context.Context) error{d.observe, d.enforce, d.restart, d.inspect}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, d.stop())
		}
	}
	d.summary(time.Since(begin))
	if opt.Serve {
		d.serve(ctx)
	}
	if err := d.stop(); err != nil {
		return err
	}
	if d.failed > 0 {
		return fmt.Errorf("%w: %d of %d checks", ErrFailed, d.failed, len(d.checks))
	}
	return nil
}

type demo struct {
	opt      Options
	dir      string
	show     show
	cloud    *cloud
	consumer *consumer
	opener   *envelope.Opener
	agent    *agent.Agent
	device   mqtt.Conn

	rules    *policy.Policy // the policy in force, compiled again to show its judgement
	scratch  policy.Scratch
	state    *classify.State
	enforced int // how many messages the cloud had when enforcing began

	checks []string
	failed int
}

func (d *demo) start(ctx context.Context) (err error) {
	if err := d.cloud.start(); err != nil {
		return err
	}
	if d.consumer, err = layOut(d.dir, d.cloud.addr); err != nil {
		return fmt.Errorf("write files of the demo: %w", err)
	}
	cfg, err := config.Load(filepath.Join(d.dir, "agent.yaml"))
	if err != nil {
		return err
	}
	if d.agent, err = agent.Start(ctx, agent.Options{Config: cfg, Logger: d.opt.Logger, Build: d.opt.Build}); err != nil {
		return err
	}
	d.opener, err = envelope.NewOpener(envelope.OpenerOptions{
		Keys: d.consumer.keys, Mode: envelope.Live,
		Verifiers: func(name string) []*crypto.Verifier { // the registry, with one gateway
			if name != gateway {
				return nil
			}
			return []*crypto.Verifier{d.agent.Verifier()}
		},
		// The demo's policy lets harmless messages pass, on any topic.
		Require: func(string) envelope.Requirement { return envelope.Requirement{AllowClear: true} },
	})
	if err != nil {
		return err
	}
	d.device, err = mqtt.DialPaho311(ctx, mqtt.Options{URL: "mqtt://" + d.agent.BrokerAddr().String(), ClientID: "demo-devices"})
	if err != nil {
		return err
	}
	d.show.title("Sealgate: nothing leaves the gateway ungraded")
	d.show.say("A gateway with its embedded broker at %s, a broker that stands in for the cloud at %s, and a consumer that holds one key. Real MQTT, real files, real cryptography; no network.", d.agent.BrokerAddr(), d.cloud.addr)
	return nil
}

func (d *demo) stop() (err error) {
	if d.device != nil {
		err = errors.Join(err, d.device.Close())
	}
	if d.agent != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, d.agent.Stop(ctx))
	}
	if d.cloud.broker != nil {
		err = errors.Join(err, d.cloud.kill())
	}
	return err
}

// check notes a claim and whether it holds.
func (d *demo) check(ok bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !ok {
		d.failed++
	}
	d.checks = append(d.checks, d.show.verdict(ok)+" "+text)
}

// publish sends messages as a device does and waits for every acknowledgement.
func (d *demo) publish(ctx context.Context, messages ...mqtt.Message) error {
	acks := make(chan mqtt.Ack, len(messages))
	for i := range messages {
		if err := d.device.Publish(&messages[i], func(a mqtt.Ack) { acks <- a }); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for range messages {
		select {
		case a := <-acks:
			if a.Err != nil {
				return fmt.Errorf("publish: %w", a.Err)
			}
		case <-ctx.Done():
			return errors.New("publish: the gateway did not acknowledge in time")
		}
	}
	return nil
}

// use compiles the policy of that mode for showing its judgement, and has the
// gateway load it as an administrator would.
func (d *demo) use(mode string) (err error) {
	src := policyFile(mode)
	if err := os.WriteFile(filepath.Join(d.dir, "policy.yaml"), src, 0o600); err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	if err := d.agent.Reload(); err != nil {
		return err
	}
	cfg, err := config.Load(filepath.Join(d.dir, "agent.yaml"))
	if err != nil {
		return err
	}
	d.state = classify.NewState()
	d.rules, err = policy.Compile(src, agent.Vocabulary(cfg, []string{audience}), cfg.PolicyGuard(time.Now()))
	return err
}

func (d *demo) judge(s *sample) *policy.Verdict {
	v := d.rules.Judge(&d.scratch, d.state, d.rules.Route(s.topic), policy.Input{Topic: s.topic, Payload: s.payload})
	return &v
}

// observe: every message leaves as it came, and what would happen is shown.
func (d *demo) observe(ctx context.Context) error {
	d.show.section("1  Observe", "Not one byte changes; the gateway shows what would happen.")
	if err := d.use("observe"); err != nil {
		return err
	}
	identical := 0
	d.show.row("message", "grade", "found", "would")
	all := samples()
	for i := range all {
		s := &all[i]
		before := d.cloud.count()
		if err := d.publish(ctx, s.message()); err != nil {
			return err
		}
		if err := d.cloud.await(ctx, before+1); err != nil {
			return err
		}
		if m := d.cloud.since(before)[0]; m.Topic == prefix+s.topic && bytes.Equal(m.Payload, s.payload) && m.Retain == s.retain {
			identical++
		}
		v := d.judge(s)
		d.show.row(s.title, d.show.grade(v.Grade), classes(v), would(&v.Decisions[0]))
	}
	d.check(identical == len(all), "observe: %d of %d messages left byte for byte as they came", identical, len(all))
	return nil
}

// enforce: the same messages again, and now it happens.
func (d *demo) enforce(ctx context.Context) error {
	d.show.section("2  Enforce", "One word changes in the policy: mode: enforce. The same messages again.")
	if err := d.use("enforce"); err != nil {
		return err
	}
	d.enforced = d.cloud.count()
	opened, leaks := 0, 0
	all := samples()
	for i := range all {
		s := &all[i]
		before := d.cloud.count()
		if err := d.publish(ctx, s.message()); err != nil {
			return err
		}
		if err := d.cloud.await(ctx, before+1); err != nil {
			return err
		}
		m := d.cloud.since(before)[0]
		o, err := d.opener.Open(m.Topic, m.Payload)
		if err != nil {
			return fmt.Errorf("open message %q: %w", s.title, err)
		}
		v := d.judge(s)
		if restored(s, v, &o) {
			opened++
		}
		for _, secret := range s.secrets {
			if bytes.Contains(m.Payload, []byte(secret)) || strings.Contains(m.Topic, secret) {
				leaks++
				d.show.say("leak: %q left in clear", secret)
			}
		}
		d.show.message(i+1, s, v, &m, &o)
	}
	d.check(leaks == 0, "enforce: none of %d sensitive values was seen in clear on the cloud's side", secretCount(all))
	d.check(opened == len(all), "consumer: %d of %d messages opened to what the device sent, or to what the policy left of it", opened, len(all))
	return nil
}

// restored reports whether the consumer sees what the device sent: byte for
// byte, but for values that the policy replaced for good.
func restored(s *sample, v *policy.Verdict, o *envelope.Opened) bool {
	replaced := false
	for _, a := range v.Decisions[0].Fields {
		replaced = replaced || a.Action.Spec.Strength == policy.StrengthTransform
	}
	switch {
	case o.Protection != envelope.ProtectionNone && !o.Verified:
		return false
	case v.Decisions[0].Message == policy.MessageSeal:
		return o.Protection == envelope.ProtectionSealed && bytes.Equal(o.Payload, s.payload)
	case replaced:
		return !bytes.Equal(o.Payload, s.payload)
	}
	return bytes.Equal(o.Payload, s.payload)
}

func secretCount(all []sample) (n int) {
	for i := range all {
		n += len(all[i].secrets)
	}
	return n
}

// settled waits until the uplink has acknowledged all there is: a message that
// only arrived would be sent again after a kill.
func (d *demo) settled(ctx context.Context) error {
	for d.agent.Stats().Spool.Records > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for the uplink: %w", ctx.Err())
		}
	}
	return nil
}

// restart kills the cloud's broker while devices go on publishing.
func (d *demo) restart(ctx context.Context) error {
	d.show.section("3  Lose the uplink", "The cloud's broker is killed; the devices go on. Then it comes back.")
	const topics, each = 4, 50
	if err := d.settled(ctx); err != nil {
		return err
	}
	if err := d.cloud.kill(); err != nil {
		return err
	}
	var messages []mqtt.Message
	for n := range each {
		for i := range topics {
			messages = append(messages, mqtt.Message{
				Topic: fmt.Sprintf("line/%d/counter", i), QoS: 1, Payload: fmt.Appendf(nil, `{"n":%d}`, n),
			})
		}
	}
	before := d.cloud.count()
	if err := d.publish(ctx, messages...); err != nil {
		return err
	}
	waiting := d.agent.Stats().Spool.Records
	d.show.say("%d messages acknowledged to the devices while the uplink was down; %d wait on disk, protected.", len(messages), waiting)
	if err := d.cloud.start(); err != nil {
		return err
	}
	if err := d.cloud.await(ctx, before+len(messages)); err != nil {
		return err
	}
	next := make([]int, topics)
	repeated, disordered := 0, 0
	for _, m := range d.cloud.since(before) {
		var i, n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(m.Topic, prefix)+" "+string(m.Payload), `line/%d/counter {"n":%d}`, &i, &n); err != nil {
			return fmt.Errorf("a message arrived changed: %w", err)
		}
		switch {
		case n == next[i]:
			next[i]++
		case n < next[i]:
			repeated++
		default:
			disordered++
		}
	}
	lost := topics * each
	for _, n := range next {
		lost -= n
	}
	d.show.say("It is back: %d arrived, %d lost, %d out of order, %d sent twice.", topics*each-lost, lost, disordered, repeated)
	d.check(lost == 0 && disordered == 0, "uplink: of %d messages sent while it was down, %d were lost and %d came out of order", topics*each, lost, disordered)
	return nil
}

// inspect looks at what is left on disk and in the metrics.
func (d *demo) inspect(ctx context.Context) error {
	d.show.section("4  Look behind", "What the gateway keeps on disk, and what Prometheus sees.")
	found, files := 0, 0
	all := samples()
	err := filepath.WalkDir(filepath.Join(d.dir, "state"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for i := range all {
			for _, secret := range all[i].secrets {
				if bytes.Contains(content, []byte(secret)) {
					found++
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("search the state directory: %w", err)
	}
	d.check(found == 0, "disk: no sensitive value in clear in %d files of the state directory", files)

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.agent.MetricsAddr().String()+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	shown := 0
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "sealgate_messages_total{") && !strings.HasSuffix(line, " 0\n") {
			d.show.say("  %s", strings.TrimSpace(line))
			shown++
		}
	}
	d.check(shown > 3 && strings.Contains(string(body), `outcome="sealed"`), "metrics: messages are counted by grade and outcome at http://%s/metrics", d.agent.MetricsAddr())
	return nil
}

func (d *demo) summary(took time.Duration) {
	d.show.section("Summary", fmt.Sprintf("%d messages in %.1f s", d.cloud.count(), took.Seconds()))
	for _, c := range d.checks {
		d.show.say("%s", c)
	}
}

// serve goes on until ctx ends, and shows each message that reaches the cloud.
func (d *demo) serve(ctx context.Context) {
	host, port, _ := strings.Cut(d.agent.BrokerAddr().String(), ":")
	_, cloudPort, _ := strings.Cut(d.cloud.addr, ":")
	d.show.section("Your turn", "The gateway goes on until you press Ctrl-C. In another terminal:")
	d.show.raw("  mosquitto_sub -h %s -p %s -v -t '#'        # the cloud's side\n", host, cloudPort)
	d.show.raw("  mosquitto_pub -h %s -p %s -q 1 -t test/1 \\\n      -m '{\"email\":\"you@example.org\",\"temperature\":21.5}'\n", host, port)
	d.show.raw("  curl http://%s/metrics\n\n", d.agent.MetricsAddr())
	for seen := d.cloud.count(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
		for _, m := range d.cloud.since(seen) {
			seen++
			o, err := d.opener.Open(m.Topic, m.Payload)
			if err != nil {
				d.show.say("not opened: %v", err)
				continue
			}
			d.show.arrived(&m, &o)
		}
	}
}

func (s *sample) message() mqtt.Message {
	return mqtt.Message{Topic: s.topic, Payload: s.payload, QoS: 1, Retain: s.retain}
}
