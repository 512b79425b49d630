package protect

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// A job is one call of Protect, and the memory that the next one reuses.
type job struct {
	p *Protector
	v *policy.Verdict
	d *policy.Decision
	r Request
	o Output

	edits     []payload.Edit // of the payload
	topics    []payload.Edit
	done      []uint8       // the action behind each of edits, in fieldActions
	doneTopic []uint8       // and of topics
	replaced  bool          // a topic level was replaced or removed
	dropped   bool          // an array element is removed: pointers shift
	tightened policy.Reason // why a field is encrypted that was to be transformed
	ciphers   []cipher

	outer     int32 // the container that was acted on last, -1: none
	outerMark int   // where its edits begin

	values []byte // replacements, one after the other
	doc    []byte // the edited document
	topic  []byte
	paths  []byte
	ends   []int // in paths
	fields []envelope.FieldCipher
	used   []*sealer
	leases []*envelope.Lease
}

// keepMemory is the largest buffer that a job keeps for the next.
const keepMemory = 64 << 10

// Protect carries out one decision of a verdict. It never fails: what can't be
// done as planned is done more strictly, and where nothing can be done the
// outcome is held.
func (p *Protector) Protect(v *policy.Verdict, d *policy.Decision, r Request) Output {
	j := p.jobs.Get().(*job)
	j.begin(v, d, r)
	sound := j.try((*job).run)
	if sound {
		j.count()
	} else {
		j.o = Output{}
		j.begin(v, d, r)
		if !j.try((*job).rescue) {
			j.held()
		}
		j.o.Reason = policy.ReasonPanic
	}
	if d.Mode != policy.Observe || !sound {
		j.o.WouldBe = j.o.Outcome
	}
	if j.o.Outcome == OutcomeBlocked && p.blocked != nil && !j.try((*job).keep) {
		j.o.Kept = nil
	}
	out := j.o
	if sound { // else its memory may be in any state
		j.end()
		p.jobs.Put(j)
	}
	return out
}

// try reports whether f came to its end.
func (j *job) try(f func(*job)) (sound bool) {
	defer func() {
		if recover() != nil { // the value may hold data: it is never printed
			sound = false
		}
	}()
	f(j)
	return true
}

func (j *job) begin(v *policy.Verdict, d *policy.Decision, r Request) {
	j.v, j.d, j.r = v, d, r
	j.o.MessageID, j.o.Residual, j.o.Reason = r.MessageID, d.Residual, d.Reason
	j.edits, j.topics, j.values, j.ciphers = j.edits[:0], j.topics[:0], j.values[:0], j.ciphers[:0]
	j.done, j.doneTopic = j.done[:0], j.doneTopic[:0]
	j.replaced, j.dropped, j.tightened, j.outer = false, false, "", -1
}

// end forgets what would keep the message's memory alive, and buffers that a
// rare large message made.
func (j *job) end() {
	clear(j.edits)
	clear(j.topics)
	clear(j.fields)
	clear(j.leases)
	j.v, j.d, j.o = nil, nil, Output{}
	if cap(j.values)+cap(j.doc)+cap(j.topic)+cap(j.paths)+64*cap(j.edits) > keepMemory {
		*j = job{p: j.p}
	}
}

func (j *job) run() {
	switch {
	case j.d.Mode == policy.Observe:
		j.observe()
	case j.d.Message == policy.MessageBlock || j.d.Message > policy.MessageBlock: // or one that this version does not know
		j.block(j.d.Reason)
	case len(j.v.Document.Received()) == 0:
		j.empty()
	case !j.mapTopic():
		j.seal(ReasonTopic)
	case j.d.Message == policy.MessageSeal:
		j.seal(j.d.Reason)
	default:
		j.pass()
	}
}

// rescue protects a message that made run panic, as a whole.
func (j *job) rescue() {
	if j.d.Message >= policy.MessageBlock {
		j.block(policy.ReasonPanic)
		return
	}
	j.o.Topic = j.hiddenTopic()
	if len(j.v.Document.Received()) == 0 {
		j.o.Payload, j.o.Outcome = j.v.Document.Received(), OutcomeTransformed
		return
	}
	j.seal(policy.ReasonPanic)
}

func (j *job) block(reason policy.Reason) {
	j.o = Output{MessageID: j.r.MessageID, Outcome: OutcomeBlocked, Reason: reason, Residual: classify.L1}
}

// blockedTopic is what the envelope of a blocked message is published to:
// nothing. The real topic is inside.
const blockedTopic = "blocked"

// keep makes the envelope of a blocked message. Where it can't, the message is
// blocked all the same, and nothing of it is kept.
func (j *job) keep() {
	raw, real := j.v.Document.Received(), j.v.Document.Topic
	if !publishable(real) {
		real = ""
	}
	lease, err := j.p.blocked.Lease(1, len(raw)+len(real))
	if err != nil {
		j.p.meter.Lease.Add(1)
		return
	}
	stamp := j.stamp()
	stamp.Topic, stamp.RealTopic = blockedTopic, real
	if j.o.Kept, err = lease.SealMessage(nil, stamp, raw, envelope.EncodingCOSE); err != nil {
		j.p.meter.Seal.Add(1)
		j.o.Kept = nil
	}
}

