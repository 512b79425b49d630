package policy

import (
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/classify"
)

// guardTable is a Guard made ready for judging.
type guardTable struct {
	minimum [6]Strength                // by grade; [0] is that of L5
	grades  [maxClasses]classify.Grade // of each class under the guard's profile, before raises
}

var strengthWords = []string{"pass", "transform", "encrypt", "block"}

// String returns the word of a guard's minimum.
func (s Strength) String() string { return strengthWords[min(int(s), len(strengthWords)-1)] }

// minima reads the minima; a grade that is not named keeps the default.
func (t *guardTable) minima(g Guard) error {
	t.minimum = [6]Strength{StrengthBlock, StrengthPass, StrengthPass, StrengthTransform, StrengthEncrypt, StrengthBlock}
	for grade, word := range g.Minimum {
		i := slices.Index(strengthWords, word)
		if i < 0 || grade < classify.L1 || grade > classify.L5 {
			return fmt.Errorf("compile policy: the guard's minimum %q for %s: want one of %v for L1 to L5", word, grade, strengthWords)
		}
		t.minimum[grade] = Strength(i)
	}
	t.minimum[classify.Ungraded] = t.minimum[classify.L5]
	if g.Profile != "" && !slices.Contains(classify.Profiles(), g.Profile) {
		return fmt.Errorf("compile policy: the guard's profile %q is unknown", g.Profile)
	}
	return nil
}

// grade is a finding's grade for the guard: the higher of the policy's and the
// built-in taxonomy's, raised like the finding was.
func (t *guardTable) grade(f *classify.Finding) classify.Grade {
	g := t.grades[f.Class]
	switch {
	case f.Grade == classify.Ungraded:
		return classify.L5
	case f.Raised&classify.RaiseTrack != 0:
		g = max(g, classify.L4)
	case f.Raised&(classify.RaiseCombination|classify.RaiseSubjects) != 0 && g < classify.L4:
		g++
	}
	return max(g, f.Grade)
}

func (m MessageAction) strength() Strength {
	return [...]Strength{StrengthPass, StrengthEncrypt, StrengthBlock}[m]
}

// residual is the grade that an action leaves of one finding by itself.
func (p *Policy) residual(class classify.ClassID, grade classify.Grade, a *Action) (classify.ClassID, classify.Grade) {
	switch a.residue {
	case ResidueGone:
		return classify.ClassNone, classify.L1
	case ResidueLower2:
		return classify.ClassNone, min(grade, classify.L2)
	case ResidueCoarse:
		if k := p.coarse[class]; k != classify.ClassNone {
			return k, min(grade, p.grades[k])
		}
	}
	return class, grade
}

// checkGuard refuses a document whose own words fall short of the guard for a
// class as such. What falls short by default is raised when a message is
// judged, as is what only a message shows.
func (c *compiler) checkGuard(root *node, overrides map[classify.ClassID]classify.Grade) {
	p := c.policy
	said := map[*node]bool{}
	enforced := slices.ContainsFunc(p.routes, func(r *Route) bool {
		return slices.ContainsFunc(r.rules.uplinks, func(t treatment) bool { return !t.settings.observe })
	})
	for _, k := range c.classes {
		grade := max(p.grades[k.ID], p.guard.grades[k.ID])
		// A level that goes out as a token is enough: the rest is sealed.
		need := min(p.guard.minimum[grade], StrengthTransform)
		if a := c.topics[k.ID]; a != nil && p.counts(a, k.ID) < need && enforced {
			c.on(c.topicAt[k.ID], "", "%s (%s) in a topic falls short of the guard: %s demands %s or stronger", k.Name, a, grade, p.guard.minimum[grade])
		}
	}
	for _, r := range p.routes {
		for i := range r.rules.uplinks {
			t := &r.rules.uplinks[i]
			if t.settings.observe {
				continue
			}
			where := fmt.Sprintf("route %q, uplink %q", r.Name, p.uplinks[r.Uplinks[i]])
			for _, k := range c.classes {
				if t.watched.Has(k.ID) {
					continue
				}
				o := p.outcome(t, k.ID, p.grades[k.ID])
				if o.strength >= o.need {
					continue
				}
				at := t.settings.classAt[k.ID]
				if at == nil {
					at = t.settings.gradeAt[o.residual]
				}
				if g := root.get("class_grades"); at == nil && g != nil {
					for _, e := range g.entries {
						if e.key.text == k.Name {
							at = e.key
						}
					}
				}
				if at == nil || said[at] {
					continue
				}
				said[at] = true
				grade := max(p.grades[k.ID], p.guard.grades[k.ID])
				c.on(at, "", "%s (%s) falls short of the guard: %s demands %s or stronger (%s)", k.Name, o.action, grade, o.need, where)
			}
			if at := t.settings.gradeAt[classify.L5]; at != nil && !said[at] && t.message[classify.L5].strength() < p.guard.minimum[classify.L5] {
				said[at] = true
				c.on(at, "", "grade L5 falls short of the guard, which demands %s (%s)", p.guard.minimum[classify.L5], where)
			}
		}
	}
}
