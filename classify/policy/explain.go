package policy

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
)

// An Explanation is a policy as a table: for each route and uplink what befalls
// each class, and the message at each residual grade.
type Explanation struct {
	Version uint64 `json:"version"`
	Profile string `json:"profile"`
	GBT     bool   `json:"gbt35273,omitempty"` // identity documents are graded as GB/T 35273 does

	Detectors []DetectorExplanation `json:"detectors,omitempty"` // the site's own
	Routes    []RouteExplanation    `json:"routes"`
}

// A DetectorExplanation is one of the site's own detectors.
type DetectorExplanation struct {
	Name       string   `json:"name"`
	Class      string   `json:"class"`
	Grade      string   `json:"grade"` // of the class, before raises
	Keywords   []string `json:"keywords,omitempty"`
	Pattern    string   `json:"pattern,omitempty"`
	Verifier   string   `json:"verifier,omitempty"`
	Confidence uint8    `json:"confidence"` // percent
	Examples   int      `json:"examples"`   // that it was held to

	text string
}

// A RouteExplanation is one route of an Explanation.
type RouteExplanation struct {
	Name       string              `json:"name"`
	Topics     []string            `json:"topics"`
	Priority   string              `json:"priority"`
	Unreadable string              `json:"unreadable"` // pass, seal or block
	Record     *RecordExplanation  `json:"record,omitempty"`
	Uplinks    []UplinkExplanation `json:"uplinks"`
}

// A RecordExplanation is a route's record of processing, as far as it is stated.
type RecordExplanation struct {
	Purpose    string `json:"purpose,omitempty"`
	LegalBasis string `json:"legal_basis,omitempty"`
	Retention  string `json:"retention,omitempty"` // as "720h0m0s"
	Transfer   string `json:"transfer,omitempty"`
}

func (r *Record) explain() *RecordExplanation {
	if *r == (Record{}) {
		return nil
	}
	x := &RecordExplanation{Purpose: r.Purpose, LegalBasis: r.LegalBasis, Transfer: r.Transfer}
	if r.Retention > 0 {
		x.Retention = r.Retention.String()
	}
	return x
}

// An UplinkExplanation says what a route does for one uplink.
type UplinkExplanation struct {
	Uplink       string             `json:"uplink"`
	Mode         string             `json:"mode"` // enforce or observe
	Unclassified string             `json:"unclassified"`
	Classes      []ClassExplanation `json:"classes"` // in the taxonomy's order
	Grades       []GradeExplanation `json:"grades"`  // L1 to L5
}

// A ClassExplanation is a row of the table: what befalls a class.
type ClassExplanation struct {
	Class    string `json:"class"`
	Grade    string `json:"grade"`              // under the policy's profile, before raises
	Guard    string `json:"guard"`              // the weakest that the guard accepts: pass, transform, encrypt, block
	Action   string `json:"action"`             // on a field
	Topic    string `json:"topic"`              // on a topic level
	Residual string `json:"residual"`           // what the action leaves of the grade
	Message  string `json:"message"`            // what then happens to the message: pass, seal, block
	From     string `json:"from"`               // which level of the policy says so: taxonomy, policy, route, uplink
	Becomes  string `json:"becomes,omitempty"`  // the type of every value afterwards, where that can change: string, null, absent
	Raised   string `json:"raised,omitempty"`   // the action where the message raises the grade, if it is another
	Observed bool   `json:"observed,omitempty"` // only observed: none of this happens
	Short    bool   `json:"short,omitempty"`    // falls short of the guard, which raises it for each message
}

// A GradeExplanation is what befalls a message of a residual grade.
type GradeExplanation struct {
	Grade  string `json:"grade"`
	Action string `json:"action"`
}

// Explain returns the policy as a table.
func (p *Policy) Explain() Explanation {
	e := Explanation{Version: p.version, Profile: p.profile, GBT: p.gbt35273}
	for i := range p.site {
		d := &p.site[i]
		e.Detectors = append(e.Detectors, DetectorExplanation{
			Name: d.Name, Class: d.Class.String(), Grade: p.grades[d.Class].String(), Keywords: slices.Clone(d.Keywords), Pattern: d.Pattern,
			Verifier: d.Verifier, Confidence: cmp.Or(d.Confidence, classify.CustomConfidence), Examples: len(d.examples), text: d.String(),
		})
	}
	classes := classify.Classes()
	for _, r := range p.routes {
		x := RouteExplanation{Name: r.Name, Priority: r.Lane.String(), Unreadable: r.rules.unreadable.String(), Record: r.Record.explain()}
		for _, f := range r.rules.filters {
			x.Topics = append(x.Topics, f.text)
		}
		for i := range r.rules.uplinks {
			t := &r.rules.uplinks[i]
			u := UplinkExplanation{Uplink: p.uplinks[r.Uplinks[i]], Mode: t.mode().String(), Unclassified: t.unclassified.String()}
			for k := range classes {
				u.Classes = append(u.Classes, p.explainClass(t, &classes[k]))
			}
			for g := classify.L1; g <= classify.L5; g++ {
				u.Grades = append(u.Grades, GradeExplanation{g.String(), t.grades[g].String()})
			}
			x.Uplinks = append(x.Uplinks, u)
		}
		e.Routes = append(e.Routes, x)
	}
	return e
}

