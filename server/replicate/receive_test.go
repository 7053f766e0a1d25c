package replicate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// paperInlet is a follower's stream without a socket.
func paperInlet(p *proposer, member uint64) *inlet {
	i := &inlet{
		s: &streams{n: &Node{prop: p, progress: newProgress()}}, member: member,
		doubts: make(chan struct{}, 1), echo: make(chan uint64, 1), notices: make(chan struct{}, 1),
	}
	i.ctx, i.end = context.WithCancel(context.Background())
	return i
}

func hinted(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// frameOf is the body of a frame of transactions.
func frameOf(txns ...state.Txn) []byte {
	b := state.AppendBatchHeader(nil, 0)
	for i := range txns {
		b = state.AppendTxn(b, &txns[i])
	}
	return b
}

func writes(session, from, to uint64) (all []state.Txn) {
	for seq := from; seq <= to; seq++ {
		all = append(all, write(session, 1, seq, protocol.OpSet, []byte("body")))
	}
	return all
}

func TestAFrameIsProposedAsItCame(t *testing.T) {
	proposing(t, func(b *bench) {
		in := paperInlet(b.proposer, 2)
		var load cargo
		txns := append(writes(7, 1, 200), open(1, 1000), state.Txn{Kind: state.TxnNoop, Origin: 5, Ticket: 6})
		require.NoError(t, load.feed(frameOf(txns...), in))
		// The first chunk goes at once, the rest waits.
		require.Equal(t, 1, b.paper.count())
		b.paper.end(0, nil)
		synctest.Wait()
		require.Equal(t, 2, b.paper.count())
		var all []byte
		for i := range 2 {
			all = append(all, b.paper.entries[i][state.BatchHeaderLen:]...)
		}
		require.Equal(t, frameOf(txns...)[state.BatchHeaderLen:], all)
		require.EqualValues(t, 202, b.Stats().Forwarded)
	})
}

func TestNothingMalformedReachesTheLog(t *testing.T) {
	good := frameOf(writes(7, 1, 3)...)
	reap := frameOf(append(writes(7, 1, 3), state.Txn{Kind: state.TxnReap, Path: "/x"})...)
	for name, frame := range map[string][]byte{
		"empty":           {},
		"another version": append([]byte{9}, good[1:]...),
		"cut short":       good[:len(good)-1],
		"unknown kind":    append(append([]byte{}, good...), 99),
		"trailing bytes":  append(append([]byte{}, good...), 1, 2),
		"a reap":          reap,
	} {
		t.Run(name, func(t *testing.T) {
			proposing(t, func(b *bench) {
				var load cargo
				require.ErrorIs(t, load.feed(frame, paperInlet(b.proposer, 2)), errGarbled)
				require.Zero(t, b.paper.count())
			})
		})
	}
}

func TestOnlyTheFollowerThatMissesSomethingIsAskedAgain(t *testing.T) {
	proposing(t, func(b *bench) {
		two, three := paperInlet(b.proposer, 2), paperInlet(b.proposer, 3)
		var load cargo
		require.NoError(t, load.feed(frameOf(writes(7, 1, 2)...), two))
		require.NoError(t, load.feed(frameOf(writes(8, 1, 2)...), three))
		require.NoError(t, load.feed(frameOf(writes(7, 4, 5)...), two))
		require.True(t, hinted(two.doubts))
		require.False(t, hinted(three.doubts))
		require.Zero(t, b.doubts, "and not this server")
		require.NoError(t, load.feed(frameOf(writes(7, 1, 5)...), two))
		require.False(t, hinted(two.doubts))
		require.EqualValues(t, 2, b.Stats().Doubled)
	})
}

// A follower whose stream has ended has another one, over which it sends
// everything unapplied: what the old one still holds must not come between.
func TestAStreamThatHasEndedFeedsNoLaterReign(t *testing.T) {
	proposing(t, func(b *bench) {
		in := paperInlet(b.proposer, 2)
		b.rest()
		in.end()
		b.lead()
		var load cargo
		require.NoError(t, load.feed(frameOf(writes(7, 5, 9)...), in))
		require.Zero(t, b.paper.count())
		require.EqualValues(t, 5, b.Stats().Late)
	})
}

func TestReadingStopsWhileTheQueueIsOverHalfFull(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 2, minSecondBatchBytes) // both places in flight
		b.append(3, 50, 1<<20)
		read := make(chan bool)
		stop := make(chan struct{})
		go func() { read <- b.awaitRoom(stop) }()
		synctest.Wait()
		select {
		case <-read:
			require.Fail(t, "it reads on")
		default:
		}
		for i := 0; b.Stats().QueuedBytes > maxQueueBytes/2; i++ {
			b.paper.end(i, nil)
			synctest.Wait()
		}
		require.True(t, <-read)
		b.append(51, 70, 1<<20)
		go func() { read <- b.awaitRoom(stop) }()
		close(stop)
		require.False(t, <-read)
	})
}

