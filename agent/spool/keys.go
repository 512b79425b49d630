package spool

import (
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/crypto"
)

// keySet is the key that is written under and those that are still read.
type keySet struct {
	alg     crypto.Alg
	current namedKey
	old     []namedKey
}

type namedKey struct {
	id  [16]byte
	key *crypto.SecretKey
}

func newKeySet(current *crypto.SecretKey, old []*crypto.SecretKey) (*keySet, error) {
	if current == nil {
		return nil, errors.New("key is required")
	}
	ks := &keySet{alg: crypto.PreferredAlg()}
	var err error
	if ks.current, err = nameKey(current); err != nil {
		return nil, err
	}
	for _, k := range old {
		n, err := nameKey(k)
		if err != nil {
			return nil, err
		}
		ks.old = append(ks.old, n)
	}
	return ks, nil
}

// nameKey gives a key its public id: the tag that a cipher derived from it puts
// on nothing. It says nothing about the key and needs no second secret.
func nameKey(k *crypto.SecretKey) (n namedKey, err error) {
	c, err := crypto.NewSegmentCipher(k, crypto.AlgAES256GCM, make([]byte, 32), []byte("sealgate spool key id"))
	if err != nil {
		return n, fmt.Errorf("derive spool key id: %w", err)
	}
	copy(n.id[:], c.Seal(nil, 0, nil, nil))
	n.key = k
	return n, nil
}

func (ks *keySet) find(id [16]byte) *crypto.SecretKey {
	if id == ks.current.id {
		return ks.current.key
	}
	for _, k := range ks.old {
		if id == k.id {
			return k.key
		}
	}
	return nil
}
