package payload

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

var mediaSamples = map[string]string{
	"webp":       webp(chunk("VP8 ", "picture")),
	"wav":        "RIFF\x05\x00\x00\x00WAVEx\x00",
	"gif":        gif,
	"heif":       heif(nil, heifPicture),
	"mp4":        "\x00\x00\x00\x0cftypisom\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x11x",
	"mpegts":     strings.Repeat("G\x00"+strings.Repeat("x", 186), 2),
	"mp3":        "ID3\x04\x00\x00",
	"ogg":        "OggS\x00\x02",
	"executorch": "\x1c\x00\x00\x00ET12\x14\x00",
	"pytorch":    "PK\x03\x04\x00\x00model/data.pkl",
	"hdf5":       "\x89HDF\r\n\x1a\n\x00",
	"numpy":      "\x93NUMPY\x01\x00",
	"pickle":     "\x80\x04N.",
	"onnx":       pb(pbInt(1, 8), pbText(2, "pytorch"), pbText(7, "\x12\x01g"), pbText(8, pbInt(2, 17))),
}

// gif has a table of two colours, a comment and an image.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xfe\x04mara\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// chunk is a chunk of RIFF, and webp a file of such.
func chunk(kind, body string) string {
	return kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body + strings.Repeat("\x00", len(body)%2)
}

func webp(chunks ...string) string {
	all := "WEBP" + strings.Join(chunks, "")
	return "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(all)))) + all
}

// pngChunk is a chunk of PNG with its checksum.
func pngChunk(kind, body string) string {
	b := string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + kind + body
	return b + string(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(b[4:]))))
}

// segment is a segment of JPEG.
func segment(marker byte, body string) string {
	return "\xff" + string([]byte{marker}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)+2))) + body
}

// TestStrip: metadata goes, the picture stays to the byte.
func TestStrip(t *testing.T) {
	const scan = "\xff\xda\x00\x03cd\xff\x00e\xff\xd9"
	jfif := segment(0xE0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00")
	icc := segment(0xE2, "ICC_PROFILE\x00\x01\x01colours")
	tests := []struct{ name, raw, want string }{
		{"jpeg", "\xff\xd8" + jfif + segment(0xE0, "JFXX\x00thumbnail") + segment(0xE1, "Exif\x00\x00GPS 52.5") + segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00<x/>") +
			icc + segment(0xE2, "MPF\x00more") + segment(0xED, "Photoshop 3.0\x00by Mara") + segment(0xEE, "Adobe\x00\x64") + segment(0xFE, "Mara's") + segment(0xDB, "table") + scan,
			"\xff\xd8" + jfif + icc + segment(0xEE, "Adobe\x00\x64") + segment(0xDB, "table") + scan},
		{"png", string(pngSignature) + pngChunk("IHDR", "0123456789abc") + pngChunk("gAMA", "1234") + pngChunk("eXIf", "GPS") + pngChunk("tEXt", "Author\x00Mara") + pngChunk("zTXt", "x") +
			pngChunk("iTXt", "y") + pngChunk("tIME", "z") + pngChunk("prVt", "w") + pngChunk("IDAT", "data") + pngChunk("IEND", ""),
			string(pngSignature) + pngChunk("IHDR", "0123456789abc") + pngChunk("gAMA", "1234") + pngChunk("IDAT", "data") + pngChunk("IEND", "")},
		{"webp", webp(chunk("VP8X", "\x2c\x00\x00\x00\x00\x00\x00\x00\x00\x00"), chunk("ICCP", "col"), chunk("VP8L", "data"), chunk("EXIF", "GPS"), chunk("XMP ", "<x/>"), chunk("abcd", "?")),
			webp(chunk("VP8X", "\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00"), chunk("ICCP", "col"), chunk("VP8L", "data"))},
	}
	for _, tt := range tests {
		for _, wrapped := range []bool{false, true} {
			raw, want, path := tt.raw, tt.want, ""
			if wrapped {
				raw, want, path = `{"v":"`+b64(raw)+`"}`, `{"v":"`+b64(want)+`"}`, "/v"
			}
			d := mustParse(t, "", []byte(raw))
			out, err := d.Append(nil, []Edit{{Field: field(t, d, path), Kind: EditStrip}})
			if err != nil || string(out) != want {
				t.Errorf("%s: %q, %v, want %q", tt.name, out, err, want)
			}
		}
	}
	for _, format := range []string{"wav", "mp3", "mpegts", "gguf"} {
		raw := mediaSamples[format]
		if format == "gguf" {
			raw = "GGUF\x03\x00\x00\x00"
		}
		d := mustParse(t, "", []byte(raw))
		if out, err := d.Append(nil, []Edit{{Field: d.Root, Kind: EditStrip}}); err == nil {
			t.Errorf("%s: stripped to %q", format, out)
		}
	}
}

func TestMediaUnreadable(t *testing.T) {
	tests := []struct {
		raw string
		why Reason
	}{
		{"RIFF\x04\x00\x00\x00WEBPx", ReasonTrailing},
		{"RIFF\x05\x00\x00\x00WEBP", ReasonMalformed},
		{"RIFF\x0c\x00\x00\x00WEBPVP8 \x09\x00\x00\x00", ReasonMalformed},
		{gif + "x", ReasonTrailing},
		{gif[:len(gif)-1], ReasonMalformed},
		{gif[:15], ReasonMalformed},
		{"RIFF\x00\x00\x00\x00WEBP", ReasonMalformed},
		{"\x00\x00\x00\x0cftypisomx", ReasonTrailing},
		{"\x00\x00\x00\x0cftypisom\x00\x00\x00\x07mdat", ReasonMalformed},
		{"\x00\x00\x00\x0cftypisom\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff", ReasonMalformed},
		{"\x00\x00\x00\x0dftypisom", ReasonMalformed},
		{"PK\x03\x04\x00\x00model/data.txt", ReasonUnknown}, // some other archive
		{"\x80\x04N", ReasonUnknown},
		{"GIF89a is a format", ReasonNone}, // text
		{"RIFF and WAVE are words", ReasonNone},
		{"OggS", ReasonNone},
		{"ID3 tags", ReasonNone},
		{"1234ET12", ReasonNone},
	}
	for _, tt := range tests {
		var d Document
		if why := Parse(&d, "", []byte(tt.raw), Limits{}); why != tt.why || why == ReasonNone && d.FormatName() != "text" {
			t.Errorf("%q: %s, %q, want %q", tt.raw, d.FormatName(), why, tt.why)
		}
	}
}
