// Package custody says where the key-encryption key (KEK) lives that protects a
// gateway's keyring.
//
// The model: a [Custodian] is a place; [Open] fetches the key from it once, at
// start, and hands out a [Key] that seals and unseals small blobs. A custodian
// that offers less than it may seem to says so in Key.Warning, and the caller
// shows it.
//
// What it does not do: it has no fallback. If the configured custodian has no
// key, that is an error, and another one is never tried. It does not write the
// keyring, and it does not log.
package custody

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/crypto"
)

// ErrMissing says that the custodian holds no key. A caller that starts a new
// gateway may open again with Options.Create.
var ErrMissing = errors.New("there is no key-encryption key")

// Options says where to find the key.
type Options struct {
	// Path is the key's file, for the custodian "file".
	Path string
	// Create makes a new key where there is none. Leave it false for a gateway
	// that has a keyring: a new key can't open it.
	Create bool
}

// Key is the opened key-encryption key.
type Key struct {
	crypto.KEK
	// Warning, if not empty, is to be shown to the person who runs the gateway,
	// at each start.
	Warning string
}

// Custodian is one place for the key.
type Custodian struct {
	Kind string // its name in agent.yaml
	Doc  string // one sentence: what it protects against
	Open func(Options) (*Key, error)
}

// Custodians returns all custodians.
func Custodians() []Custodian {
	return []Custodian{file()}
}

// Open opens the key with the custodian of that kind.
func Open(kind string, opts Options) (*Key, error) {
	var kinds []string
	for _, c := range Custodians() {
		if c.Kind == kind {
			k, err := c.Open(opts)
			if err != nil {
				return nil, fmt.Errorf("open key-encryption key (%s): %w", kind, err)
			}
			return k, nil
		}
		kinds = append(kinds, c.Kind)
	}
	return nil, fmt.Errorf("custody %q is not known: choose one of %s", kind, strings.Join(kinds, ", "))
}

// local is a KEK whose bytes are in this process.
type local struct{ key *crypto.SecretKey }

func (l local) Seal(plaintext, ad []byte) ([]byte, error) { return l.key.Seal(nil, plaintext, ad) }
func (l local) Unseal(sealed, ad []byte) ([]byte, error)  { return l.key.Open(nil, sealed, ad) }
func (l local) ID() [8]byte                               { return l.key.ID() }
