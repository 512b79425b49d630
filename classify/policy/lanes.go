package policy

import "slices"

// Lanes says which topics go to which lane: all of a policy that the order of
// messages in the logs depends on. First match wins.
type Lanes []LaneRule

// A LaneRule is the part of a route that names its lane.
type LaneRule struct {
	Topics []string `json:"topics"`
	Lane   Lane     `json:"lane"`
}

// A Move is a pair of lanes between which a change of policy moves topics.
type Move struct{ From, To Lane }

// Lanes returns which topics the policy sends to which lane.
func (p *Policy) Lanes() Lanes {
	l := make(Lanes, len(p.routes))
	for i, r := range p.routes {
		l[i].Lane = r.Lane
		for j := range r.rules.filters {
			l[i].Topics = append(l[i].Topics, r.rules.filters[j].text)
		}
	}
	return l
}

// Moves returns the pairs of lanes between which some topic may move when to
// takes the place of l. It may name a pair too many, where several filters
// together leave nothing of a later one, never one too few. Topics that are no
// filters are an error.
func (l Lanes) Moves(to Lanes) (moves []Move, err error) {
	before, err := l.filters()
	if err != nil {
		return nil, err
	}
	after, err := to.filters()
	if err != nil {
		return nil, err
	}
	for i := range before {
		for j := range after {
			m := Move{before[i].lane, after[j].lane}
			if m.From == m.To || slices.Contains(moves, m) {
				continue
			}
			f, g := &before[i].filter, &after[j].filter
			if f.meets(g) && !shadowed(before[:i], g) && !shadowed(after[:j], f) {
				moves = append(moves, m)
			}
		}
	}
	return moves, nil
}

type laned struct {
	filter filter
	lane   Lane
}

func (l Lanes) filters() (fs []laned, err error) {
	for _, r := range l {
		for _, t := range r.Topics {
			f, err := parseFilter(t)
			if err != nil {
				return nil, err
			}
			fs = append(fs, laned{f, r.Lane})
		}
	}
	return fs, nil
}

// shadowed reports whether an earlier filter takes all that f takes.
func shadowed(earlier []laned, f *filter) bool {
	return slices.ContainsFunc(earlier, func(e laned) bool { return e.filter.covers(f) })
}
