package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// result of a call made on a goroutine of its own.
type result struct {
	zxid uint64
	err  error
}

func async(call func() (uint64, error)) <-chan result {
	done := make(chan result, 1)
	go func() {
		zxid, err := call()
		done <- result{zxid, err}
	}()
	synctest.Wait()
	return done
}

func (c *Client) createAsync(ctx context.Context, path string) <-chan result {
	return async(func() (uint64, error) {
		n, err := c.Create(ctx, path, nil)
		if err != nil {
			return 0, err
		}
		return n.Zxid, nil
	})
}

func (c *Client) getAsync(ctx context.Context, path string) <-chan result {
	return async(func() (uint64, error) {
		n, err := c.Get(ctx, path)
		if err != nil {
			return 0, err
		}
		return n.Zxid, nil
	})
}

func TestOpenRequestsAreSentAgainInOrderUnderTheirXids(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		ctx := t.Context()
		c := f.open()
		p := f.serve()
		first := c.createAsync(ctx, "/1")
		p.answer(p.next())
		require.NoError(t, (<-first).err)

		write, read, another := c.createAsync(ctx, "/2"), c.getAsync(ctx, "/2"), c.createAsync(ctx, "/3")
		var sent []protocol.Request
		for range 3 {
			sent = append(sent, p.next())
		}
		p.answer(sent[0])
		require.NoError(t, (<-write).err)
		f.cut.Store(true)
		p.nc.Close()
		synctest.Wait()
		late := c.createAsync(ctx, "/4")
		f.cut.Store(false)

		p = f.serve()
		require.Equal(t, sent[2].Xid, p.hello.Ack, "everything below the open write is acknowledged")
		for i, want := range sent[1:] {
			r := p.next()
			require.Equal(t, want.Op, r.Op)
			require.Equal(t, want.Xid, r.Xid)
			require.Equal(t, want.Body, r.Body, "request %d", i)
			p.answer(r)
		}
		r := p.next()
		require.Greater(t, r.Xid, sent[2].Xid)
		p.answer(r)
		for _, done := range []<-chan result{read, another, late} {
			require.NoError(t, (<-done).err)
		}
	})
}

// The lowest open xid rides in each write; a write given up by its caller
// stays open until it is answered.
func TestWritesAcknowledgeThoseBeforeThem(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		ctx, cancel := context.WithCancel(t.Context())
		given := c.createAsync(ctx, "/given-up")
		one := p.next()
		require.Equal(t, one.Xid, one.Arg)
		cancel()
		err := (<-given).err
		require.ErrorIs(t, err, context.Canceled)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Maybe)

		c.createAsync(t.Context(), "/2")
		two := p.next()
		require.Equal(t, one.Xid, two.Arg)
		p.answer(one)
		synctest.Wait()
		c.createAsync(t.Context(), "/3")
		require.Equal(t, two.Xid, p.next().Arg)
		p.answer(two)
		synctest.Wait()
		p.nc.Close()
		p = f.serve()
		require.Equal(t, two.Xid+1, p.hello.Ack)
	})
}

func TestACallGivenUpBeforeItWasSentNeverIs(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 1 })
		first := c.createAsync(t.Context(), "/1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waits := c.createAsync(ctx, "/waits")
		third := c.createAsync(t.Context(), "/3")
		err := (<-waits).err
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrDisconnected)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.False(t, e.Maybe)
		p.answer(p.next())
		require.NoError(t, (<-first).err)
		r := p.next()
		require.Contains(t, string(r.Body), "/3")
		p.answer(r)
		require.NoError(t, (<-third).err)
	})
}

func TestTheRequestTimeoutBoundsACallWithoutADeadline(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.cut.Store(true)
		c := f.open(WithRequestTimeout(3 * time.Second))
		_, err := c.Get(t.Context(), "/")
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorContains(t, err, errCut.Error())
		for range 100 {
			c.Get(t.Context(), "/")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		require.LessOrEqual(t, c.pending.len(), 2, "calls given up do not pile up")
	})
}

