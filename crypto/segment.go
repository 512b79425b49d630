package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// SegmentCipher encrypts the records of one spool segment, or of any file that
// is written once, front to back. The nonce of a record is its index, so an
// index must never be used twice under the same salt and header: take a fresh
// 32-byte random salt for each use of a segment.
//
// It is the standard library's AEAD, because Tink chooses its own nonces, and
// 12 random bytes per record would cost space and, worse, say nothing about a
// record that was moved.
type SegmentCipher struct {
	redacted
	aead cipher.AEAD
}

// NewSegmentCipher derives the segment's key: HKDF-SHA-256(k, salt,
// "sg1/segment" ‖ 0x00 ‖ alg ‖ header), alg as one byte. The header holds what
// identifies the segment, the algorithm included.
func NewSegmentCipher(k *SecretKey, alg Alg, salt, header []byte) (*SegmentCipher, error) {
	if len(salt) < 16 {
		return nil, fmt.Errorf("segment salt has %d bytes, want at least 16", len(salt))
	}
	raw, err := k.derive("sg1/segment", salt, append([]byte{byte(alg)}, header...))
	if err != nil {
		return nil, err
	}
	var a cipher.AEAD
	switch alg {
	case AlgAES256GCM:
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", alg, err)
		}
		if a, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("make %s: %w", alg, err)
		}
	case AlgChaCha20Poly1305:
		if a, err = chacha20poly1305.New(raw); err != nil {
			return nil, fmt.Errorf("make %s: %w", alg, err)
		}
	default:
		return nil, fmt.Errorf("segment algorithm %d is not one of %d, %d", int8(alg), AlgAES256GCM, AlgChaCha20Poly1305)
	}
	return &SegmentCipher{aead: a}, nil
}

// Overhead is what a sealed record is longer than its plaintext: TagSize.
func (c *SegmentCipher) Overhead() int { return TagSize }

// Seal appends ciphertext ‖ tag to dst. Where dst has room for
// len(plaintext)+TagSize more bytes, it allocates no more than the nonce. dst
// and plaintext must not overlap.
func (c *SegmentCipher) Seal(dst []byte, index uint64, plaintext, ad []byte) []byte {
	nonce := nonceOf(index)
	return c.aead.Seal(dst, nonce[:], plaintext, ad)
}

// Open appends to dst the plaintext of the record at index, or returns ErrOpen.
func (c *SegmentCipher) Open(dst []byte, index uint64, sealed, ad []byte) ([]byte, error) {
	nonce := nonceOf(index)
	out, err := c.aead.Open(dst, nonce[:], sealed, ad)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// nonceOf writes the index big-endian into the last eight bytes.
func nonceOf(index uint64) (n [NonceSize]byte) {
	binary.BigEndian.PutUint64(n[4:], index)
	return n
}
