package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/eval"
)

// pageGroups is how many groups a page shows: of many the worst tell most.
const pageGroups = 40

type evalPage struct {
	Title   string
	Files   []string
	Profile string
	Made    string
	Aims    []*eval.Measure
	Parts   []evalPagePart
	What    string
	Values  string
}

type evalPagePart struct {
	Title      string
	Rows       int
	Notes      []string
	Scores     []evalPageScores
	Suites     []eval.Suite
	Confusion  *evalPageMatrix
	Misses     []evalPageMiss
	MoreMisses string
}

// evalPageScores is a table of scores with a plot in each row.
type evalPageScores struct {
	Title, Head string
	Rows        []evalPageRow
	More        string
}

type evalPageRow struct {
	Name                      string
	Sum                       bool
	P, R                      float64
	HasPrecision, HasRecall   bool
	Precision, Recall, F1, F2 string
	Found, Missed, False      int
}

type evalPageMatrix struct {
	Columns []string
	Rows    []evalPageMatrixRow
}

type evalPageMatrixRow struct {
	Name  string
	Cells []evalPageCell
}

type evalPageCell struct {
	Count int
	Heat  string
}

type evalPageMiss struct {
	Times                             int
	Words, Grade, Group, Place, Shape string
}

// evalReportPage is the page for a report.
func evalReportPage(r *eval.Report, o *evalOptions, files []string) evalPage {
	p := evalPage{
		Title: "How well the classifier finds", Profile: cmp.Or(o.profile, classify.Profiles()[0]),
		Made: time.Now().UTC().Format("2006-01-02 15:04 UTC"), What: "Shape",
		Values: "Shapes stand for values: 9 is a digit, a and A are letters, {n} is how often. This page holds no value that was read.",
	}
	if o.values {
		p.What, p.Values = "Value", "This page holds values that were read: keep it as they are to be kept."
	}
	for _, f := range files {
		p.Files = append(p.Files, nameOf(f))
	}
	for i := range r.Parts {
		part := &r.Parts[i]
		for k := range part.Measures {
			p.Aims = append(p.Aims, &part.Measures[k])
		}
		p.Parts = append(p.Parts, evalPartPage(part, o))
	}
	return p
}

func evalPartPage(p *eval.Part, o *evalOptions) evalPagePart {
	words := groupWords[p.Kind]
	x := evalPagePart{Title: title(p.Kind.String()), Rows: p.Rows, Notes: asides(p), Suites: p.Suites, Confusion: confusionMatrix(p)}
	if len(p.Classes) > 0 {
		t := evalPageScores{Title: "By class", Head: "Class"}
		for _, c := range p.Classes {
			t.Rows = append(t.Rows, evalPageLine(c.Class.String(), c.Count))
		}
		all := evalPageLine("all", p.Total)
		all.Sum = true
		t.Rows = append(t.Rows, all)
		x.Scores = append(x.Scores, t)
	}
	if len(p.Groups) > 1 {
		groups := slices.Clone(p.Groups)
		slices.SortStableFunc(groups, func(a, b eval.GroupCount) int {
			return cmp.Or(cmp.Compare(a.F2(), b.F2()), cmp.Compare(b.Rows, a.Rows))
		})
		t := evalPageScores{Title: "By " + words[0] + ", the weakest first", Head: title(words[0])}
		for _, g := range groups[:min(len(groups), pageGroups)] {
			t.Rows = append(t.Rows, evalPageLine(g.Name, g.Count))
		}
		if more := len(groups) - pageGroups; more > 0 {
			t.More = fmt.Sprintf("And %s better %s.", thousands(more), words[1])
		}
		x.Scores = append(x.Scores, t)
	}
	kinds, files := missKinds(p.Misses), severalFiles(p.Misses)
	for _, k := range kinds[:min(len(kinds), max(o.misses, 0))] {
		shape := k.first.Shape
		if o.values {
			shape = visible(k.first.Value)
		}
		x.Misses = append(x.Misses, evalPageMiss{k.count, missWords(&k.first).text, k.first.Grade.String(), k.first.Group, missPlace(&k.first, files), shape})
	}
	if more := len(kinds) - len(x.Misses); more > 0 && len(x.Misses) > 0 {
		x.MoreMisses = fmt.Sprintf("And %s more; --misses N shows them.", thousands(more))
	}
	return x
}

func evalPageLine(name string, c eval.Count) evalPageRow {
	r := evalPageRow{
		Name: name, P: c.Precision(), R: c.Recall(), HasPrecision: c.Found+c.False > 0, HasRecall: c.Found+c.Missed > 0,
		Precision: "–", Recall: "–", F1: "–", F2: "–", Found: c.Found, Missed: c.Missed, False: c.False,
	}
	if r.HasPrecision {
		r.Precision = fmt.Sprintf("%.3f", r.P)
	}
	if r.HasRecall {
		r.Recall, r.F1, r.F2 = fmt.Sprintf("%.3f", r.R), fmt.Sprintf("%.3f", c.F1()), fmt.Sprintf("%.3f", c.F2())
	}
	return r
}

// confusionMatrix shows what labels were missed for; nil: none were.
func confusionMatrix(p *eval.Part) *evalPageMatrix {
	if len(p.Confused) == 0 {
		return nil
	}
	var rows, columns []classify.ClassID
	times := map[[2]classify.ClassID]int{}
	most := 0
	for _, c := range p.Confused {
		if !slices.Contains(rows, c.Class) {
			rows = append(rows, c.Class)
		}
		if !slices.Contains(columns, c.As) {
			columns = append(columns, c.As)
		}
		times[[2]classify.ClassID{c.Class, c.As}] = c.Count
		most = max(most, c.Count)
	}
	slices.Sort(rows)
	slices.Sort(columns) // ClassNone is the first
	m := &evalPageMatrix{}
	for _, c := range columns {
		name := c.String()
		if c == classify.ClassNone {
			name = "not found"
		}
		m.Columns = append(m.Columns, name)
	}
	for _, r := range rows {
		row := evalPageMatrixRow{Name: r.String()}
		for _, c := range columns {
			n := times[[2]classify.ClassID{r, c}]
			x := evalPageCell{Count: n}
			if n > 0 {
				x.Heat = fmt.Sprintf("h%d", 1+2*n/most)
			}
			row.Cells = append(row.Cells, x)
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}
