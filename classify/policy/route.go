package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// routeRules is the compiled treatment of a route.
type routeRules struct {
	filters    []filter
	uplinks    []treatment // parallel to Route.Uplinks
	unreadable MessageAction
	declared   []*declaration // those whose topics meet the route's
	bloom      uint64         // one bit for each declared path hash
}

// treatment is what a route does for one uplink.
type treatment struct {
	observe      bool
	watched      classify.ClassSet // what would befall these classes is noted, and does not happen
	unclassified Unclassified
	table        *classTable
	grades       [6]*Action // by residual grade
	message      [6]MessageAction
	seal         *Action // where nothing says more

	settings *settings // for explain and diff
}

// classTable is what befalls findings, by class and grade. Equal tables are one.
type classTable struct {
	fields, topics [maxClasses][6]*Action
}

// declaration is an entry of the document's key "fields".
type declaration struct {
	name   string // topic and path
	filter filter
	path   uint64 // hash
	class  classify.ClassID
	grade  classify.Grade
	where  *node
}

// Route returns the route of a topic: the first with a filter that takes it.
// nil means that there is none: the message is dropped and counted. It
// allocates nothing.
func (p *Policy) Route(topic string) *Route {
	for _, r := range p.routes {
		for i := range r.rules.filters {
			if r.rules.filters[i].match(topic) {
				return r
			}
		}
	}
	return nil
}

// taxonomyDefaults makes the action of each class and grade where a policy
// says nothing. What is graded L5 is left to the message's action.
func (c *compiler) taxonomyDefaults() error {
	t := &classTable{}
	for _, k := range c.classes {
		for g := range t.fields[k.ID] {
			grade := classify.Grade(g)
			if grade == classify.Ungraded {
				grade = classify.L5
			}
			name, params := k.Default(grade)
			a, err := c.taxonomyAction(k.ID, name, params)
			if err != nil {
				return err
			}
			t.fields[k.ID][g], t.topics[k.ID][g] = a, a
			if grade == classify.L5 {
				t.fields[k.ID][g] = c.pass
			}
		}
	}
	c.taxonomy = t
	return nil
}

// table makes the table of one treatment, or returns an equal one.
func (c *compiler) table(s *settings) *classTable {
	t := &classTable{}
	for g := range t.fields[0] { // a finding of no class: nothing is known of it
		t.fields[classify.ClassNone][g] = c.encrypt
		t.topics[classify.ClassNone][g] = c.pseudonymize
	}
	for _, k := range c.classes {
		for g := range t.fields[k.ID] {
			a := s.classes[k.ID]
			t.fields[k.ID][g] = a
			if a == nil {
				t.fields[k.ID][g], a = c.taxonomy.fields[k.ID][g], c.taxonomy.topics[k.ID][g]
			}
			switch {
			case c.topics[k.ID] != nil:
				a = c.topics[k.ID]
			case a.Spec.On&OnTopicLevel != 0:
			case classify.Grade(g) == classify.L1:
				a = c.pass
			default:
				a = c.pseudonymize
			}
			t.topics[k.ID][g] = a
		}
	}
	for _, have := range c.tables {
		if *have == *t {
			return have
		}
	}
	c.tables = append(c.tables, t)
	return t
}

func (c *compiler) treatment(s settings) treatment {
	t := treatment{observe: s.observe && c.limits.Observe, unclassified: s.unclassified, grades: s.grades, table: c.table(&s), seal: c.seal, settings: &s}
	if c.limits.Observe {
		t.watched = s.watched
	}
	for g, a := range s.grades {
		t.message[g] = a.message()
	}
	// What is sealed for another reason than its grade is sealed like the
	// lowest grade that is.
	for _, a := range s.grades[1:] {
		if a.message() == MessageSeal {
			t.seal = a
			break
		}
	}
	return t
}

