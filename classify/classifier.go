package classify

import (
	"cmp"
	"fmt"
)

// Options say what a Classifier does. The zero value is the generic profile
// with the built-in detectors.
type Options struct {
	Profile string            // one of Profiles; empty: the first, "generic"
	Grades  map[ClassID]Grade // instead of the profile's
	// GBT35273 grades identity documents as GB/T 35273-2020 does, L4, where
	// the profile follows GB/T 45574-2025.
	GBT35273 bool
	Custom   []Custom // the policy's own detectors
}

// A Classifier is an immutable set of rules, safe for concurrent use.
type Classifier struct {
	detectors []detector
	senses    []senses // of each detector
	plan      *plan
	dict      *dictionary
	base      [classCount]Grade // of a finding
	raised    [classCount]Grade // where the class's condition holds
	traits    [classCount]Trait
	passes    [classCount]bool // the default action is pass
	parts     parts            // that findings take in combinations
	telling   ClassSet         // classes whose values each stand for one subject
	limits    Limits
	custom    *customs // the policy's own detectors; nil: none

	plateTells  bool // under the profile a plate raises pictures and sound, as a face does
	customNames []string
}

// New compiles a classifier.
func New(o Options) (*Classifier, error) { return compile(o, Detectors()) }

func compile(o Options, ds []detector) (*Classifier, error) {
	t := loadTaxonomy()
	if o.Profile == "" {
		o.Profile = t.profiles[0]
	}
	c := &Classifier{detectors: ds, dict: newDictionary()}
	c.plan = newPlan(c.detectors, c.dict)
	custom, err := newCustoms(o.Custom, len(ds))
	if err != nil {
		return nil, err
	}
	c.custom = custom
	for i := range o.Custom {
		x := &o.Custom[i]
		c.customNames = append(c.customNames, cmp.Or(x.Origin, "policy")+"/"+x.Name)
	}
	for i := range c.detectors {
		c.senses = append(c.senses, sensesOf(c.detectors[i].senses))
	}
	for i := range t.classes[1:] {
		k := &t.classes[i+1]
		g, ok := k.Grades[o.Profile]
		if !ok {
			return nil, fmt.Errorf("compile classifier: unknown profile %q", o.Profile)
		}
		c.base[k.ID], c.raised[k.ID], c.traits[k.ID] = g, max(g, k.Raised[o.Profile]), k.Traits
		c.passes[k.ID] = k.DefaultAction == "pass"
		if k.RaisedWhen == "gbt35273" {
			c.raised[k.ID] = g
			if o.GBT35273 {
				c.base[k.ID], c.raised[k.ID] = max(g, k.Raised[o.Profile]), max(g, k.Raised[o.Profile])
			}
		}
	}
	c.plateTells = t.classes[ClassMediaImage].ConditionIn(o.Profile) == "face_or_plate"
	c.parts, c.telling, c.limits = newParts(&c.traits, c.plateTells), telling(&c.traits), t.limits[o.Profile]
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

// Grade returns the grade of a class, before raises.
func (c *Classifier) Grade(id ClassID) Grade {
	if id < classCount {
		return c.base[id]
	}
	return Ungraded
}

// DetectorName returns a detector's name, which for one of a policy begins
// with "policy/", for one of the guard with "guard/", or "declared" for a class that the
// policy declared.
func (c *Classifier) DetectorName(id DetectorID) string {
	if int(id) < len(c.detectors) {
		return c.detectors[id].name
	}
	if i := int(id) - len(c.detectors); i < len(c.customNames) {
		return c.customNames[i]
	}
	return "declared"
}
