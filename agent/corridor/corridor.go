// Package corridor runs messages from an ingress to the uplinks.
//
// Mental model: one direction, one message at a time.
//
//	Submit → shard → judge → protect → commit → done (the device's PUBACK)
//	                                       └→ log → sender → uplink → release
//
// An ingress submits a message; Submit resolves its route, reserves its bytes
// in every log it will be written to, and hands it to the shard of its order
// key. A shard's worker judges and protects it; the committer makes the result
// of many messages durable at once and only then acknowledges them. One sender
// per uplink publishes what the logs hold, in order within a lane, and releases
// a record when the uplink has acknowledged it.
//
// The rules and keys for a message are one [Generation], taken once, when the
// message enters. Swap replaces it for all later messages, and keeps the order
// of topics that go by another shard or lane from then on.
//
// The package decides nothing about data (package policy), knows no wire
// format (package envelope) and no protocol (package mqtt), and keeps no state
// that a restart needs: that is the spool's.
package corridor

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// ErrClosing is returned by Submit while the corridor drains.
var ErrClosing = errors.New("corridor is closing")

// A Generation is one set of rules and keys, immutable.
type Generation struct {
	Policy    *policy.Policy
	Protector *protect.Protector
}

// Options configures a Corridor. Spool, Uplinks, Generation and State are
// required.
type Options struct {
	Spool      *spool.Spool
	Uplinks    []Uplink // in the order of the policy vocabulary's uplinks
	Generation *Generation
	State      *classify.State                   // outlives generations
	Workers    int                               // shards; default GOMAXPROCS
	Spill      func(topic string) bool           // whether messages on a local topic may be acknowledged by the uplink before they are on disk (spool.Options.Linger); nil: none may
	Budget     int64                             // bytes of payload in flight before the log; default 16 MiB
	Lanes      policy.Lanes                      // that the spool's logs were last written by; nil: not known, taken to be the generation's
	OnLanes    func(policy.Lanes)                // called from the committer when the logs are written by others from then on: for Lanes of the next start
	Volume     func(uplink int) *classify.Volume // counts of whom data leaves; nil: nobody does
	// Rebirth asks an edge node of Sparkplug B for its birth certificate; must not
	// block. nil: nobody can.
	Rebirth func(group, node string)
	Observe func(*Event)                       // called from the committer for each message and uplink; must not block or keep the Event
	Keep    func(id [16]byte, envelope []byte) // called with what is kept of a blocked message; must not block; may be nil
	Logger  *slog.Logger                       // required
}

// Corridor is the running pipeline. It is an mqtt.Sink.
type Corridor struct {
	opt     Options
	gen     atomic.Pointer[Generation]
	swapped chan struct{} // replaced at each swap; closed to wake who waits for a key
	genMu   sync.Mutex    // guards swapped

	births  policy.Births // of edge nodes; outlives generations
	rebirth rebirths
	budget  budget
	shards  []*shard
	commits chan *batchItem
	seed    maphash.Seed

	passage   sync.RWMutex  // held for reading while a job goes to its shard, under the generation in force
	closing   chan struct{} // closed first: no new message is taken
	intake    sync.RWMutex  // held for reading by each Submit, so that Close can wait for them
	workers   sync.WaitGroup
	committer sync.WaitGroup
	senders   []*sender
	held      atomic.Pointer[chan struct{}] // nil: what is spooled leaves; closed at release
	stop      context.CancelFunc            // ends the senders
	sending   sync.WaitGroup
	once      sync.Once

	stats counters
}

type counters struct {
	submitted, received, unrouted, unmapped, dropped, held, refused, committed, commitErrors, panics atomic.Uint64
	queued, finished                                                                                 atomic.Uint64 // jobs given to the workers, and answered
}

