package payload

import (
	"strings"
	"testing"
)

var msgpackSamples = []string{
	"\x83\xa5plate\xa8B-AB 123\xa3lat\xcb\x40\x4a\x42\x15\x4c\x98\x5f\x07\xa1n\x92\x01\xff", // a map with an array
	"\x92\xa1x\xc4\x02ab",
	"\xde\x00\x02\x01\xd9\x03abc\xa1k\xdc\x00\x01\xca\x3f\x80\x00\x00",
	"\x96\xd6\xff\x65\x00\x00\x00\xd7\xff\x00\x00\x00\x04\x65\x00\x00\x00\xc7\x0c\xff\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xd4\x05x\xc4\x02\x00\x01\xa1t",
	"\x9a\xcd\x01\x00\xce\x00\x01\x00\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xc0\xc2\xc3",
	"\x81\xa1a\x80", "\x91\x91\x91\xa1a",
}

func TestMsgpack(t *testing.T) {
	tests := []struct{ raw, fields string }{
		{msgpackSamples[0], `={} /plate="B-AB 123" /lat=52.516275 /n=[] /n/0=1 /n/1=-1`},
		{msgpackSamples[1], `=[] /0="x" /1="ab"`},
		{msgpackSamples[2], `={} /1="abc" /k=[] /k/0=1`},
		{msgpackSamples[3], `=[] /0=1694498816 /1=1694498816.000000001 /2=binary /3="x" /4=binary /5="t"`},
		{msgpackSamples[4], `=[] /0=256 /1=65536 /2=18446744073709551615 /3=-128 /4=-32768 /5=-2147483648 /6=-9223372036854775808 /7=null /8=false /9=true`},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(tt.raw))
		if got := render(d); d.FormatName() != "msgpack" || got != tt.fields {
			t.Errorf("%x: read as %s, %s", tt.raw, d.FormatName(), got)
		}
	}
}

func TestMsgpackUnreadable(t *testing.T) {
	tests := []struct {
		name, raw string
		why       Reason
	}{
		{"equal keys", "\x82\xa1a\x01\xa1a\x02", ReasonDuplicate},
		{"keys that read the same", "\x82\x01\xa1x\xa11\xa1y", ReasonDuplicate},
		{"a key of another type", "\x81\xc0\xa1x", ReasonMalformed},
		{"a text that is not UTF-8", "\x81\xa1a\xa1\xff", ReasonEncoding},
		{"cut off", "\x82\xa1a\x01\xa1b", ReasonUnknown},
		{"trailing bytes", "\x82\xa1a\x01\xa1b\x02\x03", ReasonUnknown},
		{"the unused code", "\x81\xa1a\xc1", ReasonEncoding},
		{"few bytes without text", "\x92\x01\x02", ReasonUnknown},
		{"nested too deep", strings.Repeat("\x91", 70) + "\xa1a", ReasonTooDeep},
		{"CBOR and MessagePack", "\x88" + strings.Repeat("aa", 8), ReasonUnknown},
	}
	for _, tt := range tests {
		var d Document
		if why := Parse(&d, "", []byte(tt.raw), Limits{}); why != tt.why {
			t.Errorf("%s: %q (%s), want %q", tt.name, why, d.FormatName(), tt.why)
		}
	}
}

func TestMsgpackAppend(t *testing.T) {
	tests := []struct {
		raw     string
		changes []change
		want    string
	}{
		{msgpackSamples[0], []change{{"/plate", "2:4", "**"}}, strings.Replace(msgpackSamples[0], "B-AB", "B-**", 1)},
		{msgpackSamples[0], []change{{"/plate", "remove", ""}, {"/lat", "remove", ""}}, "\x81\xa1n\x92\x01\xff"},
		{msgpackSamples[0], []change{{"/n/1", "remove", ""}, {"/plate", "text", strings.Repeat("x", 40)}}, "\x83\xa5plate\xd9\x28" + strings.Repeat("x", 40) + msgpackSamples[0][16:31] + "\x91\x01"},
		{msgpackSamples[2], []change{{"/k/0", "number", "1.5"}, {"/1", "text", "z"}}, "\xde\x00\x02\x01\xd9\x01z\xa1k\xdc\x00\x01\xca\x3f\xc0\x00\x00"},
		{msgpackSamples[0], []change{{"/n/0", "number", "-40"}, {"/n/1", "number", "300"}}, msgpackSamples[0][:32] + "\xd3\xff\xff\xff\xff\xff\xff\xff\xd8\xce\x00\x00\x01\x2c"},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(tt.raw))
		out, err := d.Append(nil, edits(t, d, tt.changes))
		if err != nil || string(out) != tt.want {
			t.Errorf("%x with %v: %x, %v, want %x", tt.raw, tt.changes, out, err, tt.want)
		}
	}
}
