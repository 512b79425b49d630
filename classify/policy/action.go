package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// String returns the action as a person would write it on one line:
// "encrypt(leave: generalize(decimals: 2))".
func (a *Action) String() string { return a.text }

// finish computes what an action's parameters mean, once they are all set.
func (a *Action) finish() {
	a.text = a.canonical()
	s := a.Spec
	a.strength, a.residue, a.edits = s.Strength, s.Residue, s.Edits
	if s.Residue == ResidueCoarse && (s.Coarse == nil || !s.Coarse(a)) {
		a.residue, a.strength = ResidueSame, StrengthPass
	}
	if s.Floor != nil && !s.Floor(a) {
		a.strength = StrengthPass
	}
	if l := a.Leave; l != nil {
		a.residue, a.edits = l.residue, l.edits
		if l.strength == StrengthPass {
			a.strength = StrengthPass // what stays beside the ciphertext tells too much
		}
	}
	order := [...]uint8{ResidueSame: 0, ResidueCoarse: 1, ResidueLower2: 2, ResidueGone: 3}
	a.rank = uint8(s.Strength)<<2 | order[a.residue]
}

// counts is what the guard counts an action on a value of a class as. What only
// generalizes counts where the class has a coarse one to become.
func (p *Policy) counts(a *Action, class classify.ClassID) Strength {
	if a.residue == ResidueCoarse && p.coarse[class] == classify.ClassNone {
		return StrengthPass
	}
	return a.strength
}

func (a *Action) canonical() string {
	var ps []string
	for _, p := range a.Spec.Params {
		switch p.Kind {
		case ParamInt:
			if v, ok := a.Ints[p.Name]; ok && (v != p.Default || p.Required || p.Optional) {
				ps = append(ps, p.Name+": "+strconv.FormatInt(v, 10))
			}
		case ParamDuration:
			if v, ok := a.Ints[p.Name]; ok && (v != p.Default || p.Required || p.Optional) {
				ps = append(ps, p.Name+": "+seconds(v))
			}
		case ParamString, ParamName:
			if v, ok := a.Strings[p.Name]; ok && v != p.Text {
				ps = append(ps, p.Name+": "+v)
			}
		case ParamAction:
			if a.Leave != nil {
				ps = append(ps, p.Name+": "+a.Leave.text)
			}
		case ParamRecipients:
			if len(a.Recipients) > 0 {
				ps = append(ps, p.Name+": ["+strings.Join(a.Recipients, ", ")+"]")
			}
		}
	}
	if len(ps) == 0 {
		return a.Spec.Name
	}
	return a.Spec.Name + "(" + strings.Join(ps, ", ") + ")"
}

// message returns the message-level action that an action on messages is.
func (a *Action) message() MessageAction {
	switch {
	case a.Spec.On&OnMessage == 0 || a.Spec.Strength == StrengthPass:
		return MessagePass
	case a.Spec.Strength == StrengthBlock:
		return MessageBlock
	}
	return MessageSeal
}

// intern returns the one Action that stands for all equal ones.
func (c *compiler) intern(a *Action) *Action {
	a.finish()
	if have := c.interned[a.text]; have != nil {
		return have
	}
	a.ID = len(c.policy.actions)
	c.interned[a.text] = a
	c.policy.actions = append(c.policy.actions, a)
	return a
}

// plain returns an action with its default parameters, for what the program
// itself needs. A vocabulary without it is a mistake of the program.
func (c *compiler) plain(name string) (*Action, error) {
	spec := c.specs[name]
	if spec == nil {
		return nil, fmt.Errorf("compile policy: the vocabulary lacks the action %q", name)
	}
	a := newAction(spec)
	for _, p := range spec.Params {
		if p.Required {
			return nil, fmt.Errorf("compile policy: action %q can't do without its parameter %q", name, p.Name)
		}
	}
	return c.intern(a), nil
}

