package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrEnforced says that a route that was to be promoted enforces already.
var ErrEnforced = errors.New("the route enforces already")

// Promote rewrites a policy document so that a route enforces, to every uplink,
// and counts its version up. Nothing else changes: comments and the way it is
// written stay. The route is found by its name.
//
// Promote reads the document's form alone: compile it before and after.
func Promote(src []byte, route string) ([]byte, error) {
	var ps problems
	root := readSource(src, &ps)
	if root == nil || len(ps.list) > 0 {
		return nil, ps.err(src)
	}
	item, names := routeNode(root, route)
	if item == nil {
		return nil, fmt.Errorf("there is no route %q; the policy has %q", route, names)
	}
	e := &editor{src: src}
	inherited := saysObserve(root)
	switch own := item.get("mode"); {
	case own != nil && own.text == "observe":
		e.word(own, "enforce")
	case own == nil && inherited:
		e.member(item, "mode", "enforce", "name")
	}
	if own := item.get("mode"); own == nil && !inherited && root.get("observe_classes") != nil {
		e.member(item, "mode", "enforce", "name") // of every class
	}
	e.noneObserved(item)
	if to := item.get("to"); to != nil {
		for _, u := range to.entries {
			e.noneObserved(u.value)
			if saysObserve(u.value) {
				e.word(u.value.get("mode"), "enforce")
			}
		}
	}
	if len(e.edits) == 0 && e.err == nil {
		return nil, ErrEnforced
	}
	if v := root.get("version"); v != nil && v.kind == nodeInt {
		e.word(v, fmt.Sprint(v.number+1))
	}
	return e.apply()
}

// routeNode returns the node of a route, or the names of all.
func routeNode(root *node, name string) (*node, []string) {
	routes := root.get("routes")
	if routes == nil {
		return nil, nil
	}
	var names []string
	for _, item := range routes.items {
		if n := item.get("name"); n != nil {
			if strings.TrimSpace(n.text) == name {
				return item, nil
			}
			names = append(names, n.text)
		}
	}
	return nil, names
}

func saysObserve(n *node) bool {
	m := n.get("mode")
	return m != nil && m.text == "observe"
}

// An editor changes a document at places that its tree names, and nowhere else.
type editor struct {
	src   []byte
	edits []edit
	err   error // the first
}

type edit struct {
	start, end int
	text       string
}

var errByHand = errors.New("it is written in a way that this tool does not change; edit it by hand")

func (e *editor) fail(n *node) {
	if e.err == nil {
		e.err = fmt.Errorf("change line %d: %w", n.line, errByHand)
	}
}

// at is the offset of a node's line, and of the node in the document.
func (e *editor) at(n *node) (line, start int) {
	for range n.line - 1 {
		line += bytes.IndexByte(e.src[line:], '\n') + 1
	}
	start = line
	for range n.column - 1 { // columns count characters
		_, size := utf8.DecodeRune(e.src[start:])
		start += size
	}
	return line, start
}

// word replaces a scalar of one word, with or without quotes, which stay.
func (e *editor) word(n *node, text string) {
	_, start := e.at(n)
	rest := e.src[start:]
	if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		start, rest = start+1, rest[1:]
	}
	if !bytes.HasPrefix(rest, []byte(n.text)) {
		e.fail(n)
		return
	}
	e.edits = append(e.edits, edit{start, start + len(n.text), text})
}

// noneObserved empties a mapping's list of classes that are observed.
func (e *editor) noneObserved(n *node) {
	list := n.get("observe_classes")
	if list == nil || len(list.items) == 0 {
		return
	}
	_, start := e.at(list)
	end := bytes.IndexByte(e.src[start:], ']')
	if e.src[start] != '[' || end < 0 {
		e.fail(list)
		return
	}
	e.edits = append(e.edits, edit{start, start + end + 1, "[]"})
}

// member adds a member to a mapping, in a line of its own behind the member
// after, where the mapping has lines.
func (e *editor) member(n *node, key, value, after string) {
	_, start := e.at(n)
	if start < len(e.src) && e.src[start] == '{' {
		text := key + ": " + value + ", "
		if bytes.HasPrefix(bytes.TrimLeft(e.src[start+1:], " \t\r\n"), []byte(`"`)) { // JSON
			text = fmt.Sprintf("%q: %q, ", key, value)
		}
		e.edits = append(e.edits, edit{start + 1, start + 1, text})
		return
	}
	// Before the member that follows, or else before the last: not before the
	// first, which may stand behind the dash of a list.
	i := min(slices.IndexFunc(n.entries, func(x entry) bool { return x.key.text == after })+1, len(n.entries)-1)
	if i < 1 {
		e.fail(n)
		return
	}
	k := n.entries[i].key
	line, start := e.at(k)
	indent := string(e.src[line:start])
	if strings.Trim(indent, " ") != "" {
		e.fail(k)
		return
	}
	end := "\n"
	if bytes.Contains(e.src, []byte("\r\n")) {
		end = "\r\n"
	}
	e.edits = append(e.edits, edit{line, line, indent + key + ": " + value + end})
}

func (e *editor) apply() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	slices.SortFunc(e.edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	from := 0
	for _, x := range e.edits {
		out = append(append(out, e.src[from:x.start]...), x.text...)
		from = x.end
	}
	return append(out, e.src[from:]...), nil
}
