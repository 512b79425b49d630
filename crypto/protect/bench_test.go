package protect

import (
	"testing"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// benchmark protects one judged message again and again for one audience and
// the recovery key.
func benchmark(b *testing.B, src, payload string, r Request, reference bool, want Outcome) {
	p := newParties(b, src)
	o := p.options()
	o.Recipients, o.Reference = nil, reference
	for _, a := range []string{"ops", "recovery"} {
		o.Recipients = append(o.Recipients, envelope.Recipient{Recipient: p.keys[a].Recipient(), Audience: a, Recovery: a == "recovery"})
	}
	p.protector = must(New(o))
	v := p.judge("cam/7/anpr", payload)
	d := &v.Decisions[0]
	d.Grade = min(d.Grade, 3) // higher ones are signed, which costs more than all else
	var out Output
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		r.Seq++
		out = p.protector.Protect(&v, d, r)
	}
	if out.Outcome != want {
		b.Fatalf("%s (%s)", out.Outcome, out.Reason)
	}
	b.ReportMetric(float64(len(out.Payload)), "B-out")
}

const benchDoc = `{"ts":1795442706123,"plate":"B-AB 123","lat":52.516275,"lon":13.377704,"driver":"Jane Doe","vin":"WVWZZZ1JZXW000001","speed":48.5,"state":"on","cam":{"id":7,"fw":"2.4.1"}}`

func BenchmarkPass(b *testing.B) {
	benchmark(b, classes("{}"), `{"t":21.5,"state":"on"}`, Request{}, false, OutcomePassed)
}

func BenchmarkPassPrefix(b *testing.B) {
	benchmark(b, classes("{}"), `{"t":21.5,"state":"on"}`, Request{Mapping: Mapping{Prefix: "site/gw/"}}, false, OutcomePassed)
}

const encrypt3 = everything + "unclassified: pass\nclasses: {id.vehicle_plate: encrypt, person.name: encrypt, id.vin: encrypt, location.precise: pass}\ngrades: {L3: pass, L4: pass}\n"

func encrypt3Fields() string {
	return fields("/plate", "id.vehicle_plate", "/driver", "person.name", "/vin", "id.vin")
}

func BenchmarkEncrypt3(b *testing.B) {
	benchmark(b, encrypt3+encrypt3Fields(), benchDoc, Request{}, false, OutcomeEncrypted)
}

// BenchmarkEncrypt3Reference leaves the grant out of the document.
func BenchmarkEncrypt3Reference(b *testing.B) {
	benchmark(b, encrypt3+encrypt3Fields(), benchDoc, Request{}, true, OutcomeEncrypted)
}

func BenchmarkPseudonymize2(b *testing.B) {
	src := everything + "unclassified: pass\nclasses: {id.vehicle_plate: pseudonymize, person.name: pseudonymize, id.vin: pass, location.precise: pass}\ngrades: {L3: pass, L4: pass}\n" +
		fields("/plate", "id.vehicle_plate", "/driver", "person.name")
	benchmark(b, src, benchDoc, Request{}, false, OutcomeTransformed)
}

func BenchmarkGeneralize2(b *testing.B) {
	src := everything + "unclassified: pass\nclasses: {id.vehicle_plate: pass, person.name: pass, id.vin: pass, location.precise: {generalize: {decimals: 2}}}\ngrades: {L3: pass, L4: pass}\n"
	benchmark(b, src, benchDoc, Request{}, false, OutcomeTransformed)
}

func BenchmarkSeal400(b *testing.B) {
	doc := make([]byte, 400)
	for i := range doc {
		doc[i] = 'x'
	}
	benchmark(b, everything+"unclassified: strict\n", string(doc), Request{}, false, OutcomeSealed)
}

// BenchmarkBareAEAD is the floor of the above: Tink's AEAD alone, for three
// padded fields and the tag, and for a padded message.
func BenchmarkBareAEAD(b *testing.B) {
	k := must(crypto.NewDEK(crypto.PreferredAlg()))
	ad := make([]byte, 300)
	for _, c := range []struct {
		name  string
		plain [][]byte
	}{
		{"Encrypt3", [][]byte{make([]byte, 32), make([]byte, 32), make([]byte, 32), nil}},
		{"Seal400", [][]byte{make([]byte, 416)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 1024)
			for b.Loop() {
				for _, plain := range c.plain {
					if _, err := k.Seal(dst, plain, ad); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
