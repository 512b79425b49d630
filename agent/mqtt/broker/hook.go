package broker

import (
	"cmp"
	"crypto/tls"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// The MQTT 5 reason codes that we send ourselves.
var (
	codeUnspecified = packets.ErrUnspecifiedError
	codeProtocol    = packets.ErrProtocolViolation
	codeDenied      = packets.ErrNotAuthorized
	codeShutdown    = packets.ErrServerShuttingDown
	codeQuota       = packets.ErrQuotaExceeded
)

var errRefused = errors.New("connection refused")

// A session is what the broker remembers of a client id beside mochi's part.
// A clean one ends with its connection.
type session struct {
	id    string
	user  string // whose it is
	named bool
	epoch uint64 // tells it from other sessions of the same id

	// Guarded by Broker.mu.
	link    *link  // nil while away
	stays   bool   // outlives its connection
	version byte   // of the protocol
	expiry  uint32 // MQTT 5 session expiry interval, seconds

	mu       sync.Mutex
	received map[uint16]*receipt // QoS 2 messages taken and not yet released, by packet id
}

// A hook is how mochi calls us. All of it runs on the connection's reading
// goroutine, except OnACLCheck, OnQosPublish, OnPublishDropped (deliveries, on
// any goroutine) and OnClientExpired (mochi's housekeeping).
type hook struct {
	mochi.HookBase
	b *Broker
}

func (h *hook) ID() string { return "sealgate" }

func (h *hook) Provides(m byte) bool {
	return slices.Contains([]byte{
		mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnSessionEstablished, mochi.OnACLCheck, mochi.OnPacketRead,
		mochi.OnPacketEncode, mochi.OnPublish, mochi.OnPublishDropped, mochi.OnQosPublish,
		mochi.OnQosComplete, mochi.OnQosDropped, mochi.OnRetainMessage, mochi.OnRetainedExpired,
		mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnUnsubscribed, mochi.OnClientExpired,
	}, m)
}

func linkOf(cl *mochi.Client) *link {
	l, _ := cl.Net.Conn.(*link)
	return l
}

// idle is a packet that mochi does nothing about: packet id 0 is never in
// flight. It stands for packets that were handled here.
var idle = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// OnPacketRead handles what must not reach mochi, and repairs what may.
// packets.ErrRejectPacket ends the connection.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	l := linkOf(cl)
	if l == nil {
		return pk, nil
	}
	var refused packets.Code
	switch pk.FixedHeader.Type {
	case packets.Connect:
		if l.session != nil {
			refused = codeProtocol // [MQTT-3.1.0-2]
			break
		}
		return h.readConnect(l, pk)
	case packets.Publish:
		refused = codeProtocol // before CONNECT; all others are read by the link
	case packets.Pubrel:
		if refused = h.b.releaseReceived(l, pk.PacketID); refused == packets.CodeSuccess {
			return idle, nil
		}
	case packets.Puback, packets.Pubcomp:
		l.answered()
		return pk, nil
	case packets.Pubrec:
		if pk.ReasonCode >= codeUnspecified.Code {
			l.answered()
		}
		return pk, nil
	case packets.Subscribe, packets.Unsubscribe:
		// mochi takes the packet id for one of its own in flight, and refuses
		// it if it is: keep it from mochi until the answer is encoded.
		l.askedID = pk.PacketID
		if pk.PacketID == 0 {
			refused = codeProtocol
			break
		}
		for _, f := range pk.Filters {
			if checkFilter(f.Filter) != nil {
				refused = packets.ErrTopicFilterInvalid
			}
		}
		if refused == (packets.Code{}) {
			pk.PacketID, pk.FixedHeader.Qos = 0, 0
			return pk, nil
		}
	case packets.Disconnect:
		l.clean.Store(pk.ReasonCode == 0)
		return pk, nil
	case packets.Pingreq:
		return pk, nil
	default: // packets that only a server sends, and AUTH
		refused = codeProtocol
	}
	l.kick(refused)
	return pk, packets.ErrRejectPacket
}

