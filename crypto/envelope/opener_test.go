package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

func (p parties) registry(gateway string) []*crypto.Verifier {
	if gateway == "gw-1" {
		return []*crypto.Verifier{p.signer.Verifier()}
	}
	return nil
}

func (p parties) archive(t testing.TB) *Opener {
	t.Helper()
	return must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry}))
}

func (p parties) live(t testing.TB) *Opener {
	t.Helper()
	return must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry}))
}

func (p parties) message(st Stamp, msg string, enc Encoding) []byte {
	l := must(p.sealer.Lease(1, len(msg)+len(st.RealTopic)))
	return must(l.SealMessage(nil, st, []byte(msg), enc))
}

func (p parties) document(st Stamp, doc string, fields []FieldCipher) []byte {
	n := 0
	for _, f := range fields {
		n += len(f.Plaintext)
	}
	l := must(p.sealer.Lease(len(fields)+1, n))
	return must(l.SealFields(nil, st, []byte(doc), fields))
}

func wantReason(t *testing.T, err error, want ...payload.Reason) {
	t.Helper()
	if err == nil || !slices.Contains(want, ReasonOf(err)) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestMessageRoundTrip(t *testing.T) {
	p := newParties(t)
	for _, enc := range []Encoding{EncodingCOSE, EncodingJSON} {
		for _, size := range []int{0, 1, 23, 24, 400, 5000, 200000} {
			st := testStamp()
			st.RealTopic, st.Sign = "site/gate/XX 123 YZ", size == 400
			msg := strings.Repeat("x", size)
			got, err := p.live(t).Open("site/gate/3", p.message(st, msg, enc))
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if string(got.Payload) != msg || got.Topic != st.RealTopic || !got.Verified || got.Protection != ProtectionSealed || got.Freshness != New {
				t.Errorf("%d bytes: opened %+v", size, got.Header)
			}
			if want := map[bool]Origin{false: OriginKey, true: OriginSigned}[st.Sign]; got.Origin != want {
				t.Errorf("origin %v, want %v", got.Origin, want)
			}
			h := got.Header
			if h.Gateway != "gw-1" || h.MessageID != st.MessageID || h.Grade != 3 || h.PolicyVersion != 12 || h.Boot != 7 ||
				h.Stream != st.Stream || h.Seq != 41 || h.Topic != "site/gate/3" || h.ContentType != "application/json" || len(h.KIDs) != 1 {
				t.Errorf("header %+v", h)
			}
		}
	}
}

func TestDocumentRoundTrip(t *testing.T) {
	p := newParties(t)
	f := func(pointer, value string) FieldCipher {
		return FieldCipher{Pointer: pointer, Plaintext: []byte(value)}
	}
	tests := []struct {
		name, doc, want string
		fields          []FieldCipher
	}{
		{"null left", `{"plate":null,"n":1}`, `{"plate":"XX 1","n":1}`, []FieldCipher{f("/plate", `"XX 1"`)}},
		{"white space kept", "\n{ \"a\" : null ,\t\"b\":2 } \r\n", "\n{ \"a\" : 1.50 ,\t\"b\":2 } \r\n", []FieldCipher{f("/a", `1.50`)}},
		{"coarse value left", `{"lat":48.1,"lon":11.6}`, `{"lat":48.137154,"lon":11.576124}`, []FieldCipher{f("/lat", "48.137154"), f("/lon", "11.576124")}},
		{"member removed", `{"a":1}`, `{"a":1,"b":"x"}`, []FieldCipher{f("/b", `"x"`)}},
		{"two members removed", "{\"a\":1\n}", "{\"a\":1,\"b\":\"x\",\"c\":2\n}", []FieldCipher{f("/b", `"x"`), f("/c", `2`)}},
		{"only member removed", `{}`, `{"b":"x"}`, []FieldCipher{f("/b", `"x"`)}},
		{"only members removed", `{ }`, `{ "b":"x","c":[]}`, []FieldCipher{f("/b", `"x"`), f("/c", `[]`)}},
		{"nested", `{"o":{"p":[null,{}]},"q":{}}`, `{"o":{"p":[{"k":[1]},{"z":true}]},"q":{"":0}}`,
			[]FieldCipher{f("/o/p/0", `{"k":[1]}`), f("/o/p/1/z", "true"), f("/q/", "0")}},
		{"last member is nested", `{"o":{"p":{}}}`, `{"o":{"p":{"x":1},"y":2},"z":3}`, []FieldCipher{f("/z", "3"), f("/o/y", "2"), f("/o/p/x", "1")}},
		{"escaped pointer", `{"a/b~c":null}`, `{"a/b~c":1,"~1":2}`, []FieldCipher{f("/a~1b~0c", "1"), f("/~01", "2")}},
		{"escaped key", `{"pl\u0061te":null}`, `{"pl\u0061te":"é"}`, []FieldCipher{f("/plate", `"é"`)}},
		{"key to be escaped", `{"a":1}`, `{"a":1,"q\"\\\u0001":2}`, []FieldCipher{f("/q\"\\\x01", "2")}},
		{"_sg in a value", `{"a":"_sg","b":null}`, `{"a":"_sg","b":1}`, []FieldCipher{f("/b", "1")}},
		{"long value", `{"a":null}`, `{"a":"` + strings.Repeat("y", 5000) + `"}`, []FieldCipher{f("/a", `"`+strings.Repeat("y", 5000)+`"`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := p.document(testStamp(), tt.doc, tt.fields)
			if !json.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
			got, err := p.live(t).Open("site/gate/3", out)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Payload) != tt.want {
				t.Errorf("restored %s\n    want %s", got.Payload, tt.want)
			}
			if !got.Verified || got.Protection != ProtectionFields || got.Origin != OriginKey || got.Topic != "site/gate/3" || len(got.Fields) != len(tt.fields) {
				t.Errorf("opened %+v", got)
			}
			for i, f := range got.Fields {
				if f.Pointer != tt.fields[i].Pointer || !f.Opened || f.KID != got.Header.KIDs[0] {
					t.Errorf("field %+v", f)
				}
			}
		})
	}
}

func TestSealFieldsRefuses(t *testing.T) {
	p := newParties(t)
	ok := []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}}
	at := func(pointers ...string) (fs []FieldCipher) {
		for _, x := range pointers {
			fs = append(fs, FieldCipher{Pointer: x, Plaintext: []byte("1")})
		}
		return fs
	}
	tests := []struct {
		name, doc string
		fields    []FieldCipher
		want      error // nil: any
	}{
		{"reserved", `{"a":null,"_sg":"x"}`, ok, ErrReserved},
		{"reserved, escaped", `{"a":null,"\u005fsg":"x"}`, ok, ErrReserved},
		{"reserved, nested", `{"a":null,"b":[{"_sg":1}]}`, ok, ErrReserved},
		{"array", `[1]`, ok, ErrShape},
		{"scalar", `1`, ok, ErrShape},
		{"empty", ``, ok, ErrShape},
		{"brace", `{`, ok, ErrShape},
		{"not JSON with an escape", `{"\u00`, ok, ErrShape},
		{"lines", "{\"a\":null}\n{\"\\u0061\":null}}", ok, ErrShape},
		{"no field", `{}`, nil, nil},
		{"whole document", `{}`, at(""), ErrShape},
		{"no slash", `{}`, at("a"), ErrShape},
		{"bad escape", `{}`, at("/~2"), ErrShape},
		{"cut escape", `{}`, at("/a~"), ErrShape},
		{"not UTF-8", `{}`, at("/\xff"), ErrShape},
		{"trailer", `{}`, at("/_sg"), ErrShape},
		{"inside the trailer", `{}`, at("/_sg/x"), ErrShape},
		{"twice", `{}`, at("/a", "/a"), ErrShape},
		{"inside", `{}`, at("/a", "/b", "/a/b"), ErrShape},
		{"outside", `{}`, at("/a/b", "/a"), ErrShape},
		{"unknown key", `{}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1"), Key: 1}}, nil},
		{"no value", `{}`, []FieldCipher{{Pointer: "/a"}}, nil},
		{"too many", `{}`, make([]FieldCipher, maxFields+1), ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := must(p.sealer.Lease(10, 100)).SealFields(nil, testStamp(), []byte(tt.doc), tt.fields)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || out != nil {
				t.Errorf("got %s, %v; want %v", out, err, tt.want)
			}
		})
	}
	for _, st := range []Stamp{{}, {Topic: "\xff"}, {Topic: "t", ContentType: "\xff"}, {Topic: "t", Seq: 1 << 63}, {Topic: strings.Repeat("t", maxText+1)}} {
		if _, err := must(p.sealer.Lease(10, 100)).SealFields(nil, st, []byte(`{}`), ok); err == nil {
			t.Errorf("stamp %.40v was sealed", st)
		}
		if _, err := must(p.sealer.Lease(10, 100)).SealMessage(nil, st, nil, EncodingCOSE); err == nil {
			t.Errorf("stamp %.40v was sealed", st)
		}
	}
}

// smallest returns one message of each kind, as small as it can be, signed.
func smallest(p parties) map[string][]byte {
	st := Stamp{Topic: "t", Sign: true}
	return map[string][]byte{
		"sealed":   p.message(st, "m", EncodingCOSE),
		"json":     p.message(st, "m", EncodingJSON),
		"document": p.document(st, `{"a":null,"b":2}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}, {Pointer: "/c", Plaintext: []byte("3")}}),
	}
}

