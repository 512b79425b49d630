package crypto

import (
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"runtime"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/chacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/prf/subtle"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/sys/cpu"
)

// Alg is a content encryption algorithm by its COSE number (RFC 9053, section
// 4).
type Alg int8

// The algorithms that seal content. Both take 32-byte keys, 12-byte nonces and
// make 16-byte tags.
const (
	AlgAES256GCM        Alg = 3
	AlgChaCha20Poly1305 Alg = 24
)

// Sizes of RAW output, in bytes: iv ‖ ciphertext ‖ tag.
const (
	NonceSize = 12
	TagSize   = 16
	Overhead  = NonceSize + TagSize
)

// Valid tells whether a is one of the algorithms above.
func (a Alg) Valid() bool { return a == AlgAES256GCM || a == AlgChaCha20Poly1305 }

// String returns the algorithm's COSE name.
func (a Alg) String() string {
	switch a {
	case AlgAES256GCM:
		return "A256GCM"
	case AlgChaCha20Poly1305:
		return "ChaCha20/Poly1305"
	}
	return fmt.Sprintf("unknown(%d)", int8(a))
}

// PreferredAlg returns AES-256-GCM where the processor has instructions that
// the standard library uses for it, else ChaCha20/Poly1305, which is faster in
// software and has no tables to leak through the cache.
// GODEBUG=cpu.aes=off shows the second case on a processor of the first kind.
func PreferredAlg() Alg {
	var has bool
	switch runtime.GOARCH {
	case "amd64":
		has = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41 && cpu.X86.HasSSSE3
	case "arm64":
		has = cpu.ARM64.HasAES && cpu.ARM64.HasPMULL
	}
	if has {
		return AlgAES256GCM
	}
	return AlgChaCha20Poly1305
}

// DEK is a data key. It chooses its nonces at random, so its user bounds the
// number of invocations (2^20 in crypto/envelope, far below the 2^32 of NIST
// SP 800-38D, section 8.3). It may be used concurrently.
type DEK struct {
	redacted
	alg  Alg
	raw  hidden
	aead tink.AEAD
}

// NewDEK returns a fresh random data key.
func NewDEK(alg Alg) (*DEK, error) {
	raw := make([]byte, KeySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return OpenDEK(alg, raw)
}

// OpenDEK takes a data key as RecipientKey.Unwrap returned it. It copies raw,
// which must be 32 bytes.
func OpenDEK(alg Alg, raw []byte) (*DEK, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("data key has %d bytes, want %d", len(raw), KeySize)
	}
	s := secret(raw)
	a, err := newAEAD(alg, s)
	if err != nil {
		return nil, err
	}
	return &DEK{alg: alg, raw: hide(s), aead: a}, nil
}

func newAEAD(alg Alg, s secretdata.Bytes) (tink.AEAD, error) {
	switch alg {
	case AlgAES256GCM:
		params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
			KeySizeInBytes: KeySize, IVSizeInBytes: NonceSize, TagSizeInBytes: TagSize, Variant: aesgcm.VariantNoPrefix,
		})
		if err != nil {
			return nil, fmt.Errorf("choose %s: %w", alg, err)
		}
		k, err := aesgcm.NewKey(s, 0, params)
		if err != nil {
			return nil, fmt.Errorf("make %s key: %w", alg, err)
		}
		a, err := aesgcm.NewAEAD(k)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", alg, err)
		}
		return a, nil
	case AlgChaCha20Poly1305:
		params, err := chacha20poly1305.NewParameters(chacha20poly1305.VariantNoPrefix)
		if err != nil {
			return nil, fmt.Errorf("choose %s: %w", alg, err)
		}
		k, err := chacha20poly1305.NewKey(s, 0, params)
		if err != nil {
			return nil, fmt.Errorf("make %s key: %w", alg, err)
		}
		return primitive(k, aead.New)
	}
	return nil, fmt.Errorf("content encryption algorithm %d is not one of %d, %d", int8(alg), AlgAES256GCM, AlgChaCha20Poly1305)
}

// Alg returns the algorithm.
func (d *DEK) Alg() Alg { return d.alg }

// Seal appends iv ‖ ciphertext ‖ tag to dst: Overhead bytes longer than the
// plaintext. It allocates once, for Tink's output.
func (d *DEK) Seal(dst, plaintext, ad []byte) ([]byte, error) {
	ct, err := d.aead.Encrypt(plaintext, ad)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return join(dst, ct), nil
}

// Open appends to dst the plaintext of blob, which is iv ‖ ciphertext ‖ tag, or
// returns ErrOpen.
func (d *DEK) Open(dst, blob, ad []byte) ([]byte, error) {
	pt, err := d.aead.Decrypt(blob, ad)
	if err != nil {
		return nil, ErrOpen
	}
	return join(dst, pt), nil
}

// WrapFor wraps the data key to a recipient: see Recipient.Wrap.
func (d *DEK) WrapFor(r *Recipient, info []byte) ([]byte, error) {
	return r.Wrap(info, reveal(d.raw))
}

// Commitment returns HMAC-SHA-256(key, msg). AES-GCM and ChaCha20/Poly1305 do
// not commit to their key; a grant that carries this value does.
func (d *DEK) Commitment(msg []byte) ([32]byte, error) {
	var out [32]byte
	mac, err := hmacSHA256(reveal(d.raw), msg)
	if err != nil {
		return out, err
	}
	copy(out[:], mac)
	return out, nil
}

// Committed tells, in constant time, whether want is the Commitment to msg.
func (d *DEK) Committed(msg, want []byte) bool {
	got, err := d.Commitment(msg)
	return err == nil && hmac.Equal(got[:], want)
}

func hmacSHA256(k, msg []byte) ([]byte, error) {
	p, err := subtle.NewHMACPRF("SHA256", k)
	if err != nil {
		return nil, fmt.Errorf("make HMAC: %w", err)
	}
	return p.ComputePRF(msg, 32)
}
