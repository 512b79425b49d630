package payload

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sparkplugFormat is the payload of Sparkplug B (Eclipse Sparkplug 3.0, 6.4): a
// protobuf message under the topic spBv1.0/…, other than STATE. Protobuf has no
// mark of its own, so the topic says what to look for and the bytes have to fit.
//
// The root's members are the metrics by name: a leaf, or the container that a
// DataSet or Template is. Properties and metadata of a metric stand in an object
// of the same name. A metric without a name has its alias as the key, until
// [Document.NameMetric] says what the birth certificate called it. Metrics of
// one name may repeat, and so their paths.
//
// Sequence number, timestamps, aliases and datatypes are no fields: no edit
// touches them, and none touches bdSeq. Unknown protobuf fields, a field that
// stands twice, and a body (compressed, or of another application) make the
// payload unreadable.
type sparkplugFormat struct{}

// Sparkplug is what the life cycle of an edge node needs of a payload.
type Sparkplug struct {
	Seq     uint64
	HasSeq  bool
	Metrics []Metric // in the order of the payload, those of templates among them
}

// A Metric is one metric of a Sparkplug payload. It must not be modified.
type Metric struct {
	Field    int32  // its value's field
	Alias    uint64 // if Aliased
	Datatype uint32 // 0 where the payload does not say: a birth certificate does
	Named    bool   // the payload has its name
	Aliased  bool
	Inner    bool // stands in a template

	last  int32 // the last field that belongs to it
	whole Span  // the metric in its message, tag included
	null  Span  // is_null where it stands beside a value, else empty
}

// bdSeq ties a death to its birth (Sparkplug 3.0, 6.4.20): never edited.
const bdSeq = "bdSeq"

// Datatypes that matter here (Sparkplug 3.0, 6.4.16).
const (
	sparkplugInt8  = 1
	sparkplugInt64 = 4
)

// Sparkplug returns the frame of a Sparkplug B payload, nil for any other. It is
// valid until the document is parsed into again.
func (d *Document) Sparkplug() *Sparkplug {
	if d.name != "sparkplug" {
		return nil
	}
	return &d.sparkplug
}

// NameMetric gives metric n of [Sparkplug.Metrics], which has an alias instead,
// the name and datatype that its birth certificate declared. Do it before the
// document is looked at: paths change.
func (d *Document) NameMetric(n int, name []byte, datatype uint32) {
	m := &d.sparkplug.Metrics[n]
	if m.Named || m.Datatype != 0 && m.Datatype != datatype && datatype != 0 {
		return
	}
	m.Named, m.Datatype = true, datatype
	key := Span{uint32(len(d.arena)), uint32(len(d.arena) + len(name))}
	d.arena = append(d.arena, name...)
	parent := d.Fields[m.Field].Parent
	for i := m.first(d); i <= m.last; i++ {
		f := &d.Fields[i]
		if f.Parent == parent {
			f.Key, f.Flags = key, f.Flags|KeyArena
		}
		step := indexHash
		if d.Fields[f.Parent].Kind == KindObject {
			k := d.Key(i)
			step = keyStep(k, hashKey(k))
		}
		f.PathHash = stepHash(d.Fields[f.Parent].PathHash, step)
	}
	f := &d.Fields[m.Field]
	if string(name) == bdSeq {
		f.Accepts = 0
	}
	if w, ok := readWire(d.Raw, int(f.Raw.Start), int(f.Raw.End)); ok && f.Kind == KindNumber && w.kind == wireVarint {
		d.sparkplugInteger(f, w, w.number == metricValue, datatype)
	}
}

// isSigned reports whether a datatype is one of signed integers.
func isSigned(datatype uint32) bool {
	return datatype >= sparkplugInt8 && datatype <= sparkplugInt64
}

// first is the first field of a metric.
func (m *Metric) first(d *Document) int32 {
	i, parent := m.Field, d.Fields[m.Field].Parent
	for i-1 > parent && d.Fields[i-1].Raw.Start >= m.whole.Start {
		i--
	}
	return i
}