func (p *Policy) explainClass(t *treatment, k *classify.Class) ClassExplanation {
	o := p.outcome(t, k.ID, p.grades[k.ID])
	x := ClassExplanation{
		Class: k.Name, Grade: p.grades[k.ID].String(), Guard: o.need.String(), Action: o.action.String(),
		Topic: t.table.topics[k.ID][p.grades[k.ID]].String(), Residual: o.residual.String(), Message: o.message.String(),
		From: t.settings.origin[k.ID].String(), Becomes: o.action.becomes(), Observed: t.watched.Has(k.ID), Short: o.strength < o.need && !t.watched.Has(k.ID),
	}
	for g := p.grades[k.ID] + 1; g <= classify.L4; g++ {
		if a := t.table.fields[k.ID][g]; a != o.action {
			x.Raised = fmt.Sprintf("%s from %s", a, g)
			break
		}
	}
	return x
}

// outcome is what happens to a message with one finding and nothing else.
type outcome struct {
	action   *Action
	residual classify.Grade
	message  MessageAction
	strength Strength // of what happens, in the guard's eyes
	need     Strength // the guard's minimum
}

func (p *Policy) outcome(t *treatment, class classify.ClassID, grade classify.Grade) outcome {
	o := outcome{action: t.table.fields[class][grade]}
	_, o.residual = p.residual(class, grade, o.action)
	o.message = max(t.message[o.residual], o.action.message())
	o.strength = max(p.counts(o.action, class), o.message.strength())
	o.need = p.guard.minimum[max(grade, p.guard.grades[class])]
	return o
}

// becomes is the type that values have after an action; empty: their own.
func (a *Action) becomes() string {
	if a.Leave != nil {
		return a.Leave.becomes()
	}
	return a.Spec.Becomes
}

// String returns "enforce" or "observe".
func (m Mode) String() string {
	if m == Observe {
		return "observe"
	}
	return "enforce"
}

// WriteText writes the table for people. A treatment that is much like an
// earlier one is shown by its differences, and classes that only pass stand on
// one line.
func (e *Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "policy version %d, profile %s", e.Version, e.Profile)
	if e.GBT {
		b.WriteString(" with GB/T 35273")
	}
	b.WriteByte('\n')
	if len(e.Detectors) > 0 {
		b.WriteString("\nthe site's own detectors\n")
		for i := range e.Detectors {
			d := &e.Detectors[i]
			fmt.Fprintf(&b, "    %-22s %s  %s\n", d.Name, d.Grade, d.text)
		}
	}
	var shown []shownUplink
	for i := range e.Routes {
		r := &e.Routes[i]
		fmt.Fprintf(&b, "\nroute %q  topics %s  priority %s  unreadable %s\n", r.Name, strings.Join(r.Topics, " "), r.Priority, r.Unreadable)
		if len(r.Uplinks) == 0 {
			b.WriteString("  goes to no uplink\n")
		}
		for j := range r.Uplinks {
			u := &r.Uplinks[j]
			fmt.Fprintf(&b, "  uplink %s  %s  unclassified %s\n", u.Uplink, u.Mode, u.Unclassified)
			u.writeText(&b, shown)
			shown = append(shown, shownUplink{fmt.Sprintf("route %q, uplink %s", r.Name, u.Uplink), u})
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write explanation: %w", err)
	}
	return nil
}

type shownUplink struct {
	name string
	*UplinkExplanation
}

// writeText writes one treatment, as what differs from the most similar of
// those shown before if that is short.
func (u *UplinkExplanation) writeText(b *strings.Builder, shown []shownUplink) {
	var like *shownUplink
	fewest := len(u.Classes) / 3
	for i := range shown {
		if n := u.differences(shown[i].UplinkExplanation); n < fewest {
			like, fewest = &shown[i], n
		}
	}
	if like != nil {
		fmt.Fprintf(b, "    like %s", like.name)
		if fewest == 0 {
			b.WriteByte('\n')
			return
		}
		b.WriteString(", but\n")
	}
	if like == nil || !slices.Equal(u.Grades, like.Grades) {
		b.WriteString("    message ")
		for _, g := range u.Grades {
			fmt.Fprintf(b, "  %s: %s", g.Grade, g.Action)
		}
		b.WriteByte('\n')
	}
	var passing []string
	for i := range u.Classes {
		c := &u.Classes[i]
		switch {
		case like != nil && c.same(&like.Classes[i]):
		case like == nil && c.Action == "pass" && c.Message == "pass" && !c.Short && !c.Observed && c.Raised == "":
			passing = append(passing, c.Class)
		default:
			c.writeText(b)
		}
	}
	if len(passing) > 0 {
		fmt.Fprintf(b, "    pass: %s\n", strings.Join(passing, ", "))
	}
}

// same reports whether two rows say the same, wherever they have it from.
func (c *ClassExplanation) same(o *ClassExplanation) bool {
	x := *o
	x.From = c.From
	return *c == x
}

func (u *UplinkExplanation) differences(o *UplinkExplanation) int {
	n := 0
	if !slices.Equal(u.Grades, o.Grades) {
		n++
	}
	for i := range u.Classes {
		if !u.Classes[i].same(&o.Classes[i]) {
			n++
		}
	}
	return n
}

func (c *ClassExplanation) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "    %-22s %s  %s", c.Class, c.Grade, c.Action)
	if c.Message != "pass" && !strings.HasPrefix(c.Action, c.Message) {
		fmt.Fprintf(b, ", message %s", c.Message)
	}
	if c.Raised != "" {
		fmt.Fprintf(b, "; %s", c.Raised)
	}
	var notes []string
	if c.Observed {
		notes = append(notes, "observed: does not happen")
	}
	if c.From != FromTaxonomy.String() {
		notes = append(notes, "by "+c.From)
	}
	if c.Becomes != "" && c.Message == "pass" {
		notes = append(notes, "becomes "+c.Becomes)
	}
	if c.Short {
		notes = append(notes, "the guard demands "+c.Guard)
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "  [%s]", strings.Join(notes, "; "))
	}
	b.WriteByte('\n')
}
