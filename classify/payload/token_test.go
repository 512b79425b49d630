package payload

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const someToken = TokenMark + "c.Zm9v-_8."

// tokenEdits are edits of all leaves that accept a token, of a text two ranges.
func tokenEdits(d *Document) (es []Edit) {
	for _, i := range payloadFields(d) {
		f := &d.Fields[i]
		text := d.Text(i)
		switch {
		case !f.Kind.Leaf() || !f.Accepts.Has(EditToken) || d.TopLevelObject():
		case d.Encryptable(i, true) && len(text) > 4 && !splitsRune(text, 2) && !splitsRune(text, 4):
			es = append(es, Edit{Field: i, Kind: EditToken, Start: 1, End: 2, Value: []byte(someToken)},
				Edit{Field: i, Kind: EditToken, Start: 4, End: uint32(len(text)), Value: []byte(someToken + "x.")})
		default:
			es = append(es, Edit{Field: i, Kind: EditToken, WholeText: true, Value: []byte(someToken)})
		}
	}
	return es
}

// checkTokens carries out edits and puts back what they took: the payload is
// what it was, to the byte, and was still of its format in between. It reports
// whether the format took them.
func checkTokens(t *testing.T, d *Document, edits []Edit) bool {
	t.Helper()
	out, tokens, err := d.AppendTokens([]byte("before"), edits)
	if err != nil {
		if string(out) != "before" {
			t.Errorf("%q: an error, and %q", d.Raw, out)
		}
		return false
	}
	out = out[len("before"):]
	if len(tokens) != len(edits) {
		t.Fatalf("%q: %d edits, %d tokens", d.Raw, len(edits), len(tokens))
	}
	var again []byte
	at := uint32(0)
	for n, k := range tokens {
		if !bytes.HasPrefix(out[k.At:], edits[n].Value) || k.At < k.Out.Start || int(k.At)+len(edits[n].Value) > int(k.Out.End) {
			t.Errorf("%q: token %d is said to be at %d of %q", d.Raw, n, k.At, out)
		}
		if gone, ok := d.TokenSpan(edits[n].Field, edits[n].Start, edits[n].End); !ok || gone != k.Gone {
			t.Errorf("%q: token %d takes %v, was to take %v (%v)", d.Raw, n, k.Gone, gone, ok)
		}
		again = append(append(again, out[at:k.Out.Start]...), d.Raw[k.Gone.Start:k.Gone.End]...)
		at = k.Out.End
	}
	if again = append(again, out[at:]...); !bytes.Equal(again, d.Raw) {
		t.Errorf("%q with %q goes back to %q", d.Raw, out, again)
	}
	var left Document
	if why := Parse(&left, d.Topic, out, Limits{}); why != ReasonNone || left.format != d.format {
		t.Errorf("%q with tokens is %q: %s, %s", d.Raw, out, left.FormatName(), why)
	}
	if !left.Reserved {
		t.Errorf("%q has tokens and is not told to", out)
	}
	return true
}

// TestTokens: a token in each place of each format, one by one and in all, can
// be taken out again without a trace.
func TestTokens(t *testing.T) {
	took := map[string]bool{}
	for _, s := range samples() {
		t.Run(s.format, func(t *testing.T) {
			d := mustParse(t, s.topic, []byte(s.raw))
			edits := tokenEdits(d)
			for i := range edits {
				if checkTokens(t, d, edits[i:i+1]) {
					took[s.format] = true
				} else if !mayEmpty(d, edits[i]) && !d.isPack() {
					t.Errorf("%q: no token in place of %s", d.Raw, d.AppendPath(nil, edits[i].Field))
				}
			}
			if len(edits) > 1 {
				checkTokens(t, d, edits)
			}
		})
	}
	for _, f := range []string{"json", "jsonl", "cbor", "msgpack", "sparkplug", "xml", "lineprotocol", "logfmt", "csv", "form", "gzip", "zlib", "zstd", "text"} {
		if !took[f] {
			t.Errorf("no token in any sample of %s", f)
		}
	}
}

