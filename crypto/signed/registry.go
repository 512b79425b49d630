package signed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// RegistryType is the payload type of a registry of gateways.
const RegistryType = "application/vnd.sealgate.registry.v1+json"

// RoleRegistry signs the registry of gateways.
const RoleRegistry = "registry"

// MaxRegistry and MaxRegistryEnvelope bound a registry and its envelope, in
// bytes: some 8,000 gateways. It is for openers, and travels as a file.
const (
	MaxRegistry         = 2 << 20
	MaxRegistryEnvelope = 3 << 20
)

const (
	registrySchema = "sealgate-registry/v1"
	maxGateways    = 10_000
	maxGatewayKeys = 16
)

// Registry says which keys the gateways of a site sign with: all that an opener
// needs to know about origin, and the only thing it believes.
type Registry struct {
	Chain
	Gateways []Gateway
}

// Gateway is one enrolled gateway.
type Gateway struct {
	Name string
	Keys []GatewayKey      // one of them at most is active
	KEM  *crypto.Recipient // what is delivered to the gateway is wrapped to it
}

// GatewayKey is a key that a gateway signs with, or did. Active is the one in
// use; Retiring was followed by another, and what it signed stays authentic;
// nothing that a Revoked one ever signed is believed.
type GatewayKey struct {
	Status   Status
	Verifier *crypto.Verifier
}

// OpenRegistry verifies a signed registry and accepts it as OpenBundle does a
// bundle.
func OpenRegistry(raw []byte, role *Role, e Expect) (*Registry, error) {
	body, err := role.verify(raw, RegistryType, MaxRegistryEnvelope)
	if err != nil {
		return nil, err
	}
	r, err := ParseRegistry(body)
	if err != nil {
		return nil, err
	}
	if err := e.accepts(&r.Chain); err != nil {
		return nil, err
	}
	return r, nil
}

// VerifyRegistry is OpenRegistry for who changes it: whatever its site, age and
// validity.
func VerifyRegistry(raw []byte, role *Role) (*Registry, error) {
	body, err := role.verify(raw, RegistryType, MaxRegistryEnvelope)
	if err != nil {
		return nil, err
	}
	return ParseRegistry(body)
}

// ParseRegistry reads the verified bytes of a registry.
func ParseRegistry(verified []byte) (*Registry, error) {
	if len(verified) > MaxRegistry {
		return nil, ErrSize
	}
	var w wireRegistry
	if err := decode(verified, &w); err != nil {
		return nil, err
	}
	return w.registry(verified)
}

// SignRegistry checks a registry and signs it. Its Hash is not looked at.
func SignRegistry(r *Registry, signers ...*crypto.Signer) ([]byte, error) {
	w := wireRegistry{wireChain: r.wire(registrySchema), Gateways: make([]wireGateway, 0, len(r.Gateways))}
	for _, g := range r.Gateways {
		x := wireGateway{Name: g.Name, Keys: make([]wireGatewayKey, 0, len(g.Keys))}
		if g.KEM != nil {
			x.KEM = base64.StdEncoding.EncodeToString(g.KEM.Public())
		}
		for _, k := range g.Keys {
			x.Keys = append(x.Keys, wireGatewayKey{ID: k.Verifier.KeyID().String(), Public: k.Verifier.Public(), Status: k.Status})
		}
		w.Gateways = append(w.Gateways, x)
	}
	body, err := marshal(w, func(b []byte) error { _, err := ParseRegistry(b); return err })
	if err != nil {
		return nil, err
	}
	return signUpTo(RegistryType, body, MaxRegistry, signers...)
}

// Verifiers returns the keys whose signatures are believed for a gateway, the
// one in use first. None for an unknown gateway.
func (r *Registry) Verifiers(gateway string) (keys []*crypto.Verifier) {
	i, known := slices.BinarySearchFunc(r.Gateways, gateway, func(g Gateway, name string) int { return strings.Compare(g.Name, name) })
	if !known {
		return nil
	}
	for _, status := range []Status{Active, Retiring} {
		for _, k := range r.Gateways[i].Keys {
			if k.Status == status {
				keys = append(keys, k.Verifier)
			}
		}
	}
	return keys
}

