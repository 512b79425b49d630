package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// A raw is a client that writes what a test says, byte for byte.
type raw struct {
	t testing.TB
	net.Conn
	r       *bufio.Reader
	version byte
}

// A frame is one packet as read.
type frame struct {
	first byte
	body  []byte
}

func (f frame) kind() byte { return f.first >> 4 }
func (f frame) id() uint16 { return binary.BigEndian.Uint16(f.body) }

// code is the reason code of an acknowledgement, 0 if it is left out.
func (f frame) code() byte {
	if len(f.body) < 3 {
		return 0
	}
	return f.body[2]
}

func dialRaw(t testing.TB, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t: t, Conn: c, r: bufio.NewReader(c), version: 4}
}

// A hello is what goes into a CONNECT.
type hello struct {
	id, user, pass    string
	keep              bool // no clean session
	expiry            uint32
	receiveMax        uint16
	willTopic, will   string
	willDelay         uint32
	willQoS           byte
	willRetain, named bool
}

func str(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func packet(first byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := []byte{first}
	for n := len(body); ; {
		b := byte(n & 127)
		if n >>= 7; n > 0 {
			out = append(out, b|128)
			continue
		}
		out = append(out, b)
		break
	}
	return append(out, body...)
}

func connectPacket(version byte, h hello) []byte {
	flags := byte(2)
	if h.keep {
		flags = 0
	}
	var tail []byte
	tail = append(tail, str(h.id)...)
	if h.willTopic != "" {
		flags |= 4 | h.willQoS<<3
		if h.willRetain {
			flags |= 32
		}
		if version == 5 {
			tail = append(tail, 5, 0x18)
			tail = binary.BigEndian.AppendUint32(tail, h.willDelay)
		}
		tail = append(tail, str(h.willTopic)...)
		tail = append(tail, str(h.will)...)
	}
	if h.user != "" || h.named {
		flags |= 128 | 64
		tail = append(tail, str(h.user)...)
		tail = append(tail, str(h.pass)...)
	}
	var props []byte
	if version == 5 {
		var p []byte
		p = binary.BigEndian.AppendUint32(append(p, 0x11), h.expiry)
		if h.receiveMax > 0 {
			p = binary.BigEndian.AppendUint16(append(p, 0x21), h.receiveMax)
		}
		props = append([]byte{byte(len(p))}, p...)
	}
	return packet(0x10, str("MQTT"), []byte{version, flags, 0, 60}, props, tail)
}

// connect opens a session and wants success; it says whether one was present.
func connect(t testing.TB, addr string, version byte, h hello) (*raw, bool) {
	t.Helper()
	c := dialRaw(t, addr)
	f := c.hello(version, h)
	if f.kind() != 2 || f.body[1] != 0 {
		t.Fatalf("CONNACK is %x %x", f.first, f.body)
	}
	return c, f.body[0] == 1
}

func (c *raw) hello(version byte, h hello) frame {
	c.t.Helper()
	c.version = version
	c.send(connectPacket(version, h))
	return c.next()
}

func (c *raw) send(p []byte) {
	c.t.Helper()
	if _, err := c.Write(p); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *raw) read(wait time.Duration) (frame, error) {
	_ = c.SetReadDeadline(time.Now().Add(wait))
	first, err := c.r.ReadByte()
	if err != nil {
		return frame{}, err
	}
	n, err := binary.ReadUvarint(c.r) // same encoding
	if err != nil {
		return frame{}, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return frame{first, body}, err
}

func (c *raw) next() frame {
	c.t.Helper()
	f, err := c.read(5 * time.Second)
	if err != nil {
		c.t.Fatalf("read packet: %v", err)
	}
	return f
}

// want reads one packet of a type with a packet id.
func (c *raw) want(kind byte, id uint16, code byte) {
	c.t.Helper()
	f := c.next()
	if f.kind() != kind || len(f.body) < 2 || f.id() != id || f.code() != code {
		c.t.Fatalf("got packet %x %x, want type %d id %d code %#x", f.first, f.body, kind, id, code)
	}
}

// silent wants nothing for a while.
func (c *raw) silent() {
	c.t.Helper()
	f, err := c.read(50 * time.Millisecond)
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		c.t.Fatalf("got packet %x %x, %v; want silence", f.first, f.body, err)
	}
}

// ended wants the connection closed, after a DISCONNECT with the reason on MQTT
// 5; 0 means that there is none.
func (c *raw) ended(code byte) {
	c.t.Helper()
	for {
		f, err := c.read(5 * time.Second)
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				c.t.Fatal("connection goes on")
			}
			if code != 0 && c.version == 5 {
				c.t.Fatalf("connection ended without DISCONNECT %#x", code)
			}
			return
		}
		if f.kind() == 14 {
			if f.body[0] != code {
				c.t.Fatalf("DISCONNECT with reason %#x, want %#x", f.body[0], code)
			}
			code = 0
		}
	}
}

func publishPacket(version byte, topic, payload string, qos byte, id uint16, flags byte) []byte {
	var head []byte
	if qos > 0 {
		head = binary.BigEndian.AppendUint16(nil, id)
	}
	if version == 5 {
		head = append(head, 0)
	}
	return packet(0x30|qos<<1|flags, str(topic), head, []byte(payload))
}

const (
	dup    = 8
	retain = 1
)

func (c *raw) publish(topic, payload string, qos byte, id uint16, flags byte) {
	c.t.Helper()
	c.send(publishPacket(c.version, topic, payload, qos, id, flags))
}

func (c *raw) ack(first byte, id uint16) {
	c.t.Helper()
	c.send(packet(first, binary.BigEndian.AppendUint16(nil, id)))
}

func (c *raw) subscribe(id uint16, filter string, qos byte) frame {
	c.t.Helper()
	var props []byte
	if c.version == 5 {
		props = []byte{0}
	}
	c.send(packet(0x82, binary.BigEndian.AppendUint16(nil, id), props, str(filter), []byte{qos}))
	f := c.next()
	if f.kind() != 9 || f.id() != id {
		c.t.Fatalf("got packet %x %x, want SUBACK %d", f.first, f.body, id)
	}
	return f
}

// message reads a PUBLISH.
func (c *raw) message() (topic, payload string, id uint16, first byte) {
	c.t.Helper()
	f := c.next()
	if f.kind() != 3 {
		c.t.Fatalf("got packet %x %x, want PUBLISH", f.first, f.body)
	}
	n := int(binary.BigEndian.Uint16(f.body))
	topic, rest := string(f.body[2:2+n]), f.body[2+n:]
	if f.first>>1&3 > 0 {
		id, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	if c.version == 5 {
		rest = rest[1+int(rest[0]):]
	}
	return topic, string(rest), id, f.first
}

func versions(t *testing.T, f func(t *testing.T, version byte)) {
	t.Helper()
	for _, v := range []byte{4, 5} {
		t.Run(map[byte]string{4: "3.1.1", 5: "5"}[v], func(t *testing.T) { f(t, v) })
	}
}
