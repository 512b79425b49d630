package signed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// RootType is the payload type of a trust root that follows another.
const RootType = "application/vnd.sealgate.root.v1+json"

const rootSchema = "sealgate-root/v1"

// RoleRecipients signs the bundle of recipients; RoleRoot the next trust root.
const (
	RoleRecipients = "recipients"
	RoleRoot       = "root"
)

// Root says who may sign what for a site. A gateway gets its first one from its
// administrator and trusts it because of where it lies; each later one is
// signed by the root role of the one before and by its own.
type Root struct {
	Site    string
	Version uint64 // from 1, rising by 1
	// Epoch rises where everything that was signed before is void: after a key
	// was stolen. Floors then are the versions that were accepted before, by
	// target, and count from Floors instead; Time is the moment from which a
	// gateway's trusted time counts again.
	Epoch  uint64
	Floors []RootFloor
	Time   time.Time // zero: trusted time is not touched
	Roles  map[string]RoleKeys
}

// RoleNames returns the roles that programs know, in the order of the alphabet.
func RoleNames() []string {
	return []string{RoleCommand, RoleNow, RolePolicy, RoleRecipients, RoleRegistry, RoleRoot}
}

// RootFloor is the version of a target that the next one must exceed.
type RootFloor struct {
	Target  string `json:"target"` // as of a Policy, "recipients", or "commands"
	Version uint64 `json:"version"`
}

const maxFloors = 256

// RoleKeys is who may sign a kind of document, and how many of them must.
type RoleKeys struct {
	Threshold int
	Keys      []*crypto.Verifier
}

type wireRoot struct {
	Schema  string      `json:"schema"`
	Site    string      `json:"site"`
	Version uint64      `json:"version"`
	Epoch   uint64      `json:"epoch"`
	Floors  []RootFloor `json:"floors,omitempty"`
	Time    string      `json:"time,omitempty"` // RFC 3339
	Roles   []wireRole  `json:"roles"`
}

type wireRole struct {
	Name      string   `json:"name"`
	Threshold int      `json:"threshold"`
	Keys      []string `json:"keys"` // base64 of 32 bytes: Ed25519, RFC 8032
}

// ParseRoot reads a trust root.
func ParseRoot(raw []byte) (*Root, error) {
	if len(raw) > MaxSize {
		return nil, ErrSize
	}
	var w wireRoot
	if err := crypto.UnmarshalStrict(raw, &w); err != nil {
		return nil, fmt.Errorf("%w: trust root: %w", ErrFormat, err)
	}
	if w.Schema != rootSchema {
		return nil, fmt.Errorf("%w: trust root: schema is not %q", ErrFormat, rootSchema)
	}
	if !validName(w.Site) {
		return nil, content("trust root: site is not a name")
	}
	// A root of the time before there were later ones has neither.
	if w.Version == 0 && w.Epoch == 0 {
		w.Version, w.Epoch = 1, 1
	}
	if w.Version == 0 || w.Epoch == 0 || w.Epoch > w.Version || len(w.Floors) > maxFloors {
		return nil, content("trust root: version or epoch is 0, the epoch is above the version, or there are more than %d floors", maxFloors)
	}
	r := &Root{Site: w.Site, Version: w.Version, Epoch: w.Epoch, Floors: w.Floors, Roles: map[string]RoleKeys{}}
	if w.Time != "" {
		var err error
		if r.Time, err = instant(w.Time); err != nil {
			return nil, err
		}
	}
	for _, role := range w.Roles {
		name := role.Name
		if _, twice := r.Roles[name]; twice || !validName(name) {
			return nil, content("trust root: a role's name is missing, no name, or there twice")
		}
		keys := RoleKeys{Threshold: role.Threshold}
		for i, k := range role.Keys {
			public, err := base64.StdEncoding.Strict().DecodeString(k)
			if err != nil {
				return nil, content("trust root: key %d of role %s is not base64", i, name)
			}
			v, err := crypto.ParseVerifier(public)
			if err != nil {
				return nil, content("trust root: key %d of role %s: %v", i, name, err)
			}
			keys.Keys = append(keys.Keys, v)
		}
		if _, err := NewRole(name, keys.Threshold, keys.Keys); err != nil {
			return nil, content("trust root: %v", err)
		}
		r.Roles[name] = keys
	}
	return r, nil
}

// OpenRoot accepts the trust root that follows: signed by enough keys of the
// root role that is trusted, and of its own, for the same site, one version
// higher, and no epoch lower. It also returns the signed bytes, to be kept.
func OpenRoot(trusted *Root, raw []byte) (*Root, []byte, error) {
	role, err := trusted.Role(RoleRoot)
	if err != nil {
		return nil, nil, err
	}
	body, err := role.Verify(raw, RootType)
	if err != nil {
		return nil, nil, err
	}
	next, err := ParseRoot(body)
	if err != nil {
		return nil, nil, err
	}
	own, err := next.Role(RoleRoot)
	if err != nil {
		return nil, nil, err
	}
	if _, err := own.Verify(raw, RootType); err != nil {
		return nil, nil, err
	}
	switch {
	case next.Site != trusted.Site:
		return nil, nil, ErrTarget
	case next.Version != trusted.Version+1 || next.Epoch < trusted.Epoch:
		return nil, nil, ErrRollback
	}
	return next, body, nil
}

// SignRoot signs a trust root that follows another. The signers must meet the
// threshold of both.
func SignRoot(r *Root, signers ...*crypto.Signer) ([]byte, error) {
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	return Sign(RootType, body, signers...)
}

// Role returns who may sign, by the role's name.
func (r *Root) Role(name string) (*Role, error) {
	keys, ok := r.Roles[name]
	if !ok {
		return nil, content("trust root has no role %q: it has %v", name, slices.Sorted(maps.Keys(r.Roles)))
	}
	return NewRole(name, keys.Threshold, keys.Keys)
}

// Marshal returns the document's bytes, which ParseRoot accepts.
func (r *Root) Marshal() ([]byte, error) {
	w := wireRoot{Schema: rootSchema, Site: r.Site, Version: max(r.Version, 1), Epoch: max(r.Epoch, 1), Floors: r.Floors}
	if !r.Time.IsZero() {
		w.Time = stamp(r.Time)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Roles)) {
		role := r.Roles[name]
		wr := wireRole{Name: name, Threshold: role.Threshold}
		for _, k := range role.Keys {
			wr.Keys = append(wr.Keys, base64.StdEncoding.EncodeToString(k.Public()))
		}
		w.Roles = append(w.Roles, wr)
	}
	raw, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode trust root: %w", err)
	}
	raw = append(raw, '\n')
	if _, err := ParseRoot(raw); err != nil {
		return nil, err
	}
	return raw, nil
}
