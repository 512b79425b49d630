// Package crypto is the only door to Tink: keyring, AEAD, tokens, signatures.
//
// Everything that encrypts, signs or derives in Sealgate goes through it, so
// that a review of the cryptography is a review of this package and its
// sub-packages. It names danger aloud, and its types never print a secret.
package crypto

import "encoding/hex"

// KID names a data key and its grant at once: SHA-256 of the grant's payload.
type KID [32]byte

// String returns the KID in hex.
func (k KID) String() string { return hex.EncodeToString(k[:]) }
