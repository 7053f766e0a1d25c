package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
	"github.com/lycaon-io/lycaon/znode"
)

const (
	childGrace  = 5 * time.Second // between SIGTERM and SIGKILL
	releaseWait = 5 * time.Second
	newsWait    = 500 * time.Millisecond
)

const childHelp = `
Ctrl-C, SIGTERM and SIGHUP are passed on to CMD as SIGTERM, and what is held stays so until
CMD has ended, and for up to --grace while what it left in its process group ends. If
it is lost (the session ended, or a person deleted its node) CMD gets SIGTERM and,
after --grace, SIGKILL; the exit code is 6 then. Meanwhile somebody else may hold it
already: what must not happen twice has to go by the token. Signals go to CMD's
process group, but to CMD alone where a terminal is its input; then Ctrl-Z stops both,
else neither. On Linux CMD is also killed if this command dies. Otherwise the exit
code is CMD's own, 128 and the signal's number if a signal ended it.

A lycaon in CMD reaches the same servers as the same user: LYCAON_SERVER, LYCAON_AUTH
and so on are set. What it writes is guarded by LYCAON_GUARD, which names what is
held: once that is lost the cluster refuses every write of it, and its exit code
is 6. For a write to another cluster LYCAON_GUARD must be emptied.`

func newLock(e *env) *cobra.Command {
	var noWait bool
	var holders int64
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "lock PATH [-- CMD ARGS...]",
		Short: "Run a command while holding a lock",
		Long: `Wait for the lock PATH, run CMD while holding it, and release it. Who asked first
gets it first; the lock is that of package recipes, and of Curator's
InterProcessMutex. Without CMD it is held until Ctrl-C, and its token printed. With
-n it does not wait: if somebody holds the lock the exit code is 1.

With --holders N so many may hold it at a time, in the order in which they asked:
the semaphore of package recipes, and Curator's InterProcessSemaphoreV2. All must
give the same N, and nobody may take PATH for a lock without it.

CMD finds in its environment
  LYCAON_LOCK_PATH     PATH
  LYCAON_LOCK_NODE     the node that holds it
  LYCAON_LOCK_TOKEN    the fencing token: a number higher than that of every earlier
                       holder, by which other systems can refuse a late one
` + childHelp,
		Example: "  lock /locks/backup -- pg_dump app\n  lock -n /locks/cron/nightly -- ./nightly.sh\n  lock --holders 3 /slots/build -- make\n  lock /locks/deploy",
		GroupID: groupOther,
		Args:    heldArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, argv := args[0], args[1:]
			if err := checkCommand(argv); err != nil {
				return err
			}
			if holders < 1 && cmd.Flags().Changed("holders") {
				return usageError{fmt.Errorf("--holders %d: N is 1 or more", holders)}
			}
			h, err := e.lock(cmd.Context(), path, holders, noWait)
			if err != nil {
				return err
			}
			return e.whileHeld(cmd.Context(), "lock "+path, h, func() error {
				if len(argv) > 0 {
					return e.runUnder(cmd.Context(), h.Context(), program{argv, e.heldEnviron("LOCK", path, h.Guard()), e.input()}, grace)
				}
				return e.holdOn(cmd.Context(), h, "Locked", path)
			})
		},
	}
	cmd.Flags().Int64Var(&holders, "holders", 0, "let `N` hold it at a time")
	cmd.Flags().BoolVarP(&noWait, "no-wait", "n", false, "fail at once if somebody holds it")
	graceFlag(cmd, &grace)
	return cmd
}

func graceFlag(cmd *cobra.Command, into *time.Duration) {
	*into = childGrace
	cmd.Flags().Var(span{into}, "grace", "how long after SIGTERM comes SIGKILL if it is lost, or what CMD left is waited for")
}

// heldArgs wants n arguments and, if --, a command behind it.
func heldArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		before := cmd.ArgsLenAtDash()
		if before == len(args) { // nothing behind --
			before = -2
		}
		if before == -1 {
			before = len(args)
		}
		if before == n {
			return nil
		}
		return usageError{fmt.Errorf("usage: %s", commandUse(cmd))}
	}
}

func (e *env) lock(ctx context.Context, path string, holders int64, noWait bool) (*recipes.Held, error) {
	if err := znode.ValidatePath(path); err != nil {
		return nil, usageError{err}
	}
	c, err := e.session(ctx)
	if err != nil {
		return nil, err
	}
	wait, try := recipes.NewMutex(c, path).Lock, recipes.NewMutex(c, path).TryLock
	if holders != 0 {
		s := recipes.NewSemaphore(c, path, holders)
		wait = func(ctx context.Context) (*recipes.Held, error) { return s.Acquire(ctx, 1) }
		try = func(ctx context.Context) (*recipes.Held, error) { return s.TryAcquire(ctx, 1) }
	}
	if noWait {
		return try(ctx)
	}
	h, err := wait(ctx)
	return h, gaveUp(ctx, "lock "+path, err)
}

// whileHeld runs f, then releases. A loss beats what f returns.
func (e *env) whileHeld(ctx context.Context, what string, h *recipes.Held, f func() error) error {
	err := f()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
	defer cancel()
	released := h.Release(ctx)
	switch {
	case errors.Is(released, recipes.ErrLost):
		return fmt.Errorf("%s: %w", what, e.lossOf(released))
	case released != nil:
		e.tell(fmt.Sprintf("lycaon: %s: not released, it ends with the session: %v", what, released))
	}
	return err
}

// lossOf tells of a loss that the session's end took what was held along: the
// deletion of a node comes before that news, by a moment.
func (e *env) lossOf(err error) error {
	if e.conn == nil || !errors.Is(err, recipes.ErrLost) {
		return err
	}
	session := e.conn.Session().Context()
	select {
	case <-session.Done():
	case <-time.After(newsWait):
	}
	if session.Err() == nil { // whichever was seen first
		return err
	}
	return fmt.Errorf("%w: %w", recipes.ErrLost, context.Cause(session))
}

// holdOn says what is held and keeps it until Ctrl-C or its loss.
func (e *env) holdOn(ctx context.Context, h *recipes.Held, did, path string) error {
	var err error
	if e.out.structured() {
		err = e.out.now(map[string]any{"path": path, "node": h.Guard().Path(), "token": h.Guard().Token()})
	} else {
		err = e.out.line("%s %s, token %d", did, path, h.Guard().Token())
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-h.Context().Done():
	}
	return nil
}

// heldEnviron tells a command what is held for it, and has a lycaon in it write
// only while it is.
func (e *env) heldEnviron(kind, path string, g client.Guard) []string {
	prefix := envPrefix + kind
	return []string{
		prefix + "_PATH=" + path,
		prefix + "_NODE=" + g.Path(),
		fmt.Sprintf("%s_TOKEN=%d", prefix, g.Token()),
		variable("guard", append(slices.Clip(e.target.guards), g.String())...),
	}
}
