package payload

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// nmeaFormat is sentences of NMEA 0183, one a line: "$" or "!", names and values
// apart by commas, and a checksum, which is written anew after an edit. A
// sentence whose checksum is wrong makes the payload unreadable, and so does
// one that packs its values in six bits a character ("!AIVDM").
//
// Each sentence is an object. A position (4807.038,N) is one number of degrees,
// under latitude or longitude; other values have their place for a key, 0 for
// the sentence's name. Empty values are no fields.
type nmeaFormat struct{}

func (nmeaFormat) Detect(_ string, raw []byte) bool {
	if c := firstCharacter(raw); c != '$' && c != '!' {
		return false
	}
	return isText(raw) && lines(raw, func(line Span) bool {
		b := raw[line.Start:line.End]
		name, _, ok := bytes.Cut(b[1:], []byte(","))
		if b[0] != '$' && b[0] != '!' || !ok || len(name) < 3 || len(name) > 8 {
			return false
		}
		for _, c := range name {
			if (c < 'A' || c > 'Z') && c-'0' > 9 {
				return false
			}
		}
		return bytes.IndexByte(b[1:], '$') < 0
	})
}

func (nmeaFormat) Parse(d *Document, lim Limits) Reason {
	d.name = "nmea"
	if !d.addRoot(KindLines, lim) {
		return ReasonTooMany
	}
	why, line := ReasonNone, uint32(0)
	lines(d.Raw, func(span Span) bool {
		if d.Raw[span.Start] == '!' {
			why = ReasonUnknown
			return false
		}
		row, ok := d.addRow(d.Root, line, KindObject, span, lim)
		if !ok {
			why = ReasonTooMany
			return false
		}
		line++
		why = d.sentence(row, span, lim)
		return why == ReasonNone
	})
	return why
}

// sentence reads the values of one line.
func (d *Document) sentence(row int32, span Span, lim Limits) Reason {
	body := Span{span.Start + 1, span.End}
	if star := bytes.LastIndexByte(d.Raw[span.Start:span.End], '*'); star > 0 {
		body.End = span.Start + uint32(star)
		sum, ok := hex2(d.Raw[body.End+1 : span.End])
		if !ok || span.End-body.End != 3 || sum != checksum(d.Raw[body.Start:body.End]) {
			return ReasonMalformed
		}
	}
	index := uint32(0)
	for i, place := body.Start, 0; i <= body.End; place++ {
		end := cellEnd(d.Raw, i, body.End)
		value := Span{i, end}
		i = end + 1
		if value.Len() == 0 {
			continue
		}
		position, text := false, Span{uint32(len(d.arena)), 0}
		if letter := end + 1; end < body.End && cellEnd(d.Raw, letter, body.End) == letter+1 {
			d.arena, position = degrees(d.arena, d.Raw[value.Start:value.End], d.Raw[letter])
		}
		text.End = uint32(len(d.arena))
		var key Span
		switch {
		case !position:
			d.arena = strconv.AppendInt(d.arena, int64(place), 10)
			key = Span{text.Start, uint32(len(d.arena))}
		case d.Raw[end+1] == 'N' || d.Raw[end+1] == 'S':
			key = d.putBytes("latitude")
		default:
			key = d.putBytes("longitude")
		}
		f, ok := d.addCell(row, index, key, KeyArena, lim)
		if !ok {
			return ReasonTooMany
		}
		index++
		f.Raw, f.Text = value, value
		f.Accepts &^= 1 << EditToken // a sentence has 82 characters
		switch {
		case position:
			f.Kind, f.Accepts = KindNumber, 1<<EditNumber|1<<EditRemove
			f.Raw.End, f.Text, f.Flags = end+2, text, f.Flags|TextArena
			i, place = end+3, place+1
		case place == 0:
			f.Accepts = 0
		default:
			f.Kind = kindOfCell(d.Raw[value.Start:value.End])
		}
	}
	return ReasonNone
}