// Detect expects the topic of a node's or device's message, and a payload whose
// outermost fields are those of Sparkplug: JSON under such a topic is JSON.
func (sparkplugFormat) Detect(topic string, raw []byte) bool {
	rest, ok := strings.CutPrefix(topic, "spBv1.0/")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, "/") // the group
	kind, _, _ := strings.Cut(rest, "/")
	switch kind {
	case "NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD":
	default:
		return false
	}
	for i := 0; i < len(raw); {
		f, ok := readWire(raw, i, len(raw))
		if !ok || f.number > 5 {
			return false
		}
		i = f.end
	}
	return true
}

func (sparkplugFormat) Parse(d *Document, lim Limits) Reason {
	d.name, d.Root = "sparkplug", int32(len(d.Fields))
	if len(d.Fields) >= lim.Fields {
		return ReasonTooMany
	}
	root := d.add()
	root.Parent, root.PathHash, root.Kind, root.Raw = -1, rootHash, KindObject, Span{0, uint32(len(d.Raw))}
	r := sparkplugReader{d: d, raw: d.Raw, lim: lim}
	r.payload()
	return r.why
}

// bytesIn returns the bytes of a binary leaf.
func (sparkplugFormat) bytesIn(value []byte) []byte {
	f, ok := readWire(value, 0, len(value))
	if !ok || f.kind != wireBytes {
		return nil
	}
	return value[f.body:f.end]
}

// A sparkplugReader reads messages into fields. The first problem stops it.
type sparkplugReader struct {
	d     *Document
	raw   []byte
	lim   Limits
	depth int
	why   Reason
}

func (r *sparkplugReader) fail(why Reason) bool {
	if r.why == ReasonNone {
		r.why = why
	}
	return false
}

// fields calls f for each field of the message at i until it returns false.
func (r *sparkplugReader) fields(i, end int, f func(at int, w wireField) bool) bool {
	for i < end {
		w, ok := readWire(r.raw, i, end)
		if !ok {
			return r.fail(ReasonMalformed)
		}
		if !f(i, w) {
			return false
		}
		i = w.end
	}
	return true
}

// expect checks a field's wire type and that it is the first of its number.
func (r *sparkplugReader) expect(seen *uint32, w wireField, kind uint8) bool {
	switch bit := uint32(1) << w.number; {
	case w.kind != kind:
		return r.fail(ReasonMalformed)
	case *seen&bit != 0:
		return r.fail(ReasonDuplicate)
	default:
		*seen |= bit
	}
	return true
}

// text checks a field of UTF-8.
func (r *sparkplugReader) text(w wireField) (Span, bool) {
	if w.kind != wireBytes {
		return Span{}, r.fail(ReasonMalformed)
	}
	if !utf8.Valid(r.raw[w.body:w.end]) {
		return Span{}, r.fail(ReasonEncoding)
	}
	return w.bytes(), true
}

func (r *sparkplugReader) payload() {
	d, seen, index := r.d, uint32(0), uint32(0)
	r.fields(0, len(r.raw), func(at int, w wireField) bool {
		switch w.number {
		case 1: // timestamp
			return r.expect(&seen, w, wireVarint)
		case 2:
			return w.kind == wireBytes && r.metric(d.Root, &index, at, w, false) || r.fail(ReasonMalformed)
		case 3:
			d.sparkplug.Seq, d.sparkplug.HasSeq = w.value, true
			return r.expect(&seen, w, wireVarint)
		case 4:
			return r.expect(&seen, w, wireBytes) && r.string(d.Root, &index, "uuid", at, w)
		}
		return r.fail(ReasonUnknown) // a body is of no known kind
	})
}

// member adds a member whose value is still to be read.
func (r *sparkplugReader) member(parent int32, index *uint32, key Span, flags FieldFlags) (int32, bool) {
	self := int32(len(r.d.Fields))
	if int(self) >= r.lim.Fields {
		return 0, r.fail(ReasonTooMany)
	}
	r.d.addMember(parent, *index, key, flags)
	*index++
	return self, true
}

