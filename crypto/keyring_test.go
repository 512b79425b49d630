package crypto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testKEK is a KEK as custody makes it, without the import, which would be a
// cycle.
type testKEK struct{ k *SecretKey }

func (t testKEK) Seal(p, ad []byte) ([]byte, error)   { return t.k.Seal(nil, p, ad) }
func (t testKEK) Unseal(s, ad []byte) ([]byte, error) { return t.k.Open(nil, s, ad) }
func (t testKEK) ID() [8]byte                         { return t.k.ID() }

func newKEK(t testing.TB) testKEK {
	t.Helper()
	k, err := NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	return testKEK{k}
}

func TestKeyringKeepsItsKeys(t *testing.T) {
	dir, kek := filepath.Join(t.TempDir(), "state", "keys"), newKEK(t)
	open := func() (*Keyring, []byte) {
		k, err := OpenKeyring(dir, kek, "gw-7", []byte("m1"))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := k.PseudonymKeys([]string{"gateway", "fleet"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPseudonymizer(keys)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := p.Token(nil, Pseudonym{Domain: "gateway", Class: "plate", Normalization: 1, Value: []byte("XX123")})
		if err != nil {
			t.Fatal(err)
		}
		return k, tok
	}
	a, tokA := open()
	b, tokB := open()
	if a.Signer().KeyID() != b.Signer().KeyID() || a.RecipientKey().Recipient().RID() != b.RecipientKey().Recipient().RID() ||
		a.Spool().ID() != b.Spool().ID() || !bytes.Equal(tokA, tokB) {
		t.Error("a key changed between two starts")
	}
	names := []string{"fleet", "gateway"}
	for i := range names {
		names[i] = "pseudonym-" + names[i]
	}
	for _, n := range append(names, "signing", "kem", "spool") {
		path := filepath.Join(dir, n+".key")
		st, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", n, st.Mode())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, s := range map[string][]byte{"seed": a.Signer().InsecureBytes(), "kem": a.RecipientKey().InsecureBytes(), "spool": a.Spool().InsecureBytes(), "machine id": []byte("m1")} {
			if bytes.Contains(raw, s) {
				t.Errorf("%s shows the %s", n, what)
			}
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 5 {
		t.Errorf("%d files, %v", len(list), err)
	}
}

func TestKeyringRefusals(t *testing.T) {
	kek := newKEK(t)
	base := t.TempDir()
	ring, err := OpenKeyring(base, kek, "gw-7", []byte("m1"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(base, "spool.key"))
	if err != nil {
		t.Fatal(err)
	}
	signing, err := os.ReadFile(filepath.Join(base, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(i int, b byte) []byte {
		c := bytes.Clone(good)
		c[i] ^= b
		return c
	}
	cases := map[string]struct {
		raw     []byte
		kek     KEK
		gateway string
		machine string
		want    error
	}{
		"other gateway": {good, kek, "gw-8", "m1", ErrKeyOtherGateway},
		"other machine": {good, kek, "gw-7", "m2", ErrKeyOtherMachine},
		"other kek":     {good, newKEK(t), "gw-7", "m1", ErrKeyOtherKEK},
		"tampered":      {edit(len(good)-1, 1), kek, "gw-7", "m1", ErrKeyTampered},
		"longer":        {append(bytes.Clone(good), 0), kek, "gw-7", "m1", ErrKeyTampered},
		"truncated":     {good[:len(good)-1], kek, "gw-7", "m1", ErrKeyTruncated},
		"cut in header": {good[:20], kek, "gw-7", "m1", ErrKeyTruncated},
		"cut in prefix": {good[:9], kek, "gw-7", "m1", ErrKeyTruncated},
		"empty":         {nil, kek, "gw-7", "m1", ErrKeyTruncated},
		"no magic":      {edit(0, 1), kek, "gw-7", "m1", ErrKeyFormat},
		"next version":  {edit(len(keyMagic), 3), kek, "gw-7", "m1", ErrKeyFormat},
		"renamed":       {signing, kek, "gw-7", "m1", ErrKeyPurpose},
		"huge":          {make([]byte, 1<<20), kek, "gw-7", "m1", ErrKeyFormat},
	}
	texts := map[string]string{}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "spool.key")
			if err := os.WriteFile(path, c.raw, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenKeyring(dir, c.kek, c.gateway, []byte(c.machine))
			if !errors.Is(err, c.want) || !errors.Is(err, ErrKeyFile) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), ";") {
				t.Errorf("does not say what to do next: %v", err)
			}
			texts[c.want.Error()] = name
			if now, _ := os.ReadFile(path); !bytes.Equal(now, c.raw) {
				t.Error("the file was replaced")
			}
		})
	}
	if len(texts) != 7 {
		t.Errorf("%d distinct messages, want 7", len(texts))
	}
	// Every byte of the file matters.
	for i := range good {
		if _, err := ring.decode(PurposeSpool, edit(i, 0x41)); err == nil {
			t.Fatalf("byte %d may be changed", i)
		}
	}

	path := filepath.Join(base, "kem.key")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(base, kek, "gw-7", []byte("m1")); !errors.Is(err, ErrKeyReadable) {
		t.Errorf("readable by others: %v", err)
	}
	if _, err := OpenKeyring(t.TempDir(), kek, "", nil); err == nil {
		t.Error("a gateway without a name was accepted")
	}
}

func TestKeyringNoticesALostKey(t *testing.T) {
	kek := newKEK(t)
	for lost, want := range map[string]error{PurposeSpool: ErrKeyMissing, PurposeSigning: ErrKeyMissing, PurposeKEM: nil} {
		dir := t.TempDir()
		if _, err := OpenKeyring(dir, kek, "gw", nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, lost+".key")); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyring(dir, kek, "gw", nil); !errors.Is(err, want) {
			t.Errorf("without %s: got %v, want %v", lost, err, want)
		}
	}
}

