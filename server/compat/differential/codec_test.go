package differential

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

const frameLength = 4 // bytes before each frame that hold its length

// hello is the first frame of a client.
func (c *client) hello(st *step) []byte {
	r := jute.ConnectRequest{LastZxid: c.newest, TimeoutMs: cmp.Or(st.Ask, timeoutMs), Session: c.session, Password: c.password, HasReadOnly: true}
	switch {
	case st.How == wrongPassword:
		r.Password = []byte("0123456789abcdef")
	case st.How == aheadOfServer:
		r.LastZxid = 1 << 62
	case st.How == shortHello:
		r.HasReadOnly = false
	}
	return jute.AppendConnectRequest(nil, &r)
}

// appendFrame appends the frame of a request of c.
func (s *side) appendFrame(b []byte, c *client, xid int32, o *op) []byte {
	start := len(b)
	switch o.Op {
	case opAuth:
		b = jute.AppendAuth(b, &jute.Auth{Scheme: o.Scheme, Data: o.Data})
	case opReconfig:
		b = jute.AppendReconfig(b, xid, &jute.Reconfig{CurConfigID: -1})
	default:
		call := s.call(c, o)
		b = jute.AppendCall(b, xid, &call)
	}
	if o.Cut > 0 {
		b = b[:max(start+frameLength+requestHeader, len(b)-o.Cut)]
		binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-frameLength))
	}
	return b
}

const requestHeader = 8 // bytes of xid and opcode

func (s *side) call(of *client, o *op) jute.Call {
	c := jute.Call{
		Op: jute.OpCode(o.Op), Path: s.show(o.Path), Data: o.Data, Flags: o.Flags, TTLMs: o.TTL,
		Version: o.Version, Watch: o.Watch, Mode: o.Mode,
	}
	if o.Bad {
		c.Path += "\xff"
	}
	if o.ACL != nil {
		c.ACL = make([]jute.ACL, len(o.ACL))
		for i, e := range o.ACL {
			c.ACL[i] = jute.ACL(e)
		}
	}
	for _, sub := range o.Ops {
		c.Calls = append(c.Calls, s.call(of, sub))
	}
	for i, paths := range o.Lists {
		for _, p := range paths {
			c.Watches[i] = append(c.Watches[i], s.show(p))
		}
	}
	if o.Op == opSetWatches || o.Op == opSetWatches2 {
		c.RelativeZxid = of.newest
		if o.Since != sinceNewest {
			c.RelativeZxid = s.ledger.asOf(s.asked-o.Since, s.first)
		}
	}
	return c
}

// answerTo decodes the frame of a reply.
func answerTo(o *op, frame []byte) (*jute.Answer, error) {
	a, err := jute.DecodeAnswer(frame, jute.OpCode(o.Op))
	if err != nil {
		return nil, fmt.Errorf("reply to %v: %w", o.Op, err)
	}
	if a.Err == 0 && len(a.Results) != len(o.Ops) {
		return nil, fmt.Errorf("%d results of a %v of %d", len(a.Results), o.Op, len(o.Ops))
	}
	return &a, nil
}

// failed says that an answer is of a multi that did nothing.
func failed(a *jute.Answer) bool {
	for i := range a.Results {
		if a.Results[i].Op == opErrorResult {
			return true
		}
	}
	return false
}

const opErrorResult jute.OpCode = -1

// fields adds what a successful answer holds, by what was asked.
func (s *side) fields(it *item, a *jute.Answer) {
	switch it.op.Op {
	case opCreate, opSync:
		s.pathField(it, a.Path)
	case opCreate2, opCreateContainer, opCreateTTL:
		s.pathField(it, a.Path)
		s.statFields(it, &a.Stat)
	case opExists, opSetData, opSetACL:
		s.statFields(it, &a.Stat)
	case opGetData, opReconfig:
		it.add("data", "%s", dataText(a.Data))
		s.statFields(it, &a.Stat)
	case opGetACL:
		it.add("acl", "%s", orNull(a.ACL == nil, fmt.Sprint(a.ACL)))
		s.statFields(it, &a.Stat)
	case opGetChildren, opGetEphemerals:
		it.names = a.Names
		it.add("names", "%s", orNull(a.Names == nil, s.sorted(a.Names)))
	case opGetChildren2:
		it.add("names", "%s", orNull(a.Names == nil, s.sorted(a.Names)))
		s.statFields(it, &a.Stat)
	case opCountBelow:
		it.add("count", "%d", a.Count)
	case opWhoAmI:
		slices.SortFunc(a.Identities, func(x, y jute.User) int { return cmp.Compare(x.Scheme+x.Name, y.Scheme+y.Name) }) // a set
		it.add("ids", "%s", orNull(a.Identities == nil, fmt.Sprintf("%q", a.Identities)))
	case opMulti, opMultiRead:
		for i := range a.Results {
			it.results = append(it.results, s.result(it.op.Ops[i], &a.Results[i]))
		}
	}
}

func orNull(null bool, text string) string {
	if null {
		return "null"
	}
	return text
}

// result is the outcome of one operation of a multi.
func (s *side) result(o *op, r *jute.Result) *item {
	it := &item{kind: itemReply, op: o, err: r.Err}
	it.add("type", "%d", int32(r.Op))
	switch opcode(r.Op) {
	case opCreate:
		s.pathField(it, r.Path)
	case opCreate2:
		s.pathField(it, r.Path)
		s.statFields(it, &r.Stat)
	case opSetData:
		s.statFields(it, &r.Stat)
	case opGetData:
		it.add("data", "%s", dataText(r.Data))
		s.statFields(it, &r.Stat)
	case opGetChildren:
		it.add("names", "%s", orNull(r.Names == nil, s.sorted(r.Names)))
	}
	return it
}
