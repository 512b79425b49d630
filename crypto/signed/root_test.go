package signed

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

func TestRoot(t *testing.T) {
	a, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	b, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	root := &Root{Site: "plant-7", Roles: map[string]RoleKeys{
		RoleRecipients: {Threshold: 2, Keys: []*crypto.Verifier{a.Verifier(), b.Verifier()}},
	}}
	raw, err := root.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseRoot(raw)
	if err != nil {
		t.Fatal(err)
	}
	role, err := back.Role(RoleRecipients)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		signers []*crypto.Signer
		want    error
	}{
		{"both", []*crypto.Signer{a, b}, nil},
		{"one", []*crypto.Signer{a}, ErrThreshold},
	} {
		doc, err := Sign("application/test", []byte("{}"), tc.signers...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := role.Verify(doc, "application/test"); !errors.Is(err, tc.want) {
			t.Errorf("signed by %s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if _, err := back.Role("policy"); err == nil {
		t.Error("a role that is not there was found")
	}
	for _, bad := range []string{
		"", "{}", strings.Replace(string(raw), rootSchema, "sealgate-root/v2", 1),
		strings.Replace(string(raw), `"threshold": 2`, `"threshold": 3`, 1),
		strings.Replace(string(raw), `"threshold": 2`, `"threshold": 0`, 1),
		strings.Replace(string(raw), `"site"`, `"Site"`, 1),
		strings.Replace(string(raw), "plant-7", "../x", 1),
		string(raw) + "{}",
	} {
		if _, err := ParseRoot([]byte(bad)); !errors.Is(err, ErrRefused) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add([]byte(`{"schema":"sealgate-root/v1","site":"s","roles":[{"name":"recipients","threshold":1,"keys":["AAAA"]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseRoot(raw)
		if err != nil {
			return
		}
		if _, err := r.Marshal(); err != nil {
			t.Errorf("what was read can't be written: %v", err)
		}
	})
}
