package replicate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// writer is a client of one server: it creates nodes one after the other and
// waits for none of them.
type writer struct {
	s       *server
	session uint64
	sent    uint64
}

// writers opens a session through each server.
func (e *ensemble) writers() (all []*writer) {
	e.Helper()
	for id := range uint64(len(e.servers)) {
		s := e.servers[id+1]
		e.equal()
		all = append(all, &writer{s: s, session: s.session(e.T, time.Hour)})
	}
	return all
}

func (w *writer) path(i uint64) string { return fmt.Sprintf("/s%d-%d", w.s.id, i) }

func (w *writer) write(data int) {
	w.sent++
	w.s.send(write(w.session, 1, w.sent, protocol.OpCreate, create(w.path(w.sent), make([]byte, data))))
}

func (w *writer) waiting() int {
	w.s.mu.RLock()
	defer w.s.mu.RUnlock()
	return len(w.s.unsent)
}

// written waits until everything was applied where it was sent, and checks
// that it ran once and in order.
func (e *ensemble) checked(all []*writer) {
	e.Helper()
	for _, w := range all {
		e.until(fmt.Sprintf("writes of server %d", w.s.id), time.Minute, func() bool { return w.waiting() == 0 })
	}
	e.equal()
	for _, w := range all {
		w.s.mu.RLock()
		var before uint64
		for i := uint64(1); i <= w.sent; i++ {
			stat, _, ok := w.s.replica.machine.Tree().Peek(w.path(i))
			require.True(e, ok, w.path(i))
			require.Greater(e, stat.Czxid, before, "%s out of order", w.path(i))
			before = stat.Czxid
		}
		require.Len(e, w.s.outcomes, 1, "a write that runs twice is told that the node exists: %v", w.s.outcomes)
		w.s.mu.RUnlock()
	}
}

func seedOf(t *testing.T) uint64 {
	if text := os.Getenv("LYCAON_STREAMS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		return seed
	}
	return uint64(time.Now().UnixNano())
}

func TestWritesThroughEveryServerRunOnceAndInOrderWhateverBreaks(t *testing.T) {
	seed := seedOf(t)
	t.Logf("repeat with LYCAON_STREAMS_SEED=%d", seed)
	running(t, 3, func(e *ensemble) {
		rng := rand.New(rand.NewPCG(seed, 0))
		all := e.writers()
		var clients sync.WaitGroup
		stop := make(chan struct{})
		for _, w := range all {
			own := rand.New(rand.NewPCG(seed, w.s.id))
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(own.IntN(30_000)) * time.Microsecond):
					}
					for range own.IntN(4) {
						if w.waiting() < 200 {
							w.write(own.IntN(2000))
						}
					}
				}
			})
		}
		seen := map[string]int{}
		for range 60 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			e.disturb(rng, seen)
		}
		e.net.HealAll()
		close(stop)
		clients.Wait()
		e.checked(all)
		var doubled, early, late, ahead uint64
		for _, s := range e.servers {
			stats := s.Stats()
			p := stats.Proposer
			doubled, early, late, ahead = doubled+p.Doubled, early+p.Early, late+p.Late, ahead+stats.EarlyAnswers
		}
		t.Logf("%v; doubled %d early %d late %d ahead %d; written %d %d %d", seen, doubled, early, late, ahead, all[0].sent, all[1].sent, all[2].sent)
		require.Positive(t, doubled)
		require.Positive(t, ahead, "followers wrote beside the leader")
		require.Greater(t, all[0].sent+all[1].sent+all[2].sent, uint64(1000), "too little traffic to mean anything")
	})
}

// disturb does one thing that a stream must survive.
func (e *ensemble) disturb(rng *rand.Rand, seen map[string]int) {
	s := e.servers[1+rng.Uint64N(3)]
	what := []string{"reset", "reset", "doubt", "lapse", "transfer", "cut off", "one way"}[rng.IntN(7)]
	seen[what]++
	switch leader := e.leader(); {
	case what == "reset":
		e.net.Reset(hostOf(s.id))
	case what == "doubt" && leader != nil:
		leader.streams.resendAll()
	case what == "lapse" && leader != nil:
		leader.prop.rest() // as after a batch that failed
		leader.prop.doubt()
	case what == "transfer" && leader != nil:
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = leader.TransferLeader(ctx, 0)
		cancel()
	case what == "cut off":
		e.net.Isolate(hostOf(s.id), "s1", "s2", "s3")
		time.Sleep(time.Duration(rng.IntN(2500)) * time.Millisecond)
		e.net.HealAll()
	case what == "one way":
		e.net.Cut(hostOf(s.id), hostOf(1+rng.Uint64N(3)))
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		e.net.HealAll()
	}
}

