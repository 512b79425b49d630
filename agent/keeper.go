package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/internal/durable"
)

// Keeper is what a person does with a gateway's own keys while the gateway is
// stopped. Each change holds the state directory's lock.
type Keeper struct {
	Config  *config.Config
	Machine []byte // as in Options
	Now     func() time.Time
}

// KeysInfo describes a gateway's own keys; nothing in it is secret.
type KeysInfo struct {
	Gateway    string    `json:"gateway"`
	Directory  string    `json:"directory"`
	Custody    string    `json:"custody"`
	Protects   string    `json:"protects"` // what the custodian protects against
	KEK        string    `json:"kek"`      // its id
	KEKCreated time.Time `json:"kek_created"`
	Rescue     []string  `json:"rescue"`   // ids of the rescue keys
	Rollback   string    `json:"rollback"` // tpm or unprotected
	Open       bool      `json:"open"`     // the custodian handed the KEK out
	Signing    string    `json:"signing_key,omitempty"`
	Keys       []KeyInfo `json:"keys"`
}

// KeyInfo describes one key.
type KeyInfo struct {
	Purpose    string    `json:"purpose"`
	Generation uint32    `json:"generation"`
	Created    time.Time `json:"created"`
	Kept       int       `json:"generations_kept"`
}

// errRunning is what a change says while the gateway runs.
var errRunning = errors.New("the gateway is running: stop it first (systemctl stop sealgate), and start it afterwards")

