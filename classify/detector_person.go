package classify

import (
	"bytes"

	"github.com/sealgate/sealgate/classify/payload"
)

// People by key and by structure: names, addresses, special categories,
// children. There is no model of language in it: a bare "name" is a person's
// only where its object is one.

func personDetectors() []detector {
	return []detector{
		{name: "person-name", class: ClassPersonName, on: onKey, strings: true, senses: []sense{sensePersonName}, find: findPersonName},
		{name: "person-label", class: ClassPersonName, on: onKey, strings: true, senses: []sense{sensePersonLabel, senseName, senseNamePart}, find: findPersonLabel},
		{name: "person-key", class: ClassPersonName, on: onKey, strings: true, senses: []sense{sensePerson, senseUser, senseChild}, find: findPersonKey},
		{name: "postal-address", class: ClassContactAddress, on: onKey, strings: true, senses: []sense{senseAddress, senseAddressWeak, senseCity}, find: findAddress},
		{name: "special-category", class: ClassSpecial, on: onKey, senses: []sense{senseSpecial, senseSpecialWeak}, find: findSpecial},
		{name: "child-age", class: ClassChild, on: onKey, senses: []sense{senseAge, senseBirth}, find: findChildAge},
	}
}

func (c *candidate) isString() bool {
	return c.kind == payload.KindString || c.kind == payload.KindText || c.kind == payload.KindTopic
}

// person is a finding of a name: of a child where its object is one.
func (c *candidate) person(confidence uint8, why Why) (match, bool) {
	m, _ := c.found(confidence, why)
	if c.up.has(senseChild) || c.keyIs(senseChild) {
		m.class = ClassChild
	}
	return m, true
}

func findPersonName(c *candidate) (match, bool) {
	t := c.run()
	if nothing(t) || len(t) > 120 {
		return match{}, false
	}
	n := count(t)
	switch {
	case nameLike(t):
		return c.person(92, WhyKey|WhyShape)
	case c.assigned || n.digits > 0 || n.letters+n.wide < 2 || n.others > 4:
		return match{}, false
	}
	return c.person(75, WhyKey)
}

// findPersonLabel handles keys that name people or things: a name is a person's
// where its object is one, or a label beside it says so.
func findPersonLabel(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || nothing(t) || !nameLike(t) || c.keyName(t) {
		return match{}, false
	}
	if c.keyIs(senseNamePart) && !c.up.has(senseName) && !c.up.has(sensePerson) {
		return match{}, false // a family of chips
	}
	switch {
	case c.up.has(sensePerson), c.up.has(senseChild), c.keyIs(senseNamePart), c.beside.has(senseLabelled), c.besidePerson():
		return c.person(80, WhyKey|WhyShape|WhyContext)
	case c.keyIs(sensePersonLabel) && (c.about.has(senseFace) || !c.beside.has(sensePerson)):
		return c.person(65, WhyKey|WhyShape)
	case c.beside.has(sensePlate):
		return c.person(60, WhyKey|WhyShape|WhyContext)
	}
	return match{}, false
}

// besidePerson reports whether the object has what only people have.
func (c *candidate) besidePerson() bool {
	return c.beside.has(senseBirth) || c.beside.has(senseGender) || c.beside.has(senseNationalID) || c.beside.has(senseSSN) || c.beside.has(sensePassport) || c.beside.has(sensePatient) || c.beside.has(senseBadge)
}

// keyName reports whether a text is itself what a key would be called: {"name":
// "PlateNumber", "value": …}, {"label": "Licence plate", …}.
func (c *candidate) keyName(t []byte) bool {
	if len(t) > 32 || t[0] >= 0x80 {
		return false
	}
	if bytes.IndexByte(t, ' ') >= 0 {
		return c.dict.covers(t)
	}
	return !c.names.meaning(t).head.empty()
}

// findPersonKey handles {"driver": "Ann Lee"}: two words at least, because one
// may be a role, or a node of a tree; of a child one, where its age or
// health is told.
func findPersonKey(c *candidate) (match, bool) {
	t := c.run()
	if !nameLike(t) {
		return match{}, false
	}
	n := count(t)
	told := c.keyIs(senseChild) && (c.beside.has(senseAge) || c.beside.has(senseBirth) || c.beside.has(senseHealth))
	if n.spaces == 0 && n.wide == 0 && !told || c.assigned {
		return match{}, false
	}
	return c.person(75, WhyKey|WhyShape)
}

