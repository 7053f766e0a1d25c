package client

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

var three = []string{"a:1", "b:2", "c:3"}

// mustHear returns the next request, which is of that kind.
func (p *peer) mustHear(op protocol.Op) protocol.Request {
	p.t.Helper()
	r, err := p.hear()
	require.NoError(p.t, err)
	require.Equal(p.t, op, r.Op)
	return r
}

func TestASilentServerIsLeftWhenThereIsAnother(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		p.pong(p.mustHear(protocol.OpPing))
		time.Sleep(time.Second)
		asked := time.Now()
		done := c.createAsync(t.Context(), "/x")
		write := p.mustHear(protocol.OpCreate)
		p.mustHear(protocol.OpPing)
		require.Equal(t, pingAfter, time.Since(asked), "is it there at all?")
		q := f.serve()
		require.Equal(t, silenceMin, time.Since(asked))
		require.NotEqual(t, p.addr, q.addr)
		require.Equal(t, protocol.HelloAttach, q.hello.Mode)
		require.Equal(t, write.Xid, q.hello.Ack)
		again := q.next()
		require.Equal(t, write.Xid, again.Xid)
		require.Equal(t, write.Body, again.Body)
		q.answer(again)
		require.NoError(t, (<-done).err)
		c.Abandon()
	})
}

// A cluster without a leader answers pings and no writes.
func TestAServerThatAnswersPingsIsNotLeft(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		done := c.createAsync(t.Context(), "/x")
		write := p.next()
		late := time.AfterFunc(5*time.Second, func() { p.answer(write) })
		defer late.Stop()
		go p.attend()
		require.NoError(t, (<-done).err)
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Len(t, f.dials, 1)
		c.Abandon()
	})
}

func TestAnIdleClientFindsOutAtItsNextPing(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		p.mustHear(protocol.OpPing)
		pinged := time.Now()
		q := f.serve()
		require.Equal(t, silenceMin, time.Since(pinged))
		require.NotEqual(t, p.addr, q.addr)
		c.Abandon()
	})
}

func TestAShortSessionHasTheTimeToTurnToAnother(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		const timeout = time.Second
		c := f.openAt(three)
		p := f.serve(func(w *protocol.Welcome) { w.TimeoutMs = timeout.Milliseconds() })
		p.pong(p.mustHear(protocol.OpPing))
		asked := time.Now()
		c.createAsync(t.Context(), "/x")
		p.mustHear(protocol.OpCreate)
		p.pong(p.mustHear(protocol.OpPing))
		require.Equal(t, timeout/8, time.Since(asked), "is it there at all?")
		heard := time.Now()
		p.mustHear(protocol.OpPing)
		q := f.serve()
		require.Equal(t, timeout/4, time.Since(heard))
		require.NotEqual(t, p.addr, q.addr)
		c.Abandon()
	})
}

// A server says nothing while a large request is on its way, and hears no ping.
func TestAShortSessionWaitsForAnUpload(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve(func(w *protocol.Welcome) { w.TimeoutMs = 1000 })
		p.pong(p.mustHear(protocol.OpPing))
		done := async(func() (uint64, error) {
			_, err := c.Set(t.Context(), "/x", make([]byte, 1<<20))
			return 0, err
		})
		time.Sleep(500 * time.Millisecond)
		go p.attend()
		require.NoError(t, (<-done).err)
		require.Len(t, f.dials, 1)
		c.Abandon()
	})
}

// All are silent: the first moment of patience is not enough for anybody, so
// the next ones get more.
func TestPatienceGrowsWhenEverybodyIsSlow(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		var patience []time.Duration
		for range 5 {
			p := f.serve()
			asked := time.Now()
			if len(patience) == 0 {
				go c.Create(t.Context(), "/x", nil)
			}
			p.swallow()
			patience = append(patience, time.Since(asked))
		}
		require.Equal(t, []time.Duration{silenceMin, 2 * silenceMin, 4 * silenceMin, 8 * silenceMin, fakeTimeout * 2 / 3}, patience)
		c.Abandon()
	})
}

// While a leader is elected the others take their time too; they are asked again
// before the one that is paused.
func TestAServerThatFellSilentIsTheLastToBeTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		go c.Create(t.Context(), "/x", nil)
		go p.swallow()
		var asked []string
		for range 4 {
			q := f.accept()
			asked = append(asked, q.addr)
			go q.swallow()
		}
		require.NotContains(t, asked, p.addr)
		require.Equal(t, p.addr, f.accept().addr)
		c.Abandon()
	})
}