// wireRegistry is the JSON form; docs/formats-keys.md describes it.
type wireRegistry struct {
	wireChain
	Gateways []wireGateway `json:"gateways"` // ascending by name
}

type wireGateway struct {
	Name string           `json:"name"`
	Keys []wireGatewayKey `json:"keys"`
	KEM  string           `json:"kem"` // base64 of an X25519 public key; empty: not known
}

type wireGatewayKey struct {
	ID     string `json:"id"`     // hex of 16 bytes
	Public []byte `json:"public"` // base64: Ed25519
	Status Status `json:"status"`
}

func (w *wireRegistry) registry(verified []byte) (*Registry, error) {
	c, err := w.chain(registrySchema, verified)
	if err != nil {
		return nil, err
	}
	if len(w.Gateways) > maxGateways {
		return nil, content("more than %d gateways", maxGateways)
	}
	r := &Registry{Chain: c, Gateways: make([]Gateway, 0, len(w.Gateways))}
	owner := map[crypto.KeyID]bool{}
	for i := range w.Gateways {
		g, err := w.Gateways[i].gateway(owner)
		if err != nil {
			return nil, content("gateway %d: %v", i, err)
		}
		if i > 0 && g.Name <= r.Gateways[i-1].Name {
			return nil, content("gateway %d: names are not ascending", i)
		}
		r.Gateways = append(r.Gateways, g)
	}
	return r, nil
}

// gateway reads one entry. A key belongs to one gateway only: else either could
// speak for the other.
func (w *wireGateway) gateway(owner map[crypto.KeyID]bool) (g Gateway, err error) {
	if g.Name = w.Name; !validGateway(w.Name) {
		return g, fmt.Errorf("its name is none")
	}
	if len(w.Keys) == 0 || len(w.Keys) > maxGatewayKeys {
		return g, fmt.Errorf("it has %d keys, want 1 to %d", len(w.Keys), maxGatewayKeys)
	}
	active := 0
	for _, k := range w.Keys {
		v, err := crypto.ParseVerifier(k.Public)
		if err != nil {
			return g, err
		}
		switch {
		case k.ID != v.KeyID().String():
			return g, fmt.Errorf("the id of a key is not that of the key")
		case owner[v.KeyID()]:
			return g, fmt.Errorf("a key is listed twice")
		case k.Status != Active && k.Status != Retiring && k.Status != Revoked:
			return g, fmt.Errorf("the status of a key is not known")
		case k.Status == Active:
			active++
		}
		owner[v.KeyID()] = true
		g.Keys = append(g.Keys, GatewayKey{k.Status, v})
	}
	if active > 1 {
		return g, fmt.Errorf("it has %d active keys", active)
	}
	if w.KEM != "" {
		public, err := base64.StdEncoding.Strict().DecodeString(w.KEM)
		if err != nil {
			return g, fmt.Errorf("kem is not base64")
		}
		if g.KEM, err = crypto.ParseRecipient(crypto.KEMX25519, public); err != nil {
			return g, err
		}
	}
	return g, nil
}

// EnrolType is the payload type of a gateway's request to be enrolled.
const EnrolType = "application/vnd.sealgate.enrol.v1+json"

const enrolSchema = "sealgate-enrol/v1"

// Enrolment is what a gateway asks to be registered with, signed by the very
// key it asks for. Nothing else vouches for it: the operator compares its
// Fingerprint with the gateway's, on a way that the broker does not control.
type Enrolment struct {
	Site     string
	Gateway  string
	Signing  *crypto.Verifier
	KEM      *crypto.Recipient // X25519
	Machine  [16]byte          // tells machines apart without disclosing their ids
	Root     [32]byte          // SHA-256 of the trust root the gateway has; zero: none
	Nonce    [16]byte
	IssuedAt time.Time
	Hash     [32]byte // SHA-256 of the signed bytes; set by OpenEnrolment and SignEnrolment
}

