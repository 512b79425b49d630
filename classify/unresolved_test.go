package classify

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// noise is bytes that nothing decodes to text.
var noise = []byte("\xab\xcd\xef\x12\x34\x56\x78\x90\xab\xcd\xef\x12\x34\x56\x78\x90\xe1\x07\x9c\xd5\x3f\xb8\x44\x83")

func TestUnresolved(t *testing.T) {
	b64, hexed := base64.StdEncoding.EncodeToString, hex.EncodeToString
	bare, url := base64.RawStdEncoding.EncodeToString, base64.URLEncoding.EncodeToString
	twice := b64([]byte(b64(noise)))
	f := newFinder(t, Options{})
	for _, x := range []struct {
		raw  string // of a message, or of the value of a member
		key  string
		want bool
	}{
		{b64(noise), "licensePlate", true},
		{b64(noise[:16]), "email", true},
		{bare(noise[:16]), "patientName", true},
		{url(noise), "phoneNumber", true},
		{hexed(noise), "passportNumber", true},
		{strings.ToUpper(hexed(noise)), "iban", true},
		{twice, "ownerName", true},
		{"%AB%CD%EF%12%34%56%78%90", "plate", true},
		{b64(noise), "latitude", true},
		{b64(noise), "faceFeature", true},
		{hexed(noise[:16]), "face_template", true},
		{b64([]byte("\x1f\x8b\x08" + string(noise))), "plate", true}, // packed, and cut short
		{"<a><plate>" + b64(noise) + "</plate></a>", "", true},
		{"plate=" + b64(noise[:15]) + " lane=2\nplate=" + b64(noise[:15]) + " lane=3\n", "", true},
		{`{"plates":["KI AB 12","` + b64(noise) + `"]}`, "", true},
		{`{"name":"PlateNumber","value":"` + b64(noise) + `"}`, "", true},
		{"\x81\xa5plate\xc4\x18" + string(noise), "", true}, // bytes of MessagePack

		// Found, and with that known.
		{b64(noise), "password", false},
		{hexed(noise), "appKey", false},
		{b64([]byte(strings.Repeat(string(noise), 6))), "faceFeature", false},
		{b64([]byte("KI AB 1234 seen")), "plate", false},
		{b64([]byte(b64([]byte("ida.falk@example.org")))), "email", false},
		// Whatever they are.
		{b64(noise), "payload", false},
		{b64(noise), "name", false},
		{b64(noise), "deviceId", false},
		{b64(noise), "sessionKeyId", false},
		// What only looks encoded.
		{hexed(noise[:16]), "email", false}, // digests
		{hexed(append(noise[:20:20], noise[:12]...)), "vin", false},
		{hexed(noise), "emailHash", false},
		{"aabbccddeeff", "plate", false},
		{"3f2504e0-4f89-11d3-9a0c-0305e82c3301", "patientName", false},
		{"p1snipw24u7kgrl2rpcyejdqmvvm", "driverName", false}, // a pseudonym
		{"AnnaKatrinVogtWessel2", "ownerName", false},
		{"notConfiguredYetByTheInstaller", "phone", false},
		{"", "plate", false},
	} {
		raw := x.raw
		if x.key != "" {
			raw = fmt.Sprintf(`{%q:%q,"lane":2}`, x.key, x.raw)
		}
		for range 2 { // what is remembered changes nothing
			if why := payload.Parse(&f.d, "gate/4", []byte(raw), payload.Limits{}); why != payload.ReasonNone {
				t.Fatalf("parse %s: %s", raw, why)
			}
			r := f.c.Find(&f.s, f.st, &f.d, Context{})
			if got := r.Reason == ReasonUnresolved; got != x.want {
				t.Errorf("%s: reason %q, findings %v", raw, r.Reason, f.describe(r))
			}
		}
	}
}

// What a policy declares, or a detector of its own finds, is known.
func TestUnresolvedDeclared(t *testing.T) {
	raw := `{"email":"a@example.org","plate":"` + base64.StdEncoding.EncodeToString(noise) + `"}`
	site := Custom{Name: "sealed-plate", Class: ClassIDVehiclePlate, Keywords: []string{"plate"}, Confidence: 80}
	for _, x := range []struct {
		name string
		o    Options
		ctx  func(plate int32) Context
		want payload.Reason
	}{
		{"unknown", Options{}, func(int32) Context { return Context{} }, ReasonUnresolved},
		{"declared", Options{}, func(i int32) Context {
			return Context{Declared: []Declaration{{Field: i, Class: ClassIDVehiclePlate}}}
		}, payload.ReasonNone},
		{"another declared", Options{}, func(i int32) Context {
			return Context{Declared: []Declaration{{Field: i - 1, Class: ClassContactEmail}}}
		}, ReasonUnresolved},
		{"harmless", Options{}, func(i int32) Context { return Context{Harmless: []int32{i}} }, payload.ReasonNone},
		{"a detector of the policy", Options{Custom: []Custom{site}}, func(int32) Context { return Context{} }, payload.ReasonNone},
	} {
		f := newFinder(t, x.o)
		payload.Parse(&f.d, "gate/4", []byte(raw), payload.Limits{})
		r := f.c.Find(&f.s, f.st, &f.d, x.ctx(f.d.Find("/plate")))
		if r.Reason != x.want || !r.Classes.Has(ClassContactEmail) {
			t.Errorf("%s: reason %q, findings %v", x.name, r.Reason, f.describe(r))
		}
	}
}
