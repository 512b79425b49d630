package envelope

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func TestReplay(t *testing.T) {
	p := newParties(t)
	boot := func(b uint64) *Sealer {
		return must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: b, Recipients: []Recipient{{Recipient: p.key.Recipient()}}}))
	}
	seal := func(s *Sealer, stream Stream, seq uint64) []byte {
		st := testStamp()
		st.Stream, st.Seq = stream, seq
		return must(must(s.Lease(1, 1)).SealMessage(nil, st, []byte("m"), EncodingCOSE))
	}
	one, two := boot(1), boot(2)
	a, b := Stream{Uplink: 1}, Stream{Uplink: 1, Lane: 1}
	open := func(o *Opener, msg []byte, want Freshness) {
		t.Helper()
		got, err := o.Open("site/gate/3", msg)
		if err != nil || got.Freshness != want {
			t.Errorf("%v, %v; want %v", got.Freshness, err, want)
		}
	}
	replay := func(o *Opener, msg []byte) {
		t.Helper()
		_, err := o.Open("site/gate/3", msg)
		wantReason(t, err, ReasonReplay)
	}
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, Window: 4}))
	m := map[uint64][]byte{}
	for _, seq := range []uint64{1, 5, 1 << 62, 7, 6} {
		m[seq] = seal(one, a, seq)
	}
	open(o, m[1], New)
	open(o, m[1], Duplicate)
	replay(o, seal(one, a, 1)) // the same place, other bytes
	open(o, m[5], New)         // gaps are normal
	open(o, m[1<<62], New)
	open(o, m[7], New) // out of order, within what is remembered
	open(o, m[5], Duplicate)
	before := o.State()
	open(o, m[6], New) // pushes out 1
	replay(o, m[1])
	open(o, seal(one, b, 1), New) // another stream
	open(o, seal(two, a, 1), New)
	open(o, seal(one, a, 8), Late)
	replay(o, seal(one, a, 8))
	open(o, m[6], Duplicate)

	// A state stored with the output puts the opener back to it.
	restored := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, Window: 4}))
	if err := restored.RestoreState(before); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(restored.State(), before) {
		t.Error("the state is another after restoring")
	}
	open(restored, m[5], Duplicate)
	open(restored, m[1], Duplicate)
	open(restored, m[6], New)
	replay(restored, m[1])

	// A smaller window keeps the latest.
	small := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, Window: 1}))
	if err := small.RestoreState(before); err != nil {
		t.Fatal(err)
	}
	replay(small, m[7])
	open(small, m[1<<62], Duplicate)

	for i := range before {
		if err := restored.RestoreState(before[:i]); err == nil {
			t.Errorf("a state cut at %d was restored", i)
		}
	}
	if err := restored.RestoreState(append(slices.Clone(before), 0)); err == nil {
		t.Error("a state with a byte more was restored")
	}
	open(restored, m[6], Duplicate) // failed restores changed nothing

	archive := p.archive(t)
	open(archive, m[1], Unchecked)
	open(archive, m[1], Unchecked)
	if archive.State() != nil || archive.RestoreState(before) == nil {
		t.Error("an archive opener has a state")
	}
}

