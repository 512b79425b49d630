package agent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/crypto/custody"
)

// A gateway whose own keys can't be opened is sealed: nothing can be protected,
// so nothing leaves and nothing is stored. The embedded broker runs without its
// state, so that devices reach each other; what is meant to leave stays with its
// device, unacknowledged. Existing brokers are not read, so they keep it, too.
type sealed struct {
	reason error
	held   atomic.Int64
	again  chan struct{} // asks for a try now
	opened chan struct{} // closed once the keys can be opened
}

// Waiting times between two tries to open the keys.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 2 * time.Minute
)

func (a *Agent) startSealed(why error) error {
	s := &sealed{reason: why, again: make(chan struct{}, 1), opened: make(chan struct{})}
	a.sealed = s
	if ring, err := Ring(a.cfg, a.opt.Machine); err == nil {
		if st, err := ring.Status(); err == nil {
			a.custody = telemetry.CustodyStats{Kind: st.Kind, Created: st.Created, Rescue: len(st.Rescue)}
		}
	}
	id, do := "keys-sealed", "do what the reason says, then restart or reload the gateway"
	switch {
	case errors.Is(why, ErrRollback):
		id, do = "rollback", "find out who put the old copy there; if it was you, and on purpose: sealgate keys accept-state"
	case errors.Is(why, custody.ErrUnavailable):
		do = "it is tried again by itself; do what the reason says"
	}
	a.raise(id, "nothing leaves: the gateway's keys can't be opened: "+why.Error(), do)
	a.metrics = telemetry.New(a.opt.Build, a.Stats)
	if b := a.cfg.Ingress.Broker; b != nil {
		if err := a.startBroker(b, s, nil); err != nil {
			return err
		}
	}
	if err := a.startSocket(); err != nil {
		return err
	}
	if err := a.startHTTP(); err != nil {
		return err
	}
	a.startRetry(s)
	close(a.started)
	a.log.Error("the gateway's keys can't be opened; only the local broker runs", "error", why)
	return nil
}

// Submit implements mqtt.Sink: the message waits with its device.
func (s *sealed) Submit(ctx context.Context, _ mqtt.Source, _ mqtt.Message, _ func(error)) error {
	s.held.Add(1)
	defer s.held.Add(-1)
	<-ctx.Done()
	return context.Cause(ctx)
}

// startRetry tries again by itself where the custodian may come back, and where
// it is asked to.
func (a *Agent) startRetry(s *sealed) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.lifecycle.add("retry", func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			var timer <-chan time.Time
			if errors.Is(s.reason, custody.ErrUnavailable) {
				timer = time.After(wait)
			}
			select {
			case <-ctx.Done():
				return
			case <-timer:
			case <-s.again:
			}
			err := probe(ctx, a.cfg, a.opt.Machine)
			if err == nil {
				a.log.Info("the gateway's keys can be opened")
				close(s.opened)
				return
			}
			a.log.Warn("the gateway's keys still can't be opened", "error", err)
		}
	}()
}

// probe opens the keys and the state, and changes neither.
func probe(ctx context.Context, cfg *config.Config, machine []byte) error {
	keys, kek, err := openKeyring(ctx, cfg, machine)
	if err != nil {
		return err
	}
	f, err := openStateFile(cfg, keys, counterOf(cfg, kek.Kind))
	if err != nil {
		return err
	}
	s, err := f.read()
	if err != nil {
		return err
	}
	return f.check(s, false)
}

// Unsealed is closed when a gateway that started without its keys could open
// them: the program should stop it and start it again. For every other gateway
// it is nil.
func (a *Agent) Unsealed() <-chan struct{} {
	if a.sealed == nil {
		return nil
	}
	return a.sealed.opened
}

func (s *sealed) reload() error {
	select {
	case s.again <- struct{}{}:
	default:
	}
	return fmt.Errorf("there are no rules without keys; opening them is tried again: %w", s.reason)
}

func (a *Agent) sealedStats(st *telemetry.Stats) {
	st.Why = "the gateway's keys can't be opened: " + a.sealed.reason.Error()
	st.Custody.Sealed = true
	st.Held = uint64(a.sealed.held.Load())
	if a.broker != nil {
		bs := a.broker.Stats()
		st.Ingress.Connected, st.Panics = bs.Clients, bs.Panics
	}
}
