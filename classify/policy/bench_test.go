package policy_test

import (
	"fmt"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// A message of about 500 bytes and 30 fields, as a tracker with sensors sends it.
const benchTopic = "fleet/berlin/truck-17/up"
const benchMessage = `{"messageId":"c0a8012f-77","type":"telemetry","deviceInfo":{"devEui":"70b3d57ed0041a2b","model":"TR-40","firmware":"2.14.3","online":true},` +
	`"ts":1718000123456,"location":{"latitude":52.520817,"longitude":13.409413,"altitude":34.5,"accuracy":4.2},` +
	`"readings":{"temperature":21.4,"humidity":48,"pressure":1013.2,"battery":3.61,"rssi":-87,"snr":7.5,"state":"moving","alarm":null},` +
	`"driver":{"firstName":"Katrin","lastName":"Vogt","shift":"early"},"counters":[17,4,2291,0],"note":"door 4 opened at dock"}`

// benchPolicy has one uplink, and routes before the one that is taken.
const benchPolicy = head + `routes:
  - {name: anpr, topics: ["cameras/+/anpr"]}
  - {name: access, topics: ["access/#"], classes: {person.name: encrypt}}
  - {name: fleet, topics: ["fleet/#"], to: {city: {classes: {location.precise: {generalize: {decimals: 1}}}}}}
  - {name: everything, topics: ["#"]}
`

// BenchmarkJudge is the whole of it; BenchmarkFind in package classify and
// BenchmarkParseAndFind here are the same without the decision.
func BenchmarkJudge(b *testing.B) {
	p, err := policy.Compile([]byte(benchPolicy), vocabulary(), policy.Guard{})
	if err != nil {
		b.Fatal(err)
	}
	var s policy.Scratch
	st := classify.NewState()
	in := policy.Input{Topic: benchTopic, Payload: []byte(benchMessage), Now: 1, Subject: 7}
	b.SetBytes(int64(len(benchMessage)))
	b.ReportAllocs()
	for b.Loop() {
		if v := p.Judge(&s, st, p.Route(in.Topic), in); len(v.Decisions) != 1 {
			b.Fatal("no decision")
		}
	}
}

// changing are messages of one device whose identifiers, readings and notes
// differ; renew gives one an identifier that no message had.
func changing() [][]byte {
	ms := make([][]byte, 64)
	for i := range ms {
		ms[i] = fmt.Appendf(nil, `{"messageId":"%08x-%02d","type":"telemetry","deviceInfo":{"devEui":"70b3d57ed0041a2b","model":"TR-40","firmware":"2.14.%d","online":true},`+
			`"ts":%d,"location":{"latitude":52.52%04d,"longitude":13.40%04d,"altitude":34.5,"accuracy":4.2},`+
			`"readings":{"temperature":21.%d,"humidity":48,"pressure":1013.2,"battery":3.61,"rssi":-%d,"snr":7.5,"state":"moving","alarm":null},`+
			`"driver":{"firstName":"Katrin","lastName":"Vogt","shift":"early"},"counters":[17,4,%d,0],"note":"door %d opened at dock"}`,
			0, i, i%10, 1718000123456+int64(i)*977, i*37, i*53, i%10, 50+i%40, 2291+i, i)
	}
	return ms
}

func renew(m []byte, n uint32) {
	const digits = "0123456789abcdef"
	id := m[len(`{"messageId":"`):][:8]
	n *= 0x9E3779B1
	for i := range id {
		id[i] = digits[n>>28]
		n <<= 4
	}
}

// BenchmarkJudgeChanging is BenchmarkJudge with other values in each message.
func BenchmarkJudgeChanging(b *testing.B) {
	p, err := policy.Compile([]byte(benchPolicy), vocabulary(), policy.Guard{})
	if err != nil {
		b.Fatal(err)
	}
	var s policy.Scratch
	st, ms := classify.NewState(), changing()
	b.SetBytes(int64(len(ms[0])))
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		in := policy.Input{Topic: benchTopic, Payload: ms[n%64], Now: n, Subject: 7}
		renew(in.Payload, uint32(n))
		if v := p.Judge(&s, st, p.Route(in.Topic), in); len(v.Decisions) != 1 {
			b.Fatal("no decision")
		}
	}
}

func BenchmarkParseAndFind(b *testing.B) {
	c, err := classify.New(classify.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var d payload.Document
	var s classify.Scratch
	st := classify.NewState()
	raw := []byte(benchMessage)
	b.SetBytes(int64(len(benchMessage)))
	b.ReportAllocs()
	for b.Loop() {
		payload.Parse(&d, benchTopic, raw, payload.Limits{})
		c.Find(&s, st, &d, classify.Context{Now: 1, Subject: 7})
	}
}

func BenchmarkRoute(b *testing.B) {
	p, err := policy.Compile([]byte(benchPolicy), vocabulary(), policy.Guard{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Route(benchTopic)
	}
}

// TestJudgeAllocates holds that deciding allocates nothing: judging allocates
// no more than its parts that are not of this package.
func TestJudgeAllocates(t *testing.T) {
	p := compile(t, benchPolicy+"fields:\n"+declare("/note", "health"), policy.Guard{})
	st := classify.NewState()
	var s policy.Scratch
	var d payload.Document
	var find classify.Scratch
	for _, m := range []string{benchMessage, `{"a":`, "plain text", "", `[1,"a b",{"c":"d e"}]`} {
		in := policy.Input{Topic: benchTopic, Payload: []byte(m), Now: 1, Subject: 7}
		parts := testing.AllocsPerRun(100, func() {
			payload.Parse(&d, in.Topic, in.Payload, payload.Limits{})
			p.Classifier().Find(&find, st, &d, classify.Context{Now: 1, Subject: 7})
		})
		if n := testing.AllocsPerRun(100, func() { p.Judge(&s, st, p.Route(in.Topic), in) }); n > 2*parts {
			t.Errorf("%.20q: %v allocations, its parts %v", m, n, parts)
		}
	}
}

// BenchmarkDecide is Judge without parsing and finding.
func BenchmarkDecide(b *testing.B) {
	p, err := policy.Compile([]byte(benchPolicy), vocabulary(), policy.Guard{})
	if err != nil {
		b.Fatal(err)
	}
	var s policy.Scratch
	v := p.Judge(&s, classify.NewState(), p.Route(benchTopic), policy.Input{Topic: benchTopic, Payload: []byte(benchMessage)})
	b.ReportAllocs()
	for b.Loop() {
		policy.Redecide(p, &s, &v)
	}
}

func BenchmarkParse(b *testing.B) {
	var d payload.Document
	raw := []byte(benchMessage)
	b.ReportAllocs()
	for b.Loop() {
		payload.Parse(&d, benchTopic, raw, payload.Limits{})
	}
}
