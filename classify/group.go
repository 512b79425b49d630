package classify

import "github.com/sealgate/sealgate/classify/payload"

// arrayShape is what an array holds, nested arrays included.
type arrayShape struct {
	numbers   int // numbers
	fractions int // of these: with a decimal point or an exponent
	others    int // anything else but arrays
}

func measure(d *payload.Document, i int32) arrayShape {
	var a arrayShape
	for j, end := i+1, lastInside(d, i); j <= end; j++ {
		switch d.Fields[j].Kind {
		case payload.KindNumber:
			a.numbers++
			for _, b := range d.Text(j) {
				if b == '.' || b|0x20 == 'e' {
					a.fractions++
					break
				}
			}
		case payload.KindArray:
		default:
			a.others++
		}
	}
	return a
}

// group is a detector's view of a whole document.
type group struct {
	s  *Scratch
	id DetectorID
}

func (g *group) doc() *payload.Document { return g.s.doc }

// key is what field i's key means.
func (g *group) key(i int32) senses {
	if g.s.doc.Fields[i].Kind == payload.KindTopic {
		return senses{}
	}
	return g.s.mem.paths[g.s.paths[i]].head
}

// path is what is known of field i's key path.
func (g *group) path(i int32) *path { return &g.s.mem.paths[g.s.paths[i]] }

// report notes a match: of all of field i if m has no range.
func (g *group) report(i int32, m match) {
	class := m.class
	if class == ClassNone {
		class = g.s.owner.detectors[g.id].class
	}
	g.s.findings = append(g.s.findings, Finding{Field: i, Start: uint32(m.start), End: uint32(m.end),
		Class: class, Confidence: m.confidence, Detector: g.id, Why: m.why, special: m.special})
}

// array looks at an array whose key may say what it is, and reports whether
// everything inside is told by that.
func (s *Scratch) array(i int32) bool {
	p := &s.mem.paths[s.paths[i]]
	if len(p.arrays) == 0 {
		return false
	}
	c := &s.cand
	s.open(c, i, payload.KindArray, nil)
	c.key, c.up = p.head, p.up
	c.above = p.above.union(s.topic.about)
	c.beside = senses{}
	if parent := s.doc.Fields[i].Parent; parent >= 0 {
		c.beside = s.siblings[parent]
	}
	c.about = c.above.union(p.about).union(c.beside)
	c.array = measure(s.doc, i)
	found := false
	for _, id := range p.arrays {
		d := &s.owner.detectors[id]
		if m, ok := d.find(c); ok && m.confidence >= minConfidence {
			m.start, m.end = 0, 0
			s.report(c, id, m)
			found = true
		}
	}
	c.array = arrayShape{}
	return found
}