// What a stream takes with it: bytes under way, frames that wait for their
// turn, and what is written while there is none. Nothing is written later that
// would show that something is missing.
func TestWhatABrokenStreamHasLostComesOverTheNextOne(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		far, leader := e.follower(), e.leader()
		w, out := all[far.id-1], far.streams.forward.out
		e.net.Cut(hostOf(far.id), hostOf(leader.id))
		for range 400 { // more than a stream takes without an acknowledgement
			w.write(1 << 10)
		}
		synctest.Wait()
		w.write(10)
		synctest.Wait()
		require.Positive(t, out.Stats().QueuedBytes)
		leader.dropStream(far.id)
		synctest.Wait()
		require.False(t, out.Stats().Open)
		w.write(10)
		e.net.HealAll()
		e.checked(all)
		require.Equal(t, leader, e.leader(), "else it would all be sent again for that")
	})
}

// dropStream closes the leader's end of a follower's forward stream: what was
// under way is lost.
func (s *server) dropStream(follower uint64) {
	for _, in := range s.streams.reign().followers() {
		if in.member == follower {
			in.conn.Close()
		}
	}
}

func TestAFullOutboxLosesNothingInTheEnd(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		far := e.follower()
		out := far.streams.forward.out
		out.mu.Lock()
		out.max = 16 << 10
		out.mu.Unlock()
		e.net.Cut(hostOf(far.id), hostOf(e.leader().id))
		for range 400 {
			all[far.id-1].write(1 << 10)
		}
		synctest.Wait()
		require.Positive(t, out.Stats().Overflowed)
		e.net.HealAll()
		e.checked(all)
	})
}

// A write through a follower that nobody else follows would wait for raft's
// own word of the commit, which takes up to twice its commit timeout.
func TestAnIsolatedWriteOfAFollowerIsNoticedAtOnce(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		far, leader := e.follower(), e.leader()
		for range 30 {
			time.Sleep(time.Second)
			before, noticed := time.Now(), leader.streams.counts.nudges.Load()
			all[far.id-1].write(10)
			synctest.Wait()
			require.Zero(t, all[far.id-1].waiting(), "applied without a wait")
			require.Zero(t, time.Since(before))
			require.Equal(t, noticed+1, leader.streams.counts.nudges.Load())

			all[leader.id-1].write(10)
			synctest.Wait()
			require.Zero(t, all[leader.id-1].waiting())
			require.Equal(t, noticed+1, leader.streams.counts.nudges.Load(), "nobody waits elsewhere")
		}
		e.checked(all)
	})
}

// Whoever has a client may have one that watches.
func TestEveryServerWithClientsIsNoticed(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		leader, far := e.leader(), e.follower()
		time.Sleep(time.Second)
		before := leader.streams.counts.nudges.Load()
		all[leader.id-1].write(10)
		synctest.Wait()
		require.Equal(t, before, leader.streams.counts.nudges.Load(), "they have none")

		far.touching(all[far.id-1].session)
		time.Sleep(time.Second)
		all[leader.id-1].write(10)
		synctest.Wait()
		require.Equal(t, before+1, leader.streams.counts.nudges.Load())
		require.True(t, far.has(all[leader.id-1].path(2)))

		far.touching()
		time.Sleep(clientsStay + time.Second)
		all[leader.id-1].write(10)
		synctest.Wait()
		require.Equal(t, before+1, leader.streams.counts.nudges.Load())
	})
}

// Else a server that begins anew in the middle of a reign would show its
// clients a past that they, or others, have left behind.
func TestTheWelcomeNamesAllThatIsCommittedWhenItIsAskedFor(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		far, leader := e.follower(), e.leader()
		for range 50 {
			all[leader.id-1].write(10)
		}
		e.checked(all)
		zxid := leader.content()[0]
		e.stop(far)
		all[leader.id-1].write(10)
		e.start(far)
		e.until("serving", 5*time.Second, func() bool { return far.Serving() == nil })
		require.GreaterOrEqual(t, far.awaiting.Load()-1, zxid+1)
		require.GreaterOrEqual(t, far.content()[0], zxid+1)
	})
}

func TestANewLeaderHasItsStreamsAtOnce(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		all := e.writers()
		for range 5 {
			old := e.leader()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			require.NoError(t, old.TransferLeader(ctx, 0))
			cancel()
			w := all[old.id-1]
			took := e.until("the former leader follows", time.Second, func() bool { return old.streams.forward.out.Stats().Open })
			require.Less(t, took, 20*time.Millisecond)
			w.write(10)
			e.until("its write", time.Second, func() bool { return w.waiting() == 0 })
		}
		e.checked(all)
	})
}

func (e *ensemble) expiredAfter(s *server, session uint64, within time.Duration) time.Duration {
	e.Helper()
	return e.until("expired", within, func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		_, alive := s.replica.machine.Sessions().Get(session)
		return !alive
	})
}

func (s *server) touching(ids ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = ids
}

