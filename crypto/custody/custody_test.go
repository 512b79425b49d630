package custody

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// homes gives each custodian a place of its own to keep keys in; a custodian
// without one fails the suite.
var homes = map[string]func(*testing.T) Options{
	"file": func(t *testing.T) Options {
		return Options{File: FileOptions{Path: filepath.Join(t.TempDir(), "custody", "kek")}}
	},
	"credential": func(t *testing.T) Options {
		dir := t.TempDir()
		installCredential(t, dir, newLine(t))
		return Options{Credential: CredentialOptions{Name: "sealgate-kek", Directory: dir}}
	},
	"tpm":   func(t *testing.T) Options { return Options{TPM: TPMOptions{Device: startTPM(t).Socket}} },
	"vault": func(t *testing.T) Options { return Options{Vault: startVault(t).options(t)} },
}

// TestCustodians is the contract that every custodian keeps.
func TestCustodians(t *testing.T) {
	for _, c := range Custodians() {
		t.Run(c.Kind, func(t *testing.T) {
			home, ok := homes[c.Kind]
			if !ok {
				t.Fatal("has no home in this suite")
			}
			if c.Doc == "" {
				t.Error("does not say what it protects against")
			}
			r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw-1", Machine: []byte("m1"), Kind: c.Kind, Options: home(t)}
			if _, err := r.Status(); !errors.Is(err, ErrMissing) {
				t.Errorf("status of no ring: %v", err)
			}
			first := open(t, r)
			if first.Kind != c.Kind || first.Warning != c.Warning || first.Created.IsZero() {
				t.Errorf("opened as %s, %q, %v", first.Kind, first.Warning, first.Created)
			}
			ad := []byte("signing")
			sealed, err := first.Seal([]byte("key material"), ad)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(sealed, []byte("material")) {
				t.Error("the sealed blob shows its plaintext")
			}
			again := open(t, r)
			if again.ID() != first.ID() {
				t.Error("the key has another id when it is opened again")
			}
			if got, err := again.Unseal(sealed, ad); err != nil || string(got) != "key material" {
				t.Errorf("unseal after opening again: %q, %v", got, err)
			}
			if _, err := again.Unseal(sealed, []byte("spool")); !errors.Is(err, crypto.ErrOpen) {
				t.Errorf("other associated data: %v", err)
			}
			if _, err := r.Init(t.Context()); err == nil {
				t.Error("a ring with keys was made anew")
			}

			// Another gateway with the same custodian.
			other := *r
			other.Dir, other.Gateway = filepath.Join(t.TempDir(), "keys"), "gw-2"
			if k := open(t, &other); c.Kind != "credential" && k.ID() == first.ID() {
				t.Error("two gateways have one key")
			}
			foreign := load(t, &other)
			own := load(t, r)
			refuse(t, r, "record of another gateway", foreign, crypto.ErrKeyOtherGateway)
			swapped := *own
			swapped.Blob = foreign.Blob
			if len(own.Blob) > 0 {
				refuse(t, r, "blob of another gateway", &swapped, ErrOther)
			}
			swapped = *foreign
			swapped.Gateway = "gw-1"
			refuse(t, r, "record of another gateway, renamed", &swapped, nil)

			// The same record where the custodian has another key, or none.
			elsewhere := *r
			elsewhere.Options = home(t)
			if _, err := elsewhere.Open(t.Context()); !errors.Is(err, ErrCustody) {
				t.Errorf("wrong key: %v", err)
			}

			step := 1
			if c.Kind == "tpm" {
				step = 17
			}
			for i := 0; i < len(own.Blob); i += step {
				bad := *own
				bad.Blob = bytes.Clone(own.Blob)
				bad.Blob[i] ^= 1
				refuse(t, r, fmt.Sprintf("byte %d of the blob changed", i), &bad, nil)
				bad.Blob = own.Blob[:i]
				refuse(t, r, fmt.Sprintf("blob cut to %d bytes", i), &bad, nil)
			}
			store(t, r, own)
			open(t, r)

			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Open(canceled); err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("canceled: %v", err)
			}
		})
	}
}

func open(t *testing.T, r *Ring) *Key {
	t.Helper()
	k, err := r.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func load(t *testing.T, r *Ring) *record {
	t.Helper()
	rec, err := readRecord(r.Dir)
	if err != nil || rec == nil {
		t.Fatalf("%v, %v", rec, err)
	}
	return rec
}

func store(t *testing.T, r *Ring, rec *record) {
	t.Helper()
	raw, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, recordName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refuse opens the ring with that record, which must fail.
func refuse(t *testing.T, r *Ring, what string, rec *record, want error) {
	t.Helper()
	store(t, r, rec)
	if _, err := r.Open(t.Context()); err == nil || want != nil && !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", what, err, want)
	}
}

func newLine(t *testing.T) string {
	t.Helper()
	k, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	return InsecureLine(k)
}

func installCredential(t *testing.T, dir, content string) {
	t.Helper()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sealgate-kek")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownCustodianNamesTheKnown(t *testing.T) {
	r := &Ring{Dir: t.TempDir(), Gateway: "gw", Kind: "floppy"}
	if _, err := r.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "file, credential, tpm, vault") {
		t.Errorf("got %v", err)
	}
}

