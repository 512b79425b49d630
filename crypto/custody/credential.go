package custody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/crypto"
)

// CredentialOptions configures the custodian "credential".
type CredentialOptions struct {
	Name string // of the credential, as in LoadCredentialEncrypted=NAME
	// Directory is where the service manager put the credentials:
	// $CREDENTIALS_DIRECTORY. Empty: this process was given none.
	Directory string
}

// credential reads the key from a credential that systemd hands to the service
// (systemd.exec(5), LoadCredentialEncrypted=): on disk it is encrypted by a key
// of the host, of its TPM, or of both. Its content is that of a key file.
//
// The service can't write credentials, so a key is not made here: Make takes
// the newest line of a credential that the administrator has installed.
func credential() Custodian {
	return Custodian{
		Kind: "credential",
		Doc:  "a systemd credential: protects a copy of the disk as far as what systemd-creds encrypted it with does, a host key or a TPM",
		Make: func(_ context.Context, opts *Options, _ string) (*crypto.SecretKey, []byte, error) {
			keys, err := readCredential(&opts.Credential)
			if err != nil {
				return nil, nil, err
			}
			return keys[len(keys)-1], nil, nil
		},
		Open: func(_ context.Context, opts *Options, _ string, id [8]byte, _ []byte) (*crypto.SecretKey, error) {
			keys, err := readCredential(&opts.Credential)
			if err != nil {
				return nil, err
			}
			return pick(keys, id, "the credential "+opts.Credential.Name)
		},
	}
}

func readCredential(o *CredentialOptions) ([]*crypto.SecretKey, error) {
	if o.Name == "" || strings.ContainsAny(o.Name, "/\x00") || o.Name == "." || o.Name == ".." {
		return nil, fmt.Errorf("credential %q is no name of a credential", o.Name)
	}
	if o.Directory == "" {
		return nil, fmt.Errorf("%w: this process was given no credentials; set LoadCredentialEncrypted=%s in the unit, and see sealgate keys credential --help", ErrMissing, o.Name)
	}
	// Who can list the directory could wait for a credential with lax rights.
	if err := private(o.Directory, fs.ModeDir); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Directory, o.Name)
	err := private(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the unit was given no credential %s; set LoadCredentialEncrypted=%s, and see sealgate keys credential --help", ErrMissing, o.Name, o.Name)
	}
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read credential: %w", err)
	}
	keys, err := parseLines(raw)
	if err != nil {
		return nil, fmt.Errorf("read credential %s: %w", o.Name, err)
	}
	return keys, nil
}

// private checks a file or directory that systemd made. Its group may read it:
// that is how an access list for the service's user looks to stat(2). Others
// may not, and nobody but the owner may write.
func private(path string, kind fs.FileMode) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch {
	case st.Mode().Type() != kind:
		return fmt.Errorf("%s: %w", path, crypto.ErrKeyFormat)
	case st.Mode().Perm()&0o027 != 0:
		return fmt.Errorf("%s: %w", path, crypto.ErrKeyReadable)
	case kind == 0 && st.Size() > int64(maxLines*lineLen):
		return fmt.Errorf("%s: %w", path, errFile)
	}
	return nil
}
