package payload

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// cameraEvent is a typical message: 31 fields in about 500 bytes.
const cameraEvent = `{"type":"update","camera":"gate_north","frame_time":1751871961.837752,` +
	`"snapshot":{"frame_time":1751871965.975463,"box":[415,489,528,700],"area":12728,"score":0.77546},` +
	`"label":"car","sub_label":null,"top_score":0.958984375,"false_positive":false,` +
	`"zones":["driveway","yard"],"plate":"ZZ-AB 1234","plate_score":0.933451,` +
	`"position":{"lat":52.516275,"lon":13.377704,"accuracy":4.5},"stationary":false,` +
	`"speed":14.3,"direction":"inbound","operator":"Night shift 7","site":"Warehouse 12, Bay C, south-east corner","note":"checked at gate"}`

func benchmarkInputs() map[string][]byte {
	var large strings.Builder
	large.WriteString(`{"k0":0`)
	for i := 1; i < 20000; i++ {
		fmt.Fprintf(&large, `,"k%d":%d`, i, i)
	}
	large.WriteByte('}')
	return map[string][]byte{
		"form":        []byte("id=7&plate=B%2D12+x&lat=52.516275&lon=13.377704&since=2026-01-01T00%3A00%3A00Z"),
		"gzip":        []byte(gzipped(strings.Repeat(cameraEvent+"\n", 3))),
		"zstd":        []byte(zstdded(strings.Repeat(cameraEvent+"\n", 3))),
		"cbor":        []byte("\x94" + strings.Repeat("\xa3eplatehB-AB 123clat\xfbAB\x10\x00\x00\x00\x00\x00esince\x1a\x65\x00\x00\x00", 20)),
		"camera":      []byte(cameraEvent),
		"scalar":      []byte("23.5"),
		"text":        []byte(strings.Repeat("the quick brown fox ", 25)),
		"prose":       []byte(`{"text":"` + strings.Repeat("the quick brown fox ", 5000) + `"}`),
		"umlauts":     []byte(`{"text":"` + strings.Repeat("Grüße aus Köln ", 5000) + `"}`),
		"escapes":     []byte(`{"text":"` + strings.Repeat(`a line\n of \u00fc `, 5000) + `"}`),
		"20000 keys":  []byte(large.String()),
		"json lines":  []byte(strings.Repeat(cameraEvent+"\n", 100)),
		"indentation": []byte("{\n" + strings.Repeat("        \n", 50) + `  "a": 1` + "\n}"),
	}
}

// BenchmarkParse beside two yardsticks of the same run: encoding/json.Valid,
// which checks less, and one table lookup per byte, which no byte-wise
// tokenizer can beat.
func BenchmarkParse(b *testing.B) {
	for name, raw := range benchmarkInputs() {
		b.Run(name+"/payload", func(b *testing.B) {
			var d Document
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if why := Parse(&d, "site/gate/camera", raw, Limits{}); why != ReasonNone {
					b.Fatal(why)
				}
			}
		})
		b.Run(name+"/json.Valid", func(b *testing.B) {
			if !json.Valid(raw) {
				b.Skip("not JSON to it")
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				json.Valid(raw)
			}
		})
		b.Run(name+"/table", func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				sumOfTable(raw)
			}
		})
	}
}

var byteTable [256]byte

//go:noinline
func sumOfTable(raw []byte) (sum byte) {
	for _, c := range raw {
		sum += byteTable[c]
	}
	return sum
}

func BenchmarkAppend(b *testing.B) {
	var d Document
	Parse(&d, "site/gate/camera", []byte(cameraEvent), Limits{})
	edits := []Edit{
		{Field: d.Find("/plate"), Kind: EditString, Start: 3, End: 10, Value: []byte("*******")},
		{Field: d.Find("/position/lat"), Kind: EditNumber, Value: []byte("52.52")},
		{Field: d.Find("/position/lon"), Kind: EditNumber, Value: []byte("13.38")},
		{Field: d.Find("/operator"), Kind: EditRaw, Value: []byte("null")},
		{Field: d.Find("/note"), Kind: EditRemove},
	}
	var dst []byte
	b.SetBytes(int64(len(cameraEvent)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = d.Append(dst[:0], edits); err != nil {
			b.Fatal(err)
		}
	}
}
