package faults

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// world makes histories in which nothing is wrong, for tests that then tell a lie in one place.
type world struct {
	t     *testing.T
	h     *history
	mach  *state.Machine
	model *model
	now   int64
	index uint64
	gens  map[uint64]uint64
	seqs  map[uint64]uint64
	n     map[int]int // places of processes
}

const (
	beat     = int64(1e6) // nanoseconds between two moments of a world
	worldMs  = int64(1e12)
	lifetime = int64(1000) // of its sessions, ms
)

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, mach: state.New(), model: newModel(), gens: map[uint64]uint64{}, seqs: map[uint64]uint64{}, n: map[int]int{},
		h: &history{dir: t.TempDir(), About: about{Servers: 2, WallNs: worldMs * 1e6}},
	}
	return w
}

func (w *world) tick() int64 {
	w.now += beat
	return w.now
}

func (w *world) place(process int) int {
	w.n[process]++
	return w.n[process]
}

// log appends one transaction and applies it.
func (w *world) log(t *state.Txn) *state.Outcome {
	w.t.Helper()
	stamp := worldMs + w.tick()/1e6
	w.index++
	data := state.AppendTxn(state.AppendBatchHeader(nil, stamp), t)
	for server := range uint64(w.h.About.Servers) {
		w.h.Entries = append(w.h.Entries, entry{Server: server + 1, Index: w.index, Term: 1, Type: uint8(raft.LogCommand), Data: data})
	}
	var out state.Outcome
	w.mach.Apply(t, stamp, &out)
	return &out
}

func (w *world) open(process int) uint64 {
	session := w.begin()
	w.h.Lives = append(w.h.Lives, life{Process: process, Session: session, State: "opened", TimeoutMs: lifetime, At: w.tick()})
	return session
}

// begin opens a session that the history does not know of.
func (w *world) begin() uint64 {
	out := w.log(&state.Txn{Kind: state.TxnOpen, PasswordHash: sha256.Sum256(fmt.Append(nil, w.index)), TimeoutMs: lifetime})
	w.gens[out.Session] = out.Generation
	w.model.live[out.Session] = true
	return out.Session
}

// strange logs a write of such a session, as the superuser and without a xid.
func (w *world) strange(session uint64, steps ...step) (zxid uint64) {
	writes := make([]protocol.WriteOp, len(steps))
	for i := range steps {
		writes[i] = steps[i].wire()
	}
	w.seqs[session]++
	t := &state.Txn{
		Kind: state.TxnWrite, Session: session, Generation: w.gens[session], Seq: w.seqs[session],
		Op: writes[0].Op, IDs: protocol.AppendIdentities(nil, []znode.Identity{{Scheme: znode.SchemeSuper}}), Body: protocol.AppendWrite(nil, &writes[0]),
	}
	if len(steps) > 1 {
		t.Op, t.Body = protocol.OpMulti, protocol.AppendMulti(nil, writes)
	}
	zxid = w.log(t).Answer.Zxid
	w.model.apply(session, zxid, steps)
	return zxid
}

// write logs a write and has the client told of it.
func (w *world) write(process int, session uint64, steps ...step) *op {
	w.t.Helper()
	o := op{Process: process, Session: session, N: w.place(process), Call: "write", Steps: steps, Invoke: w.tick()}
	writes := make([]protocol.WriteOp, len(steps))
	for i := range steps {
		writes[i] = steps[i].wire()
	}
	w.seqs[session]++
	t := &state.Txn{
		Kind: state.TxnWrite, Session: session, Generation: w.gens[session], Seq: w.seqs[session], Xid: w.seqs[session], Ack: w.seqs[session],
		Op: writes[0].Op, IDs: protocol.AppendIdentities(nil, nil), Body: protocol.AppendWrite(nil, &writes[0]),
	}
	if len(steps) > 1 || steps[0].Kind == "delete" {
		o.Call, t.Op, t.Body = "multi", protocol.OpMulti, protocol.AppendMulti(nil, writes)
	}
	out := w.log(t)
	o.Return, o.Zxid, o.Outcome = w.tick(), out.Answer.Zxid, ok
	answers, _, code, culprit := w.model.apply(session, out.Answer.Zxid, steps)
	if code != protocol.OK {
		o.Outcome, o.Error, o.Culprit = fail, code.String(), culprit
	}
	o.Answers = answers
	w.h.Ops = append(w.h.Ops, o)
	return &w.h.Ops[len(w.h.Ops)-1]
}

