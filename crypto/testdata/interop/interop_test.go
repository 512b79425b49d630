// Package interop opens with other libraries what Sealgate makes, and makes with
// them what Sealgate opens (TestTinkV1Fixtures in package crypto).
package interop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/cloudflare/circl/hpke"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/tink/go/aead"
	"github.com/google/tink/go/daead"
	"github.com/google/tink/go/hybrid"
	"github.com/google/tink/go/insecurecleartextkeyset"
	"github.com/google/tink/go/keyset"
	gcmpb "github.com/google/tink/go/proto/aes_gcm_go_proto"
	sivpb "github.com/google/tink/go/proto/aes_siv_go_proto"
	chachapb "github.com/google/tink/go/proto/chacha20_poly1305_go_proto"
	edpb "github.com/google/tink/go/proto/ed25519_go_proto"
	hpkepb "github.com/google/tink/go/proto/hpke_go_proto"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
	"github.com/google/tink/go/signature"
	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "make the fixtures anew")

const (
	vectors  = "../../envelope/testdata/vectors/"
	fixtures = "../vectors/tink-v1.json"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A bin is bytes, in hex.
type bin []byte

func (b bin) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }
func (b *bin) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	check(t, json.Unmarshal(raw, v))
}

type keysFile struct {
	SigningKey struct{ Public bin } `json:"signing_key"`
	Recipients []struct {
		Name                 string
		KEM                  int
		Private, Public, RID bin
	}
}

type openedCase struct {
	Name    string
	Message bin
	Steps   struct {
		DataKeys []struct {
			Alg    int
			Grant  bin
			Signed bin `json:"to_be_signed"`
			Info   bin `json:"hpke_info"`
			DEK    bin
		} `json:"data_keys"`
		AAD       bin
		IV        bin
		Plaintext bin
	}
}

// grant is the COSE_Sign1 of a grant, as far as the tests need it.
type grant struct {
	_         struct{} `cbor:",toarray"`
	Protected []byte
	Empty     map[int]any
	Payload   []byte
	Signature []byte
}

type grantPayload struct {
	_          struct{} `cbor:",toarray"`
	Version    int
	Alg        int
	Boot       uint64
	Bundle     uint64
	Commitment []byte
	Wraps      []struct {
		_    struct{} `cbor:",toarray"`
		RID  []byte
		HPKE []byte
	}
}

func parseGrant(t *testing.T, raw []byte) (g grant, p grantPayload) {
	t.Helper()
	check(t, cbor.Unmarshal(raw[1:], &g)) // without the tag
	check(t, cbor.Unmarshal(g.Payload, &p))
	return g, p
}

// TestCIRCLUnwraps: each data key of the vectors comes out of its grant by
// CIRCL's HPKE: X25519, P-256 and X-Wing.
func TestCIRCLUnwraps(t *testing.T) {
	var keys keysFile
	var cases []openedCase
	readJSON(t, vectors+"keys.json", &keys)
	readJSON(t, vectors+"opened.json", &cases)
	kems := map[int]int{}
	for _, c := range cases {
		for _, k := range c.Steps.DataKeys {
			if len(k.Info) == 0 {
				continue // another audience's
			}
			_, p := parseGrant(t, k.Grant)
			for _, w := range p.Wraps {
				for _, r := range keys.Recipients {
					if !bytes.Equal(r.RID, w.RID) {
						continue
					}
					kem := hpke.KEM(r.KEM)
					private, err := kem.Scheme().UnmarshalBinaryPrivateKey(r.Private)
					check(t, err)
					receiver, err := hpke.NewSuite(kem, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM).NewReceiver(private, infoFor(t, k.Info, w.RID))
					check(t, err)
					size := kem.Scheme().CiphertextSize()
					opener, err := receiver.Setup(w.HPKE[:size])
					check(t, err)
					dek, err := opener.Open(w.HPKE[size:], nil)
					if err != nil || !bytes.Equal(dek, k.DEK) {
						t.Errorf("%s, %s: %v", c.Name, r.Name, err)
					}
					kems[r.KEM]++
				}
			}
		}
	}
	if kems[0x20] == 0 || kems[0x10] == 0 || kems[0x647a] == 0 {
		t.Errorf("keys unwrapped, by kind: %v", kems)
	}
}

// infoFor is the HPKE info of another recipient of the same grant: it ends with
// the recipient's id.
func infoFor(t *testing.T, info, rid []byte) []byte {
	t.Helper()
	return append(bytes.Clone(info[:len(info)-len(rid)]), rid...)
}

