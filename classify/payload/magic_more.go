package payload

import (
	"bytes"
	"encoding/binary"
)

// recognizeMore tells the media that are rarer than those of recognize. What
// begins with letters is one of them only if it can't be text.
func recognizeMore(b []byte) Media {
	switch b[0] {
	case 0:
		if len(b) >= 12 && string(b[4:8]) == "ftyp" { // ISO/IEC 14496-12, 4.3
			switch string(b[8:12]) {
			case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis":
				return MediaHEIF
			}
			return MediaMP4
		}
	case 0x80: // protocol 2 and later; the last opcode is STOP
		if b[1] >= 2 && b[1] <= 5 && b[len(b)-1] == '.' {
			return MediaPickle
		}
	case 0x89:
		if bytes.HasPrefix(b, []byte("\x89HDF\r\n\x1a\n")) {
			return MediaHDF5
		}
	case 0x93:
		if bytes.HasPrefix(b, []byte("\x93NUMPY")) {
			return MediaNumPy
		}
	case 'P':
		if string(b[:4]) == "PK\x03\x04" && bytes.Contains(b, []byte("/data.pkl")) {
			return MediaPyTorch
		}
	case 'G':
		switch {
		case len(b) >= 6 && (string(b[:6]) == "GIF87a" || string(b[:6]) == "GIF89a") && !isText(b):
			return MediaGIF
		case isTransportStream(b):
			return MediaTS
		}
	case 'R':
		if len(b) >= 12 && string(b[:4]) == "RIFF" && !isText(b) {
			switch string(b[8:12]) {
			case "WEBP":
				return MediaWebP
			case "WAVE":
				return MediaWAV
			}
		}
	case 0x08, 0x12, 0x3A, 0x42: // ir_version, producer_name, graph, opset_import
		if isONNX(b) {
			return MediaONNX
		}
	case 'O':
		if string(b[:4]) == "OggS" && !isText(b) {
			return MediaOgg
		}
	case 'I':
		if string(b[:3]) == "ID3" && b[3] >= 2 && b[3] <= 4 {
			return MediaMP3
		}
	}
	if len(b) >= 8 && string(b[4:8]) == "ET12" && !isText(b) { // the FlatBuffers file identifier
		return MediaExecuTorch
	}
	return MediaNone
}

// isTransportStream expects two or more packets of 188 bytes (ITU-T H.222.0,
// 2.4.3.2), each with its sync byte.
func isTransportStream(b []byte) bool {
	const packet = 188
	if len(b) < 2*packet || len(b)%packet != 0 || isText(b) {
		return false
	}
	for i := 0; i < len(b); i += packet {
		if b[i] != 'G' {
			return false
		}
	}
	return true
}

// riffEnd returns the place behind a RIFF file, which says how long it is; an
// odd one is padded.
func riffEnd(b []byte) (end int, ok bool) {
	n := uint64(binary.LittleEndian.Uint32(b[4:]))
	n += 8 + n&1
	if n < 12 || n > uint64(len(b)) {
		return 0, false
	}
	return int(n), true
}

// boxesEnd returns the place behind the last whole box (ISO/IEC 14496-12, 4.2).
func boxesEnd(b []byte) (end int, ok bool) {
	i := 0
	for len(b)-i >= 8 {
		n := uint64(binary.BigEndian.Uint32(b[i:]))
		least := uint64(8)
		switch n {
		case 0: // to the end
			n = uint64(len(b) - i)
		case 1:
			if len(b)-i < 16 {
				return 0, false
			}
			n, least = binary.BigEndian.Uint64(b[i+8:]), 16
		}
		if n < least || n > uint64(len(b)-i) {
			return 0, false
		}
		i += int(n)
	}
	return i, true
}
