package state

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// The records of an image, made of uvarints and of bytes (a uvarint length and
// as many bytes). A difference is modulo 2^64.
//
//	meta     zxid, clockMs, then how many nodes, sessions and ended follow
//	node     path: how many bytes it shares with the path before it in its
//	         block, bytes of the rest; flags byte: kind (2 bits), data is null
//	         (bit 2); ACL; bytes data, unless null; czxid; mzxid-czxid;
//	         pzxid-czxid; ctimeMs; mtimeMs-ctimeMs; version; cversion;
//	         aversion; children; sequence; then of an ephemeral its owner, of a
//	         TTL node its ttlMs
//	ACL      0 and a new one (entries, and each: perms byte, bytes scheme,
//	         bytes id), or n for the n-th new one of the block
//	session  id, generation, attempt, hash (32 bytes), timeoutMs, maxEphemerals,
//	         nextSeq, highXid, ack, outcomes, and each: xid, zxid, code+2^31,
//	         bytes body
//	ended    id, zxid, bytes cause
//	footer   uint64 each: nodes, sessions, ended, digest, bytes before this
//	         block; uint32: CRC-32C of those bytes
const (
	nodeKind     = 0b011
	nodeNullData = 0b100

	footerLen = 5*8 + 4
)

// nodeWriter remembers within a block what the next record may refer to.
type nodeWriter struct {
	path   string
	acls   map[string]uint64 // encoded, to their number
	last   znode.ACL
	lastNo uint64
	key    []byte
}

func (w *nodeWriter) reset() {
	w.path, w.last = "", nil
	if w.acls == nil || len(w.acls) > 0 {
		w.acls = map[string]uint64{}
	}
}

