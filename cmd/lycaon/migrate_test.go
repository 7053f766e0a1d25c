package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/zkclient"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/lycaon-io/lycaon/znode"
)

// A live tree moves from a real ZooKeeper. LYCAON_MIGRATE_NODES is how many
// nodes it has, LYCAON_MIGRATE_WRITES how long it is written meanwhile.
const (
	migrateNodes  = 3000
	migrateWrites = 2 * time.Second
)

var everybody = []jute.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

var variousACLs = [][]jute.ACL{
	everybody,
	{{Perms: 31, Scheme: "digest", ID: "ann:GiRr2Cq3nWNHVbMKVCrXkMqDLAk="}},
	{{Perms: 1, Scheme: "world", ID: "anyone"}, {Perms: 31, Scheme: "digest", ID: "bob:R1L1jQkE7LHwAPp4aAyjJGQlFWU="}},
	{{Perms: 31, Scheme: "ip", ID: "10.0.0.0/8"}, {Perms: 3, Scheme: "ip", ID: "127.0.0.1"}},
}

// zooKeeper is a real one, and a client that is its superuser.
func zooKeeper(t *testing.T) (addrs string, zk *zkclient.Client) {
	e := rig.ZooKeeper(t, 1, rig.Options{SuperDigest: znode.DigestID("super", "secret"), TickMs: 2000})
	zk, err := zkclient.Open(t.Context(), zkclient.Config{Servers: e.Addrs, Auth: []jute.Auth{{Scheme: "digest", Data: []byte("super:secret")}}})
	require.NoError(t, err)
	t.Cleanup(zk.Close)
	return e.Connect(), zk
}

// do makes one change and wants it to succeed unless others were faster.
func do(t testing.TB, zk *zkclient.Client, c jute.Call, mayFail ...int32) {
	answers, err := zk.Ask(context.Background(), c)
	if err != nil {
		t.Errorf("%v %s: %v", c.Op, c.Path, err)
		return
	}
	if code := answers[0].Err; code != 0 && !slices.Contains(mayFail, code) {
		t.Errorf("%v %s: error %d", c.Op, c.Path, code)
	}
}

func makeNode(path string, data []byte, acl []jute.ACL, flags int32) jute.Call {
	return jute.Call{Op: jute.OpCreate, Path: path, Data: data, ACL: acl, Flags: flags}
}

// fill makes a tree of n nodes below /app: groups, their nodes, and below some of
// them sequential ones.
func fill(t *testing.T, zk *zkclient.Client, n int) {
	const perGroup = 100
	multi := func(calls []jute.Call) {
		answers, err := zk.Ask(t.Context(), jute.Call{Op: jute.OpMulti, Calls: calls})
		require.NoError(t, err)
		require.Zero(t, answers[0].Err)
		for _, r := range answers[0].Results {
			require.Zero(t, r.Err)
		}
	}
	do(t, zk, makeNode("/app", []byte("top"), everybody, 0))
	for made := 1; made < n; {
		group := fmt.Sprintf("/app/g%05d", made/perGroup)
		calls := []jute.Call{makeNode(group, nil, everybody, 0)}
		for i := 0; len(calls) < perGroup && made+len(calls) < n; i++ {
			path := fmt.Sprintf("%s/n%03d", group, i)
			switch i % 10 {
			case 7:
				calls = append(calls, makeNode(path, []byte{}, everybody, 0), makeNode(path+"/s-", []byte("seq"), everybody, 2))
			case 8:
				calls = append(calls, makeNode(path, nil, variousACLs[i%len(variousACLs)], 0))
			default:
				calls = append(calls, makeNode(path, []byte(strings.Repeat("x", i*7)), variousACLs[i%len(variousACLs)], 0))
			}
		}
		multi(calls)
		made += len(calls)
	}
}

