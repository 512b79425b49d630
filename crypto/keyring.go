package crypto

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/internal/durable"
)

// KEK is the key-encryption key that protects a Keyring. crypto/custody obtains
// it.
type KEK interface {
	// Seal encrypts a key file's content, bound to ad.
	Seal(plaintext, ad []byte) ([]byte, error)
	// Unseal returns what Seal took, or an error that wraps ErrOpen.
	Unseal(sealed, ad []byte) ([]byte, error)
	// ID names the key without telling anything about it. It lets a wrong key
	// be told from a damaged file.
	ID() [8]byte
}

// ErrKeyFile is the parent of every reason why a key file can't be used.
var ErrKeyFile = errors.New("key file can't be used")

// The reasons. Each error's text says what to do next.
var (
	ErrKeyFormat       = fmt.Errorf("%w: it is not a key file of a known version; restore it from the backup, or run the version that wrote it", ErrKeyFile)
	ErrKeyTruncated    = fmt.Errorf("%w: it is cut short; restore it from the backup", ErrKeyFile)
	ErrKeyPurpose      = fmt.Errorf("%w: it holds a key for another purpose; undo the rename, or restore it from the backup", ErrKeyFile)
	ErrKeyOtherGateway = fmt.Errorf("%w: it belongs to another gateway; check the gateway's name in the configuration, or move the whole keyring away to start with new keys", ErrKeyFile)
	ErrKeyOtherMachine = fmt.Errorf("%w: it was made on another machine; restore it there, or replace the gateway so that it gets keys of its own", ErrKeyFile)
	ErrKeyOtherKEK     = fmt.Errorf("%w: it is sealed under another key-encryption key; check the custody setting, or restore that key from the backup", ErrKeyFile)
	ErrKeyTampered     = fmt.Errorf("%w: it was changed after it was written; restore it from the backup, and find out who could write to it", ErrKeyFile)
	ErrKeyMissing      = fmt.Errorf("%w: it is missing while others of the keyring are there; restore it from the backup, or move the whole keyring away to start as a new gateway", ErrKeyFile)
	ErrKeyReadable     = fmt.Errorf("%w: others than its owner may read it; check who did, then run chmod 600 on it", ErrKeyFile)
)

const (
	keyMagic     = "SGKEY"
	keyVersion   = 1
	keyPrefix    = len(keyMagic) + 1 + 2 + 4 // magic, version, header length, body length
	maxKeyHeader = 1 << 10
	maxKeyBody   = 64 << 10
)

// Purposes of the keys on disk. A pseudonym domain d has the purpose
// "pseudonym-d".
const (
	PurposeSigning   = "signing"
	PurposeKEM       = "kem"
	PurposeSpool     = "spool"
	pseudonymPurpose = "pseudonym-"
)

// keyHeader is the part of a key file in clear.
type keyHeader struct {
	_       struct{} `cbor:",toarray"`
	Purpose string
	Gateway string
	Machine []byte // tag of the machine id, see machineTag
	KEK     []byte // KEK.ID
}

// keyBody is the sealed part: generations, the newest last. Only the newest
// makes new signatures, tokens and segments.
type keyBody struct {
	_           struct{} `cbor:",toarray"`
	Generations []keyGeneration
}

type keyGeneration struct {
	_       struct{} `cbor:",toarray"`
	Number  uint32   // from 1
	Created int64    // Unix seconds
	Raw     []byte   // 32 bytes: seed, private key or symmetric key
}

// Keyring holds a gateway's own keys. Each lives in a file <purpose>.key of
// mode 0600, encrypted under the KEK with purpose, gateway and machine id as
// associated data. The format is in docs/formats.md.
type Keyring struct {
	redacted
	dir      string
	kek      KEK
	gateway  string
	machine  []byte
	signer   *Signer
	kem      *RecipientKey
	spool    *SecretKey
	oldSpool []*SecretKey         // before spool, the oldest first
	created  map[string]time.Time // by purpose
}

// OpenKeyring reads the keys for spool, signing and kem in dir, and makes them
// at the first start. machine is the id of the machine, as /etc/machine-id
// holds it or from hardware; it may be empty, and then keys are not bound to a
// machine. Errors wrap ErrKeyFile where a file is the reason. It takes no lock:
// one process at a time opens a directory.
func OpenKeyring(dir string, kek KEK, gateway string, machine []byte) (*Keyring, error) {
	if gateway == "" {
		return nil, errors.New("open keyring: the gateway has no name")
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make keyring directory: %w", err)
	}
	k := &Keyring{dir: dir, kek: kek, gateway: gateway, machine: slices.Clone(machine), created: map[string]time.Time{}}
	if err := k.checkComplete(); err != nil {
		return nil, err
	}
	var raw [len(ringOrder)][]byte
	for i, purpose := range ringOrder {
		body, err := k.load(purpose)
		if err != nil {
			return nil, err
		}
		g := body.newest()
		raw[i] = g.Raw
		k.created[purpose] = time.Unix(g.Created, 0)
		if purpose == PurposeSpool {
			for _, old := range body.Generations[:len(body.Generations)-1] {
				s, err := InsecureSecretKey(old.Raw)
				if err != nil {
					return nil, err
				}
				k.oldSpool = append(k.oldSpool, s)
			}
		}
	}
	var err error
	if k.spool, err = InsecureSecretKey(raw[0]); err != nil {
		return nil, err
	}
	if k.signer, err = InsecureSigner(raw[1]); err != nil {
		return nil, err
	}
	if k.kem, err = InsecureRecipientKey(KEMX25519, raw[2]); err != nil {
		return nil, err
	}
	return k, nil
}

