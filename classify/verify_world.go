package classify

// Identity, tax and social-security numbers of the Americas, Asia, Africa and
// Oceania.

// usSSN verifies the form of an American social-security number: an area that
// can be issued (never 000, 666 or 9xx), no part all zeros, none of those
// printed in advertisements.
func usSSN(b []byte) bool {
	if len(b) != 9 || !allDigits(b) || sameBytes(b) {
		return false
	}
	area := number(b[:3])
	if area == 0 || area == 666 || area >= 900 || number(b[3:5]) == 0 || number(b[5:]) == 0 {
		return false
	}
	switch number(b) {
	case 78051120, 219099999, 123456789, 987654321, 457555462:
		return false
	}
	return true
}

// usITIN verifies the form of an American taxpayer number: 9xx and a group
// that the IRS assigns.
func usITIN(b []byte) bool {
	if len(b) != 9 || !allDigits(b) || b[0] != '9' {
		return false
	}
	g := number(b[3:5])
	return g >= 50 && g <= 65 || g >= 70 && g <= 88 || g >= 90 && g <= 92 || g >= 94 && g <= 99
}

// usMBI verifies the form of a Medicare beneficiary identifier (CMS): eleven
// places, each a digit, a letter without S L O I B Z, or either.
func usMBI(b []byte) bool {
	if len(b) != 11 {
		return false
	}
	for i, c := range b {
		digit := c-'0' <= 9
		letter := c-'A' <= 25
		switch c {
		case 'S', 'L', 'O', 'I', 'B', 'Z':
			letter = false
		}
		var ok bool
		switch "cAxnAxnAAnn"[i] {
		case 'c':
			ok = digit && c != '0'
		case 'n':
			ok = digit
		case 'A':
			ok = letter
		default:
			ok = digit || letter
		}
		if !ok {
			return false
		}
	}
	return true
}

// usNPI verifies an American provider identifier: ten digits from 1 (2 is kept
// for later), Luhn with the prefix 80840.
func usNPI(b []byte) bool {
	// The prefix adds 24 to the sum.
	return len(b) == 10 && b[0] == '1' && allDigits(b) && !sameBytes(b[:9]) && (luhnSum(b)+24)%10 == 0
}

// usDEA verifies the registration number of an American prescriber: type
// letter, letter or 9, seven digits of which the last checks the six.
func usDEA(b []byte) bool {
	if len(b) != 9 || !allDigits(b[2:]) || b[1]-'A' > 25 && b[1] != '9' {
		return false
	}
	switch b[0] {
	case 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'P', 'R', 'S', 'T', 'U', 'X':
	default:
		return false
	}
	d := func(i int) int { return int(b[i] - '0') }
	return (d(2)+d(4)+d(6)+2*(d(3)+d(5)+d(7)))%10 == d(8)
}

// caSIN verifies a Canadian social insurance number: nine digits, not from 0
// or 8, Luhn.
func caSIN(b []byte) bool {
	return len(b) == 9 && b[0] != '0' && b[0] != '8' && luhn(b) && !sameBytes(b)
}

// brCPF verifies a Brazilian taxpayer number: two mod 11 digits.
func brCPF(b []byte) bool {
	if len(b) != 11 || !allDigits(b) || sameBytes(b) {
		return false
	}
	for n := 9; n <= 10; n++ {
		sum := 0
		for i, c := range b[:n] {
			sum += int(c-'0') * (n + 1 - i)
		}
		if sum*10%11%10 != int(b[n]-'0') {
			return false
		}
	}
	return true
}

// clRUT verifies a Chilean RUT: seven or eight digits, a digit or K, mod 11.
func clRUT(b []byte) bool {
	n := len(b) - 1
	if n != 7 && n != 8 || !allDigits(b[:n]) || b[0] == '0' {
		return false
	}
	sum := 0
	for i := range n {
		sum += int(b[n-1-i]-'0') * (2 + i%6)
	}
	return "0K987654321"[sum%11] == b[n]
}

