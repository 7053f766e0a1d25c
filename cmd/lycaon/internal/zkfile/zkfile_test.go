package zkfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

var annACL = znode.ACL{{Perms: znode.AllPerms, Scheme: "digest", ID: "ann:h"}, {Perms: znode.Read, Scheme: "world", ID: "anyone"}}

// shown is a tree as text, a node a line.
func shown(t *testing.T, tree *Tree) string {
	t.Helper()
	var b strings.Builder
	for n, err := range tree.Walk() {
		require.NoError(t, err)
		data := "null"
		if n.Data != nil {
			data = fmt.Sprintf("%q", n.Data)
		}
		kind := [...]string{"", " ephemeral", " container", fmt.Sprintf(" ttl %d", n.TTLMs)}[n.Kind]
		fmt.Fprintf(&b, "%s %s %s %d%s\n", n.Path, data, znode.FormatACL(n.ACL), n.Created, kind)
	}
	return b.String()
}

const smallShown = `/ "" world:anyone:cdrwa 2
/a "of a" digest:ann:h:cdrwa,world:anyone:r 9
/zookeeper "" world:anyone:cdrwa 0
/a/box "" digest:ann:h:cdrwa,world:anyone:r 0 container
/a/mine "e" world:anyone:cdrwa 0 ephemeral
/a/mine128 "e" world:anyone:cdrwa 0 ephemeral
/a/null null world:anyone:cdrwa 0
/a/ttl "" world:anyone:cdrwa 0 ttl 60000
/a/ttl353 "" world:anyone:cdrwa 0 ttl 60000
/a/ü "ü" world:anyone:cdrwa 0
`

func smallEnded() record { return small(map[int64]znode.ACL{1: annACL}).end() }

func TestSnapshotsOfEveryVersionAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		file  []byte
		ahead int64
	}{
		{"3.4 and 3.5", smallEnded(), 5},
		{"3.6 to 3.8 with a digest", smallEnded().digest(6), 6},
		{"a digest in letters", smallEnded().oldDigest(7), 7},
		{"3.9 with a digest and the last transaction", smallEnded().digest(6).last(8), 8},
		{"3.9 without digests", smallEnded().last(8), 8},
		{"gzip", gzipped(smallEnded().digest(6)), 6},
		{"snappy", snappied(smallEnded().digest(6)), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{bytes.NewReader(c.file), iotest.OneByteReader(bytes.NewReader(c.file))} {
				tree, err := ReadSnapshot(r, 5)
				require.NoError(t, err)
				require.Equal(t, smallShown, shown(t, tree))
				require.EqualValues(t, 5, tree.Zxid())
				require.Equal(t, c.ahead, tree.ahead)
			}
		})
	}
}

func TestASnapshotWithAFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{"plain": smallEnded().digest(6).last(8), "gzip": gzipped(smallEnded().digest(6)), "snappy": snappied(smallEnded())} {
		_, err := ReadSnapshot(bytes.NewReader(file), 5)
		require.NoError(t, err)
		accepted := 0
		for i := range file {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << (i % 8)
			tree, err := ReadSnapshot(bytes.NewReader(bad), 5)
			if err == nil { // bytes that say nothing about the tree: those of a time in gzip's head, of snappy's versions
				require.Equal(t, smallShown, shown(t, tree), "%s, byte %d", name, i)
				accepted++
			}
		}
		require.Less(t, accepted, 32, name)
		if name == "plain" {
			require.Zero(t, accepted)
		}
	}
}

func TestASnapshotCutShortIsRefused(t *testing.T) {
	t.Parallel()
	whole := smallEnded()
	file := whole.digest(6)
	for n := range len(file) {
		_, err := ReadSnapshot(bytes.NewReader(file[:n]), 5)
		if n == len(whole) {
			require.NoError(t, err, "so 3.5 would have ended it")
			continue
		}
		require.Error(t, err, "%d bytes", n)
	}
	broken := fmt.Errorf("the disk is gone")
	_, err := ReadSnapshot(io.MultiReader(bytes.NewReader(file[:200]), iotest.ErrReader(broken)), 5)
	require.ErrorIs(t, err, broken)
}

