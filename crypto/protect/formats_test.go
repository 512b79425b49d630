package protect

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sealgate/sealgate/classify/payload"
)

// formatCases: what detectors find by themselves in every format that single
// fields are rewritten in, and what leaves then. "" for want: sealed.
var formatCases = []struct{ name, topic, raw, classes, format, want string }{
	{"sparkplug text", sparkplugTopic, sparkplugDriver("Mara Beispiel"), "person.name: {mask: {keep: 0}}", "sparkplug", sparkplugDriver("*************")},
	{"sparkplug removed", sparkplugTopic, sparkplugDriver("Mara Beispiel"), "person.name: remove", "sparkplug", "\x18\x01"},
	{"msgpack", "gps/1", "\x82\xaadriverName\xa4Mara\xa1n\x07", "person.name: {mask: {keep: 0}}", "msgpack", "\x82\xaadriverName\xa4****\xa1n\x07"},
	{"msgpack removed", "gps/1", "\x82\xaadriverName\xa4Mara\xa1n\x07", "person.name: remove", "msgpack", "\x81\xa1n\x07"},
	{"cbor", "gps/1", "\xa2\x6adriverName\x64Mara\x61n\x07", "person.name: {mask: {keep: 0}}", "cbor", "\xa2\x6adriverName\x64****\x61n\x07"},
	{"form", "gps/1", "email=mara%40example.org&n=7", "contact.email: {mask: {keep: 0}}", "form", "email=****************&n=7"},
	{"zstd", "cam/1", zstdded(`{"plate":"B-AB 1234","n":7}`), "id.vehicle_plate: {mask: {keep: 2}}", "zstd", zstdded(`{"plate":"*******34","n":7}`)},
	{"zstd removed", "cam/1", zstdded(`{"plate":"B-AB 1234","n":7}`), "id.vehicle_plate: remove", "zstd", zstdded(`{"n":7}`)},
	{"base64 in json", "cam/1", `{"v":"` + b64(`{"plate":"B-AB 1234","n":7}`) + `"}`, "id.vehicle_plate: {mask: {keep: 2}}", "json", `{"v":"` + b64(`{"plate":"*******34","n":7}`) + `"}`},
	{"a string of json", "cam/1", `{"v":"{\"plate\":\"B-AB 1234\",\"n\":7}"}`, "id.vehicle_plate: remove", "json", `{"v":"{\"n\":7}"}`},
	{"base64 of text", "cam/1", `{"v":"` + b64("write to mara@example.org soon") + `"}`, "contact.email: {mask: {keep: 0}}", "json", `{"v":"` + b64("write to **************** soon") + `"}`},
	{"an array in a string", "cam/1", `{"coordinates":"[52.516275, 13.377704]"}`, "location.precise: {generalize: {decimals: 2}}", "json", `{"coordinates":"[52.51, 13.37]"}`},
	{"jpeg", "cam/1", "\xff\xd8\xff\xe1\x00\x08GPS 52" + jpegScan, "media.image: strip", "jpeg", "\xff\xd8" + jpegScan},
	{"jpeg in base64", "cam/1", `{"picture":"` + b64("\xff\xd8\xff\xe1\x00\x08GPS 52"+jpegScan) + `"}`, "media.image: strip", "json", `{"picture":"` + b64("\xff\xd8"+jpegScan) + `"}`},
	{"png not stripped", "cam/1", "\x89PNG\r\n\x1a\n\x00\x00\x00\x00IENDcrc.", "media.image: seal", "png", ""},
	{"csv masked", "gps/1", "driver_name,plate,speed\nMara Beispiel,B-AB 1234,50\nJo Muster,B-CD 5678,60\n", "person.name: {mask: {keep: 0}}, id.vehicle_plate: {mask: {keep: 2}}", "csv",
		"driver_name,plate,speed\n*************,*******34,50\n*********,*******78,60\n"},
	{"csv generalized", "gps/1", "lat;lon;v\n52.516275;13.377704;1\n", "location.precise: {generalize: {decimals: 2}}", "csv", "lat;lon;v\n52.51;13.37;1\n"},
	{"csv removed", "gps/1", "email,n\nmara@example.org,5\n", "contact.email: remove", "csv", "email,n\n,5\n"},
	{"logfmt", "log/1", `level=info email=mara@example.org msg="opened door" n=5`, "contact.email: {mask: {keep: 0}}", "logfmt", `level=info email=**************** msg="opened door" n=5`},
	{"logfmt removed", "log/1", `level=info email=mara@example.org n=5`, "contact.email: remove", "logfmt", `level=info n=5`},
	{"key=value", "gps/1", `lat=52.516275, lon=13.377704`, "location.precise: {generalize: {decimals: 2}}", "logfmt", `lat=52.51, lon=13.37`},
	{"line protocol", "gps/1", `truck,driver_name=Mara\ Beispiel lat=52.516275,lon=13.377704 1700000000`, "person.name: {mask: {keep: 0}}, location.precise: {generalize: {decimals: 2}}", "lineprotocol",
		`truck,driver_name=************* lat=52.51,lon=13.37 1700000000`},
	{"line protocol removed", "gps/1", `truck,driver_name=Mara v=1 1700000000`, "person.name: remove", "lineprotocol", `truck v=1 1700000000`},
	{"nmea", "gps/1", nmea("GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") + "\r\n", "location.precise: {generalize: {decimals: 1}}", "nmea",
		nmea("GPGGA,123519,4806.000,N,01130.000,E,1,08,0.9,545.4,M,46.9,M,,") + "\r\n"},
	{"nmea removed", "gps/1", nmea("GPGLL,4807.038,N,01131.000,E,123519,A"), "location.precise: remove", "nmea", nmea("GPGLL,,,,,123519,A")},
	{"xml", "onvif/1", `<ANPR xmlns="http://www.hikvision.com/ver20/XMLSchema"><licensePlate>B-AB &#49;234</licensePlate><ownerName a="1">Mara &amp; Jo</ownerName></ANPR>`,
		"id.vehicle_plate: {mask: {keep: 2}}, person.name: {mask: {keep: 0}}", "xml", `<ANPR xmlns="http://www.hikvision.com/ver20/XMLSchema"><licensePlate>*******34</licensePlate><ownerName a="1">*********</ownerName></ANPR>`},
	{"xml onvif", "onvif/1", `<tt:Data xmlns:tt="http://www.onvif.org/ver10/schema"><tt:SimpleItem Name="LicensePlate" Value="B-AB 1234"/></tt:Data>`, "person.name: pass, id.vehicle_plate: {mask: {keep: 2}}", "xml",
		`<tt:Data xmlns:tt="http://www.onvif.org/ver10/schema"><tt:SimpleItem Name="LicensePlate" Value="*******34"/></tt:Data>`},
	{"xml removed", "onvif/1", `<ANPR><licensePlate>B-AB 1234</licensePlate><n>5</n></ANPR>`, "id.vehicle_plate: remove", "xml", `<ANPR><n>5</n></ANPR>`},
}

