package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The first bytes of the packets that a publishing connection knows (MQTT 5.0
// section 2.1, the same in 3.1.1).
const (
	firstConnect    = 0x10
	firstConnack    = 0x20
	firstPublish    = 0x30
	firstPuback     = 0x40
	firstPubrec     = 0x50
	firstPubrel     = 0x62
	firstPubcomp    = 0x70
	firstPingreq    = 0xc0
	firstPingresp   = 0xd0
	firstDisconnect = 0xe0
)

// Property identifiers (MQTT 5.0 section 2.2.2.2).
const (
	propExpiry         = 0x02
	propContentType    = 0x03
	propSessionExpiry  = 0x11
	propServerKeep     = 0x13
	propReasonString   = 0x1f
	propReceiveMaximum = 0x21
	propMaximumQoS     = 0x24
	propRetain         = 0x25
	propUser           = 0x26
	propMaximumPacket  = 0x27
	propRequestProblem = 0x17
)

var errMalformed = errors.New("packet is malformed")

// maxRemaining is the longest remaining length: four bytes of seven bits.
const maxRemaining = 1<<28 - 1

func appendLength(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// lengthSize is how many bytes appendLength appends.
func lengthSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func appendText[S string | []byte](b []byte, s S) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendConnect appends CONNECT with a new session (3.1 in both standards).
func appendConnect(b []byte, o *Options, version byte) []byte {
	var p []byte
	flags := byte(0x02)
	p = append(p, 0, 4, 'M', 'Q', 'T', 'T', version, 0)
	at := len(p) - 1
	p = binary.BigEndian.AppendUint16(p, uint16(o.KeepAlive.Seconds()))
	if version == 5 {
		p = append(p, 7,
			propMaximumPacket, byte(o.PacketBytes>>24), byte(o.PacketBytes>>16), byte(o.PacketBytes>>8), byte(o.PacketBytes),
			propRequestProblem, 0) // no reason strings: they are somebody else's text
	}
	p = appendText(p, o.ClientID)
	if w := o.Will; w != nil {
		flags |= 0x04 | min(w.QoS, 2)<<3
		if w.Retain {
			flags |= 0x20
		}
		if version == 5 {
			p = append(p, 0)
		}
		p = appendText(p, w.Topic)
		p = appendText(p, w.Payload)
	}
	if o.Username != "" {
		flags |= 0x80
		p = appendText(p, o.Username)
	}
	if o.Password != "" {
		flags |= 0x40
		p = appendText(p, string(o.Password))
	}
	p[at] = flags
	b = appendLength(append(b, firstConnect), len(p))
	return append(b, p...)
}

// publishSize is the remaining length of a PUBLISH and the length of its
// properties.
func publishSize(m *Message, qos, version byte) (remaining, props int) {
	remaining = 2 + len(m.Topic) + len(m.Payload)
	if qos > 0 {
		remaining += 2
	}
	if version == 5 {
		if m.Expiry > 0 {
			props += 5
		}
		if m.ContentType != "" {
			props += 3 + len(m.ContentType)
		}
		for _, p := range m.Props {
			props += 5 + len(p[0]) + len(p[1])
		}
		remaining += lengthSize(props) + props
	}
	return remaining, props
}

// checkLengths says whether every string of m fits its two-byte length.
func checkLengths(m *Message) bool {
	ok := len(m.Topic) <= 0xffff && len(m.ContentType) <= 0xffff
	for _, p := range m.Props {
		ok = ok && len(p[0]) <= 0xffff && len(p[1]) <= 0xffff
	}
	return ok
}

func appendPublish(b []byte, m *Message, qos byte, retain bool, id uint16, version byte) []byte {
	first := byte(firstPublish) | qos<<1
	if retain {
		first |= 1
	}
	remaining, props := publishSize(m, qos, version)
	b = appendLength(append(b, first), remaining)
	b = appendText(b, m.Topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	if version == 5 {
		b = appendLength(b, props)
		if m.Expiry > 0 {
			b = binary.BigEndian.AppendUint32(append(b, propExpiry), uint32(min(m.Expiry/time.Second, 1<<32-1)))
		}
		if m.ContentType != "" {
			b = appendText(append(b, propContentType), m.ContentType)
		}
		for _, p := range m.Props {
			b = appendText(append(b, propUser), p[0])
			b = appendText(b, p[1])
		}
	}
	return append(b, m.Payload...)
}

// A packetReader reads the packets of a peer, none longer than limit.
type packetReader struct {
	in    *bufio.Reader
	limit int
	body  []byte // of the last packet
}

// next returns the first byte and the body, valid until the next call.
func (r *packetReader) next() (first byte, body []byte, err error) {
	if first, err = r.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		c, err := r.in.ReadByte()
		if err != nil {
			return 0, nil, unexpected(err)
		}
		if length |= int(c&0x7f) << shift; c < 0x80 {
			break
		}
		if shift == 21 {
			return 0, nil, errMalformed
		}
	}
	if length > r.limit {
		return 0, nil, fmt.Errorf("packet of %d bytes is longer than %d", length, r.limit)
	}
	if cap(r.body) < length {
		r.body = make([]byte, length)
	}
	r.body = r.body[:length]
	if _, err := io.ReadFull(r.in, r.body); err != nil {
		return 0, nil, unexpected(err)
	}
	return first, r.body, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseAck reads PUBACK, PUBREC or PUBCOMP. Its reason code may be left out.
func parseAck(body []byte) (id uint16, code byte, err error) {
	if len(body) < 2 {
		return 0, 0, errMalformed
	}
	if len(body) > 2 {
		code = body[2]
	}
	return binary.BigEndian.Uint16(body), code, nil
}

// A connack is what CONNACK says.
type connack struct {
	code   byte
	limits Limits
	keep   int // seconds, as the broker asks; -1: as we asked
}

// parseConnack reads CONNACK (3.2). A broker that knows only 3.1.1 answers the
// CONNECT of MQTT 5 in two bytes.
func parseConnack(body []byte, version byte) (c connack, err error) {
	c.keep, c.limits.MaxQoS = -1, 2
	if len(body) < 2 {
		return c, errMalformed
	}
	c.code = body[1]
	if version < 5 || len(body) == 2 {
		return c, nil
	}
	props, rest, ok := cutProps(body[2:])
	if !ok || len(rest) != 0 {
		return c, errMalformed
	}
	for len(props) > 0 {
		var id byte
		var value []byte
		if id, value, props, ok = nextProp(props); !ok {
			return c, errMalformed
		}
		switch id {
		case propReceiveMaximum:
			c.limits.Window = int(binary.BigEndian.Uint16(value))
		case propMaximumQoS:
			c.limits.MaxQoS = min(value[0], 2)
		case propRetain:
			c.limits.NoRetain = value[0] == 0
		case propMaximumPacket:
			c.limits.PacketBytes = int64(binary.BigEndian.Uint32(value))
		case propServerKeep:
			c.keep = int(binary.BigEndian.Uint16(value))
		}
	}
	return c, nil
}

func cutProps(b []byte) (props, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || k > 4 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n)], b[k+int(n):], true
}

// nextProp cuts one property off: the value of a string pair is nil.
func nextProp(b []byte) (id byte, value, rest []byte, ok bool) {
	id, b = b[0], b[1:]
	take := func(n int) bool {
		if n > len(b) {
			return false
		}
		value, b = b[:n], b[n:]
		return true
	}
	text := func() bool { return take(2) && take(int(binary.BigEndian.Uint16(value))) }
	switch id {
	case 0x01, 0x17, 0x19, propMaximumQoS, propRetain, 0x28, 0x29, 0x2a:
		ok = take(1)
	case propServerKeep, propReceiveMaximum, 0x22, 0x23:
		ok = take(2)
	case propExpiry, propSessionExpiry, 0x18, propMaximumPacket:
		ok = take(4)
	case propContentType, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, propReasonString:
		ok = text()
	case propUser:
		name := text()
		ok = name && text() // a pair
		value = nil
	case 0x0b:
		_, n := binary.Uvarint(b)
		ok = n > 0 && n <= 4 && take(n)
	}
	return id, value, b, ok
}
