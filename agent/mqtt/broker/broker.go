// Package broker is the embedded MQTT broker: mochi-mqtt behind an ingress of
// ours.
//
// A message that a client publishes takes two ways. It is delivered locally at
// once (subscribers, retained state, sessions, as with any broker, for every
// topic); and, unless its topic is local only, it is submitted to the
// [mqtt.Sink]. The client's PUBACK (PUBREC for QoS 2) leaves when the sink says
// that the message is durable, in the order in which the messages arrived
// [MQTT-4.6.0-2], and never from the sink's goroutine: a device that does not
// read stalls only itself. Where the sink takes no more, that one connection is
// read no more, and ended after a time; nothing is ever dropped instead. Wills
// take the same two ways.
//
// Of mochi we use what it does well: sessions, subscriptions, the topic tree,
// retained messages, packet codecs. What comes in is handled here before mochi
// sees it, because mochi acknowledges what a hook refuses, keeps inbound and
// outbound packet ids in one map, loses properties of wills, and blocks under a
// lock while it writes.
//
// Retained messages, persistent sessions and wills survive a restart, encrypted
// (store.go has the format and what a crash can cost). Sessions belong to the
// user who created them.
//
// The broker does not cluster or bridge, speaks no WebSockets, and has no
// enhanced authentication (MQTT 5 AUTH). It does not read configuration files
// other than password and ACL files, and exposes Stats rather than metrics.
package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
)

// Options say what a broker listens on, whom it lets in and where messages go.
type Options struct {
	Listeners []Listener
	Sink      mqtt.Sink // takes what leaves; required
	Ingress   uint16    // goes into mqtt.Source

	// Users are who may connect. nil: nobody but the anonymous clients that a
	// Listener admits and those known by certificate.
	Users *Users
	// ACL is what they may read and write. nil: DefaultACL.
	ACL *ACL

	// LocalOnly are topic filters whose messages never reach the sink.
	LocalOnly []string
	// Dollar are the filters of topics beginning with "$" whose messages do
	// reach it, say "$share-me/#". None: no such topic does. "$SYS/" never does.
	Dollar []string

	Limits Limits

	// StateDir is where retained messages, sessions and wills are kept,
	// encrypted under Key. Empty: they live as long as the process.
	StateDir string
	Key      *crypto.SecretKey
	// WriteBehind is how long a change may wait for the disk; 0: one second.
	// A crash loses the changes of that time: see store.go.
	WriteBehind time.Duration

	Logger *slog.Logger // nil: discard. Never sees a topic, a client id or a payload
}

// Limits bound what one client, and all of them, can cost. Zero values take the
// default in parentheses.
type Limits struct {
	PacketBytes    int           // largest packet, from the first one on (1 MiB)
	Clients        int           // connections (1,000)
	InFlight       int           // unacknowledged messages per client, and the Receive Maximum it is told (64)
	InFlightBytes  int           // their payload bytes (4 MiB); one message always fits
	QueueBytes     int           // bytes waiting for a client that reads slowly (1 MiB): beyond it QoS 0 is dropped, at twice as much the connection
	QueueMessages  int           // messages waiting for a persistent session (4,096): beyond it the newest are dropped and counted
	HalfBytes      int           // packets that clients began and did not end, 8 KiB or more each (16 MiB, at least 4 packets): beyond it the next one waits, and who needs more than 10 s for one that began first is ended
	QueuedBytes    int           // all of them together, with their topics and 512 bytes for each (16 MiB, at least 4 packets), a quarter of it for one session: beyond it as before
	FilterBytes    int           // filters that clients subscribed to, with 512 bytes for each level (32 MiB), a quarter of it for one client: beyond it a SUBSCRIBE is refused
	RetainedBytes  int           // retained messages, counted as filters are (16 MiB, at least 4 packets): beyond it a message is delivered and not retained, and counted
	Sessions       int           // that outlive their connections (10 times Clients): beyond it a client that asks for a new one is refused
	TopicAliases   int           // MQTT 5 topic aliases per client (16); negative: none
	Rate           int           // messages a second per client, with a burst of one second; reading pauses beyond it (0: no limit)
	RateBytes      int           // the same for the bytes of their payloads (0: no limit)
	ConnectTimeout time.Duration // from accept to CONNECT (10 s)
	WriteTimeout   time.Duration // for a client that reads nothing (20 s)
	HoldTimeout    time.Duration // for a message that the sink does not take (30 s)
	SessionExpiry  time.Duration // for a session whose client stays away (30 days)
}

