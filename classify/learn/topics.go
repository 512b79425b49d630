package learn

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A level is a node of the tree of topics. What a topic's messages are is at the
// level where it ends.
type level struct {
	kids map[string]*level // by word
	plus *level            // "+": any name
	wide bool              // there were too many words: all go to plus
	here *traffic          // of topics that end here; nil: none did
	rest *traffic          // "#": of topics that end somewhere below
}

// at returns what is remembered of a topic. Levels in names are names.
func (l *Learner) at(topic string, names map[int]bool) *traffic {
	n := l.root
	for i, w := range strings.Split(topic, "/") {
		if i == maxDepth || topic == "" {
			return of(&n.rest)
		}
		name := n.wide || names[i] || !word(w)
		if !name && n.kids[w] == nil && len(n.kids) >= most(i) {
			n.widen()
			name = true
		}
		next := n.plus
		if !name {
			next = n.kids[w]
		}
		if next == nil {
			if l.nodes >= maxNodes {
				return of(&n.rest)
			}
			l.nodes++
			next = &level{}
			switch {
			case name:
				n.plus = next
			case n.kids == nil:
				n.kids = map[string]*level{w: next}
			default:
				n.kids[w] = next
			}
		}
		n = next
	}
	return of(&n.here)
}

// most is how many words a level can have: the first tells sites and systems
// apart, so more of it are worth a route of their own.
func most(depth int) int {
	if depth == 0 {
		return 4 * maxChildren
	}
	return maxChildren
}

func of(t **traffic) *traffic {
	if *t == nil {
		*t = newTraffic()
	}
	return *t
}

// widen puts all words together as names.
func (n *level) widen() {
	for _, w := range slices.Sorted(maps.Keys(n.kids)) {
		n.plus = joined(n.plus, n.kids[w])
	}
	n.kids, n.wide = nil, true
}

// joined is one tree of two, either of which may be nil.
func joined(a, b *level) *level {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	a.here, a.rest = sum(a.here, b.here), sum(a.rest, b.rest)
	a.plus = joined(a.plus, b.plus)
	a.wide = a.wide || b.wide
	for w, k := range b.kids {
		if a.kids == nil {
			a.kids = map[string]*level{}
		}
		a.kids[w] = joined(a.kids[w], k)
	}
	if a.wide || len(a.kids) > maxChildren {
		a.widen()
	}
	return a
}

// kind says what a tree is made of: trees of one kind are told apart by name
// alone.
func (n *level) kind() string {
	var b strings.Builder
	n.writeKind(&b)
	return b.String()
}

func (n *level) writeKind(b *strings.Builder) {
	for _, t := range []*traffic{n.here, n.rest} {
		if t != nil {
			b.WriteString(t.classes())
		}
		b.WriteByte(';')
	}
	b.WriteByte('(')
	for _, w := range slices.Sorted(maps.Keys(n.kids)) {
		b.WriteString(w)
		n.kids[w].writeKind(b)
	}
	if n.plus != nil {
		b.WriteByte('+')
		n.plus.writeKind(b)
	}
	b.WriteByte(')')
}

// tidy puts together what is alike: siblings below the first level that differ
// by name alone, and subtrees in which the same classes are found everywhere.
func (n *level) tidy(depth int) {
	for _, k := range n.below() {
		k.tidy(depth + 1)
	}
	if depth == 0 {
		return
	}
	groups := map[string][]string{}
	for _, w := range slices.Sorted(maps.Keys(n.kids)) {
		kind := n.kids[w].kind()
		groups[kind] = append(groups[kind], w)
	}
	kinds := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(groups[b]), len(groups[a])), cmp.Compare(a, b))
	})
	for _, kind := range kinds {
		words := groups[kind]
		if alike := n.plus != nil && n.plus.kind() == kind; !alike && (n.plus != nil || len(words) < 2 || len(groups) > 1 && len(words) < 3) {
			continue
		}
		for _, w := range words {
			n.plus = joined(n.plus, n.kids[w])
			delete(n.kids, w)
		}
	}
	if ls := n.leaves(nil, nil); len(ls) > 1 && !slices.ContainsFunc(ls, func(x leaf) bool { return x.classes() != ls[0].classes() }) {
		n.fold()
	}
}

// fold makes one "#" of a tree.
func (n *level) fold() {
	var all *traffic
	for _, x := range n.leaves(nil, nil) {
		all = sum(all, x.traffic)
	}
	*n = level{rest: all}
}

// below returns the levels below, words first.
func (n *level) below() []*level {
	var out []*level
	for _, w := range slices.Sorted(maps.Keys(n.kids)) {
		out = append(out, n.kids[w])
	}
	if n.plus != nil {
		out = append(out, n.plus)
	}
	return out
}

// A leaf is a topic filter and what it takes.
type leaf struct {
	levels []string
	*traffic
}

func (x leaf) filter() string { return strings.Join(x.levels, "/") }

// leaves appends the filters of a tree in an order in which the first that
// matches a topic is the one that it was counted for.
func (n *level) leaves(out []leaf, at []string) []leaf {
	if n.here != nil {
		out = append(out, leaf{slices.Clone(at), n.here})
	}
	for _, w := range slices.Sorted(maps.Keys(n.kids)) {
		out = n.kids[w].leaves(out, append(slices.Clone(at), w))
	}
	if n.plus != nil {
		out = n.plus.leaves(out, append(slices.Clone(at), "+"))
	}
	if n.rest != nil {
		out = append(out, leaf{append(slices.Clone(at), "#"), n.rest})
	}
	return out
}

// limit folds subtrees, those of the fewest filters first, until there are at
// most so many filters. What then still is one too many, the least of harm
// first, is left to the route for everything else.
func (n *level) limit(most int) []leaf {
	for {
		ls := n.leaves(nil, nil)
		if len(ls) <= most {
			return ls
		}
		least := n.smallest(0)
		if least == nil {
			break
		}
		least.fold()
	}
	// Now each word of the first level has one filter. Names go first: what they
	// match, words that are left out would be matched by.
	if n.plus != nil {
		n.rest, n.plus = sum(n.rest, n.plus.leaves(nil, nil)[0].traffic), nil
	}
	for _, w := range slices.SortedFunc(maps.Keys(n.kids), func(a, b string) int {
		x, y := n.kids[a].leaves(nil, nil)[0], n.kids[b].leaves(nil, nil)[0]
		return cmp.Or(cmp.Compare(x.grade, y.grade), cmp.Compare(x.messages, y.messages), cmp.Compare(a, b))
	}) {
		ls := n.leaves(nil, nil)
		if len(ls)-1 <= most { // the last takes everything else
			return ls
		}
		n.rest = sum(n.rest, n.kids[w].leaves(nil, nil)[0].traffic)
		delete(n.kids, w)
	}
	return n.leaves(nil, nil)
}

// smallest is the subtree below the first level with the fewest filters, at
// least two.
func (n *level) smallest(depth int) *level {
	var best *level
	fewest := 0
	for _, k := range n.below() {
		x := k.smallest(depth + 1)
		if x == nil && len(k.leaves(nil, nil)) > 1 {
			x = k
		}
		if x == nil {
			continue
		}
		if c := len(x.leaves(nil, nil)); best == nil || c < fewest {
			best, fewest = x, c
		}
	}
	return best
}
