package classify

import (
	"math/bits"
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
)

func (c *Classifier) gradeOf(class ClassID, special bool) Grade {
	if special {
		return c.raised[class]
	}
	return c.base[class]
}

const declaredDetector = DetectorID(1<<16 - 1)

// declare puts in the classes that the policy declares. A declared class wins
// over what was detected in its field, unless that is graded higher. It merges
// two lists in the order of their fields.
func (s *Scratch) declare(ds []Declaration) {
	if len(ds) == 0 {
		return
	}
	s.settle()
	if !slices.IsSortedFunc(ds, byField) {
		s.declared = append(s.declared[:0], ds...)
		slices.SortStableFunc(s.declared, byField)
		ds = s.declared
	}
	s.merged = s.merged[:0]
	i := 0
	for k := 0; k < len(ds); {
		field := ds[k].Field
		if field < 0 || int(field) >= len(s.doc.Fields) {
			k++
			continue
		}
		for i < len(s.findings) && s.findings[i].Field < field {
			s.merged = append(s.merged, s.findings[i])
			i++
		}
		from := len(s.merged) // what is about the field
		for i < len(s.findings) && s.findings[i].Field == field {
			s.merged = append(s.merged, s.findings[i])
			i++
		}
		for ; k < len(ds) && ds[k].Field == field; k++ {
			s.declareOne(from, &ds[k])
		}
	}
	s.merged = append(s.merged, s.findings[i:]...)
	s.findings, s.merged = s.merged, s.findings
}

// declareOne puts a class in beside the findings about its field, which are
// s.merged[from:].
func (s *Scratch) declareOne(from int, x *Declaration) {
	f := Finding{Field: x.Field, Class: x.Class, Grade: s.owner.base[x.Class], Confidence: 100, Detector: declaredDetector, Why: WhyDeclared}
	if x.Grade != Ungraded {
		f.Grade = x.Grade
	}
	higher, n := false, from
	for _, g := range s.merged[from:] {
		if g.Why&WhyInKey == 0 {
			if s.owner.gradeOf(g.Class, g.special) <= f.Grade {
				continue
			}
			higher = true
		}
		s.merged[n] = g
		n++
	}
	s.merged = s.merged[:n]
	if !higher {
		s.merged = append(s.merged, f)
	}
}

func byField(a, b Declaration) int { return int(a.Field) - int(b.Field) }

// grade grades the findings and the message.
func (c *Classifier) grade(s *Scratch, st *State, ctx Context) Result {
	r := Result{Findings: s.findings}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Why&WhyDeclared == 0 {
			f.Grade = c.gradeOf(f.Class, f.special)
		} else if f.Grade > c.base[f.Class] {
			f.Raised |= RaiseDeclared
		}
		r.Classes = r.Classes.With(f.Class)
		if f.Why&WhyInKey != 0 && !c.passes[f.Class] {
			r.InKey = true
		}
	}
	if st != nil && r.Classes.Has(ClassLocationPrecise) && s.onTrack(st, ctx) {
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Class == ClassLocationPrecise {
				f.Grade, f.Raised = max(f.Grade, c.raised[f.Class]), f.Raised|RaiseTrack
			}
		}
	}
	r.Grade = c.combine(s, r.Findings)
	return r
}

// Combine grades a message whose findings are given, each with the class and
// grade that is left of it after a transformation (ClassNone: it no longer
// tells anything by itself). What combination and the number of subjects raised
// is taken back, and their rules are applied again to what is left, in place. It follows
// Find on the same scratch and document.
func (c *Classifier) Combine(s *Scratch, _ *payload.Document, fs []Finding) Grade {
	for i := range fs {
		if f := &fs[i]; f.Raised&(RaiseCombination|RaiseSubjects) != 0 {
			f.Grade = min(f.Grade, f.alone)
			f.Raised &^= RaiseCombination | RaiseSubjects
		}
	}
	return c.combine(s, fs)
}

// part is one side of a combination: what belongs to it.
type part struct {
	classes      ClassSet
	traits       Trait
	track        bool // a position of a track
	personal     bool // a device that a person carries
	timeAndPlace bool // the document says when and where, by its keys
	room         bool // it speaks of a room
}

// combination is a rule: what of a stands beside what of b is graded at least
// to, and up grades higher, at most L4.
type combination struct {
	name  string
	a, b  part
	to    Grade
	up    Grade
	plate bool // only where a plate tells who is in a picture: see Classifier.plateTells
}

func classSet(ids ...ClassID) (s ClassSet) {
	for _, id := range ids {
		s = s.With(id)
	}
	return s
}

