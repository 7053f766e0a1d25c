package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/adler32"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/lycaon-io/lycaon/znode"
)

const superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // super:test

// longSessions let a test's session live without pings.
var longSessions = []string{"maxSessionTimeout=60000"}

// seen is all that an import carries of a node.
type seen struct {
	Data, ACL, Kind string
	Created         int64
}

func dataText(data []byte) string {
	if data == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes %.40q", len(data), data)
}

// kindOf tells from a node's name what no client can see.
func kindOf(node string) string {
	name := path.Base(node)
	switch {
	case strings.HasPrefix(name, "box"):
		return "container"
	case strings.HasPrefix(name, "ttl"):
		return "ttl " + strings.TrimPrefix(strings.SplitN(name, "-", 2)[0], "ttl")
	}
	return "persistent"
}

// seenByZooKeeper is the tree as ZooKeeper's clients see it, without ephemerals.
func seenByZooKeeper(z *zkClient, root string) map[string]seen {
	all := map[string]seen{}
	for todo := []string{root}; len(todo) > 0; {
		node := todo[0]
		todo = todo[1:]
		got := z.call(jute.Call{Op: jute.OpGetData, Path: node})
		if got.Err != 0 || got.Stat.EphemeralOwner != 0 || node == "/zookeeper" {
			continue // gone meanwhile, or not meant
		}
		acl := z.must(jute.Call{Op: jute.OpGetACL, Path: node}).ACL
		below := z.must(jute.Call{Op: jute.OpGetChildren2, Path: node})
		all[node] = seen{dataText(got.Data), juteACLText(acl), kindOf(node), (int64(below.Stat.Cversion) + int64(below.Stat.NumChildren)) / 2}
		for _, name := range below.Names {
			todo = append(todo, strings.TrimSuffix(node, "/")+"/"+name)
		}
	}
	return all
}

func juteACLText(acl []jute.ACL) string {
	var own znode.ACL
	for _, e := range acl {
		own = append(own, znode.Entry{Perms: znode.Perm(e.Perms), Scheme: e.Scheme, ID: e.ID})
	}
	return znode.FormatACL(own)
}

func seenByLycaon(t *testing.T, cluster *clienttest.Cluster, root string) map[string]seen {
	t.Helper()
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	all := map[string]seen{}
	for n, err := range c.Walk(t.Context(), root) {
		require.NoError(t, err)
		if n.Path == systemNodes || strings.HasPrefix(n.Path, systemNodes+"/") {
			continue
		}
		acl, err := c.GetACL(t.Context(), n.Path)
		require.NoError(t, err)
		kind := [...]string{"persistent", "ephemeral", "container", fmt.Sprintf("ttl %d", n.Stat.TTLMs)}[n.Stat.Kind]
		all[n.Path] = seen{dataText(n.Data), znode.FormatACL(acl), kind, (n.Stat.Cversion + int64(n.Stat.NumChildren)) / 2}
	}
	return all
}

// requireSame compares all but the root's count, in which are the nodes that
// the server itself has there.
func requireSame(t *testing.T, want, got map[string]seen, what string) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), what)
	for node, w := range want {
		g := got[node]
		if node == "/" {
			require.GreaterOrEqual(t, g.Created, w.Created, what)
			g.Created = w.Created
			g.Data = w.Data // null or empty: of every root
		}
		require.Equal(t, w, g, "%s: %s", what, node)
	}
}

// mixer makes all kinds of changes in a ZooKeeper.
type mixer struct {
	*zkClient
	rnd   *rand.Rand
	nodes []string // that may have children, at some time
	made  int
}

func newMixer(t *testing.T, addr string, seed uint64) *mixer {
	return &mixer{zkClient: dialZK(t, addr, "super:test", "ann:x"), rnd: rand.New(rand.NewPCG(seed, 1))}
}

var mixedACLs = [][]jute.ACL{
	{{Perms: 31, Scheme: "world", ID: "anyone"}},
	{{Perms: 31, Scheme: "digest", ID: znode.DigestID("ann", "x")}, {Perms: 1, Scheme: "world", ID: "anyone"}},
	{{Perms: 1, Scheme: "ip", ID: "10.0.0.0/8"}, {Perms: 31, Scheme: "auth", ID: ""}},
	{{Perms: 1, Scheme: "world", ID: "anyone"}},
}

func (m *mixer) acl() []jute.ACL { return mixedACLs[m.rnd.IntN(len(mixedACLs))] }

func (m *mixer) data() []byte {
	switch m.rnd.IntN(10) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2:
		return bytes.Repeat([]byte{0xff, 0, '\n'}, m.rnd.IntN(300))
	}
	return fmt.Appendf(nil, "data %d", m.rnd.Int64())
}

func (m *mixer) parent() string {
	if len(m.nodes) == 0 || m.rnd.IntN(10) == 0 {
		return ""
	}
	return m.nodes[m.rnd.IntN(len(m.nodes))]
}

