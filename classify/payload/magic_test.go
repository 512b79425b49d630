package payload

import (
	"strings"
	"testing"
)

var mediaSamples = map[string]string{
	"webp":       "RIFF\x04\x00\x00\x00WEBP",
	"wav":        "RIFF\x05\x00\x00\x00WAVEx\x00",
	"gif":        "GIF89a\x01\x00\x01\x00;",
	"heif":       "\x00\x00\x00\x0cftypheic\x00\x00\x00\x00mdat",
	"mp4":        "\x00\x00\x00\x0cftypisom\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x11x",
	"mpegts":     strings.Repeat("G\x00"+strings.Repeat("x", 186), 2),
	"mp3":        "ID3\x04\x00\x00",
	"ogg":        "OggS\x00\x02",
	"executorch": "\x1c\x00\x00\x00ET12\x14\x00",
	"pytorch":    "PK\x03\x04\x00\x00model/data.pkl",
	"hdf5":       "\x89HDF\r\n\x1a\n\x00",
	"numpy":      "\x93NUMPY\x01\x00",
	"pickle":     "\x80\x04N.",
}

func TestMediaUnreadable(t *testing.T) {
	tests := []struct {
		raw string
		why Reason
	}{
		{"RIFF\x04\x00\x00\x00WEBPx", ReasonTrailing},
		{"RIFF\x05\x00\x00\x00WEBP", ReasonMalformed},
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
