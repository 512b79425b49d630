package eval

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// floors are what each class must reach in classify/testdata/corpus.jsonl, as
// precision and recall. Where a class is not named it is 0.95 and 0.95.
var floors = map[string][2]float64{
	"ai.prompt":          {1, 0.85},    // a tool's call without words
	"net.ip":             {0.9, 1},     // a version without a word for it reads like an address
	"biometric.face":     {1, 0.85},    // a gender beside nothing that speaks of a face
	"health":             {0.95, 0.94}, // a measurement by two letters: sg, or map
	"id.device":          {0.95, 0.9},  // what is drawn in hex in a topic; ids that people chose
	"id.driver":          {1, 0.8},     // a tachograph's card, called a card; a licence number in what is a driver's
	"presence.behaviour": {0.92, 0.92}, // a state of somebody, called a state
	"special":            {1, 0.8},     // a religion that is "none"
}

// TestCorpus scores the repository's own labelled messages: self-written, of
// every format and class, with what only looks sensitive. The misses are shown.
func TestCorpus(t *testing.T) {
	src, err := os.ReadFile("../testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	r := score(t, Options{}, string(src))
	p := r.Part(Messages)
	for _, m := range p.Misses {
		t.Logf("%+v", m)
	}
	if p.Rows < 600 || p.Unread != 0 {
		t.Errorf("%d rows, %d unreadable; want at least 600, all readable", p.Rows, p.Unread)
	}
	if p.Clean < 200 || p.Alarms != 0 {
		t.Errorf("%d rows hold nothing, in %d of them something was found at L3 or above", p.Clean, p.Alarms)
	}
	seen := map[string]bool{}
	for _, k := range p.Classes {
		name := k.Class.String()
		seen[name] = true
		want, ok := floors[name]
		if !ok {
			want = [2]float64{0.95, 0.95}
		}
		if k.Precision() < want[0] || k.Recall() < want[1] {
			t.Errorf("%s: precision %.3f, recall %.3f; want %.3f and %.3f", name, k.Precision(), k.Recall(), want[0], want[1])
		}
	}
	for _, k := range classify.Classes() {
		if !seen[k.Name] && k.ID != classify.ClassIndustrialSensitive { // which is declared, never found
			t.Errorf("no row holds %s", k.Name)
		}
	}
}

// TestCorpusFormats: the corpus has a row of every format, each is read as what
// it says it is, and no two rows are the same but for digits.
func TestCorpusFormats(t *testing.T) {
	src, err := os.ReadFile("../testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	formats, shapes := map[string]int{}, map[string]string{}
	var d payload.Document
	for line := range bytes.Lines(src) {
		var row struct {
			ID, Topic, Payload, Format string
			B64                        []byte `json:"payload_b64"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		raw := []byte(row.Payload)
		if row.B64 != nil {
			raw = row.B64
		}
		if why := payload.Parse(&d, row.Topic, raw, payload.Limits{}); why != "" {
			t.Errorf("%s can't be read: %s", row.ID, why)
			continue
		}
		if got := d.FormatName(); got != row.Format {
			t.Errorf("%s is %s, not %s", row.ID, got, row.Format)
		}
		formats[row.Format]++
		shape := row.Format + strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '0'
			}
			return r
		}, row.Topic+string(raw))
		if before := shapes[shape]; before != "" {
			t.Errorf("%s differs from %s in digits alone", row.ID, before)
		}
		shapes[shape] = row.ID
	}
	for _, name := range strings.Fields("json jsonl cbor msgpack sparkplug xml nmea form lineprotocol logfmt csv text gzip zlib zstd jpeg png gif wav mp4 ogg gguf safetensors tflite numpy") {
		if formats[name] == 0 {
			t.Errorf("no row is %s; there are %v", name, slices.Sorted(maps.Keys(formats)))
		}
	}
}
