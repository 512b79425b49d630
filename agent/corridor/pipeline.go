package corridor

import (
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	crand "crypto/rand"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/protect"
)

// A job is one message on its way from Submit to the committer.
type job struct {
	gen         *Generation
	route       *policy.Route
	src         mqtt.Source
	msg         mqtt.Message
	done        func(error)
	received    time.Time
	size        int64
	uplinks     spool.UplinkMask
	reservation spool.Reservation
	left        bool // the budget

	cut *cut // set: no message, but the end of those of a generation

	item  batchItem // what becomes of it; with the memory for one uplink, so that most messages need no more
	entry [1]spool.Entry
	event [1]Event
}

// A batchItem is what a shard hands to the committer: the records of one
// message for each of its uplinks, and who waits for them.
type batchItem struct {
	job     *job
	entries []spool.Entry
	events  []Event
	ready   time.Time
	err     error // the message can't leave and must not be acknowledged

	unsafe atomic.Int32 // entries that are neither durable nor released, and the commit under way
	lost   atomic.Bool  // one of them could not be made durable
}

// A shard judges and protects the messages of its order keys, one at a time.
// It owns its memory and its sequence numbers; nothing in it is shared.
type shard struct {
	c       *Corridor
	id      int
	in      chan *job
	scratch policy.Scratch
	seq     map[streamKey]uint64
	random  *rand.ChaCha8
}

type streamKey struct {
	uplink int
	lane   policy.Lane
}

func newShard(c *Corridor, id int) *shard {
	var seed [32]byte
	crand.Read(seed[:]) // never fails since Go 1.24
	return &shard{
		c: c, id: id,
		in:     make(chan *job, 256),
		seq:    map[streamKey]uint64{},
		random: rand.NewChaCha8(seed),
	}
}

func (s *shard) run() {
	for j := range s.in {
		if j.cut != nil {
			s.c.commits <- &batchItem{job: j}
			<-j.cut.passed
			continue
		}
		s.c.commits <- s.guarded(j)
	}
}

// guarded is process behind the last recover of the corridor: judging and
// protecting have their own, so this catches only what nobody expected. The
// message is refused, not lost: its device was not acknowledged.
func (s *shard) guarded(j *job) (item *batchItem) {
	defer func() {
		if recover() != nil { // the value may hold data: it is counted, never printed
			s.c.stats.panics.Add(1)
			item = &batchItem{job: j, err: errPanic}
		}
	}()
	return s.process(j)
}

var (
	errPanic = errors.New("processing panicked")
	errHeld  = errors.New("no usable key")

	errBehind = errors.New("an earlier message of the connection was refused")
	errDisk   = errors.New("the message could not be made durable")
)

// process takes one message through the stages. Read it first: this is what
// Sealgate does.
func (s *shard) process(j *job) *batchItem {
	item := &j.item
	item.job, item.entries, item.events = j, j.entry[:0], j.event[:0]
	start := time.Now()

	verdict := j.gen.Policy.Judge(&s.scratch, s.c.opt.State, j.route, policy.Input{
		Topic:   j.msg.Topic,
		Payload: j.msg.Payload,
		Retain:  j.msg.Retain,
		Now:     int64(start.Sub(processStart)),
		Subject: s.subject(j),
		Births:  &s.c.births,
	})
	judged := time.Now()

	for i := range verdict.Decisions {
		decision := &verdict.Decisions[i]
		if j.uplinks&(1<<decision.Uplink) == 0 {
			continue
		}
		if j.route.Offline == policy.OfflineDrop && !s.c.senders[decision.Uplink].stats.connected.Load() {
			s.c.stats.dropped.Add(1) // the policy says so for this route
			continue
		}
		before := time.Now()
		output := j.gen.Protector.Protect(&verdict, decision, s.request(j, decision.Uplink))
		s.bound(&output)
		event := s.event(j, &verdict, decision, &output)
		event.Queue, event.Judge, event.Protect = start.Sub(j.received), judged.Sub(start), time.Since(before)
		item.events = append(item.events, event)

		switch output.Outcome {
		case protect.OutcomeHeld:
			return &batchItem{job: j, err: errHeld} // not lost: the device keeps it and sends it again, to every uplink
		case protect.OutcomeBlocked:
			if output.Kept != nil { // does not leave: no record
				s.c.opt.Keep(output.MessageID, output.Kept)
			}
		default:
			item.entries = s.records(item.entries, j, decision.Uplink, &output)
			s.count(j, &verdict, decision.Uplink)
		}
	}
	s.c.askRebirth(j.msg.Topic, &verdict, item.events)
	item.ready = time.Now()
	return item
}

