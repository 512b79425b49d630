package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
)

//go:embed pages
var pageFiles embed.FS

// writePage writes an HTML page that stands by itself: nothing in it is loaded
// from elsewhere and nothing runs, which its own policy holds browsers to. What
// data says is escaped for the place where it stands.
func writePage(path, name string, data any) error {
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return fmt.Errorf("read style: %w", err)
	}
	t, err := template.New("").Funcs(template.FuncMap{
		"css":      func() template.CSS { return template.CSS(css) },
		"number":   thousands,
		"days":     days,
		"messages": func(n int) string { return plural(n, "message", "messages") },
		"share":    func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"percent":  func(v float64) string { return fmt.Sprintf("%.1f", 100*v) },
	}).ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	if err := durable.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// title makes the first letter of a word of ours a capital.
func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// days writes a long time for people.
func days(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil || d%(24*time.Hour) != 0 {
		return s
	}
	return plural(int(d/(24*time.Hour)), "day", "days")
}
