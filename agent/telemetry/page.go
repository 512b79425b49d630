package telemetry

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// page is the status page at /: what a person wants to know in ten seconds,
// from the same Stats that /api/v1/status serves.
type page struct {
	template *template.Template
	policy   string // Content-Security-Policy: this style, this script, and answers from here
}

func newPage() (*page, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"ago":    func(time.Time) string { return "" }, // set for each answer
		"number": number, "size": size, "size64": func(n int64) string { return size(uint64(max(n, 0))) }, "tone": tone,
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse status page: %w", err)
	}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return &page{t, "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}, nil
}

type pageData struct {
	Stats
	Now       time.Time
	CSS       template.CSS
	JS        template.JS
	Plots     []plot
	SpoolHigh int64
	Lost      uint64
}

// A plot is a row of bars, 600 by 60.
type plot struct {
	Title, Tone string
	Total, Max  uint64
	Bars        []bar
}

type bar struct{ X, Y, H int }

func (p *page) answer(w http.ResponseWriter, s Stats, now time.Time) {
	d := pageData{
		Stats: s, Now: now, CSS: template.CSS(pageCSS), JS: template.JS(pageJS), // #nosec: constants
		SpoolHigh: s.Spool.Limit * 7 / 10, Lost: s.Spool.Damaged + s.Spool.QuarantineFull + s.Spool.Evicted,
		Plots: []plot{
			newPlot("Protected", "good", s.Hour, func(m Minute) uint64 { return m.Protected }),
			newPlot("Passed unchanged", "clear", s.Hour, func(m Minute) uint64 { return m.Passed }),
			newPlot("Blocked", "stop", s.Hour, func(m Minute) uint64 { return m.Blocked }),
		},
	}
	t, err := p.template.Clone()
	if err == nil {
		t.Funcs(template.FuncMap{"ago": func(at time.Time) string { return ago(now, at) }})
		var out bytes.Buffer
		if err = t.Execute(&out, d); err == nil {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", p.policy)
			_, _ = w.Write(out.Bytes()) // the peer is gone: nobody to tell
			return
		}
	}
	http.Error(w, "the page can't be made; /api/v1/status has the same", http.StatusInternalServerError)
}

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
