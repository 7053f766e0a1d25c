package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

func TestACacheShowsEveryWriteThatItWasToWaitFor(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	_, err := c.Create(ctx, place(t)+"/before", []byte("x"), client.Parents())
	require.NoError(t, err)
	k, err := recipes.NewCache(ctx, one.Client(t), place(t))
	require.NoError(t, err)
	defer k.Close()
	require.NoError(t, k.WaitSynced(ctx))
	require.Equal(t, "x", string(k.Get(place(t)+"/before").Data))
	for i := range 20 {
		path := fmt.Sprintf("%s/n%d", place(t), i%7)
		stat, err := c.Set(ctx, path, []byte{byte(i)})
		zxid := uint64(0)
		if errors.Is(err, client.ErrNoNode) {
			n, err := c.Create(ctx, path, []byte{byte(i)})
			require.NoError(t, err)
			zxid = n.Zxid
		} else {
			require.NoError(t, err)
			zxid = stat.Mzxid
		}
		require.NoError(t, k.WaitZxid(ctx, zxid))
		require.Equal(t, []byte{byte(i)}, k.Get(path).Data)
	}
	res, err := c.Multi(ctx, client.OpDelete(place(t)+"/before"), client.OpDelete(place(t)+"/n0"))
	require.NoError(t, err)
	require.NoError(t, k.WaitZxid(ctx, res.Zxid))
	require.Nil(t, k.Get(place(t)+"/before"))
	require.Len(t, k.Children(place(t)), 6)
	require.Len(t, k.List(place(t)), 7)
}

// model is what a cache's changes make of nothing.
type model struct {
	mu    sync.Mutex
	nodes map[string]string
	fault string
}

func (m *model) take(ch recipes.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := ""
	if ch.New != nil {
		path = ch.New.Path
	} else {
		path = ch.Old.Path
	}
	old, had := m.nodes[path]
	if had != (ch.Old != nil) || had && old != string(ch.Old.Data) {
		m.fault = fmt.Sprintf("%s: old is %v, was %v %q", path, ch.Old, had, old)
	}
	if delete(m.nodes, path); ch.New != nil {
		m.nodes[path] = string(ch.New.Data)
	}
}

func TestACacheIsLikeTheTreeOverLostConnections(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	w := &wire{}
	c := one.Client(t)
	k, err := recipes.NewCache(ctx, one.Client(t, client.WithDialer(w.dial)), place(t))
	require.NoError(t, err)
	defer k.Close()
	require.NoError(t, k.WaitSynced(ctx))
	m := &model{nodes: map[string]string{}}
	stop := k.OnChange(m.take)
	defer stop()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	_, err = c.Create(ctx, place(t), nil)
	require.NoError(t, err)
	for i := range 150 {
		path := fmt.Sprintf("%s/%d", place(t), r.IntN(6))
		switch r.IntN(4) {
		case 0:
			c.Delete(ctx, path, client.Recursive())
		case 1:
			c.Create(ctx, path+fmt.Sprintf("/%d", r.IntN(3)), []byte{byte(i)}, client.Parents())
		case 2:
			c.Create(ctx, path, []byte{byte(i)})
		case 3:
			c.Set(ctx, path, []byte{byte(i)})
		}
		if i%40 == 20 {
			w.cut()
			w.mend()
		}
	}
	zxid, err := c.Barrier(ctx)
	require.NoError(t, err)
	require.NoError(t, k.WaitZxid(ctx, zxid))
	want := map[string]string{}
	for n, err := range c.Walk(ctx, place(t)) {
		require.NoError(t, err)
		want[n.Path] = string(n.Data)
	}
	got := map[string]string{}
	for _, n := range k.List(place(t)) {
		got[n.Path] = string(n.Data)
	}
	require.Equal(t, want, got)
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Empty(t, m.fault)
	require.Equal(t, want, m.nodes)
}

func TestACacheOfAnEndedSessionKeepsWhatItKnew(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	_, err := one.Client(t).Create(ctx, place(t), []byte("x"))
	require.NoError(t, err)
	k, err := recipes.NewCache(ctx, c, place(t))
	require.NoError(t, err)
	require.NoError(t, k.WaitSynced(ctx))
	require.NoError(t, k.Err())
	one.ExpireSession(c.Session().ID())
	require.Error(t, k.WaitZxid(ctx, 1<<60))
	eventually(t, "does not end", func() bool { return k.Err() != nil })
	require.ErrorIs(t, k.Err(), client.ErrSessionExpired)
	require.Equal(t, "x", string(k.Get(place(t)).Data))
	require.NoError(t, k.WaitSynced(ctx))
	k.Close()
}

type settings struct{ Workers int }

func positive(s settings) error {
	if s.Workers < 1 {
		return errors.New("no workers")
	}
	return nil
}