func TestWhatIsNoSnapshotSaysWhy(t *testing.T) {
	t.Parallel()
	root := saved{path: "", acl: -1}
	for _, c := range []struct {
		name string
		file []byte
		why  string
	}{
		{"a log", beginLog().reserve(), `byte 4: damaged: no ZooKeeper snapshot: it begins with "ZKLG", not with "ZKSN"`},
		{"another version", append(record("ZKSN"), 0, 0, 0, 3), "a snapshot of version 3, known is 2"},
		{"nothing", nil, "byte 0: unexpected EOF"},
		{"no root", beginSnapshot(nil, nil).node(saved{path: "/a"}).end(), `byte 24: damaged: node "/a" is the first, which must be the root`},
		{"a node before its parent", beginSnapshot(nil, nil).node(root).node(saved{path: "/a/b"}).end(), `node "/a/b" comes without its parent`},
		{"a node twice", beginSnapshot(nil, nil).node(root).node(saved{path: "/a"}).node(saved{path: "/a"}).end(), `node "/a" comes twice`},
		{"a node without a name", beginSnapshot(nil, nil).node(root).node(saved{path: "/a"}).node(saved{path: "/a/"}).end(), `node "/a/" has no name`},
		{"a node without a slash", beginSnapshot(nil, nil).node(root).node(saved{path: "a"}).end(), `node "a" does not begin with a slash`},
		{"a name that is no UTF-8", beginSnapshot(nil, nil).node(root).node(saved{path: "/\xff"}).end(), `"/\xff" is no UTF-8`},
		{"a huge node", beginSnapshot(nil, nil).text("").int32(1 << 30), "a length of 1073741824, at most 67108864 is possible"},
		{"a length below null", beginSnapshot(nil, nil).text("").int32(-2), "a length of -2"},
		{"sessions without end", append(record("ZKSN"), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff), "byte 20: unexpected EOF"},
		{"a negative number of ACLs", append(record("ZKSN"), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0), "a count of -16777216"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadSnapshot(bytes.NewReader(c.file), 0)
			require.ErrorContains(t, err, c.why)
		})
	}
}

func TestANodeOfAnUnknownKindOrACLIsYieldedWithAnError(t *testing.T) {
	t.Parallel()
	for why, n := range map[string]saved{
		`its ACL, number 7, is not in the snapshot: damaged`:                              {path: "/a", acl: 7},
		`the kind of node that ephemeralOwner 0xff00010000000001 stands for is not known`: {path: "/a", acl: -1, owner: -0xfffeffffffffff},
	} {
		tree, err := ReadSnapshot(bytes.NewReader(beginSnapshot(nil, nil).node(saved{acl: -1}).node(n).end()), 0)
		require.NoError(t, err)
		var wrong error
		for n, err := range tree.Walk() {
			if n.Path == "/a" {
				wrong = err
			}
		}
		require.EqualError(t, wrong, why)
	}
}

func smallTree(t *testing.T, zxid int64) *Tree {
	t.Helper()
	tree, err := ReadSnapshot(bytes.NewReader(smallEnded()), zxid)
	require.NoError(t, err)
	return tree
}

