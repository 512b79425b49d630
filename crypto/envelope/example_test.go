package envelope_test

import (
	"fmt"
	"log"
	"os"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// newOpener is what README.md shows.
func newOpener(dir string) (*envelope.Opener, error) {
	files, err := crypto.LoadRecipientKeys(dir, nil) // nil: no passphrase
	if err != nil {
		return nil, err
	}
	var keys []*crypto.RecipientKey
	for _, f := range files {
		keys = append(keys, f.Key)
	}
	return envelope.NewOpener(envelope.OpenerOptions{
		Keys: keys,
		Mode: envelope.Archive, // stateless; Live also finds replays, and wants Verifiers
		Require: func(topic string) envelope.Requirement {
			return envelope.Requirement{AllowClear: true} // the zero value refuses messages in clear
		},
	})
}

// A consumer opens what a gateway sealed to it. What is in clear passes.
func Example() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	sealer, err := site(dir)
	if err != nil {
		log.Fatal(err)
	}

	// The gateway's side: the plate was replaced by null and is encrypted.
	lease, err := sealer.Lease(2, 16)
	if err != nil {
		log.Fatal(err)
	}
	stamp := envelope.Stamp{Seq: 1, Grade: 3, Topic: "cameras/gate-1/anpr"}
	message, err := lease.SealFields(nil, stamp, []byte(`{"camera":"gate-1","plate":null}`),
		[]envelope.FieldCipher{{Pointer: "/plate", Plaintext: []byte(`"B-KX 4821"`)}})
	if err != nil {
		log.Fatal(err)
	}

	// The consumer's side.
	opener, err := newOpener(dir)
	if err != nil {
		log.Fatal(err)
	}
	opened, err := opener.Open("cameras/gate-1/anpr", message)
	if err != nil {
		log.Fatal(envelope.ReasonOf(err))
	}
	fmt.Printf("%s\n%s, %s\n", opened.Payload, opened.Protection, opened.Origin)
	// Output:
	// {"camera":"gate-1","plate":"B-KX 4821"}
	// fields, unverified
}

// site makes a consumer's key in dir, and a sealer for it.
func site(dir string) (*envelope.Sealer, error) {
	key, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		return nil, err
	}
	if _, err := crypto.SaveRecipientKey(dir, crypto.RecipientFile{Audience: "analytics", Key: key}, nil); err != nil {
		return nil, err
	}
	signer, err := crypto.GenerateSigner()
	if err != nil {
		return nil, err
	}
	return envelope.NewSealer(envelope.SealerOptions{
		Gateway: "gw-1", Signer: signer, Boot: 1, BundleVersion: 1,
		Recipients: []envelope.Recipient{{Recipient: key.Recipient(), Audience: "analytics"}},
	})
}
