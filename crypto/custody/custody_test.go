package custody

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// homes gives each custodian a place to work in; a custodian without one fails
// the suite.
var homes = map[string]func(*testing.T) Options{
	"file": func(t *testing.T) Options {
		return Options{Path: filepath.Join(t.TempDir(), "custody", "kek")}
	},
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
			opts := home(t)
			if _, err := Open(c.Kind, opts); !errors.Is(err, ErrMissing) {
				t.Fatalf("without a key: %v, want ErrMissing", err)
			}
			opts.Create = true
			first := open(t, c.Kind, opts)
			ad := []byte("signing")
			sealed, err := first.Seal([]byte("key material"), ad)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(sealed, []byte("material")) {
				t.Error("the sealed blob shows its plaintext")
			}

			again := open(t, c.Kind, opts)
			if again.ID() != first.ID() {
				t.Error("the key has another id when it is opened again")
			}
			if got, err := again.Unseal(sealed, ad); err != nil || string(got) != "key material" {
				t.Errorf("unseal after opening again: %q, %v", got, err)
			}
			if _, err := again.Unseal(sealed, []byte("spool")); !errors.Is(err, crypto.ErrOpen) {
				t.Errorf("other associated data: %v", err)
			}
			for i := range sealed {
				bad := bytes.Clone(sealed)
				bad[i] ^= 1
				if _, err := again.Unseal(bad, ad); !errors.Is(err, crypto.ErrOpen) {
					t.Fatalf("byte %d changed: %v", i, err)
				}
				if _, err := again.Unseal(sealed[:i], ad); !errors.Is(err, crypto.ErrOpen) {
					t.Fatalf("cut to %d bytes: %v", i, err)
				}
			}

			elsewhere := home(t)
			elsewhere.Create = true
			wrong := open(t, c.Kind, elsewhere)
			if wrong.ID() == first.ID() {
				t.Error("two keys have one id")
			}
			if _, err := wrong.Unseal(sealed, ad); !errors.Is(err, crypto.ErrOpen) {
				t.Errorf("wrong key: %v", err)
			}
		})
	}
}

func open(t *testing.T, kind string, opts Options) *Key {
	t.Helper()
	k, err := Open(kind, opts)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestUnknownCustodianNamesTheKnown(t *testing.T) {
	if _, err := Open("floppy", Options{}); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("got %v", err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	if k := open(t, "file", Options{Path: path, Create: true}); !strings.Contains(k.Warning, "in clear") {
		t.Errorf("warning is %q", k.Warning)
	}
	k := open(t, "file", Options{Path: path})
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	line := string(good)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(line[len(filePrefix):]))
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
	for name, bad := range map[string]string{
		"empty":           "",
		"cut":             line[:len(line)-2],
		"no newline":      line[:len(line)-1],
		"other version":   strings.Replace(line, "v1", "v2", 1),
		"longer":          line + "\n",
		"break in base64": line[:30] + "\n" + line[31:],
		"stray bits":      line[:len(line)-2] + "_\n",
		"not base64":      line[:30] + "!" + line[31:],
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open("file", Options{Path: path, Create: true})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if secret := strings.TrimSpace(line[len(filePrefix):]); strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: the error shows the key", name)
		}
		if now, _ := os.ReadFile(path); string(now) != bad {
			t.Errorf("%s: the file was replaced", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("file", Options{Path: path}); !errors.Is(err, crypto.ErrKeyReadable) {
		t.Errorf("readable by the group: %v", err)
	}
	if _, err := Open("file", Options{}); err == nil {
		t.Error("an empty path was accepted")
	}
}
