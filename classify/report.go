package classify

import (
	"cmp"
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
)

// report notes a match in the field that is being looked at. Of matches that
// overlap it keeps one: the surest; of equal ones the higher graded, then the
// longer, then the first in the list. What stands inside a value that is
// sensitive as a whole can only raise the whole.
func (s *Scratch) report(c *candidate, id DetectorID, m match) {
	f := Finding{Field: s.field, Class: m.class, Confidence: m.confidence, Detector: id, Why: m.why, special: m.special}
	if f.Class == ClassNone {
		f.Class = s.owner.detectors[id].class
	}
	start, end := m.start, m.end
	if s.mapped && end > start {
		start, end = s.text.place(start, end)
	}
	whole := c.kind == payload.KindNumber || c.kind == payload.KindBool || start == 0 && end == len(c.raw)
	if !whole {
		f.Start, f.End = uint32(start), uint32(end)
	}
	if s.first < len(s.findings) && s.findings[s.first].Whole() {
		w := &s.findings[s.first]
		if whole && s.better(&f, w) || !whole && s.owner.gradeOf(f.Class, f.special) > s.owner.gradeOf(w.Class, w.special) {
			f.Start, f.End = 0, 0
			w.replace(f)
		} else if f.Class == w.Class {
			w.Why |= f.Why
		}
		return
	}
	if whole {
		for j := s.first; j < len(s.findings); j++ {
			if g := &s.findings[j]; s.owner.gradeOf(g.Class, g.special) > s.owner.gradeOf(f.Class, f.special) {
				f.Class, f.Confidence, f.Detector, f.Why, f.special = g.Class, g.Confidence, g.Detector, g.Why, g.special
			}
		}
		s.findings = append(s.findings[:s.first], f)
		return
	}
	// Matches come nearly in order, so what overlaps is among the last.
	const near = 8
	for j := len(s.findings) - 1; j >= max(s.first, len(s.findings)-near); j-- {
		g := &s.findings[j]
		if f.Start >= g.End || g.Start >= f.End {
			continue
		}
		if !s.better(&f, g) {
			if f.Class == g.Class {
				g.Why |= f.Why
			}
			return
		}
		if f.Class == g.Class {
			f.Why |= g.Why
		}
		s.findings = append(s.findings[:j], s.findings[j+1:]...)
	}
	s.findings = append(s.findings, f)
}

func (f *Finding) replace(g Finding) {
	if f.Class == g.Class {
		g.Why |= f.Why
	}
	*f = g
}

func (s *Scratch) better(a, b *Finding) bool {
	if a.Confidence != b.Confidence {
		return a.Confidence > b.Confidence
	}
	if ga, gb := s.owner.gradeOf(a.Class, a.special), s.owner.gradeOf(b.Class, b.special); ga != gb {
		return ga > gb
	}
	return a.End-a.Start > b.End-b.Start
}

// reportKey notes what stands in field i's key.
func (s *Scratch) reportKey(i int32, m match, by DetectorID) {
	s.findings = append(s.findings, Finding{Field: i, Class: m.class, Confidence: m.confidence, Detector: by, Why: m.why | WhyInKey, special: m.special})
}

// settle puts findings in order. They nearly are.
func (s *Scratch) settle() {
	fs := s.findings
	late := 0
	for i := 1; i < len(fs); i++ {
		if inOrder(&fs[i-1], &fs[i]) {
			continue
		}
		if late++; late > maxLate {
			slices.SortStableFunc(fs, func(a, b Finding) int {
				return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Start, b.Start))
			})
			return
		}
		x, j := fs[i], i
		for ; j > 0 && !inOrder(&fs[j-1], &x); j-- {
			fs[j] = fs[j-1]
		}
		fs[j] = x
	}
}

// maxLate is how many findings are put in their place one by one.
const maxLate = 4

func inOrder(a, b *Finding) bool {
	return a.Field < b.Field || a.Field == b.Field && a.Start <= b.Start
}