func TestTransactionsOfEveryType(t *testing.T) {
	t.Parallel()
	open := znode.OpenACL
	for _, c := range []struct {
		name    string
		changes []change
		want    []string // lines of the tree that are there then
		absent  []string // paths that are not
	}{
		{"create", []change{{op: opCreate, path: "/a/n", data: []byte("d"), acl: annACL, cversion: 10}},
			[]string{`/a/n "d" digest:ann:h:cdrwa,world:anyone:r 0`, `/a "of a" digest:ann:h:cdrwa,world:anyone:r 10`}, nil},
		{"create of 3.3", []change{{op: opCreate, path: "/a/n", acl: open, old: true}},
			[]string{`/a/n null world:anyone:cdrwa 0`, `/a "of a" digest:ann:h:cdrwa,world:anyone:r 10`}, nil},
		{"create2, an ephemeral of a session not seen before", []change{{op: opCreate2, session: 0x200, path: "/a/n", acl: open, own: true, cversion: 10}},
			[]string{`/a/n null world:anyone:cdrwa 0 ephemeral`}, nil},
		{"an ephemeral whose session looks like a TTL", []change{{op: opCreate, session: -1<<63 | 5, path: "/a/n", acl: open, own: true, cversion: 10}},
			[]string{`/a/n null world:anyone:cdrwa 0 ephemeral`}, nil},
		{"createContainer", []change{{op: opCreateContainer, path: "/a/n", acl: open, cversion: 10}},
			[]string{`/a/n null world:anyone:cdrwa 0 container`, `/a "of a" digest:ann:h:cdrwa,world:anyone:r 10`}, nil},
		{"createTTL", []change{{op: opCreateTTL, path: "/a/n", acl: open, cversion: 10, ttlMs: 1<<40 - 1}},
			[]string{`/a/n null world:anyone:cdrwa 0 ttl 1099511627775`}, nil},
		{"delete", []change{{op: opDelete, path: "/a/ü"}},
			[]string{`/a "of a" digest:ann:h:cdrwa,world:anyone:r 9`}, []string{"/a/ü"}},
		{"deleteContainer", []change{{op: opDeleteContainer, path: "/a/box"}}, nil, []string{"/a/box"}},
		{"setData", []change{{op: opSetData, path: "/a/ü", data: []byte{}}, {op: opSetData, path: "/", data: []byte("r")}},
			[]string{`/a/ü "" world:anyone:cdrwa 0`, `/ "r" world:anyone:cdrwa 2`}, nil},
		{"reconfig", []change{{op: opReconfig, path: "/zookeeper", data: []byte("server.1")}},
			[]string{`/zookeeper "server.1" world:anyone:cdrwa 0`}, nil},
		{"setACL with a bit that is no permission", []change{{op: opSetACL, path: "/a/ü", acl: znode.ACL{{Perms: 0x41, Scheme: "world", ID: "anyone"}}}},
			[]string{`/a/ü "ü" world:anyone:r 0`}, nil},
		{"setACL", []change{{op: opSetACL, path: "/a/ü", acl: annACL}},
			[]string{`/a/ü "ü" digest:ann:h:cdrwa,world:anyone:r 0`}, nil},
		{"closeSession of 3.5", []change{{op: opCloseSession, session: 0x100, old: true}}, []string{`/a/mine128 "e" world:anyone:cdrwa 0 ephemeral`}, []string{"/a/mine"}},
		{"closeSession that names what goes", []change{{op: opCloseSession, session: 0x100, paths: []string{"/a/mine", "/a/ü"}}}, nil, []string{"/a/mine", "/a/ü"}},
		{"closeSession that names one of four bytes", []change{{op: opCloseSession, session: 9, paths: []string{"/a/é"}}, {op: opCloseSession, session: 9, paths: []string{"/a/ü"}}}, nil, []string{"/a/ü"}},
		{"createSession, check, error", []change{{op: opCreateSession, session: 3}, {op: opCheck, path: "/a"}, {op: opError}},
			strings.Split(strings.TrimSpace(smallShown), "\n"), nil},
		{"multi", []change{{op: opMulti, session: 0x100, parts: []change{
			{op: opCheck, path: "/a"},
			{op: opCreate, path: "/m", acl: open, cversion: 3},
			{op: opCreate2, path: "/m/e", acl: open, own: true, cversion: 1},
			{op: opCreateContainer, path: "/m/c", acl: open, cversion: 2},
			{op: opCreateTTL, path: "/m/t", acl: open, cversion: 3, ttlMs: 5},
			{op: opSetData, path: "/m/t", data: []byte("t")},
			{op: opDelete, path: "/a/ü"},
		}}}, []string{"/m null world:anyone:cdrwa 3", "/m/e null world:anyone:cdrwa 0 ephemeral", "/m/c null world:anyone:cdrwa 0 container", `/m/t "t" world:anyone:cdrwa 0 ttl 5`}, []string{"/a/ü"}},
		{"multi that failed", []change{{op: opMulti, parts: []change{{op: opCreate, path: "/m", acl: open, cversion: 3}, {op: opError}, {op: opDelete, path: "/a/ü"}}}},
			strings.Split(strings.TrimSpace(smallShown), "\n"), []string{"/m"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, add := range map[string]func(*logFile, int64, change) *logFile{"plain": (*logFile).change, "with digests": (*logFile).digested} {
				if c.changes[0].old && c.changes[0].op == opCreate && name != "plain" {
					continue // 3.3 knew no digests
				}
				log := beginLog()
				for i, ch := range c.changes {
					add(log, int64(6+i), ch)
				}
				tree := smallTree(t, 5)
				done, err := tree.Replay(bytes.NewReader(log.reserve()))
				require.NoError(t, err, name)
				require.Equal(t, Replayed{Applied: len(c.changes)}, done, name)
				require.EqualValues(t, 5+len(c.changes), tree.Zxid())
				got := shown(t, tree)
				for _, line := range c.want {
					require.Contains(t, got, line+"\n", name)
				}
				for _, path := range c.absent {
					require.NotContains(t, got, path+" ", name)
				}
			}
		})
	}
}

