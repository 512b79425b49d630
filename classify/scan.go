package classify

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

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
// Its cost is linear: the lanes of each byte, and at a candidate work bounded
// by constants.
func (s *Scratch) scan(c *candidate) {
	l := &s.layout
	s.keyed = c.keyOpens(s.plan.gates)
	s.done = done{}
	for at := 0; at < len(c.text); {
		end := l.cover(at)
		s.nearby.told = [len(s.nearby.told)]uint64{}
		for ; at < end; at += 64 {
			if s.block(c, at); s.work > s.maxWork {
				return
			}
		}
	}
}

// done is up to where in a text places of each kind were looked at.
type done struct {
	run, digits, literal int
	uuid                 int    // where the last UUID begins, and
	spared               uint64 // which of its places need no look
	unnamed              int    // no name of a secret ends before it, as far as one counts
	word                 [2]int // the word last asked for
}

// spares reports whether text[i] is in a group of a UUID that needs no look.
func (d *done) spares(i int) bool { return uint(i-d.uuid) < 64 && d.spared>>(i-d.uuid)&1 != 0 }

// block looks at the candidates that begin among the 64 bytes from text[at] on,
// word by word.
func (s *Scratch) block(c *candidate, at int) {
	l := &s.layout
	k := (at - l.from) >> 6
	b, next := &l.blocks[k], &l.blocks[k+1]
	words := ^b[laneBreak]
	if words == 0 {
		return
	}
	c.turns += 8 // one for each eight bytes
	before := &endBlock
	if k > 0 {
		before = &l.blocks[k-1]
	}
	literals := uint64(0)
	for x := words &^ (b[laneAlnum]<<1 | before[laneAlnum]>>63); x != 0; x &= x - 1 {
		if s.literalAt(c.text, at+bits.TrailingZeros64(x)) {
			literals |= x & -x
		}
	}
	tokens := b.long(laneToken, next) &^ (b[laneToken]<<1 | before[laneToken]>>63)
	carried := words & (^before[laneBreak] >> 63) // a word that began before this block
	digits := b[laneDigit]
	if digits != 0 {
		digits = s.rows(k)
	}
	for x := literals | tokens | b[laneMark] | digits | carried; x != 0; {
		i := bits.TrailingZeros64(x)
		n := i + bits.TrailingZeros64(b[laneBreak]>>i) // where the word ends
		here := ^uint64(0) << i
		if n < 64 {
			here &= 1<<n - 1
		}
		x &^= here
		if b[laneMark]&here != 0 {
			s.urls(c, at, b[laneMark]&here)
		}
		for y := tokens & here; y != 0; y &= y - 1 {
			s.token(c, at+bits.TrailingZeros64(y))
		}
		for y := (literals | b[laneMark] | digits) & here; y != 0; y &= y - 1 {
			j := at + bits.TrailingZeros64(y)
			if literals&y&-y != 0 && j >= s.done.literal {
				s.literalFrom(c, j)
			}
			switch {
			case b[laneMark]&y&-y != 0:
				s.mark(c, j)
			case digits&y&-y != 0 && j >= s.done.run && !s.done.spares(j):
				s.run(c, l.begin(alnumRun, j), l.end(alnumRun, j))
			}
		}
		if n < 64 || next[laneBreak]&1 != 0 {
			from := 64 - bits.LeadingZeros64(b[laneBreak]&(1<<i-1))
			signs := words &^ b[laneAlnum] & (here | (1<<i - 1)) >> from << from
			if from == 0 && carried != 0 {
				if signs != 0 || before.tailSigned() {
					s.signs(c, l.begin(wordRun, at), at+min(n, 64))
				}
			} else if signs&(signs-1) != 0 && (b[laneDigit]|b[laneMark])&here != 0 {
				s.signs(c, at+from, at+min(n, 64))
			}
		}
	}
}

// minToken is the shortest run that onToken starts, minMixed where it holds
// both letters and digits.
const (
	minToken = 16
	minMixed = 8
)

// long returns where minMixed places of a lane stand in a row.
func (b *block) long(k lane, next *block) uint64 {
	x, y := b[k], next[k]
	for n := 1; n < minMixed; n *= 2 {
		x &= x>>n | y<<(64-n)
		y &= y >> n
	}
	return x
}

// literalAt reports whether a literal may begin at text[i].
func (s *Scratch) literalAt(t []byte, i int) bool {
	if i+4 > len(t) {
		if i+3 > len(t) {
			return false
		}
		return s.plan.opening.has(uint32(t[i]) | uint32(t[i+1])<<8 | uint32(t[i+2])<<16)
	}
	return s.plan.opening.has(binary.LittleEndian.Uint32(t[i:]) & 0xffffff)
}

// word returns the word that text[i] is in.
func (s *Scratch) word(i int) (from, to int) {
	w := &s.done.word
	if i < w[0] || i >= w[1] {
		w[0], w[1] = s.layout.begin(wordRun, i), s.layout.end(wordRun, i)
	}
	return w[0], w[1]
}

