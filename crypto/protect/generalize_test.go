package protect

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// run applies one action to member "v" of a document and returns what is
// written in its place; ok is false where the action does not fit.
func run(t testing.TB, spec Transform, params map[string]int64, doc string) (out string, ok bool) {
	t.Helper()
	a := &policy.Action{Spec: &spec.Spec, Ints: params, Strings: map[string]string{"domain": "gateway"}}
	for _, p := range spec.Spec.Params {
		if _, said := params[p.Name]; !said && !p.Optional && p.Kind == policy.ParamInt {
			params[p.Name] = p.Default
		}
	}
	f := must(spec.prepare(a, keys{}))
	var d payload.Document
	if why := payload.Parse(&d, "", []byte(doc), payload.Limits{}); why != payload.ReasonNone {
		t.Fatalf("%s: %s", doc, why)
	}
	i := d.Root
	for k := range d.Fields {
		if string(d.Key(int32(k))) == "v" {
			i = int32(k)
		}
	}
	b, kind, ok := f([]byte("dst"), value{doc: &d, field: i, kind: d.Fields[i].Kind, text: d.Text(i), class: classify.ClassIDDevice})
	if !ok {
		return "", false
	}
	b = b[len("dst"):]
	if kind == payload.EditString {
		b = must(json.Marshal(string(b)))
	}
	return string(b), true
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct {
		decimals int64
		in, want string // "": does not fit
	}{
		{2, "52.516275", "52.51"}, {2, "52.999999", "52.99"}, {2, "-0.004", "0.00"}, {2, "-0.0", "0.00"},
		{2, "-13.377704", "-13.37"}, {0, "52.9", "52"}, {0, "-0.9", "0"}, {6, "52.5", "52.500000"},
		{2, "0.29", "0.29"}, {2, "1.15", "1.15"}, {2, "8.41", "8.41"}, {3, "4.35", "4.350"}, // exact in decimal only
		{2, "5.2516275e1", "52.51"}, {2, "1e2", "100.00"}, {2, "1.5E-3", "0.00"}, {2, "525162750e-7", "52.51"},
		{2, "0e9999", "0.00"}, {2, "1e-9999", "0.00"}, {2, "360", "360.00"}, {2, "-180", "-180.00"},
		{2, "360.1", ""}, {2, "1e999", ""}, {2, "1e99999999", ""}, {2, "12345678901234567890123", ""}, {2, "null", ""}, {2, "true", ""},
		{2, `"52.516275"`, `"52.51"`}, {2, `"+52.516275"`, `"52.51"`}, {2, `".5162"`, `"0.51"`}, {2, `"052.516"`, `"52.51"`},
		{2, `"52.516275,13.377704"`, `"52.51,13.37"`}, {2, `"-52.516275; -0.001"`, `"-52.51; 0.00"`},
		{2, `"N/A"`, ""}, {2, `""`, ""}, {2, `" "`, ""}, {2, `"52.5N"`, ""}, {2, `"1.2.3"`, ""}, {2, `"-"`, ""}, {2, `"."`, ""}, {2, `"😀"`, ""}, {2, `"NaN"`, ""}, {2, `"0x1p4"`, ""},
		{2, `[13.377704, 52.516275]`, `[13.37, 52.51]`}, {2, `[[1.999,2.999],[3.999]]`, `[[1.99,2.99],[3.99]]`},
		{2, `[13.377704,52.516275,811.5]`, ""}, {2, `[]`, ""}, {2, `["52.516275"]`, ""}, {2, `{"lat":1}`, ""},
	} {
		got, ok := run(t, generalize(), map[string]int64{"decimals": c.decimals}, `{"v":`+c.in+`,"w":[9.87654]}`)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s to %d decimals: %q, %v, want %q", c.in, c.decimals, got, ok, c.want)
		}
	}
}

