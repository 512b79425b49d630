package classify

// imei verifies a mobile device's identity: fifteen digits, Luhn, and a
// reporting body of the type allocation code that hands them out (3GPP TS
// 23.003, section 6.2; GSMA TS.06).
func imei(b []byte) bool {
	if len(b) != 15 || !luhn(b) || sameBytes(b) {
		return false
	}
	switch number(b[:2]) {
	case 1, 35, 86, 91, 98, 99, 10, 44, 45, 49, 50, 51, 52, 53, 54, 33:
		return true
	}
	return false
}

// iccid verifies a SIM card's number: 89 (telecommunications), 19 digits with
// a Luhn digit (ITU-T E.118); operators also print 20, with the Luhn digit
// last.
func iccid(b []byte) bool {
	return (len(b) == 19 || len(b) == 20) && b[0] == '8' && b[1] == '9' && luhn(b)
}

// vinShape reports whether b has the form of a vehicle identification number
// (ISO 3779): seventeen digits and letters without I, O and Q, digits at the
// end, of both kinds.
func vinShape(b []byte) bool {
	if len(b) != 17 {
		return false
	}
	letters, digits := 0, 0
	for _, c := range b {
		switch {
		case c-'0' <= 9:
			digits++
		case c == 'I', c == 'O', c == 'Q', c-'A' > 25:
			return false
		default:
			letters++
		}
	}
	return letters >= 2 && digits >= 5 && allDigits(b[14:]) && b[0] != '0'
}

// vinChecked verifies a VIN's check digit in position 9, which is binding in
// North America and China only (49 CFR 565.15): its failure says nothing.
func vinChecked(b []byte) bool {
	if !vinShape(b) {
		return false
	}
	sum := 0
	for i, c := range b {
		v := int(c - '0')
		if c >= 'A' {
			v = int("12345678012345070923456789"[c-'A'] - '0')
		}
		sum += v * int([17]uint8{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}[i])
	}
	if r := sum % 11; r == 10 {
		return b[8] == 'X'
	} else {
		return int(b[8]-'0') == r
	}
}
