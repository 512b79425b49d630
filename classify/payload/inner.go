package payload

import (
	"slices"
	"unicode/utf8"
)

// A string may hold a document: JSON or XML as it is, or anything in base64,
// hexadecimal, percent escapes or a data URI. Bytes in a binary format may hold
// one as they are. Such a value is read as what it holds: an object or array
// whose members are fields behind it, bytes of a known medium, or the decoded
// text. All of these carry the flag Wrapped. An edit of one has the document
// written anew, and encoded as it was.
//
// What does not resolve stays the string that it is, unless it is packed too
// well, nested in more than maxLevels of encoding, or an image with bytes behind
// its end: the payload is unreadable then.

const (
	minEncoded = 16 // bytes of a string from which on it is looked at
	minHex     = 20 // of a hexadecimal one, which many identifiers look like
	maxLevels  = 4  // of encodings around each other
	keepInner  = 4  // documents whose memory is kept

	// maxUnwrapped is how many times the size of a payload may come out of all
	// its strings.
	maxUnwrapped = 4

	maxInner = 1024 // strings of one payload that hold something
)

// An inner is a string that holds something.
type inner struct {
	field  int32 // the string
	count  int32 // fields behind it that are inside
	before int32 // the sum of counts before it
	layer  layer
	doc    *Document // what it holds; its fields behind the root are the ones inside

	// What the field was before it became what it holds.
	kind  Kind
	text  Span
	flags FieldFlags
}

// A layer is one encoding.
type layer struct {
	kind   layerKind
	pad    bool // base64 with "=" where it takes some
	upper  bool // hexadecimal digits
	prefix Span // of a data URI in the string's text
}

type layerKind uint8

const (
	layerNone layerKind = iota
	layerPlain
	layerBase64
	layerBase64URL
	layerHex
	layerPercent
	layerBytes // no string but bytes in a binary format: read, and never written
)

// unwrap looks into the strings of a document that was read.
func (d *Document) unwrap(lim Limits) Reason {
	if d.format == Format(jsonFormat{}) {
		for _, i := range d.suspects {
			if why := d.unwrapField(i, lim); why != ReasonNone {
				return why
			}
		}
	} else {
		for i := range d.Fields {
			k := d.Fields[i].Kind
			if k == KindString || k == KindText || k == KindBinary && int32(i) != d.Root {
				if why := d.unwrapField(int32(i), lim); why != ReasonNone {
					return why
				}
			}
		}
	}
	if len(d.inners) > 0 {
		d.insertInner()
	}
	return ReasonNone
}

// unwrapField reads what string i holds, if it holds something.
func (d *Document) unwrapField(i int32, lim Limits) Reason {
	if d.level > maxLevels {
		return ReasonNone // what it stands in is refused
	}
	text, l := d.Text(i), layer{kind: layerBytes}
	if d.Fields[i].Kind == KindBinary {
		h, ok := d.format.(holder)
		if !ok {
			return ReasonNone
		}
		if text = h.bytesIn(d.Value(i)); recognize(text) != MediaNone {
			return ReasonNone // known as it is
		}
	} else {
		if len(text) < minEncoded {
			return ReasonNone
		}
		l = guessLayer(text)
	}
	if l.kind == layerNone {
		return ReasonNone
	}
	doc := d.innerDocument()
	decoded, ok := l.decode(doc.decoded[:0], text)
	doc.decoded = decoded
	if !ok || len(decoded) == 0 {
		return ReasonNone
	}
	most := lim
	most.Bytes = min(lim.Bytes, maxUnwrapped*lim.Bytes-d.unwrapped)
	most.Fields = lim.Fields - len(d.Fields) - d.inside
	why := doc.parseInner(decoded, most, d.level+1)
	if why == ReasonNone && doc.Root < 0 {
		return ReasonNone // nothing is in it
	}
	d.unwrapped += max(len(decoded), len(doc.Raw)) + doc.unwrapped
	switch why {
	case ReasonNone:
		if doc.pack.received == nil && doc.Fields[doc.Root].Kind == KindNumber {
			doc.parseText(decoded) // digits are more than a number, unless they are packed
		}
	case ReasonEncoding:
		if beginsUTF16(decoded) && l.kind != layerPlain {
			return why
		}
		return ReasonNone
	case ReasonTooLarge, ReasonTooDeep, ReasonTooMany, ReasonTrailing:
		if l.kind != layerPlain || why != ReasonTrailing {
			return why
		}
		return ReasonNone
	default:
		if l.kind == layerPlain || !doc.parseText(decoded) {
			return ReasonNone
		}
	}
	if !doc.holds(l) {
		return ReasonNone
	}
	if d.level == maxLevels {
		return ReasonTooDeep
	}
	if len(d.inners) == maxInner {
		return ReasonTooMany
	}
	f := &d.Fields[i]
	d.inside += len(doc.Fields) - 1
	d.inners = append(d.inners, inner{field: i, layer: l, doc: doc, kind: f.Kind, text: f.Text, flags: f.Flags})
	return ReasonNone
}

