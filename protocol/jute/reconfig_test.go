package jute

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func TestAReconfigBecomesChangesOfOneMemberEach(t *testing.T) {
	t.Parallel()
	known := []protocol.Member{{ID: 1}, {ID: 2}}
	for name, c := range map[string]struct {
		r    Reconfig
		want []protocol.MemberChange
	}{
		"who leaves goes before who joins": {
			Reconfig{Joining: "server.3=h:2888:3888:participant;2181", Leaving: "2,server.1"},
			[]protocol.MemberChange{{Action: protocol.RemoveMember, ID: 2}, {Action: protocol.RemoveMember, ID: 1},
				{Action: protocol.AddMember, ID: 3, Addr: "h:2888"}, {Action: protocol.PromoteMember, ID: 3}},
		},
		"an observer stays one": {
			Reconfig{Joining: "4=[::1]:2888:3888:observer"},
			[]protocol.MemberChange{{Action: protocol.AddMember, ID: 4, Addr: "[::1]:2888"}},
		},
		"a member that joins again gets its new role": {
			Reconfig{Joining: "1=a:1:1:observer\n2=b:1:1"},
			[]protocol.MemberChange{{Action: protocol.DemoteMember, ID: 1}, {Action: protocol.PromoteMember, ID: 2}},
		},
	} {
		got, err := c.r.Changes(known)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestAReconfigThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for name, joining := range map[string]string{
		"no address":           "3",
		"one port":             "3=h:1",
		"no host":              "3=:1:2",
		"an empty port":        "3=h::2",
		"a bare IPv6 address":  "3=::1:2888:3888",
		"no number":            "x=h:1:1",
		"an address in words":  "3=nowhere",
		"nobody":               "",
		"a second bad address": "3=h:1:2,4=h",
	} {
		r := Reconfig{Joining: joining}
		_, err := r.Changes(nil)
		require.ErrorIs(t, err, znode.ErrBadArguments, name)
	}
	leaving := Reconfig{Leaving: "h"}
	_, err := leaving.Changes(nil)
	require.ErrorIs(t, err, znode.ErrBadArguments, "a name leaves")
	whole := Reconfig{NewMembers: "server.1=a:1:1", HasNewMembers: true}
	_, err = whole.Changes(nil)
	require.ErrorIs(t, err, znode.ErrBadArguments, "a whole membership")
}
