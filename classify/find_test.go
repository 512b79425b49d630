package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

type finder struct {
	t  *testing.T
	c  *Classifier
	s  Scratch
	st *State
	d  payload.Document
}

func newFinder(t *testing.T, o Options) *finder {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &finder{t: t, c: c, st: NewState()}
}

func (f *finder) find(topic, raw string, ctx Context) Result {
	f.t.Helper()
	if why := payload.Parse(&f.d, topic, []byte(raw), payload.Limits{}); why != "" {
		f.t.Fatalf("parse %s: %s", raw, why)
	}
	r := f.c.Find(&f.s, f.st, &f.d, ctx)
	if r.Reason != "" {
		f.t.Fatalf("find in %s: %s", raw, r.Reason)
	}
	return r
}

// describe lists findings as "path class grade", in order.
func (f *finder) describe(r Result) []string {
	var out []string
	for _, x := range r.Findings {
		at := string(f.d.AppendPath(nil, x.Field))
		if !x.Whole() {
			at += fmt.Sprintf("[%d:%d]", x.Start, x.End)
		}
		out = append(out, fmt.Sprintf("%s %s %s", at, x.Class, x.Grade))
	}
	return out
}

func TestFind(t *testing.T) {
	for _, x := range []struct {
		name, topic, payload string
		want                 []string
		grade                Grade
	}{
		{"nothing", "plant/7/temp", `{"temperature":21.5,"ok":true,"state":"running","ts":1718000123456}`, nil, L1},
		{"a plain number", "plant/7/temp", `21.5`, nil, L1},
		{"an empty payload", "plant/7/temp", ``, nil, L1},
		{"a plate event", "cam/4/anpr", `{"plate":"KI AB 1234","speed":31}`, []string{"/plate id.vehicle_plate L3"}, L3},
		{"a plate at a time and place", "anpr", `{"plate":"KI AB 1234","camera":"north","time":"2031-04-17T10:22:01Z"}`,
			[]string{"/plate id.vehicle_plate L4"}, L4},
		{"a name is a device's", "hub", `{"name":"Ida Falk","type":"lamp"}`, nil, L1},
		{"a name is a person's", "hub", `{"owner":{"name":"Ida Falk"}}`, []string{"/owner/name person.name L2"}, L2},
		{"a name beside health", "ward", `{"patientName":"Ida Falk","heartRate":71}`,
			[]string{"/patientName person.name L4", "/heartRate health L4"}, L4},
		{"health alone", "ward", `{"heartRate":71}`, []string{"/heartRate health L4"}, L4},
		{"coarse", "poi", `{"lat":54.32,"lon":10.13}`, []string{"/lat location.coarse L2", "/lon location.coarse L2"}, L2},
		{"precise", "poi", `{"lat":54.32134,"lon":10.13}`, []string{"/lat location.precise L3", "/lon location.precise L3"}, L3},
		{"trailing zeros are no precision", "poi", `{"lat":54.320000,"lon":10.130000}`,
			[]string{"/lat location.coarse L2", "/lon location.coarse L2"}, L2},
		{"a device at a position", "trk", `{"devEui":"70b3d57ed0041a2b","lat":54.32134,"lon":10.13492}`,
			[]string{"/devEui id.device L2", "/lat location.precise L4", "/lon location.precise L4"}, L4},
		{"who is at home", "home", `{"occupancy":true,"tenantFullName":"Ida Falk"}`,
			[]string{"/occupancy presence.behaviour L3", "/tenantFullName person.name L3"}, L3},
		{"a topic level", "users/ida.falk@example.org/lamp", `{"on":true}`, []string{"topic:1 contact.email L2"}, L2},
		{"the last topic level is a scalar's key", "car/9/password", `hunter-22`, []string{" credential.secret L4"}, L4},
		{"in a text", "log", `call ida.falk@example.org at noon`, []string{"[5:25] contact.email L2"}, L2},
		{"in an array", "log", `{"contacts":{"emails":["a@example.org","b@example.org"]}}`,
			[]string{"/contacts/emails/0 contact.email L2", "/contacts/emails/1 contact.email L2"}, L2},
		{"json lines", "log", "{\"lat\":54.32134,\"lon\":10.13492}\n{\"lat\":1,\"lon\":2}\n",
			[]string{"/0/lat location.precise L3", "/0/lon location.precise L3", "/1/lat location.coarse L2", "/1/lon location.coarse L2"}, L3},
		{"a named value", "m", `[{"name":"password","value":"hunter-22"},{"name":"fan","value":"hunter-22"}]`,
			[]string{"/0/value credential.secret L4"}, L4},
		{"a label of several words is no person", "m", `{"name":"Plate Number","value":"KI EF 91"}`, []string{"/value id.vehicle_plate L3"}, L3},
		{"a person beside a plate", "m", `{"name":"Shelley Long","plate":"KI EF 91"}`,
			[]string{"/name person.name L2", "/plate id.vehicle_plate L3"}, L3},
		{"an attribute of XML names another", "onvif", `<Data><tt:SimpleItem Name="PlateNumber" Value="KI EF 91"/><tt:SimpleItem Name="Lane" Value="2"/></Data>`,
			[]string{"/Data/SimpleItem/Value id.vehicle_plate L3"}, L3},
		{"a named text", "ocr", `{"label":"plate","text":"KI EF 91"}`, []string{"/text id.vehicle_plate L3"}, L3},
		{"a text without a name", "ocr", `{"role":"x","text":"KI EF 91"}`, nil, L1},
		{"what is in a named value", "m", `[{"key":"plates","value":["KI EF 91"]},{"key":"password","value":{"string":"hunter-22","size":9}}]`,
			[]string{"/0/value/0 id.vehicle_plate L3", "/1/value/string credential.secret L4"}, L4},
		{"tokens that name parts of a camera", "onvif", `{"VideoSourceToken":"VideoSource_00a1","ProfileToken":"Profile_100ab"}`, nil, L1},
		{"a value in an object", "m", `{"body_temperature":{"value":38.4,"unit":"C"}}`, []string{"/body_temperature/value health L4"}, L4},
		{"an address holds a phone number", "crm", `{"streetAddress":"Hafenweg 12, tel +49 431 1234567"}`,
			[]string{"/streetAddress contact.address L3"}, L3},
		{"a child", "toy", `{"child":{"firstName":"Ole","age":6}}`, []string{"/child/firstName child L4", "/child/age child L4"}, L4},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFinder(t, Options{})
			r := f.find(x.topic, x.payload, Context{})
			if got := f.describe(r); !slices.Equal(got, x.want) {
				t.Errorf("found %q\nwant %q", got, x.want)
			}
			if r.Grade != x.grade {
				t.Errorf("grade %s, want %s", r.Grade, x.grade)
			}
			for _, g := range r.Findings {
				if !r.Classes.Has(g.Class) || g.Confidence < minConfidence || g.Why == 0 {
					t.Errorf("finding %+v, classes %b", g, r.Classes)
				}
			}
			if n := len(r.Findings); n == 0 && r.Classes != 0 {
				t.Errorf("classes %b without findings", r.Classes)
			}
		})
	}
}

