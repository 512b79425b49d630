package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/sealgate/sealgate/crypto"
	"github.com/veraison/go-cose"
)

// This file opens what the Sealer makes without any of the package's own
// parsing or decryption: fxamacker/cbor reads, go-cose verifies grants, and
// crypto/aes of the standard library decrypts, all by the text of the format.

func strictDecoder(t testing.TB) cbor.DecMode {
	t.Helper()
	return must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8RejectInvalid}.DecMode())
}

// decodeCanonical decodes and checks that b is what a second encoder makes of
// the same data: fxamacker sorts by the bytewise order of RFC 8949 §4.2.1.
func decodeCanonical(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := strictDecoder(t).Unmarshal(b, v); err != nil {
		t.Fatalf("decode: %v", err)
	}
	again := must(must(cbor.CoreDetEncOptions().EncMode()).Marshal(v))
	if !bytes.Equal(again, b) {
		t.Fatalf("not deterministic:\n got %x\nwant %x", b, again)
	}
}

func encode(v any) []byte { return must(must(cbor.CoreDetEncOptions().EncMode()).Marshal(v)) }

type oracleGrant struct {
	_          struct{} `cbor:",toarray"`
	Version    int
	Alg        int
	Boot       uint64
	Bundle     uint64
	Commitment []byte
	Wraps      []struct {
		_    struct{} `cbor:",toarray"`
		RID  []byte
		HPKE []byte
	}
}

// oracleKey verifies a grant and returns its kid and the data key.
func oracleKey(t testing.TB, grant []byte, gateway string, public []byte, key *crypto.RecipientKey) (kid []byte, dek []byte) {
	t.Helper()
	var m cose.Sign1Message
	if err := m.UnmarshalCBOR(grant); err != nil {
		t.Fatalf("parse grant: %v", err)
	}
	toBeSigned := encode([]any{"Signature1", []byte(m.Headers.RawProtected[2:]), []byte("sg1/grant"), m.Payload})
	if m.Headers.RawProtected[0] != 0x58 {
		t.Fatalf("protected header is not a byte string of 24 to 255 bytes")
	}
	if !ed25519.Verify(public, toBeSigned, m.Signature) {
		t.Fatal("grant's signature does not verify")
	}
	var h map[int]any
	decodeCanonical(t, m.Headers.RawProtected[2:], &h)
	signer := sha256.Sum256(public)
	if h[1] != int64(-19) || !bytes.Equal(h[4].([]byte), signer[:16]) {
		t.Fatalf("grant header: %v", h)
	}
	claims := h[15].(map[any]any)
	if claims[uint64(1)] != gateway || claims[uint64(4)].(uint64) <= claims[uint64(6)].(uint64) {
		t.Fatalf("grant claims: %v", claims)
	}
	var g oracleGrant
	decodeCanonical(t, m.Payload, &g)
	if g.Version != 1 || g.Alg != 3 {
		t.Fatalf("grant: %+v", g)
	}
	rid := key.Recipient().RID()
	for _, w := range g.Wraps {
		if bytes.Equal(w.RID, rid[:]) {
			dek = must(key.Unwrap(encode([]any{"sg1/dek", gateway, g.Boot, g.Alg, w.RID}), w.HPKE))
		}
	}
	mac := hmac.New(sha256.New, dek)
	mac.Write(encode([]any{"sg1/commit", g.Alg}))
	if !hmac.Equal(mac.Sum(nil), g.Commitment) {
		t.Fatal("commitment does not match")
	}
	sum := sha256.Sum256(m.Payload)
	return sum[:], dek
}

func gcm(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

type oracleEncrypt0 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct {
		IV        []byte `cbor:"5,keyasint"`
		Grant     []byte `cbor:"-70007,keyasint,omitempty"`
		Signature []byte `cbor:"-70008,keyasint,omitempty"`
	}
	Ciphertext []byte
}

