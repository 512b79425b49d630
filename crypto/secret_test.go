package crypto

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSecretsNeverPrint prints every type that holds a secret in every way that
// a careless line of code might, alone and inside other values.
func TestSecretsNeverPrint(t *testing.T) {
	raw := bytes.Repeat([]byte{0xA7}, KeySize)
	must := func(v any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	box := must(InsecureSecretKey(raw)).(*SecretKey)
	ring, err := OpenKeyring(t.TempDir(), testKEK{box}, "gw", nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]any{
		"SecretKey":     box,
		"DEK":           must(OpenDEK(AlgAES256GCM, raw)),
		"DEK chacha":    must(OpenDEK(AlgChaCha20Poly1305, raw)),
		"Signer":        must(InsecureSigner(raw)),
		"RecipientKey":  must(InsecureRecipientKey(KEMX25519, raw)),
		"P-256 key":     must(InsecureRecipientKey(KEMP256, raw)),
		"SegmentCipher": must(NewSegmentCipher(box, AlgAES256GCM, make([]byte, 32), nil)),
		"Pseudonymizer": must(NewPseudonymizer([]PseudonymKey{{Domain: "d", Version: 1, Key: box}})),
		"Keyring":       ring,
		"X-Wing key":    must(InsecureRecipientKey(KEMXWing, raw)),
		"PseudonymKey":  PseudonymKey{Domain: "d", Version: 1, Key: box},
		"RecipientFile": RecipientFile{Audience: "a", Key: must(InsecureRecipientKey(KEMX25519, raw)).(*RecipientKey)},
		"Binding":       Binding{KEK: testKEK{box}, Gateway: "gw"},
	}
	for _, name := range secretTypes(t) {
		if secrets[name] == nil {
			t.Errorf("type %s holds a secret and is not printed here", name)
		}
	}
	leaks := []string{
		string(raw[:4]), hex.EncodeToString(raw[:4]), strings.ToUpper(hex.EncodeToString(raw[:4])),
		base64.StdEncoding.EncodeToString(raw)[:6], "167 167", "0xa7, 0xa7", "a7 a7",
	}
	for name, v := range secrets {
		t.Run(name, func(t *testing.T) {
			var out []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d", "% x"} {
				out = append(out, fmt.Sprintf(verb, v), fmt.Sprintf(verb, []any{v}), fmt.Sprintf(verb, struct{ K any }{v}), fmt.Sprintf(verb, struct{ k any }{v}))
			}
			out = append(out, fmt.Sprint(v), fmt.Errorf("x: %v", v).Error())
			for _, wrapped := range []any{v, map[string]any{"k": v}, []any{v}} {
				j, err := json.Marshal(wrapped)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, string(j))
			}
			var log bytes.Buffer
			for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
				slog.New(h).Info("m", "k", v, "g", slog.GroupValue(slog.Any("k", v)))
			}
			out = append(out, log.String())
			for _, s := range out {
				for _, leak := range leaks {
					if strings.Contains(s, leak) {
						t.Errorf("shows key bytes: %.80s", s)
					}
				}
			}
			for _, s := range []string{fmt.Sprint(v), fmt.Sprintf("%#v", v), fmt.Sprintf("%x", v), out[len(out)-1]} {
				if !strings.Contains(s, redactedText) {
					t.Errorf("does not say that it is redacted: %.80s", s)
				}
			}
		})
	}
}

// secretTypes returns the exported types of this package that hold a secret, or
// a type that does: those that redact themselves, and those with such a field.
func secretTypes(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	secret := map[string]bool{"redacted": true, "hidden": true, "KEK": true}
	for before := 0; before != len(secret); {
		before = len(secret)
		for name, s := range structs {
			for _, field := range s.Fields.List {
				ast.Inspect(field.Type, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok && secret[id.Name] {
						secret[name] = true
					}
					return true
				})
			}
		}
	}
	for name := range structs {
		if secret[name] && ast.IsExported(name) {
			names = append(names, name)
		}
	}
	if len(names) < 9 {
		t.Fatalf("found only %v", names)
	}
	return names
}