// The notice is what lets a follower answer at once; under load it would only
// cost, since the next batch brings the word.
func TestANoticeIsSentOnceNothingElseIsUnderWay(t *testing.T) {
	proposing(t, func(b *bench) {
		two, three := paperInlet(b.proposer, 2), paperInlet(b.proposer, 3)
		var load cargo
		end := func(i int) {
			b.paper.futures[i].index = uint64(100 + i)
			b.paper.end(i, nil)
			synctest.Wait()
		}
		require.NoError(t, load.feed(frameOf(writes(7, 1, 1)...), two))
		end(0)
		require.True(t, hinted(two.notices), "an isolated write")

		b.append(1, 1, 10)
		end(1)
		require.False(t, hinted(two.notices), "nobody waits elsewhere")

		require.NoError(t, load.feed(frameOf(writes(7, 2, 2)...), two))
		require.NoError(t, load.feed(frameOf(writes(8, 1, 1)...), three))
		b.append(2, 2, 10)
		end(2)
		require.False(t, hinted(two.notices), "what came meanwhile is under way")
		end(3)
		require.True(t, hinted(two.notices), "the last one owes the word of all")
		require.True(t, hinted(three.notices))

		require.NoError(t, load.feed(frameOf(writes(7, 3, 3)...), two))
		b.paper.end(4, raft.ErrLeadershipLost)
		synctest.Wait()
		require.False(t, hinted(two.notices), "nothing was committed")

		b.proposer.lead()
		require.NoError(t, load.feed(frameOf(writes(7, 1, 1)...), two))
		two.told.Store(105)
		end(5)
		require.False(t, hinted(two.notices), "it has been told, before this server had applied the batch")
	})
}

// Where one write follows the other, the next one brings the word to those who do not wait for it.
func TestWhoOnlyListensIsNoticedLaterWhileWritesFollowEachOther(t *testing.T) {
	proposing(t, func(b *bench) {
		two, three := paperInlet(b.proposer, 2), paperInlet(b.proposer, 3)
		b.listeners = func() []*inlet { return []*inlet{two, three} }
		var load cargo
		seq := uint64(0)
		begin := func() (end func()) {
			seq++
			require.NoError(t, load.feed(frameOf(writes(7, seq, seq)...), two))
			return func() {
				b.paper.futures[seq-1].index = 100 + seq
				b.paper.end(int(seq-1), nil)
				synctest.Wait()
			}
		}
		write := func(waits, listens bool) {
			t.Helper()
			begin()()
			require.Equal(t, waits, hinted(two.notices))
			require.Equal(t, listens, hinted(three.notices))
		}
		write(true, true) // the first, behind a pause

		// Under way when the listener's moment comes: it will bring the word, and bears its own.
		write(true, false)
		time.Sleep(closeBehind / 2)
		end := begin()
		time.Sleep(noticeLater - 1) // the moment passes
		require.False(t, hinted(three.notices))
		end()
		require.True(t, hinted(two.notices))
		require.False(t, hinted(three.notices))

		// Nothing follows any more, for as long.
		time.Sleep(noticeLater - 1)
		synctest.Wait()
		require.False(t, hinted(three.notices))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.True(t, hinted(three.notices))

		// What follows may be what a watcher does who was kept waiting: he is not, for a while.
		write(true, true)
		write(true, true)
		time.Sleep(promptFor)
		write(true, true)
		write(true, false)
		time.Sleep(noticeLater / 2)
		write(true, true) // behind a pause
		write(true, false)
		time.Sleep(noticeLater / 2)
		synctest.Wait()
		require.False(t, hinted(three.notices), "one followed closely since")
		time.Sleep(noticeLater / 2)
		synctest.Wait()
		require.True(t, hinted(three.notices))
		time.Sleep(promptFor)
		write(true, true)

		// What takes longer than that would bring the word too late, and so would it to who is slower than others.
		end = begin()
		time.Sleep(noticeLater)
		end()
		require.True(t, hinted(two.notices))
		require.True(t, hinted(three.notices))
		write(true, false)
		three.s.n.progress.outruns("3", true)
		write(true, true)
		three.s.n.progress.outruns("3", false)

		// Nor is anything told of a term that is over.
		write(true, false)
		b.proposer.lead()
		time.Sleep(noticeLater)
		synctest.Wait()
		require.False(t, hinted(three.notices))
	})
}
