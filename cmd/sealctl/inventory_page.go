package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/learn"
)

type inventoryView struct {
	Title, Site, Profile, Seen, Made, Bytes string
	Messages, Stray                         int
	Known                                   bool // the uplinks
	Classes                                 []inventoryClass
	Routes                                  []inventoryRoute
}

type inventoryClass struct {
	Class, Doc, Grade, Routes, Clauses string
	Messages                           int
	grade                              classify.Grade
}

type inventoryRoute struct {
	Name                             string
	Topics                           []string
	Messages, Unread                 int
	Formats                          string
	Uplinks                          []learn.Tally // that take something
	Found                            []inventoryFound
	Loose                            []string
	Categories, Recipients, Measures string
}

type inventoryFound struct {
	Class, Grade, More, NowTone, Action string
	Paths                               []string
	Messages                            int
}

const pageTime = "2006-01-02 15:04 UTC"

// inventoryPage is an inventory for a page.
func inventoryPage(inv *learn.Inventory, site string) inventoryView {
	v := inventoryView{
		Title: strings.TrimSpace("Data that leaves " + site), Site: site, Profile: inv.Profile, Bytes: byteSize(inv.Bytes),
		Seen: inv.Seen(), Made: inv.Ended.UTC().Format(pageTime),
		Messages: inv.Messages, Stray: inv.Stray, Known: len(inv.Uplinks) > 0,
	}
	classes := map[classify.ClassID]*inventoryClass{}
	for i := range inv.Routes {
		r := &inv.Routes[i]
		v.Routes = append(v.Routes, routeView(r))
		for k := range r.Found {
			f := &r.Found[k]
			c := classes[f.Class.ID]
			if c == nil {
				c = &inventoryClass{Class: f.Class.Name, Doc: firstSentence(f.Class.Doc), Clauses: strings.Join(f.Class.Clauses, "; ")}
				classes[f.Class.ID] = c
			}
			c.Messages += f.Messages
			c.grade = max(c.grade, f.Grade)
			c.Routes = strings.TrimPrefix(c.Routes+", "+r.Name, ", ")
		}
	}
	for _, c := range classes {
		c.Grade = c.grade.String()
		v.Classes = append(v.Classes, *c)
	}
	slices.SortFunc(v.Classes, func(a, b inventoryClass) int {
		return cmp.Or(cmp.Compare(b.grade, a.grade), cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Class, b.Class))
	})
	return v
}

func routeView(r *learn.Route) inventoryRoute {
	x := inventoryRoute{Name: r.Name, Topics: r.Topics, Messages: r.Messages, Unread: r.Unread}
	var formats, data, recipients, measures []string
	for _, f := range r.Formats {
		formats = append(formats, f.Name)
	}
	x.Formats = strings.Join(formats, ", ")
	for _, u := range r.Uplinks {
		if u.Times > 0 {
			x.Uplinks = append(x.Uplinks, u)
			recipients = append(recipients, u.Name)
		}
	}
	for i := range r.Found {
		f := &r.Found[i]
		y := inventoryFound{Class: f.Class.Name, Grade: f.Grade.String(), Messages: f.Messages, Action: protection(f.Action)}
		for _, p := range f.Paths {
			y.Paths = append(y.Paths, cmp.Or(p, "the whole"))
		}
		switch {
		case f.More < 0:
			y.More = "and many more"
		case f.More > 0:
			y.More = fmt.Sprintf("and %d more", f.More)
		}
		if f.Grade >= classify.L3 {
			y.NowTone = "warm"
		}
		x.Found = append(x.Found, y)
		data = append(data, f.Class.Name)
		if name := y.Action; f.Action != "pass" && !slices.Contains(measures, name) {
			measures = append(measures, name)
		}
	}
	for _, l := range r.Loose[:min(len(r.Loose), 8)] {
		x.Loose = append(x.Loose, cmp.Or(l.Name, "the whole"))
	}
	x.Categories, x.Recipients, x.Measures = strings.Join(data, ", "), strings.Join(recipients, ", "), strings.Join(measures, ", ")
	return x
}

// protection says an action in the words of who does not write policies.
func protection(action string) string {
	name, _, params := strings.Cut(strings.TrimPrefix(action, "{"), ":")
	words := map[string]string{
		"pass": "unchanged", "mask": "masked", "truncate": "truncated", "generalize": "made coarser", "pseudonymize": "pseudonymized",
		"remove": "removed", "encrypt": "encrypted", "seal": "sealed with its message", "block": "does not leave",
	}[name]
	if params && name == "encrypt" {
		words += ", a coarser value stays"
	}
	return cmp.Or(words, name)
}

// firstSentence is a text without what follows its first sentence.
func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}