func TestSessionsLiveByTheTouchesOfAnyServer(t *testing.T) {
	const timeout = 4 * time.Second
	running(t, 3, func(e *ensemble) {
		far := e.follower()
		id := far.session(t, timeout)
		far.touching(id)
		far.mu.Lock()
		far.silence = 0 // there was no leader at first
		far.mu.Unlock()
		time.Sleep(time.Minute)
		require.True(t, far.alive(id))
		far.touching()
		took := e.expiredAfter(far, id, time.Minute)
		require.GreaterOrEqual(t, took, timeout-far.streams.every, "it was heard of at the last touch before that")
		require.Less(t, took, timeout+time.Second)
		far.mu.RLock()
		defer far.mu.RUnlock()
		require.Zero(t, far.silence, "it was never out of contact")
	})
}

func (s *server) alive(session uint64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.replica.machine.Sessions().Get(session)
	return ok
}

func TestExpireSessionWorksThroughAnyServer(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		far := e.follower()
		id := far.session(t, time.Hour)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, far.ExpireSession(ctx, id, "by hand"))
		require.False(t, far.alive(id))
		require.ErrorIs(t, far.ExpireSession(ctx, id, "by hand"), ErrNoSession)
	})
}

// The server knows of its silence before the leader gives the session up, and
// the client gets to another one.
func TestACutOffServerLetsItsSessionsGoBeforeTheyExpire(t *testing.T) {
	const timeout = 3 * time.Second
	running(t, 3, func(e *ensemble) {
		far, leader := e.follower(), e.leader()
		id := far.session(t, timeout)
		far.touching(id)
		time.Sleep(10 * time.Second)
		far.mu.Lock()
		far.silence = 0
		far.mu.Unlock()
		e.net.Isolate(hostOf(far.id), "s1", "s2", "s3")
		letGo := e.until("it is let go", timeout, func() bool {
			far.mu.RLock()
			defer far.mu.RUnlock()
			return far.silence >= timeout*2/3
		})
		require.True(t, leader.alive(id))
		expired := letGo + e.expiredAfter(leader, id, time.Minute)
		t.Logf("let go after %s, expired after %s", letGo, expired)
		require.Less(t, letGo, timeout*2/3+far.streams.every/2, "it looks every quarter of that")
		require.Greater(t, expired, timeout-far.streams.every)
	})
}

func TestANewLeaderGivesEverybodyTheOutageOnTop(t *testing.T) {
	const timeout = 4 * time.Second
	running(t, 3, func(e *ensemble) {
		e.pinned(3)
		old := e.leader()
		id := e.follower().session(t, timeout)
		e.equal()
		time.Sleep(timeout - 500*time.Millisecond) // nobody touches it
		gone := time.Now()
		for _, s := range e.servers { // so that nobody can be elected for a while
			e.net.Isolate(hostOf(s.id), "s1", "s2", "s3")
		}
		time.Sleep(3 * time.Second)
		e.crash(old)
		e.net.HealAll()
		e.until("a new leader", 5*time.Second, func() bool { return e.leader() != nil && e.leader().Serving() == nil })
		outage := time.Since(gone)
		heir := e.leader()
		took := e.expiredAfter(heir, id, time.Minute)
		t.Logf("outage %s, expired %s after it", outage, took)
		require.GreaterOrEqual(t, took, timeout+outage-500*time.Millisecond)
		require.Less(t, took, timeout+outage+1500*time.Millisecond)
	})
}

func TestTheMembersAreToldToEveryServer(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		for _, s := range e.servers {
			e.until("told", 2*time.Second, func() bool {
				for _, m := range s.Members() {
					if m.ClientAddr != fmt.Sprintf("c%d:1", m.ID) {
						return false
					}
				}
				return true
			})
		}
	})
}

// sink is a connection that takes whatever is written.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error) { return len(b), nil }

// Clients in step append one after the other, each in a goroutine of its own: a write
// to the leader each costs both servers more than all the rest of forwarding.
func TestWhatIsReadyToBeForwardedGoesTogether(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f := &forwarder{s: &streams{n: &Node{}}, out: NewOutbox(maxOutboxBytes, func() {})}
	f.out.Open(func() {})
	ended := make(chan struct{})
	var writer, clients sync.WaitGroup
	writer.Go(func() { f.write(&reign{term: 5}, sink{}, ended) })
	const rounds, inStep = 1000, 4
	for range rounds {
		for i := range uint64(inStep) {
			clients.Go(func() { fill(f.out, i, i, 10) })
		}
		clients.Wait()
		for f.out.Stats().QueuedBytes > 0 {
			runtime.Gosched()
		}
	}
	close(ended)
	writer.Wait()
	s := f.out.Stats()
	require.EqualValues(t, rounds*inStep, s.Txns)
	require.Less(t, s.Frames, uint64(rounds+rounds/4)) // the scheduler looks elsewhere first now and then
}
