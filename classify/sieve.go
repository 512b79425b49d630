package classify

import "math/bits"

// The sieve lets through the few runs of a text that any detector could match.
// It answers by tables that are made from the detectors' own shapes and gates,
// so that a run that nothing can match, most of those in columns of numbers,
// dumps and keys, costs a look at each table. Like the gates, it may let through
// what nothing matches, but never the other way round.

// need is what the detectors that can match a run by its shape wait for: a set of
// bits. Without any of them, no detector can.
type need uint8

const (
	needNothing need = 1 << iota // one of them starts anywhere
	needSpoken                   // where somebody may be speaking
	needLead                     // behind a leading 0
	needAmid                     // beside what can be part of an address
	needNear                     // near a word, or under a key, that opens its gate
)

// patternPlaces is how many of a run's first places its pattern tells: which of
// them are letters.
const patternPlaces = 8

type sieve struct {
	word   [maxPlanned + 1][1 << patternPlaces]need // runs by length and pattern: onWord
	single [maxWords + 1][1 << patternPlaces]need   // the same: onWords at one word
	digits [maxDigits + 1]need                      // digits in one piece: onDigits
	// How words in a row can begin, by the length of the first (8: that or
	// longer), the pattern up to the first place of the next, and whether that
	// is a small letter.
	begin  [patternPlaces + 1][1 << patternPlaces][2]begin
	lonely bool // every detector of digits in groups is lonely: see gate
	lead   int  // the least of the lead of any of them
	plain  bool // numbers open no gate by themselves
}

// begin says what words in a row that begin so can start: a set of bits.
type begin uint8

const (
	beginAny     begin = 1 << iota // a detector without a gate
	beginPrinted                   // one that knows how they are printed
	beginNear                      // one that words near open
)

func newSieve(p *plan, ds []detector) *sieve {
	v := &sieve{lonely: !p.digitWays.any, lead: maxDigits + 1, plain: p.opens.alone([]byte("0")) == 0}
	for n := range v.word {
		for x := range 1 << min(n, patternPlaces) {
			v.word[n][x] = p.word[n].need(n, uint64(x))
		}
	}
	for n := range v.single {
		for x := range 1 << min(n, patternPlaces) {
			v.single[n][x] = p.single[n].need(n, uint64(x))
		}
		v.single[n][0] = p.singles[n].need(n, 0)
	}
	for n := range v.digits {
		v.digits[n] = p.digits[n].need(n, 0)
	}
	for i := range ds {
		d := &ds[i]
		if d.on&(onDigits|onWords) != 0 && d.gate != nil && (d.gate.lead > 0 || len(d.gate.groups) > 0) && !d.gate.lonely {
			v.lonely = false
		}
		if k := d.gate; d.on&onDigits != 0 && k != nil && k.lead > 0 {
			v.lead = min(v.lead, k.lead)
		}
		if d.on&onWords != 0 {
			v.begins(d)
		}
	}
	return v
}

// need is what the detectors of lists wait for that can match a run of n places
// of which those of the pattern are letters.
func (ls lists) need(n int, pattern uint64) (x need) {
	known := uint64(1)<<min(n, patternPlaces) - 1
	for i := range ls {
		l := &ls[i]
		ids := l.free
		for k := range l.shapes {
			if w := &l.shapes[k]; (pattern^w.letters)&w.care&known == 0 && n-bits.OnesCount64(pattern) >= w.digits {
				ids |= w.ids
			}
		}
		open := l.open | l.plain
		for _, w := range l.printed {
			if w.groups == min(uint64(n), 15) {
				open |= w.ids
			}
		}
		for i, set := range [...]uint64{open, l.spoken, l.leading, l.amid, l.near} { // in the order of need
			if ids&set != 0 {
				x |= needNothing << i
			}
		}
	}
	return x
}