// string adds a member with a name that the format gives it.
func (r *sparkplugReader) string(parent int32, index *uint32, name string, at int, w wireField) bool {
	text, ok := r.text(w)
	if !ok {
		return false
	}
	key := Span{uint32(len(r.d.arena)), uint32(len(r.d.arena) + len(name))}
	r.d.arena = append(r.d.arena, name...)
	self, ok := r.member(parent, index, key, KeyArena)
	if ok {
		f := &r.d.Fields[self]
		f.Kind, f.Text, f.Raw, f.Accepts = KindString, text, Span{uint32(at), uint32(w.end)}, 1<<EditString
	}
	return ok
}

// Field numbers of a metric's value.
const (
	metricNull     = 7
	metricMeta     = 8
	metricProps    = 9
	metricValue    = 10
	metricDataSet  = 17
	metricTemplate = 18
	metricLast     = 19
)

// metric reads one metric, its fields in the order of the payload.
func (r *sparkplugReader) metric(parent int32, index *uint32, at int, whole wireField, inner bool) bool {
	d, seen := r.d, uint32(0)
	var name, null, value Span
	m := Metric{Inner: inner, whole: Span{uint32(at), uint32(whole.end)}}
	kinds := [...]uint8{1: wireBytes, wireVarint, wireVarint, wireVarint, wireVarint, wireVarint, wireVarint, wireBytes, wireBytes}
	isNull, apart := false, false
	ok := r.fields(whole.body, whole.end, func(at int, w wireField) bool {
		if w.number < metricValue {
			if !r.expect(&seen, w, kinds[w.number]) {
				return false
			}
		} else if w.number >= metricLast {
			return r.fail(ReasonUnknown)
		} else if value.End > 0 { // of a oneof the last would count
			return r.fail(ReasonDuplicate)
		}
		switch w.number {
		case 1:
			name, m.Named = w.bytes(), true
			if _, ok := r.text(w); !ok {
				return false
			}
		case 2:
			m.Alias, m.Aliased = w.value, true
		case 4:
			m.Datatype = uint32(w.value)
		case metricNull:
			null, isNull = Span{uint32(at), uint32(w.end)}, w.value != 0
		case metricMeta, metricProps:
			apart = true
		case 3, 5, 6:
		default:
			value = Span{uint32(at), uint32(w.end)}
		}
		return true
	})
	flags := FieldFlags(0)
	switch {
	case !ok:
		return false
	case isNull && value.End > 0:
		return r.fail(ReasonMalformed) // which of both counts is anybody's guess
	case m.Named:
	case m.Aliased:
		name.Start, flags = uint32(len(d.arena)), KeyArena
		d.arena = strconv.AppendUint(d.arena, m.Alias, 10)
		name.End = uint32(len(d.arena))
	default:
		return r.fail(ReasonMalformed)
	}
	m.null = null
	if value.End == 0 {
		if value = null; null.End == 0 {
			value = Span{uint32(whole.end), uint32(whole.end)}
		}
	}
	n := len(d.sparkplug.Metrics)
	d.sparkplug.Metrics = append(d.sparkplug.Metrics, m)
	leaf := func() bool {
		self, ok := r.member(parent, index, name, flags)
		if !ok {
			return false
		}
		d.sparkplug.Metrics[n].Field = self
		f := &d.Fields[self]
		f.Raw = value
		if value == null || value.Len() == 0 {
			f.Kind = KindNull
			d.putText(f, append(d.arena, "null"...))
		} else {
			w, _ := readWire(r.raw, int(value.Start), int(value.End))
			if !r.value(self, w, metricValue, m.Datatype) {
				return false
			}
			d.Fields[self].Accepts |= 1 << EditNull
			if !inner {
				d.Fields[self].Accepts |= 1 << EditToken
			}
		}
		f = &d.Fields[self]
		if !apart {
			f.Accepts |= 1 << EditRemove
		}
		if string(d.Key(self)) == bdSeq {
			f.Accepts = 0
		}
		return true
	}
	done := false
	if apart {
		ok = r.fields(whole.body, whole.end, func(at int, w wireField) bool {
			if !done && at >= int(value.Start) {
				if done = true; !leaf() {
					return false
				}
			}
			if w.number != metricMeta && w.number != metricProps {
				return true
			}
			self, ok := r.member(parent, index, name, flags)
			if !ok {
				return false
			}
			f := &d.Fields[self]
			f.Kind, f.Raw = KindObject, Span{uint32(at), uint32(w.end)}
			if w.number == metricMeta {
				return r.metadata(self, w)
			}
			return r.properties(self, w)
		})
	}
	if ok && !done {
		ok = leaf()
	}
	d.sparkplug.Metrics[n].last = int32(len(d.Fields) - 1)
	return ok
}

