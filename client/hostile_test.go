package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// greetAll has a stranger say these words to everybody who dials, and then hang up
// or say no more.
func (f *fake) greetAll(words string, hangUp bool) (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case nc := <-f.conns:
				go func() {
					go io.Copy(io.Discard, nc)
					io.WriteString(nc, words)
					if hangUp {
						nc.Close()
					}
				}()
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func TestAWrongPortIsToldForWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		words  string
		hangUp bool
		why    string
	}{
		"a web server":              {"HTTP/1.1 400 Bad Request\r\n\r\n", true, `a:1: awaiting the welcome: protocol violation: a frame of 1213486160 bytes, at most 65536 are allowed: it begins with "HTTP"`},
		"TLS":                       {"\x15\x03\x01\x00\x02\x02\x16", true, `it begins with "\x15\x03\x01\x00"`},
		"another greeting":          {"SSH-2.0-x\r\n", false, `it begins with "SSH-"`},
		"the longest frame":         {"\xff\xff\xff\xff", false, "a:1: awaiting the welcome: protocol violation: a frame of 4294967295 bytes"},
		"an empty frame":            {"\x00\x00\x00\x00", false, "a:1: awaiting the welcome: protocol violation: malformed message: an early end at byte 0"},
		"one that hangs up":         {"", true, "a:1: awaiting the welcome: EOF"},
		"half a frame":              {"\x00\x00\x00\x09half", true, "a:1: awaiting the welcome: unexpected EOF"},
		"silence":                   {"", false, "a:1: the server did not answer"},
		"silence after half of one": {"\x00\x00\x00\x09half", false, "a:1: the server did not answer"},
		"arrays without an end":     {"\x00\x00\xff\x00" + strings.Repeat("\x91", 0xff00), false, "a:1: awaiting the welcome: protocol violation: "},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				defer f.greetAll(c.words, c.hangUp)()
				_, err := Open(t.Context(), []string{"a:1"}, WithDialer(f.dial))
				require.ErrorIs(t, err, ErrDisconnected)
				require.NotErrorIs(t, err, ErrTooLarge, "that is of what a caller asks")
				require.ErrorContains(t, err, c.why)
				require.Less(t, len(f.dials), 30, "in 10 s")
			})
		})
	}
}

func TestADialWithoutAnEndNamesItsServer(t *testing.T) {
	bubble(t, func(t *testing.T, _ *fake) {
		endless := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return nil, ctx.Err()
		}
		_, err := Open(t.Context(), []string{"a:1", "b:2"}, WithDialer(endless))
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorContains(t, err, "a:1: no connection: context deadline exceeded")
		require.ErrorContains(t, err, "b:2: no connection: context deadline exceeded")
	})
}

func TestWhyAServerWasLeftNamesIt(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		done := c.getAsync(ctx, "/")
		p.next()
		p.write([]byte{0xff, 0xff, 0xff, 0xff})
		err := (<-done).err
		require.ErrorIs(t, err, ErrDisconnected)
		require.ErrorContains(t, err, "a:1: protocol violation: a frame of 4294967295 bytes")
	})
}

// The way up from a path takes its names times its length, under the client's lock.
func TestAnEventOfAnEndlessPathCostsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		p.event(protocol.EventCreated, strings.Repeat("/a", 512), 2)
		synctest.Wait()
		require.Equal(t, Connected, c.Session().State())
		p.event(protocol.EventCreated, strings.Repeat("/a", 20_000), 2)
		synctest.Wait()
		require.Equal(t, Disconnected, c.Session().State())
	})
}

// A server may never end a transaction, or a replay.
func TestWhatAWatchRemembersIsBounded(t *testing.T) {
	for name, replaying := range map[string]bool{"a transaction": false, "a replay": true} {
		t.Run(name, func(t *testing.T) {
			c, err := newClient([]string{"a:1"}, protocol.HelloOpen, nil)
			require.NoError(t, err)
			c.mu.Lock()
			defer c.mu.Unlock()
			w := c.newWatch([]WatchOption{Subtree()})
			w.path, w.replaying = "/", replaying
			w.newest, w.floor = 5, 4
			w.seen = make(map[eventKey]tally, maxSeen)
			for i := range uint64(maxSeen - 1) {
				w.seen[eventKey{zxid: i}] = tally{}
			}
			for i, want := range []EventType{EventCreated, EventGap, EventCreated} {
				c.watches.offer(c, w, Event{Type: EventCreated, Path: fmt.Sprint("/", i), Zxid: 5})
				require.Equal(t, 1, w.queue.len())
				require.Equal(t, want, w.queue.pop().Type, "what was forgotten may be told again, never be missing")
				require.LessOrEqual(t, len(w.seen), maxSeen)
			}
		})
	}
}