// begins notes how runs of a detector of words in a row can begin.
func (v *sieve) begins(d *detector) {
	shapes := []shapeWanted{{}}
	if len(d.shapes) > 0 {
		shapes = shapes[:0]
		for _, s := range d.shapes {
			w, _ := readShape(s, max(len(s), 64))
			shapes = append(shapes, w)
		}
	}
	for n := 1; n <= patternPlaces; n++ {
		can := beginAny
		if k := d.gate; k != nil {
			can = 0
			for _, g := range k.groups {
				for g > 15 {
					g >>= 4
				}
				if int(g) == n || int(g) > n && n == patternPlaces {
					can |= beginPrinted
				}
			}
			if !k.senses.empty() || k.words|k.after != 0 {
				can |= beginNear
			}
		}
		known := uint64(1)<<min(n+1, patternPlaces) - 1
		for x := range uint64(1 << patternPlaces) {
			for _, w := range shapes {
				if (x^w.letters)&w.care&known != 0 {
					continue
				}
				v.begin[n][x][0] |= can
				if n >= patternPlaces || w.capital>>n&1 == 0 {
					v.begin[n][x][1] |= can
				}
			}
		}
	}
}

// passes reports whether one of the detectors of lists that wait for x finds it:
// then the run c.text[c.start:c.end], of shape r, is worth a look.
func (s *Scratch) passes(c *candidate, x need, ls lists, r shape) bool {
	switch {
	case x == 0:
		return false
	case x&needNothing != 0 && !r.mixed,
		x&needLead != 0 && c.text[c.start] == '0',
		x&needAmid != 0 && c.amidStreet(),
		x&needSpoken != 0 && !r.mixed && c.spoken():
		return true
	}
	near := opening(0)
	for i := range ls { // all of the shape, not its first places alone
		l := &ls[i]
		ids := l.of(r)
		if r.mixed && ids&l.sole != 0 {
			return true
		}
		if ids&l.near != 0 {
			near |= l.groups
		}
	}
	return near != 0 && s.opens(c, c.start, s.plan.span(near))
}

// opens reports whether the key or a word near what begins at text[i] may open a
// gate of a span.
func (s *Scratch) opens(c *candidate, i int, of span) bool {
	return s.keyed || !s.calm(c.text, i, of)
}

// groupsPass reports whether digits in groups, the first of which is text[i:j],
// are worth a look.
func (s *Scratch) groupsPass(c *candidate, i, j int) bool {
	t, l, p := c.text, &s.layout, s.plan
	if p.digitWays.any || i > 0 && (t[i-1] == '+' || t[i-1] == '(' || t[i-1] >= 0x80) {
		return true
	}
	var sep byte
	k, n := nextGroup(t, j, &sep, true), j-i
	if n >= minDigits && n <= maxDigits && s.passes(c, p.sieve.digits[n], p.digits[n], shape{n: n}) {
		return true
	}
	if k == j {
		return false
	}
	if i >= 2 && t[i-1] == ' ' && byteClass[t[i-2]]&isDigit != 0 && p.sieve.lonely && l.spaced(i) {
		return s.opens(c, i, spanAll) // what is lonely is not here
	}
	// Further groups, until there are digits enough, and they are printed as
	// one of the ways says, or as none and too many to be few.
	node, ends := p.digitWays.nodes[firstWay].next[min(n, 15)], false
	for {
		ends = ends || p.digitWays.nodes[node].ends
		if n >= minDigits && ends || t[i] == '0' && n >= p.sieve.lead {
			return true
		}
		if k == j || n >= minDigits && node == 0 && t[i] != '0' && (n >= longRun || s.nearby.calm[spanAll].holds(i)) {
			break
		}
		j = l.end(digitRun, k)
		n += j - k
		node = p.digitWays.nodes[node].next[min(j-k, 15)]
		k = nextGroup(t, j, &sep, true)
	}
	of := spanAll
	if k == j && n < longRun {
		of = spanShort
	}
	return n >= minDigits && s.opens(c, i, of)
}

// spaced reports whether the digits from text[i] on, as far as a number can go,
// have single spaces between them and nothing else.
func (l *layout) spaced(i int) bool {
	spaces := l.at(laneSpace, i)
	n := bits.TrailingZeros64(^(l.at(laneDigit, i) | spaces))
	if n < 64 {
		if spaces&(spaces>>1)<<(64-n) != 0 {
			return false
		}
		switch i += n; {
		case i >= len(l.text):
		case l.text[i] == '-', l.text[i] == '/', l.text[i] == '(', l.text[i] == ')':
			return false
		case l.text[i] == '.': // it mixes with no space, but may be the first
			return spaces<<(64-n) != 0 && spaces>>(n-1)&1 == 0
		}
		return true
	}
	return spaces&(spaces>>1) == 0
}

