package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents calls f for every Markdown file of the repository.
func documents(t *testing.T, f func(path, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		n++
		f(path, string(text))
		return err
	})
	if err != nil || n < 10 {
		t.Fatalf("%d documents, %v", n, err)
	}
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	special = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks: what documents link to in the repository is there.
func TestLinks(t *testing.T) {
	documents(t, func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			name, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(path), name)
			if name == "" {
				target = path
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
				continue
			}
			if anchor != "" && !hasHeading(t, target, anchor) {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
	})
}

func hasHeading(t *testing.T, path, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		if strings.ReplaceAll(special.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

var (
	named   = regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	defined = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// TestNamedTests: a test that a document names, as `TestX` or `package.TestX`,
// exists.
func TestNamedTests(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		dir, _ := filepath.Rel("../..", filepath.Dir(path))
		for _, m := range defined.FindAllStringSubmatch(string(src), -1) {
			there[m[1]], there[filepath.ToSlash(dir)+"."+m[1]] = true, true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	documents(t, func(path, text string) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			n++
			if name := strings.Trim(m[0], "`"); !there[name] {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	})
	if n < 50 {
		t.Errorf("only %d tests are named", n)
	}
}

// TestFormatsAreNamed: the tools' document names every format of a payload.
func TestFormatsAreNamed(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats-tools.md")
	if err != nil {
		t.Fatal(err)
	}
	for path, names := range map[string]*regexp.Regexp{
		"../../classify/payload/document.go": regexp.MustCompile(`(?s)// FormatName returns (.*?)\nfunc `),
		"../../classify/payload/magic.go":    regexp.MustCompile(`(?s)mediaNames = \[\.\.\.\]string\{(.*?)\n\}`),
	} {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list := names.FindSubmatch(src)
		if list == nil {
			t.Fatalf("%s does not list names of formats", path)
		}
		found := regexp.MustCompile(`"([a-z0-9-]+)"`).FindAllSubmatch(list[1], -1)
		for _, n := range found {
			if !strings.Contains(string(page), "`"+string(n[1])+"`") {
				t.Errorf("docs/formats-tools.md does not name the format %s: add it there, and to README.md and CHANGELOG.md", n[1])
			}
		}
		if len(found) < 10 {
			t.Errorf("%s: only %d formats", path, len(found))
		}
	}
}
