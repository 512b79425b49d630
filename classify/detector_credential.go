package classify

import (
	"bytes"

	"github.com/sealgate/sealgate/classify/payload"
)

// Credentials by key. What a key calls a password is one, unless the value
// says that there is none.

func credentialDetectors() []detector {
	return []detector{
		{name: "password", class: ClassCredentialSecret, on: onKey, senses: []sense{sensePassword, sensePIN}, find: findPassword},
		{name: "alarm-code", class: ClassCredentialSecret, on: onKey, senses: []sense{senseCode}, find: findAlarmCode},
		{name: "snmp-community", class: ClassCredentialSecret, on: onKey, strings: true, senses: []sense{senseCommunity}, find: findCommunity},
		{name: "secret", class: ClassCredentialSecret, on: onKey | onArray, strings: true, senses: []sense{senseSecret, senseKey, sensePass}, find: findSecret},
		{name: "token", class: ClassCredentialToken, on: onKey, strings: true, senses: []sense{senseToken, senseAPIKey, senseAccessKey}, find: findToken},
		{name: "private-key", class: ClassCredentialPrivateKey, on: onKey, strings: true, senses: []sense{sensePrivateKey}, find: findPrivateKey},
		{name: "json-web-key", class: ClassCredentialPrivateKey, on: onKey, strings: true, min: 16, senses: []sense{senseKeyPart}, find: findJWK},
	}
}

func findPassword(c *candidate) (match, bool) {
	t := c.run()
	switch c.kind {
	case payload.KindNumber:
		// A code of a door or an alarm; a number is too often a length or a
		// setting to be anything else.
		if c.keyIs(sensePassword) && len(t) >= 4 && len(t) <= 12 && digitsOnly(t) {
			return c.found(70, WhyKey)
		}
		return match{}, false
	case payload.KindString, payload.KindText, payload.KindTopic:
	default:
		return match{}, false
	}
	if placeholder(t) || c.assigned && masked(t) || len(t) < 3 || len(t) > 1024 {
		return match{}, false
	}
	if c.keyIs(sensePIN) && !c.keyIs(sensePassword) {
		if c.assigned || len(t) < 4 || len(t) > 8 || !digitsOnly(t) {
			return match{}, false
		}
		return c.found(70, WhyKey|WhyShape)
	}
	if c.assigned && prose(c, t) {
		return match{}, false
	}
	return c.found(90, WhyKey)
}

// findAlarmCode finds what people type to arm and disarm: four to eight digits
// that are called a code, where a keypad or an alarm panel is spoken of.
func findAlarmCode(c *candidate) (match, bool) {
	t := c.run()
	if c.assigned || !c.about.has(senseAlarm) || len(t) < 4 || len(t) > 8 || !digitsOnly(t) || same(t) && t[0] == '0' {
		return match{}, false
	}
	return c.found(75, WhyKey|WhyContext)
}

// findCommunity finds the community of SNMP (RFC 3584, 5.2): what stands in for
// a password, unless it is the one that everybody uses.
func findCommunity(c *candidate) (match, bool) {
	t := c.run()
	if !c.about.has(senseSNMP) || nothing(t) || len(t) < 3 || len(t) > 64 || count(t).spaces > 0 || placeholder(t) || oneOf(t, "public", "private") {
		return match{}, false
	}
	return c.found(75, WhyKey|WhyContext)
}

func findSecret(c *candidate) (match, bool) {
	t := c.run()
	if c.kind == payload.KindArray { // a key as its bytes
		a := c.array
		ok := c.keyIs(senseSecret) && a.numbers >= 16 && a.numbers <= 64 && a.fractions == 0 && a.others == 0
		return match{confidence: 80, why: WhyKey | WhyShape}, ok
	}
	if placeholder(t) || c.assigned && masked(t) || len(t) < 4 || len(t) > 4096 || pathLike(t) {
		return match{}, false
	}
	if c.keyIs(sensePass) && !c.keyIs(senseSecret) {
		if !c.assigned && (c.beside.has(senseSSID) || c.beside.has(senseUser) || c.beside.has(senseHost) || c.beside.has(sensePassword)) {
			return c.found(80, WhyKey|WhyContext)
		}
		// In a program or a configuration: db_pass = "sesame-77".
		if n := count(t); c.quoted && len(c.name) > len("pass") && len(t) >= 8 && n.letters > 0 && n.digits+n.others > 0 && n.spaces == 0 {
			return c.found(70, WhyKey)
		}
		// In a log: "user=gw7 pass=sesame-77".
		if n := count(t); c.assigned && n.digits > 0 && n.letters > 0 && len(t) >= 6 {
			if before := c.before(); before.has(senseUser) || before.has(senseHost) || before.has(senseSSID) {
				return c.found(70, WhyKey|WhyContext)
			}
		}
		return match{}, false
	}
	if c.keyIs(senseKey) && !c.keyIs(senseSecret) {
		// A device's symmetricKey has a primaryKey and a secondaryKey.
		if c.up.has(senseSecret) && len(t) >= 16 && (isBase64(t) || isHex(t)) {
			return c.found(85, WhyKey|WhyEntropy)
		}
		if len(t) >= 8 && c.beside.has(senseSSID) {
			return c.found(75, WhyKey|WhyContext)
		}
		return match{}, false
	}
	if c.assigned && (prose(c, t) || several(c.name) && plain(t) >= len(t) || cutShort(t)) {
		return match{}, false // "secretsToStore: site-4-door-2" names them
	}
	return c.found(90, WhyKey)
}

