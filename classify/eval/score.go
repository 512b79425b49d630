package eval

import (
	"maps"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// Options say what a Scorer keeps.
type Options struct {
	// Values keeps the text of what was missed and of what was found by mistake,
	// up to 80 bytes of each. Without it reports hold shapes alone.
	Values bool
}

// maxValue bounds a value that is kept.
const maxValue = 80

// A Miss is a label that was not found, or a finding without one.
type Miss struct {
	File   string // as told to Scorer.File
	Line   int
	ID     string
	Kind   Kind
	Group  string
	Path   string // in a text "" with Start and End
	Start  int    // where it stands in the payload
	End    int
	Class  classify.ClassID
	Type   string           // of a text's entity or secret, in its own words
	As     classify.ClassID // a missed label: what was found in its place, or ClassNone
	Grade  classify.Grade   // of the false finding, or of the missed class
	By     string           // the detector of a false finding; empty: the label was missed
	Unread bool             // missed because the payload could not be read
	Shape  string
	Value  string // only with Options.Values
}

// A tally sums what one source, type or kind gave.
type tally struct {
	count        Count
	rows         int
	clean, alarm int // rows without a label; those of them with a false finding
	suite        string
}

// A side sums one kind of row.
type side struct {
	rows, skipped, unread int
	labelled              int
	classes               map[classify.ClassID]*Count
	groups                map[string]*tally
	confused              map[[2]classify.ClassID]int
	credentials           Count
	misses                []Miss
}

// A Scorer compares findings with labels. Not for concurrent use.
type Scorer struct {
	c     *classify.Classifier
	o     Options
	s     classify.Scratch
	d     payload.Document
	file  string
	sides [kindCount]side
}

// NewScorer returns a scorer for a classifier.
func NewScorer(c *classify.Classifier, o Options) *Scorer {
	s := &Scorer{c: c, o: o}
	for i := range s.sides {
		s.sides[i].classes = map[classify.ClassID]*Count{}
		s.sides[i].groups = map[string]*tally{}
		s.sides[i].confused = map[[2]classify.ClassID]int{}
	}
	return s
}

// File says which file the next cases are from.
func (s *Scorer) File(name string) { s.file = name }

// Add classifies one case and scores it.
func (s *Scorer) Add(k Case) {
	x := &s.sides[k.Kind]
	x.rows++
	if k.Skip {
		x.skipped++
		return
	}
	g := x.groups[k.Group]
	if g == nil {
		g = &tally{suite: k.Suite}
		x.groups[k.Group] = g
	}
	g.rows++

	found := s.find(&k)
	unread := found == nil
	if unread {
		x.unread++
	}
	hits := make([]bool, len(k.Labels))
	as := make([]classify.ClassID, len(k.Labels)) // what was found in a label's place instead
	alarm := false
	for i := range found {
		f := &found[i]
		path, at := string(s.d.AppendPath(nil, f.Field)), s.place(f)
		right := false
		for j := range k.Labels {
			l := &k.Labels[j]
			if !s.covers(f, path, at, l) {
				continue
			}
			if l.is(f.Class) {
				hits[j], right = true, true
			} else {
				as[j] = f.Class
				right = right || l.Weak // arguable: neither way
			}
		}
		if right || k.Scope != 0 && !k.Scope.Has(f.Class) {
			continue
		}
		m := s.miss(&k, path, at)
		m.Class, m.Grade, m.By = f.Class, f.Grade, s.c.DetectorName(f.Detector)
		// A message may well hold what harms nobody; a text that is to hold
		// nothing of a class is wrong with any of it.
		alarm = alarm || k.Kind != Messages || f.Grade >= classify.L3
		x.count(g, f.Class, Count{False: 1})
		x.misses = append(x.misses, m)
	}
	strong := 0
	for j := range k.Labels {
		l := &k.Labels[j]
		if l.Weak {
			continue
		}
		strong++
		if hits[j] {
			x.count(g, l.Class, Count{Found: 1})
			continue
		}
		x.count(g, l.Class, Count{Missed: 1})
		x.confused[[2]classify.ClassID{l.Class, as[j]}]++
		m := s.missed(&k, l)
		m.As, m.Unread = as[j], unread
		x.misses = append(x.misses, m)
	}
	x.labelled += strong
	if len(k.Labels) == 0 {
		g.clean++
		if alarm {
			g.alarm++
		}
	}
}

// find returns the findings of a case: of secrets at most one, as the question
// is whether any is there; nil if the payload can't be read.
func (s *Scorer) find(k *Case) []classify.Finding {
	reason := payload.Parse(&s.d, k.Topic, k.Payload, payload.Limits{})
	r := s.c.Find(&s.s, nil, &s.d, classify.Context{})
	if r.Reason != "" || reason != "" {
		return nil
	}
	if k.Kind == Secrets {
		for i := range r.Findings {
			if credentials.Has(r.Findings[i].Class) {
				return r.Findings[i : i+1]
			}
		}
		return []classify.Finding{}
	}
	if r.Findings == nil {
		return []classify.Finding{}
	}
	return r.Findings
}

func (x *side) count(g *tally, c classify.ClassID, n Count) {
	if x.classes[c] == nil {
		x.classes[c] = &Count{}
	}
	x.classes[c].add(n)
	g.count.add(n)
	if credentials.Has(c) {
		x.credentials.add(n)
	}
}

func (s *Scorer) miss(k *Case, path string, at payload.Span) Miss {
	raw := k.Payload
	if strings.HasPrefix(path, "topic:") {
		raw = []byte(k.Topic)
	}
	end := min(int(at.End), len(raw))
	value := raw[min(int(at.Start), end):end]
	m := Miss{File: s.file, Line: k.Line, ID: k.ID, Kind: k.Kind, Group: k.Group, Path: path, Start: int(at.Start), End: int(at.End), Shape: Shape(value)}
	if s.o.Values {
		m.Value = string(value[:min(len(value), maxValue)])
	}
	return m
}

// missed describes a label that was not found.
func (s *Scorer) missed(k *Case, l *Label) Miss {
	at, path := payload.Span{End: uint32(len(k.Payload))}, l.Path
	switch {
	case l.End > 0:
		at, path = payload.Span{Start: uint32(l.Start), End: uint32(l.End)}, ""
	case !l.anywhere:
		for i := range s.d.Fields {
			if string(s.d.AppendPath(nil, int32(i))) == l.Path {
				at = s.d.Fields[i].Raw
			}
		}
	}
	m := s.miss(k, path, at)
	m.Class, m.Type = l.Class, l.Type
	m.Grade, _ = classify.ProfileGrade(classify.Profiles()[0], l.Class)
	return m
}

// place is where a finding stands in the payload.
func (s *Scorer) place(f *classify.Finding) payload.Span {
	x := &s.d.Fields[f.Field]
	if f.Whole() {
		return x.Raw
	}
	return s.d.Locate(f.Field, f.Start, f.End)
}

func (s *Scorer) covers(f *classify.Finding, path string, at payload.Span, l *Label) bool {
	switch {
	case l.anywhere:
		return true
	case l.End > 0:
		return s.d.Fields[f.Field].Kind != payload.KindTopic && int(at.Start) < l.End && l.Start < int(at.End)
	}
	// A finding on a container covers what is inside, and the other way round
	// for what is labelled as a whole.
	return path == l.Path || strings.HasPrefix(l.Path, path+"/") && path != "" || strings.HasPrefix(path, l.Path+"/") && l.Path != ""
}

// names returns the keys of a map in order.
func names[K interface{ ~string | ~uint8 }, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
