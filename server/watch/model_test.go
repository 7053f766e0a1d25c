package watch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// client is a connection of the model. While it is cut the server still fires
// at it, but what it is told does not arrive; while it is away the server has
// forgotten it.
type client struct {
	oracle         // never cut
	conn           *listener
	cut, away      bool
	cutAt          uint64
	resume         []protocol.Watch // what stood when it was cut
	missed         []string         // what the oracle was told since
	seen           int              // events received
	replayed, gaps int
}

type model struct {
	tb      testing.TB
	world   *world
	table   *Table
	ring    *Ring
	clients []*client
}

func newModel(tb testing.TB, ringEffects int) *model {
	m := &model{tb: tb, world: newWorld(), table: NewTable(), ring: NewRing(ringEffects, 1<<20)}
	for i := range 4 {
		c := &client{conn: &listener{}}
		if i%2 == 1 {
			c.ids = []znode.Identity{{Scheme: znode.SchemeDigest, ID: "pack:secret"}}
		}
		c.conn.ids = c.ids
		m.clients = append(m.clients, c)
	}
	return m
}

func (m *model) step(pick func(int) int) {
	c := m.clients[pick(len(m.clients))]
	switch action := pick(20); {
	case action < 10:
		m.change(pick)
	case c.cut && (action < 14 || !c.away):
		m.leaveOrReturn(c)
	case c.cut:
	case action < 17:
		w := randomWatch(pick, m.world.zxid)
		c.add(w)
		m.table.Add(c.conn, w.Path, w.Mode)
	case action < 18:
		w := randomWatch(pick, 0)
		before := len(c.watches)
		c.watches = slices.DeleteFunc(c.watches, func(old protocol.Watch) bool { return old.Path == w.Path && old.Mode == w.Mode })
		require.Equal(m.tb, len(c.watches) < before, m.table.Remove(c.conn, w.Path, w.Mode))
	default:
		c.cut, c.cutAt, c.missed = true, m.world.zxid, nil
		c.resume = slices.Clone(c.watches)
		for i := range c.resume {
			c.resume[i].Since = c.cutAt
		}
	}
}

// change runs a transaction and compares what everyone is told.
func (m *model) change(pick func(int) int) {
	effects := m.world.step(pick)
	m.ring.Append(effects)
	for i := range effects {
		m.table.Fire(&effects[i])
	}
	for _, c := range m.clients {
		var want []string
		for i := range effects {
			want = append(want, c.see(&effects[i])...)
		}
		if c.cut {
			c.missed = append(c.missed, want...)
			c.conn.take()
			continue
		}
		require.Equal(m.tb, want, c.conn.take())
		c.seen += len(want)
	}
}

// leaveOrReturn ends the connection of a client that is cut, or resumes it on
// a new one.
func (m *model) leaveOrReturn(c *client) {
	if !c.away {
		c.away = true
		m.table.RemoveAll(c.conn)
		return
	}
	c.conn = &listener{ids: c.ids}
	Resume(m.table, m.ring, m.world, c.conn, c.resume, m.world.zxid)
	require.Equal(m.tb, "0 progress", line(c.conn.told[0]))
	last := c.conn.told[len(c.conn.told)-1]
	require.Equal(m.tb, protocol.EventReplayDone, last.Event)
	require.Equal(m.tb, m.world.zxid, last.Zxid)
	c.conn.told = c.conn.told[1 : len(c.conn.told)-1]
	if c.cutAt >= m.ring.Floor() {
		require.Equal(m.tb, c.missed, c.conn.take(), "cut at %d", c.cutAt)
		c.replayed += len(c.missed)
	} else {
		requireNothingSilent(m.tb, m.world, c.conn, c.resume, m.table)
		c.watches = slices.DeleteFunc(c.resume, func(w protocol.Watch) bool { return !m.table.Has(c.conn, w.Path, w.Mode) })
		for i := range c.watches {
			c.watches[i].Since = m.world.zxid
		}
		c.gaps++
		c.conn.take()
	}
	require.Equal(m.tb, len(c.watches), m.table.CountOf(c.conn))
	for _, w := range c.watches {
		require.True(m.tb, m.table.Has(c.conn, w.Path, w.Mode))
	}
	c.cut, c.away = false, false
}

// requireNothingSilent judges a Resume whose watches the ring did not cover, by
// the whole history.
func requireNothingSilent(tb testing.TB, world *world, conn *listener, watches []protocol.Watch, table *Table) {
	tb.Helper()
	type key struct {
		path string
		what protocol.EventType
		zxid uint64
	}
	told := make(map[key]bool)
	zxid := uint64(0)
	for _, m := range conn.told {
		require.False(tb, told[key{m.Path, m.Event, m.Zxid}], "twice: %s", line(m))
		told[key{m.Path, m.Event, m.Zxid}] = true
		require.GreaterOrEqual(tb, m.Zxid, zxid)
		zxid = m.Zxid
		_, acl, there := world.Peek(m.Path)
		if there && m.Event != protocol.EventGap {
			require.NotEqual(tb, protocol.EventDeleted, m.Event)
			require.True(tb, conn.Allowed(acl), "leaked: %s", line(m))
		}
	}
	for _, w := range watches {
		stands := table.Has(conn, w.Path, w.Mode)
		if stays(w.Mode) {
			require.True(tb, stands)
			require.True(tb, told[key{w.Path, protocol.EventGap, w.Since}], "%v", w)
			continue
		}
		_, acl, there := world.Peek(w.Path)
		var heard bool
		for _, what := range []protocol.EventType{protocol.EventCreated, protocol.EventDeleted, protocol.EventDataChanged, protocol.EventChildrenChanged} {
			heard = heard || told[key{w.Path, what, w.Since + 1}]
		}
		if missed(world, w) {
			require.False(tb, stands, "%v stands, though it fired", w)
			require.True(tb, heard || there && !conn.Allowed(acl), "%v fired in silence", w)
		} else if world.existed(w.Path, w.Since) || w.Path == "/" {
			require.True(tb, stands, "%v is gone, though nothing happened", w)
		}
	}
}

