package classify

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// A Custom is a detector that a policy adds.
//
// With Keywords, the pattern counts where one of them stands in the value's key,
// in a key around it, in a key or label beside it, in the topic, or among the
// five words before it in a text. Keywords are normalized like keys, so that
// workOrder, work_order and "Work Order" are one. Without a pattern, the value
// of a key that means one of them is found whole.
//
// Without Keywords, every match must hold a literal of at least three bytes, so
// that a text without it costs one search.
type Custom struct {
	Name       string // closed: lower case letters, digits and dashes
	Origin     string // whose it is, shown before the name; empty: "policy"
	Class      ClassID
	Keywords   []string
	Pattern    string // RE2 (package regexp); its first group, if it has one, is what is found
	Verifier   string // one of Verifiers; empty: none
	Confidence uint8  // percent, 50 to 100; 0: 80
}

// Bounds of custom detectors.
const (
	MaxCustom       = 64  // in one policy
	maxKeywords     = 32  // of one detector
	maxPatternBytes = 512 // as written
	maxPatternSteps = 1500
	minPatternBytes = 3 // of the shortest text that a pattern may match
	minAnchorBytes  = 3
	maxAnchors      = 16
	maxCustomMatch  = 256 // bytes that a match is looked for around its anchor
)

// CustomConfidence is the confidence of a Custom that states none, in percent.
const CustomConfidence = 80

// A CustomProblem is what is wrong with a Custom: in which part, and what to do.
type CustomProblem struct {
	Part    string // "name", "class", "keywords", "pattern", "verifier", "confidence"; empty: the whole
	Item    int    // of keywords: which
	Message string
	Hint    string
}

// Check returns what is wrong with a detector, all of it.
func (x *Custom) Check() []CustomProblem {
	_, problems := compileCustom(x)
	return problems
}

// custom is a compiled Custom.
type custom struct {
	id       DetectorID
	class    ClassID
	keyed    bool // it has keywords
	pattern  *regexp.Regexp
	group    int      // of the pattern that is found: 0 or 1
	anchors  [][]byte // one of these stands in every match; none: unknown
	verify   *Verifier
	sure     uint8
	keywords []string // normalized
}

// customs are the detectors of a policy.
type customs struct {
	list    []custom
	words   map[string]uint64 // normalized keyword: the detectors it belongs to, one bit each
	longest int               // bytes of the longest keyword
	wide    []string          // keywords of scripts that are written without spaces
	first   [256]bool         // bytes that keywords begin with, in either case
}

func newCustoms(xs []Custom, first int) (*customs, error) {
	if len(xs) == 0 {
		return nil, nil
	}
	if len(xs) > MaxCustom {
		return nil, fmt.Errorf("compile classifier: %d custom detectors, at most %d", len(xs), MaxCustom)
	}
	cs := &customs{words: map[string]uint64{}}
	for i := range xs {
		k, problems := compileCustom(&xs[i])
		if len(problems) > 0 {
			return nil, fmt.Errorf("compile detector %q: %s", xs[i].Name, problems[0].Message)
		}
		k.id = DetectorID(first + i)
		for _, w := range k.keywords {
			cs.words[w] |= 1 << i
			cs.longest = max(cs.longest, len(w))
			if cs.first[w[0]] = true; w[0] >= 0x80 {
				cs.wide = append(cs.wide, w)
				for b := 0x80; b < len(cs.first); b++ {
					cs.first[b] = true // the run of letters may begin before the word
				}
			} else if w[0]-'a' < 26 {
				cs.first[w[0]&^0x20] = true
			}
		}
		cs.list = append(cs.list, *k)
	}
	return cs, nil
}

