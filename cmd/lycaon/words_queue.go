package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/recipes"
)

func newQueue(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Put work into a queue, and take it out",
		Long: `Put items into a queue, of which each goes to one taker at a time until one
acknowledges it: the queue of package recipes, and of kazoo's LockingQueue. A taker
that dies gives back what it had, so an item may be worked on more than once.`,
		GroupID: groupOther,
	}
	return e.gather(cmd, newQueuePut(e), newQueueTake(e), newQueueLs(e), newQueueLen(e))
}

func newQueuePut(e *env) *cobra.Command {
	var priority int
	var delay time.Duration
	cmd := &cobra.Command{
		Use:   "put PATH DATA",
		Short: "Put an item into a queue",
		Long: `Put an item into the queue PATH, which need not exist.

` + dataHelp,
		Example: "  queue put /queues/mail @letter.eml\n  queue put /queues/mail --priority 10 urgent\n  queue put /queues/mail --delay 1h later",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := e.dataArg(args, 1)
			if err != nil {
				return err
			}
			if delay < 0 {
				return usageError{fmt.Errorf("--delay %s: want a time to come", delay)}
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			q := recipes.NewQueue(c, args[0])
			if err := q.Put(cmd.Context(), data, recipes.Priority(priority), recipes.Delay(delay)); err != nil || !e.out.structured() {
				return err
			}
			return e.out.value(map[string]any{"path": args[0], "priority": priority, "delayMs": delay.Milliseconds()})
		},
	}
	cmd.Flags().IntVar(&priority, "priority", recipes.DefaultPriority, fmt.Sprintf("0, first of all, to %d", recipes.MaxPriority))
	cmd.Flags().DurationVar(&delay, "delay", 0, "keep it back for so long, by the clocks of both sides")
	return cmd
}

// errTakeHow: what is only looked at would come again.
var errTakeHow = errors.New("queue take wants --ack, or a command behind -- that does the work")

// taking is a queue take at work.
type taking struct {
	env   *env
	queue *recipes.Queue
	path  string
	argv  []string
	count int           // 0: without end
	wait  time.Duration // for an item; negative: for ever
	grace time.Duration
}