// readConnect takes the will out of a CONNECT, where mochi would lose half its
// properties and refuse an empty payload, and what we do in mochi's place: flow
// control towards the client and topic aliases.
func (h *hook) readConnect(l *link, pk packets.Packet) (packets.Packet, error) {
	c := &pk.Connect
	if pk.ProtocolVersion < 5 && !c.Clean && c.ClientIdentifier == "" {
		l.refused.Store(true) // mochi would answer with a code that 3.1.1 does not have
		_, _ = l.Write([]byte{packets.Connack << 4, 2, 0, packets.Err3ClientIdentifierNotValid.Code})
		return pk, packets.ErrRejectPacket
	}
	if c.WillFlag {
		if c.WillQos > 2 || checkTopic(c.WillTopic) != nil {
			return pk, packets.ErrRejectPacket
		}
		l.will = newWill(c)
		c.WillFlag, c.WillRetain, c.WillQos, c.WillTopic, c.WillPayload = false, false, 0, "", nil
		c.WillProperties = packets.Properties{}
	}
	c.PasswordFlag = len(c.Password) > 0
	l.window = int(pk.Properties.ReceiveMaximum)
	pk.Properties.ReceiveMaximum = 0
	pk.Properties.TopicAliasMaximum = 0
	return pk, nil
}

// OnConnect decides about a client and finds its session. It answers a refusal
// itself: mochi knows one refusal, and maps few codes to 3.1.1.
func (h *hook) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	b, l := h.b, linkOf(cl)
	l.mu.Lock()
	l.version = cl.Properties.ProtocolVersion
	l.mu.Unlock()
	refuse := func(code packets.Code, v3 byte) error {
		b.stats.refusedAuth.Add(1)
		l.refused.Store(true)
		if l.version < 5 {
			_, _ = l.Write([]byte{packets.Connack << 4, 2, 0, v3})
		} else {
			_, _ = l.Write([]byte{packets.Connack << 4, 3, 0, code.Code, 0})
		}
		return errRefused
	}
	if pk.Properties.AuthenticationMethod != "" {
		return refuse(packets.ErrBadAuthenticationMethod, packets.Err3NotAuthorized.Code)
	}
	user, named, ok := b.identify(l, &pk.Connect)
	if !ok {
		return refuse(packets.ErrBadUsernameOrPassword, packets.Err3NotAuthorized.Code)
	}
	l.user, l.named = user, named
	cl.Properties.Username = nil // who the client is, as verified: nil for anonymous
	if named {
		cl.Properties.Username = append([]byte{}, user...)
	}
	l.client = cl
	l.source = b.source(cl.ID)
	l.source.Refused = new(atomic.Bool)
	l.noteExpiry()
	if w := l.will; w != nil {
		if !b.mayWrite(user, named, cl.ID, w.packet.TopicName) {
			return refuse(codeDenied, packets.Err3NotAuthorized.Code)
		}
		w.source, w.client = b.source(cl.ID), cl.ID
	}
	if !b.roomFor(l, cl.ID) {
		return refuse(codeQuota, packets.Err3ServerUnavailable.Code)
	}
	s := b.takeSession(l, cl.ID, pk.Connect.Clean)
	if s == nil {
		return refuse(packets.ErrClientIdentifierNotValid, packets.Err3ClientIdentifierNotValid.Code)
	}
	l.keepalive = time.Duration(pk.Connect.Keepalive) * time.Second
	l.connected = true
	_ = l.Conn.SetReadDeadline(time.Time{})
	l.mu.Lock()
	l.session = s
	l.mu.Unlock()
	if l.expelled(b.access.Load().users) { // since the password was verified
		return refuse(packets.ErrBadUsernameOrPassword, packets.Err3NotAuthorized.Code)
	}
	return nil
}

// OnConnectAuthenticate has nothing left to ask: OnConnect decided.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, _ packets.Packet) bool {
	l := linkOf(cl)
	return l != nil && l.session != nil
}

