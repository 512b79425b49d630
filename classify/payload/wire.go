package payload

import "encoding/binary"

// Wire types of protocol buffers (protobuf.dev, Encoding). Groups are not read.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// A wireField is one field of a protobuf message as it stands in the payload.
type wireField struct {
	number uint64
	kind   uint8
	value  uint64 // of a number
	body   int    // where the bytes of wireBytes begin, behind their length
	length int    // where that length begins
	end    int    // behind the field
}

// bytes are where the bytes of a wireBytes field stand.
func (f *wireField) bytes() Span { return Span{uint32(f.body), uint32(f.end)} }

// readWire reads the field at b[i:end].
func readWire(b []byte, i, end int) (f wireField, ok bool) {
	tag, n := binary.Uvarint(b[i:end])
	if n <= 0 || tag>>3 == 0 || tag>>3 >= 1<<29 {
		return f, false
	}
	i += n
	f.number, f.kind = tag>>3, uint8(tag&7)
	switch f.kind {
	case wireVarint:
		if f.value, n = binary.Uvarint(b[i:end]); n <= 0 {
			return f, false
		}
		f.end = i + n
	case wireFixed64:
		if end-i < 8 {
			return f, false
		}
		f.value, f.end = binary.LittleEndian.Uint64(b[i:]), i+8
	case wireFixed32:
		if end-i < 4 {
			return f, false
		}
		f.value, f.end = uint64(binary.LittleEndian.Uint32(b[i:])), i+4
	case wireBytes:
		size, n := binary.Uvarint(b[i:end])
		if n <= 0 || size > uint64(end-i-n) {
			return f, false
		}
		f.length, f.body, f.end = i, i+n, i+n+int(size)
	default:
		return f, false
	}
	return f, true
}

// appendWireBytes appends a field of bytes.
func appendWireBytes(dst []byte, number uint64, text []byte) []byte {
	dst = binary.AppendUvarint(dst, number<<3|wireBytes)
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// A wirePatch replaces a whole field of a message, or leaves it out.
type wirePatch struct {
	Span
	value []byte
	token int32 // the field whose token is in value; 0: none
}

// A wireWriter copies a message with patches, which are sorted and don't
// overlap. Lengths of the messages that they stand in are written anew.
type wireWriter struct {
	raw     []byte
	placed  func(field int32, gone Span, out int, dst []byte)
	patches []wirePatch
}

func (w *wireWriter) message(dst []byte, i, end int) []byte {
	for i < end {
		f, _ := readWire(w.raw, i, end) // it was read before
		switch {
		case len(w.patches) == 0 || int(w.patches[0].Start) >= f.end:
			dst = append(dst, w.raw[i:f.end]...)
		case int(w.patches[0].Start) == i && int(w.patches[0].End) == f.end:
			p := w.patches[0]
			dst = append(dst, p.value...)
			if p.token != 0 {
				w.placed(p.token, p.Span, len(dst)-len(p.value), dst)
			}
			w.patches = w.patches[1:]
		default:
			dst = append(dst, w.raw[i:f.length]...)
			from := len(dst)
			dst = w.message(dst, f.body, f.end)
			var size [binary.MaxVarintLen64]byte
			n := binary.PutUvarint(size[:], uint64(len(dst)-from))
			dst = append(dst, size[:n]...)
			copy(dst[from+n:], dst[from:len(dst)-n])
			copy(dst[from:], size[:n])
		}
		i = f.end
	}
	return dst
}
