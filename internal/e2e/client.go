package e2e

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The types of MQTT control packets (3.1.1, 2.2.1).
const (
	tCONNECT = iota + 1
	tCONNACK
	tPUBLISH
	tPUBACK
	tPUBREC
	tPUBREL
	tPUBCOMP
	tSUBSCRIBE
	tSUBACK
	tUNSUBSCRIBE
	tUNSUBACK
	tPINGREQ
	tPINGRESP
	tDISCONNECT
)

// A Message is one application message.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// A Packet is one control packet as it was received.
type Packet struct {
	Type byte
	Dup  bool
	ID   uint16
	Message
}

// ClientOptions say who connects.
type ClientOptions struct {
	ID      string
	Session bool // keep it: clean session off
	Will    *Message
}

// A Client is one connection of MQTT 3.1.1, without any logic: what is sent is
// what the caller writes, when the caller writes it. One goroutine may write
// while another reads.
type Client struct {
	net.Conn
	Present bool // the broker knew the session
	r       *bufio.Reader
	w       *bufio.Writer
}

// Dial connects and waits for CONNACK.
func Dial(addr string, o ClientOptions) (*Client, error) {
	conn, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriterSize(conn, 64<<10)}
	flags := byte(0x02)
	if o.Session {
		flags = 0
	}
	tail := str(nil, o.ID)
	if w := o.Will; w != nil {
		flags |= 0x04 | w.QoS<<3
		if w.Retain {
			flags |= 0x20
		}
		tail = str(str(tail, w.Topic), string(w.Payload))
	}
	body := append(str(nil, "MQTT"), 4, flags, 0, 0) // keep alive off
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if err = c.Raw(frame(tCONNECT<<4, append(body, tail...))); err == nil {
		var first byte
		var ack []byte
		first, ack, err = c.readFrame()
		switch {
		case err != nil:
		case first != tCONNACK<<4 || len(ack) != 2:
			err = errors.New("no CONNACK")
		case ack[1] != 0:
			err = fmt.Errorf("CONNACK says %d", ack[1])
		default:
			c.Present = ack[0]&1 == 1
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect: %w", err), conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	return c, nil
}

// Raw writes bytes as they are.
func (c *Client) Raw(b []byte) error {
	if _, err := c.w.Write(b); err != nil {
		return err
	}
	return c.w.Flush()
}

// Queue writes a PUBLISH into the buffer; Flush sends it.
func (c *Client) Queue(m Message, id uint16, dup bool) error {
	_, err := c.w.Write(publish(m, id, dup))
	return err
}

// Flush sends what was queued.
func (c *Client) Flush() error { return c.w.Flush() }

// Publish sends a message and, at QoS 1, waits for its PUBACK. It must be the
// only reader.
func (c *Client) Publish(m Message, id uint16) error {
	if err := c.Raw(publish(m, id, false)); err != nil || m.QoS == 0 {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	defer c.SetReadDeadline(time.Time{})
	for {
		p, err := c.Read()
		if err != nil {
			return fmt.Errorf("wait for PUBACK: %w", err)
		}
		if p.Type == tPUBACK && p.ID == id {
			return nil
		}
	}
}

// Subscribe subscribes at QoS 1 and waits for SUBACK.
func (c *Client) Subscribe(filter string) error {
	if err := c.Raw(frame(tSUBSCRIBE<<4|2, append(str([]byte{0, 1}, filter), 1))); err != nil {
		return err
	}
	first, ack, err := c.readFrame()
	if err != nil {
		return err
	}
	if first != tSUBACK<<4 || len(ack) != 3 || ack[2] > 2 {
		return errors.New("subscription refused")
	}
	return nil
}

// Ack sends a PUBACK.
func (c *Client) Ack(id uint16) error {
	return c.Raw(frame(tPUBACK<<4, []byte{byte(id >> 8), byte(id)}))
}

// Read returns the next packet.
func (c *Client) Read() (p Packet, err error) {
	first, body, err := c.readFrame()
	if err != nil {
		return p, err
	}
	p.Type = first >> 4
	switch p.Type {
	case tPUBLISH:
		p.Dup, p.QoS, p.Retain = first&8 != 0, first>>1&3, first&1 != 0
		if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
			return p, errors.New("short PUBLISH")
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		p.Topic, body = string(body[2:n]), body[n:]
		if p.QoS > 0 {
			if len(body) < 2 {
				return p, errors.New("short PUBLISH")
			}
			p.ID, body = binary.BigEndian.Uint16(body), body[2:]
		}
		p.Payload = body
	case tPUBACK, tPUBREC, tPUBREL, tPUBCOMP:
		if len(body) >= 2 {
			p.ID = binary.BigEndian.Uint16(body)
		}
	}
	return p, nil
}

func (c *Client) readFrame() (first byte, body []byte, err error) {
	if first, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.r) // the same encoding as MQTT's, 2.2.3
	if err != nil || n > 268_435_455 {
		return 0, nil, errors.Join(err, errors.New("bad length"))
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return first, body, err
}

func publish(m Message, id uint16, dup bool) []byte {
	first := byte(tPUBLISH<<4) | m.QoS<<1
	if dup {
		first |= 8
	}
	if m.Retain {
		first |= 1
	}
	body := str(make([]byte, 0, len(m.Topic)+len(m.Payload)+4), m.Topic)
	if m.QoS > 0 {
		body = append(body, byte(id>>8), byte(id))
	}
	return frame(first, append(body, m.Payload...))
}

func str(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func frame(first byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// Buffered is how many bytes Read has in hand.
func (c *Client) Buffered() int { return c.r.Buffered() }

// Blast publishes n messages at QoS 1 on one connection, so many under way, and
// returns when all are acknowledged.
func Blast(addr, id, topic string, n, window int, payload func(n int) []byte) error {
	c, err := Dial(addr, ClientOptions{ID: id})
	if err != nil {
		return err
	}
	defer c.Close()
	for sent, acked := 0, 0; acked < n; {
		for sent < n && sent-acked < window {
			if err := c.Queue(Message{Topic: topic, Payload: payload(sent), QoS: 1}, uint16(sent%60_000)+1, false); err != nil {
				return err
			}
			sent++
		}
		if err := c.Flush(); err != nil {
			return err
		}
		for more := true; more && acked < n; more = c.Buffered() > 0 {
			if _, err := c.Read(); err != nil {
				return err
			}
			acked++
		}
	}
	return nil
}