// identify says who the client is.
func (b *Broker) identify(l *link, c *packets.ConnectParams) (user string, named, ok bool) {
	if l.door.spec.CertificateUser {
		t, is := l.Conn.(*tls.Conn)
		if !is {
			return "", false, false
		}
		chains := t.ConnectionState().VerifiedChains
		if len(chains) == 0 || len(chains[0]) == 0 || chains[0][0].Subject.CommonName == "" {
			return "", false, false
		}
		return chains[0][0].Subject.CommonName, true, true
	}
	users := b.access.Load().users
	switch {
	case c.UsernameFlag && users != nil:
		user = string(c.Username)
		l.login = &login{user, users.byName[user]}
		return user, true, users.Verify(user, c.Password)
	default: // a name that nobody can verify is no name
		return "", false, l.door.spec.Anonymous
	}
}

// roomFor says whether the client may have a session that outlives its
// connection, if it asks for one: there are not too many, or it has it already.
func (b *Broker) roomFor(l *link, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.ends.Load() || b.sessions[id] != nil || len(b.sessions) < b.limits.Sessions
}

// takeSession returns the session that the connection continues or begins, nil
// if the client id is another user's.
func (b *Broker) takeSession(l *link, id string, clean bool) *session {
	b.mu.Lock()
	old := b.sessions[id]
	if old != nil && (old.user != l.user || old.named != l.named) {
		b.mu.Unlock()
		return nil
	}
	ended := clean
	if old != nil && old.link != nil {
		old.link.refused.Store(true)
		ended = ended || old.link.ends.Load()
	}
	s := old
	if s == nil || ended {
		s = &session{id: id, user: l.user, named: l.named, epoch: newID(), received: make(map[uint16]*receipt)}
		b.sessions[id] = s
	}
	s.link, s.stays, s.version = l, !l.ends.Load(), l.version
	s.expiry = l.client.Properties.Props.SessionExpiryInterval
	var ws []*will
	for w := range b.wills {
		if w.client == id {
			ws = append(ws, w)
			delete(b.wills, w) // [MQTT-3.1.3-9]
		}
	}
	b.mu.Unlock()
	for _, w := range ws {
		if ended && !w.restored {
			b.publishWill(w)
		} else {
			b.forgetWill(w)
		}
	}
	if b.store != nil {
		if ended && old != nil {
			b.store.sessionEnded(id)
		}
		b.store.session(id)
		if l.will != nil {
			b.store.willPending(l.will)
		}
	}
	return s
}

// noteExpiry takes down whether the session ends with the connection.
func (l *link) noteExpiry() {
	p := &l.client.Properties
	if l.version == 5 {
		l.ends.Store(p.Props.SessionExpiryInterval == 0)
	} else {
		l.ends.Store(p.Clean)
	}
}

// source is what the sink learns about a client.
func (b *Broker) source(client string) mqtt.Source {
	return mqtt.Source{Ingress: b.opts.Ingress, Client: maphash.String(b.seed, client)}
}

// leave tidies up after a connection, however it ended.
func (b *Broker) leave(l *link) {
	if l.session == nil {
		return
	}
	l.noteExpiry() // DISCONNECT may have changed it
	ends := l.ends.Load()
	b.mu.Lock()
	current := b.sessions[l.session.id] == l.session
	taken := !current || l.session.link != l
	if !taken {
		l.session.link, l.session.stays = nil, !ends
		l.session.expiry = l.client.Properties.Props.SessionExpiryInterval
		if ends {
			delete(b.sessions, l.session.id)
		}
	}
	w, kept := l.will, false
	if l.clean.Load() {
		w = nil
	}
	if w != nil {
		delay := w.delay
		if l.version == 5 {
			expiry := time.Duration(l.client.Properties.Props.SessionExpiryInterval) * time.Second
			delay = min(delay, expiry) // [MQTT-3.1.3-9]: whichever is first
		}
		switch {
		case taken && current && delay > 0: // the session goes on
			w = nil
		case !taken && !ends && delay > 0 && (!b.closed || b.store != nil):
			w.due = time.Now().Add(delay)
			b.wills[w] = struct{}{}
			w, kept = nil, true
		}
	}
	b.mu.Unlock()
	if b.store != nil && !taken {
		if ends {
			b.store.sessionEnded(l.session.id)
		} else {
			b.store.session(l.session.id)
		}
	}
	switch {
	case w != nil:
		b.publishWill(w)
	case l.will != nil && !kept:
		b.forgetWill(l.will)
	}
}

