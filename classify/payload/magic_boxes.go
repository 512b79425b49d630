package payload

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
)

// Files of boxes (ISO/IEC 14496-12): MP4, HEIF and AVIF. Boxes name places in the
// file by their distance from its begin, so metadata is not cut out: its box
// becomes free space of the same size, and its bytes zeros. A box that is not
// known is an error: nobody could say what is in it.
//
// What is inside of pictures and sounds, as some cameras hide it in a stream, is
// not looked at.

// boxKept are the boxes that are needed to show a film, by the box they stand in.
var boxKept = map[string]string{
	"":     "ftyp styp mdat sidx mfra moov moof",
	"moov": "mvhd iods trak mvex",
	"trak": "tkhd tref edts mdia",
	"mdia": "mdhd hdlr elng minf",
	"minf": "vmhd smhd dinf hdlr stbl",
	"stbl": "stsd stts ctts cslg stsc stsz stz2 stco co64 stss stsh padb stdp sdtp sbgp sgpd subs saiz saio",
	"mvex": "mehd trex leva",
	"moof": "mfhd traf",
	"traf": "tfhd tfdt trun sdtp sbgp sgpd subs saiz saio",
}

// Of a picture (ISO/IEC 23008-12): its boxes, those of its metadata box that tell
// what items there are, and properties that tell how to show them.
const (
	heifKept     = "ftyp meta mdat"
	heifMetaKept = "hdlr dinf pitm iinf iloc iref iprp idat grpl"
	heifProperty = "hvcC lhvC av1C avcC vvcC jpgC j2kH uncC cmpd ispe pixi colr irot imir clap pasp auxC clli mdcv cclv amve rloc lsel a1lx a1op tols iscl"
	heifPictures = "hvc1 hev1 lhv1 avc1 av01 vvc1 jpeg j2k1 unci grid iovl iden tmap"
)

// boxGone are the boxes that metadata is in, or nothing at all, wherever they
// stand.
const boxGone = "free skip wide udta uuid meta emsg prft pdin xml  bxml"

var errBox = errors.New("strip metadata: a part of the file is not known")

// A box is one box, by its places in the file.
type box struct {
	kind             string
	start, body, end int
}

// A boxStripper works on a copy of a file.
type boxStripper struct{ b []byte }

// each calls f with the boxes from i to end.
func (s *boxStripper) each(i, end int, f func(box) error) error {
	for i < end {
		if end-i < 8 {
			return errBox
		}
		n, head := uint64(binary.BigEndian.Uint32(s.b[i:])), 8
		switch n {
		case 0:
			n = uint64(end - i)
		case 1:
			if end-i < 16 {
				return errBox
			}
			n, head = binary.BigEndian.Uint64(s.b[i+8:]), 16
		}
		if n < uint64(head) || n > uint64(end-i) {
			return errBox
		}
		x := box{string(s.b[i+4 : i+8]), i, i + head, i + int(n)}
		if err := f(x); err != nil {
			return err
		}
		i = x.end
	}
	return nil
}

// free makes a box free space.
func (s *boxStripper) free(x box) {
	copy(s.b[x.start+4:], "free")
	clear(s.b[x.body:x.end])
}

// among reports whether a list has a name of four characters.
func among(list, kind string) bool {
	for at := 0; at+4 <= len(list); at += 5 {
		if list[at:at+4] == kind {
			return true
		}
	}
	return false
}

// stripMP4 frees user data, metadata, private boxes and free space, and forgets
// times and the names of handlers. Tracks of anything but pictures and sound
// hold positions, as a rule: they are an error.
func stripMP4(dst, b []byte) ([]byte, error) {
	from := len(dst)
	dst = append(dst, b...)
	s := boxStripper{dst[from:]}
	if err := s.film(0, len(b), "", 0); err != nil {
		return nil, err
	}
	return dst, nil
}

func (s *boxStripper) film(i, end int, in string, depth int) error {
	return s.each(i, end, func(x box) error {
		switch {
		case among(boxGone, x.kind):
			s.free(x)
		case !among(boxKept[in], x.kind) || depth > 8:
			return errBox
		case x.kind == "mvhd", x.kind == "tkhd", x.kind == "mdhd":
			return s.times(x)
		case x.kind == "hdlr":
			if in == "mdia" && !s.shows(x) {
				return errBox
			}
			return s.handler(x)
		case boxKept[x.kind] != "":
			return s.film(x.body, x.end, x.kind, depth+1)
		}
		return nil
	})
}

