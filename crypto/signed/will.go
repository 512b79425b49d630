package signed

import (
	"github.com/sealgate/sealgate/crypto"
)

// WillType is the payload type of a gateway's will.
const WillType = "application/vnd.sealgate.will.v1+json"

const willSchema = "sealgate-will/v1"

// MaxLinks bounds how many uplinks a gateway speaks of.
const MaxLinks = 16

// A Will says that an uplink of a gateway went silent. The gateway signs it
// before it connects, and the broker publishes it when that connection is lost;
// so it can't say when. It is void once a status names a later connection.
type Will struct {
	Schema        string `json:"schema"`
	Site          string `json:"site"`
	Gateway       string `json:"gateway"`
	Uplink        string `json:"uplink"`
	Boot          uint64 `json:"boot"`          // starts of the agent
	Connection    uint64 `json:"connection"`    // attempts to connect since then, from 1
	ConnectingAt  string `json:"connecting_at"` // the gateway's clock, or trusted time if that is later, RFC 3339: it was alive then
	PolicyVersion uint64 `json:"policy_version"`
}

// Link is how far the connections of an uplink have come.
type Link struct {
	Uplink     string `json:"uplink"`
	Connection uint64 `json:"connection"` // the newest that the broker accepted since this start; 0: none yet
}

// SignWill signs a will with the gateway's own key.
func SignWill(w *Will, signer *crypto.Signer) ([]byte, error) {
	w.Schema = willSchema
	body, err := marshal(w, func(b []byte) error { _, err := parseWill(b); return err })
	if err != nil {
		return nil, err
	}
	return Sign(WillType, body, signer)
}

// OpenWill verifies the will of a gateway's uplink with a key that the registry
// lists for it.
func OpenWill(raw []byte, site, gateway, uplink string, key *crypto.Verifier) (*Will, error) {
	role, err := NewRole("gateway", 1, []*crypto.Verifier{key})
	if err != nil {
		return nil, err
	}
	body, err := role.Verify(raw, WillType)
	if err != nil {
		return nil, err
	}
	w, err := parseWill(body)
	if err != nil {
		return nil, err
	}
	if w.Site != site || w.Gateway != gateway || w.Uplink != uplink {
		return nil, ErrTarget
	}
	return w, nil
}

func parseWill(body []byte) (*Will, error) {
	var w Will
	if err := decodeDocument(body, &w, willSchema, func() string { return w.Schema }); err != nil {
		return nil, err
	}
	if !validName(w.Site) || !validGateway(w.Gateway) || !validGateway(w.Uplink) || w.Boot == 0 || w.Connection == 0 {
		return nil, content("site, gateway or uplink is malformed, or boot or connection is 0")
	}
	if _, err := instant(w.ConnectingAt); err != nil {
		return nil, err
	}
	return &w, nil
}
