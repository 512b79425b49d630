package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// A backup holds what a gateway is: its keys and what it must not forget. What
// it has under way, the spool, is not in it. docs/formats-keys.md has the bytes.
const (
	// MaxBackup bounds a backup, in bytes.
	MaxBackup = 64 << 20

	backupMagic   = "SGBAK"
	backupVersion = 1
	backupPrefix  = len(backupMagic) + 1 + 4
	maxBackupHead = 64 << 10
)

// bootJump is more starts than a gateway has between a backup and its use.
const bootJump = 1 << 20

// ErrBackup is the parent of every reason why a backup is refused.
var ErrBackup = errors.New("backup refused")

var (
	errBackupFormat = fmt.Errorf("%w: it is no backup of a known version, or cut short", ErrBackup)
	errBackupSigned = fmt.Errorf("%w: it was changed, or its signature is not that of the gateway", ErrBackup)
	errBackupOther  = fmt.Errorf("%w: it is of another gateway; check the gateway's name in agent.yaml", ErrBackup)
)

type backupHeader struct {
	_       struct{} `cbor:",toarray"`
	Gateway string
	Created int64 // Unix seconds
	Readers []backupReader
}

type backupReader struct {
	_       struct{} `cbor:",toarray"`
	RID     []byte
	Wrapped []byte
}

type backupBody struct {
	_       struct{} `cbor:",toarray"`
	Public  []byte   // that the gateway signs with
	Machine []byte
	KEK     []byte
	Files   []backupEntry
}

type backupEntry struct {
	_    struct{} `cbor:",toarray"`
	Name string   // below the state directory; "keys/" is the key directory
	Data []byte
}

// Backup returns the gateway's backup, encrypted to its rescue keys and to the
// public keys in files, and signed by it. The gateway may run.
func (k *Keeper) Backup(ctx context.Context, files []string) ([]byte, error) {
	ring, err := Ring(k.Config, k.Machine)
	if err != nil {
		return nil, err
	}
	if there, err := ring.Exists(); err != nil || !there {
		return nil, errors.Join(err, fmt.Errorf("there are no keys in %s: nothing is worth a backup yet", ring.Dir))
	}
	if release, err := k.lock(); err == nil {
		defer release()
	} else {
		ring.ReadOnly = true
	}
	kek, err := ring.Open(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := crypto.OpenKeyring(ring.Dir, kek, k.Config.Gateway, k.Machine)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	readers, err := ring.RescueKeys()
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		p, err := readPublic(path)
		if err != nil {
			return nil, err
		}
		readers = append(readers, p.Key)
	}
	if len(readers) == 0 {
		return nil, errors.New("there is nobody to encrypt the backup to: say --to FILE, or name a rescue key in custody.rescue")
	}
	body := backupBody{Public: keys.Signer().Verifier().Public(), Machine: k.Machine, KEK: kek.InsecureKEK().InsecureBytes()}
	if body.Files, err = k.collect(); err != nil {
		return nil, err
	}
	return sealBackup(k.Config.Gateway, k.Now(), readers, &body, keys.Signer())
}

// collect reads the files that make the gateway.
func (k *Keeper) collect() (out []backupEntry, err error) {
	size := 0
	add := func(name, path string) error {
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read for backup: %w", err)
		}
		if size += len(raw); size > MaxBackup/2 {
			return fmt.Errorf("read for backup: more than %d MiB", MaxBackup>>21)
		}
		out = append(out, backupEntry{Name: name, Data: raw})
		return nil
	}
	walk := func(dir, below string, want func(name string) bool) error {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read for backup: %w", err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && want(e.Name()) {
				if err := add(below+e.Name(), filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
		return nil
	}
	all := func(string) bool { return true }
	state := k.Config.State
	return out, errors.Join(
		walk(state, "", func(n string) bool {
			return n == "boot" || n == "state" || n == "floor" || n == "lanes" || strings.HasPrefix(n, "grants-")
		}),
		walk(filepath.Join(state, "control"), "control/", all),
		walk(filepath.Join(state, "broker"), "broker/", all),
		// Never the KEK in clear, which lies beside them in custody of a file.
		walk(k.Config.Keys.Directory, "keys/", func(n string) bool { return strings.HasSuffix(n, ".key") || n == "custody.json" }),
	)
}

