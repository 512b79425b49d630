package learn

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

func learner(t testing.TB, o Options) *Learner {
	t.Helper()
	o.Vocab.Actions = protect.Specs()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// compiled compiles a draft as a gateway would that permits observe mode.
func compiled(t testing.TB, draft []byte) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(draft, policy.Vocabulary{Actions: protect.Specs()}, policy.Guard{Observe: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, draft)
	}
	return p
}

// site is the traffic of a small site; values holds what must not be kept.
func site(l *Learner) (values []string) {
	say := func(topic, payload string) { l.Add(topic, []byte(payload)) }
	for i := range 40 {
		mail, plate := fmt.Sprintf("marta%d@nordhafen.example", i), fmt.Sprintf("KI AB %d", 1000+i)
		device, note := fmt.Sprintf("70b3d57ed00%05x", i*7919), fmt.Sprintf("left at gate %d, see Jonas", i)
		values = append(values, mail, plate, device, note, "Marta", "Lindqvist", "Tr0ub4dor")
		say(fmt.Sprintf("cameras/gate-%d/anpr", i%5), fmt.Sprintf(`{"plate":"%s","camera":"gate-%d","confidence":0.9}`, plate, i%5))
		say(fmt.Sprintf("cameras/gate-%d/status", i%5), `{"state":"online","uptime":5321}`)
		say("doors/"+device+"/access", fmt.Sprintf(`{"holder":{"firstName":"Marta","lastName":"Lindqvist","email":"%s"},"note":"%s"}`, mail, note))
		say("plant/oven/temperature", "181.5")
		say("plant/press/temperature", "21.5")
		say("plant/mixer/temperature", "35")
		say("owntracks/marta/phone", fmt.Sprintf(`{"_type":"location","lat":54.32%d,"lon":10.13%d}`, 1000+i, 2000+i))
		say("register/"+mail, fmt.Sprintf(`{"devices":{"%s":{"wifi":{"password":"Tr0ub4dor&3-%d"}}}}`, device, i))
	}
	say("doors/70b3d57ed0012345/firmware", "\x00\x01\x02\x03")
	say("$SYS/broker/uptime", "1")
	return values
}

func TestDraft(t *testing.T) {
	l := learner(t, Options{Profile: "eu"})
	values := site(l)
	inv := l.Inventory()
	draft := inv.Draft()
	p := compiled(t, draft)
	for _, r := range p.Routes() {
		if !r.Observes() {
			t.Errorf("route %q does not observe", r.Name)
		}
	}
	var all strings.Builder
	all.Write(draft)
	fmt.Fprintf(&all, "%+v", inv)
	for _, v := range values {
		if strings.Contains(all.String(), v) {
			t.Errorf("the value %q was kept\n%s", v, draft)
		}
	}
	var topics []string
	for _, r := range inv.Routes {
		topics = append(topics, r.Topics...)
	}
	if want := []string{"cameras/+/anpr", "cameras/+/status", "doors/+/access", "doors/+/firmware", "owntracks/+/+", "plant/+/temperature", "register/+", "#"}; !slices.Equal(topics, want) {
		t.Errorf("topics %q, want %q", topics, want)
	}
	if inv.Messages != 321 || inv.Stray != 1 || inv.Routes[3].Unread != 1 {
		t.Errorf("%d messages, %d stray, %d unreadable", inv.Messages, inv.Stray, inv.Routes[3].Unread)
	}
	anpr := inv.Routes[0]
	if len(anpr.Found) == 0 || anpr.Found[0].Class.Name != "id.vehicle_plate" || anpr.Found[0].Messages != 40 || !slices.Equal(anpr.Found[0].Paths, []string{"/plate"}) {
		t.Errorf("found %+v", anpr.Found)
	}
	for _, want := range []string{"# Password, shared key or other secret: L4 in 40 of 40, at /devices/*/wifi/password.", "      credential.secret: encrypt   # Only its recipients read it", `topic: "doors/+/access", path: "/note", grade: L1`, "# record: {purpose: , legal_basis: , retention: 30d, transfer: none}", "/devices/*/wifi/password"} {
		if !strings.Contains(string(draft), want) {
			t.Errorf("the draft lacks %q\n%s", want, draft)
		}
	}
}

// Once its routes enforce, a draft does what the built-in policy does, and its
// comments become settings by taking their "#" away.
func TestDraftEnforced(t *testing.T) {
	l := learner(t, Options{})
	site(l)
	inv := l.Inventory()
	draft := strings.Replace(string(inv.Draft()), "mode: observe", "mode: enforce", 1)
	p := compiled(t, []byte(draft))
	builtIn, err := policy.BuiltIn("", policy.Vocabulary{Actions: protect.Specs()}, policy.Guard{})
	if err != nil {
		t.Fatal(err)
	}
	if d := policy.Diff(builtIn, p); d.Direction != policy.Neither && !onlyRoutes(d) {
		t.Errorf("the draft %s: %+v", d.Word, d.Changes)
	}
	lines := strings.Split(draft, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "# fields:") || strings.HasPrefix(line, "#   - {topic:") {
			lines[i] = strings.TrimPrefix(line[1:], " ")
		}
		if strings.Contains(line, "# record: ") {
			lines[i] = "    record: {purpose: access, legal_basis: 6(1)f, retention: 30d, transfer: none}"
		}
	}
	declared := compiled(t, []byte(strings.Join(lines, "\n")))
	if declared.Routes()[0].Record.Purpose != "access" {
		t.Error("the record was not read")
	}
}

