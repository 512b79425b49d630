package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/classify"
)

// complete says what shells offer behind flags, by their names. A command that
// has a better idea of its own keeps it.
func complete(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		switch f.Name { // errors can only say that there is no such flag, or that it is set already
		case "profile":
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(classify.Profiles(), cobra.ShellCompDirectiveNoFileComp))
		case "policy", "config":
			_ = c.MarkFlagFilename(f.Name, policyFiles...)
		case "report", "html", "inventory":
			_ = c.MarkFlagFilename(f.Name, "html")
		}
	})
	for _, sub := range c.Commands() {
		complete(sub)
	}
}

// completePolicies offers files that may be policies.
func completePolicies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return policyFiles, cobra.ShellCompDirectiveFilterFileExt
}

// policyFiles are the endings of files that hold policies and configurations.
var policyFiles = []string{"yaml", "yml", "json"}
