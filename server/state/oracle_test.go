package state

import (
	"fmt"
	"maps"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// oracle is the machine once more, written to be obvious: plain maps, a copy
// of the map where a transaction may have to be undone, a scan where a set of
// nodes is wanted. It shares no rule with the product, only its types.
type oracle struct {
	zxid       uint64
	clockMs    int64
	nodes      map[string]*onode // never changed in place
	sessions   map[uint64]*osession
	ended      []session.Ended
	maxDeleted int

	effects []oeffect // of the transaction at hand
	lastACL map[int]znode.ACL
	ids     int
}

type onode struct {
	id       int // tells nodes of one path apart
	data     []byte
	acl      znode.ACL
	stat     znode.Stat // complete
	sequence uint64
}

type osession struct {
	id, generation, attempt uint64
	hash                    [32]byte
	timeoutMs, maxEphemeral int64
	nextSeq, highXid, ack   uint64
	outcomes                map[uint64]ooutcome
	bytes                   int
}

type ooutcome struct {
	code protocol.Code
	zxid uint64
	body []byte
}

type oeffect struct {
	what       znode.EffectType
	path       string
	id, parent int // of the nodes; parent 0 for the root
}

// action is a transaction and what its bytes mean.
type action struct {
	txn     Txn
	ids     []znode.Identity
	steps   []protocol.WriteOp
	brief   bool // a multi that is answered without results
	garbled bool // its body or its identities do not decode
}

// expected is what a machine must say of an action.
type expected struct {
	verdict    Verdict
	answer     protocol.Message // without words
	body       []byte           // of a repeated answer
	session    uint64
	generation uint64
	timeoutMs  int64
	ended      bool
	cause      string
	effects    []oeffect
	lastACL    map[int]znode.ACL
}

func newOracle(maxDeleted int) *oracle {
	o := &oracle{nodes: map[string]*onode{}, sessions: map[uint64]*osession{}, maxDeleted: maxDeleted}
	for path, children := range map[string]int{"/": 1, "/zookeeper": 2, "/zookeeper/config": 0, "/zookeeper/quota": 0} {
		o.ids++
		acl := znode.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
		if path == "/zookeeper/config" {
			acl = znode.ACL{{Perms: 1, Scheme: "world", ID: "anyone"}}
		}
		o.nodes[path] = &onode{id: o.ids, acl: acl, stat: znode.Stat{NumChildren: children}}
	}
	return o
}

func (o *oracle) apply(a *action, stampMs int64) expected {
	o.clockMs = max(o.clockMs, stampMs)
	o.effects, o.lastACL = nil, map[int]znode.ACL{}
	e := expected{verdict: Applied}
	switch a.txn.Kind {
	case TxnWrite:
		o.write(a, &e)
	case TxnOpen:
		o.open(&a.txn, &e)
	case TxnAttach:
		o.attach(&a.txn, &e)
	case TxnExpire:
		o.expire(&a.txn, &e)
	case TxnReap:
		o.reap(&a.txn, &e)
	case TxnConfig:
		o.configure(&a.txn)
	}
	if a.txn.Kind != TxnWrite || e.verdict != Repeated {
		e.answer.Zxid = o.zxid
	}
	e.effects, e.lastACL = o.effects, o.lastACL
	return e
}

func (o *oracle) write(a *action, e *expected) {
	t := &a.txn
	e.answer.Op, e.answer.Xid = t.Op, t.Xid
	s := o.sessions[t.Session]
	switch {
	case s == nil:
		o.gone(t.Session, e)
		return
	case t.Generation != s.generation:
		e.verdict = Fenced
		return
	case t.Seq < s.nextSeq:
		e.verdict = Duplicate
		return
	case t.Seq > s.nextSeq:
		e.verdict = Gap
		return
	}
	s.nextSeq++
	s.acknowledge(t.Ack)
	if t.Xid != 0 && t.Xid <= s.highXid {
		kept, ok := s.outcomes[t.Xid]
		switch {
		case ok:
		case t.Xid < s.ack:
			e.answer.Code = protocol.Aborted
			return
		default:
			e.answer.Code = protocol.TooManyOutcomes
			return
		}
		e.verdict = Repeated
		e.answer.Code, e.answer.Zxid, e.body = kept.code, kept.zxid, kept.body
		return
	}
	if t.Op == protocol.OpCloseSession {
		o.end(s, "closed by the client", e)
		return
	}
	if t.Xid != 0 && (len(s.outcomes) >= 1024 || s.bytes+o.bound(a) > 256<<10) {
		e.answer.Code = protocol.TooManyOutcomes
		return
	}
	o.run(a, s, e)
	if t.Xid != 0 {
		s.highXid = t.Xid
		body := protocol.AppendReplyBody(nil, &e.answer)
		if len(body) > o.bound(a) {
			panic("an answer is longer than its bound")
		}
		if t.Xid >= s.ack {
			s.outcomes[t.Xid] = ooutcome{e.answer.Code, o.zxid, body}
			s.bytes += len(body)
		}
	}
}

func (o *oracle) bound(a *action) int {
	sum := 64
	if a.garbled || a.brief {
		return sum
	}
	for i := range a.steps {
		sum += 192
		if a.steps[i].Op == protocol.OpCreate {
			sum += len(a.steps[i].Create.Path) + 20
		}
	}
	return sum
}

// run performs the steps on the nodes, or leaves them as they were.
func (o *oracle) run(a *action, s *osession, e *expected) {
	if a.garbled {
		e.answer.Code = protocol.BadArguments
		return
	}
	before, deleted, culprit := o.nodes, 0, 0
	if len(a.steps) != 1 || a.steps[0].Recursive || a.steps[0].Create.Parents {
		o.nodes = maps.Clone(o.nodes)
	}
	results := make([]protocol.Message, len(a.steps))
	for i := range a.steps {
		results[i].Op = a.steps[i].Op
		code := o.step(a.ids, s, &a.steps[i], &deleted, &results[i])
		if code == protocol.OK {
			continue
		}
		o.nodes, o.effects = before, nil
		for j := range results {
			results[j] = protocol.Message{Op: a.steps[j].Op}
			if j > i {
				results[j].Code = protocol.RuntimeInconsistency
			}
		}
		results[i].Code, e.answer.Code = code, code
		culprit = i
		break
	}
	if len(o.effects) > 0 {
		o.zxid++
	}
	if a.txn.Op == protocol.OpMulti {
		e.answer.More = &protocol.More{Results: results}
		if a.brief {
			e.answer.More.Results, e.answer.More.Count = results[:0], 0
			if e.answer.Code != protocol.OK {
				e.answer.More.Results, e.answer.More.Count = results[culprit:culprit+1], int64(culprit)
			}
		}
		return
	}
	code := e.answer.Code
	e.answer = results[0]
	e.answer.Xid, e.answer.Code = a.txn.Xid, code
}

func (o *oracle) reap(t *Txn, e *expected) {
	n := o.nodes[t.Path]
	switch {
	case badPath(t.Path):
		e.answer.Code = protocol.BadArguments
	case n == nil:
		e.answer.Code = protocol.NoNode
	case n.stat.NumChildren > 0:
		e.answer.Code = protocol.NotEmpty
	case !n.mortal() || n.stat.Mzxid != t.Mzxid || n.stat.Pzxid != t.Pzxid:
		e.answer.Code = protocol.BadVersion
	default:
		o.remove(t.Path)
		o.zxid++
	}
}

func (o *oracle) configure(t *Txn) {
	const path = "/zookeeper/config"
	n, want := o.nodes[path], ""
	if t.Members != "" {
		want = fmt.Sprintf("%sversion=%x", t.Members, n.stat.Mzxid)
	}
	if string(n.data) == want {
		return
	}
	n = o.edit(path)
	n.data = []byte{}
	if t.Members != "" {
		n.data = fmt.Appendf(nil, "%sversion=%x", t.Members, o.zxid+1)
	}
	n.stat.Version++
	n.stat.Mzxid, n.stat.MtimeMs, n.stat.DataLength = o.zxid+1, o.clockMs, len(n.data)
	o.effect(znode.DataChanged, path)
	o.zxid++
}

func (n *onode) mortal() bool {
	return n.stat.NumChildren == 0 && (n.stat.Kind == znode.TTL || n.stat.Kind == znode.Container && n.sequence > 0)
}

func above(path string) string {
	up := path[:strings.LastIndex(path, "/")]
	if up == "" {
		return "/"
	}
	return up
}
