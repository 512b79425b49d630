package payload

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string from behind its opening quote and returns where its
// decoded text stands: between the quotes, or, if there are escapes, in arena
// (KeyArena is set then).
func (r *jsonReader) text(i int, arena *[]byte) (Span, FieldFlags, int) {
	end := plainEnd(r.raw, i)
	if at(r.raw, end) == '"' {
		return Span{uint32(i), uint32(end)}, 0, end + 1
	}
	return r.richText(i, end, arena)
}

// richText is text for a string that is plain only from start to i.
func (r *jsonReader) richText(start, i int, arena *[]byte) (Span, FieldFlags, int) {
	b := r.raw
	out := *arena
	first := uint32(len(out))
	escaped, ascii := false, true
	for from := start; ; i = plainEnd(b, i) {
		switch c := at(b, i); {
		case c == '"':
			if !ascii && !utf8.Valid(b[start:i]) {
				return Span{}, 0, r.fail(ReasonEncoding)
			}
			if !escaped {
				return Span{uint32(start), uint32(i)}, 0, i + 1
			}
			*arena = append(out, b[from:i]...)
			return Span{first, uint32(len(*arena))}, KeyArena, i + 1
		case c == '\\':
			decoded, size, why := unescape(b[i:])
			if why != ReasonNone {
				return Span{}, 0, r.fail(why)
			}
			escaped = true
			out = utf8.AppendRune(append(out, b[from:i]...), decoded)
			i += size
			from = i
		case c >= utf8.RuneSelf:
			ascii = false
			for at(b, i) >= utf8.RuneSelf {
				i++
			}
		default:
			return Span{}, 0, r.fail(ReasonMalformed) // a control character, or the end
		}
	}
}

// unescape decodes the escape that b begins with, a pair of surrogates at once.
func unescape(b []byte) (decoded rune, size int, why Reason) {
	switch c := at(b, 1); c {
	case '"', '\\', '/':
		return rune(c), 2, ReasonNone
	case 'b':
		return '\b', 2, ReasonNone
	case 'f':
		return '\f', 2, ReasonNone
	case 'n':
		return '\n', 2, ReasonNone
	case 'r':
		return '\r', 2, ReasonNone
	case 't':
		return '\t', 2, ReasonNone
	case 'u':
		r, ok := hex4(b[2:])
		if !ok {
			return 0, 0, ReasonMalformed
		}
		if !utf16.IsSurrogate(r) {
			return r, 6, ReasonNone
		}
		if at(b, 6) == '\\' && at(b, 7) == 'u' {
			if low, ok := hex4(b[8:]); ok {
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					return r, 12, ReasonNone
				}
			}
		}
		return 0, 0, ReasonEncoding
	}
	return 0, 0, ReasonMalformed
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// plainEnd returns the place of the first byte from i on that a string can't
// hold as it is, or that needs a closer look: a quote, a backslash, a control
// character, or a byte that is not ASCII. It looks at eight bytes at a time.
func plainEnd(b []byte, i int) int {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	for ; i <= len(b)-8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// Subtracting sets the high bit of a byte that is smaller; a borrow can
		// only disturb bytes behind the first hit, which do not matter.
		control := w - ' '*ones
		quote := (w ^ '"'*ones) - ones
		backslash := (w ^ '\\'*ones) - ones
		hits := (w | control | quote | backslash) & high
		if hits != 0 {
			return i + bits.TrailingZeros64(hits)>>3
		}
	}
	for i < len(b) {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
		i++
	}
	return i
}
