package classify

// e164 verifies the digits of an international telephone number (ITU-T E.164)
// without its "+": a country calling code in use and a national number of a
// length that its plan knows.
func e164(b []byte) bool {
	if len(b) < 7 || len(b) > 15 || !allDigits(b) || b[0] == '0' {
		return false
	}
	cc := 3
	switch b[0] {
	case '1', '7':
		cc = 1
	default:
		switch number(b[:2]) {
		case 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49,
			51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86,
			90, 91, 92, 93, 94, 95, 98:
			cc = 2
		case 29: // partly spare
			if p := number(b[:3]); p != 290 && p != 291 && p != 297 && p != 298 && p != 299 {
				return false
			}
		case 21, 22, 23, 24, 25, 26, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99:
		default:
			return false
		}
	}
	n := len(b) - cc
	lo, hi := 5, 12
	switch number(b[:cc]) {
	case 1:
		return nanp(b[1:])
	case 45, 47, 65, 216, 852, 853:
		lo, hi = 8, 8
	case 27, 31, 32, 41, 48, 51, 56, 61, 66, 84, 94, 212, 213, 351, 380, 420, 421, 966, 971:
		lo, hi = 8, 9
	case 33, 34:
		lo, hi = 9, 9
	case 30, 44, 63, 81:
		lo, hi = 9, 10
	case 82:
		lo, hi = 8, 10
	case 7, 52, 57, 58, 90, 91, 92, 98:
		lo, hi = 10, 10
	case 54, 55, 86:
		lo, hi = 10, 11
	case 39, 43, 49:
		lo, hi = 6, 13
	}
	return n >= lo && n <= hi
}

// nanp verifies the ten digits of a North American number: area and exchange
// from 2 to 9, no service code, no 9 in the middle of an area.
func nanp(b []byte) bool {
	return len(b) == 10 && allDigits(b) && b[0] >= '2' && b[3] >= '2' && b[1] != '9' &&
		!(b[1] == '1' && b[2] == '1') && !(b[4] == '1' && b[5] == '1') && !sameBytes(b)
}

// trunkMobile reports whether b is a mobile number as dialled at home, with
// the trunk prefix 0, in one of the plans where those digits tell it apart:
// Britain 07, the Philippines 09, Turkey 05, Germany 015 to 017, all eleven
// digits (Germany also twelve).
func trunkMobile(b []byte) bool {
	if len(b) < 11 || len(b) > 12 || !allDigits(b) || b[0] != '0' || sameBytes(b[2:]) {
		return false
	}
	if b[1] == '1' {
		return b[2] >= '5' && b[2] <= '7'
	}
	return len(b) == 11 && (b[1] == '5' || b[1] == '7' && b[2] != '0' || b[1] == '9')
}

// trSubscriber reports whether b is a Turkish number without its trunk prefix:
// a mobile one, or one of the area codes in use.
func trSubscriber(b []byte) bool {
	if len(b) != 10 || !allDigits(b) || sameBytes(b[1:]) {
		return false
	}
	a := number(b[:3])
	switch a {
	case 212, 216, 222, 224, 226, 228, 232, 236, 242, 246, 248, 252, 256, 258, 262, 264, 266, 272, 274, 276, 282, 284, 286, 288,
		312, 318, 322, 324, 326, 328, 332, 338, 342, 344, 346, 348, 352, 354, 356, 358, 362, 364, 366, 368, 370, 372, 374, 376, 378, 380, 382, 384, 386, 388, 392,
		412, 414, 416, 422, 424, 426, 428, 432, 434, 436, 438, 442, 446, 452, 454, 456, 458, 462, 464, 466, 472, 474, 476, 478, 482, 484, 486, 488:
		return true
	}
	return a >= 500 && a <= 559 && a/10 != 52
}
