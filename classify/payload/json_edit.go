package payload

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Append writes values anew and leaves members and elements out; commas and
// white space around what remains stay as they are.
func (jsonFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	w := jsonWriter{d: d, dst: dst, run: -1}
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Field == edits[0].Field {
			n++
		}
		if err := w.edit(edits[:n]); err != nil {
			return nil, err
		}
		edits = edits[n:]
	}
	return append(w.dst, d.Raw[w.done:]...), nil
}

// A jsonWriter copies a document to dst. All of Raw before done is dealt with.
type jsonWriter struct {
	d    *Document
	dst  []byte
	done uint32

	// The first runLength members of the container run were all removed.
	run       int32
	runLength uint32
}

// copyTo copies what is not yet dealt with before end.
func (w *jsonWriter) copyTo(end uint32) {
	w.dst = append(w.dst, w.d.Raw[w.done:end]...)
	w.done = end
}

// edit carries out all edits of one field.
func (w *jsonWriter) edit(edits []Edit) error {
	e := &edits[0]
	f := &w.d.Fields[e.Field]
	if e.Kind == EditRemove {
		return w.remove(e.Field)
	}
	if e.Kind == EditToken {
		return w.token(e)
	}
	w.copyTo(f.Raw.Start)
	w.done = f.Raw.End
	switch e.Kind {
	case EditString:
		return w.text(edits)
	case EditNumber:
		r := jsonReader{raw: e.Value}
		if r.number(0) != len(e.Value) {
			return fmt.Errorf("edit field %d: the value is not a number", e.Field)
		}
	case EditRaw:
		if err := w.checkRaw(e); err != nil {
			return err
		}
	}
	w.dst = append(w.dst, e.Value...)
	return nil
}

// token writes a token as a string, in SenML as the value of "vs".
func (w *jsonWriter) token(e *Edit) error {
	gone, ok := w.d.TokenSpan(e.Field, 0, 0)
	if !ok {
		return fmt.Errorf("edit field %d: there is no place for a token", e.Field)
	}
	w.copyTo(gone.Start)
	w.done = gone.End
	at := len(w.dst)
	if gone != w.d.Fields[e.Field].Raw {
		w.dst = append(w.dst, `"vs":`...)
	}
	w.dst = append(append(append(w.dst, '"'), e.Value...), '"')
	w.d.placed(e.Field, gone, at, w.dst)
	return nil
}

// tokenSpan is a value, and its key where SenML wants another for a string.
func (jsonFormat) tokenSpan(d *Document, i int32) (Span, bool) {
	f := &d.Fields[i]
	switch fit := d.senmlFit(i); {
	case fit == senmlAsIs:
		return f.Raw, true
	case fit == senmlRename && f.Flags&KeyArena == 0:
		return Span{f.Key.Start - 1, f.Raw.End}, true
	}
	return Span{}, false
}

// checkRaw checks that a raw value can stand where the field stands: nested no
// deeper than what can be read again, and on one line among JSON lines.
func (w *jsonWriter) checkRaw(e *Edit) error {
	fields := w.d.Fields
	lines := fields[w.d.Root].Kind == KindLines
	above := 0
	for p := fields[e.Field].Parent; p >= 0; p = fields[p].Parent {
		above++
	}
	if lines {
		first := at(e.Value, skipSpace(e.Value, 0))
		if !onOneLine(e.Value) || above == 1 && first != '{' && first != '[' {
			return fmt.Errorf("edit field %d: the value is not a line of JSON", e.Field)
		}
		above--
	}
	if why := checkJSON(e.Value, maxDepth-above); why != ReasonNone {
		return fmt.Errorf("edit field %d: the value is not strict JSON: %s", e.Field, why)
	}
	return nil
}

// text writes a string whose text is replaced in places.
func (w *jsonWriter) text(edits []Edit) error {
	text, at := w.d.Text(edits[0].Field), uint32(0)
	w.dst = append(w.dst, '"')
	for i := range edits {
		e := &edits[i]
		if !utf8.Valid(e.Value) {
			return fmt.Errorf("edit field %d: the value is not UTF-8", e.Field)
		}
		w.dst = appendEscaped(appendEscaped(w.dst, text[at:e.Start]), e.Value)
		at = e.End
	}
	w.dst = append(appendEscaped(w.dst, text[at:]), '"')
	return nil
}

// appendEscaped escapes what must be (RFC 8259, 7) and nothing else.
func appendEscaped(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	for {
		n := 0
		for n < len(text) && text[n] >= ' ' && text[n] != '"' && text[n] != '\\' {
			n++
		}
		dst = append(dst, text[:n]...)
		if n == len(text) {
			return dst
		}
		switch c := text[n]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		text = text[n+1:]
	}
}

// remove leaves out a member, an element or a line, and one comma or line end
// with it: the one before, or, if no sibling is left before, the one behind.
func (w *jsonWriter) remove(field int32) error {
	d := w.d
	f := &d.Fields[field]
	parent := &d.Fields[f.Parent]
	leads := f.Index == 0 || w.run == f.Parent && w.runLength == f.Index
	if !leads {
		w.copyTo(d.Fields[d.siblingBefore(field)].Raw.End)
		w.done = f.Raw.End
		return nil
	}
	w.run, w.runLength = f.Parent, f.Index+1
	if f.Index == 0 {
		open := parent.Raw.Start + 1
		if parent.Kind == KindLines {
			open = parent.Raw.Start
		}
		w.copyTo(uint32(skipSpace(d.Raw, int(open))))
	}
	next := skipSpace(d.Raw, int(f.Raw.End))
	if at(d.Raw, next) == ',' {
		next = skipSpace(d.Raw, next+1)
	}
	w.done = uint32(next)
	if parent.Kind == KindLines && next == len(d.Raw) {
		return errors.New("edit lines: nothing is left") // an empty payload means deletion to a broker
	}
	return nil
}

// siblingBefore returns the member or element before field, which is not the
// first of its container.
func (d *Document) siblingBefore(field int32) int32 {
	parent := d.Fields[field].Parent
	before := field - 1
	for d.Fields[before].Parent != parent {
		before = d.Fields[before].Parent
	}
	return before
}

// locate maps a range of a decoded string to the payload: an escape counts as
// one with the character it stands for.
func (jsonFormat) locate(raw []byte, value Span, start, end uint32) Span {
	b := raw[value.Start:value.End]
	from := place(b, start)
	return Span{value.Start + from, value.Start + from + place(b[from-1:], end-start) - 1}
}

// place returns where in the quoted string b the text behind n decoded bytes
// stands.
func place(b []byte, n uint32) uint32 {
	i := 1
	for n > 0 && i < len(b) {
		if b[i] != '\\' {
			next := len(b)
			if k := bytes.IndexByte(b[i:], '\\'); k >= 0 {
				next = i + k
			}
			step := min(next-i, int(n))
			i, n = i+step, n-uint32(step)
			continue
		}
		r, size, why := unescape(b[i:])
		if why != ReasonNone {
			break // can't be: the string was read before
		}
		i, n = i+size, n-min(n, uint32(utf8.RuneLen(r)))
	}
	return uint32(i)
}