func TestRefusedMessagesLeaveNoTrace(t *testing.T) {
	p := newParties(t)
	o := p.live(t)
	empty := o.State()
	msg := p.message(testStamp(), "m", EncodingCOSE)
	bad := slices.Clone(msg)
	bad[len(bad)-1] ^= 1
	if _, err := o.Open("site/gate/3", bad); err == nil {
		t.Error("a changed message was opened")
	}
	_, err := o.Open("another/topic", msg)
	wantReason(t, err, ReasonTopic)
	if !bytes.Equal(o.State(), empty) {
		t.Error("refused messages changed the state")
	}
	if got, err := o.Open("site/gate/3", msg); err != nil || got.Freshness != New {
		t.Errorf("%v, %v", got.Freshness, err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	p := newParties(t)
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, MaxStreams: 3}))
	place := func(boot uint64, shard uint32, seq uint64) (Freshness, error) {
		return o.replay.check(&Header{Gateway: "gw-1", Boot: boot, Stream: Stream{Shard: shard}, Seq: seq}, []byte("m"))
	}
	expect := func(want Freshness, boot uint64, shard uint32, seq uint64) {
		t.Helper()
		if got, err := place(boot, shard, seq); err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	expect(New, 1, 0, 1)
	expect(New, 1, 1, 1)
	expect(New, 2, 0, 1)
	expect(Duplicate, 1, 0, 1) // in use: boot 1, shard 1 goes first
	expect(New, 2, 1, 1)
	expect(Late, 1, 0, 2)
	if _, err := place(1, 1, 1); ReasonOf(err) != ReasonReplay {
		t.Errorf("a forgotten stream: %v", err)
	}
	expect(New, 2, 2, 1) // boot 1, shard 0 goes
	_, err := place(2, 3, 1)
	wantReason(t, err, ReasonStateFull)
	expect(Duplicate, 2, 1, 1)
	_, err = place(1, 0, 9)
	wantReason(t, err, ReasonReplay)
	state := o.State()
	if err := o.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	_, err = place(1, 0, 9)
	wantReason(t, err, ReasonReplay)
	tight := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, MaxStreams: 2}))
	if tight.RestoreState(state) == nil {
		t.Error("more streams than allowed were restored")
	}
}

// TestForgettingIsForGood: a later boot may be forgotten before an earlier one,
// and stays so.
func TestForgettingIsForGood(t *testing.T) {
	r := newReplayState(4, 2)
	place := func(boot uint64, shard uint32) (Freshness, error) {
		return r.check(&Header{Gateway: "gw-1", Boot: boot, Stream: Stream{Shard: shard}, Seq: 1}, []byte("m"))
	}
	for _, step := range []struct {
		boot  uint64
		shard uint32
		want  Freshness
	}{{2, 0, New}, {1, 0, Late}, {3, 0, New}, {3, 1, New}} { // 3/0 pushes out 2/0, 3/1 pushes out 1/0
		if got, err := place(step.boot, step.shard); err != nil || got != step.want {
			t.Fatalf("boot %d: %v, %v", step.boot, got, err)
		}
	}
	for boot := uint64(1); boot <= 2; boot++ {
		_, err := place(boot, 0)
		wantReason(t, err, ReasonReplay)
	}
}

// TestLongOutage: 72 hours offline with a reboot inside, then everything is
// delivered at once, new messages before the backlog. Nothing is refused.
func TestLongOutage(t *testing.T) {
	p := newParties(t)
	clock := &testClock{wall: time.Unix(1_800_000_000, 0)}
	type sent struct {
		msg  []byte
		late bool
	}
	var backlog, fresh []sent
	for boot := uint64(1); boot <= 2; boot++ {
		s := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: boot, Clock: clock.read,
			Recipients: []Recipient{{Recipient: p.key.Recipient()}}}))
		for seq := range uint64(144) {
			clock.pass(15 * time.Minute)
			st := testStamp()
			st.Seq = seq * 100
			msg := must(must(s.Lease(1, 1)).SealMessage(nil, st, []byte("m"), EncodingCOSE))
			if boot == 1 {
				backlog = append(backlog, sent{msg, true})
			} else {
				fresh = append(fresh, sent{msg, false})
			}
		}
	}
	o := p.live(t)
	for _, m := range append(fresh, backlog...) {
		got, err := o.Open("site/gate/3", m.msg)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]Freshness{true: Late, false: New}[m.late]; got.Freshness != want {
			t.Fatalf("freshness %v, want %v", got.Freshness, want)
		}
	}
}

func TestConcurrentOpen(t *testing.T) {
	p := newParties(t)
	o := p.live(t)
	var msgs [][]byte
	for i := range 20 {
		st := testStamp()
		st.Seq = uint64(i)
		msgs = append(msgs, p.document(st, `{"a":null}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}}))
	}
	var fresh, again atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, m := range msgs {
				got, err := o.Open("site/gate/3", m)
				switch {
				case err != nil:
					t.Error(err)
				case got.Freshness == New:
					fresh.Add(1)
				case got.Freshness == Duplicate:
					again.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 20 || again.Load() != 140 {
		t.Errorf("%d new, %d duplicates", fresh.Load(), again.Load())
	}
}
