// Package eval scores a classifier against labelled messages.
//
// Mental model: a labelled file is JSON lines; each row is a message with the
// places that hold sensitive data:
//
//	{"topic", "payload" or "payload_b64", "source", "labels": [{"path", "class", "weak"}]}
//
// [Read] turns rows into [Case]s, [Scorer.Add] compares what the classifier found with
// the labels, and [Scorer.Report] sums up: precision, recall and F2 for each
// class, micro and macro by source, so that one chatty source does not decide.
//
// A label marked weak is arguable: it scores neither way, and neither does a
// finding in its place. A leaf without a label is not sensitive.
//
// The package keeps no payload beyond a Case. It does not judge what a policy
// would do, and it prints nothing.
package eval

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// A Label is one place that holds sensitive data.
type Label struct {
	Path       string // JSON Pointer, "topic:N", "span:a-b" in the payload, "" the whole
	Class      classify.ClassID
	Weak       bool
	Start, End int // of a span; 0, 0: none
}

// A Case is one labelled message.
type Case struct {
	Line    int
	Source  string // what macro averages are over
	Topic   string
	Payload []byte
	Labels  []Label
}

// maxLine bounds one line of a labelled file.
const maxLine = 16 << 20

// Read calls f for each case of a labelled file. A line that can't be read is
// an error that names it.
func Read(r io.Reader, f func(Case) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	for line := 1; sc.Scan(); line++ {
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		c, err := parseCase(sc.Bytes())
		if err != nil {
			return fmt.Errorf("read line %d: %w", line, err)
		}
		c.Line = line
		if err := f(c); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read labelled data: %w", err)
	}
	return nil
}

type row struct {
	Topic      string  `json:"topic"`
	Payload    *string `json:"payload"`
	PayloadB64 *string `json:"payload_b64"`
	Source     string  `json:"source"`
	Labels     []struct {
		Path  string `json:"path"`
		Class string `json:"class"`
		Weak  bool   `json:"weak"`
	} `json:"labels"`
}

var errNoPayload = errors.New("neither payload nor payload_b64")

func parseCase(line []byte) (Case, error) {
	var x row
	if err := json.Unmarshal(line, &x); err != nil {
		return Case{}, err
	}
	c := Case{Source: x.Source, Topic: x.Topic}
	switch {
	case x.Payload != nil:
		c.Payload = []byte(*x.Payload)
	case x.PayloadB64 != nil:
		b, err := base64.StdEncoding.DecodeString(*x.PayloadB64)
		if err != nil {
			return Case{}, fmt.Errorf("decode payload_b64: %w", err)
		}
		c.Payload = b
	default:
		return Case{}, errNoPayload
	}
	for _, l := range x.Labels {
		id, ok := classify.ClassByName(l.Class)
		if !ok {
			return Case{}, fmt.Errorf("unknown class %q", l.Class)
		}
		label := Label{Path: l.Path, Class: id, Weak: l.Weak}
		if span, ok := strings.CutPrefix(l.Path, "span:"); ok {
			a, b, _ := strings.Cut(span, "-")
			var err1, err2 error
			label.Start, err1 = strconv.Atoi(a)
			label.End, err2 = strconv.Atoi(b)
			if err := errors.Join(err1, err2); err != nil || label.End <= label.Start {
				return Case{}, fmt.Errorf("label has span %q", span)
			}
		}
		c.Labels = append(c.Labels, label)
	}
	return c, nil
}

// Count is what became of the labels and findings of one class.
type Count struct{ Found, Missed, False int }

// Precision is the share of findings that are right; 1 where there are none.
func (c Count) Precision() float64 { return share(c.Found, c.False) }

// Recall is the share of labels that were found; 1 where there are none.
func (c Count) Recall() float64 { return share(c.Found, c.Missed) }

// F2 is the harmonic mean of both that weighs recall twice.
func (c Count) F2() float64 {
	p, r := c.Precision(), c.Recall()
	if p+r == 0 {
		return 0
	}
	return 5 * p * r / (4*p + r)
}

func share(good, bad int) float64 {
	if good+bad == 0 {
		return 1
	}
	return float64(good) / float64(good+bad)
}

// A Miss is a label that was not found, or a finding without one.
type Miss struct {
	Line  int
	Path  string
	Class classify.ClassID
	Grade classify.Grade // of a false finding
	By    string         // the detector of a false finding; empty: the label was missed
}