func TestEveryBitCounts(t *testing.T) {
	p := newParties(t)
	for name, msg := range smallest(p) {
		t.Run(name, func(t *testing.T) {
			warm := p.archive(t)
			if _, err := warm.Open("t", msg); err != nil {
				t.Fatal(err)
			}
			cold := p.archive(t)
			changed := slices.Clone(msg)
			for i := range changed {
				for bit := range 8 {
					changed[i] ^= 1 << bit
					for _, o := range []*Opener{warm, cold} {
						if got, err := o.Open("t", changed); err == nil || ReasonOf(err) == "" {
							t.Errorf("bit %d of byte %d: opened %q, %v", bit, i, got.Payload, err)
						}
					}
					changed[i] ^= 1 << bit
				}
				if _, err := warm.Open("t", msg[:i]); err == nil {
					t.Errorf("cut at %d: opened", i)
				}
			}
			if _, err := warm.Open("t", append(slices.Clone(msg), 0)); err == nil {
				t.Error("with a byte appended: opened")
			}
		})
	}
}

// rewrite replaces text in a message once, and fails if it is not there.
func rewrite(t *testing.T, msg []byte, old, new string) []byte {
	t.Helper()
	if bytes.Count(msg, []byte(old)) != 1 {
		t.Fatalf("%q is not there once", old)
	}
	return bytes.Replace(msg, []byte(old), []byte(new), 1)
}

