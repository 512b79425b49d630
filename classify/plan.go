package classify

import "slices"

// plan is the detectors by what starts them, made once for a classifier.
type plan struct {
	digits    [maxDigits + 1]lists  // by number of digits
	word      [maxPlanned + 1]lists // by length
	words     [maxWords + 1]lists   // by number of letters and digits
	numbers   [maxWords + 1]lists   // of these, what digits alone can be, too
	single    [maxWords + 1]lists   // of words, those that a word in one piece does not start anyway
	singles   [maxWords + 1]lists   // the same of numbers
	pairs     [16]uint16            // of digits: with which two groups printed runs begin
	begins    [4]uint64             // of words: with which eight places runs can begin, as shape.letters
	anyBegin  bool                  // one of them takes runs that have no shape
	gates     senses                // what opens the gate of any detector of digits
	dotted    []DetectorID
	colons    []DetectorID
	at        []DetectorID
	url       []DetectorID
	token     []DetectorID
	literals  []literal                  // by bucket
	buckets   [literalBuckets + 1]uint16 // where in literals each begins
	groups    []DetectorID               // onGroup
	key       []DetectorID               // onKey
	wordsFor  senses                     // what the detectors of words need
	groupsFor senses                     // of detectors on groups
	minWords  int                        // the shortest run that any of them takes
	anyWords  bool                       // there are detectors of words
	wordsAny  bool                       // one of them needs nothing
}

// maxPlanned is the longest word that detectors are told apart by.
const maxPlanned = 64

type literal struct {
	text string
	by   DetectorID
}

// literalBuckets is how many groups literals are put in, by their first three
// bytes.
const literalBuckets = 1024

func literalBucket(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9E3779B1 >> 22
}

func newPlan(ds []detector) *plan {
	p := &plan{}
	for i := range ds {
		d, id := &ds[i], DetectorID(i)
		hi := func(limit int) int {
			if d.max == 0 || d.max > limit {
				return limit
			}
			return d.max
		}
		if d.on&onDigits != 0 {
			for n := d.min; n <= hi(maxDigits); n++ {
				p.digits[n].add(id, d, n, true)
			}
			p.pair(d)
		}
		if d.on&onWord != 0 {
			for n := d.min; n <= hi(maxPlanned); n++ {
				p.word[n].add(id, d, n, false)
			}
		}
		if d.on&onWords != 0 {
			for n := d.min; n <= hi(maxWords); n++ {
				p.words[n].add(id, d, n, false)
				if d.on&onWord == 0 {
					p.single[n].add(id, d, n, false)
				}
				if d.on&onDigits == 0 {
					continue
				}
				p.numbers[n].add(id, d, n, true)
				if d.on&onWord == 0 {
					p.singles[n].add(id, d, n, true)
				}
			}
			p.begin(d)
			if !p.anyWords || d.min < p.minWords {
				p.minWords = d.min
			}
			p.anyWords = true
			if d.needs {
				p.wordsFor = p.wordsFor.union(sensesOf(d.senses))
			} else {
				p.wordsAny = true
			}
		}
		if d.on&onGroup != 0 {
			p.groupsFor = p.groupsFor.union(sensesOf(d.senses))
		}
		for on, list := range map[start]*[]DetectorID{onDotted: &p.dotted, onColons: &p.colons, onAt: &p.at, onURL: &p.url, onToken: &p.token, onGroup: &p.groups, onKey: &p.key} {
			if d.on&on != 0 {
				*list = append(*list, id)
			}
		}
		if d.on&onLiteral != 0 {
			for _, l := range d.literals {
				p.literals = append(p.literals, literal{l, id})
			}
		}
	}
	bucket := func(l literal) uint32 { return literalBucket(l.text[0], l.text[1], l.text[2]) }
	slices.SortStableFunc(p.literals, func(a, b literal) int { return int(bucket(a)) - int(bucket(b)) })
	for _, l := range p.literals {
		p.buckets[bucket(l)+1]++
	}
	for i := range literalBuckets {
		p.buckets[i+1] += p.buckets[i]
	}
	return p
}

// pair notes with which two groups a detector's runs of digits are printed.
func (p *plan) pair(d *detector) {
	if d.gate == nil { // however they are printed
		for i := range p.pairs {
			p.pairs[i] = 1<<16 - 1
		}
		return
	}
	p.gates = p.gates.union(d.gate.senses)
	for _, g := range d.gate.groups {
		for g >= 1<<8 {
			g >>= 4
		}
		p.pairs[g>>4] |= 1 << (g & 15)
	}
}

// begin notes with which eight places a detector's words can begin.
func (p *plan) begin(d *detector) {
	ws := []shapeWanted{{}}
	if len(d.shapes) > 0 {
		ws = ws[:0]
		for _, s := range d.shapes {
			w, _ := readShape(s, len(s))
			ws = append(ws, w)
		}
	} else {
		p.anyBegin = true
	}
	for m := range uint64(256) {
		for _, w := range ws {
			if m&w.care == w.letters&255 { // care beyond the eighth place is 0 in m
				p.begins[m>>6] |= 1 << (m & 63)
			}
		}
	}
}
