package policy

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
)

// want reports whether a node is of a kind, and otherwise says so.
func (c *compiler) want(n *node, kind nodeKind, what string) bool {
	if n.kind == kind {
		return true
	}
	if n.kind != nodeBad {
		c.on(n, "", "%s must be %s, not %s", what, nodeNames[kind], nodeNames[n.kind])
	}
	return false
}

// keys reports whether a node is a mapping, and names its unknown keys.
func (c *compiler) keys(n *node, what string, known ...string) bool {
	if !c.want(n, nodeMap, what) {
		return false
	}
	for _, e := range n.entries {
		if !slices.Contains(known, e.key.text) {
			c.on(e.key, suggest(e.key.text, known), "%s has no key %q", what, e.key.text)
		}
	}
	return true
}

// items returns the items of a list: none after a problem, or where n is nil.
func (c *compiler) items(n *node, what string) []*node {
	if n == nil || !c.want(n, nodeSeq, what) {
		return nil
	}
	return n.items
}

// flag reads true or false; a missing one is false.
func (c *compiler) flag(n *node, what string) bool {
	return n != nil && c.want(n, nodeBool, what) && n.text == "true"
}

// word reads one of a few words.
func (c *compiler) word(n *node, what string, known ...string) (int, bool) {
	if !c.want(n, nodeString, what) {
		return 0, false
	}
	i := slices.Index(known, n.text)
	if i < 0 {
		c.on(n, suggest(n.text, known), "%s can't be %q", what, n.text)
		return 0, false
	}
	return i, true
}

// line reads a short text for people.
func (c *compiler) line(n *node, what string) string {
	if n == nil || !c.want(n, nodeString, what) {
		return ""
	}
	s := strings.TrimSpace(n.text)
	if s == "" || len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		c.on(n, "", "%s must be one line of 1 to 256 bytes", what)
		return ""
	}
	return s
}

var units = []struct {
	text string
	unit time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}}

// duration reads "30d", "1h30m", "90s".
func (c *compiler) duration(n *node, what string) (time.Duration, bool) {
	const hint = "write a number and a unit: 90s, 15m, 12h, 30d, 4w"
	if n.kind == nodeBad {
		return 0, false
	}
	if n.kind != nodeString {
		c.on(n, hint, "%s must be a duration, not %s", what, nodeNames[n.kind])
		return 0, false
	}
	var total time.Duration
	rest := n.text
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		v, err := strconv.ParseInt(rest[:digits], 10, 32)
		i := slices.IndexFunc(units, func(u struct {
			text string
			unit time.Duration
		}) bool {
			after, ok := strings.CutPrefix(rest[digits:], u.text)
			return ok && (after == "" || after[0] >= '0' && after[0] <= '9')
		})
		if err != nil || i < 0 || v > int64((math.MaxInt64-total)/units[i].unit) {
			c.on(n, hint, "%s can't be %q", what, n.text)
			return 0, false
		}
		total += time.Duration(v) * units[i].unit
		rest = rest[digits+len(units[i].text):]
	}
	if n.text == "" {
		c.on(n, hint, "%s is empty", what)
		return 0, false
	}
	return total, true
}

func (c *compiler) header(root *node) {
	for _, k := range []string{"schema", "version", "profile", "routes"} {
		if root.get(k) == nil {
			hint := map[string]string{"schema": "schema: " + Schema, "version": "version: 1", "profile": "one of: " + strings.Join(classify.Profiles(), ", "),
				"routes": "routes: [{name: everything, topics: ['#']}]"}[k]
			c.on(root, hint, "the policy lacks its key %q", k)
		}
	}
	if n := root.get("schema"); n != nil && c.want(n, nodeString, "schema") && n.text != Schema {
		c.on(n, "this version reads "+Schema, "unknown schema %q", n.text)
	}
	if n := root.get("version"); n != nil && c.want(n, nodeInt, "version") {
		if n.number < 1 {
			c.on(n, "", "version must be 1 or more")
		}
		c.policy.version = uint64(max(0, n.number))
	}
	if n := root.get("profile"); n != nil {
		if i, ok := c.word(n, "profile", classify.Profiles()...); ok {
			c.policy.profile = classify.Profiles()[i]
		}
	}
}

