package corridor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// An Uplink is one cloud broker, as the corridor sees it.
type Uplink struct {
	Name string
	Map  func(topic string) (m protect.Mapping, ok bool) // from a local topic to the published one; not ok: it does not go there
	Dial func(ctx context.Context) (mqtt.Conn, error)

	Grants     *Grants // for messages whose grants do not travel inside; nil: there are none
	Limits     Limits
	Rate       Rate
	Properties bool            // publish MQTT 5 user properties and content types
	Refused    func(code byte) // optional: told the MQTT 5 reason for which a lane stands, and 0 when none does any more

	Window      int           // messages sent and not yet acknowledged; default 100
	WindowBytes int           // their bytes; default 4 MiB
	AckTimeout  time.Duration // silence on the oldest one that ends the connection; default 30 s
	BackoffMax  time.Duration // upper bound of the pause between connections; default 60 s
	StopFirst   time.Duration // how long a refused lane stands at first; doubles up to 10 min; default 5 s
}

// laneWeights is how many messages each lane may send in one turn: 8:3:1, and
// what routes keep the newest of like the normal one.
var laneWeights = [...]struct {
	lane  policy.Lane
	share int
}{{policy.LaneHigh, 8}, {policy.LaneNormal, 3}, {policy.LaneLatest, 3}, {policy.LaneLow, 1}}

const (
	strikesAlone = 3 // connections lost with the same record at the head: send it alone
	strikesProbe = 5 // and lost again, twice, with nothing else in flight: see whether another one passes
)

// A sender publishes what one uplink's logs hold. It is the only reader of
// their cursors. Each connection starts from the first record that is not
// acknowledged, so that a resend never changes the order.
type sender struct {
	c     *Corridor
	index int
	u     Uplink
	lanes [len(laneWeights)]*spool.Cursor
	held  [len(laneWeights)]held // lanes that stand at a fence
	grant courier
	stops [len(laneWeights)]stop // lanes that the broker refuses

	bucket bucket

	draining chan struct{} // closed: send what is in flight, then stop
	drained  chan struct{}
	once     sync.Once

	head    [16]byte // the oldest unacknowledged record when the last connection was lost
	strikes int

	stats struct {
		connected                                        atomic.Bool
		acknowledged, bytes, resent, quarantined, losses atomic.Uint64
		inFlight                                         atomic.Int64
		roundTrip                                        atomic.Int64 // nanoseconds, smoothed
	}
	msg     mqtt.Message                // under way to the connection
	highest map[*spool.Cursor]spool.Pos // furthest position ever sent: what is below it is a resend
}

func newSender(c *Corridor, index int, u Uplink) (*sender, error) {
	if u.Dial == nil || u.Map == nil || u.Name == "" {
		return nil, errors.New("name, map and dial are required")
	}
	if u.Window <= 0 {
		u.Window = 100
	}
	if u.WindowBytes <= 0 {
		u.WindowBytes = 4 << 20
	}
	if u.AckTimeout <= 0 {
		u.AckTimeout = 30 * time.Second
	}
	if u.BackoffMax <= 0 {
		u.BackoffMax = time.Minute
	}
	if u.StopFirst <= 0 {
		u.StopFirst = stopFirst
	}
	s := &sender{
		c: c, index: index, u: u, bucket: newBucket(u.Rate),
		draining: make(chan struct{}), drained: make(chan struct{}),
		highest: map[*spool.Cursor]spool.Pos{},
	}
	s.grant.s = s
	for i, w := range laneWeights {
		cur, err := c.opt.Spool.Cursor(index, uint8(w.lane))
		if err != nil {
			return nil, err
		}
		s.lanes[i] = cur
	}
	return s, nil
}

// run keeps one connection up until ctx ends or the sender is drained.
func (s *sender) run(ctx context.Context) {
	defer close(s.drained)
	for attempt := 0; ; {
		conn, err := s.u.Dial(ctx)
		if err == nil {
			var progress bool
			s.stats.connected.Store(true)
			progress, err = s.send(ctx, conn)
			s.stats.connected.Store(false)
			for _, cur := range s.lanes {
				cur.Pause()
			}
			s.stats.inFlight.Store(0)
			_ = conn.Close() // it is lost already, or no longer wanted
			if progress {
				attempt = 0
			}
		}
		if ctx.Err() != nil || errors.Is(err, errDrained) || isClosed(s.draining) {
			return
		}
		attempt++
		pause := backoff(attempt, s.u.BackoffMax)
		s.c.opt.Logger.Warn("uplink connection ended", "uplink", s.u.Name, "error", err, "retry_in", pause.Round(time.Millisecond))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		case <-s.draining:
			return
		}
	}
}

