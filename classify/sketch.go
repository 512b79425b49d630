package classify

import (
	"math"
	"math/bits"
)

// sketchBits is the precision of a sketch: 2^12 registers, a standard error of
// 1.04/√4096 = 1.6 %.
const sketchBits = 12

// sketch estimates how many distinct 64-bit hashes it was given: HyperLogLog
// (Flajolet, Fusy, Gandouet and Meunier, 2007). A register holds the longest
// run of leading zeros, plus one, of the hashes that fell to it. It keeps no
// hash.
type sketch [1 << sketchBits]uint8

// add notes a hash, and reports whether the sketch changed.
func (s *sketch) add(hash uint64) bool {
	r := &s[hash>>(64-sketchBits)]
	n := uint8(bits.LeadingZeros64(hash<<sketchBits|1<<(sketchBits-1))) + 1
	if n <= *r {
		return false
	}
	*r = n
	return true
}

// merge takes in what another sketch was given.
func (s *sketch) merge(o *sketch) {
	for i, n := range o {
		s[i] = max(s[i], n)
	}
}

// sketchRanks is how many values a register can have, with 0.
const sketchRanks = 64 - sketchBits + 2

// estimate is Ertl's improved estimator (New cardinality estimation algorithms
// for HyperLogLog sketches, 2017, algorithm 6): without bias from the first
// hash on, and without tables.
func (s *sketch) estimate() uint64 {
	var count [sketchRanks]float64
	for _, n := range s {
		count[n]++
	}
	m := float64(len(s))
	z := m * tau(1-count[sketchRanks-1]/m)
	for k := sketchRanks - 2; k >= 1; k-- {
		z = (z + count[k]) / 2
	}
	z += m * sigma(count[0]/m)
	return uint64(math.Round(m * m / (2 * math.Ln2 * z)))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; y *= 2 {
		x *= x
		before := z
		if z += x * y; z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for y, z := 0.5, 1-x; ; y /= 2 {
		x = math.Sqrt(x)
		before := z
		if z -= (1 - x) * (1 - x) * y; z == before {
			return z / 3
		}
	}
}

// siphash is SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash whose
// values tell nothing of the text to who lacks the key.
func siphash(k0, k1 uint64, text []byte) uint64 {
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	word := uint64(0)
	for i, b := range text {
		word |= uint64(b) << (i % 8 * 8)
		if i%8 == 7 {
			v3 ^= word
			round()
			round()
			v0 ^= word
			word = 0
		}
	}
	word |= uint64(len(text)) << 56
	v3 ^= word
	round()
	round()
	v0 ^= word
	v2 ^= 0xff
	round()
	round()
	round()
	round()
	return v0 ^ v1 ^ v2 ^ v3
}
