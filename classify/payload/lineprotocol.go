package payload

import (
	"bytes"
	"errors"
	"fmt"
)

// lineFormat is InfluxDB line protocol: measurement, tags, fields with types, a
// timestamp. Each line is an object of measurement, tags and fields by name, and
// timestamp. A line by itself needs a tag, a second field or a timestamp, or it
// is text.
type lineFormat struct{}

// Where a part of a line stands.
type linePart uint8

const (
	lineMeasurement linePart = iota
	lineTag
	lineField
	lineTime
)

// inTag marks a field that is a tag or a measurement: written without quotes.
const inTag FieldFlags = 1 << 7

func (lineFormat) Detect(_ string, raw []byte) bool {
	if bytes.IndexByte(raw, '=') <= 0 || bytes.IndexByte(raw, ' ') <= 0 || !isText(raw) {
		return false
	}
	parts, records := 0, 0
	ok := scanLineProtocol(raw, func(part linePart, _, _ Span) bool {
		if part == lineMeasurement {
			records++
		}
		parts++
		return true
	})
	return ok && records > 0 && parts > 2*records // a measurement and one field are not enough
}

// scanLineProtocol calls f with the parts of each line, keys where they have
// some. It returns false for anything else, or if f does.
func scanLineProtocol(raw []byte, f func(part linePart, key, value Span) bool) bool {
	i, end := 0, len(raw)
	for i < end {
		if c := raw[i]; c == '\n' || c == '\r' || c == ' ' {
			i++
			continue
		}
		if raw[i] == '#' || raw[i] == ',' || raw[i] == '=' {
			return false
		}
		var ok bool
		start := i
		if i, ok = lineToken(raw, i, ", "); !ok || !f(lineMeasurement, Span{}, Span{uint32(start), uint32(i)}) {
			return false
		}
		for at(raw, i) == ',' {
			var key, value Span
			if key, i, ok = lineKey(raw, i+1); !ok {
				return false
			}
			start := i
			if i, ok = lineToken(raw, i, ", "); !ok || i == start {
				return false
			}
			if value = (Span{uint32(start), uint32(i)}); !f(lineTag, key, value) {
				return false
			}
		}
		for c := byte(' '); at(raw, i) == c; c = ',' {
			var key Span
			if key, i, ok = lineKey(raw, i+1); !ok {
				return false
			}
			start := i
			if i, ok = lineValue(raw, i); !ok || !f(lineField, key, Span{uint32(start), uint32(i)}) {
				return false
			}
		}
		if raw[i-1] == ',' || i == start {
			return false
		}
		for at(raw, i) == ' ' && at(raw, i+1) == ' ' {
			i++
		}
		if at(raw, i) == ' ' && i+1 < end && raw[i+1] != '\n' && raw[i+1] != '\r' {
			start := i + 1
			if i++; at(raw, i) == '-' {
				i++
			}
			digits := i
			for i < end && raw[i]-'0' <= 9 {
				i++
			}
			if i == digits || !f(lineTime, Span{}, Span{uint32(start), uint32(i)}) {
				return false
			}
		}
		for i < end && (raw[i] == ' ' || raw[i] == '\r') {
			i++
		}
		if i < end && raw[i] != '\n' {
			return false
		}
	}
	return true
}

// lineToken reads to the next of stops that is not escaped; a line ends no
// token, and "=" is escaped.
func lineToken(raw []byte, i int, stops string) (int, bool) {
	for i < len(raw) {
		switch c := raw[i]; {
		case c == '\\' && i+1 < len(raw) && raw[i+1] != '\n':
			i++
		case bytes.IndexByte([]byte(stops), c) >= 0:
			return i, true
		case c == '=' || c == '\n' || c == '\r' || c == '\t':
			return i, false
		}
		i++
	}
	return i, false // the fields are still to come
}

func lineKey(raw []byte, i int) (key Span, next int, ok bool) {
	start := i
	for i < len(raw) && raw[i] != '=' {
		switch raw[i] {
		case '\\':
			i++
		case ',', ' ', '\n', '\r', '\t', '"':
			return key, i, false
		}
		i++
	}
	if i >= len(raw) || i == start {
		return key, i, false
	}
	return Span{uint32(start), uint32(i)}, i + 1, true
}

// lineValue reads a field's value: a number, an integer with its suffix, a
// boolean or a string in quotes.
func lineValue(raw []byte, i int) (int, bool) {
	if at(raw, i) == '"' {
		for i++; i < len(raw) && raw[i] != '"'; i++ {
			if raw[i] == '\\' {
				i++
			}
		}
		return i + 1, i < len(raw)
	}
	start := i
	for i < len(raw) && bytes.IndexByte([]byte(", \r\n"), raw[i]) < 0 {
		i++
	}
	switch text := raw[start:i]; string(text) {
	case "":
		return i, false
	case "t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE":
		return i, true
	default:
		return i, isNumber(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("i")), []byte("u")))
	}
}

