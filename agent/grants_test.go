package agent_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

const grantTopics = "sg/v1/plant/grants/gw-1/"

// referring makes a site whose grants travel on their own, and returns the
// cloud's URL.
func referring(t *testing.T) (s *site, url string) {
	s = newSite(t, "")
	s.cfg = strings.Replace(s.cfg, "trust_root: root.json}", "trust_root: root.json, grants: reference}", 1)
	return s, regexp.MustCompile(`mqtt://127[^"]*`).FindString(s.cfg)
}

// retained returns what a broker gives to whoever connects now: its grants.
func retained(t *testing.T, url string, want int) (grants [][]byte) {
	t.Helper()
	sink := &cloudSink{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = mqtt.Subscribe(ctx, mqtt.SubscribeOptions{
			Options: mqtt.Options{URL: url, ClientID: fmt.Sprintf("late-%d", want)}, SessionExpiry: time.Second, Filters: []mqtt.Filter{{Topic: grantTopics + "+", QoS: 1}},
		}, sink)
	}()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		sink.mu.Lock()
		n := len(sink.got)
		sink.mu.Unlock()
		if n >= want {
			break
		}
	}
	cancel()
	<-done
	for _, m := range sink.got {
		grants = append(grants, m.Payload)
	}
	if len(grants) != want {
		t.Fatalf("%d grants are retained, want %d", len(grants), want)
	}
	return grants
}

// TestCryptoShredding: by reference, deleting the one grant of a period, and
// every copy of it, makes the messages of that period unreadable, also to who
// has the private key and kept every message. Other periods stay open.
func TestCryptoShredding(t *testing.T) {
	s, url := referring(t)
	a := s.start(t)
	defer stop(t, a)
	const text = `{"a":1,}` // unreadable: sealed whole
	publish(t, a, mqtt.Message{Topic: "first", Payload: []byte(text), QoS: 1})
	first := s.wait(t, "plant/gw-1/first")
	check(t, a.Reload()) // a new period
	publish(t, a, mqtt.Message{Topic: "second", Payload: []byte(text), QoS: 1})
	second := s.wait(t, "plant/gw-1/second")

	consumer := func(grants [][]byte) (o *envelope.Opener, kids map[crypto.KID]bool) {
		o, err := envelope.NewOpener(envelope.OpenerOptions{Keys: s.keys, Mode: envelope.Archive})
		check(t, err)
		kids = map[crypto.KID]bool{}
		for _, g := range grants {
			kid, err := o.AddGrant(g)
			check(t, err)
			kids[kid] = true
		}
		return o, kids
	}
	o, kids := consumer(retained(t, url, 2))
	var shred crypto.KID
	for _, m := range []mqtt.Message{first, second} {
		got, err := o.Open(m.Topic, m.Payload)
		check(t, err)
		if string(got.Payload) != text || !kids[got.Header.KIDs[0]] {
			t.Fatalf("%s opened to %q", m.Topic, got.Payload)
		}
		if m.Topic == first.Topic {
			shred = got.Header.KIDs[0]
		}
	}

	conn, err := mqtt.Dial(t.Context(), mqtt.Options{URL: url, ClientID: "officer"})
	check(t, err)
	defer conn.Close()
	acked := make(chan mqtt.Ack, 1)
	check(t, conn.Publish(&mqtt.Message{Topic: agent.GrantTopic("plant", "gw-1", shred), QoS: 1, Retain: true}, func(k mqtt.Ack) { acked <- k }))
	check(t, (<-acked).Err)

	o, _ = consumer(retained(t, url, 1))
	if _, err := o.Open(first.Topic, first.Payload); envelope.ReasonOf(err) != envelope.ReasonUnknownKey {
		t.Errorf("a message of the shredded period: %v", err)
	}
	if _, err := o.Open(second.Topic, second.Payload); err != nil {
		t.Errorf("a message of the other period: %v", err)
	}
}

// TestGrantsSurvive: what was sealed by reference while the uplink was down is
// sent behind its grants after a restart, also under another setting.
func TestGrantsSurvive(t *testing.T) {
	s, url := referring(t)
	up := s.cfg
	s.cfg = strings.Replace(up, url, "mqtt://127.0.0.1:9", 1)
	a := s.start(t)
	publish(t, a, mqtt.Message{Topic: "old", Payload: []byte(`{"a":1,}`), QoS: 1})
	stop(t, a)
	s.cfg = strings.Replace(up, "grants: reference", "grants: inline", 1)
	a = s.start(t)
	defer stop(t, a)
	publish(t, a, mqtt.Message{Topic: "new", Payload: []byte(`{"a":1,}`), QoS: 1})
	s.wait(t, "plant/gw-1/new")
	o, err := envelope.NewOpener(envelope.OpenerOptions{Keys: s.keys, Mode: envelope.Archive})
	check(t, err)
	grants := 0
	for _, m := range s.cloud.got {
		if strings.HasPrefix(m.Topic, grantTopics) {
			grants++
			_, err := o.AddGrant(m.Payload)
			check(t, err)
			continue
		}
		if _, err := o.Open(m.Topic, m.Payload); err != nil {
			t.Errorf("%s: %v", m.Topic, err)
		}
	}
	if grants != 1 {
		t.Errorf("%d grants, want that of the first start", grants)
	}
}
