package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/eval"
)

type evalOptions struct {
	profile   string
	report    string
	asJSON    bool
	misses    int
	groups    bool
	values    bool
	minRecall float64
	maxFalse  float64
}

func newEval(e *env) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval FILE...",
		Short: "Score the classifier against labelled data of your own",
		Long: `Eval classifies labelled data and compares. Each line of a FILE is a message with
the places in it that hold sensitive data:
  {"topic": "site/door", "payload": "{\"mail\": \"a@b.example\"}", "source": "doors",
   "labels": [{"path": "/mail", "class": "contact.email"}]}
A path is a JSON Pointer, topic:N, span:A-B in bytes, or empty for the whole. A
label with "weak": true is arguable and scores neither way. "source" is what means
are over.

Lines of other kinds are told by their members, and each kind is summed up for
itself. A text with the entities of Microsoft Presidio in it, at characters of the
text; with a target only that type is scored, without one all are:
  {"text": "IBAN …", "entities": [{"type": "IBAN_CODE", "start": 5, "end": 27}],
   "target": "IBAN_CODE"}
A text that holds a credential or does not:
  {"text": "key = …", "secret": true, "kind": "aws", "suite": "mine"}

Precision is the share of findings that are right, recall the share of labels
that were found; F1 joins both, F2 weighs recall twice. A row that can't be read
counts as missed, although a gateway seals it. Misses are shown by their shape;
--show-values shows the values as well. A row without any label is clean: in
messages a finding at L3 or above is one too many there, in texts any.

It exits with 3 if --min-recall or --max-false is not kept by some kind.`,
		Example: `  sealctl eval labelled.jsonl
  sealctl eval --groups --misses 30 messages.jsonl secrets.jsonl
  sealctl eval --report scores.html labelled.jsonl
  sealctl eval --min-recall 0.95 --max-false 0.02 labelled.jsonl   # in CI`,
		Args: want(1, -1, "a file of labelled data, or - for stdin"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.profile != "" && !slices.Contains(classify.Profiles(), o.profile) {
				return usageError("there is no profile %q; choose one of %q", o.profile, classify.Profiles())
			}
			for _, v := range []float64{o.minRecall, o.maxFalse} {
				if v < 0 || v > 1 {
					return usageError("--min-recall and --max-false are shares from 0 to 1")
				}
			}
			r, err := e.score(&o, args)
			if err != nil {
				return err
			}
			if o.report != "" {
				if err := writePage(o.report, "eval", evalReportPage(r, &o, args)); err != nil {
					return err
				}
			}
			if o.asJSON {
				err = e.printJSON(describeReport(r))
			} else {
				err = e.showScores(r, &o)
			}
			if err != nil {
				return err
			}
			return o.keep(r, c.Flags().Changed("max-false"))
		},
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", "", "grade by this legal `PROFILE`: generic, eu, cn, automotive")
	f.IntVar(&o.misses, "misses", 10, "show the `N` worst kinds of miss of each kind of row")
	f.BoolVar(&o.groups, "groups", false, "show each source, type of entity or kind of secret")
	f.BoolVar(&o.values, "show-values", false, "show the values that were missed, not only their shape")
	f.Float64Var(&o.minRecall, "min-recall", 0, "fail if the mean `SHARE` of labels that are found is lower")
	f.Float64Var(&o.maxFalse, "max-false", 1, "fail if in a higher `SHARE` of clean rows something is found")
	f.StringVar(&o.report, "report", "", "also write a page with plots to this HTML `FILE`")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

// score reads all files into one report.
func (e *env) score(o *evalOptions, files []string) (*eval.Report, error) {
	k, err := classify.New(classify.Options{Profile: o.profile})
	if err != nil {
		return nil, fmt.Errorf("make classifier: %w", err)
	}
	s := eval.NewScorer(k, eval.Options{Values: o.values})
	for _, name := range files {
		if err := e.scoreFile(s, name); err != nil {
			return nil, err
		}
	}
	r := s.Report()
	if len(r.Parts) == 0 {
		return nil, fmt.Errorf("read labelled data: there are no rows in %s", strings.Join(files, ", "))
	}
	return &r, nil
}

func (e *env) scoreFile(s *eval.Scorer, name string) error {
	in, err := e.open(name)
	if err != nil {
		return fmt.Errorf("read labelled data: %w", err)
	}
	defer in.Close()
	s.File(name)
	if err := eval.Read(in, func(x eval.Case) error { s.Add(x); return nil }); err != nil {
		return fmt.Errorf("%s: %w", nameOf(name), err)
	}
	return nil
}

// keep holds a report to the gates.
func (o *evalOptions) keep(r *eval.Report, capped bool) error {
	var broken []string
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.MacroRecall < o.minRecall {
			broken = append(broken, fmt.Sprintf("%s: recall %.3f is below %.3f", p.Kind, p.MacroRecall, o.minRecall))
		}
		if capped && p.AlarmRate() > o.maxFalse {
			broken = append(broken, fmt.Sprintf("%s: a share of %.3f of the clean rows has a finding, more than %.3f", p.Kind, p.AlarmRate(), o.maxFalse))
		}
	}
	if len(broken) > 0 {
		return bad(fmt.Errorf("not good enough: %s", strings.Join(broken, "; ")))
	}
	return nil
}

