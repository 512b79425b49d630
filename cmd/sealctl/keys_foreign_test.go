package main

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// foreignKeys is one of each kind, private and public.
func foreignKeys(t testing.TB) map[string]*foreignKey {
	t.Helper()
	keys := map[string]*foreignKey{}
	for _, kem := range []crypto.KEM{crypto.KEMX25519, crypto.KEMP256} {
		k, err := crypto.GenerateRecipientKey(kem)
		if err != nil {
			t.Fatal(err)
		}
		keys[kem.String()+" private"], keys[kem.String()+" public"] = &foreignKey{Private: k}, &foreignKey{Public: k.Recipient()}
	}
	s, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	keys["ed25519 private"], keys["ed25519 public"] = &foreignKey{PrivateSigner: s}, &foreignKey{PublicSigner: s.Verifier()}
	return keys
}

// names is what a key is and which: the same for two that are alike.
func (k *foreignKey) names() string {
	switch {
	case k.Private != nil:
		return "private " + k.Private.Recipient().RID().String() + string(k.Private.InsecureBytes())
	case k.Public != nil:
		return "public " + k.Public.RID().String()
	case k.PrivateSigner != nil:
		return "private signer " + k.PrivateSigner.KeyID().String() + string(k.PrivateSigner.InsecureBytes())
	}
	return "signer " + k.PublicSigner.KeyID().String()
}

func TestForeignKeysRoundTrip(t *testing.T) {
	for name, k := range foreignKeys(t) {
		for form, marshal := range map[string]func() ([]byte, error){"PEM": k.pem, "JWK": k.jwk} {
			raw, err := marshal()
			if err != nil {
				t.Fatalf("%s as %s: %v", name, form, err)
			}
			back, err := parseForeignKey(raw)
			if err != nil {
				t.Fatalf("%s as %s: %v\n%s", name, form, err, raw)
			}
			if back.names() != k.names() {
				t.Errorf("%s as %s comes back as another key", name, form)
			}
		}
	}
	k, err := crypto.GenerateRecipientKey(crypto.KEMXWing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&foreignKey{Private: k}).pem(); err == nil || !strings.Contains(err.Error(), "xwing") {
		t.Errorf("an X-Wing key in PEM: %v", err)
	}
}

// TestForeignKeysOfOpenSSL reads what another program makes, SEC 1 with its
// parameters before it included.
func TestForeignKeysOfOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("SEALGATE_CI") != "" {
			t.Fatal("openssl is missing: apt-get install openssl")
		}
		t.Skip("openssl is missing: apt-get install openssl")
	}
	dir := t.TempDir()
	for name, args := range map[string]string{
		"x25519":  "genpkey -algorithm X25519",
		"p256":    "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
		"sec1":    "ecparam -name prime256v1 -genkey",
		"ed25519": "genpkey -algorithm ED25519",
	} {
		file := filepath.Join(dir, name)
		if out, err := exec.Command("openssl", append(strings.Fields(args), "-out", file)...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", args, err, out)
		}
		public, err := exec.Command("openssl", "pkey", "-in", file, "-pubout").Output()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		k, err := parseForeignKey(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		half := &foreignKey{}
		if k.Private != nil {
			half.Public = k.Private.Recipient()
		} else {
			half.PublicSigner = k.PrivateSigner.Verifier()
		}
		if own, err := half.pem(); err != nil || !bytes.Equal(own, public) {
			t.Errorf("%s: our public half is not that of openssl: %v\n%s\n%s", name, err, own, public)
		}
	}
}

func TestForeignKeysRefused(t *testing.T) {
	keys := foreignKeys(t)
	of := func(name string) string {
		raw, err := keys[name].jwk()
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	a, b := of("x25519 private"), string(must(foreignKeys(t)["x25519 private"].jwk()))
	x := func(s string) string { return strings.Split(strings.SplitAfter(s, `"x": "`)[1], `"`)[0] }
	for name, raw := range map[string]string{
		"empty":                "",
		"text":                 "hello",
		"another curve":        strings.Replace(of("p256 public"), "P-256", "P-384", 1),
		"point off the curve":  strings.Replace(of("p256 public"), x(of("p256 public")), x(a), 1),
		"public half of other": strings.Replace(a, x(a), x(b), 1),
		"short x":              strings.Replace(a, x(a), x(a)[:20], 1),
		"no x":                 `{"kty":"OKP","crv":"X25519"}`,
		"zero":                 `{"kty":"OKP","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}`,
		"certificate":          string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})),
		"damaged PEM":          string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 1}})),
	} {
		if k, err := parseForeignKey([]byte(raw)); err == nil {
			t.Errorf("%s is taken: %s", name, k.names()[:6])
		} else if d := strings.SplitAfter(raw, `"d": "`); len(d) > 1 && strings.Contains(err.Error(), d[1][:8]) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzParseForeignKey(f *testing.F) {
	for _, k := range foreignKeys(f) {
		f.Add(must(k.pem()))
		f.Add(must(k.jwk()))
	}
	f.Add([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := parseForeignKey(raw)
		if err != nil {
			return
		}
		again, err := parseForeignKey(must(k.pem()))
		if err != nil || again.names() != k.names() {
			t.Fatalf("a key that was taken does not come back: %v", err)
		}
	})
}
