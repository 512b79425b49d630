package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/internal/durable"
)

// state is what must not go back: encrypted and authenticated under the
// gateway's keys. Fields are only ever added, so that the previous and the next
// version read it.
type state struct {
	Boot      uint64 `cbor:"1,keyasint"`
	Floor     uint64 `cbor:"2,keyasint"` // version of the newest recipients bundle that was accepted
	FloorHash []byte `cbor:"3,keyasint"`
	// Counter is the number that the TPM's counter had, or was about to get,
	// when this was written; 0: there is no counter.
	Counter uint64 `cbor:"4,keyasint,omitempty"`
}

// ErrRollback says that the state directory is older than it was at the last
// start.
var ErrRollback = errors.New("the state directory was replaced by an older copy")

const maxState = 4 << 10

// stateFile is the state's place, key and counter.
type stateFile struct {
	path, former string // former is the file of before there was this one
	key          *crypto.SecretKey
	counter      *custody.Counter // nil: nothing notices a rollback
}

func openStateFile(cfg *config.Config, keys *crypto.Keyring, counter *custody.Counter) (*stateFile, error) {
	key, err := keys.State().Derive("state", nil, []byte(cfg.Gateway))
	if err != nil {
		return nil, fmt.Errorf("derive key of the state: %w", err)
	}
	return &stateFile{filepath.Join(cfg.State, "state"), filepath.Join(cfg.State, "floor"), key, counter}, nil
}

// read returns the state, the zero one where there is none.
func (f *stateFile) read() (s state, err error) {
	raw, err := f.unseal(f.path, "state")
	if errors.Is(err, fs.ErrNotExist) {
		return f.readFormer()
	}
	if err != nil {
		return s, err
	}
	if err := cbor.Unmarshal(raw, &s); err != nil || len(s.FloorHash) != 32 {
		return state{}, f.damaged(f.path)
	}
	return s, nil
}

// readFormer reads the floor: version and hash.
func (f *stateFile) readFormer() (s state, err error) {
	raw, err := f.unseal(f.former, "floor")
	if errors.Is(err, fs.ErrNotExist) {
		return state{FloorHash: make([]byte, 32)}, nil
	}
	if err != nil {
		return s, err
	}
	if len(raw) != 8+32 {
		return s, f.damaged(f.former)
	}
	return state{Floor: binary.BigEndian.Uint64(raw), FloorHash: raw[8:]}, nil
}

func (f *stateFile) unseal(path, ad string) ([]byte, error) {
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if len(sealed) > maxState {
		return nil, f.damaged(path)
	}
	raw, err := f.key.Open(nil, sealed, []byte(ad))
	if err != nil {
		return nil, f.damaged(path)
	}
	return raw, nil
}

func (f *stateFile) damaged(path string) error {
	return fmt.Errorf("%s is damaged or was changed: restore it from the backup; remove it only if the recipients bundle is known to be the newest", path)
}

// check compares the state with the TPM's counter. fresh says that the keys were
// made at this start, so that there was no state before.
func (f *stateFile) check(s state, fresh bool) error {
	if f.counter == nil || fresh {
		return nil
	}
	n, err := f.counter.Read()
	switch {
	case errors.Is(err, custody.ErrMissing) && s.Counter == 0:
		return nil // the first start with a counter
	case errors.Is(err, custody.ErrMissing):
		return fmt.Errorf("%w, or the TPM's counter was removed", ErrRollback)
	case err != nil:
		return fmt.Errorf("compare state with the TPM: %w", err)
	case s.Counter == n, s.Counter == n+1: // a crash can come before the counter is raised
		return nil
	}
	return ErrRollback
}

// write makes s durable, and then raises the counter: from that moment no
// earlier state is accepted.
func (f *stateFile) write(s *state) error {
	if f.counter == nil {
		s.Counter = 0
		return f.store(s)
	}
	n, err := f.counter.Make()
	if err != nil {
		return fmt.Errorf("raise the TPM's counter: %w", err)
	}
	s.Counter = n + 1
	if err := f.store(s); err != nil {
		return err
	}
	if _, err := f.counter.Raise(); err != nil {
		return fmt.Errorf("raise the TPM's counter: %w", err)
	}
	return nil
}

func (f *stateFile) store(s *state) error {
	raw, err := cbor.Marshal(s)
	if err != nil {
		return errors.New("encode state")
	}
	sealed, err := f.key.Seal(nil, raw, []byte("state"))
	if err != nil {
		return fmt.Errorf("seal state: %w", err)
	}
	if err := durable.WriteFile(f.path, sealed, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// counterOf is the counter that the configuration asks for, nil for none.
func counterOf(cfg *config.Config, kind string) *custody.Counter {
	c := &cfg.Custody
	if c.Rollback == "tpm" || c.Rollback == "" && kind == "tpm" {
		return custody.NewCounter(custody.TPMOptions(c.TPM), custody.DefaultCounter)
	}
	return nil
}

// readState reads the state, refuses an older copy, and makes this start's boot
// counter a part of it, before anything is sealed.
func (a *Agent) readState(counter *custody.Counter, fresh bool) error {
	f, err := openStateFile(a.cfg, a.keyring, counter)
	if err != nil {
		return err
	}
	s, err := f.read()
	if err != nil {
		return err
	}
	if err := f.check(s, fresh); err != nil {
		return err
	}
	if a.boot <= s.Boot {
		// The counter's file alone is older than the state, or was lost.
		if a.boot, err = durable.IncrementPast(a.bootPath(), s.Boot); err != nil {
			return fmt.Errorf("count this start: %w", err)
		}
	}
	s.Boot = a.boot
	switch err := f.write(&s); {
	case errors.Is(err, syscall.ENOSPC):
		// The counter has its own place, which a full disk does not take from it.
		a.log.Warn("the disk is full: this start is not noted in the state", "error", err)
	case err != nil:
		return err
	}
	a.kept, a.keptFile = s, f
	a.floor = Floor{Version: s.Floor, Hash: [32]byte(s.FloorHash)}
	return nil
}

// raiseFloor makes the bundle of r the oldest one that is accepted from now on,
// before anything is sealed to it.
func (a *Agent) raiseFloor(r rules) error {
	if r.bundle <= a.floor.Version {
		return nil
	}
	next := a.kept
	next.Floor, next.FloorHash = r.bundle, r.bundleHash[:]
	if err := a.keptFile.write(&next); err != nil {
		return err
	}
	a.kept, a.floor = next, Floor{Version: r.bundle, Hash: r.bundleHash}
	return nil
}
