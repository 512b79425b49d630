package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// openState takes the state directory for this process alone and counts this
// start. The counter is on disk before anything is sealed: with it no two
// messages of a gateway are ever numbered alike.
func (a *Agent) openState() error {
	dir := a.cfg.State
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create state directory %s: %w", dir, err)
	}
	if err := spool.CheckDir(dir); err != nil && !a.cfg.Spool.Volatile {
		// A boot counter that starts again would number messages alike.
		return fmt.Errorf("state directory: %w: set another `state`, or spool.volatile where that is meant", err)
	}
	lock, err := lockState(dir)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("state directory %s is in use by another sealgate: stop it first, or set another `state`", dir)
	}
	if err != nil {
		return err
	}
	a.lifecycle.add("state", func(context.Context) error { return lock.Close() })

	for _, d := range []string{dir, a.cfg.Keys.Directory, a.cfg.Spool.Directory} {
		if err := durable.Sweep(d); err != nil {
			a.log.Warn("what a kill left of a file can't be removed", "error", err)
		}
	}
	path := a.bootPath()
	switch a.boot, err = durable.Increment(path); {
	case errors.Is(err, durable.ErrCounter):
		return fmt.Errorf("count this start: %w: restore %s from the backup, or enrol the gateway anew under another name", err, path)
	case err != nil:
		return fmt.Errorf("count this start: %w", err)
	}
	return nil
}

func (a *Agent) bootPath() string { return filepath.Join(a.cfg.State, "boot") }

// checkpointEvery is how far the note of what was acknowledged may lag: what a
// crash makes the uplink receive again. It is written without a flush.
const checkpointEvery = 500 * time.Millisecond

func (a *Agent) openSpool() error {
	opt, need := spoolOptions(a.cfg)
	opt.Key, opt.OldKeys, opt.Logger = a.keyring.Spool(), a.keyring.OldSpools(), a.log
	opt.Checkpoint, opt.OnSync = checkpointEvery, a.metrics.ObserveSync
	sp, err := spool.Open(opt)
	if err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	a.spool = sp
	a.lifecycle.add("spool", func(context.Context) error { return sp.Close() })
	if err := fits(need, sp.MaxRecord()); err != nil {
		return err
	}
	if rec := sp.Recovery(); rec.Lost > 0 || len(rec.SetAside) > 0 {
		a.raise("spool-damaged", fmt.Sprintf("the spool was damaged: %d acknowledged records are missing, %d segments are set aside", rec.Lost, len(rec.SetAside)),
			"look at the medium (smartctl, dmesg); the files *.corrupt in the spool directory hold what could not be read")
	}
	return nil
}

// spoolOptions is what the configuration says of the spool, and how large a
// record may become.
func spoolOptions(cfg *config.Config) (opt spool.Options, need int) {
	for _, u := range cfg.Uplinks {
		opt.Uplinks = append(opt.Uplinks, u.Name)
	}
	if b := cfg.Ingress.Broker; b != nil {
		// Sealed as JSON a message is a third longer, with its header and grant.
		need = int(b.Limits.Packet)*4/3 + 16<<10
	}
	opt.Dir, opt.Size, opt.Volatile = cfg.Spool.Directory, int64(cfg.Spool.Size), cfg.Spool.Volatile
	opt.EvictLow = cfg.Spool.WhenFull == "evict-low"
	opt.Linger, opt.Memory = cfg.Spool.Linger, int64(cfg.Spool.Memory)
	opt.MaxRecord = max(need, 2304<<10) // at least the spool's default
	return opt, need
}

// spills says of which local topics messages may wait in memory for the uplink;
// nil: of none.
func spills(cfg *config.Spool) (func(topic string) bool, error) {
	if !cfg.Spills() {
		return nil, nil
	}
	var flushed []policy.Filter
	for _, s := range cfg.Sync {
		f, err := policy.ParseFilter(s)
		if err != nil {
			return nil, fmt.Errorf("spool.sync: %w", err)
		}
		flushed = append(flushed, f)
	}
	return func(topic string) bool {
		return !slices.ContainsFunc(flushed, func(f policy.Filter) bool { return f.Match(topic) })
	}, nil
}