func sealBackup(gateway string, now time.Time, readers []*crypto.Recipient, body *backupBody, signer *crypto.Signer) ([]byte, error) {
	content, err := crypto.NewSecretKey()
	if err != nil {
		return nil, err
	}
	h := backupHeader{Gateway: gateway, Created: now.Unix()}
	for _, p := range readers {
		rid := p.RID()
		info, err := h.info(rid[:])
		if err != nil {
			return nil, err
		}
		wrapped, err := p.Wrap(info, content.InsecureBytes())
		if err != nil {
			return nil, fmt.Errorf("encrypt backup: %w", err)
		}
		h.Readers = append(h.Readers, backupReader{RID: rid[:], Wrapped: wrapped})
	}
	header, err := cbor.Marshal(h)
	if err != nil {
		return nil, errors.New("encode backup")
	}
	plain, err := cbor.Marshal(body)
	if err != nil {
		return nil, errors.New("encode backup")
	}
	out := append([]byte(backupMagic), backupVersion)
	out = binary.BigEndian.AppendUint32(out, uint32(len(header)))
	out = append(out, header...)
	if out, err = content.Seal(out, plain, header); err != nil {
		return nil, fmt.Errorf("encrypt backup: %w", err)
	}
	signature, err := signer.Sign(backupDigest(out))
	if err != nil {
		return nil, fmt.Errorf("sign backup: %w", err)
	}
	return append(out, signature...), nil
}

func (h *backupHeader) info(rid []byte) ([]byte, error) {
	info, err := cbor.Marshal([]any{"sg1/backup", h.Gateway, h.Created, rid})
	if err != nil {
		return nil, errors.New("encode backup")
	}
	return info, nil
}

func backupDigest(raw []byte) []byte {
	sum := sha256.Sum256(raw)
	return append([]byte("sg1/backup\x00"), sum[:]...)
}

// openBackup opens a backup with one of its readers' private keys. The signature
// is verified under the key that the backup itself names: whoever restores it
// compares that key with the registry, or gives it.
func openBackup(raw []byte, key *crypto.RecipientKey) (*backupHeader, *backupBody, error) {
	h, header, rest, err := parseBackup(raw)
	if err != nil {
		return nil, nil, err
	}
	rid := key.Recipient().RID()
	for _, r := range h.Readers {
		if !bytes.Equal(r.RID, rid[:]) {
			continue
		}
		info, err := h.info(rid[:])
		if err != nil {
			return nil, nil, err
		}
		plain, err := key.Unwrap(info, r.Wrapped)
		if err != nil {
			return nil, nil, errBackupSigned
		}
		content, err := crypto.InsecureSecretKey(plain)
		if err != nil {
			return nil, nil, errBackupSigned
		}
		sealed := rest[:len(rest)-crypto.SignatureSize]
		if plain, err = content.Open(nil, sealed, header); err != nil {
			return nil, nil, errBackupSigned
		}
		var b backupBody
		if err := cbor.Unmarshal(plain, &b); err != nil {
			return nil, nil, errBackupFormat
		}
		v, err := crypto.ParseVerifier(b.Public)
		if err != nil || v.Verify(backupDigest(raw[:len(raw)-crypto.SignatureSize]), rest[len(sealed):]) != nil {
			return nil, nil, errBackupSigned
		}
		return h, &b, nil
	}
	return nil, nil, fmt.Errorf("%w: it is not encrypted to the key %s", ErrBackup, rid)
}

func parseBackup(raw []byte) (h *backupHeader, header, rest []byte, err error) {
	if len(raw) < backupPrefix || len(raw) > MaxBackup || string(raw[:len(backupMagic)]) != backupMagic || raw[len(backupMagic)] != backupVersion {
		return nil, nil, nil, errBackupFormat
	}
	n := binary.BigEndian.Uint32(raw[backupPrefix-4:])
	if n > maxBackupHead || int(n) > len(raw)-backupPrefix-crypto.SignatureSize {
		return nil, nil, nil, errBackupFormat
	}
	header, rest = raw[backupPrefix:backupPrefix+int(n)], raw[backupPrefix+int(n):]
	h = &backupHeader{}
	if err := cbor.Unmarshal(header, h); err != nil {
		return nil, nil, nil, errBackupFormat
	}
	return h, header, rest, nil
}