// ringOrder is the order in which OpenKeyring makes keys. A start that was cut
// short leaves a front part of it; any other gap is a lost key.
var ringOrder = [...]string{PurposeSpool, PurposeSigning, PurposeKEM}

// checkComplete refuses a keyring that lost a file. A new key in its place
// would silently make the spool's backlog unreadable or change who the gateway
// is.
func (k *Keyring) checkComplete() error {
	missing := ""
	for _, purpose := range ringOrder {
		path := k.path(purpose)
		_, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if missing == "" {
				missing = path
			}
		case err != nil:
			return fmt.Errorf("look for key: %w", err)
		case missing != "":
			return fmt.Errorf("read %s: %w", missing, ErrKeyMissing)
		}
	}
	return nil
}

func (k *Keyring) path(purpose string) string { return filepath.Join(k.dir, purpose+keySuffix) }

// Signer returns the gateway's signing key.
func (k *Keyring) Signer() *Signer { return k.signer }

// Created says when the newest generation of each of the keys for spool,
// signing and kem was made, by purpose.
func (k *Keyring) Created() map[string]time.Time { return maps.Clone(k.created) }

// RecipientKey returns the gateway's own X25519 key, for what is delivered to
// it.
func (k *Keyring) RecipientKey() *RecipientKey { return k.kem }

// Spool returns the key from which spool segments derive theirs.
func (k *Keyring) Spool() *SecretKey { return k.spool }

// State returns the key from which the keys of other state at rest are derived:
// the first generation of Spool, so that a rotation leaves what lies under them
// readable.
func (k *Keyring) State() *SecretKey {
	if len(k.oldSpool) > 0 {
		return k.oldSpool[0]
	}
	return k.spool
}

// OldSpools returns the generations before Spool, the newest first: what was
// written under them is still read.
func (k *Keyring) OldSpools() []*SecretKey {
	out := slices.Clone(k.oldSpool)
	slices.Reverse(out)
	return out
}

// PseudonymKeys reads, and where they are missing makes, the keys of the given
// domains (1 to 32 of a-z, 0-9 and '-'). For window after a rotation the key
// before stays in use beside the new one.
func (k *Keyring) PseudonymKeys(domains []string, window time.Duration) ([]PseudonymKey, error) {
	keys := make([]PseudonymKey, 0, len(domains))
	for _, d := range domains {
		if err := checkDomain(d); err != nil {
			return nil, err
		}
		body, err := k.load(pseudonymPurpose + d)
		if err != nil {
			return nil, err
		}
		var chain *PseudonymKey
		for _, g := range body.Generations[max(0, len(body.Generations)-2):] {
			s, err := InsecureSecretKey(g.Raw)
			if err != nil {
				return nil, err
			}
			chain = &PseudonymKey{Domain: d, Version: g.Number, Key: s, Before: chain, Both: time.Unix(g.Created, 0).Add(window)}
		}
		keys = append(keys, *chain)
	}
	return keys, nil
}

// load returns the generations of a key, and makes the file if it is missing.
func (k *Keyring) load(purpose string) (keyBody, error) {
	body, err := k.read(purpose)
	if !errors.Is(err, fs.ErrNotExist) {
		return body, err
	}
	g := keyGeneration{Number: 1, Created: time.Now().Unix(), Raw: make([]byte, KeySize)}
	if _, err := rand.Read(g.Raw); err != nil {
		return keyBody{}, fmt.Errorf("read random bytes: %w", err)
	}
	body = keyBody{Generations: []keyGeneration{g}}
	return body, k.write(purpose, body)
}

func (k *Keyring) encode(purpose string, body keyBody) ([]byte, error) {
	mode, err := deterministicCBOR()
	if err != nil {
		return nil, err
	}
	id := k.kek.ID()
	tag, err := machineTag(k.machine)
	if err != nil {
		return nil, err
	}
	header, err := mode.Marshal(keyHeader{Purpose: purpose, Gateway: k.gateway, Machine: tag, KEK: id[:]})
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	plain, err := mode.Marshal(body)
	if err != nil {
		return nil, errors.New("encode key")
	}
	ad, err := k.associated(mode, purpose, header)
	if err != nil {
		return nil, err
	}
	sealed, err := k.kek.Seal(plain, ad)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	if len(header) > maxKeyHeader || len(sealed) > maxKeyBody {
		return nil, errors.New("key file would be too large: shorten the gateway's name")
	}
	out := make([]byte, 0, keyPrefix+len(header)+len(sealed))
	out = append(out, keyMagic...)
	out = append(out, keyVersion)
	out = binary.BigEndian.AppendUint16(out, uint16(len(header)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(sealed)))
	out = append(out, header...)
	return append(out, sealed...), nil
}

