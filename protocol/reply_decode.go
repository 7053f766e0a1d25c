package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/znode"
)

// DecodeMessage decodes what ReadFrame returned, for a client. The result is
// in memory of its own: one copy of the frame, which its strings and data share.
func DecodeMessage(frame []byte) (Message, error) { return TakeMessage(bytes.Clone(frame)) }

// TakeMessage decodes a frame that is given away: strings and data of the result are its bytes.
func TakeMessage(frame []byte) (Message, error) {
	if len(frame) < messageHeaderBytes {
		return Message{}, errShortFrame
	}
	m := Message{
		Kind:    MessageKind(frame[0]),
		Partial: frame[2]&flagPartial != 0,
		Code:    Code(binary.BigEndian.Uint32(frame[4:])),
		Xid:     binary.BigEndian.Uint64(frame[8:]),
		Zxid:    binary.BigEndian.Uint64(frame[16:]),
	}
	d := newDecoder(frame[messageHeaderBytes:])
	switch m.Kind {
	case Reply:
		m.Op = Op(frame[1])
		d.reply(&m)
	case Event:
		m.Event = EventType(frame[1])
		t := d.tuple()
		m.Path = t.optStr()
		t.end()
	case Goodbye:
		d.detail(&m)
	default:
		d.fail("an unknown kind of message")
	}
	return m, d.done()
}

func (d *decoder) reply(m *Message) {
	switch {
	case m.Op == OpMulti || m.Op == OpMultiRead:
		d.results(m)
	case m.Code != OK:
		d.detail(m)
	default:
		d.fields(m)
	}
}

func (d *decoder) detail(m *Message) {
	t := d.tuple()
	if detail := t.optStr(); detail != "" {
		m.More = &More{Detail: detail}
	}
	t.end()
}

func (d *decoder) results(m *Message) {
	t := d.tuple()
	more := &More{Detail: t.optStr()}
	if t.has() {
		for n := d.array(maxMultiOps); n > 0 && d.err == nil; n-- {
			more.Results = append(more.Results, d.result())
		}
	}
	more.Count = t.optNatural()
	t.end()
	m.More = more
}

func (d *decoder) result() (m Message) {
	t := d.tuple()
	m.Op = Op(t.uintUpTo(0xff))
	m.Code = t.code()
	switch {
	case m.Op == OpMulti || m.Op == OpMultiRead || m.Op > OpSessionInfo:
		d.fail("an operation that is in no multi")
	case !t.need():
	case m.Code != OK:
		d.detail(&m)
	default:
		d.fields(&m)
	}
	t.end()
	return m
}

func (d *decoder) fields(m *Message) {
	t := d.tuple()
	switch m.Op {
	case OpCreate:
		m.Path = t.str()
		m.Stat = t.stat()
		if t.optBool() {
			m.More = &More{Existed: true}
		}
	case OpDelete:
		if n := t.optNatural(); n != 0 {
			m.More = &More{Count: n}
		}
	case OpCount:
		m.More = &More{Count: t.optNatural()}
	case OpSet, OpSetACL, OpExists:
		m.Stat = t.stat()
	case OpGet:
		m.Data = t.optBin()
		m.Stat = t.stat()
	case OpChildren:
		m.More = &More{Names: t.names()}
		m.Stat = t.stat()
		m.More.Truncated = t.optBool()
	case OpGetACL:
		m.More = &More{ACL: t.optACL(nil)}
		m.Stat = t.stat()
	case OpEphemerals:
		m.More = &More{Names: t.names(), Truncated: t.optBool()}
	case OpWhoAmI, OpAuth:
		m.More = &More{}
		if t.has() {
			m.More.Identities = d.identities(nil)
		}
	case OpSessionInfo:
		m.More = &More{Session: t.sessionInfo()}
	case OpPing:
		if n := t.optNatural(); n != 0 {
			m.More = &More{Count: n}
		}
	case OpSnapshot:
		m.Data = t.optBin()
		if n := t.optNatural(); n != 0 {
			m.More = &More{Count: n}
		}
	case OpStatus:
		m.More = &More{Status: t.status()}
	case OpMembers:
		m.More = &More{Members: t.members()}
	case OpClusterStatus:
		m.More = &More{Cluster: t.cluster()}
	case OpSessions:
		m.More = &More{Sessions: t.sessionPage()}
	case OpCheck, OpCloseSession, OpRaiseSequence, OpGuard, OpSync, OpWatch, OpUnwatch, OpResume, OpExpireSession, OpMemberChange, OpTransferLeader:
	default:
		d.failWith(fmt.Errorf("%w: a reply to %v", ErrMarshalling, m.Op))
	}
	t.end()
}

func (t *tuple) code() Code {
	c := t.int()
	if c < math.MinInt32 || c > math.MaxInt32 {
		t.d.fail("a code out of its range")
	}
	return Code(c)
}

func (t *tuple) names() (names []string) {
	if !t.need() {
		return nil
	}
	n := t.d.array(maxNames)
	if n == 0 {
		return nil
	}
	names = make([]string, 0, n) // sixteen times the bytes that n names take at least
	for ; n > 0 && t.d.err == nil; n-- {
		names = append(names, t.d.str())
	}
	return names
}

func (t *tuple) stat() (s znode.Stat) {
	if !t.need() {
		return s
	}
	f := t.d.tuple()
	s = znode.Stat{
		Czxid:       f.uint(),
		Mzxid:       f.uint(),
		Pzxid:       f.uint(),
		CtimeMs:     f.int(),
		MtimeMs:     f.int(),
		Version:     f.int(),
		Cversion:    f.int(),
		Aversion:    f.int(),
		Owner:       f.uint(),
		TTLMs:       f.int(),
		Kind:        znode.Kind(f.uintUpTo(0xff)),
		DataLength:  int(f.int()),
		NumChildren: int(f.int()),
	}
	f.end()
	return s
}

func (t *tuple) sessionInfo() *SessionInfo {
	s := &SessionInfo{
		ID:         t.uint(),
		Alive:      t.optBool(),
		TimeoutMs:  t.optInt(0),
		Generation: t.optUint(),
		Ephemerals: int(t.optInt(0)),
		Cause:      t.optStr(),
		EndedZxid:  t.optUint(),
	}
	return s
}
