package payload

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// cborFormat is CBOR (RFC 8949) with a map or an array at the top, SenML in
// CBOR (RFC 8428) among it. Keys are integers or text; a key of any other type
// makes the document unreadable, and so do keys that read the same (1 and "1").
// Tags are transparent: a tagged value is read as if the tag were not there,
// except bignums, which are numbers. A byte string that is plain text is a
// string, any other a binary leaf.
type cborFormat struct{}

// What may be done to a CBOR item. The root stays what it is: a document of
// another kind would not be told from other bytes.
const (
	binContainer EditMask = 1<<EditNumber | 1<<EditRemove | 1<<EditToken
	binLeaf      EditMask = binContainer | 1<<EditString
)

// Major types (RFC 8949, 3.1), and the tag that says "this is CBOR" (3.4.6).
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple

	cborIndefinite = 31
	cborBreak      = 0xFF
	cborMagic      = "\xd9\xd9\xf7"
)

// ambiguousBelow is the size in bytes from which on a document without any text
// is told from other binary data: one in 10,000 or less of random bytes of that
// size pass.
const ambiguousBelow = 8

// Detect claims what is one well-formed map or array to the last byte. Neither
// text nor JSON begins like one: no UTF-8 does.
func (cborFormat) Detect(_ string, raw []byte) bool {
	return claimsCBOR(raw) && (!mayBeMsgpack(raw) || plainCBOR(raw) || !plainMsgpack(raw))
}

// ambiguous reports what could be read as CBOR and as MessagePack, and as one of
// them as well as of the other.
func ambiguous(raw []byte) bool {
	return mayBeMsgpack(raw) && plainCBOR(raw) == plainMsgpack(raw)
}

// mayBeMsgpack reports whether an array in CBOR is whole in MessagePack too.
func mayBeMsgpack(raw []byte) bool {
	s := msgpackScan{raw: raw}
	return raw[0] < 0xa0 && s.item(0, 0) == len(raw) && (s.text || len(raw) >= msgpackAmbiguousBelow)
}

// plainCBOR reports whether all texts are without control characters.
func plainCBOR(raw []byte) bool {
	s := cborScan{raw: raw, plain: true}
	return s.item(0, 0) == len(raw)
}

func claimsCBOR(raw []byte) bool {
	s := cborScan{raw: raw}
	at := 0
	if len(raw) > len(cborMagic) && string(raw[:len(cborMagic)]) == cborMagic {
		s.text, at = true, len(cborMagic)
	}
	if at >= len(raw) || raw[at]>>5 != cborArray && raw[at]>>5 != cborMap {
		return false
	}
	end := s.item(at, 0)
	return s.deep || end == len(raw) && (s.text || len(raw) >= ambiguousBelow)
}

// A cborScan checks the grammar and nothing else.
type cborScan struct {
	raw  []byte
	text bool // there is a text, or the magic tag
	deep bool // nested too deep to say

	plain bool // fail at a text with control characters
}

// item returns the place behind the item at i, or -1.
func (s *cborScan) item(i, depth int) int {
	if depth > maxDepth {
		s.deep = true
		return -1
	}
	major, info, arg, i := cborHead(s.raw, i)
	for i >= 0 && major == cborTag {
		if info == cborIndefinite {
			return -1
		}
		major, info, arg, i = cborHead(s.raw, i)
	}
	if i < 0 {
		return -1
	}
	switch major {
	case cborBytes, cborText:
		for span, ok := range cborChunks(s.raw, major, info, arg, i) {
			if !ok || major == cborText && (!utf8.Valid(s.raw[span.Start:span.End]) || s.plain && !isText(s.raw[span.Start:span.End])) {
				return -1
			}
			s.text = s.text || major == cborText && span.Len() > 0
			i = int(span.End)
		}
		if info == cborIndefinite {
			i++ // the break
		}
	case cborArray, cborMap:
		each := uint64(1)
		if major == cborMap {
			each = 2
		}
		if info != cborIndefinite && arg > uint64(len(s.raw)-i)/each {
			return -1
		}
		for n := uint64(0); info == cborIndefinite || n < arg; n++ {
			if info == cborIndefinite && at(s.raw, i) == cborBreak {
				return i + 1
			}
			for range each {
				if i = s.item(i, depth+1); i < 0 {
					return -1
				}
			}
		}
	case cborUint, cborNegative:
		if info == cborIndefinite {
			return -1
		}
	case cborSimple:
		if info == cborIndefinite || info == 24 && arg < 32 {
			return -1
		}
	}
	return i
}

