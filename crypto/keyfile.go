package crypto

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"

	"github.com/sealgate/sealgate/internal/durable"
)

// Names of operators' and consumers' key files: <id>.key.json is private, of
// mode 0600; <id>.pub.json is its public half. id is the rid or key id in hex.
const (
	privateSuffix = ".key.json"
	publicSuffix  = ".pub.json"

	recipientKeyFormat = "sealgate-recipient-key/v1"
	recipientFormat    = "sealgate-recipient/v1"
	signerKeyFormat    = "sealgate-signing-key/v1"
	signerFormat       = "sealgate-signer/v1"

	maxKeyFile = 16 << 10
)

// ErrPassphrase says that a private key file needs a passphrase, or another
// one.
var ErrPassphrase = errors.New("the passphrase is missing or wrong")

// RecipientFile is a recipient's private key and whom it is for.
type RecipientFile struct {
	Audience string
	Created  time.Time
	Key      *RecipientKey
}

// RecipientPublic is what a recipient hands to the operator.
type RecipientPublic struct {
	Audience string
	Created  time.Time
	Key      *Recipient
}

// privateFile is the JSON form of a private key. Where Scrypt is present, Secret
// is SecretKey.Seal of the raw key under the scrypt key, with the rest of the
// file's meaning as associated data; else it is the raw key in clear.
type privateFile struct {
	Format   string      `json:"format"`
	Kind     string      `json:"kind"` // name of the KEM, or "ed25519"
	ID       string      `json:"id"`
	Audience string      `json:"audience,omitempty"`
	Created  string      `json:"created"`
	Scrypt   *scryptSpec `json:"scrypt,omitempty"`
	Secret   []byte      `json:"secret"`
}

type scryptSpec struct {
	LogN int    `json:"log_n"`
	Salt []byte `json:"salt"`
}

type publicFile struct {
	Format   string `json:"format"`
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	Audience string `json:"audience,omitempty"`
	Created  string `json:"created"`
	Public   []byte `json:"public"`
}

const signerKind = "ed25519"

// scrypt's cost: r = 8, p = 1 as in RFC 7914, N = 2^16 (64 MiB, a fifth of a
// second); files may ask for up to 2^20.
const (
	scryptLogN    = 16
	scryptMaxLogN = 20
	scryptSalt    = 16
)

// SaveRecipientKey writes a key's two files into dir and returns the path of
// the private one. An existing file is never replaced. Without a passphrase the
// private file holds the key in clear, protected by its mode alone.
func SaveRecipientKey(dir string, f RecipientFile, passphrase []byte) (string, error) {
	pub := f.Key.Recipient()
	kind, id, created := pub.KEM().String(), pub.RID().String(), instantText(f.Created)
	return saveKeyFiles(dir, privateFile{Format: recipientKeyFormat, Kind: kind, ID: id, Audience: f.Audience, Created: created, Secret: f.Key.InsecureBytes()},
		publicFile{Format: recipientFormat, Kind: kind, ID: id, Audience: f.Audience, Created: created, Public: pub.Public()}, passphrase)
}

// SaveSigner is SaveRecipientKey for a signing key.
func SaveSigner(dir string, s *Signer, created time.Time, passphrase []byte) (string, error) {
	id, at := s.KeyID().String(), instantText(created)
	return saveKeyFiles(dir, privateFile{Format: signerKeyFormat, Kind: signerKind, ID: id, Created: at, Secret: s.InsecureBytes()},
		publicFile{Format: signerFormat, Kind: signerKind, ID: id, Created: at, Public: s.Verifier().Public()}, passphrase)
}

func saveKeyFiles(dir string, priv privateFile, pub publicFile, passphrase []byte) (string, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make key directory: %w", err)
	}
	if err := priv.protect(passphrase); err != nil {
		return "", err
	}
	path := filepath.Join(dir, priv.ID+privateSuffix)
	for _, p := range []string{path, filepath.Join(dir, priv.ID+publicSuffix)} {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("save key: %s exists already", p)
		}
	}
	raw, err := marshalFile(priv)
	if err != nil {
		return "", err
	}
	if err := durable.WriteFile(path, raw, 0o600); err != nil {
		return "", fmt.Errorf("save key: %w", err)
	}
	if raw, err = marshalFile(pub); err != nil {
		return "", err
	}
	if err := durable.WriteFile(filepath.Join(dir, pub.ID+publicSuffix), raw, 0o644); err != nil {
		return "", fmt.Errorf("save key: %w", err)
	}
	return path, nil
}

