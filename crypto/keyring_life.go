package crypto

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
)

const keySuffix = ".key"

// maxGenerations is how many generations of a key its file keeps. What needs an
// older one, a spool segment or a pseudonym, can't be read any more.
const maxGenerations = 32

// A Binding is what the files of a keyring are bound to: who may open them, and
// where.
type Binding struct {
	redacted
	KEK     KEK
	Gateway string
	Machine []byte
}

// KeyState describes one key of a keyring, and nothing of its value.
type KeyState struct {
	Purpose    string
	Generation uint32    // number of the newest
	Created    time.Time // when the newest was made
	Kept       int       // generations in the file, the newest included
}

// KeyPurposes lists the purposes of the key files in dir, in the order of their
// names. A missing directory has none.
func KeyPurposes(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list keyring: %w", err)
	}
	var out []string
	for _, e := range entries {
		if purpose, ok := strings.CutSuffix(e.Name(), keySuffix); ok && !strings.HasPrefix(purpose, ".") {
			out = append(out, purpose)
		}
	}
	return out, nil
}

// RewrapKeyring opens each key file of src and writes it into dst, sealed anew.
// dst exists and is another directory. Each file is read back before the next
// one is written.
func RewrapKeyring(src, dst string, from, to Binding) error {
	purposes, err := KeyPurposes(src)
	if err != nil {
		return err
	}
	a, b := from.keyring(src), to.keyring(dst)
	for _, purpose := range purposes {
		body, err := a.read(purpose)
		if err != nil {
			return err
		}
		if err := b.write(purpose, body); err != nil {
			return err
		}
		if _, err := b.read(purpose); err != nil {
			return fmt.Errorf("check what was written: %w", err)
		}
	}
	return nil
}

func (b Binding) keyring(dir string) *Keyring {
	return &Keyring{dir: dir, kek: b.KEK, gateway: b.Gateway, machine: b.Machine}
}

// Keys describes every key in the keyring's directory, in the order of their
// purposes.
func (k *Keyring) Keys() ([]KeyState, error) {
	purposes, err := KeyPurposes(k.dir)
	if err != nil {
		return nil, err
	}
	out := make([]KeyState, 0, len(purposes))
	for _, purpose := range purposes {
		body, err := k.read(purpose)
		if err != nil {
			return nil, err
		}
		g := body.newest()
		out = append(out, KeyState{Purpose: purpose, Generation: g.Number, Created: time.Unix(g.Created, 0), Kept: len(body.Generations)})
	}
	return out, nil
}

// Rotate makes a new generation of the key for a purpose, durably. The keyring
// in memory stays as it is: open it again to use the new one. Of a signing key
// only the newest generation is kept, because nothing needs an old seed.
func (k *Keyring) Rotate(purpose string, now time.Time) error {
	purposes, err := KeyPurposes(k.dir)
	if err != nil {
		return err
	}
	if !slices.Contains(purposes, purpose) {
		return fmt.Errorf("rotate key: there is none for %q; there are %s", purpose, strings.Join(purposes, ", "))
	}
	body, err := k.read(purpose)
	if err != nil {
		return err
	}
	g := keyGeneration{Number: body.newest().Number + 1, Created: now.Unix(), Raw: make([]byte, KeySize)}
	if _, err := rand.Read(g.Raw); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	body.Generations = append(body.Generations, g)
	switch n := len(body.Generations); {
	case purpose == PurposeSigning:
		body.Generations = body.Generations[n-1:]
	case n > maxGenerations && purpose == PurposeSpool:
		body.Generations = slices.Delete(body.Generations, 1, 2) // the first one is State
	case n > maxGenerations:
		body.Generations = body.Generations[1:]
	}
	return k.write(purpose, body)
}

func (b keyBody) newest() keyGeneration { return b.Generations[len(b.Generations)-1] }

func (k *Keyring) read(purpose string) (keyBody, error) {
	path := k.path(purpose)
	raw, err := ReadPrivate(path, keyPrefix+maxKeyHeader+maxKeyBody)
	if err != nil {
		return keyBody{}, err
	}
	body, err := k.decode(purpose, raw)
	if err != nil {
		return keyBody{}, fmt.Errorf("read %s: %w", path, err)
	}
	return body, nil
}

func (k *Keyring) write(purpose string, body keyBody) error {
	path := k.path(purpose)
	raw, err := k.encode(purpose, body)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := durable.WriteFile(path, raw, 0o600); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return nil
}
