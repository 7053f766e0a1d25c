package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// watchModel is a client whose watches come, go and are cut off, and a server that
// remembers everything: a tree of three nodes, whose transactions change one several
// times, and the watches of the connection there is. Frames lie on their way both
// ways until a step moves them. No goroutine runs: what happens is the seed's.
type watchModel struct {
	t    *testing.T
	rand *rand.Rand
	c    *Client
	l    *link

	zxid    uint64
	there   map[string]bool
	history []protocol.Message
	left    map[watchKey]bool // at the server, of this connection
	resumed map[*Watch]bool   // on this connection
	up      []protocol.Request
	down    []protocol.Message

	watches []*modelWatch
	told    int
	cuts    int
	froms   int
	cutOff  int // how often a watch from a zxid was, before its answer
}

// modelWatch is a watch and what it has told.
type modelWatch struct {
	*Watch
	xid   *uint64 // of its request
	since uint64  // where it begins, once that is known
	known bool
	point uint64 // up to which it has told everything, as of the last cut
	told  []Event
}

func newWatchModel(t *testing.T, seed uint64) *watchModel {
	c, err := newClient([]string{"a:1"}, protocol.HelloOpen, nil)
	require.NoError(t, err)
	m := &watchModel{t: t, rand: rand.New(rand.NewPCG(seed, 0)), c: c, zxid: 1, there: map[string]bool{}}
	m.connect()
	return m
}

// connect gives the client a new connection, whose frames take two or three watches;
// of some, only a few requests are unanswered at a time.
func (m *watchModel) connect() {
	m.left, m.resumed, m.up, m.down = map[watchKey]bool{}, map[*Watch]bool{}, nil, nil
	m.c.narrow = m.rand.IntN(3)
	m.l = newLink(m.c, sayer{bytes.NewReader(nil)}, "a:1")
	w := &protocol.Welcome{Version: 1, Session: 1, Password: make([]byte, passwordSize), TimeoutMs: 1000, Zxid: m.c.lastZxid, Limits: protocol.DefaultLimits()}
	w.Limits.MaxFrame = 120
	require.NoError(m.t, m.c.welcomed(m.l, w, m.c.now()))
}

func (m *watchModel) cut() {
	m.cuts++
	for _, w := range m.watches {
		m.check(w)
		w.point = w.Zxid()
	}
	m.c.mu.Lock()
	for i := range m.c.sent.len() {
		if cl := m.c.sent.at(i); cl.replay != nil && !cl.isResume() && !cl.abandoned {
			m.cutOff++
		}
	}
	m.c.link = nil
	m.c.takeBackSent()
	m.c.watches.disconnected()
	m.c.mu.Unlock()
	m.connect()
}

func (m *watchModel) step() {
	switch action := m.rand.IntN(100); {
	case action < 30:
		m.transaction()
	case action < 55:
		m.serve()
	case action < 80:
		m.deliver()
	case action < 88 && len(m.watches) < 8:
		m.watch()
	case action < 90 && len(m.watches) > 0:
		m.drop(m.rand.IntN(len(m.watches)))
	case action < 92:
		m.cut()
	case action < 95 && len(m.left) > 0 && !slices.ContainsFunc(m.up, func(r protocol.Request) bool { return r.Op == protocol.OpResume }):
		m.tell(protocol.EventProgress, "", m.zxid)
	}
}

var modelPaths = []string{"/d", "/d/a", "/e"}

func (m *watchModel) transaction() {
	m.zxid++
	before := len(m.history)
	path := modelPaths[m.rand.IntN(len(modelPaths))]
	for range 1 + m.rand.IntN(4) {
		m.change(path)
		if m.rand.IntN(3) == 0 {
			path = modelPaths[m.rand.IntN(len(modelPaths))]
		}
	}
	if len(m.history) == before {
		m.zxid--
	}
	for _, e := range m.history[before:] {
		for key := range m.left {
			if key.hears(&e) {
				m.down = append(m.down, e)
				break
			}
		}
	}
}

