package payload

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// fromHex reads hexadecimal digits with white space among them.
func fromHex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

var cborSamples = []string{
	"\xa1ax\x01",
	"\xa2eplatedB-12cpos\x82\xfbAB\x00\x00\x00\x00\x00\x00\xfa\x41\x20\x00\x00",
	"\xa5\x01\x20\x21\x39\x01\x00cstr\x60djpegD\xff\xd8\xff\x00dtextKbytes: text",
	"\xbfaa\x9f\x01\x02\xffab\x7fagacbhi\xffac_A\x00A\x01\xffad\xbf\xff\xff",
	"\xd9\xd9\xf7\xa4aa\xf6ab\xf5ac\xf9\x3c\x00ad\xc1\x1a\x65\x00\x00\x00",
	"\xb8\x02ba/\xd9\x00 x\x05hello\x18*\xc2I\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	"\x98\x03\x83\x01\x02\x03\xa1ak\xf7\xf8\xff",
	"\x88\x01\x02\x03\x04\x05\x06\x07\x08",
}

func TestCBOR(t *testing.T) {
	tests := []struct{ hex, fields string }{
		{"a1 6161 01", `={} /a=1`},
		{"82 6178 1bffffffffffffffff", `=[] /0="x" /1=18446744073709551615`},
		{"83 6178 3bffffffffffffffff 3903e7", `=[] /0="x" /1=-18446744073709551616 /2=-1000`},
		{"a2 21 6164 02 fb404a428368f08461", ``},
		{"a3 21 6164 02 fb404a000000000000 03 fa3fc00000", `={} /-2="d" /2=52 /3=1.5`},
		{"83 f93c00 f97bff fa501502f9", ``},
		{"84 f93c00 f97bff fa4b189680 f98000", `=[] /0=1 /1=65504 /2=10000000 /3=-0`},
		{"a1 6161 c2 49 010000000000000000", `={} /a=18446744073709551616`},
		{"a1 6161 c3 49 010000000000000000", `={} /a=-18446744073709551617`},
		{"a1 6161 43 ff0001", `={} /a=binary`},
		{"a1 6161 43 616263", `={} /a="abc"`},
		{"bf 6161 7f 6162 6163 ff ff", `={} /a="bc"`},
		{"d9d9f7 80", `=[]`},
		{"d9d9f7 a1 01 f7", `={} /1=null`},
		{"a1 7f6161ff c0 6131", `={} /a="1"`},
	}
	var d Document
	for _, tt := range tests {
		raw := []byte(fromHex(tt.hex))
		why := Parse(&d, "", raw, Limits{})
		if tt.fields == "" {
			continue
		}
		if why != ReasonNone || d.FormatName() != "cbor" || render(&d) != tt.fields {
			t.Errorf("%s: read as %s (%s), %s", tt.hex, d.FormatName(), why, render(&d))
		}
		if d.TopLevelObject() {
			t.Errorf("%s: a JSON object", tt.hex)
		}
	}
}

func TestCBORUnreadable(t *testing.T) {
	tests := []struct {
		hex string
		why Reason
	}{
		{"a2 6161 01 6161 02", ReasonDuplicate},
		{"a2 6161 01 7f6161ff 02", ReasonDuplicate},
		{"a2 01 6161 6131 6162", ReasonDuplicate},
		{"a1 4161 6161", ReasonMalformed}, // a key of bytes
		{"a1 f5 6161", ReasonMalformed},
		{"a1 6161 01 00", ReasonUnknown}, // trailing
		{"a1 6161", ReasonEncoding},
		{"a1 61ff 01", ReasonUnknown}, // not UTF-8
		{"a1 6161 1c", ReasonUnknown}, // reserved
		{"a1 6161 f818", ReasonUnknown},
		{"a1 6161 ff", ReasonEncoding},
		{"bf 6161 ff", ReasonEncoding}, // an odd map
		{"82 6161 7f 4161 ff", ReasonUnknown},
		{"9bffffffffffffffff 6161", ReasonEncoding},
		{"bb8000000000000001 6161", ReasonUnknown},
		{"80", ReasonEncoding},
		{"83 010203", ReasonUnknown}, // ambiguous
		{strings.Repeat("81", 65) + "6161", ReasonTooDeep},
		{strings.Repeat("81", 500) + "6161", ReasonTooDeep},
		{"6161", ReasonNone}, // is text
	}
	var d Document
	for _, tt := range tests {
		if why := Parse(&d, "", []byte(fromHex(tt.hex)), Limits{}); why != tt.why {
			t.Errorf("%s: %q, want %q", tt.hex, why, tt.why)
		}
	}
	if why := Parse(&d, "", []byte(fromHex("83 6161 6162 6163")), Limits{Fields: 3}); why != ReasonTooMany {
		t.Errorf("too many fields: %q", why)
	}
}

