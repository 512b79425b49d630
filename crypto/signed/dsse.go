package signed

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sealgate/sealgate/crypto"
)

// envelope is a DSSE envelope (secure-systems-lab/dsse, envelope.md, v1.0.2).
// The key ids are hints of the signers and are not trusted.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// body returns the payload's bytes.
func (e *envelope) body() ([]byte, error) { return decodeBase64(e.Payload) }

// signedBy returns which of the keys signed the envelope, each once, and the
// payload's bytes. A signature that names a key is tried on that key only, one
// that names none on every key. One that can't be decoded spoils the envelope.
func (e *envelope) signedBy(keys []*crypto.Verifier) (ids []crypto.KeyID, body []byte, err error) {
	if body, err = e.body(); err != nil {
		return nil, nil, err
	}
	message := preAuth(e.PayloadType, body)
	for _, s := range e.Signatures {
		sig, err := decodeBase64(s.Sig)
		if err != nil {
			return nil, nil, err
		}
		for _, k := range keys {
			if s.KeyID != "" && s.KeyID != k.KeyID().String() || slices.Contains(ids, k.KeyID()) {
				continue
			}
			if k.Verify(message, sig) == nil {
				ids = append(ids, k.KeyID())
				break
			}
		}
	}
	return ids, body, nil
}

// sign adds one signature of each signer. One of a key that signed already
// replaces it.
func (e *envelope) sign(signers []*crypto.Signer) error {
	if len(signers) == 0 {
		return errors.New("sign document: no key to sign it with")
	}
	body, err := e.body()
	if err != nil {
		return err
	}
	message := preAuth(e.PayloadType, body)
	for _, s := range signers {
		sig, err := s.Sign(message)
		if err != nil {
			return fmt.Errorf("sign document: %w", err)
		}
		id := s.KeyID().String()
		e.Signatures = slices.DeleteFunc(e.Signatures, func(old signature) bool { return old.KeyID == id })
		e.Signatures = append(e.Signatures, signature{KeyID: id, Sig: base64.StdEncoding.EncodeToString(sig)})
	}
	return nil
}

// preAuth is what the keys of a DSSE envelope sign (protocol.md, PAE): type and
// body, each behind its length in bytes, so that neither can run into the other.
func preAuth(payloadType string, body []byte) []byte {
	b := make([]byte, 0, len("DSSEv1    ")+2*len("131072")+len(payloadType)+len(body))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, ' ')
	return append(b, body...)
}

// decodeBase64 takes both alphabets, as the standard asks.
func decodeBase64(s string) ([]byte, error) {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return b, nil
	}
	b, err := base64.URLEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrFormat
	}
	return b, nil
}
