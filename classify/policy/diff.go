package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
)

// Direction says what a change does to the protection.
type Direction int8

// The directions.
const (
	Neither  Direction = iota
	Tightens           // something is protected more, and nothing less
	Loosens            // something is protected less
)

// String returns "neither", "tightens" or "loosens".
func (d Direction) String() string { return [...]string{"neither", "tightens", "loosens"}[d] }

// A Change is one difference between two policies.
type Change struct {
	Where     string    `json:"where"` // "route "anpr", uplink "city"", or empty for the policy
	What      string    `json:"what"`  // a class, a grade, a setting
	Before    string    `json:"before"`
	After     string    `json:"after"`
	Direction Direction `json:"-"`
	Word      string    `json:"direction"`
}

// Difference is every change from one policy to another, and the direction of
// all together: Loosens if any of them does.
type Difference struct {
	Changes   []Change  `json:"changes"`
	Direction Direction `json:"-"`
	Word      string    `json:"direction"`
}

// Diff compares what two policies do. A route that only one of them has, or
// whose topics changed, is compared with the route that takes its topics in the
// other; where there is not exactly one, the change counts as loosening, because
// nothing shows that it is not.
func Diff(a, b *Policy) Difference {
	d := &differ{a: a, b: b}
	d.whole()
	for _, x := range a.routes {
		switch y := find(b.routes, x.Name); {
		case y == nil:
			d.moved(x, cover(b, x), Neither)
		case !slices.Equal(topics(x), topics(y)):
			d.add(where(x.Name, ""), "topics", strings.Join(topics(x), " "), strings.Join(topics(y), " "), Neither)
			d.moved(x, cover(b, x), Neither)
		default:
			d.route(x.Name, x, y)
		}
	}
	for _, y := range b.routes {
		if x := find(a.routes, y.Name); x == nil || !slices.Equal(topics(x), topics(y)) {
			d.moved(cover(a, y), y, Loosens)
		}
	}
	d.order()
	out := Difference{Changes: d.changes}
	for i := range out.Changes {
		c := &out.Changes[i]
		c.Word = c.Direction.String()
		out.Direction = max(out.Direction, c.Direction)
	}
	out.Word = out.Direction.String()
	return out
}

type differ struct {
	a, b    *Policy
	changes []Change
}

func (d *differ) add(where, what, before, after string, dir Direction) {
	if before != after {
		d.changes = append(d.changes, Change{Where: where, What: what, Before: before, After: after, Direction: dir})
	}
}

// toward is the direction of a change from strength a to b.
func toward(a, b int) Direction {
	switch {
	case a < b:
		return Tightens
	case a > b:
		return Loosens
	}
	return Neither
}

func find(rs []*Route, name string) *Route {
	if i := slices.IndexFunc(rs, func(r *Route) bool { return r.Name == name }); i >= 0 {
		return rs[i]
	}
	return nil
}

func where(route, uplink string) string {
	if uplink == "" {
		return fmt.Sprintf("route %q", route)
	}
	return fmt.Sprintf("route %q, uplink %q", route, uplink)
}

func topics(r *Route) []string {
	var out []string
	for _, f := range r.rules.filters {
		out = append(out, f.text)
	}
	return out
}

func (d *differ) whole() {
	d.add("", "profile", d.a.profile, d.b.profile, Neither)
	more := func(xs, ys []string) bool {
		return slices.ContainsFunc(ys, func(y string) bool { return !slices.Contains(xs, y) })
	}
	dir := Tightens
	if more(d.a.recipients, d.b.recipients) {
		dir = Loosens
	}
	d.add("", "recipients", strings.Join(d.a.recipients, " "), strings.Join(d.b.recipients, " "), dir)
	d.add("", "gbt35273", fmt.Sprint(d.a.gbt35273), fmt.Sprint(d.b.gbt35273), Neither) // the grades of classes below say which way
	d.declared()
	d.site()
	for _, k := range classify.Classes() {
		x, y := d.a.grades[k.ID], d.b.grades[k.ID]
		d.add("", "grade of "+k.Name, x.String(), y.String(), toward(int(x), int(y)))
	}
}

// cover returns the one route of p that takes all topics of r, nil if there is
// none or more than one.
func cover(p *Policy, r *Route) *Route {
	var out *Route
	for i := range r.rules.filters {
		f := &r.rules.filters[i]
		k := slices.IndexFunc(p.routes, func(c *Route) bool {
			return slices.ContainsFunc(c.rules.filters, func(g filter) bool { return g.meets(f) })
		})
		if k < 0 || out != nil && p.routes[k] != out ||
			!slices.ContainsFunc(p.routes[k].rules.filters, func(g filter) bool { return g.covers(f) }) {
			return nil
		}
		out = p.routes[k]
	}
	return out
}

// moved compares what befalls the topics of a route before (x) and after (y).
func (d *differ) moved(x, y *Route, added Direction) {
	switch {
	case x == nil:
		d.add(where(y.Name, ""), "route", "several or none", strings.Join(topics(y), " "), Loosens)
	case y == nil:
		d.add(where(x.Name, ""), "route", strings.Join(topics(x), " "), "several or none", Loosens)
	case added == Loosens:
		d.add(where(y.Name, ""), "route", "in "+x.Name, strings.Join(topics(y), " "), Neither)
		d.route(y.Name, x, y)
	default:
		d.add(where(x.Name, ""), "route", strings.Join(topics(x), " "), "in "+y.Name, Neither)
		d.route(x.Name, x, y)
	}
}