// Nor does it cost patience while the others say that they have no leader yet.
func TestAServerThatFellSilentIsNotTriedWhileOthersAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		go c.Create(t.Context(), "/x", nil)
		go p.swallow()
		left := f.serve(func(w *protocol.Welcome) { w.Code = protocol.NotReady })
		began := time.Now()
		for time.Since(began) < shunned/2 {
			q := f.serve(func(w *protocol.Welcome) { w.Code = protocol.NotReady })
			require.NotEqual(t, p.addr, q.addr)
		}
		require.NotEqual(t, p.addr, left.addr)
		c.Abandon()
	})
}

func TestAServerThatTakesTheConnectionAndNeverAnswersCostsAMoment(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.accept()
		go p.swallow()
		q := f.accept()
		require.Equal(t, welcomePatienceMin, time.Since(begin))
		go q.swallow()
		r := f.accept()
		require.Equal(t, 2*welcomePatienceMin, time.Since(begin))
		go r.swallow()
		asked := []string{p.addr, q.addr, r.addr}
		require.ElementsMatch(t, three, asked)

		again := f.accept() // all were tried: a pause, and twice the patience
		go again.swallow()
		second := time.Since(begin)
		require.InDelta(t, 3*welcomePatienceMin, second, float64(backoffMin))
		go f.serve().attend()
		require.Equal(t, second+2*welcomePatienceMin, time.Since(begin))
		require.NoError(t, c.awaitConnected(t.Context()))
		c.Abandon()
	})
}

// What a follower answers keeps a session alive only as far as the leader has
// heard of it.
func TestASessionEndsByWhatTheLeaderKnows(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		p.contact = 500 * time.Millisecond
		go p.attend()
		time.Sleep(20*time.Second + 100*time.Millisecond)
		require.Equal(t, Connected, c.Session().State())
		lost := time.Now()
		f.cut.Store(true)
		p.nc.Close()
		<-c.Session().Context().Done()
		held := time.Since(lost)
		require.GreaterOrEqual(t, held, fakeTimeout/2)
		require.LessOrEqual(t, held, fakeTimeout-500*time.Millisecond)
		c.Abandon()
	})
}

// The leader is gone, for this server alone; it answers reads and pings, whose
// contact ages.
func TestAServerWithoutTheLeaderKeepsNoSessionAlive(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		lost := time.Now().Add(30 * time.Second)
		go func() {
			for {
				r, err := p.hear()
				if err != nil {
					return
				}
				m := protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: 1}
				if r.Op == protocol.OpPing {
					age := max(time.Since(lost), 0) + 100*time.Millisecond
					m.More = &protocol.More{Count: age.Milliseconds()}
				}
				if _, err := p.nc.Write(protocol.AppendMessage(nil, &m)); err != nil {
					return
				}
			}
		}()
		reads := make(chan error)
		go func() {
			for {
				if _, err := c.Get(t.Context(), "/"); err != nil {
					reads <- err
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		<-c.Session().Context().Done()
		require.ErrorIs(t, context.Cause(c.Session().Context()), ErrSessionExpired)
		require.Less(t, time.Since(lost), fakeTimeout, "not a moment later than the leader may expire it")
		require.GreaterOrEqual(t, time.Since(lost), fakeTimeout/2)
		require.ErrorIs(t, <-reads, ErrSessionExpired)
		c.Abandon()
	})
}

// The server of the connection is cut off from the leader, which costs its client
// little, unless the others are no better off: then it keeps what it has.
func TestAServerCutOffFromTheLeaderIsLeftForABetterOne(t *testing.T) {
	for _, better := range []bool{true, false} {
		bubble(t, func(t *testing.T, f *fake) {
			c := f.openAt([]string{"a:1", "b:2"})
			p := f.serve()
			done := c.createAsync(t.Context(), "/x")
			write := p.next()
			go func() {
				for {
					r, err := p.hear()
					if err != nil {
						return
					}
					m := protocol.Message{Op: r.Op, Xid: r.Xid, More: &protocol.More{Count: time.Since(begin).Milliseconds()}}
					if _, err := p.nc.Write(protocol.AppendMessage(nil, &m)); err != nil {
						return
					}
				}
			}()
			scout := f.aside()
			require.NotEqual(t, p.addr, scout.addr)
			require.LessOrEqual(t, time.Since(begin), contactLimit+pingAfter)
			if !better {
				scout.contact = contactLimit
			}
			scout.pong(scout.mustHear(protocol.OpPing))
			_, err := scout.hear()
			require.Error(t, err, "its work is done")
			if !better {
				before := time.Now()
				f.aside().nc.Close()
				require.InDelta(t, scoutEvery, time.Since(before), float64(pingAfter))
				p.answer(write)
			} else {
				q := f.serve()
				require.Equal(t, scout.addr, q.addr)
				require.Equal(t, write.Xid, q.hello.Ack)
				q.answer(q.next())
			}
			require.NoError(t, (<-done).err)
			c.Abandon()
		})
	}
}

