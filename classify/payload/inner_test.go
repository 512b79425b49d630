package payload

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// quote writes a string of JSON.
func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(out)
}

const innerObject = `{"plate":"B-AB 123","n":[1,2]}`

// innerTests: what a string holds, and the payload with the plate masked.
var innerTests = []struct{ name, raw, fields, path, want string }{
	{"base64", `{"v":"` + b64(innerObject) + `","w":1}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2 /w=1`, "/v/plate",
		`{"v":"` + b64(`{"plate":"****","n":[1,2]}`) + `","w":1}`},
	{"base64url", `["` + base64.RawURLEncoding.EncodeToString([]byte(`{"plate":"B-ÿ~?","n":5}`)) + `"]`, `=[] /0={} /0/plate="B-ÿ~?" /0/n=5`, "/0/plate",
		`["` + base64.RawURLEncoding.EncodeToString([]byte(`{"plate":"****","n":5}`)) + `"]`},
	{"hex", `{"v":"` + hex.EncodeToString([]byte(innerObject)) + `"}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "/v/plate",
		`{"v":"` + hex.EncodeToString([]byte(`{"plate":"****","n":[1,2]}`)) + `"}`},
	{"percent", `{"v":"%7B%22plate%22%3A%22B-AB%20123%22%7D"}`, `={} /v={} /v/plate="B-AB 123"`, "/v/plate", `{"v":"%7B%22plate%22:%22****%22%7D"}`},
	{"percent in text", `{"v":"https://example.org/?q=mara%40example.org"}`, `={} /v="https://example.org/?q=mara@example.org"`, "/v", `{"v":"****"}`},
	{"a string of JSON", `{"v":` + quote(innerObject) + `}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "/v/plate",
		`{"v":"{\"plate\":\"****\",\"n\":[1,2]}"}`},
	{"a string of XML", `{"v":"<a><plate>B 1</plate></a>"}`, `={} /v={} /v/a={} /v/a/plate="B 1"`, "/v/a/plate", `{"v":"<a><plate>****</plate></a>"}`},
	{"a sentence", `{"v":"` + nmea("GPGLL,4807.038,N,01131.000,E") + `"}`, `={} /v=[] /v/0={} /v/0/0="GPGLL" /v/0/latitude=48.1173 /v/0/longitude=11.5166667`, "", ""},
	{"a data URI", `{"v":"data:application/json;base64,` + b64(innerObject) + `"}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "/v/plate",
		`{"v":"data:application/json;base64,` + b64(`{"plate":"****","n":[1,2]}`) + `"}`},
	{"text in base64", `{"v":"` + b64("mara@example.org is here") + `"}`, `={} /v="mara@example.org is here"`, "/v", `{"v":"` + b64("****") + `"}`},
	{"zstd in base64", `{"v":"` + b64(zstdded(innerObject)) + `"}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "", ""},
	{"gzip in base64", `{"v":"` + b64(gzipped(innerObject)) + `"}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "", ""},
	{"twice in base64", `{"v":"` + b64(b64(innerObject)) + `"}`, `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "/v/plate",
		`{"v":"` + b64(b64(`{"plate":"****","n":[1,2]}`)) + `"}`},
	{"base64 in base64 in JSON", `{"v":"` + b64(`{"w":"`+b64(innerObject)+`"}`) + `"}`, `={} /v={} /v/w={} /v/w/plate="B-AB 123" /v/w/n=[] /v/w/n/0=1 /v/w/n/1=2`, "/v/w/plate",
		`{"v":"` + b64(`{"w":"`+b64(`{"plate":"****","n":[1,2]}`)+`"}`) + `"}`},
	{"all of the payload", b64(innerObject), `={} /plate="B-AB 123" /n=[] /n/0=1 /n/1=2`, "/plate", b64(`{"plate":"****","n":[1,2]}`)},
	{"CBOR in base64", `{"v":"` + b64("\xa1eplatehB-AB 123") + `"}`, `={} /v={} /v/plate="B-AB 123"`, "/v/plate", `{"v":"` + b64("\xa1eplated****") + `"}`},
	{"in CBOR", "\xa1av\x78\x28" + b64(innerObject), `={} /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2`, "/v/plate",
		"\xa1av\x78\x24" + b64(`{"plate":"****","n":[1,2]}`)},
	{"in XML", "<a><v>" + b64(innerObject) + "</v></a>", `={} /a={} /a/v={} /a/v/plate="B-AB 123" /a/v/n=[] /a/v/n/0=1 /a/v/n/1=2`, "/a/v/plate",
		"<a><v>" + b64(`{"plate":"****","n":[1,2]}`) + "</v></a>"},
	{"in a form", "a=1&v=" + strings.ReplaceAll(b64(innerObject), "=", "%3D") + "&w=2", `={} /a="1" /v={} /v/plate="B-AB 123" /v/n=[] /v/n/0=1 /v/n/1=2 /w="2"`, "/v/plate",
		"a=1&v=" + strings.ReplaceAll(b64(`{"plate":"****","n":[1,2]}`), "=", "%3D") + "&w=2"},
	{"in CSV", "a,v\n1," + b64(innerObject) + "\n", `=lines /0={} /0/a=1 /0/v={} /0/v/plate="B-AB 123" /0/v/n=[] /0/v/n/0=1 /0/v/n/1=2`, "/0/v/plate",
		"a,v\n1," + b64(`{"plate":"****","n":[1,2]}`) + "\n"},
	{"in bytes of CBOR", "\xa1av\x4c\xa1eplatedB 12", `={} /v={} /v/plate="B 12"`, "", ""},
	{"in an extension", "\x81\xa1v\xc7\x0c\x05\xa1eplatedB 12", `={} /v={} /v/plate="B 12"`, "", ""},
	{"lines", "{\"v\":1}\n{\"v\":\"" + b64(innerObject) + "\"}\n", `=lines /0={} /0/v=1 /1={} /1/v={} /1/v/plate="B-AB 123" /1/v/n=[] /1/v/n/0=1 /1/v/n/1=2`, "/1/v/plate",
		"{\"v\":1}\n{\"v\":\"" + b64(`{"plate":"****","n":[1,2]}`) + "\"}\n"},
	{"a picture", `{"v":"data:image/png;base64,` + b64(png) + `"}`, `={} /v=binary`, "", ""},
	{"broken JSON in base64", `{"v":"` + b64(`{"plate":"B-AB 123",}`) + `"}`, `={} /v="{"plate":"B-AB 123",}"`, "", ""},
}

