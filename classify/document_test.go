package classify

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

var update = flag.Bool("update", false, "write docs/taxonomy.md and configs/taxonomy.json anew")

// TestTaxonomyIsShown: docs/taxonomy.md and configs/taxonomy.json show what the
// programs read, and the evidence that each detector gives for its own corpus.
func TestTaxonomyIsShown(t *testing.T) {
	for path, want := range map[string][]byte{
		"../docs/taxonomy.md":      taxonomyPage(t),
		"../configs/taxonomy.json": Taxonomy(),
	} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not current: go test ./classify -run TestTaxonomyIsShown -update", path)
		}
	}
}

const pageHead = `# Taxonomy and detectors

This page is made from ` + "`classify/taxonomy.json`" + ` and from what the detectors find in their own corpora: ` + "`go test ./classify -run TestTaxonomyIsShown -update`" + `. The same table as data is in [configs/taxonomy.json](../configs/taxonomy.json). A policy can grade a class otherwise (` + "`class_grades`" + `) and choose another action (` + "`classes`" + `); [configs/policy.yaml](../configs/policy.yaml) shows how.

A grade says how much harm a disclosure does: L1 public, L2 general, L3 serious, L4 sensitive, L5 important. L5 is never inferred: a policy declares it.

The clauses name what a row rests on. They are no legal advice.

## Classes

"L3, L4 …" means L4 under the condition. Actions are the defaults of the built-in policy, from the grade on that is named.

`

const pageRaises = `
## What raises a grade

| found together | the findings that take part are graded |
|---|---|
`

const pageLimits = `
A message that is about more distinct subjects than the profile's limit has what is personal in it graded one higher, at most L4. Subjects are counted by class as distinct values: names, addresses, numbers of people, plates, faces, devices that people carry.

| profile | a child is younger than | subjects in a message | subjects a year and uplink from which data may be important (L5) |
|---|---|---|---|
`

const pageTracks = `
A track is five changes of position of one MQTT client within ten minutes: its ` + "`location.precise`" + ` is then L4. What an existing broker forwards has no known client; there only the positions within one message make a track.

The grade of a message is that of its highest finding, L1 where there is none. A finding that is less than 50 % sure is not reported. One that is less than 60 % sure keeps its grade but turns a block into a seal, except for credentials and biometrics.

## Detectors

What each looks at, and the evidence that it gives for the examples in ` + "`classify/testdata/detectors/`" + `, where each has at least one that it must find and one that it must not.

| detector | finds | looks at | evidence |
|---|---|---|---|
`

const pageCustom = `
## Detectors of a site

A policy adds detectors under ` + "`detectors`" + `; [configs/policy.yaml](../configs/policy.yaml) has two.

| key | what it says |
|---|---|
| ` + "`name`" + ` | lower-case letters, digits and dashes; reports show ` + "`policy/NAME`" + ` |
| ` + "`class`" + ` | what is found: a class of the taxonomy |
| ` + "`keywords`" + ` | words that must stand in the value's key, in a key around or beside it, in the topic, or among what comes before it in the line of a text. Case, spaces, dashes and underscores don't count. With keywords and no pattern, the whole value of such a key is found |
| ` + "`pattern`" + ` | an [RE2](https://github.com/google/re2/wiki/Syntax) expression; its first group, if it has one, is what is found. Without keywords, every match must hold at least three bytes that the pattern writes out |
| ` + "`verifier`" + ` | a check that what is found must pass, see below |
| ` + "`confidence`" + ` | 50 to 100 percent; 80 |
| ` + "`examples`" + ` | payloads under ` + "`match`" + ` and ` + "`no_match`" + `, at least one each. The policy is refused if one does not do as it says |

What they find stands beside what the built-in detectors find and hides none of it. Those under ` + "`guard.detectors`" + ` of [agent.yaml](../configs/agent.yaml) have the same keys without examples, and no policy can take them away; reports show ` + "`guard/NAME`" + `. A match is at most 256 bytes long. A pattern may have 512 bytes and must not match fewer than three; there may be 64 detectors. ` + "`sealctl policy explain`" + ` lists them, and ` + "`sealctl policy diff`" + ` says what a changed one does.

| verifier | what passes |
|---|---|
`

