package broker

import (
	"errors"
	"math/rand/v2"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What is stored of a message, a session and a subscription. Fields are only
// ever added.
type storedMessage struct {
	Topic       string      `cbor:"0,keyasint"`
	Payload     []byte      `cbor:"1,keyasint"`
	Type        byte        `cbor:"2,keyasint"` // PUBLISH, or PUBREL for a QoS 2 flow half done
	QoS         byte        `cbor:"3,keyasint"`
	Retain      bool        `cbor:"4,keyasint,omitempty"`
	Created     int64       `cbor:"5,keyasint,omitempty"`
	Expiry      int64       `cbor:"6,keyasint,omitempty"` // Unix seconds
	Origin      string      `cbor:"7,keyasint,omitempty"`
	User        [][2]string `cbor:"8,keyasint,omitempty"`
	ContentType string      `cbor:"9,keyasint,omitempty"`
	Response    string      `cbor:"10,keyasint,omitempty"`
	Correlation []byte      `cbor:"11,keyasint,omitempty"`
	Format      byte        `cbor:"12,keyasint,omitempty"`
	HasFormat   bool        `cbor:"13,keyasint,omitempty"`
	Lifetime    uint32      `cbor:"14,keyasint,omitempty"` // message expiry interval, seconds
	SubIDs      []int       `cbor:"15,keyasint,omitempty"`
}

type storedSession struct {
	User     string         `cbor:"0,keyasint,omitempty"`
	Named    bool           `cbor:"1,keyasint,omitempty"`
	Version  byte           `cbor:"2,keyasint"`
	Expiry   uint32         `cbor:"3,keyasint,omitempty"`
	Received []uint16       `cbor:"4,keyasint,omitempty"` // QoS 2 packet ids taken and not released
	Subs     []storedFilter `cbor:"5,keyasint,omitempty"`
}

type storedFilter struct {
	Filter  string `cbor:"0,keyasint"`
	QoS     byte   `cbor:"1,keyasint,omitempty"`
	ID      int    `cbor:"2,keyasint,omitempty"`
	NoLocal bool   `cbor:"3,keyasint,omitempty"`
	AsIs    bool   `cbor:"4,keyasint,omitempty"` // Retain As Published
	Retain  byte   `cbor:"5,keyasint,omitempty"` // Retain Handling
}

func storeMessage(pk packets.Packet) *storedMessage {
	m := &storedMessage{
		Topic: pk.TopicName, Payload: pk.Payload, Type: pk.FixedHeader.Type,
		QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain,
		Created: pk.Created, Expiry: pk.Expiry, Origin: pk.Origin,
		ContentType: pk.Properties.ContentType, Response: pk.Properties.ResponseTopic,
		Correlation: pk.Properties.CorrelationData, Format: pk.Properties.PayloadFormat,
		HasFormat: pk.Properties.PayloadFormatFlag, Lifetime: pk.Properties.MessageExpiryInterval,
		SubIDs: pk.Properties.SubscriptionIdentifier,
	}
	for _, p := range pk.Properties.User {
		m.User = append(m.User, [2]string{p.Key, p.Val})
	}
	return m
}

func (m *storedMessage) packet() packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: m.Type, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, Created: m.Created, Expiry: m.Expiry, Origin: m.Origin,
		ProtocolVersion: 5, // so that the expiry counts
		Properties: packets.Properties{
			ContentType: m.ContentType, ResponseTopic: m.Response, CorrelationData: m.Correlation,
			PayloadFormat: m.Format, PayloadFormatFlag: m.HasFormat, MessageExpiryInterval: m.Lifetime,
			SubscriptionIdentifier: m.SubIDs,
		},
	}
	for _, p := range m.User {
		pk.Properties.User = append(pk.Properties.User, packets.UserProperty{Key: p[0], Val: p[1]})
	}
	return pk
}

// valid refuses what no broker of ours wrote.
func (m *storedMessage) valid(queued bool) bool {
	if m == nil || m.QoS > 2 {
		return false
	}
	if queued && m.Type == packets.Pubrel {
		return true
	}
	return m.Type == packets.Publish && checkTopic(m.Topic) == nil
}

func (s *store) retainedChange(topic string) change {
	pk, ok := s.b.srv.Topics.Retained.Get(topic)
	if isSys(topic) {
		return change{}
	}
	if !ok {
		return change{Kind: dropRetained, Key: topic}
	}
	return change{Kind: setRetained, Message: storeMessage(pk)}
}

func (s *store) sessionChange(id string) change {
	gone := change{Kind: dropSession, Key: id}
	cl, ok := s.b.srv.Clients.Get(id)
	if !ok {
		return gone
	}
	b := s.b
	b.mu.Lock()
	ses := b.sessions[id]
	if ses == nil || !ses.stays {
		b.mu.Unlock()
		return gone
	}
	st := &storedSession{User: ses.user, Named: ses.named, Version: ses.version, Expiry: ses.expiry}
	b.mu.Unlock()
	ses.mu.Lock()
	for pid, r := range ses.received {
		if r.durable {
			st.Received = append(st.Received, pid)
		}
	}
	ses.mu.Unlock()
	for _, f := range cl.State.Subscriptions.GetAll() {
		st.Subs = append(st.Subs, storedFilter{
			Filter: f.Filter, QoS: f.Qos, ID: f.Identifier, NoLocal: f.NoLocal,
			AsIs: f.RetainAsPublished, Retain: f.RetainHandling,
		})
	}
	return change{Kind: setSession, Key: id, Epoch: ses.epoch, Session: st}
}