func (m *watchModel) change(path string) {
	parent := znode.Parent(path)
	switch {
	case !m.there[path] && parent != "/" && !m.there[parent]:
	case m.there[path] && m.rand.IntN(3) == 0:
		m.happen(protocol.EventDataChanged, path)
	case m.there[path] && m.there[path+"/a"]:
	default:
		m.there[path] = !m.there[path]
		m.happen(map[bool]protocol.EventType{true: protocol.EventCreated, false: protocol.EventDeleted}[m.there[path]], path)
		m.happen(protocol.EventChildrenChanged, parent)
	}
}

func (m *watchModel) happen(e protocol.EventType, path string) {
	m.history = append(m.history, protocol.Message{Kind: protocol.Event, Event: e, Path: path, Zxid: m.zxid})
}

func (m *watchModel) tell(e protocol.EventType, path string, zxid uint64) {
	m.down = append(m.down, protocol.Message{Kind: protocol.Event, Event: e, Path: path, Zxid: zxid})
}

func (k watchKey) hears(e *protocol.Message) bool {
	if k.mode == protocol.WatchPersistent {
		return k.path == e.Path
	}
	below := strings.HasPrefix(e.Path+"/", strings.TrimSuffix(k.path, "/")+"/")
	return below && e.Event != protocol.EventChildrenChanged
}

// serve has the client send what it can, and the server take one request, if there
// is any.
func (m *watchModel) serve() bool {
	m.c.mu.Lock()
	before := m.c.sent.len()
	frames := bufio.NewReader(bytes.NewReader(m.c.gather(m.l, nil)))
	for i := before; i < m.c.sent.len(); i++ {
		m.sent(m.c.sent.at(i))
	}
	m.c.mu.Unlock()
	for {
		frame, err := protocol.ReadFrame(frames, nil, 1<<20)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(m.t, err)
		var r protocol.Request
		require.NoError(m.t, protocol.DecodeRequest(frame, &r))
		m.up = append(m.up, r)
	}
	if len(m.up) == 0 {
		return false
	}
	r := m.up[0]
	m.up = m.up[1:]
	switch r.Op {
	case protocol.OpResume:
		m.resume(r.Watches)
	case protocol.OpWatch:
		m.left[keyOf(r.Watches[0])] = true
	case protocol.OpUnwatch:
		delete(m.left, keyOf(r.Watches[0]))
	}
	m.down = append(m.down, protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: m.zxid})
	return true
}

// sent sees to it that a connection resumes each watch once, from the point up to
// which it has told everything.
func (m *watchModel) sent(cl *call) {
	if cl.replay == nil {
		return
	}
	since := map[watchKey]uint64{}
	for _, w := range cl.replay.watches {
		require.False(m.t, m.resumed[w], "%s is resumed twice", w.path)
		m.resumed[w] = true
		i := slices.IndexFunc(m.watches, func(of *modelWatch) bool { return of.Watch == w })
		if i < 0 {
			return // it was closed
		}
		key := watchKey{w.path, w.mode}
		if point, others := since[key]; !others || m.watches[i].point < point {
			since[key] = m.watches[i].point
		}
	}
	for _, w := range cl.req.Watches {
		require.Equal(m.t, since[keyOf(w)], w.Since, "since when %s is resumed", w.Path)
	}
}

func keyOf(w protocol.Watch) watchKey { return watchKey{w.Path, w.Mode} }

func (m *watchModel) resume(watches []protocol.Watch) {
	m.tell(protocol.EventProgress, "", 0)
	for _, e := range m.history {
		if slices.ContainsFunc(watches, func(w protocol.Watch) bool { return e.Zxid > w.Since && keyOf(w).hears(&e) }) {
			m.down = append(m.down, e)
		}
	}
	m.tell(protocol.EventReplayDone, "", m.zxid)
	for _, w := range watches {
		m.left[keyOf(w)] = true
	}
}