func marshalFile(v any) ([]byte, error) {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, errors.New("encode key file")
	}
	return append(raw, '\n'), nil
}

// LoadRecipientKeys reads every private recipient key in dir, in the order of
// their ids. passphrase is asked for each file that needs one; it may be nil.
// Any file named like a key that can't be read is an error: a consumer that
// silently lacks a key would report its messages as not meant for it.
func LoadRecipientKeys(dir string, passphrase func(path string) ([]byte, error)) ([]RecipientFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read key directory: %w", err)
	}
	var out []RecipientFile
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), privateSuffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := readPrivateFile(path)
		if err != nil {
			return nil, err
		}
		if f.Format == signerKeyFormat {
			continue
		}
		k, err := f.recipientKey(path, passphrase)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, k)
	}
	return out, nil
}

// LoadRecipientKey reads one private recipient key.
func LoadRecipientKey(path string, passphrase func(path string) ([]byte, error)) (RecipientFile, error) {
	f, err := readPrivateFile(path)
	if err != nil {
		return RecipientFile{}, err
	}
	k, err := f.recipientKey(path, passphrase)
	if err != nil {
		return RecipientFile{}, fmt.Errorf("read %s: %w", path, err)
	}
	return k, nil
}

// LoadSigner reads a private signing key.
func LoadSigner(path string, passphrase func(path string) ([]byte, error)) (*Signer, error) {
	f, err := readPrivateFile(path)
	if err != nil {
		return nil, err
	}
	s, err := f.signer(path, passphrase)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func readPrivateFile(path string) (*privateFile, error) {
	raw, err := ReadPrivate(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	var f privateFile
	if err := UnmarshalStrict(raw, &f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &f, nil
}

func (f *privateFile) recipientKey(path string, passphrase func(string) ([]byte, error)) (RecipientFile, error) {
	var none RecipientFile
	if f.Format != recipientKeyFormat {
		return none, fmt.Errorf("format is not %s", recipientKeyFormat)
	}
	kem, err := KEMByName(f.Kind)
	if err != nil {
		return none, err
	}
	created, err := parseInstant(f.Created)
	if err != nil {
		return none, err
	}
	raw, err := f.reveal(path, passphrase)
	if err != nil {
		return none, err
	}
	k, err := InsecureRecipientKey(kem, raw)
	if err != nil {
		return none, err
	}
	if k.Recipient().RID().String() != f.ID {
		return none, errors.New("id is not that of the key")
	}
	return RecipientFile{Audience: f.Audience, Created: created, Key: k}, nil
}

func (f *privateFile) signer(path string, passphrase func(string) ([]byte, error)) (*Signer, error) {
	if f.Format != signerKeyFormat || f.Kind != signerKind {
		return nil, fmt.Errorf("format is not %s with %s", signerKeyFormat, signerKind)
	}
	raw, err := f.reveal(path, passphrase)
	if err != nil {
		return nil, err
	}
	s, err := InsecureSigner(raw)
	if err != nil {
		return nil, err
	}
	if s.KeyID().String() != f.ID {
		return nil, errors.New("id is not that of the key")
	}
	return s, nil
}

// protect replaces the raw key by its encryption if there is a passphrase.
func (f *privateFile) protect(passphrase []byte) error {
	if len(passphrase) == 0 {
		return nil
	}
	salt := make([]byte, scryptSalt)
	if _, err := rand.Read(salt); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	f.Scrypt = &scryptSpec{LogN: scryptLogN, Salt: salt}
	box, err := f.Scrypt.key(passphrase)
	if err != nil {
		return err
	}
	ad, err := f.associated()
	if err != nil {
		return err
	}
	f.Secret, err = box.Seal(nil, f.Secret, ad)
	return err
}

func (f *privateFile) reveal(path string, passphrase func(string) ([]byte, error)) ([]byte, error) {
	if f.Scrypt == nil {
		return f.Secret, nil
	}
	if f.Scrypt.LogN < scryptLogN || f.Scrypt.LogN > scryptMaxLogN || len(f.Scrypt.Salt) != scryptSalt {
		return nil, errors.New("scrypt parameters are out of range")
	}
	if passphrase == nil {
		return nil, ErrPassphrase
	}
	text, err := passphrase(path)
	if err != nil {
		return nil, fmt.Errorf("ask for passphrase: %w", err)
	}
	box, err := f.Scrypt.key(text)
	if err != nil {
		return nil, err
	}
	ad, err := f.associated()
	if err != nil {
		return nil, err
	}
	raw, err := box.Open(nil, f.Secret, ad)
	if err != nil {
		return nil, fmt.Errorf("%w, or the file was changed", ErrPassphrase)
	}
	return raw, nil
}

func (f *privateFile) associated() ([]byte, error) {
	mode, err := deterministicCBOR()
	if err != nil {
		return nil, err
	}
	ad, err := mode.Marshal([]any{f.Format, f.Kind, f.ID, f.Audience, f.Created, f.Scrypt.LogN, f.Scrypt.Salt})
	if err != nil {
		return nil, fmt.Errorf("encode associated data: %w", err)
	}
	return ad, nil
}

func (s *scryptSpec) key(passphrase []byte) (*SecretKey, error) {
	raw, err := scrypt.Key(passphrase, s.Salt, 1<<s.LogN, 8, 1, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key from passphrase: %w", err)
	}
	return InsecureSecretKey(raw)
}

// MarshalRecipient returns the public file of a recipient.
func MarshalRecipient(p RecipientPublic) ([]byte, error) {
	return marshalFile(publicFile{Format: recipientFormat, Kind: p.Key.KEM().String(), ID: p.Key.RID().String(), Audience: p.Audience, Created: instantText(p.Created), Public: p.Key.Public()})
}

// UnmarshalRecipient reads a recipient's public file.
func UnmarshalRecipient(raw []byte) (RecipientPublic, error) {
	var none RecipientPublic
	f, err := readPublicFile(raw, recipientFormat)
	if err != nil {
		return none, err
	}
	kem, err := KEMByName(f.Kind)
	if err != nil {
		return none, err
	}
	created, err := parseInstant(f.Created)
	if err != nil {
		return none, err
	}
	r, err := ParseRecipient(kem, f.Public)
	if err != nil {
		return none, err
	}
	if r.RID().String() != f.ID {
		return none, errors.New("id is not that of the key")
	}
	return RecipientPublic{Audience: f.Audience, Created: created, Key: r}, nil
}

// MarshalVerifier returns the public file of a signer.
func MarshalVerifier(v *Verifier, created time.Time) ([]byte, error) {
	return marshalFile(publicFile{Format: signerFormat, Kind: signerKind, ID: v.KeyID().String(), Created: instantText(created), Public: v.Public()})
}

// UnmarshalVerifier reads a signer's public file.
func UnmarshalVerifier(raw []byte) (*Verifier, error) {
	f, err := readPublicFile(raw, signerFormat)
	if err != nil {
		return nil, err
	}
	if f.Kind != signerKind {
		return nil, fmt.Errorf("kind is not %s", signerKind)
	}
	v, err := ParseVerifier(f.Public)
	if err != nil {
		return nil, err
	}
	if v.KeyID().String() != f.ID {
		return nil, errors.New("id is not that of the key")
	}
	return v, nil
}

func readPublicFile(raw []byte, format string) (*publicFile, error) {
	if len(raw) > maxKeyFile {
		return nil, errors.New("public key file is too large")
	}
	var f publicFile
	if err := UnmarshalStrict(raw, &f); err != nil {
		return nil, err
	}
	if f.Format != format {
		return nil, fmt.Errorf("format is not %s", format)
	}
	return &f, nil
}

func instantText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || instantText(t) != s {
		return time.Time{}, errors.New("created is not RFC 3339 in UTC to the second")
	}
	return t, nil
}
