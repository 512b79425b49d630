package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Secret is part of every value that must not leave in clear.
const Secret = "Vq7rTz0pLm2"

// A Device publishes numbered messages at QoS 1, one number sequence per topic,
// and keeps what is not acknowledged, as the standard wants: after a reconnect
// it sends that again, in order, before anything new.
type Device struct {
	Name    string
	Topics  []string
	Total   int  // messages over all topics
	Window  int  // messages under way
	Session bool // clean session off

	// The rest is the device's own account, to be read when Run has returned.
	Topic       map[string]*Account
	Connections int
	Repeated    int
}

// An Account is what a device knows about one topic.
type Account struct {
	Sent  []int  // by number: how often it was sent
	Acked []bool // by number
}

// under is a message under way.
type under struct {
	topic string
	n     int
	id    uint16
}

// Run publishes until everything is acknowledged. acked is called for each
// acknowledgement.
func (d *Device) Run(ctx context.Context, addr string, acked func()) error {
	d.Topic = map[string]*Account{}
	for _, topic := range d.Topics {
		d.Topic[topic] = &Account{}
	}
	var tail []under // unacknowledged, in order
	next := 0
	for next < d.Total || len(tail) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s has %d of %d messages unacknowledged: %w", d.Name, d.Total-next+len(tail), d.Total, err)
		}
		c, err := Dial(addr, ClientOptions{ID: d.Name, Session: d.Session})
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the gateway is down
			continue
		}
		d.Connections++
		tail, next = d.session(ctx, c, tail, next, acked)
		_ = c.Close()
	}
	return nil
}

// session is one connection: it ends with it, or when all is acknowledged.
func (d *Device) session(ctx context.Context, c *Client, tail []under, next int, acked func()) ([]under, int) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	send := func(u under, again bool) error {
		d.Topic[u.topic].Sent[u.n]++
		return c.Queue(Message{Topic: u.topic, Payload: d.Payload(u.n), QoS: 1}, u.id, again)
	}
	for _, u := range tail {
		d.Repeated++
		if send(u, true) != nil {
			return tail, next
		}
	}
	for {
		for next < d.Total && len(tail) < d.Window {
			topic := d.Topics[next%len(d.Topics)]
			a := d.Topic[topic]
			u := under{topic, len(a.Sent), uint16(next%60_000) + 1}
			a.Sent, a.Acked = append(a.Sent, 0), append(a.Acked, false)
			tail = append(tail, u)
			next++
			if send(u, false) != nil {
				return tail, next
			}
		}
		if len(tail) == 0 || c.Flush() != nil {
			return tail, next
		}
		for more := true; more; more = len(tail) > 0 && c.Buffered() > 0 {
			p, err := c.Read()
			if err != nil {
				return tail, next
			}
			// PUBACKs come in the order of the messages [MQTT-4.6.0-2]: one
			// for a later message would end the device's run unacknowledged.
			if p.Type == tPUBACK && p.ID == tail[0].id {
				d.Topic[tail[0].topic].Acked[tail[0].n] = true
				tail = tail[1:]
				acked()
			}
		}
	}
}

// Payload is the n-th message of a topic: a harmless reading, a document with a
// password, one with a person, or text that no parser reads.
func (d *Device) Payload(n int) []byte {
	head := fmt.Sprintf(`{"device":%q,"n":%d`, d.Name, n)
	secret := fmt.Sprintf("%s-%s-%d", Secret, d.Name, n)
	switch n % 4 {
	case 0:
		return []byte(head + `,"temperature":21.5,"unit":"C"}`)
	case 1:
		return []byte(head + `,"wifi":{"ssid":"plant","password":"` + secret + `"},"port":443}`)
	case 2:
		return []byte(head + `,"email":"` + secret + `@example.org","result":"granted"}`)
	}
	return []byte(head + `,"password":"` + secret + `",}`)
}

var number = regexp.MustCompile(`"n":(\d+)`)

// Number reads the number of a message.
func Number(payload []byte) (int, error) {
	m := number.FindSubmatch(payload)
	if m == nil {
		return 0, fmt.Errorf("message of %d bytes has no number", len(payload))
	}
	return strconv.Atoi(string(m[1]))
}
