package native_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

// next fails the test instead of waiting for ever.
func next(t *testing.T, w *client.Watch) client.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := w.Next(ctx)
	require.NoError(t, err)
	return e
}

func tell(e client.Event) string { return fmt.Sprintf("%v %s", e.Type, e.Path) }

func requireEvents(t *testing.T, w *client.Watch, want ...string) {
	t.Helper()
	for _, text := range want {
		require.Equal(t, text, tell(next(t, w)))
	}
}

func requireNothing(t *testing.T, w *client.Watch) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := w.Next(ctx)
	require.ErrorIs(t, err, context.Canceled, "an event %v", e)
}

func TestAWatchTellsWhatHappensToItsNode(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c, other := s.open(client.WithChroot("/app")), s.open()
	_, err := other.Create(ctx, "/app", nil)
	require.NoError(t, err)
	w, err := c.Watch(ctx, "/n")
	require.NoError(t, err)

	_, err = c.Create(ctx, "/n", nil)
	require.NoError(t, err)
	_, err = other.Set(ctx, "/app/n", []byte("x"))
	require.NoError(t, err)
	child, err := c.Create(ctx, "/n/child", nil)
	require.NoError(t, err)
	_, err = c.Create(ctx, "/n/child/deeper", nil)
	require.NoError(t, err)
	require.NoError(t, c.Delete(ctx, "/n", client.Recursive()))
	requireEvents(t, w, "created /n", "changed /n")
	e := next(t, w)
	require.Equal(t, "children changed /n", tell(e))
	require.Equal(t, child.Zxid, e.Zxid)
	requireEvents(t, w, "children changed /n", "deleted /n")
	requireNothing(t, w)
	require.NoError(t, w.Close())
	_, err = w.Next(ctx)
	require.ErrorIs(t, err, client.ErrClosed)
}

func TestASubtreeWatchTellsEverythingBelow(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open()
	w, err := c.Watch(ctx, "/", client.Subtree(), client.Types(client.EventCreated, client.EventDeleted))
	require.NoError(t, err)
	_, err = c.Create(ctx, "/a/b/c", []byte("x"), client.Parents())
	require.NoError(t, err)
	_, err = c.Set(ctx, "/a/b", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.Delete(ctx, "/a/b/c"))
	requireEvents(t, w, "created /a", "created /a/b", "created /a/b/c", "deleted /a/b/c")
	requireNothing(t, w)
}

func TestAnEventComesBeforeAReadThatShowsIt(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c, other := s.open(), s.open()
	w, err := c.Watch(ctx, "/n")
	require.NoError(t, err)
	_, err = other.Create(ctx, "/n", nil)
	require.NoError(t, err)
	for {
		stat, err := c.Exists(ctx, "/n")
		require.NoError(t, err)
		if stat != nil {
			break
		}
	}
	soon, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	e, err := w.Next(soon)
	require.NoError(t, err, "the node was shown before its event")
	require.Equal(t, "created /n", tell(e))
}

func TestAWatchOnceEndsAfterItsFirstEvent(t *testing.T) {
	for name, opts := range map[string][]client.WatchOption{
		"of any type":          {client.Once()},
		"of the data":          {client.Once(), client.Types(client.EventCreated, client.EventChanged, client.EventDeleted)},
		"of its end":           {client.Once(), client.Types(client.EventDeleted)},
		"of its subtree's end": {client.Once(), client.Subtree(), client.Types(client.EventDeleted)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			ctx := t.Context()
			c := s.open()
			_, err := c.Create(ctx, "/n", nil)
			require.NoError(t, err)
			w, err := c.Watch(ctx, "/n", opts...)
			require.NoError(t, err)
			require.NoError(t, c.Delete(ctx, "/n"))
			_, err = c.Create(ctx, "/n", nil)
			require.NoError(t, err)
			var told []string
			for e, err := range w.All() {
				require.NoError(t, err)
				told = append(told, tell(e))
			}
			require.Equal(t, []string{"deleted /n"}, told)
			_, err = c.Barrier(ctx)
			require.NoError(t, err)
			require.Zero(t, s.core.Stats().Watches)
		})
	}
}

func TestWatchesOfOnePathLiveSideBySide(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open()
	var all []*client.Watch
	for _, opts := range [][]client.WatchOption{nil, nil, {client.Subtree()}, {client.Once(), client.Types(client.EventCreated, client.EventChanged, client.EventDeleted)}} {
		w, err := c.Watch(ctx, "/n", opts...)
		require.NoError(t, err)
		all = append(all, w)
	}
	require.NoError(t, all[0].Close())
	_, err := c.Create(ctx, "/n", nil)
	require.NoError(t, err)
	for _, w := range all[1:] {
		requireEvents(t, w, "created /n")
		if w != all[3] {
			requireNothing(t, w)
		}
	}
	for _, w := range all {
		w.Close()
	}
	_, err = c.Barrier(ctx)
	require.NoError(t, err)
	require.Zero(t, s.core.Stats().Watches)
}

