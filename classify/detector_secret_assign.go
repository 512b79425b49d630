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
	if k := n; loose && k > 2 && t[k-1]-'0' <= 9 && t[i-1] != t[n-1] { // uint8_t key[16] = …
		for k > 0 && i-k < 12 && t[k-1]-'0' <= 9 {
			k--
		}
		if k > 0 && t[k-1] == '[' {
			n = k - 1
		}
	}
	a, letters := n, false
	for a > 0 && n-a < 48 && keyByte(t[a-1]) {
		a--
		letters = letters || byteClass[t[a]]&isDigit == 0
	}
	if i+1 >= len(t) || loose && t[i] == '=' && s.compared(c, i) || n-a < 2 || !letters {
		return
	}
	v := i + 1
	for v < len(t) && v-i < 4 && (t[v] == ' ' || t[v] == '\t') {
		v++
	}
	if v >= len(t) || t[i] == ':' && (t[v] == '/' || t[v] == ':') || t[v] == '=' {
		return // a URL, or a sign that is not the last
	}
	meaning := c.names.meaning(t[a:n])
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
	c.name, c.quoted = t[a:n], quote != 0
	if quote == 0 && meaning.head.has(senseSecret) {
		if from, to := byteRow(t, v); to > from {
			s.named(c, meaning, loose, from, to)
			return
		}
	}
	if e == v || loose && quote == 0 && expression(t[v:e]) {
		return
	}
	s.named(c, meaning, loose, v, e)
}

// byteRow returns where a row of bytes in hexadecimal stands at text[i], at
// least sixteen with something between them: 8F 1D 02 …, {0x8f, 0x1d, …}.
func byteRow(t []byte, i int) (from, to int) {
	for i < len(t) && (t[i] == '{' || t[i] == '[' || t[i] == ' ') {
		i++
	}
	from = i
	for n := 0; ; n++ {
		if i+4 <= len(t) && t[i] == '0' && t[i+1]|0x20 == 'x' {
			i += 2
		}
		if i+2 > len(t) || !isHex(t[i:i+2]) || i+2 < len(t) && byteClass[t[i+2]]&isAlnum != 0 || n == 64 {
			if n < 16 {
				return 0, 0
			}
			return from, to
		}
		i += 2
		to = i
		for i < len(t) && i-to < 3 && (t[i] == ' ' || t[i] == ',' || t[i] == ':' || t[i] == '-') {
			i++
		}
		if i == to { // nothing between: one word, or the end
			if n < 15 {
				return 0, 0
			}
			return from, to
		}
	}
}

// named looks at a value, text[v:e], whose name c.name stands in the text, too.
func (s *Scratch) named(c *candidate, m meaning, loose bool, v, e int) {
	key, about := c.key, c.about
	c.key, c.about = m.head, c.about.union(m.about)
	c.assigned = true
	for _, id := range s.plan.key {
		if s.owner.senses[id].meets(m.head) && (!loose || isCredential(s.owner.detectors[id].class)) {
			s.tryOne(c, id, v, e)
		}
	}
	c.key, c.about, c.assigned, c.name = key, about, false, nil
	c.voice.end = 0 // asked with the other key
}

// compared handles a comparison whose constant stands first: "value" == name,
// with the last sign at text[i]. It reports whether that is one.
func (s *Scratch) compared(c *candidate, i int) bool {
	t := c.text
	to, signs := i, 1
	for to > 0 && i-to < 8 && (t[to-1] == '=' || t[to-1] == '!' || t[to-1] == ' ') {
		to--
		if t[to] != ' ' {
			signs++
		}
	}
	if signs < 2 || to < 2 || t[to-1] != '"' && t[to-1] != '\'' {
		return false
	}
	to--
	from := to
	for from > 0 && to-from < maxAssigned && t[from-1] != t[to] && t[from-1] != '\n' {
		from--
	}
	if from == 0 || from == to || t[from-1] != t[to] {
		return false
	}
	a := i + 1
	for a < len(t) && a-i < 4 && t[a] == ' ' {
		a++
	}
	n := a
	for n < len(t) && n-a < 48 && keyByte(t[n]) {
		n++
	}
	m := c.names.meaning(t[a:n])
	if !m.head.meets(secretSenses) {
		return false
	}
	c.name, c.quoted = t[a:n], true
	s.named(c, m, true, from, to)
	return true
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
