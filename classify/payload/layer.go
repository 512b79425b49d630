package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"
)

// guessLayer tells how a string may be encoded by what it is made of.
func guessLayer(text []byte) layer {
	switch text[0] {
	case '{', '[':
		if c := text[len(text)-1]; c == '}' || c == ']' {
			return layer{kind: layerPlain}
		}
		return layer{}
	case '<':
		if text[len(text)-1] == '>' {
			return layer{kind: layerPlain}
		}
		return layer{}
	case '$':
		if bytes.IndexByte(text, '*') > 0 {
			return layer{kind: layerPlain}
		}
		return layer{}
	case 'd':
		if l, ok := dataURI(text); ok {
			return l
		}
	}
	all := encodedByte(0xFF)
	for i, c := range text {
		if all &= encodedBytes[c]; all == 0 {
			if c == '=' && len(bytes.TrimRight(text[i:], "=\r\n")) == 0 {
				all = inBase64 | inBase64URL
				break
			}
			if c == ' ' || bytes.IndexByte(text, '%') < 0 || !isPercent(text) {
				return layer{}
			}
			return layer{kind: layerPercent}
		}
	}
	switch {
	case all&inHex != 0:
		if len(text) < minHex || len(text)%2 != 0 || all&inDigits != 0 && !spellsWord(text) {
			return layer{}
		}
		return layer{kind: layerHex, upper: bytes.ContainsAny(text, "ABCDEF")}
	case bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0:
		return layer{kind: layerBase64URL, pad: text[len(text)-1] == '='}
	}
	return layer{kind: layerBase64, pad: isPadded(text)}
}

// isPadded reports whether base64 ends in "=", or would.
func isPadded(text []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(text, "\r\n"), []byte("=")) || (len(text)-bytes.Count(text, []byte("\n"))-bytes.Count(text, []byte("\r")))%4 == 0
}

// spellsWord reports whether hexadecimal without a letter stands for letters and
// digits, which of numbers with so many digits hardly any does.
func spellsWord(text []byte) bool {
	for i := 0; i+1 < len(text); i += 2 {
		if c, ok := hex2(text[i:]); !ok || c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '@' && c != '-' && c != ' ' {
			return false
		}
	}
	return true
}

// An encodedByte is a set of alphabets that a byte belongs to.
type encodedByte uint8

const (
	inBase64 encodedByte = 1 << iota
	inBase64URL
	inHex
	inDigits
)

var encodedBytes = func() (t [256]encodedByte) {
	for c := range t {
		switch c := byte(c); {
		case c-'0' <= 9:
			t[c] = inBase64 | inBase64URL | inHex | inDigits
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			t[c] = inBase64 | inBase64URL | inHex
		case c|0x20 > 'f' && c|0x20 <= 'z':
			t[c] = inBase64 | inBase64URL
		case c == '+' || c == '/' || c == '\r' || c == '\n':
			t[c] = inBase64
		case c == '-' || c == '_':
			t[c] = inBase64URL
		}
	}
	return t
}()

// dataURI tells the encoding of a data URI (RFC 2397).
func dataURI(text []byte) (layer, bool) {
	if !beginsFold(text, "data:") {
		return layer{}, false
	}
	comma := bytes.IndexByte(text[:min(len(text), 256)], ',')
	if comma < 0 || bytes.IndexByte(text[:comma], ' ') >= 0 {
		return layer{}, false
	}
	l := layer{kind: layerPercent, prefix: Span{0, uint32(comma + 1)}}
	if head := text[:comma]; len(head) >= 7 && bytes.EqualFold(head[len(head)-7:], []byte(";base64")) {
		l.kind, l.pad = layerBase64, isPadded(text[comma+1:])
	}
	return l, true
}