// create is of any kind; about one in three fails, for lack of a parent.
func (m *mixer) create() jute.Call {
	m.made++
	c := jute.Call{Op: jute.OpCreate, Data: m.data(), ACL: m.acl()}
	name := strconv.Itoa(m.made)
	switch m.rnd.IntN(12) {
	case 0:
		c.Op, c.Flags, name = jute.OpCreateContainer, 4, "box"+name
	case 1:
		c.TTLMs = int64(100_000_000 + m.made)
		c.Op, c.Flags, name = jute.OpCreateTTL, 5, fmt.Sprintf("ttl%d", c.TTLMs)
	case 2:
		c.TTLMs = int64(100_000_000 + m.made)
		c.Op, c.Flags, name = jute.OpCreateTTL, 6, fmt.Sprintf("ttl%d-", c.TTLMs)
	case 3:
		c.Op, c.Flags, name = jute.OpCreate2, 1, "mine"+name
	case 4:
		c.Flags, name = 3, "mine"
	case 5, 6:
		c.Flags, name = 2, "zoë-日本-"
	case 7:
		c.Op = jute.OpCreate2
	}
	c.Path = m.parent() + "/" + name
	return c
}

func (m *mixer) steps(n int) {
	for range n {
		m.step()
	}
}

func (m *mixer) step() {
	switch dice := m.rnd.IntN(20); {
	case dice < 9:
		c := m.create()
		if a := m.call(c); a.Err == 0 && !strings.Contains(a.Path, "mine") && len(m.nodes) < 400 {
			m.nodes = append(m.nodes, a.Path)
		}
	case dice < 12:
		m.call(jute.Call{Op: jute.OpDelete, Path: "/" + strings.TrimPrefix(m.parent(), "/"), Version: -1})
	case dice < 14:
		m.call(jute.Call{Op: jute.OpSetData, Path: "/" + strings.TrimPrefix(m.parent(), "/"), Data: m.data(), Version: -1})
	case dice < 15:
		m.call(jute.Call{Op: jute.OpSetACL, Path: "/" + strings.TrimPrefix(m.parent(), "/"), ACL: m.acl(), Version: -1})
	case dice < 19: // half of them fail
		calls := []jute.Call{m.create(), {Op: jute.OpCheck, Path: "/", Version: -1}, m.create()}
		if m.rnd.IntN(2) == 0 {
			calls = append(calls, jute.Call{Op: jute.OpDelete, Path: "/" + strings.TrimPrefix(m.parent(), "/"), Version: -1})
		}
		m.call(jute.Call{Op: jute.OpMulti, Calls: calls})
	default:
		dialZK(m.t, m.conn.RemoteAddr().String()).close()
	}
}

// fill makes what every run has: the largest node, many children, and a
// container and a TTL node that the server deletes.
func (m *mixer) fill(wide int) {
	m.must(jute.Call{Op: jute.OpCreate, Path: "/large", Data: bytes.Repeat([]byte("0123456789"), 100_000), ACL: mixedACLs[0]})
	m.must(jute.Call{Op: jute.OpCreate, Path: "/wide", ACL: mixedACLs[0]})
	for at := 0; at < wide; {
		var calls []jute.Call
		for ; at < wide && len(calls) < 500; at++ {
			calls = append(calls, jute.Call{Op: jute.OpCreate2, Path: fmt.Sprintf("/wide/n%06d", at), Data: fmt.Appendf(nil, "%d", at), ACL: mixedACLs[at%2]})
		}
		m.must(jute.Call{Op: jute.OpMulti, Calls: calls})
	}
	m.must(jute.Call{Op: jute.OpCreateContainer, Path: "/gone-box", Flags: 4, ACL: mixedACLs[0]})
	m.must(jute.Call{Op: jute.OpCreate, Path: "/gone-box/child", ACL: mixedACLs[0]})
	m.must(jute.Call{Op: jute.OpDelete, Path: "/gone-box/child", Version: -1})
	m.must(jute.Call{Op: jute.OpCreateTTL, Path: "/gone-ttl", TTLMs: 200, Flags: 5, ACL: mixedACLs[0]})
}

// limits sets quotas as zkCli does.
func (m *mixer) limits(of, limits string) {
	at := "/zookeeper/quota"
	for name := range strings.SplitSeq(strings.TrimPrefix(of, "/"), "/") {
		at += "/" + name
		m.call(jute.Call{Op: jute.OpCreate, Path: at, ACL: mixedACLs[0]})
	}
	m.must(jute.Call{Op: jute.OpCreate, Path: at + "/zookeeper_limits", Data: []byte(limits), ACL: mixedACLs[0]})
	m.must(jute.Call{Op: jute.OpCreate, Path: at + "/zookeeper_stats", Data: []byte("count=0,bytes=0"), ACL: mixedACLs[0]})
}

// quotaOf is what a server says of a quota.
func quotaOf(t *testing.T, cluster *clienttest.Cluster, of string) (limits, stats string) {
	t.Helper()
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	l, err := c.Get(t.Context(), "/zookeeper/quota"+of+"/zookeeper_limits")
	require.NoError(t, err)
	s, err := c.Get(t.Context(), "/zookeeper/quota"+of+"/zookeeper_stats")
	require.NoError(t, err)
	return string(l.Data), string(s.Data)
}

