package main

import (
	"context"
	"errors"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// An arrival is a message that a broker sent, not yet answered.
type arrival struct {
	in   mqtt.Message
	done func(error)
	at   time.Time
}

// A waitingRoom is where messages wait, in order, for a grant that travels on
// its own: a broker promises no order between a message and the retained grant
// of its key.
type waitingRoom struct {
	room  []arrival
	bytes int
	until time.Time // a grant did not come in time: before then nothing waits anew
}

const (
	grantPatience = 10 * time.Second // for one grant
	grantPause    = time.Minute      // after one that did not come
	maxWaiting    = 10_000
	maxWaitBytes  = 64 << 20
)

var errWaiting = errors.New("too many messages wait for a grant: subscribe to the grants' topic as well, sg/v1/+/grants/#")

// worth reports whether a message may wait.
func (w *waitingRoom) worth(a arrival) bool {
	return a.at.After(w.until)
}

// add lets a message wait. It is not acknowledged meanwhile, so a broker keeps
// it, and stops sending at the receive maximum.
func (w *waitingRoom) add(a arrival) error {
	if len(w.room) >= maxWaiting || w.bytes+len(a.in.Payload) > maxWaitBytes {
		return errWaiting
	}
	w.room = append(w.room, a)
	w.bytes += len(a.in.Payload)
	return nil
}

// admit opens what waits, in order, up to the first that still lacks its grant
// and has time left. Callers hold mu.
func (p *openSink) admit(ctx context.Context, now time.Time) error {
	w := &p.waiting
	for len(w.room) > 0 && !p.over {
		a := w.room[0]
		m, err := p.s.opener.Open(a.in.Topic, a.in.Payload)
		if envelope.ReasonOf(err) == envelope.ReasonUnknownKey {
			if now.Sub(a.at) < grantPatience {
				return nil
			}
			w.until = now.Add(grantPause)
		}
		w.room, w.bytes = w.room[1:], w.bytes-len(a.in.Payload)
		if err := p.settle(ctx, a, &m, err); err != nil {
			return err
		}
	}
	return nil
}

// watch ends the waiting of messages whose grant does not come, and of all when
// ctx ends.
func (p *openSink) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.mu.Lock()
			_ = p.ended(p.admit(ctx, now)) // told by cancelling
			p.mu.Unlock()
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			p.over = true
			for _, a := range p.waiting.room {
				a.done(errStopped)
			}
			p.waiting.room = nil
			return
		}
	}
}
