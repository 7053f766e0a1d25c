package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// world is one run: everything that happens in it follows from its seed.
type world struct {
	rng          *rand.Rand
	chances      chances
	ringEffects  int
	outboxBytes  int
	keptStep     int64 // kept answers that halve what one session may keep
	model        *model
	cluster      *cluster
	servers      []*server
	clients      []*client
	conns        []*conn
	origins      uint64
	setupSession uint64
	newest       uint64 // zxid that any client has been shown
	acked        []ackedToken
	refused      []refusedWrite
	stats        stats
	quiet        bool
	laggard      int // server that applies slowly, if there is one of that id
	slowness     int
	linearizable int // of 20 reads
}

// chances are how bad it is: faults in 1000 steps, and transactions lost or
// doubled on their way in 100.
type chances struct{ fault, lose, double int }

// ackedToken must be in the tree once, and at that path if one was told.
type ackedToken struct{ token, path string }

// refusedWrite was told not to have run, and must never run.
type refusedWrite struct{ session, xid uint64 }

// stats says what a run has seen, so that a run that saw nothing is noticed.
type stats struct {
	acked, sessions, attaches, resumes, compared, gaps int
	leaderChanges, restarts, installs, expiries        int
	lost, delayed, skipped, noCredit, futures, breaks  int
	lapses, doubts, overflows                          int
	events                                             map[protocol.EventType]int
	codes                                              map[protocol.Code]int
	replies                                            map[protocol.Op]int
	duplicates, gapsInLog, fenced, repeated, moved     uint64
}

// violation is how a run ends that broke a rule.
type violation string

func (w *world) fail(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// traced is the client whose story is printed, -1 for none.
var traced = -1

func (cl *client) note(args ...any) {
	if cl.id == traced {
		fmt.Println(args...)
	}
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), model: newModel()}
	w.stats.events, w.stats.codes, w.stats.replies = map[protocol.EventType]int{}, map[protocol.Code]int{}, map[protocol.Op]int{}
	w.ringEffects = []int{8, 40, 100_000}[w.rng.IntN(3)]
	w.outboxBytes = []int{400, 4000, 1 << 20}[w.rng.IntN(3)]
	w.keptStep = []int64{200, 1 << 20, 1 << 20, 1 << 20}[seed%4]
	w.laggard, w.slowness = w.rng.IntN(5), []int{2, 4, 8, 20}[w.rng.IntN(4)]
	w.linearizable = []int{2, 5, 16}[w.rng.IntN(3)]
	w.cluster = newCluster(w)
	w.setup()
	for id := range 3 {
		w.servers = append(w.servers, w.newServer(id))
	}
	for id := range 4 {
		cl := &client{w: w, id: id}
		cl.newSession()
		w.clients = append(w.clients, cl)
	}
	return w
}

// setup logs the nodes that the clients use.
func (w *world) setup() {
	c := w.cluster
	open := state.Txn{Kind: state.TxnOpen, TimeoutMs: 10_000}
	entry := state.AppendTxn(state.AppendBatchHeader(nil, c.clockMs), &open)
	w.setupSession = 1
	for i, path := range []string{"/q", "/e", "/k", "/k/one", "/k/two"} {
		op := znode.CreateOp{Path: path, ACL: znode.OpenACL}
		t := state.Txn{
			Kind: state.TxnWrite, Session: 1, Generation: 1, Seq: uint64(i + 1), Op: protocol.OpCreate,
			IDs: protocol.AppendIdentities(nil, nil), Body: protocol.AppendCreate(nil, &op),
		}
		entry = state.AppendTxn(entry, &t)
	}
	c.inFlight = append(c.inFlight, entry)
	c.commit()
}

// step does one thing that may happen next, often several times in a row.
func (w *world) step() {
	s := w.servers[w.rng.IntN(len(w.servers))]
	cl := w.clients[w.rng.IntN(len(w.clients))]
	n := w.rng.IntN(1000)
	switch {
	case n < 170:
		w.some(3, func() { w.issue(cl) })
	case n < 360:
		c := w.someConn()
		w.some(4, c.stepUp)
	case n < 540:
		c := w.someConn()
		w.some(6, c.stepDown)
	case n < 660:
		w.some(6, s.deliver)
	case n < 730:
		w.cluster.seal()
	case n < 800:
		w.cluster.commit()
	case n < 900:
		if s.id != w.laggard || w.quiet || w.rng.IntN(w.slowness) == 0 {
			w.some(4, s.applyNext)
		}
	case n < 930:
		s.hear()
		s.connect()
	case n < 980:
		if cl.conn == nil {
			cl.connect()
		}
	case n < 1000-w.chances.fault:
		cl.ping()
	default:
		if !w.quiet {
			w.fault(s, cl)
		}
	}
}

func (w *world) some(most int, f func()) {
	for range 1 + w.rng.IntN(most) {
		f()
	}
}

func (w *world) issue(cl *client) {
	if !w.quiet {
		cl.issue()
	}
}