// The spelling of a key does not matter.
func TestKeySpelling(t *testing.T) {
	f := newFinder(t, Options{})
	for _, key := range []string{
		"licensePlate", "license_plate", "LicensePlateNumber", "license-plate", "license plate", "LICENSE_PLATE",
		"vehicle.licensePlate", "recognizedLicensePlate", "licenseplate", "plate2", "plates", "车牌", "抓拍车牌号", "ｌicensePlate", "lic\u200bensePlate",
	} {
		r := f.find("gate", fmt.Sprintf(`{%q:"KI AB 1234"}`, key), Context{})
		if !r.Classes.Has(ClassIDVehiclePlate) {
			t.Errorf("%s: found %v", key, f.describe(r))
		}
	}
	for _, key := range []string{"platePressure", "plateau", "template", "licensePlateConfidence"} {
		r := f.find("gate", fmt.Sprintf(`{%q:"KI 77"}`, key), Context{})
		if r.Classes.Has(ClassIDVehiclePlate) && r.Findings[0].Why&WhyKey != 0 {
			t.Errorf("%s is taken for a plate", key)
		}
	}
}

// What is sensitive stays so, however it is written.
func TestEvasion(t *testing.T) {
	f := newFinder(t, Options{})
	for name, raw := range map[string]string{
		"JSON escapes in the value": `{"x":"\u0069da.falk\u0040example.org"}`,
		"JSON escapes in the key":   `{"pass\u0077ord":"hunter-22"}`,
		"full-width letters":        `{"x":"ｉｄａ．ｆａｌｋ＠ｅｘａｍｐｌｅ．ｏｒｇ"}`,
		"full-width digits":         `{"lat":"５４.３２１３４","x":"DE８９ ３７０４ ００４４ ０５３２ ０１３０ ００"}`,
		"Arabic digits":             `{"x":"DE٨٩ ٣٧٠٤ ٠٠٤٤ ٠٥٣٢ ٠١٣٠ ٠٠"}`,
		"zero-width characters":     "{\"x\":\"ida.fa\u200blk@exa\u2060mple.org\"}",
		"soft hyphens":              "{\"x\":\"DE89\u00ad3704\u00ad0044\u00ad0532\u00ad0130\u00ad00\"}",
		"Cyrillic letters":          `{"x":"ida.falk@ехаmрlе.оrg"}`,
		"Cyrillic key":              `{"раsswоrd":"hunter-22"}`,
		"mathematical letters":      `{"x":"𝐢𝐝𝐚.𝐟𝐚𝐥𝐤@𝐞𝐱𝐚𝐦𝐩𝐥𝐞.𝐨𝐫𝐠"}`,
		"no-break spaces":           "{\"x\":\"DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000\"}",
		"typographic dashes":        "{\"mac\":\"a4‐cf‐12‐0b‐77‐10\"}",
		"a byte-order mark inside":  "{\"x\":\"\ufeffida.falk@example.org\"}",
	} {
		r := f.find("x", raw, Context{})
		if len(r.Findings) == 0 {
			t.Errorf("%s: nothing is found in %s", name, raw)
		}
	}
}

