package classify

import "math/bits"

// gate is what must hold for a run (onDigits, onWord, onWords, onToken) before find is
// worth a look: one of the meanings or words is near, or the run is written in
// one of the ways. It says no more than find itself would: without it nothing
// else is found, only later.
type gate struct {
	senses senses   // of the key, what is around it, or the five words before
	words  hint     // of the five words before
	after  hint     // of the five words after
	groups []uint64 // the lengths of the run's groups: see form.groups
	plain  bool     // the run is in one piece
	spoken bool     // the run is in one piece, where somebody may be speaking
	lead   int      // so many places at least, the first a 0; or the run begins with + or (; 0: none
	amid   bool     // what stands beside the run can be part of an address
	// lonely: in groups with single spaces between them, and nothing near that
	// opens the gate, it is none where further digits stand a space away.
	lonely bool

	// Of tokens (onToken), one of these: a word of the run begins with one of
	// begins, two or three bytes; the run or the byte before it is one of signs;
	// the run holds one of holds; the name of a secret may stand before it.
	begins []string
	signs  string
	holds  []string
	named  bool
}

// shape is what the letters and digits of a run are, without what stands
// between them.
type shape struct {
	n       int
	letters uint64 // which of the first 64 places are letters
	mixed   bool   // letters that stand together differ in case
}

// join is the shape of two runs in a row.
func (a shape) join(b shape) shape {
	return shape{n: a.n + b.n, letters: a.letters | b.letters<<a.n, mixed: a.mixed || b.mixed}
}

// shapeWanted is a shape that detectors want, as masks of places.
type shapeWanted struct {
	care, letters uint64
	capital       uint64 // of the letters, those that are no small ones
	digits        int    // at least
	anyCase       bool
	ids           uint64 // the detectors, by their place in the list
}

// readShape reads a detector's shape for runs of n places, and reports whether
// such a run can have it.
func readShape(s string, n int) (w shapeWanted, ok bool) {
	if len(s) > n {
		return w, false
	}
	for i, b := range []byte(s) {
		switch b {
		case 'U':
			w.capital |= 1 << i
			fallthrough
		case 'A':
			w.letters |= 1 << i
			w.care |= 1 << i
		case '9':
			w.care |= 1 << i
		}
	}
	return w, true
}

// list is up to 64 detectors of runs of one length, as sets of bits by what
// they want. What a run is starts those that can match it and no others; most
// runs start none.
type list struct {
	ids     []DetectorID // in order
	free    uint64       // those without a shape
	shapes  []shapeWanted
	open    uint64 // those without a gate
	plain   uint64 // those that a run in one piece starts: see gate
	spoken  uint64
	leading uint64
	amid    uint64
	near    uint64 // those that meanings or words near open
	sole    uint64 // those that anything else does, but for a 0 or a street
	printed []printing
	senses  senses // what opens any of the gates
	words   hint
	after   hint
	groups  opening // of the gates
}

// printing is the detectors that a way of writing starts.
type printing struct {
	groups, ids uint64
}

// lists is the detectors of one length: as a rule one list.
type lists []list

func (ls *lists) add(id DetectorID, d *detector, opens opening, n int, digits bool) {
	if d.places > 0 && n > d.places || n < d.digits {
		return
	}
	var shapes []shapeWanted
	for _, s := range d.shapes {
		if w, ok := readShape(s, n); ok && (!digits || w.letters == 0) {
			w.digits, w.anyCase = d.digits, d.anyCase
			shapes = append(shapes, w)
		}
	}
	switch {
	case shapes != nil:
	case len(d.shapes) > 0:
		return // no run of this length has its shape
	case d.digits > 0:
		shapes = []shapeWanted{{digits: d.digits, anyCase: d.anyCase}}
	}
	if k := len(*ls); k == 0 || len((*ls)[k-1].ids) == 64 {
		*ls = append(*ls, list{})
	}
	l := &(*ls)[len(*ls)-1]
	bit := uint64(1) << len(l.ids)
	l.ids = append(l.ids, id)
	if shapes == nil {
		l.free |= bit
	}
	for _, w := range shapes {
		l.want(w, bit)
	}
	k := d.gate
	if k == nil {
		l.open |= bit
		l.sole |= bit
		return
	}
	if k.plain {
		l.plain |= bit
	}
	if k.spoken {
		l.spoken |= bit
	}
	if k.plain || k.spoken || len(k.groups) > 0 {
		l.sole |= bit
	}
	if k.lead > 0 {
		l.leading |= bit
	}
	if k.amid {
		l.amid |= bit
	}
	for _, g := range k.groups {
		l.print(g, bit)
	}
	if opens != 0 {
		l.near |= bit
	}
	l.senses, l.words, l.after = l.senses.union(k.senses), l.words|k.words, l.after|k.after
	l.groups |= opens
}

