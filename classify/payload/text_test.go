package payload

import "testing"

// A line of a log that begins with a tag in brackets is text, and is read; what
// any dialect of JSON might take for an array is JSON or nothing.
func TestLogTags(t *testing.T) {
	var d Document
	for raw, want := range map[string]string{
		"[INFO] pump 4 started":          "text",
		"\n\t[DEBUG] Using Key=abc\n[b]": "text",
		"[12:31:07] gate open":           "text",
		"[2026-04-01T10:22:00Z] x":       "text",
		"[main][worker-3] x":             "text",
		"[http.server/4 ] \"GET\" {}":    "text",
		`[INFO] {"a":"b"}`:               "text",
		"[I][wifi:573]: up":              "text",
		"[I][":                           "",
		"[1][2] x":                       "",
		"[I]{} x":                        "",
		"[INFO]":                         "",
		"[INFO] ":                        "",
		"[INFO]\n[WARN]":                 "",
		"[I] x":                          "",
		"[true] x":                       "",
		"[NaN] x":                        "",
		"[Infinity ] x":                  "",
		"[null]x":                        "",
		"[12] x":                         "",
		"[1:] x":                         "",
		"[-1.5] x":                       "",
		"[INFO, WARN] x":                 "",
		`["INFO"] x`:                     "",
		"[{}] x":                         "",
		"[INFO],":                        "",
		"\ufeff[INFO] x":                 "",
		"\u200b[INFO] x":                 "",
		"[\u200bINFO] x":                 "",
		"[" + "a long tag that goes on and on and on and on" + "] x": "",
		"{INFO} x": "",
	} {
		why := Parse(&d, "t", []byte(raw), Limits{})
		if got := d.FormatName(); why == "" && got != want || why != "" && want != "" {
			t.Errorf("%q is %s (%s), want %q", raw, got, why, want)
		}
	}
}
