package recipes_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestABarrierHoldsEverybodyUntilItIsLowered(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	b := recipes.NewBarrier(one.Client(t), place(t)+"/b")
	require.NoError(t, b.Wait(ctx))
	require.NoError(t, b.Lower(ctx))
	require.NoError(t, b.Raise(ctx))
	require.NoError(t, b.Raise(ctx))
	brief, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.Wait(brief), context.DeadlineExceeded)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := recipes.NewBarrier(one.Client(t), place(t)+"/b").Wait(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	require.NoError(t, b.Lower(ctx))
	wg.Wait()
}

// behind is a client at a server that has not heard of anything yet, and says so where it
// is not asked for more.
type behind struct {
	recipes.Client
	asked chan struct{} // closed when it is
}

func (b behind) Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error) {
	if len(opts) == 0 {
		return nil, client.ErrNoNode
	}
	defer close(b.asked)
	return b.Client.Get(ctx, path, opts...)
}

func TestABarrierHoldsWhoComesByAServerThatIsBehind(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	b := recipes.NewBarrier(one.Client(t), place(t))
	require.NoError(t, b.Raise(ctx))
	c := behind{one.Client(t), make(chan struct{})}
	passed := make(chan error, 1)
	go func() { passed <- recipes.NewBarrier(c, place(t)).Wait(ctx) }()
	select {
	case <-c.asked:
	case err := <-passed:
		t.Fatalf("passed while it was up: %v", err)
	}
	require.NoError(t, b.Lower(ctx))
	require.NoError(t, <-passed)
}

// stirred is a client at a server that hears of some changes only when a watch is set.
type stirred struct {
	*client.Client
	stir func()
}

func (s stirred) Watch(ctx context.Context, path string, opts ...client.WatchOption) (*client.Watch, error) {
	w, err := s.Client.Watch(ctx, path, opts...)
	s.stir()
	return w, err
}

// unmoved fails if f returns before wanted is done, for which it has some time.
func unmoved(t *testing.T, c *client.Client, f func() error, wanted func()) {
	t.Helper()
	var done atomic.Bool
	ended := make(chan error, 1)
	go func() {
		err := f()
		if err == nil && !done.Load() {
			err = errors.New("it did not wait")
		}
		ended <- err
	}()
	for range 20 {
		_, err := c.Barrier(limited(t))
		require.NoError(t, err)
	}
	done.Store(true)
	wanted()
	require.NoError(t, <-ended)
}

func TestABarrierThatWasLoweredBeforeIsUp(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	b := recipes.NewBarrier(one.Client(t), place(t))
	require.NoError(t, b.Raise(ctx))
	c := stirred{one.Client(t), sync.OnceFunc(func() {
		if err := errors.Join(b.Lower(ctx), b.Raise(ctx)); err != nil {
			t.Error(err)
		}
	})}
	unmoved(t, c.Client, func() error { return recipes.NewBarrier(c, place(t)).Wait(ctx) },
		func() { require.NoError(t, b.Lower(ctx)) })
}

func TestARoundThatWasBeforeLetsNobodyEnter(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	other := one.Client(t)
	_, err := other.Create(ctx, place(t), nil)
	require.NoError(t, err)
	c := stirred{one.Client(t), sync.OnceFunc(func() {
		_, err := other.Create(ctx, place(t)+"/ready", nil)
		if err = errors.Join(err, other.Delete(ctx, place(t)+"/ready")); err != nil {
			t.Error(err)
		}
	})}
	unmoved(t, c.Client, func() error {
		_, err := recipes.NewDoubleBarrier(c, place(t), 2).Enter(ctx)
		return err
	}, func() {
		_, err := recipes.NewDoubleBarrier(other, place(t), 2).Enter(ctx)
		require.NoError(t, err)
	})
}

func TestARoundWhoseMembersAllDiedLetsNobodyEnter(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	dead, c, other := one.Client(t), one.Client(t), one.Client(t)
	_, err := recipes.NewDoubleBarrier(dead, place(t), 1).Enter(ctx)
	require.NoError(t, err)
	one.ExpireSession(dead.Session().ID())
	_, err = c.Barrier(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"ready"}, children(t, c, place(t)))
	unmoved(t, c, func() error {
		_, err := recipes.NewDoubleBarrier(c, place(t), 2).Enter(ctx)
		return err
	}, func() {
		_, err := recipes.NewDoubleBarrier(other, place(t), 2).Enter(ctx)
		require.NoError(t, err)
	})
}

// robbed has what it makes deleted before it hears of it.
type robbed struct{ *client.Client }

func (r *robbed) Create(ctx context.Context, path string, data []byte, opts ...client.CreateOption) (*client.Node, error) {
	n, err := r.Client.Create(ctx, path, data, opts...)
	if err == nil && n.Stat.Owner != 0 {
		err = r.Delete(ctx, n.Path)
	}
	return n, err
}