func TestResultsOfAnotherMultiAreNotBelieved(t *testing.T) {
	set, create := protocol.Message{Op: protocol.OpSet}, protocol.Message{Op: protocol.OpCreate, Path: "/a"}
	failed := protocol.Message{Op: protocol.OpSet, Code: protocol.NoNode}
	for name, results := range map[string][]protocol.Message{
		"too few":              {set},
		"too many":             {set, set, set},
		"of another operation": {set, create},
		"one that failed":      {set, failed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				p := f.serve()
				done := async(func() (uint64, error) {
					_, err := c.Multi(t.Context(), OpSet("/a", nil), OpSet("/b", nil))
					return 0, err
				})
				p.answer(p.next(), func(m *protocol.Message) { m.More = &protocol.More{Results: results} })
				err := (<-done).err
				require.ErrorIs(t, err, ErrProtocol)
				var e *Error
				require.ErrorAs(t, err, &e)
				require.True(t, e.Maybe)
			})
		})
	}
}

func TestResultsOfOtherReadsAreNotBelieved(t *testing.T) {
	get, exists := protocol.Message{Op: protocol.OpGet}, protocol.Message{Op: protocol.OpExists}
	for name, results := range map[string][]protocol.Message{
		"too few":         {get},
		"too many":        {get, get, get},
		"of another read": {get, exists},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				p := f.serve()
				done := async(func() (uint64, error) {
					_, err := c.MultiRead(t.Context(), []ReadOp{ReadGet("/a"), ReadGet("/b")})
					return 0, err
				})
				p.answer(p.next(), func(m *protocol.Message) { m.More = &protocol.More{Results: results} })
				require.ErrorIs(t, (<-done).err, ErrProtocol)
			})
		})
	}
}

// Only pongs keep a session: one whose server says something all the time, but not
// that, has to be taken elsewhere before it ends.
func TestAServerThatTalksButAnswersNoPingIsLeftInTime(t *testing.T) {
	event := protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Event, Event: protocol.EventCreated, Path: "/a", Zxid: 5})
	for name, words := range map[string]struct{ first, then []byte }{
		"in events":                {event, event},
		"in a frame byte for byte": {[]byte{0, 0x10, 0, 0}, []byte{0}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, servers := range [][]string{{"a:1"}, three} {
				bubble(t, func(t *testing.T, f *fake) {
					c := f.openAt(servers)
					p := f.serve()
					go p.swallow()
					said := make(chan struct{})
					go func() {
						defer close(said)
						for say := words.first; ; say = words.then {
							if _, err := p.nc.Write(say); err != nil {
								return
							}
							time.Sleep(100 * time.Millisecond)
						}
					}()
					select {
					case nc := <-f.conns:
						nc.Close()
					case <-c.Session().Context().Done():
						t.Errorf("of %d servers: %v", len(servers), context.Cause(c.Session().Context()))
					}
					c.Abandon()
					<-said
				})
			}
		})
	}
}

// Whether any other server would answer it cannot know, but its caller may.
func TestCallsOfAServerThatAnswersPingsAloneEndByThemselves(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.openAt([]string{"a:1", "b:2"}, WithRequestTimeout(2*fakeTimeout))
		p := f.serve()
		go func() { // take answers pings and no more
			for err := error(nil); err == nil; _, err = p.take() {
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		write, read := c.createAsync(ctx, "/x"), c.getAsync(t.Context(), "/")
		err := (<-write).err
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		var e *Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Maybe)
		err = (<-read).err
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrDisconnected)
		require.Equal(t, 2*fakeTimeout, time.Since(begin))
		require.Equal(t, Connected, c.Session().State())
		require.Len(t, f.dials, 1)

		other := slices.DeleteFunc([]string{"a:1", "b:2"}, func(addr string) bool { return addr == p.addr })
		token := c.Session().Token()
		c.Abandon()
		heir := f.openAt(other, WithResume(token))
		q := f.serve()
		require.Equal(t, token.ID, SessionID(q.hello.Session))
		again := heir.getAsync(t.Context(), "/")
		q.answer(q.next())
		require.NoError(t, (<-again).err)
	})
}

// Else it would be sent again without an end, and what is behind it never be answered.
func TestAnAnswerThatNeverDecodesFailsItsCallAlone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		write, read := c.createAsync(t.Context(), "/a"), c.getAsync(t.Context(), "/b")
		var r protocol.Request
		for range 2 {
			r = p.next()
			require.Equal(t, protocol.OpCreate, r.Op)
			m := protocol.Message{Op: r.Op, Xid: r.Xid, Zxid: 5, Body: []byte{0xc1}}
			p.write(protocol.AppendMessage(nil, &m))
			p = f.serve()
		}
		again := p.next()
		require.Equal(t, protocol.OpGet, again.Op)
		p.answer(again)
		require.NoError(t, (<-read).err)
		err := (<-write).err
		require.ErrorIs(t, err, ErrProtocol)
		require.ErrorContains(t, err, "a:1: ")
		var e *Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Maybe)
		c.mu.Lock()
		require.Zero(t, c.window.cost)
		require.Zero(t, c.sent.len()+c.pending.len()+c.owed)
		c.mu.Unlock()
	})
}

