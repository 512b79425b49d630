package classify

// A byte's classes, for the scanner's one table.
const (
	isLower  = 1 << iota // a-z
	isUpper              // A-Z
	isDigit              // 0-9
	isHexAF              // a-f A-F
	isAt                 // @
	isColon              // :
	isEquals             // =
	isBreak              // ends a word: space, quotes, brackets, comma, semicolon, bar, backslash, controls, all beyond ASCII

	isLetter = isLower | isUpper
	isAlnum  = isLetter | isDigit
)

var byteClass = func() (t [256]uint8) {
	for b := range t {
		switch {
		case b >= 'a' && b <= 'z':
			t[b] = isLower
		case b >= 'A' && b <= 'Z':
			t[b] = isUpper
		case b >= '0' && b <= '9':
			t[b] = isDigit
		case b <= ' ' || b >= 0x7f:
			t[b] = isBreak
		}
	}
	for _, b := range "abcdefABCDEF" {
		t[b] |= isHexAF
	}
	for _, b := range "\"'`()[]{}<>,;|\\" {
		t[b] = isBreak
	}
	t['@'], t[':'], t['='] = isAt, isColon, isEquals
	return t
}()

// scan looks for candidates in c.text and reports what their detectors find.
// Its cost is linear: one table look-up a byte, and at a candidate work bounded
// by constants.
func (s *Scratch) scan(c *candidate) {
	t := c.text
	for i := 0; i < len(t) && s.work <= s.maxWork; {
		if byteClass[t[i]]&isBreak != 0 {
			i++
			continue
		}
		c.turns++
		j, m, lit := i, uint8(0), s.literalAt(t, i)
		for j < len(t) {
			k := byteClass[t[j]]
			if k&isBreak != 0 {
				break
			}
			m |= k
			j++
		}
		if m&(isDigit|isAt|isColon|isEquals) != 0 || j-i >= minToken || lit {
			s.word(c, i, j, m)
		}
		i = j
	}
}

// minToken is the shortest run that onToken starts, minMixed where it holds
// both letters and digits.
const (
	minToken = 16
	minMixed = 8
)

// literalAt reports whether a literal may begin at text[i].
func (s *Scratch) literalAt(t []byte, i int) bool {
	if i+3 > len(t) {
		return false
	}
	k := literalBucket(t[i], t[i+1], t[i+2])
	return s.plan.buckets[k] != s.plan.buckets[k+1]
}

// word looks at one word of a text, text[from:to], that holds something of
// interest; m is the union of its bytes' classes.
func (s *Scratch) word(c *candidate, from, to int, m uint8) {
	t, p := c.text, s.plan
	if m&isColon != 0 {
		for i := from; i+2 < to; i++ {
			if t[i] == ':' && t[i+1] == '/' && t[i+2] == '/' {
				s.try(c, p.url, from, to)
				break
			}
		}
	}
	if to-from >= minToken && m&isAlnum != 0 || to-from >= minMixed && m&isDigit != 0 && m&isLetter != 0 {
		s.tokens(c, from, to)
	}
	signs := 0
	for i := from; i < to && s.work <= s.maxWork; {
		k := byteClass[t[i]]
		if (i == from || byteClass[t[i-1]]&isAlnum == 0) && i >= s.literalDone && s.literalAt(t, i) {
			s.literal(c, i, to)
		}
		if k&isAlnum == 0 {
			switch {
			case k&isAt != 0:
				s.at(c, from, to, i)
			case k&(isColon|isEquals) != 0:
				s.assign(c, i)
			}
			signs++
			i++
			continue
		}
		j, am := i+1, k
		for j < to && byteClass[t[j]]&isAlnum != 0 {
			am |= byteClass[t[j]]
			j++
		}
		if am&isDigit != 0 {
			s.alnum(c, i, j, am)
		}
		i = j
	}
	if signs >= 2 && m&(isColon|isDigit) != 0 {
		s.separated(c, from, to, m)
	}
}

// alnum looks at a run of letters and digits, at least one digit, in a word.
func (s *Scratch) alnum(c *candidate, i, j int, m uint8) {
	t, p := c.text, s.plan
	r := shape{n: j - i}
	if m&isLetter != 0 {
		r.read(t[i:j])
	}
	if r.n <= maxPlanned && len(p.word[r.n]) > 0 {
		s.tryRun(c, p.word[r.n], r, min(uint64(r.n), 15), true, i, j)
	}
	if m&isLetter == 0 && i >= s.digitsDone && !insideDigits(t, i) {
		s.digitsDone = s.digitGroups(c, i, j)
	}
	if p.anyWords && (p.wordsAny || c.context().meets(p.wordsFor)) {
		s.wordGroups(c, i, j, r)
	}
}

// read sets the shape to that of letters and digits in one piece.
func (r *shape) read(run []byte) {
	upper := uint64(0)
	for i, b := range run[:min(len(run), 64)] {
		k := uint64(byteClass[b])
		r.letters |= (k/isLower | k/isUpper) & 1 << i
		upper |= k / isUpper & 1 << i
	}
	r.mixed = r.letters&(r.letters>>1)&(upper^upper>>1) != 0
}

// insideDigits reports whether the digits at i are the fraction of a number or
// stand behind two groups already: such a place starts no run of its own.
func insideDigits(t []byte, i int) bool {
	return i >= 2 && t[i-1] == '.' && byteClass[t[i-2]]&isDigit != 0 && (i < 3 || byteClass[t[i-3]]&isAlnum == 0)
}