// cborHead reads the head of an item: its major type, the low five bits, and
// the argument. next is -1 if it is cut off or reserved.
func cborHead(b []byte, i int) (major, info byte, arg uint64, next int) {
	if i < 0 || i >= len(b) {
		return 0, 0, 0, -1
	}
	major, info = b[i]>>5, b[i]&31
	i++
	if info < 24 {
		return major, info, uint64(info), i
	}
	if info == cborIndefinite {
		return major, info, 0, i
	}
	if info > 27 {
		return 0, 0, 0, -1
	}
	n := 1 << (info - 24)
	if n > len(b)-i {
		return 0, 0, 0, -1
	}
	for _, c := range b[i : i+n] {
		arg = arg<<8 | uint64(c)
	}
	return major, info, arg, i + n
}

// cborChunks are the parts of a string whose head ends at i: one, or those of a
// string of indefinite length, without the break behind them.
func cborChunks(b []byte, major, info byte, arg uint64, i int) func(func(Span, bool) bool) {
	return func(yield func(Span, bool) bool) {
		if info != cborIndefinite {
			ok := arg <= uint64(len(b)-i)
			if !ok {
				arg = 0
			}
			yield(Span{uint32(i), uint32(i + int(arg))}, ok)
			return
		}
		// An empty chunk first: the place of a string without any.
		for ok := yield(Span{uint32(i), uint32(i)}, true); ok && at(b, i) != cborBreak; {
			m, in, n, next := cborHead(b, i)
			if next < 0 || m != major || in == cborIndefinite || n > uint64(len(b)-next) {
				yield(Span{}, false)
				return
			}
			i = next + int(n)
			ok = yield(Span{uint32(next), uint32(i)}, true)
		}
	}
}

func (cborFormat) Parse(d *Document, lim Limits) Reason {
	if ambiguous(d.Raw) {
		return ReasonUnknown
	}
	d.name, d.Root = "cbor", int32(len(d.Fields))
	r := cborReader{d: d, raw: d.Raw, lim: lim}
	if d.Root >= int32(lim.Fields) {
		return ReasonTooMany
	}
	f := d.add()
	f.Parent, f.PathHash = -1, rootHash
	if end := r.value(0, d.Root); end < 0 {
		return r.why
	}
	d.Fields[d.Root].Accepts = 0
	d.senml = d.isSenML()
	return ReasonNone
}

// bytesIn returns the bytes of a binary leaf, none if they come in chunks.
func (cborFormat) bytesIn(value []byte) []byte {
	head, _ := cborBody(value, 0)
	_, info, _, end := cborHead(value, head)
	if info == cborIndefinite || end < 0 {
		return nil
	}
	return value[end:]
}

// A cborReader reads what cborScan found well-formed.
type cborReader struct {
	d     *Document
	raw   []byte
	lim   Limits
	depth int
	why   Reason
}

func (r *cborReader) fail(why Reason) int {
	r.why = why
	return -1
}

// value reads the item at i into a field, and all that is in it behind it.
func (r *cborReader) value(i int, self int32) int {
	d, start := r.d, i
	major, info, arg, i := cborHead(r.raw, i)
	for i >= 0 && major == cborTag {
		big := arg == 2 || arg == 3
		negative := arg == 3
		var next int
		major, info, arg, next = cborHead(r.raw, i)
		if big && major == cborBytes && r.bignum(self, info, arg, next, negative) {
			end := next + int(arg)
			d.Fields[self].Raw = Span{uint32(start), uint32(end)}
			return end
		}
		i = next
	}
	if i < 0 {
		return r.fail(ReasonMalformed)
	}
	f := &d.Fields[self]
	f.Accepts = binLeaf
	switch major {
	case cborUint:
		f.Kind = KindNumber
		d.putText(f, strconv.AppendUint(d.arena, arg, 10))
	case cborNegative:
		f.Kind = KindNumber
		d.putText(f, appendNegative(d.arena, arg))
	case cborBytes, cborText:
		text, arena, end := r.text(i, major, info, arg)
		if end < 0 {
			return r.fail(ReasonMalformed)
		}
		i = end
		f.Text, f.Kind = text, KindString
		if arena {
			f.Flags |= TextArena
		}
		if major == cborBytes && !isText(d.Text(self)) {
			f.Kind, f.Text = KindBinary, Span{}
			f.Flags &^= TextArena
			f.Accepts = binContainer
		}
	case cborArray, cborMap:
		if r.depth++; r.depth > r.lim.Depth {
			return r.fail(ReasonTooDeep)
		}
		f.Accepts = binContainer
		if major == cborMap {
			f.Kind = KindObject
			i = r.members(i, self, info, arg)
		} else {
			f.Kind = KindArray
			i = r.elements(i, self, info, arg)
		}
		if i < 0 {
			return i
		}
		r.depth--
		f = &d.Fields[self]
	case cborSimple:
		r.simple(f, info, arg, i)
	}
	f.Raw = Span{uint32(start), uint32(i)}
	return i
}

