package classify

import (
	"hash/maphash"

	"github.com/sealgate/sealgate/classify/payload"
)

// ReasonCostly says that looking at the message would take too long.
const ReasonCostly payload.Reason = "too_costly"

// ReasonPanic says that a detector panicked: what the message holds is unknown.
const ReasonPanic payload.Reason = "panic"

// Scratch is the memory of one worker: what Find works in, and what it has
// learned about key paths. The zero value is ready. Not for concurrent use.
type Scratch struct {
	owner *Classifier
	plan  *plan
	mem   memory

	findings []Finding
	merged   []Finding     // findings and declared ones, while they are put together
	declared []Declaration // in order, where the policy's are not
	paths    []int32       // of each field
	siblings []senses      // of each container: what its members' keys and labels mean

	unresolved []int32 // fields whose values are encoded in an unknown way, see unresolved.go

	grouped []int32    // fields that detectors on groups want to see, in no order where labels name values
	pairs   [][2]int32 // precise positions: the fields of latitude and longitude

	mentioned []uint64 // of each container: detectors of the policy whose keywords its members' keys say
	builtIn   int      // findings of the built-in detectors

	doc                   *payload.Document
	work, maxWork         int     // detectors started in this document, and how many may be
	layout                layout  // of the text being looked at
	done                  done    // up to where
	keyed                 bool    // its key opens a gate
	field                 int32   // that is being looked at
	first                 int     // its first finding
	labels                bool    // a container has a label
	label                 []int32 // of each container: the path that {"name": "latitude", "value": …} gives its value, or 0
	topic                 topicMeaning
	spoken                senses // what all keys of the document and its topic mean
	mapped                bool   // the text being looked at was folded: matches are placed back
	digits                [maxDigits]byte
	groupEnds, groupSizes [maxGroups]int    // of digits in groups: where each ends, and how many digits there are up to there
	groupWays             [maxGroups]uint64 // and how they are written up to there
	nearby                nearby            // words around the place that is looked at
	text                  folder
	keyFolder             folder
	cand                  candidate
	group                 group
}

// Find finds and grades what is sensitive in a parsed document. A panic in a
// detector becomes a Reason; the result then has no findings and no grade.
func (c *Classifier) Find(s *Scratch, st *State, d *payload.Document, ctx Context) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			s.mem.owner = nil // whatever it was learning is in doubt
			r = Result{Grade: Ungraded, Reason: ReasonPanic}
		}
	}()
	s.begin(c, d)
	s.read()
	if s.labels {
		s.relabel()
	}
	s.look()
	for _, id := range s.plan.groups {
		if s.spoken.meets(c.senses[id]) {
			s.group = group{s: s, id: id}
			c.detectors[id].group(&s.group)
		}
	}
	if c.custom != nil {
		s.lookCustom()
	}
	if s.work > s.maxWork {
		s.mem.owner = nil // what it learned without looking is wrong
		return Result{Grade: Ungraded, Reason: ReasonCostly}
	}
	s.declare(ctx.Declared)
	s.settle()
	r = c.grade(s, st, ctx)
	if s.anyUnresolved(ctx.Harmless) {
		r.Reason = ReasonUnresolved
	}
	return r
}

func (s *Scratch) begin(c *Classifier, d *payload.Document) {
	s.owner, s.plan, s.doc = c, c.plan, d
	s.findings = s.findings[:0]
	s.pairs, s.grouped, s.unresolved = s.pairs[:0], s.grouped[:0], s.unresolved[:0]
	s.mem.begin(c, d)
	s.work, s.maxWork = 0, maxWork+maxWorkPerByte*len(d.Raw)
	s.nearby.turns = 0
	s.cand = candidate{dict: c.dict, names: &s.mem.names, childAge: c.limits.ChildAge, plateTells: c.plateTells}
	n := len(d.Fields)
	s.paths, s.siblings, s.label, s.labels = grown(s.paths, n), grown(s.siblings, n), grown(s.label, n), false
	s.topic = s.mem.topic(s, d)
	s.findings = s.findings[:0]
	s.spoken = s.topic.about
}

// grown returns a slice of n zero elements, in s's memory if it is enough and
// not far too much.
func grown[T any](s []T, n int) []T {
	if cap(s) < n || cap(s) > 8192 && n < 1024 {
		return make([]T, n, max(n, 64))
	}
	s = s[:n]
	clear(s)
	return s
}

