package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// head begins every test document; fields declared under it make findings that
// depend on no detector.
const head = "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\n"

// judge compiles a document and judges one message on topic "t/1".
func judge(t *testing.T, src, payload string) (*policy.Policy, policy.Verdict) {
	t.Helper()
	p := compile(t, head+src, policy.Guard{})
	return p, judgeWith(t, p, "t/1", payload)
}

func judgeWith(t *testing.T, p *policy.Policy, topic, payload string) policy.Verdict {
	t.Helper()
	r := p.Route(topic)
	if r == nil {
		t.Fatalf("no route for %s", topic)
	}
	var s policy.Scratch
	return p.Judge(&s, classify.NewState(), r, policy.Input{Topic: topic, Payload: []byte(payload)})
}

// plan writes a decision on one line: the message's action and reason, then
// each field's.
func plan(v *policy.Verdict, d *policy.Decision) string {
	var b strings.Builder
	b.WriteString(d.Message.String())
	if d.Reason != "" {
		fmt.Fprintf(&b, " (%s)", d.Reason)
	}
	fmt.Fprintf(&b, " %s>%s", d.Grade, d.Residual)
	for _, f := range d.Fields {
		fmt.Fprintf(&b, " %s", v.Document.AppendPath(nil, f.Field))
		if f.End != 0 {
			fmt.Fprintf(&b, "[%d:%d]", f.Start, f.End)
		}
		fmt.Fprintf(&b, "=%s", f.Action)
	}
	return b.String()
}

const everything = "routes: [{name: all, topics: ['#']}]\n"

func declare(path, class string) string {
	return fmt.Sprintf("  - {topic: '#', path: '%s', class: %s}\n", path, class)
}