type wireEnrolment struct {
	Schema   string `json:"schema"`
	Site     string `json:"site"`
	Gateway  string `json:"gateway"`
	Signing  string `json:"signing"`   // base64: Ed25519
	KEM      string `json:"kem"`       // base64: X25519
	Machine  string `json:"machine"`   // hex of 16 bytes
	Root     string `json:"root_hash"` // hex of 32 bytes
	Nonce    string `json:"nonce"`     // hex of 16 bytes
	IssuedAt string `json:"issued_at"`
}

// SignEnrolment makes the request of the gateway whose key signs.
func SignEnrolment(e *Enrolment, signer *crypto.Signer) ([]byte, error) {
	body, err := json.Marshal(wireEnrolment{
		Schema: enrolSchema, Site: e.Site, Gateway: e.Gateway,
		Signing: base64.StdEncoding.EncodeToString(signer.Verifier().Public()), KEM: base64.StdEncoding.EncodeToString(e.KEM.Public()),
		Machine: hex.EncodeToString(e.Machine[:]), Root: hex.EncodeToString(e.Root[:]), Nonce: hex.EncodeToString(e.Nonce[:]), IssuedAt: stamp(e.IssuedAt),
	})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	raw, err := Sign(EnrolType, body, signer)
	if err != nil {
		return nil, err
	}
	own, err := OpenEnrolment(raw)
	if err != nil {
		return nil, err
	}
	e.Hash, e.Signing = own.Hash, own.Signing
	return raw, nil
}

// OpenEnrolment reads a request and verifies that who made it has the key that
// it asks for.
func OpenEnrolment(raw []byte) (*Enrolment, error) {
	env, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if env.PayloadType != EnrolType {
		return nil, ErrType
	}
	body, err := env.body()
	if err != nil {
		return nil, ErrFormat
	}
	// Parsed before it is verified, because it names its own key. It is small and
	// strict, and nothing of it is used until the signature holds.
	var w wireEnrolment
	if err := decodeDocument(body, &w, enrolSchema, func() string { return w.Schema }); err != nil {
		return nil, err
	}
	e := &Enrolment{Site: w.Site, Gateway: w.Gateway, Hash: sha256.Sum256(body)}
	signing, err := base64.StdEncoding.Strict().DecodeString(w.Signing)
	if err != nil {
		return nil, content("signing is not base64")
	}
	if e.Signing, err = crypto.ParseVerifier(signing); err != nil {
		return nil, content("signing: %v", err)
	}
	kem, err := base64.StdEncoding.Strict().DecodeString(w.KEM)
	if err != nil {
		return nil, content("kem is not base64")
	}
	if e.KEM, err = crypto.ParseRecipient(crypto.KEMX25519, kem); err != nil {
		return nil, content("kem: %v", err)
	}
	if !validName(e.Site) || !validGateway(e.Gateway) || !unhex(e.Machine[:], w.Machine) || !unhex(e.Root[:], w.Root) || !unhex(e.Nonce[:], w.Nonce) {
		return nil, content("site, gateway, machine, root_hash or nonce has not its form")
	}
	if e.IssuedAt, err = instant(w.IssuedAt); err != nil {
		return nil, err
	}
	self, err := NewRole("enrol", 1, []*crypto.Verifier{e.Signing})
	if err != nil {
		return nil, err
	}
	if _, err := self.Verify(raw, EnrolType); err != nil {
		return nil, err
	}
	return e, nil
}

// Fingerprint is what both sides read to each other: 80 bits of the request's
// hash in five groups. A stranger would have to make some 2^80 requests to meet
// a given one.
func (e *Enrolment) Fingerprint() string {
	h := hex.EncodeToString(e.Hash[:10])
	return h[:4] + "-" + h[4:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:]
}
