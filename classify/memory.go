package classify

import (
	"hash/maphash"

	"github.com/sealgate/sealgate/classify/payload"
)

// Bounds of what a worker remembers. Devices repeat their keys and topics; one
// that invents them fills the memory, which is then forgotten as a whole.
const (
	maxPaths    = 4096
	maxPathKeys = 128 << 10 // bytes
	pathSlots   = 2 * maxPaths
	maxTopics   = 1024
	maxTopicLen = 512
)

// path is what a key path means. What each field of each message asks for stands
// first, in one cache line.
type path struct {
	hash      uint64
	parent    int32  // the container's path, an index into memory.paths
	key, size uint32 // the key's bytes, in memory.keys
	tells     tells
	meaning
	detectors []DetectorID // started by the key, on strings
	others    []DetectorID // those of them that it starts on other leaves, too
	known     known        // the last value
	silent    uint64       // the hash of the last value that said nothing of its neighbours
	all       senses       // above, and what the key itself speaks of
	above     senses       // what any container means
	up        senses       // what the nearest container with a key of its own means
	arrays    []DetectorID // started by the key, on arrays
	inKey     match        // what stands in the key itself; confidence 0: nothing
	inKeyBy   DetectorID
	said      uint64 // detectors of the policy whose keywords the key says
	saidAbove uint64 // and those that a container says
	names     uint64 // and those whose keywords are what the key names
}

// starts returns the detectors that the key starts at a leaf of a kind.
func (p *path) starts(k payload.Kind) []DetectorID {
	if k == payload.KindString || k == payload.KindText {
		return p.detectors
	}
	return p.others
}

// tells is what a key has to tell before any value is looked at.
type tells uint8

const (
	tellsGroup  tells = 1 << iota // to detectors on groups, which want to see the field
	tellsKey                      // inKey is set
	tellsAbout                    // what its neighbours are about
	tellsType                     // its value says what its object is
	tellsLabel                    // its value names the value beside it
	tellsAction                   // its value says what is done
	tellsKind                     // what kind of thing its value is

	tellsValue = tellsType | tellsLabel | tellsAction // what Scratch.toldByValue looks at
	tellsFirst = tellsGroup | tellsKey | tellsValue   // what Scratch.told notes
)

// known is a value, what stood around it, and what was found in it: nothing, or
// one thing. Devices repeat most of their strings; no text is kept, and a hash
// with a key that nobody outside knows can't be met on purpose.
type known struct {
	hash          uint64
	size          uint32
	news          uint8   // how often it was another value in a row
	found         Finding // ClassNone: nothing
	beside, topic senses
}

// maxNews is how often a value may be new in a row and is remembered still: a
// counter or a note is not worth it. Now and then it is tried again.
const maxNews = 16

// maxKnown is the longest value that is remembered so.
const maxKnown = 128

// topicMeaning is what a topic says of its message.
type topicMeaning struct {
	about senses
	last  int32  // path of its last level: the key of a scalar payload
	clean bool   // nothing to find in its levels
	said  uint64 // detectors of the policy whose keywords its levels say
}

// memory holds what one worker has learned about key paths and topics under one
// classifier. A path is found by its keyed hash and then compared whole, so
// that no collision, made or chanced upon, gives one key another's meaning.
type memory struct {
	owner  *Classifier
	seed   maphash.Seed
	slots  []int32 // open addressing; index into paths, plus 1
	paths  []path
	keys   []byte
	topics map[string]topicMeaning
	full   bool  // forget at the next document
	next   int32 // the path looked up last
	names  names

	places []int32 // by Field.Place: the path, or rootPath where it is not known yet
	epoch  uint64  // that these hold in
}

// whereabouts are the meanings of topic levels whose values say where somebody
// is, whatever the levels below are called.
var whereabouts = sensesOf([]sense{senseGeo, sensePresence})

// rootPath is the path of a payload's root.
const rootPath = 0

func (m *memory) reset(c *Classifier) {
	if m.slots == nil {
		m.seed = maphash.MakeSeed()
	}
	m.owner, m.full, m.next = c, false, 0
	m.places = m.places[:0]
	m.names = names{dict: c.dict}
	if m.slots == nil {
		m.slots = make([]int32, pathSlots)
	}
	clear(m.slots)
	clear(m.paths) // drops the slices in it
	if cap(m.paths) > 2*maxPaths || cap(m.keys) > 2*maxPathKeys {
		m.paths, m.keys = nil, nil // give back what one large document took
	}
	m.paths = append(m.paths[:0], path{parent: -1})
	m.keys = m.keys[:0]
	m.topics = make(map[string]topicMeaning)
}

// begin prepares for one document.
func (m *memory) begin(c *Classifier, d *payload.Document) {
	if m.owner != c || m.full {
		m.reset(c)
	}
	epoch, n := d.Places()
	if epoch != m.epoch {
		m.places, m.epoch = m.places[:0], epoch
	}
	for len(m.places) < n {
		m.places = append(m.places, rootPath)
	}
}

