package envelope

import (
	"bytes"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// TestAuthenticButUnfit: a defect of a gateway must not become a broken
// document at the consumer's.
func TestAuthenticButUnfit(t *testing.T) {
	p := newParties(t)
	for _, tt := range []struct{ name, doc, pointer, value string }{
		{"no parent", `{"a":1}`, "/x/y", "1"},
		{"parent is a number", `{"a":1}`, "/a/y", "1"},
		{"parent is a string", `{"a":"x"}`, "/a/0", "1"},
		{"element behind the end", `{"a":[1]}`, "/a/1", "1"},
		{"element to be appended", `{"a":[1]}`, "/a/-", "1"},
		{"index with a zero in front", `{"a":[1]}`, "/a/00", "1"},
		{"value is not JSON", `{"a":1}`, "/a", "{"},
		{"value is two", `{"a":1}`, "/a", "1,2"},
		{"value closes the document", `{"a":1}`, "/a", `1}{"b":2`},
		{"value is empty", `{"a":1}`, "/a", "  "},
		{"value with equal keys", `{"a":1}`, "/a", `{"k":1,"k":2}`},
		{"value with a lone surrogate", `{"a":1}`, "/a", `"\ud800"`},
		{"value not UTF-8", `{"a":1}`, "/a", "\"\xff\""},
		{"document is not JSON", `{"a":}`, "/a", "1"},
		{"document with equal keys", `{"a":1,"a":2}`, "/a", "1"},
		{"document is lines", "{\"a\":1}\n{\"b\":2}", "/a", "1"},
	} {
		msg := p.document(testStamp(), tt.doc, []FieldCipher{{Pointer: tt.pointer, Plaintext: []byte(tt.value)}})
		for _, lenient := range []bool{false, true} {
			o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry, AllowReserialized: lenient}))
			if got, err := o.Open("site/gate/3", msg); ReasonOf(err) != ReasonMalformed {
				t.Errorf("%s: %s, %v", tt.name, got.Payload, err)
			}
		}
	}
}

func TestPointersAreDisjoint(t *testing.T) {
	for _, tt := range []struct {
		pointers []string
		ok       bool
	}{
		{[]string{"/a", "/b", "/a~1b", "/c/d", "/c/e", "/ab"}, true},
		{[]string{"/a", "/a"}, false},
		{[]string{"/a~1", "/b", "/a~1"}, false},
		{[]string{"/a", "/a/b"}, false},
		{[]string{"/a/b/c", "/a/b"}, false},
		{[]string{"/a/", "/a"}, false},
	} {
		var fields []FieldEntry
		for _, p := range tt.pointers {
			fields = append(fields, FieldEntry{Pointer: p})
		}
		if _, ok := newPointerTree(fields); ok != tt.ok {
			t.Errorf("%v: accepted %v", tt.pointers, ok)
		}
	}
}

func TestPlaintextIsStrict(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"without topic", encode([]any{[]byte("m"), []byte{0, 0}}), true},
		{"with topic", encode([]any{[]byte("m"), map[int]any{1: "t"}, []byte{}}), true},
		{"no padding", encode([]any{[]byte("m")}), false},
		{"padding not zero", encode([]any{[]byte("m"), []byte{0, 1}}), false},
		{"empty topic", encode([]any{[]byte("m"), map[int]any{1: ""}, []byte{}}), false},
		{"another label", encode([]any{[]byte("m"), map[int]any{2: "t"}, []byte{}}), false},
		{"two labels", encode([]any{[]byte("m"), map[int]any{1: "t", 2: "u"}, []byte{}}), false},
		{"a part more", encode([]any{[]byte("m"), map[int]any{1: "t"}, []byte{}, 1}), false},
		{"text", encode([]any{"m", []byte{}}), false},
		{"byte behind", append(encode([]any{[]byte("m"), []byte{}}), 0), false},
	} {
		msg, _, ok := parsePlaintext(tt.b)
		if ok != tt.ok || ok && !bytes.Equal(msg, []byte("m")) {
			t.Errorf("%s: accepted %v", tt.name, ok)
		}
	}
}

func TestEncrypt0IsStrict(t *testing.T) {
	iv, grant, sig, ct := make([]byte, 12), []byte{1}, make([]byte, 64), make([]byte, 16)
	for _, tt := range []struct {
		name string
		v    []any
		ok   bool
	}{
		{"by reference", []any{[]byte{1}, map[int]any{5: iv}, ct}, true},
		{"inline, signed", []any{[]byte{1}, map[int]any{5: iv, -70007: grant, -70008: sig}, ct}, true},
		{"signed", []any{[]byte{1}, map[int]any{5: iv, -70008: sig}, ct}, true},
		{"no iv", []any{[]byte{1}, map[int]any{-70007: grant}, ct}, false},
		{"partial iv", []any{[]byte{1}, map[int]any{6: iv}, ct}, false},
		{"short iv", []any{[]byte{1}, map[int]any{5: iv[1:]}, ct}, false},
		{"unknown label", []any{[]byte{1}, map[int]any{5: iv, 6: 1}, ct}, false},
		{"algorithm outside", []any{[]byte{1}, map[int]any{1: 3, 5: iv}, ct}, false},
		{"short signature", []any{[]byte{1}, map[int]any{5: iv, -70008: sig[1:]}, ct}, false},
		{"no header", []any{[]byte{}, map[int]any{5: iv}, ct}, false},
		{"shorter than a tag", []any{[]byte{1}, map[int]any{5: iv}, ct[1:]}, false},
		{"detached", []any{[]byte{1}, map[int]any{5: iv}, nil}, false},
		{"a part more", []any{[]byte{1}, map[int]any{5: iv}, ct, 1}, false},
	} {
		if _, ok := parseEncrypt0(append([]byte{tagEncrypt0}, encode(tt.v)...)); ok != tt.ok {
			t.Errorf("%s: accepted %v", tt.name, ok)
		}
	}
}

func TestWords(t *testing.T) {
	var got []string
	for f := Unchecked; f <= Duplicate; f++ {
		got = append(got, f.String())
	}
	for p := ProtectionNone; p <= ProtectionSealed; p++ {
		got = append(got, p.String())
	}
	for o := OriginUnverified; o <= OriginSigned; o++ {
		got = append(got, o.String())
	}
	want := []string{"unchecked", "new", "late", "duplicate", "none", "fields", "sealed", "unverified", "key", "signed"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("word %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestSignatureNeedsRegistry(t *testing.T) {
	p := newParties(t)
	st := testStamp()
	st.Sign = true
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Require: func(string) Requirement { return Requirement{Signed: true} }}))
	_, err := o.Open("site/gate/3", p.message(st, "m", EncodingCOSE))
	wantReason(t, err, ReasonOrigin)
}
