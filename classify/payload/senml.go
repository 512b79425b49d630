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
