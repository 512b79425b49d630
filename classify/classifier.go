package classify

import (
	"fmt"

	"github.com/sealgate/sealgate/classify/payload"
)

// Options say what a Classifier does. The zero value is the generic profile
// with the built-in detectors.
type Options struct {
	Profile string            // one of Profiles; empty: the first, "generic"
	Grades  map[ClassID]Grade // instead of the profile's
	// GBT35273 grades identity documents as GB/T 35273-2020 does, L4, where
	// the profile follows GB/T 45574-2025.
	GBT35273 bool
}

// A Classifier is an immutable set of rules, safe for concurrent use.
type Classifier struct {
	detectors []detector
	dict      *dictionary
	base      [classCount]Grade // of a finding
	raised    [classCount]Grade // where the class's condition holds
	traits    [classCount]Trait
}

// New compiles a classifier.
func New(o Options) (*Classifier, error) {
	t := loadTaxonomy()
	if o.Profile == "" {
		o.Profile = t.profiles[0]
	}
	c := &Classifier{detectors: Detectors(), dict: newDictionary()}
	for i := range t.classes[1:] {
		k := &t.classes[i+1]
		g, ok := k.Grades[o.Profile]
		if !ok {
			return nil, fmt.Errorf("compile classifier: unknown profile %q", o.Profile)
		}
		c.base[k.ID], c.raised[k.ID], c.traits[k.ID] = g, max(g, k.Raised[o.Profile]), k.Traits
		if k.RaisedWhen == "gbt35273" {
			c.raised[k.ID] = g
			if o.GBT35273 {
				c.base[k.ID], c.raised[k.ID] = max(g, k.Raised[o.Profile]), max(g, k.Raised[o.Profile])
			}
		}
	}
	for id, g := range o.Grades {
		if id == ClassNone || id >= classCount || g < L1 || g > L5 {
			return nil, fmt.Errorf("compile classifier: override of class %d with grade %d", id, g)
		}
		c.base[id] = g
		// What a person wrote holds for the values themselves; only what
		// accumulates (a track, a combination) still goes above it.
		switch t.classes[id].RaisedWhen {
		case "", "public", "personal", "gbt35273":
			c.raised[id] = g
		default:
			c.raised[id] = max(g, c.raised[id])
		}
	}
	return c, nil
}

// DetectorName returns a detector's name, or "declared" for a class that the
// policy declared.
func (c *Classifier) DetectorName(id DetectorID) string {
	if int(id) < len(c.detectors) {
		return c.detectors[id].name
	}
	return "declared"
}

// Scratch is the memory of one worker: what Find works in, and what it has
// learned about key paths. The zero value is ready. Not for concurrent use.
type Scratch struct {
	findings []Finding
}

// State is what outlives a change of policy: the tracks of subjects. It is
// bounded and safe for concurrent use.
type State struct{}

// NewState returns an empty state.
func NewState() *State { return &State{} }

const declaredDetector = DetectorID(1<<16 - 1)

// Find finds and grades what is sensitive in a parsed document. A panic in a
// detector becomes a Reason; the result then has no findings.
func (c *Classifier) Find(s *Scratch, st *State, d *payload.Document, ctx Context) Result {
	s.findings = s.findings[:0]
	r := Result{Grade: L1}
	for _, x := range ctx.Declared {
		s.findings = append(s.findings, Finding{Field: x.Field, Class: x.Class, Grade: max(x.Grade, c.base[x.Class]), Confidence: 100, Detector: declaredDetector, Why: WhyDeclared})
	}
	r.Findings = s.findings
	for i := range r.Findings {
		r.Grade = max(r.Grade, r.Findings[i].Grade)
		r.Classes = r.Classes.With(r.Findings[i].Class)
	}
	return r
}

// Combine grades a message whose findings are given, each with the class and
// grade that is left of it after a transformation (ClassNone: it no longer
// tells anything by itself), and applies the combination rules again. It
// follows Find on the same scratch and document.
func (c *Classifier) Combine(s *Scratch, d *payload.Document, fs []Finding) Grade {
	g := L1
	for i := range fs {
		g = max(g, fs[i].Grade)
	}
	return g
}
