// Package classify compares judging a message with what others do to the same
// bytes: the gitleaks library, ordinary regular expressions, bare tokenizers
// and one table look-up a byte. Each benchmark judges the same message, so a
// ratio of two lines of one run holds whatever the machine.
//
// It measures time alone: what gitleaks finds is credentials, and what the
// gateway finds is more, so that the two do not do the same work.
package classify

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

const topic = "fleet/berlin/truck-17/up"

// sets are messages of one device, 500 bytes and 30 fields or so each.
var sets = []struct {
	name     string
	messages [][]byte
}{
	{"same", made(func(int) int { return 1 }, "")},                                    // one message again and again
	{"changing", made(func(i int) int { return i }, "")},                              // every identifier, note and reading differs
	{"credential", made(func(i int) int { return i }, `,"password":"Vx7-%04d-qLm2"`)}, // the same, and a word that starts expressions
}

// made makes 64 messages from what number stands for each.
func made(number func(int) int, more string) [][]byte {
	ms := make([][]byte, 64)
	for k := range ms {
		i := number(k)
		m := fmt.Appendf(nil, `{"messageId":"c0a8%04x-%02d","type":"telemetry","deviceInfo":{"devEui":"70b3d57ed0041a2b","model":"TR-40","firmware":"2.14.%d","online":true},`+
			`"ts":%d,"location":{"latitude":52.52%04d,"longitude":13.40%04d,"altitude":34.5,"accuracy":4.2},`+
			`"readings":{"temperature":21.%d,"humidity":48,"pressure":1013.2,"battery":3.61,"rssi":-%d,"snr":7.5,"state":"moving","alarm":null},`+
			`"driver":{"firstName":"Katrin","lastName":"Vogt","shift":"early"},"counters":[17,4,%d,0],"note":"door %d opened at dock"`,
			i*811, i, i%10, 1718000123456+i*977, i*37, i*53, i%10, 50+i%40, 2291+i, i)
		if more != "" {
			m = fmt.Appendf(m, more, i)
		}
		ms[k] = append(m, '}')
	}
	return ms
}

// expressions are such as one would write to find the same kinds of data.
var expressions = []string{
	`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`,
	`\b(?:\d[ -]*?){13,19}\b`,
	`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b`,
	`\b\d{3}-\d{2}-\d{4}\b`,
	`\b(?:\d{1,3}\.){3}\d{1,3}\b`,
	`\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b`,
	`\+\d{1,3}[ -]?(?:\d[ -]?){6,12}`,
	`\b[A-HJ-NPR-Z0-9]{17}\b`,
	`\b\d{17}[\dX]\b`,
	`eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`,
	`-----BEGIN [A-Z ]*PRIVATE KEY-----`,
	`(?i)"(?:password|passwd|pwd|secret|token|api_?key)"\s*:\s*"[^"]+"`,
	`(?i)"(?:first|last|full)_?name"\s*:\s*"[^"]+"`,
	`(?i)"lat(?:itude)?"\s*:\s*-?\d+\.\d{3,}`,
	`(?i)"(?:lon|lng|longitude)"\s*:\s*-?\d+\.\d{3,}`,
	`(?i)"(?:licen[cs]e_?)?plate"\s*:\s*"[^"]+"`,
	`(?i)"(?:heart_?rate|spo2|blood_?pressure)"\s*:`,
	`\b[13][a-km-zA-HJ-NP-Z1-9]{25,34}\b`,
	`\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b`,
	`[a-z]+://[^/\s:]+:[^@\s]+@`,
}

// runners are what is compared: each does its work on one message.
func runners(b *testing.B, messages [][]byte) map[string]func([]byte) {
	b.Helper()
	p, err := policy.BuiltIn("generic", policy.Vocabulary{Actions: protect.Specs()}, policy.Guard{})
	if err != nil {
		b.Fatal(err)
	}
	leaks, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		b.Fatal(err)
	}
	var rs []*regexp.Regexp
	for _, x := range expressions {
		rs = append(rs, regexp.MustCompile(x))
	}
	var table [256]uint8
	for i := range table {
		table[i] = uint8(i*7) | 1
	}
	var s policy.Scratch
	var d payload.Document
	st := classify.NewState()
	r := p.Route(topic)
	now := int64(0)
	return map[string]func([]byte){
		"judge": func(m []byte) {
			now++
			v := p.Judge(&s, st, r, policy.Input{Topic: topic, Payload: m, Now: now, Subject: 7})
			if v.Reason != "" || !v.Classes.Has(classify.ClassPersonName) || len(v.Decisions) == 0 {
				b.Fatalf("verdict: %s, grade %s", v.Reason, v.Grade)
			}
		},
		"gitleaks": func(m []byte) { leaks.DetectBytes(m) },
		"regexps": func(m []byte) {
			for _, r := range rs {
				r.FindIndex(m)
			}
		},
		"parser": func(m []byte) {
			if why := payload.Parse(&d, topic, m, payload.Limits{}); why != "" {
				b.Fatal(why)
			}
		},
		"json.Valid": func(m []byte) {
			if !json.Valid(m) {
				b.Fatal("not valid")
			}
		},
		"table": func(m []byte) {
			n := 0
			for _, x := range m {
				n += int(table[x])
			}
			if n == 0 {
				b.Fatal("nothing was read")
			}
		},
	}
}

// BenchmarkRatios reports how often judging fits in the time of each of the
// others: the least of many short rounds of each, taken in turns.
func BenchmarkRatios(b *testing.B) {
	for _, set := range sets {
		b.Run(set.name, func(b *testing.B) {
			run := runners(b, set.messages)
			best := map[string]time.Duration{}
			for b.Loop() {
				for range 5 {
					for name, f := range run {
						start := time.Now()
						for _, m := range set.messages {
							f(m)
						}
						if took := time.Since(start); best[name] == 0 || took < best[name] {
							best[name] = took
						}
					}
				}
			}
			for name, took := range best {
				if name == "judge" {
					b.ReportMetric(float64(took.Nanoseconds())/float64(len(set.messages)), "judge-ns")
				} else {
					b.ReportMetric(float64(took)/float64(best["judge"]), name+"/judge")
				}
			}
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, set := range sets {
		run := runners(b, set.messages)
		for _, name := range slices.Sorted(maps.Keys(run)) {
			b.Run(set.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(set.messages[0])))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					run[name](set.messages[i%len(set.messages)])
				}
			})
		}
	}
}
