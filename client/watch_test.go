package client

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// watch opens a watch against a peer that takes it.
func (f *fake) watch(c *Client, p *peer, path string, opts ...WatchOption) *Watch {
	f.t.Helper()
	opened := make(chan *Watch, 1)
	go func() {
		w, err := c.Watch(f.t.Context(), path, opts...)
		if err != nil {
			f.t.Error(err)
		}
		opened <- w
	}()
	p.answer(p.next())
	return <-opened
}

// told lists what the watch has, without waiting.
func told(t *testing.T, w *Watch) (all []string) {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		e, err := w.Next(ctx)
		if err != nil {
			return all
		}
		all = append(all, fmt.Sprintf("%v %s %d", e.Type, e.Path, e.Zxid))
	}
}

// A transaction's events may be cut in two by a lost connection: the resume
// must ask for all of them, and tell none twice.
func TestAResumeTellsTheRestOfATransaction(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d", Subtree())
		p.event(protocol.EventCreated, "/d/1", 8)
		p.event(protocol.EventCreated, "/d/2", 9)
		p.event(protocol.EventCreated, "/d/3", 9)
		require.Equal(t, []string{"created /d/1 8", "created /d/2 9", "created /d/3 9"}, told(t, w))
		require.EqualValues(t, 8, w.Zxid())
		p.nc.Close()

		p = f.serve()
		r := p.next()
		require.Equal(t, []protocol.Watch{{Path: "/d", Mode: protocol.WatchRecursive, Since: 8}}, r.Watches)
		p.event(protocol.EventProgress, "", 0)
		for _, path := range []string{"/d/2", "/d/3", "/d/4"} {
			p.event(protocol.EventCreated, path, 9)
		}
		require.Equal(t, []string{"created /d/4 9"}, told(t, w))
		// Cut off once more before the end of the replay: it begins anew.
		p.nc.Close()
		p = f.serve()
		require.EqualValues(t, 8, p.next().Watches[0].Since)
		p.event(protocol.EventProgress, "", 0)
		for _, path := range []string{"/d/2", "/d/3", "/d/4", "/d/5"} {
			p.event(protocol.EventCreated, path, 9)
		}
		p.event(protocol.EventReplayDone, "", 12)
		require.Equal(t, []string{"created /d/5 9"}, told(t, w))
		require.EqualValues(t, 12, w.Zxid())
		p.nc.Close()
		p = f.serve()
		require.EqualValues(t, 12, p.next().Watches[0].Since)
	})
}

func TestAnothersReplayIsNotToldToAWatchThatHasHeardIt(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		p.nc.Close()
		p = f.serve()
		p.next()
		p.event(protocol.EventCreated, "/d", 8)
		p.event(protocol.EventReplayDone, "", 9)
		p.answer(protocol.Request{Op: protocol.OpResume, Xid: 2})
		require.Equal(t, []string{"created /d 8"}, told(t, w))
		opened := make(chan *Watch, 1)
		go func() {
			w, err := c.Watch(t.Context(), "/d", FromZxid(3))
			if err != nil {
				t.Error(err)
			}
			opened <- w
		}()
		r := p.next()
		p.event(protocol.EventCreated, "/d", 8)
		p.event(protocol.EventReplayDone, "", 9)
		p.event(protocol.EventDataChanged, "/d", 10)
		p.answer(r)
		require.Equal(t, []string{"created /d 8", "changed /d 10"}, told(t, <-opened))
		require.Equal(t, []string{"changed /d 10"}, told(t, w))
	})
}

func TestProgressMovesTheResumePointAndRepliesDoNot(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d") // at zxid 2
		done := c.getAsync(t.Context(), "/x")
		p.answer(p.next(), func(m *protocol.Message) { m.Zxid = 50 })
		require.NoError(t, (<-done).err)
		require.EqualValues(t, 2, w.Zxid())
		p.event(protocol.EventProgress, "", 40)
		synctest.Wait()
		require.EqualValues(t, 40, w.Zxid())
		p.nc.Close()
		p = f.serve()
		require.EqualValues(t, 50, p.hello.LastZxid)
		require.EqualValues(t, 40, p.next().Watches[0].Since)
	})
}

func TestWatchesAreResumedBeforeAnythingElse(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		f.watch(c, p, "/d")
		done := c.getAsync(t.Context(), "/x")
		p.next()
		p.nc.Close()
		p = f.serve()
		require.Equal(t, protocol.OpResume, p.next().Op)
		p.nc.Close()
		p = f.serve()
		resume := p.next()
		require.Equal(t, protocol.OpResume, resume.Op, "once, though the last one was never answered")
		get := p.next()
		require.Equal(t, protocol.OpGet, get.Op)
		p.event(protocol.EventReplayDone, "", 9)
		p.answer(resume)
		p.answer(get)
		require.NoError(t, (<-done).err)
	})
}

