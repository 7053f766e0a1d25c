package native_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// unready is a switch for Config.Serving.
type unready struct{ why atomic.Pointer[error] }

func (u *unready) set(why error) { u.why.Store(&why) }

func (u *unready) serving() error {
	if why := u.why.Load(); why != nil {
		return *why
	}
	return nil
}

var errBehind = errors.New("12 entries behind the leader")

func guestWith(credentials ...protocol.Credential) protocol.Hello {
	return protocol.Hello{Mode: protocol.HelloGuest, TimeoutMs: 10_000, Credentials: credentials}
}

var asAdmin = protocol.Credential{Scheme: "admin-token", Data: protocol.Secret(adminToken)}

func TestAServerThatDoesNotServeBeginsNoSession(t *testing.T) {
	var gate unready
	s := start(t, func(c *config) { c.Serving = gate.serving })
	first := s.dial()
	w := first.hello(openHello(10_000))
	require.Equal(t, protocol.OK, w.Code)

	gate.set(errBehind)
	for _, h := range []protocol.Hello{
		openHello(10_000), {Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000},
	} {
		got := s.dial().hello(h)
		require.Equal(t, protocol.NotReady, got.Code)
		require.Equal(t, errBehind.Error(), got.Detail)
	}
	first.send(getRequest(1, "/"))
	require.Equal(t, protocol.OK, first.mustReceive().Code, "who is here stays, until the pipeline cuts it off")

	gate.set(nil)
	require.Equal(t, protocol.OK, s.dial().hello(openHello(10_000)).Code)
	require.EqualValues(t, 2, s.front.Stats().NotServing)
}

func TestWhoWaitsForASessionIsToldWhenThereIsNoHope(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*server, *unready)
		want protocol.Code
	}{
		{"the leader is lost", func(_ *server, gate *unready) { gate.set(errBehind) }, protocol.NotReady},
		{"the server drains", func(s *server, _ *unready) { s.front.Drain() }, protocol.Closing},
	} {
		t.Run(c.name, func(t *testing.T) {
			var gate unready
			s := start(t, func(c *config) { c.Serving = gate.serving })
			s.log.Hold(true)
			welcomed := make(chan protocol.Code, 1)
			conn := s.dial()
			go func() { welcomed <- conn.hello(openHello(10_000)).Code }()
			require.Eventually(t, func() bool { return s.core.Stats().Arrivals == 1 }, patience, time.Millisecond)
			c.lose(s, &gate)
			require.Equal(t, c.want, <-welcomed)
			require.Zero(t, s.core.Stats().Arrivals)
		})
	}
}

func TestAGuestOfAServerThatDoesNotServeGetsNoData(t *testing.T) {
	var gate unready
	gate.set(errBehind)
	s := start(t, func(c *config) {
		c.Serving = gate.serving
		c.Members = func() []protocol.Member { return []protocol.Member{{ID: 1}} }
	})
	c := s.dial()
	require.Equal(t, protocol.OK, c.hello(guestWith(asAdmin)).Code)
	ask := func(r protocol.Request) protocol.Message {
		c.send(r)
		return c.mustReceive()
	}
	for _, op := range []protocol.Op{protocol.OpGet, protocol.OpExists, protocol.OpChildren, protocol.OpGetACL, protocol.OpCount} {
		m := ask(protocol.Request{Op: op, Xid: 1, Read: protocol.Read{Op: op, Path: "/"}})
		require.Equal(t, protocol.NotReady, m.Code, op)
		require.Equal(t, errBehind.Error(), m.More.Detail)
	}
	for _, op := range []protocol.Op{protocol.OpSync, protocol.OpEphemerals, protocol.OpMultiRead, protocol.OpSessionInfo} {
		require.Equal(t, protocol.NotReady, ask(protocol.Request{Op: op, Xid: 1}).Code, op)
	}
	for _, op := range []protocol.Op{protocol.OpWhoAmI, protocol.OpPing, protocol.OpStatus, protocol.OpMembers} {
		require.Equal(t, protocol.OK, ask(protocol.Request{Op: op, Xid: 1}).Code, op)
	}
	gate.set(nil)
	require.Equal(t, protocol.OK, ask(getRequest(2, "/")).Code)
}

