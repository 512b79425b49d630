package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// republishWindow is how many messages may be under way to the second broker.
const republishWindow = 256

var errStopped = errors.New("stopped before the message was republished")

// A republisher publishes opened messages to a second broker, in order. A
// message is done when that broker acknowledged it; what was not when a
// connection ended is published again on the next one.
type republisher struct {
	prefix  string
	queue   chan *republished
	dial    func(context.Context) (mqtt.Conn, error)
	log     *slog.Logger
	cancel  context.CancelFunc
	stopped chan struct{} // closed when run has returned
}

// A republished is a message on its way.
type republished struct {
	m    mqtt.Message
	done func(error)
}

// newRepublisher connects, so that wrong settings are known at once. The
// republisher goes on after ctx ended, until stop.
func newRepublisher(ctx context.Context, o mqtt.Options, prefix string, log *slog.Logger) (*republisher, error) {
	o.Stats = new(mqtt.ConnStats)
	r := &republisher{prefix: prefix, queue: make(chan *republished), log: log, stopped: make(chan struct{})}
	r.dial = func(ctx context.Context) (mqtt.Conn, error) { return mqtt.DialPaho311(ctx, o) }
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	go r.run(run, conn)
	return r, nil
}

// stop ends what is under way.
func (r *republisher) stop() {
	r.cancel()
	<-r.stopped
}

func (r *republisher) deliver(ctx context.Context, in mqtt.Message, m *envelope.Opened, done func(error)) error {
	topic := r.prefix + m.Topic
	if !validTopic(topic) {
		return &unfitError{string(envelope.ReasonTopic)}
	}
	d := &republished{mqtt.Message{Topic: topic, Payload: m.Payload, QoS: in.QoS, Retain: in.Retain}, done}
	select {
	case r.queue <- d:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run keeps a connection until ctx ends. waiting holds, in order, what was not
// acknowledged yet.
func (r *republisher) run(ctx context.Context, conn mqtt.Conn) {
	defer close(r.stopped)
	var waiting []*republished
	defer func() {
		for _, d := range waiting {
			d.done(errStopped)
		}
	}()
	for tries := 0; ; {
		var err error
		if conn == nil {
			if conn, err = r.dial(ctx); err == nil {
				tries = 0
			}
		}
		if conn != nil {
			waiting, err = r.publish(ctx, conn, waiting)
			_ = conn.Close() // it has ended, or is ended by us
			conn = nil
		}
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("the broker of --republish is away; trying again", "error", err)
		if tries++; !pause(ctx, tries) {
			return
		}
	}
}

// publish sends what waits, then what comes, until the connection or ctx ends.
func (r *republisher) publish(ctx context.Context, conn mqtt.Conn, waiting []*republished) ([]*republished, error) {
	// Each message of the window is acknowledged at most once on a connection.
	acks := make(chan *republished, republishWindow)
	send := func(d *republished) error {
		return conn.Publish(&d.m, func(a mqtt.Ack) {
			if a.Err == nil {
				acks <- d
			}
		})
	}
	acked := func(d *republished) {
		i := slices.Index(waiting, d)
		waiting = slices.Delete(waiting, i, i+1)
		d.done(nil)
	}
	for _, d := range waiting {
		if err := send(d); err != nil {
			return waiting, err
		}
	}
	for {
		queue := r.queue
		if len(waiting) == republishWindow {
			queue = nil
		}
		select {
		case d := <-queue:
			waiting = append(waiting, d)
			if err := send(d); err != nil {
				return waiting, err
			}
		case d := <-acks:
			acked(d)
		case err := <-conn.Done():
			for { // what was acknowledged before the end
				select {
				case d := <-acks:
					acked(d)
				default:
					return waiting, err
				}
			}
		case <-ctx.Done():
			return waiting, ctx.Err()
		}
	}
}
