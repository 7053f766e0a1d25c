package watch

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func ringOf(floor uint64, effects ...znode.Effect) *Ring {
	r := NewRing(100, 1<<20)
	r.Reset(floor)
	r.Append(effects)
	return r
}

func TestResumeReplaysExactlyWhatEachWatchMissed(t *testing.T) {
	r := ringOf(3, changed(4, "/a"), changed(5, "/b"), created(6, "/a/c"), created(6, "/a/d"), changed(7, "/a"), deleted(8, "/b"))
	table, l := NewTable(), &listener{}
	watches := append(watchesOf("/a", protocol.WatchPersistent, 6), watchesOf("/a /b", protocol.WatchData, 4)...)
	watches = append(watches, watchesOf("/a", protocol.WatchChildren, 8)...)
	Resume(table, r, nil, l, watches, 9)
	require.Equal(t, []string{"5 changed /b", "7 changed /a", "9 done"}, l.replayed(t))
	require.True(t, table.Has(l, "/a", protocol.WatchPersistent))
	require.True(t, table.Has(l, "/a", protocol.WatchChildren))
	require.False(t, table.Has(l, "/a", protocol.WatchData), "used up at 7")
	require.False(t, table.Has(l, "/b", protocol.WatchData), "used up at 5")
	require.Equal(t, 2, table.CountOf(l))
	requireSound(t, table)
}

func TestResumeChecksTheACLOfTheEffectsTime(t *testing.T) {
	hidden := changed(5, "/a")
	hidden.ACL = private
	r := ringOf(3, hidden, changed(6, "/a"))
	table, l := NewTable(), &listener{}
	Resume(table, r, nil, l, append(watchesOf("/a", protocol.WatchData, 4), watchesOf("/a", protocol.WatchRecursive, 4)...), 6)
	require.Equal(t, []string{"6 changed /a", "6 done"}, l.replayed(t))
	require.Equal(t, 1, table.CountOf(l), "the withheld one-shot is used up")
}

func TestResumeBelowTheFloorComparesStats(t *testing.T) {
	const since, floor, now = 10, 20, 30
	for name, tt := range map[string]struct {
		mode   protocol.WatchMode
		stat   *znode.Stat // nil: not there
		acl    znode.ACL   // its own, or of an absent one its parent's, nil for public
		parent uint64      // its Pzxid
		want   string
		stands bool
	}{
		"data: untouched":                        {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 10, Pzxid: 29}, public, 9, "", true},
		"data: changed":                          {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 11, Pzxid: 9}, public, 9, "11 changed /p/n", false},
		"data: changed, unreadable":              {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 11, Pzxid: 9}, private, 9, "", false},
		"data: deleted":                          {protocol.WatchData, nil, nil, 11, "11 deleted /p/n", false},
		"exists: untouched":                      {protocol.WatchExists, &znode.Stat{Czxid: 9, Mzxid: 10, Pzxid: 29}, public, 9, "", true},
		"exists: changed":                        {protocol.WatchExists, &znode.Stat{Czxid: 9, Mzxid: 11, Pzxid: 9}, public, 9, "11 changed /p/n", false},
		"exists: created":                        {protocol.WatchExists, &znode.Stat{Czxid: 11, Mzxid: 12, Pzxid: 11}, public, 11, "11 created /p/n", false},
		"exists: created, unreadable":            {protocol.WatchExists, &znode.Stat{Czxid: 11, Mzxid: 12, Pzxid: 11}, private, 11, "", false},
		"exists: absent all the time":            {protocol.WatchExists, nil, nil, 10, "", true},
		"exists: absent, once there or not":      {protocol.WatchExists, nil, nil, 11, "11 deleted /p/n", false},
		"children: untouched":                    {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 29, Pzxid: 10}, public, 9, "", true},
		"children: changed":                      {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 9, Pzxid: 11}, public, 9, "11 children /p/n", false},
		"children: changed, unreadable":          {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 9, Pzxid: 11}, private, 9, "", false},
		"children: deleted":                      {protocol.WatchChildren, nil, nil, 11, "11 deleted /p/n", false},
		"persistent: a gap, whatever is there":   {protocol.WatchPersistent, nil, nil, 9, "10 gap /p/n", true},
		"recursive: a gap, whatever there is":    {protocol.WatchRecursive, &znode.Stat{Czxid: 9, Mzxid: 9, Pzxid: 9}, private, 9, "10 gap /p/n", true},
		"data: absent, with its parent for long": {protocol.WatchData, nil, nil, 0, "", true},
		// When its children changed is told only to those who may read a node.
		"exists: absent, the parent unreadable":          {protocol.WatchExists, nil, private, 10, "11 deleted /p/n", false},
		"exists: absent, the parent unreadable, changed": {protocol.WatchExists, nil, private, 11, "11 deleted /p/n", false},
	} {
		t.Run(name, func(t *testing.T) {
			tree := nodes{"/": {znode.Stat{Pzxid: 5}, public}}
			if tt.parent != 0 {
				acl := public
				if tt.stat == nil && tt.acl != nil {
					acl = tt.acl
				}
				tree["/p"] = struct {
					stat znode.Stat
					acl  znode.ACL
				}{znode.Stat{Pzxid: tt.parent}, acl}
			}
			if tt.stat != nil {
				tree["/p/n"] = struct {
					stat znode.Stat
					acl  znode.ACL
				}{*tt.stat, tt.acl}
			}
			want := []string{"30 done"}
			if tt.want != "" {
				want = []string{tt.want, "30 done"}
			}
			table, l := NewTable(), &listener{}
			Resume(table, ringOf(floor), tree, l, watchesOf("/p/n", tt.mode, since), now)
			require.Equal(t, want, l.replayed(t))
			require.Equal(t, tt.stands, table.Has(l, "/p/n", tt.mode))
			requireSound(t, table)
		})
	}
}

