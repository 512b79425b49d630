package envelope

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sealgate/sealgate/classify/payload"
)

// Freshness is what a Live opener knows about a message it has opened.
type Freshness uint8

// The freshnesses. A replay is an error instead, with ReasonReplay.
const (
	Unchecked Freshness = iota // Archive mode, or a message in clear
	New                        // first time at this place of its stream
	Late                       // first time, of an earlier boot than the latest seen
	Duplicate                  // the same bytes were opened before: an uplink or broker sent again
)

// String returns "unchecked", "new", "late" or "duplicate".
func (f Freshness) String() string { return [...]string{"unchecked", "new", "late", "duplicate"}[f] }

// ReasonStateFull says that a new stream can't be remembered: every stream
// within OpenerOptions.MaxStreams belongs to the current boot of its gateway.
const ReasonStateFull payload.Reason = "state_full"

// replayState is what a Live opener remembers: for each stream the latest
// messages, by sequence number. It is in numbers seen rather than numbers
// passed, because gaps are normal.
type replayState struct {
	window, maxStreams int

	mu       sync.Mutex // guards the rest
	gateways map[string]*bootRange
	streams  map[streamKey]*list.Element
	recent   *list.List // of *window, the latest used first
}

// A bootRange says which boots of a gateway are known.
type bootRange struct {
	latest    uint64
	forgotten uint64 // streams of boots below this may have been forgotten
}

type streamKey struct {
	gateway string
	boot    uint64
	stream  Stream
}

// A window is the latest messages of one stream, by ascending seq.
type window struct {
	key   streamKey
	floor uint64 // no seq below this is remembered
	seen  []seenMessage
}

type seenMessage struct {
	seq    uint64
	digest uint64 // of the bytes, shortened: only somebody with the data key can choose them
}

func newReplayState(window, maxStreams int) *replayState {
	return &replayState{
		window: window, maxStreams: maxStreams,
		gateways: map[string]*bootRange{}, streams: map[streamKey]*list.Element{}, recent: list.New(),
	}
}

func digestOf(message []byte) uint64 {
	sum := sha256.Sum256(message)
	return binary.BigEndian.Uint64(sum[:])
}

// check places an authentic message in its stream.
func (r *replayState) check(h *Header, message []byte) (Freshness, error) {
	digest := digestOf(message)
	key := streamKey{h.Gateway, h.Boot, h.Stream}
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gateways[h.Gateway]
	if g == nil {
		g = &bootRange{latest: h.Boot}
		r.gateways[h.Gateway] = g
	}
	g.latest = max(g.latest, h.Boot)
	e := r.streams[key]
	if e == nil {
		if h.Boot < g.forgotten {
			return 0, refuse(ReasonReplay, "message")
		}
		if r.recent.Len() >= r.maxStreams && !r.forgetOne() {
			return 0, refuse(ReasonStateFull, "message")
		}
		e = r.recent.PushFront(&window{key: key})
		r.streams[key] = e
	}
	r.recent.MoveToFront(e)
	found, err := e.Value.(*window).place(h.Seq, digest, r.window)
	if err != nil {
		return 0, err
	}
	if found == New && h.Boot < g.latest {
		found = Late
	}
	return found, nil
}

// forgetOne drops the stream that was not used for longest, among those of
// earlier boots.
func (r *replayState) forgetOne() bool {
	for e := r.recent.Back(); e != nil; e = e.Prev() {
		key := e.Value.(*window).key
		g := r.gateways[key.gateway]
		if key.boot < g.latest {
			g.forgotten = max(g.forgotten, key.boot+1)
			r.recent.Remove(e)
			delete(r.streams, key)
			return true
		}
	}
	return false
}

func (w *window) place(seq, digest uint64, limit int) (Freshness, error) {
	i, found := slices.BinarySearchFunc(w.seen, seq, func(m seenMessage, seq uint64) int { return cmp.Compare(m.seq, seq) })
	if found {
		if w.seen[i].digest == digest {
			return Duplicate, nil
		}
		return 0, refuse(ReasonReplay, "message")
	}
	if seq < w.floor {
		return 0, refuse(ReasonReplay, "message")
	}
	w.seen = slices.Insert(w.seen, i, seenMessage{seq, digest})
	if len(w.seen) > limit {
		w.floor = w.seen[0].seq + 1
		w.seen = slices.Delete(w.seen, 0, 1)
	}
	return New, nil
}