func TestSealedMessageOpensWithoutUs(t *testing.T) {
	p := newParties(t)
	public := p.signer.Verifier().Public()
	for _, size := range []int{0, 1, 18, 23, 24, 25, 255, 256, 257, 400, 65536, 70000} {
		for _, real := range []string{"", "site/gate/XX 123 YZ"} {
			msg := bytes.Repeat([]byte("m"), size)
			st := testStamp()
			st.RealTopic, st.Sign = real, size == 400
			l := must(p.sealer.Lease(1, size+len(real)))
			out := must(l.SealMessage(nil, st, msg, EncodingCOSE))

			l = must(p.sealer.Lease(1, size+len(real)))
			asJSON := must(l.SealMessage([]byte("before"), st, msg, EncodingJSON))
			var wrapped map[string]string
			if err := json.Unmarshal(bytes.TrimPrefix(asJSON, []byte("before")), &wrapped); err != nil || len(wrapped) != 1 {
				t.Fatalf("JSON form: %v", err)
			}
			text, ok := strings.CutPrefix(wrapped["_sg"], "1s.")
			if !ok {
				t.Fatalf("JSON form: no version")
			}

			for _, b := range [][]byte{out, must(base64.RawURLEncoding.DecodeString(text))} {
				var tag cbor.RawTag
				decodeCanonical(t, b, &tag)
				if tag.Number != 16 {
					t.Fatalf("tag %d", tag.Number)
				}
				var e oracleEncrypt0
				decodeCanonical(t, tag.Content, &e)
				kid, dek := oracleKey(t, e.Unprotected.Grant, "gw-1", public, p.key)
				aad := encode([]any{"Encrypt0", e.Protected, []byte("sg1/payload")})
				plain, err := gcm(dek).Open(nil, e.Unprotected.IV, e.Ciphertext, aad)
				if err != nil {
					t.Fatalf("decrypt: %v", err)
				}
				var parts []any
				decodeCanonical(t, plain, &parts)
				if !bytes.Equal(parts[0].([]byte), msg) {
					t.Fatal("payload differs")
				}
				if real != "" && parts[1].(map[any]any)[uint64(1)] != real {
					t.Fatalf("real topic: %v", parts[1])
				}
				if len(plain) < 32 || padme(len(plain)) != len(plain) {
					t.Fatalf("plaintext of %d bytes is not padded", len(plain))
				}
				var h map[int]any
				decodeCanonical(t, e.Protected, &h)
				if h[1] != uint64(3) || h[3] != "application/json" || !bytes.Equal(h[4].([]byte), kid) || h[-70001] != uint64(3) ||
					h[-70002] != uint64(12) || h[-70004] != "site/gate/3" {
					t.Fatalf("header: %v", h)
				}
				if st.Sign {
					sum := sha256.Sum256(encode([]any{e.Protected, e.Unprotected.IV, e.Ciphertext}))
					if !ed25519.Verify(public, encode([]any{"sg1/sign", sum[:]}), e.Unprotected.Signature) {
						t.Fatal("signature does not verify")
					}
				} else if e.Unprotected.Signature != nil {
					t.Fatal("signed without need")
				}
			}
		}
	}
}

func TestDocumentOpensWithoutUs(t *testing.T) {
	p := newParties(t)
	st := testStamp()
	st.Sign = true
	l := must(p.sealer.Lease(4, 64))
	out := must(l.SealFields(nil, st, []byte(exampleDoc+"\n"), exampleFields()))
	if !json.Valid(out) {
		t.Fatalf("not JSON: %s", out)
	}
	var doc struct {
		Plate any
		Speed int
		SG    string `json:"_sg"`
	}
	if err := json.Unmarshal(out, &doc); err != nil || doc.Plate != nil || doc.Speed != 42 {
		t.Fatalf("shape changed: %v, %+v", err, doc)
	}
	part := strings.Split(doc.SG, ".")
	if len(part) != 3+3+2 || part[0] != "1" {
		t.Fatalf("trailer has %d parts: %s", len(part), doc.SG)
	}
	raw := func(i int) []byte { return must(base64.RawURLEncoding.DecodeString(part[i])) }
	header := raw(1)
	var grants [][]byte
	decodeCanonical(t, raw(2), &grants)
	_, dek := oracleKey(t, grants[0], "gw-1", p.signer.Verifier().Public(), p.key)
	for i, f := range exampleFields() {
		c := raw(3 + i)
		plain, err := gcm(dek).Open(nil, c[:12], c[12:], encode([]any{"sg1/field", header, f.Pointer}))
		if err != nil || len(plain) != 32 || strings.TrimRight(string(plain), " ") != string(f.Plaintext) {
			t.Fatalf("field %d: %q, %v", i, plain, err)
		}
	}
	cut := len(out) - len("\"}\n") - len(part[7])
	upToTags := sha256.Sum256(out[:cut-len(part[6])-1])
	tag := raw(6)
	if _, err := gcm(dek).Open(nil, tag[:12], tag[12:], encode([]any{"sg1/doc", header, upToTags[:]})); err != nil || len(tag) != 28 {
		t.Fatalf("document tag: %v", err)
	}
	upToSig := sha256.Sum256(out[:cut])
	if !ed25519.Verify(p.signer.Verifier().Public(), encode([]any{"sg1/sign", upToSig[:]}), raw(7)) {
		t.Fatal("signature does not verify")
	}
}
