package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
)

const (
	maxPlaces   = 4096 // that are remembered; what comes later is put together by class
	shownPlaces = 60
)

// places puts together what was found in many messages, by where it was found.
// The zero value is empty.
type places struct {
	rows  map[placeKey]*placeCount
	loose map[string]int // paths of what is encrypted because nobody knows what it holds
}

type placeKey struct {
	path   string
	class  classify.ClassID
	grade  classify.Grade
	action string
}

type placeCount struct {
	first finding
	times int
	sure  int // sum of percents
	why   classify.Why
}

func (p *places) add(v *verdict) {
	if p.rows == nil {
		p.rows, p.loose = map[placeKey]*placeCount{}, map[string]int{}
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		k := placeKey{withoutIndexes(f.Path), f.class, f.grade, f.Action}
		x := p.rows[k]
		if x == nil {
			if len(p.rows) >= maxPlaces {
				k.path = elsewherePath
				x = p.rows[k]
			}
			if x == nil {
				x = &placeCount{first: *f}
				p.rows[k] = x
			}
		}
		x.times++
		x.sure += f.Confidence
		x.why |= f.why
	}
	for _, path := range v.Loose {
		path = withoutIndexes(path)
		if _, ok := p.loose[path]; !ok && len(p.loose) >= maxPlaces {
			path = elsewherePath
		}
		p.loose[path]++
	}
}

// elsewherePath stands for the places that are one too many to be remembered. It
// is no path: those are empty or begin with "/" or "topic:".
const elsewherePath = "(other places)"

// withoutIndexes replaces places in arrays by "*".
func withoutIndexes(path string) string {
	if !strings.ContainsAny(path, "0123456789") || !strings.HasPrefix(path, "/") {
		return path
	}
	parts := strings.Split(path, "/")
	for i, x := range parts {
		if x != "" && strings.Trim(x, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// showPlaces shows what was found by where, the worst first.
func (r *report) showPlaces() {
	if len(r.places.rows) > 0 {
		keys := make([]placeKey, 0, len(r.places.rows))
		for k := range r.places.rows {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b placeKey) int {
			return cmp.Or(cmp.Compare(b.grade, a.grade), cmp.Compare(r.places.rows[b].times, r.places.rows[a].times),
				cmp.Compare(a.path, b.path), cmp.Compare(a.class, b.class), cmp.Compare(a.action, b.action))
		})
		t := table{head: []string{"PATH", "CLASS", "GRADE", "SURE", "ACTION", "TIMES", "WHY"}, right: []bool{false, false, false, true, false, true, false}, flex: 0, spare: 6}
		for _, k := range keys[:min(len(keys), shownPlaces)] {
			x := r.places.rows[k]
			t.add(
				cell{visible(cmp.Or(k.path, "(whole)")), plain}, cell{k.class.String(), plain}, cell{k.grade.String(), gradeStyle(k.grade)},
				cell{fmt.Sprintf("%d%%", x.sure/x.times), plain}, cell{k.action, actionStyle(k.action)}, number(x.times, plain), cell{strings.Join(whyShort(x.why), " "), faint},
			)
			if r.o.explain {
				x.first.why = x.why
				r.explain(&t, &x.first, "")
			}
		}
		t.write(r.out, r.e, 0)
		if more := len(keys) - shownPlaces; more > 0 {
			fmt.Fprintf(r.out, "%s\n", r.e.styled(faint, "and "+plural(more, "place", "places")+" more; --json shows all"))
		}
		fmt.Fprintln(r.out)
	}
	if len(r.places.loose) > 0 {
		r.loose(slices.SortedFunc(maps.Keys(r.places.loose), func(a, b string) int {
			return cmp.Or(cmp.Compare(r.places.loose[b], r.places.loose[a]), cmp.Compare(a, b))
		}))
		fmt.Fprintln(r.out)
	}
}
