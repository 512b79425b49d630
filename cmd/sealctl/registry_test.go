package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// TestTrustedRegistry: a registry that changes under a running opener is read
// again; one that is older or damaged is not taken, also after a restart.
func TestTrustedRegistry(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	operator, err := crypto.GenerateSigner()
	check(err)
	gateway, err := crypto.GenerateSigner()
	check(err)
	root := &signed.Root{Site: "plant", Version: 1, Epoch: 1, Roles: map[string]signed.RoleKeys{signed.RoleRegistry: {Threshold: 1, Keys: []*crypto.Verifier{operator.Verifier()}}}}
	raw, err := root.Marshal()
	check(err)
	check(os.WriteFile(filepath.Join(dir, rootFile), raw, 0o600))
	path, floor := filepath.Join(dir, registryFile), filepath.Join(dir, "floor")
	r := &signed.Registry{
		Chain:    signed.Chain{Site: "plant", Version: 1, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)},
		Gateways: []signed.Gateway{{Name: "gw-1", Keys: []signed.GatewayKey{{Status: signed.Active, Verifier: gateway.Verifier()}}}},
	}
	written := time.Now()
	write := func(raw []byte) {
		t.Helper()
		check(os.WriteFile(path, raw, 0o600))
		written = written.Add(time.Second)
		check(os.Chtimes(path, written, written))
	}
	sign := func() []byte {
		t.Helper()
		raw, err := signed.SignRegistry(r, operator)
		check(err)
		return raw
	}
	first := sign()
	write(first)
	var warnings int
	open := func() (*trustedRegistry, error) {
		return openTrustedRegistry(path, "", floor, func(error) { warnings++ })
	}
	trusted, err := open()
	check(err)
	known := func(want int) {
		t.Helper()
		trusted.looked = time.Time{}
		if got := trusted.verifiers("gw-1"); len(got) != want {
			t.Errorf("%d keys are believed, want %d", len(got), want)
		}
	}
	known(1)
	r.Version, r.Previous, r.Gateways[0].Keys[0].Status = 2, trusted.current.Hash, signed.Revoked
	second := sign()
	write(second)
	known(0)
	for _, bad := range [][]byte{first, second[:100]} {
		write(bad)
		known(0)
		known(0)
	}
	if warnings != 2 {
		t.Errorf("%d warnings about two files", warnings)
	}
	write(first)
	if _, err := open(); err == nil {
		t.Error("an older registry was taken after a restart")
	}
	write(second)
	_, err = open()
	check(err)
	check(os.WriteFile(floor, []byte("x"), 0o600))
	if _, err := open(); err == nil {
		t.Error("a damaged floor was taken for none")
	}
}
