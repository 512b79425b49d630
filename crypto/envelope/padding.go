package envelope

import "math/bits"

// minPadded is the least length of a plaintext, so that "on" and "off" can't
// be told apart.
const minPadded = 32

// padme rounds n up so that its length leaks O(log log n) bits, with at most
// 12 % added (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
// and Communication with PURBs", PoPETs 2019, §4.4).
func padme(n int) int {
	if n < 2 {
		return n
	}
	e := bits.Len(uint(n)) - 1 // floor(log2 n)
	s := bits.Len(uint(e))     // bits needed to write e
	last := max(e-s, 0)        // low bits that must be zero
	mask := 1<<last - 1
	return (n + mask) &^ mask
}

// padSealed is how many zero bytes the padding string of a sealed message
// holds, when everything before that string takes n bytes. Not every total can
// be reached, because the string's own head grows with it; then the next size
// is taken.
func padSealed(n int) int {
	for want := padme(max(n+1, minPadded)); ; want = padme(want + 1) {
		for _, head := range [...]int{1, 2, 3, 5} {
			if zeros := want - n - head; zeros >= 0 && headLen(zeros) == head {
				return zeros
			}
		}
	}
}

// padField is the padded length of a field of n bytes: 32, 64, 128, …
func padField(n int) int {
	if n <= minPadded {
		return minPadded
	}
	return 1 << bits.Len(uint(n-1))
}
