package payload

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// msgpackFormat is MessagePack (the specification of msgpack.org, 2013 and
// later) with a map or an array at the top. Keys are integers or text; a key of
// any other type makes the document unreadable, and so do keys that read the
// same. Bytes that are plain text are a string; other bytes and extensions are
// binary leaves, the extension for a timestamp is a number of seconds.
type msgpackFormat struct{}

// A msgpackHead is the head of an item.
type msgpackHead struct {
	kind  uint8
	arg   uint64 // the integer, the bits of a float, the size of anything else
	wide  uint8  // bytes of the size, 0 where it stands in the first byte
	ext   int8
	body  int // behind the head
	after int // behind the item, of a container behind its head
}

// What an item is.
const (
	msgpackUint = iota
	msgpackInt
	msgpackFloat32
	msgpackFloat64
	msgpackNil
	msgpackBool
	msgpackText
	msgpackBytes
	msgpackExt
	msgpackArray
	msgpackMap
)

// msgpackTime is the extension type of a timestamp.
const msgpackTime = -1

// readMsgpack reads the head of the item at i.
func readMsgpack(b []byte, i int) (h msgpackHead, ok bool) {
	if i >= len(b) {
		return h, false
	}
	c := b[i]
	i++
	wide := func(n int) bool {
		if len(b)-i < n {
			return false
		}
		for _, c := range b[i : i+n] {
			h.arg = h.arg<<8 | uint64(c)
		}
		i += n
		return true
	}
	size := func(kind uint8, n int) bool {
		h.kind, h.wide = kind, uint8(n)
		return wide(n)
	}
	ok = true
	switch {
	case c < 0x80:
		h.kind, h.arg = msgpackUint, uint64(c)
	case c < 0x90:
		h.kind, h.arg = msgpackMap, uint64(c&15)
	case c < 0xa0:
		h.kind, h.arg = msgpackArray, uint64(c&15)
	case c < 0xc0:
		h.kind, h.arg = msgpackText, uint64(c&31)
	case c == 0xc0:
		h.kind = msgpackNil
	case c == 0xc2 || c == 0xc3:
		h.kind, h.arg = msgpackBool, uint64(c&1)
	case c >= 0xc4 && c <= 0xc6:
		ok = size(msgpackBytes, 1<<(c-0xc4))
	case c >= 0xc7 && c <= 0xc9:
		ok = size(msgpackExt, 1<<(c-0xc7))
	case c == 0xca:
		ok = size(msgpackFloat32, 4)
	case c == 0xcb:
		ok = size(msgpackFloat64, 8)
	case c >= 0xcc && c <= 0xcf:
		ok = size(msgpackUint, 1<<(c-0xcc))
	case c >= 0xd0 && c <= 0xd3:
		ok = size(msgpackInt, 1<<(c-0xd0))
		shift := 64 - 8*uint(h.wide)
		h.arg = uint64(int64(h.arg<<shift) >> shift)
	case c >= 0xd4 && c <= 0xd8:
		h.kind, h.arg = msgpackExt, 1<<(c-0xd4)
	case c >= 0xd9 && c <= 0xdb:
		ok = size(msgpackText, 1<<(c-0xd9))
	case c == 0xdc || c == 0xdd:
		ok = size(msgpackArray, 2<<(c-0xdc))
	case c == 0xde || c == 0xdf:
		ok = size(msgpackMap, 2<<(c-0xde))
	case c >= 0xe0:
		h.kind, h.arg = msgpackInt, uint64(int64(int8(c)))
	default:
		return h, false // 0xc1 is never used
	}
	if ok && h.kind == msgpackExt {
		if ok = i < len(b); ok {
			h.ext = int8(b[i])
			i++
		}
	}
	h.body, h.after = i, i
	if ok && h.kind >= msgpackText && h.kind <= msgpackExt {
		if ok = h.arg <= uint64(len(b)-i); ok {
			h.after += int(h.arg)
		}
	}
	return h, ok
}

