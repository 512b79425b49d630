package classify

// European identity, tax and social-security numbers.

// deTaxID verifies the German tax identification number (§ 139b AO): eleven
// digits, not beginning with 0, MOD 11,10. In the first ten one digit stands two
// or three times (three times in a row never), the others at most once. Numbers
// without a repeated digit are not issued, but stand in forms and examples, and
// are too rare by chance to be refused.
func deTaxID(b []byte) bool {
	if !deTaxIDLoose(b) {
		return false
	}
	var count [10]int
	for _, c := range b[:10] {
		count[c-'0']++
	}
	repeated := 0
	for _, n := range count {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	for i := 2; i < 10; i++ {
		if b[i] == b[i-1] && b[i] == b[i-2] {
			return false
		}
	}
	return repeated <= 1
}

// deTaxIDLoose leaves out the rule about repeated digits: numbers in forms and
// tests break it, and words near may still say what they are.
func deTaxIDLoose(b []byte) bool {
	return len(b) == 11 && b[0] != '0' && mod11x10(b) && !sameBytes(b[:10])
}

// deVAT verifies a German VAT identification number without its "DE".
func deVAT(b []byte) bool { return len(b) == 9 && b[0] != '0' && mod11x10(b) }

// deSocial verifies a German pension insurance number (§ 147 SGB VI, VKVV):
// area, date of birth, initial, serial number, check digit.
func deSocial(b []byte) bool {
	if len(b) != 12 || !allDigits(b[:8]) || b[8]-'A' > 25 || !allDigits(b[9:]) {
		return false
	}
	if a := number(b[:2]); a < 2 || a > 89 || !validDate(2000, number(b[4:6]), number(b[2:4])) {
		return false
	}
	var d [12]byte
	copy(d[:8], b[:8])
	letter := b[8] - 'A' + 1
	d[8], d[9], d[10], d[11] = '0'+letter/10, '0'+letter%10, b[9], b[10]
	sum := 0
	for i, w := range [12]int{2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1} {
		p := int(d[i]-'0') * w
		sum += p/10 + p%10
	}
	return sum%10 == int(b[11]-'0')
}

// deDocument verifies the serial number of a German identity card or passport
// (nine characters of a reduced alphabet, 7-3-1).
func deDocument(b []byte) bool {
	if len(b) != 9 || b[8]-'0' > 9 {
		return false
	}
	digits := 0
	for i, c := range b[:8] {
		switch c {
		case 'C', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'R', 'T', 'V', 'W', 'X', 'Y', 'Z':
		default:
			if c-'0' > 9 || i == 0 {
				return false
			}
			digits++
		}
	}
	return digits >= 3 && weights731(b[:8]) == int(b[8]-'0')
}

// deHealth verifies a German health insurance number (§ 290 SGB V): a letter,
// eight digits, a Luhn digit with the letter as two digits.
func deHealth(b []byte) bool {
	if len(b) != 10 || b[0]-'A' > 25 || !allDigits(b[1:]) {
		return false
	}
	letter := b[0] - 'A' + 1
	sum := 0
	for i, c := range [10]byte{'0' + letter/10, '0' + letter%10, b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8]} {
		p := int(c-'0') * (1 + i&1)
		sum += p/10 + p%10
	}
	return sum%10 == int(b[9]-'0')
}

// deDoctor verifies a German physician's number (§ 293 SGB V): six digits, a
// check digit by the weights 4 and 9, two digits of the speciality.
func deDoctor(b []byte) bool {
	if len(b) != 9 || !allDigits(b) || sameBytes(b) {
		return false
	}
	sum := 0
	for i, c := range b[:6] {
		sum += int(c-'0') * [2]int{4, 9}[i&1]
	}
	return (10-sum%10)%10 == int(b[6]-'0')
}