// mxCURP verifies a Mexican population registry code: initials, date, sex,
// state, consonants, and a check digit in base 37.
func mxCURP(b []byte) bool {
	if len(b) != 18 || !allUpper(b[:4]) || !allDigits(b[4:10]) || !allUpper(b[11:16]) || b[17]-'0' > 9 {
		return false
	}
	if b[10] != 'H' && b[10] != 'M' && b[10] != 'X' || !validYYMMDD(b[4:10]) {
		return false
	}
	sum := 0
	for i, c := range b[:17] {
		v := alnum36(c)
		if v < 0 {
			return false
		}
		if c > 'N' { // Ñ stands between N and O
			v++
		}
		sum += v * (18 - i)
	}
	return (10-sum%10)%10 == int(b[17]-'0')
}

// arCUIT verifies an Argentine tax number: a type, eight digits, mod 11.
func arCUIT(b []byte) bool {
	if len(b) != 11 || !allDigits(b) {
		return false
	}
	switch number(b[:2]) {
	case 20, 23, 24, 25, 26, 27, 30, 33, 34:
	default:
		return false
	}
	return (11-weighted(b, []uint8{5, 4, 3, 2, 7, 6, 5, 4, 3, 2})%11)%11 == int(b[10]-'0')
}

// cnResident verifies a Chinese citizen identity number (GB 11643): province,
// date of birth, ISO 7064 MOD 11-2.
func cnResident(b []byte) bool {
	if len(b) != 18 || !mod11x2(b) {
		return false
	}
	switch number(b[:2]) {
	case 11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46,
		50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91:
	default:
		return false
	}
	y := number(b[6:10])
	return y >= 1850 && y < 2100 && validDate(y, number(b[10:12]), number(b[12:14]))
}

// inAadhaar verifies an Indian Aadhaar number: twelve digits from 2, Verhoeff,
// no palindrome.
func inAadhaar(b []byte) bool {
	if len(b) != 12 || b[0] < '2' || !verhoeff(b) {
		return false
	}
	for i := range 6 {
		if b[i] != b[11-i] {
			return true
		}
	}
	return false
}

// inPANShape reports whether b has the form of an Indian permanent account
// number: five letters, four digits, a letter.
func inPANShape(b []byte) bool {
	return len(b) == 10 && allUpper(b[:5]) && allDigits(b[5:9]) && b[9]-'A' <= 25
}

// inPAN is inPANShape with a holder's type in the fourth place.
func inPAN(b []byte) bool {
	if !inPANShape(b) || number(b[5:9]) == 0 {
		return false
	}
	switch b[3] {
	case 'A', 'B', 'C', 'F', 'G', 'H', 'J', 'L', 'P', 'T', 'E', 'K':
		return true
	}
	return false
}

// inGSTShape reports whether b has the form of an Indian GST number: state,
// permanent account number, entity, Z, a check character.
func inGSTShape(b []byte) bool {
	if len(b) != 15 || !allDigits(b[:2]) || !inPANShape(b[2:12]) || b[12] == '0' || alnum36(b[12]) < 0 || b[13] != 'Z' || alnum36(b[14]) < 0 {
		return false
	}
	s := number(b[:2])
	return s >= 1 && s <= 38 || s == 97 || s == 99
}

// inGST is inGSTShape with its check character (Luhn mod 36).
func inGST(b []byte) bool {
	if !inGSTShape(b) {
		return false
	}
	sum := 0
	for i, c := range b[:14] {
		p := alnum36(c) * (1 + i&1)
		sum += p/36 + p%36
	}
	return (36-sum%36)%36 == alnum36(b[14])
}

// inVoter verifies the form of an Indian voter's card number.
func inVoter(b []byte) bool { return len(b) == 10 && allUpper(b[:3]) && allDigits(b[3:]) }