func findToken(c *candidate) (match, bool) {
	t := c.run()
	if placeholder(t) || c.assigned && masked(t) || len(t) < 8 || len(t) > 8192 || pathLike(t) {
		return match{}, false
	}
	if c.assigned && (!c.quoted && oddToken(t) || assigns(t) || cutShort(t)) {
		return match{}, false
	}
	n := count(t)
	if n.digits == len(t) { // "token": "6395081723190462"
		if len(t) < 16 || len(t) > 64 || distinct(t) < 5 || sequence(t) || c.assigned && !c.quoted {
			return match{}, false
		}
		return c.found(70, WhyKey)
	}
	random := n.digits > 0 && n.letters > 0 || n.upper > 0 && n.upper < n.letters && len(t) >= 16 || n.letters == n.upper && n.others > 0
	switch {
	case n.spaces > 2, !random && len(t) < 20:
		return match{}, false
	case n.digits > 0 && n.letters > 0 && len(t) >= 16:
		return c.found(90, WhyKey|WhyEntropy)
	}
	return c.found(75, WhyKey)
}

func findPrivateKey(c *candidate) (match, bool) {
	t := c.run()
	if placeholder(t) || c.assigned && masked(t) || len(t) < 24 || pathLike(t) {
		return match{}, false
	}
	if bytes.HasPrefix(t, []byte("-----BEGIN ")) && bytes.Contains(t[:min(len(t), 64)], []byte("PRIVATE KEY-----")) {
		return c.found(97, WhyKey|WhyPrefix)
	}
	if isHex(t) && len(t) >= 32 || isBase64(t) {
		return c.found(90, WhyKey|WhyEntropy)
	}
	if n := count(t); c.quoted && n.spaces == 0 && n.letters > 0 && n.digits > 0 && n.others > 0 {
		return c.found(60, WhyKey)
	}
	return match{}, false
}

// findJWK finds the private member of a JSON Web Key (RFC 7518 section 6): d, or
// k of a symmetric key.
func findJWK(c *candidate) (match, bool) {
	t := c.run()
	if !c.beside.has(senseKeyType) || runOf(t, csLoose) != min(len(t), 512) || placeholder(t) {
		return match{}, false
	}
	return c.found(95, WhyKey|WhyContext|WhyShape)
}

// placeholder reports whether t stands where a secret would and is none: empty,
// masked, a reference, or the state of a secret.
func placeholder(t []byte) bool {
	if nothing(t) || same(t) {
		return true
	}
	first, last := t[0], t[len(t)-1]
	switch {
	case first == '<' && last == '>', first == '[' && last == ']', first == '{' && last == '}',
		first == '%' && last == '%', first == '$' && len(t) > 1 && (t[1] == '{' || t[1] == '('):
		return true
	}
	if first == '$' && isName(t[1:]) && count(t).upper == count(t).letters {
		return true // a variable of a shell
	}
	masked := 0
	for _, b := range t {
		if b == '*' || b == '.' || b >= 0x80 {
			masked++
		}
	}
	if masked*4 >= len(t)*3 {
		return true
	}
	return oneOf(t, "hidden", "redacted", "masked", "removed", "encrypted", "protected", "set", "changed", "unchanged",
		"expired", "valid", "wrong", "missing", "required", "enabled", "disabled", "optional", "incorrect", "rejected",
		"accepted", "failed", "success", "plain", "text", "nopassword", "no password", "not_set", "notset", "todo", "tbd",
		"your_password", "yourpassword", "your-password", "your_token", "your-token", "your_api_key", "example")
}

// oddToken reports whether t holds what no token does: punctuation that only
// passwords have.
func oddToken(t []byte) bool {
	for _, b := range t {
		switch b {
		case '$', '@', '^', '&', '(', ')', '?', '#', '!', '*', ';', '<', '>', '\\':
			return true
		}
	}
	return false
}

// several reports whether a name is a plural: it speaks of where such are kept,
// or which, as often as of their values.
func several(name []byte) bool {
	n := len(name)
	return n > 3 && name[n-1]|0x20 == 's' && name[n-2]|0x20 != 's'
}

// assigns reports whether t, between quotes, is itself the beginning of an
// assignment: the quotes are of something else.
func assigns(t []byte) bool { return bytes.HasSuffix(bytes.TrimRight(t, " "), []byte(" =")) }

// pathLike reports whether t names a file or a URL without credentials.
func pathLike(t []byte) bool {
	if t[0] == '/' || t[0] == '.' || t[0] == '~' {
		dots := 0
		for i, b := range t {
			if b == '=' || b == '+' {
				return false
			}
			if b == '.' && i > 0 {
				dots++
			}
		}
		return dots > 0 || len(t) < 40
	}
	for i := 0; i+2 < len(t) && i < 12; i++ {
		if t[i] == ':' && t[i+1] == '/' && t[i+2] == '/' {
			return true
		}
	}
	return false
}

// prose reports whether what follows "password:" in a text is a word of a
// sentence: letters of one case only.
func prose(c *candidate, t []byte) bool {
	n := count(t)
	if n.digits+n.letters == 0 && n.others > 0 {
		return true // punctuation
	}
	return n.digits == 0 && n.others == 0 && (n.upper == 0 || n.upper == 1 && t[0]-'A' < 26)
}
