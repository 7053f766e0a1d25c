package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/znode"
)

// running is a run of the program that goes on.
type running struct {
	t         *testing.T
	cmd       *exec.Cmd
	out, errw lockedBuffer
	ended     chan struct{}
}

// killedTimeout is the session timeout of who is to die: it is waited for, and not to be
// lost before.
const killedTimeout = "6s"

func begin(t *testing.T, addr string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: lycaon(append([]string{"-s", addr}, args...)...), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errw
	r.cmd.WaitDelay = waitLong / 2 // for what was said last
	require.NoError(t, r.cmd.Start())
	go func() { r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.cmd.Process.Kill(); <-r.ended })
	return r
}

// beginSteady is begin with a session that a slow machine does not lose.
func beginSteady(t *testing.T, addr string, args ...string) *running {
	t.Helper()
	return begin(t, addr, append([]string{"--session-timeout", "30s"}, args...)...)
}

// says waits for a line of the output that begins so, and returns the rest.
func (r *running) says(prefix string) string {
	r.t.Helper()
	for end := time.Now().Add(waitLong); ; time.Sleep(time.Millisecond) {
		for line := range strings.Lines(r.out.String()) {
			if rest, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(rest, "\n") {
				return strings.TrimSpace(rest)
			}
		}
		require.True(r.t, time.Now().Before(end), "no %q in %q, %q", prefix, r.out.String(), r.errw.String())
	}
}

func (r *running) exits() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(waitLong):
		require.FailNow(r.t, "the program goes on", "%q %q", r.out.String(), r.errw.String())
	}
	return r.cmd.ProcessState.ExitCode()
}

func waiters(t *testing.T, c *client.Client, path string, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		names, err := c.Children(t.Context(), path)
		return (err == nil || n == 0) && len(names) == n
	}, waitLong, 5*time.Millisecond, "%d nodes below %s", n, path)
}

// What is stopped renews no session.
func TestCtrlZDoesNotStopWhoHoldsALockForACommandThatGoesOn(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	r := beginSteady(t, cluster.Addrs()[0], "lock", "/l", "--", "sh", "-c", "echo up; exec sleep 600")
	r.says("up")
	for told := range 2 {
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGTSTP))
		require.Eventually(t, func() bool {
			return strings.Count(r.errw.String(), "lycaon: not stopped: sh would go on while what it holds is lost; Ctrl-C ends it\n") > told
		}, waitLong, time.Millisecond)
	}
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, signalled+int(syscall.SIGTERM), r.exits(), r.errw.String())
}

func TestALockOfAKilledProcessGoesToTheNext(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t, clienttest.WithSessionTimeouts(time.Second, time.Minute))
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	const tell = `echo pid $$; echo token $LYCAON_LOCK_TOKEN; echo node $LYCAON_LOCK_NODE; echo path $LYCAON_LOCK_PATH`
	first := begin(t, addr, "--session-timeout", killedTimeout, "lock", "/locks/a", "--", "sh", "-c", tell+"; exec sleep 60")
	node := first.says("node ")
	require.Equal(t, "/locks/a", first.says("path "))
	st, err := c.Exists(t.Context(), node)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(st.Czxid), first.says("token "))

	second := begin(t, addr, "lock", "/locks/a", "--", "sh", "-c", tell+"; exit 9")
	waiters(t, c, "/locks/a", 2)
	require.Empty(t, second.out.String(), "it runs before its turn")
	require.NoError(t, first.cmd.Process.Kill())
	require.Equal(t, 9, second.exits(), second.errw.String())
	before, err := strconv.ParseUint(first.says("token "), 10, 64)
	require.NoError(t, err)
	after, err := strconv.ParseUint(second.says("token "), 10, 64)
	require.NoError(t, err)
	require.Greater(t, after, before)
	waiters(t, c, "/locks/a", 0)
	gone(t, first.says("pid "))
}

