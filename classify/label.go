package classify

import (
	"hash/maphash"

	"github.com/sealgate/sealgate/classify/payload"
)

// labelSenses are the meanings of keys whose values name the value beside them:
// {"key": "password", "value": "…"}, {"type": "heart_rate", "value": 72}.
var labelSenses = sensesOf([]sense{senseName, senseKey, senseID, senseType})

// actionSenses are the meanings of keys whose values say what is done.
var actionSenses = sensesOf([]sense{senseAction, senseTransition})

// toldByValue notes what a value says of what stands beside it.
func (s *Scratch) toldByValue(i int32, f *payload.Field, p *path) {
	const short, long = 24, 40 // what names something, in bytes
	text := s.doc.Text(i)
	if len(text) > long {
		return
	}
	hash := maphash.Bytes(s.mem.seed, text)
	if hash == p.silent && s.owner.custom == nil {
		return
	}
	says := false
	if p.tells&tellsType != 0 && len(text) <= short {
		// {"type": "person", "name": …}: a label says what its object is.
		label := s.meaningOf(text)
		if label.has(senseFace) || label.has(sensePerson) {
			label = label.with(senseLabelled)
		}
		s.speak(f.Parent, label)
		says = !label.empty()
	}
	if p.tells&tellsAction != 0 && len(text) <= short && s.meaningOf(text).has(senseAlarm) {
		// {"action": "disarm", "code": …}: what is done says where.
		s.speak(f.Parent, sensesOf([]sense{senseAlarm}))
		says = true
	}
	if p.tells&tellsLabel != 0 && s.labelled(f.Parent, text, hash) {
		return // and p may have moved
	}
	if !says {
		p.silent = hash
	}
}

// meaningOf is what a label speaks of.
func (s *Scratch) meaningOf(text []byte) senses {
	folded, _ := s.keyFolder.fold(text)
	return s.mem.names.meaning(folded).about
}

// labelled notes that an object names its value, and reports whether it does:
// {"n": "latitude", "v": 48.1}.
func (s *Scratch) labelled(container int32, text []byte, hash uint64) bool {
	if len(text) < 2 {
		return false
	}
	// Most of these texts name nothing, and each message brings another one:
	// they are not worth a path.
	if s.owner.custom == nil && serial(text) {
		return false
	}
	folded, _ := s.keyFolder.fold(text)
	m, up, said := s.mem.names.meaning(folded), &s.mem.paths[s.paths[container]], uint64(0)
	if s.owner.custom != nil {
		said = s.owner.custom.mask(folded)
	}
	if m.transparent {
		m.head, said = up.head, said|up.said
	}
	if m.head.empty() && said == 0 || m.head.has(senseName) {
		return false
	}
	s.label[container], s.labels = s.mem.child(s, hash, s.paths[container], text), true
	return true
}

// serial reports whether the last word of a text is made of letters and digits
// as no word of the dictionary is: one that a machine counts or draws. Digits
// behind it do not count.
func serial(text []byte) bool {
	const short = 5 // w3w is a word
	// How long it is, how often a letter stands behind a digit, and behind a letter.
	size, turns, row, before, ended := 0, 0, 0, uint8(0), true
	for _, b := range text {
		k := byteClass[b]
		switch {
		case b >= 0x80:
			return false // may be folded to anything
		case k&isAlnum == 0:
			ended = true
		case k&isLetter == 0:
		case ended || k&isUpper != 0:
			size, turns, row, ended = 0, int(before&isDigit/isDigit), 0, false // a word begins, maybe with digits
		case before&isDigit != 0:
			turns++
		default:
			row++
		}
		if !ended {
			size++
		}
		before = k
	}
	return turns >= 2 || turns == 1 && row == 0 && size > short
}

// relabel gives values the path that a label beside them names, and what stands
// in them as a value, too: {"name": "plate", "value": {"string": …}}.
func (s *Scratch) relabel() {
	d := s.doc
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.Parent < 0 || s.label[f.Parent] == 0 || !s.mem.paths[s.paths[i]].named() {
			continue
		}
		s.paths[i] = s.label[f.Parent]
		if !f.Kind.Leaf() {
			if s.label[i] == 0 {
				s.label[i] = s.paths[i]
			}
			continue
		}
		s.noteGroup(int32(i))
		s.speak(f.Parent, s.mem.paths[s.paths[i]].about)
	}
}

// named reports whether a label beside it can say what the value is.
func (p *path) named() bool {
	return p.transparent || p.head == sensesOf([]sense{senseContent})
}
