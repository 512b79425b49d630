package payload

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// canStrip reports whether metadata can be left out of a medium.
func (m Media) canStrip() bool {
	switch m {
	case MediaJPEG, MediaPNG, MediaWebP, MediaGIF, MediaHEIF, MediaMP4:
		return true
	}
	return false
}

// Append leaves out what is not needed to show a picture: positions, cameras,
// times, comments, thumbnails, and whatever is not known. Colour profiles stay;
// so a picture looks as before, but for the orientation that a camera noted. Of
// HEIF and MP4 see magic_boxes.go.
func (opaqueFormat) Append(dst []byte, d *Document, edits []Edit) ([]byte, error) {
	if len(edits) != 1 || edits[0].Kind != EditStrip {
		return nil, errors.New("edit binary: no other edit is accepted")
	}
	switch d.Media {
	case MediaJPEG:
		return stripJPEG(dst, d.Raw), nil
	case MediaPNG:
		return stripPNG(dst, d.Raw), nil
	case MediaGIF:
		return stripGIF(dst, d.Raw), nil
	case MediaHEIF:
		return stripHEIF(dst, d.Raw)
	case MediaMP4:
		return stripMP4(dst, d.Raw)
	}
	return stripWebP(dst, d.Raw), nil
}

// stripJPEG keeps JFIF without its extension, colour profiles and Adobe's colour
// transform of the application segments (ITU-T T.81, B.2.4.6), and no comment.
// Its input was walked before.
func stripJPEG(dst, b []byte) []byte {
	const (
		sos  = 0xDA
		com  = 0xFE
		app0 = 0xE0
	)
	dst = append(dst, b[:2]...)
	for i := 2; i < len(b); {
		start := i
		for b[i] == 0xFF {
			i++
		}
		marker := b[i]
		i++
		if marker == 0xD9 || marker == 0x01 || marker >= 0xD0 && marker <= 0xD7 {
			dst = append(dst, b[start:i]...)
			continue
		}
		body := b[i+2 : i+int(binary.BigEndian.Uint16(b[i:]))]
		i += 2 + len(body)
		switch {
		case marker == com:
			continue
		case marker >= app0 && marker <= app0+15:
			if !(marker == app0 && bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) == 14 ||
				marker == app0+2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")) ||
				marker == app0+14 && bytes.HasPrefix(body, []byte("Adobe"))) {
				continue
			}
		case marker == sos:
			i = jpegScanEnd(b, i)
		}
		dst = append(dst, b[start:i]...)
	}
	return dst
}

// pngKept are the ancillary chunks that tell how to show a picture (PNG, third
// edition, 11.3), animations among them.
const pngKept = "tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT"

// stripPNG keeps critical chunks and those of pngKept.
func stripPNG(dst, b []byte) []byte {
	dst = append(dst, b[:len(pngSignature)]...)
	for i := len(pngSignature); i < len(b); {
		end := i + 12 + int(binary.BigEndian.Uint32(b[i:]))
		if kind := b[i+4 : i+8]; kind[0]&0x20 == 0 || bytes.Contains([]byte(pngKept), kind) {
			dst = append(dst, b[i:end]...)
		}
		i = end
	}
	return dst
}

// stripWebP keeps the chunks of pictures, animations and colour profiles, and
// takes back what the header says of others (RFC 9649, 2.7).
func stripWebP(dst, b []byte) []byte {
	const (
		hasXMP  = 0x04
		hasEXIF = 0x08
	)
	from := len(dst)
	dst = append(dst, b[:12]...)
	for i := 12; len(b)-i >= 8; {
		n := int(binary.LittleEndian.Uint32(b[i+4:]))
		end := min(i+8+n+n&1, len(b))
		switch kind := string(b[i : i+4]); kind {
		case "VP8 ", "VP8L", "VP8X", "ICCP", "ALPH", "ANIM", "ANMF":
			at := len(dst)
			dst = append(dst, b[i:end]...)
			if kind == "VP8X" && end > i+8 {
				dst[at+8] &^= hasXMP | hasEXIF
			}
		}
		i = end
	}
	binary.LittleEndian.PutUint32(dst[from+4:], uint32(len(dst)-from-8))
	return dst
}

// chunksFit reports whether the chunks of a RIFF file fill it.
func chunksFit(b []byte) bool {
	i := 12
	for len(b)-i >= 8 {
		n := uint64(binary.LittleEndian.Uint32(b[i+4:]))
		n += 8 + n&1
		if n > uint64(len(b)-i) {
			return false
		}
		i += int(n)
	}
	return i == len(b)
}

// gifEnd returns the place behind the trailer (GIF89a, 27): blocks, of which
// images and extensions have sub-blocks.
func gifEnd(b []byte) (end int, ok bool) {
	if len(b) < 13 {
		return 0, false
	}
	i := 13 + gifTable(b[10])
	for i < len(b) {
		switch b[i] {
		case ';':
			return i + 1, true
		case '!':
			i += 2
		case ',':
			if len(b)-i < 11 {
				return 0, false
			}
			i += 11 + gifTable(b[i+9])
		default:
			return 0, false
		}
		for i < len(b) && b[i] != 0 {
			i += 1 + int(b[i])
		}
		i++
	}
	return 0, false
}

// isONNX walks a model (onnx.proto, ModelProto): it has no magic number, but a
// graph (7), the operators it uses (8), and nothing that a model has not.
func isONNX(b []byte) bool {
	var graph, operators bool
	for i := 0; i < len(b); {
		f, ok := readWire(b, i, len(b))
		if !ok {
			return false
		}
		kind := uint8(wireBytes)
		switch f.number {
		case 1, 5:
			kind = wireVarint
		case 7:
			graph = true
		case 8:
			operators = true
		case 2, 3, 4, 6, 14, 20, 25, 26:
		default:
			return false
		}
		if f.kind != kind {
			return false
		}
		i = f.end
	}
	return graph && operators
}
