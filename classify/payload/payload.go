// Package payload makes what a device said readable and rewritable, whatever
// its encoding.
//
// Mental model: a message is a topic and some bytes. [Parse] turns both into a
// flat list of [Field]s, each with the place where its value stands in the
// bytes, its decoded text, and the edits that its format can carry out there.
// [Document.Append] writes the bytes again with a list of [Edit]s applied;
// every byte that no edit touches is identical to the input.
//
// The package is the only tokenizer of foreign bytes in Sealgate. It is strict:
// what begins like JSON and is not strict JSON (RFC 8259, UTF-8, no duplicate
// keys after unescaping) is unreadable, and says so with a [Reason]. So is every
// payload that no [Format] recognizes. What is compressed is decompressed first,
// once, and its spans are places in the inside. Input is bounded by [Limits], never
// panics, and costs time in proportion to its size whatever a sender chooses.
//
// It does not know what a value means (package classify), never guesses an
// encoding from a file name or a topic alone, and does not look into images and
// model files beyond their structure.
package payload

// A Reason is a closed word for why something is not as it should be: safe to
// log and to use as a metric label. The empty Reason means nothing is wrong.
// Packages that tighten a message declare further reasons of this type.
type Reason string

// Reasons of this package: why a payload can't be read.
const (
	ReasonNone       Reason = ""
	ReasonMalformed  Reason = "malformed"   // begins like a known format and breaks its grammar
	ReasonDuplicate  Reason = "duplicate"   // two keys of one object are equal after unescaping
	ReasonEncoding   Reason = "encoding"    // not UTF-8, a lone surrogate, UTF-16
	ReasonTooDeep    Reason = "too_deep"    // nested deeper than Limits.Depth
	ReasonTooMany    Reason = "too_many"    // more fields than Limits.Fields
	ReasonTooLarge   Reason = "too_large"   // more bytes than Limits.Bytes
	ReasonUnknown    Reason = "unknown"     // binary of no known format
	ReasonTrailing   Reason = "trailing"    // bytes after the end of the document or image
	ReasonReservedIn Reason = "reserved_in" // input already holds the member "_sg"
)

// A Span is a half-open range of bytes.
type Span struct{ Start, End uint32 }

// Len is the number of bytes in the span.
func (s Span) Len() int { return int(s.End - s.Start) }

// Kind says what a Field is.
type Kind uint8

// Kinds. Object, Array and Lines are containers; all others are leaves.
const (
	KindNone   Kind = iota
	KindObject      // JSON object, CBOR map, the metrics of Sparkplug
	KindArray       // JSON or CBOR array
	KindLines       // root of JSON lines: its children are the documents, in order
	KindString
	KindNumber
	KindBool
	KindNull
	KindText   // a plain-text payload, whole
	KindBinary // bytes: a payload of a known binary format, whole (see Document.Media), or a leaf in another format
	KindTopic  // one level of the topic
)

// Leaf reports whether a field of this kind carries a value itself.
func (k Kind) Leaf() bool { return k >= KindString }

// Media is a binary format known by its magic number.
type Media uint8

// Known media. What each may carry is the taxonomy's affair.
const (
	MediaNone Media = iota
	MediaJPEG
	MediaPNG
	MediaGGUF
	MediaSafetensors
	MediaTFLite
	MediaWebP
	MediaGIF
	MediaHEIF // AVIF too
	MediaMP4
	MediaTS
	MediaWAV
	MediaMP3
	MediaOgg
	MediaExecuTorch
	MediaPyTorch
	MediaHDF5
	MediaNumPy
	MediaPickle
	MediaONNX
)

// EditKind is one way of changing a field.
type EditKind uint8

// The edit kinds.
const (
	EditString EditKind = iota + 1 // replace Text[Start:End] by Value; the result is a string, escaped by the format
	EditNumber                     // replace the value by the number literal Value
	EditRaw                        // replace the raw value by Value, which is valid in the format (`null`, `{"a":1}`)
	EditRemove                     // remove the field; the document stays well-formed
	EditStrip                      // leave out the metadata of a picture or film; the picture stays
	EditNull                       // take the value away in the format's own way: the field stays and says that it has none
	EditToken                      // put Value, which begins with TokenMark, in place of the value or, of a plain text, of Text[Start:End]; see AppendTokens
)