// deliver lets some of what the server has said arrive.
func (m *watchModel) deliver() {
	for range min(len(m.down), 1+m.rand.IntN(6)) {
		message := m.down[0]
		m.down = m.down[1:]
		for _, w := range m.watches {
			if message.Op == protocol.OpWatch && message.Xid == *w.xid {
				w.since, w.known = message.Zxid, true
			}
		}
		require.NoError(m.t, m.l.handle(&message))
	}
	for _, w := range m.watches {
		m.check(w)
	}
}

func (m *watchModel) watch() {
	var opts []WatchOption
	if m.rand.IntN(2) == 0 {
		opts = append(opts, Subtree())
	}
	w := &modelWatch{}
	if m.rand.IntN(2) == 0 {
		m.froms++
		w.known, w.since = true, m.c.lastZxid-min(m.c.lastZxid, uint64(m.rand.IntN(4)))
		if len(m.watches) > 0 && m.rand.IntN(3) > 0 {
			w.since = m.watches[m.rand.IntN(len(m.watches))].Zxid()
		}
		w.point = w.since
		opts = append(opts, FromZxid(w.since))
	}
	w.Watch = m.c.newWatch(opts)
	cl, err := w.request(append(modelPaths, "/")[m.rand.IntN(4)])
	require.NoError(m.t, err)
	require.NoError(m.t, m.c.startWatch(cl))
	w.xid = &cl.req.Xid
	m.watches = append(m.watches, w)
}

func (m *watchModel) drop(i int) {
	m.watches[i].Close()
	m.watches = slices.Delete(m.watches, i, i+1)
}

// check takes what a watch tells and compares it with what it was to hear so far.
func (m *watchModel) check(w *modelWatch) {
	before := len(w.told)
	for {
		e, more, err := w.take()
		require.NoError(m.t, err)
		if !more {
			break
		}
		w.told = append(w.told, e)
	}
	if len(w.told) == before {
		return
	}
	m.told += len(w.told) - before
	if want := m.due(w); len(w.told) > len(want) || !slices.Equal(want[:len(w.told)], w.told) {
		require.Equal(m.t, want, w.told)
	}
}

// due is every change of what the watch is for, since it began, in order. What does
// not go by turns is told once in a transaction.
func (m *watchModel) due(w *modelWatch) (want []Event) {
	key, same := watchKey{w.path, w.mode}, 0
	for _, m := range m.history {
		if !w.known || m.Zxid <= w.since || !key.hears(&m) {
			continue
		}
		e := Event{Type: eventTypes[m.Event], Path: m.Path, Zxid: m.Zxid}
		if len(want) == 0 || want[len(want)-1].Zxid != e.Zxid {
			same = len(want)
		}
		if e.Type == EventCreated || e.Type == EventDeleted || !slices.Contains(want[same:], e) {
			want = append(want, e)
		}
	}
	return want
}

// settle lets everything arrive, and everybody must have heard all.
func (m *watchModel) settle() {
	for m.serve() || len(m.down) > 0 {
		m.deliver()
	}
	for _, w := range m.watches {
		require.Equal(m.t, m.due(w), w.told)
	}
}

func TestEachWatchHearsEachChangeOnceAndInOrder(t *testing.T) {
	var told, cuts, froms, cutOff int
	var seed uint64
	defer func() {
		t.Logf("%d events told, %d connections cut, %d watches from a zxid, %d times one cut off before its answer", told, cuts, froms, cutOff)
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for seed = range 200 {
		m := newWatchModel(t, seed)
		for range 200 {
			m.step()
		}
		m.settle()
		told, cuts, froms, cutOff = told+m.told, cuts+m.cuts, froms+m.froms, cutOff+m.cutOff
		m.c.end(Closed, ErrClosed)
	}
	require.Greater(t, told, 20_000)
	require.Greater(t, cuts, 500)
	require.Greater(t, froms, 500)
	require.Greater(t, cutOff, 100)
}
