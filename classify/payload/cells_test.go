package payload

import (
	"fmt"
	"strings"
	"testing"
)

// nmea writes a sentence with its checksum.
func nmea(body string) string { return fmt.Sprintf("$%s*%02X", body, checksum([]byte(body))) }

var cellSamples = map[string][]string{
	"csv": {
		"plate,lat,lon\nB-AB 123,52.516275,13.377704\nB-CD 456,52.52,13.4\n",
		"\uFEFFname;note\r\n\"Mara; \"\"M\"\"\";\"two\nlines\"\r\n\r\nJo;\r\n",
		"time\tvalue\n2026-01-01T00:00:00Z\t1.5", "52.5,13.4\n52.6,13.5\n,1\n", "lat,52.516275\nlon,13.377704\n", "a|b\n|\n1|2", "a,b\n1,\n",
	},
	"logfmt": {
		`level=info msg="door \"A\" opened" user=mara@example.org dur=12ms n=5 empty=`, "a=1 b=2\n\nc=3 d=\"x\\\\y\"\n", "lat=52.516275, lon=13.377704", "id=7;plate=B-AB;t=10:30;", "key=1\nother=two words\n"[:12] + "=2",
	},
	"lineprotocol": {
		`weather,site=plant\ 1,op=Mara temp=21.5,n=5i,u=7u,note="say \"hi\", ok",ok=true 1700000000000000000`, "cpu,host=a v=1\ncpu,host=b v=2 1700000000\n\n", "m a=1,b=2", "m\\,x,t\\=g=v\\ 1 f=\"a\\\\b\" 5",
	},
	"nmea": {
		nmea("GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,") + "\r\n", "$GPRMC,225446,A,4916.45,S,12311.12,W,000.5,054.7,191194,020.3,E",
		nmea("GPGLL,4916.4500,N,12311.1200,W,225444,A") + "\n" + nmea("GPVTG,054.7,T,034.4,M") + "\n", nmea("GPGLL,,N,,W,225444,V"),
	},
	"xml": {
		`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">` +
			`<ipAddress>192.0.2.10</ipAddress><!-- gate 1 --><ANPR><licensePlate> B-AB 123 </licensePlate><n>5</n><empty/><none></none></ANPR></EventNotificationAlert>` + "\n",
		`<a/>`, `<a>x &lt;&amp;&#x41;&#66;&quot; y</a>`, `<a k='v &apos;' j="&quot;"> text </a>`, `<t:M xmlns:t="urn:x"><t:S Name="Plate" Value="B"/><t:S Name="Who" Value="M"/></t:M>`,
		`<a>one<![CDATA[ <two> ]]>three</a>`, "\uFEFF<a><!----><b>1</b></a>",
	},
}

func TestCells(t *testing.T) {
	tests := []struct{ raw, format, fields string }{
		{"plate,lat\nB-AB 123,52.5\n", "csv", `=lines /0={} /0/plate="B-AB 123" /0/lat=52.5`},
		{"a;b\r\n\"x;\"\"y\";\r\n", "csv", `=lines /0={} /0/a="x;"y"`},
		{"52.5,13.4\n52.6,13.5", "csv", `=lines /0=[] /0/0=52.5 /0/1=13.4 /1=[] /1/0=52.6 /1/1=13.5`},
		{"lat,52.5\nlon,13.4\n", "csv", `=lines /0={} /0/lat=52.5 /1={} /1/lon=13.4`},
		{"\uFEFFemail,n\na@b.org,1", "csv", `=lines /0={} /0/email="a@b.org" /0/n=1`},
		{"lat, lon\n52.5, 13.4\n", "csv", `=lines /0={} /0/lat=52.5 /0/lon=13.4`},
		{`a=1 b="x \"y\"" c=z`, "logfmt", `=lines /0={} /0/a=1 /0/b="x "y"" /0/c="z"`},
		{"lat=52.5, lon=13.4", "logfmt", `=lines /0={} /0/lat=52.5 /0/lon=13.4`},
		{"a=1\nb=2\n", "logfmt", `=lines /0={} /0/a=1 /1={} /1/b=2`},
		{`w,site=p\ 1 t=21.5,n=5i,s="a\"b",k=t 17`, "lineprotocol", `=lines /0={} /0/measurement="w" /0/site="p 1" /0/t=21.5 /0/n=5 /0/s="a"b" /0/k=t /0/timestamp=17`},
		{nmea("GPGLL,4916.4500,N,12311.1200,W,225444,A"), "nmea", `=lines /0={} /0/0="GPGLL" /0/latitude=49.2741667 /0/longitude=-123.1853333 /0/5="225444" /0/6="A"`},
		{"<a>1</a>", "xml", `={} /a=1`},
		{`<a k="1&amp;2"> x </a>`, "xml", `={} /a={} /a/k="1&2" /a/="x"`},
		{`<a><b>4111<![CDATA[1111]]>1111&#49;</b><c/></a>`, "xml", `={} /a={} /a/b="4111111111111" /a/c=""`},
		{`<n:a xmlns:n="http://www.onvif.org/ver10"><n:b n:c="d"/></n:a>`, "xml", `={} /a={} /a/b={} /a/b/c="d"`},
		{`<a xmlns="mailto:mara@example.org"/>`, "xml", `={} /a={} /a/xmlns="mailto:mara@example.org"`},
		{"<a><!-- mara --></a>", "xml", `={} /a={} /a/#comment=" mara "`},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(tt.raw))
		if got := render(d); d.FormatName() != tt.format || strings.ReplaceAll(got, `"225444"`, `225444`) != strings.ReplaceAll(tt.fields, `"225444"`, `225444`) {
			t.Errorf("%q: read as %s, %s", tt.raw, d.FormatName(), got)
		}
	}
}

