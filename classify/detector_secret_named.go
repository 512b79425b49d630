package classify

// Secrets that the words before them name: github_token = "…", --api-key …,
// <secret>…</secret>, setProperty("X_TOKEN", "…").

// How far back a name is looked for, in bytes and in words, and how much may
// stand between it and the value.
const (
	namedBack  = 96
	namedWords = 4
	namedGap   = 24
)

func findNamedSecret(c *candidate) (match, bool) {
	t := c.text
	from, to := c.start, c.end
	for to > from && (t[to-1] == '.' || t[to-1] == ':' || t[to-1] == '~') {
		to--
	}
	var head senses
	sure := uint8(0)
	// "NAME=value" and "name:value" in one run.
	for i := from + 2; i < to && i-from < 64; i++ {
		if t[i] == '=' || t[i] == ':' {
			if isName(t[from:i]) && to-i > 8 {
				if head, sure = c.nameOf(t[from:i], 80); sure > 0 {
					for i < to && (t[i] == '=' || t[i] == ':') {
						i++
					}
					from = i
				}
			}
			break
		}
	}
	if sure == 0 {
		head, sure = c.namedBefore(from)
	}
	if sure == 0 {
		return match{}, false
	}
	hidden := head.has(senseSecret) || head.has(sensePassword)
	if cut(t, from, to) {
		// The value goes on: a password may hold anything, a token may not.
		if !hidden {
			return match{}, false
		}
		for from > 0 && byteClass[t[from-1]]&(isBreak|isEquals) == 0 && c.end-from < 160 {
			from--
		}
		for to < len(t) && byteClass[t[to]]&isBreak == 0 && to-from < 160 {
			to++
		}
	}
	if !valueLike(t, from, to, sure, hidden) {
		return match{}, false
	}
	class := ClassCredentialToken
	switch {
	case hidden:
		class = ClassCredentialSecret
	case head.has(sensePrivateKey):
		class = ClassCredentialPrivateKey
	}
	return match{start: from, end: to, class: class, confidence: sure, why: WhyContext | WhyEntropy}, true
}

// cut reports whether a word goes on before or behind t[from:to] with what no
// token holds.
func cut(t []byte, from, to int) bool {
	return from > 0 && strange(t[from-1]) && t[from-1] != '&' || to < len(t) && strange(t[to]) && t[to] != '&'
}

// strange reports whether b is punctuation that passwords hold and tokens don't.
func strange(b byte) bool {
	switch b {
	case '?', '#', '%', '$', '@', '!', '*', '^', '&':
		return true
	}
	return false
}

// isName reports whether b can be the name of a variable or a setting.
func isName(b []byte) bool {
	letters := 0
	for _, x := range b {
		switch k := byteClass[x]; {
		case k&isLetter != 0:
			letters++
		case k&isDigit != 0, x == '_', x == '-', x == '.', x == '/':
		default:
			return false
		}
	}
	return letters >= 2 && len(b) < 64
}

// nameOf tells what a name right before a value means, and how sure that makes.
func (c *candidate) nameOf(name []byte, sure uint8) (senses, uint8) {
	if !c.dict.endings.may(name) {
		return senses{}, 0
	}
	head, ok := c.secretHead(name)
	if !ok {
		if credentialWord(name) {
			return senses{}, sure - 10
		}
		return head, 0
	}
	if head.has(senseKey) && !head.has(senseSecret) || several(name) {
		return head, sure - 15 // of anything, or of where several are kept
	}
	return head, sure
}

// credentialWord reports whether a name ends in a word for credentials that
// says nothing in a key of telemetry.
func credentialWord(name []byte) bool {
	for _, w := range credentialWords {
		if n := len(name) - len(w); n >= 0 && equalFold(name[n:], w) {
			return true
		}
	}
	return false
}

var credentialWords = []string{"credentials", "credential", "creds", "auth", "webhook", "authtoken", "apitoken", "dsn", "secret_id", "secretid"}

// namedBefore looks for a name among the words before t[i].
func (c *candidate) namedBefore(i int) (senses, uint8) {
	t := c.text
	low := max(0, i-namedBack)
	sign, line := false, false
	for n := 0; n < namedWords; n++ {
		end := i
		for i > low && byteClass[t[i-1]]&isAlnum == 0 && t[i-1] != '_' {
			i--
			switch t[i] {
			case '=', ':', '>', '-', '(', ',':
				sign = true
			case '\n':
				line = true
			}
		}
		if i == 0 && end <= namedGap {
			return c.namedByKey() // nothing stands before the value but its key
		}
		if end-i > namedGap || i == low || line && n > 0 {
			return senses{}, 0
		}
		end = i
		for i > low && nameByte(t[i-1]) {
			i--
		}
		word := trimName(t[i:end])
		if (sign || n == 0) && len(word) >= 2 && (i > 0 || len(word) != len("key")) { // else a key of whatever comes, if nothing stands before it
			if head, sure := c.nameOf(word, 80-uint8(n)*5); sure > 0 {
				return head, sure
			}
		}
		if i == 0 {
			return c.namedByKey()
		}
	}
	return senses{}, 0
}

// namedByKey is the name of a value that a few words begin: {"secret": "acme
// 7xq6cbfilgmpr2685kwt1v83"}.
func (c *candidate) namedByKey() (senses, uint8) {
	if c.key.meets(namingSenses) {
		return c.key, 70
	}
	return senses{}, 0
}

// trimName is w without dashes and dots around it.
func trimName(w []byte) []byte {
	for len(w) > 0 && (w[0] == '-' || w[0] == '.') {
		w = w[1:]
	}
	for len(w) > 0 && (w[len(w)-1] == '-' || w[len(w)-1] == '.') {
		w = w[:len(w)-1]
	}
	return w
}

func nameByte(b byte) bool {
	return byteClass[b]&isAlnum != 0 || b == '_' || b == '-' || b == '.'
}

// valueLike reports whether t[from:to] can be a secret, where its name makes
// that so sure.
func valueLike(t []byte, from, to int, sure uint8, hidden bool) bool {
	v := t[from:to]
	if len(v) < 8 || len(v) < 12 && sure < 75 || len(v) > 2048 {
		return false
	}
	if to < len(t) && (t[to] == '(' || t[to] == '[') { // a call
		return false
	}
	if masked(v) || placeholder(v) || pathLike(v) || cutShort(v) {
		return false
	}
	if digitsOnly(v) {
		return sure >= 75 && len(v) >= 16 && !same(v)
	}
	if isUUID(v) {
		return sure >= 65
	}
	if sure >= 75 {
		n, d := count(v), distinct(v)
		if n.digits > 0 && n.letters > 0 && d >= 6 && (hidden || wordy(v)*4 < len(v)*3) {
			return true
		}
	}
	return random(v)
}
