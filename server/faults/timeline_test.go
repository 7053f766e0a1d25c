package faults

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// txn is a logged transaction that took a zxid.
type txn struct {
	Zxid    uint64
	Session uint64 // of an open: the new one's
	Xid     uint64
	Kind    string // write open attach close expire reap
	Steps   []step
	Answers []answer
	Changes []change
	StampMs int64 // the leader's clock
	Timeout int64 // ms, of an open or attach
	Cause   string
}

// timeline is what the servers' logs say happened, in order.
type timeline struct {
	First   uint64 // zxid of the state that it begins with
	Last    uint64
	Whole   bool  // nothing was before First, and nothing after Last
	Txns    []txn // the one with zxid z at z-First-1
	Digests map[uint64][]uint64
	Faulty  []string // what the log itself shows to be wrong

	alive   map[uint64]bool  // sessions at First
	touched map[string][]int // path -> places in Txns of its changes
	ended   map[uint64]int   // session -> place of its end
}

func (t *timeline) at(zxid uint64) *txn {
	if zxid <= t.First || zxid > t.Last {
		return nil
	}
	return &t.Txns[zxid-t.First-1]
}

func (t *timeline) index() {
	t.touched, t.ended = map[string][]int{}, map[uint64]int{}
	for i := range t.Txns {
		x := &t.Txns[i]
		for _, c := range x.Changes {
			t.touched[c.Path] = append(t.touched[c.Path], i)
		}
		if x.Kind == "close" || x.Kind == "expire" {
			t.ended[x.Session] = i
		}
	}
}

// endOf is nil of a session that lives.
func (t *timeline) endOf(session uint64) *txn {
	i, ended := t.ended[session]
	if !ended {
		return nil
	}
	return &t.Txns[i]
}

// firstChange is that of a path after a zxid, nil if there is none.
func (t *timeline) firstChange(path string, after uint64) *txn {
	places := t.touched[path]
	i := sort.Search(len(places), func(i int) bool { return t.Txns[places[i]].Zxid > after })
	if i == len(places) {
		return nil
	}
	return &t.Txns[places[i]]
}

func (t *timeline) covers(zxid uint64) bool { return zxid >= t.First && zxid <= t.Last }

var errNoLog = errors.New("the dumped logs do not make a whole")

// visitor looks at the state right after a zxid, and at that which the timeline begins with.
type visitor func(zxid uint64, m *model)