func taxonomyPage(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(pageHead)
	profiles := Profiles()
	fmt.Fprintf(&b, "| class | %s | action | rests on |\n|---|%s---|---|\n", strings.Join(profiles, " | "), strings.Repeat("---|", len(profiles)))
	for _, k := range Classes() {
		fmt.Fprintf(&b, "| `%s`: %s |", k.Name, strings.TrimSuffix(k.Doc, "."))
		for _, p := range profiles {
			fmt.Fprintf(&b, " %s |", gradeWords(t, &k, p))
		}
		fmt.Fprintf(&b, " %s | %s |\n", actionWords(&k), strings.Join(k.Clauses, "; "))
	}
	b.WriteString(pageRaises)
	for _, c := range combinations {
		to := fmt.Sprintf("%d higher, at most L4", c.up)
		if c.to != Ungraded {
			to = "at least " + c.to.String()
		}
		if c.plate {
			to += ", where a plate raises it as a face does"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", c.name, to)
	}
	b.WriteString(pageLimits)
	for _, p := range profiles {
		l, ok := ProfileLimits(p)
		if !ok {
			t.Fatalf("no limits for %s", p)
		}
		year := []string{}
		for _, v := range l.SubjectsAYear {
			what := ""
			if v.Sensitive {
				what = " of whom something L4 leaves"
			}
			year = append(year, fmt.Sprintf("%d%s (%s)", v.Subjects, what, v.Clause))
		}
		if len(year) == 0 {
			year = append(year, "none")
		}
		fmt.Fprintf(&b, "| %s | %d years | %d | %s |\n", p, l.ChildAge, l.SubjectsInMessage, strings.Join(year, "; "))
	}
	b.WriteString(pageTracks)
	for _, d := range Detectors() {
		classes, why := evidence(t, d)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", d.name, strings.Join(classes, ", "), d.on, why)
	}
	b.WriteString(pageCustom)
	for _, v := range Verifiers() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, v.Doc)
	}
	return b.Bytes()
}

var conditions = map[string]string{
	"public":         "for a public address",
	"personal":       "where a person carries it",
	"track":          "as a track",
	"time_and_place": "with time and place",
	"identity":       "with an identity",
	"face":           "with a face",
	"face_or_plate":  "with a face or a plate",
	"biometric":      "for a biometric model",
	"gbt35273":       "with `gbt35273: true`",
}

func gradeWords(t *testing.T, k *Class, profile string) string {
	t.Helper()
	words := k.Grades[profile].String()
	if r := k.Raised[profile]; r > k.Grades[profile] {
		when, ok := conditions[k.ConditionIn(profile)]
		if !ok {
			t.Fatalf("%s: the condition %q has no words", k.Name, k.ConditionIn(profile))
		}
		words += ", " + r.String() + " " + when
	}
	return words
}

func actionWords(k *Class) string {
	word := func(action string, params map[string]any) string {
		for name, v := range params {
			if inner, ok := v.(map[string]any); ok { // leave: {generalize: …}
				for n := range inner {
					v = n
				}
			}
			action += fmt.Sprintf(" (%s: %v)", name, v)
		}
		return action
	}
	words := word(k.DefaultAction, k.DefaultParams)
	for _, d := range k.DefaultFrom {
		words += "; from " + d.From.String() + " " + word(d.Action, d.Params)
	}
	return words
}

var startWords = []struct {
	on   start
	word string
}{
	{onKey, "values by their key"}, {onArray, "arrays by their key"}, {onGroup, "several fields together"},
	{onDigits, "digits"}, {onWord, "words"}, {onWords, "groups of words"}, {onDotted, "dotted numbers"},
	{onColons, "hexadecimal groups"}, {onAt, "words with @"}, {onURL, "URLs"}, {onToken, "long tokens"},
	{onLiteral, "fixed beginnings"}, {onBinary, "binary payloads"},
}

// String returns the places in words.
func (s start) String() string {
	var words []string
	for _, w := range startWords {
		if s&w.on != 0 {
			words = append(words, w.word)
			s &^= w.on
		}
	}
	if s != 0 {
		return fmt.Sprintf("start(%d)", uint16(s))
	}
	return strings.Join(words, ", ")
}

// evidence is what a detector finds in its own corpus, and why.
func evidence(t *testing.T, d detector) (classes []string, why Why) {
	t.Helper()
	c, err := compile(Options{}, []detector{d})
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join("testdata", "detectors", d.name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(src), "\n") {
		if !strings.HasPrefix(line, "+") {
			continue
		}
		topic, raw := contractLine(t, line)
		var doc payload.Document
		payload.Parse(&doc, topic, raw, payload.Limits{})
		var s Scratch
		for _, f := range c.Find(&s, nil, &doc, Context{}).Findings {
			classes, why = append(classes, f.Class.String()), why|f.Why
		}
	}
	slices.Sort(classes)
	return slices.Compact(classes), why
}