// wordsPass reports whether words in a row, of which text[i:j] is one, are worth
// a look; r is its shape.
func (s *Scratch) wordsPass(c *candidate, i, j int, r shape) bool {
	t, v := c.text, s.plan.sieve
	if i > 0 && t[i-1] >= 0x80 {
		return true
	}
	if i >= 2 && joins(t[i-1]) && byteClass[t[i-2]]&isAlnum != 0 {
		if s.leads(i - 1) {
			return !digitIn(t[s.layout.begin(alnumRun, i-1) : i-1]) // that word started it, or it may begin with that word
		}
	}
	pattern := r.letters & (1<<patternPlaces - 1)
	if r.n <= maxWords && s.passes(c, v.single[r.n][pattern], s.plan.singleOf(r), r) {
		return true
	}
	if j+1 >= len(t) || !joins(t[j]) || byteClass[t[j+1]]&isAlnum == 0 {
		return false
	}
	if !s.layout.rowOfWords(i, r.n, s.plan.minWords) {
		return false
	}
	small := 0
	if k := byteClass[t[j+1]]; r.n < patternPlaces {
		pattern |= uint64(k/isLower|k/isUpper) & 1 << r.n
		small = int(k / isLower & 1)
	}
	x := v.begin[min(r.n, patternPlaces)][pattern][small]
	switch {
	case x&beginAny != 0,
		x&beginPrinted != 0 && (s.plan.wordWays.any || s.plan.wordWays.leads(t, i)):
		return true
	}
	return x&beginNear != 0 && s.opens(c, i, s.plan.span(s.plan.wordOpens))
}

// rowOfWords reports whether the words in a row from text[i] on, the first of n
// letters and digits, may hold as many as least: a word of a sentence ends them.
func (l *layout) rowOfWords(i, n, least int) bool {
	for i += n; n < least; {
		if i+1 >= len(l.text) || !joins(l.text[i]) || byteClass[l.text[i+1]]&isAlnum == 0 {
			return false
		}
		j := l.end(alnumRun, i+1)
		if plainWord(l.text[i+1 : j]) {
			return false
		}
		n, i = n+j-i-1, j
	}
	return true
}

// rows returns the digits of a block, the k-th, that are worth a look: not those
// of short numbers in a row, each a space behind the one before, where there are
// numbers and dots and nothing else. No words are near, no one speaks there, and
// in groups with spaces nothing is found beside further digits.
func (s *Scratch) rows(k int) uint64 {
	l, v := &s.layout, s.plan.sieve
	b, digits := &l.blocks[k], l.blocks[k][laneDigit]
	const edge = 128 // where a text begins and ends, someone may speak
	at := l.from + 64*k
	if !v.lonely || !v.plain || s.keyed || at < edge || at+64+edge > len(l.text) {
		return digits
	}
	next, before := &l.blocks[k+1], &l.blocks[k-1]
	row := digits &^ (digits<<1 | before[laneDigit]>>63) &
		(b[laneSpace]<<1 | before[laneSpace]>>63) & (digits<<2 | before[laneDigit]>>62)
	if row&(row-1) == 0 || l.unlettered(at) < at+64 {
		return digits
	}
	for _, x := range [...]*block{b, next} {
		if x[laneSpace]&(x[laneSpace]<<1) != 0 {
			return digits
		}
	}
	if b[laneSpace]>>63&next[laneSpace] != 0 {
		return digits
	}
	var dots [2]uint64
	for i, x := range [...]*block{b, next} {
		for y := ^(x[laneDigit] | x[laneSpace]); y != 0; y &= y - 1 {
			j := at + 64*i + bits.TrailingZeros64(y)
			if t := l.text[j]; t != '\n' && (t != '.' || byteClass[l.text[j-1]]&isDigit == 0) {
				return digits
			} else if t == '.' {
				dots[i] |= y & -y
			}
		}
	}
	// What has ten digits may be something by itself.
	x, y := digits, next[laneDigit]
	for _, n := range [...]int{1, 2, 4, 2} {
		x &= x>>n | y<<(64-n)
		y &= y >> n
	}
	row &^= x
	// Nor is what a dot goes on.
	for y := digits & (dots[0]>>1 | dots[1]<<63); y != 0 && row != 0; y &= y - 1 {
		row &^= 1 << (63 - bits.LeadingZeros64(row&(y^(y-1))|1))
	}
	return digits & (digits + row)
}
