package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/eval"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// maxDocument bounds a policy or configuration file.
const maxDocument = 4 << 20

// policyFlags say by which policy messages are judged.
type policyFlags struct {
	policy  string
	profile string
	config  string
	uplink  string
}

func (f *policyFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.policy, "policy", "", "judge by this policy `FILE` (default: the built-in policy)")
	fs.StringVar(&f.profile, "profile", "", "grade by this legal `PROFILE`: generic, eu, cn, automotive (default: the policy's, else generic)")
	fs.StringVar(&f.config, "config", "", "take uplinks and guard from this agent.yaml `FILE`")
	fs.StringVar(&f.uplink, "uplink", "", "show what happens for this uplink `NAME` (default: the strictest of all)")
}

// A judge judges messages by one policy, for one uplink or the strictest.
type judge struct {
	policy   *policy.Policy
	uplink   int  // -1: the strictest
	evidence bool // findings show how what they found is written
}

func (f *policyFlags) judge() (*judge, error) {
	p, err := f.load()
	if err != nil {
		return nil, err
	}
	j := &judge{policy: p, uplink: -1}
	if f.uplink != "" {
		j.uplink = slices.Index(p.Uplinks(), f.uplink)
		if j.uplink < 0 {
			return nil, usageError("the policy knows no uplink %q; it has %q", f.uplink, p.Uplinks())
		}
	}
	return j, nil
}

func (f *policyFlags) load() (*policy.Policy, error) {
	if f.profile != "" && !slices.Contains(classify.Profiles(), f.profile) {
		return nil, usageError("there is no profile %q; choose one of %q", f.profile, classify.Profiles())
	}
	v, g, err := surroundings(f.config)
	if err != nil {
		return nil, err
	}
	if f.policy == "" {
		profile := cmp.Or(f.profile, g.Profile)
		p, err := policy.BuiltIn(profile, v, g)
		if err != nil {
			return nil, fmt.Errorf("compile the built-in policy: %w", err)
		}
		return p, nil
	}
	if f.profile != "" {
		return nil, usageError("--profile is for the built-in policy; %s says its own", f.policy)
	}
	return compile(f.policy, v, g)
}

// surroundings is what a policy is compiled in: the gateway's own, or without
// its configuration a gateway that permits whatever can be permitted, so that
// any policy that could work somewhere can be looked at.
func surroundings(path string) (policy.Vocabulary, policy.Guard, error) {
	v := policy.Vocabulary{Actions: protect.Specs()}
	if path == "" {
		return v, policy.Guard{Observe: true, AllowUnreadable: true, AllowUnclass: true}, nil
	}
	c, err := config.Load(path)
	if err != nil {
		return v, policy.Guard{}, fmt.Errorf("read configuration: %w", err)
	}
	for _, u := range c.Uplinks {
		v.Uplinks = append(v.Uplinks, u.Name)
	}
	return v, c.PolicyGuard(time.Now()), nil
}

func compile(path string, v policy.Vocabulary, g policy.Guard) (*policy.Policy, error) {
	src, err := readFile(path, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Compile(src, v, g)
	var es *policy.Errors
	if errors.As(err, &es) {
		es.File = path
		return nil, fmt.Errorf("%s in the policy\n%w", plural(len(es.Problems), "problem", "problems"), es)
	}
	if err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	return p, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, byteSize(limit))
	}
	return b, nil
}

// A finding is one finding in the words of the output. The first fields are the
// contract of `classify --jsonl`.
type finding struct {
	Path       string `json:"path"`
	Class      string `json:"class"`
	Grade      string `json:"grade"`
	Confidence int    `json:"confidence"`
	Detector   string `json:"detector"`
	Start      uint32 `json:"start"`
	End        uint32 `json:"end"`
	Action     string `json:"action"`

	class  classify.ClassID
	grade  classify.Grade
	why    classify.Why
	raised classify.Raise
	full   string // the action with its parameters
	shape  string // how the value is written, without the value; see judge.evidence
}