// at starts detectors at a word around an '@' at text[i].
func (s *Scratch) at(c *candidate, from, to, i int) {
	t := c.text
	a, b := i, i+1
	for a > from && i-a < 64 && (byteClass[t[a-1]]&isAlnum != 0 || mailLocal(t[a-1])) {
		a--
	}
	for b < to && b-i < 255 && (byteClass[t[b]]&isAlnum != 0 || t[b] == '.' || t[b] == '-') {
		b++
	}
	if a < i && b > i+1 {
		s.try(c, s.plan.at, a, b)
	}
}

func mailLocal(b byte) bool {
	switch b {
	case '.', '_', '%', '+', '-', '!', '#', '$', '&', '*', '/', '?', '^', '~':
		return true
	}
	return false
}

// separated starts detectors at runs of hex digits with dots, colons or dashes
// between them.
func (s *Scratch) separated(c *candidate, from, to int, m uint8) {
	t, p := c.text, s.plan
	for i := from; i < to; {
		k := byteClass[t[i]]
		if k&(isDigit|isHexAF) == 0 && t[i] != ':' || i > from && byteClass[t[i-1]]&isAlnum != 0 {
			i++
			continue
		}
		j := i
		var dots, colons, dashes int
		letters := false
	run:
		for j < to {
			switch b := t[j]; {
			case byteClass[b]&isDigit != 0:
			case byteClass[b]&isHexAF != 0:
				letters = true
			case b == '.':
				dots++
			case b == ':':
				colons++
			case b == '-':
				dashes++
			default:
				break run
			}
			j++
		}
		end := j
		for end > i && (t[end-1] == '.' || t[end-1] == '-' || t[end-1] == ':' && (end < 2 || t[end-2] != ':')) {
			end--
		}
		touched := j < to && byteClass[t[j]]&isAlnum != 0
		switch {
		case end-i < 3 || touched && colons < 2:
		case dots >= 3 && !letters && dashes == 0 && colons <= 1:
			e := i
			for e < end && (byteClass[t[e]]&isDigit != 0 || t[e] == '.') {
				e++
			}
			s.try(c, p.dotted, i, e)
		case !touched && (colons >= 2 || dashes >= 5 || dots == 2 && end-i == 14):
			s.try(c, p.colons, i, end)
		}
		i = max(j, i+1)
	}
}

// tokens starts detectors at long runs of what keys and encodings are made of.
func (s *Scratch) tokens(c *candidate, from, to int) {
	t := c.text
	for i := from; i < to; {
		j, m := i, uint8(0)
		for j < to && tokenByte(t[j]) {
			m |= byteClass[t[j]]
			j++
		}
		if j-i >= minToken && (m&isDigit != 0 || m&isLetter == isLetter) || j-i >= minMixed && m&isDigit != 0 && m&isLetter != 0 {
			s.try(c, s.plan.token, i, j)
		}
		i = j + 1
	}
}

func tokenByte(b byte) bool {
	if byteClass[b]&isAlnum != 0 {
		return true
	}
	switch b {
	case '+', '/', '=', '_', '-', '.', '~', ':':
		return true
	}
	return false
}

// literal starts the detectors one of whose literals begins at text[i].
func (s *Scratch) literal(c *candidate, i, to int) {
	rest := c.text[i:]
	bucket := literalBucket(rest[0], rest[1], rest[2])
	for k := s.plan.buckets[bucket]; k < s.plan.buckets[bucket+1]; k++ {
		l := &s.plan.literals[k]
		if len(rest) >= len(l.text) && string(rest[:len(l.text)]) == l.text {
			if m, ok := s.startFrom(c, l.by, i, max(to, i+len(l.text))); ok {
				s.literalDone = m.end // what it covers needs no second look
				return
			}
		}
	}
}

// try starts detectors on a run, until one finds something.
func (s *Scratch) try(c *candidate, ids []DetectorID, from, to int) bool {
	hit := false
	for _, id := range ids {
		if s.tryOne(c, id, from, to) {
			hit = true
		}
	}
	return hit
}

// tryOne starts one detector on a run.
func (s *Scratch) tryOne(c *candidate, id DetectorID, from, to int) bool {
	d := &s.owner.detectors[id]
	if n := to - from; d.on&onDigits == 0 && (n < d.min || d.max > 0 && n > d.max) {
		return false
	}
	_, ok := s.startFrom(c, id, from, to)
	return ok
}

// startFrom starts a detector on a run and reports what it finds.
func (s *Scratch) startFrom(c *candidate, id DetectorID, from, to int) (match, bool) {
	d := &s.owner.detectors[id]
	c.start, c.end = from, to
	if s.work++; s.work > s.maxWork {
		return match{}, false
	}
	if d.needs && !c.context().meets(s.owner.senses[id]) {
		return match{}, false
	}
	m, ok := d.find(c)
	s.work, c.cost = s.work+c.cost, 0
	if !ok || m.confidence < minConfidence {
		return match{}, false
	}
	s.report(c, id, m)
	return m, true
}

// How often detectors are started in one document, at most: a number, and more
// for each byte. What would take more is no message of a device, and is
// refused: see ReasonCostly.
const (
	maxWork        = 200_000
	maxWorkPerByte = 2
)

// minConfidence is what a match must reach to be reported, in percent.
const minConfidence = 50