// A Scorer compares findings with labels. Not for concurrent use.
type Scorer struct {
	c       *classify.Classifier
	s       classify.Scratch
	d       payload.Document
	classes map[classify.ClassID]*Count
	sources map[string]*Count
	misses  []Miss

	unlabelled, unlabelledFalse int // messages
	unreadable                  int
}

// NewScorer returns a scorer for a classifier.
func NewScorer(c *classify.Classifier) *Scorer {
	return &Scorer{c: c, classes: map[classify.ClassID]*Count{}, sources: map[string]*Count{}}
}

// Add classifies one case and scores it. An unreadable payload is sealed whole,
// so its labels are not scored; Report counts it.
func (s *Scorer) Add(k Case) {
	reason := payload.Parse(&s.d, k.Topic, k.Payload, payload.Limits{})
	r := s.c.Find(&s.s, nil, &s.d, classify.Context{})
	if r.Reason != "" || reason != "" {
		s.unreadable++
		return
	}
	used := make([]bool, len(k.Labels))
	highFalse := false
	for i := range r.Findings {
		f := &r.Findings[i]
		path := string(s.d.AppendPath(nil, f.Field))
		at := s.place(f)
		right := false
		for j, l := range k.Labels {
			if !s.covers(f, path, at, &l) {
				continue
			}
			if l.Class == f.Class {
				used[j], right = true, true
			} else if l.Weak {
				right = true // arguable: neither way
			}
		}
		if !right {
			highFalse = highFalse || f.Grade >= classify.L3
			s.count(f.Class).False++
			s.source(k.Source).False++
			s.misses = append(s.misses, Miss{k.Line, path, f.Class, f.Grade, s.c.DetectorName(f.Detector)})
		}
	}
	for j, l := range k.Labels {
		switch {
		case l.Weak:
		case used[j]:
			s.count(l.Class).Found++
			s.source(k.Source).Found++
		default:
			s.count(l.Class).Missed++
			s.source(k.Source).Missed++
			s.misses = append(s.misses, Miss{Line: k.Line, Path: l.Path, Class: l.Class})
		}
	}
	if len(k.Labels) == 0 {
		s.unlabelled++
		if highFalse {
			s.unlabelledFalse++
		}
	}
}

func (s *Scorer) count(c classify.ClassID) *Count {
	n := s.classes[c]
	if n == nil {
		n = &Count{}
		s.classes[c] = n
	}
	return n
}

func (s *Scorer) source(name string) *Count {
	n := s.sources[name]
	if n == nil {
		n = &Count{}
		s.sources[name] = n
	}
	return n
}

// place is where a finding stands in the payload.
func (s *Scorer) place(f *classify.Finding) payload.Span {
	x := &s.d.Fields[f.Field]
	if f.Whole() {
		return x.Raw
	}
	return s.d.Locate(f.Field, f.Start, f.End)
}

func (s *Scorer) covers(f *classify.Finding, path string, at payload.Span, l *Label) bool {
	if l.End > 0 {
		return s.d.Fields[f.Field].Kind != payload.KindTopic && int(at.Start) < l.End && l.Start < int(at.End)
	}
	// A finding on a container covers what is inside, and the other way round
	// for what is labelled as a whole.
	return path == l.Path || strings.HasPrefix(l.Path, path+"/") && path != "" || strings.HasPrefix(path, l.Path+"/") && l.Path != ""
}

// Report is the sum of a run.
type Report struct {
	Classes         map[classify.ClassID]Count
	Total           Count
	MacroRecall     float64 // mean over sources that have labels
	MacroPrecision  float64 // mean over sources that have findings
	Unlabelled      int     // messages without a label
	UnlabelledFalse int     // of these: with a finding at L3 or above
	Unreadable      int     // messages that were not scored
	Misses          []Miss
}

// Report sums up.
func (s *Scorer) Report() Report {
	r := Report{Classes: map[classify.ClassID]Count{}, Unlabelled: s.unlabelled, UnlabelledFalse: s.unlabelledFalse, Unreadable: s.unreadable, Misses: s.misses}
	for id, n := range s.classes {
		r.Classes[id] = *n
		r.Total.Found += n.Found
		r.Total.Missed += n.Missed
		r.Total.False += n.False
	}
	var recalls, precisions int
	for _, n := range s.sources {
		if n.Found+n.Missed > 0 {
			r.MacroRecall += n.Recall()
			recalls++
		}
		if n.Found+n.False > 0 {
			r.MacroPrecision += n.Precision()
			precisions++
		}
	}
	r.MacroRecall /= float64(max(recalls, 1))
	r.MacroPrecision /= float64(max(precisions, 1))
	return r
}