// fits says whether the largest message has room in a segment.
func fits(need, largest int) error {
	if need > largest {
		return fmt.Errorf("spool.size is too small for ingress.broker.limits.packet: its largest record is %d bytes, and %d may be needed: raise the one or lower the other", largest, need)
	}
	return nil
}

func (a *Agent) startCorridor(gen *corridor.Generation) (err error) {
	uplinks := make([]corridor.Uplink, len(a.cfg.Uplinks))
	for i := range a.cfg.Uplinks {
		if uplinks[i], err = a.uplink(&a.cfg.Uplinks[i]); err != nil {
			return err
		}
	}
	kept, err := openBlocked(filepath.Join(a.cfg.State, "blocked"), sync.OnceFunc(func() {
		a.raise("blocked-not-kept", "blocked messages come faster than they are kept, or can't be written: some were dropped", "see which device sends them (sealgate status), and whether the disk is full")
	}), func(err error) { a.log.Error("a blocked message is not kept", "error", err) })
	if err != nil {
		return err
	}
	a.lifecycle.add("blocked messages", kept.stop)
	spill, err := spills(&a.cfg.Spool)
	if err != nil {
		return err
	}
	a.corridor, err = corridor.New(corridor.Options{
		Spool: a.spool, Uplinks: uplinks, Generation: gen, State: a.state, Spill: spill,
		Lanes: a.lastLanes(), OnLanes: a.noteLanes,
		Volume:  a.volumes.of,
		Rebirth: a.askRebirth, Observe: a.observe, Keep: kept.keep, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.lifecycle.add("volumes", a.volumes.close)
	a.lifecycle.add("corridor", a.corridor.Close)
	a.volumes.watch()
	return nil
}

// startIngress opens the doors, last: what comes in can be kept from now on.
func (a *Agent) startIngress() error {
	if b := a.cfg.Ingress.Broker; b != nil {
		key, err := a.keyring.State().Derive("broker", nil, []byte(a.cfg.Gateway))
		if err != nil {
			return fmt.Errorf("derive key of the broker's state: %w", err)
		}
		if err := a.startBroker(b, a.corridor, key); err != nil {
			return err
		}
	}
	for i := range a.cfg.Ingress.Subscribe {
		if err := a.startSubscriber(i); err != nil {
			return err
		}
	}
	a.lifecycle.add("messages in memory", func(context.Context) error { a.spool.Settle(); return nil })
	return nil
}

// startBroker opens the embedded broker. Without a key it keeps nothing on disk.
func (a *Agent) startBroker(cfg *config.Broker, sink mqtt.Sink, key *crypto.SecretKey) (err error) {
	opt := broker.Options{
		Sink: sink, LocalOnly: cfg.LocalOnly, Logger: a.log, Key: key,
		Limits: broker.Limits{
			PacketBytes: int(cfg.Limits.Packet), Clients: cfg.Limits.Clients,
			Sessions: cfg.Limits.Sessions, QueuedBytes: int(cfg.Limits.SessionBytes),
			RetainedBytes: int(cfg.Limits.RetainedBytes), FilterBytes: int(cfg.Limits.FilterBytes),
			InFlight: cfg.Limits.Inflight, InFlightBytes: int(cfg.Limits.InflightBytes),
			Rate: cfg.Limits.Rate, RateBytes: int(cfg.Limits.RateBytes), HoldTimeout: cfg.Limits.Hold,
		},
	}
	if key != nil {
		opt.StateDir = filepath.Join(a.cfg.State, "broker")
	}
	if opt.Users, opt.ACL, err = access(cfg); err != nil {
		return err
	}
	for _, l := range cfg.Listeners {
		door := broker.Listener{Address: l.Address, Anonymous: cfg.Anonymous}
		if l.TLS != nil {
			if l.TLS.ClientCA != "" {
				door.Anonymous, door.CertificateUser = false, true
			}
			if door.TLS, err = serverTLS(l.TLS); err != nil {
				return fmt.Errorf("listener %s: %w", l.Address, err)
			}
		}
		opt.Listeners = append(opt.Listeners, door)
	}
	b, err := broker.New(opt)
	if err != nil {
		return fmt.Errorf("open embedded broker: %w", err)
	}
	a.broker = b
	a.lifecycle.add("broker", b.Close)
	return b.Start()
}

// access reads who may connect and what they may do. Anonymous clients without
// an ACL may do everything: they are on this machine, or have a certificate.
func access(cfg *config.Broker) (users *broker.Users, acl *broker.ACL, err error) {
	if cfg.Users != "" {
		src, err := os.ReadFile(cfg.Users)
		if err != nil {
			return nil, nil, fmt.Errorf("read users: %w", err)
		}
		if users, err = broker.ParseUsers(src); err != nil {
			return nil, nil, fmt.Errorf("users %s: %w", cfg.Users, err)
		}
	}
	switch {
	case cfg.ACL != "":
		src, err := os.ReadFile(cfg.ACL)
		if err != nil {
			return nil, nil, fmt.Errorf("read acl: %w", err)
		}
		if acl, err = broker.ParseACL(src); err != nil {
			return nil, nil, fmt.Errorf("acl %s: %w", cfg.ACL, err)
		}
	case cfg.Anonymous:
		acl = broker.AllowAll()
	}
	return users, acl, nil
}

func (a *Agent) startHTTP() error {
	if a.cfg.Metrics.Listen == "off" {
		return nil
	}
	web, err := openWeb(a.cfg, a.log, a.webChanged)
	if err != nil {
		return fmt.Errorf("open metrics listener: %w", err)
	}
	ln, err := net.Listen("tcp", a.cfg.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("open metrics listener: %w", err)
	}
	a.http = a.metrics.Serve(ln, a.Stats, web, a.log)
	a.lifecycle.add("metrics", a.http.Close)
	return nil
}

// openWeb reads who may ask at the metrics listener; nil is everybody on
// loopback.
func openWeb(cfg *config.Config, log *slog.Logger, report func(error)) (*telemetry.Web, error) {
	if cfg.Metrics.WebConfig == "" {
		return nil, nil
	}
	return telemetry.OpenWeb(cfg.Metrics.WebConfig, !cfg.Metrics.OnLoopback(), log, report)
}

// webChanged hears of a change of the web configuration or its certificates.
func (a *Agent) webChanged(err error) {
	const id = "web-config"
	if err != nil {
		a.raise(id, "the metrics listener's new web configuration can't be used; the one before stays: "+err.Error(), "correct what it names; it is read again by itself")
		return
	}
	a.clear(id)
	a.log.Info("the metrics listener's web configuration was read again")
}

// startClock looks once a minute, and when the recipients end, whether the time
// for observing or that of the recipients is over.
func (a *Agent) startClock() {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		over := a.cfg.ObserveExpired(time.Now())
		for {
			select {
			case <-time.After(a.current().look(time.Now())):
			case <-stop:
				return
			}
			now := time.Now()
			why := ""
			if a.current().expired(now) {
				why = "the recipients have expired"
			}
			if !over && a.cfg.ObserveExpired(now) {
				over, why = true, "the time for observing is over"
			}
			if why == "" {
				continue
			}
			a.log.Warn("rules are built again", "why", why)
			if err := a.reloadRules(); err != nil {
				a.log.Error("rules can't be built", "error", err)
			}
		}
	}()
	a.lifecycle.add("clock", func(context.Context) error { close(stop); <-done; return nil })
}

// look is when the clock matters next, at the latest in a minute.
func (r rules) look(now time.Time) time.Duration {
	if left := r.bundleEnds.Sub(now); left > 0 && left < time.Minute {
		return left
	}
	return time.Minute
}

// expired says that the recipients in force are no longer valid.
func (r rules) expired(now time.Time) bool {
	return r.usable() && !r.bundleEnds.IsZero() && !now.Before(r.bundleEnds)
}
