package corridor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
)

// TestLaneShares: where messages wait in every lane they leave eight, three and
// one at a time, each lane in its own order.
func TestLaneShares(t *testing.T) {
	c := &cloud{}
	var up atomic.Bool
	g := newGatewayWith(t, func(g *gateway) *corridor.Generation {
		return g.generation(lanes("topic", "high", "normal", "low"), true)
	},
		func(u *corridor.Uplink) {
			u.Window = 200
			u.Dial = func(ctx context.Context) (mqtt.Conn, error) {
				if !up.Load() {
					return nil, errors.New("down")
				}
				return c.dial(ctx)
			}
		})
	const each, turns = 40, 5
	for n := range each {
		for lane := range 3 {
			if err := g.publish(t.Context(), fmt.Sprintf("line/%d", lane), fmt.Sprintf(`{"n":%d}`, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	up.Store(true)
	eventually(t, "everything has arrived", func() bool { return c.count() == 3*each })
	got := c.messages()
	if complete := inOrder(t, got, each); complete != 3 {
		t.Errorf("%d lanes are complete", complete)
	}
	for i, m := range got[:12*turns] {
		want := "site/line/0"
		switch at := i % 12; {
		case at == 11:
			want = "site/line/2"
		case at >= 8:
			want = "site/line/1"
		}
		if m.Topic != want {
			t.Fatalf("message %d of turn %d is of %s, want %s", i%12, i/12, m.Topic, want)
		}
	}
}

// A waitingConn acknowledges nothing until limit messages are under way.
type waitingConn struct {
	window int // Receive Maximum; 0: the broker has none
	limit  int

	mu    sync.Mutex
	under []func(mqtt.Ack)
	most  int
	got   int
}

func (k *waitingConn) Publish(_ *mqtt.Message, acked func(mqtt.Ack)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.got++
	k.under = append(k.under, acked)
	k.most = max(k.most, len(k.under))
	if len(k.under) == k.limit {
		time.AfterFunc(5*time.Millisecond, func() { // one more would come meanwhile
			k.mu.Lock()
			all := k.under
			k.under = nil
			k.mu.Unlock()
			for _, acked := range all {
				acked(mqtt.Ack{})
			}
		})
	}
	return nil
}

func (k *waitingConn) Done() <-chan error  { return nil }
func (k *waitingConn) Close() error        { return nil }
func (k *waitingConn) Limits() mqtt.Limits { return mqtt.Limits{Window: k.window} }

// TestWindowBounds: no more is under way than the window permits, in messages
// and in bytes, and no more than the broker's Receive Maximum.
func TestWindowBounds(t *testing.T) {
	const total = 24
	const payload = `{"n":1}` // leaves as it is
	for name, x := range map[string]struct {
		messages, bytes, receive int
		want                     int
	}{
		"messages":        {messages: 4, want: 4},
		"bytes":           {messages: 100, bytes: 2*len(payload) + 1, want: 3}, // the third passes the bound
		"receive maximum": {messages: 100, receive: 2, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			k := &waitingConn{window: x.receive, limit: x.want}
			g := newGatewayWith(t, func(g *gateway) *corridor.Generation { return g.generation(lanes("topic", "normal"), true) },
				func(u *corridor.Uplink) {
					u.Window, u.WindowBytes, u.AckTimeout = x.messages, x.bytes, time.Minute
					u.Dial = func(context.Context) (mqtt.Conn, error) { return k, nil }
				})
			for range total {
				if err := g.publish(t.Context(), "line/0", payload); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "everything is acknowledged", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == total })
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.most != x.want || k.got != total {
				t.Errorf("%d of %d under way at once, want %d", k.most, k.got, x.want)
			}
		})
	}
}