func (c *compiler) routes(n, root *node, base settings, unreadable unreadableRule) {
	items := c.items(n, "routes")
	if n != nil && n.kind == nodeSeq && len(items) == 0 {
		c.on(n, "routes: [{name: everything, topics: ['#']}]", "the policy has no route")
	}
	if len(items) > maxRoutes {
		c.on(n, "", "at most %d routes", maxRoutes)
		return
	}
	names := map[string]int{}
	for _, item := range items {
		if !c.keys(item, "a route", "name", "topics", "priority", "order_by", "offline", "max_age", "mode", "observe_classes", "to", "classes", "grades",
			"unclassified", "unreadable", "reason", "record") {
			continue
		}
		r := &Route{ID: len(c.policy.routes), rules: &routeRules{}}
		r.Name = c.line(item.get("name"), "a route's name")
		switch first, dup := names[r.Name]; {
		case item.get("name") == nil:
			c.on(item, "", "a route lacks its name")
		case dup && r.Name != "":
			c.on(item.get("name"), "", "route %q stands twice; first in line %d", r.Name, first)
		default:
			names[r.Name] = item.line
		}
		c.routeTopics(item, r)
		c.delivery(item, r)
		c.sparkplugLane(item, r)

		own := base
		c.settings(item, &own, FromRoute)
		r.rules.unreadable = c.unreadable(item, r.Name, unreadable).message
		c.to(item.get("to"), r, own)
		c.record(item.get("record"), r)

		r.Mode = Observe
		for i := range r.rules.uplinks {
			if !r.rules.uplinks[i].observe {
				r.Mode = Enforce
			}
		}
		if len(r.rules.uplinks) == 0 {
			r.Mode = Enforce
		}
		c.policy.routes = append(c.policy.routes, r)
	}
}

func (c *compiler) routeTopics(item *node, r *Route) {
	topics := item.get("topics")
	if topics == nil {
		c.on(item, "topics: ['#']", "the route lacks its topics")
		return
	}
	if topics.kind == nodeSeq && len(topics.items) == 0 {
		c.on(topics, "topics: ['#']", "the route has no topic")
	}
	for _, t := range c.items(topics, "topics") {
		f, ok := c.filter(t)
		if !ok {
			continue
		}
		for i := range c.filters {
			if e := &c.filters[i]; e.covers(&f) {
				c.on(t, "put it before, or remove it", "%q can never match: route %q (line %d) takes all of it with %q", f.text, e.route, e.line, e.text)
				break
			}
		}
		r.rules.filters = append(r.rules.filters, f)
		c.filters = append(c.filters, routed{f, r.Name, t.line})
	}
}

func (c *compiler) filter(n *node) (filter, bool) {
	if !c.want(n, nodeString, "a topic filter") {
		return filter{}, false
	}
	f, err := parseFilter(n.text)
	if err != nil {
		c.on(n, "", "%v", err)
	}
	return f, err == nil
}

func (c *compiler) delivery(item *node, r *Route) {
	if n := item.get("priority"); n != nil {
		if i, ok := c.word(n, "priority", "normal", "high", "low"); ok {
			r.Lane = Lane(i)
		}
	}
	if n := item.get("order_by"); n != nil {
		if i, ok := c.word(n, "order_by", "topic", "sparkplug-node"); ok {
			r.OrderBy = OrderBy(i)
		}
	}
	if n := item.get("offline"); n != nil {
		if i, ok := c.word(n, "offline", "queue", "latest", "drop"); ok {
			r.Offline = Offline(i)
		}
	}
	if p := item.get("priority"); r.Offline == OfflineLatest {
		if r.Lane = LaneLatest; p != nil {
			c.on(p, "leave it out: what is kept of such a route is sent like priority normal", "priority and offline: latest exclude each other")
		}
	}
	if n := item.get("max_age"); n != nil {
		d, ok := c.duration(n, "max_age")
		switch {
		case ok && d < time.Second:
			c.on(n, "", "max_age must be 1s or more")
		case ok && r.Offline == OfflineDrop:
			c.on(n, "leave it out", "nothing gets old on a route that says offline: drop")
		}
		r.MaxAge = d
	}
}

// sparkplugLane holds routes that keep the order of edge nodes to one lane: two
// of them may share a node.
func (c *compiler) sparkplugLane(item *node, r *Route) {
	for _, other := range c.policy.routes {
		if r.OrderBy == OrderSparkplugNode && other.OrderBy == OrderSparkplugNode && r.Lane != other.Lane {
			c.on(item.get("order_by"), "give both the same priority and offline", "routes %q and %q keep the order of edge nodes and go by different lanes", other.Name, r.Name)
			return
		}
	}
}

