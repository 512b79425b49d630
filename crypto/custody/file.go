package custody

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

const (
	filePrefix = "sealgate-kek/v1 "
	fileLen    = len(filePrefix) + 43 + 1 // base64url of 32 bytes, newline
)

const fileWarning = "the key-encryption key lies in clear in a file: whoever copies this disk can read the spool's backlog, " +
	"link and test pseudonyms, and sign as this gateway; what was already sent stays sealed. " +
	"keep the file on another medium than the keyring, or encrypt the disk"

// file keeps the key in a file of mode 0600: one line, "sealgate-kek/v1 " and
// the 32 bytes in base64url without padding.
func file() Custodian {
	return Custodian{
		Kind: "file",
		Doc:  "a file of mode 0600: protects a copy of the keyring without that file, and nothing else",
		Open: openFile,
	}
}

func openFile(opts Options) (*Key, error) {
	if opts.Path == "" {
		return nil, errors.New("no path is given: set the path of the key file")
	}
	raw, err := crypto.ReadPrivate(opts.Path, fileLen)
	var key *crypto.SecretKey
	switch {
	case errors.Is(err, fs.ErrNotExist) && opts.Create:
		key, err = createFile(opts.Path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w at %s: restore it from the backup; for a new gateway, let it be created", ErrMissing, opts.Path)
	case err == nil:
		if key, err = parseFile(raw); err != nil {
			err = fmt.Errorf("read %s: %w", opts.Path, err)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Key{KEK: local{key}, Warning: fileWarning}, nil
}

func createFile(path string) (*crypto.SecretKey, error) {
	key, err := crypto.NewSecretKey()
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	line := filePrefix + base64.RawURLEncoding.EncodeToString(key.InsecureBytes()) + "\n"
	if err := durable.WriteFile(path, []byte(line), 0o600); err != nil {
		return nil, fmt.Errorf("make key file: %w", err)
	}
	return key, nil
}

var errFile = errors.New("it is not a key-encryption key of a known version; restore it from the backup")

func parseFile(raw []byte) (*crypto.SecretKey, error) {
	text, ok := strings.CutPrefix(string(raw), filePrefix)
	text, nl := strings.CutSuffix(text, "\n")
	if !ok || !nl || len(raw) != fileLen {
		return nil, errFile
	}
	// Strict also refuses line breaks and stray bits, so that a key has one
	// spelling.
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errFile
	}
	return crypto.InsecureSecretKey(b)
}
