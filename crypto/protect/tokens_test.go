package protect

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

var tokenShape = regexp.MustCompile(`sealgate1(h\.([A-Za-z0-9_-]*\.){5}|c\.[A-Za-z0-9_-]*\.)`)

// withoutTokens has § for each token.
func withoutTokens(s string) string { return tokenShape.ReplaceAllString(s, "§") }

const secretName = "Mara Beispiel"

// tokenCases: a field is encrypted in every format. want is what leaves, packed
// or not, with § for a token and … for what depends on its length; "" where the
// whole message is sealed.
var tokenCases = []struct{ name, topic, raw, classes, format, want string }{
	{"json array", "crew/1", `[{"driverName":"Mara Beispiel","n":7}]`, "", "json", `[{"driverName":"§","n":7}]`},
	{"json lines", "crew/1", "{\"n\":1}\n{\"driverName\":\"Mara Beispiel\",\"n\":7}\n", "", "jsonl", "{\"n\":1}\n{\"driverName\":\"§\",\"n\":7}\n"},
	{"two in an array", "crew/1", `[{"driverName":"Mara Beispiel"},{"driverName" : "Jo Muster","n":7.50}]`, "", "json", `[{"driverName":"§"},{"driverName" : "§","n":7.50}]`},
	{"senml json", "crew/1", `[{"bn":"dev1","n":"driverName","vs":"x"},{"n":"patient","driverName":"Mara Beispiel"}]`, "", "json", `[{"bn":"dev1","n":"driverName","vs":"x"},{"n":"patient","driverName":"§"}]`},
	{"cbor", "crew/1", "\xa2\x6adriverName\x6dMara Beispiel\x61n\x07", "", "cbor", "\xa2\x6adriverName\x79…§\x61n\x07"},
	{"msgpack", "crew/1", "\x82\xaadriverName\xadMara Beispiel\xa1n\x07", "", "msgpack", "\x82\xaadriverName\xda…§\xa1n\x07"},
	{"xml", "crew/1", `<a><driverName>Mara Beispiel</driverName><n>5</n></a>`, "", "xml", `<a><driverName>§</driverName><n>5</n></a>`},
	{"xml attribute", "crew/1", `<a driverName='Mara Beispiel' n="5"/>`, "", "xml", `<a driverName='§' n="5"/>`},
	{"csv", "crew/1", "driver_name,n\nMara Beispiel,5\n\"Muster, Jo\",6\n", "", "csv", "driver_name,n\n§,5\n\"§\",6\n"},
	{"logfmt", "crew/1", `level=info driver_name="Mara Beispiel" n=5`, "", "logfmt", `level=info driver_name="§" n=5`},
	{"form", "crew/1", "driver_name=Mara+Beispiel&n=7", "", "form", "driver_name=§&n=7"},
	{"line protocol tag", "crew/1", `truck,driver_name=Mara\ Beispiel v=1 1700000000`, "", "lineprotocol", `truck,driver_name=§ v=1 1700000000`},
	{"line protocol field", "crew/1", `truck,x=y driver_name="Mara Beispiel",v=1i 1700000000`, "", "lineprotocol", `truck,x=y driver_name="§",v=1i 1700000000`},
	{"line protocol numbers", "gps/1", `truck,x=y lat=52.516275,lon=13.377704 1700000000`, "location.precise: encrypt", "lineprotocol", `truck,x=y lat="§",lon="§" 1700000000`},
	{"text", "crew/1", "please write to mara@example.org or jo@example.com soon", "contact.email: encrypt", "text", "please write to § or § soon"},
	{"text, one masked", "crew/1", "please write to mara@example.org or +49 30 901820 soon", "contact.email: encrypt, contact.phone: {mask: {keep: 0}}", "text", "please write to § or ************* soon"},
	{"sparkplug", sparkplugTopic, sparkplugDriver(secretName), "", "sparkplug", "\x12…\x0a\x0adriverName\x20\x0c\x38\x01\x4a…\x0a\x08sealgate\x12…\x08\x0c\x42…§\x18\x01"},
	{"sparkplug birth", strings.Replace(sparkplugTopic, "DDATA", "DBIRTH", 1), sparkplugDriver(secretName), "", "sparkplug", "\x12…\x0a\x0adriverName\x20\x0c\x38\x01\x4a…\x0a\x08sealgate\x12…\x08\x0c\x42…§\x18\x01"},
	{"gzip", "crew/1", packedBy("gzip", "driver_name,n\nMara Beispiel,5\n"), "", "gzip", "driver_name,n\n§,5\n"},
	{"zlib", "crew/1", packedBy("zlib", `[{"driverName":"Mara Beispiel"}]`), "", "zlib", `[{"driverName":"§"}]`},
	{"zstd", "crew/1", zstdded("driver_name=Mara+Beispiel&n=7"), "", "zstd", "driver_name=§&n=7"},
	{"zstd around an object", "crew/1", zstdded(`{"driverName":"Mara Beispiel","n":7}`), "", "zstd", `{"driverName":null,"n":7,"_sg":"…"}`},
	{"gzip around an object", "crew/1", packedBy("gzip", `{"driverName":"Mara Beispiel","n":7}`), "", "gzip", `{"driverName":null,"n":7,"_sg":"…"}`},
	{"in base64", "cam/1", `{"v":"` + b64(`{"driverName":"Mara Beispiel","n":7}`) + `","w":1}`, "", "json", `{"v":null,"w":1,"_sg":"…"}`},
	{"in base64, in an array", "cam/1", `[1,"` + b64(`{"driverName":"Mara Beispiel","email":"mara@example.org"}`) + `"]`, "person.name: encrypt, contact.email: {mask: {keep: 0}}", "json", `[1,"§"]`},
	{"in base64, edited before", "cam/1", `[1,"` + b64(`{"email":"mara@example.org","driverName":"Mara Beispiel"}`) + `",2]`, "person.name: encrypt, contact.email: {mask: {keep: 0}}", "json", `[1,"§",2]`},
	{"in base64, twice", "cam/1", `["` + b64(`{"driverName":"Mara Beispiel","ownerName":"Jo Muster"}`) + `",2]`, "", "json", `["§",2]`},
	{"text in base64", "cam/1", `{"v":"` + b64("write to mara@example.org soon") + `"}`, "contact.email: encrypt", "json", `{"v":null,"_sg":"…"}`},
	{"a string of json", "cam/1", `{"v":"{\"driverName\":\"Mara Beispiel\",\"n\":7}"}`, "", "json", `{"v":null,"_sg":"…"}`},
	{"leave has no place", "gps/1", "lat;lon;v\n52.516275;13.377704;1\n", "location.precise: {encrypt: {leave: {generalize: {decimals: 1}}}}", "csv", "lat;lon;v\n§;§;1\n"},
	{"a cell masked beside", "crew/1", "driver_name,email\nMara Beispiel,mara@example.org\n", "person.name: encrypt, contact.email: {mask: {keep: 0}}", "csv", "driver_name,email\n§,****************\n"},

	{"nmea", "gps/1", nmea("GPGLL,4807.038,N,01131.000,E,123519,A"), "location.precise: encrypt", "nmea", ""},
	{"whole text", "crew/1", "mara@example.org", "contact.email: encrypt", "text", ""},
	{"senml time", "crew/1", `[{"n":"x","v":1,"t":1700000000}]`, "declared: /0/t", "json", ""},
	{"xml comment", "crew/1", "<a><!--mara@example.org--><n>5</n></a>", "contact.email: encrypt", "xml", ""},
	{"a token before", "crew/1", "driver_name,n\nMara Beispiel,sealgate1c.AAAA.\n", "", "csv", ""},
}