func cellEnd(raw []byte, i, end uint32) uint32 {
	if n := bytes.IndexByte(raw[i:end], ','); n >= 0 {
		return i + uint32(n)
	}
	return end
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// Decimals of a position: those that are read of degrees (a centimetre), and
// those of minutes that may be there.
const (
	degreeDecimals = 7
	minuteDecimals = 9
)

// degrees reads ddmm.mmmm and N or S, dddmm.mmmm and E or W (NMEA 0183) and
// appends degrees to dst; ok is false for anything else.
func degrees(dst, b []byte, hemisphere byte) (out []byte, ok bool) {
	width, most := 2, uint64(90)
	switch hemisphere {
	case 'N', 'S':
	case 'E', 'W':
		width, most = 3, 180
	default:
		return dst, false
	}
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	if len(whole) != width+2 || len(fraction) > minuteDecimals {
		return dst, false
	}
	deg, ok1 := parseDigits(whole[:width], 0)
	minutes, ok2 := parseDigits(whole[width:], 0)
	minutes, ok3 := parseDigits(fraction, minutes)
	unit := power10(len(fraction))
	if !ok1 || !ok2 || !ok3 || minutes >= 60*unit {
		return dst, false
	}
	// minutes/60 of a degree, in units of the last decimal that is read.
	const scale = 10_000_000
	n := deg*scale + (minutes*(scale/20)+3*unit/2)/(3*unit)
	if n > most*scale {
		return dst, false
	}
	if (hemisphere == 'S' || hemisphere == 'W') && n > 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, n/scale, 10)
	if n %= scale; n > 0 {
		dst = append(dst, '.')
		for unit := uint64(scale / 10); n > 0; unit /= 10 {
			dst = append(dst, '0'+byte(n/unit))
			n %= unit
		}
	}
	return dst, true
}

// parseDigits goes on reading a number that began with n.
func parseDigits(b []byte, n uint64) (uint64, bool) {
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

func power10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// Append writes values anew, and the checksums of the sentences that they are in.
func (nmeaFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	from := len(dst)
	dst, err := appendCells(dst, d, edits, nmeaFormat{})
	if err != nil {
		return nil, err
	}
	const hex = "0123456789ABCDEF"
	out, last := dst[from:], int32(-1)
	touched := map[uint32]bool{}
	for _, e := range edits {
		if row := d.Fields[e.Field].Parent; row != last {
			last = row
			touched[d.Fields[row].Index] = true
		}
	}
	line := uint32(0)
	lines(out, func(span Span) bool {
		star := bytes.LastIndexByte(out[span.Start:span.End], '*')
		if touched[line] && star > 0 {
			at := span.Start + uint32(star)
			sum := checksum(out[span.Start+1 : at])
			out[at+1], out[at+2] = hex[sum>>4], hex[sum&15]
		}
		line++
		return true
	})
	return dst, nil
}

func (nmeaFormat) write(dst []byte, d *Document, i int32, text []byte) ([]byte, error) {
	f := &d.Fields[i]
	if f.Flags&TextArena != 0 {
		return appendDegrees(dst, text, d.Raw[f.Raw.Start:f.Raw.End])
	}
	for _, c := range text {
		if c < ' ' || c > '}' || c == ',' || c == '*' || c == '$' || c == '!' || c == '\\' || c == '^' {
			return nil, fmt.Errorf("edit field %d: a sentence can't hold this value", i)
		}
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("edit field %d: an empty value is none", i)
	}
	return append(dst, text...), nil
}

// appendDegrees writes degrees as old has them, with as many decimals as it
// takes to be exact.
func appendDegrees(dst, text, old []byte) ([]byte, error) {
	unfit := errors.New("edit nmea: the value is not a position")
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	cell, hemisphere, _ := bytes.Cut(old, []byte(","))
	latitude := hemisphere[0] == 'N' || hemisphere[0] == 'S'
	width, most, letters := 3, uint64(180), "EW"
	if latitude {
		width, most, letters = 2, 90, "NS"
	}
	deg, err := strconv.ParseUint(string(whole), 10, 32)
	if err != nil || len(fraction) > degreeDecimals {
		return nil, unfit
	}
	part, unit := uint64(0), power10(len(fraction))
	if len(fraction) > 0 {
		if part, err = strconv.ParseUint(string(fraction), 10, 64); err != nil {
			return nil, unfit
		}
	}
	if deg > most || deg == most && part > 0 {
		return nil, unfit
	}
	minutes := part * 60 // in unit
	_, decimals, dot := bytes.Cut(cell, []byte("."))
	places := len(fraction)
	for ; places < len(decimals); places++ {
		minutes, unit = minutes*10, unit*10
	}
	for ; places > len(decimals) && minutes%10 == 0; places-- {
		minutes, unit = minutes/10, unit/10
	}
	dst = appendPadded(dst, deg, width)
	dst = appendPadded(dst, minutes/unit, 2)
	if places > 0 || dot {
		dst = appendPadded(append(dst, '.'), minutes%unit, places)
	}
	letter := letters[0]
	if negative {
		letter = letters[1]
	}
	return append(dst, ',', letter), nil
}

// appendPadded appends n with at least width digits; none for no width.
func appendPadded(dst []byte, n uint64, width int) []byte {
	if width == 0 {
		return dst
	}
	for unit := power10(width - 1); unit > n && unit > 1; unit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, n, 10)
}

// cut empties a value, of a position both.
func (nmeaFormat) cut(d *Document, i int32, _ uint32) (Span, string, error) {
	if d.Fields[i].Flags&TextArena != 0 {
		return d.Fields[i].Raw, ",", nil
	}
	return d.Fields[i].Raw, "", nil
}