// settle waits until the server has deleted what goes by itself.
func settle(z *zkClient) {
	var before, now map[string]seen
	require.True(z.t, rig.Poll(2*time.Minute, func() bool {
		before, now = now, seenByZooKeeper(z, "/")
		_, box := now["/gone-box"]
		_, ttl := now["/gone-ttl"]
		return !box && !ttl && maps.Equal(before, now)
	}), "containers and TTL nodes do not go")
}

func snapshotsIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "snapshot.*"))
	require.NoError(t, err)
	zxid := func(file string) uint64 {
		n, err := strconv.ParseUint(strings.Split(filepath.Base(file), ".")[1], 16, 64)
		require.NoError(t, err)
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return int(int64(zxid(a)) - int64(zxid(b))) })
	return files
}

// importInto runs the command against a server of its own.
func importInto(t *testing.T, args ...string) (cluster *clienttest.Cluster, out, errw string, code int) {
	t.Helper()
	cluster = clienttest.Start(t)
	out, errw, code = inProcess(nil, append([]string{"-s", cluster.Addrs()[0], "--auth", "digest:super:test", "import"}, args...)...)
	return cluster, out, errw, code
}

// fuzzy is how the error of a snapshot ends that is not whole without logs.
const fuzzy = "it was written while ZooKeeper went on, and the transactions between"

// removeTorn removes the snapshot that a kill has cut short, if it has: ZooKeeper
// passes over it as well.
func removeTorn(t *testing.T, dir string) {
	t.Helper()
	all := snapshotsIn(t, dir)
	newest := all[len(all)-1]
	if _, err := readZooKeeper(&zkImport{snapshot: newest}); err != nil && !strings.Contains(err.Error(), fuzzy) {
		t.Logf("torn: %v", err)
		require.NoError(t, os.Remove(newest))
	}
}

// notBelowWhole leaves out the snapshots that are older than one that may have been
// taken whole of a leader: what is between them no log may have.
func notBelowWhole(t *testing.T, snapshots []string) []string {
	t.Helper()
	from := 0
	for i, file := range snapshots {
		if zxid, ok := zxidOf(file); ok && zxid > 0 && uint32(zxid) == 0 {
			from = i
		}
	}
	return snapshots[from:]
}

// fuzzySnapshots are those that are not whole without logs.
func fuzzySnapshots(t *testing.T, snapshots []string) (found []string) {
	t.Helper()
	for _, file := range snapshots {
		if _, err := readZooKeeper(&zkImport{snapshot: file}); err != nil {
			require.ErrorContains(t, err, fuzzy)
			found = append(found, file)
		}
	}
	return found
}

func TestTheFilesOfARealZooKeeperAreImported(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers int
		form    string // of snapshots
	}{
		{"one server, killed once, with gzip", 1, "gz"},
		{"three servers, whose leader is killed", 3, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.servers > 1 {
				t.Skip("the long form starts three servers of ZooKeeper")
			}
			e := rig.ZooKeeper(t, c.servers, rig.Options{
				SuperDigest: superDigest, Config: longSessions, JVM: []string{"-Dzookeeper.snapshot.compression.method=" + c.form, "-Dzookeeper.snapCount=300"},
			})
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			m := newMixer(t, e.Addrs[0], seed)
			m.fill(2500)
			const limits = "count=2501,bytes=-1=;byteHardLimit=-1;countHardLimit=2501"
			m.limits("/wide", limits)
			m.limits("/large", limits)
			m.steps(500)
			victim := e.Leader()
			e.Kill9(victim)
			removeTorn(t, filepath.Join(e.Dir(victim), "data", "version-2"))
			e.Restart(victim)
			for i := range e.Addrs {
				e.Await(i)
			}
			m.zkClient = dialZK(t, e.Addrs[0], "super:test", "ann:x")
			m.steps(500)
			m.call(jute.Call{Op: jute.OpSetACL, Path: "/", ACL: mixedACLs[1], Version: -1})
			settle(m.zkClient)
			want := seenByZooKeeper(m.zkClient, "/")

			data := filepath.Join(e.Dir(0), "data")
			snapshots := notBelowWhole(t, snapshotsIn(t, filepath.Join(data, "version-2")))
			fuzzy := fuzzySnapshots(t, snapshots)
			t.Logf("%d snapshots, %d of them fuzzy; %d nodes", len(snapshots), len(fuzzy), len(want))
			require.NotEmpty(t, fuzzy)
			for _, snapshot := range []string{snapshots[0], fuzzy[0], fuzzy[len(fuzzy)-1]} {
				cluster, out, errw, code := importInto(t, "--zk-snapshot", snapshot, "--zk-log", data)
				require.Equal(t, exitOK, code, "%s: %s", snapshot, errw)
				require.Contains(t, out, fmt.Sprintf("imported %d nodes", len(want)))
				requireSame(t, want, seenByLycaon(t, cluster, "/"), snapshot)
				require.Contains(t, out, "; 2 quotas")
				gotLimits, stats := quotaOf(t, cluster, "/wide")
				require.Equal(t, limits, gotLimits)
				require.Contains(t, stats, "count=2501,")
			}

			part := []string{"--zk-snapshot", fuzzy[0], "--zk-log", data, "--zk-path", "/wide", "/moved/here"}
			cluster, out, errw, code := importInto(t, part...)
			require.Equal(t, exitOK, code, errw)
			require.Contains(t, out, "imported 2501 nodes")
			require.Contains(t, out, "; 1 quota")
			moved := map[string]seen{}
			for node, s := range want {
				if rest, ok := strings.CutPrefix(node, "/wide"); ok {
					moved["/moved/here"+rest] = s
				}
			}
			requireSame(t, moved, seenByLycaon(t, cluster, "/moved/here"), "--zk-path")
			gotLimits, _ := quotaOf(t, cluster, "/moved/here")
			require.Equal(t, limits, gotLimits)
		})
	}
}

