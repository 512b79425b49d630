package payload

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A Document is one message made readable. The zero value is ready for [Parse];
// a Document that is parsed into again reuses its memory, and what its methods
// returned before is then invalid. A Document is not for concurrent use, except
// that its fields may be read.
type Document struct {
	Raw      []byte  // the payload, decompressed if it was packed; never modified; must not change while the document is in use
	Topic    string  // as published by the device
	Fields   []Field // topic levels, then the payload's fields
	Root     int32   // index of the payload's root field, -1 where there is none (empty or unreadable payload)
	Media    Media   // of a KindBinary root
	Reserved bool    // a key "_sg", or a token outside of a JSON object, stands somewhere in the input

	format   Format // nil for an empty or unreadable payload
	name     string // of the format
	senml    bool   // a SenML pack in CBOR
	jsonPack answer // whether it is a SenML pack in JSON
	pack     packing
	arena    []byte // the topic, then decoded keys and texts that differ from the raw bytes

	suspects  []int32 // strings of JSON that may hold something, see inner.go
	inners    []inner // those that do
	innerDocs []*Document
	spare     []Field
	decoded   []byte // what an inner document was read from
	unwrapped int    // bytes that were decoded
	inside    int    // fields in inner documents
	level     uint8  // how many encodings it stands in

	edits     []Edit // Append's memory
	tokens    []Token
	sparkplug Sparkplug
	columns   []column // of tables that are being read

	keys    keyMemory
	members []member // the duplicate check's memory, see duplicates.go
	slots   []int32
}

// Defaults of [Limits], and how much memory a Document keeps in any case.
const (
	defaultBytes  = 1 << 20
	maxDepth      = 64
	defaultFields = 1 << 16

	keepFields = 1 << 12
	keepBytes  = 1 << 16
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	l.Bytes = min(l.Bytes, math.MaxInt32) // a Span counts in 32 bits
	if l.Depth <= 0 || l.Depth > maxDepth {
		l.Depth = maxDepth
	}
	if l.Fields <= 0 {
		l.Fields = defaultFields
	}
	l.Fields = min(l.Fields, math.MaxInt32)
	return l
}

// Parse reads topic and raw into d and returns ReasonNone, or why the payload
// can't be read. The topic's levels are in d.Fields either way; an unreadable
// payload has no fields of its own and d.Root is -1. The same is true of an
// empty payload, which is readable.
//
// d keeps raw and does not copy it.
func Parse(d *Document, topic string, raw []byte, lim Limits) Reason {
	lim = lim.withDefaults()
	d.reset()
	d.Topic, d.Raw = topic, raw
	d.parseTopic()
	levels := len(d.Fields)

	why := d.parsePayload(lim)
	if why != ReasonNone {
		d.Fields, d.Raw, d.pack.received = d.Fields[:levels], raw, nil
		d.Root, d.Media, d.format, d.name, d.inners = -1, MediaNone, nil, "unreadable", d.inners[:0]
	}
	return why
}

func (d *Document) parsePayload(lim Limits) Reason {
	switch {
	case len(d.Raw) > lim.Bytes:
		return ReasonTooLarge
	case len(d.Fields) > lim.Fields:
		return ReasonTooMany
	case len(d.Raw) == 0:
		d.name = "empty"
		return ReasonNone
	}
	for _, f := range formats {
		if f.Detect(d.Topic, d.Raw) {
			d.format = f
			why := f.Parse(d, lim)
			if why != ReasonNone || f == Format(packedFormat{}) { // which looked into its inside
				return why
			}
			if !d.TopLevelObject() && bytes.Contains(d.Raw, []byte(TokenMark)) {
				d.Reserved = true
			}
			return d.unwrap(lim)
		}
	}
	if beginsUTF16(d.Raw) || !hasControls(d.Raw) {
		return ReasonEncoding
	}
	return ReasonUnknown
}

// reset forgets the last message. Memory that is large, and that the last
// message made little use of, is given back: a rare large message must not hold
// it for ever.
func (d *Document) reset() {
	if c := cap(d.Fields); c > keepFields && len(d.Fields) < c/4 {
		d.Fields, d.members, d.slots, d.columns, d.sparkplug.Metrics, d.spare = nil, nil, nil, nil, nil, nil
	}
	if c := cap(d.arena); c > keepBytes && len(d.arena) < c/4 {
		d.arena = nil
	}
	if d.pack.inside != nil {
		d.pack.forget()
	}
	d.Fields, d.arena, d.members = d.Fields[:0], d.arena[:0], d.members[:0]
	d.Root, d.Media, d.Reserved, d.format, d.name, d.senml, d.jsonPack = -1, MediaNone, false, nil, "", false, notAsked
	if len(d.innerDocs) > 0 {
		d.forgetInner()
	}
	clear(d.inners)
	d.suspects, d.inners, d.unwrapped, d.inside, d.level = d.suspects[:0], d.inners[:0], 0, 0, 0
	d.sparkplug = Sparkplug{Metrics: d.sparkplug.Metrics[:0]}
}