// The range of a finding in folded text is that of the text as it came.
func TestFoldedRange(t *testing.T) {
	f := newFinder(t, Options{})
	for _, x := range []struct{ text, want string }{
		{"write ida@example.org now", "ida@example.org"},
		{"größer: ida@example.org", "ida@example.org"},
		{"an ｉda@example.org ok", "ｉda@example.org"},
		{"an ida@exa\u200bmple.org ok", "ida@exa\u200bmple.org"},
		{"姓名 ida＠example．org 完", "ida＠example．org"},
		{"ends with ｉda@example.ｏrg", "ｉda@example.ｏrg"},
	} {
		r := f.find("log", x.text, Context{})
		if len(r.Findings) != 1 {
			t.Errorf("%q: found %v", x.text, f.describe(r))
			continue
		}
		g := r.Findings[0]
		text := f.d.Text(g.Field)
		got := string(text)
		if !g.Whole() {
			got = string(text[g.Start:g.End])
		}
		if got != x.want {
			t.Errorf("%q: found %q, want %q", x.text, got, x.want)
		}
	}
}

func TestInKey(t *testing.T) {
	f := newFinder(t, Options{})
	r := f.find("x", `{"ida.falk@example.org":1,"b":2}`, Context{})
	if !r.InKey || len(r.Findings) != 1 || r.Findings[0].Why&WhyInKey == 0 || r.Findings[0].Class != ClassContactEmail {
		t.Errorf("an e-mail address as a key: %v, in key %v", f.describe(r), r.InKey)
	}
	r = f.find("x", `{"a4:cf:12:0b:77:10":-71,"b":2}`, Context{})
	if r.InKey || !r.Classes.Has(ClassIDDevice) {
		t.Errorf("a hardware address as a key: %v, in key %v", f.describe(r), r.InKey)
	}
	r = f.find("x", `{"4111111111111111":{"a":1}}`, Context{})
	if len(r.Findings) > 0 && r.Findings[0].Class == ClassFinanceCard && !r.InKey {
		t.Errorf("a card as a key: %v, in key %v", f.describe(r), r.InKey)
	}
}