func (k *Keyring) decode(purpose string, raw []byte) (keyBody, error) {
	var body keyBody
	if len(raw) < keyPrefix {
		return body, ErrKeyTruncated
	}
	if string(raw[:len(keyMagic)]) != keyMagic || raw[len(keyMagic)] != keyVersion {
		return body, ErrKeyFormat
	}
	hlen := int(binary.BigEndian.Uint16(raw[len(keyMagic)+1:]))
	blen := int64(binary.BigEndian.Uint32(raw[len(keyMagic)+3:]))
	if hlen > maxKeyHeader || blen > maxKeyBody {
		return body, ErrKeyFormat
	}
	switch rest := int64(len(raw) - keyPrefix - hlen); {
	case rest < blen:
		return body, ErrKeyTruncated
	case rest > blen:
		return body, ErrKeyTampered
	}
	header, sealed := raw[keyPrefix:keyPrefix+hlen], raw[keyPrefix+hlen:]
	enc, err := deterministicCBOR()
	if err != nil {
		return body, err
	}
	dec, err := strictCBOR()
	if err != nil {
		return body, err
	}
	var h keyHeader
	if err := dec.Unmarshal(header, &h); err != nil {
		return body, ErrKeyTampered
	}
	tag, err := machineTag(k.machine)
	if err != nil {
		return body, err
	}
	id := k.kek.ID()
	switch {
	case h.Purpose != purpose:
		return body, ErrKeyPurpose
	case h.Gateway != k.gateway:
		return body, ErrKeyOtherGateway
	case !hmac.Equal(h.Machine, tag):
		return body, ErrKeyOtherMachine
	case !hmac.Equal(h.KEK, id[:]):
		return body, ErrKeyOtherKEK
	}
	ad, err := k.associated(enc, purpose, header)
	if err != nil {
		return body, err
	}
	plain, err := k.kek.Unseal(sealed, ad)
	if errors.Is(err, ErrOpen) {
		return body, ErrKeyTampered
	}
	if err != nil {
		return body, fmt.Errorf("unseal key: %w", err)
	}
	if err := dec.Unmarshal(plain, &body); err != nil {
		return keyBody{}, ErrKeyFormat
	}
	last := uint32(0)
	for _, g := range body.Generations {
		if len(g.Raw) != KeySize || g.Number <= last {
			return keyBody{}, ErrKeyFormat
		}
		last = g.Number
	}
	if last == 0 {
		return keyBody{}, ErrKeyFormat
	}
	return body, nil
}

// associated binds the file to where it may be used: the machine's id itself,
// not only its tag.
func (k *Keyring) associated(mode cbor.EncMode, purpose string, header []byte) ([]byte, error) {
	machine := k.machine
	if len(machine) == 0 {
		machine = nil // bound to none, however it is spelled
	}
	ad, err := mode.Marshal([]any{"sg1/key", keyVersion, purpose, k.gateway, machine, header})
	if err != nil {
		return nil, fmt.Errorf("encode associated data: %w", err)
	}
	return ad, nil
}

// machineTag tells machines apart without disclosing the id, which systemd asks
// to keep confidential (machine-id(5)).
func machineTag(machine []byte) ([]byte, error) {
	mac, err := hmacSHA256([]byte("sg1/machine"), machine)
	if err != nil {
		return nil, err
	}
	return mac[:16], nil
}

// deterministicCBOR encodes what is hashed, signed or bound (RFC 8949, section
// 4.2.1).
func deterministicCBOR() (cbor.EncMode, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, fmt.Errorf("choose deterministic CBOR: %w", err)
	}
	return mode, nil
}

// strictCBOR decodes key files: small arrays, nothing optional.
func strictCBOR() (cbor.DecMode, error) {
	mode, err := cbor.DecOptions{
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  4,
		MaxArrayElements: 64,
	}.DecMode()
	if err != nil {
		return nil, fmt.Errorf("choose strict CBOR: %w", err)
	}
	return mode, nil
}

// ReadPrivate reads a file that holds a key. It must be a regular file of at
// most limit bytes that nobody but its owner can read, else the error wraps
// ErrKeyFormat or ErrKeyReadable.
func ReadPrivate(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w", path, ErrKeyFormat)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read %s: %w", path, ErrKeyReadable)
	}
	if st.Size() > int64(limit) {
		return nil, fmt.Errorf("read %s: %w", path, ErrKeyFormat)
	}
	raw := make([]byte, st.Size())
	if _, err := f.ReadAt(raw, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return raw, nil
}
