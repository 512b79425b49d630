package classify

// gated is the detectors of digits or words in a row of one length, by what
// their gates ask for: a run that no word speaks of and that is written in no
// special way starts few of them.
type gated struct {
	all     []DetectorID // in order
	open    []DetectorID // those without a gate
	plain   []DetectorID // these, and those whose gates let runs in one piece through
	printed []printing
	leading []DetectorID // those that leading zeros, plus signs and brackets start, too
	senses  senses       // what opens any of the gates
	words   hint
	after   hint
}

// printing is the detectors that a way of writing starts, those without a gate
// included.
type printing struct {
	groups uint64
	ids    []DetectorID
}

func (g *gated) add(id DetectorID, d *detector) {
	g.all = append(g.all, id)
	if d.gate == nil {
		return
	}
	g.senses, g.words, g.after = g.senses.union(d.gate.senses), g.words|d.gate.words, g.after|d.gate.after
	for _, x := range d.gate.groups {
		if !g.knows(x) {
			g.printed = append(g.printed, printing{groups: x})
		}
	}
}

func (g *gated) knows(groups uint64) bool {
	for i := range g.printed {
		if g.printed[i].groups == groups {
			return true
		}
	}
	return false
}

// close makes the lists once all detectors were added.
func (g *gated) close(ds []detector) {
	for _, id := range g.all {
		k := ds[id].gate
		if k == nil {
			g.open = append(g.open, id)
		}
		if k == nil || k.lead {
			g.leading = append(g.leading, id)
		}
		if k == nil || k.plain {
			g.plain = append(g.plain, id)
		}
		for i := range g.printed {
			if p := &g.printed[i]; k == nil || k.lead || k.prints(p.groups, false) {
				p.ids = append(p.ids, id)
			}
		}
	}
}

// of returns the detectors that a run starts when no word speaks of it.
func (g *gated) of(groups uint64, plain, lead bool) []DetectorID {
	if plain {
		return g.plain
	}
	for i := range g.printed {
		if g.printed[i].groups == groups {
			return g.printed[i].ids
		}
	}
	if lead {
		return g.leading
	}
	return g.open
}

// tryGated starts the detectors of a list whose gates are open for the run
// text[from:to], written in groups, or plain: in one piece.
func (s *Scratch) tryGated(c *candidate, g *gated, groups uint64, plain bool, from, to int) bool {
	if len(g.open) == len(g.all) {
		return s.tryAll(c, g.all, from, to)
	}
	c.start, c.end = from, to
	near, words := c.context(), c.hintsBefore()
	after := hint(0)
	if g.after != 0 {
		after = c.hintsAfter()
	}
	b := c.text[from]
	lead := b == '0' || b == '+' || b == '('
	if g.words&words|g.after&after == 0 && !g.senses.meets(near) {
		return s.tryAll(c, g.of(groups, plain, lead), from, to)
	}
	hit := false
	for _, id := range g.all {
		k := s.owner.detectors[id].gate
		if k == nil || k.words&words|k.after&after != 0 || k.senses.meets(near) || k.lead && lead || k.prints(groups, plain) {
			if _, ok := s.startFrom(c, id, from, to); ok {
				hit = true
			}
		}
	}
	return hit
}
