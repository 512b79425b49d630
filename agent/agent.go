// Package agent wires the parts of a gateway, runs them and drains them.
//
// Mental model: Start builds everything in one straight line, in the order of
// the data's way back: keys, rules, spool, corridor, then the ingress, so that
// nothing arrives before it can be kept. Stop tears down in the opposite
// order, with a bound on time. Reload builds a whole new generation of rules
// and swaps it in; nothing that can fail comes after the first live change.
//
// What stays closed stays closed loudly: without a usable recipient the local
// broker runs, messages for uplinks wait unacknowledged, and an alarm says why.
// The same holds for a gateway that can't open its own keys; there nothing is
// stored either.
//
// The package has no flags, reads no environment and handles no signals: that
// is the program's. It grades nothing and encrypts nothing itself.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/control"
	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/crypto/signed"
)

// Options configures an Agent.
type Options struct {
	Config  *config.Config
	Logger  *slog.Logger
	Build   telemetry.Build
	Machine []byte                // machine id that keys are bound to; may be empty
	Observe func(*corridor.Event) // optional: called for each message and uplink; must not block or keep the Event
}

// Agent is a running gateway.
type Agent struct {
	opt       Options
	cfg       *config.Config
	log       *slog.Logger
	lifecycle lifecycle

	boot      uint64
	meter     protect.Meter
	sealed    *sealed // nil where the keys could be opened
	keyring   *crypto.Keyring
	custody   telemetry.CustodyStats
	kept      state // guarded by reloading, as the two below
	keptFile  *stateFile
	floor     Floor // of the recipients bundle
	metrics   *telemetry.Metrics
	spool     *spool.Spool
	state     *classify.State
	volumes   *volumes
	corridor  *corridor.Corridor
	broker    *broker.Broker         // nil where there is none
	links     []*link                // of the uplinks, as configured
	downlinks sync.Map               // by uplink: its *relay, where it has one
	reads     []*mqtt.SubscribeStats // of the existing brokers, as configured
	http      *telemetry.Server
	gate      *control.Gate     // nil where nothing is taken from outside
	remote    control.Effective // what the gate wants in force; guarded by reloading

	statusDue, resyncDue chan struct{}

	mu     sync.Mutex // guards rules and alarms
	rules  rules      // what is in force, for people
	alarms map[string]telemetry.Alarm

	reloading sync.Mutex // one generation is built at a time
	failed    chan error
	started   chan struct{} // closed when the ingress listens
}

// lifecycle is what was started, to be stopped last in, first out.
type lifecycle []struct {
	name string
	stop func(context.Context) error
}

func (l *lifecycle) add(name string, stop func(context.Context) error) {
	*l = append(*l, struct {
		name string
		stop func(context.Context) error
	}{name, stop})
}

func (l *lifecycle) stop(ctx context.Context) (err error) {
	for i := len(*l) - 1; i >= 0; i-- {
		if e := (*l)[i].stop(ctx); e != nil {
			err = errors.Join(err, fmt.Errorf("stop %s: %w", (*l)[i].name, e))
		}
	}
	*l = nil
	return err
}

// Start builds and starts a gateway. On an error nothing is left running. A
// gateway whose own keys can't be opened is no error: see Unsealed.
func Start(ctx context.Context, opt Options) (_ *Agent, err error) {
	a := &Agent{
		opt: opt, cfg: opt.Config, log: opt.Logger,
		state:   classify.NewState(),
		alarms:  map[string]telemetry.Alarm{},
		failed:  make(chan error, 8),
		started: make(chan struct{}),
		reads:   make([]*mqtt.SubscribeStats, len(opt.Config.Ingress.Subscribe)),

		statusDue: make(chan struct{}, 1), resyncDue: make(chan struct{}, 1),
	}
	for i := range a.reads {
		a.reads[i] = new(mqtt.SubscribeStats)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.lifecycle.stop(ctx))
		}
	}()
	if err := a.openState(); err != nil {
		return nil, err
	}
	if err := a.openKeys(ctx); err != nil {
		return a, a.startSealed(err)
	}
	if err := a.openControl(); err != nil {
		return nil, err
	}
	gen, rules := a.build(time.Now(), nil)
	if err := a.raiseFloor(rules); err != nil {
		return nil, err
	}
	a.adopt(rules)
	a.metrics = telemetry.New(opt.Build, a.Stats)
	if err := a.openSpool(); err != nil {
		return nil, err
	}
	if err := a.openVolumes(); err != nil {
		return nil, err
	}
	if err := a.startCorridor(gen); err != nil {
		return nil, err
	}
	if err := a.startControl(); err != nil {
		return nil, err
	}
	if err := a.startSocket(); err != nil {
		return nil, err
	}
	if err := a.startIngress(); err != nil {
		return nil, err
	}
	if err := a.startDownlinks(); err != nil {
		return nil, err
	}
	if err := a.startHTTP(); err != nil {
		return nil, err
	}
	a.startClock()
	close(a.started)
	a.log.Info("gateway started", "gateway", a.cfg.Gateway, "boot", a.boot, "mode", rules.mode, "policy_version", rules.policy.Version, "policy_source", rules.policy.Source)
	return a, nil
}

