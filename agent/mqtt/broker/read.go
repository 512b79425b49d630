package broker

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A socket is a connection whose bytes are counted.
type socket struct {
	net.Conn
	b *Broker
}

func (s socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.b.stats.bytesIn.Add(uint64(n))
	return n, err
}

// next looks at the next packet. A PUBLISH of a connected client is handled;
// any other is left to mochi, with its length in rest.
func (l *link) next() error {
	head, err := l.in.Peek(1)
	if err != nil {
		return err
	}
	first := head[0] // the next Peek may move what lies under head
	length, size, err := l.peekLength()
	if err != nil {
		if errors.Is(err, packets.ErrMalformedVariableByteInteger) {
			l.kick(packets.ErrMalformedPacket)
		}
		return err
	}
	if !l.connected || first>>4 != packets.Publish {
		l.begin(length)
		l.large = length >= halfFrom
		l.rest = 1 + size + length
		return nil
	}
	if l.b.draining.Load() {
		return net.ErrClosed
	}
	if code := l.readPublish(first, length, size); code != packets.CodeSuccess {
		l.kick(code)
		return packets.ErrRejectPacket
	}
	return nil
}

// peekLength decodes the remaining length behind the first byte, and says how
// many bytes it has.
func (l *link) peekLength() (length, size int, err error) {
	for size = 1; size <= 4; size++ {
		head, err := l.in.Peek(1 + size)
		if err != nil {
			return 0, 0, err
		}
		c := head[size]
		length |= int(c&0x7f) << (7 * (size - 1))
		if c < 0x80 {
			return length, size, nil
		}
	}
	return 0, 0, packets.ErrMalformedVariableByteInteger
}

// readPublish reads and handles one PUBLISH. Its payload is not copied again.
func (l *link) readPublish(first byte, length, size int) packets.Code {
	if 1+length > l.b.limits.PacketBytes {
		return packets.ErrPacketTooLarge // [MQTT-3.2.2-15]
	}
	_, _ = l.in.Discard(1 + size)
	l.begin(length)
	body := make([]byte, length)
	_, err := io.ReadFull(l.in, body)
	l.end(length)
	if err != nil {
		return codeUnspecified
	}
	pk := &l.publish
	*pk = packets.Packet{ProtocolVersion: l.version}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return packets.ErrMalformedPacket
	}
	pk.FixedHeader.Remaining = length
	if err := pk.PublishDecode(body); err != nil {
		return packets.ErrMalformedPacket
	}
	atomic.AddInt64(&l.b.srv.Info.PacketsReceived, 1)
	atomic.AddInt64(&l.b.srv.Info.BytesReceived, int64(1+size+length))
	return l.b.publish(l, pk)
}

// A silence is the topic on which a client published last and to which nobody
// here listens, as long as no subscription is added.
type silence struct {
	topic string
	epoch uint64 // of Broker.heard
}

// unheard says that a message on the topic has nobody here to go to.
func (l *link) unheard(topic string) bool {
	epoch := l.b.heard.Load() // before looking
	if l.silent.topic == topic && l.silent.epoch == epoch {
		return true
	}
	s := l.b.srv.Topics.Subscribers(topic)
	if len(s.Subscriptions)+len(s.Shared)+len(s.InlineSubscriptions) > 0 {
		return false
	}
	l.silent = silence{topic, epoch}
	return true
}
