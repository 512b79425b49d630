package payload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A patch replaces a range of the payload.
type patch struct {
	Span
	edits  []Edit // of one field
	left   int    // a container's head: how many items stay
	within bool   // the range is a container's head
}

// Append writes items anew and leaves others out; the heads of containers that
// items are removed from are written anew too.
func (cborFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from, done := len(dst), uint32(0)
	ps, err := patches(d, edits, cborBody)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		dst = append(dst, d.Raw[done:p.Start]...)
		done = p.End
		switch {
		case p.within:
			major, info, arg, _ := cborHead(d.Raw, int(p.Start))
			if info == cborIndefinite {
				dst = append(dst, d.Raw[p.Start])
				continue
			}
			dst = appendCBORHead(dst, major, uint64(p.left), spareWidth(info, arg))
		case p.edits[0].Kind == EditToken:
			at, e := len(dst), p.edits[0]
			if p.Span != d.Fields[e.Field].Raw {
				dst = append(dst, senmlStringLabel)
			}
			dst = append(appendCBORHead(dst, cborText, uint64(len(e.Value)), 0), e.Value...)
			d.placed(e.Field, p.Span, at, dst)
		case p.edits[0].Kind == EditString:
			dst, err = appendCBORText(dst, d, p.edits)
		case p.edits[0].Kind == EditNumber:
			dst, err = appendCBORNumber(dst, d, p.edits[0])
		}
		if err != nil {
			return nil, err
		}
	}
	dst = append(dst, d.Raw[done:]...)
	if detect(d.Topic, dst[from:]) != d.format || ambiguous(dst[from:]) {
		return nil, errors.New("edit cbor: too little is left to be read as CBOR")
	}
	return dst, nil
}

// patches turns edits into patches in the order of the payload. body returns
// where a container's head begins (behind tags) and ends.
func patches(d *Document, edits []Edit, body func([]byte, int) (int, int)) ([]patch, error) {
	var ps []patch
	heads := map[int32]int{} // where the patch of a container's head is
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Field == edits[0].Field {
			n++
		}
		field := edits[0].Field
		p := patch{Span: d.Fields[field].Raw, edits: edits[:n]}
		if edits[0].Kind == EditToken {
			var ok bool
			if p.Span, ok = d.TokenSpan(field, 0, 0); !ok {
				return nil, fmt.Errorf("edit field %d: there is no place for a token", field)
			}
		}
		if edits[0].Kind == EditRemove {
			up := d.Fields[field].Parent
			at, ok := heads[up]
			if !ok {
				head, end := body(d.Raw, int(d.Fields[up].Raw.Start))
				at = len(ps)
				heads[up] = at
				ps = append(ps, patch{Span: Span{uint32(head), uint32(end)}, left: d.children(up), within: true})
			}
			ps[at].left--
			if d.Fields[field].Index == 0 {
				p.Start = ps[at].End
			} else {
				p.Start = d.Fields[d.siblingBefore(field)].Raw.End
			}
		}
		ps = append(ps, p)
		edits = edits[n:]
	}
	slices.SortStableFunc(ps, func(a, b patch) int { return int(a.Start) - int(b.Start) })
	return ps, nil
}

// children counts the members or elements of a container.
func (d *Document) children(container int32) (n int) {
	end := d.Fields[container].Raw.End
	for j := container + 1; int(j) < len(d.Fields) && d.Fields[j].Raw.Start < end; j++ {
		if d.Fields[j].Parent == container {
			n++
		}
	}
	return n
}

// tokenSpan is an item, and the label before it where SenML wants another for a
// string.
func (cborFormat) tokenSpan(d *Document, i int32) (Span, bool) {
	f := &d.Fields[i]
	switch d.senmlFit(i) {
	case senmlAsIs:
		return f.Raw, true
	case senmlRename:
		// The label is one byte: 2, 4 or 8.
		label, ok := senmlName([]byte{'0' + d.Raw[f.Raw.Start-1]})
		return Span{f.Raw.Start - 1, f.Raw.End}, f.Flags&KeyArena != 0 && ok && string(label) == string(d.Name(i))
	}
	return Span{}, false
}

// cborBody returns where the head of the item at i begins, behind tags, and
// where it ends.
func cborBody(b []byte, i int) (head, end int) {
	for {
		major, _, _, next := cborHead(b, i)
		if major != cborTag || next < 0 {
			return i, next
		}
		i = next
	}
}