// TestProse: what people write is text, and so is what only begins like a table.
func TestProse(t *testing.T) {
	for _, raw := range []string{
		"Dear Anna, hi\nBest, Tom", "Hello Bob,\nthanks for the tea, see you\n", "Well, yes\nno, maybe\n", "one line, two parts", "a,b,c", "a,b\n", "1,2,3",
		"eggs, milk and 2 apples\nbread, butter\n", "He said \"a,b\"\nand \"c,d\"\n", "a;b\nc\n", "Zeile eins; Zeile zwei\nnoch eine; und mehr\n", "x,y\n1,2,3\n", "\n\n,\n",
		"a=b", "x = 5 and y = 6", "E=mc2 is short", "set mode=auto please", "level=info and more", "a=1, and b=2", "if x=1 then y=2", "=1 b=2", "a=1 b=\"open", "Set mode=true", "cpu v=1",
		"1=2 3=4", "note: a=1 b=2", "$5, please", "$HOME is set", "$GPGGA", "costs $5,000 or $6,000", "!important, yes", "<3 you", "a < b > c", "< b >", "x<y>",
		"2026-01-01 12:00:00,123 INFO started\n2026-01-01 12:00:01,456 INFO stopped, all well\n",
	} {
		if d := mustParse(t, "", []byte(raw)); d.FormatName() != "text" {
			t.Errorf("%q: read as %s, %s", raw, d.FormatName(), render(d))
		}
	}
}

func TestCellsUnreadable(t *testing.T) {
	tests := []struct {
		raw string
		why Reason
	}{
		{"$GPGLL,4916.45,N,12311.12,W*00", ReasonMalformed},
		{"$GPGLL,4916.45,N,12311.12,W*", ReasonMalformed},
		{"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C", ReasonUnknown},
		{"<a>", ReasonMalformed},
		{"<a></b>", ReasonMalformed},
		{"<a><b></a></b>", ReasonMalformed},
		{"<a>&nbsp;</a>", ReasonMalformed},
		{"<a>&#0;</a>", ReasonMalformed},
		{"<a>&#xD800;</a>", ReasonMalformed},
		{"<a>a ]]> b</a>", ReasonMalformed},
		{`<a k=v>x</a>`, ReasonMalformed},
		{`<a k="<">x</a>`, ReasonMalformed},
		{`<a k="1" k="2"/>`, ReasonDuplicate},
		{`<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`, ReasonUnknown},
		{`<a><!ELEMENT b></a>`, ReasonUnknown},
		{`<?php echo 1 ?><a/><b/>`, ReasonUnknown},
		{"<a>41<b/>11</a>", ReasonUnknown},
		{"<a>41<!-- -->11</a>", ReasonUnknown},
		{"<a/><b/>", ReasonTrailing},
		{"<a/>x<b/>", ReasonTrailing},
		{`<?xml version="1.0" encoding="ISO-8859-1"?><a>x</a>`, ReasonEncoding},
		{"<a>\x01</a>", ReasonEncoding},
		{strings.Repeat("<a>", 70) + strings.Repeat("</a>", 70), ReasonTooDeep},
	}
	for _, tt := range tests {
		var d Document
		if why := Parse(&d, "", []byte(tt.raw), Limits{}); why != tt.why {
			t.Errorf("%q: %q, want %q (%s)", tt.raw, why, tt.why, d.FormatName())
		}
	}
	for _, raw := range []string{cellSamples["csv"][0], cellSamples["logfmt"][0], cellSamples["lineprotocol"][0], cellSamples["nmea"][0], cellSamples["xml"][0]} {
		for limit := 1; limit < 7; limit++ {
			var d Document
			if why := Parse(&d, "", []byte(raw), Limits{Fields: limit}); why != ReasonTooMany {
				t.Errorf("%q with %d fields: %q", raw, limit, why)
			}
		}
	}
}