// Cutting and float agree where floats are exact enough to say.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"52.516275", "-0.004", "1e2", "-1.5E-3", "+7", "0", "00.0", "9e-12", "1.", ".1", "359.99999999999999999999999999999999999999999999999999999"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, decimals int) {
		var d decimal
		if decimals < 0 || decimals > 6 || !d.parse([]byte(s)) {
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return // out of a float's range
		}
		n, fraction, ok := d.whole()
		if !ok {
			if math.Abs(want) < math.MaxInt64/2 {
				t.Errorf("%q is too large", s)
			}
			return
		}
		if math.Abs(want) > 1e6 {
			return
		}
		if m := math.Trunc(math.Abs(want)); float64(n) != m && math.Abs(math.Abs(want)-m) > 1e-9 {
			t.Errorf("%q: whole %d", s, n)
		}
		if fraction != (math.Abs(want) != math.Trunc(math.Abs(want))) && math.Abs(want) > 1e-300 && len(s) < 15 {
			t.Errorf("%q: fraction %v", s, fraction)
		}
		out := string(d.appendCut(nil, decimals))
		got, err := strconv.ParseFloat(out, 64)
		step := math.Pow10(-decimals)
		if err != nil || math.Abs(got) > math.Abs(want)+1e-9 || math.Abs(want)-math.Abs(got) > step+1e-9 || strings.HasPrefix(out, "-0") && got == 0 {
			t.Errorf("%q to %d decimals: %q", s, decimals, out)
		}
		if !json.Valid([]byte(out)) {
			t.Errorf("%q is no number of JSON", out)
		}
	})
}

