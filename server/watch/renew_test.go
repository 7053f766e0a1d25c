package watch

import (
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
		"data: changed":                        {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 9}, public, []string{"12 changed /p/n"}, false},
		"data: changed, unreadable":            {protocol.WatchData, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 9}, private, nil, false},
		"data: deleted and made again":         {protocol.WatchData, &znode.Stat{Czxid: 12, Mzxid: 12, Pzxid: 12}, public, []string{"12 changed /p/n"}, false},
		"data: not there, for long or not":     {protocol.WatchData, nil, nil, []string{"11 deleted /p/n"}, false},
		"exists: not there":                    {protocol.WatchExists, nil, nil, nil, true},
		"exists: there, for long or not":       {protocol.WatchExists, &znode.Stat{Czxid: 9, Mzxid: 29, Pzxid: 9}, public, []string{"9 created /p/n"}, false},
		"exists: there, unreadable":            {protocol.WatchExists, &znode.Stat{Czxid: 11, Mzxid: 12, Pzxid: 11}, private, nil, false},
		"children: untouched":                  {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 29, Pzxid: 10}, public, nil, true},
		"children: changed":                    {protocol.WatchChildren, &znode.Stat{Czxid: 9, Mzxid: 9, Pzxid: 12}, public, []string{"12 children /p/n"}, false},
		"persistent: changed":                  {protocol.WatchPersistent, &znode.Stat{Czxid: 9, Mzxid: 12, Pzxid: 12}, public, nil, true},
		"recursive: not there":                 {protocol.WatchRecursive, nil, nil, nil, true},
		"children: not there, for long or not": {protocol.WatchChildren, nil, nil, []string{"11 deleted /p/n"}, false},
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
			Renew(table, tree, l, watchesOf("/p/n", tt.mode, 10))
			require.Equal(t, tt.want, l.take())
			require.Equal(t, tt.stands, table.Has(l, "/p/n", tt.mode))
			requireSound(t, table)
		})
	}
}