// replay runs the log through the product's machine, which knows what is admitted, and through the model, which knows what must come of it.
func replay(h *history, visit visitor) (*timeline, error) {
	entries, start, whole, err := assemble(h)
	if err != nil {
		return nil, err
	}
	r := &replayer{machine: state.New(), model: newModel(), visit: visit, ran: map[[2]uint64]uint64{}}
	if start != nil {
		if err := r.begin(h, start); err != nil {
			return nil, err
		}
	}
	r.line = &timeline{First: r.machine.Zxid(), Whole: whole, Digests: map[uint64][]uint64{}, alive: maps.Clone(r.model.live)}
	r.look()
	for _, e := range entries {
		if raft.LogType(e.Type) == raft.LogCommand {
			if err := r.entry(e); err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
	}
	r.line.Last = r.machine.Zxid()
	r.line.index()
	return r.line, nil
}

// assemble joins what was dumped of all servers to one log, as long as it can be: from the beginning, or from an image where the logs before
// have been cut off.
func assemble(h *history) (log []*entry, start *image, whole bool, err error) {
	byIndex := map[uint64]*entry{}
	last := uint64(0)
	for i := range h.Entries {
		e := &h.Entries[i]
		// Of one index the entry of the greatest term is the one that was kept.
		if old := byIndex[e.Index]; old == nil || old.Term < e.Term {
			byIndex[e.Index] = e
		}
		last = max(last, e.Index)
	}
	for _, from := range append([]image{{}}, h.Images...) {
		var run []*entry
		for i := from.Index + 1; byIndex[i] != nil; i++ {
			run = append(run, byIndex[i])
		}
		if len(run) <= len(log) {
			continue
		}
		log, start = run, nil
		if from.Index > 0 {
			start = &from
		}
	}
	if len(log) == 0 {
		return nil, nil, false, errNoLog
	}
	return log, start, start == nil && log[len(log)-1].Index == last, nil
}

type replayer struct {
	machine *state.Machine
	model   *model
	line    *timeline
	visit   visitor
	ran     map[[2]uint64]uint64 // (session, xid) -> zxid
	out     state.Outcome
}

func (r *replayer) look() {
	if r.visit != nil {
		r.visit(r.machine.Zxid(), r.model)
	}
}

func (r *replayer) begin(h *history, start *image) error {
	raw, err := os.ReadFile(filepath.Join(h.dir, start.File))
	if err != nil {
		return err
	}
	if r.machine, _, err = state.ReadImage(bytes.NewReader(raw)); err != nil {
		return err
	}
	r.model.load("/", r.machine)
	for _, l := range h.Lives {
		if _, live := r.machine.Sessions().Get(l.Session); live {
			r.model.live[l.Session] = true
		}
	}
	for path, n := range r.model.nodes {
		if n.Owner != 0 {
			r.model.owned[n.Owner] = append(r.model.owned[n.Owner], path)
		}
	}
	return nil
}

// load takes over what a machine has at a path and below.
func (m *model) load(path string, from *state.Machine) {
	actor := znode.Actor{IDs: []znode.Identity{{Scheme: "world", ID: "anyone"}}}
	data, stat, err := from.Tree().Get(&actor, path)
	if err != nil {
		return
	}
	n := &modelNode{names: map[string]bool{}, answer: statAnswer(&stat), created: (stat.Cversion + int64(stat.NumChildren)) / 2}
	n.Data = string(data)
	m.nodes[path] = n
	names, _, _, _ := from.Tree().Children(&actor, path, "", 0)
	for _, name := range names {
		n.names[name] = true
		m.load(znode.Join(path, name), from)
	}
}

func (r *replayer) entry(e *entry) error {
	batch, err := state.DecodeBatch(e.Data)
	if err != nil {
		return err
	}
	for {
		var t state.Txn
		more, err := batch.Next(&t)
		if err != nil || !more {
			return err
		}
		if err := r.apply(&t, batch.StampMs()); err != nil {
			return err
		}
	}
}

func (r *replayer) wrong(format string, args ...any) {
	r.line.Faulty = append(r.line.Faulty, fmt.Sprintf(format, args...))
}

func (r *replayer) apply(t *state.Txn, stampMs int64) error {
	before := r.machine.Zxid()
	var changes []change
	for _, e := range r.machine.Apply(t, stampMs, &r.out) {
		if name := effectNames[e.Type]; name != "" {
			changes = append(changes, change{name, e.Path})
		}
	}
	zxid := r.machine.Zxid()
	if n := len(r.line.Digests[zxid]); n == 0 || r.line.Digests[zxid][n-1] != r.machine.Digest() {
		r.line.Digests[zxid] = append(r.line.Digests[zxid], r.machine.Digest())
	}
	x := txn{Zxid: zxid, Session: t.Session, Xid: t.Xid, StampMs: stampMs, Timeout: t.TimeoutMs, Cause: r.out.Cause}
	if err := r.follow(t, &x, zxid != before, changes); err != nil {
		return err
	}
	if zxid != before {
		r.line.Txns = append(r.line.Txns, x)
		r.look()
	}
	return nil
}

var effectNames = map[znode.EffectType]string{
	znode.NodeCreated: "created", znode.NodeDeleted: "deleted", znode.DataChanged: "changed", znode.SequenceRaised: "raised",
}

// follow has the model do what the machine did, and compares.
func (r *replayer) follow(t *state.Txn, x *txn, stepped bool, changes []change) error {
	var made []change
	switch {
	case t.Kind == state.TxnOpen && stepped:
		x.Kind, x.Session = "open", r.out.Session
		r.model.live[x.Session] = true
	case t.Kind == state.TxnAttach && stepped:
		x.Kind = "attach"
	case r.out.Ended:
		x.Kind = "expire"
		if t.Kind == state.TxnWrite {
			x.Kind = "close"
		}
		made = r.model.end(t.Session, x.Zxid)
	case t.Kind == state.TxnWrite && r.out.Verdict == state.Applied && t.Op != protocol.OpCloseSession:
		x.Kind = "write"
		var err error
		if made, err = r.write(t, x, stepped); err != nil {
			return err
		}
	case t.Kind == state.TxnConfig && stepped:
		x.Kind, made = "config", []change{{"changed", "/zookeeper/config"}}
	case stepped:
		x.Kind, made = "reap", changes // none of the workloads makes nodes that go by themselves
		r.wrong("zxid %d: a node went by itself: %v", x.Zxid, changes)
	}
	x.Changes = made
	if !slices.Equal(made, changes) {
		r.wrong("zxid %d: the machine changed %v, the model %v", x.Zxid, changes, made)
	}
	return nil
}

func (r *replayer) write(t *state.Txn, x *txn, stepped bool) (made []change, err error) {
	if x.Steps, err = decodeSteps(t); err != nil {
		return nil, err
	}
	if !r.model.live[t.Session] && r.out.Answer.Code != protocol.SessionExpired {
		r.wrong("zxid %d: a write of session %#x, which had ended", x.Zxid, t.Session)
	}
	if r.out.Answer.Code == protocol.SessionExpired || r.out.Answer.Code == protocol.Aborted || r.out.Answer.Code == protocol.TooManyOutcomes {
		return nil, nil // refused before it ran
	}
	key := [2]uint64{t.Session, t.Xid}
	if was, twice := r.ran[key]; twice && t.Xid != 0 { // as ZooKeeper's clients have it
		r.wrong("zxid %d: write %d of session %#x runs again, after zxid %d", x.Zxid, t.Xid, t.Session, was)
	}
	r.ran[key] = x.Zxid
	answers, made, code, _ := r.model.apply(t.Session, x.Zxid, x.Steps)
	if code != r.out.Answer.Code {
		r.wrong("zxid %d: the machine answers %v to %+v, the model %v", x.Zxid, r.out.Answer.Code, x.Steps, code)
	}
	if code == protocol.OK && stepped != (len(made) > 0) {
		r.wrong("zxid %d: %+v made %v", x.Zxid, x.Steps, made)
	}
	x.Answers = answers
	return made, nil
}

// decodeSteps turns a logged write into what a client asked.
func decodeSteps(t *state.Txn) ([]step, error) {
	var ops []protocol.WriteOp
	var err error
	if t.Op == protocol.OpMulti {
		ops, _, err = protocol.DecodeMulti(t.Body, nil)
	} else {
		ops = make([]protocol.WriteOp, 1)
		err = protocol.DecodeWrite(t.Op, t.Body, &ops[0])
	}
	steps := make([]step, len(ops))
	for i := range ops {
		steps[i] = stepOf(&ops[i])
	}
	return steps, err
}

func stepOf(w *protocol.WriteOp) step {
	if w.Op == protocol.OpCreate {
		c := &w.Create
		return step{
			Kind: "create", Path: string([]byte(c.Path)), Data: string(c.Data), Version: -1,
			Ephemeral: c.Kind == znode.Ephemeral, Sequential: c.Sequential,
		}
	}
	s := step{Path: string([]byte(w.Path)), Data: string(w.Data), Version: w.Version, Czxid: w.Czxid, AtLeast: w.AtLeast}
	switch w.Op {
	case protocol.OpSet:
		s.Kind = "set"
	case protocol.OpDelete:
		s.Kind = "delete"
	case protocol.OpCheck:
		s.Kind = "check"
	default:
		s.Kind = w.Op.String()
	}
	return s
}
