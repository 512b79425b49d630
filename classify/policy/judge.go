package policy

import (
	"slices"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// lowConfidence is the confidence, in percent, below which a finding does not
// block a message but seals it, unless it is a credential or biometric.
const lowConfidence = 60

// Scratch is the memory of one worker. The zero value is ready. Not for
// concurrent use.
type Scratch struct {
	document  payload.Document
	find      classify.Scratch
	declared  []classify.Declaration
	hidden    []classify.Grade // the guard's grade of what is detected in each declared field
	decisions []Decision
	actions   []FieldAction      // of all decisions
	left      []classify.Finding // what a plan leaves
	fate      []fate             // of each finding under one plan
	covered   []bool             // by field: a finding is about it as a whole
	public    []int32            // fields that the policy declares harmless
	loose     [2][]int32         // unclassified leaves to encrypt under Balanced and under Strict
	done      [2]bool            // loose holds this message's
}

// fate is what a plan does about one finding.
type fate struct {
	strength Strength // of the action that reaches it
	topic    bool
}

// maxDeclared is how many fields of one message can be declared ones ("/x/*"
// names each element of an array). A message with more is unreadable.
const maxDeclared = 1024

// keepFields is how many fields' memory a Scratch keeps for the next message.
const keepFields = 1 << 12

// Judge reads, classifies and grades one message and decides what happens to
// it, for each uplink of the route. It allocates nothing once the Scratch has
// seen messages of the size. It never fails: what can't be judged is sealed, or
// blocked, with a Reason. Without a route there are no decisions.
func (p *Policy) Judge(s *Scratch, st *classify.State, r *Route, in Input) (v Verdict) {
	if r == nil {
		return Verdict{Reason: ReasonNoRoute}
	}
	defer func() {
		if recover() != nil {
			v = s.panicked(r)
		}
	}()
	d := &s.document
	s.reset()
	unreadable := payload.Parse(d, in.Topic, in.Payload, payload.Limits{})
	named := in.Births == nil || unreadable != payload.ReasonNone || in.Births.apply(d)
	known := p.declare(s, r, d)
	p.detect(s, d, in)
	found := p.classifier.Find(&s.find, st, d, classify.Context{Now: in.Now, Subject: in.Subject, Declared: s.declared, Harmless: s.public})

	v = Verdict{Route: r, Document: d, Findings: found.Findings, Grade: found.Grade, Classes: found.Classes, Reason: unreadable}
	floor, reason := MessagePass, payload.ReasonNone
	unresolved := found.Reason == classify.ReasonUnresolved
	switch {
	case found.Reason != payload.ReasonNone && !unresolved: // what was not looked at can't be allowed
		v.Reason = found.Reason
		floor, reason = max(MessageSeal, r.rules.unreadable), found.Reason
	case !known: // readable, but not as the policy describes it
		v.Reason = payload.ReasonTooMany
		floor, reason = max(MessageSeal, r.rules.unreadable), v.Reason
	case unreadable != payload.ReasonNone:
		floor, reason = r.rules.unreadable, unreadable
	case !named: // nobody knows what it is about
		v.Reason = ReasonAlias
		floor, reason = max(MessageSeal, r.rules.unreadable), v.Reason
	case unresolved && r.rules.unreadable != MessagePass: // a route that allows what can't be read allows a value, too
		v.Reason = found.Reason
		floor, reason = r.rules.unreadable, found.Reason
	case d.Reserved:
		floor, reason = MessageSeal, payload.ReasonReservedIn
	}
	if v.Reason != payload.ReasonNone {
		v.Grade = classify.Ungraded
	}
	for i, u := range r.Uplinks {
		pl := plan{p: p, s: s, d: d, t: &r.rules.uplinks[i], findings: found.Findings, from: len(s.actions)}
		pl.raise(floor, reason)
		s.decisions = append(s.decisions, pl.decide(u, found.Grade, v.Reason != payload.ReasonNone))
	}
	v.Decisions = s.decisions
	return v
}

func (s *Scratch) reset() {
	s.declared, s.hidden, s.public = emptied(s.declared), emptied(s.hidden), emptied(s.public)
	s.actions, s.left, s.fate, s.covered = emptied(s.actions), emptied(s.left), emptied(s.fate), emptied(s.covered)
	s.loose = [2][]int32{emptied(s.loose[0]), emptied(s.loose[1])}
	s.decisions, s.done = s.decisions[:0], [2]bool{}
}

// emptied returns an empty slice, in s's memory unless that is very much.
func emptied[T any](s []T) []T {
	if cap(s) > keepFields {
		return nil
	}
	return s[:0]
}

// panicked is the verdict on a message that nobody could judge.
func (s *Scratch) panicked(r *Route) Verdict {
	s.decisions = s.decisions[:0]
	for i, u := range r.Uplinks {
		t := &r.rules.uplinks[i]
		s.decisions = append(s.decisions, Decision{Uplink: u, Mode: t.mode(), Message: max(MessageSeal, r.rules.unreadable), Seal: t.seal, Reason: ReasonPanic})
	}
	return Verdict{Route: r, Document: &s.document, Reason: ReasonPanic, Decisions: s.decisions}
}

func (t *treatment) mode() Mode {
	if t.observe {
		return Observe
	}
	return Enforce
}

// modeOf is the mode of one class.
func (t *treatment) modeOf(c classify.ClassID) Mode {
	if t.watched.Has(c) {
		return Observe
	}
	return t.mode()
}

// declare finds the fields that the policy declares, and reports whether they
// are not too many.
func (p *Policy) declare(s *Scratch, r *Route, d *payload.Document) bool {
	if r.rules.bloom == 0 {
		return true
	}
	for i := range d.Fields {
		h := d.Fields[i].PathHash
		if r.rules.bloom&(1<<(h>>58)) == 0 {
			continue
		}
		for _, x := range r.rules.declared {
			switch {
			case x.path != h || !x.filter.match(d.Topic):
			case x.class == classify.ClassNone:
				s.public = append(s.public, int32(i))
			case len(s.declared) == maxDeclared:
				return false
			default:
				s.declared = append(s.declared, classify.Declaration{Field: int32(i), Class: x.class, Grade: x.grade})
			}
		}
	}
	return true
}

// detect notes what the guard thinks of the declared fields without their
// declarations: those of a policy can't hide anything from the guard.
func (p *Policy) detect(s *Scratch, d *payload.Document, in Input) {
	if len(s.declared) == 0 {
		return
	}
	s.hidden = append(s.hidden[:0], make([]classify.Grade, len(s.declared))...)
	found := p.classifier.Find(&s.find, nil, d, classify.Context{Now: in.Now, Subject: in.Subject})
	for i := range found.Findings {
		f := &found.Findings[i]
		if f.Why&classify.WhyInKey != 0 {
			continue
		}
		if k, ok := s.declaration(f.Field); ok {
			s.hidden[k] = max(s.hidden[k], p.guard.grade(f))
		}
	}
}

// declaration returns the index of the first declaration about a field. They
// stand in the order of fields.
func (s *Scratch) declaration(field int32) (int, bool) {
	return slices.BinarySearchFunc(s.declared, field, func(x classify.Declaration, field int32) int { return int(x.Field) - int(field) })
}

// guardGrade is a finding's grade for the guard.
func (pl *plan) guardGrade(f *classify.Finding) classify.Grade {
	g := pl.p.guard.grade(f)
	if f.Why&classify.WhyDeclared != 0 {
		if k, ok := pl.s.declaration(f.Field); ok {
			g = max(g, pl.s.hidden[k])
		}
	}
	return g
}

// plan is the making of one Decision.
type plan struct {
	p        *Policy
	s        *Scratch
	d        *payload.Document
	t        *treatment
	findings []classify.Finding
	from     int // where this plan's actions begin in s.actions

	observed     classify.ClassSet // classes whose actions are not carried out
	unclassified int               // leaves
	message      MessageAction
	reason       payload.Reason
	seal         *Action        // of the class with the highest grade that seals
	sealed       classify.Grade // that grade
}

// raise raises the message-level action; the reason is that of the first who
// raised it so far.
func (pl *plan) raise(to MessageAction, why payload.Reason) {
	if to > pl.message {
		pl.message, pl.reason = to, why
	}
}

func (pl *plan) actions() []FieldAction { return pl.s.actions[pl.from:] }

func (pl *plan) decide(uplink int, grade classify.Grade, unreadable bool) Decision {
	pl.fields()
	residual := pl.left(grade)
	if unreadable {
		grade, residual = classify.Ungraded, classify.Ungraded
	} else {
		to := pl.t.message[residual]
		if to == MessageBlock && pl.unsure(residual) {
			to = MessageSeal
		}
		if a := pl.t.grades[residual]; to == MessageSeal && pl.seal == nil && a.message() == MessageSeal {
			pl.seal = a
		}
		pl.raise(to, ReasonGrade)
	}
	raised := pl.guard()
	if pl.message == MessageSeal && len(pl.d.Raw) == 0 && !unreadable {
		pl.message, pl.reason = MessagePass, payload.ReasonNone // nothing to seal: a deletion, or a signal
	}
	if pl.seal == nil {
		pl.seal = pl.t.seal
	}
	if pl.message == MessageSeal && pl.p.narrower != nil {
		pl.narrow()
	}
	return Decision{
		Uplink: uplink, Mode: pl.t.mode(), Message: pl.message, Fields: pl.actions(), Seal: pl.seal,
		Grade: grade, Residual: residual, Observed: pl.observed, Loose: pl.unclassified, Reason: pl.reason, GuardRaise: raised,
	}
}

// fields decides what happens to each finding and each unclassified leaf.
func (pl *plan) fields() {
	fs, loose := pl.findings, pl.loose()
	pl.unclassified = len(loose)
	if pl.t.unclassified == PassUnclassified {
		loose = nil
	}
	container := int32(-1) // index into s.actions of the container in effect
	for i, j := 0, 0; i < len(fs) || j < len(loose); {
		field := int32(-1)
		if j < len(loose) {
			field = loose[j]
		}
		if i < len(fs) && (field < 0 || fs[i].Field <= field) {
			field = fs[i].Field
		}
		first := len(pl.s.actions)
		for ; i < len(fs) && fs[i].Field == field; i++ {
			pl.finding(int32(i), first, container)
		}
		for ; j < len(loose) && loose[j] == field; j++ {
			pl.add(FieldAction{Finding: -1, Field: field, Action: pl.p.encrypt}, first, container)
		}
		if len(pl.s.actions) > first && !pl.d.Fields[field].Kind.Leaf() {
			container = int32(len(pl.s.actions) - 1)
		}
	}
	pl.unfit()
}

// finding decides about one finding. first is the index of the first action on
// its field.
func (pl *plan) finding(i int32, first int, container int32) {
	f := &pl.findings[i]
	topic := pl.d.Fields[f.Field].Kind == payload.KindTopic
	table := &pl.t.table.fields
	if topic {
		table = &pl.t.table.topics
	}
	grade := min(f.Grade, classify.L5)
	a := table[f.Class][grade]
	if pl.t.watched.Has(f.Class) {
		pl.observed = pl.observed.With(f.Class)
		return
	}
	if a.Spec.Strength == StrengthPass {
		return
	}
	if topic {
		pl.whole(f, pl.t.table.fields[f.Class][grade])
	}
	if a.Spec.On&(OnField|OnTopicLevel) == 0 {
		pl.whole(f, a)
		return
	}
	if f.Why&classify.WhyInKey != 0 {
		pl.raise(MessageSeal, ReasonInKey)
		return
	}
	x := FieldAction{Finding: i, Field: f.Field, Start: f.Start, End: f.End, Action: a, Class: f.Class, Grade: f.Grade}
	if f.Whole() || f.Start == 0 && int(f.End) >= pl.d.Fields[f.Field].Text.Len() || a.Spec.Trailer && !pl.d.Partial(f.Field) {
		x.Start, x.End = 0, 0
	}
	pl.add(x, first, container)
}

// add adds an action. In a container that has one, the stronger of both goes to
// the container.
func (pl *plan) add(x FieldAction, first int, container int32) {
	if container < 0 || !pl.inside(x.Field, pl.s.actions[container].Field) {
		pl.merge(x, first)
		return
	}
	if c := &pl.s.actions[container]; !pl.stronger(c.Action, x.Action) {
		x.Field, x.Start, x.End = c.Field, 0, 0
		*c = x
	}
}

// whole raises the message where a class's action is one on messages.
func (pl *plan) whole(f *classify.Finding, a *Action) {
	to := a.message()
	if to == MessageBlock && pl.weak(f) {
		to = MessageSeal
	}
	if to == MessageSeal && f.Grade > pl.sealed && a.message() == MessageSeal {
		pl.seal, pl.sealed = a, f.Grade
	}
	pl.raise(to, payload.ReasonNone)
}

// weak reports whether a finding is not sure enough to block a message.
func (pl *plan) weak(f *classify.Finding) bool {
	return f.Confidence < lowConfidence && pl.p.traits[f.Class]&(classify.TraitCredential|classify.TraitBiometric) == 0
}

// merge adds an action on a field to those from first on, which are on the same
// field. Where ranges overlap the strongest takes all of both.
func (pl *plan) merge(x FieldAction, first int) {
	s := pl.s
	for len(s.actions) > first {
		last := &s.actions[len(s.actions)-1]
		wholly := x.End == 0 || last.End == 0
		if !wholly && x.Start >= last.End {
			break
		}
		start, end := min(x.Start, last.Start), max(x.End, last.End)
		if wholly {
			start, end = 0, 0
		}
		// Of two that are as strong, the one about the whole field stays: it
		// was not made for a part.
		if whole := x.End == 0 && last.End != 0 && x.Action.rank == last.Action.rank; pl.stronger(last.Action, x.Action) && !whole {
			x = *last
		}
		x.Start, x.End = start, end
		s.actions = s.actions[:len(s.actions)-1]
	}
	s.actions = append(s.actions, x)
}

// stronger reports whether a stays where b comes to the same place. Where the
// winner has recipients whom the loser does not permit, the message is sealed.
func (pl *plan) stronger(a, b *Action) bool {
	winner, loser, first := a, b, true
	if b.rank > a.rank || b.rank == a.rank && b.audience != a.audience && b.audience&^a.audience == 0 {
		winner, loser, first = b, a, false
	}
	if winner.Spec.Trailer && loser.Spec.Trailer && winner.audience&^loser.audience != 0 {
		pl.raise(MessageSeal, ReasonAudience)
	}
	return first
}

// inside reports whether a field stands in a container.
func (pl *plan) inside(field, container int32) bool {
	for field > container {
		field = pl.d.Fields[field].Parent
	}
	return field == container
}

// unfit seals, or for a topic level blocks, what the format can't carry out.
func (pl *plan) unfit() {
	xs := pl.actions()
	for i := range xs {
		x := &xs[i]
		f := &pl.d.Fields[x.Field]
		ok := x.Action.fits(f, x.End != 0)
		if x.Action.Spec.Trailer && f.Kind != payload.KindTopic {
			ok = pl.d.Encryptable(x.Field, x.End != 0)
		}
		switch {
		case ok:
		case f.Kind == payload.KindTopic:
			pl.raise(MessageBlock, ReasonUnfit)
		case x.Finding < 0:
			pl.raise(MessageSeal, ReasonUnclassified)
		default:
			pl.raise(MessageSeal, ReasonUnfit)
		}
	}
}