// lock takes the state directory for this process.
func (k *Keeper) lock() (release func(), err error) {
	if err := durable.MkdirAll(k.Config.State, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	f, err := lockState(k.Config.State)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errRunning
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

func lockState(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Init makes the gateway's keys and puts their KEK into custody of a kind; an
// empty one is what agent.yaml says. rescue are files of public rescue keys,
// beside those that agent.yaml names.
func (k *Keeper) Init(ctx context.Context, kind string, rescue []string) (*KeysInfo, error) {
	return k.change(ctx, true, rescue, func(r *custody.Ring) error {
		if kind != "" && r.Kind != "" && r.Kind != kind {
			return fmt.Errorf("agent.yaml says custody.kind: %s: set it to %s, or remove it", r.Kind, kind)
		}
		if kind != "" {
			r.Kind = kind
		}
		_, err := r.Init(ctx)
		return err
	})
}

// Move puts a fresh KEK into custody of a kind.
func (k *Keeper) Move(ctx context.Context, kind string, rescue []string) (*KeysInfo, error) {
	return k.change(ctx, false, rescue, func(r *custody.Ring) error { return r.Move(ctx, kind) })
}

// KeyFile is a private key in a file. Passphrase is asked where the file needs
// one; it may be nil.
type KeyFile struct {
	Path       string
	Passphrase func(path string) ([]byte, error)
}

func (f KeyFile) load() (*crypto.RecipientKey, error) {
	x, err := crypto.LoadRecipientKey(f.Path, f.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	return x.Key, nil
}

// Rescue opens the keys with an offline rescue key, and puts them into custody
// of a kind on this machine; an empty one is the kind that they had.
func (k *Keeper) Rescue(ctx context.Context, file KeyFile, kind string) (*KeysInfo, error) {
	key, err := file.load()
	if err != nil {
		return nil, err
	}
	return k.change(ctx, true, nil, func(r *custody.Ring) error {
		if kind == "" {
			s, err := r.Status()
			if err != nil {
				return err
			}
			kind = s.Kind
		}
		return r.Rescue(ctx, key, kind)
	})
}

// change changes the custody under the lock. Where no counter held the state
// before, or anew says that this is another machine or a new gateway, it then
// makes the state the newest that the counter knows.
func (k *Keeper) change(ctx context.Context, anew bool, rescue []string, do func(*custody.Ring) error) (*KeysInfo, error) {
	release, err := k.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	ring, err := Ring(k.Config, k.Machine)
	if err != nil {
		return nil, err
	}
	for _, path := range rescue {
		p, err := ReadRescue(path)
		if err != nil {
			return nil, err
		}
		ring.Rescuers = append(ring.Rescuers, p)
	}
	before := k.counterKind(ring)
	if err := do(ring); err != nil {
		return nil, err
	}
	info, keys, err := k.describe(ctx, ring)
	if err != nil {
		return nil, err
	}
	if anew || counterOf(k.Config, before) == nil {
		err = k.anchor(keys, info.Custody)
	}
	return info, err
}

func (k *Keeper) counterKind(r *custody.Ring) string {
	s, err := r.Status()
	if err != nil {
		return "" // there are no keys yet
	}
	return s.Kind
}

// anchor writes the state anew, so that the counter has it as the newest.
func (k *Keeper) anchor(keys *crypto.Keyring, kind string) error {
	f, err := openStateFile(k.Config, keys, counterOf(k.Config, kind))
	if err != nil {
		return err
	}
	s, err := f.read()
	if err != nil {
		return err
	}
	return f.write(&s)
}

// locked opens the keys under the lock, and does something with them.
func (k *Keeper) locked(ctx context.Context, do func(*custody.Ring, *KeysInfo, *crypto.Keyring) (*KeysInfo, error)) (*KeysInfo, error) {
	release, err := k.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	ring, err := Ring(k.Config, k.Machine)
	if err != nil {
		return nil, err
	}
	info, keys, err := k.describe(ctx, ring)
	if err != nil {
		return nil, err
	}
	return do(ring, info, keys)
}

// AcceptState makes the state directory as it is the newest one.
func (k *Keeper) AcceptState(ctx context.Context) (*KeysInfo, error) {
	return k.locked(ctx, func(_ *custody.Ring, info *KeysInfo, keys *crypto.Keyring) (*KeysInfo, error) {
		return info, k.anchor(keys, info.Custody)
	})
}

// Rotate makes a new generation of the key for a purpose; "kek" is a fresh KEK
// in the custody that there is.
func (k *Keeper) Rotate(ctx context.Context, purpose string) (*KeysInfo, error) {
	return k.locked(ctx, func(ring *custody.Ring, info *KeysInfo, keys *crypto.Keyring) (_ *KeysInfo, err error) {
		if purpose == "kek" {
			err = ring.Move(ctx, info.Custody)
		} else {
			err = keys.Rotate(purpose, k.Now())
		}
		if err != nil {
			return nil, err
		}
		info, _, err = k.describe(ctx, ring)
		return info, err
	})
}

// Show describes the keys, and changes nothing while the gateway runs. Without
// the KEK it says what can be said without it, and why.
func (k *Keeper) Show(ctx context.Context) (*KeysInfo, error) {
	ring, err := Ring(k.Config, k.Machine)
	if err != nil {
		return nil, err
	}
	if release, err := k.lock(); err == nil {
		defer release()
	} else {
		ring.ReadOnly = true
	}
	if there, err := ring.Exists(); err != nil || !there {
		return nil, errors.Join(err, fmt.Errorf("there are no keys in %s yet: make them (sealgate keys init), or start the gateway", ring.Dir))
	}
	info, _, err := k.describe(ctx, ring)
	if err == nil {
		return info, nil
	}
	s, statusErr := ring.Status()
	if statusErr != nil {
		return nil, errors.Join(err, statusErr)
	}
	return k.info(s), err
}

func (k *Keeper) info(s custody.Status) *KeysInfo {
	x := &KeysInfo{
		Gateway: k.Config.Gateway, Directory: k.Config.Keys.Directory, Custody: s.Kind, KEK: s.KEK,
		KEKCreated: s.Created, Rescue: s.Rescue, Rollback: "unprotected", Keys: []KeyInfo{},
	}
	if counterOf(k.Config, s.Kind) != nil {
		x.Rollback = "tpm"
	}
	for _, c := range custody.Custodians() {
		if c.Kind == s.Kind {
			x.Protects = c.Doc
		}
	}
	return x
}

func (k *Keeper) describe(ctx context.Context, ring *custody.Ring) (*KeysInfo, *crypto.Keyring, error) {
	kek, err := ring.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	keys, err := crypto.OpenKeyring(ring.Dir, kek, k.Config.Gateway, k.Machine)
	if err != nil {
		return nil, nil, fmt.Errorf("open keys: %w", err)
	}
	s, err := ring.Status()
	if errors.Is(err, custody.ErrMissing) { // a ring of before, only looked at
		id := kek.ID()
		s, err = custody.Status{Kind: kek.Kind, KEK: hex.EncodeToString(id[:]), Created: kek.Created, Rescue: []string{}}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	x := k.info(s)
	x.Open, x.Signing = true, keys.Signer().KeyID().String()
	list, err := keys.Keys()
	if err != nil {
		return nil, nil, err
	}
	for _, key := range list {
		x.Keys = append(x.Keys, KeyInfo{Purpose: key.Purpose, Generation: key.Generation, Created: key.Created, Kept: key.Kept})
	}
	return x, keys, nil
}

// NewCredential returns a fresh KEK as the custodian "credential" reads it.
func NewCredential() (string, error) {
	key, err := crypto.NewSecretKey()
	if err != nil {
		return "", err
	}
	return custody.InsecureLine(key), nil
}
