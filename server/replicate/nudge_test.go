package replicate

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/peer"
)

// What a follower's client waits for is committed: it need not wait for the machine
// of the leader.
func TestAFollowerIsToldOfACommitBeforeTheLeaderAppliesIt(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		busy := make(chan struct{})
		leader.busy.Store(&busy)
		all[far.id-1].write(10)
		synctest.Wait()
		require.Zero(t, all[far.id-1].waiting())
		require.False(t, leader.has(all[far.id-1].path(1)))
		told := leader.streams.counts.nudges.Load()
		leader.busy.Store(nil)
		close(busy)
		e.checked(all)
		require.Equal(t, told, leader.streams.counts.nudges.Load(), "nor is it told again")
	})
}

// What is queued leaves once the leader has applied this, and would bring the word as late.
func TestAFollowerIsToldOfACommitThoughMoreIsQueued(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		release := hold(leader)
		all[far.id-1].write(10)
		synctest.Wait()
		all[leader.id-1].write(10)
		synctest.Wait()
		require.NotZero(t, leader.prop.Stats().QueuedBytes)
		busy := make(chan struct{})
		leader.busy.Store(&busy)
		release(false)
		synctest.Wait()
		require.Zero(t, all[far.id-1].waiting())
		require.False(t, leader.has(all[far.id-1].path(1)))
		leader.busy.Store(nil)
		close(busy)
		e.checked(all)
	})
}

// A commit needs the fastest ones alone: a follower whose disk is slower hears of it
// while it writes.
func TestAFollowerAppliesWhatWasCommittedMeanwhileOnceItHasWrittenIt(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		far := e.follower()
		begun := time.Now()
		for range 5 {
			release := hold(far)
			all[far.id-1].write(10)
			synctest.Wait()
			require.True(t, e.leader().has(all[far.id-1].path(all[far.id-1].sent)))
			require.Equal(t, 1, all[far.id-1].waiting())
			release(false)
			synctest.Wait()
			require.Zero(t, all[far.id-1].waiting())
		}
		require.Zero(t, time.Since(begun))
		e.checked(all)
	})
}

// The word and the entry come over two connections.
func TestAWordOfACommitWaitsForItsEntry(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		begun := time.Now()
		for i := range uint64(5) {
			far.toldOf(logID{e.lastIndex(far) + 1, leader.leadTerm.Load()}, leader.id, string(leader.self().raft()))
			synctest.Wait()
			all[leader.id-1].write(10) // nobody waits for it at the follower
			synctest.Wait()
			require.True(t, far.has(all[leader.id-1].path(i+1)))
		}
		require.Zero(t, time.Since(begun))
		e.checked(all)
	})
}

// Whose program is older hears of commits in raft's own way.
func TestAFollowerThatTakesNoWordsIsToldOfCommitsNevertheless(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		far := e.follower()
		for _, i := range e.leader().streams.reign().followers() {
			require.True(t, i.takesWords)
			i.takesWords = false
		}
		begun := time.Now()
		for range 5 {
			all[far.id-1].write(10)
			synctest.Wait()
			require.Zero(t, all[far.id-1].waiting())
		}
		require.Zero(t, time.Since(begun))
		e.checked(all)
	})
}

// Raft refuses the word of a commit before the entry, and nobody would say it again.
func TestAFollowerThatTakesNoWordsIsToldOfNothingThatItLacks(t *testing.T) {
	idle(t, func(e *ensemble, all []*writer) {
		leader, far := e.leader(), e.follower()
		inlets := leader.streams.reign().followers()
		i := inlets[slices.IndexFunc(inlets, func(i *inlet) bool { return i.member == far.id })]
		i.takesWords = false
		begun := time.Now()
		for n := range uint64(5) {
			next := logID{e.lastIndex(far) + 1, leader.leadTerm.Load()}
			told := make(chan struct{})
			go func() {
				defer close(told)
				i.tellOf(next)
			}()
			synctest.Wait()
			require.False(t, far.has(all[leader.id-1].path(n+1)))
			all[leader.id-1].write(10) // nobody waits for it at the follower
			<-told
			synctest.Wait()
			require.True(t, far.has(all[leader.id-1].path(n+1)))
		}
		require.Zero(t, time.Since(begun))
		e.checked(all)
	})
}

func TestAStreamThatHasEndedTakesNoWaitersPlace(t *testing.T) {
	p := newProgress()
	p.begin(3)
	ended, end := context.WithCancel(t.Context())
	end()
	held := p.holds(t.Context(), "2", 7)
	late := p.holds(ended, "2", 8)
	p.mu.Lock()
	p.matchLocked(p.memberLocked("2"), 8)
	p.mu.Unlock()
	<-held
	select {
	case <-late:
		require.Fail(t, "it was given a place")
	default:
	}
	<-p.holds(ended, "2", 8)
}

func TestWhoDoesNotSayThatItTakesWordsDoesNot(t *testing.T) {
	for says, takes := range map[string]bool{
		string(appendFrame(nil, frameHello, 5, 0)):    false,
		string(appendFrame(nil, frameHello, 5, 0, 0)): false,
		string(appendFrame(nil, frameHello, 5, 0, 1)): true,
	} {
		here, there := net.Pipe()
		go func() { _, _ = here.Write([]byte(says)) }()
		_, _, takesWords, err := readHello(there, newFrameReader(there, receiveBuffer))
		require.NoError(t, err)
		require.Equal(t, takes, takesWords)
		require.NoError(t, here.Close())
		require.NoError(t, there.Close())
	}
}

// Of an entry of another term nothing is known here: another leader, later, might
// have to commit it.
func TestNothingIsToldOfTheEntriesOfAnotherLeader(t *testing.T) {
	paired(t, func(p *pair) {
		p.connect(peer.Forward)
		for _, i := range p.leader.streams.reign().followers() {
			i.tellOf(logID{9, 4})
			i.tellOf(logID{9, 6})
			require.Zero(t, i.told.Load())
			i.tellOf(logID{9, 5})
			i.tellOf(logID{8, 5})
			require.EqualValues(t, 9, i.told.Load())
		}
		require.EqualValues(t, 1, p.leader.streams.counts.nudges.Load())
		p.leader.streams.follow(0, 0)
	})
}
