package policy_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/configs"
	"github.com/sealgate/sealgate/crypto/protect"
)

func compile(t testing.TB, src string, g policy.Guard) *policy.Policy {
	t.Helper()
	p, err := policy.Compile([]byte(src), vocabulary(), g)
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	return p
}

func TestBuiltIn(t *testing.T) {
	for _, profile := range []string{"", "generic", "eu", "cn", "automotive"} {
		p, err := policy.BuiltIn(profile, vocabulary(), policy.Guard{})
		if err != nil {
			t.Fatalf("profile %q: %v", profile, err)
		}
		if got := p.Uplinks(); len(got) != 1 || got[0] != "default" {
			t.Errorf("uplinks %v", got)
		}
		r := p.Route("a/b")
		if r == nil || r.Name != "everything" || r.Mode != policy.Enforce {
			t.Errorf("route %+v", r)
		}
		if p.Route("$SYS/uptime") != nil {
			t.Error("a $ topic has a route")
		}
	}
}

// TestSample holds the annotated sample to what Compile accepts with the real
// actions and the uplinks and recipients that it names, and its table to a
// golden file.
func TestSample(t *testing.T) {
	v := policy.Vocabulary{Actions: protect.Specs()}
	v.Uplinks, v.Recipients = []string{"city", "plant"}, []string{"city-police", "cloud-analytics"}
	p, err := policy.Compile(configs.Policy, v, policy.Guard{})
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	var b strings.Builder
	e := p.Explain()
	if err := e.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/sample.explain", b.String())

	r := p.Routes()[0]
	if r.Lane != policy.LaneHigh || r.Offline != policy.OfflineQueue || len(r.Uplinks) != 2 {
		t.Errorf("route %+v", r)
	}
	if want := (policy.Record{Purpose: "traffic enforcement", LegalBasis: "6(1)e", Retention: 30 * 24 * time.Hour, Transfer: "none"}); r.Record != want {
		t.Errorf("record %+v", r.Record)
	}
	if p.Routes()[1].OrderBy != policy.OrderSparkplugNode {
		t.Error("the Sparkplug route keeps the order per topic")
	}
	if p.Version() != 7 || p.Profile() != "eu" || p.Hash() != sha256.Sum256(configs.Policy) {
		t.Errorf("version %d, profile %s", p.Version(), p.Profile())
	}
	for i, a := range p.Actions() {
		if a.ID != i {
			t.Errorf("action %s has the ID %d at index %d", a, a.ID, i)
		}
	}
	if err := p.SelfTest(); err != nil {
		t.Error(err)
	}
}
