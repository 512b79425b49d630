package envelope

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

func TestSigningIsDemanded(t *testing.T) {
	p := newParties(t)
	other := must(crypto.GenerateRecipientKey(crypto.KEMX25519)).Recipient()
	sealer := func(rs ...Recipient) *Sealer {
		return must(NewSealer(SealerOptions{Gateway: "gw-1", Signer: p.signer, Boot: 7, Recipients: rs}))
	}
	mine := Recipient{Recipient: p.key.Recipient(), Audience: "cloud"}
	for _, tt := range []struct {
		name   string
		sealer *Sealer
		grade  uint8
		sign   bool
		want   Origin
	}{
		{"one audience", sealer(mine), 3, false, OriginKey},
		{"one audience and recovery", sealer(mine, Recipient{Recipient: other, Recovery: true}), 3, false, OriginKey},
		{"two audiences", sealer(mine, Recipient{Recipient: other, Audience: "police"}), 1, false, OriginSigned},
		{"high grade", sealer(mine), 4, false, OriginSigned},
		{"on demand", sealer(mine), 1, true, OriginSigned},
	} {
		p.sealer = tt.sealer
		st := testStamp()
		st.Grade, st.Sign = tt.grade, tt.sign
		strict := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: p.registry,
			Require: func(string) Requirement { return Requirement{Signed: true} }}))
		nobody := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive}))
		for _, msg := range [][]byte{p.message(st, "m", EncodingCOSE), p.document(st, `{"a":null}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}})} {
			got, err := p.archive(t).Open("site/gate/3", msg)
			if err != nil || got.Origin != tt.want {
				t.Errorf("%s: %v, %v", tt.name, got.Origin, err)
			}
			_, err = strict.Open("site/gate/3", msg)
			if tt.want == OriginSigned && err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if tt.want != OriginSigned {
				wantReason(t, err, ReasonBadSignature)
			}
			if got, err := nobody.Open("site/gate/3", msg); err != nil || got.Origin != OriginUnverified || !got.Verified {
				t.Errorf("%s without a registry: %v, %v", tt.name, got.Origin, err)
			}
		}
	}
}

func TestRequirements(t *testing.T) {
	p := newParties(t)
	doc := p.document(testStamp(), `{"a":null}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}})
	sealed := p.message(testStamp(), "m", EncodingCOSE)
	clear := []byte(`{"a":1}`)
	with := func(o OpenerOptions) *Opener {
		o.Keys, o.Verifiers = []*crypto.RecipientKey{p.key}, p.registry
		return must(NewOpener(o))
	}
	require := func(r Requirement) *Opener {
		return with(OpenerOptions{Require: func(topic string) Requirement {
			if topic != "site/gate/3" {
				t.Errorf("asked about %q", topic)
			}
			return r
		}})
	}
	ok := func(o *Opener, msg []byte) Opened {
		t.Helper()
		got, err := o.Open("site/gate/3", msg)
		if err != nil {
			t.Error(err)
		}
		return got
	}
	bad := func(o *Opener, topic string, msg []byte, want payload.Reason) {
		t.Helper()
		_, err := o.Open(topic, msg)
		wantReason(t, err, want)
	}
	for _, msg := range [][]byte{clear, []byte("text"), nil, {0xff, 0xd8, 0xff}, {0xd0}, {0xd2, 0x84}} {
		bad(with(OpenerOptions{}), "site/gate/3", msg, ReasonDowngrade)
		bad(require(Requirement{AllowClear: true, Sealed: true}), "site/gate/3", msg, ReasonDowngrade)
		bad(require(Requirement{AllowClear: true, Signed: true}), "site/gate/3", msg, ReasonDowngrade)
		got := ok(require(Requirement{AllowClear: true}), msg)
		if !bytes.Equal(got.Payload, msg) || got.Verified || got.Origin != OriginUnverified || got.Protection != ProtectionNone || got.Topic != "site/gate/3" || got.Freshness != Unchecked {
			t.Errorf("clear message: %+v", got)
		}
	}
	bad(require(Requirement{Sealed: true}), "site/gate/3", doc, ReasonDowngrade)
	ok(require(Requirement{Sealed: true}), sealed)
	bad(with(OpenerOptions{}), "site/gate/4", doc, ReasonTopic)
	bad(with(OpenerOptions{}), "site/gate/4", sealed, ReasonTopic)
	mapped := with(OpenerOptions{PublishedTopic: func(r string) string { return strings.TrimPrefix(r, "bridge/") }})
	if got, err := mapped.Open("bridge/site/gate/3", sealed); err != nil || got.Topic != "site/gate/3" {
		t.Errorf("mapped topic: %v", err)
	}
	bad(with(OpenerOptions{}), "", sealed, ReasonTopic)
	for _, msg := range [][]byte{sealed, doc} {
		if got, err := with(OpenerOptions{Mode: Archive}).Open("", msg); err != nil || got.Topic != "site/gate/3" {
			t.Errorf("unknown topic in an archive: %q, %v", got.Topic, err)
		}
	}
	bad(with(OpenerOptions{Mode: Archive}), "site/gate/4", sealed, ReasonTopic)
	bad(with(OpenerOptions{Algs: []crypto.Alg{crypto.AlgChaCha20Poly1305}}), "site/gate/3", sealed, ReasonAlgorithm)
	bad(with(OpenerOptions{Algs: []crypto.Alg{crypto.AlgChaCha20Poly1305}}), "site/gate/3", doc, ReasonAlgorithm)
	bad(with(OpenerOptions{MaxBytes: 100}), "site/gate/3", sealed, ReasonMalformed)
	st := testStamp()
	st.Sign = true
	edited := rewrite(t, p.document(st, `{"a":null,"b":1}`, []FieldCipher{{Pointer: "/a", Plaintext: []byte("1")}}), `"b":1`, `"b":2`)
	ok(with(OpenerOptions{AllowReserialized: true}), edited)
	bad(with(OpenerOptions{AllowReserialized: true, Require: func(string) Requirement { return Requirement{Signed: true} }}), "site/gate/3", edited, ReasonReserialized)
	withdrawn := true
	o := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Verifiers: func(g string) []*crypto.Verifier {
		if withdrawn {
			return nil
		}
		return p.registry(g)
	}}))
	withdrawn = false
	ok(o, sealed)
	withdrawn = true
	bad(o, "site/gate/3", sealed, ReasonOrigin)

	for _, bad := range []OpenerOptions{
		{},
		{Keys: []*crypto.RecipientKey{p.key}},
		{Keys: []*crypto.RecipientKey{p.key}, Mode: 2, Verifiers: p.registry},
		{Keys: []*crypto.RecipientKey{p.key}, Mode: Archive, Window: -1},
	} {
		if _, err := NewOpener(bad); err == nil {
			t.Errorf("options %+v were accepted", bad)
		}
	}
}