// captured are the files of real servers: a snapshot in each form, the logs
// behind it, and the tree as a client saw it at the end.
const captured = "testdata/zookeeper"

var capturedForms = []string{"plain", "gz", "snappy"}

var recapture = flag.Bool("recapture", false, "capture ZooKeeper's files of testdata/zookeeper anew")

func TestTheCapturedFilesOfZooKeeperAreImported(t *testing.T) {
	for _, form := range capturedForms {
		t.Run(form, func(t *testing.T) {
			dir := filepath.Join(captured, form)
			if *recapture {
				capture(t, form, dir)
			}
			text, err := os.ReadFile(filepath.Join(dir, "seen.json"))
			require.NoError(t, err)
			var want map[string]seen
			require.NoError(t, json.Unmarshal(text, &want))
			snapshots := snapshotsIn(t, dir)
			require.Len(t, snapshots, 1)
			require.Equal(t, snapshots, fuzzySnapshots(t, snapshots))
			cluster, _, errw, code := importInto(t, "--zk-snapshot", snapshots[0], "--zk-log", dir)
			require.Equal(t, exitOK, code, errw)
			requireSame(t, want, seenByLycaon(t, cluster, "/"), form)
		})
	}
}

// capture writes the captured files anew, from a server whose last snapshot but
// a few was taken while it went on.
func capture(t *testing.T, form, dir string) {
	method := form
	if form == "plain" {
		method = ""
	}
	e := rig.ZooKeeper(t, 1, rig.Options{SuperDigest: superDigest, Config: longSessions, JVM: []string{"-Dzookeeper.snapshot.compression.method=" + method, "-Dzookeeper.snapCount=40"}})
	m := newMixer(t, e.Addrs[0], 1)
	data := filepath.Join(e.Dir(0), "data", "version-2")
	var fuzzy []string
	for round := 0; round < 5 || len(fuzzy) == 0; round++ {
		require.Less(t, round, 100, "no snapshot is fuzzy")
		m.steps(40)
		fuzzy = fuzzySnapshots(t, snapshotsIn(t, data))
	}
	settle(m.zkClient)
	text, err := json.MarshalIndent(seenByZooKeeper(m.zkClient, "/"), "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "seen.json"), append(text, '\n'), 0o644))
	logs, err := filepath.Glob(filepath.Join(data, "log.*"))
	require.NoError(t, err)
	for _, file := range append(logs, fuzzy[0]) {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		if file != fuzzy[0] { // a log keeps a little of what it has reserved
			b = append(bytes.TrimRight(b, "\x00"), make([]byte, 32)...)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o644))
	}
}

// capturedFile is the snapshot of a captured form.
func capturedFile(t *testing.T, form string) (snapshot, dir string) {
	dir = filepath.Join(captured, form)
	return snapshotsIn(t, dir)[0], dir
}