func TestWhoIsDeletedBeforeItsWatchIsSetDoesNotEnter(t *testing.T) {
	t.Parallel()
	_, err := recipes.NewDoubleBarrier(&robbed{one.Client(t)}, place(t), 1).Enter(limited(t))
	require.ErrorIs(t, err, recipes.ErrDeleted)
}

func TestADoubleBarrierIsEnteredAndLeftTogether(t *testing.T) {
	t.Parallel()
	const members, rounds = 4, 8
	ctx := limited(t)
	var in, out [rounds]atomic.Int64
	var wg sync.WaitGroup
	for range members {
		b := recipes.NewDoubleBarrier(one.Client(t), place(t), members)
		wg.Go(func() {
			for round := range rounds {
				in[round].Add(1)
				e, err := b.Enter(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if in[round].Load() != members {
					t.Error("entered before all came")
				}
				out[round].Add(1)
				if err := e.Leave(ctx); err != nil {
					t.Error(err)
				}
				if out[round].Load() != members {
					t.Error("left before all did")
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, children(t, one.Client(t), place(t)))
}

func TestWhoLeavesDoesNotWaitForTheNextRound(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	b := recipes.NewDoubleBarrier(c, place(t), 1)
	e, err := b.Enter(ctx)
	require.NoError(t, err)
	for _, name := range []string{"0", "z"} { // before and behind any UUID
		_, err = c.Create(ctx, place(t)+"/"+name, nil, client.Ephemeral())
		require.NoError(t, err)
	}
	require.NoError(t, e.Leave(ctx))
	require.Equal(t, []string{"0", "z"}, children(t, c, place(t)))
}

func TestAnEntryThatEndsEarlyLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	b := recipes.NewDoubleBarrier(c, place(t), 2)
	for i := range 5 {
		brief, cancel := context.WithTimeout(ctx, time.Duration(i)*3*time.Millisecond)
		_, err := b.Enter(brief)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	eventually(t, "nodes stay behind", func() bool { return len(children(t, c, place(t))) == 0 })
}

func TestTheDeathOfAMemberLetsTheOthersLeave(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	entered := make(chan *recipes.Entry)
	for _, c := range []*client.Client{a, b} {
		go func() {
			e, err := recipes.NewDoubleBarrier(c, place(t), 2).Enter(ctx)
			if err != nil {
				t.Error(err)
			}
			entered <- e
		}()
	}
	one1, two := <-entered, <-entered
	one.ExpireSession(a.Session().ID())
	dead, alive := one1, two
	select {
	case <-one1.Context().Done():
	case <-two.Context().Done():
		dead, alive = two, one1
	}
	require.ErrorIs(t, dead.Leave(ctx), recipes.ErrLost)
	require.NoError(t, alive.Leave(ctx))
	require.Empty(t, children(t, b, place(t)))
}

func TestACounterCountsEachAdditionOnce(t *testing.T) {
	t.Parallel()
	const adders, each = 4, 15
	ctx := limited(t)
	var wg sync.WaitGroup
	var sums sync.Map
	for range adders {
		n := recipes.NewCounter(one.Client(t), place(t)+"/n")
		wg.Go(func() {
			for i := range each {
				if i == each/2 {
					one.DropConnections()
				}
				sum, err := n.Add(ctx, 1)
				if err != nil {
					t.Error(err)
				}
				if _, twice := sums.LoadOrStore(sum, true); twice {
					t.Errorf("two were told %d", sum)
				}
			}
		})
	}
	wg.Wait()
	c := one.Client(t)
	n := recipes.NewCounter(c, place(t)+"/n")
	v, err := n.Get(ctx)
	require.NoError(t, err)
	require.EqualValues(t, adders*each, v)
	node, err := c.Get(ctx, place(t)+"/n")
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, adders * each}, node.Data, "as a Java long")
}

func TestACounterRefusesWhatItCannotHold(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	n := recipes.NewCounter(c, place(t))
	v, err := n.Get(ctx)
	require.NoError(t, err)
	require.Zero(t, v)
	v, err = n.Add(ctx, math.MinInt64)
	require.NoError(t, err)
	require.EqualValues(t, math.MinInt64, v)
	_, err = n.Add(ctx, -1)
	require.ErrorIs(t, err, recipes.ErrOverflow)
	_, err = c.Set(ctx, place(t), []byte("12"))
	require.NoError(t, err)
	_, err = n.Get(ctx)
	require.ErrorIs(t, err, recipes.ErrNotCounter)
	_, err = n.Add(ctx, 1)
	require.ErrorIs(t, err, recipes.ErrNotCounter)
}

func TestWhoIsLostBeginsNoRound(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	other := one.Client(t)
	c := &tampered{Client: one.Client(t)}
	c.multi = func(do func() error) error {
		return errors.Join(other.Delete(ctx, place(t)+"/"+children(t, other, place(t))[0]), do())
	}
	_, err := recipes.NewDoubleBarrier(c, place(t), 1).Enter(ctx)
	require.ErrorIs(t, err, recipes.ErrLost)
	require.Empty(t, children(t, other, place(t)))
}
