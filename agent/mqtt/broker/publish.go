package broker

import (
	"context"
	"errors"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// A receipt is a QoS 2 message between its PUBLISH and its PUBREL (3.1.1 and 5,
// 4.3.3, method B reversed: we store the packet id, not the message). Guarded
// by its session's lock.
type receipt struct {
	durable bool // the sink has it, PUBREC may go
	failed  bool // delivered locally, and the sink did not take it: submit again
	waiters []waiter
}

// A waiter is the place in a ring of a PUBREC that is due with the receipt; a
// client that reconnects and repeats itself adds one.
type waiter struct {
	l   *link
	seq uint64
}

// publish handles one PUBLISH, on the connection's reading goroutine. Anything
// but packets.CodeSuccess ends the connection for that reason.
func (b *Broker) publish(l *link, pk *packets.Packet) packets.Code {
	if code := b.checkPublish(l, pk); code != packets.CodeSuccess {
		return code
	}
	b.stats.received.Add(1)
	if b.limits.Rate > 0 || b.limits.RateBytes > 0 {
		l.pace(len(pk.Payload))
	}
	qos, id := pk.FixedHeader.Qos, pk.PacketID
	if qos > 0 && l.version == 5 && l.outstanding() >= b.limits.InFlight {
		return packets.ErrReceiveMaximum // [MQTT-3.3.4-8]
	}
	if qos == 1 && pk.FixedHeader.Dup && l.pending(id) {
		b.stats.duplicates.Add(1) // on this connection, and its PUBACK is due
		return packets.CodeSuccess
	}
	if !b.mayWrite(l.user, l.named, l.session.id, pk.TopicName) {
		return b.deny(l, qos, id)
	}
	if qos == 2 {
		return b.publishTwo(l, pk)
	}
	m := message(pk)
	b.deliverFrom(l, pk)
	leaves := b.leaves(pk.TopicName)
	if qos == 0 {
		if leaves {
			return b.submit(l, m, b.noted)
		}
		return packets.CodeSuccess
	}
	seq, err := l.push(firstPuback, id, len(m.Payload))
	if err != nil {
		return codeUnspecified
	}
	if !leaves {
		l.complete(seq, 0)
		return packets.CodeSuccess
	}
	return b.submit(l, m, func(err error) {
		b.noted(err)
		if err != nil {
			l.kick(codeUnspecified)
			return
		}
		l.complete(seq, 0)
	})
}

// checkPublish validates the packet and resolves its topic alias.
func (b *Broker) checkPublish(l *link, pk *packets.Packet) packets.Code {
	if code := pk.PublishValidate(uint16(b.limits.TopicAliases)); code != packets.CodeSuccess {
		return code
	}
	if a := pk.Properties.TopicAlias; a > 0 {
		if pk.TopicName == "" {
			if pk.TopicName = l.aliases[a]; pk.TopicName == "" {
				return codeProtocol // [MQTT-3.3.2-9] and 3.3.2.3.4: unknown alias
			}
		} else {
			if l.aliases == nil {
				l.aliases = make(map[uint16]string)
			}
			l.aliases[a] = pk.TopicName
		}
		pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 0, false
	}
	if checkTopic(pk.TopicName) != nil {
		return packets.ErrTopicNameInvalid
	}
	return packets.CodeSuccess
}

// deny answers a message that the ACL refuses, in its turn. MQTT 5 says so;
// 3.1.1 has no way to, and the standard leaves a positive acknowledgement or
// the end of the connection [MQTT-3.3.5-2]: we acknowledge, as mosquitto does,
// so that one wrong topic does not cost a device its other messages.
func (b *Broker) deny(l *link, qos byte, id uint16) packets.Code {
	b.stats.denied.Add(1)
	if qos == 0 {
		return packets.CodeSuccess
	}
	first := byte(firstPuback)
	if qos == 2 {
		first = firstPubrec
		if l.version < 5 { // its PUBREL will come
			l.session.mu.Lock()
			l.session.received[id] = &receipt{durable: true}
			l.session.mu.Unlock()
		}
	}
	seq, err := l.push(first, id, 0)
	if err != nil {
		return codeUnspecified
	}
	l.complete(seq, codeDenied.Code)
	return packets.CodeSuccess
}

// publishTwo handles a QoS 2 PUBLISH: submitted once, whatever is repeated,
// until PUBREL [MQTT-4.3.3-10].
func (b *Broker) publishTwo(l *link, pk *packets.Packet) packets.Code {
	s, id := l.session, pk.PacketID
	s.mu.Lock()
	r := s.received[id]
	again := r != nil && r.failed
	if r != nil && !again {
		waits := false
		for _, w := range r.waiters {
			waits = waits || w.l == l
		}
		s.mu.Unlock()
		b.stats.duplicates.Add(1)
		if waits {
			return packets.CodeSuccess
		}
		return b.await(l, r, id, 0)
	}
	if len(s.received) >= 16*b.limits.InFlight { // 3.1.1 has no Receive Maximum
		s.mu.Unlock()
		return codeQuota
	}
	if r == nil {
		r = &receipt{}
		s.received[id] = r
	}
	r.failed = false
	s.mu.Unlock()

	m := message(pk)
	if !again {
		b.deliverFrom(l, pk)
	}
	if !b.leaves(pk.TopicName) {
		b.settle(s, r, nil)
		return b.await(l, r, id, 0)
	}
	if code := b.await(l, r, id, len(m.Payload)); code != packets.CodeSuccess {
		b.settle(s, r, errLinkClosed)
		return code
	}
	code := b.submit(l, m, func(err error) {
		b.noted(err)
		b.settle(s, r, err)
	})
	if code != packets.CodeSuccess {
		b.settle(s, r, errLinkClosed)
	}
	return code
}

// await puts a PUBREC into the ring, due when the receipt is durable.
func (b *Broker) await(l *link, r *receipt, id uint16, size int) packets.Code {
	seq, err := l.push(firstPubrec, id, size)
	if err != nil {
		return codeUnspecified
	}
	l.session.mu.Lock()
	durable := r.durable
	if !durable {
		r.waiters = append(r.waiters, waiter{l, seq})
	}
	l.session.mu.Unlock()
	if durable {
		l.complete(seq, 0)
	}
	return packets.CodeSuccess
}

// settle ends the wait for a receipt.
func (b *Broker) settle(s *session, r *receipt, err error) {
	s.mu.Lock()
	ws := r.waiters
	r.waiters = nil
	r.durable, r.failed = err == nil, err != nil
	s.mu.Unlock()
	if b.store != nil && err == nil {
		b.store.session(s.id)
	}
	for _, w := range ws {
		if err != nil {
			w.l.kick(codeUnspecified)
		} else {
			w.l.complete(w.seq, 0)
		}
	}
}

// releaseReceived handles PUBREL.
func (b *Broker) releaseReceived(l *link, id uint16) packets.Code {
	s := l.session
	s.mu.Lock()
	r := s.received[id]
	if r != nil && !r.durable {
		s.mu.Unlock()
		return codeProtocol // before our PUBREC
	}
	delete(s.received, id)
	s.mu.Unlock()
	if r == nil {
		l.ack(firstPubcomp, id, packets.ErrPacketIdentifierNotFound.Code)
		return packets.CodeSuccess
	}
	if b.store != nil {
		b.store.session(s.id)
	}
	l.ack(firstPubcomp, id, 0)
	return packets.CodeSuccess
}

// outstanding is what counts against our Receive Maximum: PUBLISH packets that
// have not got PUBACK, PUBCOMP, or a PUBREC with an error.
func (l *link) outstanding() int {
	n := l.inFlight()
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	for _, r := range l.session.received {
		if r.durable {
			n++
		}
	}
	return n
}

// submit hands a message to the sink. It blocks while the sink does.
func (b *Broker) submit(l *link, m mqtt.Message, done func(error)) packets.Code {
	l.hold()
	err := b.opts.Sink.Submit(l.ctx, l.source, m, done)
	l.release()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			b.stats.sinkErrors.Add(1)
		}
		return codeUnspecified
	}
	b.stats.submitted.Add(1)
	return packets.CodeSuccess
}

