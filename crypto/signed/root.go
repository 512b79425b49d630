package signed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sealgate/sealgate/crypto"
)

const rootSchema = "sealgate-root/v1"

// RoleRecipients signs the bundle of recipients.
const RoleRecipients = "recipients"

// Root says who may sign what for a site. It is the one document that is
// trusted because of where it lies: a gateway gets it from its administrator,
// never from a broker.
type Root struct {
	Site  string
	Roles map[string]RoleKeys
}

// RoleKeys is who may sign a kind of document, and how many of them must.
type RoleKeys struct {
	Threshold int
	Keys      []*crypto.Verifier
}

type wireRoot struct {
	Schema string     `json:"schema"`
	Site   string     `json:"site"`
	Roles  []wireRole `json:"roles"`
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
	r := &Root{Site: w.Site, Roles: map[string]RoleKeys{}}
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
	w := wireRoot{Schema: rootSchema, Site: r.Site}
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
