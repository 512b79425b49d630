package envelope

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// A tokenDoc is a document and what of it is encrypted: paths, or, of a text,
// one range.
type tokenDoc struct {
	topic, raw string
	paths      []string
	start, end uint32
}

var (
	tokenCSV  = tokenDoc{raw: "driver,email,n\nAda Example,ada@example.org,5\n\"Muster, Jo\",jo@example.org,6\n", paths: []string{"/0/driver", "/0/email", "/1/driver"}}
	tokenDocs = map[string]tokenDoc{
		"CSV":         tokenCSV,
		"CBOR":        {raw: "\xa2\x66driver\x6bAda Example\x64lats\x82\xfb\x40\x4a\x42\x10\xbb\xac\x71\x0d\x18\x20", paths: []string{"/driver", "/lats/0"}},
		"MessagePack": {raw: "\x82\xa6driver\xabAda Example\xa1n\x07", paths: []string{"/driver"}},
		"SenML":       {raw: `[{"bn":"urn:dev:1:","n":"pulse","u":"beat/min","v":71.50},{"n":"who","vs":"Ada Example"}]`, paths: []string{"/0/v", "/1/vs"}},
		"XML":         {raw: `<event at="3"><owner>Ada &amp; Jo</owner><n>5</n></event>`, paths: []string{"/event/at", "/event/owner"}},
		"line":        {raw: `truck,driver=Ada\ Example lat=52.516275,n=7i 1700000000`, paths: []string{"/0/driver", "/0/lat"}},
		"logfmt":      {raw: `level=info driver="Ada Example" n=5`, paths: []string{"/0/driver"}},
		"form":        {raw: `driver=Ada+Example&n=5`, paths: []string{"/driver"}},
		"JSON lines":  {raw: "{\"driver\":\"Ada Example\"}\n{\"n\": 5.50 }\n", paths: []string{"/0/driver", "/1/n"}},
		"text":        {raw: "write to ada@example.org soon", start: 9, end: 24},
		"Sparkplug":   {topic: "spBv1.0/plant/DDATA/edge/line", raw: "\x12\x17\x0a\x06driver\x20\x0c\x7a\x0bAda Example\x12\x0e\x0a\x01n\x20\x0a\x69\x00\x00\x00\x00\x00\x00\xf0\x3f\x18\x05", paths: []string{"/driver"}},
		"gzip":        {raw: gzipped("driver=Ada+Example&n=5"), paths: []string{"/driver"}},
	}
)