func (w *world) fault(s *server, cl *client) {
	switch n := w.rng.IntN(100); {
	case n < 25:
		w.cluster.deliverLimbo()
	case n < 40:
		if cl.conn != nil {
			cl.leave()
			w.stats.breaks++
		}
	case n < 60:
		w.someConn().sever()
	case n < 68:
		s.breakStream()
	case n < 76:
		if w.rng.IntN(2) == 0 {
			w.cluster.changeLeader()
		} else {
			w.cluster.lapse()
		}
	case n < 82:
		s.takeImage()
	case n < 85:
		s.refuse(w.rng.IntN(2) == 0)
	case n < 89:
		s.restart()
	case n < 96:
		w.installImage()
	default:
		w.expireOne()
	}
}

// someConn prefers the connections in use to those left behind.
func (w *world) someConn() *conn {
	if w.rng.IntN(8) > 0 || len(w.conns) == 0 {
		if cl := w.clients[w.rng.IntN(len(w.clients))]; cl.conn != nil {
			return cl.conn
		}
	}
	if len(w.conns) > 32 {
		w.conns = slices.DeleteFunc(w.conns, (*conn).dead)
	}
	if len(w.conns) == 0 {
		return &conn{w: w, severed: true, cl: &client{}}
	}
	return w.conns[w.rng.IntN(len(w.conns))]
}

// settle ends the faults and lets everything come to rest, which it must.
func (w *world) settle() {
	w.quiet = true
	w.chances = chances{}
	for _, s := range w.servers {
		s.refuse(false)
	}
	for round := 0; ; round++ {
		for range 400 {
			w.step()
		}
		for _, s := range w.servers {
			s.hear()
			s.connect()
		}
		if w.atRest() {
			return
		}
		if round > 200 {
			w.fail("stuck: %s", w.describe())
		}
	}
}

func (w *world) atRest() bool {
	for _, cl := range w.clients {
		if cl.conn == nil || !cl.ready || len(cl.open) > 0 || len(cl.conn.sent) > 0 {
			return false
		}
	}
	for _, s := range w.servers {
		if s.applied < len(w.cluster.log) || len(s.stream)+s.told+s.out.Stats().QueuedBytes > 0 || s.doubt {
			return false
		}
	}
	return len(w.cluster.waiting)+len(w.cluster.inFlight) == 0
}

func (w *world) describe() string {
	var b strings.Builder
	for _, cl := range w.clients {
		fmt.Fprintf(&b, "client %d ready %v open %d", cl.id, cl.ready, len(cl.open))
		if cl.conn != nil {
			fmt.Fprintf(&b, " sent %d up %d down %d severed %v closed %v", len(cl.conn.sent), len(cl.conn.up), len(cl.conn.down), cl.conn.severed, cl.conn.closed)
		}
		b.WriteString("; ")
	}
	for _, s := range w.servers {
		fmt.Fprintf(&b, "server %d applied %d of %d stream %d; ", s.id, s.applied, len(w.cluster.log), len(s.stream))
	}
	return b.String()
}

// checkEnd looks at what is there once everything is at rest.
func (w *world) checkEnd() {
	for _, s := range w.servers {
		w.checkServer(s)
	}
	found := map[string]int{}
	for _, name := range w.model.childrenAt("/q", w.model.zxid) {
		found[w.model.nodes["/q/"+name].data]++
	}
	for token, n := range found {
		if n > 1 {
			w.fail("%s ran %d times", token, n)
		}
	}
	for _, a := range w.acked {
		switch {
		case found[a.token] != 1:
			w.fail("%s was acknowledged and is not there", a.token)
		case a.path != "" && w.model.nodes[a.path].data != a.token:
			w.fail("%s was acknowledged at %s, where something else is", a.token, a.path)
		}
	}
	for _, r := range w.refused {
		if _, ran := w.model.sessions[r.session].answers[r.xid]; ran {
			w.fail("write %d of session %d ran after it had been refused", r.xid, r.session)
		}
	}
	for _, cl := range w.clients {
		if c := cl.conn; c != nil && c.replay == nil {
			c.check.look(w.model.zxid)
			if len(c.check.due) > 0 && c.visible == 0 {
				w.fail("client %d was never told %v", cl.id, c.check.due[0])
			}
		}
	}
}

// checkServer compares a server's tree with the model's, and its sessions.
func (w *world) checkServer(s *server) {
	st := s.core.Stats()
	w.stats.duplicates += st.Duplicates
	w.stats.gapsInLog += st.Gaps
	w.stats.fenced += st.Fenced
	w.stats.repeated += st.Repeated
	w.stats.moved += st.FencedLanes
	w.stats.overflows += int(s.out.Stats().Overflowed)
	if st.Broken > 0 {
		w.fail("server %d: %d lanes met another's writes under their generation", s.id, st.Broken)
	}
	if st.Requests != 0 || st.LaneBytes != 0 || st.Parked != 0 || st.NoopInFlight {
		w.fail("server %d is at rest, but not empty: %+v", s.id, st)
	}
	s.core.View(func(m *state.Machine) {
		for path, n := range w.model.nodes {
			stat, _, there := m.Tree().Peek(path)
			if !there || path != "/" && (stat.Version != n.version || stat.Owner != n.owner) {
				w.fail("server %d: %s is %+v, the model has %+v", s.id, path, stat, n)
			}
			if stat.Owner != 0 {
				if _, alive := m.Sessions().Get(stat.Owner); !alive {
					w.fail("server %d: %s outlived its session", s.id, path)
				}
			}
		}
		for id, session := range w.model.sessions {
			r, alive := m.Sessions().Get(id)
			if alive == session.ended {
				w.fail("server %d: session %d alive %v", s.id, id, alive)
			}
			if alive && (r.Generation != session.generation || r.Ack != session.ack || r.HighXid != session.high || len(r.Outcomes) != len(session.kept)) {
				w.fail("server %d: session %d is generation %d ack %d high %d with %d outcomes, the model has %+v", s.id, id, r.Generation, r.Ack, r.HighXid, len(r.Outcomes), session)
			}
		}
	})
}

