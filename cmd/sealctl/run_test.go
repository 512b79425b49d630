package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sealctl runs the program and returns what it wrote and its exit code.
func sealctl(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, prose bytes.Buffer
	code = run(t.Context(), args, stdin, &out, &prose)
	return out.String(), prose.String(), code
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	message := write("m.json", `{"t":21.5}`)
	policy := write("p.yaml", "schema: sealgate/policy/v1\nversion: 1\nroutse: []\n")
	keys := filepath.Join(dir, "keys")
	if _, stderr, code := sealctl(t, nil, "keys", "init", "--dir", keys, "--site", "s", "--audience", "a"); code != exitFine {
		t.Fatalf("init: %d, %s", code, stderr)
	}
	for _, c := range []struct {
		want int
		args []string
	}{
		{exitFine, nil},
		{exitFine, []string{"--help"}},
		{exitFine, []string{"version"}},
		{exitFine, []string{"version", "--json"}},
		{exitFine, []string{"completion", "bash"}},
		{exitFine, []string{"classify", message}},
		{exitFine, []string{"policy", "explain"}},
		{exitFailure, []string{"classify", filepath.Join(dir, "none")}},
		{exitFailure, []string{"open", "--keys", dir, message}},
		{exitFailure, []string{"classify", "--policy", policy, message}},
		{exitUsage, []string{"nonsense"}},
		{exitUsage, []string{"version", "extra"}},
		{exitUsage, []string{"classify", "--nonsense"}},
		{exitUsage, []string{"keys", "nonsense"}},
		{exitUsage, []string{"spool", "list"}},
		{exitBad, []string{"policy", "check", policy}},
		{exitBad, []string{"open", "--keys", keys, "--protected", message}},
	} {
		stdout, stderr, code := sealctl(t, strings.NewReader(""), c.args...)
		if code != c.want {
			t.Errorf("%q: exit code %d, want %d; %s", c.args, code, c.want, stderr)
		}
		if (code == exitUsage || code == exitFailure) && (stdout != "" || !strings.HasPrefix(stderr, "sealctl: ")) {
			t.Errorf("%q: stdout %q, stderr %q", c.args, stdout, stderr)
		}
	}
}

// TestInterrupted ends a command that waits for a stdin that says nothing.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	time.AfterFunc(20*time.Millisecond, cancel)
	var out, prose bytes.Buffer
	if code := run(ctx, []string{"classify", "--jsonl", "-"}, r, &out, &prose); code != exitFailure || !strings.Contains(prose.String(), "interrupted") {
		t.Errorf("exit code %d, %s", code, prose.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "pipe", Err: syscall.EPIPE}
}

// TestReaderGone is `sealctl … | head`: no complaint.
func TestReaderGone(t *testing.T) {
	in := strings.NewReader(strings.Repeat(`{"id":"1","payload":"{}"}`+"\n", 20_000))
	var prose bytes.Buffer
	if code := run(t.Context(), []string{"classify", "--jsonl", "-"}, in, brokenPipe{}, &prose); code != exitFailure || prose.Len() > 0 {
		t.Errorf("exit code %d, %s", code, prose.String())
	}
}

// TestLinesInOrder sends more lines than fit a batch, of mixed length and kind.
func TestLinesInOrder(t *testing.T) {
	const n = 3000
	var in bytes.Buffer
	for i := range n {
		switch {
		case i%7 == 0:
			fmt.Fprintf(&in, `{"id":"%d","topic":"t","payload":%q}`+"\n", i, strings.Repeat("filler ", i))
		case i%5 == 0:
			fmt.Fprintf(&in, `{"id":"%d","topic":"t","payload_b64":%q}`+"\r\n", i, base64.StdEncoding.EncodeToString([]byte{0, byte(i), 0xff}))
		default:
			fmt.Fprintf(&in, `{"id":"%d","topic":"t","payload":"{\"n\":%d}"}`+"\n", i, i)
		}
	}
	stdout, stderr, code := sealctl(t, &in, "classify", "--jsonl", "-")
	if code != exitFine || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("%d lines for %d", len(lines), n)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, fmt.Sprintf(`{"id":"%d",`, i)) {
			t.Fatalf("line %d is %.60s", i, line)
		}
	}
}

