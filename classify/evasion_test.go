package classify

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sealgate/sealgate/classify/payload"
)

// The evasion suite: a value that is found when it stands there plainly is found
// however it is dressed up, or what it is dressed up in can't be read. Nothing
// passes in silence.

// evasionValues are found by themselves, without a key that helps.
var evasionValues = []struct {
	class ClassID
	text  string
}{
	{ClassContactEmail, "ida.falk@example.org"},
	{ClassFinanceIBAN, "DE89370400440532013000"},
	{ClassFinanceCard, "4539148803436467"},
}

// A disguise makes a payload of a value.
type disguise struct {
	name string
	as   func(v string) string
}

func in(format string) func(string) string {
	return func(v string) string { return fmt.Sprintf(format, v) }
}

// each writes every character by itself.
func each(f func(r rune) string) func(string) string {
	return func(v string) string {
		var b strings.Builder
		for _, r := range v {
			b.WriteString(f(r))
		}
		return b.String()
	}
}

// then applies one after the other.
func then(fs ...func(string) string) func(string) string {
	return func(v string) string {
		for _, f := range fs {
			v = f(v)
		}
		return v
	}
}

var (
	member   = in(`{"x":"%s"}`)
	to64     = func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }
	toHex    = func(v string) string { return hex.EncodeToString([]byte(v)) }
	toGzip   = gzipped
	quoted   = func(v string) string { out, _ := json.Marshal(v); return string(out) }
	escaped  = each(func(r rune) string { return fmt.Sprintf(`\u%04x`, r) })
	percent  = each(func(r rune) string { return fmt.Sprintf("%%%02X", r) })
	wide     = each(func(r rune) string { return string(r + 0xFEE0) })
	entities = each(func(r rune) string { return fmt.Sprintf("&#x%x;", r) })
)

// middle puts something into the middle of a value.
func middle(with string) func(string) string {
	return func(v string) string { return v[:len(v)/2] + with + v[len(v)/2:] }
}

func toUTF16(order binary.AppendByteOrder, mark bool) func(string) string {
	return func(v string) string {
		var b []byte
		if mark {
			b = order.AppendUint16(b, 0xFEFF)
		}
		for _, c := range utf16.Encode([]rune(v)) {
			b = order.AppendUint16(b, c)
		}
		return string(b)
	}
}

func cborText(v string) string { return "\x78" + string([]byte{byte(len(v))}) + v }

func deflated(v string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write([]byte(v))
	w.Close()
	return b.String()
}

func zlibbed(v string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(v))
	w.Close()
	return b.String()
}

const tinyPNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\x01IDATxcrc.\x00\x00\x00\x00IENDcrc."

