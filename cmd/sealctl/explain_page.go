package main

import (
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

type explainView struct {
	Title, File, Profile, Made string
	Version                    uint64
	Words                      []explainWord
	Routes                     []explainRoute
}

// An explainWord is an action and what it does.
type explainWord struct{ Name, Doc string }

type explainRoute struct {
	*policy.RouteExplanation
	Uplinks []explainUplink
}

type explainUplink struct {
	*policy.UplinkExplanation
	Like    string // an earlier one that does the same
	Classes []explainClass
	Passing string
}

type explainClass struct {
	*policy.ClassExplanation
	Doc, Note string
}

// explainPage is an explanation for a page.
func explainPage(x *policy.Explanation, file string) explainView {
	v := explainView{Title: "What befalls data", Profile: x.Profile, Version: x.Version, Made: time.Now().UTC().Format(pageTime)}
	if file != "" {
		v.File = nameOf(file)
	}
	for _, s := range protect.Specs() {
		v.Words = append(v.Words, explainWord{s.Name, title(s.Doc)})
	}
	docs := map[string]string{}
	for _, c := range classify.Classes() {
		docs[c.Name] = firstSentence(c.Doc)
	}
	type shown struct {
		name string
		*policy.UplinkExplanation
	}
	var before []shown
	for i := range x.Routes {
		r := &x.Routes[i]
		y := explainRoute{RouteExplanation: r}
		for k := range r.Uplinks {
			u := &r.Uplinks[k]
			z := explainUplink{UplinkExplanation: u}
			for _, b := range before {
				if slices.Equal(b.Classes, u.Classes) && slices.Equal(b.Grades, u.Grades) && b.Unclassified == u.Unclassified {
					z.Like = b.name
					break
				}
			}
			if z.Like == "" {
				before = append(before, shown{r.Name + " to " + u.Uplink, u})
			}
			var passing []string
			for c := range u.Classes {
				k := &u.Classes[c]
				if effect(k) == "pass" && !k.Short {
					passing = append(passing, k.Class)
					continue
				}
				z.Classes = append(z.Classes, explainClass{k, docs[k.Class], notes(k)})
			}
			z.Passing = strings.Join(passing, ", ")
			y.Uplinks = append(y.Uplinks, z)
		}
		v.Routes = append(v.Routes, y)
	}
	return v
}

func notes(c *policy.ClassExplanation) string {
	var out []string
	if c.Message != "pass" && !strings.HasPrefix(c.Action, c.Message) {
		out = append(out, "message: "+c.Message)
	}
	if c.Becomes != "" && c.Message == "pass" {
		out = append(out, "becomes "+c.Becomes)
	}
	if c.Short {
		out = append(out, "the guard demands "+c.Guard)
	}
	return strings.Join(out, "; ")
}