// innerDocument returns a document to read into.
func (d *Document) innerDocument() *Document {
	if n := len(d.inners); n < len(d.innerDocs) {
		return d.innerDocs[n]
	}
	doc := new(Document)
	if len(d.innerDocs) < keepInner && len(d.inners) == len(d.innerDocs) {
		d.innerDocs = append(d.innerDocs, doc)
	}
	return doc
}

// forgetInner gives the memory of large documents in strings back.
func (d *Document) forgetInner() {
	for _, doc := range d.innerDocs {
		if cap(doc.decoded) > keepBytes || cap(doc.Fields) > keepFields {
			d.innerDocs, d.spare = nil, nil
			return
		}
	}
}

// parseInner reads what a string holds.
func (d *Document) parseInner(raw []byte, lim Limits, level uint8) Reason {
	d.reset()
	d.Topic, d.Raw, d.level = "", raw, level
	why := d.parsePayload(lim)
	if why != ReasonNone {
		d.pack.received = nil
	}
	return why
}

// parseText reads as text what is broken as anything else: it is still looked at.
func (d *Document) parseText(raw []byte) bool {
	if !isText(raw) {
		return false
	}
	d.reset()
	d.Topic, d.Raw, d.format = "", raw, textFormat{}
	return textFormat{}.Parse(d, Limits{}.withDefaults()) == ReasonNone
}

// holds reports whether what was read is what was meant, and no accident of
// random bytes: an identifier must not become a list of numbers.
func (d *Document) holds(l layer) bool {
	if d.Root < 0 {
		return false
	}
	switch root := &d.Fields[d.Root]; root.Kind {
	case KindBinary:
		return true
	case KindText:
		return l.kind != layerPlain && isWords(d.Text(d.Root))
	case KindObject, KindArray, KindLines:
		if textual := isText(d.Raw); textual {
			return true
		}
		for i := range d.Fields {
			if f := &d.Fields[i]; f.Kind == KindString && f.Text.Len() > 1 || f.Flags&KeyArena == 0 && f.Key.Len() > 1 {
				return true
			}
		}
	case KindString, KindNumber:
		return l.kind != layerPlain && isText(d.Raw)
	}
	return false
}

// isWords reports whether half of a text or more is letters, digits and spaces, as in
// what somebody wrote and not in what happens to decode.
func isWords(text []byte) bool {
	words := 0
	for _, c := range text {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c-'0' <= 9 || c == ' ' || c == '.' || c == '@' || c == '-' || c >= utf8.RuneSelf {
			words++
		}
	}
	return 2*words >= len(text)
}

// insertInner makes strings what they hold, and puts the fields inside behind
// them.
func (d *Document) insertInner() {
	sum := int32(0)
	for n := range d.inners {
		in := &d.inners[n]
		in.before = sum
		if in.doc.Root >= 0 && !in.doc.Fields[in.doc.Root].Kind.Leaf() {
			in.count = int32(len(in.doc.Fields)) - 1
		}
		sum += in.count
	}
	old := d.Fields
	if sum > 0 {
		d.spare = append(d.spare[:0], make([]Field, len(old)+int(sum))...)
		d.Fields, d.spare = d.spare, old[:0]
	}
	next := 0
	for i := range old {
		to := i
		if sum > 0 {
			to = int(d.moved(int32(i)))
			f := old[i]
			if f.Parent >= 0 {
				f.Parent = d.moved(f.Parent)
			}
			d.Fields[to] = f
		}
		if next < len(d.inners) && d.inners[next].field == int32(i) {
			d.wrap(&d.inners[next], int32(to))
			next++
		}
	}
	if sum > 0 {
		for n := range d.sparkplug.Metrics {
			m := &d.sparkplug.Metrics[n]
			m.Field, m.last = d.moved(m.Field), d.moved(m.last+1)-1
		}
	}
	for n := range d.inners {
		d.inners[n].field += d.inners[n].before
	}
}

