package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/packets"
	paho5 "github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// A lateSession is paho's session state, except that the library's own
// acknowledgement, right after the callback, does nothing: Late sends it when
// the message is durable. (Its manual acknowledgements poll on a ticker.)
type lateSession struct{ *state.State }

func (lateSession) Ack(*packets.Publish) error { return nil }

// Late acknowledges.
func (s lateSession) Late(p *packets.Publish) { _ = s.State.Ack(p) } // an error is the connection's end, which is noticed elsewhere

// session5 makes the session state that outlives connections: it knows the QoS
// 2 messages that were received and not released.
func (s *subscriber) session5() { s.state5 = &lateSession{state.NewInMemory()} }

// run5 runs one MQTT 5 connection.
func (s *subscriber) run5(ctx context.Context, t *stream, wire *coalescer, guard *frameGuard) error {
	defer t.end()
	client := paho5.NewClient(paho5.ClientConfig{
		ClientID:      s.o.ClientID,
		Conn:          wire,
		Session:       s.state5,
		PacketTimeout: s.o.ConnectTimeout,
		OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(r paho5.PublishReceived) (bool, error) {
			p := r.Packet.Packet()
			t.arrive(message5(r.Packet), func() { s.state5.Late(p) })
			return true, nil
		}},
		OnClientError: t.lose,
		OnServerDisconnect: func(d *paho5.Disconnect) {
			t.lose(fmt.Errorf("broker disconnected us: reason 0x%02x", d.ReasonCode))
		},
	})
	expiry := uint32(min(s.o.SessionExpiry/time.Second, math.MaxUint32))
	size := uint32(s.o.PacketBytes)
	connect := &paho5.Connect{
		ClientID:     s.o.ClientID,
		KeepAlive:    uint16(s.o.KeepAlive / time.Second),
		CleanStart:   false,
		Username:     s.o.Username,
		UsernameFlag: s.o.Username != "",
		Password:     []byte(s.o.Password),
		PasswordFlag: s.o.Password != "",
		Properties: &paho5.ConnectProperties{
			SessionExpiryInterval: &expiry,
			ReceiveMaximum:        &s.o.ReceiveMaximum,
			MaximumPacketSize:     &size,
			RequestProblemInfo:    true,
		},
	}
	if w := s.o.Will; w != nil {
		connect.WillMessage = &paho5.WillMessage{Retain: w.Retain, QoS: w.QoS, Topic: w.Topic, Payload: w.Payload}
	}
	ack, err := client.Connect(ctx, connect)
	if err != nil {
		switch {
		case guard.answeredAs311(), ack != nil && ack.ReasonCode == 0x84:
			return errOther
		case guard.nFirst == 0 && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded):
			return ErrNoAnswer
		case ack != nil && ack.ReasonCode >= 0x80:
			return &ConnectError{Version: 5, Code: ack.ReasonCode}
		}
		return fmt.Errorf("connect to broker: %w", err)
	}
	defer func() { // also joins the library's goroutines, before the state is used again
		_ = client.Disconnect(&paho5.Disconnect{})
		<-client.Done()
	}()
	s.up(ack.SessionPresent)
	if p := ack.Properties; p != nil && p.SessionExpiryInterval != nil && *p.SessionExpiryInterval < expiry {
		s.o.Logger.Warn("local broker keeps our session for less than asked", "seconds", *p.SessionExpiryInterval)
	}
	sub := &paho5.Subscribe{}
	retained := byte(1) // once, when the session is new
	if s.o.Retained {
		retained = 0
	}
	for _, f := range s.o.Filters {
		sub.Subscriptions = append(sub.Subscriptions, paho5.SubscribeOptions{
			Topic: f.Topic, QoS: f.QoS,
			NoLocal:           !strings.HasPrefix(f.Topic, "$share/"), // a protocol error for shared ones [MQTT-3.8.3-4]
			RetainAsPublished: true,
			RetainHandling:    retained,
		})
	}
	granted, err := client.Subscribe(t.ctx, sub)
	if err != nil {
		return t.cause(fmt.Errorf("subscribe: %w", err))
	}
	s.lessGranted(granted.Reasons)
	return t.wait(ctx)
}

// message5 is what a received PUBLISH says.
func message5(p *paho5.Publish) Message {
	m := Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain}
	if p.Properties != nil {
		m.ContentType = p.Properties.ContentType
		for _, u := range p.Properties.User {
			m.Props = append(m.Props, Prop{u.Key, u.Value})
		}
	}
	return m
}
