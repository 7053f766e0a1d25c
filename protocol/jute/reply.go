package jute

import (
	"math"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// stateSyncConnected is the state of a session that an event tells of.
const stateSyncConnected = 3

// noZxid is that of a header which tells none.
const noZxid = -1

// noError is the record of an ErrorResponse that is none.
const noError = 0

// AppendReply appends the frame that answers the request tagged m.Xid; forms is
// what DecodeRequest returned with it. What cannot be said in ZooKeeper's record,
// such as a version beyond 32 bits or a page of names in place of all, becomes
// an error.
func AppendReply(b []byte, m *protocol.Message, forms []Form) []byte {
	xid, form := formOfTag(m.Xid)
	results := resultsOf(form.Op, m)
	switch {
	case m.Code != protocol.OK && form.Op == OpSASL:
		return appendFailedSASL(b, xid, int64(m.Zxid), Code(m.Code))
	case m.Code != protocol.OK && results == nil:
		return AppendHeader(b, xid, int64(m.Zxid), Code(m.Code))
	}
	start := len(b)
	r := record{b: appendReplyHeader(append(b, 0, 0, 0, 0), xid, int64(m.Zxid), 0)}
	switch form.Op {
	case OpMulti:
		r.multi(results, forms)
	case OpMultiRead:
		r.multiRead(results, forms)
	default:
		r.answer(form, m)
	}
	if r.lost {
		return AppendHeader(b, xid, int64(m.Zxid), errMarshalling)
	}
	return endFrame(r.b, start)
}

// AppendHeader appends the frame of a reply that is a header alone.
func AppendHeader(b []byte, xid int32, zxid int64, code int32) []byte {
	return appendReplyHeader(appendInt(b, replyHeaderBytes), xid, zxid, code)
}

// appendFailedSASL appends a header with a null token behind it: the Java client
// reads one whatever the header says.
func appendFailedSASL(b []byte, xid int32, zxid int64, code int32) []byte {
	b, start := beginFrame(b)
	return endFrame(appendBuffer(appendReplyHeader(b, xid, zxid, code), nil), start)
}

func appendReplyHeader(b []byte, xid int32, zxid int64, code int32) []byte {
	return appendInt(appendLong(appendInt(b, xid), zxid), code)
}

// AppendEvent appends the frame of an event, if it is one that ZooKeeper has.
// Its header carries no zxid, as that of 3.8 does: the C client would take it for
// the newest that it has seen, and after a connection that broke between two
// events of one multi miss the second.
func AppendEvent(b []byte, m *protocol.Message) []byte {
	switch m.Event {
	case protocol.EventCreated, protocol.EventDeleted, protocol.EventDataChanged, protocol.EventChildrenChanged:
	default:
		return b
	}
	return m.AppendEvent(b, protocol.JuteEncoding, appendEvent)
}

func appendEvent(b []byte, m *protocol.Message) []byte {
	b, start := beginFrame(b)
	b = appendReplyHeader(b, XidEvent, noZxid, 0)
	b = appendInt(b, int32(m.Event))
	b = appendInt(b, stateSyncConnected)
	return endFrame(appendString(b, m.Path), start)
}

// resultsOf returns the results of a multi, not nil if it has some or needs
// none.
func resultsOf(op OpCode, m *protocol.Message) []protocol.Message {
	switch {
	case op != OpMulti && op != OpMultiRead:
		return nil
	case m.More != nil && len(m.More.Results) > 0:
		return m.More.Results
	case m.Code == protocol.OK:
		return []protocol.Message{}
	}
	return nil
}

// record is an answer that is being made. lost says that it cannot be.
type record struct {
	b    []byte
	lost bool
}

func (r *record) int(v int32)     { r.b = appendInt(r.b, v) }
func (r *record) string(s string) { r.b = appendString(r.b, s) }

// answer appends what op answers, which for many is nothing.
func (r *record) answer(f Form, m *protocol.Message) {
	switch f.Op {
	case OpCreate, OpSync:
		r.string(m.Path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		r.string(m.Path)
		r.stat(f, &m.Stat)
	case OpExists, OpSetData, OpSetACL:
		r.stat(f, &m.Stat)
	case OpGetData, OpReconfig:
		if m.Data == nil && f.system && m.Stat.Mzxid == 0 {
			r.int(0)
		} else {
			r.b = appendBuffer(r.b, m.Data)
		}
		r.stat(f, &m.Stat)
	case OpGetACL:
		r.acl(moreOf(m).ACL)
		r.stat(f, &m.Stat)
	case OpGetChildren, OpGetEphemerals:
		r.names(moreOf(m))
	case OpGetChildren2:
		r.names(moreOf(m))
		r.stat(f, &m.Stat)
	case OpGetAllChildrenNumber:
		r.narrow(moreOf(m).Count)
	case OpAddWatch:
		r.int(noError)
	case OpWhoAmI:
		r.identities(moreOf(m).Identities)
	case OpSASL:
		r.b = appendBuffer(r.b, m.Data)
	}
}

// noMore stands for a More that is not there; it is only read.
var noMore protocol.More

func moreOf(m *protocol.Message) *protocol.More {
	if m.More == nil {
		return &noMore
	}
	return m.More
}

// stat appends s. Its cversion wraps, as ZooKeeper's does; a version that no
// longer fits must not pass for another.
func (r *record) stat(f Form, s *znode.Stat) {
	b := appendLong(r.b, int64(s.Czxid))
	b = appendLong(b, int64(s.Mzxid))
	b = appendLong(b, s.CtimeMs)
	r.b = appendLong(b, s.MtimeMs)
	r.narrow(s.Version)
	r.int(int32(s.Cversion - int64(f.atStart)))
	r.narrow(s.Aversion)
	r.b = appendLong(r.b, int64(s.Owner))
	r.narrow(int64(s.DataLength))
	r.narrow(int64(s.NumChildren))
	r.b = appendLong(r.b, int64(s.Pzxid))
}

// narrow appends a number that fits in 31 bits.
func (r *record) narrow(v int64) {
	if v < 0 || v > math.MaxInt32 {
		r.lost = true
	}
	r.int(int32(v))
}

func (r *record) acl(acl znode.ACL) {
	r.int(int32(len(acl)))
	for i := range acl {
		r.int(int32(acl[i].Perms))
		r.string(acl[i].Scheme)
		r.string(acl[i].ID)
	}
}

func (r *record) names(more *protocol.More) {
	if more.Truncated {
		r.lost = true
	}
	r.b = more.AppendNames(r.b, protocol.JuteEncoding, appendStrings)
}

// identities tells who the client is, without what proves it.
func (r *record) identities(ids []znode.Identity) {
	r.int(int32(len(ids)))
	for i := range ids {
		user := ids[i].ID
		switch ids[i].Scheme {
		case znode.SchemeDigest:
			user, _, _ = strings.Cut(user, ":")
		case znode.SchemeSuper: // has no name there
			user = ""
		}
		r.string(ids[i].Scheme)
		r.string(user)
	}
}

// multi appends the results of a multi of writes: all are errors if one is.
func (r *record) multi(results []protocol.Message, forms []Form) {
	failed := false
	for i := range results {
		failed = failed || results[i].Code != protocol.OK
	}
	for i := range results {
		if failed {
			r.errorResult(Code(results[i].Code))
		} else {
			r.result(forms, i, &results[i])
		}
	}
	r.endResults()
}

// multiRead appends the results of a multi of reads, each with an error of its
// own.
func (r *record) multiRead(results []protocol.Message, forms []Form) {
	for i := range results {
		m := &results[i]
		before := len(r.b)
		switch m.Code {
		case protocol.OK:
			r.result(forms, i, m)
		case protocol.BadArguments: // of a path that no node can have, which ZooKeeper does not check
			r.errorResult(Code(protocol.NoNode))
		default:
			r.errorResult(Code(m.Code))
		}
		if r.lost {
			r.b, r.lost = r.b[:before], false
			r.errorResult(errMarshalling)
		}
	}
	r.endResults()
}

// result appends result i, m, whose type is that of forms[i].
func (r *record) result(forms []Form, i int, m *protocol.Message) {
	if i >= len(forms) {
		r.lost = true
		return
	}
	r.head(forms[i].Op, false, 0)
	r.answer(forms[i], m)
}

func (r *record) errorResult(code int32) {
	r.head(opError, false, code)
	r.int(code)
}

func (r *record) endResults() { r.head(opError, true, -1) }

func (r *record) head(op OpCode, done bool, code int32) {
	r.b = appendInt(appendBool(appendInt(r.b, int32(op)), done), code)
}