func TestEachCallHasTheWholeRequestTimeoutAndLittleMore(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		const timeout = 3 * time.Second
		c := f.open(WithRequestTimeout(timeout))
		p := f.serve()
		took := make(chan time.Duration)
		for i := range 30 {
			go func() {
				asked := time.Now()
				_, err := c.Get(t.Context(), "/")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(i, err)
				}
				took <- time.Since(asked)
			}()
			time.Sleep(time.Duration(i) * time.Millisecond) // of the bubble
		}
		go p.swallow()
		for range 30 {
			d := <-took
			require.GreaterOrEqual(t, d, timeout)
			require.LessOrEqual(t, d, timeout+min(timeout/lateSteps, maxLateStep))
		}
	})
}

func TestTheLateAnswerOfACallIsNotAnothers(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open(WithRequestTimeout(100 * time.Millisecond))
		p := f.serve()
		for i := range 5 {
			done := c.createAsync(t.Context(), fmt.Sprintf("/%d", i))
			late := p.next()
			err := (<-done).err
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.True(t, e.Maybe)

			done = c.createAsync(t.Context(), "/next")
			p.answer(late, func(m *protocol.Message) { m.Zxid = uint64(100*i + 1) })
			r := p.next()
			p.answer(r, func(m *protocol.Message) { m.Zxid = uint64(100*i + 2) })
			got := <-done
			require.NoError(t, got.err)
			require.EqualValues(t, 100*i+2, got.zxid)
		}
	})
}

func TestTheServersLimitsAreKept(t *testing.T) {
	for _, limit := range []struct {
		name string
		set  func(*protocol.Limits)
		most int
	}{
		{"requests", func(l *protocol.Limits) { l.MaxOutstanding = 5 }, 5},
		{"answers", func(l *protocol.Limits) { l.MaxOutcomes = 3 }, 3},
		{"bytes of answers", func(l *protocol.Limits) { l.MaxOutcomeBytes = 4 * (64 + 192 + 2 + 20) }, 4},
		{"bytes of one answer", func(l *protocol.Limits) { l.MaxOutcomeBytes = 1 }, 1},
	} {
		t.Run(limit.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				p := f.serve(func(w *protocol.Welcome) { limit.set(&w.Limits) })
				got := make(chan protocol.Request, 100)
				go func() {
					for {
						r, err := p.take()
						if err != nil {
							return
						}
						got <- r
					}
				}()
				var calls sync.WaitGroup
				for i := range 10 {
					calls.Go(func() {
						if _, err := c.Create(t.Context(), fmt.Sprintf("/%d", i), nil); err != nil {
							t.Error(err)
						}
					})
				}
				for range 10 {
					synctest.Wait()
					require.LessOrEqual(t, len(got), limit.most)
					require.NotEmpty(t, got)
					p.answer(<-got)
				}
				calls.Wait()
			})
		})
	}
}

// A multi that the server could not keep the answer of beside those before it
// waits for them.
func TestAMultiWaitsForRoomForItsAnswer(t *testing.T) {
	const ops = 100
	multi := 64 + ops*(192+2+20)
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutcomeBytes = uint32(64 + 192 + multi - 1) })
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := c.Set(t.Context(), "/a", nil); err != nil {
				t.Error(err)
			}
		})
		set := p.next()
		calls.Go(func() {
			if _, err := c.Multi(t.Context(), slices.Repeat([]Op{OpCreate("/a", nil)}, ops)...); err != nil {
				t.Error(err)
			}
		})
		got := make(chan protocol.Request, 1)
		go func() { got <- p.next() }()
		synctest.Wait()
		require.Empty(t, got)
		p.answer(set)
		p.answer(<-got, func(m *protocol.Message) {
			m.More = &protocol.More{Results: slices.Repeat([]protocol.Message{{Op: protocol.OpCreate, Path: "/a"}}, ops)}
		})
		calls.Wait()
	})
}

// asked takes the requests that the client has sent by now.
func (p *peer) asked() (all []protocol.Request) {
	for {
		p.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		r, err := p.take()
		if err != nil {
			p.nc.SetReadDeadline(time.Time{})
			return all
		}
		all = append(all, r)
	}
}

func TestAClientThatWasTooGreedyAsksForLessAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		var calls []<-chan result
		p := f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 64 })
		for range 100 {
			calls = append(calls, c.getAsync(t.Context(), "/big"))
		}
		for _, want := range []int{64, 8, 1} {
			require.Len(t, p.asked(), want)
			p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.Throttled}))
			p = f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 64 })
		}
		go p.attend()
		for _, done := range calls {
			require.NoError(t, (<-done).err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		require.Zero(t, c.narrow)
	})
}

