package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/sealgate/sealgate/classify"
)

// maxWidth is where tables stop to grow: lines longer than that are hard to
// follow.
const maxWidth = 120

// lookAround finds out what stdin, stdout and stderr are. NO_COLOR is the convention
// of no-color.org.
func (e *env) lookAround(getenv func(string) string) {
	e.width = 80
	if f, ok := e.stdin.(*os.File); ok {
		e.typed = term.IsTerminal(int(f.Fd()))
	}
	if f, ok := e.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		e.paint = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
			e.width = min(w, maxWidth)
		}
	}
	if f, ok := e.stderr.(*os.File); ok {
		e.lively = term.IsTerminal(int(f.Fd())) && getenv("TERM") != "dumb"
	}
}

// A style is an SGR sequence (ECMA-48).
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	loud   style = "1;31"
)

func (e *env) styled(s style, text string) string {
	if !e.paint || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// gradeStyle colours by how much harm a disclosure does. The grade stands there
// in words as well.
func gradeStyle(g classify.Grade) style {
	switch g {
	case classify.L1:
		return faint
	case classify.L2:
		return plain
	case classify.L3:
		return yellow
	case classify.L4:
		return red
	}
	return loud
}

func actionStyle(name string) style {
	switch name {
	case "pass":
		return plain
	case "block":
		return loud
	}
	return green
}

// visible makes text from elsewhere harmless on a terminal: control characters,
// and characters that turn the direction of writing, are escaped.
func visible(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// columns is how many columns text takes on a terminal: wide letters take two,
// combining ones none.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana), r >= 0xFF01 && r <= 0xFF60, r >= 0x1F300 && r <= 0x1FAFF:
		return 2
	}
	return 1
}

// shorten cuts text in its middle, so that its end, which tells most in a path,
// stays.
func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 4 {
		return "…"
	}
	rs := []rune(s)
	head, used := 0, 0
	for used+runeColumns(rs[head]) <= (width-1)/3 {
		used += runeColumns(rs[head])
		head++
	}
	tail, room := len(rs), width-1-used
	for room >= runeColumns(rs[tail-1]) {
		room -= runeColumns(rs[tail-1])
		tail--
	}
	return string(rs[:head]) + "…" + string(rs[tail:])
}

// cutEnd cuts text at its end.
func cutEnd(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeColumns(r); used > width-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// A cell is one field of a table.
type cell struct {
	text  string
	style style
}

// A table is aligned by column. All but one column are as wide as their widest
// cell; the flexible one takes what is left and is shortened. Before it is, the
// spare one, if there is any, loses its end.
type table struct {
	head  []string
	right []bool // by column: aligned to the right
	flex  int    // the flexible column
	spare int    // 0: none
	rows  [][]cell
	notes map[int][]string // lines below a row, shown faint
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// note adds a line below the last row.
func (t *table) note(text string) {
	if t.notes == nil {
		t.notes = map[int][]string{}
	}
	t.notes[len(t.rows)-1] = append(t.notes[len(t.rows)-1], text)
}

func (t *table) write(w io.Writer, e *env, indent int) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = columns(h)
		for _, r := range t.rows {
			widths[i] = max(widths[i], columns(r[i].text))
		}
	}
	room := e.width - indent - 2*(len(widths)-1)
	for i, n := range widths {
		if i != t.flex {
			room -= n
		}
	}
	if t.spare > 0 {
		const least = 9
		give := max(0, min(widths[t.flex]-room, widths[t.spare]-least))
		widths[t.spare] -= give
		room += give
	}
	widths[t.flex] = min(widths[t.flex], max(room, 12))
	heads := make([]cell, len(t.head))
	for i, h := range t.head {
		heads[i] = cell{h, faint}
	}
	t.line(w, e, indent, widths, heads)
	for i, r := range t.rows {
		t.line(w, e, indent, widths, r)
		for _, n := range t.notes[i] {
			for _, line := range wrap(n, e.width-indent-4) {
				fmt.Fprintf(w, "%*s%s\n", indent+4, "", e.styled(faint, line))
			}
		}
	}
}

func (t *table) line(w io.Writer, e *env, indent int, widths []int, cells []cell) {
	var b strings.Builder
	fmt.Fprintf(&b, "%*s", indent, "")
	for i, c := range cells {
		text := c.text
		switch {
		case i == t.flex:
			text = shorten(text, widths[i])
		case i == t.spare && i > 0:
			text = cutEnd(text, widths[i])
		}
		gap := strings.Repeat(" ", max(widths[i]-columns(text), 0))
		text = e.styled(c.style, text)
		if t.right != nil && t.right[i] {
			text = gap + text
		} else if i < len(cells)-1 {
			text += gap
		}
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(text)
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// wrap breaks text into lines at spaces.
func wrap(s string, width int) []string { return flow(strings.Fields(s), " ", width) }

// flow fills lines with items.
func flow(items []string, gap string, width int) []string {
	var lines []string
	line := ""
	for _, item := range items {
		switch {
		case line == "":
			line = item
		case columns(line)+len(gap)+columns(item) <= width:
			line += gap + item
		default:
			lines = append(lines, line)
			line = item
		}
	}
	return append(lines, line)
}

// plural is "1 message", "2 messages".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// byteSize writes a size for people.
func byteSize[T int | int64](bytes T) string {
	n := int64(bytes)
	switch {
	case n < 10<<10:
		return plural(int(n), "byte", "bytes")
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