// In health a session is never near its end, whatever its timeout.
func TestAFollowersClientIsFarFromTheLimit(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 10 * time.Second} {
		bubble(t, func(t *testing.T, f *fake) {
			c := f.open()
			p := f.serve(func(w *protocol.Welcome) { w.TimeoutMs = timeout.Milliseconds() })
			p.contact = timeout / 6
			go p.attend()
			for range 600 {
				time.Sleep(timeout / 60)
				c.mu.Lock()
				require.Less(t, c.now()-c.lastAck, timeout*2/3)
				c.mu.Unlock()
			}
			c.Abandon()
		})
	}
}

func TestALearnedServerIsTurnedTo(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openLearning([]string{"a:1"})
		p := f.serve()
		p.members = membersAt("a:1", "b:2", "127.0.0.1:3")
		go p.attend()
		synctest.Wait()
		p.nc.Close()
		q := f.serve()
		require.Equal(t, "b:2", q.addr)
		require.Zero(t, time.Since(begin), "at once")
		q.members = membersAt("b:2", "d:4")
		go q.attend()
		time.Sleep(membersEvery + time.Second)
		q.nc.Close()
		r := f.serve()
		require.Contains(t, []string{"a:1", "d:4"}, r.addr, "given, or learned anew")
		c.Abandon()
	})
}

func TestTheMembersAreAskedForNowAndThen(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openLearning([]string{"a:1"})
		p := f.serve()
		var asked []time.Duration
		for len(asked) < 3 {
			r, err := p.hear()
			require.NoError(t, err)
			switch r.Op {
			case protocol.OpMembers:
				asked = append(asked, time.Since(begin))
				p.answer(r, func(m *protocol.Message) { m.Code = protocol.Unimplemented })
			case protocol.OpPing:
				p.pong(r)
			}
		}
		require.Equal(t, []time.Duration{0, membersEvery, 2 * membersEvery}, asked)
		c.Abandon()
	})
}

func TestAServerThatDrainsIsLeftAtOnceAndNothingIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		p := f.serve()
		one, two := c.createAsync(t.Context(), "/1"), c.createAsync(t.Context(), "/2")
		first, second := p.next(), p.next()
		p.answer(first)
		p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.Closing}))
		q := f.serve()
		require.Zero(t, time.Since(begin))
		require.NotEqual(t, p.addr, q.addr)
		require.Equal(t, second.Xid, q.hello.Ack)
		r := q.next()
		require.Equal(t, second.Xid, r.Xid)
		q.answer(r)
		require.NoError(t, (<-one).err)
		require.NoError(t, (<-two).err)
		c.Abandon()
	})
}

// The server that was left comes last, while others are there.
func TestAServerThatWasLeftIsNotTriedFirst(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt(three)
		last := ""
		for range 20 {
			p := f.serve()
			require.NotEqual(t, last, p.addr)
			go p.attend()
			require.NoError(t, c.awaitConnected(t.Context()))
			_, err := c.Get(t.Context(), "/")
			require.NoError(t, err)
			last = p.addr
			time.Sleep(time.Second)
			p.nc.Close()
		}
		c.Abandon()
	})
}

func TestAGuestAsksElsewhereWhereTheServerDoesNotServe(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		opts := []Option{WithDialer(f.dial), WithRequestTimeout(0)}
		opened := make(chan *Client)
		go func() {
			c, err := OpenGuest(t.Context(), three, opts...)
			require.NoError(t, err)
			opened <- c
		}()
		guest := func(w *protocol.Welcome) { w.Session, w.Password = 0, nil }
		p := f.serve(guest)
		c := <-opened
		done := c.getAsync(t.Context(), "/x")
		asked := []string{p.addr}
		for range 2 {
			p.answer(p.next(), func(m *protocol.Message) { m.Code = protocol.NotReady })
			p = f.serve(guest)
			asked = append(asked, p.addr)
		}
		require.ElementsMatch(t, three, asked)
		require.Zero(t, time.Since(begin))
		p.answer(p.next(), func(m *protocol.Message) { m.Code = protocol.NotReady })
		p = f.serve(guest)
		require.NotZero(t, time.Since(begin), "all were asked: a pause")
		p.answer(p.next())
		require.NoError(t, (<-done).err)
		c.Abandon()
	})
}

