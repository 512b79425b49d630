package classify

import (
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// A message of about 500 bytes and 30 fields, as a tracker with sensors sends it.
const benchMessage = `{"messageId":"c0a8012f-77","type":"telemetry","deviceInfo":{"devEui":"70b3d57ed0041a2b","model":"TR-40","firmware":"2.14.3","online":true},` +
	`"ts":1718000123456,"location":{"latitude":52.520817,"longitude":13.409413,"altitude":34.5,"accuracy":4.2},` +
	`"readings":{"temperature":21.4,"humidity":48,"pressure":1013.2,"battery":3.61,"rssi":-87,"snr":7.5,"state":"moving","alarm":null},` +
	`"driver":{"firstName":"Katrin","lastName":"Vogt","shift":"early"},"counters":[17,4,2291,0],"note":"door 4 opened at dock"}`

func benchDocument(b testing.TB) (*Classifier, *payload.Document) {
	b.Helper()
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	d := &payload.Document{}
	if why := payload.Parse(d, "fleet/berlin/truck-17/up", []byte(benchMessage), payload.Limits{}); why != "" {
		b.Fatal(why)
	}
	return c, d
}

func BenchmarkParse(b *testing.B) {
	var d payload.Document
	raw := []byte(benchMessage)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		payload.Parse(&d, "fleet/berlin/truck-17/up", raw, payload.Limits{})
	}
}

func BenchmarkFind(b *testing.B) {
	c, d := benchDocument(b)
	var s Scratch
	st := NewState()
	b.SetBytes(int64(len(benchMessage)))
	b.ReportAllocs()
	for b.Loop() {
		c.Find(&s, st, d, Context{Now: 1, Subject: 7})
	}
}

func BenchmarkFindProse(b *testing.B) {
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	const sentence = "The pump in hall four was inspected on Monday; no leak was seen, and the crew left at noon. "
	var text []byte
	for len(text) < 1<<20-len(sentence) {
		text = append(text, sentence...)
	}
	var d payload.Document
	if why := payload.Parse(&d, "notes/x", text, payload.Limits{}); why != "" {
		b.Fatal(why)
	}
	var s Scratch
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		c.Find(&s, nil, &d, Context{})
	}
}
