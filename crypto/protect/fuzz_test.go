package protect

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// lossless reports whether an opener gets back the very bytes of the input: not
// where the plan takes something away for good, or moves a removed member to
// the end of its object.
func lossless(d *policy.Decision) bool {
	return !slices.ContainsFunc(d.Fields, func(fa policy.FieldAction) bool {
		a := fa.Action
		return !a.Spec.Trailer || a.Leave != nil && a.Leave.Spec.Becomes == becomesAbsent
	})
}

// checkOutput holds one output to what is promised for every message.
func (p *parties) checkOutput(o *envelope.Opener, v *policy.Verdict, d *policy.Decision, m Mapping, out Output) {
	p.Helper()
	doc := v.Document
	enforce := d.Mode == policy.Enforce
	if out.WouldBe != out.Outcome && enforce {
		p.Errorf("enforced %s, would be %s", out.Outcome, out.WouldBe)
	}
	planned := OutcomePassed
	for i := range d.Fields {
		switch {
		case d.Fields[i].Action.Spec.Trailer:
			planned = max(planned, OutcomeEncrypted)
		case d.Fields[i].Action.Spec.Strength > policy.StrengthPass && int(d.Fields[i].Field) >= m.Strip:
			planned = max(planned, OutcomeTransformed)
		}
	}
	switch {
	case len(doc.Raw) == 0: // nothing to protect but the topic
		planned = min(planned, OutcomeTransformed)
	case d.Message == policy.MessageSeal:
		planned = OutcomeSealed
	}
	if d.Message == policy.MessageBlock {
		planned = OutcomeBlocked
	}
	if enforce && out.Outcome != OutcomeHeld && out.Outcome < planned {
		p.Errorf("%s is weaker than the plan's %s", out.Outcome, planned)
	}
	if out.Residual > d.Residual && d.Residual != classify.Ungraded && out.Outcome != OutcomeSealed {
		p.Errorf("residual %s, planned %s", out.Residual, d.Residual)
	}
	if out.Grants != nil {
		p.Errorf("%d keys, %d grants although they travel inside", len(out.KIDs), len(out.Grants))
	}
	switch out.Outcome {
	case OutcomeHeld, OutcomeBlocked:
		if out.Payload != nil || out.Topic != "" || out.Also != nil {
			p.Errorf("%s, and yet something leaves", out.Outcome)
		}
		return
	case OutcomePassed:
		if !bytes.Equal(out.Payload, doc.Raw) {
			p.Error("passed bytes changed")
		}
	}
	if !publishable(out.Topic) {
		p.Errorf("topic %q can't be published", out.Topic)
	}
	if enforce {
		p.checkHidden(v, d, m, out)
	}
	if out.Outcome != OutcomeEncrypted && out.Outcome != OutcomeSealed {
		return
	}
	opened, err := o.Open(out.Topic, out.Payload)
	if err != nil {
		p.Fatalf("open: %v", err)
	}
	if opened.Origin < envelope.OriginKey || !opened.Verified {
		p.Errorf("opened %+v", opened)
	}
	if (d.Grade >= classify.L4 || d.Grade == classify.Ungraded) && opened.Origin != envelope.OriginSigned {
		p.Errorf("grade %s is not signed", d.Grade)
	}
	if out.Outcome == OutcomeSealed {
		if !bytes.Equal(opened.Payload, doc.Received()) {
			p.Errorf("opened %q", opened.Payload)
		}
		rest := doc.Topic
		for range m.Strip {
			_, rest, _ = strings.Cut(rest, "/")
		}
		if rest != "" && opened.Topic != m.Prefix+rest {
			p.Errorf("real topic %q, want %q", opened.Topic, m.Prefix+rest)
		}
		return
	}
	var again payload.Document
	if inside, why := again.Unpack(opened.Payload, payload.Limits{Bytes: 64 << 20}); lossless(d) && (why != payload.ReasonNone || !bytes.Equal(inside, doc.Raw)) {
		p.Errorf("opened %q (%s), want %q", inside, why, doc.Raw)
	}
}

// checkHidden looks for the text of everything graded L3 or higher in what
// leaves.
func (p *parties) checkHidden(v *policy.Verdict, d *policy.Decision, m Mapping, out Output) {
	var left payload.Document
	readable := payload.Parse(&left, out.Topic, out.Payload, payload.Limits{Bytes: 64 << 20}) == payload.ReasonNone
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Grade < classify.L3 && f.Grade != classify.Ungraded || f.Why&classify.WhyInKey != 0 || !v.Document.Fields[f.Field].Kind.Leaf() {
			continue
		}
		text := v.Document.Text(f.Field)
		if !f.Whole() {
			text = text[f.Start:f.End]
		}
		if len(text) < 6 || !readable {
			continue // short ones stand elsewhere by chance
		}
		// The same text elsewhere may be another finding of a lower grade, or
		// none: only its own place must not show it.
		path := string(v.Document.AppendPath(nil, f.Field))
		if at := left.Find(path); at >= 0 && !strings.HasPrefix(path, "topic:") && bytes.Contains(left.Text(at), text) {
			p.Errorf("%s of grade %s still shows its text: %s", path, f.Grade, out.Outcome)
		}
		if strings.HasPrefix(path, "topic:") && m.Strip == 0 && bytes.Contains([]byte(strings.TrimPrefix(out.Topic, m.Prefix)), text) {
			p.Errorf("topic still shows a level of grade %s", f.Grade)
		}
	}
}