func TestAnImportOfZooKeeperFilesThatCannotBe(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	scratch := t.TempDir()
	copied := func(from, name string, change func([]byte) []byte) string {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		to := filepath.Join(scratch, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, change(b), 0o644))
		return to
	}
	same := func(b []byte) []byte { return b }
	flip := func(b []byte) []byte { b[40] ^= 1; return b }
	renamed := copied(snapshot, "backup", same)
	damaged := copied(snapshot, filepath.Base(snapshot), flip)
	badLog := copied(filepath.Join(dir, "log.1"), "log.1", flip)
	cluster := clienttest.Start(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		why  []string
	}{
		{"a log without a snapshot", []string{"--zk-log", dir}, exitUsage, []string{"--zk-log wants --zk-snapshot: a log alone is no tree"}},
		{"a path without a snapshot", []string{"--zk-path", "/a", "."}, exitUsage, []string{"--zk-path wants --zk-snapshot"}},
		{"two paths", []string{"--zk-snapshot", snapshot, "/a", "/b"}, exitUsage, []string{"usage: import --zk-snapshot FILE"}},
		{"a relative path", []string{"--zk-snapshot", snapshot, "a"}, exitUsage, []string{`"a"`}},
		{"a path of the server's", []string{"--zk-snapshot", snapshot, "/zookeeper/a"}, exitUsage, []string{"/zookeeper/a: the nodes below /zookeeper are the server's own"}},
		{"a snapshot with another name", []string{"--zk-snapshot", renamed}, exitUsage, []string{renamed, "the name of a snapshot is snapshot.HEX"}},
		{"a snapshot that is not there", []string{"--zk-snapshot", "snapshot.1"}, exitUsage, []string{"snapshot.1"}},
		{"a directory without logs", []string{"--zk-snapshot", snapshot, "--zk-log", t.TempDir()}, exitUsage, []string{"no log.HEX is in it"}},
		{"a damaged snapshot", []string{"--zk-snapshot", damaged}, exitError, []string{damaged + ": byte ", "damaged"}},
		{"a damaged log", []string{"--zk-snapshot", copied(snapshot, "snapshot.0", same), "--zk-log", badLog}, exitError, []string{badLog + ": byte 16: damaged: the checksum of a record"}},
		{"no logs", []string{"--zk-snapshot", snapshot}, exitError, []string{snapshot, "was written while ZooKeeper went on", "are missing: name their logs with --zk-log, or --zk-incomplete goes on without"}},
		{"a node that is not in it", []string{"--zk-snapshot", snapshot, "--zk-log", dir, "--zk-path", "/nowhere"}, exitError, []string{"there is no node /nowhere that stays"}},
		{"another policy", []string{"--zk-snapshot", snapshot, "--existing", "perhaps"}, exitUsage, []string{"--existing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errw, code := inProcess(nil, append([]string{"-s", cluster.Addrs()[0], "--auth", "digest:super:test", "import"}, c.args...)...)
			require.Equal(t, c.code, code, errw)
			for _, why := range c.why {
				require.Contains(t, errw, why)
			}
		})
	}
	t.Run("no superuser", func(t *testing.T) {
		_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "--auth", "digest:ann:x", "import", "--zk-snapshot", "snapshot.404")
		require.Equal(t, exitAuth, code, "before a file is opened")
		require.Contains(t, errw, "want the superuser's identity; --admin-token DATA-DIR/admin.token or --auth")
	})
	require.Equal(t, []string{"/"}, slices.Collect(maps.Keys(seenByLycaon(t, cluster, "/"))), "nothing was written")
}

func TestAnImportOfZooKeeperFilesSaysWhatItDid(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	cluster, out, errw, code := importInto(t, "--zk-snapshot", snapshot, "--zk-incomplete", "/bare")
	require.Zero(t, code, errw)
	require.Regexp(t, `^imported \d+ nodes, \d+ bytes from `+snapshot+`, as of 0x[0-9a-f]+, to /bare in [0-9.]+m?s; skipped \d+ ephemeral nodes\n$`, out)
	require.Contains(t, seenByLycaon(t, cluster, "/"), "/bare")
	require.Contains(t, errw, "lies beside the snapshot and is not read; --zk-log "+dir+" would apply what was written after it")

	// The last log torn, as that of a server that was killed.
	scratch := t.TempDir()
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	require.NoError(t, err)
	last := ""
	for _, file := range logs {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		if len(filepath.Base(file)) >= len(filepath.Base(last)) && file > last {
			last = file
		}
		require.NoError(t, os.WriteFile(filepath.Join(scratch, filepath.Base(file)), b, 0o644))
	}
	last = filepath.Join(scratch, filepath.Base(last))
	b, err := os.ReadFile(last)
	require.NoError(t, err)
	b = bytes.TrimRight(b, "\x00")
	require.NoError(t, os.WriteFile(last, append(b[:len(b)-1], make([]byte, 500)...), 0o644))
	_, out, errw, code = importInto(t, "-o", "json", "--zk-snapshot", snapshot, "--zk-log", scratch)
	require.Zero(t, code, errw)
	require.Contains(t, errw, last+": byte ")
	require.Contains(t, errw, ": a record is not finished; it ends there")
	var said struct {
		Nodes, Transactions, SkippedEphemerals int
		Zxid                                   string
		Notices                                []string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	require.Positive(t, said.Nodes)
	require.Positive(t, said.Transactions)
	require.Len(t, said.Notices, 1)
	require.Regexp(t, "^0x[0-9a-f]+$", said.Zxid)
}

func TestASummaryOfZooKeepersFilesCountsOneAsOne(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	files, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{dir}})
	require.NoError(t, err)
	files.applied = 1
	var out bytes.Buffer
	e := newEnv(nil, &out, &out, noEnv)
	list := &zkList{quotas: []target.Node{{Path: quotaNodes + "/a/" + limitsName}}, ephemerals: 1}
	require.NoError(t, e.zkSummary(&zkImport{snapshot: "snapshot.1", to: "/"}, files, list, 1, 0))
	require.NoError(t, e.out.flush())
	require.Regexp(t, "^imported 1 node, 0 bytes from snapshot.1 and 1 transaction behind it, .*; 1 quota; skipped 1 ephemeral node\n$", out.String())
}

