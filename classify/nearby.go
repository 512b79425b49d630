package classify

import "math/bits"

// nearby is the words of a text around the place that is looked at, and which
// gates each may open: whether any word near a run does is known for the price
// of looking at each word of the text once. Only where one may, the run's
// surroundings are read in full: see candidate.before, hintsBefore, hintsAfter.
type nearby struct {
	words    [nearbyWords]nearWord // a ring
	n        uint32                // words read so far; the last of them are in the ring
	cur      uint32                // the word looked for last
	at       int                   // up to where the text was read
	line     bool                  // a line ended since the last word
	turns    int                   // words read in this document, long ones several times
	one, two onset                 // the last word, the last two, where they may begin a phrase in one with the next
	calm     [spans]calm
	told     [layoutBlocks/64 + 1]uint64 // of which blocks of the layout it is known
	blocks   [layoutBlocks + 1]opening   // what their words open
}

const nearbyWords = 64

type nearWord struct {
	start, end uint32
	opens      opening
	line       bool // it is the first of its line
}

func (w *nearby) word(k uint32) *nearWord { return &w.words[k%nearbyWords] }

// opening is a set of groups of gates.
type opening uint16

const (
	maxOpenings = 16
	opensAll    = 1<<maxOpenings - 1
)

// openings is, by the first three letters of a word or phrase, which groups of
// gates one that begins so may open.
type openings [1 << 15]opening

// letterCode packs bytes of words in five bits: letters whatever their case,
// all digits as one.
var letterCode = func() (t [256]uint16) {
	for b := range t {
		switch {
		case byteClass[b]&isLetter != 0:
			t[b] = uint16(b|0x20) - 'a' + 1
		case byteClass[b]&isDigit != 0:
			t[b] = 27
		case b >= 0x80:
			t[b] = 28
		}
	}
	return t
}()

// lastCode stands behind what is shorter than three letters.
const lastCode = 29

// onset is what a word begins with: up to three letters, packed.
type onset struct {
	code uint16
	n    int
}

func (b onset) join(w []byte) onset {
	for i := 0; i < len(w) && b.n < 3; i++ {
		b.code |= letterCode[w[i]] << (5 * b.n)
		b.n++
	}
	return b
}

// alone returns which gates a word opens that is w or begins with its three
// letters.
func (o *openings) alone(w []byte) opening {
	b := onset{}.join(w)
	if b.n < 3 {
		b.code |= lastCode << (5 * b.n)
	}
	return o[b.code]
}

// add notes that a word opens gates.
func (o *openings) add(w string, gates opening) {
	b := onset{}.join([]byte(w))
	if b.n < 3 {
		b.code |= lastCode << (5 * b.n)
	}
	o[b.code] |= gates
}

// of returns which gates a run of letters and digits may open by itself.
func (o *openings) of(run []byte) opening {
	end := len(run) // digits at the end are no part of a word
	for end > 1 && run[end-1]-'0' <= 9 {
		end--
	}
	if run[0] >= 0x80 {
		return opensAll // letters of another script: whatever they say
	}
	says := o.alone(run[:end])
	for i := 1; i < end; i++ {
		if byteClass[run[i]]&isUpper == 0 {
			if run[i] >= 0x80 {
				return opensAll
			}
			continue
		}
		if says != 0 && len(run) > sureBytes {
			return opensAll // it is of a key, as a rule, and opens most of them
		}
		// A capital may begin a word of its own, and end a short one before.
		says |= o.alone(run[i:end])
		if i >= 2 {
			says |= o.alone(run[i-2 : i])
		}
		says |= o.alone(run[i-1 : i])
	}
	for i := len(run) - longestHint; i > 0; i -= longestHint { // a long run is read in pieces
		says |= o.alone(run[min(i, end):end])
	}
	return says
}

// opensBy returns which gates the run of letters and digits text[i:j] may open
// by itself or as the beginning of a phrase.
func (p *plan) opensBy(t []byte, i, j int) opening {
	if tail := shortTail(t[i:j]); tail > 0 && p.goesOn(t, j, t[j-tail:j]) {
		return opensAll
	}
	return p.opens.of(t[i:j])
}

// shortTail returns how many letters a word has that a capital inside a run
// begins, at the run's end: one or two, which may be one with the next run, or 0.
func shortTail(run []byte) int {
	upper := func(back int) bool { return len(run) > back && byteClass[run[len(run)-1-back]]&isUpper != 0 }
	switch {
	case len(run) < 2 || upper(0) && upper(1) && upper(2): // "INFO"
		return 0
	case upper(1) && len(run) > 2: // "SS" of "iSS", "Hx" of "NHx"
		return 2
	case upper(0):
		return 1
	}
	return 0
}

// reset begins with another text, or at another place of it.
func (w *nearby) reset(at int) {
	w.n, w.cur, w.at, w.line = 0, 0, at, false
	w.calm = [spans]calm{}
	w.one, w.two = onset{}, onset{}
}