// held: no key is usable, so nothing may leave.
func (j *job) held() {
	j.o = Output{MessageID: j.r.MessageID, Outcome: OutcomeHeld, Reason: ReasonNoKey, Residual: classify.L1}
}

// empty passes a deletion or a signal: there is nothing to seal. Only its topic
// is protected.
func (j *job) empty() {
	if !j.mapTopic() {
		j.o.Reason, j.replaced = ReasonTopic, true
	}
	if !publishable(j.o.Topic) {
		j.block(ReasonTopic)
		return
	}
	j.o.Payload = j.v.Document.Received()
	j.o.Outcome = OutcomePassed
	if j.replaced {
		j.o.Outcome = OutcomeTransformed
	}
	for _, form := range j.p.forms {
		if t := j.expand(form); t != j.o.Topic && publishable(t) {
			j.o.Also = append(j.o.Also, t)
		}
	}
}

// pass carries out the actions on fields, or seals where one can't be.
func (j *job) pass() {
	if !j.plan() {
		return
	}
	doc := j.v.Document
	if len(j.edits) == 0 {
		j.o.Payload, j.o.Outcome = doc.Received(), OutcomePassed
		if j.replaced {
			j.o.Outcome = OutcomeTransformed
		}
		return
	}
	if len(j.ciphers) > 0 {
		j.encrypt()
		return
	}
	edited, err := doc.Append(j.doc[:0], j.edits)
	if err != nil {
		j.seal(policy.ReasonUnfit)
		return
	}
	j.doc = edited
	j.o.Outcome, j.o.Payload = OutcomeTransformed, append(make([]byte, 0, len(edited)), edited...)
}

// seal makes the whole message an envelope. Where that was not the plan, only
// those can open it who may open every part.
func (j *job) seal(reason policy.Reason) {
	if t, ok := payload.ParseSparkplugTopic(j.v.Document.Topic); ok && t.LifeCycle() {
		j.null(reason)
		return
	}
	a := j.d.Seal
	if j.d.Message != policy.MessageSeal {
		a = j.p.policy.Narrow(j.d)
	}
	if a == nil {
		j.block(policy.ReasonAudience)
		return
	}
	s := j.p.sealer(a)
	if s == nil {
		j.p.meter.NoKey.Add(1)
		j.held()
		return
	}
	real, ok := j.sealTopic(a.Strings["topic"])
	if !ok {
		j.block(ReasonTopic)
		return
	}
	raw := j.v.Document.Received()
	lease, err := s.Lease(1, len(raw)+len(real))
	if err != nil {
		j.p.meter.Lease.Add(1)
		j.held()
		return
	}
	enc := envelope.EncodingCOSE
	if a.Strings["encoding"] == "json" {
		enc = envelope.EncodingJSON
	}
	stamp := j.stamp()
	stamp.RealTopic = real
	out, err := lease.SealMessage(nil, stamp, raw, enc)
	if err != nil {
		j.p.meter.Seal.Add(1)
		j.held()
		return
	}
	keys := s.keys(lease)
	j.o.Outcome, j.o.Payload, j.o.Reason = OutcomeSealed, out, reason
	j.o.Residual, j.o.KIDs, j.o.Grants = j.topicResidual(), keys.kids, keys.grants
}

// stamp says about a message what its header does. What was not graded is
// treated as the highest grade, and signed.
func (j *job) stamp() envelope.Stamp {
	return envelope.Stamp{
		Stream: j.r.Stream, Seq: j.r.Seq, MessageID: j.r.MessageID,
		Grade: uint8(j.d.Grade), PolicyVersion: j.p.policy.Version(),
		Topic: j.o.Topic, Sign: j.d.Grade == classify.Ungraded,
	}
}

// keys notes the keys that the payload needs.
func (j *job) keys() {
	if len(j.leases) == 1 {
		k := j.used[0].keys(j.leases[0])
		j.o.KIDs, j.o.Grants = k.kids, k.grants
		return
	}
	j.o.KIDs = make([]crypto.KID, 0, len(j.leases))
	for i, l := range j.leases {
		j.o.KIDs = append(j.o.KIDs, l.KID())
		if j.used[i].reference {
			j.o.Grants = append(j.o.Grants, l.Grant())
		}
	}
}

// observe leaves the bytes as they are and says what the plan comes to.
func (j *job) observe() {
	topic := j.plainTopic()
	if !publishable(topic) {
		j.block(ReasonTopic)
		j.o.WouldBe = OutcomeBlocked
		return
	}
	j.o.Topic, j.o.Payload, j.o.Outcome, j.o.Residual = topic, j.v.Document.Received(), OutcomePassed, j.d.Grade
	switch j.d.Message {
	case policy.MessagePass:
		j.o.WouldBe = OutcomePassed
		for i := range j.d.Fields {
			switch spec := j.d.Fields[i].Action.Spec; {
			case spec.Strength == policy.StrengthPass:
			case spec.Trailer:
				j.o.WouldBe = OutcomeEncrypted
			default:
				j.o.WouldBe = max(j.o.WouldBe, OutcomeTransformed)
			}
		}
	case policy.MessageSeal:
		j.o.WouldBe = OutcomeSealed
	default:
		j.o.WouldBe = OutcomeBlocked
	}
}