const stateVersion = 1

// State returns what a Live opener remembers, as deterministic CBOR. Store it
// together with what the opened messages were turned into: an older state than
// the output lets messages in twice, a newer one calls messages duplicates that
// never got out. It is not authenticated; who can write it can hide replays.
func (o *Opener) State() []byte {
	if o.replay == nil {
		return nil
	}
	r := o.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.gateways))
	for name := range r.gateways {
		names = append(names, name)
	}
	slices.Sort(names)
	b := appendHead(nil, majorArray, 3)
	b = appendUint(b, stateVersion)
	b = appendHead(b, majorArray, uint64(len(names)))
	for _, name := range names {
		b = appendHead(b, majorArray, 3)
		b = appendText(b, name)
		b = appendUint(b, r.gateways[name].latest)
		b = appendUint(b, r.gateways[name].forgotten)
	}
	b = appendHead(b, majorArray, uint64(r.recent.Len()))
	for e := r.recent.Back(); e != nil; e = e.Prev() { // the order of use is part of the state
		w := e.Value.(*window)
		b = appendHead(b, majorArray, 7)
		b = appendText(b, w.key.gateway)
		b = appendUint(b, w.key.boot)
		b = appendUint(b, uint64(w.key.stream.Uplink))
		b = appendUint(b, uint64(w.key.stream.Lane))
		b = appendUint(b, uint64(w.key.stream.Shard))
		b = appendUint(b, w.floor)
		b = appendHead(b, majorBytes, uint64(16*len(w.seen)))
		for _, m := range w.seen {
			b = binary.BigEndian.AppendUint64(b, m.seq)
			b = binary.BigEndian.AppendUint64(b, m.digest)
		}
	}
	return b
}

// RestoreState takes back what State returned. On error the opener is as it was
// before.
func (o *Opener) RestoreState(b []byte) error {
	if o.replay == nil {
		return errors.New("restore state: an archive opener has none")
	}
	fresh := newReplayState(o.options.Window, o.options.MaxStreams)
	if !fresh.read(&cursor{b: b}) {
		return errors.New("restore state: malformed")
	}
	if fresh.recent.Len() > fresh.maxStreams {
		return fmt.Errorf("restore state: %d streams are more than the limit %d", fresh.recent.Len(), fresh.maxStreams)
	}
	r := o.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gateways, r.streams, r.recent = fresh.gateways, fresh.streams, fresh.recent
	return nil
}

func (r *replayState) read(c *cursor) bool {
	c.array(3, 3)
	c.is(c.uint() == stateVersion)
	for range c.array(0, len(c.b)) {
		c.array(3, 3)
		name := c.text(1, maxName)
		g := &bootRange{latest: c.uintMax(maxCount), forgotten: c.uintMax(maxCount)}
		c.is(r.gateways[name] == nil && g.forgotten <= g.latest)
		if c.bad {
			return false
		}
		r.gateways[name] = g
	}
	for range c.array(0, len(c.b)) {
		w := c.window(r.window)
		if c.bad || r.streams[w.key] != nil || r.gateways[w.key.gateway] == nil || w.key.boot > r.gateways[w.key.gateway].latest {
			return false
		}
		r.streams[w.key] = r.recent.PushFront(w)
	}
	return c.done()
}

// window reads one window, and keeps the latest limit messages of it.
func (c *cursor) window(limit int) *window {
	const max32 = 1<<32 - 1
	c.array(7, 7)
	w := &window{}
	w.key.gateway = c.text(1, maxName)
	w.key.boot = c.uintMax(maxCount)
	w.key.stream = Stream{uint32(c.uintMax(max32)), uint32(c.uintMax(max32)), uint32(c.uintMax(max32))}
	w.floor = c.uintMax(maxCount + 1)
	b := c.bytes(0, len(c.b))
	c.is(len(b)%16 == 0)
	for ; len(b) >= 16; b = b[16:] {
		m := seenMessage{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
		c.is(m.seq >= w.floor && m.seq <= maxCount && (len(w.seen) == 0 || w.seen[len(w.seen)-1].seq < m.seq))
		w.seen = append(w.seen, m)
	}
	if extra := len(w.seen) - limit; extra > 0 {
		w.floor = w.seen[extra-1].seq + 1
		w.seen = slices.Delete(w.seen, 0, extra)
	}
	return w
}