// TestTokenForms: how a token stands in each format.
func TestTokenForms(t *testing.T) {
	const k = someToken
	long := TokenMark + "c." + strings.Repeat("A", 300) + "."
	for _, c := range []struct{ name, topic, raw, path, token, want string }{
		{"json array", "t", `[ 1, {"a":"x"} ]`, "/1/a", k, `[ 1, {"a":"` + k + `"} ]`},
		{"json number", "t", `[ 1.50 , 2]`, "/0", k, `[ "` + k + `" , 2]`},
		{"json object in an array", "t", `[{"a":1},[2]]`, "/1", k, `[{"a":1},"` + k + `"]`},
		{"json lines", "t", "{\"a\":1}\n{\"a\":\"x\"}", "/1/a", k, "{\"a\":1}\n{\"a\":\"" + k + "\"}"},
		{"senml json", "t", `[{"bn":"urn:dev:1","n":"t", "v" : 36.6}]`, "/0/v", k, `[{"bn":"urn:dev:1","n":"t", "vs":"` + k + `"}]`},
		{"senml json text", "t", `[{"n":"t","vs":"Mara"}]`, "/0/vs", k, `[{"n":"t","vs":"` + k + `"}]`},
		{"senml json name", "t", `[{"n":"Mara","v":1}]`, "/0/n", k, `[{"n":"` + k + `","v":1}]`},
		{"senml json time", "t", `[{"n":"x","v":1,"t":5}]`, "/0/t", k, ""},
		{"senml json record", "t", `[{"n":"x","v":1,"t":5}]`, "/0", k, ""},
		{"senml json with both", "t", `[{"n":"x","v":1,"vs":"y"}]`, "/0/v", k, ""},
		{"senml cbor", "t", "\x81\xa2\x00\x64temp\x02\xf9\x50\x94", "/0/2", k, "\x81\xa2\x00\x64temp"},
		{"cbor", "t", "\xa2\x66driver\x64Mara\x61n\x07", "/driver", long, "\xa2\x66driver\x79\x01\x38" + long + "\x61n\x07"},
		{"cbor number with a tag", "t", "\xa2\x66driver\xc1\x1a\x65\x00\x00\x00\x64name\x64Mara", "/driver", k, "\xa2\x66driver\x73" + k + "\x64name\x64Mara"},
		{"msgpack", "t", "\x82\xa6driver\xa4Mara\xa1n\x07", "/n", long, "\x82\xa6driver\xa4Mara\xa1n\xda\x01\x38" + long},
		{"xml text", "t", "<a><b>Mara &amp; Jo</b></a>", "/a/b", k, "<a><b>" + k + "</b></a>"},
		{"xml attribute", "t", "<a b='Mara'/>", "/a/b", k, "<a b='" + k + "'/>"},
		{"csv", "t", "name,n\n\"Mara, B\",5\n", "/0/name", k, "name,n\n\"" + k + "\",5\n"},
		{"csv number", "t", "name,n\nMara,5\n", "/0/n", k, "name,n\nMara," + k + "\n"},
		{"line protocol text", "t", `m,a=b name="Mara",n=1`, "/0/name", k, `m,a=b name="` + k + `",n=1`},
		{"line protocol number", "t", `m,a=b lat=52.5,n=1i`, "/0/n", k, `m,a=b lat=52.5,n="` + k + `"`},
		{"line protocol bool", "t", `m,a=b home=t,n=1i`, "/0/home", k, `m,a=b home="` + k + `",n=1i`},
		{"line protocol tag", "t", `m,a=b\ c n=1i`, "/0/a", k, `m,a=` + k + ` n=1i`},
		{"line protocol measurement", "t", `m,a=b n=1i`, "/0/measurement", k, ""},
		{"line protocol timestamp", "t", `m,a=b n=1i 1700000000`, "/0/timestamp", k, ""},
		{"logfmt", "t", `a=1 name="Mara B"`, "/0/name", k, `a=1 name="` + k + `"`},
		{"form", "t", `a=1&name=Mara+B%26`, "/name", k, `a=1&name=` + k},
		{"nmea", "t", "$GPGLL,4807.038,N,01131.000,E,123519,A*25", "/0/latitude", k, ""},
		{"sparkplug", "spBv1.0/g/DDATA/e/d", metric(pbText(1, "who"), pbInt(4, 12), pbText(15, "Mara")) + pbInt(3, 9), "/who", k,
			metric(pbText(1, "who"), pbInt(4, 12), pbInt(7, 1), pbText(9, pb(pbText(1, "sealgate"), pbText(2, pb(pbInt(1, 12), pbText(8, k)))))) + pbInt(3, 9)},
		{"sparkplug beside properties", "spBv1.0/g/DDATA/e/d", metric(pbText(1, "n"), pbInt(7, 0), pbText(9, pb(pbText(1, "Quality"), pbText(2, pb(pbInt(1, 3), pbInt(3, 192))))), pbDouble(13, 1)), "/n", k,
			metric(pbText(1, "n"), pbInt(7, 1), pbText(9, pb(pbText(1, "Quality"), pbText(2, pb(pbInt(1, 3), pbInt(3, 192))), pbText(1, "sealgate"), pbText(2, pb(pbInt(1, 12), pbText(8, k))))))},
		{"sparkplug with such a property", "spBv1.0/g/DDATA/e/d", metric(pbText(1, "n"), pbText(9, pb(pbText(1, "sealgate"), pbText(2, pb(pbInt(1, 3), pbInt(3, 192))))), pbDouble(13, 1)), "/n", k, ""},
		{"sparkplug bdSeq", "spBv1.0/g/NDEATH/e", metric(pbText(1, "bdSeq"), pbInt(4, 8), pbInt(11, 7)), "/bdSeq", k, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "senml cbor" {
				c.want = "\x81\xa2\x00\x64temp\x03" + string(appendCBORHead(nil, cborText, uint64(len(k)), 0)) + k
			}
			d := mustParse(t, c.topic, []byte(c.raw))
			at := d.Find(c.path)
			for ; at >= 0 && d.Fields[at].Kind == KindObject && c.path == "/n"; at++ { // its properties come first
			}
			if c.name == "sparkplug beside properties" || c.name == "sparkplug with such a property" {
				at = d.sparkplug.Metrics[0].Field
			}
			if at < 0 {
				t.Fatalf("no %s in %s", c.path, render(d))
			}
			edits := []Edit{{Field: at, Kind: EditToken, WholeText: true, Value: []byte(c.token)}}
			out, _, err := d.AppendTokens(nil, edits)
			if got := string(out); got != c.want || (err != nil) != (c.want == "") {
				t.Fatalf("got %q, %v, want %q", got, err, c.want)
			}
			if err == nil {
				checkTokens(t, d, edits)
			}
		})
	}
}

