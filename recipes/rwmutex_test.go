package recipes_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

type acquired struct {
	h   *recipes.Held
	err error
}

// ask calls get behind the test's back, and returns when it is in line: when there
// are n names at path.
func ask(t *testing.T, c recipes.Client, path string, n int, get func() (*recipes.Held, error)) <-chan acquired {
	t.Helper()
	got := make(chan acquired, 1)
	go func() {
		h, err := get()
		got <- acquired{h, err}
	}()
	eventually(t, "not in line", func() bool { return len(children(t, c, path)) == n })
	return got
}

func take(t *testing.T, got <-chan acquired) *recipes.Held {
	t.Helper()
	a := <-got
	require.NoError(t, a.err)
	return a.h
}

func TestReadersShareAndWritersDoNot(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewRWMutex(c, place(t))
	r1, err := m.RLock(ctx)
	require.NoError(t, err)
	r2, err := m.TryRLock(ctx)
	require.NoError(t, err)
	_, err = m.TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	writer := ask(t, c, place(t), 3, func() (*recipes.Held, error) { return m.Lock(ctx) })
	_, err = m.TryRLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked, "a reader passed a waiting writer")
	r3 := ask(t, c, place(t), 4, func() (*recipes.Held, error) { return m.RLock(ctx) })

	require.NoError(t, r2.Release(ctx))
	require.Empty(t, writer)
	require.NoError(t, r1.Release(ctx))
	w := take(t, writer)
	require.Greater(t, w.Guard().Token(), r2.Guard().Token())
	require.Empty(t, r3)
	require.NoError(t, w.Release(ctx))
	require.NoError(t, take(t, r3).Release(ctx))
	require.Empty(t, children(t, c, place(t)))
}

func TestReadersWakeWithTheWriterInFrontAlone(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := &counting{Client: one.Client(t)}
	m := recipes.NewRWMutex(c, place(t))
	w1, err := m.Lock(ctx)
	require.NoError(t, err)
	second := ask(t, c.Client, place(t), 2, func() (*recipes.Held, error) { return m.Lock(ctx) })
	const readers = 10
	var waiting []<-chan acquired
	for i := range readers {
		waiting = append(waiting, ask(t, c.Client, place(t), 3+i, func() (*recipes.Held, error) { return m.RLock(ctx) }))
	}
	third := ask(t, c.Client, place(t), 3+readers, func() (*recipes.Held, error) { return m.Lock(ctx) })
	eventually(t, "not all wait", func() bool { return c.gets.Load() == readers+2 })

	before := c.lists.Load()
	require.NoError(t, w1.Release(ctx))
	w2 := take(t, second)
	require.EqualValues(t, 1, c.lists.Load()-before, "the second writer alone")
	require.NoError(t, w2.Release(ctx))
	var held []*recipes.Held
	for _, r := range waiting {
		held = append(held, take(t, r))
	}
	require.EqualValues(t, 1+readers, c.lists.Load()-before, "each reader once, and no writer")
	for i, h := range held {
		require.NoError(t, h.Release(ctx), i)
	}
	require.NoError(t, take(t, third).Release(ctx))
	require.LessOrEqual(t, c.lists.Load()-before, int64(1+readers+readers), "one writer looks once per reader that goes, at most")
}

func TestNobodyWritesBesideAnyoneElse(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	var readers, writers atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		c := one.Client(t)
		m := recipes.NewRWMutex(c, place(t))
		wg.Go(func() {
			for i := range 12 {
				var err error
				if i%3 == 0 {
					err = m.Do(ctx, func(context.Context) error {
						if writers.Add(1) != 1 || readers.Load() != 0 {
							t.Error("a writer is not alone")
						}
						writers.Add(-1)
						return nil
					})
				} else {
					err = m.RDo(ctx, func(context.Context) error {
						readers.Add(1)
						if writers.Load() != 0 {
							t.Error("a reader beside a writer")
						}
						readers.Add(-1)
						return nil
					})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReadAndWriteLocksOfCuratorAreRespected(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	m := recipes.NewRWMutex(c, place(t))
	const id = "/_c_12345678-1234-1234-1234-123456789abc-"
	theirs, err := c.Create(ctx, place(t)+id+"__READ__", nil, client.Parents(), client.Ephemeral(), client.Sequential())
	require.NoError(t, err)
	_, err = m.TryLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
	h, err := m.TryRLock(ctx)
	require.NoError(t, err)
	require.Regexp(t, `/_c_[0-9a-f-]{36}-__READ__[0-9]{10}$`, h.Guard().Path())
	require.NoError(t, h.Release(ctx))
	require.NoError(t, c.Delete(ctx, theirs.Path))
	_, err = c.Create(ctx, place(t)+id+"__WRIT__", nil, client.Ephemeral(), client.Sequential())
	require.NoError(t, err)
	_, err = m.TryRLock(ctx)
	require.ErrorIs(t, err, recipes.ErrLocked)
}
