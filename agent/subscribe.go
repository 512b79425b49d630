package agent

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/telemetry"
)

// startSubscriber reads an existing broker. Its goroutine ends with the
// lifecycle; what it can't recover from stops the program.
func (a *Agent) startSubscriber(i int) error {
	opt, err := a.subscription(i)
	if err != nil {
		return err
	}
	opt.Reads = a.reads[i]
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := mqtt.Subscribe(ctx, opt, a.corridor); err != nil && ctx.Err() == nil {
			a.failed <- fmt.Errorf("ingress %s: %w", a.cfg.Ingress.Subscribe[i].URL, err)
		}
	}()
	a.lifecycle.add("subscriber", func(stop context.Context) error {
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

func (a *Agent) subscription(i int) (mqtt.SubscribeOptions, error) {
	cfg := &a.cfg.Ingress.Subscribe[i]
	password, err := readSecret(cfg.PasswordFile)
	if err != nil {
		return mqtt.SubscribeOptions{}, err
	}
	tlsConfig, err := clientTLS(cfg.URL, cfg.TLS)
	if err != nil {
		return mqtt.SubscribeOptions{}, fmt.Errorf("ingress %s: %w", cfg.URL, err)
	}
	filters := make([]mqtt.Filter, len(cfg.Topics))
	for i, t := range cfg.Topics {
		filters[i] = mqtt.Filter{Topic: t, QoS: 1}
	}
	return mqtt.SubscribeOptions{
		Options: mqtt.Options{URL: cfg.URL, ClientID: cfg.ClientID, Username: cfg.Username, Password: password, TLS: tlsConfig},
		Filters: filters, Ingress: uint16(i + 1), AcceptRetainLoss: cfg.AcceptRetainLoss, Logger: a.log,
	}, nil
}

// brokers describes the existing brokers that are read, each once.
func (a *Agent) brokers() (all []telemetry.Subscribed) {
	for i, r := range a.reads {
		host := ""
		if u, err := url.Parse(a.cfg.Ingress.Subscribe[i].URL); err == nil {
			host = u.Host
		}
		at := slices.IndexFunc(all, func(b telemetry.Subscribed) bool { return b.Broker == host })
		if at < 0 {
			at, all = len(all), append(all, telemetry.Subscribed{Broker: host, Connected: true})
		}
		all[at].Connected = all[at].Connected && r.Connected.Load()
		all[at].Forgotten += r.Lost.Load()
	}
	return all
}
