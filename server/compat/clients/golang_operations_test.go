package clients

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

func goOperations(t *testing.T, connect string) {
	create(t, goConnect(t, connect), "/compat-go", "", 0)
	for name, check := range map[string]func(t *testing.T, c *goConn, root string){
		"create, exists and get":                     goCreate,
		"sequences, containers and TTL nodes":        goKinds,
		"set and delete":                             goSetDelete,
		"empty is not null":                          goEmpty,
		"ACLs":                                       goACLs,
		"multi":                                      goMulti,
		"large data, many children and unicode":      goLarge,
		"watches fire once":                          goWatches,
		"sessions and watches outlive an outage":     goOutage,
		"ephemerals go with their session":           goEphemerals,
		"requests in flight are each done once":      goOrder,
		"four-letter words":                          goWords,
		"a protected ephemeral node, made only once": goProtected,
	} {
		t.Run(name, func(t *testing.T) {
			c := goConnect(t, connect)
			root := "/compat-go/" + fmt.Sprint(c.SessionID())
			create(t, c, root, "", 0)
			check(t, c, root)
		})
	}
}

func goCreate(t *testing.T, c *goConn, root string) {
	require.Equal(t, root+"/a", create(t, c, root+"/a", "one", 0))
	data, stat, err := c.Get(root + "/a")
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	require.Equal(t, stat.Czxid, stat.Mzxid)
	require.EqualValues(t, []int32{0, 0, 0, 3, 0}, []int32{stat.Version, stat.Cversion, stat.Aversion, stat.DataLength, stat.NumChildren})
	there, same, err := c.Exists(root + "/a")
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, stat, same)
	there, _, err = c.Exists(root + "/none")
	require.NoError(t, err)
	require.False(t, there)
	for path, want := range map[string]error{"/a": zk.ErrNodeExists, "/x/y": zk.ErrNoNode} {
		_, err = c.Create(root+path, nil, 0, open)
		require.ErrorIs(t, err, want)
	}
	create(t, c, root+"/e", "", zk.FlagEphemeral)
	_, err = c.Create(root+"/e/x", nil, 0, open)
	require.ErrorIs(t, err, zk.ErrNoChildrenForEphemerals)
	_, err = c.Create(root+"/acl", nil, 0, nil)
	require.ErrorIs(t, err, zk.ErrInvalidACL)
}

func goKinds(t *testing.T, c *goConn, root string) {
	require.Equal(t, root+"/s-0000000000", create(t, c, root+"/s-", "", zk.FlagSequence))
	require.Equal(t, root+"/s-0000000001", create(t, c, root+"/s-", "", zk.FlagSequence|zk.FlagEphemeral))
	_, err := c.CreateContainer(root+"/c", nil, zk.FlagContainer, open)
	require.NoError(t, err)
	create(t, c, root+"/c/x", "", 0)
	require.NoError(t, c.Delete(root+"/c/x", -1))
	_, err = c.CreateTTL(root+"/t", nil, zk.FlagTTL, open, 300*time.Millisecond)
	require.NoError(t, err)
	path, err := c.CreateTTL(root+"/ts-", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour)
	require.NoError(t, err)
	require.Equal(t, root+"/ts-0000000004", path)
	for _, name := range []string{"/c", "/t"} {
		eventually(t, name+" goes", func() bool {
			there, _, err := c.Exists(root + name)
			return err == nil && !there
		})
	}
	there, _, err := c.Exists(path)
	require.NoError(t, err)
	require.True(t, there)
}