// churn changes the tree at random until stop is closed, and returns how often.
func churn(t *testing.T, zk *zkclient.Client, groups int, seed uint64, stop <-chan struct{}) int {
	const noNode, exists, notEmpty = -101, -110, -111
	r := rand.New(rand.NewPCG(seed, 1))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return n
		default:
		}
		path := fmt.Sprintf("/app/g%05d/n%03d", r.IntN(groups), r.IntN(120))
		acl := variousACLs[r.IntN(len(variousACLs))]
		switch r.IntN(8) {
		case 0:
			do(t, zk, makeNode(path, []byte(strconv.Itoa(n)), acl, 0), noNode, exists)
		case 1:
			do(t, zk, jute.Call{Op: jute.OpDelete, Path: path, Version: -1}, noNode, notEmpty)
		case 2:
			do(t, zk, jute.Call{Op: jute.OpSetACL, Path: path, ACL: acl, Version: -1}, noNode)
		case 3:
			do(t, zk, makeNode(path+"/s-", nil, everybody, 2), noNode)
		case 4:
			do(t, zk, makeNode(path+"/e-", nil, everybody, 3), noNode)
		default:
			do(t, zk, jute.Call{Op: jute.OpSetData, Path: path, Data: []byte(strconv.Itoa(n)), Version: -1}, noNode)
		}
	}
}

