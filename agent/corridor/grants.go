package corridor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/crypto"
)

// Grants says how the grants of an uplink are published that do not travel
// inside messages: each as a retained message of its own, acknowledged before
// the first message under its key is sent.
type Grants struct {
	Topic   func(crypto.KID) string   // required
	Expiry  time.Duration             // of the retained message, where the protocol has it; 0: none
	Note    func(crypto.KID) error    // called before a grant is published; what it notes is durable on return
	Expired func() []crypto.KID       // retained grants whose time is over, oldest first
	Forget  func(...crypto.KID) error // they are deleted at the broker
	Alarm   func(unretained bool)     // called when one was published: unretained, because the broker retains none, or as it should be
}

const (
	maxDelivered   = 4096 // keys remembered of one connection; beyond them grants are published again
	maxExpired     = 16   // deletions at one time, so that messages don't wait for long
	retainedLosses = 2    // connections lost over a retained grant: publish the next unretained
)

// A courier delivers the grants of one uplink. It belongs to its sender.
type courier struct {
	s          *sender
	delivered  map[crypto.KID]struct{} // on this connection, or known to travel inside
	unretained bool                    // this connection's broker does not take retained messages
	losses     int                     // connections lost over a retained grant, in a row
}

// connected begins a connection: a broker that lost its retained messages gets
// those again that are still needed.
func (k *courier) connected(conn mqtt.Conn) {
	l, limited := conn.(mqtt.Limited)
	k.delivered = map[crypto.KID]struct{}{}
	k.unretained = k.losses >= retainedLosses || limited && l.Limits().NoRetain
}

// ensure publishes the grants that a record needs and this connection has not
// seen, and waits until each is acknowledged.
func (k *courier) ensure(ctx context.Context, conn mqtt.Conn, rec *spool.Record) error {
	for _, kid := range rec.KIDs {
		if _, ok := k.delivered[kid]; ok {
			continue
		}
		grant, err := k.s.c.opt.Spool.Grant(k.s.index, kid)
		if err != nil {
			return err
		}
		if grant != nil { // else it travels inside
			if err := k.deliver(ctx, conn, kid, grant.Payload); err != nil {
				return fmt.Errorf("publish grant: %w", err)
			}
		}
		if len(k.delivered) >= maxDelivered {
			clear(k.delivered)
		}
		k.delivered[kid] = struct{}{}
	}
	return nil
}

func (k *courier) deliver(ctx context.Context, conn mqtt.Conn, kid crypto.KID, grant []byte) error {
	g := k.s.u.Grants
	if g == nil {
		return errors.New("the uplink has no topic for it")
	}
	if err := g.Note(kid); err != nil {
		return err
	}
	m := &mqtt.Message{Topic: g.Topic(kid), Payload: grant, QoS: 1, Retain: !k.unretained, Expiry: g.Expiry}
	err := k.publish(ctx, conn, m)
	if refused := new(mqtt.ReasonError); m.Retain && errors.As(err, &refused) && !refused.End {
		k.unretained, m.Retain = true, false
		err = k.publish(ctx, conn, m)
	}
	switch {
	case err == nil && m.Retain:
		k.losses = 0
		g.Alarm(false)
		return k.expire(ctx, conn)
	case err == nil:
		// Before MQTT 5 a broker refuses by ending the connection, and so does a
		// bad line: the next connection tries once more.
		k.losses = min(k.losses, retainedLosses-1)
		g.Alarm(true)
	case m.Retain && ctx.Err() == nil && !errors.Is(err, errSilent):
		k.losses++
	}
	return err
}

// expire deletes retained grants whose time is over, but for those that a
// record in the spool still needs.
func (k *courier) expire(ctx context.Context, conn mqtt.Conn) error {
	g := k.s.u.Grants
	old := g.Expired()
	for i, kid := range old[:min(len(old), maxExpired)] {
		needed, err := k.s.c.opt.Spool.Grant(k.s.index, kid)
		if err == nil && needed == nil {
			err = k.publish(ctx, conn, &mqtt.Message{Topic: g.Topic(kid), QoS: 1, Retain: true})
		}
		if err != nil || needed != nil {
			return errors.Join(err, g.Forget(old[:i]...))
		}
	}
	return g.Forget(old[:min(len(old), maxExpired)]...)
}

// publish sends one message and waits for its acknowledgement. Those of others
// wait in the window meanwhile.
func (k *courier) publish(ctx context.Context, conn mqtt.Conn, m *mqtt.Message) error {
	answer := make(chan mqtt.Ack, 1)
	if err := conn.Publish(m, func(a mqtt.Ack) { answer <- a }); err != nil {
		return err
	}
	timeout := time.NewTimer(k.s.u.AckTimeout)
	defer timeout.Stop()
	select {
	case a := <-answer:
		return a.Err
	case err := <-conn.Done():
		return err
	case <-timeout.C:
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}
