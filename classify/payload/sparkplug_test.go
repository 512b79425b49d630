package payload

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// Messages by hand: pb joins fields, the others write one each.
func pb(fields ...string) string { return strings.Join(fields, "") }

func pbInt(number int, v uint64) string {
	return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|wireVarint), v))
}

func pbText(number int, s string) string {
	return string(appendWireBytes(nil, uint64(number), []byte(s)))
}

func pbDouble(number int, x float64) string {
	return string(binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(number)<<3|wireFixed64), math.Float64bits(x)))
}

func pbFloat(number int, x float32) string {
	return string(binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(number)<<3|wireFixed32), math.Float32bits(x)))
}

func metric(fields ...string) string { return pbText(2, pb(fields...)) }

var (
	sparkplugBirth = pb(pbInt(1, 1700000000000),
		metric(pbText(1, "bdSeq"), pbInt(3, 1), pbInt(4, 8), pbInt(11, 7)),
		metric(pbText(1, "Operator/Name"), pbInt(2, 1), pbInt(4, 12), pbText(15, "Mara Beispiel")),
		metric(pbText(1, "Lat"), pbInt(2, 2), pbInt(4, 10), pbText(9, pb(pbText(1, "engUnit"), pbText(2, pb(pbInt(1, 12), pbText(8, "deg"))), pbText(1, "low"), pbText(2, pb(pbInt(1, 3), pbInt(3, 0xFFFFFFF6))))), pbDouble(13, 52.516275)),
		metric(pbText(1, "Offset"), pbInt(4, 3), pbInt(10, 0xFFFFFFFB)),
		metric(pbText(1, "Ratio"), pbInt(4, 9), pbFloat(12, 0.5)),
		metric(pbText(1, "On"), pbInt(4, 11), pbInt(14, 1)),
		metric(pbText(1, "Gone"), pbInt(4, 12), pbInt(7, 1)),
		metric(pbText(1, "Here"), pbInt(7, 0), pbInt(4, 12), pbText(15, "yes")),
		metric(pbText(1, "Log"), pbInt(4, 18), pbText(8, pb(pbText(2, "text/plain"), pbInt(3, 5), pbText(5, "a.txt"))), pbText(16, "hello")),
		metric(pbText(1, "Blob"), pbInt(4, 17), pbText(16, "\x00\x01\xff")),
		pbInt(3, 0))
	sparkplugTable = pb(metric(pbText(1, "Crew"), pbInt(4, 16), pbText(17, pb(pbInt(1, 2), pbText(2, "who"), pbText(2, "age"), pbInt(3, 12), pbInt(3, 3),
		pbText(4, pb(pbText(1, pbText(6, "Mara")), pbText(1, pbInt(1, 41)))),
		pbText(4, pb(pbText(1, ""), pbText(1, pbInt(1, 7))))))),
		metric(pbText(1, "Pump"), pbInt(4, 19), pbText(18, pb(pbText(4, "Pump"), pbText(1, "v1"), pbText(2, pb(pbText(1, "Site"), pbText(15, "Hof 3"))),
			pbText(3, pb(pbText(1, "Owner"), pbInt(2, 12), pbText(8, "Mara"))), pbInt(5, 0)))),
		metric(pbInt(2, 9), pbInt(3, 1700000000000), pbInt(10, 4000000000)),
		metric(pbInt(2, 9), pbInt(3, 1700000000001), pbInt(11, math.MaxUint64)),
		pbInt(3, 12))
)

var sparkplugSamples = []string{sparkplugBirth, sparkplugTable, pbInt(3, 5), metric(pbInt(2, 1), pbText(15, "x"))}

const sparkplugTopic = "spBv1.0/plant/DBIRTH/edge/line"