var fuzzSeeds = []struct{ topic, payload string }{
	{"line/1", `{"t":21.5,"state":"on"}`},
	{"car/7", `{"lat":52.516275,"lon":13.377704,"driver":"Jane Doe","plate":"B-AB 123"}`},
	{"car/7", `{"lat":"N/A","lon":"","email":"jane.doe@example.com","note":"call +49 30 901820 soon"}`},
	{"jane.doe@example.com/state", `{"heart_rate":88,"patient":"Jane Doe"}`},
	{"a/b", `{"a":{"b":[{"ip":"203.0.113.77"},{"password":"hunter2-hunter2"}]},"c~/d":"free text here"}`},
	{"a/b", `["free text here",{"iban":"DE89370400440532013000"}]`},
	{"a/b", "{\"x\":1}\n{\"name\":\"Jane Doe\"}\n"},
	{"a/b", "plain text with jane.doe@example.com in it"},
	{"a/b", `{"_sg":"1.x"}`}, {"a/b", `{"a":`}, {"a/b", ""}, {"$SYS/x", `{"a":1}`}, {"", "x"},
	{"a//b", `{"gps":[52.516275,13.377704],"card":"4111 1111 1111 1111","e":1e999,"😀":"😀😀😀😀"}`},
	{"a/b", "\xff\xd8\xff\xe0 no image"},
	{"a/b", "driver_name,iban,note\nJane Doe,DE89370400440532013000,free text here\n"},
	{"a/b", "\xa2\x6adriverName\x68Jane Doe\x61n\x07"}, {"a/b", "\x82\xaadriverName\xa8Jane Doe\xa1n\x07"},
	{"a/b", "<a plate='B-AB 123'><iban>DE89370400440532013000</iban></a>"}, {"a/b", "truck,plate=B-AB\\ 123 lat=52.516275,lon=13.377704 1"},
	{"a/b", "iban=DE89370400440532013000&n=7"}, {"a/b", "level=info iban=DE89370400440532013000 n=5"}, {"a/b", `[{"n":"iban","v":1},{"iban":"DE89370400440532013000"}]`},
	{"a/b", `{"v":"` + b64(`{"lat":52.516275,"lon":13.377704,"iban":"DE89370400440532013000"}`) + `"}`}, {"a/b", `["` + b64(`{"email":"jane.doe@example.com","plate":"B-AB 123"}`) + `"]`},
	{sparkplugTopic, sparkplugDriver("Jane Doe")}, {"a/b", packedBy("gzip", "iban,n\nDE89370400440532013000,5\n")}, {"a/b", "iban,n\nsealgate1c.AA.,DE89370400440532013000\n"},
}

// manyActions is a policy with every action in it, under the strictest guard.
const manyActions = everything + `classes:
  location.precise: {encrypt: {leave: {generalize: {decimals: 2}}}}
  contact.email: mask
  contact.phone: {pseudonymize: {domain: other}}
  net.ip: truncate
  person.name: remove
  id.vehicle_plate: {encrypt: {recipients: [police]}}
  health: {encrypt: {recipients: [ops], leave: remove}}
  finance.iban: {encrypt: {leave: {truncate: {text: 2}}}}
grades: {L3: {seal: {topic: 'sealed/{topic}', encoding: json}}}
topic_levels: {mask: [person.name], remove: [contact.phone]}
`

// FuzzProtect: whatever a device sends, under two policies and some mappings,
// holds to checkOutput.
func FuzzProtect(f *testing.F) {
	for i, s := range fuzzSeeds {
		f.Add(s.topic, []byte(s.payload), uint8(i))
		f.Add(s.topic, []byte(s.payload), uint8(i)|0x80)
	}
	both := []*parties{newParties(f, ""), newParties(f, "")}
	both[1].policy = must(policy.Compile([]byte(head+manyActions), policy.Vocabulary{Actions: Specs(), Recipients: both[1].audiences}, policy.Guard{}))
	both[1].protector = must(New(both[1].options()))
	openers := []*envelope.Opener{both[0].opener(), both[1].opener()}
	f.Fuzz(func(t *testing.T, topic string, raw []byte, how uint8) {
		q, opener := *both[how>>7], openers[how>>7]
		q.TB = t
		route, closed := q.policy.Routes()[0], Closed(q.policy, nil, nil)
		var s policy.Scratch
		m := []Mapping{{}, {Prefix: "site/gw/"}, {Strip: 1, Prefix: "up/"}, {Strip: 1}}[how%4]
		v := q.policy.Judge(&s, classify.NewState(), route, policy.Input{Topic: topic, Payload: raw})
		for i := range v.Decisions {
			d := &v.Decisions[i]
			out := q.protect(&v, d, m)
			if out.Outcome == OutcomeHeld {
				t.Error("held, and yet there is a key")
			}
			q.checkOutput(opener, &v, d, m, out)

			out = closed.Protect(&v, d, Request{Mapping: m})
			if out.Outcome == OutcomeEncrypted || out.Outcome == OutcomeSealed {
				t.Errorf("%s without a key", out.Outcome)
			}
			q.checkOutput(opener, &v, d, m, out)
		}
	})
}