func TestALiveTreeMovesFromZooKeeperWhileItIsWritten(t *testing.T) {
	nodes, writes := migrateNodes, migrateWrites
	if text := os.Getenv("LYCAON_MIGRATE_NODES"); text != "" {
		var err error
		nodes, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("LYCAON_MIGRATE_WRITES"); text != "" {
		var err error
		writes, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	from, zk := zooKeeper(t)
	fill(t, zk, nodes)
	s := startServer(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")
	token := filepath.Join(s.dir, tokenFile)

	stop := make(chan struct{})
	var writers sync.WaitGroup
	var changes atomic.Int64
	for i := range 4 {
		writers.Go(func() { changes.Add(int64(churn(t, zk, nodes/100, uint64(i), stop))) })
	}
	time.AfterFunc(writes, func() { close(stop) })
	start := time.Now()
	out, errw, code := inProcess(nil, "--admin-token", token, "migrate", "zookeeper", "--from", from, "--from-auth", "digest:super:secret",
		"--to", s.addr, "--cut-over-when-idle", "1s", "--pause", "200ms", "/app")
	took := time.Since(start)
	writers.Wait()
	require.Zero(t, code, errw)
	require.Contains(t, out, "all equal")
	c := superOf(t, s)
	require.Equal(t, sourceTree(t, zk, "/app"), targetTree(t, c, "/app"))
	numbersGoOn(t, zk, c, "/app/g00000/n007/s-")
	t.Logf("%d nodes and %d changes meanwhile in %v\n%s%s", nodes, changes.Load(), took, errw, out)
}

// Servers of the ZooKeeper die and come back while their tree is copied.
func TestAMigrationOutlivesTheServersThatItAsks(t *testing.T) {
	if os.Getenv("LYCAON_MIGRATE_NODES") == "" {
		t.Skip("three servers of ZooKeeper: set LYCAON_MIGRATE_NODES")
	}
	e := rig.ZooKeeper(t, 3, rig.Options{SuperDigest: znode.DigestID("super", "secret"), TickMs: 2000})
	auth := []jute.Auth{{Scheme: "digest", Data: []byte("super:secret")}}
	zk, err := zkclient.Open(t.Context(), zkclient.Config{Servers: e.Addrs, Auth: auth})
	require.NoError(t, err)
	t.Cleanup(zk.Close)
	fill(t, zk, migrateNodes)
	s := startServer(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")

	type outcome struct {
		out, errw string
		code      int
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		o.out, o.errw, o.code = inProcess(nil, "--admin-token", filepath.Join(s.dir, tokenFile), "migrate", "zookeeper", "--from", e.Connect(),
			"--from-auth", "digest:super:secret", "--to", s.addr, "--cut-over-when-idle", "5s", "--pause", "50ms", "/app")
		ended <- o
	}()
	for i := range e.Addrs {
		e.Kill9(i)
		answers, err := zk.Ask(t.Context(), makeNode(fmt.Sprintf("/app/without-%d", i), nil, everybody, 0))
		require.NoError(t, err)
		require.Contains(t, []int32{0, -110}, answers[0].Err)
		e.Restart(i)
	}
	o := <-ended
	require.Zero(t, o.code, o.errw)
	require.Contains(t, o.out, "all equal")
	require.Equal(t, sourceTree(t, zk, "/app"), targetTree(t, superOf(t, s), "/app"))
	t.Log(o.errw, o.out)
}

// superOf is a client that may do everything at s.
func superOf(t *testing.T, s *serverProcess) *client.Client {
	secret, err := os.ReadFile(filepath.Join(s.dir, tokenFile))
	require.NoError(t, err)
	c, err := client.Open(t.Context(), []string{s.addr}, client.WithCredentials(client.AdminToken(strings.TrimSpace(string(secret)))))
	require.NoError(t, err)
	t.Cleanup(c.Abandon)
	return c
}

// sourceTree is what a ZooKeeper holds at and below path, one line a node, but
// for ephemerals.
func sourceTree(t *testing.T, zk *zkclient.Client, path string) (lines []string) {
	answers, err := zk.Ask(t.Context(), jute.Call{Op: jute.OpGetData, Path: path}, jute.Call{Op: jute.OpGetACL, Path: path}, jute.Call{Op: jute.OpGetChildren, Path: path})
	require.NoError(t, err)
	for i := range answers {
		require.Zero(t, answers[i].Err, path)
	}
	if answers[0].Stat.EphemeralOwner != 0 {
		return nil
	}
	var acl znode.ACL
	for _, e := range answers[1].ACL {
		acl = append(acl, znode.Entry{Perms: znode.Perm(e.Perms), Scheme: e.Scheme, ID: e.ID})
	}
	lines = []string{line(path, answers[0].Data, acl)}
	slices.Sort(answers[2].Names)
	for _, name := range answers[2].Names {
		lines = append(lines, sourceTree(t, zk, znode.Join(path, name))...)
	}
	return lines
}

func targetTree(t *testing.T, c *client.Client, path string) (lines []string) {
	n, err := c.Get(t.Context(), path)
	require.NoError(t, err)
	acl, err := c.GetACL(t.Context(), path)
	require.NoError(t, err)
	names, err := c.Children(t.Context(), path)
	require.NoError(t, err)
	lines = []string{line(path, n.Data, acl)}
	for _, name := range names {
		lines = append(lines, targetTree(t, c, znode.Join(path, name))...)
	}
	return lines
}

func line(path string, data []byte, acl znode.ACL) string {
	return fmt.Sprintf("%s %q %t %s", path, data, data == nil, znode.FormatACL(acl))
}

// numbersGoOn wants the next sequential node to get the same number on both
// sides.
func numbersGoOn(t *testing.T, zk *zkclient.Client, c *client.Client, prefix string) {
	answers, err := zk.Ask(t.Context(), makeNode(prefix, nil, everybody, 2))
	require.NoError(t, err)
	require.Zero(t, answers[0].Err)
	n, err := c.Create(t.Context(), prefix, nil, client.Sequential())
	require.NoError(t, err)
	require.Equal(t, answers[0].Path, n.Path)
}

func TestAWholeTreeMovesFromZooKeeper(t *testing.T) {
	from, zk := zooKeeper(t)
	do(t, zk, jute.Call{Op: jute.OpSetData, Path: "/", Data: []byte("root"), Version: -1})
	for _, path := range []string{"/q", "/q/gone", "/odd", "/zookeeper/quota/q"} {
		do(t, zk, makeNode(path, []byte(path), everybody, 0))
	}
	do(t, zk, makeNode("/zookeeper/quota/q/zookeeper_limits", []byte("count=7,bytes=-1"), everybody, 0))
	do(t, zk, jute.Call{Op: jute.OpDelete, Path: "/q/gone", Version: -1})
	do(t, zk, makeNode("/top-", nil, everybody, 2))
	do(t, zk, jute.Call{Op: jute.OpSetACL, Path: "/odd", ACL: []jute.ACL{{Perms: -1, Scheme: "world", ID: "anyone"}}, Version: -1})
	s := startServer(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")
	migrateAll := func(more ...string) (out, errw string, code int) {
		return inProcess(nil, append(append([]string{"--admin-token", filepath.Join(s.dir, tokenFile), "-s", s.addr,
			"migrate", "zookeeper", "--from", from, "--once"}, more...), "/")...)
	}
	out, errw, code := migrateAll("-o", "json")
	require.Zero(t, code, errw)
	require.Contains(t, out, `"different":0`)
	require.Contains(t, out, `"quotas":1`)
	c := superOf(t, s)
	root, err := c.Get(t.Context(), "/")
	require.NoError(t, err)
	require.Equal(t, "root", string(root.Data))
	limits, err := c.Get(t.Context(), "/zookeeper/quota/q/zookeeper_limits")
	require.NoError(t, err)
	require.Equal(t, "count=7,bytes=-1", string(limits.Data))
	acl, err := c.GetACL(t.Context(), "/odd")
	require.NoError(t, err)
	require.Equal(t, znode.OpenACL, acl, "bits that mean nothing are left out")
	numbersGoOn(t, zk, c, "/top-")
	numbersGoOn(t, zk, c, "/q/")

	_, errw, code = migrateAll()
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "--resume")
	out, errw, code = migrateAll("--resume")
	require.Zero(t, code, errw)
	require.Contains(t, out, "all equal")

	// An ACL that is shown to us without its secrets is not copied as if complete.
	do(t, zk, makeNode("/concealed", nil, []jute.ACL{{Perms: 1, Scheme: "world", ID: "anyone"}, {Perms: 31, Scheme: "digest", ID: "ann:GiRr2Cq3nWNHVbMKVCrXkMqDLAk="}}, 0))
	out, errw, code = migrateAll("--resume")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, `not copied "/concealed"`)
	require.Contains(t, errw, `differs "/concealed": it is at the source alone`)
	require.Contains(t, out, "1 differ")
	out, _, _ = migrateAll("--resume", "-o", "json")
	require.Contains(t, out, `"notCopied":[{"path":"/concealed","reason":`)
	_, errw, code = migrateAll("--resume", "--from-auth", "digest:super:secret")
	require.Zero(t, code, errw)

	_, errw, code = migrateAll("--from-auth", "nosuch:thing")
	require.Equal(t, exitAuth, code)
	require.NotContains(t, errw, "thing")
	_, errw, code = inProcess(nil, "-s", s.addr, "migrate", "zookeeper", "--from", from, "--once", "/q/new")
	require.Equal(t, exitNotFound, code, errw)
	require.NotContains(t, errw, "--resume", "nothing was begun")
	do(t, zk, makeNode("/q/new", nil, everybody, 0))
	_, errw, code = inProcess(nil, "-s", s.addr, "migrate", "zookeeper", "--from", from, "--once", "--resume", "/q")
	require.Equal(t, exitAuth, code, errw)
	require.Contains(t, errw, "--admin-token")
}

func TestMigrateSaysWhatIsWrongWithItsFlags(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"wants zookeeper":          {},
		"wants --from":             {"zookeeper", "--once", "/a"},
		"--cut-over-when-idle":     {"zookeeper", "--from", "127.0.0.1:1", "/a"},
		"exclude each other":       {"zookeeper", "--from", "127.0.0.1:1", "--once", "--cut-over-when-idle", "1s", "/a"},
		"paths begin with /":       {"zookeeper", "--from", "127.0.0.1:1", "--once", "a"},
		"each service makes":       {"zookeeper", "--from", "127.0.0.1:1", "--once", "/zookeeper/quota"},
		"no chroot":                {"zookeeper", "--from", "127.0.0.1:1", "--to", "127.0.0.1:1/a", "--once", "/a"},
		"a time above zero":        {"zookeeper", "--from", "127.0.0.1:1", "--once", "--pause", "0s", "/a"},
		"usage: lycaon migrate zo": {"zookeeper", "--from", "127.0.0.1:1"},
		`--from "zk1": want HOST:`: {"zookeeper", "--from", "127.0.0.1:1,zk1", "--once", "/a"},
		"without a chroot":         {"zookeeper", "--from", "127.0.0.1:1/app", "--once", "/a"},
	} {
		_, errw, code := inProcess(nil, append([]string{"migrate"}, args...)...)
		require.Equal(t, exitUsage, code, want)
		require.Contains(t, errw, want)
	}
	_, errw, code := inProcess(nil, "-s", "127.0.0.1:1", "--timeout", "200ms", "migrate", "zookeeper", "--from", "127.0.0.1:1", "--once", "/a")
	require.Equal(t, exitUnavailable, code, errw)
}
