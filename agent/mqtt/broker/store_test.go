package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/crypto"
)

func newKey(t testing.TB) *crypto.SecretKey {
	t.Helper()
	k, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fill makes state of every kind: a retained message, one that was deleted, a
// session that is away with two messages queued, a QoS 2 message between PUBREC
// and PUBREL, the will of a client that is connected, and a delayed one.
func fill(t *testing.T, b *Broker, addr string) {
	t.Helper()
	r, _ := connect(t, addr, 5, hello{id: "away", keep: true, expiry: 600})
	r.subscribe(1, "q/#", 1)
	_ = r.Close()
	eventually(t, "client gone", func() bool { return b.Stats().Clients == 0 })
	d, _ := connect(t, addr, 4, hello{id: "device", keep: true, willTopic: "will/now", will: "SECRET will now", willQoS: 1})
	d.publish("r/keep", "SECRET retained", 1, 1, retain)
	d.want(4, 1, 0)
	d.publish("r/drop", "SECRET deleted", 1, 2, retain)
	d.want(4, 2, 0)
	d.publish("r/drop", "", 1, 3, retain)
	d.want(4, 3, 0)
	for i := range uint16(2) {
		d.publish("q/x", fmt.Sprint("SECRET queued ", i), 1, 4+i, 0)
		d.want(4, 4+i, 0)
	}
	d.publish("two", "SECRET two", 2, 6, 0)
	d.want(5, 6, 0)
	l, _ := connect(t, addr, 5, hello{id: "late", keep: true, expiry: 600, willTopic: "will/late", will: "SECRET will late", willDelay: 300})
	_ = l.Close()
	eventually(t, "client gone", func() bool { return b.Stats().Clients == 1 })
}

// check wants what fill made. The connected client came back or not.
func check(t *testing.T, b *Broker, addr string) {
	t.Helper()
	c, _ := connect(t, addr, 5, hello{id: "check"})
	c.subscribe(1, "r/#", 0)
	if topic, payload, _, first := c.message(); topic != "r/keep" || payload != "SECRET retained" || first&retain == 0 {
		t.Errorf("retained: %q %q", topic, payload)
	}
	c.silent()
	r, present := connect(t, addr, 5, hello{id: "away", keep: true, expiry: 600})
	if !present {
		t.Fatal("session is gone")
	}
	for i := range 2 {
		if _, payload, id, _ := r.message(); payload != fmt.Sprint("SECRET queued ", i) {
			t.Errorf("queued message %d: %q", i, payload)
		} else {
			r.ack(0x40, id)
		}
	}
	c.publish("q/new", "new", 1, 1, 0) // its subscription is there
	if _, payload, _, _ := r.message(); payload != "new" {
		t.Errorf("new message: %q", payload)
	}
	b.mu.Lock()
	wills := map[string]bool{}
	for w := range b.wills {
		wills[w.packet.TopicName] = true
	}
	b.mu.Unlock()
	if !wills["will/late"] {
		t.Errorf("delayed wills: %v", wills)
	}
	d, present := connect(t, addr, 4, hello{id: "device", keep: true})
	if !present {
		t.Error("session of the device is gone")
	}
	d.publish("two", "SECRET two", 2, 6, dup) // a redelivery: taken before
	d.want(5, 6, 0)
	d.ack(0x62, 6)
	d.want(7, 6, 0)
	if n := b.Stats().Duplicates; n != 1 {
		t.Errorf("%d duplicates, want 1", n)
	}
}

func restart(t *testing.T, dir string, key *crypto.SecretKey) (*Broker, string, *sink) {
	t.Helper()
	s := newSink()
	b, addr := start(t, s, func(o *Options) {
		o.StateDir, o.Key, o.WriteBehind = dir, key, 5*time.Millisecond
	})
	return b, addr, s
}

func closeNow(t *testing.T, b *Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestStateSurvivesClose(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	b, addr, s := restart(t, dir, key)
	fill(t, b, addr)
	closeNow(t, b)
	sent := s.messages()
	if last := sent[len(sent)-1]; string(last.Payload) != "SECRET will now" {
		t.Errorf("the will of a client that was connected: sink got %q last", last.Payload)
	}
	for range 2 { // and a second time, from the file that the first restart wrote
		b, _, _ = restart(t, dir, key)
		closeNow(t, b)
	}
	b, addr, s = restart(t, dir, key)
	check(t, b, addr)
	for _, m := range s.messages() {
		if m.Topic != "q/new" {
			t.Errorf("sink got %q after the restart", m.Topic)
		}
	}
}

// TestStateSurvivesCrash takes the file as a crash would leave it.
func TestStateSurvivesCrash(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	b, addr, _ := restart(t, dir, key)
	fill(t, b, addr)
	time.Sleep(100 * time.Millisecond) // the write-behind, many times over
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("SECRET")) || bytes.Contains(raw, []byte("r/keep")) || bytes.Contains(raw, []byte("device")) {
		t.Error("the state file holds plaintext")
	}
	crash := t.TempDir()
	write := func(p []byte) {
		if err := os.WriteFile(filepath.Join(crash, stateFile), p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(raw)
	b2, addr2, s2 := restart(t, crash, key)
	b2.mu.Lock()
	var now *will
	for w := range b2.wills {
		if w.packet.TopicName == "will/now" {
			now = w
		}
	}
	b2.mu.Unlock()
	if now == nil || !now.restored || time.Until(now.due) > restoredWill {
		t.Fatalf("will of the client that was connected: %+v", now)
	}
	b2.publishDueWills(now.due) // it does not come back
	if m := s2.wait(t, 1)[0]; string(m.Payload) != "SECRET will now" {
		t.Errorf("sink got %q", m.Payload)
	}
	check(t, b2, addr2)

	// Cut anywhere, it starts with what is whole before the cut.
	for cut := len(raw) - 1; cut > stateHeader; cut -= 97 {
		write(raw[:cut])
		b, _, _ := restart(t, crash, key)
		if b.Stats().StoreErrors != 0 && cut > stateHeader+100 {
			t.Errorf("cut at %d: %d store errors", cut, b.Stats().StoreErrors)
		}
		closeNow(t, b)
	}
}

func TestStateUnreadable(t *testing.T) {
	dir := t.TempDir()
	b, addr, _ := restart(t, dir, newKey(t))
	fill(t, b, addr)
	closeNow(t, b)
	before, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	b, _, _ = restart(t, dir, newKey(t)) // another key
	if st := b.Stats(); st.Retained > 30 || st.Sessions != 0 || st.StoreErrors != 1 {
		t.Errorf("stats %+v", st)
	}
	kept, err := os.ReadFile(filepath.Join(dir, stateFile+".unreadable"))
	if err != nil || !bytes.Equal(kept, before) {
		t.Errorf("the file was not kept: %v", err)
	}
	if _, err := New(Options{Sink: newSink(), StateDir: dir}); err == nil {
		t.Error("state without a key: no error")
	}
}

// TestStateOfAnotherVersion: a downgrade over a new format loses nothing.
func TestStateOfAnotherVersion(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	b, addr, _ := restart(t, dir, key)
	fill(t, b, addr)
	closeNow(t, b)
	path := filepath.Join(dir, stateFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[4] = stateVersion + 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Sink: newSink(), StateDir: dir, Key: key}); !errors.Is(err, errStateVersion) {
		t.Errorf("New: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, raw) {
		t.Errorf("the file was touched: %v", err)
	}
}

func TestStateCompacts(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	b, addr, _ := restart(t, dir, key)
	d, _ := connect(t, addr, 4, hello{id: "d"})
	for i := range uint16(60) {
		d.publish("r", fmt.Sprint(i, string(bytes.Repeat([]byte("x"), 50_000))), 1, 1+i, retain)
		d.want(4, 1+i, 0)
		time.Sleep(7 * time.Millisecond)
	}
	closeNow(t, b)
	st, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() > compactFloor+200_000 {
		t.Errorf("the file has %d bytes for one retained message of 50,000", st.Size())
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	b, _, _ = restart(t, dir, key)
	if got := b.srv.Topics.Messages("r"); len(got) != 1 || !bytes.HasPrefix(got[0].Payload, []byte("59")) {
		t.Errorf("%d retained messages after the restart", len(got))
	}
}

// FuzzRestore feeds a broker with what a record might hold: whoever wrote it had
// the key, and still it must not crash.
func FuzzRestore(f *testing.F) {
	add := func(cs ...change) {
		var plain []byte
		for _, c := range cs {
			p, err := cbor.Marshal(c)
			if err != nil {
				f.Fatal(err)
			}
			plain = append(plain, p...)
		}
		f.Add(plain)
	}
	m := &storedMessage{Topic: "a", Payload: []byte("x"), Type: 3, QoS: 1, Retain: true, User: [][2]string{{"k", "v"}}}
	add(change{Kind: setRetained, Message: m}, change{Kind: dropRetained, Key: "a"})
	add(change{Kind: setSession, Key: "c", Epoch: 1, Session: &storedSession{User: "u", Version: 5, Received: []uint16{1}, Subs: []storedFilter{{Filter: "a/#", QoS: 1}}}},
		change{Kind: setQueued, Key: "c", Epoch: 1, ID: 1, Message: m}, change{Kind: dropQueued, Key: "c", Epoch: 1, ID: 2}, change{Kind: dropSession, Key: "d"})
	add(change{Kind: setWill, Key: "c", Epoch: 9, Message: m, Delay: time.Second}, change{Kind: dropWill, Epoch: 8})
	key, err := crypto.InsecureSecretKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		cs, err := decodeChanges(nil, plain)
		if err != nil {
			return
		}
		b, err := New(Options{Sink: newSink(), StateDir: t.TempDir(), Key: key})
		if err != nil {
			t.Fatal(err)
		}
		b.restore(cs)
		closeNow(t, b)
	})
}

func FuzzReadState(f *testing.F) {
	key, err := crypto.InsecureSecretKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	b, err := New(Options{Sink: newSink(), StateDir: dir, Key: key})
	if err != nil {
		f.Fatal(err)
	}
	if err := b.Close(context.Background()); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-1])
	f.Add(raw[:stateHeader])
	f.Add([]byte(stateMagic))
	f.Add(append(bytes.Clone(raw), 0xff, 0xff, 0xff, 0xff, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		cs, whole, err := readState(key, p)
		if whole && err != nil || err != nil && len(cs) > 0 && whole {
			t.Errorf("whole and %v", err)
		}
	})
}
