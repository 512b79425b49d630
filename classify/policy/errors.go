package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxProblems is how many problems one compilation reports.
const maxProblems = 100

// A Problem is one thing wrong with a policy document, and where.
type Problem struct {
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // lowercase, without a full stop
	Hint    string // what to do about it; may be empty
}

// Errors is every problem of one policy document, in the order of its lines.
// It holds lines of the document, and prints like a compiler.
type Errors struct {
	File     string // shown before each place; empty: "policy"
	Problems []Problem

	lines []string // the source lines, for display
}

// Error lists all problems, each with its source line, a caret and a hint.
func (e *Errors) Error() string {
	var b strings.Builder
	file := cmp.Or(e.File, "policy")
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", file, p.Line, p.Column, p.Message)
		if p.Line >= 1 && p.Line <= len(e.lines) {
			text, caret := excerpt(e.lines[p.Line-1], p.Column)
			fmt.Fprintf(&b, "\n%5d | %s\n      | %s^", p.Line, text, caret)
		}
		if p.Hint != "" {
			fmt.Fprintf(&b, "\n      = %s", p.Hint)
		}
	}
	return b.String()
}

// excerpt returns at most 100 characters of a line around a column, and the
// space that puts a caret below that column.
func excerpt(line string, column int) (text, space string) {
	const before, width = 60, 100
	rs := []rune(strings.ToValidUTF8(line, "\uFFFD"))
	from := max(0, min(column-1, len(rs))-before)
	rs = rs[from:min(len(rs), from+width)]
	for i, r := range rs {
		switch {
		case r < ' ' || r == 0x7F || r >= 0x80 && r < 0xA0:
			rs[i] = ' ' // a terminal must not act on it
		}
	}
	at := max(0, min(column-1-from, len(rs)))
	return string(rs), strings.Repeat(" ", at)
}

// problems collects what is wrong while a document is read.
type problems struct {
	list []Problem
	full bool
}

func (ps *problems) at(line, column int, hint, format string, args ...any) {
	if len(ps.list) >= maxProblems {
		ps.full = true
		return
	}
	ps.list = append(ps.list, Problem{Line: line, Column: column, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

func (ps *problems) err(src []byte) error {
	if len(ps.list) == 0 {
		return nil
	}
	lines := strings.Split(strings.ReplaceAll(string(src), "\r\n", "\n"), "\n")
	for i := range ps.list {
		ps.list[i].Line = min(ps.list[i].Line, len(lines)) // the parser may count a lone "\r" too
	}
	slices.SortStableFunc(ps.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if ps.full {
		last := ps.list[len(ps.list)-1]
		ps.list = append(ps.list, Problem{Line: last.Line, Column: last.Column, Message: "too many problems; the rest is not shown"})
	}
	return &Errors{Problems: ps.list, lines: lines}
}

// suggest returns a hint for a word that is not one of the known ones: the
// nearest of them, or all where they are few.
func suggest(word string, known []string) string {
	best, distance := "", 1+min(3, (utf8.RuneCountInString(word)+1)/3)
	if len(word) < 3 {
		distance = 1 // two letters are no hint
	}
	for _, k := range known {
		if d := editDistance(word, k, distance); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return ""
	case len(known) <= 16:
		return "known: " + strings.Join(known, ", ")
	}
	// A class by its last word: "email" for contact.email.
	for _, k := range known {
		if _, last, ok := strings.Cut(k, "."); ok && (last == word || strings.HasPrefix(k, word+".")) {
			return fmt.Sprintf("did you mean %q?", k)
		}
	}
	return ""
}

// editDistance is the Damerau-Levenshtein distance (adjacent transpositions),
// or limit where it is not below limit.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit || len(a) > 64 || len(b) > 64 {
		return limit
	}
	var rows [3][65]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur, prev, prev2 := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
	}
	return min(limit, rows[len(a)%3][len(b)])
}