// threeChanges is a log of transactions 6, 7 and 8, and where each begins.
func threeChanges() (*logFile, []int) {
	log := beginLog()
	var starts []int
	for i := range 3 {
		starts = append(starts, len(log.record))
		log.change(int64(6+i), change{op: opCreate, path: fmt.Sprintf("/n%d", i), acl: znode.OpenACL, cversion: int32(3 + i)})
	}
	return log, append(starts, len(log.record))
}

func TestALogEndsWhereItsWritingEnded(t *testing.T) {
	t.Parallel()
	log, starts := threeChanges()
	for cut := range len(log.record) + 1 {
		whole := 0
		for whole < 3 && cut >= starts[whole+1] {
			whole++
		}
		atStart := cut == starts[whole]
		for name, file := range map[string][]byte{"cut off": log.record[:cut], "with zeros": append(bytes.Clone(log.record[:cut]), make([]byte, 9000)...)} {
			tree := smallTree(t, 5)
			done, err := tree.Replay(bytes.NewReader(file))
			if cut < 8 && name == "with zeros" {
				require.ErrorIs(t, err, ErrDamaged, "no log begins so")
				continue
			}
			require.NoError(t, err, "%s after %d", name, cut)
			require.Equal(t, whole, done.Applied, "%s after %d", name, cut)
			if atStart {
				require.Empty(t, done.Torn, "%s after %d", name, cut)
			} else if name == "cut off" {
				require.NotEmpty(t, done.Torn, "after %d", cut)
			}
		}
	}
}