func TestCBORAppend(t *testing.T) {
	tests := []struct {
		hex     string
		changes []change
		want    string // "" is an error
	}{
		{"a2 6161 01 6162 6178", []change{{"/a", "remove", ""}}, "a1 6162 6178"},
		{"b802 6161 01 6162 6178", []change{{"/a", "remove", ""}}, "b801 6162 6178"},
		{"bf 6161 01 6162 6178 ff", []change{{"/b", "remove", ""}, {"/a", "number", "24"}}, "bf 6161 1818 ff"},
		{"83 6161 6162 6163", []change{{"/0", "remove", ""}, {"/1", "remove", ""}}, "81 6163"},
		{"a1 6161 01", []change{{"/a", "remove", ""}}, ""},
		{"a1 6161 82 81 01 6178", []change{{"/a/0", "remove", ""}, {"/a/1", "text", "yz"}}, "a1 6161 81 62797a"},
		{"a1 6161 fa41200000", []change{{"/a", "number", "52.52"}}, "a1 6161 fa4252147b"},
		{"a1 6161 f93c00", []change{{"/a", "number", "2"}}, "a1 6161 fa40000000"},
		{"a1 6161 01", []change{{"/a", "number", "1.5"}}, "a1 6161 fb3ff8000000000000"},
		{"a1 6161 c1 01", []change{{"/a", "number", "-500"}}, "a1 6161 c1 3901f3"},
		{"a1 6161 c2 4101", []change{{"/a", "number", "3"}}, "a1 6161 03"},
		{"a1 6161 c1 01", []change{{"/a", "text", "x"}}, "a1 6161 6178"},
		{"a1 6161 c0 7803616263", []change{{"/a", "1:2", "-"}}, "a1 6161 c0 7803612d63"},
		{"a1 6161 43616263", []change{{"/a", "0:1", "zz"}}, "a1 6161 447a7a6263"},
		{"a1 6161 43616263", []change{{"/a", "0:1", "\x01"}}, ""},
		{"a1 6161 01", []change{{"/a", "number", "1e999"}}, ""},
		{"a1 6161 01", []change{{"/a", "number", "NaN"}}, ""},
		{"a1 6161 01", []change{{"/a", "number", ""}}, ""},
		{"a1 6161 01", []change{{"/a", "text", "\xff"}}, ""},
		{"a1 6161 01", []change{{"/a", "raw", "null"}}, ""},
		{"a1 6161 01", []change{{"", "remove", ""}}, ""},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(fromHex(tt.hex)))
		out, err := d.Append(nil, edits(t, d, tt.changes))
		if want := fromHex(tt.want); (err != nil) != (tt.want == "") || !bytes.Equal(out, []byte(want)) {
			t.Errorf("%s with %v: %x, %v, want %x", tt.hex, tt.changes, out, err, want)
		}
	}
}

func TestCBORMedia(t *testing.T) {
	d := mustParse(t, "", []byte(fromHex("a4 6161 c1 44 ffd8ff00 6162 43 000102 6163 5f 42 ffd8 42 ff00 ff 6164 4c 474755460000000000000000")))
	for path, want := range map[string]Media{"/a": MediaJPEG, "/b": MediaNone, "/c": MediaNone, "/d": MediaGGUF} {
		if got := d.MediaOf(field(t, d, path)); got != want {
			t.Errorf("%s: medium %d, want %d", path, got, want)
		}
	}
}