var disguises = []disguise{
	{"plain text", in("%s")},
	{"a member", member},
	{"an element", in(`[[["%s"]]]`)},
	{"a line", in("{\"a\":1}\n{\"x\":\"%s\"}\n")},
	{"a scalar", in(`"%s"`)},

	// Writing.
	{"escapes", then(escaped, member)},
	{"an escape", then(func(v string) string { return fmt.Sprintf(`\u%04X`, v[0]) + v[1:] }, member)},
	{"a scalar of escapes", then(escaped, in(`"%s"`))},
	{"full-width characters", then(wide, member)},
	{"full-width characters in text", wide},
	{"characters of no width", then(each(func(r rune) string { return string(r) + "\u200b" }), member)},
	{"word joiners in text", each(func(r rune) string { return string(r) + "\u2060" })},
	{"a soft hyphen", then(middle("\u00ad"), member)},
	{"a byte-order mark inside", then(middle("\ufeff"), member)},
	{"a byte-order mark before text", in("\ufeff%s")},
	{"variation selectors", then(middle("\ufe0f"), member)},
	{"a mark of direction", then(middle("\u200e"), member)},
	{"upper case", strings.ToUpper},
	{"a tag character", then(middle("\U000e0061"), member)},
	{"the combining grapheme joiner", then(middle("\u034f"), member)},
	{"a Hangul filler", then(middle("\u3164"), member)},
	{"space around", in(`{"x":"   %s   "}`)},
	{"in quotes", in(`{"x":"'%s'"}`)},
	{"in a sentence", in(`{"x":"please write down %s, will you"}`)},
	{"in brackets", in(`{"x":"<%s>"}`)},
	{"after a line end", in(`{"x":"see\n%s\nthere"}`)},
	{"after a tab", in(`{"x":"see\t%s\tthere"}`)},
	{"in a long text", in(strings.Repeat("the quick brown fox ", 400) + "%s" + strings.Repeat(" the lazy dog", 400))},

	// Nested encodings.
	{"base64", then(in(`{"y":"%s"}`), to64, member)},
	{"base64 of text", then(in("see %s"), to64, member)},
	{"base64 of the value alone", then(to64, member)},
	{"base64url", then(in(`{"y":"%s ÿÿ??"}`), func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }, member)},
	{"base64 on lines", then(in("see %s, and somewhat more of the same behind it, so that it takes lines"), to64, func(v string) string { return v[:40] + `\r\n` + v[40:] }, member)},
	{"base64 twice", then(in(`{"y":"%s"}`), to64, to64, member)},
	{"base64 four times", then(to64, to64, to64, to64, member)},
	{"base64 five times", then(to64, to64, to64, to64, to64, member)},
	{"base64 nine times", then(to64, to64, to64, to64, to64, to64, to64, to64, to64, member)},
	{"base64 as the payload", then(in(`{"y":"%s"}`), to64)},
	{"base64 as the payload with a line end", then(in(`{"y":"%s"}`), to64, in("%s\n"))},
	{"base64 in quotes as the payload", then(in(`{"y":"%s"}`), to64, in(`"%s"`))},
	{"base64 of gzip", then(in(`{"y":"%s"}`), toGzip, to64, member)},
	{"base64 of zstd", then(in(`{"y":"%s"}`), zstdded, to64, member)},
	{"base64 of zlib", then(in(`{"y":"%s"}`), zlibbed, to64, member)},
	{"base64 of base64 of gzip", then(in(`{"y":"%s"}`), toGzip, to64, to64, member)},
	{"gzip of base64", then(in(`{"y":"%s"}`), to64, member, toGzip)},
	{"gzip of base64 of gzip", then(in(`{"y":"%s"}`), toGzip, to64, member, toGzip)},
	{"base64 of CBOR", then(cborText, in("\xa1ay%s"), to64, member)},
	{"base64 of XML", then(in("<a><b>%s</b></a>"), to64, member)},
	{"base64 of CSV", then(in("a,b\n%s,1\n"), to64, member)},
	{"base64 of logfmt", then(in("a=%s b=2"), to64, member)},
	{"base64 of escapes", then(escaped, in(`{"y":"%s"}`), to64, member)},
	{"base64 of UTF-16", then(toUTF16(binary.LittleEndian, true), to64, member)},
	{"base64 of broken JSON", then(in(`{"y":"%s",}`), to64, member)},
	{"hexadecimal", then(in(`{"y":"%s"}`), toHex, member)},
	{"hexadecimal of text", then(toHex, member)},
	{"upper-case hexadecimal", then(toHex, strings.ToUpper, member)},
	{"hexadecimal of base64", then(to64, toHex, member)},
	{"percent escapes", then(percent, member)},
	{"percent escapes twice", then(percent, url.QueryEscape, member)},
	{"percent escapes of JSON", then(in(`{"y":"%s"}`), percent, member)},
	{"a URL", then(percent, in(`{"x":"https://example.com/?q=%s&r=1"}`))},
	{"a data URI", then(to64, in(`{"x":"data:text/plain;base64,%s"}`))},
	{"a data URI of percent escapes", then(percent, in(`{"x":"data:text/plain,%s"}`))},
	{"a data URI with a character set", then(to64, in(`{"x":"data:text/plain;charset=utf-8;base64,%s"}`))},
	{"JSON in a string", then(in(`{"y":"%s"}`), quoted, in(`{"x":%s}`))},
	{"JSON in a string in a string", then(in(`{"y":"%s"}`), quoted, in(`{"y":%s}`), quoted, in(`{"x":%s}`))},
	{"escaped JSON in a string", then(escaped, in(`{"y":"%s"}`), quoted, in(`{"x":%s}`))},
	{"JSON as a string", then(in(`{"y":"%s"}`), quoted)},
	{"XML in a string", then(entities, in(`{"x":"<a><b>%s</b></a>"}`))},

	// Keys and topics.
	{"a key", in(`{"%s":1}`)},
	{"an escaped key", then(escaped, in(`{"%s":1}`))},
	{"a key of an object", in(`{"%s":{"a":1}}`)},
	{"a key in CBOR", then(cborText, in("\xa1%s\x01"))},
	{"a key in MessagePack", func(v string) string { return "\x81\xd9" + string([]byte{byte(len(v))}) + v + "\x01" }},
	{"a key in a form", in("%s=1&b=2")},
	{"an attribute in other quotes", in("<a><n v='%s'/></a>")},
	{"a key in a string", then(in(`{"%s":1}`), quoted, in(`{"x":%s}`))},
	{"the name of a column", in("%s,b\n1,2\n")},

	// Broken on purpose.
	{"equal keys", in(`{"x":"%s","x":"on"}`)},
	{"keys equal once unescaped", in(`{"x":"on","\u0078":"%s"}`)},
	{"a byte-order mark", in("\ufeff{\"x\":\"%s\"}")},
	{"a byte-order mark and escapes", then(escaped, in("\ufeff{\"x\":\"%s\"}"))},
	{"bytes behind", in(`{"x":1} %s`)},
	{"a document behind", in(`{"x":1}{"x":"%s"}`)},
	{"NUL and a document", in("{\"x\":1}\x00{\"x\":\"%s\"}")},
	{"a comment", in(`{"x":1 /* %s */}`)},
	{"a comment before", in("// %s\n{\"x\":1}")},
	{"quotes of another kind", in(`{'x':'%s'}`)},
	{"a comma too many", in(`{"x":"%s",}`)},
	{"escapes in a scalar with bytes behind", then(escaped, in(`"%s" x`))},
	{"a lone surrogate", in(`{"x":"%s\ud800"}`)},
	{"a bad escape", in(`{"x":"%s\x"}`)},
	{"UTF-16 with a mark", toUTF16(binary.LittleEndian, true)},
	{"UTF-16, the other order", toUTF16(binary.BigEndian, true)},
	{"UTF-16 without a mark", toUTF16(binary.LittleEndian, false)},
	{"UTF-16 of JSON", then(member, toUTF16(binary.BigEndian, false))},
	{"UTF-32", each(func(r rune) string { return string([]byte{byte(r), 0, 0, 0}) })},
	{"overlong UTF-8", each(func(r rune) string { return string([]byte{0xC0 | byte(r>>6), 0x80 | byte(r&0x3F)}) })},
	{"overlong UTF-8 in JSON", then(each(func(r rune) string { return string([]byte{0xC0 | byte(r>>6), 0x80 | byte(r&0x3F)}) }), member)},
	{"Latin-1", in("%s \xe9")},
	{"NUL between", each(func(r rune) string { return string(r) + "\x00" })},
	{"a control character", then(middle("\x01"), member)},
	{"an escaped control character", then(middle(`\u0000`), member)},
	{"a backspace", then(middle(`\b`), member)},

	// Packed.
	{"gzip", then(member, toGzip)},
	{"gzip of text", toGzip},
	{"gzip twice", then(member, toGzip, toGzip)},
	{"gzip and more behind", func(v string) string { return toGzip(`{"x":1}`) + v }},
	{"two members of gzip", func(v string) string { return toGzip(`{"x":1}`) + toGzip(v) }},
	{"zlib", then(member, zlibbed)},
	{"zstd of an object", then(member, zstdded)},
	{"zstd twice", then(member, zstdded, zstdded)},
	{"two frames of zstd", func(v string) string { return zstdded(`{"x":1}`) + zstdded(v) }},
	{"a skippable frame behind zstd", func(v string) string {
		return zstdded(`{"x":1}`) + "\x50\x2a\x4d\x18" + string([]byte{byte(len(v)), 0, 0, 0}) + v
	}},
	{"bare deflate", then(member, deflated)},
	{"a ZIP archive", in("PK\x03\x04\x14\x00\x00\x00\x00\x00%s")},
	{"a broken zstd", in("\x28\xb5\x2f\xfd\x20\x14\xa1\x00\x00%s")},
	{"LZ4", in("\x04\x22\x4d\x18\x64\x40%s")},

	// Other formats.
	{"CBOR", then(cborText, in("\xa1ax%s"))},
	{"CBOR in chunks", func(v string) string {
		return "\xa1ax\x7f\x61" + v[:1] + "\x62" + v[1:3] + cborText(v[3:]) + "\xff"
	}},
	{"CBOR in bytes", func(v string) string { return "\xa1ax\x58" + string([]byte{byte(len(v))}) + v }},
	{"CBOR with tags", then(cborText, in("\xa1ax\xd8\x20%s"))},
	{"CBOR in CBOR", func(v string) string {
		inside := "\xa1ay" + cborText(v)
		return "\xa1ax\xd8\x18\x58" + string([]byte{byte(len(inside))}) + inside
	}},
	{"gzip in CBOR", func(v string) string {
		inside := toGzip(v)
		return "\xa1ax\x58" + string([]byte{byte(len(inside))}) + inside
	}},
	{"MessagePack", func(v string) string { return "\x81\xa1x\xd9" + string([]byte{byte(len(v))}) + v }},
	{"MessagePack in bytes", func(v string) string { return "\x81\xa1x\xc4" + string([]byte{byte(len(v))}) + v }},
	{"MessagePack in an extension", func(v string) string { return "\x81\xa1x\xc7" + string([]byte{byte(len(v))}) + "\x05" + v }},
	{"a form", in("a=1&x=%s")},
	{"an escaped form", then(percent, in("a=1&x=%s"))},
	{"XML", in("<a><x>%s</x></a>")},
	{"an attribute", in(`<a x="%s"/>`)},
	{"characters by number", then(entities, in("<a><x>%s</x></a>"))},
	{"CDATA", in("<a><x><![CDATA[%s]]></x></a>")},
	{"CDATA in the middle", then(func(v string) string { return v[:4] + "<![CDATA[" + v[4:8] + "]]>" + v[8:] }, in("<a><x>%s</x></a>"))},
	{"an element in the middle", then(middle("<b/>"), in("<a><x>%s</x></a>"))},
	{"a comment in the middle", then(middle("<!-- -->"), in("<a><x>%s</x></a>"))},
	{"a comment of XML", in("<a><!-- %s --><x>1</x></a>")},
	{"a processing instruction", in("<a><?x %s?></a>")},
	{"an entity", in(`<!DOCTYPE a [<!ENTITY e "%s">]><a>&e;</a>`)},
	{"a namespace", in(`<a xmlns="%s"/>`)},
	{"an XML encoding", then(in(`<a>%s</a>`), in(`<?xml version="1.0" encoding="UTF-7"?>%s`))},
	{"CSV", in("a,b\n1,%s\n")},
	{"CSV in quotes", in("a;b\n1;\"%s\"\n")},
	{"CSV without names", in("1,2,%s\n3,4,5\n6,7,8\n")},
	{"a comment of CSV", in("# %s\na,b\n1,2\n")},
	{"logfmt", in("level=info x=%s n=5")},
	{"logfmt in quotes", in(`level=info x="see %s there" n=5`)},
	{"line protocol, a field", in(`m,t=1 x="%s" 17`)},
	{"line protocol, a tag", in(`m,x=%s v=1 17`)},
	{"line protocol, the measurement", in(`%s,t=1 v=1 17`)},
	{"an escaped tag", then(middle(`\ `), func(v string) string { return strings.ReplaceAll(v, `\ `, "") }, in(`m,x=%s v=1,w="a\"b" 17`))},
	{"NMEA", func(v string) string { return "$PXYZ," + v }},

	// Pictures.
	{"behind a picture", in(tinyPNG + "%s")},
	{"behind a picture in base64", then(in(tinyPNG+"%s"), to64, member)},
	{"behind a GIF", in("GIF89a\x01\x00\x01\x00\x00\x00\x00;%s")},
	{"in a picture's comment", func(v string) string {
		return "\xff\xd8\xff\xfe\x00" + string([]byte{byte(len(v) + 2)}) + v + "\xff\xda\x00\x03cd\xff\x00e\xff\xd9"
	}},
}