func (s *store) queuedChange(k queuedKey) change {
	gone := change{Kind: dropQueued, Key: k.client, Epoch: k.epoch, ID: k.id}
	if epoch, ok := s.b.epochOf(k.client); !ok || epoch != k.epoch {
		return gone
	}
	cl, ok := s.b.srv.Clients.Get(k.client)
	if !ok {
		return gone
	}
	pk, ok := cl.State.Inflight.Get(k.id)
	if !ok {
		return gone
	}
	return change{Kind: setQueued, Key: k.client, Epoch: k.epoch, ID: k.id, Message: storeMessage(pk)}
}

func (s *store) willChange(id uint64) change {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.wills[id]
	if !ok {
		return change{Kind: dropWill, Epoch: id}
	}
	return change{Kind: setWill, Key: w.client, Epoch: id, Message: storeMessage(w.packet), Delay: w.delay}
}

// sessionIDs are the ids of the sessions that outlive their connection.
func (b *Broker) sessionIDs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, s := range b.sessions {
		if s.stays {
			ids = append(ids, id)
		}
	}
	return ids
}

// epochOf tells sessions of the same client id apart. Not ok for a session that
// ends with its connection: nothing of it is stored.
func (b *Broker) epochOf(client string) (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[client]
	if s == nil || !s.stays {
		return 0, false
	}
	return s.epoch, true
}

func newID() uint64 { return rand.Uint64() }

// load opens the store, if there is to be one.
func (b *Broker) load() error {
	if b.opts.StateDir == "" {
		return nil
	}
	if b.opts.Key == nil {
		return errors.New("broker state needs a key: it is never written in clear")
	}
	s := newStore(b, b.opts.StateDir, b.opts.Key)
	b.store = s
	if err := s.open(); err != nil {
		return err
	}
	every := b.opts.WriteBehind
	if every <= 0 {
		every = time.Second
	}
	go s.run(every)
	return nil
}

// restoredWill is how long after a crash a client may take to come back before
// the will it had is published (MQTT 5, 3.1.2.5: after a server failure the
// publication may be deferred until a restart).
const restoredWill = 30 * time.Second

// restore applies stored changes to an empty broker.
func (b *Broker) restore(cs []change) {
	type key struct {
		client string
		epoch  uint64
	}
	retained := make(map[string]*storedMessage)
	sessions := make(map[string]change)
	queued := make(map[key]map[uint16]*storedMessage)
	wills := make(map[uint64]change)
	for _, c := range cs {
		switch c.Kind {
		case setRetained:
			if c.Message.valid(false) && len(c.Message.Payload) > 0 {
				retained[c.Message.Topic] = c.Message
			}
		case dropRetained:
			delete(retained, c.Key)
		case setSession:
			if c.Session != nil && c.Key != "" {
				sessions[c.Key] = c
			}
		case dropSession:
			delete(sessions, c.Key)
		case setQueued:
			if k := (key{c.Key, c.Epoch}); c.Message.valid(true) && c.ID != 0 {
				if queued[k] == nil {
					queued[k] = make(map[uint16]*storedMessage)
				}
				queued[k][c.ID] = c.Message
			}
		case dropQueued:
			delete(queued[key{c.Key, c.Epoch}], c.ID)
		case setWill:
			if c.Message.valid(false) {
				wills[c.Epoch] = c
			}
		case dropWill:
			delete(wills, c.Epoch)
		}
	}
	for _, m := range retained {
		_ = b.retained.put(struct{}{}, m.Topic, rooted(m.Topic, m.Payload)) // what was kept under other limits stays
		b.srv.Topics.RetainMessage(m.packet())
	}
	for id, c := range sessions {
		b.restoreSession(id, c, queued[key{id, c.Epoch}])
	}
	for id, c := range wills {
		w := &will{
			id: id, packet: c.Message.packet(), delay: c.Delay, client: c.Key, restored: true,
			due: time.Now().Add(max(c.Delay, restoredWill)), source: b.source(c.Key),
		}
		b.store.wills[id] = w
		b.wills[w] = struct{}{}
	}
}

func (b *Broker) restoreSession(id string, c change, queued map[uint16]*storedMessage) {
	st := c.Session
	cl := b.srv.NewClient(nil, mochi.LocalListener, id, false)
	cl.Properties.ProtocolVersion = st.Version
	cl.Properties.Props.SessionExpiryInterval = st.Expiry
	cl.Properties.Props.SessionExpiryIntervalFlag = st.Version == 5
	if st.Named {
		cl.Properties.Username = append([]byte{}, st.User...)
	}
	cl.Stop(codeShutdown)
	b.srv.Clients.Add(cl)
	for _, f := range st.Subs {
		if checkFilter(f.Filter) != nil || f.QoS > 2 {
			continue
		}
		sub := packets.Subscription{
			Filter: f.Filter, Qos: f.QoS, Identifier: f.ID, NoLocal: f.NoLocal,
			RetainAsPublished: f.AsIs, RetainHandling: f.Retain,
		}
		_ = b.subscribed.put(id, f.Filter, rooted(f.Filter, nil)) // as above
		b.srv.Topics.Subscribe(id, sub)
		cl.State.Subscriptions.Add(f.Filter, sub)
	}
	for pid, m := range queued {
		_ = b.queued.put(id, pid, kept(m.Topic, m.Payload)) // as above
		pk := m.packet()
		pk.PacketID = pid
		if pk.FixedHeader.Type == packets.Pubrel {
			pk.FixedHeader.Qos = 1
		}
		cl.State.Inflight.Set(pk)
	}
	b.orderInflight(cl)
	s := &session{
		id: id, user: st.User, named: st.Named, version: st.Version, expiry: st.Expiry,
		stays: true, epoch: c.Epoch, received: make(map[uint16]*receipt),
	}
	for _, pid := range st.Received {
		s.received[pid] = &receipt{durable: true}
	}
	b.sessions[id] = s
}