// onlyRoutes reports whether nothing but the cut into routes changed.
func onlyRoutes(d policy.Difference) bool {
	return !slices.ContainsFunc(d.Changes, func(c policy.Change) bool { return c.What != "route" && c.What != "topics" && c.What != "order" })
}

// A message is counted for the route that takes it, whatever the topics, and
// however many there are the draft compiles and is bounded.
func TestRoutesTakeWhatTheyCounted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "site", "up", "v3", "x1", "Ä", "", "temp", "door", "17", "spBv1.0", "tele", "owntracks", "true", "null"}
	payloads := []string{`{"t":1}`, `{"password":"hunter-22"}`, `{"lat":48.137154,"lon":11.576124}`, `{"mail":"a@nordhafen.example"}`, "\x00\x01"}
	for round := range 30 {
		l := learner(t, Options{Routes: 1 + rng.IntN(12)})
		var topics []string
		for range 1 + rng.IntN(400) {
			var levels []string
			for range 1 + rng.IntN(5) {
				levels = append(levels, words[rng.IntN(len(words))])
			}
			topic := strings.Join(levels, "/")
			if topic == "" {
				continue
			}
			topics = append(topics, topic)
			l.Add(topic, []byte(payloads[rng.IntN(len(payloads))]))
		}
		inv := l.Inventory()
		if len(inv.Routes) > l.o.Routes+1 {
			t.Fatalf("%d routes", len(inv.Routes))
		}
		p := compiled(t, inv.Draft())
		got := map[string]int{}
		for _, topic := range topics {
			got[p.Route(topic).Name]++
		}
		for _, r := range inv.Routes {
			if r.Messages != got[r.Name] {
				t.Fatalf("round %d: route %q counted %d messages and takes %d\n%s", round, r.Name, r.Messages, got[r.Name], inv.Draft())
			}
		}
	}
}

// A device that invents topics and keys costs a bounded memory.
func TestBounds(t *testing.T) {
	l := learner(t, Options{})
	noise := func(n int) string {
		b := make([]byte, 8)
		for i := range b {
			b[i] = 'a' + byte(n%26)
			n /= 26
		}
		return string(b)
	}
	for i := range 20_000 {
		l.Add(noise(i)+"/"+noise(i*7)+"/"+noise(i*31)+"/"+noise(i*131), fmt.Appendf(nil, `{"%s":{"%s":"some free text","password":"hunter-%d"}}`, noise(i*17), noise(i*13), i))
	}
	if l.nodes > maxNodes {
		t.Errorf("%d levels", l.nodes)
	}
	inv := l.Inventory()
	if draft := inv.Draft(); len(draft) > 128<<10 {
		t.Errorf("a draft of %d bytes", len(draft))
	}
	for _, r := range inv.Routes {
		if len(r.Loose) > maxPaths {
			t.Errorf("%d paths are remembered", len(r.Loose))
		}
		for _, f := range r.Found {
			if len(f.Paths) > shownPaths || f.More != -1 {
				t.Errorf("%+v", f)
			}
		}
	}
	if inv.Messages != 20_000 {
		t.Errorf("%d messages", inv.Messages)
	}
}

func TestUplinks(t *testing.T) {
	l := learner(t, Options{Vocab: policy.Vocabulary{Uplinks: []string{"city", "plant"}}, Takes: func(u int, topic string) bool { return u == 0 || strings.HasPrefix(topic, "plant/") }})
	l.Add("plant/x", []byte("1"))
	l.Add("other/x", []byte("1"))
	for _, r := range l.Inventory().Routes {
		want := map[string][]Tally{"plant x": {{"city", 1}, {"plant", 1}}, "other x": {{"city", 1}, {"plant", 0}}, "everything else": {{"city", 0}, {"plant", 0}}}[r.Name]
		if !slices.Equal(r.Uplinks, want) {
			t.Errorf("route %q: %+v", r.Name, r.Uplinks)
		}
	}
}

func TestWord(t *testing.T) {
	for w, want := range map[string]bool{
		"temp": true, "v3": true, "spBv1.0": true, "zigbee2mqtt": true, "door-lock": true,
		"": false, "truck-17": false, "marta@x.example": false, "70b3d57e": false, "Ä": false, "a b": false, strings.Repeat("a", 40): false,
	} {
		if word(w) != want {
			t.Errorf("%q is a word: %v", w, !want)
		}
	}
	for w, want := range map[string]bool{"lat": true, "车牌": true, "x_1": false, "wifi2": true, "aa:bb": false, "17": false, "70b3d57e": false} {
		if keyWord(w) != want {
			t.Errorf("%q is a word of a key: %v", w, !want)
		}
	}
}

// FuzzDraft demands that the draft of any traffic compiles.
func FuzzDraft(f *testing.F) {
	f.Add([]byte("a/b\x00{\"password\":\"hunter-22\"}\x00c/1/d\x001"))
	f.Add([]byte("null\x00x\x00true/+\x00\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := learner(t, Options{Routes: 4})
		parts := bytes.Split(raw, []byte{0})
		for i := 0; i+1 < len(parts); i += 2 {
			l.Add(string(parts[i]), parts[i+1])
		}
		inv := l.Inventory()
		compiled(t, inv.Draft())
	})
}
