package payload

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// xmlFormat is XML 1.0 as machines write it (ONVIF, ISAPI events): one element
// in UTF-8, without a document type, without entities but the five that XML
// names and characters by number. The root's member is the element; an element
// with attributes or elements in it is an object, any other a value. Keys are
// names without their prefix; the text of an element with attributes has no key.
// Names may repeat, and so may paths.
//
// Unreadable are a document type, processing instructions, text beside elements,
// and comments beside text: what stands in pieces could be read in two ways.
// A comment elsewhere is a value with the key "#comment".
type xmlFormat struct{}

// Detect claims what begins like a tag and ends like one: as text, its escapes
// would stay undecoded.
func (xmlFormat) Detect(_ string, raw []byte) bool {
	if firstCharacter(raw) != '<' {
		return false
	}
	i := bytes.IndexByte(raw, '<')
	trimmed := bytes.TrimRight(raw, " \t\r\n")
	return trimmed[len(trimmed)-1] == '>' && (isNameStart(at(raw, i+1)) || at(raw, i+1) == '?' || at(raw, i+1) == '!')
}

func isNameStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' || c >= utf8.RuneSelf
}

func isNameByte(c byte) bool {
	return isNameStart(c) || c-'0' <= 9 || c == '-' || c == '.'
}

func (xmlFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "xml"
	if !d.addRoot(KindObject, lim) {
		return ReasonTooMany
	}
	if !isXMLText(d.Raw) {
		return ReasonEncoding
	}
	r := xmlReader{d: d, raw: d.Raw, lim: lim}
	if r.document() < 0 {
		return r.why
	}
	return ReasonNone
}

// isXMLText reports whether b is UTF-8 of the characters that XML allows (XML
// 1.0, 2.2), C1 controls not among them.
func isXMLText(b []byte) bool {
	return isText(b) && !bytes.Contains(b, []byte("\uFFFE")) && !bytes.Contains(b, []byte("\uFFFF"))
}

// An xmlReader reads one document. Its methods take the place where something
// begins and return the place behind it, or a negative number.
type xmlReader struct {
	d     *Document
	raw   []byte
	lim   Limits
	depth int
	index uint32 // of the root's next member
	why   Reason
}

func (r *xmlReader) fail(why Reason) int {
	r.why = why
	return -1
}

func (r *xmlReader) has(i int, s string) bool {
	return i >= 0 && len(r.raw)-i >= len(s) && string(r.raw[i:i+len(s)]) == s
}

func (r *xmlReader) document() int {
	i := skipSpace(r.raw, bomLength(r.raw))
	if r.has(i, "<?xml") && at(r.raw, i+5) <= ' ' {
		if i = r.declaration(i); i < 0 {
			return i
		}
	}
	seen := false
	for i = skipSpace(r.raw, i); i < len(r.raw); i = skipSpace(r.raw, i) {
		switch {
		case r.has(i, "<!--"):
			i = r.comment(i, r.d.Root, &r.index)
		case r.has(i, "<!"), r.has(i, "<?"):
			return r.fail(ReasonUnknown)
		case at(r.raw, i) != '<' || seen:
			return r.fail(ReasonTrailing)
		default:
			seen = true
			i = r.element(i, r.d.Root, &r.index)
		}
		if i < 0 {
			return i
		}
	}
	if !seen {
		return r.fail(ReasonMalformed)
	}
	return i
}

// declaration reads the XML declaration: the encoding it names must be UTF-8.
func (r *xmlReader) declaration(i int) int {
	n := bytes.Index(r.raw[i:], []byte("?>"))
	if n < 0 {
		return r.fail(ReasonMalformed)
	}
	text := r.raw[i+len("<?xml") : i+n]
	if _, encoding, ok := bytes.Cut(text, []byte("encoding")); ok {
		encoding = bytes.TrimLeft(encoding, " =\"'")
		if !beginsFold(encoding, "utf-8") && !beginsFold(encoding, "us-ascii") {
			return r.fail(ReasonEncoding)
		}
	}
	if len(text) > 80 {
		return r.fail(ReasonUnknown)
	}
	return i + n + 2
}

func beginsFold(b []byte, name string) bool {
	return len(b) >= len(name) && bytes.EqualFold(b[:len(name)], []byte(name))
}

// cell adds a value with a key.
func (r *xmlReader) cell(parent int32, index *uint32, key Span, flags FieldFlags) (*Field, bool) {
	f, ok := r.d.addCell(parent, *index, key, flags, r.lim)
	if !ok {
		r.fail(ReasonTooMany)
		return nil, false
	}
	*index++
	return f, true
}

