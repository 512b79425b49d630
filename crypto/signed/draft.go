package signed

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/sealgate/sealgate/crypto"
)

// Draft returns an envelope without a signature, for signers who sit in
// different places: each adds theirs with CoSign.
func Draft(payloadType string, body []byte) ([]byte, error) {
	if len(body) > MaxSize {
		return nil, ErrSize
	}
	return encodeEnvelope(&dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(body), Signatures: []dsse.Signature{},
	})
}

// CoSign adds signatures to an envelope. One of a key that signed already
// replaces it.
func CoSign(raw []byte, signers ...*crypto.Signer) ([]byte, error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	body, err := env.DecodeB64Payload()
	if err != nil {
		return nil, ErrFormat
	}
	all := make([]dsse.Signer, 0, len(signers))
	for _, s := range signers {
		all = append(all, signer{s})
	}
	es, err := dsse.NewEnvelopeSigner(all...)
	if err != nil {
		return nil, fmt.Errorf("sign document: %w", err)
	}
	added, err := es.SignPayload(context.Background(), env.PayloadType, body)
	if err != nil {
		return nil, fmt.Errorf("sign document: %w", err)
	}
	for _, sig := range added.Signatures {
		env.Signatures = slices.DeleteFunc(env.Signatures, func(old dsse.Signature) bool { return old.KeyID == sig.KeyID })
		env.Signatures = append(env.Signatures, sig)
	}
	if len(env.Signatures) > maxSignatures {
		return nil, ErrSize
	}
	return encodeEnvelope(env)
}

// Look returns what an envelope says that it holds. Nothing of it is verified:
// it is for showing a document to the people who are to sign it.
func Look(raw []byte) (payloadType string, body []byte, err error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return "", nil, err
	}
	if body, err = env.DecodeB64Payload(); err != nil {
		return "", nil, ErrFormat
	}
	return env.PayloadType, body, nil
}

// SignedBy returns which of the role's keys signed an envelope, each once.
func (r *Role) SignedBy(raw []byte) (ids []crypto.KeyID, err error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	for _, k := range r.keys {
		one, err := NewRole(r.name, 1, []*crypto.Verifier{k})
		if err != nil {
			return nil, err
		}
		if _, err := one.Verify(raw, env.PayloadType); err == nil && !slices.Contains(ids, k.KeyID()) {
			ids = append(ids, k.KeyID())
		}
	}
	return ids, nil
}

// Threshold returns how many keys must sign.
func (r *Role) Threshold() int { return r.threshold }

func encodeEnvelope(env *dsse.Envelope) ([]byte, error) {
	raw, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return raw, nil
}
