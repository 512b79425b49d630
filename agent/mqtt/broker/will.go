package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// A will is a message that the broker publishes when its client is gone without
// a DISCONNECT. It takes the same two ways as any other message.
type will struct {
	packet packets.Packet
	delay  time.Duration // MQTT 5; from the end of the connection
	due    time.Time
	client string
	source mqtt.Source

	id       uint64 // in the store
	restored bool   // from before a crash: forgotten if the client comes back
}

func newWill(c *packets.ConnectParams) *will {
	p := c.WillProperties
	return &will{
		id:    newID(),
		delay: time.Duration(p.WillDelayInterval) * time.Second,
		packet: packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: c.WillQos, Retain: c.WillRetain},
			TopicName:   c.WillTopic,
			Payload:     append([]byte(nil), c.WillPayload...),
			Properties: packets.Properties{
				User:                  p.User,
				ContentType:           p.ContentType,
				ResponseTopic:         p.ResponseTopic,
				CorrelationData:       p.CorrelationData,
				MessageExpiryInterval: p.MessageExpiryInterval,
				PayloadFormat:         p.PayloadFormat,
				PayloadFormatFlag:     p.PayloadFormatFlag,
			},
		},
	}
}

// publishDueWills publishes the delayed wills whose time has come.
func (b *Broker) publishDueWills(now time.Time) {
	var due []*will
	b.mu.Lock()
	for w := range b.wills {
		if !w.due.After(now) {
			due = append(due, w)
			delete(b.wills, w)
		}
	}
	b.mu.Unlock()
	for _, w := range due {
		b.publishWill(w)
	}
}

// publishWill publishes locally, then submits in the background: there is no
// connection to hold back. It waits for the sink as long as the broker lives,
// for as many wills as there may be clients.
func (b *Broker) publishWill(w *will) {
	b.stats.wills.Add(1)
	b.stats.received.Add(1)
	m := message(&w.packet)
	b.deliver(&w.packet, w.client)
	if !b.leaves(m.Topic) {
		b.forgetWill(w)
		return
	}
	if b.willsAway.Add(1) > int64(b.limits.Clients) {
		b.willsAway.Add(-1)
		b.stats.willsLost.Add(1)
		b.log.Error("will not submitted: too many wait already", "ingress", b.opts.Ingress)
		return
	}
	b.tasks.Add(1)
	go func() {
		defer b.tasks.Done()
		defer b.willsAway.Add(-1)
		err := b.opts.Sink.Submit(b.ctx, w.source, m, func(err error) {
			b.noted(err)
			if err != nil {
				b.stats.willsLost.Add(1)
				return
			}
			b.forgetWill(w)
		})
		if err != nil {
			b.stats.willsLost.Add(1)
			return
		}
		b.stats.submitted.Add(1)
	}()
}

// forgetWill removes a stored will that has been dealt with.
func (b *Broker) forgetWill(w *will) {
	if b.store != nil {
		b.store.willDone(w)
	}
}