// New starts a corridor: workers, committer and senders. Close ends it.
func New(opt Options) (*Corridor, error) {
	if opt.Spool == nil || opt.Generation == nil || opt.State == nil || opt.Logger == nil || len(opt.Uplinks) == 0 {
		return nil, errors.New("start corridor: spool, uplinks, generation, state and logger are required")
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Budget <= 0 {
		opt.Budget = 16 << 20
	}
	if opt.Observe == nil {
		opt.Observe = func(*Event) {}
	}
	if opt.OnLanes == nil {
		opt.OnLanes = func(policy.Lanes) {}
	}
	if opt.Keep == nil {
		opt.Keep = func([16]byte, []byte) {}
	}
	c := &Corridor{
		opt:     opt,
		swapped: make(chan struct{}),
		commits: make(chan *batchItem, maxBatch),
		seed:    maphash.MakeSeed(),
		closing: make(chan struct{}),
	}
	c.budget.init(opt.Budget)
	c.gen.Store(opt.Generation)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for i, u := range opt.Uplinks {
		s, err := newSender(c, i, u)
		if err != nil {
			stop()
			return nil, fmt.Errorf("start sender for uplink %s: %w", u.Name, err)
		}
		c.senders = append(c.senders, s)
	}
	for i := range opt.Workers {
		s := newShard(c, i)
		c.shards = append(c.shards, s)
		c.workers.Go(s.run)
	}
	c.committer.Go(c.runCommitter)
	for _, s := range c.senders {
		c.sending.Go(func() { s.run(ctx) })
	}
	return c, nil
}

// Hold stops everything that leaves, or lets it go again. What is taken
// meanwhile is protected and kept. Connections stay.
func (c *Corridor) Hold(on bool) {
	if on {
		wake := make(chan struct{})
		c.held.CompareAndSwap(nil, &wake)
	} else if wake := c.held.Swap(nil); wake != nil {
		close(*wake)
	}
}

// Generation returns the rules in force.
func (c *Corridor) Generation() *Generation { return c.gen.Load() }

// Submit implements mqtt.Sink.
func (c *Corridor) Submit(ctx context.Context, src mqtt.Source, m mqtt.Message, done func(error)) error {
	c.intake.RLock()
	defer c.intake.RUnlock()
	select {
	case <-c.closing:
		return ErrClosing
	default:
	}

	for tries := 0; ; tries++ {
		g, err := c.usable(ctx, m.Topic)
		if err != nil {
			c.stats.refused.Add(1)
			return err
		}
		if tries == 0 {
			c.stats.submitted.Add(1)
			c.stats.received.Add(uint64(len(m.Topic) + len(m.Payload)))
		}
		route := g.Policy.Route(m.Topic)
		if route == nil {
			c.stats.unrouted.Add(1)
			done(nil)
			return nil
		}
		j := &job{
			gen: g, route: route, src: src, msg: m, done: done,
			received: time.Now(),
			size:     int64(len(m.Payload) + len(m.Topic)),
			uplinks:  c.targets(route, m.Topic),
		}
		if j.uplinks == 0 {
			c.stats.unmapped.Add(1)
			done(nil)
			return nil
		}
		if err := c.reserve(ctx, j); err != nil {
			c.stats.refused.Add(1)
			return err
		}
		taken, err := c.enqueue(ctx, j)
		if err != nil {
			c.stats.refused.Add(1)
		}
		if taken || err != nil {
			return err
		}
	}
}

// enqueue gives a job to its shard, unless the rules were swapped meanwhile:
// then it is to be made again. The queue of a shard is as long as the budget
// allows: sending blocks only while the worker is busy, and the worker never
// waits for space.
func (c *Corridor) enqueue(ctx context.Context, j *job) (taken bool, err error) {
	c.passage.RLock()
	defer c.passage.RUnlock()
	if c.gen.Load() != j.gen {
		j.release(c)
		return false, nil
	}
	c.stats.queued.Add(1)
	select {
	case c.shardOf(j.route, j.msg.Topic).in <- j:
		return true, nil
	case <-ctx.Done():
		j.release(c)
		c.stats.finished.Add(1)
		return false, context.Cause(ctx)
	}
}

// usable waits for a generation that can protect what leaves on this topic.
// Without a usable recipient nothing is lost: the message stays with its
// sender, unacknowledged.
func (c *Corridor) usable(ctx context.Context, topic string) (*Generation, error) {
	for held := false; ; {
		c.genMu.Lock()
		g, swapped := c.gen.Load(), c.swapped
		c.genMu.Unlock()
		r := g.Policy.Route(topic)
		if r == nil || r.Mode == policy.Observe || g.Protector.Usable() == nil {
			return g, nil
		}
		if !held {
			held = true
			c.stats.held.Add(1)
			defer c.stats.held.Add(^uint64(0))
		}
		select {
		case <-swapped:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-c.closing:
			return nil, ErrClosing
		}
	}
}

// reserve takes the message's bytes from the global budget and from every log
// it may be written to.
func (c *Corridor) reserve(ctx context.Context, j *job) error {
	if err := c.budget.take(ctx, c.closing, j.size); err != nil {
		return err
	}
	need := protectedBound(len(j.msg.Payload), len(j.msg.Topic))
	for said := false; ; {
		changed := c.opt.Spool.Changed() // before the attempt: a change in between must not be missed
		r, ok := c.opt.Spool.Reserve(j.uplinks, uint8(j.route.Lane), need)
		if ok {
			j.reservation = r
			return nil
		}
		if !said {
			said = true
			c.opt.Logger.Warn("spool is full: devices wait with messages of a lane", "lane", j.route.Lane)
		}
		var err error
		select {
		case <-changed:
			continue
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-c.closing:
			err = ErrClosing
		}
		c.budget.give(j.size)
		return err
	}
}

// targets is the set of uplinks that a message goes to: those of its route
// whose topic mapping takes it.
func (c *Corridor) targets(r *policy.Route, topic string) (set spool.UplinkMask) {
	for _, u := range r.Uplinks {
		if _, ok := c.opt.Uplinks[u].Map(topic); ok {
			set |= 1 << u
		}
	}
	return set
}

// protectedBound is what a message of this size may need in one log: an
// encrypted field is padded to a power of two and written in base64, which
// makes it up to 8/3 as long; then the inline grant, padding and framing. (Very
// many small fields can take more: then the log has to have room when they are
// committed, or they are refused.)
func protectedBound(payload, topic int) int { return payload*3 + topic*2 + 4096 }

func (c *Corridor) shardOf(r *policy.Route, topic string) *shard {
	if len(c.shards) == 1 {
		return c.shards[0]
	}
	return c.shards[maphash.String(c.seed, r.OrderKey(topic))%uint64(len(c.shards))]
}

// Close drains: no new message is taken, what was taken becomes durable and is
// acknowledged, the senders get until ctx ends to deliver what they have in
// flight. The spool is the caller's to close, afterwards.
func (c *Corridor) Close(ctx context.Context) error {
	c.once.Do(func() {
		close(c.closing)
		c.intake.Lock()
		for _, s := range c.shards {
			close(s.in)
		}
		c.intake.Unlock()
		c.workers.Wait()
		close(c.commits)
		c.committer.Wait()
		c.opt.Spool.Flush() // who waits for it is acknowledged
		for _, s := range c.senders {
			s.drain(ctx)
		}
		c.stop()
		c.sending.Wait()
	})
	return nil
}

// budget is a counting semaphore of bytes.
type budget struct {
	mu      sync.Mutex // guards the rest
	free    int64
	total   int64
	waiters int
	freed   chan struct{} // closed to wake every waiter
}

func (b *budget) init(n int64) { b.free, b.total, b.freed = n, n, make(chan struct{}) }

// take blocks until n bytes are free. A message larger than the whole budget
// waits until it is alone.
func (b *budget) take(ctx context.Context, closing <-chan struct{}, n int64) error {
	for {
		b.mu.Lock()
		if b.free >= n || b.free == b.total {
			b.free -= n
			b.mu.Unlock()
			return nil
		}
		b.waiters++
		wait := b.freed
		b.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-closing:
			return ErrClosing
		}
	}
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	if b.waiters > 0 {
		b.waiters = 0
		close(b.freed)
		b.freed = make(chan struct{})
	}
}