func TestADamagedRecordWithOthersBehindItIsAnError(t *testing.T) {
	t.Parallel()
	log, starts := threeChanges()
	file := log.reserve()
	for i := range starts[2] { // not in the last record
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		tree := smallTree(t, 5)
		done, err := tree.Replay(bytes.NewReader(bad))
		switch {
		case i >= 8 && i < logHead: // the number of the database, which is 0 or not
			require.NoError(t, err)
			require.Equal(t, 3, done.Applied)
		default:
			require.ErrorIs(t, err, ErrDamaged, "byte %d: %+v", i, done)
			if i >= starts[1] {
				require.ErrorContains(t, err, fmt.Sprintf("byte %d: ", starts[1]))
			}
		}
	}
	bad := bytes.Clone(file)
	bad[starts[2]-1] = 0 // the mark behind the second record
	tree := smallTree(t, 5)
	tree.Lenient()
	done, err := tree.Replay(bytes.NewReader(bad))
	require.NoError(t, err)
	require.Equal(t, Replayed{Applied: 1, Torn: fmt.Sprintf("byte %d: a record is not finished", starts[1])}, done)

	bad = bytes.Clone(file)
	bad[starts[2]-9] ^= 1 // in the second record
	tree = smallTree(t, 5)
	tree.Lenient()
	done, err = tree.Replay(bytes.NewReader(bad))
	require.NoError(t, err)
	require.Equal(t, 1, done.Applied)
	require.Contains(t, done.Torn, fmt.Sprintf("byte %d: damaged: the checksum of a record is ", starts[1]))

	for why, spoil := range map[string]func([]byte){
		"damaged: the checksum of a record is ": func(b []byte) { b[starts[1]-9] ^= 1 },
		"a record is not finished":              func(b []byte) { b[starts[1]-1] = 0 },
	} {
		bad = bytes.Clone(file) // damaged in the first record
		spoil(bad)
		_, _, err = FirstZxid(bytes.NewReader(bad))
		require.ErrorIs(t, err, ErrDamaged)
		tree = smallTree(t, 5)
		tree.Lenient()
		done, err = tree.Replay(bytes.NewReader(bad))
		require.NoError(t, err)
		require.Zero(t, done.Applied)
		require.Contains(t, done.Torn, fmt.Sprintf("byte %d: %s", logHead, why))
	}
}

func TestARecordThatCannotBeUnderstoodMayEndItsLog(t *testing.T) {
	t.Parallel()
	log := beginLog().change(6, change{op: opError})
	at := len(log.record)
	log.add(head(1, 7, 77)).change(8, change{op: opError})
	_, err := smallTree(t, 5).Replay(bytes.NewReader(log.record))
	require.ErrorIs(t, err, ErrDamaged)
	tree := smallTree(t, 5)
	tree.Lenient()
	done, err := tree.Replay(bytes.NewReader(log.record))
	require.NoError(t, err)
	require.Equal(t, Replayed{Applied: 1, Torn: fmt.Sprintf("transaction 0x7 of the record at byte %d: byte 32: damaged: a transaction of the unknown type 77", at)}, done)
	require.EqualValues(t, 6, tree.Zxid())
}

func TestRecordsThatSayNothingSensible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		log  record
		why  string
	}{
		{"a snapshot", smallEnded(), `no ZooKeeper transaction log: it begins with "ZKSN", not with "ZKLG"`},
		{"no room for a head", beginLog().add(record("short")).record, "byte 16: damaged: a record of 5 bytes has no room for a transaction"},
		{"a negative length", beginLog().int64(1).int32(-5), "byte 16: damaged: a record of -5 bytes, at most 67108864 are possible"},
		{"an unknown type", beginLog().add(head(1, 6, 77)).record, "transaction 0x6 of the record at byte 16: byte 32: damaged: a transaction of the unknown type 77"},
		{"a body cut short", beginLog().add(head(1, 6, opDelete).int32(7)).record, "transaction 0x6 of the record at byte 16: byte 36: unexpected EOF"},
		{"a path without a slash", beginLog().change(6, change{op: opDelete, path: "a"}).record, `"a" is no path`},
		{"the root created", beginLog().change(6, change{op: opCreate, path: "/"}).record, `"/" is no path`},
		{"a TTL of nothing", beginLog().change(6, change{op: opCreateTTL, path: "/t"}).record, `node "/t" has a TTL of 0 ms`},
		{"a broken part of a multi", beginLog().change(6, change{op: opMulti, parts: []change{{op: opCheck}, {op: opMulti}}}).record, "operation 1 of a multi: byte 0: damaged: a transaction of the unknown type 14"},
		{"a record whose length leads beyond the file", longer(beginLog().change(6, change{op: opDelete, path: "/a"}).reserve()), "byte 16: damaged: a record is whole, but not with its length of 16777254 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := smallTree(t, 5).Replay(bytes.NewReader(c.log))
			require.ErrorContains(t, err, c.why)
		})
	}
}