func TestManyWatchesAreResumedInSeveralRequests(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		small := func(w *protocol.Welcome) { w.Limits.MaxFrame = 400 }
		c := f.open()
		p := f.serve(small)
		const n = 40
		for i := range n {
			f.watch(c, p, fmt.Sprintf("/d/%030d", i))
		}
		p.nc.Close()
		p = f.serve(small)
		seen := map[string]bool{}
		for len(seen) < n {
			r := p.next()
			require.Equal(t, protocol.OpResume, r.Op)
			require.Less(t, len(r.Watches), n)
			for _, w := range r.Watches {
				require.False(t, seen[w.Path])
				seen[w.Path] = true
			}
			p.event(protocol.EventReplayDone, "", 99)
			p.answer(r)
		}
	})
}

func TestARefusedResumeEndsItsWatches(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		p.nc.Close()
		p = f.serve()
		p.answer(p.next(), func(m *protocol.Message) { m.Code = protocol.TooManyWatches })
		_, err := w.Next(t.Context())
		require.ErrorIs(t, err, ErrTooManyWatches)
		go p.attend()
		done := c.getAsync(t.Context(), "/x")
		require.NoError(t, (<-done).err)
	})
}

func TestAFullQueueMergesChangesOfOneNode(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d", Subtree())
		zxid := uint64(100)
		p.event(protocol.EventCreated, "/d/a", zxid)
		for range maxWatchQueue + 100 {
			zxid++
			p.event(protocol.EventDataChanged, "/d/a", zxid)
		}
		p.event(protocol.EventDeleted, "/d/a", zxid+1)
		all := told(t, w)
		require.Less(t, len(all), 200)
		require.Equal(t, "created /d/a 100", all[0])
		require.Equal(t, fmt.Sprintf("changed /d/a %d", zxid), all[len(all)-2])
		require.Equal(t, fmt.Sprintf("deleted /d/a %d", zxid+1), all[len(all)-1])
	})
}

func TestAQueueThatCannotBeMergedBecomesAGap(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d", Subtree())
		before := w.Zxid()
		for i := range uint64(maxWatchQueue + 10) {
			p.event(protocol.EventCreated, fmt.Sprintf("/d/%d", i), 100+i)
		}
		synctest.Wait()
		e, err := w.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, EventGap, e.Type)
		require.LessOrEqual(t, w.Zxid(), uint64(99))
		require.GreaterOrEqual(t, w.Zxid(), before)

		// An error amid the telling of the state loses nothing of it.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = w.Next(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		list := func(names ...string) {
			p.answer(p.next(), func(m *protocol.Message) { m.Zxid, m.More = 9000, &protocol.More{Names: names} })
		}
		go func() {
			list() // the one given up
			list("a", "b")
			list()
			p.answer(p.next(), func(m *protocol.Message) { m.Code = protocol.NoNode })
		}()
		for _, want := range []string{"present /d", "present /d/a", "synced /d"} {
			e, err := w.Next(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, fmt.Sprintf("%v %s", e.Type, e.Path))
		}
		require.Greater(t, w.Zxid(), uint64(4000))
	})
}

func TestAWatchOutlivesItsSessionOnlyForWhatItHas(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		p.event(protocol.EventCreated, "/d", 9)
		synctest.Wait()
		p.write(protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Goodbye, Code: protocol.SessionExpired}))
		<-c.Session().Context().Done()
		e, err := w.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, EventCreated, e.Type)
		_, err = w.Next(t.Context())
		require.ErrorIs(t, err, ErrSessionExpired)
		for _, err := range w.All() {
			require.ErrorIs(t, err, ErrSessionExpired)
		}
		require.NoError(t, w.Close())
	})
}

// The end of one watch must not take away the registration that another, not
// yet answered, relies on.
func TestTheLastWatchOfAPathTakesTheRegistrationAway(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		first := f.watch(c, p, "/d")
		opened := make(chan *Watch, 1)
		go func() {
			w, err := c.Watch(t.Context(), "/d")
			if err != nil {
				t.Error(err)
			}
			opened <- w
		}()
		second := p.next()
		require.NoError(t, first.Close())
		p.answer(second)
		w := <-opened
		synctest.Wait()
		done := c.getAsync(t.Context(), "/")
		r := p.next()
		require.Equal(t, protocol.OpGet, r.Op, "the registration is still in use")
		p.answer(r)
		<-done
		require.NoError(t, w.Close())
		require.Equal(t, protocol.OpUnwatch, p.next().Op)
	})
}