func compileCustom(x *Custom) (*custom, []CustomProblem) {
	k := &custom{class: x.Class, keyed: len(x.Keywords) > 0, sure: x.Confidence}
	var ps []CustomProblem
	bad := func(part, hint, format string, args ...any) {
		ps = append(ps, CustomProblem{Part: part, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if !customName(x.Name) {
		bad("name", "use lower-case letters, digits and dashes, at most 40", "a detector can't be called %q", x.Name)
	}
	if x.Class == ClassNone || x.Class >= classCount {
		bad("class", "", "a detector needs a class")
	}
	if k.sure == 0 {
		k.sure = CustomConfidence
	}
	if k.sure < minConfidence || k.sure > 100 {
		bad("confidence", "what is less sure is not reported", "confidence must be %d to 100 percent", minConfidence)
	}
	if len(x.Keywords) > maxKeywords {
		bad("keywords", "", "more than %d keywords", maxKeywords)
	}
	var f folder
	for i, w := range x.Keywords {
		folded, _ := f.fold([]byte(w))
		var split keyWords
		split.split(folded)
		n := string(split.phrase(0, split.n))
		if len(n) < 2 || len(n) > 40 || split.n > maxPhrase || digitsOnly([]byte(n)) {
			ps = append(ps, CustomProblem{Part: "keywords", Item: i, Message: fmt.Sprintf("a keyword can't be %q", w),
				Hint: fmt.Sprintf("one to %d words, 2 to 40 bytes in all, not digits alone", maxPhrase)})
			continue
		}
		k.keywords = append(k.keywords, n)
	}
	if x.Verifier != "" {
		if k.verify = verifierByName(x.Verifier); k.verify == nil {
			bad("verifier", "one of: "+strings.Join(VerifierNames(), ", "), "there is no verifier %q", x.Verifier)
		}
	}
	switch {
	case x.Pattern != "":
		k.compilePattern(x.Pattern, bad)
	case !k.keyed:
		bad("", "give it keywords, a pattern, or both", "a detector without keywords needs a pattern")
	}
	return k, ps
}

func (k *custom) compilePattern(pattern string, bad func(part, hint, format string, args ...any)) {
	if len(pattern) > maxPatternBytes {
		bad("pattern", "split it into several detectors", "the pattern is longer than %d bytes", maxPatternBytes)
		return
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		bad("pattern", "the syntax is RE2's: no look-around, no back references", "%v", err)
		return
	}
	tree = tree.Simplify()
	prog, err := syntax.Compile(tree)
	if err != nil || len(prog.Inst) > maxPatternSteps {
		bad("pattern", "use smaller repetitions", "the pattern is too large")
		return
	}
	if n := shortest(tree); n < minPatternBytes {
		bad("pattern", "", "the pattern matches %d bytes; at least %d are needed", n, minPatternBytes)
		return
	}
	if k.pattern, err = regexp.Compile(pattern); err != nil {
		bad("pattern", "", "%v", err)
		return
	}
	k.group = min(k.pattern.NumSubexp(), 1)
	for _, a := range anchorsOf(tree) {
		k.anchors = append(k.anchors, []byte(a))
	}
	if !k.keyed && len(k.anchors) == 0 {
		bad("pattern", fmt.Sprintf("give the detector keywords, or write %d bytes of every match out", minAnchorBytes),
			"nothing says where to look for the pattern")
	}
}

func customName(s string) bool {
	if s == "" || len(s) > 40 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

// shortest is the length in bytes of the shortest text that an expression can
// match.
func shortest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return shortest(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * shortest(re.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, s := range re.Sub {
			n += shortest(s)
		}
		return n
	case syntax.OpAlternate:
		n := shortest(re.Sub[0])
		for _, s := range re.Sub[1:] {
			n = min(n, shortest(s))
		}
		return n
	}
	return 0
}

// anchorsOf returns literals of which every match holds one, or none where that
// is not known.
func anchorsOf(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		s := string(re.Rune)
		if len(s) < minAnchorBytes || re.Flags&syntax.FoldCase != 0 && strings.ToLower(s) != strings.ToUpper(s) {
			return nil
		}
		return []string{s}
	case syntax.OpCapture, syntax.OpPlus:
		return anchorsOf(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return anchorsOf(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, s := range re.Sub {
			if a := anchorsOf(s); a != nil && (best == nil || least(a) > least(best)) {
				best = a
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, s := range re.Sub {
			a := anchorsOf(s)
			if a == nil || len(all)+len(a) > maxAnchors {
				return nil
			}
			all = append(all, a...)
		}
		return all
	}
	return nil
}

// least is the length of the shortest of some texts.
func least(ss []string) int {
	return len(slices.MinFunc(ss, func(a, b string) int { return len(a) - len(b) }))
}

// mask is which detectors' keywords stand in a key or a few words, one bit each.
func (cs *customs) mask(folded []byte) uint64 {
	m, _ := cs.masks(folded)
	return m
}

// masks is mask, and which detectors' keywords are what a key names: the last of
// its words, like the head of a meaning.
func (cs *customs) masks(folded []byte) (m, head uint64) {
	if len(cs.words) == 0 {
		return 0, 0
	}
	var k keyWords
	k.split(folded)
	end := k.n
	for end > 1 && (tailWords.has(k.phrase(end-1, end)) || digitsOnly(k.phrase(end-1, end))) {
		end--
	}
	for i := range k.n {
		for j := i + 1; j <= min(k.n, i+maxPhrase); j++ {
			p := k.phrase(i, j)
			if len(p) == 0 || p[0] < 0x80 && len(p) > cs.longest+1 {
				break
			}
			was := m
			m |= cs.words[string(p)]
			if n := len(p); n > 3 && p[n-1] == 's' {
				m |= cs.words[string(p[:n-1])]
			}
			if p[0] >= 0x80 && j == i+1 {
				for _, w := range cs.wide {
					if bytes.Contains(p, []byte(w)) {
						m |= cs.words[w]
					}
				}
			}
			if j == end || j == k.n {
				head |= m&^was | cs.words[string(p)]
			}
		}
	}
	return m, head
}

// verified reports whether the verifier of a detector, if it has one, holds.
func (k *custom) verified(t []byte) bool {
	return k.verify == nil || k.verify.Holds(t)
}

// anchored reports whether t may hold a match, by the pattern's literals.
func (k *custom) anchored(t []byte) bool {
	if len(k.anchors) == 0 {
		return true
	}
	for _, a := range k.anchors {
		if bytes.Contains(t, a) {
			return true
		}
	}
	return false
}
