package recipes_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestAMutexIsHeldByOneAtATime(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := recipes.NewMutex(one.Client(t), place(t)), recipes.NewMutex(one.Client(t), place(t))
	first, err := a.Lock(ctx)
	require.NoError(t, err)
	_, err = b.TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.NoError(t, first.Context().Err())

	require.NoError(t, first.Release(ctx))
	require.ErrorIs(t, context.Cause(first.Context()), recipes.ErrReleased)
	require.NoError(t, first.Release(ctx), "a second release does nothing")
	second, err := b.TryLock(ctx)
	require.NoError(t, err, "what a release gave back is there to take at once")
	require.Greater(t, second.Guard().Token(), first.Guard().Token())
	require.NoError(t, second.Release(ctx))
}

func TestTheNodesOfAMutexAreThoseOfCurator(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	h, err := recipes.NewMutex(c, place(t)+"/a/b").Lock(ctx)
	require.NoError(t, err)
	names := children(t, c, place(t)+"/a/b")
	require.Len(t, names, 1)
	require.Regexp(t, `^_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-lock-0000000000$`, names[0])
	require.Equal(t, place(t)+"/a/b/"+names[0], h.Guard().Path())
	n, err := c.Get(ctx, h.Guard().Path())
	require.NoError(t, err)
	require.EqualValues(t, c.Session().ID(), n.Stat.Owner)
	require.NotNil(t, n.Data, "Java has no use for null")
	require.NoError(t, h.Release(ctx))
}

var wantedGrants = flag.Int("grants", 512, "how many times the fencing test locks")

// resource is outside of the cluster: all it knows is the highest token.
type resource struct {
	mu      sync.Mutex
	token   uint64
	holder  int
	writes  int
	refused int
	faults  []string
}

func (r *resource) write(token uint64, holder int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case token < r.token:
		r.refused++
		return
	case token == r.token && holder != r.holder:
		r.faults = append(r.faults, fmt.Sprintf("token %d is of %d and of %d", token, r.holder, holder))
	}
	r.token, r.holder = token, holder
	r.writes++
}

func TestTokensFenceOffEveryHolderThatIsLate(t *testing.T) {
	t.Parallel()
	const locks, holders = 8, 2
	rounds := *wantedGrants / (locks * holders)
	ctx, cancel := context.WithTimeout(t.Context(), max(testTime, time.Duration(*wantedGrants)*20*time.Millisecond))
	defer cancel()
	var grants, late atomic.Int64
	var wg sync.WaitGroup
	resources := make([]resource, locks)
	for i := range locks {
		c := one.Client(t)
		r := &resources[i]
		for holder := range holders {
			m := recipes.NewMutex(c, fmt.Sprintf("%s/%d", place(t), i))
			wg.Go(func() {
				for round := range rounds {
					h, err := m.Lock(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					grants.Add(1)
					r.write(h.Guard().Token(), holder)
					if err := h.Release(ctx); err != nil {
						t.Error(err)
					}
					if round%4 == 0 { // a holder that has not noticed
						late.Add(1)
						r.write(h.Guard().Token(), holder)
					}
				}
			})
		}
	}
	wg.Wait()
	refused := 0
	for i := range resources {
		require.Empty(t, resources[i].faults)
		refused += resources[i].refused
	}
	require.EqualValues(t, locks*holders*rounds, grants.Load())
	require.Positive(t, refused)
	t.Logf("%d grants, %d late writes, %d of them refused", grants.Load(), late.Load(), refused)
}

func TestAnExpiredHolderIsToldAndFenced(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	h, err := recipes.NewMutex(a, place(t)).Lock(ctx)
	require.NoError(t, err)
	one.ExpireSession(a.Session().ID())
	<-h.Context().Done()
	require.ErrorIs(t, context.Cause(h.Context()), recipes.ErrLost)
	require.ErrorIs(t, h.Release(ctx), recipes.ErrLost)

	next, err := recipes.NewMutex(b, place(t)).Lock(ctx)
	require.NoError(t, err)
	require.Greater(t, next.Guard().Token(), h.Guard().Token())
	_, err = b.Create(client.WithGuard(ctx, h.Guard()), place(t)+"-late", nil)
	require.ErrorIs(t, err, client.ErrFenced)
	_, err = b.Create(next.Context(), place(t)+"-right", nil)
	require.NoError(t, err)
	require.NoError(t, next.Release(ctx))
}

func TestAHolderThatIsCutOffKnowsBeforeAnyoneElseHolds(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	w := &wire{}
	a := one.Client(t, client.WithDialer(w.dial), client.WithSessionTimeout(1500*time.Millisecond))
	h, err := recipes.NewMutex(a, place(t)).Lock(ctx)
	require.NoError(t, err)
	next := make(chan bool)
	go func() {
		defer close(next)
		after, err := recipes.NewMutex(one.Client(t), place(t)).Lock(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		next <- h.Context().Err() != nil
		after.Release(ctx)
	}()
	eventually(t, "nobody waits", func() bool { // unless the machine stood still for the timeout
		return h.Context().Err() != nil || len(children(t, one.Client(t), place(t))) == 2
	})
	w.cut()
	require.True(t, <-next, "two hold it")
	require.ErrorIs(t, context.Cause(h.Context()), recipes.ErrLost)
	<-next
}

func TestALockLivesThroughACutThatIsShorterThanTheTimeout(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	w := &wire{}
	a, b := one.Client(t, client.WithDialer(w.dial), client.WithSessionTimeout(10*time.Second)), one.Client(t)
	m := recipes.NewMutex(a, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	w.cut()
	_, err = recipes.NewMutex(b, place(t)).TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	w.mend()
	_, err = a.Set(h.Context(), h.Guard().Path(), []byte("still mine"))
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx))
}

func TestAReleaseWithoutAServerHappensWhenThereIsOne(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	w := &wire{}
	a, b := one.Client(t, client.WithDialer(w.dial), client.WithSessionTimeout(30*time.Second)), one.Client(t)
	h, err := recipes.NewMutex(a, place(t)).Lock(ctx)
	require.NoError(t, err)
	w.cut()
	brief, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, h.Release(brief), context.DeadlineExceeded)
	w.mend()
	next, err := recipes.NewMutex(b, place(t)).Lock(ctx)
	require.NoError(t, err)
	require.NoError(t, next.Release(ctx))
}