// Watches that share a one-shot registration share its resume point too: an
// event below the younger one's own would use the registration up and reach
// the older one alone.
func TestWatchesOfOneRegistrationResumeAtOnePoint(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		once := []WatchOption{Once(), Types(EventCreated, EventChanged, EventDeleted)}
		older := f.watch(c, p, "/d", once...) // at zxid 2
		p.zxid = 8
		younger := f.watch(c, p, "/d", once...) // at zxid 9: everything up to it has been told
		require.EqualValues(t, 9, older.Zxid())
		require.EqualValues(t, 9, younger.Zxid())
		p.nc.Close()

		p = f.serve()
		r := p.next()
		require.Equal(t, []protocol.Watch{{Path: "/d", Mode: protocol.WatchExists, Since: 9}}, r.Watches)
		p.event(protocol.EventCreated, "/d", r.Watches[0].Since+1) // as a comparison tells it
		p.event(protocol.EventReplayDone, "", 20)
		p.answer(r)
		require.Equal(t, []string{"created /d 10"}, told(t, older))
		require.Equal(t, []string{"created /d 10"}, told(t, younger))
	})
}

// A gap is of the staying watches of a path alone: a one-shot beside them is
// told its own event.
func TestAGapIsNotForOneShots(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		staying := f.watch(c, p, "/d", WithoutResync())
		once := f.watch(c, p, "/d", Once(), Types(EventCreated, EventChanged, EventDeleted))
		p.nc.Close()
		p = f.serve()
		r := p.next()
		require.Len(t, r.Watches, 2)
		p.event(protocol.EventGap, "/d", 3)
		p.event(protocol.EventDeleted, "/d", 4)
		p.event(protocol.EventReplayDone, "", 20)
		p.answer(r)
		synctest.Wait()
		_, err := staying.Next(t.Context())
		require.ErrorIs(t, err, ErrGap)
		require.Equal(t, []string{"deleted /d 4"}, told(t, once))
	})
}

// The request timeout is for one answer, not for how long an outage lasts.
func TestAnOutageAmidATellingOfTheStateEndsNoWatch(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open(WithRequestTimeout(time.Second))
		p := f.serve()
		w := f.watch(c, p, "/a", WithSnapshot())
		events := make(chan Event)
		go func() {
			for e, err := range w.All() {
				if err != nil {
					t.Error(err)
				}
				events <- e
			}
			close(events)
		}()
		require.Equal(t, protocol.OpExists, p.next().Op)
		f.cut.Store(true)
		p.nc.Close()
		time.Sleep(3 * time.Second) // of the bubble
		select {
		case <-events:
			require.Fail(t, "it did not wait")
		default:
		}
		f.cut.Store(false)
		p = f.serve()
		resume := p.next()
		require.Equal(t, protocol.OpResume, resume.Op)
		p.event(protocol.EventReplayDone, "", 9)
		p.answer(resume)
		p.answer(p.next())
		require.Equal(t, EventPresent, (<-events).Type)
		require.Equal(t, EventSynced, (<-events).Type)

		w.Close()
		_, more := <-events
		require.False(t, more)
	})
}

func TestAWatchThatIsClosedAmidATellingOfTheStateTellsNoMore(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/a", WithSnapshot(), Subtree())
		next := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := w.Next(ctx)
			next <- err
		}()
		require.Equal(t, protocol.OpChildren, p.next().Op)
		w.Close()
		require.ErrorIs(t, <-next, ErrClosed)
		go p.attend()
		_, err := w.Next(t.Context())
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestANodeThatComesAndGoesInOneTransactionIsToldSo(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w, ends := f.watch(c, p, "/d"), f.watch(c, p, "/d", Types(EventDeleted))
		transaction := func() {
			for _, e := range []protocol.EventType{protocol.EventCreated, protocol.EventDataChanged, protocol.EventDeleted, protocol.EventCreated, protocol.EventDataChanged, protocol.EventDeleted, protocol.EventCreated} {
				p.event(e, "/d", 8)
			}
		}
		transaction()
		require.Equal(t, []string{"created /d 8", "changed /d 8", "deleted /d 8", "created /d 8", "deleted /d 8", "created /d 8"}, told(t, w))
		require.Equal(t, []string{"deleted /d 8", "deleted /d 8"}, told(t, ends))
		p.nc.Close()

		p = f.serve()
		resume := p.next()
		require.EqualValues(t, 7, resume.Watches[0].Since)
		p.event(protocol.EventProgress, "", 0)
		p.event(protocol.EventCreated, "/d", 8)
		p.event(protocol.EventDeleted, "/d", 8)
		require.Empty(t, told(t, w))
		p.nc.Close()

		p = f.serve()
		p.next()
		p.event(protocol.EventProgress, "", 0)
		transaction()
		p.event(protocol.EventDeleted, "/d", 8)
		require.Equal(t, []string{"deleted /d 8"}, told(t, w), "only the last is new")
		p.event(protocol.EventReplayDone, "", 9)
	})
}

