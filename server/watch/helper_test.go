package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

var (
	public  = znode.ACL{{Perms: znode.AllPerms, Scheme: znode.SchemeWorld, ID: "anyone"}}
	private = znode.ACL{{Perms: znode.AllPerms, Scheme: znode.SchemeDigest, ID: "pack:secret"}}
)

// listener is a Watcher that writes down what it is told.
type listener struct {
	ids  []znode.Identity
	told []*protocol.Message
}

func (l *listener) Allowed(acl znode.ACL) bool {
	return acl.Allows(znode.Read, &znode.Actor{IDs: l.ids})
}

func (l *listener) Notify(m *protocol.Message) { l.told = append(l.told, m) }

// take returns what was told since the last take.
func (l *listener) take() []string {
	var lines []string
	for _, m := range l.told {
		lines = append(lines, line(m))
	}
	l.told = nil
	return lines
}

// replayed returns what a Resume told, which begins as each does.
func (l *listener) replayed(tb testing.TB) []string {
	tb.Helper()
	lines := l.take()
	require.NotEmpty(tb, lines)
	require.Equal(tb, "0 progress", lines[0])
	return lines[1:]
}

var eventNames = map[protocol.EventType]string{
	protocol.EventCreated:         "created",
	protocol.EventDeleted:         "deleted",
	protocol.EventDataChanged:     "changed",
	protocol.EventChildrenChanged: "children",
	protocol.EventGap:             "gap",
	protocol.EventReplayDone:      "done",
	protocol.EventProgress:        "progress",
}

func line(m *protocol.Message) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", m.Zxid, eventNames[m.Event], m.Path))
}

func created(zxid uint64, path string) znode.Effect {
	return znode.Effect{Zxid: zxid, Type: znode.NodeCreated, Path: path, ACL: public, ParentACL: public}
}

func deleted(zxid uint64, path string) znode.Effect {
	return znode.Effect{Zxid: zxid, Type: znode.NodeDeleted, Path: path, ACL: public, ParentACL: public}
}

func changed(zxid uint64, path string) znode.Effect {
	return znode.Effect{Zxid: zxid, Type: znode.DataChanged, Path: path, ACL: public, ParentACL: public}
}

// nodes is a Peeker over a map.
type nodes map[string]struct {
	stat znode.Stat
	acl  znode.ACL
}

func (n nodes) Peek(path string) (znode.Stat, znode.ACL, bool) {
	node, ok := n[path]
	return node.stat, node.acl, ok
}

// requireSound checks every link and count of t.
func requireSound(tb testing.TB, t *Table) {
	tb.Helper()
	total := 0
	for watcher, o := range t.owners {
		require.Equal(tb, watcher, o.watcher)
		count := 0
		for _, side := range []struct {
			nodes   index
			entries map[string]*entry
			modes   modeSet
		}{{t.exact, o.exact, oneShot | persistent}, {t.trees, o.trees, recursive}} {
			for path, e := range side.entries {
				require.Equal(tb, path, e.node.path)
				require.Same(tb, o, e.owner)
				require.Same(tb, e.node, side.nodes[path])
				require.NotZero(tb, e.modes)
				require.Zero(tb, e.modes&^side.modes)
				count += e.modes.len()
			}
		}
		require.Equal(tb, count, o.count)
		total += count
	}
	require.Equal(tb, total, t.Len())
	entries := 0
	for _, nodes := range []index{t.exact, t.trees} {
		for path, n := range nodes {
			require.Equal(tb, path, n.path)
			require.NotNil(tb, n.first, "a path without watches")
			var before *entry
			for e := n.first; e != nil; before, e = e, e.next {
				require.Same(tb, n, e.node)
				require.True(tb, e.prev == before)
				require.Same(tb, e.owner, t.owners[e.owner.watcher])
				entries++
			}
			require.True(tb, n.last == before)
		}
	}
	for _, o := range t.owners {
		entries -= len(o.exact) + len(o.trees)
	}
	require.Zero(tb, entries, "an entry that its owner does not know")
}

func watchesOf(paths string, mode protocol.WatchMode, since uint64) (watches []protocol.Watch) {
	for path := range strings.FieldsSeq(paths) {
		watches = append(watches, protocol.Watch{Path: path, Mode: mode, Since: since})
	}
	return watches
}

func collect(r *Ring, since uint64) (lines []string, covered bool) {
	effects, covered := r.Since(since)
	for e := range effects {
		lines = append(lines, fmt.Sprintf("%d %s", e.Zxid, e.Path))
	}
	return slices.Clip(lines), covered
}