func findAddress(c *candidate) (match, bool) {
	t := c.run()
	if nothing(t) || len(t) > 300 {
		return match{}, false
	}
	n := count(t)
	words := n.letters+n.wide >= 3 && !(n.spaces == 0 && n.wide == 0 && n.digits > n.letters)
	switch {
	case c.keyIs(senseAddress) && words:
		return c.found(85, WhyKey)
	case c.keyIs(senseAddressWeak) && words && !urlLike(t) && !inMachine(t) &&
		(n.spaces > 0 && n.letters >= 5 && (c.ofPersonOrPlace() || n.digits > 0 && bytes.IndexByte(t, ',') > 0) || n.wide >= 9 && addressWide(t)):
		return c.found(75, WhyKey|WhyShape)
	case c.keyIs(senseCity) && !c.keyIs(sensePlace) && (c.beside.has(senseAddress) || c.up.has(senseAddress) || c.up.has(senseAddressWeak)) && len(t) >= 2 && !c.assigned:
		return c.found(65, WhyKey|WhyContext)
	}
	return match{}, false
}

// ofPersonOrPlace reports whether the object speaks of a person or holds other
// parts of a postal address: an "address" is then no bus address.
func (c *candidate) ofPersonOrPlace() bool {
	return c.up.has(sensePerson) || c.beside.has(sensePerson) || c.beside.has(sensePersonName) ||
		c.beside.has(senseCity) || c.beside.has(senseEmail) || c.beside.has(sensePhone)
}

// inMachine reports whether an address is one of a place in a machine or a
// plant: "line 4, slot 7".
func inMachine(t []byte) bool {
	for i := 0; i < len(t); {
		j := i
		for j < len(t) && byteClass[t[j]]&isLetter != 0 {
			j++
		}
		if oneOf(t[i:j], "line", "slot", "rack", "bay", "bus", "node", "port", "channel", "module", "card", "pin", "register", "offset", "plc", "coil", "segment") {
			return true
		}
		i = j + 1
	}
	return false
}

func urlLike(t []byte) bool {
	for i := 0; i+2 < len(t); i++ {
		if t[i] == ':' && t[i+1] == '/' && t[i+2] == '/' || t[i] == '@' {
			return true
		}
	}
	return false
}

// addressWide reports whether a text holds the parts of a Chinese or Japanese
// address.
func addressWide(t []byte) bool {
	for i := 0; i+3 <= len(t); i++ {
		switch string(t[i : i+3]) {
		case "路", "号", "街", "区", "省", "市", "村", "镇", "弄", "室", "県", "都", "丁", "町":
			return true
		}
	}
	return false
}

// findSpecial: what somebody believes or belongs to, in words; as a yes or no,
// and by a word that has other meanings, where the object is a person's.
func findSpecial(c *candidate) (match, bool) {
	weak := c.keyIs(senseSpecialWeak) && !c.keyIs(senseSpecial)
	if weak || c.kind == payload.KindBool {
		if !c.up.has(sensePerson) && !c.beside.has(sensePerson) && !c.beside.has(sensePersonName) && !c.besidePerson() && !c.beside.has(senseSpecial) {
			return match{}, false
		}
		if c.kind == payload.KindBool {
			return c.found(75, WhyKey|WhyContext)
		}
	}
	if !c.isString() {
		return match{}, false
	}
	t := c.run()
	n := count(t)
	if nothing(t) || n.letters+n.wide < 3 || n.digits > 2 || len(t) > 120 || c.about.has(senseVehicle) {
		return match{}, false
	}
	if c.assigned && !c.about.has(sensePerson) {
		return match{}, false
	}
	return c.found(75, WhyKey)
}

// findChildAge finds the age of a child: a number of years below the profile's,
// of a person, or what stands for an age where a child is spoken of.
func findChildAge(c *candidate) (match, bool) {
	t := c.run()
	child := c.up.has(senseChild) || c.above.has(senseChild) || c.beside.has(senseChild)
	if nothing(t) || !digitIn(t) {
		return match{}, false
	}
	if c.keyIs(senseAge) && len(t) <= 3 && digitsOnly(t) {
		years := number(t)
		switch {
		case years >= c.childAge:
			return match{}, false // whoever the object is called after
		case !child && !c.up.has(sensePerson) && !c.up.has(senseUser) && !c.beside.has(sensePersonName) && !c.beside.has(senseGender):
			return match{}, false // of a battery, or of a measurement
		case !child:
			return c.found(75, WhyKey|WhyShape|WhyContext)
		}
	}
	if !child {
		return match{}, false
	}
	return c.found(70, WhyKey|WhyContext)
}
