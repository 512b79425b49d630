package main

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// A report shows verdicts as they come, and sums them up.
type report struct {
	e       *env
	o       *classifyOptions
	policy  string
	classes map[classify.ClassID]*classify.Class
	out     *bufio.Writer
	shown   []reportMessage // for --json
	files   int
	sum     summary
}

// A summary counts messages and findings.
type summary struct {
	Messages int            `json:"messages"`
	Clean    int            `json:"clean"` // without a finding
	Grades   map[string]int `json:"grades"`
	Actions  map[string]int `json:"actions"`
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
	Clauses []string `json:"clauses,omitempty"` // --explain
}

func newReport(e *env, j *judge, o *classifyOptions, files int) *report {
	r := &report{e: e, o: o, files: files, out: bufio.NewWriter(e.stdout), classes: map[classify.ClassID]*classify.Class{}}
	all := classify.Classes()
	for i := range all {
		r.classes[all[i].ID] = &all[i]
	}
	r.policy = "built-in policy, profile " + j.policy.Profile()
	if o.policy != "" {
		r.policy = fmt.Sprintf("policy %s version %d, profile %s", visible(o.policy), j.policy.Version(), j.policy.Profile())
	}
	r.sum = summary{Grades: map[string]int{}, Actions: map[string]int{}, Classes: map[string]int{}}
	return r
}

func (r *report) add(path string, v *verdict) error {
	r.sum.Messages++
	if len(v.Findings) == 0 {
		r.sum.Clean++
	}
	r.sum.Grades[v.Grade.String()]++
	r.sum.Actions[v.Action]++
	for i := range v.Findings {
		r.sum.Classes[v.Findings[i].Class]++
	}
	if r.o.asJSON {
		r.shown = append(r.shown, r.json(path, v))
		return nil
	}
	r.table(path, v)
	if err := r.out.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *report) json(path string, v *verdict) reportMessage {
	m := reportMessage{
		File: path, Topic: r.o.topic, Format: v.Format, Bytes: v.Bytes, Route: v.Route, Grade: v.Grade.String(),
		Residual: v.Residual.String(), Action: v.Action, Mode: "enforce", Reason: string(v.Reason), Findings: []reportFinding{}, Loose: orEmpty(v.Loose),
	}
	if v.Observe {
		m.Mode = "observe"
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		x := reportFinding{finding: *f, Does: f.full, Why: whyShort(f.why), Raised: raiseShort(f.raised)}
		if r.o.explain {
			x.Clauses = r.classes[f.class].Clauses
		}
		m.Findings = append(m.Findings, x)
	}
	return m
}

// table shows one message.
func (r *report) table(path string, v *verdict) {
	e, w := r.e, r.out
	if r.sum.Messages > 1 {
		fmt.Fprintln(w)
	}
	facts := []string{v.Format, byteSize(v.Bytes)}
	if r.o.topic != "" {
		facts = append(facts, "topic "+visible(r.o.topic))
	}
	if v.Route != "" && r.o.policy != "" {
		facts = append(facts, "route "+v.Route)
	}
	fmt.Fprintf(w, "%s  %s\n", e.styled(bold, nameOf(path)), e.styled(faint, strings.Join(facts, ", ")))
	if len(v.Findings) > 0 {
		t := table{head: []string{"PATH", "CLASS", "GRADE", "SURE", "WHY", "ACTION"}, right: []bool{false, false, false, true, false, false}, flex: 0}
		for i := range v.Findings {
			f := &v.Findings[i]
			t.add(
				cell{visible(cmp.Or(f.Path, "(whole)")), plain}, cell{f.Class, plain}, cell{f.Grade, gradeStyle(f.grade)},
				cell{fmt.Sprintf("%d%%", f.Confidence), plain}, cell{strings.Join(whyShort(f.why), " "), faint}, cell{f.Action, actionStyle(f.Action)},
			)
			if r.o.explain {
				r.explain(&t, f)
			}
		}
		t.write(w, e, 2)
	}
	fmt.Fprintf(w, "  %s\n", r.outcome(v))
	if len(v.Loose) > 0 {
		r.loose(v.Loose)
	}
}

// loose lists what is encrypted without a finding: without --explain only the
// first few.
func (r *report) loose(paths []string) {
	const few = 3
	shown := paths
	if !r.o.explain && len(shown) > few {
		shown = shown[:few]
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

// explain adds what is behind a finding.
func (r *report) explain(t *table, f *finding) {
	c := r.classes[f.class]
	evidence := strings.Join(whyWords(f.why), ", ")
	t.note(fmt.Sprintf("%s Found by %s at bytes %d to %d: %s.", c.Doc, f.Detector, f.Start, f.End, evidence))
	if raised := raiseWords(f.raised); len(raised) > 0 {
		t.note("Graded higher because " + strings.Join(raised, " and ") + ".")
	}
	t.note("Action: " + f.full + ".")
	if len(c.Clauses) > 0 {
		t.note(strings.Join(c.Clauses, "; ") + ".")
	}
}

// outcome says in one line what happens to the message.
func (r *report) outcome(v *verdict) string {
	e := r.e
	grade := e.styled(gradeStyle(v.Grade), v.Grade.String())
	action := e.styled(actionStyle(v.Action), v.Action)
	line := fmt.Sprintf("%s → %s", grade, action)
	if len(v.Findings) == 0 && v.Action == "pass" && v.Reason == "" {
		line += ": nothing sensitive found"
	} else if s := reasonWords(v); s != "" {
		line += ": " + s
	}
	if v.Reason == policy.ReasonNoRoute && r.o.topic == "" {
		line += "; say --topic"
	}
	if v.Observe {
		line += e.styled(yellow, " (observed only: leaves unchanged)")
	}
	return line
}

func (r *report) close() error {
	if r.o.asJSON {
		return r.e.printJSON(struct {
			Policy   string          `json:"policy"`
			Messages []reportMessage `json:"messages"`
			Summary  summary         `json:"summary"`
		}{r.policy, r.shown, r.sum})
	}
	e, w := r.e, r.out
	if r.files > 1 {
		fmt.Fprintf(w, "\n%s  %s\n", e.styled(bold, "summary"), e.styled(faint, plural(r.sum.Messages, "message", "messages")+", "+thousands(r.sum.Clean)+" without a finding"))
		r.counts("by grade", r.sum.Grades, false)
		r.counts("by action", r.sum.Actions, true)
		r.counts("by class", r.sum.Classes, true)
	}
	fmt.Fprintf(w, "\n%s\n", e.styled(faint, "by the "+strings.TrimPrefix(r.policy, "the ")))
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
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
