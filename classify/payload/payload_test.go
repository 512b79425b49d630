package payload

import (
	"bytes"
	"fmt"
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
		{`"a`, "text", `="a`},
		{`C:\dir "x"`, "text", `=C:\dir "x"`},
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
		{`"\ud800"`, ReasonEncoding},
		{`"jo\u0040ex.org`, ReasonMalformed},
		{`"jo\u0040ex.org" x`, ReasonTrailing},
		{`"jo\u0040ex.org\q"`, ReasonMalformed},
		{"\uFEFF\"jo\\u0040ex.org\"", ReasonMalformed},
		{"\"jo\\u0040ex.org\n\"", ReasonMalformed},
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
		{"\xff\xd8\xff\xd8\x00\x02\xff\xd9", ReasonMalformed},
		{"\xff\xd8\xff\x00\x00\x02\xff\xd9", ReasonMalformed},
		{png[:8], ReasonMalformed},
		{png[:8] + "\x00\x00\x00\x01IENDxcrc.", ReasonMalformed},
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

func TestReserved(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"_sg":"1s.x"}`: true, `[{"a":{"_\u0073g":1}}]`: true, "{}\n{\"_sg\":0}": true, "{\"_sg\":0}\n{}": true,
		`{"a":"_sg"}`: false, `{"_sgx":1,"sg":2}`: false, `"_sg"`: false, `_sg`: false,
	} {
		d := mustParse(t, "_sg/_sg", []byte(raw))
		if d.Reserved != want {
			t.Errorf("%s: reserved is %v", raw, d.Reserved)
		}
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		topic, raw string
		lim        Limits
		why        Reason
	}{
		{"", "123456", Limits{Bytes: 6}, ReasonNone},
		{"", "1234567", Limits{Bytes: 6}, ReasonTooLarge},
		{"", "[[1]]", Limits{Depth: 2}, ReasonNone},
		{"", "[[{}]]", Limits{Depth: 2}, ReasonTooDeep},
		{"", "[[1]]\n[[[]]]", Limits{Depth: 2}, ReasonTooDeep},
		{"", strings.Repeat("[", 70) + strings.Repeat("]", 70), Limits{Depth: 100}, ReasonTooDeep},
		{"a", `{"a":1}`, Limits{Fields: 3}, ReasonNone},
		{"a/b", `{"a":1}`, Limits{Fields: 3}, ReasonTooMany},
		{"a/b/c", `{"a":1}`, Limits{Fields: 3}, ReasonTooMany},
		{"a/b/c", `x`, Limits{Fields: 3}, ReasonTooMany},
		{"a/b/c", jpeg, Limits{Fields: 3}, ReasonTooMany},
		{"a/b/c/d", ``, Limits{Fields: 3}, ReasonTooMany},
		{"", "[]\n[]", Limits{Fields: 2}, ReasonTooMany},
		{"", "[]\n[]", Limits{Fields: 3}, ReasonNone},
		{"", "[1,2]", Limits{Fields: 2}, ReasonTooMany},
	}
	var d Document
	for _, tt := range tests {
		if why := Parse(&d, tt.topic, []byte(tt.raw), tt.lim); why != tt.why {
			t.Errorf("%q, %.20q, %+v: got %q, want %q", tt.topic, tt.raw, tt.lim, why, tt.why)
		}
	}
}

func TestDuplicateAmongMany(t *testing.T) {
	var d Document
	for _, n := range []int{2, 31, 32, 33, 34, 1000} {
		var raw []byte
		for i := range n {
			raw = fmt.Appendf(raw, `,"k%d":{"k%d":1}`, i, i)
		}
		raw[0] = '{'
		for range 2 { // the second time with the memory of the first
			if why := Parse(&d, "", append(raw, '}'), Limits{}); why != ReasonNone {
				t.Errorf("%d keys: %s", n, why)
			}
		}
		for _, k := range []string{"k0", `\u006b0`, fmt.Sprintf("k%d", n-1), fmt.Sprintf("k%d", n/2)} {
			if why := CheckStrictJSON(fmt.Appendf(raw, `,"%s":1}`, k)); why != ReasonDuplicate {
				t.Errorf("%d keys and %s again: %q", n, k, why)
			}
		}
	}
}

func TestCheckStrictJSON(t *testing.T) {
	for raw, want := range map[string]Reason{
		`{}`: ReasonNone, " {\"a\":[1]}\n": ReasonNone,
		``: ReasonMalformed, `[]`: ReasonMalformed, `null`: ReasonMalformed, `1`: ReasonMalformed, "\uFEFF{}": ReasonMalformed,
		`{}{}`: ReasonTrailing, "{}\n{}": ReasonTrailing, `{"a":1,"a":2}`: ReasonDuplicate, `{"a":"\udc00"}`: ReasonEncoding,
		strings.Repeat(`{"a":`, 65): ReasonTooDeep,
	} {
		if got := CheckStrictJSON([]byte(raw)); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func TestHashPath(t *testing.T) {
	same := [][]string{
		{"/a/0/b", "/a/1/b", "/a/*/b", "/a/007/b"},
		{"/0", "/*"},
	}
	for _, paths := range same {
		for _, p := range paths[1:] {
			if HashPath(p) != HashPath(paths[0]) {
				t.Errorf("%q and %q differ", p, paths[0])
			}
		}
	}
	different := []string{"", "/", "//", "/a", "/a/", "/a/b", "/b/a", "/a/*", "/a/*/*", "/a~1b", "/a~0b", "/a~01b", "/ab",
		"/*", "/-1", "/1.5", "/0x", "/**", "a", "a/b", "topic:0", "topic:1", "/topic:0", "topic:x", "topic:"}
	seen := map[uint64]string{}
	for _, p := range different {
		h := HashPath(p)
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q are the same", p, other)
		}
		seen[h] = p
	}
	d := mustParse(t, "a/b", []byte(`{"a":[{"b":1}],"~1":{"12":2,"x":3}}`))
	for path, declared := range map[string]string{"/a/0/b": "/a/*/b", "/~01/12": "/~01/*", "/~01/x": "/~01/x", "topic:1": "topic:1"} {
		if d.Fields[field(t, d, path)].PathHash != HashPath(declared) {
			t.Errorf("%s has not the hash of %s", path, declared)
		}
	}
}

func TestFind(t *testing.T) {
	d := mustParse(t, "a/b", []byte(`{"a":{"x":{"y":1},"":2},"y":3,"l":[{"y":4}],"\u006b":5}`))
	for path, want := range map[string]string{"/a/x/y": "1", "/a/": "2", "/y": "3", "/l/0/y": "4", "/k": "5", "topic:1": "b",
		"/l/1": "", "/l/*/y": "", "/l/00/y": "", "/a/y": "", "/z": "", "a": "", "topic:2": "", "topic:01": "", "/a/x/y/": ""} {
		got := ""
		if i := d.Find(path); i >= 0 {
			got = string(d.Text(i))
		}
		if got != want {
			t.Errorf("find %q: %q, want %q", path, got, want)
		}
	}
	if d.Find("") != d.Root {
		t.Errorf("the root is not found")
	}
	tests := []struct{ object, key, want string }{
		{"", "y", "3"}, {"", "k", "5"}, {"/a", "", "2"}, {"/a/x", "y", "1"}, {"/l/0", "y", "4"},
		{"/a", "y", ""}, {"/l", "", ""}, {"/y", "", ""}, {"/l/0", "k", ""}, {"topic:0", "", ""},
	}
	for _, tt := range tests {
		got := ""
		if i := d.Member(d.Find(tt.object), tt.key); i >= 0 {
			got = string(d.Text(i))
		}
		if got != tt.want {
			t.Errorf("member %q of %q: %q, want %q", tt.key, tt.object, got, tt.want)
		}
	}
}

func TestLocate(t *testing.T) {
	raw := `{"a":"x\u0041é\ud83d\ude00\"y","b":"plain","n":12345}`
	d := mustParse(t, "le/vel", []byte(raw))
	tests := []struct {
		path, text, raw string
	}{
		{"/a", "x", "x"},
		{"/a", "A", `\u0041`},
		{"/a", "Aé", `\u0041é`},
		{"/a", "😀", `\ud83d\ude00`},
		{"/a", "é😀\"", `é\ud83d\ude00\"`},
		{"/a", "y", "y"},
		{"/a", "xAé😀\"y", `x\u0041é\ud83d\ude00\"y`},
		{"/b", "lai", "lai"},
		{"/n", "234", "234"},
	}
	for _, tt := range tests {
		i := field(t, d, tt.path)
		at := strings.Index(string(d.Text(i)), tt.text)
		got := d.Locate(i, uint32(at), uint32(at+len(tt.text)))
		if s := raw[got.Start:got.End]; s != tt.raw {
			t.Errorf("%s %q: at %q, want %q", tt.path, tt.text, s, tt.raw)
		}
	}
	if got := d.Locate(field(t, d, "topic:1"), 0, 2); got != (Span{3, 5}) {
		t.Errorf("topic level: %v", got)
	}
}

