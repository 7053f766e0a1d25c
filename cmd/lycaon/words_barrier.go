package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/recipes"
)

func newBarrier(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "barrier",
		Short: "Hold up others until it is lowered, or begin and end together",
		Long: `A barrier that somebody raises holds up all who wait, until somebody lowers it. It is
a node, that of Curator's DistributedBarrier, and outlives who raised it.

A double barrier lets N enter together and leave together: that of package recipes, and
of Curator's DistributedDoubleBarrier. All must give the same N.`,
		GroupID: groupOther,
	}
	simple := []struct {
		use, short, did string
		do              func(*recipes.Barrier, context.Context) error
	}{
		{"raise PATH", "Hold up all who wait from now on", "raised", (*recipes.Barrier).Raise},
		{"lower PATH", "Let all go who wait", "lowered", (*recipes.Barrier).Lower},
		{"wait PATH", "Wait until the barrier is down", "down", (*recipes.Barrier).Wait},
	}
	var subs []*cobra.Command
	for _, s := range simple {
		subs = append(subs, e.newBarrierStep(s.use, s.short, s.did, s.do))
	}
	return e.gather(cmd, append(subs, newBarrierEnter(e), newBarrierLeave(e))...)
}

func (e *env) newBarrierStep(use, short, did string, do func(*recipes.Barrier, context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   short,
		Long:    short + ". PATH may be so already.",
		Example: "  barrier " + use[:len(use)-len("PATH")] + "/barriers/release",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if err := do(recipes.NewBarrier(c, args[0]), cmd.Context()); err != nil {
				return gaveUp(cmd.Context(), "barrier "+cmd.Name()+" "+args[0], err)
			}
			return e.saidBarrier(args[0], did)
		},
	}
}

func (e *env) saidBarrier(path, state string) error {
	if e.out.structured() {
		return e.out.now(map[string]string{"path": path, "state": state})
	}
	return e.out.line("%s: %s", path, state)
}

func newBarrierEnter(e *env) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "enter PATH N [-- CMD ARGS...]",
		Short: "Wait until N have entered, run a command, wait until all have left",
		Long: `Enter the double barrier PATH: wait until N have, run CMD, leave, and wait until all
have left. Without CMD it is left at Ctrl-C; in the shell, by barrier leave.

CMD finds in its environment
  LYCAON_BARRIER_PATH    PATH
  LYCAON_BARRIER_NODE    one's own node
  LYCAON_BARRIER_TOKEN   the transaction that made it
` + childHelp,
		Example: "  barrier enter /jobs/night 3 -- ./load.sh",
		Args:    heldArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 1 {
				return usageError{fmt.Errorf("%q: N is how many enter, 1 or more", args[1])}
			}
			if err := checkCommand(args[2:]); err != nil {
				return err
			}
			return e.enter(cmd.Context(), args[0], n, args[2:], grace)
		},
	}
	graceFlag(cmd, &grace)
	return cmd
}

func (e *env) enter(ctx context.Context, path string, n int, argv []string, grace time.Duration) error {
	if e.entries[path] != nil && e.entries[path].Context().Err() == nil {
		return fmt.Errorf("barrier enter %s: this shell has entered it already", path)
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	entry, err := recipes.NewDoubleBarrier(c, path, n).Enter(ctx)
	if err != nil {
		return gaveUp(ctx, "barrier enter "+path, err)
	}
	switch {
	case len(argv) > 0:
		environ := e.heldEnviron("BARRIER", path, entry.Guard())
		err = e.runUnder(ctx, entry.Context(), program{argv, environ, e.input()}, grace)
	case e.shell:
		if e.entries == nil {
			e.entries = map[string]*recipes.Entry{}
		}
		e.entries[path] = entry
		return e.saidBarrier(path, "entered")
	default:
		if err = e.saidBarrier(path, "entered"); err == nil {
			select {
			case <-ctx.Done():
			case <-entry.Context().Done():
			}
		}
	}
	return e.leave(ctx, entry, err)
}

// leave leaves, and returns what was before unless one's place was lost. After
// Ctrl-C the others are not waited for, but the last one gets to tidy up.
func (e *env) leave(ctx context.Context, entry *recipes.Entry, before error) error {
	interrupted := ctx.Err() != nil
	if interrupted {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
		defer cancel()
	}
	left := entry.Leave(ctx)
	if left != nil && (errors.Is(left, recipes.ErrLost) || !interrupted) {
		return e.lossOf(left)
	}
	return before
}

// leaveAll is the end of a shell that has not left what it entered.
func (e *env) leaveAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for path, entry := range e.entries {
		entry.Leave(ctx) // if it fails one has left all the same
		delete(e.entries, path)
	}
}

func newBarrierLeave(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "leave PATH",
		Short:   "Leave a double barrier that this shell has entered, and wait until all have",
		Long:    "Leave a double barrier that this shell has entered, and wait until all have.\nA place belongs to a session, so a command on its own leaves by itself.",
		Example: "  barrier leave /jobs/night",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			entry := e.entries[path]
			if entry == nil {
				return usageError{fmt.Errorf("barrier leave %s: this shell has not entered it; on its own barrier enter PATH N -- CMD leaves by itself", path)}
			}
			delete(e.entries, path)
			if err := e.leave(cmd.Context(), entry, nil); err != nil {
				return err
			}
			return e.saidBarrier(path, "left")
		},
	}
}
