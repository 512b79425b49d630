package payload

import (
	"bytes"
	"errors"
)

// logfmtFormat is lines of key=value pairs, apart by spaces (logfmt) or by
// commas or semicolons: two pairs or more, and nothing else. A value in quotes
// may hold separators, and \" and \\ in it are escapes. Each line is an object.
type logfmtFormat struct{}

func (logfmtFormat) Detect(_ string, raw []byte) bool {
	return bytes.IndexByte(raw, '=') > 0 && isText(raw) && pairSeparator(raw) != 0
}

// pairSeparator returns what stands between pairs, or 0 if raw is not made of
// pairs.
func pairSeparator(raw []byte) byte {
	for _, sep := range []byte(" ,;") {
		pairs := 0
		if lines(raw, func(line Span) bool {
			return scanPairs(raw, line, sep, func(_, _ Span) bool { pairs++; return true })
		}) && pairs >= 2 {
			return sep
		}
	}
	return 0
}

// scanPairs calls f with the keys and values of a line. It returns false if
// the line is something else, or f does.
func scanPairs(raw []byte, line Span, sep byte, f func(key, value Span) bool) bool {
	i, end := line.Start, line.End
	for {
		key := i
		for i < end && isPairKey(raw[i]) {
			i++
		}
		if i == key || i == end || raw[i] != '=' || raw[key]-'0' <= 9 {
			return false
		}
		keySpan := Span{key, i}
		i++
		value := i
		if i < end && raw[i] == '"' {
			for i++; i < end && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if i++; i > end {
				return false
			}
		} else {
			for i < end && raw[i] != sep {
				if c := raw[i]; c == '"' || c == ' ' || c == '\t' || sep != ' ' && c == '=' {
					return false
				}
				i++
			}
			// "a=1, b=2" is not apart by spaces.
			if sep == ' ' && i > value && (raw[i-1] == ',' || raw[i-1] == ';') {
				return false
			}
		}
		if !f(keySpan, Span{value, i}) {
			return false
		}
		if i == end {
			return true
		}
		if raw[i] != sep {
			return false
		}
		for i++; i < end && raw[i] == ' '; i++ {
		}
		if i == end {
			return sep != ' ' // a separator at the end
		}
	}
}

func isPairKey(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || c == '_' || c == '-' || c == '.' || c == '/' || c == ':' || c == '@'
}

func (logfmtFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "logfmt"
	if !d.addRoot(KindLines, lim) {
		return ReasonTooMany
	}
	sep, line := pairSeparator(d.Raw), uint32(0)
	if !lines(d.Raw, func(span Span) bool {
		row, ok := d.addRow(d.Root, line, KindObject, span, lim)
		line++
		index := uint32(0)
		return ok && scanPairs(d.Raw, span, sep, func(key, value Span) bool {
			f, ok := d.addCell(row, index, key, 0, lim)
			if !ok {
				return false
			}
			index++
			f.Raw, f.Text = value, value
			if value.Len() > 0 && d.Raw[value.Start] == '"' {
				var arena bool
				if f.Text, arena = d.unquoted(Span{value.Start + 1, value.End - 1}); arena {
					f.Flags |= TextArena
				}
				return true
			}
			f.Kind = kindOfCell(d.Raw[value.Start:value.End])
			return true
		})
	}) {
		return ReasonTooMany
	}
	return ReasonNone
}

// unquoted resolves the escapes \" and \\ (and \n, \t, \r) in a quoted value: in
// place, or to the arena.
func (d *Document) unquoted(span Span) (text Span, arena bool) {
	b := d.Raw[span.Start:span.End]
	if bytes.IndexByte(b, '\\') < 0 {
		return span, false
	}
	from := uint32(len(d.arena))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' && i+1 < len(b) {
			i++
			switch b[i] {
			case '"', '\\':
				c = b[i]
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			default:
				i-- // a backslash by itself
			}
		}
		d.arena = append(d.arena, c)
	}
	return Span{from, uint32(len(d.arena))}, true
}

func (logfmtFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	return appendCells(dst, d, edits, logfmtFormat{})
}

// write puts a value in quotes where it had some or needs some.
func (logfmtFormat) write(dst []byte, d *Document, i int32, text []byte) ([]byte, error) {
	quoted := d.Fields[i].Raw.Len() > 0 && d.Raw[d.Fields[i].Raw.Start] == '"'
	if !quoted && !bytes.ContainsAny(text, " ,;=\"\\\t\r\n") {
		return append(dst, text...), nil
	}
	dst = append(dst, '"')
	for _, c := range text {
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), nil
}

// cut takes a pair with the separator before it, or, if none is left before,
// with the one behind.
func (logfmtFormat) cut(d *Document, i int32, done uint32) (Span, string, error) {
	f := &d.Fields[i]
	if f.Index > 0 && done != f.Key.Start {
		return Span{d.Fields[i-1].Raw.End, f.Raw.End}, "", nil
	}
	next := int(i + 1)
	for next < len(d.Fields) && d.Fields[next].Parent >= i {
		next++ // inside the value
	}
	if next == len(d.Fields) || d.Fields[next].Parent != f.Parent {
		return Span{}, "", errors.New("edit logfmt: nothing is left of a line")
	}
	return Span{f.Key.Start, d.Fields[next].Key.Start}, "", nil
}
