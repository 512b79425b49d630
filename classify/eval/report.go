package eval

import (
	"cmp"
	"slices"

	"github.com/sealgate/sealgate/classify"
)

// A Report is the sum of a run: a part for each kind of row that there was.
type Report struct{ Parts []Part }

// Part returns the part of a kind, or nil if there was no such row.
func (r *Report) Part(k Kind) *Part {
	for i := range r.Parts {
		if r.Parts[i].Kind == k {
			return &r.Parts[i]
		}
	}
	return nil
}

// A Part sums one kind of row.
type Part struct {
	Kind    Kind
	Rows    int
	Skipped int // rows that were not scored: nothing in them is of our classes
	Unread  int // rows that could not be read, so that nothing was found in them
	Total   Count
	// MacroRecall is the mean over groups that have labels, MacroPrecision over
	// those that have findings.
	MacroRecall, MacroPrecision float64
	// Clean is how many rows hold nothing to find, and Alarms in how many of
	// them something was found: at L3 or above in messages, anything in texts.
	Clean, Alarms int
	Classes       []ClassCount // by name; of secrets none, as any credential will do
	Groups        []GroupCount // by name
	Suites        []Suite      // of secrets, by name
	Confused      []Confusion  // the most frequent first
	Measures      []Measure
	Misses        []Miss // the worst first
}

// AlarmRate is the share of rows that hold nothing and in which something was found.
func (p *Part) AlarmRate() float64 { return ratio(p.Alarms, p.Clean) }

// A ClassCount is what became of a class.
type ClassCount struct {
	Class classify.ClassID
	Count
}

// A GroupCount is what became of a source, a type of entity or a kind of secret.
type GroupCount struct {
	Name          string
	Rows          int
	Clean, Alarms int
	Count
}

// A Suite sums the kinds of secret of one labeller. Recall and Alarms are means
// over kinds: of the share of secrets that were found, and of the share of texts
// without one in which some was found.
type Suite struct {
	Name   string
	Rows   int
	Kinds  int
	Recall float64
	Alarms float64
	Other  *Reference // nil: there is none for a suite of this name
}

// A Reference is what another scanner reaches on a suite.
type Reference struct {
	Scanner        string
	Recall, Alarms float64
}

// gitleaks is what gitleaks 8.30 reaches with its default rules on the test
// suites of well-known scanners.
var gitleaks = map[string]*Reference{
	"gitleaks":       {"gitleaks 8.30", 1.00, 0.06},
	"trufflehog":     {"gitleaks 8.30", 0.68, 0.40},
	"secretlint":     {"gitleaks 8.30", 0.52, 0.12},
	"detect-secrets": {"gitleaks 8.30", 0.24, 0.10},
}

// A Confusion is how often a label of one class was found as another, or not at
// all (ClassNone).
type Confusion struct {
	Class, As classify.ClassID
	Count     int
}

// A Measure is a figure that a classifier can be held to.
type Measure struct {
	Name   string
	Value  float64
	Reach  float64
	AtMost bool // Value may be at most Reach, else it has to be at least that
}

// Met reports whether the measure is reached.
func (m *Measure) Met() bool {
	if m.AtMost {
		return m.Value <= m.Reach
	}
	return m.Value >= m.Reach
}

// Report sums up.
func (s *Scorer) Report() Report {
	var r Report
	for k := range s.sides {
		if s.sides[k].rows > 0 {
			r.Parts = append(r.Parts, s.sides[k].part(Kind(k)))
		}
	}
	return r
}

func (x *side) part(k Kind) Part {
	p := Part{Kind: k, Rows: x.rows, Skipped: x.skipped, Unread: x.unread, Misses: slices.Clone(x.misses)}
	var recall, precision mean
	for _, name := range names(x.groups) {
		g := x.groups[name]
		p.Groups = append(p.Groups, GroupCount{name, g.rows, g.clean, g.alarm, g.count})
		p.Total.add(g.count)
		p.Clean += g.clean
		p.Alarms += g.alarm
		recall.add(g.count.Found, g.count.Missed)
		precision.add(g.count.Found, g.count.False)
	}
	p.MacroRecall, p.MacroPrecision = recall.value(), precision.value()
	if k == Secrets {
		p.Suites = x.suites()
	} else {
		for _, id := range names(x.classes) {
			p.Classes = append(p.Classes, ClassCount{id, *x.classes[id]})
		}
		slices.SortFunc(p.Classes, func(a, b ClassCount) int { return cmp.Compare(a.Class.String(), b.Class.String()) })
		p.Confused = x.confusions()
	}
	p.Measures = x.measures(&p)
	slices.SortStableFunc(p.Misses, worse)
	return p
}