// isPercent reports whether every "%" of a text without white space begins an
// escape, as in what was escaped as a whole.
func isPercent(text []byte) bool {
	escapes := 0
	for i, c := range text {
		if c <= ' ' || c >= utf8.RuneSelf {
			return false
		}
		if c == '%' {
			if _, ok := hex2(text[i+1:]); !ok {
				return false
			}
			escapes++
		}
	}
	return escapes > 0
}

// decode appends the bytes that text stands for. What can be seen from its first
// bytes not to be worth it is not decoded.
func (l layer) decode(dst, text []byte) ([]byte, bool) {
	text = text[l.prefix.End:]
	switch l.kind {
	case layerPlain, layerBytes:
		return append(dst, text...), true
	case layerPercent:
		for i := 0; i < len(text); i++ {
			c := text[i]
			if c == '%' {
				var ok bool
				if c, ok = hex2(text[i+1:]); !ok {
					return dst, false
				}
				i += 2
			}
			dst = append(dst, c)
		}
		return dst, true
	case layerHex:
		if !worthDecoding(text, func(dst, src []byte) (int, error) { return hex.Decode(dst, src[:16]) }) {
			return dst, false
		}
		out, err := hex.AppendDecode(dst, text)
		return out, err == nil
	}
	e := l.encoding()
	if l.prefix.End == 0 && !worthDecoding(text, func(dst, src []byte) (int, error) { return e.WithPadding(base64.NoPadding).Decode(dst, src) }) {
		return dst, false
	}
	out, err := e.AppendDecode(dst, text)
	return out, err == nil
}

// worthDecoding decodes the first bytes and reports whether a document may
// begin with them: text, something packed, a known medium, a container of CBOR
// or MessagePack.
func worthDecoding(text []byte, decode func(dst, src []byte) (int, error)) bool {
	var head [16]byte
	n, err := decode(head[:], text[:16])
	if err != nil || n < 8 {
		return err != nil && bytes.ContainsAny(text[:16], "\r\n=")
	}
	b := head[:n]
	for n := range utf8.UTFMax { // a character may be cut off
		if isText(b[:len(b)-n]) {
			return true
		}
	}
	return b[0] >= 0x80 && b[0] < 0xC0 || b[0] >= 0xDC && b[0] <= 0xDF || b[0] == 0xD9 ||
		isGzip(b) || isZlib(b) || isZstd(b) || recognizeHead(b) || bytes.HasPrefix(b, []byte("\uFEFF")) || beginsUTF16(b)
}

// recognizeHead reports whether a medium may begin with b.
func recognizeHead(b []byte) bool {
	switch b[0] {
	case 0xFF, 0x89, 0x80, 0x93, 'P', 'G', 'R', 'O', 'I', 0:
		return true
	}
	return len(b) >= 9 && (b[8] == '{' || string(b[4:8]) == "TFL3" || string(b[4:8]) == "ET12")
}

func (l layer) encoding() *base64.Encoding {
	switch {
	case l.kind == layerBase64URL && l.pad:
		return base64.URLEncoding
	case l.kind == layerBase64URL:
		return base64.RawURLEncoding
	case l.pad:
		return base64.StdEncoding
	}
	return base64.RawStdEncoding
}

// encode appends b as it was encoded, behind the prefix that it had.
func (l layer) encode(dst, b, text []byte) []byte {
	dst = append(dst, text[:l.prefix.End]...)
	switch l.kind {
	case layerPlain:
		return append(dst, b...)
	case layerPercent:
		const digits = "0123456789ABCDEF"
		for _, c := range b {
			if isFormByte(c) || c == '~' || l.prefix.End == 0 && bytes.IndexByte([]byte("/:?&=@,;#"), c) >= 0 {
				dst = append(dst, c)
			} else {
				dst = append(dst, '%', digits[c>>4], digits[c&15])
			}
		}
		return dst
	case layerHex:
		from := len(dst)
		dst = hex.AppendEncode(dst, b)
		if l.upper {
			copy(dst[from:], bytes.ToUpper(dst[from:]))
		}
		return dst
	}
	return l.encoding().AppendEncode(dst, b)
}
