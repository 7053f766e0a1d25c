package recipes_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestASemaphoreNeverGrantsMoreThanItHas(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	const size = 5
	var held, most, grants atomic.Int64
	var wg sync.WaitGroup
	for worker := range 6 {
		s := recipes.NewSemaphore(one.Client(t), place(t), size)
		wg.Go(func() {
			for i := range 8 {
				n := int64(1 + (worker+i)%size)
				err := s.Do(ctx, n, func(context.Context) error {
					now := held.Add(n)
					if now > size {
						t.Errorf("%d leases of %d", now, size)
					}
					most.Store(max(most.Load(), now))
					grants.Add(1)
					held.Add(-n)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 48, grants.Load())
	c := one.Client(t)
	require.Empty(t, children(t, c, place(t)+"/leases"))
	require.Empty(t, children(t, c, place(t)+"/locks"))
}

func TestWhoWantsManyLeasesIsNotOvertaken(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	s := recipes.NewSemaphore(c, place(t), 3)
	first, err := s.Acquire(ctx, 1)
	require.NoError(t, err)
	all := ask(t, c, place(t)+"/leases", 4, func() (*recipes.Held, error) { return s.Acquire(ctx, 3) })
	_, err = s.TryAcquire(ctx, 1)
	require.ErrorIs(t, err, recipes.ErrLocked)
	few := ask(t, c, place(t)+"/locks", 2, func() (*recipes.Held, error) { return s.Acquire(ctx, 1) })
	require.Empty(t, all)
	require.NoError(t, first.Release(ctx))
	h := take(t, all)
	require.Empty(t, few)
	require.Regexp(t, `/leases/_c_[0-9a-f-]{36}-lease-[0-9]{10}$`, h.Guard().Path())
	require.NoError(t, h.Release(ctx))
	next := take(t, few)
	require.Greater(t, next.Guard().Token(), h.Guard().Token())
	require.NoError(t, next.Release(ctx))
}

func TestTryAcquireTakesWhatIsFree(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	s := recipes.NewSemaphore(c, place(t), 3)
	h, err := s.TryAcquire(ctx, 2)
	require.NoError(t, err)
	_, err = s.TryAcquire(ctx, 2)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.Len(t, children(t, c, place(t)+"/leases"), 2, "leases stay behind")
	last, err := s.TryAcquire(ctx, 1)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx))
	require.NoError(t, last.Release(ctx))
	for _, n := range []int64{0, -1, 4, recipes.MaxLeases + 1} {
		_, err := s.TryAcquire(ctx, n)
		require.ErrorIs(t, err, client.ErrBadArguments, n)
	}
}

// deleting counts what is deleted one by one.
type deleting struct {
	*client.Client
	singly atomic.Int64
}

func (d *deleting) Delete(ctx context.Context, path string, opts ...client.DeleteOption) error {
	d.singly.Add(1)
	return d.Client.Delete(ctx, path, opts...)
}

func TestManyLeasesAreGivenBackInOneWrite(t *testing.T) {
	t.Parallel()
	const size = 20
	ctx := limited(t)
	c := &deleting{Client: one.Client(t)}
	s := recipes.NewSemaphore(c, place(t), size)
	h, err := s.TryAcquire(ctx, size-1)
	require.NoError(t, err)
	_, err = s.TryAcquire(ctx, size)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.Len(t, children(t, c, place(t)+"/leases"), size-1)
	require.NoError(t, h.Release(ctx))
	require.Empty(t, children(t, c, place(t)+"/leases"))
	require.EqualValues(t, 2, c.singly.Load(), "of the gate, by each")
}

func TestAnAcquireThatEndsEarlyLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	s := recipes.NewSemaphore(c, place(t), 2)
	h, err := s.Acquire(ctx, 1)
	require.NoError(t, err)
	for i := range 10 {
		brief, cancel := context.WithTimeout(ctx, time.Duration(i)*2*time.Millisecond)
		_, err = s.Acquire(brief, 2)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	eventually(t, "nodes stay behind", func() bool {
		return len(children(t, c, place(t)+"/leases")) == 1 && len(children(t, c, place(t)+"/locks")) == 0
	})
	require.NoError(t, h.Release(ctx))
}

func TestTheLossOfOneLeaseLosesTheGrant(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	s := recipes.NewSemaphore(c, place(t), 3)
	h, err := s.Acquire(ctx, 3)
	require.NoError(t, err)
	for _, name := range children(t, c, place(t)+"/leases") {
		if path := place(t) + "/leases/" + name; path != h.Guard().Path() {
			require.NoError(t, c.Delete(ctx, path))
			break
		}
	}
	<-h.Context().Done()
	require.ErrorIs(t, h.Release(ctx), recipes.ErrLost)
	require.Empty(t, children(t, c, place(t)+"/leases"))
}

func TestWhoIsLostWhileItTakesLeasesIsTold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dir       string // of what is deleted then
		want, not error
	}{
		"its place in the line": {"/locks", recipes.ErrLost, client.ErrFenced},
		"a guard of its own":    {"/guards", client.ErrFenced, recipes.ErrLost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limited(t)
			other := one.Client(t)
			guard, err := other.Create(ctx, place(t)+"/guards/1", nil, client.Parents())
			require.NoError(t, err)
			c := &tampered{Client: one.Client(t)}
			c.multi = func(do func() error) error {
				dir := place(t) + test.dir
				if err := other.Delete(ctx, dir+"/"+children(t, other, dir)[0]); err != nil {
					t.Error(err)
				}
				return do()
			}
			guarded := client.WithGuard(ctx, client.NewGuard(guard.Path, guard.Stat.Czxid))
			_, err = recipes.NewSemaphore(c, place(t), 1).Acquire(guarded, 1)
			require.ErrorIs(t, err, test.want)
			require.NotErrorIs(t, err, test.not)
			require.Empty(t, children(t, other, place(t)+"/leases"))
		})
	}
}

func TestLeasesOfCuratorCountAndForeignNodesDoNot(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	_, err := c.Create(ctx, place(t)+"/leases/_c_12345678-1234-1234-1234-123456789abc-lease-", nil,
		client.Parents(), client.Ephemeral(), client.Sequential())
	require.NoError(t, err)
	_, err = c.Create(ctx, place(t)+"/leases/readme", nil)
	require.NoError(t, err)
	s := recipes.NewSemaphore(c, place(t), 2)
	h, err := s.TryAcquire(ctx, 1)
	require.NoError(t, err)
	_, err = s.TryAcquire(ctx, 1)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.NoError(t, h.Release(ctx))
}

func TestOneAcquirerWakesPerLease(t *testing.T) {
	t.Parallel()
	const waiters = 12
	ctx := limited(t)
	c := &counting{Client: one.Client(t)}
	s := recipes.NewSemaphore(c, place(t), 1)
	h, err := s.Acquire(ctx, 1)
	require.NoError(t, err)
	granted := make(chan *recipes.Held)
	for range waiters {
		go func() {
			h, err := s.Acquire(ctx, 1)
			if err != nil {
				t.Error(err)
			}
			granted <- h
		}()
	}
	for range waiters {
		require.NoError(t, h.Release(ctx))
		h = <-granted
	}
	require.NoError(t, h.Release(ctx))
	// Each looks twice at most at each of its two lines, whatever the number of others.
	require.LessOrEqual(t, c.lists.Load(), int64(2+4*waiters+waiters))
	t.Logf("%d releases, %d looks", waiters, c.lists.Load())
}
