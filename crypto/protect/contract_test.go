package protect

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// uses are the ways of using each action on a field. allow says, of a run of
// four or more characters of the value that is still in the output, whether the
// action's specification lets it stay; nil: nothing may.
var uses = []struct {
	action string
	allow  func(value, run string) bool
}{
	{"mask", nil}, {"{mask: {keep: 4}}", suffix},
	{"truncate", network}, {"{truncate: {text: 2}}", network},
	{"{generalize: {decimals: 2}}", digitsOfCut}, {"{generalize: {grid: 1000}}", digitsOfCut}, {"{generalize: {bucket: 1h}}", leading}, {"{generalize: {band: 1000}}", leading},
	{"pseudonymize", nil}, {"remove", nil},
	{"encrypt", nil}, {"{encrypt: {leave: remove}}", nil}, {"{encrypt: {leave: {mask: {keep: 2}}}}", nil}, {"{encrypt: {leave: {generalize: {decimals: 1}}}}", leading},
	{"seal", nil}, {"{seal: {encoding: json}}", nil},
}

func suffix(value, run string) bool { return len(run) <= 4 && strings.HasSuffix(value, run) }

// leading: what stays is the front of the value.
func leading(value, run string) bool {
	return strings.Contains(value, run) && !strings.HasSuffix(value, run)
}

// network: /24 of IPv4, /48 of IPv6, the maker of a MAC address.
func network(value, run string) bool {
	at := strings.Index(value, run)
	return strings.ContainsAny(value, ".:") && at+len(run) <= len(value)-2
}

// digitsOfCut: at most two decimals of each number, or a corner within a
// thousandth by accident of a cell's size.
func digitsOfCut(_, run string) bool {
	_, behind, _ := strings.Cut(run, ".")
	return len(strings.TrimRight(behind, ", ]0")) <= 4
}

// values are of every kind that a field may have.
var values = []string{
	`"B-AB 1234567"`, `"jane.doe@example.com"`, `"quote \" slash \\ \u00e4 \ud83d\ude00 end of it"`, `"203.0.113.77"`, `"2001:db8:aaaa:bbbb::77"`,
	`"ac:de:48:12:34:56"`, `"52.516275"`, `"52.516275,13.377704"`, `"2026-11-23T14:05:06Z"`, `"N/A"`, `""`, `"😀😀😀😀😀😀"`,
	`123456789`, `-13.377704`, `5.2516275e1`, `1e999`, `true`, `false`, `null`, `{"inner":"B-AB 1234567"}`, `[52.516275,13.377704]`, `[[1.234567],["x"]]`, `{}`, `[]`,
}

// places are documents of every format with a hole, the path of the hole, and
// what stands around it.
var places = []struct{ name, path, before, after string }{
	{"member", "/v", `{ "a" : [ 1 , 2 ] , "v" : `, ` , "z":"last"}`},
	{"only member", "/v", `{"v":`, `}`},
	{"nested", "/o/v", `{"o":{"v":`, `,"x":null}}`},
	{"element", "/o/0", `{"o":[`, `],"p":"on"}`}, // a declaration is for all elements
	{"root array", "/0", `[`, `]`},
	{"line", "/0/v", `{"v":`, "}\n{\"w\":1}\n"},
}

// TestContract: every action on every kind of value in every format. What
// leaves is valid, shows nothing of the value that may not stay, keeps all
// other bytes, and opens to what went in.
func TestContract(t *testing.T) {
	for _, u := range uses {
		p := newParties(t, "")
		opener := p.opener()
		for _, where := range places {
			// Neither has a detector that would add to the declared finding.
			class := "industrial.sensitive"
			if strings.Contains(u.action, "decimals") || strings.Contains(u.action, "grid") {
				class = "location.precise"
			}
			p.use(everything + "unclassified: pass\ngrades: {L3: pass, L4: pass, L5: pass}\nclasses: {" + class + ": " + u.action + "}\n" +
				"fields: [{topic: '#', path: '" + where.path + "', class: " + class + "}]\n")
			for _, value := range values {
				p.contract(opener, u.action, u.allow, where.name, where.before, value, where.after)
			}
		}
	}
}

