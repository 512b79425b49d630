package classify

// nationalDetectors find numbers that a state gives its people, or those who
// pay its taxes: one detector a kind, so that a report says which.
func nationalDetectors() []detector {
	// A number that people quote beside a word for it.
	said := []sense{senseNationalID, senseTaxID, senseSSN, sensePatient, senseNHS, senseInsurance}
	forms := []form{
		{name: "cn-resident-id", on: onDigits | onWord, min: 18, max: 18, shapes: []string{"99999999999999999*"}, verify: cnResident, groups: []uint64{0x684}, alone: 97, grouped: 97, telling: true},
		{name: "mx-curp", on: onWord, min: 18, max: 18, shapes: []string{"AAAA999999AAAAAA*9"}, verify: mxCURP, alone: 97, strong: true},
		{name: "it-fiscal-code", on: onWord | onWords, min: 16, max: 16, shapes: []string{"AAAAAA**A**A***A"}, verify: itFiscal, weak: itFiscalShape, groups: []uint64{0x33541}, alone: 97, weakAlone: 60, grouped: 97, strong: true},
		{name: "in-gst", on: onWord, min: 15, max: 15, shapes: []string{"99AAAAA9999A*A*"}, verify: inGST, weak: inGSTShape, alone: 95, weakAlone: 70, strong: true},
		{name: "de-social-security", on: onWord | onWords, min: 12, max: 12, shapes: []string{"99999999A999"}, verify: deSocial, groups: []uint64{0x2613, 0x8112, 0x813}, alone: 92, grouped: 95, strong: true},
		{name: "fr-social-security", on: onDigits | onWords, min: 15, max: 15, shapes: []string{"999999*99999999"}, verify: frINSEE, groups: []uint64{0x1222332, 0xd2}, alone: 88, grouped: 97, strong: true},
		{name: "ch-social-security", on: onDigits, min: 13, max: 13, verify: chAHV, groups: []uint64{0x3442}, seps: ". ", alone: 90, grouped: 97, strong: true},
		{name: "es-nie", on: onWord | onWords, min: 9, max: 9, shapes: []string{"A9999999A"}, verify: esNIE, groups: []uint64{0x171, 0x81, 0x18}, alone: 90, grouped: 92, strong: true},
		{name: "es-nif", on: onWord | onWords, min: 9, max: 9, shapes: []string{"99999999A"}, verify: esNIF, groups: []uint64{0x81, 0x2331}, seps: "-. ", mixed: true, alone: 85, grouped: 90},
		{name: "es-nif-short", on: onWord | onWords, min: 8, max: 8, shapes: []string{"9999999A"}, verify: esNIF, groups: []uint64{0x71}, seps: "-", alone: 55, grouped: 80},
		{name: "sg-nric", on: onWord, min: 9, max: 9, shapes: []string{"A9999999A"}, verify: sgNRIC, weak: sgNRICShape, alone: 88, weakAlone: 55, strong: true},
		{name: "sg-uen", on: onWord, min: 9, max: 10, shapes: []string{"99999999", "A99AA9999*"}, verify: sgUEN, alone: 70},
		{name: "tw-national-id", on: onWord, min: 10, max: 10, shapes: []string{"A999999999"}, verify: twNational, alone: 75},
		{name: "tr-national-id", on: onDigits, min: 11, max: 11, verify: trNational, alone: 75},
		{name: "no-national-id", on: onDigits, min: 11, max: 11, verify: noPersonal, groups: []uint64{0x65}, grouped: 90},
		{name: "be-national-id", on: onDigits, min: 11, max: 11, verify: beNational, groups: []uint64{0x22232, 0x632}, seps: ".- ", mixed: true, grouped: 95},
		{name: "br-cpf", on: onDigits, min: 11, max: 11, verify: brCPF, groups: []uint64{0x3332, 0x92}, seps: ".- ", mixed: true, grouped: 95},
		{name: "za-id", on: onDigits, min: 13, max: 13, verify: zaIdentity, groups: []uint64{0x64111, 0x6421, 0x643}, alone: 75, grouped: 85},
		{name: "kr-resident-id", on: onDigits, min: 13, max: 13, verify: krResident, weak: krResidentLikely, groups: []uint64{0x67}, seps: "-", alone: 78, weakAlone: 60, grouped: 92},
		{name: "kr-foreigner-id", on: onDigits, min: 13, max: 13, verify: krForeignerShape, groups: []uint64{0x67}, seps: "-", grouped: 75},
		{name: "au-abn", on: onDigits, min: 11, max: 11, verify: auABN, groups: []uint64{0x2333}, alone: 70, grouped: 92},
		{name: "se-personal-id", on: onDigits, min: 10, max: 12, verify: sePersonal, groups: []uint64{0x64, 0x84}, seps: "-", alone: 65, grouped: 85},
		{name: "se-organisation-id", on: onDigits, min: 10, max: 10, verify: seOrganisation, groups: []uint64{0x64}, seps: "-", alone: 55, grouped: 75},
		{name: "de-tax-id", on: onDigits, min: 11, max: 11, verify: deTaxID, weak: deTaxIDLoose, groups: []uint64{0x2333}, alone: 62, grouped: 82},
		{name: "pl-pesel", on: onDigits, min: 11, max: 11, verify: plPESEL, alone: 65},
		{name: "it-vat", on: onDigits, min: 11, max: 11, verify: itVAT, alone: 60},
		{name: "ar-cuit", on: onDigits, min: 11, max: 11, verify: arCUIT, groups: []uint64{0x281}, seps: "-", grouped: 88},
		{name: "in-aadhaar", on: onDigits | onColons, min: 12, max: 12, verify: inAadhaar, groups: []uint64{0x444}, seps: " -:", alone: 62, grouped: 88},
		{name: "jp-my-number", on: onDigits, min: 12, max: 12, verify: jpMyNumber, groups: []uint64{0x444}},
		{name: "th-national-id", on: onDigits, min: 13, max: 13, verify: thNational, groups: []uint64{0x14521}, alone: 62, grouped: 92},
		{name: "ro-cnp", on: onDigits, min: 13, max: 13, verify: roPersonal},
		{name: "uk-nhs", on: onDigits, min: 10, max: 10, verify: ukNHS, groups: []uint64{0x334}, alone: 58, grouped: 82},
		{name: "au-medicare", on: onDigits, min: 10, max: 11, verify: auMedicare, groups: []uint64{0x451, 0x4511}, alone: 58, grouped: 88},
		{name: "us-npi", on: onDigits, min: 10, max: 10, verify: usNPI, alone: 55},
		{name: "kr-business-id", on: onDigits, min: 10, max: 10, verify: krBusiness, groups: []uint64{0x325}, seps: "-", grouped: 88},
		{name: "cz-birth-number", on: onDigits, min: 10, max: 10, verify: czBirth, groups: []uint64{0x64}, seps: "/", grouped: 85},
		{name: "ca-sin", on: onDigits, min: 9, max: 9, verify: caSIN, groups: []uint64{0x333}, grouped: 82},
		{name: "au-tfn", on: onDigits, min: 9, max: 9, verify: auTFN, groups: []uint64{0x333}, alone: 55, grouped: 80},
		{name: "au-acn", on: onDigits, min: 9, max: 9, verify: auACN, groups: []uint64{0x333}},
		{name: "au-acn-old", on: onDigits, min: 9, max: 9, verify: auACNOld, groups: []uint64{0x333}, alone: 53, grouped: 75},
		{name: "us-ssn", on: onDigits, min: 9, max: 9, verify: usSSN, groups: []uint64{0x324}, grouped: 72},
		{name: "us-itin", on: onDigits, min: 9, max: 9, verify: usITIN, groups: []uint64{0x324}, grouped: 75},
		{name: "us-mbi", on: onWord | onWords, min: 11, max: 11, shapes: []string{"9A*9A*9AA99"}, verify: usMBI, groups: []uint64{0x434}, seps: "-", alone: 60, grouped: 85},
		{name: "us-dea", on: onWord, min: 9, max: 9, shapes: []string{"A*9999999"}, verify: usDEA, alone: 55},
		{name: "nl-bsn", on: onDigits, min: 9, max: 9, verify: nlBSN},
		{name: "de-doctor", on: onDigits, min: 9, max: 9, verify: deDoctor},
		{name: "de-health-insurance", on: onWord, min: 10, max: 10, shapes: []string{"A999999999"}, verify: deHealth, alone: 62},
		{name: "de-document", on: onWord, min: 9, max: 9, shapes: []string{"********9"}, verify: deDocument, alone: 65},
		{name: "uk-national-insurance", on: onWord | onWords, min: 9, max: 9, shapes: []string{"AA999999A"}, verify: ukInsurance, groups: []uint64{0x22221, 0x261, 0x27, 0x2223}, seps: " -", alone: 72, grouped: 80},
		{name: "ie-pps", on: onWord, min: 8, max: 9, shapes: []string{"9999999A"}, verify: iePPS, alone: 58},
		{name: "in-pan", on: onWord, min: 10, max: 10, shapes: []string{"AAAAA9999A"}, verify: inPAN, weak: inPANShape, alone: 65, weakAlone: 52},
		{name: "in-voter", on: onWord, min: 10, max: 10, shapes: []string{"AAA9999999"}, verify: inVoter},
		{name: "cl-rut", on: onDigits | onWords, min: 8, max: 9, shapes: []string{"9999999"}, verify: clRUT, groups: []uint64{0x2331, 0x1331}, seps: ".-", mixed: true, grouped: 70},
		{name: "cl-rut-short", on: onDigits | onWords, min: 8, max: 9, shapes: []string{"9999999"}, verify: clRUT, groups: []uint64{0x81, 0x71}, seps: "-", grouped: 70},
		{name: "de-vat", on: onWords | onWord, min: 11, max: 11, shapes: []string{"AA999999999"}, verify: deVATPrefixed, groups: []uint64{0x29, 0x2333, 0xb, 0x5333}, seps: " -.", mixed: true, alone: 88, grouped: 90, strong: true},
		{name: "it-vat-prefixed", on: onWord, min: 13, max: 13, shapes: []string{"AA99999999999"}, verify: itVATPrefixed, alone: 85, strong: true},
		{name: "ph-tin", on: onDigits, min: 9, max: 12, verify: phTIN, groups: []uint64{0x333, 0x3333}, seps: "-"},
	}
	ds := make([]detector, 0, len(forms)+2)
	for _, f := range forms {
		f.class, f.hint = ClassIDNational, hintNational|hintNumber
		f.senses = append(f.senses, said...)
		ds = append(ds, f.detector())
	}
	return append(ds, fiPersonalDetector(said), namedNumberDetector(said))
}