func TestAValueIsDecodedCheckedAndUpdated(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	path := place(t) + "/v"
	v := recipes.Typed(c, path, recipes.Checked(recipes.JSON[settings](), positive))
	_, err := v.Get(ctx)
	require.ErrorIs(t, err, client.ErrNoNode)
	require.EqualError(t, err, "get "+path+": node does not exist")
	require.ErrorIs(t, v.Set(ctx, settings{}), recipes.ErrInvalid)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				_, err := v.Update(ctx, func(old *settings) (settings, error) {
					if old == nil {
						return settings{1}, nil
					}
					return settings{old.Workers + 1}, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := v.Get(ctx, client.Linearizable())
	require.NoError(t, err)
	require.Equal(t, settings{20}, s)
	_, err = c.Set(ctx, place(t)+"/v", []byte(`{"Workers":-1}`))
	require.NoError(t, err)
	_, err = v.Get(ctx)
	require.ErrorIs(t, err, recipes.ErrInvalid)
	_, err = v.Update(ctx, func(*settings) (settings, error) { return settings{1}, nil })
	require.ErrorIs(t, err, recipes.ErrInvalid, "what is not understood is not overwritten")
	require.NoError(t, v.Set(ctx, settings{2}))
}

func TestAWatchedValueTellsBadOnesAndGoesOn(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	v := recipes.Typed(c, place(t)+"/v", recipes.Checked(recipes.JSON[settings](), positive))
	type told struct {
		s   settings
		err error
	}
	watching, stop := context.WithCancel(ctx)
	seen := make(chan told)
	go func() {
		for s, err := range v.Watch(watching) {
			seen <- told{s, err}
		}
		close(seen)
	}()
	require.ErrorIs(t, (<-seen).err, client.ErrNoNode)
	require.NoError(t, v.Set(ctx, settings{1}))
	require.Equal(t, told{s: settings{1}}, <-seen)
	for _, bad := range []string{"{", `{"Workers":0}`} {
		_, err := c.Set(ctx, place(t)+"/v", []byte(bad))
		require.NoError(t, err)
		require.ErrorIs(t, (<-seen).err, recipes.ErrInvalid)
	}
	require.NoError(t, v.Set(ctx, settings{2}))
	require.Equal(t, told{s: settings{2}}, <-seen)
	require.NoError(t, c.Delete(ctx, place(t)+"/v"))
	require.ErrorIs(t, (<-seen).err, client.ErrNoNode)
	stop()
	require.ErrorIs(t, (<-seen).err, context.Canceled)
	_, more := <-seen
	require.False(t, more)
}

func TestAnUpdateDoesNotTakeANodeThatWasMadeAgainForTheOldOne(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	v := recipes.Typed(c, place(t), recipes.JSON[settings]())
	require.NoError(t, v.Set(ctx, settings{1}))
	h, err := recipes.NewMutex(c, place(t)+"-lock").Lock(ctx)
	require.NoError(t, err)
	lost := client.WithGuard(ctx, h.Guard())
	again := sync.OnceFunc(func() {
		if err := errors.Join(c.Delete(ctx, place(t)), v.Set(ctx, settings{10})); err != nil {
			t.Error(err)
		}
	})
	plusOne := func(old *settings) (settings, error) {
		again()
		return settings{old.Workers + 1}, nil
	}
	put, err := v.Update(ctx, plusOne)
	require.NoError(t, err)
	require.Equal(t, settings{11}, put)
	require.NoError(t, h.Release(ctx))
	_, err = v.Update(lost, plusOne)
	require.ErrorIs(t, err, client.ErrFenced)
	left, err := v.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, settings{11}, left)
}

// brief reads once and has no more time.
type brief struct {
	*client.Client
	read bool
}

func (b *brief) Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error) {
	if b.read {
		return nil, &client.Error{Op: "get", Path: path, Err: context.DeadlineExceeded}
	}
	b.read = true
	return b.Client.Get(ctx, path, opts...)
}

func TestAnUpdateWithoutAGuardIsNeverToldOfOne(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	_, err := c.Create(ctx, place(t), []byte("{}"))
	require.NoError(t, err)
	v := recipes.Typed(&brief{Client: c}, place(t), recipes.JSON[settings]())
	_, err = v.Update(ctx, func(*settings) (settings, error) {
		return settings{2}, c.Delete(ctx, place(t))
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, client.ErrFenced)
}

// bounds tells until when the answers to a watch and to a read are awaited.
type bounds struct {
	*client.Client
	mu    sync.Mutex
	until []time.Time
}

func (b *bounds) note(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, _ := ctx.Deadline()
	b.until = append(b.until, at)
}

func (b *bounds) Watch(ctx context.Context, path string, opts ...client.WatchOption) (*client.Watch, error) {
	b.note(ctx)
	return b.Client.Watch(ctx, path, opts...)
}

func (b *bounds) Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error) {
	b.note(ctx)
	return b.Client.Get(ctx, path, opts...)
}

func TestWhoWaitsWithoutADeadlineWaitsAsLongAsTheSession(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := &bounds{Client: one.Client(t)}
	_, err := c.Create(ctx, place(t), nil)
	require.NoError(t, err)
	for _, err := range recipes.NewGroup(c, place(t)).Watch(ctx) {
		require.NoError(t, err)
		break
	}
	k, err := recipes.NewCache(limited(t), c, place(t))
	require.NoError(t, err)
	defer k.Close()
	require.NoError(t, k.WaitZxid(ctx, 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	require.GreaterOrEqual(t, len(c.until), 3)
	for i, at := range c.until {
		require.False(t, at.IsZero(), "call %d ends with the request timeout", i)
	}
}
