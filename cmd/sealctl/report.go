package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// A report shows verdicts as they come, and sums them up. Of many messages it
// shows what was found by its path.
type report struct {
	e       *env
	o       *classifyOptions
	policy  string
	classes map[classify.ClassID]*classify.Class
	bar     *progress
	out     *bufio.Writer
	held    []heldVerdict // the first few, until it is known whether there are many
	places  places
	sum     summary
}

// few is how many messages are shown each.
const few = 12

type heldVerdict struct {
	name, topic string
	verdict
}

// A summary counts messages and findings.
type summary struct {
	Messages int            `json:"messages"`
	Clean    int            `json:"clean"` // without a finding
	Grades   map[string]int `json:"grades"`
	Actions  map[string]int `json:"actions"`
	Reasons  map[string]int `json:"reasons"`
	Classes  map[string]int `json:"classes"` // findings
}

type reportMessage struct {
	File     string          `json:"file"`
	Topic    string          `json:"topic"`
	Format   string          `json:"format"`
	Bytes    int             `json:"bytes"`
	Route    string          `json:"route"`
	Grade    string          `json:"grade"`
	Residual string          `json:"residual_grade"`
	Action   string          `json:"action"`
	Mode     string          `json:"mode"`
	Reason   string          `json:"reason"`
	Findings []reportFinding `json:"findings"`
	Loose    []string        `json:"unclassified"` // paths of what is encrypted because nobody knows what it holds
}

type reportFinding struct {
	finding
	Does    string   `json:"action_full"` // with its parameters
	Why     []string `json:"why"`
	Raised  []string `json:"raised"`
	Shape   string   `json:"shape,omitempty"`   // --explain
	Clauses []string `json:"clauses,omitempty"` // --explain
}

// errWrite marks an error of the output.
var errWrite = errors.New("write report")

func newReport(e *env, j *judge, o *classifyOptions, bar *progress) *report {
	r := &report{e: e, o: o, bar: bar, out: bufio.NewWriter(e.stdout), classes: map[classify.ClassID]*classify.Class{}}
	all := classify.Classes()
	for i := range all {
		r.classes[all[i].ID] = &all[i]
	}
	r.policy = "built-in policy, profile " + j.policy.Profile()
	if o.policy != "" {
		r.policy = fmt.Sprintf("policy %s version %d, profile %s", visible(o.policy), j.policy.Version(), j.policy.Profile())
	}
	r.sum = summary{Grades: map[string]int{}, Actions: map[string]int{}, Reasons: map[string]int{}, Classes: map[string]int{}}
	return r
}

func (r *report) add(name, topic string, v *verdict) error {
	r.sum.add(v)
	switch {
	case r.o.asJSON:
		r.line(r.json(name, topic, v))
	case r.o.each:
		r.table(name, topic, v)
	default:
		r.places.add(v)
		if r.sum.Messages > few {
			r.held = nil
			return nil
		}
		r.held = append(r.held, heldVerdict{name, topic, *v})
		return nil
	}
	return r.flush()
}

func (s *summary) add(v *verdict) {
	s.Messages++
	if len(v.Findings) == 0 {
		s.Clean++
	}
	s.Grades[v.Grade.String()]++
	s.Actions[v.Action]++
	if v.Reason != "" {
		s.Reasons[string(v.Reason)]++
	}
	for i := range v.Findings {
		s.Classes[v.Findings[i].Class]++
	}
}