// backoff is exponential with full jitter: thousands of gateways that lost the
// same broker must not come back at the same moment.
func backoff(attempt int, limit time.Duration) time.Duration {
	top := min(limit, 250*time.Millisecond<<min(attempt, 20))
	return rand.N(top) + 10*time.Millisecond
}

var (
	errDrained  = errors.New("drained")
	errSilent   = errors.New("no acknowledgement in time")
	errProbed   = errors.New("the message at the head was set aside")
	errInnocent = errors.New("the message at the head is taken after all")
)

// flight is one record that was sent and is not yet acknowledged.
type flight struct {
	lane int // index in laneWeights
	pos  spool.Pos
	id   [16]byte
	size int
	sent time.Time
}

// acked is an acknowledgement on its way from the connection to the sender.
type acked struct {
	n   uint64 // number of the publish on this connection
	ack mqtt.Ack
}

// send publishes on one connection until it ends. It reports whether anything
// was acknowledged.
func (s *sender) send(ctx context.Context, conn mqtt.Conn) (progress bool, err error) {
	for _, cur := range s.lanes {
		cur.Rewind()
	}
	s.held = [len(laneWeights)]held{}
	s.grant.connected(conn)
	for i := range s.stops {
		s.stops[i].flying, s.stops[i].rewind = 0, false
		s.stops[i].spurned = spurnedMost // nothing is lost to a broker that has not taken anything yet
	}
	most := s.u.Window
	if l, ok := conn.(mqtt.Limited); ok && l.Limits().Window > 0 {
		most = min(most, l.Limits().Window)
	}
	w := &window{flights: map[uint64]flight{}, acks: make(chan acked, most), limit: most, limitBytes: s.u.WindowBytes}
	if s.strikes >= strikesProbe && s.c.held.Load() == nil {
		if tried, progress, err := s.probe(ctx, conn); tried {
			return progress, err
		}
	}
	if s.strikes >= strikesAlone {
		w.limit = 1
	}
	defer func() {
		if !progress {
			s.strike(w)
		}
	}()
	settle := func(a acked) error {
		ok, err := s.settle(w, a)
		if ok {
			progress, s.strikes, w.limit = true, 0, most
		}
		return err
	}
	silence := time.NewTicker(max(s.u.AckTimeout/4, 10*time.Millisecond))
	defer silence.Stop()
	draining := s.draining
	for {
		// Acknowledgements first: they make room.
		for a, ok := pollAck(w.acks); ok; a, ok = pollAck(w.acks) {
			if err := settle(a); err != nil {
				return progress, err
			}
		}
		var later <-chan time.Time
		arrived := s.c.opt.Spool.Arrived(s.index) // before looking: an arrival in between must not be missed
		wake := s.c.held.Load()
		switch {
		case draining == nil && len(w.flights) == 0:
			return progress, errDrained
		case draining == nil || w.full():
			arrived = nil // only an acknowledgement helps
		case wake != nil:
			arrived = *wake
		default:
			sent, err := s.sendTurn(ctx, w, conn)
			if err != nil {
				return progress, err
			}
			if sent {
				continue
			}
			if d := s.patience(time.Now()); d > 0 {
				later = time.After(d)
			}
		}
		select {
		case <-later:
		case a := <-w.acks:
			if err := settle(a); err != nil {
				return progress, err
			}
		case <-arrived:
		case <-draining:
			draining = nil // from now on only what is in flight
		case err := <-conn.Done():
			return progress, err
		case <-silence.C:
			if oldest, ok := w.oldest(); ok && time.Since(oldest.sent) > s.u.AckTimeout {
				return progress, errSilent
			}
		case <-ctx.Done():
			return progress, ctx.Err()
		}
	}
}

func pollAck(ch <-chan acked) (acked, bool) {
	select {
	case a := <-ch:
		return a, true
	default:
		return acked{}, false
	}
}

