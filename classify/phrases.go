package classify

import "encoding/binary"

// sureBytes is the longest word that sure reads.
const sureBytes = 24

// sure returns which of the gates the word text[i:j], or a phrase that begins in
// it, opens indeed: the three letters that told are those of many other words.
// What it does not read opens what they say.
func (p *plan) sure(t []byte, i, j int, says opening) opening {
	if j-i > sureBytes || i > 0 && t[i-1] >= 0x80 || j < len(t) && t[j] >= 0x80 {
		return says
	}
	within := uint8(0)
	for _, b := range t[i+1 : j] {
		within |= byteClass[b]
	}
	plain := within&(isUpper|isDigit|isBreak) == 0 // small letters, but for the first
	if within&isUpper != 0 && within&isDigit != 0 {
		return says // it is of a key, as a rule, and has many parts to read
	}
	var near senses
	switch {
	case plain && !p.phrases.has(t[i:j-1], t[j-1]):
		return 0
	case plain && !p.goesOn(t, j, t[i:j]):
		var low [sureBytes]byte
		near = p.dict.look(lowered(low[:0], t[i:j]))
	default:
		end := phraseEnd(t, i, j)
		if !isASCII(t[i:min(end+1, len(t))]) {
			return says
		}
		near = p.means(t[i:j], t[i:end])
	}
	said, opens := lookHint(t[i:j]), opening(0)
	for g, x := range p.spoken {
		if x.senses.meets(near) || x.hints&said != 0 {
			opens |= 1 << g
		}
	}
	if len(p.spoken) == maxOpenings {
		opens |= says & (1 << (maxOpenings - 1)) // of several groups
	}
	return opens
}

// means is what all phrases mean that begin in a word; text begins with it.
func (p *plan) means(word, text []byte) (near senses) {
	var k keyWords
	k.split(word)
	n := k.n
	k.split(text)
	for i := range n {
		for j := i + 1; j <= min(k.n, i+maxPhrase); j++ {
			near = near.union(p.dict.look(k.phrase(i, j)))
		}
	}
	return near
}

// goesOn reports whether a phrase that opens a gate may begin with the word
// before text[i] and go on behind it.
func (p *plan) goesOn(t []byte, i int, word []byte) bool {
	for ; i < len(t) && !alnum(t[i]); i++ {
		if t[i] == '\n' {
			return false
		}
	}
	return i < len(t) && (t[i] >= 0x80 || p.phrases.has(word, t[i]))
}

// lowered appends letters and digits in lower case.
func lowered(b, w []byte) []byte {
	for _, x := range w {
		b = append(b, x|0x20) // digits have the bit already
	}
	return b
}

// phraseEnd returns where a phrase that begins with the word text[i:j] can end.
func phraseEnd(t []byte, i, j int) int {
	end, high := j, min(len(t), i+beforeBytes)
	for range maxPhrase - 1 {
		k := end
		for k < high && !alnum(t[k]) && t[k] != '\n' {
			k++
		}
		from := k
		for k < high && alnum(t[k]) {
			k++
		}
		if k == from {
			break
		}
		end = k
	}
	return end
}

// phrases is a set of how words and phrases begin, all of their beginnings, up
// to what is not ASCII. It may hold some that nobody added.
type phrases [1 << 17 / 64]uint64

func (p *phrases) add(w string) {
	for n := 0; n < len(w) && w[n] < 0x80; n++ {
		h := foldedHash([]byte(w[:n]), w[n])
		p[h>>6] |= 1 << (h & 63)
	}
}

// has reports whether one may begin with the letters and digits w and next,
// whatever their case.
func (p *phrases) has(w []byte, next byte) bool {
	h := foldedHash(w, next)
	return p[h>>6]>>(h&63)&1 != 0
}

// foldedHash is 17 bits of a hash of letters and digits, whatever their case:
// the bit that makes letters small is set in digits.
func foldedHash(w []byte, next byte) uint64 {
	var a, b uint32
	switch n := len(w); {
	case n >= 4:
		a, b = binary.LittleEndian.Uint32(w)|0x20202020, binary.LittleEndian.Uint32(w[n-4:])|0x20202020
	case n > 0:
		a = uint32(w[0]|0x20) | uint32(w[n/2]|0x20)<<8 | uint32(w[n-1]|0x20)<<16
	}
	h := (uint64(a) ^ uint64(b)<<32 ^ uint64(len(w))<<27) * 0x9E3779B97F4A7C15
	return (h ^ h>>32 ^ uint64(next|0x20)) * 0x9E3779B97F4A7C15 >> 47
}