// count notes of whom data leaves.
func (s *shard) count(j *job, v *policy.Verdict, uplink int) {
	if s.c.opt.Volume != nil && len(v.Findings) > 0 {
		j.gen.Policy.Classifier().Count(s.c.opt.Volume(uplink), v.Document, v.Findings, v.Grade == classify.Ungraded || v.Grade >= classify.L4)
	}
}

// subject is who speaks, for tracks: the client, or the topic where an existing
// broker does not tell.
func (s *shard) subject(j *job) uint64 {
	if j.src.Client != 0 {
		return j.src.Client
	}
	return maphash.String(s.c.seed, j.msg.Topic)
}

// processStart anchors the boot-time clock of Input.Now: monotonic, so that a
// step of the wall clock changes no window.
var processStart = time.Now()

// request numbers the message in its stream and tells the protector where it
// will be published.
func (s *shard) request(j *job, uplink int) protect.Request {
	key := streamKey{uplink, j.route.Lane}
	s.seq[key]++
	mapping, _ := s.c.opt.Uplinks[uplink].Map(j.msg.Topic)
	r := protect.Request{
		Stream:  envelope.Stream{Uplink: uint32(uplink), Lane: uint32(j.route.Lane), Shard: uint32(s.id)},
		Seq:     s.seq[key],
		Mapping: mapping,
		Limit:   s.c.opt.Spool.MaxRecord() - len(j.msg.Topic) - recordSlack,
	}
	s.random.Read(r.MessageID[:])
	return r
}

// recordSlack is more than a record adds to its payload and topic.
const recordSlack = 4096

// bound blocks what no log can hold. It is a matter of configuration: the agent
// refuses to start with an ingress that takes larger messages than the spool.
func (s *shard) bound(o *protect.Output) {
	if spool.Size(&spool.Record{Topic: o.Topic, Payload: o.Payload, KIDs: o.KIDs}) > s.c.opt.Spool.MaxRecord() {
		o.Outcome, o.Reason, o.Payload = protect.OutcomeBlocked, payload.ReasonTooLarge, nil
	}
}

// records turns one output into the entries of its uplink's logs: the grants
// that travel on their own and are not in the control log yet, then the message.
func (s *shard) records(dst []spool.Entry, j *job, uplink int, o *protect.Output) []spool.Entry {
	for i, grant := range o.Grants {
		dst = append(dst, spool.Entry{Uplink: uplink, Record: spool.Record{
			ID: [16]byte(o.KIDs[i][:16]), Kind: spool.KindGrant, KIDs: o.KIDs[i : i+1], QoS: 1, Payload: grant,
		}})
	}
	record := spool.Record{
		ID: o.MessageID, Kind: spool.KindData, KIDs: o.KIDs, Grade: uint8(o.Residual),
		QoS: j.msg.QoS, Retain: j.msg.Retain, Topic: o.Topic, Payload: o.Payload, MaxAge: j.route.MaxAge,
	}
	if s.c.opt.Uplinks[uplink].Properties {
		record.ContentType = contentType(o)
		record.Props = []mqtt.Prop{{"sealgate-policy", strconv.FormatUint(j.gen.Policy.Version(), 10)}}
	}
	dst = append(dst, spool.Entry{Uplink: uplink, Lane: uint8(j.route.Lane), Reservation: j.reservation, NoSync: j.msg.QoS == 0, Record: record})
	if !j.msg.Retain {
		return dst
	}
	for _, topic := range o.Also {
		record.Topic = topic // a deletion: small, and rare enough to go without a reservation of its own
		dst = append(dst, spool.Entry{Uplink: uplink, Lane: uint8(j.route.Lane), Record: record})
	}
	return dst
}

func (s *shard) event(j *job, v *policy.Verdict, d *policy.Decision, o *protect.Output) Event {
	return Event{
		Route:      j.route.Name,
		Uplink:     s.c.opt.Uplinks[d.Uplink].Name,
		Mode:       d.Mode,
		Grade:      v.Grade,
		Residual:   o.Residual,
		Outcome:    o.Outcome,
		WouldBe:    o.WouldBe,
		Reason:     o.Reason,
		Classes:    v.Classes,
		Observed:   d.Observed,
		Loose:      d.Loose,
		Findings:   len(v.Findings),
		Actions:    o.Actions,
		Guard:      d.GuardRaise,
		Unreadable: v.Reason != policy.Reason(""),
		InBytes:    len(j.msg.Payload),
		OutBytes:   len(o.Payload),
		Received:   j.received,
	}
}

const (
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
)

