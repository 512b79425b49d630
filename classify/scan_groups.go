package classify

// maxGroups is how many groups of digits a run can have: a phone number written
// in pairs behind its country code, a card, an IBAN in fours.
const maxGroups = 10

// maxWordGroups is how many words a run of onWords can have.
const maxWordGroups = 12

// maxPrefixes is how many leading parts of a run are tried.
const maxPrefixes = 6

// digitGroups starts detectors at digits in groups, of which the first is
// text[i:j], and returns before where no other run needs to start: the end of
// what was found. In a long row of short groups, a table of numbers, it is the
// end of the row.
func (s *Scratch) digitGroups(c *candidate, i, j int) int {
	t, p := c.text, s.plan
	start := i
	for back := 1; back <= 2 && i-back >= 0; back++ { // "+49", "(030)", "+(49)"
		if b := t[i-back]; b == '+' || b == '(' {
			start = i - back
		} else {
			break
		}
	}
	phone := start < i
	var sep byte
	if n := j - i; n > maxDigits || n < minDigits && nextGroup(t, j, &sep, true) == j {
		return 0
	}
	ends, sizes, written := &s.groupEnds, &s.groupSizes, &s.groupWays
	n, groups, short := 0, 0, 0
	way := uint64(0)
	closed := !p.digitWays.any && !phone && t[i] != '0' && s.silent(c, i) // only ways of writing start anything
	node, dead := uint8(firstWay), false
	sep = 0
	for at := i; ; {
		for j = at; j < len(t) && byteClass[t[j]]&isDigit != 0 && n+j-at < maxDigits; {
			j++
		}
		size := j - at
		if j < len(t) && byteClass[t[j]]&isAlnum != 0 {
			break // a letter touches it, or it is too long
		}
		if size < 3 {
			short++
		}
		n += size
		way = way<<4 | min(uint64(size), 15)
		ends[groups], sizes[groups], written[groups] = j, n, way
		groups++
		c.turns++
		if closed {
			if groups == 1 {
				closed = !s.single(c, i, j)
			}
			node = p.digitWays.nodes[node].next[way&15]
			closed = closed && !p.digitWays.nodes[node].ends
			if dead = closed && node == 0; dead && short < groups {
				return 0
			}
		}
		at = nextGroup(t, j, &sep, phone || n <= 5)
		if at == j || groups == maxGroups {
			break
		}
	}
	done := 0
	if groups == maxGroups && short == maxGroups {
		done = ends[groups-1]
	}
	if dead {
		return done
	}
	for g, tried := groups-1, 0; g >= 0 && tried < maxPrefixes; g-- {
		list := p.digits[sizes[g]]
		if sizes[g] < minDigits || len(list) == 0 {
			continue
		}
		tried++
		c.digits, c.rest, c.last = s.digitsOf(t[i:ends[g]]), groups-1-g, ends[groups-1]
		if s.tryRun(c, list, shape{n: sizes[g]}, written[g], g == 0 && !phone, start, ends[g]) {
			done = ends[g]
			break
		}
	}
	c.digits, c.rest = nil, 0
	return done
}

// nextGroup returns where the digits behind separators at t[j] begin, or j
// where there are none.
func nextGroup(t []byte, j int, sep *byte, mixed bool) int {
	k := j
	for k < len(t) && k-j < 3 && isSeparator(t[k], sep, mixed) {
		k++
	}
	if k == j || k >= len(t) || byteClass[t[k]]&isDigit == 0 {
		return j
	}
	return k
}

// digitsOf returns the digits of a run.
func (s *Scratch) digitsOf(run []byte) []byte {
	n := 0
	for _, b := range run {
		if byteClass[b]&isDigit != 0 {
			s.digits[n] = b
			n++
		}
	}
	return s.digits[:n]
}

// silent reports whether nothing near groups of digits that begin at text[from]
// opens a gate. It may report false where that is so.
func (s *Scratch) silent(c *candidate, from int) bool {
	return s.calm(c.text, from, spanAll) && !c.keyOpens(s.plan.gates)
}

// single reports whether digits in one piece would start a detector.
func (s *Scratch) single(c *candidate, from, to int) bool {
	n := to - from
	if n < minDigits {
		return false
	}
	for k := range s.plan.digits[n] {
		l := &s.plan.digits[n][k]
		c.start, c.end = from, to
		if s.opened(c, l, l.of(shape{n: n}), min(uint64(n), 15), true) != 0 {
			return true
		}
	}
	return false
}

// minDigits is the fewest digits that onDigits starts at.
const minDigits = 6

// isSeparator reports whether b can stand between groups of digits. All
// separators of a number are the same, but for phone numbers, where brackets,
// spaces, slashes and dashes mix.
func isSeparator(b byte, sep *byte, mixed bool) bool {
	switch b {
	case ' ', '-', '.', '/':
		if *sep == 0 || *sep == b {
			*sep = b
			return true
		}
		return mixed && b != '.' && *sep != '.'
	case '(', ')':
		return mixed
	}
	return false
}

// maxWords is the longest run of onWords, in bytes.
const maxWords = 40

