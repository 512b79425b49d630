package payload

import "bytes"

// senmlNames are what integers stand for in SenML in CBOR (RFC 8428, 6), from
// firstLabel upwards.
var senmlNames = bytes.Fields([]byte("bs bv bu bt bn bver n u v vs vb s t ut vd"))

const firstLabel = -6

// Name returns what the key of field i is called: the key, or, in a SenML pack
// in CBOR, the name that the key's number stands for ("n" for 0). The path of
// the field has the key.
func (d *Document) Name(i int32) []byte {
	if d.senml && d.Fields[i].Parent >= 0 && d.Fields[d.Fields[i].Parent].Parent == d.Root && d.Fields[i].Flags&KeyArena != 0 {
		if name, ok := senmlName(d.Key(i)); ok {
			return name
		}
	}
	return d.Key(i)
}

func senmlName(key []byte) ([]byte, bool) {
	n := 0
	switch {
	case len(key) == 1 && key[0] >= '0' && key[0] <= '8':
		n = int(key[0] - '0')
	case len(key) == 2 && key[0] == '-' && key[1] >= '1' && key[1] <= '6':
		n = -int(key[1] - '0')
	default:
		return nil, false
	}
	return senmlNames[n-firstLabel], true
}

// isSenML reports whether a CBOR document is a SenML pack: an array of maps
// with no other integers for keys than SenML has, of which one names something.
func (d *Document) isSenML() bool {
	if d.Fields[d.Root].Kind != KindArray {
		return false
	}
	named := false
	for i := d.Root + 1; int(i) < len(d.Fields); i++ {
		f := &d.Fields[i]
		switch {
		case f.Parent == d.Root:
			if f.Kind != KindObject {
				return false
			}
		case d.Fields[f.Parent].Parent == d.Root && f.Flags&KeyArena != 0:
			name, ok := senmlName(d.Key(i))
			if !ok {
				return false
			}
			named = named || f.Kind == KindString && (string(name) == "n" || string(name) == "bn")
		}
	}
	return named
}

// What becomes of a field of SenML (RFC 8428, 4.2) that a token takes the place
// of.
type senmlFit uint8

const (
	senmlUnfit  senmlFit = iota // nothing but a number may stand there
	senmlAsIs                   // a string may
	senmlRename                 // a string is called "vs"
)

// senmlStringLabel is what "vs" is in CBOR.
const senmlStringLabel = 3

// senmlFit is senmlAsIs for all that is no SenML.
func (d *Document) senmlFit(i int32) senmlFit {
	f := &d.Fields[i]
	if !d.isPack() {
		return senmlAsIs
	}
	if f.Parent == d.Root {
		return senmlUnfit
	}
	if d.Fields[f.Parent].Parent != d.Root {
		return senmlAsIs
	}
	switch string(d.Name(i)) {
	case "v", "vb", "vd":
		for j := f.Parent + 1; int(j) < len(d.Fields) && d.Fields[j].Raw.Start < d.Fields[f.Parent].Raw.End; j++ {
			if d.Fields[j].Parent == f.Parent && string(d.Name(j)) == "vs" {
				return senmlUnfit
			}
		}
		return senmlRename
	}
	if f.Kind == KindString {
		return senmlAsIs
	}
	return senmlUnfit
}

// An answer is one that is worth keeping.
type answer uint8

const (
	notAsked answer = iota
	no
	yes
)

// isPack reports whether the document is a SenML pack.
func (d *Document) isPack() bool {
	if d.format != Format(jsonFormat{}) {
		return d.senml
	}
	if d.jsonPack == notAsked {
		d.jsonPack = no
		if d.isSenMLText() {
			d.jsonPack = yes
		}
	}
	return d.jsonPack == yes
}

// isSenMLText reports whether a JSON document is a SenML pack: an array of
// objects, of which one names something and one has a value.
func (d *Document) isSenMLText() bool {
	if d.Fields[d.Root].Kind != KindArray {
		return false
	}
	named, valued := false, false
	for i := d.Root + 1; int(i) < len(d.Fields); i++ {
		f := &d.Fields[i]
		switch {
		case f.Parent == d.Root:
			if f.Kind != KindObject {
				return false
			}
		case d.Fields[f.Parent].Parent == d.Root:
			switch string(d.Key(i)) {
			case "n", "bn":
				named = named || f.Kind == KindString
			case "v", "vs", "vb", "vd", "s":
				valued = true
			}
		}
	}
	return named && valued
}
