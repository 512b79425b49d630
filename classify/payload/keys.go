package payload

import (
	"encoding/binary"
	"sync/atomic"
)

// Bounds of what a Document remembers of keys. Devices repeat theirs; one that
// invents them fills the memory, which is then forgotten as a whole.
const (
	maxPlaces    = 4096
	maxPlaceText = 128 << 10 // bytes
	placeSlots   = 2 * maxPlaces
)

// keyMemory is what a Document remembers of the keys of JSON objects: a tree of
// places, and what came behind each the last time. A key that is the one expected
// needs not be hashed, nor compared with those before it. Nothing depends on it
// but time: each key is compared with what stands in the payload, hashes are
// keyed, and a place that is not the expected one is sought by its hash.
type keyMemory struct {
	places []keyPlace // [noPlace] and [rootPlace] are always there
	slots  []int32    // open addressing; index into places, 0: free
	text   []byte
	epoch  uint64 // tells this memory from those that were forgotten
	used   bool   // a document was read; one that is read into once remembers nothing
	full   bool
}

// A keyPlace is a key in a container that is a place itself.
type keyPlace struct {
	head      uint64 // the first eight bytes of the key and the quote behind it
	mask      uint64 // which of these there are
	tail      uint64 // the last eight, if there are more
	path      uint64 // PathHash of the value
	hash      uint64 // of the key
	container int32
	text      int32 // the key's bytes in keyMemory.text
	size      int32
	first     int32 // of an object: its first member the last time
	next      int32 // the member behind it the last time
	element   int32 // of an array: its elements' place
}

const (
	noPlace   = 0
	rootPlace = 1
)

// epochs counts memories.
var epochs atomic.Uint64

// begin prepares for one document.
func (m *keyMemory) begin() {
	switch {
	case !m.used:
		m.used = true
		return
	case m.slots == nil:
		m.slots = make([]int32, placeSlots)
	case !m.full:
		return
	default:
		clear(m.slots)
	}
	m.places, m.text, m.full = append(m.places[:0], keyPlace{}, keyPlace{path: rootHash}), m.text[:0], false
	m.epoch = epochs.Add(1)
}

// root is the place of a payload's root.
func (m *keyMemory) root() int32 {
	if m.slots == nil {
		return noPlace
	}
	return rootPlace
}

// expect returns where the key that begins at raw[i] ends, if it is that of a
// place, or -1. It compares eight bytes at a time.
func (p *keyPlace) expect(m *keyMemory, raw []byte, i int) int {
	end := i + int(p.size)
	if uint(i) > uint(len(raw)) || len(raw)-i < 8 || binary.LittleEndian.Uint64(raw[i:])&p.mask != p.head {
		return -1
	}
	if p.size < 8 {
		return end
	}
	if end >= len(raw) || binary.LittleEndian.Uint64(raw[end-7:]) != p.tail || p.size >= 16 && string(raw[i:end]) != string(m.text[p.text:p.text+p.size]) {
		return -1
	}
	return end
}

// setKey notes a key.
func (p *keyPlace) setKey(key []byte) {
	p.size = int32(len(key))
	for i := range min(len(key)+1, 8) {
		b := byte('"')
		if i < len(key) {
			b = key[i]
		}
		p.head |= uint64(b) << (8 * i)
		p.mask |= 0xff << (8 * i)
	}
	if len(key) >= 8 {
		var last [8]byte
		copy(last[:7], key[len(key)-7:])
		last[7] = '"'
		p.tail = binary.LittleEndian.Uint64(last[:])
	}
}

// member returns the place of a key in a container, behind the member before:
// noPlace where none is left.
func (m *keyMemory) member(container, before int32, hash, path uint64, key []byte) int32 {
	if container == noPlace {
		return noPlace
	}
	i := (hash ^ uint64(container)*0x9E3779B97F4A7C15) & (placeSlots - 1)
	for m.slots[i] != 0 {
		id := m.slots[i]
		if p := &m.places[id]; p.hash == hash && p.container == container && string(m.text[p.text:p.text+p.size]) == string(key) {
			m.follow(container, before, id)
			return id
		}
		i = (i + 1) & (placeSlots - 1)
	}
	p := keyPlace{path: path, hash: hash, container: container, text: int32(len(m.text))}
	p.setKey(key)
	id := m.add(p, len(key))
	if id != noPlace {
		m.text = append(m.text, key...)
		m.slots[i] = id
		m.follow(container, before, id)
	}
	return id
}

func (m *keyMemory) follow(container, before, id int32) {
	if before == noPlace {
		m.places[container].first = id
	} else {
		m.places[before].next = id
	}
}

// elements returns the place of the elements of an array, and of the members of
// an object whose keys are numbers.
func (m *keyMemory) elements(container int32, path uint64) int32 {
	if container == noPlace {
		return noPlace
	}
	if e := m.places[container].element; e != noPlace {
		return e
	}
	id := m.add(keyPlace{path: path, container: container}, 0)
	m.places[container].element = id
	return id
}

func (m *keyMemory) add(p keyPlace, size int) int32 {
	if len(m.places) >= maxPlaces || len(m.text)+size > maxPlaceText {
		m.full = true
		return noPlace
	}
	m.places = append(m.places, p)
	return int32(len(m.places) - 1)
}

// Places returns how many places (see [Field]) there can be up to now, and the
// epoch that they hold in: a number that no other document uses.
func (d *Document) Places() (epoch uint64, n int) { return d.keys.epoch, len(d.keys.places) }