// window is what is in flight on one connection.
type window struct {
	flights map[uint64]flight
	next    uint64 // number of the next publish
	first   uint64 // no lower number is in flight
	bytes   int
	acks    chan acked

	limit, limitBytes int
}

func (w *window) full() bool { return len(w.flights) >= w.limit || w.bytes >= w.limitBytes }

// oldest is the flight that was sent first.
func (w *window) oldest() (flight, bool) {
	for ; w.first < w.next; w.first++ {
		if f, ok := w.flights[w.first]; ok {
			return f, true
		}
	}
	return flight{}, false
}

// sendTurn publishes one turn of the lanes by their weights. It reports whether
// anything was sent.
func (s *sender) sendTurn(ctx context.Context, w *window, conn mqtt.Conn) (sent bool, err error) {
	for i, weight := range laneWeights {
		for range weight.share {
			if w.full() || s.bucket.wait(time.Now()) > 0 {
				return sent, nil
			}
			if !s.goes(i) || !s.pass(i) {
				break
			}
			rec, pos, ok, err := s.next(i)
			if err != nil {
				return sent, err
			}
			if !ok {
				break
			}
			if rec.Kind == spool.KindFence {
				s.held[i] = held{rec, pos}
				continue
			}
			if err := s.grant.ensure(ctx, conn, rec); err != nil {
				return sent, err
			}
			if err := s.publish(w, conn, i, rec, pos); err != nil {
				return sent, err
			}
			sent = true
		}
	}
	return sent, nil
}

func (s *sender) publish(w *window, conn mqtt.Conn, lane int, rec *spool.Record, pos spool.Pos) error {
	f := flight{lane, pos, rec.ID, len(rec.Payload), time.Now()}
	if reason := s.u.Limits.refuses(rec); reason != "" {
		return s.quarantine(f, reason, codePacketLarge)
	}
	cur := s.lanes[lane]
	if top := s.highest[cur]; pos.After(top) {
		s.highest[cur] = pos
	} else {
		s.stats.resent.Add(1)
	}
	n := w.next
	w.next++
	w.flights[n] = f
	w.bytes += f.size
	s.stops[lane].flying++
	s.bucket.take(f.size + len(rec.Topic))
	s.stats.inFlight.Store(int64(len(w.flights)))
	s.msg = s.message(rec)
	err := conn.Publish(&s.msg, func(a mqtt.Ack) { w.acks <- acked{n, a} }) // never blocks: the channel is as long as the window
	if errors.Is(err, mqtt.ErrTooLarge) {
		s.land(w, n)
		return s.quarantine(f, reasonPacketLarge, codePacketLarge)
	}
	return err
}

// land takes a record out of the window.
func (s *sender) land(w *window, n uint64) {
	f := w.flights[n]
	delete(w.flights, n)
	w.bytes -= f.size
	s.stops[f.lane].flying--
	s.stats.inFlight.Store(int64(len(w.flights)))
}

// settle takes one acknowledgement: the record is released, or the connection
// has to end.
func (s *sender) settle(w *window, a acked) (ok bool, err error) {
	f, known := w.flights[a.n]
	if !known {
		return false, nil
	}
	switch a.ack.Code {
	case codeUnauthorized, codeQuota, codeTopicInvalid, codePacketLarge, codePayloadInvalid:
		s.land(w, a.n)
		return false, s.refuse(f, a.ack.Code)
	}
	if a.ack.Err != nil {
		return false, a.ack.Err
	}
	s.land(w, a.n)
	s.lanes[f.lane].Release(f.pos)
	s.went(f.lane)
	s.stats.acknowledged.Add(1)
	s.stats.bytes.Add(uint64(f.size))
	const weight = 8 // RFC 6298's smoothing
	rtt, old := int64(time.Since(f.sent)), s.stats.roundTrip.Load()
	s.stats.roundTrip.Store(old + (rtt-old)/weight)
	return true, nil
}

// strike notes that a connection was lost without any progress.
func (s *sender) strike(w *window) {
	f, ok := w.oldest()
	if !ok {
		return
	}
	if f.id != s.head {
		s.head, s.strikes = f.id, 0
	}
	s.strikes++
	s.stats.losses.Add(1)
}