func TestAReadThatIsAlwaysAnsweredTooOldFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		old := func(m *protocol.Message) { m.Zxid = 7 }
		p := f.serve(func(w *protocol.Welcome) { w.Zxid = 40 })
		read, write := c.getAsync(t.Context(), "/b"), c.createAsync(t.Context(), "/a")
		for range 2 {
			p.answer(p.next(), old)
			p = f.serve()
		}
		again := p.next()
		require.Equal(t, protocol.OpCreate, again.Op)
		p.answer(again)
		require.NoError(t, (<-write).err)
		err := (<-read).err
		require.ErrorIs(t, err, ErrProtocol)
		require.ErrorContains(t, err, "a:1: ")
	})
}

func TestAnAnswerThatDoesNotDecodeIsAskedForOnceMore(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		read := c.getAsync(t.Context(), "/b")
		r := p.next()
		p.write(protocol.AppendMessage(nil, &protocol.Message{Op: r.Op, Xid: r.Xid, Body: []byte{0xc1}}))
		p = f.serve()
		p.answer(p.next())
		require.NoError(t, (<-read).err)
	})
}

func TestAGuestsWelcomeThatMakesNoSenseIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		for _, spoil := range []func(*protocol.Welcome){
			func(w *protocol.Welcome) { w.Limits.MaxFrame = 0 },
			func(w *protocol.Welcome) { w.Limits.MaxFrame = 1 << 31 },
			func(w *protocol.Welcome) { w.Version = 2 },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			done := async(func() (uint64, error) {
				_, err := c.ClusterStatus(ctx)
				return 0, err
			})
			p := f.serve(guestWelcome, spoil)
			go p.swallow()
			err := (<-done).err
			require.ErrorIs(t, err, ErrProtocol)
			require.ErrorContains(t, err, "a:1: ")
			cancel()
		}
		c.Abandon()
	})
}

func TestASnapshotOfEmptyPiecesEnds(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		done := async(func() (uint64, error) {
			_, err := c.Snapshot(t.Context(), io.Discard)
			return 0, err
		})
		p := f.aside()
		p.answer(p.mustHear(protocol.OpSnapshot), func(m *protocol.Message) { m.Partial = true })
		err := (<-done).err
		require.ErrorIs(t, err, ErrProtocol)
		require.ErrorContains(t, err, "a:1: ")
		c.Abandon()
	})
}

func TestAPasswordOfAnotherLengthIsNotTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.open()
		f.serve().nc.Close()
		f.serve(func(w *protocol.Welcome) { w.Password = bytes.Repeat([]byte{1}, 5000) }).nc.Close()
		p := f.accept()
		require.Len(t, p.hello.Password, passwordSize)
		p.nc.Close()
	})
}

func TestAServerThatNeverHeardOfTheLeaderIsNotNearIt(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		go f.serve().attend()
		require.NoError(t, c.awaitConnected(t.Context()))
		contact := make(chan time.Duration)
		go func() {
			d, err := c.contactOf("b:2")
			if err != nil {
				t.Error(err)
			}
			contact <- d
		}()
		p := f.aside()
		p.answer(p.mustHear(protocol.OpPing), func(m *protocol.Message) { m.More = &protocol.More{Count: math.MaxInt64} })
		require.Equal(t, 24*time.Hour, <-contact)
		c.Abandon()
	})
}

func TestAnAddressBeyondAllNamesIsNotLearned(t *testing.T) {
	require.True(t, usable(strings.Repeat("a", 253)+":65535"))
	require.False(t, usable(strings.Repeat("a", 1<<20)+":1"))
	require.False(t, usable("a:"+strings.Repeat("1", 1<<20)))
}

func TestAPageLongerThanAskedForIsNotBelieved(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		done := async(func() (uint64, error) {
			_, err := c.Children(t.Context(), "/", Limit(3))
			return 0, err
		})
		p.answer(p.next(), func(m *protocol.Message) { m.More = &protocol.More{Names: []string{"a", "b"}, Truncated: true} })
		p.answer(p.next(), func(m *protocol.Message) { m.More = &protocol.More{Names: []string{"c", "d"}} })
		require.ErrorIs(t, (<-done).err, ErrProtocol)
	})
}

func TestAServersTextIsBoundedAndObeyedByNoTerminal(t *testing.T) {
	evil := &protocol.More{Detail: "\x1b]0;\x07\r\n" + strings.Repeat("é\u009b", 3)}
	failed := protocol.Message{Op: protocol.OpSet, Code: protocol.NoNode, More: evil}
	require.Len(t, harmless(strings.Repeat("a", 1<<20)), maxDetail)
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		single := c.getAsync(ctx, "/")
		p.answer(p.next(), func(m *protocol.Message) { m.Code, m.More = protocol.NoAuth, evil })
		multi := async(func() (uint64, error) {
			_, err := c.Multi(ctx, OpSet("/a", nil))
			return 0, err
		})
		p.answer(p.next(), func(m *protocol.Message) {
			m.Code, m.More = protocol.NoNode, &protocol.More{Results: []protocol.Message{failed}}
		})
		left := c.getAsync(ctx, "/")
		p.next()
		p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.Closing, More: evil}))
		for _, done := range []<-chan result{single, multi, left} {
			text := (<-done).err.Error()
			require.Contains(t, text, "\ufffd]0;\ufffd\ufffd\ufffdé\ufffdé")
			require.False(t, strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), unicode.IsControl), "but for the lines of joined errors")
		}
	})
}
