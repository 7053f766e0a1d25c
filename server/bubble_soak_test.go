package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// TestSoakBubble runs whole clusters under seeded random faults: in CI seeds 1
// and up for half an hour of simulated time, with LYCAON_SOAK=2h new seeds for
// two hours of wall time, and with LYCAON_SEED=17 that one seed alone. What the
// seed fixes is the faults and the load; the order of goroutines it does not.
func TestSoakBubble(t *testing.T) {
	if text := os.Getenv("LYCAON_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "LYCAON_SEED")
		soak(t, seed)
		return
	}
	seed, enough := uint64(1), func(simulated time.Duration) bool { return simulated >= 30*time.Minute }
	if text := os.Getenv("LYCAON_SOAK"); text != "" {
		wall, err := time.ParseDuration(text)
		require.NoError(t, err, "LYCAON_SOAK")
		began := time.Now()
		seed, enough = uint64(began.Unix())<<16, func(time.Duration) bool { return time.Since(began) >= wall }
	}
	var simulated time.Duration
	for !enough(simulated) && !t.Failed() {
		took := time.Now()
		simulated += soak(t, seed)
		t.Logf("seed %d done, %v simulated, %v of wall time for this one", seed, simulated.Round(time.Second), time.Since(took).Round(time.Millisecond))
		seed++
	}
}

// episodes of one cluster's life, each a fault or two and a time of peace.
const episodes = 25

func soak(t *testing.T, seed uint64) (simulated time.Duration) {
	ok := t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
		inBubble(t, 3+2*int(seed%4/3), func(t *testing.T, p *pack) { // every fourth has five servers
			began := time.Now()
			s := &storm{pack: p, dice: rand.New(rand.NewPCG(seed, 0))}
			s.run()
			simulated = time.Since(began)
			t.Logf("%d writes, %d changes and %d gaps told to watches, %d snapshots taken in by the last lives of the servers", s.writes, s.changes, s.gaps, s.installs)
		}, smallSnapshots)
	})
	if !ok {
		t.Errorf("to repeat: LYCAON_SEED=%d go test -run TestSoakBubble ./server", seed)
	}
	return simulated
}

// storm is one run: a pack under load and faults.
type storm struct {
	*pack
	dice          *rand.Rand
	hands         []*hand
	eyes          []*eye
	shown         atomic.Uint64 // the newest zxid that any hand was shown
	gaps, changes int           // told by watches
	writes        int           // acknowledged, of hands that have ended
	installs      uint64        // of snapshots, by the servers that run at the end
	story         []string      // of the faults, told when something is wrong
}

func (s *storm) run() {
	defer s.end()
	s.ready()
	for i := range 4 {
		s.hands = append(s.hands, s.newHand(i))
	}
	for range 2 {
		s.eyes = append(s.eyes, s.newEye())
	}
	for i := range episodes {
		s.episode(i)
	}
	for _, h := range s.hands {
		h.rest()
	}
	s.settle()
	for _, h := range s.hands {
		h.check(s.pack)
		s.writes += h.writes
	}
	for _, e := range s.eyes {
		s.gaps, s.changes = s.gaps+e.gaps, s.changes+e.changes
	}
	for _, d := range s.dens {
		st := d.server.node.Stats()
		s.installs += st.Restores
	}
	require.Greater(s.t, s.writes, 100*episodes, "too little was written for this run to say anything")
}

// end leaves no client behind, whatever happened.
func (s *storm) end() {
	for _, h := range s.hands {
		h.hold(false)
		h.c.Abandon()
		<-h.done
	}
	for _, e := range s.eyes {
		e.close()
	}
	if s.t.Failed() {
		s.t.Logf("at %s, after:\n%s", time.Now().Format("15:04:05.000"), strings.Join(s.story, "\n"))
	}
}

// between gives a random duration.
func (s *storm) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.dice.Int64N(int64(high-low)))
}

func (s *storm) any() *den { return s.dens[s.dice.IntN(len(s.dens))] }

// episode strikes once or twice, lets the fault be, heals it and requires the
// cluster to be well soon.
func (s *storm) episode(n int) {
	var heals []func()
	if s.dice.IntN(4) == 0 { // so much that who is away needs a snapshot
		s.story = append(s.story, fmt.Sprintf("episode %d: flood", n))
		s.flood(true)
		heals = append(heals, func() { s.flood(false) })
	}
	for range 1 + s.dice.IntN(2) {
		what, heal := s.strike()
		s.story = append(s.story, fmt.Sprintf("episode %d at %s: %s", n, time.Now().Format("15:04:05.000"), what))
		heals = append(heals, heal)
		time.Sleep(s.between(0, 2*time.Second))
	}
	time.Sleep(s.between(100*time.Millisecond, 8*time.Second))
	for _, d := range s.dens { // first, since nobody starts over a disk that hangs
		d.disk.stall(false)
		d.disk.failing(nil)
	}
	for _, heal := range heals {
		heal()
	}
	healed := time.Now()
	s.story = append(s.story, "healed at "+healed.Format("15:04:05.000"))
	for _, h := range s.hands {
		s.await(fmt.Sprintf("hand %d writes again", h.id), 5*time.Second, func() bool {
			return h.wrote().After(healed) || h.lost() || h.faulty()
		})
		h.judge()
	}
	s.blink()
	time.Sleep(s.between(0, 5*time.Second))
	if s.dice.IntN(4) == 0 {
		s.settle()
	}
	for i, h := range s.hands {
		if h.lost() { // its session was out of reach for too long: another takes its place
			h.rest()
			h.check(s.pack)
			s.writes += h.writes
			s.hands[i] = s.newHand(h.id + 4)
		}
	}
}

