package watch

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func TestEachModeFiresOnWhatItWaitsFor(t *testing.T) {
	effects := []znode.Effect{created(1, "/p/n"), deleted(2, "/p/n"), changed(3, "/p/n"),
		created(4, "/p/n/c"), deleted(5, "/p/n/c"), changed(6, "/p/n/c"), created(7, "/p/n/c/d"), changed(8, "/p"), created(9, "/p/nn"),
		{Zxid: 10, Type: znode.ACLChanged, Path: "/p/n", ACL: public, ParentACL: public}}
	for _, tt := range []struct {
		mode protocol.WatchMode
		want []string
		left int
	}{
		{protocol.WatchData, []string{"2 deleted /p/n", "3 changed /p/n"}, 0},
		{protocol.WatchExists, []string{"1 created /p/n", "2 deleted /p/n", "3 changed /p/n"}, 0},
		{protocol.WatchChildren, []string{"2 deleted /p/n", "4 children /p/n", "5 children /p/n"}, 0},
		{protocol.WatchPersistent, []string{"1 created /p/n", "2 deleted /p/n", "3 changed /p/n", "4 children /p/n", "5 children /p/n"}, 1},
		{protocol.WatchRecursive, []string{"1 created /p/n", "2 deleted /p/n", "3 changed /p/n",
			"4 created /p/n/c", "5 deleted /p/n/c", "6 changed /p/n/c", "7 created /p/n/c/d"}, 1},
	} {
		t.Run(fmt.Sprint("mode ", tt.mode), func(t *testing.T) {
			var got []string
			for i := range effects {
				table, l := NewTable(), &listener{}
				require.True(t, table.Add(l, "/p/n", tt.mode))
				table.Fire(&effects[i])
				lines := l.take()
				if lines != nil {
					require.Equal(t, tt.left, table.Len())
				} else {
					require.Equal(t, 1, table.Len())
				}
				table.Fire(&effects[i])
				if tt.left == 0 {
					require.Empty(t, l.take(), "a one-shot fired twice")
				} else {
					require.Equal(t, lines, l.take())
				}
				requireSound(t, table)
				got = append(got, lines...)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestAWatcherGetsOneEventOfATypeForAPath(t *testing.T) {
	table, l := NewTable(), &listener{}
	for _, path := range []string{"/a", "/a/b", "/"} {
		for mode := protocol.WatchData; mode <= protocol.WatchRecursive; mode++ {
			require.True(t, table.Add(l, path, mode))
			require.False(t, table.Add(l, path, mode))
		}
	}
	require.Equal(t, 15, table.CountOf(l))
	e := deleted(7, "/a/b")
	table.Fire(&e)
	require.Equal(t, []string{"7 deleted /a/b", "7 children /a"}, l.take())
	require.Equal(t, 15-3-1, table.CountOf(l), "data, exists and children of /a/b and children of /a are used up")
	requireSound(t, table)
}

func TestWatchersOfAPathAreToldInOrderOfRegistration(t *testing.T) {
	table := NewTable()
	var order []int
	note := func(i int) *orderly { return &orderly{i, &order} }
	table.Add(note(5), "/a", protocol.WatchRecursive)
	table.Add(note(6), "/", protocol.WatchRecursive)
	for i := range 5 {
		table.Add(note(i), "/a/b", []protocol.WatchMode{protocol.WatchData, protocol.WatchPersistent}[i%2])
	}
	e := changed(1, "/a/b")
	table.Fire(&e)
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6}, order)
}

type orderly struct {
	number int
	order  *[]int
}

func (o *orderly) Allowed(znode.ACL) bool     { return true }
func (o *orderly) Notify(m *protocol.Message) { *o.order = append(*o.order, o.number) }

func TestWhatMayNotBeReadIsNotToldAndUsesTheOneShotUp(t *testing.T) {
	table, stranger := NewTable(), &listener{}
	friend := &listener{ids: []znode.Identity{{Scheme: znode.SchemeDigest, ID: "pack:secret"}}}
	for _, l := range []*listener{stranger, friend} {
		table.Add(l, "/a/b", protocol.WatchData)
		table.Add(l, "/", protocol.WatchRecursive)
		table.Add(l, "/a", protocol.WatchChildren)
	}
	e := znode.Effect{Zxid: 3, Type: znode.NodeDeleted, Path: "/a/b", ACL: private, ParentACL: public}
	table.Fire(&e)
	require.Equal(t, []string{"3 children /a"}, stranger.take(), "by the parent's ACL")
	require.Equal(t, []string{"3 deleted /a/b", "3 children /a"}, friend.take())
	require.Equal(t, 1, table.CountOf(stranger))
	e = znode.Effect{Zxid: 4, Type: znode.NodeCreated, Path: "/a/b", ACL: public, ParentACL: private}
	table.Add(stranger, "/a", protocol.WatchChildren)
	table.Fire(&e)
	require.Equal(t, []string{"4 created /a/b"}, stranger.take())
	require.Equal(t, 1, table.CountOf(stranger))
}

func TestRemoveTakesOneModeAndLeavesTheOthers(t *testing.T) {
	table, l, other := NewTable(), &listener{}, &listener{}
	for mode := protocol.WatchData; mode <= protocol.WatchRecursive; mode++ {
		table.Add(l, "/a", mode)
	}
	table.Add(other, "/a", protocol.WatchData)
	require.False(t, table.Remove(other, "/a", protocol.WatchChildren))
	require.False(t, table.Remove(other, "/b", protocol.WatchData))
	require.False(t, table.Remove(&listener{}, "/a", protocol.WatchData))
	for mode := protocol.WatchData; mode <= protocol.WatchRecursive; mode++ {
		require.True(t, table.Has(l, "/a", mode))
		require.True(t, table.Remove(l, "/a", mode))
		require.False(t, table.Has(l, "/a", mode))
		require.False(t, table.Remove(l, "/a", mode))
		require.Equal(t, int(protocol.WatchRecursive-mode), table.CountOf(l))
		requireSound(t, table)
	}
	table.RemoveAll(l)
	table.RemoveAll(l)
	require.Equal(t, 1, table.Len())
	table.RemoveAll(other)
	require.Zero(t, table.Len())
	require.Empty(t, table.exact)
	require.Empty(t, table.owners)
}

func TestThePathOfAWatchIsItsOwnCopy(t *testing.T) {
	table, l := NewTable(), &listener{}
	frame := []byte("/a/b")
	resumed := []protocol.Watch{{Path: unsafeString(frame), Mode: protocol.WatchPersistent}}
	table.Add(l, unsafeString(frame), protocol.WatchData)
	ring := NewRing(8, 1<<20)
	ring.Reset(5)
	Resume(table, ring, nodes{}, l, resumed, 6)
	copy(frame, "/x/y")
	require.True(t, table.Has(l, "/a/b", protocol.WatchData))
	require.True(t, table.Has(l, "/a/b", protocol.WatchPersistent))
	require.Equal(t, []string{"0 gap /a/b", "6 done"}, l.replayed(t))
}

func TestManyGoroutinesAddAndRemoveAtOnce(t *testing.T) {
	table := NewTable()
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			l := &listener{}
			for i := range 500 {
				path := fmt.Sprintf("/n%d", (i*7+g)%50)
				mode := protocol.WatchMode(1 + i%5)
				added := table.Add(l, path, mode)
				if !table.Has(l, path, mode) {
					t.Errorf("%s is not there after Add (new: %v)", path, added)
				}
				if i%3 == 0 && !table.Remove(l, path, mode) {
					t.Errorf("%s could not be removed", path)
				}
				_ = table.Len() + table.CountOf(l)
			}
			if g%2 == 0 {
				table.RemoveAll(l)
			}
		})
	}
	group.Wait()
	requireSound(t, table)
	require.Len(t, table.owners, 4)
}

func TestAnEventIsEncodedOnceForAllWhoAreTold(t *testing.T) {
	for name, modes := range map[string][]protocol.WatchMode{
		"one, alone":             {protocol.WatchPersistent},
		"one, of a tree":         {protocol.WatchRecursive},
		"two of the node":        {protocol.WatchPersistent, protocol.WatchData},
		"of the node and a tree": {protocol.WatchData, protocol.WatchRecursive},
	} {
		t.Run(name, func(t *testing.T) {
			table, all := NewTable(), make([]listener, len(modes))
			for i, mode := range modes {
				table.Add(&all[i], "/a", mode)
			}
			e := changed(7, "/a")
			table.Fire(&e)
			m := *all[0].told[0]
			want := protocol.AppendMessage(nil, &m)
			for i := range all {
				require.Len(t, all[i].told, 1)
				require.Same(t, all[0].told[0], all[i].told[0])
				require.Equal(t, want, protocol.AppendMessage(nil, all[i].told[0]))
			}
			m.Path = "/else"
			encoded := !bytes.Equal(want, protocol.AppendMessage(nil, &m))
			require.Equal(t, len(all) == 1, encoded, "who is told alone is told at no cost of sharing, others what is kept")
		})
	}
}
