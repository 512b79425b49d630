package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// The standard library is the oracle here: what Tink makes must be the plain
// standard form, so that any COSE and HPKE library can read it.

func suiteOf(t *testing.T, kem KEM) hpke.KEM {
	t.Helper()
	k, err := hpke.NewKEM(uint16(kem))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWrapIsPlainHPKE(t *testing.T) {
	for _, kem := range KEMs() {
		t.Run(kem.String(), func(t *testing.T) {
			k, err := GenerateRecipientKey(kem)
			if err != nil {
				t.Fatal(err)
			}
			info, key := []byte("info"), bytes.Repeat([]byte{7}, 32)
			std, err := suiteOf(t, kem).NewPrivateKey(k.InsecureBytes())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(std.PublicKey().Bytes(), k.Recipient().Public()) {
				t.Error("public key differs from the standard library's")
			}
			ct, err := k.Recipient().Wrap(info, key)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := hpke.Open(std, hpke.HKDFSHA256(), hpke.AES256GCM(), info, ct); err != nil || !bytes.Equal(got, key) {
				t.Errorf("the standard library opens Tink's: %v", err)
			}
			ct, err = hpke.Seal(std.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), info, key)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Unwrap(info, ct); err != nil || !bytes.Equal(got, key) {
				t.Errorf("Tink opens the standard library's: %v", err)
			}
			for name, bad := range map[string]func() ([]byte, []byte){
				"other info": func() ([]byte, []byte) { return []byte("Info"), ct },
				"truncated":  func() ([]byte, []byte) { return info, ct[:len(ct)-1] },
				"only enc":   func() ([]byte, []byte) { return info, ct[:len(ct)-48] },
				"empty":      func() ([]byte, []byte) { return info, nil },
				"flipped": func() ([]byte, []byte) {
					c := bytes.Clone(ct)
					c[len(c)-1] ^= 1
					return info, c
				},
			} {
				i, c := bad()
				if _, err := k.Unwrap(i, c); !errors.Is(err, ErrOpen) {
					t.Errorf("%s: got %v, want ErrOpen", name, err)
				}
			}
			again, err := InsecureRecipientKey(kem, k.InsecureBytes())
			if err != nil {
				t.Fatal(err)
			}
			if again.Recipient().RID() != k.Recipient().RID() {
				t.Error("reloaded key has another id")
			}
		})
	}
}

func TestRIDIsHashOfKEMAndKey(t *testing.T) {
	k, err := GenerateRecipientKey(KEMX25519)
	if err != nil {
		t.Fatal(err)
	}
	// CBOR by hand: array(2), 32, bytes(32).
	sum := sha256.Sum256(append([]byte{0x82, 0x18, 0x20, 0x58, 0x20}, k.Recipient().Public()...))
	if got := k.Recipient().RID(); got != RID(sum[:16]) {
		t.Errorf("rid %x, want %x", got, sum[:16])
	}
}

