package classify

import "math/bits"

// calm is what is known of the gates of one span.
type calm struct {
	gate     uint32 // the last word that may open one, plus 1
	from, to int    // no word near what begins between these opens one
}

func (k *calm) holds(i int) bool { return i >= k.from && i < k.to }

// A span is the gates of all detectors of runs, or of those that runs of fewer
// than longRun letters and digits may match: words that name devices and cards
// are frequent, and no date is as long as their numbers.
type span uint8

const (
	spanAll span = iota
	spanShort
	spans

	longRun = 12
)

// span is the least that has all of the gates.
func (p *plan) span(gates opening) span {
	if gates&^p.spans[spanShort] == 0 {
		return spanShort
	}
	return spanAll
}

// calm reports whether no word near a run that begins at text[i] may open a
// gate of a span: none of those before it, in it and behind it. It may report
// false where that is so.
func (s *Scratch) calm(t []byte, i int, of span) bool {
	w, l, p := &s.nearby, &s.layout, s.plan
	k := &w.calm[of]
	if k.holds(i) {
		return true
	}
	if to := w.quiet(l, p, i, p.spans[of]); to > i {
		k.from, k.to = i, to
		return true
	}
	w.seek(l, p, i)
	for w.n < w.cur+wordsBehind && w.read(l, p) {
	}
	if k.gate > 0 && k.gate+hintReach > w.cur {
		return false
	}
	for w.n < w.cur+nearbyWords/2 && k.gate <= w.cur && w.read(l, p) {
	}
	last := w.n - min(w.n, 2) // the first word that may open a gate, or is not known: with the next it may
	switch {
	case k.gate > w.cur:
		last = k.gate - 1
	case w.at == len(t):
		k.from, k.to = i, len(t)
		return true
	}
	k.from, k.to = i, i+1
	if last > w.cur+wordsBehind {
		k.to = int(w.word(last-wordsBehind).start) + 1
	}
	return true
}

// wordsBehind is how many words from the beginning of a run on may belong to it
// or tell something of it.
const wordsBehind = maxWordGroups + hintReach + 2

// How many blocks before and behind the one in which a run begins hold the words
// that can open a gate for it: what is cut by their edge is longer than a word
// of the dictionary.
const (
	quietBehind = hintBytes/64 + 1
	quietAhead  = (hintBytes+96)/64 + 1 // 96: the longest run in groups, with what stands between
)

var _ = [1]struct{}{}[max(0, quietBehind-layoutBehind, quietAhead-layoutAhead)] // the layout holds them

// quiet returns up to where no block near the runs from text[i] on holds a word
// that opens one of the gates; i: one does, or is not known.
func (w *nearby) quiet(l *layout, p *plan, i int, gates opening) int {
	k := (i - l.from) >> 6
	j := k - quietBehind
	if j < 0 {
		if l.from > 0 {
			return i
		}
		j = 0
	}
	for ; l.from+64*j < l.to && w.opensIn(l, p, j)&gates == 0; j++ {
	}
	if l.from+64*j >= len(l.text) {
		return len(l.text)
	}
	return l.from + 64*(j-quietAhead)
}

// opensIn returns which gates the words that begin in the block may open.
func (w *nearby) opensIn(l *layout, p *plan, k int) opening {
	if w.told[k>>6]>>(k&63)&1 != 0 {
		return w.blocks[k]
	}
	w.told[k>>6] |= 1 << (k & 63)
	w.turns += 8
	b, at, says := &l.blocks[k], l.from+64*k, opening(0)
	before, next := &endBlock, &l.blocks[k+1]
	if k > 0 {
		before = &l.blocks[k-1]
	}
	words := b[laneAlnum] &^ (b[laneAlnum]<<1 | before[laneAlnum]>>63)
	if letters := b[laneAlnum] &^ b[laneDigit]; letters&(b[laneDigit]<<1) == 0 && b[laneDigit]>>63&next[laneAlnum]&^next[laneDigit] == 0 {
		words &^= b[laneDigit] // they are numbers
	}
	if b[laneWide] != 0 || k == 0 && at > 0 || !p.sieve.plain {
		words, says = 0, opensAll
	}
	for ; words != 0; words &= words - 1 {
		if says |= p.opensAt(l, at+bits.TrailingZeros64(words)); says&p.spans[spanShort] != 0 {
			says = opensAll // what else there is does not matter
			break
		}
	}
	w.blocks[k] = says
	return says
}

// opensAt returns which gates the word that begins at text[i] may open, or a
// phrase that begins in it.
func (p *plan) opensAt(l *layout, i int) opening {
	t, word := l.text, l.at(laneAlnum, i)
	n := bits.TrailingZeros64(^word)
	if n > longestHint || i+n+1 >= len(t) {
		return opensAll
	}
	here := uint64(1)<<n - 1
	letters, says := here&^l.at(laneDigit, i), opening(0)
	switch small := l.at(laneUpper, i)&here&^1 == 0; {
	case letters == 0:
		return 0
	case letters>>2 != 0 && small: // as most words are
		says = p.opens[letterCode[t[i]]|letterCode[t[i+1]]<<5|letterCode[t[i+2]]<<10]
	case n <= 2 && p.goesOn(t, i+n, t[i:i+n]):
		says = opensAll
	default:
		says = p.opensBy(t, i, i+n)
	}
	if says == 0 {
		return 0
	}
	return p.sure(t, i, i+n, says)
}