// handle makes a keyset of one RAW key.
func handle(t *testing.T, url string, kind tinkpb.KeyData_KeyMaterialType, key proto.Message) *keyset.Handle {
	t.Helper()
	value, err := proto.Marshal(key)
	check(t, err)
	ks := &tinkpb.Keyset{PrimaryKeyId: 1, Key: []*tinkpb.Keyset_Key{{
		KeyData: &tinkpb.KeyData{TypeUrl: "type.googleapis.com/google.crypto.tink." + url, Value: value, KeyMaterialType: kind},
		Status:  tinkpb.KeyStatusType_ENABLED, KeyId: 1, OutputPrefixType: tinkpb.OutputPrefixType_RAW,
	}}}
	h, err := insecurecleartextkeyset.Read(&keyset.MemReaderWriter{Keyset: ks})
	check(t, err)
	return h
}

func gcm(t *testing.T, key []byte) *keyset.Handle {
	return handle(t, "AesGcmKey", tinkpb.KeyData_SYMMETRIC, &gcmpb.AesGcmKey{KeyValue: key})
}

func chacha(t *testing.T, key []byte) *keyset.Handle {
	return handle(t, "ChaCha20Poly1305Key", tinkpb.KeyData_SYMMETRIC, &chachapb.ChaCha20Poly1305Key{KeyValue: key})
}

func hpkeKey(t *testing.T, private, public []byte) *keyset.Handle {
	return handle(t, "HpkePrivateKey", tinkpb.KeyData_ASYMMETRIC_PRIVATE, &hpkepb.HpkePrivateKey{
		PrivateKey: private,
		PublicKey: &hpkepb.HpkePublicKey{PublicKey: public, Params: &hpkepb.HpkeParams{
			Kem: hpkepb.HpkeKem_DHKEM_X25519_HKDF_SHA256, Kdf: hpkepb.HpkeKdf_HKDF_SHA256, Aead: hpkepb.HpkeAead_AES_256_GCM,
		}},
	})
}

// TestTinkV1Opens: google/tink/go 1.7.0 opens what our gateways seal: payloads,
// wrapped keys, signatures of grants.
func TestTinkV1Opens(t *testing.T) {
	var keys keysFile
	var cases []openedCase
	readJSON(t, vectors+"keys.json", &keys)
	readJSON(t, vectors+"opened.json", &cases)
	verifier, err := signature.NewVerifier(handle(t, "Ed25519PublicKey", tinkpb.KeyData_ASYMMETRIC_PUBLIC, &edpb.Ed25519PublicKey{KeyValue: keys.SigningKey.Public}))
	check(t, err)
	payloads, wraps := map[int]int{}, 0
	for _, c := range cases {
		for _, k := range c.Steps.DataKeys {
			g, p := parseGrant(t, k.Grant)
			check(t, verifier.Verify(g.Signature, k.Signed))
			for _, w := range p.Wraps {
				for _, r := range keys.Recipients {
					if len(k.Info) == 0 || r.KEM != 0x20 || !bytes.Equal(r.RID, w.RID) {
						continue // another audience's, or a KEM that 1.7.0 has not
					}
					d, err := hybrid.NewHybridDecrypt(hpkeKey(t, r.Private, r.Public))
					check(t, err)
					dek, err := d.Decrypt(w.HPKE, infoFor(t, k.Info, w.RID))
					if err != nil || !bytes.Equal(dek, k.DEK) {
						t.Errorf("%s, %s: %v", c.Name, r.Name, err)
					}
					wraps++
				}
			}
		}
		if len(c.Steps.IV) == 0 {
			continue // a document: its parts are sealed alike
		}
		k := c.Steps.DataKeys[0]
		h := gcm(t, k.DEK)
		if k.Alg == 24 {
			h = chacha(t, k.DEK)
		}
		a, err := aead.New(h)
		check(t, err)
		var e struct {
			_         struct{} `cbor:",toarray"`
			Protected []byte
			Rest      map[int]any
			Sealed    []byte
		}
		raw := c.Message
		if raw[0] != 0xd0 {
			continue // in JSON
		}
		check(t, cbor.Unmarshal(raw[1:], &e))
		plain, err := a.Decrypt(append(bytes.Clone(c.Steps.IV), e.Sealed...), c.Steps.AAD)
		if err != nil || !bytes.Equal(plain, c.Steps.Plaintext) {
			t.Errorf("%s: %v", c.Name, err)
		}
		payloads[k.Alg]++
	}
	if payloads[3] == 0 || payloads[24] == 0 || wraps == 0 {
		t.Errorf("payloads opened by algorithm: %v, keys unwrapped: %d", payloads, wraps)
	}
}

// A fixture is one thing that google/tink/go 1.7.0 made. Keyset is the keyset in
// clear, in Tink's binary form.
type fixture struct {
	Kind     string `json:"kind"`
	Keyset   bin    `json:"keyset"`
	Key      bin    `json:"key"`
	Public   bin    `json:"public,omitempty"`
	Message  bin    `json:"message"`
	Context  bin    `json:"context"` // associated data or info
	Produced bin    `json:"produced"`
}

