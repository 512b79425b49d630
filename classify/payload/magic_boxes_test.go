package payload

import (
	"encoding/binary"
	"maps"
	"strings"
	"testing"
)

// bx is a box, and full one with version and flags.
func bx(kind string, body ...string) string {
	all := strings.Join(body, "")
	return be32(8+len(all)) + kind + all
}

func full(kind string, version byte, body ...string) string {
	return bx(kind, string([]byte{version, 0, 0, 0}), strings.Join(body, ""))
}

func be16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }
func be32(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// zeros is a text in which all bytes are zero.
func zeros(s string) string { return strings.Repeat("\x00", len(s)) }

// A heifItem is an item of a picture: its type, what follows the type, its bytes.
type heifItem struct{ kind, name, bytes string }

var heifPicture = []heifItem{{"hvc1", "\x00", "the picture"}, {"Exif", "\x00", "GPS 52.516 by Mara"}, {"mime", "xmp\x00application/rdf+xml\x00", "<x:xmpmeta Mara/>"}}

// heif is a picture whose items' bytes lie one behind the other, with parts that
// differ from what heifParts has.
func heif(parts map[string]string, items []heifItem) string {
	p := heifParts(items)
	maps.Copy(p, parts)
	build := func(at int) string {
		where := ""
		for i, x := range items {
			where += be16(i+1) + be16(0) + be16(1) + be32(at) + be32(len(x.bytes))
			at += len(x.bytes)
		}
		iloc := full("iloc", 0, "\x44\x00", be16(len(items)), where)
		if own, ok := parts["iloc"]; ok {
			iloc = own
		}
		return p["ftyp"] + full("meta", 0, p["hdlr"], full("pitm", 0, be16(1)), iloc, p["iinf"], p["iprp"], p["more"]) + p["top"]
	}
	head := build(0)
	return build(len(head)+8) + bx("mdat", p["mdat"])
}

func heifParts(items []heifItem) map[string]string {
	infos, all := "", ""
	for i, x := range items {
		infos += full("infe", 2, be16(i+1), be16(0), x.kind, x.name)
		all += x.bytes
	}
	return map[string]string{
		"ftyp": bx("ftyp", "heic", be32(0)),
		"hdlr": full("hdlr", 0, be32(0), "pict", strings.Repeat("\x00", 12), "Mara's phone\x00"),
		"iinf": full("iinf", 0, be16(len(items)), infos),
		"iprp": bx("iprp", bx("ipco", full("ispe", 0, be32(4), be32(4)), full("udes", 0, "en\x00Mara\x00")), full("ipma", 0, be32(0))),
		"mdat": all,
	}
}

// film is an MP4 file with boxes in its movie and in its track.
func film(inMovie, inTrack, handler, top string) string {
	times := be32(1700000000) + be32(1700000001)
	track := bx("trak", full("tkhd", 0, times, "track header"), inTrack,
		bx("mdia", full("mdhd", 1, times, times, "media header"), full("hdlr", 0, be32(0), handler, strings.Repeat("\x00", 12), "Mara's camera"),
			bx("minf", full("vmhd", 0, "12345678"), bx("stbl", full("stsd", 0, be32(0))))))
	return bx("ftyp", "isom", be32(0)) + bx("moov", full("mvhd", 0, times, "movie header"), track, inMovie) + top + bx("mdat", "the film")
}

// TestStripBoxes: metadata is zeros afterwards; the file has the same size, and
// all else stays where it was.
func TestStripBoxes(t *testing.T) {
	gps := bx("udta", bx("\xa9xyz", be16(18)+be16(0)+"+52.5163+013.3777/"), bx("meta", "more of it"))
	exif, xmp := heifPicture[1].bytes, heifPicture[2].bytes
	for _, tt := range []struct{ name, raw, gone, kept string }{
		{"mp4", film(gps, "", "vide", ""), "+52.5163,Mara's camera,more of it," + be32(1700000000) + "," + be32(1700000001), "movie header,track header,media header,the film"},
		{"mp4, in a track", film("", gps, "soun", ""), "+52.5163,\xa9xyz", "the film"},
		{"mp4, private and free", film(bx("uuid", "1234567890123456Mara"), bx("free", "Mara Beispiel"), "vide", bx("skip", "Mara"+gps)), "Mara,+52", "the film"},
		{"mp4, fragments", bx("ftyp", "iso5", be32(0)) + bx("moof", full("mfhd", 0, be32(1)), bx("traf", full("tfhd", 0, be32(1)), gps)) + bx("mdat", "the film"), "+52.5163", "the film"},
		{"heif", heif(nil, heifPicture), exif + "," + xmp + ",GPS,Mara", "the picture,application/rdf+xml,ispe"},
		{"heif, private", heif(map[string]string{"more": bx("uuid", "1234567890123456Mara"), "top": bx("free", "Mara's") + bx("uuid", "1234567890123456<x/>")}, heifPicture), "Mara,<x/>", "the picture"},
		{"heif, bytes of no item", heif(map[string]string{"mdat": "the picture" + exif + xmp + "hidden"}, heifPicture), "hidden," + exif, "the picture"},
		{"heif, in idat", heif(map[string]string{
			"iloc": full("iloc", 1, "\x44\x00", be16(2), be16(1)+be16(1)+be16(0)+be16(1)+be32(3)+be32(8), be16(2)+be16(1)+be16(0)+be16(1)+be32(11)+be32(4)),
			"more": bx("idat", "---gridding52.5"), "mdat": "unused",
		}, []heifItem{{"grid", "\x00", ""}, {"Exif", "\x00", ""}}), "52.5,---,unused", "gridding"},
		{"heif, wide numbers", heif(map[string]string{
			"iloc": full("iloc", 2, "\x88\x84", be32(1), be32(1)+be16(1)+be16(0)+zeros("12345678")+be16(1)+be32(0)+zeros("1234")+be32(0)+be32(0)+be32(4)),
			"iinf": full("iinf", 1, be32(1), full("infe", 3, be32(1), be16(0), "av01", "Mara\x00")), "more": bx("idat", "gridMara"),
		}, nil), "Mara", "grid"},
	} {
		d := mustParse(t, "", []byte(tt.raw))
		out, err := d.Append([]byte("x"), []Edit{{Field: d.Root, Kind: EditStrip}})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := string(out[1:])
		if len(got) != len(tt.raw) {
			t.Errorf("%s: %d bytes, were %d", tt.name, len(got), len(tt.raw))
		}
		for _, s := range strings.Split(tt.gone, ",") {
			if strings.Contains(got, s) || !strings.Contains(tt.raw, s) {
				t.Errorf("%s: %q is still in %q", tt.name, s, got)
			}
		}
		for _, s := range strings.Split(tt.kept, ",") {
			if !strings.Contains(got, s) || strings.Index(got, s) != strings.Index(tt.raw, s) {
				t.Errorf("%s: %q is not where it was in %q", tt.name, s, got)
			}
		}
		again := mustParse(t, "", []byte(got))
		if twice, err := again.Append(nil, []Edit{{Field: again.Root, Kind: EditStrip}}); err != nil || string(twice) != got {
			t.Errorf("%s: stripped again: %q, %v", tt.name, twice, err)
		}
	}
}

// TestStripRefuses: what can't be walked to its end, or has what nobody knows,
// is not stripped.
func TestStripRefuses(t *testing.T) {
	one := []heifItem{{"hvc1", "\x00", "the picture"}}
	iloc := func(body ...string) map[string]string {
		return map[string]string{"iloc": full("iloc", 0, body...)}
	}
	for name, raw := range map[string]string{
		"mp4 of positions":           film("", "", "meta", ""),
		"mp4 of text":                film("", "", "text", ""),
		"mp4 with a box of its own":  film(bx("mara", "x"), "", "vide", ""),
		"mp4 with one at the top":    film("", "", "vide", bx("junk", "x")),
		"mp4 with a box that is cut": film(be32(99)+"udta", "", "vide", ""),
		"mp4 with half a box":        film("1234", "", "vide", ""),
		"mp4 with a short header":    bx("ftyp", "isom") + bx("moov", bx("mvhd", "x")),
		"mp4 with a short handler":   bx("ftyp", "isom") + bx("moov", bx("trak", bx("mdia", bx("hdlr", "12345678vide")))),
		"heif without metadata":      bx("ftyp", "heic", be32(0)) + bx("mdat"),
		"heif with two":              bx("ftyp", "heic") + full("meta", 0) + full("meta", 0),
		"heif with a film":           heif(map[string]string{"top": bx("moov", "x")}, one),
		"heif with a motion photo":   heif(map[string]string{"top": bx("mpvd", "x")}, one),
		"heif with an unknown part":  heif(map[string]string{"more": bx("mara", "x")}, one),
		"heif without items":         heif(map[string]string{"iinf": ""}, one),
		"heif with old items":        heif(map[string]string{"iinf": full("iinf", 0, be16(1), full("infe", 0, be16(1), be16(0), "x\x00"))}, one),
		"heif, an item twice":        heif(map[string]string{"iinf": full("iinf", 0, be16(2), full("infe", 2, be16(1), be16(0), "hvc1\x00"), full("infe", 2, be16(1), be16(0), "Exif\x00"))}, one),
		"heif, bytes in the header":  heif(iloc("\x44\x00", be16(1), be16(1)+be16(0)+be16(1)+be32(4)+be32(4)), one),
		"heif, bytes behind the end": heif(iloc("\x44\x00", be16(1), be16(1)+be16(0)+be16(1)+be32(4)+be32(4000)), one),
		"heif, all bytes":            heif(iloc("\x44\x00", be16(1), be16(1)+be16(0)+be16(1)+be32(4)+be32(0)), one),
		"heif, no lengths":           heif(iloc("\x40\x00", be16(1), be16(1)+be16(0)+be16(1)+be32(4)), one),
		"heif, in another file":      heif(iloc("\x44\x00", be16(1), be16(1)+be16(1)+be16(1)+be32(4)+be32(4)), one),
		"heif, places cut":           heif(iloc("\x44\x00", be16(9)), one),
		"heif, places shared": heif(map[string]string{
			"iloc": full("iloc", 1, "\x44\x00", be16(2), be16(1)+be16(1)+be16(0)+be16(1)+be32(0)+be32(8), be16(2)+be16(1)+be16(0)+be16(1)+be32(6)+be32(2)),
			"more": bx("idat", "gridding"), "mdat": "unused",
		}, []heifItem{{"grid", "\x00", ""}, {"Exif", "\x00", ""}}),
		"heif, from another item": heif(map[string]string{"iloc": full("iloc", 1, "\x44\x00", be16(1), be16(1)+be16(2)+be16(0)+be16(1)+be32(0)+be32(4))}, one),
	} {
		var d Document
		if why := Parse(&d, "", []byte(raw), Limits{}); why != ReasonNone {
			t.Errorf("%s: %s", name, why)
			continue
		}
		if out, err := d.Append(nil, []Edit{{Field: d.Root, Kind: EditStrip}}); err == nil {
			t.Errorf("%s: stripped to %q", name, out)
		}
	}
}

// TestStripGIF: comments and XMP go; the picture, its loops and colours stay.
func TestStripGIF(t *testing.T) {
	head, picture := gif[:19], gif[strings.Index(gif, ","):]
	loop := "!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
	control := "!\xf9\x04\x00\x00\x00\x00\x00"
	xmp := "!\xff\x0bXMP DataXMP\x05<x/>\x01\x00"
	d := mustParse(t, "", []byte(head+loop+xmp+"!\xfe\x04mara\x04more\x00"+control+"!\x42\x01x\x00"+picture))
	out, err := d.Append(nil, []Edit{{Field: d.Root, Kind: EditStrip}})
	if want := head + loop + control + picture; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// FuzzStrip: whatever is stripped can be stripped again, to the same.
func FuzzStrip(f *testing.F) {
	for _, raw := range mediaSamples {
		f.Add([]byte(raw))
	}
	f.Add([]byte(film(bx("udta", "x"), "", "vide", "")))
	f.Add([]byte(jpeg))
	f.Add([]byte(png))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d Document
		if Parse(&d, "", raw, Limits{}) != ReasonNone || d.Root < 0 || !d.Fields[d.Root].Accepts.Has(EditStrip) {
			return
		}
		edit := []Edit{{Field: d.Root, Kind: EditStrip}}
		out, err := d.Append(nil, edit)
		if err != nil {
			return
		}
		var e Document
		if why := Parse(&e, "", out, Limits{}); why != ReasonNone || e.Media != d.Media {
			t.Fatalf("%q stripped is %q: %s", raw, out, why)
		}
		edit[0].Field = e.Root
		if again, err := e.Append(nil, edit); err != nil || string(again) != string(out) {
			t.Errorf("%q stripped twice is %q, not %q (%v)", raw, again, out, err)
		}
	})
}