// jpegScan is the rest of a JPEG without a picture.
const jpegScan = "\xff\xda\x00\x03cd\xff\x00e\xff\xd9"

func zstdded(s string) string {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// nmea is a sentence with its checksum.
func nmea(body string) string {
	sum := byte(0)
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X", body, sum)
}

const sparkplugTopic = "spBv1.0/plant/DDATA/edge/line"

// sparkplugDriver is a payload of one metric and a sequence number.
func sparkplugDriver(name string) string {
	metric := "\x0a\x0adriverName\x20\x0c\x7a" + string(rune(len(name))) + name
	return "\x12" + string(rune(len(metric))) + metric + "\x18\x01"
}

// TestFormats: the action arrives in the bytes that leave, and in no others.
func TestFormats(t *testing.T) {
	for _, c := range formatCases {
		t.Run(c.name, func(t *testing.T) {
			p := newParties(t, everything+"unclassified: pass\ngrades: {L3: pass, L4: pass}\nclasses: {"+c.classes+"}\n")
			v := p.judge(c.topic, c.raw)
			if got := v.Document.FormatName(); got != c.format {
				t.Fatalf("read as %s (%s), want %s", got, v.Reason, c.format)
			}
			o := p.protect(&v, &v.Decisions[0], Mapping{})
			p.checkOutput(p.opener(), &v, &v.Decisions[0], Mapping{}, o)
			if c.want == "" {
				if o.Outcome != OutcomeSealed {
					t.Errorf("%s: %q", o.Outcome, o.Payload)
				}
				return
			}
			if o.Outcome != OutcomeTransformed || string(o.Payload) != c.want {
				t.Errorf("%s (%s): %q, want %q", o.Outcome, o.Reason, o.Payload, c.want)
			}
			var left payload.Document
			if why := payload.Parse(&left, o.Topic, o.Payload, payload.Limits{}); why != payload.ReasonNone || left.FormatName() != strings.Fields(c.format)[0] {
				t.Errorf("what left is %s, %s", left.FormatName(), why)
			}
		})
	}
}
