package replicate

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// paper is a raft that takes entries and ends them when the test says so.
type paper struct {
	mu      sync.Mutex
	entries [][]byte
	futures []*paperFuture
}

type paperFuture struct {
	raft.ApplyFuture
	index uint64
	ended chan error
}

func (f *paperFuture) Error() error  { return <-f.ended }
func (f *paperFuture) Index() uint64 { return f.index }

func (p *paper) Apply(entry []byte, _ time.Duration) raft.ApplyFuture {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &paperFuture{ended: make(chan error, 1)}
	p.entries = append(p.entries, entry)
	p.futures = append(p.futures, f)
	return f
}

func (p *paper) end(i int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.futures[i].ended <- err
}

func (p *paper) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.entries)
}

// seqs returns the sequences in entry i.
func (p *paper) seqs(t *testing.T, i int) []uint64 {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := state.DecodeBatch(p.entries[i])
	require.NoError(t, err)
	var all []uint64
	var txn state.Txn
	for {
		more, err := b.Next(&txn)
		require.NoError(t, err)
		if !more {
			return all
		}
		all = append(all, txn.Seq)
	}
}

type bench struct {
	*proposer
	paper  *paper
	doubts int // written under the proposer's lock
}

// proposing runs f in a bubble with a proposer that leads.
func proposing(t *testing.T, f func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{paper: &paper{}}
		b.proposer = newProposer(func() { b.doubts++ })
		b.proposer.raft = b.paper
		b.lead()
		defer func() {
			for i := range b.paper.count() {
				select {
				case b.paper.futures[i].ended <- raft.ErrRaftShutdown:
				default:
				}
			}
			b.rest()
			b.watchers.Wait()
		}()
		f(b)
	})
}

func (b *bench) append(from, to uint64, size int) {
	for seq := from; seq <= to; seq++ {
		t := write(1, 1, seq, protocol.OpSet, make([]byte, size))
		b.Append(&t)
	}
}

func upTo(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

func TestASmallBatchGathers(t *testing.T) {
	for name, c := range map[string]struct {
		txns uint64 // the first is under way
		size int
		want bool
	}{
		"nothing waits":         {txns: 1, size: 10},
		"a little waits":        {txns: 2, size: 10, want: true},
		"a whole batch waits":   {txns: 3, size: minSecondBatchBytes}, // the second is under way too
		"several whole batches": {txns: 9, size: minSecondBatchBytes},
	} {
		t.Run(name, func(t *testing.T) {
			proposing(t, func(b *bench) {
				b.append(1, c.txns, c.size)
				require.Equal(t, c.want, b.gathers())
			})
		})
	}
}

// One processor runs what is ready in turn, but that now and then it takes a goroutine
// that has yielded first: hence several tries.
func TestWhoIsReadyComesIntoABatchThatGathers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // which is what -cpu says
	const tries = 10
	together := 0
	for range tries {
		proposing(t, func(b *bench) {
			b.append(1, 2, 10)
			synctest.Wait() // for who waits for the first
			go b.append(3, 3, 10)
			b.paper.end(0, nil) // runs next, before the goroutine that was ready
			synctest.Wait()
			if len(b.paper.seqs(t, 1)) == 2 {
				together++
			}
		})
	}
	require.Greater(t, together, tries/2)
}

func TestWhatComesWhileABatchIsUnderWayMakesTheNextOne(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 100, 10)
		require.Equal(t, 1, b.paper.count())
		require.Equal(t, upTo(1, 1), b.paper.seqs(t, 0))

		b.paper.end(0, nil)
		synctest.Wait()
		require.Equal(t, 2, b.paper.count())
		require.Equal(t, upTo(2, 100), b.paper.seqs(t, 1))

		b.append(101, 130, 10)
		b.paper.end(1, nil)
		synctest.Wait()
		require.Equal(t, upTo(101, 130), b.paper.seqs(t, 2))
		b.paper.end(2, nil)
		<-b.drained()
		s := b.Stats()
		require.Equal(t, uint64(3), s.Batches)
		require.Equal(t, uint64(130), s.Txns)
		require.Zero(t, s.QueuedBytes)
		require.Zero(t, b.doubts)
	})
}

func TestTwoBatchesAreUnderWayIfTheSecondIsWorthIt(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 9, 10)
		require.Equal(t, 1, b.paper.count())
		b.append(10, 10, minSecondBatchBytes)
		require.Equal(t, 2, b.paper.count())
		require.Equal(t, upTo(2, 10), b.paper.seqs(t, 1))

		b.append(11, 12, minSecondBatchBytes)
		require.Equal(t, 2, b.paper.count(), "there is no third place")
		b.paper.end(0, nil)
		synctest.Wait()
		require.Equal(t, upTo(11, 12), b.paper.seqs(t, 2))
		b.append(13, 13, 10)
		b.paper.end(1, nil)
		synctest.Wait()
		require.Equal(t, 3, b.paper.count(), "a small one waits for the last")
		b.paper.end(2, nil)
		synctest.Wait()
		require.Equal(t, upTo(13, 13), b.paper.seqs(t, 3))
	})
}

func TestBatchesAreCutAtTransactions(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 2, minSecondBatchBytes) // under way
		b.append(3, 12, 100<<10)
		b.append(13, 13, 700<<10) // larger than a batch by itself
		b.append(14, 14, 10)
		for i := 0; i < b.paper.count(); i++ {
			b.paper.end(i, nil)
			synctest.Wait()
		}
		var all []uint64
		for i := range b.paper.count() {
			seqs := b.paper.seqs(t, i)
			if len(b.paper.entries[i]) > maxBatchBytes {
				require.Equal(t, []uint64{13}, seqs, "only a single transaction exceeds the bound")
			}
			all = append(all, seqs...)
		}
		require.Equal(t, upTo(1, 14), all, "in order, once, none missing")
		require.Equal(t, []uint64{3, 4}, b.paper.seqs(t, 2))
	})
}

