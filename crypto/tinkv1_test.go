package crypto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/signature"
)

// TestTinkV1Fixtures opens what google/tink/go 1.7.0 made (crypto/testdata/interop
// makes it and opens what we make): by our own types from the raw key, and by
// today's Tink from the old keyset.
func TestTinkV1Fixtures(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors/tink-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		get := func(name string) []byte {
			b, err := hex.DecodeString(f[name])
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		key, message, context, produced := get("key"), get("message"), get("context"), get("produced")
		h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(get("keyset"))))
		if err != nil {
			t.Fatalf("%s: read the old keyset: %v", f["kind"], err)
		}
		var ours, theirs []byte
		switch f["kind"] {
		case "aes-256-gcm", "chacha20-poly1305":
			alg := AlgAES256GCM
			if f["kind"] != "aes-256-gcm" {
				alg = AlgChaCha20Poly1305
			}
			ours = must(must(OpenDEK(alg, key)).Open(nil, produced, context))
			theirs = must(must(aead.New(h)).Decrypt(produced, context))
		case "aes-siv":
			ours = message // our AES-SIV keys are derived: see newSIV
			theirs = must(must(daead.New(h)).DecryptDeterministically(produced, context))
		case "hpke-x25519":
			ours = must(must(InsecureRecipientKey(KEMX25519, key)).Unwrap(context, produced))
			theirs = must(must(hybrid.NewHybridDecrypt(h)).Decrypt(produced, context))
		case "ed25519":
			if err := must(ParseVerifier(get("public"))).Verify(message, produced); err != nil {
				t.Errorf("ed25519: %v", err)
			}
			if again := must(must(InsecureSigner(key)).Sign(message)); !bytes.Equal(again, produced) {
				t.Error("ed25519: we sign otherwise")
			}
			ours, theirs = message, message
			if err := must(signature.NewVerifier(must(h.Public()))).Verify(produced, message); err != nil {
				t.Errorf("ed25519: %v", err)
			}
		default:
			t.Fatalf("unknown kind %s", f["kind"])
		}
		if !bytes.Equal(ours, message) || !bytes.Equal(theirs, message) {
			t.Errorf("%s does not open", f["kind"])
		}
	}
	if len(all) != 5 {
		t.Errorf("%d fixtures", len(all))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
