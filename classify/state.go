package classify

import (
	"hash/maphash"
	"sync"
)

// What makes positions a track: trackLength of one subject within trackWindow.
const (
	trackLength = 5
	trackWindow = 10 * 60 * 1_000_000_000 // nanoseconds
)

// Bounds of what is remembered about tracks: shards × sets × ways subjects,
// about 64 bytes each, allocated as shards are used. In a full set the subject
// that was silent longest is forgotten.
const (
	trackShards = 16
	trackSets   = 128
	trackWays   = 8
)

// State is what outlives a change of policy: the tracks of subjects. It is
// bounded and safe for concurrent use.
type State struct {
	seed   maphash.Seed
	shards [trackShards]trackShard
}

type trackShard struct {
	mu   sync.Mutex // guards sets
	sets *[trackSets][trackWays]subjectTrack
}

// subjectTrack is the last positions of a subject.
type subjectTrack struct {
	subject uint64
	last    uint64             // hash of the last position
	times   [trackLength]int64 // of the last changes of position, a ring
	next    uint8
	seen    int64 // last message; 0: the slot is free
}

// NewState returns an empty state.
func NewState() *State { return &State{seed: maphash.MakeSeed()} }

// move notes positions of a subject, and reports whether they are part of a
// track: trackLength changes of position within trackWindow. A thing that keeps
// reporting one place makes no track.
func (st *State) move(subject uint64, now int64, places []uint64) bool {
	if subject == 0 { // nobody known: only what one message holds is linked
		var t subjectTrack
		return t.move(now, places)
	}
	sh := &st.shards[subject%trackShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sets == nil {
		sh.sets = new([trackSets][trackWays]subjectTrack)
	}
	set := &sh.sets[subject/trackShards%trackSets]
	slot := &set[0]
	for i := range set {
		if set[i].seen != 0 && set[i].subject == subject {
			slot = &set[i]
			break
		}
		if set[i].seen < slot.seen {
			slot = &set[i]
		}
	}
	if slot.seen == 0 || slot.subject != subject {
		*slot = subjectTrack{subject: subject}
	}
	return slot.move(now, places)
}

func (t *subjectTrack) move(now int64, places []uint64) bool {
	now = max(now, 1) // 0 is a free slot, and a time that never was
	t.seen = now
	for _, p := range places {
		if p == t.last {
			continue
		}
		t.last = p
		t.times[t.next] = now
		t.next = (t.next + 1) % trackLength
	}
	oldest := t.times[t.next]
	return oldest != 0 && now-oldest <= trackWindow
}

// maxPlaces is how many positions of one message are looked at: enough to tell
// a track.
const maxPlaces = 2 * trackLength

// onTrack notes the precise positions of the document and reports whether its
// subject leaves a track.
func (s *Scratch) onTrack(st *State, ctx Context) bool {
	var places [maxPlaces]uint64
	n := 0
	for _, p := range s.pairs {
		if n == maxPlaces {
			break
		}
		lat, lon := maphash.Bytes(st.seed, s.doc.Text(p[0])), maphash.Bytes(st.seed, s.doc.Text(p[1]))
		places[n] = lat*31 + lon
		n++
	}
	for i := range s.findings {
		f := &s.findings[i]
		if n == maxPlaces {
			break
		}
		if f.Class != ClassLocationPrecise || f.Why&WhyPair != 0 {
			continue
		}
		t := s.doc.Text(f.Field)
		if !f.Whole() {
			t = t[f.Start:f.End]
		}
		places[n] = maphash.Bytes(st.seed, t)
		n++
	}
	return st.move(ctx.Subject, ctx.Now, places[:n])
}