// wordGroups starts detectors at words in a row, the one at text[i:j] among
// the first three; r is its shape.
func (s *Scratch) wordGroups(c *candidate, i, j int, r shape) {
	t := c.text
	from := i
	for range 2 {
		k := from
		if k < 2 || !joins(t[k-1]) || byteClass[t[k-2]]&isAlnum == 0 {
			break
		}
		k--
		for k > 0 && byteClass[t[k-1]]&isAlnum != 0 && from-k <= 6 {
			k--
		}
		w := t[k : from-1]
		if len(w) > 4 || byteClass[w[0]]&(isUpper|isDigit) == 0 {
			break
		}
		if digitIn(w) {
			return // that word started it
		}
		from = k
	}
	if from == i && (j+1 >= len(t) || !joins(t[j]) || byteClass[t[j+1]]&isAlnum == 0) {
		if r.n <= maxWords {
			s.oneWord(c, i, j, r)
		}
		return
	}
	for start := from; ; {
		if s.canBegin(c, start) {
			if s.wordsFrom(c, from, start, i, j, r) {
				return
			}
		} else if start == i && r.n <= maxWords {
			s.oneWord(c, i, j, r)
		}
		if start == i {
			return
		}
		for start < i && byteClass[t[start]]&isAlnum != 0 {
			start++
		}
		start++
	}
}

// canBegin reports whether a run of words that begins at text[at] can start any
// detector, by its first eight letters and digits, how its words follow each
// other, and what is near.
func (s *Scratch) canBegin(c *candidate, at int) bool {
	t, p := c.text, s.plan
	if at > 0 && t[at-1] >= 0x80 {
		return true
	}
	letters := uint8(0)
	for n, i := 0, at; n < 8 && i < len(t); i++ {
		k := byteClass[t[i]]
		if k&isAlnum == 0 {
			if !joins(t[i]) || byteClass[t[i-1]]&isAlnum == 0 {
				break
			}
			continue
		}
		letters |= k / isUpper & 1 << n
		letters |= k / isLower & 1 << n
		n++
	}
	if p.free.has(letters) {
		return true
	}
	if !p.printed.has(letters) {
		return false
	}
	return p.wordWays.any || c.keyOpens(p.gates) || p.wordWays.leads(t, at) || s.opensBefore(t, at)&p.wordOpens != 0
}

// leads reports whether words from text[at] on are printed in one of the ways,
// two of them or more.
func (w *ways) leads(t []byte, at int) bool {
	node := uint8(firstWay)
	for first := true; ; first = false {
		i := at
		for i < len(t) && byteClass[t[i]]&isAlnum != 0 {
			i++
		}
		node = w.nodes[node].next[min(i-at, 15)]
		switch {
		case node == 0:
			return false
		case w.nodes[node].ends && !first:
			return true
		case i+1 >= len(t) || !joins(t[i]) || byteClass[t[i+1]]&isAlnum == 0:
			return false
		}
		at = i + 1
	}
}

// oneWord starts the detectors of words in a row at one word.
func (s *Scratch) oneWord(c *candidate, i, j int, r shape) {
	s.tryRun(c, s.plan.singleOf(r), r, min(uint64(r.n), 15), true, i, j)
}

// wordsFrom starts detectors at words in a row from text[start] on, up to each
// word from text[i:j] on, longest first, until one finds something. The words
// before i are of letters alone; from is where the first of them begins.
func (s *Scratch) wordsFrom(c *candidate, from, start, i, j int, r shape) bool {
	t, p := c.text, s.plan
	var all shape
	way := uint64(0)
	for k := start; k < i; k++ { // k stops at the separator
		w := k
		for byteClass[t[k]]&isAlnum != 0 {
			k++
		}
		word := shape{n: k - w}
		word.read(t[w:k])
		all, way = all.join(word), way<<4|uint64(k-w)
	}
	all, way = all.join(r), way<<4|min(uint64(r.n), 15)
	var ends [maxWordGroups]int // of the words from text[i] on
	var shapes [maxWordGroups]shape
	var written [maxWordGroups]uint64 // the lengths of the words up to there
	n := 0
	for k := j; n < len(ends) && k-from <= maxWords; {
		ends[n], shapes[n], written[n] = k, all, way
		n++
		c.turns++
		if k+1 >= len(t) || !joins(t[k]) || byteClass[t[k+1]]&isAlnum == 0 {
			break
		}
		w := k + 1
		for k = w; k < len(t) && byteClass[t[k]]&isAlnum != 0; {
			k++
		}
		if plainWord(t[w:k]) {
			break
		}
		word := shape{n: k - w}
		word.read(t[w:k])
		all, way = all.join(word), way<<4|min(uint64(k-w), 15)
	}
	for g := n - 1; g >= 0; g-- {
		x := shapes[g]
		if g == 0 && start == i {
			if x.n <= maxWords {
				s.oneWord(c, i, j, x)
			}
			break
		}
		if x.n > maxWords {
			continue
		}
		ls := p.words[x.n]
		if x.letters == 0 {
			ls = p.numbers[x.n]
		}
		if s.tryRun(c, ls, x, written[g], false, start, ends[g]) {
			return true
		}
	}
	return false
}

// plainWord reports whether w is a word of a sentence: lower-case letters, more
// than two.
func plainWord(w []byte) bool {
	for _, b := range w {
		if byteClass[b]&isLower == 0 {
			return false
		}
	}
	return len(w) > 2
}

func joins(b byte) bool { return b == ' ' || b == '-' || b == '.' }

func digitIn(b []byte) bool {
	for _, x := range b {
		if x-'0' < 10 {
			return true
		}
	}
	return false
}