// msgpackAmbiguousBelow is the size in bytes from which on a document without
// any text is told from other binary data, which it is looser than CBOR about.
const msgpackAmbiguousBelow = 16

// Detect claims what is one well-formed map or array to the last byte.
func (msgpackFormat) Detect(_ string, raw []byte) bool { return claimsMsgpack(raw) }

func claimsMsgpack(raw []byte) bool {
	h, ok := readMsgpack(raw, 0)
	if !ok || h.kind != msgpackArray && h.kind != msgpackMap {
		return false
	}
	s := msgpackScan{raw: raw}
	end := s.item(0, 0)
	return s.deep || end == len(raw) && (s.text || len(raw) >= msgpackAmbiguousBelow)
}

// plainMsgpack reports whether all texts are without control characters.
func plainMsgpack(raw []byte) bool {
	s := msgpackScan{raw: raw, plain: true}
	return s.item(0, 0) == len(raw)
}

// A msgpackScan checks the grammar and nothing else.
type msgpackScan struct {
	raw  []byte
	text bool // there is a text
	deep bool // nested too deep to say

	plain bool // fail at a text with control characters
}

// item returns the place behind the item at i, or -1.
func (s *msgpackScan) item(i, depth int) int {
	if depth > maxDepth {
		s.deep = true
		return -1
	}
	h, ok := readMsgpack(s.raw, i)
	if !ok {
		return -1
	}
	i = h.after
	switch h.kind {
	case msgpackText:
		if text := s.raw[h.body:h.after]; !utf8.Valid(text) || s.plain && !isText(text) {
			return -1
		}
		s.text = s.text || h.arg > 0
	case msgpackArray, msgpackMap:
		n := h.arg
		if h.kind == msgpackMap {
			n *= 2
		}
		if n > uint64(len(s.raw)-i) {
			return -1
		}
		for ; n > 0; n-- {
			if i = s.item(i, depth+1); i < 0 {
				return -1
			}
		}
	}
	return i
}

func (msgpackFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "msgpack"
	if !d.addRoot(KindNone, lim) {
		return ReasonTooMany
	}
	r := msgpackReader{d: d, raw: d.Raw, lim: lim}
	if r.value(0, d.Root) < 0 {
		return r.why
	}
	d.Fields[d.Root].Accepts = 0
	return ReasonNone
}

// bytesIn returns the bytes of a binary leaf, those of an extension too.
func (msgpackFormat) bytesIn(value []byte) []byte {
	h, ok := readMsgpack(value, 0)
	if !ok || h.kind != msgpackBytes && h.kind != msgpackExt {
		return nil
	}
	return value[h.body:h.after]
}

// A msgpackReader reads what msgpackScan found well-formed.
type msgpackReader struct {
	d     *Document
	raw   []byte
	lim   Limits
	depth int
	why   Reason
}

func (r *msgpackReader) fail(why Reason) int {
	r.why = why
	return -1
}