func TestSparkplug(t *testing.T) {
	d := mustParse(t, sparkplugTopic, []byte(sparkplugBirth))
	want := `={} /bdSeq=7 /Operator~1Name="Mara Beispiel" /Lat={} /Lat/engUnit="deg" /Lat/low=-10 /Lat=52.516275 /Offset=-5 /Ratio=0.5 /On=true ` +
		`/Gone=null /Here="yes" /Log={} /Log/content_type="text/plain" /Log/file_name="a.txt" /Log="hello" /Blob=binary`
	if _, got, _ := strings.Cut(render(d), "topic:4=line "); got != want {
		t.Errorf("read as\n%s, want\n%s", got, want)
	}
	s := d.Sparkplug()
	if s == nil || !s.HasSeq || s.Seq != 0 || len(s.Metrics) != 10 || s.Metrics[1].Alias != 1 || !s.Metrics[1].Aliased || s.Metrics[2].Datatype != 10 {
		t.Errorf("frame %+v", s)
	}

	d = mustParse(t, sparkplugTopic, []byte(sparkplugTable))
	want = `={} /Crew=[] /Crew/0={} /Crew/0/who="Mara" /Crew/0/age=41 /Crew/1={} /Crew/1/who=null /Crew/1/age=7 ` +
		`/Pump={} /Pump/template_ref="Pump" /Pump/version="v1" /Pump/Site="Hof 3" /Pump/Owner="Mara" /9=4000000000 /9=18446744073709551615`
	if _, got, _ := strings.Cut(render(d), "topic:4=line "); got != want {
		t.Errorf("read as\n%s, want\n%s", got, want)
	}

	if d = mustParse(t, "spBv1.0/plant/STATE/host", []byte(`{"online":true}`)); d.FormatName() != "json" || d.Sparkplug() != nil {
		t.Errorf("STATE is %s", d.FormatName())
	}
	if d = mustParse(t, sparkplugTopic, []byte(`{"a":1}`)); d.FormatName() != "json" {
		t.Errorf("JSON is %s", d.FormatName())
	}
}

func TestNameMetric(t *testing.T) {
	raw := pb(metric(pbInt(2, 3), pbInt(10, 0xFFFFFFFB)), metric(pbInt(2, 4), pbText(9, pb(pbText(1, "unit"), pbText(2, pbText(8, "m")))), pbText(15, "x")), metric(pbText(1, "own"), pbText(15, "y")))
	d := mustParse(t, sparkplugTopic, []byte(raw))
	d.NameMetric(0, []byte("Offset"), 3)
	d.NameMetric(1, []byte("Site/Name"), 12)
	d.NameMetric(2, []byte("other"), 12)
	_, got, _ := strings.Cut(render(d), "topic:4=line ")
	if want := `={} /Offset=-5 /Site~1Name={} /Site~1Name/unit="m" /Site~1Name="x" /own="y"`; got != want {
		t.Errorf("read as\n%s, want\n%s", got, want)
	}
	checkInvariants(t, d)
	out, err := d.Append(nil, []Edit{{Field: field(t, d, "/Offset"), Kind: EditNumber, Value: []byte("-7")}})
	if want := pb(metric(pbInt(2, 3), pbInt(10, 0xFFFFFFF9))) + raw[len(metric(pbInt(2, 3), pbInt(10, 0xFFFFFFFB))):]; err != nil || string(out) != want {
		t.Errorf("edited to %q, %v", out, err)
	}
}