// audiences reads a list of recipients.
func (c *compiler) audiences(n *node, what string) []string {
	known, from := c.policy.recipients, "the policy's recipients"
	if len(known) == 0 {
		known, from = c.vocabulary.Recipients, "the known recipients"
	}
	return c.recipientList(n, what, known, from)
}

func (c *compiler) recipientList(n *node, what string, known []string, from string) []string {
	var out []string
	for _, item := range c.items(n, what) {
		if !c.want(item, nodeString, "a recipient") {
			continue
		}
		name := item.text
		switch {
		case !isName(name):
			c.on(item, nameHint, "a recipient can't be %q", name)
		case known != nil && !slices.Contains(known, name):
			c.on(item, suggest(name, known), "%q is not one of %s", name, from)
		case c.limits.Recipients != nil && !slices.Contains(c.limits.Recipients, name):
			c.on(item, suggest(name, c.limits.Recipients), "the guard does not permit the recipient %q", name)
		case slices.Contains(out, name):
			c.on(item, "", "recipient %q stands twice", name)
		default:
			out = append(out, name)
		}
	}
	if n.kind == nodeSeq && len(n.items) == 0 {
		c.on(n, "leave the key out", "%s is empty", what)
	}
	slices.Sort(out)
	return out
}

// defaultRecipients reads who opens what is sealed: by default everyone whom
// the guard permits, else everyone who is known.
func (c *compiler) defaultRecipients(n *node) []string {
	if n != nil {
		return c.recipientList(n, "recipients", c.vocabulary.Recipients, "the known recipients")
	}
	all := c.limits.Recipients
	if all == nil {
		all = c.vocabulary.Recipients
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return slices.Compact(all)
}

// uplinks settles the names of the uplinks before routes refer to them.
func (c *compiler) uplinks(routes *node) {
	if c.vocabulary.Uplinks != nil {
		c.policy.uplinks = slices.Clone(c.vocabulary.Uplinks)
		return
	}
	if routes != nil && routes.kind == nodeSeq {
		for _, r := range routes.items {
			to := r.get("to")
			if to == nil {
				continue
			}
			for _, e := range to.entries {
				if isName(e.key.text) && !slices.Contains(c.policy.uplinks, e.key.text) {
					c.policy.uplinks = append(c.policy.uplinks, e.key.text)
				}
			}
		}
	}
	if c.policy.uplinks == nil {
		c.policy.uplinks = []string{"default"}
	}
}

// class reads the name of a class.
func (c *compiler) class(n *node) (classify.ClassID, bool) {
	if !c.want(n, nodeString, "a class") {
		return 0, false
	}
	id, ok := classify.ClassByName(n.text)
	if !ok {
		c.on(n, suggest(n.text, c.names), "unknown class %q", n.text)
	}
	return id, ok
}

var gradeWords = []string{"L1", "L2", "L3", "L4", "L5"}

func (c *compiler) grade(n *node) (classify.Grade, bool) {
	i, ok := c.word(n, "a grade", gradeWords...)
	return classify.Grade(i + 1), ok
}

// classGrades reads overrides of the profile's grades.
func (c *compiler) classGrades(n *node) map[classify.ClassID]classify.Grade {
	if n == nil || !c.want(n, nodeMap, "class_grades") {
		return nil
	}
	out := map[classify.ClassID]classify.Grade{}
	for _, e := range n.entries {
		id, known := c.class(e.key)
		if g, ok := c.grade(e.value); ok && known {
			out[id] = g
		}
	}
	return out
}

// gradeClasses notes the grade of each class for the policy and for the guard.
func (c *compiler) gradeClasses() {
	guarded := c.limits.Profile
	if guarded == "" {
		guarded = c.policy.profile
	}
	for _, k := range c.classes {
		c.policy.grades[k.ID] = c.policy.classifier.Grade(k.ID)
		g, ok := classify.ProfileGrade(guarded, k.ID)
		if !ok {
			g = classify.L5 // newCompiler has refused unknown profiles; fail closed all the same
		}
		c.policy.guard.grades[k.ID] = g
	}
}

// settings reads what can be said for the policy, a route, or one uplink of it.
func (c *compiler) settings(n *node, s *settings, origin Origin) {
	if m := n.get("mode"); m != nil {
		if i, ok := c.word(m, "mode", "enforce", "observe"); ok {
			s.observe = i == 1
			if s.observe && !c.limits.Observe && !c.limits.Expired {
				c.on(m, "agent.yaml permits it: guard.observe_until", "the guard does not permit observe mode")
			}
		}
	}
	if n.get("mode") != nil {
		s.watched = 0 // a mode is said anew, of everything
	}
	if w := n.get("observe_classes"); w != nil {
		s.watched = 0
		for _, item := range c.items(w, "observe_classes") {
			id, ok := c.class(item)
			switch {
			case !ok:
			case s.watched.Has(id):
				c.on(item, "", "class %s stands twice", id)
			default:
				s.watched = s.watched.With(id)
			}
		}
		if s.watched != 0 && !c.limits.Observe && !c.limits.Expired {
			c.on(w, "agent.yaml permits it: guard.observe_until", "the guard does not permit observing")
		}
	}
	if u := n.get("unclassified"); u != nil {
		if i, ok := c.word(u, "unclassified", "balanced", "strict", "pass"); ok {
			s.unclassified = Unclassified(i)
			if s.unclassified == PassUnclassified && !c.limits.AllowUnclass {
				c.on(u, "use balanced or strict", "the guard does not permit unclassified: pass")
			} else if s.unclassified != Strict && c.limits.RequireStrict {
				c.on(u, "use strict", "the guard demands unclassified: strict")
			}
		}
	}
	if g := n.get("grades"); g != nil && c.want(g, nodeMap, "grades") {
		for _, e := range g.entries {
			grade, ok := c.grade(e.key)
			a := c.action(e.value, OnMessage, classify.ClassNone)
			if ok && a != nil {
				s.grades[grade], s.gradeAt[grade] = a, e.value
			}
		}
		s.grades[classify.Ungraded] = s.grades[classify.L5]
	}
	if k := n.get("classes"); k != nil && c.want(k, nodeMap, "classes") {
		for _, e := range k.entries {
			id, ok := c.class(e.key)
			a := c.action(e.value, OnField|OnMessage, id)
			if ok && a != nil {
				s.classes[id], s.origin[id], s.classAt[id] = a, origin, e.key
			}
		}
	}
}

// topicLevels reads {action: [class, …]}.
func (c *compiler) topicLevels(n *node) {
	if n == nil || !c.want(n, nodeMap, "topic_levels") {
		return
	}
	for _, e := range n.entries {
		a := c.build(e.key, e.key, nil, OnTopicLevel, classify.ClassNone)
		for _, item := range c.items(e.value, "the classes of "+e.key.text) {
			id, ok := c.class(item)
			switch {
			case !ok || a == nil:
			case c.topics[id] != nil:
				c.on(item, "", "class %s stands twice", id)
			default:
				c.topics[id], c.topicAt[id] = a, item
			}
		}
	}
}

// unreadableRule is what happens to a payload that can't be read.
type unreadableRule struct {
	message MessageAction // MessageSeal for the zero value of the document
	set     bool
}

// unreadable reads the keys unreadable and reason of the policy (route == "")
// or a route.
func (c *compiler) unreadable(n *node, route string, inherited unreadableRule) unreadableRule {
	u, why := n.get("unreadable"), n.get("reason")
	if route == "" {
		why = nil // an unknown key there, and reported as one
	}
	if !inherited.set {
		inherited = unreadableRule{MessageSeal, true}
	}
	if u == nil {
		if why != nil {
			c.on(why, "", "a reason belongs to unreadable: allow")
		}
		return inherited
	}
	i, ok := c.word(u, "unreadable", "allow", "seal", "block")
	if !ok {
		return inherited
	}
	rule := unreadableRule{MessageAction(i), true}
	switch {
	case rule.message != MessagePass && why != nil:
		c.on(why, "", "a reason belongs to unreadable: allow")
	case rule.message != MessagePass:
	case route == "":
		c.on(u, "say it in the routes that need it, with a reason", "unreadable payloads can't be allowed for the whole policy")
	case why == nil:
		c.on(u, "reason: why this route may send what nobody can read", "unreadable: allow needs a reason")
	case !c.limits.AllowUnreadable:
		c.on(u, "use seal or block", "the guard does not permit unreadable: allow")
	default:
		c.line(why, "reason")
	}
	return rule
}
