package signed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/sealgate/sealgate/crypto"
)

// Draft returns an envelope without a signature, for signers who sit in
// different places: each adds theirs with CoSign.
func Draft(payloadType string, body []byte) ([]byte, error) {
	if len(body) > MaxSize {
		return nil, ErrSize
	}
	return encodeEnvelope(&envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(body), Signatures: []signature{},
	})
}

// CoSign adds signatures to an envelope. One of a key that signed already
// replaces it.
func CoSign(raw []byte, signers ...*crypto.Signer) ([]byte, error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if err := env.sign(signers); err != nil {
		return nil, err
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
	if body, err = env.body(); err != nil {
		return "", nil, err
	}
	return env.PayloadType, body, nil
}

// SignedBy returns which of the role's keys signed an envelope, each once.
func (r *Role) SignedBy(raw []byte) (ids []crypto.KeyID, err error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if ids, _, err = env.signedBy(r.keys); err != nil {
		return nil, err
	}
	return ids, nil
}

// Threshold returns how many keys must sign.
func (r *Role) Threshold() int { return r.threshold }

func encodeEnvelope(env *envelope) ([]byte, error) {
	raw, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return raw, nil
}
