package payload

import (
	"encoding/binary"
	"errors"
	"unicode"
	"unicode/utf8"
)

// textFormat is plain text: UTF-8 without control characters other than tab,
// line feed and carriage return. It is one field.
type textFormat struct{}

func (textFormat) Detect(_ string, raw []byte) bool { return isText(raw) }

func (textFormat) Parse(d *Document, lim Limits) Reason {
	if len(d.Fields) >= lim.Fields {
		return ReasonTooMany
	}
	whole := Span{0, uint32(len(d.Raw))}
	d.name, d.Root = "text", int32(len(d.Fields))
	d.Fields = append(d.Fields, Field{
		Parent: -1, Raw: whole, Text: whole, PathHash: rootHash, Kind: KindText, Accepts: 1<<EditString | 1<<EditToken,
	})
	return ReasonNone
}

// Append refuses a result that would not be read as text again, but for a scalar
// of JSON without a token, and the empty result: an empty payload means deletion
// to a broker.
func (textFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from, at := len(dst), uint32(0)
	for _, e := range edits {
		if !isText(e.Value) {
			return nil, errors.New("edit text: the value is not text")
		}
		dst = append(append(dst, d.Raw[at:e.Start]...), e.Value...)
		if e.Kind == EditToken {
			d.placed(e.Field, Span{e.Start, e.End}, len(dst)-len(e.Value), dst)
		}
		at = e.End
	}
	dst = append(dst, d.Raw[at:]...)
	if len(dst) == from {
		return nil, errors.New("edit text: nothing is left")
	}
	f := detect(d.Topic, dst[from:])
	scalar := f == Format(jsonFormat{}) && !claimsJSON(dst[from:])
	if f != Format(textFormat{}) && (!scalar || len(d.tokens) > 0) { // an opener would put text into JSON
		return nil, errors.New("edit text: the result is not text")
	}
	return dst, nil
}

// isText looks at eight bytes at a time while they are plain ASCII.
func isText(b []byte) bool {
	for i := 0; i < len(b); {
		if i <= len(b)-8 && isPlain(b[i:]) {
			i += 8
			continue
		}
		if c := b[i]; c < utf8.RuneSelf {
			if isControl(c) {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || r < 0xA0 { // not UTF-8, or a C1 control
			return false
		}
		i += n
	}
	return true
}

// isPlain reports whether the first eight bytes of b are from space to tilde.
// Subtracting sets the high bit of each byte that is smaller.
func isPlain(b []byte) bool {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	w := binary.LittleEndian.Uint64(b)
	control := w - ' '*ones
	del := (w ^ 0x7F*ones) - ones
	return (w|control|del)&high == 0
}

func isControl(c byte) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7F
}

func hasControls(b []byte) bool {
	for _, c := range b {
		if isControl(c) {
			return true
		}
	}
	return false
}

// beginsUTF16 reports a byte-order mark or two ASCII characters of UTF-16, of
// either byte order.
func beginsUTF16(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	if b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF {
		return true
	}
	if len(b) < 4 || len(b)%2 != 0 {
		return false
	}
	le := b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0
	be := b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0
	return le || be
}

// firstCharacter returns the first byte of b behind white space of any kind and
// characters of no width, which some parsers skip: what looks like JSON to
// anybody must not pass as text.
func firstCharacter(b []byte) byte {
	for i := 0; i < len(b); {
		if b[i] > ' ' && b[i] < utf8.RuneSelf {
			return b[i]
		}
		r, n := utf8.DecodeRune(b[i:])
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) {
			return b[i]
		}
		i += n
	}
	return 0
}
