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
	digitWays ways                  // of digits: how runs are printed
	wordWays  ways                  // the same of words that have a gate
	free      places                // of words: how runs can begin for detectors without a gate
	printed   places                // the same for those with one
	gates     senses                // what opens the gate of any detector of digits or words
	spoken    []gateWords           // what opens each group of gates
	opens     openings
	phrases   phrases // that open a gate
	dict      *dictionary
	spans     [spans]opening // of gates
	wordOpens opening        // the groups of gates of detectors of words
	sieve     *sieve
	dotted    []DetectorID
	colons    []DetectorID
	at        []DetectorID
	url       []DetectorID
	tokens    tokenSieve
	literals  []literal                  // by bucket
	buckets   [literalBuckets + 1]uint16 // where in literals each begins
	opening   prefixes                   // how literals begin
	groups    []DetectorID               // onGroup
	key       []DetectorID               // onKey
	wordsFor  senses                     // what the detectors of words need
	groupsFor senses                     // of detectors on groups
	minWords  int                        // the shortest run that any of them takes
	shortRun  int                        // so many digits in one piece, or fewer, start nothing but an address
	fewDigits int                        // the same of digits in groups
	uuidHeads []uuidHead                 // how account numbers begin
	uuids     bool                       // groups of UUIDs start nothing: see Scratch.spare
	anyWords  bool                       // there are detectors of words
	wordsAny  bool                       // one of them needs nothing
}

// singleOf returns what oneWord starts at a word.
func (p *plan) singleOf(r shape) lists {
	if r.letters == 0 {
		return p.singles[r.n]
	}
	return p.single[r.n]
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
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * literalHash >> 22
}

const literalHash = 0x9E3779B1

// prefixes is a set of three bytes; it may hold some that nobody added.
type prefixes [1 << 13 / 64]uint64

func (p *prefixes) add(x uint32) { x = x * literalHash >> 19; p[x>>6] |= 1 << (x & 63) }

func (p *prefixes) has(x uint32) bool { x = x * literalHash >> 19; return p[x>>6]>>(x&63)&1 != 0 }

// note notes what opens a detector's gate, and returns the gate's group: all
// that the same words open are one.
func (p *plan) note(d *detector, dict *dictionary) opening {
	k := d.gate
	if k == nil || k.senses.empty() && k.words|k.after == 0 {
		return 0
	}
	p.gates = p.gates.union(k.senses)
	key := gateWords{k.senses, k.words | k.after}
	i := slices.Index(p.spoken, key)
	if i < 0 {
		if i = len(p.spoken); i < maxOpenings {
			p.spoken = append(p.spoken, key)
		}
		i = min(i, maxOpenings-1)
		for n, w := range dict.words.words {
			if dict.words.values[n].meets(key.senses) {
				p.opens.add(w, 1<<i)
				p.phrases.add(w + "es")
				p.phrases.add(w + "s")
			}
		}
		for n, w := range hintWords.words {
			if hintWords.values[n]&key.hints != 0 {
				p.opens.add(w, 1<<i)
				p.phrases.add(w)
			}
		}
	}
	return 1 << i
}

// gateWords are what opens a gate.
type gateWords struct {
	senses senses
	hints  hint
}

