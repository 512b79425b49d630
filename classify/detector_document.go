package classify

import "github.com/sealgate/sealgate/classify/payload"

// documentDetectors find numbers of passports, driving licences and number
// plates: forms without checksum, believed where a word says what they are or
// where the form is like nothing else.
func documentDetectors() []detector {
	driver := []sense{senseDriver}
	forms := []form{
		{name: "uk-driver", on: onWord, min: 16, max: 16, shapes: []string{"A****999999A**AA"}, verify: ukDriver, alone: 88, strong: true},
		{name: "it-driver", on: onWord, min: 10, max: 10, shapes: []string{"AA9999999A", "A9*******A"}, verify: itDriver, alone: 55},
		{name: "de-driver", on: onWord, min: 11, max: 11, shapes: []string{"AA99999999*"}, verify: deDriverLikely, alone: 55},
		{name: "kr-driver", on: onDigits, min: 12, max: 12, verify: krDriver, groups: []uint64{0x2262}, seps: "- ", grouped: 75},
	}
	var ds []detector
	for _, f := range forms {
		f.class, f.senses, f.hint = ClassIDDriver, driver, hintDriver
		ds = append(ds, f.detector())
	}
	return append(ds,
		namedDocument("passport", ClassIDPassport, []sense{sensePassport}, hintPassport, 10, passportShape),
		namedDocument("driver", ClassIDDriver, driver, hintDriver, 18, driverShape),
		krPassportDetector(),
		plateDetector())
}

// deDriverLikely is deDriver without what begins like a VAT number or a postal
// tracking number.
func deDriverLikely(b []byte) bool {
	return deDriver(b) && !listed(vatCountries, b[:2]) && b[0] != 'R'
}

const vatCountries = " AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI GB SN ID NO "

// namedDocument believes a key or a word that names the document.
func namedDocument(name string, class ClassID, said []sense, words hint, places int, shape func([]byte) bool) detector {
	set := sensesOf(said)
	return detector{
		name: name, class: class, on: onKey | onWord | onDigits, min: 5, max: 24, senses: said,
		digits: 4, places: places, anyCase: true, gate: &gate{senses: set, words: words, after: words},
		find: func(c *candidate) (match, bool) {
			b := c.compactAnyCase()
			if sameBytes(b) {
				return match{}, false
			}
			if ok := shape(b); ok && c.key.meets(set) {
				return c.trimmed(80, WhyKey|WhyShape)
			} else if !ok {
				if c.key.meets(set) && travelDocument(b) && !c.assigned {
					return c.trimmed(70, WhyKey|WhyShape)
				}
				return match{}, false
			}
			if c.kind == payload.KindTopic || c.kind == payload.KindNumber || !c.separate() || c.whole() {
				return match{}, false
			}
			if (c.hintsBefore()|c.hintsAfter())&words != 0 {
				return c.found(72, WhyShape|WhyContext)
			}
			return match{}, false
		},
	}
}

// krPassportDetector finds Korean passport numbers of the mixed form.
func krPassportDetector() detector {
	return form{name: "kr-passport", class: ClassIDPassport, on: onWord, min: 9, max: 9, shapes: []string{"A999A9999"}, verify: krPassport,
		senses: []sense{sensePassport}, alone: 55}.detector()
}

// plateDetector finds plates of the countries whose form is their own.
func plateDetector() detector {
	said := sensesOf([]sense{sensePlate, senseVehicle})
	return detector{
		name: "plate", class: ClassIDVehiclePlate, on: onWord | onWords, min: 5, max: 11, shapes: []string{"AA9", "AAA9", "AAAA9", "AAAAA9", "99U"}, noUUID: true,
		find: func(c *candidate) (match, bool) {
			if s := c.start - 3; s >= 0 && c.text[s] >= 0xe0 && cnPlate(c.text[s:c.end]) {
				return match{start: s, end: c.end, confidence: 90, why: WhyShape}, true
			}
			if s := c.start - 6; s >= 0 && c.text[c.start-1] == 0xb7 && cnPlate(c.text[s:c.end]) { // a dot between
				return match{start: s, end: c.end, confidence: 90, why: WhyShape}, true
			}
			r, b := c.run(), c.compact()
			if len(b) < 4 {
				return match{}, false
			}
			mask, ok := letterMask(b)
			if !ok || mask == 0 || c.kind == payload.KindNumber || c.kind == payload.KindTopic || c.key.meets(machineSenses) {
				return match{}, false
			}
			groups, sep := c.grouping()
			conf := uint8(0)
			switch {
			case mask == 0b1110011 && ukPlate(b) && (sep == 0 || groups == 0x43):
				conf = 62
			case mask>>(len(b)-4) == 0 && len(b) >= 9 && inPlate(b):
				conf = 65
			case ngPlate(b) && (sep == '-' && groups == 0x35):
				conf = 60
			case dePlateRun(r, sep):
				conf = 62
				if sep != '-' {
					conf = 52
				}
			case mask&3 == 0 && sep != 0 && trPlate(b) && r[3]-'A' <= 25 && (c.root && c.whole() || c.confirms(said, hintPlate) != unconfirmed):
				conf = 60
			}
			if conf == 0 {
				return match{}, false
			}
			if c.confirms(said, hintPlate) != unconfirmed {
				return c.found(90, WhyShape|WhyContext)
			}
			// Nothing but the form: a part number of a document is no plate.
			if c.kind == payload.KindText && c.spoken() || c.kind == payload.KindString && !c.whole() && c.spoken() {
				return c.found(conf, WhyShape)
			}
			return match{}, false
		},
	}
}

// dePlateRun splits a run at its separators for dePlate.
func dePlateRun(r []byte, sep byte) bool {
	if sep == 0 {
		return false
	}
	var parts [3][]byte
	n, from := 0, 0
	for i := 0; i <= len(r); i++ {
		if i < len(r) && r[i] != ' ' && r[i] != '-' {
			if r[i]-'a' <= 25 {
				return false
			}
			continue
		}
		if n == len(parts) || i == from {
			return false
		}
		parts[n], from = r[from:i], i+1
		n++
	}
	if n == 2 { // "M-XY 999" without the second gap: M-XY999
		p := parts[1]
		k := 0
		for k < len(p) && p[k]-'A' <= 25 {
			k++
		}
		parts[1], parts[2] = p[:k], p[k:]
		return sep == '-' && dePlate(parts[0], parts[1], parts[2])
	}
	return n == 3 && dePlate(parts[0], parts[1], parts[2])
}
