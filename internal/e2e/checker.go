package e2e

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/crypto/envelope"
)

// An Arrival is one message at the cloud, opened.
type Arrival struct {
	Topic string // of the device
	N     int
	ID    [16]byte // of the protected message; zero where it left in clear
}

// A Report counts what the checker saw.
type Report struct {
	Acked       int // by the gateway
	Arrived     int // different messages
	Resent      int // arrivals of a protected message that had arrived before: the uplink's resends
	Redelivered int // arrivals that are a device's redelivery, protected anew
	InClear     int // arrivals without an envelope that had arrived before: one or the other
	Most        int // arrivals of the same protected message
	Problems    []string

	// Spill says that what arrived may never have been on the gateway's disk: a
	// kill forgets it, and the device sends it again as a new message. Resends
	// then need not go through every place of the log.
	Spill bool
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < 20 {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

func (r Report) String() string {
	return fmt.Sprintf("%d acknowledged, %d arrived; duplicates: %d resent by the uplink (one message at most %d times), %d redelivered by devices, %d of either kind in clear",
		r.Acked, r.Arrived, r.Resent, r.Most, r.Redelivered, r.InClear)
}

// Read opens what arrived at the cloud. A secret in clear is a problem of the
// report.
func Read(o *envelope.Opener, got []Packet, r *Report) (arrivals []Arrival) {
	for _, p := range got {
		if bytes.Contains(p.Payload, []byte(Secret)) || strings.Contains(p.Topic, Secret) {
			r.problem("a secret left in clear on %s", p.Topic)
		}
		opened, err := o.Open(p.Topic, p.Payload)
		if err != nil {
			r.problem("%s does not open: %v", p.Topic, err)
			continue
		}
		n, err := Number(opened.Payload)
		if err != nil {
			r.problem("%s: %v", p.Topic, err)
			continue
		}
		arrivals = append(arrivals, Arrival{Topic: strings.TrimPrefix(opened.Topic, Prefix), N: n, ID: opened.Header.MessageID})
	}
	return arrivals
}

// Check holds arrivals against the devices' accounts:
//
//   - what was acknowledged has arrived, and nothing arrived that was not sent;
//   - within a topic, first arrivals are in order and without a gap;
//   - a number arrives under at most as many message ids as the device sent it:
//     a redelivery is a new message, and nothing else makes one;
//   - protected messages of a topic arrive in one order, that of their log:
//     after a resend they go on from an earlier place of that very order
//     (but see Report.Spill).
func Check(devices []*Device, arrivals []Arrival, r *Report) {
	type topicState struct {
		account *Account
		highest int
		ids     []map[[16]byte]bool // by number
		times   map[[16]byte]int    // of arrival
		log     map[[16]byte]int    // place of first arrival
		last    int                 // place of the last arrival
	}
	topics := map[string]*topicState{}
	for _, d := range devices {
		for name, a := range d.Topic {
			topics[name] = &topicState{account: a, highest: -1, ids: make([]map[[16]byte]bool, len(a.Sent)), log: map[[16]byte]int{}, times: map[[16]byte]int{}, last: -1}
		}
	}
	for _, a := range arrivals {
		t := topics[a.Topic]
		if t == nil || a.N >= len(t.account.Sent) {
			r.problem("%s %d arrived and was never sent", a.Topic, a.N)
			continue
		}
		if a.N > t.highest+1 {
			r.problem("%s: %d arrived after %d", a.Topic, a.N, t.highest)
		}
		t.highest = max(t.highest, a.N)
		first := t.ids[a.N] == nil
		if first {
			t.ids[a.N] = map[[16]byte]bool{}
			r.Arrived++
		}
		if a.ID == ([16]byte{}) {
			if !first {
				r.InClear++
			}
			t.ids[a.N][a.ID] = true
			continue
		}
		t.times[a.ID]++
		r.Most = max(r.Most, t.times[a.ID])
		place, again := t.log[a.ID]
		switch {
		case again && !t.ids[a.N][a.ID]:
			r.problem("%s: one message id for %d and another number", a.Topic, a.N)
		case again:
			r.Resent++
			if place > t.last+1 && !r.Spill {
				r.problem("%s: a resend skipped from place %d to %d", a.Topic, t.last, place)
			}
		default:
			place = len(t.log)
			t.log[a.ID] = place
			t.ids[a.N][a.ID] = true
			if !first {
				r.Redelivered++
			}
			if place > t.last+1 && !r.Spill {
				r.problem("%s: %d came in the middle of a resend", a.Topic, a.N)
			}
		}
		t.last = place
	}
	for name, t := range topics {
		for n, ids := range t.ids {
			if t.account.Acked[n] {
				r.Acked++
				if ids == nil {
					r.problem("%s: %d was acknowledged and never arrived", name, n)
				}
			}
			if len(ids) > t.account.Sent[n] {
				r.problem("%s: %d was sent %d times and became %d messages", name, n, t.account.Sent[n], len(ids))
			}
		}
	}
}
