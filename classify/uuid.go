package classify

import (
	"math/bits"
	"slices"
)

// The form of a UUID, as sets of places: RFC 9562, section 4.
const (
	uuidBytes  = 36
	uuidTail   = 24 // where its last group begins
	uuidPlaces = uint64(1)<<uuidBytes - 1
	uuidDashes = uint64(1<<8 | 1<<13 | 1<<18 | 1<<23)
	uuidAlnums = uuidPlaces &^ uuidDashes
	uuidStarts = uint64(1 | 1<<9 | 1<<14 | 1<<19 | 1<<uuidTail) // of its groups
)

// uuidHead is how words in a row begin that may stand in a UUID.
type uuidHead struct {
	shapeWanted
	pairs [][2]byte // its first two letters
	at    int       // where they stand
	any   bool
}

// spare notes in which groups of a UUID in small letters, text[i:i+uuidBytes],
// no detector of runs finds anything: where too few digits stand together for a
// number, as words in a row are not printed in such groups, but for the last,
// and for those that begin like what is found however it is printed: an account
// number, with two letters and two digits.
func (s *Scratch) spare(t []byte, i int) {
	l, p := &s.layout, s.plan
	if l.at(laneAlnum, i)&uuidPlaces != uuidAlnums || l.at(laneUpper, i)&uuidPlaces != 0 || s.keyed || !p.uuids ||
		i > 0 && t[i-1] >= 0x80 || !s.calm(t, i, spanAll) || !s.calm(t, i+uuidTail, spanAll) {
		return
	}
	digits := l.at(laneDigit, i) & uuidPlaces
	letters := uuidAlnums &^ digits
	// Adding carries through a group of digits alone, to what stands behind it.
	numbers := (digits + digits&uuidStarts) & (uuidDashes | 1<<uuidBytes)
	numbers &= 1<<8 | numbers>>5 | numbers>>(uuidBytes-uuidTail+1) // six digits follow each other, or more
	heads := uint64(1 << uuidTail)                                 // of groups that are worth a look
	if i > 0 && joins(t[i-1]) && s.leads(i-1) {
		heads |= 1 // it may be part of what began before it
	}
	heads |= numbers>>8&1 | numbers>>4&uuidStarts
	for _, w := range p.uuidHeads {
		head := uuidStarts
		for k := range 4 {
			switch {
			case w.care>>k&1 == 0:
			case w.letters>>k&1 != 0:
				head &= letters >> k
			default:
				head &= digits >> k
			}
		}
		for ; head != 0; head &= head - 1 {
			k := i + bits.TrailingZeros64(head) + w.at
			if w.any || slices.Contains(w.pairs, [2]byte{t[k] &^ 0x20, t[k+1] &^ 0x20}) {
				heads |= head & -head
			}
		}
	}
	fours := uuidStarts &^ 1 &^ heads
	s.done.uuid, s.done.spared = i, fours*(1<<4-1)|1&^heads*(1<<8-1)
}

// leads reports whether the word before text[i] may begin words in a row with
// the next: see wordGroups.
func (s *Scratch) leads(i int) bool {
	t := s.layout.text
	from := s.layout.begin(alnumRun, i)
	return i > from && i-from <= 4 && byteClass[t[from]]&(isUpper|isDigit) != 0
}

// sparesUUIDs reports whether what spare says of the detectors is so, and
// notes how what it speaks of begins.
func (p *plan) sparesUUIDs(ds []detector) bool {
	for i := range ds {
		d := &ds[i]
		if d.on&onWords != 0 && d.gate == nil && !d.noUUID {
			for _, x := range d.shapes {
				w, _ := readShape(x, len(x))
				h := uuidHead{shapeWanted: w, any: len(d.heads) == 0, at: bits.TrailingZeros64(w.letters)}
				for _, x := range d.heads {
					h.pairs = append(h.pairs, [2]byte([]byte(x)))
				}
				p.uuidHeads = append(p.uuidHeads, h)
			}
		}
		if d.on&(onWord|onWords) == 0 || d.noUUID {
			continue
		}
		if d.on&onWords != 0 && d.gate == nil && len(d.shapes) == 0 {
			return false
		}
		for _, n := range []int{4, 8} { // the groups, no space beside them
			if k := d.gate; d.min <= n && (d.max == 0 || d.max >= n) && (k == nil || k.plain || k.lead > 0 || slices.Contains(k.groups, uint64(n))) {
				return false
			}
		}
	}
	for _, groups := range [][]uint64{{8, 4, 4, 4, 12}, {4, 4, 4, 12}, {4, 4, 12}, {4, 12}} {
		node := uint8(firstWay)
		for n, size := range groups {
			if node = p.wordWays.nodes[node].next[size]; p.wordWays.any || n > 0 && p.wordWays.nodes[node].ends {
				return false
			}
		}
		if node != 0 {
			return false // and go on behind the UUID
		}
	}
	return true
}