func (s *storm) flood(on bool) {
	for _, h := range s.hands {
		h.flood.Store(on)
	}
}

// settle pauses the load and requires all states to be equal.
func (s *storm) settle() {
	for _, h := range s.hands {
		h.hold(true)
	}
	defer func() {
		for _, h := range s.hands {
			h.hold(false)
		}
	}()
	s.agree(20 * time.Second)
	for _, e := range s.eyes {
		s.matches(e)
	}
}

// blink replaces watchers whose session was out of reach for too long.
func (s *storm) blink() {
	for i, e := range s.eyes {
		if e.lost() {
			e.close()
			s.gaps, s.changes = s.gaps+e.gaps, s.changes+e.changes
			s.eyes[i] = s.newEye()
		}
	}
}

// strike begins a fault and returns what ends it.
func (s *storm) strike() (what string, heal func()) {
	d := s.any()
	if s.dice.IntN(2) == 0 && s.leader() != 0 {
		d = s.den(s.leader())
	}
	switch s.dice.IntN(14) {
	case 0, 1:
		return s.killed(d)
	case 2:
		return s.allKilled()
	case 3:
		return s.stopped(d)
	case 4:
		s.alone(d.id)
		return "alone: " + d.host, s.net.HealAll
	case 5:
		for _, o := range s.others(d.id) {
			s.net.Cut(d.host, o)
		}
		return "mute: " + d.host, s.net.HealAll
	case 6:
		for _, o := range s.others(d.id) {
			s.net.Cut(o, d.host)
		}
		return "deaf: " + d.host, s.net.HealAll
	case 7:
		return s.stalled(d)
	case 8:
		return s.failing(d)
	case 9:
		s.net.Reset(d.host)
		return "reset: " + d.host, func() {}
	case 10:
		s.net.Pause(d.host)
		return "no traffic: " + d.host, func() { s.net.Resume(d.host) }
	case 11:
		return s.transferred(d)
	case 12:
		for i := range s.clients {
			s.net.Isolate(d.host, fmt.Sprintf("10.0.1.%d", i+1))
		}
		return "out of clients' reach: " + d.host, s.net.HealAll
	default:
		return s.slow(d)
	}
}

func (s *storm) killed(d *den) (string, func()) {
	if d.server == nil {
		return "nothing: " + d.host + " is dead", func() {}
	}
	s.kill(d.id)
	return "killed: " + d.host, func() { s.revive(d) }
}

func (s *storm) allKilled() (string, func()) {
	for _, d := range s.dens {
		s.kill(d.id)
	}
	return "all killed", func() {
		for _, d := range s.dens {
			s.revive(d)
		}
	}
}

func (s *storm) stopped(d *den) (string, func()) {
	if d.server == nil {
		return "nothing: " + d.host + " is dead", func() {}
	}
	err := s.terminate(d)
	return fmt.Sprintf("stopped: %s, %v", d.host, err), func() { s.revive(d) }
}

func (s *storm) transferred(d *den) (string, func()) {
	if d.server == nil {
		return "nothing: " + d.host + " is dead", func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	to := s.any().id
	return fmt.Sprintf("leadership to %d asked of %s: %v", to, d.host, d.server.TransferLeader(ctx, to)), func() {}
}

func (s *storm) revive(d *den) {
	if d.server == nil {
		s.start(d.id)
	}
}

func (s *storm) stalled(d *den) (string, func()) {
	d.disk.stall(true)
	return "disk hangs: " + d.host, func() {}
}

func (s *storm) failing(d *den) (string, func()) {
	n := 0
	d.disk.failing(func() bool { n++; return n%3 == 0 })
	return "disk fails: " + d.host, func() {}
}

func (s *storm) slow(d *den) (string, func()) {
	delay := s.between(time.Millisecond, 40*time.Millisecond)
	set := func(delay time.Duration) {
		for _, o := range s.others(d.id) {
			s.net.Delay(d.host, o, delay)
			s.net.Delay(o, d.host, delay)
		}
	}
	set(delay)
	return fmt.Sprintf("slow by %v: %s", delay, d.host), func() { set(hop) }
}

// newHand begins a client's work.
func (s *storm) newHand(id int) *hand {
	s.t.Helper()
	h := &hand{t: s.t, id: id, dice: rand.New(rand.NewPCG(s.dice.Uint64(), 1)), kept: map[string]int64{}, done: make(chan struct{}), shown: &s.shown}
	h.changed.L = &h.mu
	s.await("a client finds the cluster", 20*time.Second, func() bool {
		var err error
		h.c, err = s.tryClient(nil, client.WithRequestTimeout(0))
		return err == nil
	})
	go h.work()
	return h
}
