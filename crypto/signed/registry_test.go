package signed

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func newRegistryFor(t testing.TB, gateways ...string) (*Registry, map[string]*crypto.Signer) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &Registry{Chain: Chain{Site: "plant-1", Version: 1, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}}
	keys := map[string]*crypto.Signer{}
	for _, name := range gateways {
		s, err := crypto.GenerateSigner()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = s
		r.Gateways = append(r.Gateways, Gateway{Name: name, Keys: []GatewayKey{{Active, s.Verifier()}}})
	}
	return r, keys
}

func TestRegistry(t *testing.T) {
	operator, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	role, err := NewRole(RoleRegistry, 1, []*crypto.Verifier{operator.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	r, keys := newRegistryFor(t, "gw-1", "gw-2", "gw-3")
	next, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	r.Gateways[1].Keys = []GatewayKey{{Retiring, keys["gw-2"].Verifier()}, {Active, next.Verifier()}}
	r.Gateways[2].Keys[0].Status = Revoked
	raw, err := SignRegistry(r, operator)
	if err != nil {
		t.Fatal(err)
	}
	expect := Expect{Site: "plant-1", Now: r.NotBefore}
	got, err := OpenRegistry(raw, role, expect)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]*crypto.Signer{"gw-1": {keys["gw-1"]}, "gw-2": {next, keys["gw-2"]}, "gw-3": {}, "gw-4": {}, "": {}} {
		var ids, wanted []string
		for _, v := range got.Verifiers(name) {
			ids = append(ids, v.KeyID().String())
		}
		for _, s := range want {
			wanted = append(wanted, s.KeyID().String())
		}
		if !slices.Equal(ids, wanted) {
			t.Errorf("%s: %v, want %v", name, ids, wanted)
		}
	}

	later := *r
	later.Version, later.Previous = 2, got.Hash
	second, err := SignRegistry(&later, operator)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		raw    []byte
		expect Expect
		want   error
	}{
		"the next":            {second, Expect{Site: "plant-1", Floor: 1, Hash: got.Hash, Now: r.NotBefore}, nil},
		"the same":            {raw, Expect{Site: "plant-1", Floor: 1, Hash: got.Hash, Now: r.NotBefore}, nil},
		"another at the same": {raw, Expect{Site: "plant-1", Floor: 1, Hash: [32]byte{1}, Now: r.NotBefore}, ErrRollback},
		"older":               {raw, Expect{Site: "plant-1", Floor: 2, Hash: got.Hash, Now: r.NotBefore}, ErrRollback},
		"of another past":     {second, Expect{Site: "plant-1", Floor: 1, Hash: [32]byte{1}, Now: r.NotBefore}, ErrRollback},
		"another site":        {raw, Expect{Site: "plant-2", Floor: 0, Hash: [32]byte{}, Now: r.NotBefore}, ErrTarget},
		"early":               {raw, Expect{Site: "plant-1", Floor: 0, Hash: [32]byte{}, Now: r.NotBefore.Add(-time.Second)}, ErrNotYet},
		"expired":             {raw, Expect{Site: "plant-1", Floor: 0, Hash: [32]byte{}, Now: r.NotAfter}, ErrExpired},
		"changed":             {[]byte(strings.Replace(string(raw), `"sig":"`, `"sig":"A`, 1)), expect, ErrThreshold},
		"a bundle":            {mustSign(t, BundleType, operator), expect, ErrType},
	} {
		if _, err := OpenRegistry(tt.raw, role, tt.expect); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	other, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = SignRegistry(r, other); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRegistry(raw, role, expect); !errors.Is(err, ErrThreshold) {
		t.Errorf("signed by a stranger: %v", err)
	}
}

func mustSign(t *testing.T, kind string, s *crypto.Signer) []byte {
	t.Helper()
	raw, err := Sign(kind, []byte(`{}`), s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRegistryRefuses(t *testing.T) {
	for name, change := range map[string]func(*Registry, map[string]*crypto.Signer){
		"names twice":      func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[1].Name = "gw-1" },
		"names descending": func(r *Registry, _ map[string]*crypto.Signer) { slices.Reverse(r.Gateways) },
		"no name":          func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[0].Name = "gw 1" },
		"no key":           func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[0].Keys = nil },
		"a key of two":     func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[1].Keys = r.Gateways[0].Keys },
		"pending":          func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[0].Keys[0].Status = Pending },
		"no status":        func(r *Registry, _ map[string]*crypto.Signer) { r.Gateways[0].Keys[0].Status = "" },
		"two active": func(r *Registry, k map[string]*crypto.Signer) {
			r.Gateways[0].Keys = append(r.Gateways[0].Keys, GatewayKey{Active, k["spare"].Verifier()})
		},
		"version 0":               func(r *Registry, _ map[string]*crypto.Signer) { r.Version = 0 },
		"version 2 without chain": func(r *Registry, _ map[string]*crypto.Signer) { r.Version = 2 },
		"validity":                func(r *Registry, _ map[string]*crypto.Signer) { r.NotAfter = r.NotBefore },
		"site":                    func(r *Registry, _ map[string]*crypto.Signer) { r.Site = "Plant" },
	} {
		r, keys := newRegistryFor(t, "gw-1", "gw-2")
		_, spare := newRegistryFor(t, "spare")
		keys["spare"] = spare["spare"]
		change(r, keys)
		if _, err := SignRegistry(r, keys["gw-1"]); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRegistryOfManyGateways: a fleet fits.
func TestRegistryOfManyGateways(t *testing.T) {
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("gateway-%05d.example.plant", i)
	}
	r, keys := newRegistryFor(t, names...)
	raw, err := SignRegistry(r, keys[names[0]])
	if err != nil {
		t.Fatal(err)
	}
	role, err := NewRole(RoleRegistry, 1, []*crypto.Verifier{keys[names[0]].Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenRegistry(raw, role, Expect{Site: "plant-1", Now: r.NotBefore})
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Verifiers(names[1234]); len(v) != 1 || v[0].KeyID() != keys[names[1234]].KeyID() {
		t.Errorf("found %v", v)
	}
}

func newEnrolment(t testing.TB) (*Enrolment, *crypto.Signer) {
	t.Helper()
	s, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		t.Fatal(err)
	}
	return &Enrolment{Site: "plant-1", Gateway: "gw-1", KEM: k.Recipient(), Nonce: [16]byte{7}, IssuedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, s
}

// TestEnrolment: a request proves that its maker has the key, and its
// fingerprint covers every byte.
func TestEnrolment(t *testing.T) {
	e, s := newEnrolment(t)
	raw, err := SignEnrolment(e, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenEnrolment(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got.Fingerprint() != e.Fingerprint() || len(got.Fingerprint()) != 24 || got.Gateway != "gw-1" || got.Signing.KeyID() != s.KeyID() || got.KEM.RID() != e.KEM.RID() || got.Nonce != e.Nonce {
		t.Errorf("got %+v", got)
	}
	other, _ := newEnrolment(t)
	other.Nonce[0]++
	if _, err := SignEnrolment(other, s); err != nil || other.Fingerprint() == e.Fingerprint() {
		t.Errorf("two requests have the fingerprint %s (%v)", e.Fingerprint(), err)
	}

	// Somebody else's key in a request of one's own, and no signature at all.
	var env map[string]any
	if err := json.Unmarshal(raw, &env); err != nil {
		t.Fatal(err)
	}
	_, thief := newEnrolment(t)
	role, err := NewRole("any", 1, []*crypto.Verifier{s.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	body, err := role.Verify(raw, EnrolType)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := Sign(EnrolType, body, thief)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEnrolment(stolen); !errors.Is(err, ErrThreshold) {
		t.Errorf("a request for somebody else's key: %v", err)
	}
	env["signatures"] = []any{}
	bare, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEnrolment(bare); !errors.Is(err, ErrRefused) {
		t.Errorf("an unsigned request: %v", err)
	}
}

func FuzzOpenEnrolment(f *testing.F) {
	e, s := newEnrolment(f)
	raw, err := SignEnrolment(e, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"payloadType":"application/vnd.sealgate.enrol.v1+json","payload":"e30=","signatures":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := OpenEnrolment(raw); err == nil && (e.Signing == nil || e.KEM == nil || e.Gateway == "") {
			t.Errorf("taken without a key: %+v", e)
		} else if err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("refused without a reason: %v", err)
		}
	})
}

func FuzzParseRegistry(f *testing.F) {
	r, keys := newRegistryFor(f, "gw-1", "gw-2")
	raw, err := SignRegistry(r, keys["gw-1"])
	if err != nil {
		f.Fatal(err)
	}
	role, err := NewRole("any", 1, []*crypto.Verifier{keys["gw-1"].Verifier()})
	if err != nil {
		f.Fatal(err)
	}
	body, err := role.Verify(raw, RegistryType)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRegistry(body)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Errorf("refused without a reason: %v", err)
			}
			return
		}
		for _, g := range r.Gateways {
			if len(r.Verifiers(g.Name)) > len(g.Keys) {
				t.Errorf("%s has more keys than it has", g.Name)
			}
		}
	})
}

