package target

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/znode"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, c *client.Client, cfg Config, nodes ...Node) error {
	t.Helper()
	cfg.Op = "import"
	w := NewWriter(within(t), c, cfg)
	for _, n := range nodes {
		if err := w.Put(n); err != nil {
			require.Equal(t, err, w.Flush())
			return err
		}
	}
	return w.Flush()
}

var annsACL = znode.ACL{{Perms: znode.AllPerms, Scheme: znode.SchemeDigest, ID: znode.DigestID("ann", "x")}, {Perms: znode.Read, Scheme: znode.SchemeIP, ID: "10.0.0.0/8"}}

func TestNodesComeWithAllThatTheyAre(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	large := bytes.Repeat([]byte{7}, 1<<20)
	require.NoError(t, put(t, c, Config{},
		Node{Path: "/a", Data: []byte{}, ACL: annsACL},
		Node{Path: "/a/null"},
		Node{Path: "/a/large", Data: large},
		Node{Path: "/a/container", Data: []byte("c"), Kind: znode.Container},
		Node{Path: "/a/ttl", Kind: znode.TTL, TTLMs: 3_600_000, ACL: annsACL},
		Node{Path: "/a/ttl/ü", Data: []byte("below")},
	))
	get := func(path string) *client.Node {
		n, err := c.Get(within(t), path)
		require.NoError(t, err)
		return n
	}
	require.NotNil(t, get("/a").Data)
	require.Empty(t, get("/a").Data)
	require.Nil(t, get("/a/null").Data)
	require.Equal(t, large, get("/a/large").Data)
	require.Equal(t, znode.Container, get("/a/container").Stat.Kind)
	require.Equal(t, znode.TTL, get("/a/ttl").Stat.Kind)
	require.EqualValues(t, 3_600_000, get("/a/ttl").Stat.TTLMs)
	require.Equal(t, "below", string(get("/a/ttl/ü").Data))
	for path, want := range map[string]znode.ACL{"/a": annsACL, "/a/null": znode.OpenACL, "/a/ttl": annsACL} {
		acl, err := c.GetACL(within(t), path)
		require.NoError(t, err)
		require.Equal(t, want, acl, path)
	}
}

func TestSequencesGoOnWhereTheyWere(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	nodes := []Node{{Path: "/q", Sequence: 41}, {Path: "/q/a"}, {Path: "/q/b", Sequence: 1}, {Path: "/", Sequence: 7}}
	for i := range 3 * raising {
		nodes = append(nodes, Node{Path: fmt.Sprintf("/q/n%d", i), Sequence: int64(1000 + i)})
	}
	nodes[0].Sequence = int64(len(nodes)) // more children than the count has seen are no harm
	require.NoError(t, put(t, c, Config{}, nodes...))
	next := func(parent string) string {
		n, err := c.Create(within(t), parent+"/s-", nil, client.Sequential())
		require.NoError(t, err)
		return n.Path
	}
	require.Equal(t, fmt.Sprintf("/q/s-%010d", len(nodes)), next("/q"))
	require.Equal(t, "/q/b/s-0000000001", next("/q/b"))
	require.Equal(t, "/s-0000000007", next(""))
	for i := range 3 * raising {
		require.Equal(t, fmt.Sprintf("/q/n%d/s-%010d", i, 1000+i), next(fmt.Sprintf("/q/n%d", i)))
	}

	err := put(t, cluster.Client(t), Config{}, Node{Path: "/r", Sequence: 2})
	require.ErrorIs(t, err, client.ErrNoAuth)
	require.ErrorContains(t, err, "/r")
}

