package client

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// Its gap would be of that zxid, and an event of one that there is not costs the connection.
func TestAWatchFromAZxidThatThereIsNotIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.open().Watch(ctx, "/d", FromZxid(maxZxid+1))
		require.ErrorIs(t, err, ErrBadArguments)
	})
}

// A watch from a zxid that is cut off before its answer is resumed by the call that
// is sent again, and by nothing else: twice, it would not fit among as many watches as
// the server takes, and what the server has forgotten by then would be a gap.
func TestAWatchThatIsCutOffBeforeItsAnswerIsResumedOnce(t *testing.T) {
	const most, from = 2, 5
	for name, first := range map[string]struct {
		tell  func(p *peer)
		since uint64 // where the second connection has to go on
	}{
		"before its replay": {func(*peer) {}, from},
		"amid its replay": {func(p *peer) {
			p.event(protocol.EventProgress, "", 0)
			p.event(protocol.EventCreated, "/d", 6)
		}, from},
		"behind its replay": {func(p *peer) {
			p.event(protocol.EventProgress, "", 0)
			p.event(protocol.EventCreated, "/d", 6)
			p.event(protocol.EventReplayDone, "", 9)
			p.event(protocol.EventDataChanged, "/d", 12)
		}, 11},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				few := func(w *protocol.Welcome) { w.Limits.MaxWatches = most }
				c := f.open()
				p := f.serve(few)
				other := f.watch(c, p, "/a")
				opened := make(chan *Watch, 1)
				go func() {
					w, err := c.Watch(t.Context(), "/d", FromZxid(from))
					if err != nil {
						t.Error(err)
					}
					opened <- w
				}()
				require.Equal(t, protocol.OpResume, p.next().Op)
				first.tell(p)
				synctest.Wait()
				p.nc.Close()

				p = f.serve(few)
				last := c.getAsync(t.Context(), "/x")
				watches := 0
				r := p.next()
				for ; r.Op == protocol.OpResume; r = p.next() {
					if watches += len(r.Watches); watches > most {
						p.answer(r, func(m *protocol.Message) { m.Code = protocol.TooManyWatches })
						continue
					}
					p.event(protocol.EventProgress, "", 0)
					for _, w := range r.Watches {
						switch {
						case w.Path == "/a":
						case w.Since < first.since:
							p.event(protocol.EventGap, "/d", w.Since)
						default:
							if w.Since < 6 {
								p.event(protocol.EventCreated, "/d", 6)
							}
							p.event(protocol.EventDataChanged, "/d", 12)
						}
					}
					p.event(protocol.EventReplayDone, "", 20)
					p.answer(r)
				}
				p.answer(r)
				require.NoError(t, (<-last).err)
				w := <-opened
				require.NotNil(t, w)
				p.event(protocol.EventDeleted, "/d", 21)
				p.event(protocol.EventCreated, "/a", 22)
				require.Equal(t, []string{"created /d 6", "changed /d 12", "deleted /d 21"}, told(t, w))
				require.Equal(t, []string{"created /a 22"}, told(t, other))
			})
		})
	}
}

// The server of the next connection may take shorter requests.
func TestAWatchThatNoRequestCanResumeEnds(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		long, short := f.watch(c, p, "/"+strings.Repeat("x", 200)), f.watch(c, p, "/d")
		p.nc.Close()
		p = f.serve(func(w *protocol.Welcome) { w.Limits.MaxFrame = 100 })
		r := p.next()
		require.Equal(t, []protocol.Watch{{Path: "/d", Mode: protocol.WatchPersistent, Since: short.Zxid()}}, r.Watches)
		p.event(protocol.EventProgress, "", 0)
		p.event(protocol.EventReplayDone, "", 8)
		p.answer(r)
		p.event(protocol.EventCreated, "/d", 9)
		require.Equal(t, []string{"created /d 9"}, told(t, short))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := long.Next(ended)
		require.ErrorIs(t, err, ErrTooLarge)
		require.NotContains(t, err.Error(), ": : ")
	})
}

// A watch whose resume waits for its turn hears what others hear: its replay tells
// that in its place.
func TestWhatComesBeforeAResumeIsSentIsToldInItsReplay(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		narrow := func(w *protocol.Welcome) { w.Limits.MaxFrame, w.Limits.MaxOutstanding = 100, 1 }
		c := f.open()
		p := f.serve(narrow)
		one, all := f.watch(c, p, "/d"), f.watch(c, p, "/", Subtree())
		p.nc.Close()
		p = f.serve(narrow)
		r := p.next()
		require.Equal(t, []protocol.Watch{{Path: "/d", Mode: protocol.WatchPersistent, Since: one.Zxid()}}, r.Watches)
		p.event(protocol.EventProgress, "", 0)
		p.event(protocol.EventReplayDone, "", 8)
		p.event(protocol.EventCreated, "/d", 9)
		require.Equal(t, []string{"created /d 9"}, told(t, one))
		p.answer(r)
		r = p.next()
		require.Equal(t, protocol.OpResume, r.Op)
		p.event(protocol.EventProgress, "", 0)
		p.event(protocol.EventCreated, "/b", 8)
		p.event(protocol.EventCreated, "/d", 9)
		p.event(protocol.EventReplayDone, "", 9)
		p.answer(r)
		require.Equal(t, []string{"created /b 8", "created /d 9"}, told(t, all))
		require.Empty(t, told(t, one))
	})
}
