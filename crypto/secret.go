package crypto

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeySize is the length of every symmetric key, in bytes.
const KeySize = 32

// BoxOverhead is what a sealed box is longer than its plaintext: a 24-byte
// nonce and a 16-byte tag.
const BoxOverhead = 24 + 16

// redacted is embedded by value in every type that holds a secret. It answers
// for all ways a value gets printed: fmt's verbs, JSON, text, slog.
type redacted struct{}

const redactedText = "REDACTED"

func (redacted) String() string               { return redactedText }
func (redacted) GoString() string             { return redactedText }
func (redacted) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redactedText)) }
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedText + `"`), nil }
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }
func (redacted) LogValue() slog.Value         { return slog.StringValue(redactedText) }

// SecretKey is 32 random bytes from which others are derived, and which seal
// small things at rest.
type SecretKey struct {
	redacted
	raw hidden
	id  [8]byte
	box tink.AEAD
}

// NewSecretKey returns a fresh random key.
func NewSecretKey() (*SecretKey, error) {
	raw := make([]byte, KeySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return InsecureSecretKey(raw)
}

// InsecureSecretKey takes the key from bytes that exist in clear: a key file, a
// credential, a test. It copies raw, which must be 32 bytes.
func InsecureSecretKey(raw []byte) (*SecretKey, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("secret key has %d bytes, want %d", len(raw), KeySize)
	}
	s := secret(raw)
	params, err := xchacha20poly1305.NewParameters(xchacha20poly1305.VariantNoPrefix)
	if err != nil {
		return nil, fmt.Errorf("choose XChaCha20-Poly1305: %w", err)
	}
	k, err := xchacha20poly1305.NewKey(s, 0, params)
	if err != nil {
		return nil, fmt.Errorf("make XChaCha20-Poly1305 key: %w", err)
	}
	box, err := primitive(k, aead.New)
	if err != nil {
		return nil, err
	}
	out := &SecretKey{raw: hide(s), box: box}
	id, err := out.derive("sg1/key-id", nil, nil)
	if err != nil {
		return nil, err
	}
	copy(out.id[:], id)
	return out, nil
}

// InsecureBytes returns the key in clear.
func (k *SecretKey) InsecureBytes() []byte { return reveal(k.raw) }

// ID names the key without telling anything about it: the first bytes of
// Derive("sg1/key-id").
func (k *SecretKey) ID() [8]byte { return k.id }

// Derive returns an independent key by HKDF-SHA-256 (RFC 5869) with the given
// salt and the info label ‖ 0x00 ‖ info. Labels contain no zero byte.
func (k *SecretKey) Derive(label string, salt, info []byte) (*SecretKey, error) {
	raw, err := k.derive(label, salt, info)
	if err != nil {
		return nil, err
	}
	return InsecureSecretKey(raw)
}

func (k *SecretKey) derive(label string, salt, info []byte) ([]byte, error) {
	// The standard library, because Tink offers HKDF only as a PRF with one
	// fixed salt per key.
	full := label + "\x00" + string(info)
	raw, err := hkdf.Key(sha256.New, reveal(k.raw), salt, full, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return raw, nil
}

// Seal appends nonce ‖ ciphertext ‖ tag (XChaCha20-Poly1305) to dst. The nonce
// has 24 random bytes, so that one key may seal without a count: this is for
// state at rest, not for messages.
func (k *SecretKey) Seal(dst, plaintext, ad []byte) ([]byte, error) {
	ct, err := k.box.Encrypt(plaintext, ad)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return join(dst, ct), nil
}

// Open appends to dst what Seal took, or returns ErrOpen.
func (k *SecretKey) Open(dst, sealed, ad []byte) ([]byte, error) {
	pt, err := k.box.Decrypt(sealed, ad)
	if err != nil {
		return nil, ErrOpen
	}
	return join(dst, pt), nil
}

// join appends b to dst without a copy where dst is nil.
func join(dst, b []byte) []byte {
	if dst == nil {
		return b
	}
	return append(dst, b...)
}

func secret(raw []byte) secretdata.Bytes {
	return secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{})
}

// hidden holds a secret where fmt can't walk to it. A struct that keeps one of
// our keys in an unexported field and is printed with %s, which does not fit a
// struct, is printed down to the bytes without asking the key's methods; a func
// is printed as an address.
type hidden func() secretdata.Bytes

func hide(s secretdata.Bytes) hidden {
	return func() secretdata.Bytes { return s }
}

func reveal(h hidden) []byte {
	return h().Data(insecuresecretdataaccess.Token{})
}

// primitive puts one key into a keyset of its own, because Tink hands out most
// primitives for keysets only, and takes the primitive from it.
func primitive[P any](k key.Key, from func(*keyset.Handle) (P, error)) (P, error) {
	var none P
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	if err != nil {
		return none, fmt.Errorf("make keyset: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return none, fmt.Errorf("make keyset: %w", err)
	}
	h, err := m.Handle()
	if err != nil {
		return none, fmt.Errorf("make keyset: %w", err)
	}
	p, err := from(h)
	if err != nil {
		return none, fmt.Errorf("take primitive: %w", err)
	}
	return p, nil
}
