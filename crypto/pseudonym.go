package crypto

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/prf/subtle"
)

// tokenBytes is the entropy of a token: 128 bits.
const tokenBytes = 16

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PseudonymKey is the key of one pseudonym domain in one version.
type PseudonymKey struct {
	Domain  string
	Version uint32 // from 1; shown in the token
	Key     *SecretKey
}

// Pseudonymizer makes tokens: equal values give equal tokens within one domain,
// class and key version, and nobody without the key can tell more. Tokens are
// personal data still: whoever holds the key can test guesses.
type Pseudonymizer struct {
	redacted
	domains map[string]pseudonymDomain
}

type pseudonymDomain struct {
	prefix string
	prf    *subtle.HMACPRF
}

// NewPseudonymizer takes one key per domain.
func NewPseudonymizer(keys []PseudonymKey) (*Pseudonymizer, error) {
	p := &Pseudonymizer{domains: make(map[string]pseudonymDomain, len(keys))}
	for _, k := range keys {
		if err := checkDomain(k.Domain); err != nil {
			return nil, err
		}
		if _, twice := p.domains[k.Domain]; twice {
			return nil, fmt.Errorf("pseudonym domain %q has two keys", k.Domain)
		}
		if k.Version == 0 {
			return nil, fmt.Errorf("pseudonym domain %q has key version 0", k.Domain)
		}
		f, err := subtle.NewHMACPRF("SHA256", reveal(k.Key.raw))
		if err != nil {
			return nil, fmt.Errorf("make pseudonym key: %w", err)
		}
		p.domains[k.Domain] = pseudonymDomain{prefix: "p" + strconv.FormatUint(uint64(k.Version), 10), prf: f}
	}
	return p, nil
}

// Pseudonym is what a token is made of. Value is normalized by the caller;
// Normalization is the version of the rules it used, so that a change of rules
// can't give two people one token unseen.
type Pseudonym struct {
	Domain, Class string
	Normalization uint32
	Value         []byte
}

// Token appends "p" ‖ key version ‖ base32 lower-case without padding of the
// first 128 bits of HMAC-SHA-256(key, CBOR [domain, class, normalization,
// value]): "p1" and 26 characters. A domain without a key is an error.
func (p *Pseudonymizer) Token(dst []byte, in Pseudonym) ([]byte, error) {
	d, ok := p.domains[in.Domain]
	if !ok {
		return nil, fmt.Errorf("pseudonym domain %q has no key", in.Domain)
	}
	msg := make([]byte, 0, 20+len(in.Domain)+len(in.Class)+len(in.Value))
	msg = append(msg, cborArray|4)
	msg = append(appendCBORHead(msg, cborText, uint64(len(in.Domain))), in.Domain...)
	msg = append(appendCBORHead(msg, cborText, uint64(len(in.Class))), in.Class...)
	msg = appendCBORHead(msg, cborUint, uint64(in.Normalization))
	msg = append(appendCBORHead(msg, cborBytes, uint64(len(in.Value))), in.Value...)
	sum, err := d.prf.ComputePRF(msg, tokenBytes)
	if err != nil {
		return nil, fmt.Errorf("compute pseudonym: %w", err)
	}
	dst = append(dst, d.prefix...)
	return tokenText.AppendEncode(dst, sum), nil
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