// TestTokenRefused: what is no token, has no place, or was there before.
func TestTokenRefused(t *testing.T) {
	text := mustParse(t, "t", []byte("call Mara now"))
	edit := func(start, end uint32, value string) Edit {
		return Edit{Field: text.Root, Kind: EditToken, Start: start, End: end, Value: []byte(value)}
	}
	for _, es := range [][]Edit{
		{edit(5, 9, "x")}, {edit(5, 9, TokenMark+" x")}, {edit(5, 9, TokenMark+`"x`)}, {edit(5, 9, TokenMark+`*`)},
		{edit(5, 9, someToken), edit(8, 10, someToken)}, {edit(5, 99, someToken)},
		{edit(5, 9, someToken), {Field: text.Root, Kind: EditString, Start: 6, End: 7, Value: []byte("x")}},
	} {
		if out, _, err := text.AppendTokens(nil, es); err == nil {
			t.Errorf("%+v: %q", es, out)
		}
	}
	if !checkTokens(t, text, []Edit{edit(5, 9, someToken)}) {
		t.Error("no token in a text")
	}
	held := mustParse(t, "t", []byte("call Mara now "+someToken))
	if out, _, err := held.AppendTokens(nil, []Edit{{Field: held.Root, Kind: EditToken, Start: 5, End: 9, Value: []byte(someToken)}}); err == nil || !held.Reserved {
		t.Errorf("beside a token: %q", out)
	}
	csv := mustParse(t, "t", []byte("name,n\nMara,5\n"))
	if out, _, err := csv.AppendTokens(nil, []Edit{{Field: csv.Find("/0/name"), Kind: EditToken, Start: 1, End: 2, Value: []byte(someToken)}}); err == nil {
		t.Errorf("a part of a cell: %q", out)
	}
	sp := mustParse(t, "spBv1.0/g/DDATA/e/d", []byte(metric(pbText(1, "n"), pbText(9, pb(pbText(1, "who"), pbText(2, pb(pbInt(1, 12), pbText(8, "Mara"))))), pbDouble(13, 1))))
	if out, _, err := sp.AppendTokens(nil, []Edit{
		{Field: sp.Find("/n/who"), Kind: EditString, WholeText: true, Value: []byte("*")},
		{Field: sp.sparkplug.Metrics[0].Field, Kind: EditToken, WholeText: true, Value: []byte(someToken)},
	}); err == nil {
		t.Errorf("a metric and a property of it: %q", out)
	}
}

// TestUnpack: what was packed comes out and goes in again, in its own format.
func TestUnpack(t *testing.T) {
	var d Document
	for _, raw := range []string{"plain", gzipped("name,n\nMara,5\n"), zlibbed("name,n\nMara,5\n"), zstdded("name,n\nMara,5\n")} {
		inside, why := d.Unpack([]byte(raw), Limits{})
		if why != ReasonNone || raw != "plain" && string(inside) != "name,n\nMara,5\n" {
			t.Fatalf("%q: %q, %s", raw, inside, why)
		}
		inside = slices.Clone(inside)
		again, err := d.Pack(nil, append(inside, "Jo,6\n"...))
		if err != nil {
			t.Fatal(err)
		}
		var e Document
		if got, why := e.Unpack(again, Limits{}); why != ReasonNone || string(got) != string(inside)+"Jo,6\n" {
			t.Errorf("packed again: %q, %s", got, why)
		}
	}
	if _, why := d.Unpack([]byte(gzipped("hello")[:12]), Limits{}); why == ReasonNone {
		t.Error("half a file is unpacked")
	}
	if _, why := d.Unpack([]byte(gzipped(strings.Repeat("a", 1<<20))), Limits{}); why != ReasonTooLarge {
		t.Errorf("a bomb: %s", why)
	}
}

// FuzzTokens: whatever is read takes tokens in its places, or refuses them.
func FuzzTokens(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.topic, []byte(s.raw), uint16(0))
	}
	f.Add("t", []byte(`"":{"`), uint16(28)) // a token makes JSON of it
	f.Fuzz(func(t *testing.T, topic string, raw []byte, which uint16) {
		var d Document
		if Parse(&d, topic, raw, Limits{Bytes: 1 << 16, Fields: 1 << 10}) != ReasonNone || d.Root < 0 {
			return
		}
		edits := tokenEdits(&d)
		if len(edits) == 0 {
			return
		}
		checkTokens(t, &d, edits[int(which)%len(edits):][:1])
		checkTokens(t, &d, edits)
	})
}
