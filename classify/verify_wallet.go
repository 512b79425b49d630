package classify

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Wallet addresses keep the case of their letters: these verifiers take the
// text as it stands, not the compact form.

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58Value maps a byte to its value in base 58, 0xff where it has none.
var base58Value = valueTable(base58Alphabet)

func valueTable(alphabet string) (t [256]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i)
	}
	return t
}

// base58Wallet verifies a base58check address: 25 bytes of version, RIPEMD-160
// hash and the first four bytes of a double SHA-256. Accepted versions are
// those of Bitcoin (0, 5), its test network (111, 196), Litecoin (48, 50),
// Dogecoin (30, 22), Dash (76, 16) and Tron (65).
func base58Wallet(b []byte) bool {
	if len(b) < 26 || len(b) > 35 || b[0] != '1' && len(b) < 34 { // only version 0 gives fewer than 34
		return false
	}
	var raw [25]byte
	for _, c := range b {
		carry := uint32(base58Value[c])
		if carry == 0xff {
			return false
		}
		for i := len(raw) - 1; i >= 0; i-- {
			carry += uint32(raw[i]) * 58
			raw[i] = byte(carry)
			carry >>= 8
		}
		if carry != 0 {
			return false
		}
	}
	// Each leading '1' stands for one leading zero byte.
	zeros := 0
	for zeros < len(raw) && raw[zeros] == 0 {
		zeros++
	}
	ones := 0
	for ones < len(b) && b[ones] == '1' {
		ones++
	}
	if zeros != ones {
		return false
	}
	switch raw[0] {
	case 0, 5, 111, 196, 48, 50, 30, 22, 76, 16, 65:
	default:
		return false
	}
	h := sha256.Sum256(raw[:21])
	h = sha256.Sum256(h[:])
	return [4]byte(h[:4]) == [4]byte(raw[21:])
}

var bech32Value = valueTable("qpzry9x8gf2tvdw0s3jn54khce6mua7l")

// bech32Wallet verifies a segregated-witness address of Bitcoin or Litecoin:
// bech32 for version 0 (BIP 173), bech32m above (BIP 350), one case throughout.
func bech32Wallet(b []byte) bool {
	if len(b) < 14 || len(b) > 90 {
		return false
	}
	if b[2] != '1' && b[3] != '1' && b[4] != '1' {
		return false // where the prefix of a network ends
	}
	lower, upper := false, false
	sep := -1
	for i, c := range b {
		lower = lower || c-'a' <= 25
		upper = upper || c-'A' <= 25
		if c == '1' && sep < 0 && i >= 2 {
			sep = i
		}
	}
	if lower && upper || sep < 2 || sep > 4 {
		return false
	}
	switch string(b[:sep]) { // does not allocate
	case "bc", "tb", "BC", "TB", "bcrt", "ltc", "LTC":
	default:
		return false
	}
	chk := uint32(1)
	step := func(v uint32) {
		top := chk >> 25
		chk = chk&0x1ffffff<<5 ^ v
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	for _, c := range b[:sep] {
		step(uint32(c|0x20) >> 5)
	}
	step(0)
	for _, c := range b[:sep] {
		step(uint32(c|0x20) & 31)
	}
	data := b[sep+1:]
	if len(data) < 7 {
		return false
	}
	for _, c := range data {
		if c-'A' <= 25 {
			c |= 0x20
		}
		v := bech32Value[c]
		if v == 0xff {
			return false
		}
		step(uint32(v))
	}
	first := data[0]
	if first-'A' <= 25 {
		first |= 0x20
	}
	if version := bech32Value[first]; version == 0 {
		return chk == 1
	} else if version > 16 {
		return false
	}
	return chk == 0x2bc830a3
}

// ethereumShape reports whether b is 0x and forty hexadecimal digits.
func ethereumShape(b []byte) bool {
	if len(b) != 42 || b[0] != '0' || b[1] != 'x' {
		return false
	}
	for _, c := range b[2:] {
		if !isHexDigit(c) {
			return false
		}
	}
	return true
}

// ethereumWallet verifies an Ethereum address in mixed case by EIP-55: the
// case of each letter is one bit of the Keccak-256 hash of the address in
// lower case. An address in one case carries no checksum and is refused.
func ethereumWallet(b []byte) bool {
	if !ethereumShape(b) {
		return false
	}
	var low [40]byte
	mixed := uint8(0)
	for i, c := range b[2:] {
		if c > '9' {
			mixed |= 1 << (c >> 5 & 1)
			c |= 0x20
		}
		low[i] = c
	}
	if mixed != 3 {
		return false
	}
	h := keccak256(&low)
	for i, c := range b[2:] {
		if c > '9' && (h[i/2]<<(4*(i&1))&0x80 != 0) != (c < 'a') {
			return false
		}
	}
	return true
}

// keccak256 is Keccak-256 with the padding of the original submission (0x01,
// not SHA-3's 0x06) over the forty bytes of an address: one block. It verifies
// a checksum; nothing secret depends on it.
func keccak256(address *[40]byte) (out [32]byte) {
	var a [25]uint64
	for i := range 5 {
		a[i] = binary.LittleEndian.Uint64(address[8*i:])
	}
	a[5] = 0x01
	a[16] = 1 << 63
	keccakF(&a)
	for i := range 4 {
		binary.LittleEndian.PutUint64(out[8*i:], a[i])
	}
	return out
}

// keccakF is the permutation Keccak-f[1600] (FIPS 202, section 3).
func keccakF(a *[25]uint64) {
	lfsr := uint8(1)
	for range 24 {
		var c [5]uint64
		for x := range 5 { // theta
			c[x] = a[x] ^ a[x+5] ^ a[x+10] ^ a[x+15] ^ a[x+20]
		}
		for x := range 5 {
			d := c[(x+4)%5] ^ bits.RotateLeft64(c[(x+1)%5], 1)
			for y := 0; y < 25; y += 5 {
				a[x+y] ^= d
			}
		}
		x, y, last := 1, 0, a[1] // rho and pi
		for t := 1; t <= 24; t++ {
			x, y = y, (2*x+3*y)%5
			a[x+5*y], last = bits.RotateLeft64(last, t*(t+1)/2%64), a[x+5*y]
		}
		for y := 0; y < 25; y += 5 { // chi
			row := [5]uint64(a[y : y+5])
			for x := range 5 {
				a[y+x] = row[x] ^ ^row[(x+1)%5]&row[(x+2)%5]
			}
		}
		for j := range 7 { // iota: round constants from the LFSR
			if lfsr&1 == 1 {
				a[0] ^= 1 << (1<<j - 1)
			}
			high := lfsr >> 7
			lfsr <<= 1
			if high == 1 {
				lfsr ^= 0x71
			}
		}
	}
}