func TestAWatchThatWantsWhatItNeverTellsIsRefused(t *testing.T) {
	c := start(t).open()
	_, err := c.Watch(t.Context(), "/n", client.Subtree(), client.Types(client.EventChildrenChanged))
	require.ErrorIs(t, err, client.ErrBadArguments)
	_, err = c.Watch(t.Context(), "/n", client.Types())
	require.ErrorIs(t, err, client.ErrBadArguments)
}

func TestWatchesMissNothingOverLostConnections(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, writer := s.open(), s.open()
	_, err := c.Create(ctx, "/d", nil)
	require.NoError(t, err)
	w, err := c.Watch(ctx, "/d", client.Subtree(), client.Types(client.EventCreated))
	require.NoError(t, err)
	const n = 400
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; i < n; i += 2 {
			_, err := writer.Multi(ctx, client.OpCreate(fmt.Sprintf("/d/%04d", i), nil), client.OpCreate(fmt.Sprintf("/d/%04d", i+1), nil))
			if err != nil {
				t.Error(err)
				return
			}
			if rand.IntN(10) == 0 {
				s.front.DropConnections()
			}
		}
	})
	var last uint64
	for i := range n {
		e, err := w.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("created /d/%04d", i), tell(e))
		require.GreaterOrEqual(t, e.Zxid, last)
		last = e.Zxid
	}
	wg.Wait()
	requireNothing(t, w)
}

func TestAWatchGoesOnInAnotherProcessFromItsZxid(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open()
	w, err := c.Watch(ctx, "/", client.Subtree())
	require.NoError(t, err)
	for i := range 6 {
		_, err := c.Create(ctx, fmt.Sprintf("/n%d", i), nil)
		require.NoError(t, err)
	}
	requireEvents(t, w, "created /n0", "created /n1", "created /n2")
	other := s.open()
	resumed, err := other.Watch(ctx, "/", client.Subtree(), client.FromZxid(w.Zxid()))
	require.NoError(t, err)
	requireEvents(t, resumed, "created /n3", "created /n4", "created /n5")
	_, err = c.Create(ctx, "/n6", nil)
	require.NoError(t, err)
	requireEvents(t, resumed, "created /n6")

	// The old watch beside a resumed one on the same connection is not told twice.
	beside, err := c.Watch(ctx, "/", client.Subtree(), client.FromZxid(0))
	require.NoError(t, err)
	for i := range 7 {
		requireEvents(t, beside, fmt.Sprintf("created /n%d", i))
	}
	requireEvents(t, w, "created /n3", "created /n4", "created /n5", "created /n6")
	requireNothing(t, w)
}

func TestAWatchWithASnapshotBeginsWithTheState(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open(client.WithChroot("/r"))
	for _, p := range []string{"/", "/b", "/a", "/a/1"} {
		_, err := c.Create(ctx, p, []byte(p))
		require.NoError(t, err)
	}
	w, err := c.Watch(ctx, "/", client.Subtree(), client.WithSnapshot())
	require.NoError(t, err)
	_, err = c.Create(ctx, "/c", nil)
	require.NoError(t, err)
	requireEvents(t, w, "present /", "present /a", "present /a/1", "present /b", "present /c", "synced /", "created /c")
	requireNothing(t, w)
}

// gate is a dialer that can be shut.
type gate struct{ shut atomic.Bool }

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if g.shut.Load() {
		return nil, errors.New("the gate is shut")
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func TestAGapIsFilledWithThePresentState(t *testing.T) {
	s := startCore(t, pipeline.Config{Origin: 1, RingEffects: 4})
	ctx := t.Context()
	var g gate
	c, writer := s.open(client.WithDialer(g.dial)), s.open()
	_, err := c.Create(ctx, "/d", nil)
	require.NoError(t, err)
	w, err := c.Watch(ctx, "/d", client.Subtree())
	require.NoError(t, err)
	bare, err := c.Watch(ctx, "/d", client.WithoutResync())
	require.NoError(t, err)
	once, err := c.Watch(ctx, "/d/1", client.Once(), client.Types(client.EventCreated, client.EventChanged, client.EventDeleted))
	require.NoError(t, err)
	before := w.Zxid()

	g.shut.Store(true)
	s.front.DropConnections()
	for i := range 10 {
		_, err := writer.Create(ctx, fmt.Sprintf("/d/%d", i), nil)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Delete(ctx, "/d/5"))
	g.shut.Store(false)

	e := next(t, w)
	require.Equal(t, "gap /d", tell(e))
	require.Equal(t, before, w.Zxid(), "the gap is not filled yet")
	_, err = writer.Create(ctx, "/d/end", nil)
	require.NoError(t, err)
	requireEvents(t, w, "present /d", "present /d/0", "present /d/1", "present /d/2", "present /d/3", "present /d/4",
		"present /d/6", "present /d/7", "present /d/8", "present /d/9", "present /d/end", "synced /d", "created /d/end")
	require.Greater(t, w.Zxid(), before)

	_, err = bare.Next(ctx)
	require.ErrorIs(t, err, client.ErrGap)
	require.NoError(t, writer.Delete(ctx, "/d/end"))
	requireEvents(t, bare, "children changed /d")
	requireEvents(t, once, "created /d/1")
}