// noted counts the sink's verdict.
func (b *Broker) noted(err error) {
	if err != nil {
		b.stats.sinkErrors.Add(1)
	} else {
		b.stats.durable.Add(1)
	}
}

// message is what leaves of a PUBLISH.
func message(pk *packets.Packet) mqtt.Message {
	m := mqtt.Message{
		Topic:       pk.TopicName,
		Payload:     pk.Payload,
		ContentType: pk.Properties.ContentType,
		QoS:         pk.FixedHeader.Qos,
		Retain:      pk.FixedHeader.Retain,
	}
	if n := len(pk.Properties.User); n > 0 {
		m.Props = make([]mqtt.Prop, n)
		for i, p := range pk.Properties.User {
			m.Props[i] = mqtt.Prop{p.Key, p.Val}
		}
	}
	return m
}

// deliverFrom is deliver for a client's message, and spares mochi the work where
// nobody listens.
func (b *Broker) deliverFrom(l *link, pk *packets.Packet) {
	if pk.FixedHeader.Retain || !l.unheard(pk.TopicName) {
		b.deliver(pk, l.session.id)
	}
}

// deliver publishes locally: retained state and subscribers, each of which gets
// its own copy. It does not block.
func (b *Broker) deliver(pk *packets.Packet, origin string) {
	local := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain},
		TopicName:   pk.TopicName,
		Payload:     pk.Payload,
		Properties:  pk.Properties,
		Connect:     packets.ConnectParams{ClientIdentifier: origin}, // back to Origin in OnPublish
	}
	if local.FixedHeader.Retain {
		b.retaining.Lock()
		defer b.retaining.Unlock()
		local.FixedHeader.Retain = b.retains(pk)
	}
	if local.FixedHeader.Qos > 0 {
		local.PacketID = 1 // mochi wants one; each delivery gets its own
	}
	_ = b.srv.InjectPacket(b.inline, local) // fails only for what checkPublish refused
}