// krResidentLikely is krResidentShape without what has the form of a South
// African number, which begins with a date, too.
func krResidentLikely(b []byte) bool {
	return krResidentShape(b) && !(b[10] <= '2' && b[11] >= '8')
}

// auACNOld is auACN for the series from 0, which no Canadian number shares.
func auACNOld(b []byte) bool { return auACN(b) && b[0] == '0' }

// sgNRICShape is the form of sgNRIC.
func sgNRICShape(b []byte) bool {
	if len(b) != 9 || !allDigits(b[1:8]) || b[8]-'A' > 25 {
		return false
	}
	switch b[0] {
	case 'S', 'T', 'F', 'G', 'M':
		return true
	}
	return false
}

func deVATPrefixed(b []byte) bool {
	return len(b) == 11 && b[0] == 'D' && b[1] == 'E' && deVAT(b[2:])
}

func itVATPrefixed(b []byte) bool {
	return len(b) == 13 && b[0] == 'I' && b[1] == 'T' && itVAT(b[2:])
}

// phTIN verifies the form of a Philippine taxpayer number: nine digits, and
// three more for a branch. It has no published check.
func phTIN(b []byte) bool { return (len(b) == 9 || len(b) == 12) && allDigits(b) && !sameBytes(b) }

// fiPersonalDetector keeps the century sign that other forms drop as a
// separator.
func fiPersonalDetector(said []sense) detector {
	set := sensesOf(said)
	return detector{
		name: "fi-personal-id", class: ClassIDNational, on: onWord | onWords | onDigits, min: 10, max: 11, shapes: []string{"999999*999", "999999999*"},
		gate: &gate{senses: set, words: hintNational | hintNumber, groups: []uint64{0x64}, plain: true, lonely: true},
		find: func(c *candidate) (match, bool) {
			r := c.run()
			if len(r) != 11 {
				return match{}, false
			}
			var b [11]byte
			for i, x := range r {
				if x-'a' <= 25 {
					x &^= 0x20
				}
				b[i] = x
			}
			if !fiPersonal(b[:]) {
				return match{}, false
			}
			if c.confirms(set, hintNational|hintNumber) != unconfirmed {
				return c.found(97, WhyShape|WhyChecksum|WhyContext)
			}
			return c.found(92, WhyShape|WhyChecksum)
		},
	}
}

// namedNumberDetector believes a key or a word that names a national number,
// whatever country's it is.
func namedNumberDetector(said []sense) detector {
	set := sensesOf(said)
	return detector{
		name: "national-id-by-name", class: ClassIDNational, on: onKey | onDigits | onWord, min: 6, max: 24, senses: said,
		digits: 4, places: 20, gate: &gate{senses: set, words: hintNumber},
		find: func(c *candidate) (match, bool) {
			b := c.compact()
			if len(b) < 6 || len(b) > 20 || sameBytes(b) {
				return match{}, false
			}
			mask, ok := letterMask(b)
			if !ok {
				return match{}, false
			}
			digits := len(b)
			for ; mask != 0; mask &= mask - 1 {
				digits--
			}
			if digits < 4 {
				return match{}, false
			}
			if c.key.meets(set) {
				return c.trimmed(80, WhyKey)
			}
			if len(b) >= 7 && c.hintsBefore()&hintNumber != 0 {
				return c.found(55, WhyContext)
			}
			return match{}, false
		},
	}
}
