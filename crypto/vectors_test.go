package crypto

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew; only when the format's version changes")

const vectors = "testdata/vectors"

// counting returns n bytes that rise from first: keys that are plainly not
// secret.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// TestKeyringVectors opens a keyring that was written when version 1 of the
// format was fixed. The KEK is 00 01 … 1f, the gateway "gw-vector", the machine
// "machine-vector".
func TestKeyringVectors(t *testing.T) {
	k, err := InsecureSecretKey(counting(0, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"spool.key", "signing.key", "kem.key", "pseudonym-gateway.key"}
	purposes := []string{PurposeSpool, PurposeSigning, PurposeKEM, pseudonymPurpose + "gateway"}
	if *update {
		ring := &Keyring{kek: testKEK{k}, gateway: "gw-vector", machine: []byte("machine-vector")}
		for i, n := range names {
			raw, err := ring.encode(purposes[i], keyBody{Generations: []keyGeneration{{Number: 3, Created: made.Unix(), Raw: counting(byte(0x20*(i+1)), KeySize)}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(vectors, n), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A checkout does not keep the mode.
	dir := t.TempDir()
	for _, n := range names {
		raw, err := os.ReadFile(filepath.Join(vectors, n))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, n), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := OpenKeyring(dir, testKEK{k}, "gw-vector", []byte("machine-vector"))
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range [][]byte{ring.Spool().InsecureBytes(), ring.Signer().InsecureBytes(), ring.RecipientKey().InsecureBytes()} {
		if want := counting(byte(0x20*(i+1)), KeySize); !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, want % x", names[i], got, want)
		}
	}
	keys, err := ring.PseudonymKeys([]string{"gateway"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPseudonymizer(keys)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := p.Token(nil, Pseudonym{Domain: "gateway", Class: "plate", Normalization: 1, Value: []byte("XX123")})
	if err != nil || !bytes.HasPrefix(tok, []byte("p3")) {
		t.Errorf("token %s, %v: want key version 3", tok, err)
	}
}

// TestKeyFileVectors checks that key files are written byte for byte as when
// version 1 of the format was fixed.
func TestKeyFileVectors(t *testing.T) {
	dir := t.TempDir()
	k, err := InsecureRecipientKey(KEMX25519, counting(0, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SaveRecipientKey(dir, RecipientFile{Audience: "ops", Created: made, Key: k}, nil); err != nil {
		t.Fatal(err)
	}
	s, err := InsecureSigner(counting(0x20, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SaveSigner(dir, s, made, nil); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 4 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	for _, e := range list {
		got, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(vectors, e.Name())
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from its vector", e.Name())
		}
	}
}
