package agent

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify/policy"
)

// startDownlinks relays what the uplinks' brokers have for local devices: each
// by a connection and a persistent session of its own, in order, acknowledged
// when the embedded broker has delivered it. It never reaches the ingress, so
// nothing comes back to a cloud that way.
func (a *Agent) startDownlinks() error {
	for i := range a.cfg.Uplinks {
		cfg := &a.cfg.Uplinks[i]
		if len(cfg.Topics.In()) == 0 {
			continue
		}
		relay, err := newRelay(cfg.Topics.In(), a.broker)
		if err != nil {
			return fmt.Errorf("uplink %s: %w", cfg.Name, err)
		}
		a.downlinks.Store(cfg.Name, relay)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.relay(ctx, cfg, relay)
		}()
		a.lifecycle.add("downlink "+cfg.Name, func(stop context.Context) error {
			cancel()
			select {
			case <-done:
				return nil
			case <-stop.Done():
				return context.Cause(stop)
			}
		})
	}
	return nil
}

// relay keeps the downlink of one uplink until ctx ends. What would end a
// subscription for good (a refused password, say) is tried again, with the files
// as they are then: a downlink never stops the gateway.
func (a *Agent) relay(ctx context.Context, cfg *config.Uplink, r *relay) {
	for ctx.Err() == nil {
		opt, err := a.dialOptions(cfg)
		if err == nil {
			opt.ClientID += "-down"
			err = mqtt.Subscribe(ctx, mqtt.SubscribeOptions{
				Options: opt, Filters: r.filters, AcceptRetainLoss: true, Logger: a.log,
			}, r)
		}
		if ctx.Err() == nil {
			a.log.Error("downlink ended", "uplink", cfg.Name, "error", err)
			pause(ctx, time.Minute)
		}
	}
}

// A relay is a sink that delivers to local devices.
type relay struct {
	broker  *broker.Broker
	filters []mqtt.Filter
	rules   []relayRule

	received, relayed          atomic.Uint64
	reserved, unmapped, tooBig atomic.Uint64 // refused; see telemetry.Downlink
}

// stats counts what became of the messages; nil where there is no relay.
func (r *relay) stats() *telemetry.Downlink {
	d := &telemetry.Downlink{ // received last: it is never less than the others together
		Relayed: r.relayed.Load(), Reserved: r.reserved.Load(), Unmapped: r.unmapped.Load(), TooLong: r.tooBig.Load(),
	}
	d.Received = r.received.Load()
	return d
}

type relayRule struct {
	filter        policy.Filter // of topics at the uplink
	remote, local string        // prefix that is replaced, and by what
}

func newRelay(topics []config.Topic, b *broker.Broker) (*relay, error) {
	r := &relay{broker: b}
	for _, t := range topics {
		f, err := policy.ParseFilter(t.RemotePrefix + t.Pattern)
		if err != nil {
			return nil, fmt.Errorf("topic pattern: %w", err)
		}
		r.rules = append(r.rules, relayRule{f, t.RemotePrefix, t.LocalPrefix})
		r.filters = append(r.filters, mqtt.Filter{Topic: t.RemotePrefix + t.Pattern, QoS: 1})
	}
	return r, nil
}

// maxTopic is the longest topic that MQTT has a length for.
const maxTopic = 65535

// local is the local topic of one at the uplink: the first rule that matches
// wins. Topics that mean something to the gateway itself are nobody's. What is
// refused is counted in why.
func (r *relay) local(topic string) (local string, why *atomic.Uint64) {
	for _, rule := range r.rules {
		if rest, ok := strings.CutPrefix(topic, rule.remote); ok && rule.filter.Match(topic) {
			switch local = rule.local + rest; {
			case local == "":
				return "", &r.unmapped
			case local[0] == '$' || reserved("", local):
				return "", &r.reserved
			case len(local) > maxTopic:
				return "", &r.tooBig
			}
			return local, nil
		}
	}
	return "", &r.unmapped
}

// Submit implements mqtt.Sink.
func (r *relay) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	r.received.Add(1)
	local, why := r.local(m.Topic)
	if why != nil {
		why.Add(1)
		done(nil)
		return nil
	}
	m.Topic = local
	if err := r.broker.Relay(&m); err != nil {
		return err // not acknowledged: it comes again
	}
	r.relayed.Add(1)
	done(nil)
	return nil
}
