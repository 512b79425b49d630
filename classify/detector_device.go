package classify

import "github.com/sealgate/sealgate/classify/payload"

// deviceDetectors find what identifies a device, its network place, or a
// vehicle's chassis.
func deviceDetectors() []detector {
	sim := form{name: "iccid", class: ClassIDDevice, on: onDigits, min: 19, max: 20, verify: iccid,
		groups: []uint64{0x44443, 0x44444, 0x4444411}, senses: []sense{senseICCID}, hint: hintSIM, alone: 75, grouped: 80, strong: true}
	phone := form{name: "imei", class: ClassIDDevice, on: onDigits, min: 15, max: 15, verify: imei,
		groups: []uint64{0x2661, 0x861}, seps: "- /", senses: []sense{senseIMEI, senseDevice, senseDeviceID, senseWearable}, hint: hintIMEI,
		alone: 72, grouped: 85}
	return []detector{phone.imei(), sim.imei(), hardwareDetector(), bareHardwareDetector(), ipv4Detector(), ipv6Detector(), vinDetector()}
}

// imei builds the detector of a form whose number is a device's own: keys for
// devices confirm it instead of speaking against it.
func (f form) imei() detector {
	d := f.detector()
	said := sensesOf(f.senses)
	d.find = func(c *candidate) (match, bool) {
		if !f.verify(c.digits) {
			return match{}, false
		}
		groups, sep := c.grouping()
		switch {
		case sep != 0 && !f.prints(groups):
		case c.confirms(said, f.hint) == confirmedHere:
			return c.found(95, WhyShape|WhyChecksum|WhyContext)
		case sep != 0 && !c.inNumbers():
			return c.found(f.grouped, WhyShape|WhyChecksum)
		case c.kind == payload.KindNumber && !c.root:
		case f.strong, c.spoken():
			return c.found(f.alone, WhyShape|WhyChecksum)
		}
		return match{}, false
	}
	return d
}

// hardwareDetector finds MAC addresses and EUI-64 as they are printed.
func hardwareDetector() detector {
	personal := sensesOf([]sense{senseWearable, sensePerson})
	return detector{
		name: "mac", class: ClassIDDevice, on: onColons, min: 14, max: 23,
		find: func(c *candidate) (match, bool) {
			b := c.compact()
			if !hardwareAddress(b) {
				return match{}, false
			}
			switch groups, sep := c.grouping(); {
			case (sep == ':' || sep == '-') && (groups == 0x222222 || groups == 0x22222222):
			case sep == '.' && groups == 0x444:
			default:
				return match{}, false
			}
			m, ok := c.found(92, WhyShape)
			m.special = c.about.meets(personal) || c.key.meets(personal)
			return m, ok
		},
	}
}

// bareHardwareDetector finds hardware addresses without separators where a key
// or a prefix says what they are: 0x00124b0018ed3a5f, "mac": "a4cf12f03d9e".
func bareHardwareDetector() detector {
	said := []sense{senseMAC, senseEUI}
	set := sensesOf(said)
	return detector{
		name: "mac-bare", class: ClassIDDevice, on: onWord, min: 12, max: 18,
		gate: &gate{senses: set, words: hintMAC, lead: 12}, // lead: 0x…
		find: func(c *candidate) (match, bool) {
			r := c.run()
			prefixed := r[0] == '0' && r[1] == 'x'
			if prefixed {
				r = r[2:]
			}
			if !hardwareAddress(r) {
				return match{}, false
			}
			switch {
			case c.confirms(set, hintMAC) == confirmedHere:
				return c.found(90, WhyShape|WhyContext)
			case prefixed && len(r) == 16:
				return c.found(75, WhyShape)
			}
			return match{}, false
		},
	}
}

func ipv4Detector() detector {
	version := sensesOf([]sense{senseVersion})
	return detector{
		name: "ipv4", class: ClassNetIP, on: onDotted, min: 7, max: 15,
		find: func(c *candidate) (match, bool) {
			scope := ipv4(c.run())
			if scope == ipInvalid || c.key.meets(version) || (c.up.meets(version) || c.above.meets(version)) && !c.key.has(senseIP) || c.hintsBefore()&hintVersion != 0 {
				return match{}, false
			}
			m, ok := c.found(90, WhyShape)
			if len(c.run()) == 7 && scope == ipPublic && !c.key.has(senseIP) && !c.before().has(senseIP) {
				m.confidence = 55 // 1.2.3.4 is as often a version
			}
			m.special = scope == ipPublic
			return m, ok
		},
	}
}

func ipv6Detector() detector {
	return detector{
		name: "ipv6", class: ClassNetIP, on: onColons, min: 3, max: 45,
		find: func(c *candidate) (match, bool) {
			r := c.run()
			scope := ipv6(r)
			if scope == ipInvalid {
				return match{}, false
			}
			m, ok := c.found(90, WhyShape)
			m.special = scope == ipPublic
			return m, ok
		},
	}
}

func vinDetector() detector {
	said := []sense{senseVIN}
	set := sensesOf(said)
	return detector{
		name: "vin", class: ClassIDVIN, on: onWord, min: 17, max: 17, shapes: []string{"*"},
		find: func(c *candidate) (match, bool) {
			b := c.compact()
			if !vinShape(b) {
				return match{}, false
			}
			checked := vinChecked(b)
			switch confirmed := c.confirms(set, hintVIN); {
			case confirmed == confirmedHere && checked:
				return c.found(97, WhyShape|WhyChecksum|WhyContext)
			case confirmed != unconfirmed:
				return c.found(85, WhyShape|WhyContext)
			case checked && !c.key.meets(machineSenses):
				return c.found(70, WhyShape|WhyChecksum)
			}
			return match{}, false
		},
	}
}
