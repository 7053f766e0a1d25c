package zk_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/znode"
)

// addAuth sends an auth packet and returns the error of its answer.
func (p *peer) addAuth(scheme, data string) int32 {
	p.t.Helper()
	_, err := p.Write(jute.AppendAuth(nil, &jute.Auth{Scheme: scheme, Data: []byte(data)}))
	require.NoError(p.t, err)
	_, a := p.said(jute.OpAuth)
	require.Equal(p.t, jute.XidAuth, a.Xid)
	return a.Err
}

func TestIdentitiesAddUpAndBelongToTheConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	require.Zero(t, p.addAuth("digest", "ann:secret"))
	require.Zero(t, p.addAuth("digest", "ben"))
	require.Zero(t, p.addAuth("ip", "ignored"))
	private := create("/private")
	private.ACL = []jute.ACL{{Perms: 31, Scheme: "auth"}}
	require.Zero(t, p.call(private).Err)
	acl := p.call(&jute.Call{Op: jute.OpGetACL, Path: "/private"}).ACL
	require.Equal(t, []jute.ACL{
		{Perms: 31, Scheme: "digest", ID: znode.DigestID("ann", "secret")},
		{Perms: 31, Scheme: "digest", ID: "ben:c2dd682KQ2vkjsIiEdz0T+DfCmQ="},
	}, acl)
	who := p.call(&jute.Call{Op: jute.OpWhoAmI}).Identities
	require.Equal(t, []jute.User{{Scheme: "ip", Name: "127.0.0.1"}, {Scheme: "digest", Name: "ann"}, {Scheme: "digest", Name: "ben"}}, who)

	q := s.reattach(p)
	require.EqualValues(t, noAuth, q.call(get("/private", false)).Err, "a new connection proves anew")
	require.Zero(t, q.addAuth("digest", "ben"))
	require.Zero(t, q.call(get("/private", false)).Err)
}

func TestWhoProvesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, proof := range []jute.Auth{
		{Scheme: "kerberos", Data: []byte("x")}, {Scheme: "digest", Data: []byte("\xff")}, {Scheme: "digest"},
		{Scheme: "world", Data: []byte("anyone")}, {Scheme: "admin-token", Data: []byte("guess")}, {Scheme: "sasl", Data: []byte("ann")},
	} {
		scheme := proof.Scheme
		p := s.connect()
		require.Zero(t, p.call(ephemeral("/e")).Err, scheme)
		_, err := p.Write(jute.AppendCall(jute.AppendAuth(nil, &proof), 9, create("/after")))
		require.NoError(t, err)
		_, a := p.said(jute.OpAuth)
		require.EqualValues(t, authFailed, a.Err, scheme)
		p.ended()
		q := s.reattach(p)
		require.EqualValues(t, noNode, q.call(get("/after", false)).Err, "what came after it was not heard")
		require.Zero(t, q.call(&jute.Call{Op: jute.OpDelete, Path: "/e", Version: -1}).Err)
	}
}

func TestSASLWithoutUsersIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t).connect()
	_, err := p.Write(jute.AppendSASL(nil, 1, nil))
	require.NoError(t, err)
	_, a := p.said(jute.OpSASL)
	require.EqualValues(t, authFailed, a.Err)
	p.ended()
}

// members is a membership that reconfig changes.
type members struct {
	s       *server
	changes []protocol.MemberChange
	refuse  int // promotions to refuse, since the member is behind
}

func (m *members) change(_ context.Context, c protocol.MemberChange) error {
	if c.Action == protocol.PromoteMember && m.refuse > 0 {
		m.refuse--
		return znode.ErrBadArguments
	}
	m.changes = append(m.changes, c)
	super := m.s.connect()
	require.Zero(m.s.t, super.addAuth("digest", "super:test"))
	require.Zero(m.s.t, super.call(set("/zookeeper/config", "server.1=a:1:1:participant\nversion="+string('a'+rune(len(m.changes))))).Err)
	return nil
}