// EditMask is the set of edit kinds that a format can carry out on a field.
type EditMask uint8

// Has reports whether k is in the set.
func (m EditMask) Has(k EditKind) bool { return m&(1<<k) != 0 }

// With returns the set with k added.
func (m EditMask) With(k EditKind) EditMask { return m | 1<<k }

// An Edit changes one field. Several EditString edits on one field (and EditToken edits on a
// plain text) are allowed where their ranges do not overlap; any other combination on one field, or an
// edit on a field inside one that is replaced or removed, is an error.
type Edit struct {
	Field      int32
	Start, End uint32 // EditString, EditToken: range in the field's Text; Start == End == 0 with WholeText set means all of it
	Kind       EditKind
	WholeText  bool
	Value      []byte
}

// A Field is one node of a document: a container, a leaf or a topic level.
// Fields are stored in document order, parents before children; topic levels
// come first.
type Field struct {
	Parent   int32    // index of the container, -1 for a root or topic level
	Index    uint32   // position among its siblings (array index, line, topic level)
	Key      Span     // decoded key; in the arena if KeyArena, else in Raw. Empty for array elements
	Raw      Span     // the raw value in Document.Raw (quotes included); in Document.Topic for KindTopic
	Text     Span     // the decoded UTF-8 value; in the arena if TextArena, else in Raw (or Topic)
	PathHash uint64   // keyed per process, array indices and lines do not take part; see HashPath
	Kind     Kind     //
	Accepts  EditMask // which edits the format can carry out here; else the message is sealed
	Flags    FieldFlags
	Place    int32 // stands for the path up to here, or 0: the same in each document with the same epoch (see Document.Places)
}

// FieldFlags qualify a Field.
type FieldFlags uint8

// Flags.
const (
	KeyArena  FieldFlags = 1 << iota // Key is in the document's arena
	TextArena                        // Text is in the document's arena
	Wrapped                          // a string that holds a document or an encoded text, or a field in one: Raw is the string
)

// Limits bound what Parse accepts. The zero value means the defaults.
type Limits struct {
	Bytes  int // payload size, default 1 MiB (what an embedded broker accepts by default)
	Depth  int // nesting, default and maximum 64
	Fields int // nodes, default 65,536
}

// A Format is one encoding that payloads come in. Formats are told apart by
// content: [Parse] asks each in turn and takes the first that recognizes the
// bytes. To add one, write a file with a type and add a line to [Formats]; the
// contract suite of this package then tests it.
type Format interface {
	// Detect reports whether raw is, or begins like, this format. What Detect
	// claims and Parse can't read is unreadable: no later format is asked.
	Detect(topic string, raw []byte) bool

	// Parse appends the fields of d.Raw to d.Fields, behind the topic levels,
	// and sets d.Root. The topic, limits on bytes and cleaning up after a
	// refusal are the caller's affair.
	Parse(d *Document, lim Limits) Reason

	// Append appends the payload with edits to dst. Edits are sorted by field
	// and start, accepted by their fields, and without conflicts; what is left
	// to check is whether their values fit the format.
	Append(dst []byte, d *Document, edits []Edit) ([]byte, error)
}

// Formats returns the known formats in the order in which they are asked.
func Formats() []Format { return append([]Format(nil), formats[:]...) }

// formats is never modified.
var formats = [...]Format{
	opaqueFormat{}, // by magic number, before JSON: the length of a safetensors header may read "{"
	jsonFormat{},
	sparkplugFormat{},
	cborFormat{},
	msgpackFormat{},
	packedFormat{},
	xmlFormat{},
	nmeaFormat{},
	formFormat{},
	lineFormat{},
	logfmtFormat{},
	csvFormat{},
	textFormat{},
}