// longer raises the length of the first record.
func longer(log record) record {
	log[logHead+8]++
	return log
}

func TestMissingTransactionsAreMissed(t *testing.T) {
	t.Parallel()
	create := func(path string) change { return change{op: opCreate, path: path, acl: znode.OpenACL, cversion: 3} }
	log := func(zxids ...int64) *bytes.Reader {
		l := beginLog()
		for i, zxid := range zxids {
			l.change(zxid, create(fmt.Sprintf("/n%d", i)))
		}
		return bytes.NewReader(l.reserve())
	}
	for _, c := range []struct {
		name   string
		zxids  []int64
		done   Replayed
		missed string
	}{
		{"from before the snapshot on", []int64{3, 4, 5, 6}, Replayed{Applied: 1, Known: 3}, ""},
		{"in the same epoch", []int64{6, 8}, Replayed{Applied: 1}, "the transactions between 0x6 and 0x8 are missing"},
		{"right after the snapshot", []int64{9}, Replayed{}, "the transactions between 0x5 and 0x9 are missing"},
		{"a new epoch", []int64{6, 1<<32 + 1, 1<<32 + 2}, Replayed{Applied: 3}, ""},
		{"at the beginning of a new epoch", []int64{6, 1<<32 + 3}, Replayed{Applied: 1}, "the transactions between 0x6 and 0x100000003 are missing"},
		{"nothing", nil, Replayed{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tree := smallTree(t, 5)
			done, err := tree.Replay(log(c.zxids...))
			require.Equal(t, c.done, done)
			if c.missed == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.missed)
			tree = smallTree(t, 5)
			tree.Lenient()
			done, err = tree.Replay(log(c.zxids...))
			require.NoError(t, err)
			require.Equal(t, len(c.zxids), done.Applied)
		})
	}

	tree := smallTree(t, 4)
	require.EqualError(t, tree.Complete(), "the transactions between 0x4 and 0x6 are missing", "the snapshot shows 5")
	_, err := tree.Replay(log(5))
	require.NoError(t, err)
	require.NoError(t, tree.Complete())
	tree = smallTree(t, 4)
	tree.Lenient()
	require.NoError(t, tree.Complete())

	first, torn, err := FirstZxid(log(7, 8))
	require.NoError(t, err)
	require.EqualValues(t, 7, first)
	require.Empty(t, torn)
	first, torn, err = FirstZxid(log())
	require.NoError(t, err)
	require.Zero(t, first)
	require.Empty(t, torn, "reserved, and not used yet")
	first, torn, err = FirstZxid(strings.NewReader("ZKLG"))
	require.NoError(t, err)
	require.Zero(t, first)
	require.Equal(t, "it ends within its head", torn)
	_, _, err = FirstZxid(strings.NewReader("something else"))
	require.ErrorIs(t, err, ErrDamaged)
}

// A follower that was away for long takes the whole tree from its leader: what
// was done meanwhile is in the snapshot it makes of that, and in no log of it.
func TestWhatOnlyAnotherSnapshotHasIsMissed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reached int64
		missed  string
	}{
		{5, ""},
		{6, ""},
		{7, "the transactions between 0x6 and 0x100000001 are missing"},
		{0xffffffff, "the transactions between 0x6 and 0x100000001 are missing"},
		{1 << 32, "the transactions between 0x6 and 0x100000001 are missing"}, // as it is called where the leader has not written yet
		{1<<32 + 1, ""},
	} {
		l := beginLog().change(6, change{op: opError}).change(1<<32+1, change{op: opError})
		tree := smallTree(t, 5)
		tree.Reached(c.reached)
		done, err := tree.Replay(bytes.NewReader(l.reserve()))
		if c.missed == "" {
			require.NoError(t, err, "0x%x", c.reached)
			require.Equal(t, 2, done.Applied)
			continue
		}
		require.EqualError(t, err, c.missed, "0x%x", c.reached)
	}
}