// gzipped is a payload in gzip.
func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	must(w.Write([]byte(s)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// sealTokens encrypts what a tokenDoc names; field i is under key keys[i], 0
// where there is none.
func sealTokens(t testing.TB, doc tokenDoc, st Stamp, keys []int, l *Lease, further ...*Lease) []byte {
	t.Helper()
	var d payload.Document
	if why := payload.Parse(&d, doc.topic, []byte(doc.raw), payload.Limits{}); why != payload.ReasonNone {
		t.Fatalf("%q: %s", doc.raw, why)
	}
	var edits []payload.Edit
	if len(doc.paths) == 0 {
		edits = append(edits, payload.Edit{Field: d.Root, Kind: payload.EditToken, Start: doc.start, End: doc.end})
	}
	for _, p := range doc.paths {
		i := d.Find(p)
		if i < 0 {
			t.Fatalf("%q: no %s", doc.raw, p)
		}
		edits = append(edits, payload.Edit{Field: i, Kind: payload.EditToken, WholeText: true})
	}
	var fields []FieldCipher
	for i, e := range edits {
		gone, ok := d.TokenSpan(e.Field, e.Start, e.End)
		if !ok {
			t.Fatalf("%q: no place for a token", doc.raw)
		}
		f := FieldCipher{Pointer: string(d.AppendPath(nil, e.Field)), Plaintext: d.Raw[gone.Start:gone.End]}
		if i < len(keys) {
			f.Key = keys[i]
		}
		fields = append(fields, f)
	}
	sealed := must(l.SealTokens(nil, st, fields, func(tokens [][]byte) ([]byte, []TokenPlace, error) {
		for i := range edits {
			edits[i].Value = tokens[i]
		}
		out, at, err := d.AppendTokens(nil, edits)
		var places []TokenPlace
		for i, k := range at {
			places = append(places, TokenPlace{At: int(k.At), Before: int(k.At - k.Out.Start), After: int(k.Out.End) - int(k.At) - len(tokens[i])})
		}
		return out, places, err
	}, further...))
	return must(d.Pack(nil, sealed))
}

// TestTokens: what is sealed in a format opens to the same bytes, and not at all
// once one of them was changed.
func TestTokens(t *testing.T) {
	p := newParties(t)
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry}))
	for name, doc := range tokenDocs {
		t.Run(name, func(t *testing.T) {
			st := testStamp()
			st.Sign = name == "CSV"
			msg := sealTokens(t, doc, st, nil, must(p.sealer.Lease(8, 1000)))
			got, err := o.Open(st.Topic, msg)
			if err != nil {
				t.Fatal(err)
			}
			if want := inside(t, doc.raw); inside(t, string(got.Payload)) != want || !got.Verified || got.Protection != ProtectionFields {
				t.Errorf("opened %q, want %q", got.Payload, want)
			}
			if (name == "CSV") != (got.Origin == OriginSigned) {
				t.Errorf("origin %s", got.Origin)
			}
			for _, shown := range []string{"Ada ", `Ada\`, "Ada+Example", "ada@"} { // "Ada" alone is in base64 now and then
				if strings.Contains(inside(t, string(msg)), shown) {
					t.Errorf("still shows %q: %q", shown, msg)
				}
			}
			if name == "gzip" {
				return // what is packed is hashed unpacked
			}
			for i := range msg {
				bad := slices.Clone(msg)
				bad[i] ^= 4
				if got, err := o.Open(st.Topic, bad); err == nil {
					t.Fatalf("opens with byte %d changed: %q", i, got.Payload)
				}
				if got, err := o.Open(st.Topic, msg[:i]); err == nil {
					t.Fatalf("opens when cut at %d: %q", i, got.Payload)
				}
			}
		})
	}
}

func inside(t *testing.T, raw string) string {
	t.Helper()
	var d payload.Document
	b, why := d.Unpack([]byte(raw), payload.Limits{})
	if why != payload.ReasonNone {
		t.Fatalf("unpack %q: %s", raw, why)
	}
	return string(b)
}

// TestTokensMoved: tokens belong to their places and their documents.
func TestTokensMoved(t *testing.T) {
	p := newParties(t)
	st := testStamp()
	one := sealTokens(t, tokenCSV, st, nil, must(p.sealer.Lease(4, 200)))
	st.Seq++
	two := sealTokens(t, tokenCSV, st, nil, must(p.sealer.Lease(4, 200)))
	tokens := tokenOtherShape.FindAll(one, -1)
	swapped := bytes.Replace(one, tokens[0], []byte("§"), 1)
	swapped = bytes.Replace(swapped, tokens[1], tokens[0], 1)
	swapped = bytes.Replace(swapped, []byte("§"), tokens[1], 1)
	for _, tt := range []struct {
		name   string
		msg    []byte
		reason payload.Reason
	}{
		{"edited around", bytes.Replace(one, []byte(",5\n"), []byte(",6\n"), 1), ReasonReserialized},
		{"quotes gone", bytes.ReplaceAll(one, []byte(`"`), nil), ReasonReserialized},
		{"swapped", swapped, ReasonBadTag},
		{"of another document", bytes.Replace(one, tokens[0], tokenOtherShape.Find(two), 1), ReasonBadTag},
		{"one missing", bytes.Replace(one, tokens[1], []byte("x"), 1), ReasonMalformed},
		{"one more", append(slices.Clone(one), tokens[1]...), ReasonMalformed},
		{"a second first", append(slices.Clone(one), one...), ReasonMalformed},
		{"the mark alone", append(slices.Clone(one), "sealgate1"...), ReasonMalformed},
		{"no first", one[bytes.Index(one, tokens[0]):], ReasonMalformed},
	} {
		for _, lenient := range []bool{false, true} {
			o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry, AllowReserialized: lenient}))
			if got, err := o.Open(st.Topic, tt.msg); ReasonOf(err) != tt.reason {
				t.Errorf("%s: %v, want %s: %q", tt.name, err, tt.reason, got.Payload)
			}
		}
	}
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Require: func(string) Requirement { return Requirement{Sealed: true} }}))
	if _, err := o.Open(st.Topic, one); ReasonOf(err) != ReasonDowngrade {
		t.Errorf("tokens where all must be sealed: %v", err)
	}
}