func TestKeyringTakesTheNewestGeneration(t *testing.T) {
	kek := newKEK(t)
	dir := t.TempDir()
	k, err := OpenKeyring(dir, kek, "gw", nil)
	if err != nil {
		t.Fatal(err)
	}
	gen := func(n uint32, size int) keyGeneration {
		return keyGeneration{Number: n, Raw: bytes.Repeat([]byte{byte(n)}, size)}
	}
	for name, c := range map[string]struct {
		gens []keyGeneration
		want byte
	}{
		"one":          {[]keyGeneration{gen(1, 32)}, 1},
		"three":        {[]keyGeneration{gen(1, 32), gen(2, 32), gen(5, 32)}, 5},
		"none":         {nil, 0},
		"out of order": {[]keyGeneration{gen(2, 32), gen(1, 32)}, 0},
		"short":        {[]keyGeneration{gen(1, 31)}, 0},
		"number zero":  {[]keyGeneration{gen(0, 32)}, 0},
	} {
		raw, err := k.encode(PurposeSpool, keyBody{Generations: c.gens})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "spool.key"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := OpenKeyring(dir, kek, "gw", nil)
		switch {
		case c.want == 0 && !errors.Is(err, ErrKeyFormat):
			t.Errorf("%s: %v, want ErrKeyFormat", name, err)
		case c.want != 0 && (err != nil || again.Spool().InsecureBytes()[0] != c.want):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPseudonymDomainNames(t *testing.T) {
	k, err := OpenKeyring(t.TempDir(), newKEK(t), "gw", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "-a", "A", "a/b", "..", "a.b", strings.Repeat("a", 33), "ä"} {
		if _, err := k.PseudonymKeys([]string{bad}, 0); err == nil {
			t.Errorf("domain %q was accepted", bad)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	kek := newKEK(f)
	dir := f.TempDir()
	k, err := OpenKeyring(dir, kek, "gw", []byte("m"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "spool.key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:14])
	f.Add([]byte("SGKEY\x01\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := k.decode(PurposeSpool, raw)
		if err == nil && !bytes.Equal(raw, good) {
			t.Fatal("a key file that was never written is accepted")
		}
		if err != nil && (!errors.Is(err, ErrKeyFile) || len(body.Generations) != 0) {
			t.Fatalf("refused with %v and %d generations", err, len(body.Generations))
		}
	})
}
