package protect

import (
	"bytes"
	"math"
	"strconv"

	"github.com/sealgate/sealgate/classify/payload"
)

// place coarsens positions: a coordinate by itself, an array of them however
// nested, or a text such as "52.5163,13.3777". A height or anything else beside
// them that can't be a number of degrees does not fit.
type place struct {
	decimals int     // that stay
	metres   float64 // if not 0: width of the grid's cells instead
}

// maxDegrees bounds what may be a coordinate.
const maxDegrees = 360

func (p place) apply(dst []byte, v value) ([]byte, payload.EditKind, bool) {
	across := 1.0
	if p.metres > 0 {
		across = v.across()
	}
	switch {
	case v.number():
		out, ok := p.coarsen(dst, v.text, across)
		return out, payload.EditNumber, ok
	case v.kind == payload.KindArray:
		return p.array(dst, v, across)
	case v.textual():
		out, ok := p.text(dst, v.text, across)
		return out, payload.EditString, ok
	}
	return dst, 0, false
}

// coarsen writes one coordinate.
func (p place) coarsen(dst, text []byte, across float64) ([]byte, bool) {
	var d decimal
	if !d.parse(text) {
		return dst, false
	}
	if n, fraction, ok := d.whole(); !ok || n > maxDegrees || n == maxDegrees && fraction {
		return dst, false
	}
	if p.metres == 0 {
		return d.appendCut(dst, p.decimals), true
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return dst, false
	}
	return appendCell(dst, x, p.metres/(metresPerDegree*across)), true
}

// array writes an array of numbers, and leaves all around them as it is.
func (p place) array(dst []byte, v value, across float64) ([]byte, payload.EditKind, bool) {
	if v.doc.Fields[v.field].Flags&payload.Wrapped != 0 {
		return dst, 0, false // in a string its numbers have no places of their own
	}
	raw := v.doc.Fields[v.field].Raw
	at, found := raw.Start, false
	for i := v.field + 1; int(i) < len(v.doc.Fields); i++ {
		f := &v.doc.Fields[i]
		if f.Raw.Start >= raw.End {
			break
		}
		if f.Kind == payload.KindArray {
			continue
		}
		if f.Kind != payload.KindNumber {
			return dst, 0, false
		}
		dst = append(dst, v.doc.Raw[at:f.Raw.Start]...)
		var ok bool
		if dst, ok = p.coarsen(dst, v.doc.Text(i), across); !ok {
			return dst, 0, false
		}
		at, found = f.Raw.End, true
	}
	return append(dst, v.doc.Raw[at:raw.End]...), payload.EditRaw, found
}

// text writes a text that holds nothing but numbers and separators.
func (p place) text(dst, text []byte, across float64) ([]byte, bool) {
	found := false
	for len(text) > 0 {
		n := numberPrefix(text)
		if n == 0 {
			if bytes.IndexByte([]byte(",; "), text[0]) < 0 {
				return dst, false
			}
			dst, text = append(dst, text[0]), text[1:]
			continue
		}
		var ok bool
		if dst, ok = p.coarsen(dst, text[:n], across); !ok {
			return dst, false
		}
		text, found = text[n:], true
	}
	return dst, found
}

// numberPrefix is the length of what begins text and looks like a number
// without exponent.
func numberPrefix(text []byte) (n int) {
	for n < len(text) {
		if c := text[n]; c != '.' && (c < '0' || c > '9') && (n > 0 || c != '-' && c != '+') {
			break
		}
		n++
	}
	return n
}

// metresPerDegree is the length of one degree of latitude, and of longitude at
// the equator, on a sphere of the earth's mean radius.
const metresPerDegree = 111_195.0

// A degree of longitude is shorter the further from the equator. A cell is made
// wide enough for the latitude, where that is known, in whole degrees towards
// the pole; it is taken to be at most maxLatitude, and unknownLatitude where
// only a longitude is there.
const (
	maxLatitude     = 85
	unknownLatitude = 70
)

// across returns how long a degree of v is at least, as a part of a degree of
// latitude.
func (v *value) across() float64 {
	latitude, known := 0.0, false
	see := func(text []byte) {
		if x, err := strconv.ParseFloat(string(text), 64); err == nil && math.Abs(x) <= 90 {
			latitude, known = max(latitude, math.Abs(x)), true
		}
	}
	switch {
	case v.kind == payload.KindArray: // in either order: the larger of both is safe
		for i := v.field + 1; int(i) < len(v.doc.Fields) && v.doc.Fields[i].Raw.Start < v.doc.Fields[v.field].Raw.End; i++ {
			see(v.doc.Text(i))
		}
	case isLatitude(v.doc.Key(v.field)):
		return 1
	case v.number() || numberPrefix(v.text) == len(v.text):
		parent := v.doc.Fields[v.field].Parent
		for i := max(v.field-near, 0); int(i) < len(v.doc.Fields) && i <= v.field+near; i++ {
			if parent >= 0 && v.doc.Fields[i].Parent == parent && isLatitude(v.doc.Key(i)) {
				see(v.doc.Text(i))
			}
		}
	default:
		for text := v.text; len(text) > 0; {
			n := max(numberPrefix(text), 1)
			see(text[:n])
			text = text[n:]
		}
	}
	if !known {
		latitude = unknownLatitude
	}
	return math.Cos(min(math.Ceil(latitude), maxLatitude) * math.Pi / 180)
}

// near is how many fields before and behind a longitude are looked at for its
// latitude.
const near = 8

func isLatitude(key []byte) bool { return len(key) >= 3 && bytes.EqualFold(key[:3], []byte("lat")) }

// appendCell appends the lower corner of the cell that x is in, with as many
// decimals as tell one cell from the next.
func appendCell(dst []byte, x, cell float64) []byte {
	corner := math.Floor(x/cell) * cell
	if x >= -180 {
		corner = max(corner, -180)
	}
	decimals := max(0, 1-int(math.Floor(math.Log10(cell))))
	from := len(dst)
	dst = strconv.AppendFloat(dst, corner, 'f', decimals, 64)
	if dst[from] == '-' && len(bytes.Trim(dst[from:], "-0.")) == 0 {
		dst = append(dst[:from], dst[from+1:]...) // zero has no sign
	}
	return dst
}
