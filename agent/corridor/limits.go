package corridor

import (
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto/protect"
)

// Limits are what an uplink's broker takes of one message. 0: whatever the
// protocol permits. What is beyond goes to quarantine without being sent.
type Limits struct {
	TopicBytes   int
	TopicLevels  int
	PayloadBytes int
	StripRetain  bool // publish without the retain flag
}

// Why a message is in quarantine.
const (
	reasonRefused      = "refused_by_broker"
	reasonTopicLong    = "topic_too_long"
	reasonTopicDeep    = "topic_too_deep"
	reasonPayloadLarge = "payload_too_large"
	reasonPacketLarge  = "packet_too_large"
)

// refuses says why the broker would not take a record; "" if it may.
func (l Limits) refuses(rec *spool.Record) string {
	switch {
	case l.TopicBytes > 0 && len(rec.Topic) > l.TopicBytes:
		return reasonTopicLong
	case l.TopicLevels > 0 && strings.Count(rec.Topic, "/") >= l.TopicLevels:
		return reasonTopicDeep
	case l.PayloadBytes > 0 && len(rec.Payload) > l.PayloadBytes:
		return reasonPayloadLarge
	}
	return ""
}

// Rate bounds what is sent to an uplink in a second. 0: not at all.
type Rate struct{ Messages, Bytes float64 }

// A bucket holds the tokens of one second. What is sent may leave it in debt,
// so that a message larger than the bucket passes, too.
type bucket struct {
	rate Rate
	at   time.Time
	left Rate
}

func newBucket(r Rate) bucket { return bucket{rate: r, left: r} }

// wait is how long the bucket is in debt.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate == (Rate{}) {
		return 0
	}
	if !b.at.IsZero() {
		past := max(0, now.Sub(b.at).Seconds())
		b.left.Messages = min(b.rate.Messages, b.left.Messages+past*b.rate.Messages)
		b.left.Bytes = min(b.rate.Bytes, b.left.Bytes+past*b.rate.Bytes)
	}
	b.at = now
	return max(debt(b.left.Messages, b.rate.Messages), debt(b.left.Bytes, b.rate.Bytes))
}

func debt(left, rate float64) time.Duration {
	if rate == 0 || left > 0 {
		return 0
	}
	return time.Duration(-left/rate*float64(time.Second)) + time.Millisecond
}

func (b *bucket) take(bytes int) {
	b.left.Messages--
	b.left.Bytes -= float64(bytes)
}

// message is how a record is published.
func (s *sender) message(rec *spool.Record) mqtt.Message {
	m := mqtt.Message{Topic: rec.Topic, Payload: rec.Payload, QoS: rec.QoS, Retain: rec.Retain && !s.u.Limits.StripRetain}
	if s.u.Properties {
		m.ContentType, m.Props = rec.ContentType, properties(rec)
	}
	return m
}

// properties are the MQTT 5 user properties of a published message: what the
// record was stored with, and what it says about itself.
func properties(rec *spool.Record) []mqtt.Prop {
	props := append(make([]mqtt.Prop, 0, len(rec.Props)+2+len(rec.KIDs)), rec.Props...)
	props = append(props,
		mqtt.Prop{"sealgate-grade", classify.Grade(rec.Grade).String()},
		mqtt.Prop{"sealgate-id", hexID(rec.ID)})
	for _, k := range rec.KIDs {
		props = append(props, mqtt.Prop{"sealgate-kid", k.String()})
	}
	return props
}

// contentType is what a protected payload is, where that is not the device's
// affair: a device's own word about it is not graded and does not leave.
func contentType(o *protect.Output) string {
	json := len(o.Payload) > 0 && (o.Payload[0] == '{' || o.Payload[0] == '"')
	switch {
	case o.Outcome == protect.OutcomeEncrypted && json, o.Outcome == protect.OutcomeSealed && json:
		return "application/json"
	case o.Outcome == protect.OutcomeSealed:
		return "application/cose" // RFC 9052, section 11.2
	}
	return ""
}
