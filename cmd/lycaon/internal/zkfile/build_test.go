package zkfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/adler32"

	"github.com/klauspost/compress/snappy"

	"github.com/lycaon-io/lycaon/znode"
)

// record writes jute: the twin of input.
type record []byte

func (r record) int8(v int8) record   { return append(r, byte(v)) }
func (r record) int32(v int32) record { return binary.BigEndian.AppendUint32(r, uint32(v)) }
func (r record) int64(v int64) record { return binary.BigEndian.AppendUint64(r, uint64(v)) }

func (r record) bool(v bool) record {
	if v {
		return r.int8(1)
	}
	return r.int8(0)
}

func (r record) buffer(b []byte) record {
	if b == nil {
		return r.int32(-1)
	}
	return append(r.int32(int32(len(b))), b...)
}

func (r record) text(s string) record { return append(r.int32(int32(len(s))), s...) }

func (r record) acl(acl znode.ACL) record {
	r = r.int32(int32(len(acl)))
	for _, e := range acl {
		r = r.int32(int32(e.Perms)).text(e.Scheme).text(e.ID)
	}
	return r
}

func (r record) seal() record {
	return r.int64(int64(adler32.Checksum(r))).text("/")
}

// snapshotFile writes a snapshot, node by node.
type snapshotFile struct{ record }

func beginSnapshot(sessions []int64, acls map[int64]znode.ACL) *snapshotFile {
	r := append(record(nil), "ZKSN"...).int32(2).int64(-1).int32(int32(len(sessions)))
	for _, id := range sessions {
		r = r.int64(id).int32(30_000)
	}
	r = r.int32(int32(len(acls)))
	for id, acl := range acls {
		r = r.int64(id).acl(acl)
	}
	return &snapshotFile{r}
}

// saved is a node in a snapshot.
type saved struct {
	path     string
	data     []byte
	acl      int64
	zxid     int64
	cversion int32
	owner    int64
}

func (s *snapshotFile) node(n saved) *snapshotFile {
	s.record = s.text(n.path).buffer(n.data).int64(n.acl).
		int64(n.zxid).int64(n.zxid).int64(1).int64(2).int32(0).int32(n.cversion).int32(0).int64(n.owner).int64(n.zxid)
	return s
}

// end seals it as 3.4 does; what later versions add follows.
func (s *snapshotFile) end() record { return s.text("/").seal() }

func (r record) digest(zxid int64) record { return r.int64(zxid).int32(2).int64(-12345).seal() }

func (r record) oldDigest(zxid int64) record { return r.int64(zxid).int32(1).text("1f2e3d").seal() }

func (r record) last(zxid int64) record { return r.int64(zxid).seal() }

// small is a snapshot with one node of every kind.
func small(acls map[int64]znode.ACL) *snapshotFile {
	return beginSnapshot([]int64{0x100, -0x7f00000000000001}, acls).
		node(saved{path: "", data: []byte{}, acl: -1, cversion: 2}).
		node(saved{path: "/zookeeper", acl: -1, data: []byte{}}).
		node(saved{path: "/a", data: []byte("of a"), acl: 1, zxid: 3, cversion: 9}).
		node(saved{path: "/a/null", acl: -1, zxid: 4}).
		node(saved{path: "/a/mine", data: []byte("e"), acl: -1, zxid: 4, owner: 0x100}).
		node(saved{path: "/a/mine128", data: []byte("e"), acl: -1, zxid: 4, owner: -0x7f00000000000001}).
		node(saved{path: "/a/box", data: []byte{}, acl: 1, zxid: 5, owner: containerOwner}).
		node(saved{path: "/a/ttl", data: []byte{}, acl: -1, zxid: 5, owner: ttlOwner(60_000)}).
		node(saved{path: "/a/ttl353", data: []byte{}, acl: -1, zxid: 5, owner: -1<<63 | 60_000}).
		node(saved{path: "/a/ü", data: []byte("ü"), acl: -1, zxid: 5})
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func snappied(b []byte) []byte {
	out := record(snappyMagic).int32(1).int32(1)
	for len(b) > 0 {
		n := min(len(b), 100)
		out = out.buffer(snappy.Encode(nil, b[:n]))
		b = b[n:]
	}
	return out
}

// logFile writes a log.
type logFile struct{ record }

func beginLog() *logFile { return &logFile{append(record(nil), "ZKLG"...).int32(2).int64(0)} }

func (l *logFile) add(body record) *logFile {
	l.record = l.int64(int64(adler32.Checksum(body))).buffer(body).int8(endOfRecord)
	return l
}

// reserve adds what ZooKeeper reserves for more.
func (l *logFile) reserve() record { return append(l.record, make([]byte, 8<<10)...) }

func head(session, zxid int64, op int32) record {
	return record(nil).int64(session).int32(1).int64(zxid).int64(1_700_000_000_000).int32(op)
}

// change is a transaction of any type.
type change struct {
	op       int32
	session  int64
	path     string
	data     []byte
	acl      znode.ACL
	own      bool // ephemeral
	cversion int32
	ttlMs    int64
	paths    []string
	parts    []change
	old      bool // as the versions before wrote it
}

func (c *change) body(r record) record {
	switch c.op {
	case opCreate, opCreate2:
		r = r.text(c.path).buffer(c.data).acl(c.acl).bool(c.own)
		if !c.old {
			r = r.int32(c.cversion)
		}
	case opCreateContainer:
		r = r.text(c.path).buffer(c.data).acl(c.acl).int32(c.cversion)
	case opCreateTTL:
		r = r.text(c.path).buffer(c.data).acl(c.acl).int32(c.cversion).int64(c.ttlMs)
	case opDelete, opDeleteContainer:
		r = r.text(c.path)
	case opSetData, opReconfig:
		r = r.text(c.path).buffer(c.data).int32(7)
	case opSetACL:
		r = r.text(c.path).acl(c.acl).int32(7)
	case opCheck:
		r = r.text(c.path).int32(7)
	case opError:
		r = r.int32(-101)
	case opCreateSession:
		r = r.int32(30_000)
	case opCloseSession:
		if !c.old {
			r = r.int32(int32(len(c.paths)))
			for _, p := range c.paths {
				r = r.text(p)
			}
		}
	case opMulti:
		r = r.int32(int32(len(c.parts)))
		for _, p := range c.parts {
			r = r.int32(p.op).buffer(p.body(nil))
		}
	}
	return r
}

func (l *logFile) change(zxid int64, c change) *logFile {
	return l.add(c.body(head(c.session, zxid, c.op)))
}

// digested is a change with the digest of the tree behind it.
func (l *logFile) digested(zxid int64, c change) *logFile {
	return l.add(c.body(head(c.session, zxid, c.op)).int32(2).int64(0x2f61626364656667))
}