func TestADrainingServerTellsEverybodyToMove(t *testing.T) {
	s := start(t)
	c, guest := s.dial(), s.dial()
	w := c.hello(openHello(10_000))
	guest.hello(guestWith())
	c.send(createRequest(1, "/a", "told before the goodbye"))
	require.Equal(t, protocol.OK, c.mustReceive().Code)

	s.front.Drain()
	for _, end := range []*raw{c, guest} {
		last := end.awaitEnd()
		require.Equal(t, protocol.Goodbye, last.Kind)
		require.Equal(t, protocol.Closing, last.Code)
		end.Close()
	}
	for _, h := range []protocol.Hello{
		openHello(10_000), guestWith(), {Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000},
	} {
		require.Equal(t, protocol.Closing, s.dial().hello(h).Code)
	}
	s.front.Drain()
}

// adminRequests holds one of each and whether anybody may ask it.
func adminRequests() map[protocol.Op]struct {
	body    []byte
	anybody bool
} {
	change := protocol.MemberChange{Action: protocol.AddMember, ID: 4, Addr: "d:2888"}
	return map[protocol.Op]struct {
		body    []byte
		anybody bool
	}{
		protocol.OpSnapshot:       {nil, false},
		protocol.OpStatus:         {nil, true},
		protocol.OpExpireSession:  {protocol.AppendExpireSession(nil, 1, "by hand"), false},
		protocol.OpMembers:        {nil, true},
		protocol.OpClusterStatus:  {nil, true},
		protocol.OpMemberChange:   {protocol.AppendMemberChange(nil, &change), false},
		protocol.OpTransferLeader: {protocol.AppendTransferLeader(nil, 2), false},
		protocol.OpSessions:       {protocol.AppendSessionQuery(nil, &protocol.SessionQuery{}), false},
	}
}

func TestNoSessionExpiresForAnAnswerThatTakesAWhile(t *testing.T) {
	var s *server
	touched := make(chan []uint64, 1)
	s = start(t, func(c *config) {
		c.ClusterStatus = func(context.Context) []protocol.MemberStatus {
			s.core.Touched() // by the request itself
			touched <- s.core.Touched()
			return nil
		}
	})
	r := s.dial()
	session := r.hello(openHello(10_000)).Session
	r.send(protocol.Request{Op: protocol.OpClusterStatus, Xid: 1})
	require.Equal(t, []uint64{session}, <-touched)
}

func TestWhoMayAskWhat(t *testing.T) {
	var asked []string
	s := start(t, func(c *config) {
		c.Members = func() []protocol.Member { return []protocol.Member{{ID: 1, Role: "leader"}} }
		c.ClusterStatus = func(context.Context) []protocol.MemberStatus {
			return []protocol.MemberStatus{{Member: protocol.Member{ID: 2}, Error: "refused"}}
		}
		c.ChangeMember = func(_ context.Context, change protocol.MemberChange) error {
			asked = append(asked, fmt.Sprint(change))
			return nil
		}
		c.TransferLeader = func(_ context.Context, id uint64) error {
			asked = append(asked, fmt.Sprint(id))
			return nil
		}
		c.ExpireSession = func(context.Context, uint64, string) error { return nil }
		c.Sessions = func(context.Context, protocol.SessionQuery) *protocol.SessionPage { return &protocol.SessionPage{} }
	})
	anybody, admin := s.dial(), s.dial()
	anybody.hello(guestWith())
	admin.hello(guestWith(asAdmin))
	for op := protocol.OpSnapshot; op < 200; op++ {
		r, known := adminRequests()[op]
		request := protocol.Request{Op: op, Xid: 9, Body: r.body}
		anybody.send(request)
		m := anybody.mustReceive()
		admin.send(request)
		n := admin.mustReceive()
		for n.Partial {
			n = admin.mustReceive()
		}
		switch {
		case !known:
			require.Equal(t, protocol.Unimplemented, m.Code, op)
			require.Equal(t, protocol.Unimplemented, n.Code, op)
		case r.anybody:
			require.Equal(t, protocol.OK, m.Code, op)
			require.Equal(t, m.More, n.More, op)
		default:
			require.Equal(t, protocol.NoAuth, m.Code, op)
			require.Equal(t, protocol.OK, n.Code, op)
		}
	}
	require.Equal(t, []string{"{add 4 d:2888}", "2"}, asked)
}