func newPlan(ds []detector, dict *dictionary) *plan {
	p := &plan{dict: dict, digitWays: newWays(), wordWays: newWays(), tokens: tokenSieve{sets: []uint64{0}}}
	for i := range ds {
		d, id := &ds[i], DetectorID(i)
		opens := p.note(d, dict)
		p.spans[spanAll] |= opens
		if d.min < longRun {
			p.spans[spanShort] |= opens
		}
		hi := func(limit int) int {
			if d.max == 0 || d.max > limit {
				return limit
			}
			return d.max
		}
		if d.on&onDigits != 0 {
			for n := d.min; n <= hi(maxDigits); n++ {
				p.digits[n].add(id, d, opens, n, true)
			}
			p.digitWays.add(d)
		}
		if d.on&onWord != 0 {
			for n := d.min; n <= hi(maxPlanned); n++ {
				p.word[n].add(id, d, opens, n, false)
			}
		}
		if d.on&onWords != 0 {
			for n := d.min; n <= hi(maxWords); n++ {
				p.words[n].add(id, d, opens, n, false)
				if d.on&onWord == 0 {
					p.single[n].add(id, d, opens, n, false)
				}
				if d.on&onDigits == 0 {
					continue
				}
				p.numbers[n].add(id, d, opens, n, true)
				if d.on&onWord == 0 {
					p.singles[n].add(id, d, opens, n, true)
				}
			}
			if d.gate == nil {
				p.free.add(d)
			} else {
				p.printed.add(d)
				p.wordWays.add(d)
				p.wordOpens |= opens
			}
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
		if d.on&onToken != 0 {
			p.tokens.add(id, d.gate)
		}
		if d.on&onGroup != 0 {
			p.groupsFor = p.groupsFor.union(sensesOf(d.senses))
		}
		for on, list := range map[start]*[]DetectorID{onDotted: &p.dotted, onColons: &p.colons, onAt: &p.at, onURL: &p.url, onGroup: &p.groups, onKey: &p.key} {
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
	p.sieve = newSieve(p, ds)
	p.uuids = p.sparesUUIDs(ds)
	for n := 1; n < minDigits && p.numbers[n].need(n, 0)&^needAmid == 0; n++ {
		p.fewDigits = n
	}
	for n := 1; n <= p.fewDigits && (p.sieve.word[n][0]|p.sieve.single[n][0])&^needAmid == 0; n++ {
		p.shortRun = n
	}
	bucket := func(l literal) uint32 { return literalBucket(l.text[0], l.text[1], l.text[2]) }
	slices.SortStableFunc(p.literals, func(a, b literal) int { return int(bucket(a)) - int(bucket(b)) })
	for _, l := range p.literals {
		p.buckets[bucket(l)+1]++
		p.opening.add(uint32(l.text[0]) | uint32(l.text[1])<<8 | uint32(l.text[2])<<16)
	}
	for i := range literalBuckets {
		p.buckets[i+1] += p.buckets[i]
	}
	return p
}

// ways is a tree of how runs are printed: how long their groups are.
type ways struct {
	nodes []way
	any   bool // there are too many to tell, or a detector that takes any
}

// way is a place in the tree: what follows groups of so many letters and digits
// (15: that or more). The first node is where nothing leads, the second the root.
type way struct {
	next [16]uint8 // index of the node; 0: nothing is printed so
	ends bool      // a printing ends here
}

const firstWay = 1

func newWays() ways { return ways{nodes: make([]way, firstWay+1)} }

// add notes how a detector's runs are printed.
func (w *ways) add(d *detector) {
	if d.gate == nil {
		w.any = true
		return
	}
	for _, g := range d.gate.groups {
		at := uint8(firstWay)
		for k := 60; k >= 0; k -= 4 {
			size := g >> k & 15
			if size == 0 {
				continue
			}
			if w.nodes[at].next[size] == 0 {
				if len(w.nodes) > 255 {
					w.any = true
					return
				}
				w.nodes[at].next[size] = uint8(len(w.nodes))
				w.nodes = append(w.nodes, way{})
			}
			at = w.nodes[at].next[size]
		}
		w.nodes[at].ends = true
	}
}

// places is a set of ways in which eight letters and digits can follow each
// other, by which of them are letters.
type places [4]uint64

func (p *places) has(letters uint8) bool { return p[letters>>6]>>(letters&63)&1 != 0 }

// add notes how runs of a detector can begin.
func (p *places) add(d *detector) {
	ws := []shapeWanted{{}}
	if len(d.shapes) > 0 {
		ws = ws[:0]
		for _, s := range d.shapes {
			w, _ := readShape(s[:min(len(s), 8)], 8)
			ws = append(ws, w)
		}
	}
	for m := range uint64(256) {
		for _, w := range ws {
			if m&w.care == w.letters {
				p[m>>6] |= 1 << (m & 63)
			}
		}
	}
}
