package payload

import (
	"strings"
	"testing"
)

// paths renders a document as one line per field: path, kind, text.
func render(d *Document) string {
	var b strings.Builder
	for i := range d.Fields {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.Write(d.AppendPath(nil, int32(i)))
		b.WriteByte('=')
		switch f := &d.Fields[i]; f.Kind {
		case KindObject:
			b.WriteString("{}")
		case KindArray:
			b.WriteString("[]")
		case KindLines:
			b.WriteString("lines")
		case KindBinary:
			b.WriteString("binary")
		case KindString:
			b.WriteString(`"` + string(d.Text(int32(i))) + `"`)
		default:
			b.Write(d.Text(int32(i)))
		}
	}
	return b.String()
}

func TestParseReadable(t *testing.T) {
	tests := []struct{ raw, format, fields string }{
		{``, "empty", ``},
		{`23.5`, "json", `=23.5`},
		{` -0 `, "json", `=-0`},
		{"1e9\n", "json", `=1e9`},
		{`true`, "json", `=true`},
		{`null`, "json", `=null`},
		{`"x\u0041\n"`, "json", "=\"xA\n\""},
		{`""`, "json", `=""`},
		{`{}`, "json", `={}`},
		{` [ ] `, "json", `=[]`},
		{`{"a":{"b":[1,-2.5E+3,"c"]},"":null}`, "json", `={} /a={} /a/b=[] /a/b/0=1 /a/b/1=-2.5E+3 /a/b/2="c" /=null`},
		{`{"a/b":1,"c~d":2,"\u00e9":3,"e\"":4}`, "json", `={} /a~1b=1 /c~0d=2 /é=3 /e"=4`},
		{`{"a":"\ud83d\ude00é\/"}`, "json", `={} /a="😀é/"`},
		{"{\"a\":1}\n{\"a\":2}\n", "jsonl", `=lines /0={} /0/a=1 /1={} /1/a=2`},
		{"[1]\r\n\r\n {\"b\":[]}", "jsonl", `=lines /0=[] /0/0=1 /1={} /1/b=[]`},
		{"ON", "text", `=ON`},
		{"hello a@b.org", "text", `=hello a@b.org`},
		{"23.5 °C\t\r\n", "text", "=23.5 °C\t\r\n"},
		{"01", "text", "=01"},
		{"NaN", "text", "=NaN"},
		{`"a" b`, "text", `="a" b`},
		{"1\n2\n", "text", "=1\n2\n"},
		{"\uFEFFhello", "text", "=\uFEFFhello"},
		{"GGUF\x03\x00\x00\x00", "gguf", "=binary"},
		{"\x1c\x00\x00\x00TFL3\x14\x00", "tflite", "=binary"},
		{"\x02\x00\x00\x00\x00\x00\x00\x00{}", "safetensors", "=binary"},
		{"{\x00\x00\x00\x00\x00\x00\x00{}" + strings.Repeat(" ", 121), "safetensors", "=binary"},
		{jpeg, "jpeg", "=binary"},
		{png, "png", "=binary"},
	}
	var d Document
	for _, tt := range tests {
		if why := Parse(&d, "", []byte(tt.raw), Limits{}); why != ReasonNone {
			t.Errorf("%q: unreadable, %s", tt.raw, why)
			continue
		}
		if d.FormatName() != tt.format || render(&d) != tt.fields {
			t.Errorf("%q: read as %s, %s", tt.raw, d.FormatName(), render(&d))
		}
	}
}

// Images of the smallest kind: segments and chunks without any picture.
const (
	jpeg = "\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xda\x00\x03cd\xff\x00e\xff\xd0f\xff\xd9"
	png  = "\x89PNG\r\n\x1a\n\x00\x00\x00\x01IDATxcrc.\x00\x00\x00\x00IENDcrc."
)