func TestEditedDocuments(t *testing.T) {
	p := newParties(t)
	fields := []FieldCipher{{Pointer: "/a", Plaintext: []byte(`"one"`)}, {Pointer: "/b", Plaintext: []byte(`"two"`)}}
	doc := `{"a":null,"b":null,"clear":10}`
	one := p.document(testStamp(), doc, fields)
	st := testStamp()
	st.Seq++
	two := p.document(st, doc, fields)

	parts := func(msg []byte) []string {
		var v struct {
			SG string `json:"_sg"`
		}
		if err := json.Unmarshal(msg, &v); err != nil {
			t.Fatal(err)
		}
		return strings.Split(v.SG, ".")
	}
	with := func(change func([]string) []string) []byte {
		p := parts(one)
		return rewrite(t, one, strings.Join(p, "."), strings.Join(change(slices.Clone(p)), "."))
	}
	set := func(i int, s string) []byte {
		return with(func(p []string) []string { p[i] = s; return p })
	}
	other := parts(two)
	sealed := p.message(testStamp(), "m", EncodingJSON)

	tests := []struct {
		name       string
		msg        []byte
		want       payload.Reason
		unverified bool // opens with AllowReserialized
	}{
		{"clear field edited", rewrite(t, one, `"clear":10`, `"clear":99`), ReasonReserialized, true},
		{"clear field added", rewrite(t, one, `"clear":10`, `"clear":10,"x":1`), ReasonReserialized, true},
		{"white space added", rewrite(t, one, `"clear":10`, `"clear": 10`), ReasonReserialized, true},
		{"member after the tag", append(one[:len(one)-1:len(one)-1], `,"x":1}`...), ReasonReserialized, true},
		{"keys in another order", append([]byte(`{`+string(one[strings.Index(string(one), `"_sg"`):len(one)-1])), `,"clear":10,"b":null,"a":null}`...), ReasonReserialized, true},
		{"leftover edited", rewrite(t, one, `"a":null`, `"a":true`), ReasonReserialized, true},
		{"fields swapped", with(func(p []string) []string { p[3], p[4] = p[4], p[3]; return p }), ReasonBadTag, false},
		{"field of another document", set(3, other[3]), ReasonBadTag, false},
		{"header of another document", set(1, other[1]), ReasonBadTag, false},
		{"tag of another document", set(5, other[5]), ReasonReserialized, true},
		{"trailer of another document", rewrite(t, one, strings.Join(parts(one), "."), strings.Join(other, ".")), "", false},
		{"no tag", set(5, ""), ReasonMalformed, false},
		{"tag cut", set(5, parts(one)[5][:36]), ReasonMalformed, false},
		{"padded base64", set(5, parts(one)[5]+"="), ReasonMalformed, false},
		{"line break in base64", set(5, `\n`+parts(one)[5]), ReasonMalformed, false},
		{"stray bits in base64", set(3, parts(one)[3]+"A"), ReasonMalformed, false},
		{"field missing", with(func(p []string) []string { return slices.Delete(p, 3, 4) }), ReasonMalformed, false},
		{"field added", with(func(p []string) []string { return slices.Insert(p, 3, p[3]) }), ReasonMalformed, false},
		{"part added", with(func(p []string) []string { return append(p, "") }), ReasonMalformed, false},
		{"field emptied", set(3, ""), ReasonMalformed, false},
		{"unknown version", set(0, "2"), ReasonAlgorithm, false},
		{"sealed version", set(0, "1s"), ReasonMalformed, false},
		{"signature added", set(6, strings.Repeat("A", 86)), ReasonBadSignature, false},
		{"signature too short", set(6, "AAAA"), ReasonMalformed, false},
		{"no grants", set(2, "gA"), "", false},
		{"grants cut off", set(2, ""), ReasonMalformed, false},
		{"escape in the trailer", rewrite(t, one, `"_sg":"1.`, `"_sg":"1\u002e`), ReasonReserialized, true},
		{"escape in the trailer's key", rewrite(t, one, `"_sg":`, `"\u005fsg":`), ReasonReserialized, false},
		{"leftover gone", rewrite(t, one, `"a":null,`, ``), ReasonReserialized, true},
		{"trailer twice", rewrite(t, one, `"clear":10`, `"clear":10,"_sg":"1.x"`), ReasonMalformed, false},
		{"trailer not a string", []byte(`{"a":1,"_sg":7}`), ReasonMalformed, false},
		{"trailer nested", []byte(`{"a":{"_sg":"1.x"}}`), ReasonMalformed, false},
		{"trailer without a version", []byte(`{"_sg":"x"}`), ReasonAlgorithm, false},
		{"trailer in an array", []byte(`[{"_sg":"1.x"}]`), ReasonMalformed, false},
		{"trailer gone", []byte(doc), ReasonDowngrade, false},
		{"cut", one[:len(one)-1], ReasonMalformed, false},
		{"sealed with a member more", rewrite(t, sealed, `"}`, `","x":1}`), ReasonMalformed, false},
		{"sealed with a member before", rewrite(t, sealed, `{`, `{"x":1,`), ReasonMalformed, false},
		{"sealed, not base64", []byte(`{"_sg":"1s.!"}`), ReasonMalformed, false},
		{"sealed, empty", []byte(`{"_sg":"1s."}`), ReasonMalformed, false},
		{"empty", nil, ReasonDowngrade, false},
	}
	lenient := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry, AllowReserialized: true}))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.archive(t).Open("site/gate/3", tt.msg)
			switch {
			case tt.want != "":
				wantReason(t, err, tt.want)
			case tt.name == "no grants":
				wantReason(t, err, ReasonUnknownKey)
			case err != nil || got.Header.Seq != st.Seq:
				t.Errorf("a whole other trailer on the same document is that other document: %v", err)
			}
			got, err = lenient.Open("site/gate/3", tt.msg)
			if tt.unverified {
				if err != nil {
					t.Fatalf("lenient opener: %v", err)
				}
				var v map[string]any
				if err := json.Unmarshal(got.Payload, &v); err != nil {
					t.Fatalf("restored %s: %v", got.Payload, err)
				}
				if got.Verified || got.Origin != OriginUnverified || v["a"] != "one" || v["b"] != "two" || v["_sg"] != nil {
					t.Errorf("lenient opener: %+v: %s", got, got.Payload)
				}
			} else if tt.want != "" && tt.want != ReasonReserialized && err == nil {
				t.Errorf("lenient opener: opened %s", got.Payload)
			}
		})
	}
	spaced := []byte(string(one[:len(one)-1]) + " \n\t}\r\n ")
	if got, err := p.archive(t).Open("site/gate/3", spaced); err != nil || !got.Verified {
		t.Errorf("white space behind the trailer: %v", err)
	}
	if _, err := lenient.Open("site/gate/3", rewrite(t, one, `"b":null,`, `"b":null,"_sg2":1,`)); err != nil {
		t.Errorf("lenient opener with a similar key: %v", err)
	}
}

