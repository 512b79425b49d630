package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// maxExamples bounds the examples of one detector: they run at every
// compilation.
const maxExamples = 64

// siteDetector is a detector of the document's key "detectors".
type siteDetector struct {
	classify.Custom
	examples []example
}

// example is a payload that a detector must find something in, or must not.
type example struct {
	payload      string
	match        bool
	line, column int
}

// detectors reads the site's own detectors and holds them to their examples.
func (c *compiler) detectors(n *node) []siteDetector {
	items := c.items(n, "detectors")
	if most := classify.MaxCustom - len(c.limits.Detectors); len(items) > most {
		c.on(n, "", "at most %d detectors beside those of the guard", most)
		return nil
	}
	var out []siteDetector
	for _, item := range items {
		before := len(c.list)
		d, ok := c.detector(item)
		if slices.ContainsFunc(out, func(o siteDetector) bool { return o.Name == d.Name }) && d.Name != "" {
			c.on(item.get("name"), "", "detector %q stands twice", d.Name)
		}
		if ok && len(c.list) == before {
			c.tryExamples(&d)
			out = append(out, d)
		}
	}
	return out
}

func (c *compiler) detector(item *node) (d siteDetector, ok bool) {
	if !c.keys(item, "a detector", "name", "class", "keywords", "pattern", "verifier", "confidence", "examples") {
		return d, false
	}
	text := func(key string) string {
		if n := item.get(key); n != nil && c.want(n, nodeString, key) {
			return n.text
		}
		return ""
	}
	d.Name, d.Pattern, d.Verifier = text("name"), text("pattern"), text("verifier")
	for _, key := range []string{"name", "class"} {
		if item.get(key) == nil {
			c.on(item, "", "a detector lacks its %s", key)
			return d, false
		}
	}
	d.Class, ok = c.class(item.get("class"))
	if !ok {
		return d, false
	}
	keywords := c.items(item.get("keywords"), "keywords")
	for _, k := range keywords {
		if c.want(k, nodeString, "a keyword") {
			d.Keywords = append(d.Keywords, k.text)
		}
	}
	if n := item.get("confidence"); n != nil && c.want(n, nodeInt, "confidence") {
		d.Confidence = uint8(min(max(n.number, 1), 255)) // 0 would mean the default
	}
	for _, p := range d.Check() {
		at := cmp.Or(item.get(p.Part), item)
		if p.Part == "keywords" && p.Item < len(keywords) {
			at = keywords[p.Item]
		}
		c.on(at, p.Hint, "%s", p.Message)
	}
	c.examples(item, &d)
	return d, true
}

// examples reads {match: […], no_match: […]}. Both are needed: without them
// nobody sees that a pattern finds too much, or nothing.
func (c *compiler) examples(item *node, d *siteDetector) {
	n := item.get("examples")
	if n == nil {
		c.on(item, "examples: {match: ['…'], no_match: ['…']}", "a detector lacks its examples")
		return
	}
	if !c.keys(n, "examples", "match", "no_match") {
		return
	}
	for _, key := range []string{"match", "no_match"} {
		list := c.items(n.get(key), key)
		if len(list) == 0 {
			c.on(n, "payloads, as a device would send them", "examples need at least one under %s", key)
		}
		for _, e := range list {
			if c.want(e, nodeString, "an example") {
				d.examples = append(d.examples, example{e.text, key == "match", e.line, e.column})
			}
		}
	}
	if len(d.examples) > maxExamples {
		c.on(n, "", "at most %d examples", maxExamples)
		d.examples = nil
	}
}

// tryExamples runs a detector alone over its examples.
func (c *compiler) tryExamples(d *siteDetector) {
	k, err := classify.New(classify.Options{Profile: c.policy.profile, Custom: []classify.Custom{d.Custom}})
	if err != nil {
		return // the profile is unknown, and reported
	}
	var s classify.Scratch
	var doc payload.Document
	for _, e := range d.examples {
		reason := payload.Parse(&doc, "example", []byte(e.payload), payload.Limits{})
		r := k.Find(&s, nil, &doc, classify.Context{})
		hit := slices.ContainsFunc(r.Findings, func(f classify.Finding) bool { return f.Why&classify.WhyCustom != 0 })
		switch reason = cmp.Or(reason, r.Reason); {
		case reason != payload.ReasonNone:
			c.at(e.line, e.column, "an example is a payload: JSON, text, …", "the example can't be read: %s", reason)
		case hit && !e.match:
			c.at(e.line, e.column, "", "detector %q finds something here", d.Name)
		case !hit && e.match:
			c.at(e.line, e.column, "", "detector %q finds nothing here", d.Name)
		}
	}
}

// String is the detector in one line, for people.
func (d *siteDetector) String() string {
	var b strings.Builder
	b.WriteString(d.Class.String())
	if len(d.Keywords) > 0 {
		fmt.Fprintf(&b, ", near %s", strings.Join(d.Keywords, " | "))
	}
	if d.Pattern != "" {
		fmt.Fprintf(&b, ", like %s", d.Pattern)
	}
	if d.Verifier != "" {
		fmt.Fprintf(&b, ", if %s holds", d.Verifier)
	}
	fmt.Fprintf(&b, ", %d%%", cmp.Or(d.Confidence, classify.CustomConfidence))
	return b.String()
}

// site compares the sites' own detectors. What a detector finds stands beside
// what is found anyway, but is no longer unclassified: a new one tightens only
// where its class is encrypted, sealed or blocked everywhere.
func (d *differ) site() {
	for i := range d.a.site {
		x := &d.a.site[i]
		y := d.b.siteDetector(x.Name)
		switch {
		case y == nil:
			d.add("", "detector "+x.Name, x.String(), "none", Loosens)
		case x.String() != y.String():
			dir := Loosens
			if more := *y; more.Confidence > x.Confidence {
				if more.Confidence = x.Confidence; more.String() == x.String() {
					dir = Tightens
				}
			}
			d.add("", "detector "+x.Name, x.String(), y.String(), dir)
		}
	}
	for i := range d.b.site {
		if y := &d.b.site[i]; d.a.siteDetector(y.Name) == nil {
			dir := Tightens
			if !d.b.protects(y.Class) {
				dir = Loosens
			}
			d.add("", "detector "+y.Name, "none", y.String(), dir)
		}
	}
}

func (p *Policy) siteDetector(name string) *siteDetector {
	if i := slices.IndexFunc(p.site, func(d siteDetector) bool { return d.Name == name }); i >= 0 {
		return &p.site[i]
	}
	return nil
}

// protects reports whether a class is encrypted or more on every way out.
func (p *Policy) protects(class classify.ClassID) bool {
	for _, r := range p.routes {
		for i := range r.rules.uplinks {
			if o := p.outcome(&r.rules.uplinks[i], class, p.grades[class]); o.strength < StrengthEncrypt {
				return false
			}
		}
	}
	return true
}