func TestOnesOwnSessionMayBeAskedFor(t *testing.T) {
	var asked []protocol.SessionQuery
	s := start(t, func(c *config) {
		c.Sessions = func(_ context.Context, q protocol.SessionQuery) *protocol.SessionPage {
			asked = append(asked, q)
			return &protocol.SessionPage{Sessions: []protocol.LiveSession{{ID: q.Session}}}
		}
	})
	c, other := s.dial(), s.dial()
	own := c.hello(openHello(10_000)).Session
	others := other.hello(openHello(10_000)).Session
	ask := func(q protocol.SessionQuery) protocol.Message {
		c.send(protocol.Request{Op: protocol.OpSessions, Xid: 1, Body: protocol.AppendSessionQuery(nil, &q)})
		return c.mustReceive()
	}
	m := ask(protocol.SessionQuery{Session: own})
	require.Equal(t, protocol.OK, m.Code)
	require.Equal(t, own, m.More.Sessions.Sessions[0].ID)
	for name, q := range map[string]protocol.SessionQuery{
		"another's": {Session: others}, "all": {}, "the page with one's own": {After: own - 1, Limit: 1},
	} {
		require.Equal(t, protocol.NoAuth, ask(q).Code, name)
	}
	require.Equal(t, protocol.BadArguments, ask(protocol.SessionQuery{Session: own, Limit: 1}).Code)
	require.Equal(t, []protocol.SessionQuery{{Session: own}}, asked)
}

func TestASessionEndedByHandWithoutAReasonHasACause(t *testing.T) {
	causes := make(chan string, 2)
	s := start(t, func(c *config) {
		c.ExpireSession = func(_ context.Context, _ uint64, cause string) error { causes <- cause; return nil }
	})
	c := s.dial()
	c.hello(guestWith(asAdmin))
	for _, cause := range []string{"", "it is stuck"} {
		c.send(protocol.Request{Op: protocol.OpExpireSession, Xid: 1, Body: protocol.AppendExpireSession(nil, 1, cause)})
		require.Equal(t, protocol.OK, c.mustReceive().Code)
	}
	require.Equal(t, "killed by an administrator", <-causes)
	require.Equal(t, "it is stuck", <-causes)
}

func TestTheLogTellsWhoAskedForWhatTheSuperuserMay(t *testing.T) {
	var log bytes.Buffer // written before the answer, by the server's reader
	s := start(t, func(c *config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.ChangeMember = func(context.Context, protocol.MemberChange) error { return nil }
		c.TransferLeader = func(context.Context, uint64) error { return protocol.ErrNotReady }
	})
	c := s.dial()
	c.hello(guestWith(asAdmin))
	for op, want := range map[protocol.Op]string{
		protocol.OpMemberChange:   `msg="a change of the members was asked for" action=add server=4 addr=d:2888`,
		protocol.OpTransferLeader: `msg="another leader was asked for" server=2`,
		protocol.OpSnapshot:       `msg="a snapshot was asked for"`,
		protocol.OpExpireSession:  `msg="a session was ended by hand" session=1 cause="by hand"`,
	} {
		c.send(protocol.Request{Op: op, Xid: 1, Body: adminRequests()[op].body})
		for c.mustReceive().Partial {
		}
		require.Contains(t, log.String(), want+" by="+c.LocalAddr().String())
	}
}

