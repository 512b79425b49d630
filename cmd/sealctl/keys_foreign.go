package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/crypto"
)

// maxForeign bounds the file of a key, in bytes.
const maxForeign = 16 << 10

// A foreignKey is a key as other tools write it: exactly one member is set.
type foreignKey struct {
	Private       *crypto.RecipientKey
	Public        *crypto.Recipient
	PrivateSigner *crypto.Signer
	PublicSigner  *crypto.Verifier
}

// errForeignKey says that bytes are no key that other tools and we have in
// common.
var errForeignKey = errors.New("it is no key in PEM (PKCS #8, SEC 1 or SubjectPublicKeyInfo) or JWK for X25519, P-256 or Ed25519, without a passphrase")

// parseForeignKey reads one key of X25519, P-256 (recipients) or Ed25519
// (signers) in PEM: PKCS #8 (RFC 5958), SEC 1 (RFC 5915) or
// SubjectPublicKeyInfo (RFC 5280, RFC 8410); or as a JWK (RFC 7517, RFC 8037).
// X-Wing has no such form yet.
func parseForeignKey(raw []byte) (*foreignKey, error) {
	if len(raw) > maxForeign {
		return nil, errForeignKey
	}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJWK(trimmed)
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "EC PARAMETERS": // openssl writes them before the key
			continue
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		default:
			return nil, errForeignKey
		}
		if err != nil {
			return nil, errForeignKey // the library's reason may describe the key
		}
		return foreign(key)
	}
	return nil, errForeignKey
}

// foreign turns a key of the standard library into one of ours.
func foreign(key any) (k *foreignKey, err error) {
	k = new(foreignKey)
	switch x := key.(type) {
	case *ecdsa.PrivateKey:
		p, perr := x.ECDH()
		if perr != nil {
			return nil, errForeignKey
		}
		return foreign(p)
	case *ecdsa.PublicKey:
		p, perr := x.ECDH()
		if perr != nil {
			return nil, errForeignKey
		}
		return foreign(p)
	case *ecdh.PrivateKey:
		kem := kemOfCurve(x.Curve())
		if kem == 0 {
			return nil, errForeignKey
		}
		k.Private, err = crypto.InsecureRecipientKey(kem, x.Bytes())
	case *ecdh.PublicKey:
		kem := kemOfCurve(x.Curve())
		if kem == 0 {
			return nil, errForeignKey
		}
		k.Public, err = crypto.ParseRecipient(kem, x.Bytes())
	case ed25519.PrivateKey:
		k.PrivateSigner, err = crypto.InsecureSigner(x.Seed())
	case ed25519.PublicKey:
		k.PublicSigner, err = crypto.ParseVerifier(x)
	default:
		return nil, errForeignKey
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

func kemOfCurve(c ecdh.Curve) crypto.KEM {
	switch c {
	case ecdh.X25519():
		return crypto.KEMX25519
	case ecdh.P256():
		return crypto.KEMP256
	}
	return 0
}

// jwk has the members of a JWK that name a key (RFC 7518, section 6.2; RFC
// 8037, section 2). Others, such as use and kid, are not looked at: RFC 7517,
// section 4, demands that.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   jwkInt `json:"x"`
	Y   jwkInt `json:"y,omitempty"`
	D   jwkInt `json:"d,omitempty"`
}

// jwkInt is base64url without padding of 32 bytes.
type jwkInt []byte

func (i jwkInt) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, i), nil
}

func (i *jwkInt) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b) != crypto.KeySize {
		return errForeignKey
	}
	*i = b
	return nil
}

