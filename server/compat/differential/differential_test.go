package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { rig.Main(m) }

const (
	shortOps      = 100_000 // requests when nobody asks for more
	episodeOps    = 1_000
	lanes         = 3  // episodes at once
	ensembleShare = 20 // what costs one request of a server costs that many of an ensemble
	maxKinds      = 6  // of differences, before a run gives up

	superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" // of superSecret
)

// onMemory lets the servers of a test write to memory, where there is some:
// what a disk takes is not asked here.
func onMemory(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// zookeeper and lycaon start systems that no clock changes while a test looks:
// containers and TTL nodes stay.
func zookeeper(t testing.TB, n int) *rig.Ensemble {
	t.Helper()
	return rig.ZooKeeper(t, n, rig.Options{SuperDigest: superDigest, TickMs: 2000, JVM: []string{
		"-Dznode.container.checkIntervalMs=3600000",
		"-Dzookeeper.forceSync=no",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
		"-Dzookeeper.authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider", // or it takes no sasl in an ACL
	}})
}

func lycaon(t testing.TB, n int) *rig.Ensemble {
	t.Helper()
	return rig.Lycaon(t, n, rig.Options{SuperDigest: superDigest, Flags: []string{"--tick", "1h", "--max-session-timeout", "1h"}})
}

// opsWanted is how many requests a test sends.
func opsWanted(t testing.TB, short int) int {
	t.Helper()
	text := os.Getenv("LYCAON_DIFFERENTIAL_OPS")
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "LYCAON_DIFFERENTIAL_OPS")
	return n
}

func firstSeed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("LYCAON_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "LYCAON_SEED")
	return n
}

// Without this the comparison could ask for what ZooKeeper itself does not keep
// twice.
func TestDifferentialOfTwoZooKeepers(t *testing.T) {
	onMemory(t)
	p := &pair{zk: zookeeper(t, 1).Addrs, ly: zookeeper(t, 1).Addrs}
	p.replayScripts(t)
	p.storm(t, firstSeed(t), opsWanted(t, shortOps/5))
}

func TestDifferentialOfLycaonAndZooKeeper(t *testing.T) {
	onMemory(t)
	p := &pair{zk: zookeeper(t, 1).Addrs, ly: lycaon(t, 1).Addrs, allowed: deviations}
	p.replayScripts(t)
	p.storm(t, firstSeed(t), opsWanted(t, shortOps))
	p.requireAll(t, deviations)
}

// In an ensemble clients move from server to server, and each lets its server
// catch up before it looks.
func TestDifferentialOfEnsembles(t *testing.T) {
	onMemory(t)
	zk, ly := zookeeper(t, 3), lycaon(t, 3)
	seed := firstSeed(t)
	t.Logf("LYCAON_SEED=%d", seed)
	p := &pair{zk: zk.Addrs, ly: ly.Addrs, allowed: deviations}
	t.Run("everything", func(t *testing.T) { p.storm(t, seed, opsWanted(t, shortOps)/ensembleShare) })
	t.Run("clients that come back to another server", func(t *testing.T) { p.comeBack(t, seed, wandersWanted(t)) })
	p.requireAnswers(t)
	t.Run("no reply of ZooKeeper shows what a watch has not told", func(t *testing.T) { watchInOrder(t, zk.Addrs) })
	t.Run("no reply of Lycaon shows what a watch has not told", func(t *testing.T) { watchInOrder(t, ly.Addrs) })
}

func TestDifferentialOfTwoZooKeeperEnsembles(t *testing.T) {
	if os.Getenv("LYCAON_DIFFERENTIAL_OPS") == "" {
		t.Skip("six JVMs are started with LYCAON_DIFFERENTIAL_OPS alone")
	}
	onMemory(t)
	seed := firstSeed(t)
	p := &pair{zk: zookeeper(t, 3).Addrs, ly: zookeeper(t, 3).Addrs, twins: true}
	p.storm(t, seed, opsWanted(t, shortOps)/ensembleShare)
	p.comeBack(t, seed, wandersWanted(t))
	p.requireAnswers(t)
}

// requireAnswers fails if ZooKeeper forgets more than a few.
func (p *pair) requireAnswers(t *testing.T) {
	t.Helper()
	if p.lost > 0 {
		t.Logf("ZooKeeper never answered in %d of %d episodes", p.lost, p.roots)
	}
	require.LessOrEqual(t, p.lost*4, p.roots, "episodes in which ZooKeeper never answered")
}

// wandersWanted is how many episodes of clients that come back are played.
func wandersWanted(t testing.TB) int { return max(4, opsWanted(t, 0)/ensembleShare/episodeOps) }

// replayScripts plays the scripts of testdata: what differed once, what differs
// on purpose, and what clients seldom do. Those that leave the systems with
// different trees come last.
func (p *pair) replayScripts(t *testing.T) {
	t.Helper()
	var names []string
	for _, pattern := range []string{"testdata/agree/*.txt", "testdata/deviate/*.txt"} {
		names = append(names, scripts(t, pattern)...)
	}
	for _, name := range names {
		p.replayFile(t, name)
	}
}

