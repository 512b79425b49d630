package protect

import "math"

// A decimal is a number as it is written: no float comes between, so that a cut
// is exactly where the digits say.
type decimal struct {
	neg   bool
	digit [48]byte // '0' to '9', leading zeros left out
	n     int      // digits that there are
	point int      // how many digits stand before the point; may be negative, or more than n
	more  bool     // further digits are not all zero
}

// maxExponent bounds what an exponent may say.
const maxExponent = 9999

// parse reads [+-]digits[.digits][e[+-]digits].
func (d *decimal) parse(text []byte) bool {
	*d = decimal{}
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		d.neg, i = text[i] == '-', 1
	}
	seen, behind := false, false
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !behind {
			behind = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		seen = true
		switch {
		case d.n == 0 && c == '0':
			if behind {
				d.point--
			}
			continue
		case d.n < len(d.digit):
			d.digit[d.n] = c
			d.n++
		case c != '0':
			d.more = true
		}
		if !behind {
			d.point++
		}
	}
	if !seen {
		return false
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		exp, ok := exponent(text[i+1:])
		if !ok {
			return false
		}
		d.point, i = d.point+exp, len(text)
	}
	if d.n == 0 {
		d.point = 0 // whatever the exponent says
	}
	return i == len(text)
}

func exponent(text []byte) (n int, ok bool) {
	neg := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		neg, text = text[0] == '-', text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' || n > maxExponent {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if neg {
		n = -n
	}
	return n, len(text) > 0
}

// at returns digit k, counted from the first.
func (d *decimal) at(k int) byte {
	if k >= 0 && k < d.n {
		return d.digit[k]
	}
	return '0'
}

// whole returns the number without sign and fraction, and whether there is a
// fraction. ok is false where it is too large.
func (d *decimal) whole() (n int64, fraction, ok bool) {
	if d.n == 0 {
		return 0, false, true
	}
	if d.point > 19 {
		return 0, false, false
	}
	var u uint64
	for k := range max(d.point, 0) {
		u = 10*u + uint64(d.at(k)-'0')
	}
	if u > math.MaxInt64 { // 19 digits don't overflow 64 bits
		return 0, false, false
	}
	fraction = d.more
	for k := max(d.point, 0); k < d.n; k++ {
		fraction = fraction || d.digit[k] != '0'
	}
	return int64(u), fraction, true
}

// appendCut appends the number with so many decimals. What stands behind is cut
// off: nothing is rounded, and zero has no sign.
func (d *decimal) appendCut(dst []byte, decimals int) []byte {
	last := d.point + decimals
	zero := true
	for k := 0; k < min(last, d.n); k++ {
		zero = zero && d.digit[k] == '0'
	}
	if d.neg && !zero {
		dst = append(dst, '-')
	}
	if d.point <= 0 {
		dst = append(dst, '0')
	}
	for k := range max(d.point, 0) {
		dst = append(dst, d.at(k))
	}
	if decimals == 0 {
		return dst
	}
	dst = append(dst, '.')
	for k := d.point; k < last; k++ {
		dst = append(dst, d.at(k))
	}
	return dst
}