// abandon does for a connection that panicked, or failed before its CONNACK,
// what mochi would have done.
func (b *Broker) abandon(l *link) {
	if l.client == nil || l.session == nil {
		return
	}
	l.client.Stop(codeUnspecified)
	if now, ok := b.srv.Clients.Get(l.client.ID); !ok || now != l.client {
		return
	}
	if l.noteExpiry(); l.ends.Load() && !l.client.IsTakenOver() {
		l.client.ClearInflights()
		b.srv.UnsubscribeClient(l.client)
		b.srv.Clients.Delete(l.client.ID)
	}
}

// OnACLCheck is asked for each filter of a SUBSCRIBE and each delivery; writes
// are checked before mochi sees them.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	if write {
		return false
	}
	acl, u := h.b.access.Load().acl, cl.Properties.Username
	if isFilter(topic) {
		return acl.MayReadFilter(string(u), u != nil, cl.ID, topic)
	}
	return acl.MayRead(string(u), u != nil, cl.ID, topic)
}

// OnPacketEncode completes what mochi answers.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	l := linkOf(cl)
	if l == nil {
		return pk
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		if pk.ReasonCode == 0 {
			pk.Properties.TopicAliasMaximum = uint16(h.b.limits.TopicAliases)
			pk.Properties.MaximumPacketSize = uint32(h.b.limits.PacketBytes)
			h.b.orderInflight(cl)
		}
	case packets.Suback, packets.Unsuback:
		pk.PacketID = l.askedID
		for i := range pk.ReasonCodes {
			if l.surplus[i] && l.version == 5 {
				pk.ReasonCodes[i] = codeQuota.Code
			}
		}
		clear(l.surplus)
	}
	return pk
}

// OnPublish sees only what we publish through the inline client, and gives it
// its origin back, which No Local needs.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if !cl.Net.Inline {
		return pk, packets.ErrRejectPacket
	}
	pk.Origin = pk.Connect.ClientIdentifier
	pk.Connect = packets.ConnectParams{}
	return pk, nil
}

// OnPublishDropped counts deliveries that did not fit mochi's queue.
func (h *hook) OnPublishDropped(_ *mochi.Client, pk packets.Packet) {
	if pk.FixedHeader.Qos == 0 {
		h.b.stats.droppedQoS0.Add(1)
	} else {
		h.b.stats.droppedQueue.Add(1)
	}
}

// OnQosPublish numbers a message that goes into flight: mochi orders resends by
// the second in which a message was created, and not at all within it.
func (h *hook) OnQosPublish(cl *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	if !h.b.queued.put(cl.ID, pk.PacketID, kept(pk.TopicName, pk.Payload)) && !pk.FixedHeader.Dup {
		if cl.State.Inflight.Delete(pk.PacketID) {
			atomic.AddInt64(&h.b.srv.Info.Inflight, -1)
		}
		h.b.stats.droppedQueue.Add(1)
		h.b.log.Warn("message not kept for a session: the local broker holds as much as it may", "ingress", h.b.opts.Ingress)
		return
	}
	if pk.FixedHeader.Dup {
		return
	}
	pk.Created = h.b.sequence.Add(1)
	cl.State.Inflight.Set(pk)
	h.markQueued(cl, pk)
}