func newQueueTake(e *env) *cobra.Command {
	t := taking{env: e}
	var ack bool
	cmd := &cobra.Command{
		Use:   "take PATH [-- CMD ARGS...]",
		Short: "Take items out of a queue and run a command for each",
		Long: fmt.Sprintf(`Wait for an item of the queue PATH and run CMD with it: its data is the standard input.
If CMD ends with 0 the item is acknowledged and never comes again; else it is given
back, and the exit code is CMD's. So is it if this command dies, or loses
its session. With --ack instead of a command the item is printed and acknowledged.

It ends after -n items, with -n 0 at Ctrl-C or when no item comes within --wait, which
else is exit code 3. A command that fails ends it.

CMD finds in its environment
  LYCAON_ITEM          the data, if it is text of up to %d KiB
  LYCAON_QUEUE_PATH    PATH
  LYCAON_QUEUE_NODE    the node that holds the item
  LYCAON_QUEUE_TOKEN   the fencing token: higher than that of an earlier taker
`, itemInEnviron>>10) + childHelp,
		Example: "  queue take /queues/mail -n 0 -- ./deliver\n  queue take /queues/mail --ack\n  queue take /queues/mail -n 0 --wait 0s -- ./deliver   # what is there, then end",
		Args:    heldArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.path, t.argv = args[0], args[1:]
			if ack == (len(t.argv) > 0) {
				return usageError{errTakeHow}
			}
			if err := checkCount(t.count); err != nil {
				return err
			}
			if err := checkCommand(t.argv); err != nil {
				return err
			}
			if !cmd.Flags().Changed("wait") {
				t.wait = -1
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			t.queue = recipes.NewQueue(c, t.path)
			return t.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&ack, "ack", false, "print the item and acknowledge it")
	cmd.Flags().IntVarP(&t.count, "count", "n", 1, "end after so many items; 0 = never")
	cmd.Flags().Var(span{&t.wait}, "wait", "wait for an item for so long; without it, for ever")
	graceFlag(cmd, &t.grace)
	return cmd
}

func (t *taking) run(ctx context.Context) error {
	for n := 0; t.count == 0 || n < t.count; n++ {
		item, err := t.next(ctx)
		switch {
		case t.count == 0 && (errors.Is(err, recipes.ErrEmpty) || err != nil && ctx.Err() != nil):
			return nil
		case err != nil:
			return gaveUp(ctx, "queue take "+t.path, err)
		}
		if err := t.work(ctx, item); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

func (t *taking) next(ctx context.Context) (*recipes.Item, error) {
	switch {
	case t.wait < 0:
		return t.queue.Take(ctx)
	case t.wait == 0:
		item, err := t.queue.TryTake(ctx)
		if errors.Is(err, recipes.ErrEmpty) {
			err = fmt.Errorf("queue take %s: %w", t.path, recipes.ErrEmpty)
		}
		return item, err
	}
	waiting, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	item, err := t.queue.Take(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("queue take %s: %w within %s", t.path, recipes.ErrEmpty, t.wait)
	}
	return item, err
}

// work does one item. What became of the item beats what its command returned.
func (t *taking) work(ctx context.Context, item *recipes.Item) error {
	err := t.do(ctx, item)
	settle := item.Ack
	if err != nil {
		settle = item.Nack
	}
	if settled := settle(context.WithoutCancel(ctx)); settled != nil { // as long as the session lives
		return t.env.lossOf(settled)
	}
	return err
}

func (t *taking) do(ctx context.Context, item *recipes.Item) error {
	e := t.env
	switch {
	case len(t.argv) > 0:
		environ := append(e.heldEnviron("QUEUE", t.path, item.Guard()), "LYCAON_ITEM="+itemText(item.Data))
		return e.runUnder(ctx, item.Context(), program{t.argv, environ, bytes.NewReader(item.Data)}, t.grace)
	case e.out.structured():
		return e.out.now(dataFields(map[string]any{"name": path.Base(item.Guard().Path())}, item.Data))
	}
	return e.out.line("%s", item.Data)
}

// itemInEnviron is what fits beside other variables: Linux takes 128 KiB for
// one.
const itemInEnviron = 64 << 10

// itemText is what a variable can hold, else nothing.
func itemText(data []byte) string {
	if len(data) > itemInEnviron || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return ""
	}
	return string(data)
}

func newQueueLs(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "ls PATH",
		Short: "List the items of a queue in the order of their turns",
		Long: `List the items of a queue in the order of their turns: ready, taken by somebody who has
not acknowledged it yet, or when a delayed one will be ready.`,
		Example: "  queue ls /queues/mail",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := e.queued(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			rows := [][]string{{"NAME", "PRIORITY", "STATE"}}
			for _, i := range items {
				if e.out.structured() {
					if err := e.out.value(itemValue(i)); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, []string{i.Name, strconv.Itoa(i.Priority), itemState(i)})
			}
			if e.out.structured() {
				return nil
			}
			return e.out.table(rows)
		},
	}
}

func (e *env) queued(ctx context.Context, path string) ([]recipes.QueueEntry, error) {
	c, err := e.reader(ctx)
	if err != nil {
		return nil, err
	}
	return recipes.NewQueue(c, path).List(ctx)
}

type itemJSON struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
	Taken    bool   `json:"taken"`
	ReadyMs  int64  `json:"readyMs,omitempty"`
}

func itemValue(i recipes.QueueEntry) itemJSON {
	v := itemJSON{Name: i.Name, Priority: i.Priority, Taken: i.Taken}
	if !i.Ready.IsZero() {
		v.ReadyMs = i.Ready.UnixMilli()
	}
	return v
}

func itemState(i recipes.QueueEntry) string {
	switch {
	case i.Taken:
		return "taken"
	case i.Ready.After(time.Now()):
		return "from " + timeText(i.Ready.UnixMilli())
	}
	return "ready"
}

func newQueueLen(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "len PATH",
		Short:   "Count the items of a queue",
		Long:    "Count the items of a queue, those that are taken and not acknowledged too;\nwith -o json also how many those are, and how many are ready.",
		Example: "  queue len /queues/mail",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := e.queued(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !e.out.structured() {
				return e.out.line("%d", len(items))
			}
			states := map[string]int{}
			for _, i := range items {
				states[itemState(i)]++
			}
			return e.out.value(map[string]int{"items": len(items), "taken": states["taken"], "ready": states["ready"]})
		},
	}
}