// Failed delivers the error of a part that can't go on: the program should
// stop, and be started again.
func (a *Agent) Failed() <-chan error { return a.failed }

// Stop drains: the ingress closes first, what was taken becomes durable and is
// acknowledged, the uplinks get until ctx ends to acknowledge what is in
// flight. What they have not acknowledged stays in the spool.
func (a *Agent) Stop(ctx context.Context) error {
	err := a.lifecycle.stop(ctx)
	a.log.Info("gateway stopped", "gateway", a.cfg.Gateway)
	return err
}

// Reload reads who may connect to the embedded broker again, and policy and
// recipients, builds a new generation whole and swaps it in. On an error what
// was in force stays; only newer recipients are
// taken even where the policy beside them is refused, because a revoked key
// must not be sealed to any longer.
func (a *Agent) Reload() error {
	access := a.reloadAccess()
	if a.sealed != nil {
		return errors.Join(access, a.sealed.reload())
	}
	return errors.Join(access, a.reloadRules())
}

// reloadAccess reads the files of users and ACL again. Clients of users who are
// gone are disconnected.
func (a *Agent) reloadAccess() error {
	if a.broker == nil {
		return nil
	}
	users, acl, err := access(a.cfg.Ingress.Broker)
	if err != nil {
		a.raise("access-refused", "the new users or ACL of the embedded broker were refused; those in force stay", "run sealgate check, correct what it names, and reload")
		return err
	}
	if n := a.broker.SetAccess(users, acl); n > 0 {
		a.log.Info("clients were disconnected: their user is gone or has another password", "clients", n)
	}
	a.clear("access-refused")
	return nil
}

func (a *Agent) reloadRules() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	now := time.Now()
	gen, rules := a.build(now, nil)
	if errors.Is(rules.noKey, signed.ErrExpired) {
		rules.bundleEnds = a.current().bundleEnds // since when
	}
	var refused error
	if current := a.current(); a.keeps(current, rules, now) {
		a.raise("reload-refused", "the new policy or recipients were refused; the rules in force stay", "run sealgate check, correct what it names, and reload")
		refused = rules.failed
		if rules.bundle <= current.bundle && !current.expired(now) {
			return refused
		}
		// A revocation does not wait until the policy is mended, and neither does
		// the end of the recipients' validity.
		gen, rules = a.build(now, a.corridor.Generation().Policy)
	}
	if err := a.raiseFloor(rules); err != nil {
		return err
	}
	a.corridor.Swap(gen)
	a.adopt(rules)
	a.metrics.ResetFlows()
	a.log.Info("rules swapped", "mode", rules.mode, "policy_version", rules.policy.Version, "policy_source", rules.policy.Source, "recipients_version", rules.bundle)
	if refused != nil {
		return refused
	}
	a.clear("reload-refused")
	return nil
}

// keeps says that the rules in force are better than new ones of which
// something fell back: they have keys that are still valid, or a policy of the
// site. Rules that observe longer than they may are never better.
func (a *Agent) keeps(current, rules rules, now time.Time) bool {
	better := current.usable() && !current.expired(now) && rules.failed != nil || current.policy.Source != "built-in" && rules.refused != nil
	return better && (current.mode != "observe" || a.cfg.ObservePermitted(now))
}

// BrokerAddr is where the embedded broker's first listener listens, nil where
// there is no broker.
func (a *Agent) BrokerAddr() net.Addr {
	if a.broker == nil {
		return nil
	}
	return a.broker.Addrs()[0]
}

// MetricsAddr is where the metrics listener listens, nil where it is off.
func (a *Agent) MetricsAddr() net.Addr {
	if a.http == nil {
		return nil
	}
	return a.http.Addr()
}

// Verifier is the public key that this gateway signs with: what the registry
// of gateways lists, and openers verify. It is nil while the keys can't be
// opened.
func (a *Agent) Verifier() *crypto.Verifier {
	if a.sealed != nil {
		return nil
	}
	return a.keyring.Signer().Verifier()
}
