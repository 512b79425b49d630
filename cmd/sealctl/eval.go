package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/eval"
)

func newEval(e *env) *cobra.Command {
	var profile string
	var asJSON bool
	var misses int
	c := &cobra.Command{
		Use:   "eval FILE",
		Short: "Score the classifier against labelled messages of your own",
		Long: `Eval classifies labelled messages and compares. Each line of FILE is a message
with the places in it that hold sensitive data:
  {"topic": "site/door", "payload": "{\"mail\": \"a@b.example\"}", "source": "doors",
   "labels": [{"path": "/mail", "class": "contact.email"}]}
A path is a JSON Pointer, topic:N, span:A-B in bytes, or empty for the whole. A
label with "weak": true is arguable and scores neither way.

Precision is the share of findings that are right, recall the share of labels
that were found; F2 joins both and weighs recall twice. Macro is the mean over
sources.`,
		Args: want(1, 1, "a file of labelled messages, or - for stdin"),
		RunE: func(_ *cobra.Command, args []string) error {
			if profile != "" && !slices.Contains(classify.Profiles(), profile) {
				return usageError("there is no profile %q; choose one of %q", profile, classify.Profiles())
			}
			k, err := classify.New(classify.Options{Profile: profile})
			if err != nil {
				return fmt.Errorf("make classifier: %w", err)
			}
			in, err := e.open(args[0])
			if err != nil {
				return fmt.Errorf("read labelled messages: %w", err)
			}
			defer in.Close()
			s, n := eval.NewScorer(k), 0
			err = eval.Read(in, func(x eval.Case) error {
				s.Add(x)
				n++
				return nil
			})
			if err != nil {
				return err
			}
			r := s.Report()
			if asJSON {
				return e.printJSON(describeReport(n, &r))
			}
			e.showReport(n, &r, misses)
			return nil
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "grade by this legal `PROFILE`: generic, eu, cn, automotive")
	c.Flags().IntVar(&misses, "misses", 10, "show at most `N` misses")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type evalReport struct {
	Messages       int         `json:"messages"`
	Unreadable     int         `json:"unreadable"`
	Classes        []evalClass `json:"classes"`
	Micro          evalClass   `json:"micro"`
	MacroPrecision float64     `json:"macro_precision"`
	MacroRecall    float64     `json:"macro_recall"`
	Unlabelled     int         `json:"unlabelled"`       // messages
	FalseAlarms    int         `json:"unlabelled_false"` // of these, with a finding at L3 or above
	Misses         []evalMiss  `json:"misses"`
}

type evalClass struct {
	Class     string  `json:"class,omitempty"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F2        float64 `json:"f2"`
	Found     int     `json:"found"`
	Missed    int     `json:"missed"`
	False     int     `json:"false"`
}

type evalMiss struct {
	Line  int    `json:"line"`
	Path  string `json:"path"`
	Class string `json:"class"`
	By    string `json:"by,omitempty"` // the detector of a false finding; absent: a label was missed
	Grade string `json:"grade,omitempty"`
}

func describeCount(class string, c eval.Count) evalClass {
	return evalClass{class, c.Precision(), c.Recall(), c.F2(), c.Found, c.Missed, c.False}
}

func describeReport(n int, r *eval.Report) evalReport {
	x := evalReport{
		Messages: n, Unreadable: r.Unreadable, Classes: []evalClass{}, Micro: describeCount("", r.Total),
		MacroPrecision: r.MacroPrecision, MacroRecall: r.MacroRecall, Unlabelled: r.Unlabelled, FalseAlarms: r.UnlabelledFalse, Misses: []evalMiss{},
	}
	for id, c := range r.Classes {
		x.Classes = append(x.Classes, describeCount(id.String(), c))
	}
	slices.SortFunc(x.Classes, func(a, b evalClass) int { return cmp.Compare(a.Class, b.Class) })
	for _, m := range r.Misses {
		y := evalMiss{Line: m.Line, Path: m.Path, Class: m.Class.String(), By: m.By}
		if m.By != "" {
			y.Grade = m.Grade.String()
		}
		x.Misses = append(x.Misses, y)
	}
	return x
}

func (e *env) showReport(n int, r *eval.Report, most int) {
	x := describeReport(n, r)
	w := e.stdout
	t := table{
		head: []string{"CLASS", "PRECISION", "RECALL", "F2", "FOUND", "MISSED", "FALSE"}, flex: 0,
		right: []bool{false, true, true, true, true, true, true},
	}
	row := func(name string, s style, c evalClass) {
		share := func(v float64) cell { return cell{fmt.Sprintf("%.3f", v), scoreStyle(v)} }
		t.add(cell{name, s}, share(c.Precision), share(c.Recall), share(c.F2), cell{thousands(c.Found), plain}, cell{thousands(c.Missed), plain}, cell{thousands(c.False), plain})
	}
	for _, c := range x.Classes {
		row(c.Class, plain, c)
	}
	row("all", bold, x.Micro)
	t.write(w, e, 0)
	fmt.Fprintf(w, "\nmacro by source: precision %.3f, recall %.3f\n", x.MacroPrecision, x.MacroRecall)
	line := plural(n, "message", "messages")
	if x.Unlabelled > 0 {
		line += fmt.Sprintf("; of %s without a label %s a finding at L3 or above", thousands(x.Unlabelled), plural(x.FalseAlarms, "has", "have"))
	}
	if x.Unreadable > 0 {
		line += fmt.Sprintf("; %s unreadable, not scored", thousands(x.Unreadable))
	}
	fmt.Fprintln(w, line)
	if len(x.Misses) == 0 || most <= 0 {
		return
	}
	slices.SortStableFunc(x.Misses, func(a, b evalMiss) int { return cmp.Compare(b.Grade, a.Grade) })
	fmt.Fprintln(w)
	m := table{head: []string{"LINE", "PATH", "CLASS", ""}, flex: 1, right: []bool{true, false, false, false}}
	for _, y := range x.Misses[:min(most, len(x.Misses))] {
		what := cell{"missed", yellow}
		if y.By != "" {
			what = cell{"false, " + y.Grade + " by " + y.By, plain}
		}
		m.add(cell{fmt.Sprint(y.Line), faint}, cell{visible(cmp.Or(y.Path, "(whole)")), plain}, cell{y.Class, plain}, what)
	}
	m.write(w, e, 0)
	if more := len(x.Misses) - most; more > 0 {
		fmt.Fprintf(w, "and %s more; --misses shows them\n", thousands(more))
	}
}

func scoreStyle(v float64) style {
	switch {
	case v >= 0.9:
		return green
	case v >= 0.7:
		return plain
	}
	return yellow
}
