package replicate

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/memnet"
	"github.com/lycaon-io/lycaon/server/peer"
)

// pair is a leader and a follower with streams between them and without raft:
// what the leader proposes stays on paper.
type pair struct {
	*bench
	net              *memnet.Net
	leader, follower *Node
	here             *replica // the follower's
	workers          sync.WaitGroup
	streams          []net.Conn
}

// paired runs f in a bubble; the leader's reign, in term 5, has begun.
func paired(t *testing.T, f func(p *pair)) {
	proposing(t, func(b *bench) {
		p := &pair{bench: b, net: memnet.New(), leader: New(Config{ID: 1, Data: "one"}, nil, nil), follower: New(Config{ID: 2, Data: "two"}, nil, nil)}
		p.leader.prop = b.proposer
		p.leader.duties.prop = b.proposer
		p.here = newReplica()
		p.here.log, p.here.observer = p.follower.streams, p.follower
		p.follower.machine = p.here
		p.leader.machine = newReplica()
		p.leader.duties.machine = p.leader.machine
		p.leader.streams.follow(1, 5)
		p.follower.streams.follow(1, 5)
		defer func() {
			p.leader.streams.stop()
			p.follower.streams.stop()
			p.workers.Wait()
			p.leader.streams.nudges.Wait()
		}()
		f(p)
	})
}

// connect opens a stream of one kind and tells how its two ends ended.
func (p *pair) connect(k peer.Kind) (there, here <-chan error) {
	l, err := p.net.Host("one").Listen("one:1")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	out, err := p.net.Host("two").Dial(context.Background(), "one:1")
	if err != nil {
		panic(err)
	}
	in, err := l.Accept()
	if err != nil {
		panic(err)
	}
	p.streams = append(p.streams, out)
	ends := []chan error{make(chan error, 1), make(chan error, 1)}
	p.workers.Go(func() {
		defer in.Close()
		s := p.leader.streams
		defer context.AfterFunc(s.ctx, func() { in.Close() })()
		serve := s.receive
		if k == peer.Touch {
			serve = s.hear
		}
		ends[0] <- serve(&peer.Conn{Conn: in, Remote: peer.Identity{ID: 2, Data: "two"}})
	})
	p.workers.Go(func() {
		defer out.Close()
		s := p.follower.streams
		r := s.reign()
		defer context.AfterFunc(r.ctx, func() { out.Close() })()
		run := s.forward.run
		if k == peer.Touch {
			run = s.touch.run
		}
		ends[1] <- run(r, &peer.Conn{Conn: out, Remote: peer.Identity{ID: 1, Data: "one"}})
	})
	synctest.Wait()
	return ends[0], ends[1]
}

func (p *pair) send(from, to uint64) {
	for seq := from; seq <= to; seq++ {
		p.here.send(write(7, 1, seq, protocol.OpSet, nil))
	}
}

// finish ends what was proposed from one batch on, and what is proposed then.
func (p *pair) finish(from int) {
	for i := from; i < p.paper.count(); i++ {
		p.paper.end(i, nil)
		synctest.Wait()
	}
}

// proposed are the sequences in the batches so far.
func (p *pair) proposed(t *testing.T) (all []uint64) {
	for i := range p.paper.count() {
		all = append(all, p.paper.seqs(t, i)...)
	}
	return all
}

func TestAStreamBeginsWithEverythingUnappliedAndGoesOnInOrder(t *testing.T) {
	paired(t, func(p *pair) {
		p.send(1, 3)
		_, ended := p.connect(peer.Forward)
		p.send(4, 5)
		synctest.Wait()
		p.paper.end(0, nil)
		synctest.Wait()
		require.Equal(t, upTo(1, 5), p.proposed(t))

		p.net.Reset("two")
		require.Error(t, <-ended)
		p.send(6, 6) // nobody takes it now
		p.connect(peer.Forward)
		p.finish(1)
		require.Equal(t, upTo(1, 6), p.proposed(t), "what was proposed before is dropped at the leader")
		require.EqualValues(t, 5, p.Stats().Doubled)
	})
}

func TestALeaderThatHasLostSomethingAsksAllFollowers(t *testing.T) {
	paired(t, func(p *pair) {
		p.connect(peer.Forward)
		require.False(t, hinted(p.follower.doubts))
		p.leader.streams.resendAll()
		synctest.Wait()
		require.True(t, hinted(p.follower.doubts))
		require.EqualValues(t, 1, p.follower.streams.forward.out.Stats().Doubts)
	})
}

func TestAnEarlyStreamWaitsForItsLeader(t *testing.T) {
	paired(t, func(p *pair) {
		p.follower.streams.follow(1, 6)
		there, _ := p.connect(peer.Forward)
		p.send(1, 2)
		synctest.Wait()
		require.Zero(t, p.paper.count(), "of the reign before nothing is proposed for it")
		p.rest()
		p.lead() // before what the stream has waited with is read, or that is dropped
		p.leader.streams.follow(1, 6)
		synctest.Wait()
		p.finish(0) // they may have come as two frames
		require.Equal(t, upTo(1, 2), p.proposed(t))

		p.leader.streams.follow(3, 7)
		require.Error(t, <-there, "whichever end closes first")
	})
}