// times zeroes when something was made and changed, after version and flags.
func (s *boxStripper) times(x box) error {
	n := 4 + 8
	if x.body < x.end && s.b[x.body] == 1 {
		n = 4 + 16
	}
	if x.end-x.body < n {
		return errBox
	}
	clear(s.b[x.body+4 : x.body+n])
	return nil
}

// shows reports whether a handler is one of pictures or sound.
func (s *boxStripper) shows(x box) bool {
	return x.end-x.body >= 12 && among("vide soun", string(s.b[x.body+8:x.body+12]))
}

// handler zeroes the name of a handler, which is a text.
func (s *boxStripper) handler(x box) error {
	const name = 24
	if x.end-x.body < name {
		return errBox
	}
	clear(s.b[x.body+name : x.end])
	return nil
}

// stripHEIF zeroes all bytes of all items that are no pictures, EXIF and XMP
// among them, and frees boxes as in films. Sequences of pictures are an error.
func stripHEIF(dst, b []byte) ([]byte, error) {
	from := len(dst)
	dst = append(dst, b...)
	s := boxStripper{dst[from:]}
	var data []Span
	var meta []box
	err := s.each(0, len(b), func(x box) error {
		switch {
		case x.kind == "meta":
			meta = append(meta, x)
		case among(boxGone, x.kind):
			s.free(x)
		case !among(heifKept, x.kind):
			return errBox
		case x.kind == "mdat":
			data = append(data, Span{uint32(x.body), uint32(x.end)})
		}
		return nil
	})
	if err != nil || len(meta) != 1 || meta[0].end-meta[0].body < 4 {
		return nil, cmp.Or(err, errBox)
	}
	if err := s.picture(meta[0], data); err != nil {
		return nil, err
	}
	return dst, nil
}

// picture deals with the metadata box of a picture, whose items' bytes are in
// data.
func (s *boxStripper) picture(meta box, data []Span) error {
	parts := map[string]box{}
	err := s.each(meta.body+4, meta.end, func(x box) error {
		switch {
		case among(boxGone, x.kind):
			s.free(x)
		case !among(heifMetaKept, x.kind):
			return errBox
		case x.kind == "hdlr":
			return s.handler(x)
		case x.kind == "iprp":
			return s.properties(x)
		default:
			if _, again := parts[x.kind]; again {
				return errBox
			}
			parts[x.kind] = x
		}
		return nil
	})
	if err != nil {
		return err
	}
	var idat Span
	if x, ok := parts["idat"]; ok {
		idat = Span{uint32(x.body), uint32(x.end)}
		data = append(data, idat)
	}
	shown, err := s.pictures(parts["iinf"])
	if err != nil {
		return err
	}
	keep, err := s.locations(parts["iloc"], shown, idat, data)
	if err != nil {
		return err
	}
	for _, d := range data {
		at := d.Start
		for _, k := range keep {
			if k.Start >= d.Start && k.End <= d.End {
				clear(s.b[min(at, k.Start):k.Start])
				at = max(at, k.End)
			}
		}
		clear(s.b[at:d.End])
	}
	return nil
}

// properties frees those that are not needed to show a picture. They are named
// by their number, so that the others stay what they are.
func (s *boxStripper) properties(x box) error {
	return s.each(x.body, x.end, func(x box) error {
		switch x.kind {
		case "ipma":
			return nil
		case "ipco":
			return s.each(x.body, x.end, func(x box) error {
				if !among(heifProperty, x.kind) {
					s.free(x)
				}
				return nil
			})
		}
		return errBox
	})
}

// number reads so many bytes at *at, before end.
func (s *boxStripper) number(at *int, size, end int) (n uint64, ok bool) {
	if size > end-*at {
		return 0, false
	}
	for _, c := range s.b[*at : *at+size] {
		n = n<<8 | uint64(c)
	}
	*at += size
	return n, true
}