// What a restore has undone leaves nodes older than their watches, which saw others.
func TestAOneShotThatMayBeOfAnotherHistoryIsTold(t *testing.T) {
	const since = 10
	tree := nodes{"/": {znode.Stat{Pzxid: 5}, public}, "/n": {znode.Stat{Czxid: 5, Mzxid: 6, Pzxid: 7}, public}}
	for _, tt := range []struct {
		path string
		mode protocol.WatchMode
		want string
	}{
		{"/n", protocol.WatchData, "11 changed /n"},
		{"/n", protocol.WatchExists, "11 changed /n"},
		{"/n", protocol.WatchChildren, "11 children /n"},
		{"/none", protocol.WatchData, "11 deleted /none"},
		{"/none", protocol.WatchExists, "11 deleted /none"},
		{"/none", protocol.WatchChildren, "11 deleted /none"},
	} {
		for floor, foreign := range map[uint64]bool{since + protocol.Leap: false, since + 1 + protocol.Leap: true} {
			table, l := NewTable(), &listener{}
			Resume(table, ringOf(floor), tree, l, watchesOf(tt.path, tt.mode, since), floor)
			want := []string{fmt.Sprintf("%d done", floor)}
			if foreign {
				want = append([]string{tt.want}, want...)
			}
			require.Equal(t, want, l.replayed(t))
			require.Equal(t, !foreign, table.Has(l, tt.path, tt.mode))
			requireSound(t, table)
		}
	}
}

func TestEventsOfOneResumeComeByRisingZxidAboveTheirSince(t *testing.T) {
	r := ringOf(20, changed(21, "/a"), changed(22, "/b"))
	var watches []protocol.Watch
	watches = append(watches, watchesOf("/a", protocol.WatchPersistent, 20)...)
	watches = append(watches, watchesOf("/gone", protocol.WatchChildren, 12)...)
	watches = append(watches, watchesOf("/gone", protocol.WatchData, 11)...)
	watches = append(watches, watchesOf("/gone", protocol.WatchExists, 11)...)
	watches = append(watches, watchesOf("/s", protocol.WatchPersistent, 7)...)
	watches = append(watches, watchesOf("/s", protocol.WatchRecursive, 8)...)
	table, l := NewTable(), &listener{}
	Resume(table, r, nodes{"/": {znode.Stat{Pzxid: 19}, public}}, l, watches, 25)
	require.Equal(t, []string{"7 gap /s", "8 gap /s", "12 deleted /gone", "13 deleted /gone", "21 changed /a", "25 done"}, l.replayed(t))
	require.Equal(t, 3, table.CountOf(l))
}

func TestResumeOfNothingIsDone(t *testing.T) {
	table, l := NewTable(), &listener{}
	Resume(table, ringOf(3, changed(4, "/a")), nil, l, nil, 4)
	require.Equal(t, []string{"4 done"}, l.replayed(t))
	require.Zero(t, table.Len())
}

// Who is told more than a connection may be behind is cut off, and would resume for ever.
func TestAResumeThatWouldTellTooMuchEndsInAGap(t *testing.T) {
	long := "/" + strings.Repeat("n", 200)
	fill := func(r *Ring, zxid func(i int) uint64) {
		for i := range 60_000 {
			r.Append([]znode.Effect{changed(zxid(i), long+strconv.Itoa(i))})
		}
	}
	tree := nodes{"/late": {znode.Stat{Mzxid: 70_000}, public}, "/old": {znode.Stat{Mzxid: 3}, public}}
	watches := append(watchesOf("/", protocol.WatchRecursive, 3), watchesOf("/late /old "+long+"0", protocol.WatchData, 3)...)
	watches = append(watches, watchesOf("/late", protocol.WatchPersistent, 69_999)...)

	r, table, l := NewRing(65_536, 64<<20), NewTable(), &listener{}
	fill(r, func(i int) uint64 { return uint64(10 + i) })
	r.Append([]znode.Effect{changed(70_000, "/late")})
	Resume(table, r, tree, l, watches, 70_000)
	bytes := 0
	for _, m := range l.told {
		bytes += m.Size()
	}
	require.Less(t, bytes, maxReplayBytes+4096)
	lines := l.replayed(t)
	n := len(lines) - 4
	require.Greater(t, n, 20_000)
	for i, line := range lines[:n] {
		require.Equal(t, fmt.Sprintf("%d changed %s%d", 10+i, long, i), line)
	}
	last := 10 + n - 1
	require.Equal(t, []string{fmt.Sprintf("%d gap /", last), fmt.Sprintf("%d changed /late", last+1), "69999 gap /late", "70000 done"}, lines[n:])
	for _, watch := range watches {
		stands := watch.Mode != protocol.WatchData || watch.Path == "/old"
		require.Equal(t, stands, table.Has(l, watch.Path, watch.Mode), watch.Path)
	}
	requireSound(t, table)

	r, table = NewRing(65_536, 64<<20), NewTable()
	fill(r, func(int) uint64 { return 10 }) // by one transaction
	Resume(table, r, tree, l, watches[:1], 10)
	require.Equal(t, []string{"9 gap /", "10 done"}, l.replayed(t))
	require.True(t, table.Has(l, "/", protocol.WatchRecursive))
}