func TestSparkplugAppend(t *testing.T) {
	head, tail := pbInt(1, 5), pbInt(3, 2)
	tests := []struct {
		metrics string
		changes []change
		want    string // of the metrics; "!" is an error
	}{
		{metric(pbText(1, "a"), pbText(15, "secret")), []change{{"/a", "null", ""}}, metric(pbText(1, "a"), pbInt(7, 1))},
		{metric(pbText(1, "a"), pbInt(7, 0), pbText(15, "secret"), pbInt(4, 12)), []change{{"/a", "null", ""}}, metric(pbText(1, "a"), pbInt(7, 1), pbInt(4, 12))},
		{metric(pbText(1, "a"), pbText(15, "secret")), []change{{"/a", "remove", ""}}, ""},
		{metric(pbText(1, "a"), pbText(15, "secret")), []change{{"/a", "0:3", strings.Repeat("*", 200)}}, metric(pbText(1, "a"), pbText(15, strings.Repeat("*", 200)+"ret"))},
		{metric(pbText(1, "a"), pbDouble(13, 1.23456)), []change{{"/a", "number", "1.2"}}, metric(pbText(1, "a"), pbDouble(13, 1.2))},
		{metric(pbText(1, "a"), pbFloat(12, 1.25)), []change{{"/a", "number", "1.2"}}, metric(pbText(1, "a"), pbFloat(12, 1.2))},
		{metric(pbText(1, "a"), pbInt(4, 1), pbInt(10, 5)), []change{{"/a", "number", "-128"}}, metric(pbText(1, "a"), pbInt(4, 1), pbInt(10, 0xFFFFFF80))},
		{metric(pbText(1, "a"), pbInt(4, 1), pbInt(10, 5)), []change{{"/a", "number", "128"}}, "!"},
		{metric(pbText(1, "a"), pbInt(4, 4), pbInt(11, 5)), []change{{"/a", "number", "-1"}}, metric(pbText(1, "a"), pbInt(4, 4), pbInt(11, math.MaxUint64))},
		{metric(pbText(1, "a"), pbInt(10, 5)), []change{{"/a", "number", "-1"}}, "!"},
		{metric(pbText(1, "a"), pbInt(10, 5)), []change{{"/a", "number", "4294967296"}}, "!"},
		{metric(pbText(1, "a"), pbInt(10, 5)), []change{{"/a", "number", "5.5"}}, "!"},
		{metric(pbText(1, "a"), pbInt(14, 1)), []change{{"/a", "number", "0"}}, "!"},
		{metric(pbText(1, "a"), pbText(16, "text")), []change{{"/a", "text", "\x01"}}, "!"},
		{metric(pbText(1, "bdSeq"), pbInt(11, 1)), []change{{"/bdSeq", "null", ""}}, "!"},
		{metric(pbText(1, "bdSeq"), pbInt(11, 1)), []change{{"/bdSeq", "remove", ""}}, "!"},
	}
	for _, tt := range tests {
		d := mustParse(t, sparkplugTopic, []byte(head+tt.metrics+tail))
		out, err := d.Append(nil, edits(t, d, tt.changes))
		if (err != nil) != (tt.want == "!") || err == nil && string(out) != head+tt.want+tail {
			t.Errorf("%q with %v: %q, %v", tt.metrics, tt.changes, out, err)
		}
	}
	d := mustParse(t, sparkplugTopic, []byte(metric(pbText(1, "a"), pbText(15, "x"))))
	if out, err := d.Append(nil, []Edit{{Field: field(t, d, "/a"), Kind: EditRemove}}); err == nil {
		t.Errorf("nothing is left, and no error: %q", out)
	}
}

func TestSparkplugUnreadable(t *testing.T) {
	deep := pbText(15, "x")
	for range 70 {
		deep = pbText(18, pbText(2, pb(pbText(1, "t"), deep)))
	}
	tests := []struct {
		name, raw string
		why       Reason
	}{
		{"a body", pb(pbInt(1, 5), pbText(5, "\x1f\x8b")), ReasonUnknown},
		{"two values", metric(pbText(1, "a"), pbText(15, "x"), pbInt(10, 1)), ReasonDuplicate},
		{"two names", metric(pbText(1, "a"), pbText(1, "b"), pbInt(10, 1)), ReasonDuplicate},
		{"null with a value", metric(pbText(1, "a"), pbInt(7, 1), pbInt(10, 1)), ReasonMalformed},
		{"no name", metric(pbInt(10, 1)), ReasonMalformed},
		{"an extension", metric(pbText(1, "a"), pbText(19, "x")), ReasonUnknown},
		{"a name that is not UTF-8", metric(pbText(1, "\xff"), pbInt(10, 1)), ReasonEncoding},
		{"a wire type", metric(pbText(1, "a"), pbInt(15, 1)), ReasonMalformed},
		{"a metric cut off", pbText(2, "\x0a\x05a"), ReasonMalformed},
		{"a value without a key", metric(pbText(1, "a"), pbText(9, pbText(2, pbText(8, "x"))), pbInt(10, 1)), ReasonMalformed},
		{"a key without a value", metric(pbText(1, "a"), pbText(9, pbText(1, "x")), pbInt(10, 1)), ReasonMalformed},
		{"a cell too many", metric(pbText(1, "a"), pbText(17, pbText(4, pbText(1, pbInt(1, 1))))), ReasonMalformed},
		{"templates in templates", metric(pbText(1, "a"), deep), ReasonTooDeep},
		{"two sequence numbers", pb(pbInt(3, 1), pbInt(3, 2)), ReasonDuplicate},
	}
	for _, tt := range tests {
		var d Document
		if why := Parse(&d, sparkplugTopic, []byte(tt.raw), Limits{}); why != tt.why {
			t.Errorf("%s: %q, want %q", tt.name, why, tt.why)
		}
	}
	var d Document
	if why := Parse(&d, sparkplugTopic, []byte(sparkplugBirth), Limits{Fields: 12}); why != ReasonTooMany {
		t.Errorf("too many fields: %q", why)
	}
}
