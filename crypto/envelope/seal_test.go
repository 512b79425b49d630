package envelope

import (
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

type parties struct {
	signer *crypto.Signer
	key    *crypto.RecipientKey
	sealer *Sealer
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newParties(t testing.TB) parties {
	t.Helper()
	p := parties{signer: must(crypto.GenerateSigner()), key: must(crypto.GenerateRecipientKey(crypto.KEMX25519))}
	p.sealer = must(NewSealer(SealerOptions{
		Gateway: "gw-1", Signer: p.signer, Boot: 7, BundleVersion: 3, Alg: crypto.AlgAES256GCM,
		Recipients: []Recipient{{Recipient: p.key.Recipient(), Audience: "cloud"}},
	}))
	return p
}

func testStamp() Stamp {
	return Stamp{Stream: Stream{Uplink: 1, Lane: 0, Shard: 2}, Seq: 41, MessageID: [16]byte{1, 2, 3}, Grade: 3, PolicyVersion: 12,
		Topic: "site/gate/3", ContentType: "application/json"}
}

const exampleDoc = `{"plate":null,"speed":42,"owner":{"name":null,"age":40},"seen":"2026-01-01"}`

func exampleFields() []FieldCipher {
	return []FieldCipher{
		{Pointer: "/plate", Plaintext: []byte(`"XX 123 YZ"`)},
		{Pointer: "/owner/name", Plaintext: []byte(`"Ada Example"`)},
		{Pointer: "/owner/birth", Plaintext: []byte(`"1984-02-03"`)},
	}
}
