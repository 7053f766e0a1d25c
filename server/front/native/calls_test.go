package native_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

func TestEveryCallOfTheClient(t *testing.T) {
	s := start(t)
	c := s.open()
	ctx := t.Context()

	n, err := c.Create(ctx, "/a", []byte("one"))
	require.NoError(t, err)
	require.Equal(t, "/a", n.Path)
	require.NotZero(t, n.Zxid)
	require.Equal(t, n.Zxid, n.Stat.Czxid)

	got, err := c.Get(ctx, "/a")
	require.NoError(t, err)
	require.Equal(t, []byte("one"), got.Data)
	require.Equal(t, n.Stat, got.Stat)

	stat, err := c.Set(ctx, "/a", []byte("two"), client.IfVersion(0))
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	_, err = c.Set(ctx, "/a", nil, client.IfVersion(0))
	require.ErrorIs(t, err, client.ErrBadVersion)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "/a", e.Path)
	require.False(t, e.Maybe)

	stat, err = c.Exists(ctx, "/none")
	require.NoError(t, err)
	require.Nil(t, stat)
	_, err = c.Get(ctx, "/none")
	require.ErrorIs(t, err, client.ErrNoNode)

	first, err := c.Create(ctx, "/a/s-", nil, client.Sequential(), client.Ephemeral())
	require.NoError(t, err)
	require.Equal(t, "/a/s-0000000000", first.Path)
	_, err = c.Create(ctx, "/x/y/z", []byte{}, client.Parents())
	require.NoError(t, err)
	again, err := c.Create(ctx, "/x/y/z", []byte("other"), client.IfAbsent())
	require.NoError(t, err)
	require.True(t, again.Existed)
	empty, err := c.Get(ctx, "/x/y/z")
	require.NoError(t, err)
	require.Equal(t, []byte{}, empty.Data)
	null, err := c.Get(ctx, "/x/y")
	require.NoError(t, err)
	require.Nil(t, null.Data)

	names, err := c.Children(ctx, "/")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "x", "zookeeper"}, names)
	names, err = c.Children(ctx, "/", client.Limit(1), client.After("a"))
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, names)

	count, err := c.Count(ctx, "/x")
	require.NoError(t, err)
	require.EqualValues(t, 2, count)
	mine, err := c.Ephemerals(ctx, "/")
	require.NoError(t, err)
	require.Equal(t, []string{first.Path}, mine)

	acl := client.ACL{{Perms: znode.AllPerms, Scheme: znode.SchemeWorld, ID: "anyone"}}
	require.NoError(t, c.SetACL(ctx, "/a", acl, client.IfVersion(0)))
	found, err := c.GetACL(ctx, "/a")
	require.NoError(t, err)
	require.Equal(t, acl, found)

	zxid, err := c.Barrier(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, zxid, n.Zxid)
	got, err = c.Get(ctx, "/a", client.Linearizable())
	require.NoError(t, err)
	require.Equal(t, []byte("two"), got.Data)
	_, err = c.Get(ctx, "/a", client.AtLeast(zxid))
	require.NoError(t, err)

	ids, err := c.WhoAmI(ctx)
	require.NoError(t, err)
	require.Contains(t, ids, client.Identity{Scheme: "ip", ID: "127.0.0.1"})
	info, err := c.SessionInfo(ctx, c.Session().ID())
	require.NoError(t, err)
	require.True(t, info.Alive)
	require.Equal(t, 1, info.Ephemerals)

	require.ErrorIs(t, c.Delete(ctx, "/x"), client.ErrNotEmpty)
	require.NoError(t, c.Delete(ctx, "/x", client.Recursive()))
	require.NoError(t, c.Delete(ctx, first.Path, client.IfVersion(0)))
	stat, err = c.Exists(ctx, "/x/y/z")
	require.NoError(t, err)
	require.Nil(t, stat)

	_, err = c.Create(ctx, "relative", nil)
	require.ErrorIs(t, err, client.ErrBadArguments)
	_, err = c.Create(ctx, "/a//b", nil)
	require.ErrorIs(t, err, client.ErrBadArguments)
	_, err = c.Create(ctx, "/t", nil, client.Ephemeral(), client.Container())
	require.ErrorIs(t, err, client.ErrBadArguments)
	_, err = c.Create(ctx, "/t", nil, client.TTL(time.Minute))
	require.NoError(t, err)
}

func TestAMultiIsAllOrNothing(t *testing.T) {
	s := start(t)
	c := s.open(client.WithChroot("/base"))
	ctx := t.Context()
	_, err := c.Create(ctx, "/", nil)
	require.NoError(t, err)

	res, err := c.Multi(ctx,
		client.OpCreate("/m", []byte("1")),
		client.OpCreate("/m/s-", nil, client.Sequential()),
		client.OpSet("/m", []byte("2"), client.IfVersion(0)),
		client.OpCheck("/m", 1),
	)
	require.NoError(t, err)
	require.Len(t, res.Nodes, 4)
	require.Equal(t, "/m/s-0000000000", res.Nodes[1].Path)
	require.EqualValues(t, 1, res.Nodes[2].Stat.Version)
	require.Equal(t, res.Zxid, res.Nodes[0].Stat.Czxid)

	_, err = c.Multi(ctx, client.OpDelete("/m/s-0000000000"), client.OpCheck("/m", 7), client.OpDelete("/m"))
	require.ErrorIs(t, err, client.ErrBadVersion)
	var me *client.MultiError
	require.ErrorAs(t, err, &me)
	require.Equal(t, 1, me.Index)

	reads, err := c.MultiRead(ctx, []client.ReadOp{
		client.ReadGet("/m"), client.ReadChildren("/m"), client.ReadGet("/none"), client.ReadCount("/"), client.ReadACL("/m"), client.ReadExists("/m"),
	})
	require.NoError(t, err)
	require.Equal(t, []byte("2"), reads[0].Data)
	require.Equal(t, []string{"s-0000000000"}, reads[1].Names)
	require.ErrorIs(t, reads[2].Err, client.ErrNoNode)
	require.EqualValues(t, 2, reads[3].Count)
	require.Len(t, reads[4].ACL, 1)
	require.EqualValues(t, 1, reads[5].Stat.Version)

	outside := s.open()
	got, err := outside.Get(ctx, "/base/m")
	require.NoError(t, err)
	require.Equal(t, []byte("2"), got.Data)
}

func TestACommitHasRoomForWhatAMultiHasNot(t *testing.T) {
	s := start(t)
	c := s.open(client.WithChroot("/base"))
	ctx := t.Context()
	_, err := c.Create(ctx, "/", nil)
	require.NoError(t, err)
	ops := []client.Op{client.OpCreate("/many", nil)}
	for i := range 10_000 - 1 {
		ops = append(ops, client.OpCreate(fmt.Sprintf("/many/%d", i), []byte("data")))
	}
	_, err = c.Multi(ctx, ops...)
	require.ErrorIs(t, err, client.ErrTooLarge)
	require.ErrorContains(t, err, "a session keeps at most 262144; a brief answer would do")
	zxid, err := c.Commit(ctx, ops...)
	require.NoError(t, err)
	last, err := c.Get(ctx, "/many/9998")
	require.NoError(t, err)
	require.Equal(t, zxid, last.Stat.Czxid)

	ops[9_000] = client.OpDelete("/many/0", client.IfVersion(7))
	for i := range ops[:9_000] {
		ops[i] = client.OpSet("/many", nil)
	}
	_, err = c.Commit(ctx, ops...)
	require.ErrorIs(t, err, client.ErrBadVersion)
	var me *client.MultiError
	require.ErrorAs(t, err, &me)
	require.Equal(t, 9_000, me.Index)
	_, err = c.Commit(ctx, slices.Repeat(ops[:1], 20_001)...)
	require.ErrorIs(t, err, client.ErrTooLarge)
	require.ErrorContains(t, err, "20001 operations, at most 20000 are allowed")

	lock, err := c.Create(ctx, "/lock", nil)
	require.NoError(t, err)
	held := client.WithGuard(ctx, client.NewGuard("/lock", lock.Stat.Czxid))
	_, err = c.Commit(held, client.OpSet("/many", nil), client.OpCheck("/many", 7))
	require.ErrorAs(t, err, &me)
	require.Equal(t, 1, me.Index, "guards do not count")
	_, err = c.Commit(held, client.OpSet("/many", nil))
	require.NoError(t, err)
	require.NoError(t, c.Delete(ctx, "/lock"))
	_, err = c.Commit(held, client.OpSet("/many", nil))
	require.ErrorIs(t, err, client.ErrFenced)
}

func TestNoBriefAnswerIsGivenBesideServersOfAnOlderVersion(t *testing.T) {
	older := true
	s := start(t, func(cfg *config) {
		cfg.AllKnow = func(_ context.Context, what int) bool { return !older || what < state.KnowsBrief }
	})
	c := s.open()
	_, err := c.Commit(t.Context(), client.OpCreate("/a", nil))
	require.ErrorIs(t, err, client.ErrUnimplemented)
	require.ErrorContains(t, err, "a server of the cluster runs an older version")
	_, err = c.Multi(t.Context(), client.OpCreate("/a", nil))
	require.NoError(t, err)
	older = false
	_, err = c.Commit(t.Context(), client.OpDelete("/a"))
	require.NoError(t, err)
}

