package protect

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// everyFormat are payloads of each format that is rewritten in place, with what
// detectors find by themselves: texts, and numbers where the format has any.
var everyFormat = []struct{ format, topic, raw string }{
	{"json", "crew/1", `{"driverName":"Mara Beispiel","email":"mara@example.org","plate":"B-AB 1234","lat":52.516275,"lon":13.377704,"n":7}`},
	{"jsonl", "crew/1", "{\"n\":7}\n{\"driverName\":\"Mara Beispiel\",\"lat\":52.516275,\"lon\":13.377704}\n"},
	{"json", "crew/1", `[{"bn":"dev1","n":"email","vs":"mara@example.org"},{"n":"lat","v":52.516275},{"n":"lon","v":13.377704}]`},
	{"cbor", "crew/1", "\xa4\x6adriverName\x6dMara Beispiel\x61n\x07\x63lat\xfb\x40\x4a\x42\x15\x4c\x98\x5f\x07\x63lon\xfb\x40\x2a\xc1\x62\x69\x3f\xd7\x5e"},
	{"msgpack", "crew/1", "\x82\xaadriverName\xadMara Beispiel\xa1n\x07"},
	{"sparkplug", sparkplugTopic, sparkplugDriver(secretName)},
	{"xml", "crew/1", `<a plate='B-AB 1234'><driverName>Mara Beispiel</driverName><lat>52.516275</lat><lon>13.377704</lon><n>7</n></a>`},
	{"csv", "crew/1", "driver_name,email,plate,lat,lon,n\nMara Beispiel,mara@example.org,B-AB 1234,52.516275,13.377704,7\n"},
	{"logfmt", "crew/1", `driver_name="Mara Beispiel" email=mara@example.org lat=52.516275 lon=13.377704 n=7`},
	{"lineprotocol", "crew/1", `truck,driver_name=Mara\ Beispiel plate="B-AB 1234",lat=52.516275,lon=13.377704,n=7i 1700000000`},
	{"form", "crew/1", "driver_name=Mara+Beispiel&email=mara%40example.org&lat=52.516275&lon=13.377704&n=7"},
	{"text", "crew/1", "please write to mara@example.org or call +49 30 901820 before seven"},
	{"nmea", "crew/1", nmea("GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") + "\r\n"},
	{"json", "crew/1", `{"v":"` + b64(`{"driverName":"Mara Beispiel","lat":52.516275,"lon":13.377704}`) + `","n":7}`},
	{"gzip", "crew/1", packedBy("gzip", `{"driverName":"Mara Beispiel","lat":52.516275,"lon":13.377704,"n":7}`)},
	{"zlib", "crew/1", packedBy("zlib", "driver_name,email,n\nMara Beispiel,mara@example.org,7\n")},
	{"zstd", "crew/1", zstdded(`<a><driverName>Mara Beispiel</driverName><n>7</n></a>`)},
}

