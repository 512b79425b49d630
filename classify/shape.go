package classify

import "unicode/utf8"

// Shapes of values, on folded text. None of them allocates.

// decimal is a decimal number as text says it.
type decimal struct {
	value    float64
	decimals int  // digits after the point, without zeros at the end
	whole    bool // written without a point
}

// parseDecimal reads [-+]digits[.digits], at most 20 bytes, nothing else.
func parseDecimal(t []byte) (d decimal, ok bool) {
	i, neg := 0, false
	if i < len(t) && (t[i] == '-' || t[i] == '+') {
		neg = t[i] == '-'
		i++
	}
	if i >= len(t) || len(t) > 24 {
		return d, false
	}
	scale, digits, zeros := 1.0, 0, 0
	d.whole = true
	for ; i < len(t); i++ {
		switch b := t[i]; {
		case b-'0' < 10:
			digits++
			if d.whole {
				d.value = d.value*10 + float64(b-'0')
				continue
			}
			scale /= 10
			d.value += float64(b-'0') * scale
			if zeros++; b != '0' {
				d.decimals += zeros
				zeros = 0
			}
		case b == '.' && d.whole:
			d.whole = false
		default:
			return d, false
		}
	}
	if neg {
		d.value = -d.value
	}
	return d, digits > 0
}

// timestamp reports whether a text is a date and a time of the last century or
// this one, and nothing else: 2026-11-23T14:05:06.123+01:00 (RFC 3339, ISO 8601).
func timestamp(t []byte) bool {
	const pattern = "9999-99-99 99:99:99"
	if len(t) < len(pattern) || len(t) > len(pattern)+16 || t[4] != '-' || t[10] != ' ' && t[10]|0x20 != 't' {
		return false
	}
	for i, b := range t[:len(pattern)] {
		if p := pattern[i]; p == '9' && b-'0' > 9 || p != '9' && p != ' ' && b != p {
			return false
		}
	}
	if t[0] != '2' && t[0] != '1' || t[0] == '2' && t[1] != '0' || t[0] == '1' && t[1] != '9' || t[5] > '1' || t[8] > '3' || t[11] > '2' || t[14] > '5' {
		return false
	}
	i := len(pattern)
	if i < len(t) && (t[i] == '.' || t[i] == ',') {
		for i++; i < len(t) && t[i]-'0' <= 9; i++ {
		}
		if i == len(pattern)+1 || i > len(pattern)+10 {
			return false
		}
	}
	switch zone := t[i:]; len(zone) {
	case 0:
		return true
	case 1:
		return zone[0]|0x20 == 'z'
	case 3, 5, 6:
		if zone[0] != '+' && zone[0] != '-' || len(zone) == 6 && zone[3] != ':' {
			return false
		}
		for k, b := range zone[1:] {
			if b-'0' > 9 && (len(zone) != 6 || k != 2) {
				return false
			}
		}
		return true
	}
	return false
}

// counts is what a text is made of.
type counts struct {
	letters, upper, digits, spaces, wide, hex, others int
}

func count(t []byte) (n counts) {
	for _, b := range t {
		switch k := byteClass[b]; {
		case k&isLetter != 0:
			n.letters++
			if k&isUpper != 0 {
				n.upper++
			}
			if k&isHexAF != 0 {
				n.hex++
			}
		case k&isDigit != 0:
			n.digits++
			n.hex++
		case b == ' ':
			n.spaces++
		case b >= 0x80:
			n.wide++
		default:
			n.others++
		}
	}
	return n
}

// isHex reports whether t is hex digits only.
func isHex(t []byte) bool {
	for _, b := range t {
		if byteClass[b]&(isDigit|isHexAF) == 0 {
			return false
		}
	}
	return len(t) > 0
}

// same reports whether t repeats one byte: 000000, ********.
func same(t []byte) bool {
	for _, b := range t {
		if b != t[0] {
			return false
		}
	}
	return true
}

// isBase64 reports whether t is made of base64 or base64url, with a fraction of
// what random bytes hold of upper, lower and digits each. It looks at both ends
// of a long text only.
func isBase64(t []byte) bool {
	const look = 256
	if len(t) > 2*look {
		return base64Part(t[:look]) && base64Part(t[len(t)-look:])
	}
	return base64Part(t)
}

func base64Part(t []byte) bool {
	lower, upper, digits := 0, 0, 0
	for i, b := range t {
		switch k := byteClass[b]; {
		case k&isLower != 0:
			lower++
		case k&isUpper != 0:
			upper++
		case k&isDigit != 0:
			digits++
		case b == '+', b == '/', b == '-', b == '_':
		case b == '=' && i >= len(t)-2:
		case b == '\n', b == '\r':
		default:
			return false
		}
	}
	return lower > 0 && upper > 0 && lower+upper+digits > len(t)/2
}

// equalFold compares ASCII text with a lower-case word.
func equalFold(t []byte, lower string) bool {
	if len(t) != len(lower) {
		return false
	}
	for i, b := range t {
		if b-'A' < 26 {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// oneOf reports whether t is one of words, whatever its case.
func oneOf(t []byte, words ...string) bool {
	for _, w := range words {
		if len(w) == len(t) && equalFold(t, w) {
			return true
		}
	}
	return false
}

// nothing reports whether t says that there is no value.
func nothing(t []byte) bool {
	if len(t) == 0 {
		return true
	}
	if len(t) > 11 || t[0]-'0' <= 9 {
		return false // longer than any of these words, or a number
	}
	return oneOf(t, "null", "none", "nil", "n/a", "na", "nan", "-", "--", "unknown", "undefined", "unset", "unavailable",
		"true", "false", "empty", "default", "not set", "invalid", "error", "ok", "yes", "no", "on", "off", "string", "void", "无", "未知")
}

// nameLike reports how much t looks like a person's name: one to five words,
// each with a capital at its start, or a few ideographs.
func nameLike(t []byte) bool {
	if len(t) < 2 || len(t) > 64 {
		return false
	}
	n := count(t)
	if n.digits > 0 || n.letters+n.wide < 2 {
		return false
	}
	if n.wide > 0 && n.letters == 0 {
		k := utf8.RuneCount(t)
		return k >= 2 && k <= 24
	}
	words, capitals := 0, 0
	start := true
	for _, b := range t {
		switch {
		case byteClass[b]&isLetter != 0 || b >= 0x80:
			if start {
				words++
				if byteClass[b]&isUpper != 0 || b >= 0x80 {
					capitals++
				}
				start = false
			}
		case b == ' ':
			start = true
		case b == '.' || b == '\'' || b == '-' || b == ',':
			start = b != '\''
		default:
			return false
		}
	}
	// "van der", "de la": not every word is capital.
	return words <= 6 && capitals > 0 && capitals*2 >= words && !(words == 1 && n.upper == n.letters && n.letters > 1)
}
