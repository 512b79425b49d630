package crypto

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var made = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func saveKey(t testing.TB, dir string, kem KEM, passphrase string) (RecipientFile, string) {
	t.Helper()
	k, err := GenerateRecipientKey(kem)
	if err != nil {
		t.Fatal(err)
	}
	f := RecipientFile{Audience: "ops", Created: made, Key: k}
	path, err := SaveRecipientKey(dir, f, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

func TestRecipientKeyFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	want := map[RID]RecipientFile{}
	for _, kem := range KEMs() {
		f, path := saveKey(t, dir, kem, "")
		want[f.Key.Recipient().RID()] = f
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", st.Mode(), err)
		}
		raw, err := os.ReadFile(strings.TrimSuffix(path, privateSuffix) + publicSuffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString(f.Key.InsecureBytes()))) {
			t.Error("the public file holds the private key")
		}
		p, err := UnmarshalRecipient(raw)
		if err != nil || p.Key.RID() != f.Key.Recipient().RID() || p.Audience != "ops" || !p.Created.Equal(made) {
			t.Errorf("public file: %+v, %v", p, err)
		}
		if again, err := MarshalRecipient(p); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("public file is not written as it was read: %v", err)
		}
		if _, err := SaveRecipientKey(dir, f, nil); err == nil {
			t.Error("an existing key was replaced")
		}
	}
	s, err := GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SaveSigner(dir, s, made, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("not a key"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := LoadRecipientKeys(dir, nil)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d keys, %v", len(got), err)
	}
	for _, g := range got {
		w := want[g.Key.Recipient().RID()]
		if w.Key == nil || !bytes.Equal(g.Key.InsecureBytes(), w.Key.InsecureBytes()) || g.Audience != w.Audience || !g.Created.Equal(w.Created) {
			t.Error("a key differs from what was saved")
		}
	}
}

func TestKeyFilePassphrase(t *testing.T) {
	dir := t.TempDir()
	f, path := saveKey(t, dir, KEMX25519, "correct horse")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(base64.StdEncoding.EncodeToString(f.Key.InsecureBytes()))) {
		t.Error("the key is in clear")
	}
	say := func(s string) func(string) ([]byte, error) {
		return func(p string) ([]byte, error) {
			if p != path {
				t.Errorf("asked for %s", p)
			}
			return []byte(s), nil
		}
	}
	got, err := LoadRecipientKeys(dir, say("correct horse"))
	if err != nil || len(got) != 1 || got[0].Key.Recipient().RID() != f.Key.Recipient().RID() {
		t.Errorf("%d keys, %v", len(got), err)
	}
	if _, err := LoadRecipientKeys(dir, say("wrong horse")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := LoadRecipientKeys(dir, nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("no passphrase: %v", err)
	}
	aborted := errors.New("aborted")
	if _, err := LoadRecipientKeys(dir, func(string) ([]byte, error) { return nil, aborted }); !errors.Is(err, aborted) {
		t.Errorf("aborted: %v", err)
	}
	// What the file says about the key is bound to it.
	changed := bytes.Replace(raw, []byte(`"audience": "ops"`), []byte(`"audience": "dpo"`), 1)
	if bytes.Equal(changed, raw) {
		t.Fatal("nothing was changed")
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRecipientKeys(dir, say("correct horse")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("changed audience: %v", err)
	}
}

func TestSignerFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	path, err := SaveSigner(dir, s, made, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := LoadSigner(path, nil)
	if err != nil || got.KeyID() != s.KeyID() {
		t.Errorf("loaded: %v", err)
	}
	raw, err := os.ReadFile(strings.TrimSuffix(path, privateSuffix) + publicSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := UnmarshalVerifier(raw); err != nil || v.KeyID() != s.KeyID() {
		t.Errorf("public file: %v", err)
	}
	if _, err := UnmarshalRecipient(raw); err == nil {
		t.Error("a signer passes as a recipient")
	}
	_, rpath := saveKey(t, dir, KEMX25519, "")
	if _, err := LoadSigner(rpath, nil); err == nil {
		t.Error("a recipient's key passes as a signer")
	}
}

func TestKeyFileRefusals(t *testing.T) {
	dir := t.TempDir()
	_, path := saveKey(t, dir, KEMX25519, "")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(map[string]any){
		"format":            func(m map[string]any) { m["format"] = "sealgate-recipient-key/v2" },
		"public format":     func(m map[string]any) { m["format"] = recipientFormat },
		"kind":              func(m map[string]any) { m["kind"] = "p256" },
		"unknown kind":      func(m map[string]any) { m["kind"] = "rsa" },
		"id":                func(m map[string]any) { m["id"] = strings.Repeat("0", 32) },
		"created":           func(m map[string]any) { m["created"] = "yesterday" },
		"short secret":      func(m map[string]any) { m["secret"] = "AAAA" },
		"no secret":         func(m map[string]any) { delete(m, "secret") },
		"weak scrypt":       func(m map[string]any) { m["scrypt"] = map[string]any{"log_n": 1, "salt": "AAAAAAAAAAAAAAAAAAAAAA=="} },
		"enormous scrypt":   func(m map[string]any) { m["scrypt"] = map[string]any{"log_n": 40, "salt": "AAAAAAAAAAAAAAAAAAAAAA=="} },
		"scrypt, no salt":   func(m map[string]any) { m["scrypt"] = map[string]any{"log_n": 16} },
		"unknown member":    func(m map[string]any) { m["x"] = 1 },
		"unencrypted claim": func(m map[string]any) { m["scrypt"] = nil },
	} {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		spoil(m)
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadRecipientKeys(dir, func(string) ([]byte, error) { return []byte("x"), nil }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRecipientKeys(dir, nil); !errors.Is(err, ErrKeyReadable) {
		t.Errorf("readable by others: %v", err)
	}
	if _, err := LoadRecipientKeys(filepath.Join(dir, "nowhere"), nil); err == nil {
		t.Error("a missing directory was accepted")
	}
	if _, err := UnmarshalRecipient(make([]byte, maxKeyFile+1)); err == nil {
		t.Error("an enormous public file was accepted")
	}
}

func FuzzUnmarshalRecipient(f *testing.F) {
	k, err := GenerateRecipientKey(KEMX25519)
	if err != nil {
		f.Fatal(err)
	}
	good, err := MarshalRecipient(RecipientPublic{Audience: "ops", Created: made, Key: k.Recipient()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"sealgate-recipient/v1","kind":"xwing","id":"","created":"","public":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := UnmarshalRecipient(raw)
		if err != nil {
			return
		}
		if _, err := p.Key.Wrap(nil, make([]byte, KeySize)); err != nil {
			t.Fatalf("an accepted recipient can't be wrapped to: %v", err)
		}
	})
}

func TestVerifierFile(t *testing.T) {
	s, err := GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := MarshalVerifier(s.Verifier(), time.Unix(1_767_225_600, 0))
	if err != nil {
		t.Fatal(err)
	}
	v, err := UnmarshalVerifier(raw)
	if err != nil || v.KeyID() != s.KeyID() {
		t.Errorf("read back key %v: %v", v, err)
	}
}