// read works out what each field's key means.
func (s *Scratch) read() {
	d := s.doc
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.Kind == payload.KindTopic {
			continue
		}
		id := int32(rootPath)
		if f.Place != 0 {
			id = s.mem.places[f.Place]
		}
		if id == rootPath {
			var ok bool
			if id, ok = s.pathOf(int32(i), f); !ok {
				continue
			}
		}
		s.paths[i] = id
		p := &s.mem.paths[id]
		if p.tells&tellsAbout != 0 {
			s.speak(f.Parent, p.about)
		}
		if p.tells&tellsFirst != 0 {
			s.told(int32(i), f, p)
		}
	}
}

// pathOf returns the path of a field that is a member of an object. What any
// other field is comes from what it stands in: pathOf notes that, and reports
// false.
func (s *Scratch) pathOf(i int32, f *payload.Field) (id int32, member bool) {
	if f.Parent < 0 {
		if f.Kind.Leaf() {
			s.paths[i] = s.topic.last // the last topic level is a scalar's key
			s.noteGroup(i)
		}
		return 0, false
	}
	up := s.paths[f.Parent]
	if f.Key.Len() == 0 {
		s.paths[i] = up // an element of an array is what the array is
		s.noteGroup(i)
		return 0, false
	}
	key := s.doc.Name(i)
	if digitsOnly(key) {
		s.paths[i] = up // so is a member with a number for a key
		s.noteGroup(i)
		if len(key) >= minDigits {
			if m, by := s.owner.inKey(s, key); m.confidence > 0 {
				s.reportKey(i, m, by)
			}
		}
		return 0, false
	}
	id = s.mem.child(s, f.PathHash, up, key)
	if f.Place != 0 {
		s.mem.places[f.Place] = id
	}
	return id, true
}

// told notes what the key of field i tells.
func (s *Scratch) told(i int32, f *payload.Field, p *path) {
	if p.tells&tellsGroup != 0 {
		s.grouped = append(s.grouped, i)
	}
	if p.tells&tellsKey != 0 {
		s.reportKey(i, p.inKey, p.inKeyBy)
	}
	if f.Kind != payload.KindString {
		return
	}
	if p.tells&tellsValue != 0 {
		s.toldByValue(i, f, p)
	}
}

// speak notes what a member of a container speaks of.
func (s *Scratch) speak(container int32, about senses) {
	s.siblings[container] = s.siblings[container].union(about)
	s.spoken = s.spoken.union(about)
}

// noteGroup notes a field that detectors on groups want to see.
func (s *Scratch) noteGroup(i int32) {
	if s.mem.paths[s.paths[i]].tells&tellsGroup != 0 {
		s.grouped = append(s.grouped, i)
	}
}

// look runs detectors over every field.
func (s *Scratch) look() {
	d := s.doc
	for i := int32(0); int(i) < len(d.Fields) && s.work <= s.maxWork; i++ {
		f := &d.Fields[i]
		switch f.Kind {
		case payload.KindTopic:
			if !s.topic.clean {
				s.level(i)
			}
			continue
		case payload.KindObject, payload.KindLines:
			continue
		case payload.KindArray:
			if f.Key.Len() > 0 && s.array(i) {
				i = lastInside(d, i)
			}
			continue
		case payload.KindBinary:
			s.binary(i)
			continue
		case payload.KindNull:
			continue
		}
		p := &s.mem.paths[s.paths[i]]
		keyed := len(p.starts(f.Kind)) > 0
		if !keyed && (f.Kind == payload.KindBool || f.Kind == payload.KindNumber && f.Text.Len() < minDigits) {
			continue
		}
		text := d.Text(i)
		if !keyed && s.dull(f.Kind, text) {
			continue
		}
		s.leaf(i, f, p, text)
	}
}

// dull reports whether a value holds nothing that could start a detector, at the
// cost of one look at each byte.
func (s *Scratch) dull(kind payload.Kind, text []byte) bool {
	switch kind {
	case payload.KindString, payload.KindText:
		if len(text) < 4 {
			return true
		}
		if len(text) >= minToken {
			return false
		}
		m := uint8(0)
		for _, b := range text {
			m |= byteClass[b]
		}
		if m&(isLetter|isDigit) == isDigit {
			return m&(isAt|isColon|isEquals) == 0 && s.fewDigits(text)
		}
		return m&(isDigit|isAt|isColon|isEquals|isBreak) == 0 && !s.literalAt(text, 0)
	case payload.KindNumber:
		return !digitsOnly(text) && !exponential(text)
	}
	return true
}

