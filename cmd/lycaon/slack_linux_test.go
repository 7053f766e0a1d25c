package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// slacks are those of the timers of all threads of a process, in the order of their numbers. Who is
// not root may not ask.
func slacks(t *testing.T, pid int) []time.Duration {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(t, err)
	var numbers []int
	for _, thread := range threads {
		number, err := strconv.Atoi(thread.Name())
		require.NoError(t, err)
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	var all []time.Duration
	for _, number := range numbers {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", number))
		if errors.Is(err, fs.ErrPermission) {
			t.Skip(err)
		}
		if errors.Is(err, fs.ErrNotExist) { // it has ended
			continue
		}
		require.NoError(t, err)
		ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		require.NoError(t, err)
		all = append(all, time.Duration(ns))
	}
	return all
}

// ofProcess is a file of /proc/PID whose parts end with a zero byte.
func ofProcess(t *testing.T, pid int, name string) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

func TestTheMonitorOfAServerHasTheSlackAndItIsTheProcessThatWasStarted(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), "--log-level", "debug")
	pid := s.cmd.Process.Pid
	require.Equal(t, s.cmd.Args, ofProcess(t, pid, "cmdline"))
	require.ElementsMatch(t, s.cmd.Environ(), ofProcess(t, pid, "environ"))
	require.NotContains(t, s.logs.String(), "timers without slack")
	all := slacks(t, pid)
	require.Equal(t, []time.Duration{timerSlack, watcherSlack}, all[:2], "Go begins the watcher before any other thread")
	s.stop()
}

func TestAServerShedsSlackFourTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		times := 0
		ended.Go(func() { shedSlack(ctx, func() { times++ }) })
		time.Sleep(time.Minute)
		end()
		ended.Wait()
		require.Equal(t, 240, times)
	})
}

func TestAThreadGivesBackTheSlackOfTheWatcherAlone(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread() // and ends with this goroutine
	for had, want := range map[time.Duration]time.Duration{watcherSlack: timerSlack, time.Microsecond: time.Microsecond, 2 * watcherSlack: 2 * watcherSlack} {
		require.NoError(t, setSlackOfThread(had))
		lessSlack()
		now, err := slackOfThread()
		require.NoError(t, err)
		require.Equal(t, want, now)
	}
}

func TestAServerWhoseProgramIsGoneServesWithoutSlack(t *testing.T) {
	t.Parallel()
	const fewFiles = 400
	script := fmt.Sprintf(`cp "$0" "$1" && exec 3<"$1" && rm "$1" && shift && ulimit -Sn %d && exec /proc/self/fd/3 "$@"`, fewFiles)
	gone := filepath.Join(t.TempDir(), "lycaon")
	s := &serverProcess{t: t, addr: freeAddr(t), dir: t.TempDir(), extra: []string{"--log-level", "debug"}}
	s.program = func(args ...string) *exec.Cmd {
		cmd := lycaon(args...)
		cmd.Path = "/bin/sh"
		cmd.Args = append([]string{"sh", "-c", script, os.Args[0], gone}, args...)
		return cmd
	}
	s.start()
	defer s.stop()
	require.Contains(t, s.logs.String(), "timers without slack")
	require.Contains(t, s.logs.String(), "execute "+gone)
	var files unix.Rlimit
	require.NoError(t, unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &files))
	require.Greater(t, files.Cur, uint64(fewFiles), "Go had raised it")
	own, err := ownSlack()
	require.NoError(t, err)
	for _, slack := range slacks(t, s.cmd.Process.Pid) {
		require.Equal(t, own, slack)
	}
}

// ownSlack is what the threads of this process have, and those that it starts.
func ownSlack() (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return slackOfThread()
}

func TestOnlyAServerBeginsAnew(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"serve": true, "serve --help": true, "": false, "get /serve": false, "lock /a -- serve": false,
	} {
		require.Equal(t, want, serves(strings.Fields(line)), line)
	}
}
