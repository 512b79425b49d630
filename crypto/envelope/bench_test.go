package envelope

import (
	"fmt"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

func BenchmarkHeader(b *testing.B) {
	p := newParties(b)
	leases, st := []*Lease{must(p.sealer.Lease(1, 0))}, testStamp()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendHeader(buf[:0], &st, leases, nil)
	}
}

func BenchmarkSealFields3(b *testing.B) {
	p := newParties(b)
	doc, fields, st := []byte(exampleDoc), exampleFields(), testStamp()
	dst := make([]byte, 0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.sealer.Lease(4, 64)
		if err != nil {
			b.Fatal(err)
		}
		if dst, err = l.SealFields(dst[:0], st, doc, fields); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkSealMessage(b *testing.B, enc Encoding, sign bool) {
	p := newParties(b)
	msg, st := make([]byte, 400), testStamp()
	st.Sign = sign
	dst := make([]byte, 0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.sealer.Lease(1, len(msg))
		if err != nil {
			b.Fatal(err)
		}
		if dst, err = l.SealMessage(dst[:0], st, msg, enc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealMessage400(b *testing.B)       { benchmarkSealMessage(b, EncodingCOSE, false) }
func BenchmarkSealMessage400JSON(b *testing.B)   { benchmarkSealMessage(b, EncodingJSON, false) }
func BenchmarkSealMessage400Signed(b *testing.B) { benchmarkSealMessage(b, EncodingCOSE, true) }

func BenchmarkNewKey(b *testing.B) {
	p := newParties(b)
	for b.Loop() {
		p.sealer.Rotate()
		if _, err := p.sealer.Lease(1, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewKeyFor is what a recipient costs, once for each data key: key, wraps,
// commitment and signature, by number and kind.
func BenchmarkNewKeyFor(b *testing.B) {
	for _, kem := range crypto.KEMs() {
		for _, n := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/%d", kem, n), func(b *testing.B) {
				o := SealerOptions{Gateway: "gw-1", Signer: must(crypto.GenerateSigner()), Boot: 1}
				for range n {
					o.Recipients = append(o.Recipients, Recipient{Recipient: must(crypto.GenerateRecipientKey(kem)).Recipient()})
				}
				s := must(NewSealer(o))
				b.ReportAllocs()
				for b.Loop() {
					s.Rotate()
					if _, err := s.Lease(1, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func benchmarkOpen(b *testing.B, o *Opener, topic string, msg []byte) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Open(topic, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenMessage400(b *testing.B) {
	p := newParties(b)
	benchmarkOpen(b, p.archive(b), "site/gate/3", p.message(testStamp(), string(make([]byte, 400)), EncodingCOSE))
}

func BenchmarkOpenFields3(b *testing.B) {
	p := newParties(b)
	benchmarkOpen(b, p.live(b), "site/gate/3", p.document(testStamp(), exampleDoc, exampleFields()))
}