func (l *Limits) defaults() {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.PacketBytes, 1<<20)
	def(&l.Clients, 1000)
	def(&l.InFlight, 64)
	def(&l.InFlightBytes, 4<<20)
	def(&l.QueueBytes, 1<<20)
	def(&l.QueueMessages, 4096)
	def(&l.HalfBytes, min(max(16<<20, 4*l.PacketBytes), 256<<20))
	def(&l.QueuedBytes, min(max(16<<20, 4*l.PacketBytes), 256<<20))
	def(&l.FilterBytes, 32<<20)
	def(&l.RetainedBytes, min(max(16<<20, 4*l.PacketBytes), 256<<20))
	def(&l.Sessions, 10*l.Clients)
	def(&l.TopicAliases, 16)
	wait(&l.ConnectTimeout, 10*time.Second)
	wait(&l.WriteTimeout, 20*time.Second)
	wait(&l.HoldTimeout, 30*time.Second)
	wait(&l.SessionExpiry, 30*24*time.Hour)
	l.TopicAliases = max(l.TopicAliases, 0)
}

func (l *Limits) check() error {
	for name, v := range map[string]int{
		"packet bytes": l.PacketBytes, "clients": l.Clients, "in-flight bytes": l.InFlightBytes, "queue bytes": l.QueueBytes,
		"half bytes": l.HalfBytes, "queued bytes": l.QueuedBytes, "retained bytes": l.RetainedBytes, "filter bytes": l.FilterBytes, "sessions": l.Sessions,
	} {
		if v < 1 || v > 256<<20 {
			return fmt.Errorf("limit of %s is %d, want 1 to 268435456", name, v)
		}
	}
	for name, v := range map[string]int{"in-flight messages": l.InFlight, "queued messages": l.QueueMessages} {
		if v < 1 || v > math.MaxUint16 {
			return fmt.Errorf("limit of %s is %d, want 1 to 65535", name, v)
		}
	}
	if l.TopicAliases > math.MaxUint16 {
		return fmt.Errorf("limit of topic aliases is %d, want at most 65535", l.TopicAliases)
	}
	if l.Rate < 0 {
		return fmt.Errorf("limit of messages a second is %d, want 0 or more", l.Rate)
	}
	for name, v := range map[string]time.Duration{
		"connect": l.ConnectTimeout, "write": l.WriteTimeout, "hold": l.HoldTimeout, "session expiry": l.SessionExpiry,
	} {
		if v < 0 {
			return fmt.Errorf("%s timeout is %s, want a positive duration", name, v)
		}
	}
	return nil
}

// A Broker is one embedded broker. Make it with New, then Start it once and
// Close it once.
type Broker struct {
	opts   Options
	limits Limits
	log    *slog.Logger
	srv    *mochi.Server
	inline *mochi.Client // delivers what we publish locally
	doors  []*door
	access atomic.Pointer[access]
	local  []string
	dollar []string
	seed   maphash.Seed
	store  *store // nil without StateDir
	stats  counters

	halves     halves
	retaining  sync.Mutex              // held while a message is retained
	retained   *room[struct{}, string] // by topic
	queued     *room[string, uint16]   // for sessions, by packet id
	subscribed *room[string, string]   // by client and filter

	now        atomic.Int64  // ticks since Start, for coarse timeouts
	heard      atomic.Uint64 // grows when a subscription is added
	sequence   atomic.Int64  // order of messages that go into flight
	willsAway  atomic.Int64  // wills on their way to the sink
	handshakes atomic.Int64  // TLS connections, from accept to the end
	draining   atomic.Bool
	ctx        context.Context // ends when Close ends
	cancel     context.CancelFunc
	quit       chan struct{} // ends clock
	doorsWG    sync.WaitGroup
	links      sync.WaitGroup // writers
	conns      sync.WaitGroup // readers
	tasks      sync.WaitGroup // clock, wills on their way

	mu       sync.Mutex // guards below
	open     map[*link]struct{}
	sessions map[string]*session
	wills    map[*will]struct{} // delayed
	started  bool
	closed   bool
}

