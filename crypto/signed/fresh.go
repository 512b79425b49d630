package signed

import (
	"encoding/hex"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// FreshType is the payload type of the freshness list.
const FreshType = "application/vnd.sealgate.now.v1+json"

// RoleNow signs the freshness list, with a key that is online.
const RoleNow = "now"

const (
	freshSchema = "sealgate-now/v1"
	maxFresh    = 1024
)

// Fresh is the short-lived list of what is in force at a site. It authorizes
// nothing: it only lets a gateway notice that a broker withholds a document.
type Fresh struct {
	Site     string
	Epoch    uint64
	IssuedAt time.Time
	NotAfter time.Time
	Entries  []FreshEntry
}

// FreshEntry is the newest document of a target.
type FreshEntry struct {
	Target  string // as of a Policy, or "recipients"
	Version uint64
	Hash    [32]byte
}

type wireFresh struct {
	Schema   string           `json:"schema"`
	Site     string           `json:"site"`
	Epoch    uint64           `json:"root_epoch"`
	IssuedAt string           `json:"issued_at"`
	NotAfter string           `json:"not_after"`
	Entries  []wireFreshEntry `json:"entries"`
}

type wireFreshEntry struct {
	Target  string `json:"target"`
	Version uint64 `json:"version"`
	Hash    string `json:"hash"` // hex of 32 bytes
}

// ParseFresh reads the verified bytes of a freshness list.
func ParseFresh(verified []byte) (*Fresh, error) {
	var w wireFresh
	if err := decodeDocument(verified, &w, freshSchema, func() string { return w.Schema }); err != nil {
		return nil, err
	}
	if !validName(w.Site) || w.Epoch == 0 || len(w.Entries) > maxFresh {
		return nil, content("site is not a name, root_epoch is 0, or there are more than %d entries", maxFresh)
	}
	issued, ends, err := validity(w.IssuedAt, w.NotAfter)
	if err != nil {
		return nil, err
	}
	f := &Fresh{Site: w.Site, Epoch: w.Epoch, IssuedAt: issued, NotAfter: ends}
	seen := map[string]bool{}
	for i, e := range w.Entries {
		entry := FreshEntry{Target: e.Target, Version: e.Version}
		if e.Target != RoleRecipients && !ValidTarget(e.Target) || seen[e.Target] || e.Version == 0 || !unhex(entry.Hash[:], e.Hash) {
			return nil, content("entry %d has no target of its own, no version, or no hash", i)
		}
		seen[e.Target] = true
		f.Entries = append(f.Entries, entry)
	}
	return f, nil
}

// SignFresh checks a freshness list and signs it.
func SignFresh(f *Fresh, signers ...*crypto.Signer) ([]byte, error) {
	w := wireFresh{
		Schema: freshSchema, Site: f.Site, Epoch: f.Epoch,
		IssuedAt: stamp(f.IssuedAt), NotAfter: stamp(f.NotAfter), Entries: []wireFreshEntry{},
	}
	for _, e := range f.Entries {
		w.Entries = append(w.Entries, wireFreshEntry{Target: e.Target, Version: e.Version, Hash: hex.EncodeToString(e.Hash[:])})
	}
	body, err := marshal(w, func(b []byte) error { _, err := ParseFresh(b); return err })
	if err != nil {
		return nil, err
	}
	return Sign(FreshType, body, signers...)
}

// Entry returns what the list says of a target.
func (f *Fresh) Entry(target string) (FreshEntry, bool) {
	for _, e := range f.Entries {
		if e.Target == target {
			return e, true
		}
	}
	return FreshEntry{}, false
}
