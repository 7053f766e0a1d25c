package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

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

// checkCount refuses an end that would never come.
func checkCount(count int) error {
	if count < 0 {
		return usageError{fmt.Errorf("--count %d: want 0 for no end, or more", count)}
	}
	return nil
}

// span is the value of a flag: a time that is not below 0.
type span struct{ of *time.Duration }

func (span) Type() string { return "duration" }

func (s span) String() string {
	if s.of == nil || *s.of == 0 {
		return ""
	}
	return s.of.String()
}

func (s span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("it is below 0")
	}
	if err == nil {
		*s.of = d
	}
	return err
}

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
