// Package manpage writes the manual pages of a cobra program: one page for each
// command, in roff (man(7)), from the same words that --help shows. The output
// depends on the commands alone, so that a package can be built twice alike.
package manpage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Write writes a page for root and each of its visible commands into dir.
func Write(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory of manual pages: %w", err)
	}
	return write(root, dir)
}

func write(c *cobra.Command, dir string) error {
	path := filepath.Join(dir, name(c)+".1")
	if err := os.WriteFile(path, []byte(Page(c)), 0o644); err != nil {
		return fmt.Errorf("write manual page: %w", err)
	}
	for _, sub := range visible(c) {
		if err := write(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// visible returns the commands that people look for: not help, not hidden ones.
func visible(c *cobra.Command) (out []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			out = append(out, sub)
		}
	}
	return out
}

func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// Page returns the page of one command.
func Page(c *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(".TH %s 1 \"\" Sealgate \"Sealgate manual\"", quote(strings.ToUpper(name(c))))
	line(".nh")
	line(".SH NAME")
	line("%s \\- %s", escape(name(c)), escape(c.Short))
	line(".SH SYNOPSIS")
	line("\\fB%s\\fP", escape(c.UseLine()))
	if c.Long != "" || c.Short != "" {
		line(".SH DESCRIPTION")
		text := c.Long
		if text == "" {
			text = c.Short
		}
		line(".nf\n%s\n.fi", escape(text))
	}
	if c.Example != "" {
		line(".SH EXAMPLES")
		line(".nf\n%s\n.fi", escape(c.Example))
	}
	options(&b, "OPTIONS", c.NonInheritedFlags())
	options(&b, "OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	var also []string
	if c.HasParent() {
		also = append(also, name(c.Parent()))
	}
	for _, sub := range visible(c) {
		also = append(also, name(sub))
	}
	if len(also) > 0 {
		line(".SH SEE ALSO")
		for i, n := range also {
			end := ","
			if i == len(also)-1 {
				end = ""
			}
			line(".BR %s (1)%s", quote(n), end)
		}
	}
	return b.String()
}

func options(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		names := "\\-\\-" + escape(f.Name)
		if f.Shorthand != "" {
			names = "\\-" + escape(f.Shorthand) + ", " + names
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fP", names)
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fP", escape(value))
		}
		fmt.Fprintf(b, "\n%s\n", escape(usage))
	})
}

// escape makes text stand for itself: a backslash, a hyphen, and a dot or an
// apostrophe at the beginning of a line mean something to roff.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "’", "'").Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }
