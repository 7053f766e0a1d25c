package recipes_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// collect runs a sequence behind the test's back, until the test ends.
func collect[T any](t *testing.T, seq func(context.Context) func(func(T, error) bool)) (seen <-chan T, ended <-chan error) {
	ctx, stop := context.WithTimeout(context.Background(), testTime)
	all, last := make(chan T), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for v, err := range seq(ctx) {
			if err != nil {
				last <- err
				return
			}
			select {
			case all <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return all, last
}

func names(members []recipes.Member) (names []string) {
	for _, m := range members {
		names = append(names, m.Name+"="+string(m.Data))
	}
	return names
}

// until takes what is seen until it is what is wanted.
func until[T any](t *testing.T, seen <-chan T, ok func(T) bool) T {
	t.Helper()
	for end := time.After(testTime); ; {
		select {
		case v := <-seen:
			if ok(v) {
				return v
			}
		case <-end:
			t.Fatal("never seen")
		}
	}
}

// next is what is seen next.
func next[T any](t *testing.T, seen <-chan T) T {
	t.Helper()
	return until(t, seen, func(T) bool { return true })
}

func TestAGroupIsWhoIsThere(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	ga, gb := recipes.NewGroup(a, place(t)), recipes.NewGroup(b, place(t))
	members, err := ga.Members(ctx)
	require.NoError(t, err)
	require.Empty(t, members)
	seen, _ := collect(t, func(ctx context.Context) func(func([]recipes.Member, error) bool) { return ga.Watch(ctx) })
	require.Empty(t, next(t, seen))

	ha, err := ga.Join(ctx, "a", []byte("1"))
	require.NoError(t, err)
	require.Equal(t, place(t)+"/a", ha.Guard().Path())
	require.Equal(t, []string{"a=1"}, names(next(t, seen)))
	_, err = gb.Join(ctx, "b", []byte("2"))
	require.NoError(t, err)
	require.Equal(t, []string{"a=1", "b=2"}, names(next(t, seen)))
	_, err = b.Create(ctx, place(t)+"/nobody", nil)
	require.NoError(t, err)
	_, err = b.Set(ctx, place(t)+"/b", []byte("3"))
	require.NoError(t, err)
	until(t, seen, func(m []recipes.Member) bool { return len(m) == 2 && string(m[1].Data) == "3" })
	members, err = ga.Members(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a=1", "b=3"}, names(members))
	require.Equal(t, b.Session().ID(), members[1].Session)

	one.ExpireSession(b.Session().ID())
	until(t, seen, func(m []recipes.Member) bool { return len(m) == 1 })
	require.NoError(t, ha.Release(ctx))
	require.Empty(t, next(t, seen))
}

func TestANameThatIsTakenIsWaitedForAndNeverTakenAway(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	a, b := one.Client(t), one.Client(t)
	first, err := recipes.NewGroup(a, place(t)).Join(ctx, "me", []byte("old"))
	require.NoError(t, err)
	brief, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = recipes.NewGroup(b, place(t)).Join(brief, "me", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	joined := make(chan acquired, 1)
	go func() {
		h, err := recipes.NewGroup(b, place(t)).Join(ctx, "me", []byte("new"))
		joined <- acquired{h, err}
	}()
	require.NoError(t, a.Delete(ctx, place(t)+"/me"))
	second := take(t, joined)
	require.Greater(t, second.Guard().Token(), first.Guard().Token())
	require.ErrorIs(t, first.Release(ctx), recipes.ErrLost)
	n, err := b.Get(ctx, place(t)+"/me")
	require.NoError(t, err, "a late release took the other's place away")
	require.Equal(t, "new", string(n.Data))
	require.NoError(t, second.Release(ctx))
}

func TestAnEarlyEndOfAJoinLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	g := recipes.NewGroup(c, place(t))
	for i := range 8 {
		brief, cancel := context.WithTimeout(ctx, time.Duration(i)*500*time.Microsecond)
		if h, err := g.Join(brief, "me", []byte{byte(i)}); err == nil {
			require.NoError(t, h.Release(ctx))
		}
		cancel()
	}
	eventually(t, "nodes stay behind", func() bool { return len(children(t, c, place(t))) == 0 })
}

// unanswered loses the answer of the first create, and the first look for what it made.
type unanswered struct {
	*client.Client
	creates, looks atomic.Int64
	found          chan error // by the second look
}

func (u *unanswered) Create(ctx context.Context, path string, data []byte, opts ...client.CreateOption) (*client.Node, error) {
	n, err := u.Client.Create(ctx, path, data, opts...)
	if u.creates.Add(1) == 1 {
		return nil, &client.Error{Op: "create", Path: path, Err: context.DeadlineExceeded, Maybe: true}
	}
	return n, err
}

func (u *unanswered) Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error) {
	if by, _ := ctx.Deadline(); time.Until(by) > testTime/2 { // of the calls of the test
		return u.Client.Get(ctx, path, opts...)
	}
	if u.looks.Add(1) == 1 {
		return nil, &client.Error{Op: "get", Path: path, Err: context.DeadlineExceeded}
	}
	n, err := u.Client.Get(ctx, path, opts...)
	u.found <- err
	return n, err
}

func TestADiscardedJoinDoesNotTakeItsSuccessorForItsOwn(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	former := one.Client(t)
	before, err := recipes.NewGroup(former, place(t)).Join(ctx, "me", nil)
	require.NoError(t, err)
	c := &unanswered{Client: one.Client(t), found: make(chan error, 1)}
	_, err = recipes.NewGroup(c, place(t)).Join(ctx, "me", []byte("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, before.Release(ctx))
	brief, cancel := context.WithCancel(ctx)
	cancel()
	_, err = recipes.NewGroup(c, place(t)).Join(brief, "me", []byte("x"))
	require.ErrorIs(t, err, context.Canceled)
	h, err := recipes.NewGroup(c, place(t)).Join(ctx, "me", []byte("x"))
	require.NoError(t, err)
	require.ErrorIs(t, <-c.found, client.ErrNoNode, "it would delete this")
	require.NoError(t, h.Release(ctx))
	h, err = recipes.NewGroup(c, place(t)).Join(ctx, "me", nil)
	require.NoError(t, err, "a name that was given back is free")
	require.NoError(t, former.Delete(ctx, place(t)+"/me"))
	<-h.Context().Done()
	h, err = recipes.NewGroup(c, place(t)).Join(ctx, "me", nil)
	require.NoError(t, err, "a name that was lost is free")
	require.NoError(t, h.Release(ctx))
}

func ids(found []recipes.Instance) (ids []string) {
	for _, in := range found {
		ids = append(ids, in.ID)
	}
	return ids
}

func TestARegistryFindsInstancesAndKeepsWhatItKnew(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	w := &wire{}
	a, b := one.Client(t), one.Client(t, client.WithDialer(w.dial), client.WithSessionTimeout(30*time.Second))
	ra, err := recipes.NewRegistry(ctx, a, place(t))
	require.NoError(t, err)
	defer ra.Close()
	rb, err := recipes.NewRegistry(ctx, b, place(t))
	require.NoError(t, err)
	defer rb.Close()
	found, err := rb.Lookup(ctx, "web")
	require.NoError(t, err)
	require.Empty(t, found)
	seen, ended := collect(t, func(ctx context.Context) func(func([]recipes.Instance, error) bool) { return rb.Watch(ctx, "web") })
	require.Empty(t, next(t, seen))

	in := recipes.Instance{Service: "web", ID: "1", Address: "10.0.0.1", Port: 80, Payload: json.RawMessage(`{"zone":"a"}`)}
	h, err := ra.Register(ctx, in)
	require.NoError(t, err)
	got := next(t, seen)
	require.Equal(t, "10.0.0.1", got[0].Address)
	require.JSONEq(t, `{"zone":"a"}`, string(got[0].Payload))
	require.Equal(t, "DYNAMIC", got[0].Type)
	_, err = ra.Register(ctx, recipes.Instance{Service: "web", ID: "2", Disabled: true})
	require.NoError(t, err)
	_, err = ra.Register(ctx, recipes.Instance{Service: "web", ID: "3"})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3"}, ids(next(t, seen)))
	for _, bad := range []recipes.Instance{{}, {Service: "a/b"}, {Service: "a", ID: "b/c"}} {
		_, err = ra.Register(ctx, bad)
		require.ErrorIs(t, err, client.ErrBadArguments)
	}

	w.cut()
	require.NoError(t, h.Release(ctx))
	found, err = rb.Lookup(ctx, "web")
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3"}, ids(found), "the last that was known while cut off")
	one.ExpireSession(b.Session().ID())
	w.mend()
	require.ErrorIs(t, next(t, ended), client.ErrSessionExpired)
	found, err = rb.Lookup(ctx, "web")
	require.NoError(t, err)
	require.Equal(t, "3", found[len(found)-1].ID, "the last that was known")
	require.ErrorIs(t, rb.Err(), client.ErrSessionExpired)
}

func TestInstancesOfCuratorAreFoundAndNonsenseIsNot(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	c := one.Client(t)
	for name, data := range map[string]string{
		"u1": `{"name":"web","id":"u1","address":"10.0.0.9","port":8080,"sslPort":null,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null,"enabled":true}`,
		"u2": `{"name":"web","id":"u2","address":"10.0.0.9","enabled":false}`,
		"u3": `{"name":"web","id":"other"}`, "u4": `[]`, "u5": ``, "u6": `{"name":3}`,
	} {
		_, err := c.Create(ctx, place(t)+"/web/"+name, []byte(data), client.Parents())
		require.NoError(t, err)
	}
	r, err := recipes.NewRegistry(ctx, c, place(t))
	require.NoError(t, err)
	defer r.Close()
	found, err := r.Lookup(ctx, "web")
	require.NoError(t, err)
	require.Equal(t, []string{"u1"}, ids(found))
	require.Equal(t, 8080, found[0].Port)
}