func TestTheLeaderStampsWhenItSeals(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 3, 10)
		time.Sleep(time.Minute) // the bubble's clock
		b.paper.end(0, nil)
		synctest.Wait()
		batch, err := state.DecodeBatch(b.paper.entries[1])
		require.NoError(t, err)
		require.Equal(t, time.Now().UnixMilli(), batch.StampMs())
	})
}

func TestErrorsOfRaftAreSortedIntoRefusedAndUnknown(t *testing.T) {
	for _, c := range []struct {
		err     error
		refused bool
	}{
		{raft.ErrNotLeader, true},
		{raft.ErrEnqueueTimeout, true},
		{raft.ErrLeadershipTransferInProgress, true},
		{raft.ErrLeadershipLost, false},
		{raft.ErrRaftShutdown, false},
		{raft.ErrAbortedByRestore, false},
		{errors.New("disk on fire"), false},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			proposing(t, func(b *bench) {
				b.append(1, 5, 10)
				b.paper.end(0, c.err)
				synctest.Wait()
				s := b.Stats()
				require.Equal(t, c.refused, s.Refused == 1)
				require.Equal(t, !c.refused, s.Unknown == 1)
				require.Equal(t, 1, b.doubts)
				require.False(t, s.Proposing)
				require.Zero(t, s.QueuedBytes, "what waited comes again with the rest")
				require.Equal(t, 1, b.paper.count(), "nothing goes out before the lanes send again")

				b.append(6, 6, 10)
				require.Equal(t, uint64(1), b.Stats().Unled)

				b.lead()
				b.append(1, 6, 10)
				require.Equal(t, upTo(1, 1), b.paper.seqs(t, 1), "proposed again: it may be lost")
			})
		})
	}
}

func TestTheEndOfAnOldTermMeansNothingToTheNext(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 3, minSecondBatchBytes)
		b.lead()
		b.append(1, 3, minSecondBatchBytes)
		b.paper.end(0, raft.ErrLeadershipLost)
		b.paper.end(1, raft.ErrLeadershipLost)
		synctest.Wait()
		s := b.Stats()
		require.True(t, s.Proposing)
		require.Equal(t, 2, s.InFlight)
		require.Zero(t, b.doubts)
	})
}

func TestCopiesAndHolesStayOutOfTheLog(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 2, minSecondBatchBytes)
		b.append(1, 2, minSecondBatchBytes)
		b.append(5, 5, minSecondBatchBytes)
		s := b.Stats()
		require.Equal(t, uint64(2), s.Doubled)
		require.Equal(t, uint64(1), s.Early)
		require.Equal(t, 1, b.doubts, "a hole means that something was lost")
		require.Equal(t, uint64(2), s.Txns)
		require.Zero(t, s.QueuedBytes)
	})
}

func TestAFullQueueRefusesAndAsksAgainWhenItHasRoom(t *testing.T) {
	proposing(t, func(b *bench) {
		const size = 200 << 10
		b.append(1, 2, 10)
		n := uint64(maxQueueBytes/size + 10)
		b.append(3, n, size)
		s := b.Stats()
		require.NotZero(t, s.Overflowed)
		require.LessOrEqual(t, s.QueuedBytes, maxQueueBytes+size+100)
		require.Zero(t, b.doubts, "not before there is room")
		for i := 0; b.doubts == 0; i++ {
			b.paper.end(i, nil)
			synctest.Wait()
		}
		require.LessOrEqual(t, b.Stats().QueuedBytes, maxQueueBytes/2)
		before := b.Stats().Doubled
		b.append(1, n, size)
		require.NotEqual(t, before, b.Stats().Doubled, "what is queued is not queued twice")
		require.Equal(t, s.Overflowed, b.Stats().Overflowed, "the rest now fits")
	})
}

func TestABatchThatNeverEndsIsGivenUp(t *testing.T) {
	proposing(t, func(b *bench) {
		b.append(1, 3, minSecondBatchBytes)
		time.Sleep(batchDeadline - time.Millisecond)
		b.giveUp(time.Now())
		require.Zero(t, b.doubts)
		time.Sleep(time.Millisecond)
		require.Equal(t, batchDeadline, b.giveUp(time.Now()))
		require.Equal(t, 1, b.doubts)
		require.Equal(t, uint64(2), b.Stats().Abandoned)

		for range 2 * maxAbandoned { // and raft's channel never fills
			b.lead()
			b.append(1, 3, minSecondBatchBytes)
			time.Sleep(batchDeadline)
			b.giveUp(time.Now())
		}
		require.LessOrEqual(t, b.gaveUp, maxAbandoned)
		require.Equal(t, maxAbandoned, b.doubts)
	})
}

func TestWhatIsNoWriteIsNotSequenced(t *testing.T) {
	proposing(t, func(b *bench) {
		for range 2 {
			b.Append(&state.Txn{Kind: state.TxnNoop, Origin: 1, Ticket: 7})
			b.paper.end(b.paper.count()-1, nil)
			synctest.Wait()
		}
		require.Equal(t, 2, b.paper.count())
		require.Zero(t, b.Stats().Doubled)
	})
}