// probeDepth bounds how far a probe looks for another topic.
const probeDepth = 4096

// probe finds out whether the record at the head is the reason why connections
// are lost, by sending another one before it: of another topic, so that no order
// is touched whatever comes of it. If that is acknowledged and the head ends the
// same connection once more, it goes to quarantine, still protected: one poison
// message never wedges the line. If the other is not, the uplink is sick and the
// head is innocent; if both are, the uplink was. It reports whether there was
// another record to try.
func (s *sender) probe(ctx context.Context, conn mqtt.Conn) (tried, progress bool, err error) {
	head, other, err := s.suspects()
	if err != nil || head.cur == nil || other.cur == nil {
		for _, cur := range s.lanes {
			cur.Rewind()
		}
		return false, false, err
	}
	s.strikes = strikesAlone // if this does not settle it, begin again
	if err := s.grant.ensure(ctx, conn, other.rec); err != nil {
		return true, false, err
	}
	if err := s.sendAlone(ctx, conn, other); err != nil {
		return true, false, err
	}
	if err := s.grant.ensure(ctx, conn, head.rec); err != nil { // the head was not sent
		return true, true, err
	}
	err = s.sendAlone(ctx, conn, head)
	var refused *mqtt.ReasonError
	switch {
	case err == nil:
		s.strikes = 0
		return true, true, errInnocent
	case ctx.Err() != nil, errors.As(err, &refused) && !refused.End && (refused.Code == codeUnauthorized || refused.Code == codeQuota):
		return true, true, err
	}
	if err := s.c.opt.Spool.Quarantine(s.index, head.cur, head.pos, reasonRefused, true); err != nil {
		s.c.opt.Logger.Error("record can't be moved to quarantine; it stays at the head", "uplink", s.u.Name, "error", err)
		return true, true, err
	}
	s.strikes = 0
	s.stats.quarantined.Add(1)
	s.c.opt.Logger.Error("message moved to quarantine: the uplink ended the connection each time it was sent, and took another", "uplink", s.u.Name, "message_id", hexID(head.rec.ID))
	return true, true, errProbed
}

// sendAlone sends a record with nothing else under way and waits for its
// acknowledgement.
func (s *sender) sendAlone(ctx context.Context, conn mqtt.Conn, x suspect) error {
	answer := make(chan mqtt.Ack, 1)
	s.msg = s.message(x.rec)
	if err := conn.Publish(&s.msg, func(a mqtt.Ack) { answer <- a }); err != nil {
		return err
	}
	select {
	case a := <-answer:
		if a.Err != nil {
			return a.Err
		}
	case err := <-conn.Done():
		return err
	case <-time.After(s.u.AckTimeout):
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
	x.cur.Release(x.pos)
	s.stats.acknowledged.Add(1)
	return nil
}

// suspect is a record and its place.
type suspect struct {
	cur *spool.Cursor
	pos spool.Pos
	rec *spool.Record
}

// suspects returns the record at the head and the first one of another topic.
// Either may be missing. The cursors have moved on afterwards.
func (s *sender) suspects() (head, other suspect, err error) {
	var firsts []suspect
	for _, cur := range s.lanes {
		rec, pos, ok, err := cur.Next()
		if err != nil {
			return head, other, err
		}
		if ok && rec.Kind == spool.KindFence {
			continue
		}
		if ok && rec.ID == s.head {
			head = suspect{cur, pos, rec}
		} else if ok {
			firsts = append(firsts, suspect{cur, pos, rec})
		}
	}
	if head.cur == nil {
		return head, other, nil
	}
	for _, f := range firsts {
		if f.rec.Topic != head.rec.Topic {
			return head, f, nil
		}
	}
	for range probeDepth {
		rec, pos, ok, err := head.cur.Next()
		if err != nil || !ok || rec.Kind == spool.KindFence {
			return head, other, err
		}
		if rec.Topic != head.rec.Topic {
			return head, suspect{head.cur, pos, rec}, nil
		}
	}
	return head, other, nil
}

// drain lets the sender finish what is in flight, at most until ctx ends.
func (s *sender) drain(ctx context.Context) {
	s.once.Do(func() { close(s.draining) })
	select {
	case <-s.drained:
	case <-ctx.Done():
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