func TestParseRecipientRefuses(t *testing.T) {
	p256 := bytes.Repeat([]byte{1}, 65)
	p256[0] = 4
	for name, c := range map[string]struct {
		kem KEM
		pub []byte
	}{
		"unknown kem":       {0x21, make([]byte, 56)},
		"empty":             {KEMX25519, nil},
		"short":             {KEMX25519, make([]byte, 31)},
		"small order":       {KEMX25519, make([]byte, 32)},
		"not canonical":     {KEMX25519, append(bytes.Repeat([]byte{9}, 31), 0x89)},
		"not on the curve":  {KEMP256, p256},
		"xwing, wrong size": {KEMXWing, make([]byte, 1215)},
		"xwing, all ones":   {KEMXWing, bytes.Repeat([]byte{0xff}, 1216)},
	} {
		if _, err := ParseRecipient(c.kem, c.pub); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func stdAEAD(t *testing.T, alg Alg, key []byte) cipher.AEAD {
	t.Helper()
	if alg == AlgChaCha20Poly1305 {
		a, err := chacha20poly1305.New(key)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDEKIsRawAEAD(t *testing.T) {
	key := bytes.Repeat([]byte{9}, 32)
	pt, ad := []byte("plain"), []byte("header")
	for _, alg := range []Alg{AlgAES256GCM, AlgChaCha20Poly1305} {
		t.Run(alg.String(), func(t *testing.T) {
			d, err := OpenDEK(alg, key)
			if err != nil {
				t.Fatal(err)
			}
			blob, err := d.Seal([]byte("pre"), pt, ad)
			if err != nil {
				t.Fatal(err)
			}
			if string(blob[:3]) != "pre" || len(blob) != 3+len(pt)+Overhead {
				t.Fatalf("sealed to %d bytes, want an appended blob of %d", len(blob), len(pt)+Overhead)
			}
			blob = blob[3:]
			std := stdAEAD(t, alg, key)
			if got, err := std.Open(nil, blob[:NonceSize], blob[NonceSize:], ad); err != nil || !bytes.Equal(got, pt) {
				t.Errorf("the standard library opens it: %v", err)
			}
			got, err := d.Open([]byte("x"), blob, ad)
			if err != nil || string(got) != "xplain" {
				t.Errorf("opened %q, %v", got, err)
			}
			for i := range blob {
				c := bytes.Clone(blob)
				c[i] ^= 0x80
				if _, err := d.Open(nil, c, ad); !errors.Is(err, ErrOpen) {
					t.Fatalf("byte %d flipped: %v", i, err)
				}
				if _, err := d.Open(nil, blob[:i], ad); !errors.Is(err, ErrOpen) {
					t.Fatalf("cut to %d: %v", i, err)
				}
			}
			if _, err := d.Open(nil, blob, []byte("Header")); !errors.Is(err, ErrOpen) {
				t.Errorf("other associated data: %v", err)
			}
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte("msg"))
			if c, err := d.Commitment([]byte("msg")); err != nil || !hmac.Equal(c[:], mac.Sum(nil)) {
				t.Errorf("commitment is not HMAC-SHA-256: %v", err)
			}
			if !d.Committed([]byte("msg"), mac.Sum(nil)) || d.Committed([]byte("msg"), mac.Sum(nil)[:31]) || d.Committed([]byte("gms"), mac.Sum(nil)) {
				t.Error("Committed is wrong")
			}
		})
	}
	if _, err := NewDEK(1); err == nil {
		t.Error("an unknown algorithm was accepted")
	}
	if _, err := OpenDEK(AlgAES256GCM, key[:16]); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestWrapForCarriesTheKey(t *testing.T) {
	k, err := GenerateRecipientKey(KEMX25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDEK(PreferredAlg())
	if err != nil {
		t.Fatal(err)
	}
	ct, err := d.WrapFor(k.Recipient(), []byte("i"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.Unwrap([]byte("i"), ct)
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenDEK(d.Alg(), raw)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := d.Seal(nil, []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Open(nil, blob, nil); err != nil || string(got) != "hello" {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestSignatureIsPlainEd25519(t *testing.T) {
	s, err := GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	std := ed25519.NewKeyFromSeed(s.InsecureBytes())
	sig, err := s.Sign([]byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sig, ed25519.Sign(std, []byte("m"))) {
		t.Error("signature differs from the standard library's")
	}
	sum := sha256.Sum256(std.Public().(ed25519.PublicKey))
	if s.KeyID() != KeyID(sum[:16]) {
		t.Error("key id is not the hash of the public key")
	}
	v, err := ParseVerifier(s.Verifier().Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify([]byte("m"), sig); err != nil {
		t.Error(err)
	}
	for name, c := range map[string][2][]byte{
		"other message": {[]byte("n"), sig},
		"short":         {[]byte("m"), sig[:63]},
		"long":          {[]byte("m"), append(bytes.Clone(sig), 0)},
		"empty":         {[]byte("m"), nil},
	} {
		if err := v.Verify(c[0], c[1]); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := ParseVerifier(bytes.Repeat([]byte{9}, n)); err == nil {
			t.Errorf("a public key of %d bytes was accepted", n)
		}
	}
}

// TestWeakVerifiersAreRefused shows first what is wrong with them: a signature
// by nobody that the standard library accepts.
func TestWeakVerifiersAreRefused(t *testing.T) {
	forged := make([]byte, SignatureSize)
	forged[0] = 1 // R is the identity, S is 0: holds if the challenge is a multiple of the order
	for _, y := range smallOrder {
		for _, sign := range []byte{0, 0x80} {
			pub, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			pub[31] |= sign
			broken := false
			for i := byte(0); i < 255 && !broken; i++ {
				broken = ed25519.Verify(pub, []byte{i}, forged)
			}
			if !broken {
				t.Errorf("%x: no forgery found; is it of small order?", pub)
			}
			if _, err := ParseVerifier(pub); err == nil {
				t.Errorf("%x: accepted", pub)
			}
		}
	}
	for i := range byte(19) {
		pub := bytes.Repeat([]byte{0xff}, 32)
		pub[0], pub[31] = 0xed+i, 0x7f
		if _, err := ParseVerifier(pub); err == nil {
			t.Errorf("%x: a second spelling was accepted", pub)
		}
	}
}
