package payload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Append writes items anew and leaves others out; the heads of containers that
// items are removed from are written anew too.
func (msgpackFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from, done := len(dst), uint32(0)
	body := func(b []byte, i int) (head, end int) {
		h, _ := readMsgpack(b, i)
		return i, h.body
	}
	ps, err := patches(d, edits, body)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		dst = append(dst, d.Raw[done:p.Start]...)
		done = p.End
		switch {
		case p.within:
			h, _ := readMsgpack(d.Raw, int(p.Start))
			dst = appendMsgpackHead(dst, h.kind, p.left, h.wide)
		case p.edits[0].Kind == EditToken:
			at, e := len(dst), p.edits[0]
			dst = append(appendMsgpackHead(dst, msgpackText, len(e.Value), 0), e.Value...)
			d.placed(e.Field, p.Span, at, dst)
		case p.edits[0].Kind == EditString:
			dst, err = appendMsgpackText(dst, d, p.edits)
		case p.edits[0].Kind == EditNumber:
			dst, err = appendMsgpackNumber(dst, d, p.edits[0])
		}
		if err != nil {
			return nil, err
		}
	}
	dst = append(dst, d.Raw[done:]...)
	if detect(d.Topic, dst[from:]) != d.format {
		return nil, errors.New("edit msgpack: too little is left to be read as MessagePack")
	}
	return dst, nil
}

// appendMsgpackHead writes the size of a text, bytes or a container, in at least
// as many bytes as it was.
func appendMsgpackHead(dst []byte, kind uint8, n int, wide uint8) []byte {
	var short int
	var first, least uint8 // codes: of a size in the first byte, and in one or, of containers, two
	switch kind {
	case msgpackText:
		short, first, least = 32, 0xa0, 0xd9
	case msgpackBytes:
		least = 0xc4
	case msgpackArray:
		short, first, least = 16, 0x90, 0xdc-1
	default:
		short, first, least = 16, 0x80, 0xde-1
	}
	switch {
	case n < short && wide == 0:
		return append(dst, first|byte(n))
	case n <= math.MaxUint8 && wide <= 1 && kind != msgpackArray && kind != msgpackMap:
		return append(dst, least, byte(n))
	case n <= math.MaxUint16 && wide <= 2:
		return binary.BigEndian.AppendUint16(append(dst, least+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, least+2), uint32(n))
}

// appendMsgpackText writes a text whose parts are replaced. Bytes remain bytes.
func appendMsgpackText(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	f := &d.Fields[edits[0].Field]
	h, _ := readMsgpack(d.Raw, int(f.Raw.Start))
	if f.Kind != KindString {
		h = msgpackHead{kind: msgpackText}
	}
	n := f.Text.Len()
	for _, e := range edits {
		n += len(e.Value) - int(e.End-e.Start)
		if !utf8.Valid(e.Value) || h.kind == msgpackBytes && !isText(e.Value) {
			return nil, fmt.Errorf("edit field %d: the value is not text", e.Field)
		}
	}
	wide := h.wide
	if wide == 1 && h.arg >= 32 || wide == 2 && h.arg > math.MaxUint8 || wide == 4 && h.arg > math.MaxUint16 {
		wide = 0 // it was no wider than it had to be
	}
	return appendReplaced(appendMsgpackHead(dst, h.kind, n, wide), d.Text(edits[0].Field), edits), nil
}

// appendMsgpackNumber writes a number. A float remains a float, of the width it
// had or wider.
func appendMsgpackNumber(dst []byte, d *Document, e Edit) ([]byte, error) {
	n, err := parseNumber(e)
	if err != nil {
		return nil, err
	}
	h, _ := readMsgpack(d.Raw, int(d.Fields[e.Field].Raw.Start))
	float := h.kind == msgpackFloat32 || h.kind == msgpackFloat64
	switch {
	case float || !n.integer || n.negative && n.n > 1<<63:
	case n.negative && n.n <= 32:
		return append(dst, byte(-int8(n.n))), nil
	case n.negative:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), -n.n), nil
	case n.n < 0x80:
		return append(dst, byte(n.n)), nil
	case n.n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n.n)), nil
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), n.n), nil
	}
	if h.kind == msgpackFloat32 && single(n.float) {
		return binary.BigEndian.AppendUint32(append(dst, 0xca), math.Float32bits(float32(n.float))), nil
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(n.float)), nil
}