// worse puts first what would do more harm: of equal grade what was missed.
func worse(a, b Miss) int {
	missed := func(m *Miss) int {
		if m.By == "" {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.Grade, a.Grade), cmp.Compare(missed(&a), missed(&b)))
}

func (x *side) confusions() []Confusion {
	var out []Confusion
	for pair, n := range x.confused {
		out = append(out, Confusion{pair[0], pair[1], n})
	}
	slices.SortFunc(out, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class), cmp.Compare(a.As, b.As))
	})
	return out
}

func (x *side) suites() []Suite {
	type sums struct {
		rows, kinds    int
		recall, alarms mean
	}
	all := map[string]*sums{}
	for _, g := range x.groups {
		t := all[g.suite]
		if t == nil {
			t = &sums{}
			all[g.suite] = t
		}
		t.rows += g.rows
		t.kinds++
		t.recall.add(g.count.Found, g.count.Missed)
		t.alarms.add(g.alarm, g.clean-g.alarm)
	}
	var out []Suite
	for _, name := range names(all) {
		t := all[name]
		out = append(out, Suite{name, t.rows, t.kinds, t.recall.value(), t.alarms.valueOr(0), gitleaks[name]})
	}
	return out
}

// measures are the figures that the classifier is built to reach.
func (x *side) measures(p *Part) []Measure {
	var out []Measure
	least := func(name string, value, reach float64) {
		out = append(out, Measure{Name: name, Value: value, Reach: reach})
	}
	most := func(name string, value, reach float64) {
		out = append(out, Measure{Name: name, Value: value, Reach: reach, AtMost: true})
	}
	switch p.Kind {
	case Messages:
		if p.Total.Found+p.Total.Missed > 0 {
			least("labelled places found, mean over sources", p.MacroRecall, 0.95)
		}
		if p.Clean > 0 {
			most("clean messages with a finding at L3 or above", p.AlarmRate(), 0.02)
		}
		if c := x.credentials; c.Found+c.Missed > 0 {
			least("labelled credentials found", c.Recall(), 1)
		}
		if c := x.credentials; c != (Count{}) {
			least("findings of credentials that are right", c.Precision(), 1)
		}
	case Text:
		var recall, precision mean
		for _, g := range p.Groups {
			if entityTypes[g.Name].checked {
				recall.add(g.Found, g.Missed)
				precision.add(g.Found, g.False)
			}
		}
		if recall.n+precision.n > 0 {
			least("checksummed identifiers found, mean over types", recall.value(), 0.99)
			least("findings of these right, mean over types", precision.value(), 0.99)
		}
	case Secrets:
		for _, s := range p.Suites {
			// Nobody is held to what a scanner reaches on the suite of its own rules.
			if s.Other != nil && s.Name != "gitleaks" {
				least(s.Name+": secrets found, mean over kinds", s.Recall, s.Other.Recall)
				most(s.Name+": clean texts with a finding", s.Alarms, s.Other.Alarms)
			}
		}
	}
	return out
}

// mean is a mean of shares.
type mean struct {
	sum float64
	n   int
}

// add takes in the share of good, where there is any of either.
func (m *mean) add(good, bad int) {
	if good+bad > 0 {
		m.sum += share(good, bad)
		m.n++
	}
}

// value is the mean, 1 of nothing.
func (m *mean) value() float64 { return m.valueOr(1) }

func (m *mean) valueOr(nothing float64) float64 {
	if m.n == 0 {
		return nothing
	}
	return m.sum / float64(m.n)
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
