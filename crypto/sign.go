package crypto

import (
	stdcrypto "crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Sizes of Ed25519 (RFC 8032, section 5.1), in bytes.
const (
	PublicKeySize = 32
	SignatureSize = 64
)

// Signer signs by Ed25519 without pre-hashing (COSE algorithm -19).
type Signer struct {
	redacted
	key    hidden // an ed25519.PrivateKey
	public *Verifier
}

// GenerateSigner returns a fresh key.
func GenerateSigner() (*Signer, error) {
	seed := make([]byte, KeySize)
	if _, err := rand.Read(seed); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return InsecureSigner(seed)
}

// InsecureSigner takes a seed that exists in clear (RFC 8032, section 5.1.5),
// 32 bytes.
func InsecureSigner(seed []byte) (*Signer, error) {
	if len(seed) != KeySize {
		return nil, fmt.Errorf("signing key has %d bytes, want %d", len(seed), KeySize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	v, err := ParseVerifier(key[ed25519.SeedSize:])
	if err != nil {
		return nil, err
	}
	return &Signer{key: hide(secret(key)), public: v}, nil
}

// Sign returns the 64-byte signature over msg.
func (s *Signer) Sign(msg []byte) ([]byte, error) {
	return s.private().Sign(nil, msg, stdcrypto.Hash(0))
}

// KeyID returns the id of the public key.
func (s *Signer) KeyID() KeyID { return s.public.KeyID() }

// Verifier returns the public half.
func (s *Signer) Verifier() *Verifier { return s.public }

// InsecureBytes returns the seed in clear, as InsecureSigner takes it.
func (s *Signer) InsecureBytes() []byte { return s.private().Seed() }

func (s *Signer) private() ed25519.PrivateKey { return reveal(s.key) }

// Verifier is an Ed25519 public key.
type Verifier struct {
	public ed25519.PublicKey
	id     KeyID
}

// ParseVerifier takes a raw public key of 32 bytes. It refuses points of small
// order, such as a key of zeros that was never set, because anyone can sign for
// them, and the second spellings that some points have.
func ParseVerifier(public []byte) (*Verifier, error) {
	if len(public) != PublicKeySize {
		return nil, fmt.Errorf("verification key has %d bytes, want %d", len(public), PublicKeySize)
	}
	if weakPoint(public) {
		return nil, errors.New("verification key is a point of small order or not canonical")
	}
	sum := sha256.Sum256(public)
	return &Verifier{public: slices.Clone(public), id: KeyID(sum[:16])}, nil
}

// Verify returns nil if sig is this key's signature over msg, else
// ErrSignature.
func (v *Verifier) Verify(msg, sig []byte) error {
	if !ed25519.Verify(v.public, msg, sig) {
		return ErrSignature
	}
	return nil
}

// KeyID returns the key's id.
func (v *Verifier) KeyID() KeyID { return v.id }

// Public returns the raw public key.
func (v *Verifier) Public() []byte { return slices.Clone(v.public) }

// smallOrder lists the y coordinates of the eight points whose order divides
// the cofactor of edwards25519 (RFC 8032, section 5.1).
var smallOrder = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// weakPoint tells whether a public key of 32 bytes is of small order, or has a
// y coordinate that is not reduced modulo 2^255 - 19.
func weakPoint(public []byte) bool {
	y := slices.Clone(public)
	y[31] &= 0x7f // the sign of x
	if slices.Contains(smallOrder[:], hex.EncodeToString(y)) {
		return true
	}
	return y[0] >= 0xed && y[31] == 0x7f && !slices.ContainsFunc(y[1:31], func(b byte) bool { return b != 0xff })
}