func (l *list) want(w shapeWanted, bit uint64) {
	for i := range l.shapes {
		if x := &l.shapes[i]; x.care == w.care && x.letters == w.letters && x.digits == w.digits && x.anyCase == w.anyCase {
			x.ids |= bit
			return
		}
	}
	w.ids = bit
	l.shapes = append(l.shapes, w)
}

func (l *list) print(groups, bit uint64) {
	for i := range l.printed {
		if l.printed[i].groups == groups {
			l.printed[i].ids |= bit
			return
		}
	}
	l.printed = append(l.printed, printing{groups, bit})
}

// of returns the detectors that can match a run by its shape.
func (l *list) of(r shape) uint64 {
	ids, digits := l.free, r.n-bits.OnesCount64(r.letters)
	for i := range l.shapes {
		if w := &l.shapes[i]; r.letters&w.care == w.letters && digits >= w.digits && (!r.mixed || w.anyCase) {
			ids |= w.ids
		}
	}
	return ids
}

// tryRun starts the detectors of lists that can match the run text[from:to] by
// its shape, and whose gates are open. The run is written in groups, or plain:
// in one piece.
func (s *Scratch) tryRun(c *candidate, ls lists, r shape, groups uint64, plain bool, from, to int) bool {
	hit := false
	c.turns += len(ls)
	for i := range ls {
		l := &ls[i]
		ids := l.of(r)
		if from > 0 && c.text[from-1] >= 0x80 {
			ids = 1<<len(l.ids) - 1 // what stands before may belong to it
		}
		if ids != 0 {
			c.start, c.end = from, to
			if ids = s.opened(c, l, ids, groups, plain); ids != 0 && s.startAll(c, l, ids, from, to) {
				hit = true
			}
		}
	}
	return hit
}

// opened returns which of the detectors have an open gate for the run. It asks
// first what costs least.
func (s *Scratch) opened(c *candidate, l *list, ids uint64, groups uint64, plain bool) uint64 {
	ready := l.open
	if b := c.text[c.start]; b == '0' || b == '+' || b == '(' {
		ready |= l.leading
	}
	if plain {
		ready |= l.plain
		if l.spoken&ids&^ready != 0 && c.spoken() {
			ready |= l.spoken
		}
	}
	if l.amid&ids&^ready != 0 && c.amidStreet() {
		ready |= l.amid
	}
	for i := range l.printed {
		if l.printed[i].groups == groups {
			ready |= l.printed[i].ids
			break
		}
	}
	closed := ids & l.near &^ ready
	if closed == 0 {
		return ids & ready
	}
	if !c.keyOpens(l.senses) {
		if s.calm(c.text, c.start, s.plan.span(l.groups)) {
			return ids & ready
		}
		says := s.opensBefore(c.text, c.start)
		if l.after != 0 {
			says |= s.opensAfter(c.text, c.end)
		}
		if says&l.groups == 0 {
			return ids & ready
		}
	}
	near, words, after := c.context(), c.hintsBefore(), hint(0)
	if l.after != 0 {
		after = c.hintsAfter()
	}
	if l.words&words|l.after&after == 0 && !l.senses.meets(near) {
		return ids & ready
	}
	for ; closed != 0; closed &= closed - 1 {
		k := s.owner.detectors[l.ids[bits.TrailingZeros64(closed)]].gate
		if k.words&words|k.after&after != 0 || k.senses.meets(near) {
			ready |= closed & -closed
		}
	}
	return ids & ready
}

// startAll starts detectors of a list on a run.
func (s *Scratch) startAll(c *candidate, l *list, ids uint64, from, to int) bool {
	hit := false
	for ; ids != 0; ids &= ids - 1 {
		if _, ok := s.startFrom(c, l.ids[bits.TrailingZeros64(ids)], from, to); ok {
			hit = true
		}
	}
	return hit
}

// keyOpens reports whether the key, or what is around it, says one of these.
func (c *candidate) keyOpens(x senses) bool { return c.key.union(c.about).meets(x) }