// The pong waits behind the answers, and elsewhere would wait behind as many.
func TestAClientThatAsksForMoreThanItsWayCarriesAsksForLess(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		got := make(chan protocol.Request, 100)
		go func() {
			for {
				r, err := p.hear()
				if err != nil {
					return
				}
				if r.Op == protocol.OpGet {
					got <- r
				}
			}
		}()
		const gets = 40
		var calls []<-chan result
		for range gets {
			calls = append(calls, c.getAsync(t.Context(), "/big"))
		}
		answered := 0
		for {
			r := <-got
			if _, err := p.nc.Write(protocol.AppendMessage(nil, &protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: 1})); err != nil {
				break
			}
			answered++
			time.Sleep(time.Second) // which is no silence
		}
		require.Greater(t, answered, 2)
		require.Less(t, answered, gets/2)
		next := f.serve()
		again := next.asked()
		require.Len(t, again, (gets-answered)/8)
		for _, r := range again {
			next.answer(r)
		}
		go next.attend()
		for _, done := range calls {
			require.NoError(t, (<-done).err)
		}
	})
}

func crowdedOut(m *protocol.Message) { m.Code = protocol.TooManyOutcomes }

// While other sessions keep much a server has room for fewer answers than its
// Welcome said: what it refuses for that waits for those before it.
func TestAWriteThatIsCrowdedOutIsSentAgainAlone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		var calls []<-chan result
		var sent []protocol.Request
		for i := range 20 {
			calls = append(calls, c.createAsync(t.Context(), fmt.Sprint("/", i)))
			sent = append(sent, p.next())
		}
		const crowded = 17
		for i, r := range sent[:len(sent)-1] {
			if i == crowded {
				p.answer(r, crowdedOut)
				calls = append(calls, c.createAsync(t.Context(), "/new"))
				continue
			}
			p.answer(r)
		}
		got := make(chan protocol.Request, 1)
		go func() { got <- p.next() }()
		synctest.Wait()
		require.Empty(t, got, "the last is open")
		last := sent[len(sent)-1]
		p.answer(last)
		again := <-got
		require.Equal(t, sent[crowded].Body, again.Body)
		require.Equal(t, last.Xid+1, again.Xid, "it did not run, and what came later did")
		require.Equal(t, again.Xid, again.Arg)
		require.Equal(t, again.Xid+1, p.next().Xid, "it holds up nobody")
		p.answer(again)
		p.answer(protocol.Request{Op: again.Op, Xid: again.Xid + 1})
		for _, done := range calls {
			require.NoError(t, (<-done).err)
		}
	})
}

// xids rise: what has one already goes first.
func TestAWriteThatIsCrowdedOutGoesBehindThoseThatMayHaveRun(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		first, second := c.createAsync(t.Context(), "/1"), c.createAsync(t.Context(), "/2")
		one, two := p.next(), p.next()
		p.nc.Close()
		p = f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 1 })
		p.answer(p.next(), crowdedOut)
		r := p.next()
		require.Equal(t, []uint64{two.Xid, two.Xid}, []uint64{r.Xid, r.Arg})
		require.Equal(t, two.Body, r.Body)
		p.answer(r)
		r = p.next()
		require.Equal(t, []uint64{two.Xid + 1, two.Xid + 1}, []uint64{r.Xid, r.Arg})
		require.Equal(t, one.Body, r.Body)
		p.nc.Close()
		p = f.serve()
		require.Equal(t, r.Xid, p.hello.Ack)
		require.Equal(t, r, p.next())
		p.answer(r)
		require.NoError(t, (<-first).err)
		require.NoError(t, (<-second).err)
	})
}

func TestAWriteForWhichThereIsNoRoomAloneFails(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		done := c.createAsync(t.Context(), "/1")
		one := p.next()
		p.answer(one, crowdedOut)
		again := p.next() // what the first acknowledged may have made room
		require.Equal(t, one.Xid+1, again.Xid)
		p.answer(again, crowdedOut)
		err := (<-done).err
		require.ErrorIs(t, err, ErrTooManyOutcomes)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.False(t, e.Maybe)

		ctx, cancel := context.WithCancel(t.Context())
		given := c.createAsync(ctx, "/2")
		two := p.next()
		cancel()
		require.ErrorIs(t, (<-given).err, context.Canceled)
		p.answer(two, crowdedOut)
		last := c.createAsync(t.Context(), "/3")
		three := p.next()
		require.NotEqual(t, two.Body, three.Body, "nobody waits for the second")
		p.answer(three)
		require.NoError(t, (<-last).err)
	})
}