func TestFieldsDoNotMove(t *testing.T) {
	p := newParties(t)
	// A second gateway with its own identity, for the same recipient.
	q := parties{signer: must(crypto.GenerateSigner()), key: p.key}
	q.sealer = must(NewSealer(SealerOptions{Gateway: "gw-2", Signer: q.signer, Boot: 7, Recipients: []Recipient{{Recipient: p.key.Recipient(), Audience: "cloud"}}}))
	registry := func(g string) []*crypto.Verifier {
		return map[string][]*crypto.Verifier{"gw-1": {p.signer.Verifier()}, "gw-2": {q.signer.Verifier()}}[g]
	}
	open := func(msg []byte) error {
		_, err := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: registry})).Open("site/gate/3", msg)
		return err
	}
	fields := []FieldCipher{{Pointer: "/a", Plaintext: []byte(`"one"`)}}
	doc := `{"a":null}`
	mine, theirs := p.document(testStamp(), doc, fields), q.document(testStamp(), doc, fields)
	if err := open(mine); err != nil {
		t.Fatal(err)
	}
	if err := open(theirs); err != nil {
		t.Fatal(err)
	}
	sg := func(msg []byte) []string { return strings.Split(string(msg[len(`{"a":null,"_sg":"`):len(msg)-2]), ".") }
	mixed := func(from []string, i ...int) []byte {
		parts := slices.Clone(sg(mine))
		for _, i := range i {
			parts[i] = from[i]
		}
		return []byte(`{"a":null,"_sg":"` + strings.Join(parts, ".") + `"}`)
	}
	wantReason(t, open(mixed(sg(theirs), 3)), ReasonBadTag)       // field
	wantReason(t, open(mixed(sg(theirs), 3, 4)), ReasonBadTag)    // field and tag
	wantReason(t, open(mixed(sg(theirs), 1)), ReasonUnknownKey)   // header: its key is not the inline grant's
	wantReason(t, open(mixed(sg(theirs), 2)), ReasonUnknownKey)   // grant
	wantReason(t, open(mixed(sg(theirs), 1, 2)), ReasonBadTag)    // header and grant
	wantReason(t, open(mixed(sg(theirs), 1, 2, 4)), ReasonBadTag) // all but the field

	// gw-2 claims to be gw-1.
	liar := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: q.signer, Boot: 7, Recipients: []Recipient{{Recipient: p.key.Recipient(), Audience: "cloud"}}}))
	q.sealer = liar
	wantReason(t, open(q.document(testStamp(), doc, fields)), ReasonOrigin)
	wantReason(t, open(q.message(testStamp(), "m", EncodingCOSE)), ReasonOrigin)

	// A path that only differs in a prefix or an escape is another path.
	for _, pointer := range []string{"/a/", "/A", "/a~0", "/a/0"} {
		l := must(p.sealer.Lease(2, 10))
		sc := new(scratch)
		h := appendHeader(nil, &Stamp{Topic: "t"}, []*Lease{l}, fields)
		sc.aad = appendFieldAAD(nil, h, "/a")
		ct := must(l.key.dek.Seal(nil, []byte("1"), sc.aad))
		if _, err := l.key.dek.Open(nil, ct, appendFieldAAD(nil, h, pointer)); err == nil {
			t.Errorf("field opens at %s", pointer)
		}
	}
}

