package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify/policy"
)

func newPolicy(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain, compare, sign and ship policies",
		Long: `A policy says what is sensitive and what happens to it. These commands read it as
a gateway does; with --config agent.yaml they know the gateway's uplinks and its
guard, without one they permit whatever some gateway could permit.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(newPolicyCheck(e), newPolicyExplain(e), newPolicyDiff(e))
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
		Args: want(1, 1, "a policy"),
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
	c := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Show what befalls each class of data on each route",
		Long: `Explain shows the decision table of a policy, or of the built-in one: for each
route and uplink what happens to each class of data, and to a message by what is
left of its grade. Where a value changes its type, it says so.`,
		Args: want(0, 1, "at most one policy"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.policy = args[0]
			}
			p, err := f.load()
			if err != nil {
				return err
			}
			x := p.Explain()
			if asJSON {
				return e.printJSON(x)
			}
			return x.WriteText(e.stdout)
		},
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.profile, "profile", "", "explain the built-in policy of this `PROFILE`")
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
		Args: want(2, 2, "two policies, the old one and the new one"),
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
	for i, c := range d.Changes {
		if i == 0 || c.Where != where {
			where = c.Where
			title := where
			if title == "" {
				title = "policy"
			}
			fmt.Fprintln(e.stdout, e.styled(bold, title))
		}
		fmt.Fprintf(e.stdout, "  %s  %s: %s → %s\n", e.direction(c.Direction, fmt.Sprintf("%-8s", c.Word)), c.What, c.Before, c.After)
	}
	fmt.Fprintln(e.stdout, e.direction(d.Direction, d.Word))
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