// fiPersonal verifies a Finnish personal identity code; text is its compact
// form with the century sign kept: DDMMYY, sign, three digits, check character.
func fiPersonal(b []byte) bool {
	if len(b) != 11 || !allDigits(b[:6]) || !allDigits(b[7:10]) {
		return false
	}
	century := 1900
	switch b[6] {
	case '+':
		century = 1800
	case '-', 'U', 'V', 'W', 'X', 'Y':
	case 'A', 'B', 'C', 'D', 'E', 'F':
		century = 2000
	default:
		return false
	}
	n := number(b[7:10])
	if n < 2 || !validDate(century+number(b[4:6]), number(b[2:4]), number(b[:2])) {
		return false
	}
	return "0123456789ABCDEFHJKLMNPRSTUVWXY"[(number(b[:6])*1000+n)%31] == b[10]
}

// sePersonal verifies a Swedish personal identity number, ten or twelve
// digits: a date (a coordination number adds 60 to the day) and a Luhn digit
// over the last ten.
func sePersonal(b []byte) bool {
	if len(b) == 12 && allDigits(b) {
		if c := number(b[:2]); c < 18 || c > 20 {
			return false
		}
		b = b[2:]
	}
	if len(b) != 10 || !luhn(b) {
		return false
	}
	day := number(b[4:6])
	if day > 60 {
		day -= 60
	}
	y, m := number(b[:2]), number(b[2:4])
	return validDate(1900+y, m, day) || validDate(2000+y, m, day)
}

// seOrganisation verifies a Swedish organisation number: ten digits, a series
// that the register of companies or the tax agency gives out, Luhn.
func seOrganisation(b []byte) bool {
	if len(b) != 10 || !luhn(b) {
		return false
	}
	switch p := number(b[:3]); p {
	case 202, 212, 222, 232, 262: // state, municipalities, regions
		return b[3]-'0' <= 1 && b[4] == '0' && b[5] == '0'
	case 502, 516, 556, 557, 558, 559, 702, 714, 716, 717, 757, 769, 902, 916, 969:
		return true
	default:
		return p >= 802 && p <= 899
	}
}

const nifLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// esNIF verifies a Spanish NIF: up to eight digits and a letter, mod 23.
func esNIF(b []byte) bool {
	n := len(b) - 1
	return (n == 7 || n == 8) && allDigits(b[:n]) && nifLetters[number(b[:n])%23] == b[n]
}

// esNIE verifies a foreigner's number: X, Y or Z as 0, 1 or 2, then a NIF.
func esNIE(b []byte) bool {
	if len(b) != 9 || b[0] < 'X' || b[0] > 'Z' || !allDigits(b[1:8]) {
		return false
	}
	return nifLetters[(int(b[0]-'X')*10_000_000+number(b[1:8]))%23] == b[8]
}

// itFiscalShape reports whether b has the form of an Italian fiscal code: six
// letters, year, month letter, day (women: plus 40), place, check letter; any
// digit may be one of LMNPQRSTUV instead (omocodia).
func itFiscalShape(b []byte) bool {
	if len(b) != 16 || !allUpper(b[:6]) || b[11]-'A' > 25 || b[15]-'A' > 25 {
		return false
	}
	switch b[8] {
	case 'A', 'B', 'C', 'D', 'E', 'H', 'L', 'M', 'P', 'R', 'S', 'T':
	default:
		return false
	}
	for _, i := range [7]int{6, 7, 9, 10, 12, 13, 14} {
		if omocodia(b[i]) < 0 {
			return false
		}
	}
	day := omocodia(b[9])*10 + omocodia(b[10])
	return day >= 1 && day <= 31 || day >= 41 && day <= 71
}

func omocodia(c byte) int {
	if c-'0' <= 9 {
		return int(c - '0')
	}
	for i := range 10 {
		if "LMNPQRSTUV"[i] == c {
			return i
		}
	}
	return -1
}

// itFiscal is itFiscalShape with its check letter (D.M. 23 December 1976).
func itFiscal(b []byte) bool {
	if !itFiscalShape(b) {
		return false
	}
	sum := 0
	for i, c := range b[:15] {
		v := alnum36(c)
		if v >= 10 {
			v -= 10
		}
		if i&1 == 0 { // odd place
			v = int([26]uint8{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}[v])
		}
		sum += v
	}
	return b[15] == 'A'+byte(sum%26)
}

