package protocol

import (
	"encoding/binary"

	"github.com/lycaon-io/lycaon/znode"
)

// flagPartial says that another reply with the same xid follows.
const flagPartial = 1

// AppendMessage appends the frame of m, of whatever kind.
func AppendMessage(b []byte, m *Message) []byte {
	if m.Kind == Event {
		return m.AppendEvent(b, NativeEncoding, appendMessage)
	}
	return appendMessage(b, m)
}

func appendMessage(b []byte, m *Message) []byte {
	b, start := beginFrame(b)
	b = appendMessageHeader(b, m)
	switch m.Kind {
	case Reply:
		b = AppendReplyBody(b, m)
	case Event:
		b = appendEventBody(b, m)
	default:
		b = appendDetail(b, m)
	}
	return endFrame(b, start)
}

func appendMessageHeader(b []byte, m *Message) []byte {
	what, flags := byte(m.Op), byte(0)
	if m.Kind == Event {
		what = byte(m.Event)
	}
	if m.Partial {
		flags = flagPartial
	}
	b = append(b, byte(m.Kind), what, flags, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Code))
	b = binary.BigEndian.AppendUint64(b, m.Xid)
	return binary.BigEndian.AppendUint64(b, m.Zxid)
}

// AppendReplyBody appends the body of the reply m, which depends on nothing
// but its Op, Code and the fields of the two: what a session keeps as the
// outcome of a write, and sends again as Message.Body. The bodies of writes are
// replicated state, so that to change one is to change the format of the log.
func AppendReplyBody(b []byte, m *Message) []byte {
	switch {
	case m.Body != nil:
		return append(b, m.Body...)
	case m.Op == OpMulti || m.Op == OpMultiRead:
		return appendResults(b, m)
	case m.Code != OK:
		return appendDetail(b, m)
	}
	return appendFields(b, m)
}

// appendFields appends what a successful operation other than a multi answers.
func appendFields(b []byte, m *Message) []byte {
	more := m.More
	if more == nil {
		more = &noMore
	}
	switch m.Op {
	case OpCreate:
		b = appendArray(b, 3)
		b = appendStr(b, m.Path)
		b = appendStat(b, &m.Stat)
		return appendBool(b, more.Existed)
	case OpDelete, OpCount:
		return appendInt(appendArray(b, 1), more.Count)
	case OpSet, OpSetACL, OpExists:
		return appendStat(appendArray(b, 1), &m.Stat)
	case OpGet:
		b = appendBin(appendArray(b, 2), m.Data)
		return appendStat(b, &m.Stat)
	case OpChildren:
		b = more.AppendNames(appendArray(b, 3), NativeEncoding, appendNames)
		b = appendStat(b, &m.Stat)
		return appendBool(b, more.Truncated)
	case OpGetACL:
		b = appendACL(appendArray(b, 2), more.ACL)
		return appendStat(b, &m.Stat)
	case OpEphemerals:
		b = appendNames(appendArray(b, 2), more.Names)
		return appendBool(b, more.Truncated)
	case OpWhoAmI, OpAuth:
		return AppendIdentities(appendArray(b, 1), more.Identities)
	case OpSessionInfo:
		return appendSessionInfo(b, more.Session)
	case OpSnapshot:
		b = appendBin(appendArray(b, 2), m.Data)
		return appendInt(b, more.Count)
	case OpStatus:
		return appendStatus(b, more.Status)
	case OpPing:
		if more.Count > 0 {
			return appendInt(appendArray(b, 1), more.Count)
		}
	case OpMembers:
		return appendMembers(b, more.Members)
	case OpClusterStatus:
		return appendCluster(b, more.Cluster)
	case OpSessions:
		return appendSessionPage(b, more.Sessions)
	}
	return appendArray(b, 0)
}

// noMore stands for a More that is not there; it is only read.
var noMore More

// appendResults appends the answer of a multi or multi-read. Each result is
// the operation, its code and the body it would have alone. A brief answer has
// the result of the operation that failed and no other, and after it, unless it
// is 0, which one that was.
func appendResults(b []byte, m *Message) []byte {
	more := m.More
	if more == nil {
		more = &noMore
	}
	fields := 2
	if more.Count > 0 {
		fields = 3
	}
	b = appendArray(b, fields)
	b = appendText(b, more.Detail, maxDetailBytes)
	b = appendArray(b, len(more.Results))
	for i := range more.Results {
		r := &more.Results[i]
		b = appendArray(b, 3)
		b = appendUint(b, uint64(r.Op))
		b = appendInt(b, int64(r.Code))
		if r.Code != OK {
			b = appendDetail(b, r)
		} else {
			b = appendFields(b, r)
		}
	}
	if fields == 3 {
		b = appendInt(b, more.Count)
	}
	return b
}

// appendDetail appends the body of an error or a Goodbye.
func appendDetail(b []byte, m *Message) []byte {
	if m.More == nil || m.More.Detail == "" {
		return appendArray(b, 0)
	}
	return appendText(appendArray(b, 1), m.More.Detail, maxDetailBytes)
}

func appendEventBody(b []byte, m *Message) []byte {
	if m.Path == "" {
		return appendArray(b, 0)
	}
	return appendStr(appendArray(b, 1), m.Path)
}

func appendNames(b []byte, names []string) []byte {
	b = appendArray(b, len(names))
	for _, name := range names {
		b = appendStr(b, name)
	}
	return b
}

func appendStat(b []byte, s *znode.Stat) []byte {
	b = appendArray(b, 13)
	b = appendUint(b, s.Czxid)
	b = appendUint(b, s.Mzxid)
	b = appendUint(b, s.Pzxid)
	b = appendInt(b, s.CtimeMs)
	b = appendInt(b, s.MtimeMs)
	b = appendInt(b, s.Version)
	b = appendInt(b, s.Cversion)
	b = appendInt(b, s.Aversion)
	b = appendUint(b, s.Owner)
	b = appendInt(b, s.TTLMs)
	b = appendUint(b, uint64(s.Kind))
	b = appendInt(b, int64(s.DataLength))
	return appendInt(b, int64(s.NumChildren))
}

func appendSessionInfo(b []byte, s *SessionInfo) []byte {
	if s == nil {
		s = &SessionInfo{}
	}
	b = appendArray(b, 7)
	b = appendUint(b, s.ID)
	b = appendBool(b, s.Alive)
	b = appendInt(b, s.TimeoutMs)
	b = appendUint(b, s.Generation)
	b = appendInt(b, int64(s.Ephemerals))
	b = appendText(b, s.Cause, maxCauseBytes)
	return appendUint(b, s.EndedZxid)
}