// value reads the item at i into a field, and all that is in it behind it.
func (r *msgpackReader) value(i int, self int32) int {
	d, start := r.d, i
	h, ok := readMsgpack(r.raw, i)
	if !ok {
		return r.fail(ReasonMalformed)
	}
	f := &d.Fields[self]
	f.Accepts = binLeaf
	body := Span{uint32(h.body), uint32(h.after)}
	i = h.after
	switch h.kind {
	case msgpackUint:
		f.Kind = KindNumber
		d.putText(f, strconv.AppendUint(d.arena, h.arg, 10))
	case msgpackInt:
		f.Kind = KindNumber
		d.putText(f, strconv.AppendInt(d.arena, int64(h.arg), 10))
	case msgpackFloat32:
		f.Kind = KindNumber
		d.putText(f, appendFloat(d.arena, float64(math.Float32frombits(uint32(h.arg))), 32))
	case msgpackFloat64:
		f.Kind = KindNumber
		d.putText(f, appendFloat(d.arena, math.Float64frombits(h.arg), 64))
	case msgpackNil:
		f.Kind = KindNull
		d.putText(f, append(d.arena, "null"...))
	case msgpackBool:
		f.Kind = KindBool
		d.putText(f, strconv.AppendBool(d.arena, h.arg == 1))
	case msgpackText:
		f.Kind, f.Text = KindString, body
	case msgpackBytes:
		f.Kind, f.Text = KindString, body
		if !isText(r.raw[h.body:h.after]) {
			f.Kind, f.Text, f.Accepts = KindBinary, Span{}, binContainer
		}
	case msgpackExt:
		f.Kind, f.Accepts = KindBinary, binContainer
		if text, ok := appendMsgpackTime(d.arena, h, r.raw); ok {
			f.Kind, f.Accepts = KindNumber, binLeaf
			d.putText(f, text)
		}
	default:
		if r.depth++; r.depth > r.lim.Depth {
			return r.fail(ReasonTooDeep)
		}
		f.Accepts = binContainer
		if h.kind == msgpackMap {
			f.Kind = KindObject
			i = r.members(i, self, h.arg)
		} else {
			f.Kind = KindArray
			i = r.elements(i, self, h.arg)
		}
		if i < 0 {
			return i
		}
		r.depth--
	}
	d.Fields[self].Raw = Span{uint32(start), uint32(i)}
	return i
}

// appendMsgpackTime appends the seconds of a timestamp in 32, 64 or 96 bits.
func appendMsgpackTime(dst []byte, h msgpackHead, raw []byte) ([]byte, bool) {
	b := raw[h.body:h.after]
	if h.ext != msgpackTime {
		return dst, false
	}
	var seconds int64
	var nanos uint64
	switch len(b) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(b))
	case 8:
		both := binary.BigEndian.Uint64(b)
		seconds, nanos = int64(both&(1<<34-1)), both>>34
	case 12:
		nanos, seconds = uint64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))
	default:
		return dst, false
	}
	if nanos >= 1e9 || nanos > 0 && seconds < 0 {
		return dst, false
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	if nanos > 0 {
		dst = appendPadded(append(dst, '.'), nanos, 9)
	}
	return dst, true
}

func (r *msgpackReader) elements(i int, self int32, n uint64) int {
	for index := range n {
		field, ok := r.d.addRow(self, uint32(index), KindNone, Span{}, r.lim)
		if !ok {
			return r.fail(ReasonTooMany)
		}
		if i = r.value(i, field); i < 0 {
			return i
		}
	}
	return i
}

func (r *msgpackReader) members(i int, self int32, n uint64) int {
	d := r.d
	keys := keySet{base: len(d.members)}
	for index := range n {
		h, ok := readMsgpack(r.raw, i)
		if !ok {
			return r.fail(ReasonMalformed)
		}
		key, flags := Span{uint32(h.body), uint32(h.after)}, FieldFlags(0)
		switch h.kind {
		case msgpackText:
		case msgpackUint, msgpackInt:
			key.Start, flags = uint32(len(d.arena)), KeyArena
			if h.kind == msgpackUint {
				d.arena = strconv.AppendUint(d.arena, h.arg, 10)
			} else {
				d.arena = strconv.AppendInt(d.arena, int64(h.arg), 10)
			}
			key.End = uint32(len(d.arena))
		default:
			return r.fail(ReasonMalformed)
		}
		field := int32(len(d.Fields))
		if int(field) >= r.lim.Fields {
			return r.fail(ReasonTooMany)
		}
		d.addMember(self, uint32(index), key, flags)
		if !d.checkMember(&keys, field) {
			return r.fail(ReasonDuplicate)
		}
		if i = r.value(h.after, field); i < 0 {
			return i
		}
	}
	if !d.closeKeys(&keys) {
		return r.fail(ReasonDuplicate)
	}
	return i
}