// maxBignum is the size in bytes up to which a bignum is read as a number.
const maxBignum = 32

// bignum reads the bytes of a bignum (RFC 8949, 3.4.3).
func (r *cborReader) bignum(self int32, info byte, arg uint64, i int, negative bool) bool {
	if info == cborIndefinite || arg > maxBignum || i < 0 || int(arg) > len(r.raw)-i {
		return false
	}
	var n [maxBignum + 1]byte
	copy(n[len(n)-int(arg):], r.raw[i:])
	longer := r.d.arena
	if negative { // -1-n
		longer = append(longer, '-')
		for k := len(n) - 1; ; k-- {
			if n[k]++; n[k] != 0 {
				break
			}
		}
	}
	var digits [80]byte // 33 bytes have less
	first := len(digits)
	for more := true; more; {
		more = false
		rest := 0
		for k := range n {
			rest = rest<<8 | int(n[k])
			n[k], rest = byte(rest/10), rest%10
			more = more || n[k] != 0
		}
		first--
		digits[first] = byte('0' + rest)
	}
	f := &r.d.Fields[self]
	f.Kind, f.Accepts = KindNumber, binLeaf
	r.d.putText(f, append(longer, digits[first:]...))
	return true
}

// appendNegative appends -1-n.
func appendNegative(dst []byte, n uint64) []byte {
	if n == math.MaxUint64 {
		return append(dst, "-18446744073709551616"...)
	}
	return strconv.AppendUint(append(dst, '-'), n+1, 10)
}

// simple reads a float or a simple value (RFC 8949, 3.3). Undefined and
// unassigned values are null.
func (r *cborReader) simple(f *Field, info byte, arg uint64, end int) {
	d := r.d
	switch info {
	case 20:
		f.Kind = KindBool
		d.putText(f, append(d.arena, "false"...))
	case 21:
		f.Kind = KindBool
		d.putText(f, append(d.arena, "true"...))
	case 25, 26, 27:
		f.Kind = KindNumber
		x, size := math.Float64frombits(arg), 64
		switch info {
		case 25:
			x, size = float16(uint16(arg)), 32
		case 26:
			x, size = float64(math.Float32frombits(uint32(arg))), 32
		}
		d.putText(f, appendFloat(d.arena, x, size))
	default:
		f.Kind = KindNull
		d.putText(f, append(d.arena, "null"...))
	}
}

// float16 widens a half-precision number (RFC 8949, appendix D).
func float16(h uint16) float64 {
	exponent, mantissa := int(h>>10&31), float64(h&1023)
	x := math.Ldexp(mantissa+1024, exponent-25)
	switch {
	case exponent == 0:
		x = math.Ldexp(mantissa, -24)
	case exponent == 31 && mantissa == 0:
		x = math.Inf(1)
	case exponent == 31:
		x = math.NaN()
	}
	if h&0x8000 != 0 {
		x = -x
	}
	return x
}

// appendFloat writes a number as JSON would (ECMA-262, 6.1.6.1.20), so that
// detectors see the same digits in every format.
func appendFloat(dst []byte, x float64, size int) []byte {
	form := byte('f')
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, x, form, -1, size)
}

