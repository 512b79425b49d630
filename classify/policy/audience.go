package policy

import (
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
)

// audience is a set of recipients, one bit each.
type audience uint64

const everybody = ^audience(0)

// maxAudiences bounds the different sets of recipients that one policy's
// actions and their intersections make.
const maxAudiences = 64

// narrowing names a seal that has fewer recipients than the one it is made from.
type narrowing struct {
	seal int // Action.ID
	to   audience
}

// narrowSeals prepares seals for fewer recipients. A message may be sealed as a
// whole although some of its fields were to be encrypted for a few; then only
// those may open it.
func (c *compiler) narrowSeals(root *node) {
	p := c.policy
	names := slices.Clone(p.recipients)
	for _, a := range p.actions {
		for _, r := range a.Recipients {
			if !slices.Contains(names, r) {
				names = append(names, r)
			}
		}
	}
	if len(names) > 64 {
		c.on(root, "", "more than 64 recipients")
		return
	}
	set := func(recipients []string) (s audience) {
		for _, r := range recipients {
			s |= 1 << slices.Index(names, r)
		}
		return s
	}
	all := everybody // where nobody is named, whom the caller knows
	if len(p.recipients) > 0 {
		all = set(p.recipients)
	}
	var sets []audience
	var seals []*Action
	for _, a := range p.actions {
		a.audience = all
		if len(a.Recipients) > 0 {
			a.audience = set(a.Recipients)
		}
		if !slices.Contains(sets, a.audience) && (a.Spec.Trailer || a.message() == MessageSeal) {
			sets = append(sets, a.audience)
		}
		if a.message() == MessageSeal {
			seals = append(seals, a)
		}
	}
	if len(sets) <= 1 {
		return
	}
	for i := 0; i < len(sets); i++ { // sets grows while we look
		for _, b := range sets[:i] {
			if x := sets[i] & b; !slices.Contains(sets, x) {
				sets = append(sets, x)
			}
		}
		if len(sets) > maxAudiences {
			c.on(root, "give more actions the same recipients", "the actions' recipients make more than %d different sets", maxAudiences)
			return
		}
	}
	p.narrower = map[narrowing]*Action{}
	for _, a := range seals {
		for _, to := range sets {
			if to == 0 || to == a.audience || to&^a.audience != 0 {
				continue
			}
			b := *a
			b.Recipients = nil
			for i, n := range names {
				if to&(1<<i) != 0 {
					b.Recipients = append(b.Recipients, n)
				}
			}
			slices.Sort(b.Recipients)
			b.audience = to
			narrow := c.intern(&b)
			narrow.audience = to
			p.narrower[narrowing{a.ID, to}] = narrow
		}
	}
}

// narrow leaves a sealed message to those who may open every part of it.
func (pl *plan) narrow() {
	to := pl.seal.audience
	for i := range pl.findings {
		f := &pl.findings[i]
		if pl.d.Fields[f.Field].Kind == payload.KindTopic {
			continue
		}
		if a := pl.t.table.fields[f.Class][min(f.Grade, 5)]; a.Spec.Trailer || a.message() == MessageSeal {
			to &= a.audience
		}
	}
	if to == pl.seal.audience {
		return
	}
	if a := pl.p.narrower[narrowing{pl.seal.ID, to}]; a != nil {
		pl.seal = a
		return
	}
	pl.raise(MessageBlock, ReasonAudience)
}

// Narrow returns the seal of a decision, for those who may open every part of
// it: what a message is sealed with where its fields were to be encrypted one
// by one and that can't be done. nil: nobody may.
func (p *Policy) Narrow(d *Decision) *Action {
	if d.Seal == nil || p.narrower == nil {
		return d.Seal
	}
	to := d.Seal.audience
	for i := range d.Fields {
		if a := d.Fields[i].Action; a.Spec.Trailer {
			to &= a.audience
		}
	}
	if to == d.Seal.audience {
		return d.Seal
	}
	return p.narrower[narrowing{d.Seal.ID, to}]
}
