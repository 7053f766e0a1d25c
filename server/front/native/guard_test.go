package native_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

func TestAWriteUnderAGuardHappensOnlyWhileItsNodeIsThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	holder, other := s.open(), s.open()
	lock, err := holder.Create(t.Context(), "/lock", nil, client.Ephemeral())
	require.NoError(t, err)
	guard := client.NewGuard("/lock", lock.Stat.Czxid)
	require.Equal(t, lock.Stat.Czxid, guard.Token())
	ctx := client.WithGuard(t.Context(), guard)

	made, err := other.Create(ctx, "/a", []byte("1"), client.Parents())
	require.NoError(t, err)
	require.Equal(t, "/a", made.Path)
	require.Equal(t, made.Stat.Czxid, made.Zxid)
	stat, err := other.Set(ctx, "/a", []byte("2"))
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	_, err = other.Set(ctx, "/a", nil, client.IfVersion(7))
	require.ErrorIs(t, err, client.ErrBadVersion, "an error of the write itself is its own")
	require.NotContains(t, err.Error(), "operation")
	_, err = other.Create(ctx, "/a", nil)
	require.ErrorIs(t, err, client.ErrNodeExists)
	res, err := other.Multi(ctx, client.OpSet("/a", []byte("3")), client.OpCreate("/b", nil))
	require.NoError(t, err)
	require.Len(t, res.Nodes, 2)
	require.Equal(t, "/b", res.Nodes[1].Path)
	_, err = other.Multi(ctx, client.OpSet("/a", nil), client.OpDelete("/none"))
	var culprit *client.MultiError
	require.ErrorAs(t, err, &culprit)
	require.Equal(t, 1, culprit.Index, "guards are not counted")

	super := s.open(client.WithCredentials(client.AdminToken(adminToken)))
	require.NoError(t, super.RaiseSequence(ctx, "/a", 7))

	// Deleted and made again, it is another node.
	require.NoError(t, holder.Delete(t.Context(), "/lock"))
	_, err = holder.Create(t.Context(), "/lock", nil)
	require.NoError(t, err)
	_, err = other.Set(ctx, "/a", []byte("late"))
	require.ErrorIs(t, err, client.ErrFenced)
	_, err = other.Multi(ctx, client.OpSet("/a", []byte("late")), client.OpCreate("/c", nil))
	require.ErrorIs(t, err, client.ErrFenced)
	require.False(t, errors.As(err, &culprit), "no operation of the caller's is to blame")
	require.ErrorIs(t, other.Delete(ctx, "/a"), client.ErrFenced)
	require.NoError(t, holder.Delete(t.Context(), "/lock"))
	require.ErrorIs(t, other.SetACL(ctx, "/a", znode.OpenACL), client.ErrFenced)
	require.ErrorIs(t, super.RaiseSequence(ctx, "/a", 9), client.ErrFenced)
	made, err = other.Create(t.Context(), "/a/s-", nil, client.Sequential())
	require.NoError(t, err)
	require.Equal(t, "/a/s-0000000007", made.Path)
	node, err := other.Get(ctx, "/a")
	require.NoError(t, err, "reads are not guarded")
	require.Equal(t, "3", string(node.Data))
}

func TestAllGuardsMustHold(t *testing.T) {
	t.Parallel()
	c := start(t).open()
	ctx := t.Context()
	for _, path := range []string{"/one", "/two"} {
		n, err := c.Create(t.Context(), path, nil)
		require.NoError(t, err)
		ctx = client.WithGuard(ctx, client.NewGuard(path, n.Stat.Czxid))
	}
	_, err := c.Create(ctx, "/a", nil)
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), "/two"))
	_, err = c.Create(ctx, "/b", nil)
	require.ErrorIs(t, err, client.ErrFenced)
}