func TestZeroDocument(t *testing.T) {
	var d Document
	if d.FormatName() != "unreadable" {
		t.Errorf("a document that nothing was parsed into is %q", d.FormatName())
	}
	if d.TopLevelObject() {
		t.Error("and it holds an object")
	}
	for raw, want := range map[string]bool{`{}`: true, `[{}]`: false, "{}\n{}": false, `1`: false, `x`: false, ``: false, `{`: false} {
		Parse(&d, "a", []byte(raw), Limits{})
		if d.TopLevelObject() != want {
			t.Errorf("%q: TopLevelObject is %v", raw, !want)
		}
	}
}

// TestReuse parses all samples into one document and into new ones.
func TestReuse(t *testing.T) {
	var d Document
	all := samples()
	all = append(all, sample{raw: "{"}, sample{raw: `{"a\n":[1,2`}, sample{raw: "[" + strings.Repeat("1,", 10000) + "1]"})
	var keys []byte
	for i := range 100 {
		keys = fmt.Appendf(keys, `,"k%d":0`, i)
	}
	keys[0] = '{'
	all = append(all, sample{raw: string(keys) + "}"}, sample{raw: string(keys[:len(keys)/2]) + "0}"})
	for i := range 3 * len(all) {
		s := all[i*7%len(all)]
		var fresh Document
		a, b := Parse(&d, s.topic, []byte(s.raw), Limits{}), Parse(&fresh, s.topic, []byte(s.raw), Limits{})
		if a != b || render(&d) != render(&fresh) || d.FormatName() != fresh.FormatName() || d.Media != fresh.Media || d.Root != fresh.Root {
			t.Fatalf("%.50q: read as %.200s, and as %.200s by a new document", s.raw, render(&d), render(&fresh))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var d Document
	var dst []byte
	for _, s := range samples() {
		raw := []byte(s.raw)
		parse := func() { Parse(&d, s.topic, raw, Limits{}) }
		parse()
		if n := testing.AllocsPerRun(20, parse); n != 0 && !(raced && isZstd(raw)) {
			t.Errorf("parse %.40q: %v allocations", s.raw, n)
		}
	}
	Parse(&d, "a/b", []byte(cameraEvent), Limits{})
	es := edits(t, &d, []change{{"/plate", "3:5", "**"}, {"/position/lat", "number", "52.52"}, {"/note", "remove", ""}, {"/site", "raw", "null"}})
	topic := edits(t, &d, []change{{"topic:1", "text", "x"}})
	edit := func() {
		var err error
		if dst, err = d.Append(dst[:0], es); err != nil {
			t.Fatal(err)
		}
		if dst, err = d.AppendTopic(dst[:0], topic); err != nil {
			t.Fatal(err)
		}
	}
	edit()
	if n := testing.AllocsPerRun(20, edit); n != 0 {
		t.Errorf("edit: %v allocations", n)
	}
}

// TestMemoryGivenBack: the second small message after a large one has none of
// the large one's memory left.
func TestMemoryGivenBack(t *testing.T) {
	var d Document
	var keys []byte
	for i := range 20000 {
		keys = fmt.Appendf(keys, `,"k%d":"\u00e9\u00e9\u00e9\u00e9"`, i)
	}
	keys[0] = '{'
	for _, raw := range []string{string(keys) + "}", "{}", "{}"} {
		if why := Parse(&d, "a", []byte(raw), Limits{}); why != ReasonNone {
			t.Fatal(why)
		}
	}
	if cap(d.Fields) > keepFields || cap(d.arena) > keepBytes || cap(d.members) > keepFields || cap(d.slots) > 4*keepFields {
		t.Errorf("memory for %d fields and %d bytes is kept", cap(d.Fields), cap(d.arena))
	}
}

// TestEightAtATime puts every byte at every place of a short text and compares
// with what one byte after another gives.
func TestEightAtATime(t *testing.T) {
	for n := 1; n < 20; n++ {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{'~'}, n)
				b[at] = byte(c)
				want := n
				if c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
					want = at
				}
				if got := plainEnd(b, 0); got != want {
					t.Fatalf("%q: plain up to %d, want %d", b, got, want)
				}
				text := c >= ' ' && c < 0x7F || c == '\t' || c == '\n' || c == '\r'
				if isText(b) != text {
					t.Fatalf("%q: text is %v", b, !text)
				}
			}
		}
	}
	for r := range rune(0x200) {
		for n := range 10 {
			b := append(bytes.Repeat([]byte{'x'}, n), string(r)+"123456789"...)
			text := r >= ' ' && r < 0x7F || r >= 0xA0 || r == '\t' || r == '\n' || r == '\r'
			if isText(b) != text {
				t.Fatalf("%q: text is %v", b, !text)
			}
		}
	}
}