func TestAServerThatDoesNotLeadSaysSo(t *testing.T) {
	paired(t, func(p *pair) {
		p.follower.streams.follow(1, 6)
		before := time.Now()
		there, here := p.connect(peer.Forward)
		require.ErrorIs(t, <-there, errFarewell)
		require.ErrorIs(t, <-here, errFarewell)
		require.Equal(t, awaitReign, time.Since(before))
		there, here = p.connect(peer.Touch)
		require.ErrorIs(t, <-there, errFarewell)
		require.ErrorIs(t, <-here, errFarewell)
	})
}

func TestTheEndOfAReignEndsItsStreams(t *testing.T) {
	paired(t, func(p *pair) {
		_, forward := p.connect(peer.Forward)
		_, touch := p.connect(peer.Touch)
		p.leader.streams.follow(0, 0)
		require.ErrorIs(t, <-forward, errFarewell, "which is no sign that the process died")
		require.ErrorIs(t, <-touch, errFarewell)
		require.Empty(t, p.leader.streams.reign().followers())
	})
}

func TestANewerStreamOfAFollowerReplacesTheFormer(t *testing.T) {
	paired(t, func(p *pair) {
		first, _ := p.connect(peer.Forward)
		p.net.Cut("two", "one")
		p.send(1, 1)
		p.streams[0].Close() // the follower gave up; the leader cannot know
		p.net.Heal("two", "one")
		synctest.Wait()
		<-first
		second, _ := p.connect(peer.Forward)
		third, _ := p.connect(peer.Forward)
		require.Error(t, <-second)
		require.Len(t, p.leader.streams.reign().followers(), 1)
		p.leader.streams.follow(0, 0)
		<-third
	})
}

func TestAPeerThatSendsGarbageIsDroppedAndCounted(t *testing.T) {
	for name, frame := range map[string][]byte{
		"no hello":       appendFrame(nil, framePulse, 1),
		"an odd frame":   append(appendFrame(nil, frameHello, 5, 0), appendFrame(nil, frameSigns)...),
		"an odd txn":     append(appendFrame(nil, frameHello, 5, 0), 0, 0, 0, 12, frameTxns, 1, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0),
		"an odd version": append(appendFrame(nil, frameHello, 5, 0), 0, 0, 0, 10, frameTxns, 2, 0, 0, 0, 0, 0, 0, 0, 0),
		"a lie":          {0xff, 0xff, 0xff, 0xff, frameHello},
	} {
		t.Run(name, func(t *testing.T) {
			paired(t, func(p *pair) {
				here, there := net.Pipe()
				s := p.leader.streams
				done := make(chan struct{})
				go func() {
					defer close(done)
					s.host(peer.Forward, &peer.Conn{Conn: there, Remote: peer.Identity{ID: 2}}, s.receive)
				}()
				_, _ = here.Write(frame)
				<-done
				require.EqualValues(t, 1, s.counts.garbled.Load())
				require.Zero(t, p.paper.count())
				require.NoError(t, here.Close())
			})
		})
	}
}

func TestAForwardStreamWhoseWayIsLostIsGivenUp(t *testing.T) {
	paired(t, func(p *pair) {
		_, ended := p.connect(peer.Forward)
		time.Sleep(time.Minute)
		require.Empty(t, ended, "an idle one lives")
		p.net.Cut("one", "two")
		before := time.Now()
		require.True(t, timedOut(<-ended))
		require.LessOrEqual(t, time.Since(before), maxForwardSilence)
	})
}

func TestTouchesAreAcknowledgedAndCountAsContact(t *testing.T) {
	paired(t, func(p *pair) {
		require.Equal(t, time.Duration(never), p.follower.streams.contact(), "nobody has led yet")
		p.here.touched = []uint64{3, 70, 71}
		_, ended := p.connect(peer.Touch)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.LessOrEqual(t, p.follower.streams.contact(), p.follower.streams.every)
		require.Equal(t, []uint64{3, 70, 71}, p.leader.duties.remote.Take())
		require.Zero(t, p.leader.streams.contact(), "a leader is in contact with itself")

		p.net.Isolate("one", "two")
		require.True(t, timedOut(<-ended))
		lost := p.follower.streams.contact()
		require.Greater(t, lost, minTouchSilence-2*p.follower.streams.every)
		time.Sleep(time.Minute)
		require.Equal(t, lost+time.Minute, p.follower.streams.contact())

		// What was heard meanwhile, and what was under way, gets there before
		// anything counts as contact.
		p.net.HealAll()
		p.here.touched = nil
		p.leader.duties.remote.Take()
		p.follower.streams.touch.touch(nil)
		p.connect(peer.Touch)
		require.Equal(t, []uint64{3, 70, 71}, p.leader.duties.remote.Take())
		require.Less(t, p.follower.streams.contact(), time.Second)
	})
}

