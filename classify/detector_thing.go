package classify

import "github.com/sealgate/sealgate/classify/payload"

// Things by key: devices, badges, plates; and what they tell about who is
// where.

func thingDetectors() []detector {
	return []detector{
		{name: "device-id", class: ClassIDDevice, on: onKey, senses: []sense{senseSerial, senseMAC, senseIMEI, senseICCID, senseIMSI, senseEUI, senseDeviceID}, find: findDeviceID},
		{name: "device-name", class: ClassIDDevice, on: onKey, strings: true, senses: []sense{senseID, senseHost, senseDevice, senseDeviceID}, find: findDeviceName},
		{name: "ieee-address", class: ClassIDDevice, on: onWord, min: 18, max: 18, find: findIEEEAddress},
		{name: "device-urn", class: ClassIDDevice, on: onLiteral, literals: []string{"urn:dev:"}, find: findDeviceURN},
		{name: "meter-id", class: ClassIDDevice, on: onLiteral, literals: obisLiterals(), find: findMeterID},
		{name: "badge", class: ClassIDDevice, on: onKey, senses: []sense{senseBadge, senseCard}, find: findBadge},
		{name: "plate-key", class: ClassIDVehiclePlate, on: onKey, strings: true, senses: []sense{sensePlate}, find: findPlateKey},
		{name: "presence", class: ClassPresenceBehaviour, on: onKey, senses: []sense{sensePresence, senseTransition, senseDistance, senseGeo}, find: findPresence},
	}
}

// device is a finding of a device, graded higher where a person carries it.
func (c *candidate) device(confidence uint8, why Why) (match, bool) {
	m, _ := c.found(confidence, why)
	m.special = c.about.has(senseWearable) || c.about.has(sensePresence) || c.up.has(sensePerson)
	return m, true
}

func findDeviceID(c *candidate) (match, bool) {
	t := c.run()
	if c.kind == payload.KindBool || nothing(t) || len(t) < 3 || len(t) > 80 {
		return match{}, false
	}
	n := count(t)
	switch {
	case same(t) && len(t) > 3, n.digits == 0 && !isHex(t) && n.others == 0, n.spaces > 1, urlLike(t):
		return match{}, false
	case c.kind == payload.KindNumber && (n.others > 0 || len(t) < 6 && !c.keyIs(senseSerial)):
		return match{}, false
	case n.digits < 3 && (c.assigned || c.keyIs(senseDeviceID) && n.letters > n.digits && !isHex(t) && !c.keyIs(senseSerial) && !c.about.has(senseWearable)):
		return match{}, false // "cow-17": a name that somebody gave
	}
	return c.device(85, WhyKey)
}

// findDeviceName: ids and host names that end or begin with a hardware address:
// "plug-AABBCCDDEEFF"; and ids that are one in hex.
func findDeviceName(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || len(t) < 8 || len(t) > 80 {
		return match{}, false
	}
	if isHex(t) {
		if (len(t) == 8 || len(t) == 12 || len(t) == 16) && !same(t) && (digitIn(t)) {
			return c.device(75, WhyKey|WhyShape)
		}
		return match{}, false
	}
	cut := len(t) - 12
	if cut > 1 && (t[cut-1] == '-' || t[cut-1] == '_') && isHex(t[cut:]) && byteClass[t[0]]&isLetter != 0 && !isHex(t[:cut-1]) && !uuidLike(t) {
		return c.device(75, WhyKey|WhyShape)
	}
	if n := count(t); c.keyIs(senseID) && c.about.has(sensePresence) && n.digits > 0 && n.spaces == 0 && n.letters > 0 {
		return c.device(60, WhyKey|WhyContext)
	}
	return match{}, false
}

// uuidLike reports whether t ends in a UUID.
func uuidLike(t []byte) bool {
	if len(t) < 36 {
		return false
	}
	u := t[len(t)-36:]
	return u[8] == '-' && u[13] == '-' && u[18] == '-' && u[23] == '-'
}

// findIEEEAddress: a 64-bit address as Zigbee software writes it.
func findIEEEAddress(c *candidate) (match, bool) {
	t := c.run()
	if t[0] != '0' || t[1] != 'x' || !isHex(t[2:]) || same(t[2:]) {
		return match{}, false
	}
	if c.end-c.start == len(c.text) || c.key.has(senseEUI) {
		return c.device(90, WhyShape)
	}
	return c.device(80, WhyShape)
}

