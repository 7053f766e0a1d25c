package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/recipes"
	"github.com/lycaon-io/lycaon/znode"
)

func newElect(e *env) *cobra.Command {
	var listen bool
	var count int
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "elect {PATH VALUE [-- CMD ARGS...] | --listen PATH}",
		Short: "Campaign to be the leader and run a command while leading, or tell who leads",
		Long: `Campaign at PATH with VALUE, which the others see, run CMD while leading, and resign.
Who began first leads first; the election is that of package recipes, and of
Curator's LeaderLatch. Without CMD it leads until Ctrl-C, and its token is printed.
With --listen it prints the present leader and then each change of it, until Ctrl-C
or --count; leaders that came and went in between may be missing.

` + strings.Replace(dataHelp, "DATA", "VALUE", 1) + `
CMD finds in its environment
  LYCAON_ELECT_PATH    PATH
  LYCAON_ELECT_NODE    the node that leads
  LYCAON_ELECT_TOKEN   the fencing token: a number higher than that of every earlier
                       leader, by which other systems can refuse a late one
` + childHelp,
		Example: "  elect /leaders/mail host-1:2525 -- ./mailer\n  elect --listen /leaders/mail\n  elect --listen -n 1 -o json /leaders/mail",
		GroupID: groupOther,
		Args: func(cmd *cobra.Command, args []string) error {
			if listen {
				return exactArgs(1)(cmd, args)
			}
			return heldArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := znode.ValidatePath(args[0]); err != nil {
				return usageError{err}
			}
			if err := checkCount(count); err != nil {
				return err
			}
			if !listen && cmd.Flags().Changed("count") {
				return usageError{errors.New("--count wants --listen")}
			}
			if listen {
				return e.listen(cmd.Context(), args[0], count)
			}
			return e.campaign(cmd.Context(), args, grace)
		},
	}
	cmd.Flags().BoolVarP(&listen, "listen", "l", false, "tell who leads, and take no part")
	cmd.Flags().IntVarP(&count, "count", "n", 0, "with --listen: end after this many lines; 0 = never")
	graceFlag(cmd, &grace)
	return cmd
}

func (e *env) campaign(ctx context.Context, args []string, grace time.Duration) error {
	path, argv := args[0], args[2:]
	if err := checkCommand(argv); err != nil {
		return err
	}
	value, err := e.dataArg(args, 1)
	if err != nil {
		return err
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	h, err := recipes.NewElection(c, path).Campaign(ctx, value)
	if err != nil {
		return gaveUp(ctx, "elect "+path, err)
	}
	return e.whileHeld(ctx, "elect "+path, h, func() error {
		if len(argv) > 0 {
			return e.runUnder(ctx, h.Context(), program{argv, e.heldEnviron("ELECT", path, h.Guard()), e.input()}, grace)
		}
		return e.holdOn(ctx, h, "Leading", path)
	})
}

// listen prints leaders until ctx ends or count were told.
func (e *env) listen(ctx context.Context, path string, count int) error {
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	told := 0
	for leader, err := range recipes.NewElection(c, path).Observe(ctx) {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.printElected(leader); err != nil {
			return err
		}
		if told++; told == count {
			return nil
		}
	}
	return nil
}

func (e *env) printElected(l *recipes.Leader) error {
	switch {
	case e.out.structured() && l == nil:
		return e.out.now(nil)
	case e.out.structured():
		return e.out.now(dataFields(map[string]any{"session": l.Session, "token": l.Token}, l.Value))
	case l == nil:
		return e.out.line("nobody leads")
	}
	return e.out.line("%s leads, token %d, session %s", l.Value, l.Token, l.Session)
}

// gaveUp words the end of a wait by Ctrl-C.
func gaveUp(ctx context.Context, what string, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: given up while waiting", what)
	}
	return err
}