func TestDisguises(t *testing.T) {
	f := newFinder(t, Options{})
	for _, g := range disguises {
		for _, v := range evasionValues {
			raw := g.as(v.text)
			if payload.Parse(&f.d, "site/1", []byte(raw), payload.Limits{}) != payload.ReasonNone {
				continue // sealed whole
			}
			r := f.c.Find(&f.s, f.st, &f.d, Context{})
			if r.Reason == "" && len(r.Findings) == 0 {
				t.Errorf("%s: nothing is found in %.120q, read as %s", g.name, raw, f.d.FormatName())
			}
		}
	}
}

// TestDisguisedSplits: separators that people and programs put into numbers.
func TestDisguisedSplits(t *testing.T) {
	f := newFinder(t, Options{})
	for _, sep := range []string{" ", "-", "\u00a0", "\u2009", "\u2011", "\u202f", "\u200b", "\u00ad"} {
		for _, v := range []string{"4539%[1]s1488%[1]s0343%[1]s6467", "DE89%[1]s3704%[1]s0044%[1]s0532%[1]s0130%[1]s00"} {
			for _, where := range []string{`{"x":"%s"}`, "%s", "<a><x>%s</x></a>", "a=%s&b=2"} {
				text := fmt.Sprintf(v, sep)
				if where == "a=%s&b=2" {
					text = url.QueryEscape(text)
				}
				r := f.find("site/1", fmt.Sprintf(where, text), Context{})
				if len(r.Findings) == 0 {
					t.Errorf("nothing is found in %q", fmt.Sprintf(where, text))
				}
			}
		}
	}
}

