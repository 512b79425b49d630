package protect

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// fields declares members of the root with a class each: findings that depend
// on no detector.
func fields(pairs ...string) string {
	var b strings.Builder
	b.WriteString("fields:\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "  - {topic: '#', path: '%s', class: %s}\n", pairs[i], pairs[i+1])
	}
	return b.String()
}

func classes(s string) string { return everything + "unclassified: pass\nclasses: " + s + "\n" }

// withoutTrailer cuts "_sg" off for comparison.
func withoutTrailer(b []byte) string {
	if before, _, ok := bytes.Cut(b, []byte(`,"_sg":"`)); ok {
		return string(before) + "}"
	}
	return string(b)
}

func TestProtect(t *testing.T) {
	const (
		lat   = `location.precise: {generalize: {decimals: 2}}`
		plate = `id.vehicle_plate: {mask: {keep: 2}}`
	)
	for _, c := range []struct {
		name, src, in string
		outcome       Outcome
		reason        policy.Reason
		want          string // without trailer; "" for sealed and the like
	}{
		{"nothing found", classes("{}"), `{"a":1 , "b":"on"}`, OutcomePassed, "", `{"a":1 , "b":"on"}`},
		{"transform", classes("{"+lat+"}") + fields("/v", "location.precise"), `{"v": 52.516275 }`, OutcomeTransformed, "", `{"v": 52.51 }`},
		{"a word for a number", classes("{"+lat+"}") + fields("/v", "location.precise"), `{"v":"N/A"}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"empty text", classes("{"+plate+"}") + fields("/v", "id.vehicle_plate"), `{"v":"","w":2}`, OutcomeEncrypted, ReasonTransform, `{"v":null,"w":2}`},
		{"no number", classes("{"+lat+"}") + fields("/v", "location.precise"), `{"v":1e999}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"emoji", classes("{"+lat+"}") + fields("/v", "location.precise"), `{"v":"😀"}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"null", classes("{"+lat+"}") + fields("/v", "location.precise"), `{"v":null}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"object", classes("{"+plate+"}") + fields("/v", "id.vehicle_plate"), `{"v":{"w":"B-AB 123"}}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"no object to put a trailer in", classes("{"+plate+"}") + fields("/0", "id.vehicle_plate"), `[""]`, OutcomeEncrypted, ReasonTransform, `["§"]`},
		{"lines", classes("{"+plate+"}") + fields("/0/v", "id.vehicle_plate"), "{\"v\":\"\"}\n{}\n", OutcomeEncrypted, ReasonTransform, "{\"v\":\"§\"}\n{}\n"},
		{"lines are transformed", classes("{"+plate+"}") + fields("/0/v", "id.vehicle_plate"), "{\"v\":\"12345678\"}\n{}\n", OutcomeTransformed, "", "{\"v\":\"******78\"}\n{}\n"},
		{"remove", classes("{health: remove}") + fields("/v", "health"), `{"v":1,"w":2}`, OutcomeTransformed, "", `{"w":2}`},
		{"encrypt", classes("{}") + fields("/v", "health"), `{"w":2,"v":[1, 2]}`, OutcomeEncrypted, "", `{"w":2,"v":null}`},
		{"leave removed", classes("{health: {encrypt: {leave: remove}}}") + fields("/v", "health"), `{"v":7,"w":2}`, OutcomeEncrypted, "", `{"w":2}`},
		{"leave coarser", classes("{location.precise: {encrypt: {leave: {generalize: {decimals: 1}}}}}") + fields("/v", "location.precise"), `{"v":52.59}`, OutcomeEncrypted, "", `{"v":52.5}`},
		{"leave does not fit", classes("{location.precise: {encrypt: {leave: {generalize: {decimals: 1}}}}}") + fields("/v", "location.precise"), `{"v":"N/A"}`, OutcomeEncrypted, ReasonTransform, `{"v":null}`},
		{"an element stays", classes("{health: {encrypt: {leave: remove}}}") + fields("/v/0", "health"), `{"v":[7,8]}`, OutcomeEncrypted, ReasonTransform, `{"v":[null,null]}`},
		{"sealed by class", classes("{health: seal}") + fields("/v", "health"), `{"v":7}`, OutcomeSealed, "", ""},
		{"blocked by class", classes("{health: block}") + fields("/v", "health"), `{"v":7}`, OutcomeBlocked, "", ""},
		{"broken", classes("{}"), `{"v":`, OutcomeSealed, payload.ReasonMalformed, ""},
		{"text", classes("{"+plate+"}") + fields("", "id.vehicle_plate"), `B-AB 123`, OutcomeTransformed, "", `******23`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParties(t, c.src)
			v := p.judge("t/1", c.in)
			o := p.protect(&v, &v.Decisions[0], Mapping{})
			p.checkOutput(p.opener(), &v, &v.Decisions[0], Mapping{}, o)
			if o.Outcome != c.outcome || o.Reason != c.reason {
				t.Fatalf("%s (%s), want %s (%s): %s", o.Outcome, o.Reason, c.outcome, c.reason, o.Payload)
			}
			if c.want != "" && withoutTokens(withoutTrailer(o.Payload)) != c.want {
				t.Errorf("%s, want %s", o.Payload, c.want)
			}
			if o.Outcome == OutcomeEncrypted {
				if got := p.open(o); string(got.Payload) != c.in && c.name != "leave removed" {
					t.Errorf("opened %s", got.Payload)
				}
			}
		})
	}
}

// One part of a text that does not fit takes the whole field with it, once.
func TestPartsTightenTogether(t *testing.T) {
	p := newParties(t, classes("{contact.email: pseudonymize, contact.phone: {truncate: {text: 40}}}"))
	const in = `{"note":"mail jane.doe@example.com or call +49 30 90182034 or john.roe@example.com","n":1}`
	v := p.judge("t/1", in)
	if n := len(v.Decisions[0].Fields); n != 3 {
		t.Fatalf("%d actions planned, want 3", n)
	}
	o := p.protect(&v, &v.Decisions[0], Mapping{})
	if o.Outcome != OutcomeEncrypted || o.Reason != ReasonTransform || withoutTrailer(o.Payload) != `{"note":null,"n":1}` {
		t.Fatalf("%s (%s) %s", o.Outcome, o.Reason, o.Payload)
	}
	if got := p.open(o); string(got.Payload) != in || len(got.Fields) != 1 {
		t.Errorf("opened %s, fields %v", got.Payload, got.Fields)
	}
}

// Removed elements shift the pointers of encrypted ones behind them.
func TestPointersBehindRemoved(t *testing.T) {
	p := newParties(t, everything+"classes: {contact.email: remove}\n")
	o := p.send("t/1", `{"x/~":["jane@example.com","one text","john@example.com",["two texts","x@example.com"]],"y":"three texts"}`)
	if got := withoutTrailer(o.Payload); got != `{"x/~":[null,[null]],"y":null}` {
		t.Fatalf("%s: %s", o.Outcome, o.Payload)
	}
	if got := p.open(o); string(got.Payload) != `{"x/~":["one text",["two texts"]],"y":"three texts"}` {
		t.Errorf("opened %s", got.Payload)
	}
}

// A sender can't make the work grow with the square of a message.
func TestManyRemoved(t *testing.T) {
	p := newParties(t, everything+"classes: {contact.email: remove}\n")
	in := `{"v":[` + strings.Repeat(`"a@example.com",`, 2000) + strings.Repeat(`"some text",`, 1000) + `0]}`
	o := p.send("t/1", in)
	if o.Outcome != OutcomeSealed || o.Reason != payload.ReasonTooMany {
		t.Fatalf("%s (%s)", o.Outcome, o.Reason)
	}
	if got := p.open(o); string(got.Payload) != in {
		t.Error("opened something else")
	}
}

// More fields than a trailer lists: sealed.
func TestManyFields(t *testing.T) {
	p := newParties(t, "")
	o := p.send("t/1", `{"v":[`+strings.Repeat(`"some text",`, 1500)+`0]}`)
	if o.Outcome != OutcomeSealed || o.Reason != ReasonShape {
		t.Errorf("%s (%s)", o.Outcome, o.Reason)
	}
}

// Plans that package policy does not make: what is stricter wins.
func TestConflictsInPlan(t *testing.T) {
	p := newParties(t, classes("{location.precise: {generalize: {decimals: 2}}, health: {encrypt: {leave: {mask: {}}}}, finance.card: {encrypt: {recipients: [police]}}, person.name: remove, child: {seal: {}}, special: block}"))
	action := func(name string) *policy.Action {
		for _, a := range p.policy.Actions() {
			if a.String() == name {
				return a
			}
		}
		t.Fatalf("no action %s in %v", name, p.policy.Actions())
		return nil
	}
	generalize, encrypt, police := action("generalize(decimals: 2)"), action("encrypt(leave: mask)"), action("encrypt(recipients: [police])")
	remove, seal, block := action("remove"), action("seal"), action("block")
	const in = `{"a":[1.234,2.345],"b":"text"}`
	for _, c := range []struct {
		plan    []any // path, action, …
		outcome Outcome
		want    string
		readers []string
	}{
		{[]any{"/a", generalize}, OutcomeTransformed, `{"a":[1.23,2.34],"b":"text"}`, nil},
		{[]any{"/a", generalize, "/a/0", encrypt}, OutcomeEncrypted, `{"a":null,"b":"text"}`, []string{"ops", "police"}},
		{[]any{"/a", generalize, "/a/0", generalize}, OutcomeEncrypted, `{"a":null,"b":"text"}`, []string{"ops", "police"}},
		{[]any{"/a", encrypt, "/a/0", generalize, "/a/1", remove}, OutcomeEncrypted, `{"a":null,"b":"text"}`, []string{"ops", "police"}},
		{[]any{"/a", generalize, "/a/0", police, "/a/1", police}, OutcomeEncrypted, `{"a":null,"b":"text"}`, []string{"police"}},
		{[]any{"/a", remove, "/a/0", generalize}, OutcomeTransformed, `{"b":"text"}`, nil},
		{[]any{"/a", encrypt, "/a/0", police}, OutcomeSealed, "", []string{"police"}},
		{[]any{"/a", encrypt, "/b", police, "/b", encrypt}, OutcomeSealed, "", []string{"police"}},
		{[]any{"/b", remove, "/b", encrypt}, OutcomeEncrypted, `{"a":[1.234,2.345],"b":null}`, []string{"ops", "police"}},
		{[]any{"/b", remove, "/b", remove}, OutcomeEncrypted, `{"a":[1.234,2.345],"b":null}`, []string{"ops", "police"}},
		{[]any{"", encrypt}, OutcomeSealed, "", []string{"ops", "police"}},
		{[]any{"/b", seal}, OutcomeSealed, "", []string{"ops", "police"}},
		{[]any{"/a", police, "/b", seal}, OutcomeSealed, "", []string{"police"}},
		{[]any{"/b", block}, OutcomeBlocked, "", nil},
	} {
		v := p.judge("t/1", in)
		d := v.Decisions[0]
		d.Fields = nil
		for i := 0; i < len(c.plan); i += 2 {
			d.Fields = append(d.Fields, policy.FieldAction{Finding: -1, Field: v.Document.Find(c.plan[i].(string)), Action: c.plan[i+1].(*policy.Action)})
		}
		o := p.protect(&v, &d, Mapping{})
		if o.Outcome != c.outcome || c.want != "" && withoutTrailer(o.Payload) != c.want {
			t.Errorf("%v: %s %s, want %s %s", c.plan, o.Outcome, o.Payload, c.outcome, c.want)
			continue
		}
		for _, who := range p.audiences {
			if o.Outcome < OutcomeEncrypted || o.Outcome == OutcomeBlocked {
				break
			}
			opened, err := p.opener(who).Open(o.Topic, o.Payload)
			if may := slices.Contains(c.readers, who); may != (err == nil) || may && string(opened.Payload) != in {
				t.Errorf("%v: %s opens %s: %v", c.plan, who, opened.Payload, err)
			}
		}
		if o.Outcome >= OutcomeEncrypted && o.Outcome != OutcomeBlocked {
			if got := p.open(o, "recovery"); string(got.Payload) != in {
				t.Errorf("%v: recovery opens %s", c.plan, got.Payload)
			}
		}
	}
}

// Each audience opens its own fields and no other's, in one signed document.
func TestAudiences(t *testing.T) {
	p := newParties(t, everything+"unclassified: pass\nclasses: {id.vehicle_plate: {encrypt: {recipients: [police]}}, id.vin: {encrypt: {recipients: [ops]}}, person.name: encrypt}\n"+
		fields("/plate", "id.vehicle_plate", "/vin", "id.vin", "/name", "person.name", "/vin2", "id.vin"))
	const in = `{"plate":"B-AB 123","vin":"W1","name":"Jane Doe","vin2":"W2"}`
	opt := p.options()
	opt.Reference = true
	p.protector = must(New(opt))
	o := p.send("t/1", in)
	if o.Outcome != OutcomeEncrypted || len(o.KIDs) != 3 || len(o.Grants) != 3 {
		t.Fatalf("%s with %d keys", o.Outcome, len(o.KIDs))
	}
	if _, err := p.opener().Open("t/1", o.Payload); envelope.ReasonOf(err) != envelope.ReasonUnknownKey {
		t.Errorf("without the grants: %v", err)
	}
	for who, want := range map[string]string{
		"police": `{"plate":"B-AB 123","vin":null,"name":"Jane Doe","vin2":null}`,
		"ops":    `{"plate":null,"vin":"W1","name":"Jane Doe","vin2":"W2"}`, "recovery": in,
	} {
		got := p.open(o, who)
		if string(got.Payload) != want || got.Origin != envelope.OriginSigned {
			t.Errorf("%s opens %s (%s), want %s", who, got.Payload, got.Origin, want)
		}
	}
}

// A message that is sealed instead of passed has no more readers than its
// fields would have had; without any it is blocked.
func TestTighteningNarrows(t *testing.T) {
	const one = "person.name: pseudonymize, id.vehicle_plate: {encrypt: {recipients: [police]}}"
	for _, c := range []struct {
		classes string
		outcome Outcome
		readers []string
	}{
		{"{" + one + "}", OutcomeSealed, []string{"police", "recovery"}},
		{"{" + one + ", id.vin: {encrypt: {recipients: [ops]}}}", OutcomeBlocked, nil},
	} {
		p := newParties(t, everything+"unclassified: pass\nclasses: "+c.classes+"\ntopic_levels: {pseudonymize: [person.name]}\n"+
			fields("/plate", "id.vehicle_plate", "/vin", "id.vin", "topic:1", "person.name"))
		o := p.sendVia("t/ /x", `{"plate":"B-AB 123","vin":"W1"}`, Mapping{Prefix: "up/"}) // a level that no token is made of
		if o.Outcome != c.outcome {
			t.Errorf("%s: %s (%s)", c.classes, o.Outcome, o.Reason)
		}
		for _, who := range []string{"ops", "police", "recovery"} {
			_, err := p.opener(who).Open(o.Topic, o.Payload)
			if may := slices.Contains(c.readers, who); o.Outcome == OutcomeSealed && may != (err == nil) {
				t.Errorf("%s: %s: %v", c.classes, who, err)
			}
		}
		if o.Outcome == OutcomeBlocked && o.Reason != policy.ReasonAudience {
			t.Errorf("reason %s", o.Reason)
		}
	}
}

func TestHeld(t *testing.T) {
	const src = "{health: encrypt, id.vin: {mask: {}}, person.name: {encrypt: {recipients: [police]}}}"
	for _, c := range []struct {
		name string
		make func(p *parties) *Protector
		want map[string]Outcome
	}{
		{"closed", func(p *parties) *Protector { return Closed(p.policy, errors.New("no bundle"), nil) },
			map[string]Outcome{`{"a":1}`: OutcomePassed, `{"h":1}`: OutcomeHeld, `{"v":"W12345"}`: OutcomeTransformed, `{"v":[1]}`: OutcomeHeld, `{"a":`: OutcomeHeld, ``: OutcomePassed}},
		{"no recipients", func(p *parties) *Protector {
			o := p.options()
			o.Recipients = nil
			return must(New(o))
		}, map[string]Outcome{`{"a":1}`: OutcomePassed, `{"h":1}`: OutcomeHeld, `{"v":"W12345"}`: OutcomeTransformed}},
		{"recovery alone", func(p *parties) *Protector {
			o := p.options()
			o.Recipients = slices.DeleteFunc(o.Recipients, func(r envelope.Recipient) bool { return !r.Recovery })
			return must(New(o))
		}, map[string]Outcome{`{"h":1}`: OutcomeHeld, `{"a":1}`: OutcomePassed}},
		{"one audience has no key", func(p *parties) *Protector {
			o := p.options()
			o.Recipients = slices.DeleteFunc(o.Recipients, func(r envelope.Recipient) bool { return r.Audience == "police" })
			return must(New(o))
		}, map[string]Outcome{`{"h":1}`: OutcomeEncrypted, `{"n":"Jane Doe"}`: OutcomeHeld, `{"n":"Jane Doe","h":1}`: OutcomeHeld, `{"a":`: OutcomeSealed}},
		{"no lease", func(p *parties) *Protector {
			o := p.options()
			o.Limits.Invocations = 1
			return must(New(o))
		}, map[string]Outcome{`{"h":1}`: OutcomeHeld, `{"a":`: OutcomeSealed}},
	} {
		p := newParties(t, classes(src)+fields("/h", "health", "/v", "id.vin", "/n", "person.name"))
		p.protector = c.make(p)
		if usable := p.protector.Usable() == nil; usable != (c.name == "no lease") {
			t.Errorf("%s: usable %v", c.name, usable)
		}
		for in, want := range c.want {
			o := p.send("t/1", in)
			if o.Outcome != want || want == OutcomeHeld && (o.Reason != ReasonNoKey || o.Payload != nil || o.Topic != "") {
				t.Errorf("%s: %s: %s (%s), want %s", c.name, in, o.Outcome, o.Reason, want)
			}
		}
		p.protector.Rotate()
	}
}

func TestPanics(t *testing.T) {
	p := newParties(t, classes("{id.vin: {mask: {}}}")+fields("/v", "id.vin", "topic:1", "id.vin"))
	boom := func([]byte, value) ([]byte, payload.EditKind, bool) { panic("B-AB 123") }
	for i := range p.protector.applies {
		p.protector.applies[i] = boom
	}
	for range 3 { // a job that panicked is not used again
		o := p.sendVia("t/W123", `{"v":"W123"}`, Mapping{Prefix: "up/"})
		if o.Outcome != OutcomeSealed || o.Reason != policy.ReasonPanic || o.Topic != "up/sealed/hidden" {
			t.Fatalf("%s (%s) on %s", o.Outcome, o.Reason, o.Topic)
		}
		if got := p.open(o); string(got.Payload) != `{"v":"W123"}` || got.Topic != "up/t/W123" {
			t.Errorf("opened %s from %s", got.Payload, got.Topic)
		}
		if o := p.send("t/W123", ""); o.Outcome != OutcomeTransformed || o.Topic != hidden || len(o.Payload) != 0 {
			t.Errorf("deletion: %s on %s", o.Outcome, o.Topic)
		}
	}
	v := p.judge("t/W123", `{"v":"W123"}`)
	v.Decisions[0].Message = policy.MessageBlock
	if o := p.protect(&v, &v.Decisions[0], Mapping{}); o.Outcome != OutcomeBlocked {
		t.Errorf("planned block: %s", o.Outcome)
	}
	v = p.judge("t/W123", `{"v":"W123"}`)
	v.Document = nil
	if o := p.protect(&v, &v.Decisions[0], Mapping{}); o.Outcome != OutcomeHeld || o.Reason != policy.ReasonPanic || o.WouldBe != OutcomeHeld {
		t.Errorf("no document: %s (%s)", o.Outcome, o.Reason)
	}
}

// What nobody could judge is sealed, signed, and its topic not shown.
func TestJudgePanicked(t *testing.T) {
	p := newParties(t, classes("{}"))
	alone := p.options() // with one audience nothing else makes it sign
	alone.Recipients = slices.DeleteFunc(alone.Recipients, func(r envelope.Recipient) bool { return r.Audience == "police" })
	p.protector = must(New(alone))
	if got := p.open(p.send("t", `{"a":`)); got.Origin != envelope.OriginSigned || got.Header.Grade != 0 {
		t.Errorf("unreadable: %s, grade %d", got.Origin, got.Header.Grade)
	}
	v := p.judge("jane.doe@example.com/x", `{"a":1}`)
	v.Reason, v.Findings = policy.ReasonPanic, nil
	v.Decisions[0].Message, v.Decisions[0].Reason, v.Decisions[0].Fields, v.Decisions[0].Grade = policy.MessageSeal, policy.ReasonPanic, nil, classify.Ungraded
	o := p.protect(&v, &v.Decisions[0], Mapping{Prefix: "up/"})
	if o.Outcome != OutcomeSealed || strings.Contains(o.Topic, "jane.doe") || bytes.Contains(o.Payload, []byte("jane.doe")) {
		t.Fatalf("%s on %s", o.Outcome, o.Topic)
	}
	if got := p.open(o); got.Topic != "up/jane.doe@example.com/x" || got.Origin != envelope.OriginSigned {
		t.Errorf("opened %s from %s", got.Origin, got.Topic)
	}
}

func TestObserve(t *testing.T) {
	p := newParties(t, "mode: observe\n"+classes("{id.vin: {mask: {}}, person.name: remove, child: block, special: seal}")+
		fields("/v", "id.vin", "/n", "person.name", "/h", "health", "/c", "child", "/s", "special", "topic:1", "person.name"))
	for in, want := range map[string]Outcome{
		`{"a":1}`: OutcomePassed, `{"v":"W123"}`: OutcomeTransformed, `{"n":"Jane"}`: OutcomeTransformed, `{"n":"Jane","h":1,"v":"W"}`: OutcomeEncrypted,
		`{"c":1}`: OutcomeBlocked, `{"s":1}`: OutcomeSealed, `{"a":`: OutcomeSealed,
	} {
		v := p.judge("t", in)
		o := p.protect(&v, &v.Decisions[0], Mapping{Prefix: "up/"})
		if o.Outcome != OutcomePassed || o.WouldBe != want || string(o.Payload) != in || o.Topic != "up/t" || o.Residual != v.Decisions[0].Grade || o.KIDs != nil {
			t.Errorf("%s: %s, would be %s, want %s; %+v", in, o.Outcome, o.WouldBe, want, o)
		}
	}
	if o := p.send("t/Jane", `{"a":1}`); o.Topic != "t/Jane" || o.WouldBe != OutcomeTransformed {
		t.Errorf("%s on %s", o.WouldBe, o.Topic)
	}
	if o := p.sendVia("t", `{"a":1}`, Mapping{Strip: 1}); o.Outcome != OutcomeBlocked || o.Reason != ReasonTopic {
		t.Errorf("no topic: %s (%s)", o.Outcome, o.Reason)
	}
}

// A Protector is for any number of workers, also while its keys change.
func TestConcurrent(t *testing.T) {
	p := newParties(t, "")
	opener := p.opener()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			var s policy.Scratch
			for i := range 50 {
				in := fmt.Sprintf(`{"note":"text %d of %d","n":%d}`, i, worker, i)
				v := p.policy.Judge(&s, classify.NewState(), p.policy.Routes()[0], policy.Input{Topic: "t/1", Payload: []byte(in)})
				o := p.protector.Protect(&v, &v.Decisions[0], Request{Seq: uint64(i), Stream: envelope.Stream{Shard: uint32(worker)}})
				if got, err := opener.Open(o.Topic, o.Payload); err != nil || string(got.Payload) != in || got.Header.KIDs[0] != o.KIDs[0] {
					t.Errorf("%s: opened %s, %v", in, got.Payload, err)
				}
				if i%10 == worker {
					p.protector.Rotate()
				}
			}
		})
	}
	wg.Wait()
}

func TestOutcomeString(t *testing.T) {
	if OutcomeHeld.String() != "held" || OutcomeQuarantined.String() != "quarantined" || Outcome(99).String() != "unknown" {
		t.Error(OutcomeHeld, OutcomeQuarantined, Outcome(99))
	}
}

// TestTooLargeIsSealedWhole: a document whose encrypted fields outgrow what can
// be kept is sealed whole, which takes less.
func TestTooLargeIsSealedWhole(t *testing.T) {
	p := newParties(t, "")
	doc := `{"password":"` + strings.Repeat("Vq7!", 600) + `"}`
	v := p.judge("t", doc)
	r := Request{Seq: 1, Limit: 3500}
	o := p.protector.Protect(&v, &v.Decisions[0], r)
	if o.Outcome != OutcomeSealed || o.Reason != payload.ReasonTooLarge || len(o.Payload) > r.Limit || len(o.KIDs) != 1 {
		t.Errorf("%s because %q, %d bytes, %d keys", o.Outcome, o.Reason, len(o.Payload), len(o.KIDs))
	}
	r.Limit = 0
	if o := p.protector.Protect(&v, &v.Decisions[0], r); o.Outcome != OutcomeEncrypted {
		t.Errorf("without a limit: %s because %q", o.Outcome, o.Reason)
	}
}