// fewDigits reports whether a text without letters is a version, a reading or
// the like, in which no detector starts: groups of digits that are too short
// and too few, even for an address.
func (s *Scratch) fewDigits(text []byte) bool {
	digits, run, dots := 0, 0, 0
	for _, b := range text {
		switch {
		case b-'0' <= 9:
			digits++
			if run++; run > s.plan.shortRun {
				return false
			}
			continue
		case b == '.':
			dots++
		case b != '-' && b != ',' && b != ' ' && b != '%':
			return false
		}
		run = 0
	}
	return digits <= s.plan.fewDigits && dots < 3
}

// exponential reports whether a number is written as digits, E, digits: the
// whole of a payload, it may be an identifier with a letter in it, like a
// pension number or a personal code.
func exponential(text []byte) bool {
	e := 0
	for i, b := range text {
		if b == 'E' && i > 0 && e == 0 {
			e = i
		} else if b-'0' > 9 {
			return false
		}
	}
	return e >= 6 && len(text) <= 16
}

// lastInside returns the last field inside a container.
func lastInside(d *payload.Document, i int32) int32 {
	j := i + 1
	for int(j) < len(d.Fields) && d.Fields[j].Parent >= i {
		j++
	}
	return j - 1
}

// leaf looks at one value.
func (s *Scratch) leaf(i int32, f *payload.Field, p *path, text []byte) {
	beside := senses{}
	if f.Parent >= 0 {
		beside = s.siblings[f.Parent]
		if p.transparent { // {"heart_rate": {"value": 60, "unit": "bpm"}}
			if pp := s.doc.Fields[f.Parent].Parent; pp >= 0 {
				beside = beside.union(s.siblings[pp])
			}
		}
	}
	if len(p.detectors) == 0 && timestamp(text) {
		if g := s.plan.gates; !g.empty() && !g.meets(p.head.union(p.all)) && !g.meets(beside.union(s.topic.about)) {
			return
		}
	}
	remember, hash := f.Kind == payload.KindString && f.Parent >= 0 && len(text) <= maxKnown, uint64(0)
	if remember {
		p.known.news++
		remember = p.known.news <= maxNews
	}
	if remember {
		hash = maphash.Bytes(s.mem.seed, text)
		if k := &p.known; k.hash == hash && k.size == uint32(len(text)) && k.beside == beside && k.topic == s.topic.about {
			if k.news = 0; k.found.Class != ClassNone {
				s.findings = append(s.findings, k.found)
				s.findings[len(s.findings)-1].Field = i
			}
			return
		}
	}
	c := &s.cand
	s.open(c, i, f.Kind, text)
	c.key, c.up, c.root, c.beside = p.head, p.up, f.Parent < 0, beside
	c.above = p.above.union(s.topic.about)
	c.about = beside.union(s.topic.about).union(p.all)
	s.value(c, f, p, text)
	if p.tells&tellsKind != 0 && len(s.findings) == s.first && p.undecoded(text) {
		s.unresolved = append(s.unresolved, i)
		return // it is not one without findings
	}
	if found := s.findings[s.first:]; remember && len(found) <= 1 && s.work <= s.maxWork {
		k := &p.known
		k.hash, k.size, k.beside, k.topic, k.found.Class = hash, uint32(len(text)), beside, s.topic.about, ClassNone
		if len(found) == 1 {
			k.found = found[0]
		}
	}
}

// value runs detectors over one value.
func (s *Scratch) value(c *candidate, f *payload.Field, p *path, text []byte) {
	if ids := p.starts(f.Kind); len(ids) > 0 {
		from, to := trim(c.text)
		if from < to {
			for _, id := range ids {
				s.tryOne(c, id, from, to)
			}
		}
	}
	switch f.Kind {
	case payload.KindString, payload.KindText:
		s.scan(c)
	case payload.KindNumber:
		// Only whole numbers can be identifiers.
		if len(text) >= minDigits && len(text) <= maxDigits && digitsOnly(text) && !(c.key.has(senseTime) && isTime(text)) {
			r, groups := shape{n: len(text)}, min(uint64(len(text)), 15)
			s.tryRun(c, s.plan.word[len(text)], r, groups, true, 0, len(text))
			c.digits = text
			s.tryRun(c, s.plan.digits[len(text)], r, groups, true, 0, len(text))
		} else if c.root && exponential(text) {
			s.scan(c)
		}
	}
}

// isTime reports whether digits can be a time of this century's first half, in
// seconds, milliseconds, microseconds or nanoseconds since 1970.
func isTime(t []byte) bool {
	return (len(t) == 10 || len(t) == 13 || len(t) == 16 || len(t) == 19) && (t[0] == '1' || t[0] == '2')
}

