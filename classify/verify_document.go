package classify

// Passport and driving-licence numbers carry no checksum outside the
// machine-readable zone; these are forms, of use with words near.

// letterMask is the set of places of b that hold upper-case letters, and
// whether all others are digits. b is at most 64 bytes.
func letterMask(b []byte) (mask uint64, ok bool) {
	for i, c := range b {
		switch {
		case c-'A' <= 25:
			mask |= 1 << i
		case c-'0' > 9:
			return 0, false
		}
	}
	return mask, true
}

// passportShape reports whether b has the form of a passport number of any
// large issuer: six to nine digits after up to three letters, or the mixed
// forms of Germany and Korea.
func passportShape(b []byte) bool {
	if len(b) < 6 || len(b) > 10 {
		return false
	}
	mask, ok := letterMask(b)
	if !ok {
		return false
	}
	switch mask {
	case 0, 1, 3, 7: // 912803456, A12803456, AB1234567, AAA123456
		return len(b) >= 7
	}
	return deDocument(b) || krPassport(b)
}

// travelDocument reports whether b can be the number of a document with a
// machine-readable zone, where a key says that it is one: nine places as a rule
// (ICAO Doc 9303), letters and digits.
func travelDocument(b []byte) bool {
	if len(b) < 7 || len(b) > 10 {
		return false
	}
	n := count(b)
	return n.digits >= 3 && n.letters >= 1 && n.digits+n.letters == len(b)
}

// driverShape reports whether b has a form that driving-licence numbers take
// somewhere: five to eighteen places, at least four of them digits.
func driverShape(b []byte) bool {
	if len(b) < 5 || len(b) > 18 {
		return false
	}
	mask, ok := letterMask(b)
	digits := len(b)
	for ; mask != 0; mask &= mask - 1 {
		digits--
	}
	return ok && digits >= 4
}

// itDriver reports whether b has the form of an Italian driving licence: U1,
// seven places, a letter; or two letters, seven digits, a letter.
func itDriver(b []byte) bool {
	if len(b) != 10 || b[9]-'A' > 25 {
		return false
	}
	if b[0] == 'U' && b[1] == '1' {
		digits := 0
		for _, c := range b[2:9] {
			switch {
			case c-'0' <= 9:
				digits++
			case c-'A' > 25, c == 'A', c == 'E', c == 'I', c == 'O', c == 'Q', c == 'U':
				return false
			}
		}
		return digits >= 3
	}
	return allUpper(b[:2]) && allDigits(b[2:9])
}

// deDriver reports whether b has the form of a German driving licence as many
// offices print it: two letters, eight digits, a digit or letter.
func deDriver(b []byte) bool {
	return len(b) == 11 && allUpper(b[:2]) && allDigits(b[2:10]) && alnum36(b[10]) >= 0
}