func TestDomain(t *testing.T) {
	operator, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	role, err := NewRole(RoleRegistry, 1, []*crypto.Verifier{operator.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	var gateways []*crypto.RecipientKey
	for range 2 {
		k, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
		if err != nil {
			t.Fatal(err)
		}
		gateways = append(gateways, k)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := &Domain{Site: "plant-1", Name: "traffic"}
	to := []*crypto.Recipient{gateways[0].Recipient()} // the second gateway comes later
	for version := range uint32(3) {
		key, err := crypto.NewSecretKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Add(version+1, at.Add(time.Duration(version)*time.Hour), key, to); err != nil {
			t.Fatal(err)
		}
		to = []*crypto.Recipient{gateways[0].Recipient(), gateways[1].Recipient()}
	}
	raw, err := SignDomain(d, operator)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenDomain(raw, role)
	if err != nil {
		t.Fatal(err)
	}
	var keys []crypto.PseudonymKey
	for _, g := range gateways {
		k, err := got.Unwrap(g, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if k.Version != 3 || k.Before == nil || k.Before.Version != 2 || k.Before.Before != nil || !k.Both.Equal(at.Add(2*time.Hour+time.Minute)) {
			t.Errorf("got %d before %+v until %s", k.Version, k.Before, k.Both)
		}
		keys = append(keys, k)
	}
	if keys[0].Key.ID() != keys[1].Key.ID() || keys[0].Before.Key.ID() != keys[1].Before.Key.ID() || keys[0].Key.ID() == keys[0].Before.Key.ID() {
		t.Error("the gateways have other keys")
	}
	got.Name = "another"
	if _, err := got.Unwrap(gateways[0], 0); !errors.Is(err, ErrContent) {
		t.Errorf("a wrap moved to another domain: %v", err)
	}
	stranger, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Unwrap(stranger, 0); !errors.Is(err, ErrContent) {
		t.Errorf("a stranger unwraps: %v", err)
	}
	if raw, err = SignDomain(d, gatewaySigner(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDomain(raw, role); !errors.Is(err, ErrThreshold) {
		t.Errorf("signed by a stranger: %v", err)
	}
	d.Keys[1].Version = 1
	if _, err := SignDomain(d, operator); !errors.Is(err, ErrContent) {
		t.Errorf("one version twice: %v", err)
	}
}

func gatewaySigner(t *testing.T) *crypto.Signer {
	t.Helper()
	s, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParseDomain(f *testing.F) {
	f.Add([]byte(`{"schema":"sealgate-domain/v1","site":"p","domain":"d","keys":[{"version":1,"created":"2026-03-01T12:00:00Z","wraps":[{"rid":"00000000000000000000000000000000","key":"AAAA"}]}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if d, err := parseDomain(body); err == nil && len(d.Keys) == 0 {
			t.Error("a domain without a key was taken")
		} else if err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("refused without a reason: %v", err)
		}
	})
}