func TestJudge(t *testing.T) {
	for _, c := range []struct{ name, src, payload, want string }{
		// What is not found.
		{"number", everything, `{"t":21.5}`, "pass L1>L1"},
		{"text is encrypted", everything, `{"s":"hello there"}`, "pass L1>L1 /s=encrypt"},
		{"words pass", everything, `{"s":"on","t":"MODE_2","u":"","v":null,"w":true,"x":"2026-11-23T14:05:06Z"}`, "pass L1>L1"},
		{"strict", "unclassified: strict\n" + everything, `{"s":1,"t":{"u":true}}`, "pass L1>L1 /s=encrypt /t/u=encrypt"},
		{"strict and declared", "unclassified: strict\n" + everything + "fields: [{topic: '#', path: /s, grade: L1}]\n", `{"s":1,"t":2}`, "pass L1>L1 /t=encrypt"},
		{"balanced and declared", everything + "fields: [{topic: '#', path: /s/*, grade: L1}]\n", `{"s":["a b","c d"],"t":"a b"}`, "pass L1>L1 /t=encrypt"},
		{"a token in an array", everything, `["hello there"]`, "pass L1>L1 /0=encrypt"},
		{"JSON lines", everything, "{\"a\":1}\n{\"s\":\"hello there\"}\n", "pass L1>L1 /1/s=encrypt"},
		{"text", everything, `hello there`, "seal (unclassified) L1>L1 =encrypt"},
		{"word", everything, `on`, "pass L1>L1"},
		{"scalar", everything, `"hello there"`, "seal (unclassified) L1>L1 =encrypt"},

		// What can't be judged.
		{"unreadable", everything, `{"a":`, "seal (malformed) ungraded>ungraded"},
		{"unreadable, blocked", "unreadable: block\n" + everything, `{"a":`, "block (malformed) ungraded>ungraded"},
		{"too many declared fields", everything + "fields:\n" + declare("/x/*", "id.vin"), `{"x":[` + strings.Repeat("1,", 1024) + `1]}`, "seal (too_many) ungraded>ungraded"},
		{"an encoded plate", everything, `{"plate":"q83vEjRWeJCrze8SNFZ4kA==","email":"a@example.org"}`, "seal (unresolved) ungraded>ungraded /plate=encrypt /email=pseudonymize"},
		{"an encoded plate, blocked", "unreadable: block\n" + everything, `{"plate":"q83vEjRWeJCrze8SNFZ4kA=="}`, "block (unresolved) ungraded>ungraded /plate=encrypt"},
		{"an encoded plate, declared", everything + "fields:\n" + declare("/plate", "id.vehicle_plate"), `{"plate":"q83vEjRWeJCrze8SNFZ4kA=="}`, "pass L3>L2 /plate=pseudonymize"},
		{"an encoded plate, declared harmless", everything + "fields: [{topic: '#', path: /plate, grade: L1}]\n", `{"plate":"q83vEjRWeJCrze8SNFZ4kA=="}`, "pass L1>L1"},
		{"reserved", everything, `{"_sg":1}`, "seal (reserved_in) L1>L1"},
		{"empty", everything, ``, "pass L1>L1"},

		// Actions by class.
		{"taxonomy", everything + "fields:\n" + declare("/h", "health"), `{"h":21.5}`, "pass L4>L1 /h=encrypt"},
		{"policy", "classes: {health: remove}\n" + everything + "fields:\n" + declare("/h", "health"), `{"h":1}`, "pass L4>L1 /h=remove"},
		{"route before policy", "classes: {health: remove}\nroutes: [{name: all, topics: ['#'], classes: {health: seal}}]\nfields:\n" + declare("/h", "health"), `{"h":1}`, "seal L4>L4"},
		{"uplink before route", "routes: [{name: all, topics: ['#'], classes: {health: seal}, to: {city: {classes: {health: block}}}}]\nfields:\n" + declare("/h", "health"), `{"h":1}`, "block L4>L4"},
		{"by grade", everything + "fields: [{topic: '#', path: /h, class: location.coarse, grade: L5}]\n", `{"h":1}`, "block (grade) L5>L5"},
		{"passes below", everything + "fields:\n" + declare("/h", "location.coarse"), `{"h":1}`, "pass L2>L2"},
		{"token", everything + "fields:\n" + declare("/h", "id.vehicle_plate"), `{"h":"B-XY 12"}`, "pass L3>L2 /h=pseudonymize"},
		{"encrypt, leaving a mask", "classes: {health: {encrypt: {leave: mask}}}\n" + everything + "fields:\n" + declare("/h", "health"), `{"h":"high"}`, "pass L4>L2 /h=encrypt(leave: mask)"},
		{"coarse", everything + "fields:\n" + declare("/p", "location.precise"), `{"p":52.51234}`, "pass L3>L2 /p=generalize(decimals: 2)"},
		{"not coarse enough", "classes: {location.precise: {generalize: {decimals: 3}}}\n" + everything + "fields:\n" + declare("/p", "location.precise"), `{"p":52.51234}`, "seal (grade) L3>L3 /p=generalize(decimals: 3)"},
		{"grade passes by policy", "grades: {L4: {seal: {encoding: json}}}\nclasses: {health: pass}\n" + everything + "fields:\n" + declare("/h", "health"), `{"h":1}`, "seal (grade) L4>L4"},

		{"a generalized number of no coarse class", "class_grades: {id.vin: L3}\nclasses: {id.vin: {generalize: {band: 1}}}\n" + everything + "fields:\n" + declare("/v", "id.vin"), `{"v":7}`, "seal (grade) L3>L3 /v=generalize(band: 1)"},

		// Containers.
		{"container", everything + "fields:\n" + declare("/f", "biometric.embedding"), `{"f":[1,2,"a b"],"s":"a b"}`, "pass L4>L1 /f=encrypt /s=encrypt"},
		{"in a container", everything + "fields:\n" + declare("/f", "health") + declare("/f/n", "contact.email"), `{"f":{"n":"x y","m":[1]}}`, "pass L4>L1 /f=encrypt"},
		{"stronger in a container", everything + "fields:\n" + declare("/f", "id.vehicle_plate") + declare("/f/n", "health"), `{"f":{"n":"x y"},"g":1}`, "pass L4>L1 /f=encrypt"},
		{"passing container", everything + "fields:\n" + declare("/f", "location.coarse") + declare("/f/n", "health"), `{"f":{"n":"x y","m":"a b"}}`, "pass L4>L2 /f/n=encrypt"},
		{"root", everything + "fields:\n" + declare("", "health"), `{"n":1}`, "seal (unfit) L4>L1 =encrypt"},

		// Topic levels.
		{"topic level", everything + "fields:\n" + declare("topic:1", "person.name"), `1`, "pass L2>L2 topic:1=pseudonymize"},
		{"encrypt there is a token, and the guard seals", everything + "fields:\n" + declare("topic:1", "health"), `{"t":1}`, "seal (guard) L4>L2 topic:1=pseudonymize"},
		{"token in the topic of an empty message", everything + "fields:\n" + declare("topic:1", "health"), ``, "pass L4>L2 topic:1=pseudonymize"},
		{"seal hides the level too", "classes: {person.name: seal}\n" + everything + "fields:\n" + declare("topic:1", "person.name"), `1`, "seal L2>L2 topic:1=pseudonymize"},
		{"said otherwise", "topic_levels: {pass: [location.coarse], remove: [health]}\n" + everything + "fields:\n" + declare("topic:0", "location.coarse") + declare("topic:1", "health"), `1`, "pass L4>L2 topic:1=remove"},
		{"guarded level", "topic_levels: {pass: [location.coarse]}\ngrades: {L3: pass}\n" + everything + "fields: [{topic: '#', path: 'topic:1', class: location.coarse, grade: L3}]\n", `1`, "pass (guard) L3>L3 topic:1=pseudonymize"},
		{"a level seen by its grade", "classes: {contact.address: pass}\n" + everything + "fields:\n" + declare("topic:1", "contact.address"), `1`, "seal (grade) L3>L3 topic:1=pseudonymize"},

		// The guard.
		{"declared up to L5", everything + "fields: [{topic: '#', path: /h, class: health, grade: L5}]\n", `{"h":1}`, "block (grade) L5>L5"},
		{"L5 with an action of its own", everything + "classes: {health: encrypt}\nfields: [{topic: '#', path: /h, class: health, grade: L5}]\n", `{"h":1}`, "block (guard) L5>L1 /h=encrypt"},
		{"graded down", "class_grades: {health: L1}\n" + everything + "fields:\n" + declare("/h", "health"), `{"h":1}`, "pass L1>L1 /h=encrypt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, v := judge(t, c.src, c.payload)
			got := plan(&v, &v.Decisions[0])
			if strings.Contains(got, "too_many") {
				got, _, _ = strings.Cut(got, " /x/0")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(c.want, "(guard)") && !v.Decisions[0].GuardRaise {
				t.Error("the guard's correction is not noted")
			}
		})
	}
}