func TestAudiences(t *testing.T) {
	p := newParties(t)
	police := must(crypto.GenerateRecipientKey(crypto.KEMP256))
	second := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Alg: crypto.AlgAES256GCM, Recipients: []Recipient{{Recipient: police.Recipient(), Audience: "police"}}}))
	fields := []FieldCipher{
		{Pointer: "/speed", Plaintext: []byte("42")},
		{Pointer: "/plate", Plaintext: []byte(`"XX 1"`), Key: 1},
		{Pointer: "/owner", Plaintext: []byte(`"Ada"`), Key: 1},
	}
	doc := `{"speed":null,"plate":null,"at":1}`
	a, b := must(p.sealer.Lease(2, 100)), must(second.Lease(3, 100))
	msg := must(a.SealFields(nil, testStamp(), []byte(doc), fields, b))
	opener := func(keys ...*crypto.RecipientKey) *Opener {
		return must(NewOpener(OpenerOptions{Keys: keys, Verifiers: p.registry}))
	}
	for _, tt := range []struct {
		name string
		keys []*crypto.RecipientKey
		want string
		open []bool
	}{
		{"first", []*crypto.RecipientKey{p.key}, `{"speed":42,"plate":null,"at":1}`, []bool{true, false, false}},
		{"second", []*crypto.RecipientKey{police}, `{"speed":null,"plate":"XX 1","at":1,"owner":"Ada"}`, []bool{false, true, true}},
		{"both", []*crypto.RecipientKey{p.key, police}, `{"speed":42,"plate":"XX 1","at":1,"owner":"Ada"}`, []bool{true, true, true}},
	} {
		got, err := opener(tt.keys...).Open("site/gate/3", msg)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if string(got.Payload) != tt.want || !got.Verified || len(got.Header.KIDs) != 2 {
			t.Errorf("%s: %s", tt.name, got.Payload)
		}
		for i, f := range got.Fields {
			if f.Opened != tt.open[i] || f.KID != got.Header.KIDs[fields[i].Key] {
				t.Errorf("%s: field %+v", tt.name, f)
			}
		}
	}
	_, err := opener(must(crypto.GenerateRecipientKey(crypto.KEMX25519))).Open("site/gate/3", msg)
	wantReason(t, err, ReasonNoRecipient)

	// All or none: with the second audience's field damaged, holders of both keys
	// get nothing, even where the document may be written anew.
	parts := strings.Split(string(msg), ".")
	parts[5] = parts[4]
	lenient := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key, police}, Verifiers: p.registry, AllowReserialized: true}))
	_, err = lenient.Open("site/gate/3", []byte(strings.Join(parts, ".")))
	wantReason(t, err, ReasonBadTag)

	// Another audience's field can't be checked, only that it is one.
	parts = strings.Split(string(msg), ".")
	lenient = must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Verifiers: p.registry, AllowReserialized: true}))
	for _, c := range []string{"", "AAAA", strings.Repeat("A", 4*15), strings.Repeat("A", 4*21), parts[5] + "="} {
		parts[4] = c
		_, err = lenient.Open("site/gate/3", []byte(strings.Join(parts, ".")))
		wantReason(t, err, ReasonMalformed)
	}

	// By reference, a missing grant may be ours: nothing opens until it is there.
	ref := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Alg: crypto.AlgAES256GCM, Reference: true, Recipients: []Recipient{{Recipient: police.Recipient(), Audience: "police"}}}))
	refA := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Alg: crypto.AlgAES256GCM, Reference: true, Recipients: []Recipient{{Recipient: p.key.Recipient(), Audience: "cloud"}}}))
	a, b = must(refA.Lease(2, 100)), must(ref.Lease(3, 100))
	msg = must(a.SealFields(nil, testStamp(), []byte(doc), fields, b))
	o := opener(p.key)
	_, err = o.Open("site/gate/3", msg)
	wantReason(t, err, ReasonUnknownKey)
	if kid := must(o.AddGrant(a.Grant())); kid != a.KID() {
		t.Errorf("grant is %v, want %v", kid, a.KID())
	}
	_, err = o.Open("site/gate/3", msg)
	wantReason(t, err, ReasonUnknownKey)
	must(o.AddGrant(b.Grant()))
	if _, err = o.Open("site/gate/3", msg); err != nil {
		t.Errorf("with both grants: %v", err)
	}

	// Two leases of one key, a key without a field, another gateway.
	two := []FieldCipher{{Pointer: "/speed", Plaintext: []byte("42")}, {Pointer: "/plate", Plaintext: []byte(`"XX 1"`), Key: 1}}
	if _, err := must(p.sealer.Lease(2, 9)).SealFields(nil, testStamp(), []byte(doc), two, must(p.sealer.Lease(2, 9))); err == nil {
		t.Error("two leases of one key were used")
	}
	if _, err := must(p.sealer.Lease(2, 9)).SealFields(nil, testStamp(), []byte(doc), two[:1], must(second.Lease(2, 9))); err == nil {
		t.Error("a key without a field was used")
	}
	chacha := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Alg: crypto.AlgChaCha20Poly1305, Recipients: []Recipient{{Recipient: police.Recipient()}}}))
	if _, err := must(p.sealer.Lease(2, 9)).SealFields(nil, testStamp(), []byte(doc), two, must(chacha.Lease(2, 9))); err == nil {
		t.Error("keys of two algorithms were mixed")
	}
	far := must(NewSealer(SealerOptions{Gateway: "gw-2", Signer: p.signer, Boot: 7, Alg: crypto.AlgAES256GCM, Recipients: []Recipient{{Recipient: police.Recipient()}}}))
	if _, err := must(p.sealer.Lease(2, 9)).SealFields(nil, testStamp(), []byte(doc), two, must(far.Lease(2, 9))); err == nil {
		t.Error("keys of two gateways were mixed")
	}
}

