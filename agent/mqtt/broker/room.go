package broker

import (
	"strings"
	"sync"
)

// What clients leave behind is bounded in bytes, or one of them could fill the
// memory of the gateway: retained messages on ever new topics, subscriptions to
// ever new filters, messages for a session that nobody comes back to.

// overhead is about what a kept message takes beside its topic and payload.
const overhead = 512

func kept(topic string, payload []byte) int { return len(topic) + len(payload) + overhead }

// rooted is kept for what stands in mochi's tree of topics, which has a node for
// each level.
func rooted(topic string, payload []byte) int {
	return kept(topic, payload) + overhead*strings.Count(topic, "/")
}

// A room keeps count of what lies in piles, each with items by key.
type room[P, K comparable] struct {
	most  int // bytes in all piles
	share int // bytes in one of them

	mu    sync.Mutex // guards what follows
	bytes int
	piles map[P]*pile[K]
}

type pile[K comparable] struct {
	bytes int
	items map[K]int
}

func newRoom[P, K comparable](most, share int) *room[P, K] {
	return &room[P, K]{most: most, share: share, piles: make(map[P]*pile[K])}
}

// put counts an item, in place of the one with its key. It reports whether there
// is room; where there is none the one with its key goes, too.
func (r *room[P, K]) put(in P, key K, size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(in, key)
	p := r.piles[in]
	if p == nil {
		p = &pile[K]{items: make(map[K]int)}
	}
	if r.bytes+size > r.most || p.bytes+size > r.share {
		return false
	}
	r.piles[in] = p
	p.items[key] = size
	p.bytes += size
	r.bytes += size
	return true
}

// drop forgets an item, if it is there.
func (r *room[P, K]) drop(in P, key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(in, key)
}

// remove is drop. Callers hold mu.
func (r *room[P, K]) remove(in P, key K) {
	p := r.piles[in]
	if p == nil {
		return
	}
	size := p.items[key]
	delete(p.items, key)
	p.bytes -= size
	r.bytes -= size
	if len(p.items) == 0 {
		delete(r.piles, in)
	}
}

// used is how many bytes all piles have.
func (r *room[P, K]) used() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}