// TestUnresolvedAllowed: a route that may send what can't be read may send a
// message with one value that can't be, as far as everything else in it permits.
func TestUnresolvedAllowed(t *testing.T) {
	p := compile(t, head+"unclassified: pass\nroutes: [{name: all, topics: ['#'], unreadable: allow, reason: our own cipher}]\n", policy.Guard{AllowUnreadable: true, AllowUnclass: true})
	for raw, want := range map[string]string{
		`{"plate":"q83vEjRWeJCrze8SNFZ4kA==","email":"a@example.org"}`:   "pass L2>L2 /email=pseudonymize",
		`{"plate":"q83vEjRWeJCrze8SNFZ4kA==","religion":"Presbyterian"}`: "seal L4>L4",
		`{"plate":"q83vEjRWeJCrze8SNFZ4kA==","_sg":1}`:                   "seal (reserved_in) L1>L1",
	} {
		v := judgeWith(t, p, "t/1", raw)
		if got := plan(&v, &v.Decisions[0]); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

// TestGuard judges under policies that are looser than the guard without saying
// so: what falls short is raised, whatever the policy's own grades are.
func TestGuard(t *testing.T) {
	lax := everything + "classes: {id.vehicle_plate: pass}\n"
	for _, c := range []struct {
		name, src string
		guard     policy.Guard
		payload   string
		want      string
		raised    bool
	}{
		{"the guard's profile is stricter", "schema: sealgate/policy/v1\nversion: 1\nprofile: cn\n" + everything + "fields:\n" + declare("/p", "id.vehicle_plate"),
			policy.Guard{Profile: "generic"}, `{"p":"B-XY 12"}`, "pass L2>L2 /p=pseudonymize", false},
		{"a minimum for what passes by default", head + everything + "fields:\n" + declare("/p", "location.coarse"),
			policy.Guard{Minimum: map[classify.Grade]string{classify.L2: "transform"}}, `{"p":52.5}`, "seal (guard) L2>L2", true},
		{"a minimum above the default action", head + everything + "fields:\n" + declare("/p", "id.vehicle_plate"),
			policy.Guard{Minimum: map[classify.Grade]string{classify.L3: "encrypt"}}, `{"p":"B-XY 12"}`, "seal (guard) L3>L2 /p=pseudonymize", true},
		{"a minimum of block", head + everything + "fields:\n" + declare("/p", "health"),
			policy.Guard{Minimum: map[classify.Grade]string{classify.L4: "block"}}, `{"p":1}`, "block (guard) L4>L1 /p=encrypt", true},
		{"a lowered minimum", head + "grades: {L3: pass}\n" + lax + "fields:\n" + declare("/p", "id.vehicle_plate"),
			policy.Guard{Minimum: map[classify.Grade]string{classify.L3: "pass"}}, `{"p":"B-XY 12"}`, "pass L3>L3", false},
		{"a declaration hides nothing", head + "class_grades: {credential.secret: L1}\n" + everything + "fields:\n" + declare("/password", "id.device"),
			policy.Guard{}, `{"password":"Vq7-hT2-kk9Z"}`, "seal (guard) L1>L1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := policy.Compile([]byte(c.src), vocabulary(), c.guard)
			if err != nil {
				t.Fatal(err)
			}
			v := judgeWith(t, p, "t/1", c.payload)
			d := &v.Decisions[0]
			if got := plan(&v, d); got != c.want || d.GuardRaise != c.raised {
				t.Errorf("got  %s, raised %v\nwant %s, raised %v", got, d.GuardRaise, c.want, c.raised)
			}
		})
	}
}

// TestObserve holds that an observed part has the plan that enforcing it would
// have, and is not refused for the guard's sake.
func TestObserve(t *testing.T) {
	src := head + "classes: {health: pass}\ngrades: {L4: pass}\nroutes: [{name: all, topics: ['#'], to: {city: {mode: observe}, plant: {mode: observe}}}]\nfields:\n" + declare("/h", "health")
	if _, err := policy.Compile([]byte(src), vocabulary(), policy.Guard{}); err == nil {
		t.Error("observe mode compiles where the guard does not permit it")
	}
	for _, c := range []struct {
		guard policy.Guard
		mode  policy.Mode
	}{
		{policy.Guard{Observe: true}, policy.Observe},
		{policy.Guard{Observe: true, Expired: true}, policy.Observe}, // observe_then: keep
		{policy.Guard{Expired: true}, policy.Enforce},
	} {
		p := compile(t, src, c.guard)
		v := judgeWith(t, p, "t/1", `{"h":1}`)
		if len(v.Decisions) != 2 || v.Route.Mode != c.mode {
			t.Fatalf("%d decisions, mode %s", len(v.Decisions), v.Route.Mode)
		}
		for i := range v.Decisions {
			if got := plan(&v, &v.Decisions[i]); v.Decisions[i].Mode != c.mode || got != "seal (guard) L4>L4" {
				t.Errorf("mode %s, %s", v.Decisions[i].Mode, got)
			}
		}
	}
	mixed := compile(t, head+"mode: observe\nroutes: [{name: all, topics: ['#'], to: {city: {mode: enforce}, plant: {}}}]\n", policy.Guard{Observe: true})
	if r := mixed.Routes()[0]; r.Mode != policy.Enforce {
		t.Error("a route that enforces on one uplink is in observe mode")
	}
}

// TestAudience holds that sealing a message whole opens no field to more
// recipients than the field's own action has.
func TestAudience(t *testing.T) {
	src := head + `recipients: [analytics, city, police]
routes: [{name: all, topics: ['#']}]
classes:
  health: {encrypt: {recipients: [city, police]}}
  id.national: {encrypt: {recipients: [police]}}
  finance.card: {encrypt: {recipients: [city]}}
  media.image: {seal: {recipients: [analytics]}}
fields:
` + declare("/h", "health") + declare("/n", "id.national") + declare("/c", "finance.card") + declare("/x", "contact.address") + declare("/i", "media.image")
	p := compile(t, src, policy.Guard{})
	for payload, want := range map[string]string{
		`[{"x":1}]`:             "pass L1>L1",
		`{"x":1}`:               "pass L3>L1 /x=encrypt",
		`{"_sg":1,"x":1}`:       "seal (reserved_in) L3>L1 /x=encrypt",
		`{"_sg":1,"h":1}`:       "seal(recipients: [city, police]) (reserved_in) L4>L1",
		`{"_sg":1,"n":1}`:       "seal(recipients: [police]) (reserved_in) L4>L1",
		`{"_sg":1,"h":1,"n":1}`: "seal(recipients: [police]) (reserved_in) L4>L1",
		`{"_sg":1,"c":1,"n":1}`: "block (audience) L4>L1",
		`{"i":1}`:               "seal(recipients: [analytics]) L3>L3",
		`{"i":1,"c":1}`:         "block (audience) L4>L3",
	} {
		v := judgeWith(t, p, "t/1", payload)
		d := &v.Decisions[0]
		got := plan(&v, d)
		if d.Message == policy.MessageSeal {
			got = d.Seal.String() + strings.TrimPrefix(got, "seal")
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", payload, got, want)
		}
	}
	// One value for two audiences.
	p = compile(t, strings.Replace(src, "fields:\n", "fields:\n"+declare("/f", "finance.card")+declare("/f/n", "id.national"), 1), policy.Guard{})
	v := judgeWith(t, p, "t/1", `{"f":{"n":1}}`)
	if got := plan(&v, &v.Decisions[0]); !strings.HasPrefix(got, "block (audience)") {
		t.Errorf("a field for two audiences: %s", got)
	}
}

// TestLoose: fields that nobody classified are counted, whatever becomes of them.
func TestLoose(t *testing.T) {
	const message = `{"n":1,"on":true,"a":"Qm 7 xy","in":{"b":"zzw 41","mail":"anna.schmidt@example.org"},"said":"kd 9 lo"}`
	for src, want := range map[string]int{
		"":                       3,
		"unclassified: balanced": 3,
		"unclassified: strict":   5,
		"unclassified: pass":     3,
		"unclassified: pass\nfields: [{topic: '#', path: /said, grade: L1}]": 2,
		"mode: observe": 3,
	} {
		p := compile(t, head+"routes: [{name: all, topics: ['#']}]\n"+src, policy.Guard{Observe: true, AllowUnclass: true})
		v := judgeWith(t, p, "t/1", message)
		if got := v.Decisions[0].Loose; got != want {
			t.Errorf("%q: %d unclassified, want %d", src, got, want)
		}
	}
}