// Restore makes this machine the gateway of a backup: its keys in custody of a
// kind here (an empty one: what agent.yaml says, else file), and a boot counter
// that none of its starts had. It refuses where there is a gateway already.
// signedBy, if not nil, is the key that the gateway is known to sign with.
func (k *Keeper) Restore(ctx context.Context, raw []byte, file KeyFile, kind string, signedBy *crypto.Verifier) (*KeysInfo, error) {
	key, err := file.load()
	if err != nil {
		return nil, err
	}
	h, b, err := openBackup(raw, key)
	if err != nil {
		return nil, err
	}
	if h.Gateway != k.Config.Gateway {
		return nil, errBackupOther
	}
	if signedBy != nil && !bytes.Equal(signedBy.Public(), b.Public) {
		return nil, errBackupSigned
	}
	kek, err := crypto.InsecureSecretKey(b.KEK)
	if err != nil {
		return nil, errBackupFormat
	}
	release, err := k.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := k.mustBeEmpty(); err != nil {
		return nil, err
	}
	ring, err := Ring(k.Config, k.Machine)
	if err != nil {
		return nil, err
	}
	if kind == "" {
		kind = ring.Kind
	}
	if kind == "" {
		kind = "file"
	}
	// The counter first: keys that open with an old one would number messages
	// twice.
	boot, err := k.restoreFiles(b.Files)
	if err != nil {
		return nil, err
	}
	if err := ring.Adopt(ctx, kek, b.Machine, kind); err != nil {
		return nil, err
	}
	info, keys, err := k.describe(ctx, ring)
	if err != nil {
		return nil, err
	}
	f, err := openStateFile(k.Config, keys, counterOf(k.Config, info.Custody))
	if err != nil {
		return nil, err
	}
	s, err := f.read()
	if err != nil {
		return nil, err
	}
	s.Boot = max(s.Boot, boot)
	return info, f.write(&s)
}

func (k *Keeper) mustBeEmpty() error {
	for _, path := range []string{
		filepath.Join(k.Config.State, "boot"), filepath.Join(k.Config.State, "state"), filepath.Join(k.Config.State, "floor"),
		filepath.Join(k.Config.Keys.Directory, "custody.json"), filepath.Join(k.Config.Keys.Directory, crypto.PurposeSpool+".key"),
	} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, fmt.Errorf("%s is there: a restore never overwrites a gateway; move %s away first", path, k.Config.State))
		}
	}
	return nil
}

// restoreFiles writes what a backup holds and returns the new boot counter.
func (k *Keeper) restoreFiles(files []backupEntry) (boot uint64, err error) {
	path := filepath.Join(k.Config.State, "boot")
	for _, f := range files {
		if f.Name == "boot" {
			if err := durable.WriteFile(path, f.Data, 0o600); err != nil {
				return 0, fmt.Errorf("restore: %w", err)
			}
		}
	}
	if boot, err = durable.Increment(path); err != nil {
		return 0, fmt.Errorf("restore boot counter: %w", err)
	}
	// By the clock, too, so that one backup restored twice does not count alike.
	if boot, err = durable.IncrementPast(path, max(boot+bootJump, uint64(k.Now().Unix()))); err != nil {
		return 0, fmt.Errorf("raise boot counter: %w", err)
	}
	for _, f := range files {
		if f.Name == "boot" {
			continue
		}
		if !filepath.IsLocal(f.Name) {
			return 0, errBackupFormat
		}
		to := filepath.Join(k.Config.State, f.Name)
		if name, ok := strings.CutPrefix(f.Name, "keys/"); ok {
			to = filepath.Join(k.Config.Keys.Directory, name)
		}
		if err := durable.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return 0, fmt.Errorf("restore: %w", err)
		}
		if err := durable.WriteFile(to, f.Data, 0o600); err != nil {
			return 0, fmt.Errorf("restore: %w", err)
		}
	}
	return boot, nil
}
