package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KEM is a key encapsulation mechanism by its HPKE number (IANA registry "HPKE
// KEM Identifiers", RFC 9180, section 7.1).
type KEM uint16

// The mechanisms a recipient may have.
const (
	KEMP256   KEM = 0x0010 // DHKEM(P-256, HKDF-SHA256): public key 65 bytes, uncompressed
	KEMX25519 KEM = 0x0020 // DHKEM(X25519, HKDF-SHA256): 32 bytes; the default
	KEMXWing  KEM = 0x647a // X-Wing, ML-KEM-768 with X25519: 1,216 bytes; post-quantum hybrid
)

// KEMs returns all mechanisms, the default first.
func KEMs() []KEM { return []KEM{KEMX25519, KEMP256, KEMXWing} }

// String returns the name that key files and bundles use.
func (k KEM) String() string {
	switch k {
	case KEMP256:
		return "p256"
	case KEMX25519:
		return "x25519"
	case KEMXWing:
		return "xwing"
	}
	return fmt.Sprintf("unknown(0x%04x)", uint16(k))
}

// KEMByName returns the mechanism whose String is name.
func KEMByName(name string) (KEM, error) {
	for _, k := range KEMs() {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("key type is not one of %v", KEMs())
}

// params returns the whole HPKE suite: HKDF-SHA256, AES-256-GCM, no prefix.
func (k KEM) params() (*hpke.Parameters, error) {
	id := hpke.UnknownKEMID
	switch k {
	case KEMP256:
		id = hpke.DHKEM_P256_HKDF_SHA256
	case KEMX25519:
		id = hpke.DHKEM_X25519_HKDF_SHA256
	case KEMXWing:
		id = hpke.X_WING
	default:
		return nil, fmt.Errorf("key encapsulation mechanism 0x%04x is not supported", uint16(k))
	}
	return hpke.NewParameters(hpke.ParametersOpts{KEMID: id, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: hpke.VariantNoPrefix})
}

// RID names a recipient's public key: SHA-256(CBOR [KEM id, public key])[:16].
type RID [16]byte

// String returns the id in hex.
func (r RID) String() string { return hex.EncodeToString(r[:]) }

// KeyID names a signing key: SHA-256(raw public key)[:16].
type KeyID [16]byte

// String returns the id in hex.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// Recipient is an HPKE public key to which data keys are wrapped.
type Recipient struct {
	kem     KEM
	public  []byte
	rid     RID
	encrypt tink.HybridEncrypt
}

// ParseRecipient takes a public key in the serialized form of RFC 9180, section
// 7.1.1. It refuses, beside a wrong length, points that are not on the curve or
// of small order, so that a bad key fails when it is loaded and not when a
// message must be sealed.
func ParseRecipient(kem KEM, public []byte) (*Recipient, error) {
	params, err := kem.params()
	if err != nil {
		return nil, err
	}
	if kem == KEMX25519 && len(public) == 32 && public[31]&0x80 != 0 {
		// X25519 ignores this bit (RFC 7748, section 5), so the key would have
		// two recipient ids.
		return nil, errors.New("parse x25519 public key: it is not canonical")
	}
	k, err := hpke.NewPublicKey(public, 0, params)
	if err != nil {
		return nil, fmt.Errorf("parse %s public key: %w", kem, err)
	}
	enc, err := primitive(k, hybrid.NewHybridEncrypt)
	if err != nil {
		return nil, fmt.Errorf("parse %s public key: %w", kem, err)
	}
	rid, err := ridOf(kem, public)
	if err != nil {
		return nil, err
	}
	r := &Recipient{kem: kem, public: slices.Clone(public), rid: rid, encrypt: enc}
	if _, err := r.Wrap(nil, nil); err != nil {
		return nil, fmt.Errorf("parse %s public key: %w", kem, err)
	}
	return r, nil
}

func ridOf(kem KEM, public []byte) (rid RID, err error) {
	mode, err := deterministicCBOR()
	if err != nil {
		return rid, err
	}
	b, err := mode.Marshal([]any{uint16(kem), public})
	if err != nil {
		return rid, fmt.Errorf("encode recipient id: %w", err)
	}
	sum := sha256.Sum256(b)
	copy(rid[:], sum[:])
	return rid, nil
}

// RID returns the recipient's id.
func (r *Recipient) RID() RID { return r.rid }

// KEM returns the mechanism.
func (r *Recipient) KEM() KEM { return r.kem }

// Public returns the public key as ParseRecipient takes it.
func (r *Recipient) Public() []byte { return slices.Clone(r.public) }

// Wrap encrypts key by HPKE in base mode, single shot, with the given info and
// no AAD (RFC 9180, section 6.1), and returns enc ‖ ciphertext.
func (r *Recipient) Wrap(info, key []byte) ([]byte, error) {
	ct, err := r.encrypt.Encrypt(key, info)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	return ct, nil
}

// RecipientKey is the private half of a Recipient.
type RecipientKey struct {
	redacted
	public  *Recipient
	raw     hidden
	decrypt tink.HybridDecrypt
}

// GenerateRecipientKey returns a fresh key.
func GenerateRecipientKey(kem KEM) (*RecipientKey, error) {
	params, err := kem.params()
	if err != nil {
		return nil, err
	}
	m := keyset.NewManager()
	id, err := m.AddNewKeyFromParameters(params)
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", kem, err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("generate %s key: %w", kem, err)
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", kem, err)
	}
	e, err := h.Primary()
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", kem, err)
	}
	k, ok := e.Key().(*hpke.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("generate %s key: made another kind of key", kem)
	}
	return newRecipientKey(kem, k)
}

// InsecureRecipientKey takes a private key that exists in clear: X25519 32
// bytes, P-256 32 bytes (big-endian scalar), X-Wing 32 bytes (seed).
func InsecureRecipientKey(kem KEM, raw []byte) (*RecipientKey, error) {
	params, err := kem.params()
	if err != nil {
		return nil, err
	}
	if len(raw) != KeySize {
		return nil, fmt.Errorf("%s private key has %d bytes, want %d", kem, len(raw), KeySize)
	}
	k, err := hpke.NewPrivateKey(secret(raw), 0, params)
	if err != nil {
		// Tink's reason may describe the key; its kind is enough.
		return nil, fmt.Errorf("%s private key is not valid", kem)
	}
	return newRecipientKey(kem, k)
}

func newRecipientKey(kem KEM, k *hpke.PrivateKey) (*RecipientKey, error) {
	pub, err := k.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("take public key: %w", err)
	}
	p, ok := pub.(*hpke.PublicKey)
	if !ok {
		return nil, errors.New("take public key: it is of another kind")
	}
	r, err := ParseRecipient(kem, p.PublicKeyBytes())
	if err != nil {
		return nil, err
	}
	dec, err := primitive(k, hybrid.NewHybridDecrypt)
	if err != nil {
		return nil, err
	}
	return &RecipientKey{public: r, raw: hide(k.PrivateKeyBytes()), decrypt: dec}, nil
}

// Recipient returns the public half.
func (k *RecipientKey) Recipient() *Recipient { return k.public }

// InsecureBytes returns the private key in clear, as InsecureRecipientKey takes
// it.
func (k *RecipientKey) InsecureBytes() []byte { return reveal(k.raw) }

// Unwrap returns what Wrap took with the same info, or ErrOpen.
func (k *RecipientKey) Unwrap(info, ct []byte) ([]byte, error) {
	pt, err := k.decrypt.Decrypt(ct, info)
	if err != nil {
		return nil, ErrOpen
	}
	return pt, nil
}