// read reads the next word, and reports whether there is one.
func (w *nearby) read(l *layout, p *plan) bool {
	i, j, opens, ok := w.next(l, p)
	if !ok {
		return false
	}
	if w.line {
		w.one, w.two = onset{}, onset{}
	}
	t := l.text
	if w.one.n|w.two.n != 0 { // a phrase may be written in words of its own: id card
		w.phrase(t, i, j, p)
	}
	w.two = onset{}
	if j-i < 3 {
		if w.one.n == 1 && j-i == 1 {
			w.two = w.one.join(t[i:j])
		}
		w.one = onset{}.join(t[i:j])
	} else {
		w.one = onset{}
	}
	if opens != 0 {
		opens = p.sure(t, i, j, opens)
	}
	if opens != 0 {
		w.open(p, w.n, opens)
	}
	*w.word(w.n) = nearWord{start: uint32(i), end: uint32(j), line: w.line, opens: opens}
	w.n, w.at, w.line = w.n+1, j, false
	return true
}

// open notes that word k opens gates.
func (w *nearby) open(p *plan, k uint32, gates opening) {
	for i := range w.calm {
		if gates&p.spans[i] != 0 {
			w.calm[i].gate = max(w.calm[i].gate, k+1)
		}
	}
}

// phrase notes what the next word opens in one with the last two.
func (w *nearby) phrase(t []byte, i, j int, p *plan) {
	for _, b := range [...]onset{w.one, w.two} {
		if b.n == 0 {
			continue
		}
		if b = b.join(t[i:j]); b.n < 3 || p.opens[b.code] == 0 {
			continue
		}
		for k := w.n - 1; k+3 > w.n && k < w.n; k-- { // the words that it may begin in
			x := w.word(k)
			if says := p.sure(t, int(x.start), int(x.end), p.opens[b.code]); says != 0 {
				x.opens |= says
				w.open(p, k, says)
			}
		}
	}
}

// next finds the next word, text[i:j], and which gates it may open by itself.
func (w *nearby) next(l *layout, p *plan) (i, j int, opens opening, ok bool) {
	t := l.text
	if i = w.at; i >= l.from && i+64 <= l.to {
		wide := l.at(laneWide, i)
		all := l.at(laneAlnum, i) | wide
		gap := bits.TrailingZeros64(all)
		if n := bits.TrailingZeros64(^(all >> gap)); gap+n < 64 && n <= longestHint {
			for _, b := range t[i : i+gap] {
				w.line = w.line || b == '\n'
			}
			i += gap
			run := t[i : i+n]
			here := (uint64(1)<<n - 1) << gap
			letters := here &^ l.at(laneDigit, w.at) >> gap
			// As most words are: small letters, but for the first.
			if last := 64 - bits.LeadingZeros64(letters); last >= 3 && (wide|l.at(laneUpper, w.at)&^(1<<gap))&here == 0 {
				return i, i + n, p.opens[letterCode[run[0]]|letterCode[run[1]]<<5|letterCode[run[2]]<<10], true
			}
			if letters == 0 {
				return i, i + n, p.opens.alone(run[:1]), true // a number, whatever its length
			}
			return i, i + n, p.opensBy(t, i, i+n), true
		}
		i = w.at
	}
	for i < len(t) && letterCode[t[i]] == 0 {
		w.line = w.line || t[i] == '\n'
		i++
	}
	if i == len(t) {
		w.at = i
		return i, i, 0, false
	}
	j = i + 1
	for j < len(t) && letterCode[t[j]] != 0 {
		j++
	}
	return i, j, p.opensBy(t, i, j), true
}

// seek moves to the first word that does not begin before text[i]: w.cur, which
// is w.n where there is none.
func (w *nearby) seek(l *layout, p *plan, i int) {
	at := uint32(i)
	if i > w.at+hintBytes || w.n > nearbyWords && at < w.word(w.n+hintReach).start {
		// Far from what is known: read from farther before it than anything counts.
		w.reset(max(0, i-2*hintBytes))
	}
	for w.cur > 0 && w.word(w.cur-1).start >= at {
		w.cur--
	}
	for {
		for w.cur < w.n && w.word(w.cur).start < at {
			w.cur++
		}
		if w.cur < w.n || !w.read(l, p) {
			return
		}
	}
}

// opensBefore returns what the words before text[i] may open.
func (s *Scratch) opensBefore(t []byte, i int) (says opening) {
	w := &s.nearby
	w.seek(&s.layout, s.plan, i)
	line := w.line
	if w.cur < w.n {
		line = w.word(w.cur).line
	}
	if w.cur > 0 && int(w.word(w.cur-1).end) > i {
		line = false // letters of another script touch the run, and are one word with it
	}
	for k := w.cur; k > 0 && k+hintReach > w.cur && !line; k-- {
		x := w.word(k - 1)
		says |= x.opens
		for _, back := range [...]int{beforeBytes, hintBytes} {
			if at := i - back; int(x.start) < at && int(x.end) > at {
				says |= opensAll // it is read from its middle on
			}
		}
		line = x.line
	}
	return says
}

// opensAfter returns what the words behind text[i] may open.
func (s *Scratch) opensAfter(t []byte, i int) (says opening) {
	if i < len(t) && letterCode[t[i]] != 0 {
		return opensAll // a letter of another script touches it
	}
	w := &s.nearby
	w.seek(&s.layout, s.plan, i)
	for k := w.cur; k < w.cur+hintReach && (k < w.n || w.read(&s.layout, s.plan)); k++ {
		x := w.word(k)
		if x.line || int(x.start) >= i+hintBytes {
			break
		}
		says |= x.opens
	}
	return says
}
