package classify

import "github.com/sealgate/sealgate/classify/payload"

// contactDetectors find e-mail addresses and telephone numbers.
func contactDetectors() []detector {
	return []detector{emailDetector(), phoneDetector(), phoneByNameDetector()}
}

func emailDetector() detector {
	return detector{
		name: "email", class: ClassContactEmail, on: onAt, min: 5, max: 320,
		find: func(c *candidate) (match, bool) {
			s, e := c.start, c.end
			// Brackets, quotes and a sentence's end are not part of it.
			for s < e && !isEmailLocal(c.text[s]) || s < e && (c.text[s] == '\'' || c.text[s] == '.') {
				s++
			}
			for e > s && (!isEmailDomain(c.text[e-1]) || c.text[e-1] == '-') {
				e--
			}
			for i := s; i < e && c.text[i] != '@'; i++ {
				if c.text[i] == ':' || c.text[i] == '=' || c.text[i] == '/' { // mailto:, user=, a path
					s = i + 1
				}
			}
			if e-s < 5 || !emailAddress(c.text[s:e]) {
				return match{}, false
			}
			return match{start: s, end: e, confidence: 95, why: WhyShape}, true
		},
	}
}

// phoneDetector finds telephone numbers by how they are written.
func phoneDetector() detector {
	return detector{
		name: "phone", class: ClassContactPhone, on: onDigits, min: 7, max: 15,
		gate: &gate{senses: sensesOf([]sense{sensePhone}), words: hintPhone, groups: []uint64{0x334, 0x37, 0x244, 0x1334, 0x3322}, spoken: true, lead: 9, lonely: true},
		find: func(c *candidate) (match, bool) {
			m, _ := c.found(0, WhyShape)
			if (c.kind == payload.KindTopic || c.kind == payload.KindNumber && !c.root) && !c.international() {
				return m, false // a key decides
			}
			confirmed := c.key.has(sensePhone) || c.hintsBefore()&hintPhone != 0
			if !confirmed && c.hintsBefore()&hintThing != 0 && !c.international() {
				return m, false
			}
			m.confidence = c.phone(confirmed)
			if m.confidence == 0 {
				return m, false
			}
			for m.start > 0 && (c.text[m.start-1] == '+' || c.text[m.start-1] == '(') {
				m.start--
			}
			if confirmed {
				m.confidence, m.why = max(m.confidence, 85), m.why|WhyContext
			}
			return m, true
		},
	}
}

// phoneByNameDetector believes a key that names a telephone number.
func phoneByNameDetector() detector {
	return detector{
		name: "phone-by-name", class: ClassContactPhone, on: onKey, senses: []sense{sensePhone},
		find: func(c *candidate) (match, bool) {
			digits := 0
			for _, b := range c.run() {
				switch {
				case b-'0' <= 9:
					digits++
				case b == '+', b == ' ', b == '-', b == '.', b == '/', b == '(', b == ')', b == 'x':
				default:
					return match{}, false
				}
			}
			if digits < 6 || digits > 20 {
				return match{}, false
			}
			return c.trimmed(85, WhyKey|WhyShape)
		},
	}
}

// international reports whether the run begins with a plus sign.
func (c *candidate) international() bool {
	r := c.run()
	return r[0] == '+' || r[0] == '(' && len(r) > 1 && r[1] == '+' ||
		c.start > 0 && c.text[c.start-1] == '+' && (c.start == 1 || !alnum(c.text[c.start-2]))
}