func (r *xmlReader) comment(i int, parent int32, index *uint32) int {
	start := i + len("<!--")
	n := bytes.Index(r.raw[start:], []byte("--"))
	if n < 0 || !r.has(start+n, "-->") {
		return r.fail(ReasonMalformed)
	}
	f, ok := r.cell(parent, index, r.d.putBytes("#comment"), KeyArena)
	if !ok {
		return -1
	}
	f.Raw = Span{uint32(start), uint32(start + n)}
	f.Text, f.Accepts = f.Raw, 1<<EditRemove
	return start + n + len("-->")
}

// name reads a name and returns its local part.
func (r *xmlReader) name(i int) (local Span, next int) {
	start := i
	if !isNameStart(at(r.raw, i)) || i >= len(r.raw) {
		return local, r.fail(ReasonMalformed)
	}
	for i < len(r.raw) && isNameByte(r.raw[i]) {
		i++
	}
	local = Span{uint32(start), uint32(i)}
	if n := bytes.IndexByte(r.raw[start:i], ':'); n >= 0 {
		local.Start += uint32(n + 1)
	}
	if local.Len() == 0 {
		return local, r.fail(ReasonMalformed)
	}
	return local, i
}

// element reads an element. Whether it is a value is only known behind its start
// tag.
func (r *xmlReader) element(i int, parent int32, index *uint32) int {
	d, start := r.d, i
	if r.depth++; r.depth > r.lim.Depth {
		return r.fail(ReasonTooDeep)
	}
	key, i := r.name(i + 1)
	if i < 0 {
		return i
	}
	name := r.raw[start+1 : i]
	f, ok := r.cell(parent, index, key, 0)
	if !ok {
		return -1
	}
	self := int32(len(d.Fields) - 1)
	f.Kind, f.Accepts = KindNone, 0
	f.Raw = Span{uint32(start), uint32(start)}
	inside := uint32(0)
	empty := false
	for {
		next := skipSpace(r.raw, i)
		switch {
		case at(r.raw, next) == '>':
			i = next + 1
		case r.has(next, "/>"):
			i, empty = next+2, true
		case next == i:
			return r.fail(ReasonMalformed)
		default:
			d.Fields[self].Kind = KindObject
			if i = r.attribute(next, self, &inside); i < 0 {
				return i
			}
			continue
		}
		break
	}
	if empty {
		if f = &d.Fields[self]; f.Kind == KindNone {
			f.Kind, f.Accepts = KindString, 1<<EditRemove
			at := uint32(start + 1 + len(name))
			f.Raw, f.Text = Span{at, at}, Span{at, at}
		}
	} else if i = r.content(i, self, &inside, name); i < 0 {
		return i
	}
	r.depth--
	if f = &d.Fields[self]; f.Kind == KindObject {
		f.Raw = Span{uint32(start), uint32(i)}
	}
	return i
}

// knownSpaces are where names come from that are no data.
var knownSpaces = [...]string{
	"http://www.onvif.org/", "http://www.w3.org/", "http://docs.oasis-open.org/", "http://schemas.xmlsoap.org/",
	"http://www.hikvision.com/", "http://www.isapi.org/", "http://www.std-cgi.com/", "urn:psialliance-org",
}

// attribute reads one attribute.
func (r *xmlReader) attribute(i int, parent int32, index *uint32) int {
	d, start := r.d, i
	key, i := r.name(i)
	if i < 0 {
		return i
	}
	name := r.raw[start:i]
	i = skipSpace(r.raw, i)
	if at(r.raw, i) != '=' {
		return r.fail(ReasonMalformed)
	}
	i = skipSpace(r.raw, i+1)
	quote := at(r.raw, i)
	if quote != '"' && quote != '\'' {
		return r.fail(ReasonMalformed)
	}
	i++
	n := bytes.IndexByte(r.raw[i:], quote)
	if n < 0 || bytes.IndexByte(r.raw[i:i+n], '<') >= 0 {
		return r.fail(ReasonMalformed)
	}
	value := Span{uint32(i), uint32(i + n)}
	if (bytes.HasPrefix(name, []byte("xmlns:")) || string(name) == "xmlns" || bytes.HasSuffix(name, []byte(":schemaLocation"))) && isKnownSpace(r.raw[i:i+n]) {
		return i + n + 1
	}
	for j := parent + 1; int(j) < len(d.Fields); j++ {
		if d.Fields[j].Parent == parent && d.Fields[j].Flags&xmlAttribute != 0 && bytes.Equal(r.attributeName(j), name) {
			return r.fail(ReasonDuplicate)
		}
	}
	if *index >= maxAttributes {
		return r.fail(ReasonTooMany)
	}
	f, ok := r.cell(parent, index, key, xmlAttribute)
	if !ok {
		return -1
	}
	if bytes.HasPrefix(name, []byte("xmlns")) {
		f.Accepts = 1 << EditString // its absence would break the names that use it
	}
	f.Raw = value
	if f.Text, ok = r.text(f, value); !ok {
		return -1
	}
	f.Kind = kindOfCell(d.Text(int32(len(d.Fields) - 1)))
	return i + n + 1
}