// logOf is a log of transactions that did nothing.
func logOf(zxids ...int64) []byte {
	log := append([]byte("ZKLG"), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, zxid := range zxids {
		log = addRecord(log, zxid, -1, make([]byte, 4))
	}
	return log
}

func addRecord(log []byte, zxid int64, op int32, txn []byte) []byte {
	body := binary.BigEndian.AppendUint64(make([]byte, 8+4), uint64(zxid))
	body = append(binary.BigEndian.AppendUint32(append(body, make([]byte, 8)...), uint32(op)), txn...)
	log = binary.BigEndian.AppendUint64(log, uint64(adler32.Checksum(body)))
	log = append(binary.BigEndian.AppendUint32(log, uint32(len(body))), body...)
	return append(log, 'B')
}

// createTxn is the transaction that makes a node, with an ACL of one entry.
func createTxn(node string, data []byte, scheme string, cversion byte) []byte {
	text := func(txn []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint32(txn, uint32(len(s))), s...)
	}
	txn := append(text(text(nil, node), string(data)), 0, 0, 0, 1, 0, 0, 0, 31)
	return append(text(text(txn, scheme), "anyone"), 0, 0, 0, 0, cversion)
}

func TestAllNodesThatLycaonMayNotHaveAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	deep, log, zxid := "/deep", logOf(), int64(1<<32)
	add := func(node string, data []byte, scheme string) {
		zxid++
		log = addRecord(log, zxid, 1, createTxn(node, data, scheme, 1))
	}
	add("/part", []byte("x"), "world")
	add("/own", nil, "pam")
	add("/huge", make([]byte, 1<<20+1), "world")
	add("/deep", nil, "world")
	for range 150 {
		deep += "/d"
		add(deep, nil, "world")
	}
	file := filepath.Join(t.TempDir(), "log.100000001")
	require.NoError(t, os.WriteFile(file, log, 0o644))
	args := []string{"--zk-snapshot", snapshot, "--zk-log", dir, "--zk-log", file}
	cluster, _, errw, code := importInto(t, args...)
	require.NotZero(t, code)
	require.Contains(t, errw, snapshot+": 25 nodes cannot be imported: node \"/huge\": ")
	require.Contains(t, errw, `; node "/own": `)
	require.Contains(t, errw, `; node "/deep`+strings.Repeat("/d", 130)+`": `)
	require.Regexp(t, `; node "/deep/d.*; and 5 more\n$`, errw)
	require.Equal(t, 20, strings.Count(errw, `node "`))
	require.Equal(t, []string{"/"}, slices.Collect(maps.Keys(seenByLycaon(t, cluster, "/"))), "nothing was written")

	_, _, errw, code = importInto(t, append(args, "--zk-path", "/own")...)
	require.NotZero(t, code)
	require.Contains(t, errw, snapshot+`: node "/own": `)
	_, out, errw, code := importInto(t, append(args, "--zk-path", "/part", "/here")...)
	require.Zero(t, code, errw)
	require.Contains(t, out, "imported 1 node, 1 bytes")
}

// A snapshot may lack the ACL of a node outside of what is imported.
func TestAPartOfADamagedTreeIsImported(t *testing.T) {
	t.Parallel()
	header := append([]byte("ZKSN"), 0, 0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0) // no sessions, no ACLs
	node := func(b []byte, path string, acl, owner int64) []byte {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(path))), path...)
		b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), uint64(acl))
		b = binary.BigEndian.AppendUint64(append(b, make([]byte, 4*8+3*4)...), uint64(owner))
		return append(b, make([]byte, 8)...)
	}
	body := node(node(header, "", -1, 0), "/bad", 7, 0)
	body = node(node(body, "/good", -1, 0), "/left-out", 7, 9) // ephemeral
	body = append(body, 0, 0, 0, 1, '/')
	body = binary.BigEndian.AppendUint64(body, uint64(adler32.Checksum(body)))
	file := filepath.Join(t.TempDir(), "snapshot.0")
	require.NoError(t, os.WriteFile(file, append(body, 0, 0, 0, 1, '/'), 0o644))

	_, _, errw, code := importInto(t, "--zk-snapshot", file)
	require.Equal(t, exitError, code)
	require.Equal(t, "lycaon: "+file+": node \"/bad\": its ACL, number 7, is not in the snapshot: damaged\n", errw)
	_, out, errw, code := importInto(t, "--zk-snapshot", file, "--zk-path", "/good", "/here")
	require.Zero(t, code, errw)
	require.Contains(t, out, "imported 1 node, 0 bytes")
}

func TestNodesThatAreLeftOutBelowZooKeepersOwnAreTold(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	log := logOf()
	for i, node := range []string{"/zookeeper/mine", "/zookeeper/config", "/zookeeper/quota/a"} {
		create := append(binary.BigEndian.AppendUint32(nil, uint32(len(node))), node...)
		create = append(create, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, byte(3+i)) // no data, no ACL, for good
		log = addRecord(log, 1<<32+1+int64(i), 1, create)
	}
	file := filepath.Join(t.TempDir(), "log.100000001")
	require.NoError(t, os.WriteFile(file, log, 0o644))
	_, out, errw, code := importInto(t, "--zk-snapshot", snapshot, "--zk-log", dir, "--zk-log", file)
	require.Zero(t, code, errw)
	require.Regexp(t, `; skipped 1 node below /zookeeper that ZooKeeper did not make\n$`, out)
}