func TestCellsAppend(t *testing.T) {
	tests := []struct {
		raw     string
		changes []change
		want    string // "!" is an error
	}{
		{"a,b\n1,2\n", []change{{"/0/a", "remove", ""}, {"/0/b", "text", "x,\"y\""}}, "a,b\n,\"x,\"\"y\"\"\"\n"},
		{"a,b\n1, 2 \n3,4", []change{{"/0/b", "number", "5"}}, "a,b\n1, 5\n3,4"},
		{"a,b\r\n\"x\",2\r\n", []change{{"/0/a", "text", "***"}}, "a,b\r\n\"***\",2\r\n"},
		{"a,b\n1,2\n", []change{{"/0/a", "text", ""}}, "a,b\n\"\",2\n"},
		{`a=1 b="x y" c=3`, []change{{"/0/b", "0:1", "*"}}, `a=1 b="* y" c=3`},
		{`a=1 b=2 c=3 d=4`, []change{{"/0/a", "remove", ""}, {"/0/b", "remove", ""}}, `c=3 d=4`},
		{`a=1 b=2 c=3`, []change{{"/0/b", "remove", ""}, {"/0/c", "remove", ""}}, "!"}, // one pair is no logfmt
		{`a=1 b=2 c=3 d=4`, []change{{"/0/b", "remove", ""}, {"/0/d", "remove", ""}}, `a=1 c=3`},
		{"a=1 b=2\nc=3", []change{{"/1/c", "remove", ""}}, "!"},
		{`lat=52.516275, lon=13.377704`, []change{{"/0/lat", "number", "52.52"}, {"/0/lon", "number", "13.38"}}, `lat=52.52, lon=13.38`},
		{`a=1 b=2`, []change{{"/0/a", "text", "two words"}}, `a="two words" b=2`},
		{`w,h=a t=1,n=5i,s="x" 17`, []change{{"/0/h", "text", "p 1"}, {"/0/n", "number", "6"}, {"/0/s", "text", `q"`}}, `w,h=p\ 1 t=1,n=6i,s="q\"" 17`},
		{`w,h=a t=1,n=5i,s="x" 17`, []change{{"/0/h", "remove", ""}, {"/0/t", "remove", ""}, {"/0/n", "remove", ""}, {"/0/timestamp", "remove", ""}}, "!"},
		{`w,h=a t=1,n=5i,s="x" 17`, []change{{"/0/t", "remove", ""}, {"/0/n", "remove", ""}, {"/0/timestamp", "remove", ""}}, `w,h=a s="x"`},
		{`w,h=a t=1,n=5i,s="x" 17`, []change{{"/0/n", "remove", ""}, {"/0/s", "remove", ""}}, `w,h=a t=1 17`},
		{`w,h=a t=1,n=5i 17`, []change{{"/0/n", "number", "5.5"}}, "!"},
		{`w,h=a t=1 17`, []change{{"/0/t", "remove", ""}}, "!"},
		{`w,h=a t=1 17`, []change{{"/0/h", "text", "a\nb"}}, "!"},
		{`w,h=a t=1 17`, []change{{"/0/t", "text", "***"}}, `w,h=a t="***" 17`},
		{nmea("GPGLL,4807.038,N,01131.000,W,1"), []change{{"/0/latitude", "number", "48.12"}, {"/0/longitude", "number", "-11.52"}}, nmea("GPGLL,4807.200,N,01131.200,W,1")},
		{nmea("GPGLL,4807.038,N,01131.000,W,1"), []change{{"/0/latitude", "number", "-0.5"}, {"/0/longitude", "number", "0"}}, nmea("GPGLL,0030.000,S,00000.000,E,1")},
		{nmea("GPGLL,4807.038,N,01131.000,W,1"), []change{{"/0/latitude", "remove", ""}, {"/0/longitude", "remove", ""}}, nmea("GPGLL,,,,,1")},
		{nmea("GPGLL,4807.038,N,01131.000,W,1"), []change{{"/0/latitude", "number", "91"}}, "!"},
		{nmea("PXYZ,mara,1"), []change{{"/0/1", "text", "*"}}, "!"},
		{nmea("PXYZ,mara,1"), []change{{"/0/1", "text", "m..a"}}, nmea("PXYZ,m..a,1")},
		{`<a><b>x</b> <c> y </c></a>`, []change{{"/a/b", "remove", ""}, {"/a/c", "text", "<&\"'>"}}, `<a> <c> &lt;&amp;&quot;&apos;&gt; </c></a>`},
		{`<a k="1" j='2'>t</a>`, []change{{"/a/k", "remove", ""}, {"/a/j", "text", "it's"}, {"/a/", "remove", ""}}, `<a j='it&apos;s'></a>`},
		{`<a><b>one<![CDATA[ two]]></b><c/></a>`, []change{{"/a/b", "0:3", "ONE"}, {"/a/c", "remove", ""}}, `<a><b>ONE two</b></a>`},
		{`<a><!-- m --><b>1</b></a>`, []change{{"/a/#comment", "remove", ""}, {"/a/b", "number", "2"}}, `<a><b>2</b></a>`},
		{`<a><b>1</b></a>`, []change{{"/a/b", "text", " x "}}, `<a><b>&#32;x&#32;</b></a>`},
		{`<a>1</a>`, []change{{"/a", "remove", ""}}, "!"},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(tt.raw))
		out, err := d.Append(nil, edits(t, d, tt.changes))
		if (err != nil) != (tt.want == "!") || err == nil && string(out) != tt.want {
			t.Errorf("%q with %v: %q, %v, want %q", tt.raw, tt.changes, out, err, tt.want)
		}
	}
}