func TestUpdateTriesUntilNobodyWasFaster(t *testing.T) {
	s := start(t)
	c := s.open()
	ctx := t.Context()
	const writers, rounds = 4, 25
	done := make(chan error, writers)
	for range writers {
		go func() {
			for range rounds {
				_, err := c.Update(ctx, "/n", func(old *client.Node) ([]byte, error) {
					if old == nil {
						return []byte{1}, nil
					}
					return []byte{old.Data[0] + 1}, nil
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		require.NoError(t, <-done)
	}
	n, err := c.Get(ctx, "/n")
	require.NoError(t, err)
	require.EqualValues(t, writers*rounds, n.Data[0])

	boom := errors.New("boom")
	_, err = c.Update(ctx, "/n", func(*client.Node) ([]byte, error) { return nil, boom })
	require.ErrorIs(t, err, boom)
}

func TestWalkYieldsParentsFirstAndNamesInOrder(t *testing.T) {
	s := start(t)
	c := s.open()
	ctx := t.Context()
	for _, p := range []string{"/w", "/w/b", "/w/a", "/w/a/1", "/w/a/2", "/w/c"} {
		_, err := c.Create(ctx, p, []byte(p))
		require.NoError(t, err)
	}
	var paths []string
	for n, err := range c.Walk(ctx, "/w") {
		require.NoError(t, err)
		require.Equal(t, n.Path, string(n.Data))
		paths = append(paths, n.Path)
	}
	require.Equal(t, []string{"/w", "/w/a", "/w/a/1", "/w/a/2", "/w/b", "/w/c"}, paths)

	paths = nil
	for n, err := range c.Walk(ctx, "/w", client.Depth(1), client.KeysOnly()) {
		require.NoError(t, err)
		require.Nil(t, n.Data)
		paths = append(paths, n.Path)
		if len(paths) == 3 {
			break
		}
	}
	require.Equal(t, []string{"/w", "/w/a", "/w/b"}, paths)
	for _, err := range c.Walk(ctx, "/none") {
		require.ErrorIs(t, err, client.ErrNoNode)
	}
}

func TestAWalkSaysOnceThatItsRootMayNotBeRead(t *testing.T) {
	s := start(t)
	c := s.open()
	ctx := t.Context()
	_, err := c.Create(ctx, "/shut", nil, client.WithACL(client.ACL{{Perms: znode.Write, Scheme: "world", ID: "anyone"}}))
	require.NoError(t, err)
	var said []error
	for n, err := range c.Walk(ctx, "/shut") {
		require.Equal(t, "/shut", n.Path)
		said = append(said, err)
	}
	require.Len(t, said, 1)
	require.ErrorIs(t, said[0], client.ErrNoAuth)
}

func TestASessionEndsWithItsEphemerals(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	watcher := s.open()
	c, err := client.Open(ctx, []string{s.addr})
	require.NoError(t, err)
	_, err = c.Create(ctx, "/e", nil, client.Ephemeral())
	require.NoError(t, err)
	require.NoError(t, c.Close(ctx))
	require.Equal(t, client.Closed, c.Session().State())
	require.ErrorIs(t, context.Cause(c.Session().Context()), client.ErrClosed)
	_, err = c.Get(ctx, "/e")
	require.ErrorIs(t, err, client.ErrClosed)
	stat, err := watcher.Exists(ctx, "/e", client.Linearizable())
	require.NoError(t, err)
	require.Nil(t, stat)
}

func TestAnExpiredSessionIsToldItsCause(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	admin := s.open(client.WithCredentials(client.AdminToken(adminToken)))
	c := s.open()
	require.NoError(t, admin.ExpireSession(ctx, c.Session().ID(), "for the test"))
	<-c.Session().Context().Done()
	cause := context.Cause(c.Session().Context())
	require.ErrorIs(t, cause, client.ErrSessionExpired)
	require.ErrorContains(t, cause, "for the test")
	_, err := c.Set(ctx, "/", nil)
	require.ErrorIs(t, err, client.ErrSessionExpired)
	info, err := admin.SessionInfo(ctx, c.Session().ID())
	require.NoError(t, err)
	require.False(t, info.Alive)
	require.Equal(t, "for the test", info.Cause)
}

func TestAGuestReadsAndDoesNotWrite(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	g, err := client.OpenGuest(ctx, []string{s.addr})
	require.NoError(t, err)
	defer g.Close(ctx)
	_, err = g.Get(ctx, "/")
	require.NoError(t, err)
	_, err = g.Create(ctx, "/a", nil)
	require.ErrorIs(t, err, client.ErrReadOnly)
	require.Zero(t, g.Session().ID())
}