func (s *step) wire() protocol.WriteOp {
	w := protocol.WriteOp{Path: s.Path, Data: []byte(s.Data), Version: s.Version}
	switch s.Kind {
	case "create":
		w.Op = protocol.OpCreate
		w.Create = znode.CreateOp{Path: s.Path, Data: []byte(s.Data), ACL: znode.OpenACL, Sequential: s.Sequential}
		if s.Ephemeral {
			w.Create.Kind = znode.Ephemeral
		}
	case "set":
		w.Op = protocol.OpSet
	case "delete":
		w.Op = protocol.OpDelete
	case "check":
		w.Op = protocol.OpCheck
	case "guard":
		w.Op, w.Czxid = protocol.OpGuard, s.Czxid
	case "raiseSequence":
		w.Op, w.AtLeast = protocol.OpRaiseSequence, s.AtLeast
	}
	return w
}

func (w *world) read(process int, session uint64, linearizable bool, steps ...step) *op {
	o := op{Process: process, Session: session, N: w.place(process), Call: "read", Linearizable: linearizable, Steps: steps, Invoke: w.tick(), Outcome: ok}
	for i := range steps {
		o.Answers = append(o.Answers, w.model.read(&steps[i]))
	}
	if len(steps) == 1 && steps[0].Kind == "get" && o.Answers[0].Error != "" {
		o.Outcome, o.Error, o.Answers = fail, o.Answers[0].Error, nil
	}
	o.Zxid, o.Return = w.mach.Zxid(), w.tick()
	w.h.Ops = append(w.h.Ops, o)
	return &w.h.Ops[len(w.h.Ops)-1]
}

// end closes a session by its client, or by its timeout.
func (w *world) end(process int, session uint64, expired bool) {
	state0 := "closing"
	t := &state.Txn{Kind: state.TxnExpire, Session: session, Generation: w.gens[session], Cause: "silent"}
	if expired {
		state0 = "abandoned"
	} else {
		w.seqs[session]++
		t = &state.Txn{
			Kind: state.TxnWrite, Session: session, Generation: w.gens[session], Seq: w.seqs[session], Xid: w.seqs[session],
			Op: protocol.OpCloseSession, Body: protocol.AppendCloseSession(nil),
		}
	}
	w.h.Lives = append(w.h.Lives, life{Process: process, Session: session, State: state0, TimeoutMs: lifetime, At: w.tick()})
	if expired {
		w.now += lifetime * 1e6
	}
	w.log(t)
	w.model.end(session, w.mach.Zxid())
}

// event tells something of a watch: opened and closed at the present, an event at the zxid given.
func (w *world) event(process int, session uint64, watch int, mode, kind, path string, zxid uint64) {
	w.h.Events = append(w.h.Events, event{
		Process: process, Session: session, Watch: watch, N: w.place(process), Kind: kind, Mode: mode, Path: path, Zxid: zxid, At: w.tick(),
	})
}

// finish adds what the end of a run has.
func (w *world) finish() *history {
	for id := range uint64(w.h.About.Servers) {
		for _, path := range []string{"/set", "/seq", "/batch", "/queue", "/counter/c"} {
			kind := "children"
			if path == "/counter/c" {
				kind = "get"
			}
			w.read(finalProcess+int(id)+1, 0, true, step{Kind: kind, Path: path})
		}
		w.h.Members = append(w.h.Members, member{ID: id + 1, Zxid: w.mach.Zxid(), Digest: w.mach.Digest(), Nodes: int64(w.mach.Len())})
		w.h.Samples = append(w.h.Samples,
			sample{Server: id + 1, Boot: 1, Term: 1, VoteTerm: 1, Vote: "1"}, sample{Server: id + 1, Boot: 1, Term: 2, VoteTerm: 2, Vote: "2"})
	}
	w.h.About.End = w.tick()
	return w.h
}
