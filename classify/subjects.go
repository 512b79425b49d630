package classify

import (
	"hash/maphash"

	"github.com/sealgate/sealgate/classify/payload"
)

// maxSubjects is the largest number of subjects in one message that a profile
// can set as its limit.
const maxSubjects = 64

// telling is the classes whose values each stand for one subject: what
// identifies a person directly, and vehicles, faces and voices. A device counts
// where a person carries it.
func telling(traits *[classCount]Trait) ClassSet {
	s := classSet(ClassIDVehiclePlate, ClassIDVIN, ClassIDDevice, ClassFinanceCard, ClassFinanceIBAN, ClassFinanceAccount)
	for id := ClassID(1); id < classCount; id++ {
		if traits[id]&(TraitDirect|TraitBiometric) != 0 {
			s = s.With(id)
		}
	}
	return s
}

// tells reports whether a finding's value stands for one subject.
func (c *Classifier) tells(f *Finding) bool {
	return c.telling.Has(f.Class) && (f.Class != ClassIDDevice || f.special)
}

// crowd raises what identifies people where a message is about more of them
// than the profile's limit. They are counted by class, as distinct values: a
// name and a phone number of each of ten people are ten subjects.
func (c *Classifier) crowd(s *Scratch, fs []Finding) {
	limit := c.limits.SubjectsInMessage
	if len(fs) <= limit || !c.crowded(s, fs) {
		return
	}
	for i := range fs {
		f := &fs[i]
		if (c.tells(f) || c.traits[f.Class]&TraitPersonal != 0) && f.Class != ClassNone && f.Grade < L4 {
			f.Grade, f.Raised = f.Grade+1, f.Raised|RaiseSubjects
		}
	}
}

func (c *Classifier) crowded(s *Scratch, fs []Finding) bool {
	limit := c.limits.SubjectsInMessage
	var there ClassSet
	n := 0
	for i := range fs {
		if c.tells(&fs[i]) {
			there = there.With(fs[i].Class)
			n++
		}
	}
	if n <= limit {
		return false
	}
	for ; there != 0; there &= there - 1 {
		class := there.First()
		var seen [maxSubjects + 1]uint64
		n := 0
		for i := range fs {
			f := &fs[i]
			if f.Class != class || !c.tells(f) {
				continue
			}
			h := maphash.Bytes(s.mem.seed, subjectOf(s.doc, f))
			known := false
			for _, x := range seen[:n] {
				known = known || x == h
			}
			if known {
				continue
			}
			if seen[n] = h; n == limit {
				return true
			}
			n++
		}
	}
	return false
}

// subjectOf is the text that stands for a subject: of an array (a template of a
// face) its beginning.
func subjectOf(d *payload.Document, f *Finding) []byte {
	if f.Why&WhyInKey != 0 {
		return d.Name(f.Field)
	}
	if !d.Fields[f.Field].Kind.Leaf() {
		v := d.Value(f.Field)
		return v[:min(len(v), 256)]
	}
	t := d.Text(f.Field)
	if !f.Whole() && int(f.End) <= len(t) {
		t = t[f.Start:f.End]
	}
	return t
}