// TestFixtures makes the fixtures with -update, and else sees that 1.7.0 still
// opens them.
func TestFixtures(t *testing.T) {
	if *update {
		makeFixtures(t)
	}
	var all []fixture
	readJSON(t, fixtures, &all)
	kinds := map[string]bool{}
	for _, f := range all {
		kinds[f.Kind] = true
		h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(f.Keyset)))
		check(t, err)
		var got []byte
		switch f.Kind {
		case "aes-256-gcm", "chacha20-poly1305":
			a, aerr := aead.New(h)
			check(t, aerr)
			got, err = a.Decrypt(f.Produced, f.Context)
		case "aes-siv":
			d, derr := daead.New(h)
			check(t, derr)
			got, err = d.DecryptDeterministically(f.Produced, f.Context)
		case "hpke-x25519":
			d, derr := hybrid.NewHybridDecrypt(h)
			check(t, derr)
			got, err = d.Decrypt(f.Produced, f.Context)
		case "ed25519":
			public, perr := h.Public()
			check(t, perr)
			v, verr := signature.NewVerifier(public)
			check(t, verr)
			got, err = f.Message, v.Verify(f.Produced, f.Message)
		}
		if err != nil || !bytes.Equal(got, f.Message) {
			t.Errorf("%s: %v", f.Kind, err)
		}
	}
	if len(kinds) != 5 {
		t.Errorf("fixtures are of the kinds %v", kinds)
	}
}

func makeFixtures(t *testing.T) {
	t.Helper()
	message, context := []byte("thirty-two bytes, of a data key!"), []byte("the place that it is bound to")
	binary := func(h *keyset.Handle) []byte {
		var out bytes.Buffer
		check(t, insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&out)))
		return out.Bytes()
	}
	value := func(h *keyset.Handle, into proto.Message) {
		check(t, proto.Unmarshal(insecurecleartextkeyset.KeysetMaterial(h).Key[0].KeyData.Value, into))
	}
	fresh := func(template *tinkpb.KeyTemplate) *keyset.Handle {
		template.OutputPrefixType = tinkpb.OutputPrefixType_RAW
		h, err := keyset.NewHandle(template)
		check(t, err)
		return h
	}
	var all []fixture

	h := fresh(aead.AES256GCMKeyTemplate())
	var gcmKey gcmpb.AesGcmKey
	value(h, &gcmKey)
	a, err := aead.New(h)
	check(t, err)
	ct, err := a.Encrypt(message, context)
	check(t, err)
	all = append(all, fixture{"aes-256-gcm", binary(h), gcmKey.KeyValue, nil, message, context, ct})

	h = fresh(aead.ChaCha20Poly1305KeyTemplate())
	var chachaKey chachapb.ChaCha20Poly1305Key
	value(h, &chachaKey)
	a, err = aead.New(h)
	check(t, err)
	ct, err = a.Encrypt(message, context)
	check(t, err)
	all = append(all, fixture{"chacha20-poly1305", binary(h), chachaKey.KeyValue, nil, message, context, ct})

	h = fresh(daead.AESSIVKeyTemplate())
	var sivKey sivpb.AesSivKey
	value(h, &sivKey)
	d, err := daead.New(h)
	check(t, err)
	ct, err = d.EncryptDeterministically(message, context)
	check(t, err)
	all = append(all, fixture{"aes-siv", binary(h), sivKey.KeyValue, nil, message, context, ct})

	h = fresh(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Raw_Key_Template())
	var hpkePrivate hpkepb.HpkePrivateKey
	value(h, &hpkePrivate)
	public, err := h.Public()
	check(t, err)
	e, err := hybrid.NewHybridEncrypt(public)
	check(t, err)
	ct, err = e.Encrypt(message, context)
	check(t, err)
	all = append(all, fixture{"hpke-x25519", binary(h), hpkePrivate.PrivateKey, hpkePrivate.PublicKey.PublicKey, message, context, ct})

	h = fresh(signature.ED25519KeyTemplate())
	var edKey edpb.Ed25519PrivateKey
	value(h, &edKey)
	s, err := signature.NewSigner(h)
	check(t, err)
	sig, err := s.Sign(message)
	check(t, err)
	all = append(all, fixture{"ed25519", binary(h), edKey.KeyValue, edKey.PublicKey.KeyValue, message, nil, sig})

	raw, err := json.MarshalIndent(all, "", "  ")
	check(t, err)
	check(t, os.WriteFile(fixtures, append(raw, '\n'), 0o644))
}