// spareWidth is the width in bytes of an argument that could be shorter, or 0.
func spareWidth(info byte, arg uint64) int {
	if info < 24 {
		return 0
	}
	width := 1 << (info - 24)
	if width == 1 && arg >= 24 || width > 1 && arg >= 1<<(4*width) {
		return 0
	}
	return width
}

// appendCBORText writes a text whose parts are replaced, behind the tags that
// it had if it was a string before. A byte string remains one.
func appendCBORText(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	f := &d.Fields[edits[0].Field]
	head, _ := cborBody(d.Raw, int(f.Raw.Start))
	major, info, arg, _ := cborHead(d.Raw, head)
	width := 0
	if f.Kind == KindString {
		dst = append(dst, d.Raw[f.Raw.Start:head]...)
		if info != cborIndefinite {
			width = spareWidth(info, arg)
		}
	} else {
		major = cborText
	}
	n := f.Text.Len()
	for _, e := range edits {
		n += len(e.Value) - int(e.End-e.Start)
		switch {
		case !utf8.Valid(e.Value):
			return nil, fmt.Errorf("edit field %d: the value is not UTF-8", e.Field)
		case major == cborBytes && !isText(e.Value):
			return nil, fmt.Errorf("edit field %d: the value is not text", e.Field)
		}
	}
	dst = appendCBORHead(dst, major, uint64(n), width)
	return appendReplaced(dst, d.Text(edits[0].Field), edits), nil
}

// appendReplaced appends a text with the ranges of edits replaced.
func appendReplaced(dst, text []byte, edits []Edit) []byte {
	at := uint32(0)
	for _, e := range edits {
		dst = append(append(dst, text[at:e.Start]...), e.Value...)
		at = e.End
	}
	return append(dst, text[at:]...)
}

// A decimal is the literal of a number, as a binary format can hold it.
type decimal struct {
	integer  bool
	negative bool
	n        uint64 // the integer's distance from 0
	float    float64
}

// parseNumber reads a JSON number literal.
func parseNumber(e Edit) (decimal, error) {
	r := jsonReader{raw: e.Value}
	if len(e.Value) == 0 || r.number(0) != len(e.Value) {
		return decimal{}, fmt.Errorf("edit field %d: the value is not a number", e.Field)
	}
	s := string(e.Value)
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return decimal{}, fmt.Errorf("edit field %d: the number is too large", e.Field)
	}
	d := decimal{float: x, negative: math.Signbit(x)}
	digits := s
	if d.negative {
		digits = s[1:]
	}
	if d.n, err = strconv.ParseUint(digits, 10, 64); err == nil && !(d.negative && d.n == 0) {
		d.integer = true
	}
	return d, nil
}

// single reports whether a number has the same digits in 32 bits.
func single(x float64) bool {
	return strconv.FormatFloat(x, 'g', -1, 64) == strconv.FormatFloat(float64(float32(x)), 'g', -1, 32)
}

// appendCBORNumber writes a number, behind the tags that it had if it was one
// before. A float remains a float, of the width it had or wider.
func appendCBORNumber(dst []byte, d *Document, e Edit) ([]byte, error) {
	n, err := parseNumber(e)
	if err != nil {
		return nil, err
	}
	f := &d.Fields[e.Field]
	head, _ := cborBody(d.Raw, int(f.Raw.Start))
	major, info, _, _ := cborHead(d.Raw, head)
	float := f.Kind == KindNumber && major == cborSimple
	if f.Kind == KindNumber && major != cborBytes { // the tag of a bignum is a part of it
		dst = append(dst, d.Raw[f.Raw.Start:head]...)
	}
	switch {
	case n.integer && !float && !n.negative:
		return appendCBORHead(dst, cborUint, n.n, 0), nil
	case n.integer && !float:
		return appendCBORHead(dst, cborNegative, n.n-1, 0), nil
	case float && info < 27 && single(n.float):
		return binary.BigEndian.AppendUint32(append(dst, cborSimple<<5|26), math.Float32bits(float32(n.float))), nil
	}
	return binary.BigEndian.AppendUint64(append(dst, cborSimple<<5|27), math.Float64bits(n.float)), nil
}