// Received returns the payload as it was received. It is Raw, unless that was
// decompressed. It must not be modified.
func (d *Document) Received() []byte {
	if d.pack.received != nil {
		return d.pack.received
	}
	return d.Raw
}

// add appends a field for the caller to fill in. To copy one would cost more:
// it is written in parts, and read as a whole too soon after.
func (d *Document) add() *Field {
	d.Fields = append(d.Fields, Field{})
	return &d.Fields[len(d.Fields)-1]
}

// putText makes what was appended to the arena f's text.
func (d *Document) putText(f *Field, longer []byte) {
	f.Text = Span{uint32(len(d.arena)), uint32(len(longer))}
	f.Flags |= TextArena
	d.arena = longer
}

// Key returns the decoded key of field i: empty for array elements, lines,
// roots and topic levels. It must not be modified.
func (d *Document) Key(i int32) []byte {
	f := &d.Fields[i]
	if f.Flags&KeyArena != 0 {
		return d.arena[f.Key.Start:f.Key.End]
	}
	return d.Raw[f.Key.Start:f.Key.End]
}

// Text returns the decoded value of field i as UTF-8: a string without quotes
// and escapes, the literal of a number, boolean or null, a plain-text payload
// or a topic level. It is empty for containers and binary payloads. It must not
// be modified.
func (d *Document) Text(i int32) []byte {
	f := &d.Fields[i]
	if f.Flags&TextArena != 0 {
		return d.arena[f.Text.Start:f.Text.End]
	}
	return d.Raw[f.Text.Start:f.Text.End]
}

// Value returns the raw bytes of field i as the payload (or the topic) has
// them. It must not be modified.
func (d *Document) Value(i int32) []byte {
	f := &d.Fields[i]
	if f.Kind == KindTopic {
		return d.arena[f.Raw.Start:f.Raw.End]
	}
	return d.Raw[f.Raw.Start:f.Raw.End]
}

// Locate returns the bytes of the payload (or the topic) that Text[start:end]
// of field i was decoded from. Of a packed payload that is the inside.
func (d *Document) Locate(i int32, start, end uint32) Span {
	f := &d.Fields[i]
	switch {
	case f.Kind == KindTopic:
		return Span{f.Raw.Start + start, f.Raw.Start + end}
	case f.Flags&Wrapped != 0:
		return f.Raw
	case f.Flags&TextArena == 0:
		return Span{f.Text.Start + start, f.Text.Start + end}
	}
	if l, ok := d.format.(locator); ok {
		return l.locate(d.Raw, f.Raw, start, end)
	}
	return f.Raw
}

// MediaOf returns what field i, of KindBinary, is by its magic number.
func (d *Document) MediaOf(i int32) Media {
	if d.Fields[i].Flags&Wrapped != 0 {
		in := d.innerOf(i)
		return in.doc.MediaOf(i - in.field)
	}
	if i == d.Root {
		return d.Media
	}
	if h, ok := d.format.(holder); ok {
		return recognize(h.bytesIn(d.Value(i)))
	}
	return MediaNone
}

// A holder is a format that binary leaves stand in.
type holder interface {
	bytesIn(value []byte) []byte
}

// A locator is a format whose texts can differ from their raw bytes.
type locator interface {
	locate(raw []byte, value Span, start, end uint32) Span
}

// TopLevelObject reports whether the payload is one JSON object, packed or not:
// a document that a member can be appended to.
func (d *Document) TopLevelObject() bool {
	return d.format == Format(jsonFormat{}) && d.Root >= 0 && d.Fields[d.Root].Kind == KindObject
}

// FormatName returns "json", "jsonl", "cbor", "sparkplug", "form", "text", the name of a
// medium ("jpeg", "gguf"), "gzip", "zlib" or "zstd" whatever is inside, "empty"
// or "unreadable".
func (d *Document) FormatName() string {
	if d.name == "" {
		return "unreadable" // nothing was parsed yet
	}
	return d.name
}

