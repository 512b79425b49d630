package signed

import (
	"encoding/json"
	"fmt"

	"github.com/sealgate/sealgate/crypto"
)

// StatusType is the payload type of a gateway's status.
const StatusType = "application/vnd.sealgate.status.v1+json"

const (
	statusSchema = "sealgate-status/v1"
	maxTargets   = 8
	maxCounters  = 64
)

// GatewayStatus is what a gateway says of itself, signed with its own key. It holds no
// topic, no client and no text from outside.
type GatewayStatus struct {
	Schema       string         `json:"schema"`
	Site         string         `json:"site"`
	Gateway      string         `json:"gateway"`
	Group        string         `json:"group"`
	Boot         uint64         `json:"boot"`      // starts of the agent; two live ones for one gateway are an alarm
	Sequence     uint64         `json:"sequence"`  // rises within a boot
	IssuedAt     string         `json:"issued_at"` // trusted time, RFC 3339
	Synchronized bool           `json:"clock_synchronized"`
	RootVersion  uint64         `json:"root_version"`
	RootEpoch    uint64         `json:"root_epoch"`
	Mode         string         `json:"mode"` // observe, enforce, sealed (everything, after a failure) or lockdown
	Challenge    string         `json:"challenge"`
	Build        string         `json:"build"`
	Targets      []TargetStatus `json:"targets"`
	Links        []Link         `json:"links"`  // uplinks whose broker has a will
	Alarms       []string       `json:"alarms"` // their ids
	Counters     []Counter      `json:"counters"`
}

// TargetStatus is where a gateway stands with one target.
type TargetStatus struct {
	Target    string    `json:"target"`
	Offered   Reference `json:"offered"`   // the newest that came, accepted or not
	Effective Reference `json:"effective"` // what is in force
	State     string    `json:"state"`     // applied, probation, held, shadowed, refused, rolled-back, sealed, none
	Reason    string    `json:"reason"`    // a reason code where it is refused or rolled back
	Floor     uint64    `json:"floor"`
}

// Reference names a version of a document.
type Reference struct {
	Version uint64 `json:"version"`
	Hash    string `json:"hash"` // hex of SHA-256; empty: none
}

// Counter is one number of a gateway, by its metric's name.
type Counter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// SignStatus signs a status with the gateway's own key.
func SignStatus(s *GatewayStatus, signer *crypto.Signer) ([]byte, error) {
	s.Schema = statusSchema
	if s.Targets == nil {
		s.Targets = []TargetStatus{}
	}
	if s.Links == nil {
		s.Links = []Link{}
	}
	if s.Alarms == nil {
		s.Alarms = []string{}
	}
	if s.Counters == nil {
		s.Counters = []Counter{}
	}
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	if _, err := parseStatus(body); err != nil {
		return nil, err
	}
	return Sign(StatusType, body, signer)
}

// OpenStatus verifies the status of a gateway with the key that the registry
// lists for it.
func OpenStatus(raw []byte, site, gateway string, key *crypto.Verifier) (*GatewayStatus, error) {
	role, err := NewRole("gateway", 1, []*crypto.Verifier{key})
	if err != nil {
		return nil, err
	}
	body, err := role.Verify(raw, StatusType)
	if err != nil {
		return nil, err
	}
	s, err := parseStatus(body)
	if err != nil {
		return nil, err
	}
	if s.Site != site || s.Gateway != gateway {
		return nil, ErrTarget
	}
	return s, nil
}

func parseStatus(body []byte) (*GatewayStatus, error) {
	var s GatewayStatus
	if err := decodeDocument(body, &s, statusSchema, func() string { return s.Schema }); err != nil {
		return nil, err
	}
	var challenge [16]byte
	if !validName(s.Site) || !validGateway(s.Gateway) || !unhex(challenge[:], s.Challenge) ||
		len(s.Targets) > maxTargets || len(s.Links) > MaxLinks || len(s.Counters) > maxCounters {
		return nil, content("site, gateway or challenge is malformed, or there are too many targets, links or counters")
	}
	if _, err := instant(s.IssuedAt); err != nil {
		return nil, err
	}
	return &s, nil
}
