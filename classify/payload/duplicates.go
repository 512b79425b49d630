package payload

import "bytes"

// A member is a key of an object that is being read. The members of all open
// objects lie on one stack, those of the innermost on top.
type member struct {
	hash  uint64
	field int32
}

// A keySet finds equal keys among the members of one object, from base upwards.
// Up to few members, a filter of one bit per hash tells most new keys at once,
// and the others are compared with those before; with more members, all are
// looked up in a table when the object ends. Hashes are keyed, so a sender
// can't choose keys that make this slow, and equal hashes are not enough: the
// keys themselves are compared.
//
// Where keys come in the order in which they were remembered, as those of
// devices do, they are different by that, and not compared.
type keySet struct {
	base   int
	filter uint64 // of the keys, where they are not sorted
	sorted bool   // each key so far has a place, and one behind that of the key before
	last   int32  // the last place
}

const few = 32

// addKey returns false if field's key, which is remembered in place, stands in
// the set already.
func (d *Document) addKey(s *keySet, hash uint64, field, place int32) bool {
	if s.sorted && place > s.last {
		s.last = place
		d.members = append(d.members, member{hash, field})
		return true
	}
	if s.sorted {
		s.sorted = false
		for _, m := range d.members[s.base:] {
			s.filter |= 1 << (m.hash >> 58)
		}
	}
	bit := uint64(1) << (hash >> 58)
	if s.filter&bit != 0 && len(d.members)-s.base < few {
		for _, m := range d.members[s.base:] {
			if m.hash == hash && bytes.Equal(d.Key(m.field), d.Key(field)) {
				return false
			}
		}
	}
	s.filter |= bit
	d.members = append(d.members, member{hash, field})
	return true
}

// closeKeys takes the set's members off the stack; it returns false if two keys
// are equal that addKey did not compare.
func (d *Document) closeKeys(s *keySet) bool {
	members := d.members[s.base:]
	d.members = d.members[:s.base]
	return s.sorted || len(members) <= few || d.allDifferent(members)
}

// allDifferent puts members into a table with open addressing, at most half
// full. A slot holds the number of a member plus one.
func (d *Document) allDifferent(members []member) bool {
	size := 1
	for size < 2*len(members) {
		size *= 2
	}
	if cap(d.slots) < size {
		d.slots = make([]int32, size)
	}
	slots := d.slots[:size]
	clear(slots)
	mask := uint64(size - 1)
	for n, m := range members {
		at := m.hash & mask
		for ; slots[at] != 0; at = (at + 1) & mask {
			other := members[slots[at]-1]
			if other.hash == m.hash && bytes.Equal(d.Key(other.field), d.Key(m.field)) {
				return false
			}
		}
		slots[at] = int32(n + 1)
	}
	return true
}
