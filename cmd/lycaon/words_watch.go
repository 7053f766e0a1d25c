package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

var (
	dataEvents  = []client.EventType{client.EventCreated, client.EventDeleted, client.EventChanged}
	childEvents = []client.EventType{client.EventDeleted, client.EventChildrenChanged}
)

// watches are those that the shell waits for behind its prompt.
type watches struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	cancel []context.CancelFunc
}

// stop ends every watch and waits for its goroutine.
func (w *watches) stop() {
	w.mu.Lock()
	for _, cancel := range w.cancel {
		cancel()
	}
	w.cancel = nil
	w.mu.Unlock()
	w.wg.Wait()
}

func (w *watches) start(wait func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	w.mu.Lock()
	w.cancel = append(w.cancel, cancel)
	w.mu.Unlock()
	w.wg.Go(func() { wait(ctx) })
}

// watching runs a read and, if asked, tells the first event after it: behind
// the shell's prompt, or before a one-shot command ends. The watch is set
// before the read, so that nothing falls between.
func (e *env) watching(ctx context.Context, c *client.Client, watch bool, path string, types []client.EventType, read func() error) error {
	if !watch {
		return read()
	}
	w, err := c.Watch(ctx, path, client.Once(), client.Types(types...))
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return errors.Join(err, w.Close())
	}
	out := e.out.apart() // as this line wants it, whatever later lines want
	if e.shell {
		e.watches.start(func(ctx context.Context) {
			if err := tellEvent(ctx, out, w); err != nil && !errors.Is(err, client.ErrClosed) && ctx.Err() == nil {
				fmt.Fprintf(e.errw, "watch %s: %v\n", path, err)
			}
			w.Close()
		})
		return nil
	}
	defer w.Close()
	return tellEvent(ctx, out, w)
}

func tellEvent(ctx context.Context, out printer, w *client.Watch) error {
	event, err := w.Next(ctx)
	if err != nil {
		return err
	}
	if out.structured() {
		return out.now(map[string]any{"type": event.Type.String(), "path": event.Path, "zxid": event.Zxid})
	}
	return out.line("WATCH %s %s zxid 0x%x", event.Type, event.Path, event.Zxid)
}

func newWatch(e *env) *cobra.Command {
	var recursive bool
	var count int
	cmd := &cobra.Command{
		Use:   "watch PATH",
		Short: "Print every change of a node until Ctrl-C",
		Long: `Print every change of a node, which need not exist, with -r of all below it too, until
Ctrl-C or --count. A line that says gap means that changes are missing there, which
happens only after a long disconnection; the state is told anew after it.`,
		Example: "  watch -r /app\n  watch -n 1 /app/go && echo started",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			var opts []client.WatchOption
			if recursive {
				opts = append(opts, client.Subtree())
			}
			w, err := c.Watch(cmd.Context(), args[0], opts...)
			if err != nil {
				return err
			}
			defer w.Close()
			for n := 0; count == 0 || n < count; n++ {
				switch err := tellEvent(cmd.Context(), e.out, w); {
				case errors.Is(err, context.Canceled):
					return nil
				case err != nil:
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "the whole tree below, too")
	cmd.Flags().IntVarP(&count, "count", "n", 0, "end after this many changes; 0 = never")
	return cmd
}
