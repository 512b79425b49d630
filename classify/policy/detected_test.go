package policy_test

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// TestDetected judges messages in which the real detectors find something.
func TestDetected(t *testing.T) {
	p, err := policy.BuiltIn("generic", vocabulary(), policy.Guard{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ topic, payload, want string }{
		{"a", `{"lat":52.520817,"lon":13.409413}`, "pass L3>L2 /lat=generalize(decimals: 2) /lon=generalize(decimals: 2)"},
		{"a", `{"password":"Vq7-hT2-kk9Z"}`, "pass L4>L1 /password=encrypt"},
		{"a", `{"embedding":[0.113,-0.42,0.031,0.77,0.113,-0.42,0.031,0.77,0.113,-0.42,0.031,0.77,0.113,-0.42,0.031,0.77]}`, "pass L4>L1 /embedding=encrypt"},
		{"a", `{"ip":"192.168.1.10"}`, "pass L1>L1"},
		{"a", `{"ip":"8.8.4.4"}`, "pass L2>L2 /ip=truncate"},
		{"a", `{"70:b3:d5:7e:d0:04":{"rssi":-70}}`, "pass L1>L1"},
		{"a", `{"email":"somebody@example.org"}`, "pass L2>L2 /email=pseudonymize"},
		{"a", `{"msg":"mail from somebody@example.org came"}`, "pass L2>L1 /msg=encrypt"},
		{"a", `mail from somebody@example.org came`, "seal (unclassified) L2>L1 =encrypt"},
		{"a", `{"somebody@example.org":1}`, "seal (in_key) L2>L2"},
		{"users/somebody@example.org", `{"on":1}`, "pass L2>L2 topic:1=pseudonymize"},
		{"a", "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9", "seal L3>L3"},
	} {
		v := judgeWith(t, p, c.topic, c.payload)
		if got := plan(&v, &v.Decisions[0]); got != c.want {
			t.Errorf("%s %s:\n got  %s\n want %s", c.topic, c.payload, got, c.want)
		}
	}
}

// TestConfidence holds that a finding nobody is sure of seals where it would
// block, unless it is a credential or the guard says so.
func TestConfidence(t *testing.T) {
	src := head + "grades: {L3: block}\n" + everything + "classes: {health: block, credential.secret: block}\nfields:\n" +
		declare("/h", "health") + declare("/c", "credential.secret") + declare("/g", "location.precise") + declare("/p", "person.name")
	src = strings.Replace(src, "classes: {", "classes: {location.precise: {generalize: {decimals: 3}}, ", 1)
	guard := policy.Guard{Minimum: map[classify.Grade]string{classify.L3: "pass"}}
	p := compile(t, src, guard)
	for _, c := range []struct {
		payload       string
		sure, unsure  string
		confidentOnly int // index of a finding that stays sure; -1: none
	}{
		{`{"h":1}`, "block", "seal", -1},
		{`{"c":"x"}`, "block", "block", -1},
		{`{"g":1.5}`, "block (grade)", "seal (grade)", -1},
		{`{"g":1.5,"p":"a b"}`, "block (grade)", "seal (grade)", 1},
	} {
		var s policy.Scratch
		v := p.Judge(&s, classify.NewState(), p.Route("t"), policy.Input{Topic: "t", Payload: []byte(c.payload)})
		if got := plan(&v, &v.Decisions[0]); !strings.HasPrefix(got, c.sure+" ") {
			t.Errorf("%s, sure: %s", c.payload, got)
		}
		for i := range v.Findings {
			if i != c.confidentOnly {
				v.Findings[i].Confidence = 50
			}
		}
		policy.Redecide(p, &s, &v)
		if got := plan(&v, &v.Decisions[0]); !strings.HasPrefix(got, c.unsure+" ") {
			t.Errorf("%s, unsure: %s", c.payload, got)
		}
	}
}

// TestPanic holds that a message that can't be judged is sealed.
func TestPanic(t *testing.T) {
	p := compile(t, head+"routes: [{name: all, topics: ['#'], unreadable: block}, {name: sys, topics: ['$SYS/#']}]\n", policy.Guard{})
	policy.Break(p)
	for topic, want := range map[string]policy.MessageAction{"a": policy.MessageBlock, "$SYS/a": policy.MessageSeal} {
		var s policy.Scratch
		v := p.Judge(&s, classify.NewState(), p.Route(topic), policy.Input{Topic: topic, Payload: []byte(`{"a":1}`)})
		if len(v.Decisions) != 1 || v.Reason != policy.ReasonPanic {
			t.Fatalf("verdict %+v", v)
		}
		if d := v.Decisions[0]; d.Message != want || d.Reason != policy.ReasonPanic || d.Seal == nil || d.Grade != classify.Ungraded {
			t.Errorf("decision %+v", d)
		}
	}
	var s policy.Scratch
	if v := p.Judge(&s, nil, p.Route("$other"), policy.Input{Topic: "$other"}); v.Reason != policy.ReasonNoRoute || len(v.Decisions) != 0 {
		t.Errorf("without a route: %+v", v)
	}
}