var groupWords = map[eval.Kind][2]string{
	eval.Messages: {"source", "sources"}, eval.Prose: {"source", "sources"},
	eval.Text: {"type", "types"}, eval.Secrets: {"kind", "kinds"},
}

func (e *env) showScores(r *eval.Report, o *evalOptions) error {
	w := &strings.Builder{}
	for i := range r.Parts {
		if i > 0 {
			fmt.Fprintln(w)
		}
		e.showPart(w, &r.Parts[i], o)
	}
	_, err := io.WriteString(e.stdout, w.String())
	if err != nil {
		return fmt.Errorf("write scores: %w", err)
	}
	return nil
}

func (e *env) showPart(w io.Writer, p *eval.Part, o *evalOptions) {
	words := groupWords[p.Kind]
	fmt.Fprintf(w, "%s  %s\n", e.styled(bold, p.Kind.String()), e.styled(faint, plural(p.Rows, "row", "rows")+", "+plural(len(p.Groups), words[0], words[1])))
	if p.Kind == eval.Secrets {
		e.showSuites(w, p)
	} else {
		e.showClasses(w, p)
	}
	for _, line := range asides(p) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if o.groups {
		e.showGroups(w, p)
	}
	e.showConfusion(w, p)
	e.showMeasures(w, p)
	e.showMisses(w, p, o)
}

var scoreHead = []string{"", "PRECISION", "RECALL", "F1", "F2", "FOUND", "MISSED", "FALSE"}
var scoreRight = []bool{false, true, true, true, true, true, true, true}

func scoreCells(name cell, c eval.Count) []cell {
	share := func(v float64, of int) cell {
		if of == 0 {
			return cell{"–", faint}
		}
		return cell{fmt.Sprintf("%.3f", v), scoreStyle(v)}
	}
	labels, findings := c.Found+c.Missed, c.Found+c.False
	return []cell{
		name, share(c.Precision(), findings), share(c.Recall(), labels), share(c.F1(), labels), share(c.F2(), labels),
		number(c.Found, plain), number(c.Missed, yellow), number(c.False, yellow),
	}
}

// number is a count; none is not worth a look.
func number(n int, s style) cell {
	if n == 0 {
		return cell{"0", faint}
	}
	return cell{thousands(n), s}
}

func scoreStyle(v float64) style {
	switch {
	case v >= 0.95:
		return green
	case v >= 0.7:
		return plain
	}
	return yellow
}

func (e *env) showClasses(w io.Writer, p *eval.Part) {
	t := table{head: slices.Clone(scoreHead), right: scoreRight}
	t.head[0] = "CLASS"
	for _, c := range p.Classes {
		t.add(scoreCells(cell{c.Class.String(), plain}, c.Count)...)
	}
	t.add(scoreCells(cell{"all", bold}, p.Total)...)
	none := cell{}
	t.add(cell{"mean over " + groupWords[p.Kind][1], bold}, cell{fmt.Sprintf("%.3f", p.MacroPrecision), scoreStyle(p.MacroPrecision)},
		cell{fmt.Sprintf("%.3f", p.MacroRecall), scoreStyle(p.MacroRecall)}, none, none, none, none, none)
	t.write(w, e, 2)
}

// showSuites shows secrets by their suite, beside what another scanner reaches.
func (e *env) showSuites(w io.Writer, p *eval.Part) {
	t := table{head: []string{"SUITE", "RECALL", "FALSE", "ROWS", "KINDS", "TO COMPARE"}, right: []bool{false, true, true, true, true, false}}
	for _, s := range p.Suites {
		other := ""
		if s.Other != nil {
			other = fmt.Sprintf("%s: %.2f, %.2f", s.Other.Scanner, s.Other.Recall, s.Other.Alarms)
		}
		t.add(cell{visible(s.Name), plain}, cell{fmt.Sprintf("%.3f", s.Recall), scoreStyle(s.Recall)}, cell{fmt.Sprintf("%.3f", s.Alarms), plain},
			number(s.Rows, plain), number(s.Kinds, plain), cell{other, faint})
	}
	t.write(w, e, 2)
	fmt.Fprintf(w, "  %s\n", e.styled(faint, "means over kinds: of secrets found, and of clean texts in which one is found"))
}

// asides says what the table does not.
func asides(p *eval.Part) []string {
	var out []string
	if p.Clean > 0 && p.Kind != eval.Secrets {
		what := "any finding"
		switch p.Kind {
		case eval.Messages:
			what = "a finding at L3 or above"
		case eval.Text:
			what = "a finding of their type's class"
		}
		out = append(out, fmt.Sprintf("clean rows: %s, of these with %s: %s (%.1f %%)", thousands(p.Clean), what, thousands(p.Alarms), 100*p.AlarmRate()))
	}
	if p.Unread > 0 {
		out = append(out, plural(p.Unread, "row", "rows")+" can't be read: a gateway seals them, here what they hold counts as missed")
	}
	if p.Skipped > 0 {
		out = append(out, plural(p.Skipped, "row", "rows")+" not scored: no class of ours, or labels that contradict each other")
	}
	return out
}