// text returns where a string's text stands: in the payload, or, put together
// from chunks, in the arena.
func (r *cborReader) text(i int, major, info byte, arg uint64) (text Span, arena bool, end int) {
	if info != cborIndefinite {
		if arg > uint64(len(r.raw)-i) {
			return Span{}, false, -1
		}
		end = i + int(arg)
		return Span{uint32(i), uint32(end)}, false, end
	}
	first := uint32(len(r.d.arena))
	for span, ok := range cborChunks(r.raw, major, info, arg, i) {
		if !ok {
			return Span{}, false, -1
		}
		r.d.arena = append(r.d.arena, r.raw[span.Start:span.End]...)
		end = int(span.End)
	}
	return Span{first, uint32(len(r.d.arena))}, true, end + 1
}

// elements reads an array from behind its head.
func (r *cborReader) elements(i int, self int32, info byte, n uint64) int {
	d, hash := r.d, stepHash(r.d.Fields[self].PathHash, indexHash)
	for index := uint64(0); info == cborIndefinite || index < n; index++ {
		if info == cborIndefinite && at(r.raw, i) == cborBreak {
			return i + 1
		}
		field := int32(len(d.Fields))
		if int(field) >= r.lim.Fields {
			return r.fail(ReasonTooMany)
		}
		f := d.add()
		f.Parent, f.Index, f.PathHash = self, uint32(index), hash
		if i = r.value(i, field); i < 0 {
			return i
		}
	}
	return i
}

// members reads a map from behind its head.
func (r *cborReader) members(i int, self int32, info byte, n uint64) int {
	d := r.d
	keys := keySet{base: len(d.members)}
	for index := uint64(0); info == cborIndefinite || index < n; index++ {
		if info == cborIndefinite && at(r.raw, i) == cborBreak {
			i++
			break
		}
		field := int32(len(d.Fields))
		if int(field) >= r.lim.Fields {
			return r.fail(ReasonTooMany)
		}
		key, flags, next := r.key(i)
		if next < 0 {
			return r.fail(ReasonMalformed)
		}
		d.addMember(self, uint32(index), key, flags)
		if !d.checkMember(&keys, field) {
			return r.fail(ReasonDuplicate)
		}
		if i = r.value(next, field); i < 0 {
			return i
		}
	}
	if !d.closeKeys(&keys) {
		return r.fail(ReasonDuplicate)
	}
	return i
}

// key reads the key at i.
func (r *cborReader) key(i int) (Span, FieldFlags, int) {
	d := r.d
	major, info, arg, next := cborHead(r.raw, i)
	first := uint32(len(d.arena))
	switch {
	case next < 0 || info == cborIndefinite && major != cborText:
		return Span{}, 0, -1
	case major == cborUint:
		d.arena = strconv.AppendUint(d.arena, arg, 10)
	case major == cborNegative:
		d.arena = appendNegative(d.arena, arg)
	case major == cborText:
		text, arena, end := r.text(next, major, info, arg)
		if arena {
			return text, KeyArena, end
		}
		return text, 0, end
	default:
		return Span{}, 0, -1
	}
	return Span{first, uint32(len(d.arena))}, KeyArena, next
}

// addMember appends a member of container self, its value still to be read.
func (d *Document) addMember(self int32, index uint32, key Span, flags FieldFlags) {
	hash := d.Fields[self].PathHash
	f := d.add()
	f.Parent, f.Index, f.Key, f.Flags = self, index, key, flags
	name := d.Key(int32(len(d.Fields) - 1))
	if string(name) == reservedKey {
		d.Reserved = true
	}
	f.PathHash = stepHash(hash, keyStep(name, hashKey(name)))
}

// checkMember returns false if field's key stands in the set already.
func (d *Document) checkMember(keys *keySet, field int32) bool {
	return d.addKey(keys, hashKey(d.Key(field)), field, noPlace)
}

// appendCBORHead appends a head; info is that of the head it replaces, whose
// width is kept if it was wider than it had to be.
func appendCBORHead(dst []byte, major byte, arg uint64, width int) []byte {
	if width == 0 && arg < 24 {
		return append(dst, major<<5|byte(arg))
	}
	least := 8
	switch {
	case arg <= math.MaxUint8:
		least = 1
	case arg <= math.MaxUint16:
		least = 2
	case arg <= math.MaxUint32:
		least = 4
	}
	width = max(width, least)
	dst = append(dst, major<<5|byte(24+bits.TrailingZeros(uint(width))))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], arg)
	return append(dst, b[8-width:]...)
}