var tokenOtherShape = regexp.MustCompile(`sealgate1c\.[A-Za-z0-9_-]+\.`)

// TestTokensUnfit: a defect of a gateway must not become a broken document at
// the consumer's, nor a document that does not open.
func TestTokensUnfit(t *testing.T) {
	p := newParties(t)
	st := testStamp()
	seal := func(write func(tokens [][]byte) ([]byte, []TokenPlace, error), pointers ...string) ([]byte, error) {
		var fs []FieldCipher
		for _, at := range pointers {
			fs = append(fs, FieldCipher{Pointer: at, Plaintext: []byte("x")})
		}
		return must(p.sealer.Lease(len(pointers)+1, 50)).SealTokens(nil, st, fs, write)
	}
	at := func(pattern string, before, after int) func([][]byte) ([]byte, []TokenPlace, error) {
		return func(tokens [][]byte) ([]byte, []TokenPlace, error) {
			var doc []byte
			var places []TokenPlace
			for i, part := range strings.Split(pattern, "§") {
				if doc = append(doc, part...); i < len(tokens) && i < strings.Count(pattern, "§") {
					places = append(places, TokenPlace{At: len(doc), Before: before, After: after})
					doc = append(doc, tokens[i]...)
				}
			}
			return doc, places, nil
		}
	}
	for _, tt := range []struct {
		name     string
		write    func([][]byte) ([]byte, []TokenPlace, error)
		pointers []string
		want     error
	}{
		{"no field", at("a", 0, 0), nil, nil},
		{"no token", at("a", 0, 0), []string{"/a"}, ErrReserved},
		{"a mark beside", at("a § sealgate1", 0, 0), []string{"/a"}, ErrReserved},
		{"a token beside", at("a § sealgate1c.AA. b", 0, 0), []string{"/a"}, ErrReserved},
		{"one is missing", at("a § b", 0, 0), []string{"/a", "/b"}, ErrReserved},
		{"a place before the begin", at("§", -1, 0), []string{"/a"}, ErrShape},
		{"a pointer without a slash", at("§", 0, 0), []string{"a"}, ErrShape},
		{"writing fails", func([][]byte) ([]byte, []TokenPlace, error) { return nil, nil, errTest }, []string{"/a"}, errTest},
		{"a wrong place", func(tokens [][]byte) ([]byte, []TokenPlace, error) { return tokens[0], []TokenPlace{{At: 1}}, nil }, []string{"/a"}, ErrShape},
		{"too many", at("§", 0, 0), slices.Repeat([]string{"/a"}, maxFields+1), ErrTooLarge},
	} {
		if out, err := seal(tt.write, tt.pointers...); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v: %q", tt.name, err, tt.want, out)
		}
	}
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry}))
	for name, write := range map[string]func([][]byte) ([]byte, []TokenPlace, error){
		"more before than there is": at("a§b", 2, 0), "more behind than there is": at("a§b", 0, 2), "over another token": at("a§b§c", 2, 2),
	} {
		pointers := []string{"/a", "/b"}[:1+strings.Count(name, "another")]
		if got, err := o.Open(st.Topic, must(seal(write, pointers...))); ReasonOf(err) != ReasonMalformed {
			t.Errorf("%s: %q, %v", name, got.Payload, err)
		}
	}
	if got, err := o.Open(st.Topic, must(seal(at("a§b§c", 1, 0), "", ""))); err != nil || string(got.Payload) != "xxc" {
		t.Errorf("%q, %v", got.Payload, err)
	}
}

