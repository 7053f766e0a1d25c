package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The checks of cobra with our exit code and a text that shows the usage.

func exactArgs(n int) cobra.PositionalArgs { return rangeArgs(n, n) }

func maxArgs(n int) cobra.PositionalArgs { return rangeArgs(0, n) }

func rangeArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		hint := ""
		if len(args) > most && most > 0 {
			hint = " (what has blanks needs quotes)"
		}
		return usageError{fmt.Errorf("usage: %s%s", commandUse(cmd), hint)}
	}
}

// commandUse is how a command is used: in the shell without a program.
func commandUse(cmd *cobra.Command) string { return strings.TrimSpace(cmd.UseLine()) }

// exclusive refuses flags of one group together, before the command runs.
func exclusive(cmd *cobra.Command, groups ...[]string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, group := range groups {
			var typed []string
			for _, name := range group {
				if cmd.Flags().Changed(name) {
					typed = append(typed, "--"+name)
				}
			}
			if len(typed) > 1 {
				return usageError{fmt.Errorf("%s exclude each other", strings.Join(typed, " and "))}
			}
		}
		return nil
	}
}