// A verdict is what is known about one message, in the words of the output.
type verdict struct {
	Format   string
	Grade    classify.Grade
	Residual classify.Grade
	Action   string // effective: seal or block of the message, else its strongest field action, else pass
	Reason   payload.Reason
	Findings []finding
	Observe  bool   // the action would happen, but the uplink observes
	Route    string // empty: none
	Bytes    int
	Loose    []string // paths of leaves without a finding that are encrypted because nobody knows what they hold
}

// A worker judges messages one after the other. Not for concurrent use.
type worker struct {
	*judge
	scratch policy.Scratch
	bare    classify.Scratch // for messages without a route
	plain   payload.Document
}

func (j *judge) worker() *worker { return &worker{judge: j} }

// look judges one message. Messages are judged each for itself: nothing is
// remembered of earlier ones, so that neither order nor concurrency matters.
func (w *worker) look(topic string, raw []byte) verdict {
	r := w.route(topic)
	if r == nil {
		return w.stray(topic, raw)
	}
	v := w.policy.Judge(&w.scratch, nil, r, policy.Input{Topic: topic, Payload: raw})
	d := w.pick(v.Decisions)
	if d == nil {
		x := w.describe(v.Document, v.Findings, nil, raw)
		x.Grade, x.Residual, x.Action, x.Reason, x.Route = v.Grade, v.Grade, policy.MessageBlock.String(), policy.ReasonNoRoute, r.Name
		return x
	}
	x := w.describe(v.Document, v.Findings, d, raw)
	x.Grade, x.Residual, x.Action = v.Grade, d.Residual, d.Strongest()
	x.Reason = cmp.Or(d.Reason, v.Reason)
	x.Observe, x.Route = d.Mode == policy.Observe, r.Name
	return x
}

// anyTopic stands for the topic of a message that came without one.
const anyTopic = "topic/not/said"

// route returns the route of a topic. Where no topic was said it is the one
// that takes any, or the only one.
func (w *worker) route(topic string) *policy.Route {
	if topic != "" {
		return w.policy.Route(topic)
	}
	if r := w.policy.Route(anyTopic); r != nil {
		return r
	}
	if rs := w.policy.Routes(); len(rs) == 1 {
		return rs[0]
	}
	return nil
}

// stray judges a message that no route takes: it does not leave.
func (w *worker) stray(topic string, raw []byte) verdict {
	unreadable := payload.Parse(&w.plain, topic, raw, payload.Limits{})
	found := w.policy.Classifier().Find(&w.bare, nil, &w.plain, classify.Context{})
	v := w.describe(&w.plain, found.Findings, nil, raw)
	v.Grade, v.Action, v.Reason = found.Grade, policy.MessageBlock.String(), policy.ReasonNoRoute
	if unreadable != "" || found.Reason != "" {
		v.Grade = classify.Ungraded
	}
	v.Residual = v.Grade
	return v
}

// pick returns the decision for the chosen uplink, or the strictest; nil if the
// route does not go there.
func (w *worker) pick(ds []policy.Decision) *policy.Decision {
	var best *policy.Decision
	for i := range ds {
		d := &ds[i]
		if w.uplink >= 0 {
			if d.Uplink == w.uplink {
				return d
			}
			continue
		}
		if best == nil || stricter(d, best) {
			best = d
		}
	}
	return best
}

func stricter(a, b *policy.Decision) bool {
	if c := cmp.Compare(a.Message, b.Message); c != 0 {
		return c > 0
	}
	if c := cmp.Compare(strength(a), strength(b)); c != 0 {
		return c > 0
	}
	return len(a.Fields) > len(b.Fields)
}

func strength(d *policy.Decision) policy.Strength {
	s := policy.StrengthPass
	for i := range d.Fields {
		s = max(s, d.Fields[i].Action.Spec.Strength)
	}
	return s
}