func TestNodesThatAServerRemovesMayGoMeanwhile(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	read := znode.ACL{{Perms: znode.Read, Scheme: znode.SchemeWorld, ID: "anyone"}}
	there := map[string]bool{"/gone": true, "/over": true}
	require.NoError(t, put(t, cluster.Client(t), Config{Existing: Replace, There: there},
		Node{Path: "/gone", Data: []byte("back"), ACL: read, Kind: znode.Container},
		Node{Path: "/over", Kind: znode.TTL, TTLMs: 3_600_000}))
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	n, err := c.Get(within(t), "/gone")
	require.NoError(t, err)
	require.Equal(t, "back", string(n.Data))
	require.Equal(t, znode.Container, n.Stat.Kind)
	over, err := c.Exists(within(t), "/over")
	require.NoError(t, err)
	require.Equal(t, int64(3_600_000), over.TTLMs)

	deleted := Config{Progress: func(int) {
		if err := c.Delete(within(t), "/brief"); err != nil {
			t.Error(err)
		}
	}}
	require.NoError(t, put(t, c, deleted, Node{Path: "/brief", Sequence: 3}))
}

func TestLargeNodesAreReplaced(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t).Client(t)
	nodes, there := []Node{}, map[string]bool{}
	for _, kind := range []znode.Kind{znode.Persistent, znode.Container} {
		nodes = append(nodes, Node{Path: fmt.Sprintf("/large%d", kind), Data: make([]byte, 1<<20), Kind: kind})
		for i := range 2 * maxBytes / 3000 { // transactions as large as they come
			nodes = append(nodes, Node{Path: fmt.Sprintf("/n%d-%d", kind, i), Data: make([]byte, 3000), Kind: kind})
		}
	}
	require.NoError(t, put(t, c, Config{}, nodes...))
	for i := range nodes {
		nodes[i].Data[0], there[nodes[i].Path] = 1, true
	}
	require.NoError(t, put(t, c, Config{Existing: Replace, There: there}, nodes...))
	for _, n := range nodes {
		found, err := c.Get(within(t), n.Path)
		require.NoError(t, err)
		require.Equal(t, n.Data, found.Data)
	}
}

func TestParentsComeBeforeTheirChildrenWhateverIsInFlight(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t, clienttest.WithServers(3)).Client(t, client.WithSessionTimeout(time.Minute)) // it is much work
	var told atomic.Int64
	w := NewWriter(within(t), c, Config{Op: "import", Progress: func(n int) { told.Add(int64(n)) }})
	const wide, deep = 3 * MaxOps, 60
	for d := range 3 {
		for i := range wide {
			require.NoError(t, w.Put(Node{Path: fmt.Sprintf("/w%d", i) + strings.Repeat("/x", d)}))
		}
	}
	path := ""
	for d := range deep { // each big enough for a transaction of its own
		path += fmt.Sprintf("/d%d", d)
		require.NoError(t, w.Put(Node{Path: path, Data: bytes.Repeat([]byte{byte(d)}, maxBytes/2+1)}))
	}
	require.NoError(t, w.Flush())
	require.Equal(t, 3*wide+deep, w.Written())
	require.EqualValues(t, w.Written(), told.Load())
	n, err := c.Count(within(t), "/")
	require.NoError(t, err)
	system, err := c.Count(within(t), "/zookeeper")
	require.NoError(t, err)
	require.EqualValues(t, 3*wide+deep, n-system-1)
}

// Their results, which have the paths, are more than a session keeps of one
// transaction.
func TestAFullTransactionOfLongPathsIsWritten(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t).Client(t)
	w := NewWriter(within(t), c, Config{Op: "import"})
	for i := range MaxOps {
		require.NoError(t, w.Put(Node{Path: fmt.Sprintf("/%0900d", i)}))
	}
	require.NoError(t, w.Flush())
	require.Equal(t, MaxOps, w.Written())
}

