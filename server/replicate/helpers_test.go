package replicate

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is a Machine around state.Machine that keeps, as lanes do, what it
// was given until it is applied, and sends it again when told to.
type replica struct {
	observer interface {
		SessionOpened(id, generation uint64, timeoutMs int64)
		SessionEnded(id uint64)
	}
	log interface{ Append(*state.Txn) []byte }

	busy atomic.Pointer[chan struct{}] // Apply waits for it

	mu       sync.RWMutex // guards what follows
	machine  *state.Machine
	unsent   []state.Txn // not applied, in order
	entries  int
	resends  int
	mark     mark
	closed   int // times all connections were closed
	touched  []uint64
	silence  time.Duration // the longest that CutOff was told of
	gate     chan struct{}
	emptied  func()     // called before an empty machine is installed
	changed  *sync.Cond // broadcast after each apply
	opened   []uint64   // sessions by order of opening
	outcomes map[protocol.Code]int
}

func newReplica() *replica {
	r := &replica{machine: state.New(), outcomes: map[protocol.Code]int{}}
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *replica) Apply(entry []byte) error {
	if busy := r.busy.Load(); busy != nil {
		<-*busy
	}
	batch, err := state.DecodeBatch(entry)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries++
	var t state.Txn
	var out state.Outcome
	for {
		more, err := batch.Next(&t)
		if err != nil || !more {
			r.changed.Broadcast()
			return err
		}
		before := r.machine.Zxid()
		r.machine.Apply(&t, batch.StampMs(), &out)
		if zxid := r.machine.Zxid(); zxid != before {
			r.mark = mark{zxid, r.machine.Digest()}
		}
		r.note(&t, &out)
	}
}

func (r *replica) note(t *state.Txn, out *state.Outcome) {
	if out.Verdict == state.Applied {
		r.outcomes[out.Answer.Code]++
	}
	if out.Verdict == state.Applied && len(r.unsent) > 0 && same(&r.unsent[0], t) {
		r.unsent = r.unsent[1:]
	}
	if t.Kind == state.TxnOpen && out.Answer.Code == protocol.OK {
		r.opened = append(r.opened, out.Session)
		r.observer.SessionOpened(out.Session, out.Generation, out.TimeoutMs)
	}
	if out.Ended {
		r.observer.SessionEnded(out.Session)
	}
}

func same(a, b *state.Txn) bool {
	return a.Kind == b.Kind && a.Session == b.Session && a.Generation == b.Generation && a.Seq == b.Seq && a.PasswordHash == b.PasswordHash
}

func (r *replica) Freeze() *state.Image {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.Freeze()
}

func (r *replica) Install(m *state.Machine) {
	r.mu.Lock()
	emptied := r.emptied
	r.mu.Unlock()
	if emptied != nil && m.Zxid() == 0 {
		emptied()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine, r.mark = m, mark{}
}

func (r *replica) Resend() {
	r.mu.Lock()
	again := append([]state.Txn(nil), r.unsent...)
	r.resends++
	r.mu.Unlock()
	for i := range again {
		r.log.Append(&again[i])
	}
}

func (r *replica) View(f func(*state.Machine)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f(r.machine)
}

func (r *replica) Touched() []uint64 {
	r.mu.Lock()
	touched, gate := r.touched, r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return touched
}

func (r *replica) CutOff(silence time.Duration) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silence = max(r.silence, silence)
	return 0
}

func (r *replica) CloseAll(protocol.Code, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
}

func (r *replica) HaltWrites(string) {}

// Mark is the digest right after the newest zxid, unknown after an image, as a
// Core has it: entries that take no zxid move the clock.
func (r *replica) Mark() (zxid, digest uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mark.zxid, r.mark.digest
}

func (r *replica) MarkAt(zxid uint64) (digest uint64, ok bool) {
	now, digest := r.Mark()
	return digest, now == zxid && now != 0
}

func (r *replica) timesClosed() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed
}

// answers is how often each code answered a write.
func (r *replica) answers() map[protocol.Code]int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.outcomes)
}

// hold has Touched wait for gate.
func (r *replica) hold(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = gate
}

// whenEmptied has f called before an empty machine is installed.
func (r *replica) whenEmptied(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emptied = f
}

// content tells machines apart by all but their clock, which every entry moves.
func (r *replica) content() [3]uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return [3]uint64{r.machine.Zxid(), r.machine.Tree().Digest(), r.machine.Sessions().Digest()}
}

func (r *replica) has(path string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return exists(r.machine, path)
}

// send keeps a transaction until it is applied and gives it to the log.
func (r *replica) send(t state.Txn) {
	r.mu.Lock()
	r.unsent = append(r.unsent, t)
	r.mu.Unlock()
	r.log.Append(&t)
}

// await returns once ok holds; ok runs under the lock, after every apply.
func (r *replica) await(t *testing.T, what string, ok func(m *state.Machine) bool) {
	t.Helper()
	gaveUp := false
	timer := time.AfterFunc(20*time.Second, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		gaveUp = true
		r.changed.Broadcast()
	})
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok(r.machine) {
		if gaveUp {
			require.Fail(t, "never happened", what)
		}
		r.changed.Wait()
	}
}

func open(n int, timeout time.Duration) state.Txn {
	return state.Txn{Kind: state.TxnOpen, PasswordHash: sha256.Sum256(fmt.Append(nil, n)), TimeoutMs: timeout.Milliseconds()}
}

// session opens one and returns its id.
func (r *replica) session(t *testing.T, timeout time.Duration) uint64 {
	t.Helper()
	r.mu.Lock()
	n := len(r.opened)
	r.mu.Unlock()
	r.send(open(n, timeout))
	r.await(t, "session", func(*state.Machine) bool { return len(r.opened) > n })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened[n]
}

func write(session, generation, seq uint64, op protocol.Op, body []byte) state.Txn {
	return state.Txn{
		Kind: state.TxnWrite, Session: session, Generation: generation, Seq: seq, Op: op,
		IDs: protocol.AppendIdentities(nil, nil), Body: body,
	}
}

func create(path string, data []byte) []byte {
	return protocol.AppendCreate(nil, &znode.CreateOp{Path: path, Data: data, ACL: znode.OpenACL})
}

func exists(m *state.Machine, path string) bool {
	_, _, ok := m.Tree().Peek(path)
	return ok
}

// disk is what outlives a node in a test.
type disk struct {
	logs  monotonic
	snaps *raft.InmemSnapshotStore
}

// monotonic makes raft's own store in memory say what ours says.
type monotonic struct{ *raft.InmemStore }

func (monotonic) IsMonotonic() bool { return true }

func newDisk() *disk {
	return &disk{logs: monotonic{raft.NewInmemStore()}, snaps: raft.NewInmemSnapshotStore()}
}

// start opens a node over d with a fresh replica and waits until it is ready.
func start(t *testing.T, d *disk, cfg Config) (*Node, *replica) {
	t.Helper()
	cfg.ID, cfg.Address = 1, "127.0.0.1:2888"
	n := New(cfg, d.logs, d.snaps)
	r := newReplica()
	r.observer, r.log = n, n
	require.NoError(t, n.Open(r))
	t.Cleanup(func() { _ = n.Close(t.Context()) })
	select {
	case <-n.Ready():
	case err := <-n.Fatal():
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.Fail(t, "never ready", "%v", n.Condition())
	}
	return n, r
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	require.NoError(t, n.Close(t.Context()))
}
