package classify

// maxAssigned is the longest value of an assignment in a text.
const maxAssigned = 160

// assign handles "word = value" and "word: value" in a text: the word before
// the sign at text[i] is the value's key. Where the sign is one of several
// ("word := value", "word" => "value") or stands apart, a program or a
// configuration is quoted, and only credentials are looked for.
func (s *Scratch) assign(c *candidate, i int) {
	t := c.text
	n, loose := i, i > 0 && !keyByte(t[i-1])
	if loose {
		for n > 0 && i-n < 8 && operator(t[n-1]) {
			n--
		}
	}
	a, letters := n, false
	for a > 0 && n-a < 48 && keyByte(t[a-1]) {
		a--
		letters = letters || byteClass[t[a]]&isDigit == 0
	}
	if n-a < 2 || i+1 >= len(t) || !letters {
		return
	}
	v := i + 1
	for v < len(t) && v-i < 4 && (t[v] == ' ' || t[v] == '\t') {
		v++
	}
	if v >= len(t) || t[i] == ':' && (t[v] == '/' || t[v] == ':') || t[v] == '=' {
		return // a URL, or a sign that is not the last
	}
	meaning := c.dict.meaning(t[a:n])
	if meaning.head.empty() || loose && !meaning.head.meets(secretSenses) {
		return
	}
	if loose {
		for v < len(t) && v-i < 8 && (t[v] == '>' || t[v] == ' ' || t[v] == '@' || t[v] == '\\') {
			v++
		}
		if v >= len(t) {
			return
		}
	}
	e := v
	var quote byte
	if t[v] == '"' || t[v] == '\'' || loose && t[v] == '`' {
		quote = t[v]
		v++
		e = v
	}
	for e < len(t) && e-v < maxAssigned {
		b := t[e]
		if quote == 0 && !loose && b == '=' && e+1 < len(t) && byteClass[t[e+1]]&isAlnum != 0 {
			return // "a=b=c" is no assignment that anybody reads
		}
		if b == '\n' || quote != 0 && (b == quote || loose && b == '\\') {
			break
		}
		if quote == 0 && (b <= ' ' || b == '"' || b == '\'' || b == ',' || b == ';' || b == '<' || b == ')' || !loose && (b == '&' && t[i] == '=' || b == '}' || b == ']')) {
			break
		}
		e++
	}
	if e == v || loose && quote == 0 && expression(t[v:e]) {
		return
	}
	key, about := c.key, c.about
	c.key, c.about = meaning.head, c.about.union(meaning.about)
	c.assigned = true
	for _, id := range s.plan.key {
		if s.owner.senses[id].meets(meaning.head) && (!loose || isCredential(s.owner.detectors[id].class)) {
			s.tryOne(c, id, v, e)
		}
	}
	c.key, c.about, c.assigned = key, about, false
	c.flat.end = 0 // what it knows was asked with the other key
}

// expression reports whether an unquoted value is a piece of a program: the
// name of another variable, a call, an index.
func expression(b []byte) bool {
	for _, x := range b {
		switch x {
		case '(', '[', '{':
			return true
		}
	}
	return isName(b) && count(b).digits == 0
}

// keyByte reports whether b can stand in the name of a value in a text.
func keyByte(b byte) bool {
	return byteClass[b]&isAlnum != 0 || b == '_' || b == '-' || b == '.' || b >= 0x80
}

// operator reports whether b can stand between a name and the sign that
// assigns: space, quotes, brackets, further signs.
func operator(b byte) bool {
	switch b {
	case ' ', '\t', '"', '\'', '`', ']', ')', ':', '=', '?', '.', '+', '!', '\\':
		return true
	}
	return false
}

func isCredential(c ClassID) bool {
	return c == ClassCredentialSecret || c == ClassCredentialToken || c == ClassCredentialPrivateKey
}