// tick is the resolution of hold timeouts and delayed wills.
const tick = 100 * time.Millisecond

// New checks the options, binds the listeners and loads the stored state. It
// serves nobody before Start. On an error nothing stays open.
func New(opts Options) (*Broker, error) {
	if opts.Sink == nil {
		return nil, errors.New("broker needs a sink")
	}
	lim := opts.Limits
	lim.defaults()
	if err := lim.check(); err != nil {
		return nil, err
	}
	for _, f := range append(append([]string(nil), opts.LocalOnly...), opts.Dollar...) {
		if err := checkFilter(f); err != nil {
			return nil, err
		}
	}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		opts: opts, limits: lim, log: log,
		local: opts.LocalOnly, dollar: opts.Dollar,
		seed:       maphash.MakeSeed(),
		quit:       make(chan struct{}),
		open:       make(map[*link]struct{}),
		sessions:   make(map[string]*session),
		wills:      make(map[*will]struct{}),
		halves:     halves{most: lim.HalfBytes, patience: halfPatience, freed: make(chan struct{})},
		retained:   newRoom[struct{}, string](lim.RetainedBytes, lim.RetainedBytes),
		queued:     newRoom[string, uint16](lim.QueuedBytes, lim.QueuedBytes/4),
		subscribed: newRoom[string, string](lim.FilterBytes, lim.FilterBytes/4),
	}
	b.now.Store(1)
	b.sequence.Store(1 << 32) // after what orderInflight numbers
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.SetAccess(opts.Users, opts.ACL)

	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients = math.MaxInt64 // we count, before CONNECT
	caps.MaximumPacketSize = uint32(lim.PacketBytes)
	caps.MaximumMessageExpiryInterval = 0 // else retained messages end after a day
	caps.MaximumInflight = uint16(lim.QueueMessages)
	caps.MaximumClientWritesPending = int32(lim.QueueMessages)
	caps.MaximumSessionExpiryInterval = uint32(min(lim.SessionExpiry/time.Second, math.MaxUint32))
	caps.ReceiveMaximum = uint16(lim.InFlight)
	caps.TopicAliasMaximum = 0 // aliases are resolved here
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	b.srv = mochi.New(&mochi.Options{
		Capabilities:             caps,
		ClientNetWriteBufferSize: 1,   // one packet per Write: see link
		ClientNetReadBufferSize:  512, // the link's buffer is the large one
		SysTopicResendInterval:   30,
		// mochi logs topics, client ids and whole packets
		Logger: slog.New(slog.DiscardHandler),
	})
	b.inline = b.srv.NewClient(nil, mochi.LocalListener, mochi.InlineClientId, true)
	b.inline.Properties.ProtocolVersion = 5 // else message expiry is ignored
	if err := b.srv.AddHook(&hook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("attach hook: %w", err)
	}
	if err := b.load(); err != nil {
		return nil, err
	}
	for i, spec := range opts.Listeners {
		d, err := bind(b, spec)
		if err != nil {
			for _, d := range b.doors {
				err = errors.Join(err, d.ln.Close())
			}
			if b.store != nil {
				err = errors.Join(err, b.store.close())
			}
			return nil, fmt.Errorf("listener %d: %w", i, err)
		}
		b.doors = append(b.doors, d)
	}
	return b, nil
}

// Addrs returns the addresses of the listeners, in the order of the options.
func (b *Broker) Addrs() []net.Addr {
	as := make([]net.Addr, len(b.doors))
	for i, d := range b.doors {
		as[i] = d.ln.Addr()
	}
	return as
}