// gone waits for the end of a process.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return syscall.Kill(n, 0) == syscall.ESRCH }, waitLong, 5*time.Millisecond, "process %d goes on", n)
}

func TestTheCommandOfALostLockIsEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		grace  string
		says   string
	}{
		"by SIGTERM":                         {`trap 'echo ended by TERM; exit 0' TERM; echo pid $$; while :; do sleep 0.05; done`, "1m", "ended by TERM"},
		"by SIGKILL, if it does not obey":    {`trap '' TERM; echo pid $$; while :; do sleep 0.05; done`, "50ms", ""},
		"with what it started":               {`sleep 60 & echo pid $!; wait`, "1m", ""},
		"with what outlives it":              {`sh -c 'trap "" TERM; echo pid $$; while :; do sleep 0.05; done' & wait`, "100ms", ""},
		"and the exit code is not its own 0": {`trap 'exit 0' TERM; echo pid $$; while :; do sleep 0.05; done`, "1m", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := clienttest.Start(t)
			watcher := cluster.Client(t)
			r := begin(t, cluster.Addrs()[0], "lock", "--grace", c.grace, "/l", "--", "sh", "-c", c.script)
			pid := r.says("pid ")
			names, err := watcher.Children(t.Context(), "/l")
			require.NoError(t, err)
			st, err := watcher.Exists(t.Context(), "/l/"+names[0])
			require.NoError(t, err)
			cluster.ExpireSession(client.SessionID(st.Owner))
			require.Equal(t, exitSession, r.exits(), r.errw.String())
			require.Contains(t, r.errw.String(), "the grant is lost")
			require.Contains(t, r.out.String(), c.says)
			gone(t, pid)
		})
	}
}

// Both times of awaitGroup may be past when it looks.
func TestWhatOutlivesACommandIsKilledWhicheverTimeIsSeenFirst(t *testing.T) {
	t.Parallel()
	c := &child{cmd: exec.Command("sleep", "60"), group: true}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, c.cmd.Start())
	c.awaitGroup(make(chan time.Time), 0)
	err := c.cmd.Wait()
	require.ErrorContains(t, err, "killed")
}

func TestALycaonInTheCommandOfALostLockWritesNothing(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	dir := t.TempDir()
	const script = `trap '' TERM; "$0" create /x early; echo up; until [ -e go ]; do sleep 0.02; done
		"$0" set /x late; echo set $?; "$0" multi 'set /x late'; echo multi $?; "$0" create -e /y; echo create $?
		"$0" --compat set /x late; echo compat $?; echo 'set /x late' | "$0" --compat >/dev/null; echo script $?; "$0" get /x
		LYCAON_GUARD= "$0" create /unguarded; echo done; echo done >&2; exec sleep 60`
	r := beginSteady(t, addr, "lock", "--grace", "1m", "/l", "--", "sh", "-c", "cd "+dir+"; "+script, os.Args[0])
	r.says("up")
	names, err := c.Children(t.Context(), "/l")
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), "/l/"+names[0]))
	_, err = c.Create(t.Context(), "/l/"+names[0], nil) // its like does not count
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/go", nil, 0o600))
	r.says("done")
	require.Equal(t, "Created /x\nup\nset 6\nmulti 6\ncreate 6\ncompat 1\nscript 1\nearly\nCreated /unguarded\ndone\n", r.out.String())
	require.Eventually(t, func() bool { return strings.HasSuffix(r.errw.String(), "done\n") }, waitLong, time.Millisecond, "the other pipe")
	require.Contains(t, r.errw.String(), "lycaon: set /x: the guard of the write is no more\n")
}

