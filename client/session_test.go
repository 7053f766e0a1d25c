package client

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// The last request that was answered is a ping, sent at 2/3 of the timeout at
// the latest before the cut; the session ends a whole timeout after it, never
// earlier, and at the latest a timeout after the cut.
func TestACutOffClientKnowsWhenItsSessionEnds(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		go p.attend()
		time.Sleep(20 * time.Second)
		var states []State
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			states = slices.Collect(c.Session().States())
		}()
		synctest.Wait()
		f.cut.Store(true)
		cut := time.Now()
		p.nc.Close()
		synctest.Wait()
		require.Equal(t, Disconnected, c.Session().State())
		<-c.Session().Context().Done()
		require.ErrorIs(t, context.Cause(c.Session().Context()), ErrSessionExpired)
		held := time.Since(cut)
		require.GreaterOrEqual(t, held, fakeTimeout*2/3)
		require.LessOrEqual(t, held, fakeTimeout)
		<-watched
		require.Equal(t, []State{Connected, Disconnected, Expired}, states)
		_, err := c.Get(t.Context(), "/")
		require.ErrorIs(t, err, ErrSessionExpired)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A server that hears but never answers, as a paused one whose kernel still
// takes bytes.
func TestASilentConnectionIsLeftAndTheSessionEndsInTime(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		opened := time.Now()
		go func() {
			for {
				if _, err := p.hear(); err != nil {
					return
				}
			}
		}()
		again := f.accept()
		require.Equal(t, fakeTimeout*2/3, time.Since(opened).Truncate(100*time.Millisecond))
		require.Equal(t, protocol.HelloAttach, again.hello.Mode)
		again.nc.Close()
		f.cut.Store(true)
		<-c.Session().Context().Done()
		require.Equal(t, fakeTimeout, time.Since(opened), "the hello was the last thing answered")
		c.Abandon()
	})
}

// The first ping tells whether the server leads; a follower's clients ping twice
// as often.
func TestASignOfLifeIsGivenEachThirdOrSixthOfTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		for i, contact := range []time.Duration{0, 0, 0, time.Second, time.Second, 0, 0} {
			every := fakeTimeout / 3
			if i == 0 || p.contact > 0 {
				every = fakeTimeout / 6
			}
			before := time.Now()
			r, err := p.hear()
			require.NoError(t, err)
			require.Equal(t, protocol.OpPing, r.Op)
			require.Equal(t, every, time.Since(before), "ping %d", i)
			p.contact = contact
			p.pong(r)
		}
		c.Abandon()
	})
}

func TestAReattachBringsTheSessionAndRisingAttempts(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Password = []byte("0123456789abcdef"); w.Zxid = 40 })
		require.Equal(t, protocol.HelloOpen, p.hello.Mode)
		for attempt := range uint64(3) {
			p.nc.Close()
			p = f.serve(func(w *protocol.Welcome) { w.Password = nil; w.Zxid = 41 + attempt })
			require.Equal(t, protocol.HelloAttach, p.hello.Mode)
			require.EqualValues(t, fakeSession, p.hello.Session)
			require.Equal(t, "0123456789abcdef", string(p.hello.Password))
			require.Equal(t, attempt+1, p.hello.Attempt)
			require.Equal(t, 40+attempt, p.hello.LastZxid)
		}
		c.Abandon()
	})
}

func TestARefusedAttachEndsTheClient(t *testing.T) {
	for code, want := range map[protocol.Code]error{
		protocol.SessionExpired: ErrSessionExpired,
		protocol.SessionMoved:   ErrSessionMoved,
		protocol.AuthFailed:     ErrAuthFailed,
	} {
		t.Run(code.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				f.serve().nc.Close()
				f.serve(func(w *protocol.Welcome) { *w = protocol.Welcome{Version: 1, Code: code, Detail: "because"} })
				<-c.Session().Context().Done()
				cause := context.Cause(c.Session().Context())
				require.ErrorIs(t, cause, want)
				require.ErrorContains(t, cause, "because")
				require.Equal(t, Expired, c.Session().State())
				c.Abandon()
			})
		})
	}
}

func TestAServerThatRefusesWhomItHasWelcomedIsLeft(t *testing.T) {
	for _, code := range []protocol.Code{protocol.AuthFailed, protocol.UnsupportedVersion} {
		t.Run(code.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.openAt(three)
				p := f.serve()
				p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: code}))
				q := f.serve()
				require.NotEqual(t, p.addr, q.addr)
				require.Equal(t, protocol.HelloAttach, q.hello.Mode)
				done := c.getAsync(t.Context(), "/")
				q.answer(q.next())
				require.NoError(t, (<-done).err)
			})
		})
	}
}

func TestARefusalThatMayPassIsTriedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		servers := []string{"a:1", "b:2", "c:3"}
		c := f.openAt(servers)
		codes := []protocol.Code{protocol.NotReady, protocol.TooManyConnections, protocol.Throttled, protocol.Closing, protocol.SystemError, protocol.NotReady}
		for _, code := range codes {
			f.serve(func(w *protocol.Welcome) { w.Code = code })
		}
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		require.Len(t, f.dials, len(codes)+1)
		for round := range slices.Chunk(f.dials[:len(codes)], len(servers)) {
			var asked []string
			for _, d := range round {
				asked = append(asked, d.addr)
				require.Equal(t, round[0].at, d.at, "the next one at once")
			}
			require.ElementsMatch(t, servers, asked)
		}
		require.NotEqual(t, f.dials[2].at, f.dials[3].at, "a pause when all have been tried")
		require.NoError(t, c.Close(t.Context()))
	})
}

// An admin token is of one server's data directory, so the others refuse it.
func TestACredentialMayBeOfOneServerAlone(t *testing.T) {
	refuse := func(code protocol.Code) func(*protocol.Welcome) {
		return func(w *protocol.Welcome) { w.Code = code }
	}
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt([]string{"a:1", "b:2", "c:3"})
		f.serve(refuse(protocol.AuthFailed))
		f.serve(refuse(protocol.NotReady))
		f.serve(refuse(protocol.UnsupportedVersion))
		f.serve(refuse(protocol.AuthFailed)) // after a pause, since one of them was not final
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		require.NoError(t, c.Close(t.Context()))
	})
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt([]string{"a:1", "b:2", "c:3"})
		for range 3 {
			f.serve(refuse(protocol.AuthFailed))
		}
		require.ErrorIs(t, c.awaitConnected(t.Context()), ErrAuthFailed)
		require.Zero(t, time.Since(begin))
		c.Abandon()
	})
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt([]string{"a:1", "b:2", "c:3"})
		p := f.serve()
		go p.attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		c.Get(t.Context(), "/")
		p.nc.Close()
		f.serve(refuse(protocol.AuthFailed))
		f.serve(refuse(protocol.AuthFailed))
		go f.serve().attend() // whom it comes from would have it still
		require.NoError(t, c.awaitConnected(t.Context()))
		c.Abandon()
	})
}

// An admin token is of one server. Another would refuse the session for it.
func TestAnAdminTokenGoesToItsServerAlone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		serve := func() *peer {
			p := f.accept()
			p.write(protocol.AppendWelcome(nil, &protocol.Welcome{
				Version: 1, ServerID: uint64(p.addr[0]), Session: fakeSession, Password: make([]byte, passwordSize), Generation: 1,
				TimeoutMs: fakeTimeout.Milliseconds(), Zxid: 1, Limits: protocol.DefaultLimits(),
			}))
			return p
		}
		c := f.openAt(three, WithCredentials(AdminToken("began with"), Digest("u", "p")))
		p := serve()
		require.Len(t, p.hello.Credentials, 2)
		own, met := p.addr, map[string]bool{}
		added := make(chan error, 1)
		go func() { added <- c.AddAuth(t.Context(), AdminToken("added")) }()
		p.answer(p.next())
		require.NoError(t, <-added)
		for len(met) < len(three) {
			p.nc.Close()
			p = serve()
			met[p.addr] = true
			want := 1
			if p.addr == own {
				want = 3
			}
			require.Len(t, p.hello.Credentials, want, p.addr)
		}
		c.Abandon()
	})
}

func TestTriesToReconnectBackOff(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.cut.Store(true)
		c := f.open()
		time.Sleep(20 * time.Second)
		c.Abandon()
		expected := backoffMin
		for i := 1; i < len(f.dials); i++ {
			pause := f.dials[i].at - f.dials[i-1].at
			require.GreaterOrEqual(t, pause, expected/2)
			require.LessOrEqual(t, pause, expected)
			expected = min(2*expected, backoffMax)
		}
		require.Greater(t, len(f.dials), 20)
		last := f.dials[len(f.dials)-2:]
		require.NotEqual(t, backoffMax, last[1].at-last[0].at, "no chance in it")
	})
}