func TestWhatLiesBesideZooKeepersFilesIsHeeded(t *testing.T) {
	t.Parallel()
	original, dir := capturedFile(t, "plain")
	begun, ok := zxidOf(original)
	require.True(t, ok)
	whole, err := readZooKeeper(&zkImport{snapshot: original, logs: []string{dir}})
	require.NoError(t, err)
	require.Empty(t, whole.notices)
	end := whole.tree.Zxid()

	scratch, other := t.TempDir(), t.TempDir()
	write := func(dir, name string, b []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
		return filepath.Join(dir, name)
	}
	b, err := os.ReadFile(original)
	require.NoError(t, err)
	snapshot := write(scratch, filepath.Base(original), b)
	read := func(logs ...string) (*zkFiles, error) {
		return readZooKeeper(&zkImport{snapshot: snapshot, logs: logs})
	}

	// The logs of another server, of which those around the snapshot end earlier.
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	require.NoError(t, err)
	for _, log := range logs {
		b, err := os.ReadFile(log)
		require.NoError(t, err)
		b = bytes.TrimRight(b, "\x00")
		write(other, filepath.Base(log), b[:len(b)/2])
	}
	files, err := read(dir, other)
	require.NoError(t, err)
	require.Equal(t, end, files.tree.Zxid())
	files, err = read(other, dir)
	require.NoError(t, err)
	require.Equal(t, end, files.tree.Zxid())

	// A log that was torn before it had a transaction.
	torn := write(t.TempDir(), "log.fff", logOf(0xfff)[:30])
	files, err = read(dir, torn)
	require.NoError(t, err)
	require.Equal(t, []string{torn + ": byte 16: the file ends within a record; it ends there"}, files.notices)

	// A snapshot that is older, and one that shows that transactions are missing.
	next := write(t.TempDir(), "log.100000001", logOf(1<<32+1))
	write(scratch, fmt.Sprintf("snapshot.%x", begun-1), nil)
	files, err = read(dir, next)
	require.NoError(t, err)
	require.Empty(t, files.notices)
	require.EqualValues(t, 1<<32+1, files.tree.Zxid())
	newer := write(scratch, fmt.Sprintf("snapshot.%x.gz", end+1), nil)
	files, err = read(dir)
	require.NoError(t, err)
	require.Equal(t, []string{newer + " lies beside the snapshot and is newer than what is imported"}, files.notices)
	refuses := func() {
		t.Helper()
		_, err := read(dir, next)
		require.EqualError(t, err, fmt.Sprintf("%s: the transactions between 0x%x and 0x100000001 are missing: name their logs with --zk-log, begin with %s, or --zk-incomplete goes on without", next, end, newer))
	}
	refuses()
	require.NoError(t, os.Remove(newer))
	newer = write(scratch, "snapshot.100000000", nil) // as a leader that has not written yet gives it
	refuses()
}

func TestAnIncompleteImportEndsALogWhereItCannotBeRead(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	unknown := filepath.Join(t.TempDir(), "log.100000001")
	require.NoError(t, os.WriteFile(unknown, addRecord(logOf(1<<32+1), 1<<32+2, 77, nil), 0o644))
	flipped := logOf(2<<32+1, 2<<32+2)
	flipped[40] ^= 1 // in the first record
	damaged := filepath.Join(t.TempDir(), "log.200000001")
	require.NoError(t, os.WriteFile(damaged, flipped, 0o644))
	renamed := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, os.WriteFile(renamed, flipped, 0o644))
	for _, log := range []string{unknown, damaged, renamed} {
		_, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{dir, log}})
		require.ErrorContains(t, err, log+": ")
		require.ErrorContains(t, err, "damaged: ")
	}
	gap := filepath.Join(t.TempDir(), "gap")
	require.NoError(t, os.WriteFile(gap, logOf(1<<32+9), 0o644))
	_, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{dir, renamed, gap}})
	require.ErrorContains(t, err, renamed+": byte 16: damaged: ")
	files, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{dir, renamed, unknown, damaged}, incomplete: true})
	require.NoError(t, err)
	require.EqualValues(t, 1<<32+1, files.tree.Zxid())
	require.Len(t, files.notices, 3)
	require.Equal(t, unknown+": transaction 0x100000002 of the record at byte 65: byte 32: damaged: a transaction of the unknown type 77; it ends there", files.notices[0])
	require.Contains(t, files.notices[1], damaged+": byte 16: damaged: the checksum of a record is ")
	require.Contains(t, files.notices[2], renamed+": byte 16: damaged: the checksum of a record is ")
}

// A log is begun with each snapshot, and ZooKeeper keeps many.
func TestADamagedLogThatIsTooOldIsNotRead(t *testing.T) {
	t.Parallel()
	snapshot, from := capturedFile(t, "plain")
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	oldest := filepath.Join(dir, "log.1")
	require.NoError(t, os.WriteFile(oldest, make([]byte, 100), 0o644))
	whole, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{from}})
	require.NoError(t, err)
	files, err := readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{dir}})
	require.NoError(t, err)
	require.Equal(t, whole.tree.Zxid(), files.tree.Zxid())
	_, err = readZooKeeper(&zkImport{snapshot: snapshot, logs: []string{oldest}}) // with none to pass over it for
	require.ErrorContains(t, err, oldest+": byte ")
	require.ErrorContains(t, err, "damaged: no ZooKeeper transaction log")
}

