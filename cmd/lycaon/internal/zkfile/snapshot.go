package zkfile

import (
	"bufio"
	"hash/adler32"
	"io"
	"math"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// The first four bytes of the two kinds of files, and the version of both.
const (
	snapshotMagic = "ZKSN"
	logMagic      = "ZKLG"
	fileVersion   = 2
)

// endOfNodes stands in place of a path after the last node.
const endOfNodes = "/"

// ReadSnapshot reads a snapshot, compressed or not. zxid is the transaction it
// was begun at, which only the name of its file tells: snapshot.HEX.
func ReadSnapshot(r io.Reader, zxid int64) (*Tree, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, err
	}
	in := &input{r: plain, sum: adler32.New(), left: math.MaxInt64}
	t := &Tree{
		acls: map[int64]znode.ACL{}, sessions: map[int64]bool{}, ephemerals: map[int64]map[string]bool{},
		zxid: zxid, ahead: zxid,
	}
	in.fileHeader(snapshotMagic, "snapshot")
	t.readSessions(in)
	t.readACLs(in)
	t.readNodes(in)
	in.seal()
	t.readTail(in, plain)
	if in.err != nil {
		return nil, in.err
	}
	return t, nil
}

func (in *input) fileHeader(magic, what string) {
	var got [4]byte
	in.fill(got[:])
	if in.err == nil && string(got[:]) != magic {
		in.fail(damaged("no ZooKeeper %s: it begins with %q, not with %q", what, got, magic))
	}
	if version := in.int32(); in.err == nil && version != fileVersion {
		in.fail(damaged("a %s of version %d, known is %d", what, version, fileVersion))
	}
	in.int64() // dbid
}

func (t *Tree) readSessions(in *input) {
	for n := in.count(); n > 0 && in.err == nil; n-- {
		t.sessions[in.int64()] = true
		in.int32() // timeout
	}
}

func (t *Tree) readACLs(in *input) {
	for n := in.count(); n > 0 && in.err == nil; n-- {
		number := in.int64()
		t.acls[number] = in.acl()
	}
}

func (t *Tree) readNodes(in *input) {
	for first := true; in.err == nil; first = false {
		start := in.at
		path := in.text()
		if path == endOfNodes && !first || in.err != nil {
			return
		}
		n := t.readNode(in)
		if in.err != nil {
			return
		}
		if first {
			t.root = n
		}
		if rule := t.place(path, n, first); rule != "" {
			in.at = start
			in.fail(damaged("node %.200q %s", path, rule))
		}
	}
}

// place puts a node of the snapshot below its parent, which comes before it. It
// returns the rule that is broken.
func (t *Tree) place(path string, n *node, first bool) (broken string) {
	if first {
		if path != "" {
			return "is the first, which must be the root"
		}
		return ""
	}
	if !strings.HasPrefix(path, "/") {
		return "does not begin with a slash"
	}
	parentPath, name := split(path)
	parent := t.find(parentPath)
	switch {
	case name == "":
		return "has no name"
	case parent == nil:
		return "comes without its parent"
	case parent.children[name] != nil:
		return "comes twice"
	}
	parent.add(name, n)
	if session, ok := t.sessionOf(n); ok {
		t.own(session, path)
	}
	return ""
}

func (t *Tree) readNode(in *input) *node {
	n := &node{data: in.buffer(), aclID: in.int64()}
	czxid, mzxid := in.int64(), in.int64()
	in.int64() // ctime
	in.int64() // mtime
	in.int32() // version
	n.cversion = in.int32()
	in.int32() // aversion
	n.owner = in.int64()
	t.ahead = max(t.ahead, czxid, mzxid, in.int64()) // the last is pzxid
	return n
}

// seal reads the checksum of all before it, and a slash.
func (in *input) seal() {
	if in.err != nil {
		return
	}
	want := in.sum.Sum32()
	if got := in.int64(); in.err == nil && got != int64(want) {
		in.fail(damaged("the checksum is %#x, it must be %#x", got, want))
	}
	if end := in.text(); in.err == nil && end != endOfNodes {
		in.fail(damaged("%.40q is behind the checksum, it must be %q", end, endOfNodes))
	}
}

// lastSection is the size of the section that is alone where digests are
// switched off: a transaction, a checksum and a slash.
const lastSection = 8 + 8 + 5

// readTail reads what newer versions add, each with a checksum behind it: from
// 3.6 on the digest of the tree at a transaction, from 3.9 on the last
// transaction. Both are of the end of the writing.
func (t *Tree) readTail(in *input, r *bufio.Reader) {
	switch rest, err := r.Peek(lastSection + 1); {
	case in.err != nil:
		return
	case err != nil && err != io.EOF:
		in.fail(err)
		return
	case len(rest) > lastSection:
		t.ahead = max(t.ahead, in.int64())
		if version := in.int32(); version < 2 {
			in.text() // it was written in letters once
		} else {
			in.int64()
		}
		in.seal()
	}
	if _, err := r.Peek(1); in.err == nil && err == nil {
		t.ahead = max(t.ahead, in.int64())
		in.seal()
	}
}