// describe turns findings into words. A nil decision is one to block.
func (w *worker) describe(d *payload.Document, fs []classify.Finding, plan *policy.Decision, raw []byte) verdict {
	v := verdict{Format: d.FormatName(), Findings: make([]finding, len(fs)), Bytes: len(raw)}
	for i := range fs {
		f := &fs[i]
		at := place(d, f)
		x := &v.Findings[i]
		*x = finding{
			Path: string(d.AppendPath(nil, f.Field)), Class: f.Class.String(), Grade: f.Grade.String(),
			Confidence: int(f.Confidence), Detector: w.policy.Classifier().DetectorName(f.Detector), Start: at.Start, End: at.End,
			class: f.Class, grade: f.Grade, why: f.Why, raised: f.Raised,
		}
		if w.evidence {
			x.shape = shapeOf(d, f, at)
		}
		x.Action, x.full = fateOf(d, f, int32(i), plan)
	}
	if plan != nil && plan.Message == policy.MessagePass {
		for i := range plan.Fields {
			if x := &plan.Fields[i]; x.Finding < 0 {
				v.Loose = append(v.Loose, string(d.AppendPath(nil, x.Field)))
			}
		}
	}
	return v
}

// place is where a finding's value stands in the payload, or in the topic for
// one of its levels: a string without its quotes, a container whole.
func place(d *payload.Document, f *classify.Finding) payload.Span {
	x := &d.Fields[f.Field]
	switch {
	case f.Why&classify.WhyInKey != 0 && x.Flags&payload.KeyArena == 0:
		return x.Key
	case f.Why&classify.WhyInKey != 0:
		return x.Raw
	case !f.Whole():
		return d.Locate(f.Field, f.Start, f.End)
	case x.Text.Len() > 0:
		return d.Locate(f.Field, 0, uint32(x.Text.Len()))
	}
	return x.Raw
}

// shapeOf is how a value is written, without saying what it is.
func shapeOf(d *payload.Document, f *classify.Finding, at payload.Span) string {
	src := d.Raw
	if d.Fields[f.Field].Kind == payload.KindTopic {
		src = []byte(d.Topic)
	}
	if int(at.End) > len(src) || at.Start > at.End {
		return ""
	}
	return eval.Shape(src[at.Start:at.End])
}

// fateOf is what happens to a finding's value: an action of its own, or that of
// the message where it is sealed or blocked.
func fateOf(d *payload.Document, f *classify.Finding, i int32, plan *policy.Decision) (name, full string) {
	topic := d.Fields[f.Field].Kind == payload.KindTopic
	switch {
	case plan == nil || plan.Message == policy.MessageBlock:
		return policy.MessageBlock.String(), policy.MessageBlock.String()
	case plan.Message == policy.MessageSeal && !topic:
		return policy.MessageSeal.String(), plan.Seal.String()
	}
	var a *policy.Action
	for k := range plan.Fields {
		x := &plan.Fields[k]
		if x.Finding == i || covers(d, x, f) {
			if a == nil || x.Action.Spec.Strength > a.Spec.Strength {
				a = x.Action
			}
		}
	}
	if a == nil {
		return policy.MessagePass.String(), policy.MessagePass.String()
	}
	return a.Spec.Name, a.String()
}

// covers reports whether an action on another finding takes in this one: of the
// same field, or of a container that this one stands in.
func covers(d *payload.Document, x *policy.FieldAction, f *classify.Finding) bool {
	if f.Why&classify.WhyInKey != 0 {
		return false
	}
	if x.Field == f.Field {
		return x.End == 0 || f.Whole() || x.Start < f.End && f.Start < x.End
	}
	for p := d.Fields[f.Field].Parent; p >= x.Field; p = d.Fields[p].Parent {
		if p == x.Field {
			return true
		}
	}
	return false
}
