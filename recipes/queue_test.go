package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestAQueueGivesItemsByPriorityAndOrder(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	q := recipes.NewQueue(c, place(t))
	for _, p := range []int{100, 5, 100, 999, 0} {
		require.NoError(t, q.Put(ctx, fmt.Appendf(nil, "%d", p), recipes.Priority(p)))
	}
	for _, p := range []int{-1, 1000} {
		require.ErrorIs(t, q.Put(ctx, nil, recipes.Priority(p)), client.ErrBadArguments)
	}
	require.Contains(t, children(t, c, place(t)+"/entries"), "entry-005-0000000001")
	for _, foreign := range []string{"entry-005-x", "entry-005-u1-0000000009", "entry-x-0000000009", "entry", "e-1-0000000001", "entry-1-t1-2-0000000001"} {
		_, err := c.Create(ctx, place(t)+"/entries/"+foreign, nil)
		require.NoError(t, err)
	}
	for _, want := range []string{"0", "5", "100", "100", "999"} {
		i, err := q.Take(ctx)
		require.NoError(t, err)
		require.Equal(t, want, string(i.Data))
		require.NoError(t, i.Ack(ctx))
		<-i.Context().Done()
		require.ErrorIs(t, context.Cause(i.Context()), recipes.ErrReleased)
	}
	brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err := q.Take(brief)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	eventually(t, "claims or takers stay behind", func() bool {
		return len(children(t, c, place(t)+"/taken")) == 0 && len(children(t, c, place(t)+"/takers")) == 0
	})
}

func TestAnItemThatIsGivenBackComesAgain(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	q := recipes.NewQueue(one.Client(t), place(t))
	require.NoError(t, q.Put(ctx, []byte("x")))
	i, err := q.Take(ctx)
	require.NoError(t, err)
	waiting := make(chan *recipes.Item)
	go func() {
		again, err := recipes.NewQueue(one.Client(t), place(t)).Take(ctx)
		if err != nil {
			t.Error(err)
		}
		waiting <- again
	}()
	require.NoError(t, i.Nack(ctx))
	again := <-waiting
	require.Equal(t, "x", string(again.Data))
	require.Greater(t, again.Guard().Token(), i.Guard().Token())
	require.ErrorIs(t, i.Ack(ctx), recipes.ErrLost, "of who gave it back")
	require.NoError(t, again.Ack(ctx))
	require.ErrorIs(t, again.Ack(ctx), recipes.ErrLost)
}

func TestAnAckAfterANackSaysThatTheItemWasGivenBack(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, i := takeOne(t)
	require.NoError(t, i.Nack(ctx))
	require.NoError(t, i.Nack(ctx), "it is settled")
	for range 2 {
		err := i.Ack(ctx)
		require.ErrorIs(t, err, recipes.ErrGivenBack)
		require.ErrorIs(t, err, recipes.ErrLost)
		require.EqualError(t, err, "ack "+place(t)+"/entries/entry-100-0000000000: the grant is lost: the item was given back by Nack")
	}
	require.Len(t, children(t, c, place(t)+"/entries"), 1)
	again, err := recipes.NewQueue(c, place(t)).TryTake(ctx)
	require.NoError(t, err)
	require.NoError(t, again.Ack(ctx))
}

func TestAnItemThatWasLostOrAcknowledgedWasNotGivenBack(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]func(t *testing.T, c *tampered, i *recipes.Item){
		"lost before the Nack": func(t *testing.T, _ *tampered, i *recipes.Item) {
			require.NoError(t, one.Client(t).Delete(limited(t), i.Guard().Path()))
			<-i.Context().Done()
			require.ErrorIs(t, i.Nack(limited(t)), recipes.ErrLost)
		},
		"acknowledged, with a Nack amid it": func(t *testing.T, c *tampered, i *recipes.Item) {
			c.multi = func(do func() error) error { return errors.Join(i.Nack(limited(t)), do()) }
			require.NoError(t, i.Ack(limited(t)))
		},
		"acknowledged, with a Nack behind it": func(t *testing.T, _ *tampered, i *recipes.Item) {
			require.NoError(t, i.Ack(limited(t)))
			require.NoError(t, i.Nack(limited(t)), "it is settled")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, i := takeOne(t)
			settle(t, c, i)
			err := i.Ack(limited(t))
			require.ErrorIs(t, err, recipes.ErrLost)
			require.NotErrorIs(t, err, recipes.ErrGivenBack)
		})
	}
}

func TestADelayedItemComesWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	q := recipes.NewQueue(one.Client(t), place(t))
	began := time.Now()
	require.NoError(t, q.Put(ctx, []byte("late"), recipes.Delay(150*time.Millisecond)))
	require.NoError(t, q.Put(ctx, []byte("later"), recipes.Delay(200*time.Millisecond), recipes.Priority(0)))
	for _, want := range []string{"late", "later"} {
		i, err := q.Take(ctx)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), 149*time.Millisecond)
		if string(i.Data) != want { // both were ready by then
			require.GreaterOrEqual(t, time.Since(began), 199*time.Millisecond)
		}
		require.NoError(t, i.Ack(ctx))
	}
}

func TestAnAckAfterTheLossChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	q := recipes.NewQueue(a, place(t))
	require.NoError(t, q.Put(ctx, []byte("x")))
	i, err := q.Take(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Delete(ctx, i.Guard().Path()))
	again, err := recipes.NewQueue(b, place(t)).Take(ctx)
	require.NoError(t, err)
	<-i.Context().Done()
	require.ErrorIs(t, i.Ack(ctx), recipes.ErrLost)
	require.NoError(t, i.Nack(ctx), "it is settled")
	require.NoError(t, again.Context().Err(), "the late one took it away")
	require.NoError(t, again.Ack(ctx))
}

func TestAnAckOfAnItemThatIsGoneLeavesNoClaim(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	q := recipes.NewQueue(c, place(t))
	require.NoError(t, q.Put(ctx, nil))
	i, err := q.Take(ctx)
	require.NoError(t, err)
	require.NoError(t, one.Client(t).Delete(ctx, place(t)+"/entries/"+children(t, c, place(t)+"/entries")[0]))
	require.ErrorIs(t, i.Ack(ctx), recipes.ErrLost)
	eventually(t, "the claim stays", func() bool { return len(children(t, c, place(t)+"/taken")) == 0 })
	require.NoError(t, i.Nack(ctx), "it is settled")
}

// ledger is what the consumers of a queue have done.
type ledger struct {
	mu    sync.Mutex
	acked map[string]int
	taken int
}

func (l *ledger) took() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken++
	return l.taken
}

func (l *ledger) ack(item string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[item]++
	return len(l.acked)
}

// takeOne takes the one item of a queue.
func takeOne(t *testing.T) (*tampered, *recipes.Item) {
	t.Helper()
	c := &tampered{Client: one.Client(t)}
	q := recipes.NewQueue(c, place(t))
	require.NoError(t, q.Put(limited(t), nil))
	i, err := q.Take(limited(t))
	require.NoError(t, err)
	return c, i
}

func TestTheEndOfTheSessionAmidAnAckIsALoss(t *testing.T) {
	t.Parallel()
	c, i := takeOne(t)
	c.multi = func(func() error) error {
		c.Abandon()
		<-i.Context().Done()
		return client.ErrClosed
	}
	require.ErrorIs(t, i.Ack(limited(t)), recipes.ErrLost)
	require.ErrorIs(t, context.Cause(i.Context()), recipes.ErrLost)
}

