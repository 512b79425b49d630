package broker

import (
	"slices"
	"sync"
	"time"
)

// halves are the packets of which a part has come. Each has its memory already,
// and a client may send the rest when it likes. So where they are too many the
// next one is not read on: until there is room, or until the one that began
// first has been left standing for too long, and goes with its connection.
type halves struct {
	most     int // bytes
	patience time.Duration

	mu    sync.Mutex // guards what follows
	bytes int
	began []half        // in order
	freed chan struct{} // closed to wake who waits
}

type half struct {
	link *link
	size int
	at   time.Time
}

// halfFrom is the least length that counts: a shorter one fits the buffer that
// each connection has anyway.
const halfFrom = 8 << 10

// halfPatience is how long a large packet may take while others wait for it.
const halfPatience = 10 * time.Second

// begin notes that a packet begins. Where there is no room yet it returns what to
// wait for, and for how long at most, and who has to go.
func (h *halves) begin(l *link, size int, now time.Time) (wait <-chan struct{}, most time.Duration, slow *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.began) > 0 && h.bytes+size > h.most {
		first := h.began[0]
		if most = h.patience - now.Sub(first.at); most > 0 {
			return h.freed, most, nil
		}
		h.remove(first.link)
		slow = first.link
		if len(h.began) > 0 && h.bytes+size > h.most {
			return h.freed, 0, slow
		}
	}
	h.began = append(h.began, half{l, size, now})
	h.bytes += size
	return nil, 0, slow
}

// end notes that the packet of a connection, if it has one, came to its end.
func (h *halves) end(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(l)
}

// remove is end. Callers hold mu.
func (h *halves) remove(l *link) {
	i := slices.IndexFunc(h.began, func(o half) bool { return o.link == l })
	if i < 0 {
		return
	}
	h.bytes -= h.began[i].size
	h.began = slices.Delete(h.began, i, i+1)
	close(h.freed)
	h.freed = make(chan struct{})
}

// begin notes that a packet of that length begins, and waits for room for it.
// What is over the limit is refused before it gets memory.
func (l *link) begin(length int) {
	if length < halfFrom || 1+length > l.b.limits.PacketBytes {
		return
	}
	defer l.release()
	for {
		wait, most, slow := l.b.halves.begin(l, length, time.Now())
		if slow != nil {
			l.b.stats.halfPackets.Add(1)
			slow.kick(codeQuota)
		}
		if wait == nil {
			return
		}
		l.hold()
		t := time.NewTimer(most)
		select {
		case <-wait:
		case <-t.C:
		case <-l.ctx.Done(): // the next read fails
			t.Stop()
			return
		}
		t.Stop()
	}
}

// end notes that a packet of that length came to its end.
func (l *link) end(length int) {
	if length >= halfFrom {
		l.b.halves.end(l)
	}
}
