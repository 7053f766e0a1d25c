package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { rig.Main(m) }

const (
	shortOps   = 100_000 // requests when nobody asks for more
	episodeOps = 1_000
	lanes      = 3 // episodes at once
	maxKinds   = 6 // of differences, before a run gives up

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
	return rig.Lycaon(t, n, rig.Options{SuperDigest: superDigest, Flags: []string{"--tick", "1h"}})
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
	for _, d := range deviations {
		t.Logf("%8d times: %s", p.counts[d.name], d.name)
		if p.counts[d.name] == 0 && !t.Failed() {
			t.Errorf("the deviation %q does not occur any more", d.name)
		}
	}
}

// replayScripts plays the scripts of testdata: what differed once, what differs
// on purpose, and what clients seldom do. Those that leave the systems with
// different trees come last.
func (p *pair) replayScripts(t *testing.T) {
	t.Helper()
	var names []string
	for _, pattern := range []string{"testdata/agree/*.txt", "testdata/deviate/*.txt"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		names = append(names, found...)
	}
	for _, name := range names {
		p.replayFile(t, name)
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

// storm plays episodes of seeds that rise from first until wanted requests are
// sent, several at a time.
func (p *pair) storm(t *testing.T, first uint64, wanted int) {
	t.Helper()
	episodes := max(1, wanted/episodeOps)
	t.Logf("LYCAON_SEED=%d, %d episodes of %d requests", first, episodes, episodeOps)
	var (
		mu    sync.Mutex
		next  int
		kinds = map[string]bool{}
		sent  int
		work  sync.WaitGroup
		start = time.Now()
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == episodes || len(kinds) >= maxKinds || t.Failed() && len(kinds) == 0 {
			return 0, false
		}
		next++
		return first + uint64(next-1), true
	}
	for range lanes {
		work.Go(func() {
			for seed, more := take(); more; seed, more = take() {
				out, err := p.run(func(m *mirror) source { return newGenerator(seed, m, episodeOps) })
				mu.Lock()
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				fresh := out != nil && out.diff != nil && !kinds[out.diff.signature()]
				if fresh {
					kinds[out.diff.signature()] = true
				}
				if out != nil {
					sent += out.said.count()
				}
				mu.Unlock()
				if fresh {
					p.explain(t, seed, out)
				}
			}
		})
	}
	work.Wait()
	took := time.Since(start)
	t.Logf("%d requests in %v, %.0f/s, to each of the two", sent, took.Round(time.Millisecond), float64(sent)/took.Seconds())
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