// SetAccess replaces the users and the ACL (nil as in Options) for every
// decision from now on. Clients whose user is gone or has another password are
// disconnected; it returns how many.
func (b *Broker) SetAccess(users *Users, acl *ACL) (expelled int) {
	if acl == nil {
		acl = DefaultACL()
	}
	b.access.Store(&access{users: users, acl: acl})
	for _, l := range b.snapshot() {
		if l.expelled(users) {
			l.kick(codeDenied)
			expelled++
		}
	}
	return expelled
}

// Start begins to accept clients.
func (b *Broker) Start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.closed {
		return errors.New("broker was started or closed before")
	}
	b.started = true
	if err := b.srv.Serve(); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.tasks.Add(1)
	go b.clock()
	for _, d := range b.doors {
		b.doorsWG.Add(1)
		go d.serve()
	}
	return nil
}

// Close ends the broker: no new clients, nothing more is read, what is
// submitted gets its acknowledgement, then every client is disconnected, wills
// are published and the state is written. When ctx ends, the steps that wait
// are cut short; clients keep what was not acknowledged.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	started := b.started
	b.draining.Store(true)
	b.mu.Unlock()

	var errs []error
	for _, d := range b.doors {
		if err := d.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("close listener: %w", err))
		}
	}
	b.doorsWG.Wait()
	now := time.Now()
	for _, l := range b.snapshot() {
		_ = l.Conn.SetReadDeadline(now) // the reader parks: see link.Read
	}
	for b.unacknowledged() > 0 && ctx.Err() == nil {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	for _, l := range b.snapshot() {
		l.kick(codeShutdown)
	}
	b.conns.Wait()
	b.links.Wait()
	close(b.quit)
	stop := context.AfterFunc(ctx, b.cancel)
	b.tasks.Wait()
	stop()
	b.cancel()
	if started {
		if err := b.srv.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close broker: %w", err))
		}
	}
	if b.store != nil {
		errs = append(errs, b.store.close())
	}
	return errors.Join(errs...)
}

func (b *Broker) snapshot() []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	ls := make([]*link, 0, len(b.open))
	for l := range b.open {
		ls = append(ls, l)
	}
	return ls
}

func (b *Broker) unacknowledged() int {
	n := 0
	for _, l := range b.snapshot() {
		n += l.inFlight()
	}
	return n
}

// clock ends connections whose message the sink does not take, and publishes
// delayed wills.
func (b *Broker) clock() {
	defer b.tasks.Done()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-t.C:
		}
		now := b.now.Add(1)
		for _, l := range b.snapshot() {
			if since := l.blocked.Load(); since != 0 && time.Duration(now-since)*tick > b.limits.HoldTimeout {
				b.stats.holdTimeouts.Add(1)
				l.kick(codeQuota)
			}
		}
		b.publishDueWills(time.Now())
	}
}

// serve runs one connection until it ends.
func (b *Broker) serve(d *door, c net.Conn) {
	l := newLink(b, d, c)
	b.mu.Lock()
	if b.closed || len(b.open) >= b.limits.Clients {
		full := !b.closed
		b.mu.Unlock()
		if full {
			b.stats.refusedFull.Add(1)
		}
		_ = c.Close()
		return
	}
	b.open[l] = struct{}{}
	b.conns.Add(1)
	b.links.Add(1)
	b.mu.Unlock()
	b.stats.accepted.Add(1)
	go l.writer()
	defer func() {
		b.mu.Lock()
		delete(b.open, l)
		b.mu.Unlock()
		b.conns.Done()
	}()
	defer func() {
		_ = l.Close()
		b.leave(l)
	}()
	defer func() {
		// mochi panics on some malformed packets (a SUBSCRIBE that ends after
		// its filter, in MQTT 5); one client must not end the process.
		if p := recover(); p != nil {
			b.stats.panics.Add(1)
			b.log.Error("client connection panicked", "ingress", b.opts.Ingress, "client", l.source.Client)
		}
		b.halves.end(l)
		b.abandon(l)
	}()
	err := b.srv.EstablishConnection(mochi.LocalListener, l)
	switch {
	case err == nil, errors.Is(err, io.EOF), l.refused.Load(), b.draining.Load():
	case errors.Is(err, errLinkClosed), errors.Is(err, net.ErrClosed):
	default:
		b.stats.faults.Add(1)
	}
}
