package classify

// cardNumber verifies a payment card number: Luhn, and a length that the
// issuer of its range gives out (ISO/IEC 7812-1; ranges as the networks
// publish them).
func cardNumber(b []byte) bool {
	return cardRange(b) && luhn(b)
}

// cardRange reports whether b has a range and length of a card network. Its
// order follows the first digits; lengths are those in use.
func cardRange(b []byte) bool {
	n := len(b)
	if n < 12 || n > 19 || !allDigits(b) {
		return false
	}
	p6 := number(b[:6])
	p4, p3, p2 := p6/100, p6/1000, p6/10000
	switch {
	case b[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case p2 >= 51 && p2 <= 55, p4 >= 2221 && p4 <= 2720: // Mastercard
		return n == 16
	case b[0] == '1' && p4 != 1800: // UATP
		return n == 15
	case p4 == 5019: // Dankort
		return n == 16
	case p2 == 34, p2 == 37: // American Express
		return n == 15
	case p4 == 1800, p4 == 2131: // JCB, old
		return n == 15
	case p4 >= 3528 && p4 <= 3589: // JCB
		return n >= 16
	case p3 >= 300 && p3 <= 305, p3 == 309, p2 == 36, p2 == 38, p2 == 39: // Diners Club
		return n == 14 || n == 16 || n == 19
	case p4 >= 2200 && p4 <= 2204: // Mir
		return n >= 16
	case p4 == 5018, p4 == 5020, p4 == 5038, p4 == 5893, p4 == 6304,
		p4 >= 6759 && p4 <= 6763, p4 == 5612, p4 == 5000, p4 == 6390: // Maestro
		return true
	case p4 == 6011, p3 >= 644 && p3 <= 649, p2 == 65: // Discover, RuPay
		return n == 16 || n == 19
	case p2 == 60, p2 == 81, p3 == 508: // RuPay
		return n == 16
	case p2 == 62: // UnionPay
		return n >= 16
	case p4 == 9792: // Troy
		return n == 16
	}
	return false
}

// abaRouting verifies an American bank routing number: nine digits, a Federal
// Reserve district or its thrift and electronic twins, weights 3-7-1.
func abaRouting(b []byte) bool {
	if len(b) != 9 || !allDigits(b) || sameBytes(b) {
		return false
	}
	p := number(b[:2])
	if p > 12 && (p < 21 || p > 32) && (p < 61 || p > 72) && p != 80 || p == 0 {
		return false
	}
	return weighted(b, weightsABA[:])%10 == 0
}

var weightsABA = [9]uint8{3, 7, 1, 3, 7, 1, 3, 7, 1}

// ibanFormat is the length of a country's IBAN and the shape of its national
// part as runs: n digits, a upper-case letters, c either.
type ibanFormat struct {
	country string
	shape   string
}

// The IBAN registry (ISO 13616, SWIFT release 99 and countries announced
// since), sorted by country. A run is its kind and its length in two digits.
var ibanFormats = [...]ibanFormat{
	{"AD", "n08c12"}, {"AE", "n19"}, {"AL", "n08c16"}, {"AT", "n16"}, {"AZ", "a04c20"},
	{"BA", "n16"}, {"BE", "n12"}, {"BG", "a04n06c08"}, {"BH", "a04c14"}, {"BI", "n23"},
	{"BR", "n23a01c01"}, {"BY", "c04n04c16"}, {"CH", "n05c12"}, {"CR", "n18"}, {"CY", "n08c16"},
	{"CZ", "n20"}, {"DE", "n18"}, {"DJ", "n23"}, {"DK", "n14"}, {"DO", "c04n20"},
	{"DZ", "n22"}, {"EE", "n16"}, {"EG", "n25"}, {"ES", "n20"}, {"FI", "n14"},
	{"FK", "a02n12"}, {"FO", "n14"}, {"FR", "n10c11n02"}, {"GB", "a04n14"}, {"GE", "a02n16"},
	{"GI", "a04c15"}, {"GL", "n14"}, {"GR", "n07c16"}, {"GT", "c04c20"}, {"HN", "a04n20"},
	{"HR", "n17"}, {"HU", "n24"}, {"IE", "a04n14"}, {"IL", "n19"}, {"IQ", "a04n15"},
	{"IR", "n22"}, {"IS", "n22"}, {"IT", "a01n10c12"}, {"JO", "a04n04c18"}, {"KW", "a04c22"},
	{"KZ", "n03c13"}, {"LB", "n04c20"}, {"LC", "a04c24"}, {"LI", "n05c12"}, {"LT", "n16"},
	{"LU", "n03c13"}, {"LV", "a04c13"}, {"LY", "n21"}, {"MC", "n10c11n02"}, {"MD", "c20"},
	{"ME", "n18"}, {"MG", "n23"}, {"MK", "n03c10n02"}, {"MN", "n16"}, {"MR", "n23"},
	{"MT", "a04n05c18"}, {"MU", "a04n19a03"}, {"NI", "a04n20"}, {"NL", "a04n10"}, {"NO", "n11"},
	{"OM", "n03c16"}, {"PK", "a04c16"}, {"PL", "n24"}, {"PS", "a04c21"}, {"PT", "n21"},
	{"QA", "a04c21"}, {"RO", "a04c16"}, {"RS", "n18"}, {"RU", "n14c15"}, {"SA", "n02c18"},
	{"SC", "a04n20a03"}, {"SD", "n14"}, {"SE", "n20"}, {"SI", "n15"}, {"SK", "n20"},
	{"SM", "a01n10c12"}, {"SO", "n19"}, {"ST", "n21"}, {"SV", "a04n20"}, {"TL", "n19"},
	{"TN", "n20"}, {"TR", "n06c16"}, {"UA", "n06c19"}, {"VA", "n18"}, {"VG", "a04n16"},
	{"XK", "n16"}, {"YE", "a04n04c18"},
}

// ibanCountry returns the format of a country's IBAN, nil if it has none.
func ibanCountry(c0, c1 byte) *ibanFormat {
	lo, hi := 0, len(ibanFormats)
	for lo < hi {
		m := (lo + hi) / 2
		if k := ibanFormats[m].country; k[0] < c0 || k[0] == c0 && k[1] < c1 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(ibanFormats) && ibanFormats[lo].country[0] == c0 && ibanFormats[lo].country[1] == c1 {
		return &ibanFormats[lo]
	}
	return nil
}

// iban verifies an international bank account number: a country that issues
// them, its length, the shape of its national part, and MOD 97-10.
func iban(b []byte) bool {
	if len(b) < 15 || len(b) > 34 || !allDigits(b[2:4]) {
		return false
	}
	f := ibanCountry(b[0], b[1])
	if f == nil {
		return false
	}
	rest := b[4:]
	for s := f.shape; len(s) >= 3; s = s[3:] {
		n := int(s[1]-'0')*10 + int(s[2]-'0')
		if len(rest) < n {
			return false
		}
		for _, c := range rest[:n] {
			digit, letter := c-'0' <= 9, c-'A' <= 25
			if !digit && !letter || s[0] == 'n' && !digit || s[0] == 'a' && !letter {
				return false
			}
		}
		rest = rest[n:]
	}
	if len(rest) != 0 {
		return false
	}
	// The check digits stand behind the national part for the calculation.
	r := mod97(b[4:])
	for _, c := range b[:4] {
		if v := alnum36(c); v < 10 {
			r = (r*10 + v) % 97
		} else {
			r = (r*100 + v) % 97
		}
	}
	return r == 1
}
