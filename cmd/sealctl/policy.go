package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify/policy"
)

func newPolicy(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Learn, check, explain, promote, sign and ship policies",
		Long: `A policy says what is sensitive and what happens to it. These commands read it as
a gateway does; with --config agent.yaml they know the gateway's uplinks and its
guard, without one they permit whatever some gateway could permit.

The way from traffic to protection: learn drafts a policy that observes, check and
explain show what it says, promote turns one route after the other to enforce, and
diff says of any two policies whether the new one loosens.`,
		Example: `  sealctl policy learn --broker mqtt://127.0.0.1:1883 --for 10m
  sealctl policy explain policy-draft.yaml
  sealctl policy promote doors policy-draft.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newPolicyCheck(e), newPolicyExplain(e), newPolicyDiff(e), newPolicyLearn(e), newPolicyPromote(e))
	c.AddCommand(shipping(e)...)
	return c
}

func configFlag(c *cobra.Command, config *string) {
	c.Flags().StringVar(config, "config", "", "take uplinks and guard from this agent.yaml `FILE`")
}

func compileAll(config string, paths ...string) ([]*policy.Policy, error) {
	v, g, err := surroundings(config)
	if err != nil {
		return nil, err
	}
	var out []*policy.Policy
	for _, path := range paths {
		p, err := compile(path, v, g)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func newPolicyCheck(e *env) *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy and run its self-tests",
		Long: `Check reports every problem of a policy at once, with its line, and runs the
policy's own self-tests. It exits with 3 if there is a problem.`,
		Example: `  sealctl policy check policy.yaml
  sealctl policy check --config /etc/sealgate/agent.yaml policy.yaml`,
		Args:              want(1, 1, "a policy"),
		ValidArgsFunction: completePolicies,
		RunE: func(_ *cobra.Command, args []string) error {
			ps, err := compileAll(config, args[0])
			if _, ok := errors.AsType[*policy.Errors](err); ok {
				return bad(err)
			}
			if err != nil {
				return err
			}
			p := ps[0]
			if asJSON {
				return e.printJSON(struct {
					Version    uint64   `json:"version"`
					Profile    string   `json:"profile"`
					Hash       string   `json:"hash"`
					Routes     int      `json:"routes"`
					Uplinks    []string `json:"uplinks"`
					Recipients []string `json:"recipients"`
					Observes   []string `json:"observes"` // routes
				}{p.Version(), p.Profile(), fmt.Sprintf("%x", p.Hash()), len(p.Routes()), orEmpty(p.Uplinks()), orEmpty(p.Recipients()), orEmpty(observing(p))})
			}
			fmt.Fprintf(e.stdout, "%s  version %d, profile %s, %s, uplinks %s\n", e.styled(green, "ok"), p.Version(), p.Profile(),
				plural(len(p.Routes()), "route", "routes"), strings.Join(p.Uplinks(), " "))
			if o := observing(p); len(o) > 0 {
				fmt.Fprintf(e.stderr, "sealctl: %s only observed, their data leaves unchanged: %s\n", plural(len(o), "route is", "routes are"), strings.Join(o, ", "))
			}
			return nil
		},
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func observing(p *policy.Policy) []string {
	var names []string
	for _, r := range p.Routes() {
		if r.Observes() {
			names = append(names, r.Name)
		}
	}
	return names
}

func newPolicyExplain(e *env) *cobra.Command {
	var f policyFlags
	var asJSON bool
	var html string
	c := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Show what befalls each class of data on each route",
		Long: `Explain shows the decision table of a policy, or of the built-in one: for each
route and uplink what happens to each class of data, and to a message by what is
left of its grade. Where a value changes its type, it says so. With --html it is
a page for those who sign the policy off.`,
		Example: `  sealctl policy explain
  sealctl policy explain --html policy.html policy.yaml
  sealctl policy explain --profile cn --json`,
		Args:              want(0, 1, "at most one policy"),
		ValidArgsFunction: completePolicies,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.policy = args[0]
			}
			p, err := f.load()
			if err != nil {
				return err
			}
			x := p.Explain()
			if html != "" {
				if err := writePage(html, "explain", explainPage(&x, f.policy)); err != nil {
					return err
				}
				fmt.Fprintf(e.stderr, "sealctl: the page is %s\n", visible(html))
				return nil
			}
			if asJSON {
				return e.printJSON(x)
			}
			return x.WriteText(e.stdout)
		},
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.profile, "profile", "", "explain the built-in policy of this `PROFILE`")
	c.Flags().StringVar(&html, "html", "", "write a page to this HTML `FILE` instead")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newPolicyDiff(e *env) *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what a new policy changes, and whether it loosens",
		Long: `Diff compares what two policies do, not how they are written, and ends with one
word: loosens, tightens or neither. It exits with 3 if the new policy loosens.`,
		Example: `  sealctl policy diff policy.yaml new.yaml
  sealctl policy diff --json old.yaml new.yaml`,
		Args:              want(2, 2, "two policies, the old one and the new one"),
		ValidArgsFunction: completePolicies,
		RunE: func(_ *cobra.Command, args []string) error {
			ps, err := compileAll(config, args...)
			if err != nil {
				return err
			}
			d := policy.Diff(ps[0], ps[1])
			if asJSON {
				err = e.printJSON(d)
			} else {
				e.showDiff(&d)
			}
			if err == nil && d.Direction == policy.Loosens {
				return errBad
			}
			return err
		},
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) showDiff(d *policy.Difference) {
	where := ""
	counts := map[policy.Direction]int{}
	for i, c := range d.Changes {
		counts[c.Direction]++
		if i == 0 || c.Where != where {
			where = c.Where
			fmt.Fprintln(e.stdout, e.styled(bold, cmp.Or(where, "policy")))
		}
		fmt.Fprintf(e.stdout, "  %s  %s: %s → %s\n", e.direction(c.Direction, fmt.Sprintf("%-8s", c.Word)), c.What, c.Before, c.After)
	}
	if len(d.Changes) > 0 {
		fmt.Fprintln(e.stdout)
	}
	// The word stands alone at the end, for who reads the last line.
	fmt.Fprintln(e.stdout, e.styled(faint, directionWords(d.Direction, counts)))
	fmt.Fprintln(e.stdout, e.direction(d.Direction, d.Word))
}

// directionWords says what a direction means.
func directionWords(d policy.Direction, counts map[policy.Direction]int) string {
	switch {
	case d == policy.Loosens && counts[policy.Loosens] == 1:
		return "1 change protects something less, or can't be shown not to:"
	case d == policy.Loosens:
		return thousands(counts[policy.Loosens]) + " changes protect something less, or can't be shown not to:"
	case d == policy.Tightens:
		return "something is protected more, and nothing less:"
	case counts[policy.Neither] > 0:
		return "nothing is protected more or less:"
	}
	return "both do the same:"
}

func (e *env) direction(d policy.Direction, word string) string {
	switch d {
	case policy.Loosens:
		return e.styled(loud, word)
	case policy.Tightens:
		return e.styled(green, word)
	}
	return word
}