func TestANackAmidAnAckThatFailsGivesTheItemBack(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, i := takeOne(t)
	c.multi = func(func() error) error {
		return errors.Join(i.Nack(ctx), &client.Error{Op: "multi", Err: context.DeadlineExceeded})
	}
	require.ErrorIs(t, i.Ack(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, context.Cause(i.Context()), recipes.ErrReleased)
	again, err := recipes.NewQueue(one.Client(t), place(t)).TryTake(ctx)
	require.NoError(t, err)
	require.NoError(t, again.Ack(ctx))
}

func TestAnAckWaitsForTheOneThatIsUnderWay(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, i := takeOne(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	var second error
	asked := 0
	c.multi = func(do func() error) error {
		if asked++; asked == 1 {
			second = i.Ack(ended)
		}
		return do()
	}
	require.NoError(t, i.Ack(ctx))
	require.ErrorIs(t, second, context.Canceled)
	require.Equal(t, 1, asked)
	require.ErrorIs(t, context.Cause(i.Context()), recipes.ErrReleased)
	require.ErrorIs(t, i.Ack(ctx), recipes.ErrLost)
	require.NoError(t, i.Nack(ctx), "it is settled")
}

func TestAnAckThatMayBeDoneSaysSo(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, i := takeOne(t)
	c.multi = func(do func() error) error {
		if err := do(); err != nil {
			return err
		}
		c.Abandon()
		return &client.Error{Op: "multi", Err: client.ErrSessionExpired, Maybe: true}
	}
	err := i.Ack(ctx)
	require.ErrorIs(t, err, recipes.ErrLost)
	e, ok := errors.AsType[*client.Error](err)
	require.True(t, ok)
	require.True(t, e.Maybe)
	require.Empty(t, children(t, one.Client(t), place(t)+"/entries"))
}

func TestDeathsOfConsumersLoseNothingAndDoubleNothingAcknowledged(t *testing.T) {
	t.Parallel()
	const items, consumers = 80, 4
	ctx := limited(t)
	producer := recipes.NewQueue(one.Client(t), place(t))
	l := &ledger{acked: map[string]int{}}
	all := make(chan struct{})
	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range consumers {
		wg.Go(func() {
			c := one.Client(t)
			q := recipes.NewQueue(c, place(t))
			for {
				i, err := q.Take(working)
				switch {
				case working.Err() != nil:
					return
				case err != nil:
					t.Error(err)
					return
				}
				switch n := l.took(); {
				case n%9 == 0: // dies over the item
					one.ExpireSession(c.Session().ID())
					<-i.Context().Done()
					if err := i.Ack(ctx); !errors.Is(err, recipes.ErrLost) {
						t.Errorf("the ack of a dead one: %v", err)
					}
					c = one.Client(t)
					q = recipes.NewQueue(c, place(t))
				case n%9 == 4:
					if err := i.Nack(ctx); err != nil {
						t.Error(err)
					}
				default:
					if err := i.Ack(ctx); err != nil {
						t.Error(err)
						return
					}
					if l.ack(string(i.Data)) == items {
						close(all)
					}
				}
			}
		})
	}
	for i := range items {
		require.NoError(t, producer.Put(ctx, fmt.Append(nil, i)))
	}
	select {
	case <-all:
	case <-ctx.Done():
	}
	stop()
	wg.Wait()
	require.Len(t, l.acked, items, "lost")
	for item, n := range l.acked {
		require.Equal(t, 1, n, "item %s was acknowledged %d times", item, n)
	}
	c := one.Client(t)
	require.Empty(t, children(t, c, place(t)+"/entries"))
	eventually(t, "claims stay behind", func() bool { return len(children(t, c, place(t)+"/taken")) == 0 })
	t.Logf("%d items, taken %d times", items, l.taken)
}

func TestOneTakerWakesPerItem(t *testing.T) {
	t.Parallel()
	const takers = 20
	ctx := limited(t)
	c := &counting{Client: one.Client(t)}
	q := recipes.NewQueue(c, place(t))
	got := make(chan *recipes.Item)
	for range takers {
		go func() {
			i, err := q.Take(ctx)
			if err != nil {
				t.Error(err)
			}
			got <- i
		}()
	}
	eventually(t, "not all wait", func() bool {
		return c.gets.Load() >= takers-1 && len(children(t, c.Client, place(t)+"/takers")) == takers
	})
	producer := recipes.NewQueue(one.Client(t), place(t))
	before := c.lists.Load()
	for range takers {
		require.NoError(t, producer.Put(ctx, nil))
		require.NoError(t, (<-got).Ack(ctx))
	}
	// The head looks at items and claims for the item and may for its ack; the next one
	// looks at the line, and at items and claims when it has become the head.
	require.LessOrEqual(t, c.lists.Load()-before, int64(7*takers))
	t.Logf("%d items, %d lists", takers, c.lists.Load()-before)
}

func TestAQueueListsWhatIsInIt(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	q := recipes.NewQueue(c, place(t))
	_, err := q.TryTake(ctx)
	require.ErrorIs(t, err, recipes.ErrEmpty)
	items, err := q.List(ctx)
	require.NoError(t, err)
	require.Empty(t, items)

	require.NoError(t, q.Put(ctx, []byte("last"), recipes.Priority(900)))
	require.NoError(t, q.Put(ctx, []byte("first")))
	before := time.Now().Truncate(time.Millisecond)
	require.NoError(t, q.Put(ctx, []byte("later"), recipes.Priority(1), recipes.Delay(time.Hour)))
	i, err := q.TryTake(ctx)
	require.NoError(t, err)
	require.Equal(t, "first", string(i.Data))
	items, err = q.List(ctx)
	require.NoError(t, err)
	require.Len(t, items, 3)
	require.False(t, items[0].Ready.Before(before.Add(time.Hour)))
	items[0].Ready, items[0].Name = time.Time{}, ""
	require.Equal(t, []recipes.QueueEntry{
		{Priority: 1}, {Name: "entry-100-0000000001", Priority: 100, Taken: true}, {Name: "entry-900-0000000000", Priority: 900},
	}, items)
	require.NoError(t, i.Ack(ctx))
	last, err := q.TryTake(ctx)
	require.NoError(t, err)
	require.Equal(t, "last", string(last.Data))
	_, err = q.TryTake(ctx)
	require.ErrorIs(t, err, recipes.ErrEmpty, "one is taken, one is for later")
}

// The directory of an emptied queue is made anew, and numbers its items from the beginning.
func TestAnAckTakesNoItemThatHasTheNameOfItsOwn(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, operator := one.Client(t), one.Client(t)
	q := recipes.NewQueue(c, place(t))
	entries := place(t) + "/entries"
	require.NoError(t, q.Put(ctx, []byte("old")))
	before := children(t, c, entries)
	i, err := q.Take(ctx)
	require.NoError(t, err)
	require.NoError(t, operator.Delete(ctx, entries, client.Recursive()))
	require.NoError(t, q.Put(ctx, []byte("new")))
	require.Equal(t, before, children(t, c, entries))
	require.ErrorIs(t, i.Ack(ctx), recipes.ErrLost)
	next, err := q.Take(ctx)
	require.NoError(t, err)
	require.Equal(t, "new", string(next.Data))
	require.NoError(t, next.Ack(ctx))
}
