package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// complianceRows returns the cells of each row of a table in docs/compliance,
// without heads.
func complianceRows(t *testing.T, page string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/compliance", page))
	if err != nil {
		t.Fatal(err)
	}
	last := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch table := strings.HasPrefix(line, "| "); {
		case table && last:
			var cells []string
			for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			rows = append(rows, cells)
		default:
			last = strings.HasPrefix(line, "|---")
		}
	}
	return rows
}

var marks = []string{"done", "part", "operator", "not done", "n/a"}

// TestComplianceIsShown: a row that claims something names a test, a metric, a
// command or a document that shows it, and each of them is there; one that
// claims only a part says whose the rest is. (TestNamedTests and TestLinks look
// for tests and documents.)
func TestComplianceIsShown(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	metrics, makefile := read("docs/metrics.md"), read("Makefile")
	var commands strings.Builder
	for _, dir := range []string{"cmd/sealgate", "cmd/sealctl"} {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				commands.WriteString(read(strings.TrimPrefix(f, "../../")))
			}
		}
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	n := 0
	for _, page := range []string{"themes.md", "etsi-en-303-645.md", "nist-csf.md", "cra.md", "iso-27001.md"} {
		for _, row := range complianceRows(t, page) {
			i := slices.IndexFunc(row, func(c string) bool { return slices.Contains(marks, strings.Trim(c, "*")) })
			if i < 0 {
				t.Errorf("%s: %q has no mark", page, row[0])
				continue
			}
			n++
			rest := strings.Join(row[i+1:], " ")
			shown := strings.Contains(rest, "](") // a document
			for _, q := range quoted.FindAllStringSubmatch(rest, -1) {
				name := q[1]
				switch {
				case named.MatchString(q[0]):
				case strings.HasPrefix(name, "sealgate_"):
					if !strings.Contains(metrics, "`"+name+"`") {
						t.Errorf("%s: %q names the metric %s, which docs/metrics.md does not", page, row[0], name)
					}
				case strings.HasPrefix(name, "make "):
					if !regexp.MustCompile(`(?m)^` + strings.Fields(name)[1] + `:`).MatchString(makefile) {
						t.Errorf("%s: %q names %s, which is no target", page, row[0], name)
					}
				case strings.HasPrefix(name, "sealgate "), strings.HasPrefix(name, "sealctl "):
					for _, word := range strings.Fields(name)[1:] {
						if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" && !strings.Contains(commands.String(), `"`+word) {
							t.Errorf("%s: %q names %s, and there is no %s", page, row[0], name, word)
						}
					}
				default:
					continue // a setting, a file, an algorithm
				}
				shown = true
			}
			switch mark := strings.Trim(row[i], "*"); {
			case (mark == "done" || mark == "part") && !shown:
				t.Errorf("%s: %q is %s, and nothing shows it", page, row[0], mark)
			case mark == "part" && page != "themes.md" && page != "iso-27001.md" && !regexp.MustCompile(`operator|(?i:not done)`).MatchString(rest):
				t.Errorf("%s: %q is part, and does not say whose the rest is", page, row[0])
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d rows", n)
	}
}

// ids are identifiers of a catalogue, written as "5.1-1..5" for a range.
func ids(list string) (all []string) {
	for _, w := range strings.Fields(list) {
		first, last, ranged := strings.Cut(w, "..")
		if !ranged {
			all = append(all, w)
			continue
		}
		at := strings.LastIndexByte(first, '-') + 1
		for n := atoi(first[at:]); n <= atoi(last); n++ {
			all = append(all, first[:at]+itoa(n, len(first)-at))
		}
	}
	return all
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

func itoa(n, width int) string {
	s := ""
	for ; n > 0 || len(s) < width; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

// TestComplianceIDs: the page about EN 303 645 V3.1.3 has each of its
// provisions (annex B), once; that about CSF 2.0 names subcategories that there
// are.
func TestComplianceIDs(t *testing.T) {
	etsi := ids(`5.0-1 5.1-1..2 5.1-2A 5.1-3..5 5.2-1..3 5.3-1..3 5.3-4A 5.3-4B 5.3-5 5.3-6A 5.3-6B 5.3-7..14 5.3-15A 5.3-15B 5.3-16
		5.4-1..4 5.5-1..8 5.6-1..3 5.6-4A 5.6-4B 5.6-5..9 5.7-1..2 5.8-1..3 5.9-1..3 5.10-1 5.11-1..4 5.12-1..3 5.13-1A 5.13-1B
		6-1..2 6-3A 6-3B 6-4..8`)
	csf := ids(`GV.OC-01..05 GV.RM-01..07 GV.RR-01..04 GV.PO-01..02 GV.OV-01..03 GV.SC-01..10 ID.AM-01..05 ID.AM-07..08 ID.RA-01..10 ID.IM-01..04
		PR.AA-01..06 PR.AT-01..02 PR.DS-01..02 PR.DS-10..11 PR.PS-01..06 PR.IR-01..04 DE.CM-01..03 DE.CM-06 DE.CM-09 DE.AE-02..04 DE.AE-06..08
		RS.MA-01..05 RS.AN-03 RS.AN-06..08 RS.CO-02..03 RS.MI-01..02 RC.RP-01..06 RC.CO-03..04`)
	if len(csf) != 106 {
		t.Fatalf("%d subcategories, and CSF 2.0 has 106", len(csf))
	}
	firsts := func(page string) (all []string) {
		for _, row := range complianceRows(t, page) {
			all = append(all, strings.Split(row[0], ", ")...)
		}
		return all
	}
	got := firsts("etsi-en-303-645.md")
	for _, id := range etsi {
		if n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != id })); n != 1 {
			t.Errorf("provision %s stands %d times", id, n)
		}
	}
	if len(got) != len(etsi) {
		t.Errorf("%d provisions, and the standard has %d: %v", len(got), len(etsi), got)
	}
	for _, id := range firsts("nist-csf.md") {
		if !slices.Contains(csf, id) {
			t.Errorf("CSF 2.0 has no subcategory %s", id)
		}
	}
}