func scripts(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, found, pattern)
	return found
}

// Here clocks and limits count: nodes and sessions end by themselves, timeouts are
// negotiated, and quotas are enforced.
func TestDifferentialOfClocksAndQuotas(t *testing.T) {
	onMemory(t)
	zk := rig.ZooKeeper(t, 1, rig.Options{EnforceQuota: true, TickMs: 500}) // timeouts of 1 s to 10 s
	ly := rig.Lycaon(t, 1, rig.Options{Flags: []string{"--max-session-timeout", "10s"}})
	p := &pair{zk: zk.Addrs, ly: ly.Addrs, allowed: slices.Concat(deviations, quotaDeviations)}
	for _, name := range scripts(t, "testdata/clocks/*.txt") {
		t.Run(filepath.Base(name), func(t *testing.T) { p.replayFile(t, name) })
	}
	p.requireAll(t, quotaDeviations)
}

// requireAll fails for each deviation that did not occur.
func (p *pair) requireAll(t *testing.T, all []deviation) {
	t.Helper()
	for _, d := range all {
		t.Logf("%8d times: %s", p.counts[d.name], d.name)
		if p.counts[d.name] == 0 && !t.Failed() {
			t.Errorf("the deviation %q does not occur any more", d.name)
		}
	}
}

func (p *pair) replayFile(t *testing.T, name string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	s, err := parseScript(raw)
	require.NoError(t, err, name)
	out, err := p.run(func(*mirror) source { return &replay{s} })
	require.NoError(t, err, name)
	if out.diff != nil {
		t.Errorf("%s: %v\n%s", name, out.diff, p.report(out.said))
	}
}

// storm plays episodes of seeds that rise from seed until wanted requests are
// sent, several at a time.
func (p *pair) storm(t *testing.T, seed uint64, wanted int) {
	t.Helper()
	s := &storm{p: p, t: t, seed: seed, episodes: max(1, wanted/episodeOps), kinds: map[string]bool{}}
	t.Logf("LYCAON_SEED=%d, %d episodes of %d requests", seed, s.episodes, episodeOps)
	start := time.Now()
	var work sync.WaitGroup
	for range lanes {
		work.Go(func() {
			for s.episode() {
			}
		})
	}
	work.Wait()
	took := time.Since(start)
	t.Logf("%d requests in %v, %.0f/s, to each of the two", s.sent, took.Round(time.Millisecond), float64(s.sent)/took.Seconds())
}

type storm struct {
	p        *pair
	t        *testing.T
	seed     uint64
	episodes int

	mu     sync.Mutex
	begun  int             // guarded by mu
	sent   int             // guarded by mu
	kinds  map[string]bool // of differences; guarded by mu
	broken bool            // guarded by mu
}

// episode plays the next one; false means that there is none.
func (s *storm) episode() bool {
	s.mu.Lock()
	if s.begun == s.episodes || len(s.kinds) >= maxKinds || s.broken {
		s.mu.Unlock()
		return false
	}
	seed := s.seed + uint64(s.begun)
	s.begun++
	s.mu.Unlock()
	out, err := s.p.run(func(m *mirror) source { return s.p.generator(seed, m) })
	if s.ended(seed, out, err) {
		s.p.explain(s.t, seed, out)
	}
	return true
}

// ended counts an episode and says whether it differed in a way that is new.
func (s *storm) ended(seed uint64, out *outcome, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.t.Errorf("seed %d: %v", seed, err)
		s.broken = true
		return false
	}
	s.sent += out.said.count()
	if out.diff == nil || s.kinds[out.diff.signature()] {
		return false
	}
	s.kinds[out.diff.signature()] = true
	return true
}

func (p *pair) generator(seed uint64, m *mirror) *generator {
	g := newGenerator(seed, m, episodeOps)
	g.moves = len(p.zk) > 1
	return g
}

// explain shows the smallest script that still differs, and the last of what
// was asked if there is none.
func (p *pair) explain(t *testing.T, seed uint64, out *outcome) {
	small, diff := shrink(out.said, out.diff, func(s script) *difference {
		again, err := p.run(func(*mirror) source { return &replay{s} })
		if err != nil {
			return nil
		}
		return again.diff
	})
	t.Errorf("LYCAON_SEED=%d LYCAON_DIFFERENTIAL_OPS=%d repeats it. Shrunk from %d requests to %d:\n%s%v",
		seed, episodeOps, out.said.count(), small.count(), p.report(small), diff)
}

const reported = 12 // steps of a script that a report shows

func (p *pair) report(s script) string {
	shown := s[max(0, len(s)-reported):]
	text := shown.text()
	if len(shown) < len(s) {
		text = fmt.Sprintf("... %d steps before\n%s", len(s)-len(shown), text)
	}
	return text
}
