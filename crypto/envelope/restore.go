package envelope

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sealgate/sealgate/classify/payload"
)

// A splice replaces a range of a document, or inserts where the range is empty.
type splice struct {
	start, end int
	key        string // of a member to insert; with comma tells what goes before it
	insert     bool
	comma      bool
	value      []byte
}

// restore returns d without its trailer and with values back in their places.
// A nil value is another audience's and stays as it is. It reports false if any
// pointer does not fit the document.
func restore(d *payload.Document, trailer int32, fields []FieldEntry, values [][]byte) ([]byte, bool) {
	cutStart, cutEnd, ok := memberRange(d, trailer)
	if !ok {
		return nil, false
	}
	w, ok := newPointerTree(fields)
	if !ok {
		return nil, false
	}
	w.match(d, trailer)

	splices := make([]splice, 0, len(fields)+1)
	size := len(d.Raw)
	for i, leaf := range w.leaves {
		n := &w.nodes[leaf]
		s := splice{value: values[i]}
		if n.field >= 0 {
			raw := d.Fields[n.field].Raw
			s.start, s.end = int(raw.Start), int(raw.End)
		} else {
			parent := &w.nodes[n.parent]
			if parent.field < 0 || d.Fields[parent.field].Kind != payload.KindObject {
				return nil, false
			}
			s.insert, s.key, s.comma = true, n.token, parent.last >= 0 || parent.inserted
			s.start = int(d.Fields[parent.field].Raw.End) - 1
			if parent.last >= 0 {
				s.start = int(d.Fields[parent.last].Raw.End)
			}
			s.end = s.start
			if values[i] != nil {
				parent.inserted = true
			}
		}
		if values[i] == nil {
			continue
		}
		size += len(s.value) + 6*len(s.key) + 4
		splices = append(splices, s)
	}
	splices = append(splices, splice{start: cutStart, end: cutEnd})
	slices.SortStableFunc(splices, func(a, b splice) int { return cmp.Compare(a.start, b.start) })

	out := make([]byte, 0, size)
	at := 0
	for _, s := range splices {
		out = append(out, d.Raw[at:s.start]...)
		if s.comma {
			out = append(out, ',')
		}
		if s.insert {
			out = append(appendQuoted(out, s.key), ':')
		}
		out = append(out, s.value...)
		at = s.end
	}
	return append(out, d.Raw[at:]...), true
}

// memberRange is what to cut so that member i of the root is gone: from the
// comma before it, or to the comma behind it if it is the first.
func memberRange(d *payload.Document, i int32) (start, end int, ok bool) {
	f := &d.Fields[i]
	if f.Flags&payload.KeyArena != 0 {
		return 0, 0, false // "_sg" needs no escapes
	}
	start, end = int(f.Key.Start)-1, int(f.Raw.End)
	before := start
	for before > 0 && strings.IndexByte(jsonSpace, d.Raw[before-1]) >= 0 {
		before--
	}
	if before > 0 && d.Raw[before-1] == ',' {
		return before - 1, end, true
	}
	behind := end
	for behind < len(d.Raw) && strings.IndexByte(jsonSpace, d.Raw[behind]) >= 0 {
		behind++
	}
	if behind < len(d.Raw) && d.Raw[behind] == ',' {
		end = behind + 1
	}
	return start, end, true
}

// A pointerTree holds the tokens of all pointers as a tree, so that one walk
// over the document finds them all.
type pointerTree struct {
	nodes  []pointerNode
	edges  map[pointerEdge]int32
	leaves []int32 // of each pointer
}

type pointerNode struct {
	parent   int32
	token    string
	leaf     bool
	inner    bool
	field    int32 // of the document, -1 where it has none
	last     int32 // last member of the field that is not the trailer, -1 if it has none
	inserted bool
}

type pointerEdge struct {
	node  int32
	token string
}

// newPointerTree reports false if a pointer is listed twice or inside another.
func newPointerTree(fields []FieldEntry) (*pointerTree, bool) {
	w := &pointerTree{nodes: []pointerNode{{parent: -1, field: -1, last: -1}}, edges: map[pointerEdge]int32{}}
	for _, f := range fields {
		at := int32(0)
		if f.Pointer == "" {
			return nil, false
		}
		for token := range strings.SplitSeq(f.Pointer[1:], "/") {
			if w.nodes[at].leaf {
				return nil, false
			}
			w.nodes[at].inner = true
			edge := pointerEdge{at, unescapeToken(token)}
			next, known := w.edges[edge]
			if !known {
				next = int32(len(w.nodes))
				w.nodes = append(w.nodes, pointerNode{parent: at, token: edge.token, field: -1, last: -1})
				w.edges[edge] = next
			}
			at = next
		}
		if w.nodes[at].leaf || w.nodes[at].inner {
			return nil, false
		}
		w.nodes[at].leaf = true
		w.leaves = append(w.leaves, at)
	}
	return w, true
}

// unescapeToken decodes one token of a JSON Pointer (RFC 6901 §4).
func unescapeToken(token string) string {
	if !strings.Contains(token, "~") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// match finds the document's field of each node.
func (w *pointerTree) match(d *payload.Document, trailer int32) {
	nodeOf := make([]int32, len(d.Fields)) // plus one; 0 for none
	nodeOf[d.Root] = 1
	w.nodes[0].field = d.Root
	var index [20]byte
	for i := d.Root + 1; int(i) < len(d.Fields); i++ {
		f := &d.Fields[i]
		node := nodeOf[f.Parent] - 1
		if node < 0 || i == trailer {
			continue
		}
		token := d.Key(i)
		if d.Fields[f.Parent].Kind == payload.KindObject {
			w.nodes[node].last = i
		} else {
			token = strconv.AppendUint(index[:0], uint64(f.Index), 10)
		}
		if next, ok := w.edges[pointerEdge{node, string(token)}]; ok {
			nodeOf[i] = next + 1
			w.nodes[next].field = i
		}
	}
}

// appendQuoted appends s as a JSON string (RFC 8259 §7).
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
