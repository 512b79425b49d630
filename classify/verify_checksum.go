package classify

// The verifiers below take an identifier in its compact form: ASCII digits and
// upper-case letters, separators removed (see compact). They accept any bytes
// without panicking, allocate nothing and never look outside the slice.

// allDigits reports whether b is not empty and holds only ASCII digits.
func allDigits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return len(b) > 0
}

// allUpper reports whether b is not empty and holds only upper-case letters.
func allUpper(b []byte) bool {
	for _, c := range b {
		if c-'A' > 25 {
			return false
		}
	}
	return len(b) > 0
}

// sameBytes reports whether all bytes of b are equal: what people type into a
// form to get past it, and never an issued number.
func sameBytes(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// number is the value of at most 18 digits; the caller has checked them.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		n = n*10 + int(c-'0')
	}
	return n
}

// alnum36 is the value of a digit or upper-case letter in base 36, or -1.
func alnum36(c byte) int {
	switch {
	case c-'0' <= 9:
		return int(c - '0')
	case c-'A' <= 25:
		return int(c-'A') + 10
	}
	return -1
}

// validDate reports whether y-m-d is a day of the Gregorian calendar.
func validDate(y, m, d int) bool {
	if m < 1 || m > 12 || d < 1 {
		return false
	}
	days := 31
	switch m {
	case 4, 6, 9, 11:
		days = 30
	case 2:
		days = 28
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			days = 29
		}
	}
	return d <= days
}

// validYYMMDD is validDate for six digits whose century is not known.
func validYYMMDD(b []byte) bool {
	y, m, d := number(b[:2]), number(b[2:4]), number(b[4:6])
	return validDate(1900+y, m, d) || validDate(2000+y, m, d)
}

// luhn is the mod 10 "double-add-double" check of ISO/IEC 7812-1, annex B.
func luhn(b []byte) bool {
	return len(b) > 1 && allDigits(b) && luhnSum(b)%10 == 0
}

func luhnSum(b []byte) int {
	sum, double := 0, false
	for i := len(b) - 1; i >= 0; i-- {
		d := int(b[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum
}

// weighted is the sum of the digits of b times the weights w.
func weighted(b []byte, w []uint8) int {
	sum := 0
	for i, c := range b[:len(w)] {
		sum += int(c-'0') * int(w[i])
	}
	return sum
}

// mod97 is the remainder by 97 of b read with letters as 10 to 35 (ISO 7064
// MOD 97-10), or -1 if b holds anything else.
func mod97(b []byte) int {
	r := 0
	for _, c := range b {
		v := alnum36(c)
		switch {
		case v < 0:
			return -1
		case v < 10:
			r = (r*10 + v) % 97
		default:
			r = (r*100 + v) % 97
		}
	}
	return r
}

// mod11x10 is the ISO 7064 MOD 11,10 check.
func mod11x10(b []byte) bool {
	if len(b) < 2 || !allDigits(b) {
		return false
	}
	p := 10
	for _, c := range b[:len(b)-1] {
		if p = (p + int(c-'0')) % 10; p == 0 {
			p = 10
		}
		p = p * 2 % 11
	}
	return (p+int(b[len(b)-1]-'0'))%10 == 1
}

// mod11x2 is the ISO 7064 MOD 11-2 check; the last character may be X.
func mod11x2(b []byte) bool {
	if len(b) < 2 || !allDigits(b[:len(b)-1]) {
		return false
	}
	r := 0
	for _, c := range b[:len(b)-1] {
		r = (r + int(c-'0')) * 2 % 11
	}
	switch c := b[len(b)-1]; {
	case c == 'X':
		r += 10
	case c-'0' <= 9:
		r += int(c - '0')
	default:
		return false
	}
	return r%11 == 1
}

// The multiplication and permutation tables of Verhoeff's check over the
// dihedral group D5.
var (
	verhoeffMul = [10][10]uint8{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 0, 6, 7, 8, 9, 5},
		{2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
		{3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
		{4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
		{6, 5, 9, 8, 7, 1, 0, 4, 3, 2},
		{7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
		{8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
		{9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffPerm = [8][10]uint8{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
		{5, 8, 0, 3, 7, 9, 6, 1, 4, 2},
		{8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0},
		{4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
		{2, 7, 9, 3, 8, 0, 6, 4, 1, 5},
		{7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
)

// verhoeff is Verhoeff's dihedral check (1969).
func verhoeff(b []byte) bool {
	if len(b) < 2 || !allDigits(b) {
		return false
	}
	c := uint8(0)
	for i := range b {
		c = verhoeffMul[c][verhoeffPerm[i&7][b[len(b)-1-i]-'0']]
	}
	return c == 0
}

// weights731 is the 7-3-1 sum mod 10 of machine-readable documents (ICAO 9303
// part 3, 4.9) with letters as 10 to 35, or -1.
func weights731(b []byte) int {
	sum := 0
	for i, c := range b {
		v := alnum36(c)
		if v < 0 {
			return -1
		}
		sum += v * [3]int{7, 3, 1}[i%3]
	}
	return sum % 10
}