// newAction returns an action with the defaults of its spec filled in.
func newAction(spec *ActionSpec) *Action {
	a := &Action{Spec: spec, Ints: map[string]int64{}, Strings: map[string]string{}}
	for _, p := range spec.Params {
		if p.Required || p.Optional {
			continue
		}
		switch p.Kind {
		case ParamInt, ParamDuration:
			a.Ints[p.Name] = p.Default
		case ParamString, ParamName:
			if p.Text != "" {
				a.Strings[p.Name] = p.Text
			}
		}
	}
	return a
}

// action reads an action where on says it may stand: a name, or one name with
// its parameters. nil after a problem.
func (c *compiler) action(n *node, on Target, class classify.ClassID) *Action {
	switch {
	case n.kind == nodeBad:
		return nil
	case n.kind == nodeString:
		return c.build(n, n, nil, on, class)
	case n.kind == nodeMap && len(n.entries) == 1:
		return c.build(n, n.entries[0].key, n.entries[0].value, on, class)
	case n.kind == nodeMap && len(n.entries) > 1:
		c.on(n.entries[1].key, "", "one action, not %d", len(n.entries))
		return nil
	}
	c.on(n, "write a name (encrypt), or a name with parameters ({mask: {keep: 2}})", "an action is expected here, not %s", nodeNames[n.kind])
	return nil
}

func (c *compiler) build(at, name, params *node, on Target, class classify.ClassID) *Action {
	spec := c.specs[name.text]
	if spec == nil {
		c.on(name, suggest(name.text, c.namesOn(on)), "unknown action %q", name.text)
		return nil
	}
	if spec.On&on == 0 {
		c.on(name, "actions that are: "+strings.Join(c.namesOn(on), ", "), "%s is not an action on %s", spec.Name, on)
		return nil
	}
	a := newAction(spec)
	before := len(c.list)
	if params != nil && params.kind != nodeNull {
		c.params(params, a, class)
	}
	var missing []string
	for _, p := range spec.Params {
		if p.Required && (params == nil || params.get(p.Name) == nil) {
			missing = append(missing, p.Name)
		}
	}
	if len(missing) > 0 {
		c.on(name, "", "%s lacks its parameter %s", spec.Name, strings.Join(missing, ", "))
	}
	if len(c.list) > before || c.full {
		return nil
	}
	if spec.Check != nil {
		if err := spec.Check(class, a); err != nil {
			c.on(name, "", "%s: %v", spec.Name, err)
			return nil
		}
	}
	return c.intern(a)
}

func (c *compiler) params(n *node, a *Action, class classify.ClassID) {
	if n.kind != nodeMap {
		if n.kind != nodeBad {
			c.on(n, "", "the parameters of %s are a mapping, not %s", a.Spec.Name, nodeNames[n.kind])
		}
		return
	}
	for _, e := range n.entries {
		i := slices.IndexFunc(a.Spec.Params, func(p ParamSpec) bool { return p.Name == e.key.text })
		if i < 0 {
			var known []string
			for _, p := range a.Spec.Params {
				known = append(known, p.Name)
			}
			c.on(e.key, suggest(e.key.text, known), "%s has no parameter %q", a.Spec.Name, e.key.text)
			continue
		}
		c.param(e.value, &a.Spec.Params[i], a, class)
	}
}

