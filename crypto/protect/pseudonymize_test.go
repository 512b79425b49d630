package protect

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		class classify.ClassID
		want  string
		forms []string
	}{
		{classify.ClassContactEmail, "jane.doe@example.com", []string{"Jane.Doe@Example.COM", " jane.doe@example.com\n"}},
		{classify.ClassContactEmail, "jürgen@example.com", []string{"JÜRGEN@example.com", "ju\u0308rgen@example.com"}},
		{classify.ClassContactPhone, "+493090182034", []string{"+49 30 90182034", "0049-30-901820-34", "+49 (0)30 / 90182034", "+49(30)90182034"}},
		{classify.ClassContactPhone, "03090182034", []string{"030 90182034", "030/90182034"}},
		{classify.ClassContactPhone, "", []string{"+", "n/a", "00"}},
		{classify.ClassIDVehiclePlate, "BAB123", []string{"B-AB 123", "b ab123", "B·AB 123"}},
		{classify.ClassIDVehiclePlate, "沪A12345", []string{"沪A·12345", "沪a 12345"}},
		{classify.ClassFinanceIBAN, "DE89370400440532013000", []string{"DE89 3704 0044 0532 0130 00", "de89370400440532013000"}},
		{classify.ClassIDVIN, "WVWZZZ1JZXW000001", []string{"wvwzzz1jzxw000001", "WVW-ZZZ1JZ-XW000001"}},
		{classify.ClassPersonName, "jane doe", []string{"Jane Doe", "  JANE \t doe "}},
		{classify.ClassPersonName, "józef", []string{"Józef", "Jo\u0301zef"}},
		{classify.ClassIDDevice, "ACDE48123456", []string{"ac:de:48:12:34:56", "AC-DE-48-12-34-56", "acde.4812.3456", "acde48123456"}},
		{classify.ClassIDDevice, "dev-1.1", []string{"dev-1.1"}}, // is not dev-11
		{classify.ClassNetIP, "2001:db8::1", []string{"2001:DB8:0:0::1", "2001:db8::0001"}},
		{classify.ClassNetIP, "203.0.113.7", []string{"203.0.113.7", "::ffff:203.0.113.7"}},
		{classify.ClassCredentialToken, "AbC", []string{" AbC "}},
	} {
		for _, form := range c.forms {
			if got := string(normalize([]byte("+"), c.class, []byte(form))[1:]); got != c.want {
				t.Errorf("%s %q: %q, want %q", c.class, form, got, c.want)
			}
		}
	}
}

// Equal values have equal tokens whether they are text, a number or a topic
// level; domains and classes are apart.
func TestTokensJoin(t *testing.T) {
	p := newParties(t, everything+"unclassified: pass\nclasses: {id.vin: pseudonymize, id.passport: pseudonymize, id.driver: {pseudonymize: {domain: other}}}\n"+
		"topic_levels: {pseudonymize: [id.vin]}\n"+
		fields("/n", "id.vin", "/s", "id.vin", "topic:1", "id.vin", "/p", "id.passport", "/d", "id.driver"))
	o := p.send("t/4711-08", `{"n":471108,"s":"4711 08","p":"471108","d":"471108"}`)
	if o.Outcome != OutcomeTransformed {
		t.Fatalf("%s (%s)", o.Outcome, o.Reason)
	}
	token := o.Topic[len("t/"):]
	if len(token) != 28 || !strings.HasPrefix(token, "p1") {
		t.Fatalf("token %q", token)
	}
	if s := string(o.Payload); !strings.HasPrefix(s, `{"n":"`+token+`","s":"`+token+`",`) || strings.Count(s, token) != 2 || strings.Count(s, `"p1`) != 4 {
		t.Errorf("%s: want tokens %s", s, token)
	}
}