// krDated reports whether b begins like a Korean registration number: a date
// in the century that the seventh digit says, which lies in [first, last].
func krDated(b []byte, first, last byte) bool {
	if len(b) != 13 || !allDigits(b) || b[6] < first || b[6] > last {
		return false
	}
	y := 1900 + number(b[:2])
	switch b[6] {
	case '3', '4', '7', '8':
		y += 100
	case '9', '0':
		y -= 100
	}
	return number(b[7:9]) <= 96 && validDate(y, number(b[2:4]), number(b[4:6]))
}

// krResidentShape reports whether b has the form of a Korean resident
// registration number. Those issued since October 2020 carry no check digit.
func krResidentShape(b []byte) bool { return krDated(b, '1', '4') }

// krForeignerShape is krResidentShape for foreigners.
func krForeignerShape(b []byte) bool { return krDated(b, '5', '8') }

// krResident verifies a resident's or foreigner's number with the check digit
// of numbers issued before October 2020.
func krResident(b []byte) bool {
	if !krDated(b, '1', '8') {
		return false
	}
	c := (11 - weighted(b, weightsKRRRN[:])%11) % 10
	if b[6] >= '5' { // foreigners: two more
		c = (c + 2) % 10
	}
	return c == int(b[12]-'0')
}

var weightsKRRRN = [12]uint8{2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5}

// krBusiness verifies a Korean business registration number.
func krBusiness(b []byte) bool {
	if len(b) != 10 || !allDigits(b) || number(b[:3]) < 101 || number(b[3:5]) == 0 {
		return false
	}
	sum := weighted(b, []uint8{1, 3, 7, 1, 3, 7, 1, 3, 5}) + int(b[8]-'0')*5/10
	return (10-sum%10)%10 == int(b[9]-'0')
}

// krDriver verifies the form of a Korean driving licence number: a region from
// 11 to 28, year, six digits, two check digits.
func krDriver(b []byte) bool {
	if len(b) != 12 || !allDigits(b) {
		return false
	}
	r := number(b[:2])
	return r >= 11 && r <= 28 && r != 27
}

// krPassport verifies the form of a Korean passport number.
func krPassport(b []byte) bool {
	if len(b) != 9 {
		return false
	}
	switch b[0] {
	case 'M', 'S', 'R', 'O', 'D', 'G':
		return allDigits(b[1:4]) && b[4]-'A' <= 25 && allDigits(b[5:])
	}
	return false
}

// thNational verifies a Thai identity number: thirteen digits, a type from 1
// to 8, a province, mod 11.
func thNational(b []byte) bool {
	if len(b) != 13 || !allDigits(b) || b[0] == '0' || b[0] == '9' {
		return false
	}
	switch p := number(b[1:3]); {
	case p < 10, p > 96, p == 28, p == 29, p == 59, p == 68, p == 69, p == 78, p == 79, p >= 87 && p <= 89:
		return false
	}
	sum := 0
	for i, c := range b[:12] {
		sum += int(c-'0') * (13 - i)
	}
	return (11-sum%11)%10 == int(b[12]-'0')
}

// sgNRIC verifies a Singaporean identity or foreign identification number:
// letter of the series, seven digits, check letter.
func sgNRIC(b []byte) bool {
	if len(b) != 9 || !allDigits(b[1:8]) {
		return false
	}
	sum := weighted(b[1:], []uint8{2, 7, 6, 5, 4, 3, 2})
	switch b[0] {
	case 'S':
		return "JZIHGFEDCBA"[sum%11] == b[8]
	case 'T':
		return "JZIHGFEDCBA"[(sum+4)%11] == b[8]
	case 'F':
		return "XWUTRQPNMLK"[sum%11] == b[8]
	case 'G':
		return "XWUTRQPNMLK"[(sum+4)%11] == b[8]
	case 'M':
		return "XWUTRQPNJLK"[(sum+3)%11] == b[8]
	}
	return false
}