// child returns the path of a key in a container. Beyond the bounds it learns
// paths for the rest of the document only.
func (m *memory) child(s *Scratch, hash uint64, parent int32, key []byte) int32 {
	if m.full {
		return m.add(s, hash, parent, key)
	}
	// Keys come in the order in which they were learned.
	if m.next++; int(m.next) < len(m.paths) && m.is(m.next, hash, parent, key) {
		return m.next
	}
	i := hash & (pathSlots - 1)
	for m.slots[i] != 0 {
		if m.next = m.slots[i] - 1; m.is(m.next, hash, parent, key) {
			return m.next
		}
		i = (i + 1) & (pathSlots - 1)
	}
	id := m.add(s, hash, parent, key)
	m.slots[i], m.next = id+1, id
	m.full = len(m.paths) >= maxPaths || len(m.keys) >= maxPathKeys
	return id
}

// is reports whether a path is that of a key in a container.
func (m *memory) is(id int32, hash uint64, parent int32, key []byte) bool {
	p := &m.paths[id]
	return p.hash == hash && p.parent == parent && string(m.keys[p.key:p.key+p.size]) == string(key)
}

// add works out what a key means.
func (m *memory) add(s *Scratch, hash uint64, parent int32, key []byte) int32 {
	id := int32(len(m.paths))
	p := path{hash: hash, parent: parent, key: uint32(len(m.keys)), size: uint32(len(key))}
	m.keys = append(m.keys, key...)
	folded, _ := s.keyFolder.fold(key)
	p.meaning = m.owner.dict.meaning(folded)
	if m.owner.custom != nil {
		p.said, p.names = m.owner.custom.masks(folded)
	}
	if parent >= 0 {
		up := &m.paths[parent]
		p.saidAbove = up.saidAbove | up.said
		p.above = up.above.union(up.about)
		p.up = up.about
		if p.transparent {
			p.head = up.head
			p.up = up.up
			p.said, p.names = p.said|up.said, p.names|up.names
		}
	}
	p.all = p.above.union(p.about)
	if p.head.meets(m.owner.plan.groupsFor) {
		p.tells |= tellsGroup
	}
	if !p.about.empty() {
		p.tells |= tellsAbout
	}
	if p.head.has(senseType) && !p.about.empty() {
		p.tells |= tellsType
	}
	if p.head.meets(labelSenses) {
		p.tells |= tellsLabel
	}
	if p.head.meets(actionSenses) {
		p.tells |= tellsAction
	}
	if p.head.meets(kindSenses) {
		p.tells |= tellsKind
	}
	for i := range m.owner.detectors {
		d := &m.owner.detectors[i]
		if m.owner.senses[i].meets(p.head) {
			if d.on&onKey != 0 {
				p.detectors = append(p.detectors, DetectorID(i))
				if !d.strings {
					p.others = append(p.others, DetectorID(i))
				}
			}
			if d.on&onArray != 0 {
				p.arrays = append(p.arrays, DetectorID(i))
			}
		}
	}
	m.paths = append(m.paths, p)
	p.inKey, p.inKeyBy = m.owner.inKey(s, key)
	if p.inKey.confidence > 0 {
		p.tells |= tellsKey
	}
	m.paths[id] = p
	return id
}

// topic returns what the document's topic means.
func (m *memory) topic(s *Scratch, d *payload.Document) topicMeaning {
	if t, ok := m.topics[d.Topic]; ok {
		return t
	}
	t := topicMeaning{last: rootPath}
	last := int32(-1)
	for i := range d.Fields {
		if d.Fields[i].Kind != payload.KindTopic {
			break
		}
		last = int32(i)
		level, _ := s.keyFolder.fold(d.Text(last))
		t.about = t.about.union(m.owner.dict.meaning(level).about)
		if m.owner.custom != nil {
			t.said |= m.owner.custom.mask(level)
		}
	}
	if last >= 0 {
		key := d.Text(last)
		// A parent that no container has sets topic levels apart from keys.
		t.last = m.child(s, maphash.Bytes(m.seed, key), -1, key)
		// "location/ann", "device_tracker/ann/state": a level before says that
		// the value is where somebody is.
		for i := last - 1; i >= 0 && i >= last-3 && m.paths[t.last].head.empty(); i-- {
			key = d.Text(i)
			if id := m.child(s, maphash.Bytes(m.seed, key), -1, key); m.paths[id].head.meets(whereabouts) {
				t.last = id
			}
		}
	}
	t.clean = !m.owner.inTopic(s, d, t.about)
	if len(d.Topic) <= maxTopicLen {
		if len(m.topics) >= maxTopics {
			clear(m.topics)
		}
		m.topics[string(append([]byte(nil), d.Topic...))] = t
	}
	return t
}
