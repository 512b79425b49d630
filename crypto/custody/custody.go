// Package custody says where the key-encryption key (KEK) lives that protects a
// gateway's keyring.
//
// The model: a [Custodian] is a place that keeps the key; a [Ring] is a
// directory of keys and the record that says which custodian has their KEK.
// [Ring.Open] fetches the KEK once, at start, and hands out a [Key] that seals
// and unseals small blobs. Init, Move and Rescue put a fresh KEK into custody
// and seal every key of the ring under it, in one step that a crash can't
// halve: afterwards the ring opens by the old custodian or by the new one.
//
// The KEK may also be wrapped to rescue keys, which stay offline: with one of
// them the ring opens although its custodian is gone. A rescue key opens the
// gateway's own keys and nothing that was sent; the recipients' recovery key is
// another one.
//
// A custodian that offers less than it may seem to says so in Key.Warning, and
// the caller shows it.
//
// What it does not do: it has no fallback. If the ring's custodian has no key,
// that is an error, and another one is never tried. It does not log, it does
// not retry, and it takes no lock: one process at a time opens a ring.
package custody

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// ErrCustody is the parent of every reason why a KEK can't be had.
var ErrCustody = errors.New("key-encryption key can't be had")

// The reasons that callers tell apart.
var (
	// ErrMissing: the custodian holds no key.
	ErrMissing = fmt.Errorf("%w: there is none", ErrCustody)
	// ErrUnavailable: the custodian can't be asked at the moment. Trying again
	// later may help.
	ErrUnavailable = fmt.Errorf("%w: its custodian does not answer", ErrCustody)
	// ErrRefused: the custodian was asked and does not hand it out.
	ErrRefused = fmt.Errorf("%w: its custodian refuses", ErrCustody)
	// ErrOther: what the custodian holds is not the key of this ring.
	ErrOther = fmt.Errorf("%w: it is not the one of these keys", ErrCustody)
)

// RescueAudience marks the public files of rescue keys, so that neither is a
// recipient's key taken for one, nor one of them for a recipient's.
const RescueAudience = "custody-rescue"

// Options says how to reach each custodian. Only those that a ring uses are
// looked at.
type Options struct {
	File       FileOptions
	Credential CredentialOptions
	TPM        TPMOptions
	Vault      VaultOptions
}

// Key is the opened key-encryption key.
type Key struct {
	crypto.KEK
	Kind string // of the custodian
	// Warning, if not empty, is to be shown to the person who runs the gateway,
	// at each start.
	Warning string
	Created time.Time // when the KEK was made
	Rescue  int       // rescue keys that open it
}

// InsecureKEK returns the key itself, for a backup.
func (k *Key) InsecureKEK() *crypto.SecretKey { return k.KEK.(local).key }

// Custodian is one place for the key.
type Custodian struct {
	Kind string // its name in agent.yaml
	Doc  string // one sentence: what it protects against
	// Warning is what the person who runs the gateway has to know.
	Warning string
	// Make puts a fresh key into custody for a gateway. The blob is what the
	// custodian needs to find it again; it may be empty, and is not secret.
	Make func(ctx context.Context, opts *Options, gateway string) (key *crypto.SecretKey, blob []byte, err error)
	// Open fetches the key with that id. id is zero for a ring that was made
	// before rings had records.
	Open func(ctx context.Context, opts *Options, gateway string, id [8]byte, blob []byte) (*crypto.SecretKey, error)
	// Drop forgets the key with that id where the custodian keeps it outside of
	// the blob and can. nil: there is nothing to forget.
	Drop func(opts *Options, id [8]byte) error
}

// Custodians returns all custodians, the weakest first.
func Custodians() []Custodian {
	return []Custodian{file(), credential(), tpm(), vault()}
}

// Kinds returns the names of the custodians.
func Kinds() []string {
	var out []string
	for _, c := range Custodians() {
		out = append(out, c.Kind)
	}
	return out
}

func find(kind string) (*Custodian, error) {
	for _, c := range Custodians() {
		if c.Kind == kind {
			return &c, nil
		}
	}
	return nil, fmt.Errorf("custody %q is not known: choose one of %s", kind, strings.Join(Kinds(), ", "))
}

// local is a KEK whose bytes are in this process.
type local struct{ key *crypto.SecretKey }

func (l local) Seal(plaintext, ad []byte) ([]byte, error) { return l.key.Seal(nil, plaintext, ad) }
func (l local) Unseal(sealed, ad []byte) ([]byte, error)  { return l.key.Open(nil, sealed, ad) }
func (l local) ID() [8]byte                               { return l.key.ID() }
