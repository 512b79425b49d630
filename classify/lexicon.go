package classify

import "encoding/binary"

// lexicon is words and what they mean, for look-ups of which most fail: a miss
// costs one multiplication and one load. Immutable once it is made.
type lexicon[V any] struct {
	slots  []slot // open addressing; a power of two, at most a quarter in use
	shift  uint
	words  []string
	values []V
}

// slot is a place of a lexicon. The zero value is free.
type slot struct {
	tag  uint16 // of the word's hash
	word uint16 // index into words, plus 1
}

func newLexicon[V any](words map[string]V) *lexicon[V] {
	l := &lexicon[V]{shift: 64 - 4}
	n := 16
	for n < 4*len(words) {
		n, l.shift = 2*n, l.shift-1
	}
	l.slots = make([]slot, n)
	for w, v := range words {
		l.words, l.values = append(l.words, w), append(l.values, v)
		h := wordHash([]byte(w))
		i := int(h >> l.shift)
		for l.slots[i].word != 0 {
			i = (i + 1) & (n - 1)
		}
		l.slots[i] = slot{tag: uint16(h), word: uint16(len(l.words))}
	}
	return l
}

// look returns what w means; ok: it is in the lexicon.
func (l *lexicon[V]) look(w []byte) (v V, ok bool) {
	h := wordHash(w)
	for i := int(h >> l.shift); ; i = (i + 1) & (len(l.slots) - 1) {
		s := l.slots[i]
		if s.word == 0 {
			return v, false
		}
		if s.tag == uint16(h) && l.words[s.word-1] == string(w) {
			return l.values[s.word-1], true
		}
	}
}

// has reports whether w is in the lexicon.
func (l *lexicon[V]) has(w []byte) bool {
	_, ok := l.look(w)
	return ok
}

// wordHash mixes a word's length with its first and last four bytes: words of a
// dictionary seldom agree in all of them, and that they do costs a comparison.
func wordHash(w []byte) uint64 {
	var a, b uint32
	switch n := len(w); {
	case n >= 4:
		a, b = binary.LittleEndian.Uint32(w), binary.LittleEndian.Uint32(w[n-4:])
	case n > 0:
		a, b = uint32(w[0])|uint32(w[n/2])<<8|uint32(w[n-1])<<16, 0
	}
	h := (uint64(a) ^ uint64(b)<<32 ^ uint64(len(w))<<27) * 0x9E3779B97F4A7C15
	return h ^ h>>32
}
