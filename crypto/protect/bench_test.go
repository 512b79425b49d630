package protect

import (
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// benchmark protects one judged message again and again for one audience and
// the recovery key.
func benchmark(b *testing.B, src, topic, payload string, m Mapping, want Outcome) {
	p := newParties(b, src)
	o := p.options()
	o.Recipients = nil
	for _, a := range []string{"ops", "recovery"} {
		o.Recipients = append(o.Recipients, envelope.Recipient{Recipient: p.keys[a].Recipient(), Audience: a, Recovery: a == "recovery"})
	}
	p.protector = must(New(o))
	v := p.judge(topic, payload)
	d := &v.Decisions[0]
	d.Grade = min(d.Grade, 3) // higher ones are signed, which costs more than all else
	var out Output
	r := Request{Mapping: m}
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
	benchmark(b, classes("{}"), "cam/7/anpr", `{"t":21.5,"state":"on"}`, Mapping{}, OutcomePassed)
}

func BenchmarkPassPrefix(b *testing.B) {
	benchmark(b, classes("{}"), "cam/7/anpr", `{"t":21.5,"state":"on"}`, Mapping{Prefix: "site/gw/"}, OutcomePassed)
}

func BenchmarkEncrypt3(b *testing.B) {
	src := everything + "unclassified: pass\nclasses: {id.vehicle_plate: encrypt, person.name: encrypt, id.vin: encrypt, location.precise: pass}\ngrades: {L3: pass, L4: pass}\n" +
		fields("/plate", "id.vehicle_plate", "/driver", "person.name", "/vin", "id.vin")
	benchmark(b, src, "cam/7/anpr", benchDoc, Mapping{}, OutcomeEncrypted)
}

func BenchmarkPseudonymize2(b *testing.B) {
	src := everything + "unclassified: pass\nclasses: {id.vehicle_plate: pseudonymize, person.name: pseudonymize, id.vin: pass, location.precise: pass}\ngrades: {L3: pass, L4: pass}\n" +
		fields("/plate", "id.vehicle_plate", "/driver", "person.name")
	benchmark(b, src, "cam/7/anpr", benchDoc, Mapping{}, OutcomeTransformed)
}

func BenchmarkGeneralize2(b *testing.B) {
	src := everything + "unclassified: pass\nclasses: {id.vehicle_plate: pass, person.name: pass, id.vin: pass, location.precise: {generalize: {decimals: 2}}}\ngrades: {L3: pass, L4: pass}\n"
	benchmark(b, src, "cam/7/anpr", benchDoc, Mapping{}, OutcomeTransformed)
}

func BenchmarkSeal400(b *testing.B) {
	doc := make([]byte, 400)
	for i := range doc {
		doc[i] = 'x'
	}
	benchmark(b, everything+"unclassified: strict\n", "cam/7/anpr", string(doc), Mapping{}, OutcomeSealed)
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

// Protect costs no more allocations than these: for each encryption Tink's
// output, for each message the payload, a lease and the pointers.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name, src, in string
		want          float64
	}{
		{"pass", classes("{}"), `{"t":21.5,"state":"on"}`, 0},
		{"mask", classes("{id.vin: {mask: {}}}") + fields("/v", "id.vin"), `{"v":"W12345"}`, 1},
		{"encrypt", classes("{id.vin: encrypt}") + fields("/v", "id.vin", "/w", "id.vin", "/x", "id.vin"), `{"v":"W1","w":"W2","x":"W3"}`, 7},
		{"seal", everything, `{"a":`, 3},
	} {
		p := newParties(t, c.src)
		o := p.options()
		o.Recipients = []envelope.Recipient{{Recipient: p.keys["ops"].Recipient(), Audience: "ops"}}
		p.protector = must(New(o))
		v := p.judge("t/1", c.in)
		d := v.Decisions[0]
		if d.Message == policy.MessageSeal {
			d.Grade = 2 // not signed
		}
		got := testing.AllocsPerRun(200, func() { p.protector.Protect(&v, &d, Request{}) })
		if got > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}
