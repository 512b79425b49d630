package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/internal/durable"
)

func newPolicyPromote(e *env) *cobra.Command {
	var config string
	var dry bool
	c := &cobra.Command{
		Use:   "promote ROUTE FILE",
		Short: "Turn a route from observe to enforce",
		Long: `Promote changes one route of a policy from observe to enforce, for every uplink,
counts the version up, and shows what that does. Comments and the way the file is
written stay as they are. With --dry-run nothing is written.`,
		Example: `  sealctl policy promote --dry-run doors policy.yaml
  sealctl policy promote doors policy.yaml`,
		Args: want(2, 2, "a route and a policy"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.promote(config, args[0], args[1], dry)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return policyFiles, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would change and write nothing")
	return c
}

func (e *env) promote(config, route, path string, dry bool) error {
	v, g, err := surroundings(config)
	if err != nil {
		return err
	}
	before, err := compile(path, v, g)
	if err != nil {
		return err
	}
	src, err := readFile(path, maxDocument)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	out, err := policy.Promote(src, route)
	if errors.Is(err, policy.ErrEnforced) {
		fmt.Fprintf(e.stderr, "sealctl: route %q enforces already; nothing changed\n", route)
		return nil
	}
	if err != nil {
		return fmt.Errorf("promote route: %w", err)
	}
	after, err := policy.Compile(out, v, g)
	if es := new(policy.Errors); errors.As(err, &es) {
		es.File = path
		return fmt.Errorf("enforced, the policy has %s\n%w", plural(len(es.Problems), "problem", "problems"), es)
	}
	if err != nil {
		return fmt.Errorf("compile policy: %w", err)
	}
	d := policy.Diff(before, after)
	if slices.ContainsFunc(d.Changes, func(c policy.Change) bool { return c.What != "mode" }) {
		return fmt.Errorf("promote route: the change would do more than that; set mode: enforce under route %q by hand", route)
	}
	e.showLines(src, out)
	e.showEffects(after, route)
	if dry {
		fmt.Fprintf(e.stderr, "sealctl: nothing was written; leave out --dry-run to write %s\n", visible(path))
		return nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	if err := durable.WriteFile(path, out, st.Mode().Perm()); err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	fmt.Fprintf(e.stderr, "sealctl: %s is version %d now; check, sign or copy it, and reload the gateway\n", visible(path), after.Version())
	if o := observing(after); len(o) > 0 {
		fmt.Fprintf(e.stderr, "sealctl: %s: %s\n", plural(len(o), "route still observes", "routes still observe"), strings.Join(o, ", "))
	}
	return nil
}

// showLines shows the lines that changed.
func (e *env) showLines(before, after []byte) {
	a, b := bytes.Split(before, []byte("\n")), bytes.Split(after, []byte("\n"))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) > 0 && len(b) > 0 && bytes.Equal(a[0], b[0]):
			a, b = a[1:], b[1:]
		case len(a) == 0 || len(b) > 1 && bytes.Equal(a[0], b[1]): // promoting adds lines and changes them, and takes none away
			fmt.Fprintln(e.stdout, e.styled(green, "+ "+visible(string(bytes.TrimRight(b[0], "\r")))))
			b = b[1:]
		default:
			fmt.Fprintln(e.stdout, e.styled(red, "- "+visible(string(bytes.TrimRight(a[0], "\r")))))
			fmt.Fprintln(e.stdout, e.styled(green, "+ "+visible(string(bytes.TrimRight(b[0], "\r")))))
			a, b = a[1:], b[1:]
		}
	}
}

// showEffects shows what a route does to data from now on, by what is done.
func (e *env) showEffects(p *policy.Policy, route string) {
	x := p.Explain()
	i := slices.IndexFunc(x.Routes, func(r policy.RouteExplanation) bool { return r.Name == route })
	if i < 0 {
		return
	}
	r := &x.Routes[i]
	for k := range r.Uplinks {
		u := &r.Uplinks[k]
		fmt.Fprintf(e.stdout, "\n%s  %s\n", e.styled(bold, fmt.Sprintf("route %q, uplink %s", r.Name, u.Uplink)), e.styled(faint, "what is found leaves as"))
		var order []string
		classes := map[string][]string{}
		for c := range u.Classes {
			does := effect(&u.Classes[c])
			if classes[does] == nil {
				order = append(order, does)
			}
			classes[does] = append(classes[does], u.Classes[c].Class)
		}
		const width = 30
		for _, does := range order {
			label := e.styled(actionStyle(does), does) + strings.Repeat(" ", max(0, width-columns(does)))
			if columns(does) > width {
				fmt.Fprintf(e.stdout, "  %s\n", label)
				label = strings.Repeat(" ", width)
			}
			for _, line := range flow(classes[does], "  ", e.width-width-4) {
				fmt.Fprintf(e.stdout, "  %s  %s\n", label, line)
				label = strings.Repeat(" ", width)
			}
		}
		fmt.Fprintf(e.stdout, "  %s\n", e.styled(faint, "other text: "+u.Unclassified+"; what can't be read: "+r.Unreadable))
	}
}

// effect is what befalls a class, in a few words.
func effect(c *policy.ClassExplanation) string {
	does := c.Action
	if c.Message != "pass" && !strings.HasPrefix(c.Action, c.Message) {
		does = c.Message
	}
	if c.Raised != "" {
		does += "; " + c.Raised
	}
	return does
}
