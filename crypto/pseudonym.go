package crypto

import (
	"bytes"
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/daead/aessiv"
	"github.com/tink-crypto/tink-go/v2/prf/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// tokenBytes is the entropy of a token: 128 bits.
const tokenBytes = 16

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PseudonymKey is the key of one pseudonym domain in one version.
type PseudonymKey struct {
	Domain  string
	Version uint32 // from 1; shown in the token
	Key     *SecretKey

	// Before is the key that this one followed. Until Both a value is replaced
	// by two tokens, new and old, so that who joins by them can tell that they
	// are of one value. nil: there is none.
	Before *PseudonymKey
	Both   time.Time
}

// Pseudonymizer makes tokens: equal values give equal tokens within one domain,
// class and key version, and nobody without the key can tell more. Tokens are
// personal data still: whoever holds the key can test guesses.
type Pseudonymizer struct {
	redacted
	domains map[string]pseudonymDomain
	now     func() time.Time
}

type pseudonymDomain struct {
	*pseudonymKey
	before *pseudonymKey // nil: no key was before
	both   time.Time
}

// A pseudonymKey is one version of a domain's key, ready to use.
type pseudonymKey struct {
	version string
	prf     *subtle.HMACPRF
	siv     tink.DeterministicAEAD
}

// NewPseudonymizer takes one key per domain.
func NewPseudonymizer(keys []PseudonymKey) (*Pseudonymizer, error) {
	p := &Pseudonymizer{domains: make(map[string]pseudonymDomain, len(keys)), now: time.Now}
	for i := range keys {
		k := &keys[i]
		if err := checkDomain(k.Domain); err != nil {
			return nil, err
		}
		if _, twice := p.domains[k.Domain]; twice {
			return nil, fmt.Errorf("pseudonym domain %q has two keys", k.Domain)
		}
		current, err := newPseudonymKey(k)
		if err != nil {
			return nil, err
		}
		d := pseudonymDomain{pseudonymKey: current}
		if k.Before != nil {
			if k.Before.Version >= k.Version {
				return nil, fmt.Errorf("pseudonym domain %q: the key before version %d has version %d", k.Domain, k.Version, k.Before.Version)
			}
			if d.before, err = newPseudonymKey(k.Before); err != nil {
				return nil, err
			}
			d.both = k.Both
		}
		p.domains[k.Domain] = d
	}
	return p, nil
}

func newPseudonymKey(k *PseudonymKey) (*pseudonymKey, error) {
	if k.Version == 0 {
		return nil, fmt.Errorf("pseudonym domain %q has key version 0", k.Domain)
	}
	raw := reveal(k.Key.raw)
	prf, err := subtle.NewHMACPRF("SHA256", raw)
	if err != nil {
		return nil, fmt.Errorf("make pseudonym key: %w", err)
	}
	siv, err := newSIV(raw)
	if err != nil {
		return nil, err
	}
	return &pseudonymKey{version: strconv.FormatUint(uint64(k.Version), 10), prf: prf, siv: siv}, nil
}

// newSIV makes AES-SIV (RFC 5297) under HKDF-SHA-256(key, no salt, "sg1/siv" ‖
// 0x00), 64 bytes: another key than the tokens' own.
func newSIV(raw []byte) (tink.DeterministicAEAD, error) {
	wide, err := hkdf.Key(sha256.New, raw, nil, "sg1/siv\x00", 64)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	params, err := aessiv.NewParameters(len(wide), aessiv.VariantNoPrefix)
	if err != nil {
		return nil, fmt.Errorf("choose AES-SIV: %w", err)
	}
	k, err := aessiv.NewKey(secret(wide), 0, params)
	if err != nil {
		return nil, fmt.Errorf("make AES-SIV key: %w", err)
	}
	return primitive(k, daead.New)
}

// Pseudonym is what a token is made of. Value is normalized by the caller;
// Normalization is the version of the rules it used, so that a change of rules
// can't give two people one token unseen.
type Pseudonym struct {
	Domain, Class string
	Normalization uint32
	Value         []byte
	Bytes         int // of a Token's PRF output, 2 to 16; 0: 16. Fewer make different values collide, on purpose
}

// Token appends "p" ‖ key version ‖ base32 lower-case without padding of the
// first bits (128 by default) of HMAC-SHA-256(key, CBOR [domain, class,
// normalization, value]): "p1" and 26 characters. For a while after a rotation
// a '.' and the token of the key before follow. A domain without a key is an
// error.
func (p *Pseudonymizer) Token(dst []byte, in Pseudonym) ([]byte, error) {
	return p.each(dst, in, (*pseudonymKey).token)
}

// each makes a token with the key of a domain, and while both are in use with
// the one before.
func (p *Pseudonymizer) each(dst []byte, in Pseudonym, token func(*pseudonymKey, []byte, Pseudonym) ([]byte, error)) ([]byte, error) {
	d, ok := p.domains[in.Domain]
	if !ok {
		return nil, fmt.Errorf("pseudonym domain %q has no key", in.Domain)
	}
	dst, err := token(d.pseudonymKey, dst, in)
	if err != nil || d.before == nil || !p.now().Before(d.both) {
		return dst, err
	}
	return token(d.before, append(dst, '.'), in)
}

func (k *pseudonymKey) token(dst []byte, in Pseudonym) ([]byte, error) {
	n := cmp.Or(in.Bytes, tokenBytes)
	if n < 2 || n > tokenBytes {
		return nil, fmt.Errorf("a token of %d bytes is not within 2 and %d", n, tokenBytes)
	}
	msg := make([]byte, 0, 20+len(in.Domain)+len(in.Class)+len(in.Value))
	msg = append(in.context(msg, 4), in.Value...)
	sum, err := k.prf.ComputePRF(msg, uint32(n))
	if err != nil {
		return nil, fmt.Errorf("compute pseudonym: %w", err)
	}
	dst = append(append(dst, 'p'), k.version...)
	return tokenText.AppendEncode(dst, sum), nil
}

// context appends CBOR [domain, class, normalization, …] with so many items; a
// fourth is a byte string as long as the value, of which only the head is
// written.
func (in *Pseudonym) context(msg []byte, items byte) []byte {
	msg = append(msg, cborArray|items)
	msg = append(appendCBORHead(msg, cborText, uint64(len(in.Domain))), in.Domain...)
	msg = append(appendCBORHead(msg, cborText, uint64(len(in.Class))), in.Class...)
	msg = appendCBORHead(msg, cborUint, uint64(in.Normalization))
	if items == 4 {
		msg = appendCBORHead(msg, cborBytes, uint64(len(in.Value)))
	}
	return msg
}

// maxReversible bounds the value of a reversible token, in bytes, and sivBlock
// is to what its length is rounded up.
const (
	maxReversible = 256
	sivBlock      = 16
)

// Reversible appends "r" ‖ key version ‖ base32 of AES-SIV(value ‖ 0x80 ‖
// zeros to a multiple of 16 bytes), with CBOR [domain, class, normalization] as
// associated data: equal values give equal tokens, and who has the key has the
// value. For a while after a rotation a '.' and the token of the key before
// follow. A value of more than 256 bytes is an error.
func (p *Pseudonymizer) Reversible(dst []byte, in Pseudonym) ([]byte, error) {
	if len(in.Value) > maxReversible {
		return nil, fmt.Errorf("value has more than %d bytes", maxReversible)
	}
	return p.each(dst, in, (*pseudonymKey).reversible)
}

func (k *pseudonymKey) reversible(dst []byte, in Pseudonym) ([]byte, error) {
	padded := make([]byte, (len(in.Value)/sivBlock+1)*sivBlock)
	padded[copy(padded, in.Value)] = 0x80
	ct, err := k.siv.EncryptDeterministically(padded, in.context(nil, 3))
	if err != nil {
		return nil, fmt.Errorf("compute pseudonym: %w", err)
	}
	dst = append(append(dst, 'r'), k.version...)
	return tokenText.AppendEncode(dst, ct), nil
}

// Reveal returns the value of a reversible token of a domain, class and
// normalization, made by the domain's key or the one before it, or ErrOpen.
func (p *Pseudonymizer) Reveal(in Pseudonym, token string) ([]byte, error) {
	d, ok := p.domains[in.Domain]
	if !ok {
		return nil, fmt.Errorf("pseudonym domain %q has no key", in.Domain)
	}
	token, _, _ = strings.Cut(token, ".")
	for _, k := range []*pseudonymKey{d.pseudonymKey, d.before} {
		if k == nil {
			continue
		}
		text, ours := strings.CutPrefix(token, "r"+k.version)
		ct, err := tokenText.DecodeString(text)
		if !ours || err != nil {
			continue
		}
		padded, err := k.siv.DecryptDeterministically(ct, in.context(nil, 3))
		if err != nil {
			continue
		}
		if i := bytes.LastIndexByte(padded, 0x80); i >= 0 {
			return padded[:i], nil
		}
	}
	return nil, ErrOpen
}

// CBOR major types, in place (RFC 8949, section 3.1).
const (
	cborUint  = 0 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborArray = 4 << 5
)

// appendCBORHead appends the head of an item in its shortest form.
func appendCBORHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= 0xff:
		return append(dst, major|24, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// checkDomain allows what may be a part of a file name on any system.
func checkDomain(name string) error {
	if len(name) == 0 || len(name) > 32 {
		return fmt.Errorf("pseudonym domain %q does not have 1 to 32 characters", name)
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0) {
			return fmt.Errorf("pseudonym domain %q has a character other than a-z, 0-9 and, not first, '-'", name)
		}
	}
	return nil
}