// value reads a oneof of values, whose first number is base, into self, whose
// Raw is set.
func (r *sparkplugReader) value(self int32, w wireField, base uint64, datatype uint32) bool {
	d := r.d
	f := &d.Fields[self]
	if int(w.number-base) >= len(wireOfValue) || w.kind != wireOfValue[w.number-base] {
		return r.fail(ReasonMalformed)
	}
	f.Accepts = 1 << EditNumber
	switch w.number - base {
	case 0, 1:
		f.Kind = KindNumber
		d.sparkplugInteger(f, w, w.number == base, datatype)
	case 2:
		f.Kind = KindNumber
		d.putText(f, appendFloat(d.arena, float64(math.Float32frombits(uint32(w.value))), 32))
	case 3:
		f.Kind = KindNumber
		d.putText(f, appendFloat(d.arena, math.Float64frombits(w.value), 64))
	case 4:
		f.Kind, f.Accepts = KindBool, 0
		d.putText(f, strconv.AppendBool(d.arena, w.value != 0))
	case 5:
		text, ok := r.text(w)
		if !ok {
			return false
		}
		f.Kind, f.Text, f.Accepts = KindString, text, 1<<EditString
	case 6: // of a metric; elsewhere these numbers are other messages
		f.Kind, f.Accepts = KindBinary, 0
		if isText(r.raw[w.body:w.end]) {
			f.Kind, f.Text, f.Accepts = KindString, w.bytes(), 1<<EditString
		}
	case 7:
		f.Kind, f.Accepts = KindArray, 0
		return r.dataSet(self, w)
	case 8:
		f.Kind, f.Accepts = KindObject, 0
		return r.template(self, w)
	}
	return true
}

// wireOfValue are the wire types of values, in the order of a metric's.
var wireOfValue = [...]uint8{wireVarint, wireVarint, wireFixed32, wireFixed64, wireVarint, wireBytes, wireBytes, wireBytes, wireBytes}

// plainValues are the values that everything has that has a value.
const plainValues = 6

// sparkplugInteger writes the text of an integer: signed where the datatype says
// so, which carries it in two's complement.
func (d *Document) sparkplugInteger(f *Field, w wireField, short bool, datatype uint32) {
	signed := isSigned(datatype)
	switch {
	case short && signed:
		d.putText(f, strconv.AppendInt(d.arena, int64(int32(w.value)), 10))
	case short:
		d.putText(f, strconv.AppendUint(d.arena, uint64(uint32(w.value)), 10))
	case signed:
		d.putText(f, strconv.AppendInt(d.arena, int64(w.value), 10))
	default:
		d.putText(f, strconv.AppendUint(d.arena, w.value, 10))
	}
}

// metricOf returns the metric whose value field i is, or nil.
func (d *Document) metricOf(i int32) *Metric {
	ms := d.sparkplug.Metrics
	// Metrics of a template stand behind the metric that it is, fields too.
	n, found := slices.BinarySearchFunc(ms, i, func(m Metric, i int32) int { return int(m.Field) - int(i) })
	if !found {
		return nil
	}
	return &ms[n]
}