func TestUnacknowledgedTouchesTakeNoMoreRoomThanSessions(t *testing.T) {
	paired(t, func(p *pair) {
		for i := range uint64(1000) {
			p.here.touched = []uint64{i % 10, 10 + i%7}
			if i%10 > 10+i%7 {
				p.here.touched[0], p.here.touched[1] = p.here.touched[1], p.here.touched[0]
			}
			p.follower.streams.touch.touch(nil)
		}
		unacked := p.follower.streams.touch.unacked
		require.Len(t, unacked, maxUnackedTouches)
		require.Equal(t, upTo(0, 16), unacked[maxUnackedTouches-1].ids)
		p.connect(peer.Touch)
		require.Empty(t, p.follower.streams.touch.unacked[:0])
		require.Equal(t, upTo(1, 16), p.leader.duties.remote.Take(), "0 is no session")
	})
}

func TestManyTouchesGoInSeveralFramesAndOnlyTheLastIsContact(t *testing.T) {
	paired(t, func(p *pair) {
		p.here.touched = upTo(1, 3*maxTouchIDs)
		b := p.follower.streams.touch.touch(nil)
		require.Len(t, p.follower.streams.touch.unacked, 3)
		p.follower.streams.touch.acknowledged(2)
		require.Equal(t, time.Duration(never), p.follower.streams.contact())
		p.follower.streams.touch.acknowledged(3)
		require.Zero(t, p.follower.streams.contact())
		require.Less(t, len(b), 4*maxTouchIDs*3)
	})
}

func TestAPauseOfTheLeaderIsGivenBackToRemoteSessionsOnce(t *testing.T) {
	paired(t, func(p *pair) {
		d := p.leader.duties
		d.leading = true
		d.listened = d.now()
		d.tracker.Add(3, 1, 10*time.Second, d.now())
		time.Sleep(9 * time.Second) // the leader stands still
		d.heard([]uint64{3})
		d.listen()
		require.Empty(t, d.due())
		time.Sleep(d.every)
		for range 100 {
			d.listen()
			time.Sleep(d.every)
			if len(d.due()) > 0 {
				break
			}
		}
		require.InDelta(t, 10, (d.now() - 9*time.Second).Seconds(), 0.4, "its full timeout from when it could be heard, not more")
	})
}

func TestAServerThatIsCutOffClosesConnectionsInTime(t *testing.T) {
	paired(t, func(p *pair) {
		var longest atomic.Int64
		p.follower.machine = cutOff{p.here, func(silence time.Duration) { longest.Store(int64(silence)) }}
		p.workers.Go(p.follower.streams.touch.watch)
		p.connect(peer.Touch)
		time.Sleep(time.Minute)
		require.Zero(t, longest.Load(), "in contact nothing is closed")
		p.net.Isolate("one", "two")
		time.Sleep(2 * time.Second / 3)
		every := p.follower.streams.every
		require.GreaterOrEqual(t, time.Duration(longest.Load()), 2*time.Second/3-every/4, "a session of 1 s is let go in time")
		time.Sleep(time.Minute)
		require.GreaterOrEqual(t, time.Duration(longest.Load()), time.Minute)
	})
}

func TestAServerInContactTakesSessionsBetweenAnyTwoTouches(t *testing.T) {
	paired(t, func(p *pair) {
		p.leader.streams.every, p.follower.streams.every = touchInterval(time.Minute), touchInterval(time.Minute)
		p.net.Delay("one", "two", 20*time.Millisecond)
		p.net.Delay("two", "one", 20*time.Millisecond)
		p.connect(peer.Touch)
		time.Sleep(100 * time.Millisecond)
		for range 5000 {
			time.Sleep(time.Millisecond)
			require.LessOrEqual(t, p.follower.streams.contact(), maxServingContact)
		}
	})
}

// cutOff is a machine that says what it is told.
type cutOff struct {
	*replica
	told func(silence time.Duration)
}

func (c cutOff) CutOff(silence time.Duration) int {
	c.told(silence)
	return 1
}

func TestOnlyTheDeathOfAProcessIsOne(t *testing.T) {
	r := newReign(context.Background(), 1, 5, false)
	require.False(t, cutByPeer(context.DeadlineExceeded))
	require.False(t, cutByPeer(errFarewell))
	require.False(t, cutByPeer(errors.New("another")))
	require.False(t, r.lost(peer.Forward), "one stream may break")
	require.False(t, r.lost(peer.Forward))
	r.up(peer.Forward)
	require.False(t, r.lost(peer.Touch), "the other one is back")
	require.True(t, r.lost(peer.Forward))
	require.False(t, r.lost(peer.Touch), "it is told once")
}
