package znode

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheConfigSaysWhoTheMembersAreAndSinceWhen(t *testing.T) {
	tree := plantTree(t, "/a")
	configure := func(zxid uint64, members string) []Effect {
		tree.Begin(zxid, int64(zxid)*10)
		tree.Configure(members)
		data, st, err := tree.Get(nobody, "/zookeeper/config")
		require.NoError(t, err)
		require.Equal(t, ConfigData(members, st.Mzxid), string(data))
		return tree.Commit()
	}
	const two, three = "server.1=a:1:1:participant\n", "server.1=a:1:1:participant\nserver.2=b:2:2:observer;c:3\n"
	require.Empty(t, configure(10, ""), "it is so from the start")

	want := Effect{Zxid: 0x1f, Type: DataChanged, Path: "/zookeeper/config", ACL: ReadACL, ParentACL: OpenACL}
	require.Equal(t, []Effect{want}, configure(0x1f, two))
	data, st, err := tree.Get(nobody, "/zookeeper/config")
	require.NoError(t, err)
	require.Equal(t, two+"version=1f", string(data))
	require.Equal(t, Stat{Mzxid: 0x1f, MtimeMs: 310, Version: 1, DataLength: len(data)}, st)
	before := tree.Digest()
	require.Empty(t, configure(0x20, two), "which it says already")
	require.Equal(t, before, tree.Digest())
	require.NotEmpty(t, configure(0x21, three))

	for _, text := range []string{"", "x", three, two + "version=21", three + "version=22", three + "version=20"} {
		_, err := do(tree, 0x22, func() error { _, err := tree.Set(user, "/zookeeper/config", []byte(text), AnyVersion); return err })
		require.ErrorIs(t, err, ErrNoAuth)
		_, err = do(tree, 0x23, func() error { _, err := tree.Set(super, "/zookeeper/config", []byte(text), AnyVersion); return err })
		require.NoError(t, err)
		require.NotEmpty(t, configure(0x24, three), "a superuser's %q does not stay", text)
	}
	require.NotEmpty(t, configure(0x25, ""))
	data, _, err = tree.Get(nobody, "/zookeeper/config")
	require.NoError(t, err)
	require.Equal(t, []byte{}, data)
	tree.Begin(0x26, 0)
	tree.Configure(two)
	tree.Rollback()
	require.Empty(t, configure(0x27, ""))
	requireSound(t, tree)
}
