package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func guestWelcome(w *protocol.Welcome) { w.Session, w.Password = 0, nil }

// aside serves the connection beside the client's own.
func (f *fake) aside() *peer {
	f.t.Helper()
	p := f.serve(guestWelcome)
	require.Equal(f.t, protocol.HelloGuest, p.hello.Mode)
	return p
}

func TestAChangeGoesOverAConnectionOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three, WithCredentials(AdminToken("secret")))
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		change := MemberChange{Action: AddMember, ID: 4, Addr: "d:2888"}
		for _, call := range []struct {
			op   protocol.Op
			do   func() error
			body []byte
		}{
			{protocol.OpMemberChange, func() error { return c.ChangeMember(t.Context(), change) }, protocol.AppendMemberChange(nil, &change)},
			{protocol.OpTransferLeader, func() error { return c.TransferLeader(t.Context(), 2) }, protocol.AppendTransferLeader(nil, 2)},
			{protocol.OpExpireSession, func() error { return c.ExpireSession(t.Context(), 9, "why") }, protocol.AppendExpireSession(nil, 9, "why")},
		} {
			for _, code := range []protocol.Code{protocol.OK, protocol.BadArguments} {
				done := make(chan error, 1)
				go func() { done <- call.do() }()
				p := f.aside()
				require.Len(t, p.hello.Credentials, 1)
				r := p.mustHear(call.op)
				require.Equal(t, call.body, r.Body)
				time.Sleep(5 * time.Second) // longer than any patience with the client's own server
				p.answer(r, func(m *protocol.Message) {
					if m.Code = code; code != protocol.OK {
						m.More = &protocol.More{Detail: "the rule"}
					}
				})
				err := <-done
				require.ErrorIs(t, err, code.Err())
				if code != protocol.OK {
					require.ErrorContains(t, err, "the rule")
				}
			}
		}
		require.NoError(t, c.Close(t.Context()))
	})
}

// It might run twice, so it is told instead.
func TestAChangeIsNotSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		done := make(chan error, 1)
		go func() { done <- c.TransferLeader(t.Context(), 0) }()
		p := f.aside()
		p.mustHear(protocol.OpTransferLeader)
		p.nc.Close()
		err := <-done
		var e *Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Maybe)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { done <- c.TransferLeader(ctx, 0) }()
		p = f.aside()
		p.mustHear(protocol.OpTransferLeader)
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		require.Len(t, f.dials, 3)

		f.cut.Store(true)
		err = c.TransferLeader(t.Context(), 0)
		require.ErrorIs(t, err, errCut)
		require.ErrorAs(t, err, &e)
		require.False(t, e.Maybe, "nobody heard of it")
		c.Abandon()
	})
}

func TestHowTheClusterIsIsAskedOfAServerThatAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		want := []MemberStatus{{Member: Member{ID: 1, Role: "leader"}, Status: &ServerStatus{ServerID: 1}}, {Member: Member{ID: 2, Role: "unreachable"}, Error: "refused"}}
		var got []MemberStatus
		done := make(chan error, 1)
		go func() {
			var err error
			got, err = c.ClusterStatus(t.Context())
			done <- err
		}()
		before := time.Now()
		go f.accept().swallow()
		f.serve(func(w *protocol.Welcome) { w.Code = protocol.Closing })
		p := f.aside()
		require.Equal(t, welcomePatienceMin, time.Since(before), "one that is paused costs a moment")
		r := p.mustHear(protocol.OpClusterStatus)
		p.answer(r, func(m *protocol.Message) { m.More = &protocol.More{Cluster: want} })
		require.NoError(t, <-done)
		require.Equal(t, want, got)
		c.Abandon()
	})
}

func TestOnesOwnSessionIsAskedForOfItsServer(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		require.NoError(t, c.awaitConnected(t.Context()))
		pages := make(chan *SessionPage, 1)
		ask := func(id uint64) {
			page, err := c.Sessions(t.Context(), SessionQuery{Session: id})
			require.NoError(t, err)
			pages <- page
		}
		tell := func(p *peer, id uint64) {
			r := p.mustHear(protocol.OpSessions)
			q, err := protocol.DecodeSessionQuery(r.Body)
			require.NoError(t, err)
			require.Equal(t, SessionQuery{Session: id}, q)
			p.answer(r, func(m *protocol.Message) {
				m.More = &protocol.More{Sessions: &SessionPage{Sessions: []LiveSession{{ID: id}}}}
			})
		}
		go ask(fakeSession)
		tell(p, fakeSession)
		require.EqualValues(t, fakeSession, (<-pages).Sessions[0].ID)
		go p.attend()
		go ask(fakeSession + 1)
		tell(f.aside(), fakeSession+1)
		require.EqualValues(t, fakeSession+1, (<-pages).Sessions[0].ID)
		c.Abandon()
	})
}

func TestTheMembersAreTold(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		p.members = membersAt("a:1", "b:2")
		go p.attend()
		members, err := c.Members(t.Context())
		require.NoError(t, err)
		require.Equal(t, p.members, members)
		synctest.Wait()
		c.mu.Lock()
		require.Empty(t, c.pool.learned, "this one keeps to what it was given")
		c.mu.Unlock()
		c.Abandon()
	})
}
