package payload

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// formFormat is application/x-www-form-urlencoded (WHATWG URL, 5): two or more
// pairs of key and value, or one that has an escape. As plain text its escapes
// would stay undecoded. All values are strings.
type formFormat struct{}

func (formFormat) Detect(_ string, raw []byte) bool { return claimsForm(raw) }

// claimsForm expects nothing but pairs: no white space, each with one "=" and a
// key, all escapes whole and UTF-8 behind them.
func claimsForm(raw []byte) bool {
	if bytes.IndexByte(raw, '=') <= 0 {
		return false
	}
	pairs, escaped := 0, false
	for start, more := 0, true; more; pairs++ {
		pair := raw[start:]
		n := bytes.IndexByte(pair, '&')
		if more = n >= 0; more {
			pair = pair[:n]
		}
		start += n + 1
		key, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(key) == 0 || !isFormPart(key, &escaped) || !isFormPart(value, &escaped) {
			return false
		}
	}
	return pairs > 1 || escaped
}

// isFormPart reports whether b is a key or a value. What browsers escape and
// other writers don't is let pass, as far as no text would be mistaken for it.
func isFormPart(b []byte, escaped *bool) bool {
	var pending [utf8.UTFMax]byte // an escaped character that is not complete yet
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '%' {
			if n > 0 || !isFormByte(c) && c != '+' && c != ':' && c != ',' && c != '@' && c != '/' && c != '~' {
				return false
			}
			continue
		}
		c, ok := hex2(b[i+1:])
		if !ok {
			return false
		}
		i += 2
		*escaped = true
		pending[n] = c
		n++
		switch {
		case utf8.Valid(pending[:n]):
			n = 0
		case utf8.FullRune(pending[:n]):
			return false
		}
	}
	return n == 0
}

// isFormByte reports the bytes that stand for themselves.
func isFormByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '*' || c == '-' || c == '.' || c == '_'
}

func hex2(b []byte) (byte, bool) {
	if len(b) < 2 {
		return 0, false
	}
	r, ok := hex4([]byte{'0', '0', b[0], b[1]})
	return byte(r), ok
}

func (formFormat) Parse(d *Document, lim Limits) Reason {
	d.name, d.Root = "form", int32(len(d.Fields))
	if len(d.Fields) >= lim.Fields {
		return ReasonTooMany
	}
	root := d.add()
	root.Parent, root.PathHash, root.Kind, root.Raw = -1, rootHash, KindObject, Span{0, uint32(len(d.Raw))}
	keys := keySet{base: len(d.members)}
	for i, index := 0, uint32(0); i <= len(d.Raw); index++ {
		field := int32(len(d.Fields))
		if int(field) >= lim.Fields {
			return ReasonTooMany
		}
		equals := i + bytes.IndexByte(d.Raw[i:], '=')
		end := len(d.Raw)
		if n := bytes.IndexByte(d.Raw[equals:], '&'); n >= 0 {
			end = equals + n
		}
		key, arena := d.formPart(i, equals)
		flags := FieldFlags(0)
		if arena {
			flags = KeyArena
		}
		d.addMember(d.Root, index, key, flags)
		if !d.checkMember(&keys, field) {
			return ReasonDuplicate
		}
		f := &d.Fields[field]
		f.Kind, f.Accepts, f.Raw = KindString, 1<<EditString|1<<EditRemove|1<<EditToken, Span{uint32(equals + 1), uint32(end)}
		if f.Text, arena = d.formPart(equals+1, end); arena {
			f.Flags |= TextArena
		}
		i = end + 1
	}
	if !d.closeKeys(&keys) {
		return ReasonDuplicate
	}
	return ReasonNone
}

// formPart decodes what isFormPart let pass: in place, or to the arena.
func (d *Document) formPart(start, end int) (text Span, arena bool) {
	b := d.Raw[start:end]
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return Span{uint32(start), uint32(end)}, false
	}
	first := uint32(len(d.arena))
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			c, _ = hex2(b[i+1:])
			i += 2
		}
		d.arena = append(d.arena, c)
	}
	return Span{first, uint32(len(d.arena))}, true
}

// locate counts an escape as the one byte that it stands for.
func (formFormat) locate(raw []byte, value Span, start, end uint32) Span {
	at := Span{value.Start, value.Start}
	for n, i := uint32(0), value.Start; n <= end; n++ {
		if n == start {
			at.Start = i
		}
		at.End = i
		if i < value.End && raw[i] == '%' {
			i += 2
		}
		i++
	}
	return at
}

// Append writes values anew and leaves pairs out.
func (formFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from, keep := len(dst), uint32(0) // a pair's first byte is behind the value before
	for i := d.Root + 1; int(i) < len(d.Fields); i++ {
		f := &d.Fields[i]
		if f.Parent != d.Root {
			continue // inside a value
		}
		n := 0
		for n < len(edits) && edits[n].Field == i {
			n++
		}
		pair := d.Raw[keep:f.Raw.Start]
		keep = f.Raw.End + 1
		if n > 0 && edits[0].Kind == EditRemove {
			edits = edits[n:]
			continue
		}
		if len(dst) > from {
			dst = append(dst, '&')
		}
		dst = append(dst, pair...)
		if n == 0 {
			dst = append(dst, d.Value(i)...)
			continue
		}
		if e := &edits[0]; e.Kind == EditToken {
			at := len(dst)
			dst = append(dst, e.Value...)
			d.placed(i, f.Raw, at, dst)
			edits = edits[n:]
			continue
		}
		text, at := d.Text(i), uint32(0)
		for _, e := range edits[:n] {
			if !utf8.Valid(e.Value) {
				return nil, errors.New("edit form: the value is not UTF-8")
			}
			dst = appendForm(appendForm(dst, text[at:e.Start]), e.Value)
			at = e.End
		}
		dst = appendForm(dst, text[at:])
		edits = edits[n:]
	}
	if !claimsForm(dst[from:]) {
		return nil, errors.New("edit form: too little is left to be read as a form")
	}
	return dst, nil
}

func appendForm(dst, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case isFormByte(c):
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