func TestDeclared(t *testing.T) {
	f := newFinder(t, Options{})
	raw := `{"recipe":"A-77","password":"hunter-22","speed":4}`
	f.find("x", raw, Context{})
	field := func(path string) int32 {
		for i := range f.d.Fields {
			if string(f.d.AppendPath(nil, int32(i))) == path {
				return int32(i)
			}
		}
		t.Fatalf("no field %s", path)
		return 0
	}
	r := f.find("x", raw, Context{Declared: []Declaration{
		{Field: field("/recipe"), Class: ClassIndustrialSensitive, Grade: L5},
		{Field: field("/password"), Class: ClassPresenceBehaviour},
		{Field: 99, Class: ClassHealth},
	}})
	want := []string{"/recipe industrial.sensitive L5", "/password credential.secret L4"}
	if got := f.describe(r); !slices.Equal(got, want) || r.Grade != L5 {
		t.Errorf("found %q, grade %s; want %q", got, r.Grade, want)
	}
	if g := r.Findings[0]; g.Raised&RaiseDeclared == 0 || g.Why != WhyDeclared || f.c.DetectorName(g.Detector) != "declared" {
		t.Errorf("declared finding %+v", g)
	}
}

func TestPanicBecomesReason(t *testing.T) {
	c, err := compile(Options{}, []detector{{name: "boom", class: ClassHealth, on: onKey, senses: []sense{sensePassword},
		find: func(*candidate) (match, bool) { panic("ida.falk@example.org") }}})
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{t: t, c: c}
	if why := payload.Parse(&f.d, "x", []byte(`{"password":"hunter-22"}`), payload.Limits{}); why != "" {
		t.Fatal(why)
	}
	if r := c.Find(&f.s, nil, &f.d, Context{}); r.Reason != ReasonPanic || r.Grade != Ungraded || len(r.Findings) != 0 {
		t.Errorf("a panic gives %+v", r)
	}
	// The scratch is usable again.
	if r := f.find("x", `{"a":1}`, Context{}); r.Grade != L1 {
		t.Errorf("after a panic: %+v", r)
	}
}

// A device that invents keys, topics and labels does not grow the memory, and
// does not lose what others' keys mean.
func TestMemoryIsBounded(t *testing.T) {
	f := newFinder(t, Options{})
	for i := range 6000 {
		r := f.find(fmt.Sprintf("t/%d", i), fmt.Sprintf(`{"k%da":1,"type":"kind%d","password":"hunter-22"}`, i, i), Context{})
		if !r.Classes.Has(ClassCredentialSecret) {
			t.Fatalf("message %d: found %v", i, f.describe(r))
		}
		if len(f.s.mem.paths) > maxPaths+16 || len(f.s.mem.topics) > maxTopics || len(f.s.mem.keys) > maxPathKeys+256 {
			t.Fatalf("message %d: %d paths, %d topics, %d bytes", i, len(f.s.mem.paths), len(f.s.mem.topics), len(f.s.mem.keys))
		}
	}
	// One document with more keys than fit.
	var b strings.Builder
	for i := range 3 * maxPaths {
		fmt.Fprintf(&b, `,"key%d":"x"`, i)
	}
	raw := `{"a":1` + b.String() + `,"password":"hunter-22"}`
	for range 2 {
		if r := f.find("t", raw, Context{}); !r.Classes.Has(ClassCredentialSecret) {
			t.Fatalf("many keys: found %v", f.describe(r))
		}
	}
	f.find("t", `{"a":1}`, Context{})
	if n := cap(f.s.mem.paths); n > 2*maxPaths {
		t.Errorf("room for %d paths is kept", n)
	}
}