// itVAT verifies an Italian VAT number: eleven digits, Luhn, a province of
// registration in digits eight to ten.
func itVAT(b []byte) bool {
	if len(b) != 11 || !luhn(b) || number(b[:7]) == 0 {
		return false
	}
	p := number(b[7:10])
	return p >= 1 && p <= 100 || p == 120 || p == 121 || p == 888 || p == 999
}

var weightsPESEL = [10]uint8{1, 3, 7, 9, 1, 3, 7, 9, 1, 3}

// plPESEL verifies a Polish PESEL: a date whose month carries the century,
// weights 1-3-7-9.
func plPESEL(b []byte) bool {
	if len(b) != 11 || !allDigits(b) {
		return false
	}
	m := number(b[2:4])
	century := [5]int{1900, 2000, 0, 0, 1800}[m/20] // 2100 and 2200 are to come
	if century == 0 || !validDate(century+number(b[:2]), m%20, number(b[4:6])) {
		return false
	}
	return (10-weighted(b, weightsPESEL[:])%10)%10 == int(b[10]-'0')
}

// trNational verifies a Turkish identity number: eleven digits, the tenth and
// the eleventh are checks.
func trNational(b []byte) bool {
	if len(b) != 11 || !allDigits(b) || b[0] == '0' {
		return false
	}
	odd, even := 0, 0
	for i, c := range b[:9] {
		if i&1 == 0 {
			odd += int(c - '0')
		} else {
			even += int(c - '0')
		}
	}
	d10 := ((odd*7-even)%10 + 10) % 10
	return int(b[9]-'0') == d10 && int(b[10]-'0') == (odd+even+d10)%10
}

var weightsNHS = [9]uint8{10, 9, 8, 7, 6, 5, 4, 3, 2}

// ukNHS verifies a British NHS number: ten digits, mod 11.
func ukNHS(b []byte) bool {
	if len(b) != 10 || !allDigits(b) || sameBytes(b) {
		return false
	}
	c := 11 - weighted(b, weightsNHS[:])%11
	return c%11 == int(b[9]-'0') && c != 10
}

// ukInsurance verifies the form of a British national insurance number (HMRC
// NIM39110): two letters out of a reduced set, six digits, A to D.
func ukInsurance(b []byte) bool {
	if len(b) != 9 || !allDigits(b[2:8]) || b[8]-'A' > 3 || !allUpper(b[:2]) {
		return false
	}
	switch b[0] {
	case 'D', 'F', 'I', 'Q', 'U', 'V':
		return false
	}
	switch b[1] {
	case 'D', 'F', 'I', 'O', 'Q', 'U', 'V':
		return false
	}
	switch string(b[:2]) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return true
}

// ukDriver verifies the form of a British driving licence number: five
// characters of the surname, decade, month (women: plus 50), day, year,
// initials, three characters.
func ukDriver(b []byte) bool {
	if len(b) != 16 || !allDigits(b[5:11]) || b[0]-'A' > 25 {
		return false
	}
	padded := false // a short surname is filled up with 9
	for _, c := range b[:5] {
		if c == '9' {
			padded = true
		} else if padded || c-'A' > 25 {
			return false
		}
	}
	if b[11]-'A' > 25 || b[12]-'A' > 25 && b[12] != '9' || alnum36(b[13]) < 0 || !allUpper(b[14:]) {
		return false
	}
	m := number(b[6:8])
	if m > 50 {
		m -= 50
	}
	return validDate(2000, m, number(b[8:10]))
}

// frINSEE verifies a French social-security number: sex, year, month,
// department (2A and 2B for Corsica), and a key of 97 less the remainder.
func frINSEE(b []byte) bool {
	if len(b) != 15 || b[0] < '1' || b[0] > '4' || !allDigits(b[:6]) || !allDigits(b[7:]) {
		return false
	}
	if m := number(b[3:5]); m < 1 || m > 12 && m < 20 || m > 42 && m < 50 {
		return false
	}
	n := number(b[:5]) * 100_000_000
	switch c := b[6]; {
	case c-'0' <= 9:
		n += number(b[5:13])
	case b[5] == '2' && (c == 'A' || c == 'B'): // 2A counts as 19, 2B as 18
		n += (19-int(c-'A'))*1_000_000 + number(b[7:13])
	default:
		return false
	}
	return 97-n%97 == number(b[13:])
}

