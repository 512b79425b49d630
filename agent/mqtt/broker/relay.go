package broker

import (
	"errors"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// Relay delivers a message from elsewhere to the subscribers of this broker and
// to its retained state, and nowhere else: it does not reach the sink. On return
// it is in the queues of the sessions that get it, which reach the disk as those
// of any message do: see Options.WriteBehind.
func (b *Broker) Relay(m *mqtt.Message) error {
	if b.draining.Load() {
		return errors.New("relay message: broker is closing")
	}
	if err := checkTopic(m.Topic); err != nil {
		return fmt.Errorf("relay message: %w", err)
	}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic,
		Payload:     m.Payload,
		Properties:  packets.Properties{ContentType: m.ContentType},
	}
	for _, p := range m.Props {
		pk.Properties.User = append(pk.Properties.User, packets.UserProperty{Key: p[0], Val: p[1]})
	}
	b.stats.relayed.Add(1)
	b.deliver(&pk, "")
	return nil
}