// order notes routes that changed places although some topic is for both.
func (d *differ) order() {
	for i, x := range d.a.routes {
		for _, y := range d.a.routes[i+1:] {
			x2, y2 := find(d.b.routes, x.Name), find(d.b.routes, y.Name)
			if x2 == nil || y2 == nil || x2.ID < y2.ID {
				continue
			}
			if slices.ContainsFunc(x2.rules.filters, func(f filter) bool {
				return slices.ContainsFunc(y2.rules.filters, func(g filter) bool { return f.meets(&g) })
			}) {
				d.add(where(x.Name, ""), "order", "before "+y.Name, "after "+y.Name, Loosens)
			}
		}
	}
}

// declared compares the declared fields.
func (d *differ) declared() {
	before, after := map[string]*declaration{}, map[string]*declaration{}
	for _, x := range d.a.declared {
		before[x.name] = x
	}
	for _, y := range d.b.declared {
		after[y.name] = y
		if x := before[y.name]; x == nil {
			dir := Tightens
			if y.class == classify.ClassNone {
				dir = Loosens
			}
			d.add("", "field "+y.name, "not declared", y.what(), dir)
		} else {
			d.add("", "field "+y.name, x.what(), y.what(), max(Tightens, toward(int(x.level(d.a)), int(y.level(d.b)))))
		}
	}
	for _, x := range d.a.declared {
		if after[x.name] == nil {
			dir := Loosens
			if x.class == classify.ClassNone {
				dir = Tightens
			}
			d.add("", "field "+x.name, x.what(), "not declared", dir)
		}
	}
}

func (x *declaration) what() string {
	if x.grade == classify.Ungraded {
		return x.class.String()
	}
	return x.class.String() + " " + x.grade.String()
}

func (x *declaration) level(p *Policy) classify.Grade {
	if x.grade != classify.Ungraded {
		return x.grade
	}
	return p.grades[x.class]
}

// route compares a route, or two that take the same topics.
func (d *differ) route(name string, x, y *Route) {
	at := where(name, "")
	d.add(at, "unreadable", x.rules.unreadable.String(), y.rules.unreadable.String(), toward(int(x.rules.unreadable), int(y.rules.unreadable)))
	d.add(at, "priority", fmt.Sprint(x.Lane), fmt.Sprint(y.Lane), Neither)
	d.add(at, "offline", fmt.Sprint(x.Offline), fmt.Sprint(y.Offline), Neither)
	d.add(at, "max_age", fmt.Sprint(x.MaxAge), fmt.Sprint(y.MaxAge), Neither)
	for i, u := range x.Uplinks {
		link := d.a.uplinks[u]
		j := slices.IndexFunc(y.Uplinks, func(v int) bool { return d.b.uplinks[v] == link })
		if j < 0 {
			d.add(where(name, link), "uplink", "goes there", "does not", Tightens)
			continue
		}
		d.treatment(where(name, link), &x.rules.uplinks[i], &y.rules.uplinks[j])
	}
	for _, v := range y.Uplinks {
		link := d.b.uplinks[v]
		if !slices.ContainsFunc(x.Uplinks, func(u int) bool { return d.a.uplinks[u] == link }) {
			d.add(where(name, link), "uplink", "does not go there", "does", Loosens)
		}
	}
}

func (d *differ) treatment(at string, x, y *treatment) {
	d.add(at, "mode", x.mode().String(), y.mode().String(), toward(int(y.mode()), int(x.mode())))
	order := [...]int{Balanced: 1, Strict: 2, PassUnclassified: 0}
	d.add(at, "unclassified", x.unclassified.String(), y.unclassified.String(), toward(order[x.unclassified], order[y.unclassified]))
	for g := classify.L1; g <= classify.L5; g++ {
		d.action(at, "message of "+g.String(), x.grades[g], y.grades[g])
	}
	for _, k := range classify.Classes() {
		i, j := d.a.grades[k.ID], d.b.grades[k.ID]
		if x.watched.Has(k.ID) != y.watched.Has(k.ID) {
			dir := Tightens
			if y.watched.Has(k.ID) {
				dir = Loosens
			}
			d.add(at, "mode of "+k.Name, x.modeOf(k.ID).String(), y.modeOf(k.ID).String(), dir)
		}
		d.action(at, k.Name, x.table.fields[k.ID][i], y.table.fields[k.ID][j])
		d.action(at, k.Name+" in a topic", x.table.topics[k.ID][i], y.table.topics[k.ID][j])
	}
}

// action compares two actions. With equal effect, parameters and recipients
// that differ count as loosening unless they are known not to be.
func (d *differ) action(at, what string, x, y *Action) {
	if x.text == y.text {
		return
	}
	dir := toward(int(x.rank), int(y.rank))
	if dir == Neither && x.Spec.Name == y.Spec.Name {
		dir = Loosens
		if fewer(x, y) {
			dir = Tightens
		}
	}
	if y.strength < x.strength {
		dir = Loosens
	}
	d.add(at, what, x.text, y.text, dir)
}

// fewer reports whether all that y changes in x is that it drops recipients.
func fewer(x, y *Action) bool {
	c := *y
	c.Recipients = x.Recipients
	return c.canonical() == x.text && len(y.Recipients) > 0 && len(y.Recipients) < len(x.Recipients) &&
		!slices.ContainsFunc(y.Recipients, func(r string) bool { return !slices.Contains(x.Recipients, r) })
}