// run is one seed from start to end; it returns what was broken.
func run(seed uint64, steps int) (w *world, broken string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case violation:
			broken = string(r)
		default:
			broken = fmt.Sprint("panic: ", r)
			if !catchPanics {
				panic(r)
			}
		}
	}()
	w = newWorld(seed)
	w.chances = []chances{{2, 0, 1}, {6, 1, 2}, {18, 2, 6}}[w.rng.IntN(3)]
	for range steps {
		w.step()
	}
	w.settle()
	w.checkEnd()
	return w, ""
}

func setting(t testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

func TestEveryRuleHoldsUnderEveryFault(t *testing.T) {
	seeds, steps := setting(t, "LYCAON_SIM_SEEDS", 250), setting(t, "LYCAON_SIM_STEPS", 4000)
	first := uint64(1)
	if seed := setting(t, "LYCAON_SIM_SEED", 0); seed != 0 {
		first, seeds = uint64(seed), 1
	}
	traced = setting(t, "LYCAON_SIM_TRACE", -1)
	t.Logf("seeds %d to %d, %d steps each", first, first+uint64(seeds)-1, steps)
	var total stats
	total.events, total.codes, total.replies = map[protocol.EventType]int{}, map[protocol.Code]int{}, map[protocol.Op]int{}
	for seed := first; seed < first+uint64(seeds); seed++ {
		w, broken := run(seed, steps)
		if broken != "" {
			t.Fatalf("seed %d: %s\nrepeat with LYCAON_SIM_SEED=%d LYCAON_SIM_STEPS=%d", seed, broken, seed, steps)
		}
		total.add(&w.stats)
	}
	t.Logf("%+v", total)
	if seeds >= 100 {
		total.mustHaveSeenAll(t)
	}
}

// mustHaveSeenAll fails a run in which something never happened: its checks
// then mean nothing.
func (s *stats) mustHaveSeenAll(t *testing.T) {
	for name, n := range map[string]int{
		"acknowledged writes / 1000": s.acked / 1000, "attaches": s.attaches, "exact and compared resumes": min(s.resumes-s.compared, s.compared), "gaps": s.gaps,
		"changes of leader": s.leaderChanges, "restarts": s.restarts, "images installed": s.installs, "expiries": s.expiries,
		"lapses of the leader, doubts told, outboxes full": min(s.lapses, s.doubts, s.overflows),
		"transactions lost, late and skipped":              min(s.lost, s.delayed, s.skipped), "requests without credit": s.noCredit, "waits for a zxid of the future": s.futures,
		"duplicates, gaps and fenced writes in the log": int(min(s.duplicates, s.gapsInLog, s.fenced)), "outcomes given again": int(s.repeated), "lanes fenced": int(s.moved),
	} {
		require.Positive(t, n, name)
	}
	require.Positive(t, s.replies[protocol.OpRaiseSequence], "raised sequences")
	for _, code := range []protocol.Code{
		protocol.OK, protocol.NoNode, protocol.NodeExists, protocol.BadVersion, protocol.NotEmpty,
		protocol.NoChildrenForEphemerals, protocol.Aborted, protocol.DiskFull, protocol.TooManyOutcomes,
	} {
		require.Positive(t, s.codes[code], code.String())
	}
}

func (s *stats) add(o *stats) {
	s.acked += o.acked
	s.sessions += o.sessions
	s.attaches += o.attaches
	s.resumes += o.resumes
	s.compared += o.compared
	s.gaps += o.gaps
	s.leaderChanges += o.leaderChanges
	s.restarts += o.restarts
	s.installs += o.installs
	s.expiries += o.expiries
	s.lost += o.lost
	s.delayed += o.delayed
	s.skipped += o.skipped
	s.noCredit += o.noCredit
	s.futures += o.futures
	s.lapses += o.lapses
	s.doubts += o.doubts
	s.overflows += o.overflows
	s.breaks += o.breaks
	s.duplicates += o.duplicates
	s.gapsInLog += o.gapsInLog
	s.fenced += o.fenced
	s.repeated += o.repeated
	s.moved += o.moved
	for k, n := range o.events {
		s.events[k] += n
	}
	for k, n := range o.codes {
		s.codes[k] += n
	}
	for k, n := range o.replies {
		s.replies[k] += n
	}
}
