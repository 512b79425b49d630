package payload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// Append writes values anew with the type that they had; a metric that is set
// null loses its value and says so; one that is removed is left out.
func (sparkplugFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	w := wireWriter{raw: d.Raw, placed: d.placed}
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Field == edits[0].Field {
			n++
		}
		var err error
		if w.patches, err = d.patchMetric(w.patches, edits[:n]); err != nil {
			return nil, err
		}
		edits = edits[n:]
	}
	slices.SortStableFunc(w.patches, func(a, b wirePatch) int { return int(a.Start) - int(b.Start) })
	for i := 1; i < len(w.patches); i++ {
		if w.patches[i].Start < w.patches[i-1].End {
			return nil, errors.New("edit sparkplug: a token stands for its metric, of which something else is edited too")
		}
	}
	from := len(dst)
	if dst = w.message(dst, 0, len(d.Raw)); len(dst) == from {
		return nil, errors.New("edit sparkplug: nothing is left")
	}
	return dst, nil
}

// patchMetric appends what the edits of one field come to.
func (d *Document) patchMetric(patches []wirePatch, edits []Edit) ([]wirePatch, error) {
	e := edits[0]
	f := &d.Fields[e.Field]
	switch e.Kind {
	case EditRemove:
		return append(patches, wirePatch{Span: d.metricOf(e.Field).whole}), nil
	case EditNull:
		null := []byte{metricNull<<3 | wireVarint, 1}
		m := d.metricOf(e.Field)
		if m.null.Len() == 0 {
			return append(patches, wirePatch{Span: f.Raw, value: null}), nil
		}
		return append(patches, wirePatch{Span: m.null, value: null}, wirePatch{Span: f.Raw}), nil
	case EditToken:
		m := d.metricOf(e.Field)
		value, err := d.tokenMetric(m, e)
		return append(patches, wirePatch{Span: m.whole, value: value, token: e.Field}), err
	}
	w, ok := readWire(d.Raw, int(f.Raw.Start), int(f.Raw.End))
	if !ok {
		return nil, fmt.Errorf("edit field %d: it has no value", e.Field)
	}
	if e.Kind == EditNumber {
		value, err := d.sparkplugNumber(e, w)
		return append(patches, wirePatch{Span: f.Raw, value: value}), err
	}
	for _, e := range edits {
		if !utf8.Valid(e.Value) || w.number == metricValue+6 && !isText(e.Value) {
			return nil, fmt.Errorf("edit field %d: the value is not text", e.Field)
		}
	}
	text := appendReplaced(nil, d.Text(e.Field), edits)
	return append(patches, wirePatch{Span: f.Raw, value: appendWireBytes(nil, w.number, text)}), nil
}

// tokenProperty is the property of a metric that holds a token, of Sparkplug's
// datatype String.
const (
	tokenProperty   = "sealgate"
	sparkplugString = 12
)

// tokenSpan is the whole metric: its length, which is written before it, changes
// with what is inside.
func (sparkplugFormat) tokenSpan(d *Document, i int32) (Span, bool) {
	m := d.metricOf(i)
	if m == nil || m.Inner {
		return Span{}, false
	}
	return m.whole, true
}

// tokenMetric writes a metric that is null and has its token in a property, the
// last one. All else of it stays.
func (d *Document) tokenMetric(m *Metric, e Edit) ([]byte, error) {
	property := append([]byte{1<<3 | wireVarint, sparkplugString}, appendWireBytes(nil, 8, e.Value)...)
	set := appendWireBytes(appendWireBytes(nil, 1, []byte(tokenProperty)), 2, property)
	null := []byte{metricNull<<3 | wireVarint, 1}
	whole, ok := readWire(d.Raw, int(m.whole.Start), int(m.whole.End))
	if !ok {
		return nil, fmt.Errorf("edit field %d: it has no metric", e.Field)
	}
	var body []byte
	for i := whole.body; i < whole.end; {
		w, ok := readWire(d.Raw, i, whole.end)
		if !ok {
			return nil, fmt.Errorf("edit field %d: its metric can't be read", e.Field)
		}
		switch {
		case w.number == metricNull && m.null.Len() > 0, w.number >= metricValue && m.null.Len() == 0:
			body = append(body, null...)
		case w.number >= metricValue:
		case w.number == metricProps:
			if bytes.Contains(d.Raw[w.body:w.end], appendWireBytes(nil, 1, []byte(tokenProperty))) {
				return nil, fmt.Errorf("edit field %d: its metric has a property %q already", e.Field, tokenProperty)
			}
			body = appendWireBytes(body, metricProps, slices.Concat(d.Raw[w.body:w.end], set))
			set = nil
		default:
			body = append(body, d.Raw[i:w.end]...)
		}
		i = w.end
	}
	if set != nil {
		body = appendWireBytes(body, metricProps, set)
	}
	return appendWireBytes(nil, whole.number, body), nil
}

// sparkplugNumber writes a number into the field w, whose type it must fit.
func (d *Document) sparkplugNumber(e Edit, w wireField) ([]byte, error) {
	n, err := parseNumber(e)
	if err != nil {
		return nil, err
	}
	unfit := fmt.Errorf("edit field %d: the number does not fit its type", e.Field)
	tag := binary.AppendUvarint(nil, w.number<<3|uint64(w.kind))
	switch w.kind {
	case wireFixed64:
		return binary.LittleEndian.AppendUint64(tag, math.Float64bits(n.float)), nil
	case wireFixed32:
		if !single(n.float) {
			return nil, unfit
		}
		return binary.LittleEndian.AppendUint32(tag, math.Float32bits(float32(n.float))), nil
	}
	if !n.integer {
		const exact = 1 << 53
		if n.float != math.Trunc(n.float) || math.Abs(n.float) > exact {
			return nil, unfit
		}
		n.n = uint64(math.Abs(n.float))
	}
	bits := 64
	if w.number == metricValue || w.number == 3 || w.number == 1 { // the first of a metric's, a property's, a cell's values
		bits = 32
	}
	negative := n.negative && n.n > 0
	if lowest, highest := d.integerRange(e.Field, bits); negative && n.n > lowest || !negative && n.n > highest {
		return nil, unfit
	}
	v := n.n
	if negative {
		v = -v
	}
	if bits <= 32 {
		v = uint64(uint32(v))
	}
	return binary.AppendUvarint(tag, v), nil
}

// integerRange returns how far below and above zero an integer of so many bits
// may be. Of a property or a cell only the sign that it has tells its type.
func (d *Document) integerRange(i int32, bits int) (lowest, highest uint64) {
	m := d.metricOf(i)
	half := uint64(1) << (bits - 1)
	switch {
	case m != nil && isSigned(m.Datatype):
		half = min(half, 1<<(8<<(m.Datatype-sparkplugInt8)-1)) // Int8, Int16, Int32, Int64
		return half, half - 1
	case m != nil:
		return 0, half<<1 - 1
	case d.Text(i)[0] == '-':
		return half, half - 1
	}
	return 0, half - 1
}