// maxAttributes bounds the search for equal names.
const maxAttributes = 256

// xmlAttribute marks a field that is an attribute.
const xmlAttribute FieldFlags = 1 << 7

// attributeName returns the name of attribute i with its prefix.
func (r *xmlReader) attributeName(i int32) []byte {
	key := r.d.Fields[i].Key
	start := key.Start
	for isNameByte(r.raw[start-1]) {
		start--
	}
	return r.raw[start:key.End]
}

func isKnownSpace(text []byte) bool {
	if len(text) > 128 {
		return false
	}
	for _, c := range text {
		if c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'z') && bytes.IndexByte([]byte("/.:-_ "), c) < 0 {
			return false
		}
	}
	for _, space := range knownSpaces {
		if bytes.HasPrefix(text, []byte(space)) {
			return true
		}
	}
	return false
}

// content reads what stands between a start tag and its end tag.
func (r *xmlReader) content(i int, self int32, index *uint32, name []byte) int {
	d := r.d
	elements, comments := false, false
	var text Span // from the first piece that is not white space to the last
	var pieces int
	for {
		n := bytes.IndexByte(r.raw[i:], '<')
		if n < 0 {
			return r.fail(ReasonMalformed)
		}
		if piece := trimSpace(r.raw, i, i+n); piece.Len() > 0 {
			text, pieces = join(text, piece, pieces), pieces+1
		}
		i += n
		switch {
		case r.has(i, "</"):
			if !r.has(i+2, string(name)) {
				return r.fail(ReasonMalformed)
			}
			behind := skipSpace(r.raw, i+2+len(name))
			if at(r.raw, behind) != '>' {
				return r.fail(ReasonMalformed)
			}
			if pieces > 0 && (elements || comments) {
				return r.fail(ReasonUnknown)
			}
			if !elements && !comments && !r.leaf(self, index, text, pieces, i) {
				return -1
			}
			if f := &d.Fields[self]; f.Kind == KindNone {
				f.Kind = KindObject
			}
			return behind + 1
		case r.has(i, "<![CDATA["):
			end := bytes.Index(r.raw[i:], []byte("]]>"))
			if end < 0 {
				return r.fail(ReasonMalformed)
			}
			piece := Span{uint32(i), uint32(i + end + 3)}
			text, pieces = join(text, piece, pieces), pieces+1
			i = int(piece.End)
		case r.has(i, "<!--"):
			comments = true
			d.Fields[self].Kind = KindObject
			if i = r.comment(i, self, index); i < 0 {
				return i
			}
		case r.has(i, "<!"), r.has(i, "<?"):
			return r.fail(ReasonUnknown)
		default:
			elements = true
			d.Fields[self].Kind = KindObject
			if i = r.element(i, self, index); i < 0 {
				return i
			}
		}
	}
}

func join(text, piece Span, pieces int) Span {
	if pieces == 0 {
		return piece
	}
	return Span{text.Start, piece.End}
}

func trimSpace(b []byte, i, end int) Span {
	for i < end && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	for end > i && (b[end-1] == ' ' || b[end-1] == '\n' || b[end-1] == '\r' || b[end-1] == '\t') {
		end--
	}
	return Span{uint32(i), uint32(end)}
}