func parseJWK(raw []byte) (*foreignKey, error) {
	var j jwk
	if json.Unmarshal(raw, &j) != nil || j.X == nil {
		return nil, errForeignKey
	}
	var private, public any
	var err, perr error
	switch [2]string{j.Kty, j.Crv} {
	case [2]string{"OKP", "X25519"}:
		public, err = ecdh.X25519().NewPublicKey(j.X)
		if j.D != nil {
			private, perr = ecdh.X25519().NewPrivateKey(j.D)
		}
	case [2]string{"EC", "P-256"}:
		if j.Y == nil {
			return nil, errForeignKey
		}
		public, err = ecdh.P256().NewPublicKey(append(append([]byte{4}, j.X...), j.Y...))
		if j.D != nil {
			private, perr = ecdh.P256().NewPrivateKey(j.D)
		}
	case [2]string{"OKP", "Ed25519"}:
		public = ed25519.PublicKey(j.X)
		if j.D != nil {
			private = ed25519.NewKeyFromSeed(j.D)
		}
	default:
		return nil, errForeignKey
	}
	if err != nil || perr != nil {
		return nil, errForeignKey
	}
	if private == nil {
		return foreign(public)
	}
	// A public half of another key would be what is handed to the operator.
	var same bool
	switch p := private.(type) {
	case *ecdh.PrivateKey:
		same = p.PublicKey().Equal(public.(*ecdh.PublicKey))
	case ed25519.PrivateKey:
		same = public.(ed25519.PublicKey).Equal(p.Public())
	}
	if !same {
		return nil, errors.New("the public half of the JWK is not that of its private one")
	}
	return foreign(private)
}

// std turns a key of ours into one of the standard library.
func (k *foreignKey) std() (key any, err error) {
	switch {
	case k.Private != nil:
		key, err = curveKey(k.Private.Recipient().KEM(), func(c ecdh.Curve) (any, error) { return c.NewPrivateKey(k.Private.InsecureBytes()) })
	case k.Public != nil:
		key, err = curveKey(k.Public.KEM(), func(c ecdh.Curve) (any, error) { return c.NewPublicKey(k.Public.Public()) })
	case k.PrivateSigner != nil:
		key = ed25519.NewKeyFromSeed(k.PrivateSigner.InsecureBytes())
	case k.PublicSigner != nil:
		key = ed25519.PublicKey(k.PublicSigner.Public())
	default:
		return nil, errForeignKey
	}
	return key, err
}

func curveKey(kem crypto.KEM, make func(ecdh.Curve) (any, error)) (any, error) {
	switch kem {
	case crypto.KEMX25519:
		return make(ecdh.X25519())
	case crypto.KEMP256:
		return make(ecdh.P256())
	}
	return nil, fmt.Errorf("keys of kind %s have no form in PEM or JWK yet; use our own", kem)
}

// pem returns the key as PKCS #8 or SubjectPublicKeyInfo in PEM. A
// private key is in clear.
func (k *foreignKey) pem() ([]byte, error) {
	key, err := k.std()
	if err != nil {
		return nil, err
	}
	kind, marshal := "PUBLIC KEY", x509.MarshalPKIXPublicKey
	if k.Private != nil || k.PrivateSigner != nil {
		kind, marshal = "PRIVATE KEY", x509.MarshalPKCS8PrivateKey
	}
	der, err := marshal(key)
	if err != nil {
		return nil, errors.New("encode key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
}

// jwk returns the key as a JWK. A private key is in clear.
func (k *foreignKey) jwk() ([]byte, error) {
	key, err := k.std()
	if err != nil {
		return nil, err
	}
	var j jwk
	switch x := key.(type) {
	case *ecdh.PrivateKey:
		j.D = x.Bytes()
		j.point(x.PublicKey())
	case *ecdh.PublicKey:
		j.point(x)
	case ed25519.PrivateKey:
		j = jwk{Kty: "OKP", Crv: "Ed25519", X: jwkInt(x[crypto.KeySize:]), D: x.Seed()}
	case ed25519.PublicKey:
		j = jwk{Kty: "OKP", Crv: "Ed25519", X: jwkInt(x)}
	}
	raw, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return nil, errors.New("encode key")
	}
	return append(raw, '\n'), nil
}

func (j *jwk) point(p *ecdh.PublicKey) {
	b := p.Bytes()
	if p.Curve() == ecdh.X25519() {
		j.Kty, j.Crv, j.X = "OKP", "X25519", b
		return
	}
	j.Kty, j.Crv = "EC", elliptic.P256().Params().Name
	j.X, j.Y = b[1:33], b[33:]
}