func TestAnothersReplayOfTheNewestTransactionIsNoNews(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		p.event(protocol.EventCreated, "/d", 8)
		go func() {
			_, err := c.Watch(t.Context(), "/d", FromZxid(7))
			if err != nil {
				t.Error(err)
			}
		}()
		r := p.next()
		p.event(protocol.EventCreated, "/d", 8)
		p.event(protocol.EventReplayDone, "", 8)
		p.answer(r)
		require.Equal(t, []string{"created /d 8"}, told(t, w))
	})
}

// Of a replay that another watch asked for, a transaction in which the node came and
// went cannot be told from more of it, but by where the replay begins.
func TestAnothersReplayOfComingsAndGoingsIsNoNews(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		transaction := func() {
			p.event(protocol.EventDeleted, "/d", 8)
			p.event(protocol.EventCreated, "/d", 8)
		}
		transaction()
		require.Equal(t, []string{"deleted /d 8", "created /d 8"}, told(t, w))
		opened := make(chan *Watch, 1)
		go func() {
			again, err := c.Watch(t.Context(), "/d", FromZxid(w.Zxid()))
			if err != nil {
				t.Error(err)
			}
			opened <- again
		}()
		r := p.next()
		require.EqualValues(t, 7, r.Watches[0].Since)
		p.event(protocol.EventProgress, "", 0)
		transaction()
		p.event(protocol.EventReplayDone, "", 8)
		p.answer(r)
		require.Equal(t, []string{"deleted /d 8", "created /d 8"}, told(t, <-opened))
		require.Empty(t, told(t, w))
		require.EqualValues(t, 8, w.Zxid())
	})
}

// What comes between two resumes reaches a watch of the second through one of the
// first, and once more in its replay.
func TestWhatComesBetweenTwoResumesIsToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		small := func(w *protocol.Welcome) { w.Limits.MaxFrame = 100 }
		c := f.open()
		p := f.serve(small)
		watches := []*Watch{f.watch(c, p, "/d"), f.watch(c, p, "/", Subtree())}
		p.nc.Close()
		p = f.serve(small)
		first := p.next()
		require.Len(t, first.Watches, 1)
		transaction := func() {
			p.event(protocol.EventDeleted, "/d", 8)
			p.event(protocol.EventCreated, "/d", 8)
		}
		for i, r := range []protocol.Request{first, p.next()} {
			p.event(protocol.EventProgress, "", 0)
			if i > 0 {
				transaction() // as the replay tells it
			}
			p.event(protocol.EventReplayDone, "", uint64(7+i))
			p.answer(r)
			if i == 0 {
				transaction() // as it happens
			}
		}
		for _, w := range watches {
			require.Equal(t, []string{"deleted /d 8", "created /d 8"}, told(t, w))
		}
	})
}

// What another watch of the node hears before a replay begins is told in it.
func TestAReplayIsToldBeforeWhatCameEarlier(t *testing.T) {
	for name, begins := range map[string]bool{"": true, "of an older server: what was held is told at its end": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				c := f.open()
				p := f.serve()
				w := f.watch(c, p, "/d")
				p.event(protocol.EventCreated, "/d", 8)
				opened := make(chan *Watch, 1)
				go func() {
					again, err := c.Watch(t.Context(), "/d", FromZxid(7))
					if err != nil {
						t.Error(err)
					}
					opened <- again
				}()
				r := p.next()
				p.event(protocol.EventDeleted, "/d", 9)
				require.Equal(t, []string{"created /d 8", "deleted /d 9"}, told(t, w))
				if begins {
					p.event(protocol.EventProgress, "", 0)
					p.event(protocol.EventCreated, "/d", 8)
					p.event(protocol.EventDeleted, "/d", 9)
				}
				p.event(protocol.EventReplayDone, "", 9)
				p.answer(r)
				want := []string{"created /d 8", "deleted /d 9"}
				if !begins {
					want = want[1:]
				}
				require.Equal(t, want, told(t, <-opened))
				require.Empty(t, told(t, w))
			})
		})
	}
}

func TestMoreThanAWatchHoldsIsAGap(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d", WithoutResync())
		p.nc.Close()
		p = f.serve()
		r := p.next()
		for i := range uint64(maxWatchQueue + 1) {
			p.event(protocol.EventDataChanged, "/d", 8+i)
		}
		p.event(protocol.EventReplayDone, "", 9000)
		p.answer(r)
		synctest.Wait()
		_, err := w.Next(t.Context())
		require.ErrorIs(t, err, ErrGap)
	})
}

func TestAnEventOfAKindUnknownIsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		w := f.watch(c, p, "/d")
		p.event(99, "", 7)
		p.event(protocol.EventCreated, "/d", 8)
		require.Equal(t, []string{"created /d 8"}, told(t, w))
		require.Equal(t, Connected, c.Session().State())
	})
}