func (p *parties) contract(opener *envelope.Opener, action string, allow func(value, run string) bool, where, before, value, after string) {
	p.Helper()
	in := before + value + after
	v := p.judge("t/1", in)
	if v.Reason != "" {
		p.Fatalf("%s is %s", in, v.Reason)
	}
	d := &v.Decisions[0]
	if len(d.Fields) != 1 && d.Message == policy.MessagePass {
		p.Fatalf("%s: %d actions are planned, want one", in, len(d.Fields))
	}
	o := p.protect(&v, d, Mapping{})
	p.checkOutput(opener, &v, d, Mapping{}, o)
	say := func(what string) {
		p.Errorf("%s on %s as %s: %s: %s (%s): %s", action, value, where, what, o.Outcome, o.Reason, o.Payload)
	}
	if o.Outcome < OutcomeTransformed || o.Outcome > OutcomeSealed {
		say("not protected")
		return
	}
	var left payload.Document
	why := payload.Parse(&left, "", o.Payload, payload.Limits{})
	if sealed := o.Outcome == OutcomeSealed && o.Payload[0] == 0xd0; !sealed && why != payload.ReasonNone {
		say("unreadable: " + string(why))
		return
	}
	shown := []byte(withoutTokens(string(o.Payload)))
	if at := bytes.Index(shown, []byte(`"_sg":"`)); at >= 0 {
		shown = shown[:at] // beside ciphertext that may hold any letters
	}
	if o.Outcome == OutcomeSealed {
		shown = nil
		if bytes.Contains(o.Payload, []byte(value)) && len(value) > 3 {
			say("stands in the envelope")
		}
	}
	if o.Outcome != OutcomeSealed && !bytes.HasPrefix(shown, []byte(strings.TrimRight(before, ` "v:,`))) {
		say("bytes in front changed")
	}
	shown = bytes.TrimPrefix(shown, []byte(before))
	shown = bytes.TrimSuffix(bytes.TrimSuffix(shown, []byte(",")), []byte(strings.TrimSuffix(after, "}")))
	shown = bytes.TrimSuffix(shown, []byte(after))
	for _, text := range texts(value) {
		if run := common(string(shown), text); len([]rune(run)) >= 4 && (allow == nil || !allow(text, run)) {
			say("still shows " + strconv.Quote(run))
		}
	}
	if o.Outcome == OutcomeEncrypted && !strings.Contains(action, "leave: remove") {
		if got, err := opener.Open(o.Topic, o.Payload); err != nil || string(got.Payload) != in {
			say("opens to " + string(got.Payload))
		}
	}
}

// texts are the scalars in a JSON value, decoded.
func texts(value string) (out []string) {
	var walk func(v any)
	walk = func(v any) {
		switch x := v.(type) {
		case string:
			out = append(out, x)
		case json.Number:
			out = append(out, x.String())
		case []any:
			for _, e := range x {
				walk(e)
			}
		case map[string]any:
			for _, e := range x {
				walk(e)
			}
		}
	}
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	walk(v)
	return out
}

// common is the longest run of characters that a and b share.
func common(a, b string) (longest string) {
	for i := range b {
		for k := len(b); k > i+len(longest); k-- {
			if strings.Contains(a, b[i:k]) {
				longest = b[i:k]
				break
			}
		}
	}
	return longest
}

// TestContractParts: the same for a part of a text, of a plain-text payload and
// of a topic level.
func TestContractParts(t *testing.T) {
	const mail = "jane.doe@example.com"
	for _, action := range []string{"mask", "{mask: {keep: 4}}", "{truncate: {text: 2}}", "pseudonymize", "remove"} {
		levels := ""
		if name := strings.Trim(strings.SplitN(action, ":", 2)[0], "{"); name != "truncate" {
			levels = "topic_levels: {" + name + ": [contact.email]}\n"
		}
		p := newParties(t, everything+"unclassified: pass\nclasses: {contact.email: "+action+"}\n"+levels)
		for _, in := range []string{`{"note":"write to ` + mail + ` soon","n":1}`, "write to " + mail + " soon", "[\"write to " + mail + " soon\"]", "{\"a\":1}\n{\"note\":\"write to " + mail + " soon\"}\n"} {
			for _, topic := range []string{"t/1", "a/" + mail + "/b", "a/user-" + mail} {
				v := p.judge(topic, in)
				o := p.protect(&v, &v.Decisions[0], Mapping{Prefix: "up/"})
				p.checkOutput(p.opener(), &v, &v.Decisions[0], Mapping{Prefix: "up/"}, o)
				if o.Outcome == OutcomeSealed { // remove takes a whole text, which a text payload can't do without
					continue
				}
				if run := common(string(o.Payload)+"\n"+o.Topic, mail); len(run) >= 4 && run != ".com" && run != "e.co" && !strings.HasSuffix(mail, run) {
					t.Errorf("%s: %s on %s still shows %q", action, o.Payload, o.Topic, run)
				}
				var left payload.Document
				if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone {
					t.Errorf("%s: %s: %s", action, o.Payload, why)
				}
				if len(v.Decisions[0].Fields) == 0 {
					t.Errorf("nothing was found in %s", in)
				}
			}
		}
	}
}

// A field that takes raw values only is masked with a quoted one.
func TestRawForString(t *testing.T) {
	p := newParties(t, classes("{id.vin: {mask: {keep: 2}}}")+fields("/v", "id.vin"))
	v := p.judge("t/1", `{"v":"a\"b\\cdef"}`)
	at := v.Document.Find("/v")
	v.Document.Fields[at].Accepts = accepts(payload.EditRaw)
	o := p.protect(&v, &v.Decisions[0], Mapping{})
	if o.Outcome != OutcomeTransformed || string(o.Payload) != `{"v":"*******f"}` && string(o.Payload) != `{"v":"******ef"}` {
		t.Errorf("%s %s", o.Outcome, o.Payload)
	}
}