// TestDisguisedKeys: a password is one under any spelling of its key.
func TestDisguisedKeys(t *testing.T) {
	f := newFinder(t, Options{})
	for _, raw := range []string{
		`{"\u0070assword":"hunter-22"}`, `{"PassWord":"hunter-22"}`, `{"раsswоrd":"hunter-22"}`, "{\"pass\u200bword\":\"hunter-22\"}", `{"ｐａｓｓｗｏｒｄ":"hunter-22"}`,
		`{"x":"{\"password\":\"hunter-22\"}"}`, `{"x":"` + to64(`{"password":"hunter-22"}`) + `"}`, "<a><password>hunter-22</password></a>", `<a password="hunter-22"/>`,
		`<n:a xmlns:n="http://www.w3.org/x"><n:password>hunter-22</n:password></n:a>`, "a=1 password=hunter-22", "a=1&pass%77ord=hunter-22", "user,password\nmara,hunter-22\n",
		"\ufeffpassword;user\nhunter-22;mara\n", `m,password=hunter-22 v=1 17`, `m password="hunter-22",v=1 17`, "\x81\xa8password\xa9hunter-22", "\xa1\x68password\x69hunter-22",
		`[{"n":"password","vs":"hunter-22"}]`, `{"name":"password","value":"hunter-22"}`, `<i Name="password" Value="hunter-22"/>`,
	} {
		if payload.Parse(&f.d, "site/1", []byte(raw), payload.Limits{}) != payload.ReasonNone {
			continue
		}
		if r := f.c.Find(&f.s, f.st, &f.d, Context{}); !r.Classes.Has(ClassCredentialSecret) {
			t.Errorf("no secret is found in %s (%s)", raw, f.d.FormatName())
		}
	}
}