// No server of ours says so to a read, which has no answer to be kept, and would for ever.
func TestOnlyAWriteIsSentAgainForItsAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		done := c.getAsync(t.Context(), "/")
		p.answer(p.next(), crowdedOut)
		synctest.Wait()
		require.Len(t, done, 1)
		require.ErrorIs(t, (<-done).err, ErrTooManyOutcomes)
	})
}

func TestARequestBeyondTheFrameFailsHere(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Limits.MaxFrame, w.Limits.MaxData = 1000, 500 })
		_, err := c.Create(t.Context(), "/big", make([]byte, 1000))
		require.ErrorIs(t, err, ErrTooLarge)
		require.ErrorContains(t, err, "at most 1000 are allowed, of them 500 for the data of a node")
		done := c.createAsync(t.Context(), "/small")
		r := p.next()
		require.Equal(t, r.Xid, r.Arg, "what was never sent holds nothing up")
		p.answer(r)
		require.NoError(t, (<-done).err)
	})
}

func TestALostSessionLeavesWritesThatWereSentUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 2 })
		sent, read, unsent := c.createAsync(t.Context(), "/1"), c.getAsync(t.Context(), "/1"), c.createAsync(t.Context(), "/2")
		p.next()
		p.next()
		p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.SessionExpired}))
		for done, maybe := range map[<-chan result]bool{sent: true, read: false, unsent: false} {
			err := (<-done).err
			require.ErrorIs(t, err, ErrSessionExpired)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, maybe, e.Maybe)
		}
	})
}

// Whatever a server says that no server says costs the connection, not the
// session and never the process.
func TestAServerThatMisbehavesIsLeft(t *testing.T) {
	message := func(m protocol.Message) []byte { return protocol.AppendMessage(nil, &m) }
	for name, bytes := range map[string][]byte{
		"an answer nobody asked for":     message(protocol.Message{Op: protocol.OpGet, Xid: 99}),
		"an answer to another operation": message(protocol.Message{Op: protocol.OpSet, Xid: 1}),
		"an answer ahead of its turn":    message(protocol.Message{Op: protocol.OpGet, Xid: 2}),
		"an answer older than was seen":  message(protocol.Message{Op: protocol.OpGet, Xid: 1}),
		"an answer of no zxid there is":  message(protocol.Message{Op: protocol.OpGet, Xid: 1, Zxid: 1 << 63}),
		"an event of no zxid there is":   message(protocol.Message{Kind: protocol.Event, Event: protocol.EventCreated, Path: "/", Zxid: 1 << 63}),
		"half an answer":                 message(protocol.Message{Op: protocol.OpGet, Xid: 1, Partial: true}),
		"a pong from the future":         message(protocol.Message{Op: protocol.OpPing, Xid: 1 << 60}),
		"an event of no path":            message(protocol.Message{Kind: protocol.Event, Event: protocol.EventCreated}),
		"a replay that was not asked":    message(protocol.Message{Kind: protocol.Event, Event: protocol.EventReplayDone}),
		"a gap out of nowhere":           message(protocol.Message{Kind: protocol.Event, Event: protocol.EventGap, Path: "/"}),
		"a frame beyond all bounds":      {0xff, 0xff, 0xff, 0xff},
		"a frame without a header":       {0, 0, 0, 1, 0},
		"a message of no known kind":     {0, 0, 0, 24, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				p := f.serve()
				done := c.getAsync(t.Context(), "/")
				p.next()
				p.write(bytes)
				_, err := p.take()
				require.Error(t, err, "the connection stands")
				p = f.serve()
				p.answer(p.next())
				require.NoError(t, (<-done).err)
			})
		})
	}
}