// TestLongLines has lines at and beyond the bound.
func TestLongLines(t *testing.T) {
	if testing.Short() {
		t.Skip("uses some 200 MiB")
	}
	fits := strings.Repeat("x", maxLine-len(`{"payload":""}`))
	in := io.MultiReader(
		strings.NewReader(`{"payload":"`+fits+`"}`+"\n"),
		strings.NewReader(`{"payload":"`+fits+`more"}`+"\n"),
		strings.NewReader(`{"id":"after","payload":"{}"}`),
	)
	stdout, stderr, code := sealctl(t, in, "classify", "--jsonl", "-")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitFine || len(lines) != 3 || !strings.Contains(stderr, "line 2: longer than 64 MiB") {
		t.Fatalf("exit code %d, %d lines, %s", code, len(lines), stderr)
	}
	for i, want := range []string{`"reason":"too_large"`, `"reason":"too_large"`, `{"id":"after","format":"json","grade":"L1"`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d: %.100s", i, lines[i])
		}
	}
}

// TestAnswersAtOnce sends a line and waits for its answer before the next.
func TestAnswersAtOnce(t *testing.T) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"classify", "--jsonl", "-"}, inR, outW, io.Discard)
		outW.Close()
	}()
	dec := json.NewDecoder(outR)
	for i := range 5 {
		fmt.Fprintf(inW, `{"id":%d,"payload":"{}"}`+"\n", i)
		var got struct{ ID int }
		if err := dec.Decode(&got); err != nil || got.ID != i {
			t.Fatalf("got %d, %v", got.ID, err)
		}
	}
	inW.Close()
	if code := <-ended; code != exitFine {
		t.Errorf("exit code %d", code)
	}
}

func TestUnquote(t *testing.T) {
	for in, want := range map[string]string{
		`""`:                         "",
		`"plain"`:                    "plain",
		`"\"\\\/\b\f\n\r\t"`:         "\"\\/\b\f\n\r\t",
		`"\u00e9\u4e2d\ud83d\ude00"`: "é中😀",
		`"\uD83D\uDE00"`:             "😀",
		`"\ud800"`:                   "\xed\xa0\x80",
		`"\ud800\u0041"`:             "\xed\xa0\x80A",
		`"\udc00\ud800"`:             "\xed\xb0\x80\xed\xa0\x80",
		"\"\xff\\n\"":                "\xff\n",
	} {
		if got := string(unquote([]byte(in))); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// FuzzParseMessage feeds lines of foreign bytes: they never panic, what
// encoding/json reads as text is read the same, and a verdict is a JSON line.
func FuzzParseMessage(f *testing.F) {
	for _, s := range []string{
		`{"id":"a","topic":"t","payload":"{\"a\":1}"}`, `{"id":1e3,"payload":{"a":[1]}}`, `{"payload_b64":"AAEC"}`,
		`{"payload":"\ud800\udc00\udc00"}`, "{\"payload\":\"\xff\"}", `{"id":"\ud800","topic":"\u0000","payload":null}`, `[]`, ``, `{"id":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(s))
	}
	j, err := (&policyFlags{}).judge()
	if err != nil {
		f.Fatal(err)
	}
	w := j.worker()
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsRune(line, '\n') {
			return
		}
		b := &batch{lines: line, ends: []int{len(line)}, first: 1}
		w.batch(b)
		if len(bytes.TrimSpace(line)) == 0 {
			if len(b.out) != 0 {
				t.Errorf("a blank line has the verdict %s", b.out)
			}
			return
		}
		if !json.Valid(b.out) || bytes.Count(b.out, []byte("\n")) != 1 {
			t.Errorf("verdict %q", b.out)
		}
		m, err := parseMessage(line)
		var std struct{ Payload *string }
		if err == nil && json.Unmarshal(line, &std) == nil && std.Payload != nil && !strings.ContainsRune(*std.Payload, '\ufffd') && m.payload != nil && *std.Payload != string(m.payload) {
			var b64 struct {
				P *string `json:"payload_b64"`
			}
			if json.Unmarshal(line, &b64) == nil && b64.P == nil {
				t.Errorf("payload %q, encoding/json has %q", m.payload, *std.Payload)
			}
		}
	})
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
	}{{"/short", 20}, {"/a/very/long/path/with/many/elements", 12}, {"/日本語/の/とても/長い/パス", 12}, {"ééééééééé", 4}, {"日本日本日本", 5}} {
		got := shorten(c.in, c.width)
		if columns(got) > c.width || columns(c.in) <= c.width && got != c.in || got == "" {
			t.Errorf("shorten(%q, %d) = %q, %d columns", c.in, c.width, got, columns(got))
		}
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"site/door": "site/door", "日本": "日本", "a\x1b[31mb": `a\u001b[31mb`, "a\xffb": `a\xffb`, "left\u202eright": `left\u202eright`, "\U000e0041": `\U000e0041`,
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBadIsKept(t *testing.T) {
	inner := errors.New("x")
	var x *exitError
	if err := fmt.Errorf("outer: %w", bad(inner)); !errors.As(err, &x) || x.code != exitBad || !errors.Is(err, inner) {
		t.Error("the code or the cause is lost")
	}
}