func TestACommandReachesTheServersOfTheOneThatRanIt(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	_, err := cluster.Client(t).Create(t.Context(), "/app", nil)
	require.NoError(t, err)
	out, errw, code := oneShot(t, addr+"/app", "--auth", "digest:ann:a b", "--auth", "digest:super:test", "--session-timeout", "7s",
		"lock", "/l", "--", "sh", "-c", `"$0" create /x; "$0" whoami; "$0" lock /m -- "$0" create /y; "$0" shell`, os.Args[0])
	require.Zero(t, code, errw)
	require.Equal(t, "Created /x\nAuth scheme: User\nip: 127.0.0.1\ndigest: "+znode.DigestID("ann", "a b")+"\ndigest: "+
		znode.DigestID("super", "test")+"\nsuper: super\nCreated /y\n", out)
	require.Contains(t, mustShot(t, addr, "ls", "/app"), "x, y")
}

func TestAsManyAsMayHoldALock(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	first := beginSteady(t, addr, "lock", "--holders", "2", "/l")
	first.says("Locked /l, token ")
	second := beginSteady(t, addr, "lock", "--holders", "2", "/l")
	second.says("Locked /l, token ")
	_, errw, code := oneShot(t, addr, "lock", "-n", "--holders", "2", "/l", "--", "echo", "ran")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "locked by somebody else")
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, first.exits(), first.errw.String())
	require.Equal(t, "ran\n", mustShot(t, addr, "lock", "--holders", "2", "/l", "--", "echo", "ran"))
}

func TestALockIsNotWaitedForWithNoWait(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	holder := begin(t, addr, "lock", "/l")
	holder.says("Locked /l, token ")
	_, errw, code := oneShot(t, addr, "lock", "-n", "/l", "--", "echo", "ran")
	require.Equal(t, exitError, code)
	require.Equal(t, "lycaon: try lock /l: locked by somebody else\n", errw)
	require.NoError(t, holder.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, holder.exits(), holder.errw.String())
	require.Empty(t, holder.errw.String())
	require.Equal(t, "ran\n", mustShot(t, addr, "lock", "-n", "/l", "--", "echo", "ran"))
}

func TestCtrlCWhileWaitingForALockLeavesNothing(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, addr := cluster.Client(t), cluster.Addrs()[0]
	holder := begin(t, addr, "lock", "/l")
	holder.says("Locked ")
	waiter := begin(t, addr, "lock", "/l", "--", "echo", "ran")
	waiters(t, c, "/l", 2)
	require.NoError(t, waiter.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, exitError, waiter.exits())
	require.Equal(t, "lycaon: lock /l: given up while waiting\n", waiter.errw.String())
	require.Empty(t, waiter.out.String())
	names, err := c.Children(t.Context(), "/l")
	require.NoError(t, err)
	require.Len(t, names, 1)
}

func TestALockIsHeldUntilAnInterruptedCommandHasEnded(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for name, how := range map[string]struct {
		run    string
		signal syscall.Signal
		code   int
	}{
		"itself":                  {`eval "$0"`, syscall.SIGTERM, 7},
		"what it has started":     {`echo parent $$; sh -c "$0" & wait`, syscall.SIGTERM, 128 + int(syscall.SIGTERM)},
		"the terminal is hung up": {`eval "$0"`, syscall.SIGHUP, 7},
	} {
		if signal.Ignored(how.signal) {
			continue // the tests are run by nohup, and so is the command
		}
		end := t.TempDir() + "/end"
		script := fmt.Sprintf(`trap 'echo told; until [ -e %s ]; do sleep 0.02; done; exit 7' TERM; echo up; while :; do sleep 0.02; done`, end)
		r := begin(t, cluster.Addrs()[0], "lock", "--grace", "1m", "/l", "--", "sh", "-c", how.run, script)
		r.says("up")
		require.NoError(t, r.cmd.Process.Signal(how.signal))
		r.says("told")
		if how.code != 7 {
			gone(t, r.says("parent "))
		}
		for range 20 { // some time
			_, err := c.Barrier(t.Context())
			require.NoError(t, err)
		}
		waiters(t, c, "/l", 1)
		require.NoError(t, os.WriteFile(end, nil, 0o600))
		require.Equal(t, how.code, r.exits(), "%s: %s", name, r.errw.String())
		waiters(t, c, "/l", 0)
	}
}
