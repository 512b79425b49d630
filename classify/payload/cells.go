package payload

import (
	"errors"
	"fmt"
)

// What formats share whose values are text between separators: CSV, logfmt,
// line protocol, NMEA and XML.

// cellAccepts is what may be done to a value that is written as text.
const cellAccepts EditMask = 1<<EditString | 1<<EditNumber | 1<<EditRemove | 1<<EditToken

// longInteger is how many digits an identifier may well have.
const longInteger = 9

// kindOfCell tells numbers from other values, as JSON would write them. These
// formats don't write the two differently, so what is nothing but many digits is
// taken for an identifier, which is looked at more closely.
func kindOfCell(text []byte) Kind {
	if !isNumber(text) || len(text) >= longInteger && isIndex(text) {
		return KindString
	}
	return KindNumber
}

// isNumber reports whether text is a number as JSON would write it.
func isNumber(text []byte) bool {
	r := jsonReader{raw: text}
	return len(text) > 0 && r.number(0) == len(text)
}

// A cellWriter is how a format writes a value and leaves one out.
type cellWriter interface {
	// write appends the value of field i with another text.
	write(dst []byte, d *Document, i int32, text []byte) ([]byte, error)

	// cut returns what goes if field i is removed, and what comes in its place.
	// All before done is dealt with; where that is as far as i's own begin,
	// nothing is left before it.
	cut(d *Document, i int32, done uint32) (gone Span, fill string, err error)
}

// appendCells copies the payload with edits. The result must be read as the
// same format again.
func appendCells(dst []byte, d *Document, edits []Edit, w cellWriter) ([]byte, error) {
	from, done := len(dst), uint32(0)
	var text []byte
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Field == edits[0].Field {
			n++
		}
		e, span, err := &edits[0], d.Fields[edits[0].Field].Raw, error(nil)
		switch e.Kind {
		case EditRemove:
			var fill string
			if span, fill, err = w.cut(d, e.Field, done); err != nil {
				return nil, err
			}
			dst = append(append(dst, d.Raw[done:span.Start]...), fill...)
		case EditNumber:
			if !isNumber(e.Value) {
				return nil, fmt.Errorf("edit field %d: the value is not a number", e.Field)
			}
			dst, err = w.write(append(dst, d.Raw[done:span.Start]...), d, e.Field, e.Value)
		case EditToken:
			dst = append(dst, d.Raw[done:span.Start]...)
			at := len(dst)
			if dst, err = w.write(dst, d, e.Field, e.Value); err == nil {
				d.placed(e.Field, span, at, dst)
			}
		default:
			for _, e := range edits[:n] {
				if !isText(e.Value) {
					return nil, fmt.Errorf("edit field %d: the value is not text", e.Field)
				}
			}
			text = appendReplaced(text[:0], d.Text(e.Field), edits[:n])
			dst, err = w.write(append(dst, d.Raw[done:span.Start]...), d, e.Field, text)
		}
		if err != nil {
			return nil, err
		}
		done, edits = span.End, edits[n:]
	}
	dst = append(dst, d.Raw[done:]...)
	if detect(d.Topic, dst[from:]) != d.format {
		return nil, errors.New("edit text: the result would be read as another format")
	}
	return dst, nil
}

// detect returns the format that claims raw, or nil.
func detect(topic string, raw []byte) Format {
	for _, f := range formats {
		if f.Detect(topic, raw) {
			return f
		}
	}
	return nil
}

// lines calls f with each line that is not blank, without its end, until f
// returns false. It reports whether it came to the end.
func lines(raw []byte, f func(Span) bool) bool {
	for i := 0; i < len(raw); {
		end := i
		for end < len(raw) && raw[end] != '\n' {
			end++
		}
		next, stop := end+1, end
		for stop > i && (raw[stop-1] == '\r' || raw[stop-1] == ' ' || raw[stop-1] == '\t') {
			stop--
		}
		for i < stop && (raw[i] == ' ' || raw[i] == '\t') {
			i++
		}
		if i < stop && !f(Span{uint32(i), uint32(stop)}) {
			return false
		}
		i = next
	}
	return true
}

// addRoot adds the payload's root, a container of all of it.
func (d *Document) addRoot(kind Kind, lim Limits) bool {
	d.Root = int32(len(d.Fields))
	if len(d.Fields) >= lim.Fields {
		return false
	}
	root := d.add()
	root.Parent, root.PathHash, root.Kind, root.Raw = -1, rootHash, kind, Span{0, uint32(len(d.Raw))}
	return true
}

// addRow adds a child without a key.
func (d *Document) addRow(parent int32, index uint32, kind Kind, raw Span, lim Limits) (int32, bool) {
	self := int32(len(d.Fields))
	if int(self) >= lim.Fields {
		return 0, false
	}
	hash := stepHash(d.Fields[parent].PathHash, indexHash)
	f := d.add()
	f.Parent, f.Index, f.PathHash, f.Kind, f.Raw = parent, index, hash, kind, raw
	return self, true
}

// addCell adds a value with a key; its text is still to be set.
func (d *Document) addCell(parent int32, index uint32, key Span, flags FieldFlags, lim Limits) (*Field, bool) {
	if len(d.Fields) >= lim.Fields {
		return nil, false
	}
	d.addMember(parent, index, key, flags)
	f := &d.Fields[len(d.Fields)-1]
	f.Kind, f.Accepts = KindString, cellAccepts
	return f, true
}

// putBytes copies a text to the arena and returns where it is.
func (d *Document) putBytes(text string) Span {
	from := uint32(len(d.arena))
	d.arena = append(d.arena, text...)
	return Span{from, uint32(len(d.arena))}
}