// sgUEN verifies a Singaporean entity number in its three forms: a business
// (eight digits and a letter), a local company (a year first, nine digits and
// a letter), all others (T or S or R, year, type, four digits, letter).
func sgUEN(b []byte) bool {
	switch {
	case len(b) == 9 && allDigits(b[:8]):
		return "XMKECAWLJDB"[weighted(b, []uint8{10, 4, 9, 3, 8, 2, 7, 1})%11] == b[8]
	case len(b) == 10 && allDigits(b[:9]):
		y := number(b[:4])
		return y >= 1800 && y < 2100 && "ZKCMDNERGWH"[weighted(b, []uint8{10, 8, 6, 4, 9, 7, 5, 3, 1})%11] == b[9]
	case len(b) == 10 && (b[0] == 'R' || b[0] == 'S' || b[0] == 'T') && allDigits(b[1:3]) && allUpper(b[3:5]) && allDigits(b[5:9]):
		sum := 0
		for i, w := range [9]int{4, 3, 5, 3, 10, 2, 2, 5, 7} {
			sum += w * uenValue(b[i])
		}
		return uenAlphabet[((sum-5)%11+11)%11] == b[9]
	}
	return false
}

const uenAlphabet = "ABCDEFGHJKLMNPQRSTUVWX0123456789"

func uenValue(c byte) int {
	for i := range len(uenAlphabet) {
		if uenAlphabet[i] == c {
			return i
		}
	}
	return 0
}

// jpMyNumber verifies a Japanese individual number: twelve digits, mod 11.
func jpMyNumber(b []byte) bool {
	if len(b) != 12 || !allDigits(b) || sameBytes(b) {
		return false
	}
	r := weighted(b, []uint8{6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2}) % 11
	if r <= 1 {
		return b[11] == '0'
	}
	return 11-r == int(b[11]-'0')
}

// twNational verifies a Taiwanese identity number: a letter for the place, 1
// or 2 (residents: 8 or 9), eight digits, mod 10.
func twNational(b []byte) bool {
	if len(b) != 10 || b[0]-'A' > 25 || !allDigits(b[1:]) {
		return false
	}
	switch b[1] {
	case '1', '2', '8', '9':
	default:
		return false
	}
	p := int([26]uint8{10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33}[b[0]-'A'])
	return (p/10+p%10*9+weighted(b[1:], []uint8{8, 7, 6, 5, 4, 3, 2, 1, 1}))%10 == 0
}

// zaIdentity verifies a South African identity number: date of birth, serial
// number, citizenship (0, 1, refugees 2), 8 or 9, Luhn.
func zaIdentity(b []byte) bool {
	return len(b) == 13 && luhn(b) && b[10] <= '2' && b[11] >= '8' && validYYMMDD(b)
}

var (
	weightsTFN      = [9]uint8{1, 4, 3, 7, 5, 8, 6, 9, 10}
	weightsACN      = [8]uint8{8, 7, 6, 5, 4, 3, 2, 1}
	weightsMedicare = [8]uint8{1, 3, 7, 9, 1, 3, 7, 9}
)

// auTFN verifies an Australian tax file number: nine digits, mod 11.
func auTFN(b []byte) bool {
	return len(b) == 9 && allDigits(b) && !sameBytes(b) && weighted(b, weightsTFN[:])%11 == 0
}

// auABN verifies an Australian business number: eleven digits, mod 89 after
// one is taken from the first; not one that is mostly zeros.
func auABN(b []byte) bool {
	return len(b) == 11 && allDigits(b) && b[0] != '0' && number(b[2:8]) != 0 &&
		(weighted(b, []uint8{10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19})-10)%89 == 0
}

// auACN verifies an Australian company number: nine digits, mod 10.
func auACN(b []byte) bool {
	return len(b) == 9 && allDigits(b) && !sameBytes(b) &&
		(10-weighted(b, weightsACN[:])%10)%10 == int(b[8]-'0')
}

// auMedicare verifies an Australian health-insurance card number: ten digits
// from 2 to 6, the ninth checks the eight before it.
func auMedicare(b []byte) bool {
	return (len(b) == 10 || len(b) == 11) && allDigits(b) && b[0] >= '2' && b[0] <= '6' &&
		weighted(b, weightsMedicare[:])%10 == int(b[8]-'0') && b[9] != '0'
}
