package policy_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

// memories judges messages twice: by a worker that remembers all before, and by
// one that remembers nothing.
type memories struct {
	p    *policy.Policy
	warm policy.Scratch
}

func newMemories(t testing.TB) *memories {
	return &memories{p: compile(t, benchPolicy+"fields:\n"+declare("/note", "health"), policy.Guard{})}
}

func (m *memories) agree(t *testing.T, topic string, raw []byte) {
	t.Helper()
	r := m.p.Route(topic)
	if r == nil {
		return
	}
	var cold policy.Scratch
	in := policy.Input{Topic: topic, Payload: raw, Now: 1, Subject: 1}
	want, got := m.p.Judge(&cold, nil, r, in), m.p.Judge(&m.warm, nil, r, in)
	if got.Grade != want.Grade || got.Classes != want.Classes || got.Reason != want.Reason || !slices.Equal(got.Findings, want.Findings) {
		t.Fatalf("%.300q on %q: %s %v %q %+v, without memory %s %v %q %+v", raw, topic, got.Grade, got.Classes, got.Reason, got.Findings, want.Grade, want.Classes, want.Reason, want.Findings)
	}
	same := slices.EqualFunc(got.Decisions, want.Decisions, func(a, b policy.Decision) bool {
		fields := slices.Equal(a.Fields, b.Fields)
		a.Fields, b.Fields = nil, nil
		return fields && reflect.DeepEqual(a, b)
	})
	if !same {
		t.Fatalf("%.300q on %q: decided %+v, without memory %+v", raw, topic, got.Decisions, want.Decisions)
	}
}

// memoryTests are messages that tempt the memory: the same keys, or the same
// values, and not the same meaning.
var memoryTests = []string{
	benchMessage,
	`{"name":"Anna Berg"}`, `{"name":"Anna Berg","type":"person"}`, `{"type":"person","name":"Anna Berg"}`, `{"type":"pump","name":"Anna Berg"}`,
	`{"name":"password","value":"Vq7-hT2-kk9Z"}`, `{"name":"position","value":"Vq7-hT2-kk9Z"}`, `{"value":"Vq7-hT2-kk9Z","name":"password"}`,
	`{"n":"latitude","v":48.137154}`, `[{"n":"latitude","v":48.137154},{"n":"longitude","v":11.576124}]`, `{"n":"x","v":48.137154}`,
	`{"id":"1017","phone":{"id":"1017","value":"0170 1234567"}}`, `{"id":"phone","value":"0170 1234567"}`,
	`{"a":{"lat":52.520817,"lon":13.409413}}`, `{"a":{"lon":13.409413,"lat":52.520817}}`, `{"a":{"lat":52.520817,"lng":1}}`,
	`{"17":{"email":"a.b@example.org"},"18":{"email":"none"}}`, `{"a.b@example.org":1}`, `{"a.b@example.org":2,"x":{"a.b@example.org":1}}`,
	`{"firmware":"2.14.3"}`, `{"firmware":"192.0.2.7"}`, `{"firmware":"203.0.113.9"}`,
	`{"note":"door 4 opened"}`, `{"note":"door 4, 12 Main Street"}`, `{"note":"4111 1111 1111 1111"}`, `{"note":"call 0170 1234567"}`,
	`{"serial":"123456","imei":490154203237518}`, `{"serial":490154203237518}`, `{"count":490154203237518}`, `{"count":1}`,
	"{\"lat\":52.520817}\n{\"lon\":13.409413}", `{"heart_rate":{"value":61,"unit":"bpm"}}`, `{"heart_rate":{"unit":"bpm","value":61}}`, `{"rate":{"unit":"bpm","value":61}}`,
}

func TestMemoryChangesNoVerdict(t *testing.T) {
	m := newMemories(t)
	for range 2 {
		for _, a := range memoryTests {
			for _, b := range memoryTests {
				m.agree(t, "fleet/berlin/truck-17/up", []byte(a))
				m.agree(t, "home/phone/value", []byte(b))
			}
		}
	}
}

func FuzzMemory(f *testing.F) {
	for i, a := range memoryTests {
		f.Add("fleet/x/up", []byte(a), []byte(memoryTests[(i+1)%len(memoryTests)]))
	}
	m := newMemories(f)
	f.Fuzz(func(t *testing.T, topic string, a, b []byte) {
		for _, raw := range [][]byte{a, b, a, b} {
			m.agree(t, topic, raw)
		}
	})
}