func packedBy(how, s string) string {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if how == "zlib" {
		w = zlib.NewWriter(&b)
	}
	must(w.Write([]byte(s)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// unpackedBy is what is inside, or raw.
func unpackedBy(t *testing.T, raw []byte) []byte {
	t.Helper()
	var d payload.Document
	inside, why := d.Unpack(raw, payload.Limits{})
	if why != payload.ReasonNone {
		t.Fatalf("unpack: %s", why)
	}
	return inside
}

// reads reports whether got is want, where … stands for anything.
func reads(got, want string) bool {
	parts := strings.Split(want, "…")
	for i, part := range parts {
		at := strings.Index(got, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		got = got[at+len(part):]
	}
	return got == "" || strings.HasSuffix(want, "…")
}

// TestTokens: a field is encrypted by itself in every format; nothing of it
// survives in any encoding, all else stays, and openers give the bytes back.
func TestTokens(t *testing.T) {
	for _, c := range tokenCases {
		t.Run(c.name, func(t *testing.T) {
			classes := c.classes
			if classes == "" {
				classes = "person.name: encrypt"
			}
			src := everything + "unclassified: pass\ngrades: {L3: pass, L4: pass, L5: pass}\n"
			if path, ok := strings.CutPrefix(classes, "declared: "); ok {
				classes = "industrial.sensitive: encrypt"
				src += fields(path, "industrial.sensitive")
			}
			src += "classes: {" + classes + "}\n"
			p := newParties(t, src)
			v := p.judge(c.topic, c.raw)
			d := &v.Decisions[0]
			if got := v.Document.FormatName(); got != c.format {
				t.Fatalf("read as %s (%s), want %s", got, v.Reason, c.format)
			}
			inside := string(v.Document.Raw)
			values := hiddenValues(&v, d)
			if len(values) == 0 && c.want != "" {
				t.Fatal("nothing is to be hidden")
			}
			o := p.protect(&v, d, Mapping{})
			if c.want == "" {
				if o.Outcome != OutcomeSealed {
					t.Errorf("%s: %q", o.Outcome, o.Payload)
				}
				return
			}
			if o.Outcome != OutcomeEncrypted {
				t.Fatalf("%s (%s): %q", o.Outcome, o.Reason, o.Payload)
			}
			out := unpackedBy(t, o.Payload)
			if got := withoutTokens(string(out)); !reads(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, value := range values {
				for how, form := range encodingsOf(value) {
					if bytes.Contains(out, form) || bytes.Contains(o.Payload, form) {
						t.Errorf("%q survives in %s", value, how)
					}
				}
			}
			var left payload.Document
			if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone || left.FormatName() != c.format {
				t.Errorf("what left is %s, %s", left.FormatName(), why)
			}
			got := p.open(o)
			if back := string(unpackedBy(t, got.Payload)); back != inside && !strings.Contains(c.name, "masked") {
				t.Errorf("opened %q, want %q", back, inside)
			}
			if !got.Verified || len(got.Fields) == 0 {
				t.Errorf("opened %+v", got)
			}
			if string(o.Payload) != string(out) && string(got.Payload) == string(unpackedBy(t, got.Payload)) {
				t.Error("what was packed is given back unpacked")
			}
		})
	}
}

// hiddenValues are the texts that a decision encrypts.
func hiddenValues(v *policy.Verdict, d *policy.Decision) (values []string) {
	for _, fa := range d.Fields {
		text := v.Document.Text(fa.Field)
		if fa.End > 0 {
			text = text[fa.Start:fa.End]
		}
		if fa.Action.Spec.Trailer && len(text) >= 5 {
			values = append(values, string(text))
		}
	}
	return values
}

// encodingsOf are the ways in which a value could survive.
func encodingsOf(value string) map[string][]byte {
	forms := map[string][]byte{
		"clear": []byte(value), "hex": []byte(hex.EncodeToString([]byte(value))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(value)))),
		"form": []byte(strings.ReplaceAll(value, " ", "+")), "percent": []byte(strings.ReplaceAll(value, " ", "%20")), "line protocol": []byte(strings.ReplaceAll(value, " ", `\ `)),
		"utf-16": []byte(strings.Join(strings.Split(value, ""), "\x00")),
	}
	for shift := range 3 { // base64 at any offset
		s := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + value))
		from := []int{0, 2, 3}[shift]
		forms[fmt.Sprintf("base64+%d", shift)] = []byte(s[from : len(s)-4])
	}
	return forms
}

// TestFreeTextColumn: under the built-in policy a table with a column of free
// text leaves as a table, whose other columns are as they were.
func TestFreeTextColumn(t *testing.T) {
	p := newParties(t, "")
	for in, want := range map[string]string{
		"time,level,note\n1700000000,3,the door was opened late\n1700000001,4,all fine again\n": "time,level,note\n1700000000,3,§\n1700000001,4,§\n",
		"ts;temp;remark\r\n1;21.5;\"hello; there\"\r\n2;21.6;\r\n":                              "ts;temp;remark\r\n1;21.5;\"§\"\r\n2;21.6;\r\n",
		"id, note\n1, hello there\n2, all is fine\n":                                            "id, note\n1, §\n2, §\n",
		"1,21.5,hello there friend\n2,21.6,all is fine\n":                                       "1,21.5,§\n2,21.6,§\n",
		"temp,21.5\nhum,40\nnote,hello there\n":                                                 "temp,21.5\nhum,40\nnote,§\n",
	} {
		o := p.send("hall/1", in)
		if got := withoutTokens(string(o.Payload)); got != want {
			t.Errorf("%s (%s): %q, want %q", o.Outcome, o.Reason, got, want)
			continue
		}
		if got := p.open(o); string(got.Payload) != in {
			t.Errorf("opened %q, want %q", got.Payload, in)
		}
	}
}

// TestTokenAudiences: who may open one field only gets that one, and the token
// of the other stays.
func TestTokenAudiences(t *testing.T) {
	p := newParties(t, everything+"unclassified: pass\ngrades: {L3: pass, L4: pass}\nclasses: {person.name: {encrypt: {recipients: [ops]}}, contact.email: {encrypt: {recipients: [police]}}}\n")
	const in = "driver_name,email,n\nMara Beispiel,mara@example.org,5\n"
	o := p.send("crew/1", in)
	if o.Outcome != OutcomeEncrypted || len(o.KIDs) != 2 {
		t.Fatalf("%s (%s), %d keys", o.Outcome, o.Reason, len(o.KIDs))
	}
	for _, c := range []struct {
		audiences []string
		want      string
	}{
		{[]string{"ops"}, "driver_name,email,n\nMara Beispiel,§,5\n"},
		{[]string{"police"}, "driver_name,email,n\n§,mara@example.org,5\n"},
		{[]string{"police", "ops"}, in}, {[]string{"recovery"}, in},
	} {
		got := p.open(o, c.audiences...)
		if s := withoutTokens(string(got.Payload)); s != c.want {
			t.Errorf("%v open %q, want %q", c.audiences, s, c.want)
		}
		opened := 0
		for _, f := range got.Fields {
			if f.Opened {
				opened++
			}
		}
		if !got.Verified || opened != 2-strings.Count(c.want, "§") {
			t.Errorf("%v open %+v", c.audiences, got.Fields)
		}
	}
}

// TestTokenLimits: a message that would become too large, or has too many
// fields, is sealed.
func TestTokenLimits(t *testing.T) {
	p := newParties(t, everything+"unclassified: pass\ngrades: {L3: pass, L4: pass}\nclasses: {contact.email: encrypt}\n")
	table := "email,n\n" + strings.Repeat("mara@example.org,5\n", 1025)
	if o := p.send("crew/1", table); o.Outcome != OutcomeSealed {
		t.Errorf("1025 fields: %s", o.Outcome)
	}
	v := p.judge("crew/1", table[:len("email,n\n")+20*len("mara@example.org,5\n")])
	for limit, want := range map[int]Outcome{0: OutcomeEncrypted, 1500: OutcomeSealed} {
		p.seq++
		if o := p.protector.Protect(&v, &v.Decisions[0], Request{Seq: p.seq, MessageID: [16]byte{9}, Limit: limit}); o.Outcome != want {
			t.Errorf("limit %d: %s", limit, o.Outcome)
		}
	}
	if !slices.Contains(tokenShape.FindAllString("xsealgate1c.AA.y", -1), "sealgate1c.AA.") {
		t.Error("tokens are not found")
	}
}
