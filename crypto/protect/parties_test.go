package protect

import (
	"slices"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// parties are a gateway that judges and protects, and who opens what it sends.
type parties struct {
	testing.TB
	audiences []string
	keys      map[string]*crypto.RecipientKey // by audience; "recovery" is the recovery key
	signer    *crypto.Signer
	secret    *crypto.SecretKey // of every pseudonym domain

	policy    *policy.Policy
	protector *Protector
	scratch   policy.Scratch
	state     *classify.State
	seq       uint64
}

const head = "schema: sealgate/policy/v1\nversion: 3\nprofile: generic\n"

// everything is a route for all topics, and what policies here end with.
const everything = "routes: [{name: all, topics: ['#']}]\n"

// newParties makes a gateway under a policy; "" is the built-in one. Its guard
// demands nothing, so that a policy can show every action.
func newParties(t testing.TB, src string) *parties {
	p := &parties{
		TB: t, audiences: []string{"ops", "police"}, keys: map[string]*crypto.RecipientKey{},
		signer: must(crypto.GenerateSigner()), secret: must(crypto.NewSecretKey()),
	}
	for _, a := range append(slices.Clone(p.audiences), "recovery") {
		p.keys[a] = must(crypto.GenerateRecipientKey(crypto.KEMX25519))
	}
	p.use(src)
	return p
}

var lenient = policy.Guard{
	Minimum: map[classify.Grade]string{classify.L3: "pass", classify.L4: "pass", classify.L5: "pass"},
	Observe: true, AllowUnclass: true, AllowUnreadable: true,
}

func (p *parties) use(src string) {
	p.Helper()
	v := policy.Vocabulary{Actions: Specs(), Recipients: p.audiences}
	var err error
	if src == "" {
		p.policy, err = policy.BuiltIn("generic", v, policy.Guard{})
	} else {
		p.policy, err = policy.Compile([]byte(head+src), v, lenient)
	}
	if err != nil {
		p.Fatal(err)
	}
	p.protector = must(New(p.options()))
	p.state = classify.NewState()
}

func (p *parties) options() Options {
	o := Options{
		Policy: p.policy, Gateway: "gw-1", BundleVersion: 1, Signer: p.signer, Boot: 1,
		Pseudonyms: func(domains []string) (*crypto.Pseudonymizer, error) {
			var keys []crypto.PseudonymKey
			for _, d := range domains {
				keys = append(keys, crypto.PseudonymKey{Domain: d, Version: 1, Key: p.secret})
			}
			return crypto.NewPseudonymizer(keys)
		},
	}
	for a, k := range p.keys {
		o.Recipients = append(o.Recipients, envelope.Recipient{Recipient: k.Recipient(), Audience: a, Recovery: a == "recovery"})
	}
	return o
}

func (p *parties) judge(topic, payload string) policy.Verdict {
	p.Helper()
	r := p.policy.Route(topic)
	if r == nil {
		p.Fatalf("no route for %q", topic)
	}
	return p.policy.Judge(&p.scratch, p.state, r, policy.Input{Topic: topic, Payload: []byte(payload)})
}

// send judges and protects one message.
func (p *parties) send(topic, payload string) Output {
	p.Helper()
	return p.sendVia(topic, payload, Mapping{})
}

func (p *parties) sendVia(topic, payload string, m Mapping) Output {
	p.Helper()
	v := p.judge(topic, payload)
	return p.protect(&v, &v.Decisions[0], m)
}

func (p *parties) protect(v *policy.Verdict, d *policy.Decision, m Mapping) Output {
	p.seq++
	return p.protector.Protect(v, d, Request{Mapping: m, Seq: p.seq, MessageID: [16]byte{1, byte(p.seq)}, Stream: envelope.Stream{Uplink: 1}})
}

// opener opens as an audience, or as all of them.
func (p *parties) opener(audiences ...string) *envelope.Opener {
	var keys []*crypto.RecipientKey
	for a, k := range p.keys {
		if len(audiences) == 0 || slices.Contains(audiences, a) {
			keys = append(keys, k)
		}
	}
	return must(envelope.NewOpener(envelope.OpenerOptions{
		Keys: keys, Mode: envelope.Archive, MaxBytes: 64 << 20,
		Verifiers: func(string) []*crypto.Verifier { return []*crypto.Verifier{p.signer.Verifier()} },
		Require:   func(string) envelope.Requirement { return envelope.Requirement{AllowClear: true} },
	}))
}

func (p *parties) open(o Output, audiences ...string) envelope.Opened {
	p.Helper()
	op := p.opener(audiences...)
	for i, g := range o.Grants {
		if kid, err := op.AddGrant(g); err != nil || kid != o.KIDs[i] {
			p.Fatalf("grant %d: %v", i, err)
		}
	}
	opened, err := op.Open(o.Topic, o.Payload)
	if err != nil {
		p.Fatalf("open as %v: %v", audiences, err)
	}
	return opened
}

func newRecipient() (*crypto.Recipient, error) {
	k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		return nil, err
	}
	return k.Recipient(), nil
}