// AppendPath appends the path of field i: a JSON Pointer (RFC 6901) from the
// payload's root, "" for the root itself, or "topic:N" for a topic level.
func (d *Document) AppendPath(dst []byte, i int32) []byte {
	f := &d.Fields[i]
	if f.Kind == KindTopic {
		return strconv.AppendUint(append(dst, topicPrefix...), uint64(f.Index), 10)
	}
	if f.Parent < 0 {
		return dst
	}
	dst = append(d.AppendPath(dst, f.Parent), '/') // as deep as Limits.Depth
	if d.Fields[f.Parent].Kind != KindObject {
		return strconv.AppendUint(dst, uint64(f.Index), 10)
	}
	for _, c := range d.Key(i) {
		switch c {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Find returns the field with a path as [Document.AppendPath] renders it, or -1.
func (d *Document) Find(path string) int32 {
	var buf [128]byte
	h := HashPath(path)
	for i := range d.Fields {
		if d.Fields[i].PathHash == h && string(d.AppendPath(buf[:0], int32(i))) == path {
			return int32(i)
		}
	}
	return -1
}

// Member returns the member of object i with a decoded key, or -1.
func (d *Document) Member(i int32, key string) int32 {
	if d.Fields[i].Kind != KindObject {
		return -1
	}
	end := d.Fields[i].Raw.End
	for j := i + 1; int(j) < len(d.Fields) && d.Fields[j].Raw.Start <= end; j++ { // a last value may be empty
		if d.Fields[j].Parent == i && string(d.Key(j)) == key {
			return j
		}
	}
	return -1
}

// Append appends the payload with edits to dst. All edits are on fields of the
// payload (see [Document.AppendTopic] for the others), in any order. An edit
// that its field does not accept, one that conflicts with another, or a value
// that does not fit the format is an error; dst is then returned as it was.
func (d *Document) Append(dst []byte, edits []Edit) ([]byte, error) {
	if len(edits) == 0 {
		return append(dst, d.Received()...), nil
	}
	return d.apply(dst, edits, packed)
}

// A target is what apply writes.
type target uint8

const (
	packed target = iota // the payload as it was received, packed again
	inside               // what was packed
	levels               // the topic
)

// apply checks and sorts edits, and has the topic or the format carry them out.
func (d *Document) apply(dst []byte, edits []Edit, to target) ([]byte, error) {
	topic := to == levels
	d.tokens = d.tokens[:0]
	d.edits = append(d.edits[:0], edits...)
	sorted := d.edits
	defer clear(sorted) // holds on to no value
	for i := range sorted {
		if err := d.check(&sorted[i], topic); err != nil {
			return dst, err
		}
	}
	slices.SortStableFunc(sorted, func(a, b Edit) int {
		switch {
		case a.Field != b.Field:
			return int(a.Field) - int(b.Field)
		case a.Start != b.Start:
			return int(int64(a.Start) - int64(b.Start))
		}
		return int(int64(a.End) - int64(b.End))
	})
	if len(d.inners) > 0 && !topic {
		defer d.wrapped()()
		var err error
		if sorted, err = d.foldInner(sorted); err != nil {
			return dst, err
		}
	}
	if err := d.checkConflicts(sorted); err != nil {
		return dst, err
	}
	out, err := dst, error(nil)
	if topic {
		out, err = d.appendTopic(dst, sorted)
	} else if d.pack.received != nil && to == packed {
		out, err = d.appendPacked(dst, sorted)
	} else {
		out, err = d.format.Append(dst, d, sorted)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// check checks one edit by itself and writes out the range of WholeText.
func (d *Document) check(e *Edit, topic bool) error {
	if e.Field < 0 || int(e.Field) >= len(d.Fields) {
		return fmt.Errorf("edit field %d: no such field", e.Field)
	}
	f := &d.Fields[e.Field]
	switch {
	case (f.Kind == KindTopic) != topic:
		return fmt.Errorf("edit field %d: topic levels and payload fields are edited apart", e.Field)
	case !f.Accepts.Has(e.Kind):
		return fmt.Errorf("edit field %d: edit kind %d is not accepted", e.Field, e.Kind)
	case e.Kind == EditToken:
		if err := checkToken(e); err != nil {
			return err
		}
		switch {
		case e.WholeText:
			if e.Start, e.End = 0, 0; d.format == Format(textFormat{}) {
				e.End = uint32(len(d.Raw))
			}
			return nil
		case d.Partial(e.Field):
		default:
			return fmt.Errorf("edit field %d: a token takes all of it", e.Field)
		}
	case e.Kind != EditString:
		return nil
	}
	text := d.Text(e.Field)
	if e.WholeText {
		e.Start, e.End = 0, uint32(len(text))
	}
	if e.Start > e.End || int(e.End) > len(text) {
		return fmt.Errorf("edit field %d: range is outside the text", e.Field)
	}
	if splitsRune(text, e.Start) || splitsRune(text, e.End) {
		return fmt.Errorf("edit field %d: range splits a character", e.Field)
	}
	return nil
}

// checkConflicts expects sorted edits. Fields stand in document order, so an
// edit inside a replaced or removed container begins before that one's end.
func (d *Document) checkConflicts(edits []Edit) error {
	for i := 1; i < len(edits); i++ {
		a, b := &edits[i-1], &edits[i]
		if a.Field == b.Field {
			ranges := d.isRange(a) && d.isRange(b)
			if !ranges || b.Start < a.End || a.Start == b.Start {
				return fmt.Errorf("edit field %d: edits conflict", b.Field)
			}
			continue
		}
		if d.Fields[b.Field].Raw.Start < d.Fields[a.Field].Raw.End {
			return fmt.Errorf("edit field %d: lies inside field %d, which is edited too", b.Field, a.Field)
		}
	}
	return nil
}

// isRange reports whether an edit is about a range of a text.
func (d *Document) isRange(e *Edit) bool {
	return e.Kind == EditString || e.Kind == EditToken && d.Partial(e.Field)
}

func splitsRune(text []byte, at uint32) bool {
	return int(at) < len(text) && text[at]&0xC0 == 0x80
}