func (e *env) showGroups(w io.Writer, p *eval.Part) {
	t := table{head: slices.Clone(scoreHead), right: scoreRight}
	t.head[0] = strings.ToUpper(groupWords[p.Kind][0])
	for _, g := range p.Groups {
		t.add(scoreCells(cell{visible(g.Name), plain}, g.Count)...)
	}
	fmt.Fprintln(w)
	t.write(w, e, 2)
}

func (e *env) showConfusion(w io.Writer, p *eval.Part) {
	t := table{head: []string{"LABELLED", "FOUND AS", "TIMES"}, right: []bool{false, false, true}}
	for _, c := range p.Confused {
		if c.As != classify.ClassNone {
			t.add(cell{c.Class.String(), plain}, cell{c.As.String(), plain}, number(c.Count, plain))
		}
	}
	if len(t.rows) > 0 {
		fmt.Fprintln(w)
		t.write(w, e, 2)
	}
}

func (e *env) showMeasures(w io.Writer, p *eval.Part) {
	if len(p.Measures) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{head: []string{"IS", "SHOULD BE", "", "AIM"}, right: []bool{true, false, false, false}, flex: 3}
	for i := range p.Measures {
		m := &p.Measures[i]
		sign, verdict := "≥", cell{"reached", green}
		if m.AtMost {
			sign = "≤"
		}
		if !m.Met() {
			verdict = cell{"not reached", yellow}
		}
		t.add(cell{fmt.Sprintf("%.3f", m.Value), plain}, cell{fmt.Sprintf("%s %.3f", sign, m.Reach), faint}, verdict, cell{m.Name, plain})
	}
	t.write(w, e, 2)
}

// A missKind is misses that are alike.
type missKind struct {
	first eval.Miss
	count int
}

// missKinds puts misses together that are of one class and group and were missed
// alike, in the order of the first of each.
func missKinds(ms []eval.Miss) []missKind {
	type key struct {
		group, by string
		class, as classify.ClassID
		unread    bool
	}
	at := map[key]int{}
	var out []missKind
	for _, m := range ms {
		k := key{m.Group, m.By, m.Class, m.As, m.Unread}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, missKind{first: m})
		}
		out[i].count++
	}
	return out
}

func (e *env) showMisses(w io.Writer, p *eval.Part, o *evalOptions) {
	kinds := missKinds(p.Misses)
	if len(kinds) == 0 || o.misses <= 0 {
		return
	}
	files := severalFiles(p.Misses)
	what := "SHAPE"
	if o.values {
		what = "VALUE"
	}
	t := table{head: []string{"TIMES", "MISS", "FOR EXAMPLE", what}, right: []bool{true, false, false, false}, flex: 2}
	for _, k := range kinds[:min(o.misses, len(kinds))] {
		m := &k.first
		value := m.Shape
		if o.values {
			value = visible(m.Value)
		}
		miss := missWords(m)
		miss.text = shorten(miss.text, 40)
		t.add(number(k.count, plain), miss, cell{missPlace(m, files), plain}, cell{shorten(value, 24), faint})
	}
	fmt.Fprintln(w)
	t.write(w, e, 2)
	if more := len(kinds) - o.misses; more > 0 {
		fmt.Fprintf(w, "  %s\n", e.styled(faint, "and "+thousands(more)+" more; --misses N shows them"))
	}
}

// missWords says what went wrong, in a text in the words of its type.
func missWords(m *eval.Miss) cell {
	if m.By != "" {
		text := "false " + m.Class.String() + " by " + m.By
		if m.Kind == eval.Text || m.Kind == eval.Secrets {
			text = "false " + visible(m.Group) + " by " + m.By
		}
		return cell{text, plain}
	}
	text := "missed " + m.Class.String()
	if m.Kind == eval.Text || m.Kind == eval.Secrets {
		text = "missed " + visible(m.Group)
	}
	switch {
	case m.Unread:
		text += ", can't be read"
	case m.As != classify.ClassNone:
		text += ", found " + m.As.String()
	}
	return cell{text, yellow}
}

// severalFiles reports whether misses are from more than one file.
func severalFiles(ms []eval.Miss) bool {
	return slices.ContainsFunc(ms, func(m eval.Miss) bool { return m.File != ms[0].File })
}

// missPlace names a row and a place in it: its id or its line, and the path.
func missPlace(m *eval.Miss, files bool) string {
	place := fmt.Sprint("line ", m.Line)
	if m.ID != "" {
		place = m.ID
	}
	if files {
		place = nameOf(m.File) + " " + place
	}
	if m.Path != "" {
		place += " " + m.Path
	}
	return visible(place)
}
