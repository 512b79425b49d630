package protect_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/protect"
)

// A message is judged and protected on the gateway, and opened in the cloud.
func Example() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	// Once for a policy and its recipients.
	cloud, err := crypto.GenerateRecipientKey(crypto.KEMX25519) // its public half comes in the signed bundle
	check(err)
	signer, err := crypto.GenerateSigner() // in the gateway's keyring
	check(err)
	p, err := policy.Compile([]byte(`
schema: sealgate/policy/v1
version: 1
profile: eu
routes: [{name: everything, topics: ["#"]}]
classes:
  location.precise: {encrypt: {leave: {generalize: {decimals: 1}}}}
`), policy.Vocabulary{Actions: protect.Specs(), Recipients: []string{"cloud"}}, policy.Guard{})
	check(err)
	protector, err := protect.New(protect.Options{
		Policy: p, Gateway: "gw-1", Signer: signer, Boot: 1,
		Recipients: []envelope.Recipient{{Recipient: cloud.Recipient(), Audience: "cloud"}},
		Pseudonyms: func(domains []string) (*crypto.Pseudonymizer, error) {
			key, err := crypto.NewSecretKey()
			if err != nil {
				return nil, err
			}
			return crypto.NewPseudonymizer([]crypto.PseudonymKey{{Domain: domains[0], Version: 1, Key: key}})
		},
	})
	check(err)

	// For each message.
	const topic, payload = "car/7/gps", `{"lat":52.516275,"lon":13.377704,"speed":48}`
	var scratch policy.Scratch
	verdict := p.Judge(&scratch, classify.NewState(), p.Route(topic), policy.Input{Topic: topic, Payload: []byte(payload)})
	for i := range verdict.Decisions { // one for each uplink
		out := protector.Protect(&verdict, &verdict.Decisions[i], protect.Request{
			Seq: 1, Mapping: protect.Mapping{Prefix: "site-4/"},
		})
		inClear, _, _ := strings.Cut(string(out.Payload), `,"_sg"`)
		fmt.Println(out.Outcome, out.Topic, inClear)

		opener, err := envelope.NewOpener(envelope.OpenerOptions{Mode: envelope.Archive, Keys: []*crypto.RecipientKey{cloud}})
		check(err)
		opened, err := opener.Open(out.Topic, out.Payload)
		check(err)
		fmt.Println("opened", opened.Topic, string(opened.Payload))
	}
	// Output:
	// encrypted site-4/car/7/gps {"lat":52.5,"lon":13.3,"speed":48
	// opened site-4/car/7/gps {"lat":52.516275,"lon":13.377704,"speed":48}
}
