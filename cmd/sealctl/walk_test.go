package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/classify.md marks its snippets as README.md does: "run" is shell, run in
// order in one directory, "file NAME" is a file of it, and "output" holds lines
// that what was run last printed, in order; "…" at a line's end stands for what
// follows.
var walkSnippet = regexp.MustCompile("(?ms)^<!-- (run|file|output) ?(\\S*) -->\n```[a-z]+\n(.*?)^```$")

// TestWalkThrough runs docs/classify.md as a new user would.
func TestWalkThrough(t *testing.T) {
	src, err := os.ReadFile("../../docs/classify.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	printed, ran, compared := "", 0, 0
	for _, m := range walkSnippet.FindAllStringSubmatch(string(src), -1) {
		kind, name, text := m[1], m[2], m[3]
		switch kind {
		case "file":
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case "run":
			c := exec.Command("sh", "-euc", text)
			c.Dir = dir // TestMain puts sealctl on the path
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%s%v\n%s", text, err, out)
			}
			printed = string(out)
			ran++
		case "output":
			compared++
			at := 0
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(strings.TrimRight(line, " \n"), " …")
				i := strings.Index(printed[at:], line)
				if i < 0 {
					t.Fatalf("%q is not printed where the page shows it:\n%s", line, printed)
				}
				at += i + len(line)
			}
		}
	}
	if ran < 6 || compared < 5 {
		t.Errorf("%d snippets were run, the output of %d compared", ran, compared)
	}
	for _, page := range []string{"inventory.html", "policy.html", "scores.html"} {
		if _, err := os.Stat(filepath.Join(dir, page)); err != nil {
			t.Error(err)
		}
	}
}