// moved returns where field i comes to stand.
func (d *Document) moved(i int32) int32 {
	n, _ := slices.BinarySearchFunc(d.inners, i, func(in inner, i int32) int { return int(in.field) - int(i) })
	if n == 0 {
		return i
	}
	return i + d.inners[n-1].before + d.inners[n-1].count
}

// wrap makes field self what it holds.
func (d *Document) wrap(in *inner, self int32) {
	doc := in.doc
	root := &doc.Fields[doc.Root]
	f := &d.Fields[self]
	f.Flags |= Wrapped
	d.Reserved = d.Reserved || doc.Reserved
	switch root.Kind {
	case KindText, KindString, KindNumber:
		f.Kind = KindString
		f.Text, f.Flags = d.putBytes(string(doc.Text(doc.Root))), f.Flags|TextArena
		if in.kind == KindText {
			f.Kind = KindText
		}
		if !root.Accepts.Has(EditString) {
			f.Accepts &^= 1 << EditString
		}
		return
	case KindBinary:
		f.Kind, f.Text = KindBinary, Span{}
		f.Flags &^= TextArena
		if f.Accepts.Has(EditString) {
			f.Accepts = f.Accepts&^(1<<EditString) | root.Accepts
		}
		return
	case KindLines:
		f.Kind = KindArray
	default:
		f.Kind = root.Kind
	}
	writable := f.Accepts.Has(EditString)
	f.Text, f.Accepts = Span{}, f.Accepts&^(1<<EditString)
	f.Flags &^= TextArena
	for i := int32(1); int(i) < len(doc.Fields); i++ {
		g := doc.Fields[i]
		key, text := doc.Key(i), doc.Text(i)
		g.Parent += self
		step := indexHash
		if d.Fields[g.Parent].Kind == KindObject {
			step = keyStep(key, hashKey(key))
		}
		g.PathHash = stepHash(d.Fields[g.Parent].PathHash, step)
		g.Key = d.putBytes(string(key))
		if g.Kind.Leaf() {
			g.Text = d.putBytes(string(text))
		}
		g.Raw, g.Flags, g.Place = f.Raw, KeyArena|TextArena|Wrapped, 0
		switch {
		case !writable:
			g.Accepts = 0
		case g.Kind.Leaf():
			g.Accepts &= 1<<EditString | 1<<EditNumber | 1<<EditRemove
		default:
			g.Accepts &= 1 << EditRemove
		}
		d.Fields[self+i] = g
	}
}

// innerOf returns the inner that field i is or stands in, or nil.
func (d *Document) innerOf(i int32) *inner {
	n, found := slices.BinarySearchFunc(d.inners, i, func(in inner, i int32) int { return int(in.field) - int(i) })
	if !found {
		n--
	}
	if n < 0 || i > d.inners[n].field+d.inners[n].count {
		return nil
	}
	return &d.inners[n]
}

// foldInner replaces the edits of what strings hold by edits of the strings,
// which are what they were until the edits are carried out. Edits are sorted.
func (d *Document) foldInner(edits []Edit) ([]Edit, error) {
	var out []Edit
	for len(edits) > 0 {
		in := d.innerOf(edits[0].Field)
		if in == nil || edits[0].Field == in.field && edits[0].Kind != EditString && edits[0].Kind != EditStrip {
			out, edits = append(out, edits[0]), edits[1:]
			continue
		}
		n := 0
		var mine []Edit
		for n < len(edits) && edits[n].Field <= in.field+in.count && (n > 0 || edits[n].Field >= in.field) {
			e := edits[n]
			e.Field -= in.field
			mine, n = append(mine, e), n+1
		}
		edits = edits[n:]
		inside, err := in.doc.Append(nil, mine)
		if err != nil {
			return nil, err
		}
		f := &d.Fields[in.field]
		f.Kind, f.Text, f.Flags = in.kind, in.text, in.flags
		text := d.Text(in.field)
		out = append(out, Edit{Field: in.field, Kind: EditString, End: uint32(len(text)), Value: in.layer.encode(nil, inside, text)})
	}
	return out, nil
}

// A wrapping is what strings were turned into.
type wrapping struct {
	kind  Kind
	text  Span
	flags FieldFlags
}

// wrapped notes what the strings are now, and returns what puts that back.
func (d *Document) wrapped() func() {
	now := make([]wrapping, len(d.inners))
	for n, in := range d.inners {
		f := &d.Fields[in.field]
		now[n] = wrapping{f.Kind, f.Text, f.Flags}
	}
	return func() {
		for n, in := range d.inners {
			f := &d.Fields[in.field]
			f.Kind, f.Text, f.Flags = now[n].kind, now[n].text, now[n].flags
		}
	}
}