func (r *report) flush() error {
	r.bar.clear()
	if err := r.out.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

// line writes one line of JSON.
func (r *report) line(v any) {
	enc := json.NewEncoder(r.out)
	enc.SetEscapeHTML(false)
	enc.Encode(v) // an error stays in out until it is flushed
}

func (r *report) json(name, topic string, v *verdict) reportMessage {
	m := reportMessage{
		File: name, Topic: topic, Format: v.Format, Bytes: v.Bytes, Route: v.Route, Grade: v.Grade.String(),
		Residual: v.Residual.String(), Action: v.Action, Mode: "enforce", Reason: string(v.Reason), Findings: []reportFinding{}, Loose: orEmpty(v.Loose),
	}
	if v.Observe {
		m.Mode = "observe"
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		x := reportFinding{finding: *f, Does: f.full, Why: whyShort(f.why), Raised: raiseShort(f.raised)}
		if r.o.explain {
			x.Clauses, x.Shape = r.classes[f.class].Clauses, f.shape
		}
		m.Findings = append(m.Findings, x)
	}
	return m
}

// table shows one message.
func (r *report) table(name, topic string, v *verdict) {
	e, w := r.e, r.out
	facts := []string{v.Format, byteSize(v.Bytes)}
	if topic != "" {
		facts = append(facts, "topic "+visible(topic))
	}
	if v.Route != "" && r.o.policy != "" {
		facts = append(facts, "route "+v.Route)
	}
	fmt.Fprintf(w, "%s  %s\n", e.styled(bold, nameOf(name)), e.styled(faint, strings.Join(facts, ", ")))
	if len(v.Findings) > 0 {
		t := table{head: []string{"PATH", "CLASS", "GRADE", "SURE", "WHY", "ACTION"}, right: []bool{false, false, false, true, false, false}, flex: 0, spare: 4}
		for i := range v.Findings {
			f := &v.Findings[i]
			t.add(
				cell{visible(cmp.Or(f.Path, "(whole)")), plain}, cell{f.Class, plain}, cell{f.Grade, gradeStyle(f.grade)},
				cell{fmt.Sprintf("%d%%", f.Confidence), plain}, cell{strings.Join(whyShort(f.why), " "), faint}, cell{f.Action, actionStyle(f.Action)},
			)
			if r.o.explain {
				r.explain(&t, f, fmt.Sprintf(" at bytes %d to %d", f.Start, f.End))
			}
		}
		t.write(w, e, 2)
	}
	fmt.Fprintf(w, "  %s\n", r.outcome(topic, v))
	if len(v.Loose) > 0 {
		r.loose(v.Loose)
	}
	fmt.Fprintln(w)
}

// loose lists what is encrypted without a finding: without --explain only the
// first few.
func (r *report) loose(paths []string) {
	const most = 3
	shown := paths
	if !r.o.explain && len(shown) > most {
		shown = shown[:most]
	}
	text := "encrypted as well, as nothing is known about it:"
	for _, p := range shown {
		text += " " + visible(cmp.Or(p, "(whole)"))
	}
	if more := len(paths) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %s more", thousands(more))
	}
	for _, line := range wrap(text, r.e.width-2) {
		fmt.Fprintf(r.out, "  %s\n", r.e.styled(faint, line))
	}
}

// explain adds what is behind a finding that stands at a place.
func (r *report) explain(t *table, f *finding, at string) {
	c := r.classes[f.class]
	t.note(fmt.Sprintf("%s. Found by %s%s: %s.", strings.TrimSuffix(c.Doc, "."), f.Detector, at, strings.Join(whyWords(f.why), ", ")))
	if f.shape != "" {
		t.note("It is written " + f.shape)
	}
	if raised := raiseWords(f.raised); len(raised) > 0 {
		t.note("Graded higher because " + strings.Join(raised, " and ") + ".")
	}
	t.note("Action: " + f.full + ".")
	if len(c.Clauses) > 0 {
		t.note(strings.Join(c.Clauses, "; ") + ".")
	}
}

// outcome says in one line what happens to the message.
func (r *report) outcome(topic string, v *verdict) string {
	e := r.e
	grade := e.styled(gradeStyle(v.Grade), v.Grade.String())
	action := e.styled(actionStyle(v.Action), v.Action)
	line := fmt.Sprintf("%s → %s", grade, action)
	if len(v.Findings) == 0 && v.Action == "pass" && v.Reason == "" {
		line += ": nothing sensitive found"
	} else if s := reasonWords(v); s != "" {
		line += ": " + s
	}
	if v.Reason == policy.ReasonNoRoute && topic == "" {
		line += "; say --topic"
	}
	if v.Observe {
		line += e.styled(yellow, " (observed only: leaves unchanged)")
	}
	return line
}

func (r *report) close() error {
	if r.o.asJSON {
		r.line(struct {
			Policy  string  `json:"policy"`
			Summary summary `json:"summary"`
		}{r.policy, r.sum})
		return r.flush()
	}
	for i := range r.held {
		h := &r.held[i]
		r.table(h.name, h.topic, &h.verdict)
	}
	if r.held == nil && !r.o.each {
		r.showPlaces()
	}
	e, w := r.e, r.out
	if r.sum.Messages > 1 {
		fmt.Fprintf(w, "%s  %s\n", e.styled(bold, "summary"), e.styled(faint, plural(r.sum.Messages, "message", "messages")+", "+thousands(r.sum.Clean)+" without a finding"))
		r.counts("by grade", r.sum.Grades, false)
		r.counts("by action", r.sum.Actions, true)
		r.counts("by class", r.sum.Classes, true)
		r.counts("by reason", r.sum.Reasons, true)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s\n", e.styled(faint, "by the "+strings.TrimPrefix(r.policy, "the ")))
	return r.flush()
}

// counts lists names with their numbers, by number or by name.
func (r *report) counts(label string, m map[string]int, byNumber bool) {
	if len(m) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if byNumber && m[a] != m[b] {
			return cmp.Compare(m[b], m[a])
		}
		return cmp.Compare(a, b)
	})
	for i, n := range names {
		names[i] = n + " " + thousands(m[n])
	}
	for _, line := range flow(names, "  ", r.e.width-13) {
		fmt.Fprintf(r.out, "  %-9s  %s\n", label, line)
		label = ""
	}
}