// Only reads are of the present: the answer of a write may have been kept.
func TestAWritesAnswerMayBeOld(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve(func(w *protocol.Welcome) { w.Zxid = 40 })
		done := c.createAsync(t.Context(), "/a")
		p.answer(p.next(), func(m *protocol.Message) { m.Zxid = 7 })
		require.NoError(t, (<-done).err)
		require.Len(t, f.dials, 1)
	})
}

func TestAWelcomeOfLessThanWasSeenIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		f.serve(func(w *protocol.Welcome) { w.Zxid = 40 }).nc.Close()
		done := c.getAsync(t.Context(), "/")
		_, err := f.serve(func(w *protocol.Welcome) { w.Zxid = 39 }).take()
		require.Error(t, err, "the connection stands")
		p := f.serve()
		p.answer(p.next())
		require.NoError(t, (<-done).err)
	})
}

func TestAWelcomeThatMakesNoSenseIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*protocol.Welcome){
		"another version":    func(w *protocol.Welcome) { w.Version = 2 },
		"no session":         func(w *protocol.Welcome) { w.Session = 0 },
		"no password":        func(w *protocol.Welcome) { w.Password = nil },
		"no timeout":         func(w *protocol.Welcome) { w.TimeoutMs = 0 },
		"a hasty timeout":    func(w *protocol.Welcome) { w.TimeoutMs = 9 },
		"no zxid there is":   func(w *protocol.Welcome) { w.Zxid = 1 << 63 },
		"an endless timeout": func(w *protocol.Welcome) { w.TimeoutMs = 1 << 60 },
		"no frames":          func(w *protocol.Welcome) { w.Limits.MaxFrame = 0 },
		"endless frames":     func(w *protocol.Welcome) { w.Limits.MaxFrame = 1 << 31 },
		"a write of no xid":  func(w *protocol.Welcome) { w.HighXid = 1<<64 - 1 },
		"no requests":        func(w *protocol.Welcome) { w.Limits.MaxOutstanding = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				_, err := func() (*Client, error) {
					go f.serve(spoil)
					return Open(t.Context(), []string{"a:1"}, WithDialer(f.dial), WithRequestTimeout(5*time.Millisecond))
				}()
				require.ErrorIs(t, err, ErrProtocol)
			})
		})
	}
}

// Each server would tell the same, and fence whoever holds the session at that moment.
func TestASessionThatHasNoXidLeftIsGivenUp(t *testing.T) {
	for name, heir := range map[string]bool{"own": false, "of another process": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.openAt([]string{"a:1", "b:1"})
				p := f.serve()
				require.NoError(t, c.awaitConnected(t.Context()))
				if heir {
					c = f.openAt([]string{"a:1", "b:1"}, WithResume(c.Session().Token()))
				} else {
					p.nc.Close()
				}
				p = f.serve(func(w *protocol.Welcome) { w.HighXid = protocol.MaxXid })
				<-c.Session().Context().Done()
				_, err := c.Set(t.Context(), "/", nil)
				require.ErrorIs(t, err, ErrProtocol)
				require.EqualError(t, err, "set /: "+p.addr+": protocol violation: the session has no xid left for another write: one has run as 9223372036854775808")
				require.Equal(t, Expired, c.Session().State())
			})
		})
	}
}

func TestAnotherSessionThanOursIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		f.serve().nc.Close()
		f.serve(func(w *protocol.Welcome) { w.Session = 5 })
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		require.EqualValues(t, fakeSession, c.Session().ID())
	})
}

func TestErrorsNameOperationPathAndCause(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		done := c.getAsync(t.Context(), "/a")
		p.answer(p.next(), func(m *protocol.Message) {
			m.Code, m.More = protocol.NoNode, &protocol.More{Detail: "node does not exist: somebody took it"}
		})
		err := (<-done).err
		require.EqualError(t, err, "get /a: node does not exist: somebody took it")
		require.False(t, errors.Is(err, ErrNodeExists))
	})
}

func TestAnAbortedWriteMayHaveBeenDone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		done := async(func() (uint64, error) {
			_, err := c.Set(t.Context(), "/a", nil)
			return 0, err
		})
		p.answer(p.next(), func(m *protocol.Message) { m.Code = protocol.Aborted })
		var e *Error
		require.ErrorAs(t, (<-done).err, &e)
		require.ErrorIs(t, e, ErrAborted)
		require.True(t, e.Maybe)
	})
}