// orderInflight prepares what mochi is about to resend on a resumed session: it
// compares only the low 16 bits of Created.
func (b *Broker) orderInflight(cl *mochi.Client) {
	pks := cl.State.Inflight.GetAll(false)
	slices.SortStableFunc(pks, func(a, b packets.Packet) int {
		return cmp.Compare(a.Created, b.Created)
	})
	for i, pk := range pks {
		pk.Created = int64(i)
		cl.State.Inflight.Set(pk)
	}
}

func (h *hook) OnQosComplete(cl *mochi.Client, pk packets.Packet) {
	h.b.queued.drop(cl.ID, pk.PacketID)
	h.markQueued(cl, pk)
}

func (h *hook) OnQosDropped(cl *mochi.Client, pk packets.Packet) { h.OnQosComplete(cl, pk) }

// markQueued tells the store that a message in flight changed.
func (h *hook) markQueued(cl *mochi.Client, pk packets.Packet) {
	if h.b.store == nil || cl.Net.Inline {
		return
	}
	if epoch, ok := h.b.epochOf(cl.ID); ok {
		h.b.store.queued(queuedKey{cl.ID, epoch, pk.PacketID})
	}
}

// OnSessionEstablished comes when the subscriptions of a session that goes on
// are in place again.
func (h *hook) OnSessionEstablished(*mochi.Client, packets.Packet) { h.b.heard.Add(1) }

// OnSubscribe makes filters that there is no room for such as mochi refuses. Its
// reason code is put right in OnPacketEncode.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	l := linkOf(cl)
	if l == nil {
		return pk
	}
	for i := range pk.Filters {
		f := &pk.Filters[i].Filter
		if _, ok := cl.State.Subscriptions.Get(*f); ok || h.b.subscribed.put(cl.ID, *f, rooted(*f, nil)) {
			continue
		}
		if l.surplus == nil {
			l.surplus = make(map[int]bool)
		}
		l.surplus[i] = true
		*f = ""
	}
	if len(l.surplus) > 0 {
		h.b.stats.filtersRefused.Add(uint64(len(l.surplus)))
		h.b.log.Warn("subscription refused: the local broker holds as many as it may", "ingress", h.b.opts.Ingress)
	}
	return pk
}

func (h *hook) OnSubscribed(cl *mochi.Client, pk packets.Packet, codes []byte) {
	for i, f := range pk.Filters {
		if _, ok := cl.State.Subscriptions.Get(f.Filter); !ok && codes[i] >= codeUnspecified.Code {
			h.b.subscribed.drop(cl.ID, f.Filter)
		}
	}
	h.b.heard.Add(1)
	h.markSession(cl)
}

func (h *hook) OnUnsubscribed(cl *mochi.Client, pk packets.Packet) {
	for _, f := range pk.Filters {
		h.b.subscribed.drop(cl.ID, f.Filter)
	}
	h.markSession(cl)
}

func (h *hook) markSession(cl *mochi.Client) {
	if h.b.store != nil {
		h.b.store.session(cl.ID)
	}
}

func (h *hook) OnRetainMessage(_ *mochi.Client, pk packets.Packet, _ int64) {
	if h.b.store != nil {
		h.b.store.retained(pk.TopicName)
	}
}

func (h *hook) OnRetainedExpired(topic string) {
	h.b.retaining.Lock()
	if _, again := h.b.srv.Topics.Retained.Get(topic); !again {
		h.b.retained.drop(struct{}{}, topic)
	}
	h.b.retaining.Unlock()
	if h.b.store != nil {
		h.b.store.retained(topic)
	}
}

// OnClientExpired forgets a session whose client stayed away too long.
func (h *hook) OnClientExpired(cl *mochi.Client) {
	h.b.mu.Lock()
	if s := h.b.sessions[cl.ID]; s != nil && s.link == nil {
		delete(h.b.sessions, cl.ID)
	}
	h.b.mu.Unlock()
	cl.ClearInflights()
	h.b.srv.UnsubscribeClient(cl)
	if h.b.store != nil {
		h.b.store.sessionEnded(cl.ID)
	}
}
