package payload

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of edits in docs/formats-payload.md anew")

const (
	tablePage  = "../../docs/formats-payload.md"
	tableBegin = "<!-- made by go test ./classify/payload -run TestFormatTable -update -->\n"
	tableEnd   = "<!-- end -->\n"
)

// kindWords are how the table calls values.
var kindWords = []struct {
	word  string
	kinds []Kind
}{
	{"texts", []Kind{KindString, KindText}}, {"numbers", []Kind{KindNumber}}, {"true and false", []Kind{KindBool}},
	{"bytes", []Kind{KindBinary}}, {"containers", []Kind{KindObject, KindArray}},
}

// formatTable is what may be done to which kinds of values, by the samples of
// each format. That it can be done is for the contract suite to show.
func formatTable(t *testing.T) string {
	t.Helper()
	columns := []struct {
		name string
		ok   func(d *Document, i int32) bool
	}{
		{"another text", func(d *Document, i int32) bool { return d.Fields[i].Accepts.Has(EditString) }},
		{"another number", func(d *Document, i int32) bool {
			return d.Fields[i].Accepts.Has(EditNumber) && d.Fields[i].Kind.Leaf()
		}},
		{"removed", func(d *Document, i int32) bool { return d.Fields[i].Accepts.Has(EditRemove) }},
		{"encrypted", func(d *Document, i int32) bool { return d.Encryptable(i, false) || d.Encryptable(i, true) }},
		{"stripped", func(d *Document, i int32) bool { return d.Fields[i].Accepts.Has(EditStrip) }},
	}
	type cell struct{ some, all bool }
	rows := map[string][][]cell{}
	var order []string
	for _, s := range samples() {
		d := mustParse(t, s.topic, []byte(s.raw))
		if s.format == "empty" {
			continue
		}
		if rows[s.format] == nil {
			order = append(order, s.format)
			rows[s.format] = make([][]cell, len(columns))
			for c := range columns {
				rows[s.format][c] = slices.Repeat([]cell{{all: true}}, len(kindWords))
			}
		}
		for _, i := range payloadFields(d) {
			k := slices.IndexFunc(kindWords, func(w struct {
				word  string
				kinds []Kind
			}) bool {
				return slices.Contains(w.kinds, d.Fields[i].Kind)
			})
			if k < 0 || i == d.Root && !d.Fields[i].Kind.Leaf() {
				continue
			}
			for c := range columns {
				x := &rows[s.format][c][k]
				if columns[c].ok(d, i) {
					x.some = true
				} else {
					x.all = false
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("| format |")
	for _, c := range columns {
		b.WriteString(" " + c.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	slices.Sort(order)
	for _, name := range order {
		if !slices.ContainsFunc(slices.Concat(rows[name]...), func(x cell) bool { return x.some }) {
			continue // nothing
		}
		fmt.Fprintf(&b, "| `%s` |", name)
		for c := range columns {
			var words []string
			for k, w := range kindWords {
				switch x := rows[name][c][k]; {
				case x.some && x.all:
					words = append(words, w.word)
				case x.some:
					words = append(words, w.word+"*")
				}
			}
			b.WriteString(" " + strings.Join(words, ", ") + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestFormatTable: the table of docs/formats-payload.md is what the readers say.
func TestFormatTable(t *testing.T) {
	page, err := os.ReadFile(tablePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	have, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", tablePage)
	}
	want := formatTable(t)
	if *update {
		if err := os.WriteFile(tablePage, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s has\n%s\nwant, go test ./classify/payload -run TestFormatTable -update:\n%s", tablePage, have, want)
	}
}