func goSetDelete(t *testing.T, c *goConn, root string) {
	create(t, c, root+"/d", "", 0)
	stat, err := c.Set(root+"/d", []byte("12"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	_, err = c.Set(root+"/d", nil, 0)
	require.ErrorIs(t, err, zk.ErrBadVersion)
	_, err = c.Set(root+"/none", nil, -1)
	require.ErrorIs(t, err, zk.ErrNoNode)
	create(t, c, root+"/d/x", "", 0)
	require.ErrorIs(t, c.Delete(root+"/d", -1), zk.ErrNotEmpty)
	require.ErrorIs(t, c.Delete(root+"/d/x", 3), zk.ErrBadVersion)
	require.NoError(t, c.Delete(root+"/d/x", 0))
	names, stat, err := c.Children(root + "/d")
	require.NoError(t, err)
	require.Empty(t, names)
	require.EqualValues(t, 2, stat.Cversion)
	require.NoError(t, c.Delete(root+"/d", 1))
	require.ErrorIs(t, c.Delete(root+"/d", -1), zk.ErrNoNode)
	require.ErrorIs(t, c.Delete("/zookeeper", -1), zk.ErrBadArguments)
}

func goEmpty(t *testing.T, c *goConn, root string) {
	for name, data := range map[string][]byte{"/null": nil, "/empty": {}} {
		_, err := c.Create(root+name, data, 0, open)
		require.NoError(t, err)
		got, stat, err := c.Get(root + name)
		require.NoError(t, err)
		require.Equal(t, data == nil, got == nil)
		require.Empty(t, got)
		require.Zero(t, stat.DataLength)
	}
}

func goACLs(t *testing.T, c *goConn, root string) {
	stranger := goConnect(t, strings.Join(c.servers, ","))
	_, err := c.Create(root+"/auth", nil, 0, zk.AuthACL(zk.PermAll))
	require.ErrorIs(t, err, zk.ErrInvalidACL)
	require.NoError(t, c.AddAuth("digest", []byte("me:secret")))
	_, err = c.Create(root+"/auth", []byte("x"), 0, zk.AuthACL(zk.PermAll))
	require.NoError(t, err)
	sum := sha1.Sum([]byte("me:secret"))
	acl, _, err := c.GetACL(root + "/auth")
	require.NoError(t, err)
	require.Equal(t, []zk.ACL{{Perms: zk.PermAll, Scheme: "digest", ID: "me:" + base64.StdEncoding.EncodeToString(sum[:])}}, acl)
	require.Equal(t, zk.DigestACL(zk.PermAll, "me", "secret"), acl)
	fresh(t, stranger)
	_, _, err = stranger.Get(root + "/auth")
	require.ErrorIs(t, err, zk.ErrNoAuth)
	stat, err := c.SetACL(root+"/auth", zk.WorldACL(zk.PermRead), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Aversion)
	fresh(t, stranger)
	_, _, err = stranger.Get(root + "/auth")
	require.NoError(t, err)
	require.NoError(t, stranger.AddAuth("digest", []byte("super:test")))
	require.NoError(t, stranger.Delete(root+"/auth", -1))
}

func goMulti(t *testing.T, c *goConn, root string) {
	got, err := c.Multi(
		&zk.CreateRequest{Path: root + "/m", Data: []byte("1"), Acl: open},
		&zk.CreateRequest{Path: root + "/m/s-", Acl: open, Flags: zk.FlagSequence},
		&zk.CheckVersionRequest{Path: root + "/m", Version: 0},
		&zk.SetDataRequest{Path: root + "/m", Data: []byte("2"), Version: 0},
		&zk.DeleteRequest{Path: root + "/m/s-0000000000", Version: -1})
	require.NoError(t, err)
	require.Equal(t, root+"/m/s-0000000000", got[1].String)
	require.EqualValues(t, 1, got[3].Stat.Version)
	got, err = c.Multi(
		&zk.CreateRequest{Path: root + "/m/x", Acl: open},
		&zk.CheckVersionRequest{Path: root + "/m", Version: 9},
		&zk.DeleteRequest{Path: root + "/m/x", Version: -1})
	require.ErrorIs(t, err, zk.ErrBadVersion)
	require.ErrorIs(t, got[1].Error, zk.ErrBadVersion)
	names, _, err := c.Children(root + "/m")
	require.NoError(t, err)
	require.Empty(t, names)
}

func goLarge(t *testing.T, c *goConn, root string) {
	blob := bytes.Repeat([]byte("0123456789"), 100_000)
	_, err := c.Create(root+"/large", blob, 0, open)
	require.NoError(t, err)
	got, _, err := c.Get(root + "/large")
	require.NoError(t, err)
	require.Equal(t, blob, got)

	var want []string
	for batch := range 10 {
		var ops []any
		for i := range 1000 {
			name := fmt.Sprintf("日本語-%05d", batch*1000+i)
			want = append(want, name)
			ops = append(ops, &zk.CreateRequest{Path: root + "/large/" + name, Acl: open})
		}
		_, err := c.Multi(ops...)
		require.NoError(t, err)
	}
	names, stat, err := c.Children(root + "/large")
	require.NoError(t, err)
	require.EqualValues(t, 10_000, stat.NumChildren)
	slices.Sort(names)
	require.Equal(t, want, names)
}

func goWatches(t *testing.T, c *goConn, root string) {
	other := goConnect(t, strings.Join(c.servers, ","))
	create(t, c, root+"/w", "", 0)
	_, _, absent, err := c.ExistsW(root + "/w/new")
	require.NoError(t, err)
	_, _, data, err := c.GetW(root + "/w")
	require.NoError(t, err)
	_, _, child, err := c.ChildrenW(root + "/w")
	require.NoError(t, err)
	fresh(t, other)
	_, err = other.Set(root+"/w", []byte("1"), -1)
	require.NoError(t, err)
	create(t, other, root+"/w/new", "", 0)
	require.Equal(t, "EventNodeDataChanged "+root+"/w", event(t, data))
	require.Equal(t, "EventNodeCreated "+root+"/w/new", event(t, absent))
	require.Equal(t, "EventNodeChildrenChanged "+root+"/w", event(t, child))
	_, _, gone, err := c.GetW(root + "/w/new")
	require.NoError(t, err)
	require.NoError(t, other.Delete(root+"/w/new", -1))
	require.Equal(t, "EventNodeDeleted "+root+"/w/new", event(t, gone))
}

func goOutage(t *testing.T, c *goConn, root string) {
	other := goConnect(t, strings.Join(c.servers, ","))
	session := c.SessionID()
	for _, name := range []string{"/set", "/gone", "/kept", "/parent"} {
		create(t, c, root+name, "", 0)
	}
	create(t, c, root+"/eph", "", zk.FlagEphemeral)
	_, _, set, err := c.GetW(root + "/set")
	require.NoError(t, err)
	_, _, gone, err := c.GetW(root + "/gone")
	require.NoError(t, err)
	_, _, kept, err := c.GetW(root + "/kept")
	require.NoError(t, err)
	_, _, child, err := c.ChildrenW(root + "/parent")
	require.NoError(t, err)
	_, _, made, err := c.ExistsW(root + "/made")
	require.NoError(t, err)
	fresh(t, other)

	c.tcp.set(true)
	eventually(t, "disconnected", func() bool { return c.State() != zk.StateHasSession })
	_, err = other.Set(root+"/set", []byte("1"), -1)
	require.NoError(t, err)
	require.NoError(t, other.Delete(root+"/gone", -1))
	create(t, other, root+"/parent/x", "", 0)
	create(t, other, root+"/made", "", 0)
	c.tcp.set(false)

	require.Equal(t, "EventNodeDataChanged "+root+"/set", event(t, set))
	require.Equal(t, "EventNodeDeleted "+root+"/gone", event(t, gone))
	require.Equal(t, "EventNodeChildrenChanged "+root+"/parent", event(t, child))
	require.Equal(t, "EventNodeCreated "+root+"/made", event(t, made))
	none(t, kept)
	require.Equal(t, session, c.SessionID())
	_, stat, err := c.Exists(root + "/eph")
	require.NoError(t, err)
	require.Equal(t, session, stat.EphemeralOwner)
	_, err = other.Set(root+"/kept", []byte("1"), -1)
	require.NoError(t, err)
	require.Equal(t, "EventNodeDataChanged "+root+"/kept", event(t, kept))
}

func goEphemerals(t *testing.T, c *goConn, root string) {
	other := goConnect(t, strings.Join(c.servers, ","))
	for i := range 50 {
		create(t, other, fmt.Sprintf("%s/%d", root, i), "", zk.FlagEphemeral)
	}
	fresh(t, c)
	_, stat, gone, err := c.ExistsW(root + "/7")
	require.NoError(t, err)
	require.Equal(t, other.SessionID(), stat.EphemeralOwner)
	other.Close()
	require.Equal(t, "EventNodeDeleted "+root+"/7", event(t, gone))
	names, _, err := c.Children(root)
	require.NoError(t, err)
	require.Empty(t, names)
}

func goOrder(t *testing.T, c *goConn, root string) {
	create(t, c, root+"/n", "0", 0)
	done := make(chan error, 200)
	for range cap(done) {
		go func() {
			_, err := c.Multi(&zk.CreateRequest{Path: root + "/n/s-", Acl: open, Flags: zk.FlagSequence})
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	names, _, err := c.Children(root + "/n")
	require.NoError(t, err)
	slices.Sort(names)
	require.Len(t, names, cap(done))
	require.Equal(t, fmt.Sprintf("s-%010d", cap(done)-1), names[len(names)-1])
}

func goWords(t *testing.T, c *goConn, _ string) {
	for i, alive := range zk.FLWRuok(c.servers, within) {
		require.True(t, alive, c.servers[i])
	}
	if againstZooKeeper() {
		return // whose version line this client has not learned to read
	}
	stats, ok := zk.FLWSrvr(c.servers, within)
	require.True(t, ok, "%+v", stats)
}

func goProtected(t *testing.T, c *goConn, root string) {
	path, err := c.CreateProtectedEphemeralSequential(root+"/lock-", nil, open)
	require.NoError(t, err)
	require.Regexp(t, `^`+root+`/_c_[0-9a-f]{32}-lock-0000000000$`, path)
}
