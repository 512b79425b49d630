package policy

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a policy document, checked before the YAML parser sees it: its time
// grows with the square of nesting and of the number of keys.
const (
	maxSource = 128 << 10
	maxLines  = 8192
	maxNest   = 64
	maxKeys   = 8192 // in one mapping or sequence
)

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeBool
	nodeInt
	nodeFloat
	nodeString
	nodeMap
	nodeSeq
	nodeBad // reported already: whoever reads it says nothing more
)

var nodeNames = [...]string{"nothing", "a boolean", "a whole number", "a decimal number", "text", "a mapping", "a list", "bad"}

// A node is one value of the document. The tree holds no anchors, aliases,
// tags or merge keys, and no mapping has a key twice.
type node struct {
	kind         nodeKind
	line, column int
	text         string
	number       int64
	entries      []entry
	items        []*node
}

type entry struct{ key, value *node }

func (n *node) bad() *node {
	n.kind = nodeBad
	return n
}

// get returns the value of a key, nil where it is missing.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key.text == key {
			return n.entries[i].value
		}
	}
	return nil
}

func (ps *problems) on(n *node, hint, format string, args ...any) {
	ps.at(n.line, n.column, hint, format, args...)
}

// readSource parses YAML, and so JSON, into a tree. What is not in the strict
// subset is a problem; the tree is nil where nothing can be read at all.
func readSource(src []byte, ps *problems) *node {
	switch {
	case len(src) > maxSource:
		ps.at(1, 1, "", "the document has %d bytes; at most %d are read", len(src), maxSource)
	case !utf8.Valid(src):
		ps.at(1, 1, "", "the document is not UTF-8")
	case bytes.Count(src, []byte("\n")) > maxLines:
		ps.at(maxLines, 1, "", "the document has more than %d lines", maxLines)
	case bytes.IndexByte(src, 0) >= 0:
		ps.at(1, 1, "", "the document holds a NUL byte")
	default:
		if line := nestedTooDeep(src); line > 0 {
			ps.at(line, 1, "", "nested deeper than %d levels", maxNest)
			break
		}
		return parseYAML(src, ps)
	}
	return nil
}

// nestedTooDeep returns the line where nesting exceeds what the parser can take
// in bounded time: of brackets (those in strings are counted too), or of
// markers that stand in a row, as in "- - -" and "? ? ?". 0 means nowhere.
// Nesting by indentation is bounded by the document's size.
func nestedTooDeep(src []byte) int {
	line, depth, run := 1, 0, 0
	for i, c := range src {
		switch c {
		case ' ', '\t':
			continue
		case '-', '?', ':':
			if i+1 == len(src) || src[i+1] == ' ' || src[i+1] == '\t' || src[i+1] == '\n' {
				run++
			}
		case '\n':
			line, run = line+1, 0
		case '[', '{':
			depth, run = depth+1, 0
		case ']', '}':
			depth, run = max(0, depth-1), 0
		default:
			run = 0
		}
		if depth > 4*maxNest || run > maxNest {
			return line
		}
	}
	return 0
}

func parseYAML(src []byte, ps *problems) (root *node) {
	defer func() {
		if recover() != nil { // the library is not ours; a policy that breaks it is refused
			ps.at(1, 1, "", "the document is not YAML that can be read")
			root = nil
		}
	}()
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, column, message := 1, 1, "the document is not YAML"
		if e, ok := err.(interface {
			GetToken() *token.Token
			GetMessage() string
		}); ok {
			message = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				line, column = max(1, t.Position.Line), max(1, t.Position.Column)
			}
		}
		ps.at(line, column, "", "%s", message)
		return nil
	}
	for _, d := range file.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if root != nil {
			line, column := place(d.Body)
			ps.at(line, column, "put it into a file of its own", "a second document")
			return root
		}
		root = convert(d.Body, ps, 0)
	}
	if root == nil {
		ps.at(1, 1, "a policy begins with: schema: sealgate/policy/v1", "the document is empty")
	}
	return root
}

func place(n ast.Node) (line, column int) {
	// A block mapping's token is the colon behind its first key.
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	} else if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return max(1, t.Position.Line), max(1, t.Position.Column)
}

// convert copies a node of the library's tree; what can't be used is a problem
// and becomes a nodeBad.
func convert(in ast.Node, ps *problems, depth int) *node {
	line, column := place(in)
	n := &node{line: line, column: column}
	if depth > maxNest {
		ps.on(n, "", "nested deeper than %d levels", maxNest)
		return n.bad()
	}
	switch x := in.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		n.kind, n.text = nodeBool, strconv.FormatBool(x.Value)
	case *ast.StringNode:
		n.kind, n.text = nodeString, x.Value
	case *ast.LiteralNode:
		n.kind = nodeString
		if x.Value != nil {
			n.text = x.Value.Value
		}
	case *ast.IntegerNode:
		n.kind, n.text = nodeInt, x.GetToken().Value
		var err error
		if n.number, err = strconv.ParseInt(n.text, 10, 64); err != nil || n.text != strconv.FormatInt(n.number, 10) {
			ps.on(n, "write whole numbers in decimal digits, or quote the text", "%q is not a plain whole number", n.text)
			return n.bad()
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = nodeFloat, in.GetToken().Value
	case *ast.SequenceNode:
		n.kind = nodeSeq
		if len(x.Values) > maxKeys {
			ps.on(n, "", "more than %d items in one list", maxKeys)
			return n.bad()
		}
		for _, v := range x.Values {
			n.items = append(n.items, convert(v, ps, depth+1))
		}
	case *ast.MappingNode:
		return convertMap(n, x.Values, ps, depth)
	case *ast.MappingValueNode:
		return convertMap(n, []*ast.MappingValueNode{x}, ps, depth)
	default:
		ps.on(n, "write the value out where it is used", "%s", refused(in))
		return n.bad()
	}
	return n
}

func convertMap(n *node, values []*ast.MappingValueNode, ps *problems, depth int) *node {
	n.kind = nodeMap
	if len(values) > maxKeys {
		ps.on(n, "", "more than %d keys in one mapping", maxKeys)
		return n.bad()
	}
	seen := make(map[string]int, len(values))
	for _, v := range values {
		line, column := place(v.Key)
		key := &node{line: line, column: column, kind: nodeString}
		s, ok := v.Key.(*ast.StringNode)
		if !ok {
			switch v.Key.(type) {
			case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.NullNode:
				ps.on(key, "quote it", "a key must be text")
			default:
				ps.on(key, "write the value out where it is used", "%s", refused(v.Key))
			}
			continue
		}
		key.text = s.Value
		if first, dup := seen[key.text]; dup {
			ps.on(key, "", "key %q stands twice; first in line %d", key.text, first)
			continue
		}
		seen[key.text] = line
		n.entries = append(n.entries, entry{key, convert(v.Value, ps, depth+1)})
	}
	return n
}

func refused(n ast.Node) string {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType:
		return "anchors and aliases are not accepted"
	case ast.MergeKeyType:
		return "merge keys are not accepted"
	case ast.TagType:
		return "tags are not accepted"
	case ast.DirectiveType:
		return "directives are not accepted"
	}
	return strings.ToLower(n.Type().String()) + " is not accepted here"
}