var weightsBSN = [8]uint8{9, 8, 7, 6, 5, 4, 3, 2}

// nlBSN verifies a Dutch citizen service number: nine digits, the "eleven test".
func nlBSN(b []byte) bool {
	return len(b) == 9 && allDigits(b) && !sameBytes(b) &&
		(weighted(b, weightsBSN[:])-int(b[8]-'0'))%11 == 0
}

// beNational verifies a Belgian national register number: a date (month plus
// 20 or 40 for bis numbers), a serial number, 97 less the remainder, with a 2
// before for births from 2000 on.
func beNational(b []byte) bool {
	if len(b) != 11 || !allDigits(b) {
		return false
	}
	m, d := number(b[2:4])%20, number(b[4:6])
	if m > 12 || d > 31 || number(b[2:4]) > 52 || number(b[6:9]) == 0 {
		return false
	}
	n, k := number(b[:9]), number(b[9:])
	return 97-n%97 == k || b[0] < '5' && 97-(2_000_000_000+n)%97 == k
}

// chAHV verifies a Swiss social-security number: 756, nine digits, EAN-13.
func chAHV(b []byte) bool {
	if len(b) != 13 || !allDigits(b) || number(b[:3]) != 756 {
		return false
	}
	sum := 0
	for i, c := range b {
		sum += int(c-'0') * (1 + 2*(i&1))
	}
	return sum%10 == 0
}

// noPersonal verifies a Norwegian identity number: a date (D numbers add 40 to
// the day, H numbers to the month) and two mod 11 digits.
func noPersonal(b []byte) bool {
	if len(b) != 11 || !allDigits(b) {
		return false
	}
	d, m := number(b[:2])%40, number(b[2:4])%40
	if !validDate(2000, m, d) {
		return false
	}
	return weighted(b, []uint8{3, 7, 6, 1, 8, 9, 4, 5, 2, 1})%11 == 0 &&
		weighted(b, []uint8{5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1})%11 == 0
}

// iePPS verifies an Irish personal public service number: seven digits, a
// check letter mod 23, and since 2013 a second letter that counts nine times.
func iePPS(b []byte) bool {
	if len(b) != 8 && len(b) != 9 || !allDigits(b[:7]) || b[7]-'A' > 22 {
		return false
	}
	sum := weighted(b, []uint8{8, 7, 6, 5, 4, 3, 2})
	if len(b) == 9 {
		if b[8]-'A' > 8 && b[8] != 'W' {
			return false
		}
		if b[8] != 'W' {
			sum += 9 * int(b[8]-'A'+1)
		}
	}
	return b[7] == "WABCDEFGHIJKLMNOPQRSTUV"[sum%23]
}

// roPersonal verifies a Romanian personal numeric code: sex and century, date,
// county, mod 11.
func roPersonal(b []byte) bool {
	if len(b) != 13 || !allDigits(b) || b[0] == '0' || b[0] == '9' || !validYYMMDD(b[1:7]) {
		return false
	}
	if c := number(b[7:9]); c == 0 || c > 52 {
		return false
	}
	r := weighted(b, []uint8{2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9}) % 11
	if r == 10 {
		r = 1
	}
	return r == int(b[12]-'0')
}

// czBirth verifies a Czech or Slovak birth number of ten digits: a date (women
// add 50 to the month, 20 more where a day ran out), the whole divisible by 11.
func czBirth(b []byte) bool {
	if len(b) != 10 || !allDigits(b) {
		return false
	}
	m := number(b[2:4]) % 50
	if m > 20 {
		m -= 20
	}
	y := 1900 + number(b[:2])
	if y < 1954 {
		y += 100
	}
	return validDate(y, m, number(b[4:6])) && number(b)%11 == 0
}
