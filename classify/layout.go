package classify

import "math/bits"

// A lane is one class of bytes, as a set of bits over the places of a text.
type lane uint8

// The lanes. Eight of them, so that the classes of eight bytes fit one word.
const (
	laneAlnum lane = iota // letters and digits, ASCII
	laneDigit
	laneUpper
	laneBreak // what ends a word
	laneMark  // @ : =
	laneToken // what keys and encodings are made of: see tokenByte
	laneSpace // the space alone
	laneWide  // beyond ASCII
)

// laneBits is, for each byte, its lanes: the lowest bit of byte k for lane k.
var laneBits = func() (t [256]uint64) {
	for b := range t {
		k := byteClass[b]
		for l, in := range map[lane]bool{
			laneAlnum: k&isAlnum != 0,
			laneDigit: k&isDigit != 0,
			laneUpper: k&isUpper != 0,
			laneBreak: k&isBreak != 0,
			laneMark:  k&(isAt|isColon|isEquals) != 0,
			laneToken: tokenByte(byte(b)),
			laneSpace: b == ' ',
			laneWide:  b >= 0x80,
		} {
			if in {
				t[b] |= 1 << (8 * l)
			}
		}
	}
	return t
}()

// block is the lanes of 64 bytes.
type block [8]uint64

// end is what stands behind a text: words end there.
var endBlock = block{laneBreak: ^uint64(0)}

// read sets the lanes of the first 64 bytes of t.
func (b *block) read(t []byte) {
	n := 0
	for ; len(t) >= 8 && n < 8; n++ {
		x := (*[8]byte)(t)
		b[n] = laneBits[x[0]] | laneBits[x[1]]<<1 | laneBits[x[2]]<<2 | laneBits[x[3]]<<3 |
			laneBits[x[4]]<<4 | laneBits[x[5]]<<5 | laneBits[x[6]]<<6 | laneBits[x[7]]<<7
		t = t[8:]
	}
	if n < 8 {
		const nothing = 0xff << (8 * laneBreak) // eight places behind the text
		x := uint64(nothing) << len(t) & nothing
		for i, y := range t {
			x |= laneBits[y] << i
		}
		b[n] = x
		for n++; n < 8; n++ {
			b[n] = nothing
		}
	}
	b.turn()
}

// turn makes of eight words, one for each eight bytes of text with one byte for
// each lane, eight words one for each lane: it transposes a matrix of bytes.
func (b *block) turn() {
	for i := range 4 {
		x := (b[i]>>32 ^ b[i+4]) & 0x00000000FFFFFFFF
		b[i+4] ^= x
		b[i] ^= x << 32
	}
	for _, i := range [4]int{0, 1, 4, 5} {
		x := (b[i]>>16 ^ b[i+2]) & 0x0000FFFF0000FFFF
		b[i+2] ^= x
		b[i] ^= x << 16
	}
	for _, i := range [4]int{0, 2, 4, 6} {
		x := (b[i]>>8 ^ b[i+1]) & 0x00FF00FF00FF00FF
		b[i+1] ^= x
		b[i] ^= x << 8
	}
}

// How many blocks a layout holds, and how many of them stand before and behind
// those that are scanned, so that a look around seldom leaves it.
const (
	layoutBlocks = 72
	layoutBehind = 6
	layoutAhead  = 6
)

// layout is what a piece of a text is made of, place by place.
type layout struct {
	text   []byte
	from   int // where the piece begins: a multiple of 64
	to     int // where what is known ends
	blocks [layoutBlocks + 1]block
}

// reset begins with another text, of which nothing is known.
func (l *layout) reset(t []byte) { l.text, l.from, l.to = t, 0, 0 }

// cover reads the text around a place, a multiple of 64, and returns up to where
// blocks can be scanned from there on.
func (l *layout) cover(at int) int {
	t := l.text
	l.from = max(0, at-64*layoutBehind)
	n := 0
	for i := l.from; i < len(t) && n < layoutBlocks; i += 64 {
		l.blocks[n].read(t[i:])
		n++
	}
	l.blocks[n] = endBlock
	l.to = l.from + 64*n
	if l.to >= len(t) {
		l.to = len(t)
		return len(t)
	}
	return l.to - 64*layoutAhead
}

// at returns a lane's next 64 places from text[i] on, which must be in the
// piece; the last 64 places of a piece that ends before its text read as breaks.
func (l *layout) at(k lane, i int) uint64 {
	i -= l.from
	a, b := &l.blocks[i>>6], &l.blocks[i>>6+1]
	return a[k]>>(i&63) | b[k]<<1<<(^i&63)
}

// A kind of run: places that are in a lane, or with out, those that are not.
type kind struct {
	lane lane
	out  uint64 // all bits, or none
}

var (
	alnumRun = kind{lane: laneAlnum}
	digitRun = kind{lane: laneDigit}
	tokenRun = kind{lane: laneToken}
	wordRun  = kind{lane: laneBreak, out: ^uint64(0)}
)

// holds reports whether a byte is of the kind.
func (k kind) holds(b byte) bool { return (laneBits[b]>>(8*k.lane)^k.out)&1 != 0 }

// end returns the end of the run that text[i] is in, or i where it is in none.
func (l *layout) end(k kind, i int) int {
	for i < l.to {
		n := bits.TrailingZeros64(^(l.at(k.lane, i) ^ k.out))
		if i += n; n < 64 {
			break
		}
	}
	for i >= l.to && i < len(l.text) && k.holds(l.text[i]) {
		i++
	}
	return min(i, len(l.text))
}

// begin returns where the run that ends before text[i] begins.
func (l *layout) begin(k kind, i int) int {
	for i > l.from {
		last := (i - 1 - l.from) & 63
		n := bits.LeadingZeros64(^(l.blocks[(i-1-l.from)>>6][k.lane] ^ k.out) << (63 - last))
		if n <= last {
			return i - n
		}
		i -= last + 1
	}
	for i > 0 && k.holds(l.text[i-1]) {
		i--
	}
	return i
}

// unlettered returns up to where runs from text[i] on have no letter near, as far
// as words near a run are looked for; i: it is not known.
func (l *layout) unlettered(i int) int {
	const reach = hintBytes/64 + 2 // and the run itself
	k := (i - l.from) >> 6
	j := k - reach
	if j < 0 {
		if l.from > 0 {
			return i
		}
		j = 0
	}
	for ; l.from+64*j < l.to; j++ {
		if b := &l.blocks[j]; b[laneAlnum]&^b[laneDigit]|b[laneWide] != 0 {
			break
		}
	}
	if l.from+64*j >= len(l.text) {
		return len(l.text)
	}
	return l.from + 64*(j-reach)
}
