package signed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// PolicyType is the payload type of a policy for a group or a gateway.
const PolicyType = "application/vnd.sealgate.policy.v1+json"

// RolePolicy signs policies.
const RolePolicy = "policy"

const policySchema = "sealgate-config/v1"

// StreamPolicy is the stream of policies. A document says which stream it
// belongs to, so that none can be taken for one of another.
const StreamPolicy = "policy"

// Policy is a policy on its way to gateways: whole, never a patch.
type Policy struct {
	Site      string
	Target    string // "g/GROUP" or "d/GATEWAY"
	Epoch     uint64 // must equal the trust root's
	Version   uint64 // from 1, rising within a target
	IssuedAt  time.Time
	NotAfter  time.Time // afterwards it is still enforced, and an alarm raised
	MinAgent  string    // the oldest agent that understands it, "1.2.0"; empty: any
	Rollout   Rollout
	Tombstone bool     // for "d/…" only: the gateway goes back to its group's policy
	Content   string   // the policy document as its author wrote it; empty in a tombstone
	Hash      [32]byte // SHA-256 of the signed bytes; set by ParsePolicy
}

// Rollout selects a share of a target's gateways.
type Rollout struct {
	Permille uint16 // 0 to 1000
	Salt     string // the same in every stage, so that each stage keeps the gateways of the one before
}

// Selects tells whether a gateway is in the share: SHA-256(salt ‖ 0 ‖ gateway),
// its first 64 bits modulo 1000, is below Permille.
func (r Rollout) Selects(gateway string) bool {
	h := sha256.Sum256([]byte(r.Salt + "\x00" + gateway))
	return binary.BigEndian.Uint64(h[:8])%1000 < uint64(r.Permille)
}

type wirePolicy struct {
	Schema    string      `json:"schema"`
	Site      string      `json:"site"`
	Stream    string      `json:"stream"`
	Target    string      `json:"target"`
	Epoch     uint64      `json:"root_epoch"`
	Version   uint64      `json:"version"`
	IssuedAt  string      `json:"issued_at"`
	NotAfter  string      `json:"not_after"`
	MinAgent  string      `json:"min_agent_version"`
	Rollout   wireRollout `json:"rollout"`
	Tombstone bool        `json:"tombstone"`
	Content   string      `json:"content"`
}

type wireRollout struct {
	Permille uint16 `json:"permille"`
	Salt     string `json:"salt"`
}

// ParsePolicy reads the verified bytes of a policy. It looks at no clock and at
// no floor, and does not compile the content.
func ParsePolicy(verified []byte) (*Policy, error) {
	var w wirePolicy
	if err := decodeDocument(verified, &w, policySchema, func() string { return w.Schema }); err != nil {
		return nil, err
	}
	switch {
	case w.Stream != StreamPolicy:
		return nil, ErrStream
	case !validName(w.Site):
		return nil, content("site is not a name")
	case !ValidTarget(w.Target):
		return nil, content(`target is neither "g/GROUP" nor "d/GATEWAY"`)
	case w.Version == 0 || w.Epoch == 0:
		return nil, content("version or root_epoch is 0")
	case w.Rollout.Permille > 1000 || len(w.Rollout.Salt) > maxName:
		return nil, content("rollout is more than 1000 permille, or its salt is too long")
	case w.Tombstone && (w.Content != "" || !strings.HasPrefix(w.Target, "d/")):
		return nil, content("a tombstone is for one gateway and has no content")
	case !w.Tombstone && w.Content == "":
		return nil, content("there is no content")
	}
	if _, err := ParseVersion(w.MinAgent); err != nil && w.MinAgent != "" {
		return nil, content("min_agent_version is not MAJOR.MINOR.PATCH")
	}
	issued, ends, err := validity(w.IssuedAt, w.NotAfter)
	if err != nil {
		return nil, err
	}
	return &Policy{
		Site: w.Site, Target: w.Target, Epoch: w.Epoch, Version: w.Version,
		IssuedAt: issued, NotAfter: ends, MinAgent: w.MinAgent,
		Rollout:   Rollout(w.Rollout),
		Tombstone: w.Tombstone, Content: w.Content, Hash: sha256.Sum256(verified),
	}, nil
}

// Marshal returns the bytes to sign, which ParsePolicy accepts.
func (p *Policy) Marshal() ([]byte, error) {
	w := wirePolicy{
		Schema: policySchema, Site: p.Site, Stream: StreamPolicy, Target: p.Target, Epoch: p.Epoch, Version: p.Version,
		IssuedAt: stamp(p.IssuedAt), NotAfter: stamp(p.NotAfter), MinAgent: p.MinAgent,
		Rollout: wireRollout(p.Rollout), Tombstone: p.Tombstone, Content: p.Content,
	}
	return marshal(w, func(b []byte) error { _, err := ParsePolicy(b); return err })
}

// ValidTarget tells whether a target names a group or a gateway: "g/NAME" or
// "d/NAME", the name 1 to 64 letters, digits, '.', '_' or '-'.
func ValidTarget(target string) bool {
	name, group := strings.CutPrefix(target, "g/")
	if !group {
		var device bool
		if name, device = strings.CutPrefix(target, "d/"); !device {
			return false
		}
	}
	return validGateway(name)
}

// validGateway allows what gateways and groups may be called.
func validGateway(name string) bool { return validName(strings.ToLower(name)) }

// ParseVersion reads MAJOR.MINOR.PATCH, with or without a "v" before it and a
// pre-release or build after it, which do not count.
func ParseVersion(s string) (v [3]uint32, err error) {
	core, _, _ := strings.Cut(strings.TrimPrefix(s, "v"), "-")
	core, _, _ = strings.Cut(core, "+")
	var rest string
	if n, _ := fmt.Sscanf(core, "%d.%d.%d%s", &v[0], &v[1], &v[2], &rest); n != 3 || fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) != core {
		return [3]uint32{}, fmt.Errorf("%q is not MAJOR.MINOR.PATCH", s)
	}
	return v, nil
}

// decodeDocument reads a strict JSON object of bounded size and checks its
// schema.
func decodeDocument(verified []byte, w any, schema string, got func() string) error {
	if len(verified) > MaxSize {
		return ErrSize
	}
	if err := decode(verified, w); err != nil {
		return err
	}
	if got() != schema {
		return content("schema is not %s", schema)
	}
	return nil
}

// marshal encodes a document and makes sure that it can be read back.
func marshal(w any, check func([]byte) error) ([]byte, error) {
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	if err := check(body); err != nil {
		return nil, err
	}
	return body, nil
}

// validity reads the two times of a document.
func validity(issuedAt, notAfter string) (issued, ends time.Time, err error) {
	if issued, err = instant(issuedAt); err != nil {
		return issued, ends, err
	}
	if ends, err = instant(notAfter); err != nil {
		return issued, ends, err
	}
	if !issued.Before(ends) {
		return issued, ends, content("not_after is not later than the beginning")
	}
	return issued, ends, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// SignPolicy checks a policy document and signs it. Its Hash is not looked at.
func SignPolicy(p *Policy, signers ...*crypto.Signer) ([]byte, error) {
	body, err := p.Marshal()
	if err != nil {
		return nil, err
	}
	return Sign(PolicyType, body, signers...)
}
