package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hostile is what a page must show and not do.
const hostile = `</title><script>alert(1)</script>"'><img src=x onerror=alert(2)>`

// done runs the program, which must succeed, and returns what it wrote.
func done(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := sealctl(t, strings.NewReader(""), args...)
	if code != exitFine {
		t.Fatalf("sealctl %v: exit %d\n%s", args, code, stderr)
	}
	return stdout
}

func writeTemp(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	elsewhere = regexp.MustCompile(`(?i)(https?:|src=|href=|url\(|@import|<script|<link|<iframe|<img| on[a-z]+=)`)
	quoted    = regexp.MustCompile(`&[a-z#0-9]+;[^<]*`)
)

// checkPage holds a page to what all pages promise: it loads nothing, runs
// nothing, and a browser draws it, wide and light as well as narrow and dark,
// without a complaint.
func checkPage(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'`) {
		t.Error("the page has no content security policy")
	}
	// What was escaped is text, whatever it says.
	if bad := elsewhere.FindString(quoted.ReplaceAllString(page, "")); bad != "" {
		t.Errorf("the page holds %q", bad)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("SEALGATE_CI") != "" {
			t.Fatal("chromium is not installed: apt-get install chromium")
		}
		t.Log("chromium is not installed, the page is not drawn: apt-get install chromium")
		return page
	}
	for _, c := range []struct{ name, size, scheme string }{{"wide", "1000,1200", "1"}, {"phone", "500,1200", "0"}} {
		dir := t.TempDir()
		shot := filepath.Join(dir, "shot.png")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage",
			"--enable-logging=stderr", "--user-data-dir="+filepath.Join(dir, "profile"), "--blink-settings=preferredColorScheme="+c.scheme,
			"--window-size="+c.size, "--screenshot="+shot, "file://"+path).CombinedOutput()
		if err != nil {
			t.Fatalf("chromium: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "CONSOLE") {
			t.Errorf("the browser complains, %s:\n%s", c.name, out)
		}
		if picture, err := os.ReadFile(shot); err != nil || len(picture) < 10_000 {
			t.Errorf("a picture of %d bytes shows nothing, %s: %v", len(picture), c.name, err)
		}
		if dir := os.Getenv("PAGE_PICTURES"); dir != "" {
			picture, _ := os.ReadFile(shot)
			if err := os.WriteFile(filepath.Join(dir, t.Name()+"-"+c.name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return page
}

func TestEvalPage(t *testing.T) {
	t.Parallel()
	inJSON := strings.ReplaceAll(hostile, `"`, `\"`)
	in := writeTemp(t, "labelled.jsonl", `{"id":"`+inJSON+`","source":"`+inJSON+`","topic":"a/b","payload":"{\"plate\":\"KI AB 1234\",\"mood\":\"so lala\"}","labels":[{"path":"/mood","class":"health"},{"path":"/plate","class":"id.driver"}]}
{"source":"doors","topic":"a/b","payload":"{\"password\":\"hunter-22\"}","labels":[]}
{"text":"to DE89 3704 0044 0532 0130 00","entities":[{"type":"IBAN_CODE","start":3,"end":30}],"target":"IBAN_CODE"}
{"text":"so and so","secret":true,"kind":"`+inJSON+`","suite":"trufflehog"}
`)
	out := filepath.Join(t.TempDir(), "report.html")
	done(t, "eval", "--report", out, in)
	page := checkPage(t, out)
	for _, want := range []string{"&lt;script&gt;", "id.driver", "finance.iban", "not found", "gitleaks 8.30"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	for _, value := range []string{"so lala", "hunter-22", "KI AB 1234", "DE89 3704"} {
		if strings.Contains(page, value) {
			t.Errorf("the page shows the value %q", value)
		}
	}
	done(t, "eval", "--show-values", "--report", out, in)
	if raw, err := os.ReadFile(out); err != nil || !strings.Contains(string(raw), "so lala") {
		t.Errorf("asked for values, the page does not show them: %v", err)
	}
}

func TestExplainPage(t *testing.T) {
	t.Parallel()
	in := writeTemp(t, "policy.yaml", `schema: sealgate/policy/v1
version: 3
profile: eu
routes:
  - name: '`+strings.ReplaceAll(hostile, "'", "''")+`'
    topics: ["site/door/#"]
    to: {city: {mode: observe}, plant: {classes: {net.ip: mask}}}
    record: {purpose: access control, legal_basis: 6(1)f, retention: 30d, transfer: none}
  - name: rest
    topics: ["#"]
    to: {city: {}, plant: {classes: {net.ip: mask}}}
`)
	out := filepath.Join(t.TempDir(), "policy.html")
	if stdout := done(t, "policy", "explain", "--html", out, in); stdout != "" {
		t.Errorf("it prints %q", stdout)
	}
	page := checkPage(t, out)
	for _, want := range []string{"&lt;script&gt;", "version 3", "access control", "30 days", "observed only", "mask", "contact.email", "onerror=alert(2)&gt; to plant"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	done(t, "policy", "explain", "--html", out)
	checkPage(t, out)
}

func TestInventoryPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	capture := filepath.Join(dir, "day.jsonl")
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, `{"topic":"doors/%d/access","payload":{"holder":{"email":"marta%d@nordhafen.example"},"%s":"so lala","note":"the blue one"}}`+"\n", i, i, strings.ReplaceAll(hostile, `"`, `\"`))
	}
	lines.WriteString(`{"topic":"$SYS/up","payload":"1"}` + "\n" + `{"topic":"` + strings.ReplaceAll(hostile, `"`, `\"`) + `","payload":"1"}` + "\n")
	for range 3 { // what can't be read is not said to hold nothing
		lines.WriteString(`{"topic":"torn/frame","payload":"{\"a\":"}` + "\n")
	}
	if err := os.WriteFile(capture, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	draft, inventory := filepath.Join(dir, "draft.yaml"), filepath.Join(dir, "inventory.html")
	stdout := done(t, "policy", "learn", "--dir", capture, "--out", draft, "--inventory", inventory, "--site", hostile, "--profile", "eu")
	if !strings.Contains(stdout, "doors access  doors/+/access        20  L2          contact.email") {
		t.Errorf("it prints\n%s", stdout)
	}
	page := checkPage(t, inventory)
	for _, want := range []string{"&lt;script&gt;", "contact.email", "/holder/email", "pseudonymized", "every uplink", "GDPR art. 4(1)", "1 message on topics", "24 messages in captures", "What is in them is not known."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	raw, err := os.ReadFile(draft)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"marta", "so lala", "blue one"} {
		if strings.Contains(page, value) || strings.Contains(string(raw), value) {
			t.Errorf("the value %q was written", value)
		}
	}
	if strings.Contains(string(raw), "script") {
		t.Errorf("a topic that is no word was written:\n%s", raw)
	}
	// What is there already is not written over unless that is said.
	if _, stderr, code := sealctl(t, nil, "policy", "learn", "--dir", capture, "--out", draft, "--inventory", inventory); code != exitFailure || !strings.Contains(stderr, "is there already; --force writes over it") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	done(t, "policy", "learn", "--dir", capture, "--out", draft, "--inventory", inventory, "--force")
}
