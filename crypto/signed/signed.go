// Package signed opens documents that operators signed: DSSE envelopes with
// thresholds, floors and validity, and the bundle of recipients.
//
// The model: a [Role] is a set of distinct keys and how many of them must have
// signed. Role.Verify returns the payload's bytes only if enough did, and
// nothing is parsed before. Every refusal wraps [ErrRefused] and one reason.
// The channel that delivers documents is never trusted; what it can still do is
// to withhold them.
//
// What it does not do: it stores no floor and no key, reads no clock, and does
// not decide what happens when a document is refused or has expired: the caller
// keeps enforcing what it has.
package signed

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// MaxSize and MaxEnvelope bound a document and its envelope, in bytes: brokers
// take 128 KiB for granted, base64 and signatures come on top.
const (
	MaxSize     = 128 << 10
	MaxEnvelope = 192 << 10
)

// maxSignatures bounds the work that one envelope can ask for.
const maxSignatures = 32

// ErrRefused is the parent of every reason why a document is not accepted.
var ErrRefused = errors.New("signed document refused")

// The reasons.
var (
	ErrSize      = fmt.Errorf("%w: it is too large", ErrRefused)
	ErrFormat    = fmt.Errorf("%w: it is malformed", ErrRefused)
	ErrType      = fmt.Errorf("%w: it is of another type", ErrRefused)
	ErrThreshold = fmt.Errorf("%w: too few of the role's keys signed it", ErrRefused)
	ErrTarget    = fmt.Errorf("%w: it is meant for another site", ErrRefused)
	ErrStream    = fmt.Errorf("%w: it belongs to another stream", ErrRefused)
	ErrEpoch     = fmt.Errorf("%w: it was made under another trust root", ErrRefused)
	ErrRollback  = fmt.Errorf("%w: it is older than, or differs from, what was accepted before", ErrRefused)
	ErrNotYet    = fmt.Errorf("%w: it is not valid yet", ErrRefused)
	ErrExpired   = fmt.Errorf("%w: it has expired", ErrRefused)
	ErrContent   = fmt.Errorf("%w: its content does not hold together", ErrRefused)
)

// Role is who may sign a kind of document, and how many must.
type Role struct {
	name      string
	threshold int
	keys      []*crypto.Verifier // each once
}

// AtLeast returns the role with a threshold of at least n of its keys.
func (r *Role) AtLeast(n int) (*Role, error) { return NewRole(r.name, max(n, r.threshold), r.keys) }

// NewRole makes a role of the given keys. Keys given twice count once, and
// threshold must be between 1 and the number of distinct keys.
func NewRole(name string, threshold int, keys []*crypto.Verifier) (*Role, error) {
	var distinct []*crypto.Verifier
	for _, k := range keys {
		if !slices.ContainsFunc(distinct, func(d *crypto.Verifier) bool { return d.KeyID() == k.KeyID() }) {
			distinct = append(distinct, k)
		}
	}
	if threshold < 1 || threshold > len(distinct) {
		return nil, fmt.Errorf("role %s: threshold %d with %d distinct keys: want at least 1, and no more than there are keys", name, threshold, len(distinct))
	}
	return &Role{name: name, threshold: threshold, keys: distinct}, nil
}

// Verify returns the payload of a DSSE envelope of that payload type, if at
// least the threshold of the role's distinct keys signed it.
func (r *Role) Verify(raw []byte, payloadType string) ([]byte, error) {
	return r.verify(raw, payloadType, MaxEnvelope)
}

func (r *Role) verify(raw []byte, payloadType string, limit int) ([]byte, error) {
	env, err := parseEnvelopeUpTo(raw, limit)
	if err != nil {
		return nil, err
	}
	if env.PayloadType != payloadType {
		return nil, ErrType
	}
	ids, body, err := env.signedBy(r.keys)
	if err != nil || len(ids) < r.threshold {
		return nil, fmt.Errorf("role %s: %w", r.name, ErrThreshold)
	}
	return body, nil
}

func parseEnvelope(raw []byte) (*envelope, error) { return parseEnvelopeUpTo(raw, MaxEnvelope) }

func parseEnvelopeUpTo(raw []byte, limit int) (*envelope, error) {
	if len(raw) > limit {
		return nil, ErrSize
	}
	var env envelope
	if err := decode(raw, &env); err != nil {
		return nil, err
	}
	if len(env.Signatures) > maxSignatures {
		return nil, ErrSize
	}
	if _, err := env.body(); err != nil {
		return nil, err
	}
	return &env, nil
}

// decode reads one strict JSON object, every name of which is known.
func decode(raw []byte, v any) error {
	if payload.CheckStrictJSON(raw) != payload.ReasonNone {
		return ErrFormat
	}
	if err := crypto.UnmarshalStrict(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// Sign returns a DSSE envelope of body with one signature of each signer.
func Sign(payloadType string, body []byte, signers ...*crypto.Signer) ([]byte, error) {
	return signUpTo(payloadType, body, MaxSize, signers...)
}

func signUpTo(payloadType string, body []byte, limit int, signers ...*crypto.Signer) ([]byte, error) {
	if len(body) > limit || len(signers) > maxSignatures {
		return nil, ErrSize
	}
	env := &envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(body)}
	if err := env.sign(signers); err != nil {
		return nil, err
	}
	return encodeEnvelope(env)
}