func TestGrantCacheIsBounded(t *testing.T) {
	p := newParties(t)
	ref := must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Alg: crypto.AlgAES256GCM, Reference: true, Recipients: []Recipient{{Recipient: p.key.Recipient()}}}))
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry, MaxGrants: 2}))
	var msgs [][]byte
	for i := range 3 {
		l := must(ref.Lease(1, 1))
		st := testStamp()
		st.Seq = uint64(i)
		msgs = append(msgs, must(l.SealMessage(nil, st, []byte("m"), EncodingCOSE)))
		must(o.AddGrant(l.Grant()))
		must(o.Open("site/gate/3", msgs[0])) // stays in use
		ref.Rotate()
		if i == 1 {
			must(o.Open("site/gate/3", msgs[1]))
			must(o.Open("site/gate/3", msgs[0]))
		}
	}
	_, err := o.Open("site/gate/3", msgs[1])
	wantReason(t, err, ReasonUnknownKey)
	must(o.Open("site/gate/3", msgs[2]))
	if o.recent.Len() != 2 || len(o.grants) != 2 {
		t.Errorf("%d grants are cached", o.recent.Len())
	}
}

func TestErrorsSayNothing(t *testing.T) {
	p := newParties(t)
	msg := p.document(testStamp(), `{"a":null,"note":"private"}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte(`"secret"`)}})
	for i := range msg {
		changed := slices.Clone(msg)
		changed[i] ^= 1
		_, err := p.archive(t).Open("site/gate/3", changed)
		if err == nil {
			t.Fatalf("byte %d: opened", i)
		}
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "private") || strings.Contains(text, "secret") || strings.Contains(text, "gate/3") || len(text) > 120 {
			t.Fatalf("error says %q", text)
		}
	}
	if ReasonOf(nil) != "" || ReasonOf(ErrLease) != "" {
		t.Error("an error without a reason has one")
	}
	if !reflect.DeepEqual(refuse(ReasonReplay, "message"), &Error{ReasonReplay, "message"}) {
		t.Error("refuse returns something else")
	}
}
