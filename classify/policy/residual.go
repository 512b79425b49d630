package policy

import (
	"slices"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// left returns the grade of what the plan's field actions leave, and notes the
// fate of each finding.
func (pl *plan) left(before classify.Grade) classify.Grade {
	s, xs := pl.s, pl.actions()
	s.left, s.fate = s.left[:0], s.fate[:0]
	next, container := 0, -1
	var classes classify.ClassSet
	for i := range pl.findings {
		f := &pl.findings[i]
		// Actions that end before the finding begins are behind us.
		for next < len(xs) && (xs[next].Field < f.Field || xs[next].Field == f.Field && xs[next].End != 0 && !f.Whole() && xs[next].End <= f.Start) {
			if !pl.d.Fields[xs[next].Field].Kind.Leaf() {
				container = next
			}
			next++
		}
		var a *Action
		switch {
		case container >= 0 && pl.inside(f.Field, xs[container].Field):
			a = xs[container].Action
		case f.Why&classify.WhyInKey != 0: // what befalls the value does not reach the key
		case next < len(xs) && xs[next].Field == f.Field && covers(&xs[next], f, pl.d):
			a = xs[next].Action
		}
		topic := pl.d.Fields[f.Field].Kind == payload.KindTopic
		if pl.t.watched.Has(f.Class) { // neither the guard nor the message's grade looks at it
			s.fate = append(s.fate, fate{strength: StrengthBlock, topic: topic})
			continue
		}
		if a == nil {
			s.fate = append(s.fate, fate{topic: topic})
			s.left = append(s.left, *f)
			classes = classes.With(f.Class)
			continue
		}
		s.fate = append(s.fate, fate{strength: pl.p.counts(a, f.Class), topic: topic})
		if a.residue == ResidueGone {
			continue
		}
		l := *f
		if a.residue != ResidueSame {
			l.Class, l.Grade = pl.p.residual(f.Class, f.Grade, a)
			if l.Class != f.Class {
				l.Raised = 0
			}
		}
		s.left = append(s.left, l)
		classes = classes.With(l.Class)
	}
	if len(xs) == 0 && pl.observed == 0 {
		return before
	}
	switch {
	case len(s.left) == 0:
		return classify.L1
	case classes == classify.ClassSet(0).With(classify.ClassNone): // nothing to combine
		g := classify.L1
		for i := range s.left {
			g = max(g, s.left[i].Grade)
		}
		return g
	}
	return pl.p.classifier.Combine(&s.find, pl.d, s.left)
}

// covers reports whether an action on a finding's field reaches all of it.
func covers(x *FieldAction, f *classify.Finding, d *payload.Document) bool {
	if x.End == 0 {
		return true
	}
	end := f.End
	if f.Whole() {
		end = uint32(d.Fields[f.Field].Text.Len())
	}
	return x.Start <= f.Start && end <= x.End
}

// unsure reports whether everything that would block the message at a residual
// grade is a finding of low confidence.
func (pl *plan) unsure(residual classify.Grade) bool {
	alone := slices.ContainsFunc(pl.s.left, func(f classify.Finding) bool {
		return pl.t.message[min(f.Grade, classify.L5)] == MessageBlock
	})
	for i := range pl.s.left {
		f := &pl.s.left[i]
		if (!alone || pl.t.message[min(f.Grade, classify.L5)] == MessageBlock) && !pl.weak(f) {
			return false
		}
	}
	return residual != classify.Ungraded && len(pl.s.left) > 0
}

// guard raises the plan where it falls short of the guard's minimum, and
// reports whether it did.
func (pl *plan) guard() bool {
	raised := false
	for i := range pl.findings {
		f := &pl.findings[i]
		need := pl.p.guard.minimum[pl.guardGrade(f)]
		if need == StrengthPass {
			continue
		}
		x := pl.s.fate[i]
		have := max(x.strength, pl.message.strength())
		if x.topic {
			// The envelope does not hide the topic, but it carries the real
			// one, so that a level may go out as a token.
			if have = x.strength; have >= StrengthTransform || pl.message == MessageBlock {
				have = max(have, pl.message.strength())
			}
		}
		if have >= need {
			continue
		}
		raised = true
		if x.topic && x.strength < StrengthTransform {
			pl.hideLevel(int32(i))
			if need <= StrengthTransform {
				continue
			}
		}
		to := MessageSeal
		if need == StrengthBlock {
			to = MessageBlock
		}
		pl.raise(to, ReasonGuard)
	}
	return raised
}

// hideLevel puts a token in place of the topic level of a finding.
func (pl *plan) hideLevel(i int32) {
	s, f := pl.s, &pl.findings[i]
	at := pl.from
	for at < len(s.actions) && s.actions[at].Field < f.Field {
		at++
	}
	to := at
	for to < len(s.actions) && s.actions[to].Field == f.Field {
		to++
	}
	s.actions = slices.Replace(s.actions, at, to, FieldAction{Finding: i, Field: f.Field, Action: pl.p.pseudonym, Class: f.Class, Grade: f.Grade})
	for k := range pl.findings {
		if pl.findings[k].Field == f.Field {
			s.fate[k].strength = max(s.fate[k].strength, pl.p.pseudonym.strength)
		}
	}
	if pl.reason == payload.ReasonNone {
		pl.reason = ReasonGuard
	}
}

// loose returns the unclassified leaves, in order: those that the plan encrypts,
// or, where it passes them, would if it were balanced.
func (pl *plan) loose() []int32 {
	s, d := pl.s, pl.d
	which := pl.t.unclassified
	if which == PassUnclassified {
		which = Balanced
	}
	if d.Root < 0 {
		return nil
	}
	if s.done[which] {
		return s.loose[which]
	}
	out := s.loose[which][:0]
	if !s.done[Balanced] && !s.done[Strict] {
		s.cover(d, pl.findings)
	}
	for i := d.Root; int(i) < len(d.Fields); i++ {
		f := &d.Fields[i]
		if which == Balanced && numeric(f.Kind) {
			continue
		}
		if f.Parent >= 0 && s.covered[f.Parent] {
			s.covered[i] = true
		}
		if s.covered[i] || !f.Kind.Leaf() || which == Balanced && harmless(d, i) {
			continue
		}
		out = append(out, i)
	}
	s.loose[which], s.done[which] = out, true
	return out
}

// cover marks the fields that a finding is about as a whole, and those that the
// policy declares harmless.
func (s *Scratch) cover(d *payload.Document, findings []classify.Finding) {
	if cap(s.covered) < len(d.Fields) {
		s.covered = make([]bool, len(d.Fields), len(d.Fields)+64)
	}
	s.covered = s.covered[:len(d.Fields)]
	clear(s.covered)
	for i := range findings {
		f := &findings[i]
		if f.Why&classify.WhyInKey == 0 && (f.Whole() || f.Start == 0 && int(f.End) >= d.Fields[f.Field].Text.Len()) {
			s.covered[f.Field] = true
		}
	}
	for _, i := range s.public {
		s.covered[i] = true
	}
}
