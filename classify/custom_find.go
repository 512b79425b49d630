package classify

import (
	"bytes"
	"sort"

	"github.com/sealgate/sealgate/classify/payload"
)

// Bounds of looking in one text.
const (
	customReach   = 96   // bytes behind a keyword in a text, in its line, in which a match begins
	customWhole   = 1024 // bytes of a text that is searched whole; a longer one around the anchors only
	customMatches = 64   // of one detector in one window
)

// lookCustom runs the policy's detectors. What they find stands beside what the
// built-in detectors found and takes nothing away: a policy can't hide a value
// behind a class that is graded lower.
func (s *Scratch) lookCustom() {
	d := s.doc
	s.settle()
	s.builtIn = len(s.findings)
	s.mentioned = grown(s.mentioned, len(d.Fields))
	for i := range d.Fields {
		if f := &d.Fields[i]; f.Parent >= 0 && f.Kind != payload.KindTopic {
			s.mentioned[f.Parent] |= s.mem.paths[s.paths[i]].said
		}
	}
	for i := range d.Fields {
		if s.work > s.maxWork {
			return
		}
		f := &d.Fields[i]
		var own, near, names uint64
		switch {
		case f.Kind == payload.KindTopic:
			if i > 0 {
				level, _ := s.keyFolder.fold(d.Text(int32(i - 1)))
				own, names = s.owner.custom.masks(level)
			}
			near = own
		default:
			p := &s.mem.paths[s.paths[i]]
			own, names, near = p.said, p.names, p.saidAbove|p.said|s.topic.said
			if f.Parent >= 0 {
				near |= s.mentioned[f.Parent]
			}
			if f.Key.Len() > 0 {
				s.customKey(int32(i), near)
			}
		}
		switch f.Kind {
		case payload.KindString, payload.KindText, payload.KindNumber, payload.KindTopic:
			s.customText(int32(i), f.Kind, own, near, names)
		}
	}
}

// customKey looks at a key itself.
func (s *Scratch) customKey(i int32, near uint64) {
	t, _ := s.text.fold(s.doc.Name(i))
	for b := range s.owner.custom.list {
		k := &s.owner.custom.list[b]
		if k.pattern == nil || k.keyed && near>>b&1 == 0 || len(t) < minPatternBytes || !k.anchored(t) {
			continue
		}
		s.work += 1 + len(t)/8
		if loc := k.pattern.FindSubmatchIndex(t); loc != nil && k.verified(t[loc[2*k.group]:loc[2*k.group+1]]) {
			s.findings = append(s.findings, Finding{Field: i, Class: k.class, Confidence: k.sure, Detector: k.id, Why: WhyCustom | WhyShape | WhyInKey})
		}
	}
}

// customText looks at one value. own are the detectors whose keywords its key
// says, near those whose keywords stand anywhere around it, names those whose
// keywords are what its key names.
func (s *Scratch) customText(i int32, kind payload.Kind, own, near, names uint64) {
	raw := s.doc.Text(i)
	x := customPlace{s: s, field: i, kind: kind, size: len(raw), from: len(s.findings)}
	x.text, x.mapped = s.text.fold(raw)
	var rest uint64 // detectors whose keywords may stand in the text itself
	for b := range s.owner.custom.list {
		k := &s.owner.custom.list[b]
		s.work += 1 + len(x.text)/256
		switch {
		case !k.keyed:
			x.around(k, WhyShape)
		case near>>b&1 == 0:
			rest |= 1 << b
		case k.pattern != nil && own>>b&1 != 0:
			x.around(k, WhyShape|WhyKey)
		case k.pattern != nil:
			x.around(k, WhyShape|WhyContext)
		case names>>b&1 != 0:
			if from, to := trim(x.text); from < to && !nothing(x.text[from:to]) {
				x.found(k, from, to, WhyKey)
			}
		}
	}
	if rest != 0 && (kind == payload.KindString || kind == payload.KindText) {
		x.mentions(rest)
	}
}

// customPlace is a text in which detectors of the policy look.
type customPlace struct {
	s      *Scratch
	field  int32
	kind   payload.Kind
	text   []byte // folded
	mapped bool
	size   int // of the text before folding
	from   int // the first finding of this text among the scratch's
}

// around looks for matches: in a short text everywhere, in a long one around
// the literals that every match holds.
func (x *customPlace) around(k *custom, why Why) {
	t := x.text
	if len(t) <= customWhole || len(k.anchors) == 0 {
		if k.anchored(t) {
			x.within(k, 0, len(t), 0, len(t), why)
		}
		return
	}
	var next [maxAnchors]int // where each literal stands next; len(t): nowhere
	for a := range k.anchors {
		next[a] = -1
	}
	find := func(at int) int {
		first := len(t)
		for a, lit := range k.anchors {
			if next[a] < at {
				next[a] = len(t)
				if j := bytes.Index(t[at:], lit); j >= 0 {
					next[a] = at + j
				}
			}
			first = min(first, next[a])
		}
		return first
	}
	for at := find(0); at < len(t) && x.s.work <= x.s.maxWork; {
		from, to := max(0, at-maxCustomMatch), min(len(t), at+maxCustomMatch)
		for at = find(at + 1); at < to; at = find(at + 1) {
			to = min(len(t), at+maxCustomMatch)
			x.s.work++
		}
		x.within(k, from, to, from, to, why)
	}
}