func (w *nodeWriter) append(b []byte, r *znode.Record) []byte {
	s := &r.Stat
	shared := sharedPrefix(w.path, r.Path)
	w.path = r.Path
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendBytes(b, r.Path[shared:])
	flags := byte(s.Kind) & nodeKind
	if r.Data == nil {
		flags |= nodeNullData
	}
	b = append(b, flags)
	b = w.appendACL(b, r.ACL)
	if r.Data != nil {
		b = appendBytes(b, r.Data)
	}
	for _, v := range [...]uint64{
		s.Czxid, s.Mzxid - s.Czxid, s.Pzxid - s.Czxid, uint64(s.CtimeMs), uint64(s.MtimeMs - s.CtimeMs),
		uint64(s.Version), uint64(s.Cversion), uint64(s.Aversion), uint64(s.NumChildren), r.Sequence,
	} {
		b = binary.AppendUvarint(b, v)
	}
	switch s.Kind {
	case znode.Ephemeral:
		b = binary.AppendUvarint(b, s.Owner)
	case znode.TTL:
		b = binary.AppendUvarint(b, uint64(s.TTLMs))
	}
	return b
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// appendACL tells ACLs apart by content: which of them share memory is not
// part of the state.
func (w *nodeWriter) appendACL(b []byte, acl znode.ACL) []byte {
	if len(acl) > 0 && len(w.last) == len(acl) && &w.last[0] == &acl[0] {
		return binary.AppendUvarint(b, w.lastNo)
	}
	w.key = binary.AppendUvarint(w.key[:0], uint64(len(acl)))
	for i := range acl {
		w.key = append(w.key, byte(acl[i].Perms))
		w.key = appendBytes(w.key, acl[i].Scheme)
		w.key = appendBytes(w.key, acl[i].ID)
	}
	number, known := w.acls[string(w.key)]
	if known {
		b = binary.AppendUvarint(b, number)
	} else {
		number = uint64(len(w.acls)) + 1
		w.acls[string(w.key)] = number
		b = append(append(b, 0), w.key...)
	}
	w.last, w.lastNo = acl, number
	return b
}

// nodeReader is the inverse. A record is valid until the next.
type nodeReader struct {
	path   []byte
	acls   []znode.ACL
	record znode.Record
}

func (n *nodeReader) each(b *block, take func(r *znode.Record) error) error {
	n.path, n.acls = n.path[:0], n.acls[:0]
	return b.each(func() error {
		n.read(&b.cursor)
		if b.bad {
			return nil
		}
		return take(&n.record)
	})
}

func (n *nodeReader) read(c *cursor) {
	r := &n.record
	*r = znode.Record{}
	shared, rest := c.uvarint(), c.bytes()
	if shared > uint64(len(n.path)) {
		c.bad = true
		return
	}
	n.path = append(n.path[:shared], rest...)
	r.Path = unsafe.String(unsafe.SliceData(n.path), len(n.path))
	flags := c.byte()
	r.ACL = n.acl(c)
	if flags&nodeNullData == 0 {
		r.Data = c.bytes()
	}
	s := &r.Stat
	s.Kind, s.DataLength = znode.Kind(flags&nodeKind), len(r.Data)
	s.Czxid = c.uvarint()
	s.Mzxid, s.Pzxid = s.Czxid+c.uvarint(), s.Czxid+c.uvarint()
	s.CtimeMs = int64(c.uvarint())
	s.MtimeMs = s.CtimeMs + int64(c.uvarint())
	s.Version, s.Cversion, s.Aversion = int64(c.uvarint()), int64(c.uvarint()), int64(c.uvarint())
	s.NumChildren, r.Sequence = int(c.uvarint()), c.uvarint()
	switch s.Kind {
	case znode.Ephemeral:
		s.Owner = c.uvarint()
	case znode.TTL:
		s.TTLMs = int64(c.uvarint())
	}
	c.bad = c.bad || flags&^(nodeKind|nodeNullData) != 0
}

func (n *nodeReader) acl(c *cursor) znode.ACL {
	number := c.uvarint()
	if number > uint64(len(n.acls)) {
		c.bad = true
	}
	if c.bad {
		return nil
	}
	if number > 0 {
		return n.acls[number-1]
	}
	count := c.uvarint()
	if count > znode.MaxACLEntries {
		c.bad = true
		return nil
	}
	acl := make(znode.ACL, count)
	for i := range acl {
		acl[i] = znode.Entry{Perms: znode.Perm(c.byte()), Scheme: c.string(true), ID: c.string(true)}
	}
	n.acls = append(n.acls, acl)
	return acl
}

func appendSession(b []byte, r *session.Record) []byte {
	for _, v := range [...]uint64{r.ID, r.Generation, r.Attempt} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, r.PasswordHash[:]...)
	for _, v := range [...]uint64{
		uint64(r.TimeoutMs), uint64(r.MaxEphemerals), r.NextSeq, r.HighXid, r.Ack, uint64(len(r.Outcomes)),
	} {
		b = binary.AppendUvarint(b, v)
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		b = binary.AppendUvarint(b, o.Xid)
		b = binary.AppendUvarint(b, o.Zxid)
		b = binary.AppendUvarint(b, uint64(int64(o.Code)-math.MinInt32))
		b = appendBytes(b, o.Body)
	}
	return b
}

// readSession reads into the outcomes' old memory; the bodies alias the input.
func readSession(c *cursor, room []session.Outcome) (r session.Record) {
	r.ID, r.Generation, r.Attempt = c.uvarint(), c.uvarint(), c.uvarint()
	copy(r.PasswordHash[:], c.take(len(r.PasswordHash)))
	r.TimeoutMs, r.MaxEphemerals = int64(c.uvarint()), int64(c.uvarint())
	r.NextSeq, r.HighXid, r.Ack = c.uvarint(), c.uvarint(), c.uvarint()
	count := c.uvarint()
	if count > session.MaxOutcomes {
		c.bad = true
	}
	r.Outcomes = room[:0]
	for ; count > 0 && !c.bad; count-- {
		o := session.Outcome{Xid: c.uvarint(), Zxid: c.uvarint()}
		code := c.uvarint()
		if code > math.MaxUint32 {
			c.bad = true
		}
		o.Code, o.Body = int32(int64(code)+math.MinInt32), c.bytes()
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}

func appendEnded(b []byte, e *session.Ended) []byte {
	b = binary.AppendUvarint(b, e.ID)
	b = binary.AppendUvarint(b, e.Zxid)
	return appendBytes(b, e.Cause)
}

func readEnded(c *cursor) session.Ended {
	return session.Ended{ID: c.uvarint(), Zxid: c.uvarint(), Cause: c.string(true)}
}
