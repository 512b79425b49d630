package protect

import (
	"slices"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

// TestFieldActionsAreAll: the closed set of Counts is that of the transforms.
func TestFieldActionsAreAll(t *testing.T) {
	var want []string
	for _, s := range Specs() {
		if s.On&(policy.OnField|policy.OnTopicLevel) != 0 && s.Strength > policy.StrengthPass {
			want = append(want, s.Name)
		}
	}
	if got := FieldActions(); !slices.Equal(got, want) {
		t.Errorf("field actions %v, the transforms have %v", got, want)
	}
	if fieldActions[removed] != "remove" || fieldActions[encrypted] != "encrypt" {
		t.Error("the indexes are not of their names")
	}
}

func TestCounts(t *testing.T) {
	p := newParties(t, classes("{health: encrypt, id.vin: {mask: {}}, person.name: remove}")+fields("/h", "health", "/v", "id.vin", "/n", "person.name"))
	var m Meter
	o := p.options()
	o.Meter = &m
	p.protector = must(New(o))
	for _, c := range []struct {
		in   string
		want Counts
	}{
		{`{"a":1}`, Counts{}},
		{`{"v":"W12345"}`, Counts{1: 1}},
		{`{"v":"W12345","n":"Jane Doe","h":1}`, Counts{1: 1, removed: 1, encrypted: 1}},
		{`{"v":[1]}`, Counts{encrypted: 1}}, // a mask that does not fit: encrypted instead
		{`{"v":"W12345","h":`, Counts{}},    // sealed whole
	} {
		out := p.send("t/1", c.in)
		if out.Actions != c.want {
			t.Errorf("%s: %v, want %v (%s)", c.in, out.Actions, c.want, out.Outcome)
		}
	}
	if m.Keys.Leases.Load() != 3 || m.Keys.Keys.Load() == 0 || m.Keys.Wraps.Load() < m.Keys.Keys.Load() || m.NoKey.Load()+m.Lease.Load()+m.Seal.Load() != 0 {
		t.Errorf("meter: %d messages, %d keys, %d wraps, failures %d %d %d", m.Keys.Leases.Load(), m.Keys.Keys.Load(), m.Keys.Wraps.Load(), m.NoKey.Load(), m.Lease.Load(), m.Seal.Load())
	}
	p.protector = Closed(p.policy, nil, &m)
	if out := p.send("t/1", `{"h":1}`); out.Outcome != OutcomeHeld || m.NoKey.Load() != 1 {
		t.Errorf("without a key: %s, counted %d", out.Outcome, m.NoKey.Load())
	}
}
