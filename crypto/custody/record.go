package custody

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/crypto"
)

const (
	recordName   = "custody.json"
	recordFormat = "sealgate-custody/v1"
	maxRecord    = 64 << 10
	maxRescue    = 8
)

// record says who has a ring's KEK. It is not secret. Proof shows that who wrote
// it had the KEK, so that nobody can slip in a rescue key of their own; it is
// checked once the KEK is there.
type record struct {
	Format  string   `json:"format"`
	Gateway string   `json:"gateway"`
	Kind    string   `json:"kind"`
	KEK     string   `json:"kek"` // hex of crypto.KEK.ID
	Created string   `json:"created"`
	Blob    []byte   `json:"blob,omitempty"`
	Rescue  []rescue `json:"rescue,omitempty"`
	// Drop is the KEK that this one replaced, for as long as its custodian may
	// still hold it.
	Drop  *dropped `json:"drop,omitempty"`
	Proof []byte   `json:"proof"`
}

type dropped struct {
	Kind string `json:"kind"`
	KEK  string `json:"kek"`
}

// rescue is the KEK, wrapped to an offline key.
type rescue struct {
	RID     string `json:"rid"`
	KEM     string `json:"kem"`
	Public  []byte `json:"public"`
	Wrapped []byte `json:"wrapped"`
}

var errRecord = errors.New("it is not a custody record of a known version; restore it from the backup")

// readRecord returns nil where there is none.
func readRecord(dir string) (*record, error) {
	path := filepath.Join(dir, recordName)
	raw, err := crypto.ReadPrivate(path, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

func parseRecord(raw []byte) (*record, error) {
	var r record
	if err := crypto.UnmarshalStrict(raw, &r); err != nil || r.Format != recordFormat || len(r.Rescue) > maxRescue {
		return nil, errRecord
	}
	if _, err := r.id(); err != nil {
		return nil, err
	}
	if _, err := r.created(); err != nil {
		return nil, err
	}
	if r.Drop != nil {
		if _, err := keyID(r.Drop.KEK); err != nil {
			return nil, err
		}
	}
	for _, x := range r.Rescue {
		if _, err := x.recipient(); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

func (r *record) id() ([8]byte, error) { return keyID(r.KEK) }

func keyID(text string) (id [8]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != text {
		return id, errRecord
	}
	return [8]byte(b), nil
}

func (r *record) created() (time.Time, error) {
	t, err := time.Parse(time.RFC3339, r.Created)
	if err != nil {
		return t, errRecord
	}
	return t, nil
}

func (x *rescue) recipient() (*crypto.Recipient, error) {
	kem, err := crypto.KEMByName(x.KEM)
	if err != nil {
		return nil, errRecord
	}
	p, err := crypto.ParseRecipient(kem, x.Public)
	if err != nil || p.RID().String() != x.RID {
		return nil, errRecord
	}
	return p, nil
}

// newRecord describes a fresh key and wraps it to the rescue keys.
func newRecord(key *crypto.SecretKey, gateway, kind string, blob, machine []byte, rescues []*crypto.Recipient, now time.Time) (*record, error) {
	id := key.ID()
	r := &record{
		Format: recordFormat, Gateway: gateway, Kind: kind, KEK: hex.EncodeToString(id[:]),
		Created: now.UTC().Format(time.RFC3339), Blob: blob,
	}
	return r, r.wrap(key, machine, rescues)
}

// wrap adds rescue keys that the record does not have yet.
func (r *record) wrap(key *crypto.SecretKey, machine []byte, rescues []*crypto.Recipient) error {
	for _, p := range rescues {
		rid := p.RID().String()
		if slices.ContainsFunc(r.Rescue, func(x rescue) bool { return x.RID == rid }) {
			continue
		}
		if len(r.Rescue) == maxRescue {
			return fmt.Errorf("add rescue key: there are %d already", maxRescue)
		}
		info, err := r.info(rid)
		if err != nil {
			return err
		}
		plain, err := deterministic([]any{key.InsecureBytes(), machine})
		if err != nil {
			return err
		}
		wrapped, err := p.Wrap(info, plain)
		if err != nil {
			return fmt.Errorf("wrap to rescue key: %w", err)
		}
		r.Rescue = append(r.Rescue, rescue{RID: rid, KEM: p.KEM().String(), Public: p.Public(), Wrapped: wrapped})
	}
	return nil
}

// unwrap opens the KEK, and the id of the machine that the keys are bound to,
// with a rescue key.
func (r *record) unwrap(key *crypto.RecipientKey) (kek *crypto.SecretKey, machine []byte, err error) {
	rid := key.Recipient().RID().String()
	i := slices.IndexFunc(r.Rescue, func(x rescue) bool { return x.RID == rid })
	if i < 0 {
		return nil, nil, fmt.Errorf("%w: rescue key %s was not named when the keys were put into custody", ErrMissing, rid)
	}
	info, err := r.info(rid)
	if err != nil {
		return nil, nil, err
	}
	plain, err := key.Unwrap(info, r.Rescue[i].Wrapped)
	if err != nil {
		return nil, nil, fmt.Errorf("open with rescue key %s: %w", rid, err)
	}
	var body struct {
		_       struct{} `cbor:",toarray"`
		KEK     []byte
		Machine []byte
	}
	if err := cbor.Unmarshal(plain, &body); err != nil {
		return nil, nil, errRecord
	}
	if kek, err = crypto.InsecureSecretKey(body.KEK); err != nil {
		return nil, nil, errRecord
	}
	return kek, body.Machine, r.verify(kek)
}

func (r *record) info(rid string) ([]byte, error) {
	return deterministic([]any{"sg1/rescue", r.Gateway, r.KEK, rid})
}

// rescues returns the public keys that the record names.
func (r *record) rescues() ([]*crypto.Recipient, error) {
	var out []*crypto.Recipient
	for i := range r.Rescue {
		p, err := r.Rescue[i].recipient()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// seal proves the record with the KEK and returns its bytes.
func (r *record) seal(key *crypto.SecretKey) ([]byte, error) {
	ad, err := r.signed()
	if err != nil {
		return nil, err
	}
	if r.Proof, err = key.Seal(nil, nil, ad); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, errors.New("encode custody record")
	}
	raw = append(raw, '\n')
	if _, err := parseRecord(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// verify checks that key is the KEK and that it proved the record.
func (r *record) verify(key *crypto.SecretKey) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	if key.ID() != id {
		return ErrOther
	}
	ad, err := r.signed()
	if err != nil {
		return err
	}
	if _, err := key.Open(nil, r.Proof, ad); err != nil {
		return fmt.Errorf("custody record: %w", crypto.ErrKeyTampered)
	}
	return nil
}

func (r *record) signed() ([]byte, error) {
	copied := *r
	copied.Proof = nil
	raw, err := json.Marshal(copied)
	if err != nil {
		return nil, errors.New("encode custody record")
	}
	return deterministic([]any{"sg1/custody", raw})
}

// deterministic encodes what is bound or wrapped (RFC 8949, section 4.2.1).
func deterministic(v any) ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, fmt.Errorf("choose deterministic CBOR: %w", err)
	}
	raw, err := mode.Marshal(v)
	if err != nil {
		return nil, errors.New("encode what is bound")
	}
	return raw, nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