// leaf makes the text of an element without elements a value: the element
// itself, or, beside attributes, a child without a key.
func (r *xmlReader) leaf(self int32, index *uint32, text Span, pieces, end int) bool {
	d := r.d
	if pieces == 0 {
		text = Span{uint32(end), uint32(end)}
	}
	f := &d.Fields[self]
	if f.Kind == KindObject {
		if pieces == 0 {
			return true
		}
		var ok bool
		if f, ok = r.cell(self, index, Span{}, 0); !ok {
			return false
		}
		self = int32(len(d.Fields) - 1)
	}
	f.Kind, f.Raw, f.Accepts = KindString, text, cellAccepts
	var ok bool
	if f.Text, ok = r.text(f, text); !ok {
		return false
	}
	f.Kind = kindOfCell(d.Text(self))
	return true
}

// text resolves references and CDATA sections: in place, or to the arena.
func (r *xmlReader) text(f *Field, span Span) (Span, bool) {
	b, d := r.raw[span.Start:span.End], r.d
	if bytes.IndexByte(b, '&') < 0 && bytes.IndexByte(b, '<') < 0 && !bytes.Contains(b, []byte("]]>")) {
		return span, true
	}
	from := uint32(len(d.arena))
	for len(b) > 0 {
		switch {
		case bytes.HasPrefix(b, []byte("<![CDATA[")):
			n := bytes.Index(b, []byte("]]>"))
			d.arena = append(d.arena, b[len("<![CDATA["):n]...)
			b = b[n+3:]
		case bytes.HasPrefix(b, []byte("]]>")):
			r.fail(ReasonMalformed)
			return Span{}, false
		case b[0] == '&':
			c, n := xmlReference(b)
			if n == 0 {
				r.fail(ReasonMalformed)
				return Span{}, false
			}
			d.arena = utf8.AppendRune(d.arena, c)
			b = b[n:]
		default:
			d.arena = append(d.arena, b[0])
			b = b[1:]
		}
	}
	f.Flags |= TextArena
	return Span{from, uint32(len(d.arena))}, true
}

var xmlEntities = [...]struct {
	name string
	c    rune
}{{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}}

// xmlReference reads a reference (XML 1.0, 4.1): a character and the length of
// what stands for it, 0 for anything else.
func xmlReference(b []byte) (rune, int) {
	for _, e := range xmlEntities {
		if bytes.HasPrefix(b, []byte(e.name)) {
			return e.c, len(e.name)
		}
	}
	end := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if end < 3 || b[1] != '#' {
		return 0, 0
	}
	digits, base := b[2:end], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	c := rune(n)
	if err != nil || digits[0] == '+' || n > utf8.MaxRune || !utf8.ValidRune(c) || c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF {
		return 0, 0
	}
	return c, end + 1
}

func (xmlFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	return appendCells(dst, d, edits, xmlFormat{})
}

// write escapes what has to be in a text and in an attribute of either quote.
func (xmlFormat) write(dst []byte, d *Document, i int32, text []byte) ([]byte, error) {
	f := &d.Fields[i]
	attribute := f.Flags&xmlAttribute != 0
	if len(text) == 0 && f.Key.Len() == 0 {
		return nil, fmt.Errorf("edit field %d: an empty text is none", i)
	}
	// White space around a text would not be read as a part of it.
	inner := trimSpace(text, 0, len(text))
	for n, c := range text {
		space := c == ' ' || c == '\t' || c == '\n'
		switch {
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '"':
			dst = append(dst, "&quot;"...)
		case c == '\'':
			dst = append(dst, "&apos;"...)
		case c == '\r', attribute && space && c != ' ', !attribute && space && (n < int(inner.Start) || n >= int(inner.End)):
			dst = append(strconv.AppendUint(append(dst, "&#"...), uint64(c), 10), ';')
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

// cut takes an attribute with the space before it, a comment, the text beside
// attributes, or an element that is a value.
func (xmlFormat) cut(d *Document, i int32, _ uint32) (Span, string, error) {
	f := &d.Fields[i]
	switch {
	case f.Flags&xmlAttribute != 0:
		start := int(f.Key.Start)
		for isNameByte(d.Raw[start-1]) {
			start--
		}
		for start > 0 && d.Raw[start-1] <= ' ' {
			start--
		}
		return Span{uint32(start), f.Raw.End + 1}, "", nil
	case f.Flags&KeyArena != 0: // a comment
		return Span{f.Raw.Start - 4, f.Raw.End + 3}, "", nil
	case f.Key.Len() == 0:
		return f.Raw, "", nil
	}
	start := bytes.LastIndexByte(d.Raw[:f.Raw.Start], '<')
	end := bytes.IndexByte(d.Raw[f.Raw.End:], '>')
	return Span{uint32(start), f.Raw.End + uint32(end) + 1}, "", nil
}