// open prepares the candidate for a text of field i.
func (s *Scratch) open(c *candidate, i int32, kind payload.Kind, text []byte) {
	s.field, s.first = i, len(s.findings)
	c.text, s.mapped = s.text.fold(text)
	if s.doc.Fields[i].Flags&payload.TextArena != 0 && !s.mapped && hasControl(text) { // only escapes bring them
		c.text, s.mapped = s.text.drop(text), true
	}
	c.raw, c.kind, c.nearFrom = text, kind, -1
	c.assigned, c.root, c.digits, c.rest = false, false, nil, 0
	c.wrapped = s.doc.Fields[i].Flags&payload.Wrapped != 0
	c.start, c.end, c.array = 0, 0, arrayShape{}
	s.nearby.reset(0)
	s.layout.reset(c.text)
	c.flat.end, c.voice.end, c.hinted.from, c.hinted.to, c.edges.known = 0, 0, -1, -1, false
}

// bare sets what is known of a text that has no key: what the topic speaks of.
func (c *candidate) bare(topic senses) {
	c.key, c.up, c.beside, c.above, c.about = senses{}, senses{}, senses{}, topic, topic
}

func trim(t []byte) (from, to int) {
	from, to = 0, len(t)
	for from < to && t[from] <= ' ' {
		from++
	}
	for to > from && t[to-1] <= ' ' {
		to--
	}
	return from, to
}

// level looks at one topic level. The level before it is its key.
func (s *Scratch) level(i int32) {
	c := &s.cand
	text := s.doc.Text(i)
	s.open(c, i, payload.KindTopic, text)
	c.bare(s.topic.about)
	if i > 0 {
		folded, _ := s.keyFolder.fold(s.doc.Text(i - 1))
		c.key = s.owner.dict.meaning(folded).head
		for _, id := range s.plan.key {
			if s.owner.senses[id].meets(c.key) && len(c.text) > 0 {
				s.tryOne(c, id, 0, len(c.text))
			}
		}
	}
	s.scan(c)
}

// inTopic reports whether anything is found in the topic's levels.
func (c *Classifier) inTopic(s *Scratch, d *payload.Document, about senses) bool {
	s.topic = topicMeaning{about: about}
	for i := range d.Fields {
		if d.Fields[i].Kind != payload.KindTopic {
			break
		}
		s.level(int32(i))
	}
	return len(s.findings) > 0
}

// inKey returns the surest of what stands in a key itself.
func (c *Classifier) inKey(s *Scratch, key []byte) (match, DetectorID) {
	if len(key) < minDigits {
		return match{}, 0
	}
	before := len(s.findings)
	k := &s.cand
	s.open(k, 0, payload.KindString, key)
	k.bare(senses{})
	s.scan(k)
	var best match
	var by DetectorID
	for i := before; i < len(s.findings); i++ {
		if f := &s.findings[i]; f.Confidence > best.confidence {
			best = match{class: f.Class, confidence: f.Confidence, why: f.Why, special: f.special}
			by = f.Detector
		}
	}
	s.findings = s.findings[:before]
	return best, by
}

// binary reports a payload, or bytes in one, of a known binary format.
func (s *Scratch) binary(i int32) {
	class, by := ClassMediaImage, ClassMediaImage // what it is, and whose detector says so
	switch s.doc.MediaOf(i) {
	case payload.MediaNone:
		if p := &s.mem.paths[s.paths[i]]; p.tells&tellsKind != 0 && s.doc.Fields[i].Raw.Len() >= minEncoded/2 {
			s.unresolved = append(s.unresolved, i)
		}
		return // bytes of no known format: unclassified
	case payload.MediaJPEG, payload.MediaPNG, payload.MediaWebP, payload.MediaGIF, payload.MediaHEIF:
	case payload.MediaMP4, payload.MediaTS:
		class = ClassMediaVideo
	case payload.MediaWAV, payload.MediaMP3, payload.MediaOgg:
		class = ClassMediaAudio
	default:
		class, by = ClassAIModel, ClassAIModel
	}
	for id := range s.owner.detectors {
		if d := &s.owner.detectors[id]; d.on&onBinary != 0 && d.class == by {
			s.open(&s.cand, i, payload.KindBinary, nil)
			s.cand.bare(s.topic.about.union(s.mem.paths[s.paths[i]].about))
			if m, ok := d.find(&s.cand); ok {
				m.class = class
				s.report(&s.cand, DetectorID(id), m)
			}
		}
	}
}