// literalFrom starts the detectors one of whose literals begins at text[i].
// Inside a word, one is sought only where the word is long or holds a digit or
// a mark.
func (s *Scratch) literalFrom(c *candidate, i int) {
	t := c.text
	from, to := s.word(i)
	if i > from && to-from < minToken && !s.literalAt(t, from) {
		m := uint8(0)
		for _, b := range t[from:to] {
			m |= byteClass[b]
		}
		if m&(isDigit|isAt|isColon|isEquals) == 0 {
			return
		}
	}
	s.literal(c, i, to)
}

// urls starts detectors at a word with "://" in it; marks are some of its places
// behind text[at].
func (s *Scratch) urls(c *candidate, at int, marks uint64) {
	t := c.text
	for ; marks != 0; marks &= marks - 1 {
		i := at + bits.TrailingZeros64(marks)
		if t[i] != ':' || i+2 >= len(t) || t[i+1] != '/' || t[i+2] != '/' {
			continue
		}
		if from, to := s.word(i); !bytes.Contains(t[from:i+2], []byte("://")) { // it is the first
			s.try(c, s.plan.url, from, to)
		}
		return
	}
}

// mark looks at an '@', a colon or an equals sign at text[i].
func (s *Scratch) mark(c *candidate, i int) {
	if c.text[i] == '@' {
		s.at(c, i)
	} else {
		s.assign(c, i)
	}
}

// token starts detectors at a long run of what keys and encodings are made of.
func (s *Scratch) token(c *candidate, i int) {
	l := &s.layout
	j := l.end(tokenRun, i)
	digit, upper, lower := false, false, false
	for k := i; k < j; k += 64 {
		if k >= l.to {
			for _, b := range c.text[k:j] {
				digit, upper, lower = digit || byteClass[b]&isDigit != 0, upper || byteClass[b]&isUpper != 0, lower || byteClass[b]&isLower != 0
			}
			break
		}
		here := ^uint64(0) >> max(0, 64-(j-k))
		x, y := l.at(laneDigit, k)&here, l.at(laneUpper, k)&here
		digit, upper, lower = digit || x != 0, upper || y != 0, lower || l.at(laneAlnum, k)&here&^x&^y != 0
	}
	if j-i == uuidBytes {
		s.spare(c.text, i)
	}
	if j-i >= minToken && (digit || upper && lower) || digit && (upper || lower) {
		s.tokens(c, i, j)
	}
}

// tailSigned reports whether a sign may stand in the part of a word that ends a
// block.
func (b *block) tailSigned() bool {
	n := bits.LeadingZeros64(b[laneBreak])
	return n == 64 || n > 0 && ^b[laneAlnum]>>(64-n) != 0
}

// signs looks at a word of letters, digits and signs. Addresses with dots,
// colons or dashes between their parts have two of them, or five.
func (s *Scratch) signs(c *candidate, from, to int) {
	dots, colons, dashes, told := 0, 0, 0, false
	for _, b := range c.text[from:to] {
		switch b {
		case '.':
			dots++
		case ':':
			colons++
		case '-':
			dashes++
		}
		told = told || byteClass[b]&(isDigit|isColon) != 0
	}
	if told && (dots >= 2 || colons >= 2 || dashes >= 5) {
		s.separated(c, from, to)
	}
}

// run looks at the run of letters and digits text[from:to], at least one digit.
func (s *Scratch) run(c *candidate, from, to int) {
	t, l, p := c.text, &s.layout, s.plan
	s.done.run = to
	r := shape{n: to - from}
	if r.n > maxPlanned {
		return // nothing is so long
	}
	if from >= l.from {
		r.letters = (l.at(laneAlnum, from) &^ l.at(laneDigit, from)) & (^uint64(0) >> (64 - r.n))
		if r.letters&(r.letters>>1) != 0 {
			upper := l.at(laneUpper, from)
			r.mixed = r.letters&(r.letters>>1)&(upper^upper>>1) != 0
		}
	} else {
		r.read(t[from:to])
	}
	c.start, c.end = from, to
	foreign := from > 0 && t[from-1] >= 0x80 // what stands before may belong to it
	groups := min(uint64(r.n), 15)
	if foreign || s.passes(c, p.sieve.word[r.n][r.letters&(1<<patternPlaces-1)], p.word[r.n], r) {
		s.tryRun(c, p.word[r.n], r, groups, true, from, to)
	}
	if r.letters == 0 && from >= s.done.digits && !insideDigits(t, from) {
		if c.start, c.end = from, to; s.groupsPass(c, from, to) {
			s.done.digits = s.digitGroups(c, from, to)
		}
	}
	if p.anyWords && (p.wordsAny || c.context().meets(p.wordsFor)) {
		if c.start, c.end = from, to; s.wordsPass(c, from, to, r) {
			s.wordGroups(c, from, to, r)
		}
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
func (s *Scratch) at(c *candidate, i int) {
	t := c.text
	a, b := i, i+1
	for a > 0 && i-a < 64 && (byteClass[t[a-1]]&isAlnum != 0 || mailLocal(t[a-1])) {
		a--
	}
	for b < len(t) && b-i < 255 && (byteClass[t[b]]&isAlnum != 0 || t[b] == '.' || t[b] == '-') {
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
func (s *Scratch) separated(c *candidate, from, to int) {
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

// tokenByte reports whether b is of what keys and encodings are made of.
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
				s.done.literal = m.end // what it covers needs no second look
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