func (lineFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "lineprotocol"
	if !d.addRoot(KindLines, lim) {
		return ReasonTooMany
	}
	row, line, index := int32(-1), uint32(0), uint32(0)
	if !scanLineProtocol(d.Raw, func(part linePart, key, value Span) bool {
		flags := FieldFlags(0)
		switch part {
		case lineMeasurement:
			var ok bool
			if row, ok = d.addRow(d.Root, line, KindObject, value, lim); !ok {
				return false
			}
			line, index = line+1, 0
			key, flags = d.putBytes("measurement"), KeyArena
		case lineTime:
			key, flags = d.putBytes("timestamp"), KeyArena
		default:
			var arena bool
			if key, arena = d.lineText(key); arena {
				flags = KeyArena
			}
		}
		f, ok := d.addCell(row, index, key, flags, lim)
		if !ok {
			return false
		}
		index++
		d.Fields[row].Raw.End = value.End
		f.Raw, f.Text = value, value
		arena := false
		switch first := d.Raw[value.Start]; {
		case part == lineMeasurement || part == lineTag:
			f.Text, arena = d.lineText(value)
			f.Flags |= inTag
			f.Accepts = 1<<EditString | 1<<EditRemove | 1<<EditToken
			if part == lineMeasurement {
				f.Accepts = 1 << EditString
			}
		case part == lineTime:
			f.Kind, f.Accepts = KindNumber, 1<<EditNumber|1<<EditRemove
		case first == '"':
			f.Text, arena = d.lineString(Span{value.Start + 1, value.End - 1})
		case first|0x20 == 't' || first|0x20 == 'f':
			f.Kind = KindBool
		default:
			f.Kind = KindNumber
			if last := d.Raw[value.End-1]; last == 'i' || last == 'u' {
				f.Text.End--
			}
		}
		if arena {
			f.Flags |= TextArena
		}
		return true
	}) {
		return ReasonTooMany
	}
	return ReasonNone
}

// lineText resolves the escapes of names and tags.
func (d *Document) lineText(span Span) (text Span, arena bool) { return d.unescaped(span, ",= ") }

// lineString resolves the escapes of strings in quotes.
func (d *Document) lineString(span Span) (text Span, arena bool) { return d.unescaped(span, `"\`) }

// unescaped takes the backslash from before characters of special: in place, or
// to the arena.
func (d *Document) unescaped(span Span, special string) (text Span, arena bool) {
	b := d.Raw[span.Start:span.End]
	if bytes.IndexByte(b, '\\') < 0 {
		return span, false
	}
	from := uint32(len(d.arena))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && bytes.IndexByte([]byte(special), b[i+1]) >= 0 {
			i++
		}
		d.arena = append(d.arena, b[i])
	}
	return Span{from, uint32(len(d.arena))}, true
}

func (lineFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	return appendCells(dst, d, edits, lineFormat{})
}

func (lineFormat) write(dst []byte, d *Document, i int32, text []byte) ([]byte, error) {
	f := &d.Fields[i]
	switch {
	case f.Flags&inTag != 0:
		if len(text) == 0 || text[len(text)-1] == '\\' || bytes.ContainsAny(text, "\r\n\t") || f.Index == 0 && bytes.IndexByte(text, '=') >= 0 {
			return nil, fmt.Errorf("edit field %d: a tag can't hold this value", i)
		}
		return appendBackslashed(dst, text, ",= "), nil
	case f.Kind == KindNumber && isNumber(text):
		suffix := d.Raw[f.Text.End:f.Raw.End]
		if len(suffix) > 0 && bytes.ContainsAny(text, ".eE") || len(suffix) > 0 && suffix[0] == 'u' && text[0] == '-' {
			return nil, fmt.Errorf("edit field %d: the number does not fit its type", i)
		}
		return append(append(dst, text...), suffix...), nil
	case f.Kind != KindNumber && isNumber(text) && d.Raw[f.Raw.Start] != '"':
		return append(dst, text...), nil
	}
	return append(appendBackslashed(append(dst, '"'), text, `"\`), '"'), nil
}

func appendBackslashed(dst, text []byte, special string) []byte {
	for _, c := range text {
		if bytes.IndexByte([]byte(special), c) >= 0 {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return dst
}

// cut takes a pair with the separator before it. The first field goes with the
// one behind, and the last can't go.
func (lineFormat) cut(d *Document, i int32, done uint32) (Span, string, error) {
	f, before := &d.Fields[i], &d.Fields[i-1]
	first := before.Raw.End + 1 // behind the separator
	switch {
	case string(d.Key(i)) == "timestamp" && int(before.Raw.End) < len(d.Raw) && bytes.IndexByte(d.Raw[before.Raw.End:f.Raw.Start], '=') < 0:
		return Span{before.Raw.End, f.Raw.End}, "", nil
	case f.Flags&inTag != 0, d.Raw[before.Raw.End] == ',' && done != first:
		return Span{before.Raw.End, f.Raw.End}, "", nil
	case at(d.Raw, int(f.Raw.End)) != ',':
		return Span{}, "", errors.New("edit line protocol: no field is left")
	}
	return Span{first, f.Raw.End + 1}, "", nil
}
