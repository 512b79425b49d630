package protect

import (
	"slices"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/configs"
)

// Every default of the taxonomy is an action that we have, with parameters that
// it takes, and can be prepared: under every profile.
func TestTaxonomyCompiles(t *testing.T) {
	for _, profile := range classify.Profiles() {
		p := newParties(t, "")
		p.policy = must(policy.BuiltIn(profile, policy.Vocabulary{Actions: Specs(), Recipients: p.audiences}, policy.Guard{}))
		protector, err := New(p.options())
		if err != nil {
			t.Fatalf("%s: %v", profile, err)
		}
		if err := protector.Usable(); err != nil {
			t.Errorf("%s: %v", profile, err)
		}
		for _, a := range p.policy.Actions() {
			whole := slices.Contains([]string{"pass", "encrypt", "seal", "block"}, a.Spec.Name)
			if whole != (protector.applies[a.ID] == nil) {
				t.Errorf("%s: %s is not prepared", profile, a)
			}
			if (a.Spec.Name == "encrypt" || a.Spec.Name == "seal") != (protector.sealers[a.ID] != nil) {
				t.Errorf("%s: %s: sealer %v", profile, a, protector.sealers[a.ID])
			}
		}
	}
}

func TestSamplePolicyCompiles(t *testing.T) {
	p := newParties(t, "")
	var err error
	p.policy, err = policy.Compile(configs.Policy, policy.Vocabulary{Actions: Specs()}, policy.Guard{Profile: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	o := p.options()
	o.Recipients = o.Recipients[:0]
	for i, a := range []string{"cloud-analytics", "city-police", "recovery"} {
		r := p.options().Recipients[0]
		r.Recipient = must(newRecipient())
		r.Audience, r.Recovery = a, i == 2
		o.Recipients = append(o.Recipients, r)
	}
	protector, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := protector.Usable(); err != nil {
		t.Error(err)
	}
}

// What a spec says of its action is what the action does.
func TestSpecs(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Specs() {
		if names[s.Name] || s.Doc == "" {
			t.Errorf("%s: twice, or without a doc", s.Name)
		}
		names[s.Name] = true
		for _, p := range s.Params {
			if p.Doc == "" || p.Kind == policy.ParamInt && !p.Optional && (p.Default < p.Min || p.Default > p.Max) {
				t.Errorf("%s: parameter %s lacks its doc, or its default is out of bounds", s.Name, p.Name)
			}
		}
		if s.CanLeave && (s.On&policy.OnField == 0 || s.Trailer) {
			t.Errorf("%s can't be left in a field's place", s.Name)
		}
	}
}

func TestSpecsRefuse(t *testing.T) {
	for _, c := range []struct{ classes, topic string }{
		{classes: "{location.precise: {generalize: {}}}"},
		{classes: "{location.precise: {generalize: {decimals: 2, grid: 1000}}}"},
		{classes: "{location.precise: {generalize: {bucket: 1h}}}"},
		{classes: "{contact.phone: {generalize: {decimals: 2}}}"},
		{classes: "{contact.phone: {mask: {keep: 5}}}"},
		{classes: "{contact.phone: {pseudonymize: {domain: a123456789-123456789-123456789-12}}}"},
		{classes: "{health: {encrypt: {leave: pseudonymize}}}"},
		{classes: "{health: {seal: {topic: 'a/{topic}/{topic}'}}}"},
		{classes: "{health: {seal: {topic: '$SYS/{topic}'}}}"},
		{classes: "{health: {seal: {topic: 'a/+'}}}"},
		{topic: "{truncate: [net.ip]}"},
	} {
		src := head + everything
		if c.classes != "" {
			src += "classes: " + c.classes + "\n"
		}
		if c.topic != "" {
			src += "topic_levels: " + c.topic + "\n"
		}
		if _, err := policy.Compile([]byte(src), policy.Vocabulary{Actions: Specs()}, lenient); err == nil {
			t.Errorf("accepted:\n%s", src)
		}
	}
}

// Below the floors of the guard a transform counts as none.
func TestFloors(t *testing.T) {
	for action, want := range map[string]bool{
		"{generalize: {decimals: 2}}": true, "{generalize: {decimals: 3}}": false,
		"{generalize: {grid: 1000}}": true, "{generalize: {grid: 999}}": false,
		"{truncate: {}}": true, "{truncate: {ipv4: 25}}": false, "{truncate: {ipv6: 49}}": false,
		"{truncate: {mac: 32}}": false, "{truncate: {text: 5}}": false, "{mask: {keep: 4}}": true,
	} {
		src := head + everything + "classes: {location.precise: " + action + "}\ngrades: {L3: pass}\n"
		_, err := policy.Compile([]byte(src), policy.Vocabulary{Actions: Specs()}, policy.Guard{})
		if (err == nil) != want {
			t.Errorf("%s: %v", action, err)
		}
	}
}
