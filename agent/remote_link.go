package agent

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/control"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/signed"
)

// The rhythm of the link to the site's operators.
const (
	statusEvery = time.Minute     // at least
	statusPause = 2 * time.Second // between two statuses, whatever is offered: a flood of documents makes no flood of statuses
	tickEvery   = 2 * time.Second
)

// startControl connects the gate to its broker: one connection that receives,
// with a session of its own, and one that publishes the status. Both come back
// by themselves, and neither holds anything up.
func (a *Agent) startControl() error {
	if a.gate == nil {
		return nil
	}
	var cfg *config.Uplink
	for i := range a.cfg.Uplinks {
		if a.cfg.Uplinks[i].Name == a.cfg.Control.Uplink {
			cfg = &a.cfg.Uplinks[i]
		}
	}
	if _, err := a.dialOptions(cfg); err != nil {
		return err
	}
	if a.gate.Locked() {
		a.corridor.Hold(true)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.receive(ctx, cfg) })
	running.Go(func() { a.report(ctx, cfg) })
	running.Go(func() {
		tick := time.NewTicker(tickEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := a.gate.Tick(); err != nil {
					a.log.Error("a change from the site's operators can't be settled", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	a.lifecycle.add("control link", func(stop context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stop.Done():
			return context.Cause(stop)
		}
	})
	return nil
}

// askStatus has a new status published soon.
func (a *Agent) askStatus() {
	select {
	case a.statusDue <- struct{}{}:
	default:
	}
}

// resync has every retained document sent again.
func (a *Agent) resync() {
	select {
	case a.resyncDue <- struct{}{}:
	default:
	}
}

// receive subscribes until ctx ends, anew for each resync.
func (a *Agent) receive(ctx context.Context, cfg *config.Uplink) {
	for ctx.Err() == nil {
		opt, err := a.dialOptions(cfg)
		if err != nil {
			a.log.Error("link to the site's operators ended", "error", err)
			pause(ctx, time.Minute)
			continue
		}
		opt.ClientID += "-control"
		var filters []mqtt.Filter
		for _, t := range a.gate.Topics() {
			filters = append(filters, mqtt.Filter{Topic: t, QoS: 1})
		}
		session, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-a.resyncDue:
				cancel()
			case <-session.Done():
			}
		}()
		err = mqtt.Subscribe(session, mqtt.SubscribeOptions{
			Options: opt, Filters: filters, AcceptRetainLoss: true, Retained: true, Logger: a.log,
		}, offers{a, map[control.Code]time.Time{}})
		cancel()
		if err != nil && ctx.Err() == nil && session.Err() == nil {
			a.log.Error("link to the site's operators ended", "error", err)
			pause(ctx, time.Minute)
		}
	}
}

// offers hands what arrives to the gate. Every message is acknowledged: the
// gate keeps what it accepts, and what it refuses would be refused again.
type offers struct {
	*Agent
	told map[control.Code]time.Time // when a refusal was last logged
}

// tellEvery keeps a flood of refused documents from flooding the log; the
// metrics count all of them.
const tellEvery = 10 * time.Second

func (o offers) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	code, err := o.gate.Offer(m.Topic, m.Payload)
	switch {
	case err != nil:
		if now := time.Now(); now.Sub(o.told[code]) >= tellEvery {
			o.told[code] = now
			o.log.Warn("remote configuration refused", "reason", string(code), "error", err)
		}
	case code != control.CodeUnchanged:
		o.log.Info("remote configuration", "result", string(code))
	}
	done(nil)
	return nil
}

// report publishes the signed status, retained, when something changed and at
// least once a minute.
func (a *Agent) report(ctx context.Context, cfg *config.Uplink) {
	for attempt := 0; ctx.Err() == nil; {
		err := a.reportOn(ctx, cfg, &attempt)
		if ctx.Err() != nil {
			return
		}
		attempt++
		a.log.Debug("status connection ended", "error", err)
		pause(ctx, rand.N(min(time.Minute, 250*time.Millisecond<<min(attempt, 12))))
	}
}

func (a *Agent) reportOn(ctx context.Context, cfg *config.Uplink, attempt *int) error {
	opt, err := a.dialOptions(cfg)
	if err != nil {
		return err
	}
	opt.ClientID += "-status"
	conn, err := mqtt.Dial(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it is lost already, or no longer wanted
	every := time.NewTicker(statusEvery)
	defer every.Stop()
	for {
		raw, err := a.status()
		if err != nil {
			return err
		}
		acked := make(chan mqtt.Ack, 1)
		if err := conn.Publish(&mqtt.Message{Topic: a.gate.StatusTopic(), Payload: raw, QoS: 1, Retain: true}, func(k mqtt.Ack) { acked <- k }); err != nil {
			return err
		}
		select {
		case k := <-acked:
			if k.Err == nil {
				*attempt = 0
			}
		case err := <-conn.Done():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		pause(ctx, statusPause)
		select {
		case <-a.statusDue:
		case <-every.C:
		case err := <-conn.Done():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// status makes the signed status.
func (a *Agent) status() ([]byte, error) {
	s := a.Stats()
	var ids []string
	a.mu.Lock()
	for id := range a.alarms {
		ids = append(ids, id)
	}
	a.mu.Unlock()
	return a.gate.Status(s.Mode, ids, a.linked(), counters(s))
}

// Status verifies and returns what this gateway says of itself, as the site's
// operators see it; nil where it is not controlled.
func (a *Agent) Status() (*signed.GatewayStatus, error) {
	if a.gate == nil {
		return nil, nil
	}
	raw, err := a.status()
	if err != nil {
		return nil, err
	}
	return signed.OpenStatus(raw, a.cfg.Site, a.cfg.Gateway, a.Verifier())
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