// within looks for matches in text[from:to] that begin in text[low:high]. A
// match that touches an end of what was looked at, and not of the text, may go
// on beyond, or begin where it does not: it is none.
func (x *customPlace) within(k *custom, from, to, low, high int, why Why) {
	x.s.work += 1 + (to-from)/8
	found := k.pattern.FindAllSubmatchIndex(x.text[from:to], customMatches)
	for n, loc := range found {
		a, b := from+loc[0], from+loc[1]
		if n == customMatches-1 { // there may be more: all that is left counts as one
			x.found(k, a, max(b, high), why)
			return
		}
		if a < low || a >= high || a == from && from > 0 || b == to && to < len(x.text) {
			continue
		}
		if k.group == 1 && loc[2] >= 0 {
			a, b = from+loc[2], from+loc[3]
		}
		x.found(k, a, b, why)
	}
}

// A stretch of a text is where matches of a detector may begin, because its
// keyword stands before.
type stretch struct{ low, high int }

// mentions looks behind the keywords that stand in the text. Stretches that
// meet are searched once.
func (x *customPlace) mentions(detectors uint64) {
	var open [MaxCustom]stretch
	t, cs, line := x.text, x.s.owner.custom, 0 // line: where this one ends
	for i := 0; i < len(t) && x.s.work <= x.s.maxWork; {
		if !alnum(t[i]) {
			i++
			continue
		}
		end := i
		for end < len(t) && alnum(t[end]) {
			end++
		}
		x.s.work++
		if cs.first[t[i]] {
			for line < end {
				if line++; line < len(t) {
					if j := bytes.IndexByte(t[line:], '\n'); j >= 0 {
						line += j
						continue
					}
				}
				line = len(t)
			}
			for m := cs.mask(t[i:threeWords(t, end)]) & detectors; m != 0; m &= m - 1 {
				b := ClassSet(m).First()
				k := &cs.list[b]
				if k.pattern == nil {
					x.behind(k, end, min(line, end+customReach))
					continue
				}
				o := &open[b]
				if end > o.high {
					x.search(k, o)
					o.low = end
				}
				o.high = min(line, end+customReach)
			}
		}
		i = end
	}
	for b := range cs.list {
		x.search(&cs.list[b], &open[b])
	}
}

// threeWords returns the end of the two words behind the one that ends at
// text[end], which with it can be a keyword.
func threeWords(t []byte, end int) int {
	from := end
	for n := 0; n < 2 && end-from < customReach; n++ {
		j := end
		if j < len(t) && (t[j] == ' ' || t[j] == '-' || t[j] == '_') {
			j++
		}
		if j == end || j == len(t) || !alnum(t[j]) {
			break
		}
		for end = j; end < len(t) && alnum(t[end]); {
			end++
		}
	}
	return min(end, from+customReach)
}

// search looks for matches that begin in a stretch, and closes it.
func (x *customPlace) search(k *custom, o *stretch) {
	if o.high > o.low {
		to := min(len(x.text), o.high+maxCustomMatch)
		if from := max(0, o.low-1); k.anchored(x.text[from:to]) {
			x.within(k, from, to, o.low, o.high, WhyShape|WhyContext)
		}
	}
	*o = stretch{}
}

// behind takes the value behind a keyword that ends at text[end], on its line:
// "locker: b17".
func (x *customPlace) behind(k *custom, end, line int) {
	t, i, sign := x.text, end, false
	for i < line && !sign {
		sign = t[i] == ':' || t[i] == '='
		i++
	}
	for i < line && (t[i] == ' ' || t[i] == '"' || t[i] == '\'' || t[i] == '=') {
		i++
	}
	j := i
	for j < line && byteClass[t[j]]&isBreak == 0 {
		j++
	}
	if sign && j > i && !nothing(t[i:j]) {
		x.found(k, i, j, WhyContext)
	}
}

// found notes text[a:b], unless something of the class is known there.
func (x *customPlace) found(k *custom, a, b int, why Why) {
	if b-a <= maxCustomMatch && !k.verified(x.text[a:b]) {
		return
	}
	if k.verify != nil {
		why |= WhyChecksum
	}
	s := x.s
	f := Finding{Field: x.field, Class: k.class, Confidence: k.sure, Detector: k.id, Why: why | WhyCustom}
	if x.mapped {
		a, b = s.text.place(a, b)
	}
	if x.kind != payload.KindNumber && (a != 0 || b != x.size) {
		f.Start, f.End = uint32(a), uint32(b)
	}
	known := s.findings[:s.builtIn]
	at := sort.Search(len(known), func(j int) bool { return known[j].Field >= x.field })
	for ; at < len(known) && known[at].Field == x.field; at++ {
		if g := &known[at]; g.Class == f.Class && g.Why&WhyInKey == 0 && g.meets(&f) {
			g.Why |= WhyCustom
			return
		}
	}
	for j := max(x.from, len(s.findings)-customMatches); j < len(s.findings); j++ {
		if g := &s.findings[j]; g.Class == f.Class && g.meets(&f) {
			return
		}
	}
	s.findings = append(s.findings, f)
}

// meets reports whether two findings in one field overlap.
func (f *Finding) meets(g *Finding) bool {
	return f.Whole() || g.Whole() || f.Start < g.End && g.Start < f.End
}