var errTest = errors.New("test")

// TestTokenPlaintext: padding goes, and nothing else.
func TestTokenPlaintext(t *testing.T) {
	for _, value := range []string{"", "x", "x\x80", "x\x80\x00\x00", strings.Repeat("\x00", 40)} {
		b := appendTokenPlaintext(nil, TokenPlace{Before: 3, After: 70000}, []byte(value))
		before, after, got, ok := parseTokenPlaintext(b)
		if !ok || before != 3 || after != 70000 || string(got) != value || len(b)&(len(b)-1) != 0 || len(b) < minPadded {
			t.Errorf("%q: %d %d %q %v in %d bytes", value, before, after, got, ok, len(b))
		}
	}
	for _, bad := range []string{"", "\x80", "1234567\x80", "12345678", "12345678x\x00"} {
		if _, _, _, ok := parseTokenPlaintext([]byte(bad)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

// takeTokensApart computes the steps of a document with tokens by the text of
// the format, as takeApart does for the others.
func (s *vectorSet) takeTokensApart(t *testing.T, v *vector, doc []byte, learn func([]byte), dekOf func([]byte) vectorDEK) (st vectorSteps) {
	t.Helper()
	raw := func(text string) []byte { return must(base64.RawURLEncoding.DecodeString(text)) }
	first := regexp.MustCompile(`sealgate1h\.([\w-]*)\.([\w-]*)\.([\w-]*)\.([\w-]*)\.([\w-]*)\.`).FindSubmatchIndex(doc)
	part := func(i int) string { return string(doc[first[2*i]:first[2*i+1]]) }
	var h struct {
		KID     []byte   `cbor:"4,keyasint"`
		Fields  [][]any  `cbor:"-70005,keyasint"`
		Further [][]byte `cbor:"-70006,keyasint"`
	}
	st.Header = raw(part(1))
	if err := strictDecoder(t).Unmarshal(st.Header, &h); err != nil {
		t.Fatal(err)
	}
	var inline [][]byte
	decodeCanonical(t, raw(part(2)), &inline)
	for _, g := range inline {
		learn(g)
	}
	for _, kid := range append([][]byte{h.KID}, h.Further...) {
		st.DataKeys = append(st.DataKeys, dekOf(kid))
	}
	ciphers := []string{part(3)}
	for _, m := range regexp.MustCompile(`sealgate1c\.([\w-]*)\.`).FindAllSubmatch(doc[first[1]:], -1) {
		ciphers = append(ciphers, string(m[1]))
	}
	if len(ciphers) != len(h.Fields) {
		t.Fatalf("%d tokens, %d fields", len(ciphers), len(h.Fields))
	}
	for i, f := range h.Fields {
		vf := vectorField{Pointer: f[0].(string), Key: int(f[1].(uint64)), Blob: raw(ciphers[i])}
		vf.AAD = encode([]any{"sg1/token", []byte(st.Header), i})
		if k := st.DataKeys[vf.Key]; k.DEK != nil {
			vf.Plaintext = must(aeadFor(k.Alg, k.DEK).Open(nil, vf.Blob[:12], vf.Blob[12:], vf.AAD))
		}
		st.Fields = append(st.Fields, vf)
	}
	hash := func(from int) []byte {
		sum := sha256.Sum256(append(slices.Clone(doc[:from]), doc[first[11]:]...))
		return sum[:]
	}
	for i, k := range st.DataKeys {
		tag := vectorField{Key: i, Blob: raw(part(4))[28*i : 28*i+28], AAD: encode([]any{"sg1/tokens", []byte(st.Header), hash(first[8])})}
		if k.DEK != nil {
			must(aeadFor(k.Alg, k.DEK).Open(nil, tag.Blob[:12], tag.Blob[12:], tag.AAD))
		}
		st.Tags = append(st.Tags, tag)
	}
	if part(5) != "" {
		st.ToBeSigned, st.Signature = encode([]any{"sg1/tokens/sign", hash(first[10])}), raw(part(5))
	}
	return st
}
