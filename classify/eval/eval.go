// Package eval scores a classifier against labelled data.
//
// Mental model: a labelled file is JSON lines, and each row is of one [Kind],
// told by its members:
//
//	messages  {"topic", "payload" or "payload_b64", "labels": [{"path", "class", "weak"}]}
//	text      {"text", "entities": [{"type", "start", "end"}], "target"}
//	prose     {"text", "entities": […]}
//	secrets   {"text", "secret": true or false, "kind", "suite"}
//
// [Read] turns rows into [Case]s, [Scorer.Add] compares what the classifier
// finds with the labels, and [Scorer.Report] sums up, each kind of row for
// itself: precision, recall, F1 and F2 for each class, over all, and macro over
// groups, so that one chatty source does not decide.
//
// A leaf or a stretch of text without a label is held not to be sensitive. A
// label marked weak is arguable: it scores neither way, and neither does a
// finding in its place. A row of text speaks for the class of its target alone,
// and one of secrets for credentials alone: findings of other classes are
// neither right nor wrong there. What can't be read is found by nobody: its
// labels are missed, although a gateway seals it.
//
// Reports hold no value that was read, unless [Options] asks for it, only the
// shape of it. The package does not judge what a policy would do, and it prints
// nothing.
package eval

import "github.com/sealgate/sealgate/classify"

// Kind is what a row says.
type Kind uint8

// The kinds of row.
const (
	Messages Kind = iota // a message whose sensitive places are all labelled
	Text                 // a text that does or does not hold one kind of identifier
	Prose                // whole sentences whose entities are all labelled
	Secrets              // a text that does or does not hold a credential
	kindCount
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"messages", "text", "prose", "secrets"}[k]
}

// A Label is one place that holds sensitive data.
type Label struct {
	Path       string // JSON Pointer, "topic:N", or "" the whole payload
	Class      classify.ClassID
	Or         classify.ClassSet // classes that are right as well
	Weak       bool
	Start, End int    // of a span, bytes in the payload, instead of a path; End 0: none
	Type       string // of a text's entity, in its own words
	anywhere   bool   // a finding anywhere in the payload will do
}

// is reports whether a finding of class c is right for the label.
func (l *Label) is(c classify.ClassID) bool { return c == l.Class || l.Or.Has(c) }

// A Case is one labelled row.
type Case struct {
	Kind    Kind
	Line    int
	ID      string // the row's own; may be empty
	Source  string // where the row says that it comes from
	Group   string // what macro averages are over: a project, a type of entity, a kind of secret
	Suite   string // of a secret: who labelled it
	Topic   string
	Payload []byte
	Labels  []Label
	Scope   classify.ClassSet // classes that the row speaks for; 0: all
	Skip    bool              // nothing in it is of our classes, or its labels contradict each other
}

// Count is what became of labels and findings.
type Count struct{ Found, Missed, False int }

func (c *Count) add(x Count) {
	c.Found += x.Found
	c.Missed += x.Missed
	c.False += x.False
}

// Precision is the share of findings that are right; 1 where there are none.
func (c Count) Precision() float64 { return share(c.Found, c.False) }

// Recall is the share of labels that were found; 1 where there are none.
func (c Count) Recall() float64 { return share(c.Found, c.Missed) }

// F1 is the harmonic mean of both.
func (c Count) F1() float64 { return c.f(1) }

// F2 is the harmonic mean of both that weighs recall twice.
func (c Count) F2() float64 { return c.f(4) }

func (c Count) f(weight float64) float64 {
	p, r := c.Precision(), c.Recall()
	if p+r == 0 {
		return 0
	}
	return (1 + weight) * p * r / (weight*p + r)
}

func share(good, bad int) float64 {
	if good+bad == 0 {
		return 1
	}
	return float64(good) / float64(good+bad)
}
