package corridor_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// ledger is the part of Grants that a restart needs, in memory.
type ledger struct {
	mu         sync.Mutex
	noted      []crypto.KID
	forgotten  []crypto.KID
	over       bool // every grant's time is over
	unretained int
}

func (l *ledger) grants() *corridor.Grants {
	lock := func(f func()) { l.mu.Lock(); defer l.mu.Unlock(); f() }
	return &corridor.Grants{
		Topic:  func(kid crypto.KID) string { return "sg/v1/site/grants/gw/" + kid.String() },
		Expiry: time.Hour,
		Note: func(kid crypto.KID) error {
			lock(func() {
				if !slices.Contains(l.noted, kid) {
					l.noted = append(l.noted, kid)
				}
			})
			return nil
		},
		Expired: func() (old []crypto.KID) {
			lock(func() {
				if l.over {
					old = slices.DeleteFunc(slices.Clone(l.noted), func(k crypto.KID) bool { return slices.Contains(l.forgotten, k) })
				}
			})
			return old
		},
		Forget: func(kids ...crypto.KID) error {
			lock(func() { l.forgotten = append(l.forgotten, kids...) })
			return nil
		},
		Alarm: func(unretained bool) {
			lock(func() {
				if unretained {
					l.unretained++
				}
			})
		},
	}
}

// referring makes a gateway whose messages refer to their grants.
func referring(t *testing.T, c *cloud, l *ledger) *gateway {
	return newGateway(t, c, func(g *gateway) *corridor.Generation {
		g.refer, g.grants = true, l.grants()
		return g.generation("", true)
	})
}

const broken = `{"a":1,}` // sealed whole

// kidsIn returns the keys of a sealed message: its header names them.
func kidsIn(t *testing.T, m *mqtt.Message, noted []crypto.KID) (found []crypto.KID) {
	t.Helper()
	for _, k := range noted {
		if strings.Contains(string(m.Payload), string(k[:])) {
			found = append(found, k)
		}
	}
	return found
}

// TestGrantsByReference: each grant is acknowledged, retained, before the first
// message under its key is sent; again on each connection; also when a rotation
// comes in between, and connections are cut.
func TestGrantsByReference(t *testing.T) {
	c, l := &cloud{}, &ledger{}
	c.mood = func(n int, m *mqtt.Message) mood {
		if n%13 == 0 {
			return cut
		}
		return acknowledge
	}
	g := referring(t, c, l)
	for i := range 60 {
		if i%20 == 19 {
			g.corridor.Generation().Protector.Rotate()
		}
		if err := g.publish(t.Context(), fmt.Sprintf("t/%d", i), broken); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "60 messages", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged >= 60 })
	if len(l.noted) < 3 {
		t.Fatalf("%d keys", len(l.noted))
	}
	known := map[crypto.KID]bool{}
	for n, m := range c.messages() {
		if kid, is := strings.CutPrefix(m.Topic, "sg/v1/site/grants/gw/"); is {
			i := slices.IndexFunc(l.noted, func(k crypto.KID) bool { return k.String() == kid })
			if i < 0 || !m.Retain || m.QoS != 1 || m.Expiry != time.Hour || len(m.Payload) == 0 {
				t.Fatalf("grant %s: retain %v, QoS %d, noted %d", kid, m.Retain, m.QoS, i)
			}
			if (n+1)%13 != 0 { // it was acknowledged
				known[l.noted[i]] = true
			}
			continue
		}
		kids := kidsIn(t, &m, l.noted)
		if len(kids) != 1 || !known[kids[0]] {
			t.Fatalf("message %d left before its grant was acknowledged", n)
		}
	}
}

// TestGrantRefused: a broker that takes no retained message gets grants without
// the flag, before the messages, and an alarm says so; none is quarantined, and
// neither is a message because of one.
func TestGrantRefused(t *testing.T) {
	for name, no := range map[string]mood{"by reason code": refuse, "by ending the connection": cut} {
		t.Run(name, func(t *testing.T) {
			c, l := &cloud{}, &ledger{}
			c.mood = func(_ int, m *mqtt.Message) mood {
				if m.Retain {
					return no
				}
				return acknowledge
			}
			g := referring(t, c, l)
			for i := range 20 {
				if err := g.publish(t.Context(), fmt.Sprintf("t/%d", i), broken); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "20 messages", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged >= 20 })
			if st := g.corridor.Stats().Uplinks[0]; st.Quarantined > 0 {
				t.Errorf("%d messages went to quarantine", st.Quarantined)
			}
			if l.unretained == 0 {
				t.Error("no alarm")
			}
			granted, messages := false, 0
			for _, m := range c.messages() {
				switch {
				case !strings.HasPrefix(m.Topic, "sg/"):
					if messages++; !granted {
						t.Fatal("a message left before its grant")
					}
				case !m.Retain:
					granted = true
				}
			}
			if messages != 20 {
				t.Errorf("%d messages", messages)
			}
		})
	}
}

// TestGrantExpires: a retained grant whose time is over is deleted at the
// broker, unless a record in the spool still needs it.
func TestGrantExpires(t *testing.T) {
	c, l := &cloud{}, &ledger{}
	g := referring(t, c, l)
	if err := g.publish(t.Context(), "t", broken); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a message", func() bool { return g.corridor.Stats().Uplinks[0].Acknowledged == 1 })
	l.mu.Lock()
	gone := crypto.KID{1} // of an earlier start: no record needs it
	l.noted, l.over = append([]crypto.KID{gone}, l.noted...), true
	l.mu.Unlock()
	g.corridor.Generation().Protector.Rotate()
	if err := g.publish(t.Context(), "t", broken); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deletion", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.forgotten) > 0 })
	if !slices.Equal(l.forgotten, []crypto.KID{gone}) {
		t.Errorf("forgotten: %v", l.forgotten)
	}
	deleted := 0
	for _, m := range c.messages() {
		if strings.HasPrefix(m.Topic, "sg/") && len(m.Payload) == 0 {
			if deleted++; !m.Retain || !strings.HasSuffix(m.Topic, gone.String()) {
				t.Errorf("deleted %s", m.Topic)
			}
		}
	}
	if deleted != 1 {
		t.Errorf("%d deletions", deleted)
	}
}

// TestInlineStoresNoGrant: what travels inside needs no record of its own.
func TestInlineStoresNoGrant(t *testing.T) {
	c := &cloud{}
	g := newGateway(t, c, builtIn)
	if err := g.publish(t.Context(), "t", broken); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a message", func() bool { return c.count() == 1 })
	if m := c.messages()[0]; m.Topic != "site/t" {
		t.Errorf("the first message is on %s", m.Topic)
	}
	for range g.spool.Grants(0) {
		t.Error("a grant is in the control log")
	}
	o := must[*envelope.Opener](t)(envelope.NewOpener(envelope.OpenerOptions{Mode: envelope.Archive, Keys: []*crypto.RecipientKey{must[*crypto.RecipientKey](t)(crypto.GenerateRecipientKey(crypto.KEMX25519))}}))
	if _, err := o.Open("", c.messages()[0].Payload); envelope.ReasonOf(err) != envelope.ReasonNoRecipient {
		t.Errorf("the grant is not inside: %v", err)
	}
}