// retains says whether there is room for a retained message. Where there is
// none the one before it goes, too: it is no longer true. Callers hold retaining.
func (b *Broker) retains(pk *packets.Packet) bool {
	if len(pk.Payload) == 0 {
		b.retained.drop(struct{}{}, pk.TopicName)
		return true
	}
	if b.retained.put(struct{}{}, pk.TopicName, rooted(pk.TopicName, pk.Payload)) {
		return true
	}
	b.stats.notRetained.Add(1)
	b.log.Warn("message not retained: the local broker holds as much as it may", "ingress", b.opts.Ingress)
	b.srv.Topics.RetainMessage(packets.Packet{TopicName: pk.TopicName})
	if b.store != nil {
		b.store.retained(pk.TopicName)
	}
	return false
}

// Tell publishes a message to local clients only: it is not retained, waits for
// nothing, and never leaves.
func (b *Broker) Tell(m mqtt.Message) {
	b.deliver(&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS}, TopicName: m.Topic, Payload: m.Payload}, "")
}

// leaves says whether messages on the topic are submitted to the sink.
func (b *Broker) leaves(topic string) bool {
	if topic[0] == '$' {
		return matchAny(b.dollar, topic)
	}
	return !matchAny(b.local, topic)
}

func (b *Broker) mayWrite(user string, named bool, client, topic string) bool {
	if isSys(topic) {
		return false
	}
	return b.access.Load().acl.MayWrite(user, named, client, topic)
}

// pace pauses reading where the client publishes faster than it may.
func (l *link) pace(bytes int) {
	now := time.Now()
	wait := max(l.rate.take(now, 1, l.b.limits.Rate), l.byteRate.take(now, bytes, l.b.limits.RateBytes))
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

// A bucket holds the tokens of one second.
type bucket struct {
	at     time.Time // when tokens was right
	tokens float64
}

// take takes n tokens and says how long to wait for those that were not there.
// A rate of 0 is no limit.
func (b *bucket) take(now time.Time, n, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	r := float64(rate)
	if b.at.IsZero() {
		b.tokens = r
	}
	b.tokens = min(r, b.tokens+now.Sub(b.at).Seconds()*r) - float64(n)
	b.at = now
	return time.Duration(max(0, -b.tokens) / r * float64(time.Second))
}
