package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// The floor file: the version and hash of the newest recipients bundle that was
// accepted, encrypted and authenticated under the gateway's keys, so that an
// older bundle with a revoked recipient is not accepted again. An attacker who
// can put back the whole state directory is outside what it protects against.
const floorSize = 8 + 32

func (a *Agent) floorPath() string { return filepath.Join(a.cfg.State, "floor") }

func (a *Agent) floorKey() (*crypto.SecretKey, error) {
	return a.keyring.Spool().Derive("state", nil, []byte(a.cfg.Gateway))
}

func (a *Agent) readFloor() error {
	sealed, err := os.ReadFile(a.floorPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read floor: %w", err)
	}
	key, err := a.floorKey()
	if err != nil {
		return fmt.Errorf("derive key of the floor: %w", err)
	}
	raw, err := key.Open(nil, sealed, []byte("floor"))
	if err != nil || len(raw) != floorSize {
		return fmt.Errorf("%s is damaged or was changed: remove it only if the recipients bundle is known to be the newest", a.floorPath())
	}
	a.floor.Version = binary.BigEndian.Uint64(raw)
	copy(a.floor.Hash[:], raw[8:])
	return nil
}

// raiseFloor makes the bundle of r the oldest one that is accepted from now on,
// before anything is sealed to it.
func (a *Agent) raiseFloor(r rules) error {
	if r.bundle <= a.floor.Version {
		return nil
	}
	key, err := a.floorKey()
	if err != nil {
		return fmt.Errorf("derive key of the floor: %w", err)
	}
	raw := append(binary.BigEndian.AppendUint64(nil, r.bundle), r.bundleHash[:]...)
	sealed, err := key.Seal(nil, raw, []byte("floor"))
	if err != nil {
		return fmt.Errorf("seal floor: %w", err)
	}
	if err := durable.WriteFile(a.floorPath(), sealed, 0o600); err != nil {
		return fmt.Errorf("write floor: %w", err)
	}
	a.floor = Floor{Version: r.bundle, Hash: r.bundleHash}
	return nil
}
