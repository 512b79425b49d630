// Command classify compares judging with what others do to the same bytes: the
// gitleaks library, twenty ordinary regular expressions, bare tokenizers of
// JSON, and one table look-up a byte, which is the floor. All run in turns in
// one process, and of each the least of many short rounds counts, so that a
// ratio holds whatever the machine and its load.
//
// It measures time alone: what gitleaks finds is credentials, and what the
// gateway finds is more, so that the two do not do the same work. Without one of
// its keywords in a message, gitleaks runs no expression, only its search for
// keywords: the sets of messages show both.
//
//	go -C bench run ./classify [-for 20s]
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

func main() {
	whole := flag.Duration("for", 20*time.Second, "how long to measure")
	flag.Parse()
	if err := run(os.Stdout, *whole); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

const topic = "fleet/berlin/truck-17/up"

// sets are messages of one device, 500 bytes and 30 fields or so each.
var sets = []struct {
	name     string
	messages [][]byte
}{
	{"one message again", made(func(int) int { return 1 }, "")},
	{"changing values", made(func(i int) int { return i }, "")},                            // every identifier, note and reading differs
	{"with a password", made(func(i int) int { return i }, `,"password":"Vx7-%04d-qLm2"`)}, // a keyword that starts gitleaks' expressions
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

// texts are 64 KiB each, as payloads that are no document hold them.
func texts() (names []string, out [][]byte) {
	r := rand.New(rand.NewSource(1))
	add := func(name string, piece func() string) {
		var b bytes.Buffer
		b.WriteString("Report of the night shift, as it was written down.\n\n")
		for b.Len() < 64<<10 {
			b.WriteString(piece())
		}
		names, out = append(names, name), append(out, b.Bytes())
	}
	add("prose", func() string {
		return "The pump in hall four was inspected on Monday; no leak was seen, and the crew left at noon. "
	})
	add("prose with numbers", func() string {
		return fmt.Sprintf("pump %d in hall %d ran %d hours at %d rpm and %.1f bar. ", r.Intn(100), r.Intn(10), r.Intn(1000), r.Intn(3000), r.Float64()*10)
	})
	add("log", func() string {
		return fmt.Sprintf("2024-06-%02d 12:%02d:%02d.%03d INFO  [gateway.uplink] connection re-established after %d ms, queue depth %d, retries %d\n",
			1+r.Intn(28), r.Intn(60), r.Intn(60), r.Intn(1000), r.Intn(5000), r.Intn(100), r.Intn(9))
	})
	add("numbers", func() string {
		return fmt.Sprintf("%d %.1f %d %d ", r.Intn(100), r.Float64()*100, r.Intn(10000), r.Intn(10))
	})
	add("seven digits each", func() string { return fmt.Sprintf("%d ", 1000000+r.Intn(9000000)) })
	add("hex dump", func() string {
		var x [16]byte
		r.Read(x[:])
		return fmt.Sprintf("%08x  % x  % x\n", r.Intn(1<<30), x[:8], x[8:])
	})
	add("UUIDs", func() string {
		var x [16]byte
		r.Read(x[:])
		return fmt.Sprintf("%x-%x-%x-%x-%x ", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
	})
	add("base64 in lines", func() string {
		var x [57]byte
		r.Read(x[:])
		return base64.StdEncoding.EncodeToString(x[:]) + "\n"
	})
	return names, out
}

// runner does its work on one message or text.
type runner struct {
	name string
	do   func([]byte) error
}

var errNothing = errors.New("it did nothing")

// scanners are what both messages and texts are compared with.
func scanners() ([]runner, error) {
	leaks, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("load gitleaks: %w", err)
	}
	var rs []*regexp.Regexp
	for _, x := range expressions {
		rs = append(rs, regexp.MustCompile(x))
	}
	var table [256]uint8
	for i := range table {
		table[i] = uint8(i*7) | 1
	}
	return []runner{
		{"gitleaks library", func(m []byte) error { leaks.DetectBytes(m); return nil }},
		{"20 expressions", func(m []byte) error {
			for _, r := range rs {
				r.FindIndex(m)
			}
			return nil
		}},
		{"table look-up", func(m []byte) error {
			n := 0
			for _, x := range m {
				n += int(table[x])
			}
			if n == 0 {
				return errNothing
			}
			return nil
		}},
	}, nil
}

// judges are ours, and the tokenizers.
func judges() ([]runner, error) {
	p, err := policy.BuiltIn("generic", policy.Vocabulary{Actions: protect.Specs()}, policy.Guard{})
	if err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	var s policy.Scratch
	var d payload.Document
	st := classify.NewState()
	r := p.Route(topic)
	now := int64(0)
	return []runner{
		{"judge", func(m []byte) error {
			now++
			v := p.Judge(&s, st, r, policy.Input{Topic: topic, Payload: m, Now: now, Subject: 7})
			if v.Reason != "" || len(v.Decisions) == 0 {
				return fmt.Errorf("verdict: %s, grade %s", v.Reason, v.Grade)
			}
			return nil
		}},
		{"our parser", func(m []byte) error {
			if why := payload.Parse(&d, topic, m, payload.Limits{}); why != "" {
				return fmt.Errorf("parse: %s", why)
			}
			return nil
		}},
		{"encoding/json tokens", func(m []byte) error {
			dec := json.NewDecoder(bytes.NewReader(m))
			dec.UseNumber()
			for {
				if _, err := dec.Token(); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		}},
		{"json.Valid", func(m []byte) error {
			if !json.Valid(m) {
				return errNothing
			}
			return nil
		}},
	}, nil
}

// job is a runner over inputs; best is the least time that a round took.
type job struct {
	runner
	inputs [][]byte
	best   time.Duration
}

// round measures a few times in a row, so that the others' work does not count
// as ours.
func (j *job) round() error {
	for began := time.Now(); ; {
		start := time.Now()
		for _, m := range j.inputs {
			if err := j.do(m); err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
		}
		if took := time.Since(start); j.best == 0 || took < j.best {
			j.best = took
		}
		if time.Since(began) > 5*time.Millisecond {
			return nil
		}
	}
}

func run(w io.Writer, whole time.Duration) error {
	ours, err := judges()
	if err != nil {
		return err
	}
	others, err := scanners()
	if err != nil {
		return err
	}
	var table [][]*job // of messages, by runner and set
	var all []*job
	for _, r := range append(ours, others...) {
		row := make([]*job, len(sets))
		for i := range sets {
			row[i] = &job{runner: r, inputs: sets[i].messages}
		}
		table, all = append(table, row), append(all, row...)
	}
	names, bodies := texts()
	judge, scan := ours[0], make([][]*job, len(bodies))
	for i, b := range bodies {
		for _, r := range append([]runner{judge}, others...) {
			scan[i] = append(scan[i], &job{runner: r, inputs: [][]byte{b}})
		}
		all = append(all, scan[i]...)
	}
	// At least one round of each; gitleaks takes long over texts.
	for end := time.Now().Add(whole); ; {
		for _, j := range all {
			if j.best > 0 && time.Now().After(end) {
				continue
			}
			if err := j.round(); err != nil {
				return err
			}
		}
		if time.Now().After(end) {
			break
		}
	}

	fmt.Fprintf(w, "%d messages of %d bytes, time for one; in brackets: to judging it\n\n", len(sets[0].messages), len(sets[0].messages[0]))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t")
	for i := range sets {
		fmt.Fprintf(t, "%s\t", sets[i].name)
	}
	fmt.Fprintln(t)
	for _, row := range table {
		fmt.Fprintf(t, "%s\t", row[0].name)
		for i, j := range row {
			n := float64(len(j.inputs))
			fmt.Fprintf(t, "%.2fµs (%.2f)\t", float64(j.best.Nanoseconds())/n/1000, float64(j.best)/float64(table[0][i].best))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintf(w, "\ntexts of %d KiB, MB/s\n\n", len(bodies[0])>>10)
	fmt.Fprintf(t, "\t%s\t\n", strings.Join(append([]string{judge.name}, nameAll(others)...), "\t"))
	for i, row := range scan {
		fmt.Fprintf(t, "%s\t", names[i])
		for _, j := range row {
			fmt.Fprintf(t, "%.1f\t", float64(len(bodies[i]))*1000/float64(j.best.Nanoseconds()))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func nameAll(rs []runner) (names []string) {
	for _, r := range rs {
		names = append(names, r.name)
	}
	return names
}