func TestAnImportOfZooKeeperFilesIntoWhatExists(t *testing.T) {
	t.Parallel()
	snapshot, dir := capturedFile(t, "plain")
	args := []string{"--zk-snapshot", snapshot, "--zk-log", dir}
	cluster, _, errw, code := importInto(t, args...)
	require.Zero(t, code, errw)
	all := seenByLycaon(t, cluster, "/")
	c := cluster.Client(t, client.WithCredentials(cluster.Superuser()))
	victims := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(p string) bool { return p == "/" || all[p].Kind != "persistent" })
	changed, deleted := victims[0], ""
	for _, p := range victims[1:] { // a leaf beside it
		if st, err := c.Exists(t.Context(), p); err == nil && st.NumChildren == 0 {
			deleted = p
		}
	}
	require.NotEmpty(t, deleted)
	_, err := c.Set(t.Context(), changed, []byte("changed"))
	require.NoError(t, err)
	require.NoError(t, c.SetACL(t.Context(), changed, znode.ReadACL))
	require.NoError(t, c.Delete(t.Context(), deleted))

	again := func(existing string) (string, int) {
		_, errw, code := inProcess(nil, append([]string{"-s", cluster.Addrs()[0], "--auth", "digest:super:test", "import", "--existing", existing}, args...)...)
		return errw, code
	}
	errw, code = again("fail")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "node already exists: --existing keep or replace goes on")
	now := seenByLycaon(t, cluster, "/")
	require.NotContains(t, now, deleted, "refused before anything was written")

	errw, code = again("keep")
	require.Zero(t, code, errw)
	now = seenByLycaon(t, cluster, "/")
	require.Contains(t, now, deleted)
	require.Equal(t, "world:anyone:r", now[changed].ACL)

	errw, code = again("replace")
	require.Zero(t, code, errw)
	now = seenByLycaon(t, cluster, "/")
	require.Equal(t, all[changed].ACL, now[changed].ACL)
	require.Equal(t, all[changed].Data, now[changed].Data)
	require.Equal(t, slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(now)))
}

func TestNodesThatLycaonMayNotHaveAreNamedWithTheirRule(t *testing.T) {
	t.Parallel()
	fine := target.Node{Path: "/a", ACL: znode.OpenACL}
	require.NoError(t, checkNode(&fine))
	for why, change := range map[string]func(*target.Node){
		"1048577 bytes of data, a node holds at most 1048576": func(n *target.Node) { n.Data = make([]byte, 1<<20+1) },
		"a TTL of 0 ms, it must be 1 to 2^40-1":               func(n *target.Node) { n.Kind = znode.TTL },
		`id "x" does not suit scheme "host"`:                  func(n *target.Node) { n.ACL = znode.ACL{{Perms: 1, Scheme: "host", ID: "x"}} },
		"control character":                                   func(n *target.Node) { n.Path = "/a\x01" },
	} {
		n := fine
		change(&n)
		require.ErrorContains(t, checkNode(&n), why)
	}
}

// TestALargeZooKeeperIsImportedInSeconds is run with LYCAON_IMPORT_NODES, say
// 100000.
func TestALargeZooKeeperIsImportedInSeconds(t *testing.T) {
	nodes, _ := strconv.Atoi(os.Getenv("LYCAON_IMPORT_NODES"))
	if nodes == 0 {
		t.Skip("LYCAON_IMPORT_NODES is not set")
	}
	e := rig.ZooKeeper(t, 1, rig.Options{SuperDigest: superDigest, Config: longSessions})
	m := newMixer(t, e.Addrs[0], 1)
	m.fill(nodes)
	settleWide(m.zkClient)
	dir := filepath.Join(e.Dir(0), "data", "version-2")
	for _, servers := range []int{1, 3} {
		cluster := clienttest.Start(t, clienttest.WithServers(servers))
		start := time.Now()
		out, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "--auth", "digest:super:test", "-o", "json", "import", "--zk-snapshot", snapshotsIn(t, dir)[0], "--zk-log", dir)
		require.Zero(t, code, errw)
		var said struct{ Nodes, Transactions int }
		require.NoError(t, json.Unmarshal([]byte(out), &said))
		require.Equal(t, nodes+2, said.Nodes, "and /large and /wide")
		t.Logf("%d servers: %d nodes and %d transactions in %s", servers, said.Nodes, said.Transactions, time.Since(start).Round(time.Millisecond))
	}
}

// settleWide waits for the two that go by themselves, without looking at all.
func settleWide(z *zkClient) {
	require.True(z.t, rig.Poll(30*time.Second, func() bool {
		return z.call(jute.Call{Op: jute.OpExists, Path: "/gone-box"}).Err != 0 && z.call(jute.Call{Op: jute.OpExists, Path: "/gone-ttl"}).Err != 0
	}))
}