// No cell is narrower than asked, measured along its parallel.
func TestGrid(t *testing.T) {
	cell := func(doc string, metres int64) float64 {
		out, ok := run(t, generalize(), map[string]int64{"grid": metres}, doc)
		if !ok {
			t.Fatalf("%s does not fit", doc)
		}
		x, err := strconv.ParseFloat(strings.Trim(out, `"`), 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	// All positions of one cell go to one corner, and the next is far enough.
	for _, metres := range []int64{10, 1000, 25_000} {
		for _, lat := range []float64{0, -33.9, 52.5, 69.6, 84.2} {
			corners := map[float64]bool{}
			const steps = 400
			width := 20 * float64(metres) / (metresPerDegree * math.Cos(lat*math.Pi/180))
			if width > 300 {
				continue
			}
			for i := range steps {
				lon := -150 + width*float64(i)/steps
				doc := `{"lat":` + strconv.FormatFloat(lat, 'f', -1, 64) + `,"v":` + strconv.FormatFloat(lon, 'f', -1, 64) + `}`
				x := cell(doc, metres)
				corners[x] = true
				if x > lon+width/200 {
					t.Errorf("%s: corner %v", doc, x)
				}
			}
			if len(corners) > 22 || len(corners) < 2 {
				t.Errorf("%d m at latitude %v: %d cells in a stretch of 20", metres, lat, len(corners))
			}
		}
	}
	for _, c := range []struct{ doc, want string }{
		{`{"v":-0.001}`, "-0.026"}, {`{"v":0.001}`, "0.000"}, {`{"v":-180}`, "-180.000"}, {`{"v":"13.377704"}`, `"13.358"`},
		{`{"lat":52.5,"v":13.377704}`, "13.374"}, {`{"lat":53.01,"v":"x"}`, ""}, {`{"v":"52.516275,13.377704"}`, `"52.511,13.374"`},
		{`{"v":[13.377704,52.516275]}`, "[13.374,52.511]"}, {`{"v":null}`, ""}, {`{"v":1e999}`, ""},
	} {
		if got, _ := run(t, generalize(), map[string]int64{"grid": 1000}, c.doc); got != c.want {
			t.Errorf("%s: %s, want %s", c.doc, got, c.want)
		}
	}
}

func TestBucket(t *testing.T) {
	for _, c := range []struct {
		seconds  int64
		in, want string
	}{
		{3600, `"2026-11-23T14:05:06.123Z"`, `"2026-11-23T14:00:00Z"`},
		{3600, `"2026-11-23T14:05:06+05:30"`, `"2026-11-23T13:30:00+05:30"`},
		{day, `"2026-11-23T01:30:00+02:00"`, `"2026-11-22T02:00:00+02:00"`},
		{7 * day, `"2026-11-25"`, `"2026-11-23"`},
		{900, `"2026-11-23 14:14:59"`, `"2026-11-23 14:00:00"`},
		{3600, `"2026-11-23T14:05:06"`, `"2026-11-23T14:00:00"`},
		{3600, `1795442706`, `1795442400`}, {3600, `1795442706123`, `1795442400000`}, {3600, `1795442706.9`, `1795442400`},
		{3600, `1795442706123456`, `1795442400000000`}, {3600, `1795442706123456789`, `1795442400000000000`},
		{3600, `1.795442706e9`, `1795442400`}, {3600, `"1795442706"`, `"1795442400"`}, {day, `5`, `0`}, {366 * day, `5`, `0`},
		{7 * day, `1795651200`, `1795392000`}, // a Thursday goes back to Monday, as its date does
		{3600, `-5`, ""}, {3600, `1e30`, ""}, {3600, `"yesterday"`, ""}, {3600, `""`, ""}, {3600, `"0999-01-01"`, ""},
		{3600, `"2026-13-01"`, ""}, {3600, `true`, ""}, {3600, `[1795442706]`, ""}, {3600, `null`, ""},
	} {
		if got, _ := run(t, generalize(), map[string]int64{"bucket": c.seconds}, `{"v":`+c.in+`}`); got != c.want {
			t.Errorf("%s in buckets of %d s: %s, want %s", c.in, c.seconds, got, c.want)
		}
	}
}

func TestBand(t *testing.T) {
	for _, c := range []struct {
		width    int64
		in, want string
	}{
		{10, "37", "30"}, {10, "-3", "-10"}, {10, "-10", "-10"}, {10, "-10.5", "-20"}, {10, "-0.5", "-10"}, {10, "0", "0"}, {10, "-0", "0"},
		{10, "39.999", "30"}, {1, "21.7", "21"}, {100, "1e3", "1000"}, {5, `"17"`, `"15"`}, {5, `" 17"`, ""}, {5, `"17kg"`, ""},
		{1000, "123456789012345", "123456789012000"}, {10, "9223372036854775807", ""}, {10, "1e400", ""}, {10, "true", ""}, {10, `""`, ""},
	} {
		if got, _ := run(t, generalize(), map[string]int64{"band": c.width}, `{"v":`+c.in+`}`); got != c.want {
			t.Errorf("%s in bands of %d: %s, want %s", c.in, c.width, got, c.want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct{ params, in, want string }{
		{"", `"203.0.113.77"`, `"203.0.113.0"`}, {"ipv4 16", `"203.0.113.77"`, `"203.0.0.0"`},
		{"", `"2001:db8:1:2::77"`, `"2001:db8:1::"`}, {"", `"fe80::1%eth0"`, `"fe80::"`}, {"", `"::ffff:203.0.113.77"`, `"203.0.113.0"`},
		{"", `"2002:cb00:714d::1"`, `"2002:cb00:7100::"`}, // 6to4 of 203.0.113.77
		{"", `"64:ff9b::203.0.113.77"`, `"64:ff9b::"`}, {"ipv6 128", `"64:ff9b::203.0.113.77"`, `"64:ff9b::cb00:7100"`},
		{"", `"AC:de:48:12:34:56"`, `"AC:de:48:00:00:00"`}, {"", `"ac-de-48-12-34-56"`, `"ac-de-48-00-00-00"`}, {"", `"acde.4812.3456"`, `"acde.4800.0000"`},
		{"", `"acde48123456"`, `"acde48000000"`}, {"mac 30", `"ac:de:48:f2:34:56"`, `"ac:de:48:f0:00:00"`}, {"", `"ac:de:48:ff:fe:12:34:56"`, `"ac:de:48:00:00:00:00:00"`},
		{"", `"ac:de:48:12:34"`, ""}, {"", `"ac:de-48:12:34:56"`, ""}, {"", `"203.0.113.77:80"`, ""}, {"", `"203.0.113.0/24"`, ""}, {"", `""`, ""}, {"", `"hello"`, ""},
		{"text 2", `"10115"`, `"10"`}, {"text 2", `"äöü"`, `"äö"`}, {"text 3", `"äöü"`, ""}, {"text 3", `""`, ""}, {"text 2", "10115", `"10"`}, {"text 2", "[1]", ""},
	} {
		params := map[string]int64{}
		if name, n, ok := strings.Cut(c.params, " "); ok {
			params[name] = must(strconv.ParseInt(n, 10, 64))
		}
		if got, _ := run(t, truncate(), params, `{"v":`+c.in+`}`); got != c.want {
			t.Errorf("%s (%s): %s, want %s", c.in, c.params, got, c.want)
		}
	}
}

func TestMask(t *testing.T) {
	for _, c := range []struct {
		keep     int64
		in, want string
	}{
		{4, `"4111111111111111"`, `"************1111"`}, {4, `"12345678"`, `"******78"`}, {4, `"123"`, `"***"`}, {0, `"12345678"`, `"********"`},
		{4, `"äöüßäöüß"`, `"******üß"`}, {4, "49301234567", `"*********67"`}, {4, "true", `"***e"`}, {4, `""`, ""}, {4, "[1]", ""}, {4, "{}", ""},
	} {
		if got, _ := run(t, mask(), map[string]int64{"keep": c.keep}, `{"v":`+c.in+`}`); got != c.want {
			t.Errorf("%s, keep %d: %s, want %s", c.in, c.keep, got, c.want)
		}
	}
}