func TestANodeThatIsThere(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	state := func(path string) string {
		n, err := c.Get(within(t), path)
		require.NoError(t, err)
		acl, err := c.GetACL(within(t), path)
		require.NoError(t, err)
		return string(n.Data) + " " + znode.FormatACL(acl)
	}
	into := func(existing Existing) error {
		there, err := Prepare(within(t), c, "import", "/", existing)
		require.NoError(t, err)
		return put(t, c, Config{Existing: existing, There: there},
			Node{Path: "/", Data: []byte("root"), ACL: znode.ReadACL}, Node{Path: "/n", Data: []byte("new"), ACL: annsACL})
	}
	require.NoError(t, into(Refuse), "a root that nobody has changed counts as absent")
	require.Equal(t, "root world:anyone:r", state("/"))
	require.Equal(t, "new "+znode.FormatACL(annsACL), state("/n"))

	_, err := c.Set(within(t), "/n", []byte("old"))
	require.NoError(t, err)
	require.NoError(t, c.SetACL(within(t), "/n", znode.OpenACL))
	_, err = c.Set(within(t), "/", []byte("mine"))
	require.NoError(t, err)

	err = into(Refuse)
	require.ErrorIs(t, err, client.ErrNodeExists)
	require.ErrorContains(t, err, ExistsHint)
	require.NoError(t, into(Keep))
	require.Equal(t, "old world:anyone:cdrwa", state("/n"))
	require.Equal(t, "mine world:anyone:r", state("/"))

	require.NoError(t, into(Replace))
	require.Equal(t, "new "+znode.FormatACL(annsACL), state("/n"))
	require.Equal(t, "root world:anyone:r", state("/"))

	require.NoError(t, c.SetACL(within(t), "/n", znode.ReadACL))
	there, err := Prepare(within(t), c, "import", "/n", Replace)
	require.NoError(t, err)
	require.NoError(t, put(t, c, Config{Existing: Replace, There: there}, Node{Path: "/n"}))
	require.Equal(t, " world:anyone:r", state("/n"), "without an ACL its own stays")
}

func TestPrepareRefusesOrMakesWay(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t).Client(t)
	there, err := Prepare(within(t), c, "import", "/made/for/it", Refuse)
	require.NoError(t, err)
	require.Empty(t, there)
	st, err := c.Exists(within(t), "/made/for")
	require.NoError(t, err)
	require.NotNil(t, st)
	_, err = Prepare(within(t), c, "import", "/made/for", Refuse)
	require.ErrorIs(t, err, client.ErrNodeExists)
	require.ErrorContains(t, err, "/made/for")
	there, err = Prepare(within(t), c, "import", "/made", Replace)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"/made": true, "/made/for": true}, there)
}

func TestAfterAnErrorNothingMoreIsSent(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t).Client(t)
	_, err := c.Create(within(t), "/b0003", nil)
	require.NoError(t, err)
	w := NewWriter(within(t), c, Config{Op: "import"})
	var failed error
	for i := range 100 * MaxOps {
		if failed = w.Put(Node{Path: fmt.Sprintf("/b%04d", i)}); failed != nil {
			break
		}
	}
	require.ErrorIs(t, failed, client.ErrNodeExists)
	err = w.Flush()
	require.Equal(t, failed, err)
	require.ErrorContains(t, err, "import /b0003")
	n, err := c.Count(within(t), "/")
	require.NoError(t, err)
	require.Less(t, n, int64(2*(inFlight+1)*MaxOps))
	require.Zero(t, w.Written()%MaxOps)
}

func TestWhatWasGatheredBeforeAnErrorIsNotSent(t *testing.T) {
	t.Parallel()
	c := clienttest.Start(t).Client(t)
	err := put(t, c, Config{There: map[string]bool{"/b": true}}, Node{Path: "/a"}, Node{Path: "/b"})
	require.ErrorIs(t, err, client.ErrNodeExists)
	st, err := c.Exists(within(t), "/a")
	require.NoError(t, err)
	require.Nil(t, st)
}

func TestAWriterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	cluster.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := NewWriter(ctx, c, Config{Op: "import"})
	require.NoError(t, w.Put(Node{Path: "/a"}))
	time.AfterFunc(100*time.Millisecond, cancel)
	require.ErrorIs(t, w.Flush(), context.Canceled)
	require.Zero(t, w.Written())
}