func TestSecretKeySealsAndDerives(t *testing.T) {
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal([]byte("pre"), []byte("state"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	if string(sealed[:3]) != "pre" || len(sealed) != 3+5+BoxOverhead {
		t.Fatalf("%d bytes", len(sealed))
	}
	sealed = sealed[3:]
	if got, err := k.Open([]byte("a"), sealed, []byte("ad")); err != nil || string(got) != "astate" {
		t.Errorf("opened %q, %v", got, err)
	}
	other, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open(nil, bad, []byte("ad")); !errors.Is(err, ErrOpen) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if _, err := other.Open(nil, sealed, []byte("ad")); !errors.Is(err, ErrOpen) {
		t.Errorf("other key: %v", err)
	}

	seen := map[string]string{}
	for _, c := range []struct {
		key              *SecretKey
		label, salt, inf string
	}{
		{k, "a", "", ""}, {k, "b", "", ""}, {k, "a", "s", ""}, {k, "a", "", "i"}, {other, "a", "", ""}, {k, "ai", "", ""}, {k, "", "", "a"},
	} {
		d, err := c.key.Derive(c.label, []byte(c.salt), []byte(c.inf))
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.key.Derive(c.label, []byte(c.salt), []byte(c.inf))
		if err != nil {
			t.Fatal(err)
		}
		if d.ID() != again.ID() {
			t.Error("derivation is not deterministic")
		}
		name := c.label + "/" + c.salt + "/" + c.inf
		if twin, dup := seen[string(d.InsecureBytes())]; dup {
			t.Errorf("%s and %s derive one key", name, twin)
		}
		seen[string(d.InsecureBytes())] = name
	}
	if _, err := InsecureSecretKey(make([]byte, 16)); err == nil {
		t.Error("a short key was accepted")
	}
}

// The expected values were computed with Python's hmac and hashlib, after RFC
// 5869, from key 00 01 … 1f.
func TestDerivationVector(t *testing.T) {
	raw := make([]byte, KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	k, err := InsecureSecretKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	d, err := k.Derive("sg1/example", []byte("salt"), []byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(d.InsecureBytes()), "1b86b56154fefb05216dd612f47caa781fe5480540de2559268f24f43a400751"; got != want {
		t.Errorf("derived %s, want %s", got, want)
	}
	p, err := NewPseudonymizer([]PseudonymKey{{Domain: "gateway", Version: 1, Key: k}})
	if err != nil {
		t.Fatal(err)
	}
	const tokenVector = "p1snipw24u7kgrl2rpcyejdqmvvm"
	tok, err := p.Token(nil, Pseudonym{Domain: "gateway", Class: "plate", Normalization: 1, Value: []byte("XX123")})
	if err != nil || string(tok) != tokenVector {
		t.Errorf("token %s, %v, want %s", tok, err, tokenVector)
	}
}

func TestSegmentCipher(t *testing.T) {
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	salt, header := bytes.Repeat([]byte{1}, 32), []byte("header")
	for _, alg := range []Alg{AlgAES256GCM, AlgChaCha20Poly1305} {
		c, err := NewSegmentCipher(k, alg, salt, header)
		if err != nil {
			t.Fatal(err)
		}
		rec, ad := []byte("record"), []byte("ad")
		sealed := c.Seal(nil, 7, rec, ad)
		if len(sealed) != len(rec)+TagSize {
			t.Errorf("%s: %d bytes", alg, len(sealed))
		}
		again, err := NewSegmentCipher(k, alg, salt, header)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Open(nil, 7, sealed, ad); err != nil || !bytes.Equal(got, rec) {
			t.Errorf("%s: opened %q, %v", alg, got, err)
		}
		for name, open := range map[string]func() ([]byte, error){
			"moved":    func() ([]byte, error) { return c.Open(nil, 8, sealed, ad) },
			"wrapped":  func() ([]byte, error) { return c.Open(nil, 7+1<<32, sealed, ad) },
			"other ad": func() ([]byte, error) { return c.Open(nil, 7, sealed, nil) },
			"cut":      func() ([]byte, error) { return c.Open(nil, 7, sealed[:5], ad) },
			"salt":     func() ([]byte, error) { return reopen(t, k, alg, bytes.Repeat([]byte{2}, 32), header, sealed) },
			"header":   func() ([]byte, error) { return reopen(t, k, alg, salt, []byte("Header"), sealed) },
			"alg":      func() ([]byte, error) { return reopen(t, k, 27-alg, salt, header, sealed) },
		} {
			if _, err := open(); !errors.Is(err, ErrOpen) {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
		dst := make([]byte, 0, 64)
		if n := testing.AllocsPerRun(100, func() { c.Seal(dst, 1, rec, ad) }); n > 1 {
			t.Errorf("%s: sealing allocates %.0f times", alg, n)
		}
	}
	if _, err := NewSegmentCipher(k, 0, salt, header); err == nil {
		t.Error("an unknown algorithm was accepted")
	}
	if _, err := NewSegmentCipher(k, AlgAES256GCM, salt[:8], header); err == nil {
		t.Error("a short salt was accepted")
	}
}

func reopen(t *testing.T, k *SecretKey, alg Alg, salt, header, sealed []byte) ([]byte, error) {
	t.Helper()
	c, err := NewSegmentCipher(k, alg, salt, header)
	if err != nil {
		t.Fatal(err)
	}
	return c.Open(nil, 7, sealed, []byte("ad"))
}

func TestPseudonyms(t *testing.T) {
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	k2, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPseudonymizer([]PseudonymKey{{Domain: "a", Version: 1, Key: k}, {Domain: "b", Version: 1, Key: k}, {Domain: "c", Version: 12, Key: k2}})
	if err != nil {
		t.Fatal(err)
	}
	base := Pseudonym{Domain: "a", Class: "plate", Normalization: 1, Value: []byte("v")}
	seen := map[string]bool{}
	for _, in := range []Pseudonym{
		base,
		{Domain: "b", Class: "plate", Normalization: 1, Value: []byte("v")},
		{Domain: "c", Class: "plate", Normalization: 1, Value: []byte("v")},
		{Domain: "a", Class: "email", Normalization: 1, Value: []byte("v")},
		{Domain: "a", Class: "plate", Normalization: 2, Value: []byte("v")},
		{Domain: "a", Class: "plate", Normalization: 1, Value: []byte("w")},
		{Domain: "a", Class: "plate", Normalization: 1, Value: nil},
		{Domain: "a", Class: "plat", Normalization: 1, Value: []byte("ev")},
	} {
		tok, err := p.Token([]byte("x"), in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Token([]byte("x"), in)
		if err != nil || !bytes.Equal(tok, again) {
			t.Errorf("%+v: two tokens for one value, %v", in, err)
		}
		prefix := "xp1"
		if in.Domain == "c" {
			prefix = "xp12"
		}
		text := strings.TrimPrefix(string(tok), prefix)
		if len(text) != 26 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" || len(tok) != len(text)+len(prefix) {
			t.Errorf("%+v: token %s", in, tok)
		}
		if seen[text] {
			t.Errorf("%+v: shares its token with another", in)
		}
		seen[text] = true
	}
	if _, err := p.Token(nil, Pseudonym{Domain: "z"}); err == nil {
		t.Error("a domain without a key was accepted")
	}
	for name, keys := range map[string][]PseudonymKey{
		"twice": {{Domain: "a", Version: 1, Key: k}, {Domain: "a", Version: 2, Key: k}}, "version 0": {{Domain: "a", Version: 0, Key: k}}, "bad name": {{Domain: "A", Version: 1, Key: k}},
	} {
		if _, err := NewPseudonymizer(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The hand-written input of a token is what a CBOR library writes.
func TestTokenInput(t *testing.T) {
	raw := make([]byte, KeySize)
	k, err := InsecureSecretKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPseudonymizer([]PseudonymKey{{Domain: "gateway", Version: 1, Key: k}})
	if err != nil {
		t.Fatal(err)
	}
	mode, err := deterministicCBOR()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		in := Pseudonym{Domain: "gateway", Class: strings.Repeat("c", n), Normalization: uint32(n), Value: make([]byte, n)}
		msg, err := mode.Marshal([]any{in.Domain, in.Class, in.Normalization, in.Value})
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, raw)
		mac.Write(msg)
		want := "p1" + tokenText.EncodeToString(mac.Sum(nil)[:tokenBytes])
		if got, err := p.Token(nil, in); err != nil || string(got) != want {
			t.Errorf("%d bytes: %s, %v, want %s", n, got, err, want)
		}
	}
}

// TestPseudonymRotation: for a while after a rotation a value has the tokens of
// both keys, then that of the new one alone.
func TestPseudonymRotation(t *testing.T) {
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	k2, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	old := PseudonymKey{Domain: "a", Version: 1, Key: k}
	before, err := NewPseudonymizer([]PseudonymKey{old})
	if err != nil {
		t.Fatal(err)
	}
	after, err := NewPseudonymizer([]PseudonymKey{{Domain: "a", Version: 2, Key: k2, Before: &old, Both: end}})
	if err != nil {
		t.Fatal(err)
	}
	in := Pseudonym{Domain: "a", Class: "plate", Normalization: 1, Value: []byte("XX 1")}
	for _, make := range []func(*Pseudonymizer, []byte, Pseudonym) ([]byte, error){(*Pseudonymizer).Token, (*Pseudonymizer).Reversible} {
		token := func(p *Pseudonymizer, at time.Time) string {
			p.now = func() time.Time { return at }
			out, err := make(p, nil, in)
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		first, both, last := token(before, end), token(after, end.Add(-time.Second)), token(after, end)
		if both != last+"."+first || first == last || last[1] != '2' {
			t.Errorf("%s, then %s, then %s", first, both, last)
		}
	}
	if _, err := NewPseudonymizer([]PseudonymKey{{Domain: "a", Version: 1, Key: k2, Before: &old}}); err == nil {
		t.Error("a key follows one of its own version")
	}
}

// TestReversible: who has the key has the value, by the key in use or the one
// before; nobody else has, and no token moves to another domain or class.
func TestReversible(t *testing.T) {
	var keys []*SecretKey
	for range 3 {
		k, err := NewSecretKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	of := func(k PseudonymKey) *Pseudonymizer {
		p, err := NewPseudonymizer([]PseudonymKey{k, {Domain: "b", Version: 1, Key: keys[2]}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := PseudonymKey{Domain: "a", Version: 1, Key: keys[0]}
	p := of(first)
	rotated := of(PseudonymKey{Domain: "a", Version: 2, Key: keys[1], Before: &first})
	lengths := map[int]int{}
	for n := range maxReversible + 1 {
		in := Pseudonym{Domain: "a", Class: "plate", Normalization: 1, Value: bytes.Repeat([]byte{0x80}, n)}
		token, err := p.Reversible(nil, in)
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(token)]++
		for _, q := range []*Pseudonymizer{p, rotated} {
			if got, err := q.Reveal(in, string(token)); err != nil || !bytes.Equal(got, in.Value) {
				t.Errorf("%d bytes: %x, %v", n, got, err)
			}
		}
		for _, bad := range []Pseudonym{{Domain: "b", Class: "plate", Normalization: 1}, {Domain: "a", Class: "email", Normalization: 1}, {Domain: "a", Class: "plate", Normalization: 2}} {
			if _, err := p.Reveal(bad, string(token)); !errors.Is(err, ErrOpen) {
				t.Errorf("%+v reveals a token of another: %v", bad, err)
			}
		}
	}
	if len(lengths) != maxReversible/sivBlock+1 {
		t.Errorf("tokens have %d lengths: they tell values apart", len(lengths))
	}
	if _, err := p.Reversible(nil, Pseudonym{Domain: "a", Value: make([]byte, maxReversible+1)}); err == nil {
		t.Error("a value that is too long was taken")
	}
	for _, bad := range []string{"", "r1", "p1abc", "r1" + strings.Repeat("a", 52), "r3aaaa"} {
		if _, err := p.Reveal(Pseudonym{Domain: "a", Class: "plate", Normalization: 1}, bad); !errors.Is(err, ErrOpen) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTruncatedTokens(t *testing.T) {
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPseudonymizer([]PseudonymKey{{Domain: "a", Version: 1, Key: k}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 2000 {
		in := Pseudonym{Domain: "a", Class: "plate", Value: fmt.Append(nil, i), Bytes: 2}
		tok, err := p.Token(nil, in)
		if err != nil || len(tok) != 6 {
			t.Fatalf("%s, %v", tok, err)
		}
		seen[string(tok)] = true
	}
	if len(seen) == 2000 {
		t.Error("no two of 2,000 values share one of 65,536 tokens")
	}
	for _, n := range []int{1, 17, -1} {
		if _, err := p.Token(nil, Pseudonym{Domain: "a", Bytes: n}); err == nil {
			t.Errorf("a token of %d bytes was made", n)
		}
	}
}