// badLines are contents that are no key, made from one that is.
func badLines(line string) map[string]string {
	return map[string]string{
		"empty":           "",
		"cut":             line[:len(line)-2],
		"no newline":      line[:len(line)-1],
		"other version":   strings.Replace(line, "v1", "v2", 1),
		"longer":          line + "\n",
		"break in base64": line[:30] + "\n" + line[31:],
		"stray bits":      line[:len(line)-2] + "_\n",
		"not base64":      line[:30] + "!" + line[31:],
		"five lines":      strings.Repeat(line, 5),
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Options: Options{File: FileOptions{Path: path}}}
	if k := open(t, r); !strings.Contains(k.Warning, "in clear") {
		t.Errorf("warning is %q", k.Warning)
	}
	k := open(t, r)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	line := string(good)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(line[len(linePrefix):]))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{k, *k, struct{ k *Key }{k}} {
			s := strings.ToLower(fmt.Sprintf(verb, v))
			for _, leak := range []string{string(raw[:4]), hex.EncodeToString(raw[:4]), fmt.Sprint(raw[:4])[1:10], fmt.Sprintf("%#v", raw[:3])[7:20]} {
				if strings.Contains(s, leak) {
					t.Errorf("%s shows the key", verb)
				}
			}
		}
	}
	for name, bad := range badLines(line) {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := r.Open(t.Context())
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if secret := strings.TrimSpace(line[len(linePrefix):]); strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: the error shows the key", name)
		}
		if now, _ := os.ReadFile(path); string(now) != bad {
			t.Errorf("%s: the file was replaced", name)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context()); !errors.Is(err, crypto.ErrKeyReadable) {
		t.Errorf("readable by the group: %v", err)
	}
	r.Options.File.Path = ""
	if _, err := r.Open(t.Context()); err == nil {
		t.Error("an empty path was accepted")
	}
}

// TestRingOfBefore opens a ring that has a key file and no record.
func TestRingOfBefore(t *testing.T) {
	dir := t.TempDir()
	key, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.OpenKeyring(dir, local{key}, "gw", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &Ring{Dir: dir, Gateway: "gw", Options: Options{File: FileOptions{Path: filepath.Join(dir, "kek")}}}
	if _, err := r.Open(t.Context()); !errors.Is(err, ErrMissing) {
		t.Fatalf("keys without a KEK: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kek"), []byte(InsecureLine(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	look := *r
	look.ReadOnly = true
	open(t, &look)
	if there, _ := exists(filepath.Join(dir, recordName)); there {
		t.Error("looking at a ring wrote a record")
	}
	again, err := crypto.OpenKeyring(dir, open(t, r), "gw", nil)
	if err != nil || again.Signer().KeyID() != ring.Signer().KeyID() {
		t.Fatalf("%v", err)
	}
	if s, err := r.Status(); err != nil || s.Kind != "file" {
		t.Errorf("status %+v, %v", s, err)
	}
	r.Kind = "tpm"
	if _, err := r.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "keys move --to tpm") {
		t.Errorf("pinned to another custodian: %v", err)
	}
}

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	opts := Options{Credential: CredentialOptions{Name: "sealgate-kek", Directory: dir}}
	r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Kind: "credential", Options: opts}
	if _, err := r.Open(t.Context()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "LoadCredentialEncrypted=") {
		t.Fatalf("no such credential: %v", err)
	}
	first, second := newLine(t), newLine(t)
	installCredential(t, dir, first)
	old := open(t, r)
	for name, bad := range badLines(first) {
		if err := os.Remove(filepath.Join(dir, "sealgate-kek")); err != nil {
			t.Fatal(err)
		}
		installCredential(t, dir, bad)
		if _, err := r.Open(t.Context()); err == nil || strings.Contains(err.Error(), first[len(linePrefix):][:8]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A credential with two lines carries a ring from one key to the next.
	if err := os.Remove(filepath.Join(dir, "sealgate-kek")); err != nil {
		t.Fatal(err)
	}
	installCredential(t, dir, first+second)
	if k := open(t, r); k.ID() != old.ID() {
		t.Error("the record does not say which line is meant")
	}
	if err := r.Move(t.Context(), "credential"); err != nil {
		t.Fatal(err)
	}
	if k := open(t, r); k.ID() == old.ID() {
		t.Error("the key did not change")
	}
	for name, lax := range map[string]func(){
		"others may read it":  func() { os.Chmod(filepath.Join(dir, "sealgate-kek"), 0o444) },
		"the group may write": func() { os.Chmod(filepath.Join(dir, "sealgate-kek"), 0o460) },
		"others may list":     func() { os.Chmod(dir, 0o755) },
	} {
		lax()
		if _, err := r.Open(t.Context()); !errors.Is(err, crypto.ErrKeyReadable) {
			t.Errorf("%s: %v", name, err)
		}
		os.Chmod(filepath.Join(dir, "sealgate-kek"), 0o440)
		os.Chmod(dir, 0o750)
	}
	for _, name := range []string{"", ".", "..", "a/b"} {
		r.Options.Credential.Name = name
		if _, err := r.Open(t.Context()); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
	r.Options.Credential = CredentialOptions{Name: "sealgate-kek"}
	if _, err := r.Open(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("a process without credentials: %v", err)
	}
}