func (p *peer) reconfig(r jute.Reconfig) jute.Answer {
	p.t.Helper()
	p.xid++
	_, err := p.Write(jute.AppendReconfig(nil, p.xid, &r))
	require.NoError(p.t, err)
	_, a := p.said(jute.OpReconfig)
	require.Equal(p.t, p.xid, a.Xid)
	return a
}

func TestReconfigChangesTheMembership(t *testing.T) {
	t.Parallel()
	var m members
	s := start(t, func(c *config) {
		c.zk.ChangeMember = func(ctx context.Context, change protocol.MemberChange) error { return m.change(ctx, change) }
		c.zk.Members = func() []protocol.Member { return []protocol.Member{{ID: 1}, {ID: 2}} }
	})
	m.s, m.refuse = s, 2
	p := s.connect()
	join := func(servers string) jute.Reconfig {
		return jute.Reconfig{Joining: servers, HasJoining: true, CurConfigID: -1}
	}
	require.EqualValues(t, noAuth, p.reconfig(join("server.3=h:2888:3888;2181")).Err, "it is for the superuser")
	require.Zero(t, p.addAuth("digest", "super:test"))

	a := p.reconfig(jute.Reconfig{
		Joining: "server.3=h:2888:3888:participant;2181,4=[::1]:2888:3888:observer", HasJoining: true, Leaving: "2", HasLeaving: true, CurConfigID: -1,
	})
	require.Zero(t, a.Err)
	require.Equal(t, "server.1=a:1:1:participant\nversion=e", string(a.Data))
	require.Positive(t, a.Stat.Mzxid)
	require.Equal(t, []protocol.MemberChange{
		{Action: protocol.RemoveMember, ID: 2},
		{Action: protocol.AddMember, ID: 3, Addr: "h:2888"}, {Action: protocol.PromoteMember, ID: 3},
		{Action: protocol.AddMember, ID: 4, Addr: "[::1]:2888"},
	}, m.changes)

	require.EqualValues(t, badVersion, p.reconfig(jute.Reconfig{Leaving: "1", HasLeaving: true, CurConfigID: 0xd}).Err)
	require.Zero(t, p.reconfig(jute.Reconfig{Joining: "1=a:1:1:observer", HasJoining: true, CurConfigID: 0xe}).Err)
	require.Equal(t, protocol.MemberChange{Action: protocol.DemoteMember, ID: 1}, m.changes[4], "a member that joins again gets its new role")
	for name, r := range map[string]jute.Reconfig{
		"nothing":             {CurConfigID: -1},
		"a whole membership":  {NewMembers: "server.1=a:1:1", HasNewMembers: true, CurConfigID: -1},
		"no number":           join("x=h:1:1"),
		"no address":          join("3"),
		"one port":            join("3=h:1"),
		"a leaver by name":    {Leaving: "h", HasLeaving: true, CurConfigID: -1},
		"an address in words": join("3=nowhere"),
	} {
		require.EqualValues(t, badArguments, p.reconfig(r).Err, name)
	}
	require.Len(t, m.changes, 5)
}

func TestAReconfigWhoseServerDoesNotCatchUpMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	var m members
	s := start(t, func(c *config) {
		c.zk.ChangeMember = func(ctx context.Context, change protocol.MemberChange) error { return m.change(ctx, change) }
	})
	m.s, m.refuse = s, 1<<30
	p := s.dial()
	_, err := p.hello(&jute.ConnectRequest{TimeoutMs: 3000, Password: make([]byte, 16)}) // of which a third is waited
	require.NoError(t, err)
	require.Zero(t, p.addAuth("digest", "super:test"))
	const systemError = -1
	require.EqualValues(t, systemError, p.reconfig(jute.Reconfig{Joining: "3=h:1:2", HasJoining: true, CurConfigID: -1}).Err)
	require.Equal(t, []protocol.MemberChange{{Action: protocol.AddMember, ID: 3, Addr: "h:1"}}, m.changes)
}