// missed tells whether a one-shot watch would have been used up.
func missed(world *world, w protocol.Watch) bool {
	once := &oracle{watches: []protocol.Watch{w}}
	for i := range world.history {
		once.see(&world.history[i])
	}
	return len(once.watches) == 0
}

func TestCutConnectionsMissNothingAndHearNothingTwice(t *testing.T) {
	var seen, replayed, gaps int
	var seed uint64
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for seed = range 60 {
		m := newModel(t, 1+int(seed%40))
		pick := picker(seed)
		for range 400 {
			m.step(pick)
		}
		requireSound(t, m.table)
		for _, c := range m.clients {
			seen, replayed, gaps = seen+c.seen, replayed+c.replayed, gaps+c.gaps
		}
	}
	t.Logf("%d events seen, %d replayed, %d resumes without cover", seen, replayed, gaps)
	require.Greater(t, seen, 10_000)
	require.Greater(t, replayed, 1_000)
	require.Greater(t, gaps, 300)
}

// TestResumeEqualsTheOracleForAnySince resumes lists in which every watch has
// a Since of its own, all of which the ring covers.
func TestResumeEqualsTheOracleForAnySince(t *testing.T) {
	events := 0
	for seed := range uint64(300) {
		pick := picker(seed)
		world, ring := newWorld(), NewRing(60, 1<<20)
		for range 80 {
			ring.Append(world.step(pick))
		}
		o := &oracle{}
		if seed%2 == 1 {
			o.ids = []znode.Identity{{Scheme: znode.SchemeDigest, ID: "pack:secret"}}
		}
		for range 1 + pick(12) {
			since := ring.Floor() + uint64(pick(int(world.zxid-ring.Floor())+1))
			o.add(randomWatch(pick, since))
		}
		watches := slices.Clone(o.watches)
		var want []string
		for i := range world.history {
			want = append(want, o.see(&world.history[i])...)
		}
		table, l := NewTable(), &listener{ids: o.ids}
		Resume(table, ring, world, l, watches, world.zxid)
		done := line(&protocol.Message{Event: protocol.EventReplayDone, Zxid: world.zxid})
		require.Equal(t, append(slices.Clip(want), done), l.replayed(t), "seed %d", seed)
		require.Equal(t, len(o.watches), table.Len(), "seed %d", seed)
		for _, w := range o.watches {
			require.True(t, table.Has(l, w.Path, w.Mode), "seed %d", seed)
		}
		events += len(want)
	}
	require.Greater(t, events, 2_000)
}

// TestAnyPrefixOfAnUncoveredReplayIsSafe cuts a replay after each of its
// messages. The client resumes all its other watches below the zxid of the
// last one: more of that zxid may have been on its way.
func TestAnyPrefixOfAnUncoveredReplayIsSafe(t *testing.T) {
	cuts := 0
	for seed := range uint64(200) {
		pick := picker(seed)
		world, ring := newWorld(), NewRing(6, 1<<20)
		for range 40 {
			ring.Append(world.step(pick))
		}
		var o oracle
		for range 8 {
			w := randomWatch(pick, 3+uint64(pick(5)))
			if stays(w.Mode) {
				w.Mode = protocol.WatchData
			}
			o.add(w)
		}
		first := &listener{}
		Resume(NewTable(), ring, world, first, o.watches, world.zxid)
		for prefix := range len(first.told) {
			received := first.told[:prefix]
			rest := slices.Clone(o.watches)
			for _, m := range received {
				rest = slices.DeleteFunc(rest, func(w protocol.Watch) bool {
					return waitsFor(w, plain{what: m.Event, path: m.Path})
				})
			}
			known := slices.Clone(rest)
			for i := range rest {
				rest[i].Since = max(rest[i].Since, lastZxid(received)-min(lastZxid(received), 1))
			}
			table, again := NewTable(), &listener{}
			Resume(table, ring, world, again, rest, world.zxid)
			again.told = again.told[1 : len(again.told)-1]
			requireNothingSilent(t, world, again, slices.DeleteFunc(slices.Clone(rest), func(w protocol.Watch) bool { return !slices.Contains(known, w) }), table)
			for i, w := range known {
				_, acl, there := world.Peek(w.Path)
				if rest[i] != w && missed(world, w) && !(there && !again.Allowed(acl)) {
					t.Fatalf("seed %d: %v was moved to %d and skips something", seed, w, rest[i].Since)
				}
			}
			cuts++
		}
	}
	require.Greater(t, cuts, 500)
}

func lastZxid(told []*protocol.Message) uint64 {
	if len(told) == 0 {
		return 0
	}
	return told[len(told)-1].Zxid
}

func FuzzTableRingAndResume(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x0e\x01\x02\x03\x01\x00\x03\x04\x05\x06\x00\x12\x00\x01\x02\x03\x04\x00\x0b\x00\x0b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 {
			return // the oracle is quadratic
		}
		pick, more := picks(data)
		m := newModel(t, 1+pick(20))
		for more() {
			m.step(pick)
		}
		requireSound(t, m.table)
	})
}