// to reads which uplinks a route goes to: all of them where it does not say.
func (c *compiler) to(n *node, r *Route, own settings) {
	if n == nil {
		t := c.treatment(own)
		for i := range c.policy.uplinks {
			r.Uplinks = append(r.Uplinks, i)
			r.rules.uplinks = append(r.rules.uplinks, t)
		}
		return
	}
	if n.kind == nodeSeq {
		c.on(n, "to: {city: {}, plant: {mode: observe}}", "to must be a mapping from uplinks to what is special there")
		return
	}
	if !c.want(n, nodeMap, "to") {
		return
	}
	type link struct {
		uplink    int
		treatment treatment
	}
	var links []link
	for _, e := range n.entries {
		i := slices.Index(c.policy.uplinks, e.key.text)
		if i < 0 {
			if c.vocabulary.Uplinks == nil {
				c.on(e.key, nameHint, "an uplink can't be %q", e.key.text)
			} else {
				c.on(e.key, suggest(e.key.text, c.policy.uplinks), "unknown uplink %q", e.key.text)
			}
		}
		s := own
		if e.value.kind != nodeNull && c.keys(e.value, "an uplink of a route", "mode", "observe_classes", "unclassified", "classes", "grades") {
			c.settings(e.value, &s, FromUplink)
		}
		links = append(links, link{i, c.treatment(s)})
	}
	slices.SortFunc(links, func(a, b link) int { return a.uplink - b.uplink })
	for _, l := range links {
		r.Uplinks = append(r.Uplinks, l.uplink)
		r.rules.uplinks = append(r.rules.uplinks, l.treatment)
	}
}

func (c *compiler) record(n *node, r *Route) {
	if n == nil || !c.keys(n, "a record", "purpose", "legal_basis", "retention", "transfer") {
		return
	}
	r.Record.Purpose = c.line(n.get("purpose"), "purpose")
	r.Record.LegalBasis = c.line(n.get("legal_basis"), "legal_basis")
	r.Record.Transfer = c.line(n.get("transfer"), "transfer")
	if d := n.get("retention"); d != nil {
		r.Record.Retention, _ = c.duration(d, "retention")
	}
}

// fields reads the declared fields and gives each to the routes that it meets.
func (c *compiler) fields(n *node) {
	for _, item := range c.items(n, "fields") {
		if !c.keys(item, "a declared field", "topic", "path", "class", "grade") {
			continue
		}
		d := &declaration{where: item}
		ok := true
		for _, k := range []string{"topic", "path"} {
			if item.get(k) == nil {
				c.on(item, "", "a declared field lacks its %s", k)
				ok = false
			}
		}
		if k := item.get("class"); k != nil {
			var known bool
			d.class, known = c.class(k)
			ok = ok && known
		}
		if g := item.get("grade"); g != nil {
			var known bool
			d.grade, known = c.grade(g)
			ok = ok && known
		}
		switch {
		case !ok:
			continue
		case d.class == classify.ClassNone && d.grade == classify.Ungraded:
			c.on(item, "", "a declared field needs a class, or grade: L1 for what is public")
			continue
		case d.class == classify.ClassNone && d.grade > classify.L1:
			c.on(item, "class: industrial.sensitive, where no other fits", "a declared field above L1 needs a class")
			continue
		}
		path := item.get("path")
		if !c.want(path, nodeString, "path") {
			continue
		}
		if err := checkPath(path.text); err != nil {
			c.on(path, "", "%v", err)
			continue
		}
		d.path = payload.HashPath(path.text)
		if d.filter, ok = c.filter(item.get("topic")); ok {
			d.name = d.filter.text + " " + path.text
			c.declare(d)
		}
	}
}

func (c *compiler) declare(d *declaration) {
	for _, have := range c.policy.declared {
		if have.name == d.name {
			c.on(d.where, "", "%q is declared twice; first in line %d", d.name, have.where.line)
			return
		}
	}
	c.policy.declared = append(c.policy.declared, d)
	met := false
	for _, r := range c.policy.routes {
		if slices.ContainsFunc(r.rules.filters, func(f filter) bool { return f.meets(&d.filter) }) {
			r.rules.declared = append(r.rules.declared, d)
			r.rules.bloom |= 1 << (d.path >> 58)
			met = true
		}
	}
	if !met && len(c.list) == 0 {
		c.on(d.where.get("topic"), "", "%q can never match: no route takes such a topic", d.filter.text)
	}
}

// checkPath checks a path as Document.AppendPath writes it: "" for the whole
// payload, a JSON Pointer (RFC 6901), or topic:N.
func checkPath(s string) error {
	if level, ok := strings.CutPrefix(s, "topic:"); ok {
		if n, err := strconv.Atoi(level); err != nil || n < 0 || strconv.Itoa(n) != level {
			return fmt.Errorf("%q is not a topic level: topic:0 is the first", s)
		}
		return nil
	}
	if s != "" && s[0] != '/' {
		return fmt.Errorf("%q is not a JSON Pointer: it begins with a slash", s)
	}
	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return fmt.Errorf("%q is not a JSON Pointer: write ~0 for ~", s)
		}
	}
	return nil
}
