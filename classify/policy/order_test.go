package policy_test

import (
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

func TestOrderKey(t *testing.T) {
	for _, tc := range []struct {
		by          policy.OrderBy
		topic, want string
	}{
		{policy.OrderTopic, "spBv1.0/g/DDATA/n/d", "spBv1.0/g/DDATA/n/d"},
		{policy.OrderSparkplugNode, "spBv1.0/g/DDATA/n/d", "g/n"},
		{policy.OrderSparkplugNode, "spBv1.0/g/NBIRTH/n", "g/n"},
		{policy.OrderSparkplugNode, "spBv1.0/STATE/host", "spBv1.0/STATE/host"},
	} {
		r := policy.Route{OrderBy: tc.by}
		if got := r.OrderKey(tc.topic); got != tc.want {
			t.Errorf("order %d, %s: got %q, want %q", tc.by, tc.topic, got, tc.want)
		}
	}
}

func TestFilter(t *testing.T) {
	f, err := policy.ParseFilter("a/+/#")
	if err != nil {
		t.Fatal(err)
	}
	if !f.Match("a/b") || !f.Match("a/b/c/d") || f.Match("b/a") || f.Match("a") {
		t.Error("filter a/+/# matches wrongly")
	}
	if _, err := policy.ParseFilter("a/#/b"); err == nil {
		t.Error("a/#/b was accepted")
	}
}
