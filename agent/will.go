package agent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/signed"
)

// A link makes the connections of an uplink, one after the other, and gives the
// broker of each a will: a message that the broker publishes when the connection
// is lost, signed before it is made, because nobody can sign it then.
//
// A will never costs the connection. Where a broker refuses one that has a will,
// the next attempt goes without, and an alarm says that nobody will be told. A
// broker that hangs up, or soon ends what it accepted, may only be restarting;
// there every fourth attempt does.
type link struct {
	*Agent
	cfg *config.Uplink

	// The sender's:
	tried uint64    // connections begun
	begun time.Time // when the last one with a will was accepted; zero: it was not
	lost  int       // of those with a will, how many in a row were not answered, or ended soon
	bare  bool      // the next one goes without a will

	number atomic.Uint64 // of the newest connection that the broker accepted; 0: none yet
}

const (
	clearTimeout = 15 * time.Second // that a broker may take to remove an old will
	soon         = 10 * time.Second
	lostLimit    = 3
)

func (l *link) dial(ctx context.Context) (mqtt.Conn, error) {
	opt, err := l.dialOptions(l.cfg)
	if err != nil {
		return nil, err
	}
	if !l.begun.IsZero() {
		l.suspect(time.Since(l.begun) < soon)
		l.begun = time.Time{}
	}
	bare := l.cfg.Will != "on" || l.bare
	l.bare = false
	l.tried++
	if !bare {
		if opt.Will, err = l.will(); err != nil {
			return nil, err
		}
	}
	connect := mqtt.Dial
	if l.cfg.Client == "paho" {
		connect = mqtt.DialPaho311
	}
	conn, err := connect(ctx, opt)
	if err != nil {
		if !bare {
			l.doubt(err)
		}
		return nil, err
	}
	if l.cfg.Will != "on" {
		return conn, nil
	}
	l.number.Store(l.tried)
	l.askStatus() // it voids the wills of earlier connections
	alarm := "uplink-will-" + l.cfg.Name
	if bare {
		l.raise(alarm, "uplink "+l.cfg.Name+": its broker takes no connection with a will, and this one has none: nobody is told by it when this gateway goes silent",
			"permit the gateway a retained will on "+l.willTopic()+" at the broker, or set `will: off` for this uplink")
		return conn, nil
	}
	if opt.Will.Retain {
		if err := takeBack(ctx, conn, opt.Will.Topic); err != nil {
			_ = conn.Close() // it is lost already, or useless
			l.bare = ctx.Err() == nil
			return nil, err
		}
	}
	l.begun = time.Now()
	l.clear(alarm)
	return conn, nil
}

// doubt decides whether it may be the will for which there is no connection.
func (l *link) doubt(err error) {
	var answer *mqtt.ConnectError
	switch {
	case errors.As(err, &answer):
		l.bare = !answer.Busy()
	case errors.Is(err, mqtt.ErrNoAnswer):
		l.suspect(true)
	}
}

// suspect counts the connections that a broker ended in a row, maybe because of
// the will.
func (l *link) suspect(ended bool) {
	if l.lost++; !ended {
		l.lost = 0
	}
	if l.lost == lostLimit {
		l.bare, l.lost = true, 0
	}
}

// takeBack removes the retained will of an earlier connection.
func takeBack(ctx context.Context, conn mqtt.Conn, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	acked := make(chan mqtt.Ack, 1)
	err := conn.Publish(&mqtt.Message{Topic: topic, QoS: 1, Retain: true}, func(k mqtt.Ack) { acked <- k })
	if err == nil {
		select {
		case k := <-acked:
			err = k.Err
		case err = <-conn.Done():
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("remove the will of an earlier connection: %w", err)
	}
	return nil
}

// will makes the will of the connection that comes next.
func (l *link) will() (*mqtt.Message, error) {
	now := time.Now()
	if l.gate != nil {
		if t := l.gate.Now(); t.After(now) {
			now = t
		}
	}
	raw, err := signed.SignWill(&signed.Will{
		Site: l.Agent.cfg.Site, Gateway: l.Agent.cfg.Gateway, Uplink: l.cfg.Name,
		Boot: l.boot, Connection: l.tried, ConnectingAt: now.UTC().Format(time.RFC3339),
		PolicyVersion: l.current().policy.Version,
	}, l.keyring.Signer())
	if err != nil {
		return nil, fmt.Errorf("sign will: %w", err)
	}
	return &mqtt.Message{Topic: l.willTopic(), Payload: raw, QoS: 1, Retain: l.cfg.Takes.Retain == "keep"}, nil
}

func (l *link) willTopic() string {
	return ours + l.Agent.cfg.Site + "/will/" + l.Agent.cfg.Gateway + "/" + l.cfg.Name
}

// linked is what a status says of the uplinks whose broker has a will.
func (a *Agent) linked() (links []signed.Link) {
	for _, l := range a.links {
		if l.cfg.Will == "on" {
			links = append(links, signed.Link{Uplink: l.cfg.Name, Connection: l.number.Load()})
		}
	}
	return links
}
