package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

// follow is a watch command at work.
type follow struct {
	env   *env
	c     *client.Client
	watch *client.Watch
	path  string
	argv  []string
	data  bool
	count int // 0: without end
}

func newWatch(e *env) *cobra.Command {
	f := follow{env: e}
	var recursive bool
	var from uint64
	cmd := &cobra.Command{
		Use:   "watch PATH [-- CMD ARGS...]",
		Short: "Print every change of a node, or run a command for it, until Ctrl-C",
		Long: `Print every change of a node, which need not exist, with -r of all below it too, until
Ctrl-C or --count. With --from it begins behind a transaction, so that nothing is missed
from one run to the next. A line that says gap means that changes are missing
there, which happens only after a long disconnection or with an old --from; the
state is told anew after it: present for each node that there is, then synced. A
session that is lost ends the command with exit code 6.

With --data the data of the node follows, as it is when the event is told: later
changes may be in it already.

CMD is run for each event, one after the other; those that come meanwhile wait. One
that fails ends the watch, with its exit code. It finds in its environment
  LYCAON_WATCH_TYPE   created, deleted, changed, children changed, gap, present or synced
  LYCAON_WATCH_PATH   the node
  LYCAON_WATCH_ZXID   the transaction
and, with --data, the data in its standard input. A lycaon in CMD reaches the
same servers as the same user.`,
		Example: "  watch -r /app\n  watch -n 1 /app/go && echo started\n  watch --data /app/config -- ./reload.sh\n  watch -r --from 0x1f4 -o json /app",
		GroupID: groupTree,
		Args:    heldArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			f.path, f.argv = args[0], args[1:]
			if err := checkCount(f.count); err != nil {
				return err
			}
			if err := checkCommand(f.argv); err != nil {
				return err
			}
			if f.c, err = e.session(cmd.Context()); err != nil {
				return err
			}
			var opts []client.WatchOption
			if recursive {
				opts = append(opts, client.Subtree())
			}
			if cmd.Flags().Changed("from") {
				if err := f.reached(cmd.Context(), from); err != nil {
					return err
				}
				opts = append(opts, client.FromZxid(from))
			}
			if f.watch, err = f.c.Watch(cmd.Context(), f.path, opts...); err != nil {
				return err
			}
			defer f.watch.Close()
			return f.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "the whole tree below, too")
	cmd.Flags().IntVarP(&f.count, "count", "n", 0, "end after this many events; 0 = never")
	cmd.Flags().BoolVar(&f.data, "data", false, "tell the data, too")
	cmd.Flags().Uint64Var(&from, "from", 0, "begin behind the transaction `ZXID`, 0x... or decimal")
	return cmd
}

// reached refuses a transaction that is yet to come: it is another cluster's, and
// a watch from there would be silent about all before it.
func (f *follow) reached(ctx context.Context, zxid uint64) error {
	now, err := f.c.Barrier(ctx)
	if err == nil && zxid > now {
		err = usageError{fmt.Errorf("--from 0x%x: the cluster has come to 0x%x", zxid, now)}
	}
	return err
}

func (f *follow) run(ctx context.Context) error {
	for n := 0; f.count == 0 || n < f.count; n++ {
		event, err := f.watch.Next(ctx)
		if err == nil {
			err = f.tell(ctx, event)
		}
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

func (f *follow) tell(ctx context.Context, event client.Event) error {
	var node *client.Node
	if f.data {
		var err error
		if node, err = f.read(ctx, event); err != nil {
			return err
		}
	}
	if len(f.argv) > 0 {
		return f.runFor(ctx, event, node)
	}
	return f.env.out.eventWith(event, node)
}

// read gets the data of a node that there is, nil of one that has gone since.
func (f *follow) read(ctx context.Context, event client.Event) (*client.Node, error) {
	switch event.Type {
	case client.EventCreated, client.EventChanged, client.EventPresent:
	default:
		return nil, nil
	}
	node, err := f.c.Get(ctx, event.Path)
	if errors.Is(err, client.ErrNoNode) {
		return nil, nil
	}
	return node, err
}

func (p printer) eventWith(event client.Event, node *client.Node) error {
	switch {
	case node == nil:
		return p.event(event)
	case p.structured():
		return p.now(dataFields(map[string]any{
			"type": event.Type.String(), "path": event.Path, "zxid": event.Zxid, "mzxid": node.Stat.Mzxid,
		}, node.Data))
	}
	if err := p.event(event); err != nil {
		return err
	}
	return p.line("%s", node.Data)
}

// runFor runs the command for one event. It ends by itself, or when this one is
// to end; nothing is held for it.
func (f *follow) runFor(ctx context.Context, event client.Event, node *client.Node) error {
	environ := []string{
		"LYCAON_WATCH_TYPE=" + event.Type.String(),
		"LYCAON_WATCH_PATH=" + event.Path,
		fmt.Sprintf("LYCAON_WATCH_ZXID=%d", event.Zxid),
	}
	var in io.Reader
	if node != nil {
		in = bytes.NewReader(node.Data)
	}
	err := f.env.runUnder(ctx, context.Background(), program{f.argv, environ, in}, time.Duration(0))
	if err != nil && ctx.Err() == nil {
		f.env.tell(fmt.Sprintf("lycaon: watch %s: %s failed for %s %s; --from 0x%x begins with that event again",
			f.path, f.argv[0], event.Type, event.Path, max(event.Zxid, 1)-1))
	}
	return err
}