// The process did not run, the server did: what it said lies in the socket.
func TestAClientThatDidNotRunDoesNotBlameTheServer(t *testing.T) {
	c := newFake(t).openAt(three)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sess.timeout = fakeTimeout
	l := &link{c: c, addr: "a:1", lastPing: 1, lastPingAt: c.now() - 5*time.Second}
	l.heard.Store(int64(c.now() - 5*time.Second))
	c.link = l
	defer func() { c.link = nil }()
	c.mu.Unlock()
	c.excuse(5 * time.Second)
	c.mu.Lock()
	c.attendLink(l, c.now())
	require.False(t, l.down)

	silent := c.now() - 600*time.Millisecond // one process, held up a little each time
	l.lastPingAt = silent
	l.heard.Store(int64(silent))
	for range 3 {
		c.mu.Unlock()
		c.excuse(60 * time.Millisecond)
		c.mu.Lock()
	}
	require.EqualValues(t, silent+180*time.Millisecond, l.heard.Load())
}

// Whatever a chosen moment breaks, each write is sent under its xid until it is
// answered, in its order, and at most one of the servers answers it.
func TestWritesOverServersThatDieAtChosenPoints(t *testing.T) {
	points := []struct {
		name string
		die  func(p *peer, r protocol.Request)
	}{
		{"before it hears", func(*peer, protocol.Request) {}},
		{"after it heard", func(p *peer, r protocol.Request) {
			if r.Xid < 3 {
				p.next()
			}
		}},
		{"silent", func(p *peer, _ protocol.Request) { p.swallow() }},
		{"drains", func(p *peer, _ protocol.Request) {
			p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.Closing}))
		}},
		{"lost its leader", func(p *peer, _ protocol.Request) {
			p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.NotReady}))
		}},
		{"half an answer", func(p *peer, r protocol.Request) {
			b := protocol.AppendMessage(nil, &protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: 9})
			p.write(b[:len(b)/2])
		}},
	}
	for _, point := range points {
		t.Run(point.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.openAt(three)
				var results []<-chan result
				for _, path := range []string{"/1", "/2", "/3"} {
					results = append(results, c.createAsync(t.Context(), path))
				}
				var attempts []uint64
				var zxid uint64
				for done := 0; done < 3; {
					p := f.serve(func(w *protocol.Welcome) { w.Zxid = zxid + 1 })
					require.Equal(t, zxid, p.hello.LastZxid)
					attempts = append(attempts, p.hello.Attempt)
					r := p.next()
					require.EqualValues(t, done+1, r.Xid)
					if len(attempts)%2 == 0 {
						p.answer(r)
						require.NoError(t, (<-results[done]).err)
						zxid, done = p.zxid, done+1
					} else {
						zxid++
					}
					if done == 3 {
						break
					}
					point.die(p, r)
					p.nc.Close()
				}
				require.True(t, slices.IsSorted(attempts))
				require.Len(t, slices.Compact(attempts), len(attempts), "each attach has an attempt of its own")
				c.Abandon()
			})
		})
	}
}

// What the server that lives has said is the reason that a person needs.
func TestAServersAnswerIsToldBeforeConnectionsThatFail(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		opened := make(chan *Client)
		go func() {
			c, err := OpenGuest(t.Context(), three, WithDialer(f.dial), WithRequestTimeout(3*time.Second))
			require.NoError(t, err)
			opened <- c
		}()
		p := f.serve(func(w *protocol.Welcome) { w.Session, w.Password = 0, nil })
		c := <-opened
		done := c.getAsync(t.Context(), "/x")
		r := p.next()
		f.cut.Store(true)
		p.answer(r, func(m *protocol.Message) {
			m.Code, m.More = protocol.NotReady, &protocol.More{Detail: "no leader for 15s"}
		})
		err := (<-done).err
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorIs(t, err, ErrNotReady)
		require.ErrorContains(t, err, "no leader for 15s")
		require.ErrorContains(t, err, errCut.Error())
		c.Abandon()
	})
}