func TestInner(t *testing.T) {
	for _, tt := range innerTests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustParse(t, "", []byte(tt.raw))
			if got := render(d); got != tt.fields {
				t.Fatalf("read as %s\nwant %s", got, tt.fields)
			}
			checkInvariants(t, d)
			if out, err := d.Append(nil, nil); err != nil || string(out) != tt.raw {
				t.Errorf("without edits %q, %v", out, err)
			}
			if tt.path == "" {
				return
			}
			for range 2 { // nothing of an edit stays
				out, err := d.Append([]byte("x"), []Edit{{Field: field(t, d, tt.path), Kind: EditString, WholeText: true, Value: []byte("****")}})
				if err != nil || string(out) != "x"+tt.want {
					t.Errorf("edited to %q, %v\nwant %q", out, err, tt.want)
				}
			}
			if got := render(d); got != tt.fields {
				t.Errorf("after an edit it is %s", got)
			}
		})
	}
}

// TestInnerLeaves: what only looks encoded stays what it is.
func TestInnerLeaves(t *testing.T) {
	for _, v := range []string{
		"4539148803436467", "20240101123456789012", "70b3d57ed0000001", "0123456789abcdef0123456789abcdef", "550e8400-e29b-41d4-a716-446655440000",
		"the quick brown fox jumps", "configurationmanager", "Warehouse_12_Bay_C_north", "https://example.org/a/b?c=d", "100% of the time, always", "AKIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "{room} is on, as always", "[12:30:05] started again]", "<unknown> and so on>", "$GPGLL,4807.038,N,01131.000,E*00 no",
		"d41d8cd98f00b204e9800998ecf8427e", "data: none, whatever else", "gateway/north/line3/sensor7", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "iVBORw0KGgoAAAANSUhEUgAA",
	} {
		raw := `{"v":` + quote(v) + `}`
		d := mustParse(t, "", []byte(raw))
		if i := d.Find("/v"); i < 0 || string(d.Text(i)) != v || d.Fields[i].Flags&Wrapped != 0 {
			t.Errorf("%q is read as %s", v, render(d))
		}
	}
}

