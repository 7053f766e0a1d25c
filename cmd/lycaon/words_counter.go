package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func newCounter(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "counter",
		Short: "A number that everybody adds to",
		Long: `A number of 64 bits that everybody adds to, each time exactly once: the counter of
package recipes, and Curator's DistributedAtomicLong.`,
		GroupID: groupOther,
	}
	add := &cobra.Command{
		Use:     "add PATH [N]",
		Short:   "Add N, or 1, and print the sum",
		Long:    "Add N, or 1, to the counter PATH, and print the sum. What is not there is 0.\nA negative N comes behind --.",
		Example: "  counter add /hits\n  counter add /hits 10\n  counter add /hits -- -3",
		Args:    rangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := int64(1)
			if len(args) > 1 {
				var err error
				if n, err = strconv.ParseInt(args[1], 10, 64); err != nil {
					return usageError{fmt.Errorf("%q: N is a number of 64 bits", args[1])}
				}
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			return e.count(c, args[0], func(counter *recipes.Counter) (int64, error) { return counter.Add(cmd.Context(), n) })
		},
	}
	get := &cobra.Command{
		Use:     "get PATH",
		Short:   "Print the number",
		Long:    "Print the number at PATH, no older than any that anybody has been told. What is not there is 0.",
		Example: "  counter get /hits",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			return e.count(c, args[0], func(counter *recipes.Counter) (int64, error) { return counter.Get(cmd.Context()) })
		},
	}
	return e.gather(cmd, add, get)
}

func (e *env) count(c *client.Client, path string, f func(*recipes.Counter) (int64, error)) error {
	n, err := f(recipes.NewCounter(c, path))
	if err != nil {
		return err
	}
	if e.out.structured() {
		return e.out.value(map[string]any{"path": path, "value": n})
	}
	return e.out.line("%d", n)
}
