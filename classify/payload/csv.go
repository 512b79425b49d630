package payload

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// csvFormat is a table in text (RFC 4180, its separator a comma, semicolon, tab
// or bar): two or more lines with the same number of columns, two or more, and a
// first line of names, or, without one, mostly numbers. Each row is an object
// keyed by the names, or an array; of two columns, names and numbers, each row
// is an object with one member. Empty cells are no fields. Sentences with commas
// are text.
type csvFormat struct{}

// Bounds of a table's shape: more columns, or longer names, are text.
const (
	maxColumns    = 1024
	maxColumnName = 48
)

func (csvFormat) Detect(_ string, raw []byte) bool {
	if bytes.IndexByte(raw, '\n') < 0 {
		return false
	}
	_, ok := sniffCSV(raw)
	return ok && isText(raw)
}

// A csvShape is how a table is written.
type csvShape struct {
	sep     byte
	header  bool // the first line has the names
	pairs   bool // each line has a name and a value
	columns int
}

func sniffCSV(raw []byte) (csvShape, bool) {
	first := raw[:bytes.IndexByte(raw, '\n')+1]
	for _, sep := range []byte(",;\t|") {
		if bytes.IndexByte(first, sep) < 0 {
			continue
		}
		if s, ok := tryCSV(raw, sep); ok {
			return s, true
		}
	}
	return csvShape{}, false
}

// bomLength is the length of a byte-order mark at the begin.
func bomLength(raw []byte) int {
	if bytes.HasPrefix(raw, []byte("\uFEFF")) {
		return len("\uFEFF")
	}
	return 0
}

func tryCSV(raw []byte, sep byte) (csvShape, bool) {
	s := csvShape{sep: sep, header: true, pairs: true}
	rows, cells, filled, numbers, spaced := 0, 0, 0, 0, 0
	bareRow, numberInRow := false, false // a row of data without any number
	ok := scanCSV(raw, sep, func(cell Span, end bool) bool {
		text := raw[cell.Start:cell.End]
		cells++
		trimmed := bytes.Trim(text, " ")
		if len(trimmed) < len(text) {
			spaced++
		}
		number := isCSVNumber(trimmed) || bytes.HasPrefix(bytes.TrimPrefix(trimmed, []byte(`"`)), []byte(TokenMark)) // which may stand for one
		if rows == 0 {
			if s.header = s.header && isColumnName(trimmed); cells > maxColumns {
				return false
			}
		}
		if cells == 1 {
			s.pairs = s.pairs && isColumnName(trimmed)
		}
		if number {
			numbers, numberInRow = numbers+1, true
		}
		if len(trimmed) > 0 {
			filled++
		}
		if end {
			if rows == 0 {
				s.columns = cells
			}
			if rows > 0 && !numberInRow {
				bareRow = true
			}
			if cells != s.columns {
				return false
			}
			cells, numberInRow = 0, false
			rows++
		}
		return true
	})
	switch {
	case !ok || rows < 2 || s.columns < 2:
		return s, false
	case spaced > 0 && (sep == ',' || sep == ';') && bareRow: // "Well, yes" on two lines
		return s, false
	case s.header:
		s.pairs = false
		return s, true
	case s.columns == 2 && s.pairs:
		return s, numbers > 0
	}
	s.pairs = false
	return s, 2*numbers >= filled && numbers > 0
}

// isCSVNumber reports whether a cell is a number, a date or a time.
func isCSVNumber(text []byte) bool {
	digits := 0
	for _, c := range text {
		switch {
		case c-'0' <= 9:
			digits++
		case c != '.' && c != '-' && c != '+' && c != ':' && c != 'T' && c != 'Z' && c != 'e' && c != 'E' && c != ' ' && c != ',':
			return false
		}
	}
	return digits > 0
}

// isColumnName expects a letter first, and words, units and the like behind.
func isColumnName(text []byte) bool {
	text = bytes.Trim(text, "\"")
	if len(text) == 0 || len(text) > maxColumnName {
		return false
	}
	if c := text[0]; c < utf8.RuneSelf && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') {
		return false
	}
	spaces := 0
	for _, c := range text {
		switch {
		case c == ' ':
			spaces++
		case c >= utf8.RuneSelf, isPairKey(c):
		case bytes.IndexByte([]byte("()[]%#/$*'&+"), c) >= 0:
		default:
			return false
		}
	}
	return spaces <= 3
}