// runCommitter makes messages durable in batches: whatever has arrived while
// the last batch was written, up to 1,024 messages or 1 MiB.
func (c *Corridor) runCommitter() {
	var (
		batch   []*batchItem
		entries []spool.Entry
		fences  = fences{lanes: c.opt.Lanes}
	)
	c.move(&fences, c.opt.Generation.Policy.Lanes())
	for item := range c.commits {
		var cut *cut // at the end of the batch
		batch, entries = batch[:0], entries[:0]
		for size, ok := 0, true; ok; item, ok = poll(c.commits) {
			if k := item.job.cut; k != nil {
				if k.missing--; k.missing == 0 {
					cut = k
					break
				}
				continue
			}
			if item.job.overtakes() {
				item.err = errBehind
			}
			if item.err != nil {
				c.finish(item, nil, time.Time{}) // now: those behind it must see it
			} else {
				c.await(item)
				batch, entries = append(batch, item), append(entries, item.entries...)
				size += item.bytes()
			}
			if len(batch) >= maxBatch || size >= maxBatchBytes {
				break
			}
		}
		c.commit(batch, entries, &fences)
		if cut != nil {
			c.move(&fences, cut.lanes)
			if err := c.fence(&fences); err != nil {
				c.opt.Logger.Error("spool refused a fence; it is tried again with the next message", "error", err)
			}
			close(cut.passed)
		}
	}
}

// await lets the entries of a message wait for the flush behind their commit,
// or for the uplink, if they may.
func (c *Corridor) await(item *batchItem) {
	item.unsafe.Store(1)
	if item.job.msg.QoS == 0 || c.opt.Spill != nil && !c.opt.Spill(item.job.msg.Topic) {
		return
	}
	item.unsafe.Add(int32(len(item.entries)))
	for i := range item.entries {
		if e := &item.entries[i]; e.Record.Kind == spool.KindGrant {
			item.unsafe.Add(-1) // always durable
		} else {
			e.Safe = func(err error) { c.safe(item, err) }
		}
	}
}

// commit writes a batch; what nobody waits for longer is acknowledged.
func (c *Corridor) commit(batch []*batchItem, entries []spool.Entry, f *fences) {
	if len(batch) == 0 {
		return
	}
	err := c.fence(f)
	if err == nil {
		err = c.opt.Spool.Commit(entries)
	}
	if err != nil {
		c.stats.commitErrors.Add(1)
		c.opt.Logger.Error("spool refused a batch; its messages stay unacknowledged", "messages", len(batch), "error", err)
	}
	written := time.Now()
	for _, item := range batch {
		c.finish(item, err, written)
	}
	clear(batch)   // keep no payload alive
	clear(entries) //
}

func poll(ch <-chan *batchItem) (*batchItem, bool) {
	select {
	case item, ok := <-ch:
		return item, ok
	default:
		return nil, false
	}
}

func (b *batchItem) bytes() (n int) {
	for i := range b.entries {
		n += len(b.entries[i].Record.Payload)
	}
	return n
}

// finish acknowledges one message, once it is safe, or refuses to.
func (c *Corridor) finish(item *batchItem, err error, written time.Time) {
	j := item.job
	c.opt.Spool.Cancel(j.reservation) // what Commit did not use
	if err == nil {
		err = item.err
	}
	if err == nil {
		for i := range item.events {
			item.events[i].Commit = written.Sub(item.ready)
			c.opt.Observe(&item.events[i])
		}
		if c.opt.Spill != nil { // what waits for the uplink has the spool's bound, and may do so for long
			j.leave(c)
		}
		j.msg = mqtt.Message{QoS: j.msg.QoS} // what left of it may have to wait for its acknowledgement
		clear(item.entries)
		c.safe(item, nil)
		return
	}
	j.refuse(c, err)
}

// safe is called for each entry of a message that is durable or released, or
// can't be made so, and once when its commit has ended. The last one
// acknowledges the message, or refuses to.
func (c *Corridor) safe(item *batchItem, err error) {
	if err != nil {
		item.lost.Store(true)
	}
	if item.unsafe.Add(-1) > 0 {
		return
	}
	switch j := item.job; {
	case item.lost.Load():
		j.refuse(c, errDisk)
	case j.overtakes(): // its commit had begun before the other one was refused
		j.refuse(c, errBehind)
	default:
		j.leave(c)
		c.stats.committed.Add(1)
		j.done(nil)
	}
}

// refuse leaves a message unacknowledged, and those behind it.
func (j *job) refuse(c *Corridor, err error) {
	j.leave(c)
	if r := j.src.Refused; r != nil && j.msg.QoS > 0 {
		r.Store(true)
	}
	j.done(err)
}

// leave gives back what the job had of the budget, once.
func (j *job) leave(c *Corridor) {
	if !j.left {
		j.left = true
		c.budget.give(j.size)
		c.stats.finished.Add(1)
	}
}

// overtakes reports whether the client will send an earlier message again.
func (j *job) overtakes() bool {
	return j.src.Refused != nil && j.msg.QoS > 0 && j.src.Refused.Load()
}

// release gives back what the job had reserved.
func (j *job) release(c *Corridor) {
	c.opt.Spool.Cancel(j.reservation) // what Commit did not use
	c.budget.give(j.size)
}
