package classify

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// tokenSieve says which detectors of tokens could find anything in a run, by
// what the run holds. All of them are asked at once: what it says is a set of
// bits, by their place in the list.
type tokenSieve struct {
	ids    []DetectorID
	open   uint64                 // those without a gate
	begins [1 << beginsBits]uint8 // by the first three bytes of a word in the run: index into sets
	sets   []uint64               // the first is empty
	signs  [256]uint64            // by what else than letters and digits it holds, or stands before it
	holds  []struct {             // by what it holds
		text string
		ids  uint64
	}
	named uint64 // those that want a name of a secret before it
}

const beginsBits = 12

func beginsHash(x uint32) uint32 { return x & 0xffffff * literalHash >> (32 - beginsBits) }

// add takes in a detector, 64 of them at most.
func (v *tokenSieve) add(id DetectorID, g *gate) {
	bit := uint64(1) << len(v.ids)
	v.ids = append(v.ids, id)
	if g == nil {
		v.open |= bit
		return
	}
	for _, w := range g.begins {
		if len(w) >= 3 {
			v.begin(w, bit)
			continue
		}
		for b := range 256 { // two bytes, and any that a key can go on with
			if charsets[b]&(csURL|csPad) != 0 {
				v.begin(w+string(rune(b)), bit)
			}
		}
	}
	for _, b := range []byte(g.signs) {
		v.signs[b] |= bit
	}
	for _, w := range g.holds {
		v.hold(w, bit)
	}
	if g.named {
		v.named |= bit
	}
}

func (v *tokenSieve) begin(w string, bit uint64) {
	i := &v.begins[beginsHash(uint32(w[0])|uint32(w[1])<<8|uint32(w[2])<<16)]
	set := v.sets[*i] | bit
	for k, x := range v.sets {
		if x == set {
			*i = uint8(k)
			return
		}
	}
	*i = uint8(len(v.sets)) // as many as there are combinations of what begins alike: few
	v.sets = append(v.sets, set)
}

func (v *tokenSieve) hold(w string, bit uint64) {
	for i := range v.holds {
		if v.holds[i].text == w {
			v.holds[i].ids |= bit
			return
		}
	}
	v.holds = append(v.holds, struct {
		text string
		ids  uint64
	}{w, bit})
}

// tokens starts the detectors of tokens that could find anything in the run
// text[from:to].
func (s *Scratch) tokens(c *candidate, from, to int) {
	v := &s.plan.tokens
	for ids := s.tokensOf(c, from, to); ids != 0; ids &= ids - 1 {
		s.tryOne(c, v.ids[bits.TrailingZeros64(ids)], from, to)
	}
}

func (s *Scratch) tokensOf(c *candidate, from, to int) uint64 {
	t, l, v := c.text, &s.layout, &s.plan.tokens
	all := uint64(1)<<len(v.ids) - 1
	if to+64 > l.to && l.to < len(t) || from < l.from {
		return all // it is longer than what is laid out
	}
	ids := v.open
	if from > 0 {
		ids |= v.signs[t[from-1]]
	}
	inWord := uint64(0)
	for i := from; i < to; i += 64 {
		here := ^uint64(0) >> max(0, 64-(to-i))
		alnums := l.at(laneAlnum, i) & here
		for x := alnums &^ (alnums<<1 | inWord); x != 0; x &= x - 1 {
			c.turns++
			if j := i + bits.TrailingZeros64(x); j+4 <= len(t) {
				ids |= v.sets[v.begins[beginsHash(binary.LittleEndian.Uint32(t[j:]))]]
			}
		}
		for x := here &^ alnums; x != 0; x &= x - 1 {
			ids |= v.signs[t[i+bits.TrailingZeros64(x)]]
		}
		inWord = alnums >> 63
	}
	for i := range v.holds {
		if w := &v.holds[i]; w.ids&^ids != 0 && bytes.Contains(t[from:to], []byte(w.text)) {
			ids |= w.ids
		}
	}
	if v.named&^ids != 0 && s.mayBeNamed(c, from) {
		ids |= v.named
	}
	return ids
}

// mayBeNamed reports whether a name of a secret may stand before text[i], where
// namedBefore looks for it.
func (s *Scratch) mayBeNamed(c *candidate, i int) bool {
	if c.key.meets(namingSenses) {
		return true
	}
	t, at := c.text, i
	low := max(s.done.unnamed, i-namedBack)
	sign, none := false, true
	for n := 0; n < namedWords; n++ {
		line := false
		for i > low && byteClass[t[i-1]]&isAlnum == 0 && t[i-1] != '_' {
			i--
			switch t[i] {
			case '=', ':', '>', '-', '(', ',':
				sign = true
			case '\n':
				line = true
			}
		}
		if line && n > 0 {
			return false
		}
		end := i
		for i > low && nameByte(t[i-1]) {
			i--
		}
		if i == end {
			break
		}
		if c.dict.endings.may(t[i:end]) {
			if sign || n == 0 {
				return true
			}
			none = false
		}
	}
	if none {
		s.done.unnamed = at // what was looked at does not become a name
	}
	return false
}

var namingSenses = sensesOf([]sense{senseSecret, sensePassword, senseToken})

// nameEndings is how names end that a secret may stand behind: most words are
// told from them by their last letters.
type nameEndings struct {
	three [1 << 15 / 64]uint64 // the last three letters, in letterCode
	two   [1 << 10 / 64]uint64 // words of two letters
	one   uint32               // and of one
}

func (e *nameEndings) add(w string) {
	x, n := uint32(0), 0 // its codes from the last on
	for i := len(w) - 1; i >= 0 && n < 3; i-- {
		if k := uint32(letterCode[w[i]]); k != 0 && (n > 0 || k != uint32(letterCode['0'])) {
			x |= k << (5 * n)
			n++
		}
	}
	switch n {
	case 1:
		e.one |= 1 << x
	case 2:
		e.two[x>>6] |= 1 << (x & 63)
	case 3:
		e.three[x>>6] |= 1 << (x & 63)
	}
}

// may reports whether a name may end in one of the words. Digits at its end
// count for nothing, nor does what stands between its words.
func (e *nameEndings) may(name []byte) bool {
	var last [3]byte // letters or digits, from the last on
	apart := [3]bool{}
	x, n := uint32(0), 0
	for i := len(name) - 1; i >= 0 && n < 3; i-- {
		b := name[i]
		k := uint32(letterCode[b])
		switch {
		case k == 0:
			if n > 0 {
				apart[n-1] = true
			}
			continue
		case n == 0 && byteClass[b]&isDigit != 0:
			continue
		}
		last[n] = b
		x |= k << (5 * n)
		n++
	}
	// A word begins where the case of letters changes, or behind a sign.
	begins := func(i int) bool {
		return n == i+1 || n > i+1 && (apart[i] || byteClass[last[i]]&isUpper != 0 || byteClass[last[i+1]]&isUpper != byteClass[last[i]]&isUpper)
	}
	two := x & (1<<10 - 1)
	return n == 3 && e.three[x>>6]>>(x&63)&1 != 0 ||
		n >= 2 && e.two[two>>6]>>(two&63)&1 != 0 && begins(1) ||
		n >= 1 && e.one>>(x&31)&1 != 0 && begins(0)
}