func TestAChangeThatFailsIsToldWithItsRule(t *testing.T) {
	s := start(t, func(c *config) {
		c.ChangeMember = func(context.Context, protocol.MemberChange) error {
			return fmt.Errorf("%w: server 4 is a voter already", znode.ErrBadArguments)
		}
		c.TransferLeader = func(context.Context, uint64) error { return protocol.ErrNotReady }
	})
	c := s.dial()
	c.hello(guestWith(asAdmin))
	ask := func(op protocol.Op, body []byte) protocol.Message {
		c.send(protocol.Request{Op: op, Xid: 1, Body: body})
		return c.mustReceive()
	}
	m := ask(protocol.OpMemberChange, protocol.AppendMemberChange(nil, &protocol.MemberChange{Action: protocol.PromoteMember, ID: 4}))
	require.Equal(t, protocol.BadArguments, m.Code)
	require.Contains(t, m.More.Detail, "server 4 is a voter already")
	require.Equal(t, protocol.BadArguments, ask(protocol.OpMemberChange, protocol.AppendMemberChange(nil, &protocol.MemberChange{Action: protocol.AddMember, ID: 4})).Code)
	require.Equal(t, protocol.Marshalling, ask(protocol.OpMemberChange, []byte{0x90}).Code)
	require.Equal(t, protocol.NotReady, ask(protocol.OpTransferLeader, protocol.AppendTransferLeader(nil, 0)).Code)
	require.Equal(t, protocol.Unimplemented, ask(protocol.OpMembers, nil).Code)
	require.Equal(t, protocol.Unimplemented, ask(protocol.OpClusterStatus, nil).Code)
}

func TestFewMayAskForTheWholeClusterAtOneTime(t *testing.T) {
	asking, answer := make(chan struct{}), make(chan struct{})
	s := start(t, func(c *config) {
		c.ClusterStatus = func(context.Context) []protocol.MemberStatus {
			asking <- struct{}{}
			<-answer
			return nil
		}
	})
	request := protocol.Request{Op: protocol.OpClusterStatus, Xid: 1}
	var waiting []*raw
	for range 4 {
		c := s.dial()
		c.hello(guestWith(asAdmin))
		c.send(request)
		<-asking
		waiting = append(waiting, c)
	}
	c := s.dial()
	c.hello(guestWith(asAdmin))
	c.send(request)
	require.Equal(t, protocol.Throttled, c.mustReceive().Code)
	close(answer)
	for _, c := range waiting {
		require.Equal(t, protocol.OK, c.mustReceive().Code)
	}
}

func TestTheSuperuserHearsOfTheClusterWhateverOthersAsk(t *testing.T) {
	asking, answer := make(chan struct{}, 16), make(chan struct{})
	s := start(t, func(c *config) {
		c.ClusterStatus = func(context.Context) []protocol.MemberStatus {
			asking <- struct{}{}
			<-answer // as long as a member does not
			return []protocol.MemberStatus{{Member: protocol.Member{ID: 2}}}
		}
	})
	request := protocol.Request{Op: protocol.OpClusterStatus, Xid: 1}
	var guests []*raw
	for range 8 {
		c := s.dial()
		c.hello(guestWith())
		c.send(request)
		guests = append(guests, c)
	}
	<-asking
	admin := s.dial()
	admin.hello(guestWith(asAdmin))
	admin.send(request)
	<-asking
	close(answer)
	for _, c := range append(guests, admin) {
		m := c.mustReceive()
		require.Equal(t, protocol.OK, m.Code)
		require.EqualValues(t, 2, m.More.Cluster[0].ID)
	}
}

func TestAPongTellsHowFreshTheLeadersKnowledgeIs(t *testing.T) {
	var contact atomic.Int64
	s := start(t, func(c *config) {
		c.Contact = func() time.Duration { return time.Duration(contact.Load()) }
	})
	c := s.dial()
	c.hello(openHello(10_000))
	ping := func() protocol.Message {
		c.send(protocol.Request{Op: protocol.OpPing, Xid: 1})
		return c.mustReceive()
	}
	require.Nil(t, ping().More)
	contact.Store(int64(300*time.Millisecond + 1))
	require.EqualValues(t, 301, ping().More.Count, "rounded to the safe side")
}
