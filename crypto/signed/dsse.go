package signed

import (
	"context"
	stdcrypto "crypto"
	"crypto/ed25519"

	"github.com/sealgate/sealgate/crypto"
)

// verifier and signer adapt our keys to the library. The key id is a hint for
// it and is not trusted.
type verifier struct{ key *crypto.Verifier }

func (v verifier) Verify(_ context.Context, data, sig []byte) error { return v.key.Verify(data, sig) }
func (v verifier) KeyID() (string, error)                           { return v.key.KeyID().String(), nil }
func (v verifier) Public() stdcrypto.PublicKey                      { return ed25519.PublicKey(v.key.Public()) }

type signer struct{ key *crypto.Signer }

func (s signer) Sign(_ context.Context, data []byte) ([]byte, error) { return s.key.Sign(data) }
func (s signer) KeyID() (string, error)                              { return s.key.KeyID().String(), nil }