func stringsInStrings(levels int) string {
	s := innerObject
	for range levels {
		s = `{"v":` + quote(s) + `}`
	}
	return s
}

func TestInnerUnreadable(t *testing.T) {
	deep := innerObject
	for range maxLevels + 1 {
		deep = b64(deep)
	}
	var parts []string
	for range 20 {
		parts = append(parts, `"`+b64(gzipped(strings.Repeat(" ", 1<<17)+"1"))+`"`)
	}
	tests := []struct {
		name, raw string
		why       Reason
	}{
		{"more levels than four", `{"v":"` + deep + `"}`, ReasonTooDeep},
		{"a bomb", `{"v":"` + b64(gzipped(strings.Repeat(" ", 1<<20))) + `"}`, ReasonTooLarge},
		{"many small bombs", "[" + strings.Join(parts, ",") + "]", ReasonTooLarge},
		{"bytes behind an image", `{"v":"` + b64(png+"mara@example.org") + `"}`, ReasonTrailing},
		{"nested too deep inside", `{"v":"` + b64(strings.Repeat("[", 70)+strings.Repeat("]", 70)) + `"}`, ReasonTooDeep},
		{"all of it, more levels than four", deep, ReasonTooDeep},
		{"strings in strings", stringsInStrings(maxLevels + 1), ReasonTooDeep},
		{"packed in more levels than four", `{"v":"` + b64(b64(b64(b64(b64(gzipped(innerObject)))))) + `"}`, ReasonTooDeep},
		{"very many", "[" + strings.TrimSuffix(strings.Repeat(`"`+b64("somewhat of a text")+`",`, maxInner+1), ",") + "]", ReasonTooMany},
	}
	for _, tt := range tests {
		var d Document
		if why := Parse(&d, "", []byte(tt.raw), Limits{}); why != tt.why {
			t.Errorf("%s: %q, want %q (%s)", tt.name, why, tt.why, d.FormatName())
		}
	}
	if d := mustParse(t, "", []byte(stringsInStrings(maxLevels))); !strings.Contains(render(d), `/v/v/v/v/plate="B-AB 123"`) {
		t.Errorf("four levels are read as %s", render(d))
	}
	var d Document
	if why := Parse(&d, "", []byte(innerTests[0].raw), Limits{Fields: 5}); why != ReasonTooMany {
		t.Errorf("too many fields inside: %q", why)
	}
}

// TestRemoveWrapped: what holds a document is left out like any other value.
func TestRemoveWrapped(t *testing.T) {
	v := b64(innerObject)
	for raw, want := range map[string]string{
		`{"a":1,"v":"` + v + `","w":2}`: `{"a":1,"w":2}`, `{"v":"` + v + `","w":2}`: `{"w":2}`,
		"v=" + v + " w=2 x=3": "w=2 x=3", "v=" + strings.ReplaceAll(v, "=", "%3D") + "&w=2&x=3": "w=2&x=3",
		"\xa2av\x78\x28" + v + "awd1234": "\xa1awd1234", "\x82\xa1v\xd9\x28" + v + "\xa1w\xa41234": "\x81\xa1w\xa41234",
		`m,v=` + strings.ReplaceAll(v, "=", `\=`) + ` w=2,x=3`: `m w=2,x=3`, "<a><v>" + v + "</v><w>1</w></a>": "<a><w>1</w></a>",
	} {
		d := mustParse(t, "", []byte(raw))
		i := slices.IndexFunc(d.Fields, func(f Field) bool { return f.Flags&Wrapped != 0 })
		if i < 0 {
			t.Errorf("%q holds nothing: %s", raw, render(d))
			continue
		}
		if out, err := d.Append(nil, []Edit{{Field: int32(i), Kind: EditRemove}}); err != nil || string(out) != want {
			t.Errorf("%q: %q, %v, want %q", raw, out, err, want)
		}
	}
}
