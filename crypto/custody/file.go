package custody

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// FileOptions configures the custodian "file".
type FileOptions struct {
	Path string
}

// A key file is lines of "sealgate-kek/v1 " and the 32 bytes of a key in
// base64url without padding. The last line is the newest key; there is more
// than one only while a ring moves from one key to the next.
const (
	linePrefix = "sealgate-kek/v1 "
	lineLen    = len(linePrefix) + 43 + 1 // base64url of 32 bytes, newline
	maxLines   = 4
)

const fileWarning = "the key-encryption key lies in clear in a file: whoever copies this disk can read the spool's backlog, " +
	"link and test pseudonyms, and sign as this gateway; what was already sent stays sealed. " +
	"keep the file on another medium than the keyring, encrypt the disk, or move the key: sealgate keys move --to tpm"

// file keeps the key in a file of mode 0600.
func file() Custodian {
	return Custodian{
		Kind:    "file",
		Doc:     "a file of mode 0600: protects a copy of the keyring without that file, and nothing else",
		Warning: fileWarning,
		Make:    makeFile,
		Open:    openFile,
		Drop:    dropFile,
	}
}

func makeFile(_ context.Context, opts *Options, _ string) (*crypto.SecretKey, []byte, error) {
	keys, err := readFile(opts)
	if err != nil && !errors.Is(err, ErrMissing) {
		return nil, nil, err
	}
	key, err := crypto.NewSecretKey()
	if err != nil {
		return nil, nil, err
	}
	keys = append(keys, key)
	return key, nil, writeFile(opts, keys[max(0, len(keys)-maxLines):])
}

func openFile(_ context.Context, opts *Options, _ string, id [8]byte, _ []byte) (*crypto.SecretKey, error) {
	keys, err := readFile(opts)
	if err != nil {
		return nil, err
	}
	return pick(keys, id, opts.File.Path)
}

func dropFile(opts *Options, id [8]byte) error {
	keys, err := readFile(opts)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []*crypto.SecretKey
	for _, k := range keys {
		if k.ID() != id {
			kept = append(kept, k)
		}
	}
	switch len(kept) {
	case len(keys):
		return nil
	case 0:
		return durable.Remove(opts.File.Path)
	}
	return writeFile(opts, kept)
}

func readFile(opts *Options) ([]*crypto.SecretKey, error) {
	path := opts.File.Path
	if path == "" {
		return nil, errors.New("no path is given: set the path of the key file")
	}
	raw, err := crypto.ReadPrivate(path, maxLines*lineLen)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s: restore it from the backup, or open the keys with their rescue key: sealgate keys rescue", ErrMissing, path)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseLines(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return keys, nil
}

func writeFile(opts *Options, keys []*crypto.SecretKey) error {
	if err := durable.MkdirAll(filepath.Dir(opts.File.Path), 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(InsecureLine(k))
	}
	if err := durable.WriteFile(opts.File.Path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

// InsecureLine returns the key in clear, as the custodians "file" and
// "credential" read it.
func InsecureLine(k *crypto.SecretKey) string {
	return linePrefix + base64.RawURLEncoding.EncodeToString(k.InsecureBytes()) + "\n"
}

var errFile = errors.New("it is not a key-encryption key of a known version; restore it from the backup")

func parseLines(raw []byte) ([]*crypto.SecretKey, error) {
	if len(raw) == 0 || len(raw)%lineLen != 0 || len(raw) > maxLines*lineLen {
		return nil, errFile
	}
	var keys []*crypto.SecretKey
	for ; len(raw) > 0; raw = raw[lineLen:] {
		text, ok := strings.CutPrefix(string(raw[:lineLen]), linePrefix)
		text, nl := strings.CutSuffix(text, "\n")
		if !ok || !nl {
			return nil, errFile
		}
		// Strict also refuses line breaks and stray bits, so that a key has one
		// spelling.
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, errFile
		}
		key, err := crypto.InsecureSecretKey(b)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// pick returns the key with that id, the newest for the zero id.
func pick(keys []*crypto.SecretKey, id [8]byte, where string) (*crypto.SecretKey, error) {
	if id == [8]byte{} {
		return keys[len(keys)-1], nil
	}
	for _, k := range keys {
		if k.ID() == id {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: %s holds another; restore the right one, or open the keys with their rescue key: sealgate keys rescue", ErrOther, where)
}