// combinations are the rules for findings that tell more together than each
// alone: a direct identifier beside a sensitive kind, and linked
// quasi-identifiers.
var combinations = []combination{
	{name: "identity beside what is sensitive", to: L4,
		a: part{traits: TraitDirect}, b: part{traits: TraitHealth | TraitBiometric | TraitFinance | TraitSpecial, track: true}},
	{name: "plate at a time and place", up: 1,
		a: part{classes: classSet(ClassIDVehiclePlate)}, b: part{timeAndPlace: true}},
	{name: "thing at a precise position", up: 1,
		a: part{classes: classSet(ClassIDVehiclePlate, ClassIDVIN, ClassIDDevice)}, b: part{classes: classSet(ClassLocationPrecise)}},
	{name: "person's device in a room", up: 1,
		a: part{personal: true}, b: part{classes: classSet(ClassPresenceBehaviour), room: true}},
	{name: "presence of somebody known", to: L3,
		a: part{traits: TraitDirect}, b: part{classes: classSet(ClassPresenceBehaviour)}},
	{name: "child that is known", to: L4,
		a: part{traits: TraitDirect}, b: part{classes: classSet(ClassChild)}},
	{name: "picture or sound beside a face or a voice", to: L4,
		a: part{traits: TraitMedia}, b: part{traits: TraitBiometric}},
	{name: "picture or sound beside a plate", to: L4, plate: true,
		a: part{traits: TraitMedia}, b: part{classes: classSet(ClassIDVehiclePlate)}},
}

// roles is a set of sides of combinations: bit 2k is a of the k-th, bit 2k+1
// its b.
type roles uint64

// firstRoles are the sides a of all combinations.
const firstRoles roles = 0x5555555555555555

// parts is the roles that findings have.
type parts struct {
	class           [classCount]roles
	track, personal roles // that a position of a track has besides, and a device that a person carries
	timeAndPlace    roles // that the document itself has, where it says when and where
	room            roles // that it has where it speaks of a room
}

func newParts(traits *[classCount]Trait, plateTells bool) (p parts) {
	for k := range combinations {
		if combinations[k].plate && !plateTells {
			continue
		}
		for i, x := range []*part{&combinations[k].a, &combinations[k].b} {
			role := roles(1) << (2*k + i)
			for id := ClassID(1); id < classCount; id++ {
				if x.classes.Has(id) || traits[id]&x.traits != 0 {
					p.class[id] |= role
				}
			}
			if x.track {
				p.track |= role
			}
			if x.personal {
				p.personal |= role
			}
			if x.timeAndPlace {
				p.timeAndPlace |= role
			}
			if x.room {
				p.room |= role
			}
		}
	}
	return p
}

// of returns the roles of a finding.
func (p *parts) of(f *Finding) roles {
	r := p.class[f.Class]
	if f.Class == ClassLocationPrecise && f.Raised&RaiseTrack != 0 {
		r |= p.track
	}
	if f.Class == ClassIDDevice && f.special {
		r |= p.personal
	}
	return r
}

// combine raises findings that tell more together than each alone, and returns
// the highest grade. A rule looks at what is there, not at what another rule
// raised, so their order does not matter.
func (c *Classifier) combine(s *Scratch, fs []Finding) Grade {
	g := L1
	var there ClassSet
	var all roles
	for i := range fs {
		f := &fs[i]
		f.alone = f.Grade
		there, all = there.With(f.Class), all|c.parts.of(f)
	}
	c.crowd(s, fs)
	for i := range fs {
		g = max(g, fs[i].Grade)
	}
	if all == 0 {
		return g
	}
	if c.parts.timeAndPlace&^all != 0 && s.timeAndPlace(there) {
		all |= c.parts.timeAndPlace
	}
	if c.parts.room&^all != 0 && s.spoken.has(senseRoom) {
		all |= c.parts.room
	}
	for x := all & (all >> 1) & firstRoles; x != 0; x &= x - 1 {
		k := bits.TrailingZeros64(uint64(x))
		rule, both := &combinations[k/2], roles(3)<<k
		for i := range fs {
			f := &fs[i]
			if c.parts.of(f)&both == 0 {
				continue
			}
			if n := min(max(rule.to, f.alone+rule.up), L4); n > f.Grade {
				f.Grade, f.Raised = n, f.Raised|RaiseCombination
				g = max(g, n)
			}
		}
	}
	return g
}

// timeAndPlace reports whether the document says when and where something was.
func (s *Scratch) timeAndPlace(there ClassSet) bool {
	return s.spoken.has(senseTime) && (s.spoken.has(senseCamera) || s.spoken.has(sensePlace) ||
		there.Has(ClassLocationPrecise) || there.Has(ClassLocationCoarse))
}
