package policy_test

import (
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

func compile(t *testing.T, src string, g policy.Guard) *policy.Policy {
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
