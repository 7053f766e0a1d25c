package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

const crashSnapshotBytes = 300 << 10

// snapshotChild takes one snapshot after the other.
func snapshotChild(dir string) {
	s, err := OpenSnapshots(SnapshotOptions{Dir: dir})
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	for index := s.Stats().LastIndex + 1; ; index++ {
		sink, err := s.Create(1, index, 1, testConfiguration, 1, nil)
		if err == nil {
			_, err = sink.Write(payload(index, 1, crashSnapshotBytes))
		}
		if err == nil {
			err = sink.Close()
		}
		if err != nil {
			fmt.Println("fail", err)
			os.Exit(1)
		}
		fmt.Println("ack", index)
	}
}

func TestKill9DuringASnapshotLeavesTheLastOne(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	dir := filepath.Join(t.TempDir(), "snap")
	var acked uint64
	for range crashRoundsOf(snapshotCrashRounds) {
		cmd := crashCommand(dir, "snapshot", 0)
		var out bytes.Buffer
		cmd.Stdout = &out
		require.NoError(t, cmd.Start())
		kill := time.AfterFunc(time.Duration(r.Int64N(int64(120*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		require.NotContains(t, out.String(), "fail")
		acked = max(acked, lastNumber(out.String()))

		s := openSnapshots(t, dir, nil)
		requireNoLeftovers(t, dir)
		m, err := s.usable(0, 1<<40)
		require.NoError(t, err)
		if acked > 0 {
			require.GreaterOrEqual(t, m.Index, acked)
			require.LessOrEqual(t, m.Index, acked+1)
			require.Equal(t, payload(m.Index, 1, crashSnapshotBytes), readSnapshot(t, s, m.ID))
			acked = m.Index
		}
		require.NoError(t, s.Close())
	}
	t.Logf("%d snapshots taken", acked)
}

func lastNumber(out string) (n uint64) {
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(line, "ack "); ok && strings.HasSuffix(v, "\n") {
			n, _ = strconv.ParseUint(strings.TrimSpace(v), 10, 64)
		}
	}
	return n
}

// eioChild appends until its disk fails, and then proves that the store stays failed.
func eioChild(dir string) {
	s, err := Open(testOptions(dir))
	if err != nil {
		fmt.Println("refused", err)
		os.Exit(0)
	}
	for {
		last, _ := s.LastIndex()
		if err = s.StoreLog(testLog(last+1, 1, 100)); err != nil {
			break
		}
		fmt.Println("ack", last+1)
	}
	again := s.SetUint64([]byte(keyCurrentTerm), 1)
	read := s.GetLog(1, new(raft.Log))
	fmt.Println("poisoned", again == err && read == err, err)
	os.Exit(0)
}

// fullChild appends until its disk is full, and closes what it has.
func fullChild(dir string) {
	s, err := Open(testOptions(filepath.Join(dir, "s")))
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	err = s.StoreLogs(testLogs(1, 10, 1, 100))
	if filler, openErr := os.Create(filepath.Join(dir, "filler")); openErr == nil {
		for piece := make([]byte, 4<<10); openErr == nil; {
			_, openErr = filler.Write(piece)
		}
		filler.Close()
	}
	_, madeErr := s.beginGeneration(99)
	fmt.Println("a next one:", madeErr, "damage:", errors.Is(madeErr, ErrCorrupt), "full:", FullDisk(madeErr))
	for last := uint64(10); err == nil; last++ {
		fmt.Println("ack", last)
		err = s.StoreLog(testLog(last+1, 1, 100<<10))
	}
	fmt.Println("poisoned", err)
	fmt.Println("closed", s.Close() == err)
	os.Exit(0)
}

// runEIOChild has every such call of a child from the n-th of a thread on fail with EIO.
func runEIOChild(t *testing.T, dir, call string, n int) string {
	t.Helper()
	return runInjectedChild(t, dir, fmt.Sprintf("%s:error=EIO:when=%d+", call, n))
}

// runInjectedChild lets calls of a child go the way of faults, in the words of strace.
func runInjectedChild(t *testing.T, dir string, faults ...string) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED FAULT: EIO of a sync, since strace is not installed")
	}
	if err := exec.Command(strace, "-o", "/dev/null", "true").Run(); err != nil {
		t.Skip("SKIPPED FAULT: EIO of a sync, since ptrace is not permitted")
	}
	args := []string{strace, "-f", "-qq", "-o", "/dev/null"}
	calls := make([]string, len(faults))
	for i, f := range faults {
		calls[i], _, _ = strings.Cut(f, ":")
		args = append(args, "-e", "inject="+f)
	}
	args = append(args, "-e", "trace="+strings.Join(calls, ","))
	child := crashCommand(dir, "eio", 0, args...)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	child.WaitDelay = time.Second
	require.NoError(t, child.Start())
	hangs := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
	defer hangs.Stop()
	require.NoError(t, child.Wait(), "%s", &out)
	return out.String()
}

// A store that cannot be opened is refused, however often Badger would try to
// flush what it has.
func TestAFailedSyncRefusesTheOpen(t *testing.T) {
	for _, c := range []struct {
		call string
		n    int
	}{{"msync", 1}, {"msync", 2}, {"fdatasync", 1}} {
		out := runEIOChild(t, filepath.Join(t.TempDir(), "s"), c.call, c.n)
		require.Contains(t, out, "refused", c)
		require.Contains(t, out, "input/output error", c)
	}
}

func TestAFailedSyncPoisons(t *testing.T) {
	for _, n := range []int{9, 20} {
		dir := filepath.Join(t.TempDir(), "s")
		require.NoError(t, openStore(t, dir).Close())
		out := runEIOChild(t, dir, "fdatasync", n)
		require.Contains(t, out, "poisoned true")
		require.Contains(t, out, "input/output error")
		s := openStore(t, dir)
		last, err := s.LastIndex()
		require.NoError(t, err)
		require.GreaterOrEqual(t, last, lastNumber(out))
		requireRange(t, s, min(last, 1), last)
	}
}

// As Go does for the syncs that it makes itself: a file system of another process may have any signal end one.
func TestAnInterruptedSyncIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	require.NoError(t, openStore(t, dir).Close())
	out := runInjectedChild(t, dir, "fdatasync:error=EINTR:when=3+4", "pwrite64:error=EIO:when=60+")
	require.Contains(t, out, "poisoned true")
	require.Contains(t, out, "input/output error")
	require.Greater(t, lastNumber(out), uint64(10))
}