// pictures returns which items are pictures, and zeroes the names of items.
func (s *boxStripper) pictures(iinf box) (map[uint64]bool, error) {
	shown := map[uint64]bool{}
	head := 4 + 2
	if iinf.body < iinf.end && s.b[iinf.body] > 0 {
		head = 4 + 4
	}
	if iinf.end-iinf.body < head {
		return nil, errBox
	}
	return shown, s.each(iinf.body+head, iinf.end, func(x box) error {
		if x.kind != "infe" || x.end-x.body < 4 {
			return errBox
		}
		size, at := 2, x.body+4
		switch s.b[x.body] {
		case 2:
		case 3:
			size = 4
		default:
			return errBox // no types yet
		}
		id, ok := s.number(&at, size, x.end)
		if _, again := shown[id]; !ok || again || x.end-at < 6 {
			return errBox
		}
		at += 2 // protection
		kind := string(s.b[at : at+4])
		shown[id] = among(heifPictures, kind)
		if kind != "mime" { // a type stands behind the name
			clear(s.b[at+4 : x.end])
		}
		return nil
	})
}

// maxExtents bounds how many places the bytes of all items have.
const maxExtents = 1 << 12

// locations returns where the bytes of pictures are, in order and without
// overlap. What is elsewhere than in data, or in both a picture and something
// else, is an error.
func (s *boxStripper) locations(iloc box, shown map[uint64]bool, idat Span, data []Span) (keep []Span, err error) {
	at, ok := iloc.body, true
	next := func(size int) (n uint64) {
		if ok {
			n, ok = s.number(&at, size, iloc.end)
		}
		return n
	}
	version := next(1)
	next(3)
	sizes := next(2)
	offset, length, base, index := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	wide, count := 2, 2
	if version == 2 {
		wide, count = 4, 4
	}
	if !ok || version > 2 || offset > 8 || length > 8 || base > 8 || index > 8 || length == 0 {
		return nil, errBox
	}
	var others []Span
	for items := next(count); items > 0 && ok; items-- {
		id, method := next(wide), uint64(0)
		if version > 0 {
			method = next(2) & 15
		}
		elsewhere, origin := next(2), next(base)
		for extents := next(2); extents > 0 && ok; extents-- {
			if version > 0 {
				next(index)
			}
			start, n := next(offset), next(length)
			if start > math.MaxInt32 || origin > math.MaxInt32 || n > math.MaxInt32 {
				return nil, errBox
			}
			start += origin
			switch {
			case method == 1:
				start += uint64(idat.Start)
			case method == 2 && !shown[id]: // in another item, which is looked at by itself
				continue
			}
			end := start + n
			if !ok || n == 0 || method > 1 || elsewhere != 0 || len(keep)+len(others) > maxExtents || method == 1 && end > uint64(idat.End) ||
				!slices.ContainsFunc(data, func(d Span) bool { return start >= uint64(d.Start) && end <= uint64(d.End) }) {
				return nil, errBox
			}
			if x := (Span{uint32(start), uint32(end)}); shown[id] {
				keep = append(keep, x)
			} else {
				others = append(others, x)
			}
		}
	}
	if !ok {
		return nil, errBox
	}
	slices.SortFunc(keep, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	for _, x := range others {
		if slices.ContainsFunc(keep, func(k Span) bool { return x.Start < k.End && k.Start < x.End }) {
			return nil, errBox
		}
	}
	return keep, nil
}

// gifLoops are the application extensions that tell how to show an animation,
// or its colours.
var gifLoops = []string{"NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"}

// stripGIF leaves out comments, and applications' extensions such as XMP (GIF89a,
// 24 and 26). Its input was walked before.
func stripGIF(dst, b []byte) []byte {
	const (
		control     = 0xF9
		plainText   = 0x01
		application = 0xFF
	)
	i := 13 + gifTable(b[10])
	dst = append(dst, b[:i]...)
	for i < len(b) {
		start, kept := i, true
		switch b[i] {
		case ';':
			return append(dst, ';')
		case ',':
			i += 11 + gifTable(b[i+9])
		default:
			switch label := b[i+1]; label {
			case control, plainText:
			case application:
				kept = b[i+2] == 11 && slices.ContainsFunc(gifLoops, func(name string) bool { return strings.HasPrefix(string(b[i+3:min(i+14, len(b))]), name) })
			default:
				kept = false
			}
			i += 2
		}
		for b[i] != 0 {
			i += 1 + int(b[i])
		}
		i++
		if kept {
			dst = append(dst, b[start:i]...)
		}
	}
	return dst
}

// gifTable is the size of a colour table by the flags before it.
func gifTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}
