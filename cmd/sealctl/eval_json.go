package main

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/eval"
)

// The JSON of eval: docs/formats-tools.md describes it.

type evalPart struct {
	Kind           string        `json:"kind"`
	Rows           int           `json:"rows"`
	Skipped        int           `json:"skipped"`
	Unreadable     int           `json:"unreadable"`
	Micro          evalScore     `json:"micro"`
	MacroPrecision float64       `json:"macro_precision"`
	MacroRecall    float64       `json:"macro_recall"`
	Clean          int           `json:"clean"`
	Alarms         int           `json:"alarms"`
	Classes        []evalScore   `json:"classes"`
	Groups         []evalScore   `json:"groups"`
	Suites         []evalSuite   `json:"suites,omitempty"`
	Confusion      []evalMixup   `json:"confusion"`
	Measures       []evalMeasure `json:"measures"`
	Misses         []evalMiss    `json:"misses"`
}

type evalScore struct {
	Class     string  `json:"class,omitempty"`
	Group     string  `json:"group,omitempty"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	F2        float64 `json:"f2"`
	Found     int     `json:"found"`
	Missed    int     `json:"missed"`
	False     int     `json:"false"`
}

type evalSuite struct {
	Suite      string         `json:"suite"`
	Rows       int            `json:"rows"`
	Kinds      int            `json:"kinds"`
	Recall     float64        `json:"recall"`
	Alarms     float64        `json:"alarms"`
	Comparison *evalReference `json:"comparison,omitempty"`
}

type evalReference struct {
	Scanner string  `json:"scanner"`
	Recall  float64 `json:"recall"`
	Alarms  float64 `json:"alarms"`
}

type evalMixup struct {
	Class string `json:"class"`
	As    string `json:"as"` // "none": not found at all
	Times int    `json:"times"`
}

type evalMeasure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Reach   float64 `json:"reach"`
	AtMost  bool    `json:"at_most"`
	Reached bool    `json:"reached"`
}

type evalMiss struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	ID     string `json:"id,omitempty"`
	Group  string `json:"group"`
	Path   string `json:"path"`
	Start  int    `json:"start"`
	End    int    `json:"end"`
	Class  string `json:"class"`
	Type   string `json:"type,omitempty"`
	As     string `json:"as,omitempty"` // what was found in the place of a missed label
	By     string `json:"by,omitempty"` // the detector of a false finding; absent: a label was missed
	Grade  string `json:"grade"`
	Unread bool   `json:"unreadable,omitempty"`
	Shape  string `json:"shape"`
	Value  string `json:"value,omitempty"` // --show-values
}

func describeScore(class, group string, c eval.Count) evalScore {
	return evalScore{class, group, c.Precision(), c.Recall(), c.F1(), c.F2(), c.Found, c.Missed, c.False}
}

func describeReport(r *eval.Report) any {
	parts := make([]evalPart, len(r.Parts))
	for i := range r.Parts {
		parts[i] = describePart(&r.Parts[i])
	}
	return struct {
		Parts []evalPart `json:"parts"`
	}{parts}
}

func describePart(p *eval.Part) evalPart {
	x := evalPart{
		Kind: p.Kind.String(), Rows: p.Rows, Skipped: p.Skipped, Unreadable: p.Unread,
		Micro: describeScore("", "", p.Total), MacroPrecision: p.MacroPrecision, MacroRecall: p.MacroRecall, Clean: p.Clean, Alarms: p.Alarms,
		Classes: []evalScore{}, Groups: []evalScore{}, Confusion: []evalMixup{}, Measures: []evalMeasure{}, Misses: []evalMiss{},
	}
	for _, c := range p.Classes {
		x.Classes = append(x.Classes, describeScore(c.Class.String(), "", c.Count))
	}
	for _, g := range p.Groups {
		x.Groups = append(x.Groups, describeScore("", g.Name, g.Count))
	}
	for _, s := range p.Suites {
		y := evalSuite{Suite: s.Name, Rows: s.Rows, Kinds: s.Kinds, Recall: s.Recall, Alarms: s.Alarms}
		if s.Other != nil {
			y.Comparison = &evalReference{s.Other.Scanner, s.Other.Recall, s.Other.Alarms}
		}
		x.Suites = append(x.Suites, y)
	}
	for _, c := range p.Confused {
		x.Confusion = append(x.Confusion, evalMixup{c.Class.String(), c.As.String(), c.Count})
	}
	for i := range p.Measures {
		m := &p.Measures[i]
		x.Measures = append(x.Measures, evalMeasure{m.Name, m.Value, m.Reach, m.AtMost, m.Met()})
	}
	for i := range p.Misses {
		m := &p.Misses[i]
		y := evalMiss{
			File: m.File, Line: m.Line, ID: m.ID, Group: m.Group, Path: m.Path, Start: m.Start, End: m.End,
			Class: m.Class.String(), Type: m.Type, By: m.By, Grade: m.Grade.String(), Unread: m.Unread, Shape: m.Shape, Value: m.Value,
		}
		if m.As != classify.ClassNone {
			y.As = m.As.String()
		}
		x.Misses = append(x.Misses, y)
	}
	return x
}
