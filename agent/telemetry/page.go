package telemetry

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// pagePolicy is the page's Content-Security-Policy: this style, this script, and
// answers from here.
var pagePolicy = "default-src 'none'; style-src " + cspHash(pageCSS) + "; script-src " + cspHash(pageJS) +
	"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func cspHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// servePage answers with the status page at /: what a person wants to know in
// ten seconds, from the same Stats that /api/v1/status serves.
func servePage(w http.ResponseWriter, s *Stats, now time.Time) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	_, _ = w.Write(renderPage(s, now)) // the peer is gone: nobody to tell
}

// A plot is a row of bars, 600 by 60.
type plot struct {
	Title, Tone string
	Total, Max  uint64
	Bars        []bar
}

type bar struct{ X, Y, H int }

func newPlot(title, tone string, hour []Minute, of func(Minute) uint64) plot {
	p := plot{Title: title, Tone: tone}
	for _, m := range hour {
		p.Total += of(m)
		p.Max = max(p.Max, of(m))
	}
	for i, m := range hour {
		if n := of(m); n > 0 {
			h := max(2, int(float64(n)/float64(p.Max)*58))
			p.Bars = append(p.Bars, bar{X: i*10 + 1, Y: 59 - h, H: h})
		}
	}
	return p
}

// tone colours an outcome: what is sensitive and left in clear stands out.
func tone(outcome, grade string) string {
	switch {
	case outcome != "passed":
		return "good"
	case grade == "L1" || grade == "L2":
		return "soft"
	}
	return "bad strong"
}

// number writes 1234567 as 1,234,567.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/1024, "KMGTPE"
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// ago says how long ago a moment was, in one unit.
func ago(now, at time.Time) string {
	d := now.Sub(at)
	switch {
	case at.IsZero():
		return "never"
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}
