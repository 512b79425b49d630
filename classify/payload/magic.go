package payload

import (
	"bytes"
	"encoding/binary"
)

// opaqueFormat is a binary payload that is known by its magic number. It is one
// field without text; of pictures and films metadata can be left out.
//
// Images and videos that say where they end are walked to there, so that nothing
// hides behind it; the contents of model files are not looked at.
type opaqueFormat struct{}

var mediaNames = [...]string{
	MediaJPEG:        "jpeg",
	MediaPNG:         "png",
	MediaGGUF:        "gguf",
	MediaSafetensors: "safetensors",
	MediaTFLite:      "tflite",
	MediaWebP:        "webp",
	MediaGIF:         "gif",
	MediaHEIF:        "heif",
	MediaMP4:         "mp4",
	MediaTS:          "mpegts",
	MediaWAV:         "wav",
	MediaMP3:         "mp3",
	MediaOgg:         "ogg",
	MediaExecuTorch:  "executorch",
	MediaPyTorch:     "pytorch",
	MediaHDF5:        "hdf5",
	MediaNumPy:       "numpy",
	MediaPickle:      "pickle",
	MediaONNX:        "onnx",
}

// recognize tells a medium by its magic number.
func recognize(b []byte) Media {
	if len(b) < 4 {
		return MediaNone
	}
	switch {
	case b[0] == 0xFF && b[1] == 0xD8 && b[2] == 0xFF: // ITU-T T.81, B.1.1.3: SOI, then a marker
		return MediaJPEG
	case bytes.HasPrefix(b, pngSignature):
		return MediaPNG
	case string(b[:4]) == "GGUF":
		return MediaGGUF
	case len(b) >= 8 && string(b[4:8]) == "TFL3": // the FlatBuffers file identifier
		return MediaTFLite
	case isSafetensors(b):
		return MediaSafetensors
	case b[0] == '{' || b[0] == '[': // what most payloads begin with
		return MediaNone
	}
	return recognizeMore(b)
}

// isSafetensors expects the length of a JSON header, in eight bytes, little
// endian, and the header's brace. The header must be there whole.
func isSafetensors(b []byte) bool {
	if len(b) < 10 || b[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(b)
	return n >= 2 && n <= uint64(len(b)-8)
}

func (opaqueFormat) Detect(_ string, raw []byte) bool { return recognize(raw) != MediaNone }

func (opaqueFormat) Parse(d *Document, lim Limits) Reason {
	if len(d.Fields) >= lim.Fields {
		return ReasonTooMany
	}
	media := recognize(d.Raw)
	end, ok := len(d.Raw), true
	switch media {
	case MediaJPEG:
		end, ok = jpegEnd(d.Raw)
	case MediaPNG:
		end, ok = pngEnd(d.Raw)
	case MediaGIF:
		end, ok = gifEnd(d.Raw)
	case MediaWebP, MediaWAV:
		if end, ok = riffEnd(d.Raw); ok && media == MediaWebP {
			ok = chunksFit(d.Raw[:end])
		}
	case MediaHEIF, MediaMP4:
		end, ok = boxesEnd(d.Raw)
	}
	if !ok {
		return ReasonMalformed
	}
	if end != len(d.Raw) {
		return ReasonTrailing
	}
	d.name, d.Media, d.Root = mediaNames[media], media, int32(len(d.Fields))
	d.Fields = append(d.Fields, Field{
		Parent: -1, Raw: Span{0, uint32(end)}, PathHash: rootHash, Kind: KindBinary,
	})
	if media.canStrip() {
		d.Fields[d.Root].Accepts = 1 << EditStrip
	}
	return ReasonNone
}

// jpegEnd returns the place behind the end-of-image marker (ITU-T T.81, annex
// B): segments with a length, and entropy-coded data after each start of scan.
func jpegEnd(b []byte) (end int, ok bool) {
	const (
		eoi = 0xD9
		sos = 0xDA
	)
	i := 2 // behind SOI
	for {
		if i >= len(b) || b[i] != 0xFF {
			return 0, false
		}
		for i < len(b) && b[i] == 0xFF { // fill bytes may precede a marker
			i++
		}
		if i >= len(b) {
			return 0, false
		}
		marker := b[i]
		i++
		switch {
		case marker == eoi:
			return i, true
		case marker == 0x01 || marker >= 0xD0 && marker <= 0xD7: // TEM, RSTn: no length
			continue
		case marker == 0x00 || marker == 0xD8:
			return 0, false
		}
		if len(b)-i < 2 {
			return 0, false
		}
		n := int(binary.BigEndian.Uint16(b[i:]))
		if n < 2 || n > len(b)-i {
			return 0, false
		}
		i += n
		if marker == sos {
			i = jpegScanEnd(b, i)
		}
	}
}

// jpegScanEnd returns the place of the first marker behind entropy-coded data:
// in there 0xFF is followed by zero, or by a restart marker.
func jpegScanEnd(b []byte, i int) int {
	for {
		n := bytes.IndexByte(b[i:], 0xFF)
		if n < 0 || i+n+1 >= len(b) {
			return len(b)
		}
		i += n
		if next := b[i+1]; next != 0 && (next < 0xD0 || next > 0xD7) {
			return i
		}
		i += 2
	}
}

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// pngEnd returns the place behind the IEND chunk (PNG, third edition, 5): each
// chunk is a length, a type, that many bytes and a checksum.
func pngEnd(b []byte) (end int, ok bool) {
	for i := len(pngSignature); len(b)-i >= 12; {
		n := int64(binary.BigEndian.Uint32(b[i:]))
		if n > int64(len(b)-i-12) {
			return 0, false
		}
		kind := string(b[i+4 : i+8])
		i += 12 + int(n)
		if kind == "IEND" {
			return i, n == 0
		}
	}
	return 0, false
}