func TestParseUnreadable(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		raw string
		why Reason
	}{
		{`{"a":1} x`, ReasonTrailing},
		{`{"a":1}}`, ReasonTrailing},
		{`{"a":1}{"a":2}`, ReasonTrailing},
		{"{\"a\":1}\n23", ReasonTrailing},
		{"{\"a\":\n1}\n{\"a\":2}", ReasonTrailing},
		{"{\"a\":1}\n{\"a\":\n2}", ReasonTrailing},
		{"{\"a\":1}\n{\"a\":2}{}", ReasonTrailing},
		{"{\"a\":1}\n{\"a\":}", ReasonMalformed},
		{`{"a":1 /* c */}`, ReasonMalformed},
		{"// c\n{}", ReasonNone}, // begins like text, and is read as text
		{`{"a":NaN}`, ReasonMalformed},
		{`{"a":01}`, ReasonMalformed},
		{`{"a":1.}`, ReasonMalformed},
		{`{"a":.5}`, ReasonMalformed},
		{`{"a":1e}`, ReasonMalformed},
		{`{"a":+1}`, ReasonMalformed},
		{`{"a":-}`, ReasonMalformed},
		{`{"a":True}`, ReasonMalformed},
		{`{"a":nul}`, ReasonMalformed},
		{`{"a":truex}`, ReasonMalformed},
		{`{'a':1}`, ReasonMalformed},
		{`{"a":1,}`, ReasonMalformed},
		{`{,}`, ReasonMalformed},
		{`[1,]`, ReasonMalformed},
		{`[1 2]`, ReasonMalformed},
		{`{"a" 1}`, ReasonMalformed},
		{`{"a":1`, ReasonMalformed},
		{`{"a`, ReasonMalformed},
		{`{"a\`, ReasonMalformed},
		{`{"a\u12`, ReasonMalformed},
		{`[`, ReasonMalformed},
		{`{`, ReasonMalformed},
		{"\uFEFF{}", ReasonMalformed},
		{"\uFEFF [1]", ReasonMalformed},
		{"\u00a0{}", ReasonMalformed},
		{"\v{}", ReasonMalformed},
		{"\u200b{}", ReasonMalformed},
		{"{\"a\":\u00a01}", ReasonMalformed},
		{`["\x"]`, ReasonMalformed},
		{`["\u00g0"]`, ReasonMalformed},
		{"[\"a\tb\"]", ReasonMalformed},
		{"[\"\x00\"]", ReasonMalformed},
		{"[\"a\x1f\"]", ReasonMalformed},
		{`["\ud800"]`, ReasonEncoding},
		{`["\udc00\ud800"]`, ReasonEncoding},
		{`["\ud800\u0041"]`, ReasonEncoding},
		{`["\ud800\n"]`, ReasonEncoding},
		{"[\"a\xff\"]", ReasonEncoding},
		{"[\"\xc0\x80\"]", ReasonEncoding},
		{"[\"\xed\xa0\x80\"]", ReasonEncoding},
		{"{\"\xff\":1}", ReasonEncoding},
		{"{\x00\"\x00a\x00\"\x00", ReasonEncoding},
		{"\x00{\x00\"", ReasonEncoding},
		{"\xff\xfe{\x00", ReasonEncoding},
		{"\xfe\xff\x00O\x00N", ReasonEncoding},
		{"Stra\xdfe", ReasonEncoding},
		{`{"a":1,"b":2,"a":3}`, ReasonDuplicate},
		{`{"a":1,"\u0061":3}`, ReasonDuplicate},
		{`{"a/":1,"a\/":3}`, ReasonDuplicate},
		{`[{"x":{"a":1},"b":{"a":1,"a":1}}]`, ReasonDuplicate},
		{deep(65), ReasonTooDeep},
		{strings.Repeat("[", 1000), ReasonTooDeep},
		{"[" + strings.Repeat("1,", 1<<16) + "1]", ReasonTooMany},
		{strings.Repeat("x", 1<<20+1), ReasonTooLarge},
		{"a\x00b", ReasonUnknown},
		{"a\x1b[0m", ReasonUnknown},
		{"\x00\x01\x02", ReasonUnknown},
		{"\x80\x00\x01\xff", ReasonUnknown},
		{jpeg + "x", ReasonTrailing},
		{jpeg + jpeg, ReasonTrailing},
		{jpeg[:len(jpeg)-1], ReasonMalformed},
		{jpeg[:12], ReasonMalformed},
		{jpeg[:5], ReasonMalformed},
		{"\xff\xd8\xff\xff", ReasonMalformed},
		{"\xff\xd8\xff\xe0\x00\x01", ReasonMalformed},
		{png + "\x00", ReasonTrailing},
		{png[:len(png)-1], ReasonMalformed},
		{png[:8], ReasonMalformed},
		{"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT....", ReasonMalformed},
		{"\xff\x00\x00\x00\x00\x00\x00\x00{}", ReasonUnknown}, // a header longer than the payload
	}
	var d Document
	for _, tt := range tests {
		why := Parse(&d, "a/b", []byte(tt.raw), Limits{})
		if why != tt.why {
			t.Errorf("%.40q: got %q, want %q", tt.raw, why, tt.why)
		}
		if why != ReasonNone && (d.Root != -1 || len(d.Fields) != 2 || d.FormatName() != "unreadable") {
			t.Errorf("%.40q: unreadable, but read as %s", tt.raw, render(&d))
		}
	}
	if why := Parse(&d, "", []byte(deep(64)), Limits{}); why != ReasonNone {
		t.Errorf("64 levels: %s", why)
	}
}