func TestANodeThatSomebodyDeletesEndsTheGrant(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewMutex(c, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	require.NoError(t, one.Client(t).Delete(ctx, h.Guard().Path()))
	<-h.Context().Done()
	require.ErrorIs(t, context.Cause(h.Context()), recipes.ErrDeleted)
	_, err = c.Create(client.WithGuard(ctx, h.Guard()), place(t)+"-late", nil)
	require.ErrorIs(t, err, client.ErrFenced)
	require.ErrorIs(t, h.Release(ctx), recipes.ErrLost)
}

func TestAWaiterWhoseNodeIsDeletedIsTold(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewMutex(c, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		_, err := m.Lock(ctx)
		failed <- err
	}()
	eventually(t, "nobody waits", func() bool { return len(children(t, c, place(t))) == 2 })
	for _, name := range children(t, c, place(t)) {
		if path := place(t) + "/" + name; path != h.Guard().Path() {
			require.NoError(t, c.Delete(ctx, path))
		}
	}
	require.ErrorIs(t, <-failed, recipes.ErrDeleted)
	require.NoError(t, h.Release(ctx))
}

func TestAttemptsThatEndEarlyLeaveNothing(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewMutex(c, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 60 { // from before the create was sent to long after
		wg.Go(func() {
			brief, cancel := context.WithTimeout(ctx, time.Duration(i)*500*time.Microsecond)
			defer cancel()
			_, err := m.Lock(brief)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("attempt %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	eventually(t, "nodes stay behind", func() bool { return len(children(t, c, place(t))) == 1 })
	require.NoError(t, h.Context().Err())
	require.NoError(t, h.Release(ctx))
}

func TestACreateThatNobodyWaitedForIsFoundAndDeleted(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := &forgetful{Client: one.Client(t)}
	_, err := recipes.NewMutex(c, place(t)).Lock(ctx)
	require.ErrorIs(t, err, context.Canceled)
	<-c.deleted
	require.Empty(t, children(t, c, place(t)))
}

// forgetful loses the answer of a create that was done.
type forgetful struct {
	*client.Client
	deleted chan struct{}
}

func (f *forgetful) Create(ctx context.Context, path string, data []byte, opts ...client.CreateOption) (*client.Node, error) {
	if _, err := f.Client.Create(ctx, path, data, opts...); err != nil {
		return nil, err
	}
	if len(opts) > 2 { // of the parent
		return &client.Node{}, nil
	}
	f.deleted = make(chan struct{})
	return nil, &client.Error{Op: "create", Path: path, Err: context.Canceled, Maybe: true}
}

func (f *forgetful) Delete(ctx context.Context, path string, opts ...client.DeleteOption) error {
	defer close(f.deleted)
	return f.Client.Delete(ctx, path, opts...)
}

func TestForeignNodesNeitherBlockNorBreakALock(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	for _, name := range []string{"a", "lock-", "lock-x", "lock-99", "lock--000000001", "lock-+000000001", "lock-99999999999999999999999", "x-lock-0000000000"} {
		_, err := c.Create(ctx, place(t)+"/"+name, nil, client.Parents())
		require.NoError(t, err)
	}
	m := recipes.NewMutex(c, place(t))
	h, err := m.TryLock(ctx)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx))
	h, err = m.Lock(ctx)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx))
}

func TestALockOfCuratorIsRespected(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c, curator := one.Client(t), one.Client(t)
	theirs, err := curator.Create(ctx, place(t)+"/_c_12345678-1234-1234-1234-123456789abc-lock-", []byte("10.0.0.7"),
		client.Parents(), client.Ephemeral(), client.Sequential())
	require.NoError(t, err)
	m := recipes.NewMutex(c, place(t))
	_, err = m.TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.NoError(t, curator.Delete(ctx, theirs.Path))
	h, err := m.TryLock(ctx)
	require.NoError(t, err)
	require.NoError(t, h.Release(ctx))
}

func TestOneWaiterWakesPerRelease(t *testing.T) {
	t.Parallel()
	const waiters = 100
	ctx := limited(t)
	c := &counting{Client: one.Client(t)}
	m := recipes.NewMutex(c, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	granted := make(chan *recipes.Held)
	for range waiters {
		go func() {
			h, err := m.Lock(ctx)
			if err != nil {
				t.Error(err)
			}
			granted <- h
		}()
	}
	watching := func() bool { return c.lists.Load() == 1+waiters && c.gets.Load() == waiters }
	eventually(t, "not all wait", watching)
	token := h.Guard().Token()
	for i := range waiters {
		before := c.lists.Load()
		require.NoError(t, h.Release(ctx))
		h = <-granted
		require.EqualValues(t, 1, c.lists.Load()-before, "release %d", i)
		require.Greater(t, h.Guard().Token(), token)
		token = h.Guard().Token()
	}
	require.NoError(t, h.Release(ctx))
	require.EqualValues(t, 1+2*waiters, c.lists.Load())
	t.Logf("%d releases woke %d", waiters, c.lists.Load()-1-waiters)
}

func TestDoRunsUnderTheLockAndTellsOfItsLoss(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewMutex(c, place(t))
	oops := errors.New("oops")
	require.ErrorIs(t, m.Do(ctx, func(ctx context.Context) error { return oops }), oops)
	require.Panics(t, func() { m.Do(ctx, func(ctx context.Context) error { panic("oops") }) })
	require.Empty(t, children(t, c, place(t)))

	var late context.Context
	err := m.Do(ctx, func(ctx context.Context) error {
		late = context.WithoutCancel(ctx)
		if _, err := c.Create(ctx, place(t)+"-inside", nil); err != nil {
			return err
		}
		require.NoError(t, c.Delete(context.Background(), place(t)+"/"+children(t, c, place(t))[0]))
		<-ctx.Done()
		return nil
	})
	require.ErrorIs(t, err, recipes.ErrLost)
	_, err = c.Create(late, place(t)+"-late", nil)
	require.ErrorIs(t, err, client.ErrFenced)

	stopped, stop := context.WithCancel(ctx)
	err = m.Do(stopped, func(ctx context.Context) error {
		stop()
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, children(t, c, place(t)), "the end of the caller's context does not keep the lock")
}

func TestANestedLockIsUnderBothGuards(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	outer, inner := recipes.NewMutex(c, place(t)+"/outer"), recipes.NewMutex(c, place(t)+"/inner")
	h, err := outer.Lock(ctx)
	require.NoError(t, err)
	both, err := inner.Lock(h.Context())
	require.NoError(t, err)
	require.NoError(t, c.Delete(ctx, h.Guard().Path()))
	_, err = c.Create(both.Context(), place(t)+"-late", nil)
	require.ErrorIs(t, err, client.ErrFenced)
	require.NoError(t, both.Release(ctx))
	require.ErrorIs(t, h.Release(ctx), recipes.ErrLost)
	_, err = inner.Lock(client.WithGuard(ctx, h.Guard()))
	require.ErrorIs(t, err, client.ErrFenced)
}

func TestAMutexOverServersThatDie(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	cluster := clienttest.Start(t, clienttest.WithServers(3))
	var r resource
	var wg sync.WaitGroup
	var grants atomic.Int64
	done := make(chan struct{})
	for holder := range 3 {
		c := cluster.Client(t, client.WithSessionTimeout(15*time.Second))
		wg.Go(func() {
			for ctx.Err() == nil {
				h, err := recipes.NewMutex(c, "/lock").Lock(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				r.write(h.Guard().Token(), holder)
				grants.Add(1)
				if err := h.Release(ctx); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	progress := func() {
		before := grants.Load()
		eventually(t, "nobody gets the lock", func() bool { return grants.Load() > before+5 })
	}
	progress()
	leader := cluster.Leader()
	cluster.Stop(leader)
	progress()
	cluster.DropConnections()
	progress()
	cluster.Restart(leader)
	progress()
	close(done)
	wg.Wait()
	require.Empty(t, r.faults)
	require.Zero(t, r.refused, "a token fell")
	require.Empty(t, children(t, cluster.Client(t), "/lock"))
	t.Logf("%d grants", grants.Load())
}

func TestAChrootAndAnACLGoWithALock(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	_, err := c.Create(ctx, place(t), nil)
	require.NoError(t, err)
	inside := one.Client(t, client.WithChroot(place(t)))
	acl := client.ACL{{Perms: 31, Scheme: "ip", ID: "127.0.0.1"}}
	h, err := recipes.NewMutex(inside, "/a/lock", recipes.WithACL(acl)).Lock(ctx)
	require.NoError(t, err)
	for _, path := range []string{"/a", "/a/lock", h.Guard().Path()} {
		got, err := inside.GetACL(ctx, path)
		require.NoError(t, err)
		require.Equal(t, acl, got, path)
	}
	_, err = inside.Set(h.Context(), h.Guard().Path(), nil)
	require.NoError(t, err)
	_, err = recipes.NewMutex(c, place(t)+"/a/lock").TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.NoError(t, h.Release(ctx))
}

func TestWhoMayNotWriteIsToldAndTriesNoLonger(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	guest, err := client.OpenGuest(ctx, one.Addrs())
	require.NoError(t, err)
	defer guest.Close(ctx)
	_, err = recipes.NewMutex(guest, place(t)).Lock(ctx)
	require.ErrorIs(t, err, client.ErrReadOnly)
	_, err = recipes.NewDoubleBarrier(guest, place(t), 1).Enter(ctx)
	require.ErrorIs(t, err, client.ErrReadOnly)
	_, err = recipes.NewMutex(one.Client(t), "no slash").Lock(ctx)
	require.ErrorIs(t, err, client.ErrBadArguments)
}

func TestALineThatIsDeletedEndsEverybodyInIt(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewMutex(c, place(t))
	h, err := m.Lock(ctx)
	require.NoError(t, err)
	waiting := ask(t, c, place(t), 2, func() (*recipes.Held, error) { return m.Lock(ctx) })
	require.NoError(t, one.Client(t).Delete(ctx, place(t), client.Recursive()))
	require.ErrorIs(t, (<-waiting).err, recipes.ErrLost)
	require.ErrorIs(t, h.Release(ctx), recipes.ErrLost)
}

// outrun has somebody else be faster at the first node that it makes.
type outrun struct {
	*client.Client
	other   func()
	once    sync.Once
	deleted atomic.Int64
}

func (o *outrun) Create(ctx context.Context, path string, data []byte, opts ...client.CreateOption) (*client.Node, error) {
	o.once.Do(o.other)
	return o.Client.Create(ctx, path, data, opts...)
}

func (o *outrun) Delete(ctx context.Context, path string, opts ...client.DeleteOption) error {
	err := o.Client.Delete(ctx, path, opts...)
	o.deleted.Add(1)
	return err
}

func TestATryThatFoundItLockedIsGoneWhenItSaysSo(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	m := recipes.NewMutex(one.Client(t), place(t))
	var h *recipes.Held
	c := &outrun{Client: one.Client(t)}
	c.other = func() {
		var err error
		if h, err = m.Lock(ctx); err != nil {
			t.Error(err)
		}
	}
	_, err := recipes.NewMutex(c, place(t)).TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	require.EqualValues(t, 1, c.deleted.Load())
	require.NoError(t, h.Release(ctx))
	h, err = m.TryLock(ctx)
	require.NoError(t, err, "nobody has it or waits")
	require.NoError(t, h.Release(ctx))
}
