package mqtt

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// run311 runs one MQTT 3.1.1 connection with a persistent session and a new
// client, so that an acknowledgement from an earlier one has nowhere to go.
func (s *subscriber) run311(ctx context.Context, t *stream, wire *coalescer) error {
	defer t.end()
	po := paho.NewClientOptions().
		AddBroker("tcp://broker:1883"). // never dialled: the connection exists
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return wire, nil }).
		SetProtocolVersion(4).
		SetClientID(s.o.ClientID).
		SetUsername(s.o.Username).
		SetPassword(string(s.o.Password)).
		SetCleanSession(false).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetConnectTimeout(s.o.ConnectTimeout).
		SetKeepAlive(s.o.KeepAlive).
		SetOrderMatters(true).
		SetAutoAckDisabled(true).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			t.arrive(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained()}, m.Ack)
		}).
		SetConnectionLostHandler(func(_ paho.Client, err error) { t.lose(err) })
	if w := s.o.Will; w != nil {
		po.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	client := paho.NewClient(po)
	token, _ := client.Connect().(*paho.ConnectToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		_ = wire.Close()
		<-token.Done()
	}
	defer client.Disconnect(250)
	if err := token.Error(); err != nil {
		if code := token.ReturnCode(); code >= 1 && code <= 5 {
			return &ConnectError{Version: 4, Code: code}
		}
		return fmt.Errorf("connect to broker: %w", err)
	}
	s.up(token.SessionPresent())
	filters := make(map[string]byte, len(s.o.Filters))
	for _, f := range s.o.Filters {
		filters[f.Topic] = f.QoS
	}
	sub, _ := client.SubscribeMultiple(filters, nil).(*paho.SubscribeToken)
	late := time.NewTimer(s.o.ConnectTimeout)
	defer late.Stop()
	select {
	case <-sub.Done():
		if err := sub.Error(); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		granted := make([]byte, len(s.o.Filters))
		for i, f := range s.o.Filters {
			if granted[i] = sub.Result()[f.Topic]; granted[i] > 2 {
				return fmt.Errorf("subscribe: broker refused a filter (0x%02x)", granted[i])
			}
		}
		s.lessGranted(granted)
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	case <-late.C:
		return fmt.Errorf("subscribe: no SUBACK within %s", s.o.ConnectTimeout)
	}
	return t.wait(ctx)
}
