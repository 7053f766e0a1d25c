package watch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func TestRenewAnswersAsZooKeeperDoes(t *testing.T) {
	for name, tt := range map[string]struct {
		mode   protocol.WatchMode
		stat   *znode.Stat // nil: not there
		acl    znode.ACL
		want   []string
		stands bool
	}{
		"data: untouched":                      {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 10, Pzxid: 29}, public, nil, true},
		"data: changed":                        {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 9}, public, []string{"30 changed /p/n"}, false},
		"data: changed, unreadable":            {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 9}, private, nil, false},
		"data: deleted and made again":         {protocol.WatchData, &znode.Stat{Czxid: 12, Mzxid: 12, Pzxid: 12}, public, []string{"30 changed /p/n"}, false},
		"data: not there, for long or not":     {protocol.WatchData, nil, nil, []string{"30 deleted /p/n"}, false},
		"exists: not there":                    {protocol.WatchExists, nil, nil, nil, true},
		"exists: there, for long or not":       {protocol.WatchExists, &znode.Stat{Czxid: 9, Mzxid: 29, Pzxid: 9}, public, []string{"30 created /p/n"}, false},
		"exists: there, unreadable":            {protocol.WatchExists, &znode.Stat{Czxid: 11, Mzxid: 12, Pzxid: 11}, private, nil, false},
		"children: untouched":                  {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 29, Pzxid: 10}, public, nil, true},
		"children: changed":                    {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 9, Pzxid: 12}, public, []string{"30 children /p/n"}, false},
		"persistent: changed":                  {protocol.WatchPersistent, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 12}, public, nil, true},
		"recursive: not there":                 {protocol.WatchRecursive, nil, nil, nil, true},
		"children: not there, for long or not": {protocol.WatchChildren, nil, nil, []string{"30 deleted /p/n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tree := nodes{}
			if tt.stat != nil {
				tree["/p/n"] = struct {
					stat znode.Stat
					acl  znode.ACL
				}{*tt.stat, tt.acl}
			}
			table, l := NewTable(), &listener{}
			Renew(table, NewRing(10, 1<<20), tree, l, watchesOf("/p/n", tt.mode, 10), 30)
			require.Equal(t, tt.want, l.take())
			require.Equal(t, tt.stands, table.Has(l, "/p/n", tt.mode))
			requireSound(t, table)
		})
	}
}

func TestRenewTellsAOneShotThatMayBeOfAnotherHistory(t *testing.T) {
	const since = 10
	tree := nodes{"/n": {znode.Stat{Czxid: 5, Mzxid: 6, Pzxid: 7}, public}}
	for mode, what := range map[protocol.WatchMode]string{protocol.WatchData: "changed", protocol.WatchChildren: "children"} {
		for floor, foreign := range map[uint64]bool{since + protocol.Leap: false, since + 1 + protocol.Leap: true} {
			table, l := NewTable(), &listener{}
			Renew(table, ringOf(floor), tree, l, watchesOf("/n", mode, since), floor)
			var want []string
			if foreign {
				want = []string{fmt.Sprintf("%d %s /n", floor, what)}
			}
			require.Equal(t, want, l.take())
			require.Equal(t, !foreign, table.Has(l, "/n", mode))
			requireSound(t, table)
		}
	}
}

func TestRenewTellsOfANodeThatCameAndWent(t *testing.T) {
	for name, tt := range map[string]struct {
		made  uint64
		acl   znode.ACL
		want  []string
		stood bool
	}{
		"since":                 {11, public, []string{"30 created /p/n"}, false},
		"since, unreadable":     {11, private, nil, true},
		"before it was asked":   {10, public, nil, true},
		"of which nobody knows": {0, public, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			ring := NewRing(10, 1<<20)
			if tt.made > 0 {
				ring.Append([]znode.Effect{
					{Zxid: tt.made, Type: znode.NodeCreated, Path: "/p/n", ACL: tt.acl}, {Zxid: tt.made + 1, Type: znode.NodeDeleted, Path: "/p/n", ACL: tt.acl},
				})
			}
			table, l := NewTable(), &listener{}
			Renew(table, ring, nodes{}, l, watchesOf("/p/n", protocol.WatchExists, 10), 30)
			require.Equal(t, tt.want, l.take())
			require.Equal(t, tt.stood, table.Has(l, "/p/n", protocol.WatchExists))
		})
	}
}
