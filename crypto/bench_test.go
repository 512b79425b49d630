package crypto

import (
	"testing"
)

// Run with GODEBUG=cpu.aes=off to see a processor without AES instructions.

var benchAlgs = []Alg{AlgAES256GCM, AlgChaCha20Poly1305}

// BenchmarkDocument seals three 32-byte fields and an empty document tag, as
// for one message with encrypted fields: the budget is 5 µs for all of protect.
func BenchmarkDocument(b *testing.B) {
	field, ad, dst := make([]byte, 32), make([]byte, 160), make([]byte, 0, 512)
	for _, alg := range benchAlgs {
		b.Run(alg.String(), func(b *testing.B) {
			d, err := NewDEK(alg)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				out := dst
				for _, pt := range [][]byte{field, field, field, nil} {
					if out, err = d.Seal(out, pt, ad); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkSeal400(b *testing.B) {
	pt, ad, dst := make([]byte, 400), make([]byte, 160), make([]byte, 0, 512)
	for _, alg := range benchAlgs {
		d, err := NewDEK(alg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("DEK/"+alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(pt)))
			for b.Loop() {
				if _, err := d.Seal(dst, pt, ad); err != nil {
					b.Fatal(err)
				}
			}
		})
		blob, err := d.Seal(nil, pt, ad)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("Open/"+alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(pt)))
			for b.Loop() {
				if _, err := d.Open(dst, blob, ad); err != nil {
					b.Fatal(err)
				}
			}
		})
		k, err := NewSecretKey()
		if err != nil {
			b.Fatal(err)
		}
		c, err := NewSegmentCipher(k, alg, make([]byte, 32), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("Segment/"+alg.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(pt)))
			for i := uint64(0); b.Loop(); i++ {
				c.Seal(dst, i, pt, ad)
			}
		})
	}
}

func BenchmarkWrap(b *testing.B) {
	for _, kem := range KEMs() {
		k, err := GenerateRecipientKey(kem)
		if err != nil {
			b.Fatal(err)
		}
		key, info := make([]byte, KeySize), make([]byte, 40)
		ct, err := k.Recipient().Wrap(info, key)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("wrap/"+kem.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Recipient().Wrap(info, key); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("unwrap/"+kem.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Unwrap(info, ct); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	s, err := GenerateSigner()
	if err != nil {
		b.Fatal(err)
	}
	msg := make([]byte, 45)
	sig, err := s.Sign(msg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Sign(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Verifier().Verify(msg, sig); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkToken(b *testing.B) {
	k, err := NewSecretKey()
	if err != nil {
		b.Fatal(err)
	}
	p, err := NewPseudonymizer([]PseudonymKey{{Domain: "gateway", Version: 1, Key: k}})
	if err != nil {
		b.Fatal(err)
	}
	dst, in := make([]byte, 0, 64), Pseudonym{Domain: "gateway", Class: "plate", Normalization: 1, Value: []byte("XX123")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Token(dst, in); err != nil {
			b.Fatal(err)
		}
	}
}