// Keys with one hash are told apart by their bytes.
func TestHashCollision(t *testing.T) {
	f := newFinder(t, Options{})
	if why := payload.Parse(&f.d, "x", []byte(`{"password":"hunter-22","humidity":"hunter-23"}`), payload.Limits{}); why != "" {
		t.Fatal(why)
	}
	for i := range f.d.Fields {
		f.d.Fields[i].PathHash = 42
	}
	r := f.c.Find(&f.s, nil, &f.d, Context{})
	if got := f.describe(r); !slices.Equal(got, []string{"/password credential.secret L4"}) {
		t.Errorf("found %q", got)
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	c, d := benchDocument(t)
	var s Scratch
	st := NewState()
	c.Find(&s, st, d, Context{Now: 1, Subject: 7})
	if n := testing.AllocsPerRun(100, func() { c.Find(&s, st, d, Context{Now: 1, Subject: 7}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A Scratch that has served one classifier serves another.
func TestScratchFollowsClassifier(t *testing.T) {
	a := newFinder(t, Options{})
	b := newFinder(t, Options{Grades: map[ClassID]Grade{ClassCredentialSecret: L2}})
	raw := `{"password":"hunter-22"}`
	if r := a.find("x", raw, Context{}); r.Grade != L4 {
		t.Errorf("grade %s", r.Grade)
	}
	a.c = b.c
	if r := a.find("x", raw, Context{}); r.Grade != L2 {
		t.Errorf("grade %s after the swap", r.Grade)
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{benchMessage, `{"lat":54.32134,"lon":"10.1"}`, "Password: x\n\u200b１２３", `[[[1.5,2.5]],{"u":"lat","v":1}]`,
		"$GPGLL,5419.280,N,01008.095,E,101215,A*2C", "a@b c:d://e=f 0-0:96.1.1(00)", `{"a@b.c":{"":""}}`, "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 +49 (0) 1.2-3/4"} {
		f.Add("a/b/lat", []byte(s))
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	var s Scratch
	st := NewState()
	f.Fuzz(func(t *testing.T, topic string, raw []byte) {
		var d payload.Document
		payload.Parse(&d, topic, raw, payload.Limits{})
		r := c.Find(&s, st, &d, Context{Now: 1, Subject: 1})
		if r.Reason != "" {
			t.Fatalf("find gives up: %s", r.Reason)
		}
		last := Finding{Field: -1}
		for _, x := range r.Findings {
			n := uint32(len(d.Text(x.Field)))
			if x.Class == ClassNone || x.Grade == Ungraded || !x.Whole() && (x.Start >= x.End || x.End > n) {
				t.Fatalf("finding %+v in a text of %d", x, n)
			}
			if x.Field < last.Field || x.Field == last.Field && x.Start < last.Start {
				t.Fatalf("findings out of order: %+v after %+v", x, last)
			}
			last = x
		}
		if g := c.Combine(&s, &d, r.Findings); g != r.Grade {
			t.Fatalf("combining again gives %s after %s", g, r.Grade)
		}
	})
}

// No text makes finding slow: what starts too many detectors is refused, and
// the rest stays in proportion to its size.
func TestWorkIsBounded(t *testing.T) {
	f := newFinder(t, Options{})
	for _, x := range []string{"1 2 3 4 5 6 ", "12-", "(1)", "A1 ", "1.2.3.4.", "pw:", "pw=", "a@", "12:34:", "1234567890123 ",
		"4111 1111 1111 1111 ", "DE89 3704 ", "street 1 ", "１２３ ", "1,", "token=aB3", "\u200b1", "-----BEGIN ", "data:image/", "$GPGLL,", "/9j/", "UklGR", "geo:", "0-0:96.1.1("} {
		text := strings.Repeat(x, (256<<10)/len(x))
		if why := payload.Parse(&f.d, "t", []byte(text), payload.Limits{}); why != "" {
			t.Fatalf("parse %q: %s", x, why)
		}
		r := f.c.Find(&f.s, f.st, &f.d, Context{})
		work, limit := f.s.work, f.s.maxWork
		if r.Reason != "" && r.Reason != ReasonCostly {
			t.Errorf("%q: %s", x, r.Reason)
		}
		if r := f.find("t", `{"password":"hunter-22"}`, Context{}); !r.Classes.Has(ClassCredentialSecret) {
			t.Errorf("after %q: found %v", x, f.describe(r))
		}
		if work > 2*limit {
			t.Errorf("%q: %d detectors were started", x, work)
		}
	}
}
