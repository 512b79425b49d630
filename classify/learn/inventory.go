package learn

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
)

// An Inventory is what leaves, by route and uplink. It holds names of routes,
// topics as filters, paths, classes and numbers, and no value.
type Inventory struct {
	Profile  string
	Begun    time.Time // zero: of captures, whenever they were made
	Ended    time.Time
	Messages int
	Bytes    int
	Stray    int      // messages on "$" topics, which leave only by a route of their own
	Uplinks  []string // empty: not known, all that there are
	Routes   []Route  // in the order in which they are tried; the last takes everything else
}

// A Route is topics whose messages are much alike.
type Route struct {
	Name     string
	Topics   []string // filters
	Messages int
	Bytes    int
	Unread   int            // messages that could not be read
	Grade    classify.Grade // highest; Ungraded: none was read
	Formats  []Tally
	Found    []Found // the most harmful first
	Loose    []Tally // paths of text about which nothing is known, which is encrypted
	Uplinks  []Tally // messages that each takes; empty where uplinks are not known
}

// A Tally is how often something was seen.
type Tally struct {
	Name  string
	Times int
}

// Found is what was found of a class on a route.
type Found struct {
	Class    classify.Class
	Grade    classify.Grade // highest
	Messages int
	Sure     int      // percent, lowest
	Paths    []string // the most frequent first
	More     int      // paths beside these; -1: more than were counted
	Action   string   // what befalls it by default at that grade, with parameters
}

// shownPaths is how many paths of a class an inventory names.
const shownPaths = 4

// Inventory sums up what was seen so far. The learner must not be used after.
func (l *Learner) Inventory() Inventory {
	inv := Inventory{Profile: l.o.Profile, Begun: l.o.Begun, Ended: time.Now(), Stray: l.stray, Uplinks: l.o.Vocab.Uplinks}
	rest := newTraffic()
	if l.root.rest != nil {
		rest, l.root.rest = l.root.rest, nil
	}
	l.root.tidy(0)
	leaves := l.root.limit(l.o.Routes)
	if n := len(leaves); n > 0 && leaves[n-1].filter() == "#" {
		rest = sum(rest, leaves[n-1].traffic)
		leaves = leaves[:n-1]
	}
	classes := classify.Classes()
	names := map[string]int{}
	for i := 0; i < len(leaves); {
		t, topics, from := leaves[i].traffic, []string{leaves[i].filter()}, leaves[i]
		for i++; i < len(leaves) && leaves[i].levels[0] == from.levels[0] && from.levels[0] != "+" && leaves[i].classes() == from.classes(); i++ {
			topics = append(topics, leaves[i].filter())
			t = sum(t, leaves[i].traffic)
		}
		inv.add(l.routeOf(routeName(topics, names), topics, t, classes))
	}
	inv.add(l.routeOf(routeName([]string{"#"}, names), []string{"#"}, rest, classes))
	return inv
}

func (inv *Inventory) add(r Route) {
	inv.Routes = append(inv.Routes, r)
	inv.Messages += r.Messages
	inv.Bytes += r.Bytes
}

// routeName is a name for people, made of the words of topics, and unique.
func routeName(topics []string, names map[string]int) string {
	name := "everything else"
	if topics[0] != "#" {
		var words []string
		for w := range strings.SplitSeq(topics[0], "/") {
			if w != "+" && w != "#" && (len(topics) == 1 || len(words) == 0) {
				words = append(words, w)
			}
		}
		name = cmp.Or(strings.Join(words, " "), "any topic")
	}
	if names[name]++; names[name] > 1 {
		return fmt.Sprintf("%s (%d)", name, names[name])
	}
	return name
}

func (l *Learner) routeOf(name string, topics []string, t *traffic, classes []classify.Class) Route {
	r := Route{
		Name: name, Topics: topics, Messages: t.messages, Bytes: t.bytes, Unread: t.unread, Grade: t.grade,
		Formats: tallies(t.formats), Loose: tallies(t.loose),
	}
	for i, u := range l.o.Vocab.Uplinks {
		r.Uplinks = append(r.Uplinks, Tally{u, t.uplinks[i]})
	}
	for id, x := range t.found {
		k := classes[id-1]
		f := Found{Class: k, Grade: x.grade, Messages: x.messages, Sure: int(x.sure), Action: defaultAction(&k, x.grade)}
		paths := tallies(x.paths)
		for _, p := range paths[:min(len(paths), shownPaths)] {
			f.Paths = append(f.Paths, p.Name)
		}
		f.More = len(paths) - len(f.Paths)
		if x.more {
			f.More = -1
		}
		r.Found = append(r.Found, f)
	}
	slices.SortFunc(r.Found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Grade, a.Grade), cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Class.ID, b.Class.ID))
	})
	return r
}

// tallies orders counts, the most frequent first.
func tallies(m map[string]int) []Tally {
	out := make([]Tally, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Tally{name, m[name]})
	}
	slices.SortStableFunc(out, func(a, b Tally) int { return cmp.Compare(b.Times, a.Times) })
	return out
}

// defaultAction is what befalls a class at a grade where a policy says nothing.
func defaultAction(k *classify.Class, g classify.Grade) string {
	return action(k.Default(g))
}

// action writes an action as a policy does.
func action(name string, params map[string]any) string {
	if len(params) == 0 {
		return name
	}
	return "{" + name + ": " + flow(params) + "}"
}

// flow writes a value of the taxonomy in YAML's flow style.
func flow(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprint(v)
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+": "+flow(m[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Seen says what the inventory is made from.
func (inv *Inventory) Seen() string {
	const layout = "2006-01-02 15:04 UTC"
	if inv.Begun.IsZero() {
		return fmt.Sprintf("%s in captures, read %s", plural(inv.Messages, "message"), inv.Ended.UTC().Format(layout))
	}
	return fmt.Sprintf("%s, seen from %s to %s", plural(inv.Messages, "message"), inv.Begun.UTC().Format(layout), inv.Ended.UTC().Format(layout))
}