// scanCSV calls f with each cell, quotes included, and whether it ends its row.
// Blank lines are skipped. It returns false for what is no table, or if f does.
func scanCSV(raw []byte, sep byte, f func(cell Span, end bool) bool) bool {
	for i := bomLength(raw); i < len(raw); {
		if raw[i] == '\n' || raw[i] == '\r' && at(raw, i+1) == '\n' {
			i++
			continue
		}
		for {
			start := i
			if raw[i] == '"' {
				for i++; ; i++ {
					if i >= len(raw) {
						return false
					}
					if raw[i] == '"' {
						if i++; at(raw, i) != '"' || i >= len(raw) {
							break
						}
					}
				}
			} else {
				for i < len(raw) && raw[i] != sep && raw[i] != '\n' {
					if raw[i] == '"' {
						return false
					}
					i++
				}
			}
			end := i
			row := i >= len(raw) || raw[i] == '\n'
			if row && end > start && raw[end-1] == '\r' {
				end--
			}
			if !row && raw[i] == '\r' && at(raw, i+1) == '\n' { // behind a quote
				row = true
				i++
			}
			if !row && raw[i] != sep {
				return false
			}
			if !f(Span{uint32(start), uint32(end)}, row) {
				return false
			}
			i++
			if row {
				break
			}
			if i >= len(raw) { // a separator at the very end: one more empty cell
				return f(Span{uint32(i), uint32(i)}, true)
			}
		}
	}
	return true
}

func (csvFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "csv"
	s, _ := sniffCSV(d.Raw)
	if !d.addRoot(KindLines, lim) {
		return ReasonTooMany
	}
	base := len(d.columns)
	defer func() { d.columns = d.columns[:base] }()
	kind := KindArray
	if s.header || s.pairs {
		kind = KindObject
	}
	header, place, row, rows, index := s.header, 0, int32(-1), uint32(0), uint32(0)
	if !scanCSV(d.Raw, s.sep, func(cell Span, end bool) bool {
		if header {
			d.columns = append(d.columns, d.csvName(cell))
			header = !end
			return true
		}
		if place == 0 {
			var ok bool
			if row, ok = d.addRow(d.Root, rows, kind, cell, lim); !ok {
				return false
			}
			rows, index = rows+1, 0
			if s.pairs {
				d.columns = append(d.columns[:base], column{}, d.csvName(cell))
				place++
				return true
			}
		}
		ok := cell.Len() == 0 || d.csvCell(row, index, base+place, cell, kind == KindObject, lim)
		if cell.Len() > 0 {
			index++
		}
		d.Fields[row].Raw.End = cell.End
		if place++; end {
			place = 0
		}
		return ok
	}) {
		return ReasonTooMany
	}
	return ReasonNone
}

// csvName reads a cell that names others.
func (d *Document) csvName(cell Span) column {
	text, arena := d.csvText(cell)
	if arena {
		return column{name: text, flags: KeyArena}
	}
	return column{name: text}
}

// csvCell adds one cell that is not empty.
func (d *Document) csvCell(row int32, index uint32, place int, cell Span, header bool, lim Limits) bool {
	text, arena := d.csvText(cell)
	var f *Field
	if header {
		c := &d.columns[place]
		var ok bool
		if f, ok = d.addCell(row, index, c.name, c.flags, lim); !ok {
			return false
		}
	} else {
		i, ok := d.addRow(row, index, KindString, cell, lim)
		if !ok {
			return false
		}
		f = &d.Fields[i]
		f.Accepts = cellAccepts
	}
	f.Raw, f.Text = cell, text
	if arena {
		f.Flags |= TextArena
	}
	f.Kind = kindOfCell(d.Text(int32(len(d.Fields) - 1)))
	return true
}

// csvText resolves quotes: in place, or to the arena.
func (d *Document) csvText(cell Span) (text Span, arena bool) {
	b := d.Raw[cell.Start:cell.End]
	if len(b) == 0 || b[0] != '"' {
		for text = cell; text.Start < text.End && d.Raw[text.Start] == ' '; text.Start++ {
		}
		for ; text.End > text.Start && d.Raw[text.End-1] == ' '; text.End-- {
		}
		return text, false
	}
	inner := Span{cell.Start + 1, cell.End - 1}
	b = d.Raw[inner.Start:inner.End]
	if bytes.IndexByte(b, '"') < 0 {
		return inner, false
	}
	from := uint32(len(d.arena))
	for i := 0; i < len(b); i++ {
		d.arena = append(d.arena, b[i])
		if b[i] == '"' {
			i++
		}
	}
	return Span{from, uint32(len(d.arena))}, true
}

func (csvFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from := len(dst)
	dst, err := appendCells(dst, d, edits, csvFormat{})
	if err != nil {
		return nil, err
	}
	before, _ := sniffCSV(d.Raw)
	if after, _ := sniffCSV(dst[from:]); after != before {
		return nil, errors.New("edit csv: the table would be read in another way")
	}
	return dst, nil
}

// write puts a cell in quotes where it had some or needs some.
func (csvFormat) write(dst []byte, d *Document, i int32, text []byte) ([]byte, error) {
	raw := d.Value(i)
	bare := len(text) > 0 && text[0] != ' ' && text[len(text)-1] != ' ' && !bytes.ContainsAny(text, ",;\t|\"\r\n")
	if bare && raw[0] != '"' {
		for n := 0; n < len(raw) && raw[n] == ' '; n++ {
			dst = append(dst, ' ')
		}
		return append(dst, text...), nil
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '"'), nil
}

// cut empties a cell: the other columns stay where they are.
func (csvFormat) cut(d *Document, i int32, _ uint32) (Span, string, error) {
	return d.Fields[i].Raw, "", nil
}
