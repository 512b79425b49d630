package learn

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// maxDraft is how long a draft with a comment on each class may be: what reads
// policies takes a little more.
const maxDraft = 96 << 10

// Draft writes a policy for what was seen, in observe mode, with a comment on
// each thing that it says. It compiles where observe mode is permitted.
func (inv *Inventory) Draft() []byte {
	if d := inv.draft(false); len(d) <= maxDraft {
		return d
	}
	return inv.draft(true)
}

func (inv *Inventory) draft(brief bool) []byte {
	w := &bytes.Buffer{}
	fmt.Fprintf(w, `# A draft, made from %s.
# It holds patterns of topics, names of fields and numbers, and no value.
#
# Now it observes: every byte leaves unchanged, and what would have happened is
# recorded. On the way to a policy that protects:
#   1. Read it, route by route, with the inventory beside it. Change what is not
#      right. Say in each "record" why the data is processed (GDPR art. 30): fill
#      it in and take away the "#".
#   2. sealctl policy check FILE, and sealctl policy explain FILE.
#   3. Let the gateway run with it (agent.yaml permits that: guard.observe_until).
#   4. sealctl policy promote ROUTE FILE turns one route after the other to enforce.
schema: %s
version: 1
profile: %s
mode: observe

# What happens to text about which nothing is known: balanced encrypts it, unless
# it is a number, a time or a single word such as "on".
unclassified: balanced

routes:
`, inv.Seen(), policy.Schema, inv.Profile)
	for i := range inv.Routes {
		inv.Routes[i].draft(w, i == len(inv.Routes)-1, brief)
	}
	if !brief {
		inv.fields(w)
	}
	return w.Bytes()
}

func (r *Route) draft(w *bytes.Buffer, last, brief bool) {
	fmt.Fprintf(w, "  - name: %q\n", r.Name)
	r.note(w, last)
	fmt.Fprintf(w, "    topics: [%s]\n", quoted(r.Topics))
	if !slices.ContainsFunc(r.Topics, func(t string) bool { return !strings.HasPrefix(t, "spBv1.0/") }) {
		w.WriteString("    order_by: sparkplug-node   # metrics are named by numbers that a birth of the same node gives\n")
	}
	if r.Unread > 0 {
		fmt.Fprintf(w, "    unreadable: seal   # %s could not be read: a cloud that needs them opens them, or say\n", plural(r.Unread, "message"))
		w.WriteString("                       # allow with a reason, if the guard permits it\n")
	}
	r.classes(w, brief)
	w.WriteString("    # record: {purpose: , legal_basis: , retention: 30d, transfer: none}\n\n")
}

// note says what was seen of the route.
func (r *Route) note(w *bytes.Buffer, last bool) {
	switch {
	case r.Messages == 0 && last:
		w.WriteString("    # Topics that were not seen so far.\n")
		return
	case last:
		w.WriteString("    # What no route above takes, and topics that were not seen so far.\n")
	}
	var formats []string
	for _, f := range r.Formats {
		formats = append(formats, f.Name)
	}
	grade := "unreadable"
	if r.Grade != classify.Ungraded {
		grade = "up to " + r.Grade.String()
	}
	fmt.Fprintf(w, "    # %s, %s, %d bytes each: %s.\n", plural(r.Messages, "message"), strings.Join(formats, " and "), r.Bytes/max(r.Messages, 1), grade)
	if len(r.Found) == 0 && r.Unread < r.Messages {
		w.WriteString("    # Nothing sensitive was found.\n")
	}
}

// classes writes what happens to what was found. A class whose default depends
// on the grade stays a comment: written out, one action would be for all grades.
func (r *Route) classes(w *bytes.Buffer, brief bool) {
	seen := func(f *Found, indent string) {
		if !brief {
			fmt.Fprintf(w, "%s# %s: %s in %s of %s, at %s.\n", indent, firstSentence(f.Class.Doc), f.Grade, number(f.Messages), number(r.Messages), places(f))
		}
	}
	head := "    classes:\n"
	for i := range r.Found {
		if f := &r.Found[i]; byGrade(&f.Class) {
			seen(f, "    ")
			fmt.Fprintf(w, "    # %s by default: %s.\n", f.Class.Name, defaults(&f.Class))
		}
	}
	for i := range r.Found {
		if f := &r.Found[i]; !byGrade(&f.Class) {
			w.WriteString(head)
			head = ""
			seen(f, "      ")
			fmt.Fprintf(w, "      %s: %s   # %s\n", f.Class.Name, f.Action, why(f.Action))
		}
	}
}

// firstSentence is a class's documentation without what follows its first
// sentence.
func firstSentence(doc string) string {
	first, _, _ := strings.Cut(doc, ". ")
	return strings.TrimSuffix(first, ".")
}

// byGrade reports whether a class's default action depends on the grade.
func byGrade(k *classify.Class) bool { return len(k.DefaultFrom) > 0 }

// defaults says what befalls a class by default, grade by grade.
func defaults(k *classify.Class) string {
	out := action(k.DefaultAction, k.DefaultParams)
	for _, d := range k.DefaultFrom {
		out += fmt.Sprintf("; from %s on %s", d.From, action(d.Action, d.Params))
	}
	return out
}

func places(f *Found) string {
	var named []string
	for _, p := range f.Paths {
		if p == "" {
			p = "the whole payload"
		}
		named = append(named, p)
	}
	out := strings.Join(named, ", ")
	switch {
	case f.More < 0:
		out += " and many more"
	case f.More > 0:
		out += fmt.Sprintf(" and %d more", f.More)
	}
	return out
}

// reasons say what an action is good for.
var reasons = map[string]string{
	"pass":         "It passes: by itself it harms nobody.",
	"mask":         "A few characters stay, so that people tell values apart.",
	"truncate":     "The part that tells where it comes from stays, the rest goes.",
	"generalize":   "A coarser value stays, which is enough for most uses.",
	"pseudonymize": "A token stays: the same for the same value, so that it still joins.",
	"remove":       "Nobody needs it there.",
	"encrypt":      "Only its recipients read it; the document keeps its shape.",
	"seal":         "The whole message becomes an envelope that only its recipients open.",
	"block":        "The message does not leave.",
}

func why(action string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(action, "{"), ":")
	return reasons[name]
}

// fields offers to declare text about which nothing is known.
func (inv *Inventory) fields(w *bytes.Buffer) {
	const most = 8 // of a route
	head := false
	for i := range inv.Routes {
		r := &inv.Routes[i]
		for _, x := range r.Loose[:min(len(r.Loose), most)] {
			if strings.ContainsAny(x.Name, "*:") {
				continue // keys that were not kept, and topic levels
			}
			if !head {
				head = true
				w.WriteString("# Text in which nothing was found is encrypted once its route enforces. Where you\n" +
					"# know it to be harmless (a status, a name of a machine), declare it: take away\n" +
					"# the \"#\". Say a class instead of grade: L1 where it is not.\n" +
					"# fields:\n")
			}
			fmt.Fprintf(w, "#   - {topic: %q, path: %q, grade: L1}   # in %s of %s\n", r.Topics[0], x.Name, number(x.Times), plural(r.Messages, "message"))
		}
	}
}

func quoted(topics []string) string {
	var out []string
	for _, t := range topics {
		out = append(out, fmt.Sprintf("%q", t))
	}
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// number writes a number with separators.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