// findDeviceURN reads a device's URN (RFC 9039): urn:dev:mac:0024befffe804ff1.
func findDeviceURN(c *candidate) (match, bool) {
	n := count(c.text[c.start:min(c.end, c.start+128)])
	if n.digits < 2 || c.end-c.start < len("urn:dev:")+6 {
		return match{}, false
	}
	return c.device(92, WhyPrefix)
}

// obisLiterals are the codes of a meter's number (IEC 62056-61) as a consumer
// port writes them, for the channels of electricity, gas, heat and water.
func obisLiterals() []string {
	var out []string
	for _, channel := range "0123456789" {
		for _, medium := range "01678" {
			for _, code := range []string{"96.1.0(", "96.1.1(", "96.1.4("} {
				if code == "96.1.4(" {
					continue // a version
				}
				out = append(out, string(medium)+"-"+string(channel)+":"+code)
			}
		}
		out = append(out, "7-"+string(channel)+":0.0.0(")
	}
	return append(out, "0-0:42.0.0(", "1-0:0.0.0(", "0-0:0.0.0(")
}

func findMeterID(c *candidate) (match, bool) {
	t := c.text
	from := c.start
	for from < len(t) && t[from] != '(' {
		from++
	}
	from++
	to := from
	for to < len(t) && byteClass[t[to]]&isAlnum != 0 {
		to++
	}
	if to >= len(t) || t[to] != ')' || to-from < 8 || to-from > 96 || same(t[from:to]) {
		return match{}, false
	}
	m := match{start: from, end: to, confidence: 92, why: WhyPrefix | WhyShape}
	return m, true
}

// findBadge: what opens doors. It is carried by a person. A "card number" is
// one where doors or readers are spoken of, and no payment.
func findBadge(c *candidate) (match, bool) {
	t := c.run()
	if c.kind == payload.KindBool || nothing(t) || len(t) < 4 || len(t) > 40 || !digitIn(t) {
		return match{}, false
	}
	n := count(t)
	if n.spaces > 1 || c.kind == payload.KindNumber && n.others > 0 {
		return match{}, false
	}
	if !c.keyIs(senseBadge) && !(c.about.has(senseBadge) || c.about.has(sensePlace)) {
		return match{}, false
	}
	m, _ := c.found(80, WhyKey|WhyContext)
	m.special = true
	return m, true
}

// findPlateKey: what a key calls a plate, if it can be one: letters or
// ideographs and digits, up to twelve.
func findPlateKey(c *candidate) (match, bool) {
	t := c.run()
	n := count(t)
	if len(t) < 3 || len(t) > 20 || n.others > 2 || n.spaces > 3 || n.digits == 0 ||
		n.digits+n.letters > 12 || n.upper > 0 && n.upper < n.letters || same(t) {
		return match{}, false
	}
	if c.assigned && (n.letters+n.wide == 0 || n.upper < n.letters) {
		return match{}, false
	}
	if n.letters+n.wide == 0 && n.digits > 8 {
		return match{}, false
	}
	return c.found(85, WhyKey|WhyShape)
}

// findPresence: who is where, by key, or by the words for it.
func findPresence(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || c.kind == payload.KindTopic {
		return match{}, false
	}
	switch {
	case c.keyIs(senseTransition):
		if oneOf(t, "enter", "leave", "entered", "left", "arrived", "departed", "arrive", "exit") &&
			(c.beside.has(senseGeo) || c.beside.has(senseLat) || c.about.has(sensePresence) || c.about.has(senseWearable)) {
			return c.found(80, WhyKey|WhyContext)
		}
	case c.keyIs(senseDistance):
		if c.about.has(sensePresence) && digitIn(t) {
			return c.found(65, WhyKey|WhyContext)
		}
	case c.keyIs(sensePresence):
		if c.kind == payload.KindBool || !nothing(t) || oneOf(t, "on", "off", "true", "false", "yes", "no") {
			return c.found(75, WhyKey)
		}
	case c.keyIs(senseGeo):
		if oneOf(t, "home", "not_home", "away", "at_home", "athome", "work", "office") {
			return c.found(75, WhyKey|WhyShape)
		}
	}
	return match{}, false
}