func (c *compiler) param(v *node, p *ParamSpec, a *Action, class classify.ClassID) {
	what := a.Spec.Name + "'s " + p.Name
	switch p.Kind {
	case ParamInt:
		if !c.want(v, nodeInt, what) {
			return
		}
		if v.number < p.Min || v.number > p.Max {
			c.on(v, "", "%s is %d; it can be %d to %d", what, v.number, p.Min, p.Max)
			return
		}
		a.Ints[p.Name] = v.number
	case ParamDuration:
		d, ok := c.duration(v, what)
		if !ok {
			return
		}
		if s := int64(d / time.Second); s < p.Min || s > p.Max || d%time.Second != 0 {
			c.on(v, "", "%s is %s; it can be %s to %s in whole seconds", what, v.text, seconds(p.Min), seconds(p.Max))
			return
		}
		a.Ints[p.Name] = int64(d / time.Second)
	case ParamString:
		if !c.want(v, nodeString, what) {
			return
		}
		if len(p.Enum) > 0 && !slices.Contains(p.Enum, v.text) {
			c.on(v, suggest(v.text, p.Enum), "%s can't be %q", what, v.text)
			return
		}
		if int64(len(v.text)) < p.Min || p.Max > 0 && int64(len(v.text)) > p.Max {
			c.on(v, "", "%s has %d bytes; it can have %d to %d", what, len(v.text), p.Min, p.Max)
			return
		}
		a.Strings[p.Name] = v.text
	case ParamName:
		if !c.want(v, nodeString, what) {
			return
		}
		if !isName(v.text) {
			c.on(v, nameHint, "%s can't be %q", what, v.text)
			return
		}
		a.Strings[p.Name] = v.text
	case ParamAction:
		if v.kind == nodeNull {
			return
		}
		leave := c.action(v, OnField, class)
		if leave != nil && !leave.Spec.CanLeave {
			var known []string
			for _, s := range c.vocabulary.Actions {
				if s.CanLeave {
					known = append(known, s.Name)
				}
			}
			c.on(v, "known: null, "+strings.Join(known, ", "), "%s can't be %s", what, leave.Spec.Name)
			return
		}
		a.Leave = leave
	case ParamRecipients:
		a.Recipients = c.audiences(v, what)
	}
}

// seconds writes a duration as the document does, in its largest whole unit.
func seconds(n int64) string {
	for _, u := range slices.Backward(units) {
		if s := int64(u.unit / time.Second); s > 0 && n%s == 0 && u.text != "w" {
			return strconv.FormatInt(n/s, 10) + u.text
		}
	}
	return strconv.FormatInt(n, 10) + "s"
}

const nameHint = "lower-case letters, digits and dashes; at most 64, no dash first"

// isName reports whether s is an identifier: [a-z0-9][a-z0-9-]{0,63}.
func isName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// String returns "a field", "a topic level" or "a message".
func (t Target) String() string {
	var words []string
	for _, w := range []struct {
		t    Target
		text string
	}{{OnField, "a field"}, {OnTopicLevel, "a topic level"}, {OnMessage, "a message"}} {
		if t&w.t != 0 {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, " or ")
}

func (c *compiler) namesOn(on Target) []string {
	var names []string
	for _, s := range c.vocabulary.Actions {
		if s.On&on != 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// taxonomyAction makes the action of a row of the taxonomy. Its parameters are
// in the words of a policy document, as JSON decodes them.
func (c *compiler) taxonomyAction(class classify.ClassID, name string, params map[string]any) (*Action, error) {
	n := &node{kind: nodeMap, entries: []entry{{
		key:   &node{kind: nodeString, text: name},
		value: nodeOf(params),
	}}}
	sub := *c
	sub.problems = problems{}
	a := sub.action(n, OnField|OnMessage, class)
	if a == nil || len(sub.list) > 0 {
		err := errors.New("no such action")
		if len(sub.list) > 0 {
			err = errors.New(sub.list[0].Message)
		}
		return nil, fmt.Errorf("compile policy: the taxonomy's action for %s: %w", class, err)
	}
	return a, nil
}

func nodeOf(v any) *node {
	switch x := v.(type) {
	case string:
		return &node{kind: nodeString, text: x}
	case float64:
		return &node{kind: nodeInt, number: int64(x), text: strconv.FormatInt(int64(x), 10)}
	case int:
		return &node{kind: nodeInt, number: int64(x), text: strconv.Itoa(x)}
	case []any:
		n := &node{kind: nodeSeq}
		for _, item := range x {
			n.items = append(n.items, nodeOf(item))
		}
		return n
	case map[string]any:
		n := &node{kind: nodeMap}
		for _, k := range slices.SortedFunc(maps.Keys(x), cmp.Compare[string]) {
			n.entries = append(n.entries, entry{&node{kind: nodeString, text: k}, nodeOf(x[k])})
		}
		return n
	}
	return &node{kind: nodeNull}
}

// fits reports whether a field takes the action, on a part of its text or whole.
func (a *Action) fits(f *payload.Field, part bool) bool {
	if part {
		return f.Accepts.Has(payload.EditString)
	}
	return a.edits == 0 || f.Accepts&a.edits != 0
}
