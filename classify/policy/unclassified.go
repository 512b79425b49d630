package policy

import (
	"bytes"

	"github.com/sealgate/sealgate/classify/payload"
)

// maxWord is the longest word of an enumeration, in bytes.
const maxWord = 24

// enumWord reports whether a text looks like a word of an enumeration: one
// ASCII word in one case, of letters, digits, "_" and "-", with a letter.
func enumWord(s []byte) bool {
	if len(s) > maxWord {
		return false
	}
	m := uint8(0)
	for _, c := range s {
		m |= wordByte[c]
	}
	return m == inLower || m == inUpper
}

// What a byte of a word tells.
const (
	inLower = 1 << iota
	inUpper
	inNone // it stands in no word
)

var wordByte = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z':
			t[c] = inLower
		case c >= 'A' && c <= 'Z':
			t[c] = inUpper
		case c >= '0' && c <= '9', c == '_', c == '-':
		default:
			t[c] = inNone
		}
	}
	return t
}()

// maxNumber is the longest number in quotes that counts as one, in bytes. What
// is longer is more likely an identifier.
const maxNumber = 8

// number reports whether a text is a short decimal number, which many devices
// put in quotes: 21.5, -87.
func number(s []byte) bool {
	if len(s) > maxNumber {
		return false
	}
	if len(s) > 1 && s[0] == '-' {
		s = s[1:]
	}
	point := false
	for i, c := range s {
		switch {
		case digit(c):
		case c == '.' && !point && i > 0 && i < len(s)-1:
			point = true
		default:
			return false
		}
	}
	return len(s) > 0
}

// timestamp reports whether a text is a date, a time or both, like RFC 3339
// writes them: 2026-11-23, 14:05, 2026-11-23T14:05:06.123+01:00.
func timestamp(s []byte) bool {
	if len(s) < 5 || len(s) > 40 {
		return false
	}
	date := false
	if shape(s, "dddd-dd-dd") {
		if !below(s[5:], 1, 12) || !below(s[8:], 1, 31) {
			return false
		}
		if s = s[10:]; len(s) == 0 {
			return true
		}
		if s[0] != 'T' && s[0] != 't' && s[0] != ' ' {
			return false
		}
		date, s = true, s[1:]
	}
	if !shape(s, "dd:dd") || !below(s, 0, 23) || !below(s[3:], 0, 59) {
		return false
	}
	if s = s[5:]; shape(s, ":dd") {
		if !below(s[1:], 0, 60) { // a leap second
			return false
		}
		if s = s[3:]; len(s) > 1 && (s[0] == '.' || s[0] == ',') {
			n := 1
			for n < len(s) && n <= 9 && digit(s[n]) {
				n++
			}
			if n == 1 {
				return false
			}
			s = s[n:]
		}
	}
	switch {
	case len(s) == 0:
		return true
	case !date:
		return false
	case len(s) == 1:
		return s[0] == 'Z' || s[0] == 'z'
	case s[0] != '+' && s[0] != '-':
		return false
	}
	s = s[1:]
	return (len(s) == 5 && shape(s, "dd:dd") && below(s[3:], 0, 59) || len(s) == 4 && shape(s, "dddd") && below(s[2:], 0, 59) || len(s) == 2 && shape(s, "dd")) &&
		below(s, 0, 23)
}

// epoch reports whether a text is a time in seconds or milliseconds since 1970,
// from 2017 to 2033. By itself it may as well be an identifier: formats that
// don't tell numbers from text have long ones as text.
func epoch(s []byte) bool {
	if len(s) != 10 && len(s) != 13 || s[0] != '1' || s[1] < '5' {
		return false
	}
	for _, c := range s {
		if !digit(c) {
			return false
		}
	}
	return true
}

// timeKey reports whether a key ends in a word for a time.
func timeKey(key []byte) bool {
	for _, word := range [...]string{"time", "timestamp", "ts", "epoch", "date"} {
		n := len(key) - len(word)
		if n < 0 || !bytes.EqualFold(key[n:], []byte(word)) {
			continue
		}
		if n == 0 || key[n] < 'a' || !letter(key[n-1]) { // created_ts, eventTime, but not "parts"
			return true
		}
	}
	return false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// shape reports whether s begins like the pattern, in which d is a digit.
func shape(s []byte, pattern string) bool {
	if len(s) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] == 'd' {
			if !digit(s[i]) {
				return false
			}
		} else if s[i] != pattern[i] {
			return false
		}
	}
	return true
}

// below reports whether the first two digits are between low and high.
func below(s []byte, low, high int) bool {
	n := int(s[0]-'0')*10 + int(s[1]-'0')
	return n >= low && n <= high
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// numeric reports whether values of a kind pass under `balanced` whatever they
// are.
func numeric(k payload.Kind) bool {
	return k == payload.KindNumber || k == payload.KindBool || k == payload.KindNull
}

// harmless reports whether `balanced` lets a leaf pass that is not numeric.
func harmless(d *payload.Document, i int32) bool {
	switch d.Fields[i].Kind {
	case payload.KindString, payload.KindText:
		s := d.Text(i)
		return len(s) == 0 || enumWord(s) || number(s) || timestamp(s) || epoch(s) && timeKey(d.Key(i))
	}
	return false
}
