// Package crypto is the only door to Tink: keyring, AEAD, tokens, signatures.
//
// The model: a gateway holds public keys of [Recipient]s and, for a few
// minutes, a data key ([DEK]) that it wraps to them; whoever holds a
// [RecipientKey] unwraps it. Origin is an Ed25519 [Signer]. What the gateway
// keeps on disk lies in a [Keyring], each key encrypted under a [KEK] that
// crypto/custody obtains. Everything that encrypts, signs or derives in
// Sealgate goes through here, so that a review of the cryptography is a review
// of this package and its sub-packages.
//
// Types that hold a secret print as "REDACTED" in every verb, in JSON and in
// slog, and no error carries key material, plaintext or associated data. What
// lets a secret out has Insecure in its name.
//
// What it does not do: it has no network, no TPM and no message formats
// (crypto/custody, crypto/envelope), it decides nothing about trust
// (crypto/signed), and it does not wipe memory: Go moves and copies values, so
// a promise to wipe would be false.
package crypto

import (
	"encoding/hex"
	"errors"
)

// KID names a data key and its grant at once: SHA-256 of the grant's payload.
type KID [32]byte

// String returns the KID in hex.
func (k KID) String() string { return hex.EncodeToString(k[:]) }

// ErrOpen says that a ciphertext does not open: another key, other associated
// data, or changed bytes. Nothing tells them apart, on purpose (RFC 5116,
// section 2.2).
var ErrOpen = errors.New("ciphertext does not open")

// ErrSignature says that a signature is not this key's over this message.
var ErrSignature = errors.New("signature does not verify")
