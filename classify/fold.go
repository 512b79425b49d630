package classify

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folder makes text comparable: what looks alike becomes the same ASCII bytes.
// It undoes full-width and other digits, compatibility forms (NFKC), letters of
// other scripts that look Latin, typographic dashes, quotes and spaces, and
// drops what has no width. Its memory is reused.
type folder struct {
	out []byte
	off []uint32 // of each byte of out: where it came from in the input
	end uint32   // length of the input
}

// isASCII reports whether b holds only ASCII.
func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x >= 0x80 {
			return false
		}
	}
	return true
}

// fold returns text folded. The result is text itself where folding changes
// nothing, and otherwise lives until the next call; mapped tells which.
func (f *folder) fold(text []byte) (folded []byte, mapped bool) {
	if isASCII(text) {
		return text, false
	}
	f.out, f.off, f.end = f.out[:0], f.off[:0], uint32(len(text))
	changed := false
	for i := 0; i < len(text); {
		b := text[i]
		if b < 0x80 {
			if isNeedless(b) {
				changed = true
				i++
				continue
			}
			f.out, f.off = append(f.out, b), append(f.off, uint32(i))
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		before := len(f.out)
		f.out = appendFolded(f.out, r, text[i:i+n])
		for k := before; k < len(f.out); k++ {
			// Bytes that stay keep their own place; of what was replaced, each
			// byte stands for the whole character.
			o := uint32(i)
			if len(f.out)-before == n && k-before < n && f.out[k] == text[i+k-before] {
				o += uint32(k - before)
			}
			f.off = append(f.off, o)
		}
		if len(f.out)-before != n || f.out[before] != b {
			changed = true
		}
		i += n
	}
	if !changed {
		return text, false
	}
	return f.out, true
}

// hasControl reports whether text holds control characters that no text needs.
func hasControl(text []byte) bool {
	for _, b := range text {
		if isNeedless(b) {
			return true
		}
	}
	return false
}

func isNeedless(b byte) bool {
	return b < ' ' && b != '\t' && b != '\n' && b != '\r' || b == 0x7F
}

// drop returns text without control characters, mapped like folded text.
func (f *folder) drop(text []byte) []byte {
	f.out, f.off, f.end = f.out[:0], f.off[:0], uint32(len(text))
	for i, b := range text {
		if !isNeedless(b) {
			f.out, f.off = append(f.out, b), append(f.off, uint32(i))
		}
	}
	return f.out
}

// place maps a range of the folded text to the input: whole characters.
func (f *folder) place(start, end int) (int, int) {
	if start >= len(f.off) {
		return int(f.end), int(f.end)
	}
	s := f.off[start]
	// The range ends where the next character that took part begins; what was
	// dropped between (zero width) belongs to the range.
	e := f.end
	for k := end; k < len(f.off); k++ {
		if end == 0 || f.off[k] > f.off[end-1] {
			e = f.off[k]
			break
		}
	}
	return int(s), int(e)
}

// appendFolded appends what a character folds to; raw are its bytes.
func appendFolded(dst []byte, r rune, raw []byte) []byte {
	switch {
	case r >= 0x4E00 && r <= 0x9FFF, r >= 0x3041 && r <= 0x30FF, r >= 0xAC00 && r <= 0xD7A3:
		return append(dst, raw...) // the common case of text that folding leaves alone
	case r >= 0xFF01 && r <= 0xFF5E:
		return append(dst, byte(r-0xFEE0))
	case noWidth(r):
		return dst
	case r == 0x3000, r == 0xA0, r == 0x202F, r == 0x205F, r >= 0x2000 && r <= 0x200A:
		return append(dst, ' ')
	case r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0xFE58, r == 0xFE63:
		return append(dst, '-')
	case r == 0x2018, r == 0x2019, r == 0x2032:
		return append(dst, '\'')
	case r == 0x201C, r == 0x201D, r == 0x2033:
		return append(dst, '"')
	case r == 0x3002, r == 0x2024:
		return append(dst, '.')
	}
	if a, ok := confusable(r); ok {
		return append(dst, a)
	}
	if unicode.Is(unicode.Nd, r) {
		return append(dst, '0'+digitValue(r))
	}
	if r >= 0x2000 || r < 0x100 {
		if p := norm.NFKC.Properties(raw); p.Size() > 0 {
			if d := p.Decomposition(); len(d) > 0 && !accented(d) {
				return append(dst, d...)
			}
		}
	}
	return append(dst, raw...)
}

// accented reports whether a decomposition is a letter and its marks: such a
// character stays as it is.
func accented(d []byte) bool {
	_, n := utf8.DecodeRune(d)
	r, _ := utf8.DecodeRune(d[n:])
	return n < len(d) && unicode.Is(unicode.Mn, r)
}

func noWidth(r rune) bool {
	switch {
	case r == 0xAD, r == 0x34F, r == 0x61C, r == 0xFEFF, r == 0x3164, r == 0xFFA0, r == 0x115F, r == 0x1160:
		return true
	case r >= 0x17B4 && r <= 0x17B5, r >= 0x180B && r <= 0x180F:
		return true
	case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F:
		return true
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0000 && r <= 0xE01EF:
		return true
	}
	return false
}

// digitValue is the value of a decimal digit of any script: they stand in runs
// of ten from zero.
func digitValue(r rune) byte {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10)
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10)
		}
	}
	return 0
}

// confusable returns the ASCII letter that a letter of another script can't be
// told from by eye.
func confusable(r rune) (byte, bool) {
	if r < 0x370 || r > 0x52F {
		return 0, false
	}
	for i, c := range confusableFrom {
		if c == r {
			return confusableTo[i], true
		}
	}
	return 0, false
}

var confusableFrom = []rune("" +
	"АВЕЅІЈКМНОРСТУХԚԜ" + "аеорсухѕіјһԛԝ" + // Cyrillic
	"ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "οϳ") // Greek

const confusableTo = "" +
	"ABESIJKMHOPCTYXQW" + "aeopcyxsijhqw" +
	"ABEZHIKMNOPTYX" + "oj"