func TestAServerThatDoesNotAnswerTheDialIsPassedBy(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		hang := make(chan struct{})
		var c *Client
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "good:2" {
				select {
				case <-ctx.Done():
				case <-hang:
				}
				return nil, errCut
			}
			return f.dial(ctx, network, addr)
		}
		c = OpenLazy(slices.Insert(slices.Repeat([]string{"hangs:1"}, 7), 3, "good:2"), WithDialer(dial))
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		require.LessOrEqual(t, time.Since(begin), 7*hedgeDelay)
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestOpenTellsWhyItFailed(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.cut.Store(true)
		_, err := Open(t.Context(), []string{"a:1"}, WithDialer(f.dial), WithRequestTimeout(2*time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorContains(t, err, "the cable is cut")
		require.Equal(t, 2*time.Second, time.Since(begin))
	})
	for _, opts := range [][]Option{{WithChroot("no/slash")}, {WithSessionTimeout(0)}} {
		_, err := Open(t.Context(), []string{"a:1"}, opts...)
		require.ErrorIs(t, err, ErrBadArguments)
	}
	_, err := Open(t.Context(), []string{"no port"})
	require.ErrorIs(t, err, ErrBadArguments)
	_, err = OpenLazy(nil).Get(t.Context(), "/")
	require.ErrorIs(t, err, ErrBadArguments)
}

func TestCloseWaitsOnlyAMomentForAConnectionThatIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		require.NoError(t, c.awaitConnected(t.Context()))
		f.cut.Store(true)
		p.nc.Close()
		synctest.Wait()
		before := time.Now()
		require.ErrorIs(t, c.Close(t.Context()), ErrDisconnected)
		require.Equal(t, closeGrace, time.Since(before))
		require.Equal(t, Closed, c.Session().State())
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestAResumedSessionStartsAboveEverythingBefore(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		require.NoError(t, c.awaitConnected(t.Context()))
		token := c.Session().Token()
		token.timeout = 42 * time.Second
		other := newFake(t)
		heir := OpenLazy([]string{"a:1"}, WithOnlyGivenServers(), WithDialer(other.dial), WithRequestTimeout(0), WithResume(token))
		t.Cleanup(heir.Abandon)
		q := other.serve()
		require.Equal(t, protocol.HelloAttach, q.hello.Mode)
		require.EqualValues(t, fakeSession, q.hello.Session)
		require.EqualValues(t, 42_000, q.hello.TimeoutMs, "it keeps its timeout")
		require.Greater(t, q.hello.Attempt, uint64(1)<<40)
		require.Greater(t, q.hello.Ack, uint64(1)<<40)
		go heir.Set(t.Context(), "/", nil)
		r := q.next()
		require.GreaterOrEqual(t, r.Xid, q.hello.Ack)
		q.answer(r)
		const high = 1 << 60 // of an heir whose clock was ahead
		q.nc.Close()
		q = other.serve(func(w *protocol.Welcome) { w.HighXid = high })
		require.Equal(t, r.Xid+1, q.hello.Ack)
		go heir.Set(t.Context(), "/", nil)
		r = q.next()
		require.EqualValues(t, high+1, r.Xid)
		require.EqualValues(t, high+1, r.Arg)
		q.answer(r)
		p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.SessionMoved}))
		<-c.Session().Context().Done()
		require.ErrorIs(t, context.Cause(c.Session().Context()), ErrSessionMoved)
		c.Abandon()
		heir.Abandon()
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	token := SessionToken{ID: 5, password: [passwordSize]byte([]byte("hidden-password!"))}
	for _, v := range []any{Digest("user", "hidden"), AdminToken("hidden"), token, &token, []Credential{Digest("u", "hidden")}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			text := fmt.Sprintf(verb, v)
			require.NotContains(t, text, "hidden")
			require.NotContains(t, text, fmt.Sprintf("%x", "hidden"))
			require.NotContains(t, text, fmt.Sprint([]byte("hidden"))[1:20])
		}
	}
	require.Error(t, new(SessionToken).UnmarshalText([]byte("nonsense")))
}

// closing has a connected client closed, and returns the farewell, which is not answered yet.
func closing(t *testing.T, f *fake) (c *Client, p *peer, bye protocol.Request, closed <-chan error) {
	c = f.open()
	p = f.serve()
	require.NoError(t, c.awaitConnected(t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Close(t.Context()) }()
	bye = p.next()
	require.Equal(t, protocol.OpCloseSession, bye.Op)
	return c, p, bye, done
}

func TestASecondCloseThatGivesUpDoesNotEndTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c, p, bye, first := closing(t, f)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Close(ended), context.Canceled)
		require.Equal(t, Connected, c.Session().State())
		p.answer(bye)
		require.NoError(t, <-first)
		require.NoError(t, c.Close(ended))
	})
}

func TestACloseThatIsAbandonedSaysThatTheSessionMayStay(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c, _, _, first := closing(t, f)
		c.Abandon()
		require.ErrorIs(t, <-first, ErrClosed)
	})
}

func TestAServerThatWelcomesAndDiesIsNotDialledWithoutAPause(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		const times = 30
		for range times {
			p := f.serve()
			p.event(protocol.EventProgress, "", p.zxid)
			p.nc.Close()
		}
		require.Greater(t, time.Since(begin), times/2*backoffMax/2)
		c.Abandon()
	})
}
