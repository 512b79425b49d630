package e2e

import (
	"sync"
)

// A Recorder is a subscriber that keeps all that arrives.
type Recorder struct {
	c    *Client
	mu   sync.Mutex // guards below
	got  []Packet
	lost error
}

// Record subscribes to a filter.
func Record(t T, addr, filter string) *Recorder {
	t.Helper()
	c, err := Dial(addr, ClientOptions{ID: "recorder-" + filter})
	check(t, err)
	check(t, c.Subscribe(filter))
	r := &Recorder{c: c}
	t.Cleanup(func() { _ = c.Close() })
	go r.run()
	return r
}

func (r *Recorder) run() {
	for {
		p, err := r.c.Read()
		if err == nil && p.Type == tPUBLISH && p.QoS == 1 {
			err = r.c.Ack(p.ID)
		}
		r.mu.Lock()
		if err != nil {
			r.lost = err
			r.mu.Unlock()
			return
		}
		if p.Type == tPUBLISH {
			r.got = append(r.got, p)
		}
		r.mu.Unlock()
	}
}

// Len is how many messages have arrived.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// All returns what has arrived.
func (r *Recorder) All() []Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Packet(nil), r.got...)
}

// On returns what has arrived on a topic.
func (r *Recorder) On(topic string) (got []Packet) {
	for _, p := range r.All() {
		if p.Topic == topic {
			got = append(got, p)
		}
	}
	return got
}