// TestEveryActionInEveryFormat: each action on what is found in each format.
// What leaves is read as the same format or sealed, shows nothing in any of its
// fields that may not stay, keeps the fields that nothing was found in, and what
// is encrypted opens to what went in.
func TestEveryActionInEveryFormat(t *testing.T) {
	for _, u := range uses {
		src := everything + "unclassified: pass\ngrades: {L3: pass, L4: pass, L5: pass}\nclasses:\n"
		for _, class := range strings.Fields("person.name contact.email contact.phone id.vehicle_plate location.precise") {
			action := u.action
			switch where, of := class == "location.precise", strings.Contains(action, "decimals") || strings.Contains(action, "grid"); {
			case where && (strings.Contains(action, "bucket") || strings.Contains(action, "band")), !where && of:
				action = "mask" // these are for coordinates alone, or for anything else
			}
			src += "  " + class + ": " + action + "\n"
		}
		p := newParties(t, src)
		opener := p.opener()
		for _, c := range everyFormat {
			v := p.judge(c.topic, c.raw)
			d := &v.Decisions[0]
			if got := v.Document.FormatName(); got != c.format || len(v.Findings) == 0 {
				t.Fatalf("%q is read as %s (%s), and %d things are found", c.raw, got, v.Reason, len(v.Findings))
			}
			found := map[int32]bool{}
			var values, kept []string
			for _, f := range v.Findings {
				text := v.Document.Text(f.Field)
				if !f.Whole() {
					text = text[f.Start:f.End]
				}
				found[f.Field] = true
				values = append(values, string(text))
			}
			for i := range v.Document.Fields {
				f := &v.Document.Fields[i]
				if path := string(v.Document.AppendPath(nil, int32(i))); f.Kind.Leaf() && !found[int32(i)] && path != "" && path != "/v" {
					kept = append(kept, path+" "+string(v.Document.Text(int32(i))))
				}
			}
			o := p.protect(&v, d, Mapping{})
			p.checkOutput(opener, &v, d, Mapping{}, o)
			if o.Outcome < OutcomeTransformed || o.Outcome > OutcomeSealed {
				t.Errorf("%s on %q: %s (%s)", u.action, c.raw, o.Outcome, o.Reason)
				continue
			}
			// Numbers of a sentence are no place for stars, nor for ciphertext.
			if want, ok := map[string]Outcome{"mask": OutcomeTransformed, "encrypt": OutcomeEncrypted}[u.action]; ok && o.Outcome != want && c.format != "nmea" {
				t.Errorf("%s on %q: %s (%s)", u.action, c.raw, o.Outcome, o.Reason)
			}
			if o.Outcome == OutcomeSealed {
				for _, value := range values {
					for how, form := range encodingsOf(value) {
						if len(form) > 4 && bytes.Contains(o.Payload, form) {
							t.Errorf("%s on %q: %q stands in the envelope, %s", u.action, c.raw, value, how)
						}
					}
				}
				continue
			}
			var left payload.Document
			if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone || left.FormatName() != c.format {
				t.Errorf("%s on %q: what left is %s (%s): %q", u.action, c.raw, left.FormatName(), why, o.Payload)
				continue
			}
			for i := range left.Fields {
				f := &left.Fields[i]
				text := withoutTokens(string(left.Text(int32(i))))
				if path := string(left.AppendPath(nil, int32(i))); !f.Kind.Leaf() || strings.HasSuffix(path, "/_sg") || strings.HasPrefix(path, "topic:") {
					continue
				}
				for _, value := range values {
					if run := common(text, value); len(run) >= 4 && (u.allow == nil || !u.allow(value, run)) {
						t.Errorf("%s on %q: %q still shows %q", u.action, c.raw, text, run)
					}
				}
			}
			for _, was := range kept {
				path, text, _ := strings.Cut(was, " ")
				if at := left.Find(path); at < 0 || string(left.Text(at)) != text {
					t.Errorf("%s on %q: %s was %q: %q", u.action, c.raw, path, text, o.Payload)
				}
			}
			// Beside a mask, and without what remove took, it opens to less.
			if o.Outcome == OutcomeEncrypted && strings.Contains(u.action, "encrypt") && !strings.Contains(src, "mask\n") && !strings.Contains(u.action, "leave: remove") {
				if got, err := opener.Open(o.Topic, o.Payload); err != nil || !sameUnpacked(t, got.Payload, []byte(c.raw)) {
					t.Errorf("%s on %q opens to %q, %v", u.action, c.raw, got.Payload, err)
				}
			}
		}
	}
}

// sameUnpacked reports whether two payloads are the same, or are packed and hold
// the same.
func sameUnpacked(t *testing.T, a, b []byte) bool {
	t.Helper()
	if bytes.Equal(a, b) {
		return true
	}
	var d, e payload.Document
	inA, whyA := d.Unpack(a, payload.Limits{})
	inB, whyB := e.Unpack(b, payload.Limits{})
	return whyA == payload.ReasonNone && whyB == payload.ReasonNone && bytes.Equal(inA, inB) && !bytes.Equal(inA, a)
}
