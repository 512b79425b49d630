package signed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// DomainType is the payload type of a shared pseudonym domain.
const DomainType = "application/vnd.sealgate.domain.v1+json"

const domainSchema = "sealgate-domain/v1"

// Domain is a pseudonym domain that several gateways share: its key, wrapped to
// each of them. It is signed by the role of the registry, so that nobody else
// can make gateways use a key that he knows.
type Domain struct {
	Site string
	Name string
	Keys []DomainKey // ascending; the last makes tokens, the one before it still does for a while
}

// DomainKey is one version of a domain's key.
type DomainKey struct {
	Version uint32
	Created time.Time
	Wraps   map[crypto.RID][]byte // HPKE, for each gateway
}

type wireDomain struct {
	Schema string          `json:"schema"`
	Site   string          `json:"site"`
	Domain string          `json:"domain"`
	Keys   []wireDomainKey `json:"keys"`
}

type wireDomainKey struct {
	Version uint32     `json:"version"`
	Created string     `json:"created"`
	Wraps   []wireWrap `json:"wraps"` // ascending by rid
}

type wireWrap struct {
	RID string `json:"rid"` // hex of 16 bytes
	Key []byte `json:"key"` // base64: enc ‖ ciphertext
}

// wrapInfo binds a wrapped key to its place.
func (d *Domain) wrapInfo(version uint32, rid crypto.RID) []byte {
	return fmt.Appendf(nil, "sg1/domain\x00%s\x00%s\x00%d\x00%s", d.Site, d.Name, version, rid)
}

// Add wraps one version of the key to gateways.
func (d *Domain) Add(version uint32, created time.Time, key *crypto.SecretKey, gateways []*crypto.Recipient) error {
	k := DomainKey{Version: version, Created: created, Wraps: map[crypto.RID][]byte{}}
	for _, g := range gateways {
		ct, err := g.Wrap(d.wrapInfo(version, g.RID()), key.InsecureBytes())
		if err != nil {
			return err
		}
		k.Wraps[g.RID()] = ct
	}
	d.Keys = append(d.Keys, k)
	return nil
}

// Unwrap returns the key in use, and the one before it for window after the
// last rotation.
func (d *Domain) Unwrap(gateway *crypto.RecipientKey, window time.Duration) (crypto.PseudonymKey, error) {
	var chain *crypto.PseudonymKey
	for _, k := range d.Keys[max(0, len(d.Keys)-2):] {
		rid := gateway.Recipient().RID()
		ct, ours := k.Wraps[rid]
		if !ours {
			chain = nil // made before this gateway was there
			continue
		}
		raw, err := gateway.Unwrap(d.wrapInfo(k.Version, rid), ct)
		if err != nil {
			return crypto.PseudonymKey{}, content("key %d does not unwrap", k.Version)
		}
		key, err := crypto.InsecureSecretKey(raw)
		if err != nil {
			return crypto.PseudonymKey{}, content("key %d: %v", k.Version, err)
		}
		chain = &crypto.PseudonymKey{Domain: d.Name, Version: k.Version, Key: key, Before: chain, Both: k.Created.Add(window)}
	}
	if chain == nil {
		return crypto.PseudonymKey{}, content("the domain is not wrapped to this gateway: sealctl keys domain, once it is in the registry")
	}
	return *chain, nil
}

// SignDomain checks a domain and signs it.
func SignDomain(d *Domain, signers ...*crypto.Signer) ([]byte, error) {
	w := wireDomain{Schema: domainSchema, Site: d.Site, Domain: d.Name}
	for _, k := range d.Keys {
		x := wireDomainKey{Version: k.Version, Created: stamp(k.Created)}
		for rid, ct := range k.Wraps {
			x.Wraps = append(x.Wraps, wireWrap{rid.String(), ct})
		}
		slices.SortFunc(x.Wraps, func(a, b wireWrap) int { return strings.Compare(a.RID, b.RID) })
		w.Keys = append(w.Keys, x)
	}
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode domain: %w", err)
	}
	if _, err := parseDomain(body); err != nil {
		return nil, err
	}
	return signUpTo(DomainType, body, MaxRegistry, signers...)
}

// OpenDomain verifies a shared domain.
func OpenDomain(raw []byte, role *Role) (*Domain, error) {
	body, err := role.verify(raw, DomainType, MaxRegistryEnvelope)
	if err != nil {
		return nil, err
	}
	return parseDomain(body)
}

func parseDomain(body []byte) (*Domain, error) {
	if len(body) > MaxRegistry {
		return nil, ErrSize
	}
	var w wireDomain
	if err := decode(body, &w); err != nil {
		return nil, err
	}
	switch {
	case w.Schema != domainSchema:
		return nil, content("schema is not %s", domainSchema)
	case !validName(w.Site) || !validName(w.Domain):
		return nil, content("site or domain is not a name")
	case len(w.Keys) == 0 || len(w.Keys) > maxGatewayKeys:
		return nil, content("there are %d keys, want 1 to %d", len(w.Keys), maxGatewayKeys)
	}
	d := &Domain{Site: w.Site, Name: w.Domain}
	for i, x := range w.Keys {
		created, err := instant(x.Created)
		if err != nil {
			return nil, err
		}
		if x.Version == 0 || i > 0 && x.Version <= w.Keys[i-1].Version {
			return nil, content("versions don't rise from 1")
		}
		k := DomainKey{Version: x.Version, Created: created, Wraps: make(map[crypto.RID][]byte, len(x.Wraps))}
		for i, wrap := range x.Wraps {
			var rid crypto.RID
			if !unhex(rid[:], wrap.RID) || i > 0 && wrap.RID <= x.Wraps[i-1].RID {
				return nil, content("wraps are not for recipient ids, ascending")
			}
			k.Wraps[rid] = wrap.Key
		}
		d.Keys = append(d.Keys, k)
	}
	return d, nil
}
