package eval

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	shapeRunes = 256 // of a value that are looked at
	shapeParts = 12  // of a shape that are shown
)

// Shape says how a value is written without saying what it is: digits become 9,
// letters a or A, other characters that are not punctuation "?", and a run of
// more than three of a kind its length: "AA99 9{4} 9{4}". What is longer than
// can be shown ends in "…".
func Shape(value []byte) string {
	var b strings.Builder
	var last rune
	run, parts, seen := 0, 0, 0
	flush := func() {
		switch {
		case run == 0:
		case run <= 3:
			b.WriteString(strings.Repeat(string(last), run))
		default:
			fmt.Fprintf(&b, "%c{%d}", last, run)
		}
	}
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		value = value[n:]
		k := kindOf(r)
		if k != last || run == 0 {
			flush()
			if parts++; parts > shapeParts {
				return b.String() + "…"
			}
			last, run = k, 0
		}
		run++
		if seen++; seen == shapeRunes && len(value) > 0 {
			flush()
			return b.String() + "…"
		}
	}
	flush()
	return b.String()
}

func kindOf(r rune) rune {
	switch {
	case unicode.IsDigit(r):
		return '9'
	case unicode.IsUpper(r):
		return 'A'
	case unicode.IsLetter(r):
		return 'a'
	case unicode.IsSpace(r):
		return ' '
	case r < utf8.RuneSelf && unicode.IsPrint(r):
		return r
	}
	return '?'
}