// phone is how sure the run is a telephone number, in percent, by its digits
// and its grouping.
func (c *candidate) phone(confirmed bool) uint8 {
	d := c.digits
	if len(d) < 7 || sameBytes(d) {
		return 0
	}
	if c.international() {
		// "+46 (0)157": the trunk prefix in brackets is not dialled.
		if e164(d) || len(d) > 9 && e164WithoutTrunk(d, c.run()) {
			return 92
		}
		return 0
	}
	groups, sep := grouping(trimPunct(c.run()))
	bracket := c.run()[0] == '(' || c.start > 0 && c.text[c.start-1] == '('
	n := 0
	for g := groups; g != 0; g >>= 4 {
		n++
	}
	switch {
	case sep != 0 && c.inNumbers() && !confirmed:
		return 0
	case dateLike(groups, d), groups == 0x324:
		return 0
	case sep == '.' && n == 2 && groups&0xF0 <= 0x20 && d[0] != '0':
		return 0 // a number with decimals
	case d[0] == '0' && d[1] == '0' && sep != 0 && n >= 3 && e164(d[2:]):
		return 75
	case nanpGroups(groups) && len(d) == 10 && nanp(d), groups == 0x1334 && d[0] == '1' && nanp(d[1:]):
		switch {
		case bracket:
			return 82
		case sep == '-':
			return 70
		case confirmed, c.spoken() || c.whole() && c.kind == payload.KindText:
			return 58
		}
		return 0
	case bracket && nanpGroups(groups):
		return 60 // other plans write their area codes so, too
	case trunkGroups(groups, n) && d[0] == '0' && d[1] != '0' && len(d) >= 9 && len(d) <= 12 && c.kind != payload.KindTopic:
		if bracket || sep != '.' {
			return 65
		}
		return 0
	case confirmed && len(d) <= 13:
		if sep == 0 && len(d) < 8 && d[0] == '0' {
			return 60
		}
		return 70
	case sep == 0 && trunkMobile(d) && c.spoken():
		return 57
	case (sep == 0 || groups == 0x3322) && trSubscriber(d) && (c.spoken() || groups == 0x3322) && !c.timestamp():
		return 51
	case bracket && len(d) >= 10 && len(d) <= 11 && n >= 3:
		return 60
	}
	return 0
}

// e164WithoutTrunk checks an international number with a "(0)" in it.
func e164WithoutTrunk(d, run []byte) bool {
	var b [15]byte
	n := 0
	for i := 0; i < len(run) && n < len(b); i++ {
		if run[i] == '0' && i > 0 && run[i-1] == '(' && i+1 < len(run) && run[i+1] == ')' {
			continue
		}
		if run[i]-'0' <= 9 {
			b[n] = run[i]
			n++
		}
	}
	return n < len(d) && e164(b[:n])
}

func trimPunct(b []byte) []byte {
	for len(b) > 0 && !alnum(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && !alnum(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func nanpGroups(g uint64) bool { return g == 0x334 || g == 0x37 || g == 0x244 }

// trunkGroups reports whether a number with its trunk prefix is grouped as one:
// three groups at least, the first of one to five digits, none longer than
// eight, not all single.
func trunkGroups(g uint64, n int) bool {
	if n < 3 || n > 6 {
		return n == 2 && g&0xf >= 5 && g&0xf <= 8 && g>>4 >= 3 && g>>4 <= 5
	}
	for i := range n {
		l := g >> (4 * i) & 0xf
		switch {
		case i == n-1 && l > 5, i < n-1 && (l < 2 || l > 7):
			return false
		}
	}
	return true
}

// dateLike reports whether the groups begin as a date does: 2-2-4, 4-2-2, or a
// clock time's pairs behind one.
func dateLike(g uint64, d []byte) bool {
	n := 0
	for x := g; x != 0; x >>= 4 {
		n++
	}
	if n < 3 {
		return n == 2 && g>>4 == 8 && number(d[:4]) >= 1900 && number(d[:4]) < 2100
	}
	switch g >> (4 * (n - 3)) {
	case 0x224:
		y := number(d[4:8])
		return y >= 1900 && y < 2100
	case 0x422:
		y := number(d[:4])
		return y >= 1900 && y < 2100
	case 0x222:
		return n > 3 && n < 5 && validYYMMDD(d[:6])
	}
	return false
}
